/* SPDX-License-Identifier: MIT */
/*
 * Images, forks and resets, trap by trap: what would bring frozen bytes back, what would let one
 * request's bytes survive, and what a reset must not cost.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>

#include "mm_fork_rig.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

struct fixture {
	struct tk_mm_image *image;
	struct tk_mm *mm;
	gva_t heap;	/* 600 pages, RW; 0 to 9 and 500 to 509 have content */
	gva_t code;	/* 8 pages, R-X, with content */
	gva_t hidden;	/* 8 pages, PROT_NONE, with content */
	gva_t file;	/* 8 pages of a file, RW, page 2 changed */
	gva_t text;	/* 8 pages of a file, R-X, page 5 changed */
	gva_t shared;	/* 8 pages of shared anonymous memory, 3 with content */
	gva_t reserved; /* 64 MiB, RW, never touched */
	gva_t brk;
	int fd;
};

static void poke(struct tk_mm *mm, gva_t addr, u8 value)
{
	assert_int_equal(tk_copy_out_force(mm, addr, &value, 1), 0);
}

static gva_t map_file(struct tk_mm *mm, struct tk_backing *backing, u64 prot, u64 flags)
{
	long addr = tk_mm_mmap(mm, 0, 8 * PAGE, prot, flags, backing, 0);

	assert_true(addr > 0);
	return (gva_t)addr;
}

static void furnish(struct fixture *f, struct tk_mm *mm)
{
	struct tk_backing *backing;

	f->heap = rig_map(mm, 600 * PAGE, RW);
	for (unsigned int i = 0; i < 10; i++) {
		poke(mm, f->heap + i * PAGE, (u8)(i + 1));
		poke(mm, f->heap + (500 + i) * PAGE, (u8)(i + 101));
	}
	f->code = rig_map(mm, 8 * PAGE, PROT_READ | PROT_EXEC);
	f->hidden = rig_map(mm, 8 * PAGE, RW);
	for (unsigned int i = 0; i < 8; i++) {
		poke(mm, f->code + i * PAGE, (u8)(i + 11));
		poke(mm, f->hidden + i * PAGE, (u8)(i + 21));
	}
	assert_int_equal(tk_mm_mprotect(mm, f->hidden, 8 * PAGE, PROT_NONE), 0);
	f->fd = rig_file(8);
	backing = rig_backing(f->fd, false);
	f->file = map_file(mm, backing, RW, MAP_PRIVATE);
	poke(mm, f->file + 2 * PAGE, 77);
	f->text = map_file(mm, backing, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	poke(mm, f->text + 5 * PAGE, 78);
	tk_backing_put(backing);
	f->shared = (gva_t)tk_mm_mmap(mm, 0, 8 * PAGE, RW, SHARED, NULL, 0);
	for (unsigned int i = 0; i < 3; i++)
		poke(mm, f->shared + i * PAGE, (u8)(i + 31));
	f->reserved = rig_map(mm, TK_MIB(64), RW);
	tk_mm_set_brk_start(mm, 0x10000000);
	f->brk = tk_mm_brk(mm, 0x10000000 + 3 * PAGE);
	poke(mm, 0x10000000, 55);
}

static int setup_with(void **state, const struct tk_mm_fork_options *opts)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct tk_mm *mm = rig_new(TK_GIB(1), 0, 1000);

	furnish(f, mm);
	f->image = rig_freeze(mm);
	f->mm = rig_fork_with(f->image, opts);
	rig_same(f->mm, mm);
	tk_mm_destroy(mm);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, &(struct tk_mm_fork_options){0});
}

static int setup_limited(void **state)
{
	return setup_with(state, &(struct tk_mm_fork_options){.max_memory = TK_MIB(4)});
}

static int setup_small_hot(void **state)
{
	return setup_with(state, &(struct tk_mm_fork_options){.max_hot = 16 * PAGE});
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_check(f->mm);
	tk_mm_destroy(f->mm);
	assert_int_equal(f->image->refs, 1);
	tk_mm_image_put(f->image);
	close(f->fd);
	free(f);
	return 0;
}

#define fork_test(f)	       cmocka_unit_test_setup_teardown(f, setup, teardown)
#define fork_test_with(f, how) cmocka_unit_test_setup_teardown(f, how, teardown)

static struct tk_mm_fork_usage usage(struct fixture *f)
{
	struct tk_mm_fork_usage usage;

	tk_mm_fork_usage(f->mm, &usage, false);
	return usage;
}

