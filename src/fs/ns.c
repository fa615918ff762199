/* SPDX-License-Identifier: MIT */
/*
 * What a canonical guest path means: which mount (host root or volume) it lies in, what the
 * synthetic trees put there, what the policy grants. Owns the descriptors of the mounts and the
 * one host call that follows names, tk_open_beneath(). Resolving is in path.c and walk.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "fs/dir.h"
#include "fs/ns.h"

int tk_open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (u64)(unsigned int)flags | O_CLOEXEC,
		.mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	do
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : (int)fd;
}

bool tk_is_host_proc(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

const char *tk_fd_link(char buf[TK_FD_LINK_SIZE], int fd)
{
	snprintf(buf, TK_FD_LINK_SIZE, "/proc/self/fd/%d", fd);
	return buf;
}

int tk_path_push(char *path, const char *name, size_t len)
{
	size_t n = strlen(path);

	if (n == 1)
		n = 0;
	if (n + 1 + len >= PATH_MAX)
		return -ENAMETOOLONG;
	path[n++] = '/';
	memcpy(path + n, name, len);
	path[n + len] = '\0';
	return 0;
}

void tk_path_pop(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		slash[slash == path] = '\0';
}

const char *tk_path_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len > 1)
		path += len;
	return path + (*path == '/');
}

static int mount_of(const struct tk_ns *ns, const char *guest, const char **rel)
{
	int volume = tk_policy_find_volume(ns->policy, guest);

	*rel = tk_path_below(guest, volume < 0 ? "/" : ns->policy->volumes[volume].guest);
	return volume < 0 ? ns->rootfd : ns->volume_fds[volume];
}

int tk_ns_open_canonical(const struct tk_ns *ns, const char *guest, int flags)
{
	const char *rel;
	int mountfd = mount_of(ns, guest, &rel), fd;

	if (*rel)
		return tk_open_beneath(mountfd, rel, flags, 0);
	fd = fcntl(mountfd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

bool tk_ns_is_mount(const struct tk_ns *ns, const char *guest)
{
	const char *rel;

	mount_of(ns, guest, &rel);
	return !*rel;
}

bool tk_ns_leads_to_volume(const struct tk_ns *ns, const char *guest)
{
	for (size_t i = 0; i < ns->policy->n_volumes; i++)
		if (tk_path_under(ns->policy->volumes[i].guest, guest))
			return true;
	return false;
}

/* The library has a name in each directory that some dynamic linker looks into by default. */
static const char *const synth_dirs[] = {
	"/proc",
	"/sys",
	"/dev",
	TK_GUEST_LIBRARY,
	"/usr/lib/libkvmserverguest.so",
	"/lib64/libkvmserverguest.so",
	"/usr/lib64/libkvmserverguest.so",
	"/lib/x86_64-linux-musl/libkvmserverguest.so",
	"/usr/lib/x86_64-linux-musl/libkvmserverguest.so",
};

bool tk_ns_is_spliced(const struct tk_ns *ns, const char *guest)
{
	for (size_t i = 0; i < TK_ARRAY_SIZE(synth_dirs); i++)
		if (tk_path_under(guest, synth_dirs[i]) || tk_path_under(synth_dirs[i], guest))
			return true;
	return ns->policy->n_volumes && tk_ns_leads_to_volume(ns, guest);
}

const char *tk_ns_synth_name(const char *guest)
{
	for (size_t i = 0; i < TK_ARRAY_SIZE(synth_dirs); i++)
		if (!strcmp(guest, synth_dirs[i]) && strstr(guest, "/libkvmserverguest.so"))
			return TK_GUEST_LIBRARY;
	return guest;
}

void tk_ns_synth(const struct tk_ns *ns, const char *guest, struct tk_synth_entry *entry)
{
	*entry = (struct tk_synth_entry){.kind = TK_SYNTH_NONE};
	if (!ns->synth.ops)
		return;
	for (size_t i = 0; i < TK_ARRAY_SIZE(synth_dirs); i++) {
		if (!tk_path_under(guest, synth_dirs[i]))
			continue;
		ns->synth.ops->lookup(ns->synth.ctx, tk_ns_synth_name(guest), entry);
		return;
	}
}

