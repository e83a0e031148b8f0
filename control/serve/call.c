#include "control/serve/call.h"

#include "lib/acctdef.h"

#include <errno.h>
#include <event2/keyvalq_struct.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* ---- the list of arguments ---- */

static int push(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int push(struct call *c, const char *fmt, ...)
{
	va_list ap;
	if (c->n + 1 >= c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 16;
		char **more = reallocarray(c->argv, cap, sizeof(*more));
		if (!more)
			return -ENOMEM;
		c->argv = more;
		c->cap = cap;
	}
	va_start(ap, fmt);
	int len = vasprintf(&c->argv[c->n], fmt, ap);
	va_end(ap);
	if (len < 0) {
		c->argv[c->n] = NULL;
		return -ENOMEM;
	}
	c->argv[++c->n] = NULL;
	return 0;
}

void call_done(struct call *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->argv[i]);
	free(c->argv);
	json_decref(c->accounts);
	*c = (struct call){0};
}

/* ---- one value ---- */

static int bad(const struct field *f, const char *expected, struct err *err)
{
	return err_set(err, -EINVAL, "%s: expected %s", f->name, expected);
}

static bool is_text(const json_t *v, bool list)
{
	const char *s = json_string_value(v);
	size_t len = json_string_length(v);
	if (!s || len == 0 || len > CALL_TEXT_MAX || strlen(s) != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f || (list && s[i] == ','))
			return false;
	}
	return true;
}

static bool is_number(const json_t *v, int64_t min, int64_t max)
{
	return json_is_integer(v) && json_integer_value(v) >= min && json_integer_value(v) <= max;
}

static int take_option(struct call *c, const struct field *f, const json_t *v, struct err *err)
{
	switch (f->kind) {
	case FIELD_FLAG:
	case FIELD_YES:
		if (!json_is_boolean(v))
			return bad(f, "true or false", err);
		if (f->kind == FIELD_FLAG && json_is_true(v))
			return push(c, "%s", f->option);
		return 0;
	case FIELD_SECONDS:
		if (!is_number(v, 0, 86400))
			return bad(f, "seconds from 0 to 86400", err);
		return push(c, "%s=%d", f->option, (int)json_integer_value(v));
	case FIELD_DAYS:
		if (!is_number(v, 1, 3650))
			return bad(f, "days from 1 to 3650", err);
		return push(c, "%s=%d", f->option, (int)json_integer_value(v));
	case FIELD_TEXT:
		return is_text(v, false) ? push(c, "%s=%s", f->option, json_string_value(v)) : bad(f, "a text", err);
	case FIELD_TEXTS:
		return is_text(v, true) ? push(c, "%s=%s", f->option, json_string_value(v)) : bad(f, "texts without commas", err);
	case FIELD_PORTS:
		return is_number(v, 1, 65535) ? push(c, "%s=%d", f->option, (int)json_integer_value(v))
					      : bad(f, "numbers from 1 to 65535", err);
	case FIELD_NUMBER:
	case FIELD_WORD:
	case FIELD_NAMES:
	case FIELD_ACCOUNTS:
		return 0; /* words */
	}
	return 0;
}

static int take_word(struct call *c, const struct field *f, const json_t *v, struct err *err)
{
	switch (f->kind) {
	case FIELD_NUMBER:
		if (!is_number(v, 1, (int64_t)1 << 53))
			return bad(f, "a whole number from 1", err);
		return push(c, "%" PRId64, (int64_t)json_integer_value(v));
	case FIELD_WORD:
		return is_text(v, false) ? push(c, "%s", json_string_value(v)) : bad(f, "a text", err);
	case FIELD_NAMES:
		if (!json_is_string(v) || !account_name_ok(json_string_value(v)))
			return bad(f, "names of accounts", err);
		return push(c, "%s", json_string_value(v));
	case FIELD_FLAG:
	case FIELD_YES:
	case FIELD_SECONDS:
	case FIELD_DAYS:
	case FIELD_TEXT:
	case FIELD_TEXTS:
	case FIELD_PORTS:
	case FIELD_ACCOUNTS:
		return 0;
	}
	return 0;
}

static bool is_list(enum field_kind k)
{
	return k == FIELD_TEXTS || k == FIELD_PORTS || k == FIELD_NAMES;
}

typedef int take_fn(struct call *c, const struct field *f, const json_t *v, struct err *err);

