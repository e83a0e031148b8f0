/* Control messages between hosts: a real server on a loopback address of our own, asked by peers with good certificates, and by everybody
 * else. What the server logs goes to a file, so that tests can read who was refused and why. */
#include "lib/ctl.h"
#include "lib/tls.h"
#include "tests/unit/certs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS          20000 /* no test waits as long for what does come */
#define LINE_TIMEOUT_MS      2000  /* longer than this process may be without a processor */
#define ANSWER_TIMEOUT_MS    2500
#define HANDSHAKE_TIMEOUT_MS 4000
#define PORT                 7443
#define BIG                  900000

static char address[32];  /* 127.x.y.z of this process */
static char stranger[32]; /* where strangers come from */

struct fixture {
	char url[64], log[128];
	struct event_base *base;
	struct tls *tls, *client_tls;
	struct ctl_server *server;
	pthread_t thread;
	struct event *quit_event;
	int quit[2];
	struct ctl_call *kept;
	atomic_int calls;
	int real_stderr;
};

static int setup(void **state)
{
	unsigned pid = (unsigned)getpid();
	(void)state;
	snprintf(address, sizeof(address), "127.%u.%u.%u", 100 + (pid >> 16) % 100, (pid >> 8) & 255, pid & 255);
	snprintf(stranger, sizeof(stranger), "127.%u.%u.%u", 200 + (pid >> 16) % 50, (pid >> 8) & 255, pid & 255);
	return certs_make(address);
}

static int teardown(void **state)
{
	(void)state;
	certs_remove();
	return 0;
}

/* ---- the server ---- */

static void on_call(struct ctl_call *call, const char *cmd, json_t *request, void **session, void *arg)
{
	struct fixture *f = arg;
	atomic_fetch_add(&f->calls, 1);
	if (strcmp(cmd, "echo") == 0) {
		ctl_answer(call, json_pack("{s:O}", "got", json_object_get(request, "say")));
	} else if (strcmp(cmd, "refuse") == 0) {
		ctl_fail(call, CTL_STUCK, "no thanks");
	} else if (strcmp(cmd, "who") == 0) {
		ctl_answer(call, json_pack("{s:s}", "peer", ctl_peer(call)));
	} else if (strcmp(cmd, "big") == 0) {
		char *text = malloc(BIG);
		memset(text, 'b', BIG);
		ctl_answer(call, json_pack("{s:s#}", "text", text, BIG));
		free(text);
	} else if (strcmp(cmd, "keep") == 0) {
		f->kept = call;
	} else if (strcmp(cmd, "release") == 0) {
		ctl_answer(f->kept, NULL);
		ctl_answer(call, NULL);
	} else { /* stay: a session makes the connection count as in use */
		*session = f;
		ctl_answer(call, NULL);
	}
}

static void on_quit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

static void *serve(void *arg)
{
	struct fixture *f = arg;
	event_base_dispatch(f->base);
	return NULL;
}

static struct ctl_options options(struct fixture *f)
{
	return (struct ctl_options){.address = f->url,
				    .handler = on_call,
				    .arg = f,
				    .tls = f->tls,
				    .line_timeout_ms = LINE_TIMEOUT_MS,
				    .answer_timeout_ms = ANSWER_TIMEOUT_MS,
				    .handshake_timeout_ms = HANDSHAKE_TIMEOUT_MS};
}

