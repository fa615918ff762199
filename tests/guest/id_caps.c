/* SPDX-License-Identifier: MIT */
/* capget(2), capset(2) and the bounding set, each version of the interface. */
#include <linux/capability.h>
#include <sys/prctl.h>

#include "check.h"

static struct __user_cap_header_struct header;
static struct __user_cap_data_struct data[2], again[2];

static void versions(void)
{
	static const unsigned int known[] = {_LINUX_CAPABILITY_VERSION_1,
					     _LINUX_CAPABILITY_VERSION_2,
					     _LINUX_CAPABILITY_VERSION_3};

	for (int i = 0; i < 3; i++) {
		header = (struct __user_cap_header_struct){.version = known[i]};
		CHECK(syscall(SYS_capget, &header, data) == 0);
	}
	header.version = 1;
	CHECK_ERR(syscall(SYS_capget, &header, data), EINVAL);
	CHECK(header.version == _LINUX_CAPABILITY_VERSION_3);
	header.version = 1;
	CHECK(syscall(SYS_capget, &header, NULL) == 0); /* only asks which version to use */
	CHECK(header.version == _LINUX_CAPABILITY_VERSION_3);
	header.version = 1;
	CHECK_ERR(syscall(SYS_capset, &header, data), EINVAL);
	CHECK_ERR(syscall(SYS_capget, BAD_POINTER, data), EFAULT);
	CHECK_ERR(syscall(SYS_capget, NULL, NULL), EFAULT);
}

static void targets(void)
{
	header = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, -1};
	CHECK_ERR(syscall(SYS_capget, &header, data), EINVAL);
	header.pid = 0x3fffffff;
	CHECK_ERR(syscall(SYS_capget, &header, data), ESRCH);
	CHECK_ERR(syscall(SYS_capset, &header, data), EPERM);
	header.pid = getpid();
	CHECK(syscall(SYS_capget, &header, data) == 0);
	CHECK_ERR(syscall(SYS_capget, &header, BAD_POINTER), EFAULT);
	CHECK_ERR(syscall(SYS_capset, &header, BAD_POINTER), EFAULT);
}

static void changes(void)
{
	struct __user_cap_data_struct more[2];

	header = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, 0};
	CHECK(syscall(SYS_capget, &header, data) == 0);
	CHECK(syscall(SYS_capset, &header, data) == 0);
	more[0] = data[0];
	more[1] = data[1];
	if (data[0].permitted) {
		more[0].effective &= ~(1u << CAP_SETGID);
		CHECK(syscall(SYS_capset, &header, more) == 0);
		CHECK_ERR(syscall(SYS_setgroups, 0, NULL), EPERM);
		CHECK(syscall(SYS_capset, &header, data) == 0);
		CHECK(prctl(PR_CAPBSET_DROP, CAP_NET_RAW) == 0);
		CHECK(prctl(PR_CAPBSET_READ, CAP_NET_RAW) == 0);
		CHECK_ERR(prctl(PR_CAPBSET_DROP, 1000), EINVAL);
		more[0].effective = more[0].permitted = more[1].effective = more[1].permitted = 0;
		CHECK(syscall(SYS_capset, &header, more) == 0);
	} else {
		CHECK_ERR(prctl(PR_CAPBSET_DROP, CAP_NET_RAW), EPERM);
	}
	/* What is not permitted cannot be had (again). */
	more[0].permitted |= 1;
	CHECK_ERR(syscall(SYS_capset, &header, more), EPERM);
	more[0].permitted = 0;
	more[0].effective = 1;
	CHECK_ERR(syscall(SYS_capset, &header, more), EPERM);
	CHECK(syscall(SYS_capget, &header, again) == 0 && again[0].effective == 0);
}

int main(void)
{
	versions();
	targets();
	CHECK(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1);
	CHECK_ERR(prctl(PR_CAPBSET_READ, 1000), EINVAL);
	CHECK_ERR(prctl(PR_CAPBSET_READ, -1), EINVAL);
	changes();
	return check_done();
}
