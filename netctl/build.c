#include "netctl/build_parts.h"

#include "netctl/duplicate.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBES         2 /* of 150 ms: the builders wait for them */
#define PROBE_MS       150
#define INNER_FIRST    256 /* of 169.254.0.0/16: RFC 3927 keeps the first and the last 256 addresses */
#define INNER_PER_LINK 4

static const struct {
	const char *name;
	unsigned roles; /* who may make it */
	builder *make;
} builders[] = {
	/* clang-format off */
	{"intercept", 1u << ROLE_CLIENT,  build_intercept},
	{"reply",     1u << ROLE_TRANSIT, build_reply},
	{"takeover",  1u << ROLE_TRANSIT, build_takeover},
	{"give",      1u << ROLE_CLIENT,  build_give},
	{"reroute",   1u << ROLE_ROUTER,  build_reroute},
	{"loosen",    1u << ROLE_ROUTER,  build_loosen},
	{"forward",   1u << ROLE_CLIENT,  build_forward},
	{"return",    1u << ROLE_CLIENT,  build_return},
	{"yield",     1u << ROLE_TRANSIT, build_yield},
	/* clang-format on */
};
#define N_BUILDERS (sizeof builders / sizeof *builders)

const char *const *build_names(void)
{
	static const char *names[N_BUILDERS + 1];

	for (size_t i = 0; i < N_BUILDERS; i++)
		names[i] = builders[i].name;
	return names;
}

int out_of_memory(struct build *b)
{
	return err_set(b->err, -ENOMEM, "out of memory");
}

int build_addresses(json_t **out, const struct conf *c, enum build_which which, struct err *err)
{
	json_t *list = json_array();
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < c->n_pairs; i++) {
		const struct conf_host *h = which == BUILD_TRANSIT ? &c->pairs[i].transit : &c->pairs[i].client;

		if (which != BUILD_CLIENT && !c->pairs[i].transit.text)
			continue;
		if (addr_family(&h->addr) == AF_UNSPEC) {
			json_decref(list);
			return err_set(err, -EINVAL, "%s:%d: found the name %s in a pair, expected an address: the network knows no names",
				       c->file, h->line, h->text);
		}
		json_array_append_new(list, json_string(addr_text(&h->addr, text)));
	}
	if (json_array_size(list) == 0) {
		json_decref(list);
		return err_set(err, -EINVAL, "%s: found no pair, expected the addresses that move in the section server", c->file);
	}
	*out = list;
	return 0;
}

bool moves_family(const struct build *b, int family)
{
	size_t i;
	json_t *a;

	json_array_foreach (b->moved, i, a)
		if (ops_family(json_string_value(a)) == family)
			return true;
	return false;
}

int need_interface(struct build *b)
{
	const char *name = b->c->netctl.interface;

	if (name && if_nametoindex(name))
		return 0;
	if (name)
		return err_set(b->err, -ENODEV, "%s:%d: found interface = \"%s\", but this host has none of that name", b->c->file,
			       b->c->netctl.line, name);
	return err_set(b->err, -EINVAL,
		       "%s:%d: found no `interface` in the section netctl, expected the name of the one that has the addresses", b->c->file,
		       b->c->netctl.line);
}

int need_tunnel(struct build *b)
{
	const struct conf_tunnel *t = &b->c->netctl.tunnel;

	if (!t->present)
		return err_set(b->err, -EINVAL, "%s:%d: found no section `tunnel` in netctl, expected one: %s goes through it", b->c->file,
			       b->c->netctl.line, json_string_value(json_object_get(b->plan, "plan")));
	if (addr_family(&t->client.addr) == AF_UNSPEC || addr_family(&t->client.addr) != addr_family(&t->transit.addr))
		return err_set(b->err, -EINVAL, "%s:%d: found outer addresses %s and %s, expected two addresses of one family", b->c->file,
			       t->line, t->client.text, t->transit.text);
	return 0;
}

/* ---- the tunnel ---- */

static void inner_address(const struct build *b, bool transit, int family, char out[ADDR_TEXT_MAX])
{
	unsigned n = INNER_FIRST + (unsigned)b->c->netctl.tunnel.id * INNER_PER_LINK + (transit ? 2 : 1);

	if (family == 6)
		snprintf(out, ADDR_TEXT_MAX, "fe80::%d", transit ? 2 : 1);
	else
		snprintf(out, ADDR_TEXT_MAX, "169.254.%u.%u", n >> 8 & 255, n & 255);
}

const char *tunnel_peer(const struct build *b, bool transit, int family, char out[ADDR_TEXT_MAX])
{
	inner_address(b, !transit, family, out);
	return out;
}