static void test_a_fork_reads_what_was_frozen(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rig_peek(f->mm, f->heap + 3 * PAGE), 4);
	assert_int_equal(rig_peek(f->mm, f->heap + 505 * PAGE), 106);
	assert_int_equal(rig_peek(f->mm, f->heap + 300 * PAGE), 0);
	assert_int_equal(rig_peek(f->mm, f->code + 2 * PAGE), 13);
	assert_int_equal(rig_peek(f->mm, f->file + 2 * PAGE), 77);
	assert_int_equal(rig_peek(f->mm, f->file + 3 * PAGE), 4);
	assert_int_equal(rig_peek(f->mm, f->text + 5 * PAGE), 78);
	assert_int_equal(rig_peek(f->mm, f->shared + 2 * PAGE), 33);
	assert_int_equal(rig_peek(f->mm, f->hidden), -1);
	assert_int_equal(tk_mm_mprotect(f->mm, f->hidden, 8 * PAGE, PROT_READ), 0);
	assert_int_equal(rig_peek(f->mm, f->hidden + PAGE), 22);
	rig_reset(f->mm);
	assert_int_equal(rig_peek(f->mm, f->hidden), -1);
}

static void test_forks_do_not_see_each_other(void **state)
{
	struct fixture *f = *state;
	struct tk_mm *other = rig_fork(f->image);
	const gva_t addrs[] = {f->heap, f->heap + 300 * PAGE, f->file, f->shared, f->reserved};

	for (unsigned int i = 0; i < TK_ARRAY_SIZE(addrs); i++) {
		int before = rig_peek(other, addrs[i]);

		assert_true(rig_poke(f->mm, addrs[i], 200));
		assert_int_equal(rig_peek(other, addrs[i]), before);
	}
	tk_mm_destroy(other);
	rig_reset(f->mm);
}

/* As in a child of fork(2), and so in every fork and after every reset. */
static void test_what_is_wiped_on_fork_is_not_frozen(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(1), 0, 1000), *fork;
	gva_t a = rig_map(mm, 8 * PAGE, RW), hidden = a + 6 * PAGE;
	struct tk_mm_image *image;

	for (unsigned int i = 0; i < 8; i++)
		poke(mm, a + i * PAGE, (u8)(i + 1));
	assert_int_equal(tk_mm_madvise(mm, a + 2 * PAGE, 6 * PAGE, MADV_WIPEONFORK), 0);
	assert_int_equal(tk_mm_madvise(mm, a + 4 * PAGE, PAGE, MADV_KEEPONFORK), 0);
	assert_int_equal(tk_mm_mprotect(mm, hidden, 2 * PAGE, PROT_NONE), 0);
	image = rig_freeze(mm);
	tk_mm_destroy(mm);
	fork = rig_fork(image);
	for (int round = 0; round < 3; round++) {
		static const int want[] = {1, 2, 0, 0, 5, 0};

		for (unsigned int i = 0; i < TK_ARRAY_SIZE(want); i++)
			assert_int_equal(rig_peek(fork, a + i * PAGE), want[i]);
		assert_true(rig_poke(fork, a + 3 * PAGE, 77));
		assert_int_equal(tk_mm_mprotect(fork, hidden, 2 * PAGE, RW), 0);
		assert_int_equal(rig_peek(fork, hidden + PAGE), 0);
		assert_true(rig_poke(fork, hidden, 78));
		assert_int_equal(
			tk_mm_madvise(fork, a, 8 * PAGE, round ? MADV_WIPEONFORK : MADV_KEEPONFORK),
			0);
		assert_int_equal(tk_mm_reset(fork), 0);
		rig_check(fork);
	}
	tk_mm_destroy(fork);
	tk_mm_image_put(image);
}

static void test_written_bytes_are_gone(void **state)
{
	struct fixture *f = *state;
	const gva_t addrs[] = {f->heap,
			       f->heap + 300 * PAGE,
			       f->heap + 599 * PAGE,
			       f->file + 2 * PAGE,
			       f->file + 4 * PAGE,
			       f->shared,
			       f->shared + 6 * PAGE,
			       f->reserved,
			       f->reserved + TK_MIB(50),
			       f->brk - PAGE};

	for (int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < TK_ARRAY_SIZE(addrs); i++)
			assert_true(rig_poke(f->mm, addrs[i], 200));
		rig_reset(f->mm);
	}
}

/* What the VMM writes through the pieces of tk_iov_map(), KVM never sees. */
static void test_bytes_written_by_host_calls_are_gone(void **state)
{
	struct fixture *f = *state;
	struct iovec iov[4];
	size_t mapped;
	int n = tk_iov_map(f->mm, f->heap + PAGE - 10, 20, TK_ACCESS_WRITE, iov, 4, &mapped);

	assert_true(n > 0);
	for (int i = 0; i < n; i++)
		memset(iov[i].iov_base, 99, iov[i].iov_len);
	tk_iov_wrote(f->mm, iov, n, mapped);
	rig_reset(f->mm);
	assert_int_equal(rig_peek(f->mm, f->heap + PAGE), 2);
}

static void test_futex_words_written_by_the_vmm_are_restored(void **state)
{
	struct fixture *f = *state;
	bool anon;
	u32 *word = tk_mm_word(f->mm, f->heap + 8, TK_ACCESS_WRITE, &anon);

	assert_non_null(word);
	*word = 12345;
	rig_reset(f->mm);
}

