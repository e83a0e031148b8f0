#include "tests/unit/fake_dns.h"

#include "lib/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <ldns/ldns.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct port { /* one socket: of UDP, listening, or of one TCP client */
	struct port *next;
	struct fake_dns *d;
	const char *at;
	int fd;
	bool tcp, listens;
	struct event *ev;
};

struct fake_dns {
	struct event_base *base;
	struct fake_line *table;
	struct port *ports;
};

int fake_dns_namespace(void **state)
{
	struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0)
		fail_msg("no network namespace could be made (root is needed): %s", strerror(errno));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &up), 0);
	close(fd);
	return 0;
}

/* ---- answers ---- */

static void add_records(ldns_pkt *p, ldns_pkt_section section, const char *text)
{
	char copy[4096], *save = NULL;

	if (!text)
		return;
	snprintf(copy, sizeof copy, "%s", text);
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		ldns_rr *rr = NULL;

		if (ldns_rr_new_frm_str(&rr, line, 0, NULL, NULL) != LDNS_STATUS_OK)
			fail_msg("the table has a record that is none: %s", line);
		ldns_pkt_push_rr(p, section, rr);
	}
}

static bool has(const struct fake_line *line, const char *word)
{
	return line->does && strstr(line->does, word) != NULL;
}

static ldns_pkt_rcode rcode_of(const struct fake_line *line, const ldns_pkt *question)
{
	if (has(line, "no-edns") && ldns_pkt_edns(question))
		return LDNS_RCODE_FORMERR;
	return has(line, "NXDOMAIN")   ? LDNS_RCODE_NXDOMAIN
	       : has(line, "SERVFAIL") ? LDNS_RCODE_SERVFAIL
	       : has(line, "REFUSED")  ? LDNS_RCODE_REFUSED
	       : has(line, "FORMERR")  ? LDNS_RCODE_FORMERR
	       : has(line, "NOTIMP")   ? LDNS_RCODE_NOTIMPL
				       : LDNS_RCODE_NOERROR;
}

static uint8_t *make(const struct fake_line *line, const ldns_pkt *question, bool tcp, bool other, size_t *len)
{
	ldns_pkt *p = ldns_pkt_new();
	ldns_rr *q = ldns_rr_clone(ldns_rr_list_rr(ldns_pkt_question(question), 0));
	bool cut = has(line, "cut") && !tcp;
	uint8_t *bytes = NULL;

	if (other) {
		ldns_rdf_deep_free(ldns_rr_owner(q));
		ldns_rr_set_owner(q, ldns_dname_new_frm_str("other.test."));
	}
	ldns_pkt_set_id(p, ldns_pkt_id(question));
	ldns_pkt_set_qr(p, true);
	ldns_pkt_set_aa(p, has(line, "aa"));
	ldns_pkt_set_tc(p, cut);
	ldns_pkt_set_rcode(p, rcode_of(line, question));
	ldns_pkt_push_rr(p, LDNS_SECTION_QUESTION, q);
	if (!cut && ldns_pkt_get_rcode(p) != LDNS_RCODE_FORMERR) {
		add_records(p, LDNS_SECTION_ANSWER, line->answer);
		add_records(p, LDNS_SECTION_AUTHORITY, line->authority);
	}
	assert_int_equal(ldns_pkt2wire(&bytes, p, len), LDNS_STATUS_OK);
	ldns_pkt_free(p);
	return bytes;
}

static struct fake_line *find(struct fake_dns *d, const char *at, const char *qname, uint16_t qtype)
{
	static struct fake_line refused;

	for (struct fake_line *l = d->table; l->at; l++)
		if (strcmp(l->at, at) == 0 && (!l->qname || strcasecmp(l->qname, qname) == 0) && (!l->qtype || l->qtype == qtype))
			return l;
	refused = (struct fake_line){.does = "REFUSED"};
	return &refused;
}

