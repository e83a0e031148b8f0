/* Which connections are there, which are the proxy's, and the end of the others: with real sockets, TPROXY and marks. */
#include "netctl/diag.h"

#include "tests/unit/netns.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MARK 0x01000000u

/* ---- sockets */
static struct addr at(const char *text)
{
	struct addr a;

	assert_true(addr_parse_port(&a, text));
	return a;
}

static int sock(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct timeval patience = {5, 0};

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), 0); /* connect() as well */
	return fd;
}

static void set_transparent(int fd, int family)
{
	int on = 1;

	if (family == AF_INET6)
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof on), 0);
	else
		assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on), 0);
}

static void bind_to(int fd, const char *where)
{
	struct addr a = at(where);

	assert_int_equal(bind(fd, &a.sa, addr_len(&a)), 0);
}

/* On [::] without v6only: for both families. */
static int listener(const char *where, bool v6only, bool is_transparent)
{
	struct addr a = at(where);
	int fd = sock(addr_family(&a)), only = v6only;

	if (addr_family(&a) == AF_INET6)
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only), 0);
	if (is_transparent)
		set_transparent(fd, addr_family(&a));
	bind_to(fd, where);
	assert_int_equal(listen(fd, 512), 0);
	return fd;
}

static void connect_to(int fd, const char *to)
{
	struct addr a = at(to);

	if (connect(fd, &a.sa, addr_len(&a)) != 0)
		fail_msg("connecting to %s: %s", to, strerror(errno));
}

static int visit_from(enum netns n, const char *from, const char *to)
{
	struct addr a = at(to);

	netns_enter(n);
	int fd = sock(addr_family(&a));
	if (from)
		bind_to(fd, from);
	connect_to(fd, to);
	netns_enter(HERE);
	return fd;
}

struct pair {
	int client, server;
};

static struct pair join(int client, int listening)
{
	struct pair p = {client, accept(listening, NULL, NULL)};

	assert_true(p.server >= 0);
	return p;
}

static struct pair visit(const char *to, int listening)
{
	return join(visit_from(THERE, NULL, to), listening);
}

