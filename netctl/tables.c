#include "netctl/tables.h"

#include "netctl/build.h"
#include "netctl/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_NEW "tcp flags & (fin|syn|rst|ack) != syn"
#define NEW     "tcp flags & (fin|syn|rst|ack) == syn"

unsigned mark_local(const struct conf *c)
{
	return (unsigned)c->netctl.mark;
}

unsigned mark_tunnel(const struct conf *c)
{
	return mark_local(c) << 1;
}

unsigned mark_drain(const struct conf *c)
{
	return mark_local(c) << 2;
}

static bool has_family(json_t *addresses, int family)
{
	size_t i;
	json_t *a;

	json_array_foreach (addresses, i, a)
		if (ops_family(json_string_value(a)) == family)
			return true;
	return false;
}

static void write_list(FILE *f, json_t *addresses, int family)
{
	size_t i;
	json_t *a;
	const char *sep = "";

	json_array_foreach (addresses, i, a) {
		if (ops_family(json_string_value(a)) != family)
			continue;
		fprintf(f, "%s%s", sep, json_string_value(a));
		sep = ", ";
	}
}

static void write_set(FILE *f, json_t *addresses, int family)
{
	fprintf(f, "set moved%d { type ipv%d_addr;", family, family);
	if (has_family(addresses, family)) {
		fputs(" elements = { ", f);
		write_list(f, addresses, family);
		fputs(" };", f);
	}
	fputs(" }\n", f);
}

static char *finish(FILE *f, char **text)
{
	if (f && fclose(f) == 0)
		return *text;
	free(*text);
	return NULL;
}

/* ---- interception ---- */

/* A vxlan device routes its outer packet by the inner one's mark: with it on, the packet would come in here again. */
static void write_unmark(FILE *f, unsigned mark)
{
	fprintf(f,
		"chain postrouting {\n\ttype filter hook postrouting priority mangle; policy accept;\n\toifname \"" BUILD_LINK
		"\" meta mark set meta mark & %#x\n}\n",
		~mark);
}

static void write_services(FILE *f, const struct conf *c, json_t *addresses, int family)
{
	size_t i;
	json_t *a;
	const char *sep = " elements = { ", *end = "";

	fprintf(f, "set svc%d { type ipv%d_addr . inet_service;", family, family);
	json_array_foreach (addresses, i, a) {
		if (ops_family(json_string_value(a)) != family)
			continue;
		for (size_t k = 0; k < c->proxy.n_listeners; k++) {
			const struct conf_listener *l = &c->proxy.listeners[k];

			if (l->address)
				continue; /* it binds its address itself */
			fprintf(f, "%s%s . %u", sep, json_string_value(a), l->port);
			sep = ", ";
			end = " };";
		}
	}
	fprintf(f, "%s }\n", end);
}

bool speaks_as_visitor(const struct conf *c)
{
	for (size_t i = 0; i < c->proxy.n_listeners; i++)
		if (c->proxy.listeners[i].source[1] == SOURCE_TRANSPARENT)
			return true;
	return false;
}

static void write_partners(FILE *f, const struct conf *c, json_t *moved, int family)
{
	char client[ADDR_TEXT_MAX], transit[ADDR_TEXT_MAX];
	const char *sep = " elements = { ", *end = "";
	size_t i;
	json_t *a;

	fprintf(f, "map partner%d { type ipv%d_addr : ipv%d_addr;", family, family, family);
	for (size_t k = 0; k < c->n_pairs; k++) {
		if (addr_family(&c->pairs[k].transit.addr) != (family == 6 ? AF_INET6 : AF_INET))
			continue;
		addr_text(&c->pairs[k].client.addr, client);
		json_array_foreach (moved, i, a) {
			if (strcmp(json_string_value(a), client) != 0)
				continue;
			fprintf(f, "%s%s : %s", sep, client, addr_text(&c->pairs[k].transit.addr, transit));
			sep = ", ";
			end = " };";
		}
	}
	fprintf(f, "%s }\n", end);
}

/* While the proxy is away its listener is no socket that TPROXY could find, and what falls through must not reach the old copy. New
 * connections alone: one that stands is the proxy's, or older than the move. */
