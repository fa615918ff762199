/* SPDX-License-Identifier: MIT */
/*
 * Control messages, see control.h. Sending: SCM_RIGHTS becomes a token (net/rights.h),
 * SCM_CREDENTIALS is checked and left to the host, which adds the VMM's; a short list of
 * per-packet options is passed as it is. Receiving: tokens become files again, credentials of the
 * VMM the guest's, and the rest are facts about the packet.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/control.h"
#include "net/rights.h"

#define HEAD CMSG_LEN(0)

/* Options of a single packet that do no harm: not IP_RETOPTS or IPV6_RTHDR (source routes). */
static const struct {
	int level, type;
	size_t size;
} passed[] = {
	{IPPROTO_IP, IP_TOS, sizeof(int)},
	{IPPROTO_IP, IP_TTL, sizeof(int)},
	{IPPROTO_IP, IP_PKTINFO, sizeof(struct in_pktinfo)},
	{IPPROTO_IPV6, IPV6_PKTINFO, sizeof(struct in6_pktinfo)},
	{IPPROTO_IPV6, IPV6_HOPLIMIT, sizeof(int)},
	{IPPROTO_IPV6, IPV6_TCLASS, sizeof(int)},
	{IPPROTO_IPV6, IPV6_DONTFRAG, sizeof(int)},
	{IPPROTO_UDP, UDP_SEGMENT, sizeof(u16)},
};

struct sending {
	const struct tk_control_env *env;
	struct tk_control_out *out;
	struct tk_file *files[TK_RIGHTS_MAX];
	unsigned int n_files;
};

static void append(struct tk_control_out *out, int level, int type, const void *data, size_t len)
{
	struct cmsghdr head = {.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};

	memset(out->data + out->len, 0, CMSG_SPACE(len));
	memcpy(out->data + out->len, &head, sizeof(head));
	memcpy(out->data + out->len + HEAD, data, len);
	out->len += CMSG_SPACE(len);
}

static int take_rights(struct sending *snd, const u8 *data, size_t len)
{
	size_t n = len / sizeof(int);
	int fd;

	if (n > TK_RIGHTS_MAX - snd->n_files)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		struct tk_file *file;

		memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
		file = fd < 0 ? NULL : tk_fd_get(snd->env->files, (u64)fd);
		if (!file)
			return -EBADF;
		snd->files[snd->n_files++] = file;
	}
	return 0;
}

static int check_credentials(const struct tk_net_ids *ids, const u8 *data, size_t len)
{
	struct ucred cred;

	if (len != sizeof(cred))
		return -EINVAL;
	memcpy(&cred, data, sizeof(cred));
	if (cred.pid != ids->pid ||
	    (cred.uid != ids->uid && cred.uid != ids->euid && cred.uid != ids->suid) ||
	    (cred.gid != ids->gid && cred.gid != ids->egid && cred.gid != ids->sgid))
		return -EPERM;
	return 0;
}

static int take(struct sending *snd, const struct tk_sock *sock, const struct cmsghdr *head,
		const u8 *data, size_t len)
{
	if (head->cmsg_level == SOL_SOCKET) {
		if (head->cmsg_type != SCM_RIGHTS && head->cmsg_type != SCM_CREDENTIALS)
			return -EINVAL;
		if (sock->family != AF_UNIX)
			return 0; /* ignored there, as by the kernel */
		if (head->cmsg_type == SCM_RIGHTS)
			return take_rights(snd, data, len);
		return check_credentials(&snd->env->ids, data, len);
	}
	if (sock->family == AF_UNIX)
		return 0; /* __scm_send() skips other levels */
	for (size_t i = 0; i < TK_ARRAY_SIZE(passed); i++) {
		if (passed[i].level != head->cmsg_level || passed[i].type != head->cmsg_type ||
		    len > passed[i].size)
			continue;
		append(snd->out, head->cmsg_level, head->cmsg_type, data, len);
		return 0;
	}
	return -EINVAL;
}

/* CMSG_OK and CMSG_NXTHDR of the kernel: a tail too short for a header ends the walk. */
static int walk(struct sending *snd, const struct tk_sock *sock, const u8 *data, size_t len)
{
	struct cmsghdr head;
	size_t at = 0;
	int rc;

	while (len - at >= sizeof(head)) {
		memcpy(&head, data + at, sizeof(head));
		if (head.cmsg_len < sizeof(head) || head.cmsg_len > len - at)
			return -EINVAL;
		rc = take(snd, sock, &head, data + at + HEAD, head.cmsg_len - HEAD);
		if (rc)
			return rc;
		at += TK_MIN((size_t)CMSG_ALIGN(head.cmsg_len), len - at);
	}
	return 0;
}

