/* load - the load generator of the benchmark, and its clock: it drives one kind of work through a proxy and reads the processor time of
 * the proxy's processes (/proc/PID/task/TID/schedstat, in ns) right before the first measured unit and after the last.
 *
 * connect    new connections: hello, flight, one request, its reply, close; CONNS at a time, COUNT in all
 * exchange   CONNS open connections, COUNT requests over all of them, one at a time on each (bulk is one connection and one huge reply)
 * http       the same with HTTP/1.1 requests
 * idle       opens CONNS connections with one exchange each, says "ready", waits for a line on standard input, closes them
 *
 * -g says "ready" and waits for a line before the measured part: the moment to attach a tracer.
 * The result is one JSON object. Whatever goes wrong (a reset, the wrong side, 10 s without progress) ends it with status 1: half a
 * measurement is none. */
#include "tests/bench/wire.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH      256
#define STALL_MS   10000
#define OPENING    128 /* connections being opened at once where all of them are to stay */
#define PIDS_MAX   16
#define NAMES_MAX  256
#define HEAD_MAX   2048
#define SETTLE_US  20000 /* what the proxy still does after the last unit (closing) is part of the work */
#define WARM_BYTES 500
#define BULK_BYTES (256 * 1024)

enum mode { MODE_CONNECT, MODE_EXCHANGE, MODE_HTTP, MODE_IDLE };
enum state { STATE_CONNECTING, STATE_FLIGHT, STATE_REPLY, STATE_HEAD, STATE_BODY, STATE_RESTING };

struct conn {
	int fd;
	enum state state;
	unsigned name; /* of the request in flight */
	unsigned warm; /* unmeasured requests still to make */
	uint64_t want; /* bytes still to come in this state */
	bool marked;   /* the side's mark was seen and was right */
	size_t head_len;
	char *head; /* HTTP alone */
};

struct pids {
	int pid[PIDS_MAX];
	unsigned n;
};

struct load {
	enum mode mode;
	struct sockaddr_in to;
	unsigned n_conns, n_names, warm;
	unsigned n_sources; /* addresses, counted up from `from`; 0: the system's choice */
	struct sockaddr_in from;
	uint64_t count, reply_len; /* reply_len of the measured requests */
	uint64_t asked_len;        /* of the requests being sent now */
	bool gate, rotate;
	struct pids proxy, ends;

