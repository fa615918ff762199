# SPDX-License-Identifier: MIT
"""Applets of the static busybox (glibc, ET_EXEC); those that need no second process."""
import os

TEXT = b"".join(b"%d\tline %d of some text, word%d\n" % (i, i * 7919 % 1000, i % 13)
                for i in range(500))


def files(directory):
    with open(os.path.join(directory, "text"), "wb") as f:
        f.write(TEXT)
    with open(os.path.join(directory, "other"), "wb") as f:
        f.write(TEXT.replace(b"word7", b"WORD7"))
    with open(os.path.join(directory, "binary"), "wb") as f:
        f.write(bytes(range(256)) * 300)
    os.makedirs(os.path.join(directory, "tree", "a", "b"))
    for name in ("tree/1", "tree/a/2", "tree/a/b/3"):
        with open(os.path.join(directory, name), "w") as f:
            f.write(name * 100)
    os.symlink("a/2", os.path.join(directory, "tree", "link"))
    for base, dirs, names in os.walk(directory):
        for name in dirs + names:
            os.utime(os.path.join(base, name), (1600000000, 1600000000), follow_symlinks=False)


APPLETS = {
    "ash": [["ash", "-c", "i=0; while [ $i -lt 100 ]; do i=$((i+1)); done; echo $i > f; cd tree; "
             "for x in *; do echo \"<$x>\"; done; read line < 1; echo ${#line}"], ["ash", "-c", "exit 7"]],
    "awk": [["awk", "-F\t", "{n[$1%7]+=length($2); s=s+$1/3} END "
             "{for(i=0;i<7;i++) print i, n[i]; printf \"%.6f\\n\", s}", "text"]],
    "base64": [["base64", "binary"]],
    "bc": [["bc", "-l", "expr"]],
    "bunzip2": [["bunzip2", "-c", "packed.bz2"]],
    "cal": [["cal", "2", "2024"]],
    "cat": [["cat", "text", "binary"], ["cat", "absent"]],
    "chmod": [["chmod", "-R", "u=rwx,go=x", "tree"], ["chmod", "4751", "text"]],
    "cksum": [["crc32", "binary"]],
    "cmp": [["cmp", "text", "text"], ["cmp", "text", "other"]],
    "comm-uniq": [["uniq", "-c", "text"]],
    "cp": [["cp", "-a", "tree", "copy"], ["cp", "text", "tree/"], ["cp", "absent", "x"]],
    "cpio": [["cpio", "-o", "-H", "newc", "-R", "0:0"]],
    "cut": [["cut", "-f", "2", "text"], ["cut", "-c", "3-7,20-", "text"]],
    "date": [["date", "-u", "-d", "@1234567890", "+%Y-%m-%dT%H:%M:%S %a %j"]],
    "dc": [["dc", "-e", "2 100 ^ p 355 113 / 20 k 355 113 / p"]],
    "dd": [["dd", "if=binary", "of=out", "bs=777", "count=50", "skip=3", "seek=2"]],
    "df": [["fallocate", "-l", "30000", "new"], ["df", "/absent"]],
    "diff": [["diff", "text", "text"], ["diff", "-u", "-L", "a", "-L", "b", "text", "other"]],
    "du": [["du", "-s", "tree/a/b/3"]],
    "echo": [["echo", "-e", "a\\tb\\x41\\n"]],
    "env": [["env", "-i", "A=b"]],
    "expand": [["expand", "-t", "13", "text"]],
    "expr": [["expr", "6", "*", "7"], ["expr", "1", "-", "1"]],
    "factor": [["factor", "1234567890123", "997"]],
    "find": [["find", "tree", "-type", "f", "-name", "[0-9]", "-size", "-2"],
             ["find", "tree", "-depth", "-newer", "/absent"]],
    "fold": [["fold", "-w", "17", "text"]],
    "grep": [["grep", "-n", "word7$", "text"], ["grep", "-rc", "tree", "tree"],
             ["grep", "nothing", "text"]],
    "gzip": [["gzip", "-k", "text"], ["gunzip", "-c", "text.gz"]],
    "head": [["head", "-c", "1000", "binary"]],
    "hexdump": [["hexdump", "-C", "binary"]],
    "id": [["id", "-u"], ["id", "-g"]],
    "hostid": [["ipcalc", "-b", "192.168.7.9/20"], ["nproc", "--ignore=1000"]],
    "ln": [["ln", "text", "hard"], ["ln", "-s", "text", "soft"], ["ln", "text", "other"]],
    "ls": [["ls", "-la", "--full-time", "-n", "tree/a/b"], ["ls", "-R", "tree"]],
    "md5sum": [["md5sum", "text", "binary"]],
    "mkdir": [["mkdir", "-p", "-m", "700", "x/y/z"], ["mkdir", "tree"]],
    "mktemp": [["mkfifo", "-m", "600", "fifo"]],
    "mv": [["mv", "text", "tree/a"], ["mv", "tree", "moved"]],
    "od": [["od", "-A", "x", "-t", "x2", "binary"]],
    "paste": [["paste", "text", "other"]],
    "patch": [["patch", "-p0", "-i", "change"]],
    "printf": [["printf", "%5d|%-8s|%x|%c\\n", "42", "abc", "255", "z"]],
    "readlink": [["readlink", "-f", "tree/link"], ["realpath", "tree/link"]],
    "rm": [["rm", "-r", "tree"], ["rm", "absent"], ["rmdir", "absent"]],
    "rev": [["rev", "text"]],
    "sed": [["sed", "-E", "s/([0-9]+)(.*)word/\\2<\\1>/;3,5d;/line 77/q", "text"],
            ["sed", "-i", "1d", "text"]],
    "seq": [["seq", "-w", "8", "3", "101"]],
    "sha": [["sha1sum", "binary"], ["sha256sum", "binary"], ["sha512sum", "binary"],
            ["sha3sum", "binary"]],
    "shuf-sort": [["sort", "-k2,2n", "-u", "text"], ["sort", "-r", "-o", "sorted", "text"]],
    "split-stat": [["stat", "-c", "%a %s %F %N", "text", "tree/link", "tree"],
                   ["stat", "-L", "-c", "%s", "tree/link"]],
    "strings": [["strings", "/bin/true"]],
    "tac": [["tac", "text"]],
    "tail": [["tail", "-n", "7", "text"], ["tail", "-c", "+76000", "binary"]],
    "tar": [["tar", "-cf", "t.tar", "tree"], ["tar", "-tvf", "t.tar"],
            ["tar", "-xf", "t.tar", "-C", "tree"]],
    "tee": [["tee", "copy1", "copy2"]],
    "test": [["test", "-L", "tree/link"], ["test", "text", "=", "x"], ["[", "-d", "tree", "]"]],
    "touch": [["touch", "-d", "2001-02-03 04:05:06", "new"], ["touch", "-c", "absent"]],
    "tr": [["tr", "a-z", "A-Z"]],
    "truncate": [["truncate", "-s", "12345", "text"]],
    "uname": [["uname", "-a"]],
    "unxz": [["unxz", "-c", "packed.xz"]],
    "uuencode": [["uuencode", "-m", "binary", "name"]],
    "vi": [["usleep", "10000"]],
    "wc": [["wc", "text", "binary"]],
    "xxd": [["xxd", "-p", "binary"], ["xxd", "-r", "-p", "/dev/null"]],
}
STDIN = {"cpio": b"tree\ntree/1\ntree/a\ntree/a/2\n", "tee": TEXT, "tr": TEXT}


def register(cases):
    def setup(directory):
        import bz2
        import gzip
        import lzma
        files(directory)
        for name, data in (("packed.bz2", bz2.compress(TEXT)), ("packed.xz", lzma.compress(TEXT)),
                           ("packed.gz", gzip.compress(TEXT, mtime=0)),
                           ("expr", b"scale=50\n4*a(1)\n2^1000\nsqrt(2)\n"),
                           ("change", b"--- text\n+++ text\n@@ -1,2 +1,2 @@\n-0\tline 0 of some text, "
                            b"word0\n+replaced\n 1\tline 919 of some text, word1\n")):
            with open(os.path.join(directory, name), "wb") as f:
                f.write(data)

    for applet, steps in APPLETS.items():
        mask = [(rb"0707010[0-9A-F]{7}", b"INODE")] if applet == "cpio" else ()
        steps = [cases.Step("/bin/busybox", *step, stdin=STDIN.get(applet, b""), mask=mask)
                 for step in steps]
        cases.add("busybox-" + applet, *steps, setup=setup)
