/* SPDX-License-Identifier: MIT */
/* Every change of protection takes effect at once, in each direction, warm translations or not. */
#include "mem_fault.h"

static const unsigned char ret = 0xc3;

static void all_changes(void)
{
	static const int prots[] = {PROT_NONE, PROT_READ, RW, PROT_READ | PROT_EXEC,
				    RW | PROT_EXEC};
	char *p = map(PAGE, RW);

	*p = (char)ret;
	for (int i = 0; i < 5; i++) {
		for (int j = 0; j < 5; j++) {
			int to = prots[j];

			CHECK(!mprotect(p, PAGE, prots[i]));
			try(p, READ); /* warm up what there is */
			try(p, WRITE);
			try(p, RUN);
			CHECK(!mprotect(p, PAGE, to));
			CHECK(try(p, READ) == !!to);
			CHECK(try(p, WRITE) == !!(to & PROT_WRITE));
			CHECK(try(p, RUN) == !!(to & PROT_EXEC));
		}
	}
	CHECK(!mprotect(p, PAGE, PROT_READ));
	CHECK(faults(p, WRITE, SIGSEGV, SEGV_ACCERR));
	CHECK(faults(p, RUN, SIGSEGV, SEGV_ACCERR));
	CHECK(!munmap(p, PAGE));
	CHECK(faults(p, READ, SIGSEGV, SEGV_MAPERR));
}

/* What a JIT does: write code, make it executable, run it, patch it. */
static void flip_code(void)
{
	unsigned char code[] = {0xb8, 0, 0, 0, 0, 0xc3}; /* mov $n, %eax; ret */
	char *p = map(2 * PAGE, RW);

	for (int i = 0; i < 300; i++) {
		code[1] = (unsigned char)i;
		code[2] = (unsigned char)(i >> 8);
		memcpy(p + PAGE - 3, code, sizeof(code)); /* across a page boundary */
		CHECK(!mprotect(p, 2 * PAGE, PROT_READ | PROT_EXEC));
		CHECK(((int (*)(void))(p + PAGE - 3))() == i);
		CHECK(!mprotect(p, 2 * PAGE, RW));
	}
}

static void replace_under_use(void)
{
	char *p = map(PAGE, RW);

	for (int i = 0; i < 100; i++) {
		*p = 1;
		CHECK(mmap(p, PAGE, RW, ANON | MAP_FIXED, -1, 0) == p);
		CHECK(*p == 0);
		*p = 2;
		CHECK(!madvise(p, PAGE, MADV_DONTNEED));
		CHECK(*p == 0);
		*p = 3;
		CHECK(!munmap(p, PAGE));
		CHECK(faults(p, READ, SIGSEGV, SEGV_MAPERR));
		CHECK(mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p);
		CHECK(*p == 0);
	}
}

static void system_calls_see_the_same(void)
{
	char *p = map(2 * PAGE, RW), byte = 'x';
	int fds[2];

	CHECK(!pipe(fds));
	CHECK(!mprotect(p + PAGE, PAGE, PROT_READ));
	CHECK(write(fds[1], p + PAGE, 1) == 1);
	CHECK_ERR(read(fds[0], p + PAGE, 1), EFAULT);
	CHECK(!mprotect(p + PAGE, PAGE, PROT_NONE));
	CHECK_ERR(write(fds[1], p + PAGE, 1), EFAULT);
	CHECK(write(fds[1], &byte, 1) == 1);
	CHECK(read(fds[0], p, 1) == 1);
}

int main(void)
{
	catch_faults();
	all_changes();
	flip_code();
	replace_under_use();
	system_calls_see_the_same();
	return check_done();
}
