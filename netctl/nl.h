#pragma once
/* nl - addresses, routes, rules, neighbours and vxlan links of the kernel, as JSON objects, both ways; the one place that knows libnl.
 * An object is an op of op.h: what nl_find() tells is what nl_put() takes, and putting it gives back the very same thing. Members that
 * stand for a default are left out; attributes we have no name for are kept as they are, in hexadecimal ("attrs"), so that a route with
 * metrics, an encapsulation or a nexthop object comes back whole. (The objects of libnl-route 3.7 lose those, hence its message layer
 * alone.)
 *  - addr: address "IP/LEN" (or "IP": any length when looked for, the whole when added), dev; peer, broadcast, label, scope, metric,
 *    protocol, nodad, noprefixroute, home, mngtmpaddr, autojoin, optimistic (true), valid, preferred (seconds left; none: for ever), dad:
 *    told as "tentative" or "failed"
 *  - route: family, dst "IP/LEN" or "default"; table (254), type ("unicast"), scope (as ip(8) guesses it), protocol, dev, via, onlink, src,
 *    metric (0; IPv6 1024), tos, from, expires (seconds), nexthops [{dev, via, onlink, weight, attrs}]
 *  - rule: family, priority; table, mark, mask, iif, oif, from, to, tos, invert, action (a number of linux/fib_rules.h), protocol
 *  - neigh: address, dev; lladdr, nud ("permanent", "noarp", "stale"; told as "dynamic" for the other states of what the kernel resolves),
 *    router, protocol
 *  - link: name; kind, id, local, remote, port, mac, mtu (0 when put: the kernel's), and as told: alias, up
 *
 * "protocol" is told always, and is OP_TAG where a put does not name it. Interfaces go by name: an index means nothing after a reboot.
 * Prefixes have no host bits. IPv4 and IPv6 alone.
 * Only the kernel is heard: the socket is connected to it, and senders are checked. A dump that changed while it was read is read again.
 *
 * Errors: -errno of the kernel with its own words, where it has some; -EPERM says what is needed; -EINVAL a bad form, naming kind and
 * member; -ENODEV no such interface; -ETIMEDOUT no answer in 5 s; -EAGAIN a dump changed five times as it was read.
 * Ownership: what is found is appended to the caller's array. Threads: one struct nl each; the network namespace is the thread's that
 * opens it. */
#include "lib/err.h"

#include <jansson.h>

enum nl_kind { NL_ADDR, NL_ROUTE, NL_RULE, NL_NEIGH, NL_LINK };
enum nl_how {
	NL_CREATE,  /* -EEXIST where it is there */
	NL_REPLACE, /* what has the same key (ip route replace), or new */
	NL_PREPEND, /* routes: before those of the same key */
	NL_APPEND,  /* routes, rules: after those of the same key, be they equal */
};

struct nl;
int nl_new(struct nl **out, struct err *err); /* returns new */
void nl_free(struct nl *nl);                  /* NULL is fine */

int nl_check(enum nl_kind kind, const json_t *op, struct err *err);               /* its form alone: -EINVAL */
int nl_canon(enum nl_kind kind, const json_t *op, json_t **out, struct err *err); /* returns new: as nl_find() will tell it */
int nl_put(struct nl *nl, enum nl_kind kind, const json_t *obj, enum nl_how how, struct err *err);
int nl_delete(struct nl *nl, enum nl_kind kind, const json_t *obj, struct err *err); /* obj as nl_find() told it */
/* Appends every object that has what `like` names, in the kernel's order: family, dev, address, src; routes: table, dst, metric, protocol;
 * rules: priority, protocol; neighbours, addresses: protocol; links: name, alias. No such interface or table: nothing is found. */
int nl_find(struct nl *nl, enum nl_kind kind, const json_t *like, json_t *out, struct err *err);
/* Appends as ops, present, everything that is tagged as ours, in the order in which it can be removed: rules, routes, neighbours,
 * addresses, links. The rule for the table local comes as local-rule. Addresses are known as ours from Linux 5.18 on (IFA_PROTO). */
int nl_ours(struct nl *nl, json_t *ops, struct err *err);
