"""Sockets to oneself, one thread: TCP and UDP over both families, unix ones, select and epoll."""
import os
import select
import socket


def talk(a, b, size=200000):
    data, got, sent = os.urandom(size), b"", 0
    a.setblocking(False)
    while len(got) < size:
        try:
            sent += a.send(data[sent:])
        except BlockingIOError:
            pass
        got += b.recv(65536)
    assert got == data
    return len(got)


for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0)),
                        (socket.AF_UNIX, "sock"), (socket.AF_UNIX, "\0kvmtest-%d" % os.getpid())):
    name = family.name
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.bind(address)
    except OSError as e:
        print(name, e.strerror)
        continue
    listener.listen(5)
    client = socket.socket(family, socket.SOCK_STREAM)
    client.connect(listener.getsockname())
    server, peer = listener.accept()
    print(name, talk(client, server), type(peer).__name__)
    client.shutdown(socket.SHUT_WR)
    print(server.recv(10), server.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE))
    if family != socket.AF_UNIX:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(server.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        assert server.getsockname() == client.getpeername()
        u, v = (socket.socket(family, socket.SOCK_DGRAM) for _ in "12")
        u.bind(address)
        v.sendto(b"datagram", u.getsockname())
        print(u.recvfrom(100)[0])
    else:
        client.close()
        print(server.recv(10))
a, b = socket.socketpair()
r, w = os.pipe()
f = os.open("f", os.O_RDWR | os.O_CREAT, 0o600)
print(socket.send_fds(a, [b"fds"], [r, f]))
msg, fds, flags, _ = socket.recv_fds(b, 10, 2)
os.write(w, b"through a pipe")
print(msg, len(fds), os.read(fds[0], 100))
e = select.epoll()
e.register(b, select.EPOLLIN)
e.register(r, select.EPOLLIN | select.EPOLLET)
print(e.poll(0))
a.send(b"x")
print([(fd == b.fileno(), ev) for fd, ev in e.poll(1)])
p = select.poll()
p.register(a, select.POLLIN | select.POLLOUT)
print([ev for _, ev in p.poll(0)], [len(x) for x in select.select([b, r], [a], [], 0)])
b.settimeout(0.05)
b.recv(1)
try:
    b.recv(1)
except TimeoutError as t:
    print(t)
try:
    socket.create_connection(("127.0.0.1", 1), 1)
except OSError as x:
    print(x.strerror)
print(socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)[0][4], socket.inet_pton(10, "::1"))
