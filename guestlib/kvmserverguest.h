/* SPDX-License-Identifier: MIT */
/*
 * libkvmserverguest.so: what a program in a kvmserver machine can ask of kvmserver. The library is
 * there in every machine, without being on the host's disk: dlopen("libkvmserverguest.so"), or
 * link with -lkvmserverguest. It needs no C library.
 *
 * Errors: -1, with errno set if the program has a C library (the library finds it by
 * __errno_location). Outside of a machine: -1, ENOSYS.
 */
#ifndef KVMSERVERGUEST_H
#define KVMSERVERGUEST_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * In the program of run: resume the storage program with @len bytes at @buf, and return what it
 * passes to its next kvmserverguest_storage_wait_paused(). It reads and writes the buffer
 * itself, and can do so only until this returns. Pages are the grain of this: what else is in the
 * buffer's first and last page is seen, too. @len 0: no buffer.
 *
 * -1 is also what a storage program may pass; errno is then as it was.
 *   ENOSYS     this program has no storage program
 *   EFAULT     some of the buffer is not there, cannot be written, or is a shared mapping of a file
 *   E2BIG      it is longer than 64 MiB
 *   EAGAIN     the storage program is not there now: it has ended, and is being started again
 *   EIO        it ended during the call
 *   ETIMEDOUT  it took too long, and was ended; or this request's time was over before its turn
 *   EINTR      this request was ended before its turn
 *   ENOMEM     no memory for it
 */
ssize_t kvmserverguest_remote_resume(void *buf, ssize_t len);

/*
 * In the storage program: answer the call before, if there is one, with @ret, and wait for the
 * next. Returns its buffer's length and stores in *@buf where it is: memory of the caller's, to be
 * used until this function is called again (afterwards it is SIGSEGV, and EFAULT for system
 * calls). NULL and 0: it has no buffer. Other threads of the program go on running.
 *   ENOSYS  this is no storage program
 *   EBUSY   another thread waits already
 *   EFAULT  @buf
 */
ssize_t kvmserverguest_storage_wait_paused(void **buf, ssize_t ret);

/*
 * A number above zero that is another one in each request, and otherwise stays as it is. A program
 * that kept the last one and sees another has been copied since: it is time to seed its random
 * number generators anew.
 */
long kvmserverguest_generation(void);

#ifdef __cplusplus
}
#endif
#endif
