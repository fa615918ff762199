/* SPDX-License-Identifier: MIT */
/*
 * A reset fork against a fresh one. A guest with every kind of mapping is frozen; a fork of it
 * makes random changes (mappings, contents, limits) and is reset, again and again, and must then be
 * in the state of a fork that never ran: mappings, entries, and the bytes of every page.
 *
 * Once without KVM, the VMM writing; once in a virtual machine, whose guest loads and stores, so
 * that dirty rings and stale translations count. Seeds are fixed.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "kvm/vcpu.h"
#include "mm_fork_rig.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define WINDOW	   0x200000000000ull
#define CODE	   0x10000000ull
#define BRK	   0x20000000ull
#define PAGES	   2048u /* of the window */
#define FILE_PAGES 24u
#define RESERVED   (WINDOW + TK_GIB(1)) /* a large mapping, mostly never touched */
#define RING_BYTES (16u << 10)

/* mov %eax, (%rdi); syscall; mov (%rdi), %eax; syscall */
static const u8 code[] = {0x89, 0x07, 0x0f, 0x05, 0x8b, 0x07, 0x0f, 0x05};
#define STORE 0
#define LOAD  4

struct world {
	u64 seed;
	struct tk_mm_image *image;
	struct tk_mm *mm;
	int file, memfd, own_memfd;
	struct tk_backing *backing, *shared;
	const struct tk_kvm *kvm; /* NULL: none */
	struct tk_vm *vm;
	struct tk_vcpu *vcpu;
	char last[128];
	unsigned int resets, stale, ring_full, written;
};

static u64 rnd(struct world *w, u64 n)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed % n;
}

/* In something that is mapped. */
static gva_t some_mapped_page(struct world *w)
{
	const struct tk_vma *vma = w->mm->first;

	for (u64 i = rnd(w, w->mm->n_vmas); i; i--)
		vma = vma->next;
	return vma->start + rnd(w, (vma->end - vma->start) / PAGE) * PAGE;
}

static gva_t some_page(struct world *w)
{
	gva_t addr = some_mapped_page(w);

	if (rnd(w, 2) && addr != CODE)
		return addr;
	switch (rnd(w, 8)) {
	case 0:
		return RESERVED + rnd(w, TK_MIB(24) / PAGE) * PAGE;
	case 1:
		return BRK + rnd(w, 16) * PAGE;
	default:
		return WINDOW + rnd(w, PAGES) * PAGE;
	}
}

static u64 some_len(struct world *w)
{
	return (1 + rnd(w, rnd(w, 4) ? 12 : 300)) * PAGE;
}

static u64 some_prot(struct world *w)
{
	static const u64 prots[] = {PROT_NONE,	   PROT_READ, RW, RW, PROT_READ | PROT_EXEC,
				    RW | PROT_EXEC};

	return prots[rnd(w, TK_ARRAY_SIZE(prots))];
}

static void write_by_vmm(struct world *w, gva_t addr)
{
	u32 value = (u32)rnd(w, 1u << 31);

	w->written += !(rnd(w, 20) ? tk_copy_out(w->mm, addr, &value, sizeof(value))
				   : tk_copy_out_force(w->mm, addr, &value, sizeof(value)));
}

/* Until the call that ends the code, or until a fault that is the guest's. */
static bool run_guest(struct world *w, struct tk_uregs *regs)
{
	struct tk_exit exit;

	for (;;) {
		tk_vcpu_run(w->vcpu, &exit);
		switch (exit.kind) {
		case TK_EXIT_SYSCALL:
			return true;
		case TK_EXIT_INTERRUPTED:
			break;
		case TK_EXIT_RING_FULL:
			w->ring_full++;
			assert_int_equal(tk_mm_ring_full(w->mm), 0);
			break;
		case TK_EXIT_NO_MEMORY_BEHIND:
			if (tk_mm_drop_beyond_eof(w->mm, exit.gpa))
				break;
			return false;
		case TK_EXIT_FAULT:
			if (tk_mm_fault(w->mm, exit.cr2, exit.error_code) == TK_FAULT_FIXED)
				break;
			return false;
		default:
			fail_msg("%s after %s", tk_exit_name(exit.kind), w->last);
		}
	}
}

static bool guest(struct world *w, unsigned int entry, gva_t addr, u32 *value)
{
	struct tk_uregs *regs = tk_vcpu_regs(w->vcpu);
	bool done;

	*regs = (struct tk_uregs){.rip = CODE + entry, .rdi = addr, .rax = *value, .rflags = 0x202};
	tk_vcpu_resume_full(w->vcpu);
	done = run_guest(w, regs);
	*value = (u32)regs->rax;
	return done;
}

