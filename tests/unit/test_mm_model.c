/* SPDX-License-Identifier: MIT */
/*
 * The address space against the kernel it imitates. Random sequences of calls are made twice, by
 * the host kernel on this process and by src/mm on a guest, at the same addresses; results,
 * mappings and contents must be the same after every call. Seeds are fixed.
 *
 * Also with a fork in the place of the guest from some moment on: it has to go on like the
 * kernel, and a reset has to bring that moment back.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "mm_fork_rig.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* Far from where the kernel places anything; across a chunk and a leaf boundary. */
#define PAGES	   96
#define BASE	   (0x200000000000ull + TK_MIB(64) - PAGES / 2 * PAGE)
#define FILE_PAGES 24

struct world {
	u64 seed;
	struct tk_mm *mm;
	int host_fd, guest_fd;
	struct tk_backing *backing;
	char last[256]; /* the call being compared */
	int step;
	u64 first_seed;
	bool file_is_fixed; /* its content does not change: forks have it as it was */
};

static u64 rnd(struct world *w, u64 n)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed % n;
}

static long host(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	long rc = syscall(nr, a, b, c, d, e, f);

	return rc == -1 ? -errno : rc;
}

/* What both sides are reduced to: one word for each page. */
struct page {
	bool mapped, shared, file;
	int prot;
	u64 offset;
};

static void mark(struct page *pages, u64 start, u64 end, struct page page)
{
	for (u64 a = start; a < end; a += PAGE) {
		if (a >= BASE && a < BASE + PAGES * PAGE)
			pages[(a - BASE) / PAGE] = page;
		page.offset += page.file ? PAGE : 0;
	}
}

static int mark_guest(void *arg, const struct tk_vma_info *vma)
{
	bool file = vma->backing && !vma->backing->anon;

	mark(arg, vma->start, vma->end,
	     (struct page){true, vma->shared, file, vma->prot, file ? vma->offset : 0});
	return 0;
}

struct host_vma {
	u64 start, end;
	struct page page;
};

static int host_vmas(struct host_vma *list)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512], prot[5], path[256];
	u64 start, end, offset;
	int n = 0;

	while (fgets(line, sizeof(line), maps)) {
		path[0] = '\0';
		if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %255s", &start, &end, prot, &offset,
			   path) < 4)
			continue;
		if (end <= BASE || start >= BASE + PAGES * PAGE)
			continue;
		list[n++] = (struct host_vma){
			start,
			end,
			{true, prot[3] == 's', strstr(path, "mm_model") != NULL,
			 (prot[0] == 'r') * PROT_READ | (prot[1] == 'w') * PROT_WRITE |
				 (prot[2] == 'x') * PROT_EXEC,
			 strstr(path, "mm_model") ? offset : 0},
		};
	}
	fclose(maps);
	return n;
}

static bool host_copy(u64 addr, u8 *buf, size_t len, bool write)
{
	struct iovec local = {buf, len}, remote = {(void *)addr, len};
	ssize_t n = write ? process_vm_writev(getpid(), &local, 1, &remote, 1, 0)
			  : process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	return n == (ssize_t)len;
}

static bool same(const struct page *a, const struct page *b)
{
	return a->mapped == b->mapped && a->shared == b->shared && a->file == b->file &&
	       a->prot == b->prot && a->offset == b->offset;
}

static void compare_mappings(struct world *w)
{
	struct page mine[PAGES] = {0}, theirs[PAGES] = {0};
	struct host_vma list[PAGES];
	int n = host_vmas(list);

	for (int i = 0; i < n; i++)
		mark(theirs, list[i].start, list[i].end, list[i].page);
	tk_mm_for_each(w->mm, mark_guest, mine);
	for (int i = 0; i < PAGES; i++) {
		if (same(&mine[i], &theirs[i]))
			continue;
		fail_msg("page %d differs after %s: guest %d prot %d shared %d offset %lx, host %d "
			 "prot %d shared %d offset %lx",
			 i, w->last, mine[i].mapped, mine[i].prot, mine[i].shared, mine[i].offset,
			 theirs[i].mapped, theirs[i].prot, theirs[i].shared, theirs[i].offset);
	}
}

