/* SPDX-License-Identifier: MIT */
/* The VMM's own access to guest memory: every bad pointer, and files that shrink meanwhile. */
#include <limits.h>
#include <stdlib.h>

#include "mm_rig.h"

static void test_bad_addresses_are_efault(void **state)
{
	static const gva_t bad[] = {0,
				    0x1000,
				    TK_USER_TOP,
				    TK_USER_TOP - 1,
				    0x7fffffffffff,
				    0x800000000000,
				    0xffff800000000000,
				    ~0ull,
				    ~0ull - 7};
	static const u64 lengths[] = {1, 8, PAGE, TK_GIB(1), 1ull << 47, 1ull << 63, ~0ull};
	struct tk_mm *mm = *state;
	struct iovec iov[4];
	size_t mapped;
	bool anon;
	u8 byte;

	for (size_t i = 0; i < TK_ARRAY_SIZE(bad); i++) {
		assert_int_equal(tk_copy_in(mm, &byte, bad[i], 1), -EFAULT);
		assert_int_equal(tk_copy_out(mm, bad[i], &byte, 1), -EFAULT);
		assert_int_equal(tk_copy_str(mm, (char *)&byte, bad[i], 1), -EFAULT);
		assert_null(tk_mm_word(mm, bad[i], TK_ACCESS_READ, &anon));
		for (size_t j = 0; j < TK_ARRAY_SIZE(lengths); j++) {
			assert_int_equal(tk_zero_out(mm, bad[i], lengths[j]), -EFAULT);
			assert_int_equal(tk_iov_map(mm, bad[i], lengths[j], TK_ACCESS_WRITE, iov, 4,
						    &mapped),
					 -EFAULT);
			assert_int_equal(mapped, 0);
		}
		assert_int_equal(tk_copy_in(mm, &byte, bad[i], 0), 0);
	}
}

static void test_permissions_are_those_of_the_vma(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, 3 * PAGE, RW);
	char buf[2 * TK_PAGE_SIZE];

	assert_int_equal(tk_mm_mprotect(mm, a + PAGE, PAGE, PROT_READ), 0);
	assert_int_equal(tk_mm_mprotect(mm, a + 2 * PAGE, PAGE, PROT_NONE), 0);
	assert_int_equal(tk_copy_in(mm, buf, a + 1, 2 * PAGE - 1), 0);
	assert_int_equal(tk_copy_in(mm, buf, a + 1, 2 * PAGE), -EFAULT);
	assert_int_equal(tk_copy_out(mm, a, buf, PAGE), 0);
	assert_int_equal(tk_copy_out(mm, a, buf, PAGE + 1), -EFAULT);
	assert_int_equal(tk_copy_out_force(mm, a, buf, 2 * PAGE), 0);
	assert_int_equal(tk_mm_mprotect(mm, a, PAGE, PROT_WRITE), 0); /* x86 can read it */
	assert_int_equal(tk_copy_in(mm, buf, a, PAGE), 0);
	assert_int_equal(tk_mm_mprotect(mm, a, PAGE, PROT_EXEC), 0);
	assert_int_equal(tk_copy_in(mm, buf, a, PAGE), 0);
}

static void test_strings(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, 2 * PAGE, RW);
	char buf[2 * TK_PAGE_SIZE + 1];

	assert_int_equal(tk_mm_munmap(mm, a + 2 * PAGE, PAGE), 0);
	assert_int_equal(tk_copy_out(mm, a + PAGE - 3, "abcdef", 7), 0);
	assert_int_equal(tk_copy_str(mm, buf, a + PAGE - 3, 7), 6);
	assert_string_equal(buf, "abcdef");
	assert_int_equal(tk_copy_str(mm, buf, a + PAGE - 3, 6), -ENAMETOOLONG);
	assert_int_equal(tk_copy_str(mm, buf, a + PAGE - 3, 0), -ENAMETOOLONG);
	assert_int_equal(tk_copy_out(mm, a + 2 * PAGE - 2, "xy", 2), 0);
	assert_int_equal(tk_copy_str(mm, buf, a + 2 * PAGE - 2, 2), -ENAMETOOLONG);
	assert_int_equal(tk_copy_str(mm, buf, a + 2 * PAGE - 2, 3), -EFAULT);
}