static void write_bypass(FILE *f, const struct conf *c, json_t *moved)
{
	bool back = speaks_as_visitor(c);
	unsigned t = mark_tunnel(c);

	write_set(f, moved, 4);
	write_set(f, moved, 6);
	write_partners(f, c, moved, 4);
	write_partners(f, c, moved, 6);
	fputs("chain bypass {\n\ttype nat hook prerouting priority dstnat; policy accept;\n\tsocket transparent 1 return\n", f);
	for (int family = 4; family <= 6; family += 2) {
		const char *ip = family == 6 ? "ip6" : "ip";

		fprintf(f,
			"\t%s daddr @moved%d %s daddr . tcp dport @svc%d " NEW
			" ct mark set ct mark | %#x dnat %s to %s daddr map @partner%d\n",
			ip, family, ip, family, t, ip, ip, family);
	}
	fputs("}\n", f);
	if (back)
		return;
	/* Nothing leads answers back to this host unless they are for it. */
	fprintf(f,
		"chain outwards {\n\ttype nat hook postrouting priority srcnat; policy accept;\n\tct mark & %#x == %#x ct status dnat "
		"masquerade\n}\n",
		t, t);
}

/* The ways of what the proxy has: see table_intercept(). */
static void write_ways(FILE *f, const struct conf *c)
{
	unsigned m = mark_local(c);

	/* What the proxy sends to the local services, and their answers to it, go round through lo with the mark on. */
	fprintf(f, "\tiifname \"lo\" meta mark & %#x == %#x return\n", m, m);
	/* Answers to a visitor's address that the proxy speaks as: they are for it, wherever they come in.
	 * (A SYN may find one of them in TIME_WAIT, when the visitor uses the port again: that is TPROXY's to handle.) */
	fprintf(f, "\t" NOT_NEW " socket transparent 1 meta mark set meta mark | %#x accept\n", m);
}

char *table_intercept_end(const struct conf *c)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	fputs("chain prerouting {\n\ttype filter hook prerouting priority mangle; policy accept;\n", f);
	write_ways(f, c);
	fputs("}\n", f);
	write_unmark(f, mark_tunnel(c));
	return finish(f, &text);
}

char *table_intercept(const struct conf *c, json_t *addresses, json_t *moved)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	unsigned t = mark_tunnel(c);
	bool bypass = json_array_size(moved) > 0;

	if (!f)
		return NULL;
	write_services(f, c, addresses, 4);
	write_services(f, c, addresses, 6);
	/* Its first beat is ours: a table that replaces another must not leave the proxy out until the next one. */
	fputs("set alive { type nf_proto; flags timeout; elements = { ipv4 timeout 800ms, ipv6 timeout 800ms }; }\n", f);
	fputs("chain prerouting {\n\ttype filter hook prerouting priority mangle; policy accept;\n", f);
	write_ways(f, c);
	if (bypass)
		fprintf(f, "\tct direction original ct mark & %#x == %#x meta mark set meta mark | %#x accept\n", t, t, t);
	/* Addresses on their way: what another host is to have must not be given a socket here, or the kernel would not forward it. */
	fprintf(f, "\tmeta mark & %#x == %#x return\n", mark_drain(c), mark_drain(c));
	/* All packets, not SYN alone: with SYN cookies it is the ACK that makes the connection. */
	fprintf(f, "\tmeta nfproto @alive ip daddr . tcp dport @svc4 tproxy ip to :%d\n", c->proxy.intercept_port);
	fprintf(f, "\tmeta nfproto @alive ip6 daddr . tcp dport @svc6 tproxy ip6 to :%d\n}\n", c->proxy.intercept_port);
	write_unmark(f, t);
	if (bypass)
		write_bypass(f, c, moved);
	return finish(f, &text);
}

char *table_reply(const struct conf *c, const char *iif, const char *mac)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	unsigned m = mark_tunnel(c);

	if (!f)
		return NULL;
	fputs("chain prerouting {\n\ttype filter hook prerouting priority mangle; policy accept;\n", f);
	fprintf(f, "\tiifname \"%s\" %s%s meta l4proto tcp meta mark set meta mark | %#x\n}\n", iif, mac ? "ether saddr " : "",
		mac ? mac : "", m);
	write_unmark(f, m);
	return finish(f, &text);
}

/* ---- moving addresses ---- */

char *table_mute_arp(json_t *addresses)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	write_set(f, addresses, 4);
	fputs("chain in { type filter hook input priority filter; policy accept; arp daddr ip @moved4 drop; }\n"
	      "chain out {\n\ttype filter hook output priority filter; policy accept;\n"
	      "\tarp saddr ip @moved4 arp operation request arp saddr ip set 0.0.0.0 accept\n\tarp saddr ip @moved4 drop\n}\n",
	      f);
	return finish(f, &text);
}

