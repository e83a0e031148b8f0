/* The proxy's way in and out: packets to the services that it shall have, its own on to the local services, and answers to a visitor's
 * address that it speaks as (facts: A.1, A.2, A.5). Marks rather than a dedicated address lead answers back, so the transit server's own
 * visitors and several client servers share its addresses. */
#include "netctl/build_parts.h"

#include <errno.h>
#include <stdio.h>

static int need_intercepted(struct build *b)
{
	const struct conf_proxy *p = &b->c->proxy;

	for (size_t i = 0; p->intercept && i < p->n_listeners; i++)
		if (!p->listeners[i].address)
			return 0;
	return err_set(b->err, -EINVAL,
		       "%s: found nothing to intercept, expected proxy { intercept = true } and a listener without address", b->c->file);
}

static void add_way_of_mark(struct build *b, json_t *ops, int family)
{
	const struct conf_netctl *n = &b->c->netctl;

	ops_route_local(ops, family, n->table);
	ops_rule(ops, family, n->priority, mark_local(b->c), n->table, NULL);
}

json_t *build_reset(const struct conf *c, json_t *addresses)
{
	json_t *ports = json_array();

	for (size_t i = 0; i < c->proxy.n_listeners; i++)
		if (!c->proxy.listeners[i].address)
			json_array_append_new(ports, json_integer(c->proxy.listeners[i].port));
	return json_pack("{s:s, s:O, s:o, s:I}", "op", "reset", "addresses", addresses, "ports", ports, "mark", (json_int_t)mark_local(c));
}

/* Interception ends gently: nobody else is let in, what the proxy has may finish for as long as a move's drain, then visitors are told to
 * come again rather than left without an answer. */
static int add_ease(struct build *b)
{
	json_t *ops = json_array(), *reset = build_reset(b->c, b->moved);
	int rc;

	json_object_set_new(b->plan, "ease", ops);
	rc = add_table(b, ops, "inet", BUILD_TABLE_INTERCEPT, table_intercept_end(b->c));
	json_object_set_new(reset, "whose", json_string("proxy"));
	json_object_set_new(reset, "patience", json_integer(b->c->proxy.drain));
	json_array_append_new(ops, reset);
	return rc;
}

int build_intercept(struct build *b)
{
	const struct conf_netctl *n = &b->c->netctl;
	json_t *ops = ops_stage(b->plan, "intercept", 0);
	char via[ADDR_TEXT_MAX];
	bool tunnel = speaks_as_visitor(b->c) && n->tunnel.present;
	int rc = need_intercepted(b);

	if (rc == 0 && tunnel)
		rc = need_tunnel(b);
	if (rc == 0 && json_array_size(b->wish->moved) > 0)
		rc = need_interface(b);
	if (rc < 0)
		return rc;
	if (tunnel)
		add_tunnel(b, ops, false);
	ops_sysctl(ops, "net.ipv4.tcp_fwmark_accept", "1"); /* governs IPv6 too */
	for (int family = 4; family <= 6; family += 2) {
		if (!moves_family(b, family))
			continue;
		add_way_of_mark(b, ops, family);
		if (!tunnel)
			continue;
		ops_route(ops, "default", family, n->table + 1, tunnel_peer(b, false, family, via), BUILD_LINK);
		ops_rule(ops, family, n->priority + 1, mark_tunnel(b->c), n->table + 1, NULL);
	}
	if (json_array_size(b->wish->moved) > 0)
		ops_forwarding(ops, n->interface, moves_family(b, 6));
	/* Last: the moment from which packets take another way. */
	rc = add_table(b, ops, "inet", BUILD_TABLE_INTERCEPT, table_intercept(b->c, b->moved, b->wish->moved));
	return rc < 0 ? rc : add_ease(b);
}

static const char *reply_gateway(int family)
{
	return family == 6 ? "fe80::7368:1" : "169.254.0.1";
}

/* Without a tunnel answers go straight to the client server's station: through a gateway that is nobody's address. */
static int add_segment_way(struct build *b, json_t *ops, struct mac *mac)
{
	const struct conf_netctl *n = &b->c->netctl;
	char text[MAC_TEXT_MAX];
	int rc = need_interface(b);

	if (rc == 0)
		rc = find_station(b, b->moved, mac);
	if (rc < 0)
		return rc;
	for (int family = 4; family <= 6; family += 2) {
		if (!moves_family(b, family))
			continue;
		ops_neigh(ops, reply_gateway(family), n->interface, mac_text(mac, text));
		ops_route(ops, "default", family, n->table + 1, reply_gateway(family), n->interface);
	}
	return 0;
}

int build_reply(struct build *b)
{
	const struct conf_netctl *n = &b->c->netctl;
	json_t *ops = ops_stage(b->plan, "reply", 0);
	char via[ADDR_TEXT_MAX], text[MAC_TEXT_MAX];
	struct mac mac;
	int rc;

	if (n->tunnel.present) {
		rc = need_tunnel(b);
		if (rc < 0)
			return rc;
		add_tunnel(b, ops, true);
		for (int family = 4; family <= 6; family += 2)
			if (moves_family(b, family))
				ops_route(ops, "default", family, n->table + 1, tunnel_peer(b, true, family, via), BUILD_LINK);
	} else {
		rc = add_segment_way(b, ops, &mac);
		if (rc < 0)
			return rc;
	}
	ops_sysctl(ops, "net.ipv4.tcp_fwmark_accept", "1");
	/* The reset that a closed port answers with goes the same way; else the proxy would wait for its time-out. */
	ops_sysctl(ops, "net.ipv4.fwmark_reflect", "1");
	if (moves_family(b, 6)) /* the kernel may have no IPv6 */
		ops_sysctl(ops, "net.ipv6.fwmark_reflect", "1");
	/* What this host sends (iif lo), not what it hears: while a takeover drains, `lookup local` comes after this rule. */
	for (int family = 4; family <= 6; family += 2)
		if (moves_family(b, family))
			ops_rule(ops, family, n->priority + 1, mark_tunnel(b->c), n->table + 1, "lo");
	return add_table(b, ops, "inet", "shunt_reply",
			 n->tunnel.present ? table_reply(b->c, BUILD_LINK, NULL) : table_reply(b->c, n->interface, mac_text(&mac, text)));
}
