/* What the verbs make of zones. Zones are text, before and after; each push is undone again and must leave the zone as it was, TTLs
 * included, also for zones made at random (the seed is printed). */
#include "tests/unit/zonetext.h"

#include "lib/addr.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define APEX  "alice.example."
#define PAIRS "192.0.2.10 198.51.100.10, 192.0.2.11 198.51.100.11, 2001:db8::10 2001:db8:1::10"
#define LONE6 "192.0.2.10 198.51.100.10, 2001:db8::10 -"

static char *alices[] = {"alice.example", "*.alice.example"};
static const struct scope alice = {"alice", alices, 2, NULL, 0};
static const struct plan_wish push = {VERB_PUSH, SIDE_TRANSIT, false}, undo = {VERB_UNDO, SIDE_CLIENT, false},
			      home = {VERB_PUSH, SIDE_CLIENT, false}, prepare = {VERB_PREPARE, SIDE_TRANSIT, false},
			      finalise = {VERB_FINALISE, SIDE_TRANSIT, false};

static bool has_note(const struct plan *p, const char *part)
{
	for (size_t i = 0; i < p->n_notes; i++)
		if (strstr(p->notes[i], part))
			return true;
	return false;
}

static void same_zone(const struct zone *z, const char *expected)
{
	struct zone other;
	char *a = zone_to_text(z), *b;

	zone_from_text(&other, z->name, expected);
	b = zone_to_text(&other);
	if (strcmp(a, b) != 0)
		fail_msg("found\n%sexpected\n%s", a, b);
	free(a);
	free(b);
	zone_done(&other);
}

/* Through the disk's form: nothing may be lost on the way. */
static void remember(struct entry *e)
{
	json_t *object = entry_to_json(e);
	struct err err = {0};

	entry_done(e);
	if (entry_from_json(e, object, &err) < 0)
		fail_msg("%s", err.text);
	json_decref(object);
}

/* Plans, writes and settles as the program does. Returns the number of changes. */
static size_t run(struct entry *e, struct zone *z, const char *pairs, const struct scope *s, const struct plan_wish *wish,
		  struct plan *kept)
{
	struct conf conf = conf_from_text(pairs);
	struct plan plan;
	struct err err = {0};
	size_t n;

	if (plan_make(&plan, e, z, s, &conf, wish, &err) < 0)
		fail_msg("%s", err.text);
	n = plan.n_changes;
	if (plan.n_drifts == 0) {
		remember(e);
		zone_apply(z, e);
		assert_int_equal(entry_settle(e, z), 0);
		assert_false(entry_pending(e));
		if (wish->verb == VERB_PUSH) {
			e->state = ENTRY_PUSHED;
			e->side = wish->to;
		}
	}
	conf_done(&conf);
	if (kept)
		*kept = plan;
	else
		plan_done(&plan);
	return n;
}

