# SPDX-License-Identifier: MIT
"""Every way to link a program, scripts with an interpreter, and programs without a C library."""
import os
import shutil

KINDS = {
    "pie": ([], "gcc"),
    "pie-now": (["-Wl,-z,now,-z,relro"], "gcc"),
    "exec-0x400000": (["-no-pie", "-fno-pie"], "gcc"),
    "exec-0x200000": (["-no-pie", "-fno-pie", "-Wl,-Ttext-segment=0x200000"], "gcc"),
    "static": (["-static"], "gcc"),
    "static-0x200000": (["-static", "-Wl,-Ttext-segment=0x200000"], "gcc"),
    "static-pie": (["-static-pie", "-fPIE"], "gcc"),
    "aligned-2M": (["-Wl,-z,max-page-size=0x200000"], "gcc"),
    "execstack": (["-z", "execstack"], "gcc"),
    "musl": ([], "musl-gcc"),
    "musl-static": (["-static"], "musl-gcc"),
    "musl-static-pie": (["-static-pie", "-fPIE"], "musl-gcc"),
}


def register(cases):
    def place(directory, source, flags, compiler, name="prog", tag=None):
        program = cases.program(source, flags, compiler, name=tag)
        shutil.copy(program, os.path.join(directory, name))

    for kind, (flags, compiler) in KINDS.items():
        def setup(directory, kind=kind, flags=flags, compiler=compiler):
            place(directory, "elf.c", flags + ["-lm"], compiler, tag="elf-" + kind)
            return [["./prog"], ["./prog", "", "two words", "x" * 5000],
                    [os.path.join(directory, "prog"), "absolute"]]
        cases.add("elf-" + kind, setup=wrap(cases, setup), status=33)

    def nolibc(directory, flags):
        place(directory, "nolibc.c", ["-nostdlib", "-O1", *flags], "gcc",
              tag="nolibc" + "".join(flags).replace("/", "_"))
        return [["./prog", "a", "b"]]
    script = os.path.join(os.path.dirname(__file__), "..", "src", "gap.ld")
    for kind, flags in (("static", ["-static"]), ("static-pie", ["-static-pie", "-fPIE"]),
                        ("one-segment", ["-static", "-Wl,-N"]),
                        ("high", ["-static", "-mcmodel=large", "-no-pie", "-fno-pie",
                                  "-Wl,-Ttext-segment=0x555500000000"]), ("unordered", ["-static", "-T", os.path.abspath(script)])):
        cases.add("elf-nolibc-" + kind, setup=wrap(cases, lambda d, f=flags: nolibc(d, f)), status=21)

    def avx(directory):
        place(directory, "avx.c", ["-O2"], "gcc")
        return [["./prog"]]
    cases.add("avx-state", setup=wrap(cases, avx))

    def shebang(directory):
        place(directory, "elf.c", ["-lm"], "gcc", "interp", tag="elf-pie")
        for name, text in (("one", "#!%s/interp\nrest\n" % directory),
                           ("arg", "#! \t%s/interp  an argument with spaces \n" % directory),
                           ("nested", "#!%s/one two\n" % directory),
                           ("sh", "#!/bin/sh\necho \"$0\" \"$@\"\nexit 33\n"),
                           ("env", "#!/usr/bin/env -S perl -w\nprint \"perl @ARGV\\n\"; exit 33\n"),
                           ("py", "#!/usr/bin/python3 -S\nimport sys\nprint(sys.argv)\nsys.exit(33)\n"),
                           ("nonl", "#!%s/interp" % directory)):
            with open(os.path.join(directory, name), "w") as f:
                f.write(text)
            os.chmod(os.path.join(directory, name), 0o755)
        return [["./" + name, "x", "y z"] for name in ("one", "arg", "nested", "sh", "py", "nonl")]
    cases.add("shebang", setup=wrap(cases, shebang), status=33)


def wrap(cases, setup):
    def wrapped(directory):
        return [cases.Step(*step) for step in setup(directory)]
    return wrapped
