/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "sysproc.h"

static struct fakeproc fake;

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	tk_policy_init(&fake.policy);
	fake_start(&fake, "/");
	return 0;
}

static int teardown(void **state)
{
	fake_end(&fake);
	return 0;
}

static struct tk_synth_entry look(const char *path)
{
	struct tk_synth *synth = &fake.proc.ns.synth;
	struct tk_synth_entry entry;

	synth->ops->lookup(synth->ctx, path, &entry);
	return entry;
}

/* Content of @path, valid until the next call; NULL: an error. */
static const char *content(const char *path)
{
	static char text[1 << 16];
	struct tk_synth *synth = &fake.proc.ns.synth;
	struct tk_buf out = {0};
	int rc = synth->ops->read(synth->ctx, path, &out);

	snprintf(text, sizeof(text), "%.*s", (int)out.len, out.data ? out.data : "");
	tk_buf_free(&out);
	return rc ? NULL : text;
}

static void test_paths_have_kinds(void **state)
{
	static const struct {
		const char *path;
		enum tk_synth_kind kind;
	} expected[] = {
		{"/proc", TK_SYNTH_DIR},
		{"/proc/self", TK_SYNTH_LINK},
		{"/proc/2", TK_SYNTH_DIR},
		{"/proc/2/maps", TK_SYNTH_FILE},
		{"/proc/2/exe", TK_SYNTH_LINK},
		{"/proc/2/task", TK_SYNTH_DIR},
		{"/proc/2/task/2", TK_SYNTH_DIR},
		{"/proc/2/task/2/comm", TK_SYNTH_FILE},
		{"/proc/2/task/2/task", TK_SYNTH_ABSENT},
		{"/proc/2/task/3", TK_SYNTH_ABSENT},
		{"/proc/2/fd", TK_SYNTH_DIR},
		{"/proc/2/fd/0", TK_SYNTH_ABSENT},
		{"/proc/2/fd/-1", TK_SYNTH_ABSENT},
		{"/proc/2/fd/00", TK_SYNTH_ABSENT},
		{"/proc/2/fd/99999999999999999999", TK_SYNTH_ABSENT},
		{"/proc/2/mem", TK_SYNTH_ABSENT},
		{"/proc/2/pagemap", TK_SYNTH_ABSENT},
		{"/proc/2/maps/x", TK_SYNTH_ABSENT},
		{"/proc/1", TK_SYNTH_ABSENT},
		{"/proc/02", TK_SYNTH_ABSENT},
		{"/proc/2x", TK_SYNTH_ABSENT},
		{"/proc/kcore", TK_SYNTH_ABSENT},
		{"/proc/sys", TK_SYNTH_DIR},
		{"/proc/sys/kernel", TK_SYNTH_DIR},
		{"/proc/sys/kernel/random", TK_SYNTH_DIR},
		{"/proc/sys/kernel/osrelease", TK_SYNTH_FILE},
		{"/proc/sys/kernel/core_pattern/..", TK_SYNTH_ABSENT},
		{"/proc/sysrq-trigger", TK_SYNTH_ABSENT},
		{"/process", TK_SYNTH_NONE},
		{"/sys", TK_SYNTH_DIR},
		{"/sys/devices/system/cpu/online", TK_SYNTH_FILE},
		{"/sys/devices/system/cpu/cpu0", TK_SYNTH_DIR},
		{"/sys/devices/system/cpu/cpu1", TK_SYNTH_ABSENT},
		{"/sys/fs/cgroup/memory.max", TK_SYNTH_FILE},
		{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", TK_SYNTH_ABSENT},
		{"/dev", TK_SYNTH_DIR},
		{"/dev/null", TK_SYNTH_HOST},
		{"/dev/kvm", TK_SYNTH_ABSENT},
		{"/dev/ptmx", TK_SYNTH_ABSENT},
		{"/dev/stdin", TK_SYNTH_LINK},
		{"/dev/shm", TK_SYNTH_NONE},
		{"/dev/shm/x/y", TK_SYNTH_NONE},
		{"/etc/passwd", TK_SYNTH_NONE},
	};

	for (size_t i = 0; i < TK_ARRAY_SIZE(expected); i++)
		if (look(expected[i].path).kind != expected[i].kind)
			fail_msg("%s: %d", expected[i].path, look(expected[i].path).kind);
}

static void test_the_host_sys_is_seen_only_by_permission(void **state)
{
	struct tkvm_error err;

	assert_int_equal(look("/sys/class").kind, TK_SYNTH_NONE);
	assert_int_equal(look("/sys/devices").kind, TK_SYNTH_DIR);
	assert_int_equal(tk_policy_allow_path(&fake.policy, NULL, TK_MAY_READ, &err), 0);
	assert_int_equal(look("/sys/devices").kind, TK_SYNTH_NONE);
	assert_int_equal(look("/sys/devices/system/cpu").kind, TK_SYNTH_DIR);
	assert_int_equal(look("/proc/kcore").kind, TK_SYNTH_ABSENT);
}

struct walk {
	const char *dir;
	unsigned int files, depth;
};

static bool visit(void *arg, const char *name, const struct tk_synth_entry *entry)
{
	struct tk_synth *synth = &fake.proc.ns.synth;
	struct walk *walk = arg, inner = {.depth = walk->depth + 1};
	struct tk_synth_entry again;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", walk->dir, name);
	again = look(path);
	assert_int_equal(again.kind, entry->kind);
	assert_int_equal(again.ino, entry->ino);
	walk->files++;
	if (entry->kind == TK_SYNTH_FILE && !content(path))
		fail_msg("%s cannot be read", path);
	if (entry->kind == TK_SYNTH_DIR && walk->depth < 8) {
		inner.dir = path;
		assert_int_equal(synth->ops->list(synth->ctx, path, visit, &inner), 0);
		walk->files += inner.files;
	}
	return true;
}

static void test_everything_listed_can_be_read(void **state)
{
	struct tk_synth *synth = &fake.proc.ns.synth;
	static const char *const roots[] = {"/proc", "/sys", "/dev"};
	unsigned int files = 0;

	for (size_t i = 0; i < TK_ARRAY_SIZE(roots); i++) {
		struct walk walk = {.dir = roots[i]};

		assert_int_equal(synth->ops->list(synth->ctx, roots[i], visit, &walk), 0);
		files += walk.files;
	}
	assert_true(files > 200);
	assert_int_equal(synth->ops->list(synth->ctx, "/proc/nothing", visit, NULL), -ENOENT);
	assert_int_equal(synth->ops->list(synth->ctx, "/proc/stat", visit, NULL), -ENOTDIR);
}

static void test_maps_has_the_kernel_columns(void **state)
{
	const char *text;

	tk_mm_set_name(fake.proc.mm, FAKE_MEM, FAKE_MEM_SIZE, "[heap]");
	fake_map(&fake, 0x7f0000000000, TK_PAGE_SIZE, PROT_READ | PROT_EXEC);
	text = content("/proc/2/maps");
	assert_string_equal(text, "00100000-00120000 rw-p 00000000 00:00 0 "
				  "                                 [heap]\n"
				  "7f0000000000-7f0000001000 r-xp 00000000 00:00 0 \n");
	assert_ptr_equal(strchr(text, '['), text + 73);
}

static void test_stat_has_52_fields(void **state)
{
	const char *text = content("/proc/2/stat");
	unsigned int blanks = 0;

	assert_int_equal(strncmp(text, "2 (fake) R 1 1 1 0 -1 ", 22), 0);
	for (const char *p = text; *p; p++)
		blanks += *p == ' ';
	assert_int_equal(blanks, 51);
}

static void test_names_cannot_forge_lines(void **state)
{
	strcpy(fake.task->comm, "a\nUid:\t0\\");
	assert_int_equal(strncmp(content("/proc/2/status"), "Name:\ta\\nUid:\t0\\\\\n", 17), 0);
	assert_non_null(strstr(content("/proc/2/stat"), "(a\\nUid:"));
}

static void test_writes_are_checked(void **state)
{
	struct tk_synth *synth = &fake.proc.ns.synth;
	ssize_t (*write)(void *, const char *, const char *, size_t) = synth->ops->write;

	assert_int_equal(write(synth->ctx, "/proc/2/comm", "longer than fifteen", 19), 19);
	assert_string_equal(fake.task->comm, "longer than fif");
	assert_int_equal(write(synth->ctx, "/proc/2/oom_score_adj", "1001", 4), -EINVAL);
	assert_int_equal(write(synth->ctx, "/proc/2/oom_score_adj", "", 0), -EINVAL);
	assert_int_equal(write(synth->ctx, "/proc/2/oom_score_adj", "17 \n", 4), 4);
	assert_string_equal(content("/proc/2/oom_score_adj"), "17\n");
	assert_int_equal(write(synth->ctx, "/proc/2/maps", "x", 1), -EACCES);
	assert_int_equal(write(synth->ctx, "/proc/nothing", "x", 1), -ENOENT);
}

static void test_one_cpu_and_the_guests_memory(void **state)
{
	const char *text = content("/proc/cpuinfo");
	const char *first = strstr(text, "processor\t: 0\n");

	assert_non_null(first);
	assert_null(strstr(first + 1, "processor\t"));
	assert_non_null(strstr(text, "cpu cores\t: 1\n"));
	assert_string_equal(content("/sys/devices/system/cpu/online"), "0\n");
	assert_int_equal(strncmp(content("/proc/meminfo"), "MemTotal:         524288 kB\n", 28), 0);
	assert_string_equal(content("/sys/fs/cgroup/memory.max"), "536870912\n");
}

static void test_descriptors_are_links(void **state)
{
	struct tk_file *file = calloc(1, sizeof(*file));
	static const struct tk_file_ops ops = {.kind = "test"};
	struct tk_synth_entry entry;

	tk_file_init(file, &ops, -1, O_WRONLY, "/some/where");
	assert_int_equal(tk_fd_install(&fake.proc.files, file, 7, true), 7);
	entry = look("/proc/2/fd/7");
	assert_int_equal(entry.kind, TK_SYNTH_FD);
	assert_int_equal(entry.fd, 7);
	assert_int_equal(entry.mode, 0300);
	assert_string_equal(content("/proc/2/fd/7"), "/some/where");
	assert_int_equal(strncmp(content("/proc/2/fdinfo/7"), "pos:\t0\nflags:\t02000001\n", 23),
			 0);
	assert_int_equal(look("/proc/2/task/2/fd/7").kind, TK_SYNTH_FD);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_paths_have_kinds),
		T(test_the_host_sys_is_seen_only_by_permission),
		T(test_everything_listed_can_be_read),
		T(test_maps_has_the_kernel_columns),
		T(test_stat_has_52_fields),
		T(test_names_cannot_forge_lines),
		T(test_writes_are_checked),
		T(test_one_cpu_and_the_guests_memory),
		T(test_descriptors_are_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
