#include "netctl/plan_parts.h"

#include "lib/kill.h"

#include "lib/log.h"
#include "lib/member.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static void begin(json_t *plan, int confirm_s, const struct plan_owner *o)
{
	char id[64], at[32];
	time_t now = time(NULL);
	struct tm tm;

	plan_boot_id(id);
	strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	plan_set_state(plan, "applying");
	json_object_set_new(plan, "by", json_string(o->by ? o->by : "?"));
	json_object_set_new(plan, "began", json_string(at));
	json_object_set_new(plan, "began-ms", json_integer(plan_now_ms()));
	json_object_set_new(plan, "boot", json_string(id));
	json_object_set_new(plan, "confirm", json_integer(confirm_s));
}

int plan_preview(struct world *w, json_t *plan, struct err *err)
{
	json_t *stage;
	size_t i;
	int rc = plan_check(plan, err);

	json_array_foreach (plan_stages(plan), i, stage) {
		if (rc < 0)
			return rc;
		rc = stage_know_undo(w, stage, err);
	}
	return rc;
}

static int apply_now(struct world *w, struct journal *j, json_t *plan, struct err *err)
{
	json_t *stage;
	size_t i;
	int rc;

	json_array_foreach (plan_stages(plan), i, stage) {
		if (member_int(stage, "delay"))
			continue;
		rc = stage_apply(w, j, plan, stage, false, err);
		if (rc < 0)
			return err_wrap(err, "stage \"%s\"", json_string_value(json_object_get(stage, "name")));
	}
	return 0;
}

/* The peers that were asked to do their part, each once. */
static int confirm_peers(struct world *w, json_t *plan, struct err *err)
{
	json_t *stage, *op;
	size_t i, k;

	json_array_foreach (plan_stages(plan), i, stage)
		json_array_foreach (json_object_get(stage, "ops"), k, op) {
			json_t *ask;
			int rc;

			if (!plan_is_peer(op) || strcmp(op_string(op, "do"), "apply") != 0)
				continue;
			ask = json_copy(op);
			json_object_set_new(ask, "do", json_string("confirm"));
			rc = op_apply(w, ask, err);
			json_decref(ask);
			if (rc < 0)
				return rc;
		}
	return 0;
}

/* Those who will be asked at once, before anything is changed here. */
static int peers_answer(struct world *w, json_t *plan, struct err *err)
{
	json_t *stage, *op;
	size_t i, k;

	json_array_foreach (plan_stages(plan), i, stage)
		json_array_foreach (json_object_get(stage, "ops"), k, op) {
			int rc = plan_is_peer(op) && !member_int(stage, "delay") ? plan_say_hello(w, op, err) : 0;

			if (rc < 0)
				return err_wrap(err, "nothing is changed");
		}
	return 0;
}

enum plan_end plan_apply(struct world *w, struct journal *j, json_t *plan, int confirm_s, const struct plan_owner *o, struct err *err)
{
	json_t *old = NULL;
	struct err undo_err = {0};
	enum plan_end end;
	int rc = journal_read(j, plan_name(plan), &old, err);

	if (rc != -ENOENT) {
		if (rc == 0)
			err_set(err, -EEXIST, "%s is in force already (%s, by %s since %s)", plan_name(plan), plan_state(old),
				json_string_value(json_object_get(old, "by")), json_string_value(json_object_get(old, "began")));
		json_decref(old);
		return PLAN_REFUSED;
	}
	if (plan_check(plan, err) < 0 || peers_answer(w, plan, err) < 0)
		return PLAN_REFUSED;
	begin(plan, confirm_s, o);
	/* It waits for the lock, so it sees the plan, or that there is none. */
	if (o->guard && o->guard(o->conf, plan_name(plan), err) < 0)
		return PLAN_REFUSED;
	kill_point("nothing written");
	if (journal_write(j, plan, err) < 0) {
		journal_remove(j, plan_name(plan), NULL); /* it may be there, where only the directory could not be synced */
		return PLAN_REFUSED;
	}
	kill_point("begun");
	rc = apply_now(w, j, plan, err);
	if (rc == 0 && !confirm_s)
		rc = confirm_peers(w, plan, err);
	if (rc == 0) {
		plan_set_state(plan, confirm_s ? "pending" : "confirmed");
		json_object_set_new(plan, "deadline-ms", json_integer(plan_now_ms() + confirm_s * 1000LL));
		if (!confirm_s)
			json_object_set_new(plan, "confirmed-ms", json_integer(plan_now_ms()));
		kill_point("applied");
		rc = journal_write(j, plan, err);
		kill_point("said");
	}
	if (rc == 0)
		return PLAN_DONE;
	end = plan_undo(w, j, plan, false, &undo_err);
	if (end == PLAN_STUCK)
		err_wrap(err, "the undo failed too (%s)", undo_err.text);
	return end == PLAN_UNDONE && !json_object_get(plan, "touched") ? PLAN_REFUSED : end;
}

/* What an earlier undo brings back as it was before the plan need not first become what it was in between: that would be in effect for a
 * moment. */
static void forget_detours(json_t *undo, json_t *earlier)
{
	for (size_t k = json_array_size(undo); k-- > 0;)
		if (plan_is_about(earlier, json_array_get(undo, k)))
			json_array_remove(undo, k);
}