static const struct push_case {
	const char *what, *pairs, *before, *after, *note;
} pushes[] = {
	{"an address becomes its partner, other values stay, the TTL goes down", PAIRS,
	 "@ 3600 A 192.0.2.10\nwww 3600 A 192.0.2.10\nwww 3600 A 203.0.113.1",
	 "@ 60 A 198.51.100.10\nwww 60 A 198.51.100.10\nwww 60 A 203.0.113.1", NULL},
	{"a low TTL stays", PAIRS, "www 30 A 192.0.2.10", "www 30 A 198.51.100.10", NULL},
	{"several pairs, both families, wildcards", PAIRS,
	 "* 300 A 192.0.2.10\n* 300 A 192.0.2.11\n* 300 AAAA 2001:db8::10\ncdn 300 A 203.0.113.7",
	 "* 60 A 198.51.100.10\n* 60 A 198.51.100.11\n* 60 AAAA 2001:db8:1::10\ncdn 300 A 203.0.113.7", NULL},
	{"what is the same afterwards is there once", PAIRS, "www 300 A 192.0.2.10\nwww 300 A 198.51.100.10", "www 60 A 198.51.100.10",
	 NULL},
	{"two addresses of one partner", "192.0.2.10 198.51.100.10, 192.0.2.11 198.51.100.10", "www 300 A 192.0.2.10\nwww 300 A 192.0.2.11",
	 "www 60 A 198.51.100.10", NULL},
	{"pairs that point at each other", "192.0.2.10 192.0.2.11, 192.0.2.11 192.0.2.10", "a 60 A 192.0.2.10\nb 60 A 192.0.2.11",
	 "a 60 A 192.0.2.11\nb 60 A 192.0.2.10", NULL},
	{"an address without partner goes", LONE6, "www 300 A 192.0.2.10\nwww 300 AAAA 2001:db8::10", "www 60 A 198.51.100.10", NULL},
	{"of several, the one without partner", LONE6, "www 300 AAAA 2001:db8::10\nwww 300 AAAA 2001:db8::99", "www 60 AAAA 2001:db8::99",
	 NULL},
	{"the last address of a name stays", LONE6, "six 300 AAAA 2001:db8::10", "six 300 AAAA 2001:db8::10",
	 "six.alice.example. AAAA: IPv6 only and no IPv6 partner: left as it is, the proxy covers it"},
	{"neither family has a partner", "192.0.2.10 -, 2001:db8::10 -", "www 300 A 192.0.2.10\nwww 300 AAAA 2001:db8::10",
	 "www 300 A 192.0.2.10\nwww 300 AAAA 2001:db8::10", "IPv4 only"},
	{"an address elsewhere is an address", LONE6, "www 300 A 203.0.113.1\nwww 300 AAAA 2001:db8::10", "www 300 A 203.0.113.1", NULL},
	{"aliases, mail and services follow by name", PAIRS,
	 "@ 300 MX 10 mail.alice.example.\nmail 300 A 192.0.2.10\nwww 300 CNAME mail.alice.example.\n_sip._tcp 300 SRV 0 0 5060 "
	 "mail.alice.example.",
	 "@ 300 MX 10 mail.alice.example.\nmail 60 A 198.51.100.10\nwww 300 CNAME mail.alice.example.\n_sip._tcp 300 SRV 0 0 5060 "
	 "mail.alice.example.",
	 NULL},
	{"a name server of the zone stays", PAIRS,
	 "@ 300 NS ns1.alice.example.\n@ 300 NS ns.other.example.\nns1 300 A 192.0.2.10\nwww 300 A 192.0.2.10",
	 "@ 300 NS ns1.alice.example.\n@ 300 NS ns.other.example.\nns1 300 A 192.0.2.10\nwww 60 A 198.51.100.10",
	 "ns1.alice.example. A: a name server"},
	{"a sub-zone is another's", PAIRS,
	 "sub 300 NS ns.sub.alice.example.\nns.sub 300 A 192.0.2.10\nsub 300 A 192.0.2.10\na.b.sub 300 A 192.0.2.10\nsubs 300 A 192.0.2.10",
	 "sub 300 NS ns.sub.alice.example.\nns.sub 300 A 192.0.2.10\nsub 300 A 192.0.2.10\na.b.sub 300 A 192.0.2.10\nsubs 60 A "
	 "198.51.100.10",
	 NULL},
	{"SPF: the partner is added behind", PAIRS, "@ 3600 TXT \"v=spf1 mx ip4:192.0.2.10 -all\"",
	 "@ 60 TXT \"v=spf1 mx ip4:192.0.2.10 ip4:198.51.100.10 -all\"", NULL},
	{"SPF: with its qualifier, IPv6, other texts stay", PAIRS,
	 "@ 3600 TXT \"v=spf1 ~ip6:2001:db8::10 -all\"\n@ 3600 TXT \"hello 192.0.2.1\"",
	 "@ 60 TXT \"v=spf1 ~ip6:2001:db8::10 ~ip6:2001:db8:1::10 -all\"\n@ 60 TXT \"hello 192.0.2.1\"", NULL},
	{"SPF: with a full prefix, in capitals, of type 99", PAIRS, "@ 3600 SPF \"V=SPF1 IP4:192.0.2.10/32 -all\"",
	 "@ 60 SPF \"V=SPF1 IP4:192.0.2.10/32 IP4:198.51.100.10 -all\"", NULL},
	{"SPF: there already", PAIRS, "@ 3600 TXT \"v=spf1 ip4:192.0.2.10 ip4:198.51.100.10/32 -all\"",
	 "@ 3600 TXT \"v=spf1 ip4:192.0.2.10 ip4:198.51.100.10/32 -all\"", NULL},
	{"SPF: twice the same", PAIRS, "@ 60 TXT \"v=spf1 ip4:192.0.2.10 ip4:192.0.2.10\"",
	 "@ 60 TXT \"v=spf1 ip4:192.0.2.10 ip4:198.51.100.10 ip4:192.0.2.10\"", NULL},
	{"SPF: no partner", LONE6, "@ 3600 TXT \"v=spf1 ip6:2001:db8::10 -all\"", "@ 3600 TXT \"v=spf1 ip6:2001:db8::10 -all\"", NULL},
	{"SPF: a network is left alone", PAIRS, "@ 3600 TXT \"v=spf1 ip4:192.0.2.0/24 -all\"",
	 "@ 3600 TXT \"v=spf1 ip4:192.0.2.0/24 -all\"", "SPF ip4:192.0.2.0/24 holds the server's address and not the partner's"},
	{"SPF: a network that holds both is fine", PAIRS, "@ 3600 TXT \"v=spf1 ip4:0.0.0.0/0 -all\"",
	 "@ 3600 TXT \"v=spf1 ip4:0.0.0.0/0 -all\"", NULL},
	{"SPF: only of version 1", PAIRS, "@ 3600 TXT \"v=spf10 ip4:192.0.2.10\"\na 60 TXT \"spf ip4:192.0.2.10\"",
	 "@ 3600 TXT \"v=spf10 ip4:192.0.2.10\"\na 60 TXT \"spf ip4:192.0.2.10\"", "speaks of 192.0.2.10"},
	{"SPF: no address", PAIRS, "@ 60 TXT \"v=spf1 ip4:192.0.2.100 ip4:192.0.2.10/33 ip4:x ip4: ip6:192.0.2.10 a:192.0.2.10\"",
	 "@ 60 TXT \"v=spf1 ip4:192.0.2.100 ip4:192.0.2.10/33 ip4:x ip4: ip6:192.0.2.10 a:192.0.2.10\"", NULL},
	{"SPF: strings keep their borders", PAIRS, "@ 60 TXT \"v=spf1 ip4:192.\" \"0.2.10 a\" \" -all\"",
	 "@ 60 TXT \"v=spf1 ip4:192.\" \"0.2.10 ip4:198.51.100.10 a\" \" -all\"", NULL},
	{"SPF: a chain of pairs goes one step", "192.0.2.10 192.0.2.11, 192.0.2.11 192.0.2.12", "@ 60 TXT \"v=spf1 ip4:192.0.2.10\"",
	 "@ 60 TXT \"v=spf1 ip4:192.0.2.10 ip4:192.0.2.11\"", NULL},
	{"nothing of ours", PAIRS, "www 300 A 203.0.113.1", "www 300 A 203.0.113.1", NULL},
	{"hints are told of", PAIRS, "www 300 HTTPS \\# 11 000100 00040004 c000020a", "www 300 HTTPS \\# 11 000100 00040004 c000020a",
	 "HTTPS hints at 192.0.2.10"},
};

static void pushes_and_goes_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof pushes / sizeof *pushes; i++) {
		const struct push_case *c = &pushes[i];
		struct zone z;
		struct entry e;
		struct plan plan;

		print_message("%s\n", c->what);
		zone_from_text(&z, APEX, c->before);
		assert_int_equal(entry_init(&e, "alice", APEX), 0);
		run(&e, &z, c->pairs, &alice, &push, &plan);
		same_zone(&z, c->after);
		if (c->note && !has_note(&plan, c->note))
			fail_msg("no note: %s", c->note);
		assert_true(c->note || plan.n_notes == 0);
		plan_done(&plan);
		if (!strstr(c->what, "each other") &&
		    !strstr(c->what, "chain")) /* where what comes is what goes, the next round has work */
			assert_int_equal(run(&e, &z, c->pairs, &alice, &push, NULL), 0);
		run(&e, &z, c->pairs, &alice, &undo, NULL);
		same_zone(&z, c->before);
		assert_int_equal(run(&e, &z, c->pairs, &alice, &undo, NULL), 0);
		entry_compact(&e);
		assert_int_equal(e.n, 0);
		entry_done(&e);
		zone_done(&z);
	}
}

