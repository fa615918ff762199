/* SPDX-License-Identifier: MIT */
/* What the fast path gives and replays, where something comes from outside at just that moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <cmocka.h>

#include "fast_rig.h"

#define TEXT_LEN ((int)sizeof(FAST_TEXT) - 1)
#define MORE	 "more"
#define DATA	 7
#define MUCH	 (TK_IN_SIZE + 5000) /* more than is given */

static struct fast_rig *rig;

static int setup(void **state)
{
	rig = calloc(1, sizeof(*rig));
	fast_begin(rig, AF_INET);
	return 0;
}

static int setup_unix(void **state)
{
	rig = calloc(1, sizeof(*rig));
	fast_begin(rig, AF_UNIX);
	return 0;
}

static int teardown(void **state)
{
	fast_end(rig);
	close(rig->theirs);
	free(rig);
	return 0;
}

/* The program's, once it has it. */
static struct tk_sock *conn(void)
{
	const struct tk_fdtable *files = &rig->fake.proc.files;

	for (unsigned int fd = 0; fd < files->size; fd++) {
		struct tk_sock *sock = files->fds[fd].file ? tk_sock_of(files->fds[fd].file) : NULL;

		if (sock && !sock->gate)
			return sock;
	}
	return NULL;
}

static void wait_for_input(int n)
{
	int now = 0;

	while (now < n)
		assert_int_equal(ioctl(rig->ours, FIONREAD, &now), 0);
}

/* The text that the client has sent is given. */
static void give(void)
{
	wait_for_input(TEXT_LEN);
	assert_true(fast_give(rig));
	assert_int_equal(rig->fast.given->in_len, TEXT_LEN);
}

static void put(enum tk_fast_deed deed, u64 a, u64 b)
{
	struct tk_record *record = rig->fast.record;

	record->entries[record->count++] = (struct tk_fast_entry){.deed = deed, .a = a, .b = b};
}

/* The client sends more, @unread bytes being there; then the record is settled. */
static void settle(bool more, int unread)
{
	if (more) {
		assert_int_equal(write(rig->theirs, MORE, sizeof(MORE)), sizeof(MORE));
		wait_for_input(unread + (int)sizeof(MORE));
	}
	assert_int_equal(tk_fast_settle(&rig->fast, &rig->fake.proc), 0);
}

static void put_told(u32 events)
{
	put(TK_DID_ACCEPT, 0, 0);
	put(TK_DID_REGISTER, (u64)events << 32 | EPOLL_CTL_ADD, DATA);
	put(TK_DID_TELL, 0, 0);
}

/* What the host tells of the connection. */
static u32 events(void)
{
	struct tk_epoll *epoll = tk_epoll_of(tk_fd_get(&rig->fake.proc.files, (u64)rig->epoll));
	struct epoll_event found[4];
	int n = tk_epoll_collect(epoll, found, 4, rig->fake.proc.stats.exits);
	u32 told = 0;

	for (int i = 0; i < n; i++)
		if (found[i].data.u64 == DATA)
			told |= found[i].events;
	return told;
}

static void an_edge_is_told_once(void **state)
{
	give();
	put_told(EPOLLIN | EPOLLOUT | EPOLLET);
	settle(false, 0);
	assert_int_equal(events(), 0);
}

static void the_next_edge_is_told(void **state)
{
	give();
	put_told(EPOLLIN | EPOLLOUT | EPOLLET);
	settle(true, TEXT_LEN);
	assert_int_equal(events(), EPOLLIN | EPOLLOUT);
	assert_int_equal(events(), 0);
}

static void the_next_edge_behind_what_was_read(void **state)
{
	for (int read = 1; read <= TEXT_LEN; read += TEXT_LEN - 1) {
		give();
		put_told(EPOLLIN | EPOLLET);
		put(TK_DID_RECEIVE, (u64)read, 0);
		settle(true, TEXT_LEN);
		assert_int_equal(events(), EPOLLIN);
		assert_int_equal(events(), 0);
		teardown(NULL);
		setup(NULL);
	}
}

/* The client has the answer, and sends more, before it is settled that an edge was told. */
static void an_answer_brings_the_next_edge(void **state)
{
	give();
	put_told(EPOLLIN | EPOLLET);
	put(TK_DID_SEND, 0, 3);
	settle(true, TEXT_LEN);
	assert_int_equal(events(), EPOLLIN);
	assert_int_equal(rig->told, 3);
}

static void wait_for_events(short wanted)
{
	loopback_wait(rig->ours, wanted);
}

