#pragma once
/* tables - the texts of our nftables tables: what stands between the braces of `table FAMILY NAME { ... }` (nft(8)).
 * All of them are named shunt_*; each is loaded, replaced and removed as a whole. Addresses are arrays of texts that addr_parse() has
 * taken, so nothing else can get in. Ownership: returned texts are the caller's to free; NULL: out of memory. */
#include "lib/conf.h"

#include <jansson.h>

/* inet: TPROXY, gated by the proxy's heartbeat. moved: addresses all of whose accounts have moved, or NULL; what the proxy does not take of
 * these goes to their partners. */
char *table_intercept(const struct conf *c, json_t *addresses, json_t *moved);
char *table_intercept_end(const struct conf *c); /* inet: lets nobody in any more; the proxy's connections go on */
bool speaks_as_visitor(const struct conf *c); /* does the proxy, to the transit server? Then answers find the way back through this host */
char *table_reply(const struct conf *c, const char *iif,
		  const char *mac); /* inet: marks what came from the proxy; mac: of its host, or NULL */
/* arp, ip6: neither answers for the addresses nor asks as them, so that no neighbour's cache goes back to this host. It still asks, as
 * nobody or as link_local (NULL: there is none, so not at all): connections that stand must find their neighbours. */
char *table_mute_arp(json_t *addresses);
char *table_mute_nd(json_t *addresses, const char *link_local);
char *table_keep(void); /* inet: connection tracking stays on, whatever else comes and goes */
/* inet: packets for the addresses that belong to no connection of this host go to the other one, but never back to where they came from
 * (mac: the other host on this segment; NULL: it is behind the tunnel). */
char *table_drain(const struct conf *c, json_t *addresses, const char *mac);
/* inet: new connections to the addresses go through the tunnel, and stay there; fresh: false lets no new ones in. */
char *table_forward(const struct conf *c, json_t *addresses, bool fresh);
char *table_return_path(const struct conf *c,
			json_t *addresses); /* inet: what this host sends as one of the addresses goes through the tunnel */

/* The three marks of ours: to local services and back; through the tunnel; to the other server for the time of a move. */
unsigned mark_local(const struct conf *c);
unsigned mark_tunnel(const struct conf *c);
unsigned mark_drain(const struct conf *c);