static void write_by_guest(struct world *w, gva_t addr)
{
	const struct tk_vma *vma = tk_vma_at(w->mm, addr);
	bool allowed = vma && vma->prot & PROT_WRITE && addr < tk_vma_eof(vma);
	u32 value = (u32)rnd(w, 1u << 31), seen = 0;
	bool done = guest(w, STORE, addr, &value);

	w->written += done;
	if (vma && done != allowed)
		fail_msg("store to %lx (prot %x) after %s: %d", addr, vma->prot, w->last, done);
	if (done && (tk_copy_in(w->mm, &seen, addr, sizeof(seen)) || seen != value))
		fail_msg("store to %lx after %s: lost", addr, w->last);
}

static void do_write(struct world *w)
{
	gva_t addr = some_page(w) + rnd(w, PAGE / 4) * 4;

	if (w->vcpu && rnd(w, 4))
		write_by_guest(w, addr);
	else
		write_by_vmm(w, addr);
}

static void do_write_many(struct world *w)
{
	gva_t addr = some_mapped_page(w);

	if (rnd(w, 10) || addr == CODE)
		return;
	for (unsigned int i = 0; i < 300; i++, addr += PAGE)
		if (w->vcpu)
			write_by_guest(w, addr);
		else
			write_by_vmm(w, addr);
}

static void do_read(struct world *w)
{
	gva_t addr = some_page(w) + rnd(w, PAGE / 4) * 4;
	u32 mine = 0, theirs = 0;
	bool readable = !tk_copy_in(w->mm, &mine, addr, sizeof(mine));

	if (!w->vcpu)
		return;
	if (guest(w, LOAD, addr, &theirs) != readable || (readable && mine != theirs))
		fail_msg("load of %lx after %s: %x, the VMM reads %x (%d)", addr, w->last, theirs,
			 mine, readable);
}

static void do_mmap(struct world *w)
{
	gva_t addr = some_page(w);
	u64 len = some_len(w), prot = some_prot(w), flags = MAP_FIXED;
	struct tk_backing *backing = NULL;

	switch (rnd(w, 6)) {
	case 0:
		flags |= SHARED;
		break;
	case 1:
		flags |= MAP_PRIVATE;
		backing = w->backing;
		break;
	default:
		flags |= PRIVATE;
	}
	if (!rnd(w, 10))
		flags |= MAP_POPULATE;
	if (!rnd(w, 4))
		flags &= ~(u64)MAP_FIXED;
	snprintf(w->last, sizeof(w->last), "mmap(%lx, %lx, %lx, %lx)", addr, len, prot, flags);
	tk_mm_mmap(w->mm, addr, len, prot, flags, backing, 0);
}

static void do_munmap(struct world *w)
{
	gva_t addr = some_page(w);
	u64 len = some_len(w);

	snprintf(w->last, sizeof(w->last), "munmap(%lx, %lx)", addr, len);
	tk_mm_munmap(w->mm, addr, len);
}

static void do_mprotect(struct world *w)
{
	gva_t addr = some_page(w);
	u64 len = some_len(w), prot = some_prot(w);

	snprintf(w->last, sizeof(w->last), "mprotect(%lx, %lx, %lx)", addr, len, prot);
	tk_mm_mprotect(w->mm, addr, len, prot);
}

static void do_madvise(struct world *w)
{
	static const int advices[] = {MADV_DONTNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE};
	gva_t addr = some_page(w);
	u64 len = some_len(w);
	int advice = advices[rnd(w, TK_ARRAY_SIZE(advices))];

	snprintf(w->last, sizeof(w->last), "madvise(%lx, %lx, %d)", addr, len, advice);
	tk_mm_madvise(w->mm, addr, len, advice);
}

static void do_mremap(struct world *w)
{
	gva_t old = some_page(w), new = some_page(w);
	u64 old_len = some_len(w), new_len = some_len(w);
	u64 flags = rnd(w, 2) ? MREMAP_MAYMOVE | MREMAP_FIXED : MREMAP_MAYMOVE;
	const struct tk_vma *vma = tk_vma_at(w->mm, old);

	if (!vma || (vma->flags & TK_VMA_SHARED && rnd(w, 10)))
		return; /* mostly refused, or makes a reset impossible */
	if (!rnd(w, 4)) {
		flags |= MREMAP_DONTUNMAP;
		new_len = old_len;
	}
	snprintf(w->last, sizeof(w->last), "mremap(%lx, %lx, %lx, %lx, %lx)", old, old_len, new_len,
		 flags, new);
	tk_mm_mremap(w->mm, old, old_len, new_len, flags, new);
}

