#include "netctl/ops.h"

#include <stdio.h>
#include <string.h>

static json_t *append(json_t *ops, json_t *op)
{
	json_array_append_new(ops, op);
	return op;
}

static const char *inet(int family)
{
	return family == 6 ? "inet6" : "inet";
}

int ops_family(const char *address)
{
	return strchr(address, ':') ? 6 : 4;
}

json_t *ops_stage(json_t *plan, const char *name, int delay_s)
{
	json_t *all = json_object_get(plan, "stages"), *ops = json_array();

	if (!all) {
		all = json_array();
		json_object_set_new(plan, "stages", all);
	}
	json_array_append_new(all, json_pack("{s:s, s:i, s:o}", "name", name, "delay", delay_s, "ops", ops));
	return ops;
}

void ops_last(json_t *plan, const char *how)
{
	json_t *all = json_object_get(plan, "stages");

	json_object_set_new(json_array_get(all, json_array_size(all) - 1), "last", json_string(how));
}

json_t *ops_sysctl(json_t *ops, const char *key, const char *value)
{
	return append(ops, json_pack("{s:s, s:s, s:s}", "op", "sysctl", "key", key, "value", value));
}

void ops_forwarding(json_t *ops, const char *dev, bool v6)
{
	char key[100]; /* with slashes, as sysctl(8) has it too: the interface's name may hold dots */

	ops_sysctl(ops, "net.ipv4.conf.all.send_redirects", "0");
	snprintf(key, sizeof key, "net/ipv4/conf/%s/send_redirects", dev);
	ops_sysctl(ops, key, "0");
	ops_sysctl(ops, "net.ipv4.ip_forward", "1");
	if (!v6)
		return;
	/* Forwarding makes the kernel forget routes that it learned from advertisements, unless it is told to heed them all the same. */
	snprintf(key, sizeof key, "net/ipv6/conf/%s/accept_ra", dev);
	ops_sysctl(ops, key, "2");
	ops_sysctl(ops, "net.ipv6.conf.all.forwarding", "1");
}

json_t *ops_addr(json_t *ops, const char *address, const char *dev)
{
	char prefix[ADDR_TEXT_MAX + 4];

	snprintf(prefix, sizeof prefix, "%s/%d", address, ops_family(address) == 6 ? 128 : 32);
	return append(ops, json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "op", "addr", "state", "present", "address", prefix, "dev", dev,
				     "nodad", 1, "noprefixroute", 1));
}

json_t *ops_route_local(json_t *ops, int family, int table)
{
	return append(ops, json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "op", "route", "state", "present", "family", inet(family),
				     "dst", "default", "table", table, "type", "local", "dev", "lo"));
}

json_t *ops_route(json_t *ops, const char *dst, int family, int table, const char *via, const char *dev)
{
	json_t *op = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "op", "route", "state", "present", "family", inet(family), "dst", dst,
			       "table", table, "type", "unicast", "dev", dev);

	if (via) {
		json_object_set_new(op, "via", json_string(via));
		json_object_set_new(op, "onlink", json_true());
	}
	return append(ops, op);
}

json_t *ops_rule(json_t *ops, int family, int priority, unsigned mark, int table, const char *iif)
{
	json_t *op = json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:I}", "op", "rule", "state", "present", "family", inet(family), "priority",
			       priority, "table", table, "mark", (json_int_t)mark, "mask", (json_int_t)mark);

	if (iif)
		json_object_set_new(op, "iif", json_string(iif));
	return append(ops, op);
}

json_t *ops_local_rule(json_t *ops, int family, int priority)
{
	return append(ops, json_pack("{s:s, s:s, s:i}", "op", "local-rule", "family", inet(family), "priority", priority));
}

json_t *ops_neigh(json_t *ops, const char *address, const char *dev, const char *mac)
{
	return append(ops, json_pack("{s:s, s:s, s:s, s:s, s:s}", "op", "neigh", "state", "present", "address", address, "dev", dev,
				     "lladdr", mac));
}

json_t *ops_table(json_t *ops, const char *family, const char *name, const char *rules)
{
	return append(ops, json_pack("{s:s, s:s, s:s, s:s, s:s}", "op", "nft-table", "state", "present", "family", family, "name", name,
				     "rules", rules));
}

json_t *ops_peer(json_t *ops, const char *peer, const char *what, const char *plan, int confirm_s)
{
	return append(ops,
		      json_pack("{s:s, s:s, s:s, s:s, s:i}", "op", "peer", "peer", peer, "do", what, "plan", plan, "confirm", confirm_s));
}

json_t *ops_settle(json_t *ops, const char *plan)
{
	return append(ops, json_pack("{s:s, s:s}", "op", "settle", "plan", plan));
}

json_t *ops_announce(json_t *ops, json_t *addresses, const char *dev)
{
	return append(ops, json_pack("{s:s, s:O, s:s}", "op", "announce", "addresses", addresses, "dev", dev));
}

json_t *ops_absent(json_t *op)
{
	json_object_set_new(op, "state", json_string("absent"));
	return op;
}

json_t *ops_without_undo(json_t *op)
{
	json_object_set_new(op, "undo", json_array());
	return op;
}
