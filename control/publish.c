#include "control/publish.h"

#include "control/homeward.h"
#include "lib/member.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- answers of shunt-dnsupdate ---- */

const json_t *publish_drift(const json_t *answer)
{
	size_t i;
	json_t *z;
	json_array_foreach (json_object_get(answer, "zones"), i, z) {
		const json_t *d = json_array_get(json_object_get(z, "drift"), 0);
		if (d)
			return d;
	}
	return NULL;
}

static void values_text(const json_t *d, const char *key, char *out, size_t cap)
{
	size_t i, at = 0;
	json_t *v;
	snprintf(out, cap, "nothing");
	json_array_foreach (json_object_get(d, key), i, v) {
		int n = snprintf(out + at, cap - at, "%s%s", i ? ", " : "", json_string_value(v) ? json_string_value(v) : "?");
		at = (size_t)n < cap - at ? at + (size_t)n : cap - 1;
	}
}

/* Three ways: what was there at first, what we left there, what is there now. */
static void add_drift(const json_t *answer, char *why, size_t cap)
{
	char recorded[80], expected[80], found[80];
	const json_t *d = publish_drift(answer);
	size_t len = strlen(why);
	if (!d || len + 1 >= cap)
		return;
	values_text(d, "recorded", recorded, sizeof(recorded));
	values_text(d, "expected", expected, sizeof(expected));
	values_text(d, "found", found, sizeof(found));
	snprintf(why + len, cap - len, " (%.80s %.10s: recorded %s; expected %s; found %s)", member_text(d, "owner"),
		 member_text(d, "type"), recorded, expected, found);
}

static json_int_t longest_ttl(const json_t *answer)
{
	json_int_t ttl = 0;
	size_t i, k;
	json_t *z, *c;
	json_array_foreach (json_object_get(answer, "zones"), i, z) {
		json_array_foreach (json_object_get(z, "changes"), k, c) {
			json_int_t t = member_int(c, "ttl");
			ttl = t > ttl ? t : ttl;
		}
	}
	return ttl;
}

/* For the journal: record sets are counted there, shunt-dnsupdate's own journal has them. */
static json_t *zone_evidence(const json_t *z)
{
	static const char *const kept[] = {"zone", "verdict", "why", "outcome", "error", "drift", "notes"};
	json_t *o = json_object(), *servers = json_array(), *s;
	size_t i;
	for (i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		json_t *v = json_object_get(z, kept[i]);
		if (v && !(json_is_array(v) && json_array_size(v) == 0) && !json_is_null(v))
			json_object_set(o, kept[i], v);
	}
	json_object_set_new(o, "changes", json_integer((json_int_t)json_array_size(json_object_get(z, "changes"))));
	json_array_foreach (json_object_get(z, "servers"), i, s)
		json_array_append_new(servers, json_pack("{s:O*, s:O*, s:O*, s:O*}", "name", json_object_get(s, "name"), "address",
							 json_object_get(s, "address"), "after-ms", json_object_get(s, "after-ms"),
							 "trouble", json_object_get(s, "trouble")));
	json_object_set_new(o, "servers", servers);
	return o;
}

json_t *publish_evidence(const json_t *answer, const char *did)
{
	static const char *const kept[] = {"changed", "published", "lagging", "clean-at"};
	json_t *o = json_pack("{s:s, s:[]}", "did", did, "zones"), *z;
	size_t i;
	json_array_foreach (json_object_get(answer, "zones"), i, z)
		json_array_append_new(json_object_get(o, "zones"), zone_evidence(z));
	for (i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		json_t *v = json_object_get(answer, kept[i]);
		if (v)
			json_object_set(o, kept[i], v);
	}
	json_object_set_new(o, "ttl", json_integer(longest_ttl(answer)));
	return o;
}

json_int_t publish_ttl(const json_t *evidence)
{
	bool changed = member_int(evidence, "changed") > 0;
	return changed ? member_int(evidence, "ttl") : 0;
}

/* ---- in words ---- */

struct count {
	json_int_t sets;
	size_t zones, external, beyond; /* beyond: neither managed nor external, and not to be switched */
	double seconds;                 /* until the last server showed it */
	char servers[120];              /* the first few */
	size_t n_servers;
};