/* All of it goes with the link, so it needs no undo of its own. */
static void add_inner(struct build *b, json_t *ops, bool transit, int family, const char *peer_mac)
{
	char inner[ADDR_TEXT_MAX], prefix[ADDR_TEXT_MAX + 4], peer[ADDR_TEXT_MAX];
	json_t *op;

	inner_address(b, transit, family, inner);
	snprintf(prefix, sizeof prefix, "%s/%d", inner, family == 6 ? 64 : 30);
	op = json_pack("{s:s, s:s, s:s, s:s, s:b}", "op", "addr", "state", "present", "address", prefix, "dev", BUILD_LINK, "nodad", 1);
	json_array_append_new(ops, ops_without_undo(op));
	ops_without_undo(ops_neigh(ops, tunnel_peer(b, transit, family, peer), BUILD_LINK, peer_mac));
}

static void station(const struct build *b, bool transit, char out[MAC_TEXT_MAX])
{
	int id = b->c->netctl.tunnel.id;

	snprintf(out, MAC_TEXT_MAX, "02:73:68:%02x:%02x:%02x", id >> 8 & 255, id & 255, transit ? 2 : 1);
}

json_t *add_tunnel_link(struct build *b, json_t *ops, bool transit)
{
	const struct conf_tunnel *t = &b->c->netctl.tunnel;
	const struct addr *here = transit ? &t->transit.addr : &t->client.addr, *there = transit ? &t->client.addr : &t->transit.addr;
	char local[ADDR_TEXT_MAX], remote[ADDR_TEXT_MAX], mac[MAC_TEXT_MAX];
	int outer = addr_family(here) == AF_INET6 ? 70 : 50; /* bytes: RFC 7348 5, and 20 more for IPv6 */

	station(b, transit, mac);
	json_array_append_new(ops, json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:i, s:s, s:i}", "op", "link", "state", "present", "name",
					     BUILD_LINK, "kind", "vxlan", "id", t->id, "local", addr_text(here, local), "remote",
					     addr_text(there, remote), "port", t->port, "mac", mac, "mtu", t->mtu ? t->mtu : 1500 - outer));
	return json_array_get(ops, json_array_size(ops) - 1);
}

void add_tunnel(struct build *b, json_t *ops, bool transit)
{
	char mac[MAC_TEXT_MAX];

	add_tunnel_link(b, ops, transit);
	/* What comes out of it has sources that the main table would look for elsewhere; 2 wins over whatever `all` says. */
	ops_without_undo(ops_sysctl(ops, "net.ipv4.conf." BUILD_LINK ".rp_filter", "2"));
	ops_without_undo(ops_sysctl(ops, "net.ipv6.conf." BUILD_LINK ".accept_ra", "0"));
	station(b, !transit, mac);
	add_inner(b, ops, transit, 4, mac);
	add_inner(b, ops, transit, 6, mac);
}

/* ---- what the others need ---- */

int find_station(struct build *b, json_t *addresses, struct mac *mac)
{
	size_t n = json_array_size(addresses);
	struct duplicate *list = calloc(n ? n : 1, sizeof *list);
	int rc;

	if (!list)
		return out_of_memory(b);
	for (size_t i = 0; i < n; i++)
		addr_parse(&list[i].addr, json_string_value(json_array_get(addresses, i)));
	rc = duplicate_find(b->c->netctl.interface, list, n, PROBES, PROBE_MS, b->err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		for (size_t k = 0; k < list[i].n_stations; k++) {
			if (list[i].station[k].asking)
				continue; /* it would like to have the address, and does not have it */
			*mac = list[i].station[k].mac;
			free(list);
			return 0;
		}
	free(list);
	return rc < 0 ? rc : err_set(b->err, -EHOSTUNREACH, "nobody on %s answers for any of the addresses", b->c->netctl.interface);
}

int add_table(struct build *b, json_t *ops, const char *family, const char *name, char *text)
{
	json_t *made;

	if (!text)
		return out_of_memory(b);
	made = ops_table(ops, family, name, text);
	free(text);
	return made ? 0 : out_of_memory(b);
}

int build_plan(json_t **out, const struct conf *c, struct nl *nl, const char *name, const struct build_wish *wish, struct err *err)
{
	static const struct build_wish none = {0};
	struct build b = {.c = c, .nl = nl, .wish = wish ? wish : &none, .err = err};
	size_t i = 0;
	int rc;

	while (i < N_BUILDERS && strcmp(builders[i].name, name) != 0)
		i++;
	if (i == N_BUILDERS)
		return err_set(err, -EINVAL, "there is no plan \"%.40s\"", name);
	if (!c->netctl.present)
		return err_set(err, -EINVAL, "%s: found no section netctl, expected one with the interface and this host's role", c->file);
	if (!(builders[i].roles & 1u << c->netctl.role))
		return err_set(err, -EPERM, "%s is not for this host: %s:%d says role = \"%s\"", name, c->file, c->netctl.line,
			       role_name(c->netctl.role));
	rc = build_addresses(&b.moved, c, builders[i].make == build_intercept ? BUILD_CLIENT : BUILD_MOVING, err);
	if (rc < 0)
		return rc;
	b.plan = json_pack("{s:s, s:[]}", "plan", name, "stages");
	rc = b.plan ? builders[i].make(&b) : out_of_memory(&b);
	json_decref(b.moved);
	if (rc < 0)
		json_decref(b.plan);
	else
		*out = b.plan;
	return rc;
}
