# SPDX-License-Identifier: MIT
"""The programs that serve, found or built."""
import os

from runtimes import find, go_program, npm, rust_program
from setting import CACHE, source
from suite import build_c


def built(name):
    return build_c(source(name + ".c"), os.path.join(CACHE, name), ["-lpthread"])


# name: (argv, counts, call that it waits in)
def programs():
    return {
        "c-epoll": (lambda: [built("epoll"), "@PORT@"], True, "epoll"),
        "c-accept": (lambda: [built("accept"), "@PORT@"], True, "accept"),
        "c-poll": (lambda: [built("sets"), "@PORT@", "poll"], True, "poll"),
        "c-select": (lambda: [built("sets"), "@PORT@", "select"], True, "select"),
        "node": (lambda: [find("node"), source("count.js"), "@PORT@"], True, "epoll"),
        "node-20": (lambda: [npm("node-20"), source("count.js"), "@PORT@"], True, "epoll"),
        "node-24": (lambda: [npm("node-24"), source("count.js"), "@PORT@"], True, "epoll"),
        "deno": (lambda: [npm("deno"), "run", "--allow-net", source("count-deno.js"), "@PORT@"],
                 True, "epoll"),
        "bun": (lambda: [npm("bun"), source("count-bun.js"), "@PORT@"], True, "epoll"),
        "python-http": (lambda: ["/usr/bin/python3", source("count_http.py"), "@PORT@"], True,
                        "poll"),
        "python-asyncio": (lambda: ["/usr/bin/python3", source("count_asyncio.py"), "@PORT@"],
                           True, "epoll"),
        "go": (lambda: [go_program(source("count.go")), "@PORT@"], True, "epoll"),
        "rust": (lambda: [rust_program(source("count.rs"), os.path.join(CACHE, "rust-count")), "@PORT@"], True, "accept"),
        "nginx": (lambda: [find("nginx"), "-p", "@DIR@", "-c", "@DIR@/nginx.conf"], True,
                  "epoll"),
        "ruby": (lambda: [find("ruby"), source("count.rb"), "@PORT@"], True, "poll"),
        "lua": (lambda: [find("lua5.4"), source("count.lua"), "@PORT@"], True, "poll"),
        "php": (lambda: [find("php"), "-q", "-S", "127.0.0.1:@PORT@", source("count.php")], False,
                "select"),
    }


def files():
    with open(source("nginx.conf")) as f:
        return [("nginx.conf", f.read())]
