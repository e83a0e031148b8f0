/* From JSON to messages. A member that is one attribute is a line in a table; headers and what is nested have a function for each kind. */
#include "netctl/nl_impl.h"
#include "netctl/op.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

struct enc {
	struct nl_msg *msg;
	void *head;
	const struct nl_coder *coder;
	const json_t *op; /* or one of its nexthops */
	struct nl_names *names;
	struct err *err;
	int family;
	bool full; /* an attribute found no room */
};

static int bad(const struct enc *e, const char *member, const char *expected)
{
	const json_t *v = json_object_get(e->op, member);
	char *text = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	int rc = v ? err_set(e->err, -EINVAL, "op \"%s\": found \"%s\" %.80s, expected %s", e->coder->op, member, text ? text : "?",
			     expected)
		   : err_set(e->err, -EINVAL, "op \"%s\": found no \"%s\", expected %s", e->coder->op, member, expected);

	free(text);
	return rc;
}

/* ---- members ---- */

static bool has(const struct enc *e, const char *member)
{
	return json_object_get(e->op, member) != NULL;
}

static int number(const struct enc *e, const char *member, uint32_t max, uint32_t dflt, uint32_t *out)
{
	const json_t *v = json_object_get(e->op, member);

	*out = dflt;
	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > (json_int_t)max)
		return bad(e, member, max == UINT8_MAX ? "a number from 0 to 255" : "a number from 0 to 4294967295");
	*out = (uint32_t)json_integer_value(v);
	return 0;
}

static int truth(const struct enc *e, const char *member, bool *out)
{
	const json_t *v = json_object_get(e->op, member);

	*out = json_is_true(v);
	return !v || json_is_boolean(v) ? 0 : bad(e, member, "true or false");
}

static int word(const struct enc *e, const char *member, const struct nl_word *words, unsigned dflt, unsigned *out)
{
	const json_t *v = json_object_get(e->op, member);
	const char *text = json_string_value(v);

	*out = dflt;
	if (!v)
		return 0;
	if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= UINT8_MAX) {
		*out = (unsigned)json_integer_value(v);
		return 0;
	}
	for (; text && words->word; words++) {
		if (strcmp(words->word, text) == 0) {
			*out = words->number;
			return 0;
		}
	}
	return bad(e, member, "a word that ip(8) knows");
}

static int ip(const struct enc *e, const char *member, struct nl_ip *out)
{
	const char *text = op_string(e->op, member);

	if (text && nl_ip_parse(out, text) && (e->family == AF_UNSPEC || out->family == e->family))
		return 0;
	return bad(e, member,
		   e->family == AF_INET    ? "an IPv4 address"
		   : e->family == AF_INET6 ? "an IPv6 address"
					   : "an IPv4 or IPv6 address");
}

/* A prefix: "default", IP or IP/LEN without host bits. */
static int prefix(const struct enc *e, const char *member, struct nl_ip *out)
{
	const char *text = op_string(e->op, member);

	if (text && strcmp(text, "default") == 0) {
		nl_ip_from(out, e->family, NULL, 0);
		return 0;
	}
	if (ip(e, member, out) < 0)
		return -EINVAL;
	if (out->bits < 0)
		out->bits = (int)out->size * 8;
	for (unsigned i = (unsigned)out->bits; i < out->size * 8; i++) {
		if (out->b[i / 8] & (0x80u >> (i % 8)))
			return bad(e, member, "a prefix without host bits");
	}
	return 0;
}

static int family(struct enc *e)
{
	const char *text = op_string(e->op, "family");

	e->family = text && strcmp(text, "inet") == 0 ? AF_INET : text && strcmp(text, "inet6") == 0 ? AF_INET6 : AF_UNSPEC;
	return e->family != AF_UNSPEC ? 0 : bad(e, "family", "\"inet\" or \"inet6\"");
}

static int device(const struct enc *e, unsigned *index)
{
	const char *name = op_string(e->op, "dev");

	if (!name || !*name || strlen(name) >= IF_NAMESIZE || strchr(name, '/'))
		return bad(e, "dev", "the name of an interface");
	*index = nl_index_of(e->names, name);
	return *index ? 0 : err_set(e->err, -ENODEV, "found no interface %s", name);
}

/* ---- attributes ---- */

static void put(struct enc *e, int type, const void *data, size_t len)
{
	if (nla_put(e->msg, type, (int)len, data) < 0)
		e->full = true;
}

static void put_u32(struct enc *e, int type, uint32_t v)
{
	put(e, type, &v, sizeof(v));
}

