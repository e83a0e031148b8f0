/* The kind neigh: a permanent entry; "nud":"stale" puts back what the kernel had learnt, to be used and asked for again. "absent" takes
 * permanent ones alone: the others are the kernel's. */
#include "netctl/op_net.h"

#include "lib/member.h"

#include <errno.h>
#include <string.h>

static const char *const router[] = {"router", NULL};

static bool fixed(const json_t *found)
{
	const char *nud = op_string(found, "nud");

	return !nud || strcmp(nud, "noarp") == 0;
}

static bool learnt(const json_t *op)
{
	const char *nud = op_string(op, "nud");

	return nud && strcmp(nud, "stale") == 0;
}

static int neigh_check(json_t *op, struct err *err)
{
	const char *unused;
	int rc = op_absent(op) ? 0 : op_need(op, "lladdr", &unused, err);

	return rc < 0 ? rc : nl_check(NL_NEIGH, op, err);
}

/* *one is the entry, or NULL; it lives as long as *found. */
static int neigh_find(struct world *w, json_t *op, json_t **canon, json_t **found, const json_t **one, struct err *err)
{
	int rc = nl_canon(NL_NEIGH, op, canon, err);

	if (rc < 0)
		return rc;
	rc = op_find(w, NL_NEIGH, *canon, (const char *const[]){"address", "dev", NULL}, found, err);
	if (rc < 0)
		json_decref(*canon);
	else
		*one = json_array_get(*found, 0);
	return rc;
}

static bool neigh_is_so(const json_t *one, const json_t *canon, const json_t *op)
{
	if (!one)
		return op_absent(op);
	if (op_absent(op))
		return !fixed(one);
	if (learnt(op))
		return !fixed(one) && op_same_member(one, canon, "lladdr");
	return op_alike(one, canon, op, json_object_get(op, "router") ? NULL : router);
}

/* What the kernel had resolved is put back as it may be used but must be asked for again; what it had not is not put back. */
static int neigh_keep(const json_t *one, const json_t *canon, json_t *undo, struct err *err)
{
	if (!one || (!fixed(one) && !json_object_get(one, "lladdr")))
		return op_append(undo, canon, "absent", NULL, err);
	int rc = op_append(undo, one, "present", NULL, err);
	if (rc == 0 && !fixed(one))
		json_object_set_new(json_array_get(undo, json_array_size(undo) - 1), "nud", json_string("stale"));
	return rc;
}

static int neigh_undo(struct world *w, json_t *op, json_t *undo, struct err *err)
{
	json_t *canon, *found;
	const json_t *one;
	int rc = neigh_find(w, op, &canon, &found, &one, err);

	if (rc < 0)
		return rc;
	if (!neigh_is_so(one, canon, op))
		rc = neigh_keep(one, canon, undo, err);
	json_decref(canon);
	json_decref(found);
	return rc;
}

static int neigh_apply(struct world *w, json_t *op, struct err *err)
{
	json_t *canon, *found;
	const json_t *one;
	int rc = neigh_find(w, op, &canon, &found, &one, err);

	if (rc < 0)
		return rc;
	if (neigh_is_so(one, canon, op)) {
		rc = 0;
	} else if (op_absent(op)) {
		rc = nl_delete(w->nl, NL_NEIGH, one, err);
		if (rc == -ENOENT || rc == -ESRCH || rc == -ENODEV)
			rc = 0;
	} else {
		/* A pinned gateway stays known as a router: IPv6 would else drop it. */
		if (json_object_get(one, "router") && !json_object_get(op, "router"))
			json_object_set_new(canon, "router", json_true());
		/* The kernel keeps the tag of the one before, unless it gets another: none is not another. */
		if (one && member_int_or(canon, "protocol", 0) == 0 && member_int_or(one, "protocol", 0) != 0)
			rc = nl_delete(w->nl, NL_NEIGH, one, err);
		if (rc == 0 || rc == -ENOENT)
			rc = nl_put(w->nl, NL_NEIGH, canon, NL_REPLACE, err);
	}
	json_decref(canon);
	json_decref(found);
	return rc;
}

static int neigh_verify(struct world *w, json_t *op, struct err *err)
{
	json_t *canon, *found;
	const json_t *one;
	int rc = neigh_find(w, op, &canon, &found, &one, err);

	if (rc < 0)
		return rc;
	/* What is learnt may have been learnt anew since, or forgotten. */
	if (!neigh_is_so(one, canon, op) && !(learnt(op) && (!one || !fixed(one))))
		rc = op_differs(one, err);
	json_decref(canon);
	json_decref(found);
	return rc;
}

static void neigh_text(json_t *op, char *out, size_t cap)
{
	op_say(out, cap, "ip neigh %s %s", op_absent(op) ? "del" : "replace", op_string(op, "address"));
	if (!op_absent(op))
		op_say_member(out, cap, op, "lladdr", "lladdr");
	op_say_member(out, cap, op, "dev", "dev");
	if (op_absent(op))
		return;
	op_say(out, cap, " nud %s", member_text_or(op, "nud", "permanent"));
	op_say_member(out, cap, op, "router", "router");
	op_say(out, cap, " protocol %d", (int)member_int_or(op, "protocol", OP_TAG));
}

const struct op_kind op_neigh = {"neigh", neigh_check, neigh_undo, neigh_apply, neigh_verify, neigh_text};
