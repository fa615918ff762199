/* SPDX-License-Identifier: MIT */
/*
 * maps, smaps, smaps_rollup: proc_pid_maps(5). Programs parse these: names start in column 73,
 * lines without a name end in a blank. Resident sizes are known for the process as a whole only,
 * so that smaps has them in its sum and not per mapping.
 */
#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "guest/layout.h"
#include "sys/procfs.h"
#include "sys/usage.h"

#define NAME_COLUMN 73

/* A file's name, with the newline that could forge a line escaped as the kernel does it. */
static void print_name(struct tk_buf *out, const char *name)
{
	for (const char *p = name; *p; p++) {
		if (*p == '\n')
			tk_buf_printf(out, "\\012");
		else
			tk_buf_add(out, p, 1);
	}
}

static void print_line(struct tk_buf *out, const struct tk_vma_info *vma)
{
	const struct tk_backing *file = vma->backing;
	const char *name = vma->name ? vma->name : file ? file->name : NULL;
	size_t start = out->len;

	tk_buf_printf(out, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ",
		      (unsigned long long)vma->start, (unsigned long long)vma->end,
		      vma->prot & PROT_READ ? 'r' : '-', vma->prot & PROT_WRITE ? 'w' : '-',
		      vma->prot & PROT_EXEC ? 'x' : '-', vma->shared ? 's' : 'p',
		      (unsigned long long)(file ? vma->offset : 0), file ? major(file->dev) : 0,
		      file ? minor(file->dev) : 0, (unsigned long long)(file ? file->ino : 0));
	if (name && *name) {
		while (out->len - start < NAME_COLUMN && !out->failed)
			tk_buf_add(out, " ", 1);
		print_name(out, name);
	}
	tk_buf_add(out, "\n", 1);
}

static int maps_line(void *arg, const struct tk_vma_info *vma)
{
	print_line(arg, vma);
	return 0;
}

/* The vDSO lies in the kernel area, above all mappings of the program. */
static bool vdso(const struct tk_proc *proc, struct tk_vma_info *vma)
{
	Elf64_auxv_t entry;

	for (size_t at = 0; at + sizeof(entry) <= proc->auxv.len; at += sizeof(entry)) {
		memcpy(&entry, proc->auxv.data + at, sizeof(entry));
		if (entry.a_type != AT_SYSINFO_EHDR || entry.a_un.a_val < TK_USER_TOP)
			continue;
		*vma = (struct tk_vma_info){.start = entry.a_un.a_val & TK_PAGE_MASK,
					    .end = (entry.a_un.a_val & TK_PAGE_MASK) + TK_PAGE_SIZE,
					    .prot = PROT_READ | PROT_EXEC,
					    .name = "[vdso]"};
		return true;
	}
	return false;
}

int tk_procfs_maps(const struct tk_synth_at *at, struct tk_buf *out)
{
	struct tk_vma_info extra;

	tk_mm_for_each(at->proc->mm, maps_line, out);
	if (vdso(at->proc, &extra))
		print_line(out, &extra);
	return 0;
}

static void print_kib(struct tk_buf *out, const char *name, u64 bytes)
{
	tk_buf_printf(out, "%s:%*llu kB\n", name, 23 - (int)strlen(name),
		      (unsigned long long)(bytes / 1024));
}

static void print_zeroes(struct tk_buf *out, const char *const *names)
{
	for (; *names; names++)
		print_kib(out, *names, 0);
}

static const char *const sizes_unknown[] = {"Rss",
					    "Pss",
					    "Pss_Dirty",
					    "Shared_Clean",
					    "Shared_Dirty",
					    "Private_Clean",
					    "Private_Dirty",
					    "Referenced",
					    "Anonymous",
					    "KSM",
					    "LazyFree",
					    "AnonHugePages",
					    "ShmemPmdMapped",
					    "FilePmdMapped",
					    "Shared_Hugetlb",
					    "Private_Hugetlb",
					    "Swap",
					    "SwapPss",
					    "Locked",
					    NULL};

static void print_vm_flags(struct tk_buf *out, const struct tk_vma_info *vma)
{
	tk_buf_printf(out, "VmFlags: %s%s%s%smr mw me %s\n", vma->prot & PROT_READ ? "rd " : "",
		      vma->prot & PROT_WRITE ? "wr " : "", vma->prot & PROT_EXEC ? "ex " : "",
		      vma->shared ? "sh " : "", vma->grows_down ? "gd " : "");
}

static int smaps_entry(void *arg, const struct tk_vma_info *vma)
{
	struct tk_buf *out = arg;

	print_line(out, vma);
	print_kib(out, "Size", vma->end - vma->start);
	print_kib(out, "KernelPageSize", TK_PAGE_SIZE);
	print_kib(out, "MMUPageSize", TK_PAGE_SIZE);
	print_zeroes(out, sizes_unknown);
	tk_buf_printf(out, "THPeligible:           0\n");
	print_vm_flags(out, vma);
	return 0;
}

int tk_procfs_smaps(const struct tk_synth_at *at, struct tk_buf *out)
{
	struct tk_vma_info extra;

	tk_mm_for_each(at->proc->mm, smaps_entry, out);
	if (vdso(at->proc, &extra))
		smaps_entry(out, &extra);
	return 0;
}

static int extent(void *arg, const struct tk_vma_info *vma)
{
	struct tk_vma_info *all = arg;

	if (!all->end)
		all->start = vma->start;
	all->end = vma->end;
	return 0;
}

int tk_procfs_rollup(const struct tk_synth_at *at, struct tk_buf *out)
{
	static const char *const rest[] = {"Pss_File",	   "Pss_Shmem",	    "Shared_Clean",
					   "Shared_Dirty", "Private_Clean", NULL};
	static const char *const tail[] = {"KSM",
					   "LazyFree",
					   "AnonHugePages",
					   "ShmemPmdMapped",
					   "FilePmdMapped",
					   "Shared_Hugetlb",
					   "Private_Hugetlb",
					   "Swap",
					   "SwapPss",
					   "Locked",
					   NULL};
	u64 resident = tk_resident_bytes(at->proc);
	struct tk_vma_info all = {.name = "[rollup]"};

	tk_mm_for_each(at->proc->mm, extent, &all);
	print_line(out, &all);
	print_kib(out, "Rss", resident);
	print_kib(out, "Pss", resident);
	print_kib(out, "Pss_Dirty", resident);
	print_kib(out, "Pss_Anon", resident);
	print_zeroes(out, rest);
	print_kib(out, "Private_Dirty", resident);
	print_kib(out, "Referenced", resident);
	print_kib(out, "Anonymous", resident);
	print_zeroes(out, tail);
	return 0;
}
