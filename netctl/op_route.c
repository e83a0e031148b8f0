/* The kind route. Its key is table, dst, metric and tos: a present one replaces the first of its key, unless "place" says where it stands
 * among them: "prepend", "append", or "new": only where there is none. "absent" takes the routes that have every member the op names.
 * One that is there with all the op names, whoever made it, is left as it is.
 * Not kept by an undo: the place of one amid three or more of the same key; what was left of a lifetime counts anew. */
#include "netctl/op_net.h"

#include "lib/member.h"

#include <errno.h>
#include <string.h>

static const char *const ticking[] = {"expires", "place", NULL};

static int route_check(json_t *op, struct err *err)
{
	const char *place = op_string(op, "place");

	if (json_object_get(op, "place") &&
	    (!place || (strcmp(place, "prepend") != 0 && strcmp(place, "append") != 0 && strcmp(place, "new") != 0)))
		return err_set(err, -EINVAL, "op \"route\": found \"place\" \"%.40s\", expected prepend, append or new",
			       place ? place : "");
	return nl_check(NL_ROUTE, op, err);
}

/* Those of the same key as op, in the kernel's order. */
static int route_find(struct world *w, json_t *op, json_t **canon, json_t **found, struct err *err)
{
	int rc = nl_canon(NL_ROUTE, op, canon, err);

	if (rc < 0)
		return rc;
	json_t *like = op_pick(*canon, (const char *const[]){"family", "dst", "table", NULL});
	if (like && json_object_set_new(like, "metric", json_integer(member_int_or(*canon, "metric", op_is_v6(op) ? 1024 : 0))) == 0)
		rc = op_find(w, NL_ROUTE, like, (const char *const[]){"family", "dst", "table", "metric", NULL}, found, err);
	else
		rc = err_set(err, -ENOMEM, "out of memory");
	json_decref(like);
	if (rc < 0) {
		json_decref(*canon);
		return rc;
	}
	for (size_t i = json_array_size(*found); i-- > 0;) {
		const json_t *one = json_array_get(*found, i);
		if (!op_same_member(one, *canon, "tos") || !op_same_member(one, *canon, "from"))
			json_array_remove(*found, i);
	}
	return 0;
}

/* Does it have all that the op names? */
static bool route_meant(const json_t *found, const json_t *canon, const json_t *op)
{
	const char *member;
	json_t *v;

	json_object_foreach ((json_t *)op, member, v) {
		if (op_counts(member, op, ticking) && !op_same_member(found, canon, member))
			return false;
	}
	return true;
}

/* Is there nothing to do? One that is second of its key has no effect, unless the op is content with that. */
static bool route_is_so(const json_t *found, const json_t *canon, const json_t *op)
{
	const json_t *one;
	size_t i;

	json_array_foreach (found, i, one) {
		if (op_alike(one, canon, op, ticking))
			return i == 0 || op_is_v6(op) || json_object_get(op, "place");
	}
	return false;
}

/* The one that the kernel replaces: IPv6 looks for one with a gateway if the new one has one, and the reverse. */
static const json_t *route_replaced(const json_t *found, const json_t *canon)
{
	bool gateway = json_object_get(canon, "via") || json_object_get(canon, "nexthops");
	const json_t *one;
	size_t i;

	json_array_foreach (found, i, one) {
		if (op_is_v6(canon) && gateway == (json_object_get(one, "via") || json_object_get(one, "nexthops")))
			return one;
	}
	return json_array_get(found, 0);
}

static int route_undo_present(json_t *op, const json_t *canon, const json_t *found, json_t *undo, struct err *err)
{
	const char *place = op_string(op, "place");
	const json_t *old = place ? NULL : route_replaced(found, canon);

	if (route_is_so(found, canon, op) || (place && strcmp(place, "new") == 0 && json_array_size(found) > 0))
		return 0;
	return old ? op_append(undo, old, "present", NULL, err) : op_append(undo, canon, "absent", NULL, err);
}