static void compare_page(struct world *w, u64 addr)
{
	u8 mine[PAGE], theirs[PAGE];
	bool host_ok = host_copy(addr, theirs, PAGE, false);
	bool guest_ok = !tk_copy_in(w->mm, mine, addr, PAGE);

	unsigned int i = 0;

	if (host_ok != guest_ok)
		fail_msg("page %d after %s: host %s, guest %s", (int)((addr - BASE) / PAGE),
			 w->last, host_ok ? "ok" : "EFAULT", guest_ok ? "ok" : "EFAULT");
	while (host_ok && i < PAGE && mine[i] == theirs[i])
		i++;
	if (host_ok && i < PAGE)
		fail_msg("page %d, byte %u after %s (call %d of seed %lu): host %x, guest %x",
			 (int)((addr - BASE) / PAGE), i, w->last, w->step, w->first_seed, theirs[i],
			 mine[i]);
}

static void compare_files(struct world *w)
{
	static u8 mine[FILE_PAGES * PAGE], theirs[FILE_PAGES * PAGE];
	ssize_t n = pread(w->host_fd, theirs, sizeof(theirs), 0);

	if (pread(w->guest_fd, mine, sizeof(mine), 0) != n || memcmp(mine, theirs, (size_t)n))
		fail_msg("files differ after %s (call %d of seed %lu)", w->last, w->step,
			 w->first_seed);
}

static void compare_all(struct world *w)
{
	const char *wrong = tk_mm_check(w->mm, true);

	if (wrong)
		fail_msg("inconsistent after %s: %s", w->last, wrong);
	compare_mappings(w);
	compare_files(w);
	for (u64 i = 0; i < PAGES; i++)
		compare_page(w, BASE + i * PAGE);
}

static void compare_result(struct world *w, long theirs, long mine)
{
	if (mine != theirs)
		fail_msg("%s: host %ld, guest %ld (call %d of seed %lu)", w->last, theirs, mine,
			 w->step, w->first_seed);
}

/* An address in the window, now and then off a page boundary. */
static u64 some_addr(struct world *w)
{
	return BASE + rnd(w, PAGES) * PAGE + (rnd(w, 40) ? 0 : rnd(w, PAGE));
}

static u64 some_len(struct world *w, u64 addr)
{
	u64 room = BASE + PAGES * PAGE - addr;

	if (!rnd(w, 60))
		return rnd(w, 2) ? 0 : ~0ull - rnd(w, 3 * PAGE);
	return TK_MIN(1 + rnd(w, 16 * PAGE), room);
}

static u64 some_prot(struct world *w)
{
	static const u64 prots[] = {PROT_NONE,
				    PROT_READ,
				    PROT_READ | PROT_WRITE,
				    PROT_READ | PROT_WRITE,
				    PROT_READ | PROT_EXEC,
				    PROT_READ | PROT_WRITE | PROT_EXEC};

	return prots[rnd(w, TK_ARRAY_SIZE(prots))];
}

