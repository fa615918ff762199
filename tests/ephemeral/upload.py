#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An HTTP server on the port given: POST is answered with the length of the body, read to its end.
   /long   answers 8 MB
   /sleep  answers after two seconds
   /switch switches protocols, and does nothing"""
import http.server
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/sleep":
            time.sleep(2)
        if self.path == "/switch":
            self.send_response(101)
            self.end_headers()
            self.wfile.flush()
            time.sleep(1000)
        self.reply(b"x" * 8000000 if self.path == "/long" else b"here\n")

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.reply(b"%d\n" % len(self.rfile.read(length)))

    def log_message(self, *unused):
        pass


http.server.HTTPServer.request_queue_size = 1024
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