static void do_brk(struct world *w)
{
	gva_t addr = BRK + rnd(w, 20 * PAGE);

	snprintf(w->last, sizeof(w->last), "brk(%lx)", addr);
	tk_mm_brk(w->mm, addr);
}

static void do_rest(struct world *w)
{
	gva_t addr = some_page(w);

	switch (rnd(w, 8)) {
	case 0:
		tk_mm_mlock(w->mm, addr, PAGE * 4, rnd(w, 2));
		break;
	case 1:
		tk_mm_munlock(w->mm, addr, PAGE * 4);
		break;
	case 2:
		if (!rnd(w, 10))
			tk_mm_mlockall(w->mm, MCL_FUTURE);
		break;
	case 3:
		tk_mm_munlockall(w->mm);
		break;
	case 4:
		tk_mm_rlimits(w->mm)->stack = rnd(w, TK_MIB(8));
		break;
	case 5:
		tk_mm_set_name(w->mm, addr, PAGE * 3, "[a name]");
		break;
	default:
		(void)tk_mm_fault(w->mm, addr, 6);
	}
}

typedef void op_fn(struct world *w);

static void step(struct world *w)
{
	static op_fn *const ops[] = {do_mmap,	 do_munmap,  do_mprotect,  do_mprotect,
				     do_madvise, do_madvise, do_mremap,	   do_brk,
				     do_read,	 do_rest,    do_write_many};

	if (rnd(w, 2))
		do_write(w);
	else
		ops[rnd(w, TK_ARRAY_SIZE(ops))](w);
}

static void map_fixed(struct world *w, gva_t addr, u64 pages, u64 prot, u64 flags,
		      struct tk_backing *backing)
{
	long rc = tk_mm_mmap(w->mm, addr, pages * PAGE, prot, flags | MAP_FIXED, backing, 0);

	assert_int_equal(rc, addr);
}

static void fill_pages(struct world *w, gva_t addr, unsigned int pages)
{
	u64 value;

	for (unsigned int i = 0; i < pages; i++) {
		value = rnd(w, ~0ull);
		assert_int_equal(tk_copy_out_force(w->mm, addr + i * PAGE, &value, sizeof(value)),
				 0);
	}
}

/* One of every kind. */
static void furnish(struct world *w)
{
	map_fixed(w, CODE, 1, PROT_READ | PROT_EXEC, PRIVATE, NULL);
	assert_int_equal(tk_copy_out_force(w->mm, CODE, code, sizeof(code)), 0);
	map_fixed(w, WINDOW, 512, RW, PRIVATE, NULL);
	fill_pages(w, WINDOW, 20);
	fill_pages(w, WINDOW + 200 * PAGE, 40); /* the image has a gap */
	map_fixed(w, WINDOW + 520 * PAGE, 500, PROT_NONE, PRIVATE, NULL);
	tk_mm_mprotect(w->mm, WINDOW + 600 * PAGE, 64 * PAGE, RW);
	fill_pages(w, WINDOW + 610 * PAGE, 30);
	tk_mm_mprotect(w->mm, WINDOW + 620 * PAGE, 5 * PAGE, PROT_NONE); /* with content */
	tk_mm_mprotect(w->mm, WINDOW + 630 * PAGE, 5 * PAGE, PROT_READ);
	map_fixed(w, WINDOW + 1100 * PAGE, FILE_PAGES + 6, RW, MAP_PRIVATE, w->backing);
	fill_pages(w, WINDOW + 1103 * PAGE, 4);
	map_fixed(w, WINDOW + 1200 * PAGE, FILE_PAGES + 6, PROT_READ, MAP_PRIVATE, w->backing);
	fill_pages(w, WINDOW + 1210 * PAGE, 3);
	map_fixed(w, WINDOW + 1300 * PAGE, 100, RW, SHARED, NULL);
	fill_pages(w, WINDOW + 1310 * PAGE, 10);
	map_fixed(w, WINDOW + 1450 * PAGE, 50, RW, SHARED, NULL);
	fill_pages(w, WINDOW + 1450 * PAGE, 10);
	tk_mm_mprotect(w->mm, WINDOW + 1450 * PAGE, 50 * PAGE, PROT_READ);
	map_fixed(w, WINDOW + 1600 * PAGE, FILE_PAGES, RW, MAP_SHARED, w->shared);
	fill_pages(w, WINDOW + 1605 * PAGE, 5);
	map_fixed(w, WINDOW + 1800 * PAGE, 30, RW, PRIVATE | MAP_GROWSDOWN, NULL);
	fill_pages(w, WINDOW + 1810 * PAGE, 10);
	map_fixed(w, RESERVED, TK_MIB(24) / PAGE, RW, PRIVATE | MAP_NORESERVE, NULL);
	fill_pages(w, RESERVED + 30 * PAGE, 3);
	tk_mm_set_brk_start(w->mm, BRK);
	tk_mm_brk(w->mm, BRK + 5 * PAGE + 100);
	fill_pages(w, BRK, 3);
}

