/* Who answers, who asks for the same, who does not count: with a real kernel at the other end. */
#include "lib/clock.h"
#include "netctl/duplicate.h"

#include "netctl/wire.h"
#include "tests/unit/netns.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void set(struct duplicate *d, const char *text)
{
	assert_true(addr_parse(&d->addr, text));
}

static void find(struct duplicate *list, size_t n)
{
	struct err err = {0};

	if (duplicate_find("here", list, n, DUPLICATE_PROBES, DUPLICATE_INTERVAL_MS, &err) != 0)
		fail_msg("%s", err.text);
}

static void one_station(const struct duplicate *d, const char *mac, bool asking)
{
	char text[MAC_TEXT_MAX], addr[ADDR_TEXT_MAX];

	if (d->n_stations != 1)
		fail_msg("%s: found %zu stations", addr_text(&d->addr, addr), d->n_stations);
	assert_string_equal(mac_text(&d->station[0].mac, text), mac);
	assert_int_equal(d->station[0].asking, asking);
	assert_false(d->more);
}

static bool both_are_asking(const struct duplicate list[2])
{
	for (int i = 0; i < 2; i++) {
		if (list[i].n_stations != 1 || !list[i].station[0].asking)
			return false;
	}
	return true;
}

static void found_and_none(void **state)
{
	struct duplicate list[6];

	(void)state;
	set(&list[0], "192.0.2.20");
	set(&list[1], "192.0.2.77");
	set(&list[2], "2001:db8::20");
	set(&list[3], "2001:db8::77");
	set(&list[4], "192.0.2.10"); /* our own: we do not answer ourselves */
	set(&list[5], "2001:db8::10");
	find(list, 6);
	one_station(&list[0], THERE_MAC, false);
	assert_int_equal(list[1].n_stations, 0);
	one_station(&list[2], THERE_MAC, false);
	assert_int_equal(list[3].n_stations, 0);
	assert_int_equal(list[4].n_stations, 0);
	assert_int_equal(list[5].n_stations, 0);
}

/* A probe must not tell anybody that we have the address. */
static void probes_change_no_cache(void **state)
{
	struct duplicate list[2];

	(void)state;
	netns_run(THERE, "ip neigh replace 192.0.2.60 lladdr 02:00:00:00:00:99 dev there nud reachable; "
			 "ip neigh replace 2001:db8::60 lladdr 02:00:00:00:00:99 dev there nud reachable");
	set(&list[0], "192.0.2.60");
	set(&list[1], "2001:db8::60");
	find(list, 2);
	assert_non_null(strstr(netns_read(THERE, "ip neigh show 192.0.2.60"), "02:00:00:00:00:99"));
	assert_non_null(strstr(netns_read(THERE, "ip neigh show 2001:db8::60"), "02:00:00:00:00:99"));
}

static void only_one_family(void **state)
{
	struct duplicate one;

	(void)state;
	set(&one, "192.0.2.20");
	find(&one, 1);
	one_station(&one, THERE_MAC, false);
	set(&one, "2001:db8::20");
	find(&one, 1);
	one_station(&one, THERE_MAC, false);
	find(NULL, 0);
}

/* Without a link-local address of ours, and where a neighbour answers only those who have an address. */
static void each_way_of_asking_works(void **state)
{
	struct duplicate one;

	(void)state;
	set(&one, "2001:db8::20");
	netns_run(HERE, "ip addr flush dev here scope link");
	find(&one, 1);
	one_station(&one, THERE_MAC, false);
	netns_run(HERE, "ip addr add fe80::10/64 dev here nodad");
	netns_run(THERE, "nft 'table ip6 f { chain in { type filter hook input priority 0; ip6 saddr :: drop; }; }'");
	find(&one, 1);
	one_station(&one, THERE_MAC, false);
	netns_run(THERE, "nft flush ruleset");
}

/* Another host that wants the same addresses at the same time: each must see the other. */
static void who_asks_as_well_is_seen(void **state)
{
	struct duplicate list[2] = {0};
	int ready[2];
	char go;

	(void)state;
	set(&list[0], "192.0.2.88");
	set(&list[1], "2001:db8::88");
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		struct duplicate theirs[2] = {list[0], list[1]};
		netns_enter(THERE);
		bool ok = write(ready[1], "x", 1) == 1, seen = false;
		for (int tries = 0, enough = 0; ok && !enough && tries < 40; tries++) {
			enough = seen; /* it asks once more than it needs itself */
			ok = duplicate_find("there", theirs, 2, 10, 100, NULL) == 0;
			seen = seen || both_are_asking(theirs);
		}
		_exit(ok && seen ? 0 : 1);
	}
	assert_int_equal(read(ready[0], &go, 1), 1);
	for (int tries = 0; tries < 40 && !both_are_asking(list); tries++) /* either may come late, for want of a processor */
		find(list, 2);
	one_station(&list[0], THERE_MAC, true);
	one_station(&list[1], THERE_MAC, true);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
}

