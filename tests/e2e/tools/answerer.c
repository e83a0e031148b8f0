/* answerer - a service that says on which host it runs: every connection gets the line HOST, then each byte it sends back as it came.
 * usage: answerer PORT HOST          listens on 0.0.0.0 and [::]; says "ready"; runs until SIGTERM
 * A connection that is silent for IDLE_MS is reset: when addresses move, a visitor's end may arrive at the other host, and what stays
 * behind must not meet the next connection from the same port. One thread, at most CONNS_MAX connections; further ones are reset. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX  65536 /* descriptors are below it: a connection is found by its own */
#define BACKLOG    4096
#define BATCH      256
#define ACCEPT_MAX 32
#define IDLE_MS    12000
#define SWEEP_MS   1000

struct answerer {
	int epoll, listener[2];
	char banner[80];
	size_t banner_len;
	uint32_t last_ms[CONNS_MAX]; /* of the last byte, on the monotonic clock; 0: no connection */
	bool full[CONNS_MAX];        /* its peer does not read: waits to send instead of to receive */
	int highest;
};

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "answerer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	uint32_t ms = (uint32_t)((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000);
	return ms ? ms : 1;
}

static void watch(struct answerer *a, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
	if (epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		die("epoll_ctl");
}

static int listen_on(struct answerer *a, int family, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const struct sockaddr *sa = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
	int on = 1, fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		die("socket");
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		die("IPV6_V6ONLY");
	if (bind(fd, sa, len) < 0 || listen(fd, BACKLOG) < 0)
		die("listen");
	watch(a, fd);
	return fd;
}

static void reset(struct answerer *a, int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	a->last_ms[fd] = 0;
}

static void on_listener(struct answerer *a, int listener)
{
	int fd;
	/* Not to the end of the queue: connections of the other family wait too. */
	for (int i = 0; i < ACCEPT_MAX && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0; i++) {
		if (fd >= CONNS_MAX) {
			close(fd);
			continue;
		}
		if (fd > a->highest)
			a->highest = fd;
		a->last_ms[fd] = now_ms();
		a->full[fd] = false;
		watch(a, fd);
		if (send(fd, a->banner, a->banner_len, MSG_NOSIGNAL) != (ssize_t)a->banner_len)
			reset(a, fd);
	}
}

/* What could not be sent back yet stays where it was: in the socket it came from. */
static void on_conn(struct answerer *a, int fd)
{
	char in[16384];
	ssize_t n = recv(fd, in, sizeof(in), MSG_PEEK);
	if (n < 0 && errno == EAGAIN)
		return;
	ssize_t sent = n > 0 ? send(fd, in, (size_t)n, MSG_NOSIGNAL) : -1;
	bool full = n > 0 && (sent < 0 ? errno == EAGAIN : sent < n);
	if (n <= 0 || (sent < 0 && !full) || (sent > 0 && recv(fd, in, (size_t)sent, 0) != sent)) {
		reset(a, fd);
		return;
	}
	a->last_ms[fd] = now_ms();
	if (full != a->full[fd]) {
		struct epoll_event ev = {.events = full ? EPOLLOUT : EPOLLIN, .data.fd = fd};
		if (epoll_ctl(a->epoll, EPOLL_CTL_MOD, fd, &ev) < 0)
			die("epoll_ctl");
		a->full[fd] = full;
	}
}

static void sweep(struct answerer *a)
{
	uint32_t now = now_ms();
	for (int fd = 0; fd <= a->highest; fd++)
		if (a->last_ms[fd] && now - a->last_ms[fd] > IDLE_MS)
			reset(a, fd);
}

int main(int argc, char **argv)
{
	int port = argc == 3 ? atoi(argv[1]) : 0;
	if (port < 1 || port > 65535 || strlen(argv[2]) > 64) {
		fprintf(stderr, "usage: answerer PORT HOST\n");
		return 2;
	}
	struct answerer *a = calloc(1, sizeof(*a));
	if (!a)
		die("memory");
	a->banner_len = (size_t)snprintf(a->banner, sizeof(a->banner), "%s\n", argv[2]);
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		die("RLIMIT_NOFILE");
	files.rlim_cur = files.rlim_max < CONNS_MAX ? files.rlim_max : CONNS_MAX;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		die("RLIMIT_NOFILE");
	signal(SIGTERM, on_stop);
	signal(SIGINT, on_stop);
	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (a->epoll < 0)
		die("epoll_create1");
	a->listener[0] = listen_on(a, AF_INET, (uint16_t)port);
	a->listener[1] = listen_on(a, AF_INET6, (uint16_t)port);
	puts("ready");
	fflush(stdout);
	uint32_t swept = now_ms();
	while (!stopped) {
		struct epoll_event ev[BATCH];
		int n = epoll_wait(a->epoll, ev, BATCH, SWEEP_MS);
		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;
			if (fd == a->listener[0] || fd == a->listener[1])
				on_listener(a, fd);
			else
				on_conn(a, fd);
		}
		if (now_ms() - swept >= SWEEP_MS) {
			sweep(a);
			swept = now_ms();
		}
	}
	free(a);
	return 0;
}