/* ---- from step to step: each names a verb, or edits the zone as somebody else would ---- */

struct scene {
	struct zone z;
	struct entry e;
	struct plan plan; /* of the last act */
};

static void begin(struct scene *s, const char *zone)
{
	*s = (struct scene){0};
	zone_from_text(&s->z, APEX, zone);
	assert_int_equal(entry_init(&s->e, "alice", APEX), 0);
}

static void act(struct scene *s, const struct plan_wish *wish, size_t changes, const char *after)
{
	plan_done(&s->plan);
	assert_int_equal(run(&s->e, &s->z, PAIRS, &alice, wish, &s->plan), changes);
	if (after)
		same_zone(&s->z, after);
}

static void edit(struct scene *s, const char *zone)
{
	zone_done(&s->z);
	zone_from_text(&s->z, APEX, zone);
}

static void end(struct scene *s)
{
	plan_done(&s->plan);
	entry_done(&s->e);
	zone_done(&s->z);
}

static void lowers_pushes_and_raises_ttls(void **state)
{
	const char *before = "@ 3600 A 192.0.2.10\nwww 30 A 192.0.2.10\nwww 30 A 203.0.113.1\ncdn 3600 A 203.0.113.1\n@ 7200 TXT \"v=spf1 "
			     "ip4:192.0.2.10\"";
	struct scene s;

	(void)state;
	begin(&s, before);
	act(&s, &prepare, 2,
	    "@ 60 A 192.0.2.10\nwww 30 A 192.0.2.10\nwww 30 A 203.0.113.1\ncdn 3600 A 203.0.113.1\n@ 60 TXT \"v=spf1 ip4:192.0.2.10\"");
	assert_int_equal(s.plan.old_ttl_s, 7200);
	s.e.state = ENTRY_PREPARED;
	act(&s, &prepare, 0, NULL);
	act(&s, &push, 3,
	    "@ 60 A 198.51.100.10\nwww 30 A 198.51.100.10\nwww 30 A 203.0.113.1\ncdn 3600 A 203.0.113.1\n@ 60 TXT \"v=spf1 ip4:192.0.2.10 "
	    "ip4:198.51.100.10\"");
	assert_int_equal(s.plan.old_ttl_s, 60);
	act(&s, &finalise, 2,
	    "@ 3600 A 198.51.100.10\nwww 30 A 198.51.100.10\nwww 30 A 203.0.113.1\ncdn 3600 A 203.0.113.1\n@ 7200 TXT \"v=spf1 "
	    "ip4:192.0.2.10 "
	    "ip4:198.51.100.10\"");
	act(&s, &finalise, 0, NULL);
	act(&s, &push, 0, NULL);
	act(&s, &undo, 3, before);
	assert_int_equal(s.plan.old_ttl_s, 7200);
	end(&s);

	begin(&s, before); /* prepared, and then not moved */
	act(&s, &prepare, 2, NULL);
	act(&s, &undo, 2, before);
	end(&s);
}

static void goes_home(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, "@ 3600 A 192.0.2.10\nwww 3600 A 192.0.2.10\nftp 3600 A 192.0.2.11\n@ 3600 AAAA 2001:db8::10");
	act(&s, &push, 4, NULL);
	/* meanwhile: www got a second address, ftp went elsewhere, new names for the transit server appeared, the AAAA was put right by
	 * hand */
	edit(&s, "@ 60 A 198.51.100.10\nwww 900 A 198.51.100.10\nwww 900 A 203.0.113.1\nftp 60 A 203.0.113.9\n@ 3600 AAAA "
		 "2001:db8::10\nnew 500 A "
		 "198.51.100.11\nnew 500 TXT \"v=spf1 ip4:198.51.100.11 -all\"\n@ 500 TXT \"v=spf1 ip4:192.0.2.10 ?ip4:198.51.100.10 "
		 "ip6:2001:db8:1::10/128 -all\"");
	act(&s, &home, 5,
	    "@ 3600 A 192.0.2.10\nwww 900 A 192.0.2.10\nwww 900 A 203.0.113.1\nftp 60 A 203.0.113.9\n@ 3600 AAAA 2001:db8::10\nnew 500 A "
	    "192.0.2.11\nnew 500 TXT \"v=spf1 ip4:192.0.2.11 -all\"\n@ 500 TXT \"v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all\"");
	assert_int_equal(s.plan.n_drifts, 0);
	act(&s, &home, 0, NULL);
	entry_compact(&s.e);
	assert_null(entry_mark(&s.e, "ftp.alice.example.", RR_A)); /* nothing of ours is there any more */
	end(&s);

	begin(&s, "www 3600 A 198.51.100.10"); /* the journal is lost: by the pairs */
	act(&s, &home, 1, "www 3600 A 192.0.2.10");
	act(&s, &undo, 1, "www 3600 A 198.51.100.10");
	end(&s);
}

/* The TTL is ours where the owner has only touched the values: it comes back with them. */
static void goes_home_with_its_ttl(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, "www 3600 A 192.0.2.10\nftp 3600 A 192.0.2.11");
	act(&s, &push, 2, NULL);
	edit(&s, "www 60 A 198.51.100.10\nwww 60 A 203.0.113.1\nftp 60 A 203.0.113.9");
	act(&s, &home, 1, "www 3600 A 192.0.2.10\nwww 3600 A 203.0.113.1\nftp 60 A 203.0.113.9");
	act(&s, &home, 0, NULL);
	end(&s);
}

