/* SPDX-License-Identifier: MIT */
/*
 * epoll, host-backed. Readiness, edges, one-shot and exclusive wake-ups are the host epoll's; the
 * interest list is kept here as well, because
 *  - the host would key registrations by host file, which may outlive the guest's (descriptors in
 *    flight, other machines), so they are removed by hand when the guest's open file ends;
 *  - copies of a machine rebuild their epoll objects from it.
 * Invariant: every item is registered in the host's epoll with its own address as data, and is
 * deleted there before it is freed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/anon.h"
#include "fs/epoll.h"
#include "fs/fork.h"

/* What a muted file does not show. */
#define INPUT ((u32)(EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | EPOLLPRI | EPOLLRDHUP))

static struct tk_epoll_item *find(struct tk_epoll *epoll, u32 fd, struct tk_file *file)
{
	struct tk_epoll_item *item;

	for (item = file->watches; item; item = item->next)
		if (item->epoll == epoll && item->fd == fd)
			return item;
	return NULL;
}

static bool watched_by(struct tk_epoll *epoll, struct tk_file *file)
{
	struct tk_epoll_item *item;

	for (item = file->watches; item; item = item->next)
		if (item->epoll == epoll)
			return true;
	return false;
}

static int host_ctl(struct tk_epoll *epoll, int op, int hostfd, struct tk_epoll_item *item,
		    u32 events)
{
	struct epoll_event event = {.events = events, .data.ptr = item};

	if (item && item->file->muted)
		event.events &= ~INPUT;
	return epoll_ctl(epoll->file.hostfd, op, hostfd, &event) ? -errno : 0;
}

/* A one-shot registration that has fired stays disabled; an exclusive one cannot be changed. */
void tk_epoll_refresh(struct tk_file *file)
{
	struct tk_epoll_item *item;

	for (item = file->watches; item; item = item->next)
		if (!item->spent)
			host_ctl(item->epoll, EPOLL_CTL_MOD, item->hostfd, item, item->events);
}

int tk_epoll_move(struct tk_file *file, int hostfd)
{
	struct tk_epoll_item *item;
	int fd, rc = 0;

	for (item = file->watches; item && !rc; item = item->next) {
		fd = item->own_host ? fcntl(hostfd, F_DUPFD_CLOEXEC, 0) : hostfd;
		if (fd < 0)
			return -errno;
		host_ctl(item->epoll, EPOLL_CTL_DEL, item->hostfd, NULL, 0);
		if (item->own_host)
			close(item->hostfd);
		item->hostfd = fd;
		rc = host_ctl(item->epoll, EPOLL_CTL_ADD, fd, item, item->spent ? 0 : item->events);
	}
	return rc;
}

/* The item's own host descriptor, if it has one. */
static void close_own(struct tk_epoll_item *item)
{
	if (!item->own_host)
		return;
	close(item->hostfd);
	tk_budget_give(item->epoll->host_fds, 1);
}

/* Unlink from everything and free. The host registration goes first. */
static void item_free(struct tk_epoll_item *item)
{
	struct tk_epoll_item **at = &item->file->watches;

	item->epoll->changed = true;
	if (!item->idle)
		host_ctl(item->epoll, EPOLL_CTL_DEL, item->hostfd, NULL, 0);
	close_own(item);
	while (*at != item)
		at = &(*at)->next;
	*at = item->next;
	tk_list_del(&item->link);
	item->epoll->n_items--;
	free(item);
}

void tk_epoll_forget(struct tk_file *file)
{
	while (file->watches)
		item_free(file->watches);
}

static void epoll_release(struct tk_file *file)
{
	struct tk_epoll *epoll = tk_epoll_of(file);
	struct tk_epoll_item *item, *tmp;

	tk_list_for_each_safe (item, tmp, &epoll->items, link)
		item_free(item);
}

static int epoll_freeze(struct tk_file *file)
{
	struct pollfd ready = {.fd = file->hostfd, .events = POLLIN};

	tk_epoll_of(file)->quiet = poll(&ready, 1, 0) == 0;
	return 0;
}

/* The interest list comes later: tk_epoll_restore(). */
static int epoll_fork(const struct tk_file *tmpl, const struct tk_file *mate,
		      const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	return tk_epoll_new(&ret[0], ctx->host_fds);
}

/* Which events were taken cannot be seen. If none was there to take, none is missing. */
static int epoll_reset(struct tk_file *file, const struct tk_file *tmpl)
{
	if (file->used && !tk_container_of(tmpl, struct tk_epoll, file)->quiet)
		return -ESTALE;
	return 0;
}

static const struct tk_file_ops epoll_ops = {
	.kind = "epoll",
	.seek = tk_anon_seek,
	.release = epoll_release,
	.freeze = epoll_freeze,
	.fork = epoll_fork,
	.reset = epoll_reset,
};

int tk_epoll_new(struct tk_file **ret, struct tk_budget *host_fds)
{
	struct tk_epoll *epoll;
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	epoll = tk_anon_new(sizeof(*epoll), &epoll_ops, fd, O_RDWR, "anon_inode:[eventpoll]");
	if (!epoll)
		return -ENOMEM;
	tk_list_init(&epoll->items);
	epoll->host_fds = host_fds;
	*ret = &epoll->file;
	return 0;
}

