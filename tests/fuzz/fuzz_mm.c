/* SPDX-License-Identifier: MIT */
/*
 * Makes arbitrary memory calls in an address space without KVM. After every one the state must
 * agree with itself; in the end with the host, too.
 *
 * Input: a byte of options, then twelve bytes a call: which, a place, a page within 32 of it, a
 * length, and what else it takes. Now and then a place is any 64-bit number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "mm/access.h"
#include "mm/internal.h"

#define TINY_MEMORY 1 /* a limit of 1 MiB */
#define ALL_LAZY    2
#define FILE_PAGES  8
#define PIPE_MAX    TK_MIB(8) /* the longest copy: time is better spent on calls */

struct call {
	u8 nr, place, page, len;
	u8 prot, advice;
	u16 flags;
	u32 more;
};

struct world {
	struct tk_mm *mm;
	struct tk_backing *file;
	int fd;
};

/* Around chunk, leaf and table boundaries, the stack's place, the ends. */
static gva_t place(const struct call *call)
{
	static const gva_t places[] = {
		TK_USER_MIN, TK_MIB(2),	   TK_MIB(64),	TK_GIB(1),  TK_GIB(512),
		TK_MIB(192), TK_MMAP_BASE, TK_USER_TOP, 1ull << 46, 0x40000000,
		TK_GIB(5),   TK_GIB(7),	   TK_GIB(9),	0,
	};
	gva_t addr =
		places[call->place % TK_ARRAY_SIZE(places)] + (call->page % 64 - 32) * TK_PAGE_SIZE;

	if (call->place >= 250)
		addr = (u64)call->more << 32 | (u64)call->page << 24 | call->flags;
	else if (call->place >= 240)
		addr += call->more % TK_PAGE_SIZE;
	return addr;
}

static u64 length(const struct call *call)
{
	if (call->len >= 250)
		return ~0ull - call->more;
	if (call->len >= 240)
		return call->more;
	if (call->len >= 225)
		return 1ull << (call->more % 64);
	return call->len % 80 * TK_PAGE_SIZE;
}

static void do_mmap(struct world *w, const struct call *call)
{
	static const u64 extra[] = {0,	       MAP_FIXED,     MAP_FIXED,
				    0x100000,  MAP_GROWSDOWN, MAP_NORESERVE,
				    MAP_32BIT, MAP_LOCKED,    MAP_POPULATE};
	u64 flags = extra[call->advice % TK_ARRAY_SIZE(extra)], len = length(call);
	bool file = call->flags & 4;

	if (flags & (MAP_LOCKED | MAP_POPULATE))
		len = TK_MIN(len, PIPE_MAX);
	if (call->flags & 8)
		flags = call->flags;
	else
		flags |= (call->flags & 1 ? MAP_SHARED : MAP_PRIVATE) | (file ? 0 : MAP_ANONYMOUS);
	(void)!tk_mm_mmap(w->mm, place(call), len, call->prot, flags & ~(u64)MAP_POPULATE,
			  file ? w->file : NULL, call->more % 12 * TK_PAGE_SIZE);
}

static void do_mremap(struct world *w, const struct call *call)
{
	struct call to = *call;

	to.place = (u8)call->more;
	to.page = (u8)(call->more >> 8);
	(void)!tk_mm_mremap(w->mm, place(call), length(call),
			    (call->more >> 16) % 90 * TK_PAGE_SIZE, call->flags % 9, place(&to));
}

static void do_copy(struct world *w, const struct call *call)
{
	static u8 buf[TK_PAGE_SIZE * 80];
	size_t len = TK_MIN(length(call), sizeof(buf));

	(void)!tk_copy_out(w->mm, place(call), buf, len);
	(void)!tk_copy_in(w->mm, buf, place(call), len);
	(void)!tk_copy_str(w->mm, (char *)buf, place(call), len);
	(void)!tk_copy_out_force(w->mm, place(call), buf, len);
	memset(buf, call->prot, len);
}

