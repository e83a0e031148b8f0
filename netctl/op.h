#pragma once
/* op - one change of the kernel's state (an address, a route, a rule, a table of nftables ...), as a JSON object, and its exact undo.
 * "op" names the kind, "state" says "present" or "absent" where the kind knows both; the other members are the kind's (op_net.c, op_nft.c,
 * op_host.c, op_wire.c say which). Being JSON, an op can be shown, journalled, and sent to another host as it is.
 * Order: op_check(), op_undo() - from what the kernel has now, never from what was intended -, the journal, op_apply(), op_verify().
 * Every op is idempotent: applying what is so already, or removing what is gone, is success.
 * What is ours is tagged (OP_TAG as protocol of routes, rules and addresses; tables of nftables named shunt_*; links with the alias
 * "shunt"). Errors: -EINVAL for a bad form, -ENOENT where verifying finds something else, else the kernel's -errno; err names the op in its
 * own words. Ownership: ops are borrowed; undo ops are appended to the caller's array. Threads: the caller's. */
#include "lib/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define OP_TAG      200 /* rtm_protocol, FRA_PROTOCOL, IFA_PROTO: what we made */
#define OP_TEXT_MAX 512

struct nl;
struct conf;
struct journal;

/* What ops work on: the network namespace of this process. */
struct world {
	struct nl *nl;           /* netctl/nl.h */
	const struct conf *conf; /* for the peers' addresses and keys; may be NULL where no op asks another host */
	struct journal *journal; /* for `settle`; may be NULL likewise */
};

int op_check(json_t *op, struct err *err);
/* Appends to the array `undo`, in the order in which they are to be applied, the ops that bring back what the kernel has now: none where op
 * would change nothing. */
int op_undo(struct world *w, json_t *op, json_t *undo, struct err *err);
int op_apply(struct world *w, json_t *op, struct err *err);
int op_verify(struct world *w, json_t *op, struct err *err); /* is it so, by a fresh look at the kernel? */
char *op_text(json_t *op, char out[OP_TEXT_MAX]);            /* as one would type it for ip(8), nft(8), sysctl(8); returns out */

/* A kind of op. undo, verify: NULL where there is nothing to undo or to look at. */
struct op_kind {
	const char *name;
	int (*check)(json_t *op, struct err *err);
	int (*undo)(struct world *w, json_t *op, json_t *undo, struct err *err);
	int (*apply)(struct world *w, json_t *op, struct err *err);
	int (*verify)(struct world *w, json_t *op, struct err *err);
	void (*text)(json_t *op, char *out, size_t cap);
};
extern const struct op_kind op_addr, op_route, op_rule, op_local_rule, op_neigh, op_link; /* op_net.c */
extern const struct op_kind op_nft_table;                                                 /* op_nft.c */
extern const struct op_kind op_sysctl;                                                    /* op_host.c */
extern const struct op_kind op_announce, op_duplicate, op_reset;                          /* op_wire.c */
extern const struct op_kind op_peer, op_probe, op_settle;                                 /* op_peer.c */

/* What all kinds need of their JSON. */
bool op_absent(const json_t *op);                                                     /* "state" is "absent" */
const char *op_string(const json_t *op, const char *member);                          /* NULL where it is not there */
int op_need(const json_t *op, const char *member, const char **out, struct err *err); /* -EINVAL names kind and member */
