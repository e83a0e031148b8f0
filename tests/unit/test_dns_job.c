/* Commands on one account, with a zone-server in memory: what one of them does while another is under way. */
#include "dnsupdate/report.h"
#include "lib/loop.h"
#include "tests/unit/place.h"
#include "tests/unit/zonetext.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define APEX   "alice.example."
#define BEFORE "@ 300 A 192.0.2.10\nwww 300 A 192.0.2.10"

/* ---- a zone-server ---- */

struct primary {
	struct zone zone;
	const struct change *changes;
	size_t n;
	enum outcome outcomes[8]; /* of the changes that come, one after the other; only what is DONE is done */
	size_t asked;
	bool silent;      /* changes are not answered */
	bool gone, away;  /* it has no such zone; nobody answers there */
	const char *half; /* what becomes of the zone where the outcome is UNKNOWN; NULL: nothing */
	struct event turn;
	struct backend_call *call;
};

static int nothing_to_open(struct backend *b, struct err *err)
{
	(void)b, (void)err;
	return 0;
}

static void nothing_to_close(struct backend *b)
{
	(void)b;
}

static void copy_zone(struct zone *to, const struct zone *from)
{
	assert_int_equal(zone_init(to, from->name), 0);
	for (size_t i = 0; i < from->n; i++) {
		struct rrset s;

		assert_int_equal(rrset_copy(&s, &from->sets[i]), 0);
		assert_int_equal(zone_add_set(to, &s), 0);
	}
	assert_int_equal(zone_order(to), 0);
}

static enum outcome carry_out(struct primary *p)
{
	enum outcome o = p->outcomes[p->asked++ % 8];
	struct entry e = {0};

	for (size_t i = 0; o == OUTCOME_DONE && i < p->n; i++) {
		struct mark m = {.pending = true};

		assert_int_equal(rrset_copy(&m.before, &p->changes[i].was), 0);
		assert_int_equal(rrset_copy(&m.after, &p->changes[i].was), 0);
		assert_int_equal(rrset_copy(&m.next, &p->changes[i].next), 0);
		e.marks = reallocarray(e.marks, e.n + 1, sizeof(m));
		assert_non_null(e.marks);
		e.marks[e.n++] = m;
	}
	if (e.n)
		zone_apply(&p->zone, &e);
	if (o == OUTCOME_UNKNOWN && p->half) {
		zone_done(&p->zone);
		zone_from_text(&p->zone, APEX, p->half);
	}
	p->outcomes[(p->asked - 1) % 8] = OUTCOME_DONE;
	entry_done(&e);
	return o;
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct primary *p = arg;
	struct backend_call *c = p->call;
	struct err none = {0}, err = {.code = -EIO, .text = "that is what the test says"};
	struct zone z;
	enum outcome o;

	(void)fd, (void)what;
	p->call = NULL;
	switch (c->kind) {
	case CALL_FIND:
		backend_found(c, p->gone || p->away ? NULL : p->zone.name, p->away ? &err : &none);
		return;
	case CALL_READ:
		if (p->gone || p->away) {
			backend_was_read(c, NULL, &err);
			return;
		}
		copy_zone(&z, &p->zone);
		backend_was_read(c, &z, &none);
		return;
	case CALL_CHANGE:
		o = carry_out(p);
		backend_changed(c, o, o == OUTCOME_DONE ? &none : &err);
		return;
	}
}

static int ask(struct backend_call *c)
{
	struct primary *p = c->b->impl;

	assert_null(p->call); /* one zone, one call at a time */
	p->call = c;
	event_active(&p->turn, 0, 0);
	return 0;
}

static int find(struct backend_call *c, const char *name)
{
	(void)name;
	return ask(c);
}

static int change(struct backend_call *c, const char *zone, const struct change *changes, size_t n)
{
	struct primary *p = c->b->impl;

	(void)zone;
	p->changes = changes;
	p->n = n;
	if (!p->silent)
		return ask(c);
	p->call = c;
	return 0;
}

static void cancel(struct backend_call *c)
{
	struct primary *p = c->b->impl;

	event_del(&p->turn);
	p->call = NULL;
}

static const struct backend_ops memory = {.name = "memory",
					  .open = nothing_to_open,
					  .close = nothing_to_close,
					  .find = find,
					  .read = find,
					  .change = change,
					  .cancel = cancel};

