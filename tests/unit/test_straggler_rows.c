/* From what the proxy counts to what somebody is to change. */
#include "control/stragglers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SERVER(pairs) "server \"web42\" {\n" pairs "}\nproxy { control = \"unix:/run/p\"\n table = \"/run/t\"\n }\n"
#define V4            "pair { client = \"192.0.2.10\" transit = \"198.51.100.10\" }\n"
#define V4_TWO        "pair { client = \"192.0.2.11\" transit = \"198.51.100.11\" }\n"
#define V6            "pair { client = \"2001:db8::10\" transit = \"2001:db8:1::10\" }\n"

static struct conf *conf_of(const char *text)
{
	struct conf *c;
	struct err err = {0};

	if (conf_parse(&c, "test", text, &err) < 0)
		fail_msg("%s", err.text);
	return c;
}

/* "A 192.0.2.10>198.51.100.10 AAAA? .." */
static void records_are(const char *conf, const char *row, const char *wanted)
{
	struct conf *c = conf_of(conf);
	json_t *o = json_loads(row, 0, NULL), *records = stragglers_records(c, o), *r;
	char text[512] = "";
	size_t i;

	json_array_foreach (records, i, r) {
		const char *to = json_string_value(json_object_get(r, "to"));

		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s%s%s %s>%s", i ? " " : "",
			 json_object_get(r, "name") ? "" : "nameless ", json_string_value(json_object_get(r, "type")),
			 json_is_true(json_object_get(r, "seen")) ? "" : "?", json_string_value(json_object_get(r, "from")), to ? to : "?");
	}
	assert_string_equal(text, wanted);
	json_decref(records);
	json_decref(o);
	conf_free(c);
}

#define ROW(kind, addresses) "{\"name\":\"n\",\"kinds\":[\"" kind "\"],\"addresses\":[" addresses "]}"

static void records(void **state)
{
	(void)state;
	records_are(SERVER(V4 V6), ROW("tls", "\"192.0.2.10\",\"2001:db8::10\""),
		    "A 192.0.2.10>198.51.100.10 AAAA 2001:db8::10>2001:db8:1::10");
	records_are(SERVER(V4 V6), ROW("http", "\"192.0.2.10\""), "A 192.0.2.10>198.51.100.10 AAAA? 2001:db8::10>2001:db8:1::10");
	records_are(SERVER(V4 V4_TWO), ROW("http", "\"192.0.2.11\""), "A 192.0.2.11>198.51.100.11");
	/* which of two addresses the other family has is not known */
	records_are(SERVER(V4 V4_TWO V6), ROW("http", "\"2001:db8::10\""), "AAAA 2001:db8::10>2001:db8:1::10");
	/* behind a translator the visitor's address is none of the pairs' */
	records_are(SERVER(V4), ROW("http", "\"10.0.0.1\""), "A 10.0.0.1>?");
	records_are(SERVER(V4 V6), ROW("tcp", "\"192.0.2.10\""), "nameless A 192.0.2.10>198.51.100.10");
	records_are(SERVER(V4), ROW("tls", ""), "A? 192.0.2.10>198.51.100.10");
}

static void one_row_for_a_name(void **state)
{
	json_t *names = json_loads("[{\"account\":\"alice\",\"name\":\"a\",\"kind\":\"tls\",\"count\":5,\"share\":50.0,\"quiet-ms\":900,"
				   "\"last-seen\":\"2026-01-01T00:00:05.000Z\",\"first-seen\":\"2026-01-01T00:00:03.000Z\",\"addresses\":["
				   "\"192.0.2.10\"]},"
				   "{\"account\":\"alice\",\"name\":\"c\",\"kind\":\"tls\",\"count\":6,\"share\":60.0},"
				   "{\"account\":\"bob\",\"name\":\"a\",\"kind\":\"tls\",\"count\":4,\"share\":100.0},"
				   "{\"account\":\"alice\",\"name\":\"a\",\"kind\":\"http\",\"count\":2,\"share\":20.5,\"quiet-ms\":100,"
				   "\"last-seen\":\"2026-01-01T00:00:06.000Z\",\"first-seen\":\"2026-01-01T00:00:04.000Z\","
				   "\"addresses\":[\"192.0.2.10\",\"2001:db8::10\"]}]",
				   0, NULL),
	       *rows, *row, *kinds, *addresses;

	(void)state;
	assert_non_null(names);
	rows = stragglers_rows(names);
	assert_int_equal(json_array_size(rows), 3);
	row = json_array_get(rows, 0);
	kinds = json_object_get(row, "kinds");
	addresses = json_object_get(row, "addresses");
	assert_string_equal(json_string_value(json_object_get(row, "name")), "a");
	assert_string_equal(json_string_value(json_object_get(row, "account")), "alice");
	assert_int_equal(json_integer_value(json_object_get(row, "count")), 7);
	assert_true(json_real_value(json_object_get(row, "share")) == 70.5);
	assert_int_equal(json_integer_value(json_object_get(row, "quiet-ms")), 100);
	assert_string_equal(json_string_value(json_object_get(row, "last-seen")), "2026-01-01T00:00:06.000Z");
	assert_string_equal(json_string_value(json_object_get(row, "first-seen")), "2026-01-01T00:00:03.000Z");
	assert_string_equal(json_string_value(json_object_get(row, "dns")), "unknown");
	assert_int_equal(json_array_size(kinds), 2);
	assert_int_equal(json_array_size(addresses), 2);
	assert_null(json_object_get(row, "kind"));
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 1), "name")), "c");
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 2), "account")), "bob");
	json_decref(rows);
	json_decref(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),
		cmocka_unit_test(one_row_for_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
