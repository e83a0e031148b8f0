/* What counts as an answer, of a web server and of the others; and which port speaks what. */
#include "proxy/probe_door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CAP 65536

static const struct {
	const char *bytes;
	int open, closed; /* the verdict while more may come, and at the end */
	const char *said; /* at the end */
} answers[] = {
	{"", 0, -1, "closed without an answer"},
	{"HTTP/1.1 200 OK\r\nContent-", 0, -1, "the answer ended within its head"},
	{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1, 1, "200"},
	{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", 0, -1, "200, but the answer was cut"},
	{"HTTP/1.1 204 No Content\r\n\r\n", 1, 1, "204"},
	{"HTTP/1.1 301 Moved\r\nLocation: https://a/\r\n\r\n", 0, 1, "301"},
	{"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 1, 1, "404"},
	{"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n", -1, -1, "421"},
	{"HTTP/1.1 500 No\r\n\r\n", -1, -1, "500"},
	{"HTTP/1.1 503 Wait\r\nContent-Length: 9\r\n\r\n", -1, -1, "503"},
	{"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", 0, -1, "the answer ended within its head"},
	{"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1, 1, "200"},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 0, 1, "200"},
	{"HTTP/1.0 200 OK\r\n\r\nbody", 0, 1, "200"},
	{"SSH-2.0-OpenSSH_9.2\r\n", -1, -1, NULL},
	{"<html>hello</html>", -1, -1, NULL},
};

static void judged(void **state)
{
	char said[PROBE_SAID_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		size_t len = strlen(answers[i].bytes);

		if (door_judge(DOOR_HTTP, answers[i].bytes, len, CAP, false, said) != answers[i].open)
			fail_msg("row %zu while it is open: %s", i, said);
		if (door_judge(DOOR_HTTP, answers[i].bytes, len, CAP, true, said) != answers[i].closed)
			fail_msg("row %zu at its end: %s", i, said);
		if (answers[i].said)
			assert_string_equal(said, answers[i].said);
	}
}

/* Whatever is cut off, nothing is taken for an answer that is not one. */
static void cut(void **state)
{
	static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nServer: x\r\n\r\nbody";
	char said[PROBE_SAID_MAX];

	(void)state;
	for (size_t len = 0; len < sizeof whole - 1; len++) {
		assert_int_equal(door_judge(DOOR_HTTP, whole, len, CAP, false, said), 0);
		assert_int_equal(door_judge(DOOR_HTTP, whole, len, CAP, true, said), -1);
	}
	assert_int_equal(door_judge(DOOR_HTTP, whole, sizeof whole - 1, CAP, false, said), 1);
}

/* More than is read: enough is known. */
static void large(void **state)
{
	char said[PROBE_SAID_MAX], *big = malloc(CAP);
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";

	(void)state;
	memset(big, 'x', CAP);
	memcpy(big, head, sizeof head - 1);
	assert_int_equal(door_judge(DOOR_HTTP, big, CAP - 1, CAP, false, said), 0);
	assert_int_equal(door_judge(DOOR_HTTP, big, CAP, CAP, false, said), 1);
	free(big);
}

static const struct {
	enum protocol protocol;
	uint16_t port;
	bool tls;
	enum door door;
} ports[] = {
	{PROTOCOL_HTTP, 25, false, DOOR_HTTP}, /* what the configuration says counts more than the port */
	{PROTOCOL_TLS, 443, true, DOOR_HTTP},  {PROTOCOL_TLS, 993, true, DOOR_IMAP},    {PROTOCOL_TLS, 143, true, DOOR_NONE},
	{PROTOCOL_TLS, 8300, true, DOOR_NONE}, {PROTOCOL_TCP, 993, true, DOOR_IMAP},    {PROTOCOL_TCP, 143, false, DOOR_IMAP},
	{PROTOCOL_TCP, 25, false, DOOR_SMTP},  {PROTOCOL_TCP, 3306, false, DOOR_MYSQL}, {PROTOCOL_TCP, 5432, false, DOOR_POSTGRESQL},
	{PROTOCOL_TCP, 80, false, DOOR_NONE},  {PROTOCOL_TCP, 8300, false, DOOR_NONE},
};

static void by_port(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
		bool tls = !ports[i].tls;

		assert_int_equal(door_of(ports[i].protocol, ports[i].port, &tls), ports[i].door);
		assert_int_equal(tls, ports[i].tls);
	}
}

#define BYTES(s) s, sizeof(s) - 1
static const struct {
	enum door door;
	const char *bytes;
	size_t len;
	int verdict; /* of the whole, while more may come */
	const char *said;
} greetings[] = {
	{DOOR_SMTP, BYTES("220 mx.example ESMTP\r\n"), 1, "220 mx.example ESMTP"},
	{DOOR_SMTP, BYTES("220-wait\r\n220 mx\r\n"), 1, "220-wait"},
	{DOOR_SMTP, BYTES("554 5.7.1 go away\r\n"), -1, "554 5.7.1 go away"},
	{DOOR_SMTP, BYTES("421 4.3.2 closing\n"), -1, "421 4.3.2 closing"},
	{DOOR_FTP, BYTES("220 ready\r\n"), 1, "220 ready"},
	{DOOR_FTP, BYTES("530 too many\r\n"), -1, "530 too many"},
	{DOOR_POP3, BYTES("+OK <1@x>\r\n"), 1, "+OK <1@x>"},
	{DOOR_POP3, BYTES("-ERR [SYS/TEMP] no\r\n"), -1, "-ERR [SYS/TEMP] no"},
	{DOOR_IMAP, BYTES("* OK [CAPABILITY IMAP4rev1] hi\r\n"), 1, "* OK [CAPABILITY IMAP4rev1] hi"},
	{DOOR_IMAP, BYTES("* PREAUTH\r\n"), 1, "* PREAUTH"},
	{DOOR_IMAP, BYTES("* BYE [UNAVAILABLE]\r\n"), -1, "* BYE [UNAVAILABLE]"},
	{DOOR_IMAP, BYTES("* O\x1b[2J\r\n"), -1, "* O"},
	{DOOR_SIEVE, BYTES("\"IMPLEMENTATION\" \"x\"\r\n"), 1, "\"IMPLEMENTATION\" \"x\""},
	{DOOR_SSH, BYTES("hello\nSSH-2.0-OpenSSH_9\r\n"), 1, "SSH-2.0-OpenSSH_9"},
	{DOOR_SSH, BYTES("hello\n"), 0, NULL},
	{DOOR_MYSQL,
	 BYTES("\x40\0\0\0\x0a"
	       "5.5.5-10.11-MariaDB\0more"),
	 1, "5.5.5-10.11-MariaDB"},
	{DOOR_MYSQL,
	 BYTES("\x0b\0\0\0\xff\x69\x04"
	       "blocked!"),
	 -1, "error 1129: blocked!"},
	{DOOR_MYSQL, BYTES("220 mx\r\n"), -1, "no greeting of mysql"},
	{DOOR_POSTGRESQL, BYTES("S"), 1, "answers, with TLS"},
	{DOOR_POSTGRESQL, BYTES("N"), 1, "answers, without TLS"},
	{DOOR_POSTGRESQL, BYTES("E\0\0"), -1, "no answer of postgresql"},
	{DOOR_AMQP, BYTES("\1\0\0"), 1, "answers"},
	{DOOR_AMQP, BYTES("HTTP/1.1 400"), -1, "no answer of amqp"},
};

static void greeted(void **state)
{
	char said[PROBE_SAID_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
		for (size_t len = 0; len <= greetings[i].len; len++) { /* cut anywhere it is at most not yet one */
			int rc = door_judge(greetings[i].door, greetings[i].bytes, len, CAP, false, said);

			if (rc > greetings[i].verdict && rc != 0)
				fail_msg("row %zu, %zu bytes: %d, %s", i, len, rc, said);
			if (len < greetings[i].len && greetings[i].verdict == 1 && rc < 0)
				fail_msg("row %zu, %zu bytes: refused, %s", i, len, said);
		}
		assert_int_equal(door_judge(greetings[i].door, greetings[i].bytes, greetings[i].len, CAP, false, said),
				 greetings[i].verdict);
		if (greetings[i].said)
			assert_string_equal(said, greetings[i].said);
		assert_int_equal(door_judge(greetings[i].door, "", 0, CAP, true, said), -1);
		assert_int_equal(door_judge(greetings[i].door, "", 0, CAP, false, said), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judged),  cmocka_unit_test(cut),     cmocka_unit_test(large),
		cmocka_unit_test(by_port), cmocka_unit_test(greeted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
