#pragma once
/* metrics - what `shunt metrics` tells Prometheus: what the journal says, and what each daemon answers. A part that is away is one sample,
 * shunt_.._up 0, and whatever else it would have told is left out; it is never an error of the whole. All daemons are asked side by side,
 * a question waits METRICS_ASK_MS at most (of shunt-dnsupdate DNS_LOOK_MS), a connection 5 s, a name as long as
 * the resolver does: the whole takes as long as the slowest part.
 * What is told of accounts by name is bounded: of moves that are open and of holds the METRICS_NAMED oldest. All else is counts.
 * Units: seconds, bytes; times are seconds since 1970. Ownership: answers are borrowed by what tells of them. */
#include "control/app.h"
#include "control/expo.h"

#define METRICS_ASK_MS 3000
#define METRICS_NAMED  100

struct metrics_answers {
	json_t *status, *metrics, *stragglers; /* of the proxy; NULL: it is away */
	json_t *netctl[2];                     /* by side */
	json_t *dns;
	double proxy_s, netctl_s[2], dns_s; /* how long it took */
};
void metrics_ask(struct app *a, struct metrics_answers *out); /* then metrics_answers_done() */
void metrics_answers_done(struct metrics_answers *m);

void metrics_certs(struct app *a, struct expo *e);
void metrics_journal(struct app *a, struct expo *e); /* a->db NULL: it cannot be read */
void metrics_proxy(struct expo *e, const struct metrics_answers *m);
void metrics_netctl(struct app *a, struct expo *e, const struct metrics_answers *m);
void metrics_dns(struct app *a, struct expo *e, const struct metrics_answers *m);

double metrics_time(const char *text); /* of "2026-01-31T08:00:00Z", with a fraction or not; NAN: it is none */