static const struct backend_ops piecewise = {.name = "piecewise",
					     .piecewise = true,
					     .open = nothing_to_open,
					     .close = nothing_to_close,
					     .find = find,
					     .read = find,
					     .change = change,
					     .cancel = cancel};

/* ---- the stand ---- */

struct stand {
	char dir[64], journal[80], key[80], address[16], resolver[24];
	char *resolvers[1];
	struct conf_zone_server server;
	struct conf conf;
	struct loop *loop;
	struct dns dns;
	struct primary primary;
	size_t under_way;
	bool leave_drift;
	enum exit_code last;
	char said[1100];
};

static const char key[] = "key \"redir.\" { algorithm hmac-sha256; secret \"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"; };\n";

/* Nobody says whose the domain is (127.0.0.1:9 is closed): then it counts as ours. */
static void configure(struct stand *s)
{
	strcpy(s->address, "127.0.0.1");
	strcpy(s->resolver, "127.0.0.1:9");
	s->resolvers[0] = s->resolver;
	s->server = (struct conf_zone_server){.backend = BACKEND_RFC2136, .key_file = s->key, .address.text = s->address};
	assert_true(addr_parse(&s->server.address.addr, s->address));
	s->conf = conf_from_text("192.0.2.10 198.51.100.10, 192.0.2.11 198.51.100.11");
	s->conf.dns.present = true;
	s->conf.dns.journal = s->journal;
	s->conf.dns.zone_servers = &s->server;
	s->conf.dns.n_zone_servers = 1;
	s->conf.dns.resolvers = s->resolvers;
	s->conf.dns.n_resolvers = 1;
	s->conf.dns.parallel = 4;
}

static void replace_backend(struct stand *s)
{
	struct backend *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	zone_from_text(&s->primary.zone, APEX, BEFORE);
	event_assign(&s->primary.turn, loop_base(s->loop), -1, 0, on_turn, &s->primary);
	*b = (struct backend){.ops = &memory, .base = loop_base(s->loop), .shown = strdup("memory"), .impl = &s->primary};
	backend_free(s->dns.backends[0]);
	s->dns.backends[0] = b;
}

static int up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));
	struct err err;

	assert_non_null(s);
	place_make(s->dir, "test_dns_job");
	snprintf(s->journal, sizeof(s->journal), "%s/journal", s->dir);
	snprintf(s->key, sizeof(s->key), "%s/key", s->dir);
	place_put(s->dir, "key", key, sizeof(key) - 1);
	configure(s);
	assert_int_equal(loop_new(&s->loop, &err), 0);
	if (dns_open(&s->dns, &s->conf, s->loop, &err) < 0)
		fail_msg("%s", err.text);
	replace_backend(s);
	*state = s;
	return 0;
}

static int down(void **state)
{
	struct stand *s = *state;

	dns_close(&s->dns);
	zone_done(&s->primary.zone);
	loop_free(s->loop);
	conf_done(&s->conf);
	place_remove(s->dir);
	free(s);
	return 0;
}

static void on_job(void *arg, enum exit_code x, json_t *answer, const struct err *err)
{
	struct stand *s = arg;

	s->last = x;
	snprintf(s->said, sizeof(s->said), "%s", x ? err->text : "");
	json_decref(answer);
	s->under_way--;
}

static struct job *begin(struct stand *s, enum job_kind kind)
{
	char *domains[] = {(char[]){"alice.example"}};
	struct job_wish w = {.kind = kind,
			     .to = SIDE_TRANSIT,
			     .account = "alice",
			     .domains = domains,
			     .n_domains = 1,
			     .urgent = true,
			     .leave_drift = s->leave_drift};
	struct job *j = job_start(&s->dns, &w, on_job, s);

	assert_non_null(j);
	s->under_way++;
	return j;
}

/* Until all is over; "waited too long" is one of the ends. */
static void finish(struct stand *s)
{
	while (s->under_way)
		event_base_loop(loop_base(s->loop), EVLOOP_ONCE);
}

static enum exit_code command(struct stand *s, enum job_kind kind)
{
	begin(s, kind);
	finish(s);
	return s->last;
}

