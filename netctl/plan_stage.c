#include "netctl/plan_parts.h"

#include "lib/kill.h"

#include "lib/log.h"
#include "lib/member.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

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

void plan_boot_id(char out[64])
{
	int fd = open(boot_id_path(), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, 63);

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

bool plan_of_this_boot(const json_t *plan_or_stage)
{
	char id[64];
	const char *then = json_string_value(json_object_get(plan_or_stage, "boot"));

	plan_boot_id(id);
	return then && strcmp(then, id) == 0;
}

const char *plan_name(const json_t *plan)
{
	return json_string_value(json_object_get(plan, "plan"));
}

const char *plan_state(const json_t *plan)
{
	return member_text(plan, "state");
}

bool plan_is(const json_t *plan, const char *state)
{
	return strcmp(plan_state(plan), state) == 0;
}

void plan_set_state(json_t *plan, const char *state)
{
	json_object_set_new(plan, "state", json_string(state));
}

bool plan_is_peer(const json_t *op)
{
	const char *kind = op_string(op, "op");

	return kind && strcmp(kind, "peer") == 0;
}

json_t *plan_stages(const json_t *plan)
{
	return json_object_get(plan, "stages");
}

/* ---- applying ---- */

int plan_check(json_t *plan, struct err *err)
{
	size_t i, k;
	json_t *stage, *op;

	json_array_foreach (plan_stages(plan), i, stage)
		json_array_foreach (json_object_get(stage, "ops"), k, op) {
			int rc = op_check(op, err);

			if (rc < 0)
				return rc;
		}
	return 0;
}

/* What brings back what is now, in the order of its application: the last op's undo first. */
int stage_know_undo(struct world *w, json_t *stage, struct err *err)
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
void stage_forget(json_t *stage)
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
	return plan_is_peer(op) || strcmp(op_string(op, "op"), "probe") == 0;
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

int stage_apply(struct world *w, struct journal *j, json_t *plan, json_t *stage, bool anew, struct err *err)
{
	json_t *ops = json_object_get(stage, "ops"), *op;
	char id[64];
	size_t i;
	int rc = stage_know_undo(w, stage, err);

	plan_boot_id(id);
	json_object_set_new(stage, "boot", json_string(id));
	json_object_set_new(stage, "unfinished", json_true());
	kill_point("undo known");
	if (rc == 0)
		rc = journal_write(j, plan, err);
	if (rc < 0) { /* nothing of it has been done: it must not be undone either */
		stage_forget(stage);
		return rc;
	}
	json_array_foreach (ops, i, op) {
		kill_point("before op");
		if (!only_looks(op))
			json_object_set_new(plan, "touched", json_true());
		rc = anew && once_only(op) ? 0 : op_apply(w, op, err);
		if (rc == -EHOSTUNREACH && plan_is_peer(op))
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
int stage_undo(struct world *w, json_t *stage, bool force, struct err *err)
{
	json_t *op;
	size_t i;
	int rc = 0;
	struct err other;

	json_array_foreach (json_object_get(stage, "undo"), i, op) {
		kill_point("before undo");
		int r = plan_is_peer(op) && (force || json_object_get(op, "away")) ? 0 : op_apply(w, op, rc == 0 ? err : &other);

		if (r < 0 && strcmp(op_string(op, "op"), "announce") == 0)
			r = 0; /* the interface is down or gone: who would hear it */
		rc = rc == 0 ? r : rc;
	}
	if (rc == 0)
		rc = verify_all(w, json_object_get(stage, "undo"), err);
	return rc;
}

int plan_say_hello(struct world *w, const json_t *peer, struct err *err)
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

	json_array_foreach (plan_stages(plan), i, stage)
		json_array_foreach (json_object_get(stage, "undo"), k, op) {
			int rc = plan_is_peer(op) ? plan_say_hello(w, op, err) : 0;

			if (rc < 0 && !taken_back(w, plan))
				return err_wrap(err, "the addresses stay here as long as");
			if (rc < 0)
				json_object_set_new(op, "away", json_true());
		}
	return 0;
}

static bool asks_peer(json_t *ops)
{
	json_t *op;
	size_t i;

	json_array_foreach (ops, i, op)
		if (plan_is_peer(op) && !json_object_get(op, "away"))
			return true;
	return false;
}

/* Another host does not take back what it gave, so it must not be given up here: what came after is put up again, as it was. */
static void stay(struct world *w, json_t *plan, size_t from)
{
	json_t *all = plan_stages(plan), *op;
	struct err err;
	size_t k;

	for (size_t i = from; i < json_array_size(all); i++) {
		if (!json_object_get(json_array_get(all, i), "undo"))
			continue;
		json_array_foreach (json_object_get(json_array_get(all, i), "ops"), k, op)
			if (!once_only(op) && op_apply(w, op, &err) < 0)
				log_error("plan=%s reason=\"%s\"", plan_name(plan), err.text);
	}
}

enum plan_end plan_undo(struct world *w, struct journal *j, json_t *plan, bool force, struct err *err)
{
	json_t *all = plan_stages(plan);
	struct err other;
	int rc = force ? 0 : peers_stand_by(w, plan, err);

	if (rc < 0)
		goto stuck;

	plan_set_state(plan, "reverting");
	if (journal_write(j, plan, &other) < 0) /* a full disk must not keep the network as it is; the undo can be done again */
		log_error("plan=%s reason=\"%s\" advice=\"undone all the same\"", plan_name(plan), other.text);
	kill_point("reverting");
	for (size_t i = json_array_size(all); i-- > 0;) {
		json_t *stage = json_array_get(all, i);

		if (!json_object_get(stage, "undo"))
			continue;
		int r = stage_undo(w, stage, force, rc == 0 ? err : &other);

		rc = rc == 0 ? r : rc;
		if (r < 0 && asks_peer(json_object_get(stage, "undo"))) {
			stay(w, plan, i + 1);
			break;
		}
	}
	kill_point("undone");
	if (rc == 0)
		rc = journal_remove(j, plan_name(plan), err);
	if (rc == 0)
		return PLAN_UNDONE;
stuck:
	plan_set_state(plan, "stuck");
	json_object_set_new(plan, "retry-ms", json_integer(plan_now_ms() + PLAN_RETRY_MS));
	json_object_set_new(plan, "error", json_string(err ? err->text : ""));
	journal_write(j, plan, &other);
	return PLAN_STUCK;
}
