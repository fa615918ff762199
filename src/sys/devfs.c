/* SPDX-License-Identifier: MIT */
/*
 * /dev: the harmless devices, always; the terminal and shared memory if the policy grants them;
 * no others, whatever the policy.
 */
#include "sys/procfs.h"

static const struct tk_synth_row rows[] = {
	{"fd", TK_SYNTH_LINK, 0777, .text = "/proc/self/fd"},
	{"full", TK_SYNTH_HOST, 0666},
	{"null", TK_SYNTH_HOST, 0666},
	{"random", TK_SYNTH_HOST, 0666},
	{"shm", TK_SYNTH_NONE},
	{"stderr", TK_SYNTH_LINK, 0777, .text = "/proc/self/fd/2"},
	{"stdin", TK_SYNTH_LINK, 0777, .text = "/proc/self/fd/0"},
	{"stdout", TK_SYNTH_LINK, 0777, .text = "/proc/self/fd/1"},
	{"tty", TK_SYNTH_NONE},
	{"urandom", TK_SYNTH_HOST, 0666},
	{"zero", TK_SYNTH_HOST, 0666},
};

const struct tk_synth_tree tk_tree_dev = {rows, TK_ARRAY_SIZE(rows)};