static void same_zone(struct stand *s, const char *expected)
{
	struct zone other;
	char *a = zone_to_text(&s->primary.zone), *b;

	zone_from_text(&other, APEX, expected);
	b = zone_to_text(&other);
	if (strcmp(a, b) != 0)
		fail_msg("found\n%sexpected\n%s(%s)", a, b, s->said);
	free(a);
	free(b);
	zone_done(&other);
}

/* ---- what it does ---- */

static void pushes_and_undoes(void **state)
{
	struct stand *s = *state;

	assert_int_equal(command(s, JOB_PUSH), EXIT_DONE);
	same_zone(s, "@ 60 A 198.51.100.10\nwww 60 A 198.51.100.10");
	assert_int_equal(command(s, JOB_UNDO), EXIT_DONE);
	same_zone(s, BEFORE);
}

static void tells_whether_it_has_sent(void **state)
{
	struct stand *s = *state;
	struct job *j = begin(s, JOB_PUSH);

	assert_false(job_has_sent(j));
	s->primary.silent = true;
	while (s->primary.n == 0) {
		assert_int_equal(s->under_way, 1);
		event_base_loop(loop_base(s->loop), EVLOOP_ONCE);
	}
	assert_true(job_has_sent(j));
	job_cancel(j);
	s->under_way = 0;
}

/* Whoever asked for the push gave up waiting for it: it goes on all the same, and an undo has the last word. */
static void an_undo_waits_for_the_push_before_it(void **state)
{
	struct stand *s = *state;

	begin(s, JOB_PUSH);
	begin(s, JOB_UNDO);
	finish(s);
	assert_int_equal(s->last, EXIT_DONE);
	same_zone(s, BEFORE);
}

static void of_those_that_wait_the_last_counts(void **state)
{
	struct stand *s = *state;

	begin(s, JOB_PUSH);
	begin(s, JOB_PUSH);
	begin(s, JOB_UNDO);
	while (s->under_way == 3)
		event_base_loop(loop_base(s->loop), EVLOOP_ONCE);
	assert_int_equal(s->last, EXIT_REFUSED);
	assert_non_null(strstr(s->said, "another command on account alice came before this one had begun"));
	finish(s);
	assert_int_equal(s->last, EXIT_DONE);
	same_zone(s, BEFORE);
}

/* Something of which nobody said anything may still be carried out, whatever is said to what is sent after it. */
static void what_was_not_heard_of_stays_in_the_journal(void **state)
{
	struct stand *s = *state;
	const enum outcome outcomes[] = {OUTCOME_UNKNOWN, OUTCOME_REFUSED};
	struct entry e;

	memcpy(s->primary.outcomes, outcomes, sizeof(outcomes));
	assert_int_equal(command(s, JOB_PUSH), EXIT_STUCK);
	same_zone(s, BEFORE);
	assert_int_equal(journal_read(s->dns.journal, "alice", APEX, &e, NULL), 0);
	assert_true(e.busy && entry_pending(&e));
	entry_done(&e);
	zone_done(&s->primary.zone);
	zone_from_text(&s->primary.zone, APEX, "@ 60 A 198.51.100.10\nwww 60 A 198.51.100.10"); /* it is carried out now */
	assert_int_equal(command(s, JOB_UNDO), EXIT_DONE);
	same_zone(s, BEFORE);
}

static void a_refusal_leaves_nothing(void **state)
{
	struct stand *s = *state;
	struct entry e;

	s->primary.outcomes[0] = OUTCOME_REFUSED;
	assert_int_equal(command(s, JOB_PUSH), EXIT_REFUSED);
	same_zone(s, BEFORE);
	assert_int_equal(journal_read(s->dns.journal, "alice", APEX, &e, NULL), -ENOENT);
}

static void spoil(struct stand *s, const char *zone)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/alice/%s", s->journal, zone);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "{", 1), 1);
	close(fd);
}

/* One zone of an account whose file is damaged is a person's to mend; the others go back. */
static void what_is_damaged_keeps_nothing_else_from_going_back(void **state)
{
	struct stand *s = *state;

	assert_int_equal(command(s, JOB_PUSH), EXIT_DONE);
	spoil(s, "damaged.example");
	assert_int_equal(command(s, JOB_UNDO), EXIT_STUCK);
	assert_non_null(strstr(s->said, "alice/damaged.example"));
	same_zone(s, BEFORE);
}

