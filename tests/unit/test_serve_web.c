/* The HTTP of serve at its door: what is no request, what is too much, what is too slow, and memory that runs out where TLS is to begin.
 * The clients are a thread of plain sockets. */
#include "control/serve/web.h"
#include "lib/clock.h"
#include "tests/unit/certs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#define ANSWER_MAX 70000

struct world {
	struct loop *loop;
	struct web *web;
	struct conf_serve conf;
	uint16_t port;
	int asked; /* requests that came through */
	struct web_stream *stream;
	void (*client)(struct world *w);
};

static void on_gone(void *arg)
{
	((struct world *)arg)->stream = NULL;
}

static void on_request(void *arg, struct evhttp_request *req)
{
	struct world *w = arg;
	w->asked++;
	if (strcmp(evhttp_request_get_uri(req), "/stream") == 0)
		w->stream = web_stream_begin(req, on_gone, w);
	else
		web_reply(req, 200, "text/plain", "good\n", 5);
}

static void open_web(struct world *w, const struct web_limits *limits, bool tls)
{
	char at[40];
	struct err err = {0};
	static int next = 0;
	if (!next)
		next = 20000 + getpid() % 20000;
	assert_int_equal(loop_new(&w->loop, &err), 0);
	for (int i = 0; i < 100 && !w->web; i++) { /* until a port is free */
		w->port = (uint16_t)next++;
		snprintf(at, sizeof(at), "%s127.0.0.1:%u", tls ? "tls://" : "", (unsigned)w->port);
		free(w->conf.listen);
		w->conf.listen = strdup(at);
		web_open(&w->web, w->loop, &w->conf, limits, on_request, w, &err);
	}
	if (!w->web)
		fail_msg("%s", err.text);
}

static void *client_main(void *arg)
{
	struct world *w = arg;
	w->client(w);
	loop_stop(w->loop);
	return NULL;
}

static void serve(struct world *w, const struct web_limits *limits, void (*client)(struct world *w))
{
	pthread_t thread;
	w->conf.body_max = 1000;
	w->client = client;
	open_web(w, limits, w->conf.cert != NULL);
	assert_int_equal(pthread_create(&thread, NULL, client_main, w), 0);
	loop_run(w->loop);
	pthread_join(thread, NULL);
	if (w->stream)
		web_stream_end(w->stream);
	web_close(w->web);
	loop_free(w->loop);
	free(w->conf.listen);
}

/* ---- the thread's: what is wrong ends the program ---- */

#define MUST(fact)                                                         \
	do {                                                               \
		if (!(fact)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #fact); \
			abort();                                           \
		}                                                          \
	} while (0)

static int dial(const struct world *w)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval patience = {.tv_sec = 10};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	MUST(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	return fd;
}

static void say(int fd, const char *text)
{
	size_t len = strlen(text);
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return; /* it need not hear all of it */
		text += n;
		len -= (size_t)n;
	}
}

/* Until it is closed. */
static char *hear(int fd)
{
	static char text[ANSWER_MAX];
	size_t len = 0;
	ssize_t n;
	while ((n = recv(fd, text + len, sizeof(text) - 1 - len, 0)) > 0)
		len += (size_t)n;
	MUST(n == 0); /* not a reset, which would take the answer along, and not for ever */
	text[len] = '\0';
	close(fd);
	return text;
}

static char *ask(const struct world *w, const char *text)
{
	int fd = dial(w);
	say(fd, text);
	return hear(fd);
}

static void is_ours(const char *answer, int status)
{
	static const char *const wanted[] = {"\r\nContent-Type: application/problem+json\r\n",
					     "\r\nCache-Control: no-store\r\n",
					     "\r\nX-Content-Type-Options: nosniff\r\n",
					     "\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n",
					     "\r\nReferrer-Policy: no-referrer\r\n",
					     "\r\nCross-Origin-Resource-Policy: same-origin\r\n",
					     "\r\nConnection: close\r\n",
					     "\r\nDate: ",
					     "\r\n\r\n{\"type\":\"about:blank\",\"title\":\""};
	char first[20], said[20];
	const char *body = strstr(answer, "\r\n\r\n"), *length = strstr(answer, "\r\nContent-Length: ");
	snprintf(first, sizeof(first), "HTTP/1.1 %d ", status);
	snprintf(said, sizeof(said), "\"status\":%d", status);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		if (!strstr(answer, wanted[i]))
			fprintf(stderr, "%s is missing in:\n%s\n", wanted[i], answer);
		MUST(strstr(answer, wanted[i]));
	}
	if (strncmp(answer, first, strlen(first)) != 0)
		fprintf(stderr, "wanted %s, found %s\n", first, answer);
	MUST(strncmp(answer, first, strlen(first)) == 0);
	MUST(strstr(answer, said));
	MUST(body && length && strtoul(length + 18, NULL, 10) == strlen(body + 4)); /* the whole of it, and nothing behind it */
	MUST(!strstr(answer, "<HTML>") && !strstr(answer, "text/html"));
}