static void send_to(struct port *p, const struct sockaddr_storage *to, socklen_t to_len, const uint8_t *bytes, size_t len)
{
	uint8_t head[2] = {(uint8_t)(len >> 8), (uint8_t)len};

	if (!p->tcp) {
		assert_true(sendto(p->fd, bytes, len, 0, (const struct sockaddr *)to, to_len) == (ssize_t)len);
		return;
	}
	assert_true(send(p->fd, head, 2, MSG_NOSIGNAL | MSG_MORE) == 2);
	assert_true(send(p->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static void count(struct fake_line *line, const struct port *p, const ldns_pkt *q, const struct sockaddr_storage *from)
{
	unsigned port = ntohs(((const struct sockaddr_in *)from)->sin_port); /* at the same place in both families */

	line->asked++;
	line->tcp += p->tcp;
	line->recursive += ldns_pkt_rd(q);
	line->edns += ldns_pkt_edns(q);
	line->ports += port != line->last_port;
	line->last_port = port;
}

static void answer(struct port *p, const struct sockaddr_storage *from, socklen_t from_len, const uint8_t *bytes, size_t len)
{
	ldns_pkt *q = NULL;
	struct fake_line *line;
	const ldns_rr *question;
	uint8_t *out;
	size_t out_len;
	char *name;

	assert_int_equal(ldns_wire2pkt(&q, bytes, len), LDNS_STATUS_OK);
	question = ldns_rr_list_rr(ldns_pkt_question(q), 0);
	name = ldns_rdf2str(ldns_rr_owner(question));
	line = find(p->d, p->at, name, (uint16_t)ldns_rr_get_type(question));
	count(line, p, q, from);
	if (has(line, "forged") || has(line, "stale")) {
		out = make(line, q, p->tcp, true, &out_len);
		send_to(p, from, from_len, out, out_len);
		free(out);
	}
	if (has(line, "garbage")) { /* the head is fine, so that c-ares hands it over; what follows is cut */
		out = make(line, q, p->tcp, false, &out_len);
		out[7] = 9; /* so many answers are said to follow */
		send_to(p, from, from_len, out, out_len);
		free(out);
	} else if (!has(line, "silent") && !has(line, "stale")) {
		out = make(line, q, p->tcp, false, &out_len);
		send_to(p, from, from_len, out, out_len);
		free(out);
	}
	free(name);
	ldns_pkt_free(q);
}

/* ---- sockets ---- */

static void on_readable(evutil_socket_t fd, short what, void *arg);

static struct port *port_add(struct fake_dns *d, const char *at, int fd, bool tcp, bool listens)
{
	struct port *p = calloc(1, sizeof *p);

	assert_non_null(p);
	*p = (struct port){.next = d->ports, .d = d, .at = at, .fd = fd, .tcp = tcp, .listens = listens};
	p->ev = event_new(d->base, fd, EV_READ | EV_PERSIST, on_readable, p);
	event_add(p->ev, NULL);
	d->ports = p;
	return p;
}

static void port_close(struct port *p)
{
	event_del(p->ev);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct port *p = arg;
	uint8_t bytes[4096];
	struct sockaddr_storage from = {0};
	socklen_t from_len = sizeof from;
	ssize_t n;

	(void)what;
	if (p->listens) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		assert_true(client >= 0);
		port_add(p->d, p->at, client, true, false);
		return;
	}
	n = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &from_len);
	if (n <= 2) {
		if (p->tcp)
			port_close(p);
		return;
	}
	if (p->tcp) /* questions are small and come in one piece, on loopback */
		answer(p, &from, from_len, bytes + 2, (size_t)n - 2);
	else
		answer(p, &from, from_len, bytes, (size_t)n);
}

static void open_port(struct fake_dns *d, const char *at, int type)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(53)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
	bool is4 = inet_pton(AF_INET, at, &v4.sin_addr) == 1;
	int fd, one = 1;

	assert_true(is4 || inet_pton(AF_INET6, at, &v6.sin6_addr) == 1);
	fd = socket(is4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	assert_int_equal(bind(fd, is4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, is4 ? sizeof v4 : sizeof v6), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 16), 0);
	port_add(d, at, fd, type == SOCK_STREAM, type == SOCK_STREAM);
}

struct fake_dns *fake_dns_new(struct event_base *base, struct fake_line *table)
{
	struct fake_dns *d = calloc(1, sizeof *d);

	assert_non_null(d);
	*d = (struct fake_dns){.base = base, .table = table};
	for (struct fake_line *l = table; l->at; l++) {
		bool open = false;

		for (struct port *p = d->ports; p && !open; p = p->next)
			open = strcmp(p->at, l->at) == 0;
		if (open)
			continue;
		open_port(d, l->at, SOCK_DGRAM);
		open_port(d, l->at, SOCK_STREAM);
	}
	return d;
}

void fake_dns_free(struct fake_dns *d)
{
	if (!d)
		return;
	for (struct port *p; (p = d->ports);) {
		d->ports = p->next;
		port_close(p);
		event_free(p->ev);
		free(p);
	}
	free(d);
}

void fake_dns_answer(struct answer *out, const struct fake_line *line)
{
	ldns_pkt *q = NULL;
	uint8_t *bytes;
	size_t len;
	struct err err = {0};

	assert_int_equal(ldns_pkt_query_new_frm_str(&q, line->qname, line->qtype, LDNS_RR_CLASS_IN, 0), LDNS_STATUS_OK);
	bytes = make(line, q, true, false, &len);
	if (wire_parse(out, bytes, len, &err) < 0)
		fail_msg("%s", err.text);
	free(bytes);
	ldns_pkt_free(q);
}

void fake_dns_until(struct event_base *base, const unsigned *times, unsigned wanted)
{
	for (int64_t end = mono_ms() + 60000; *times < wanted;) {
		if (mono_ms() > end)
			fail_msg("waited 60 s for %u results and got %u", wanted, *times);
		event_base_loopexit(base, &(struct timeval){.tv_usec = 10000});
		event_base_loop(base, EVLOOP_ONCE);
	}
}
