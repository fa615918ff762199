# SPDX-License-Identifier: MIT
"""The distribution's own tools (dynamic glibc, PIE) on a real tree: the kernel's headers."""
import os
import shutil
import subprocess

REAL = "/usr/include/linux"


def tree(directory):
    """A copy of a real tree whose times and order of creation are fixed."""
    target = os.path.join(directory, "tree")
    os.mkdir(target)
    for name in sorted(os.listdir(REAL))[:250]:
        path = os.path.join(REAL, name)
        if os.path.isdir(path):
            shutil.copytree(path, os.path.join(target, name), symlinks=True)
        else:
            shutil.copy(path, target)
    os.symlink("acct.h", os.path.join(target, "link"))
    os.link(os.path.join(target, "acct.h"), os.path.join(target, "hard"))
    for base, dirs, names in os.walk(target, topdown=False):
        for name in dirs + names:
            os.utime(os.path.join(base, name), (1600000000, 1600000000), follow_symlinks=False)
    os.utime(target, (1600000000, 1600000000))
    with open(os.path.join(directory, "all"), "wb") as out:
        for base, dirs, names in os.walk(target):
            dirs.sort()
            for name in sorted(names):
                with open(os.path.join(base, name), "rb") as f:
                    out.write(f.read())


def register(cases):
    Step = cases.Step

    def add(name, *steps, **more):
        cases.add(name, *steps, setup=more.pop("setup", tree), **more)

    add("ls", ["ls", "-la", "--time-style=full-iso", "tree/acct.h", "tree/link"],
        ["ls", "-1", "tree"], ["ls", "--color=always", "tree"], ["ls", "-lR", "--time-style=+%s",
        "tree/android", "tree/can"], ["ls", "absent"])
    add("find", ["find", "tree", "-name", "*.h", "-size", "+20k", "-printf", "%p %s %m %y\n"],
        ["find", "tree", "-type", "l", "-o", "-links", "2", "-type", "f"],
        ["find", "tree", "-empty"], ["find", "tree", "-depth", "-name", "a*", "-delete"])
    add("grep", ["grep", "-rn", "struct .*{$", "tree"], ["grep", "-c", "^#define", "all"],
        ["grep", "-P", r"\b0x[0-9a-f]{8}\b(?!U)", "all"], ["grep", "-E", "-o", "(u|s)(8|16|32)", "all"],
        ["grep", "-rlZ", "netlink", "tree"], ["grep", "-q", "nothing at all", "all"],
        ["grep", "-r", "x", "absent"])
    add("sed", Step("sed", "-n", "/struct/{s/^/> /;p;n;p}", "all"),
        Step("sed", "-i.bak", "-E", "s/__u(8|16|32|64)/u\\1_t/g", "all"),
        Step("sed", "$!N;P;D", stdin="all"))
    add("mawk", ["mawk", "/#define/ {n[$2]++; t+=length($0)} END {for (k in n) c++; print c, t, "
                 "int(t/c*1000)}", "all"],
        ["mawk", "BEGIN {for(i=0;i<20000;i++) s+=sin(i)*exp(-i/1e4); printf \"%.10f\\n\", s}"],
        ["mawk", "{gsub(/[aeiou]/, \"\"); print toupper(substr($0, 2, 30)) > \"out\"}", "all"])
    add("sort-uniq-join", ["sort", "--parallel=1", "-o", "sorted", "all"], ["uniq", "-c", "sorted"],
        ["sort", "--parallel=1", "-S", "100k", "-rn", "all"], ["comm", "-12", "sorted", "sorted"],
        ["tsort", "/dev/null"], ["sort", "-c", "all"], ["shuf", "--random-source=all", "sorted"])
    add("text-tools", ["wc", "all"], ["wc", "-L", "all"], ["cut", "-d", " ", "-f", "2-3", "all"],
        ["paste", "-d", ",", "all", "all"], ["fold", "-s", "-w", "30", "all"], ["fmt", "all"],
        ["pr", "-3", "-D", "x", "all"], ["nl", "all"], ["expand", "all"], ["unexpand", "-a", "all"],
        ["tac", "all"], ["head", "-n", "-100", "all"], ["tail", "-n", "+17000", "all"],
        ["od", "-t", "x1z", "-N", "3000", "all"], ["ptx", "tree/acct.h"],
        Step("tr", "-cs", "A-Za-z", "\\n", stdin="all"), ["csplit", "-n", "4", "-s", "all",
        "/struct/", "{20}"], ["split", "-b", "50000", "all", "part."], ["sum", "all"],
        ["split", "-n", "l/7", "all", "lines."], ["numfmt", "--to=iec", "123456789"])
    add("digests", *[[tool, "all", "/bin/bash"] for tool in (
        "cksum", "md5sum", "sha1sum", "sha224sum", "sha256sum", "sha384sum", "sha512sum", "b2sum")],
        ["base64", "all"], ["base32", "all"], ["basenc", "--z85", "-w0", "/dev/null"])
    add("cp-mv-rm", ["cp", "-a", "tree", "copy"], ["cp", "--sparse=always", "all", "sparse"],
        ["cp", "--reflink=auto", "--preserve=all", "all", "clone"], ["cp", "-l", "all", "hardlink"],
        ["mv", "-T", "copy", "moved"], ["rm", "-r", "moved/can"], ["rm", "-v", "all"],
        ["mv", "absent", "x"], ["rm", "tree"],
        ["install", "-m", "750", "tree/acct.h", "installed"], ["ln", "-sr", "tree/acct.h", "rel"])
    add("file-tools", ["mkdir", "-p", "-m", "2750", "a/b/c"], ["mkfifo", "a/fifo"],
        ["chmod", "-R", "g-r,o=x", "tree"], ["touch", "-r", "tree/acct.h", "new"],
        ["stat", "-c", "%n %a %s %F %h %Y", "tree/acct.h", "new", "tree/link"],
        ["truncate", "-s", "1M", "big"], ["fallocate", "-l", "100000", "big2"],
        ["dd", "if=/dev/zero", "of=sparse", "bs=1k", "seek=5000", "count=1", "status=none"],
        ["du", "-b", "--apparent-size", "tree"], ["readlink", "-e", "tree/link"], ["realpath",
        "--relative-to=tree", "a/b/../c"], ["rmdir", "-p", "a/b/c"], ["rmdir", "tree"], ["unlink", "new"],
        ["mktemp", "-d", "-p", "absent"], ["shred", "-u", "-n", "1", "big2"], ["sync", "big"],
        ["pathchk", "tree/a b"], ["mknod", "pipe", "p"], ["test", "-p", "pipe"])
    add("small-tools", ["uname", "-a"], ["pwd", "-P"], ["id"], ["id", "-un"], ["whoami"], ["groups"],
        ["hostname"], ["nproc", "--ignore=1000"], ["printenv", "HOME"], ["env"], ["echo", "a", "b"],
        ["printf", "%q %5.2f %b\n", "a b", "3.14159", "\\x41\\n"], ["expr", "12", "*", "12"],
        ["factor", "18446744073709551557", "600851475143"], ["seq", "-s,", "0", ".1", "5"],
        ["date", "-u", "-d", "2024-02-29 12:00 +1 year", "+%c"], ["true"], ["false"], ["basename",
        "/a/b.c", ".c"], ["dirname", "/a/b.c"], ["test", "1", "-gt", "2"], ["sleep", "0.05"],
        ["tty"], ["stty", "-a"], ["logname"], ["arch"], ["cat", "/proc/self/comm"],
        ["getconf", "PAGE_SIZE"], ["locale"], ["kill", "-l"], ["cat", "-A", "all"])
    add("tar", ["tar", "--sort=name", "-cf", "a.tar", "tree"], ["tar", "-tvf", "a.tar"],
        ["tar", "-C", "tree", "-xf", "a.tar"], ["tar", "-df", "a.tar"],
        ["tar", "--sort=name", "--format=posix", "--pax-option=delete=atime,delete=ctime",
         "-cf", "b.tar", "tree/link", "tree/hard", "tree/acct.h"], ["tar", "-xOf", "a.tar", "tree/acct.h"],
        ["tar", "-xf", "all"])
    add("gzip", ["gzip", "-9nk", "all"], ["gzip", "-lv", "all.gz"], ["gzip", "-t", "all.gz"],
        ["gzip", "-dc", "all.gz"], ["gzip", "-d", "tree/acct.h"], ["gzip", "-1n", "all", "-f"])
    add("xz", ["xz", "-k", "-T1", "-1", "all"], ["xz", "-dc", "all.xz"], ["xz", "-lv", "--robot",
        "all.xz"], ["xz", "-T1", "--format=lzma", "all"], ["unxz", "all.lzma"], ["xz", "-t", "all"])
    add("bzip2", ["bzip2", "-k", "all"], ["bzip2", "-tv", "all.bz2"], ["bunzip2", "-c", "all.bz2"])
    add("diff", ["diff", "-ru", "tree", "other"], ["cmp", "all", "changed"], ["diff", "all", "changed"],
        ["diff", "-q", "all", "all"], ["diff", "-y", "--suppress-common-lines", "all", "changed"], setup=changed, status=1)
    add("dash", ["dash", "-c", "x=0; for i in 1 2 3 4 5; do x=$((x+i)); done; echo $x; set -- *; echo $#; "
                 "case $1 in a*) echo yes;; esac; trap 'echo bye' EXIT; printf '%s\\n' \"${HOME##*/}\" "
                 ">f; read v <f; echo ${v%?}; unset v; : ${v:=def}; echo $v; cd tree; pwd; umask; exit 3"],
        ["bash", "-c", "a=(1 2 3); a+=(4); echo ${#a[@]} ${a[@]: -1}; [[ abc =~ b(.) ]] && echo "
         "${BASH_REMATCH[1]}; printf -v x %08x 12345; echo $x; declare -A m=([k]=v); echo ${m[k]}; "
         "for ((i=0;i<1000;i++)); do ((s+=i)); done; echo $s; mapfile -t L < all; echo ${#L[@]}; "
         "echo {a..e}{1..3}; exit 9"],
        ["bash", "-c", "kill -TERM $$"], ["dash", "-c", "nosuchcommand; echo $?; exit 5"],
        status=3)
    add("file-strings", ["file", "-b", "/bin/true", "all", "tree"], ["strings", "-n", "12", "/bin/bash"],
        ["readelf", "-hlSW", "/bin/true"], ["objdump", "-d", "/bin/true"], ["nm", "-D", "/bin/true"],
        ["size", "/bin/bash"], setup=None)
    add("cowsay", ["perl", "/usr/games/cowsay", "Hello"], ["perl", "/usr/games/cowsay", "-f", "tux",
        "-W", "20", "A", "longer", "text", "that", "is", "wrapped"], ["perl", "/usr/games/cowsay",
        "-f", "absent", "x"], Step("perl", "/usr/games/cowsay", "-n", stdin=b"from stdin\n  twice\n"),
        setup=None)


def changed(directory):
    tree(directory)
    shutil.copytree(os.path.join(directory, "tree"), os.path.join(directory, "other"), symlinks=True)
    subprocess.run(["sed", "-i", "s/define/DEFINE/", os.path.join(directory, "other", "acct.h")],
                   check=True, stdin=subprocess.DEVNULL)
    with open(os.path.join(directory, "all"), "rb") as f:
        data = f.read()
    with open(os.path.join(directory, "changed"), "wb") as f:
        f.write(data.replace(b"__u16", b"__u61", 40))
    for base, dirs, names in os.walk(os.path.join(directory, "other"), topdown=False):
        for name in dirs + names:
            os.utime(os.path.join(base, name), (1600000000, 1600000000), follow_symlinks=False)