/* Nor does one of which the server was lost. */
static void an_entry_without_server_is_told_of(void **state)
{
	struct stand *s = *state;
	struct entry e;

	assert_int_equal(entry_init(&e, "alice", "other.example."), 0);
	assert_int_equal(journal_write(s->dns.journal, &e, NULL), 0);
	entry_done(&e);
	assert_int_equal(command(s, JOB_UNDO), EXIT_UNDONE);
	assert_non_null(strstr(s->said, "other.example. of account alice was changed through a server that is not recorded"));
}

/* The same zone, through another server than that which has the changes: the way back leads to the first. */
static void a_zone_that_was_changed_elsewhere_is_refused(void **state)
{
	struct stand *s = *state;
	struct backend *b = s->dns.backends[0];
	struct entry e;

	assert_int_equal(command(s, JOB_PREPARE), EXIT_DONE);
	same_zone(s, "@ 60 A 192.0.2.10\nwww 60 A 192.0.2.10");
	free(b->shown);
	b->shown = strdup("another");
	assert_int_equal(command(s, JOB_PUSH), EXIT_REFUSED);
	assert_non_null(strstr(s->said, "through memory"));
	same_zone(s, "@ 60 A 192.0.2.10\nwww 60 A 192.0.2.10");
	assert_int_equal(journal_read(s->dns.journal, "alice", APEX, &e, NULL), 0);
	assert_string_equal(e.backend, "memory");
	entry_done(&e);
}

/* A zone that was given up: undo says how to forget it, and forgets it only where its server says itself that it is gone. */
static void a_zone_that_is_gone_is_forgotten(void **state)
{
	struct stand *s = *state;
	struct entry e;

	assert_int_equal(command(s, JOB_PUSH), EXIT_DONE);
	s->primary.gone = true;
	assert_int_equal(command(s, JOB_UNDO), EXIT_UNDONE);
	assert_non_null(strstr(s->said, "undo --leave-drift forgets what was changed there"));
	s->leave_drift = true;
	s->primary.gone = false;
	s->primary.away = true;
	assert_int_equal(command(s, JOB_UNDO), EXIT_UNDONE);
	assert_int_equal(journal_read(s->dns.journal, "alice", APEX, &e, NULL), 0);
	entry_done(&e);
	s->primary.away = false;
	s->primary.gone = true;
	assert_int_equal(command(s, JOB_UNDO), EXIT_DONE);
	assert_int_equal(journal_read(s->dns.journal, "alice", APEX, &e, NULL), -ENOENT);
}

/* A server that writes record by record stops after the first of two: it is gone on with, and undone. */
static void half_of_an_rrset_is_gone_on_with(void **state)
{
	const char *before = "www 300 A 192.0.2.10\nwww 300 A 192.0.2.11";
	struct stand *s = *state;

	s->dns.backends[0]->ops = &piecewise;
	for (int round = 0; round < 2; round++) {
		zone_done(&s->primary.zone);
		zone_from_text(&s->primary.zone, APEX, before);
		s->primary.outcomes[s->primary.asked % 8] = OUTCOME_UNKNOWN;
		s->primary.half = "www 60 A 198.51.100.10\nwww 60 A 192.0.2.11";
		assert_int_equal(command(s, JOB_PUSH), EXIT_DONE);
		same_zone(s, "www 60 A 198.51.100.10\nwww 60 A 198.51.100.11");
		s->primary.outcomes[s->primary.asked % 8] = OUTCOME_UNKNOWN;
		s->primary.half = "www 300 A 192.0.2.10\nwww 60 A 198.51.100.11";
		assert_int_equal(command(s, JOB_UNDO), EXIT_DONE);
		same_zone(s, before);
	}
}

