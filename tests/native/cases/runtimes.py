# SPDX-License-Identifier: MIT
"""Language runtimes: python3 (ET_EXEC), perl, lua, luajit, php, ruby, sqlite3, cc1, openssl."""
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.join(HERE, "..", "src")

# The parts of Python's own test suite that run; what is left out is in python-exclusions.txt.
PYTHON_TESTS = ["test_json", "test_struct", "test_math", "test_hashlib", "test_re", "test_mmap",
                "test_os", "test_threading", "test_signal", "test_asyncio", "test_socket", "test_select",
                "test_queue", "test_time"]
# Some modules of long ones have cases of their own, as cases run side by side.
PYTHON_PARTS = {"test_asyncio": ["test_events", "test_tasks", "test_ssl"]}
# Minutes, most of them spent in waiting.
SLOW_PYTHON_TESTS = ["test_os", "test_json", "test_math", "test_signal", "test_asyncio", "test_socket",
                     "test_queue"]
TIMES = [(rb"== CPU count: \d+", b"== CPU count"),
         (rb"\d+:\d\d:\d\d load avg: [\d.]+ ", b""), (rb"in [\d.]+ ?(sec|s|ms)\b", b"in T"),
         (rb"(Total duration: ).*", rb"\1T"), (rb"^test[\w.]+ passed in .*\n", b""), (rb"took [\d.]+ ?(sec|s|ms)", b"took T"),
         (rb"test_python_\w+|@test_\w+_tmp\w*", b"TMP"), (rb"Using random seed.*\n", b""),
         (rb"(will run for|resolution:) [\d.]+", rb"\1 T"), (rb"^task <thread \d+> .*\n|^<thread \d+> is finished.*\n|^\d+ tasks are running\n", b""),
         (rb"^Ran (\d+) tests? .*", rb"Ran \1"), (rb"0x[0-9a-f]{6,}", b"0xX"),
         (rb"^Executing <.* took .*\n", b"")]  # asyncio, of what took more than 0.1 s


def python_exclusions():
    args = []
    with open(os.path.join(HERE, "..", "python-exclusions.txt")) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                args += ["-i", line.split()[0]]
    return args


def script(name):
    return os.path.join(SRC, name)


def copy(*names):
    def setup(directory):
        for name in names:
            with open(script(name), "rb") as src, open(os.path.join(directory, name), "wb") as dst:
                dst.write(src.read())
    return setup


def register(cases):
    Step = cases.Step
    python(cases, Step)
    perl(cases)
    small(cases, Step)
    sqlite(cases, Step)
    compilers(cases, Step)
    openssl(cases, Step)


def python(cases, Step):
    py = "/usr/bin/python3"
    for name in ("json", "re", "hashlib", "decimal", "sqlite3", "ctypes", "zlib", "socket", "files",
                 "stdlib", "asyncio", "signals", "mmap"):
        cases.add("python-" + name, [py, "py_%s.py" % name], setup=copy("py_%s.py" % name),
                  status={"stdlib": 7, "signals": 143}.get(name, 0))
    cases.add("python-one-liner", [py, "-c", "print('Hello', 6 * 7)"], [py, "-c", "import sys; "
              "sys.exit(42)"], [py, "-c", "1/0"], [py, "-c", "import os; os.abort()"],
              [py, "-c", "print(input())"], [py, "-S", "-c", "print(__import__('sys').argv)", "a b", "é"],
              [py, "absent.py"],
              [py, "-c", "import mmap; m = mmap.mmap(-1, 4096); m.resize(9000); print(m[5000])"])
    cases.add("python-zip-venv", [py, "-m", "compileall", "-q", "py_json.py"],
              [py, "-m", "zipfile", "-c", "x.zip", "py_json.py"], [py, "-m", "zipfile", "-l", "x.zip"],
              [py, "-m", "json.tool", "--compact", "data.json"], [py, "-m", "timeit", "-h"],
              setup=py_data, )
    for test in PYTHON_TESTS:
        slow, parts = test in SLOW_PYTHON_TESTS, PYTHON_PARTS.get(test, [])
        python_suite(cases, test, slow, *["-itest.%s.%s.*" % (test, part) for part in parts], test)
        for part in parts:
            python_suite(cases, test + "-" + part, slow, "test.%s.%s" % (test, part))


