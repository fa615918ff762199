/* SPDX-License-Identifier: MIT */
/*
 * Options: the table, values as text, and the command line. Every mistake is found here, before
 * anything is started, and its message names the option and what was expected.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

const struct ks_option ks_options[] = {
#define X(id, field, name, letter, kind, arg, low, high, help)                                     \
	{name, letter, KS_##kind, arg, low, high, help, offsetof(struct ks_config, field)},
	KS_OPTIONS(X)
#undef X
};
const size_t ks_n_options = sizeof(ks_options) / sizeof(ks_options[0]);
_Static_assert(sizeof(ks_options) / sizeof(ks_options[0]) <= 64, "struct ks_config's @given");

void ks_config_init(struct ks_config *config)
{
	*config = (struct ks_config){
		.max_main_memory = 8192,
		.max_address_space = 122880,
		.threads = 1,
		.warmup_concurrency = 1,
		.settle_time_ms = 100,
		.max_boot_time_ms = 20000,
		.max_request_time_ms = 8000,
		.max_request_memory = 128,
		.max_idle_time_ms = 60000,
		.max_stall_time_ms = 1000,
		.max_waiting_body = 1024,
		.max_waiting_memory = 64,
		.max_call_time_ms = 5000,
	};
}

static void list_free(struct ks_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
}

void ks_config_destroy(struct ks_config *config)
{
	for (size_t i = 0; i < ks_n_options; i++) {
		void *field = ks_field(config, &ks_options[i]);

		switch (ks_options[i].kind) {
		case KS_TEXT:
		case KS_FILE:
			free(*(char **)field);
			break;
		case KS_LIST:
			list_free(field);
			break;
		case KS_GRANT:
			list_free(&((struct ks_grant *)field)->list);
			break;
		case KS_OUTPUT:
			free(((struct ks_output *)field)->file);
			break;
		default:
			break;
		}
	}
}

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int copy_list(struct ks_list *to, const struct ks_list *from)
{
	*to = (struct ks_list){0};
	for (size_t i = 0; i < from->n; i++)
		if (ks_list_add(to, from->items[i]))
			return -ENOMEM;
	return 0;
}

static int copy_field(enum ks_kind kind, void *to, const void *from)
{
	switch (kind) {
	case KS_TEXT:
	case KS_FILE:
		return copy_text(to, *(char *const *)from);
	case KS_LIST:
		return copy_list(to, from);
	case KS_GRANT:
		return copy_list(&((struct ks_grant *)to)->list,
				 &((const struct ks_grant *)from)->list);
	case KS_OUTPUT:
		return copy_text(&((struct ks_output *)to)->file,
				 ((const struct ks_output *)from)->file);
	default:
		return 0;
	}
}

int ks_config_copy(struct ks_config *to, const struct ks_config *from)
{
	int rc = 0;

	*to = *from;
	for (size_t i = 0; i < ks_n_options; i++) /* all of them: what is copied can be freed */
		if (copy_field(ks_options[i].kind, ks_field(to, &ks_options[i]),
			       (const char *)from + ks_options[i].offset))
			rc = -ENOMEM;
	return rc;
}

int ks_list_add(struct ks_list *list, const char *item)
{
	char **items = reallocarray(list->items, list->n + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	list->items = items;
	items[list->n] = strdup(item);
	if (!items[list->n])
		return -ENOMEM;
	list->n++;
	return 0;
}

static int replace_text(char **field, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

/* @list as "a,b,c": what every =LIST looks like. */
static int add_items(struct ks_list *list, const char *value, char *message)
{
	while (true) {
		size_t len = strcspn(value, ",");
		char *item;
		int rc;

		if (!len) {
			snprintf(message, KS_MESSAGE_MAX, "an item of the list is empty");
			return -EINVAL;
		}
		item = strndup(value, len);
		if (!item)
			return -ENOMEM;
		rc = ks_list_add(list, item);
		free(item);
		if (rc || !value[len])
			return rc;
		value += len + 1;
	}
}

static int set_grant(struct ks_grant *grant, const char *value, char *message)
{
	if (value)
		return add_items(&grant->list, value, message);
	grant->all = true;
	return 0;
}

static int set_output(struct ks_output *output, const char *value)
{
	output->on = true;
	return value ? replace_text(&output->file, value) : 0;
}

static bool all_digits(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return len > 0 && len < 16;
}

static int expected_number(const struct ks_option *option, const char *value, char *message)
{
	snprintf(message, KS_MESSAGE_MAX, "expected a %s from %llu to %llu, not '%.100s'",
		 option->kind == KS_SECONDS ? "number of seconds" : "whole number",
		 (unsigned long long)option->low, (unsigned long long)option->high, value);
	return -EINVAL;
}

static int set_number(const struct ks_option *option, uint64_t *field, const char *value,
		      char *message)
{
	uint64_t number;

	if (!all_digits(value, strlen(value)))
		return expected_number(option, value, message);
	number = strtoull(value, NULL, 10);
	if (number < option->low || number > option->high)
		return expected_number(option, value, message);
	*field = number;
	return 0;
}

/* "12", "0.5", "1.25": digits, and at most three after a point. */
static int set_seconds(const struct ks_option *option, uint64_t *field, const char *value,
		       char *message)
{
	size_t whole = strcspn(value, "."), decimals = 0;
	uint64_t ms;

	if (!all_digits(value, whole))
		return expected_number(option, value, message);
	ms = strtoull(value, NULL, 10) * 1000;
	if (value[whole] == '.') {
		decimals = strlen(value + whole + 1);
		if (decimals > 3 || !all_digits(value + whole + 1, decimals))
			return expected_number(option, value, message);
		ms += strtoull(value + whole + 1, NULL, 10) *
		      (decimals == 1 ? 100 : (decimals == 2 ? 10 : 1));
	}
	if (ms < option->low * 1000 || ms > option->high * 1000)
		return expected_number(option, value, message);
	*field = ms;
	return 0;
}

static bool is_env(const char *value)
{
	const char *equals = strchr(value, '=');

	return equals && equals != value;
}

static int check_value(const struct ks_option *option, const char *value, char *message)
{
	if (value && !option->arg)
		snprintf(message, KS_MESSAGE_MAX, "takes no value, but got '%.100s'", value);
	else if (!value && option->arg && option->kind != KS_GRANT && option->kind != KS_OUTPUT)
		snprintf(message, KS_MESSAGE_MAX, "expected a value: %s", option->arg);
	else if (value && !*value)
		snprintf(message, KS_MESSAGE_MAX, "expected %s, not an empty value", option->arg);
	else if (option->offset == offsetof(struct ks_config, env) && !is_env(value))
		snprintf(message, KS_MESSAGE_MAX, "expected NAME=VALUE, not '%.100s'", value);
	else
		return 0;
	return -EINVAL;
}

int ks_option_set(struct ks_config *config, const struct ks_option *option, const char *value,
		  char message[KS_MESSAGE_MAX])
{
	void *field = ks_field(config, option);
	int rc = check_value(option, value, message);

	if (rc)
		return rc;
	config->given |= 1ull << (option - ks_options);
	switch (option->kind) {
	case KS_FLAG:
	case KS_ACTION:
		*(bool *)field = true;
		return 0;
	case KS_NUMBER:
		return set_number(option, field, value, message);
	case KS_SECONDS:
		return set_seconds(option, field, value, message);
	case KS_TEXT:
	case KS_FILE:
		return replace_text(field, value);
	case KS_LIST:
		return ks_list_add(field, value);
	case KS_GRANT:
		return set_grant(field, value, message);
	case KS_OUTPUT:
		return set_output(field, value);
	}
	return -EINVAL;
}

bool ks_option_given(const struct ks_config *config, const struct ks_option *option)
{
	return config->given >> (option - ks_options) & 1;
}

const struct ks_option *ks_option_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ks_n_options; i++)
		if (strlen(ks_options[i].name) == len && !memcmp(ks_options[i].name, name, len))
			return &ks_options[i];
	return NULL;
}

