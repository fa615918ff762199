/* SPDX-License-Identifier: MIT */
/*
 * kvmserver storage PROGRAM ++ run PROGRAM: the program that keeps what requests may not, in a
 * machine of its own that is never reset. Or, with --1-to-1, in one for each worker.
 */
#ifndef KVMSERVER_STORAGE_H
#define KVMSERVER_STORAGE_H

#include "guest.h"
#include "metrics.h"

struct ks_storage;

/*
 * Boot @guest and wait until it waits for calls; then make @n machines of it that do (1: itself).
 * @guest must outlive them. 0 and *@ret, or an exit status after a message.
 */
int ks_storage_start(struct ks_storage **ret, const struct ks_guest *guest, unsigned int n);

/* End the programs, and wait for it. Nobody is connected any more. NULL is fine. */
void ks_storage_stop(struct ks_storage *storage);

/*
 * Calls of @machine's program go to storage machine @index, modulo their number, and are counted in
 * @counters (NULL: not at all), which the thread that runs @machine owns. Harmless without storage.
 */
void ks_storage_connect(struct ks_storage *storage, unsigned int index,
			struct tkvm_machine *machine, struct ks_counters *counters);

/* Let no call be waited for any longer. Harmless without storage. */
void ks_storage_hurry(struct ks_storage *storage);

/* Times that a storage machine was replaced as its program had ended. */
uint64_t ks_storage_restarts(const struct ks_storage *storage);

#endif
