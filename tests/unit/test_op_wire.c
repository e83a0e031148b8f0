/* The ops announce, duplicate and reset, as a plan would apply them. */
#include "netctl/op.h"

#include "lib/addr.h"
#include "tests/unit/netns.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct world world;

static json_t *json(const char *text)
{
	json_error_t e;
	json_t *op = json_loads(text, 0, &e);

	if (!op)
		fail_msg("%s: %s", text, e.text);
	return op;
}

/* Checks, undoes (to nothing) and applies, as a plan does. Returns apply's answer. */
static int apply(json_t *op, struct err *err)
{
	json_t *undo = json_array();

	if (op_check(op, err) != 0 || op_undo(&world, op, undo, err) != 0)
		fail_msg("%s", err->text);
	assert_int_equal(json_array_size(undo), 0);
	json_decref(undo);
	int rc = op_apply(&world, op, err);
	if (rc == 0)
		assert_int_equal(op_verify(&world, op, err), 0);
	return rc;
}

static int apply_text(const char *text, struct err *err)
{
	json_t *op = json(text);
	int rc = apply(op, err);

	json_decref(op);
	return rc;
}

static void bad_forms(void **state)
{
	static const struct {
		const char *op, *text; /* with ' for ", to be legible */
	} rows[] = {
		{"{'op':'announce','dev':'here'}", "op 'announce': found no list 'addresses', or an empty one"},
		{"{'op':'announce','dev':'here','addresses':[]}", "op 'announce': found no list 'addresses', or an empty one"},
		{"{'op':'announce','addresses':['192.0.2.50']}", "op 'announce': found no text 'dev'"},
		{"{'op':'announce','dev':'here','addresses':['192.0.2.50','x']}",
		 "op 'announce': found 'x' in 'addresses', expected an IP address"},
		{"{'op':'announce','dev':'here','addresses':['192.0.2.50/32']}",
		 "op 'announce': found '192.0.2.50/32' in 'addresses', expected an IP address"},
		{"{'op':'announce','dev':'here','addresses':['::']}", "op 'announce': found '::' in 'addresses', expected an IP address"},
		{"{'op':'announce','dev':'here','addresses':[7]}", "op 'announce': found '' in 'addresses', expected an IP address"},
		{"{'op':'duplicate','dev':'here','addresses':['192.0.2.50'],'allow':'x'}",
		 "op 'duplicate': found an 'allow' that is no list"},
		{"{'op':'duplicate','dev':'here','addresses':['192.0.2.50'],'allow':['x']}",
		 "op 'duplicate': found 'x' in 'allow', expected a MAC address"},
		{"{'op':'reset','addresses':['192.0.2.50']}", "op 'reset': found no list 'ports', or an empty one"},
		{"{'op':'reset','addresses':['192.0.2.50'],'ports':[0]}", "op 'reset': found a port that is not a number from 1 to 65535"},
		{"{'op':'reset','addresses':['192.0.2.50'],'ports':[80,65536]}",
		 "op 'reset': found a port that is not a number from 1 to 65535"},
		{"{'op':'reset','addresses':['192.0.2.50'],'ports':['80']}",
		 "op 'reset': found a port that is not a number from 1 to 65535"},
		{"{'op':'reset','addresses':['192.0.2.50'],'ports':[80],'mark':4294967296}",
		 "op 'reset': found a 'mark' that is not a number of 32 bits"},
		{"{'op':'reset','addresses':['192.0.2.50'],'ports':[80],'mark':'1'}",
		 "op 'reset': found a 'mark' that is not a number of 32 bits"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err err = {0};
		char text[512];
		snprintf(text, sizeof text, "%s", rows[i].op);
		for (char *p = text; (p = strchr(p, '\'')) != NULL;)
			*p = '"';
		json_t *op = json(text);
		assert_int_equal(op_check(op, &err), -EINVAL);
		for (char *p = err.text; (p = strchr(p, '"')) != NULL;)
			*p = '\'';
		assert_string_equal(err.text, rows[i].text);
		json_decref(op);
	}
}

static void announced(void **state)
{
	struct err err;

	(void)state;
	netns_run(THERE, "ip neigh replace 192.0.2.50 lladdr 02:00:00:00:00:99 dev there nud reachable; "
			 "ip neigh replace 2001:db8::50 lladdr 02:00:00:00:00:99 dev there nud reachable");
	assert_int_equal(apply_text("{\"op\":\"announce\",\"addresses\":[\"192.0.2.50\",\"2001:db8::50\"],\"dev\":\"here\"}", &err), 0);
	for (int tries = 0; !strstr(netns_read(THERE, "ip neigh show 192.0.2.50"), HERE_MAC);)
		netns_wait(&tries, "IPv4");
	for (int tries = 0; !strstr(netns_read(THERE, "ip neigh show 2001:db8::50"), HERE_MAC);)
		netns_wait(&tries, "IPv6");
	assert_int_equal(apply_text("{\"op\":\"announce\",\"addresses\":[\"192.0.2.50\"],\"dev\":\"nosuch\"}", &err), -ENODEV);
	assert_string_equal(err.text, "arping -A -c 1 -I nosuch 192.0.2.50: there is no network interface \"nosuch\"");
}

static void duplicates(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(apply_text("{\"op\":\"duplicate\",\"addresses\":[\"192.0.2.77\",\"2001:db8::77\"],\"dev\":\"here\"}", &err), 0);
	assert_int_equal(apply_text("{\"op\":\"duplicate\",\"addresses\":[\"192.0.2.77\",\"192.0.2.20\",\"2001:db8::20\"],\"dev\":\"here\","
				    "\"allow\":[\"02:00:00:00:00:21\"]}",
				    &err),
			 -EADDRINUSE);
	assert_string_equal(err.text, "arping -D -c 3 -I here 192.0.2.77; arping -D -c 3 -I here 192.0.2.20; ndisc6 -1 2001:db8::20 here: "
				      "on here 192.0.2.20 is in use by " THERE_MAC ", 2001:db8::20 is in use by " THERE_MAC);
	assert_int_equal(apply_text("{\"op\":\"duplicate\",\"addresses\":[\"192.0.2.20\",\"2001:db8::20\"],\"dev\":\"here\","
				    "\"allow\":[\"02:00:00:00:00:21\",\"" THERE_MAC "\"]}",
				    &err),
			 0);
}

static int visit(const char *to)
{
	struct addr a;

	assert_true(addr_parse_port(&a, to));
	netns_enter(THERE);
	int fd = socket(addr_family(&a), SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &a.sa, addr_len(&a)), 0);
	netns_enter(HERE);
	return fd;
}

