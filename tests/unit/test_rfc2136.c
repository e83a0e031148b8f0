/* The RFC 2136 back end against a server that answers as each test says: late, out of order, forged, cut. */
#include "dnsupdate/backend.h"
#include "dnsupdate/tcp.h"
#include "dnsupdate/wire.h"
#include "tests/unit/dns_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))
#define QUERIES    600
#define SOA_RDATA  "\1n\0\1h\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5"
#define SOA_LEN    26
#define AA         0x400

static struct event_base *base;
static struct backend *backend;
static struct tsig_key *key, *other;
static struct dns_server *server;
static struct conf_zone_server conf;
static char key_file[64];

/* What the server was asked, oldest first, and what the calls said. */
static struct {
	struct dns_peer *peer;
	uint8_t *bytes;
	size_t len;
} asked[QUERIES];
static size_t n_asked, n_answered;
static int waiting; /* for so many ends */
static struct {
	char zone[128];
	struct err err;
	enum outcome outcome;
	size_t sets;
	uint32_t serial;
} said;
static size_t hosted;

static void on_query(void *arg, struct dns_peer *peer, const uint8_t *query, size_t len)
{
	void (*answer)(void) = arg ? *(void (**)(void))arg : NULL;

	assert_true(n_asked < QUERIES);
	asked[n_asked].peer = peer;
	asked[n_asked].bytes = malloc(len);
	memcpy(asked[n_asked].bytes, query, len);
	asked[n_asked++].len = len;
	if (answer)
		answer();
}
static void (*answer_now)(void); /* called for each query */

static void backend_up(void)
{
	struct err err;

	conf = (struct conf_zone_server){.backend = BACKEND_RFC2136, .key_file = key_file};
	conf.address.text = (char[]){"127.0.0.1"};
	conf.address.addr = *dns_server_addr(server);
	conf.address.port = addr_port(dns_server_addr(server));
	if (backend_new(&backend, base, &conf, &err) < 0)
		fail_msg("%s", err.text);
}

static int setup(void **state)
{
	FILE *f;
	int fd;

	(void)state;
	strcpy(key_file, "/tmp/test_rfc2136.XXXXXX");
	fd = mkstemp(key_file);
	f = fdopen(fd, "w");
	fprintf(f, "key redir { algorithm hmac-sha256; secret \"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\"; };\n");
	fclose(f);
	key = dns_key(7);
	other = dns_key(8);
	base = event_base_new();
	server = dns_server_new(base, on_query, &answer_now);
	answer_now = NULL;
	n_asked = n_answered = 0;
	waiting = 0;
	hosted = 0;
	memset(&said, 0, sizeof said);
	backend_up();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backend_free(backend);
	backend = NULL;
	if (server)
		dns_server_free(server);
	event_base_free(base);
	tsig_key_free(key);
	tsig_key_free(other);
	for (size_t i = 0; i < n_asked; i++)
		free(asked[i].bytes);
	unlink(key_file);
	return 0;
}

static void turn(void)
{
	event_base_loopexit(base, &(struct timeval){.tv_usec = 20000}); /* of no use later: the next turn has its own */
	event_base_loop(base, EVLOOP_ONCE);
}

/* Until all calls have ended, or fail. */
static void run(void)
{
	for (time_t end = time(NULL) + 60; waiting > 0 && time(NULL) < end;)
		turn();
	if (waiting > 0)
		fail_msg("%d calls have no end, after %zu queries", waiting, n_asked);
}

static void run_until_asked(size_t n)
{
	for (time_t end = time(NULL) + 60; n_asked < n && time(NULL) < end;)
		turn();
	assert_true(n_asked >= n);
}

static void on_find(void *arg, const char *zone, const struct err *err)
{
	(void)arg;
	snprintf(said.zone, sizeof said.zone, "%s", zone ? zone : "");
	said.err = *err;
	hosted += zone != NULL;
	waiting--;
}

static void on_read(void *arg, struct zone *zone, const struct err *err)
{
	(void)arg;
	said.err = *err;
	said.sets = zone ? zone->n : 0;
	said.serial = zone ? zone->serial : 0;
	if (zone)
		zone_done(zone);
	waiting--;
}

static void on_change(void *arg, enum outcome outcome, const struct err *err)
{
	(void)arg;
	said.outcome = outcome;
	said.err = *err;
	waiting--;
}

