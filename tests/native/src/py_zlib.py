import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
data = open(zipfile.__file__, "rb").read() * 4
for level in (0, 1, 6, 9):
    z = zlib.compress(data, level)
    assert zlib.decompress(z) == data
    print(level, len(z), zlib.adler32(z))
print(len(bz2.compress(data)), len(lzma.compress(data, preset=2)), len(gzip.compress(data, mtime=0)))
with zipfile.ZipFile("x.zip", "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr(zipfile.ZipInfo("name", (2020, 1, 1, 0, 0, 0)), data)
print(zipfile.ZipFile("x.zip").testzip(), zipfile.ZipFile("x.zip").getinfo("name").CRC)
with tarfile.open("x.tar.xz", "w:xz") as t:
    info = tarfile.TarInfo("f")
    info.size = len(data)
    t.addfile(info, io.BytesIO(data))
print(tarfile.open("x.tar.xz").getnames())