int tk_ns_synth_link(const struct tk_ns *ns, const char *guest, struct tk_buf *text)
{
	int rc = ns->synth.ops->read(ns->synth.ctx, tk_ns_synth_name(guest), text);

	if (!rc && (text->failed || !text->data))
		rc = -ENOMEM;
	if (rc)
		tk_buf_free(text);
	return rc;
}

/* FNV-1a: a stable inode number for entries whose generator gave none. */
static u64 path_ino(const char *path)
{
	u64 hash = 0xcbf29ce484222325ull;

	for (; *path; path++)
		hash = (hash ^ (u8)*path) * 0x100000001b3ull;
	return hash >> 16 | 1;
}

static mode_t synth_type(enum tk_synth_kind kind)
{
	if (kind == TK_SYNTH_DIR)
		return S_IFDIR;
	return kind == TK_SYNTH_LINK || kind == TK_SYNTH_FD ? S_IFLNK : S_IFREG;
}

void tk_ns_synth_stat(const struct tk_ns *ns, const char *guest, const struct tk_synth_entry *entry,
		      struct stat *st)
{
	*st = (struct stat){
		.st_dev = makedev(0, tk_path_under(guest, "/sys") ? 0xff1 : 0xff0),
		.st_ino = entry->ino ? entry->ino : path_ino(guest),
		.st_mode = synth_type(entry->kind) | (entry->mode & 07777),
		.st_nlink = entry->kind == TK_SYNTH_DIR ? 2 : 1,
		.st_size = (off_t)entry->size,
		.st_blksize = 1024,
		.st_atim = ns->born,
		.st_mtim = ns->born,
		.st_ctim = ns->born,
	};
	if (entry->kind == TK_SYNTH_FD)
		st->st_size = 64; /* what procfs says of them */
}

unsigned int tk_ns_rights(const struct tk_ns *ns, const char *guest,
			  const struct tk_synth_entry *entry)
{
	if (entry->kind != TK_SYNTH_NONE)
		return TK_MAY_READ | TK_MAY_WRITE;
	return tk_policy_rights(ns->policy, guest);
}

bool tk_ns_may_pass(const struct tk_ns *ns, const char *guest)
{
	return !guest[1] || tk_policy_may_pass(ns->policy, guest);
}

static int open_mounts(struct tk_ns *ns, struct tkvm_error *err)
{
	const struct tk_policy *policy = ns->policy;

	ns->rootfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ns->rootfd < 0)
		return tk_fail_errno(err, errno, "open /");
	if (!policy->n_volumes)
		return 0;
	ns->volume_fds = malloc(policy->n_volumes * sizeof(*ns->volume_fds));
	if (!ns->volume_fds)
		return tk_fail_errno(err, ENOMEM, "volumes");
	for (size_t i = 0; i < policy->n_volumes; i++)
		ns->volume_fds[i] = -1;
	for (size_t i = 0; i < policy->n_volumes; i++) {
		ns->volume_fds[i] = open(policy->volumes[i].host, O_PATH | O_CLOEXEC);
		if (ns->volume_fds[i] < 0)
			return tk_fail_errno(err, errno, "volume %s: host path %s",
					     policy->volumes[i].guest, policy->volumes[i].host);
	}
	return 0;
}

/* umask(2) cannot be read without setting it for all threads. */
static mode_t read_host_umask(void)
{
	unsigned int mask = 022;
	char line[128];
	FILE *status = fopen("/proc/self/status", "re");

	if (!status)
		return (mode_t)mask;
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "Umask: %o", &mask) == 1)
			break;
	fclose(status);
	return (mode_t)mask;
}

/*
 * The starting directory. One that the guest may not see still counts, as a name: relative paths
 * fail there like absolute ones.
 */