/* An account of thousands of zones: what was done is told, with less of each zone. */
static void much_is_told_in_short(void **state)
{
	json_t *answer = json_pack("{s:[], s:i}", "zones", "changed", 4000), *zones = json_object_get(answer, "zones"), *z;
	const char *why = "example delegates it to ns1.provider.example, ns2.provider.example, all of them the provider's";
	size_t i;

	(void)state;
	for (i = 0; i < 2000; i++)
		json_array_append_new(
			zones,
			json_pack("{s:s, s:s, s:[{s:s, s:i, s:[s]}, {s:s, s:i, s:[s]}], s:[], s:[{s:s}], s:[{s:s, s:s, s:n}], s:s, s:b}",
				  "zone", "customer.example.", "why", why, "changes", "owner", "customer.example.", "ttl", 300, "old",
				  "192.0.2.10", "owner", "www.customer.example.", "ttl", 3600, "new", "198.51.100.10", "drift", "names",
				  "what", why, "servers", "name", "ns1.provider.example.", "address", "192.0.2.53", "after-ms", "verdict",
				  "managed", "published", 1));
	z = json_array_get(zones, 7);
	json_object_set_new(z, "error", json_string("found SERVFAIL"));
	report_shorten(answer, 10 << 20);
	assert_null(json_object_get(answer, "shortened"));
	report_shorten(answer, 500 << 10);
	assert_true(json_is_true(json_object_get(answer, "shortened")));
	assert_int_equal(json_array_size(zones), 2000);
	z = json_array_get(zones, 7);
	assert_null(json_object_get(z, "names"));
	assert_int_equal(json_array_size(json_object_get(z, "changes")), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(z, "changes"), 1), "ttl")), 3600);
	report_shorten(answer, 1000);
	assert_int_equal(json_array_size(zones), 1);
	z = json_array_get(zones, 0);
	assert_string_equal(json_string_value(json_object_get(z, "error")), "found SERVFAIL");
	assert_string_equal(json_string_value(json_object_get(z, "why")), why);
	json_decref(answer);
}

static void a_long_status_is_told_in_short(void **state)
{
	json_t *answer = json_pack("{s:[]}", "entries"), *entries = json_object_get(answer, "entries"), *e;

	(void)state;
	for (size_t i = 0; i < 8000; i++)
		json_array_append_new(entries, json_pack("{s:s, s:s, s:s, s:s, s:b, s:i, s:s, s:n, s:n}", "account", "customer", "zone",
							 "customer.example.", "backend", "192.0.2.53 (rfc2136)", "state", "pushed", "busy",
							 0, "records", 12, "since", "2026-11-26T09:40:02Z", "verified", "lagging"));
	json_object_set_new(json_array_get(entries, 3), "lagging", json_string("ns2 does not answer"));
	report_shorten(answer, 1 << 20);
	assert_true(json_is_true(json_object_get(answer, "shortened")));
	assert_int_equal(json_array_size(entries), 8000);
	e = json_array_get(entries, 3);
	assert_string_equal(json_string_value(json_object_get(e, "state")), "pushed");
	assert_non_null(json_object_get(e, "lagging"));
	assert_null(json_object_get(json_array_get(entries, 4), "since"));
	assert_true(json_dumpb(answer, NULL, 0, JSON_COMPACT) < 1 << 20);
	json_decref(answer);
}

/* The lock of an account goes with its job, also with one that has not begun. */
static void a_cancelled_job_leaves_no_lock(void **state)
{
	struct stand *s = *state;
	struct job *first = begin(s, JOB_PUSH), *second = begin(s, JOB_UNDO);

	job_cancel(second);
	job_cancel(first);
	s->under_way = 0;
	assert_int_equal(command(s, JOB_PUSH), EXIT_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pushes_and_undoes, up, down),
		cmocka_unit_test_setup_teardown(tells_whether_it_has_sent, up, down),
		cmocka_unit_test_setup_teardown(an_undo_waits_for_the_push_before_it, up, down),
		cmocka_unit_test_setup_teardown(of_those_that_wait_the_last_counts, up, down),
		cmocka_unit_test_setup_teardown(what_was_not_heard_of_stays_in_the_journal, up, down),
		cmocka_unit_test_setup_teardown(a_refusal_leaves_nothing, up, down),
		cmocka_unit_test_setup_teardown(what_is_damaged_keeps_nothing_else_from_going_back, up, down),
		cmocka_unit_test_setup_teardown(an_entry_without_server_is_told_of, up, down),
		cmocka_unit_test_setup_teardown(a_zone_that_was_changed_elsewhere_is_refused, up, down),
		cmocka_unit_test_setup_teardown(half_of_an_rrset_is_gone_on_with, up, down),
		cmocka_unit_test_setup_teardown(a_zone_that_is_gone_is_forgotten, up, down),
		cmocka_unit_test(much_is_told_in_short),
		cmocka_unit_test(a_long_status_is_told_in_short),
		cmocka_unit_test_setup_teardown(a_cancelled_job_leaves_no_lock, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
