/* SPDX-License-Identifier: MIT */
/* What the tests of this directory share. Whatever goes wrong ends the test. */
#ifndef RIG_H
#define RIG_H

#include "tinykvm/tinykvm.h"

#define SKIP	    77
#define ANSWER_SIZE (1 << 18)

/* What a request may lead to besides a reset that works. */
enum { NEVER_IDLE = 1, MAY_BE_STALE = 2, MAY_DIE = 4 };

_Noreturn void die(const char *what, const char *why);

/* The guest, furnished in empty directory @dir, and waiting for requests. */
struct tkvm_machine *boot(const char *dir);
/* Until it is idle, or what @may allows to happen instead. */
enum tkvm_outcome run(struct tkvm_machine *machine, int may);
struct tkvm_machine *make_fork(struct tkvm_image *image);

/* True if the program lives on; what it said is in @answer. NEVER_IDLE in @may: interrupted soon.
 */
int request(struct tkvm_machine *fork, const char *deeds, int may);
extern char answer[ANSWER_SIZE];

/* The same text, or the end. */
void compare(const char *what, const char *after, const char *want, const char *got);

int count_fds(void);
void remove_tree(const char *dir);

#endif