static int start_as(void **state, const char *set, const char *name)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = {0};
	snprintf(f->url, sizeof(f->url), "tls://%s:%d", address, PORT);
	snprintf(f->log, sizeof(f->log), "%s", certs_path("log"));
	f->base = event_base_new();
	if (pipe(f->quit) < 0)
		return -1;
	f->quit_event = event_new(f->base, f->quit[0], EV_READ, on_quit, f->base);
	event_add(f->quit_event, NULL);
	f->tls = certs_identity("ours", set, name);
	f->client_tls = certs_identity("ours", "ours", "client.example");
	struct ctl_options opt = options(f);
	if (ctl_listen(&f->server, f->base, &opt, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	fflush(stderr);
	f->real_stderr = dup(STDERR_FILENO);
	int log = open(f->log, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
	dup2(log, STDERR_FILENO);
	close(log);
	*state = f;
	return pthread_create(&f->thread, NULL, serve, f);
}

static int start(void **state)
{
	return start_as(state, "ours", "server.example");
}

static int start_other_name(void **state)
{
	return start_as(state, "ours", "other.example");
}

static int start_expired(void **state)
{
	return start_as(state, "ours", "old");
}

static int start_stranger(void **state)
{
	return start_as(state, "theirs", "server.example");
}

/* ---- peers ---- */

static struct ctl_client *client(const struct fixture *f)
{
	struct ctl_client *c = NULL;
	struct err err = {0};
	if (ctl_connect_tls(&c, f->url, f->client_tls, &err) < 0)
		fail_msg("%s", err.text);
	return c;
}

static json_t *ask(struct ctl_client *c, const char *cmd, json_t *fields)
{
	struct err err = {0};
	json_t *answer;
	if (ctl_request(c, cmd, fields, PATIENCE_MS, &answer, NULL, &err) < 0)
		fail_msg("%s: %s", cmd, err.text);
	return answer;
}

static void tell(struct ctl_client *c, const char *cmd)
{
	json_decref(ask(c, cmd, NULL));
}

/* A plain connection, from the address of strangers where that is said; non-blocking. */
static int dial_from(const char *source)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (source) {
		inet_pton(AF_INET, source, &sa.sin_addr);
		assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	}
	inet_pton(AF_INET, address, &sa.sin_addr);
	sa.sin_port = htons(PORT);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static bool ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	return poll(&p, 1, PATIENCE_MS) == 1;
}

/* By hand, over lib/tls.h. Returns NULL where the handshake fails, with the reason in err. */
static struct tls_stream *dial(const struct tls *t, int fd, const char *host, struct err *err)
{
	struct tls_stream *s = NULL;
	short wants = 0;
	int rc = tls_dial(&s, t, fd, host, err);
	while (rc == 0 && (rc = tls_handshake(s, &wants, err)) == -EAGAIN) {
		assert_true(ready(fd, wants));
		rc = 0;
	}
	if (rc == 0)
		return s;
	tls_hang_up(s);
	return NULL;
}

static void say(struct tls_stream *s, int fd, const char *bytes, size_t len)
{
	struct err err = {0};
	short wants = 0;
	while (len) {
		ssize_t n = tls_send(s, bytes, len, &wants, &err);
		if (n == -EAGAIN) {
			assert_true(ready(fd, wants));
			continue;
		}
		if (n < 0)
			fail_msg("%s", err.text);
		bytes += n;
		len -= (size_t)n;
	}
}

static bool hear(struct tls_stream *s, int fd, char *out, size_t cap)
{
	struct err err = {0};
	short wants = 0;
	for (size_t n = 0; n + 1 < cap;) {
		ssize_t got = tls_receive(s, out + n, 1, &wants, &err);
		if (got == -EAGAIN)
			assert_true(ready(fd, wants));
		else if (got < 0)
			return false;
		else if (out[n++] == '\n') {
			out[n - 1] = '\0';
			return true;
		}
	}
	fail_msg("the line is too long");
	return false;
}

/* With OpenSSL directly: what lib/tls.h would never do. */
static SSL_CTX *wild_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_use_certificate_file(ctx, certs_path("ours/client.example.pem"), SSL_FILETYPE_PEM);
	SSL_CTX_use_PrivateKey_file(ctx, certs_path("ours/client.example.key"), SSL_FILETYPE_PEM);
	SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x07shunt/1", 8);
	return ctx;
}

/* Takes ctx. Speaks a request and expects that no answer comes. */
static void expect_wild_refused(SSL_CTX *ctx)
{
	static const char request[] = "{\"v\":1,\"cmd\":\"echo\",\"say\":1}\n";
	char byte;
	int fd = dial_from(stranger);
	fcntl(fd, F_SETFL, 0);
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) == 1) {
		SSL_write(ssl, request, sizeof(request) - 1);
		assert_true(SSL_read(ssl, &byte, 1) <= 0);
	}
	ERR_clear_error();
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
}

/* Waits until the server's log has it. */
static void expect_logged(const struct fixture *f, const char *from, const char *what)
{
	char wanted[64], line[1024];
	snprintf(wanted, sizeof(wanted), "refused peer=%s:", from);
	for (int i = 0; i < PATIENCE_MS / 10; i++) {
		FILE *log = fopen(f->log, "r");
		bool found = false;
		while (!found && fgets(line, sizeof(line), log))
			found = strstr(line, wanted) && strstr(line, what);
		fclose(log);
		if (found)
			return;
		poll(NULL, 0, 10);
	}
	fail_msg("not logged: %s ... %s", wanted, what);
}

