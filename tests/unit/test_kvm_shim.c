/* SPDX-License-Identifier: MIT */
/*
 * The shim at PVM's SYSCALL entry: what it answers, what it leaves to the VMM and in which state,
 * and that a thread which is stopped in it, or goes there by itself, is never seen there. Elsewhere
 * there is no shim, and nothing to test.
 */
#include <pthread.h>
#include <unistd.h>
#include "kvm/kick.h"
#include "test_kvm_rig.h"

#define FD    5u
#define N     1000u
#define BUF   (RIG_DATA + 100)
#define TAKEN ((volatile u64 *)&tk_vm_shim(rig.vm)->taken)

/* The first call, then what it left behind in R12 to R15, then a call that nobody answers. */
GUEST(read_once, "syscall\nmov %rcx, %r14\nmov %r11, %r13\npushfq\npop %r12\nmov %rax, %r15\n"
		 "mov $99, %eax\nsyscall\nmov $98, %eax\nsyscall\n");

/* N times 64 bytes; what was taken is given back each time. */
GUEST(read_for_ever, "1: xor %eax, %eax\nsyscall\ncmp %rdx, %rax\njne 2f\n"
		     "mov %r8, %rax\ncmp %rax, (%r9)\njne 2f\nmovq $0, (%r9)\n"
		     "inc %rbx\njmp 1b\n2: ud2\n");

static u8 *data(void)
{
	return (u8 *)tk_vm_ahead(rig.vm) + TK_AHEAD_DATA;
}

static u8 *guest(gva_t addr)
{
	return rig.mem + (addr - RIG_CODE);
}

static void give(u32 given)
{
	struct tk_ahead_page *page = tk_vm_ahead(rig.vm);

	for (u32 i = 0; i < TK_AHEAD_WINDOW; i++)
		data()[i] = (u8)(i * 7 + i / 256);
	*page = (struct tk_ahead_page){.fd = FD, .given = given, .deadline = ~0ull};
	*TAKEN = 0;
}

static bool no_shim(void)
{
	if (tk_vm_ahead(rig.vm))
		return false;
	assert_false(PVM);
	skip();
	return true;
}

static void load_read(void)
{
	rig_load(&rig, read_once);
	memset(guest(RIG_DATA), 0xee, 4 * 4096);
	rig.r->rax = 0;
	rig.r->rdi = FD;
	rig.r->rsi = BUF;
	rig.r->rdx = N;
}

/* Run @before's call: it reaches the VMM as it was made, and nothing has happened. */
static void expect_left(void)
{
	struct tk_uregs before = *rig.r;

	rig_expect(&rig, TK_EXIT_SYSCALL);
	before.rip = before.rcx = RIG_CODE + 2;
	before.r11 = before.rflags;
	assert_int_equal(rig.r->rflags & ~0x10000ull, before.rflags);
	rig.r->rflags = before.rflags;
	rig.r->r11 = before.r11;
	assert_memory_equal(rig.r, &before, sizeof(before));
	assert_int_equal(*TAKEN, 0);
	/* and the VMM's answer arrives */
	rig.r->rax = 0x4321;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rax, 99);
	assert_int_equal(rig.r->r15, 0x4321);
	assert_int_equal(rig.r->r14, RIG_CODE + 2);
	assert_int_equal(rig.r->rsi, before.rsi);
	assert_int_equal(rig.r->rdx, before.rdx);
}

static void expect_served(void)
{
	struct tk_uregs before = *rig.r;
	u32 at = (u32)*TAKEN;

	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rax, 99);
	assert_int_equal(rig.r->r15, before.rdx);
	assert_int_equal(rig.r->r14, RIG_CODE + 2);
	assert_int_equal(rig.r->r13, before.rflags);
	assert_int_equal(rig.r->r12, before.rflags);
	assert_int_equal(rig.r->rdi, before.rdi);
	assert_int_equal(rig.r->rsi, before.rsi);
	assert_int_equal(rig.r->rdx, before.rdx);
	assert_int_equal(rig.r->rsp, before.rsp);
	assert_memory_equal(&rig.r->rbx, &before.rbx, 8);
	assert_memory_equal(&rig.r->rbp, &before.rbp, 8);
	assert_memory_equal(&rig.r->r8, &before.r8, 24);
	assert_memory_equal(guest(before.rsi), data() + at, before.rdx);
}

static void test_reads_of_what_was_read_ahead_do_not_leave(void **state)
{
	if (no_shim())
		return;
	give(2 * N);
	load_read();
	expect_served();
	assert_int_equal(*TAKEN, 1ull << 32 | N);
	assert_int_equal(*guest(BUF - 1), 0xee);
	assert_int_equal(*guest(BUF + N), 0xee);
	load_read();
	expect_served();
	assert_int_equal(*TAKEN, 2ull << 32 | 2 * N);
	load_read();
	rig.r->rdx = 1;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rax, 0);
}

