/* SPDX-License-Identifier: MIT */
/* Flights of open files, see rights.h. A flight owns one reference of each of its files. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/rights.h"

struct flight {
	struct tk_list link;
	int watch; /* read end of the token's pipe */
	ino_t ino;
	dev_t dev;
	unsigned int n;
	struct tk_file *files[];
};

static void flight_end(struct tk_net *net, struct flight *flight)
{
	tk_list_del(&flight->link);
	net->n_flying -= flight->n;
	tk_budget_give(net->host_fds, flight->n + 1);
	close(flight->watch);
	for (unsigned int i = 0; i < flight->n; i++)
		tk_file_put(flight->files[i]);
	free(flight);
}

static bool is_over(const struct flight *flight)
{
	struct pollfd fd = {.fd = flight->watch};

	return poll(&fd, 1, 0) > 0 && (fd.revents & POLLHUP);
}

static struct flight *next_over(struct tk_net *net)
{
	struct flight *flight;

	tk_list_for_each (flight, &net->flights, link) {
		if (is_over(flight))
			return flight;
	}
	return NULL;
}

/* Ending a flight may close a socket and with it other messages: again, until nothing is over. */
void tk_rights_sweep(struct tk_net *net)
{
	struct flight *flight;

	if (net->sweeping)
		return;
	net->sweeping = true;
	while ((flight = next_over(net)))
		flight_end(net, flight);
	net->sweeping = false;
}

void tk_rights_drop_all(struct tk_net *net)
{
	net->sweeping = true;
	while (!tk_list_empty(&net->flights))
		flight_end(net, tk_list_entry(net->flights.next, struct flight, link));
	net->sweeping = false;
}

/* A host table that is full looks to the guest like too many files under way. */
static int make_token(struct flight *flight)
{
	struct stat st;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -ETOOMANYREFS;
	if (fstat(ends[0], &st)) {
		close(ends[0]);
		close(ends[1]);
		return -ETOOMANYREFS;
	}
	flight->watch = ends[0];
	flight->ino = st.st_ino;
	flight->dev = st.st_dev;
	return ends[1];
}

int tk_rights_send(struct tk_net *net, struct tk_file *const *files, unsigned int n,
		   unsigned int limit)
{
	struct flight *flight;
	int token;

	tk_rights_sweep(net);
	if (net->n_flying + n > limit || !tk_budget_fits(net->host_fds, n + 1))
		return -ETOOMANYREFS;
	flight = calloc(1, sizeof(*flight) + n * sizeof(flight->files[0]));
	if (!flight)
		return -ENOMEM;
	token = make_token(flight);
	if (token < 0) {
		free(flight);
		return token;
	}
	flight->n = n;
	for (unsigned int i = 0; i < n; i++)
		flight->files[i] = tk_file_get(files[i]);
	net->n_flying += n;
	tk_budget_charge(net->host_fds, n + 1);
	tk_list_add_tail(&net->flights, &flight->link);
	return token;
}

struct tk_file *const *tk_rights_find(struct tk_net *net, int token, unsigned int *n)
{
	struct flight *flight;
	struct stat st;

	*n = 0;
	if (fstat(token, &st))
		return NULL;
	tk_list_for_each (flight, &net->flights, link) {
		if (flight->ino == st.st_ino && flight->dev == st.st_dev) {
			*n = flight->n;
			return flight->files;
		}
	}
	return NULL;
}

void tk_rights_each(void *net, void (*fn)(void *arg, const struct tk_file *file), void *arg)
{
	struct flight *flight;

	tk_rights_sweep(net);
	tk_list_for_each (flight, &((struct tk_net *)net)->flights, link)
		for (unsigned int i = 0; i < flight->n; i++)
			fn(arg, flight->files[i]);
}