/* What was sent and not carried out is planned again, be it what was edited since or what is new. */
static void goes_home_also_when_asked_twice(void **state)
{
	struct conf conf = conf_from_text(PAIRS);
	struct scene s;

	(void)state;
	begin(&s, "www 3600 A 192.0.2.10");
	act(&s, &push, 1, NULL);
	edit(&s, "www 60 A 198.51.100.10\nwww 60 A 203.0.113.1\nnew 500 A 198.51.100.11");
	for (size_t round = 0; round < 3; round++) {
		plan_done(&s.plan);
		assert_int_equal(plan_make(&s.plan, &s.e, &s.z, &alice, &conf, &home, NULL), 0);
		assert_int_equal(s.plan.n_changes, round < 2 ? 2 : 0);
		remember(&s.e);
		if (round == 1)
			zone_apply(&s.z, &s.e);
		assert_int_equal(entry_settle(&s.e, &s.z), 0);
	}
	same_zone(&s.z, "www 3600 A 192.0.2.10\nwww 3600 A 203.0.113.1\nnew 500 A 192.0.2.11");
	end(&s);
	conf_done(&conf);
}

static void restores_what_had_gone(void **state)
{
	struct scene s;
	const char *before = "www 900 A 192.0.2.10\nwww 900 AAAA 2001:db8::10";

	(void)state;
	begin(&s, before);
	assert_int_equal(run(&s.e, &s.z, LONE6, &alice, &push, &s.plan), 2);
	same_zone(&s.z, "www 60 A 198.51.100.10");
	assert_int_equal(s.plan.old_ttl_s, 900);
	plan_done(&s.plan);
	assert_int_equal(run(&s.e, &s.z, LONE6, &alice, &finalise, NULL), 1);
	same_zone(&s.z, "www 900 A 198.51.100.10");
	s.z.negative_ttl = 5000;
	assert_int_equal(run(&s.e, &s.z, LONE6, &alice, &undo, &s.plan), 2);
	same_zone(&s.z, before);
	assert_int_equal(s.plan.old_ttl_s, 5000); /* "there is no AAAA" may be remembered */
	end(&s);
}

static void drift_is_refused_and_shown(void **state)
{
	const char *edited = "@ 60 A 198.51.100.10\nwww 60 A 203.0.113.5\nftp 300 A 192.0.2.11";
	const struct plan_wish leave = {VERB_UNDO, SIDE_CLIENT, true}, leave_push = {VERB_PUSH, SIDE_TRANSIT, true};
	struct scene s;
	char text[200];

	(void)state;
	begin(&s, "@ 300 A 192.0.2.10\nwww 300 A 192.0.2.10\nftp 300 A 192.0.2.11");
	act(&s, &push, 3, NULL);
	edit(&s, edited); /* ftp: found as before: somebody has put it back */
	act(&s, &push, 0, NULL);
	assert_int_equal(s.plan.n_drifts, 2);
	assert_string_equal(s.plan.drifts[1].found.owner, "www.alice.example.");
	assert_string_equal(rrset_text(&s.plan.drifts[1].mark->before, text, sizeof text), "192.0.2.10 (TTL 300)");
	assert_string_equal(rrset_text(&s.plan.drifts[1].mark->after, text, sizeof text), "198.51.100.10 (TTL 60)");
	assert_string_equal(rrset_text(&s.plan.drifts[1].found, text, sizeof text), "203.0.113.5 (TTL 60)");
	act(&s, &undo, 1, NULL); /* ftp is undone already, www is not known */
	assert_int_equal(s.plan.n_drifts, 1);
	end(&s);

	begin(&s, "@ 300 A 192.0.2.10\nwww 300 A 192.0.2.10");
	act(&s, &push, 2, NULL);
	edit(&s, "@ 60 A 198.51.100.10\nwww 61 A 198.51.100.10"); /* a TTL is an edit too */
	act(&s, &finalise, 1, NULL);
	assert_int_equal(s.plan.n_drifts, 1);
	end(&s);

	begin(&s, "@ 300 A 192.0.2.10\nwww 300 A 192.0.2.10\nftp 300 A 192.0.2.11");
	act(&s, &push, 3, NULL);
	edit(&s, edited);
	act(&s, &leave, 1, "@ 300 A 192.0.2.10\nwww 60 A 203.0.113.5\nftp 300 A 192.0.2.11");
	assert_true(has_note(&s.plan, "www.alice.example. A: found 203.0.113.5 (TTL 60), expected 198.51.100.10 (TTL 60): left as found"));
	entry_compact(&s.e);
	assert_int_equal(s.e.n, 0);
	end(&s);

	begin(&s, "@ 300 A 192.0.2.10\nwww 300 A 192.0.2.10");
	act(&s, &push, 2, NULL);
	edit(&s, "@ 60 A 198.51.100.10"); /* gone */
	act(&s, &leave_push, 0, NULL);
	act(&s, &undo, 1, "@ 300 A 192.0.2.10");
	end(&s);
}

/* An undo that was not seen on all servers leaves its marks, and so does a push of which a part was refused. */
static void what_is_not_ours_is_no_drift(void **state)
{
	const char *before = "@ 300 A 192.0.2.10\nwww 300 A 192.0.2.10";
	struct scene s;

	(void)state;
	begin(&s, before);
	act(&s, &push, 2, NULL);
	act(&s, &undo, 2, before);
	edit(&s, "@ 300 A 192.0.2.10\nwww 900 A 192.0.2.11");
	act(&s, &undo, 0, NULL);
	assert_int_equal(s.plan.n_drifts, 0);
	edit(&s, "@ 300 A 192.0.2.10\nwww 60 A 198.51.100.10"); /* ours, carried out late? */
	act(&s, &undo, 0, NULL);
	assert_int_equal(s.plan.n_drifts, 1);
	edit(&s, "@ 300 A 192.0.2.10\nwww 900 A 192.0.2.10\nwww 900 A 203.0.113.1");
	act(&s, &push, 2, "@ 60 A 198.51.100.10\nwww 60 A 198.51.100.10\nwww 60 A 203.0.113.1");
	assert_int_equal(s.plan.n_drifts, 0);
	act(&s, &undo, 2, "@ 300 A 192.0.2.10\nwww 900 A 192.0.2.10\nwww 900 A 203.0.113.1");
	end(&s);
}