static void test_dontneed_gives_zeroes(void **state)
{
	static const int advices[] = {MADV_DONTNEED, MADV_FREE};
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(tk_mm_madvise(f->mm, f->heap, 600 * PAGE, advices[i]), 0);
		for (unsigned int page = 0; page < 600; page++)
			assert_int_equal(rig_peek(f->mm, f->heap + page * PAGE), 0);
		rig_reset(f->mm);
		assert_int_equal(rig_peek(f->mm, f->heap + 9 * PAGE), 10);
	}
}

static void test_dontneed_forgets_what_was_written_before(void **state)
{
	struct fixture *f = *state;

	assert_true(rig_poke(f->mm, f->heap + 5 * PAGE, 200));
	assert_true(rig_poke(f->mm, f->heap + 300 * PAGE, 201));
	assert_int_equal(tk_mm_madvise(f->mm, f->heap, 600 * PAGE, MADV_DONTNEED), 0);
	assert_int_equal(rig_peek(f->mm, f->heap + 5 * PAGE), 0);
	assert_int_equal(rig_peek(f->mm, f->heap + 300 * PAGE), 0);
	assert_true(rig_poke(f->mm, f->heap + 5 * PAGE, 202));
	rig_reset(f->mm);
}

static void test_dontneed_of_a_few_heap_pages_maps_nothing(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(tk_mm_madvise(f->mm, f->heap, 10 * PAGE, MADV_DONTNEED), 0);
		assert_int_equal(rig_peek(f->mm, f->heap + PAGE), 0);
		rig_reset(f->mm);
	}
	assert_int_equal(usage(f).restored_ranges, 0);
	assert_int_equal(usage(f).host_calls, 0);
}

static void test_dontneed_without_write_permission(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(tk_mm_madvise(f->mm, f->code, 8 * PAGE, MADV_DONTNEED), 0);
	assert_int_equal(rig_peek(f->mm, f->code + PAGE), 0);
	assert_int_equal(tk_mm_madvise(f->mm, f->hidden, 8 * PAGE, MADV_DONTNEED), 0);
	assert_int_equal(tk_mm_mprotect(f->mm, f->hidden, 8 * PAGE, PROT_READ), 0);
	assert_int_equal(rig_peek(f->mm, f->hidden), 0);
	rig_reset(f->mm);
}

static void test_dontneed_of_a_private_file_gives_the_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(tk_mm_madvise(f->mm, f->file, 8 * PAGE, MADV_DONTNEED), 0);
	assert_int_equal(rig_peek(f->mm, f->file + 2 * PAGE), 3);
	assert_int_equal(tk_mm_madvise(f->mm, f->text, 8 * PAGE, MADV_DONTNEED), 0);
	assert_int_equal(rig_peek(f->mm, f->text + 5 * PAGE), 6);
	rig_reset(f->mm);
	assert_int_equal(rig_peek(f->mm, f->file + 2 * PAGE), 77);
	assert_int_equal(rig_peek(f->mm, f->text + 5 * PAGE), 78);
}

static void test_remapped_addresses_give_zeroes(void **state)
{
	struct fixture *f = *state;
	const u64 flags = PRIVATE | MAP_FIXED;

	assert_int_equal(tk_mm_munmap(f->mm, f->heap, 20 * PAGE), 0);
	assert_int_equal(tk_mm_mmap(f->mm, f->heap, 20 * PAGE, RW, flags, NULL, 0), f->heap);
	assert_int_equal(rig_peek(f->mm, f->heap + PAGE), 0);
	assert_int_equal(tk_mm_mmap(f->mm, f->code, 2 * PAGE, RW, flags, NULL, 0), f->code);
	assert_int_equal(rig_peek(f->mm, f->code), 0);
	assert_true(rig_poke(f->mm, f->heap + PAGE, 200));
	rig_reset(f->mm);
	assert_int_equal(rig_peek(f->mm, f->heap + PAGE), 2);
}

static void test_brk_gives_zeroes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(tk_mm_brk(f->mm, 0x10000000), 0x10000000);
	assert_int_equal(tk_mm_brk(f->mm, f->brk + 50 * PAGE), f->brk + 50 * PAGE);
	assert_int_equal(rig_peek(f->mm, 0x10000000), 0);
	assert_true(rig_poke(f->mm, f->brk + 40 * PAGE, 200));
	rig_reset(f->mm);
	assert_int_equal(rig_peek(f->mm, 0x10000000), 55);
	assert_int_equal(tk_mm_brk(f->mm, 0), f->brk);
}

static void test_mremap_takes_the_bytes_along(void **state)
{
	struct fixture *f = *state;
	const gva_t to = 0x300000000000;
	long rc;

	assert_true(rig_poke(f->mm, f->heap + 4 * PAGE, 200));
	rc = tk_mm_mremap(f->mm, f->heap, 600 * PAGE, 700 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			  to);
	assert_int_equal(rc, to);
	assert_int_equal(rig_peek(f->mm, to + 3 * PAGE), 4);
	assert_int_equal(rig_peek(f->mm, to + 4 * PAGE), 200);
	assert_int_equal(rig_peek(f->mm, to + 505 * PAGE), 106);
	assert_int_equal(rig_peek(f->mm, to + 650 * PAGE), 0);
	assert_int_equal(rig_peek(f->mm, f->heap), -1);
	/* No frozen byte comes back at the new place. */
	assert_int_equal(tk_mm_madvise(f->mm, to, 600 * PAGE, MADV_DONTNEED), 0);
	assert_int_equal(rig_peek(f->mm, to + 3 * PAGE), 0);
	rig_reset(f->mm);
}

