"""Files and directories as a script uses them."""
import errno
import fcntl
import glob
import mmap
import os
import shutil
import stat
import tempfile
os.umask(0o022)
os.makedirs("a/b/c")
for i in range(50):
    with open("a/b/f%02d" % i, "w") as f:
        f.write("x" * i)
print(sorted(glob.glob("a/**/*4*", recursive=True)), sum(e.stat().st_size for e in os.scandir("a/b")))
shutil.copytree("a", "copy")
os.rename("copy/b/f00", "copy/first")
os.symlink("b/f01", "copy/link")
os.link("copy/first", "copy/second")
print(os.readlink("copy/link"), os.stat("copy/second").st_nlink, stat.filemode(os.lstat("copy/link").st_mode))
for call in (lambda: os.open("copy", os.O_WRONLY), lambda: os.mkdir("a"), lambda: os.rmdir("a"),
             lambda: os.unlink("a"), lambda: os.open("copy/link/x", 0), lambda: os.stat("x" * 300),
             lambda: os.rename("a", "a/b/c/d"), lambda: os.open("no", os.O_CREAT | os.O_DIRECTORY),
             lambda: os.readlink("a"), lambda: os.truncate("a", 0), lambda: os.listdir("copy/first")):
    try:
        call()
        print("no error")
    except OSError as e:
        print(errno.errorcode[e.errno], e)
fd = os.open("data", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
os.pwrite(fd, b"hello", 1 << 20)
os.posix_fallocate(fd, 0, 4096)
print(os.fstat(fd).st_size, os.lseek(fd, 0, os.SEEK_HOLE), os.pread(fd, 5, 1 << 20), os.readv(fd, [bytearray(4)]))
m = mmap.mmap(fd, 0)
m[0:4] = b"mmap"
m.flush()
print(os.pread(fd, 4, 0), m.find(b"hello"))
m.close()
fcntl.flock(fd, fcntl.LOCK_EX)
fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10)
print(os.get_blocking(fd), fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE)
os.utime("data", ns=(10 ** 18 + 5, 10 ** 18 + 7))
print(os.stat("data").st_mtime_ns, os.access("data", os.X_OK), oct(os.stat("data").st_mode))
os.chmod("data", 0o4711)
d = os.open("a", os.O_RDONLY)
print(sorted(os.listdir(d)), os.stat("b/f10", dir_fd=d).st_size)
os.mkdir("new", dir_fd=d)
os.chdir("a/b")
print(os.path.relpath(os.getcwd(), ".."), os.path.exists("f49"))
os.fchdir(d)
with tempfile.TemporaryDirectory(dir=".") as t:
    with tempfile.TemporaryFile(dir=t) as f:
        f.write(b"gone")
        f.seek(0)
        print(f.read())
print(sorted(os.listdir(".")), len(os.listdir("/proc/self/fd")) > 3)
r, w = os.pipe2(os.O_NONBLOCK)
try:
    os.read(r, 1)
except BlockingIOError as e:
    print(e)
print(os.sendfile(w, os.open("b/f30", 0), 0, 100), os.read(r, 100))
os.close(r)
try:
    os.write(w, b"x")
except BrokenPipeError as e:
    print(e)
shutil.rmtree("../copy")