static int put_form(struct enc *e, const struct nl_form *f)
{
	const char *text = op_string(e->op, f->member);
	struct nl_ip a;
	uint32_t n;
	uint8_t mac[32];
	unsigned len;

	switch (f->as) {
	case AS_U8:
		if (number(e, f->member, UINT8_MAX, 0, &n) < 0)
			return -EINVAL;
		put(e, f->type, &(uint8_t){(uint8_t)n}, 1);
		return 0;
	case AS_U32:
		if (number(e, f->member, UINT32_MAX, 0, &n) < 0)
			return -EINVAL;
		put_u32(e, f->type, n);
		return 0;
	case AS_IP:
		if (ip(e, f->member, &a) < 0)
			return -EINVAL;
		if (a.bits >= 0)
			return bad(e, f->member, "an address without a prefix length");
		put(e, f->type, a.b, a.size);
		return 0;
	case AS_DEV: {
		int rc = device(e, &n);
		if (rc < 0)
			return rc;
		put_u32(e, f->type, n);
		return 0;
	}
	case AS_TEXT:
		if (!text || !*text || strlen(text) >= IF_NAMESIZE)
			return bad(e, f->member, "a text of 1 to 15 characters");
		put(e, f->type, text, strlen(text) + 1);
		return 0;
	case AS_MAC:
		if (!text || !nl_mac_parse(text, mac, &len))
			return bad(e, f->member, "a link layer address such as 02:00:00:00:00:01");
		put(e, f->type, mac, len);
		return 0;
	}
	return -EINVAL;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What has no name of ours: whole attributes, one after the other. */
static int put_rest(struct enc *e)
{
	const char *text = op_string(e->op, "attrs");
	uint8_t buf[2048];
	size_t len = text ? strlen(text) / 2 : 0;

	if (!has(e, "attrs"))
		return 0;
	if (!text || strlen(text) % 2 || len > sizeof(buf))
		return bad(e, "attrs", "attributes in hexadecimal");
	for (size_t i = 0; i < len; i++) {
		if (hex(text[2 * i]) < 0 || hex(text[2 * i + 1]) < 0)
			return bad(e, "attrs", "attributes in hexadecimal");
		buf[i] = (uint8_t)(hex(text[2 * i]) << 4 | hex(text[2 * i + 1]));
	}
	for (size_t at = 0; at < len;) {
		struct nlattr a;
		if (len - at < sizeof(a))
			return bad(e, "attrs", "whole attributes");
		memcpy(&a, buf + at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > len - at)
			return bad(e, "attrs", "whole attributes");
		put(e, a.nla_type, buf + at + sizeof(a), a.nla_len - sizeof(a));
		size_t padded = NLA_ALIGN(a.nla_len);
		at += padded < len - at ? padded : len - at;
	}
	return 0;
}

/* ---- kinds ---- */

static int lifetimes(struct enc *e)
{
	struct ifa_cacheinfo ci = {0};

	if (number(e, "valid", UINT32_MAX, UINT32_MAX, &ci.ifa_valid) < 0 ||
	    number(e, "preferred", UINT32_MAX, ci.ifa_valid, &ci.ifa_prefered) < 0)
		return -EINVAL;
	if (ci.ifa_valid == 0 || ci.ifa_prefered > ci.ifa_valid)
		return bad(e, "valid", "seconds, no fewer than \"preferred\"");
	if (has(e, "valid") || has(e, "preferred"))
		put(e, IFA_CACHEINFO, &ci, sizeof(ci));
	return 0;
}

static int encode_addr(struct enc *e)
{
	struct ifaddrmsg *h = e->head;
	struct nl_ip local, peer;
	unsigned index, scope;
	uint32_t flags = 0;
	bool on;

	if (ip(e, "address", &local) < 0)
		return -EINVAL;
	e->family = local.family;
	peer = local;
	if (has(e, "peer") && ip(e, "peer", &peer) < 0)
		return -EINVAL;
	int rc = device(e, &index);
	if (rc < 0 || (rc = word(e, "scope", nl_scopes, RT_SCOPE_UNIVERSE, &scope)) < 0)
		return rc;
	for (const struct nl_word *f = nl_addr_flags; f->word; f++) {
		if (truth(e, f->word, &on) < 0)
			return -EINVAL;
		/* IPv4 detects no duplicates, but would show the flag. */
		if (on && (f->number != IFA_F_NODAD || local.family == AF_INET6))
			flags |= f->number;
	}
	h->ifa_family = (uint8_t)local.family;
	h->ifa_prefixlen = (uint8_t)(local.bits < 0 ? (int)local.size * 8 : local.bits);
	h->ifa_flags = (uint8_t)flags;
	h->ifa_scope = (uint8_t)scope;
	h->ifa_index = index;
	put(e, IFA_LOCAL, local.b, local.size);
	put(e, IFA_ADDRESS, peer.b, peer.size);
	put_u32(e, IFA_FLAGS, flags);
	if (!has(e, "protocol"))
		put(e, IFA_PROTO, &(uint8_t){OP_TAG}, 1);
	return lifetimes(e);
}

/* The attributes of one nexthop of several follow it, inside RTA_MULTIPATH. */
static int put_nexthop(struct enc *e, const json_t *nexthop)
{
	static const struct nl_form via = {"via", RTA_GATEWAY, AS_IP};
	struct enc n = *e;
	struct rtnexthop *nh = nlmsg_reserve(e->msg, sizeof(*nh), NLMSG_ALIGNTO);
	unsigned index;
	uint32_t weight;
	bool onlink;

	n.op = nexthop;
	if (!nh)
		return -EMSGSIZE;
	int rc = device(&n, &index);
	if (rc < 0 || (rc = number(&n, "weight", UINT8_MAX, 1, &weight)) < 0 || (rc = truth(&n, "onlink", &onlink)) < 0)
		return rc;
	memset(nh, 0, sizeof(*nh));
	nh->rtnh_ifindex = (int)index;
	nh->rtnh_hops = (uint8_t)(weight ? weight - 1 : 0);
	nh->rtnh_flags = onlink ? RTNH_F_ONLINK : 0;
	if ((has(&n, "via") && (rc = put_form(&n, &via)) < 0) || (rc = put_rest(&n)) < 0)
		return rc;
	e->full |= n.full;
	nh->rtnh_len = (unsigned short)((char *)nlmsg_tail(nlmsg_hdr(e->msg)) - (char *)nh);
	return 0;
}

static int put_nexthops(struct enc *e)
{
	const json_t *list = json_object_get(e->op, "nexthops"), *one;
	size_t i;

	if (!list)
		return 0;
	if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > NL_NEXTHOPS_MAX)
		return bad(e, "nexthops", "an array of 1 to 64 objects");
	struct nlattr *nest = nla_nest_start(e->msg, RTA_MULTIPATH);
	if (!nest)
		return -EMSGSIZE;
	json_array_foreach (list, i, one) {
		int rc = put_nexthop(e, one);
		if (rc < 0)
			return rc;
	}
	nla_nest_end(e->msg, nest);
	return 0;
}

