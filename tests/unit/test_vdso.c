/* SPDX-License-Identifier: MIT */
/*
 * The vDSO, run by the test process itself: found the way a C library finds it, right to within
 * a microsecond, never backwards. And the clock behind it on a simulated host, whose clocks
 * change their rate, are set, and are read with interruptions.
 */
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <x86intrin.h>
#include <cmocka.h>

#include "base/clock.h"
#include "guest/clock.h"
#include "guest/layout.h"

#define NS_PER_MS 1000000ll

extern const u8 tk_vdso_start[], tk_vdso_end[];

typedef int clock_fn(clockid_t clock, struct timespec *ts);

struct vdso {
	u8 *map; /* [data pages][image] */
	size_t size;
	struct tk_vvar *vvar;
	clock_fn *gettime, *getres;
	int (*gettimeofday)(struct timeval *tv, struct timezone *tz);
	time_t (*time)(time_t *t);
	long (*getcpu)(unsigned int *cpu, unsigned int *node, void *unused);
};

static const struct {
	clockid_t id;
	const char *name;
} clocks[] = {
	{CLOCK_REALTIME, "REALTIME"},
	{CLOCK_MONOTONIC, "MONOTONIC"},
	{CLOCK_MONOTONIC_RAW, "MONOTONIC_RAW"},
	{CLOCK_BOOTTIME, "BOOTTIME"},
	{CLOCK_TAI, "TAI"},
	{CLOCK_REALTIME_COARSE, "REALTIME_COARSE"},
	{CLOCK_MONOTONIC_COARSE, "MONO_COARSE"},
};

static const Elf64_Phdr *find_phdr(const u8 *image, u32 type, unsigned int *count)
{
	const Elf64_Ehdr *ehdr = (const void *)image;
	const Elf64_Phdr *ph = (const void *)(image + ehdr->e_phoff), *found = NULL;

	*count = 0;
	for (int i = 0; i < ehdr->e_phnum; i++) {
		if (ph[i].p_type == type) {
			found = &ph[i];
			++*count;
		}
	}
	return found;
}

static u64 dynamic(const u8 *image, s64 tag)
{
	unsigned int n;
	const Elf64_Dyn *dyn = (const void *)(image + find_phdr(image, PT_DYNAMIC, &n)->p_offset);

	for (; dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == tag)
			return dyn->d_un.d_val;
	}
	return 0;
}

/* Is symbol @i of version LINUX_2.6? Through verdef, as musl and Go do. */
static bool has_version(const u8 *image, u32 i)
{
	const char *strings = (const char *)image + dynamic(image, DT_STRTAB);
	u16 want = ((const u16 *)(const void *)(image + dynamic(image, DT_VERSYM)))[i] & 0x7fff;
	const u8 *p = image + dynamic(image, DT_VERDEF);

	for (;;) {
		const Elf64_Verdef *def = (const void *)p;
		const Elf64_Verdaux *name = (const void *)(p + def->vd_aux);

		if (!(def->vd_flags & VER_FLG_BASE) && (def->vd_ndx & 0x7fff) == want)
			return def->vd_hash == 0x3ae75f6 &&
			       strcmp(strings + name->vda_name, "LINUX_2.6") == 0;
		if (def->vd_next == 0)
			return false;
		p += def->vd_next;
	}
}

static u32 sysv_hash(const char *name)
{
	u32 h = 0;

	for (; *name; name++) {
		h = (h << 4) + (u8)*name;
		h = (h ^ (h >> 24 & 0xf0)) & 0x0fffffff;
	}
	return h;
}

static const Elf64_Sym *find_by_hash(const u8 *image, const char *name)
{
	const u32 *hash = (const void *)(image + dynamic(image, DT_HASH));
	const Elf64_Sym *syms = (const void *)(image + dynamic(image, DT_SYMTAB));
	const char *strings = (const char *)image + dynamic(image, DT_STRTAB);
	u32 nbucket = hash[0];

	for (u32 i = hash[2 + sysv_hash(name) % nbucket]; i; i = hash[2 + nbucket + i]) {
		if (strcmp(strings + syms[i].st_name, name) == 0 && has_version(image, i))
			return &syms[i];
	}
	return NULL;
}

