/* SPDX-License-Identifier: MIT */
/*
 * Freezing, forking, a request and its reset with the n-th host call or allocation failing, for
 * all n. Freezing and forking fail cleanly and can be tried again; a reset, its own calls failing
 * or those of the request before it, succeeds entirely or says that the fork is stale. The linker
 * puts the calls through here, by the names that they have with 64-bit file offsets.
 */
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "failing.h"
#include "mm_fork_rig.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

WRAP_ALLOC(malloc, (size_t n), n)
WRAP_ALLOC(calloc, (size_t n, size_t size), n, size)
WRAP_ALLOC(reallocarray, (void *p, size_t n, size_t size), p, n, size)
WRAP_ALLOC(aligned_alloc, (size_t align, size_t n), align, n)
WRAP_MAP(mmap64, (void *addr, size_t len, int prot, int flags, int fd, off_t at), addr, len, prot,
	 flags, fd, at)
WRAP_MAP(mremap, (void *addr, size_t old, size_t new, int flags, void *to), addr, old, new, flags,
	 to)
WRAP_CALL(open64, (const char *path, int flags, mode_t mode), path, flags, mode)
WRAP_CALL(mprotect, (void *addr, size_t len, int prot), addr, len, prot)
WRAP_CALL(madvise, (void *addr, size_t len, int advice), addr, len, advice)
WRAP_CALL(fcntl64, (int fd, int cmd, long arg), fd, cmd, arg)
WRAP_CALL(fstat64, (int fd, struct stat *st), fd, st)
WRAP_CALL(ftruncate64, (int fd, off_t len), fd, len)
WRAP_CALL(memfd_create, (const char *name, unsigned int flags), name, flags)
WRAP(ssize_t, -1, pread64, (int fd, void *buf, size_t n, off_t at), fd, buf, n, at)
WRAP(ssize_t, -1, pwrite64, (int fd, const void *buf, size_t n, off_t at), fd, buf, n, at)

#define BASE 0x200000000000ull

static void poke(struct tk_mm *mm, gva_t addr, u8 value)
{
	assert_int_equal(tk_copy_out_force(mm, addr, &value, 1), 0);
}

static gva_t map_at(struct tk_mm *mm, u64 page, u64 pages, u64 prot, u64 flags,
		    struct tk_backing *backing)
{
	long rc = tk_mm_mmap(mm, BASE + page * PAGE, pages * PAGE, prot, flags | MAP_FIXED, backing,
			     0);

	assert_int_equal(rc, BASE + page * PAGE);
	return (gva_t)rc;
}

static struct tk_mm *new_master(void)
{
	struct tk_mm *mm = rig_new(TK_GIB(1), 0, 1000);
	int fd = rig_file(8);
	struct tk_backing *backing = rig_backing(fd, false);

	close(fd);
	map_at(mm, 0, 100, RW, PRIVATE, NULL);
	map_at(mm, 200, 8, RW, MAP_PRIVATE, backing);
	map_at(mm, 300, 8, PROT_READ | PROT_EXEC, MAP_PRIVATE, backing);
	map_at(mm, 400, 8, RW, SHARED, NULL);
	map_at(mm, 500, 8, RW, PRIVATE, NULL);
	tk_backing_put(backing);
	for (unsigned int i = 0; i < 8; i++) {
		poke(mm, BASE + i * PAGE, (u8)(i + 1));
		poke(mm, BASE + (400 + i) * PAGE, (u8)(i + 1));
		poke(mm, BASE + (500 + i) * PAGE, (u8)(i + 1));
	}
	poke(mm, BASE + 302 * PAGE, 99);
	assert_int_equal(tk_mm_mprotect(mm, BASE + 500 * PAGE, 8 * PAGE, PROT_NONE), 0);
	return mm;
}

static void write_if_possible(struct tk_mm *mm, gva_t addr, u64 len)
{
	u8 bytes[64];

	memset(bytes, 77, sizeof(bytes));
	for (u64 at = 0; at < len; at += PAGE)
		if (tk_copy_out(mm, addr + at, bytes, sizeof(bytes)))
			return;
}

