# SPDX-License-Identifier: MIT
"""A server on the given port that answers with random numbers, one "NAME VALUE" a line."""
import ctypes
import http.server
import os
import random
import secrets
import ssl
import sys
import uuid

GENERATION = 400  # the system call, in kvmserver
libc = ctypes.CDLL(None)


class Handler(http.server.BaseHTTPRequestHandler):
    seen = None

    def reseeded(self):
        """What a program does that wants random.random() to differ from request to request."""
        generation = libc.syscall(GENERATION)
        if generation != Handler.seen:
            Handler.seen = generation
            random.seed()
        return random.random()

    def do_GET(self):
        text = "".join("%s %s\n" % row for row in (
            ("random.random", random.random()),
            ("random.SystemRandom", random.SystemRandom().random()),
            ("secrets.token_hex", secrets.token_hex(8)),
            ("os.urandom", os.urandom(8).hex()),
            ("uuid.uuid4", uuid.uuid4()),
            ("ssl.RAND_bytes", ssl.RAND_bytes(8).hex()),
            ("hash", hash("text")),
            ("random.random-reseeded", self.reseeded()),
            ("generation", libc.syscall(GENERATION))))
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *unused):
        pass


libc.syscall.restype = ctypes.c_long
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
