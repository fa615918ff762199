/* SPDX-License-Identifier: MIT */
/*
 * Parsing ELF headers. Owns the rules for which files are programs; touches no guest memory.
 *
 * The rules are those of Linux (elf(5), binfmt_elf), with three differences, all of which turn a
 * later crash of the program into a message: the segments must lie within the file, must not
 * overlap (sharing a page is fine), and the entry point must be an address of a program.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elf/elf.h"
#include "guest/layout.h"

#define MAX_ALIGN TK_GIB(1)

/* Where a complaint about the file goes. */
struct report {
	const char *path;
	int code;
	struct tkvm_error *err;
};

#define bad(r, fmt, ...) tk_fail((r)->err, (r)->code, "%s: " fmt, (r)->path, ##__VA_ARGS__)

int tk_pread_full(int fd, void *buf, size_t len, u64 offset)
{
	char *p = buf;
	ssize_t n;

	if (offset > INT64_MAX - len)
		return -ENOEXEC;
	while (len > 0) {
		n = pread(fd, p, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENOEXEC;
		p += n;
		len -= n;
		offset += n;
	}
	return 0;
}

static int check_ident(const Elf64_Ehdr *ehdr, size_t len, const struct report *r)
{
	if (len < SELFMAG || memcmp(ehdr->e_ident, ELFMAG, SELFMAG) != 0)
		return bad(r, "not a program (no ELF header)");
	if (len > EI_CLASS && ehdr->e_ident[EI_CLASS] == ELFCLASS32)
		return bad(r, "32-bit programs are not supported");
	if (len < sizeof(*ehdr))
		return bad(r, "truncated ELF header");
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64 || ehdr->e_ident[EI_DATA] != ELFDATA2LSB)
		return bad(r, "not a 64-bit little-endian ELF file");
	return 0;
}

int tk_elf_check_ehdr(const Elf64_Ehdr *ehdr, size_t len, u64 size, const char *path, int code,
		      struct tkvm_error *err)
{
	const struct report r = {path, code, err};
	int rc = check_ident(ehdr, len, &r);
	u64 bytes, end;

	if (rc < 0)
		return rc;
	if (ehdr->e_machine != EM_X86_64)
		return bad(&r, "made for another machine (ELF machine %u)", ehdr->e_machine);
	if (ehdr->e_type != ET_EXEC && ehdr->e_type != ET_DYN)
		return bad(&r, "not an executable (ELF type %u)", ehdr->e_type);
	if (ehdr->e_phentsize != sizeof(Elf64_Phdr))
		return bad(&r, "bad size of program headers (%u)", ehdr->e_phentsize);
	if (ehdr->e_phnum < 1 || ehdr->e_phnum > TK_ELF_MAX_PHDRS)
		return bad(&r, "bad number of program headers (%u)", ehdr->e_phnum);
	bytes = ehdr->e_phnum * sizeof(Elf64_Phdr);
	if (__builtin_add_overflow(ehdr->e_phoff, bytes, &end) || end > size)
		return bad(&r, "truncated (program headers end beyond the file)");
	return 0;
}

static int prot_of(u32 flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
	       (flags & PF_X ? PROT_EXEC : 0);
}

static int check_load(const Elf64_Phdr *ph, unsigned int i, u64 size, const struct report *r)
{
	u64 end;

	if (ph->p_filesz > ph->p_memsz)
		return bad(r, "segment %u is larger in the file than in memory", i);
	if (__builtin_add_overflow(ph->p_vaddr, ph->p_memsz, &end) || end > TK_USER_TOP)
		return bad(r, "segment %u does not fit the address space", i);
	if (ph->p_filesz == 0)
		return 0;
	if (__builtin_add_overflow(ph->p_offset, ph->p_filesz, &end) || end > size)
		return bad(r, "truncated (segment %u ends beyond the file)", i);
	if ((ph->p_vaddr - ph->p_offset) % TK_PAGE_SIZE != 0)
		return bad(r, "segment %u is misaligned", i);
	return 0;
}

static int add_load(struct tk_elf *elf, const Elf64_Phdr *ph, unsigned int i, u64 size,
		    const struct report *r)
{
	int rc = check_load(ph, i, size, r);
	u64 align = ph->p_align;

	/* Linux ignores alignments that are no powers of two */
	if (rc < 0 || ph->p_memsz == 0)
		return rc;
	if ((align & (align - 1)) == 0 && align > elf->align) {
		if (align > MAX_ALIGN)
			return bad(r, "segment %u has a huge alignment", i);
		elf->align = align;
	}
	elf->segments[elf->n_segments++] = (struct tk_elf_segment){
		.vaddr = ph->p_vaddr,
		.memsz = ph->p_memsz,
		.offset = ph->p_offset,
		.filesz = ph->p_filesz,
		.prot = prot_of(ph->p_flags),
	};
	return 0;
}

