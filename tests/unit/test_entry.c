/* Entries: marks are found and there once, what is written comes back, what is no entry is refused and named; what a crash left is settled
 * by what is in the zone. */
#include "tests/unit/zonetext.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define APEX "alice.example."

static struct mark *add(struct entry *e, const char *owner, uint16_t type, const char *before, const char *after, const char *next)
{
	struct rrset found;
	struct mark *m;

	rrset_from_text(&found, owner, type, 300, before);
	m = entry_add(e, before ? &found : NULL, owner, type);
	assert_non_null(m);
	rrset_done(&found);
	rrset_done(&m->after);
	rrset_from_text(&m->after, owner, type, 60, after);
	m->pending = next != NULL;
	if (next)
		rrset_from_text(&m->next, owner, type, 60, strcmp(next, "-") == 0 ? NULL : next);
	return m;
}

static void an_entry(struct entry *e)
{
	assert_int_equal(entry_init(e, "alice", APEX), 0);
	e->backend = strdup("192.0.2.53 (rfc2136)");
	e->state = ENTRY_PUSHED;
	e->side = SIDE_TRANSIT;
	e->busy = true;
	e->doing = VERB_FINALISE;
	e->began_ms = 1700000000000;
	e->changed_ms = 1700000000001;
	e->verified_ms = 1700000000002;
	e->clean_ms = 1700000000003;
	e->lagging = strdup("ns2.provider.example. 192.0.2.54");
	add(e, "www.alice.example.", RR_A, "192.0.2.10", "198.51.100.10", NULL);
	add(e, "alice.example.", RR_TXT, "\"a b\"", "\"c\" \"d\"", "\"e\"");
	add(e, "www.alice.example.", RR_AAAA, "2001:db8::10", NULL, "-");
	add(e, "a.alice.example.", RR_A, NULL, "198.51.100.10", NULL);
}

static void marks_are_found(void **state)
{
	struct entry e;
	char name[100];

	(void)state;
	assert_int_equal(entry_init(&e, "alice", APEX), 0);
	assert_null(entry_mark(&e, APEX, RR_A));
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "h%d.alice.example.", i * 77 % 200);
		assert_non_null(entry_add(&e, NULL, name, i % 2 ? RR_A : RR_AAAA));
		assert_non_null(entry_add(&e, NULL, name, RR_TXT));
	}
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "H%d.ALICE.example.", i * 77 % 200);
		assert_non_null(entry_mark(&e, name, i % 2 ? RR_A : RR_AAAA));
		assert_null(entry_mark(&e, name, i % 2 ? RR_AAAA : RR_A));
		assert_string_equal(entry_mark(&e, name, RR_TXT)->after.owner + 1,
				    strchr(entry_mark(&e, name, RR_TXT)->before.owner, 'h') + 1);
	}
	assert_null(entry_add(&e, NULL, "H3.alice.example.", RR_TXT)); /* there already */
	assert_int_equal(e.n, 400);
	assert_false(entry_pending(&e));
	entry_compact(&e);
	assert_int_equal(e.n, 0);
	entry_done(&e);
}

static void comes_back(void **state)
{
	struct entry e, again;
	struct err err = {0};
	json_t *object, *second;

	(void)state;
	an_entry(&e);
	object = entry_to_json(&e);
	assert_non_null(object);
	assert_int_equal(json_integer_value(json_object_get(object, "v")), 1);
	if (entry_from_json(&again, object, &err) < 0)
		fail_msg("%s", err.text);
	second = entry_to_json(&again);
	assert_true(json_equal(object, second));
	assert_int_equal(again.state, ENTRY_PUSHED);
	assert_int_equal(again.side, SIDE_TRANSIT);
	assert_int_equal(again.doing, VERB_FINALISE);
	assert_true(again.busy && entry_pending(&again));
	assert_int_equal(again.n, 4);
	assert_true(entry_mark(&again, "www.alice.example.", RR_AAAA)->pending);
	assert_int_equal(entry_mark(&again, "www.alice.example.", RR_AAAA)->next.n, 0);
	assert_int_equal(entry_mark(&again, "www.alice.example.", RR_A)->before.ttl, 300);
	json_decref(object);
	json_decref(second);
	entry_done(&again);
	entry_done(&e);
}

static void refused(json_t *object, const char *part)
{
	struct entry e;
	struct err err = {0};

	assert_int_equal(entry_from_json(&e, object, &err), -EINVAL);
	if (!strstr(err.text, part))
		fail_msg("found %s, expected %s", err.text, part);
	json_decref(object);
}

static json_t *an_object(void)
{
	struct entry e;
	json_t *object;

	an_entry(&e);
	object = entry_to_json(&e);
	entry_done(&e);
	return object;
}

static json_t *with(const char *key, json_t *value)
{
	json_t *object = an_object();

	assert_int_equal(json_object_set_new(object, key, value), 0);
	return object;
}

