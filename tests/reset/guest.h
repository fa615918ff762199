/* SPDX-License-Identifier: MIT */
/* What the parts of the reset suite's guest share. */
#ifndef GUEST_H
#define GUEST_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct snapshot {
	uint64_t regs[24];
	uint8_t xsave[4096] __attribute__((aligned(64)));
};
extern struct snapshot snapshot;
extern int listener;

/* Descriptors and memory that exist when the program is frozen. */
struct furniture {
	int pipe[2], full_pipe[2], lone_pipe, event, semaphore, timer, pair[2], lone_pair, udp,
		fresh, epoll, signal, inotify, file, append, dir, memfd, sealed, null, proc, pid,
		dead;
	char *anon, *shared, *file_private, *file_shared, *reserved, *read_only, *memfd_map, *wiped;
	char *stack;
	timer_t posix_timer;
	char dirname[200];
};
extern struct furniture have;
extern volatile sig_atomic_t handled; /* sum of the signals that the frozen handler had */

struct deed {
	const char *name;
	void (*fn)(int conn);
};
extern const struct deed deeds[];

void calls(int conn);
int raw_accept(int fd);
void must(int good, const char *what);
void furnish(const char *dir);

#define PAGES	  32
#define PAGE_SIZE 4096

#endif
