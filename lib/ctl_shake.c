/* Peers from the network, until their certificate has said who they are. Whoever can reach the port can be one, so there are few places,
 * a place is lent for a few seconds, and when all are taken the source that has most of them loses its oldest: who stalls many
 * handshakes crowds out himself. */
#include "lib/ctl_parts.h"

#include "lib/log.h"
#include "lib/tls.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Lines about strangers: anybody can cause them, so they are counted after the first ones of each time span. */
#define SAID_MAX    20
#define SAID_SPAN_S 10

/* A host that is gone without a word: after 10 s of silence it is asked every 5 s, 4 times. An answer that it does not acknowledge for as
 * long ends the connection too. */
#define KEEP_IDLE_S  10
#define KEEP_EACH_S  5
#define KEEP_TRIES   4
#define SILENT_S     (KEEP_IDLE_S + KEEP_EACH_S * KEEP_TRIES)
#define BACKLOG      128
#define ADDRESS_FORM "tls://ADDRESS:PORT or tls://[IPv6]:PORT"

struct ctl_shake {
	struct ctl_shake *next, **link;
	struct ctl_server *server;
	struct bufferevent *bev;
	struct event timer;
	struct addr peer;
};

static int tls_address(struct addr *out, const char *address, struct err *err)
{
	if (strncmp(address, "tls://", 6) != 0 || !addr_parse_port(out, address + 6) || addr_port(out) == 0)
		return err_set(err, -EINVAL, "control address: found %s, expected " ADDRESS_FORM, LOG_QUOTED(address, strlen(address)));
	return 0;
}

int ctl_shake_open(const char *address, const struct tls *tls, int *fd, struct err *err)
{
	const int on = 1, idle = KEEP_IDLE_S, each = KEEP_EACH_S, tries = KEEP_TRIES;
	const unsigned silent = SILENT_S * 1000;
	struct addr a;
	int rc = tls_address(&a, address, err);
	if (rc < 0)
		return rc;
	if (!tls)
		return err_set(err, -EINVAL, "%s: found no certificates to use there, expected those of the section tls", address);
	*fd = socket(addr_family(&a), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return err_errno(err, -errno, "socket");
	/* What is accepted inherits all of these. */
	setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(*fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(*fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(*fd, IPPROTO_TCP, TCP_KEEPINTVL, &each, sizeof(each));
	setsockopt(*fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
	setsockopt(*fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent, sizeof(silent));
	setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (addr_family(&a) == AF_INET6)
		setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(*fd, &a.sa, addr_len(&a)) < 0 || listen(*fd, BACKLOG) < 0)
		return err_errno(err, -errno, "%s: cannot listen", address);
	return 0;
}

/* ---- one of them ---- */

static bool may_say(struct ctl_server *s)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec - s->said_since >= SAID_SPAN_S) {
		if (s->unsaid)
			log_warn("control: refused %u more peers of the network", s->unsaid);
		s->said = s->unsaid = 0;
		s->said_since = now.tv_sec;
	}
	if (s->said < SAID_MAX) {
		s->said++;
		return true;
	}
	s->unsaid++;
	return false;
}

static void take_out(struct ctl_shake *k)
{
	*k->link = k->next;
	if (k->next)
		k->next->link = k->link;
	k->server->n_shakes--;
	evtimer_del(&k->timer);
	free(k);
}

void ctl_shake_free(struct ctl_shake *k)
{
	bufferevent_free(k->bev);
	take_out(k);
}

static void refuse(struct ctl_shake *k, const char *why)
{
	char peer[ADDR_TEXT_MAX];
	if (may_say(k->server))
		log_warn("control: refused peer=%s, %s", addr_text_port(&k->peer, peer), why);
	ctl_shake_free(k);
}

/* The certificate is good: from here on this is a connection like any other. */
static void let_in(struct ctl_shake *k)
{
	struct ctl_server *s = k->server;
	struct bufferevent *bev = k->bev;
	char subject[TLS_TEXT_MAX], address[ADDR_TEXT_MAX], text[CTL_PEER_MAX], line[CTL_REFUSAL_MAX];
	addr_text_port(&k->peer, address);
	take_out(k);
	if (ctl_has_room(s, true)) {
		snprintf(text, sizeof(text), "certificate %.160s at %s", tls_subject(bev, subject), address);
		ctl_conn_new(s, bev, text);
		return;
	}
	snprintf(text, sizeof(text), "all %d control connections are taken", CTL_CONNECTIONS);
	tls_last_words(bev, line, ctl_refusal(line, text));
	bufferevent_free(bev);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	char why[TLS_TEXT_MAX];
	if (what & BEV_EVENT_CONNECTED)
		let_in(arg);
	else
		refuse(arg, tls_why(bev, why));
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_shake *k = arg;
	char why[64];
	(void)fd;
	(void)what;
	snprintf(why, sizeof(why), "its handshake was not finished within %d ms", k->server->opt.handshake_timeout_ms);
	refuse(k, why);
}

/* ---- places ---- */

/* An IPv6 host has its /64 for itself. */
static bool same_source(const struct addr *a, const struct addr *b)
{
	if (addr_family(a) == AF_INET6 && addr_family(b) == AF_INET6)
		return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 8) == 0;
	return addr_same_ip(a, b);
}

static void make_place(struct ctl_server *s)
{
	struct ctl_shake *loser = s->shakes;
	unsigned most = 0;
	for (struct ctl_shake *k = s->shakes; k; k = k->next) { /* from the newest to the oldest */
		unsigned n = 0;
		for (const struct ctl_shake *other = s->shakes; other; other = other->next)
			n += same_source(&k->peer, &other->peer);
		if (n >= most) {
			most = n;
			loser = k;
		}
	}
	refuse(loser, "it gave way to another one: all handshakes' places are taken");
}

void ctl_shake_start(struct ctl_server *s, int fd, const struct addr *peer)
{
	struct timeval tv = {s->opt.handshake_timeout_ms / 1000, (s->opt.handshake_timeout_ms % 1000) * 1000};
	if (s->n_shakes == CTL_HANDSHAKES)
		make_place(s);
	struct ctl_shake *k = calloc(1, sizeof(*k));
	if (!k) {
		close(fd);
		return;
	}
	k->bev = tls_accept(s->opt.tls, s->base, fd);
	if (!k->bev) {
		free(k);
		return;
	}
	k->server = s;
	k->peer = *peer;
	k->link = &s->shakes;
	k->next = s->shakes;
	if (k->next)
		k->next->link = &k->next;
	s->shakes = k;
	s->n_shakes++;
	evtimer_assign(&k->timer, s->base, on_timeout, k);
	evtimer_add(&k->timer, &tv);
	bufferevent_setcb(k->bev, NULL, NULL, on_event, k);
}
