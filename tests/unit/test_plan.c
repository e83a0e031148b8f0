/* Plans with ops that are a toy: "addr" switches a name on or off in a world that is a list of names, and can be told to fail; "peer" is
 * another host that answers or does not. What fails, and where, must leave the world as it was; what cannot be undone is stuck until it
 * can. */
#include "netctl/plan.h"
#include "tests/unit/place.h"

#include "lib/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the toy ---- */

struct toy {
	char dir[64], said[2048];
	json_t *on;         /* names, in the order in which they were switched on */
	const char *breaks; /* "+a", "-old", "peer:apply": this fails */
	bool once;          /* but only the first time */
	const char *lies;   /* a name that is never found to be so */
	bool peer_away;
	struct world w;
};
static struct toy *toy; /* kinds of op know only the world, and that has no place for it */

static void say(const char *what, const char *name)
{
	size_t n = strlen(toy->said);

	snprintf(toy->said + n, sizeof toy->said - n, "%s%s%s", n ? " " : "", what, name);
}

static size_t where(const char *name)
{
	size_t i = 0;

	while (i < json_array_size(toy->on) && strcmp(json_string_value(json_array_get(toy->on, i)), name) != 0)
		i++;
	return i;
}

static bool is_on(const char *name)
{
	return where(name) < json_array_size(toy->on);
}

static bool breaks(const char *what, const char *name)
{
	char all[40];

	snprintf(all, sizeof all, "%s%s", what, name);
	if (!toy->breaks || strcmp(toy->breaks, all) != 0)
		return false;
	if (toy->once)
		toy->breaks = NULL;
	return true;
}

static int toy_check(json_t *op, struct err *err)
{
	const char *name;

	return op_need(op, "name", &name, err);
}

static int toy_undo(struct world *w, json_t *op, json_t *undo, struct err *err)
{
	const char *name = op_string(op, "name");

	(void)w;
	(void)err;
	if (is_on(name) == op_absent(op))
		json_array_append_new(
			undo, json_pack("{s:s, s:s, s:s}", "op", "addr", "name", name, "state", op_absent(op) ? "present" : "absent"));
	return 0;
}

static int toy_apply(struct world *w, json_t *op, struct err *err)
{
	const char *name = op_string(op, "name");

	(void)w;
	if (breaks(op_absent(op) ? "-" : "+", name))
		return err_set(err, -EIO, "%s is broken", name);
	say(op_absent(op) ? "-" : "+", name);
	if (op_absent(op))
		json_array_remove(toy->on, where(name));
	else if (!is_on(name))
		json_array_append_new(toy->on, json_string(name));
	return 0;
}

static int toy_verify(struct world *w, json_t *op, struct err *err)
{
	const char *name = op_string(op, "name");
	bool lies = toy->lies && strcmp(toy->lies, name) == 0;

	(void)w;
	return !lies && is_on(name) != op_absent(op) ? 0 : err_set(err, -ENOENT, "%s is not so", name);
}

static void toy_text(json_t *op, char *out, size_t cap)
{
	snprintf(out, cap, "%s", op_string(op, "name"));
}

static int peer_check(json_t *op, struct err *err)
{
	(void)op;
	(void)err;
	return 0;
}

static int peer_apply(struct world *w, json_t *op, struct err *err)
{
	(void)w;
	if (toy->peer_away)
		return err_set(err, -EHOSTUNREACH, "the peer is away");
	if (breaks("peer:", op_string(op, "do")))
		return err_set(err, -EIO, "the peer refuses");
	if (strcmp(op_string(op, "do"), "hello") != 0)
		say("peer:", op_string(op, "do"));
	return 0;
}

static void peer_text(json_t *op, char *out, size_t cap)
{
	snprintf(out, cap, "ask: %s", op_string(op, "do"));
}

const struct op_kind op_addr = {"addr", toy_check, toy_undo, toy_apply, toy_verify, toy_text};
const struct op_kind op_peer = {"peer", peer_check, NULL, peer_apply, NULL, peer_text};
const struct op_kind op_route = {.name = "route"}, op_rule = {.name = "rule"}, op_local_rule = {.name = "local-rule"};
const struct op_kind op_neigh = {.name = "neigh"}, op_link = {.name = "link"}, op_nft_table = {.name = "nft-table"};
const struct op_kind op_sysctl = {.name = "sysctl"}, op_announce = {.name = "announce"}, op_duplicate = {.name = "duplicate"};
const struct op_kind op_reset = {.name = "reset"}, op_settle = {.name = "settle"}, op_probe = {.name = "probe"};

