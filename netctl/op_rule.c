/* The kinds rule and local-rule.
 * A rule has no key but all it says: "present" is content with one that says the same, whoever made it; "absent" takes all that do.
 * "copies" restores as many equal ones as there were. The last rule `from all lookup local` of a family is not taken: the host would be
 * deaf. local-rule: `from all lookup local` at this priority and at no other, the new one first. "absent": where the kernel has it, at 0.
 * Not kept by an undo: the place of a rule amid others of the same priority (it becomes the last). */
#include "netctl/op_net.h"

#include "lib/member.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define LOCAL_MEMBERS 6 /* op, state, family, priority, table, protocol: no condition */

static const char *const copies[] = {"copies", NULL};

/* Those that say what the op says; *canon as it shall be. */
static int rule_find(struct world *w, json_t *op, json_t **canon, json_t **found, struct err *err)
{
	int rc = nl_canon(NL_RULE, op, canon, err);

	if (rc < 0)
		return rc;
	rc = op_find(w, NL_RULE, *canon, (const char *const[]){"family", "priority", NULL}, found, err);
	if (rc < 0) {
		json_decref(*canon);
		return rc;
	}
	for (size_t i = json_array_size(*found); i-- > 0;) {
		if (!op_alike(json_array_get(*found, i), *canon, op, copies))
			json_array_remove(*found, i);
	}
	return 0;
}

static int rule_check(json_t *op, struct err *err)
{
	const json_t *n = json_object_get(op, "copies");

	if (n && (!json_is_integer(n) || json_integer_value(n) < 1 || json_integer_value(n) > 100))
		return err_set(err, -EINVAL, "op \"rule\": found a \"copies\", expected a number from 1 to 100");
	return nl_check(NL_RULE, op, err);
}

/* Equal ones, of the same protocol, become one op. */
static int keep_found(const json_t *found, json_t *undo, struct err *err)
{
	const json_t *one, *other;
	size_t i, j;

	json_array_foreach (found, i, one) {
		json_int_t n = 0;
		bool told = false;
		json_array_foreach (found, j, other) {
			bool equal = json_equal(one, other);
			told |= equal && j < i;
			n += equal;
		}
		if (told)
			continue;
		int rc = op_append(undo, one, "present", NULL, err);
		if (rc < 0)
			return rc;
		if (n > 1)
			json_object_set_new(json_array_get(undo, json_array_size(undo) - 1), "copies", json_integer(n));
	}
	return 0;
}

static int rule_undo(struct world *w, json_t *op, json_t *undo, struct err *err)
{
	json_t *canon, *found;
	int rc = rule_find(w, op, &canon, &found, err);

	if (rc < 0)
		return rc;
	if (op_absent(op))
		rc = keep_found(found, undo, err);
	else if (json_array_size(found) == 0)
		rc = op_append(undo, canon, "absent", NULL, err);
	json_decref(canon);
	json_decref(found);
	return rc;
}

static int rule_add(struct world *w, const json_t *op, const json_t *canon, size_t there, struct err *err)
{
	size_t want = (size_t)member_int_or(op, "copies", 1);
	int rc = 0;

	for (; rc == 0 && there < want; there++) {
		/* The kernel would not have a second one that says the same, but an undo restores it: there were more, or another's. */
		rc = nl_put(w->nl, NL_RULE, canon, NL_CREATE, err);
		if (rc == -EEXIST && (want > 1 || json_object_get(op, "protocol")))
			rc = nl_put(w->nl, NL_RULE, canon, NL_APPEND, err);
	}
	return rc;
}

/* ---- the rule for the table local ---- */

static bool plain_local(const json_t *rule)
{
	return member_int_or(rule, "table", 0) == RT_TABLE_LOCAL && json_object_size(rule) == LOCAL_MEMBERS;
}