static void find(const char *name)
{
	waiting++;
	assert_non_null(backend_find(backend, name, on_find, NULL));
}

static void read_zone(const char *name)
{
	waiting++;
	assert_non_null(backend_read(backend, name, on_read, NULL));
}

static struct change *changes_new(size_t n)
{
	struct change *c = calloc(n, sizeof *c);

	for (size_t i = 0; i < n; i++) {
		char owner[64];

		snprintf(owner, sizeof owner, "h%zu.example.test.", i);
		rrset_init(&c[i].was, owner, RR_A, 60);
		rrset_init(&c[i].next, owner, RR_A, 60);
		rrset_add(&c[i].was, (const uint8_t *)"\xc0\0\2\1", 4);
		rrset_add(&c[i].next, (const uint8_t *)"\xc0\0\2\2", 4);
	}
	return c;
}

static void changes_free(struct change *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		rrset_done(&c[i].was);
		rrset_done(&c[i].next);
	}
	free(c);
}

static void change(const struct change *c, size_t n)
{
	waiting++;
	assert_non_null(backend_change(backend, "example.test.", c, n, on_change, NULL));
}

/* ---- answers ---- */

static struct dns_reply reply;
static struct dns_signer signer;

static void start_reply(size_t i, unsigned flags, unsigned rcode)
{
	dns_signer_init(&signer, key, asked[i].bytes, asked[i].len);
	dns_reply(&reply, asked[i].bytes, asked[i].len, flags, rcode);
}

static void send_reply(size_t i)
{
	dns_send(asked[i].peer, reply.bytes, reply.len);
}

static void make_apex(size_t i)
{
	start_reply(i, AA, 0);
	dns_record(&reply, 2, "example.test.", RR_SOA, 1, 60, SOA_RDATA, SOA_LEN);
	dns_sign(&signer, &reply);
}

static void answer_apex(size_t i)
{
	make_apex(i);
	send_reply(i);
}

static void answer_all_apex(void)
{
	while (n_answered < n_asked)
		answer_apex(n_answered++);
}

static unsigned the_rcode;
static void answer_rcode(void)
{
	for (; n_answered < n_asked; n_answered++) {
		start_reply(n_answered, 0, the_rcode);
		dns_sign(&signer, &reply);
		send_reply(n_answered);
	}
}

/* ---- find ---- */

static void zone_is_found(void **state)
{
	(void)state;
	answer_now = answer_all_apex;
	find("www.Example.test");
	run();
	assert_string_equal(said.zone, "example.test.");
	assert_int_equal(asked[0].bytes[2] & 1, 0); /* RD=0 */
}

static void zone_is_not_hosted(void **state)
{
	(void)state;
	answer_now = answer_rcode;
	for (the_rcode = 0; the_rcode < 10; the_rcode++) {
		bool error = the_rcode == RCODE_SERVFAIL || the_rcode == RCODE_FORMERR || the_rcode == RCODE_NOTIMP;

		find("www.example.test");
		run();
		assert_string_equal(said.zone, "");
		if ((said.err.code != 0) != error)
			fail_msg("rcode %u: %d %s", the_rcode, said.err.code, said.err.text);
	}
}

static void answer_alias(void)
{
	if (n_asked == 1) {
		start_reply(0, AA, 0);
		dns_record(&reply, 1, NULL, RR_CNAME, 1, 60, "\1x\5other\0", 9);
		dns_record(&reply, 2, "other.", RR_SOA, 1, 60, SOA_RDATA, SOA_LEN);
		dns_sign(&signer, &reply);
		send_reply(0);
		n_answered++;
	} else {
		answer_all_apex();
	}
}

static void alias_into_another_zone(void **state)
{
	(void)state;
	answer_now = answer_alias;
	find("www.example.test");
	run();
	assert_string_equal(said.zone, "example.test.");
	assert_int_equal(n_asked, 2);
}

static void unsigned_refusal(void)
{
	start_reply(n_asked - 1, 0, RCODE_REFUSED);
	send_reply(n_asked - 1);
}

static void knot_does_not_sign_its_refusal(void **state)
{
	(void)state;
	answer_now = unsigned_refusal;
	find("www.example.test");
	run();
	assert_string_equal(said.zone, "");
	assert_int_equal(said.err.code, 0);
}

