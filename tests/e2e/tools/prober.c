/* prober - is anything lost while addresses move? It connects at a fixed rate whatever the answers do (open loop), keeps long
 * connections, and sends echo requests; what it has seen is one JSON object on standard output and lines on standard error.
 *
 *   attempt       a TCP connection that ends when the banner of tools/answerer.c has been read: ok within SLOW_MS, else slow;
 *                 lost when it is refused, reset, closed, unreachable, or still without banner after TIMEOUT_MS
 *   long          sends a line of 9 bytes every LONG_MS and wants it back: survived, reset, or hanging (open, but lines are out)
 *   echo          ICMP, ICMPv6 echo requests (-i) at the rate of the attempts: what no reply has come to is lost
 *   interruption  the longest time between two answers (ok or slow) in a row, in ms, the begin and the end of the run included.
 *                 It cannot be finer than the rate (one address at 1000/s: 1-2 ms), nor than late_ms: how late the prober
 *                 itself ever was
 *   away          a turn of the prober that took AWAY_MS, usually for want of a processor: answers may have lain there. What
 *                 it took is not counted in how long attempts take, nor in interruptions
 *
 * Attempts go to the addresses in turn. Source ports are taken in order, so that none comes back before PORTS further attempts
 * on its address were made: an old connection that the other host still holds would answer a new one with nonsense. Attempts
 * end by reset (no TIME_WAIT), or with -f by FIN. Says "running" once every address has answered. SIGTERM ends it early; then
 * it still waits for what is under way, TIMEOUT_MS at the most. All memory is taken at the start; where the limit of
 * descriptors is too low for attempts of TIMEOUT_MS each, the oldest are given up earlier. */
#include "tests/e2e/tools/prober.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SLOW_MS         500
#define TIMEOUT_MS      3000
#define LONG_MS         50
#define AWAY_MS         10 /* a turn takes TICK_NS */
#define LINE_LEN        9
#define TARGETS_MAX     1024
#define LONGS_MAX       8192
#define RATE_MAX        20000
#define SECONDS_MAX     600
#define PORT_FIRST      1100 /* above the range that shunt-proxy keeps for itself */
#define PORTS           30000
#define PORT_TRIES      64
#define BATCH           512
#define DESCRIPTORS_OWN 64
#define DESCRIPTORS_MIN 1024
#define TICK_NS         1000000

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("prober: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static void clock_read(struct prober *p)
{
	struct timespec t;
	uint64_t before = p->now;
	clock_gettime(CLOCK_MONOTONIC, &t);
	p->now = ((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec - p->start_ns) / 1000;
	if (p->now - before < AWAY_MS * 1000)
		p->awake += p->now - before;
}

static void watch(struct prober *p, int fd, void *what)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = what};
	if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		fail("epoll_ctl: %s", strerror(errno));
}

static void gap_mark(struct gap *g, const struct prober *p)
{
	if (g->over)
		return;
	if (p->awake - g->last_awake > g->longest) {
		g->longest = p->awake - g->last_awake;
		g->at = g->last;
	}
	g->last = p->now;
	g->last_awake = p->awake;
}

static void gap_end(struct gap *g, const struct prober *p)
{
	gap_mark(g, p);
	g->over = true;
}

/* ---- attempts ---- */

static enum lost lost_why(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return LOST_REFUSED;
	case ECONNRESET:
	case EPIPE:
		return LOST_RESET;
	case ETIMEDOUT:
		return LOST_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EACCES:
		return LOST_UNREACHABLE;
	default:
		return LOST_OTHER;
	}
}

static void attempt_end(struct prober *p, struct attempt *a)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	if (!p->fin)
		setsockopt(a->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(a->fd);
	a->fd = -1;
	while (p->oldest < p->issued && p->ring[p->oldest % p->ring_len].fd < 0)
		p->oldest++;
}

static void attempt_lost(struct prober *p, struct attempt *a, int error)
{
	a->target->lost[lost_why(error)]++;
	attempt_end(p, a);
}