static const Elf64_Sym *find_by_gnu_hash(const u8 *image, const char *name)
{
	const u32 *table = (const void *)(image + dynamic(image, DT_GNU_HASH));
	const Elf64_Sym *syms = (const void *)(image + dynamic(image, DT_SYMTAB));
	const char *strings = (const char *)image + dynamic(image, DT_STRTAB);
	u32 nbuckets = table[0], first = table[1], bloom_words = table[2], h = 5381;
	const u32 *buckets = table + 4 + 2 * bloom_words, *chain = buckets + nbuckets;

	for (const char *c = name; *c; c++)
		h = h * 33 + (u8)*c;
	for (u32 i = buckets[h % nbuckets]; i; i++) {
		if ((chain[i - first] | 1) == (h | 1) &&
		    strcmp(strings + syms[i].st_name, name) == 0)
			return &syms[i];
		if (chain[i - first] & 1)
			break;
	}
	return NULL;
}

static void *symbol(const struct vdso *vdso, const char *name)
{
	const u8 *image = vdso->map + TK_VVAR_SIZE;
	const Elf64_Sym *sym = find_by_hash(image, name);

	assert_non_null(sym);
	assert_ptr_equal(sym, find_by_gnu_hash(image, name));
	assert_int_equal(ELF64_ST_TYPE(sym->st_info), STT_FUNC);
	assert_true(sym->st_value + sym->st_size <= vdso->size - TK_VVAR_SIZE);
	return vdso->map + TK_VVAR_SIZE + sym->st_value;
}

