/* SPDX-License-Identifier: MIT */
/*
 * Configuration files: a JSON object whose keys are the long options. Reading one does what
 * giving these options would do, and a mistake names the file, the line and the key.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

/* No configuration is this large; a device file that never ends is not one. */
#define FILE_MAX (1 << 20)

static int read_text(const char *path, char **text, size_t *len, char *message)
{
	FILE *file = fopen(path, "re");
	int error = 0;

	if (!file) {
		snprintf(message, KS_MESSAGE_MAX, "option --config: %.300s: %s", path,
			 strerror(errno));
		return -EINVAL;
	}
	*text = malloc(FILE_MAX + 1);
	if (*text) {
		*len = fread(*text, 1, FILE_MAX + 1, file);
		error = ferror(file) ? errno : (*len > FILE_MAX ? EFBIG : 0);
	} else {
		error = ENOMEM;
	}
	fclose(file);
	if (!error)
		return 0;
	free(*text);
	snprintf(message, KS_MESSAGE_MAX, "option --config: %.300s: %s", path, strerror(error));
	return -EINVAL;
}

/* True if the string literal [@start, @end) of valid JSON, quotes included, says @key. */
static bool literal_is(const char *start, const char *end, const char *key)
{
	json_t *value = json_loadb(start, (size_t)(end - start), JSON_DECODE_ANY, NULL);
	bool same = value && !strcmp(json_string_value(value), key);

	json_decref(value);
	return same;
}

static const char *string_end(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

/* The line of the first key @key of the object in @text, which is valid JSON. */
static int key_line(const char *text, size_t len, const char *key)
{
	const char *p = text, *end = text + len;
	int line = 1, depth = 0;
	bool is_key = true;

	while (p < end) {
		const char *next = p + 1;

		if (*p == '"') {
			next = string_end(p, end);
			if (depth == 1 && is_key && literal_is(p, next, key))
				return line;
			is_key = false;
		} else if (*p == '{' || *p == '[') {
			depth++;
		} else if (*p == '}' || *p == ']') {
			depth--;
		} else if (*p == ',') {
			is_key = true;
		} else if (*p == '\n') {
			line++;
		}
		p = next;
	}
	return line;
}

static const char *expectation(const struct ks_option *option)
{
	switch (option->kind) {
	case KS_FLAG:
		return "true or false";
	case KS_NUMBER:
		return "a whole number";
	case KS_SECONDS:
		return "a number of seconds";
	case KS_TEXT:
		return "a string";
	case KS_LIST:
		return "a list of strings";
	case KS_GRANT:
		return "true, false or a list of strings";
	case KS_OUTPUT:
		return "true, false or a file's name";
	case KS_ACTION:
	case KS_FILE:
		break;
	}
	return "nothing: it is for the command line only";
}

static int unexpected(const struct ks_option *option, char *what)
{
	snprintf(what, KS_MESSAGE_MAX, "expected %s", expectation(option));
	return -EINVAL;
}

static int set_array(struct ks_config *config, const struct ks_option *option, const json_t *value,
		     char *what)
{
	void *field = ks_field(config, option);
	struct ks_list *list = option->kind == KS_GRANT ? &((struct ks_grant *)field)->list : field;
	size_t i;
	json_t *item;

	json_array_foreach(value, i, item)
	{
		int rc = 0;

		if (!json_is_string(item) || !json_string_length(item))
			return unexpected(option, what);
		/* An item of a file is one item, whatever characters it has. */
		if (option->kind == KS_GRANT)
			rc = ks_list_add(list, json_string_value(item));
		else
			rc = ks_option_set(config, option, json_string_value(item), what);
		if (rc)
			return rc;
	}
	return 0;
}

static int set_scalar(struct ks_config *config, const struct ks_option *option, const json_t *value,
		      char *what)
{
	char text[64];

	if (json_is_string(value) && (option->kind == KS_TEXT || option->kind == KS_OUTPUT))
		return ks_option_set(config, option, json_string_value(value), what);
	if (json_is_integer(value))
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value) && option->kind == KS_SECONDS)
		snprintf(text, sizeof(text), "%.3f", json_real_value(value));
	else
		return unexpected(option, what);
	if (option->kind != KS_NUMBER && option->kind != KS_SECONDS)
		return unexpected(option, what);
	return ks_option_set(config, option, text, what);
}