/* A push is planned again after each look at the zone, until there is nothing to do: what was left stays left. */
static void what_is_left_stays_left(void **state)
{
	const struct plan_wish leave = {VERB_PUSH, SIDE_TRANSIT, true};
	struct conf conf = conf_from_text(PAIRS);
	struct scene s;

	(void)state;
	begin(&s, "@ 300 A 192.0.2.10\nwww 300 A 192.0.2.10");
	act(&s, &push, 2, NULL);
	edit(&s, "@ 60 A 198.51.100.10\nwww 300 A 192.0.2.10\nnew 300 A 192.0.2.10");
	for (size_t round = 0; round < 3; round++) {
		plan_done(&s.plan);
		assert_int_equal(plan_make(&s.plan, &s.e, &s.z, &alice, &conf, &leave, NULL), 0);
		assert_int_equal(s.plan.n_changes, round == 0);
		assert_int_equal(s.plan.n_drifts, 0);
		zone_apply(&s.z, &s.e);
		assert_int_equal(entry_settle(&s.e, &s.z), 0);
		same_zone(&s.z, "@ 60 A 198.51.100.10\nwww 300 A 192.0.2.10\nnew 60 A 198.51.100.10");
	}
	entry_compact(&s.e);
	act(&s, &push, 1, "@ 60 A 198.51.100.10\nwww 60 A 198.51.100.10\nnew 60 A 198.51.100.10"); /* the next time it is as any other */
	end(&s);
	conf_done(&conf);
}

static void drift_points_at_its_mark(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, "m 300 A 192.0.2.10");
	act(&s, &push, 1, NULL);
	edit(&s, "m 300 A 203.0.113.1\na 300 A 192.0.2.10\nb 300 A 192.0.2.10\nc 300 A 192.0.2.10\nz 300 A 192.0.2.10");
	act(&s, &push, 4, NULL);
	assert_int_equal(s.plan.n_drifts, 1);
	assert_string_equal(s.plan.drifts[0].mark->before.owner, "m.alice.example.");
	end(&s);
}

static void a_crash_leaves_two_possible_states(void **state)
{
	struct scene s;
	struct conf conf = conf_from_text(PAIRS);
	struct plan plan;

	(void)state;
	for (int applied = 0; applied < 2; applied++) {
		begin(&s, "@ 300 A 192.0.2.10\nwww 300 A 192.0.2.10");
		assert_int_equal(plan_make(&plan, &s.e, &s.z, &alice, &conf, &push, NULL), 0);
		plan_done(&plan);
		remember(&s.e);
		assert_true(entry_pending(&s.e));
		if (applied)
			zone_apply(&s.z, &s.e);
		assert_int_equal(entry_settle(&s.e, &s.z), 0);
		assert_false(entry_pending(&s.e));
		act(&s, &push, applied ? 0 : 2, "@ 60 A 198.51.100.10\nwww 60 A 198.51.100.10");
		act(&s, &undo, 2, "@ 300 A 192.0.2.10\nwww 300 A 192.0.2.10");
		end(&s);
	}
	begin(&s, "@ 300 A 192.0.2.10\nwww 300 A 192.0.2.10"); /* half of it, and then somebody else */
	assert_int_equal(plan_make(&plan, &s.e, &s.z, &alice, &conf, &push, NULL), 0);
	plan_done(&plan);
	edit(&s, "@ 60 A 198.51.100.10\nwww 300 A 203.0.113.1");
	assert_int_equal(entry_settle(&s.e, &s.z), 1);
	assert_int_equal(plan_make(&plan, &s.e, &s.z, &alice, &conf, &undo, NULL), 0);
	assert_int_equal(plan.n_drifts, 1);
	plan_done(&plan);
	end(&s);
	conf_done(&conf);
}

/* ---- refusals ---- */

static void refused(struct scene *s, struct conf *conf, const struct plan_wish *wish, int code, const char *part)
{
	struct plan plan;
	struct err err = {0};

	assert_int_equal(plan_make(&plan, &s->e, &s->z, &alice, conf, wish, &err), code);
	if (!strstr(err.text, part))
		fail_msg("found %s, expected %s", err.text, part);
	assert_true(strstr(part, "zone-share") ? plan.n_findings == 20 && plan.n_changes == 20 : plan.n_findings == 0);
	plan_done(&plan);
}

static void guards(void **state)
{
	struct conf conf = conf_from_text("192.0.2.10 web.example"), good = conf_from_text(PAIRS);
	char zone[2000] = "";
	struct plan plan;
	struct scene s;
	struct err err;

	(void)state;
	begin(&s, "www 300 A 192.0.2.10");
	refused(&s, &conf, &push, -EPERM, "test.conf:3: found a pair with the name web.example, expected an address: DNS needs addresses");
	s.e.state = ENTRY_PUSHED;
	s.e.side = SIDE_TRANSIT;
	refused(&s, &good, &prepare, -EPERM, "is pushed already");
	assert_int_equal(plan_make(&plan, &s.e, NULL, &alice, &good, &undo, &err), -ENOENT);
	plan_done(&plan);
	assert_non_null(strstr(err.text, APEX));
	end(&s);

	for (int i = 0; i < 20; i++) /* with SOA 21 RRsets, 20 of them change */
		snprintf(zone + strlen(zone), sizeof zone - strlen(zone), "h%d 300 A 192.0.2.10\n", i);
	begin(&s, zone);
	refused(&s, &good, &push, -EPERM, "20 of its 21 record sets would change, expected at most 90 percent (dns zone-share)");
	end(&s);
	begin(&s, zone);
	good.dns.zone_share = 96;
	assert_int_equal(plan_make(&plan, &s.e, &s.z, &alice, &good, &push, &err), 0);
	assert_int_equal(plan.n_sets, 21);
	plan_done(&plan);
	zone_apply(&s.z, &s.e);
	entry_settle(&s.e, &s.z);
	good.dns.zone_share = 1;
	assert_int_equal(plan_make(&plan, &s.e, &s.z, &alice, &good, &finalise, &err), 0);
	plan_done(&plan);
	assert_int_equal(entry_settle(&s.e, &s.z), 0);
	assert_int_equal(plan_make(&plan, &s.e, &s.z, &alice, &good, &undo, &err), 0);
	assert_int_equal(plan.n_changes, 20);
	plan_done(&plan);
	end(&s);
	conf_done(&conf);
	conf_done(&good);
}

/* ---- whose a name is ---- */