static void answered_by(struct target *t, const char *name, size_t len, uint64_t now)
{
	struct host *h = t->n_hosts ? &t->host[t->n_hosts - 1] : NULL;
	if (!h || strlen(h->name) != len || memcmp(h->name, name, len) != 0) {
		if (t->n_hosts == HOSTS_MAX) {
			t->hosts_cut++;
			return;
		}
		h = &t->host[t->n_hosts++];
		memcpy(h->name, name, len);
		h->from = now;
	}
	h->to = now;
	h->count++;
}

static void attempt_answered(struct prober *p, struct attempt *a, char *line, size_t len)
{
	struct target *t = a->target;
	uint64_t took = p->awake - a->began;
	if (len > NAME_MAX_LEN)
		len = NAME_MAX_LEN;
	for (size_t i = 0; i < len; i++)
		if (line[i] < '!' || line[i] > '~' || line[i] == '"' || line[i] == '\\')
			line[i] = '?';
	answered_by(t, line, len, p->now);
	gap_mark(&t->gap, p);
	if (took > t->slowest)
		t->slowest = took;
	if (took > SLOW_MS * 1000)
		t->slow++;
	else
		t->ok++;
	attempt_end(p, a);
}

static int socket_open(int family)
{
	int on = 1, fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		fail("socket: %s", strerror(errno));
	return fd;
}

/* Connects from the next source port that is free: a socket, and in *error what connect() has said, 0 while it is under way. */
static int socket_to(const struct prober *p, struct target *t, int *error)
{
	struct address from = p->from[t->to.sa.sa_family == AF_INET6];
	for (unsigned tries = 0; tries < PORT_TRIES; tries++) {
		int fd = socket_open(t->to.sa.sa_family);
		in_port_t port = htons((uint16_t)(PORT_FIRST + t->next_port));
		t->next_port = (t->next_port + 1) % PORTS;
		if (from.sa.sa_family == AF_INET)
			from.v4.sin_port = port;
		else
			from.v6.sin6_port = port;
		*error = 0;
		if (bind(fd, &from.sa, from.len) < 0 || connect(fd, &t->to.sa, t->to.len) < 0)
			*error = errno == EINPROGRESS ? 0 : errno;
		if (*error != EADDRINUSE && *error != EADDRNOTAVAIL)
			return fd;
		close(fd);
	}
	fail("no free source port towards %s", t->text);
}

static void attempt_start(struct prober *p)
{
	struct attempt *a = &p->ring[p->issued % p->ring_len];
	if (p->issued - p->oldest == p->ring_len)
		attempt_lost(p, a, ETIMEDOUT);
	struct target *t = &p->targets[p->issued % p->n_targets];
	p->issued++;
	*a = (struct attempt){.kind = KIND_ATTEMPT, .target = t, .began = p->awake};
	t->attempts++;
	int error;
	a->fd = socket_to(p, t, &error);
	if (error)
		attempt_lost(p, a, error);
	else
		watch(p, a->fd, a);
}

static void on_attempt(struct prober *p, struct attempt *a)
{
	char line[128];
	if (a->fd < 0)
		return;
	ssize_t n = recv(a->fd, line, sizeof(line), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		attempt_lost(p, a, n == 0 ? ECONNRESET : errno);
		return;
	}
	char *end = memchr(line, '\n', (size_t)n);
	attempt_answered(p, a, line, end ? (size_t)(end - line) : (size_t)n);
}

/* All attempts have the same patience, so the oldest runs out first. */
static void attempts_expire(struct prober *p)
{
	while (p->oldest < p->issued) {
		struct attempt *a = &p->ring[p->oldest % p->ring_len];
		if (p->awake - a->began < TIMEOUT_MS * 1000)
			return;
		attempt_lost(p, a, ETIMEDOUT);
	}
}

/* ---- long connections ---- */

/* What comes back must be what was sent: the byte at this offset of the lines. */
static char line_byte(uint64_t offset)
{
	char line[32];
	snprintf(line, sizeof(line), "%08" PRIu64 "\n", offset / LINE_LEN % 100000000);
	return line[offset % LINE_LEN];
}

static void long_end(struct longer *l)
{
	close(l->fd);
	l->fd = -1;
}

static void long_heard(struct prober *p, struct longer *l)
{
	uint64_t silent = l->heard ? p->now - l->heard : 0;
	if (silent > l->target->stall)
		l->target->stall = silent;
	l->heard = p->now;
}

