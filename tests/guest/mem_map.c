/* SPDX-License-Identifier: MIT */
/* Mappings large, far, shared and moved, seen from inside. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "mem_fault.h"

#define MIB (1ul << 20)

static void large_and_lazy(void)
{
	const size_t len = 300 * MIB;
	char *p = map(len, RW);

	CHECK(p != MAP_FAILED);
	for (size_t at = 0; at < len; at += MIB) {
		CHECK(p[at] == 0);
		p[at] = (char)(at / MIB);
	}
	for (size_t at = len; at; at -= MIB)
		CHECK(p[at - MIB] == (char)((at - MIB) / MIB));
	CHECK(!madvise(p, len, MADV_DONTNEED));
	CHECK(p[5 * MIB] == 0);
	CHECK(!munmap(p, len));
	CHECK(faults(p, READ, SIGSEGV, SEGV_MAPERR));
}

/* As V8 does it: terabytes reserved, little pieces used all over the place. */
static void far_and_wide(void)
{
	uint64_t at = 0x123456789000; /* far from the heap */
	char *p = mmap(NULL, 1ul << 40, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK(!mprotect(p + (1ul << 39), 16 * PAGE, RW));
	p[1ul << 39] = 7;
	CHECK(faults(p, READ, SIGSEGV, SEGV_ACCERR));
	CHECK(faults(p + (1ul << 39) + 16 * PAGE, WRITE, SIGSEGV, SEGV_ACCERR));
	CHECK(!munmap(p, 1ul << 40));
	for (int i = 0; i < 40; i++, at = at * 0x9e3779b97f4a7c15ul + 1) {
		void *hint = (void *)(at & 0x3fffffffffffull & ~(256 * 1024ul - 1));

		p = mmap(hint, 256 * 1024, RW, ANON, -1, 0);
		CHECK(p != MAP_FAILED);
		p[0] = p[256 * 1024 - 1] = (char)i;
	}
}

static void moved(void)
{
	char *p = map(16 * PAGE, RW), *q;

	for (size_t i = 0; i < 16; i++)
		p[i * PAGE] = (char)(i + 1);
	q = mremap(p, 16 * PAGE, 100 * MIB, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED);
	for (size_t i = 0; i < 16; i++)
		CHECK(q[i * PAGE] == (char)(i + 1));
	CHECK(q[99 * MIB] == 0);
	if (q != p)
		CHECK(faults(p, READ, SIGSEGV, SEGV_MAPERR));
	p = mremap(q, 100 * MIB, PAGE, 0);
	CHECK(p == q);
	CHECK(*p == 1);
	CHECK(faults(p + PAGE, READ, SIGSEGV, SEGV_MAPERR));
	p = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	q = mremap(p, 0, PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p);
	*p = 5;
	CHECK(*q == 5);
}

static void files(void)
{
	char path[] = "/tmp/mem_map.XXXXXX", *priv, *shared, byte;
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK(!unlink(path));
	CHECK(!ftruncate(fd, 4 * PAGE));
	priv = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0);
	shared = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
	shared[PAGE] = 9;
	CHECK(priv[PAGE] == 9);
	CHECK(pread(fd, &byte, 1, PAGE) == 1 && byte == 9);
	priv[PAGE] = 8;
	CHECK(shared[PAGE] == 9);
	CHECK(!madvise(priv, 4 * PAGE, MADV_DONTNEED));
	CHECK(priv[PAGE] == 9);
	CHECK(!ftruncate(fd, PAGE + 1));
	CHECK(priv[PAGE] == 0 || priv[PAGE] == 9);
	CHECK(faults(shared + 2 * PAGE, READ, SIGBUS, BUS_ADRERR));
	CHECK(faults(priv + 3 * PAGE, WRITE, SIGBUS, BUS_ADRERR));
	CHECK(!ftruncate(fd, 4 * PAGE));
	CHECK(shared[2 * PAGE] == 0);
	CHECK(!msync(shared, 4 * PAGE, MS_SYNC));
	close(fd);
}

/* Deeper than any step in which the stack may be grown. */
static int __attribute__((noinline)) deep(int n)
{
	volatile char block[3000];

	block[0] = (char)n;
	return n ? deep(n - 1) + block[0] - (char)n : 0;
}

static void heap(void)
{
	char *start = sbrk(0), *end;

	CHECK(sbrk(64 * (long)MIB) == start);
	end = sbrk(0);
	start[0] = end[-1] = 1;
	CHECK(sbrk(-64 * (long)MIB) == end);
}

static void advice_and_residence(void)
{
	char *p = map(4 * PAGE, RW);
	char *shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned char vec[4];

	p[PAGE] = 1;
	CHECK(!mincore(p, 4 * PAGE, vec));
	CHECK(vec[1] & 1);
	CHECK_ERR(mincore(p + 1, PAGE, vec), EINVAL);
	CHECK_ERR(mincore(p, PAGE, BAD_POINTER), EFAULT);
	CHECK(!mlock(p, PAGE));
	CHECK(!munlock(p, PAGE));
	CHECK_ERR(madvise(p, PAGE, 1000), EINVAL);
	CHECK(!madvise(p, PAGE, MADV_WIPEONFORK) && !madvise(p, 2 * PAGE, MADV_KEEPONFORK));
	CHECK(!madvise(p + PAGE, PAGE, MADV_WIPEONFORK) && p[PAGE] == 1);
	CHECK_ERR(madvise(shared, PAGE, MADV_WIPEONFORK), EINVAL);
	CHECK(!munmap(p + PAGE, PAGE));
	CHECK_ERR(mprotect(p, 4 * PAGE, PROT_READ), ENOMEM);
	CHECK_ERR(msync(p, 4 * PAGE, MS_ASYNC), ENOMEM);
	CHECK_ERR(madvise(p, 4 * PAGE, MADV_DONTNEED), ENOMEM);
	/* pages are wanted in order: the hole comes before what cannot be written */
	CHECK(!mprotect(p + 2 * PAGE, PAGE, PROT_WRITE));
	CHECK_ERR(madvise(p, 4 * PAGE, MADV_POPULATE_READ), ENOMEM);
	CHECK_ERR(madvise(p + 2 * PAGE, PAGE, MADV_POPULATE_READ), EINVAL);
	CHECK(!madvise(p + 2 * PAGE, PAGE, MADV_POPULATE_WRITE));
}

int main(void)
{
	catch_faults();
	large_and_lazy();
	far_and_wide();
	moved();
	files();
	CHECK(deep(2000) == 0);
	heap();
	advice_and_residence();
	return check_done();
}
