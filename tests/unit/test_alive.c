/* The sign of life: the bytes of the batch, and that a kernel takes it, lets it run out, and lacks it after a withdrawal. */
#include "lib/clock.h"
#include "proxy/alive.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* clang-format off */
static const uint8_t wanted_withdrawal[] = {
	/* batch begin: 20 bytes, type 0x10, a request; for nf_tables (10) */
	20, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10,
	/* new elements: 112 bytes, type 0x0a0c, request and create; family inet (1) */
	112, 0, 0, 0, 0x0c, 0x0a, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
	20, 0, 1, 0, 's', 'h', 'u', 'n', 't', '_', 'i', 'n', 't', 'e', 'r', 'c', 'e', 'p', 't', 0,
	10, 0, 2, 0, 'a', 'l', 'i', 'v', 'e', 0, 0, 0,
	60, 0, 3, 0x80,
	28, 0, 1, 0x80, 12, 0, 1, 0x80, 5, 0, 1, 0, 2, 0, 0, 0, 12, 0, 4, 0, 0, 0, 0, 0, 0, 0, 3, 0x20,  /* IPv4 for 800 ms */
	28, 0, 1, 0x80, 12, 0, 1, 0x80, 5, 0, 1, 0, 10, 0, 0, 0, 12, 0, 4, 0, 0, 0, 0, 0, 0, 0, 3, 0x20, /* IPv6 */
	/* the same are deleted: 88 bytes, type 0x0a0e, no times */
	88, 0, 0, 0, 0x0e, 0x0a, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
	20, 0, 1, 0, 's', 'h', 'u', 'n', 't', '_', 'i', 'n', 't', 'e', 'r', 'c', 'e', 'p', 't', 0,
	10, 0, 2, 0, 'a', 'l', 'i', 'v', 'e', 0, 0, 0,
	36, 0, 3, 0x80,
	16, 0, 1, 0x80, 12, 0, 1, 0x80, 5, 0, 1, 0, 2, 0, 0, 0,
	16, 0, 1, 0x80, 12, 0, 1, 0x80, 5, 0, 1, 0, 10, 0, 0, 0,
	/* batch end */
	20, 0, 0, 0, 0x11, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10,
};
/* clang-format on */

static void the_bytes(void **state)
{
	enum { BATCH = 20, ADD = 112, DELETE = 88 };
	uint8_t out[ALIVE_MESSAGE_MAX];

	(void)state;
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		skip(); /* netlink speaks the host's order, the bytes above are of one */
	assert_int_equal(alive_message(out, false), sizeof wanted_withdrawal);
	assert_memory_equal(out, wanted_withdrawal, sizeof wanted_withdrawal);
	assert_int_equal(alive_message(out, true), sizeof wanted_withdrawal + ADD);
	assert_memory_equal(out, wanted_withdrawal, BATCH + ADD + DELETE);
	assert_memory_equal(out + BATCH + ADD + DELETE, wanted_withdrawal + BATCH, ADD);
	assert_memory_equal(out + BATCH + ADD + DELETE + ADD, wanted_withdrawal + BATCH + ADD + DELETE, BATCH);
}

/* ---- with a kernel ---- */

static int nft(const char *what)
{
	char command[512];

	snprintf(command, sizeof command, "nft '%s' >/dev/null 2>&1", what);
	return system(command);
}

static int elements(void)
{
	FILE *f = popen("nft list set inet shunt_intercept alive 2>&1", "r");
	char text[4096];
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	pclose(f);
	return (strstr(text, "ipv4 timeout 800ms") != NULL) + (strstr(text, "ipv6 timeout 800ms") != NULL);
}

static void wait_for_none(int64_t limit_ms)
{
	int64_t end = mono_ms() + limit_ms;

	while (elements() && mono_ms() < end)
		;
	assert_int_equal(elements(), 0);
}

/* Its beat of `now` is with the kernel. The elements last 800 ms: looked at later, for want of a processor, they may be gone rightly, and
 * then it beats again. False: so it was. */
