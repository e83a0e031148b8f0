/* Frames, byte by byte, and what a real neighbour makes of them. */
#include "netctl/announce.h"

#include "netctl/frame.h"
#include "netctl/wire.h"
#include "tests/unit/netns.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct mac me = {{0x02, 0, 0, 0, 0, 0x10}};

static struct addr ip(const char *text)
{
	struct addr a;

	assert_true(addr_parse(&a, text));
	return a;
}

static size_t bytes(const char *hex, uint8_t *out)
{
	size_t n = 0;
	unsigned v;

	for (hex += strspn(hex, " "); *hex; hex += 2, hex += strspn(hex, " ")) {
		assert_int_equal(sscanf(hex, "%2x", &v), 1);
		out[n++] = (uint8_t)v;
	}
	return n;
}

static void same_bytes(const uint8_t *found, size_t len, const char *hex)
{
	uint8_t want[256];

	assert_int_equal(len, bytes(hex, want));
	assert_memory_equal(found, want, len);
}

#define ARP_HEAD "ffffffffffff 020000000010 0806 0001 0800 06 04 "
static void arp_frames(void **state)
{
	uint8_t f[FRAME_MAX];
	struct addr a = ip("203.0.113.10");

	(void)state;
	same_bytes(f, frame_arp_announce(f, &a, &me, false), ARP_HEAD "0001 020000000010 cb00710a 000000000000 cb00710a");
	same_bytes(f, frame_arp_announce(f, &a, &me, true), ARP_HEAD "0002 020000000010 cb00710a 020000000010 cb00710a");
	same_bytes(f, frame_arp_probe(f, &a, &me), ARP_HEAD "0001 020000000010 00000000 000000000000 cb00710a");
}

#define A         "20010db8000000000000000000000010 "
#define ALL_NODES "ff020000000000000000000000000001 "
#define GROUP     "ff0200000000000000000001ff000010 " /* the solicited-node group of A */
#define LINKLOCAL "fe800000000000000000000000000001 "
#define ADVERT(flags, sum) \
	"333300000001 020000000010 86dd 60000000 0020 3a ff " A ALL_NODES "88 00 " sum " " flags "000000 " A "02 01 020000000010"
#define PROBE(sum)   "3333ff000010 020000000010 86dd 60000000 0018 3a ff 00000000000000000000000000000000 " GROUP "87 00 " sum " 00000000 " A
#define SOLICIT(sum) "3333ff000010 020000000010 86dd 60000000 0020 3a ff " LINKLOCAL GROUP "87 00 " sum " 00000000 " A "01 01 020000000010"

/* The checksums, by hand (RFC 1071, hexadecimal, in words of 16 bits; A is 2001+0db8+0010 = 2dc9):
 * advertisement: A twice 5b92, ff02::1 ff03, length and protocol 20+3a = 5a, 8800+2000, option 0201+0200+0000+0010 = 0411: 20700 in all,
 *   with its carry 0702, inverted f8fd; as a router a000 instead of 2000: 28700, 8702, 78fd.
 * probe: the group ff02+0001+ff00+0010 = 1fe13, 18+3a = 52, 8700, A 2dc9: 2b32e, b330, 4ccf.
 * solicitation: fe80+0001, the group, 5a, 8700, A, option 0101+0200+0010 = 0311: 3b4c8, b4cb, 4b34. */
static void discovery_frames(void **state)
{
	uint8_t f[FRAME_MAX];
	struct addr a = ip("2001:db8::10");
	struct in6_addr source = ip("fe80::1").v6.sin6_addr;

	(void)state;
	same_bytes(f, frame_nd_announce(f, &a, &me, false), ADVERT("20", "f8fd"));
	same_bytes(f, frame_nd_announce(f, &a, &me, true), ADVERT("a0", "78fd"));
	same_bytes(f, frame_nd_probe(f, &a, &me, NULL), PROBE("4ccf"));
	same_bytes(f, frame_nd_probe(f, &a, &me, &source), SOLICIT("4b34"));
}