static void count_servers(struct count *c, const json_t *zone)
{
	size_t i;
	json_t *s;
	json_array_foreach (json_object_get(zone, "servers"), i, s) {
		const char *name = member_text(s, "name");
		double after = member_real(s, "after-ms") / 1000;
		size_t len = strlen(c->servers);
		c->seconds = after > c->seconds ? after : c->seconds;
		if (!*name || strstr(c->servers, name))
			continue;
		if (c->n_servers++ < 3)
			snprintf(c->servers + len, sizeof(c->servers) - len, "%s%s", len ? ", " : "", name);
		else if (c->n_servers == 4)
			snprintf(c->servers + len, sizeof(c->servers) - len, ", ..");
	}
}

/* Of an answer, where changes is an array, and of evidence, where it is a number. */
static void count_zones(const json_t *o, struct count *c)
{
	size_t i;
	json_t *z;
	*c = (struct count){0};
	json_array_foreach (json_object_get(o, "zones"), i, z) {
		const json_t *changes = json_object_get(z, "changes");
		json_int_t n = json_is_array(changes) ? (json_int_t)json_array_size(changes) : json_integer_value(changes);
		const char *verdict = member_text(z, "verdict");
		c->sets += n;
		c->zones += n > 0;
		if (strcmp(verdict, "external") == 0)
			c->external++;
		else if (*verdict && n == 0 && strcmp(verdict, "managed") != 0 && strcmp(verdict, "mixed") != 0)
			c->beyond++;
		if (n > 0)
			count_servers(c, z);
	}
}

static const char *s_of(size_t n)
{
	return n == 1 ? "" : "s";
}

void publish_text(const json_t *evidence, char *out, size_t cap)
{
	const char *nothing = json_string_value(json_object_get(evidence, "nothing")), *did = member_text(evidence, "did");
	const char *lag = json_string_value(json_array_get(json_object_get(evidence, "lagging"), 0));
	size_t lagging = json_array_size(json_object_get(evidence, "lagging"));
	struct count c;
	count_zones(evidence, &c);
	if (nothing)
		snprintf(out, cap, "none (%s)", nothing);
	else if (c.sets == 0 && c.external + c.beyond > 0)
		snprintf(out, cap, "none (external)");
	else if (c.sets == 0)
		snprintf(out, cap, "%s, nothing was to be changed", did);
	else if (lag && lagging > 1)
		snprintf(out, cap, "%s (%lld record set%s, %zu zone%s), but %.300s, and %zu more", did, (long long)c.sets,
			 s_of((size_t)c.sets), c.zones, s_of(c.zones), lag, lagging - 1);
	else if (lag)
		snprintf(out, cap, "%s (%lld record set%s, %zu zone%s), but %.300s", did, (long long)c.sets, s_of((size_t)c.sets), c.zones,
			 s_of(c.zones), lag);
	else if (json_is_true(json_object_get(evidence, "published")))
		snprintf(out, cap, "%s (%lld record set%s, %zu zone%s, seen by all servers in %.1f s)", did, (long long)c.sets,
			 s_of((size_t)c.sets), c.zones, s_of(c.zones), c.seconds);
	else
		snprintf(out, cap, "%s (%lld record set%s, %zu zone%s), not yet seen by all servers", did, (long long)c.sets,
			 s_of((size_t)c.sets), c.zones, s_of(c.zones));
}

/* ---- before the move ---- */

bool publish_concerns(const struct move *m)
{
	return m->with->dns && !m->row.no_dns;
}

static enum dns_verb verb_of(const struct move *m)
{
	return strcmp(m->row.kind, "rollback") == 0 ? DNS_UNDO : DNS_PUSH;
}

int publish_account(struct journal *db, const char *name, json_t **out, struct err *err)
{
	struct account_row row;
	json_t *others = NULL;
	*out = NULL;
	int rc = journal_account(db, name, &row, err);
	if (rc < 0)
		return rc;
	struct acctset one = {.defs = &row.def, .n = 1};
	rc = journal_claims_below(db, &one, &others, err);
	if (rc == 0 && !(*out = dns_account(&row.def, json_object_get(others, name))))
		rc = err_set(err, -ENOMEM, "out of memory");
	json_decref(others);
	account_row_done(&row);
	return rc;
}

