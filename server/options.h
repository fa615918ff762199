/* SPDX-License-Identifier: MIT */
/*
 * The options of the kvmserver command, one row each. From this table come the parser, --help,
 * the keys of configuration files, --print-config and the manual's option list.
 */
#ifndef KVMSERVER_OPTIONS_H
#define KVMSERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * X(ID, field, "long", short, KIND, "ARG", low, high, "help")
 * KIND: FLAG no value; NUMBER a whole number from low to high; SECONDS the same with decimals, kept
 * in ms; TEXT a string; LIST a string, may be repeated; GRANT all, or with =LIST those; ACTION a
 * flag that is no setting (not in configuration files); FILE likewise with a value; OUTPUT nothing,
 * or with =FILE a file. Defaults are in ks_config_init().
 */
/* clang-format off */
#define KS_OPTIONS(X) \
	X(CONFIG, config_file, "config", 'c', FILE, "FILE", 0, 0, \
	  "read settings from FILE (JSON; a key is an option's name); options given here " \
	  "replace its values and add to its lists") \
	X(EPHEMERAL, ephemeral, "ephemeral", 'e', FLAG, NULL, 0, 0, \
	  "serve each request with a program in the state in which it was once it had started (and was " \
	  "warmed up): nothing that a request does is there for the next one") \
	X(THREADS, threads, "threads", 't', NUMBER, "N", 0, 1024, \
	  "serve with so many copies of the program at a time (1; 0: as many as there are processors)") \
	X(WARMUP, warmup, "warmup", 'w', NUMBER, "N", 0, 1000000000, \
	  "before serving, send the program so many requests (0)") \
	X(WARMUP_PATH, warmup_path, "warmup-path", 0, TEXT, "PATH", 0, 0, \
	  "what these requests ask for (/)") \
	X(WARMUP_HOST, warmup_host, "warmup-host", 0, TEXT, "HOST", 0, 0, \
	  "their Host header (the address that the program listens on)") \
	X(WARMUP_CONCURRENCY, warmup_concurrency, "warmup-concurrency", 0, NUMBER, "N", 1, 1024, \
	  "how many of them are under way at a time (1)") \
	X(SETTLE_TIME, settle_time_ms, "settle-time", 0, SECONDS, "SECONDS", 0, 3600, \
	  "with -e or -t: wait for so many seconds at most for timers that are due soon, before the program " \
	  "is frozen (0.1; 0: do not wait)") \
	X(CWD, cwd, "cwd", 0, TEXT, "DIR", 0, 0, \
	  "the program's current directory (the one kvmserver is started in)") \
	X(ENV, env, "env", 0, LIST, "NAME=VALUE", 0, 0, \
	  "set a variable in the program's environment; may be repeated") \
	X(ALLOW_ALL, allow_all, "allow-all", 0, FLAG, NULL, 0, 0, \
	  "allow everything that the following options allow") \
	X(ALLOW_READ, allow_read, "allow-read", 0, GRANT, "PATH,...", 0, 0, \
	  "allow reading files: all, or those at and below the paths") \
	X(ALLOW_WRITE, allow_write, "allow-write", 0, GRANT, "PATH,...", 0, 0, \
	  "allow creating, changing and removing files: all, or those at and below the paths") \
	X(ALLOW_ENV, allow_env, "allow-env", 0, GRANT, "NAME,...", 0, 0, \
	  "pass on environment variables: all, or those named; NAME may end in *") \
	X(ALLOW_NET, allow_net, "allow-net", 0, GRANT, "ADDR,...", 0, 0, \
	  "allow connecting and listening: anywhere, or HOST[:PORT], :PORT, [V6]:PORT, NET/BITS:PORT-PORT") \
	X(ALLOW_CONNECT, allow_connect, "allow-connect", 0, GRANT, "ADDR,...", 0, 0, \
	  "allow connecting only") \
	X(ALLOW_LISTEN, allow_listen, "allow-listen", 0, GRANT, "ADDR,...", 0, 0, \
	  "allow listening only") \
	X(VOLUME, volumes, "volume", 0, LIST, "HOST:GUEST[:r|rw]", 0, 0, \
	  "show the host's file or directory HOST to the program as GUEST, readable (r, the default) " \
	  "or also writable (rw); may be repeated") \
	X(NEW_PID, new_pid, "new-pid", 0, FLAG, NULL, 0, 0, \
	  "with -e, -t or -w: give the program another process id in each request (and each copy), by which " \
	  "OpenSSL and others notice that they were copied, and make new random numbers") \
	X(MAX_TIME, max_time_ms, "max-time", 0, SECONDS, "SECONDS", 0, 1000000000, \
	  "stop the program after so many seconds, decimals allowed (0: no limit, the default); " \
	  "the exit status is then 124") \
	X(MAX_BOOT_TIME, max_boot_time_ms, "max-boot-time", 0, SECONDS, "SECONDS", 0, 1000000000, \
	  "with -e, -t or -w: give up if the program is not ready to serve after so many seconds (20)") \
	X(MAX_REQUEST_TIME, max_request_time_ms, "max-request-time", 0, SECONDS, "SECONDS", 0, 1000000000, \
	  "with -e: end a request after so many seconds (8; 0: no limit)") \
	X(MAX_REQUEST_MEMORY, max_request_memory, "max-request-memory", 0, NUMBER, "MIB", 1, 16777216, \
	  "with -e: memory that one request may use beyond what the program had before, in MiB (128)") \
	X(MAX_CALL_TIME, max_call_time_ms, "max-call-time", 0, SECONDS, "SECONDS", 0, 1000000000, \
	  "with storage: end the storage program, and start it again, if a call takes so many seconds " \
	  "(5; 0: no limit)") \
	X(ONE_TO_ONE, one_to_one, "1-to-1", 0, FLAG, NULL, 0, 0, \
	  "with storage: a storage machine for each copy of the program, forked from the one that was " \
	  "started") \
	X(MAX_IDLE_TIME, max_idle_time_ms, "max-idle-time", 0, SECONDS, "SECONDS", 1, 1000000000, \
	  "with -e: close a connection that sends no complete request for so many seconds (60)") \
	X(MAX_STALL_TIME, max_stall_time_ms, "max-stall-time", 0, SECONDS, "SECONDS", 0, 1000000000, \
	  "with -e: end a request that has waited for its client, and nothing else, for so many " \
	  "seconds in all, each 16 KiB that the client moves being worth one (1; 0: no limit)") \
	X(MAX_WAITING_BODY, max_waiting_body, "max-waiting-body", 0, NUMBER, "KIB", 0, 16384, \
	  "with -e: a request's body that is longer, in KiB, is given to the program as it comes, others " \
	  "when they are complete (1024)") \
	X(MAX_WAITING_MEMORY, max_waiting_memory, "max-waiting-memory", 0, NUMBER, "MIB", 1, 1048576, \
	  "with -e: for how much of such bodies, in MiB, kvmserver waits at a time (64)") \
	X(SERVER_FIRST, server_first, "server-first", 0, FLAG, NULL, 0, 0, \
	  "with -e: the program speaks first; do not wait for a request before it gets a connection") \
	X(HTTP_ONLY, http_only, "http-only", 0, FLAG, NULL, 0, 0, \
	  "with -e: answer what is not HTTP/1 with status 400, rather than give it to the program") \
	X(MAX_MAIN_MEMORY, max_main_memory, "max-main-memory", 0, NUMBER, "MIB", 1, 16777216, \
	  "memory that the program may use, in MiB (8192)") \
	X(MAX_ADDRESS_SPACE, max_address_space, "max-address-space", 0, NUMBER, "MIB", 256, 67108864, \
	  "address space that the program may have in use, in MiB (122880)") \
	X(NO_FAST_PATH, no_fast_path, "no-fast-path", 0, FLAG, NULL, 0, 0, \
	  "let every system call leave the machine, also those that it could answer inside") \
	X(TRACE, trace, "trace", 0, OUTPUT, "FILE", 0, 0, \
	  "write each system call of the program to standard error, or to FILE") \
	X(STATS, stats, "stats", 0, FLAG, NULL, 0, 0, \
	  "when the program ends, write counts and times to standard error") \
	X(METRICS, metrics, "metrics", 0, TEXT, "ADDR", 0, 0, \
	  "with -e: answer HTTP requests for /metrics (Prometheus text) on HOST:PORT, :PORT or unix:PATH") \
	X(VERBOSE, verbose, "verbose", 'v', FLAG, NULL, 0, 0, \
	  "say what is done, on standard error") \
	X(PRINT_CONFIG, print_config, "print-config", 0, ACTION, NULL, 0, 0, \
	  "print the settings in effect as a configuration file, and exit") \
	X(HELP, help, "help", 'h', ACTION, NULL, 0, 0, "print this text, and exit") \
	X(VERSION, version, "version", 'V', ACTION, NULL, 0, 0, "print the version, and exit")
