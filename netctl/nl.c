/* One socket, one request at a time, its answer read to the end before the next. An exchange that broke off leaves answers behind: their
 * sequence number is not ours any more, and they are passed over. */
#include "netctl/nl_impl.h"
#include "netctl/op.h"

#include "lib/member.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ANSWER_S   5
#define BUFFER     65536 /* no message of a dump is longer */
#define DUMP_TRIES 5

struct nl {
	struct nl_sock *sk;
};

/* ---- the socket ---- */

static int sys_error(int nle)
{
	switch (-nle) {
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_AGAIN:
		return -ETIMEDOUT;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	default:
		return -EIO;
	}
}

int nl_new(struct nl **out, struct err *err)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct timeval patience = {.tv_sec = ANSWER_S};
	struct nl *nl = calloc(1, sizeof(*nl));
	int on = 1;

	if (!nl || !(nl->sk = nl_socket_alloc())) {
		nl_free(nl);
		return err_set(err, -ENOMEM, "out of memory");
	}
	int rc = nl_connect(nl->sk, NETLINK_ROUTE);
	if (rc < 0) {
		err_set(err, sys_error(rc), "cannot open a netlink socket: %s", nl_geterror(rc));
		nl_free(nl);
		return sys_error(rc);
	}
	int fd = nl_socket_get_fd(nl->sk);
	nl_socket_set_buffer_size(nl->sk, 1 << 20, 1 << 20);
	nl_socket_set_msg_buf_size(nl->sk, BUFFER);
	nl_socket_disable_msg_peek(nl->sk);
	/* These make errors and dumps better; a kernel that lacks one is served all the same. */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	/* Connected, no other process's message reaches it. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)) < 0) {
		rc = err_errno(err, -errno, "cannot set up a netlink socket");
		nl_free(nl);
		return rc;
	}
	*out = nl;
	return 0;
}

void nl_free(struct nl *nl)
{
	if (nl)
		nl_socket_free(nl->sk);
	free(nl);
}

/* ---- one exchange ---- */

struct exchange {
	int (*on_message)(struct exchange *x, struct nlmsghdr *h); /* 0 or -errno; or NULL */
	struct err *err;
	unsigned seq;
	bool done, interrupted;
	int rc;
	/* for on_message */
	enum nl_kind kind;
	const struct nl_want *want;
	const json_t *like;
	json_t *out;
};

static int refused(struct exchange *x, int code, const char *words)
{
	if (code == -EPERM || code == -EACCES) {
		if (!words || !*words || code == -EPERM)
			return err_set(x->err, code, "needs root (CAP_NET_ADMIN)");
	}
	return words && *words ? err_errno(x->err, code, "%s", words) : err_errno(x->err, code, "the kernel refuses it");
}

/* The kernel's own words, where it sent some (NLMSGERR_ATTR_MSG). */
static void on_error(struct exchange *x, struct nlmsghdr *h)
{
	const struct nlmsgerr *e = nlmsg_data(h);
	size_t skip = sizeof(*e);
	struct nlattr *words = NULL;

	x->done = true;
	if (nlmsg_datalen(h) < (int)sizeof(*e) || e->error == 0 || x->rc < 0)
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += e->msg.nlmsg_len - NLMSG_HDRLEN;
	if ((h->nlmsg_flags & NLM_F_ACK_TLVS) && (size_t)nlmsg_datalen(h) > skip)
		words = nlmsg_find_attr(h, (int)skip, NLMSGERR_ATTR_MSG);
	x->rc = refused(x, e->error, words ? nla_get_string(words) : NULL);
}

static void on_done(struct exchange *x, struct nlmsghdr *h)
{
	int code = 0;

	x->done = true;
	if (nlmsg_datalen(h) >= (int)sizeof(code))
		memcpy(&code, nlmsg_data(h), sizeof(code));
	if (code < 0 && x->rc == 0)
		x->rc = refused(x, code, NULL);
}

