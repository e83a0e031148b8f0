/* Links: the vxlan between the two hosts, made with one fixed peer and no learning, so that nobody's frame can point it elsewhere. */
#include "netctl/nl_impl.h"
#include "netctl/op.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#define VNI_MAX 0xffffff

bool nl_mac_parse(const char *text, uint8_t out[32], unsigned *len)
{
	unsigned n = 0;
	int used = 0;

	for (; n < 32 && sscanf(text, "%2hhx%n", &out[n], &used) == 1 && used == 2 && *text != '+' && *text != '-'; n++) {
		text += used;
		if (*text != ':')
			break;
		text++;
	}
	*len = n + 1;
	return n < 32 && *text == '\0' && used == 2;
}

void nl_mac_text(const uint8_t *mac, unsigned len, char out[32 * 3])
{
	*out = '\0';
	for (unsigned i = 0; i < len && i < 32; i++)
		sprintf(out + (i ? 3 * i - 1 : 0), i ? ":%02x" : "%02x", mac[i]);
}

/* ---- to messages ---- */

struct vxlan {
	const char *name;
	uint32_t id, mtu;
	uint16_t port;
	struct nl_ip local, remote;
	uint8_t mac[32];
};

static int bad(const json_t *op, const char *member, const char *expected, struct err *err)
{
	const char *text = op_string(op, member);

	return err_set(err, -EINVAL, "op \"link\": found \"%s\" %.60s, expected %s", member,
		       text                          ? text
		       : json_object_get(op, member) ? "of another kind"
						     : "missing",
		       expected);
}

static int number(const json_t *op, const char *member, json_int_t min, json_int_t max, json_int_t dflt, uint32_t *out, struct err *err)
{
	const json_t *v = json_object_get(op, member);
	json_int_t n = v ? json_integer_value(v) : dflt;
	char expected[60];

	if ((!v || json_is_integer(v)) && n >= min && n <= max) {
		*out = (uint32_t)n;
		return 0;
	}
	snprintf(expected, sizeof(expected), "a number from %lld to %lld", (long long)min, (long long)max);
	return bad(op, member, expected, err);
}

static int parse_name(const json_t *op, const char **name, struct err *err)
{
	const char *n = *name = op_string(op, "name");

	if (!n || !*n || strlen(n) >= IF_NAMESIZE || strpbrk(n, "/ \t\n:") || strcmp(n, ".") == 0 || strcmp(n, "..") == 0)
		return bad(op, "name", "the name of an interface", err);
	return 0;
}

static int parse(const json_t *op, struct vxlan *v, struct err *err)
{
	const char *kind = op_string(op, "kind"), *local = op_string(op, "local"), *remote = op_string(op, "remote"),
		   *mac = op_string(op, "mac");
	uint32_t port;
	unsigned len;

	if (parse_name(op, &v->name, err) < 0 || number(op, "id", 0, VNI_MAX, -1, &v->id, err) < 0 ||
	    number(op, "port", 1, UINT16_MAX, -1, &port, err) < 0 || number(op, "mtu", 0, UINT16_MAX, 0, &v->mtu, err) < 0)
		return -EINVAL;
	v->port = (uint16_t)port;
	if (!kind || strcmp(kind, "vxlan") != 0)
		return bad(op, "kind", "\"vxlan\"", err);
	if (!local || !nl_ip_parse(&v->local, local) || v->local.bits >= 0)
		return bad(op, "local", "an IPv4 or IPv6 address", err);
	if (!remote || !nl_ip_parse(&v->remote, remote) || v->remote.bits >= 0 || v->remote.family != v->local.family)
		return bad(op, "remote", "an address of the family of \"local\"", err);
	if (!mac || !nl_mac_parse(mac, v->mac, &len) || len != 6 || (v->mac[0] & 1))
		return bad(op, "mac", "a unicast address such as 02:00:00:00:00:01", err);
	return 0;
}

int nl_link_check(const json_t *op, struct err *err)
{
	static const char *const known[] = {"op", "state", "name", "kind", "id", "local", "remote", "port", "mac", "mtu"};
	struct vxlan v;
	const char *member;
	json_t *value;

	json_object_foreach ((json_t *)op, member, value) {
		size_t i = 0;
		while (i < sizeof(known) / sizeof(*known) && strcmp(known[i], member) != 0)
			i++;
		if (i == sizeof(known) / sizeof(*known))
			return err_set(err, -EINVAL, "op \"link\": found \"%.40s\", which it does not know", member);
	}
	return op_absent(op) ? parse_name(op, &v.name, err) : parse(op, &v, err);
}

int nl_link_canon(const json_t *op, json_t **out, struct err *err)
{
	struct vxlan v = {0};
	char local[NL_IP_TEXT], remote[NL_IP_TEXT], mac[32 * 3];
	int rc = parse(op, &v, err);

	if (rc < 0)
		return rc;
	nl_mac_text(v.mac, 6, mac);
	*out = json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:s,s:s,s:s}", "op", "link", "state", "present", "name", v.name, "kind", "vxlan", "id",
			 (int)v.id, "port", (int)v.port, "local", nl_ip_text(&v.local, local), "remote", nl_ip_text(&v.remote, remote),
			 "mac", mac);
	if (*out && (v.mtu == 0 || json_object_set_new(*out, "mtu", json_integer(v.mtu)) == 0))
		return 0;
	json_decref(*out);
	return err_set(err, -ENOMEM, "out of memory");
}

static struct nl_msg *begin(int type, int flags, unsigned up, const char *name)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);
	struct ifinfomsg h = {.ifi_flags = up, .ifi_change = up};

	if (msg && nlmsg_append(msg, &h, sizeof(h), NLMSG_ALIGNTO) == 0 && nla_put_string(msg, IFLA_IFNAME, name) == 0)
		return msg;
	nlmsg_free(msg);
	return NULL;
}

