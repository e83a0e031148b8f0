#include "netctl/plan_parts.h"

#include <errno.h>

/* What an op is about, whatever it makes of it. */
static json_t *subject(const json_t *op)
{
	static const char *const said[] = {"state", "rules", "value", "undo", "lladdr", "via", "onlink", "nodad", "noprefixroute"};
	json_t *o = json_copy((json_t *)op);

	for (size_t i = 0; i < sizeof said / sizeof *said; i++)
		json_object_del(o, said[i]);
	return o;
}

bool plan_is_about(json_t *ops, const json_t *op)
{
	json_t *this = subject(op), *o;
	bool found = false;
	size_t i;

	json_array_foreach (ops, i, o) {
		json_t *other = subject(o);

		found = found || json_equal(this, other);
		json_decref(other);
	}
	json_decref(this);
	return found;
}

/* A stage that has been applied, from this one on, is about the same thing. */
static bool stages_are_about(const json_t *plan, size_t from, const json_t *op)
{
	json_t *all = plan_stages(plan);

	for (size_t i = from; i < json_array_size(all); i++) {
		json_t *s = json_array_get(all, i);

		if (json_object_get(s, "undo") && plan_is_about(json_object_get(s, "ops"), op))
			return true;
	}
	return false;
}

static bool plans_are_about(const json_t *plans, const json_t *op)
{
	for (size_t i = 0; i < json_array_size(plans); i++)
		if (stages_are_about(json_array_get(plans, i), 0, op))
			return true;
	return false;
}

int plan_drift(struct world *w, json_t *plan, const json_t *younger, json_t *texts, struct err *err)
{
	struct err own; /* op_verify() tells the two cases apart by a code that a NULL err would lose */
	json_t *stage, *op;
	size_t i, k;

	err = err ? err : &own;
	json_array_foreach (plan_stages(plan), i, stage) {
		if (!json_object_get(stage, "undo"))
			continue;
		json_array_foreach (json_object_get(stage, "ops"), k, op) {
			int rc = op_verify(w, op, err);

			if (rc == -ENOENT && !stages_are_about(plan, i + 1, op) && !plans_are_about(younger, op))
				json_array_append_new(texts, json_string(err->text));
			else if (rc < 0 && rc != -ENOENT)
				return rc;
		}
	}
	return 0;
}
