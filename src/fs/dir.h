/* SPDX-License-Identifier: MIT */
/* Open directories: the host's, synthetic ones, and mixtures of both. */
#ifndef TK_FS_DIR_H
#define TK_FS_DIR_H

#include "fs/path.h"

/*
 * A directory at @path. @hostfd (owned in every case; -1: synthetic) is opened as @flags say:
 * O_RDONLY, or O_PATH. 0 or -errno (-ENOTDIR: it is none).
 */
int tk_dir_new(const struct tk_ns *ns, const struct tk_path *path, int hostfd, int flags,
	       struct tk_file **ret) TK_MUST_CHECK;

bool tk_is_dir(const struct tk_file *file);

#endif