/* What a station sends to say it has the address counts even where it does not answer; what looks like us does not. */
static void send_there(struct wire *w, const struct addr *a, const struct mac *from)
{
	uint8_t frame[FRAME_MAX];

	size_t len = addr_family(a) == AF_INET ? frame_arp_announce(frame, a, from, true) : frame_nd_announce(frame, a, from, false);
	wire_send(w, frame, len, NULL);
}

/* A child that goes on sending until it is killed. */
static pid_t babbler(const char *const *addrs, size_t n, struct mac from, unsigned n_macs)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	struct wire w;
	netns_enter(THERE);
	if (wire_open(&w, "there", 0, NULL) < 0)
		_exit(1);
	for (unsigned k = 0;; k = (k + 1) % n_macs) {
		struct mac m = from;
		m.byte[5] = (uint8_t)(m.byte[5] + k);
		for (size_t i = 0; i < n; i++) {
			struct addr a;
			if (addr_parse(&a, addrs[i]))
				send_there(&w, &a, &m);
		}
		usleep(3000);
	}
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void our_own_frames_do_not_count(void **state)
{
	static const char *const addrs[] = {"192.0.2.66", "2001:db8::66"};
	struct mac ours;
	struct duplicate list[2];

	(void)state;
	assert_true(mac_parse(&ours, HERE_MAC));
	pid_t child = babbler(addrs, 2, ours, 1); /* as a bridge would that sends back what we sent */
	set(&list[0], addrs[0]);
	set(&list[1], addrs[1]);
	find(list, 2);
	end(child);
	assert_int_equal(list[0].n_stations, 0);
	assert_int_equal(list[1].n_stations, 0);
}

static void many_stations_of_one_address(void **state)
{
	static const char *const addrs[] = {"192.0.2.67", "2001:db8::67"};
	struct mac from = {{0x02, 0, 0, 0, 1, 0}};
	struct duplicate list[2] = {0};

	(void)state;
	pid_t child = babbler(addrs, 2, from, DUPLICATE_STATIONS + 1);
	set(&list[0], addrs[0]);
	set(&list[1], addrs[1]);
	for (int tries = 0; tries < 20 && !(list[0].more && list[1].more); tries++) /* it may babble too slowly */
		find(list, 2);
	end(child);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(list[i].n_stations, DUPLICATE_STATIONS);
		assert_true(list[i].more);
	}
}

static int timed_find(struct duplicate *list, size_t n)
{
	int64_t began = mono_ms();

	find(list, n);
	return (int)(mono_ms() - began);
}

/* 250 of each family, each second one in use: all found, in the time one takes. */
static void five_hundred_at_once(void **state)
{
	enum { N = 500 };
	static struct duplicate list[N];

	(void)state;
	char text[64];
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof text, i < N / 2 ? "198.51.100.%d" : "2001:db8:1::%x", 1 + i % (N / 2));
		set(&list[i], text);
	}
	netns_run(THERE, "for i in $(seq 2 2 250); do echo addr add 198.51.100.$i dev there; "
			 "printf 'addr add 2001:db8:1::%%x dev there nodad\\n' $i; done | ip -batch -");
	int took = timed_find(list, N);
	for (int tries = 0; tries < 9 && took > 2 * DUPLICATE_PROBES * DUPLICATE_INTERVAL_MS - 100; tries++)
		took = timed_find(list, N); /* the machine may be busy, but not always; two at once would take twice as long */
	if (took < DUPLICATE_PROBES * DUPLICATE_INTERVAL_MS || took > 2 * DUPLICATE_PROBES * DUPLICATE_INTERVAL_MS - 100)
		fail_msg("took %d ms", took);
	for (int i = 0; i < N; i++) {
		if (i % 2)
			one_station(&list[i], THERE_MAC, false);
		else
			assert_int_equal(list[i].n_stations, 0);
	}
}

static void errors_are_named(void **state)
{
	struct duplicate one;
	struct err err;

	(void)state;
	set(&one, "192.0.2.20");
	assert_int_equal(duplicate_find("nosuch", &one, 1, 1, 10, &err), -ENODEV);
	assert_int_equal(duplicate_find("lo", &one, 1, 1, 10, &err), -EOPNOTSUPP);
	netns_run(HERE, "ip link set here down");
	assert_int_equal(duplicate_find("here", &one, 1, 1, 10, &err), -ENETDOWN);
	assert_non_null(strstr(err.text, "interface here: Network is down"));
	netns_run(HERE, "ip link set here up");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_and_none),
		cmocka_unit_test(probes_change_no_cache),
		cmocka_unit_test(only_one_family),
		cmocka_unit_test(each_way_of_asking_works),
		cmocka_unit_test(who_asks_as_well_is_seen),
		cmocka_unit_test(our_own_frames_do_not_count),
		cmocka_unit_test(many_stations_of_one_address),
		cmocka_unit_test(five_hundred_at_once),
		cmocka_unit_test(errors_are_named),
	};
	return cmocka_run_group_tests(tests, netns_setup, netns_teardown);
}