static void alive(struct pair p)
{
	char c = 0;

	assert_int_equal(send(p.client, "x", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(p.server, &c, 1, 0), 1);
	assert_int_equal(send(p.server, "y", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(p.client, &c, 1, 0), 1);
	assert_int_equal(c, 'y');
}

static void gone(struct pair p)
{
	char c;

	assert_int_equal(recv(p.client, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(recv(p.server, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNABORTED);
}

static void drop(struct pair p)
{
	close(p.client);
	close(p.server);
}

/* ---- asking */
static const uint16_t web[] = {80};
static struct addr ours[2];
static const struct diag_want both = {ours, 2, web, 1};

static int count(const struct diag_want *want)
{
	struct err err = {0};
	int n = diag_list(want, NULL, NULL, &err);

	if (n < 0)
		fail_msg("%s", err.text);
	return n;
}

static int all(const struct diag_sock *s, void *arg, struct err *err)
{
	(void)s;
	(void)arg;
	(void)err;
	return DIAG_RESET;
}

static int reset_by(diag_judge *judge, void *arg, unsigned half_open_ms)
{
	struct err err = {0};
	int n = diag_reset(&both, judge, arg, half_open_ms, &err);

	if (n < 0)
		fail_msg("%s", err.text);
	return n;
}

static int reset_strangers(unsigned half_open_ms)
{
	uint32_t mark = MARK;

	return reset_by(diag_not_the_proxys, &mark, half_open_ms);
}

static int fresh(void **state)
{
	assert_true(addr_parse(&ours[0], "192.0.2.10"));
	assert_true(addr_parse(&ours[1], "2001:db8::10"));
	return netns_setup(state);
}

/* ---- listing */
struct seen {
	struct diag_sock sock[8];
	int n;
};

static void on_sock(const struct diag_sock *s, void *arg)
{
	struct seen *seen = arg;

	assert_true(seen->n < 8);
	seen->sock[seen->n++] = *s;
}

static const struct diag_sock *seen_at(const struct seen *seen, int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	struct addr peer;

	assert_int_equal(getpeername(fd, (struct sockaddr *)&sa, &len), 0);
	assert_true(addr_from_sockaddr(&peer, (struct sockaddr *)&sa));
	for (int i = 0; i < seen->n; i++)
		if (addr_same(&seen->sock[i].remote, &peer))
			return &seen->sock[i];
	fail_msg("a connection is not listed");
	return NULL;
}

static void listed_by_address_and_port(void **state)
{
	static const uint16_t other[] = {81, 443}, all_ports[] = {81, 443, 80};
	struct addr elsewhere, mapped;
	struct seen seen = {0};
	struct err err;

	(void)state;
	int four = listener("192.0.2.10:80", false, false), six = listener("[::]:443", false, false);
	int only6 = listener("[2001:db8::10]:80", true, false);
	struct pair p[] = {visit("192.0.2.10:80", four), visit("[2001:db8::10]:80", only6), visit("192.0.2.10:443", six),
			   visit("[2001:db8::10]:443", six)};

	assert_int_equal(count(&both), 2);
	assert_int_equal(count(&(struct diag_want){ours, 1, web, 1}), 1);
	assert_int_equal(count(&(struct diag_want){ours + 1, 1, web, 1}), 1);
	assert_int_equal(count(&(struct diag_want){ours, 2, other, 2}), 2);
	assert_int_equal(count(&(struct diag_want){ours, 1, other, 1}), 0);
	assert_int_equal(count(&(struct diag_want){ours, 0, web, 1}), 0);
	assert_int_equal(count(&(struct diag_want){ours, 2, web, 0}), 0);
	assert_true(addr_parse(&elsewhere, "192.0.2.11"));
	assert_int_equal(count(&(struct diag_want){&elsewhere, 1, all_ports, 3}), 0);
	assert_true(addr_parse(&mapped, "::ffff:192.0.2.10"));
	assert_int_equal(count(&(struct diag_want){&mapped, 1, all_ports, 3}), 2);

	assert_int_equal(diag_list(&(struct diag_want){ours, 2, all_ports, 3}, on_sock, &seen, &err), 4);
	for (int i = 0; i < 4; i++) {
		const struct diag_sock *s = seen_at(&seen, p[i].server);
		assert_true(addr_same_ip(&s->local, &ours[i % 2]));
		assert_int_equal(addr_port(&s->local), i < 2 ? 80 : 443);
		assert_true(s->inode != 0 && s->uid == 0 && s->mark == 0 && !s->half_open && !s->transparent);
		drop(p[i]);
	}
	close(four);
	close(six);
	close(only6);
}

/* What no process has any more can reach nobody: neither TIME-WAIT nor the FIN-WAIT-2 that only the kernel still remembers. */
static void what_is_over_is_not_listed(void **state)
{
	(void)state;
	int l = listener("192.0.2.10:80", false, false);
	struct pair p = visit("192.0.2.10:80", l), q = visit("192.0.2.10:80", l);
	char c;

	assert_int_equal(count(&both), 2);
	close(p.server);
	assert_int_equal(recv(p.client, &c, 1, 0), 0); /* and goes on without closing */
	for (int tries = 0; !strstr(netns_read(HERE, "ss -Htn state fin-wait-2 src 192.0.2.10 and sport = :80"), "192.0.2.20");)
		netns_wait(&tries, "FIN-WAIT-2");
	assert_int_equal(count(&both), 1);
	assert_int_equal(reset_strangers(0), 1);
	gone(q);
	close(p.client);
	drop(q);
	close(l);
}

/* More than one message of the kernel. */
static void hundreds(void **state)
{
	enum { N = 300 };
	struct pair p[N];

	(void)state;
	int l = listener("[::]:80", false, false);
	for (int i = 0; i < N; i++)
		p[i] = visit(i % 2 ? "192.0.2.10:80" : "[2001:db8::10]:80", l);
	assert_int_equal(count(&both), N);
	assert_int_equal(reset_by(all, NULL, 0), N);
	assert_int_equal(count(&both), 0);
	for (int i = 0; i < N; i++) {
		gone(p[i]);
		drop(p[i]);
	}
	close(l);
}

static void one_is_found(void **state)
{
	struct diag_sock s;
	struct err err;
	struct addr remote, local = at("192.0.2.10:80"), nobody = at("192.0.2.20:9");
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;

	(void)state;
	int l = listener("[::]:80", false, false);
	struct pair p = visit("192.0.2.10:80", l);
	assert_int_equal(getpeername(p.server, (struct sockaddr *)&sa, &len), 0);
	assert_true(addr_from_sockaddr(&remote, (struct sockaddr *)&sa));
	assert_int_equal(diag_find(&local, &remote, &s, &err), 0);
	assert_true(addr_same(&s.local, &local) && addr_same(&s.remote, &remote));
	assert_int_equal(diag_find(&local, &nobody, &s, &err), -ENOENT); /* not the listener */
	assert_int_equal(diag_find(&remote, &local, &s, &err), -ENOENT); /* that end is not here */
	drop(p);
	close(l);
}

/* ---- resetting */
static int of_port_1000(const struct diag_sock *s, void *arg, struct err *err)
{
	(void)err;
	++*(int *)arg;
	return addr_port(&s->remote) == 1000 ? DIAG_RESET : DIAG_SPARE;
}

static void only_the_chosen_are_reset(void **state)
{
	int asked = 0;

	(void)state;
	assert_int_equal(reset_by(all, NULL, 1000), 0); /* nothing is there, and nothing to wait for */
	int l = listener("[::]:80", false, false);
	struct pair four = join(visit_from(THERE, "192.0.2.20:1000", "192.0.2.10:80"), l), four_too = visit("192.0.2.10:80", l);
	struct pair six = join(visit_from(THERE, "[2001:db8::20]:1000", "[2001:db8::10]:80"), l), six_too = visit("[2001:db8::10]:80", l);
	assert_int_equal(reset_by(of_port_1000, &asked, 0), 2);
	assert_int_equal(asked, 4);
	gone(four);
	gone(six);
	alive(four_too);
	alive(six_too);
	drop(four), drop(four_too), drop(six), drop(six_too);
	close(l);
}

static int refuse(const struct diag_sock *s, void *arg, struct err *err)
{
	(void)s;
	(void)arg;
	return err_set(err, -EIO, "no verdict");
}

static void an_error_of_the_judge_ends_it(void **state)
{
	struct err err;

	(void)state;
	int l = listener("192.0.2.10:80", false, false);
	struct pair p = visit("192.0.2.10:80", l);
	assert_int_equal(diag_reset(&both, refuse, NULL, 0, &err), -EIO);
	assert_string_equal(err.text, "no verdict");
	alive(p);
	drop(p);
	close(l);
}

static void answers_of_the_kernel(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(diag_reset_answer(0, &err), 1);
	assert_int_equal(diag_reset_answer(-ENOENT, &err), 0);
	assert_int_equal(diag_reset_answer(-ESTALE, &err), 0);
	assert_int_equal(diag_reset_answer(-EOPNOTSUPP, &err), -EOPNOTSUPP);
	assert_string_equal(err.text, "this kernel cannot reset connections (CONFIG_INET_DIAG_DESTROY)");
	assert_int_equal(diag_reset_answer(-EINVAL, &err), -EOPNOTSUPP);
	assert_int_equal(diag_reset_answer(-EPERM, &err), -EPERM);
	assert_int_equal(diag_can_reset(&err), 0);
}

static void without_the_privilege(void **state)
{
	int status;

	(void)state;
	int l = listener("192.0.2.10:80", false, false);
	struct pair p = visit("192.0.2.10:80", l);
	pid_t child = fork();
	if (child == 0)
		_exit(setresuid(65534, 65534, 65534) == 0 && diag_reset(&both, all, NULL, 0, NULL) == -EPERM ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	alive(p);
	drop(p);
	close(l);
}

/* ---- beside the proxy */
struct host {
	int service, proxy4, proxy6;
};

/* The local service is for both families, so that its IPv4 connections are mapped ones. */
static struct host host_up(void)
{
	netns_run(HERE, "sysctl -qw net.ipv4.tcp_fwmark_accept=1; for f in -4 -6; do ip $f rule add pref 743 fwmark 0x01000000/0x01000000 "
			"lookup 7443; ip $f route replace local default dev lo table 7443; done");
	return (struct host){listener("[::]:80", false, false), listener("0.0.0.0:10080", false, true), listener("[::]:10080", true, true)};
}

static void intercept(void)
{
	netns_run(HERE, "nft 'table inet t { chain pre { type filter hook prerouting priority mangle; policy accept; "
			"iifname \"lo\" meta mark & 0x01000000 == 0x01000000 return; "
			"meta l4proto tcp socket transparent 1 meta mark set meta mark or 0x01000000 accept; "
			"ip daddr 192.0.2.10 tcp dport 80 tproxy ip to :10080; ip6 daddr 2001:db8::10 tcp dport 80 tproxy ip6 to :10080; "
			"}; }'");
}

static void host_down(struct host h)
{
	netns_run(HERE, "nft flush ruleset; for f in -4 -6; do ip $f rule del pref 743; ip $f route flush table 7443; done");
	close(h.service);
	close(h.proxy4);
	close(h.proxy6);
}

/* As the proxy connects to a local service: with the visitor's address and a port of its own. */
static int upstream(const char *visitor, const char *to, bool marked)
{
	struct addr a = at(to);
	int fd = sock(addr_family(&a));
	uint32_t mark = MARK;

	if (marked)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
	set_transparent(fd, addr_family(&a));
	bind_to(fd, visitor);
	connect_to(fd, to);
	return fd;
}

static void what_is_the_proxys_is_spared(void **state)
{
	(void)state;
	struct host h = host_up();
	struct pair old4 = visit("192.0.2.10:80", h.service), old6 = visit("[2001:db8::10]:80", h.service);
	/* a port below 1024 does not make a stranger one of the proxy's */
	struct pair low = join(visit_from(THERE, "192.0.2.20:901", "192.0.2.10:80"), h.service);
	intercept();
	alive(old4), alive(old6), alive(low);
	struct pair new4 = visit("192.0.2.10:80", h.proxy4), new6 = visit("[2001:db8::10]:80", h.proxy6);
	struct pair up4 = join(upstream("192.0.2.20:900", "192.0.2.10:80", true), h.service);
	struct pair up6 = join(upstream("[2001:db8::20]:900", "[2001:db8::10]:80", true), h.service);
	alive(new4), alive(new6), alive(up4), alive(up6);

	assert_int_equal(count(&both), 7);
	assert_int_equal(reset_strangers(0), 3);
	gone(old4), gone(old6), gone(low);
	alive(new4), alive(new6), alive(up4), alive(up6);
	assert_int_equal(reset_strangers(0), 0);
	drop(old4), drop(old6), drop(low), drop(new4), drop(new6), drop(up4), drop(up6);
	host_down(h);
}

/* Without the mark the other end of it, on this host, tells whose it is. */
static void the_other_end_tells(void **state)
{
	(void)state;
	struct host h = host_up();
	struct pair up = join(upstream("127.0.0.1:900", "192.0.2.10:80", false), h.service);
	struct pair local = join(visit_from(HERE, "127.0.0.1:901", "192.0.2.10:80"), h.service);
	assert_int_equal(reset_strangers(0), 1);
	alive(up);
	gone(local);
	drop(up), drop(local);
	host_down(h);
}

/* A proxy that connects with an address of its own says who it is by its mark alone; one that is told of no mark does not know it. */
static void the_mark_alone_tells(void **state)
{
	uint32_t mark = MARK, other = MARK << 1, none = 0;

	(void)state;
	struct host h = host_up();
	int fd = sock(AF_INET);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
	connect_to(fd, "192.0.2.10:80");
	struct pair up = join(fd, h.service);
	assert_int_equal(reset_by(diag_not_the_proxys, &mark, 0), 0);
	alive(up);
	assert_int_equal(reset_by(diag_not_the_proxys, &none, 0), 1);
	gone(up);
	drop(up);

	fd = sock(AF_INET);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
	connect_to(fd, "192.0.2.10:80");
	up = join(fd, h.service);
	assert_int_equal(reset_by(diag_not_the_proxys, &other, 0), 1); /* another's mark */
	gone(up);
	drop(up);
	host_down(h);
}

/* ---- half open: the last packet of the handshake is kept back there */
static void keep_back(bool on)
{
	if (on)
		netns_run(THERE,
			  "nft 'table inet k { chain o { type filter hook output priority 0; tcp dport 80 tcp flags & (syn | ack) == ack "
			  "drop; }; }'");
	else
		netns_run(THERE, "nft flush ruleset");
}

static int n_half_open, n_other;

static void count_half_open(const struct diag_sock *s, void *arg)
{
	(void)arg;
	if (s->half_open)
		n_half_open++;
	else
		n_other++;
}

static void half_open_are(int n)
{
	n_half_open = n_other = 0;
	assert_true(diag_list(&both, count_half_open, NULL, NULL) >= 0);
	assert_int_equal(n_half_open, n);
}

struct during {
	int client[3]; /* those that complete once the first look has seen them half open; -1: none */
	bool done;
};

static int complete_then_judge(const struct diag_sock *s, void *arg, struct err *err)
{
	struct during *d = arg;
	uint32_t mark = MARK;

	if (s->half_open && !d->done) {
		d->done = true;
		keep_back(false);
		for (int i = 0; i < 3; i++)
			if (d->client[i] >= 0)
				assert_int_equal(send(d->client[i], "x", 1, MSG_NOSIGNAL), 1);
	}
	return diag_not_the_proxys(s, &mark, err);
}

static void half_open_ones_are_waited_for(void **state)
{
	struct during d = {{-1, -1, -1}, false};
	char c;

	(void)state;
	struct host h = host_up();
	keep_back(true);
	d.client[0] = visit_from(THERE, NULL, "192.0.2.10:80");
	d.client[1] = visit_from(THERE, NULL, "[2001:db8::10]:80");
	intercept();
	d.client[2] = visit_from(THERE, NULL, "192.0.2.10:80"); /* will be the proxy's */
	half_open_are(3);
	assert_int_equal(reset_by(complete_then_judge, &d, 5000), 2);
	struct pair spared = join(d.client[2], h.proxy4);
	assert_int_equal(recv(spared.server, &c, 1, 0), 1);
	alive(spared);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(recv(d.client[i], &c, 1, 0), -1);
		assert_int_equal(errno, ECONNRESET);
		close(d.client[i]);
	}
	drop(spared);
	host_down(h);
}

static void half_open_ones_that_stay_so_are_reset(void **state)
{
	(void)state;
	struct host h = host_up();
	keep_back(true);
	int four = visit_from(THERE, NULL, "192.0.2.10:80"), six = visit_from(THERE, NULL, "[2001:db8::10]:80");
	half_open_are(2);
	assert_int_equal(reset_strangers(100), 2);
	half_open_are(0);
	keep_back(false);
	/* as they go on, they are told */
	struct pollfd p[] = {{.fd = four}, {.fd = six}};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send(p[i].fd, "x", 1, MSG_NOSIGNAL), 1);
		assert_int_equal(poll(&p[i], 1, 5000), 1);
		assert_true(p[i].revents & POLLERR);
		close(p[i].fd);
	}
	host_down(h);
}

/* One that comes after the first look is no business of the reset, though it cannot tell yet what it is. */
static int late_client = -1;

static int another_comes(const struct diag_sock *s, void *arg, struct err *err)
{
	uint32_t mark = MARK;

	(void)arg;
	if (late_client < 0)
		late_client = visit_from(THERE, NULL, "192.0.2.10:80");
	return diag_not_the_proxys(s, &mark, err);
}

static void later_half_open_ones_are_left_alone(void **state)
{
	(void)state;
	struct host h = host_up();
	keep_back(true);
	int early = visit_from(THERE, NULL, "192.0.2.10:80");
	intercept();
	assert_int_equal(reset_by(another_comes, NULL, 200), 1);
	half_open_are(1);
	keep_back(false);
	struct pair late = join(late_client, h.proxy4); /* the SYN-ACK, sent again, completes it */
	alive(late);
	drop(late);
	close(early);
	host_down(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(listed_by_address_and_port, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(what_is_over_is_not_listed, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(hundreds, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(one_is_found, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(only_the_chosen_are_reset, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(an_error_of_the_judge_ends_it, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(answers_of_the_kernel, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(without_the_privilege, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(what_is_the_proxys_is_spared, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(the_other_end_tells, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(the_mark_alone_tells, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(half_open_ones_are_waited_for, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(half_open_ones_that_stay_so_are_reset, fresh, netns_teardown),
		cmocka_unit_test_setup_teardown(later_half_open_ones_are_left_alone, fresh, netns_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
