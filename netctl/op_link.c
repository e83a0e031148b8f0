/* The kind link: a vxlan. One of that name that is not shunt's is left alone, and is an error. Another form of ours is made anew, and the
 * undo brings back with the old form its addresses, routes and permanent neighbours. */
#include "netctl/op_net.h"

#include <errno.h>
#include <string.h>

static const char *const link_form[] = {"op", "name", "kind", "id", "local", "remote", "port", "mac", "mtu", NULL};

static int link_check(json_t *op, struct err *err)
{
	return nl_check(NL_LINK, op, err);
}

/* Ours by its alias; or one that a crash left before it got one, known by its number. */
static bool link_ours(const json_t *found, const json_t *op)
{
	const char *alias = op_string(found, "alias"), *kind = op_string(found, "kind");

	if (alias)
		return strcmp(alias, "shunt") == 0;
	return kind && strcmp(kind, "vxlan") == 0 && json_object_get(op, "id") && op_same_member(found, op, "id");
}

/* *found NULL: none. Another's is -EEXIST. */
static int link_find(struct world *w, json_t *op, json_t **found, struct err *err)
{
	json_t *all;
	int rc = op_find(w, NL_LINK, op, (const char *const[]){"name", NULL}, &all, err);

	if (rc < 0)
		return rc;
	*found = json_incref(json_array_get(all, 0));
	json_decref(all);
	if (!*found || link_ours(*found, op))
		return 0;
	err_set(err, -EEXIST, "found an interface %s that is not shunt's (%s, alias \"%s\"), and left it alone", op_string(op, "name"),
		op_string(*found, "kind") ? op_string(*found, "kind") : "no kind",
		op_string(*found, "alias") ? op_string(*found, "alias") : "");
	json_decref(*found);
	return -EEXIST;
}

static int link_is_so(const json_t *found, json_t *op, bool *so, struct err *err)
{
	json_t *canon;
	const char *member;
	json_t *v;

	*so = !found;
	if (op_absent(op))
		return 0;
	int rc = nl_canon(NL_LINK, op, &canon, err);
	if (rc < 0)
		return rc;
	*so = found && op_string(found, "alias") && json_is_true(json_object_get(found, "up"));
	json_object_foreach (canon, member, v)
		*so = *so && op_same_member(found, canon, member);
	json_decref(canon);
	return 0;
}

static int link_keep(struct world *w, const json_t *found, json_t *undo, struct err *err)
{
	json_t *old = op_pick(found, link_form);
	int rc = old ? op_append(undo, old, "present", NULL, err) : err_set(err, -ENOMEM, "out of memory");

	if (rc == 0)
		rc = op_keep_all(w, op_string(found, "name"), undo, err);
	json_decref(old);
	return rc;
}

static int link_undo(struct world *w, json_t *op, json_t *undo, struct err *err)
{
	json_t *found;
	bool so;
	int rc = link_find(w, op, &found, err);

	if (rc < 0)
		return rc;
	rc = link_is_so(found, op, &so, err);
	if (rc == 0 && !so && found)
		rc = link_keep(w, found, undo, err);
	else if (rc == 0 && !so)
		rc = op_append(undo, op, "absent", NULL, err);
	json_decref(found);
	return rc;
}

static int link_apply(struct world *w, json_t *op, struct err *err)
{
	json_t *found;
	bool so;
	int rc = link_find(w, op, &found, err);

	if (rc < 0)
		return rc;
	rc = link_is_so(found, op, &so, err);
	if (rc == 0 && !so && found) {
		rc = nl_delete(w->nl, NL_LINK, found, err);
		if (rc == -ENODEV)
			rc = 0;
	}
	if (rc == 0 && !so && !op_absent(op))
		rc = nl_put(w->nl, NL_LINK, op, NL_CREATE, err);
	json_decref(found);
	return rc;
}

static int link_verify(struct world *w, json_t *op, struct err *err)
{
	json_t *found;
	bool so;
	int rc = link_find(w, op, &found, err);

	if (rc < 0)
		return rc == -EEXIST ? err_set(err, -ENOENT, "the interface %s is not shunt's", op_string(op, "name")) : rc;
	rc = link_is_so(found, op, &so, err);
	if (rc == 0 && !so)
		rc = found && !json_is_true(json_object_get(found, "up")) ? err_set(err, -ENOENT, "it is down") : op_differs(found, err);
	json_decref(found);
	return rc;
}

static void link_text(json_t *op, char *out, size_t cap)
{
	const char *name = op_string(op, "name");

	if (op_absent(op)) {
		op_say(out, cap, "ip link del %s", name);
		return;
	}
	op_say(out, cap, "ip link add %s", name);
	op_say_member(out, cap, op, "mac", "address");
	op_say_member(out, cap, op, "mtu", "mtu");
	op_say_member(out, cap, op, "kind", "type");
	op_say_member(out, cap, op, "id", "id");
	op_say_member(out, cap, op, "local", "local");
	op_say_member(out, cap, op, "remote", "remote");
	op_say_member(out, cap, op, "port", "dstport");
	op_say(out, cap, " nolearning; ip link set %s up alias shunt", name);
}

const struct op_kind op_link = {"link", link_check, link_undo, link_apply, link_verify, link_text};
