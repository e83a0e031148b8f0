#include "tests/unit/fake_dnsupdate.h"

#include "lib/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool name_of(const char *cmd, const json_t *q, char *out, size_t cap)
{
	const json_t *a = json_object_get(q, "account");
	snprintf(out, cap, "%s:%.20s", cmd, json_is_string(a) ? json_string_value(a) : member_text(a, "name"));
	return strcmp(cmd, "status") != 0 && strcmp(cmd, "classify") != 0;
}

static int serve(struct fake_peer *p, const char *cmd, json_t *q, json_t **answer, enum ctl_code *code, struct err *err);

struct fake_dnsupdate *fake_dnsupdate_new(void)
{
	struct fake_dnsupdate *f = fake_peer_new(sizeof(*f));
	f->p.name = name_of;
	f->p.serve = serve;
	return f;
}

void fake_dnsupdate_free(struct fake_dnsupdate *f)
{
	fake_peer_free(f, sizeof(*f));
}

struct fake_zone *fake_zone(struct fake_dnsupdate *f, const char *account)
{
	for (int i = 0; i < f->n; i++) {
		if (strcmp(f->zones[i].account, account) == 0)
			return &f->zones[i];
	}
	struct fake_zone *z = &f->zones[f->n++];
	snprintf(z->account, sizeof(z->account), "%s", account);
	return z;
}

static json_t *drift(const struct fake_dnsupdate *f)
{
	if (!f->drift)
		return json_array();
	return json_pack("[{s:s, s:s, s:[s], s:[s], s:[s]}]", "owner", "www.alice.example.", "type", "A", "recorded", "192.0.2.10",
			 "expected", "198.51.100.10", "found", "203.0.113.9");
}

static json_t *zone(const struct fake_dnsupdate *f, const char *outcome, bool changes)
{
	json_t *z = json_pack("{s:s, s:s, s:s, s:s, s:[], s:o, s:[{s:s, s:s, s:i, s:i, s:i}]}", "zone", "alice.example.", "backend",
			      "192.0.2.53 (rfc2136)", "verdict", f->external ? "external" : "managed", "outcome", outcome, "changes",
			      "drift", drift(f), "servers", "name", "ns1.provider.example.", "address", "192.0.2.53", "seen", 1, "of", 1,
			      "after-ms", 400);
	for (int i = 0; i < 2 && changes; i++)
		json_array_append_new(json_object_get(z, "changes"),
				      json_pack("{s:s, s:s, s:i, s:i, s:[s], s:[s]}", "owner", i ? "www.alice.example." : "alice.example.",
						"type", "A", "ttl", 60, "new-ttl", 60, "old", "192.0.2.10", "new", "198.51.100.10"));
	return z;
}

/* plan, push, undo. */
static json_t *verb(struct fake_dnsupdate *f, bool plan, bool undo, const json_t *q)
{
	struct fake_zone *z = fake_zone(f, member_text(json_object_get(q, "account"), "name"));
	bool there = !undo && strcmp(member_text(q, "to"), "client") != 0;
	bool no = *f->no && !(plan && f->only_then), changes = z->pushed != there && !f->external && !no;
	snprintf(f->wish, sizeof(f->wish), "%s", undo ? "undo" : member_text(q, "to"));
	json_t *o = json_pack("{s:s, s:[], s:i, s:b, s:[], s:i}", "account", z->account, "zones", "changed", changes ? 2 : 0, "published",
			      !*f->lag, "lagging", "exit", no ? 1 : 0);
	if (!undo || z->pushed || no)
		json_array_append_new(json_object_get(o, "zones"), zone(f,
									no         ? "refused"
									: !changes ? "nothing"
									: plan     ? "would-change"
										   : "done",
									changes));
	if (no)
		json_object_set_new(o, "error", json_string(f->no));
	if (*f->lag)
		json_array_append_new(json_object_get(o, "lagging"), json_string(f->lag));
	if (changes && !plan)
		z->pushed = there;
	return o;
}

static json_t *classify(struct fake_dnsupdate *f, const json_t *account)
{
	json_t *list = json_array(), *d;
	size_t i;
	json_array_foreach (json_object_get(account, "domains"), i, d)
		json_array_append_new(list, json_pack("{s:O, s:O, s:s, s:s, s:[{s:s, s:s, s:s, s:s}]}", "domain", d, "zone", d, "verdict",
						      f->external ? "external" : "managed", "why", "the fake says so", "names", "name",
						      "www.alice.example.", "type", "A", "fate", "changes", "what",
						      "A 192.0.2.10 -> 198.51.100.10"));
	f->most = i > f->most ? i : f->most;
	return json_pack("{s:o, s:{}, s:i}", "domains", list, "counts", "exit", 0);
}

static json_t *status(struct fake_dnsupdate *f, const char *account)
{
	json_t *list = json_array();
	for (int i = 0; i < f->n; i++) {
		if (f->zones[i].pushed && (!*account || strcmp(account, f->zones[i].account) == 0))
			json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:b, s:i, s:o}", "account", f->zones[i].account, "zone",
							      "alice.example.", "state", "pushed", "side", "transit", "busy", 0, "records",
							      2, "lagging", *f->lag ? json_string(f->lag) : json_null()));
	}
	return json_pack("{s:o, s:i}", "entries", list, "exit", 0);
}

static int serve(struct fake_peer *p, const char *cmd, json_t *q, json_t **answer, enum ctl_code *code, struct err *err)
{
	struct fake_dnsupdate *f = (struct fake_dnsupdate *)(void *)p;
	json_t *account = json_object_get(q, "account"), *o;
	bool plan = strcmp(cmd, "plan") == 0;
	size_t i;
	f->others[0] = '\0';
	json_array_foreach (json_object_get(account, "others"), i, o)
		snprintf(f->others + strlen(f->others), sizeof(f->others) - strlen(f->others), "%.60s ", json_string_value(o));
	if (strcmp(cmd, "status") == 0) {
		*answer = status(f, json_is_string(account) ? json_string_value(account) : "");
		return 0;
	}
	if (!account || json_array_size(json_object_get(account, "domains")) == 0)
		return fake_no(code, CTL_USAGE, err, "of which account?");
	if (strcmp(cmd, "classify") == 0) {
		*answer = classify(f, account);
		return 0;
	}
	if (!plan)
		f->wait = (int)member_int(q, "wait");
	*answer = verb(f, plan, strcmp(cmd, "undo") == 0 || strcmp(member_text(q, "verb"), "undo") == 0, q);
	return 0;
}

struct dnslink *fake_dnsupdate_link(struct fake_dnsupdate *f)
{
	struct dnslink *l;
	if (dnslink_with(&l, "fake", &fake_peer_ops, f) < 0)
		abort();
	return l;
}