static int add_interp(struct tk_elf *elf, const Elf64_Phdr *ph, u64 size, const struct report *r)
{
	u64 end;

	if (elf->interp_size > 0)
		return 0; /* the first one counts */
	if (ph->p_filesz < 2 || ph->p_filesz > PATH_MAX)
		return bad(r, "bad interpreter name");
	if (__builtin_add_overflow(ph->p_offset, ph->p_filesz, &end) || end > size)
		return bad(r, "truncated (interpreter name ends beyond the file)");
	elf->interp_offset = ph->p_offset;
	elf->interp_size = (u32)ph->p_filesz;
	return 0;
}

static int cmp_segments(const void *a, const void *b)
{
	const struct tk_elf_segment *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

/* Sets lo and hi; the segments stay in the file's order, in which Linux maps them. */
static int check_extent(struct tk_elf *elf, const struct report *r)
{
	size_t n = elf->n_segments;
	struct tk_elf_segment *sorted;
	bool overlap = false;

	if (n == 0)
		return bad(r, "no segments to load");
	sorted = malloc(n * sizeof(*sorted));
	if (!sorted)
		return tk_fail_errno(r->err, ENOMEM, "%s", r->path);
	memcpy(sorted, elf->segments, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), cmp_segments);
	for (size_t i = 1; i < n; i++)
		overlap |= sorted[i].vaddr < sorted[i - 1].vaddr + sorted[i - 1].memsz;
	elf->lo = tk_page_down(sorted[0].vaddr);
	elf->hi = tk_page_down(sorted[n - 1].vaddr + sorted[n - 1].memsz + TK_PAGE_SIZE - 1);
	free(sorted);
	return overlap ? bad(r, "segments overlap") : 0;
}

/* AT_PHDR: the address of the program headers, if some segment holds them. */
static void find_phdrs(struct tk_elf *elf, u64 phoff)
{
	for (unsigned int i = 0; i < elf->n_segments; i++) {
		const struct tk_elf_segment *seg = &elf->segments[i];

		if (phoff < seg->offset || phoff - seg->offset >= seg->filesz)
			continue;
		elf->has_phdr = true;
		elf->phdr = seg->vaddr + (phoff - seg->offset);
		return;
	}
}

int tk_elf_parse(struct tk_elf *elf, const Elf64_Ehdr *ehdr, const Elf64_Phdr *phdrs, u64 size,
		 const char *path, int code, struct tkvm_error *err)
{
	const struct report r = {path, code, err};
	int rc = 0;

	*elf = (struct tk_elf){
		.fixed = ehdr->e_type == ET_EXEC,
		.entry = ehdr->e_entry,
		.align = TK_PAGE_SIZE,
		.phnum = ehdr->e_phnum,
		.segments = calloc(ehdr->e_phnum, sizeof(struct tk_elf_segment)),
	};
	if (!elf->segments)
		return tk_fail_errno(err, ENOMEM, "%s", path);
	for (unsigned int i = 0; i < ehdr->e_phnum && rc == 0; i++) {
		if (phdrs[i].p_type == PT_LOAD)
			rc = add_load(elf, &phdrs[i], i, size, &r);
		else if (phdrs[i].p_type == PT_INTERP)
			rc = add_interp(elf, &phdrs[i], size, &r);
		else if (phdrs[i].p_type == PT_GNU_STACK)
			elf->exec_stack = phdrs[i].p_flags & PF_X;
	}
	if (rc == 0)
		rc = check_extent(elf, &r);
	if (rc == 0 && elf->entry >= TK_USER_TOP)
		rc = bad(&r, "entry point is outside of the address space");
	if (rc == 0)
		find_phdrs(elf, ehdr->e_phoff);
	else
		tk_elf_free(elf);
	return rc;
}

int tk_elf_read(struct tk_elf *elf, int fd, u64 size, const char *path, int code,
		struct tkvm_error *err)
{
	const struct report r = {path, code, err};
	Elf64_Ehdr ehdr = {0};
	size_t len = TK_MIN(size, (u64)sizeof(ehdr)), bytes;
	Elf64_Phdr *phdrs;
	int rc = tk_pread_full(fd, &ehdr, len, 0);

	if (rc == 0)
		rc = tk_elf_check_ehdr(&ehdr, len, size, path, code, err);
	else
		rc = rc == -ENOEXEC ? bad(&r, "truncated") : tk_fail_errno(err, -rc, "%s", path);
	if (rc < 0)
		return rc;
	bytes = ehdr.e_phnum * sizeof(*phdrs);
	tk_assert(bytes > 0);
	phdrs = malloc(bytes);
	if (!phdrs)
		return tk_fail_errno(err, ENOMEM, "%s", path);
	rc = tk_pread_full(fd, phdrs, bytes, ehdr.e_phoff);
	if (rc == 0)
		rc = tk_elf_parse(elf, &ehdr, phdrs, size, path, code, err);
	else
		rc = rc == -ENOEXEC ? bad(&r, "truncated") : tk_fail_errno(err, -rc, "%s", path);
	free(phdrs);
	return rc;
}

void tk_elf_free(struct tk_elf *elf)
{
	free(elf->segments);
	elf->segments = NULL;
	elf->n_segments = 0;
}