/* Who of the domains below it are others': read once, before the downtime. */
static int know_account(struct move *m, struct err *err)
{
	return m->dns_account ? 0 : publish_account(m->with->db, m->row.account, &m->dns_account, err);
}

/* What somebody else changed is no reason to keep an account from going back. */
static bool may_go_home(const struct move *m)
{
	return verb_of(m) == DNS_UNDO && publish_drift(m->dns_plan);
}

int publish_plan(struct move *m, struct err *err)
{
	struct err e = {0};
	char why[OWED_MAX];
	if (!publish_concerns(m))
		return 0;
	int rc = know_account(m, err);
	if (rc < 0)
		return rc;
	m->with->dns->cancel_fd = m->with->cancel_fd;
	rc = dns_plan(m->with->dns, m->dns_account, verb_of(m), m->row.to, &m->dns_plan, NULL, &e);
	m->with->dns->cancel_fd = -1;
	if (rc == 0 || may_go_home(m))
		return 0;
	if (rc == -EINTR)
		return err_set(err, rc, "interrupted");
	snprintf(why, sizeof(why), "%.500s", e.text);
	add_drift(m->dns_plan, why, sizeof(why));
	return err_set(err, -EPERM, "DNS stands in the way: %s. Mend that, or leave DNS as it is with --no-dns", why);
}

void publish_plan_text(const struct move *m, char *out, size_t cap)
{
	struct count c;
	size_t at;
	if (!publish_concerns(m)) {
		snprintf(out, cap, "nothing: %s", m->row.no_dns ? "--no-dns" : "no shunt-dnsupdate is configured (dns of section control)");
		return;
	}
	count_zones(m->dns_plan, &c);
	if (!m->dns_plan)
		snprintf(out, cap, "DNS: what would change is not known");
	else if (member_int(m->dns_plan, "exit") && !may_go_home(m))
		snprintf(out, cap, "DNS: would be refused, and so would the move");
	else if (may_go_home(m))
		snprintf(out, cap, "DNS: somebody else changed what is to go back: it is left as it is, and owed");
	else if (c.sets == 0)
		snprintf(out, cap, "DNS: nothing changes");
	else
		snprintf(out, cap, "DNS: %lld record set%s in %zu zone%s %s%s%s%s%s", (long long)c.sets, s_of((size_t)c.sets), c.zones,
			 s_of(c.zones), verb_of(m) == DNS_UNDO ? "go back" : "change", c.sets == 1 && verb_of(m) == DNS_PUSH ? "s" : "",
			 *c.servers ? " (" : "", c.servers, *c.servers ? ")" : "");
	at = strlen(out);
	if (c.external)
		snprintf(out + at, cap - at, ", %zu domain%s external: covered by the proxy", c.external, s_of(c.external));
	at = strlen(out);
	if (c.beyond)
		snprintf(out + at, cap - at, ", %zu not to be switched (shunt check says why): covered by the proxy", c.beyond);
}

/* ---- the step, and its debt ---- */

static int record(const struct publication *p, bool owed, const json_t *evidence, struct err *err)
{
	char mark[sizeof(MARK_DNS) + ACCOUNT_NAME_MAX], home[sizeof(MARK_HOME) + ACCOUNT_NAME_MAX], what[60];
	snprintf(mark, sizeof(mark), MARK_DNS "%s", p->account);
	snprintf(home, sizeof(home), MARK_HOME "%s", p->account);
	snprintf(what, sizeof(what), "%s", owed ? TRAIL_OWED : p->verb == DNS_UNDO ? TRAIL_DNS "undone" : TRAIL_DNS "published");
	int rc = journal_begin(p->db, err);
	if (rc < 0)
		return rc;
	rc = journal_set_mark(p->db, mark, owed, err);
	if (rc == 0 && !owed) /* DNS leads to where the account is, whoever saw to it */
		rc = journal_set_mark(p->db, home, false, err);
	if (rc == 0)
		rc = journal_note(p->db, p->account, p->move, what, evidence, err);
	if (rc < 0) {
		journal_rollback(p->db);
		return rc;
	}
	return journal_commit(p->db, err);
}

