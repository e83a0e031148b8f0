/* The line in which work waits: so much of it at a time, what is urgent first, and what merely waits for others in nobody's way. */
#include "dnsupdate/dns.h"
#include "lib/loop.h"
#include "tests/unit/place.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define N (DNS_IDLE_MAX + 10)

struct stand {
	char dir[64], journal[80], locks[96], key[80], address[16];
	char *resolvers[1];
	struct conf_zone_server server;
	struct conf conf;
	struct loop *loop;
	struct dns dns;
	struct work works[N];
};
static size_t started;
static const struct work *last;

static void on_start(struct work *w)
{
	started++;
	last = w;
}

static void turn(struct stand *s)
{
	event_base_loop(loop_base(s->loop), EVLOOP_NONBLOCK);
}

static const char key[] = "key \"redir.\" { algorithm hmac-sha256; secret \"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"; };\n";

static int up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));
	struct err err;

	assert_non_null(s);
	place_make(s->dir, "test_dns_line");
	snprintf(s->journal, sizeof(s->journal), "%s/journal", s->dir);
	snprintf(s->locks, sizeof(s->locks), "%s/.locks", s->journal);
	snprintf(s->key, sizeof(s->key), "%s/key", s->dir);
	place_put(s->dir, "key", key, sizeof(key) - 1);
	s->server = (struct conf_zone_server){.backend = BACKEND_RFC2136, .key_file = s->key};
	strcpy(s->address, "127.0.0.1");
	s->resolvers[0] = s->server.address.text = s->address;
	assert_true(addr_parse(&s->server.address.addr, s->address));
	s->conf.dns = (struct conf_dns){.present = true,
					.journal = s->journal,
					.zone_servers = &s->server,
					.n_zone_servers = 1,
					.resolvers = s->resolvers,
					.n_resolvers = 1,
					.parallel = 2};
	assert_int_equal(loop_new(&s->loop, &err), 0);
	if (dns_open(&s->dns, &s->conf, s->loop, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < N; i++)
		s->works[i].start = on_start;
	started = 0;
	*state = s;
	return 0;
}

static int down(void **state)
{
	struct stand *s = *state;

	dns_close(&s->dns);
	loop_free(s->loop);
	unlink(s->key);
	rmdir(s->locks);
	rmdir(s->journal);
	assert_int_equal(rmdir(s->dir), 0);
	free(s);
	return 0;
}

static void so_many_at_a_time(void **state)
{
	struct stand *s = *state;

	for (size_t i = 0; i < 4; i++)
		dns_enqueue(&s->dns, &s->works[i], false);
	dns_enqueue(&s->dns, &s->works[4], true);
	assert_int_equal(started, 0); /* from the loop */
	turn(s);
	assert_int_equal(started, 2);
	assert_ptr_equal(last, &s->works[0]);
	dns_finished(&s->dns, &s->works[4]);
	dns_finished(&s->dns, &s->works[4]);
	dns_finished(&s->dns, &s->works[2]); /* never began */
	turn(s);
	assert_int_equal(started, 3);
	assert_ptr_equal(last, &s->works[1]);
	dns_finished(&s->dns, &s->works[0]);
	turn(s);
	assert_ptr_equal(last, &s->works[3]);
}

static void who_waits_is_in_nobodys_way(void **state)
{
	struct stand *s = *state;

	for (size_t i = 0; i < 5; i++)
		dns_enqueue(&s->dns, &s->works[i], false);
	dns_idles(&s->dns, &s->works[0]); /* has not begun */
	turn(s);
	assert_int_equal(started, 2);
	dns_idles(&s->dns, &s->works[0]);
	dns_idles(&s->dns, &s->works[0]);
	turn(s);
	assert_int_equal(started, 3);
	dns_finished(&s->dns, &s->works[0]); /* its place was given away already */
	turn(s);
	assert_int_equal(started, 3);
	dns_finished(&s->dns, &s->works[1]);
	turn(s);
	assert_int_equal(started, 4);
}

static void not_everybody_waits(void **state)
{
	struct stand *s = *state;
	size_t idle = 0;

	for (size_t i = 0; i < N; i++)
		dns_enqueue(&s->dns, &s->works[i], false);
	turn(s);
	for (; idle < started && started < N; idle++) {
		dns_idles(&s->dns, &s->works[idle]);
		turn(s);
	}
	assert_int_equal(started, DNS_IDLE_MAX + 2);
	dns_finished(&s->dns, &s->works[0]);
	turn(s);
	assert_int_equal(started, DNS_IDLE_MAX + 2);
	dns_idles(&s->dns, &s->works[DNS_IDLE_MAX]);
	turn(s);
	assert_int_equal(started, DNS_IDLE_MAX + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(so_many_at_a_time, up, down),
		cmocka_unit_test_setup_teardown(who_waits_is_in_nobodys_way, up, down),
		cmocka_unit_test_setup_teardown(not_everybody_waits, up, down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
