#include "control/expo.h"
#include "control/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct text {
	struct expo e;
	char *text;
	size_t len;
};

static void open_text(struct text *t)
{
	t->e.to = open_memstream(&t->text, &t->len);
	assert_non_null(t->e.to);
}

static void expect(struct text *t, const char *want)
{
	fclose(t->e.to);
	assert_string_equal(t->text, want);
	free(t->text);
}

static void test_families(void **state)
{
	struct text t = {0};
	(void)state;
	open_text(&t);
	expo_family(&t.e, "shunt_none", EXPO_GAUGE, "Nothing.");
	expo_family(&t.e, "shunt_a_total", EXPO_COUNTER, "Of a\\b,\nin two lines.");
	expo_sample(&t.e, EXPO_LABELS({"side", "client"}), 1);
	expo_sample(&t.e, EXPO_LABELS({"side", "transit"}, {"x", NULL}), 0);
	expo_one(&t.e, "shunt_b_seconds", EXPO_GAUGE, "B.", 0.25);
	expect(&t, "# HELP shunt_a_total Of a\\\\b,\\nin two lines.\n# TYPE shunt_a_total counter\n"
		   "shunt_a_total{side=\"client\"} 1\nshunt_a_total{side=\"transit\",x=\"\"} 0\n"
		   "# HELP shunt_b_seconds B.\n# TYPE shunt_b_seconds gauge\nshunt_b_seconds 0.25\n");
}

static void test_label_values(void **state)
{
	static const struct {
		const char *value, *written;
	} cases[] = {
		{"a\"b\\c\nd", "a\\\"b\\\\c\\nd"},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"x\xff\xc3", "x\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xc3(", "\xef\xbf\xbd("},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct text t = {0};
		char want[200];
		open_text(&t);
		expo_family(&t.e, "shunt_a", EXPO_GAUGE, "A.");
		expo_sample(&t.e, EXPO_LABELS({"v", cases[i].value}), 1);
		snprintf(want, sizeof(want), "# HELP shunt_a A.\n# TYPE shunt_a gauge\nshunt_a{v=\"%s\"} 1\n", cases[i].written);
		expect(&t, want);
	}
}

static void test_numbers(void **state)
{
	static const struct {
		double value;
		const char *written;
	} cases[] = {{0, "0"},
		     {-3, "-3"},
		     {1764100000.123, "1764100000.123"},
		     {9007199254740991.0, "9.00719925474099e+15"},
		     {4611686018427387904.0, "4.61168601842739e+18"},
		     {0.1, "0.1"},
		     {1e-9, "1e-09"},
		     {INFINITY, "+Inf"},
		     {-INFINITY, "-Inf"},
		     {NAN, "NaN"}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct text t = {0};
		open_text(&t);
		expo_one(&t.e, "shunt_a", EXPO_GAUGE, "A.", cases[i].value);
		fclose(t.e.to);
		const char *number = strrchr(t.text, ' ') + 1;
		if (!isnan(cases[i].value))
			assert_true(strtod(number, NULL) == cases[i].value); /* nothing is lost */
		if (fabs(cases[i].value) < 9e15 || isinf(cases[i].value) || isnan(cases[i].value)) {
			t.text[strlen(t.text) - 1] = '\0';
			assert_string_equal(number, cases[i].written);
		}
		free(t.text);
	}
}

static void test_histogram(void **state)
{
	static const double bounds[] = {0.5, 1, 60};
	struct expo_histogram h = {.bounds = bounds, .n = 3};
	struct text t = {0};
	(void)state;
	open_text(&t);
	expo_observe(&h, 0.5); /* a bound is included */
	expo_observe(&h, 0.75);
	expo_observe(&h, 60.25);
	expo_family(&t.e, "shunt_a_seconds", EXPO_HISTOGRAM, "A.");
	expo_histogram(&t.e, EXPO_LABELS({"kind", "x"}), &h);
	expo_histogram(&t.e, NULL, &h);
	expect(&t, "# HELP shunt_a_seconds A.\n# TYPE shunt_a_seconds histogram\n"
		   "shunt_a_seconds_bucket{kind=\"x\",le=\"0.5\"} 1\nshunt_a_seconds_bucket{kind=\"x\",le=\"1\"} 2\n"
		   "shunt_a_seconds_bucket{kind=\"x\",le=\"60\"} 2\nshunt_a_seconds_bucket{kind=\"x\",le=\"+Inf\"} 3\n"
		   "shunt_a_seconds_sum{kind=\"x\"} 61.5\nshunt_a_seconds_count{kind=\"x\"} 3\n"
		   "shunt_a_seconds_bucket{le=\"0.5\"} 1\nshunt_a_seconds_bucket{le=\"1\"} 2\nshunt_a_seconds_bucket{le=\"60\"} 2\n"
		   "shunt_a_seconds_bucket{le=\"+Inf\"} 3\nshunt_a_seconds_sum 61.5\nshunt_a_seconds_count 3\n");
}