/* Who uses an address, as frames of others tell. */
static void claims(void **state)
{
	static const struct {
		const char *frame, *addr; /* NULL: says nothing */
		bool asking;
	} rows[] = {
		{ARP_HEAD "0001 020000000010 cb00710a 000000000000 cb00710a", "203.0.113.10", false},
		{ARP_HEAD "0002 020000000010 cb00710a 020000000010 cb00710a", "203.0.113.10", false},
		{ARP_HEAD "0002 020000000010 cb00710a 020000000010 cb00710b", "203.0.113.10", false},
		{ARP_HEAD "0001 020000000010 cb00710a 000000000000 cb00710b", "203.0.113.10", false}, /* asks for another from its own */
		{ARP_HEAD "0001 020000000010 00000000 000000000000 cb00710a", "203.0.113.10", true},
		{ARP_HEAD "0002 020000000010 00000000 000000000000 cb00710a", NULL, false}, /* no such thing as a probing reply */
		{ARP_HEAD "0001 020000000010 00000000 000000000000 00000000", NULL, false},
		{ARP_HEAD "0003 020000000010 cb00710a 000000000000 cb00710a", NULL, false}, /* reverse ARP */
		{ADVERT("20", "f8fd"), "2001:db8::10", false},
		{ADVERT("a0", "78fd"), "2001:db8::10", false},
		{ADVERT("20", "f8fc"), NULL, false}, /* the checksum is wrong */
		{PROBE("4ccf"), "2001:db8::10", true},
		{SOLICIT("4b34"), "fe80::1", false}, /* of its source, not of what it asks for */
		/* hop limit 254: came from beyond a router, or pretends to */
		{"333300000001 020000000010 86dd 60000000 0020 3a fe " A ALL_NODES "88 00 f8fd 20000000 " A "02 01 020000000010", NULL,
		 false},
		/* an option of length 0 would go on for ever: 0201 becomes 0200 */
		{"333300000001 020000000010 86dd 60000000 0020 3a ff " A ALL_NODES "88 00 f8fe 20000000 " A "02 00 020000000010", NULL,
		 false},
		/* one that is longer than the packet: 0201 becomes 0202 */
		{"333300000001 020000000010 86dd 60000000 0020 3a ff " A ALL_NODES "88 00 f8fc 20000000 " A "02 02 020000000010", NULL,
		 false},
		/* an IPv4 packet */
		{"020000000020 020000000010 0800 4500 001c 0000 0000 40 01 0000 cb00710a cb00710b 0800 0000 0000 0000", NULL, false},
	};
	uint8_t f[256];
	struct frame_claim c;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t len = bytes(rows[i].frame, f);
		if (frame_claim(f, len, &c) != (rows[i].addr != NULL))
			fail_msg("row %zu was %s", i, rows[i].addr ? "not understood" : "taken for a claim");
		if (!rows[i].addr)
			continue;
		struct addr want = ip(rows[i].addr);
		if (!addr_same_ip(&c.addr, &want) || c.asking != rows[i].asking || !mac_same(&c.mac, &me))
			fail_msg("row %zu was misunderstood", i);
		for (size_t cut = 0; cut < len; cut++)
			if (frame_claim(f, cut, &c))
				fail_msg("row %zu was taken for whole at %zu of %zu bytes", i, cut, len);
	}
}

/* Where the frame itself names another MAC than it was sent from, that one has the address (a virtual router's, for one). */
static void the_named_mac_counts(void **state)
{
	uint8_t f[FRAME_MAX];
	struct frame_claim c;
	size_t len =
		bytes("333300000001 0200000000aa 86dd 60000000 0020 3a ff " A ALL_NODES "88 00 f8fd 20000000 " A "02 01 020000000010", f);

	(void)state;
	assert_true(frame_claim(f, len, &c));
	assert_true(mac_same(&c.mac, &me));
	/* without the option, who sent it: 0411 and 8 bytes of length less */
	len = bytes("333300000001 0200000000aa 86dd 60000000 0018 3a ff " A ALL_NODES "88 00 fd16 20000000 " A, f);
	assert_true(frame_claim(f, len, &c));
	assert_int_equal(c.mac.byte[5], 0xaa);
}

static void macs(void **state)
{
	static const char *const bad[] = {
		"", "02:00:00:00:00", "02:00:00:00:00:0g", "02-00-00-00-00-10", "02:00:00:00:00:10:", "2:00:00:00:00:100"};
	struct mac m;
	char text[MAC_TEXT_MAX];

	(void)state;
	assert_true(mac_parse(&m, "Aa:bB:09:00:00:F0"));
	assert_string_equal(mac_text(&m, text), "aa:bb:09:00:00:f0");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (mac_parse(&m, bad[i]))
			fail_msg("\"%s\" was taken for a MAC address", bad[i]);
}

/* ---- a neighbour that believes the address to be elsewhere */
#define FORMER "02:00:00:00:00:99"

static void believe(const char *addr)
{
	netns_run(THERE, "ip neigh replace %s lladdr " FORMER " dev there nud reachable", addr);
}

static void wait_for_belief(const char *addr, const char *mac)
{
	for (int tries = 0; !strstr(netns_read(THERE, "ip neigh show %s dev there", addr), mac);)
		netns_wait(&tries, addr);
}

static void neighbours_follow(void **state)
{
	struct addr both[] = {ip("192.0.2.50"), ip("2001:db8::50")};
	struct err err = {0};

	(void)state;
	believe("192.0.2.50");
	believe("2001:db8::50");
	believe("192.0.2.51");
	believe("2001:db8::51");
	assert_int_equal(announce("here", both, 2, &err), 0);
	wait_for_belief("192.0.2.50", HERE_MAC);
	wait_for_belief("2001:db8::50", HERE_MAC);
	wait_for_belief("192.0.2.51", FORMER);
	wait_for_belief("2001:db8::51", FORMER);
}