static int setup(void **state)
{
	toy = calloc(1, sizeof *toy);
	place_make(toy->dir, "shunt-plan");
	assert_int_equal(journal_open(&toy->w.journal, toy->dir, NULL), 0);
	toy->on = json_pack("[s]", "old");
	*state = toy;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	journal_close(toy->w.journal);
	json_decref(toy->on);
	place_remove(toy->dir);
	free(toy);
	return 0;
}

/* ---- plans of the toy ---- */

static json_t *add_stage(json_t *plan, const char *name, const char *ops, int delay)
{
	json_t *list = json_array(), *stage = json_pack("{s:s, s:o}", "name", name, "ops", list);
	char one[8];

	for (; *ops; ops += strcspn(ops, " "), ops += strspn(ops, " ")) {
		snprintf(one, sizeof one, "%.*s", (int)strcspn(ops, " "), ops);
		if (strcmp(one, "peer") == 0)
			json_array_append_new(list, json_pack("{s:s, s:s, s:[{s:s, s:s}]}", "op", "peer", "do", "apply", "undo", "op",
							      "peer", "do", "revert"));
		else
			json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "op", "addr", "name", one + 1, "state",
							      *one == '-' ? "absent" : "present"));
	}
	if (delay)
		json_object_set_new(stage, "delay", json_integer(delay));
	json_array_append_new(json_object_get(plan, "stages"), stage);
	return stage;
}

static json_t *move(void)
{
	json_t *plan = json_pack("{s:s, s:[]}", "plan", "takeover", "stages");

	add_stage(plan, "one", "+a +b -old", 0);
	add_stage(plan, "two", "peer", 0);
	add_stage(plan, "three", "+c -b", 0);
	return plan;
}

static enum plan_end apply(json_t *plan, int confirm_s, struct err *err)
{
	static const struct plan_owner o = {.by = "test"};
	struct err own;

	return plan_apply(&toy->w, toy->w.journal, plan, confirm_s, &o, err ? err : &own);
}

static void world_is(const char *wanted)
{
	char found[200] = "";
	size_t i;
	json_t *name;

	json_array_foreach (toy->on, i, name)
		snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s", i ? " " : "", json_string_value(name));
	assert_string_equal(found, wanted);
}

static void said(const char *wanted)
{
	assert_string_equal(toy->said, wanted);
	*toy->said = '\0';
}

static const char *state_of(const char *name)
{
	static char state[32];
	json_t *plan;

	if (journal_read(toy->w.journal, name, &plan, NULL) < 0)
		return "gone";
	snprintf(state, sizeof state, "%s", plan_state(plan));
	json_decref(plan);
	return state;
}

static void edit(const char *member, json_t *value) /* takes value */
{
	json_t *plan;

	assert_int_equal(journal_read(toy->w.journal, "takeover", &plan, NULL), 0);
	json_object_set_new(plan, member, value);
	assert_int_equal(journal_write(toy->w.journal, plan, NULL), 0);
	json_decref(plan);
}

static int turn(int64_t *next)
{
	return plan_turn(&toy->w, toy->w.journal, "takeover", next, NULL);
}

/* ---- */

static void is_undone_backwards(void **state)
{
	json_t *plan = move();
	int64_t next;

	(void)state;
	assert_int_equal(apply(plan, 60, NULL), PLAN_DONE);
	said("+a +b -old peer:apply +c -b");
	assert_string_equal(state_of("takeover"), "pending");
	assert_int_equal(turn(&next), 0);
	assert_true(next > plan_now_ms() + 50000);
	edit("deadline-ms", json_integer(plan_now_ms() - 1));
	assert_int_equal(turn(&next), 0);
	assert_int_equal(next, -1);
	said("+b -c peer:revert +old -b -a");
	world_is("old");
	assert_string_equal(state_of("takeover"), "gone");
	assert_int_equal(turn(&next), -ENOENT);
	json_decref(plan);
}

