import array, ast, base64, bisect, calendar, collections, colorsys, configparser, contextlib, copy
import csv, datetime, difflib, dis, email.message, enum, fnmatch, functools, gc, heapq, html, inspect
import io, itertools, locale, logging, operator, os, pathlib, pickle, platform, pprint, queue, random
import sched, secrets, shlex, statistics, string, struct, sys, textwrap, time, timeit, tokenize
import traceback, types, unicodedata, urllib.parse, uuid, weakref, xml.etree.ElementTree as ET
import resource, pwd, grp, getpass
r = random.Random(42)
print([r.randrange(100) for _ in range(10)], r.gauss(0, 1), r.sample(range(1000), 5))
print(statistics.stdev([r.random() for _ in range(1000)]), uuid.uuid5(uuid.NAMESPACE_DNS, "x"))
print(datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc).isoformat(), calendar.month(2024, 2))
print(difflib.unified_diff("abc", "abd").__next__(), unicodedata.name("é"), html.escape("<&>"))
print(ET.tostring(ET.fromstring("<a><b x='1'>t</b></a>")), urllib.parse.quote("a b/é?"))
print(pickle.loads(pickle.dumps({"a": [1, (2,), {3}]})), heapq.nsmallest(3, [5, 2, 9, 1]))
print(textwrap.fill("the quick brown fox " * 5, 30), struct.pack("<IhQ", 1, -2, 3).hex())
t0, p0, m0 = time.time(), time.perf_counter(), time.monotonic()
time.sleep(0.02)
assert 0.02 <= time.monotonic() - m0 < 5 and 0.02 <= time.perf_counter() - p0 < 5 and time.time() > t0
assert time.process_time() > 0 and time.thread_time() > 0 and time.clock_getres(time.CLOCK_REALTIME) > 0
print(platform.machine(), platform.system(), os.cpu_count() >= 1, sys.maxsize, sys.byteorder)
print(os.getppid() > 0, os.getpid() > 1, os.getuid(), os.getgroups() is not None, pwd.getpwuid(os.getuid()).pw_name)
print(resource.getrlimit(resource.RLIMIT_CORE)[0] in (0, -1) or "other", resource.getrusage(0).ru_maxrss > 0)
print(len(os.urandom(100000)), len(os.getrandom(300)), secrets.token_hex(4) != secrets.token_hex(4))
print(ast.dump(ast.parse("a = b + 1")), dis.Bytecode(lambda x: x + 1).dis().count("\n") > 3)
q = queue.Queue()
q.put(1)
print(q.get(), functools.reduce(operator.mul, range(1, 20)), list(itertools.permutations("abc"))[3])
x = [bytearray(1 << 20) for _ in range(64)]
for b in x:
    b[::4096] = b"x" * 256
print(sum(sum(b[::4096]) for b in x), gc.collect() >= 0)
del x
sys.setrecursionlimit(20000)


def deep(n):
    return n and 1 + deep(n - 1)


print(deep(15000))
try:
    [].pop()
except IndexError:
    traceback.print_exc()
logging.warning("to stderr")
print("done", file=sys.stderr)
sys.exit(7)
