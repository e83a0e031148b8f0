#include "netctl/act.h"

#include "netctl/guard.h"
#include "netctl/nft.h"
#include "netctl/nl.h"
#include "netctl/plan.h"
#include "netctl/tables.h"

#include "lib/log.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOCK_MS 20000 /* a guard at work, or another command */

int act_open(struct act *a, const struct conf *conf, struct err *err)
{
	int rc;

	a->conf = a->world.conf = conf;
	if (!conf->netctl.present)
		return err_set(err, -EINVAL, "%s: found no section netctl, expected one with the interface and this host's role",
			       conf->file);
	if (geteuid() != 0)
		return err_set(err, -EPERM, "changing the network is root's work: run it as root");
	rc = journal_open(&a->world.journal, conf->netctl.journal, err);
	return rc < 0 ? rc : nl_new(&a->world.nl, err);
}

void act_close(struct act *a)
{
	nl_free(a->world.nl);
	journal_close(a->world.journal);
	a->world.nl = NULL;
	a->world.journal = NULL;
}

static enum exit_code exit_of(enum plan_end end)
{
	switch (end) {
	case PLAN_DONE:
		return EXIT_DONE;
	case PLAN_REFUSED:
		return EXIT_REFUSED;
	case PLAN_UNDONE:
		return EXIT_UNDONE;
	case PLAN_STUCK:
		return EXIT_STUCK;
	}
	return EXIT_STUCK;
}

/* ---- what is overdue ---- */

/* Under the lock. */
static enum exit_code recover(struct act *a, json_t *answer, struct err *err)
{
	struct journal *j = a->world.journal;
	json_t *all = NULL, *plan, *failed = json_array();
	enum exit_code x = EXIT_DONE;
	struct err own;
	size_t i;

	if (journal_all(j, &all, err) < 0)
		x = EXIT_STUCK;
	json_array_foreach (all, i, plan)
		if (plan_reboot_ends(j, plan, err) < 0)
			x = EXIT_STUCK;
	json_array_foreach (all, i, plan) {
		const char *name = json_string_value(json_object_get(plan, "plan"));
		int64_t next = -1;
		int rc = plan_reboot(&a->world, j, name, &own);

		if (rc == 0)
			rc = plan_turn(&a->world, j, name, &next, &own);
		if (rc < 0 && rc != -ENOENT) {
			json_array_append_new(failed, json_pack("{s:s, s:s}", "plan", name, "error", own.text));
			if (x == EXIT_DONE)
				err_set(err, rc, "%s: %s", name, own.text);
			x = EXIT_STUCK;
		}
	}
	if (answer && json_array_size(failed))
		json_object_set(answer, "failed", failed);
	json_decref(failed);
	json_decref(all);
	return x;
}

static enum exit_code begin(struct act *a, struct err *err)
{
	struct err own;

	if (journal_lock(a->world.journal, LOCK_MS, err) < 0)
		return EXIT_REFUSED;
	recover(a, NULL, &own); /* what is stuck says so in status; it must not keep others from being done or undone */
	return EXIT_DONE;
}

static void end(struct act *a)
{
	journal_unlock(a->world.journal);
}

/* ---- plans ---- */

static struct plan_owner owner_of(const struct act *a)
{
	return (struct plan_owner){.by = a->by, .conf = a->conf->file, .guard = guard_start};
}

static void describe(json_t *answer, json_t *plan)
{
	static const char *const members[] = {"plan", "state", "by", "began", "confirm", "error"};

	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		json_t *v = json_object_get(plan, members[i]);

		if (v)
			json_object_set(answer, members[i], v);
	}
	if (strcmp(plan_state(plan), "pending") == 0) {
		int64_t left = json_integer_value(json_object_get(plan, "deadline-ms")) - plan_now_ms();

		json_object_set_new(answer, "reverts-in", json_integer(left > 0 ? (left + 999) / 1000 : 0));
	}
}

static json_t *texts_of(json_t *ops)
{
	json_t *list = json_array(), *op;
	char text[OP_TEXT_MAX];
	size_t i;

	json_array_foreach (ops, i, op)
		json_array_append_new(list, json_string(op_text(op, text)));
	return list;
}