static void do_mmap(struct world *w)
{
	u64 addr = some_addr(w), len = some_len(w, addr), prot = some_prot(w), offset = 0;
	u64 flags = (rnd(w, 3) ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED;
	bool file = !rnd(w, 3);

	if (!rnd(w, 3))
		flags = (flags & ~(u64)MAP_FIXED) | MAP_FIXED_NOREPLACE;
	if (!rnd(w, 20))
		flags |= MAP_POPULATE;
	if (!rnd(w, 20))
		flags |= MAP_GROWSDOWN;
	if (file && w->file_is_fixed)
		flags = (flags & ~(u64)MAP_SHARED) | MAP_PRIVATE;
	if (file)
		offset = rnd(w, FILE_PAGES) * PAGE + (rnd(w, 40) ? 0 : 1);
	else
		flags |= MAP_ANONYMOUS;
	/* A growing neighbour's guard gap depends on what the kernel merged: keep them apart. */
	flags &= ~(u64)MAP_GROWSDOWN;
	snprintf(w->last, sizeof(w->last), "mmap(%lx, %lx, %lx, %lx, %d, %lx)", addr, len, prot,
		 flags, file, offset);
	compare_result(
		w, host(SYS_mmap, addr, len, prot, flags, (u64)(file ? w->host_fd : -1), offset),
		tk_mm_mmap(w->mm, addr, len, prot, flags, file ? w->backing : NULL, offset));
}

static void do_munmap(struct world *w)
{
	u64 addr = some_addr(w), len = some_len(w, addr);

	snprintf(w->last, sizeof(w->last), "munmap(%lx, %lx)", addr, len);
	if (len > TK_GIB(1)) /* the host would lose this very process */
		return;
	compare_result(w, host(SYS_munmap, addr, len, 0, 0, 0, 0), tk_mm_munmap(w->mm, addr, len));
}

static void do_mprotect(struct world *w)
{
	u64 addr = some_addr(w), len = some_len(w, addr), prot = some_prot(w);

	if (!rnd(w, 50))
		prot |= rnd(w, 2) ? 0x40 : PROT_GROWSUP;
	snprintf(w->last, sizeof(w->last), "mprotect(%lx, %lx, %lx)", addr, len, prot);
	compare_result(w, host(SYS_mprotect, addr, len, prot, 0, 0, 0),
		       tk_mm_mprotect(w->mm, addr, len, prot));
}

static void do_madvise(struct world *w)
{
	static const int advices[] = {MADV_DONTNEED, MADV_DONTNEED, MADV_DONTNEED, MADV_WILLNEED,
				      MADV_NORMAL,   MADV_REMOVE,   MADV_DONTFORK, 99};
	u64 addr = some_addr(w), len = some_len(w, addr);
	int advice = advices[rnd(w, TK_ARRAY_SIZE(advices))];

	snprintf(w->last, sizeof(w->last), "madvise(%lx, %lx, %d)", addr, len, advice);
	compare_result(w, host(SYS_madvise, addr, len, (u64)advice, 0, 0, 0),
		       tk_mm_madvise(w->mm, addr, len, advice));
	if (advice == MADV_DONTFORK) /* flags the host's vmas, which then no longer merge */
		host(SYS_madvise, addr, len, MADV_DOFORK, 0, 0, 0);
}

static void do_msync(struct world *w)
{
	u64 addr = some_addr(w), len = some_len(w, addr);
	int flags = (int)rnd(w, 9);

	if (flags & MS_SYNC) /* disk traffic */
		flags = MS_ASYNC;
	snprintf(w->last, sizeof(w->last), "msync(%lx, %lx, %d)", addr, len, flags);
	compare_result(w, host(SYS_msync, addr, len, (u64)flags, 0, 0, 0),
		       tk_mm_msync(w->mm, addr, len, flags));
}

static bool overlaps(u64 a, u64 a_len, u64 b, u64 b_len)
{
	return a < b + b_len && b < a + a_len;
}

/*
 * The source stays within one of the host's vmas: Linux refuses to cross them (or not, since 6.17),
 * and where they are depends on which pages were touched in what order.
 */
static void do_mremap(struct world *w)
{
	struct host_vma list[PAGES], *vma;
	int n = host_vmas(list);
	u64 old, old_len, new_len, new, flags;

	if (!n)
		return;
	vma = &list[rnd(w, (u64)n)];
	old = vma->start + rnd(w, (vma->end - vma->start) / PAGE) * PAGE;
	old_len = (1 + rnd(w, (vma->end - old) / PAGE)) * PAGE;
	new_len = (1 + rnd(w, 12)) * PAGE;
	new = BASE + rnd(w, PAGES) * PAGE;
	flags = rnd(w, 3) ? MREMAP_MAYMOVE | MREMAP_FIXED : 0;
	if (flags && !rnd(w, 4)) {
		flags |= MREMAP_DONTUNMAP;
		if (rnd(w, 8))
			new_len = old_len;
	}
	if (!rnd(w, 10))
		old_len = 0;
	else if (!rnd(w, 12)) /* cut off more than there are addresses: harmless on the host */
		old_len = 1ull << (47 + rnd(w, 16));
	if (new + new_len > BASE + PAGES * PAGE || old + new_len > BASE + PAGES *PAGE)
		return;
	/* A duplicate on top of its own source: the kernel unmaps the source first. */
	if (!old_len && overlaps(old, new_len, new, new_len))
		return;
	snprintf(w->last, sizeof(w->last), "mremap(%lx, %lx, %lx, %lx, %lx)", old, old_len, new_len,
		 flags, new);
	compare_result(w, host(SYS_mremap, old, old_len, new_len, flags, new, 0),
		       tk_mm_mremap(w->mm, old, old_len, new_len, flags, new));
}

static void do_write(struct world *w)
{
	u64 addr = BASE + rnd(w, PAGES * PAGE - 16);
	u8 data[16];
	bool mine, theirs;

	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (u8)rnd(w, 256);
	if (addr / PAGE != (addr + sizeof(data) - 1) / PAGE)
		return; /* how much of a partial copy is made is not promised */
	snprintf(w->last, sizeof(w->last), "write to %lx", addr);
	theirs = host_copy(addr, data, sizeof(data), true);
	mine = !tk_copy_out(w->mm, addr, data, sizeof(data));
	compare_result(w, theirs, mine);
}

static void do_truncate(struct world *w)
{
	off_t size = (off_t)rnd(w, FILE_PAGES * PAGE);

	if (w->file_is_fixed)
		return;
	snprintf(w->last, sizeof(w->last), "ftruncate(%ld)", (long)size);
	assert_int_equal(ftruncate(w->host_fd, size), 0);
	assert_int_equal(ftruncate(w->guest_fd, size), 0);
	tk_mm_drop_beyond_eof(w->mm, ~0ull);
}

/* The guest's page faults have the outcome that the host's mappings imply. */
static void do_fault(struct world *w)
{
	static const struct {
		u64 code;
		int prot;
	} kinds[] = {{4, PROT_READ | PROT_WRITE | PROT_EXEC}, {6, PROT_WRITE}, {0x14, PROT_EXEC}};
	u64 addr = BASE + rnd(w, PAGES * PAGE), kind = rnd(w, TK_ARRAY_SIZE(kinds));
	struct page theirs[PAGES] = {0}, *page = &theirs[(addr - BASE) / PAGE];
	struct host_vma list[PAGES];
	enum tk_fault_result want;
	int n = host_vmas(list);
	u8 byte;

	for (int i = 0; i < n; i++)
		mark(theirs, list[i].start, list[i].end, list[i].page);
	if (!page->mapped)
		want = TK_FAULT_MAPERR;
	else if (!(page->prot & kinds[kind].prot))
		want = TK_FAULT_ACCERR;
	else
		want = host_copy(addr, &byte, 1, false) ? TK_FAULT_FIXED : TK_FAULT_BUS;
	snprintf(w->last, sizeof(w->last), "fault(%lx, %lx)", addr, kinds[kind].code);
	compare_result(w, want, tk_mm_fault(w->mm, addr, kinds[kind].code));
}

typedef void op_fn(struct world *w);

static void step(struct world *w)
{
	static op_fn *const ops[] = {do_mmap,	  do_mmap,   do_mmap,	 do_munmap, do_mprotect,
				     do_mprotect, do_mremap, do_mremap,	 do_mremap, do_madvise,
				     do_msync,	  do_fault,  do_truncate};

	if (rnd(w, 2))
		do_write(w);
	else
		ops[rnd(w, TK_ARRAY_SIZE(ops))](w);
}

static int new_file(char fill)
{
	int fd = memfd_create("mm_model", MFD_CLOEXEC);
	char page[PAGE];

	assert_true(fd >= 0);
	for (int i = 0; i < FILE_PAGES; i++) {
		memset(page, fill + i, sizeof(page));
		assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	}
	return fd;
}

static void begin(struct world *w, u64 seed, u64 max_memory, u64 eager)
{
	struct tk_mm_options opts = {
		.max_address_space = TK_MIB(256), .max_memory = max_memory, .max_vmas = 1000};

	*w = (struct world){.seed = seed * 0x9e3779b97f4a7c15ull + 1, .first_seed = seed};
	munmap((void *)BASE, PAGES * PAGE);
	assert_int_equal(tk_mm_create(&w->mm, &opts, NULL), 0);
	w->mm->eager = eager;
	w->host_fd = new_file('a');
	w->guest_fd = new_file('a');
	w->backing = tk_backing_new(dup(w->guest_fd), true, "/mm_model");
}

static void end(struct world *w)
{
	munmap((void *)BASE, PAGES * PAGE);
	tk_mm_destroy(w->mm);
	assert_int_equal(w->backing->refs, 1);
	tk_backing_put(w->backing);
	close(w->host_fd);
	close(w->guest_fd);
}

static void make_steps(struct world *w, int steps)
{
	for (int stop = w->step + steps; w->step < stop; w->step++) {
		step(w);
		compare_all(w);
	}
}

static void run(u64 seed, u64 max_memory, u64 eager, int steps)
{
	struct world w;

	begin(&w, seed, max_memory, eager);
	make_steps(&w, steps);
	end(&w);
}

static void run_forked(u64 seed, u64 max_memory, u64 eager, int steps)
{
	const struct tk_mm_fork_options opts = {.max_memory = max_memory};
	struct tk_mm_image *image;
	struct world w;
	int rc;

	begin(&w, seed, max_memory, eager);
	w.file_is_fixed = true;
	make_steps(&w, steps);
	image = rig_freeze(w.mm);
	tk_mm_destroy(w.mm);
	w.mm = rig_fork_with(image, &opts);
	compare_all(&w);
	make_steps(&w, steps);
	rc = w.mm->cow->stale ? -ESTALE : 0;
	assert_int_equal(tk_mm_reset(w.mm), rc);
	if (!rc)
		rig_reset(w.mm);
	tk_mm_image_put(image);
	end(&w);
}

static void test_like_the_kernel(void **state)
{
	const char *from = getenv("MM_MODEL_SEED"), *steps = getenv("MM_MODEL_STEPS");
	u64 seed = from ? strtoull(from, NULL, 0) : 1;

	for (u64 i = 0; i < 6; i++)
		run(seed + i, 0, TK_EAGER_SIZE, steps ? atoi(steps) : 400);
}

/* Entries are taken back and refilled all the time; nothing of it may show. */
static void test_like_the_kernel_near_the_memory_limit(void **state)
{
	for (u64 seed = 100; seed < 104; seed++)
		run(seed, TK_KIB(640), TK_EAGER_SIZE, 300);
}

/* Everything waits for its first touch, as large mappings do. */
static void test_like_the_kernel_when_lazy(void **state)
{
	for (u64 seed = 200; seed < 204; seed++)
		run(seed, 0, 0, 400);
}

static void test_a_fork_is_like_the_kernel(void **state)
{
	const char *from = getenv("MM_MODEL_SEED"), *steps = getenv("MM_MODEL_STEPS");
	u64 seed = from ? strtoull(from, NULL, 0) : 300;

	for (u64 i = 0; i < 12; i++)
		run_forked(seed + i, 0, i % 3 ? TK_EAGER_SIZE : 0, steps ? atoi(steps) : 150);
}

static void test_a_fork_is_like_the_kernel_near_the_memory_limit(void **state)
{
	for (u64 seed = 400; seed < 404; seed++)
		run_forked(seed, TK_KIB(640), TK_EAGER_SIZE, 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_fork_is_like_the_kernel),
		cmocka_unit_test(test_a_fork_is_like_the_kernel_near_the_memory_limit),
		cmocka_unit_test(test_like_the_kernel),
		cmocka_unit_test(test_like_the_kernel_near_the_memory_limit),
		cmocka_unit_test(test_like_the_kernel_when_lazy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