static void break_off(void)
{
	const struct linger now = {.l_onoff = 1};

	setsockopt(rig->theirs, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(rig->theirs);
	rig->theirs = -1;
	wait_for_events(POLLRDHUP);
}

static void the_end_is_the_next_edge(void **state)
{
	for (int read = 0; read <= TEXT_LEN; read += TEXT_LEN) {
		give();
		put_told(EPOLLIN | EPOLLET);
		if (read)
			put(TK_DID_RECEIVE, (u64)read, 0);
		assert_int_equal(shutdown(rig->theirs, SHUT_WR), 0);
		wait_for_events(POLLRDHUP);
		settle(false, 0);
		assert_int_equal(events(), EPOLLIN);
		assert_int_equal(events(), 0);
		teardown(NULL);
		setup(NULL);
	}
}

/* How much there is behind an urgent byte FIONREAD does not say. */
static void the_next_edge_behind_what_is_urgent(void **state)
{
	give();
	put_told(EPOLLIN | EPOLLET);
	assert_int_equal(send(rig->theirs, "!", 1, MSG_OOB), 1);
	wait_for_events(POLLPRI);
	assert_int_equal(write(rig->theirs, MORE, sizeof(MORE)), sizeof(MORE));
	settle(false, 0);
	assert_int_equal(events(), EPOLLIN);
}

static void a_broken_connection_is_the_next_edge(void **state)
{
	give();
	put_told(EPOLLIN | EPOLLET);
	break_off();
	settle(false, 0);
	assert_int_equal(events(), EPOLLIN | EPOLLERR | EPOLLHUP);
}

static void an_edge_of_more_than_is_given(void **state)
{
	static const char much[MUCH];

	for (int more = 0; more < 2; more++) {
		assert_int_equal(write(rig->theirs, much, MUCH), MUCH);
		wait_for_input(TEXT_LEN + MUCH);
		assert_true(fast_give(rig));
		assert_int_equal(rig->fast.given->in_len, TK_IN_SIZE - 1);
		put_told(EPOLLIN | EPOLLET);
		put(TK_DID_RECEIVE, 1000, 0);
		settle(more, TEXT_LEN + MUCH);
		assert_int_equal(events(), more ? EPOLLIN : 0);
		teardown(NULL);
		setup(NULL);
	}
}

/* The client has the answer and its end, and closes: the host's socket is shut in both directions.
 */
static void take_and_close(struct fast_rig *unused)
{
	char byte;

	while (read(rig->theirs, &byte, 1) == 1)
		;
	close(rig->theirs);
	rig->theirs = -1;
	wait_for_events(POLLRDHUP);
}

static void a_shutdown_is_told(void **state)
{
	rig->meanwhile = take_and_close;
	give();
	put(TK_DID_ACCEPT, 0, 0);
	put(TK_DID_RECEIVE, (u64)TEXT_LEN, 0);
	put(TK_DID_SEND, 0, 3);
	put(TK_DID_SHUTDOWN, 0, 0);
	settle(false, 0);
	assert_int_equal(rig->told, 3);
	assert_int_equal(rig->shut, 1);
	assert_true(conn()->shut);
}

/* Sending would take the error, which is for the program's next call. */
static void an_error_is_the_programs(void **state)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	give();
	put(TK_DID_ACCEPT, 0, 0);
	put(TK_DID_RECEIVE, (u64)TEXT_LEN, 0);
	put(TK_DID_SEND, 0, 3);
	put(TK_DID_SHUTDOWN, 0, 0);
	break_off();
	settle(false, 0);
	assert_int_equal(rig->told, 0);
	assert_int_equal(tk_sock_recv(conn(), &msg, 0), -ECONNRESET);
}

/* What came after all was read is not given, so "nothing" is not said of it either. */
static void what_is_not_given_is_not_denied(void **state)
{
	give();
	put(TK_DID_ACCEPT, 0, 0);
	put(TK_DID_RECEIVE, (u64)TEXT_LEN, 0);
	settle(false, 0);
	assert_true(fast_give(rig));
	assert_true(rig->fast.given->in_all);
	assert_int_equal(write(rig->theirs, MORE, sizeof(MORE)), sizeof(MORE));
	wait_for_input(sizeof(MORE));
	settle(false, 0);
	assert_true(fast_give(rig));
	assert_int_equal(rig->fast.given->in_len, 0);
	assert_false(rig->fast.given->in_all);
}

/* Of what it waits for there is nothing, but an edge is one. */
static void what_is_urgent_is_an_edge(void **state)
{
	give();
	put_told(EPOLLIN | EPOLLOUT | EPOLLET);
	put(TK_DID_RECEIVE, (u64)TEXT_LEN, 0);
	assert_int_equal(send(rig->theirs, "!", 1, MSG_OOB), 1);
	wait_for_events(POLLPRI);
	settle(false, 0);
	assert_int_equal(events(), EPOLLOUT);
}

static void take(struct fast_rig *unused)
{
	char bytes[8];

	assert_int_equal(read(rig->theirs, bytes, sizeof(bytes)), 3);
}

/* A unix socket tells of room whenever something is taken. */
static void taking_is_an_edge(void **state)
{
	for (int took = 0; took < 2; took++) {
		rig->meanwhile = took ? take : NULL;
		give();
		put_told(EPOLLIN | EPOLLOUT | EPOLLET);
		put(TK_DID_SEND, 0, 3);
		settle(false, 0);
		assert_int_equal(events(), took ? EPOLLIN | EPOLLOUT : 0);
		teardown(NULL);
		setup_unix(NULL);
	}
}