#define HOST "Host: localhost\r\n"

static void garbage_client(struct world *w)
{
	static char large[ANSWER_MAX];
	is_ours(ask(w, "nonsense, and a lot of it\r\n\r\n"), 400);
	is_ours(ask(w, "GET / HTTP/9\r\n\r\n"), 400);
	is_ours(ask(w, "GET / HTTP/1.1\r\nno colon here\r\n\r\n"), 400);
	is_ours(ask(w, "TRACE / HTTP/1.1\r\n" HOST "\r\n"), 501);
	is_ours(ask(w, "BREW /pot HTTP/1.1\r\n" HOST "\r\n"), 501);
	is_ours(ask(w, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n"), 413);
	is_ours(ask(w, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n"), 413);
	is_ours(ask(w, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 413);
	is_ours(ask(w, "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"), 400);
	is_ours(ask(w, "POST / HTTP/1.1\r\n" HOST "Expect: tea\r\nContent-Length: 1\r\n\r\n"), 417);
	is_ours(ask(w, "GET / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"), 400);
	is_ours(ask(w, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), 400);
	is_ours(ask(w, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
	is_ours(ask(w, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 400);
	MUST(w->asked == 0);
	memset(large, 'x', sizeof(large) - 1);
	memcpy(large, "GET /", 5);
	is_ours(ask(w, large), 400);
	memcpy(large, "GET / HTTP/1.1\r\nX: ", 19);
	is_ours(ask(w, large), 400);
	/* behind a good one */
	char *two = ask(w, "GET / HTTP/1.1\r\n" HOST "\r\nBREW / HTTP/1.1\r\n\r\n");
	MUST(strncmp(two, "HTTP/1.1 200 ", 13) == 0 && w->asked == 1);
	is_ours(strstr(two, "good\n") + 5, 501);
	/* 100 Continue is evhttp's, and stays */
	int fd = dial(w);
	char text[200] = "";
	say(fd, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n");
	MUST(recv(fd, text, sizeof(text) - 1, 0) > 0 && strcmp(text, "HTTP/1.1 100 Continue\r\n\r\n") == 0);
	say(fd, "hi");
	MUST(strncmp(hear(fd), "HTTP/1.1 200 ", 13) == 0);
}

static void test_garbage(void **state)
{
	struct world w = {0};
	(void)state;
	serve(&w, &web_limits_usual, garbage_client);
}

/* The one who asks for a head gets no body, or would take it for the next answer. */
static void head_client(struct world *w)
{
	char *text = ask(w, "HEAD / HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	MUST(strstr(text, "\r\nContent-Length: 5\r\n"));
	char *body = strstr(text, "\r\n\r\n") + 4;
	MUST(strncmp(body, "HTTP/1.1 200 ", 13) == 0);
	MUST(strcmp(strstr(body, "\r\n\r\n"), "\r\n\r\ngood\n") == 0);
}

static void test_head(void **state)
{
	struct world w = {0};
	(void)state;
	serve(&w, &web_limits_usual, head_client);
	assert_int_equal(w.asked, 2);
}

/* ---- limits ---- */

static void in_time(struct world *w, const char *head, const char *piece)
{
	int64_t began = mono_ms();
	struct timeval brief = {.tv_usec = 50000};
	char text[10];
	int fd = dial(w);
	ssize_t n = -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
	say(fd, head);
	while (n < 0 && mono_ms() - began < 10000) {
		say(fd, piece);
		n = recv(fd, text, sizeof(text), 0);
		if (n < 0 && errno != EAGAIN)
			n = 0; /* closed while we spoke */
	}
	MUST(n == 0);
	MUST(mono_ms() - began >= 250 && mono_ms() - began < 8000);
	close(fd);
}

static void slow_client(struct world *w)
{
	in_time(w, "", "");
	in_time(w, "GET / HTTP/1.1\r\nX: ", "x");
	in_time(w, "POST / HTTP/1.1\r\n" HOST "Content-Length: 900\r\n\r\n", "x");
	in_time(w, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n");
	MUST(w->asked == 0);
	int fd = dial(w); /* idle behind an answer */
	int64_t began = mono_ms();
	say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
	MUST(strstr(hear(fd), "good\n"));
	MUST(mono_ms() - began >= 250 && mono_ms() - began < 8000);
}

static void test_slow(void **state)
{
	static const struct web_limits limits = {.clients = 10, .of_source = 10, .head = 4096, .request_ms = 300, .idle_ms = 300};
	struct world w = {0};
	(void)state;
	serve(&w, &limits, slow_client);
}

static void crowd_client(struct world *w)
{
	int silent[5];
	for (int i = 0; i < 5; i++)
		silent[i] = dial(w);
	MUST(*hear(dial(w)) == '\0'); /* the sixth is closed without a word */
	close(silent[0]);
	char *text = "";
	for (int i = 0; i < 1000 && !*text; i++) { /* until that is seen */
		usleep(20000);
		text = ask(w, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	}
	MUST(strstr(text, "good\n"));
	for (int i = 1; i < 5; i++)
		close(silent[i]);
}

static void test_crowd(void **state)
{
	static const struct web_limits limits = {.clients = 5, .of_source = 1, .head = 4096, .request_ms = 20000, .idle_ms = 20000};
	struct world w = {0};
	(void)state;
	serve(&w, &limits, crowd_client);
}

/* Who listens to a stream may go on talking: what he says is not kept without end. */
static void talk_client(struct world *w)
{
	static char much[65536];
	struct timeval brief = {.tv_sec = 1};
	size_t total = 0, most = 64 << 20; /* far more than the sockets' own buffers */
	int fd = dial(w);
	ssize_t n = 1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof(brief));
	say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
	MUST(recv(fd, much, sizeof(much), 0) > 0);
	while (total < most && (n = send(fd, much, sizeof(much), MSG_NOSIGNAL)) > 0)
		total += (size_t)n;
	MUST(n < 0 && errno == EAGAIN && total < most);
	close(fd);
}

static void test_talk(void **state)
{
	struct world w = {0};
	(void)state;
	serve(&w, &web_limits_usual, talk_client);
}

/* ---- TLS without memory ---- */

static atomic_bool no_memory;

static void *some_or_none(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return no_memory ? NULL : malloc(n);
}

static void *more_or_none(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return no_memory ? NULL : realloc(p, n);
}

static void let_go(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

static void plain_client(struct world *w)
{
	static const char request[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
	no_memory = true;
	for (int i = 0; i < 5; i++) {
		int fd = dial(w);
		char text[100];
		say(fd, request);
		MUST(recv(fd, text, sizeof(text), 0) <= 0); /* not a byte */
		close(fd);
		fd = dial(w);
		say(fd, "nonsense, and a lot of it\r\n\r\n");
		MUST(recv(fd, text, sizeof(text), 0) <= 0);
		close(fd);
	}
	no_memory = false;
	MUST(w->asked == 0);
}

static void test_no_memory_for_tls(void **state)
{
	struct world w = {0};
	(void)state;
	assert_int_equal(certs_make("127.0.0.1"), 0);
	w.conf.cert = strdup(certs_path("ours/server.example.pem"));
	w.conf.key = strdup(certs_path("ours/server.example.key"));
	serve(&w, &web_limits_usual, plain_client);
	free(w.conf.cert);
	free(w.conf.key);
	certs_remove();
}

int main(void)
{
	if (CRYPTO_set_mem_functions(some_or_none, more_or_none, let_go) != 1)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_garbage), cmocka_unit_test(test_head), cmocka_unit_test(test_slow),
		cmocka_unit_test(test_crowd),   cmocka_unit_test(test_talk), cmocka_unit_test(test_no_memory_for_tls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