static void test_a_file_that_shrinks_is_efault_not_sigbus(void **state)
{
	struct tk_mm *mm = *state;
	int fd = rig_file(8);
	struct tk_backing *backing = rig_backing(fd, true);
	const int types[] = {MAP_PRIVATE, MAP_SHARED};
	char buf[8 * TK_PAGE_SIZE];

	for (int i = 0; i < 2; i++) {
		long a;
		gva_t at;

		assert_int_equal(ftruncate(fd, 8 * PAGE), 0);
		a = tk_mm_mmap(mm, 0, 8 * PAGE, RW, (u64)types[i], backing, 0);
		assert_true(a > 0);
		at = (gva_t)a;
		assert_int_equal(tk_copy_in(mm, buf, at, 8 * PAGE), 0);
		assert_int_equal(ftruncate(fd, PAGE + 1), 0);
		assert_int_equal(tk_copy_in(mm, buf, at, 2 * PAGE), 0);
		assert_int_equal(tk_copy_in(mm, buf, at, 2 * PAGE + 1), -EFAULT);
		assert_int_equal(tk_copy_out(mm, at + 2 * PAGE, buf, 1), -EFAULT);
		assert_int_equal(tk_zero_out(mm, at, 8 * PAGE), -EFAULT);
		assert_int_equal(tk_copy_str(mm, buf, at + 3 * PAGE, 10), -EFAULT);
		/* The guest's next access gets its SIGBUS; when the file grows again, its page. */
		assert_true(tk_pt_get(mm, at + 3 * PAGE) & TK_PTE_P);
		assert_int_equal(
			tk_mm_drop_beyond_eof(mm, tk_pt_get(mm, at + 3 * PAGE) & TK_PTE_ADDR), 6);
		assert_int_equal(tk_mm_drop_beyond_eof(mm, ~0ull), 0);
		assert_int_equal(tk_mm_fault(mm, at + 3 * PAGE, READ_CODE), TK_FAULT_BUS);
		assert_int_equal(ftruncate(fd, 8 * PAGE), 0);
		assert_int_equal(tk_mm_fault(mm, at + 3 * PAGE, READ_CODE), TK_FAULT_FIXED);
		assert_int_equal(rig_peek(mm, at + 3 * PAGE), 0);
		assert_int_equal(tk_mm_munmap(mm, at, 8 * PAGE), 0);
	}
	assert_int_equal(tk_mm_drop_beyond_eof(mm, 0), 0);
	assert_int_equal(tk_mm_drop_beyond_eof(mm, ~1ull), 0);
	tk_backing_put(backing);
	close(fd);
}

static void test_forced_writes_stay_private(void **state)
{
	struct tk_mm *mm = *state;
	int fd = rig_file(2);
	struct tk_backing *backing = rig_backing(fd, true);
	long a = tk_mm_mmap(mm, 0, 2 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, backing, 0), b;
	char byte;

	assert_true(a > 0);
	assert_int_equal(tk_copy_out_force(mm, (gva_t)a + PAGE - 1, "zz", 2), 0);
	assert_int_equal(rig_peek(mm, (gva_t)a + PAGE), 'z');
	assert_int_equal(pread(fd, &byte, 1, TK_PAGE_SIZE), 1);
	assert_int_equal(byte, 2);
	assert_false(rig_poke(mm, (gva_t)a, 1));
	b = tk_mm_mmap(mm, 0, PAGE, PROT_READ, MAP_SHARED, backing, 0);
	assert_true(b > 0);
	assert_int_equal(tk_copy_out_force(mm, (gva_t)b, "z", 1), -EFAULT);
	tk_backing_put(backing);
	close(fd);
}

/* An array of @n guest iovecs at a place of its own. */
static gva_t put_iovs(struct tk_mm *mm, const struct iovec *iov, size_t n)
{
	gva_t at = rig_map(mm, (n * sizeof(*iov) + PAGE - 1) & TK_PAGE_MASK, RW);

	assert_int_equal(tk_copy_out(mm, at, iov, n * sizeof(*iov)), 0);
	return at;
}

static void test_iovecs_are_imported_as_far_as_they_go(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, 2 * PAGE, RW), ro = rig_map(mm, PAGE, PROT_READ), at;
	struct iovec iov[] = {{(void *)(a + 5), 10},
			      {NULL, 0},
			      {(void *)(a + PAGE), 100},
			      {(void *)ro, 7},
			      {(void *)a, 1}},
		     *pieces = NULL;
	size_t total;

	at = put_iovs(mm, iov, TK_ARRAY_SIZE(iov));
	assert_int_equal(tk_iov_import(mm, at, 5, TK_ACCESS_READ, &pieces, &total), 4);
	assert_int_equal(total, 118);
	free(pieces);
	assert_int_equal(tk_iov_import(mm, at, 5, TK_ACCESS_WRITE, &pieces, &total), 2);
	assert_int_equal(total, 110);
	free(pieces);
	assert_int_equal(
		tk_iov_import(mm, at + 3 * sizeof(*iov), 1, TK_ACCESS_WRITE, &pieces, &total),
		-EFAULT);
	assert_int_equal(tk_iov_import(mm, at, 0, TK_ACCESS_WRITE, &pieces, &total), 0);
	assert_int_equal(total, 0);
	free(pieces);
	assert_int_equal(tk_iov_import(mm, at, IOV_MAX + 1, TK_ACCESS_READ, &pieces, &total),
			 -EINVAL);
	assert_int_equal(tk_iov_import(mm, at, ~0ull, TK_ACCESS_READ, &pieces, &total), -EINVAL);
	assert_int_equal(tk_iov_import(mm, 0x1000, 1, TK_ACCESS_READ, &pieces, &total), -EFAULT);
}

