/* SPDX-License-Identifier: MIT */
/*
 * Reading files from one end to the other, as fast as it goes, with everything in between that
 * could make a difference: other calls, other descriptors, signals, threads, buffers that are not
 * there. guest: flags -pthread
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "check.h"

#define SIZE (3 << 20)

static uint8_t *content; /* of the file "file" */
static uint8_t buf[1 << 20];

static uint8_t byte_at(size_t at)
{
	return (uint8_t)(at * 2654435761u >> 13 ^ at >> 11);
}

static void make_file(void)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);

	content = malloc(SIZE);
	for (size_t i = 0; i < SIZE; i++)
		content[i] = byte_at(i);
	CHECK(write(fd, content, SIZE) == SIZE);
	close(fd);
}

static int open_file(int flags)
{
	int fd = open("file", flags);

	CHECK(fd >= 0);
	return fd;
}

/* @n bytes come, and they are those at @at. */
static int good(int fd, size_t at, size_t n)
{
	memset(buf, 0x55, n + 1);
	return read(fd, buf, n) == (ssize_t)n && !memcmp(buf, content + at, n) && buf[n] == 0x55;
}

/* Read a few times, so that whoever reads ahead does so now. */
static size_t warm_up(int fd, size_t at, size_t n)
{
	for (int i = 0; i < 6; i++, at += n)
		CHECK(good(fd, at, n));
	return at;
}

/* To the end of the file and beyond, in reads of every size. */
static void sizes(void)
{
	static const size_t tries[] = {1,    7,	    64,	   100,	   1000,   4095,   4096,
				       4097, 10000, 32768, 100000, 131072, 300000, 600000};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		size_t n = tries[i], at = n < 64 ? SIZE - 5000 : 0;
		int fd = open_file(O_RDONLY), bad = 0;

		CHECK(lseek(fd, (off_t)at, SEEK_SET) == (off_t)at);
		for (; at + n <= SIZE; at += n)
			bad += !good(fd, at, n);
		CHECK(bad == 0);
		CHECK(read(fd, buf, n) == (ssize_t)(SIZE - at));
		CHECK(!memcmp(buf, content + at, SIZE - at));
		CHECK(read(fd, buf, n) == 0);
		CHECK(read(fd, buf, n) == 0);
		CHECK(lseek(fd, 0, SEEK_CUR) == SIZE);
		close(fd);
	}
}

static void changing_sizes(void)
{
	int fd = open_file(O_RDONLY), bad = 0;
	unsigned int seed = 12345;
	size_t at = 0, n;

	for (; at < SIZE - 40000; at += n) {
		seed = seed * 1103515245 + 12345;
		n = seed >> 16 & 1 ? 4096 : (seed >> 17) % 9000;
		bad += !good(fd, at, n);
	}
	CHECK(bad == 0);
	CHECK(lseek(fd, 0, SEEK_CUR) == (off_t)at);
	close(fd);
}

/* Others see the offset as it is. */
static void offsets(void)
{
	int fd = open_file(O_RDWR), other = dup(fd), apart = open_file(O_RDONLY);
	size_t at = 0;

	for (int i = 0; i < 20; i++) {
		at = warm_up(fd, at, 1000);
		CHECK(lseek(other, 0, SEEK_CUR) == (off_t)at);
		at = warm_up(other, at, 1000);
		CHECK(good(fd, at, 1000));
		at += 1000;
		CHECK(pread(fd, buf, 500, 77) == 500 && !memcmp(buf, content + 77, 500));
		at = warm_up(fd, at, 100);
		CHECK(lseek(fd, -300, SEEK_CUR) == (off_t)at - 300);
		at -= 300;
		CHECK(good(other, at, 100));
		at += 100;
		CHECK(good(apart, (size_t)i * 10, 10));
	}
	at = warm_up(fd, at, 4096);
	CHECK(close(fd) == 0);
	CHECK_ERR(read(fd, buf, 4096), EBADF);
	CHECK(good(other, at, 4096));
	CHECK(dup2(apart, other) == other);
	CHECK(good(other, 200, 4096));
	close(other);
	close(apart);
}

static void same_number(void)
{
	int fd = open_file(O_RDONLY), again;

	warm_up(fd, 0, 1000);
	close(fd);
	again = open("other", O_RDWR | O_CREAT | O_TRUNC, 0644);
	CHECK(again == fd);
	CHECK(read(again, buf, 1000) == 0);
	CHECK(write(again, "other", 5) == 5 && lseek(again, 0, SEEK_SET) == 0);
	CHECK(read(again, buf, 5) == 5 && !memcmp(buf, "other", 5));
	close(again);
	fd = open_file(O_WRONLY);
	CHECK_ERR(read(fd, buf, 1000), EBADF);
	close(fd);
}

