/* Addresses on their way from one host to another: make before break, in three topologies (facts: B1, B2, B3). */
#include "netctl/build_parts.h"

#include "netctl/hook.h"
#include "netctl/nl.h"

#include "lib/conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOCAL_RULE    1000 /* where `lookup local` goes while marked packets for our own addresses must go elsewhere */
#define PEER_MORE_S   5    /* see peers_confirm_s() */
#define MOVED_PER_S   20   /* addresses: so many at least, also on a busy machine */
#define PEER_MOST_S   3600 /* no host grants more */
#define SETTLE_MORE_S 5
#define MUTE          "shunt_mute"
#define KEEP          "shunt_keep"
#define DRAIN         "shunt_drain"
#define FORWARD       "shunt_forward"

static const char *drain_gateway(int family)
{
	return family == 6 ? "fe80::7368:2" : "169.254.0.2";
}

static const struct conf_netctl *conf(const struct build *b)
{
	return &b->c->netctl;
}

/* A peer's deadline comes after ours: who gained addresses goes silent before the other speaks again. Ours begins when all is done and
 * proved, a peer's when it is asked; what comes between takes longer the more addresses there are. */
static int peers_confirm_s(const struct build *b)
{
	int s = b->wish->confirm_s + PEER_MORE_S + (int)json_array_size(b->moved) / MOVED_PER_S + (conf(b)->hook_probe ? HOOK_PROBE_S : 0);

	return s < PEER_MOST_S ? s : PEER_MOST_S;
}

/* ---- being silent for the addresses, and speaking again (B1) ---- */

/* The interface's own link-local address, without its prefix; false: it has none. */
static bool link_local(struct build *b, char out[ADDR_TEXT_MAX])
{
	json_t *found = json_array(), *like = json_pack("{s:s, s:s}", "family", "inet6", "dev", conf(b)->interface), *a;
	bool is = false;
	size_t i;

	nl_find(b->nl, NL_ADDR, like, found, NULL);
	json_array_foreach (found, i, a) {
		const char *text = json_string_value(json_object_get(a, "address"));

		if (is || strncmp(text, "fe80:", 5) != 0)
			continue;
		snprintf(out, ADDR_TEXT_MAX, "%.*s", (int)strcspn(text, "/"), text);
		is = true;
	}
	json_decref(like);
	json_decref(found);
	return is;
}

static int add_mute(struct build *b, json_t *ops)
{
	char ll[ADDR_TEXT_MAX];
	int rc = 0;

	if (moves_family(b, 4))
		rc = add_table(b, ops, "arp", MUTE, table_mute_arp(b->moved));
	if (rc == 0 && moves_family(b, 6))
		rc = add_table(b, ops, "ip6", MUTE, table_mute_nd(b->moved, link_local(b, ll) ? ll : NULL));
	return rc;
}

static void add_unmute(struct build *b, json_t *ops)
{
	if (moves_family(b, 4))
		ops_absent(ops_table(ops, "arp", MUTE, ""));
	if (moves_family(b, 6))
		ops_absent(ops_table(ops, "ip6", MUTE, ""));
}

/* Undone, it announces: the addresses are back. First in its stage, so that its undo comes last. Done it says nothing, above all not after
 * a boot, when the other host has them. */
static void add_announce_when_undone(struct build *b, json_t *ops)
{
	json_t *op = ops_absent(ops_announce(ops, b->moved, conf(b)->interface));

	json_object_set_new(op, "undo", json_pack("[{s:s, s:O, s:s}]", "op", "announce", "addresses", b->moved, "dev", conf(b)->interface));
}

/* ---- packets of connections that the other host has (B1, drain) ---- */