enum exit_code act_plan(struct act *a, const char *name, const struct build_wish *wish, json_t *answer, struct err *err)
{
	json_t *plan, *stage, *list = json_array();
	size_t i;
	struct build_wish timed = *wish;
	int rc;

	timed.confirm_s = a->conf->netctl.confirm;
	rc = build_plan(&plan, a->conf, a->world.nl, name, &timed, err);
	json_object_set_new(answer, "stages", list);
	if (rc < 0)
		return rc == -EINVAL ? EXIT_USAGE : EXIT_REFUSED;
	rc = plan_preview(&a->world, plan, err);
	json_array_foreach (json_object_get(plan, "stages"), i, stage) {
		json_t *shown = json_deep_copy(stage);

		json_object_set_new(shown, "do", texts_of(json_object_get(stage, "ops")));
		json_object_set_new(shown, "undone-by", texts_of(json_object_get(stage, "undo")));
		json_array_append_new(list, shown);
	}
	json_object_set_new(answer, "plan", json_string(name));
	json_decref(plan);
	return rc < 0 ? EXIT_REFUSED : EXIT_DONE;
}

static json_t *all_ops(json_t *plan)
{
	json_t *all = json_array(), *stage;
	size_t i;

	json_array_foreach (json_object_get(plan, "stages"), i, stage)
		json_array_extend(all, json_object_get(stage, "ops"));
	return all;
}

/* Does the end of what is in force say just what is wanted now? */
static bool same_as(json_t *in_force, json_t *plan)
{
	json_t *a = all_ops(in_force), *b = all_ops(plan);
	size_t have = json_array_size(a), want = json_array_size(b);
	bool same = have >= want;

	for (size_t i = 0; same && i < want; i++)
		same = json_equal(json_array_get(a, have - want + i), json_array_get(b, i));
	json_decref(a);
	json_decref(b);
	return same;
}

static void keep_moved(json_t *plan, const struct build_wish *wish)
{
	if (wish->moved)
		json_object_set(plan, "moved", wish->moved);
}

static bool drifted(struct act *a, json_t *plan)
{
	json_t *texts = json_array();
	bool is = plan_drift(&a->world, plan, NULL, texts, NULL) < 0 || json_array_size(texts) > 0;

	json_decref(texts);
	return is;
}

static enum exit_code apply_again(struct act *a, json_t *in_force, const char *name, const struct build_wish *wish, json_t *answer,
				  struct err *err)
{
	json_t *plan = NULL;
	struct plan_owner owner = owner_of(a);
	enum plan_end e = PLAN_DONE;
	bool settled = strcmp(name, "intercept") == 0 || strcmp(name, "reply") == 0; /* what looks at the wire differs each time */

	if (strcmp(plan_state(in_force), "confirmed") != 0) {
		describe(answer, in_force);
		err_set(err, -EEXIST, "%s is %s, by %s since %s: confirm or revert it first", name, plan_state(in_force),
			json_string_value(json_object_get(in_force, "by")), json_string_value(json_object_get(in_force, "began")));
		return EXIT_REFUSED;
	}
	if (!settled && drifted(a, in_force)) {
		describe(answer, in_force);
		err_set(err, -EEXIST, "%s is in force, but somebody has changed what it made (shunt-netctl status): revert it first", name);
		return EXIT_REFUSED;
	}
	if (settled) {
		struct build_wish as_before = *wish;

		if (!as_before.moved)
			as_before.moved = json_object_get(in_force, "moved");
		if (build_plan(&plan, a->conf, a->world.nl, name, &as_before, err) < 0)
			return EXIT_REFUSED;
		keep_moved(in_force, wish);
		if (!same_as(in_force, plan) || drifted(a, in_force)) /* and puts right what somebody changed: it was asked for */
			e = plan_extend(&a->world, a->world.journal, in_force, plan, &owner, err);
		json_decref(plan);
	}
	describe(answer, in_force);
	json_object_set_new(answer, "already", json_true());
	return exit_of(e);
}