static bool is_there(uint64_t now)
{
	int found = elements();

	if (found != 2 && (uint64_t)mono_ms() - now >= 700)
		return false;
	assert_int_equal(found, 2);
	return true;
}

static void wait_until(uint64_t when)
{
	while ((uint64_t)mono_ms() < when)
		usleep(2000);
}

static void own_namespace(void)
{
	static bool done;

	if (done)
		return;
	if (unshare(CLONE_NEWNET) < 0) {
		print_message("no network namespace could be made here: %s\n", strerror(errno));
		skip();
	}
	done = true;
}

static struct alive *new_alive(unsigned workers, uint64_t now)
{
	struct alive *a;
	struct err err = {0};

	if (alive_new(&a, workers, true, now, &err) < 0)
		fail_msg("%s", err.text);
	return a;
}

static void the_kernel_takes_it(void **state)
{
	uint64_t now = (uint64_t)mono_ms();
	struct alive *a;
	struct alive_state s;
	unsigned beats = 0;

	(void)state;
	own_namespace();
	nft("delete table inet shunt_intercept");
	a = new_alive(1, now);
	alive_beat(a, 0, true, now);
	s = alive_state(a, now);
	assert_true(s.on && !s.alive);
	assert_int_equal(s.error, -ENOENT); /* interception is off: normal, and tried again */
	assert_int_equal(nft("add table inet shunt_intercept; add set inet shunt_intercept alive { type nf_proto; flags timeout; }"), 0);
	for (int seen = 0; seen < 8;) { /* longer than one element would last */
		wait_until(now + ALIVE_BEAT_MS);
		now = (uint64_t)mono_ms();
		alive_beat(a, 0, true, now);
		beats++;
		s = alive_state(a, now);
		assert_true(s.alive);
		assert_int_equal(s.error, 0);
		seen += is_there(now);
	}
	assert_int_equal(s.renewed, beats);
	assert_int_equal(s.failed, 1);
	wait_for_none(20000); /* nobody renews it: the kernel lets it run out */
	assert_false(alive_state(a, (uint64_t)mono_ms()).alive);
	do {
		wait_until(now + ALIVE_BEAT_MS);
		now = (uint64_t)mono_ms();
		alive_beat(a, 0, true, now);
	} while (!is_there(now));
	alive_withdraw(a, now);
	assert_int_equal(elements(), 0);
	alive_beat(a, 0, true, now + ALIVE_BEAT_MS);
	assert_int_equal(elements(), 0); /* and stays so */
	alive_withdraw(a, now);          /* twice, and with nothing there */
	assert_int_equal(alive_state(a, now).error, 0);
	alive_free(a);
}

static uint64_t tries(struct alive *a, uint64_t now)
{
	struct alive_state s = alive_state(a, now);

	return s.renewed + s.failed;
}

static void only_when_all_beat_and_accept(void **state)
{
	uint64_t t = 1000000;
	struct alive *a;

	(void)state;
	own_namespace();
	a = new_alive(2, t);
	alive_beat(a, 0, true, t);
	assert_int_equal(tries(a, t), 0); /* the other has not said that it accepts */
	alive_beat(a, 1, true, t + 100);
	assert_int_equal(tries(a, t), 1);
	alive_beat(a, 0, true, t + 200);
	assert_int_equal(tries(a, t), 1); /* at most one per beat */
	alive_beat(a, 1, true, t + 300);
	assert_int_equal(tries(a, t), 2);
	alive_beat(a, 0, true, t + 700);
	assert_int_equal(tries(a, t), 3); /* worker 1 is 400 ms old */
	alive_beat(a, 0, true, t + 910);
	assert_int_equal(tries(a, t), 3); /* it hangs */
	alive_beat(a, 1, false, t + 1200);
	assert_int_equal(tries(a, t), 3); /* it beats again and does not accept */
	alive_beat(a, 1, true, t + 1210);
	assert_int_equal(tries(a, t), 4);
	alive_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bytes),
		cmocka_unit_test(the_kernel_takes_it),
		cmocka_unit_test(only_when_all_beat_and_accept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