static void test_hostile_iovecs(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, PAGE, RW);
	struct iovec negative = {(void *)a, 1ull << 63}, far = {(void *)0xffff800000000000, 0},
		     huge[2] = {{(void *)a, 1}, {(void *)a, SSIZE_MAX}}, *pieces;
	size_t total;

	assert_int_equal(
		tk_iov_import(mm, put_iovs(mm, &negative, 1), 1, TK_ACCESS_READ, &pieces, &total),
		-EINVAL);
	assert_int_equal(
		tk_iov_import(mm, put_iovs(mm, &far, 1), 1, TK_ACCESS_READ, &pieces, &total),
		-EFAULT);
	assert_int_equal(
		tk_iov_import(mm, put_iovs(mm, huge, 2), 2, TK_ACCESS_READ, &pieces, &total),
		-EFAULT);
}

static void test_more_pieces_than_a_host_call_takes(void **state)
{
	struct tk_mm *mm = *state;
	static struct iovec iov[IOV_MAX];
	struct iovec *pieces;
	size_t total;
	gva_t a;

	/* Every one of them crosses between two chunks that are apart in the arena. */
	assert_true(tk_mm_mmap(mm, TK_GIB(9), PAGE, RW, PRIVATE, NULL, 0) > 0);
	assert_true(tk_mm_mmap(mm, TK_GIB(5), PAGE, RW, PRIVATE, NULL, 0) > 0);
	a = TK_GIB(5) + TK_CHUNK_SIZE;
	assert_true(tk_mm_mmap(mm, a, PAGE, RW, PRIVATE, NULL, 0) > 0);
	assert_true(tk_mm_mmap(mm, a - PAGE, PAGE, RW, PRIVATE | MAP_FIXED, NULL, 0) > 0);
	for (int i = 0; i < IOV_MAX; i++)
		iov[i] = (struct iovec){(void *)(a - 4), 8};
	assert_in_range(tk_iov_import(mm, put_iovs(mm, iov, IOV_MAX), IOV_MAX, TK_ACCESS_WRITE,
				      &pieces, &total),
			1, IOV_MAX);
	assert_true(total >= IOV_MAX / 2 * 8);
	free(pieces);
}

static void test_futex_keys_are_equal_for_the_same_memory(void **state)
{
	struct tk_mm *mm = *state;
	struct tk_futex_key one, two;
	gva_t priv = rig_map(mm, PAGE, RW);
	long a = tk_mm_mmap(mm, 0, 2 * PAGE, RW, SHARED, NULL, 0), b;

	assert_true(a > 0);
	b = tk_mm_mremap(mm, (gva_t)a, 0, 2 * PAGE, MREMAP_MAYMOVE, 0);
	assert_int_equal(tk_mm_futex_key(mm, (gva_t)a + PAGE, true, &one), 0);
	assert_int_equal(tk_mm_futex_key(mm, (gva_t)b + PAGE, true, &two), 0);
	assert_memory_equal(&one, &two, sizeof(one));
	assert_int_equal(tk_mm_futex_key(mm, (gva_t)b, true, &two), 0);
	assert_memory_not_equal(&one, &two, sizeof(one));
	assert_int_equal(tk_mm_futex_key(mm, priv, true, &one), 0);
	assert_int_equal(tk_mm_futex_key(mm, priv, false, &two), 0);
	assert_memory_equal(&one, &two, sizeof(one));
	assert_int_equal(one.object, 0);
	assert_int_equal(tk_mm_futex_key(mm, 0x1000, true, &one), -EFAULT);
	assert_int_equal(tk_mm_futex_key(mm, ~0ull, false, &one), -EFAULT);
}

static void test_words(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, PAGE, RW);
	bool anon = false;
	u32 *word = tk_mm_word(mm, a + 8, TK_ACCESS_WRITE, &anon), value = 0x12345678;

	assert_non_null(word);
	assert_true(anon);
	assert_int_equal(tk_copy_out(mm, a + 8, &value, sizeof(value)), 0);
	assert_int_equal(*word, value);
	assert_null(tk_mm_word(mm, a + 2, TK_ACCESS_READ, &anon));
	assert_int_equal(tk_mm_mprotect(mm, a, PAGE, PROT_READ), 0);
	assert_null(tk_mm_word(mm, a, TK_ACCESS_WRITE, &anon));
	assert_non_null(tk_mm_word(mm, a, TK_ACCESS_READ, &anon));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(test_bad_addresses_are_efault),
		rig_test(test_permissions_are_those_of_the_vma),
		rig_test(test_strings),
		rig_test(test_a_file_that_shrinks_is_efault_not_sigbus),
		rig_test(test_forced_writes_stay_private),
		rig_test(test_iovecs_are_imported_as_far_as_they_go),
		rig_test(test_hostile_iovecs),
		rig_test(test_more_pieces_than_a_host_call_takes),
		rig_test(test_futex_keys_are_equal_for_the_same_memory),
		rig_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
