#include "control/preflight.h"

#include "control/preflight_names.h"
#include "control/preflight_parts.h"
#include "control/preflight_source.h"
#include "lib/hex.h"
#include "lib/member.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ASK_MS    100000 /* the proxy's own limits: 64 questions, four at a time, 5 s each */
#define SEEN_MS   15000
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

char *preflight_url(const json_t *answer, char out[600])
{
	const char *path = member_text(answer, "path");
	snprintf(out, 600, "%.10s://%.253s%.255s", member_text(answer, "scheme"), member_text(answer, "domain"),
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

/* ---- what one side answers ---- */

/* By kind, in the order in which it was asked. */
struct answers {
	json_t *http, *https, *acme;
	int rc;         /* of the first question that was not answered; 0: none */
	char text[400]; /* of rc */
};

static void answers_init(struct answers *s)
{
	*s = (struct answers){.http = json_array(), .https = json_array(), .acme = json_array()};
}

static void answers_done(struct answers *s)
{
	json_decref(s->http);
	json_decref(s->https);
	json_decref(s->acme);
}

static bool is_text(const json_t *o, const char *key, const char *value)
{
	return strcmp(member_text(o, key), value) == 0;
}

const json_t *preflight_answer_of(const json_t *list, const json_t *like)
{
	const json_t *one;
	size_t i;
	json_array_foreach (list, i, one) {
		if (is_text(one, "domain", member_text(like, "domain")) && is_text(one, "scheme", member_text(like, "scheme")) &&
		    is_text(one, "path", member_text(like, "path")))
			return one;
	}
	return NULL;
}

/* By what was asked for, as the answer says it. */
static void sort_answers(const struct preflight *p, struct answers *s, const json_t *list)
{
	json_t *one;
	size_t i;
	json_array_foreach (list, i, one) {
		const char *path = member_text(one, "path");
		bool root = strcmp(path, "/") == 0, http = is_text(one, "scheme", "http");
		if (root && is_text(one, "scheme", "https"))
			json_array_append(s->https, one);
		else if (root && http)
			json_array_append(s->http, one);
		else if (http && strncmp(path, ACME_PATH, strlen(ACME_PATH)) == 0 && strcmp(path + strlen(ACME_PATH), p->token) == 0)
			json_array_append(s->acme, one);
	}
}

/* ---- asking: of all accounts at once, one kind of question after the other ---- */

/* An account's way through the questions. */
struct look {
	struct preflight *preflight;
	struct preflight_case *c;
	struct preflight_view view;
	struct answers sides[2]; /* by side */
	json_t *seen, *records;
	int rc; /* of seen */
	char text[400];
};

/* Questions of one kind, and whose each is. */
struct round {
	json_t **fields;
	struct {
		struct look *look;
		enum side side;
	} * whose;
	size_t n, cap;
};

/* Takes fields. */
static void add(struct round *r, struct look *l, enum side side, json_t *fields)
{
	size_t cap = r->cap ? 2 * r->cap : 64;
	if (r->n == r->cap) {
		void *fields_now = realloc(r->fields, cap * sizeof(*r->fields)), *whose = realloc(r->whose, cap * sizeof(*r->whose));
		r->fields = fields_now ? fields_now : r->fields;
		r->whose = whose ? whose : r->whose;
		r->cap = fields_now && whose ? cap : r->cap;
	}
	if (r->n == r->cap) {
		json_decref(fields); /* it is told as one that was not answered */
		l->sides[side].rc = -ENOMEM;
		return;
	}
	r->whose[r->n].look = l;
	r->whose[r->n].side = side;
	r->fields[r->n++] = fields;
}

static void round_done(struct round *r)
{
	free(r->fields);
	free(r->whose);
}

static void on_seen(void *arg, size_t i, int rc, const json_t *answer, const struct err *err)
{
	struct look *l = ((struct round *)arg)->whose[i].look;
	l->rc = rc;
	l->seen = json_incref((json_t *)answer);
	if (rc < 0)
		snprintf(l->text, sizeof(l->text), "%.399s", err->text);
}

static void ask_seen(struct proxylink *proxy, struct look *looks, size_t n)
{
	struct round r = {0};
	for (size_t i = 0; i < n; i++) {
		looks[i].rc = -ENOMEM;
		add(&r, &looks[i], SIDE_CLIENT, json_pack("{s:s}", "name", looks[i].c->def->name));
	}
	proxylink_many(proxy, "seen", r.fields, r.n, SEEN_MS, on_seen, &r);
	round_done(&r);
}

static json_t *requests_for(const struct preflight *p, const char *domain)
{
	char path[120];
	snprintf(path, sizeof(path), ACME_PATH "%s", p->token);
	return json_pack("[{s:s, s:s}, {s:s, s:s}, {s:s, s:s, s:s}]", "domain", domain, "scheme", "http", "domain", domain, "scheme",
			 "https", "domain", domain, "scheme", "http", "path", path);
}

/* takes requests */
static void add_fetch(struct round *r, struct look *l, enum side side, json_t *requests)
{
	add(r, l, side, json_pack("{s:s, s:s, s:o}", "name", l->c->def->name, "side", side_name(side), "requests", requests));
}

static void add_fetches(struct round *r, struct look *l, enum side side)
{
	const struct acctdef *d = l->c->def;
	json_t *batch = json_array();
	size_t n = 0;
	for (size_t i = 0; i < d->n_domains && n < PREFLIGHT_DOMAINS; i++) {
		if (d->domains[i][0] == '*')
			continue;
		json_t *three = requests_for(l->preflight, d->domains[i]);
		n++;
		json_array_extend(batch, three);
		json_decref(three);
		if (json_array_size(batch) < AT_ONCE)
			continue;
		add_fetch(r, l, side, batch);
		batch = json_array();
	}
	if (json_array_size(batch))
		add_fetch(r, l, side, batch);
	else
		json_decref(batch);
}

/* What has not answered is asked once more, in the same way: a host that has much to do must not stop a move. */
static void add_silent(struct round *r, struct look *l, enum side side)
{
	struct answers *s = &l->sides[side];
	json_t *lists[] = {s->http, s->https, s->acme}, *batch = json_array(), *one;
	for (size_t k = 0; s->rc == 0 && k < sizeof(lists) / sizeof(*lists); k++) {
		for (size_t i = 0; i < json_array_size(lists[k]) && json_array_size(batch) < AT_ONCE; i++) {
			one = json_array_get(lists[k], i);
			if (!json_is_true(json_object_get(one, "ok")) && json_is_string(json_object_get(one, "at")))
				json_array_append_new(batch,
						      json_pack("{s:O, s:O, s:O}", "domain", json_object_get(one, "domain"), "scheme",
								json_object_get(one, "scheme"), "path", json_object_get(one, "path")));
		}
	}
	if (json_array_size(batch))
		add_fetch(r, l, side, batch);
	else
		json_decref(batch);
}

/* In the place of what was said before. */
static void take_again(json_t *list, const json_t *fresh)
{
	const json_t *old = preflight_answer_of(list, fresh);
	for (size_t i = 0; old && i < json_array_size(list); i++) {
		if (json_array_get(list, i) == old) {
			json_array_set(list, i, (json_t *)fresh);
			return;
		}
	}
}

static void on_fetched_again(void *arg, size_t i, int rc, const json_t *answer, const struct err *err)
{
	const struct round *r = arg;
	struct answers *s = &r->whose[i].look->sides[r->whose[i].side];
	const json_t *one;
	size_t k;
	(void)rc;
	(void)err; /* then what was said first holds */
	json_array_foreach (json_object_get(answer, "answers"), k, one) {
		take_again(s->http, one);
		take_again(s->https, one);
		take_again(s->acme, one);
	}
}

static void on_fetched(void *arg, size_t i, int rc, const json_t *answer, const struct err *err)
{
	const struct round *r = arg;
	struct look *l = r->whose[i].look;
	struct answers *s = &l->sides[r->whose[i].side];
	if (rc == 0) {
		sort_answers(l->preflight, s, json_object_get(answer, "answers"));
	} else if (s->rc == 0) {
		s->rc = rc;
		snprintf(s->text, sizeof(s->text), "%.399s", err->text);
	}
}

static void ask_sides(struct proxylink *proxy, struct look *looks, size_t n)
{
	struct round r = {0};
	for (size_t i = 0; i < n; i++) {
		struct look *l = &looks[i];
		if (l->rc < 0)
			continue;
		add_fetches(&r, l, l->view.from);
		if (!l->c->rollback)
			add_fetches(&r, l, l->view.to);
	}
	proxylink_many(proxy, "fetch", r.fields, r.n, ASK_MS, on_fetched, &r);
	round_done(&r);
	r = (struct round){0};
	for (size_t i = 0; i < n; i++) {
		add_silent(&r, &looks[i], SIDE_CLIENT);
		add_silent(&r, &looks[i], SIDE_TRANSIT);
	}
	proxylink_many(proxy, "fetch", r.fields, r.n, ASK_MS, on_fetched_again, &r);
	round_done(&r);
}

static void on_records(void *arg, size_t i, int rc, const json_t *answer, const struct err *err)
{
	struct look *l = ((struct round *)arg)->whose[i].look;
	if (rc == 0)
		json_array_extend(l->records, json_object_get(answer, "domains"));
	else
		FIND(l->c->findings, GRADE_WARN, "dns-records", l->c->def->name, "check again",
		     "A, AAAA, HTTPS and CAA records could not be looked up: %s", err->text);
}

static void ask_records(struct dnslink *dns, struct look *looks, size_t n)
{
	struct round r = {0};
	for (size_t i = 0; i < n; i++) {
		const struct acctdef *d = looks[i].c->def;
		looks[i].records = json_array();
		for (size_t at = 0; at < d->n_domains && at < PREFLIGHT_DOMAINS; at += RECORDS)
			add(&r, &looks[i], SIDE_CLIENT,
			    dns_records_fields(d->domains + at, d->n_domains - at < RECORDS ? d->n_domains - at : RECORDS));
	}
	dns_many(dns, "records", r.fields, r.n, on_records, &r);
	round_done(&r);
}

/* ---- judging ---- */

static void compare(json_t *findings, const struct preflight_view *v, const struct answers *old, const struct answers *fresh)
{
	const json_t *one;
	size_t i;
	json_array_foreach (old->https, i, one)
		preflight_tls(findings, v, one, fresh ? preflight_answer_of(fresh->https, one) : NULL);
	json_array_foreach (old->http, i, one)
		preflight_twin(findings, v, one, fresh ? preflight_answer_of(fresh->http, one) : NULL);
	json_array_foreach (old->https, i, one)
		preflight_twin(findings, v, one, fresh ? preflight_answer_of(fresh->https, one) : NULL);
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

static void judge_dns(const struct look *l, const struct answers *fresh)
{
	const struct preflight_case *c = l->c;
	if (c->refused)
		FIND(c->findings, GRADE_STOP, "dns-plan", c->def->name, "mend that, or move with --no-dns", "DNS stands in the way: %s",
		     c->refused);
	preflight_dns(c->findings, &l->view, c->domains, l->records, fresh ? fresh->https : NULL);
}

static void judge_sides(const struct look *l, const struct answers *old, const struct answers *fresh)
{
	const struct answers *silent = old->rc < 0 ? old : fresh && fresh->rc < 0 ? fresh : NULL;
	if (silent)
		FIND(l->c->findings, GRADE_WARN, "twin", l->c->def->name, "check again", "its sites could not be looked at: %s",
		     *silent->text ? silent->text : "out of memory");
	else
		compare(l->c->findings, &l->view, old, fresh);
	left_out(l->c->findings, l->c->def);
}

static void judge(struct look *l, struct proxylink *proxy)
{
	struct preflight_case *c = l->c;
	const struct answers *old = &l->sides[l->view.from], *fresh = c->rollback ? NULL : &l->sides[l->view.to];
	if (l->rc == 0) {
		preflight_seen(c->findings, &l->view, l->seen);
		if (c->to == SIDE_TRANSIT)
			preflight_source(c->findings, l->preflight->proofs, proxy, c->def, json_object_get(l->seen, "listeners"));
		judge_sides(l, old, fresh);
	} else {
		FIND(c->findings, GRADE_STOP, "proxy", c->def->name, "start shunt-proxy, then check again",
		     "ports, certificates and answers could not be looked at: %s", *l->text ? l->text : "out of memory");
	}
	judge_dns(l, l->rc == 0 && old->rc == 0 ? fresh : NULL);
	c->https = json_incref(old->https);
}

void preflight_accounts(struct preflight *p, struct proxylink *proxy, struct dnslink *dns, struct preflight_case *cases, size_t n)
{
	struct look *looks = calloc(n + 1, sizeof(*looks));
	for (size_t i = 0; i < n; i++) {
		struct preflight_case *c = &cases[i];
		if (!looks) {
			FIND(c->findings, GRADE_STOP, "proxy", c->def->name, "check again", "nothing could be looked at: out of memory");
			continue;
		}
		looks[i] = (struct look){.preflight = p,
					 .c = c,
					 .view = {.conf = p->conf,
						  .def = c->def,
						  .from = c->def->side,
						  .to = c->to,
						  .now = p->now,
						  .expires_days = p->expires_days}};
		answers_init(&looks[i].sides[SIDE_CLIENT]);
		answers_init(&looks[i].sides[SIDE_TRANSIT]);
	}
	if (!looks)
		return;
	ask_seen(proxy, looks, n);
	ask_sides(proxy, looks, n);
	if (dns)
		ask_records(dns, looks, n);
	for (size_t i = 0; i < n; i++) {
		judge(&looks[i], proxy);
		answers_done(&looks[i].sides[SIDE_CLIENT]);
		answers_done(&looks[i].sides[SIDE_TRANSIT]);
		json_decref(looks[i].seen);
		json_decref(looks[i].records);
	}
	free(looks);
}