static void scopes(void **state)
{
	static const struct {
		const char *ours[3], *others[3], *name;
		bool has;
	} cases[] = {
		{{"a.example"}, {NULL}, "a.example.", true},
		{{"a.example"}, {NULL}, "A.EXAMPLE.", true},
		{{"a.example"}, {NULL}, "www.a.example.", true},
		{{"a.example"}, {NULL}, "*.a.example.", true},
		{{"a.example"}, {NULL}, "ba.example.", false},
		{{"a.example"}, {NULL}, "b\\.a.example.", false},
		{{"a.example"}, {NULL}, "b\\\\.a.example.", true},
		{{"a.example"}, {NULL}, "example.", false},
		{{"*.a.example"}, {NULL}, "a.example.", false},
		{{"*.a.example"}, {NULL}, "x.a.example.", true},
		{{"*.a.example"}, {NULL}, "y.x.a.example.", true},
		{{"*.a.example"}, {"a.example"}, "x.a.example.", true},
		{{"*.a.example"}, {"a.example"}, "a.example.", false},
		{{"a.example"}, {"shop.a.example"}, "shop.a.example.", false},
		{{"a.example"}, {"shop.a.example"}, "x.shop.a.example.", false},
		{{"a.example"}, {"shop.a.example"}, "x.a.example.", true},
		{{"*.a.example"}, {"shop.a.example"}, "x.shop.a.example.", false},
		{{"a.example"}, {"*.a.example"}, "a.example.", true},
		{{"a.example"}, {"*.a.example"}, "x.a.example.", false},
		{{"a.example", "x.a.example"}, {"*.a.example"}, "x.a.example.", true},
		{{"*.a.example"}, {"x.a.example"}, "x.a.example.", false},
		{{"*.x.a.example"}, {"*.a.example"}, "y.x.a.example.", true},
		{{"*.x.a.example"}, {"*.a.example"}, "x.a.example.", false},
		{{"a.example"}, {"a.example"}, "a.example.", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scope s = {.domains = (char *const *)cases[i].ours, .others = (char *const *)cases[i].others};

		while (cases[i].ours[s.n_domains])
			s.n_domains++;
		while (cases[i].others[s.n_others])
			s.n_others++;
		if (scope_has(&s, cases[i].name) != cases[i].has)
			fail_msg("case %zu: %s", i, cases[i].name);
	}
}

static void two_accounts_in_one_zone(void **state)
{
	static char *bobs[] = {"bob.alice.example"};
	const struct scope bob = {"bob", bobs, 1, NULL, 0}, hers = {"alice", alices, 2, bobs, 1};
	const char *before = "@ 300 A 192.0.2.10\nbob 300 A 192.0.2.10\nwww.bob 400 A 192.0.2.11\nwww 300 A 192.0.2.11";

	(void)state;
	for (int order = 0; order < 2; order++) {
		struct entry a, b;
		struct zone z;

		zone_from_text(&z, APEX, before);
		entry_init(&a, "alice", APEX);
		entry_init(&b, "bob", APEX);
		assert_int_equal(run(&a, &z, PAIRS, &hers, &push, NULL), 2);
		same_zone(&z, "@ 60 A 198.51.100.10\nbob 300 A 192.0.2.10\nwww.bob 400 A 192.0.2.11\nwww 60 A 198.51.100.11");
		assert_int_equal(run(&b, &z, PAIRS, &bob, &push, NULL), 2);
		assert_int_equal(run(order ? &a : &b, &z, PAIRS, order ? &hers : &bob, &undo, NULL), 2);
		assert_int_equal(run(order ? &b : &a, &z, PAIRS, order ? &bob : &hers, &undo, NULL), 2);
		same_zone(&z, before);
		entry_done(&a);
		entry_done(&b);
		zone_done(&z);
	}
}

/* ---- what is told ---- */

static void findings(void **state)
{
	static const struct {
		const char *name, *type;
		enum fate fate;
		const char *what;
	} expected[] = {
		{"@", "A", FATE_CHANGES, "A 192.0.2.10 -> 198.51.100.10"},
		{"www", "CNAME", FATE_FOLLOWS, "CNAME to alice.example."},
		{"two", "CNAME", FATE_FOLLOWS, "CNAME to www.alice.example."},
		{"cdn", "CNAME", FATE_ELSEWHERE, "CNAME to alice.cdn.example."},
		{"gone", "CNAME", FATE_ELSEWHERE, "CNAME to none.of.cdn.alice.example."},
		{"loop", "CNAME", FATE_ELSEWHERE, "CNAME to pool.alice.example."},
		{"pool", "CNAME", FATE_ELSEWHERE, "CNAME to loop.alice.example."},
		{"wild", "CNAME", FATE_FOLLOWS, "CNAME to any.w.alice.example."},
		{"*.w", "A", FATE_CHANGES, "A 192.0.2.11 -> 198.51.100.11"},
		{"there", "A", FATE_DONE, "A 198.51.100.10"},
		{"led", "CNAME", FATE_DONE, "CNAME to there.alice.example."},
		{"else", "A", FATE_ELSEWHERE, "A 203.0.113.1"},
		{"@", "MX", FATE_FOLLOWS, "MX to mx.example., alice.example."},
		{"@", "TXT", FATE_CHANGES, "SPF \"v=spf1 ip4:192.0.2.10\" -> \"v=spf1 ip4:192.0.2.10 ip4:198.51.100.10\""},
		{"told", "TXT", FATE_UNSUPPORTED, "TXT speaks of 192.0.2.10: left as it is, change it by hand"},
		{"ali", "ALIAS", FATE_FOLLOWS, "ALIAS to alice.example."},
		{"alias", "ALIAS", FATE_UNSUPPORTED, "ALIAS to x.example."},
		{"sub", "NS", FATE_DELEGATED, "delegated to ns.sub.alice.example."},
		{"ns.sub", "A", FATE_DELEGATED, "A 192.0.2.10, the way to a sub-zone of its own"},
		{"b.w", "A", FATE_ELSEWHERE, "A 203.0.113.3"}, /* and so no wildcard speaks for what is below it (RFC 4592 2.2.2) */
		{"stop", "CNAME", FATE_ELSEWHERE, "CNAME to a.b.w.alice.example."},
		{"intosub", "CNAME", FATE_ELSEWHERE, "CNAME to ns.sub.alice.example."},
		{"bob", "A", FATE_ELSEWHERE, NULL}, /* not in scope: no finding */
	};
	static char *bobs[] = {"bob.alice.example"};
	const struct scope hers = {"alice", alices, 2, bobs, 1};
	struct conf conf = conf_from_text(PAIRS);
	struct scene s;
	struct err err;
	size_t count = 0;

	(void)state;
	begin(&s,
	      "@ 300 A 192.0.2.10\nwww 300 CNAME alice.example.\ntwo 4000 CNAME www.alice.example.\ncdn 9000 CNAME alice.cdn.example.\n"
	      "gone 300 CNAME none.of.cdn.alice.example.\nloop 300 CNAME pool.alice.example.\npool 300 CNAME loop.alice.example.\n"
	      "wild 300 CNAME any.w.alice.example.\n*.w 300 A 192.0.2.11\nthere 300 A 198.51.100.10\nled 300 CNAME there.alice.example.\n"
	      "else 300 A 203.0.113.1\n@ 300 MX 10 mx.example.\n@ 300 MX 20 alice.example.\n@ 300 TXT \"v=spf1 ip4:192.0.2.10\"\n"
	      "told 300 TXT \"our server is 192.0.2.10.\"\nother 300 TXT \"not 192.0.2.100 nor 1192.0.2.10\"\nali 300 ALIAS "
	      "alice.example.\n"
	      "alias 300 ALIAS x.example.\nsub 300 NS ns.sub.alice.example.\nns.sub 300 A 192.0.2.10\n"
	      "intosub 300 CNAME ns.sub.alice.example.\nb.w 300 A 203.0.113.3\nstop 300 CNAME a.b.w.alice.example.\nbob 300 A 192.0.2.10");
	assert_int_equal(plan_make(&s.plan, &s.e, &s.z, &hers, &conf, &push, &err), 0);
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		char name[300], type[16];
		const struct finding *f = NULL;

		snprintf(name, sizeof name, "%s%s%s", expected[i].name[0] == '@' ? "" : expected[i].name,
			 expected[i].name[0] == '@' ? "" : ".", APEX);
		for (size_t k = 0; k < s.plan.n_findings; k++)
			if (name_same(s.plan.findings[k].name, name) &&
			    strcmp(rr_type_text(s.plan.findings[k].type, type), expected[i].type) == 0)
				f = &s.plan.findings[k];
		count += f != NULL;
		if (!expected[i].what)
			assert_null(f);
		else if (!f || f->fate != expected[i].fate || strcmp(f->what, expected[i].what) != 0)
			fail_msg("%s %s: found %s %s", name, expected[i].type, f ? fate_text(f->fate) : "nothing", f ? f->what : "");
	}
	assert_int_equal(count, s.plan.n_findings);
	assert_int_equal(s.plan.old_ttl_s, 4000); /* of the CNAME in front of the CNAME in front */
	end(&s);
	conf_done(&conf);
}