/* What is written, by whatever way, is read. */
static void changes(void)
{
	int fd = open_file(O_RDONLY), writer = open_file(O_RDWR);
	size_t at = warm_up(fd, 0, 2000);
	char *map;

	CHECK(pwrite(writer, "changed", 7, (off_t)at) == 7);
	CHECK(read(fd, buf, 2000) == 2000 && !memcmp(buf, "changed", 7));
	CHECK(pwrite(writer, content + at, 7, (off_t)at) == 7);
	at = warm_up(fd, at + 2000, 2000);
	CHECK(ftruncate(writer, (off_t)at + 10) == 0);
	CHECK(read(fd, buf, 2000) == 10);
	CHECK(read(fd, buf, 2000) == 0);
	CHECK(pwrite(writer, content + at, SIZE - at, (off_t)at) == (ssize_t)(SIZE - at));
	at = warm_up(fd, at + 10, 2000);

	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0);
	CHECK(map != MAP_FAILED);
	for (int i = 0; i < 20; i++, at += 2000) {
		map[at + 5] = 'x';
		CHECK(read(fd, buf, 2000) == 2000 && buf[5] == 'x' && buf[6] == content[at + 6]);
		map[at + 5] = (char)content[at + 5];
	}
	munmap(map, SIZE);
	close(fd);
	close(writer);
}

static void growing(void)
{
	int fd, writer = open("log", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0644);
	uint32_t in = 0, out = 0;
	int bad = 0;

	fd = open("log", O_RDONLY);
	for (int i = 0; i < 500; i++) {
		for (int n = i % 7; n >= 0; n--, in++)
			bad += write(writer, &in, sizeof(in)) != sizeof(in);
		for (uint32_t got; out < in; out++)
			bad += read(fd, &got, sizeof(got)) != sizeof(got) || got != out;
		bad += read(fd, buf, 4) != 0;
	}
	CHECK(bad == 0);
	close(fd);
	close(writer);
}

static void bad_buffers(void)
{
	char *p = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open_file(O_RDONLY), tmp = open("short", O_RDWR | O_CREAT | O_TRUNC, 0644);
	char *beyond = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, tmp, 0);
	void *bad[] = {NULL,   BAD_POINTER, p + 2 * 4096,	 p + 4 * 4096,
		       beyond, (void *)-1,  (void *)(1ul << 63), (void *)(bad_buffers)};
	size_t at = warm_up(fd, 0, 4096);

	CHECK(mprotect(p + 2 * 4096, 4096, PROT_NONE) == 0);
	CHECK(mprotect(p + 4 * 4096, 4096, PROT_READ) == 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_ERR(read(fd, bad[i], 4096), EFAULT);
		at = warm_up(fd, at, 4096);
	}
	/* up to the first page that is not there */
	CHECK(read(fd, p + 4096 + 1000, 4096) == 3096);
	CHECK(!memcmp(p + 4096 + 1000, content + at, 3096));
	at = warm_up(fd, at + 3096, 4096);
	CHECK(read(fd, NULL, 0) == 0);
	CHECK(read(fd, p, 0) == 0);
	at = warm_up(fd, at, 4096);
	/* pages that were never touched */
	CHECK(read(fd, p + 6 * 4096 - 100, 4096) == 4096);
	CHECK(!memcmp(p + 6 * 4096 - 100, content + at, 4096));
	at = warm_up(fd, at + 4096, 4096);
	CHECK(madvise(p, 4096, MADV_DONTNEED) == 0);
	CHECK(read(fd, p, 4096) == 4096 && !memcmp(p, content + at, 4096));
	close(fd);
	close(tmp);
	munmap(beyond, 4096);
	munmap(p, 8 * 4096);
}

/* One read by hand: every register but RAX, RCX and R11 is what it was, and the red zone too. */
static void registers(void)
{
	int fd = open_file(O_RDONLY), bad = 0;

	warm_up(fd, 0, 64);
	for (int i = 0; i < 500; i++) {
		register uint64_t r8 __asm__("r8") = 0x8888, r9 __asm__("r9") = 0x9999,
				     r10 __asm__("r10") = 0x1010;
		uint64_t rax = 0, rdi = (uint64_t)fd, rsi = (uint64_t)buf, rdx = 64, zone, flags,
			 r11, rcx;
		uint64_t set = (i & 1) | (i & 2) << 1 | (i & 4) << 2 | (i & 8) << 3 |
			       (i & 16) << 3 | (i & 32) << 6;

		__asm__ volatile(
			"movq $0x5a5a, -8(%%rsp)\n\tmovq $0x5a5a, -128(%%rsp)\n\t"
			"mov %[set], %%rcx\n\tlea -256(%%rsp), %%rsp\n\tpushfq\n\t"
			"or %%rcx, (%%rsp)\n\tpopfq\n\tlea 256(%%rsp), %%rsp\n\tsyscall\n1:\n\t"
			"lea -256(%%rsp), %%rsp\n\tpushfq\n\tpop %[flags]\n\tlea 256(%%rsp), "
			"%%rsp\n\t"
			"mov %%r11, %[r11]\n\tlea 1b(%%rip), %%r11\n\tsub %%r11, %%rcx\n\t"
			"mov %%rcx, %[rcx]\n\tmov -8(%%rsp), %[zone]\n\tsub -128(%%rsp), %[zone]"
			: "+a"(rax), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r8), "+r"(r9),
			  "+r"(r10), [zone] "=&r"(zone), [flags] "=&r"(flags), [r11] "=&r"(r11),
			  [rcx] "=&r"(rcx)
			: [set] "m"(set)
			: "rcx", "r11", "memory", "cc");
		bad += rax != 64 || rdi != (uint64_t)fd || rsi != (uint64_t)buf || rdx != 64;
		bad += r8 != 0x8888 || r9 != 0x9999 || r10 != 0x1010 || zone || rcx;
		bad += flags != r11 || (flags & set) != set;
		bad += memcmp(buf, content + 384 + i * 64, 64) != 0;
	}
	CHECK(bad == 0);
	close(fd);
}

