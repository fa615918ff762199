import ctypes
import ctypes.util
libc = ctypes.CDLL("libc.so.6", use_errno=True)
libm = ctypes.CDLL("libm.so.6")
libm.cbrt.restype, libm.cbrt.argtypes = ctypes.c_double, [ctypes.c_double]
print(libm.cbrt(27.0), libc.abs(-5), libc.strtol(b"7f", None, 16))
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
a = (ctypes.c_int * 200)(*[i * 7919 % 211 for i in range(200)])
libc.qsort(a, 200, 4, COMPARE(lambda x, y: x[0] - y[0]))
print(list(a)[:20])


class S(ctypes.Structure):
    _fields_ = [("a", ctypes.c_uint8, 3), ("b", ctypes.c_uint16), ("c", ctypes.c_double)]


print(ctypes.sizeof(S), bytes(S(5, 300, 1.5)).hex(), S.c.offset)
print(libc.open(b"/absent", 0), ctypes.get_errno())
buf = ctypes.create_string_buffer(50)
libc.snprintf(buf, 50, b"%d %s %.3f", 42, b"text", ctypes.c_double(2.5))
print(buf.value)
