/* From messages to JSON, and whether a message is one that is looked for. What stands for a default is left out; what the kernel derives
 * (counters, ages, who is secondary) is not told at all: putting it back could not restore it. */
#include "netctl/nl_impl.h"
#include "netctl/op.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USER_HZ 100 /* of rta_expires; the same on every architecture of Debian */

const struct nl_word nl_types[] = {{"unicast", RTN_UNICAST},
				   {"local", RTN_LOCAL},
				   {"broadcast", RTN_BROADCAST},
				   {"anycast", RTN_ANYCAST},
				   {"multicast", RTN_MULTICAST},
				   {"blackhole", RTN_BLACKHOLE},
				   {"unreachable", RTN_UNREACHABLE},
				   {"prohibit", RTN_PROHIBIT},
				   {"throw", RTN_THROW},
				   {"nat", RTN_NAT},
				   {NULL, 0}};
const struct nl_word nl_scopes[] = {{"global", RT_SCOPE_UNIVERSE}, {"site", RT_SCOPE_SITE},       {"link", RT_SCOPE_LINK},
				    {"host", RT_SCOPE_HOST},       {"nowhere", RT_SCOPE_NOWHERE}, {NULL, 0}};
const struct nl_word nl_nuds[] = {{"permanent", NUD_PERMANENT}, {"noarp", NUD_NOARP}, {"stale", NUD_STALE}, {NULL, 0}};
const struct nl_word nl_addr_flags[] = {{"nodad", IFA_F_NODAD},
					{"noprefixroute", IFA_F_NOPREFIXROUTE},
					{"home", IFA_F_HOMEADDRESS},
					{"mngtmpaddr", IFA_F_MANAGETEMPADDR},
					{"autojoin", IFA_F_MCAUTOJOIN},
					{"optimistic", IFA_F_OPTIMISTIC},
					{NULL, 0}};

static const struct nl_form addr_forms[] = {{"label", IFA_LABEL, AS_TEXT},
					    {"broadcast", IFA_BROADCAST, AS_IP},
					    {"metric", IFA_RT_PRIORITY, AS_U32},
					    {"protocol", IFA_PROTO, AS_U8},
					    {NULL, 0, AS_U8}};
static const struct nl_form route_forms[] = {{"table", RTA_TABLE, AS_U32},
					     {"dev", RTA_OIF, AS_DEV},
					     {"via", RTA_GATEWAY, AS_IP},
					     {"src", RTA_PREFSRC, AS_IP},
					     {"metric", RTA_PRIORITY, AS_U32},
					     {"expires", RTA_EXPIRES, AS_U32},
					     {NULL, 0, AS_U8}};
static const struct nl_form rule_forms[] = {
	{"priority", FRA_PRIORITY, AS_U32}, {"table", FRA_TABLE, AS_U32},  {"mark", FRA_FWMARK, AS_U32},      {"mask", FRA_FWMASK, AS_U32},
	{"iif", FRA_IIFNAME, AS_TEXT},      {"oif", FRA_OIFNAME, AS_TEXT}, {"protocol", FRA_PROTOCOL, AS_U8}, {NULL, 0, AS_U8}};
static const struct nl_form neigh_forms[] = {{"lladdr", NDA_LLADDR, AS_MAC}, {"protocol", NDA_PROTOCOL, AS_U8}, {NULL, 0, AS_U8}};

static const char *const addr_members[] = {"address",  "dev",        "peer",  "scope",     "nodad", "noprefixroute", "home", "mngtmpaddr",
					   "autojoin", "optimistic", "valid", "preferred", "dad",   "attrs",         NULL};
static const char *const route_members[] = {"family",   "dst",    "from",     "type",  "scope", "tos",
					    "protocol", "onlink", "nexthops", "place", "attrs", NULL};
static const char *const rule_members[] = {"family", "from", "to", "tos", "action", "invert", "copies", "attrs", NULL};
static const char *const neigh_members[] = {"address", "dev", "nud", "router", "attrs", NULL};

