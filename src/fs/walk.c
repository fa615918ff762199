/* SPDX-License-Identifier: MIT */
/*
 * The slow way through a path: one component after the other, symbolic links followed as text in
 * the guest's namespace, mounts and synthetic files spliced in by their canonical paths.
 *
 * Invariant: @done is canonical and names a directory (or is where the walk began); @cur is an
 * O_PATH descriptor of it, or -1 while it is not needed. A result is only a canonical string: the
 * caller opens that string anew and so notices if anything was replaced meanwhile.
 *
 * What the policy lets nobody see is not told apart: every component that is neither granted nor
 * on the way to a grant answers EACCES, there or not. Links are the exception (they may be
 * followed from a directory that may be passed), since what counts is where they lead.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/dir.h"
#include "fs/ns.h"

#define MAX_LINKS 40 /* path_resolution(7) */

struct walk {
	const struct tk_ns *ns;
	const struct tk_fdtable *files;
	unsigned int flags;
	struct tk_path *out;
	char done[PATH_MAX];
	char scope[PATH_MAX]; /* RESOLVE_BENEATH, IN_ROOT: not to be left */
	char todo[2 * PATH_MAX];
	const char *next; /* into todo */
	int cur;
	int links;
	int mount; /* where the walk began, for NO_XDEV */
	dev_t dev;
	bool absolute; /* the path was */
	bool finished;
};

/* One component of the path, and what it is followed by. */
struct part {
	char name[NAME_MAX + 1];
	size_t len;
	bool last, slash; /* nothing but slashes follows; at least one does */
};

static void forget_cur(struct walk *w)
{
	if (w->cur >= 0)
		close(w->cur);
	w->cur = -1;
}

static int need_cur(struct walk *w)
{
	if (w->cur >= 0)
		return 0;
	w->cur = tk_ns_open_canonical(w->ns, w->done, O_PATH | O_DIRECTORY);
	if (w->cur == -ELOOP)
		return -EAGAIN; /* it was no link when we came through: replaced meanwhile */
	return w->cur < 0 ? w->cur : 0;
}

/* RESOLVE_NO_XDEV, after @done was set to something that is not below the last @done. */
static int check_xdev(struct walk *w)
{
	struct stat st;
	int rc;

	if (!(w->flags & TK_WALK_NO_XDEV))
		return 0;
	if (tk_policy_find_volume(w->ns->policy, w->done) != w->mount)
		return -EXDEV;
	rc = need_cur(w);
	if (!rc && fstat(w->cur, &st))
		rc = -errno;
	if (rc)
		return rc;
	return st.st_dev == w->dev ? 0 : -EXDEV;
}