static int end(void **state)
{
	struct fixture *f = *state;
	close(f->quit[1]);
	pthread_join(f->thread, NULL);
	ctl_close(f->server);
	tls_free(f->tls);
	tls_free(f->client_tls);
	event_free(f->quit_event);
	close(f->quit[0]);
	event_base_loop(f->base, EVLOOP_NONBLOCK); /* as loop_free() does */
	event_base_free(f->base);
	fflush(stderr);
	dup2(f->real_stderr, STDERR_FILENO);
	close(f->real_stderr);
	certs_run("cat %s >&2", f->log);
	free(f);
	return 0;
}

/* The server must still be well after what a test did to it. */
static int stop(void **state)
{
	struct ctl_client *c = client(*state);
	json_decref(ask(c, "echo", json_pack("{s:s}", "say", "still there")));
	ctl_disconnect(c);
	return end(state);
}

/* ---- tests ---- */

static void requests_are_answered(void **state)
{
	struct fixture *f = *state;
	struct ctl_client *c = client(f);
	struct err err = {0};
	enum ctl_code code;
	json_t *answer = ask(c, "echo", json_pack("{s:s}", "say", "h\xc3\xa9"));
	assert_string_equal(json_string_value(json_object_get(answer, "got")), "h\xc3\xa9");
	json_decref(answer);
	answer = ask(c, "who", NULL);
	const char *peer = json_string_value(json_object_get(answer, "peer"));
	if (strncmp(peer, "certificate \"client.example\" at 127.", 36) != 0)
		fail_msg("%s", peer);
	json_decref(answer);
	assert_int_equal(ctl_request(c, "refuse", NULL, PATIENCE_MS, &answer, &code, &err), -EPROTO);
	assert_int_equal(code, CTL_STUCK);
	assert_string_equal(err.text, "no thanks");
	assert_int_equal(ctl_request(c, "keep", NULL, 50, &answer, &code, &err), -ETIMEDOUT);
	struct ctl_client *other = client(f);
	tell(other, "release");
	json_decref(ask(c, "echo", json_pack("{s:i}", "say", 1)));
	ctl_disconnect(c);
	ctl_disconnect(other);
}

static void large_lines_pass(void **state)
{
	struct fixture *f = *state;
	struct ctl_client *c = client(f);
	char *text = malloc(BIG + 1);
	memset(text, 't', BIG);
	text[BIG] = '\0';
	for (int i = 0; i < 5; i++) {
		json_t *answer = ask(c, "echo", json_pack("{s:s}", "say", text));
		assert_string_equal(json_string_value(json_object_get(answer, "got")), text);
		json_decref(answer);
		answer = ask(c, "big", NULL);
		assert_int_equal(json_string_length(json_object_get(answer, "text")), BIG);
		json_decref(answer);
	}
	free(text);
	ctl_disconnect(c);
}

static void lines_come_as_they_like(void **state)
{
	static const char request[] = "{\"v\":1,\"id\":\"a\",\"cmd\":\"echo\",\"say\":1}\n";
	static const char three[] = "{\"v\":1,\"cmd\":\"echo\",\"say\":2}\n{\"v\":1,\"cmd\":\"echo\",\"say\":3}\n{\"v\":1,\"cmd\":\"echo\","
				    "\"say\":4}\n{\"v\"";
	struct fixture *f = *state;
	struct err err = {0};
	char line[512];
	int fd = dial_from(NULL);
	struct tls_stream *s = dial(f->client_tls, fd, address, &err);
	for (size_t i = 0; i < sizeof(request) - 1; i++)
		say(s, fd, request + i, 1);
	assert_true(hear(s, fd, line, sizeof(line)));
	assert_string_equal(line, "{\"v\":1,\"id\":\"a\",\"ok\":true,\"got\":1}");
	say(s, fd, three, sizeof(three) - 1);
	for (int i = 2; i <= 4; i++) {
		char expected[80];
		snprintf(expected, sizeof(expected), "{\"v\":1,\"ok\":true,\"got\":%d}", i);
		assert_true(hear(s, fd, line, sizeof(line)));
		assert_string_equal(line, expected);
	}
	assert_true(hear(s, fd, line, sizeof(line)));
	assert_non_null(strstr(line, "not finished"));
	assert_false(hear(s, fd, line, sizeof(line)));
	tls_hang_up(s);
	close(fd);
	assert_int_equal(atomic_load(&f->calls), 4);
}

