import mmap
import os
m = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m[::1 << 20] = bytes(range(64))
print(sum(m[::1 << 20]))
m.madvise(mmap.MADV_DONTNEED, 0, 1 << 20)
print(m[0], m[1 << 20])
m.resize(128 << 20)
print(len(m), m[5 << 20], m[100 << 20])
m.close()
with open("f", "wb+") as f:
    f.write(b"x" * 10000)
    f.flush()
    with mmap.mmap(f.fileno(), 0) as s, mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE) as p:
        s[9999] = ord("y")
        p[0] = ord("z")
        print(p[9999], s[0], p[0])
        s.resize(20000)
        print(len(s), os.fstat(f.fileno()).st_size, s.rfind(b"y"))
a = mmap.mmap(-1, 4096, prot=mmap.PROT_READ)
try:
    a[0] = 1
except TypeError as e:
    print(e)
