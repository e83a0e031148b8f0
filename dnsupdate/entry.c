#include "dnsupdate/entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_VERSION 1

static const char *const verbs[] = {[VERB_PREPARE] = "prepare", [VERB_PUSH] = "push", [VERB_UNDO] = "undo", [VERB_FINALISE] = "finalise"};
static const char *const states[] = {[ENTRY_NEW] = "new",
				     [ENTRY_PREPARED] = "prepared",
				     [ENTRY_PUSHED] = "pushed",
				     [ENTRY_FINALISED] = "finalised",
				     [ENTRY_UNDONE] = "undone"};

const char *verb_text(enum verb v)
{
	return verbs[v];
}

const char *entry_state_text(enum entry_state s)
{
	return states[s];
}

static int index_of(const char *text, const char *const *names, size_t n)
{
	for (size_t i = 0; text && i < n; i++)
		if (strcmp(text, names[i]) == 0)
			return (int)i;
	return -1;
}

/* ---- marks: in order of owner and type, so that each is found in no time and none is there twice ---- */

static void mark_done(struct mark *m)
{
	rrset_done(&m->before);
	rrset_done(&m->after);
	rrset_done(&m->next);
	*m = (struct mark){0};
}

static size_t place_of(const struct entry *e, const char *owner, uint16_t type, bool *there)
{
	size_t low = 0, high = e->n;

	*there = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct rrset *s = &e->marks[mid].before;
		int c = name_compare(owner, s->owner);

		if (c == 0)
			c = (type > s->type) - (type < s->type);
		if (c == 0)
			*there = true;
		if (c <= 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

struct mark *entry_mark(struct entry *e, const char *owner, uint16_t type)
{
	bool there;
	size_t at = place_of(e, owner, type, &there);

	return there ? &e->marks[at] : NULL;
}

/* Takes m, also on failure. NULL: no memory, or there is one of that owner and type. */
static struct mark *insert(struct entry *e, struct mark *m)
{
	bool there;
	size_t at = place_of(e, m->before.owner, m->before.type, &there);
	struct mark *grown = there ? NULL : reallocarray(e->marks, e->n + 1, sizeof *grown);

	if (!grown) {
		mark_done(m);
		return NULL;
	}
	e->marks = grown;
	memmove(&grown[at + 1], &grown[at], (e->n - at) * sizeof *grown);
	grown[at] = *m;
	e->n++;
	return &grown[at];
}

struct mark *entry_add(struct entry *e, const struct rrset *found, const char *owner, uint16_t type)
{
	struct mark m = {0};
	int rc = found ? rrset_copy(&m.before, found) : rrset_init(&m.before, owner, type, 0);

	if (rc == 0)
		rc = rrset_copy(&m.after, &m.before);
	if (rc < 0) {
		mark_done(&m);
		return NULL;
	}
	return insert(e, &m);
}

/* ---- entries ---- */

int entry_init(struct entry *e, const char *account, const char *zone)
{
	*e = (struct entry){.account = strdup(account), .zone = strdup(zone)};
	if (e->account && e->zone)
		return 0;
	entry_done(e);
	return -ENOMEM;
}

void entry_done(struct entry *e)
{
	for (size_t i = 0; i < e->n; i++)
		mark_done(&e->marks[i]);
	free(e->marks);
	free(e->account);
	free(e->zone);
	free(e->backend);
	free(e->lagging);
	*e = (struct entry){0};
}

bool entry_pending(const struct entry *e)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->marks[i].pending)
			return true;
	return false;
}

static bool is_found(const struct rrset *found, const struct rrset *expected)
{
	return found ? rrset_equal(found, expected) : expected->n == 0;
}

size_t entry_settle(struct entry *e, const struct zone *z)
{
	size_t neither = 0;

	for (size_t i = 0; i < e->n; i++) {
		struct mark *m = &e->marks[i];
		const struct rrset *found = zone_find(z, m->before.owner, m->before.type);

		if (!m->pending)
			continue;
		if (is_found(found, &m->next)) {
			rrset_done(&m->after);
			m->after = m->next;
			m->next = (struct rrset){0};
		} else if (is_found(found, &m->after)) {
			rrset_done(&m->next);
		} else {
			neither++;
			continue;
		}
		m->pending = false;
	}
	return neither;
}