struct tk_epoll *tk_epoll_of(struct tk_file *file)
{
	return file && file->ops == &epoll_ops ? tk_container_of(file, struct tk_epoll, file)
					       : NULL;
}

/*
 * The host keys by (file, descriptor): a second registration of one file needs a descriptor. That
 * there is none looks to the guest like as many registrations as there may be.
 */
static int item_host(struct tk_epoll *epoll, struct tk_epoll_item *item)
{
	item->hostfd = item->file->hostfd;
	if (!watched_by(epoll, item->file))
		return 0;
	if (!tk_budget_fits(epoll->host_fds, 1))
		return -ENOSPC;
	item->hostfd = fcntl(item->file->hostfd, F_DUPFD_CLOEXEC, 0);
	if (item->hostfd < 0)
		return -ENOSPC;
	item->own_host = true;
	tk_budget_charge(epoll->host_fds, 1);
	return 0;
}

static struct tk_epoll_item *add(struct tk_epoll *epoll, u32 fd, struct tk_file *target,
				 const struct epoll_event *event, bool idle, int *ret)
{
	struct tk_epoll_item *item = calloc(1, sizeof(*item));
	int rc;

	*ret = -ENOMEM;
	if (!item)
		return NULL;
	*item = (struct tk_epoll_item){.epoll = epoll, .file = target, .fd = fd};
	item->events = event->events & ~(u32)EPOLLWAKEUP;
	item->data = event->data.u64;
	item->idle = item->spent = idle;
	rc = item_host(epoll, item);
	if (!rc && !idle)
		rc = host_ctl(epoll, EPOLL_CTL_ADD, item->hostfd, item, item->events);
	*ret = rc;
	if (rc) {
		close_own(item);
		free(item);
		return NULL;
	}
	item->next = target->watches;
	target->watches = item;
	tk_list_add_tail(&epoll->items, &item->link);
	epoll->n_items++;
	epoll->changed = true;
	return item;
}

static int ctl_add(struct tk_epoll *epoll, u32 fd, struct tk_file *target,
		   const struct epoll_event *event)
{
	int rc;

	add(epoll, fd, target, event, false, &rc);
	return rc;
}

static int ctl_mod(struct tk_epoll_item *item, const struct epoll_event *event)
{
	u32 events = event->events & ~(u32)EPOLLWAKEUP;
	int op = item->idle ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	int rc = host_ctl(item->epoll, op, item->hostfd, item, events);

	if (rc)
		return rc;
	item->idle = false;
	item->epoll->changed = true;
	item->events = events;
	item->data = event->data.u64;
	item->spent = false;
	return 0;
}

/*
 * @target is not registered, or @op is unknown: the host's answer is the right one, and its
 * order of checks (EPERM before ENOENT, say). It must not find a registration, though.
 */
static int ctl_refuse(struct tk_epoll *epoll, int op, struct tk_file *target)
{
	int rc;

	if (watched_by(epoll, target))
		return op == EPOLL_CTL_DEL || op == EPOLL_CTL_MOD ? -ENOENT : -EINVAL;
	rc = host_ctl(epoll, op, target->hostfd, NULL, 0);
	return rc ? rc : -EINVAL;
}

bool tk_epoll_can_watch(const struct tk_file *file)
{
	struct stat st;

	return file->hostfd >= 0 && !fstat(file->hostfd, &st) && !S_ISREG(st.st_mode) &&
	       !S_ISDIR(st.st_mode);
}

/* EPOLLWAKEUP is dropped without a word, as for a process without CAP_BLOCK_SUSPEND. */
int tk_epoll_ctl(struct tk_epoll *epoll, int op, u32 fd, struct tk_file *target,
		 const struct epoll_event *event)
{
	struct tk_epoll_item *item;

	if (target == &epoll->file)
		return -EINVAL;
	if (target->hostfd < 0)
		return -EPERM;
	item = find(epoll, fd, target);
	if (op == EPOLL_CTL_ADD)
		return item ? -EEXIST : ctl_add(epoll, fd, target, event);
	if (!item || (op != EPOLL_CTL_DEL && op != EPOLL_CTL_MOD))
		return ctl_refuse(epoll, op, target);
	if (op == EPOLL_CTL_MOD)
		return ctl_mod(item, event);
	item_free(item);
	return 0;
}

int tk_epoll_collect(struct tk_epoll *epoll, struct epoll_event *events, int max, u64 run)
{
	int n = epoll_wait(epoll->file.hostfd, events, max, 0);

	epoll->alone = NULL;
	epoll->run = run;
	epoll->partly = false;
	if (n < 0)
		return -errno;
	if (n == 1 && (max > 1 || epoll->n_items == 1))
		epoll->alone = ((struct tk_epoll_item *)events[0].data.ptr)->file;
	for (int i = 0; i < n; i++) {
		struct tk_epoll_item *item = events[i].data.ptr;

		events[i].data.u64 = item->data;
		if (item->events & EPOLLONESHOT)
			item->spent = epoll->changed = true;
	}
	return n;
}