static void test_times(void **state)
{
	(void)state;
	assert_true(metrics_time("1970-01-02T00:00:00Z") == 86400);
	assert_true(metrics_time("1970-01-01T00:00:01.500Z") == 1.5);
	assert_true(isnan(metrics_time("yesterday")));
	assert_true(isnan(metrics_time(NULL)));
}

/* What netctl and dnsupdate answer, as text; hostile names and answers that lack what is asked for included. */
static void test_daemons(void **state)
{
	struct metrics_answers m = {
		.netctl = {json_pack("{s:[{s:s,s:s,s:i,s:[s,s]},{s:s,s:s,s:s,s:[]}],s:[{}],s:i}", "plans", "plan", "intercept", "state",
				     "pending", "reverts-in", 30, "drift", "a", "b", "plan", "x\"y", "state", "stuck", "error", "no",
				     "drift", "ours", "past-the-proxy", 4),
			   json_object()},
		.dns = json_pack("{s:[{s:s,s:s,s:i,s:b,s:s,s:s},{s:s,s:n,s:i}]}", "entries", "state", "pushed", "since",
				 "2026-11-26T00:00:00Z", "records", 3, "busy", 1, "lagging", "ns2 lags", "clean-at", "2026-11-26T01:00:00Z",
				 "state", "prepared", "lagging", "records", 2),
	};
	struct text t = {0};
	static const char *const wanted[] = {
		"\nshunt_netctl_plan{side=\"client\",plan=\"intercept\",state=\"pending\"} 1\n",
		"\nshunt_netctl_plan{side=\"client\",plan=\"x\\\"y\",state=\"stuck\"} 1\n",
		"\nshunt_netctl_plan_drift{side=\"client\",plan=\"intercept\"} 2\n",
		"\nshunt_netctl_plan_error{side=\"client\",plan=\"x\\\"y\"} 1\n",
		"\nshunt_netctl_plan_error{side=\"client\",plan=\"intercept\"} 0\n",
		"\nshunt_netctl_plan_revert_timestamp_seconds{side=\"client\",plan=\"intercept\"} ",
		"\nshunt_netctl_objects{side=\"client\"} 1\n",
		"\nshunt_netctl_objects{side=\"transit\"} 0\n",
		"\nshunt_netctl_connections_past_proxy{side=\"client\"} 4\n",
		"\nshunt_dnsupdate_zones{state=\"pushed\"} 1\n",
		"\nshunt_dnsupdate_zones{state=\"undone\"} 0\n",
		"\nshunt_dnsupdate_record_sets 5\n",
		"\nshunt_dnsupdate_lagging_zones 1\n",
		"\nshunt_dnsupdate_busy_zones 1\n",
		"\nshunt_dnsupdate_clean_timestamp_seconds 1795654800\n",
		"\nshunt_dnsupdate_lagging_since_timestamp_seconds 1795651200\n",
	};
	(void)state;
	open_text(&t);
	metrics_netctl(NULL, &t.e, &m);
	metrics_dns(NULL, &t.e, &m);
	fclose(t.e.to);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		if (!strstr(t.text, wanted[i]))
			fail_msg("no %s in\n%s", wanted[i], t.text);
	}
	free(t.text);
	metrics_answers_done(&m);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families),  cmocka_unit_test(test_label_values), cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_histogram), cmocka_unit_test(test_times),        cmocka_unit_test(test_daemons),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