static void told_as_json(void **state)
{
	struct conf conf = conf_from_text(PAIRS);
	struct scene s;
	struct err err;
	json_t *o, *item;

	(void)state;
	begin(&s, "www 300 A 192.0.2.10\nold 300 A 192.0.2.10");
	act(&s, &push, 2, NULL);
	plan_done(&s.plan);
	edit(&s, "www 60 A 203.0.113.1\nold 60 A 198.51.100.10\nnew 300 A 192.0.2.10");
	assert_int_equal(plan_make(&s.plan, &s.e, &s.z, &alice, &conf, &push, &err), 0);
	o = plan_to_json(&s.plan, &s.e);
	assert_int_equal(json_array_size(json_object_get(o, "changes")), 1);
	item = json_pack("{s:s, s:s, s:i, s:i, s:[s], s:[s]}", "owner", "new.alice.example.", "type", "A", "ttl", 300, "new-ttl", 60, "old",
			 "192.0.2.10", "new", "198.51.100.10");
	assert_true(json_equal(item, json_array_get(json_object_get(o, "changes"), 0)));
	json_decref(item);
	item = json_array_get(json_object_get(o, "drift"), 0);
	assert_string_equal(json_string_value(json_object_get(item, "owner")), "www.alice.example.");
	assert_string_equal(json_string_value(json_array_get(json_object_get(item, "recorded"), 0)), "192.0.2.10");
	assert_string_equal(json_string_value(json_array_get(json_object_get(item, "expected"), 0)), "198.51.100.10");
	assert_string_equal(json_string_value(json_array_get(json_object_get(item, "found"), 0)), "203.0.113.1");
	assert_int_equal(json_array_size(json_object_get(o, "names")), 3);
	assert_true(json_is_array(json_object_get(o, "notes")));
	json_decref(o);
	end(&s);
	conf_done(&conf);
}

/* ---- long SPF records ---- */

/* Takes the borders of strings out. Returns how many there were. */
static size_t join(char *text)
{
	size_t n = 0;

	for (char *p = text; (p = strstr(p, "\" \"")); n++)
		memmove(p, p + 3, strlen(p + 3) + 1);
	return n;
}

