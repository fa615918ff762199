/* SPDX-License-Identifier: MIT */
/*
 * What a hostile program may put on the fast path's record, replayed. The input's first byte says
 * how things are (a connection offered, or accepted, registered or not); the rest are runs of
 * entries, each settled as an exit would. Afterwards the objects must agree with each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../unit/fast_rig.h"
#include "base/error.h"
#include "fuzz.h"
#include "fs/regular.h"

/* The program has opened a file, if it has not one open. */
static void open_file(struct fast_rig *rig)
{
	struct tk_fdtable *files = &rig->fake.proc.files;
	struct tk_file *file;
	int fd;

	for (unsigned int i = 0; i < files->size; i++)
		if (files->fds[i].file && tk_is_regular(files->fds[i].file))
			return;
	fd = memfd_create("text", MFD_CLOEXEC);
	tk_assert(fd >= 0 && write(fd, FAST_TEXT, sizeof(FAST_TEXT)) == sizeof(FAST_TEXT));
	tk_assert(!tk_regular_new(fd, O_RDONLY, "/text", &file));
	rig->fast.opened_fd = (u32)tk_fd_install(files, file, 0, false);
	rig->fast.opened = true;
}

static u64 take(const u8 **data, size_t *left, size_t bytes)
{
	u64 value = 0;

	for (size_t i = 0; i < bytes && *left; i++, (*left)--)
		value |= (u64) * (*data)++ << 8 * i;
	return value;
}

/* Small numbers mostly, which may be right. */
static u64 number(const u8 **data, size_t *left)
{
	u64 size = take(data, left, 1);

	return size < 128 ? size : take(data, left, size % 9);
}

/* One exit: entries from the input. False: the machine has ended. */
static bool one_exit(struct fast_rig *rig, const u8 **data, size_t *left)
{
	u64 n = number(data, left);

	rig->fast.record->count = (u32)n;
	rig->fast.shim->undo = n >> 32;
	for (u64 i = 0; i < n && i < TK_FAST_CALLS && *left; i++)
		rig->fast.record->entries[i] = (struct tk_fast_entry){
			.deed = (u32)number(data, left),
			.nr = (u32)number(data, left),
			.a = number(data, left) | number(data, left) << 32,
			.b = number(data, left),
		};
	return !tk_fast_settle(&rig->fast, &rig->fake.proc);
}

/* At most one connection, one registration of it, and each where it belongs. */
static void check(struct fast_rig *rig)
{
	const struct tk_fdtable *files = &rig->fake.proc.files;
	unsigned int conns = 0;

	for (unsigned int fd = 0; fd < files->size; fd++) {
		struct tk_sock *sock = files->fds[fd].file ? tk_sock_of(files->fds[fd].file) : NULL;

		if (files->fds[fd].file && tk_is_regular(files->fds[fd].file))
			tk_assert(files->fds[fd].file->refs == 1 &&
				  (u64)files->fds[fd].file->pos <= sizeof(FAST_TEXT));
		if (!sock || sock->gate)
			continue;
		conns++;
		tk_assert(sock->accepted && sock->file.refs == 1);
		tk_assert(!sock->file.watches ||
			  (!sock->file.watches->next && sock->file.watches->fd == fd));
	}
	tk_assert(conns <= 1 && rig->accepted + (int)!rig->accepted == 1);
	tk_assert((int)conns == rig->accepted - rig->released);
}

/* Nothing comes that nobody was told of; less may, if the connection broke. */
static void check_output(const struct fast_rig *rig)
{
	size_t got = 0;
	u8 bytes[4096];
	ssize_t n;

	while ((n = recv(rig->theirs, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		got += (size_t)n;
	tk_assert(got <= rig->told);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fast_rig *rig = calloc(1, sizeof(*rig));
	bool alive = true;

	fast_begin(rig, AF_INET);
	while (alive && size) {
		open_file(rig);
		if (!fast_give(rig))
			break;
		alive = one_exit(rig, &data, &size);
		check(rig);
	}
	fast_end(rig);
	check_output(rig);
	close(rig->theirs);
	free(rig);
	return 0;
}
