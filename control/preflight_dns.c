/* What DNS says of an account's names: the verdict of each, what is not rewritten, addresses that have no partner, records that tie
 * browsers or authorities to one side. */
#include "control/preflight_parts.h"
#include "lib/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- verdicts ---- */

static void verdict(json_t *findings, const json_t *domain)
{
	const char *name = member_text(domain, "domain"), *verdict = member_text(domain, "verdict");
	bool managed = strcmp(verdict, "managed") == 0, external = strcmp(verdict, "external") == 0;
	FIND(findings, managed || external ? GRADE_INFORM : GRADE_WARN, "dns", name,
	     managed    ? NULL
	     : external ? "its owner may change the record after the move (shunt check --stragglers names it)"
			: "set its delegation right at the registrar, or leave it to the proxy",
	     "%s: %s", verdict,
	     managed    ? "switched by DNS"
	     : external ? "covered by the proxy"
			: member_text(domain, "why"));
}

static void unsupported(json_t *findings, const json_t *domain)
{
	const json_t *n;
	size_t i;
	json_array_foreach (json_object_get(domain, "names"), i, n) {
		const char *type = member_text(n, "type");
		bool https = strcmp(type, "HTTPS") == 0 || strcmp(type, "SVCB") == 0;
		if (strcmp(member_text(n, "fate"), "unsupported") == 0)
			FIND(findings, GRADE_WARN, https ? "dns-https" : "dns-unsupported", member_text(n, "name"),
			     https ? "take the hints out of the record: browsers then ask for A and AAAA"
				   : "change it by hand when the account moves",
			     "names the client server and is not rewritten: %s", member_text(n, "what"));
	}
}

/* ---- addresses without partner ---- */

enum ours { OURS_NOT, OURS_CLIENT, OURS_ALONE, OURS_TRANSIT }; /* ALONE: of the client server, and without partner */

static enum ours whose(const struct conf *c, const struct addr *a)
{
	for (size_t i = 0; i < c->n_pairs; i++) {
		const struct conf_pair *p = &c->pairs[i];
		if (addr_same_ip(&p->client.addr, a))
			return p->transit.text ? OURS_CLIENT : OURS_ALONE;
		if (p->transit.text && addr_same_ip(&p->transit.addr, a))
			return OURS_TRANSIT;
	}
	return OURS_NOT;
}

static enum ours whose_text(const struct conf *c, const char *text)
{
	struct addr a;
	return text && addr_parse(&a, text) ? whose(c, &a) : OURS_NOT;
}

static bool leads_here(const struct conf *c, const json_t *record)
{
	static const char *const types[] = {"A", "AAAA"};
	const json_t *v;
	size_t i;
	for (size_t t = 0; t < 2; t++) {
		json_array_foreach (json_object_get(record, types[t]), i, v) {
			if (whose_text(c, json_string_value(v)) != OURS_NOT)
				return true;
		}
	}
	return false;
}

static void addresses(json_t *findings, const struct preflight_view *v, const json_t *record, const char *type)
{
	const char *name = member_text(record, "domain"), *kind = strcmp(type, "AAAA") == 0 ? "dns-aaaa" : "dns-a", *text;
	const json_t *a;
	size_t i;
	json_array_foreach (json_object_get(record, type), i, a) {
		text = json_string_value(a);
		enum ours o = text ? whose_text(v->conf, text) : OURS_CLIENT;
		if (o == OURS_ALONE)
			FIND(findings, GRADE_STOP, kind, name, "give it a partner (section server, pair), or take the record away",
			     "%s %s is the client server's and has no partner: who comes there stays on the client server", type, text);
		else if (o == OURS_NOT)
			FIND(findings, GRADE_WARN, kind, name,
			     "if it is the client server's, add a pair with its partner; if it is a CDN's, tell the CDN where the site is",
			     "%s %s is in no pair, while other records of the name lead here: who comes there does not move", type, text);
	}
}

/* The value of a parameter such as ipv4hint=192.0.2.1,192.0.2.2 (RFC 9460 2.1); "" where it has none. */
static void parameter(const char *record, const char *key, char *out, size_t cap)
{
	size_t len = strlen(key);
	const char *p = record;
	*out = '\0';
	while ((p = strstr(p, key))) {
		bool begins = p == record || p[-1] == ' ';
		p += len;
		if (!begins || *p != '=')
			continue;
		p += 1 + (p[1] == '"');
		snprintf(out, cap, "%.*s", (int)strcspn(p, "\" "), p);
		return;
	}
}

static void hints(json_t *findings, const struct preflight_view *v, const char *name, const char *record, const char *key)
{
	char value[600], *save = NULL;
	parameter(record, key, value, sizeof(value));
	for (char *a = strtok_r(value, ",", &save); a; a = strtok_r(NULL, ",", &save)) {
		enum ours o = whose_text(v->conf, a);
		if (o == OURS_CLIENT && v->to == SIDE_TRANSIT)
			FIND(findings, GRADE_INFORM, "dns-https", name,
			     "change or remove the hint when the address changes; until then the proxy covers who follows it",
			     "its HTTPS record hints at %s, the client server", a);
		else if (o == OURS_ALONE || o == OURS_NOT)
			FIND(findings, GRADE_WARN, "dns-https", name, "take the hint out of the record: browsers then ask for A and AAAA",
			     "its HTTPS record hints at %s, which %s: browsers that follow it do not move", a,
			     o == OURS_ALONE ? "has no partner" : "is in no pair");
	}
}