/* mac: where the other host is, on this segment; NULL: through the tunnel. */
static int add_drain(struct build *b, json_t *ops, const char *mac, bool transit)
{
	const struct conf_netctl *n = conf(b);
	char via[ADDR_TEXT_MAX];

	ops_forwarding(ops, conf(b)->interface, moves_family(b, 6));
	for (int family = 4; family <= 6; family += 2) {
		if (!moves_family(b, family))
			continue;
		if (mac) {
			ops_neigh(ops, drain_gateway(family), n->interface, mac);
			ops_route(ops, "default", family, n->table + 2, drain_gateway(family), n->interface);
		} else {
			ops_route(ops, "default", family, n->table + 2, tunnel_peer(b, transit, family, via), BUILD_LINK);
		}
		ops_rule(ops, family, n->priority + 2, mark_drain(b->c), n->table + 2, n->interface);
		ops_local_rule(ops, family, LOCAL_RULE);
	}
	return add_table(b, ops, "inet", DRAIN, table_drain(b->c, b->moved, mac));
}

static void add_drain_end(struct build *b, json_t *ops, const char *mac, bool transit)
{
	const struct conf_netctl *n = conf(b);
	char via[ADDR_TEXT_MAX];

	ops_absent(ops_table(ops, "inet", DRAIN, ""));
	for (int family = 4; family <= 6; family += 2) {
		if (!moves_family(b, family))
			continue;
		ops_absent(ops_local_rule(ops, family, LOCAL_RULE));
		ops_absent(ops_rule(ops, family, n->priority + 2, mark_drain(b->c), n->table + 2, n->interface));
		if (mac) {
			ops_absent(ops_route(ops, "default", family, n->table + 2, drain_gateway(family), n->interface));
			ops_absent(ops_neigh(ops, drain_gateway(family), n->interface, mac));
		} else {
			ops_absent(ops_route(ops, "default", family, n->table + 2, tunnel_peer(b, transit, family, via), BUILD_LINK));
		}
	}
}

/* ---- who gains, and who gives (segment) ---- */

/* Looked up, not bound: with net.ipv4.ip_nonlocal_bind every address can be bound. */
static bool host_has(json_t *found, const char *address)
{
	size_t i, len = strlen(address);
	json_t *a;

	json_array_foreach (found, i, a) {
		const char *here = json_string_value(json_object_get(a, "address"));

		if (strncmp(here, address, len) == 0 && here[len] == '/')
			return true;
	}
	return false;
}

static int addresses_here(struct build *b, json_t **found /* returns new */)
{
	json_t *any = json_object();
	int rc;

	*found = json_array();
	rc = nl_find(b->nl, NL_ADDR, any, *found, b->err);
	json_decref(any);
	return rc;
}

/* Those that are here already, whatever their prefix, stay as they are: a client server that was not reinstalled still has them. */
static int add_addresses(struct build *b, json_t *ops)
{
	size_t i;
	json_t *a, *found;
	int rc = addresses_here(b, &found);

	json_array_foreach (rc == 0 ? b->moved : NULL, i, a)
		if (!host_has(found, json_string_value(a)))
			ops_addr(ops, json_string_value(a), conf(b)->interface);
	json_decref(found);
	return rc;
}

static void add_probe(struct build *b)
{
	if (conf(b)->hook_probe)
		json_array_append_new(ops_stage(b->plan, "probe", 0),
				      json_pack("{s:s, s:s, s:O}", "op", "probe", "program", conf(b)->hook_probe, "addresses", b->moved));
}

static void add_duplicate(struct build *b, json_t *ops, const char *mac)
{
	json_t *allow = mac ? json_pack("[s]", mac) : json_array();

	json_array_append_new(ops, json_pack("{s:s, s:O, s:s, s:o}", "op", "duplicate", "addresses", b->moved, "dev", conf(b)->interface,
					     "allow", allow));
}

/* How the other host's station is called; *mac is NULL when it is dead, which must be both said and seen. */
static int find_giver(struct build *b, struct mac *m, char text[MAC_TEXT_MAX], const char **mac)
{
	int rc = find_station(b, b->moved, m);

	*mac = rc == 0 ? mac_text(m, text) : NULL;
	if (rc == -EHOSTUNREACH)
		return b->wish->without_peer
			       ? 0
			       : err_wrap(b->err, "the server that should give the addresses is not there (if it is dead: --without-peer)");
	if (rc == 0 && b->wish->without_peer)
		return err_set(b->err, -EBUSY,
			       "%s still answers for the addresses, so the other server is not dead: without its consent both would", *mac);
	return rc;
}

