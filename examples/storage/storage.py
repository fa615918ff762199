"""A storage program for Python."""
import ctypes

library = ctypes.CDLL("libkvmserverguest.so", use_errno=True)
wait = library.kvmserverguest_storage_wait_paused
wait.restype = ctypes.c_ssize_t
wait.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_ssize_t]

count = answer = 0
at = ctypes.c_void_p()
while True:
    length = wait(ctypes.byref(at), answer)
    if length < 0:
        raise OSError(ctypes.get_errno(), "kvmserverguest_storage_wait_paused")
    buffer = (ctypes.c_char * length).from_address(at.value)
    count += 1
    buffer.value = b"Hello %s, number %d" % (buffer.value, count)
    answer = len(buffer.value)