static int encode_route(struct enc *e)
{
	struct rtmsg *h = e->head;
	struct nl_ip dst, src = {0};
	unsigned type, scope;
	uint32_t table, tos, protocol, metric;
	bool onlink;

	if (family(e) < 0 || prefix(e, "dst", &dst) < 0 || (has(e, "from") && prefix(e, "from", &src) < 0) ||
	    word(e, "type", nl_types, RTN_UNICAST, &type) < 0 ||
	    word(e, "scope", nl_scopes, nl_scope_guess(e->op, type, e->family), &scope) < 0 ||
	    number(e, "table", UINT32_MAX, RT_TABLE_MAIN, &table) < 0 || number(e, "tos", UINT8_MAX, 0, &tos) < 0 ||
	    number(e, "protocol", UINT8_MAX, OP_TAG, &protocol) < 0 || number(e, "metric", UINT32_MAX, 0, &metric) < 0 ||
	    truth(e, "onlink", &onlink) < 0)
		return -EINVAL;
	if (table == 0)
		return bad(e, "table", "a number from 1 to 4294967295");
	h->rtm_family = (uint8_t)e->family;
	h->rtm_dst_len = (uint8_t)dst.bits;
	h->rtm_src_len = (uint8_t)src.bits;
	h->rtm_tos = (uint8_t)tos;
	h->rtm_table = (uint8_t)(table <= RT_TABLE_LOCAL ? table : RT_TABLE_COMPAT);
	h->rtm_protocol = (uint8_t)protocol;
	h->rtm_scope = (uint8_t)scope;
	h->rtm_type = (uint8_t)type;
	h->rtm_flags = onlink ? RTNH_F_ONLINK : 0;
	if (dst.bits > 0)
		put(e, RTA_DST, dst.b, dst.size);
	if (src.bits > 0)
		put(e, RTA_SRC, src.b, src.size);
	if (!has(e, "table"))
		put_u32(e, RTA_TABLE, table);
	if (!has(e, "metric") && e->family == AF_INET6)
		put_u32(e, RTA_PRIORITY, 1024); /* named, since a delete without one takes any */
	return put_nexthops(e);
}