static void reset(void **state)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	struct err err;
	char c;

	(void)state;
	json_t *op = json("{\"op\":\"reset\",\"addresses\":[\"192.0.2.10\",\"2001:db8::10\"],\"ports\":[443,80],\"mark\":16777216}");
	assert_int_equal(apply(op, &err), 0);
	assert_int_equal(json_integer_value(json_object_get(op, "reset")), 0);
	int l = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l, (struct sockaddr *)&any, sizeof any), 0);
	assert_int_equal(listen(l, 8), 0);
	/* the proxy's own, by its mark */
	struct addr service;
	uint32_t mark = 16777216;
	int marked = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(addr_parse_port(&service, "192.0.2.10:80"));
	assert_int_equal(setsockopt(marked, SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
	assert_int_equal(connect(marked, &service.sa, addr_len(&service)), 0);
	int four = visit("192.0.2.10:80"), six = visit("[2001:db8::10]:80");
	assert_int_equal(apply(op, &err), 0);
	assert_int_equal(json_integer_value(json_object_get(op, "reset")), 2);
	assert_int_equal(recv(four, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(recv(six, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(recv(marked, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	close(four);
	close(six);
	close(marked);
	close(l);
	json_decref(op);
}

static void as_commands(void **state)
{
	static const struct {
		const char *op, *text;
	} rows[] = {
		{"{\"op\":\"announce\",\"addresses\":[\"192.0.2.50\",\"2001:db8::50\"],\"dev\":\"eth0\"}",
		 "arping -A -c 1 -I eth0 192.0.2.50; ndsend 2001:db8::50 eth0"},
		{"{\"op\":\"reset\",\"addresses\":[\"192.0.2.10\",\"2001:db8::10\"],\"ports\":[80,443],\"mark\":16777216}",
		 "ss -K -t 'not fwmark = 0x1000000/0x1000000 and ( sport = :80 or sport = :443 ) and ( src 192.0.2.10 or src "
		 "[2001:db8::10] "
		 ")'"},
		{"{\"op\":\"reset\",\"addresses\":[\"192.0.2.10\"],\"ports\":[80]}", "ss -K -t '( sport = :80 ) and ( src 192.0.2.10 )'"},
	};
	char text[OP_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *op = json(rows[i].op);
		assert_string_equal(op_text(op, text), rows[i].text);
		json_decref(op);
	}
	/* more than fits says so */
	json_t *many = json("{\"op\":\"announce\",\"dev\":\"eth0\"}"), *list = json_array();
	for (int i = 0; i < 100; i++)
		json_array_append_new(list, json_string("192.0.2.50"));
	json_object_set_new(many, "addresses", list);
	assert_int_equal(strlen(op_text(many, text)), OP_TEXT_MAX - 1);
	assert_string_equal(text + OP_TEXT_MAX - 4, "...");
	json_decref(many);
	/* ss takes what we print */
	json_t *reset_op = json(rows[1].op);
	const char *command = op_text(reset_op, text);
	assert_int_equal(strncmp(command, "ss -K -t ", 9), 0);
	netns_run(HERE, "ss -t %s", command + 9);
	json_decref(reset_op);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_forms), cmocka_unit_test(announced),   cmocka_unit_test(duplicates),
		cmocka_unit_test(reset),     cmocka_unit_test(as_commands),
	};
	return cmocka_run_group_tests(tests, netns_setup, netns_teardown);
}