static void load(struct vdso *vdso)
{
	vdso->size = tk_vdso_end - tk_vdso_start;
	vdso->map =
		mmap(NULL, vdso->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(vdso->map, MAP_FAILED);
	memcpy(vdso->map, tk_vdso_start, vdso->size);
	assert_int_equal(mprotect(vdso->map + TK_VVAR_SIZE, vdso->size - TK_VVAR_SIZE,
				  PROT_READ | PROT_EXEC),
			 0);
	vdso->vvar = (void *)vdso->map;
	vdso->gettime = (clock_fn *)symbol(vdso, "__vdso_clock_gettime");
	vdso->getres = (clock_fn *)symbol(vdso, "__vdso_clock_getres");
	vdso->gettimeofday = symbol(vdso, "__vdso_gettimeofday");
	vdso->time = symbol(vdso, "__vdso_time");
	vdso->getcpu = symbol(vdso, "__vdso_getcpu");
}

static void unload(struct vdso *vdso)
{
	munmap(vdso->map, vdso->size);
}

static s64 guest_ns(const struct vdso *vdso, clockid_t id)
{
	struct timespec ts;

	assert_int_equal(vdso->gettime(id, &ts), 0);
	assert_in_range(ts.tv_nsec, 0, TK_NSEC_PER_SEC - 1);
	return tk_timespec_ns(&ts);
}

/* The page answers now: no system call is needed. */
static bool serves(const struct vdso *vdso)
{
	return __rdtsc() - vdso->vvar->tsc < vdso->vvar->valid;
}

static void wait_until_serving(struct vdso *vdso, struct tk_clock *clock)
{
	for (int i = 0; i < 100 && !serves(vdso); i++) {
		usleep(500);
		tk_clock_update(clock);
	}
	assert_true(serves(vdso));
}

static void test_image_is_one_segment_without_relocations(void **state)
{
	const u8 *image = tk_vdso_start + TK_VVAR_SIZE;
	const Elf64_Ehdr *ehdr = (const void *)image;
	const Elf64_Phdr *load_ph;
	unsigned int n;

	assert_int_equal((tk_vdso_end - tk_vdso_start) % TK_PAGE_SIZE, 0);
	assert_true((u64)(tk_vdso_end - image) <= TK_VDSO_MAX);
	assert_memory_equal(ehdr->e_ident, ELFMAG, SELFMAG);
	assert_int_equal(ehdr->e_type, ET_DYN);
	load_ph = find_phdr(image, PT_LOAD, &n);
	assert_int_equal(n, 1);
	assert_int_equal(load_ph->p_vaddr, 0);
	assert_int_equal(load_ph->p_offset, 0);
	assert_int_equal(load_ph->p_flags, PF_R | PF_X);
	assert_int_equal(load_ph->p_filesz, load_ph->p_memsz);
	find_phdr(image, PT_GNU_EH_FRAME, &n);
	assert_int_equal(n, 1);
	assert_int_equal(dynamic(image, DT_RELA), 0);
	assert_int_equal(dynamic(image, DT_JMPREL), 0);
	assert_string_equal(image + dynamic(image, DT_STRTAB) + dynamic(image, DT_SONAME),
			    "linux-vdso.so.1");
}

static void test_old_names_are_aliases(void **state)
{
	static const char *const names[] = {"clock_gettime", "clock_getres", "gettimeofday", "time",
					    "getcpu"};
	struct vdso vdso;
	char prefixed[32];

	load(&vdso);
	for (size_t i = 0; i < TK_ARRAY_SIZE(names); i++) {
		snprintf(prefixed, sizeof(prefixed), "__vdso_%s", names[i]);
		assert_ptr_equal(symbol(&vdso, names[i]), symbol(&vdso, prefixed));
	}
	assert_null(find_by_hash(vdso.map + TK_VVAR_SIZE, "tk_image_start"));
	unload(&vdso);
}

/* Everything but getcpu becomes a system call, whose results and errors are the kernel's. */
static void test_off_means_system_calls(void **state)
{
	struct tk_clock clock;
	struct timespec ts;
	struct timeval tv;
	struct vdso vdso;

	load(&vdso);
	tk_clock_init(&clock, vdso.vvar, false, 0, NULL);
	for (int i = 0; i < 3; i++)
		tk_clock_update(&clock);
	assert_int_equal(vdso.vvar->valid, 0);
	for (size_t i = 0; i < TK_ARRAY_SIZE(clocks); i++) {
		s64 before = tk_clock_ns(clocks[i].id), guest = guest_ns(&vdso, clocks[i].id);

		assert_in_range(guest, before, tk_clock_ns(clocks[i].id));
	}
	assert_int_equal(vdso.gettimeofday(&tv, NULL), 0);
	assert_true(labs(vdso.time(NULL) - time(NULL)) <= 1);
	assert_int_equal(vdso.gettime(CLOCK_PROCESS_CPUTIME_ID, &ts), 0);
	assert_int_equal(vdso.gettime(12345, &ts), -EINVAL);
	assert_int_equal(vdso.gettime(-12345, &ts), -EINVAL);
	assert_int_equal(vdso.getres(12345, &ts), -EINVAL);
	unload(&vdso);
}

static void test_getres_and_getcpu(void **state)
{
	struct timespec guest, host;
	unsigned int cpu = 7, node = 7;
	struct tk_clock clock;
	struct vdso vdso;

	load(&vdso);
	tk_clock_init(&clock, vdso.vvar, true, 0, NULL);
	for (size_t i = 0; i < TK_ARRAY_SIZE(clocks); i++) {
		assert_int_equal(vdso.getres(clocks[i].id, &guest), 0);
		assert_int_equal(clock_getres(clocks[i].id, &host), 0);
		assert_int_equal(tk_timespec_ns(&guest), tk_timespec_ns(&host));
	}
	assert_int_equal(vdso.getres(CLOCK_MONOTONIC, NULL), 0);
	assert_int_equal(vdso.getcpu(&cpu, &node, NULL), 0);
	assert_int_equal(cpu, 0);
	assert_int_equal(node, 0);
	assert_int_equal(vdso.getcpu(NULL, NULL, NULL), 0);
	unload(&vdso);
}

/* A stale page must not be extrapolated; the next update makes it serve again. */
static void test_stale_page_asks(void **state)
{
	struct tk_clock clock;
	struct vdso vdso;
	s64 before, guest;

	load(&vdso);
	tk_clock_init(&clock, vdso.vvar, true, 0, NULL);
	wait_until_serving(&vdso, &clock);
	usleep(30000);
	assert_false(serves(&vdso));
	vdso.vvar->base[CLOCK_MONOTONIC].sec += 1000; /* would show if the page were used */
	before = tk_now_ns();
	guest = guest_ns(&vdso, CLOCK_MONOTONIC);
	assert_in_range(guest, before, tk_now_ns());
	tk_clock_update(&clock);
	assert_true(serves(&vdso));
	before = tk_now_ns();
	assert_true(llabs(guest_ns(&vdso, CLOCK_MONOTONIC) - before) < NS_PER_MS);
	unload(&vdso);
}

struct updater {
	struct tk_clock *clock;
	bool stop;
};

static void *update_now_and_then(void *arg)
{
	struct updater *u = arg;
	unsigned int seed = 1;

	while (!__atomic_load_n(&u->stop, __ATOMIC_ACQUIRE)) {
		tk_clock_update(u->clock);
		usleep(100 + rand_r(&seed) % 8000);
	}
	return NULL;
}

/* How far @guest lies outside of what the host showed before and after it. */
static s64 distance(s64 before, s64 guest, s64 after)
{
	return guest < before ? before - guest : guest > after ? guest - after : 0;
}

struct tally {
	unsigned long reads, served, off; /* off: by more than a microsecond */
	s64 worst, last;
};

static void compare(struct vdso *vdso, clockid_t id, struct tally *t)
{
	bool served = serves(vdso);
	s64 before = tk_clock_ns(id), guest = guest_ns(vdso, id), after = tk_clock_ns(id);
	s64 error = distance(before, guest, after);

	t->reads++;
	t->served += served;
	t->off += error > 1000;
	t->worst = TK_MAX(t->worst, error);
	assert_true(guest >= t->last);
	t->last = guest;
}

/* The thread that updates runs beside the one that reads, as it does for another guest thread. */
static void test_clocks_are_the_hosts(void **state)
{
	struct tally tallies[TK_ARRAY_SIZE(clocks)] = {{0}};
	struct tk_clock clock;
	struct updater u = {.clock = &clock};
	pthread_t thread;
	struct vdso vdso;
	s64 end;

	if (!tk_clock_host_ok())
		skip();
	load(&vdso);
	tk_clock_init(&clock, vdso.vvar, true, 0, NULL);
	wait_until_serving(&vdso, &clock);
	assert_int_equal(pthread_create(&thread, NULL, update_now_and_then, &u), 0);
	for (end = tk_now_ns() + 1500 * NS_PER_MS; tk_now_ns() < end;) {
		for (size_t i = 0; i < 5; i++)
			compare(&vdso, clocks[i].id, &tallies[i]);
		usleep(20);
	}
	__atomic_store_n(&u.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < 5; i++) {
		const struct tally *t = &tallies[i];

		print_message("%-14s %lu reads, %lu off by > 1 us, worst %lld ns\n", clocks[i].name,
			      t->reads, t->off, (long long)t->worst);
		assert_true(t->reads > 100);
		assert_true(t->served > t->reads / 10);
		assert_true(t->off * 1000 <= t->reads);
	}
	unload(&vdso);
}

/*
 * What file times depend on: a coarse clock is never ahead of the host's, and once an exit has
 * been made not behind what the host showed during it.
 */
static void test_coarse_clocks_bracket_the_hosts(void **state)
{
	struct tk_clock clock;
	struct vdso vdso;

	load(&vdso);
	tk_clock_init(&clock, vdso.vvar, true, 0, NULL);
	wait_until_serving(&vdso, &clock);
	for (int i = 0; i < 300; i++) {
		for (size_t c = 5; c < TK_ARRAY_SIZE(clocks); c++) {
			s64 exit_ns = tk_clock_ns(clocks[c].id), guest, tick;

			tick = vdso.vvar->tick_ns;
			tk_clock_update(&clock);
			guest = guest_ns(&vdso, clocks[c].id);
			assert_true(guest >= exit_ns);
			assert_true(guest <= tk_clock_ns(clocks[c].id));
			usleep(i % 7 * 500);
			exit_ns = tk_clock_ns(clocks[c].id);
			guest = guest_ns(&vdso, clocks[c].id);
			assert_true(guest <= tk_clock_ns(clocks[c].id));
			assert_true(guest >= exit_ns - 2 * tick);
		}
		assert_true(vdso.time(NULL) <= time(NULL));
	}
	unload(&vdso);
}

/* The host's, but for coarse clocks that are three of its ticks late. */
static u64 late_tsc(void *ctx)
{
	return __rdtsc();
}

static s64 late_ns(void *ctx, clockid_t clock)
{
	const struct tk_vvar *vvar = ctx;
	bool is_coarse = TK_VVAR_COARSE >> clock & 1;

	return tk_clock_ns(clock) - (is_coarse ? 3ll * vvar->tick_ns : 0);
}

/* A host that is a busy virtual machine itself loses ticks, and its files get old times. */
static void test_coarse_clocks_are_not_ahead_of_late_ticks(void **state)
{
	struct tk_clock clock;
	struct vdso vdso;

	if (!tk_clock_host_ok())
		skip();
	load(&vdso);
	tk_clock_init(&clock, vdso.vvar, true, 0,
		      &(struct tk_clock_source){late_tsc, late_ns, vdso.vvar});
	wait_until_serving(&vdso, &clock);
	for (size_t c = 5; c < TK_ARRAY_SIZE(clocks); c++) {
		s64 before, guest;

		tk_clock_update(&clock);
		wait_until_serving(&vdso, &clock);
		before = tk_clock_ns(clocks[c].id);
		guest = guest_ns(&vdso, clocks[c].id); /* by the system call: here, the host's */
		assert_true(guest >= before && guest <= tk_clock_ns(clocks[c].id));
	}
	unload(&vdso);
}

/* ---- a simulated host ---- */

#define CYCLES_PER_NS 2.5

struct sim {
	long double now;       /* true nanoseconds */
	long double mono, raw; /* what the host's clocks show */
	long double rate;      /* of mono: 1 + error */
	long double offset[TK_CLOCK_OFFSETS];
	unsigned int seed;
	bool noise;		 /* preemption within readings */
	long double read_ns;	 /* what a reading takes more than usual */
	struct tk_clock_lag lag; /* of the program whose page is looked at */
};

static void sim_pass(struct sim *sim, long double ns)
{
	sim->now += ns;
	sim->mono += ns * sim->rate;
	sim->raw += ns * 1.00002;
}

static void sim_noise(struct sim *sim)
{
	int dice = rand_r(&sim->seed) % 2000;

	if (!sim->noise)
		return;
	if (dice == 0)
		sim_pass(sim, 3e6);
	else if (dice < 20)
		sim_pass(sim, 4000);
	else
		sim_pass(sim, dice % 10);
}

static u64 sim_tsc(void *ctx)
{
	struct sim *sim = ctx;

	sim_noise(sim);
	sim_pass(sim, 10);
	return (u64)(sim->now * CYCLES_PER_NS);
}

static long double sim_value(const struct sim *sim, clockid_t clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
		return sim->mono + sim->offset[TK_CLOCK_REALTIME];
	case CLOCK_BOOTTIME:
		return sim->mono + sim->offset[TK_CLOCK_BOOTTIME];
	case CLOCK_TAI:
		return sim->mono + sim->offset[TK_CLOCK_TAI];
	case CLOCK_MONOTONIC_RAW:
		return sim->raw;
	case CLOCK_MONOTONIC:
		return sim->mono;
	default: /* coarse */
		return (long double)((s64)sim->mono / 4000000 * 4000000);
	}
}

