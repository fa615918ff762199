/* SPDX-License-Identifier: MIT */
/* Open synthetic files: text made by the generators behind fs/synth.h. */
#ifndef TK_FS_SYNTHFILE_H
#define TK_FS_SYNTHFILE_H

#include "fs/path.h"

/* Open resolved @path, of kind TK_SYNTH_FILE. -EACCES if @flags ask for what its mode denies. */
int tk_synthfile_new(const struct tk_ns *ns, const struct tk_path *path, int flags,
		     struct tk_file **ret) TK_MUST_CHECK;

#endif
