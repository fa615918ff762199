/* SPDX-License-Identifier: MIT */
/*
 * The fast path: the file that the program opened last, to read it. Its stat(2) and, if it is
 * short, its content were given behind that; what is recorded is where the offset comes to, and its
 * close.
 */
#include <asm/unistd_64.h>

#include "call.h"

#define TCGETS		 0x5401
#define SEEK_SET	 0
#define SEEK_CUR	 1
#define SEEK_END	 2
#define SYMLINK_NOFOLLOW 0x100
#define NO_AUTOMOUNT	 0x800
#define EMPTY_PATH	 0x1000

static long move(struct call *c, u64 pos, long result)
{
	c->state->file_pos = pos;
	return did(c, TK_DID_POSITION, pos, 0, result);
}

/* From @pos, to the end if there is no more. PASS, or how many bytes. */
static long get(const struct call *c, const struct piece *pieces, u32 n, u64 pos)
{
	u64 size = c->given->file_size, left = pos < size ? size - pos : 0, total, done = 0;

	if (!is_content(c) || !are_user(pieces, n, &total) || !total)
		return PASS;
	for (u32 i = 0; i < n && done < left; i++) {
		u64 part = pieces[i].len < left - done ? pieces[i].len : left - done;

		copy(at(pieces[i].base), at(TK_GIVEN_VA + TK_GIVEN_FILE + pos + done), part);
		done += part;
	}
	return (long)done;
}

/* The file may have become shorter than what was read. */
static long get_here(struct call *c, const struct piece *pieces, u32 n)
{
	bool beyond = c->state->file_pos > c->given->file_size;
	long done = beyond ? PASS : get(c, pieces, n, c->state->file_pos);

	return done == PASS ? PASS : move(c, c->state->file_pos + (u64)done, done);
}

static long do_read(struct call *c)
{
	const struct piece piece = {c->a[1], c->a[2]};

	return get_here(c, &piece, 1);
}

static long do_readv(struct call *c)
{
	struct piece pieces[PIECES_MOST];

	return fetch_pieces(pieces, c->a[1], c->a[2]) ? get_here(c, pieces, (u32)c->a[2]) : PASS;
}

static long do_pread(struct call *c)
{
	const struct piece piece = {c->a[1], c->a[2]};
	long done = (s64)c->a[3] < 0 ? PASS : get(c, &piece, 1, c->a[3]);

	return done == PASS ? PASS : answered(c, done);
}

/* Within the file. */
static long do_lseek(struct call *c)
{
	u64 pos = c->a[1], size = c->given->file_size;

	switch ((u32)c->a[2]) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		pos += c->state->file_pos;
		break;
	case SEEK_END:
		pos += size;
		break;
	default:
		return PASS;
	}
	return pos <= size && is_fresh(c) ? move(c, pos, (long)pos) : PASS;
}

static long do_fstat(struct call *c, u64 out)
{
	if (!is_fresh(c) || !store(out, c->given->file_stat, TK_FAST_STAT))
		return PASS;
	return answered(c, 0);
}

/* Of the descriptor itself, by an empty path. */
static long do_fstatat(struct call *c)
{
	const u32 known = SYMLINK_NOFOLLOW | NO_AUTOMOUNT | EMPTY_PATH;
	u32 flags = (u32)c->a[3];
	char first;

	if (flags & ~known || !(flags & EMPTY_PATH) || !fetch(&first, c->a[1], 1) || first)
		return PASS;
	return do_fstat(c, c->a[2]);
}

static long do_close(struct call *c)
{
	c->state->file = 0;
	return did(c, TK_DID_CLOSE_FILE, 0, 0, 0);
}

long about_file(struct call *c, u32 nr)
{
	switch (nr) {
	case __NR_read:
		return do_read(c);
	case __NR_readv:
		return do_readv(c);
	case __NR_pread64:
		return do_pread(c);
	case __NR_lseek:
		return do_lseek(c);
	case __NR_fstat:
		return do_fstat(c, c->a[1]);
	case __NR_newfstatat:
		return do_fstatat(c);
	case __NR_ioctl:
		return (u32)c->a[1] == TCGETS ? answered(c, -ENOTTY) : PASS;
	case __NR_close:
		return do_close(c);
	default:
		return PASS;
	}
}
