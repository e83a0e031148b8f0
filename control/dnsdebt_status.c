/* The part of `shunt status` that is about DNS: what the trail says of each account, and what shunt-dnsupdate says now. */
#include "control/dnsdebt.h"
#include "control/publish.h"
#include "lib/member.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- one account ---- */

/* What shunt-dnsupdate has of it now, over all its zones. */
struct present {
	json_int_t records;
	size_t zones;
	const char *lagging;      /* of the first that lags */
	const char *state, *side; /* of the last */
	const char *verified;     /* when all servers of the last one showed it; NULL: they did not, of one of them */
};

static void look_at(const json_t *entries, struct present *p)
{
	size_t i;
	json_t *e;
	*p = (struct present){.state = "", .side = ""};
	json_array_foreach (entries, i, e) {
		const char *lagging = json_string_value(json_object_get(e, "lagging"));
		p->records += member_int(e, "records");
		p->zones++;
		p->state = member_text(e, "state");
		p->side = member_text(e, "side");
		p->lagging = p->lagging ? p->lagging : lagging;
		p->verified = i && !p->verified ? NULL : json_string_value(json_object_get(e, "verified"));
	}
}

static void present_text(const struct present *p, const json_t *evidence, char *out, size_t cap)
{
	if (p->lagging) {
		snprintf(out, cap, "%s (%lld record set%s, %zu zone%s), not seen yet: %.300s", p->state, (long long)p->records,
			 p->records == 1 ? "" : "s", p->zones, p->zones == 1 ? "" : "s", p->lagging);
		return;
	}
	if (strcmp(p->state, "pushed") == 0 && strcmp(p->side, "transit") == 0 && json_is_true(json_object_get(evidence, "published"))) {
		publish_text(evidence, out, cap);
		return;
	}
	snprintf(out, cap, "%s%s (%lld record set%s, %zu zone%s%s%s)", p->state, strcmp(p->side, "transit") == 0 ? " to transit" : "",
		 (long long)p->records, p->records == 1 ? "" : "s", p->zones, p->zones == 1 ? "" : "s",
		 p->verified ? ", seen by all servers at " : "", p->verified ? p->verified : "");
}

static bool is_owed(struct app *a, const char *account)
{
	char mark[sizeof(MARK_DNS) + ACCOUNT_NAME_MAX];
	snprintf(mark, sizeof(mark), MARK_DNS "%s", account);
	return journal_mark(a->db, mark, NULL, NULL) == 0;
}

void dnsdebt_status_of(struct app *a, const char *account, json_t *o)
{
	json_t *last = NULL, *status = NULL, *dns = json_object();
	struct err e = {0};
	struct present p;
	char text[1200] = "";

	journal_last(a->db, account, TRAIL_DNS, &last, NULL);
	const json_t *evidence = json_object_get(last, "evidence");
	bool owed = is_owed(a, account);
	int rc = a->dns ? dns_status(a->dns, account, &status, &e) : 0;
	look_at(json_object_get(status, "entries"), &p);
	if (owed)
		snprintf(text, sizeof(text), "owed: %.800s; shunt resume tries again", member_text(evidence, "owed"));
	else if (p.zones)
		present_text(&p, evidence, text, sizeof(text));
	else if (last)
		publish_text(evidence, text, sizeof(text));
	else if (a->dns)
		snprintf(text, sizeof(text), "none (no move has changed it)");
	else
		snprintf(text, sizeof(text), "not configured: left to the proxy");
	out_line(&a->out, "%-10s %s", "dns", text);
	json_object_set_new(dns, "text", json_string(text));
	json_object_set_new(dns, "owed", owed ? json_string(member_text(evidence, "owed")) : json_null());
	if (last)
		json_object_set(dns, "last", last);
	if (status)
		json_object_set(dns, "entries", json_object_get(status, "entries"));
	if (rc < 0) {
		out_line(&a->out, "%-10s AWAY: %s", "dnsupdate", e.text);
		json_object_set_new(dns, "away", json_string(e.text));
	}
	json_object_set_new(o, "dns", dns);
	json_decref(status);
	json_decref(last);
}

