#pragma once
/* control_impl - how the files of the control socket share the work: control.c holds and releases, control_table.c changes the table,
 * control_status.c tells, control_straggler.c of names whose visitors still come to the old address, control_accepted.c of what the new
 * side has accepted, control_probe.c of whether back ends answer, control_preflight.c of what they answer, control_metrics.c of counters,
 * control_top.c of accounts with traffic, and control_notice.c keeps what the controller wants others to know. Not for others. Every cmd_
 * answers its call exactly once, now or later. */
#include "lib/ctl.h"
#include "proxy/proxy.h"

/* These answer the call themselves where the request is wrong. */
const char *want_string(struct ctl_call *call, const json_t *req, const char *key);
bool want_side(struct ctl_call *call, const json_t *req, enum side *out); /* by "side" */
bool want_number(struct ctl_call *call, const json_t *req, const char *key, json_int_t dflt, json_int_t max, uint64_t *out);
struct account *want_account(struct proxy *p, struct ctl_call *call, const json_t *req); /* by "name" */
struct account *want_account_as(struct proxy *p, struct ctl_call *call, const json_t *req, const char *key);

void cmd_put(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_remove(struct proxy *p, struct ctl_call *call, json_t *req);
void control_import(struct proxy *p, struct ctl_call *call, const char *what, json_t *req, void **session);
void control_import_free(void *session);

struct accepted;
struct accepted_gaps;
/* In a worker: what it has counted of the account (accepted.h), with what is open there, is added to the sum. -ENOMEM. */
int accepted_gather(struct worker *w, const struct account *a, struct accepted *sum);
json_t *json_accepted(const struct proxy *p, const struct account *a, const struct accepted *sum); /* new; null: it is not counted */
json_t *json_missing(const struct accepted_gaps *g);                                               /* new; null: nothing is */

void cmd_hello(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_status(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_account(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_traffic(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_list(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_route(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_stragglers(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_probe(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_seen(struct proxy *p, struct ctl_call *call, json_t *req); /* control_preflight.c, with the next three */
void cmd_fetch(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_prove(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_greet(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_metrics(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_top(struct proxy *p, struct ctl_call *call, json_t *req);
void cmd_notice(struct proxy *p, struct ctl_call *call, json_t *req);
json_t *json_notice(const struct proxy *p); /* new; null: there is none */
void notice_forget(struct proxy *p);
void cmd_reload(struct proxy *p, struct ctl_call *call, json_t *req);
