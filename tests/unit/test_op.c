/* Ops on a real kernel, in a network namespace of this program: applied, verified, applied again, undone; and then everything that ip(8),
 * nft(8) and sysctl(8) tell must be as it was, byte for byte. */
#include "lib/clock.h"
#include "netctl/nft.h"
#include "netctl/nl.h"
#include "netctl/op.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct world *world;

/* ---- the other view ---- */

static char *output_of(const char *cmd)
{
	FILE *f = popen(cmd, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	assert_non_null(text);
	size_t n = fread(text, 1, (1 << 20) - 1, f);
	text[n] = '\0';
	pclose(f);
	return text;
}

static void sh(const char *cmd)
{
	if (cmd && *cmd && system(cmd) != 0)
		fail_msg("failed: %s", cmd);
}

/* What the kernel resolves by itself, counts down and derives is left aside. */
static char *snapshot(void)
{
	return output_of(
		"{ printf 'addr show\\nroute show table all\\nrule show\\nneigh show\\n' | ip -o -d -batch -;"
		"printf 'route show table all\\nrule show\\n' | ip -6 -o -d -batch -; nft list ruleset;"
		"grep -r . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/tcp_fwmark_accept /proc/sys/net/ipv4/tcp_rmem"
		" /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf/*/forwarding | sort; } 2>&1 |"
		"sed 's/^[0-9]*: \\([a-z]\\)/\\1/; s/ state [A-Z]*//; s/ expires [0-9a-z]*//; / INCOMPLETE\\| FAILED\\|shunt[0-9]\\//d'");
}

static bool says(const char *cmd, const char *text)
{
	char *out = output_of(cmd);
	bool yes = strstr(out, text) != NULL;

	free(out);
	return yes;
}

static void assert_same(const char *name, const char *when, char *before, char *after)
{
	if (strcmp(before, after) != 0) {
		size_t at = 0;
		while (before[at] == after[at])
			at++;
		while (at > 0 && before[at - 1] != '\n')
			at--;
		print_message("%s, %s: was\n%.600s\nis\n%.600s\n", name, when, before + at, after + at);
		fail();
	}
	free(after);
}

/* ---- one op ---- */

static json_t *parse(const char *text)
{
	json_error_t why;
	json_t *op = json_loads(text, 0, &why);

	if (!op)
		fail_msg("%s: %s", text, why.text);
	return op;
}

static void must(int rc, const struct err *err, const char *name, const char *what)
{
	if (rc < 0)
		fail_msg("%s: %s: %d %s", name, what, rc, err->text);
}

static void apply_all(const char *name, json_t *ops)
{
	struct err err = {0};
	json_t *op;
	size_t i;

	json_array_foreach (ops, i, op) {
		must(op_check(op, &err), &err, name, "check of undo");
		must(op_apply(world, op, &err), &err, name, "undo");
		must(op_verify(world, op, &err), &err, name, "verify of undo");
	}
}

/* Without duplicate detection too, the kernel takes a moment before an address of IPv6 is there for good, with its route in the table
 * local. */
static void settle(void)
{
	for (int i = 0; i < 500; i++) {
		if (says("ip -6 addr show tentative | grep -c inet6;"
			 "echo $(ip -6 -o addr | wc -l) $(ip -6 route show table local type local | wc -l) | tr ' ' '\\n' | uniq | wc -l",
			 "0\n1\n"))
			return;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	fail_msg("addresses did not settle");
}

struct row {
	const char *name, *prepare, *op;
	const char *look, *want; /* what a command says once it is applied; want with a "!" at its beginning: does not say */
	int undo_ops;            /* -1: any number */
	const char *clean;
};

static void assert_look(const struct row *r)
{
	if (!r->look)
		return;
	bool not = *r->want == '!';
	if (says(r->look, r->want + not ) == not )
		fail_msg("%s: %s says %s", r->name, r->look, output_of(r->look));
}

static char *settled(const struct row *r)
{
	if (strstr(r->op, "\"addr\"") || strstr(r->op, "\"link\""))
		settle();
	return snapshot();
}

static void run_row(const struct row *r)
{
	struct err err = {0};
	char text[OP_TEXT_MAX];
	json_t *op = parse(r->op), *undo = json_array();

	sh(r->prepare);
	char *before = settled(r);
	must(op_check(op, &err), &err, r->name, "check");
	must(op_undo(world, op, undo, &err), &err, r->name, "undo");
	if (r->undo_ops >= 0 && (size_t)r->undo_ops != json_array_size(undo))
		fail_msg("%s: undo is %s", r->name, json_dumps(undo, 0));
	assert_same(r->name, "an undo changes nothing", before, settled(r));
	assert_true(strlen(op_text(op, text)) > 5);
	if (r->undo_ops != 0 && op_verify(world, op, &err) == 0)
		fail_msg("%s: verified before it was applied", r->name);
	must(op_apply(world, op, &err), &err, r->name, "apply");
	must(op_verify(world, op, &err), &err, r->name, "verify");
	assert_look(r);
	char *applied = settled(r);
	must(op_apply(world, op, &err), &err, r->name, "apply again");
	must(op_verify(world, op, &err), &err, r->name, "verify again");
	assert_same(r->name, "applied again", applied, settled(r));
	/* As a journal has it: written out and read back. */
	char *written = json_dumps(undo, 0);
	json_t *read_back = parse(written);
	apply_all(r->name, read_back);
	assert_same(r->name, "undone", before, settled(r));
	apply_all(r->name, read_back);
	assert_same(r->name, "undone again", before, settled(r));
	free(written);
	json_decref(read_back);
	json_decref(undo);
	json_decref(op);
	free(before);
	free(applied);
	sh(r->clean);
}

static void run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		run_row(&rows[i]);
}
#define RUN(rows) run_rows(rows, sizeof(rows) / sizeof(*(rows)))

/* ---- kinds ---- */

static void addresses(void **state)
{
	static const struct row rows[] = {
		{"addr v4", NULL,
		 "{\"op\":\"addr\",\"state\":\"present\",\"address\":\"203.0.113.10/"
		 "32\",\"dev\":\"v0\",\"noprefixroute\":true,\"nodad\":true}",
		 "ip addr show v0", "inet 203.0.113.10/32 scope global noprefixroute v0", 1, NULL},
		{"addr v6", NULL,
		 "{\"op\":\"addr\",\"state\":\"present\",\"address\":\"2001:DB8:5::10/128\",\"dev\":\"v0\",\"nodad\":true}",
		 "ip addr show v0", "inet6 2001:db8:5::10/128 scope global nodad", 1, NULL},
		{"addr v6, prefix route", NULL,
		 "{\"op\":\"addr\",\"state\":\"present\",\"address\":\"2001:db8:5::10/64\",\"dev\":\"v0\",\"nodad\":true,\"metric\":77}",
		 "ip -6 route", "2001:db8:5::/64 dev v0 proto kernel metric 77", 1, NULL},
		{"addr there, another's", "ip addr add 203.0.113.10/32 dev v0 label v0:1",
		 "{\"op\":\"addr\",\"state\":\"present\",\"address\":\"203.0.113.10/32\",\"dev\":\"v0\"}", "ip addr show v0", "v0:1", 0,
		 NULL},
		{"addr there, any length", "ip addr add 203.0.113.11/28 dev v0",
		 "{\"op\":\"addr\",\"state\":\"present\",\"address\":\"203.0.113.11\",\"dev\":\"v0\"}", "ip addr show v0",
		 "!203.0.113.11/32", 0, "ip addr del 203.0.113.11/28 dev v0"},
		{"addr taken, label", NULL, "{\"op\":\"addr\",\"state\":\"absent\",\"address\":\"203.0.113.10/32\",\"dev\":\"v0\"}",
		 "ip addr show v0", "!203.0.113.10", 1, "ip addr del 203.0.113.10/32 dev v0"},
		{"addr taken, broadcast scope metric",
		 "ip addr add 203.0.113.20/28 brd + dev v0 scope site metric 55 label v0:x noprefixroute",
		 "{\"op\":\"addr\",\"state\":\"absent\",\"address\":\"203.0.113.20\",\"dev\":\"v0\"}", "ip addr show v0", "!203.0.113.20",
		 1, "ip addr del 203.0.113.20/28 dev v0"},
		{"addr taken, peer", "ip addr add 203.0.113.30 peer 203.0.113.31/32 dev v0",
		 "{\"op\":\"addr\",\"state\":\"absent\",\"address\":\"203.0.113.30\",\"dev\":\"v0\"}", "ip addr show v0", "!203.0.113.30",
		 1, "ip addr del 203.0.113.30 peer 203.0.113.31/32 dev v0"},
		{"addr v6 taken",
		 "ip addr add 2001:db8:6::1/64 dev v0 metric 300; while ip -6 addr show tentative | grep -q inet6; do :; done; ip -6 route "
		 "add 2001:db8:7::/64 dev v0 src 2001:db8:6::1 metric 9",
		 "{\"op\":\"addr\",\"state\":\"absent\",\"address\":\"2001:db8:6::1/64\",\"dev\":\"v0\"}", "ip -6 route",
		 "!src 2001:db8:6::1", 2, "ip -6 route del 2001:db8:7::/64 dev v0; ip addr del 2001:db8:6::1/64 dev v0"},
		{"addr v6 taken, peer and flags", "ip addr add 2001:db8:6::1 peer 2001:db8:6::9/128 dev v0 nodad home noprefixroute",
		 "{\"op\":\"addr\",\"state\":\"absent\",\"address\":\"2001:db8:6::1\",\"dev\":\"v0\"}", "ip addr show v0", "!2001:db8:6::1",
		 1, "ip addr del 2001:db8:6::1 peer 2001:db8:6::9/128 dev v0"},
		{"addr deprecated", "ip addr add 2001:db8:6::2/64 dev v0 preferred_lft 0",
		 "{\"op\":\"addr\",\"state\":\"absent\",\"address\":\"2001:db8:6::2\",\"dev\":\"v0\"}", "ip addr show v0", "!2001:db8:6::2",
		 1, "ip addr del 2001:db8:6::2/64 dev v0"},
		{"addr made deprecated", "ip addr add 203.0.113.40/32 dev v0 label v0:40",
		 "{\"op\":\"addr\",\"state\":\"present\",\"address\":\"203.0.113.40\",\"dev\":\"v0\",\"preferred\":0}", "ip addr show v0",
		 "deprecated v0:40", 1, "ip addr del 203.0.113.40/32 dev v0"},
		{"addr with the routes that need it",
		 "ip route add 10.1.0.0/16 via 198.51.100.9 src 198.51.100.2 metric 3; ip route add default via 198.51.100.9 proto static "
		 "table 99;"
		 "ip route add 10.2.0.0/16 dev v1 scope link; ip route add 10.3.0.0/16 via 192.0.2.9 src 198.51.100.2",
		 "{\"op\":\"addr\",\"state\":\"absent\",\"address\":\"198.51.100.2/24\",\"dev\":\"v1\"}", "ip route show table all",
		 "!198.51.100.9", 5, "ip route flush root 10.0.0.0/8; ip route flush table 99"},
		{"addr gone already", NULL, "{\"op\":\"addr\",\"state\":\"absent\",\"address\":\"203.0.113.77/32\",\"dev\":\"v0\"}", NULL,
		 NULL, 0, NULL},
		{"addr gone with its interface", NULL,
		 "{\"op\":\"addr\",\"state\":\"absent\",\"address\":\"2001:db8::77\",\"dev\":\"nowhere\"}", NULL, NULL, 0, NULL},
	};

	(void)state;
	RUN(rows);
}

static void routes(void **state)
{
	static const struct row rows[] = {
		{"route local default", NULL,
		 "{\"op\":\"route\",\"state\":\"present\",\"family\":\"inet\",\"dst\":\"default\",\"table\":7443,\"type\":\"local\","
		 "\"dev\":\"lo\"}",
		 "ip route show table 7443", "local default dev lo proto 200 scope host", 1, NULL},
		{"route local default v6", NULL,
		 "{\"op\":\"route\",\"state\":\"present\",\"family\":\"inet6\",\"dst\":\"default\",\"table\":7443,\"type\":\"local\","
		 "\"dev\":\"lo\"}",
		 "ip -6 route show table 7443", "local default dev lo proto 200 metric 1024", 1, NULL},
		{"route via", NULL,
		 "{\"op\":\"route\",\"state\":\"present\",\"family\":\"inet\",\"dst\":\"203.0.113.0/"
		 "24\",\"via\":\"192.0.2.9\",\"dev\":\"v0\"}",
		 "ip route", "203.0.113.0/24 via 192.0.2.9 dev v0 proto 200", 1, NULL},
		{"route onlink v6", NULL,
		 "{\"op\":\"route\",\"state\":\"present\",\"family\":\"inet6\",\"dst\":\"2001:db8:9::/"
		 "48\",\"via\":\"2001:db8:8::1\",\"dev\":\"v0\",\"onlink\":true}",
		 "ip -6 route", "2001:db8:9::/48 via 2001:db8:8::1 dev v0 proto 200 metric 1024 onlink", 1, NULL},
		{"route without a host part", NULL,
		 "{\"op\":\"route\",\"state\":\"present\",\"family\":\"inet\",\"dst\":\"203.0.113.9\",\"dev\":\"v0\"}", "ip route",
		 "203.0.113.9 dev v0 proto 200 scope link", 1, NULL},
		{"route replaced",
		 "ip route add 203.0.113.0/24 via 192.0.2.7 dev v0 proto static src 192.0.2.2 mtu 1400 advmss 1300 initcwnd 20",
		 "{\"op\":\"route\",\"state\":\"present\",\"family\":\"inet\",\"dst\":\"203.0.113.0/"
		 "24\",\"via\":\"192.0.2.9\",\"dev\":\"v0\"}",
		 "ip route", "203.0.113.0/24 via 192.0.2.9 dev v0 proto 200", 1, "ip route flush root 203.0.113.0/24"},
		{"route replaced, other metrics stay",
		 "ip route add 203.0.113.0/24 via 192.0.2.7 metric 100; ip route add 203.0.113.0/24 via 192.0.2.6; ip route append "
		 "203.0.113.0/24 via 192.0.2.5",
		 "{\"op\":\"route\",\"state\":\"present\",\"family\":\"inet\",\"dst\":\"203.0.113.0/"
		 "24\",\"via\":\"192.0.2.9\",\"dev\":\"v0\"}",
		 "ip route", "203.0.113.0/24 via 192.0.2.7 dev v0 metric 100", 1, NULL},
		{"route taken, first of two", NULL,
		 "{\"op\":\"route\",\"state\":\"absent\",\"family\":\"inet\",\"dst\":\"203.0.113.0/24\",\"via\":\"192.0.2.6\"}", "ip route",
		 "!192.0.2.6", 1, NULL},
		{"route taken, second of two", NULL,
		 "{\"op\":\"route\",\"state\":\"absent\",\"family\":\"inet\",\"dst\":\"203.0.113.0/24\",\"via\":\"192.0.2.5\"}", "ip route",
		 "!192.0.2.5", 1, NULL},
		{"route taken, both", NULL, "{\"op\":\"route\",\"state\":\"absent\",\"family\":\"inet\",\"dst\":\"203.0.113.0/24\"}",
		 "ip route", "!192.0.2.5", 2, "ip route flush root 203.0.113.0/24"},
		{"route replaced v6",
		 "ip -6 route add 2001:db8:9::/48 via 2001:db8::7 dev v0 proto static src 2001:db8::2 mtu 1400 pref high",
		 "{\"op\":\"route\",\"state\":\"present\",\"family\":\"inet6\",\"dst\":\"2001:db8:9::/"
		 "48\",\"via\":\"2001:db8::9\",\"dev\":\"v0\"}",
		 "ip -6 route", "2001:db8:9::/48 via 2001:db8::9 dev v0 proto 200", 1, "ip -6 route flush root 2001:db8:9::/48"},
		{"route replaced, multipath",
		 "ip route add 203.0.113.0/24 nexthop via 192.0.2.7 dev v0 weight 2 nexthop via 198.51.100.7 dev v1 weight 5",
		 "{\"op\":\"route\",\"state\":\"present\",\"family\":\"inet\",\"dst\":\"203.0.113.0/"
		 "24\",\"via\":\"192.0.2.9\",\"dev\":\"v0\"}",
		 "ip route", "!nexthop", 1, "ip route flush root 203.0.113.0/24"},
		{"route replaced, multipath v6",
		 "ip -6 route add 2001:db8:9::/48 nexthop via 2001:db8::7 dev v0 weight 2 nexthop via 2001:db8:1::7 dev v1 weight 5",
		 "{\"op\":\"route\",\"state\":\"present\",\"family\":\"inet6\",\"dst\":\"2001:db8:9::/"
		 "48\",\"via\":\"2001:db8::9\",\"dev\":\"v0\"}",
		 "ip -6 route", "!nexthop", 1, NULL},
		{"route taken, multipath v6", NULL,
		 "{\"op\":\"route\",\"state\":\"absent\",\"family\":\"inet6\",\"dst\":\"2001:db8:9::/48\"}", "ip -6 route",
		 "!2001:db8:9::", 1, "ip -6 route flush root 2001:db8:9::/48"},
		{"route replaced, blackhole v6", "ip -6 route add blackhole 2001:db8:9::/48 metric 1024",
		 "{\"op\":\"route\",\"state\":\"present\",\"family\":\"inet6\",\"dst\":\"2001:db8:9::/48\",\"dev\":\"v0\"}", "ip -6 route",
		 "!blackhole", 1, "ip -6 route flush root 2001:db8:9::/48; ip -6 route del blackhole 2001:db8:9::/48 || true"},
		{"route by a nexthop object taken", "ip nexthop add id 10 via 192.0.2.7 dev v0; ip route add 203.0.113.0/24 nhid 10",
		 "{\"op\":\"route\",\"state\":\"absent\",\"family\":\"inet\",\"dst\":\"203.0.113.0/24\"}", "ip route", "!nhid", 1,
		 "ip route del 203.0.113.0/24; ip nexthop del id 10"},
		{"route there, another's", "ip route add 203.0.113.0/24 via 192.0.2.7 proto static",
		 "{\"op\":\"route\",\"state\":\"present\",\"family\":\"inet\",\"dst\":\"203.0.113.0/"
		 "24\",\"via\":\"192.0.2.7\",\"dev\":\"v0\"}",
		 "ip route", "proto static", 0, NULL},
		{"route of another protocol stays", NULL,
		 "{\"op\":\"route\",\"state\":\"absent\",\"family\":\"inet\",\"dst\":\"203.0.113.0/24\",\"protocol\":200}", "ip route",
		 "203.0.113.0/24", 0, "ip route del 203.0.113.0/24"},
		{"route gone already", NULL,
		 "{\"op\":\"route\",\"state\":\"absent\",\"family\":\"inet\",\"dst\":\"203.0.113.0/24\",\"table\":4711}", NULL, NULL, 0,
		 NULL},
		{"route gone, metric other", "ip route add 203.0.113.0/24 via 192.0.2.7 metric 5",
		 "{\"op\":\"route\",\"state\":\"absent\",\"family\":\"inet\",\"dst\":\"203.0.113.0/24\"}", "ip route", "metric 5", 0,
		 "ip route flush root 203.0.113.0/24"},
	};

	(void)state;
	RUN(rows);
}

static void rules(void **state)
{
	static const struct row rows[] = {
		{"rule mark", NULL,
		 "{\"op\":\"rule\",\"state\":\"present\",\"family\":\"inet\",\"priority\":743,\"table\":7443,\"mark\":16777216,\"mask\":"
		 "16777216}",
		 "ip -d rule", "743:\tfrom all fwmark 0x1000000/0x1000000 lookup 7443 proto 200", 1, NULL},
		{"rule v6, all it knows", NULL,
		 "{\"op\":\"rule\",\"state\":\"present\",\"family\":\"inet6\",\"priority\":744,\"table\":7444,\"mark\":1,\"iif\":\"v0\","
		 "\"from\":\"2001:db8::/32\",\"to\":\"2001:db8:1::1/128\"}",
		 "ip -6 -d rule", "744:\tfrom 2001:db8::/32 to 2001:db8:1::1 fwmark 0x1 iif v0 lookup 7444 proto 200", 1, NULL},
		{"rule for an interface to come", NULL,
		 "{\"op\":\"rule\",\"state\":\"present\",\"family\":\"inet\",\"priority\":745,\"table\":7445,\"iif\":\"shunt9\"}",
		 "ip rule", "iif shunt9", 1, NULL},
		{"rule there, another's", "ip rule add pref 500 from 192.0.2.0/24 lookup 100 protocol static",
		 "{\"op\":\"rule\",\"state\":\"present\",\"family\":\"inet\",\"priority\":500,\"table\":100,\"from\":\"192.0.2.0/24\"}",
		 "ip -d rule", "!proto 200", 0, "ip rule del pref 500"},
		{"rule taken, all it says",
		 "ip rule add not pref 501 from 192.0.2.0/24 to 198.51.100.0/24 tos 0x10 fwmark 7/0xff iif v0 oif v1 ipproto tcp sport "
		 "1-99 "
		 "dport 80 uidrange 1-5 lookup 100 suppress_prefixlength 3 protocol 77",
		 "{\"op\":\"rule\",\"state\":\"absent\",\"family\":\"inet\",\"priority\":501,\"table\":100}", NULL, NULL, 0,
		 "ip rule del pref 501"},
		{"rules, equal ones", "ip rule add pref 600 lookup 100; ip rule add pref 601 lookup 100",
		 "{\"op\":\"rule\",\"state\":\"absent\",\"family\":\"inet\",\"priority\":600,\"table\":100}", "ip rule", "!600:", 1,
		 "ip rule del pref 600; ip rule del pref 601"},
		{"rule blackhole stays", "ip -6 rule add pref 602 blackhole",
		 "{\"op\":\"rule\",\"state\":\"absent\",\"family\":\"inet6\",\"priority\":602,\"table\":100}", "ip -6 rule", "602:", 0,
		 NULL},
		{"rule blackhole taken", NULL, "{\"op\":\"rule\",\"state\":\"absent\",\"family\":\"inet6\",\"priority\":602,\"action\":6}",
		 "ip -6 rule", "!602:", 1, "ip -6 rule del pref 602"},
		{"rule gone already", NULL, "{\"op\":\"rule\",\"state\":\"absent\",\"family\":\"inet\",\"priority\":700,\"table\":1}", NULL,
		 NULL, 0, NULL},
		{"local rule", NULL, "{\"op\":\"local-rule\",\"family\":\"inet\",\"priority\":1000}", "ip rule | grep ^0:", "!local", 2,
		 NULL},
		{"local rule v6", NULL, "{\"op\":\"local-rule\",\"family\":\"inet6\",\"priority\":1000}", "ip -6 rule",
		 "1000:\tfrom all lookup local", 2, NULL},
		{"local rule, as it is", NULL, "{\"op\":\"local-rule\",\"family\":\"inet\",\"priority\":0}", NULL, NULL, 0, NULL},
		{"local rule, twice", "ip rule add pref 1000 lookup local", "{\"op\":\"local-rule\",\"family\":\"inet\",\"priority\":1000}",
		 "ip rule | grep ^0:", "!local", 2, NULL},
		{"local rule put back", NULL, "{\"op\":\"local-rule\",\"state\":\"absent\",\"family\":\"inet\",\"priority\":1000}",
		 "ip rule", "!1000:", 2, "ip rule del pref 1000"},
	};

	(void)state;
	RUN(rows);
}

/* The kernel has two of what can only be told apart by their order. */
static void equal_rules(void **state)
{
	static const struct row taken = {"two equal rules",
					 NULL,
					 "{\"op\":\"rule\",\"state\":\"absent\",\"family\":\"inet\",\"priority\":650,\"table\":100}",
					 "ip rule",
					 "!650:",
					 2,
					 "ip rule del pref 650; ip rule del pref 650; ip rule del pref 650"};
	struct err err = {0};
	json_t *op = parse("{\"op\":\"rule\",\"family\":\"inet\",\"priority\":650,\"table\":100,\"copies\":2,\"protocol\":3}");

	(void)state;
	must(op_apply(world, op, &err), &err, "copies", "apply");
	json_object_set_new(op, "protocol", json_integer(4));
	json_object_del(op, "copies");
	must(op_apply(world, op, &err), &err, "copies", "apply");
	json_decref(op);
	run_row(&taken);
}

static void neighbours(void **state)
{
	static const struct row rows[] = {
		{"neigh", NULL,
		 "{\"op\":\"neigh\",\"state\":\"present\",\"address\":\"192.0.2.1\",\"dev\":\"v0\",\"lladdr\":\"02:00:00:00:00:99\"}",
		 "ip neigh", "192.0.2.1 dev v0 lladdr 02:00:00:00:00:99 PERMANENT", 1, NULL},
		{"neigh v6", NULL,
		 "{\"op\":\"neigh\",\"state\":\"present\",\"address\":\"2001:db8::1\",\"dev\":\"v0\",\"lladdr\":\"02:00:00:00:00:99\"}",
		 "ip -6 neigh", "PERMANENT", 1, NULL},
		{"neigh replaced", "ip neigh add 192.0.2.1 dev v0 lladdr 02:00:00:00:00:01 nud permanent",
		 "{\"op\":\"neigh\",\"state\":\"present\",\"address\":\"192.0.2.1\",\"dev\":\"v0\",\"lladdr\":\"02:00:00:00:00:99\"}",
		 "ip neigh", "00:99 PERMANENT", 1, NULL},
		{"neigh there", NULL,
		 "{\"op\":\"neigh\",\"state\":\"present\",\"address\":\"192.0.2.1\",\"dev\":\"v0\",\"lladdr\":\"02:00:00:00:00:01\"}", NULL,
		 NULL, 0, NULL},
		{"neigh taken", NULL, "{\"op\":\"neigh\",\"state\":\"absent\",\"address\":\"192.0.2.1\",\"dev\":\"v0\"}", "ip neigh",
		 "!PERMANENT", 1, "ip neigh del 192.0.2.1 dev v0"},
		{"neigh learnt", "ip -6 neigh add fe80::7 dev v0 lladdr 02:00:00:00:00:01 router nud stale",
		 "{\"op\":\"neigh\",\"state\":\"present\",\"address\":\"fe80::7\",\"dev\":\"v0\",\"lladdr\":\"02:00:00:00:00:01\"}",
		 "ip -6 neigh", "router PERMANENT", 1, NULL},
		{"neigh learnt is not taken", NULL, "{\"op\":\"neigh\",\"state\":\"absent\",\"address\":\"fe80::7\",\"dev\":\"v0\"}",
		 "ip -6 neigh", "STALE", 0, "ip neigh del fe80::7 dev v0"},
		{"neigh gone already", NULL, "{\"op\":\"neigh\",\"state\":\"absent\",\"address\":\"192.0.2.77\",\"dev\":\"nowhere\"}", NULL,
		 NULL, 0, NULL},
	};

	(void)state;
	RUN(rows);
}

#define LINK(name, id, rest)                                                                         \
	"{\"op\":\"link\",\"state\":\"present\",\"name\":\"" name "\",\"kind\":\"vxlan\",\"id\":" id \
	",\"local\":\"192.0.2.2\",\"remote\":\"192.0.2.9\",\"port\":4789,\"mac\":\"02:00:00:00:42:01\"" rest "}"

static void links(void **state)
{
	static const struct row rows[] = {
		{"link", NULL, LINK("shunt0", "42", ""), "ip -d link show shunt0", "vxlan id 42 remote 192.0.2.9 local 192.0.2.2", 1, NULL},
		{"link mtu, up, alias", NULL, LINK("shunt0", "42", ",\"mtu\":1420"),
		 "ip link show shunt0 | grep -c -e 'UP.* mtu 1420' -e 'alias shunt'", "2", 1, NULL},
		{"link v6", NULL,
		 "{\"op\":\"link\",\"state\":\"present\",\"name\":\"shunt1\",\"kind\":\"vxlan\",\"id\":7,\"local\":\"2001:db8::2\","
		 "\"remote\":\"2001:DB8::9\",\"port\":4790,\"mac\":\"02:00:00:00:42:02\"}",
		 "ip -d link show shunt1", "remote 2001:db8::9 local 2001:db8::2", 1, NULL},
		{"link gone already", NULL, "{\"op\":\"link\",\"state\":\"absent\",\"name\":\"shunt5\"}", NULL, NULL, 0, NULL},
	};
	struct err err = {0};
	json_t *op = parse(LINK("shunt2", "43", ",\"mtu\":1400"));

	(void)state;
	RUN(rows);
	must(op_apply(world, op, &err), &err, "link", "apply");
	json_decref(op);
	sh("sysctl -qw net.ipv6.conf.shunt2.accept_dad=0; ip addr add 10.99.0.1/30 dev shunt2; ip -6 addr add fd99::1/64 dev shunt2 nodad;"
	   "ip route add default via 10.99.0.2 dev shunt2 table 7444 proto 200; ip -6 route add default via fd99::2 dev shunt2 table 7444;"
	   "ip neigh add 10.99.0.2 lladdr 02:00:00:00:00:02 dev shunt2");
	static const struct row taken = {"link taken, with all on it",
					 NULL,
					 "{\"op\":\"link\",\"state\":\"absent\",\"name\":\"shunt2\"}",
					 "ip link",
					 "!shunt2",
					 6,
					 NULL};
	static const struct row other = {"link of ours, another form", NULL,          LINK("shunt2", "44", ""),
					 "ip -d link show shunt2",     "vxlan id 44", 6,
					 "ip link del shunt2"};
	run_row(&taken);
	run_row(&other);
	/* A crash before the alias: the undo knows it by its number. */
	sh("ip link add shunt3 type vxlan id 45 local 192.0.2.2 remote 192.0.2.9 dstport 4789");
	op = parse(LINK("shunt3", "45", ""));
	json_object_set_new(op, "state", json_string("absent"));
	must(op_apply(world, op, &err), &err, "link half made", "absent");
	assert_false(says("ip link", "shunt3"));
	json_decref(op);
}

static void sysctls(void **state)
{
	static const struct row rows[] = {
		{"sysctl", NULL, "{\"op\":\"sysctl\",\"key\":\"net.ipv4.tcp_fwmark_accept\",\"value\":\"1\"}",
		 "sysctl net.ipv4.tcp_fwmark_accept", "= 1", 1, NULL},
		{"sysctl as it is", NULL, "{\"op\":\"sysctl\",\"key\":\"net.ipv4.tcp_fwmark_accept\",\"value\":\"0\"}", NULL, NULL, 0,
		 NULL},
		{"sysctl of several", NULL, "{\"op\":\"sysctl\",\"key\":\"net.ipv4.tcp_rmem\",\"value\":\"4096 65536  1048576\"}",
		 "sysctl net.ipv4.tcp_rmem", "65536", 1, NULL},
		{"sysctl of an interface",
		 "ip link add v0.100 link v0 type vlan id 100 2>/dev/null || ip link add v0.100 type veth peer name v1.100",
		 "{\"op\":\"sysctl\",\"key\":\"net.ipv4.conf.v0/100.rp_filter\",\"value\":\"2\"}",
		 "cat /proc/sys/net/ipv4/conf/v0.100/rp_filter", "2", 1, NULL},
		{"sysctl forwarding, with those it turns", "sysctl -qw net.ipv4.conf.v0.forwarding=1 net.ipv4.conf.all.accept_redirects=0",
		 "{\"op\":\"sysctl\",\"key\":\"net.ipv4.ip_forward\",\"value\":\"1\"}", "sysctl net.ipv4.conf.v1.forwarding", "= 1", 3,
		 "ip link del v0.100"},
		{"sysctl forwarding v6, with those it turns", "sysctl -qw net.ipv6.conf.v0.forwarding=1",
		 "{\"op\":\"sysctl\",\"key\":\"net/ipv6/conf/all/forwarding\",\"value\":\"1\"}", "sysctl net.ipv6.conf.v1.forwarding",
		 "= 1", 2, "sysctl -qw net.ipv6.conf.v0.forwarding=0"},
	};

	(void)state;
	RUN(rows);
}

#define NFT(rules) "{\"op\":\"nft-table\",\"state\":\"present\",\"family\":\"inet\",\"name\":\"shunt_t\",\"rules\":\"" rules "\"}"

static void tables(void **state)
{
	static const struct row rows[] = {
		{"nft table", NULL,
		 NFT("set s { type ipv4_addr . inet_service; elements = { 192.0.2.1 . 80 }\\n}\\n# a { comment\\n chain c { type filter "
		     "hook prerouting priority mangle; policy accept; iifname \\\"lo\\\" meta mark & 0x1000000 == 0x1000000 return\\n ip "
		     "daddr . tcp dport @s counter accept; tcp dport { 1,\\n 2 } drop\\n}"),
		 "nft list table inet shunt_t", "meta mark & 0x01000000 == 0x01000000 return", 1, NULL},
		{"nft table of ours, replaced",
		 "nft 'table inet shunt_t { set x { type nf_proto; flags timeout; elements = { ipv4 timeout 1d expires 1h } ; }; chain c { "
		 "type filter hook input priority 0; tcp dport 9 counter packets 5 bytes 300 ; }; }'",
		 NFT("chain z { }"), "nft list ruleset", "!counter", 1, NULL},
		{"nft table taken", NULL, "{\"op\":\"nft-table\",\"state\":\"absent\",\"family\":\"inet\",\"name\":\"shunt_t\"}",
		 "nft list ruleset", "!shunt_t", 1, "nft delete table inet shunt_t"},
		{"nft table gone already", "nft add table ip other",
		 "{\"op\":\"nft-table\",\"state\":\"absent\",\"family\":\"ip6\",\"name\":\"shunt_t\"}", "nft list ruleset",
		 "table ip other", 0, "nft delete table ip other"},
	};
	struct err err = {0};

	(void)state;
	RUN(rows);
	/* Another hand. */
	json_t *op = parse(NFT("chain c { accept; drop; }"));
	must(op_apply(world, op, &err), &err, "nft", "apply");
	must(op_verify(world, op, &err), &err, "nft", "verify");
	sh("nft add rule inet shunt_t c drop");
	assert_int_equal(op_verify(world, op, &err), -ENOENT);
	assert_non_null(strstr(err.text, "found 3 rules in chain c, expected 2"));
	sh("nft flush chain inet shunt_t c; nft delete chain inet shunt_t c");
	assert_int_equal(op_verify(world, op, &err), -ENOENT);
	sh("nft delete table inet shunt_t");
	assert_int_equal(op_verify(world, op, &err), -ENOENT);
	json_decref(op);
	/* A refusal changes nothing, and says why. */
	op = parse(NFT("chain c { accept; }\\n chain d { jump nowhere; }"));
	assert_int_equal(op_apply(world, op, &err), -EINVAL);
	if (!strstr(err.text, "nft refused it: line 5:17-23: Error: "))
		fail_msg("%s", err.text);
	assert_false(says("nft list ruleset", "shunt_t"));
	json_decref(op);
}

/* ---- errors ---- */

static void bad_forms(void **state)
{
	static const struct {
		const char *op, *want[2];
	} rows[] = {
		{"{\"op\":\"teleport\"}", {"teleport", "does not know"}},
		{"{\"op\":\"addr\",\"state\":\"gone\",\"address\":\"192.0.2.1\",\"dev\":\"v0\"}", {"\"addr\"", "gone"}},
		{"{\"op\":\"addr\",\"dev\":\"v0\"}", {"\"addr\"", "\"address\""}},
		{"{\"op\":\"addr\",\"address\":\"192.0.2.300\",\"dev\":\"v0\"}", {"\"addr\"", "\"address\" \"192.0.2.300\""}},
		{"{\"op\":\"addr\",\"address\":\"192.0.2.1/33\",\"dev\":\"v0\"}", {"\"addr\"", "\"address\""}},
		{"{\"op\":\"addr\",\"address\":\"192.0.2.1\"}", {"\"addr\"", "\"dev\""}},
		{"{\"op\":\"addr\",\"address\":\"192.0.2.1\",\"dev\":\"sixteen-letters-\"}", {"\"addr\"", "\"dev\""}},
		{"{\"op\":\"addr\",\"address\":\"192.0.2.1\",\"dev\":\"v0\",\"nodat\":true}", {"\"addr\"", "\"nodat\""}},
		{"{\"op\":\"addr\",\"address\":\"192.0.2.1\",\"dev\":\"v0\",\"nodad\":1}", {"\"addr\"", "\"nodad\""}},
		{"{\"op\":\"addr\",\"address\":\"192.0.2.1\",\"dev\":\"v0\",\"valid\":5,\"preferred\":6}", {"\"addr\"", "\"valid\""}},
		{"{\"op\":\"addr\",\"address\":\"192.0.2.1\",\"dev\":\"v0\",\"attrs\":\"0400\"}", {"\"addr\"", "\"attrs\""}},
		{"{\"op\":\"route\",\"dst\":\"default\",\"dev\":\"v0\"}", {"\"route\"", "\"family\""}},
		{"{\"op\":\"route\",\"family\":\"inet\",\"dst\":\"2001:db8::/32\",\"dev\":\"v0\"}", {"\"route\"", "\"dst\""}},
		{"{\"op\":\"route\",\"family\":\"inet\",\"dst\":\"192.0.2.1/24\",\"dev\":\"v0\"}", {"\"route\"", "host bits"}},
		{"{\"op\":\"route\",\"family\":\"inet\",\"dst\":\"default\",\"via\":\"2001:db8::1\"}", {"\"route\"", "\"via\""}},
		{"{\"op\":\"route\",\"family\":\"inet\",\"dst\":\"default\",\"table\":0}", {"\"route\"", "\"table\""}},
		{"{\"op\":\"route\",\"family\":\"inet\",\"dst\":\"default\",\"table\":4294967296}", {"\"route\"", "\"table\""}},
		{"{\"op\":\"route\",\"family\":\"inet\",\"dst\":\"default\",\"type\":\"odd\"}", {"\"route\"", "\"type\""}},
		{"{\"op\":\"route\",\"family\":\"inet\",\"dst\":\"default\",\"place\":\"odd\"}", {"\"route\"", "\"place\""}},
		{"{\"op\":\"rule\",\"family\":\"inet\",\"table\":7}", {"\"rule\"", "\"priority\""}},
		{"{\"op\":\"rule\",\"family\":\"inet\",\"priority\":7}", {"\"rule\"", "\"table\""}},
		{"{\"op\":\"rule\",\"family\":\"inet\",\"priority\":-7,\"table\":1}", {"\"rule\"", "\"priority\""}},
		{"{\"op\":\"rule\",\"family\":\"inet\",\"priority\":7,\"table\":1,\"iif\":\"\"}", {"\"rule\"", "\"iif\""}},
		{"{\"op\":\"local-rule\",\"family\":\"inet\"}", {"rule\"", "\"priority\""}},
		{"{\"op\":\"local-rule\",\"family\":\"inet\",\"priority\":7,\"table\":1}", {"\"local-rule\"", "more than"}},
		{"{\"op\":\"neigh\",\"address\":\"192.0.2.1\",\"dev\":\"v0\"}", {"\"neigh\"", "\"lladdr\""}},
		{"{\"op\":\"neigh\",\"address\":\"192.0.2.1\",\"dev\":\"v0\",\"lladdr\":\"02:00:0:1\"}", {"\"neigh\"", "\"lladdr\""}},
		{"{\"op\":\"neigh\",\"address\":\"192.0.2.1/32\",\"dev\":\"v0\",\"lladdr\":\"02:00:00:00:00:01\"}",
		 {"\"neigh\"", "\"address\""}},
		{LINK("shunt0", "16777216", ""), {"\"link\"", "\"id\""}},
		{LINK("a/b", "1", ""), {"\"link\"", "\"name\""}},
		{LINK("shunt0", "1", ",\"mtuu\":5"), {"\"link\"", "\"mtuu\""}},
		{"{\"op\":\"link\",\"name\":\"shunt0\",\"kind\":\"gre\",\"id\":1,\"port\":1}", {"\"link\"", "\"kind\""}},
		{"{\"op\":\"sysctl\",\"key\":\"kernel.hostname\",\"value\":\"x\"}", {"\"sysctl\"", "\"key\""}},
		{"{\"op\":\"sysctl\",\"key\":\"net/../kernel/hostname\",\"value\":\"x\"}", {"\"sysctl\"", "\"key\""}},
		{"{\"op\":\"sysctl\",\"key\":\"net.//.kernel.hostname\",\"value\":\"x\"}", {"\"sysctl\"", "\"key\""}},
		{"{\"op\":\"sysctl\",\"key\":\"net.ipv4.ip_forward\"}", {"\"sysctl\"", "\"value\""}},
		{"{\"op\":\"sysctl\",\"key\":\"net.ipv4.ip_forward\",\"value\":\"1\\n2\"}", {"\"sysctl\"", "\"value\""}},
		{"{\"op\":\"nft-table\",\"family\":\"inet\",\"name\":\"filter\",\"rules\":\"\"}", {"\"nft-table\"", "\"name\""}},
		{"{\"op\":\"nft-table\",\"family\":\"inet\",\"name\":\"shunt_a; flush ruleset\",\"rules\":\"\"}",
		 {"\"nft-table\"", "\"name\""}},
		{"{\"op\":\"nft-table\",\"family\":\"odd\",\"name\":\"shunt_a\",\"rules\":\"\"}", {"\"nft-table\"", "\"family\""}},
		{"{\"op\":\"nft-table\",\"family\":\"inet\",\"name\":\"shunt_a\"}", {"\"nft-table\"", "\"rules\""}},
		{NFT("}\\nflush ruleset\\ntable inet x {"), {"\"nft-table\"", "braces"}},
		{NFT("chain c { # }\\n"), {"\"nft-table\"", "braces"}},
		{NFT("chain c { log prefix \\\"} }"), {"\"nft-table\"", "quotes"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct err err = {0};
		json_t *op = parse(rows[i].op);
		int rc = op_check(op, &err);
		if (rc != -EINVAL || !strstr(err.text, rows[i].want[0]) || !strstr(err.text, rows[i].want[1]))
			fail_msg("%s: %d %s", rows[i].op, rc, err.text);
		json_decref(op);
	}
}

static void refused(const char *text, int code, const char *want)
{
	struct err err = {0};
	json_t *op = parse(text);

	settle();
	char *before = snapshot();

	must(op_check(op, &err), &err, text, "check");
	int rc = op_apply(world, op, &err);
	if (rc != code || !strstr(err.text, want))
		fail_msg("%s: %d %s", text, rc, err.text);
	assert_same(text, "refused", before, snapshot());
	free(before);
	json_decref(op);
}

static void refusals(void **state)
{
	(void)state;
	refused("{\"op\":\"addr\",\"address\":\"203.0.113.1/32\",\"dev\":\"nowhere\"}", -ENODEV,
		"ip addr add 203.0.113.1/32 dev nowhere proto 200: found no interface nowhere");
	refused("{\"op\":\"route\",\"family\":\"inet\",\"dst\":\"default\",\"via\":\"203.0.113.1\",\"dev\":\"v0\"}", -ENETUNREACH,
		"ip route replace default via 203.0.113.1 dev v0 proto 200: Nexthop has invalid gateway");
	sh("ip link add down0 type veth peer name down1");
	refused("{\"op\":\"route\",\"family\":\"inet\",\"dst\":\"default\",\"dev\":\"down0\",\"table\":9}", -ENETDOWN, "Network is down");
	sh("ip link set down0 alias somebody");
	refused(LINK("down0", "5", ""), -EEXIST, "is not shunt's");
	refused("{\"op\":\"link\",\"state\":\"absent\",\"name\":\"down0\"}", -EEXIST, "left it alone");
	sh("ip link del down0");
	sh("ip addr add 2001:db8:6::1/64 dev v0 nodad");
	refused("{\"op\":\"addr\",\"address\":\"2001:db8:6::1/128\",\"dev\":\"v0\"}", -EEXIST, "found 2001:db8:6::1/64 on v0");
	sh("ip addr del 2001:db8:6::1/64 dev v0");
	sh("ip addr add 203.0.113.1/24 dev v0; ip addr add 203.0.113.2/24 dev v0; sysctl -qw net.ipv4.conf.v0.promote_secondaries=0 "
	   "net.ipv4.conf.all.promote_secondaries=0");
	refused("{\"op\":\"addr\",\"state\":\"absent\",\"address\":\"203.0.113.1\",\"dev\":\"v0\"}", -EBUSY, "1 others would go with it");
	sh("ip addr del 203.0.113.2/24 dev v0; ip addr del 203.0.113.1/24 dev v0");
	refused("{\"op\":\"rule\",\"state\":\"absent\",\"family\":\"inet\",\"priority\":0,\"table\":255}", -EBUSY, "last rule");
	refused("{\"op\":\"sysctl\",\"key\":\"net.ipv4.no_such\",\"value\":\"1\"}", -ENOENT,
		"this kernel has no /proc/sys/net/ipv4/no_such");
	refused("{\"op\":\"sysctl\",\"key\":\"net.ipv4.ip_forward\",\"value\":\"maybe\"}", -EINVAL, "does not take \"maybe\"");
}

/* In a child, since what it does to itself cannot be taken back. 0: all was as it should be. */
static void in_child(int (*body)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int as_nobody(void)
{
	static const char *const ops[] = {
		"{\"op\":\"addr\",\"address\":\"203.0.113.1/32\",\"dev\":\"v0\"}",
		"{\"op\":\"rule\",\"family\":\"inet\",\"priority\":7,\"table\":7}",
		LINK("shunt0", "5", ""),
		"{\"op\":\"sysctl\",\"key\":\"net.ipv4.ip_forward\",\"value\":\"1\"}",
		NFT("chain c { }"),
	};

	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 90;
	for (int i = 0; i < 5; i++) {
		struct err err = {0};
		int rc = op_apply(world, parse(ops[i]), &err);
		if ((rc != -EPERM && rc != -EACCES) || !strstr(err.text, "needs root (CAP_NET_ADMIN)")) {
			fprintf(stderr, "%s: %d %s\n", ops[i], rc, err.text);
			return i + 1;
		}
	}
	return 0;
}

static int without_nft(void)
{
	struct err err = {0};
	json_t *op = parse(NFT("chain c { }"));

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("/dev/null", "/usr/sbin/nft", NULL, MS_BIND, NULL) < 0)
		return 90;
	setenv("PATH", "/nonexistent:", 1);
	int rc = op_apply(world, op, &err);
	if (rc == -ENOENT && strstr(err.text, "Debian package nftables"))
		return 0;
	fprintf(stderr, "%d %s\n", rc, err.text);
	return 1;
}

static void privileges(void **state)
{
	(void)state;
	in_child(as_nobody);
	in_child(without_nft);
}

/* ---- duplicate detection ---- */

static void detection(void **state)
{
	struct err err = {0};
	json_t *op = parse("{\"op\":\"addr\",\"address\":\"2001:db8:d::1/128\",\"dev\":\"v0\"}"), *undo = json_array();

	(void)state;
	sh("sysctl -qw net.ipv6.conf.v0.accept_dad=1 net.ipv6.conf.v0.dad_transmits=1");
	must(op_apply(world, op, &err), &err, "dad", "apply");
	must(op_verify(world, op, &err), &err, "dad", "verify");
	assert_false(says("ip addr show v0", "tentative"));
	/* Back again, at once and with the same flags, though it would be asked about. */
	json_object_set_new(op, "state", json_string("absent"));
	settle();
	char *before = snapshot();
	must(op_undo(world, op, undo, &err), &err, "dad", "undo");
	must(op_apply(world, op, &err), &err, "dad", "absent");
	apply_all("dad", undo);
	settle();
	assert_same("dad", "undone", before, snapshot());
	free(before);
	must(op_apply(world, op, &err), &err, "dad", "absent");
	json_object_set_new(op, "state", json_string("present"));
	/* Another station has it. */
	sh("ip addr add 2001:db8:d::1/128 dev v1 nodad");
	assert_int_equal(op_apply(world, op, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another station has 2001:db8:d::1/128"));
	assert_int_equal(op_verify(world, op, &err), -ENOENT);
	json_object_set_new(op, "state", json_string("absent"));
	must(op_apply(world, op, &err), &err, "dad", "absent");
	sh("ip addr del 2001:db8:d::1/128 dev v1; ip link set v1 down");
	/* Nobody there to ask. */
	json_object_set_new(op, "state", json_string("present"));
	sh("ip link set v0 down");
	assert_int_equal(op_apply(world, op, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "is v0 up"));
	json_object_set_new(op, "state", json_string("absent"));
	must(op_apply(world, op, &err), &err, "dad", "absent");
	json_decref(op);
	json_decref(undo);
	sh("sysctl -qw net.ipv6.conf.v0.accept_dad=0 net.ipv6.conf.v0.dad_transmits=0");
}

/* ---- many, and all of ours ---- */

static json_t *numbered(const char *fmt, int i)
{
	char text[300];

	snprintf(text, sizeof(text), fmt, i);
	return parse(text);
}

static void many(void **state)
{
	static const char *const forms[] = {
		"{\"op\":\"addr\",\"address\":\"203.0.113.%d/32\",\"dev\":\"v0\"}",
		"{\"op\":\"addr\",\"address\":\"2001:db8:5::%d/128\",\"dev\":\"v0\",\"nodad\":true}",
	};
	struct err err = {0};
	json_t *undo = json_array(), *reverse = json_array(), *ours = json_array();
	char *before = snapshot();

	(void)state;
	for (int f = 0; f < 2; f++) {
		int64_t began = mono_ms();
		for (int i = 1; i <= 250; i++) {
			json_t *op = numbered(forms[f], i);
			must(op_undo(world, op, undo, &err), &err, "many", "undo");
			must(op_apply(world, op, &err), &err, "many", "apply");
			must(op_verify(world, op, &err), &err, "many", "verify");
			json_decref(op);
		}
		print_message("250 addresses: %d ms\n", (int)(mono_ms() - began));
		assert_true(mono_ms() - began < 30000);
	}
	must(nl_ours(world->nl, ours, &err), &err, "many", "ours");
	assert_int_equal(json_array_size(ours), 500);
	assert_int_equal(json_array_size(undo), 500);
	for (size_t i = json_array_size(undo); i-- > 0;)
		json_array_append(reverse, json_array_get(undo, i));
	apply_all("many", reverse);
	settle();
	assert_same("many", "undone", before, snapshot());
	free(before);
	json_decref(undo);
	json_decref(reverse);
	json_decref(ours);
}

static void all_of_ours(void **state)
{
	static const char *const ops[] = {
		LINK("shunt0", "42", ""),
		"{\"op\":\"addr\",\"address\":\"10.99.0.1/30\",\"dev\":\"shunt0\"}",
		"{\"op\":\"addr\",\"address\":\"fd99::1/64\",\"dev\":\"shunt0\",\"nodad\":true}",
		"{\"op\":\"route\",\"family\":\"inet\",\"dst\":\"default\",\"table\":7444,\"via\":\"10.99.0.2\",\"dev\":\"shunt0\"}",
		"{\"op\":\"route\",\"family\":\"inet6\",\"dst\":\"default\",\"table\":7443,\"type\":\"local\",\"dev\":\"lo\"}",
		"{\"op\":\"neigh\",\"address\":\"10.99.0.2\",\"dev\":\"shunt0\",\"lladdr\":\"02:00:00:00:42:02\"}",
		"{\"op\":\"rule\",\"family\":\"inet6\",\"priority\":743,\"table\":7443,\"mark\":1}",
		"{\"op\":\"local-rule\",\"family\":\"inet\",\"priority\":1000}",
		NFT("chain c { }"),
	};
	size_t n = sizeof(ops) / sizeof(*ops), i;
	struct err err = {0};
	json_t *ours = json_array(), *op;
	char *before = snapshot();

	(void)state;
	for (i = 0; i < n; i++) {
		op = parse(ops[i]);
		must(op_check(op, &err), &err, ops[i], "check");
		must(op_apply(world, op, &err), &err, ops[i], "apply");
		must(op_verify(world, op, &err), &err, ops[i], "verify");
		json_decref(op);
	}
	sh("ip route add 203.0.113.0/24 dev v0; nft add table ip shuntless");
	must(nft_ours(ours, &err), &err, "ours", "nft");
	must(nl_ours(world->nl, ours, &err), &err, "ours", "nl");
	if (json_array_size(ours) != n)
		fail_msg("ours: %s", json_dumps(ours, JSON_INDENT(1)));
	sh("ip route del 203.0.113.0/24; nft delete table ip shuntless");
	json_array_foreach (ours, i, op) {
		json_object_set_new(op, "state", json_string("absent"));
		must(op_check(op, &err), &err, "ours", "check");
		must(op_apply(world, op, &err), &err, "ours", "absent");
	}
	settle();
	assert_same("ours", "taken away", before, snapshot());
	free(before);
	json_decref(ours);
}

/* ---- who speaks, and when ---- */

/* Another process's message never reaches the socket. */
static void kernel_alone(void **state)
{
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	struct nlmsghdr lie = {.nlmsg_len = sizeof(lie), .nlmsg_type = NLMSG_DONE};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), told = 0;
	FILE *f = fopen("/proc/net/netlink", "re");
	char line[300];

	(void)state;
	while (fgets(line, sizeof(line), f)) {
		unsigned protocol, port;
		if (sscanf(line, "%*s %u %u", &protocol, &port) != 2 || protocol != NETLINK_ROUTE || port == 0)
			continue;
		to.nl_pid = port;
		assert_int_equal(sendto(fd, &lie, sizeof(lie), 0, (struct sockaddr *)&to, sizeof(to)), -1);
		assert_int_equal(errno, ECONNREFUSED);
		told++;
	}
	assert_true(told > 0);
	fclose(f);
	close(fd);
}

#define RESTLESS 2000 /* a dump of several messages */

/* Takes each in turn and brings it back, as the last: all behind it move up, beneath a dump that has come halfway. */
static void rotate(void)
{
	struct world other = {0};
	struct err err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)!nice(-20); /* it must get a processor while a dump is read, however busy this machine is */
	if (nl_new(&other.nl, &err) < 0)
		_exit(1);
	for (int i = 0;; i++) {
		char text[100];
		snprintf(text, sizeof(text), "{\"op\":\"addr\",\"address\":\"198.18.%d.%d/32\",\"dev\":\"v0\"}", i / 100 % 20, i % 100 + 1);
		json_t *op = parse(text);
		nl_delete(other.nl, NL_ADDR, op, &err);
		nl_put(other.nl, NL_ADDR, op, NL_CREATE, &err);
		json_decref(op);
	}
}

/* A dump that changes as it is read is read again, and given up in the end; left alone, it is whole. */
static void restless(void **state)
{
	struct err err = {0};
	json_t *like = parse("{\"dev\":\"v0\",\"family\":\"inet\"}"), *found = json_array();
	int rc = 0, again = 0;

	(void)state;
	sh("for n in $(seq 0 19); do for i in $(seq 100); do echo addr add 198.18.$n.$i/32 dev v0; done; done | ip -batch -");
	pid_t pid = fork();
	if (pid == 0)
		rotate();
	for (int64_t until = mono_ms() + 60000; rc == 0 && mono_ms() < until; again++) {
		json_array_clear(found);
		rc = nl_find(world->nl, NL_ADDR, like, found, &err);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(rc, -EAGAIN);
	assert_non_null(strstr(err.text, "changed 5 times"));
	json_array_clear(found);
	must(nl_find(world->nl, NL_ADDR, like, found, &err), &err, "restless", "find");
	/* With 192.0.2.2; one may be away for good now. */
	assert_in_range(json_array_size(found), RESTLESS, RESTLESS + 1);
	print_message("given up at reading %d\n", again);
	json_decref(like);
	json_decref(found);
	sh("ip addr flush dev v0 to 198.18.0.0/15");
}

/* ---- the namespace ---- */

static int enter(void **state)
{
	struct err err = {0};

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		print_error("cannot have a network namespace of its own (%s): run this test as root\n", strerror(errno));
		return -1;
	}
	sh("sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0 net.ipv6.conf.all.accept_dad=0;"
	   "ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up;"
	   "ip addr add 192.0.2.2/24 dev v0; ip addr add 2001:db8::2/64 dev v0; ip addr add 198.51.100.2/24 dev v1; ip addr add "
	   "2001:db8:1::2/64 dev v1");
	/* Both ends are up once their link-local addresses are there, and everything that goes with them. */
	for (int i = 0; i < 500 && !(says("ip -6 addr show v0", "fe80") && says("ip -6 addr show v1", "fe80")); i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	settle();
	world = calloc(1, sizeof(*world));
	return nl_new(&world->nl, &err) < 0 ? -1 : 0;
}

static int leave(void **state)
{
	(void)state;
	nl_free(world->nl);
	free(world);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_forms),   cmocka_unit_test(addresses),  cmocka_unit_test(routes),       cmocka_unit_test(rules),
		cmocka_unit_test(equal_rules), cmocka_unit_test(neighbours), cmocka_unit_test(links),        cmocka_unit_test(sysctls),
		cmocka_unit_test(tables),      cmocka_unit_test(refusals),   cmocka_unit_test(privileges),   cmocka_unit_test(many),
		cmocka_unit_test(all_of_ours), cmocka_unit_test(restless),   cmocka_unit_test(kernel_alone), cmocka_unit_test(detection),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