static int local_rules(struct world *w, const json_t *op, json_t **found, struct err *err)
{
	int rc = op_find(w, NL_RULE, op, (const char *const[]){"family", NULL}, found, err);

	for (size_t i = rc == 0 ? json_array_size(*found) : 0; i-- > 0;) {
		if (!plain_local(json_array_get(*found, i)))
			json_array_remove(*found, i);
	}
	return rc;
}

static int leaves_one(struct world *w, const json_t *op, const json_t *gone, struct err *err)
{
	json_t *all;

	if (json_array_size(gone) == 0 || !plain_local(json_array_get(gone, 0)))
		return 0;
	int rc = local_rules(w, op, &all, err);
	if (rc < 0)
		return rc;
	if (json_array_size(all) <= json_array_size(gone))
		rc = err_set(err, -EBUSY, "it is the last rule that looks into the table local: no address of this host would be reached");
	json_decref(all);
	return rc;
}

static int rules_take(struct world *w, const json_t *gone, struct err *err)
{
	const json_t *one;
	size_t i;

	json_array_foreach (gone, i, one) {
		int rc = nl_delete(w->nl, NL_RULE, one, err);
		if (rc < 0 && rc != -ENOENT && rc != -ESRCH)
			return rc;
	}
	return 0;
}

/* ---- rule ---- */

static int rule_apply(struct world *w, json_t *op, struct err *err)
{
	json_t *canon, *found;
	int rc = rule_find(w, op, &canon, &found, err);

	if (rc < 0)
		return rc;
	if (!op_absent(op))
		rc = rule_add(w, op, canon, json_array_size(found), err);
	else if ((rc = leaves_one(w, canon, found, err)) == 0)
		rc = rules_take(w, found, err);
	json_decref(canon);
	json_decref(found);
	return rc;
}

static int rule_verify(struct world *w, json_t *op, struct err *err)
{
	json_t *canon, *found;
	int rc = rule_find(w, op, &canon, &found, err);

	if (rc < 0)
		return rc;
	if (op_absent(op) ? json_array_size(found) > 0 : json_array_size(found) < (size_t)member_int_or(op, "copies", 1))
		rc = op_differs(json_array_get(found, 0), err);
	json_decref(canon);
	json_decref(found);
	return rc;
}

static void say_mark(const json_t *op, char *out, size_t cap)
{
	if (!json_object_get(op, "mark") && !json_object_get(op, "mask"))
		return;
	op_say(out, cap, " fwmark 0x%llx", (unsigned long long)member_int_or(op, "mark", 0));
	if (json_object_get(op, "mask"))
		op_say(out, cap, "/0x%llx", (unsigned long long)member_int_or(op, "mask", 0));
}

static void rule_text(json_t *op, char *out, size_t cap)
{
	op_say(out, cap, "ip%s rule %s%s", op_is_v6(op) ? " -6" : "", op_absent(op) ? "del" : "add",
	       json_is_true(json_object_get(op, "invert")) ? " not" : "");
	op_say_member(out, cap, op, "priority", "pref");
	op_say_member(out, cap, op, "from", "from");
	op_say_member(out, cap, op, "to", "to");
	op_say_member(out, cap, op, "tos", "tos");
	say_mark(op, out, cap);
	op_say_member(out, cap, op, "iif", "iif");
	op_say_member(out, cap, op, "oif", "oif");
	op_say_member(out, cap, op, "table", "lookup");
	op_say_member(out, cap, op, "action", "type");
	if (!op_absent(op) || json_object_get(op, "protocol"))
		op_say(out, cap, " protocol %d", (int)member_int_or(op, "protocol", OP_TAG));
	if (json_object_get(op, "attrs"))
		op_say(out, cap, " # and attributes in hexadecimal");
}

const struct op_kind op_rule = {"rule", rule_check, rule_undo, rule_apply, rule_verify, rule_text};

/* ---- local-rule ---- */

