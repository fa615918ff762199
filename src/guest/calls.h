/* SPDX-License-Identifier: MIT */
/*
 * System calls that exist in machines and nowhere else. Linux keeps away from 387 to 423 on x86-64
 * (arch/x86/entry/syscalls/syscall_64.tbl), so that a program may try them anywhere: -ENOSYS. Used
 * by guests, too: keep it to #defines of plain integers. The rows of sys/table.h are the same.
 */
#ifndef TK_GUEST_CALLS_H
#define TK_GUEST_CALLS_H

/*
 * No arguments. A random number above zero that stays the same from one reset to the next, and in a
 * machine that is no fork for ever. A program that kept the last one, and sees another, has been
 * copied since: it is time to seed its random number generators anew.
 */
#define TK_SYS_GENERATION 400

/*
 * Remote calls, made through libkvmserverguest.so (guestlib/), which says what they do. The first
 * has two results: RAX is 0 or -errno, and RDX what the storage program answers.
 */
#define TK_SYS_REMOTE_RESUME	   401 /* buf, len */
#define TK_SYS_STORAGE_WAIT_PAUSED 402 /* void **buf, ret */

#endif