static const int addr_special[] = {IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS, IFA_CACHEINFO, IFA_TARGET_NETNSID, 0};
static const int route_special[] = {RTA_DST, RTA_SRC, RTA_MULTIPATH, RTA_CACHEINFO, 0};
static const int rule_special[] = {FRA_SRC, FRA_DST, 0};
static const int neigh_special[] = {NDA_DST, NDA_CACHEINFO, NDA_PROBES, 0};

const struct nl_coder nl_coders[] = {
	[NL_ADDR] = {"addr", RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR, sizeof(struct ifaddrmsg), addr_forms, addr_members, addr_special},
	[NL_ROUTE] = {"route", RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE, sizeof(struct rtmsg), route_forms, route_members, route_special},
	[NL_RULE] = {"rule", RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE, sizeof(struct fib_rule_hdr), rule_forms, rule_members, rule_special},
	[NL_NEIGH] = {"neigh", RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH, sizeof(struct ndmsg), neigh_forms, neigh_members, neigh_special},
	[NL_LINK] = {"link", RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, sizeof(struct ifinfomsg), NULL, NULL, NULL},
};

/* ---- addresses and interfaces ---- */

bool nl_ip_parse(struct nl_ip *ip, const char *text)
{
	char buf[NL_IP_TEXT], *slash, *end;

	if (strlen(text) >= sizeof(buf))
		return false;
	strcpy(buf, text);
	if ((slash = strchr(buf, '/')))
		*slash++ = '\0';
	*ip = (struct nl_ip){.bits = -1};
	ip->family = strchr(buf, ':') ? AF_INET6 : AF_INET;
	ip->size = ip->family == AF_INET6 ? 16 : 4;
	if (inet_pton(ip->family, buf, ip->b) != 1)
		return false;
	if (!slash)
		return true;
	unsigned long bits = strtoul(slash, &end, 10);
	if (*slash < '0' || *slash > '9' || *end || bits > ip->size * 8)
		return false;
	ip->bits = (int)bits;
	return true;
}

void nl_ip_from(struct nl_ip *ip, int family, const struct nlattr *a, int bits)
{
	*ip = (struct nl_ip){.family = family, .size = family == AF_INET6 ? 16 : 4, .bits = bits};
	if (a && (unsigned)nla_len(a) >= ip->size)
		memcpy(ip->b, nla_data(a), ip->size);
}

char *nl_ip_text(const struct nl_ip *ip, char out[NL_IP_TEXT])
{
	inet_ntop(ip->family, ip->b, out, NL_IP_TEXT);
	if (ip->bits >= 0)
		snprintf(out + strlen(out), NL_IP_TEXT - strlen(out), "/%d", ip->bits);
	return out;
}

unsigned nl_index_of(struct nl_names *names, const char *name)
{
	if (!names || !names->made_up)
		return if_nametoindex(name);
	if (names->n == NL_NEXTHOPS_MAX + 1)
		return 0;
	strcpy(names->name[names->n], name); /* device() has seen to its length */
	return ++names->n;
}

bool nl_name_of(const struct nl_names *names, unsigned index, char out[IF_NAMESIZE])
{
	if (!names || !names->made_up)
		return if_indextoname(index, out) != NULL;
	if (index == 0 || index > names->n)
		return false;
	strcpy(out, names->name[index - 1]);
	return true;
}

unsigned nl_scope_guess(const json_t *route, unsigned type, int family)
{
	const json_t *nexthops = json_object_get(route, "nexthops"), *one;
	bool via = json_object_get(route, "via") != NULL;
	size_t i;

	json_array_foreach (nexthops, i, one)
		via |= json_object_get(one, "via") != NULL;
	if (family == AF_INET6)
		return RT_SCOPE_UNIVERSE;
	if (type == RTN_LOCAL || type == RTN_NAT)
		return RT_SCOPE_HOST;
	if (type == RTN_BROADCAST || type == RTN_MULTICAST || type == RTN_ANYCAST || (type == RTN_UNICAST && !via))
		return RT_SCOPE_LINK;
	return RT_SCOPE_UNIVERSE;
}