	int epoll;
	struct conn *conns;
	unsigned opened, ready;
	uint64_t issued, done;
	bool running;
	unsigned next_name;
	uint64_t proxy_ns, ends_ns, self_ns, wall_ns; /* at the start, then spent */
	unsigned char hello[NAMES_MAX][HELLO_LEN];
	char request[NAMES_MAX][1024];
	size_t request_len[NAMES_MAX];
	unsigned char record[REQUEST_LEN];
	unsigned char in[BULK_BYTES];
};

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("load: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

/* ---- the clock ---- */

static uint64_t clock_ns(clockid_t which)
{
	struct timespec t;
	clock_gettime(which, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t process_ns(int pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *d = opendir(path);
	if (!d)
		fail("process %d has gone", pid);
	uint64_t sum = 0;
	for (struct dirent *e; (e = readdir(d));) {
		char file[400];
		snprintf(file, sizeof(file), "%s/%s/schedstat", path, e->d_name);
		FILE *f = e->d_name[0] == '.' ? NULL : fopen(file, "r");
		uint64_t ns;
		if (f && fscanf(f, "%" SCNu64, &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	closedir(d);
	return sum;
}

static uint64_t pids_ns(const struct pids *p)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < p->n; i++)
		sum += process_ns(p->pid[i]);
	return sum;
}

static void clock_start(struct load *l)
{
	l->proxy_ns = pids_ns(&l->proxy);
	l->ends_ns = pids_ns(&l->ends);
	l->self_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	l->wall_ns = clock_ns(CLOCK_MONOTONIC);
}

static void clock_stop(struct load *l)
{
	l->wall_ns = clock_ns(CLOCK_MONOTONIC) - l->wall_ns;
	l->self_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - l->self_ns;
	usleep(SETTLE_US);
	l->proxy_ns = pids_ns(&l->proxy) - l->proxy_ns;
	l->ends_ns = pids_ns(&l->ends) - l->ends_ns;
}

/* ---- what is sent ---- */

static unsigned char *put16(unsigned char *p, size_t v)
{
	*p++ = (unsigned char)(v >> 8);
	*p++ = (unsigned char)v;
	return p;
}

static unsigned char *put_extension(unsigned char *p, unsigned type, const void *body, size_t len)
{
	p = put16(put16(p, type), len);
	memcpy(p, body, len);
	return p + len;
}

static void make_hello(unsigned char *hello, const char *name)
{
	static const unsigned char suites[] = {0x13, 0x02, 0x13, 0x03, 0x13, 0x01, 0xc0, 0x2c, 0xc0, 0x30, 0xc0, 0x2b, 0xc0, 0x2f};
	static const unsigned char groups[] = {0, 6, 0, 0x1d, 0, 0x17, 0, 0x18};
	static const unsigned char algorithms[] = {0, 8, 4, 3, 8, 4, 4, 1, 8, 5};
	static const unsigned char alpn[] = "\0\x0c\2h2\x8http/1.1";
	static const unsigned char versions[] = {4, 3, 4, 3, 3};
	unsigned char share[38] = {0, 36, 0, 0x1d, 0, 32}, sni[300], *p = hello;

	memset(share + 6, 0x5a, 32);
	size_t n = strlen(name);
	put16(sni, n + 3);
	sni[2] = 0;
	put16(sni + 3, n);
	memcpy(sni + 5, name, n);

	wire_record(p, 0x16, HELLO_LEN - RECORD_HEAD);
	p[2] = 1; /* the record of a first hello says TLS 1.0 */
	p += RECORD_HEAD;
	*p++ = 1;
	*p++ = 0;
	p = put16(p, HELLO_LEN - RECORD_HEAD - 4);
	p = put16(p, 0x0303);
	memset(p, 0xa5, 32);
	p += 32;
	*p++ = 32;
	memset(p, 0xc3, 32);
	p += 32;
	p = put16(p, sizeof(suites));
	memcpy(p, suites, sizeof(suites));
	p += sizeof(suites);
	*p++ = 1;
	*p++ = 0;
	unsigned char *total = p;
	p += 2;
	p = put_extension(p, 0, sni, n + 5);
	p = put_extension(p, 10, groups, sizeof(groups));
	p = put_extension(p, 13, algorithms, sizeof(algorithms));
	p = put_extension(p, 16, alpn, sizeof(alpn) - 1);
	p = put_extension(p, 43, versions, sizeof(versions));
	p = put_extension(p, 51, share, sizeof(share));
	size_t left = (size_t)(hello + HELLO_LEN - p) - 4; /* padding, as browsers and OpenSSL do */
	p = put16(put16(p, 21), left);
	memset(p, 0, left);
	put16(total, (size_t)(hello + HELLO_LEN - total) - 2);
}

static void ask_for(struct load *l, uint64_t reply_len)
{
	l->asked_len = reply_len;
	wire_put_size(l->record, reply_len);
}

static void make_requests(struct load *l)
{
	for (unsigned i = 0; i < l->n_names; i++) {
		char name[64];
		snprintf(name, sizeof(name), NAME_PATTERN, i);
		make_hello(l->hello[i], name);
		l->request_len[i] = (size_t)snprintf(
			l->request[i], sizeof(l->request[i]),
			"GET /shop/item.php?id=%04u&view=full HTTP/1.1\r\nHost: %s\r\n"
			"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
			"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
			"Accept-Encoding: gzip, deflate, br\r\nReferer: http://%s/shop/\r\n"
			"Cookie: session=5b1d9a7c3e8f4d20; lang=en\r\n\r\n",
			i, name, name);
	}
	memset(l->record, 'r', sizeof(l->record));
	wire_record(l->record, 0x17, REQUEST_LEN - RECORD_HEAD);
	ask_for(l, WARM_BYTES);
}

static void say(const struct conn *c, const void *what, size_t len)
{
	if (send(c->fd, what, len, MSG_NOSIGNAL) != (ssize_t)len)
		fail("cannot send %zu bytes: %s", len, strerror(errno));
}

/* ---- connections ---- */

static void say_ready_and_wait(void)
{
	char line[16];
	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(1); /* whoever started us has gone */
}

static void conn_open(struct load *l, struct conn *c)
{
	l->opened++;
	c->name = l->next_name++ % l->n_names;
	c->warm = l->warm;
	c->state = STATE_CONNECTING;
	c->marked = false;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;
	if (c->fd < 0 || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		fail("socket: %s", strerror(errno));
	if (l->n_sources) {
		struct sockaddr_in from = l->from;
		from.sin_addr.s_addr = htonl(ntohl(from.sin_addr.s_addr) + l->opened % l->n_sources);
		if (setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
		    bind(c->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
			fail("bind: %s", strerror(errno));
	}
	if (connect(c->fd, (struct sockaddr *)&l->to, sizeof(l->to)) < 0 && errno != EINPROGRESS)
		fail("connect: %s", strerror(errno));
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		fail("epoll_ctl: %s", strerror(errno));
}

static void ask(struct load *l, struct conn *c)
{
	if (l->mode == MODE_HTTP) {
		if (l->rotate)
			c->name = l->next_name++ % l->n_names;
		c->marked = false;
		c->head_len = 0;
		c->state = STATE_HEAD;
		say(c, l->request[c->name], l->request_len[c->name]);
		return;
	}
	c->state = STATE_REPLY;
	c->want = l->asked_len;
	say(c, l->record, REQUEST_LEN);
}

static void ask_or_rest(struct load *l, struct conn *c)
{
	c->state = STATE_RESTING;
	if (l->issued < l->count) {
		l->issued++;
		ask(l, c);
	}
}

static void all_ready(struct load *l)
{
	if (l->mode == MODE_IDLE) {
		say_ready_and_wait();
		for (unsigned i = 0; i < l->n_conns; i++)
			close(l->conns[i].fd);
		l->done = l->count;
		return;
	}
	if (l->gate)
		say_ready_and_wait();
	l->running = true;
	ask_for(l, l->reply_len);
	clock_start(l);
	for (unsigned i = 0; i < l->n_conns; i++)
		ask_or_rest(l, &l->conns[i]);
}

/* A unit of work on c is complete: what now? */
static void on_answer(struct load *l, struct conn *c)
{
	if (l->mode == MODE_CONNECT) {
		close(c->fd);
		l->done++;
		if (l->issued < l->count) {
			l->issued++;
			conn_open(l, c);
		}
	} else if (l->running) {
		l->done++;
		ask_or_rest(l, c);
	} else if (c->warm > 1) {
		c->warm--;
		ask(l, c);
	} else {
		c->state = STATE_RESTING;
		if (++l->ready == l->n_conns)
			all_ready(l);
		else if (l->opened < l->n_conns)
			conn_open(l, &l->conns[l->opened]);
	}
}

static void on_connected(struct load *l, struct conn *c)
{
	if (l->mode == MODE_HTTP) {
		ask(l, c);
		return;
	}
	c->state = STATE_FLIGHT;
	c->want = FLIGHT_LEN;
	say(c, l->hello[c->name], HELLO_LEN);
}

static void check_mark(struct conn *c, unsigned char mark)
{
	if (mark != (unsigned char)wire_mark(c->name % 2))
		fail("account %u was answered by the wrong side (mark 0x%02x)", c->name, mark);
	c->marked = true;
}

/* Returns how much of p belonged to the head; in STATE_BODY once it is whole. */
static size_t take_head(struct conn *c, const unsigned char *p, size_t n)
{
	if (!c->head && !(c->head = malloc(HEAD_MAX)))
		fail("no memory");
	size_t before = c->head_len;
	size_t part = n < HEAD_MAX - 1 - before ? n : HEAD_MAX - 1 - before;
	memcpy(c->head + before, p, part);
	c->head[before + part] = 0;
	char *end = strstr(c->head, "\r\n\r\n");
	if (!end) {
		if (part < n)
			fail("an answer's head is longer than %d bytes", HEAD_MAX);
		c->head_len += part;
		return part;
	}
	end[2] = 0;
	char *length = strcasestr(c->head, "\r\ncontent-length:");
	if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || !length)
		fail("unexpected answer: %.60s", c->head);
	c->want = strtoull(length + 17, NULL, 10);
	c->state = STATE_BODY;
	return (size_t)(end + 4 - c->head) - before;
}

static void take(struct load *l, struct conn *c, const unsigned char *p, size_t n)
{
	while (n) {
		size_t part = n;
		switch (c->state) {
		case STATE_HEAD:
			part = take_head(c, p, n);
			break;
		case STATE_FLIGHT:
			if (!c->marked && c->want + RECORD_HEAD <= FLIGHT_LEN)
				check_mark(c, p[0]);
			else if (!c->marked && c->want == FLIGHT_LEN && n > RECORD_HEAD)
				check_mark(c, p[RECORD_HEAD]);
			/* fall through */
		case STATE_REPLY:
		case STATE_BODY:
			if (c->state == STATE_BODY && !c->marked)
				check_mark(c, p[0]);
			if (part > c->want)
				part = (size_t)c->want;
			c->want -= part;
			if (c->want)
				break;
			if (c->state == STATE_FLIGHT)
				ask(l, c);
			else
				on_answer(l, c);
			if (part < n)
				fail("more bytes came than were asked for");
			return; /* c may be closed or another connection by now */
		case STATE_CONNECTING:
		case STATE_RESTING:
			fail("bytes came that nobody asked for");
		}
		p += part;
		n -= part;
	}
}

static void on_event(struct load *l, struct conn *c, uint32_t events)
{
	if (c->state == STATE_CONNECTING) {
		int err = 0;
		socklen_t len = sizeof(err);
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err)
			fail("connect: %s", strerror(err));
		if (!(events & EPOLLOUT))
			return;
		on_connected(l, c);
	}
	/* One read unless it filled the buffer: a short read has drained the socket, and a new edge tells of more. */
	for (int fd = c->fd;;) {
		ssize_t n = recv(fd, l->in, sizeof(l->in), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			fail("connection ended while %s: %s", c->state == STATE_RESTING ? "open" : "waiting",
			     n ? strerror(errno) : "end of stream");
		take(l, c, l->in, (size_t)n);
		if (n < (ssize_t)sizeof(l->in) || c->fd != fd || l->done >= l->count)
			return;
	}
}

static void run(struct load *l)
{
	if (l->mode == MODE_CONNECT) {
		if (l->gate)
			say_ready_and_wait();
		ask_for(l, l->reply_len);
		clock_start(l);
	}
	unsigned first = l->mode == MODE_CONNECT || l->n_conns < OPENING ? l->n_conns : OPENING;
	for (unsigned i = 0; i < first; i++) {
		if (l->mode == MODE_CONNECT)
			l->issued++;
		conn_open(l, &l->conns[i]);
	}
	while (l->done < l->count) {
		struct epoll_event ev[BATCH];
		int n = epoll_wait(l->epoll, ev, BATCH, STALL_MS);
		if (n == 0)
			fail("no progress for %d s (%" PRIu64 " of %" PRIu64 " done)", STALL_MS / 1000, l->done, l->count);
		if (n < 0 && errno != EINTR)
			fail("epoll_wait: %s", strerror(errno));
		for (int i = 0; i < n; i++)
			on_event(l, ev[i].data.ptr, ev[i].events);
	}
	if (l->mode == MODE_IDLE)
		return;
	clock_stop(l);
	printf("{\"units\": %" PRIu64 ", \"proxy_ns\": %" PRIu64 ", \"ends_ns\": %" PRIu64 ", \"wall_ns\": %" PRIu64 "}\n", l->count,
	       l->proxy_ns, l->ends_ns + l->self_ns, l->wall_ns);
}

static void parse_pids(struct pids *p, char *text)
{
	for (char *save, *t = strtok_r(text, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		if (p->n == PIDS_MAX)
			fail("more than %d processes", PIDS_MAX);
		p->pid[p->n++] = atoi(t);
	}
}

static void usage(void)
{
	fprintf(stderr, "usage: load connect|exchange|http|idle -a ADDRESS -p PORT -c CONNS -n COUNT [-s REPLY-BYTES] [-N NAMES]\n"
			"            [-w WARM-UP-REQUESTS] [-r (another name each request)] [-P PROXY-PIDS] [-E END-PIDS] [-g]\n"
			"            [-f FIRST-SOURCE-ADDRESS -S SOURCES]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static const char *const modes[] = {"connect", "exchange", "http", "idle"};
	struct load *l = calloc(1, sizeof(*l));
	if (!l)
		fail("no memory");
	*l = (struct load){.n_names = 16, .n_conns = 1, .count = 1, .warm = 1, .reply_len = 500, .to.sin_family = AF_INET};
	bool known = false;
	for (unsigned i = 0; argc > 1 && i < 4; i++)
		if (strcmp(argv[1], modes[i]) == 0) {
			l->mode = (enum mode)i;
			known = true;
		}
	if (!known)
		usage();
	optind = 2;
	for (int o; (o = getopt(argc, argv, "a:p:c:n:s:N:w:rP:E:gf:S:")) != -1;) {
		switch (o) {
		case 'a':
			if (inet_pton(AF_INET, optarg, &l->to.sin_addr) != 1)
				usage();
			break;
		case 'f':
			l->from.sin_family = AF_INET;
			if (inet_pton(AF_INET, optarg, &l->from.sin_addr) != 1)
				usage();
			break;
		case 'S':
			l->n_sources = (unsigned)atoi(optarg);
			break;
		case 'p':
			l->to.sin_port = htons((uint16_t)atoi(optarg));
			break;
		case 'c':
			l->n_conns = (unsigned)atoi(optarg);
			break;
		case 'n':
			l->count = strtoull(optarg, NULL, 10);
			break;
		case 's':
			l->reply_len = strtoull(optarg, NULL, 10);
			break;
		case 'N':
			l->n_names = (unsigned)atoi(optarg);
			break;
		case 'w':
			l->warm = (unsigned)atoi(optarg);
			break;
		case 'r':
			l->rotate = true;
			break;
		case 'P':
			parse_pids(&l->proxy, optarg);
			break;
		case 'E':
			parse_pids(&l->ends, optarg);
			break;
		case 'g':
			l->gate = true;
			break;
		default:
			usage();
		}
	}
	if (!l->n_conns || !l->count || !l->warm || !l->n_names || l->n_names > NAMES_MAX || !l->to.sin_port ||
	    (l->n_sources && !l->from.sin_family) || optind != argc)
		usage();
	if (l->mode == MODE_CONNECT && l->count < l->n_conns)
		l->count = l->n_conns;
	l->conns = calloc(l->n_conns, sizeof(*l->conns));
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!l->conns || l->epoll < 0)
		fail("cannot start: %s", strerror(errno));
	make_requests(l);
	run(l);
	return 0;
}
