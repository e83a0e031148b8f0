#include "proxy/dial.h"

#include "proxy/listener.h"
#include "proxy/worker.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define CROWDED_MS 1000
#define HIGH_FIRST 1024 /* below the ports that systems choose by themselves, 32768 on: a visitor is least likely to come from here */
#define HIGH_LAST  32767
#define HIGH_TRIES 32

void dialer_init(struct dialer *d, unsigned worker, unsigned n_workers)
{
	*d = (struct dialer){.next = DIAL_PORTS / n_workers * worker, .diag = -1, .seed = 0x9e3779b97f4a7c15u * (worker + 1)};
}

void dialer_done(struct dialer *d)
{
	if (d->diag >= 0)
		close(d->diag);
	d->diag = -1;
}

uint16_t dial_high_port(struct dialer *d)
{
	d->seed ^= d->seed << 13; /* xorshift: spread out is all it has to be */
	d->seed ^= d->seed >> 7;
	d->seed ^= d->seed << 17;
	return (uint16_t)(HIGH_FIRST + d->seed % (HIGH_LAST - HIGH_FIRST + 1));
}

/* ---- one attempt ---- */

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

/* A socket with its mark and, where from is given, its own end; connecting. from's port 0: the kernel picks one that is free. */
static int attempt(uint32_t mark, const struct addr *from, const struct addr *to)
{
	bool v6 = addr_family(to) == AF_INET6;
	int fd = socket(addr_family(to), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return -errno;
	if (mark)
		rc = set(fd, SOL_SOCKET, SO_MARK, (int)mark);
	if (rc == 0 && from) {
		rc = v6 ? set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1) : set(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
		if (rc == 0)
			rc = set(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* many connections share a port: the other end differs */
		if (rc == 0 && !addr_port(from))
			rc = set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
		if (rc == 0 && bind(fd, &from->sa, addr_len(from)) < 0)
			rc = -errno;
	}
	if (rc == 0 && connect(fd, &to->sa, addr_len(to)) < 0 && errno != EINPROGRESS)
		rc = -errno;
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static bool taken(int rc)
{
	return rc == -EADDRINUSE || rc == -EADDRNOTAVAIL;
}

/* ---- does the visitor have a connection of this port? ---- */

static void diag_id(struct inet_diag_sockid *id, const struct addr *local, const struct addr *peer)
{
	id->idiag_sport = htons(addr_port(local));
	id->idiag_dport = htons(addr_port(peer));
	id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	if (addr_family(local) == AF_INET) {
		memcpy(id->idiag_src, &local->v4.sin_addr, 4);
		memcpy(id->idiag_dst, &peer->v4.sin_addr, 4);
	} else {
		memcpy(id->idiag_src, &local->v6.sin6_addr, 16);
		memcpy(id->idiag_dst, &peer->v6.sin6_addr, 16);
	}
}

/* Whatever worker, or program, has it; also one that is in TIME_WAIT. True also when the kernel cannot be asked. */
static bool connection_exists(struct dialer *d, const struct addr *local, const struct addr *peer)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 req;
	} ask = {.h = {sizeof ask, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0},
		 .req = {(uint8_t)addr_family(local), IPPROTO_TCP, 0, 0, UINT32_MAX, {0}}};
	union {
		struct nlmsghdr h;
		char bytes[4096];
	} answer;
	const struct inet_diag_msg *found = NLMSG_DATA(&answer.h);
	ssize_t n;

	if (d->diag < 0)
		d->diag = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	diag_id(&ask.req.id, local, peer);
	if (d->diag < 0 || send(d->diag, &ask, sizeof ask, 0) < 0)
		return true;
	n = recv(d->diag, &answer, sizeof answer, 0); /* it has been answered within send() */
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return true;
	if (answer.h.nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(&answer.h))->error != -ENOENT;
	return found->idiag_state != TCP_LISTEN; /* a listener is what the kernel finds where no connection is */
}

/* ---- the two sides ---- */

static struct crowd *crowd_of(struct dialer *d, const struct addr *visitor)
{
	const uint8_t *bytes = addr_family(visitor) == AF_INET ? (const uint8_t *)&visitor->v4.sin_addr : visitor->v6.sin6_addr.s6_addr;
	uint32_t hash = 2166136261u; /* FNV-1a: a collision costs a little time and nothing else */

	for (size_t i = 0; i < (addr_family(visitor) == AF_INET ? 4 : 16); i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return &d->crowds[hash % DIAL_CROWDS];
}

static int from_range(struct worker *w, uint32_t mark, const struct addr *visitor, const struct addr *to)
{
	struct dialer *d = &w->dialer;
	struct crowd *crowd = crowd_of(d, visitor);
	struct addr from = *visitor;
	int rc = -EADDRINUSE;

	if (loop_now(w->loop) < crowd->till && addr_same_ip(visitor, &crowd->visitor))
		return rc;
	for (unsigned i = 0; i < DIAL_PORTS && taken(rc); i++) {
		uint16_t port = (uint16_t)(DIAL_PORT_FIRST + d->next);

		d->next = (d->next + 1) % DIAL_PORTS;
		if (port == addr_port(visitor))
			continue;
		addr_set_port(&from, port);
		rc = attempt(mark, &from, to);
	}
	if (taken(rc))
		*crowd = (struct crowd){*visitor, loop_now(w->loop) + CROWDED_MS};
	return rc;
}

/* More connections at once than the range has ports. */
static int from_high(struct worker *w, uint32_t mark, const struct addr *visitor, const struct addr *to)
{
	struct addr from = *visitor;
	int rc = -EADDRNOTAVAIL;

	for (int i = 0; i < HIGH_TRIES && taken(rc); i++) {
		addr_set_port(&from, dial_high_port(&w->dialer));
		if (!connection_exists(&w->dialer, to, &from))
			rc = attempt(mark, &from, to);
	}
	return rc;
}

static int local_transparent(struct worker *w, uint32_t mark, const struct addr *visitor, const struct addr *to)
{
	struct addr from = *visitor;
	int rc = from_range(w, mark, visitor, to);

	if (taken(rc))
		rc = from_high(w, mark, visitor, to);
	if (taken(rc)) { /* an address of this host, whose ports others bind as they like: the kernel knows a free one */
		addr_set_port(&from, 0);
		rc = attempt(mark, &from, to);
	}
	return rc;
}

static int transit_transparent(uint32_t mark, const struct addr *visitor, const struct addr *to)
{
	struct addr from = *visitor;
	int rc = attempt(mark, &from, to);

	if (taken(rc)) { /* the visitor's previous request went there on a connection that is just ending */
		addr_set_port(&from, 0);
		rc = attempt(mark, &from, to);
	}
	return rc;
}

static bool can_pose(const struct dial *d)
{
	if (addr_family(d->visitor) != addr_family(d->to))
		return false;
	if (addr_family(d->visitor) == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&d->visitor->v6.sin6_addr))
		return false; /* it means nothing beyond its link */
	return d->side == SIDE_CLIENT || !addr_is_loopback(d->visitor);
}

int dial_start(struct worker *w, const struct dial *d)
{
	uint32_t mark = w->proxy->mark;
	bool transparent = d->listener->conf->source[d->side] == SOURCE_TRANSPARENT && can_pose(d);

	if (d->side == SIDE_TRANSIT)
		return transparent ? transit_transparent(2 * mark, d->visitor, d->to) : attempt(0, NULL, d->to);
	if (transparent)
		return local_transparent(w, mark, d->visitor, d->to);
	return attempt(mark && listener_is_here(d->listener, d->to, w->index) ? mark : 0, NULL, d->to);
}

int dial_as_us(const struct proxy *p, const struct listener *l, enum side side, const struct addr *to)
{
	return attempt(side == SIDE_CLIENT && listener_is_here(l, to, LISTENER_MAIN) ? p->mark : 0, NULL, to);
}

int dial_as_visitor(const struct proxy *p, const struct listener *l, const struct addr *visitor, const struct addr *to)
{
	const struct dial d = {l, SIDE_TRANSIT, visitor, to};

	if (l->conf->source[SIDE_TRANSIT] == SOURCE_TRANSPARENT && can_pose(&d))
		return attempt(2 * p->mark, visitor, to);
	return attempt(0, NULL, to);
}
