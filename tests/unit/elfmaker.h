/* SPDX-License-Identifier: MIT */
/* Small ELF files, made in memory, for the tests of the loader. */
#ifndef TESTS_UNIT_ELFMAKER_H
#define TESTS_UNIT_ELFMAKER_H

#include <elf.h>
#include <string.h>

#include "base/types.h"

#define ELF_FILE_SIZE 0x4000

struct elf_file {
	union {
		u8 bytes[ELF_FILE_SIZE];
		struct {
			Elf64_Ehdr ehdr;
			Elf64_Phdr phdrs[32];
		};
	};
};

/* A header and no segments; byte i of the rest of the file is (i / 0x1000) << 4 | (i & 0xf). */
static inline void elf_init(struct elf_file *file, u16 type)
{
	for (size_t i = 0; i < sizeof(file->bytes); i++)
		file->bytes[i] = (u8)(i / 0x1000 << 4 | (i & 0xf));
	file->ehdr = (Elf64_Ehdr){
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = type,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = 0x400100,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
	};
}

static inline Elf64_Phdr *elf_add(struct elf_file *file, u32 type, u32 flags, u64 offset, u64 vaddr,
				  u64 filesz, u64 memsz)
{
	Elf64_Phdr *ph = &file->phdrs[file->ehdr.e_phnum++];

	*ph = (Elf64_Phdr){
		.p_type = type,
		.p_flags = flags,
		.p_offset = offset,
		.p_vaddr = vaddr,
		.p_filesz = filesz,
		.p_memsz = memsz,
		.p_align = 0x1000,
	};
	return ph;
}

static inline void elf_add_interp(struct elf_file *file, u64 offset, const char *path)
{
	strcpy((char *)file->bytes + offset, path);
	elf_add(file, PT_INTERP, PF_R, offset, 0, strlen(path) + 1, strlen(path) + 1);
}

/* Text at 0x400000, data and bss at 0x402000. */
static inline void elf_static(struct elf_file *file)
{
	elf_init(file, ET_EXEC);
	elf_add(file, PT_LOAD, PF_R | PF_X, 0, 0x400000, 0x1800, 0x1800);
	elf_add(file, PT_LOAD, PF_R | PF_W, 0x2000, 0x402000, 0x1234, 0x3456);
	elf_add(file, PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0);
}

#endif