static int gain_on_segment(struct build *b, const char *peer, const char *peers_plan, bool transit)
{
	char text[MAC_TEXT_MAX];
	const char *mac;
	struct mac m;
	json_t *ops;
	int rc = find_giver(b, &m, text, &mac);

	if (rc < 0)
		return rc;
	ops = ops_stage(b->plan, "prepare", 0);
	add_duplicate(b, ops, mac);
	rc = add_mute(b, ops);
	if (rc == 0 && mac && conf(b)->drain)
		rc = add_drain(b, ops, mac, transit);
	if (rc == 0)
		rc = add_table(b, ops, "inet", KEEP, table_keep());
	if (rc == 0)
		rc = add_addresses(b, ops);
	if (rc < 0)
		return rc;
	if (mac)
		json_object_set_new(ops_peer(ops_stage(b->plan, "hand over", 0), peer, "apply", peers_plan, peers_confirm_s(b)), "undo",
				    json_pack("[{s:s, s:s, s:s, s:s}]", "op", "peer", "peer", peer, "do", "revert", "plan", peers_plan));
	ops = ops_stage(b->plan, "announce", 0);
	add_unmute(b, ops);
	ops_announce(ops, b->moved, conf(b)->interface);
	json_object_set_new(b->plan, "repeat",
			    json_pack("[{s:s, s:O, s:s}]", "op", "announce", "addresses", b->moved, "dev", conf(b)->interface));
	add_probe(b);
	if (mac && conf(b)->drain)
		add_drain_end(b, ops_stage(b->plan, "drained", conf(b)->drain), mac, transit);
	return 0;
}

static int mute_this_host(struct build *b, json_t *ops)
{
	int rc = need_interface(b);

	if (rc < 0)
		return rc;
	add_announce_when_undone(b, ops);
	return add_mute(b, ops);
}

/* Its end of the tunnel: connections that it has are led to it. */
static int end_of_tunnel(struct build *b, json_t *ops)
{
	int rc = need_tunnel(b);

	if (rc == 0)
		add_tunnel(b, ops, false);
	return rc;
}

int build_give(struct build *b)
{
	json_t *ops = ops_stage(b->plan, "give", 0);
	int rc = conf(b)->topology == TOPOLOGY_SEGMENT ? mute_this_host(b, ops) : end_of_tunnel(b, ops);

	return rc < 0 ? rc : add_table(b, ops, "inet", KEEP, table_keep());
}

/* And when its connections have drained the addresses leave this host, and what the takeover made here with them. */
int build_yield(struct build *b)
{
	int rc = mute_this_host(b, ops_stage(b->plan, "mute", 0));

	if (rc < 0)
		return rc;
	ops_settle(ops_stage(b->plan, "leave", conf(b)->drain + SETTLE_MORE_S), "takeover");
	ops_last(b->plan, "settle");
	return 0;
}

/* ---- routes of a router (routed), and addresses that need no segment ---- */

int build_reroute(struct build *b)
{
	json_t *ops = ops_stage(b->plan, "reroute", 0), *transit = NULL, *a;
	bool tunnel = conf(b)->topology == TOPOLOGY_TUNNEL;
	char dst[ADDR_TEXT_MAX + 4], via[ADDR_TEXT_MAX];
	size_t i;
	int rc = tunnel ? need_tunnel(b) : need_interface(b);

	if (rc == 0)
		rc = build_addresses(&transit, b->c, BUILD_TRANSIT, b->err);
	if (rc < 0)
		return rc;
	if (tunnel)
		add_tunnel(b, ops, false);
	json_array_foreach (b->moved, i, a) {
		const char *address = json_string_value(a);
		int family = ops_family(address);

		snprintf(dst, sizeof dst, "%s/%d", address, family == 6 ? 128 : 32);
		if (tunnel)
			ops_route(ops, dst, family, 254, tunnel_peer(b, false, family, via), BUILD_LINK);
		else
			ops_route(ops, dst, family, 254, json_string_value(json_array_get(transit, i)), conf(b)->interface);
	}
	json_decref(transit);
	return 0;
}

