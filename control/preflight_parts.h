#pragma once
/* preflight_parts - how the files of preflight.h share the work: each judges one kind of answer and adds findings (finding.h). All are
 * pure, but for preflight_source.c, which asks. Answers are the proxy's (`seen` and `fetch` of proxy/control.h) and shunt-dnsupdate's
 * (`classify` and `records` of dnsupdate/serve.h), and may hold whatever a site's owner put there. Not for others. */
#include "control/finding.h"
#include "lib/conf.h"

#include <stdbool.h>

struct preflight_view {
	const struct conf *conf;
	const struct acctdef *def;
	enum side from, to; /* the move that comes next */
	int64_t now;        /* seconds since 1970 UTC */
	int expires_days;
};

#define ACME_PATH "/.well-known/acme-challenge/"

/* One domain by one scheme: the answer of the side it is on, and that of the other (NULL: not asked). */
void preflight_tls(json_t *findings, const struct preflight_view *v, const json_t *old, const json_t *fresh);
void preflight_twin(json_t *findings, const struct preflight_view *v, const json_t *old, const json_t *fresh);
/* All answers of a kind; fresh may be NULL. */
void preflight_acme(json_t *findings, const struct preflight_view *v, const json_t *old, const json_t *fresh);
void preflight_seen(json_t *findings, const struct preflight_view *v, const json_t *seen);
/* domains: of classify; records and https (the answers of the side it goes to) may be NULL. */
void preflight_dns(json_t *findings, const struct preflight_view *v, const json_t *domains, const json_t *records, const json_t *https);
bool preflight_is_login_port(uint16_t port, const char **service); /* mail, FTP, SSH: whose source address decides what is allowed */

/* The answer to what `like` is an answer to: the same domain, scheme and path. Borrowed; NULL: none. */
const json_t *preflight_answer_of(const json_t *list, const json_t *like);

char *preflight_url(const json_t *answer, char out[600]); /* "https://alice.example"; returns out */
#define DATE_MAX 16
char *preflight_date(int64_t s, char out[DATE_MAX]); /* "2026-11-26"; returns out */