static bool is_half(const struct mark *m, const struct rrset *found)
{
	if (!found || is_found(found, &m->next) || is_found(found, &m->after))
		return false;
	if (!(m->after.n && found->ttl == m->after.ttl) && !(m->next.n && found->ttl == m->next.ttl))
		return false;
	for (size_t i = 0; i < found->n; i++)
		if (!rrset_has(&m->after, &found->values[i]) && !rrset_has(&m->next, &found->values[i]))
			return false;
	return true;
}

int entry_settle_halves(struct entry *e, const struct zone *z)
{
	for (size_t i = 0; i < e->n; i++) {
		struct mark *m = &e->marks[i];
		const struct rrset *found = zone_find(z, m->before.owner, m->before.type);
		struct rrset copy;

		if (!m->pending || !is_half(m, found))
			continue;
		if (rrset_copy(&copy, found) < 0)
			return -ENOMEM;
		rrset_done(&m->after);
		rrset_done(&m->next);
		m->after = copy;
		m->pending = false;
	}
	return 0;
}

void entry_compact(struct entry *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->n; i++) {
		struct mark *m = &e->marks[i];

		if (!m->pending && rrset_equal(&m->before, &m->after))
			mark_done(m);
		else
			e->marks[kept++] = *m;
	}
	e->n = kept;
}

/* ---- JSON ---- */