/* ---- members ---- */

struct dec {
	json_t *obj;
	const struct nl_names *names;
	int family;
	bool failed; /* memory is out: a member is missing */
};

static void tell(struct dec *d, const char *member, json_t *v)
{
	d->failed |= json_object_set_new(d->obj, member, v) < 0;
}

static void tell_ip(struct dec *d, const char *member, const struct nl_ip *ip)
{
	char text[NL_IP_TEXT];

	tell(d, member, json_string(nl_ip_text(ip, text)));
}

static void tell_word(struct dec *d, const char *member, const struct nl_word *words, unsigned number)
{
	while (words->word && words->number != number)
		words++;
	tell(d, member, words->word ? json_string(words->word) : json_integer(number));
}

static void tell_dev(struct dec *d, const char *member, unsigned index)
{
	char name[IF_NAMESIZE];

	if (nl_name_of(d->names, index, name)) /* else it went while we read */
		tell(d, member, json_string(name));
}

static uint32_t u32_of(const struct nlattr *a, uint32_t none)
{
	return a && nla_len(a) >= 4 ? nla_get_u32(a) : none;
}

static void tell_form(struct dec *d, const struct nl_form *f, struct nlattr *a)
{
	struct nl_ip ip;
	char mac[32 * 3];

	switch (f->as) {
	case AS_U8:
		tell(d, f->member, json_integer(nla_len(a) >= 1 ? nla_get_u8(a) : 0));
		break;
	case AS_U32:
		tell(d, f->member, json_integer(u32_of(a, 0)));
		break;
	case AS_IP:
		nl_ip_from(&ip, d->family, a, -1);
		tell_ip(d, f->member, &ip);
		break;
	case AS_DEV:
		tell_dev(d, f->member, u32_of(a, 0));
		break;
	case AS_TEXT:
		tell(d, f->member, json_stringn_nocheck(nla_data(a), strnlen(nla_data(a), (size_t)nla_len(a))));
		break;
	case AS_MAC:
		nl_mac_text(nla_data(a), (unsigned)nla_len(a), mac);
		tell(d, f->member, json_string(mac));
		break;
	}
}

static void add_hex(char *out, size_t cap, const struct nlattr *a)
{
	const unsigned char *p = (const void *)a;
	size_t at = strlen(out), padded = NLA_ALIGN(a->nla_len);

	for (size_t i = 0; i < padded && at + 2 < cap; i++, at += 2)
		snprintf(out + at, cap - at, "%02x", i < a->nla_len ? p[i] : 0);
}

/* Attributes that say "none", which the kernel nevertheless sends. */
static bool says_nothing(enum nl_kind kind, const struct nlattr *a)
{
	int type = nla_type(a);

	if (kind == NL_ROUTE)
		return (type == RTA_PREF && nla_len(a) >= 1 && nla_get_u8(a) == 0) || type == RTA_PAD;
	if (kind == NL_RULE)
		return ((type == FRA_SUPPRESS_PREFIXLEN || type == FRA_SUPPRESS_IFGROUP) && u32_of(a, 0) == UINT32_MAX) || type == FRA_PAD;
	return false;
}

static const struct nl_form *form_of(const struct nl_coder *c, int type)
{
	for (const struct nl_form *f = c->forms; f->member; f++) {
		if (f->type == type)
			return f;
	}
	return NULL;
}

static bool is_special(const struct nl_coder *c, int type)
{
	for (const int *s = c->special; *s; s++) {
		if (*s == type)
			return true;
	}
	return false;
}

