#include "netctl/diag.h"

#include "lib/clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALIVE         (~(1u << TCP_LISTEN | 1u << TCP_TIME_WAIT | 1u << TCP_CLOSE) & ((1u << 12) - 1)) /* states of tcp_states.h */
#define TIMER_MINI    3     /* idiag_timer of what is left to the kernel alone, in TIME-WAIT or FIN-WAIT-2: no process, no data */
#define BUFFER        65536 /* one answer of the kernel; a dump's are 32 KiB at most */
#define LOOK_AGAIN_MS 20

struct socks {
	struct diag_sock *sock; /* owned */
	size_t n, cap;
	bool no_options; /* the kernel did not say which are transparent */
};

/* One conversation with the kernel: what to collect, and where. */
struct talk {
	int fd;
	const struct diag_want *want; /* NULL: whatever comes */
	struct socks *out;            /* NULL: nothing is expected but an acknowledgement */
};

/* ---- what the kernel says */
static void set_addr(struct addr *a, uint8_t family, const void *ip, uint16_t port, uint32_t ifindex)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};

	memcpy(&v4.sin_addr, ip, 4);
	memcpy(&v6.sin6_addr, ip, 16); /* the kernel's fields are of this size in both cases */
	if (IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr))
		v6.sin6_scope_id = ifindex;
	addr_from_sockaddr(a, family == AF_INET6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4);
}

/* False where the option was expected and is not there. */
static bool read_attributes(struct diag_sock *s, const uint8_t *p, size_t len)
{
	bool options = false;

	while (len >= NLA_HDRLEN) {
		struct nlattr a;
		memcpy(&a, p, sizeof a);
		if (a.nla_len < NLA_HDRLEN || a.nla_len > len)
			break;
		size_t payload = a.nla_len - NLA_HDRLEN;
		if (a.nla_type == INET_DIAG_MARK && payload >= sizeof s->mark)
			memcpy(&s->mark, p + NLA_HDRLEN, sizeof s->mark);
		if (a.nla_type == INET_DIAG_SOCKOPT && payload >= sizeof(struct inet_diag_sockopt)) {
			struct inet_diag_sockopt o;
			memcpy(&o, p + NLA_HDRLEN, sizeof o);
			s->transparent = o.transparent;
			options = true;
		}
		size_t step = NLA_ALIGN(a.nla_len);
		if (step >= len)
			break;
		p += step;
		len -= step;
	}
	return options || s->half_open;
}

static bool wanted(const struct diag_want *want, const struct diag_sock *s)
{
	uint16_t port = addr_port(&s->local);
	size_t i = 0;

	if (!want)
		return true;
	while (i < want->n_ports && want->ports[i] != port)
		i++;
	if (i == want->n_ports)
		return false;
	for (i = 0; i < want->n_local; i++)
		if (addr_same_ip(&want->local[i], &s->local))
			return true;
	return false;
}

static int add(struct socks *list, const struct diag_sock *s)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 64;
		struct diag_sock *more = realloc(list->sock, cap * sizeof *more);
		if (!more)
			return -ENOMEM;
		list->sock = more;
		list->cap = cap;
	}
	list->sock[list->n++] = *s;
	return 0;
}

static int collect(struct talk *t, const uint8_t *payload, size_t len)
{
	struct inet_diag_msg m;
	struct diag_sock s;

	if (len < sizeof m || !t->out)
		return 0;
	memcpy(&m, payload, sizeof m);
	/* A question for one connection falls back on a listener where there is none. */
	if (!(1u << m.idiag_state & ALIVE) || m.idiag_timer == TIMER_MINI)
		return 0;
	memset(&s, 0, sizeof s);
	s.family = m.idiag_family;
	s.id = m.id;
	s.uid = m.idiag_uid;
	s.inode = m.idiag_inode;
	s.half_open = m.idiag_state == TCP_SYN_RECV;
	set_addr(&s.local, s.family, m.id.idiag_src, m.id.idiag_sport, m.id.idiag_if);
	set_addr(&s.remote, s.family, m.id.idiag_dst, m.id.idiag_dport, m.id.idiag_if);
	if (!wanted(t->want, &s))
		return 0;
	if (!read_attributes(&s, payload + NLMSG_ALIGN(sizeof m), len - NLMSG_ALIGN(sizeof m)))
		t->out->no_options = true;
	return add(t->out, &s);
}

/* ---- talking */
static int talk_open(struct talk *t, struct err *err)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	t->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (t->fd >= 0 && connect(t->fd, (struct sockaddr *)&kernel, sizeof kernel) == 0)
		return 0;
	int rc = err_errno(err, -errno, "asking the kernel for its connections");
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	return rc;
}

