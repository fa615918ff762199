/* SPDX-License-Identifier: MIT */
/*
 * epoll(7) objects. A registration is keyed by (descriptor number, open file) and lives until it is
 * deleted or the last reference to the open file goes, as in Linux: closing one of two duplicates
 * leaves it in place.
 */
#ifndef TK_FS_EPOLL_H
#define TK_FS_EPOLL_H

#include <sys/epoll.h>

#include "base/list.h"
#include "fs/file.h"

/* One registration. Read by those who copy machines; changed here only. */
struct tk_epoll_item {
	struct tk_epoll *epoll;
	struct tk_file *file; /* not a reference: tk_epoll_forget() comes before its end */
	u32 fd;		      /* the guest's descriptor at EPOLL_CTL_ADD */
	u32 events;
	u64 data;
	bool spent;	     /* EPOLLONESHOT has fired: disabled until EPOLL_CTL_MOD */
	bool idle;	     /* spent, and not registered on the host */
	int hostfd;	     /* what the host's epoll watches */
	bool own_host;	     /* @hostfd is a duplicate made for a second registration of @file */
	struct tk_list link; /* in epoll->items */
	struct tk_epoll_item *next;	    /* in file->watches */
	const struct tk_epoll_item *origin; /* of a fork: the frozen one that it is a copy of */
};

struct tk_epoll {
	struct tk_file file;
	struct tk_list items;
	unsigned int n_items;
	bool changed;		     /* @items may be different from those of the image */
	const struct tk_file *alone; /* all that the last collection found; only compared */
	u64 run;		     /* behind which of the program's runs that was */
	bool partly; /* since the last collection a part of what is ready was told without one */
	bool quiet;  /* frozen: no event was waiting */
	struct tk_budget *host_fds; /* what second registrations of a file take from */
};

int tk_epoll_new(struct tk_file **ret, struct tk_budget *host_fds) TK_MUST_CHECK;

struct tk_epoll *tk_epoll_of(struct tk_file *file); /* NULL: @file is something else */

/* Not a regular file or directory, which epoll_ctl(2) refuses with EPERM. */
bool tk_epoll_can_watch(const struct tk_file *file);

/* epoll_ctl(2) with descriptors already looked up; @event is NULL for EPOLL_CTL_DEL. */
int tk_epoll_ctl(struct tk_epoll *epoll, int op, u32 fd, struct tk_file *target,
		 const struct epoll_event *event);

/*
 * Up to @max events that are there now; a count or -errno. Never waits. @run: how often the program
 * has run, as what was found is so until it runs again.
 */
int tk_epoll_collect(struct tk_epoll *epoll, struct epoll_event *events, int max, u64 run);

/*
 * The program was told, by other means than collecting, of @file being ready for @events: have an
 * edge-triggered registration of it in @epoll not tell that again.
 */
void tk_epoll_told(struct tk_epoll *epoll, const struct tk_file *file, u32 events);

/* The same of one that tells once only: the registration of @file by @fd is disabled from now on.
 */
void tk_epoll_spend(struct tk_epoll *epoll, u32 fd, struct tk_file *file);

/* file->muted has changed, or what it is ready for is to be told again: watch anew. */
void tk_epoll_refresh(struct tk_file *file);

/*
 * Give @epoll, of a fork, the interest list of frozen @tmpl; @now are the fork's files by slot.
 * @stirred: putting those right may have looked like events. 0 or -errno.
 */
int tk_epoll_restore(struct tk_epoll *epoll, const struct tk_epoll *tmpl,
		     struct tk_file *const *now, bool stirred) TK_MUST_CHECK;

/*
 * @hostfd is going to be file->hostfd: move the registrations there. 0 or -errno, some of them may
 * be moved then.
 */
int tk_epoll_move(struct tk_file *file, int hostfd) TK_MUST_CHECK;

/* @file is about to go: drop its registrations everywhere. Called by tk_file_put(). */
void tk_epoll_forget(struct tk_file *file);

#endif