/* nft 1.0.6 has no word for the target of a solicitation: 16 bytes behind the ICMPv6 header's eight (RFC 4861 4.3). */
static void write_targets(FILE *f, json_t *addresses)
{
	size_t i;
	json_t *a;
	const char *sep = "";
	struct addr addr;

	fputs("@th,64,128 { ", f);
	json_array_foreach (addresses, i, a) {
		if (!addr_parse(&addr, json_string_value(a)) || addr_family(&addr) != AF_INET6)
			continue;
		fprintf(f, "%s0x", sep);
		for (int k = 0; k < 16; k++)
			fprintf(f, "%02x", addr.v6.sin6_addr.s6_addr[k]);
		sep = ", ";
	}
	fputs(" }", f);
}

char *table_mute_nd(json_t *addresses, const char *link_local)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	write_set(f, addresses, 6);
	fputs("chain in {\n\ttype filter hook input priority filter; policy accept;\n\ticmpv6 type nd-neighbor-solicit ", f);
	write_targets(f, addresses);
	fputs(" drop\n}\nchain out {\n\ttype filter hook output priority filter; policy accept;\n\ticmpv6 type nd-neighbor-advert ", f);
	write_targets(f, addresses);
	fputs(" drop\n\tip6 saddr @moved6 icmpv6 type nd-neighbor-solicit ", f);
	if (link_local)
		fprintf(f, "ip6 saddr set %s\n}\n", link_local);
	else
		fputs("drop\n}\n", f);
	return finish(f, &text);
}

char *table_keep(void)
{
	return strdup("chain prerouting { type filter hook prerouting priority raw + 10; policy accept; ct state vmap { invalid : continue "
		      "}; }\n");
}

/* Both tables decide by connection: what has the mark of the connection follows it, and what goes to `away` begins one. */
static void write_away(FILE *f, const struct conf *c, json_t *addresses)
{
	unsigned m = mark_drain(c);

	write_set(f, addresses, 4);
	write_set(f, addresses, 6);
	fprintf(f, "chain away { ct mark set ct mark | %#x meta mark set meta mark | %#x; }\n", m, m);
}

/* Begins the chain; the caller adds what is new to it, and ends it. It comes before interception, which heeds its mark. */
static void write_decision(FILE *f, const struct conf *c, const char *mac)
{
	unsigned m = mark_drain(c);

	fprintf(f, "chain prerouting {\n\ttype filter hook prerouting priority mangle - 1; policy accept;\n\tiifname != \"%s\" return\n",
		c->netctl.interface);
	if (mac) /* what the other host sends is never sent back */
		fprintf(f, "\tether saddr %s return\n", mac);
	fprintf(f, "\tct mark & %#x == %#x meta mark set meta mark | %#x return\n", m, m, m);
}

/* IPv6 has no sysctl for it: a neighbour would learn of the other host, or of a gateway that is nobody's address. */
static void write_no_redirects(FILE *f)
{
	fputs("chain output {\n\ttype filter hook output priority filter; policy accept;\n\ticmpv6 type nd-redirect drop\n}\n", f);
}

char *table_drain(const struct conf *c, json_t *addresses, const char *mac)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	write_away(f, c, addresses);
	write_decision(f, c, mac);
	for (int family = 4; family <= 6; family += 2)
		fprintf(f, "\t%s daddr @moved%d meta l4proto tcp ct state new " NOT_NEW " goto away\n", family == 6 ? "ip6" : "ip", family);
	fputs("}\n", f);
	write_no_redirects(f);
	write_unmark(f, mark_drain(c));
	return finish(f, &text);
}

char *table_forward(const struct conf *c, json_t *addresses, bool fresh)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	write_away(f, c, addresses);
	/* Of ICMPv6 the echo alone: neighbour discovery must stay here. */
	fputs("chain moved {\n\t" NEW " goto away\n\tmeta l4proto udp ct state new goto away\n\ticmp type echo-request goto away\n"
	      "\ticmpv6 type echo-request goto away\n}\n",
	      f);
	write_decision(f, c, NULL);
	if (fresh)
		fputs("\tip daddr @moved4 goto moved\n\tip6 daddr @moved6 goto moved\n", f);
	fputs("}\n", f);
	write_no_redirects(f);
	write_unmark(f, mark_drain(c));
	return finish(f, &text);
}

char *table_return_path(const struct conf *c, json_t *addresses)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	unsigned m = mark_tunnel(c);

	if (!f)
		return NULL;
	write_set(f, addresses, 4);
	write_set(f, addresses, 6);
	fputs("chain output {\n\ttype route hook output priority mangle; policy accept;\n", f);
	fprintf(f, "\tip saddr @moved4 meta mark set meta mark | %#x\n\tip6 saddr @moved6 meta mark set meta mark | %#x\n}\n", m, m);
	write_unmark(f, m);
	return finish(f, &text);
}