/* All that one message of the kernel holds. 1: that was the last; 0: there is more to come; -errno: of the kernel or ours. */
static int read_message(struct talk *t, const uint8_t *p, size_t len)
{
	while (len >= NLMSG_HDRLEN) {
		struct nlmsghdr h;
		memcpy(&h, p, sizeof h);
		if (h.nlmsg_len < NLMSG_HDRLEN || h.nlmsg_len > len)
			return -EBADMSG;
		size_t payload = h.nlmsg_len - NLMSG_HDRLEN;
		if (h.nlmsg_type == NLMSG_ERROR || h.nlmsg_type == NLMSG_DONE) {
			int answer = 0; /* the error, 0 or negative, comes first in both */
			if (payload >= sizeof answer)
				memcpy(&answer, p + NLMSG_HDRLEN, sizeof answer);
			return answer < 0 ? answer : 1;
		}
		if (h.nlmsg_type == SOCK_DIAG_BY_FAMILY) {
			int rc = collect(t, p + NLMSG_HDRLEN, payload);
			if (rc < 0)
				return rc;
		}
		size_t step = NLMSG_ALIGN(h.nlmsg_len);
		if (step >= len)
			break;
		p += step;
		len -= step;
	}
	return 0;
}

/* One question and all its answers. 0, or -errno; texts are the callers'. After an error the conversation is over. */
static int talk(struct talk *t, uint16_t type, uint16_t flags, const struct inet_diag_req_v2 *req)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 req;
	} question = {{.nlmsg_len = sizeof question, .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags}, *req};
	uint8_t *buffer;
	int rc = 0;

	if (send(t->fd, &question, sizeof question, 0) < 0)
		return -errno;
	buffer = malloc(BUFFER);
	if (!buffer)
		return -ENOMEM;
	while (rc == 0) {
		ssize_t n = recv(t->fd, buffer, BUFFER, 0);
		if (n < 0 && errno == EINTR)
			continue;
		rc = n < 0 ? -errno : n == 0 ? -EBADMSG : read_message(t, buffer, (size_t)n);
	}
	free(buffer);
	return rc < 0 ? rc : 0;
}

/* ---- listing */
static int dump(const struct diag_want *want, struct socks *out, struct err *err)
{
	static const uint8_t families[] = {AF_INET, AF_INET6}; /* mapped IPv4 ones come with the latter */
	struct talk t = {-1, want, out};
	int rc = talk_open(&t, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < sizeof families; i++) {
		struct inet_diag_req_v2 req = {.sdiag_family = families[i], .sdiag_protocol = IPPROTO_TCP, .idiag_states = ALIVE};
		rc = talk(&t, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &req);
	}
	close(t.fd);
	if (rc == -ENOENT)
		return err_set(err, -EOPNOTSUPP, "this kernel cannot list connections (CONFIG_INET_TCP_DIAG)");
	if (rc < 0)
		return err_errno(err, rc, "asking the kernel for its connections");
	if (out->no_options)
		return err_set(err, -EOPNOTSUPP,
			       "this kernel does not say which connections are transparent (INET_DIAG_SOCKOPT, Linux 5.15)");
	return 0;
}

int diag_list(const struct diag_want *want, void (*on_sock)(const struct diag_sock *s, void *arg), void *arg, struct err *err)
{
	struct socks all = {0};
	int rc = dump(want, &all, err);

	if (rc == 0)
		rc = (int)all.n;
	for (int i = 0; on_sock && i < rc; i++)
		on_sock(&all.sock[i], arg);
	free(all.sock);
	return rc;
}

static void put_ip(uint32_t out[4], const struct addr *a)
{
	if (addr_family(a) == AF_INET6)
		memcpy(out, &a->v6.sin6_addr, 16);
	else
		memcpy(out, &a->v4.sin_addr, 4);
}

int diag_find(const struct addr *local, const struct addr *remote, struct diag_sock *out, struct err *err)
{
	struct inet_diag_req_v2 req = {.sdiag_family = (uint8_t)addr_family(local), .sdiag_protocol = IPPROTO_TCP, .idiag_states = ALIVE};
	struct socks found = {0};
	struct talk t = {-1, NULL, &found};
	int rc;

	assert(addr_family(local) == addr_family(remote));
	/* Asked from the wire's side: IPv4 finds a socket for both families as well. */
	put_ip(req.id.idiag_src, local);
	put_ip(req.id.idiag_dst, remote);
	req.id.idiag_sport = htons(addr_port(local));
	req.id.idiag_dport = htons(addr_port(remote));
	req.id.idiag_cookie[0] = req.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	rc = talk_open(&t, err);
	if (rc < 0)
		return rc;
	rc = talk(&t, SOCK_DIAG_BY_FAMILY, NLM_F_ACK, &req);
	close(t.fd);
	if (rc == 0 && found.n == 0)
		rc = -ENOENT;
	if (rc == 0)
		*out = found.sock[0];
	else if (rc != -ENOENT)
		err_errno(err, rc, "asking the kernel for a connection");
	free(found.sock);
	return rc;
}