/* Where the addresses lead now, and where they will: while connections drain, answers come in where the routes do not lead. */
static int add_loosened(struct build *b, json_t *ops)
{
	json_t *like = json_pack("{s:s, s:i}", "family", "inet", "table", 254), *routes = json_array(), *devs = json_object(), *r, *unused;
	const char *dev;
	char key[100];
	size_t i;
	int rc = nl_find(b->nl, NL_ROUTE, like, routes, b->err);

	json_object_set_new(devs, conf(b)->interface, json_true());
	json_array_foreach (routes, i, r) {
		char dst[ADDR_TEXT_MAX];
		const char *text = json_string_value(json_object_get(r, "dst"));
		size_t k;
		json_t *a;

		snprintf(dst, sizeof dst, "%.*s", (int)strcspn(text, "/"), text);
		json_array_foreach (b->moved, k, a)
			if (strcmp(dst, json_string_value(a)) == 0 && json_string_value(json_object_get(r, "dev")))
				json_object_set_new(devs, json_string_value(json_object_get(r, "dev")), json_true());
	}
	json_object_foreach (devs, dev, unused) {
		snprintf(key, sizeof key, "net/ipv4/conf/%s/rp_filter", dev);
		ops_sysctl(ops, key, "2");
	}
	json_decref(like);
	json_decref(routes);
	json_decref(devs);
	return rc;
}

int build_loosen(struct build *b)
{
	int rc = need_interface(b);

	return rc < 0 ? rc : add_loosened(b, ops_stage(b->plan, "loosen", 0));
}

static void add_anyip(struct build *b, json_t *ops)
{
	char dst[ADDR_TEXT_MAX + 4];
	size_t i;
	json_t *a;

	json_array_foreach (b->moved, i, a) {
		const char *address = json_string_value(a);
		int family = ops_family(address);

		snprintf(dst, sizeof dst, "%s/%d", address, family == 6 ? 128 : 32);
		json_array_append_new(ops,
				      json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "op", "route", "state", "present", "family",
						family == 6 ? "inet6" : "inet", "dst", dst, "table", 255, "type", "local", "dev", "lo"));
	}
}

static json_t *ask_peer(struct build *b, const char *stage, const char *peer, const char *plan)
{
	json_t *op = ops_peer(ops_stage(b->plan, stage, 0), peer, "apply", plan, peers_confirm_s(b));

	json_object_set_new(op, "undo", json_pack("[{s:s, s:s, s:s, s:s}]", "op", "peer", "peer", peer, "do", "revert", "plan", plan));
	return op;
}

/* What leads connections of before to the host that has them, through the tunnel, and is over when they have drained. */
static int drain_by_tunnel(struct build *b, json_t *ops, bool transit)
{
	int rc = need_tunnel(b);

	if (rc == 0)
		rc = need_interface(b);
	if (rc < 0)
		return rc;
	add_tunnel(b, ops, transit);
	rc = add_drain(b, ops, NULL, transit);
	if (rc == 0)
		rc = add_table(b, ops, "inet", KEEP, table_keep());
	if (rc == 0)
		ask_peer(b, "let answers pass", "router", "loosen");
	return rc;
}

static bool drains_by_tunnel(const struct build *b)
{
	return conf(b)->tunnel.present && conf(b)->drain && !b->wish->without_peer;
}