static int take_part(struct walk *w, struct part *part)
{
	const char *rest;

	part->len = strcspn(w->next, "/");
	if (part->len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(part->name, w->next, part->len);
	part->name[part->len] = '\0';
	rest = w->next + part->len;
	part->slash = *rest == '/';
	rest += strspn(rest, "/");
	part->last = !*rest;
	w->next = rest;
	return 0;
}

/* The object is what out->guest says. */
static int finish(struct walk *w, const char *guest, const struct part *part)
{
	strcpy(w->out->guest, guest);
	w->out->want_dir = part && part->slash;
	w->finished = true;
	return 0;
}

static bool ends_as_link(const struct walk *w, const struct part *part)
{
	return part->last && !part->slash && (w->flags & TK_WALK_NOFOLLOW);
}

/* Continue with @text, the content of a link met in @done, in front of what is left. */
static int follow(struct walk *w, const char *text, const struct part *part)
{
	char rest[2 * PATH_MAX];
	size_t len = strlen(text);

	if (w->flags & TK_WALK_NO_SYMLINKS || ++w->links > MAX_LINKS)
		return -ELOOP;
	if (!len)
		return -ENOENT;
	if (len + strlen(w->next) + 2 > sizeof(w->todo))
		return -ENAMETOOLONG;
	strcpy(rest, w->next);
	strcpy(w->todo, text);
	if (part->slash)
		strcpy(w->todo + len++, "/");
	strcpy(w->todo + len, rest);
	w->next = w->todo;
	if (*text != '/')
		return 0;
	/* Linux does not know its root yet, if the path did not start there. */
	if (w->flags & TK_WALK_BENEATH || (w->flags & TK_WALK_NO_XDEV && !w->absolute))
		return -EXDEV;
	strcpy(w->done, w->flags & TK_WALK_IN_ROOT ? w->scope : "/");
	forget_cur(w);
	w->next += strspn(w->next, "/");
	return check_xdev(w);
}

static int follow_host_link(struct walk *w, int fd, const struct part *part)
{
	char text[PATH_MAX];
	ssize_t n;

	n = readlinkat(fd, "", text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return follow(w, text, part);
}

static int follow_synth_link(struct walk *w, const char *cand, const struct part *part)
{
	struct tk_buf text = {0};
	int rc;

	rc = tk_ns_synth_link(w->ns, cand, &text);
	if (rc)
		return rc;
	rc = follow(w, text.data, part);
	tk_buf_free(&text);
	return rc;
}

/* /proc/self/fd/N: what the descriptor refers to, wherever that is now. */
static int follow_fd(struct walk *w, const struct tk_synth_entry *entry, const struct part *part)
{
	struct tk_file *file = w->files ? tk_fd_get(w->files, (u32)entry->fd) : NULL;

	if (w->flags & (TK_WALK_NO_SYMLINKS | TK_WALK_NO_MAGICLINKS) || ++w->links > MAX_LINKS)
		return -ELOOP;
	if (w->flags & (TK_WALK_BENEATH | TK_WALK_IN_ROOT | TK_WALK_NO_XDEV))
		return -EXDEV;
	if (!file)
		return -ENOENT;
	if (part->slash && !tk_is_dir(file))
		return -ENOTDIR;
	if (!part->last) {
		forget_cur(w);
		return tk_ns_file_path(w->ns, file, w->done);
	}
	w->out->file = tk_file_get(file);
	w->out->may = file->may;
	return finish(w, file->path ? file->path : "", part);
}

static int enter(struct walk *w, const char *cand, int fd)
{
	if (w->flags & TK_WALK_NO_XDEV && tk_policy_find_volume(w->ns->policy, cand) != w->mount) {
		if (fd >= 0)
			close(fd);
		return -EXDEV;
	}
	forget_cur(w);
	w->cur = fd;
	strcpy(w->done, cand);
	return 0;
}

static int step_synth(struct walk *w, const char *cand, const struct tk_synth_entry *entry,
		      const struct part *part)
{
	switch (entry->kind) {
	case TK_SYNTH_DIR:
		return enter(w, cand, -1);
	case TK_SYNTH_LINK:
		if (!ends_as_link(w, part))
			return follow_synth_link(w, cand, part);
		break;
	case TK_SYNTH_FD:
		if (!ends_as_link(w, part))
			return follow_fd(w, entry, part);
		break;
	case TK_SYNTH_FILE:
		if (!part->last || part->slash)
			return -ENOTDIR;
		break;
	default:
		return -ENOENT;
	}
	w->out->synth = *entry;
	return finish(w, cand, part);
}

/* Open the host's object at @cand, a child of @done: O_PATH, links not followed. */
static int open_child(struct walk *w, const char *cand, const struct part *part)
{
	int rc;

	if (tk_ns_is_mount(w->ns, cand))
		return tk_ns_open_canonical(w->ns, cand, O_PATH);
	rc = need_cur(w);
	if (rc)
		return rc;
	rc = openat(w->cur, part->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return rc < 0 ? -errno : rc;
}

static bool is_hidden(const struct walk *w, const char *cand, const struct tk_synth_entry *entry)
{
	return !tk_ns_rights(w->ns, cand, entry) && !tk_ns_may_pass(w->ns, cand);
}

/* There is no such file on the host. */
static int step_missing(struct walk *w, const char *cand, const struct tk_synth_entry *entry,
			const struct part *part)
{
	if (tk_ns_leads_to_volume(w->ns, cand))
		return enter(w, cand, -1);
	if (is_hidden(w, cand, entry))
		return -EACCES;
	if (!part->last || !(w->flags & TK_WALK_CREATE))
		return -ENOENT;
	w->out->synth = *entry;
	return finish(w, cand, part);
}

static int step_host(struct walk *w, const char *cand, const struct tk_synth_entry *entry,
		     const struct part *part)
{
	struct stat st;
	int fd, rc;

	fd = open_child(w, cand, part);
	if (fd < 0) {
		if (fd == -ENOENT)
			return step_missing(w, cand, entry, part);
		return is_hidden(w, cand, entry) ? -EACCES : fd;
	}
	if (fstat(fd, &st)) {
		rc = -errno;
	} else if (S_ISLNK(st.st_mode) && !ends_as_link(w, part)) {
		rc = follow_host_link(w, fd, part);
	} else if (is_hidden(w, cand, entry)) {
		rc = -EACCES;
	} else if (w->flags & TK_WALK_NO_XDEV && st.st_dev != w->dev) {
		rc = -EXDEV;
	} else if (S_ISDIR(st.st_mode) && tk_is_host_proc(fd)) {
		rc = -EACCES;
	} else if (S_ISDIR(st.st_mode)) {
		return enter(w, cand, fd);
	} else if (!part->last || part->slash) {
		rc = -ENOTDIR;
	} else {
		w->out->synth = *entry;
		rc = finish(w, cand, part);
	}
	close(fd);
	return rc;
}

static int step_up(struct walk *w)
{
	bool at_scope = !strcmp(w->done, w->scope);

	if (at_scope && w->flags & TK_WALK_BENEATH)
		return -EXDEV;
	if (at_scope && w->flags & TK_WALK_IN_ROOT)
		return 0;
	forget_cur(w);
	tk_path_pop(w->done);
	return check_xdev(w);
}

/* TK_WALK_PARENT and the last component: a name in @done that nobody looks at. */
static int end_in_parent(struct walk *w, const char *cand, const struct part *part)
{
	struct tk_synth_entry entry;

	tk_ns_synth(w->ns, cand, &entry);
	w->out->synth = entry;
	return finish(w, cand, part);
}

static int step(struct walk *w)
{
	struct tk_synth_entry entry;
	char cand[PATH_MAX];
	struct part part;
	int rc;

	rc = take_part(w, &part);
	if (rc)
		return rc;
	if (!strcmp(part.name, ".")) {
		w->out->last = TK_LAST_DOT;
		return 0;
	}
	if (!strcmp(part.name, "..")) {
		w->out->last = TK_LAST_DOTDOT;
		return step_up(w);
	}
	w->out->last = TK_LAST_NORM;
	strcpy(cand, w->done);
	rc = tk_path_push(cand, part.name, part.len);
	if (rc)
		return rc;
	if (part.last && w->flags & TK_WALK_PARENT)
		return end_in_parent(w, cand, &part);
	tk_ns_synth(w->ns, cand, &entry);
	if (entry.kind != TK_SYNTH_NONE && entry.kind != TK_SYNTH_HOST)
		return step_synth(w, cand, &entry, &part);
	return step_host(w, cand, &entry, &part);
}

/* The path ended in a directory: the host's, a synthetic one, or a mere way to a volume. */
static int end_in_directory(struct walk *w)
{
	int rc;

	if (w->flags & TK_WALK_PARENT && w->out->last == TK_LAST_NORM)
		w->out->last = TK_LAST_ROOT;
	tk_ns_synth(w->ns, w->done, &w->out->synth);
	if (w->out->synth.kind == TK_SYNTH_NONE && !tk_ns_is_mount(w->ns, w->done) &&
	    tk_ns_leads_to_volume(w->ns, w->done)) {
		rc = need_cur(w);
		if (rc && rc != -ENOENT)
			return rc;
		if (rc)
			w->out->synth = (struct tk_synth_entry){TK_SYNTH_DIR, .mode = 0755};
	}
	return finish(w, w->done, NULL);
}

static int begin_xdev(struct walk *w)
{
	struct stat st;
	int rc;

	w->mount = tk_policy_find_volume(w->ns->policy, w->done);
	rc = need_cur(w);
	if (!rc && fstat(w->cur, &st))
		rc = -errno;
	if (!rc)
		w->dev = st.st_dev;
	return rc;
}

int tk_walk(const struct tk_ns *ns, const struct tk_fdtable *files, const char *base,
	    const char *path, unsigned int flags, struct tk_path *out)
{
	struct walk w = {.ns = ns, .files = files, .flags = flags, .out = out, .cur = -1};
	int rc = 0;

	strcpy(w.done, base);
	strcpy(w.scope, base);
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(w.todo, path);
	w.next = w.todo + strspn(w.todo, "/");
	w.absolute = *path == '/';
	if (flags & TK_WALK_NO_XDEV)
		rc = begin_xdev(&w);
	while (*w.next && !w.finished && !rc)
		rc = step(&w);
	if (!rc && !w.finished)
		rc = end_in_directory(&w);
	forget_cur(&w);
	return rc;
}
