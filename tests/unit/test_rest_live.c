/* The alwaysdata back end and http against a server that does wrong on demand (tests/e2e/tools/alwaysdata.py). */
#include "dnsupdate/backend.h"
#include "dnsupdate/wire.h"
#include "lib/clock.h"
#include "tests/unit/zonetext.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY  "s3cret-k3y account=alice"
#define WAIT 60 /* seconds that anything may take */

extern char **environ;

struct world {
	struct event_base *base;
	char dir[64], key[96], data[96], url[64];
	pid_t server;
	int port;
	struct conf_zone_server conf;
	struct backend *b;
	/* what the last call said */
	bool told;
	enum outcome outcome;
	char zone[RR_NAME_MAX];
	struct zone content;
	struct err err;
};

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* ---- the server ---- */

static void start_server(struct world *w)
{
	const char *top = getenv("srcdir");
	char tool[512], line[64] = "", *argv[] = {"python3", tool, "--key", KEY, "--data", w->data, NULL};
	posix_spawn_file_actions_t files;
	int out[2];
	FILE *f;

	snprintf(tool, sizeof tool, "%s/tests/e2e/tools/alwaysdata.py", top ? top : ".");
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, out[1], 1);
	assert_int_equal(posix_spawnp(&w->server, "python3", &files, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&files);
	close(out[1]);
	f = fdopen(out[0], "r");
	assert_non_null(fgets(line, sizeof line, f));
	fclose(f);
	assert_int_equal(sscanf(line, "port %d", &w->port), 1);
}

static void stop_server(struct world *w)
{
	if (w->server <= 0)
		return;
	kill(w->server, SIGKILL);
	waitpid(w->server, NULL, 0);
	w->server = 0;
}

static const char data[] =
	"{\"domains\": [{\"id\": 3, \"name\": \"alice.example\"}, {\"id\": 4, \"name\": \"bob.example\"}], \"records\": ["
	"{\"domain\": 3, \"type\": \"A\", \"name\": \"\", \"value\": \"192.0.2.10\", \"is_user_defined\": false},"
	"{\"domain\": 3, \"type\": \"A\", \"name\": \"www\", \"value\": \"192.0.2.10\", \"annotation\": \"mine\"},"
	"{\"domain\": 3, \"type\": \"AAAA\", \"name\": \"www\", \"value\": \"2001:db8::10\", \"ttl\": 600},"
	"{\"domain\": 3, \"type\": \"TXT\", \"name\": \"\", \"value\": \"v=spf1 ip4:192.0.2.10 -all\"},"
	"{\"domain\": 4, \"type\": \"A\", \"name\": \"www\", \"value\": \"192.0.2.10\"}]}";