static int takeover_by_routes(struct build *b)
{
	json_t *ops = ops_stage(b->plan, "prepare", 0);
	bool drain = drains_by_tunnel(b);
	int rc;

	add_anyip(b, ops);
	if (drain) {
		rc = drain_by_tunnel(b, ops, true);
		if (rc < 0)
			return rc;
		ask_peer(b, "prepare the giver", "client", "give");
	}
	ask_peer(b, "hand over", "router", "reroute");
	add_probe(b);
	if (drain) {
		ops = ops_stage(b->plan, "drained", conf(b)->drain);
		add_drain_end(b, ops, NULL, true);
		ops_peer(ops, "router", "settle", "loosen", 0);
	}
	return 0;
}

/* ---- through the tunnel (tunnel) ---- */

static int takeover_by_tunnel(struct build *b)
{
	const struct conf_netctl *n = conf(b);
	json_t *ops = ops_stage(b->plan, "prepare", 0);
	char via[ADDR_TEXT_MAX];
	int rc = need_tunnel(b);

	if (rc < 0)
		return rc;
	add_tunnel(b, ops, true);
	for (int family = 4; family <= 6; family += 2) {
		if (!moves_family(b, family))
			continue;
		ops_route(ops, "default", family, n->table + 1, tunnel_peer(b, true, family, via), BUILD_LINK);
		ops_rule(ops, family, n->priority + 1, mark_tunnel(b->c), n->table + 1, "lo"); /* the very rule of `reply` */
	}
	rc = add_table(b, ops, "inet", "shunt_return_path", table_return_path(b->c, b->moved));
	if (rc == 0)
		rc = add_mute(b, ops); /* should both be on one segment */
	if (rc < 0)
		return rc;
	add_anyip(b, ops);
	ask_peer(b, "hand over", role_name(n->forwarder), n->forwarder == ROLE_ROUTER ? "reroute" : "forward");
	add_probe(b);
	return 0;
}

static int add_forward(struct build *b, json_t *ops)
{
	const struct conf_netctl *n = conf(b);
	char via[ADDR_TEXT_MAX];
	int rc = need_tunnel(b);

	if (rc == 0)
		rc = need_interface(b);
	if (rc < 0)
		return rc;
	add_tunnel(b, ops, false);
	/* What comes back has this host's own addresses as its source. */
	ops_without_undo(ops_sysctl(ops, "net.ipv4.conf." BUILD_LINK ".accept_local", "1"));
	rc = add_table(b, ops, "inet", KEEP, table_keep());
	if (rc < 0)
		return rc;
	ops_forwarding(ops, conf(b)->interface, moves_family(b, 6));
	for (int family = 4; family <= 6; family += 2) {
		if (!moves_family(b, family))
			continue;
		ops_route(ops, "default", family, n->table + 2, tunnel_peer(b, false, family, via), BUILD_LINK);
		ops_rule(ops, family, n->priority + 2, mark_drain(b->c), n->table + 2, n->interface);
		ops_local_rule(ops, family, LOCAL_RULE);
	}
	return 0;
}

int build_forward(struct build *b)
{
	json_t *ops = ops_stage(b->plan, "forward", 0);
	int rc = add_forward(b, ops);

	return rc < 0 ? rc : add_table(b, ops, "inet", FORWARD, table_forward(b->c, b->moved, true));
}

/* ---- both ways ---- */

int build_takeover(struct build *b)
{
	int rc;

	switch (conf(b)->topology) {
	case TOPOLOGY_SEGMENT:
		rc = need_interface(b);
		return rc < 0 ? rc : gain_on_segment(b, "client", "give", true);
	case TOPOLOGY_ROUTED:
		return takeover_by_routes(b);
	case TOPOLOGY_TUNNEL:
		return takeover_by_tunnel(b);
	}
	return -EINVAL;
}

/* Where nobody has to be silent, the host's own configuration brings the addresses up after a reinstallation. */
static int need_addresses(struct build *b)
{
	size_t i;
	json_t *a, *found;
	int rc = addresses_here(b, &found);

	json_array_foreach (rc == 0 ? b->moved : NULL, i, a) {
		if (host_has(found, json_string_value(a)))
			continue;
		rc = err_set(b->err, -EADDRNOTAVAIL, "this host does not have %s, expected it to be configured before it returns",
			     json_string_value(a));
		break;
	}
	json_decref(found);
	return rc;
}