static int take(struct call *c, const struct field *f, const json_t *v, take_fn *fn, struct err *err)
{
	json_t *item;
	size_t i;
	if (!is_list(f->kind))
		return fn(c, f, v, err);
	if (!json_is_array(v) || json_array_size(v) > CALL_LIST_MAX)
		return bad(f, "a list", err);
	json_array_foreach (v, i, item) {
		int rc = fn(c, f, item, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- all of them ---- */

static const struct field *field_of(const struct route *r, const char *name)
{
	for (const struct field *f = r->fields; f->name; f++) {
		if (strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

static int check_names(const struct route *r, const json_t *fields, bool owner, struct err *err)
{
	const char *name;
	json_t *v;
	json_object_foreach ((json_t *)fields, name, v) {
		const struct field *f = field_of(r, name);
		if (!f)
			return err_set(err, -EINVAL, "there is no field \"%.60s\" here", name);
		if (owner && !f->owner && !json_is_false(v))
			return err_set(err, -EACCES, "%s is for operators of the server", name);
	}
	for (const struct field *f = r->fields; f->name; f++) {
		if (f->required && !json_object_get(fields, f->name))
			return err_set(err, -EINVAL, "the field \"%s\" is missing: %s", f->name, f->help);
	}
	return 0;
}

static int take_all(struct call *c, const struct route *r, const json_t *fields, take_fn *fn, struct err *err)
{
	int rc = 0;
	for (const struct field *f = r->fields; rc == 0 && f->name; f++) {
		const json_t *v = json_object_get(fields, f->name);
		if (v)
			rc = take(c, f, v, fn, err);
	}
	return rc;
}

static int take_accounts(struct call *c, const struct route *r, const json_t *fields, struct err *err)
{
	for (const struct field *f = r->fields; f->name; f++) {
		json_t *v = json_object_get(fields, f->name);
		if (f->kind != FIELD_ACCOUNTS || !v)
			continue;
		if (!json_is_array(v))
			return bad(f, "a list of accounts", err);
		c->accounts = json_incref(v);
		return push(c, CALL_FILE_WORD);
	}
	return 0;
}

int call_build(struct call *c, const struct route *r, const char *arg, const json_t *fields, bool owner, struct err *err)
{
	*c = (struct call){0};
	int rc = check_names(r, fields, owner, err);
	if (rc == 0)
		rc = take_all(c, r, fields, take_option, err);
	c->yes = json_is_true(json_object_get(fields, "yes"));
	c->force = json_is_true(json_object_get(fields, "force"));
	c->all = json_is_true(json_object_get(fields, "all"));
	c->dry_run = json_is_true(json_object_get(fields, "dry_run"));
	if (rc == 0)
		rc = push(c, "--");
	if (rc == 0 && r->account_word)
		rc = push(c, "%s", arg);
	if (rc == 0)
		rc = take_all(c, r, fields, take_word, err);
	if (rc == 0)
		rc = take_accounts(c, r, fields, err);
	return rc == -ENOMEM ? err_set(err, rc, "out of memory") : rc;
}

bool call_wants_consent(const struct call *c, const struct route *r)
{
	return !c->yes && !c->dry_run && (r->consent || c->force || c->all);
}

/* ---- a query ---- */

static json_t *value_of(const struct field *f, const char *text)
{
	char *end;
	bool number = f->kind == FIELD_SECONDS || f->kind == FIELD_DAYS || f->kind == FIELD_NUMBER || f->kind == FIELD_PORTS;
	if (number) {
		errno = 0;
		long long v = strtoll(text, &end, 10);
		if (*text && !*end && !errno && *text >= '0' && *text <= '9')
			return json_integer(v);
	}
	if ((f->kind == FIELD_FLAG || f->kind == FIELD_YES) && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		return json_boolean(text[0] == 't');
	return json_string(text); /* of the wrong kind is found where all are checked; NULL: not UTF-8 */
}

static int add_pair(json_t *o, const struct route *r, const char *name, const char *text, struct err *err)
{
	const struct field *f = field_of(r, name);
	if (!f)
		return err_set(err, -EINVAL, "there is no field \"%.60s\" here", name);
	json_t *v = value_of(f, text), *list = json_object_get(o, name);
	if (!v)
		return err_set(err, -EINVAL, "%s: expected UTF-8 text", name);
	if (!is_list(f->kind)) {
		if (!list)
			return json_object_set_new(o, name, v);
		json_decref(v);
		return err_set(err, -EINVAL, "%s is given twice", name);
	}
	if (!list)
		json_object_set_new(o, name, list = json_array());
	return json_array_append_new(list, v);
}

json_t *call_query(const struct route *r, const char *query, struct err *err)
{
	struct evkeyvalq pairs;
	struct evkeyval *p;
	json_t *o = json_object();
	int rc = 0;
	if (!query || !*query)
		return o;
	if (evhttp_parse_query_str(query, &pairs) < 0) {
		json_decref(o);
		err_set(err, -EINVAL, "the query is none");
		return NULL;
	}
	TAILQ_FOREACH(p, &pairs, next)
	{
		json_t *name = json_string(p->key);
		rc = rc ? rc : !name ? err_set(err, -EINVAL, "the query is not UTF-8") : add_pair(o, r, p->key, p->value, err);
		json_decref(name);
	}
	evhttp_clear_headers(&pairs);
	if (rc < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}
