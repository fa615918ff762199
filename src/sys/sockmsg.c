/* SPDX-License-Identifier: MIT */
/* Message headers and buffers of the guest: copied once, checked as copy_msghdr_from_user() does.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "net/control.h"
#include "sys/sockmsg.h"

#define MAX_RW 0x7ffff000ull /* the most that one call transfers (MAX_RW_COUNT) */

struct tk_umsg tk_umsg_buffer(gva_t data, u64 len)
{
	return (struct tk_umsg){.single = true, .data = data, .count = TK_MIN(len, MAX_RW)};
}

int tk_umsg_read(struct tk_task *task, gva_t addr, struct tk_umsg *msg)
{
	struct msghdr raw;

	if (tk_copy_in(task->proc->mm, &raw, addr, sizeof(raw)))
		return -EFAULT;
	*msg = (struct tk_umsg){
		.name = (gva_t)raw.msg_name,
		.name_len = raw.msg_name ? (int)raw.msg_namelen : 0,
		.data = (gva_t)raw.msg_iov,
		.count = raw.msg_iovlen,
		.control = (gva_t)raw.msg_control,
		.control_len = raw.msg_controllen,
	};
	if (msg->name_len < 0)
		return -EINVAL;
	msg->name_len = TK_MIN(msg->name_len, (int)sizeof(struct sockaddr_storage));
	return msg->count > IOV_MAX ? -EMSGSIZE : 0;
}

/* The sum of the lengths in the guest's iovec array; saturates. */
static u64 wanted(struct tk_task *task, const struct tk_umsg *msg)
{
	struct iovec one;
	u64 sum = 0;

	for (u64 i = 0; i < msg->count; i++) {
		if (tk_copy_in(task->proc->mm, &one, msg->data + i * sizeof(one), sizeof(one)) ||
		    __builtin_add_overflow(sum, one.iov_len, &sum))
			return UINT64_MAX;
	}
	return TK_MIN(sum, MAX_RW);
}

static int map_single(struct tk_task *task, const struct tk_umsg *msg, enum tk_access access,
		      struct tk_pieces *pieces)
{
	pieces->iov = pieces->few;
	pieces->wanted = msg->count;
	return tk_iov_map(task->proc->mm, msg->data, msg->count, access, pieces->few,
			  TK_ARRAY_SIZE(pieces->few), &pieces->total);
}

static int map_array(struct tk_task *task, const struct tk_umsg *msg, enum tk_access access,
		     bool stream, struct tk_pieces *pieces)
{
	int n = tk_iov_import(task->proc->mm, msg->data, msg->count, access, &pieces->iov,
			      &pieces->total);

	if (n < 0)
		return n;
	pieces->wanted = stream ? pieces->total : wanted(task, msg);
	if (n <= IOV_MAX)
		return n;
	/* Split at chunk boundaries into more than the host takes: a stream may stop short. */
	if (!stream) {
		free(pieces->iov);
		return -EMSGSIZE;
	}
	pieces->total = 0;
	for (int i = 0; i < IOV_MAX; i++)
		pieces->total += pieces->iov[i].iov_len;
	return IOV_MAX;
}

int tk_pieces_map(struct tk_task *task, const struct tk_umsg *msg, enum tk_access access,
		  bool stream, struct tk_pieces *pieces)
{
	int n;

	pieces->iov = NULL;
	pieces->total = 0;
	n = msg->single ? map_single(task, msg, access, pieces)
			: map_array(task, msg, access, stream, pieces);
	if (n < 0)
		return n;
	pieces->n = n;
	return 0;
}

void tk_pieces_unmap(struct tk_pieces *pieces)
{
	if (pieces->iov != pieces->few)
		free(pieces->iov);
}

void tk_pieces_wrote(struct tk_task *task, const struct tk_umsg *msg,
		     const struct tk_pieces *pieces, size_t len)
{
	if (msg->single)
		tk_mm_wrote(task->proc->mm, msg->data, len);
	else
		tk_iov_wrote(task->proc->mm, pieces->iov, pieces->n, len);
}

void tk_pieces_cut(struct tk_pieces *pieces, size_t skip, struct msghdr *msg, struct tk_cut *cut)
{
	int i = 0;

	while (i < pieces->n && skip >= pieces->iov[i].iov_len)
		skip -= pieces->iov[i++].iov_len;
	cut->at = i;
	if (i < pieces->n) {
		cut->old = pieces->iov[i];
		pieces->iov[i].iov_base = (char *)pieces->iov[i].iov_base + skip;
		pieces->iov[i].iov_len -= skip;
	}
	msg->msg_iov = pieces->iov + i;
	msg->msg_iovlen = (size_t)(pieces->n - i);
}

void tk_pieces_uncut(struct tk_pieces *pieces, const struct tk_cut *cut)
{
	if (cut->at < pieces->n)
		pieces->iov[cut->at] = cut->old;
}

struct tk_control_env *tk_control_env_of(struct tk_task *task, struct tk_control_env *env)
{
	*env = (struct tk_control_env){
		.net = &task->proc->net,
		.files = &task->proc->files,
		.ids = tk_net_ids_of(task),
		.limit = task->proc->files.limit,
	};
	return env;
}
