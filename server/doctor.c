/* SPDX-License-Identifier: MIT */
/*
 * kvmserver doctor: whether and how this host can run programs, for people. Exit status 0 if it
 * can, 1 if it cannot, with advice. It only asks; it changes nothing.
 */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kvmserver.h"
#include "tinykvm/tinykvm.h"

#define CAPS_MAX 64

static void row(const char *what, const char *state)
{
	printf("  %-32s %s\n", what, state);
}

static void show_host(void)
{
	struct utsname un;

	if (!uname(&un))
		printf("Host: %s %s, %s\n", un.sysname, un.release, un.machine);
}

/* "crw-rw---- root:kvm" is what somebody who is not permitted needs to know. */
static void show_device(void)
{
	char state[128];
	struct group *group;
	struct stat st;

	if (stat("/dev/kvm", &st) < 0) {
		row("/dev/kvm", strerror(errno));
		return;
	}
	group = getgrgid(st.st_gid);
	snprintf(state, sizeof(state), "mode %04o, group %s, %s", st.st_mode & 07777,
		 group ? group->gr_name : "without a name",
		 access("/dev/kvm", R_OK | W_OK) ? "not permitted to this user" : "permitted");
	row("/dev/kvm", state);
}

static void advise(int code)
{
	printf("\nThis host cannot run programs in machines.\n");
	switch (code) {
	case -EACCES:
		printf("Advice: add yourself to the group that owns /dev/kvm, and log in again:\n"
		       "    sudo usermod -aG kvm \"$USER\"\n");
		break;
	case -ENOENT:
	case -ENODEV:
		printf("Advice: on a physical machine, enable virtualisation (VT-x, AMD-V/SVM) in "
		       "the firmware\nand load the module:\n"
		       "    sudo modprobe kvm_intel    (or kvm_amd)\n"
		       "In a virtual machine, ask for nested virtualisation. In a container, pass "
		       "the device in\n(--device /dev/kvm).\n");
		break;
	case -EOPNOTSUPP:
		printf("Advice: run a newer kernel; what is missing above says from which on.\n");
		break;
	default:
		printf("Advice: see the message above.\n");
	}
}

/* Returns how many capabilities are needed and missing, or -errno. */
static int show_capabilities(struct tkvm_error *err)
{
	struct tkvm_host_capability caps[CAPS_MAX];
	int missing = 0, n = tkvm_host_capabilities(caps, CAPS_MAX, err);

	if (n < 0)
		return n;
	printf("\nCapabilities of KVM:\n");
	for (int i = 0; i < n && i < CAPS_MAX; i++) {
		row(caps[i].name, caps[i].value
					  ? "present"
					  : (caps[i].needed ? "MISSING, and needed" : "missing"));
		if (!caps[i].value)
			printf("      without it, %s\n", caps[i].cost);
		missing += caps[i].needed && !caps[i].value;
	}
	return missing;
}

static void show_measurements(const struct tkvm_host *host)
{
	bool pvm = !strcmp(host->flavour, "pvm");
	char text[64];

	printf("\nTried and measured:\n");
	row("flavour", pvm ? "pvm (no processor virtualisation; system calls are slower)"
			   : "hardware (processor virtualisation)");
	snprintf(text, sizeof(text), "%.2f us", (double)host->exit_ns / 1000);
	row("system call, out and back", text);
	snprintf(text, sizeof(text), "%.2f us", (double)host->fault_ns / 1000);
	row("first touch of a page", text);
	row("clock", host->clock_in_guest ? "read inside the guest" : "read by a system call");
	snprintf(text, sizeof(text), "%u threads, %u pieces of memory", host->max_vcpus,
		 host->max_slots);
	row("largest machine", text);
}

static int give_up(const struct tkvm_error *err, int code)
{
	fflush(stdout);
	ks_message("%s", err->message);
	advise(code);
	return 1;
}

int ks_doctor(const struct ks_config *config, int argc, char **argv)
{
	struct tkvm_host host = {.size = sizeof(host)};
	struct tkvm_error err = {0};
	int rc;

	if (argc > 1) {
		ks_message("doctor: takes no arguments, but got '%.100s'", argv[1]);
		return KS_EXIT_USAGE;
	}
	show_host();
	show_device();
	rc = show_capabilities(&err);
	if (rc < 0)
		return give_up(&err, rc);
	rc = tkvm_host_probe(&host, &err);
	if (rc < 0)
		return give_up(&err, rc);
	show_measurements(&host);
	printf("\nThis host can run programs in machines.\n");
	return 0;
}
