#include "tests/unit/fake_netctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool name_of(const char *cmd, const json_t *q, char *out, size_t cap)
{
	const char *plan = json_string_value(json_object_get(q, "plan"));
	snprintf(out, cap, "%s%s%s", cmd, plan ? ":" : "", plan ? plan : "");
	return strcmp(cmd, "status") != 0;
}

static int serve(struct fake_peer *p, const char *cmd, json_t *q, json_t **answer, enum ctl_code *code, struct err *err);

struct fake_netctl *fake_netctl_new(enum side host)
{
	struct fake_netctl *f = fake_peer_new(sizeof(*f));
	f->p.name = name_of;
	f->p.serve = serve;
	f->host = host;
	strcpy(f->topology, "segment");
	return f;
}

void fake_netctl_free(struct fake_netctl *f)
{
	fake_peer_free(f, sizeof(*f));
}

struct fake_plan *fake_plan(struct fake_netctl *f, const char *name)
{
	for (int i = 0; i < f->n; i++) {
		if (strcmp(f->plans[i].name, name) == 0)
			return &f->plans[i];
	}
	return NULL;
}

void fake_plan_put(struct fake_netctl *f, const char *name, const char *state)
{
	struct fake_plan *p = fake_plan(f, name);
	if (!p) {
		p = &f->plans[f->n++];
		memset(p, 0, sizeof(*p));
		snprintf(p->name, sizeof(p->name), "%s", name);
	}
	snprintf(p->state, sizeof(p->state), "%s", state);
}

void fake_plan_drop(struct fake_netctl *f, const char *name)
{
	struct fake_plan *p = fake_plan(f, name);
	if (p)
		memmove(p, p + 1, (char *)&f->plans[f->n--] - (char *)(p + 1));
}

/* The plan of the other host that goes with this one. */
static const char *others(const char *name)
{
	return strcmp(name, "takeover") == 0 ? "give" : strcmp(name, "return") == 0 ? "yield" : NULL;
}

static int apply(struct fake_netctl *f, const char *name, json_t *q, json_t **answer, enum ctl_code *code, struct err *err)
{
	struct fake_plan *p = fake_plan(f, name);
	json_t *confirm = json_object_get(q, "confirm"), *a;
	size_t i;
	if (p && strcmp(p->state, "confirmed") != 0)
		return fake_no(code, CTL_REFUSED, err, "it is pending: confirm or revert it first");
	f->without_peer = json_is_true(json_object_get(q, "without-peer"));
	f->confirm = confirm ? (int)json_integer_value(confirm) : -1;
	if (strcmp(name, "intercept") == 0) {
		f->moved[0] = '\0';
		json_array_foreach (json_object_get(q, "moved"), i, a)
			snprintf(f->moved + strlen(f->moved), sizeof(f->moved) - strlen(f->moved), "%s ", json_string_value(a));
	}
	if (p) {
		*answer = json_pack("{s:b}", "already", 1);
		return 0;
	}
	fake_plan_put(f, name, f->confirm == 0 ? "confirmed" : "pending");
	snprintf(fake_plan(f, name)->drift, sizeof(f->drift), "%s", f->drift);
	if (others(name) && !f->without_peer && f->peer && !f->peer->p.away)
		fake_plan_put(f->peer, others(name), "pending");
	return 0;
}

static json_t *status(struct fake_netctl *f)
{
	json_t *plans = json_array(), *ours = json_array();
	for (int i = 0; i < f->n; i++) {
		const struct fake_plan *p = &f->plans[i];
		json_t *o = json_pack("{s:s, s:s, s:s, s:[]}", "plan", p->name, "state", p->state, "by", "uid 0 pid 1", "drift");
		if (*p->drift)
			json_array_append_new(json_object_get(o, "drift"), json_string(p->drift));
		if (*p->next)
			json_object_set_new(o, "next", json_string(p->next));
		if (strcmp(p->state, "pending") == 0)
			json_object_set_new(o, "reverts-in", json_integer(20));
		json_array_append_new(plans, o);
		json_array_append_new(ours, json_pack("{s:s}", "text", p->name));
	}
	if (*f->ours)
		json_array_append_new(ours, json_pack("{s:s}", "text", f->ours));
	return json_pack("{s:s, s:o, s:o, s:i}", "topology", f->topology, "plans", plans, "ours", ours, "past-the-proxy", f->old);
}

static int serve(struct fake_peer *p, const char *cmd, json_t *q, json_t **answer, enum ctl_code *code, struct err *err)
{
	struct fake_netctl *f = (struct fake_netctl *)(void *)p;
	const char *name = json_string_value(json_object_get(q, "plan"));
	if (strcmp(cmd, "apply") == 0)
		return apply(f, name, q, answer, code, err);
	if (strcmp(cmd, "status") == 0) {
		*answer = status(f);
	} else if (strcmp(cmd, "confirm") == 0) {
		if (!fake_plan(f, name))
			return fake_no(code, CTL_REFUSED, err, "it is not in force");
		fake_plan_put(f, name, "confirmed");
		if (others(name) && f->peer && fake_plan(f->peer, others(name)))
			fake_plan_put(f->peer, others(name), "confirmed");
	} else if (strcmp(cmd, "revert") == 0 || strcmp(cmd, "settle") == 0) {
		fake_plan_drop(f, name);
		if (others(name) && f->peer && strcmp(cmd, "revert") == 0)
			fake_plan_drop(f->peer, others(name));
	} else if (strcmp(cmd, "reset-old") == 0) {
		*answer = json_pack("{s:i}", "reset", f->old);
		f->old = 0;
	} else {
		return fake_no(code, CTL_USAGE, err, "there is no such command");
	}
	return 0;
}

struct netctllink *fake_netctl_link(struct fake_netctl *f)
{
	struct netctllink *l;
	if (netctllink_with(&l, f->host, "fake", &fake_peer_ops, f) < 0)
		abort();
	l->patience_ms = 0;
	return l;
}
