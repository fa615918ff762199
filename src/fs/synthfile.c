/* SPDX-License-Identifier: MIT */
/*
 * Open synthetic files. The content is generated at the first read and again at every read from
 * offset 0, as procfs does it. Files of /proc, /sys and /dev report size 0 and cannot be mapped;
 * others (libkvmserverguest.so) look like ordinary ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/fork.h"
#include "fs/ns.h"
#include "fs/synthfile.h"
#include "mm/mm.h"

#define WRITE_MAX 4096

struct tk_synthfile {
	struct tk_file file; /* first member */
	struct tk_synth synth;
	const char *name; /* what the generators call it */
	struct tk_buf text;
	struct stat st;
	bool loaded;
	bool ordinary; /* has a size, can be mapped */
};

static struct tk_synthfile *synth_of(struct tk_file *file)
{
	return tk_container_of(file, struct tk_synthfile, file);
}

static int load(struct tk_synthfile *sf)
{
	int rc;

	tk_buf_free(&sf->text);
	rc = sf->synth.ops->read(sf->synth.ctx, sf->name, &sf->text);
	if (!rc && sf->text.failed)
		rc = -ENOMEM;
	sf->loaded = !rc;
	return rc;
}

typedef ssize_t copy_fn(pid_t pid, const struct iovec *local, unsigned long n_local,
			const struct iovec *remote, unsigned long n_remote, unsigned long flags);

/*
 * Copy between our text and @iov by a system call: @iov may be guest memory over a file that was
 * truncated, where a plain store of ours would raise SIGBUS.
 */
static ssize_t copy_iov(copy_fn *copy, const struct iovec *text, const struct iovec *iov, int n)
{
	ssize_t done = copy(getpid(), text, 1, iov, (unsigned long)n, 0);

	return done < 0 ? -errno : done;
}

static ssize_t synth_readv(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	struct tk_synthfile *sf = synth_of(file);
	struct iovec text;
	s64 at = *pos;
	int rc;

	if (!sf->loaded || at == 0) {
		rc = load(sf);
		if (rc)
			return rc;
	}
	if (at < 0 || (u64)at >= sf->text.len)
		return 0;
	text.iov_base = sf->text.data + at;
	text.iov_len = sf->text.len - (size_t)at;
	return copy_iov(process_vm_writev, &text, iov, n);
}

static ssize_t synth_writev(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	struct tk_synthfile *sf = synth_of(file);
	char data[WRITE_MAX];
	struct iovec copy = {.iov_base = data, .iov_len = sizeof(data)};
	ssize_t len;

	if (!sf->synth.ops->write)
		return -EIO;
	for (int i = 0; i < n; i++)
		if (iov[i].iov_len > sizeof(data))
			return -EINVAL;
	len = copy_iov(process_vm_readv, &copy, iov, n);
	if (len < 0)
		return len;
	return sf->synth.ops->write(sf->synth.ctx, sf->name, data, (size_t)len);
}

static s64 synth_seek(struct tk_file *file, s64 offset, int whence)
{
	struct tk_synthfile *sf = synth_of(file);
	s64 base = 0;

	if (whence == SEEK_CUR)
		base = file->pos;
	else if (whence == SEEK_END && sf->ordinary)
		base = sf->st.st_size;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (__builtin_add_overflow(base, offset, &offset) || offset < 0)
		return -EINVAL;
	file->pos = offset;
	return offset;
}

static int synth_stat(struct tk_file *file, struct stat *st)
{
	*st = synth_of(file)->st;
	return 0;
}

static struct tk_backing *synth_backing(struct tk_file *file)
{
	struct tk_synthfile *sf = synth_of(file);
	size_t done = 0;
	ssize_t n = 1;
	int fd;

	if (!sf->ordinary || (!sf->loaded && load(sf)))
		return NULL;
	fd = memfd_create("synthetic", MFD_CLOEXEC);
	while (fd >= 0 && done < sf->text.len && n > 0) {
		n = write(fd, sf->text.data + done, sf->text.len - done);
		done += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0 && n <= 0)
		close(fd);
	return fd < 0 || n <= 0 ? NULL : tk_backing_new(fd, false, file->path);
}

static void synth_release(struct tk_file *file)
{
	tk_buf_free(&synth_of(file)->text);
}

static int copy_text(struct tk_synthfile *to, const struct tk_synthfile *from)
{
	tk_buf_free(&to->text);
	if (from->text.len)
		tk_buf_add(&to->text, from->text.data, from->text.len);
	to->loaded = from->loaded;
	return to->text.failed ? -ENOMEM : 0;
}

static int synth_fork(const struct tk_file *tmpl, const struct tk_file *mate,
		      const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	const struct tk_synthfile *from = tk_container_of(tmpl, struct tk_synthfile, file);
	struct tk_synthfile *sf = calloc(1, sizeof(*sf));

	if (!sf)
		return -ENOMEM;
	tk_file_init(&sf->file, tmpl->ops, -1, tmpl->flags, tmpl->path);
	sf->synth = ctx->ns->synth;
	sf->st = from->st;
	sf->ordinary = from->ordinary;
	if (sf->file.path)
		sf->name = tk_ns_synth_name(sf->file.path);
	if (!sf->file.path || copy_text(sf, from)) {
		tk_file_put(&sf->file);
		return -ENOMEM;
	}
	ret[0] = &sf->file;
	return 0;
}

static int synth_reset(struct tk_file *file, const struct tk_file *tmpl)
{
	return copy_text(synth_of(file), tk_container_of(tmpl, struct tk_synthfile, file)) ? -ESTALE
											   : 0;
}

static const struct tk_file_ops synthfile_ops = {
	.kind = "synthetic",
	.readv = synth_readv,
	.writev = synth_writev,
	.seek = synth_seek,
	.stat = synth_stat,
	.backing = synth_backing,
	.release = synth_release,
	.fork = synth_fork,
	.reset = synth_reset,
};

static bool mode_permits(mode_t mode, int flags)
{
	int acc = flags & O_ACCMODE;

	if (acc != O_WRONLY && !(mode & 0444))
		return false;
	return acc == O_RDONLY || (mode & 0222);
}

int tk_synthfile_new(const struct tk_ns *ns, const struct tk_path *path, int flags,
		     struct tk_file **ret)
{
	struct tk_synthfile *sf;
	int rc = 0;

	if (!(flags & O_PATH) && !mode_permits(path->synth.mode, flags))
		return -EACCES;
	sf = calloc(1, sizeof(*sf));
	if (!sf)
		return -ENOMEM;
	tk_file_init(&sf->file, &synthfile_ops, -1, flags, path->guest);
	sf->file.seekable = true;
	sf->file.may = path->may;
	sf->synth = ns->synth;
	tk_ns_synth_stat(ns, path->guest, &path->synth, &sf->st);
	sf->ordinary = !tk_path_under(path->guest, "/proc") &&
		       !tk_path_under(path->guest, "/sys") && !tk_path_under(path->guest, "/dev");
	if (sf->file.path)
		sf->name = tk_ns_synth_name(sf->file.path);
	if (!sf->file.path)
		rc = -ENOMEM;
	else if (sf->ordinary)
		rc = load(sf);
	if (rc) {
		tk_file_put(&sf->file);
		return rc;
	}
	if (sf->ordinary)
		sf->st.st_size = (off_t)sf->text.len;
	*ret = &sf->file;
	return 0;
}
