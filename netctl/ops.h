#pragma once
/* ops - makes ops (op.h), so that builders read like what they mean. Each takes its stage's array of ops and appends to it.
 * family is 4 or 6. Memory that is out shows as an incomplete stage, which op_check() refuses. */
#include "lib/addr.h"

#include <jansson.h>
#include <stdbool.h>

json_t *ops_stage(json_t *plan, const char *name, int delay_s); /* a new stage at the end; returns its array of ops (borrowed) */
void ops_last(json_t *plan, const char *how);                   /* the stage made last ends the plan: "settle" or "forget" */
json_t *ops_sysctl(json_t *ops, const char *key, const char *value);
void ops_forwarding(json_t *ops, const char *dev, bool v6);          /* this host forwards, and does not send redirects */
json_t *ops_addr(json_t *ops, const char *address, const char *dev); /* one address without a prefix: /32 or /128, without DAD */
json_t *ops_route_local(json_t *ops, int family, int table);         /* everything is local: for marked packets */
json_t *ops_route(json_t *ops, const char *dst, int family, int table, const char *via, const char *dev);
json_t *ops_rule(json_t *ops, int family, int priority, unsigned mark, int table, const char *iif);
json_t *ops_local_rule(json_t *ops, int family, int priority);
json_t *ops_neigh(json_t *ops, const char *address, const char *dev, const char *mac);
json_t *ops_table(json_t *ops, const char *family, const char *name, const char *rules); /* of nftables */
json_t *ops_peer(json_t *ops, const char *peer, const char *what, const char *plan, int confirm_s);
json_t *ops_settle(json_t *ops, const char *plan);
json_t *ops_announce(json_t *ops, json_t *addresses, const char *dev);
json_t *ops_absent(json_t *op); /* the same, to be removed */
json_t *ops_without_undo(json_t *op);
int ops_family(const char *address); /* 4 or 6 */