int publish(const struct publication *p, json_t **evidence, struct err *err)
{
	struct err e = {0}, lost = {0};
	char why[OWED_MAX];
	json_t *answer = NULL, *who = (json_t *)p->who;
	int rc = p->verb == DNS_UNDO ? dns_undo(p->dns, who, p->wait_s, &answer, NULL, &e)
				     : dns_push(p->dns, who, p->to, p->wait_s, &answer, NULL, &e);
	bool owed = rc < 0;
	int why_rc = rc;
	*evidence = publish_evidence(answer, p->verb == DNS_UNDO ? "undone" : "published");
	if (owed) {
		snprintf(why, sizeof(why), "%.500s", e.text);
		add_drift(answer, why, sizeof(why));
		json_object_set_new(*evidence, "owed", json_string(why));
	}
	json_decref(answer);
	rc = record(p, owed, *evidence, &lost);
	if (owed)
		err_set(err, why_rc, "%s", why);
	else if (rc < 0)
		err_set(err, rc, "%s", lost.text);
	return rc < 0 ? rc : owed;
}

/* The move's own verb, before anybody waits: no debt comes of it. *evidence is new, also on failure. */
int publish_ask(struct move *m, enum side to, json_t **evidence, char *why, size_t cap)
{
	struct err e = {0};
	json_t *answer = NULL;
	int rc = know_account(m, &e);
	if (rc == 0)
		rc = verb_of(m) == DNS_UNDO ? dns_undo(m->with->dns, m->dns_account, m->with->dns_wait, &answer, NULL, &e)
					    : dns_push(m->with->dns, m->dns_account, to, m->with->dns_wait, &answer, NULL, &e);
	*evidence = publish_evidence(answer, verb_of(m) == DNS_UNDO ? "undone" : "published");
	if (rc < 0) {
		snprintf(why, cap, "%.500s", e.text);
		add_drift(answer, why, cap);
	}
	json_decref(answer);
	return rc;
}

static struct publication of_move(const struct move *m, enum dns_verb verb, enum side to)
{
	return (struct publication){.db = m->with->db,
				    .dns = m->with->dns,
				    .wait_s = m->with->dns_wait,
				    .account = m->row.account,
				    .move = m->row.id,
				    .verb = verb,
				    .to = to};
}

int publish_again(struct move *m, enum dns_verb verb, enum side to, json_t **evidence, struct err *err)
{
	struct publication p = of_move(m, verb, to);
	int rc = know_account(m, err);
	p.who = m->dns_account;
	if (rc == 0)
		rc = publish(&p, evidence, err);
	if (rc > 0)
		snprintf(m->owed, sizeof(m->owed), "%.790s", err->text);
	return rc > 0 ? 0 : rc;
}

json_int_t publish_changes(const json_t *answer)
{
	struct count c;
	count_zones(answer, &c);
	return c.sets;
}

/* Nobody waits for a second question where the first has said that none of the domains is on our servers. */
static bool none_is_ours(const json_t *plan)
{
	size_t i;
	json_t *z;
	json_array_foreach (json_object_get(plan, "zones"), i, z) {
		if (strcmp(member_text(z, "verdict"), "external") != 0)
			return false;
	}
	return i > 0 && member_int(plan, "exit") == 0;
}

static int publish_nothing(const struct publication *p, struct move *m, struct err *err)
{
	m->evidence = publish_evidence(m->dns_plan, "published");
	return record(p, false, m->evidence, err);
}

int publish_move(struct move *m, struct err *err)
{
	struct publication p = of_move(m, verb_of(m), m->row.to);
	if (!publish_concerns(m)) {
		m->evidence = json_pack("{s:s}", "nothing", m->row.no_dns ? "--no-dns" : "no shunt-dnsupdate is configured");
		return 0;
	}
	if (m->dns_home) { /* it was led home before anybody waited */
		m->evidence = json_incref(m->dns_home);
		m->unwritten = record(&p, false, m->evidence, err) < 0 || m->unwritten;
		return 0;
	}
	int rc = know_account(m, err);
	p.who = m->dns_account;
	if (rc == 0)
		rc = p.verb == DNS_PUSH && none_is_ours(m->dns_plan) ? publish_nothing(&p, m, err) : publish(&p, &m->evidence, err);
	if (rc != 0)
		snprintf(m->owed, sizeof(m->owed), "%.790s", err->text);
	m->unwritten = m->unwritten || rc < 0; /* nobody would know of the debt: the move stays open for it, and visitors are let go */
	return 0;
}