/* What the host has told of it, once only, it is to tell again. EPOLLEXCLUSIVE cannot be changed.
 */
static void rearm(struct tk_epoll_item *item)
{
	if (!(item->events & EPOLLEXCLUSIVE)) {
		host_ctl(item->epoll, EPOLL_CTL_MOD, item->hostfd, item, item->events);
		return;
	}
	host_ctl(item->epoll, EPOLL_CTL_DEL, item->hostfd, NULL, 0);
	host_ctl(item->epoll, EPOLL_CTL_ADD, item->hostfd, item, item->events);
}

void tk_epoll_told(struct tk_epoll *epoll, const struct tk_file *file, u32 told)
{
	struct epoll_event events[64];
	int n = epoll_wait(epoll->file.hostfd, events, TK_ARRAY_SIZE(events), 0);

	for (int i = 0; i < n; i++) {
		struct tk_epoll_item *item = events[i].data.ptr;
		bool news = item->file != file || events[i].events & ~told;

		if (news && item->events & (EPOLLET | EPOLLONESHOT))
			rearm(item);
	}
}

/* Without a registration the host does not even tell of errors, as of one that it disabled itself.
 */
void tk_epoll_spend(struct tk_epoll *epoll, u32 fd, struct tk_file *file)
{
	struct tk_epoll_item *item = find(epoll, fd, file);

	if (!item || item->spent)
		return;
	host_ctl(epoll, EPOLL_CTL_DEL, item->hostfd, NULL, 0);
	item->idle = item->spent = epoll->changed = true;
}

/* Once more what it was: registered with these events, or spent. */
static int item_restore(struct tk_epoll_item *item, const struct tk_epoll_item *tmpl, bool *stirred)
{
	struct tk_epoll *epoll = item->epoll;
	bool same = item->events == tmpl->events && item->spent == tmpl->spent;
	int rc = 0;

	item->data = tmpl->data;
	if (same)
		return 0;
	*stirred = true;
	item->events = tmpl->events;
	item->spent = tmpl->spent;
	/* EPOLLEXCLUSIVE cannot be set or kept by EPOLL_CTL_MOD. */
	if (!item->idle)
		rc = host_ctl(epoll, EPOLL_CTL_DEL, item->hostfd, NULL, 0);
	item->idle = true;
	if (rc || tmpl->spent)
		return rc;
	item->idle = false;
	return host_ctl(epoll, EPOLL_CTL_ADD, item->hostfd, item, item->events);
}

static int item_copy(struct tk_epoll *epoll, const struct tk_epoll_item *tmpl,
		     struct tk_file *const *now, struct tk_list *before)
{
	const struct epoll_event event = {.events = tmpl->events, .data.u64 = tmpl->data};
	struct tk_file *file = now[tmpl->file->slot - 1];
	struct tk_epoll_item *item;
	int rc;

	item = add(epoll, tmpl->fd, file, &event, tmpl->spent, &rc);
	if (!item)
		return rc;
	item->origin = tmpl;
	tk_list_del(&item->link);
	tk_list_add_tail(before, &item->link);
	return 0;
}

/*
 * No event was waiting when the machine was frozen: take away what registering has brought. What
 * is there for good, such as the end of a connection that did not outlive the freezing, is shown.
 */
static int hush(struct tk_epoll *epoll)
{
	struct epoll_event events[64];
	int n = epoll_wait(epoll->file.hostfd, events, TK_ARRAY_SIZE(events), 0), rc = 0;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n && !rc; i++) {
		struct tk_epoll_item *item = events[i].data.ptr;

		if (events[i].events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR) ||
		    item->events & EPOLLONESHOT)
			rc = host_ctl(epoll, EPOLL_CTL_MOD, item->hostfd, item, item->events);
	}
	return rc;
}

int tk_epoll_restore(struct tk_epoll *epoll, const struct tk_epoll *tmpl,
		     struct tk_file *const *now, bool stirred)
{
	struct tk_epoll_item *item, *tmp;
	struct tk_list *at;
	int rc = 0;

	epoll->alone = NULL;
	epoll->partly = false;
	if (!epoll->changed && epoll->n_items == tmpl->n_items)
		return tmpl->quiet && stirred ? hush(epoll) : 0;
	tk_list_for_each_safe (item, tmp, &epoll->items, link)
		if (!item->origin)
			item_free(item);
	at = epoll->items.next; /* the copies that are left, in the order of the originals */
	tk_list_for_each (item, &tmpl->items, link) {
		tmp = tk_list_entry(at, struct tk_epoll_item, link);
		if (at != &epoll->items && tmp->origin == item) {
			at = at->next;
			rc = item_restore(tmp, item, &stirred);
		} else {
			rc = item_copy(epoll, item, now, at);
			stirred = true;
		}
		if (rc)
			return rc;
	}
	epoll->changed = false;
	return tmpl->quiet && stirred ? hush(epoll) : 0;
}