static void a_failure_anywhere_is_undone(void **state)
{
	static const char *const failures[] = {"+a", "+b", "-old", "peer:apply", "+c", "-b"};

	(void)state;
	for (size_t n = 0; n < sizeof failures / sizeof *failures + 1; n++) {
		json_t *plan = move();
		struct err err = {0};

		toy->breaks = n < sizeof failures / sizeof *failures ? failures[n] : NULL;
		toy->once = true;
		toy->lies = toy->breaks ? NULL : "c"; /* done, and yet it is not so */
		assert_int_equal(apply(plan, 60, &err), toy->lies ? PLAN_STUCK : PLAN_UNDONE);
		assert_non_null(strstr(err.text, "stage \""));
		world_is("old");
		toy->lies = NULL;
		if (n == sizeof failures / sizeof *failures)
			assert_int_equal(plan_revert(&toy->w, toy->w.journal, "takeover", false, &(struct plan_owner){0}, &err),
					 PLAN_UNDONE);
		assert_string_equal(state_of("takeover"), "gone");
		json_decref(plan);
	}
}

static void nothing_is_begun_without_a_peer(void **state)
{
	json_t *plan = move();

	(void)state;
	toy->peer_away = true;
	assert_int_equal(apply(plan, 60, NULL), PLAN_REFUSED);
	said("");
	assert_string_equal(state_of("takeover"), "gone");
	json_decref(plan);
}

/* The time after which a stuck plan is tried again. */
static void its_time_has_come(void)
{
	json_t *plan;

	assert_int_equal(journal_read(toy->w.journal, "takeover", &plan, NULL), 0);
	json_object_set_new(plan, "retry-ms", json_integer(0));
	assert_int_equal(journal_write(toy->w.journal, plan, NULL), 0);
	json_decref(plan);
}

static void an_undo_that_fails_is_stuck_and_tried_again(void **state)
{
	json_t *plan = move();
	struct err err = {0};
	int64_t next;

	(void)state;
	assert_int_equal(apply(plan, 60, NULL), PLAN_DONE);
	toy->breaks = "+old";
	assert_int_equal(plan_revert(&toy->w, toy->w.journal, "takeover", false, &(struct plan_owner){0}, &err), PLAN_STUCK);
	assert_non_null(strstr(err.text, "old is broken"));
	world_is(""); /* and all the rest is undone */
	assert_string_equal(state_of("takeover"), "stuck");
	/* tried again in its time, whoever asks */
	assert_int_equal(turn(&next), 0);
	assert_true(next > plan_now_ms() && next < plan_now_ms() + 10000);
	assert_string_equal(state_of("takeover"), "stuck");
	its_time_has_come();
	assert_true(turn(&next) < 0);
	assert_true(next > plan_now_ms() && next < plan_now_ms() + 10000);
	assert_int_equal(plan_confirm(&toy->w, toy->w.journal, "takeover", &err), -ETIME);
	toy->breaks = NULL;
	its_time_has_come();
	assert_int_equal(turn(&next), 0);
	world_is("old");
	assert_string_equal(state_of("takeover"), "gone");
	json_decref(plan);
}

static void addresses_stay_when_a_peer_does_not_take_them_back(void **state)
{
	json_t *plan = move();
	struct err err = {0};

	(void)state;
	assert_int_equal(apply(plan, 60, NULL), PLAN_DONE);
	world_is("a c");
	toy->breaks = "peer:revert";
	assert_int_equal(plan_revert(&toy->w, toy->w.journal, "takeover", false, &(struct plan_owner){0}, &err), PLAN_STUCK);
	world_is("a c");
	toy->breaks = NULL;
	assert_int_equal(plan_revert(&toy->w, toy->w.journal, "takeover", false, &(struct plan_owner){0}, &err), PLAN_UNDONE);
	world_is("old");
	json_decref(plan);
}

static void addresses_stay_while_a_peer_is_away(void **state)
{
	json_t *plan = move();
	struct err err = {0};

	(void)state;
	assert_int_equal(apply(plan, 60, NULL), PLAN_DONE);
	toy->peer_away = true;
	assert_int_equal(plan_revert(&toy->w, toy->w.journal, "takeover", false, &(struct plan_owner){0}, &err), PLAN_STUCK);
	world_is("a c");
	assert_int_equal(plan_revert(&toy->w, toy->w.journal, "takeover", true, &(struct plan_owner){0}, &err), PLAN_UNDONE);
	world_is("old");
	json_decref(plan);
}