static void test_mremap_dontunmap_leaves_zeroes(void **state)
{
	const u64 flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
	struct fixture *f = *state;
	const gva_t to = 0x300000000000;

	assert_int_equal(tk_mm_mremap(f->mm, f->heap, 20 * PAGE, 20 * PAGE, flags, to), to);
	assert_int_equal(rig_peek(f->mm, to + 9 * PAGE), 10);
	assert_int_equal(rig_peek(f->mm, f->heap + 9 * PAGE), 0);
	assert_int_equal(tk_mm_mremap(f->mm, f->hidden, 8 * PAGE, 8 * PAGE, flags, to + TK_MIB(1)),
			 to + TK_MIB(1));
	assert_int_equal(tk_mm_mprotect(f->mm, to + TK_MIB(1), 8 * PAGE, PROT_READ), 0);
	assert_int_equal(rig_peek(f->mm, to + TK_MIB(1) + PAGE), 22);
	assert_int_equal(tk_mm_mremap(f->mm, f->file, 8 * PAGE, 8 * PAGE, flags, to + TK_MIB(2)),
			 to + TK_MIB(2));
	assert_int_equal(rig_peek(f->mm, to + TK_MIB(2) + 2 * PAGE), 77);
	assert_int_equal(rig_peek(f->mm, f->file + 2 * PAGE), 3);
	rig_reset(f->mm);
}

/* Written while writable, read-only again by the reset: no store can put it right. */
static void test_pages_that_were_writable_for_a_while(void **state)
{
	struct fixture *f = *state;
	const gva_t ranges[] = {f->code, f->hidden, f->text};

	for (unsigned int i = 0; i < TK_ARRAY_SIZE(ranges); i++) {
		assert_int_equal(tk_mm_mprotect(f->mm, ranges[i], 8 * PAGE, RW), 0);
		assert_true(rig_poke(f->mm, ranges[i] + PAGE, 200));
		assert_true(rig_poke(f->mm, ranges[i] + 5 * PAGE, 201));
	}
	assert_int_equal(tk_mm_mprotect(f->mm, f->code, 8 * PAGE, PROT_READ | PROT_EXEC), 0);
	rig_reset(f->mm);
	assert_int_equal(rig_peek(f->mm, f->code + PAGE), 12);
	assert_int_equal(rig_peek(f->mm, f->text + 5 * PAGE), 78);
	assert_int_equal(rig_peek(f->mm, f->text + PAGE), 2);
}

static void test_protections_come_back(void **state)
{
	struct fixture *f = *state;

	assert_true(rig_poke(f->mm, f->heap, 200));
	assert_int_equal(tk_mm_mprotect(f->mm, f->heap, 600 * PAGE, PROT_READ), 0);
	rig_reset(f->mm);
	assert_true(rig_poke(f->mm, f->heap, 200));
	rig_reset(f->mm);
}

static void test_shared_memory_outlives_its_mapping(void **state)
{
	struct fixture *f = *state;
	const u64 flags = PRIVATE | MAP_FIXED;

	assert_true(rig_poke(f->mm, f->shared + PAGE, 200));
	assert_true(rig_poke(f->mm, f->shared + 5 * PAGE, 201));
	assert_int_equal(tk_mm_munmap(f->mm, f->shared, 8 * PAGE), 0);
	assert_int_equal(tk_mm_mmap(f->mm, f->shared, 8 * PAGE, RW, flags, NULL, 0), f->shared);
	assert_true(rig_poke(f->mm, f->shared + 5 * PAGE, 202));
	assert_int_equal(tk_mm_madvise(f->mm, f->shared, 8 * PAGE, MADV_DONTNEED), 0);
	rig_reset(f->mm);
	assert_int_equal(rig_peek(f->mm, f->shared + PAGE), 32);
	assert_int_equal(rig_peek(f->mm, f->shared + 5 * PAGE), 0);
}

static void test_shared_memory_that_was_removed_comes_back(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(tk_mm_madvise(f->mm, f->shared, 8 * PAGE, MADV_REMOVE), 0);
	assert_int_equal(rig_peek(f->mm, f->shared + PAGE), 0);
	rig_reset(f->mm);
	assert_int_equal(rig_peek(f->mm, f->shared + PAGE), 32);
}