static void do_iov(struct world *w, const struct call *call)
{
	struct iovec iov[2], *pieces;
	size_t total;

	if (tk_iov_map(w->mm, place(call), TK_MIN(length(call), PIPE_MAX), call->flags & 1, iov, 2,
		       &total) < 0)
		(void)!write(w->fd, "x", 0);
	if (tk_iov_import(w->mm, place(call), call->more % 64, TK_ACCESS_READ, &pieces, &total) >=
	    0)
		free(pieces);
}

static void do_other(struct world *w, const struct call *call)
{
	gva_t addr = place(call);
	u64 len = length(call);

	switch (call->prot % 6) {
	case 0:
		(void)!tk_mm_brk(w->mm, addr);
		break;
	case 1:
		(void)!tk_mm_mlock(w->mm, addr, TK_MIN(len, PIPE_MAX), call->flags & 1);
		break;
	case 2:
		(void)!tk_mm_munlock(w->mm, addr, len);
		break;
	case 3:
		(void)!tk_mm_mincore(w->mm, addr, TK_MIN(len, PIPE_MAX), place(call) + 1);
		break;
	case 4:
		if (!ftruncate(w->fd, call->more % (FILE_PAGES * TK_PAGE_SIZE)))
			tk_mm_drop_beyond_eof(w->mm, ~0ull);
		break;
	case 5:
		(void)!tk_mm_msync(w->mm, addr, len, call->flags % 16 & ~MS_SYNC);
		break;
	}
}

static void do_advice(struct world *w, const struct call *call)
{
	int advice = call->advice % 30;
	u64 len = length(call);

	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		len = TK_MIN(len, PIPE_MAX);
	(void)!tk_mm_madvise(w->mm, place(call), len, advice);
}

static void make_call(struct world *w, const struct call *call)
{
	switch (call->nr % 10) {
	case 0:
	case 1:
		do_mmap(w, call);
		break;
	case 2:
		(void)!tk_mm_munmap(w->mm, place(call), length(call));
		break;
	case 3:
		(void)!tk_mm_mprotect(w->mm, place(call), length(call),
				      call->prot % 9 | (u64)(call->flags & 3) << 24);
		break;
	case 4:
		do_mremap(w, call);
		break;
	case 5:
		do_advice(w, call);
		break;
	case 6:
		do_copy(w, call);
		break;
	case 7:
		(void)!tk_mm_fault(w->mm, place(call), call->flags % 32);
		break;
	case 8:
		do_iov(w, call);
		break;
	case 9:
		do_other(w, call);
		break;
	}
}

static void verify(struct world *w, bool deep)
{
	const char *wrong = tk_mm_check(w->mm, deep);

	if (!wrong)
		return;
	fprintf(stderr, "inconsistent: %s\n", wrong);
	abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 options = size ? data[0] : 0;
	struct tk_mm_options opts = {.max_address_space = 6ull * TK_CHUNK_SIZE,
				     .max_memory = options & TINY_MEMORY ? TK_MIB(1) : TK_MIB(64),
				     .max_vmas = 64};
	struct world w = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};
	struct call call;

	if (w.fd < 0 || ftruncate(w.fd, FILE_PAGES * TK_PAGE_SIZE) ||
	    tk_mm_create(&w.mm, &opts, NULL))
		abort();
	w.file = tk_backing_new(dup(w.fd), options & 4, "/fuzz");
	if (!w.file)
		abort();
	if (options & ALL_LAZY)
		w.mm->eager = 0;
	tk_mm_set_brk_start(w.mm, TK_GIB(7));
	for (size_t at = 1; at + sizeof(call) <= size && at < 200 * sizeof(call);
	     at += sizeof(call)) {
		memcpy(&call, data + at, sizeof(call));
		make_call(&w, &call);
		verify(&w, false);
	}
	verify(&w, true);
	tk_mm_destroy(w.mm);
	tk_backing_put(w.file);
	close(w.fd);
	return 0;
}