static void tell_attrs(struct dec *d, enum nl_kind kind, struct nlmsghdr *h)
{
	const struct nl_coder *c = &nl_coders[kind];
	char rest[4096] = "";
	struct nlattr *a;
	int rem;

	nlmsg_for_each_attr(a, h, (int)c->head, rem)
	{
		const struct nl_form *f = form_of(c, nla_type(a));
		if (f)
			tell_form(d, f, a);
		else if (!is_special(c, nla_type(a)) && !says_nothing(kind, a))
			add_hex(rest, sizeof(rest), a);
	}
	if (*rest)
		tell(d, "attrs", json_string(rest));
}

static bool member_is(const struct dec *d, const char *member, json_int_t value)
{
	const json_t *v = json_object_get(d->obj, member);

	return json_is_integer(v) && json_integer_value(v) == value;
}

static void leave_out(struct dec *d, const char *member, json_int_t value)
{
	if (member_is(d, member, value))
		json_object_del(d->obj, member);
}

/* ---- kinds ---- */

static void decode_addr(struct dec *d, struct nlmsghdr *h)
{
	const struct ifaddrmsg *m = nlmsg_data(h);
	struct nlattr *local = nlmsg_find_attr(h, sizeof(*m), IFA_LOCAL), *remote = nlmsg_find_attr(h, sizeof(*m), IFA_ADDRESS),
		      *ci = nlmsg_find_attr(h, sizeof(*m), IFA_CACHEINFO);
	uint32_t flags = u32_of(nlmsg_find_attr(h, sizeof(*m), IFA_FLAGS), m->ifa_flags);
	struct nl_ip ip, peer;
	struct ifa_cacheinfo life = {.ifa_prefered = UINT32_MAX, .ifa_valid = UINT32_MAX};

	nl_ip_from(&ip, m->ifa_family, local ? local : remote, m->ifa_prefixlen);
	nl_ip_from(&peer, m->ifa_family, remote, -1);
	tell_ip(d, "address", &ip);
	tell_dev(d, "dev", m->ifa_index);
	if (remote && memcmp(peer.b, ip.b, ip.size) != 0)
		tell_ip(d, "peer", &peer);
	if (m->ifa_family == AF_INET && m->ifa_scope != RT_SCOPE_UNIVERSE)
		tell_word(d, "scope", nl_scopes, m->ifa_scope);
	for (const struct nl_word *f = nl_addr_flags; f->word; f++) {
		if (flags & f->number)
			tell(d, f->word, json_true());
	}
	if (ci && nla_len(ci) >= (int)sizeof(life))
		memcpy(&life, nla_data(ci), sizeof(life));
	if ((flags & IFA_F_DEPRECATED) && life.ifa_prefered == UINT32_MAX) /* as IPv4 tells it of one that stays for ever */
		life.ifa_prefered = 0;
	if (life.ifa_valid != UINT32_MAX)
		tell(d, "valid", json_integer(life.ifa_valid));
	if (life.ifa_prefered != life.ifa_valid)
		tell(d, "preferred", json_integer(life.ifa_prefered));
	if (flags & IFA_F_DADFAILED)
		tell(d, "dad", json_string("failed"));
	else if ((flags & IFA_F_TENTATIVE) && !(flags & IFA_F_OPTIMISTIC))
		tell(d, "dad", json_string("tentative"));
}

static void after_addr(struct dec *d)
{
	const char *label = op_string(d->obj, "label"), *dev = op_string(d->obj, "dev");

	if (label && dev && strcmp(label, dev) == 0)
		json_object_del(d->obj, "label");
	leave_out(d, "metric", 0);
	if (!json_object_get(d->obj, "protocol"))
		tell(d, "protocol", json_integer(0));
}