/* Beyond the end of the object; what lies there for a while is the request's own memory. */
static void test_shared_memory_shorter_than_its_mapping(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(1), 0, 1000), *fork;
	struct tk_mm_image *image;
	gva_t addr = (gva_t)tk_mm_mmap(mm, 0, 4 * PAGE, RW, SHARED, NULL, 0);
	const gva_t to = 0x300000000000;
	long rc = tk_mm_mremap(mm, addr, 4 * PAGE, 12 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);

	assert_int_equal(rc, to);
	assert_true(rig_poke(mm, to + PAGE, 7));
	assert_int_equal(rig_peek(mm, to + 8 * PAGE), -1);
	image = rig_freeze(mm);
	tk_mm_destroy(mm);
	fork = rig_fork(image);
	rc = tk_mm_mmap(fork, to + 2 * PAGE, 8 * PAGE, RW, PRIVATE | MAP_FIXED, NULL, 0);
	assert_int_equal(rc, to + 2 * PAGE);
	for (unsigned int i = 0; i < 10; i++)
		assert_true(rig_poke(fork, to + i * PAGE, 9));
	rig_reset(fork);
	assert_int_equal(rig_peek(fork, to + 8 * PAGE), -1);
	tk_mm_destroy(fork);
	tk_mm_image_put(image);
}

/* Pages of it would be written where nothing says which they are. */
static void test_a_second_mapping_of_shared_memory_ends_resets(void **state)
{
	struct fixture *f = *state;
	long rc = tk_mm_mremap(f->mm, f->shared, 0, 8 * PAGE, MREMAP_MAYMOVE, 0);

	assert_true(rc > 0);
	assert_int_equal(tk_mm_reset(f->mm), -ESTALE);
	assert_int_equal(tk_mm_reset(f->mm), -ESTALE);
}

static void test_stacks_shrink_again(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(1), 0, 1000), *fork;
	const gva_t top = 0x600000000000;
	struct tk_mm_image *image;
	long rc = tk_mm_mmap(mm, top - 4 * PAGE, 4 * PAGE, RW, PRIVATE | MAP_FIXED | MAP_GROWSDOWN,
			     NULL, 0);

	assert_int_equal(rc, top - 4 * PAGE);
	poke(mm, top - PAGE, 9);
	image = rig_freeze(mm);
	tk_mm_destroy(mm);
	fork = rig_fork(image);
	assert_true(rig_poke(fork, top - TK_KIB(200), 200));
	assert_int_equal(tk_mm_fault(fork, top - TK_KIB(400), WRITE_CODE), TK_FAULT_FIXED);
	rig_reset(fork);
	tk_mm_destroy(fork);
	tk_mm_image_put(image);
}

static void test_names_locks_and_limits_come_back(void **state)
{
	struct fixture *f = *state;

	tk_mm_set_name(f->mm, f->heap + 5 * PAGE, 3 * PAGE, "[mine]");
	assert_int_equal(tk_mm_mlock(f->mm, f->heap, 9 * PAGE, false), 0);
	assert_int_equal(tk_mm_mlockall(f->mm, MCL_FUTURE), 0);
	tk_mm_rlimits(f->mm)->stack = 1;
	rig_reset(f->mm);
	assert_int_equal(tk_mm_mlockall(f->mm, MCL_CURRENT | MCL_FUTURE), -ENOMEM);
	rig_reset(f->mm);
}

/* More changes than the journal has room for. */
static void test_any_number_of_changes(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 290; i++) {
		assert_int_equal(tk_mm_mprotect(f->mm, f->heap + i * 2 * PAGE, PAGE, PROT_READ), 0);
		assert_true(tk_mm_mmap(f->mm, 0x400000000000 + i * TK_KIB(64), PAGE, RW,
				       PRIVATE | MAP_FIXED, NULL, 0) > 0);
	}
	rig_reset(f->mm);
	assert_int_equal(f->mm->n_vmas, f->image->n_vmas);
}

/* A steady load costs a reset no host call at all, and the pages written are those copied. */
static void test_a_steady_load_is_only_copied(void **state)
{
	struct fixture *f = *state;
	struct tk_mm_fork_usage before, after;

	for (int round = 0; round < 20; round++) {
		before = usage(f);
		for (unsigned int i = 0; i < 50; i++)
			assert_true(rig_poke(f->mm, f->heap + i * PAGE, (u8)(150 + round)));
		assert_int_equal(tk_mm_reset(f->mm), 0);
		after = usage(f);
		assert_int_equal(after.host_calls, 0);
		assert_int_equal(after.hot_pages, 50);
		assert_int_equal(after.copied_pages - before.copied_pages, 50);
		assert_int_equal(after.equal_pages, before.equal_pages);
	}
	rig_reset(f->mm);
}

static u64 private_bytes(struct fixture *f)
{
	struct tk_mm_fork_usage usage;

	tk_mm_fork_usage(f->mm, &usage, true);
	return usage.private_bytes;
}

static void test_pages_grow_cold(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 50; i++)
		assert_true(rig_poke(f->mm, f->heap + i * PAGE, 200));
	assert_int_equal(tk_mm_reset(f->mm), 0);
	assert_int_equal(usage(f).hot_pages, 50);
	assert_true(private_bytes(f) >= 50 * PAGE);
	for (int i = 0; i < 100; i++) {
		assert_true(rig_poke(f->mm, f->heap, 200));
		assert_int_equal(tk_mm_reset(f->mm), 0);
	}
	assert_int_equal(usage(f).hot_pages, 1);
	assert_true(private_bytes(f) < 20 * PAGE);
	rig_reset(f->mm);
}

