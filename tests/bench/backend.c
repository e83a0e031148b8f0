/* backend - the servers behind the proxy in the benchmark: two addresses (client side, transit side), each with a TLS-shaped and an
 * HTTP/1.1 port. One thread, edge-triggered epoll; it does as little as it can, since it shares a processor with the load generator.
 * usage: backend TLS-PORT HTTP-PORT CLIENT-ADDRESS TRANSIT-ADDRESS        prints "ready" once it listens */
#include "tests/bench/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_LEN (256 * 1024)
#define BATCH   256

enum kind { KIND_LISTEN_TLS, KIND_LISTEN_HTTP, KIND_TLS, KIND_HTTP };

struct conn {
	int fd;
	enum kind kind;
	unsigned side;
	uint64_t owed;  /* bytes of TLS-shaped reply still to send */
	size_t flight;  /* bytes of the flight still to send, or of the HTTP reply in hand */
	unsigned asked; /* HTTP requests not yet answered */
	size_t got;     /* bytes of the hello or the request so far; HTTP: how much of the empty line has matched */
	bool greeted;
	unsigned char request[REQUEST_LEN];
};

struct backend {
	int epoll;
	unsigned char in[64 * 1024];
	unsigned char out[OUT_LEN];
	unsigned char flight[2][FLIGHT_LEN];
	char answer[2][2048];
	size_t answer_len;
};

static void die(const char *what)
{
	fprintf(stderr, "backend: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(struct backend *b, struct conn *c, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};
	if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		die("epoll_ctl");
}

static void listen_on(struct backend *b, const char *address, const char *port, enum kind kind, unsigned side)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	if (inet_pton(AF_INET, address, &sa.sin_addr) != 1) {
		fprintf(stderr, "backend: %s is no IPv4 address\n", address);
		exit(2);
	}
	struct conn *c = calloc(1, sizeof(*c));
	if (!c)
		die("memory");
	c->kind = kind;
	c->side = side;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;
	if (c->fd < 0 || setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 || bind(c->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(c->fd, 4096) < 0)
		die(address);
	watch(b, c, EPOLLIN);
}

static void prepare(struct backend *b)
{
	memset(b->out, 'x', sizeof(b->out));
	for (size_t at = 0; at < sizeof(b->out); at += 16384)
		wire_record(b->out + at, 0x17, 16384 - RECORD_HEAD);
	for (unsigned side = 0; side < 2; side++) {
		memset(b->flight[side], 'f', FLIGHT_LEN);
		wire_record(b->flight[side], 0x16, FLIGHT_LEN - RECORD_HEAD);
		b->flight[side][RECORD_HEAD] = (unsigned char)wire_mark(side);
		int head = snprintf(b->answer[side], sizeof(b->answer[side]),
				    "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Tue, 01 Sep 2026 10:00:00 GMT\r\n"
				    "Content-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n"
				    "Cache-Control: max-age=60\r\nETag: \"5f-60a1b2c3\"\r\n\r\n",
				    BODY_LEN);
		memset(b->answer[side] + head, 'b', BODY_LEN);
		b->answer[side][head] = wire_mark(side);
		b->answer_len = (size_t)head + BODY_LEN;
	}
}

static void take_tls(struct conn *c, const unsigned char *p, size_t n)
{
	while (n) {
		size_t need = (c->greeted ? REQUEST_LEN : HELLO_LEN) - c->got;
		size_t part = n < need ? n : need;
		if (c->greeted)
			memcpy(c->request + c->got, p, part);
		c->got += part;
		p += part;
		n -= part;
		if (part < need)
			return;
		c->got = 0;
		if (c->greeted)
			c->owed += wire_get_size(c->request);
		else
			c->flight = FLIGHT_LEN;
		c->greeted = true;
	}
}

static void take_http(struct conn *c, const unsigned char *p, size_t n)
{
	static const char end[] = "\r\n\r\n";
	for (size_t i = 0; i < n; i++) {
		if (p[i] == (unsigned char)end[c->got])
			c->got++;
		else
			c->got = p[i] == '\r';
		if (c->got == 4) {
			c->got = 0;
			c->asked++;
		}
	}
}

/* 1: all is sent, 0: the socket is full, -1: the peer has gone */
static int flush(struct backend *b, struct conn *c)
{
	for (;;) {
		const void *from = NULL;
		size_t len = 0;
		if (c->kind == KIND_HTTP && !c->flight && c->asked) {
			c->asked--;
			c->flight = b->answer_len;
		}
		if (c->flight) {
			len = c->flight;
			from = c->kind == KIND_HTTP ? (void *)(b->answer[c->side] + b->answer_len - len)
						    : (void *)(b->flight[c->side] + FLIGHT_LEN - len);
		} else if (c->owed) {
			len = c->owed < OUT_LEN ? (size_t)c->owed : OUT_LEN;
			from = b->out;
		} else {
			return 1;
		}
		ssize_t n = send(c->fd, from, len, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		if (c->flight)
			c->flight -= (size_t)n;
		else
			c->owed -= (uint64_t)n;
	}
}

static void end(struct conn *c)
{
	close(c->fd);
	free(c);
}

static void on_conn(struct backend *b, struct conn *c)
{
	for (;;) {
		ssize_t n = recv(c->fd, b->in, sizeof(b->in), 0);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			end(c);
			return;
		}
		if (c->kind == KIND_TLS)
			take_tls(c, b->in, (size_t)n);
		else
			take_http(c, b->in, (size_t)n);
		if (flush(b, c) < 0) {
			end(c);
			return;
		}
	}
	if (flush(b, c) < 0)
		end(c);
}

static void on_listener(struct backend *b, const struct conn *l)
{
	int fd;
	while ((fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = calloc(1, sizeof(*c));
		if (!c)
			die("memory");
		c->fd = fd;
		c->kind = l->kind == KIND_LISTEN_TLS ? KIND_TLS : KIND_HTTP;
		c->side = l->side;
		watch(b, c, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		die("accept");
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: backend TLS-PORT HTTP-PORT CLIENT-ADDRESS TRANSIT-ADDRESS\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	struct backend *b = calloc(1, sizeof(*b));
	if (!b)
		die("memory");
	b->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (b->epoll < 0)
		die("epoll_create1");
	prepare(b);
	for (unsigned side = 0; side < 2; side++) {
		listen_on(b, argv[3 + side], argv[1], KIND_LISTEN_TLS, side);
		listen_on(b, argv[3 + side], argv[2], KIND_LISTEN_HTTP, side);
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct epoll_event ev[BATCH];
		int n = epoll_wait(b->epoll, ev, BATCH, -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;
			if (c->kind <= KIND_LISTEN_HTTP)
				on_listener(b, c);
			else
				on_conn(b, c);
		}
	}
}
