/* SPDX-License-Identifier: MIT */
/* The part of fork_target that looks at clocks and timers. */
#ifndef FORK_CLOCKS_H
#define FORK_CLOCKS_H

#include <stdint.h>

/* Before it is frozen: read all clocks, arm timers that have a second to go. */
void clocks_note(void);

/* No more than a timerfd that has so many seconds to go. */
void clocks_arm_timerfd(int64_t seconds);

/*
 * In a request, more than a second later: "ok" if the monotonic clocks and timers have hardly
 * moved, the others have, and deadlines come when they shall; or what is not so.
 */
const char *clocks_judge(void);

#endif