def python_suite(cases, name, slow, *args):
    cases.add("python-suite-" + name, cases.Step(
        "/usr/bin/python3", "-m", "test", "-v", "-u", "none", "--tempdir", ".", *python_exclusions(), *args, mask=TIMES),
        timeout=900, slow=slow)


def py_data(directory):
    copy("py_json.py")(directory)
    with open(os.path.join(directory, "data.json"), "w") as f:
        f.write('{"b": [1, 2.5, null, "\\u00e9"], "a": {"x": true}}')
    os.utime(os.path.join(directory, "py_json.py"), (1600000000, 1600000000))


def perl(cases):
    cases.add("perl-script", ["perl", "script.pl", "one", "two"], setup=copy("script.pl"), status=11)
    cases.add("perl-one-liners", ["perl", "-e", "print join(',', map {$_*$_} 1..20), \"\\n\""],
              ["perl", "-e", "die \"oops\\n\""], ["perl", "-e", "exit 3"], ["perl", "-we", "print undef"],
              ["perl", "-MPOSIX", "-e", "print strftime('%F', gmtime(1e9)), floor(-2.5), \"\\n\""],
              ["perl", "-MDigest::SHA=sha256_hex", "-e", "print sha256_hex('x' x 1e6)"],
              ["perl", "-e", "$SIG{ALRM}=sub{print \"alarm\\n\"; exit}; alarm 1; sleep 10"])


def small(cases, Step):
    cases.add("lua", ["lua5.4", "script.lua", "arg"], ["lua5.4", "-e", "print(1<<62, 2^53, 7//2)"],
              ["lua5.4", "-e", "error('x')"], setup=copy("script.lua"), status=5)
    cases.add("luajit-jit", ["luajit", "script.lua", "arg"], ["luajit", "jit.lua"],
              ["luajit", "-joff", "jit.lua"], ["luajit", "-e", "print(jit.status())"],
              setup=copy("script.lua", "jit.lua"), status=5)
    cases.add("php", ["php", "-n", "script.php", "a"], ["php", "-r", "echo PHP_VERSION, PHP_EOL;"],
              ["php", "-r", "throw new Exception('x');"], ["php", "-l", "script.php"],
              setup=copy("script.php"), status=6)
    cases.add("ruby", ["ruby", "script.rb", "a"], ["ruby", "-e", "puts (1..50).reduce(:*)"],
              ["ruby", "-e", "exit 4"], ["ruby", "-rjson", "-e", "puts JSON.pretty_generate({a: [1, nil]})"],
              setup=copy("script.rb"), timeout=120, status=8)


SQL = """
CREATE TABLE t(id INTEGER PRIMARY KEY, k INTEGER, name TEXT, data BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO t SELECT i, (i * 7919) % 100003, 'name ' || (i * 31 % 9973),
  CAST(printf('%0200d', i) AS BLOB) FROM n;
CREATE INDEX tk ON t(k);
"""
QUERIES = """
.mode csv
SELECT count(*), sum(k), min(name), max(length(data)) FROM t;
SELECT name, count(*) c FROM t GROUP BY name ORDER BY c DESC, name LIMIT 20;
SELECT a.id, b.id FROM t a JOIN t b ON a.k = b.k AND a.id < b.id ORDER BY 1, 2 LIMIT 50;
SELECT * FROM t WHERE data LIKE '%19999%' LIMIT 3;
PRAGMA integrity_check;
"""
CHANGES = """
BEGIN; UPDATE t SET name = upper(name) WHERE id % 1000 = 0; DELETE FROM t WHERE k < 500; COMMIT;
CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f SELECT name FROM t WHERE id < 3000;
SELECT count(*) FROM f WHERE f MATCH 'name';
PRAGMA journal_mode=wal; UPDATE t SET k = k + 1 WHERE id < 1000; SELECT sum(k) FROM t;
SELECT json_extract('{"a": [1, 2, {"b": "c"}]}', '$.a[2].b'), round(sqrt(2), 10);
BEGIN; DELETE FROM t; ROLLBACK; SELECT count(*) FROM t; VACUUM; SELECT nope FROM t;
"""