static const struct ks_option *find_letter(char letter)
{
	for (size_t i = 0; i < ks_n_options; i++)
		if (ks_options[i].letter && ks_options[i].letter == letter)
			return &ks_options[i];
	return NULL;
}

static bool needs_value(const struct ks_option *option)
{
	return option->arg && option->kind != KS_GRANT && option->kind != KS_OUTPUT;
}

/* One option of the command line, split up. */
struct word {
	const struct ks_option *option; /* NULL: there is no such option */
	const char *text;		/* as it was typed, up to a = */
	int len;
	const char *value;
	int used; /* elements of argv */
};

static void split_long(struct word *word, const char *arg, const char *next)
{
	word->len = (int)strcspn(arg, "=");
	word->option = ks_option_find(arg + 2, word->len - 2);
	if (arg[word->len] == '=') {
		word->value = arg + word->len + 1;
	} else if (word->option && needs_value(word->option) && next) {
		word->value = next;
		word->used = 2;
	}
}

/* -c FILE, -cFILE, -v; letters are not joined. */
static void split_short(struct word *word, const char *arg, const char *next)
{
	word->option = find_letter(arg[1]);
	word->len = 2;
	if (word->option && needs_value(word->option)) {
		word->value = arg[2] ? arg + 2 : next;
		word->used = arg[2] || !next ? 1 : 2;
	} else if (arg[2]) {
		word->option = NULL;
		word->len = (int)strlen(arg);
	}
}

static struct word split(char **argv, int i, int argc)
{
	const char *arg = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
	struct word word = {.text = arg, .used = 1};

	if (arg[1] == '-')
		split_long(&word, arg, next);
	else
		split_short(&word, arg, next);
	return word;
}

static int set_word(struct ks_config *config, const struct word *word, char *message)
{
	char what[KS_MESSAGE_MAX] = "out of memory";
	int rc;

	if (!word->option) {
		snprintf(message, KS_MESSAGE_MAX, "unknown option %.*s (see --help)",
			 word->len < 100 ? word->len : 100, word->text);
		return -EINVAL;
	}
	rc = ks_option_set(config, word->option, word->value, what);
	if (rc)
		snprintf(message, KS_MESSAGE_MAX, "option %.*s: %.400s", word->len, word->text,
			 what);
	return rc;
}

static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1] && strcmp(arg, "--") != 0;
}

/* The file is read before any other option counts, wherever it stands. */
static int read_file_first(struct ks_config *config, int argc, char **argv, char *message)
{
	const char *path = NULL;

	for (int i = 0; i < argc && is_option(argv[i]);) {
		struct word word = split(argv, i, argc);

		if (word.option && word.option->kind == KS_FILE)
			path = word.value;
		i += word.used;
	}
	return path && *path ? ks_config_read(config, path, message) : 0;
}

int ks_parse_options(struct ks_config *config, int argc, char **argv, int *rest,
		     char message[KS_MESSAGE_MAX])
{
	int i = 0, rc = read_file_first(config, argc, argv, message);

	while (!rc && i < argc && is_option(argv[i])) {
		struct word word = split(argv, i, argc);

		rc = set_word(config, &word, message);
		i += word.used;
	}
	*rest = i;
	return rc;
}