/* ---- a name of an account ---- */

/* zone with its last dot, name without. */
static bool is_within(const char *name, const char *zone)
{
	size_t n = strlen(name), z = strlen(zone);
	if (z < 2 || zone[z - 1] != '.' || n < --z || strncasecmp(name + n - z, zone, z) != 0)
		return false;
	return n == z || name[n - z - 1] == '.';
}

static const char *whose(const json_t *evidence, const char *name)
{
	const char *verdict = "";
	size_t i, longest = 0;
	json_t *z;
	if (strcmp(member_text(evidence, "did"), "published") != 0 || json_object_get(evidence, "owed"))
		return "unknown";
	json_array_foreach (json_object_get(evidence, "zones"), i, z) {
		const char *zone = member_text(z, "zone");
		if (strlen(zone) > longest && is_within(name, zone)) {
			longest = strlen(zone);
			verdict = member_text(z, "verdict");
		}
	}
	if (strcmp(verdict, "managed") == 0)
		return "managed";
	return strcmp(verdict, "external") == 0 || strcmp(verdict, "shadow") == 0 ? "external" : "unknown";
}

const char *dnsdebt_whose(struct app *a, const char *account, const char *name)
{
	json_t *last = NULL;
	journal_last(a->db, account, TRAIL_DNS, &last, NULL);
	const char *answer = whose(json_object_get(last, "evidence"), name);
	json_decref(last);
	return answer;
}

/* ---- all of them ---- */

static void show_owed(struct app *a, json_t *dns)
{
	json_t *owed = NULL, *name;
	size_t i;
	if (journal_marks(a->db, MARK_DNS, &owed, NULL) < 0)
		return;
	json_object_set_new(dns, "owed", owed);
	json_array_foreach (owed, i, name) {
		json_t *last = NULL;
		journal_last(a->db, json_string_value(name), TRAIL_OWED, &last, NULL);
		out_line(&a->out, "%-10s %s is owed: %s; shunt resume tries again", "dns", json_string_value(name),
			 member_text(json_object_get(last, "evidence"), "owed"));
		json_decref(last);
	}
}

static void show_daemon(struct app *a, json_t *dns)
{
	json_t *status = NULL, *entries, *seen, *e;
	struct err away = {0};
	json_int_t records = 0;
	size_t i;
	json_object_set_new(dns, "address", json_string(a->dns->address));
	if (dns_status(a->dns, NULL, &status, &away) < 0) {
		out_line(&a->out, "%-10s AWAY: %s", "dns", away.text);
		json_object_set_new(dns, "away", json_string(away.text));
		return;
	}
	entries = json_object_get(status, "entries");
	seen = json_object();
	json_array_foreach (entries, i, e) {
		records += member_int(e, "records");
		json_object_set_new(seen, member_text(e, "account"), json_true());
	}
	out_line(&a->out, "%-10s answers at %s, has changed %lld record set%s in %zu zone%s for %zu account%s", "dns", a->dns->address,
		 (long long)records, records == 1 ? "" : "s", json_array_size(entries), json_array_size(entries) == 1 ? "" : "s",
		 json_object_size(seen), json_object_size(seen) == 1 ? "" : "s");
	json_array_foreach (entries, i, e) {
		if (*member_text(e, "lagging"))
			out_line(&a->out, "%-10s %s: %s %s, not seen yet: %s", "dns", member_text(e, "account"), member_text(e, "zone"),
				 member_text(e, "state"), member_text(e, "lagging"));
	}
	if (entries)
		json_object_set(dns, "entries", entries);
	json_decref(seen);
	json_decref(status);
}

void dnsdebt_status(struct app *a)
{
	json_t *dns = json_object();
	if (a->dns)
		show_daemon(a, dns);
	show_owed(a, dns);
	out_set(&a->out, "dns", a->dns || json_array_size(json_object_get(dns, "owed")) ? json_incref(dns) : json_null());
	json_decref(dns);
}
