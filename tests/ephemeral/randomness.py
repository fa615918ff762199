# SPDX-License-Identifier: MIT
"""Random numbers that programs draw after their warm-up."""
from runtimes import find, go_program, npm
from server import Server
from setting import source, suite
from suite import Failed


# What two requests get that were forked from one image, after a warm-up that has drawn from each:
# new numbers, or the same ones. docs/reference/serving.md has this for users.
NUMBERS = {
    "node-20": (lambda: [npm("node-20"), source("random.js"), "@PORT@"], {
        "Math.random": "same", "crypto.randomBytes": "same", "crypto.randomUUID": "same",
        "crypto.getRandomValues": "same", "crypto.randomInt": "same", "/dev/urandom": "new"}),
    "node-24": (lambda: [npm("node-24"), source("random.js"), "@PORT@"], {
        "Math.random": "same", "crypto.randomBytes": "same", "crypto.randomUUID": "same",
        "crypto.getRandomValues": "same", "crypto.randomInt": "same", "/dev/urandom": "new"}),
    "deno": (lambda: [npm("deno"), "run", "--allow-all", source("random-deno.js"), "@PORT@"], {
        "Math.random": "same", "crypto.getRandomValues": "same", "crypto.randomUUID": "same",
        "node:crypto.randomBytes": "same", "/dev/urandom": "new"}),
    "bun": (lambda: [npm("bun"), source("random.js"), "@PORT@"], {
        "Math.random": "same", "crypto.randomBytes": "new", "crypto.randomUUID": "same",
        "crypto.getRandomValues": "same", "crypto.randomInt": "same", "/dev/urandom": "new"}),
    "python": (lambda: ["/usr/bin/python3", source("random_http.py"), "@PORT@"], {
        "random.random": "same", "random.SystemRandom": "new", "secrets.token_hex": "new",
        "os.urandom": "new", "uuid.uuid4": "new", "ssl.RAND_bytes": "same", "hash": "same",
        "random.random-reseeded": "new", "generation": "new"}),
    "go": (lambda: [go_program(source("random.go")), "@PORT@"], {
        "math/rand": "same", "maphash": "same", "crypto/rand": "new"}),
    "ruby": (lambda: [find("ruby"), source("random.rb"), "@PORT@"], {
        "rand": "same", "OpenSSL::Random": "same", "SecureRandom.hex": "new",
        "Random.urandom": "new"}),
    "php": (lambda: [find("php"), "-q", "-S", "127.0.0.1:@PORT@", source("random.php")], {
        "mt_rand": "new", "random_bytes": "new", "random_int": "new"}),
}
# With --new-pid. What Node keeps ready in JavaScript stays: UUIDs and small integers.
NUMBERS_WITH_NEW_PID = {
    "node-20": {"crypto.randomBytes": "new", "crypto.getRandomValues": "new"},
    "python": {"ssl.RAND_bytes": "new"},
    "ruby": {"OpenSSL::Random": "new", "rand": "same"},
}


def random_numbers(argv, wanted, *options):
    with Server(argv(), "-e", "-w", "10", *options) as s:
        first, second = (dict(line.split(" ", 1) for line in s.get()[1].decode().splitlines())
                         for _ in range(2))
        got = {k: "same" if first[k] == second[k] else "new" for k in first}
        if got != wanted:
            raise Failed("%r, not %r" % (got, wanted))
        s.stop()


for program, row in NUMBERS.items():
    suite.add("random-" + program, lambda row=row: random_numbers(*row))
for program, more in NUMBERS_WITH_NEW_PID.items():
    argv, wanted = NUMBERS[program]
    suite.add("random-%s-new-pid" % program,
              lambda row=(argv, {**wanted, **more}): random_numbers(*row, "--new-pid"))