static void an_endless_line_is_cut_off(void **state)
{
	struct fixture *f = *state;
	static char chunk[65536];
	struct err err = {0};
	int fd = dial_from(NULL);
	struct tls_stream *s = dial(f->client_tls, fd, address, &err);
	size_t sent = 0;
	short wants = 0;
	memset(chunk, 'x', sizeof(chunk));
	while (sent < 64 * CTL_LINE_MAX) {
		ssize_t n = tls_send(s, chunk, sizeof(chunk), &wants, &err);
		if (n == -EAGAIN)
			assert_true(ready(fd, wants));
		else if (n < 0)
			break;
		sent += n > 0 ? (size_t)n : 0;
	}
	assert_true(sent < 64 * CTL_LINE_MAX); /* the sockets' buffers take a few MiB */
	tls_hang_up(s);
	close(fd);
	assert_int_equal(atomic_load(&f->calls), 0);
}

static void who_does_not_read_is_cut_off(void **state)
{
	static const char request[] = "{\"v\":1,\"cmd\":\"big\"}\n";
	struct fixture *f = *state;
	struct err err = {0};
	int fd = dial_from(NULL);
	struct tls_stream *s = dial(f->client_tls, fd, address, &err);
	for (int i = 0; i < 60; i++)
		say(s, fd, request, sizeof(request) - 1);
	struct pollfd p = {.fd = fd, .events = 0};
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1); /* the server has closed with our requests unread: a reset */
	assert_true(atomic_load(&f->calls) < 60);
	tls_hang_up(s);
	close(fd);
}

/* Whose certificate is not good gets as far as its first request, which tells it why. */
static void expect_client_refused(struct fixture *f, struct tls *as, const char *told, const char *logged)
{
	struct ctl_client *c = NULL, *good = client(f);
	struct err err = {0};
	json_t *answer = NULL;
	enum ctl_code code = CTL_REFUSED;
	int calls = atomic_load(&f->calls);
	int rc = ctl_connect_tls(&c, f->url, as, &err);
	if (rc == 0)
		rc = ctl_request(c, "echo", json_pack("{s:i}", "say", 1), PATIENCE_MS, &answer, &code, &err);
	if (rc != -EACCES || !strstr(err.text, told) || !strstr(err.text, f->url))
		fail_msg("expected %d with \"%s\", got %d: %s", -EACCES, told, rc, err.text);
	if (c)
		assert_int_equal(ctl_request(c, "echo", NULL, PATIENCE_MS, &answer, &code, &err), -ENOTCONN);
	assert_int_equal(atomic_load(&f->calls), calls);
	expect_logged(f, "127.0.0.1", logged);
	tell(good, "echo"); /* nobody else notices */
	ctl_disconnect(good);
	ctl_disconnect(c);
	tls_free(as);
}

static void strangers_are_refused(void **state)
{
	struct fixture *f = *state;
	expect_client_refused(f, certs_identity("ours", "theirs", "client.example"),
			      "unknown ca; we showed \"client.example\" of \"shunt auth", "which is not our ca");
	expect_client_refused(f, certs_identity("ours", "ours", "old"), "certificate expired; we showed \"old\"",
			      "certificate has expired: \"old\" ended 20");
	expect_client_refused(f, certs_identity("ours", "ours", "early"), "bad certificate; we showed \"early\"",
			      "not yet valid: \"early\" begins 20");
	expect_client_refused(f, certs_identity("ours", "ours", "serveronly"), "; we showed \"other.example\"",
			      "\"other.example\" is not for clients");
}

static void who_shows_no_certificate_is_refused(void **state)
{
	struct fixture *f = *state;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x07shunt/1", 8);
	expect_wild_refused(ctx);
	expect_logged(f, stranger, "it shows no certificate");
	assert_int_equal(atomic_load(&f->calls), 0);
}