static int map_kernel(void *arg, const struct tk_kernel_range *range)
{
	return tk_mm_map_kernel(arg, range->va, range->gpa, range->size, range->user, range->write,
				range->exec);
}

static int slot_add(void *ctx, gpa_t gpa, u64 size, void *hva, unsigned int flags)
{
	return tk_vm_slot_add(ctx, gpa, size, hva, flags);
}

static bool collect(void *ctx, void (*fn)(void *arg, gpa_t gpa), void *arg)
{
	return tk_vm_harvest(ctx, fn, arg);
}

static int rearm(void *ctx)
{
	return tk_vm_reset_rings(ctx);
}

static int copy_memfd(int from)
{
	int fd = memfd_create("copy", MFD_CLOEXEC);
	char page[PAGE];

	for (unsigned int i = 0; i < FILE_PAGES; i++) {
		assert_int_equal(pread(from, page, PAGE, (off_t)(i * PAGE)), PAGE);
		assert_int_equal(pwrite(fd, page, PAGE, (off_t)(i * PAGE)), PAGE);
	}
	return fd;
}

static struct tk_mm *new_fork(struct world *w, int memfd, struct tk_vm *vm)
{
	struct tk_mm_swap swap = {w->shared->host_dev, w->shared->host_ino, memfd};
	struct tk_mm_fork_options opts = {.swaps = &swap, .n_swaps = 1, .max_memory = TK_MIB(16)};

	if (vm)
		opts.backend = (struct tk_mm_backend){slot_add, vm, TK_SLOT_LOG, collect, rearm};
	return rig_fork_with(w->image, &opts);
}

static void begin_fork(struct world *w)
{
	struct tk_uregs regs = {0};
	struct tkvm_error err;

	w->own_memfd = copy_memfd(w->memfd);
	if (w->kvm && tk_vm_create(&w->vm, w->kvm, RING_BYTES, &err))
		fail_msg("%s", err.message);
	w->mm = new_fork(w, w->own_memfd, w->vm);
	if (w->kvm && tk_vcpu_create(&w->vcpu, w->vm, tk_mm_cr3(w->mm), &regs, 0, &err))
		fail_msg("%s", err.message);
}

static void end_fork(struct world *w)
{
	tk_vcpu_destroy(w->vcpu);
	tk_vm_destroy(w->vm);
	tk_mm_destroy(w->mm);
	close(w->own_memfd);
	w->vcpu = NULL;
	w->vm = NULL;
}

static void begin(struct world *w, u64 seed, const struct tk_kvm *kvm)
{
	struct tk_mm_options opts = {.max_address_space = TK_GIB(1), .max_vmas = 1000};
	struct tkvm_error err;
	struct tk_vm *vm;

	*w = (struct world){.seed = seed * 0x9e3779b97f4a7c15ull + 1, .kvm = kvm};
	w->file = rig_file(FILE_PAGES);
	w->memfd = rig_file(FILE_PAGES);
	w->backing = rig_backing(w->file, false);
	w->shared = rig_backing(w->memfd, true);
	assert_int_equal(tk_mm_create(&w->mm, &opts, NULL), 0);
	if (kvm) {
		if (tk_vm_create(&vm, kvm, 0, &err))
			fail_msg("%s", err.message);
		assert_int_equal(tk_vm_for_each_kernel_range(vm, map_kernel, w->mm), 0);
		tk_vm_destroy(vm);
	}
	furnish(w);
	w->image = rig_freeze(w->mm);
}