static json_t *nexthop(struct dec *d, struct rtnexthop *nh)
{
	struct dec n = {.obj = json_object(), .names = d->names, .family = d->family};
	struct nlattr *a;
	int rem;
	char rest[512] = "";

	tell_dev(&n, "dev", (unsigned)nh->rtnh_ifindex);
	if (nh->rtnh_hops)
		tell(&n, "weight", json_integer(nh->rtnh_hops + 1));
	if (nh->rtnh_flags & RTNH_F_ONLINK)
		tell(&n, "onlink", json_true());
	nla_for_each_attr(a, (struct nlattr *)(nh + 1), nh->rtnh_len - (int)sizeof(*nh), rem)
	{
		if (nla_type(a) == RTA_GATEWAY)
			tell_form(&n, &(struct nl_form){"via", RTA_GATEWAY, AS_IP}, a);
		else
			add_hex(rest, sizeof(rest), a);
	}
	if (*rest)
		tell(&n, "attrs", json_string(rest));
	d->failed |= n.failed;
	return n.obj;
}

static void tell_nexthops(struct dec *d, struct nlattr *multi)
{
	json_t *list = json_array();
	struct rtnexthop *nh = nla_data(multi);

	for (int left = nla_len(multi); RTNH_OK(nh, left); left -= NLMSG_ALIGN(nh->rtnh_len), nh = RTNH_NEXT(nh))
		d->failed |= json_array_append_new(list, nexthop(d, nh)) < 0;
	tell(d, "nexthops", list);
}

static void decode_route(struct dec *d, struct nlmsghdr *h)
{
	const struct rtmsg *m = nlmsg_data(h);
	struct nlattr *dst = nlmsg_find_attr(h, sizeof(*m), RTA_DST), *src = nlmsg_find_attr(h, sizeof(*m), RTA_SRC),
		      *multi = nlmsg_find_attr(h, sizeof(*m), RTA_MULTIPATH), *ci = nlmsg_find_attr(h, sizeof(*m), RTA_CACHEINFO);
	struct rta_cacheinfo cache;
	struct nl_ip ip;

	tell(d, "family", json_string(m->rtm_family == AF_INET ? "inet" : "inet6"));
	nl_ip_from(&ip, m->rtm_family, dst, m->rtm_dst_len);
	if (m->rtm_dst_len)
		tell_ip(d, "dst", &ip);
	else
		tell(d, "dst", json_string("default"));
	nl_ip_from(&ip, m->rtm_family, src, m->rtm_src_len);
	if (m->rtm_src_len)
		tell_ip(d, "from", &ip);
	tell_word(d, "type", nl_types, m->rtm_type);
	tell(d, "protocol", json_integer(m->rtm_protocol));
	if (m->rtm_tos)
		tell(d, "tos", json_integer(m->rtm_tos));
	if ((m->rtm_flags & RTNH_F_ONLINK) && !multi)
		tell(d, "onlink", json_true());
	if (multi)
		tell_nexthops(d, multi);
	if (ci && nla_len(ci) >= (int)sizeof(cache)) {
		memcpy(&cache, nla_data(ci), sizeof(cache));
		if (cache.rta_expires > 0)
			tell(d, "expires", json_integer(cache.rta_expires / USER_HZ));
	}
}

static void after_route(struct dec *d, struct nlmsghdr *h)
{
	static const char *const of_nexthop[] = {"dev", "via", "onlink", "nexthops"};
	const struct rtmsg *m = nlmsg_data(h);
	bool object = nlmsg_find_attr(h, sizeof(*m), RTA_NH_ID) != NULL;
	bool no_dev =
		m->rtm_type == RTN_BLACKHOLE || m->rtm_type == RTN_UNREACHABLE || m->rtm_type == RTN_PROHIBIT || m->rtm_type == RTN_THROW;

	leave_out(d, "metric", m->rtm_family == AF_INET6 ? 1024 : 0);
	leave_out(d, "metric", 0);
	leave_out(d, "expires", 0);
	/* IPv6 shows such a route on lo; a nexthop object says all by its number, and the kernel takes no more than that. */
	for (size_t i = 0; (object || no_dev) && i < sizeof(of_nexthop) / sizeof(*of_nexthop); i++)
		json_object_del(d->obj, of_nexthop[i]);
	if (m->rtm_scope != nl_scope_guess(d->obj, m->rtm_type, m->rtm_family))
		tell_word(d, "scope", nl_scopes, m->rtm_scope);
}

