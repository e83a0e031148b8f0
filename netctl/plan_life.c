#include "netctl/plan_parts.h"

#include "lib/kill.h"

#include "lib/log.h"
#include "lib/member.h"

#include <errno.h>
#include <string.h>

/* What of a plan's undo is applied when it ends for good. */
typedef bool wanted_fn(const char *kind);

static bool quiet(const char *kind)
{
	return strcmp(kind, "announce") != 0 && strcmp(kind, "peer") != 0;
}

static bool host_setting(const char *kind)
{
	return strcmp(kind, "sysctl") == 0;
}

/* -ENOENT is for a plan that is not there; something that an op misses is another matter. */
static int here(int rc)
{
	return rc == -ENOENT ? -EIO : rc;
}

/* Written down first: what a crash interrupts is gone on with. Past an op that fails, as an undo goes. */
static int end(struct world *w, struct journal *j, json_t *plan, const char *how, struct err *err)
{
	wanted_fn *wanted = strcmp(how, "settle") == 0 ? quiet : host_setting;
	json_t *all = plan_stages(plan), *op;
	struct err other;
	size_t k;
	int rc = 0;

	plan_set_state(plan, "ending");
	json_object_set_new(plan, "how", json_string(how));
	if (journal_write(j, plan, &other) < 0)
		log_error("plan=%s reason=\"%s\" advice=\"ended all the same\"", plan_name(plan), other.text);
	for (size_t i = json_array_size(all); i-- > 0;)
		json_array_foreach (json_object_get(json_array_get(all, i), "undo"), k, op) {
			int r = wanted(op_string(op, "op")) ? op_apply(w, op, rc == 0 ? err : &other) : 0;

			rc = rc == 0 ? r : rc;
		}
	return rc == 0 ? journal_remove(j, plan_name(plan), err) : here(rc);
}

int plan_settle(struct world *w, struct journal *j, const char *name, struct err *err)
{
	json_t *plan;
	int rc = journal_read(j, name, &plan, err);

	if (rc < 0)
		return rc;
	if (plan_is(plan, "confirmed") || plan_is(plan, "ending"))
		rc = end(w, j, plan, "settle", err);
	else
		rc = err_set(err, -EBUSY, "%s is %s: only what is confirmed can be settled", name, plan_state(plan));
	json_decref(plan);
	return rc;
}

/* The first delayed stage that has not been applied; NULL: none. */
static json_t *delayed_stage(const json_t *plan)
{
	json_t *stage;
	size_t i;

	json_array_foreach (plan_stages(plan), i, stage)
		if (member_int(stage, "delay") && !json_object_get(stage, "undo"))
			return stage;
	return NULL;
}

/* Whoever was at it has been killed: a delayed stage is as if it had not begun, one that extended the plan is no more. */
static int drop_unfinished(struct world *w, struct journal *j, json_t *plan, struct err *err)
{
	json_t *all = plan_stages(plan);
	bool found = false;

	for (size_t i = json_array_size(all); i-- > 0;) {
		json_t *stage = json_array_get(all, i);
		int rc;

		if (!json_object_get(stage, "unfinished"))
			continue;
		found = true;
		rc = stage_undo(w, stage, false, err);
		if (rc < 0)
			return rc;
		if (member_int(stage, "delay"))
			stage_forget(stage);
		else
			json_array_remove(all, i);
	}
	return found ? journal_write(j, plan, err) : 0;
}

static int apply_delayed(struct world *w, struct journal *j, json_t *plan, json_t *stage, struct err *err)
{
	int rc = stage_apply(w, j, plan, stage, false, err);

	if (rc == 0)
		rc = journal_write(j, plan, err);
	if (rc < 0 && stage_undo(w, stage, false, NULL) == 0) {
		stage_forget(stage);
		journal_write(j, plan, NULL);
	}
	return rc < 0 ? err_wrap(err, "stage \"%s\"", json_string_value(json_object_get(stage, "name"))) : 0;
}

/* All its stages are applied: does the last one end the plan? */
static int end_if_over(struct world *w, struct journal *j, json_t *plan, struct err *err)
{
	json_t *all = plan_stages(plan);
	const char *last = json_string_value(json_object_get(json_array_get(all, json_array_size(all) - 1), "last"));

	return last ? end(w, j, plan, last, err) : 0;
}

static int turn_confirmed(struct world *w, struct journal *j, json_t *plan, int64_t *next_ms, struct err *err)
{
	int rc = drop_unfinished(w, j, plan, err);
	json_t *stage;

	while (rc == 0 && (stage = delayed_stage(plan))) {
		*next_ms = member_int(plan, "confirmed-ms") + member_int(stage, "delay") * 1000;
		if (*next_ms > plan_now_ms())
			return 0;
		rc = apply_delayed(w, j, plan, stage, err);
		kill_point("delayed stage applied");
	}
	if (rc == 0)
		rc = end_if_over(w, j, plan, err);
	*next_ms = rc < 0 ? plan_now_ms() + PLAN_RETRY_MS : -1;
	return rc;
}