static void other_protocols_are_refused(void **state)
{
	struct fixture *f = *state;
	SSL_CTX *ctx = wild_context();
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	expect_wild_refused(ctx);
	expect_logged(f, stranger, "it does not speak TLS 1.3");
	ctx = wild_context();
	SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x02h2", 3);
	expect_wild_refused(ctx);
	expect_logged(f, stranger, "it asks for another protocol");
	ctx = wild_context();
	SSL_CTX_set_alpn_protos(ctx, NULL, 0);
	expect_wild_refused(ctx);
	expect_logged(f, stranger, "it does not ask for the protocol shunt/1");
	assert_int_equal(atomic_load(&f->calls), 0);
}

static void plain_text_is_refused(void **state)
{
	static const char *const texts[] = {"{\"v\":1,\"cmd\":\"echo\",\"say\":1}\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\n\n\n\n\n\n"};
	struct fixture *f = *state;
	struct ctl_client *good = client(f);
	char bytes[512];
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		int fd = dial_from(stranger);
		assert_int_equal(send(fd, texts[i], strlen(texts[i]), MSG_NOSIGNAL), strlen(texts[i]));
		for (ssize_t n = 1; n > 0;) {
			assert_true(ready(fd, POLLIN));
			n = recv(fd, bytes, sizeof(bytes), 0);
			assert_true(n <= 0 || bytes[0] == 0x15); /* an alert at most */
		}
		close(fd);
	}
	expect_logged(f, stranger, "it speaks HTTP, not TLS");
	expect_logged(f, stranger, "it does not speak TLS");
	assert_int_equal(atomic_load(&f->calls), 0);
	tell(good, "echo");
	ctl_disconnect(good);
}

static void expect_server_refused(struct fixture *f, const char *why)
{
	struct ctl_client *c = NULL;
	struct err err = {0};
	int rc = ctl_connect_tls(&c, f->url, f->client_tls, &err);
	if (rc != -EACCES || !strstr(err.text, why) || !strstr(err.text, f->url))
		fail_msg("expected %d with \"%s\", got %d: %s", -EACCES, why, rc, err.text);
	assert_null(c);
	assert_int_equal(atomic_load(&f->calls), 0);
}

static void a_server_of_another_name_is_refused(void **state)
{
	expect_server_refused(*state, "but for \"other.example\"");
	expect_logged(*state, "127.0.0.1", "it refused us");
}

static void an_expired_server_is_refused(void **state)
{
	expect_server_refused(*state, "certificate has expired");
}

static void a_strangers_server_is_refused(void **state)
{
	expect_server_refused(*state, "its certificate is refused");
}

static void names_are_compared(void **state)
{
	static const struct {
		const char *host;
		bool good;
	} rows[] = {
		{"server.example", true},
		{"SERVER.example", true},
		{"server.example.", true},
		{"::1", true},
		{"other.example", false},
		{"example", false},
		{".example", false},
		{"server", false},
		{"a.server.example", false},
		{"127.0.0.1", false},
		{"::2", false},
		{".", false},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct err err = {0};
		int fd = dial_from(NULL);
		struct tls_stream *s = dial(f->client_tls, fd, rows[i].host, &err);
		if ((s != NULL) != rows[i].good)
			fail_msg("%s: %s", rows[i].host, s ? "accepted" : err.text);
		tls_hang_up(s);
		close(fd);
	}
}

static void stalled_handshakes_lock_nobody_out(void **state)
{
	enum { CROWD = 100 };
	struct fixture *f = *state;
	struct ctl_client *early = client(f);
	int fds[CROWD], open_ones = CROWD;
	tell(early, "echo");
	for (int i = 0; i < CROWD; i++)
		fds[i] = dial_from(stranger);
	/* of them only so many are kept, all from one source: who comes from another one gets in at once, again and again */
	for (int i = 0; i < 20; i++) {
		struct ctl_client *c = client(f);
		tell(c, "echo");
		ctl_disconnect(c);
		close(fds[i]);
		fds[i] = dial_from(stranger);
	}
	for (int tries = 0; open_ones > CTL_HANDSHAKES && tries < PATIENCE_MS / 10; tries++) {
		open_ones = 0;
		for (int i = 0; i < CROWD; i++) {
			struct pollfd p = {.fd = fds[i], .events = POLLIN};
			open_ones += poll(&p, 1, 0) == 0;
		}
		poll(NULL, 0, 10);
	}
	assert_true(open_ones <= CTL_HANDSHAKES);
	assert_true(open_ones > 0);
	expect_logged(f, stranger, "gave way");
	/* and these not for long, whatever they dribble */
	for (int i = 0; i < CROWD; i++) {
		struct pollfd p = {.fd = fds[i], .events = POLLIN};
		for (int tries = 0; poll(&p, 1, 20) == 0; tries++) {
			assert_true(tries < PATIENCE_MS / 20);
			(void)!send(fds[i], "\x16", 1, MSG_NOSIGNAL);
		}
		close(fds[i]);
	}
	tell(early, "echo");
	ctl_disconnect(early);
}