static void forgeries_first(void)
{
	struct dns_reply good;

	make_apex(0);
	good = reply;
	start_reply(0, 0, RCODE_REFUSED); /* unsigned */
	send_reply(0);
	dns_error(&signer, &reply, 17);
	send_reply(0);
	start_reply(0, AA, 0); /* another key */
	signer.key = other;
	dns_record(&reply, 2, "test.", RR_SOA, 1, 60, SOA_RDATA, SOA_LEN);
	dns_sign(&signer, &reply);
	send_reply(0);
	reply = good; /* changed on the way */
	reply.bytes[reply.len - 100] ^= 1;
	send_reply(0);
	reply = good; /* cut */
	reply.len -= 5;
	send_reply(0);
	reply = good; /* another question */
	reply.bytes[13] ^= 1;
	send_reply(0);
	start_reply(0, AA, 0); /* long ago */
	signer.shift = -1000;
	dns_sign(&signer, &reply);
	send_reply(0);
	reply = good; /* another id */
	reply.bytes[0] ^= 1;
	send_reply(0);
}

static void forge_then_answer(void)
{
	forgeries_first();
	answer_apex(0);
}

static void forgeries_are_waited_out(void **state)
{
	(void)state;
	answer_now = forge_then_answer;
	find("www.example.test");
	run();
	assert_string_equal(said.zone, "example.test.");
	assert_int_equal(n_asked, 1);
}

/* What else may happen by itself does. */
static void settle(void)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void many_at_once_in_any_order(void **state)
{
	(void)state;
	for (int i = 0; i < 500; i++)
		find("www.example.test");
	run_until_asked(TCP_FLIGHT_MAX);
	settle();
	assert_int_equal(n_asked, TCP_FLIGHT_MAX);
	for (size_t i = n_asked; i-- > 0;)
		answer_apex(i);
	n_answered = n_asked;
	answer_now = answer_all_apex;
	run();
	assert_int_equal(hosted, 500);
	assert_int_equal(n_asked, 500);
	assert_int_equal(dns_server_accepted(server), 1);
}

static void hang_up_once(void)
{
	if (n_asked == 1)
		dns_hang_up(asked[0].peer);
	else
		answer_apex(n_asked - 1);
}

static void query_is_asked_again_and_signed_again(void **state)
{
	(void)state;
	answer_now = hang_up_once;
	find("www.example.test");
	run();
	assert_string_equal(said.zone, "example.test.");
	assert_int_equal(dns_server_accepted(server), 2);
	assert_int_equal(n_asked, 2);
	assert_memory_not_equal(asked[0].bytes, asked[1].bytes, asked[0].len);
}

static void hang_up(void)
{
	dns_hang_up(asked[n_asked - 1].peer);
}

static void query_is_asked_twice_at_most(void **state)
{
	(void)state;
	answer_now = hang_up;
	find("www.example.test");
	run();
	assert_int_not_equal(said.err.code, 0);
	assert_int_equal(n_asked, 2);
}

/* ---- change ---- */

static void rcodes_are_told_apart(void **state)
{
	static const struct {
		unsigned rcode;
		enum outcome outcome;
		const char *says;
	} rows[] = {
		{RCODE_NOERROR, OUTCOME_DONE, ""},
		{RCODE_NXRRSET, OUTCOME_DRIFT, "NXRRSET"},
		{RCODE_YXRRSET, OUTCOME_DRIFT, "YXRRSET"},
		{RCODE_NXDOMAIN, OUTCOME_DRIFT, "NXDOMAIN"},
		{RCODE_YXDOMAIN, OUTCOME_DRIFT, "YXDOMAIN"},
		{RCODE_SERVFAIL, OUTCOME_BUSY, "SERVFAIL"},
		{RCODE_REFUSED, OUTCOME_REFUSED, "policy does not let redir."},
		{RCODE_NOTAUTH, OUTCOME_REFUSED, "not the primary"},
		{RCODE_NOTZONE, OUTCOME_REFUSED, "not in zone"},
		{RCODE_FORMERR, OUTCOME_REFUSED, "FORMERR"},
		{RCODE_NOTIMP, OUTCOME_REFUSED, "takes no updates"},
		{15, OUTCOME_REFUSED, "RCODE15"},
	};
	struct change *c = changes_new(1);

	(void)state;
	answer_now = answer_rcode;
	for (size_t i = 0; i < ROWS(rows); i++) {
		the_rcode = rows[i].rcode;
		change(c, 1);
		run();
		if (said.outcome != rows[i].outcome || !strstr(said.err.text, rows[i].says))
			fail_msg("%s: %s %s", rcode_text(rows[i].rcode), outcome_text(said.outcome), said.err.text);
		if (rows[i].outcome != OUTCOME_DONE)
			assert_non_null(strstr(said.err.text, backend_name(backend)));
	}
	assert_int_equal(n_asked, ROWS(rows));
	changes_free(c, 1);
}