/* clang-format on */

enum ks_kind {
	KS_FLAG,
	KS_NUMBER,
	KS_SECONDS,
	KS_TEXT,
	KS_LIST,
	KS_GRANT,
	KS_OUTPUT,
	KS_ACTION,
	KS_FILE,
};

/* The C type that a kind of option is kept in. */
struct ks_list {
	char **items;
	size_t n;
};

struct ks_grant {
	bool all;
	struct ks_list list;
};

struct ks_output {
	bool on;
	char *file; /* NULL: standard error */
};

typedef bool ks_type_FLAG;
typedef bool ks_type_ACTION;
typedef uint64_t ks_type_NUMBER;
typedef uint64_t ks_type_SECONDS;
typedef char *ks_type_TEXT;
typedef char *ks_type_FILE;
typedef struct ks_list ks_type_LIST;
typedef struct ks_grant ks_type_GRANT;
typedef struct ks_output ks_type_OUTPUT;

struct ks_config {
#define X(id, field, name, letter, kind, ...) ks_type_##kind field;
	KS_OPTIONS(X)
#undef X
	uint64_t given; /* bit N: row N was set by somebody */
};

struct ks_option {
	const char *name;
	char letter; /* 0: none */
	enum ks_kind kind;
	const char *arg; /* what a value is called, NULL if it takes none */
	uint64_t low, high;
	const char *help;
	size_t offset; /* of its field in struct ks_config */
};

