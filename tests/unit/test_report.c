/* What a customer is shown, word for word, from lines of a trail as they are written. */
#include "control/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY INT64_C(1795651200000) /* 2026-11-26 */

static json_t *trail;

static int setup(void **state)
{
	(void)state;
	trail = json_array();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(trail);
	return 0;
}

/* ms of that day; evidence: JSON or NULL. The hash is the line's number, over and over. */
static void line(int64_t ms, int move, const char *what, const char *evidence)
{
	char hash[65];
	json_int_t id = (json_int_t)json_array_size(trail) + 11;
	json_error_t je;
	json_t *e = evidence ? json_loads(evidence, 0, &je) : json_null();
	if (!e)
		fail_msg("%s: %s", evidence, je.text);
	for (int i = 0; i < 64; i += 2)
		snprintf(hash + i, 3, "%02d", (int)id);
	json_array_append_new(trail, json_pack("{s:I, s:I, s:s, s:s, s:o, s:s, s:o, s:s}", "id", id, "at-ms", (json_int_t)(DAY + ms), "who",
					       "root pid 7 on web42", "account", "alice", "move", move ? json_integer(move) : json_null(),
					       "what", what, "evidence", e, "hash", hash));
}

#define FENCE                                                                                                                              \
	"{\"gate\":\"fenced\",\"reset-old\":2,\"evidence\":{\"held-at\":\"2026-11-26T00:00:02.010Z\",\"fenced-at\":\"2026-11-26T00:00:03." \
	"500Z\","                                                                                                                          \
	"\"opened-at\":null,\"hold-ms\":null,\"parked\":1,\"drained\":12,\"cut\":1,\"refused\":0,\"released\":0,\"gave-up\":0,"            \
	"\"longest-wait-ms\":900,\"median-wait-ms\":0,\"last-byte-old\":\"2026-11-26T00:00:03.499Z\",\"first-byte-new\":null,"             \
	"\"restored\":false}}"
#define RELEASE                                                                                                                           \
	"{\"gate\":\"open\",\"side\":\"transit\",\"first-byte-new\":\"2026-11-26T00:00:09.930Z\",\"evidence\":{"                          \
	"\"held-at\":\"2026-11-26T00:00:02.010Z\",\"fenced-at\":\"2026-11-26T00:00:03.500Z\",\"opened-at\":\"2026-11-26T00:00:09.910Z\"," \
	"\"hold-ms\":7900,\"parked\":5,\"drained\":12,\"cut\":1,\"refused\":1,\"released\":3,\"gave-up\":1,\"longest-wait-ms\":6900,"     \
	"\"median-wait-ms\":1400,\"last-byte-old\":\"2026-11-26T00:00:03.499Z\",\"first-byte-new\":null,\"restored\":false}}"
#define DNS                                                                                                                           \
	"{\"did\":\"published\",\"changed\":2,\"published\":false,\"lagging\":[\"ns2.provider.example lags\"],\"ttl\":60,\"zones\":[" \
	"{\"zone\":\"alice.example\",\"verdict\":\"managed\",\"changes\":2,\"servers\":["                                             \
	"{\"name\":\"ns1.provider.example\",\"address\":\"192.0.2.53\",\"after-ms\":120},"                                            \
	"{\"name\":\"ns2.provider.example\",\"address\":\"2001:db8::53\",\"after-ms\":null,\"trouble\":\"no answer\"}]},"             \
	"{\"zone\":\"other.example\",\"verdict\":\"external\",\"changes\":0,\"servers\":[]}]}"

static void a_move(void)
{
	static const char *const steps[] = {"preparing", "holding",  "draining",  "fenced",  "copying",
					    "sealed",    "switched", "published", "released"};
	static const int at[] = {1, 2000, 2020, 3490, 3510, 9000, 9500, 9600, 9900, 10950};
	static const char *const evidence[] = {"{\"hook\":\"/h/prepare\",\"ms\":1990}",
					       "{\"gate\":\"held\"}",
					       "{\"cut\":1}",
					       FENCE,
					       "{\"hook\":\"/h/copy\",\"ms\":5400}",
					       "{\"nothing\":\"no hook-seal is configured\"}",
					       "{\"side\":\"transit\"}",
					       DNS,
					       RELEASE};
	char what[40];
	line(0, 3, "migrate begins: client -> transit", NULL);
	for (size_t i = 0; i < 9; i++) {
		snprintf(what, sizeof(what), "begin: %s", steps[i]);
		line(at[i], 3, what, NULL);
		if (i == 7)
			line(at[8] - 10, 3, "DNS published", DNS);
		snprintf(what, sizeof(what), "done: %s", steps[i]);
		line(at[i + 1], 3, what, evidence[i]);
	}
	line(10960, 3, "migrate done", NULL);
}

