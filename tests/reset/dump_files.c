/* SPDX-License-Identifier: MIT */
/* The dump of open files: our objects, and what the host says of those behind them. */
#include <asm/socket.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dump.h"
#include "fs/epoll.h"
#include "fs/inotify.h"
#include "fs/regular.h"
#include "machine/machine.h"
#include "net/opts.h"
#include "net/sock.h"
#include "task/signalfd.h"

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif
#define say(...) tk_buf_printf(out, __VA_ARGS__)
typedef unsigned long long ull;

/* Inode numbers and the like are different in every copy. */
static void dump_name(struct tk_file *file, struct tk_buf *out)
{
	const char *path = tk_file_name(file) ? file->path : "-";

	if (!strncmp(path, "pipe:", 5) || !strncmp(path, "socket:", 7))
		say(" %.5s", path);
	else
		say(" %s", path);
}

/* The lines of /proc/self/fdinfo that say something of the object, and nothing of host numbers. */
static void dump_fdinfo(int fd, struct tk_buf *out)
{
	static const char *const keys[] = {
		"flags:",	  "eventfd-count:", "clockid:", "ticks:",
		"settime flags:", "it_interval:",   "lock:",	"eventfd-semaphore:"};
	char path[40], text[8192], *line, *save = NULL;
	u64 registered = 0;
	ssize_t n;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	n = read(info, text, sizeof(text) - 1);
	close(info);
	text[n < 0 ? 0 : n] = '\0';
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int wd;
		unsigned int mask;

		for (size_t i = 0; i < TK_ARRAY_SIZE(keys); i++)
			if (!strncmp(line, keys[i], strlen(keys[i])))
				say("  %s\n", line);
		if (!strncmp(line, "it_value:", 9))
			say("  armed %d\n", !strstr(line, "(0, 0)"));
		if (sscanf(line, "inotify wd:%x ino:%*x sdev:%*x mask:%x", &wd, &mask) == 2)
			say("  watch %d %x\n", wd, mask);
		/* in the order of host addresses: told by a sum */
		if (sscanf(line, "tfd: %*d events: %x", &mask) == 1)
			registered += ((u64)mask + 1) * 0x9e3779b97f4a7c15;
	}
	if (registered)
		say("  registered on the host: %llx\n", (ull)registered);
}

static void dump_queue(int fd, struct tk_buf *out)
{
	int n = -1, size = fcntl(fd, F_GETPIPE_SZ);

	if (!ioctl(fd, FIONREAD, &n))
		say("  bytes %d size %d\n", n, size);
}

static void dump_epoll(struct tk_epoll *epoll, struct tk_buf *out)
{
	struct tk_epoll_item *item;

	say("  items %u changed %d alone %d partly %d\n", epoll->n_items, epoll->changed,
	    epoll->alone != NULL, epoll->partly);
	tk_list_for_each (item, &epoll->items, link)
		say("  item fd %u file %s events %x data %llx spent %d idle %d own %d\n", item->fd,
		    item->file->ops->kind, item->events, (ull)item->data, item->spent, item->idle,
		    item->own_host);
}

static void dump_options(struct tk_sock *sock, struct tk_buf *out)
{
	static const struct {
		int level, name;
	} all[] = {
#define OPT(level, name, size, set, get, class) {level, name},
#include "net/sockopt.h"
	};
	const struct tk_net_ids ids = {0};

	for (size_t i = 0; i < TK_ARRAY_SIZE(all); i++) {
		u8 value[TK_OPT_MAX];
		socklen_t len = sizeof(value);

		/* what is of the moment, or of the object: */
		if (all[i].level == SOL_SOCKET &&
		    (all[i].name == SO_COOKIE || all[i].name == SO_INCOMING_NAPI_ID ||
		     all[i].name == SO_MEMINFO || all[i].name == SO_INCOMING_CPU))
			continue;
		if (all[i].level == IPPROTO_TCP && all[i].name == 11)
			continue;
		if (tk_opt_get(sock, &ids, all[i].level, all[i].name, value, &len))
			continue;
		say("  option %d %d:", all[i].level, all[i].name);
		for (socklen_t k = 0; k < len; k++)
			say(" %02x", value[k]);
		say("\n");
	}
}

static void dump_sock(struct tk_sock *sock, struct tk_buf *out)
{
	say("  family %d type %d protocol %d pair %d listening %d backlog %d lowat %d set %llx "
	    "%llx accepted %d dead %d gate %d followed %d bound %d\n",
	    sock->family, sock->type, sock->protocol, sock->pair, sock->listening, sock->backlog,
	    sock->rcvlowat, (ull)sock->opts_set[0], (ull)sock->opts_set[1], sock->accepted,
	    sock->dead, sock->gate != NULL, sock->follow.ops != NULL, !tk_list_empty(&sock->bound));
	say("  local %u peer %u\n", sock->local.len, sock->peer.len);
	dump_queue(sock->file.hostfd, out);
	dump_options(sock, out);
}

static void dump_inotify(struct tk_inotify *in, struct tk_buf *out)
{
	struct tk_inotify_watch *watch;

	tk_list_for_each (watch, &in->watches, link)
		say("  wd %d mask %x path %s\n", watch->wd, watch->mask, watch->path);
}

static void dump_file(struct tk_file *file, struct tk_buf *out)
{
	u8 content[65536];
	ssize_t n;

	say(" %s refs %u flags %o %d%d%d%d may %x pos %lld slot %u home %d mate %d altered %d",
	    file->ops->kind, file->refs, file->flags, file->seekable, file->pollable,
	    file->writable, file->muted, file->may, (long long)file->pos, file->slot,
	    file->home != NULL, file->mate != NULL, file->altered);
	dump_name(file, out);
	say("\n");
	if (file->hostfd >= 0) {
		dump_fdinfo(file->hostfd, out);
		if (!tk_sock_of(file) && !tk_is_regular(file))
			dump_queue(file->hostfd, out);
	}
	if (tk_is_regular(file) && strstr(file->path, "memfd")) {
		n = pread(file->hostfd, content, sizeof(content), 0);
		say("  content %zd:", n);
		for (ssize_t i = 0; i < n; i += 64)
			say(" %02x", content[i]);
		say("\n");
	}
	if (tk_epoll_of(file))
		dump_epoll(tk_epoll_of(file), out);
	if (tk_sock_of(file))
		dump_sock(tk_sock_of(file), out);
	if (tk_inotify_of(file))
		dump_inotify(tk_inotify_of(file), out);
}

void dump_files(struct tkvm_machine *machine, struct tk_buf *out)
{
	struct tk_proc *proc = &machine->proc;
	struct tk_fdtable *files = &proc->files;

	say("fds limit %u lowest %u open %u size %u locks %d memfds %d\n", files->limit,
	    files->lowest, files->open, files->size, files->locks != NULL, files->memfds != NULL);
	for (unsigned int fd = 0; fd < files->size; fd++) {
		if (!files->fds[fd].file)
			continue;
		say("fd %u cloexec %d", fd, files->fds[fd].cloexec);
		dump_file(files->fds[fd].file, out);
	}
	say("cwd");
	dump_file(proc->ns.cwd, out);
	say("umask %o flying %u flights %d\n", proc->ns.umask, proc->net.n_flying,
	    !tk_list_empty(&proc->net.flights));
}
