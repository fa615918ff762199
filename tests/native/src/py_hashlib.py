import hashlib
import hmac
import zlib
data = bytes(range(256)) * 4000
for name in sorted(hashlib.algorithms_guaranteed):
    h = hashlib.new(name, data)
    print(name, h.hexdigest(20) if name.startswith("shake") else h.hexdigest())
print(hmac.new(b"key", data, "sha512").hexdigest(), zlib.crc32(data))
print(hashlib.pbkdf2_hmac("sha256", b"p", b"s", 2000).hex())
print(hashlib.scrypt(b"p", salt=b"s", n=1024, r=8, p=1).hex())