static json_t *mark_to_json(const struct mark *m)
{
	json_t *before = rrset_to_json(&m->before, true), *after = rrset_to_json(&m->after, true);
	json_t *o = json_pack("{s:o, s:o}", "before", before, "after", after); /* takes both, also on failure */

	if (o && m->pending && json_object_set_new(o, "next", rrset_to_json(&m->next, true)) < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

json_t *entry_to_json(const struct entry *e)
{
	json_t *marks = json_array(), *o;

	o = json_pack("{s:i, s:s, s:s, s:s*, s:s, s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:s*, s:o}", "v", ENTRY_VERSION, "account", e->account,
		      "zone", e->zone, "backend", e->backend, "state", states[e->state], "side", side_name(e->side), "busy", e->busy,
		      "doing", verbs[e->doing], "began-ms", (json_int_t)e->began_ms, "changed-ms", (json_int_t)e->changed_ms, "verified-ms",
		      (json_int_t)e->verified_ms, "clean-ms", (json_int_t)e->clean_ms, "lagging", e->lagging, "marks", marks);
	for (size_t i = 0; o && i < e->n; i++) {
		if (json_array_append_new(marks, mark_to_json(&e->marks[i])) < 0) {
			json_decref(o);
			o = NULL;
		}
	}
	return o;
}

static int read_rrset(struct rrset *out, const json_t *object, const char *which, const char *zone, struct err *err)
{
	int rc = rrset_from_json(out, json_object_get(object, which), err);

	if (rc < 0)
		return err_wrap(err, "%s", which);
	if (name_within(out->owner, zone))
		return 0;
	rc = err_set(err, -EINVAL, "%s: found %.200s, expected a name of %.200s", which, out->owner, zone);
	rrset_done(out);
	return rc;
}

static int check_mark(const struct mark *m, struct err *err)
{
	if (!rrset_is(&m->after, m->before.owner, m->before.type) || (m->pending && !rrset_is(&m->next, m->before.owner, m->before.type)))
		return err_set(err, -EINVAL, "found before, after and next of several names or types, expected those of one RRset");
	return 0;
}

static int read_mark(struct entry *e, const json_t *object, struct err *err)
{
	struct mark m = {.pending = json_object_get(object, "next") != NULL};
	bool there;
	int rc = read_rrset(&m.before, object, "before", e->zone, err);

	if (rc == 0)
		rc = read_rrset(&m.after, object, "after", e->zone, err);
	if (rc == 0 && m.pending)
		rc = read_rrset(&m.next, object, "next", e->zone, err);
	if (rc == 0)
		rc = check_mark(&m, err);
	if (rc < 0) {
		mark_done(&m);
		return rc;
	}
	place_of(e, m.before.owner, m.before.type, &there);
	if (there) {
		rc = err_set(err, -EINVAL, "found two marks of %.200s", m.before.owner);
		mark_done(&m);
		return rc;
	}
	return insert(e, &m) ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int read_time(int64_t *out, const json_t *object, const char *key, struct err *err)
{
	const json_t *v = json_object_get(object, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return err_set(err, -EINVAL, "%s: found no time, expected milliseconds since 1970", key);
	*out = json_integer_value(v);
	return 0;
}

static int read_text(char **out, const json_t *object, const char *key, struct err *err)
{
	const json_t *v = json_object_get(object, key);

	if (!v)
		return 0;
	if (!json_is_string(v))
		return err_set(err, -EINVAL, "%s: found no text", key);
	*out = strdup(json_string_value(v));
	return *out ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int read_head(struct entry *e, const json_t *object, struct err *err)
{
	const json_t *busy = json_object_get(object, "busy");
	int state = index_of(json_string_value(json_object_get(object, "state")), states, sizeof states / sizeof *states);
	int doing = index_of(json_string_value(json_object_get(object, "doing")), verbs, sizeof verbs / sizeof *verbs);
	const char *side = json_string_value(json_object_get(object, "side"));
	int rc;

	if (state < 0 || doing < 0 || !json_is_boolean(busy) || !side || !side_parse(&e->side, side))
		return err_set(err, -EINVAL, "found no entry, expected state, side, busy and doing");
	e->state = (enum entry_state)state;
	e->doing = (enum verb)doing;
	e->busy = json_is_true(busy);
	rc = read_text(&e->backend, object, "backend", err);
	if (rc == 0)
		rc = read_text(&e->lagging, object, "lagging", err);
	if (rc == 0)
		rc = read_time(&e->began_ms, object, "began-ms", err);
	if (rc == 0)
		rc = read_time(&e->changed_ms, object, "changed-ms", err);
	if (rc == 0)
		rc = read_time(&e->verified_ms, object, "verified-ms", err);
	return rc < 0 ? rc : read_time(&e->clean_ms, object, "clean-ms", err);
}

static int check_name(const char *account, const char *zone, struct err *err)
{
	size_t len = zone ? strlen(zone) : 0;

	if (!account || !account_name_ok(account))
		return err_set(err, -EINVAL, "account: found no name of an account");
	if (len == 0 || len >= RR_NAME_MAX || zone[len - 1] != '.')
		return err_set(err, -EINVAL, "zone: found no name with a final dot");
	return 0;
}

int entry_from_json(struct entry *out, const json_t *object, struct err *err)
{
	const char *account = json_string_value(json_object_get(object, "account")),
		   *zone = json_string_value(json_object_get(object, "zone"));
	const json_t *marks = json_object_get(object, "marks"), *v = json_object_get(object, "v"), *mark;
	size_t i;
	int rc;

	*out = (struct entry){0};
	if (!json_is_integer(v) || json_integer_value(v) != ENTRY_VERSION)
		return err_set(err, -EINVAL, "found another version than %d, of another shunt-dnsupdate", ENTRY_VERSION);
	rc = check_name(account, zone, err);
	if (rc == 0 && !json_is_array(marks))
		rc = err_set(err, -EINVAL, "found no entry, expected an array of marks");
	if (rc < 0)
		return rc;
	if (entry_init(out, account, zone) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	rc = read_head(out, object, err);
	json_array_foreach (marks, i, mark) {
		if (rc == 0 && (rc = read_mark(out, mark, err)) < 0)
			err_wrap(err, "marks[%zu]", i);
	}
	if (rc < 0)
		entry_done(out);
	return rc;
}