static void update_is_never_sent_twice(void **state)
{
	struct change *c = changes_new(1);

	(void)state;
	answer_now = hang_up;
	change(c, 1);
	run();
	assert_int_equal(said.outcome, OUTCOME_UNKNOWN);
	assert_int_equal(n_asked, 1);
	changes_free(c, 1);
}

static void forge(void)
{
	start_reply(n_asked - 1, 0, RCODE_NOERROR);
	signer.key = other;
	dns_sign(&signer, &reply);
	send_reply(n_asked - 1);
}

static void unbelieved_answer_is_named(void **state)
{
	struct change *c = changes_new(1);

	(void)state;
	answer_now = forge;
	change(c, 1);
	run_until_asked(1);
	settle();
	assert_int_equal(waiting, 1); /* still waiting for the true one */
	dns_hang_up(asked[0].peer);
	run();
	assert_int_equal(said.outcome, OUTCOME_UNKNOWN);
	assert_non_null(strstr(said.err.text, "unauthenticated NOERROR"));
	changes_free(c, 1);
}

static void bad_time(void)
{
	start_reply(n_asked - 1, 0, RCODE_NOTAUTH);
	signer.error = 18;
	signer.shift = 3600;
	dns_sign(&signer, &reply);
	send_reply(n_asked - 1);
}

static void clock_is_off(void **state)
{
	struct change *c = changes_new(1);

	(void)state;
	answer_now = bad_time;
	change(c, 1);
	run();
	assert_int_equal(said.outcome, OUTCOME_REFUSED);
	assert_non_null(strstr(said.err.text, "BADTIME"));
	assert_non_null(strstr(said.err.text, "ahead of ours"));
	changes_free(c, 1);
}

static void nobody_there(void **state)
{
	struct change *c = changes_new(1);

	(void)state;
	dns_server_free(server);
	server = NULL;
	change(c, 1);
	run();
	assert_int_equal(said.outcome, OUTCOME_AWAY);
	assert_non_null(strstr(said.err.text, "refused"));
	changes_free(c, 1);
}

static void idle_connection_was_closed(void **state)
{
	struct change *c = changes_new(1);

	(void)state;
	answer_now = answer_rcode;
	the_rcode = 0;
	change(c, 1);
	run();
	dns_hang_up(asked[0].peer);
	change(c, 1);
	run();
	assert_int_equal(said.outcome, OUTCOME_DONE);
	assert_int_equal(n_asked, 2);
	assert_int_equal(dns_server_accepted(server), 2);
	changes_free(c, 1);
}

static void accept_one(void)
{
	the_rcode = n_asked == 1 ? 0 : RCODE_NXRRSET;
	answer_rcode();
}

static void large_changes_go_in_several_messages(void **state)
{
	struct change *c = changes_new(1500);

	(void)state;
	answer_now = answer_rcode;
	the_rcode = 0;
	change(c, 1500);
	run();
	assert_int_equal(said.outcome, OUTCOME_DONE);
	assert_in_range(n_asked, 3, 6);
	for (size_t i = 0; i < n_asked; i++)
		assert_true(asked[i].len <= UPDATE_MAX);
	for (size_t i = 0; i < n_asked; i++)
		free(asked[i].bytes);
	n_asked = n_answered = 0;
	answer_now = accept_one;
	change(c, 1500);
	run();
	assert_int_equal(said.outcome, OUTCOME_DRIFT);
	assert_int_equal(n_asked, 2);
	assert_non_null(strstr(said.err.text, "of 1500 changes were made"));
	changes_free(c, 1500);
}