static s64 sim_ns(void *ctx, clockid_t clock)
{
	struct sim *sim = ctx;
	s64 value;

	sim_noise(sim);
	sim_pass(sim, 12 + sim->read_ns);
	value = (s64)sim_value(sim, clock);
	sim_pass(sim, 12);
	return value;
}

/* What vdso.c computes; false: stale, the guest would ask. */
static bool page_ns(const struct tk_vvar *vvar, clockid_t id, u64 tsc, s64 *ns)
{
	u64 delta = tsc - vvar->tsc;
	u64 mult = id == CLOCK_MONOTONIC_RAW ? vvar->raw_mult : vvar->mult;

	if (delta >= vvar->valid)
		return false;
	*ns = vvar->base[id].sec * TK_NSEC_PER_SEC + (s64)vvar->base[id].nsec +
	      (s64)(delta * mult >> 32);
	return true;
}

struct sim_tally {
	unsigned long served, asked;
	long double worst_ahead, worst_behind;
	s64 last[TK_VVAR_BASES];
};

static void sim_compare(struct sim *sim, const struct tk_vvar *vvar, struct sim_tally *t)
{
	for (size_t i = 0; i < 5; i++) {
		clockid_t id = clocks[i].id;
		long double error;
		s64 ns;

		if (!page_ns(vvar, id, (u64)(sim->now * CYCLES_PER_NS), &ns)) {
			t->asked++;
			continue;
		}
		error = (long double)ns - sim_value(sim, id) - tk_lagging(&sim->lag, id, 0);
		t->served++;
		t->worst_ahead = TK_MAX(t->worst_ahead, error);
		t->worst_behind = TK_MAX(t->worst_behind, -error);
		assert_true(ns >= t->last[id]);
		t->last[id] = ns;
	}
}

