/* SPDX-License-Identifier: MIT */
/* What the test programs say to each other. */
#ifndef MESSAGE_H
#define MESSAGE_H

enum what {
	COUNT = 1,
	ECHO,
	FLIP,
	SYSCALLS,
	CRASH,
	LEAVE,
	HANG,
	SLEEP,
	KEEP,
	USE_KEPT,
	BEFORE,
	BEHIND,
	MAP_OVER,
	TICKS,	/* what a thread of storage's own has counted, 100 a second at most */
	THREAD, /* go on with the buffer behind the answer's back */
};

struct message {
	long what;
	long number;
	char text[48];
};

#endif