static int local_check(json_t *op, struct err *err)
{
	static const char *const known[] = {"op", "state", "family", "priority", NULL};
	json_t *rule = op_pick(op, known);
	int rc = rule && json_object_set_new(rule, "table", json_integer(RT_TABLE_LOCAL)) == 0 ? 0 : err_set(err, -ENOMEM, "out of memory");

	if (rc == 0 && json_object_size(op) != json_object_size(rule) - 1)
		rc = err_set(err, -EINVAL, "op \"local-rule\": found more than \"family\" and \"priority\"");
	if (rc == 0)
		rc = nl_check(NL_RULE, rule, err);
	json_decref(rule);
	return rc;
}

/* The rule that the op wants, and those that there are. */
static int local_find(struct world *w, json_t *op, json_t **canon, json_t **found, struct err *err)
{
	bool absent = op_absent(op);
	json_t *rule = json_pack("{s:s,s:O,s:I,s:i,s:i}", "op", "rule", "family", json_object_get(op, "family"), "priority",
				 absent ? 0 : member_int_or(op, "priority", 0), "table", RT_TABLE_LOCAL, "protocol",
				 absent ? RTPROT_KERNEL : OP_TAG);
	int rc = rule ? nl_canon(NL_RULE, rule, canon, err) : err_set(err, -ENOMEM, "out of memory");

	json_decref(rule);
	if (rc == 0 && (rc = local_rules(w, *canon, found, err)) < 0)
		json_decref(*canon);
	return rc;
}

static bool in_place(const json_t *found, const json_t *canon, json_t *others)
{
	const json_t *one;
	bool there = false;
	size_t i;

	json_array_foreach (found, i, one) {
		if (!there && op_same_member(one, canon, "priority"))
			there = true;
		else
			json_array_append(others, (json_t *)one);
	}
	return there;
}

/* Brings back the former ones before it takes ours. */
static int local_undo(struct world *w, json_t *op, json_t *undo, struct err *err)
{
	json_t *canon, *found, *others = json_array();
	int rc = local_find(w, op, &canon, &found, err);

	if (rc < 0) {
		json_decref(others);
		return rc;
	}
	bool there = in_place(found, canon, others);
	if (!there || json_array_size(others) > 0)
		rc = keep_found(found, undo, err);
	if (rc == 0 && !there && json_array_size(found) > 0)
		rc = op_append(undo, canon, "absent", NULL, err);
	json_decref(canon);
	json_decref(found);
	json_decref(others);
	return rc;
}

static int local_apply(struct world *w, json_t *op, struct err *err)
{
	json_t *canon, *found, *others = json_array();
	int rc = local_find(w, op, &canon, &found, err);

	if (rc < 0) {
		json_decref(others);
		return rc;
	}
	if (!in_place(found, canon, others))
		rc = nl_put(w->nl, NL_RULE, canon, NL_CREATE, err);
	if (rc == 0)
		rc = rules_take(w, others, err);
	json_decref(canon);
	json_decref(found);
	json_decref(others);
	return rc;
}

static int local_verify(struct world *w, json_t *op, struct err *err)
{
	json_t *canon, *found, *others = json_array();
	int rc = local_find(w, op, &canon, &found, err);

	if (rc == 0 && !in_place(found, canon, others))
		rc = op_differs(json_array_get(found, 0), err);
	else if (rc == 0 && json_array_size(others) > 0)
		rc = op_differs(json_array_get(others, 0), err);
	else if (rc < 0)
		canon = found = NULL;
	json_decref(canon);
	json_decref(found);
	json_decref(others);
	return rc;
}

static void local_text(json_t *op, char *out, size_t cap)
{
	const char *v6 = op_is_v6(op) ? " -6" : "";
	int priority = (int)member_int_or(op, "priority", 0);

	if (op_absent(op))
		op_say(out, cap, "ip%s rule add pref 0 lookup local protocol kernel; ip%s rule del pref %d lookup local", v6, v6, priority);
	else
		op_say(out, cap, "ip%s rule add pref %d lookup local protocol %d; ip%s rule del pref 0 lookup local", v6, priority, OP_TAG,
		       v6);
}

const struct op_kind op_local_rule = {"local-rule", local_check, local_undo, local_apply, local_verify, local_text};
