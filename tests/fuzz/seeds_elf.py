#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the seeds of fuzz_elf: small files with every kind of header that the loader knows."""
import os
import struct
import sys

LOAD, DYNAMIC, INTERP, NOTE, TLS = 1, 2, 3, 4, 7
STACK, RELRO, PROPERTY = 0x6474E551, 0x6474E552, 0x6474E553
R, W, X = 4, 2, 1


def ehdr(kind, entry, phnum, phoff=64, machine=62, bits=2):
    ident = b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9)
    return ident + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, entry, phoff, 0, 0, 64, 56,
                               phnum, 0, 0, 0)


def phdr(kind, flags, offset, vaddr, filesz, memsz, align=0x1000):
    return struct.pack("<IIQQQQQQ", kind, flags, offset, vaddr, vaddr, filesz, memsz, align)


def elf(kind, entry, *phdrs, tail=b""):
    return ehdr(kind, entry, len(phdrs)) + b"".join(phdrs) + tail


STATIC = elf(2, 0x400100, phdr(LOAD, R | X, 0, 0x400000, 0x1800, 0x1800),
             phdr(LOAD, R | W, 0x2000, 0x402000, 0x1234, 0x3456), phdr(STACK, R | W, 0, 0, 0, 0))
INTERP_AT = 64 + 6 * 56
PIE = elf(3, 0x100, phdr(LOAD, R, 0, 0, 0x1000, 0x1000), phdr(LOAD, R | X, 0x1000, 0x1000, 9, 9),
          phdr(LOAD, R | W, 0x2100, 0x3100, 0x100, 0x2000), phdr(INTERP, R, INTERP_AT, 0, 6, 6),
          phdr(TLS, R, 0x2100, 0x3100, 8, 16), phdr(STACK, R | W | X, 0, 0, 0, 0),
          tail=b"/ld.s\0")

# name: options, pages of the file, content
SEEDS = {
    "static": (0, 8, STATIC),
    "low": (0, 8, STATIC.replace(struct.pack("<Q", 0x400000), struct.pack("<Q", 0x200000))),
    "pie": (0, 8, PIE),
    "pie-random": (4, 8, PIE),
    "pie-self": (1, 8, PIE),
    "pie-no-interp": (2, 8, PIE),
    "shared-page": (0, 8, elf(3, 0, phdr(LOAD, R, 0, 0, 0x800, 0x800),
                              phdr(LOAD, R | W, 0x800, 0x800, 0x10, 0x900))),
    "bss-only": (0, 2, elf(3, 0, phdr(LOAD, R | W, 0x9999, 0x1800, 0, 0x100000))),
    "unordered": (0, 8, elf(3, 0, phdr(LOAD, R, 0x3000, 0x5D6A000, 0x100, 0x100),
                            phdr(LOAD, R | X, 0x1000, 0x1000, 0x100, 0x200))),
    "aligned": (0, 8, elf(3, 0, phdr(LOAD, R | X, 0x1000, 0x5000, 9, 9, 0x200000))),
    "huge": (0, 8, elf(2, 0, phdr(LOAD, R | W, 0, 0x10000, 0x100, 0x7FFFBFFF0000))),
    "wraps": (0, 8, elf(2, 0, phdr(LOAD, R | W, 0, 2**64 - 0x1000, 0x100, 0x1000))),
    "overlap": (0, 8, elf(2, 0, *[phdr(LOAD, R, 0, 0x400000, 0x100, 0x100)] * 2)),
    "at-stack": (0, 8, elf(2, 0, phdr(LOAD, R, 0, 0x7FFFBFFF0000, 0x100, 0x100))),
    "many": (0, 8, elf(3, 0, *[phdr(LOAD, R, 0, i << 13, 1, 1) for i in range(40)])),
    "machine": (0, 8, ehdr(2, 0, 1, machine=183)),
    "bits": (0, 8, ehdr(2, 0, 1, bits=1)),
    "cut": (0, 0, STATIC[:100]),
    "script": (0, 0, b"#!/interp argument\n"),
    "script-cut": (0, 0, b"#!" + b"/a" * 200),
    "script-blank": (0, 0, b"#! \t"),
    "script-missing": (2, 0, b"#!/interp\n"),
    "text": (0, 0, b"hello\n"),
    "empty": (0, 0, b""),
}


def main():
    target = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__),
                                                               "corpus", "elf")
    os.makedirs(target, exist_ok=True)
    for name, (options, pages, content) in SEEDS.items():
        with open(os.path.join(target, name), "wb") as seed:
            seed.write(bytes([options, pages]) + content)


main()