static void same_text(int64_t move, const char *wanted)
{
	json_t *r = report_of(trail, move);
	assert_non_null(r);
	char *text = report_text(r);
	if (strcmp(text, wanted) != 0) {
		size_t i = 0;
		while (text[i] && text[i] == wanted[i])
			i++;
		fail_msg("from \"%.40s\" on it is another:\n%s", text + i, text);
	}
	free(text);
	json_decref(r);
}

static const char done_page[] = "alice, move 3: migrate, done\n"
				"\n"
				"Your account alice was moved from the client server to the transit server. It\n"
				"began at 2026-11-26 00:00:00.000 UTC and was over at 00:00:10.960, after 11.0 s.\n"
				"For 7.9 s new requests had to wait: 5 did, at most 6.9 s, and half of them no\n"
				"longer than 1.4 s.\n"
				"12 requests in flight were finished first, 1 was cut.\n"
				"1 was asked to come back later, 1 left while waiting.\n"
				"2 older connections that passed by the proxy were reset.\n"
				"Last byte of a visitor to the client server: 2026-11-26 00:00:03.499.\n"
				"First byte of a visitor to the transit server: 2026-11-26 00:00:09.930.\n"
				"\n"
				"from (UTC)               step              took  outcome\n"
				"2026-11-26 00:00:00.001  preparing        2.0 s  copied ahead, in service\n"
				"2026-11-26 00:00:02.000  holding          20 ms  new requests wait\n"
				"2026-11-26 00:00:02.020  draining         1.5 s  requests in flight have ended\n"
				"2026-11-26 00:00:03.490  fenced           20 ms  nothing reaches the old server\n"
				"2026-11-26 00:00:03.510  copying          5.5 s  the rest was copied\n"
				"2026-11-26 00:00:09.000  sealed          500 ms  -\n"
				"2026-11-26 00:00:09.500  switched        100 ms  the new server is asked\n"
				"2026-11-26 00:00:09.600  published       300 ms  DNS: see below\n"
				"2026-11-26 00:00:09.900  released         1.1 s  service on the new server\n"
				"\n"
				"DNS at 2026-11-26 00:00:09.890: published (2 record sets, 1 zone), but\n"
				"ns2.provider.example lags\n"
				"  alice.example: 2 record sets changed\n"
				"    ns1.provider.example       192.0.2.53                 after 120 ms\n"
				"    ns2.provider.example       2001:db8::53               no answer\n"
				"  other.example: nothing changed, external\n"
				"DNS at 2026-11-26 00:01:10.000: published, nothing was to be changed\n"
				"\n"
				"Recorded by root pid 7 on web42 in lines 12 to 33 of the trail, whose hashes\n"
				"      12  1212121212121212121212121212121212121212121212121212121212121212\n"
				"      33  3333333333333333333333333333333333333333333333333333333333333333\n"
				"cover each line and all before it.\n";

static void test_a_move(void **state)
{
	(void)state;
	line(-5000, 0, "account added", "{}");
	a_move();
	line(70000, 0, "DNS published", "{\"did\":\"published\",\"changed\":0,\"published\":true,\"zones\":[]}");
	line(80000, 0, "account removed", "{}");
	line(90000, 9, "rollback begins: transit -> client", NULL);
	line(90001, 0, "DNS is owed", "{\"owed\":\"of the next one\"}");
	same_text(3, done_page);
}

