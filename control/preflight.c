#include "control/preflight.h"

#include "control/preflight_names.h"
#include "control/preflight_parts.h"
#include "control/preflight_source.h"
#include "lib/hex.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ASK_MS    100000 /* the proxy's own limits: 64 questions, four at a time, 5 s each */
#define SEEN_MS   10000
#define AT_ONCE   60 /* questions in one message */
#define RECORDS   50 /* domains in one */
#define DAYS_DFLT 14

struct preflight {
	const struct conf *conf;
	struct acctset all;
	struct preflight_names *names;
	struct source_proofs *proofs;
	int64_t now;
	int expires_days;
	char token[60]; /* a path that no ACME client has made */
};

/* ---- of JSON ---- */

const char *preflight_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

json_int_t preflight_number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

char *preflight_url(const json_t *answer, char out[600])
{
	const char *path = preflight_text(answer, "path");
	snprintf(out, 600, "%.10s://%.253s%.255s", preflight_text(answer, "scheme"), preflight_text(answer, "domain"),
		 strcmp(path, "/") == 0 ? "" : path);
	return out;
}

char *preflight_date(int64_t s, char out[DATE_MAX])
{
	time_t t = (time_t)s;
	struct tm tm;
	if (!gmtime_r(&t, &tm) || strftime(out, DATE_MAX, "%Y-%m-%d", &tm) == 0)
		snprintf(out, DATE_MAX, "?");
	return out;
}

/* ---- life ---- */

static int make_token(struct preflight *p, struct err *err)
{
	static const char begins[] = "shunt-check-";
	memcpy(p->token, begins, sizeof(begins));
	return hex_random(p->token + strlen(begins), 32, err);
}

int preflight_new(struct preflight **out, struct app *a, struct err *err)
{
	struct preflight *p = calloc(1, sizeof(*p));
	*out = NULL;
	if (!p)
		return err_set(err, -ENOMEM, "out of memory");
	p->conf = a->conf;
	p->now = now_ms() / 1000;
	p->expires_days = a->opt.expires_days ? a->opt.expires_days : a->conf->control.present ? a->conf->control.expires_days : DAYS_DFLT;
	int rc = make_token(p, err);
	if (rc == 0)
		rc = journal_accounts(a->db, &p->all, err);
	if (rc == 0) {
		p->names = preflight_names_new(&p->all);
		p->proofs = source_proofs_new(a->conf, a->netctl[SIDE_TRANSIT]);
		if (!p->names || !p->proofs)
			rc = err_set(err, -ENOMEM, "out of memory");
	}
	if (rc < 0)
		preflight_free(p);
	else
		*out = p;
	return rc;
}

void preflight_free(struct preflight *p)
{
	if (!p)
		return;
	preflight_names_free(p->names);
	source_proofs_free(p->proofs);
	acctset_done(&p->all);
	free(p);
}

void preflight_judge_names(struct preflight *p, const struct acctdef *def, const json_t *https, json_t *findings)
{
	preflight_names_judge(p->names, findings, def, https);
}

/* ---- asking ---- */

/* What one side answers: by kind, in the order of the domains. */
struct answers {
	json_t *http, *https, *acme;
};

static void answers_init(struct answers *s)
{
	*s = (struct answers){json_array(), json_array(), json_array()};
}

static void answers_done(struct answers *s)
{
	json_decref(s->http);
	json_decref(s->https);
	json_decref(s->acme);
}

static json_t *requests_for(const struct preflight *p, const char *domain)
{
	char path[120];
	snprintf(path, sizeof(path), ACME_PATH "%s", p->token);
	return json_pack("[{s:s, s:s}, {s:s, s:s}, {s:s, s:s, s:s}]", "domain", domain, "scheme", "http", "domain", domain, "scheme",
			 "https", "domain", domain, "scheme", "http", "path", path);
}

static void sort_answers(struct answers *s, const json_t *list)
{
	json_t *const into[3] = {s->http, s->https, s->acme};
	json_t *one;
	size_t i;
	json_array_foreach (list, i, one)
		json_array_append(into[i % 3], one);
}

/* takes requests */
static int ask(struct proxylink *proxy, const struct acctdef *d, enum side side, json_t *requests, struct answers *s, struct err *err)
{
	json_t *answer = NULL;
	int rc = proxylink_ask(proxy, "fetch", json_pack("{s:s, s:s, s:o}", "name", d->name, "side", side_name(side), "requests", requests),
			       ASK_MS, &answer, err);
	if (rc == 0)
		sort_answers(s, json_object_get(answer, "answers"));
	json_decref(answer);
	return rc;
}

static int ask_side(const struct preflight *p, struct proxylink *proxy, const struct acctdef *d, enum side side, struct answers *s,
		    struct err *err)
{
	json_t *batch = json_array();
	size_t n = 0;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < d->n_domains && n < PREFLIGHT_DOMAINS; i++) {
		if (d->domains[i][0] == '*')
			continue;
		json_t *three = requests_for(p, d->domains[i]);
		n++;
		json_array_extend(batch, three);
		json_decref(three);
		if (json_array_size(batch) < AT_ONCE)
			continue;
		rc = ask(proxy, d, side, batch, s, err);
		batch = json_array();
	}
	if (rc == 0 && json_array_size(batch))
		return ask(proxy, d, side, batch, s, err);
	json_decref(batch);
	return rc;
}