static void on_datagram(struct exchange *x, unsigned char *buf, int len)
{
	for (struct nlmsghdr *h = (struct nlmsghdr *)buf; nlmsg_ok(h, len) && !x->done; h = nlmsg_next(h, &len)) {
		if (h->nlmsg_seq != x->seq)
			continue;
		x->interrupted |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		if (h->nlmsg_type == NLMSG_ERROR)
			on_error(x, h);
		else if (h->nlmsg_type == NLMSG_DONE)
			on_done(x, h);
		else if (h->nlmsg_type >= NLMSG_MIN_TYPE && x->on_message && x->rc == 0)
			x->rc = x->on_message(x, h); /* the rest is read all the same */
	}
}

/* Takes msg. */
static int exchange(struct nl *nl, struct nl_msg *msg, struct exchange *x)
{
	int rc = nl_send_auto(nl->sk, msg);

	x->seq = nlmsg_hdr(msg)->nlmsg_seq;
	nlmsg_free(msg);
	if (rc < 0)
		return err_set(x->err, sys_error(rc), "cannot ask the kernel: %s", nl_geterror(rc));
	while (!x->done) {
		struct sockaddr_nl from;
		unsigned char *buf = NULL;
		int n = nl_recv(nl->sk, &from, &buf, NULL);
		if (n <= 0)
			return err_set(x->err, n < 0 ? sys_error(n) : -EIO, "no answer of the kernel: %s", nl_geterror(n));
		if (from.nl_pid == 0)
			on_datagram(x, buf, n);
		free(buf);
	}
	return x->rc;
}

/* ---- what is there ---- */

static int on_found(struct exchange *x, struct nlmsghdr *h)
{
	json_t *obj = NULL;

	if (!nl_wanted(x->kind, h, x->want))
		return 0;
	int rc = nl_decode(x->kind, h, NULL, &obj);
	if (rc < 0 || json_array_append_new(x->out, obj) < 0)
		return err_set(x->err, -ENOMEM, "out of memory");
	return 0;
}

static int on_link(struct exchange *x, struct nlmsghdr *h)
{
	const char *name = op_string(x->like, "name"), *alias = op_string(x->like, "alias"), *found;
	json_t *obj = NULL;

	if (h->nlmsg_type != RTM_NEWLINK)
		return 0;
	if (nl_link_decode(h, &obj) < 0)
		return err_set(x->err, -ENOMEM, "out of memory");
	if ((name && (!(found = op_string(obj, "name")) || strcmp(found, name) != 0)) ||
	    (alias && (!(found = op_string(obj, "alias")) || strcmp(found, alias) != 0))) {
		json_decref(obj);
		return 0;
	}
	return json_array_append_new(x->out, obj) < 0 ? err_set(x->err, -ENOMEM, "out of memory") : 0;
}

/* A dump's request, as narrow as the kernel can filter; what it cannot, nl_wanted() does. Not by the interface of addresses: such a dump
 * the kernel does not mark as interrupted. */
static struct nl_msg *dump_request(enum nl_kind kind, int family, const struct nl_want *w)
{
	struct nl_msg *msg = nlmsg_alloc_simple(nl_coders[kind].get, NLM_F_DUMP);
	union {
		struct ifaddrmsg addr;
		struct rtmsg route;
		struct fib_rule_hdr rule;
		struct ndmsg neigh;
		struct ifinfomsg link;
	} h;
	int rc = msg ? 0 : -NLE_NOMEM;

	memset(&h, 0, sizeof(h));
	*(uint8_t *)&h = (uint8_t)family;
	if (kind == NL_ROUTE && w->protocol > 0)
		h.route.rtm_protocol = (uint8_t)w->protocol;
	if (rc == 0)
		rc = nlmsg_append(msg, &h, nl_coders[kind].head, NLMSG_ALIGNTO);
	if (rc == 0 && kind == NL_ROUTE && w->table > 0)
		rc = nla_put_u32(msg, RTA_TABLE, (uint32_t)w->table);
	if (rc == 0 && kind == NL_NEIGH && w->ifindex)
		rc = nla_put_u32(msg, NDA_IFINDEX, w->ifindex);
	if (rc == 0 && kind == NL_LINK)
		rc = nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (rc == 0)
		return msg;
	nlmsg_free(msg);
	return NULL;
}

