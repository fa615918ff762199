/* SPDX-License-Identifier: MIT */
/*
 * Makes arbitrary system calls in a process that has everything but a virtual machine. The input
 * is a stream: a byte chooses a row of table.h, the kinds of its arguments say what to take for
 * them. Blocked calls are woken, timed out or dropped, never waited for.
 *
 * The host is safe: the policy grants a scratch directory and no network, files stay small, and
 * calls that would touch all of the host's file systems are left out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../unit/sysproc.h"
#include "fuzz.h"
#include "sys/desc.h"

#define MAX_CALLS   400
#define MAX_REENTER 4
#define MAX_FILE    TK_MIB(4)

/* Guest memory with something special about it. */
#define READ_ONLY 0x200000ull
#define NO_ACCESS 0x210000ull
#define LAZY	  0x10000000ull
#define LAZY_SIZE TK_MIB(64)
#define UNMAPPED  0x7f1234567000ull
#define SLOTS	  64 /* of 512 bytes in FAKE_MEM, for structures */
#define SLOT_SIZE 512ull

struct fuzz {
	const u8 *data;
	size_t left;
	struct fakeproc fake;
	unsigned int next_slot;
};

static char scratch[64];
static int scratch_fd;

static u8 take8(struct fuzz *fuzz)
{
	if (!fuzz->left)
		return 0;
	fuzz->left--;
	return *fuzz->data++;
}

static u64 take(struct fuzz *fuzz, unsigned int bytes)
{
	u64 value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (u64)take8(fuzz) << 8 * i;
	return value;
}

static gva_t slot(struct fuzz *fuzz)
{
	return FAKE_MEM + fuzz->next_slot++ % SLOTS * SLOT_SIZE;
}

static u64 take_pointer(struct fuzz *fuzz)
{
	static const u64 special[] = {
		0,
		1,
		READ_ONLY,
		READ_ONLY + 4000,
		NO_ACCESS,
		NO_ACCESS - 8,
		LAZY,
		LAZY + LAZY_SIZE - 3,
		LAZY + TK_MIB(1) - 1,
		UNMAPPED,
		FAKE_MEM + FAKE_MEM_SIZE - 1,
		FAKE_MEM + FAKE_MEM_SIZE - 16,
		FAKE_MEM + 4090,
		0x7fffbffff000,
		0x7fffc0000000,
		0x7ffffffff000,
		0x7fffffffffff,
		0x800000000000,
		0xffff800000000000,
		0xfffffffffffff000,
		~0ull,
	};
	u8 choice = take8(fuzz);

	if (choice < 160)
		return FAKE_MEM + choice * 256u;
	if (choice < 250)
		return special[choice % TK_ARRAY_SIZE(special)];
	return take(fuzz, 8);
}

static u64 take_number(struct fuzz *fuzz)
{
	static const u64 special[] = {0,
				      1,
				      2,
				      3,
				      7,
				      8,
				      15,
				      16,
				      100,
				      127,
				      128,
				      255,
				      256,
				      1024,
				      4095,
				      4096,
				      4097,
				      8192,
				      65535,
				      65536,
				      0x100000,
				      0x3ffffff,
				      0x4000000,
				      0x7fffffff,
				      0x80000000,
				      0xfffffffe,
				      0xffffffff,
				      0x100000000,
				      0x7fffffffffffffff,
				      0x8000000000000000,
				      ~0ull - 4095,
				      ~0ull - 1,
				      ~0ull};
	u8 choice = take8(fuzz);

	if (choice < 64)
		return choice;
	if (choice < 128)
		return take(fuzz, 1 + choice % 2);
	if (choice < 240)
		return special[choice % TK_ARRAY_SIZE(special)];
	return take(fuzz, 8);
}

/* Put bytes of the input where @fuzz->fake can see them; returns where. */
static gva_t put(struct fuzz *fuzz, const void *data, size_t len)
{
	gva_t at = slot(fuzz);

	if (len > SLOT_SIZE)
		len = SLOT_SIZE;
	if (tk_copy_out(fuzz->fake.proc.mm, at, data, len)) {
		/* the input has unmapped it: that is its right */
	}
	return at;
}