/* Run @ms of guest life with exits every @exit_ns on average. */
static void sim_run(struct sim *sim, struct tk_clock *clock, struct sim_tally *t, long double ms,
		    int exit_ns)
{
	for (long double end = sim->now + ms * 1e6; sim->now < end;) {
		sim_pass(sim, 1 + rand_r(&sim->seed) % (2 * exit_ns));
		sim_compare(sim, clock->vvar, t);
		tk_clock_update(clock);
		sim_compare(sim, clock->vvar, t);
	}
}

static struct sim new_sim(unsigned int seed)
{
	return (struct sim){
		.mono = 5e12,
		.raw = 5e12,
		.now = 1e11,
		.rate = 1.00001,
		.offset = {1.7e18, 3e9, 1.7e18 + 37e9},
		.seed = seed,
		.noise = true,
	};
}

static void sim_start(struct sim *sim, struct tk_clock *clock, struct tk_vvar *vvar)
{
	const struct tk_clock_source source = {.tsc = sim_tsc, .ns = sim_ns, .ctx = sim};

	tk_clock_init(clock, vvar, true, 0, &source);
}

static void test_sim_steady_host(void **state)
{
	static const int exit_ns[] = {2000, 50000, 3000000, 9000000, 40000000};

	for (unsigned int i = 0; i < TK_ARRAY_SIZE(exit_ns); i++) {
		struct sim sim = new_sim(i + 1);
		struct sim_tally t = {0};
		struct tk_clock clock;
		struct tk_vvar vvar;

		sim_start(&sim, &clock, &vvar);
		sim_run(&sim, &clock, &t, 200 + exit_ns[i] / 1000, exit_ns[i]);
		print_message(
			"exits every %d us: %lu served, %lu asked, ahead %.0Lf behind %.0Lf\n",
			exit_ns[i] / 1000, t.served, t.asked, t.worst_ahead, t.worst_behind);
		assert_true(t.served > t.asked);
		assert_true(t.worst_ahead < 500 && t.worst_behind < 500);
	}
}