static int encode_rule(struct enc *e)
{
	struct fib_rule_hdr *h = e->head;
	struct nl_ip from = {0}, to = {0};
	uint32_t action, table, tos, mark;
	bool invert;

	if (family(e) < 0 || (has(e, "from") && prefix(e, "from", &from) < 0) || (has(e, "to") && prefix(e, "to", &to) < 0) ||
	    number(e, "action", UINT8_MAX, FR_ACT_TO_TBL, &action) < 0 || number(e, "tos", UINT8_MAX, 0, &tos) < 0 ||
	    number(e, "table", UINT32_MAX, 0, &table) < 0 || number(e, "mark", UINT32_MAX, 0, &mark) < 0 || truth(e, "invert", &invert) < 0)
		return -EINVAL;
	if (!has(e, "priority"))
		return bad(e, "priority", "a number from 0 to 4294967295");
	if (!has(e, "table") && !has(e, "action"))
		return bad(e, "table", "a number from 1 to 4294967295");
	h->family = (uint8_t)e->family;
	h->src_len = (uint8_t)from.bits;
	h->dst_len = (uint8_t)to.bits;
	h->tos = (uint8_t)tos;
	h->table = (uint8_t)(table <= RT_TABLE_LOCAL ? table : RT_TABLE_COMPAT);
	h->action = (uint8_t)action;
	h->flags = invert ? FIB_RULE_INVERT : 0;
	if (from.bits > 0)
		put(e, FRA_SRC, from.b, from.size);
	if (to.bits > 0)
		put(e, FRA_DST, to.b, to.size);
	if (has(e, "mark") && !has(e, "mask"))
		put_u32(e, FRA_FWMASK, UINT32_MAX);
	if (!has(e, "protocol"))
		put(e, FRA_PROTOCOL, &(uint8_t){OP_TAG}, 1);
	return 0;
}

static int encode_neigh(struct enc *e)
{
	struct ndmsg *h = e->head;
	struct nl_ip a;
	unsigned index, nud;
	bool router;

	if (ip(e, "address", &a) < 0)
		return -EINVAL;
	if (a.bits >= 0)
		return bad(e, "address", "an address without a prefix length");
	e->family = a.family;
	int rc = device(e, &index);
	if (rc < 0 || (rc = word(e, "nud", nl_nuds, NUD_PERMANENT, &nud)) < 0 || (rc = truth(e, "router", &router)) < 0)
		return rc;
	h->ndm_family = (uint8_t)a.family;
	h->ndm_ifindex = (int)index;
	h->ndm_state = (uint16_t)nud;
	h->ndm_flags = router ? NTF_ROUTER : 0;
	put(e, NDA_DST, a.b, a.size);
	if (!has(e, "protocol"))
		put(e, NDA_PROTOCOL, &(uint8_t){OP_TAG}, 1);
	return 0;
}

/* ---- all of it ---- */

static bool known(const struct nl_coder *c, const char *member)
{
	if (strcmp(member, "op") == 0 || strcmp(member, "state") == 0)
		return true;
	for (const struct nl_form *f = c->forms; f->member; f++) {
		if (strcmp(f->member, member) == 0)
			return true;
	}
	for (const char *const *m = c->members; *m; m++) {
		if (strcmp(*m, member) == 0)
			return true;
	}
	return false;
}

static int fill(struct enc *e, enum nl_kind kind)
{
	static int (*const head[])(struct enc *) = {encode_addr, encode_route, encode_rule, encode_neigh};
	const char *member;
	json_t *v;

	json_object_foreach ((json_t *)e->op, member, v) {
		if (!known(e->coder, member))
			return err_set(e->err, -EINVAL, "op \"%s\": found \"%.40s\", which it does not know", e->coder->op, member);
	}
	int rc = head[kind](e);
	for (const struct nl_form *f = e->coder->forms; rc == 0 && f->member; f++) {
		if (has(e, f->member))
			rc = put_form(e, f);
	}
	return rc == 0 ? put_rest(e) : rc;
}

int nl_encode(enum nl_kind kind, const json_t *op, int type, int flags, struct nl_names *names, struct nl_msg **out, struct err *err)
{
	struct enc e = {.coder = &nl_coders[kind], .op = op, .names = names, .err = err};

	assert(kind != NL_LINK);
	*out = NULL;
	e.msg = nlmsg_alloc_simple(type, flags);
	e.head = e.msg ? nlmsg_reserve(e.msg, e.coder->head, NLMSG_ALIGNTO) : NULL;
	if (!e.head) {
		nlmsg_free(e.msg);
		return err_set(err, -ENOMEM, "out of memory");
	}
	memset(e.head, 0, e.coder->head);
	int rc = fill(&e, kind);
	if (rc == -EMSGSIZE || (rc == 0 && e.full))
		rc = err_set(err, -EMSGSIZE, "op \"%s\": more than one message holds", e.coder->op);
	if (rc < 0)
		nlmsg_free(e.msg);
	else
		*out = e.msg;
	return rc;
}
