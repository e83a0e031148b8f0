#include "tests/unit/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int ns[2] = {-1, -1}; /* one pair per test program at a time */

static int make(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		fail_msg("no network namespace could be made (root is needed): %s", strerror(errno));
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static const char *both_sides = "ip link set lo up && "
				"ip addr add 192.0.2.%1$d/24 dev %2$s && ip addr add 2001:db8::%1$d/64 dev %2$s nodad && "
				"ip link set %2$s address 02:00:00:00:00:%1$d && ip link set %2$s up";

/* The link-local address takes 1-2 s to be usable, while it is checked for duplicates: not here. */
static void no_dad(enum netns n, const char *dev)
{
	netns_run(n, "sysctl -qw net.ipv6.conf.%s.accept_dad=0", dev);
}

int netns_setup(void **state)
{
	(void)state;
	ns[HERE] = make();
	ns[THERE] = make();
	netns_run(HERE, "ip link add name here type veth peer name there netns /proc/%d/fd/%d", (int)getpid(), ns[THERE]);
	no_dad(HERE, "here");
	no_dad(THERE, "there");
	char command[512];
	snprintf(command, sizeof command, both_sides, 10, "here");
	netns_run(HERE, "%s", command);
	snprintf(command, sizeof command, both_sides, 20, "there");
	netns_run(THERE, "%s", command);
	for (int tries = 0; !strstr(netns_read(HERE, "ip -6 addr show dev here scope link -tentative"), "fe80");)
		netns_wait(&tries, "a link-local address here");
	for (int tries = 0; !strstr(netns_read(THERE, "ip -6 addr show dev there scope link -tentative"), "fe80");)
		netns_wait(&tries, "a link-local address there");
	return 0;
}

int netns_teardown(void **state)
{
	(void)state;
	close(ns[HERE]);
	close(ns[THERE]);
	return 0;
}

void netns_enter(enum netns n)
{
	assert_int_equal(setns(ns[n], CLONE_NEWNET), 0);
}

static char *in_namespace(enum netns n, const char *fmt, va_list ap)
{
	static char out[65536];
	char command[4096];
	size_t len = 0, got;

	assert_true(vsnprintf(command, sizeof command, fmt, ap) < (int)sizeof command);
	netns_enter(n);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	while ((got = fread(out + len, 1, sizeof out - 1 - len, f)) > 0)
		len += got;
	out[len] = '\0';
	int status = pclose(f);
	netns_enter(HERE);
	if (status != 0)
		fail_msg("\"%s\" ended with %d: %s", command, status, out);
	return out;
}

void netns_run(enum netns n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	in_namespace(n, fmt, ap);
	va_end(ap);
}

char *netns_read(enum netns n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *out = in_namespace(n, fmt, ap);
	va_end(ap);
	return out;
}

void netns_wait(int *tries, const char *what)
{
	if (++*tries > 500)
		fail_msg("waited 5 s for %s", what);
	poll(NULL, 0, 10);
}