static void a_stalled_handshake_has_its_time(void **state)
{
	struct fixture *f = *state;
	int fd = dial_from(stranger);
	char byte;
	assert_int_equal(send(fd, "\x16\x03\x01\x02\x00", 5, MSG_NOSIGNAL), 5); /* a record's head and nothing more */
	assert_true(ready(fd, POLLIN));
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
	expect_logged(f, stranger, "not finished within 4000 ms");
}

static void places_are_for_those_with_certificates(void **state)
{
	struct fixture *f = *state;
	struct ctl_client *clients[CTL_CONNECTIONS], *c;
	struct err err = {0};
	json_t *answer;
	enum ctl_code code;
	for (int i = 0; i < CTL_CONNECTIONS; i++) {
		clients[i] = client(f);
		tell(clients[i], i ? "stay" : "echo");
	}
	/* the idle one gives way, and then there is none */
	c = client(f);
	tell(c, "stay");
	assert_true(ctl_request(clients[0], "echo", NULL, PATIENCE_MS, &answer, &code, &err) < 0);
	ctl_disconnect(clients[0]);
	clients[0] = c;
	c = client(f);
	if (ctl_request(c, "echo", NULL, PATIENCE_MS, &answer, &code, &err) == 0 || !strstr(err.text, "connections are taken"))
		fail_msg("expected a refusal, got: %s", err.text);
	assert_int_equal(code, CTL_REFUSED);
	ctl_disconnect(c);
	for (int i = 0; i < CTL_CONNECTIONS; i++)
		ctl_disconnect(clients[i]);
}

static void peers_may_go_at_any_time(void **state)
{
	static const char keep[] = "{\"v\":1,\"cmd\":\"keep\"}\n", echo[] = "{\"v\":1,\"cmd\":\"echo\",\"say\":7}\n";
	struct fixture *f = *state;
	struct err err = {0};
	char line[512];
	close(dial_from(stranger)); /* before a byte */
	expect_logged(f, stranger, "it ended the connection without a word");
	int fd = dial_from(NULL); /* with half a line sent, without a goodbye */
	struct tls_stream *s = dial(f->client_tls, fd, address, &err);
	say(s, fd, keep, 8);
	close(fd);
	tls_hang_up(s);
	fd = dial_from(NULL); /* while its request is worked on */
	s = dial(f->client_tls, fd, address, &err);
	say(s, fd, keep, sizeof(keep) - 1);
	for (int i = 0; atomic_load(&f->calls) == 0 && i < PATIENCE_MS; i++)
		poll(NULL, 0, 1);
	tls_hang_up(s);
	close(fd);
	struct ctl_client *c = client(f);
	tell(c, "release");
	ctl_disconnect(c);
	fd = dial_from(NULL); /* with an answer on its way that nobody will read */
	s = dial(f->client_tls, fd, address, &err);
	say(s, fd, "{\"v\":1,\"cmd\":\"big\"}\n", 20);
	assert_true(ready(fd, POLLIN));
	close(fd);
	tls_hang_up(s);
	fd = dial_from(NULL); /* the goodbye behind a request: it still gets its answer */
	s = dial(f->client_tls, fd, address, &err);
	say(s, fd, echo, sizeof(echo) - 1);
	assert_true(hear(s, fd, line, sizeof(line)));
	assert_string_equal(line, "{\"v\":1,\"ok\":true,\"got\":7}");
	tls_hang_up(s);
	close(fd);
}