static int open_cwd(struct tk_ns *ns, const char *cwd, struct tkvm_error *err)
{
	struct tk_path path;
	int fd = -1, rc;

	rc = tk_path_resolve(ns, NULL, AT_FDCWD, cwd, 0, 0, &path);
	if (rc == -EACCES && *cwd == '/' && strlen(cwd) < sizeof(path.guest)) {
		strcpy(path.guest, cwd);
		path.synth.kind = TK_SYNTH_DIR;
		rc = 0;
	}
	if (!rc && path.synth.kind != TK_SYNTH_DIR) {
		fd = tk_path_pin(&path);
		rc = fd < 0 ? fd : 0;
	}
	if (!rc)
		rc = tk_dir_new(ns, &path, fd, O_PATH | O_DIRECTORY, &ns->cwd);
	if (rc)
		return tk_fail_errno(err, -rc, "directory %s", cwd);
	tk_path_done(&path);
	return 0;
}

int tk_ns_file_path(const struct tk_ns *ns, const struct tk_file *file, char buf[PATH_MAX])
{
	char link[TK_FD_LINK_SIZE], host[PATH_MAX];
	const char *top = "/", *guest_top = "/", *rest;
	struct stat st;
	ssize_t n;
	int volume;

	if (!file->path)
		return -ENOENT;
	strcpy(buf, file->path);
	if (file->hostfd < 0 || *file->path != '/')
		return 0;
	if (tk_is_dir(file) && (fstat(file->hostfd, &st) || !st.st_nlink))
		return -ENOENT;
	n = readlink(tk_fd_link(link, file->hostfd), host, sizeof(host) - 1);
	if (n < 0)
		return -errno;
	host[n] = '\0';
	volume = tk_policy_find_volume(ns->policy, file->path);
	if (volume >= 0) {
		top = ns->policy->volumes[volume].host;
		guest_top = ns->policy->volumes[volume].guest;
	}
	if (!tk_path_under(host, top))
		return -ENOENT;
	rest = tk_path_below(host, top);
	strcpy(buf, guest_top);
	return *rest ? tk_path_push(buf, rest, strlen(rest)) : 0;
}

int tk_ns_init(struct tk_ns *ns, const struct tk_policy *policy, const char *cwd,
	       struct tkvm_error *err)
{
	struct rlimit fsize;
	int rc;

	*ns = (struct tk_ns){.policy = policy, .rootfd = -1};
	clock_gettime(CLOCK_REALTIME, &ns->born);
	ns->host_umask = ns->umask = read_host_umask();
	ns->host_fsize = RLIM_INFINITY;
	if (!getrlimit(RLIMIT_FSIZE, &fsize))
		ns->host_fsize = fsize.rlim_cur;
	rc = open_mounts(ns, err);
	if (!rc)
		rc = open_cwd(ns, cwd, err);
	if (rc)
		tk_ns_destroy(ns);
	return rc;
}

void tk_ns_destroy(struct tk_ns *ns)
{
	if (ns->cwd)
		tk_file_put(ns->cwd);
	for (size_t i = 0; ns->volume_fds && i < ns->policy->n_volumes; i++)
		if (ns->volume_fds[i] >= 0)
			close(ns->volume_fds[i]);
	free(ns->volume_fds);
	if (ns->rootfd >= 0)
		close(ns->rootfd);
	*ns = (struct tk_ns){.rootfd = -1};
}

/* The file system that canonical @guest is on; none if that is @last, which is made to say so. */
static void sync_one(const struct tk_ns *ns, const char *guest, dev_t *last)
{
	int fd = tk_ns_open_canonical(ns, guest, O_PATH | O_CLOEXEC), own = -1;
	char link[TK_FD_LINK_SIZE];
	struct stat st;

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && st.st_dev != *last) {
		*last = st.st_dev;
		own = open(tk_fd_link(link, fd), O_RDONLY | O_CLOEXEC);
	}
	if (own >= 0) {
		(void)syncfs(own);
		close(own);
	}
	close(fd);
}

void tk_ns_sync(const struct tk_ns *ns)
{
	const struct tk_policy *policy = ns->policy;
	dev_t last = 0;

	for (size_t i = 0; i < policy->n_paths; i++)
		if (policy->paths[i].may & TK_MAY_WRITE)
			sync_one(ns, policy->paths[i].path, &last);
	for (size_t i = 0; i < policy->n_volumes; i++)
		if (policy->volumes[i].may & TK_MAY_WRITE)
			sync_one(ns, policy->volumes[i].guest, &last);
}