static int set_value(struct ks_config *config, const struct ks_option *option, const json_t *value,
		     char *what)
{
	bool switchable =
		option->kind == KS_FLAG || option->kind == KS_GRANT || option->kind == KS_OUTPUT;

	if (option->kind == KS_ACTION || option->kind == KS_FILE)
		return unexpected(option, what);
	if (json_is_boolean(value) && switchable)
		return json_is_true(value) ? ks_option_set(config, option, NULL, what) : 0;
	if (json_is_array(value) && (option->kind == KS_LIST || option->kind == KS_GRANT))
		return set_array(config, option, value, what);
	return set_scalar(config, option, value, what);
}

static int set_key(struct ks_config *config, const char *key, const json_t *value, char *what)
{
	const struct ks_option *option = ks_option_find(key, strlen(key));

	if (!option) {
		snprintf(what, KS_MESSAGE_MAX, "unknown key");
		return -EINVAL;
	}
	return set_value(config, option, value, what);
}

static int set_all(struct ks_config *config, const char *path, const char *text, size_t len,
		   json_t *root, char *message)
{
	char what[KS_MESSAGE_MAX] = "out of memory";
	const char *key;
	json_t *value;

	json_object_foreach(root, key, value)
	{
		int rc = set_key(config, key, value, what);

		if (rc) {
			snprintf(message, KS_MESSAGE_MAX, "%.150s:%d: %.100s: %.200s", path,
				 key_line(text, len, key), key, what);
			return rc;
		}
	}
	return 0;
}

int ks_config_read(struct ks_config *config, const char *path, char message[KS_MESSAGE_MAX])
{
	json_error_t error;
	json_t *root;
	char *text;
	size_t len;
	int rc;

	rc = read_text(path, &text, &len, message);
	if (rc)
		return rc;
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!root) {
		snprintf(message, KS_MESSAGE_MAX, "%.150s:%d: %.200s", path, error.line,
			 error.text);
		rc = -EINVAL;
	} else if (!json_is_object(root)) {
		snprintf(message, KS_MESSAGE_MAX, "%.150s:1: expected an object: {\"key\": value}",
			 path);
		rc = -EINVAL;
	} else {
		rc = set_all(config, path, text, len, root, message);
	}
	json_decref(root);
	free(text);
	return rc;
}

static json_t *list_json(const struct ks_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(array,
				      json_stringn_nocheck(list->items[i], strlen(list->items[i])));
	return array;
}

static json_t *value_json(const struct ks_option *option, const void *field)
{
	const struct ks_grant *grant = field;
	const struct ks_output *output = field;

	switch (option->kind) {
	case KS_FLAG:
		return json_boolean(*(const bool *)field);
	case KS_NUMBER:
		return json_integer((json_int_t) * (const uint64_t *)field);
	case KS_SECONDS:
		return json_real((double)*(const uint64_t *)field / 1000);
	case KS_TEXT:
		return *(char *const *)field ? json_string_nocheck(*(char *const *)field) : NULL;
	case KS_LIST:
		return list_json(field);
	case KS_GRANT:
		return grant->all || !grant->list.n ? json_boolean(grant->all)
						    : list_json(&grant->list);
	case KS_OUTPUT:
		return output->file ? json_string_nocheck(output->file) : json_boolean(output->on);
	case KS_ACTION:
	case KS_FILE:
		break;
	}
	return NULL;
}

int ks_config_print(const struct ks_config *config, FILE *out)
{
	json_t *root = json_object();
	int rc;

	for (size_t i = 0; i < ks_n_options; i++) {
		const struct ks_option *option = &ks_options[i];
		json_t *value = value_json(option, (const char *)config + option->offset);

		if (value)
			json_object_set_new_nocheck(root, option->name, value);
	}
	rc = json_dumpf(root, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
	json_decref(root);
	return rc || fputc('\n', out) == EOF ? -ENOMEM : 0;
}