static int route_undo(struct world *w, json_t *op, json_t *undo, struct err *err)
{
	json_t *canon, *found;
	const json_t *one;
	size_t i;
	int rc = route_find(w, op, &canon, &found, err);

	if (rc < 0)
		return rc;
	if (!op_absent(op))
		rc = route_undo_present(op, canon, found, undo, err);
	json_array_foreach (found, i, one) {
		if (rc == 0 && op_absent(op) && route_meant(one, canon, op))
			rc = op_append(undo, one, "present", i == 0 ? "prepend" : "append", err);
	}
	json_decref(canon);
	json_decref(found);
	return rc;
}

static int route_put(struct world *w, json_t *op, const json_t *canon, const json_t *found, struct err *err)
{
	const char *place = op_string(op, "place");
	enum nl_how how = !place ? NL_REPLACE : *place == 'p' ? NL_PREPEND : *place == 'a' ? NL_APPEND : NL_CREATE;

	if (route_is_so(found, canon, op) || (how == NL_CREATE && json_array_size(found) > 0))
		return 0;
	return nl_put(w->nl, NL_ROUTE, canon, how, err);
}

static int route_apply(struct world *w, json_t *op, struct err *err)
{
	json_t *canon, *found;
	const json_t *one;
	size_t i;
	int rc = route_find(w, op, &canon, &found, err);

	if (rc < 0)
		return rc;
	if (!op_absent(op))
		rc = route_put(w, op, canon, found, err);
	json_array_foreach (found, i, one) {
		if (rc < 0 || !op_absent(op) || !route_meant(one, canon, op))
			continue;
		rc = nl_delete(w->nl, NL_ROUTE, one, err);
		if (rc == -ESRCH || rc == -ENOENT || rc == -ENODEV)
			rc = 0;
	}
	json_decref(canon);
	json_decref(found);
	return rc;
}

static int route_verify(struct world *w, json_t *op, struct err *err)
{
	json_t *canon, *found;
	const json_t *one;
	size_t i;
	int rc = route_find(w, op, &canon, &found, err);

	if (rc < 0)
		return rc;
	if (!op_absent(op) && !route_is_so(found, canon, op) && !(op_string(op, "place") && json_array_size(found) > 0))
		rc = op_differs(json_array_get(found, 0), err);
	json_array_foreach (found, i, one) {
		if (rc == 0 && op_absent(op) && route_meant(one, canon, op))
			rc = op_differs(one, err);
	}
	json_decref(canon);
	json_decref(found);
	return rc;
}

static void say_nexthops(const json_t *op, char *out, size_t cap)
{
	const json_t *one;
	size_t i;

	json_array_foreach (json_object_get(op, "nexthops"), i, one) {
		op_say(out, cap, " nexthop");
		op_say_member(out, cap, one, "via", "via");
		op_say_member(out, cap, one, "dev", "dev");
		op_say_member(out, cap, one, "weight", "weight");
		op_say_member(out, cap, one, "onlink", "onlink");
	}
}

static void route_text(json_t *op, char *out, size_t cap)
{
	static const char *const words[][2] = {{"from", "from"},     {"via", "via"},        {"dev", "dev"}, {"table", "table"},
					       {"tos", "tos"},       {"scope", "scope"},    {"src", "src"}, {"metric", "metric"},
					       {"onlink", "onlink"}, {"expires", "expires"}};
	const char *type = op_string(op, "type"), *place = op_string(op, "place");
	const char *verb = op_absent(op) ? "del" : !place ? "replace" : strcmp(place, "new") == 0 ? "add" : place;

	op_say(out, cap, "ip%s route %s ", op_is_v6(op) ? " -6" : "", verb);
	if (type && strcmp(type, "unicast") != 0)
		op_say(out, cap, "%s ", type);
	op_say(out, cap, "%s", op_string(op, "dst") ? op_string(op, "dst") : "?");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		op_say_member(out, cap, op, words[i][0], words[i][1]);
	if (!op_absent(op) || json_object_get(op, "protocol"))
		op_say(out, cap, " proto %d", (int)member_int_or(op, "protocol", OP_TAG));
	say_nexthops(op, out, cap);
	if (json_object_get(op, "attrs"))
		op_say(out, cap, " # and attributes in hexadecimal");
}

const struct op_kind op_route = {"route", route_check, route_undo, route_apply, route_verify, route_text};