static void is_confirmed_in_time_or_not_at_all(void **state)
{
	json_t *plan = move();
	struct err err = {0};

	(void)state;
	assert_int_equal(plan_confirm(&toy->w, toy->w.journal, "takeover", &err), -ENOENT);
	assert_int_equal(apply(plan, 60, NULL), PLAN_DONE);
	assert_int_equal(apply(plan, 60, &err), PLAN_REFUSED);
	assert_non_null(strstr(err.text, "in force already"));
	toy->breaks = "peer:confirm"; /* one that cannot be told keeps its deadline, and so do we */
	assert_true(plan_confirm(&toy->w, toy->w.journal, "takeover", &err) < 0);
	assert_string_equal(state_of("takeover"), "pending");
	toy->breaks = NULL;
	assert_int_equal(plan_confirm(&toy->w, toy->w.journal, "takeover", &err), 0);
	assert_int_equal(plan_confirm(&toy->w, toy->w.journal, "takeover", &err), 0);
	edit("state", json_string("pending"));
	edit("deadline-ms", json_integer(plan_now_ms() - 1));
	assert_int_equal(plan_confirm(&toy->w, toy->w.journal, "takeover", &err), -ETIME);
	json_decref(plan);
}

static void without_a_confirmation_the_peers_need_none_either(void **state)
{
	json_t *plan = move(), *other = move();

	(void)state;
	toy->breaks = "peer:confirm";
	assert_int_equal(apply(plan, 0, NULL), PLAN_UNDONE);
	world_is("old");
	toy->breaks = NULL;
	*toy->said = '\0';
	assert_int_equal(apply(other, 0, NULL), PLAN_DONE);
	said("+a +b -old peer:apply +c -b peer:confirm");
	assert_string_equal(state_of("takeover"), "confirmed");
	json_decref(plan);
	json_decref(other);
}

/* The maker is dead: it is found in this state by one who has the lock. */
static void what_lost_its_owner_is_undone(void **state)
{
	static const char *const states[] = {"applying", "reverting", "stuck"};

	(void)state;
	for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
		json_t *plan = move();
		int64_t next;

		assert_int_equal(apply(plan, 0, NULL), PLAN_DONE);
		edit("state", json_string(states[i]));
		assert_int_equal(turn(&next), 0);
		world_is("old");
		assert_string_equal(state_of("takeover"), "gone");
		json_decref(plan);
	}
}

static json_t *with_end(const char *last)
{
	json_t *plan = move(), *stage = add_stage(plan, "end", "-a +d", 5);

	if (last)
		json_object_set_new(stage, "last", json_string(last));
	return plan;
}

static void a_delayed_stage_comes_in_its_time(void **state)
{
	json_t *plan = with_end(NULL);
	int64_t next;

	(void)state;
	assert_int_equal(apply(plan, 0, NULL), PLAN_DONE);
	world_is("a c");
	assert_int_equal(turn(&next), 0);
	assert_true(next > plan_now_ms() && next <= plan_now_ms() + 5000);
	edit("confirmed-ms", json_integer(plan_now_ms() - 6000));
	toy->breaks = "+d"; /* it is as if it had not begun, and is tried again */
	assert_true(turn(&next) < 0);
	assert_true(next > plan_now_ms());
	world_is("c a");
	toy->breaks = NULL;
	assert_int_equal(turn(&next), 0);
	assert_int_equal(next, -1);
	world_is("c d");
	assert_int_equal(plan_revert(&toy->w, toy->w.journal, "takeover", false, &(struct plan_owner){0}, NULL), PLAN_UNDONE);
	world_is("old");
	json_decref(plan);
}

/* Whoever applied it was killed in its middle: "-a" is done, "+d" is not. */
static void a_delayed_stage_that_was_cut_is_done_whole(void **state)
{
	json_t *plan = with_end(NULL), *found, *stage;
	int64_t next;

	(void)state;
	assert_int_equal(apply(plan, 0, NULL), PLAN_DONE);
	assert_int_equal(journal_read(toy->w.journal, "takeover", &found, NULL), 0);
	stage = json_array_get(json_object_get(found, "stages"), 3);
	json_object_set_new(stage, "unfinished", json_true());
	json_object_set_new(stage, "undo",
			    json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s}]", "op", "addr", "name", "d", "state", "absent", "op", "addr",
				      "name", "a", "state", "present"));
	json_object_set_new(found, "confirmed-ms", json_integer(plan_now_ms() - 6000));
	assert_int_equal(journal_write(toy->w.journal, found, NULL), 0);
	json_array_remove(toy->on, where("a"));
	assert_int_equal(turn(&next), 0);
	world_is("c d");
	assert_int_equal(plan_revert(&toy->w, toy->w.journal, "takeover", false, &(struct plan_owner){0}, NULL), PLAN_UNDONE);
	world_is("old");
	json_decref(found);
	json_decref(plan);
}