/* Corrections as an NTP daemon makes them: the page follows within a microsecond. */
static void test_sim_rate_changes(void **state)
{
	struct sim sim = new_sim(3);
	struct sim_tally t = {0};
	struct tk_clock clock;
	struct tk_vvar vvar;

	sim_start(&sim, &clock, &vvar);
	for (int i = 0; i < 200; i++) {
		sim_run(&sim, &clock, &t, 37, 100000);
		sim.rate = 1.00001 + (rand_r(&sim.seed) % 100 - 50) * 1e-6;
	}
	print_message("ahead %.0Lf behind %.0Lf\n", t.worst_ahead, t.worst_behind);
	assert_true(t.worst_ahead < 1000 && t.worst_behind < 1000);
}

/* The largest change that adjtimex(2) can make; monotonic all the same, and soon right again. */
static void test_sim_extreme_rate_change(void **state)
{
	struct sim sim = new_sim(4);
	struct sim_tally t = {0};
	struct tk_clock clock;
	struct tk_vvar vvar;

	sim_start(&sim, &clock, &vvar);
	sim_run(&sim, &clock, &t, 100, 100000);
	for (int i = 0; i < 20; i++) {
		sim.rate = i % 2 ? 1.0005 : 0.9995;
		sim_run(&sim, &clock, &t, 40, 100000);
		t.worst_ahead = t.worst_behind = 0;
		sim_run(&sim, &clock, &t, 40, 100000);
		assert_true(t.worst_ahead < 500 && t.worst_behind < 500);
	}
}