static void what_is_no_entry_is_refused(void **state)
{
	static const char *const needed[] = {"v",     "account",  "zone",       "state",       "side",     "busy",
					     "doing", "began-ms", "changed-ms", "verified-ms", "clean-ms", "marks"};
	json_t *object, *mark;

	(void)state;
	refused(json_null(), "version");
	refused(json_array(), "version");
	refused(with("v", json_integer(2)), "found another version than 1");
	refused(with("account", json_string("../x")), "account");
	refused(with("zone", json_string("alice.example")), "zone");
	refused(with("zone", json_string("")), "zone");
	refused(with("zone", json_string("bob.example.")), "marks[0]: before: found a.alice.example., expected a name of bob.example.");
	refused(with("state", json_string("done")), "state");
	refused(with("clean-ms", json_integer(-1)), "clean-ms");
	refused(with("lagging", json_integer(1)), "lagging");
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		object = an_object();
		json_object_del(object, needed[i]);
		refused(object, "found");
	}
	object = an_object();
	mark = json_array_get(json_object_get(object, "marks"), 0);
	json_array_append(json_object_get(object, "marks"), mark);
	refused(object, "found two marks of a.alice.example.");
	object = an_object();
	mark = json_array_get(json_object_get(object, "marks"), 1);
	json_object_set_new(json_object_get(mark, "next"), "type", json_string("A"));
	refused(object, "marks[1]: found before, after and next of several names or types");
	object = an_object();
	mark = json_array_get(json_object_get(object, "marks"), 1);
	json_object_set_new(json_object_get(mark, "before"), "rdata", json_pack("[s]", "0x"));
	refused(object, "marks[1]: before: ");
	object = an_object();
	mark = json_array_get(json_object_get(object, "marks"), 1);
	json_object_del(mark, "after");
	refused(object, "marks[1]: after: ");
}

static void is_settled_by_the_zone(void **state)
{
	struct entry e;
	struct zone z;
	struct mark *m;

	(void)state;
	assert_int_equal(entry_init(&e, "alice", APEX), 0);
	zone_from_text(
		&z, APEX,
		"applied 60 A 198.51.100.10\nnot 60 A 192.0.2.10\nother 60 A 203.0.113.1\nttl 61 A 198.51.100.10\nstill 60 A 192.0.2.10");
	add(&e, "applied.alice.example.", RR_A, "192.0.2.10", "192.0.2.10", "198.51.100.10");
	add(&e, "not.alice.example.", RR_A, "192.0.2.10", "192.0.2.10", "198.51.100.10");
	m = add(&e, "other.alice.example.", RR_A, "192.0.2.10", "192.0.2.10", "198.51.100.10");
	m->after.ttl = 300; /* as before */
	add(&e, "ttl.alice.example.", RR_A, "192.0.2.10", "192.0.2.10", "198.51.100.10");
	add(&e, "removed.alice.example.", RR_A, "192.0.2.10", "192.0.2.10", "-");
	add(&e, "still.alice.example.", RR_A, "192.0.2.10", "192.0.2.10", "-");
	m = add(&e, "same.alice.example.", RR_A, "192.0.2.10", "192.0.2.10", NULL);
	m->after.ttl = 300;
	add(&e, "quiet.alice.example.", RR_A, "192.0.2.10", "198.51.100.10", NULL);
	assert_int_equal(entry_settle(&e, &z), 2);
	m = entry_mark(&e, "applied.alice.example.", RR_A);
	assert_false(m->pending);
	assert_null(m->next.owner);
	assert_int_equal(m->after.values[0].bytes[0], 198);
	m = entry_mark(&e, "not.alice.example.", RR_A);
	assert_false(m->pending);
	assert_int_equal(m->after.values[0].bytes[0], 192);
	assert_true(entry_mark(&e, "other.alice.example.", RR_A)->pending);
	assert_true(entry_mark(&e, "ttl.alice.example.", RR_A)->pending);
	m = entry_mark(&e, "removed.alice.example.", RR_A);
	assert_true(!m->pending && m->after.n == 0);
	m = entry_mark(&e, "still.alice.example.", RR_A);
	assert_true(!m->pending && m->after.n == 1);
	assert_int_equal(entry_settle(&e, &z), 2);
	entry_compact(&e); /* what is as it was can go, but for what is not settled */
	assert_int_equal(e.n, 7);
	assert_non_null(entry_mark(&e, "other.alice.example.", RR_A));
	assert_null(entry_mark(&e, "same.alice.example.", RR_A));
	zone_done(&z);
	entry_done(&e);
}

/* alwaysdata writes record by record: TTLs and values of an RRset may be half old and half new. */
static void halves_are_ours(void **state)
{
	struct entry e;
	struct zone z;
	struct mark *m;

	(void)state;
	assert_int_equal(entry_init(&e, "alice", APEX), 0);
	zone_from_text(&z, APEX,
		       "values 60 A 198.51.100.10\nvalues 60 A 192.0.2.11\nttl 60 A 192.0.2.10\nother 60 A 198.51.100.10\nother 60 A "
		       "203.0.113.1\nother-ttl 61 A 192.0.2.10\ndone 60 A 198.51.100.10");
	for (size_t i = 0; i < 5; i++) {
		static const char *const owners[] = {"values.alice.example.", "ttl.alice.example.", "other.alice.example.",
						     "other-ttl.alice.example.", "done.alice.example."};

		m = add(&e, owners[i], RR_A, "192.0.2.10", "192.0.2.10", "198.51.100.10");
		m->after.ttl = 300;
		assert_int_equal(rrset_add(&m->after, (const uint8_t[]){192, 0, 2, 11}, 4), 0);
	}
	assert_int_equal(entry_settle_halves(&e, &z), 0);
	m = entry_mark(&e, "values.alice.example.", RR_A);
	assert_true(!m->pending && m->after.n == 2 && m->after.ttl == 60 && m->next.owner == NULL);
	m = entry_mark(&e, "ttl.alice.example.", RR_A);
	assert_true(!m->pending && m->after.n == 1 && m->after.ttl == 60);
	assert_true(entry_mark(&e, "other.alice.example.", RR_A)->pending);
	assert_true(entry_mark(&e, "other-ttl.alice.example.", RR_A)->pending);
	assert_int_equal(entry_settle(&e, &z), 2);
	assert_false(entry_mark(&e, "done.alice.example.", RR_A)->pending);
	zone_done(&z);
	entry_done(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_are_found),        cmocka_unit_test(comes_back),      cmocka_unit_test(what_is_no_entry_is_refused),
		cmocka_unit_test(is_settled_by_the_zone), cmocka_unit_test(halves_are_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