static u64 take_path(struct fuzz *fuzz)
{
	static const char *const names[] = {
		"a",
		"b/c",
		"link",
		"loop",
		"dangling",
		"w/new",
		"w/dir",
		"w/dir/x",
		"w",
		"",
		".",
		"..",
		"/",
		"a/",
		"b/../a",
		"/proc/self/fd/3",
		"/proc/self/fd",
		"/proc/self/maps",
		"/proc/self/exe",
		"/proc/self/comm",
		"/proc/thread-self/stat",
		"/proc/2/task/2/../../fdinfo/3",
		"/dev/null",
		"/dev/zero",
		"/dev/urandom",
		"/dev/shm",
		"/dev/stdin",
		"/dev/fd/4",
		"/sys/devices/system/cpu/online",
		"/etc/passwd",
		"/nonexistent/x",
		"fifo",
		"w/socket",
		"b",
		"user.test",
		"security.x",
	};
	char text[SLOT_SIZE];
	u8 choice = take8(fuzz);
	size_t len = 0;

	if (choice < 200)
		return put(fuzz, names[choice % TK_ARRAY_SIZE(names)],
			   strlen(names[choice % TK_ARRAY_SIZE(names)]) + 1);
	if (choice < 230) {
		len = take8(fuzz);
		for (size_t i = 0; i < len; i++)
			text[i] = (char)take8(fuzz);
		text[len] = '\0';
		return put(fuzz, text, len + 1);
	}
	return take_pointer(fuzz);
}

/* A structure: up to 64 bytes of the input, some words of which may be pointers and lengths. */
static u64 take_struct(struct fuzz *fuzz)
{
	u64 words[8] = {0};
	u8 choice = take8(fuzz);
	unsigned int n = choice % 9;

	if (choice >= 200)
		return take_pointer(fuzz);
	for (unsigned int i = 0; i < n; i++) {
		u8 kind = take8(fuzz);

		if (kind < 80)
			words[i] = take(fuzz, 1 + kind % 8);
		else if (kind < 170)
			words[i] = take_number(fuzz);
		else
			words[i] = take_pointer(fuzz);
	}
	return put(fuzz, words, sizeof(words));
}

static u64 take_fd(struct fuzz *fuzz)
{
	u8 choice = take8(fuzz);

	if (choice < 200)
		return choice % 16;
	return choice < 220 ? (u64)-1 : take_number(fuzz);
}

static u64 take_flags(struct fuzz *fuzz)
{
	u8 choice = take8(fuzz);

	if (choice < 100)
		return 1ull << choice % 32;
	if (choice < 150)
		return 1ull << take8(fuzz) % 32 | 1ull << take8(fuzz) % 32;
	return choice < 220 ? take(fuzz, 1 + choice % 4) : take_number(fuzz);
}

static u64 take_map_flags(struct fuzz *fuzz)
{
	static const u64 common[] = {MAP_PRIVATE | MAP_ANONYMOUS,
				     MAP_SHARED | MAP_ANONYMOUS,
				     MAP_PRIVATE,
				     MAP_SHARED,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				     MAP_PRIVATE | MAP_FIXED,
				     MAP_SHARED_VALIDATE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_STACK};
	u8 choice = take8(fuzz);

	return choice < 200 ? common[choice % TK_ARRAY_SIZE(common)] : take_flags(fuzz);
}

static u64 take_argument(struct fuzz *fuzz, enum tk_arg_kind kind)
{
	switch (kind) {
	case TK_ARG_NONE:
		return 0;
	case TK_ARG_FD:
		return take_fd(fuzz);
	case TK_ARG_DIRFD: {
		u8 choice = take8(fuzz);

		return choice < 160 ? (u64)AT_FDCWD : choice % 16;
	}
	case TK_ARG_PATH:
	case TK_ARG_STR:
		return take_path(fuzz);
	case TK_ARG_IN:
	case TK_ARG_IOV:
	case TK_ARG_TIMESPEC:
		return take_struct(fuzz);
	case TK_ARG_OUT:
	case TK_ARG_BUF_IN:
	case TK_ARG_BUF_OUT:
	case TK_ARG_ADDR:
		return take8(fuzz) & 1 ? take_struct(fuzz) : take_pointer(fuzz);
	case TK_ARG_OFLAGS:
	case TK_ARG_HEX:
	case TK_ARG_MODE:
		return take_flags(fuzz);
	case TK_ARG_PROT:
		return take8(fuzz) % 9;
	case TK_ARG_MAPFLAGS:
		return take_map_flags(fuzz);
	case TK_ARG_SIG:
		return take8(fuzz) % 70;
	case TK_ARG_CLOCK:
		return take8(fuzz) % 13;
	case TK_ARG_PID: {
		u8 choice = take8(fuzz);

		return choice < 128 ? choice % 4 : take_number(fuzz);
	}
	default:
		return take_number(fuzz);
	}
}

