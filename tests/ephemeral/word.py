# SPDX-License-Identifier: MIT
"""A server on the given port: answers with what a file said at the start, and the count of requests."""
import socket
import sys

with open(sys.argv[2]) as f:
    word = f.read().strip()
count = 0
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    sock, _ = listener.accept()
    with sock, sock.makefile("rwb") as f:
        while True:
            lines = []
            for line in f:
                lines.append(line.lower())
                if line == b"\r\n":
                    break
            if not lines:
                break
            count += 1
            body = b"%s %d\n" % (word.encode(), count)
            f.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            f.flush()
            if b"connection: close\r\n" in lines:
                break
