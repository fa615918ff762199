/* SPDX-License-Identifier: MIT */
/* What the tests of src/mm share: an address space without KVM, and short names. */
#ifndef TK_TESTS_MM_RIG_H
#define TK_TESTS_MM_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "mm/access.h"
#include "mm/internal.h"

#define RW	   (PROT_READ | PROT_WRITE)
#define PRIVATE	   (MAP_PRIVATE | MAP_ANONYMOUS)
#define SHARED	   (MAP_SHARED | MAP_ANONYMOUS)
#define PAGE	   TK_PAGE_SIZE
#define READ_CODE  4u /* error codes of page faults at CPL 3 */
#define WRITE_CODE 6u
#define FETCH_CODE 0x14u

static inline struct tk_mm *rig_new(u64 arena, u64 memory, unsigned int max_vmas)
{
	struct tk_mm_options opts = {
		.max_address_space = arena, .max_memory = memory, .max_vmas = max_vmas};
	struct tk_mm *mm = NULL;

	assert_int_equal(tk_mm_create(&mm, &opts, NULL), 0);
	return mm;
}

static inline int rig_setup(void **state)
{
	*state = rig_new(TK_GIB(4), 0, 1000);
	return 0;
}

static inline void rig_check(struct tk_mm *mm)
{
	const char *wrong = tk_mm_check(mm, true);

	if (wrong)
		fail_msg("inconsistent: %s", wrong);
}

static inline int rig_teardown(void **state)
{
	rig_check(*state);
	tk_mm_destroy(*state);
	return 0;
}

#define rig_test(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

/* A private anonymous mapping that must succeed. */
static inline gva_t rig_map(struct tk_mm *mm, u64 len, u64 prot)
{
	long addr = tk_mm_mmap(mm, 0, len, prot, PRIVATE, NULL, 0);

	assert_true(addr > 0);
	return (gva_t)addr;
}

static inline bool rig_poke(struct tk_mm *mm, gva_t addr, u8 value)
{
	return !tk_copy_out(mm, addr, &value, 1);
}

/* The byte at @addr, or -1. */
static inline int rig_peek(struct tk_mm *mm, gva_t addr)
{
	u8 value;

	return tk_copy_in(mm, &value, addr, 1) ? -1 : value;
}

/* A memfd of @pages pages, each filled with its number + 1. */
static inline int rig_file(unsigned int pages)
{
	int fd = memfd_create("mm_rig", MFD_CLOEXEC);
	char page[TK_PAGE_SIZE];

	assert_true(fd >= 0);
	for (unsigned int i = 0; i < pages; i++) {
		memset(page, (int)i + 1, sizeof(page));
		assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	}
	return fd;
}

static inline struct tk_backing *rig_backing(int fd, bool may_write)
{
	struct tk_backing *backing = tk_backing_new(dup(fd), may_write, "/rig");

	assert_non_null(backing);
	return backing;
}

#endif
