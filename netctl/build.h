#pragma once
/* clang-format off */
/* build - what should be: makes plans (plan.h) from the configuration. Looks at the network (who has an address, which gateways there are),
 * changes nothing.
 *
 *   plan       host     what it is
 *   intercept  client   TPROXY for the pairs' client addresses on the listeners' ports; the way to local services and back
 *   reply      transit  answers that are for the proxy, which speaks as the visitor, go back to it
 *   takeover   transit  the addresses come to the transit server; it asks the hosts that give, route or forward them
 *   give       client   lets go of the addresses: silent, but still there for the connections that it has
 *   reroute    router   the addresses' routes lead to the transit server                    (routed; tunnel with a router)
 *   loosen     router   lets answers pass that come in where no route leads                 (routed, while connections drain)
 *   forward    client   forwards the addresses through the tunnel                           (tunnel)
 *   return     client   the addresses come home
 *   yield      transit  give, the other way round                                           (segment)
 *
 * Who gains addresses leads: it is ready for them before the other lets go, so that at no moment nobody answers (make before break).
 * Errors: -EINVAL: the configuration lacks what the plan needs (err says which key); -EPERM: not this host's role; -ENODEV, -EHOSTUNREACH. */
/* clang-format on */
#include "lib/conf.h"

#include <jansson.h>

struct nl;

#define BUILD_TABLE_INTERCEPT "shunt_intercept"
#define BUILD_LINK            "shunt0"

struct build_wish {
	int confirm_s;     /* seconds in which the plan will be confirmed; what others are asked for lasts longer */
	bool without_peer; /* takeover, return: the other server is dead and will not be asked */
	json_t *moved;     /* intercept: addresses all of whose accounts have moved; NULL: as before */
};
int build_plan(json_t **out, const struct conf *c, struct nl *nl, const char *name, const struct build_wish *wish, struct err *err);
const char *const *build_names(void); /* ends with NULL */
enum build_which {
	BUILD_CLIENT, /* all of the client server */
	BUILD_MOVING, /* those of it that have a partner: one without has nowhere to move to */
	BUILD_TRANSIT /* the partners, in the same order */
};
/* Addresses of the pairs: an array of texts. -EINVAL where one is a name. */
int build_addresses(json_t **out, const struct conf *c, enum build_which which, struct err *err);
/* The op that resets connections to the addresses at the ports that are intercepted. Returns new; NULL: out of memory. */
json_t *build_reset(const struct conf *c, json_t *addresses);
