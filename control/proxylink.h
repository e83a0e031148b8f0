#pragma once
/* proxylink - the proxy's control messages (proxy/control.h) as functions.
 * A connection is made when first needed and again when it breaks or fails: all messages are idempotent, so one whose answer was lost is
 * asked again, for at most `patience_ms` (a proxy that was killed is back within a second; a line may be cut). After every new connection
 * `fresh` runs first: it is the place to give a proxy without a table its accounts. Errors: -EINTR by cancel_fd; -EPROTO is the proxy's own
 * refusal; -ECONNREFUSED: it cannot be reached (proxylink_is_away()). Text in err. Ownership: the link owns its wire (wire.h). */
#include "control/wire.h"
#include "lib/acctdef.h"

#include <jansson.h>
#include <stdbool.h>

struct proxylink {
	const struct wire_ops *ops;
	void *self;
	char *address; /* for messages */
	int patience_ms;
	int cancel_fd; /* readable: asking ends with -EINTR, and whether it was done is unknown. -1: none */
	bool connected, in_fresh;
	bool waited; /* for as long as patience_ms, in vain: until it answers again one try is enough */
	int (*fresh)(struct proxylink *l, void *arg, struct err *err); /* may be NULL */
	void *fresh_arg;
};

/* Over lib/ctl; connects later. tls: as wire_new(). */
int proxylink_open(struct proxylink **out, const char *address, const struct conf_tls *tls, struct err *err);
int proxylink_with(struct proxylink **out, const char *address, const struct wire_ops *ops, void *self);
void proxylink_close(struct proxylink *l);
bool proxylink_is_away(int rc);

/* *answer is new; NULL where the caller does not want it. fields are taken. */
int proxylink_ask(struct proxylink *l, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, struct err *err);
/* As above; asks once, without patience: for what may be lost. */
int proxylink_tell(struct proxylink *l, const char *cmd, json_t *fields, struct err *err);

/* n questions of one kind; fields[i] are taken, the array is not. Their answers in order: each(arg, i, rc, answer, err), where answer is
 * borrowed and rc as of proxylink_ask(). Over a long line they take the time of a few. When the proxy goes away, all that are left get that
 * as their answer. timeout_ms is of each; 0: as usual. each must not ask over this link. */
void proxylink_many(struct proxylink *l, const char *cmd, json_t **fields, size_t n, int timeout_ms, ctl_each *each, void *arg);
/* The same: `account` of n names. */
void proxylink_accounts(struct proxylink *l, const char *const *names, size_t n, ctl_each *each, void *arg);
int proxylink_account(struct proxylink *l, const char *name, enum side *side, enum gate *gate, struct err *err);
/* name -> {"side","gate","digest"} of every account the proxy has. */
int proxylink_list(struct proxylink *l, json_t **out, struct err *err);
/* The whole set, with sides and gates, in messages well below the limit; the proxy swaps it in at once or keeps what it has. */
int proxylink_push(struct proxylink *l, const struct acctset *set, json_t **answer, struct err *err);