/* Exits for 10 ms, in which the page may still show what was. */
static void sim_settle(struct sim *sim, struct tk_clock *clock)
{
	for (int i = 0; i < 20; i++) {
		sim_pass(sim, 5e5);
		tk_clock_update(clock);
	}
}

static void test_sim_host_clock_is_set(void **state)
{
	static const long double steps[] = {3600e9, -3600e9, 5e6, -5e6, 0.5e9, -2000, 2000};
	struct sim sim = new_sim(5);
	struct sim_tally t = {0};
	struct tk_clock clock;
	struct tk_vvar vvar;

	sim_start(&sim, &clock, &vvar);
	sim_run(&sim, &clock, &t, 100, 100000);
	for (size_t i = 0; i < TK_ARRAY_SIZE(steps); i++) {
		sim.offset[TK_CLOCK_REALTIME] += steps[i];
		sim_settle(&sim, &clock);
		t = (struct sim_tally){0};
		sim_run(&sim, &clock, &t, 50, 100000);
		assert_true(t.worst_ahead < 500 && t.worst_behind < 500);
	}
	/* a suspended host: only CLOCK_BOOTTIME (and CLOCK_REALTIME) move on */
	sim.offset[TK_CLOCK_BOOTTIME] += 60e9;
	sim.offset[TK_CLOCK_REALTIME] += 60e9;
	sim.offset[TK_CLOCK_TAI] += 60e9;
	sim_settle(&sim, &clock);
	t = (struct sim_tally){0};
	sim_run(&sim, &clock, &t, 50, 100000);
	assert_true(t.worst_ahead < 500 && t.worst_behind < 500);
}

/* Readings that take long (the clocksource is no longer the TSC): ask rather than guess. */
static void test_sim_slow_host_clock(void **state)
{
	struct sim sim = new_sim(6);
	struct sim_tally t = {0};
	struct tk_clock clock;
	struct tk_vvar vvar;

	sim_start(&sim, &clock, &vvar);
	sim_run(&sim, &clock, &t, 50, 100000);
	sim.read_ns = 3000;
	sim_run(&sim, &clock, &t, 20, 100000);
	t.served = t.asked = 0;
	sim_run(&sim, &clock, &t, 50, 100000);
	assert_int_equal(t.served, 0);
	sim.read_ns = 0;
	sim_run(&sim, &clock, &t, 50, 100000);
	assert_true(t.served > t.asked / 2);
	assert_true(t.worst_ahead < 500 && t.worst_behind < 500);
}