static void on_long(struct prober *p, struct longer *l)
{
	char in[4096];
	if (l->fd < 0)
		return;
	ssize_t n = recv(l->fd, in, sizeof(in), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		long_end(l);
		return;
	}
	ssize_t i = 0;
	for (; i < n && !l->open; i++)
		l->open = in[i] == '\n';
	long_heard(p, l);
	for (; i < n; i++)
		if (in[i] != line_byte(l->back++))
			l->wrong = true;
}

static void longs_send(struct prober *p)
{
	for (unsigned i = 0; i < p->n_longs * p->n_targets; i++) {
		struct longer *l = &p->longs[i];
		char line[LINE_LEN];
		if (l->fd < 0 || !l->open || p->now < l->next)
			continue;
		l->next = p->now + LONG_MS * 1000;
		for (size_t k = 0; k < LINE_LEN; k++)
			line[k] = line_byte(l->sent + k);
		ssize_t n = send(l->fd, line, LINE_LEN, MSG_NOSIGNAL);
		if (n == LINE_LEN)
			l->sent += LINE_LEN;
		else if (n >= 0 || errno != EAGAIN) /* a cut line would spoil the count of what is to come back */
			long_end(l);
	}
}

static void longs_start(struct prober *p)
{
	for (unsigned i = 0; i < p->n_longs * p->n_targets; i++) {
		struct longer *l = &p->longs[i];
		struct target *t = &p->targets[i % p->n_targets];
		*l = (struct longer){.kind = KIND_LONG, .target = t};
		int error;
		l->fd = socket_to(p, t, &error);
		if (error)
			long_end(l);
		else
			watch(p, l->fd, l);
	}
}

bool long_hangs(const struct longer *l)
{
	return l->fd >= 0 && (!l->open || l->back < l->sent);
}

/* ---- echo requests ---- */

struct ping { /* ICMP and ICMPv6 agree on the head of an echo */
	uint8_t type, code;
	uint16_t sum, ident, seq;
	uint32_t target;
};

