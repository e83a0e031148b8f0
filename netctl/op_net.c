/* What the kinds that go through nl.h share: words, comparing, and what the kernel takes away together with an address or a link. */
#include "netctl/op_net.h"

#include "lib/member.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void op_say(char *out, size_t cap, const char *fmt, ...)
{
	size_t at = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	if (at < cap)
		vsnprintf(out + at, cap - at, fmt, ap);
	va_end(ap);
}

void op_say_member(char *out, size_t cap, const json_t *op, const char *member, const char *word)
{
	const json_t *v = json_object_get(op, member);

	if (json_is_string(v))
		op_say(out, cap, " %s %s", word, json_string_value(v));
	else if (json_is_integer(v))
		op_say(out, cap, " %s %" JSON_INTEGER_FORMAT, word, json_integer_value(v));
	else if (json_is_true(v))
		op_say(out, cap, " %s", word);
}

bool op_is_v6(const json_t *op)
{
	const char *family = op_string(op, "family"), *address = op_string(op, "address");

	return family ? strcmp(family, "inet6") == 0 : address && strchr(address, ':');
}

json_t *op_pick(const json_t *op, const char *const members[])
{
	json_t *out = json_object();

	for (; out && *members; members++) {
		json_t *v = json_object_get(op, *members);
		if (v && json_object_set(out, *members, v) < 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

bool op_same_member(const json_t *a, const json_t *b, const char *member)
{
	const json_t *x = json_object_get(a, member), *y = json_object_get(b, member);

	return x == y || json_equal(x, y);
}

bool op_counts(const char *member, const json_t *op, const char *const also[])
{
	if (strcmp(member, "state") == 0 || (strcmp(member, "protocol") == 0 && !json_object_get(op, "protocol")))
		return false;
	for (; also && *also; also++) {
		if (strcmp(*also, member) == 0)
			return false;
	}
	return true;
}

bool op_alike(const json_t *found, const json_t *canon, const json_t *op, const char *const also[])
{
	const char *member;
	json_t *v;

	json_object_foreach ((json_t *)canon, member, v) {
		if (op_counts(member, op, also) && !op_same_member(found, canon, member))
			return false;
	}
	json_object_foreach ((json_t *)found, member, v) {
		if (op_counts(member, op, also) && !json_object_get(canon, member))
			return false;
	}
	return true;
}

int op_append(json_t *ops, const json_t *obj, const char *state, const char *place, struct err *err)
{
	json_t *op = json_copy((json_t *)obj);

	if (op && json_object_set_new(op, "state", json_string(state)) == 0 &&
	    (!place || json_object_set_new(op, "place", json_string(place)) == 0) && json_array_append(ops, op) == 0) {
		json_decref(op);
		return 0;
	}
	json_decref(op);
	return err_set(err, -ENOMEM, "out of memory");
}

int op_find(struct world *w, enum nl_kind kind, const json_t *obj, const char *const by[], json_t **found, struct err *err)
{
	json_t *like = op_pick(obj, by);

	*found = json_array();
	int rc = like && *found ? nl_find(w->nl, kind, like, *found, err) : err_set(err, -ENOMEM, "out of memory");
	json_decref(like);
	if (rc < 0) {
		json_decref(*found);
		*found = NULL;
	}
	return rc;
}

int op_differs(const json_t *found, struct err *err)
{
	char text[OP_TEXT_MAX];

	if (!found)
		return err_set(err, -ENOENT, "it is not there");
	return err_set(err, -ENOENT, "found what \"%s\" makes", op_text((json_t *)found, text));
}

/* ---- what goes along with an address or a link ---- */

/* Routing daemons put back theirs themselves, and the kernel its own. */
static bool worth_keeping(const json_t *route)
{
	switch (member_int_or(route, "protocol", 0)) {
	case RTPROT_UNSPEC:
	case RTPROT_BOOT:
	case RTPROT_STATIC:
	case RTPROT_DHCP:
	case OP_TAG:
		return true;
	default:
		return false;
	}
}

static bool is_in(const json_t *ops, const json_t *obj)
{
	const json_t *one;
	size_t i;

	json_array_foreach (ops, i, one) {
		if (op_alike(one, obj, obj, (const char *const[]){"place", NULL}))
			return true;
	}
	return false;
}

/* Those to a neighbour come after the prefixes that say where it is. */
static int keep_routes(const json_t *routes, const char *place, json_t *undo, struct err *err)
{
	const json_t *one;
	size_t i;

	for (int via = 0; via < 2; via++) {
		json_array_foreach (routes, i, one) {
			bool second = json_object_get(one, "via") || json_object_get(one, "nexthops");
			if (second != (via == 1) || !worth_keeping(one) || is_in(undo, one))
				continue;
			int rc = op_append(undo, one, "present", place, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* With its last IPv4 address an interface loses every IPv4 route through it, with any address go the routes that prefer it as source. Which
 * one is the last only the plan knows: the routes are kept with each, to be added where none has taken their place. IPv6 merely forgets the
 * preferred source. */
int op_keep_routes(struct world *w, const json_t *addr, json_t *undo, struct err *err)
{
	char ip[64];
	bool v6 = op_is_v6(addr);
	json_t *routes = json_array(), *by_dev, *by_src;

	snprintf(ip, sizeof(ip), "%s", op_string(addr, "address"));
	ip[strcspn(ip, "/")] = '\0';
	by_dev = json_pack("{s:s,s:s}", "family", "inet", "dev", op_string(addr, "dev"));
	by_src = json_pack("{s:s}", "src", ip);
	int rc = routes && by_dev && by_src ? 0 : err_set(err, -ENOMEM, "out of memory");
	if (rc == 0 && !v6)
		rc = nl_find(w->nl, NL_ROUTE, by_dev, routes, err);
	if (rc == 0)
		rc = nl_find(w->nl, NL_ROUTE, by_src, routes, err);
	if (rc == 0)
		rc = keep_routes(routes, v6 ? NULL : "new", undo, err);
	json_decref(routes);
	json_decref(by_dev);
	json_decref(by_src);
	return rc;
}

static bool made_by_kernel(const json_t *addr)
{
	json_int_t protocol = member_int_or(addr, "protocol", 0);

	return protocol >= 1 && protocol <= 3; /* IFAPROT_KERNEL_LO, _RA, _LL */
}

int op_keep_all(struct world *w, const char *dev, json_t *undo, struct err *err)
{
	json_t *like = json_pack("{s:s}", "dev", dev), *addrs = json_array(), *routes = json_array(), *neighs = json_array();
	const json_t *one;
	size_t i;
	int rc = like && addrs && routes && neighs ? 0 : err_set(err, -ENOMEM, "out of memory");

	if (rc == 0 && (rc = nl_find(w->nl, NL_ADDR, like, addrs, err)) == 0 && (rc = nl_find(w->nl, NL_ROUTE, like, routes, err)) == 0)
		rc = nl_find(w->nl, NL_NEIGH, like, neighs, err);
	json_array_foreach (addrs, i, one) {
		if (rc == 0 && !made_by_kernel(one))
			rc = op_keep_addr(one, undo, err);
	}
	if (rc == 0)
		rc = keep_routes(routes, "new", undo, err);
	json_array_foreach (neighs, i, one) {
		if (rc == 0 && !json_object_get(one, "nud"))
			rc = op_append(undo, one, "present", NULL, err);
	}
	json_decref(like);
	json_decref(addrs);
	json_decref(routes);
	json_decref(neighs);
	return rc;
}