/* The stages from `from` on become one with that before them, so that a plan that is extended often does not grow. */
static void merge_stages(json_t *in_force, size_t from)
{
	json_t *all = plan_stages(in_force), *into = json_array_get(all, from - 1);

	if (!json_object_get(into, "undo"))
		return; /* a delayed one, which is still to come */
	while (json_array_size(all) > from) {
		json_t *next = json_array_get(all, from), *ops = json_object_get(into, "ops"), *undo = json_object_get(next, "undo");

		for (size_t k = json_array_size(ops); k-- > 0;)
			if (plan_is_about(json_object_get(next, "ops"), json_array_get(ops, k)))
				json_array_remove(ops, k);
		json_array_extend(ops, json_object_get(next, "ops"));
		forget_detours(undo, json_object_get(into, "undo"));
		json_array_extend(undo, json_object_get(into, "undo"));
		json_object_set(into, "undo", undo);
		json_array_remove(all, from);
	}
}

enum plan_end plan_extend(struct world *w, struct journal *j, json_t *in_force, json_t *plan, const struct plan_owner *o, struct err *err)
{
	json_t *all = plan_stages(in_force), *stage, *copy, *easing = json_object_get(plan, "ease");
	size_t i, before = json_array_size(all);
	struct err undo_err = {0};
	int rc = plan_check(plan, err);

	if (rc < 0 || (o->guard && o->guard(o->conf, plan_name(in_force), err) < 0))
		return PLAN_REFUSED;
	if (easing)
		json_object_set(in_force, "ease", easing);
	json_array_foreach (plan_stages(plan), i, stage) {
		if (member_int(stage, "delay"))
			continue;
		copy = json_deep_copy(stage);
		json_array_append_new(all, copy);
		rc = stage_apply(w, j, in_force, copy, false, err);
		if (rc < 0)
			break;
	}
	if (rc == 0) {
		json_t *as_applied = json_deep_copy(all);

		merge_stages(in_force, before);
		rc = as_applied ? journal_write(j, in_force, err) : err_set(err, -ENOMEM, "out of memory");
		if (rc < 0 && as_applied) { /* on disk it is unfinished still: what a restart would undo is undone now */
			json_object_set(in_force, "stages", as_applied);
			all = plan_stages(in_force);
		}
		json_decref(as_applied);
	}
	if (rc == 0)
		return PLAN_DONE;
	while (rc < 0 && json_array_size(all) > before) {
		stage = json_array_get(all, json_array_size(all) - 1);
		if (json_object_get(stage, "undo") && stage_undo(w, stage, false, &undo_err) < 0) {
			err_wrap(err, "the undo failed too (%s)", undo_err.text);
			return PLAN_STUCK;
		}
		json_array_remove(all, json_array_size(all) - 1);
	}
	if (journal_write(j, in_force, &undo_err) < 0)
		log_warn("plan=%s reason=\"%s\"", plan_name(in_force), undo_err.text);
	return PLAN_UNDONE;
}

int plan_confirm(struct world *w, struct journal *j, const char *name, struct err *err)
{
	json_t *plan;
	int rc = journal_read(j, name, &plan, err);

	if (rc < 0)
		return rc == -ENOENT ? err_set(err, -ENOENT, "%s is not in force: there is nothing to confirm", name) : rc;
	if (plan_is(plan, "confirmed")) {
		json_decref(plan);
		return 0;
	}
	if (!plan_is(plan, "pending") || !plan_of_this_boot(plan) || member_int(plan, "deadline-ms") <= plan_now_ms())
		rc = err_set(err, -ETIME, "%s is %s: too late to confirm it, it is being undone", name, plan_state(plan));
	kill_point("before the peers confirm");
	if (rc == 0)
		rc = confirm_peers(w, plan, err);
	kill_point("the peers have confirmed");
	if (rc == 0) {
		plan_set_state(plan, "confirmed");
		json_object_set_new(plan, "confirmed-ms", json_integer(plan_now_ms()));
		rc = journal_write(j, plan, err);
	}
	kill_point("confirmed");
	json_decref(plan);
	return rc;
}

/* What makes the undo easy on those who use the plan's effect. Who is in a hurry (an automatic revert) goes without it. */
static void ease(struct world *w, struct journal *j, json_t *plan)
{
	json_t *ops = json_object_get(plan, "ease"), *op;
	struct err err;
	size_t i;

	if (!ops)
		return;
	plan_set_state(plan, "reverting");
	if (journal_write(j, plan, &err) < 0)
		return;
	json_array_foreach (ops, i, op)
		if (op_apply(w, op, &err) < 0)
			log_warn("plan=%s reason=\"%s\" advice=\"undone all the same\"", plan_name(plan), err.text);
}

enum plan_end plan_revert(struct world *w, struct journal *j, const char *name, bool force, const struct plan_owner *o, struct err *err)
{
	json_t *plan;
	enum plan_end end;
	int rc = journal_read(j, name, &plan, err);

	if (rc < 0) {
		if (rc == -ENOENT)
			err_set(err, rc, "%s is not in force: there is nothing to revert", name);
		return PLAN_REFUSED;
	}
	if (o->guard && plan_is(plan, "confirmed") && o->guard(o->conf, name, err) < 0) /* that is no reason to keep what shall go */
		log_warn("plan=%s reason=\"%s\" advice=\"undone all the same\"", name, err->text);
	kill_point("before reverting");
	if (plan_is(plan, "confirmed"))
		ease(w, j, plan);
	end = plan_undo(w, j, plan, force, err);
	json_decref(plan);
	return end;
}