static uint16_t checksum(const void *data, size_t len)
{
	const unsigned char *c = data;
	uint32_t sum = 0;
	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)c[i] << 8 | c[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void echo_send(struct prober *p)
{
	unsigned n = (unsigned)(p->echoes++ % p->n_targets);
	struct target *t = &p->targets[n];
	struct echo *e = t->echo;
	bool v6 = t->to.sa.sa_family == AF_INET6;
	uint16_t seq = (uint16_t)e->sent++;
	struct ping ping = {.type = v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO, .ident = p->ident, .seq = htons(seq), .target = htonl(n)};
	struct address to = t->to;
	if (v6)
		to.v6.sin6_port = 0;
	else
		ping.sum = checksum(&ping, sizeof(ping));
	e->out[seq / 64] |= UINT64_C(1) << seq % 64;
	/* A full buffer loses it, as any hop may: that is what is counted. */
	sendto(p->icmp_fd[v6], &ping, sizeof(ping), MSG_DONTWAIT, &to.sa, to.len);
}

static void on_echo(struct prober *p, bool v6)
{
	char in[256];
	ssize_t n;
	for (int i = 0; i < BATCH && (n = recv(p->icmp_fd[v6], in, sizeof(in), MSG_DONTWAIT)) >= 0; i++) {
		size_t head = v6 ? 0 : (size_t)(in[0] & 15) * 4;
		struct ping ping;
		if ((size_t)n < head + sizeof(ping))
			continue;
		memcpy(&ping, in + head, sizeof(ping));
		uint32_t at = ntohl(ping.target);
		uint16_t seq = ntohs(ping.seq);
		if (ping.ident != p->ident || at >= p->n_targets || ping.type != (v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY))
			continue;
		struct echo *e = p->targets[at].echo;
		if (e->out[seq / 64] >> seq % 64 & 1) {
			e->out[seq / 64] &= ~(UINT64_C(1) << seq % 64);
			e->replied++;
			gap_mark(&e->gap, p);
		} else {
			e->doubled++;
		}
	}
}

static void echo_open(struct prober *p)
{
	static enum kind kinds[2] = {KIND_ECHO4, KIND_ECHO6};
	struct icmp_filter v4 = {~(1u << ICMP_ECHOREPLY)};
	struct icmp6_filter v6;
	int room = 4 << 20;
	ICMP6_FILTER_SETBLOCKALL(&v6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &v6);
	p->icmp_fd[0] = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	p->icmp_fd[1] = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	if (p->icmp_fd[0] < 0 || p->icmp_fd[1] < 0 || setsockopt(p->icmp_fd[0], SOL_RAW, ICMP_FILTER, &v4, sizeof(v4)) < 0 ||
	    setsockopt(p->icmp_fd[1], IPPROTO_ICMPV6, ICMP6_FILTER, &v6, sizeof(v6)) < 0)
		fail("raw sockets for echo requests: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		setsockopt(p->icmp_fd[i], SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
		setsockopt(p->icmp_fd[i], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
		watch(p, p->icmp_fd[i], &kinds[i]);
	}
	if (bind(p->icmp_fd[0], &p->from[0].sa, p->from[0].len) < 0 || bind(p->icmp_fd[1], &p->from[1].sa, p->from[1].len) < 0)
		fail("raw sockets: %s", strerror(errno));
	p->ident = htons((uint16_t)getpid());
}

/* ---- the run ---- */

static void say_running(struct prober *p)
{
	for (unsigned i = 0; i < p->n_targets; i++)
		if (!p->targets[i].n_hosts)
			return;
	fputs("running\n", stderr);
	p->said = true;
}

static void on_tick(struct prober *p, bool more)
{
	uint64_t passed;
	if (read(p->timer, &passed, sizeof(passed)) != sizeof(passed))
		return;
	attempts_expire(p);
	if (!more)
		return;
	uint64_t due = p->now * p->rate / 1000000 + 1;
	if ((passed - 1) * (TICK_NS / 1000) > p->late)
		p->late = (passed - 1) * (TICK_NS / 1000);
	while (p->issued < due)
		attempt_start(p);
	while (p->icmp && p->echoes < due)
		echo_send(p);
	longs_send(p);
	if (!p->said)
		say_running(p);
}

static void turn(struct prober *p, bool more)
{
	struct epoll_event ev[BATCH];
	int n = epoll_wait(p->epoll, ev, BATCH, 100);
	clock_read(p);
	for (int i = 0; i < n; i++)
		switch (*(enum kind *)ev[i].data.ptr) {
		case KIND_TIMER:
			on_tick(p, more);
			break;
		case KIND_ATTEMPT:
			on_attempt(p, ev[i].data.ptr);
			break;
		case KIND_LONG:
			on_long(p, ev[i].data.ptr);
			break;
		case KIND_ECHO4:
			on_echo(p, false);
			break;
		case KIND_ECHO6:
			on_echo(p, true);
			break;
		}
}

static bool under_way(const struct prober *p)
{
	for (unsigned i = 0; i < p->n_longs * p->n_targets; i++)
		if (long_hangs(&p->longs[i]))
			return true;
	for (unsigned i = 0; p->icmp && i < p->n_targets; i++)
		if (p->targets[i].echo->replied < p->targets[i].echo->sent)
			return true;
	return p->oldest < p->issued;
}

static void run(struct prober *p)
{
	static enum kind timer = KIND_TIMER;
	struct itimerspec tick = {.it_interval.tv_nsec = TICK_NS, .it_value.tv_nsec = TICK_NS};
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	uint64_t began_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	clock_gettime(CLOCK_MONOTONIC, &t);
	p->start_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (p->timer < 0 || timerfd_settime(p->timer, 0, &tick, NULL) < 0)
		fail("timer: %s", strerror(errno));
	watch(p, p->timer, &timer);
	longs_start(p);
	while (!stopped && p->now < p->seconds * UINT64_C(1000000))
		turn(p, true);
	uint64_t end = p->awake;
	for (unsigned i = 0; i < p->n_targets; i++) {
		gap_end(&p->targets[i].gap, p);
		if (p->icmp)
			gap_end(&p->targets[i].echo->gap, p);
	}
	while (under_way(p) && p->awake < end + TIMEOUT_MS * 1000)
		turn(p, false);
	for (unsigned i = 0; i < p->n_longs * p->n_targets; i++)
		if (long_hangs(&p->longs[i]))
			long_heard(p, &p->longs[i]);
	report(p, began_ms);
}

static struct address address_read(const char *text, unsigned port)
{
	struct address a = {.sa.sa_family = AF_UNSPEC};
	if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1) {
		a.sa.sa_family = AF_INET;
		a.len = sizeof(a.v4);
		a.v4.sin_port = htons((uint16_t)port);
	} else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1) {
		a.sa.sa_family = AF_INET6;
		a.len = sizeof(a.v6);
		a.v6.sin6_port = htons((uint16_t)port);
	} else {
		fail("%s is no address", text);
	}
	return a;
}