/* Written in every run, always with the frozen bytes: it must not come and go. */
static void test_pages_that_come_back_stay(void **state)
{
	struct fixture *f = *state;
	u64 calls;

	for (int i = 0; i < 200; i++) {
		assert_true(rig_poke(f->mm, f->heap, 1));
		assert_int_equal(tk_mm_reset(f->mm), 0);
	}
	calls = usage(f).host_calls;
	assert_int_equal(calls, 1);
	assert_int_equal(usage(f).hot_pages, 1);
	assert_int_equal(usage(f).copied_pages, 0);
}

/* Of the 50 pages that are written here. */
static unsigned int given_to_a_new_fork(struct fixture *f)
{
	struct tk_mm *mm = rig_fork(f->image), *kept = f->mm;
	u64 bytes;

	f->mm = mm;
	bytes = private_bytes(f);
	f->mm = kept;
	rig_check(mm);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(*rig_plain(mm, f->heap + i * PAGE), i + 1);
	assert_int_equal(*rig_plain(mm, f->heap + 49 * PAGE), 0);
	tk_mm_destroy(mm);
	return (unsigned int)(bytes / PAGE);
}

/* A new fork has its own copies of what others wrote in one request after the other. */
static void test_new_forks_begin_with_what_is_usual(void **state)
{
	struct fixture *f = *state;
	unsigned int none = given_to_a_new_fork(f);

	for (int round = 0; round < 8; round++) {
		assert_int_equal(given_to_a_new_fork(f), none);
		for (unsigned int i = 0; i < 50; i++)
			assert_true(rig_poke(f->mm, f->heap + i * PAGE, (u8)(150 + round)));
		assert_true(rig_poke(f->mm, f->heap + (u64)(100 + round) * PAGE, 1));
		assert_true(rig_poke(f->mm, f->shared, 200));
		assert_int_equal(tk_mm_reset(f->mm), 0);
	}
	assert_int_equal(given_to_a_new_fork(f), none + 50);
	/* not any more */
	for (int round = 0; round < 100; round++) {
		assert_true(rig_poke(f->mm, f->heap, 200));
		assert_int_equal(tk_mm_reset(f->mm), 0);
	}
	assert_int_equal(given_to_a_new_fork(f), none + 1);
	/* written with the frozen bytes, again and again: no reset copies it, but it is usual, too
	 */
	for (int round = 0; round < 100; round++) {
		assert_true(rig_poke(f->mm, f->heap, 200));
		assert_true(rig_poke(f->mm, f->heap + PAGE, 2));
		assert_int_equal(tk_mm_reset(f->mm), 0);
	}
	assert_int_equal(given_to_a_new_fork(f), none + 2);
	rig_reset(f->mm);
}

/* However many one fork writes. */
static void test_what_is_usual_is_bounded(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(1), 0, 1000);
	gva_t data = rig_map(mm, TK_MIB(12), RW);
	struct fixture f = {0};
	u64 bytes;

	for (u64 i = 0; i < TK_MIB(12); i += PAGE)
		poke(mm, data + i, 1);
	f.image = rig_freeze(mm);
	tk_mm_destroy(mm);
	f.mm = rig_fork(f.image);
	for (u8 round = 0; round < 9; round++) {
		for (u64 i = 0; i < TK_MIB(12); i += PAGE)
			assert_true(rig_poke(f.mm, data + i, 200));
		assert_int_equal(tk_mm_reset(f.mm), 0);
	}
	tk_mm_destroy(f.mm);
	f.mm = rig_fork(f.image);
	bytes = private_bytes(&f);
	assert_in_range(bytes / PAGE, 900, 1200);
	tk_mm_destroy(f.mm);
	tk_mm_image_put(f.image);
}

static void test_no_more_is_hot_than_allowed(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 600; i++)
			assert_true(rig_poke(f->mm, f->heap + i * PAGE, 200));
		rig_reset(f->mm);
		assert_true(usage(f).hot_pages <= 16);
		assert_true(private_bytes(f) <= 40 * PAGE);
	}
}

/* What one run fills, the next must not pay for; and it stays bounded. */
static void test_each_run_has_its_memory(void **state)
{
	struct fixture *f = *state;
	u64 filled;

	for (u64 run = 0; run < 12; run++) {
		filled = 0;
		for (u64 i = 0; i < TK_MIB(3); i += PAGE)
			filled += rig_poke(f->mm, f->reserved + run * TK_MIB(4) + i, 1);
		assert_int_equal(filled, TK_MIB(3) / PAGE);
		rig_reset(f->mm);
		assert_true(f->mm->charged <= f->image->charged + TK_MIB(2) / PAGE);
	}
	for (filled = 0; rig_poke(f->mm, f->reserved + filled * PAGE, 1); filled++)
		;
	assert_true(filled >= TK_MIB(3) / PAGE && filled <= TK_MIB(8) / PAGE);
	assert_true(tk_mm_over_limit(f->mm));
	rig_reset(f->mm);
}