int plan_turn(struct world *w, struct journal *j, const char *name, int64_t *next_ms, struct err *err)
{
	json_t *plan;
	int rc = journal_read(j, name, &plan, err);

	*next_ms = rc < 0 && rc != -ENOENT ? plan_now_ms() + PLAN_RETRY_MS : -1;
	if (rc < 0)
		return rc;
	if (plan_is(plan, "confirmed") && plan_of_this_boot(plan)) {
		rc = turn_confirmed(w, j, plan, next_ms, err);
	} else if (plan_is(plan, "ending")) {
		rc = end(w, j, plan, json_string_value(json_object_get(plan, "how")), err);
		*next_ms = rc < 0 ? plan_now_ms() + PLAN_RETRY_MS : -1;
	} else if (plan_is(plan, "confirmed")) {
		rc = 0; /* plan_reboot()'s */
	} else if (plan_is(plan, "stuck") && plan_of_this_boot(plan) && member_int(plan, "retry-ms") > plan_now_ms()) {
		*next_ms = member_int(plan, "retry-ms"); /* whoever asks: each try asks other hosts, which may be away */
	} else if (plan_is(plan, "pending") && plan_of_this_boot(plan) && member_int(plan, "deadline-ms") > plan_now_ms()) {
		*next_ms = member_int(plan, "deadline-ms");
	} else {
		const char *was = plan_is(plan, "pending") ? "nobody confirmed it in time"
				  : plan_is(plan, "stuck") ? "its undo failed"
							   : "its owner has died";

		log_warn("plan=%s reason=\"%s: undoing it\"", name, was);
		rc = 0;
		if (plan_undo(w, j, plan, false, err) == PLAN_STUCK) {
			*next_ms = plan_now_ms() + PLAN_RETRY_MS;
			rc = err ? err->code : -EIO;
		} else {
			log_info("plan=%s reason=\"undone, all is as it was\"", name);
		}
	}
	json_decref(plan);
	return here(rc);
}

/* The kernel has forgotten everything: each stage again, with an undo of its own for this boot. What fails stays as far as it has come, and
 * the next try goes on from there: a stage that has its undo for this boot must not be asked for another. */
static int apply_anew(struct world *w, struct journal *j, json_t *plan, struct err *err)
{
	json_t *stage;
	size_t i;
	int rc = 0;

	json_array_foreach (plan_stages(plan), i, stage) {
		if (!json_object_get(stage, "undo"))
			continue; /* it was not due yet */
		if (plan_of_this_boot(stage)) {
			if (!json_object_get(stage, "unfinished"))
				continue;
			rc = stage_undo(w, stage, true, err);
			if (rc < 0)
				break;
		}
		rc = stage_apply(w, j, plan, stage, true, err);
		if (rc < 0)
			break;
	}
	return rc;
}

int plan_reboot_ends(struct journal *j, const json_t *plan, struct err *err)
{
	json_t *all = plan_stages(plan), *last = json_array_get(all, json_array_size(all) - 1), *op;
	const char *how = json_string_value(json_object_get(last, "last"));
	size_t i;

	if (!how || strcmp(how, "settle") != 0 || !plan_is(plan, "confirmed") || plan_of_this_boot(plan))
		return 0;
	json_array_foreach (json_object_get(last, "ops"), i, op) {
		int rc = strcmp(op_string(op, "op"), "settle") == 0 ? journal_remove(j, op_string(op, "plan"), err) : 0;

		if (rc < 0)
			return rc;
	}
	return journal_remove(j, plan_name(plan), err);
}

int plan_reboot(struct world *w, struct journal *j, const char *name, struct err *err)
{
	json_t *plan;
	int rc = journal_read(j, name, &plan, err);
	char id[64];

	if (rc < 0)
		return rc;
	if (plan_of_this_boot(plan)) {
		json_decref(plan);
		return 0;
	}
	if (!plan_is(plan, "confirmed")) {
		if (plan_is(plan, "ending")) /* the kernel has forgotten what was left of it */
			rc = journal_remove(j, name, err);
		else
			rc = plan_undo(w, j, plan, false, err) == PLAN_STUCK ? err->code : 0;
		json_decref(plan);
		return here(rc);
	}
	rc = apply_anew(w, j, plan, err);
	if (rc == 0) {
		plan_boot_id(id);
		json_object_set_new(plan, "boot", json_string(id));
		json_object_set_new(plan, "confirmed-ms", json_integer(plan_now_ms()));
		rc = journal_write(j, plan, err);
	}
	json_decref(plan);
	return here(rc);
}