static void https_records(json_t *findings, const struct preflight_view *v, const json_t *record)
{
	const char *name = member_text(record, "domain"), *text;
	const json_t *r;
	char value[300];
	size_t i;
	json_array_foreach (json_object_get(record, "HTTPS"), i, r) {
		text = json_string_value(r);
		if (!text)
			continue;
		hints(findings, v, name, text, "ipv4hint");
		hints(findings, v, name, text, "ipv6hint");
		parameter(text, "ech", value, sizeof(value));
		if (*value)
			FIND(findings, GRADE_WARN, "dns-https", name, "take ech out of the record before the move",
			     "its HTTPS record offers encrypted hellos (ech): the proxy then sees another name than the visitor wants");
		parameter(text, "alpn", value, sizeof(value));
		if (strstr(value, "h3"))
			FIND(findings, GRADE_INFORM, "dns-https", name,
			     "take h3 out of the record before the move: UDP is not carried, and browsers fall back to TCP after a moment",
			     "its HTTPS record offers HTTP/3");
	}
}

/* ---- CAA ---- */

/* Which domain the authorities of this issuer go by in CAA records, of those that are met most. NULL: not known. */
static const char *caa_domain(const char *issuer)
{
	static const struct {
		const char *in_name, *domain;
	} known[] = {{"Let's Encrypt", "letsencrypt.org"}, {"ZeroSSL", "sectigo.com"},   {"Sectigo", "sectigo.com"},
		     {"Google Trust", "pki.goog"},         {"DigiCert", "digicert.com"}, {"GlobalSign", "globalsign.com"},
		     {"Buypass", "buypass.com"},           {"SSL Corp", "ssl.com"},      {"Amazon", "amazon.com"}};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcasestr(issuer, known[i].in_name))
			return known[i].domain;
	}
	return NULL;
}

/* 0 issue "letsencrypt.org; accounturi=.." -> what is in quotes; "" for other tags. */
static void issue_value(const char *caa, char *out, size_t cap)
{
	const char *tag = strchr(caa, ' '), *q = tag ? strchr(tag, '"') : NULL;
	*out = '\0';
	if (!q || strncasecmp(tag + 1, "issue", 5) != 0)
		return;
	snprintf(out, cap, "%.*s", (int)strcspn(q + 1, "\""), q + 1);
}

static const char *issuer_of(const json_t *https, const char *domain)
{
	const json_t *a;
	size_t i;
	json_array_foreach (https, i, a) {
		if (strcmp(member_text(a, "domain"), domain) == 0)
			return member_text(json_object_get(json_object_get(a, "tls"), "certificate"), "issuer");
	}
	return "";
}

static void caa(json_t *findings, const struct preflight_view *v, const json_t *record, const json_t *https)
{
	const char *name = member_text(record, "domain"), *issuer = issuer_of(https, name), *as = caa_domain(issuer);
	bool restricts = false, allowed = false, bound = false;
	char all[500] = "", value[300];
	const json_t *r;
	size_t i;
	json_array_foreach (json_object_get(record, "CAA"), i, r) {
		size_t at = strlen(all);
		issue_value(json_string_value(r) ? json_string_value(r) : "", value, sizeof(value));
		if (!*value)
			continue;
		restricts = true;
		allowed = allowed || (as && strncasecmp(value, as, strlen(as)) == 0);
		bound = bound || strstr(value, "accounturi");
		if (at + 2 < sizeof(all))
			snprintf(all + at, sizeof(all) - at, "%s%.200s", at ? ", " : "", value);
	}
	if (restricts && as && !allowed)
		FIND(findings, GRADE_WARN, "dns-caa", name,
		     "add that authority to the CAA record, or have the certificate from one it names",
		     "its CAA record (at %s) allows %s only, and %s's certificate is from %s: it cannot be renewed there",
		     member_text(record, "caa-at"), all, side_name(v->to), issuer);
	else if (bound)
		FIND(findings, GRADE_WARN, "dns-caa", name,
		     "copy the ACME account's key to that side, or add its account to the record, before its certificate is to be renewed",
		     "its CAA record (at %s) allows one ACME account alone: %s", member_text(record, "caa-at"), all);
	else if (restricts)
		FIND(findings, GRADE_INFORM, "dns-caa", name, NULL, "its CAA record (at %s) allows %s", member_text(record, "caa-at"), all);
}

void preflight_dns(json_t *findings, const struct preflight_view *v, const json_t *domains, const json_t *records, const json_t *https)
{
	const json_t *o;
	size_t i;
	json_array_foreach (domains, i, o) {
		verdict(findings, o);
		unsupported(findings, o);
	}
	json_array_foreach (records, i, o) {
		if (*member_text(o, "trouble"))
			FIND(findings, GRADE_WARN, "dns-records", member_text(o, "domain"), "check again", "not all could be looked up: %s",
			     member_text(o, "trouble"));
		if (leads_here(v->conf, o)) {
			addresses(findings, v, o, "A");
			addresses(findings, v, o, "AAAA");
			https_records(findings, v, o);
		}
		caa(findings, v, o, https);
	}
}