/* The image's tables are frozen, too: none may show through when it is emptied and trimmed. */
static void test_emptied_tables_stay_empty(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(2), 0, 1000), *fork;
	struct tk_mm_image *image;
	gva_t base = 0x200000000000;

	for (unsigned int i = 0; i < 150; i++) {
		assert_true(tk_mm_mmap(mm, base + i * TK_MIB(2), PAGE, RW, PRIVATE | MAP_FIXED,
				       NULL, 0) > 0);
		poke(mm, base + i * TK_MIB(2), 7);
	}
	image = rig_freeze(mm);
	tk_mm_destroy(mm);
	fork = rig_fork(image);
	for (unsigned int i = 0; i < 150; i++)
		assert_int_equal(tk_mm_munmap(fork, base + i * TK_MIB(2), PAGE), 0);
	for (unsigned int i = 0; i < 150; i++)
		assert_int_equal(tk_pt_get(fork, base + i * TK_MIB(2)), 0);
	rig_reset(fork);
	tk_mm_destroy(fork);
	tk_mm_image_put(image);
}

/* The file is as it was frozen where the guest might have written, and the file elsewhere. */
static void test_files_that_change_later(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pwrite(f->fd, "!", 1, 3 * PAGE), 1);
	assert_int_equal(rig_peek(f->mm, f->file + 3 * PAGE), 4);
	assert_int_equal(rig_peek(f->mm, f->text + 3 * PAGE), '!');
	assert_int_equal(ftruncate(f->fd, 2 * PAGE), 0);
	tk_mm_drop_beyond_eof(f->mm, ~0ull);
	assert_int_equal(rig_peek(f->mm, f->text + 3 * PAGE), -1);
	assert_int_equal(rig_peek(f->mm, f->file + 3 * PAGE), 4);
	assert_int_equal(tk_mm_mprotect(f->mm, f->text, 8 * PAGE, RW), 0);
	assert_int_equal(tk_mm_madvise(f->mm, f->file, 8 * PAGE, MADV_DONTNEED), 0);
	(void)tk_mm_mremap(f->mm, f->text, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   0x300000000000);
	assert_int_equal(tk_mm_reset(f->mm), 0);
	assert_int_equal(rig_peek(f->mm, f->text + 5 * PAGE), 78);
}

static int make_memfd_fork(struct tk_mm_image **image, struct tk_mm **fork, gva_t *addr, int *own)
{
	struct tk_mm *mm = rig_new(TK_GIB(1), 0, 1000);
	int fd = rig_file(4);
	struct tk_backing *backing = rig_backing(fd, true);
	struct tk_mm_swap swap = {backing->host_dev, backing->host_ino, rig_file(4)};
	struct tk_mm_fork_options opts = {.swaps = &swap, .n_swaps = 1};

	*addr = (gva_t)tk_mm_mmap(mm, 0, 4 * PAGE, RW, MAP_SHARED, backing, 0);
	tk_backing_put(backing);
	*image = rig_freeze(mm);
	tk_mm_destroy(mm);
	*fork = rig_fork_with(*image, &opts);
	*own = swap.hostfd;
	return fd;
}

static void test_memfds_are_the_forks_own(void **state)
{
	struct tk_backing *again;
	struct tk_mm_image *image;
	struct tk_mm *fork;
	gva_t addr;
	u8 byte;
	int own, fd = make_memfd_fork(&image, &fork, &addr, &own);

	assert_true(rig_poke(fork, addr + PAGE, 200));
	assert_int_equal(pread(own, &byte, 1, PAGE), 1);
	assert_int_equal(byte, 200);
	assert_int_equal(pread(fd, &byte, 1, PAGE), 1);
	assert_int_equal(byte, 2);
	assert_int_equal(tk_mm_reset(fork), 0);
	assert_int_equal(rig_peek(fork, addr + PAGE), 2);
	assert_int_equal(pread(own, &byte, 1, PAGE), 1);
	assert_int_equal(byte, 2);
	/* Cut off: whoever owns the file has to put that right first. */
	assert_true(rig_poke(fork, addr + 2 * PAGE, 200));
	assert_int_equal(ftruncate(own, PAGE), 0);
	assert_int_equal(tk_mm_reset(fork), -ESTALE);
	tk_mm_destroy(fork);
	tk_mm_image_put(image);
	close(own);
	close(fd);

	fd = make_memfd_fork(&image, &fork, &addr, &own);
	again = rig_backing(own, true);
	assert_true(tk_mm_mmap(fork, 0, PAGE, RW, MAP_SHARED, again, 0) > 0);
	tk_backing_put(again);
	assert_int_equal(tk_mm_reset(fork), -ESTALE);
	tk_mm_destroy(fork);
	tk_mm_image_put(image);
	close(own);
	close(fd);
}