static void test_fork_serves_at_once_and_not_backwards(void **state)
{
	struct sim sim = new_sim(7);
	struct tk_clock parent, child;
	struct tk_vvar parent_page, child_page;
	struct sim_tally t = {0};

	sim_start(&sim, &parent, &parent_page);
	sim_run(&sim, &parent, &t, 100, 100000);
	sim_pass(&sim, 2e9); /* the image lies around */
	tk_clock_fork(&child, &parent, &child_page, 12345);
	assert_true(child_page.valid > 0);
	child.guest_offset = 0;
	child_page.tsc -= 12345; /* guest TSC = host TSC + 12345 */
	t.asked = t.served = 0;
	sim_compare(&sim, &child_page, &t);
	assert_int_equal(t.asked, 0);
	sim_run(&sim, &child, &t, 100, 100000);
	assert_true(t.worst_ahead < 500 && t.worst_behind < 500);
}

/* A fork that has waited for @ns since it was put back, in which the host's clock was corrected. */
static void sim_wait(struct sim *sim, struct tk_clock *clock, const struct sim *frozen,
		     long double ns)
{
	struct sim_tally t = {0};

	sim_pass(sim, ns);
	sim->rate = 1.00001 + (rand_r(&sim->seed) % 100 - 50) * 1e-6;
	sim->lag = (struct tk_clock_lag){.mono = (s64)(sim->mono - frozen->mono),
					 .raw = (s64)(sim->raw - frozen->raw),
					 .floor = (s64)frozen->mono};
	tk_clock_set_lag(clock, &sim->lag);
	sim_compare(sim, clock->vvar, &t);
	t.served = t.asked = 0;
	sim_run(sim, clock, &t, 60, 100000);
	assert_true(t.served > t.asked);
	assert_true(t.worst_ahead < 1000 && t.worst_behind < 1000);
}

static void test_sim_clocks_of_a_fork_begin_anew(void **state)
{
	static const long double waits[] = {0, 1e6, 9e6, 11e6, 0, 1e9, 3600e9, 0, 86400e9, 5e6};
	struct sim sim = new_sim(8), frozen;
	struct tk_clock parent, child;
	struct tk_vvar parent_page, child_page;
	struct sim_tally t = {0};

	sim_start(&sim, &parent, &parent_page);
	sim_run(&sim, &parent, &t, 100, 100000);
	frozen = sim;
	tk_clock_fork(&child, &parent, &child_page, 0);
	for (int i = 0; i < 200; i++)
		sim_wait(&sim, &child, &frozen, waits[rand_r(&sim.seed) % TK_ARRAY_SIZE(waits)]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_is_one_segment_without_relocations),
		cmocka_unit_test(test_old_names_are_aliases),
		cmocka_unit_test(test_off_means_system_calls),
		cmocka_unit_test(test_getres_and_getcpu),
		cmocka_unit_test(test_stale_page_asks),
		cmocka_unit_test(test_clocks_are_the_hosts),
		cmocka_unit_test(test_coarse_clocks_bracket_the_hosts),
		cmocka_unit_test(test_coarse_clocks_are_not_ahead_of_late_ticks),
		cmocka_unit_test(test_sim_steady_host),
		cmocka_unit_test(test_sim_rate_changes),
		cmocka_unit_test(test_sim_extreme_rate_change),
		cmocka_unit_test(test_sim_host_clock_is_set),
		cmocka_unit_test(test_sim_slow_host_clock),
		cmocka_unit_test(test_fork_serves_at_once_and_not_backwards),
		cmocka_unit_test(test_sim_clocks_of_a_fork_begin_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