enum exit_code act_apply(struct act *a, const char *name, int confirm_s, const struct build_wish *wish, json_t *answer, struct err *err)
{
	struct plan_owner owner = owner_of(a);
	json_t *plan = NULL, *in_force = NULL;
	enum exit_code x = begin(a, err);
	struct build_wish timed = *wish;
	int rc;

	if (x)
		return x;
	timed.confirm_s = confirm_s < 0 ? a->conf->netctl.confirm : confirm_s;
	wish = &timed;
	rc = journal_read(a->world.journal, name, &in_force, err);
	if (rc == 0) {
		x = apply_again(a, in_force, name, wish, answer, err);
	} else if (rc == -ENOENT) {
		rc = build_plan(&plan, a->conf, a->world.nl, name, wish, err);
		x = rc == -EINVAL ? EXIT_USAGE : rc < 0 ? EXIT_REFUSED : EXIT_DONE;
		if (rc == 0)
			keep_moved(plan, wish);
		if (rc == 0)
			x = exit_of(plan_apply(&a->world, a->world.journal, plan, timed.confirm_s, &owner, err));
		if (plan)
			describe(answer, plan);
	} else {
		x = rc == -EINVAL ? EXIT_USAGE : EXIT_STUCK;
	}
	json_decref(in_force);
	json_decref(plan);
	end(a);
	return x;
}

enum exit_code act_confirm(struct act *a, const char *name, json_t *answer, struct err *err)
{
	json_t *all = NULL, *plan, *done = json_array();
	enum exit_code x = begin(a, err);
	size_t i;
	int rc = x ? -1 : journal_all(a->world.journal, &all, err);

	json_object_set_new(answer, "confirmed", done);
	if (x)
		return x;
	if (rc == -EBADMSG && name)
		rc = 0; /* it tells of its own file */
	json_array_foreach (all, i, plan) {
		const char *this = json_string_value(json_object_get(plan, "plan"));

		if (rc < 0 || (name ? strcmp(name, this) != 0 : strcmp(plan_state(plan), "pending") != 0))
			continue;
		rc = plan_confirm(&a->world, a->world.journal, this, err);
		if (rc == 0)
			json_array_append_new(done, json_string(this));
	}
	if (rc == 0 && name && json_array_size(done) == 0)
		rc = plan_confirm(&a->world, a->world.journal, name, err); /* it says that it is not in force */
	json_decref(all);
	end(a);
	return rc < 0 ? EXIT_REFUSED : EXIT_DONE;
}

enum exit_code act_revert(struct act *a, const char *name, bool force, json_t *answer, struct err *err)
{
	json_t *all = NULL, *done = json_array();
	enum exit_code x = begin(a, err);
	struct plan_owner owner = owner_of(a);
	enum plan_end e = PLAN_UNDONE;

	json_object_set_new(answer, "reverted", done);
	if (x)
		return x;
	if (journal_all(a->world.journal, &all, err) < 0)
		x = EXIT_STUCK;
	for (size_t i = json_array_size(all); e == PLAN_UNDONE && i-- > 0;) {
		const char *this = json_string_value(json_object_get(json_array_get(all, i), "plan"));

		if (name && strcmp(name, this) != 0)
			continue;
		e = plan_revert(&a->world, a->world.journal, this, force, &owner, err);
		if (e == PLAN_UNDONE)
			json_array_append_new(done, json_string(this));
	}
	if (x == EXIT_STUCK && name && json_array_size(done))
		x = EXIT_DONE; /* what is damaged is another */
	if (x == EXIT_DONE && e != PLAN_UNDONE)
		x = exit_of(e);
	json_decref(all);
	end(a);
	return x;
}

enum exit_code act_settle(struct act *a, const char *name, json_t *answer, struct err *err)
{
	enum exit_code x = begin(a, err);
	int rc;

	if (x)
		return x;
	rc = plan_settle(&a->world, a->world.journal, name, err);
	json_object_set_new(answer, "settled", json_boolean(rc == 0));
	end(a);
	return rc < 0 && rc != -ENOENT ? EXIT_STUCK : EXIT_DONE;
}