int tk_control_send(const struct tk_control_env *env, const struct tk_sock *sock, const u8 *data,
		    size_t len, struct tk_control_out *out)
{
	struct sending snd = {.env = env, .out = out};
	int rc;

	*out = (struct tk_control_out){.token = -1};
	if (len < sizeof(struct cmsghdr))
		return 0;
	/* Nothing grows in translation but the alignment of the last one, and the token. */
	out->data = malloc(len + CMSG_SPACE(sizeof(int)) + sizeof(u64));
	if (!out->data)
		return -ENOMEM;
	rc = walk(&snd, sock, data, len);
	if (!rc && snd.n_files) {
		rc = tk_rights_send(env->net, snd.files, snd.n_files, env->limit);
		if (rc >= 0) {
			out->token = rc;
			append(out, SOL_SOCKET, SCM_RIGHTS, &out->token, sizeof(out->token));
			rc = 0;
		}
	}
	if (rc)
		tk_control_done(out);
	return rc;
}

void tk_control_done(struct tk_control_out *out)
{
	if (out->token >= 0)
		close(out->token);
	free(out->data);
	*out = (struct tk_control_out){.token = -1};
}

struct receiving {
	const struct tk_control_env *env;
	u8 *to;
	size_t used, size;
	bool cloexec;
	int *flags;
};

/* put_cmsg(): what does not fit is cut, and said to be. */
static void put(struct receiving *rcv, int level, int type, const void *data, size_t len)
{
	struct cmsghdr head = {.cmsg_level = level, .cmsg_type = type};
	size_t room = rcv->size - rcv->used, full = CMSG_LEN(len);

	if (room < sizeof(head)) {
		*rcv->flags |= MSG_CTRUNC;
		return;
	}
	if (room < full) {
		*rcv->flags |= MSG_CTRUNC;
		full = room;
	}
	head.cmsg_len = full;
	memcpy(rcv->to + rcv->used, &head, sizeof(head));
	memcpy(rcv->to + rcv->used + HEAD, data, full - HEAD);
	rcv->used += TK_MIN(CMSG_SPACE(len), room);
}

/* scm_detach_fds(): as many as there is room for, and descriptors. */
static void put_files(struct receiving *rcv, struct tk_file *const *files, unsigned int n)
{
	size_t room = rcv->size - rcv->used;
	size_t max = room < HEAD ? 0 : (room - HEAD) / sizeof(int);
	int fds[TK_RIGHTS_MAX];
	unsigned int i = 0;

	for (; i < n && i < max; i++) {
		fds[i] = tk_fd_install_or_put(rcv->env->files, tk_file_get(files[i]), rcv->cloexec);
		if (fds[i] < 0)
			break;
	}
	if (i < n)
		*rcv->flags |= MSG_CTRUNC;
	if (i)
		put(rcv, SOL_SOCKET, SCM_RIGHTS, fds, i * sizeof(int));
}

/* Host descriptors: our token, or an outsider's, which the guest gets nothing of. */
static void get_rights(struct receiving *rcv, const u8 *data, size_t len)
{
	struct tk_file *const *files;
	unsigned int n;
	int fd;

	for (size_t at = 0; len - at >= sizeof(fd); at += sizeof(fd)) {
		memcpy(&fd, data + at, sizeof(fd));
		files = tk_rights_find(rcv->env->net, fd, &n);
		if (n)
			put_files(rcv, files, n);
		close(fd);
	}
}

static void get_credentials(struct receiving *rcv, const u8 *data, size_t len)
{
	const struct tk_net_ids *ids = &rcv->env->ids;
	struct ucred cred;

	if (len < sizeof(cred))
		return;
	memcpy(&cred, data, sizeof(cred));
	if (cred.pid == getpid())
		cred = (struct ucred){ids->pid, ids->uid, ids->gid};
	else
		cred.pid = 0; /* not in the guest's world, as across pid namespaces */
	put(rcv, SOL_SOCKET, SCM_CREDENTIALS, &cred, sizeof(cred));
}

size_t tk_control_recv(const struct tk_control_env *env, const struct tk_sock *sock, u8 *from,
		       size_t from_len, u8 *to, size_t size, bool cloexec, int *flags)
{
	struct receiving rcv = {env, to, 0, size, cloexec, flags};
	struct cmsghdr head;
	size_t at = 0;

	while (from_len - at >= sizeof(head)) {
		const u8 *data = from + at + HEAD;
		size_t len;

		memcpy(&head, from + at, sizeof(head));
		if (head.cmsg_len < sizeof(head) || head.cmsg_len > from_len - at)
			break;
		len = head.cmsg_len - HEAD;
		if (head.cmsg_level == SOL_SOCKET && head.cmsg_type == SCM_RIGHTS)
			get_rights(&rcv, data, len);
		else if (head.cmsg_level == SOL_SOCKET && head.cmsg_type == SCM_CREDENTIALS)
			get_credentials(&rcv, data, len);
		else
			put(&rcv, head.cmsg_level, head.cmsg_type, data, len);
		at += TK_MIN((size_t)CMSG_ALIGN(head.cmsg_len), from_len - at);
	}
	return rcv.used;
}