static bool put_vxlan(struct nl_msg *msg, const struct vxlan *v)
{
	bool v6 = v->local.family == AF_INET6;
	struct nlattr *info = nla_nest_start(msg, IFLA_LINKINFO);

	if (!info || nla_put_string(msg, IFLA_INFO_KIND, "vxlan") < 0)
		return false;
	struct nlattr *data = nla_nest_start(msg, IFLA_INFO_DATA);
	if (!data || nla_put_u32(msg, IFLA_VXLAN_ID, v->id) < 0 ||
	    nla_put(msg, v6 ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL, (int)v->local.size, v->local.b) < 0 ||
	    nla_put(msg, v6 ? IFLA_VXLAN_GROUP6 : IFLA_VXLAN_GROUP, (int)v->remote.size, v->remote.b) < 0 ||
	    nla_put_u16(msg, IFLA_VXLAN_PORT, htons(v->port)) < 0 || nla_put_u8(msg, IFLA_VXLAN_LEARNING, 0) < 0)
		return false;
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return true;
}

int nl_link_encode(const json_t *op, int type, int flags, struct nl_msg **out, struct err *err)
{
	struct vxlan v = {0};
	int rc = type == RTM_NEWLINK ? parse(op, &v, err) : parse_name(op, &v.name, err);

	if (rc < 0)
		return rc;
	struct nl_msg *msg = begin(type, flags, 0, v.name);
	bool whole = msg != NULL;
	if (whole && type == RTM_NEWLINK)
		whole = nla_put(msg, IFLA_ADDRESS, 6, v.mac) == 0 && (v.mtu == 0 || nla_put_u32(msg, IFLA_MTU, v.mtu) == 0) &&
			put_vxlan(msg, &v);
	if (!whole) {
		nlmsg_free(msg);
		return err_set(err, -ENOMEM, "out of memory");
	}
	*out = msg;
	return 0;
}

int nl_link_finish(const json_t *op, struct nl_msg **out)
{
	struct nl_msg *msg = begin(RTM_NEWLINK, 0, IFF_UP, op_string(op, "name"));

	if (!msg || nla_put_string(msg, IFLA_IFALIAS, NL_ALIAS) < 0) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	*out = msg;
	return 0;
}

/* ---- from messages ---- */

static void tell_ip(json_t *obj, const char *member, int family, const struct nlattr *a)
{
	struct nl_ip ip;
	char text[NL_IP_TEXT];

	if (!a || json_object_get(obj, member))
		return;
	nl_ip_from(&ip, family, a, -1);
	json_object_set_new(obj, member, json_string(nl_ip_text(&ip, text)));
}

static void tell_vxlan(json_t *obj, struct nlattr *data)
{
	struct nlattr *tb[IFLA_VXLAN_MAX + 1];

	if (!data || nla_parse_nested(tb, IFLA_VXLAN_MAX, data, NULL) < 0)
		return;
	if (tb[IFLA_VXLAN_ID])
		json_object_set_new(obj, "id", json_integer(nla_get_u32(tb[IFLA_VXLAN_ID])));
	if (tb[IFLA_VXLAN_PORT])
		json_object_set_new(obj, "port", json_integer(ntohs(nla_get_u16(tb[IFLA_VXLAN_PORT]))));
	tell_ip(obj, "local", AF_INET, tb[IFLA_VXLAN_LOCAL]);
	tell_ip(obj, "local", AF_INET6, tb[IFLA_VXLAN_LOCAL6]);
	tell_ip(obj, "remote", AF_INET, tb[IFLA_VXLAN_GROUP]);
	tell_ip(obj, "remote", AF_INET6, tb[IFLA_VXLAN_GROUP6]);
}

static void tell_text(json_t *obj, const char *member, const struct nlattr *a)
{
	if (a)
		json_object_set_new(obj, member, json_stringn_nocheck(nla_data(a), strnlen(nla_data(a), (size_t)nla_len(a))));
}

int nl_link_decode(struct nlmsghdr *h, json_t **out)
{
	const struct ifinfomsg *m = nlmsg_data(h);
	struct nlattr *tb[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1] = {0};
	char mac[32 * 3];
	json_t *obj = json_pack("{s:s,s:s}", "op", "link", "state", "present");

	if (!obj || nlmsg_parse(h, sizeof(*m), tb, IFLA_MAX, NULL) < 0) {
		json_decref(obj);
		return -ENOMEM;
	}
	tell_text(obj, "name", tb[IFLA_IFNAME]);
	tell_text(obj, "alias", tb[IFLA_IFALIAS]);
	if (tb[IFLA_ADDRESS]) {
		nl_mac_text(nla_data(tb[IFLA_ADDRESS]), (unsigned)nla_len(tb[IFLA_ADDRESS]), mac);
		json_object_set_new(obj, "mac", json_string(mac));
	}
	if (tb[IFLA_MTU])
		json_object_set_new(obj, "mtu", json_integer(nla_get_u32(tb[IFLA_MTU])));
	json_object_set_new(obj, "up", json_boolean(m->ifi_flags & IFF_UP));
	if (tb[IFLA_LINKINFO] && nla_parse_nested(info, IFLA_INFO_MAX, tb[IFLA_LINKINFO], NULL) == 0) {
		const char *kind = info[IFLA_INFO_KIND] ? nla_get_string(info[IFLA_INFO_KIND]) : "";
		tell_text(obj, "kind", info[IFLA_INFO_KIND]);
		if (strcmp(kind, "vxlan") == 0)
			tell_vxlan(obj, info[IFLA_INFO_DATA]);
	}
	*out = obj;
	return 0;
}