static void reset(struct world *w)
{
	struct tk_mm *fresh;
	int rc = tk_mm_reset(w->mm), fd;

	if (rc) {
		assert_int_equal(rc, -ESTALE);
		w->stale++;
		end_fork(w);
		begin_fork(w);
		return;
	}
	w->resets++;
	fd = copy_memfd(w->memfd);
	fresh = new_fork(w, fd, NULL);
	rig_same(w->mm, fresh);
	tk_mm_destroy(fresh);
	close(fd);
}

static void run(u64 seed, const struct tk_kvm *kvm, int rounds)
{
	int fd;
	struct world w;
	struct tk_mm *master;

	begin(&w, seed, kvm);
	master = w.mm;
	fd = copy_memfd(w.memfd);
	w.mm = new_fork(&w, fd, NULL);
	rig_same(w.mm, master);
	tk_mm_destroy(w.mm);
	close(fd);
	tk_mm_destroy(master);
	begin_fork(&w);
	for (int i = 0; i < rounds; i++) {
		for (u64 n = rnd(&w, 100); n; n--)
			step(&w);
		reset(&w);
	}
	if (w.resets < (unsigned int)rounds / 2)
		fail_msg("only %u of %d resets worked", w.resets, rounds);
	if (getenv("MM_IMAGE_VERBOSE"))
		print_message("seed %lu: %u writes, %u resets, %u stale, %u rings full\n", seed,
			      w.written, w.resets, w.stale, w.ring_full);
	end_fork(&w);
	tk_mm_image_put(w.image);
	assert_int_equal(w.backing->refs, 1);
	tk_backing_put(w.backing);
	tk_backing_put(w.shared);
	close(w.file);
	close(w.memfd);
}

static int rounds(int usual)
{
	const char *n = getenv("MM_IMAGE_ROUNDS");

	return n ? atoi(n) : usual;
}

static u64 first_seed(void)
{
	const char *n = getenv("MM_IMAGE_SEED");

	return n ? strtoull(n, NULL, 0) : 1;
}

static void test_reset_is_like_new(void **state)
{
	for (u64 i = 0; i < 4; i++)
		run(first_seed() + i, NULL, rounds(20));
}

static void test_reset_is_like_new_in_a_vm(void **state)
{
	struct tkvm_error err;
	struct tk_kvm kvm;

	if (tk_kvm_open(&kvm, &err)) {
		print_message("%s\n", err.message);
		skip();
	}
	for (u64 i = 0; i < 2; i++)
		run(first_seed() + 50 + i, &kvm, rounds(20));
	tk_kvm_close(&kvm);
}

static long faults(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_minflt + usage.ru_majflt;
}

static void steady_round(struct world *w, u32 value)
{
	for (unsigned int page = 0; page < 40; page++) {
		u32 v = value;

		assert_true(guest(w, STORE, WINDOW + page * 5 * PAGE, &v));
	}
	assert_int_equal(tk_mm_reset(w->mm), 0);
}

/*
 * A guest that does the same in every run: once its pages are hot, no fault of the guest or the
 * VMM, no host call, and the pages copied are those that it wrote.
 */
static void test_a_steady_guest_is_only_copied(void **state)
{
	struct tk_mm_fork_usage before, after;
	struct tkvm_error err;
	struct tk_kvm kvm;
	struct world w;
	u64 lazy;
	long n;

	if (tk_kvm_open(&kvm, &err)) {
		print_message("%s\n", err.message);
		skip();
	}
	begin(&w, 1, &kvm);
	tk_mm_destroy(w.mm);
	begin_fork(&w);
	for (u32 i = 0; i < 10; i++)
		steady_round(&w, i + 1);
	tk_mm_fork_usage(w.mm, &before, false);
	lazy = w.mm->lazy_faults;
	n = faults();
	for (u32 i = 0; i < 30; i++)
		steady_round(&w, i + 100);
	n = faults() - n;
	tk_mm_fork_usage(w.mm, &after, false);
	assert_int_equal(after.host_calls, before.host_calls);
	assert_int_equal(after.reprotects, before.reprotects);
	assert_int_equal(after.hot_pages, before.hot_pages);
	assert_int_equal(after.copied_pages - before.copied_pages, 30 * 40);
	assert_int_equal(w.mm->lazy_faults, lazy);
	assert_true(n <= 2); /* the host may have reasons of its own */
	end_fork(&w);
	tk_mm_image_put(w.image);
	tk_backing_put(w.backing);
	tk_backing_put(w.shared);
	close(w.file);
	close(w.memfd);
	tk_kvm_close(&kvm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_is_like_new),
		cmocka_unit_test(test_reset_is_like_new_in_a_vm),
		cmocka_unit_test(test_a_steady_guest_is_only_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