static void test_flags_are_those_of_the_call(void **state)
{
	static const u64 bits[] = {1, 4, 0x10, 0x40, 0x80, 0x800};

	if (no_shim())
		return;
	for (unsigned int set = 0; set < 64; set++) {
		give(N);
		load_read();
		for (unsigned int i = 0; i < 6; i++)
			rig.r->rflags |= set >> i & 1 ? bits[i] : 0;
		expect_served();
	}
	/* what it does not restore it leaves to the VMM */
	give(N);
	load_read();
	rig.r->rflags |= 0x400; /* DF */
	expect_left();
	load_read();
	rig.r->rflags |= 0x40000; /* AC */
	expect_left();
}

static void test_anything_else_leaves_as_it_came(void **state)
{
	if (no_shim())
		return;
	give(N);
	load_read();
	rig.r->rdi = FD + 1;
	expect_left();
	load_read();
	rig.r->rax = 1;
	expect_left();
	load_read();
	rig.r->rax = 1ull << 32;
	expect_left();
	load_read();
	rig.r->rdx = N + 1;
	expect_left();
	load_read();
	rig.r->rdx = ~0ull;
	expect_left();
	load_read();
	rig.r->rdx = 0;
	expect_left();
	load_read();
	tk_vm_ahead(rig.vm)->deadline = __builtin_ia32_rdtsc();
	expect_left();
	give(0);
	load_read();
	expect_left();
	/* the upper half of a descriptor does not count */
	give(N);
	load_read();
	rig.r->rdi |= 7ull << 32;
	expect_served();
}

/* The VMM finds out what is wrong with the buffer, or gives it its pages. */
static void test_a_bad_buffer_is_left_to_the_vmm(void **state)
{
	static const gva_t bad[] = {
		RIG_HOLE,
		RIG_RO,
		RIG_CODE,
		RIG_RO - 10,
		0,
		~0ull - 500,
		1ull << 63,
		TK_KERNEL_VA,
		TK_KERNEL_VA + TK_AREA_ENTRY,
		TK_AHEAD_VA,
	};

	if (no_shim())
		return;
	for (size_t i = 0; i < TK_ARRAY_SIZE(bad); i++) {
		give(N);
		load_read();
		rig.r->rsi = bad[i];
		expect_left();
	}
}

/* A file behind the buffer was cut off: KVM says so in an exit of its own. */
static void test_a_buffer_whose_memory_is_gone_is_left_to_the_vmm(void **state)
{
	int fd = memfd_create("cut", MFD_CLOEXEC);
	void *map;

	if (no_shim())
		return;
	assert_int_equal(ftruncate(fd, 4096), 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_int_equal(tk_vm_slot_add(rig.vm, RIG_GPA_FILE, 4096, map, 0), 0);
	give(N);
	load_read();
	rig.r->rsi = RIG_FILE;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rax, 99);
	assert_memory_equal(map, data(), N);
	assert_int_equal(ftruncate(fd, 0), 0);
	give(N);
	load_read();
	rig.r->rsi = RIG_FILE;
	expect_left();
	munmap(map, 4096);
	close(fd);
}

static void test_a_stack_pointer_that_is_not_canonical_does_not_matter(void **state)
{
	if (no_shim())
		return;
	give(N);
	rig_load(&rig, syscall_twice);
	rig.r->rax = 0;
	rig.r->rdi = FD;
	rig.r->rsi = BUF;
	rig.r->rdx = N;
	rig.r->rsp = 1ull << 63;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rsp, 1ull << 63);
}

static void fill_page(u64 with)
{
	u64 *words = (u64 *)tk_vm_shim(rig.vm);

	for (unsigned int i = 0; i < sizeof(struct tk_shim_page) / 8; i++)
		words[i] = with;
}

/* Whatever comes of it, it is the program's own affair. */
static void expect_survived(void)
{
	for (int i = 0; i < 3; i++)
		if (rig_run(&rig) == TK_EXIT_FAILED || rig.exit.kind == TK_EXIT_SHUTDOWN)
			rig_expect(&rig, TK_EXIT_SYSCALL);
	rig_load(&rig, syscall_twice);
	rig_expect(&rig, TK_EXIT_SYSCALL);
}

static void test_a_jump_to_any_byte_of_it_harms_nobody(void **state)
{
	static const u64 pages[] = {0, ~0ull, RIG_DATA, 0x7fff00001000, 1ull << 63};

	if (no_shim())
		return;
	for (u64 off = TK_ENTRY_SHIM; off < 0x180; off++)
		for (size_t i = 0; i < TK_ARRAY_SIZE(pages); i++) {
			give(N);
			fill_page(pages[i]);
			LOAD_WITH_RBX(jump_rbx, ENTRY_VA + off);
			rig.r->rax = 0;
			rig.r->rdi = FD;
			rig.r->rsi = BUF;
			rig.r->rdx = N;
			rig.r->rcx = i & 1 ? pages[i] : RIG_CODE;
			if (rig.r->rcx == RIG_CODE) /* not for ever */
				rig.r->rcx = RIG_CODE + 2;
			expect_survived();
		}
}

