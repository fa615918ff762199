"""Signals of a single-threaded program."""
import os
import signal
import time
got = []
for s in (signal.SIGUSR1, signal.SIGALRM, signal.SIGTERM):
    signal.signal(s, lambda n, f: got.append(n))
os.kill(os.getpid(), signal.SIGUSR1)
print(got)
signal.setitimer(signal.ITIMER_REAL, 0.02)
time.sleep(0.2)
print(got)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
signal.raise_signal(signal.SIGTERM)
print(got, signal.sigpending())
print(signal.sigwait([signal.SIGTERM]))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
signal.setitimer(signal.ITIMER_VIRTUAL, 0)
n = 0
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while len(got) < 6:
    n += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(got)
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)
except KeyboardInterrupt:
    print("interrupted")
print(signal.strsignal(11), signal.getsignal(signal.SIGCHLD))
signal.signal(signal.SIGTERM, signal.SIG_DFL)
print("ending", flush=True)
os.kill(os.getpid(), signal.SIGTERM)