static const char undone_page[] = "alice, move 4: migrate, undone\n"
				  "\n"
				  "At 2026-11-26 00:00:00.000 UTC it was begun to move your account alice from the\n"
				  "client server to the transit server. That was not possible, and was undone after\n"
				  "211 ms: the account stayed on the client server. The reason: the proxy is away.\n"
				  "For at most 100 ms new requests had to wait: one did, for 80 ms.\n"
				  "1 request in flight was finished first, 0 were cut.\n"
				  "The proxy was restarted meanwhile: who waited before that is not counted, and\n"
				  "was cut off.\n"
				  "\n"
				  "from (UTC)               step              took  outcome\n"
				  "2026-11-26 00:00:00.000  preparing       100 ms  in service\n"
				  "2026-11-26 00:00:00.100  holding          20 ms  new requests wait\n"
				  "2026-11-26 00:00:00.120  draining         30 ms  FAILED\n"
				  "2026-11-26 00:00:00.151  draining          9 ms  undone: nothing to take back\n"
				  "2026-11-26 00:00:00.160  holding          40 ms  undone: service as before\n"
				  "2026-11-26 00:00:00.201  preparing         9 ms  undone: nothing to take back\n"
				  "\n"
				  "Recorded by root pid 7 on web42 in lines 11 to 24 of the trail, whose hashes\n"
				  "      11  1111111111111111111111111111111111111111111111111111111111111111\n"
				  "      24  2424242424242424242424242424242424242424242424242424242424242424\n"
				  "cover each line and all before it.\n";

static void test_a_move_that_failed(void **state)
{
	(void)state;
	line(0, 4, "migrate begins: client -> transit", NULL);
	line(0, 4, "begin: preparing", NULL);
	line(100, 4, "done: preparing", "{\"nothing\":\"no hook-prepare is configured\"}");
	line(100, 4, "begin: holding", NULL);
	line(120, 4, "done: holding", "{\"gate\":\"held\"}");
	line(120, 4, "begin: draining", NULL);
	line(150, 4, "failed", "{\"error\":\"x\"}");
	line(151, 4, "undo: draining", NULL);
	line(160, 4, "undone: draining", NULL);
	line(160, 4, "undo: holding", NULL);
	line(200, 4, "undone: holding",
	     "{\"gate\":\"open\",\"evidence\":{\"held-at\":\"2026-11-26T00:00:00.101Z\",\"fenced-at\":null,\"opened-at\":null,\"hold-ms\":"
	     "null,"
	     "\"parked\":1,\"drained\":1,\"cut\":0,\"refused\":0,\"gave-up\":0,\"released\":1,\"longest-wait-ms\":80,\"median-wait-ms\":80,"
	     "\"restored\":true,\"last-byte-old\":null,\"first-byte-new\":null}}");
	line(201, 4, "undo: preparing", NULL);
	line(210, 4, "undone: preparing", NULL);
	line(211, 4, "migrate undone", "{\"reason\":\"the proxy is away\"}");
	same_text(4, undone_page);
}

static void assert_member(const json_t *o, const char *key, const char *wanted)
{
	char *text = json_dumps(json_object_get(o, key), JSON_ENCODE_ANY);
	assert_string_equal(text ? text : "(none)", wanted);
	free(text);
}

static void test_states(void **state)
{
	(void)state;
	json_t *r;
	line(0, 5, "rollback begins: transit -> client", NULL);
	line(1, 5, "begin: preparing", NULL);
	r = report_of(trail, 5);
	assert_member(r, "state", "\"moving\"");
	assert_member(r, "kind", "\"rollback\"");
	assert_member(r, "visitors", "null");
	assert_member(r, "ended", "null");
	assert_member(json_array_get(json_object_get(r, "steps"), 0), "result", "\"open\"");
	json_decref(r);
	line(2, 5, "rollback stuck", "{\"reason\":\"undoing sealed: no\"}");
	r = report_of(trail, 5);
	assert_member(r, "state", "\"stuck\"");
	assert_member(r, "reason", "\"undoing sealed: no\"");
	json_decref(r);
	line(3, 5, "resumed", NULL);
	r = report_of(trail, 5);
	assert_member(r, "state", "\"moving\"");
	json_decref(r);
	line(9, 5, "rollback undone", "{\"reason\":\"interrupted\"}");
	r = report_of(trail, 5);
	assert_member(r, "state", "\"undone\"");
	assert_member(r, "ms", "9");
	json_decref(r);
	assert_null(report_of(trail, 6));
}

static void test_newest_first(void **state)
{
	(void)state;
	line(0, 0, "account added", NULL);
	line(0, 5, "migrate begins: client -> transit", NULL);
	line(1, 5, "migrate done", NULL);
	line(2, 8, "rollback begins: transit -> client", NULL);
	json_t *moves = report_moves(trail);
	assert_int_equal(json_array_size(moves), 2);
	assert_int_equal(json_integer_value(json_array_get(moves, 0)), 8);
	assert_int_equal(json_integer_value(json_array_get(moves, 1)), 5);
	json_decref(moves);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_move, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_move_that_failed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_states, setup, teardown),
		cmocka_unit_test_setup_teardown(test_newest_first, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