def sqlite(cases, Step):
    def database(directory):
        subprocess.run(["sqlite3", os.path.join(directory, "big.db")], input=SQL.encode(), check=True)

    cases.add("sqlite3-50MB", Step("sqlite3", "big.db", stdin=QUERIES.encode()),
              Step("sqlite3", "-readonly", "big.db", "SELECT sum(length(data)) FROM t"),
              Step("sqlite3", "big.db", stdin=CHANGES.encode()), setup=database, timeout=200)
    cases.add("sqlite3-memory", Step("sqlite3", stdin=b"CREATE TABLE a(x); INSERT INTO a VALUES(1),(2);"
              b"SELECT sum(x), sqlite_version() FROM a;\n.dump\n.exit 3\n"),
              Step("sqlite3", "new.db", stdin=SQL.replace("200000", "3000").encode() + b".dump\n"), status=3)


def compilers(cases, Step):
    def setup(directory):
        copy("cc1-input.c")(directory)
        def tool(name):
            return subprocess.run(["gcc", "-print-prog-name=" + name], check=True,
                                  stdin=subprocess.DEVNULL, capture_output=True
                                  ).stdout.decode().strip()
        cc1, include = tool("cc1"), ["-imultiarch", "x86_64-linux-gnu"]
        return [Step(cc1, *include, "-quiet", "-O2", "-g", "cc1-input.c", "-o", "out.s"),
                Step(cc1, *include, "-quiet", "-O3", "-mavx2", "-fno-ident", "cc1-input.c", "-o", "-"),
                Step(cc1, *include, "-quiet", "-Wall", "-fsyntax-only", "absent.c"),
                Step(cc1, *include, "-E", "-quiet", "cc1-input.c", "-o", "out.i"),
                Step(tool("as"), "--64", "out.s", "-o", "out.o"),
                Step(tool("ld"), "-r", "out.o", "-o", "linked.o")]
    cases.add("gcc-cc1", setup=setup, timeout=120)


def openssl(cases, Step):
    def data(directory):
        with open(os.path.join(directory, "data"), "wb") as f:
            f.write(bytes(range(256)) * 20000)

    digests = [["openssl", "dgst", "-" + d, "data"] for d in (
        "md5", "sha1", "sha256", "sha512", "sha3-256", "blake2b512", "sm3")]
    ciphers = [["openssl", "enc", "-" + c, "-K", "00112233445566778899aabbccddeeff" * k, "-iv",
                "0102030405060708090a0b0c0d0e0f10", "-in", "data", "-out", c] for c, k in (
        ("aes-128-cbc", 1), ("aes-256-ctr", 2), ("chacha20", 2), ("camellia-256-cbc", 2))]
    cases.add("openssl", *digests, *ciphers, ["openssl", "genrsa", "-out", "/dev/null", "512"],
              ["openssl", "kdf", "-keylen", "32", "-kdfopt", "digest:SHA256", "-kdfopt", "pass:x",
               "-kdfopt", "salt:12345678", "-kdfopt", "iter:1000", "PBKDF2"],
              ["openssl", "prime", "-generate", "-bits", "0"], ["openssl", "nosuch"], setup=data)
    # The rates differ from run to run; that the vectorised code runs to its end does not.
    speed = [(rb"^Doing.*\n", b""), (rb"\b[\d.]+k?\b", b"N"), (rb"^.*(built on|options|compiler|CPUINFO).*\n", b"")]
    cases.add("openssl-speed", *[Step("openssl", "speed", "-seconds", "1", "-bytes", "1024",
              "-evp", name, mask=speed + [(rb"[ \t]+", b" ")]) for name in (
                  "sha256", "aes-256-gcm", "chacha20-poly1305")], slow=True)