/* These would flush, or wait for, all of the host's disks. */
static bool is_left_out(u64 nr)
{
	return nr == SYS_sync || nr == SYS_syncfs;
}

static u64 take_call(struct fuzz *fuzz)
{
	u64 nr = take8(fuzz) | (u64)(take8(fuzz) & 1) << 8;

	/* Rows with small numbers stand in for gaps, so that few bytes are lost on -ENOSYS. */
	if (!tk_syscall_desc(nr) && nr % 8)
		nr %= 64;
	return nr;
}

static void drop(struct tk_task *task)
{
	tk_wait_end(task);
	task->state = TK_TASK_RUNNABLE;
	task->in_call = false;
}

/* What the run loop would do with a call that blocks, without the waiting. */
static long finish(struct fuzz *fuzz, struct tk_task *task)
{
	long rc = TK_BLOCKED;

	for (int i = 0; i < MAX_REENTER && rc == TK_BLOCKED; i++) {
		task->in_call = true;
		if (take8(fuzz) & 1)
			task->wait.deadline = 1; /* long ago */
		else
			tk_task_wake(task);
		task->state = TK_TASK_RUNNABLE;
		rc = tk_syscall(task);
	}
	if (rc == TK_BLOCKED)
		drop(task);
	return rc;
}

static void settle(struct fuzz *fuzz, struct tk_task *task, long rc)
{
	task->in_call = false;
	task->state = task->state == TK_TASK_BLOCKED ? TK_TASK_RUNNABLE : task->state;
	if (rc == -TK_ERESTARTSYS || rc == -TK_ERESTARTNOHAND)
		task->interrupted = (int)-rc;
	else if (rc != TK_NO_RESULT && rc != TK_BLOCKED)
		task->regs->rax = (u64)rc;
	tk_signal_deliver(task);
}

static void make_call(struct fuzz *fuzz)
{
	struct tk_task *task = fuzz->fake.task;
	u64 nr = take_call(fuzz);
	const struct tk_syscall_desc *desc = tk_syscall_desc(nr);
	long rc;

	if (is_left_out(nr))
		return;
	task->nr = nr;
	for (unsigned int i = 0; i < 6; i++)
		task->args[i] = take_argument(fuzz, desc ? desc->kinds[i] : TK_ARG_NONE);
	if (getenv("FUZZ_VERBOSE"))
		fuzz->fake.proc.trace_fd = 2;
	rc = tk_syscall(task);
	if (rc == TK_BLOCKED)
		rc = finish(fuzz, task);
	settle(fuzz, task, rc);
}

static void write_file(const char *name)
{
	int fd = openat(scratch_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, scratch, sizeof(scratch)) != (ssize_t)sizeof(scratch))
		abort();
	close(fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_DNR || type == FTW_DP)
		rmdir(path);
	else
		unlink(path);
	return 0;
}

static void remove_scratch(void)
{
	nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void must(int rc)
{
	if (rc && errno != EEXIST)
		abort();
}

static void fill_scratch(void)
{
	must(mkdirat(scratch_fd, "w", 0777));
	must(mkdirat(scratch_fd, "b", 0755));
	write_file("a");
	write_file("b/c");
	must(mkfifoat(scratch_fd, "fifo", 0644));
	must(symlinkat("a", scratch_fd, "link"));
	must(symlinkat("loop", scratch_fd, "loop"));
	must(symlinkat("nowhere", scratch_fd, "dangling"));
}

/* Once per process: the scratch directory, and limits on what a mistake could do. */
static void prepare(void)
{
	const struct rlimit small_files = {MAX_FILE, MAX_FILE};
	const char *tmp = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";

	umask(022);
	snprintf(scratch, sizeof(scratch), "%s/fuzz_syscall.XXXXXX", tmp);
	if (!mkdtemp(scratch))
		abort();
	scratch_fd = open(scratch, O_DIRECTORY | O_PATH | O_CLOEXEC);
	atexit(remove_scratch);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small_files);
	fill_scratch();
}

