"""The program that serves requests, and calls storage.py. Argument: the port to listen on."""
import ctypes
import http.server
import sys

library = ctypes.CDLL("libkvmserverguest.so", use_errno=True)
resume = library.kvmserverguest_remote_resume
resume.restype = ctypes.c_ssize_t
resume.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]

own = 0  # in an ephemeral machine it is the same in every request


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global own
        buffer = ctypes.create_string_buffer(self.path[1:].encode(), 256)
        ok = resume(buffer, len(buffer)) >= 0
        own += 1
        text = b"%s (own count %d)\n" % (buffer.value, own)
        self.send_response(200 if ok else 503)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *unused):
        pass


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