static void decode_rule(struct dec *d, struct nlmsghdr *h)
{
	const struct fib_rule_hdr *m = nlmsg_data(h);
	struct nl_ip ip;

	tell(d, "family", json_string(m->family == AF_INET ? "inet" : "inet6"));
	tell(d, "priority", json_integer(0)); /* has no attribute then */
	nl_ip_from(&ip, m->family, nlmsg_find_attr(h, sizeof(*m), FRA_SRC), m->src_len);
	if (m->src_len)
		tell_ip(d, "from", &ip);
	nl_ip_from(&ip, m->family, nlmsg_find_attr(h, sizeof(*m), FRA_DST), m->dst_len);
	if (m->dst_len)
		tell_ip(d, "to", &ip);
	if (m->action != FR_ACT_TO_TBL)
		tell(d, "action", json_integer(m->action));
	if (m->tos)
		tell(d, "tos", json_integer(m->tos));
	if (m->flags & FIB_RULE_INVERT)
		tell(d, "invert", json_true());
	tell(d, "protocol", json_integer(0));
}

static void after_rule(struct dec *d, struct nlmsghdr *h)
{
	const struct fib_rule_hdr *m = nlmsg_data(h);

	if (json_object_get(d->obj, "mark"))
		leave_out(d, "mask", UINT32_MAX);
	if (m->action != FR_ACT_TO_TBL)
		leave_out(d, "table", 0);
}

static void decode_neigh(struct dec *d, struct nlmsghdr *h)
{
	const struct ndmsg *m = nlmsg_data(h);
	struct nl_ip ip;

	nl_ip_from(&ip, m->ndm_family, nlmsg_find_attr(h, sizeof(*m), NDA_DST), -1);
	tell_ip(d, "address", &ip);
	tell_dev(d, "dev", (unsigned)m->ndm_ifindex);
	if (m->ndm_state != NUD_PERMANENT)
		tell(d, "nud", json_string(m->ndm_state & NUD_NOARP ? "noarp" : m->ndm_state == NUD_STALE ? "stale" : "dynamic"));
	if (m->ndm_flags & NTF_ROUTER)
		tell(d, "router", json_true());
	tell(d, "protocol", json_integer(0));
}

int nl_decode(enum nl_kind kind, struct nlmsghdr *h, const struct nl_names *names, json_t **out)
{
	struct dec d = {.obj = json_object(), .names = names, .family = *(const uint8_t *)nlmsg_data(h)}; /* every header begins so */

	tell(&d, "op", json_string(nl_coders[kind].op));
	tell(&d, "state", json_string("present"));
	if (kind == NL_ADDR)
		decode_addr(&d, h);
	else if (kind == NL_ROUTE)
		decode_route(&d, h);
	else if (kind == NL_RULE)
		decode_rule(&d, h);
	else
		decode_neigh(&d, h);
	tell_attrs(&d, kind, h);
	if (kind == NL_ADDR)
		after_addr(&d);
	else if (kind == NL_ROUTE)
		after_route(&d, h);
	else if (kind == NL_RULE)
		after_rule(&d, h);
	if (d.failed) {
		json_decref(d.obj);
		return -ENOMEM;
	}
	*out = d.obj;
	return 0;
}

/* ---- is it looked for? ---- */

static bool same_ip(const struct nl_ip *want, const struct nlattr *a, int bits)
{
	static const uint8_t zero[16];

	if (want->family == AF_UNSPEC)
		return true;
	if (want->bits >= 0 && bits != want->bits)
		return false;
	return memcmp(want->b, a && nla_len(a) >= (int)want->size ? nla_data(a) : zero, want->size) == 0;
}

