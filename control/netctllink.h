#pragma once
/* netctllink - the control messages of one host's shunt-netctl (netctl/serve.h) as functions.
 * Each question is a connection of its own: they are few, a daemon may have been restarted between two of them, and hosts may have gone.
 * None is asked twice by itself, since a plan that was applied by a question whose answer was lost would refuse the second.
 * Errors: -EPROTO is netctl's own answer, with its code in *code; -EHOSTUNREACH: it was not asked, for it cannot be reached; -ENOTCONN: it
 * may have been asked, and its answer is lost. Texts in err name the host. Units: ms, and seconds of `reverts-in`. Ownership: the link owns
 * its wire (wire.h). */
#include "control/wire.h"
#include "lib/acctdef.h"

#include <stdbool.h>

#define NETCTL_TIMEOUT_MS 60000

struct netctllink {
	const struct wire_ops *ops;
	void *self;
	enum side host;
	char *address;   /* for messages */
	int patience_ms; /* netctllink_wait(): for one that is being restarted */
};

int netctllink_open(struct netctllink **out, enum side host, const char *address, const struct conf_tls *tls, struct err *err);
int netctllink_with(struct netctllink **out, enum side host, const char *address, const struct wire_ops *ops, void *self);
void netctllink_close(struct netctllink *l);

/* *answer is new; NULL where the caller does not want it. fields are taken. code may be NULL. timeout_ms 0: NETCTL_TIMEOUT_MS. */
int netctllink_ask(struct netctllink *l, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, enum ctl_code *code,
		   struct err *err);
/* Its status, new; one that is away is asked again for patience_ms. */
int netctllink_wait(struct netctllink *l, json_t **status, struct err *err);

/* ---- of a status; borrowed from it ---- */
const json_t *netctl_plan(const json_t *status, const char *name); /* NULL: not in force */
bool netctl_plan_is(const json_t *plan, const char *state);        /* false for NULL */
/* The first that is not as the plan made it, or an error of its own; NULL: all is as it should be. */
const char *netctl_plan_trouble(const json_t *plan);