/* What only a test asks of it; the answer's body, until the next. */
static const char *ask(struct world *w, const char *path, const char *body)
{
	static char out[65536];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = 0;
	ssize_t got;

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	dprintf(fd, "%s /_test/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", *body ? "POST" : "GET", path,
		strlen(body), body);
	while (n + 1 < sizeof out && (got = read(fd, out + n, sizeof out - 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	out[n] = '\0';
	assert_non_null(strstr(out, " 200 "));
	return out;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* ---- the world ---- */

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct err err = {0};

	strcpy(w->dir, "/tmp/test_rest.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->key, sizeof w->key, "%s/key", w->dir);
	snprintf(w->data, sizeof w->data, "%s/data", w->dir);
	write_file(w->key, KEY "\n");
	write_file(w->data, data);
	start_server(w);
	snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d", w->port);
	w->conf = (struct conf_zone_server){.backend = BACKEND_ALWAYSDATA, .url = w->url, .key_file = w->key};
	w->base = event_base_new();
	if (backend_new(&w->b, w->base, &w->conf, &err) < 0)
		fail_msg("%s", err.text);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	stop_server(w);
	backend_free(w->b);
	event_base_free(w->base);
	zone_done(&w->content);
	unlink(w->key);
	unlink(w->data);
	rmdir(w->dir);
	free(w);
	return 0;
}

static void run(struct world *w)
{
	time_t end = time(NULL) + WAIT;
	struct timeval at_most = {1, 0};

	while (!w->told) {
		event_base_loopexit(w->base, &at_most);
		event_base_dispatch(w->base);
		if (time(NULL) > end)
			fail_msg("nothing was told in %d s", WAIT);
	}
	assert_null(strstr(w->err.text, "s3cret"));
}

static void keep(struct world *w, const struct err *err)
{
	assert_false(w->told);
	w->told = true;
	w->err = err ? *err : (struct err){0};
	event_base_loopbreak(w->base);
}

static void on_found(void *arg, const char *zone, const struct err *err)
{
	struct world *w = arg;

	snprintf(w->zone, sizeof w->zone, "%s", zone ? zone : "");
	keep(w, err);
}

static void on_read(void *arg, struct zone *zone, const struct err *err)
{
	struct world *w = arg;

	zone_done(&w->content);
	if (zone)
		w->content = *zone;
	keep(w, err);
}

static void on_changed(void *arg, enum outcome outcome, const struct err *err)
{
	struct world *w = arg;

	w->outcome = outcome;
	keep(w, err);
}

static void find(struct world *w, const char *name)
{
	w->told = false;
	assert_non_null(backend_find(w->b, name, on_found, w));
	assert_false(w->told); /* never from inside the call */
	run(w);
}

static void read_zone(struct world *w, const char *zone)
{
	w->told = false;
	assert_non_null(backend_read(w->b, zone, on_read, w));
	assert_false(w->told);
	run(w);
}

static enum outcome change(struct world *w, const struct change *changes, size_t n)
{
	w->told = false;
	assert_non_null(backend_change(w->b, "alice.example.", changes, n, on_changed, w));
	assert_false(w->told);
	run(w);
	return w->outcome;
}

static void must_hold(struct world *w, const char *owner, uint16_t type, const char *text)
{
	const struct rrset *s = zone_find(&w->content, owner, type);
	char found[500];

	if (s)
		assert_string_equal(rrset_text(s, found, sizeof found), text);
	else
		assert_string_equal("none", text);
}

/* The three record sets of alice.example that move, there (forward) or back. */
#define SETS 3
static void fill(struct change c[SETS], bool forward)
{
	for (size_t i = 0; i < SETS; i++) {
		struct rrset *old = forward ? &c[i].was : &c[i].next, *new = forward ? &c[i].next : &c[i].was;

		if (i == 0) {
			rrset_from_text(old, "www.alice.example.", RR_A, 300, "192.0.2.10");
			rrset_from_text(new, "www.alice.example.", RR_A, 60, "198.51.100.10");
		} else if (i == 1) {
			rrset_from_text(old, "www.alice.example.", RR_AAAA, 600, "2001:db8::10");
			rrset_from_text(new, "www.alice.example.", RR_AAAA, 0, NULL);
		} else {
			rrset_from_text(old, "alice.example.", RR_TXT, 300, "\"v=spf1 ip4:192.0.2.10 -all\"");
			rrset_from_text(new, "alice.example.", RR_TXT, 300, "\"v=spf1 ip4:198.51.100.10 ip4:192.0.2.10 -all\"");
		}
	}
}

static void empty(struct change c[SETS])
{
	for (size_t i = 0; i < SETS; i++) {
		rrset_done(&c[i].was);
		rrset_done(&c[i].next);
	}
}

static enum outcome move(struct world *w, bool forward)
{
	struct change c[SETS];
	enum outcome o;

	fill(c, forward);
	o = change(w, c, SETS);
	empty(c);
	return o;
}

/* ---- the tests ---- */

static void finds_and_reads(void **state)
{
	struct world *w = *state;

	find(w, "a.www.alice.example.");
	assert_string_equal(w->zone, "alice.example.");
	find(w, "www.carol.example.");
	assert_string_equal(w->zone, "");
	assert_int_equal(w->err.code, 0);
	read_zone(w, "alice.example.");
	assert_int_equal(w->content.n, 3);
	must_hold(w, "alice.example.", RR_A, "none"); /* the provider's own */
	must_hold(w, "www.alice.example.", RR_A, "192.0.2.10 (TTL 300)");
	must_hold(w, "www.alice.example.", RR_AAAA, "2001:db8::10 (TTL 600)");
	read_zone(w, "carol.example.");
	assert_int_equal(w->err.code, -ENOENT);
	assert_int_equal(count(ask(w, "log", ""), "/v1/domain/\""), 1); /* the list is kept for a while */
}

static void there_and_back(void **state)
{
	struct world *w = *state;
	const char *log;

	assert_int_equal(move(w, true), OUTCOME_DONE);
	read_zone(w, "alice.example.");
	must_hold(w, "www.alice.example.", RR_A, "198.51.100.10 (TTL 60)");
	must_hold(w, "www.alice.example.", RR_AAAA, "none");
	must_hold(w, "alice.example.", RR_TXT, "\"v=spf1 ip4:198.51.100.10 ip4:192.0.2.10 -all\" (TTL 300)");
	assert_int_equal(count(ask(w, "records", ""), "\"annotation\": \"mine\""), 1);
	assert_int_equal(move(w, false), OUTCOME_DONE);
	read_zone(w, "alice.example.");
	assert_int_equal(w->content.n, 3);
	must_hold(w, "www.alice.example.", RR_A, "192.0.2.10 (TTL 300)");
	must_hold(w, "www.alice.example.", RR_AAAA, "2001:db8::10 (TTL 600)");
	assert_int_equal(count(ask(w, "records", ""), "\"value\": \"192.0.2.10\", \"ttl\": null"), 0);
	assert_non_null(
		strstr(ask(w, "records", ""), "\"ttl\": null, \"annotation\": \"mine\", \"priority\": null, \"is_user_defined\": true"));
	log = ask(w, "log", "");
	assert_int_equal(count(log, "\"synchronous\": false"), 0);
	assert_int_equal(count(log, "\"fresh\": true"), 1); /* one connection, kept */
	assert_int_equal(count(log, "PATCH"), 4);
	assert_int_equal(count(log, "DELETE"), 1);
	assert_int_equal(count(log, "POST"), 1);
}

static void drift_changes_nothing(void **state)
{
	struct world *w = *state;

	ask(w, "edit", "{\"id\": 3, \"value\": \"2001:db8::99\"}");
	assert_int_equal(move(w, true), OUTCOME_DRIFT);
	assert_string_equal(w->err.text, "www.alice.example. AAAA: found 2001:db8::99 (TTL 600), expected 2001:db8::10 (TTL 600)");
	assert_int_equal(count(ask(w, "log", ""), "PATCH"), 0);
}

static void a_failure_is_told_for_what_it_is(void **state)
{
	static const struct {
		const char *fault;
		enum outcome outcome;
		const char *text;
		unsigned patches; /* that the server saw */
	} table[] = {
		{"{\"kind\": \"500\", \"methods\": [\"PATCH\"]}", OUTCOME_BUSY, "/v1/record/2/: 500 as the test wants it", 1},
		{"{\"kind\": \"redirect\", \"methods\": [\"PATCH\"]}", OUTCOME_REFUSED, "a redirect, which is not followed", 1},
		{"{\"kind\": \"500\"}", OUTCOME_BUSY, "GET ", 0},
		{"{\"kind\": \"rubbish\"}", OUTCOME_REFUSED, "found no JSON in the answer", 0},
		{"{\"kind\": \"cut-before\", \"count\": 2, \"methods\": [\"GET\"]}", OUTCOME_AWAY, "GET ", 0},
		/* it was done, and must not be done again behind our back on another connection */
		{"{\"kind\": \"cut-after\", \"methods\": [\"PATCH\"]}", OUTCOME_UNKNOWN, "PATCH ", 1},
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		stop_server(w);
		start_server(w);
		backend_free(w->b);
		snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d", w->port);
		assert_int_equal(backend_new(&w->b, w->base, &w->conf, NULL), 0);
		find(w, "alice.example."); /* so that there is a connection to reuse */
		ask(w, "fault", table[i].fault);
		assert_int_equal(move(w, true), table[i].outcome);
		if (!strstr(w->err.text, table[i].text))
			fail_msg("%s: %s", table[i].fault, w->err.text);
		assert_int_equal(count(ask(w, "log", ""), "PATCH"), table[i].patches);
	}
}

static void half_done_is_unknown(void **state)
{
	struct world *w = *state;

	ask(w, "fault", "{\"kind\": \"500\", \"methods\": [\"PATCH\", \"DELETE\"], \"after\": 2}");
	assert_int_equal(move(w, true), OUTCOME_UNKNOWN);
	assert_non_null(strstr(w->err.text, "2 of 3 records were written (www.alice.example. A 198.51.100.10, alice.example. TXT"));
	/* what is left is a change like any other */
	struct change c = {0};

	rrset_from_text(&c.was, "www.alice.example.", RR_AAAA, 600, "2001:db8::10");
	rrset_from_text(&c.next, "www.alice.example.", RR_AAAA, 0, NULL);
	assert_int_equal(change(w, &c, 1), OUTCOME_DONE);
	rrset_done(&c.was);
	rrset_done(&c.next);
}

static void waits_as_long_as_told(void **state)
{
	struct world *w = *state;

	int64_t began = mono_ms();
	ask(w, "fault", "{\"kind\": \"429\", \"methods\": [\"PATCH\"]}");
	assert_int_equal(move(w, true), OUTCOME_DONE);
	assert_true(mono_ms() - began >= 1000);
	assert_int_equal(count(ask(w, "log", ""), "429"), 1);
	ask(w, "fault", "{\"kind\": \"429\", \"methods\": [\"PATCH\"], \"count\": 3}");
	assert_int_equal(move(w, false), OUTCOME_BUSY);
	assert_int_equal(count(ask(w, "log", ""), "429"), 4);
	assert_true(backend_eta(w->b, 1) <= 1);  /* the second that the last one asks for */
	assert_true(backend_eta(w->b, 47) > 20); /* more than is left of this minute's 50; some of the minute has passed */
}

static void a_wrong_key_or_nobody(void **state)
{
	struct world *w = *state;

	backend_free(w->b);
	write_file(w->key, "s3cret-wrong account=alice\n");
	assert_int_equal(backend_new(&w->b, w->base, &w->conf, NULL), 0);
	assert_int_equal(move(w, true), OUTCOME_REFUSED);
	assert_non_null(strstr(w->err.text, "401, the key is not accepted"));
	stop_server(w);
	find(w, "alice.example.");
	assert_int_not_equal(w->err.code, 0);
	assert_int_equal(move(w, true), OUTCOME_AWAY);
}

static void urls_that_would_tell_the_key(void **state)
{
	static char *const urls[] = {"http://192.0.2.1", "http://localhost", "http://127.0.0.1.example", "http://[2001:db8::1]:80",
				     "ftp://127.0.0.1"};
	struct world *w = *state;
	struct backend *b;
	struct err err;

	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		struct conf_zone_server conf = {.backend = BACKEND_ALWAYSDATA, .url = urls[i], .key_file = w->key};

		assert_int_equal(backend_new(&b, w->base, &conf, &err), -EINVAL);
		assert_null(strstr(err.text, "s3cret"));
	}
}

static void ends_in_the_middle(void **state)
{
	struct world *w = *state;
	struct change c[SETS];
	struct backend_call *calls[4];

	fill(c, true);
	ask(w, "fault", "{\"kind\": \"slow\", \"seconds\": 1, \"count\": 9}");
	w->told = false;
	calls[0] = backend_change(w->b, "alice.example.", c, SETS, on_changed, w);
	for (size_t i = 1; i < 4; i++)
		calls[i] = backend_read(w->b, "bob.example.", on_read, w);
	event_base_loop(w->base, EVLOOP_ONCE);
	backend_cancel(calls[2]); /* in line */
	backend_cancel(calls[0]); /* under way */
	event_base_loop(w->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	backend_free(w->b); /* the rest */
	w->b = NULL;
	event_base_loop(w->base, EVLOOP_NONBLOCK);
	assert_false(w->told);
	assert_int_equal(backend_new(&w->b, w->base, &w->conf, NULL), 0);
	empty(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_and_reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(there_and_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(drift_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_failure_is_told_for_what_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(half_done_is_unknown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(waits_as_long_as_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_wrong_key_or_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(urls_that_would_tell_the_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ends_in_the_middle, set_up, tear_down),
	};

	setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