static json_t *ask_records(struct dnslink *dns, const struct acctdef *d, json_t *findings)
{
	json_t *all = json_array();
	struct err err = {0};
	int rc = 0;
	for (size_t at = 0; rc == 0 && at < d->n_domains && at < PREFLIGHT_DOMAINS; at += RECORDS) {
		size_t left = d->n_domains - at;
		json_t *answer = NULL;
		rc = dns_records(dns, d->domains + at, left < RECORDS ? left : RECORDS, &answer, &err);
		json_array_extend(all, json_object_get(answer, "domains"));
		json_decref(answer);
	}
	if (rc < 0)
		FIND(findings, GRADE_WARN, "dns-records", d->name, "check again",
		     "A, AAAA, HTTPS and CAA records could not be looked up: %s", err.text);
	return all;
}

/* ---- judging ---- */

static void compare(json_t *findings, const struct preflight_view *v, const struct answers *old, const struct answers *fresh)
{
	const json_t *one;
	size_t i;
	json_array_foreach (old->https, i, one)
		preflight_tls(findings, v, one, fresh ? json_array_get(fresh->https, i) : NULL);
	json_array_foreach (old->http, i, one)
		preflight_twin(findings, v, one, fresh ? json_array_get(fresh->http, i) : NULL);
	json_array_foreach (old->https, i, one)
		preflight_twin(findings, v, one, fresh ? json_array_get(fresh->https, i) : NULL);
	if (fresh)
		preflight_acme(findings, v, old->acme, fresh->acme);
}

static void left_out(json_t *findings, const struct acctdef *d)
{
	size_t exact = 0;
	for (size_t i = 0; i < d->n_domains; i++)
		exact += d->domains[i][0] != '*';
	if (exact > PREFLIGHT_DOMAINS)
		FIND(findings, GRADE_INFORM, "twin", d->name, NULL, "of its %zu names the first %d are asked for", exact,
		     PREFLIGHT_DOMAINS);
	else if (d->n_domains && exact == 0)
		FIND(findings, GRADE_INFORM, "twin", d->name, "name one of its sites as a domain, and it will be compared",
		     "it has wildcards alone: no name is known that could be asked for");
}

static void dns(json_t *findings, const struct preflight_view *v, const struct preflight_case *c, struct dnslink *link,
		const struct answers *fresh)
{
	if (c->refused)
		FIND(findings, GRADE_STOP, "dns-plan", c->def->name, "mend that, or move with --no-dns", "DNS stands in the way: %s",
		     c->refused);
	json_t *records = link ? ask_records(link, c->def, findings) : NULL;
	preflight_dns(findings, v, c->domains, records, fresh ? fresh->https : NULL);
	json_decref(records);
}

/* False: the proxy is away; it is told. */
static bool seen(struct preflight *p, struct proxylink *proxy, const struct preflight_case *c, const struct preflight_view *v,
		 json_t *findings)
{
	json_t *answer = NULL;
	struct err err = {0};
	int rc = proxylink_ask(proxy, "seen", json_pack("{s:s}", "name", c->def->name), SEEN_MS, &answer, &err);
	if (rc == 0) {
		preflight_seen(findings, v, answer);
		if (c->to == SIDE_TRANSIT)
			preflight_source(findings, p->proofs, proxy, c->def, json_object_get(answer, "listeners"));
	} else {
		FIND(findings, GRADE_STOP, "proxy", c->def->name, "start shunt-proxy, then check again",
		     "ports, certificates and answers could not be looked at: %s", err.text);
	}
	json_decref(answer);
	return rc == 0;
}

void preflight_account(struct preflight *p, struct proxylink *proxy, struct dnslink *link, const struct preflight_case *c, json_t *findings,
		       json_t **https)
{
	const struct preflight_view v = {
		.conf = p->conf, .def = c->def, .from = c->def->side, .to = c->to, .now = p->now, .expires_days = p->expires_days};
	struct answers old, fresh;
	struct err err = {0};
	answers_init(&old);
	answers_init(&fresh);
	bool there = seen(p, proxy, c, &v, findings);
	int rc = there ? ask_side(p, proxy, c->def, v.from, &old, &err) : 0;
	if (there && rc == 0 && !c->rollback)
		rc = ask_side(p, proxy, c->def, v.to, &fresh, &err);
	if (rc < 0)
		FIND(findings, GRADE_WARN, "twin", c->def->name, "check again", "its sites could not be looked at: %s", err.text);
	else if (there)
		compare(findings, &v, &old, c->rollback ? NULL : &fresh);
	if (there)
		left_out(findings, c->def);
	dns(findings, &v, c, link, rc == 0 && !c->rollback ? &fresh : NULL);
	*https = json_incref(old.https);
	answers_done(&old);
	answers_done(&fresh);
}