/* In one program several servers may stand side by side; a port is not shared. */
static void addresses(void **state)
{
	static const char *const bad[] = {
		"tls://",         "tls:127.0.0.1:1", "tls://127.0.0.1", "tls://127.0.0.1:0",    "tls://localhost:7443",
		"tls://::1:7443", "tls://[::1]",     "tls://:7443",     "tls://127.0.0.1:99999"};
	struct fixture *f = *state;
	struct ctl_server *second = NULL;
	struct ctl_options opt = options(f);
	struct ctl_client *c = NULL;
	struct err err = {0};
	assert_int_equal(ctl_listen(&second, f->base, &opt, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, f->url));
	opt.address = "tls://192.0.2.1:7443";
	assert_int_equal(ctl_listen(&second, f->base, &opt, &err), -EADDRNOTAVAIL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		opt.address = bad[i];
		assert_int_equal(ctl_listen(&second, f->base, &opt, &err), -EINVAL);
		if (strcmp(bad[i], "tls://localhost:7443") != 0)
			assert_int_equal(ctl_connect_tls(&c, bad[i], f->client_tls, &err), -EINVAL);
	}
	opt = options(f);
	opt.tls = NULL;
	assert_int_equal(ctl_listen(&second, f->base, &opt, &err), -EINVAL);
	assert_non_null(strstr(err.text, "section tls"));
	assert_int_equal(ctl_connect(&c, f->url, &err), -EINVAL);
	assert_non_null(strstr(err.text, "section tls"));
	char nobody[64];
	snprintf(nobody, sizeof(nobody), "tls://%s:%d", address, PORT);
	assert_int_equal(ctl_connect_tls(&c, nobody, f->client_tls, &err), 0);
	ctl_disconnect(c);
	snprintf(nobody, sizeof(nobody), "tls://%s:%d", address, PORT + 1);
	assert_int_equal(ctl_connect_tls(&c, nobody, f->client_tls, &err), -ECONNREFUSED);
	assert_non_null(strstr(err.text, nobody));
	assert_int_equal(ctl_connect_tls(&c, "tls://nobody.invalid:7443", f->client_tls, &err), -EHOSTUNREACH);
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);
	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* Of an address: is it the server's port? */
static bool is_ours(int fd, int (*of)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_in sa = {0};
	socklen_t len = sizeof(sa);
	return of(fd, (struct sockaddr *)&sa, &len) == 0 && sa.sin_family == AF_INET && ntohs(sa.sin_port) == PORT;
}

/* A line that is cut says nothing: the kernel asks, and gives up. What the asking side closes is not sent any more. */
static void a_silent_end_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct ctl_client *c = client(f);
	int asking = 0, answering = 0;
	tell(c, "who"); /* so that it is accepted */
	for (int fd = 3; fd < 256; fd++) {
		bool there = is_ours(fd, getpeername), here = is_ours(fd, getsockname);
		if (!there && !here)
			continue;
		assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
		assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), there ? 10000 : 30000);
		assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), there ? 5 : 10);
		if (there) {
			struct linger linger = {0};
			socklen_t len = sizeof(linger);
			assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
			assert_int_equal(linger.l_onoff, 1);
			assert_int_equal(linger.l_linger, 0);
		}
		asking += there;
		answering += here;
	}
	assert_int_equal(asking, 1);
	assert_int_equal(answering, 2); /* it listens, and has accepted */
	ctl_disconnect(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define SERVED(t) cmocka_unit_test_setup_teardown(t, start, stop)
		SERVED(requests_are_answered),
		SERVED(large_lines_pass),
		SERVED(lines_come_as_they_like),
		SERVED(an_endless_line_is_cut_off),
		SERVED(who_does_not_read_is_cut_off),
		SERVED(strangers_are_refused),
		SERVED(who_shows_no_certificate_is_refused),
		SERVED(other_protocols_are_refused),
		SERVED(plain_text_is_refused),
		cmocka_unit_test_setup_teardown(a_server_of_another_name_is_refused, start_other_name, end),
		cmocka_unit_test_setup_teardown(an_expired_server_is_refused, start_expired, end),
		cmocka_unit_test_setup_teardown(a_strangers_server_is_refused, start_stranger, end),
		SERVED(names_are_compared),
		SERVED(stalled_handshakes_lock_nobody_out),
		SERVED(a_stalled_handshake_has_its_time),
		SERVED(places_are_for_those_with_certificates),
		SERVED(peers_may_go_at_any_time),
		SERVED(a_silent_end_is_noticed),
		SERVED(addresses),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