/* Something of everything; what fails has failed. */
static void request(struct tk_mm *mm)
{
	long rc;

	write_if_possible(mm, BASE, 50 * PAGE);
	rc = tk_mm_madvise(mm, BASE, 20 * PAGE, MADV_DONTNEED);
	rc |= tk_mm_madvise(mm, BASE + 200 * PAGE, 4 * PAGE, MADV_DONTNEED);
	rc |= tk_mm_mprotect(mm, BASE + 300 * PAGE, 8 * PAGE, RW);
	write_if_possible(mm, BASE + 300 * PAGE, 8 * PAGE);
	write_if_possible(mm, BASE + 400 * PAGE, 8 * PAGE);
	rc |= tk_mm_munmap(mm, BASE + 60 * PAGE, 10 * PAGE);
	rc |= tk_mm_mmap(mm, BASE + 2000 * PAGE, 20 * PAGE, RW, PRIVATE | MAP_FIXED, NULL, 0);
	write_if_possible(mm, BASE + 2000 * PAGE, 20 * PAGE);
	rc |= tk_mm_mremap(mm, BASE + 10 * PAGE, 30 * PAGE, 40 * PAGE,
			   MREMAP_MAYMOVE | MREMAP_FIXED, BASE + 3000 * PAGE);
	rc |= tk_mm_mremap(mm, BASE + 500 * PAGE, 4 * PAGE, 4 * PAGE,
			   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, BASE + 3100 * PAGE);
	rc |= tk_mm_mmap(mm, BASE + 5000 * PAGE, 8 * PAGE, RW, SHARED | MAP_FIXED, NULL, 0);
	write_if_possible(mm, BASE + 5000 * PAGE, 8 * PAGE);
	(void)rc;
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 200; fd++)
		n += fcntl(fd, F_GETFD, 0) >= 0;
	return n;
}

static void start_counting(int n)
{
	countdown = n;
	injected = 0;
	counting = true;
}

static void test_freezing(void **state)
{
	struct tk_mm_image *image = NULL;
	struct tk_mm *mm, *fork;
	struct tkvm_error err;
	unsigned int fds = 0;
	int rc = -1;

	for (int n = 0; rc; n++) {
		mm = new_master();
		fds = open_fds();
		start_counting(n);
		rc = tk_mm_freeze(mm, &image, &err);
		counting = false;
		if (rc) {
			assert_int_equal(injected, 1);
			assert_true(rc < 0 && err.message[0]);
			assert_int_equal(open_fds(), fds);
			rc = -1;
			image = rig_freeze(mm);
		} else if (injected) {
			rc = -1; /* one that does not matter */
		}
		fork = rig_fork(image);
		rig_same(fork, mm);
		tk_mm_destroy(fork);
		tk_mm_destroy(mm);
		tk_mm_image_put(image);
	}
}

static void test_forking(void **state)
{
	const struct tk_mm_fork_options opts = {0};
	struct tk_mm *master = new_master(), *fork;
	struct tk_mm_image *image = rig_freeze(master);
	unsigned int fds = open_fds();
	struct tkvm_error err;
	int rc = -1;

	for (int n = 0; rc; n++) {
		start_counting(n);
		rc = tk_mm_fork(&fork, image, &opts, &err);
		counting = false;
		if (rc) {
			assert_int_equal(injected, 1);
			assert_true(rc < 0 && err.message[0]);
			assert_int_equal(open_fds(), fds);
			assert_int_equal(image->refs, 1);
			continue;
		}
		rig_same(fork, master);
		tk_mm_destroy(fork);
		rc = injected;
	}
	tk_mm_destroy(master);
	tk_mm_image_put(image);
}

/* One failure in the @n-th call of a request and (or) its reset. False: there was none. */
static bool fail_and_reset(struct tk_mm_image *image, int n, bool in_request, bool in_reset)
{
	struct tk_mm *fork = rig_fork(image);
	bool failed;
	int rc;

	start_counting(n);
	counting = in_request;
	request(fork);
	counting = in_reset;
	rc = tk_mm_reset(fork);
	counting = false;
	failed = injected;
	if (!rc)
		rig_reset(fork);
	else
		assert_int_equal(rc, -ESTALE);
	tk_mm_destroy(fork);
	return failed;
}

static void test_requests(void **state)
{
	struct tk_mm *master = new_master();
	struct tk_mm_image *image = rig_freeze(master);

	tk_mm_destroy(master);
	for (int n = 0; fail_and_reset(image, n, true, false); n++)
		;
	tk_mm_image_put(image);
}

static void test_resets(void **state)
{
	struct tk_mm *master = new_master();
	struct tk_mm_image *image = rig_freeze(master);

	tk_mm_destroy(master);
	for (int n = 0; fail_and_reset(image, n, false, true); n++)
		;
	tk_mm_image_put(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_freezing),
		cmocka_unit_test(test_forking),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_resets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