static int dump(struct nl *nl, enum nl_kind kind, int family, const struct nl_want *w, const json_t *like, json_t *out, struct err *err)
{
	size_t before = json_array_size(out);

	for (int i = 0; i < DUMP_TRIES; i++) {
		struct exchange x = {.on_message = kind == NL_LINK ? on_link : on_found, .err = err};
		struct nl_msg *msg = dump_request(kind, family, w);
		if (!msg)
			return err_set(err, -ENOMEM, "out of memory");
		x.kind = kind;
		x.want = w;
		x.like = like;
		x.out = out;
		int rc = exchange(nl, msg, &x);
		if (rc == -ENOENT || rc == -ENODEV || rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP)
			return 0; /* no such table, interface, or family */
		if (rc < 0 || !x.interrupted)
			return rc;
		while (json_array_size(out) > before)
			json_array_remove(out, before);
	}
	return err_set(err, -EAGAIN, "what the kernel has changed %d times while it was read", DUMP_TRIES);
}

/* False where nothing can be like it. */
static bool want_of(enum nl_kind kind, const json_t *like, struct nl_want *w)
{
	const char *family = op_string(like, "family"), *dev = op_string(like, "dev"), *src = op_string(like, "src"),
		   *ip = op_string(like, kind == NL_ROUTE ? "dst" : "address");

	*w = (struct nl_want){.table = member_int_or(like, "table", -1),
			      .metric = member_int_or(like, "metric", -1),
			      .priority = member_int_or(like, "priority", -1),
			      .protocol = member_int_or(like, "protocol", -1)};
	w->family = !family ? AF_UNSPEC : strcmp(family, "inet6") == 0 ? AF_INET6 : AF_INET;
	if (kind == NL_LINK)
		return true;
	if (dev && !(w->ifindex = if_nametoindex(dev)))
		return false;
	if (src && !nl_ip_parse(&w->src, src))
		return false;
	if (ip && kind == NL_ROUTE && strcmp(ip, "default") == 0)
		nl_ip_from(&w->ip, w->family, NULL, 0);
	else if (ip && !nl_ip_parse(&w->ip, ip))
		return false;
	if (ip && kind == NL_ROUTE && w->ip.bits < 0)
		w->ip.bits = (int)w->ip.size * 8;
	if (w->family == AF_UNSPEC)
		w->family = ip ? w->ip.family : src ? w->src.family : AF_UNSPEC;
	return true;
}