static void the_last_stage_ends_the_plan(void **state)
{
	json_t *plan = with_end("settle");
	int64_t next;

	(void)state;
	assert_int_equal(apply(plan, 0, NULL), PLAN_DONE);
	edit("confirmed-ms", json_integer(plan_now_ms() - 6000));
	*toy->said = '\0';
	toy->breaks = "+old"; /* the end fails: soon once more, not at once for ever */
	assert_true(turn(&next) < 0);
	assert_true(next > plan_now_ms());
	toy->breaks = NULL;
	assert_int_equal(turn(&next), 0);
	assert_int_equal(next, -1);
	assert_null(strstr(toy->said, "peer:revert"));
	world_is("old");
	assert_string_equal(state_of("takeover"), "gone");
	json_decref(plan);
}

static void is_extended_or_left_as_it_was(void **state)
{
	static const struct plan_owner o = {.by = "test"};
	json_t *plan = move(), *more = json_pack("{s:s, s:[]}", "plan", "takeover", "stages"), *found, *stage;
	int64_t next;

	(void)state;
	add_stage(plan, "later", "+g", 100); /* before it nothing is merged */
	add_stage(more, "more", "+e +f", 0);
	assert_int_equal(apply(plan, 0, NULL), PLAN_DONE);
	assert_int_equal(journal_read(toy->w.journal, "takeover", &found, NULL), 0);
	toy->breaks = "+f";
	assert_int_equal(plan_extend(&toy->w, toy->w.journal, found, more, &o, NULL), PLAN_UNDONE);
	world_is("a c");
	toy->breaks = NULL;
	assert_int_equal(plan_extend(&toy->w, toy->w.journal, found, more, &o, NULL), PLAN_DONE);
	world_is("a c e f");
	/* killed while it was extended: the extension is no more, the plan is in force */
	stage = json_array_get(json_object_get(found, "stages"), json_array_size(json_object_get(found, "stages")) - 1);
	json_object_set_new(stage, "unfinished", json_true());
	assert_int_equal(journal_write(toy->w.journal, found, NULL), 0);
	assert_int_equal(turn(&next), 0);
	world_is("a c");
	assert_string_equal(state_of("takeover"), "confirmed");
	json_decref(found);
	json_decref(more);
	json_decref(plan);
}