static void traps(int signo)
{
	/* one per instruction */
}

/* Single steps through reads. */
static void stepping(void)
{
	int fd = open_file(O_RDONLY);
	size_t at = warm_up(fd, 0, 512);

	signal(SIGTRAP, traps);
	__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq" ::: "memory", "cc");
	for (int i = 0; i < 5; i++)
		syscall(SYS_read, fd, buf + 512 * i, 512);
	__asm__ volatile("pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" ::: "memory", "cc");
	CHECK(!memcmp(buf, content + at, 5 * 512));
	close(fd);
}

/*
 * Records 0 to N - 1, read by several parties from one descriptor: each comes once. The first to
 * find the end says so to the others by doing so.
 */
#define RECORDS 30000
static volatile int record_fd, handled;
static volatile uint8_t *seen;

static int take_record(void)
{
	uint32_t record[4];
	ssize_t n = read(record_fd, record, sizeof(record));

	if (n != sizeof(record))
		return 0;
	if (record[0] >= RECORDS || record[3] != ~record[0])
		return 0;
	seen[record[0]]++;
	return 1;
}

static void begin_records(void)
{
	int fd = open("records", O_RDWR | O_CREAT | O_TRUNC, 0644);
	uint32_t(*all)[4] = calloc(RECORDS, sizeof(*all));

	for (uint32_t i = 0; i < RECORDS; i++) {
		all[i][0] = i;
		all[i][3] = ~i;
	}
	CHECK(write(fd, all, RECORDS * sizeof(*all)) == (ssize_t)(RECORDS * sizeof(*all)));
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	free(all);
	seen = calloc(RECORDS, 1);
	record_fd = fd;
}

static void end_records(void)
{
	int bad = 0;

	for (int i = 0; i < RECORDS; i++)
		bad += seen[i] != 1;
	CHECK(bad == 0);
	CHECK(lseek(record_fd, 0, SEEK_CUR) == RECORDS * 16);
	close(record_fd);
	free((void *)seen);
}

static void on_alarm(int signo)
{
	handled += take_record();
}

static void signals(void)
{
	struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};

	begin_records();
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (take_record())
		;
	setitimer(ITIMER_REAL, &never, NULL);
	CHECK(handled > 0);
	end_records();
}

static void *reader(void *arg)
{
	long n = 0;

	while (take_record())
		n++;
	return (void *)n;
}

static void threads(void)
{
	pthread_t t[3];
	void *n;
	long sum = 0;

	begin_records();
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t[i], NULL, reader, NULL) == 0);
	for (int i = 0; i < 3; i++) {
		CHECK(pthread_join(t[i], &n) == 0);
		sum += (long)n;
	}
	CHECK(sum == RECORDS);
	end_records();
}

static void *read_own(void *arg)
{
	uint8_t *mine = malloc(5000);
	size_t n = (size_t)arg, bad = 0;
	int fd = open_file(O_RDONLY);

	for (int round = 0; round < 3; round++) {
		lseek(fd, 0, SEEK_SET);
		for (size_t at = 0; at + n <= SIZE; at += n)
			bad += read(fd, mine, n) != (ssize_t)n || memcmp(mine, content + at, n);
	}
	close(fd);
	free(mine);
	return (void *)bad;
}

/* Each its own, the same number of bytes or another. */
static void threads_apart(void)
{
	static const size_t sizes[3] = {500, 500, 3333};
	pthread_t t[3];
	void *bad;

	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t[i], NULL, read_own, (void *)sizes[i]) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(t[i], &bad) == 0 && !bad);
}

/* While a process outside waits for the file's offset, or its end, nothing is different either. */
static void pipes_and_others(void)
{
	int p[2], bad = 0;

	CHECK(pipe(p) == 0);
	for (int i = 0; i < 100; i++) {
		bad += write(p[1], content + i * 10, 10) != 10;
		bad += read(p[0], buf, 10) != 10 || memcmp(buf, content + i * 10, 10);
	}
	CHECK(bad == 0);
	close(p[0]);
	close(p[1]);
	for (int i = 0, fd = open("/dev/zero", O_RDONLY); i < 10; i++)
		CHECK(read(fd, buf, 100) == 100 && buf[0] == 0 && buf[99] == 0);
}

int main(void)
{
	make_file();
	sizes();
	changing_sizes();
	offsets();
	same_number();
	changes();
	growing();
	bad_buffers();
	registers();
	stepping();
	signals();
	threads();
	threads_apart();
	pipes_and_others();
	return check_done();
}