static void grant(struct tk_policy *policy)
{
	struct tkvm_error err;
	char writable[sizeof(scratch) + 2];

	tk_policy_init(policy);
	snprintf(writable, sizeof(writable), "%s/w", scratch);
	if (tk_policy_allow_path(policy, scratch, TK_MAY_READ, &err) ||
	    tk_policy_allow_path(policy, writable, TK_MAY_READ | TK_MAY_WRITE, &err))
		abort();
}

static void open_descriptors(struct fakeproc *fake)
{
	static const struct {
		const char *path;
		int flags;
	} files[] = {{"a", O_RDONLY},
		     {"w/new", O_RDWR | O_CREAT},
		     {".", O_DIRECTORY},
		     {"/dev/zero", O_RDWR},
		     {"/proc/self/stat", O_RDONLY}};

	for (size_t i = 0; i < TK_ARRAY_SIZE(files); i++) {
		struct tk_file *file;

		if (tk_ns_open(&fake->proc.ns, &fake->proc.files, AT_FDCWD, files[i].path,
			       files[i].flags, 0644, 0, &file) == 0 &&
		    tk_fd_install_or_put(&fake->proc.files, file, false) < 0)
			abort();
	}
}

static void start(struct fuzz *fuzz)
{
	struct fakeproc *fake = &fuzz->fake;

	grant(&fake->policy);
	fake_start(fake, scratch);
	fake->proc.cred =
		(struct tk_cred){geteuid(), geteuid(), geteuid(), getegid(), getegid(), getegid()};
	fake_map(fake, READ_ONLY, 2 * TK_PAGE_SIZE, PROT_READ);
	fake_map(fake, NO_ACCESS, TK_PAGE_SIZE, PROT_NONE);
	fake_map(fake, LAZY, LAZY_SIZE, PROT_READ | PROT_WRITE);
	fake->regs.rsp = LAZY + TK_MIB(2);
	open_descriptors(fake);
}

static unsigned int count_host_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void check(const struct fuzz *fuzz)
{
	const struct tk_fdtable *files = &fuzz->fake.proc.files;
	const char *wrong = tk_mm_check(fuzz->fake.proc.mm, true);
	unsigned int open = 0;

	if (wrong)
		fake_fail(wrong);
	for (unsigned int fd = 0; fd < files->size; fd++) {
		open += files->fds[fd].file != NULL;
		if (!files->fds[fd].file && fd < files->lowest)
			fake_fail("a free descriptor below the lowest free one");
	}
	if (open != files->open)
		fake_fail("descriptors are miscounted");
	if (umask(022) != 022)
		fake_fail("the VMM's own umask was changed");
}

static void clean(void)
{
	char writable[sizeof(scratch) + 2];

	snprintf(writable, sizeof(writable), "%s/w", scratch);
	nftw(writable, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	fill_scratch();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct fuzz fuzz; /* large, and the only one at a time */
	unsigned int before;

	if (!scratch[0])
		prepare();
	before = count_host_fds();
	memset(&fuzz, 0, sizeof(fuzz));
	fuzz.data = data;
	fuzz.left = size;
	start(&fuzz);
	for (int i = 0; i < MAX_CALLS && fuzz.left && !fuzz.fake.proc.exiting; i++)
		make_call(&fuzz);
	check(&fuzz);
	if (fuzz.fake.task->state == TK_TASK_BLOCKED)
		drop(fuzz.fake.task);
	fuzz.fake.proc.current = NULL;
	fake_end(&fuzz.fake);
	if (count_host_fds() != before)
		fake_fail("host descriptors leaked");
	clean();
	return 0;
}