/* Reading stops at where an urgent byte was, and poll(2) no longer says that there was one. */
static void the_mark_is_not_the_end(void **state)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	give();
	put(TK_DID_ACCEPT, 0, 0);
	settle(false, 0);
	assert_int_equal(send(rig->theirs, "!", 1, MSG_OOB), 1);
	wait_for_events(POLLPRI);
	assert_int_equal(write(rig->theirs, MORE, sizeof(MORE)), sizeof(MORE));
	assert_int_equal(tk_sock_recv(conn(), &msg, MSG_OOB), 1);
	assert_true(fast_give(rig));
	assert_int_equal(rig->fast.given->in_len, TEXT_LEN);
	assert_false(rig->fast.given->in_all);
	assert_false(rig->fast.given->may_tell);
}

/* As long as not all of the budget is spent, the shim tells of room. */
static void there_is_room(void **state)
{
	static const u8 much[1 << 17];
	const int size = 1 << 16;
	struct pollfd fd = {.fd = rig->ours, .events = POLLOUT};
	size_t n;

	setsockopt(rig->ours, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	give();
	n = rig->fast.given->budget - TK_FAST_OVERHEAD - 1;
	assert_in_range(n, TK_FAST_OVERHEAD, sizeof(much));
	assert_int_equal(send(rig->ours, much, n, MSG_DONTWAIT), n);
	assert_int_equal(poll(&fd, 1, 0), 1);
}

/* accept(2) has to find ENOBUFS itself. */
static void what_has_no_memory_is_not_given(void **state)
{
	struct tk_budget none = {.most = 1};

	wait_for_input(TEXT_LEN);
	rig->fake.proc.net.host_memory = &none;
	assert_false(fast_give(rig));
	rig->fake.proc.net.host_memory = NULL;
	give();
}

/* What was found before another thread ran is no longer so. */
static void a_look_is_for_the_next_run(void **state)
{
	struct tk_sock *gate = tk_sock_of(tk_fd_get(&rig->fake.proc.files, (u64)rig->listener));
	int first = rig->theirs;
	struct tk_file *file;

	events();
	give();
	assert_true(rig->fast.given->quiet);
	settle(false, 0);
	events();
	fast_offer(rig);
	assert_false(fast_give(rig));
	assert_int_equal(tk_gate_accept(gate, 0, &file), 0);
	tk_file_put(file);
	close(first);
	give();
	assert_false(rig->fast.given->quiet);
}

/* So it is of an epoll object that the shim did not know meanwhile. */
static void a_look_is_for_the_next_run_everywhere(void **state)
{
	struct tk_fdtable *files = &rig->fake.proc.files;
	struct tk_file *epoll = tk_fd_get(files, (u64)rig->epoll);

	files->limit = TK_FAST_FDS + 1;
	events();
	assert_int_equal(tk_fd_install_at(files, tk_file_get(epoll), TK_FAST_FDS, false),
			 TK_FAST_FDS);
	assert_int_equal(tk_fd_close(files, (u64)rig->epoll), 0);
	give();
	settle(false, 0);
	assert_int_equal(tk_fd_install_at(files, tk_file_get(epoll), (u64)rig->epoll, false),
			 rig->epoll);
	assert_int_equal(tk_fd_close(files, TK_FAST_FDS), 0);
	give();
	assert_false(rig->fast.given->quiet);
}

static void a_level_is_told_again(void **state)
{
	give();
	put_told(EPOLLIN);
	settle(false, 0);
	assert_int_equal(events(), EPOLLIN);
	assert_int_equal(events(), EPOLLIN);
}

static void once_is_once(void **state)
{
	give();
	put_told(EPOLLIN | EPOLLONESHOT);
	settle(true, TEXT_LEN);
	assert_int_equal(events(), 0);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
#define UNIX_TEST(name) cmocka_unit_test_setup_teardown(name, setup_unix, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_edge_is_told_once),
		TEST(the_next_edge_is_told),
		TEST(the_next_edge_behind_what_was_read),
		TEST(an_answer_brings_the_next_edge),
		TEST(the_end_is_the_next_edge),
		TEST(the_next_edge_behind_what_is_urgent),
		TEST(a_broken_connection_is_the_next_edge),
		TEST(an_edge_of_more_than_is_given),
		TEST(a_shutdown_is_told),
		TEST(an_error_is_the_programs),
		TEST(what_is_not_given_is_not_denied),
		TEST(what_is_urgent_is_an_edge),
		UNIX_TEST(taking_is_an_edge),
		TEST(the_mark_is_not_the_end),
		TEST(there_is_room),
		UNIX_TEST(there_is_room),
		UNIX_TEST(what_has_no_memory_is_not_given),
		TEST(a_look_is_for_the_next_run),
		TEST(a_look_is_for_the_next_run_everywhere),
		TEST(a_level_is_told_again),
		TEST(once_is_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