static void too_large_a_change_is_refused(void **state)
{
	struct change *c = changes_new(1);
	static uint8_t value[5000];

	(void)state;
	for (uint8_t i = 0; i < 10; i++) {
		value[0] = i;
		rrset_add(&c->next, value, sizeof value);
	}
	change(c, 1);
	run();
	assert_int_equal(said.outcome, OUTCOME_REFUSED);
	assert_non_null(strstr(said.err.text, "expected at most 32768"));
	assert_int_equal(n_asked, 0);
	changes_free(c, 1);
}

/* ---- read ---- */

static void soa(const char *serial)
{
	uint8_t rdata[SOA_LEN];

	memcpy(rdata, SOA_RDATA, SOA_LEN);
	memcpy(rdata + 6, serial, 4);
	dns_record(&reply, 1, "example.test.", RR_SOA, 1, 3600, rdata, SOA_LEN);
}

enum fault {
	NO_FAULT,
	UNSIGNED_BETWEEN,
	ALL_IN_ONE,
	LAST_UNSIGNED,
	FORGED_BETWEEN,
	OTHER_SOA,
	OUT_OF_ZONE,
	BEHIND_THE_END,
	NO_SOA,
	EMPTY_MESSAGE,
	CUT_OFF,
	REFUSED
};
static enum fault fault;

static void transfer_part(size_t i, bool is_signed)
{
	if (is_signed)
		dns_sign(&signer, &reply);
	else
		dns_skip(&signer, &reply);
	send_reply(i);
	dns_reply(&reply, asked[i].bytes, asked[i].len, AA, 0);
}

static void answer_transfer(void)
{
	size_t i = n_asked - 1;
	bool split = fault != ALL_IN_ONE;
	char owner[32];

	start_reply(i, AA, fault == REFUSED ? RCODE_REFUSED : 0);
	if (fault != NO_SOA && fault != REFUSED)
		soa("\0\0\0\7");
	if (fault == REFUSED || fault == NO_SOA) {
		if (fault == NO_SOA)
			dns_record(&reply, 1, "example.test.", RR_A, 1, 60, "\xc0\0\2\1", 4);
		transfer_part(i, true);
		return;
	}
	for (unsigned n = 0; n < 40; n++) {
		snprintf(owner, sizeof owner, "h%u.%s", n, fault == OUT_OF_ZONE && n == 20 ? "test." : "example.test.");
		dns_record(&reply, 1, owner, RR_A, 1, 60, "\xc0\0\2\1", 4);
		if (split && n % 10 == 9)
			transfer_part(i, n == 9 || fault != UNSIGNED_BETWEEN);
		if (fault == CUT_OFF && n == 20) {
			dns_hang_up(asked[i].peer);
			return;
		}
		if (fault == EMPTY_MESSAGE && n == 29)
			transfer_part(i, true);
		if (fault == FORGED_BETWEEN && n == 29)
			signer.unsigned_bytes[signer.unsigned_len++] = 1;
	}
	soa(fault == OTHER_SOA ? "\0\0\0\x8" : "\0\0\0\7");
	if (fault == BEHIND_THE_END)
		dns_record(&reply, 1, "x.example.test.", RR_A, 1, 60, "\xc0\0\2\1", 4);
	transfer_part(i, fault != LAST_UNSIGNED);
}

static void zones_are_read_whole_or_not_at_all(void **state)
{
	static const struct {
		enum fault fault;
		const char *says; /* NULL: read */
	} rows[] = {
		{NO_FAULT, NULL},
		{UNSIGNED_BETWEEN, NULL},
		{ALL_IN_ONE, NULL},
		{LAST_UNSIGNED, "unsigned"},
		{FORGED_BETWEEN, "unauthenticated"},
		{OTHER_SOA, "another SOA"},
		{OUT_OF_ZONE, "names of that zone"},
		{BEHIND_THE_END, "behind the last SOA"},
		{NO_SOA, "at the start of a transfer"},
		{EMPTY_MESSAGE, "without records"},
		{CUT_OFF, "closed the connection"},
		{REFUSED, "allow-transfer"},
	};
	(void)state;
	answer_now = answer_transfer;
	for (size_t i = 0; i < ROWS(rows); i++) {
		fault = rows[i].fault;
		read_zone("example.test");
		run();
		if (rows[i].says ? said.sets != 0 || !strstr(said.err.text, rows[i].says) : said.sets != 41 || said.serial != 7)
			fail_msg("row %zu: %zu RRsets, serial %u: %s", i, said.sets, said.serial, said.err.text);
	}
}