/* An address that ends at byte `at` of the first string, which has `tail` more bytes. */
static void long_record(char *out, size_t cap, size_t at, size_t tail, const char *partner)
{
	snprintf(out, cap, "@ 60 TXT \"v=spf1 %.*s ip4:192.0.2.10%s%s%.*s\" \" -all\"", (int)(at - 7 - 15),
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxx"
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxx",
		 partner, tail ? " " : "", tail ? (int)tail - 1 : 0, "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
}

static void long_spf(void **state)
{
	char before[1200], after[1200], *text;
	struct scene s;
	struct zone z;
	size_t opened = 0, cases = 0;

	(void)state;
	for (size_t at = 225; at <= 255; at++) {
		for (size_t tail = 0; tail < 60 && at + tail <= 255; tail += 1 + tail / 8) {
			long_record(before, sizeof before, at, tail, "");
			long_record(after, sizeof after, at, tail, " ip4:198.51.100.10");
			begin(&s, before);
			act(&s, &push, 1, NULL);
			text = zone_to_text(&s.z);
			opened += join(text) - 1;
			cases++;
			assert_string_equal(text + strlen(APEX), join(after) == 1 ? strcat(after + 1, "\n") : "");
			free(text);
			act(&s, &push, 0, NULL);
			act(&s, &undo, 1, before);
			end(&s);
		}
	}
	assert_true(opened > 100 && opened < cases); /* where there is room, no string is opened */
	/* neither into the string, nor in front of what is behind: 18 bytes, 237 bytes, and 19 to come */
	snprintf(before, sizeof before, "@ 60 TXT \"v=spf1 ip4:1.1.1.1 %0236d\"", 0);
	snprintf(after, sizeof after, "@ 60 TXT \"v=spf1 ip4:1.1.1.1\" \" ip4:198.51.100.100\" \" %0236d\"", 0);
	begin(&s, before);
	assert_int_equal(run(&s.e, &s.z, "1.1.1.1 198.51.100.100", &alice, &push, NULL), 1);
	same_zone(&s.z, after);
	end(&s);
	memset(before, 'x', sizeof before);
	memcpy(before, "@ 60 TXT \"v=spf1 ip4:192.0.2.10 ", 32);
	for (size_t i = 200; i + 3 < 700; i += 200)
		memcpy(before + i, "\" \"", 3);
	strcpy(before + 700, "\"");
	zone_from_text(&z, APEX, before);
	zone_done(&z);
	begin(&s, before);
	act(&s, &push, 1, NULL);
	assert_true(has_note(&s.plan, "more than 450: answers may need TCP"));
	act(&s, &undo, 1, before);
	end(&s);
}

/* ---- at random ---- */

static uint64_t dice;

static unsigned roll(unsigned sides)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(dice >> 33) % sides;
}

static void random_zone(char *out, size_t cap)
{
	static const char *const names[] = {"@", "www", "*", "mail", "a.b", "ftp", "WwW2", "x", "*.x", "bob", "www.bob", "sub", "ns.sub"};
	static const char *const fours[] = {"192.0.2.10", "192.0.2.11", "198.51.100.10", "198.51.100.11", "203.0.113.1", "203.0.113.2"};
	static const char *const sixes[] = {"2001:db8::10", "2001:db8::11", "2001:db8:1::10", "2001:db8:f::1"};
	static const char *const texts[] = {"\"v=spf1 ip4:192.0.2.10 -all\"",
					    "\"v=spf1 ip4:192.0.2.10 ip4:198.51.100.10 ip6:2001:db8::10/128\"",
					    "\"v=spf1 ip4:192.0.2.0/24\" \" ip4:192.0.2.11\"", "\"hello\"", "\"ip 192.0.2.10\""};
	size_t n = 0, count = 1 + roll(20);

	out[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		const char *name = names[roll(sizeof names / sizeof *names)], *type, *value;
		unsigned kind = roll(8), ttl = 10 + 10 * (unsigned)strlen(name); /* one TTL in an RRset */

		type = kind < 3 ? "A" : kind < 5 ? "AAAA" : kind == 5 ? "TXT" : kind == 6 ? "MX" : "NS";
		value = kind < 3    ? fours[roll(6)]
			: kind < 5  ? sixes[roll(4)]
			: kind == 5 ? texts[roll(5)]
			: kind == 6 ? "10 mail.alice.example."
				    : "ns.sub.alice.example.";
		if (kind == 7 && strcmp(name, "sub") != 0)
			continue;
		n += (size_t)snprintf(out + n, cap - n, "%s %u %s %s\n", name, ttl, type, value);
	}
}

static void what_is_pushed_is_undone(void **state)
{
	static const char *const pairs[] = {PAIRS, LONE6,
					    "192.0.2.10 -, 192.0.2.11 198.51.100.11, 2001:db8::10 2001:db8:1::10, 2001:db8::11 -"};
	const char *given = getenv("SHUNT_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);

	(void)state;
	print_message("SHUNT_TEST_SEED=%llu\n", (unsigned long long)seed);
	dice = seed;
	for (int round = 0; round < 200; round++) {
		static char *bobs[] = {"bob.alice.example"};
		const struct scope bob = {"bob", bobs, 1, NULL, 0}, hers = {"alice", alices, 2, bobs, 1};
		struct scene s;
		struct entry b;
		char before[4000];
		const char *by = pairs[roll(3)];
		bool early = roll(2);

		random_zone(before, sizeof before);
		begin(&s, before);
		entry_init(&b, "bob", APEX);
		if (roll(2))
			run(&s.e, &s.z, by, &hers, &prepare, NULL);
		run(&b, &s.z, by, &bob, &push, NULL);
		run(&s.e, &s.z, by, &hers, &push, NULL);
		assert_int_equal(run(&s.e, &s.z, by, &hers, &push, NULL), 0);
		if (early)
			run(&b, &s.z, by, &bob, roll(2) ? &undo : &home, NULL);
		if (roll(2))
			run(&s.e, &s.z, by, &hers, &finalise, NULL);
		run(&s.e, &s.z, by, &hers, &undo, NULL);
		run(&b, &s.z, by, &bob, &undo, NULL);
		same_zone(&s.z, before);
		entry_compact(&s.e);
		assert_int_equal(s.e.n, 0);
		entry_done(&b);
		end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pushes_and_goes_back),
		cmocka_unit_test(lowers_pushes_and_raises_ttls),
		cmocka_unit_test(goes_home),
		cmocka_unit_test(goes_home_with_its_ttl),
		cmocka_unit_test(goes_home_also_when_asked_twice),
		cmocka_unit_test(restores_what_had_gone),
		cmocka_unit_test(drift_is_refused_and_shown),
		cmocka_unit_test(what_is_not_ours_is_no_drift),
		cmocka_unit_test(what_is_left_stays_left),
		cmocka_unit_test(drift_points_at_its_mark),
		cmocka_unit_test(a_crash_leaves_two_possible_states),
		cmocka_unit_test(guards),
		cmocka_unit_test(scopes),
		cmocka_unit_test(two_accounts_in_one_zone),
		cmocka_unit_test(findings),
		cmocka_unit_test(told_as_json),
		cmocka_unit_test(long_spf),
		cmocka_unit_test(what_is_pushed_is_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
