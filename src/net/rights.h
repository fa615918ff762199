/* SPDX-License-Identifier: MIT */
/*
 * SCM_RIGHTS: open files that travel through unix sockets.
 *
 * Host descriptors of guest files never leave the VMM. What travels in the host's message is a
 * *token*, the write end of a pipe made for that message; the files wait in the process's list of
 * flights, found by the pipe's inode. The receiver exchanges the token for them. So it does not
 * matter who is at the other end: an outsider gets a useless pipe, and whatever descriptors an
 * outsider sends match no flight and are closed.
 *
 * The VMM keeps the read end: when it hangs up, the host has dropped the last copy of the
 * message, and the flight is over.
 */
#ifndef TK_NET_RIGHTS_H
#define TK_NET_RIGHTS_H

#include "fs/file.h"
#include "net/net.h"

#define TK_RIGHTS_MAX 253 /* SCM_MAX_FD */

/*
 * Start a flight with @files (references are taken). Returns the token, to be sent and then
 * closed by the caller, or -errno: -ETOOMANYREFS (@limit files are under way, or the
 * machine may have no more of the host's), -ENOMEM.
 */
int tk_rights_send(struct tk_net *net, struct tk_file *const *files, unsigned int n,
		   unsigned int limit);

/* The files behind a token that was received: borrowed, count in *@n; 0 if it is no token. */
struct tk_file *const *tk_rights_find(struct tk_net *net, int token, unsigned int *n);

/* Call @fn for every file that is on its way. @net: a struct tk_net. */
void tk_rights_each(void *net, void (*fn)(void *arg, const struct tk_file *file), void *arg);

/* End the flights whose messages are gone. */
void tk_rights_sweep(struct tk_net *net);
void tk_rights_drop_all(struct tk_net *net);

#endif
