/* SPDX-License-Identifier: MIT */
/*
 * Every constructor of the engine with the n-th host call failing, for all n: an error that says
 * which, no descriptor and no mapping left behind.
 *
 * The C library's functions are replaced by the ones here, which count and then do the work.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include "test_kvm_rig.h"

#include "kvm/kick.h"

static int countdown; /* the call that reaches 0 fails; negative: none does */
static int injected;
static bool counting;

static bool fails_now(void)
{
	if (!counting || countdown < 0 || countdown-- > 0)
		return false;
	injected++;
	errno = EMFILE;
	return true;
}

int ioctl(int fd, unsigned long request, ...)
{
	unsigned long arg;
	va_list ap;

	va_start(ap, request);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	return fails_now() ? -1 : (int)syscall(SYS_ioctl, fd, request, arg);
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (fails_now())
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
}

int mprotect(void *addr, size_t len, int prot)
{
	return fails_now() ? -1 : (int)syscall(SYS_mprotect, addr, len, prot);
}

int open(const char *path, int flags, ...)
{
	return fails_now() ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
}

int signalfd(int fd, const sigset_t *mask, int flags)
{
	return fails_now() ? -1 : (int)syscall(SYS_signalfd4, fd, mask, 8, flags);
}

int timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
	int id = 0;

	if (fails_now() || syscall(SYS_timer_create, clock, event, &id))
		return -1;
	*timer = (timer_t)(intptr_t)id; /* as glibc does it for SIGEV_THREAD_ID */
	return 0;
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 200; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	int n = 0;

	while (fgets(line, sizeof(line), f))
		n += strstr(line, "kvm") || strstr(line, "/dev/zero");
	fclose(f);
	return n;
}

/* KiB of address space: what a forgotten munmap() would add up in. */
static long address_space(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = 0;

	assert_int_equal(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	return pages * 4;
}

/* One try: 0 if it worked (and was undone), else -errno. */
typedef int (*try_fn)(struct tkvm_error *err);

static int try_open(struct tkvm_error *err)
{
	struct tk_kvm other;
	int rc;

	memset(&other, 0x55, sizeof(other));
	rc = tk_kvm_open(&other, err);
	if (!rc)
		tk_kvm_close(&other);
	return rc;
}

static int try_vm(struct tkvm_error *err)
{
	struct tk_vm *vm = NULL;
	unsigned int ring = kvm.ring_max_bytes ? 65536 : 0;
	int rc = tk_vm_create(&vm, &kvm, ring, err);

	if (rc)
		assert_null(vm);
	tk_vm_destroy(vm);
	return rc;
}

static int try_vcpu(struct tkvm_error *err)
{
	const struct tk_uregs regs = {.rip = RIG_CODE};
	struct tk_vcpu *vcpu = NULL;
	struct tk_vm *vm;
	int rc;

	counting = false;
	assert_int_equal(tk_vm_create(&vm, &kvm, 0, err), 0);
	counting = true;
	rc = tk_vcpu_create(&vcpu, vm, TK_GPA_PT, &regs, 0, err);
	if (rc)
		assert_null(vcpu);
	tk_vcpu_destroy(vcpu);
	tk_vm_destroy(vm);
	return rc;
}

static int try_used_vcpu(struct tkvm_error *err)
{
	const struct tk_uregs regs = {.rip = RIG_CODE};
	struct tk_vcpu *vcpu = NULL;
	struct tk_vm *vm;
	int rc;

	counting = false;
	assert_int_equal(tk_vm_create(&vm, &kvm, 0, err), 0);
	assert_int_equal(tk_vcpu_create(&vcpu, vm, TK_GPA_PT, &regs, 0, err), 0);
	tk_vcpu_destroy(vcpu);
	vcpu = NULL;
	counting = true;
	rc = tk_vcpu_create(&vcpu, vm, TK_GPA_PT, &regs, 0, err);
	tk_vcpu_destroy(vcpu);
	tk_vm_destroy(vm);
	return rc;
}

static int try_measure(struct tkvm_error *err)
{
	struct tk_kvm_costs costs;

	return tk_kvm_measure(&kvm, &costs, err);
}

static int try_kick(struct tkvm_error *err)
{
	struct tk_kick *kick = NULL;
	int rc = tk_kick_create(&kick, err);

	if (rc)
		assert_null(kick);
	tk_kick_destroy(kick);
	return rc;
}

static int one_try(try_fn try, int nth, struct tkvm_error *err)
{
	int rc;

	*err = (struct tkvm_error){0};
	countdown = nth;
	injected = 0;
	counting = true;
	rc = try(err);
	counting = false;
	return rc;
}

/* Returns how many calls were made to fail. */
static int fail_each(try_fn try, int max)
{
	struct tkvm_error err;
	int fds, maps, n;
	long space;

	assert_int_equal(one_try(try, -1, &err), 0);
	fds = count_fds();
	maps = count_maps();
	space = address_space();
	for (n = 0; n < max; n++) {
		int rc = one_try(try, n, &err);

		assert_int_equal(count_fds(), fds);
		assert_int_equal(count_maps(), maps);
		if (!injected) {
			assert_int_equal(rc, 0);
			break;
		}
		/* a few calls are allowed to fail: optional features, control bits, limits */
		if (rc) {
			assert_int_equal(err.code, -rc);
			assert_true(strlen(err.message) > 8);
			assert_null(strchr(err.message, '\n'));
		}
	}
	assert_true(address_space() - space < 1024);
	return n;
}

static void test_open(void **state)
{
	assert_true(fail_each(try_open, 200) > 20);
}

static void test_vm(void **state)
{
	assert_true(fail_each(try_vm, 50) >= 6);
}

static void test_vcpu(void **state)
{
	assert_true(fail_each(try_vcpu, 50) >= 7);
}

static void test_used_vcpu(void **state)
{
	assert_true(fail_each(try_used_vcpu, 50) >= 6);
}

static void test_measure(void **state)
{
	assert_true(fail_each(try_measure, 25) >= 10);
}

static void test_kick(void **state)
{
	assert_int_equal(fail_each(try_kick, 10), 3);
}

static void test_errors_say_what_to_do(void **state)
{
	struct tkvm_error err;

	/* the first host call is open(2); it failed with EMFILE */
	assert_int_equal(one_try(try_open, 0, &err), -EMFILE);
	assert_non_null(strstr(err.message, "/dev/kvm"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_vm),
		cmocka_unit_test(test_vcpu),
		cmocka_unit_test(test_used_vcpu),
		cmocka_unit_test(test_measure),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_errors_say_what_to_do),
	};

	return cmocka_run_group_tests(tests, rig_open_kvm, rig_close_kvm);
}
