#include "tests/unit/fake_proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool name_of(const char *cmd, const json_t *q, char *out, size_t cap)
{
	(void)q;
	snprintf(out, cap, "%s", cmd);
	return strcmp(cmd, "hello") != 0 && strcmp(cmd, "list") != 0 && strcmp(cmd, "account") != 0;
}

static int serve(struct fake_peer *p, const char *cmd, json_t *q, json_t **answer, enum ctl_code *code, struct err *err);

struct fake_proxy *fake_new(void)
{
	struct fake_proxy *f = fake_peer_new(sizeof(*f));
	f->p.name = name_of;
	f->p.serve = serve;
	strcpy(f->table, "ok");
	return f;
}

void fake_free(struct fake_proxy *f)
{
	fake_peer_free(f, sizeof(*f));
}

static struct fake_account *find(struct fake_account *a, int n, const char *name)
{
	for (int i = 0; i < n; i++) {
		if (strcmp(a[i].name, name) == 0)
			return &a[i];
	}
	return NULL;
}

struct fake_account *fake_account(struct fake_proxy *f, const char *name)
{
	return find(f->accounts, f->n, name);
}

struct fake_account *fake_add(struct fake_proxy *f, const char *name, enum side side)
{
	struct fake_account *a = &f->accounts[f->n++];
	*a = (struct fake_account){.side = side};
	snprintf(a->name, sizeof(a->name), "%s", name);
	return a;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct fake_account *)a)->name, ((const struct fake_account *)b)->name);
}

static json_t *state(const struct fake_account *a)
{
	return json_pack("{s:s, s:s, s:s, s:s*}", "name", a->name, "side", side_name(a->side), "gate", gate_name(a->gate), "digest",
			 *a->digest ? a->digest : NULL);
}

static int refused(struct err *err, const char *why)
{
	return err_set(err, -EPROTO, "%s", why);
}

/* One account as told by the controller; a known one keeps its state while the table is good. */
static void stage(struct fake_proxy *f, struct fake_account *to, const json_t *o)
{
	const char *side = json_string_value(json_object_get(o, "side")), *gate = json_string_value(json_object_get(o, "gate"));
	struct fake_account *known = fake_account(f, json_string_value(json_object_get(o, "name")));
	memset(to, 0, sizeof(*to));
	snprintf(to->name, sizeof(to->name), "%s", json_string_value(json_object_get(o, "name")));
	struct acctdef d;
	struct err err;
	if (known && strcmp(f->table, "ok") == 0)
		*to = *known;
	if (acctdef_from_json(&d, o, &err) == 0) {
		acctdef_digest(&d, to->digest);
		acctdef_done(&d);
	}
	if (known && strcmp(f->table, "ok") == 0)
		return;
	if (side)
		side_parse(&to->side, side);
	if (gate)
		gate_parse(&to->gate, gate);
}

static int set_command(struct fake_proxy *f, const char *cmd, json_t *q, struct err *err)
{
	size_t i;
	json_t *o;
	if (strcmp(cmd, "import-begin") == 0) {
		f->n_staged = 0;
	} else if (strcmp(cmd, "import-add") == 0) {
		json_array_foreach (json_object_get(q, "accounts"), i, o)
			stage(f, &f->staged[f->n_staged++], o);
	} else if (strcmp(cmd, "import-commit") == 0) {
		for (int k = 0; k < f->n; k++) {
			if (f->accounts[k].gate != GATE_OPEN && !find(f->staged, f->n_staged, f->accounts[k].name))
				return refused(err, "it would vanish while it is held");
		}
		memcpy(f->accounts, f->staged, sizeof(f->staged));
		f->n = f->n_staged;
		qsort(f->accounts, (size_t)f->n, sizeof(*f->accounts), by_name);
		strcpy(f->table, "ok");
	} else if (strcmp(cmd, "account-put") == 0) {
		o = json_object_get(q, "account");
		struct fake_account *a = fake_account(f, json_string_value(json_object_get(o, "name")));
		stage(f, a ? a : &f->accounts[f->n++], o);
		qsort(f->accounts, (size_t)f->n, sizeof(*f->accounts), by_name);
	} else {
		return 1;
	}
	return 0;
}

static int move_command(struct fake_proxy *f, const char *cmd, const json_t *q, struct fake_account *a, json_t **answer, struct err *err)
{
	const char *side = json_string_value(json_object_get(q, "side"));
	if (strcmp(cmd, "hold") == 0) {
		if (a->gate == GATE_OPEN) {
			a->gate = GATE_HELD;
			a->drained = false;
		}
	} else if (strcmp(cmd, "drain") == 0) {
		if (a->gate == GATE_OPEN)
			return refused(err, "it is not held");
		a->drained = true;
	} else if (strcmp(cmd, "fence") == 0) {
		if (a->gate != GATE_FENCED && !a->drained)
			return refused(err, "it is not drained");
		a->gate = GATE_FENCED;
	} else if (strcmp(cmd, "switch") == 0) {
		enum side to;
		if (!side || !side_parse(&to, side))
			return refused(err, "to which side?");
		if (a->gate != GATE_FENCED && a->side != to)
			return refused(err, "it is not fenced");
		a->side = to;
	} else if (strcmp(cmd, "release") == 0) {
		a->gate = GATE_OPEN;
		a->drained = false;
	} else if (strcmp(cmd, "account-remove") == 0) {
		if (a->gate != GATE_OPEN)
			return refused(err, "it is held");
		*a = f->accounts[--f->n];
		qsort(f->accounts, (size_t)f->n, sizeof(*f->accounts), by_name);
		return 0;
	}
	*answer = state(a);
	if (strcmp(cmd, "fence") == 0)
		json_object_set_new(*answer, "evidence", json_pack("{s:b}", "failed-open", f->failed_open));
	if (strcmp(cmd, "account") == 0)
		*answer = json_pack("{s:o, s:o*}", "account", *answer, "since-switch",
				    f->since_switch ? json_loads(f->since_switch, JSON_DECODE_ANY, NULL) : NULL);
	return 0;
}

static int serve(struct fake_peer *p, const char *cmd, json_t *q, json_t **answer, enum ctl_code *code, struct err *err)
{
	struct fake_proxy *f = (struct fake_proxy *)(void *)p;
	const char *name = json_string_value(json_object_get(q, "name"));
	*code = CTL_REFUSED;
	for (int i = 0; strcmp(f->open_at, cmd) == 0 && i < f->n; i++) {
		f->accounts[i].gate = GATE_OPEN;
		f->accounts[i].drained = false;
	}
	if (strcmp(cmd, "hello") == 0) {
		*answer = json_pack("{s:s, s:i, s:s}", "program", "shunt-proxy", "pid", 1, "table", f->table);
		return 0;
	}
	if (strcmp(cmd, "list") == 0) {
		json_t *list = json_array();
		for (int i = 0; i < f->n; i++)
			json_array_append_new(list, state(&f->accounts[i]));
		*answer = json_pack("{s:o, s:n}", "accounts", list, "next");
		return 0;
	}
	int rc = set_command(f, cmd, q, err);
	if (rc <= 0)
		return rc;
	struct fake_account *a = name ? fake_account(f, name) : NULL;
	return a ? move_command(f, cmd, q, a, answer, err) : refused(err, "there is no such account");
}

struct proxylink *fake_link(struct fake_proxy *f)
{
	struct proxylink *l;
	if (proxylink_with(&l, "fake", &fake_peer_ops, f) < 0)
		abort();
	l->patience_ms = 100;
	return l;
}