/* Each of the two forms does it alone. */
static void both_arp_forms_work(void **state)
{
	struct addr a = ip("192.0.2.52");
	uint8_t frame[FRAME_MAX];
	struct err err;
	struct wire w;

	(void)state;
	assert_int_equal(wire_open(&w, "here", 0, &err), 0);
	for (int reply = 0; reply <= 1; reply++) {
		believe("192.0.2.52");
		assert_int_equal(wire_send(&w, frame, frame_arp_announce(frame, &a, &w.mac, reply), &err), 0);
		wait_for_belief("192.0.2.52", HERE_MAC);
	}
	wire_close(&w);
}

/* What the neighbour itself notes down as a router's must stay one: the flag follows this host's forwarding. */
static void the_router_flag_follows_forwarding(void **state)
{
	struct addr a = ip("2001:db8::53");
	struct err err;

	(void)state;
	for (int on = 1; on >= 0; on--) {
		netns_run(HERE, "sysctl -qw net.ipv6.conf.here.forwarding=%d", on);
		believe("2001:db8::53");
		assert_int_equal(announce("here", &a, 1, &err), 0);
		wait_for_belief("2001:db8::53", HERE_MAC);
		assert_int_equal(strstr(netns_read(THERE, "ip neigh show 2001:db8::53 dev there"), "router") != NULL, on);
	}
}

static void a_muted_host_can_announce(void **state)
{
	struct addr both[] = {ip("192.0.2.54"), ip("2001:db8::54")};
	struct err err;

	(void)state;
	netns_run(HERE, "nft 'table arp mute { chain out { type filter hook output priority 0; policy drop; }; }; "
			"table ip6 mute { chain out { type filter hook output priority 0; policy drop; }; }'");
	believe("192.0.2.54");
	believe("2001:db8::54");
	assert_int_equal(announce("here", both, 2, &err), 0);
	wait_for_belief("192.0.2.54", HERE_MAC);
	wait_for_belief("2001:db8::54", HERE_MAC);
	netns_run(HERE, "nft flush ruleset");
}

/* Hundreds at once, and each arrives, as a request and as a reply. */
static void many(void **state)
{
	enum { N = 500 };
	static struct addr all[N];
	uint8_t frame[FRAME_MAX], seen[N][2] = {{0}};
	struct err err;
	struct wire w;
	int n_seen = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		char text[32];
		snprintf(text, sizeof text, "192.0.%d.%d", 100 + i / 250, 1 + i % 250);
		all[i] = ip(text);
	}
	netns_enter(THERE);
	assert_int_equal(wire_open(&w, "there", ETH_P_ARP, &err), 0);
	netns_enter(HERE);
	assert_int_equal(announce("here", all, N, &err), 0);
	for (int tries = 0; n_seen < 2 * N;) {
		ssize_t len = wire_receive(&w, frame, sizeof frame, &err);
		struct frame_claim c;
		if (len <= 0)
			netns_wait(&tries, "all announcements");
		if (len <= 0 || !frame_claim(frame, (size_t)len, &c))
			continue;
		uint8_t *once = NULL;
		for (int i = 0; i < N; i++)
			if (addr_same_ip(&all[i], &c.addr) && !c.asking)
				once = &seen[i][frame[21] - 1]; /* the operation: 1 or 2 */
		if (once && !*once)
			n_seen += *once = 1;
	}
	wire_close(&w);
}

static void errors_are_named(void **state)
{
	struct addr a = ip("192.0.2.50");
	struct err err;

	(void)state;
	assert_int_equal(announce("nosuch", &a, 1, &err), -ENODEV);
	assert_string_equal(err.text, "there is no network interface \"nosuch\"");
	assert_int_equal(announce("lo", &a, 1, &err), -EOPNOTSUPP);
	assert_string_equal(err.text, "interface lo is not an Ethernet: it has no neighbours to tell or ask");
	assert_int_equal(announce("here", &a, 0, &err), 0);
	netns_run(HERE, "ip link set here down");
	assert_int_equal(announce("here", &a, 1, &err), -ENETDOWN);
	assert_string_equal(err.text, "announcing 192.0.2.50: sending on interface here: Network is down");
	netns_run(HERE, "ip link set here up");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_frames),
		cmocka_unit_test(discovery_frames),
		cmocka_unit_test(claims),
		cmocka_unit_test(the_named_mac_counts),
		cmocka_unit_test(macs),
		cmocka_unit_test(neighbours_follow),
		cmocka_unit_test(both_arp_forms_work),
		cmocka_unit_test(the_router_flag_follows_forwarding),
		cmocka_unit_test(a_muted_host_can_announce),
		cmocka_unit_test(many),
		cmocka_unit_test(errors_are_named),
	};
	return cmocka_run_group_tests(tests, netns_setup, netns_teardown);
}