static void test_a_fork_cannot_be_frozen(void **state)
{
	struct fixture *f = *state;
	struct tk_mm_image *image = NULL;
	struct tkvm_error err;
	struct tk_mm *mm;

	assert_int_equal(tk_mm_freeze(f->mm, &image, &err), -EINVAL);
	assert_null(image);
	mm = rig_new(TK_GIB(1), 0, 10);
	assert_int_equal(tk_mm_reset(mm), -EINVAL);
	tk_mm_dirtied(mm, TK_GPA_MEMORY);
	tk_mm_destroy(mm);
}

static void test_dirty_entries_of_nothing_are_ignored(void **state)
{
	struct fixture *f = *state;

	tk_mm_dirtied(f->mm, 0);
	tk_mm_dirtied(f->mm, TK_GPA_MEMORY - 1);
	tk_mm_dirtied(f->mm, ~0ull);
	tk_mm_dirtied(f->mm, TK_GPA_MEMORY + TK_GIB(1));
	tk_mm_dirtied(f->mm, TK_GPA_MEMORY + TK_GIB(1) - PAGE); /* bound to nothing */
	rig_reset(f->mm);
}

static void *fork_and_reset(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < 20; i++) {
		struct tk_mm *mm = rig_fork(f->image);

		assert_true(rig_poke(mm, f->heap + (u64)i * PAGE, 200));
		assert_int_equal(tk_mm_madvise(mm, f->file, PAGE, MADV_DONTNEED), 0);
		assert_int_equal(tk_mm_reset(mm), 0);
		tk_mm_destroy(mm);
	}
	return NULL;
}

static void test_threads_fork_one_image(void **state)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fork_and_reset, *state), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static unsigned int host_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int n = 0;
	int c;

	while ((c = fgetc(maps)) != EOF)
		n += c == '\n';
	fclose(maps);
	return n;
}

static void test_nothing_grows_over_many_resets(void **state)
{
	struct fixture *f = *state;
	unsigned int fds = 0, maps = 0;
	u32 tables = 0;

	for (int i = 0; i < 300; i++) {
		gva_t addr = rig_map(f->mm, TK_MIB(6), RW);

		assert_true(rig_poke(f->mm, addr, 1));
		assert_int_equal(tk_mm_munmap(f->mm, f->heap + 20 * PAGE, 100 * PAGE), 0);
		assert_int_equal(tk_mm_mprotect(f->mm, f->code, PAGE, RW), 0);
		assert_int_equal(tk_mm_reset(f->mm), 0);
		if (i == 20) {
			fds = open_fds();
			maps = host_mappings();
			tables = f->mm->pool_used;
		}
	}
	assert_int_equal(open_fds(), fds);
	assert_true(host_mappings() <= maps);
	assert_int_equal(f->mm->pool_used, tables);
	rig_reset(f->mm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fork_test(test_a_fork_reads_what_was_frozen),
		fork_test(test_forks_do_not_see_each_other),
		cmocka_unit_test(test_what_is_wiped_on_fork_is_not_frozen),
		fork_test(test_written_bytes_are_gone),
		fork_test(test_bytes_written_by_host_calls_are_gone),
		fork_test(test_futex_words_written_by_the_vmm_are_restored),
		fork_test(test_dontneed_gives_zeroes),
		fork_test(test_dontneed_forgets_what_was_written_before),
		fork_test(test_dontneed_of_a_few_heap_pages_maps_nothing),
		fork_test(test_dontneed_without_write_permission),
		fork_test(test_dontneed_of_a_private_file_gives_the_file),
		fork_test(test_remapped_addresses_give_zeroes),
		fork_test(test_brk_gives_zeroes),
		fork_test(test_mremap_takes_the_bytes_along),
		fork_test(test_mremap_dontunmap_leaves_zeroes),
		fork_test(test_pages_that_were_writable_for_a_while),
		fork_test(test_protections_come_back),
		fork_test(test_shared_memory_outlives_its_mapping),
		fork_test(test_shared_memory_that_was_removed_comes_back),
		cmocka_unit_test(test_shared_memory_shorter_than_its_mapping),
		fork_test(test_a_second_mapping_of_shared_memory_ends_resets),
		cmocka_unit_test(test_stacks_shrink_again),
		fork_test(test_names_locks_and_limits_come_back),
		fork_test(test_any_number_of_changes),
		fork_test(test_a_steady_load_is_only_copied),
		fork_test(test_pages_grow_cold),
		fork_test(test_pages_that_come_back_stay),
		fork_test(test_new_forks_begin_with_what_is_usual),
		cmocka_unit_test(test_what_is_usual_is_bounded),
		fork_test_with(test_no_more_is_hot_than_allowed, setup_small_hot),
		fork_test_with(test_each_run_has_its_memory, setup_limited),
		cmocka_unit_test(test_emptied_tables_stay_empty),
		fork_test(test_files_that_change_later),
		cmocka_unit_test(test_memfds_are_the_forks_own),
		fork_test(test_a_fork_cannot_be_frozen),
		fork_test(test_dirty_entries_of_nothing_are_ignored),
		fork_test(test_threads_fork_one_image),
		fork_test(test_nothing_grows_over_many_resets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