static void target_init(struct prober *p, struct target *t, const char *text)
{
	t->to = address_read(text, p->port);
	snprintf(t->text, sizeof(t->text), "%s", text);
	if (p->icmp && !(t->echo = calloc(1, sizeof(*t->echo))))
		fail("no memory");
}

static void prepare(struct prober *p)
{
	unsigned n_longs = p->n_longs * p->n_targets;
	p->ring_len = (uint64_t)p->rate * (TIMEOUT_MS + 1000) / 1000 + 1024;
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_max < n_longs + DESCRIPTORS_MIN)
		fail("%u long connections need more descriptors than this process may have", n_longs);
	if (files.rlim_max < p->ring_len + n_longs + DESCRIPTORS_OWN)
		p->ring_len = files.rlim_max - n_longs - DESCRIPTORS_OWN;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		fail("descriptors: %s", strerror(errno));
	p->ring = calloc(p->ring_len, sizeof(*p->ring));
	p->longs = calloc((size_t)n_longs + 1, sizeof(*p->longs));
	if (!p->ring || !p->longs)
		fail("no memory");
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0)
		fail("epoll: %s", strerror(errno));
	if (p->icmp)
		echo_open(p);
	signal(SIGTERM, on_stop);
	signal(SIGINT, on_stop);
}

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr,
		"usage: prober [-p PORT] [-r ATTEMPTS-PER-SECOND] [-l LONG-PER-ADDRESS] [-s SECONDS] [-b FROM].. [-i] [-f] ADDRESS..\n"
		"  -r of all addresses together (1000; up to 20000), -b ADDRESS to come from (one of each family),\n"
		"  -i echo requests too, -f ends attempts by FIN instead of reset\n");
	exit(2);
}

static unsigned number(const char *text, unsigned min, unsigned max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (!*text || *end || n < min || n > max)
		usage();
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	struct prober p = {.port = 7000, .rate = 1000, .seconds = SECONDS_MAX, .from = {address_read("0.0.0.0", 0), address_read("::", 0)}};
	for (int o; (o = getopt(argc, argv, "p:r:l:s:b:if")) != -1;)
		switch (o) {
		case 'p':
			p.port = number(optarg, 1, 65535);
			break;
		case 'r':
			p.rate = number(optarg, 1, RATE_MAX);
			break;
		case 'l':
			p.n_longs = number(optarg, 0, LONGS_MAX);
			break;
		case 's':
			p.seconds = number(optarg, 1, SECONDS_MAX);
			break;
		case 'b': {
			struct address from = address_read(optarg, 0);
			p.from[from.sa.sa_family == AF_INET6] = from;
			break;
		}
		case 'i':
			p.icmp = true;
			break;
		case 'f':
			p.fin = true;
			break;
		default:
			usage();
		}
	p.n_targets = (unsigned)(argc - optind);
	if (p.n_targets < 1 || p.n_targets > TARGETS_MAX || p.n_longs * p.n_targets > LONGS_MAX)
		usage();
	p.targets = calloc(p.n_targets, sizeof(*p.targets));
	if (!p.targets)
		fail("no memory");
	for (unsigned i = 0; i < p.n_targets; i++)
		target_init(&p, &p.targets[i], argv[optind + (int)i]);
	prepare(&p);
	run(&p);
	for (unsigned i = 0; i < p.n_targets; i++)
		free(p.targets[i].echo);
	free(p.targets);
	free(p.ring);
	free(p.longs);
	return 0;
}