int nl_find(struct nl *nl, enum nl_kind kind, const json_t *like, json_t *out, struct err *err)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct nl_want w;

	if (!want_of(kind, like, &w))
		return 0;
	if (kind == NL_LINK)
		return dump(nl, kind, AF_UNSPEC, &w, like, out, err);
	/* One by one: a kernel without IPv6 answers for all families, and nl_wanted() then drops what was asked for before. */
	for (int i = 0; i < 2; i++) {
		struct nl_want one = w;
		if (w.family != AF_UNSPEC && w.family != families[i])
			continue;
		one.family = families[i];
		int rc = dump(nl, kind, families[i], &one, like, out, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- what shall be there ---- */

int nl_check(enum nl_kind kind, const json_t *op, struct err *err)
{
	struct nl_names names = {.made_up = true};
	struct nl_msg *msg;

	if (kind == NL_LINK)
		return nl_link_check(op, err);
	int rc = nl_encode(kind, op, nl_coders[kind].make, 0, &names, &msg, err);
	if (rc == 0)
		nlmsg_free(msg);
	return rc;
}

int nl_canon(enum nl_kind kind, const json_t *op, json_t **out, struct err *err)
{
	struct nl_names names = {.made_up = true};
	struct nl_msg *msg;

	if (kind == NL_LINK)
		return nl_link_canon(op, out, err);
	int rc = nl_encode(kind, op, nl_coders[kind].make, 0, &names, &msg, err);
	if (rc < 0)
		return rc;
	rc = nl_decode(kind, nlmsg_hdr(msg), &names, out);
	nlmsg_free(msg);
	return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

static int send_one(struct nl *nl, struct nl_msg *msg, struct err *err)
{
	struct exchange x = {.err = err};

	return exchange(nl, msg, &x);
}

static int put_link(struct nl *nl, const json_t *obj, struct err *err)
{
	struct nl_msg *msg;
	int rc = nl_link_encode(obj, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &msg, err);

	if (rc < 0)
		return rc;
	rc = send_one(nl, msg, err);
	if (rc == -EOPNOTSUPP)
		return err_set(err, rc, "this kernel has no vxlan (module vxlan)");
	if (rc < 0)
		return rc;
	if (nl_link_finish(obj, &msg) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return send_one(nl, msg, err);
}

int nl_put(struct nl *nl, enum nl_kind kind, const json_t *obj, enum nl_how how, struct err *err)
{
	static const int flags[] = {[NL_CREATE] = NLM_F_CREATE | NLM_F_EXCL,
				    [NL_REPLACE] = NLM_F_CREATE | NLM_F_REPLACE,
				    [NL_PREPEND] = NLM_F_CREATE,
				    [NL_APPEND] = NLM_F_CREATE | NLM_F_APPEND};
	struct nl_msg *msg;

	if (kind == NL_LINK)
		return put_link(nl, obj, err);
	int rc = nl_encode(kind, obj, nl_coders[kind].make, flags[how], NULL, &msg, err);
	return rc < 0 ? rc : send_one(nl, msg, err);
}

int nl_delete(struct nl *nl, enum nl_kind kind, const json_t *obj, struct err *err)
{
	struct nl_msg *msg;
	int rc = kind == NL_LINK ? nl_link_encode(obj, RTM_DELLINK, 0, &msg, err)
				 : nl_encode(kind, obj, nl_coders[kind].del, 0, NULL, &msg, err);

	return rc < 0 ? rc : send_one(nl, msg, err);
}

/* ---- what is ours ---- */

/* Taken away as a plain rule, it would leave the host without a local address. */
static void as_local_rule(json_t *op)
{
	if (strcmp(op_string(op, "op"), "rule") != 0 || member_int_or(op, "table", 0) != RT_TABLE_LOCAL || json_object_size(op) != 6)
		return;
	json_object_set_new(op, "op", json_string("local-rule"));
	json_object_del(op, "table");
	json_object_del(op, "protocol");
}

int nl_ours(struct nl *nl, json_t *ops, struct err *err)
{
	static const enum nl_kind kinds[] = {NL_RULE, NL_ROUTE, NL_NEIGH, NL_ADDR};
	json_t *tagged = json_pack("{s:i}", "protocol", OP_TAG), *named = json_pack("{s:s}", "alias", NL_ALIAS);
	json_t *found = json_array(), *one;
	size_t i;
	int rc = tagged && named && found ? 0 : err_set(err, -ENOMEM, "out of memory");

	for (i = 0; rc == 0 && i < sizeof(kinds) / sizeof(*kinds); i++)
		rc = nl_find(nl, kinds[i], tagged, found, err);
	if (rc == 0)
		rc = nl_find(nl, NL_LINK, named, found, err);
	json_array_foreach (found, i, one) {
		as_local_rule(one);
		json_object_del(one, "alias"); /* told, not put */
		json_object_del(one, "up");
	}
	if (rc == 0 && json_array_extend(ops, found) < 0)
		rc = err_set(err, -ENOMEM, "out of memory");
	json_decref(tagged);
	json_decref(named);
	json_decref(found);
	return rc;
}
