#include "netctl/plan.h"

#include "netctl/kill.h"

#include "lib/log.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MS 5000 /* after an undo that failed */
#define BOOT_ID  "/proc/sys/kernel/random/boot_id"

/* Tests that crash also boot. */
static const char *boot_id_path(void)
{
#ifdef SHUNT_TEST_KILL
	const char *other = getenv("SHUNT_TEST_BOOT_ID");

	if (other)
		return other;
#endif
	return BOOT_ID;
}

int64_t plan_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void boot_id(char out[64])
{
	int fd = open(boot_id_path(), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, 63);

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

static bool of_this_boot(const json_t *plan_or_stage)
{
	char id[64];
	const char *then = json_string_value(json_object_get(plan_or_stage, "boot"));

	boot_id(id);
	return then && strcmp(then, id) == 0;
}

static const char *name_of(const json_t *plan)
{
	return json_string_value(json_object_get(plan, "plan"));
}

const char *plan_state(const json_t *plan)
{
	const char *s = json_string_value(json_object_get(plan, "state"));

	return s ? s : "";
}

static bool is(const json_t *plan, const char *state)
{
	return strcmp(plan_state(plan), state) == 0;
}

static void set_state(json_t *plan, const char *state)
{
	json_object_set_new(plan, "state", json_string(state));
}

static json_int_t number(const json_t *o, const char *member)
{
	return json_integer_value(json_object_get(o, member));
}

static bool is_peer(const json_t *op)
{
	const char *kind = op_string(op, "op");

	return kind && strcmp(kind, "peer") == 0;
}

static json_t *stages(const json_t *plan)
{
	return json_object_get(plan, "stages");
}

/* ---- applying ---- */

static int check_all(json_t *plan, struct err *err)
{
	size_t i, k;
	json_t *stage, *op;

	json_array_foreach (stages(plan), i, stage)
		json_array_foreach (json_object_get(stage, "ops"), k, op) {
			int rc = op_check(op, err);

			if (rc < 0)
				return rc;
		}
	return 0;
}

/* What brings back what is now, in the order of its application: the last op's undo first. */
static int undo_of_stage(struct world *w, json_t *stage, struct err *err)
{
	json_t *ops = json_object_get(stage, "ops"), *undo = json_array();
	int rc = 0;

	for (size_t i = json_array_size(ops); rc == 0 && i-- > 0;) {
		json_t *op = json_array_get(ops, i), *own = json_object_get(op, "undo");

		if (own)
			json_array_extend(undo, own);
		else
			rc = op_undo(w, op, undo, err);
	}
	if (rc < 0)
		json_decref(undo);
	else
		json_object_set_new(stage, "undo", undo);
	return rc;
}

static int verify_all(struct world *w, json_t *ops, struct err *err)
{
	size_t i;
	json_t *op;

	json_array_foreach (ops, i, op) {
		int rc = op_verify(w, op, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* It is as if it had never been applied. */
static void forget_stage(json_t *stage)
{
	json_object_del(stage, "undo");
	json_object_del(stage, "boot");
	json_object_del(stage, "unfinished");
}

/* Looks and changes nothing. */
static bool only_looks(const json_t *op)
{
	return strcmp(op_string(op, "op"), "duplicate") == 0;
}

/* After a boot the others have what they were asked for in journals of their own, and may be away for good; it was proved from outside. */
static bool once_only(const json_t *op)
{
	return is_peer(op) || strcmp(op_string(op, "op"), "probe") == 0;
}

static void forget_undo_of(json_t *stage, const json_t *op)
{
	json_t *undo = json_object_get(stage, "undo"), *own = json_object_get(op, "undo"), *o;
	size_t i;

	json_array_foreach (own, i, o)
		for (size_t k = json_array_size(undo); k-- > 0;)
			if (json_equal(json_array_get(undo, k), o))
				json_array_remove(undo, k);
}

static int apply_stage(struct world *w, struct journal *j, json_t *plan, json_t *stage, bool anew, struct err *err)
{
	json_t *ops = json_object_get(stage, "ops"), *op;
	char id[64];
	size_t i;
	int rc = undo_of_stage(w, stage, err);

	boot_id(id);
	json_object_set_new(stage, "boot", json_string(id));
	json_object_set_new(stage, "unfinished", json_true());
	kill_point("undo known");
	if (rc == 0)
		rc = journal_write(j, plan, err);
	if (rc < 0) { /* nothing of it has been done: it must not be undone either */
		forget_stage(stage);
		return rc;
	}
	json_array_foreach (ops, i, op) {
		kill_point("before op");
		if (!only_looks(op))
			json_object_set_new(plan, "touched", json_true());
		rc = anew && once_only(op) ? 0 : op_apply(w, op, err);
		if (rc == -EHOSTUNREACH && is_peer(op))
			forget_undo_of(stage, op); /* it was never asked, so it need not revert */
		if (rc < 0)
			return rc;
	}
	kill_point("stage applied");
	rc = verify_all(w, ops, err);
	if (rc == 0)
		json_object_del(stage, "unfinished");
	return rc;
}

/* ---- undoing ---- */

/* All of it, also past an op that fails: what can be as it was shall be. The first failure is the one told. */
static int undo_stage(struct world *w, json_t *stage, bool force, struct err *err)
{
	json_t *op;
	size_t i;
	int rc = 0;
	struct err other;

	json_array_foreach (json_object_get(stage, "undo"), i, op) {
		kill_point("before undo");
		int r = is_peer(op) && (force || json_object_get(op, "away")) ? 0 : op_apply(w, op, rc == 0 ? err : &other);

		if (r < 0 && strcmp(op_string(op, "op"), "announce") == 0)
			r = 0; /* the interface is down or gone: who would hear it */
		rc = rc == 0 ? r : rc;
	}
	if (rc == 0)
		rc = verify_all(w, json_object_get(stage, "undo"), err);
	return rc;
}

static int say_hello(struct world *w, const json_t *peer, struct err *err)
{
	json_t *hello = json_copy((json_t *)peer);
	int rc;

	json_object_set_new(hello, "do", json_string("hello"));
	rc = op_apply(w, hello, err);
	json_decref(hello);
	return rc;
}

/* Another station on the wire has the addresses: whoever was asked to give them has taken them back by itself. */
static bool taken_back(struct world *w, const json_t *plan)
{
	json_t *told = json_array_get(json_object_get(plan, "repeat"), 0), *op;
	struct err found;
	int rc;

	if (!told)
		return false;
	op = json_pack("{s:s, s:O, s:O, s:[]}", "op", "duplicate", "addresses", json_object_get(told, "addresses"), "dev",
		       json_object_get(told, "dev"), "allow");
	rc = op ? op_apply(w, op, &found) : -ENOMEM; /* without a struct err the code would be lost */
	json_decref(op);
	return rc == -EADDRINUSE;
}

/* Going silent for addresses that nobody else would answer for is no way back: first the peers that shall have them again must be there.
 * One that is not reverts by itself in time, if it lives: then its answers are seen on the wire. */
static int peers_stand_by(struct world *w, json_t *plan, struct err *err)
{
	json_t *stage, *op;
	size_t i, k;

	json_array_foreach (stages(plan), i, stage)
		json_array_foreach (json_object_get(stage, "undo"), k, op) {
			int rc = is_peer(op) ? say_hello(w, op, err) : 0;

			if (rc < 0 && !taken_back(w, plan))
				return err_wrap(err, "the addresses stay here as long as");
			if (rc < 0)
				json_object_set_new(op, "away", json_true());
		}
	return 0;
}

static enum plan_end undo(struct world *w, struct journal *j, json_t *plan, bool force, struct err *err)
{
	json_t *all = stages(plan);
	struct err other;
	int rc = force ? 0 : peers_stand_by(w, plan, err);

	if (rc < 0)
		goto stuck;

	set_state(plan, "reverting");
	if (journal_write(j, plan, &other) < 0) /* a full disk must not keep the network as it is; the undo can be done again */
		log_error("plan=%s reason=\"%s\" advice=\"undone all the same\"", name_of(plan), other.text);
	kill_point("reverting");
	for (size_t i = json_array_size(all); i-- > 0;) {
		json_t *stage = json_array_get(all, i);

		if (!json_object_get(stage, "undo"))
			continue;
		int r = undo_stage(w, stage, force, rc == 0 ? err : &other);

		rc = rc == 0 ? r : rc;
	}
	kill_point("undone");
	if (rc == 0)
		rc = journal_remove(j, name_of(plan), err);
	if (rc == 0)
		return PLAN_UNDONE;
stuck:
	set_state(plan, "stuck");
	json_object_set_new(plan, "retry-ms", json_integer(plan_now_ms() + RETRY_MS));
	json_object_set_new(plan, "error", json_string(err ? err->text : ""));
	journal_write(j, plan, &other);
	return PLAN_STUCK;
}

/* ---- one plan's life ---- */

static void begin(json_t *plan, int confirm_s, const struct plan_owner *o)
{
	char id[64], at[32];
	time_t now = time(NULL);
	struct tm tm;

	boot_id(id);
	strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	set_state(plan, "applying");
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
	int rc = check_all(plan, err);

	json_array_foreach (stages(plan), i, stage) {
		if (rc < 0)
			return rc;
		rc = undo_of_stage(w, stage, err);
	}
	return rc;
}

static int apply_now(struct world *w, struct journal *j, json_t *plan, struct err *err)
{
	json_t *stage;
	size_t i;
	int rc;

	json_array_foreach (stages(plan), i, stage) {
		if (number(stage, "delay"))
			continue;
		rc = apply_stage(w, j, plan, stage, false, err);
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

	json_array_foreach (stages(plan), i, stage)
		json_array_foreach (json_object_get(stage, "ops"), k, op) {
			json_t *ask;
			int rc;

			if (!is_peer(op) || strcmp(op_string(op, "do"), "apply") != 0)
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

	json_array_foreach (stages(plan), i, stage)
		json_array_foreach (json_object_get(stage, "ops"), k, op) {
			int rc = is_peer(op) && !number(stage, "delay") ? say_hello(w, op, err) : 0;

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
	int rc = journal_read(j, name_of(plan), &old, err);

	if (rc != -ENOENT) {
		if (rc == 0)
			err_set(err, -EEXIST, "%s is in force already (%s, by %s since %s)", name_of(plan), plan_state(old),
				json_string_value(json_object_get(old, "by")), json_string_value(json_object_get(old, "began")));
		json_decref(old);
		return PLAN_REFUSED;
	}
	if (check_all(plan, err) < 0 || peers_answer(w, plan, err) < 0)
		return PLAN_REFUSED;
	begin(plan, confirm_s, o);
	/* It waits for the lock, so it sees the plan, or that there is none. */
	if (o->guard && o->guard(o->conf, name_of(plan), err) < 0)
		return PLAN_REFUSED;
	kill_point("nothing written");
	if (journal_write(j, plan, err) < 0)
		return PLAN_REFUSED;
	kill_point("begun");
	rc = apply_now(w, j, plan, err);
	if (rc == 0 && !confirm_s)
		rc = confirm_peers(w, plan, err);
	if (rc == 0) {
		set_state(plan, confirm_s ? "pending" : "confirmed");
		json_object_set_new(plan, "deadline-ms", json_integer(plan_now_ms() + confirm_s * 1000LL));
		if (!confirm_s)
			json_object_set_new(plan, "confirmed-ms", json_integer(plan_now_ms()));
		kill_point("applied");
		rc = journal_write(j, plan, err);
		kill_point("said");
	}
	if (rc == 0)
		return PLAN_DONE;
	end = undo(w, j, plan, false, &undo_err);
	if (end == PLAN_STUCK)
		err_wrap(err, "the undo failed too (%s)", undo_err.text);
	return end == PLAN_UNDONE && !json_object_get(plan, "touched") ? PLAN_REFUSED : end;
}

/* What an op is about, whatever it makes of it. */
static json_t *subject(const json_t *op)
{
	static const char *const said[] = {"state", "rules", "value", "undo", "lladdr", "via", "onlink", "nodad", "noprefixroute"};
	json_t *o = json_copy((json_t *)op);

	for (size_t i = 0; i < sizeof said / sizeof *said; i++)
		json_object_del(o, said[i]);
	return o;
}

static bool is_about(json_t *ops, const json_t *op)
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

/* What an earlier undo brings back as it was before the plan need not first become what it was in between: that would be in effect for a
 * moment. */
static void forget_detours(json_t *undo, json_t *earlier)
{
	for (size_t k = json_array_size(undo); k-- > 0;)
		if (is_about(earlier, json_array_get(undo, k)))
			json_array_remove(undo, k);
}

/* The stages from `from` on become one with that before them, so that a plan that is extended often does not grow. */
static void merge_stages(json_t *in_force, size_t from)
{
	json_t *all = stages(in_force), *into = json_array_get(all, from - 1);

	if (!json_object_get(into, "undo"))
		return; /* a delayed one, which is still to come */
	while (json_array_size(all) > from) {
		json_t *next = json_array_get(all, from), *ops = json_object_get(into, "ops"), *undo = json_object_get(next, "undo");

		for (size_t k = json_array_size(ops); k-- > 0;)
			if (is_about(json_object_get(next, "ops"), json_array_get(ops, k)))
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
	json_t *all = stages(in_force), *stage, *copy, *easing = json_object_get(plan, "ease");
	size_t i, before = json_array_size(all);
	struct err undo_err = {0};
	int rc = check_all(plan, err);

	if (rc < 0 || (o->guard && o->guard(o->conf, name_of(in_force), err) < 0))
		return PLAN_REFUSED;
	if (easing)
		json_object_set(in_force, "ease", easing);
	json_array_foreach (stages(plan), i, stage) {
		if (number(stage, "delay"))
			continue;
		copy = json_deep_copy(stage);
		json_array_append_new(all, copy);
		rc = apply_stage(w, j, in_force, copy, false, err);
		if (rc < 0)
			break;
	}
	if (rc == 0) {
		json_t *as_applied = json_deep_copy(all);

		merge_stages(in_force, before);
		rc = as_applied ? journal_write(j, in_force, err) : err_set(err, -ENOMEM, "out of memory");
		if (rc < 0 && as_applied) { /* on disk it is unfinished still: what a restart would undo is undone now */
			json_object_set(in_force, "stages", as_applied);
			all = stages(in_force);
		}
		json_decref(as_applied);
	}
	if (rc == 0)
		return PLAN_DONE;
	while (rc < 0 && json_array_size(all) > before) {
		stage = json_array_get(all, json_array_size(all) - 1);
		if (json_object_get(stage, "undo") && undo_stage(w, stage, false, &undo_err) < 0) {
			err_wrap(err, "the undo failed too (%s)", undo_err.text);
			return PLAN_STUCK;
		}
		json_array_remove(all, json_array_size(all) - 1);
	}
	if (journal_write(j, in_force, &undo_err) < 0)
		log_warn("plan=%s reason=\"%s\"", name_of(in_force), undo_err.text);
	return PLAN_UNDONE;
}

int plan_confirm(struct world *w, struct journal *j, const char *name, struct err *err)
{
	json_t *plan;
	int rc = journal_read(j, name, &plan, err);

	if (rc < 0)
		return rc == -ENOENT ? err_set(err, -ENOENT, "%s is not in force: there is nothing to confirm", name) : rc;
	if (is(plan, "confirmed")) {
		json_decref(plan);
		return 0;
	}
	if (!is(plan, "pending") || !of_this_boot(plan) || number(plan, "deadline-ms") <= plan_now_ms())
		rc = err_set(err, -ETIME, "%s is %s: too late to confirm it, it is being undone", name, plan_state(plan));
	kill_point("before the peers confirm");
	if (rc == 0)
		rc = confirm_peers(w, plan, err);
	kill_point("the peers have confirmed");
	if (rc == 0) {
		set_state(plan, "confirmed");
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
	set_state(plan, "reverting");
	if (journal_write(j, plan, &err) < 0)
		return;
	json_array_foreach (ops, i, op)
		if (op_apply(w, op, &err) < 0)
			log_warn("plan=%s reason=\"%s\" advice=\"undone all the same\"", name_of(plan), err.text);
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
	if (o->guard && is(plan, "confirmed") && o->guard(o->conf, name, err) < 0) /* that is no reason to keep what shall go */
		log_warn("plan=%s reason=\"%s\" advice=\"undone all the same\"", name, err->text);
	kill_point("before reverting");
	if (is(plan, "confirmed"))
		ease(w, j, plan);
	end = undo(w, j, plan, force, err);
	json_decref(plan);
	return end;
}

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
	json_t *all = stages(plan), *op;
	struct err other;
	size_t k;
	int rc = 0;

	set_state(plan, "ending");
	json_object_set_new(plan, "how", json_string(how));
	if (journal_write(j, plan, &other) < 0)
		log_error("plan=%s reason=\"%s\" advice=\"ended all the same\"", name_of(plan), other.text);
	for (size_t i = json_array_size(all); i-- > 0;)
		json_array_foreach (json_object_get(json_array_get(all, i), "undo"), k, op) {
			int r = wanted(op_string(op, "op")) ? op_apply(w, op, rc == 0 ? err : &other) : 0;

			rc = rc == 0 ? r : rc;
		}
	return rc == 0 ? journal_remove(j, name_of(plan), err) : here(rc);
}

int plan_settle(struct world *w, struct journal *j, const char *name, struct err *err)
{
	json_t *plan;
	int rc = journal_read(j, name, &plan, err);

	if (rc < 0)
		return rc;
	if (is(plan, "confirmed") || is(plan, "ending"))
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

	json_array_foreach (stages(plan), i, stage)
		if (number(stage, "delay") && !json_object_get(stage, "undo"))
			return stage;
	return NULL;
}

/* Whoever was at it has been killed: a delayed stage is as if it had not begun, one that extended the plan is no more. */
static int drop_unfinished(struct world *w, struct journal *j, json_t *plan, struct err *err)
{
	json_t *all = stages(plan);
	bool found = false;

	for (size_t i = json_array_size(all); i-- > 0;) {
		json_t *stage = json_array_get(all, i);
		int rc;

		if (!json_object_get(stage, "unfinished"))
			continue;
		found = true;
		rc = undo_stage(w, stage, false, err);
		if (rc < 0)
			return rc;
		if (number(stage, "delay"))
			forget_stage(stage);
		else
			json_array_remove(all, i);
	}
	return found ? journal_write(j, plan, err) : 0;
}

static int apply_delayed(struct world *w, struct journal *j, json_t *plan, json_t *stage, struct err *err)
{
	int rc = apply_stage(w, j, plan, stage, false, err);

	if (rc == 0)
		rc = journal_write(j, plan, err);
	if (rc < 0 && undo_stage(w, stage, false, NULL) == 0) {
		forget_stage(stage);
		journal_write(j, plan, NULL);
	}
	return rc < 0 ? err_wrap(err, "stage \"%s\"", json_string_value(json_object_get(stage, "name"))) : 0;
}

/* All its stages are applied: does the last one end the plan? */
static int end_if_over(struct world *w, struct journal *j, json_t *plan, struct err *err)
{
	json_t *all = stages(plan);
	const char *last = json_string_value(json_object_get(json_array_get(all, json_array_size(all) - 1), "last"));

	return last ? end(w, j, plan, last, err) : 0;
}

static int turn_confirmed(struct world *w, struct journal *j, json_t *plan, int64_t *next_ms, struct err *err)
{
	int rc = drop_unfinished(w, j, plan, err);
	json_t *stage;

	while (rc == 0 && (stage = delayed_stage(plan))) {
		*next_ms = number(plan, "confirmed-ms") + number(stage, "delay") * 1000;
		if (*next_ms > plan_now_ms())
			return 0;
		rc = apply_delayed(w, j, plan, stage, err);
		kill_point("delayed stage applied");
	}
	if (rc == 0)
		rc = end_if_over(w, j, plan, err);
	*next_ms = rc < 0 ? plan_now_ms() + RETRY_MS : -1;
	return rc;
}

int plan_turn(struct world *w, struct journal *j, const char *name, int64_t *next_ms, struct err *err)
{
	json_t *plan;
	int rc = journal_read(j, name, &plan, err);

	*next_ms = rc < 0 && rc != -ENOENT ? plan_now_ms() + RETRY_MS : -1;
	if (rc < 0)
		return rc;
	if (is(plan, "confirmed") && of_this_boot(plan)) {
		rc = turn_confirmed(w, j, plan, next_ms, err);
	} else if (is(plan, "ending")) {
		rc = end(w, j, plan, json_string_value(json_object_get(plan, "how")), err);
		*next_ms = rc < 0 ? plan_now_ms() + RETRY_MS : -1;
	} else if (is(plan, "confirmed")) {
		rc = 0; /* plan_reboot()'s */
	} else if (is(plan, "stuck") && of_this_boot(plan) && number(plan, "retry-ms") > plan_now_ms()) {
		*next_ms = number(plan, "retry-ms"); /* whoever asks: each try asks other hosts, which may be away */
	} else if (is(plan, "pending") && of_this_boot(plan) && number(plan, "deadline-ms") > plan_now_ms()) {
		*next_ms = number(plan, "deadline-ms");
	} else {
		const char *was = is(plan, "pending") ? "nobody confirmed it in time"
				  : is(plan, "stuck") ? "its undo failed"
						      : "its owner has died";

		log_warn("plan=%s reason=\"%s: undoing it\"", name, was);
		rc = 0;
		if (undo(w, j, plan, false, err) == PLAN_STUCK) {
			*next_ms = plan_now_ms() + RETRY_MS;
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

	json_array_foreach (stages(plan), i, stage) {
		if (!json_object_get(stage, "undo"))
			continue; /* it was not due yet */
		if (of_this_boot(stage)) {
			if (!json_object_get(stage, "unfinished"))
				continue;
			rc = undo_stage(w, stage, true, err);
			if (rc < 0)
				break;
		}
		rc = apply_stage(w, j, plan, stage, true, err);
		if (rc < 0)
			break;
	}
	return rc;
}

int plan_reboot(struct world *w, struct journal *j, const char *name, struct err *err)
{
	json_t *plan;
	int rc = journal_read(j, name, &plan, err);
	char id[64];

	if (rc < 0)
		return rc;
	if (of_this_boot(plan)) {
		json_decref(plan);
		return 0;
	}
	if (!is(plan, "confirmed")) {
		if (is(plan, "ending")) /* the kernel has forgotten what was left of it */
			rc = journal_remove(j, name, err);
		else
			rc = undo(w, j, plan, false, err) == PLAN_STUCK ? err->code : 0;
		json_decref(plan);
		return here(rc);
	}
	rc = apply_anew(w, j, plan, err);
	if (rc == 0) {
		boot_id(id);
		json_object_set_new(plan, "boot", json_string(id));
		json_object_set_new(plan, "confirmed-ms", json_integer(plan_now_ms()));
		rc = journal_write(j, plan, err);
	}
	json_decref(plan);
	return here(rc);
}

/* A later stage that has been applied is about the same thing. */
static bool superseded(const json_t *plan, size_t stage, const json_t *op)
{
	json_t *all = stages(plan);

	for (size_t i = stage + 1; i < json_array_size(all); i++) {
		json_t *s = json_array_get(all, i);

		if (json_object_get(s, "undo") && is_about(json_object_get(s, "ops"), op))
			return true;
	}
	return false;
}

int plan_drift(struct world *w, json_t *plan, json_t *texts, struct err *err)
{
	struct err own; /* op_verify() tells the two cases apart by a code that a NULL err would lose */
	json_t *stage, *op;
	size_t i, k;

	err = err ? err : &own;
	json_array_foreach (stages(plan), i, stage) {
		if (!json_object_get(stage, "undo"))
			continue;
		json_array_foreach (json_object_get(stage, "ops"), k, op) {
			int rc = op_verify(w, op, err);

			if (rc == -ENOENT && !superseded(plan, i, op))
				json_array_append_new(texts, json_string(err->text));
			else if (rc < 0 && rc != -ENOENT)
				return rc;
		}
	}
	return 0;
}