static void extended_often_it_does_not_grow(void **state)
{
	static const struct plan_owner o = {.by = "test"};
	json_t *plan = json_pack("{s:s, s:[]}", "plan", "takeover", "stages"),
	       *more = json_pack("{s:s, s:[]}", "plan", "takeover", "stages"), *found;

	(void)state;
	add_stage(plan, "first", "+a", 0);
	add_stage(more, "more", "+a +b", 0);
	assert_int_equal(apply(plan, 0, NULL), PLAN_DONE);
	assert_int_equal(journal_read(toy->w.journal, "takeover", &found, NULL), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(plan_extend(&toy->w, toy->w.journal, found, more, &o, NULL), PLAN_DONE);
	assert_int_equal(json_array_size(json_object_get(found, "stages")), 1);
	assert_int_equal(json_array_size(json_object_get(json_array_get(json_object_get(found, "stages"), 0), "ops")), 2);
	assert_int_equal(plan_revert(&toy->w, toy->w.journal, "takeover", false, &(struct plan_owner){0}, NULL), PLAN_UNDONE);
	world_is("old");
	json_decref(found);
	json_decref(more);
	json_decref(plan);
}

static void boots(void)
{
	json_t *plan, *stage;
	size_t i;

	json_decref(toy->on);
	toy->on = json_pack("[s]", "old");
	*toy->said = '\0';
	assert_int_equal(journal_read(toy->w.journal, "takeover", &plan, NULL), 0);
	json_object_set_new(plan, "boot", json_string("another"));
	json_array_foreach (json_object_get(plan, "stages"), i, stage)
		json_object_set_new(stage, "boot", json_string("another"));
	assert_int_equal(journal_write(toy->w.journal, plan, NULL), 0);
	json_decref(plan);
}

static void a_boot_brings_back_what_was_confirmed(void **state)
{
	json_t *plan = move();

	(void)state;
	assert_int_equal(apply(plan, 0, NULL), PLAN_DONE);
	boots();
	toy->peer_away = true; /* it has its part in a journal of its own, or is dead */
	toy->breaks = "-b";    /* the first try comes as far as this */
	assert_true(plan_reboot(&toy->w, toy->w.journal, "takeover", NULL) < 0);
	toy->breaks = NULL;
	assert_int_equal(plan_reboot(&toy->w, toy->w.journal, "takeover", NULL), 0);
	world_is("a c");
	*toy->said = '\0';
	assert_int_equal(plan_reboot(&toy->w, toy->w.journal, "takeover", NULL), 0);
	said("");
	toy->peer_away = false;
	assert_int_equal(plan_revert(&toy->w, toy->w.journal, "takeover", false, &(struct plan_owner){0}, NULL), PLAN_UNDONE);
	world_is("old");
	json_decref(plan);
}

static void a_boot_ends_what_would_have_been_settled(void **state)
{
	json_t *plan = move(), *yield = json_pack("{s:s, s:[]}", "plan", "yield", "stages"), *found, *stage;

	(void)state;
	assert_int_equal(apply(plan, 0, NULL), PLAN_DONE);
	add_stage(yield, "mute", "+y", 0);
	add_stage(yield, "leave", "+z", 100);
	stage = json_array_get(json_object_get(yield, "stages"), 1);
	json_object_set_new(stage, "last", json_string("settle"));
	json_object_set_new(stage, "ops", json_pack("[{s:s, s:s}]", "op", "settle", "plan", "takeover"));
	json_object_set_new(yield, "state", json_string("confirmed"));
	json_object_set_new(yield, "boot", json_string("another"));
	assert_int_equal(journal_write(toy->w.journal, yield, NULL), 0);
	assert_int_equal(plan_reboot_ends(toy->w.journal, yield, NULL), 0);
	assert_int_equal(journal_read(toy->w.journal, "takeover", &found, NULL), -ENOENT);
	assert_int_equal(journal_read(toy->w.journal, "yield", &found, NULL), -ENOENT);
	json_decref(yield);
	json_decref(plan);
}

static void a_boot_forgets_what_was_pending(void **state)
{
	json_t *plan = move();

	(void)state;
	assert_int_equal(apply(plan, 60, NULL), PLAN_DONE);
	boots();
	assert_int_equal(plan_reboot(&toy->w, toy->w.journal, "takeover", NULL), 0);
	world_is("old");
	assert_non_null(strstr(toy->said, "peer:revert"));
	assert_string_equal(state_of("takeover"), "gone");
	json_decref(plan);
}

static void drift_is_told(void **state)
{
	json_t *plan = move(), *texts = json_array(); /* its third stage takes b back: that is no drift */

	(void)state;
	assert_int_equal(apply(plan, 0, NULL), PLAN_DONE);
	assert_int_equal(plan_drift(&toy->w, plan, NULL, texts, &(struct err){0}), 0);
	assert_int_equal(json_array_size(texts), 0);
	json_array_remove(toy->on, where("a"));
	assert_int_equal(plan_drift(&toy->w, plan, NULL, texts, &(struct err){0}), 0);
	assert_int_equal(json_array_size(texts), 1);

	/* but it is none if a younger plan has made something else of it */
	json_t *younger = json_pack("[O]", plan);
	json_array_clear(texts);
	assert_int_equal(plan_drift(&toy->w, plan, younger, texts, &(struct err){0}), 0);
	assert_int_equal(json_array_size(texts), 0);
	json_decref(younger);
	json_decref(texts);
	json_decref(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(is_undone_backwards, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failure_anywhere_is_undone, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_begun_without_a_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(an_undo_that_fails_is_stuck_and_tried_again, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses_stay_when_a_peer_does_not_take_them_back, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses_stay_while_a_peer_is_away, setup, teardown),
		cmocka_unit_test_setup_teardown(is_confirmed_in_time_or_not_at_all, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_confirmation_the_peers_need_none_either, setup, teardown),
		cmocka_unit_test_setup_teardown(what_lost_its_owner_is_undone, setup, teardown),
		cmocka_unit_test_setup_teardown(a_delayed_stage_comes_in_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_delayed_stage_that_was_cut_is_done_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(the_last_stage_ends_the_plan, setup, teardown),
		cmocka_unit_test_setup_teardown(is_extended_or_left_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(extended_often_it_does_not_grow, setup, teardown),
		cmocka_unit_test_setup_teardown(a_boot_brings_back_what_was_confirmed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_boot_ends_what_would_have_been_settled, setup, teardown),
		cmocka_unit_test_setup_teardown(a_boot_forgets_what_was_pending, setup, teardown),
		cmocka_unit_test_setup_teardown(drift_is_told, setup, teardown),
	};

	log_level(LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