static bool same_number(int64_t want, const struct nlattr *a, uint32_t none)
{
	return want < 0 || want == u32_of(a, none);
}

static bool same_u8(int64_t want, const struct nlattr *a)
{
	return want < 0 || want == (a && nla_len(a) >= 1 ? nla_get_u8(a) : 0);
}

static bool goes_through(struct nlmsghdr *h, unsigned ifindex)
{
	struct nlattr *multi = nlmsg_find_attr(h, sizeof(struct rtmsg), RTA_MULTIPATH);
	struct rtnexthop *nh = multi ? nla_data(multi) : NULL;

	if (ifindex == 0 || u32_of(nlmsg_find_attr(h, sizeof(struct rtmsg), RTA_OIF), 0) == ifindex)
		return true;
	for (int left = multi ? nla_len(multi) : 0; nh && RTNH_OK(nh, left); left -= NLMSG_ALIGN(nh->rtnh_len), nh = RTNH_NEXT(nh)) {
		if ((unsigned)nh->rtnh_ifindex == ifindex)
			return true;
	}
	return false;
}

static bool wanted_addr(struct nlmsghdr *h, const struct nl_want *w)
{
	const struct ifaddrmsg *m = nlmsg_data(h);
	struct nlattr *local = nlmsg_find_attr(h, sizeof(*m), IFA_LOCAL);

	return (w->ifindex == 0 || m->ifa_index == w->ifindex) &&
	       same_ip(&w->ip, local ? local : nlmsg_find_attr(h, sizeof(*m), IFA_ADDRESS), m->ifa_prefixlen) &&
	       same_u8(w->protocol, nlmsg_find_attr(h, sizeof(*m), IFA_PROTO));
}

static bool wanted_route(struct nlmsghdr *h, const struct nl_want *w)
{
	const struct rtmsg *m = nlmsg_data(h);

	return !(m->rtm_flags & RTM_F_CLONED) && same_number(w->table, nlmsg_find_attr(h, sizeof(*m), RTA_TABLE), m->rtm_table) &&
	       (w->protocol < 0 || w->protocol == m->rtm_protocol) &&
	       same_ip(&w->ip, nlmsg_find_attr(h, sizeof(*m), RTA_DST), m->rtm_dst_len) &&
	       same_number(w->metric, nlmsg_find_attr(h, sizeof(*m), RTA_PRIORITY), 0) &&
	       same_ip(&w->src, nlmsg_find_attr(h, sizeof(*m), RTA_PREFSRC), -1) && goes_through(h, w->ifindex);
}

bool nl_wanted(enum nl_kind kind, struct nlmsghdr *h, const struct nl_want *w)
{
	if (h->nlmsg_type != nl_coders[kind].make || !nlmsg_valid_hdr(h, (int)nl_coders[kind].head))
		return false;
	int family = *(const uint8_t *)nlmsg_data(h);
	if ((family != AF_INET && family != AF_INET6) || (w->family != AF_UNSPEC && w->family != family))
		return false;
	if (kind == NL_ADDR)
		return wanted_addr(h, w);
	if (kind == NL_ROUTE)
		return wanted_route(h, w);
	if (kind == NL_RULE)
		return same_number(w->priority, nlmsg_find_attr(h, sizeof(struct fib_rule_hdr), FRA_PRIORITY), 0) &&
		       same_u8(w->protocol, nlmsg_find_attr(h, sizeof(struct fib_rule_hdr), FRA_PROTOCOL));
	const struct ndmsg *m = nlmsg_data(h);
	return (w->ifindex == 0 || (unsigned)m->ndm_ifindex == w->ifindex) &&
	       same_ip(&w->ip, nlmsg_find_attr(h, sizeof(*m), NDA_DST), -1) &&
	       same_u8(w->protocol, nlmsg_find_attr(h, sizeof(*m), NDA_PROTOCOL));
}