enum exit_code act_recover(struct act *a, json_t *answer, struct err *err)
{
	enum exit_code x;

	if (journal_lock(a->world.journal, LOCK_MS, err) < 0)
		return EXIT_REFUSED;
	x = recover(a, answer, err);
	end(a);
	return x;
}

void act_overdue(struct act *a)
{
	struct err err = {0};

	if (journal_lock(a->world.journal, 0, &err) < 0)
		return;
	if (recover(a, NULL, &err) != EXIT_DONE)
		log_error("reason=\"%s\"", err.text);
	end(a);
}

/* ---- what is ---- */

static json_t *intercept_addresses(struct act *a, struct err *err)
{
	json_t *list = NULL;

	return build_addresses(&list, a->conf, BUILD_CLIENT, err) < 0 ? NULL : list;
}

static json_t *reset_op(struct act *a, struct err *err)
{
	json_t *addresses = intercept_addresses(a, err), *op = addresses ? build_reset(a->conf, addresses) : NULL;

	json_decref(addresses);
	return op;
}

enum exit_code act_reset_old(struct act *a, json_t *answer, struct err *err)
{
	json_t *op = reset_op(a, err);
	int rc = op ? op_check(op, err) : -EINVAL;

	if (rc == 0)
		rc = op_apply(&a->world, op, err);
	if (rc == 0)
		json_object_set(answer, "reset", json_object_get(op, "reset"));
	json_decref(op);
	return rc < 0 ? EXIT_REFUSED : EXIT_DONE;
}

static void add_old_connections(struct act *a, json_t *answer)
{
	json_t *op = reset_op(a, NULL);

	json_object_set_new(op, "count", json_true());
	if (op && op_check(op, NULL) == 0 && op_apply(&a->world, op, NULL) == 0)
		json_object_set(answer, "past-the-proxy", json_object_get(op, "reset"));
	json_decref(op);
}

static json_t *plan_status(struct act *a, json_t *plan, const json_t *younger)
{
	json_t *o = json_object(), *drift = json_array(), *stage, *due = NULL;
	struct err err;
	size_t i;

	describe(o, plan);
	if (plan_drift(&a->world, plan, younger, drift, &err) < 0)
		json_object_set_new(o, "drift-unknown", json_string(err.text));
	json_object_set_new(o, "drift", drift);
	json_array_foreach (json_object_get(plan, "stages"), i, stage)
		if (json_integer_value(json_object_get(stage, "delay")) && !due &&
		    (!json_object_get(stage, "undo") || json_object_get(stage, "unfinished")))
			due = json_object_get(stage, "name");
	if (due)
		json_object_set(o, "next", due);
	return o;
}

enum exit_code act_status(struct act *a, json_t *answer, struct err *err)
{
	json_t *all = NULL, *younger, *plan, *plans = json_array(), *ours = json_array();
	bool intercepts = false;
	size_t i;
	int rc = journal_all(a->world.journal, &all, err);

	json_object_set_new(answer, "role", json_string(role_name(a->conf->netctl.role)));
	json_object_set_new(answer, "topology", json_string(topology_name(a->conf->netctl.topology)));
	json_object_set_new(answer, "plans", plans);
	json_object_set_new(answer, "ours", ours);
	younger = json_copy(all);
	json_array_foreach (all, i, plan) {
		json_array_remove(younger, 0);
		json_array_append_new(plans, plan_status(a, plan, younger));
		intercepts |= strcmp(json_string_value(json_object_get(plan, "plan")), "intercept") == 0;
	}
	json_decref(younger);
	json_decref(all);
	if (nl_ours(a->world.nl, ours, rc == 0 ? err : NULL) < 0 || nft_ours(ours, rc == 0 ? err : NULL) < 0)
		rc = rc == 0 ? -EIO : rc;
	json_array_foreach (ours, i, plan) {
		char text[OP_TEXT_MAX];

		json_object_set_new(plan, "text", json_string(op_text(plan, text)));
	}
	if (intercepts)
		add_old_connections(a, answer);
	return rc < 0 ? EXIT_STUCK : EXIT_DONE;
}