/* ---- resetting */
int diag_reset_answer(int answer, struct err *err)
{
	switch (answer) {
	case 0:
		return 1;
	case -ENOENT: /* it ended by itself, */
	case -ESTALE: /* and another took its place */
		return 0;
	case -EOPNOTSUPP:
	case -EINVAL: /* before Linux 4.5 the message itself is unknown */
		return err_set(err, -EOPNOTSUPP, "this kernel cannot reset connections (CONFIG_INET_DIAG_DESTROY)");
	}
	return err_errno(err, answer, "resetting a connection");
}

static int destroy(struct talk *t, const struct diag_sock *s, struct err *err)
{
	struct inet_diag_req_v2 req = {.sdiag_family = s->family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ALIVE, .id = s->id};

	return diag_reset_answer(talk(t, SOCK_DESTROY, NLM_F_ACK, &req), err);
}

int diag_can_reset(struct err *err)
{
	/* A connection of 0.0.0.0 port 0 with itself: there is none, and the kernel says so, or that it cannot. */
	struct diag_sock none = {.family = AF_INET};
	struct talk t = {.fd = -1};
	int rc = talk_open(&t, err);

	if (rc < 0)
		return rc;
	rc = destroy(&t, &none, err);
	close(t.fd);
	return rc < 0 ? rc : 0;
}

/* The cookie is the connection's alone, and stays the same when a half-open one completes. */
static uint64_t cookie(const struct diag_sock *s)
{
	return (uint64_t)s->id.idiag_cookie[1] << 32 | s->id.idiag_cookie[0];
}

static int by_cookie(const void *a, const void *b)
{
	uint64_t x = cookie(a), y = cookie(b);

	return (x > y) - (x < y);
}

struct reset {
	const struct diag_want *want;
	diag_judge *judge;
	void *arg;
	struct socks early; /* those to be waited for at the first look, by cookie */
	bool first, last;
	size_t waiting;
	int done;
};

static bool is_early(const struct reset *r, const struct diag_sock *s)
{
	return r->early.n > 0 && bsearch(s, r->early.sock, r->early.n, sizeof *s, by_cookie) != NULL;
}

static int judge_one(struct reset *r, struct talk *t, const struct diag_sock *s, struct err *err)
{
	int verdict = r->judge(s, r->arg, err);

	if (verdict == DIAG_WAIT && r->first) {
		r->waiting++;
		return add(&r->early, s) < 0 ? err_set(err, -ENOMEM, "no memory for a list of connections") : 0;
	}
	if (verdict == DIAG_WAIT && is_early(r, s)) {
		r->waiting++;
		verdict = r->last ? DIAG_RESET : DIAG_WAIT;
	}
	if (verdict == DIAG_RESET) {
		int rc = destroy(t, s, err);
		if (rc < 0)
			return rc;
		r->done += rc;
	}
	return verdict < 0 ? verdict : 0;
}

static int look(struct reset *r, struct err *err)
{
	struct socks all = {0};
	struct talk t = {.fd = -1};
	int rc = dump(r->want, &all, err);

	r->waiting = 0;
	if (rc == 0 && all.n > 0) {
		rc = talk_open(&t, err);
		for (size_t i = 0; rc == 0 && i < all.n; i++)
			rc = judge_one(r, &t, &all.sock[i], err);
		if (t.fd >= 0)
			close(t.fd);
	}
	free(all.sock);
	if (r->first && r->early.n > 0)
		qsort(r->early.sock, r->early.n, sizeof *r->early.sock, by_cookie);
	return rc;
}

int diag_reset(const struct diag_want *want, diag_judge *judge, void *arg, unsigned half_open_ms, struct err *err)
{
	struct reset r = {.want = want, .judge = judge, .arg = arg, .first = true};
	int64_t end = mono_ms() + half_open_ms;
	int rc = look(&r, err);

	r.first = false;
	while (rc == 0 && r.waiting > 0 && !r.last) {
		poll(NULL, 0, LOOK_AGAIN_MS);
		r.last = mono_ms() >= end;
		rc = look(&r, err);
	}
	free(r.early.sock);
	return rc < 0 ? rc : r.done;
}

/* ---- whose it is */
static bool proxys(const struct diag_sock *s, uint32_t mark)
{
	return s->transparent || (mark != 0 && (s->mark & mark) == mark);
}

int diag_not_the_proxys(const struct diag_sock *s, void *arg, struct err *err)
{
	uint32_t mark = *(const uint32_t *)arg;
	struct diag_sock other_end;
	int rc;

	if (proxys(s, mark))
		return DIAG_SPARE;
	rc = diag_find(&s->remote, &s->local, &other_end, err);
	if (rc == 0 && proxys(&other_end, mark))
		return DIAG_SPARE;
	if (rc < 0 && rc != -ENOENT)
		return rc;
	return s->half_open ? DIAG_WAIT : DIAG_RESET;
}

int diag_the_proxys(const struct diag_sock *s, void *arg, struct err *err)
{
	int rc = diag_not_the_proxys(s, arg, err);

	return rc < 0 ? rc : rc == DIAG_SPARE ? DIAG_RESET : DIAG_SPARE;
}