extern const struct ks_option ks_options[];
extern const size_t ks_n_options;

/* The longest message that a mistake can give, with room for what the user typed. */
#define KS_MESSAGE_MAX 512

void ks_config_init(struct ks_config *config);
void ks_config_destroy(struct ks_config *config);
/* Make *@to, uninitialised, a copy. 0 or -ENOMEM; ks_config_destroy() in any case. */
int ks_config_copy(struct ks_config *to, const struct ks_config *from);

/* The option called @name (of @len bytes), or NULL. */
const struct ks_option *ks_option_find(const char *name, size_t len);

/*
 * Set @option to what @value (NULL: none) means. 0, or -EINVAL with what was expected in
 * @message, to be put after "OPTION: "; -ENOMEM.
 */
int ks_option_set(struct ks_config *config, const struct ks_option *option, const char *value,
		  char message[KS_MESSAGE_MAX]);

/* Was @option set since config->given was last cleared? */
bool ks_option_given(const struct ks_config *config, const struct ks_option *option);

/* Append a copy of @item. 0 or -ENOMEM. */
int ks_list_add(struct ks_list *list, const char *item);

/*
 * Parse the options before the first word that is none, whose index goes to *@rest. A
 * configuration file that they name is read first. 0, or -EINVAL with a complete @message.
 */
int ks_parse_options(struct ks_config *config, int argc, char **argv, int *rest,
		     char message[KS_MESSAGE_MAX]);

/* config.c: read @path into @config; errors are "PATH:LINE: what". */
int ks_config_read(struct ks_config *config, const char *path, char message[KS_MESSAGE_MAX]);
/* Write all settings as JSON. 0 or -ENOMEM. */
int ks_config_print(const struct ks_config *config, FILE *out);

/* help.c */
void ks_print_help(FILE *out);

static inline void *ks_field(struct ks_config *config, const struct ks_option *option)
{
	return (char *)config + option->offset;
}

#endif