static void test_whatever_stands_in_its_page(void **state)
{
	static const u64 pages[] = {1, N, ~0ull, 0xffffffff, 1ull << 31, 0x80000000ull << 32};

	if (no_shim())
		return;
	for (size_t i = 0; i < TK_ARRAY_SIZE(pages); i++) {
		give(N);
		load_read();
		fill_page(pages[i]);
		expect_survived();
	}
}

struct kicker {
	pthread_t thread;
	struct tk_kick *kick;
	int times;
	volatile bool done;
};

static void *kicker_main(void *arg)
{
	struct kicker *k = arg;

	for (int i = 0; i < k->times; i++) {
		usleep(100);
		tk_kick_send(k->kick);
	}
	k->done = true;
	return NULL;
}

/* How often it was stopped before the call, having been on its way already. */
static int run_kicked(struct kicker *k, u64 size)
{
	int before = 0;

	while (!k->done) {
		tk_vcpu_run(rig.vcpu, &rig.exit);
		tk_kick_drain();
		if (tk_vcpu_in_entry(rig.vcpu))
			continue;
		assert_int_equal(rig.exit.kind, TK_EXIT_INTERRUPTED);
		assert_true(rig.r->rip - RIG_CODE < 64);
		assert_int_equal(rig.r->rdi, FD);
		assert_int_equal(rig.r->rsi, BUF);
		assert_int_equal(rig.r->rdx, size);
		if (rig.r->rip != RIG_CODE + 2)
			continue;
		before++;
		assert_int_equal(rig.r->rax, 0);
		assert_int_equal(*TAKEN, 0);
		/* the call is made anew, from the start */
		memset(guest(BUF), 0, size);
	}
	return before;
}

static void try_kicks(u64 size, int times)
{
	struct kicker k = {.times = times};
	struct tkvm_error err;
	int before;
	u64 rbx;

	give((u32)size);
	rig_load(&rig, read_for_ever);
	rig.r->rdi = FD;
	rig.r->rsi = BUF;
	rig.r->rdx = size;
	rig.r->r8 = 1ull << 32 | size;
	rig.r->r9 = TK_SHIM_VA;
	rig.r->rflags = 0x202;
	rbx = rig.r->rbx;
	assert_int_equal(tk_kick_create(&k.kick, &err), 0);
	assert_int_equal(pthread_create(&k.thread, NULL, kicker_main, &k), 0);
	before = run_kicked(&k, size);
	pthread_join(k.thread, NULL);
	tk_kick_destroy(k.kick);
	assert_true(rig.r->rbx - rbx > 1000);
	assert_true(before > times / 20);
	if (rig.r->rip >= RIG_CODE + 4)
		assert_memory_equal(guest(BUF), data(), size);
}

/*
 * A call that was put on record is over at that very instruction: wherever else it is stopped, it
 * is made again. One boundary among hundreds, which kicks do not meet in a test's time.
 */
static void test_what_is_on_record_is_done(void **state)
{
	extern const u8 tk_entry_page[], tk_fast_done[];
	static const u64 place = TK_SHIM_VA + TK_RECORD_AT + TK_RECORD_COUNT;
	volatile u64 size = 6; /* movl %eax, disp32(%rip) */
	const u8 *store = tk_fast_done - size;
	int disp;

	assert_int_equal(store[0], 0x89);
	assert_int_equal(store[1], 0x05);
	memcpy(&disp, store + 2, sizeof(disp));
	assert_int_equal(TK_KERNEL_VA + TK_AREA_ENTRY + (u64)(tk_fast_done - tk_entry_page) +
				 (u64)(s64)disp,
			 place);
}

static void test_a_call_that_is_interrupted_was_made_or_was_not(void **state)
{
	if (no_shim())
		return;
	try_kicks(12000, 1000);
	try_kicks(1, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_reads_of_what_was_read_ahead_do_not_leave),
		RIG_TEST(test_flags_are_those_of_the_call),
		RIG_TEST(test_anything_else_leaves_as_it_came),
		RIG_TEST(test_a_bad_buffer_is_left_to_the_vmm),
		RIG_TEST(test_a_buffer_whose_memory_is_gone_is_left_to_the_vmm),
		RIG_TEST(test_a_stack_pointer_that_is_not_canonical_does_not_matter),
		RIG_TEST(test_a_jump_to_any_byte_of_it_harms_nobody),
		RIG_TEST(test_whatever_stands_in_its_page),
		RIG_TEST(test_what_is_on_record_is_done),
		RIG_TEST(test_a_call_that_is_interrupted_was_made_or_was_not),
	};

	return cmocka_run_group_tests_name("kvm_shim", tests, rig_open_kvm, rig_close_kvm);
}