static void answer_short_transfers(void)
{
	for (; n_answered < n_asked; n_answered++) {
		start_reply(n_answered, AA, 0);
		soa("\0\0\0\7");
		soa("\0\0\0\7");
		transfer_part(n_answered, true);
	}
}

static void eight_transfers_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		read_zone("example.test");
	run_until_asked(TCP_TRANSFERS_MAX);
	settle();
	assert_int_equal(n_asked, TCP_TRANSFERS_MAX);
	assert_int_equal(dns_server_accepted(server), TCP_TRANSFERS_MAX);
	answer_now = answer_short_transfers;
	answer_now();
	run();
	assert_int_equal(n_asked, 20);
	assert_int_equal(said.sets, 1);
}

/* ---- ends ---- */

static void cancelled_calls_never_end(void **state)
{
	struct backend_call *calls[3];
	struct change *c = changes_new(1);

	(void)state;
	answer_now = NULL;
	calls[0] = backend_find(backend, "a.example.test", on_find, NULL);
	calls[1] = backend_read(backend, "example.test", on_read, NULL);
	calls[2] = backend_change(backend, "example.test", c, 1, on_change, NULL);
	run_until_asked(3);
	for (int i = 0; i < 3; i++)
		backend_cancel(calls[i]);
	answer_all_apex(); /* to nobody */
	find("www.example.test");
	run_until_asked(4);
	answer_all_apex();
	run();
	assert_int_equal(waiting, 0);
	assert_int_equal(hosted, 1);
	backend_cancel(NULL);
	changes_free(c, 1);
}

static void end_everything(void *arg, const char *zone, const struct err *err)
{
	(void)arg;
	(void)zone;
	(void)err;
	backend_free(backend);
	backend = NULL;
	waiting = 0;
}

static void callback_frees_the_backend(void **state)
{
	(void)state;
	answer_now = answer_all_apex;
	for (int i = 0; i < 5; i++) {
		waiting++;
		assert_non_null(backend_find(backend, "www.example.test", end_everything, NULL));
	}
	read_zone("example.test");
	run();
	settle();
}

static void names_in_the_configuration(void **state)
{
	struct err err = {0};
	struct backend *b;

	(void)state;
	conf.address.text = (char[]){"no such host"};
	conf.address.addr = (struct addr){0};
	assert_int_not_equal(backend_new(&b, base, &conf, &err), 0);
	assert_non_null(strstr(err.text, "zone-server no such host: found no address"));
	conf.address.text = (char[]){"localhost"};
	assert_int_equal(backend_new(&b, base, &conf, &err), 0);
	assert_non_null(strstr(backend_name(b), "localhost at "));
	assert_int_equal(addr_port(backend_address(b)), conf.address.port);
	backend_free(b);
	chmod(key_file, 0644);
	assert_int_not_equal(backend_new(&b, base, &conf, &err), 0);
	assert_non_null(strstr(err.text, "found mode 0644"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(zone_is_found),
		TEST(zone_is_not_hosted),
		TEST(alias_into_another_zone),
		TEST(knot_does_not_sign_its_refusal),
		TEST(forgeries_are_waited_out),
		TEST(many_at_once_in_any_order),
		TEST(query_is_asked_again_and_signed_again),
		TEST(query_is_asked_twice_at_most),
		TEST(rcodes_are_told_apart),
		TEST(update_is_never_sent_twice),
		TEST(unbelieved_answer_is_named),
		TEST(clock_is_off),
		TEST(nobody_there),
		TEST(idle_connection_was_closed),
		TEST(large_changes_go_in_several_messages),
		TEST(too_large_a_change_is_refused),
		TEST(zones_are_read_whole_or_not_at_all),
		TEST(eight_transfers_at_once),
		TEST(cancelled_calls_never_end),
		TEST(callback_frees_the_backend),
		TEST(names_in_the_configuration),
	};

	return cmocka_run_group_tests_name("rfc2136", tests, NULL, NULL);
}
