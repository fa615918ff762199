/* SPDX-License-Identifier: MIT */
/* futex(2) itself, clone(2)'s errors, and what children answer that a program cannot have. */
#include <linux/futex.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <time.h>

#include "check.h"

static uint32_t word, other;
static volatile int ready;

static long futex(uint32_t *addr, int op, uint32_t val, const void *arg, uint32_t *addr2,
		  uint32_t val3)
{
	return syscall(SYS_futex, addr, op, val, arg, addr2, val3);
}

static void *waiter(void *arg)
{
	uint32_t bits = (uint32_t)(uintptr_t)arg;

	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	CHECK(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, bits) == 0);
	return NULL;
}

static void settle(int n)
{
	struct timespec ts = {0, 10000000};

	while (ready < n)
		sched_yield();
	nanosleep(&ts, NULL);
	ready = 0;
}

static void waking(void)
{
	pthread_t t[3];

	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, waiter, (void *)(1ul << i));
	settle(3);
	CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 2) == 1);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
	CHECK(futex(&other, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0) == 0);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0) == 1);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static void requeueing(void)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, waiter, (void *)~0ul);
	settle(3);
	CHECK_ERR(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &other, 5), EAGAIN);
	CHECK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &other, 0) == 2);
	CHECK(futex(&other, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0) == 1);
	CHECK(futex(&word, FUTEX_WAKE_OP_PRIVATE, 10, (void *)10, &other,
		    FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)) == 1);
	CHECK(other == 5);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static void timeouts(void)
{
	struct timespec ts = {0, 5000000}, bad = {0, 1000000000}, abs;

	CHECK_ERR(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
	CHECK_ERR(futex(&word, FUTEX_WAIT, 0, &ts, NULL, 0), ETIMEDOUT);
	CHECK_ERR(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL);
	clock_gettime(CLOCK_MONOTONIC, &abs);
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET, 0, &abs, NULL, ~0u), ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &abs);
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &abs, NULL, ~0u),
		  ETIMEDOUT);
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex((uint32_t *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex((uint32_t *)16, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERR(futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
}

static void cloning(void)
{
	struct clone_args args = {0};

	CHECK_ERR(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL);
	CHECK_ERR(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
	CHECK_ERR(syscall(SYS_clone3, &args, 8), EINVAL);
	CHECK_ERR(syscall(SYS_clone3, BAD_POINTER, sizeof(args)), EFAULT);
	CHECK_ERR(syscall(SYS_clone3, &args, 5000), E2BIG);
	args.stack = 4096;
	CHECK_ERR(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
	CHECK_ERR(syscall(SYS_wait4, -1, NULL, 0, NULL), ECHILD);
	CHECK_ERR(syscall(SYS_wait4, -1, NULL, 0x100, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_waitid, 0, 0, NULL, 4, NULL), ECHILD);
	CHECK_ERR(syscall(SYS_waitid, 0, 0, NULL, 0, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_waitid, 7, 0, NULL, 4, NULL), EINVAL);
}

static void scheduling(void)
{
	struct sched_param param = {.sched_priority = 0};
	cpu_set_t set;

	CHECK(sched_getscheduler(0) == SCHED_OTHER);
	CHECK(sched_getparam(0, &param) == 0 && param.sched_priority == 0);
	CHECK(sched_setscheduler(0, SCHED_BATCH, &param) == 0);
	CHECK(sched_getscheduler(0) == SCHED_BATCH);
	CHECK(sched_setscheduler(0, SCHED_OTHER, &param) == 0);
	param.sched_priority = 1;
	CHECK_ERR(sched_setscheduler(0, SCHED_OTHER, &param), EINVAL);
	CHECK_ERR(sched_setscheduler(0, 4, &param), EINVAL);
	CHECK_ERR(sched_getscheduler(-1), EINVAL);
	CHECK_ERR(sched_getscheduler(0x3fffff), ESRCH);
	CHECK(sched_get_priority_max(SCHED_RR) == 99 && sched_get_priority_min(SCHED_RR) == 1);
	CHECK(sched_get_priority_max(SCHED_OTHER) == 0);
	CHECK_ERR(sched_get_priority_max(4), EINVAL);
	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_ISSET(0, &set));
	CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
	CPU_ZERO(&set);
	CHECK_ERR(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 4, &set), EINVAL);
	CHECK(sched_yield() == 0);
}

int main(void)
{
	waking();
	requeueing();
	timeouts();
	cloning();
	scheduling();
	puts("futexes wake");
	return check_done();
}