/* The routes come back first: the transit server keeps the addresses until nothing comes for them any more. */
static int return_by_router(struct build *b)
{
	bool drain = drains_by_tunnel(b) && conf(b)->topology == TOPOLOGY_ROUTED;
	json_t *ops, *op;
	int rc = need_addresses(b);

	if (rc == 0 && drain)
		rc = drain_by_tunnel(b, ops_stage(b->plan, "prepare", 0), false);
	if (rc < 0)
		return rc;
	op = ops_peer(ops_stage(b->plan, "hand over", 0), "router", "revert", "reroute", 0);
	json_object_set_new(
		op, "undo",
		json_pack("[{s:s, s:s, s:s, s:s, s:i}]", "op", "peer", "peer", "router", "do", "apply", "plan", "reroute", "confirm", 0));
	add_probe(b);
	ops = ops_stage(b->plan, "leave", conf(b)->drain ? conf(b)->drain : 1);
	if (drain) {
		add_drain_end(b, ops, NULL, false);
		ops_absent(ops_table(ops, "inet", KEEP, ""));
		ops_peer(ops, "router", "settle", "loosen", 0);
	}
	ops_peer(ops, "transit", "settle", "takeover", 0);
	ops_settle(ops, "give");
	if (drain && !speaks_as_visitor(b->c)) /* after a reinstallation there was no `give` that had made it */
		ops_absent(add_tunnel_link(b, ops, false));
	ops_last(b->plan, "forget");
	return 0;
}

static int return_by_tunnel(struct build *b)
{
	json_t *ops;
	int rc;

	if (conf(b)->forwarder == ROLE_ROUTER)
		return return_by_router(b);
	ops = ops_stage(b->plan, "let none in", 0);
	rc = add_table(b, ops, "inet", FORWARD, table_forward(b->c, b->moved, false));
	if (rc < 0)
		return rc;
	add_probe(b);
	ops = ops_stage(b->plan, "leave", conf(b)->drain ? conf(b)->drain : 1);
	ops_peer(ops, "transit", "settle", "takeover", 0);
	ops_settle(ops, "forward");
	ops_last(b->plan, "forget");
	return 0;
}

/* What a server that was reinstalled had not, and is its own from now on: it loses our tag, so that nobody takes it for a trace of ours. */
static void hand_over_added(struct build *b, json_t *ops)
{
	size_t i, k;
	json_t *stage, *op;

	json_array_foreach (json_object_get(b->plan, "stages"), i, stage) {
		if (json_object_get(stage, "ops") == ops)
			break;
		json_array_foreach (json_object_get(stage, "ops"), k, op) {
			if (strcmp(json_string_value(json_object_get(op, "op")), "addr") != 0)
				continue;
			json_t *own = json_deep_copy(op);
			json_object_set_new(own, "protocol", json_integer(0));
			json_array_append_new(ops, own);
		}
	}
}

int build_return(struct build *b)
{
	json_t *ops;
	int rc;

	switch (conf(b)->topology) {
	case TOPOLOGY_SEGMENT:
		rc = need_interface(b);
		if (rc == 0)
			rc = gain_on_segment(b, "transit", "yield", false);
		if (rc < 0)
			return rc;
		ops = ops_stage(b->plan, "settle", conf(b)->drain + SETTLE_MORE_S);
		ops_settle(ops, "give");
		hand_over_added(b, ops);
		ops_absent(ops_table(ops, "inet", KEEP, ""));
		ops_last(b->plan, "forget");
		return 0;
	case TOPOLOGY_ROUTED:
		return return_by_router(b);
	case TOPOLOGY_TUNNEL:
		return return_by_tunnel(b);
	}
	return -EINVAL;
}
