/* Signatures (RFC 8945), against answers that are signed by other code than ours: dns_server.h. */
#include "dnsupdate/tsig.h"
#include "tests/unit/dns_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct tsig_key *key, *other;
static struct tsig_talk talk;
static struct message query;
static struct dns_signer signer;
static struct dns_reply reply;

static int setup(void **state)
{
	struct err err;

	(void)state;
	key = dns_key(7);
	other = dns_key(8);
	assert_int_equal(request_query(&query, 0x1234, "www.example.test.", RR_A, &err), 0);
	assert_int_equal(tsig_sign(&talk, key, &query, &err), 0);
	dns_signer_init(&signer, key, query.bytes, query.len);
	dns_reply(&reply, query.bytes, query.len, 0x400, 0);
	dns_record(&reply, 1, NULL, RR_A, 1, 60, "\xc0\0\2\1", 4);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tsig_talk_done(&talk);
	message_done(&query);
	tsig_key_free(key);
	tsig_key_free(other);
	return 0;
}

static enum tsig_verdict check(const struct dns_reply *r)
{
	struct answer a;
	struct err err = {0};
	uint8_t *exact = malloc(r->len);
	enum tsig_verdict v;
	size_t tsig;

	memcpy(exact, r->bytes, r->len);
	if (wire_parse_signed(&a, exact, r->len, &tsig, &err) < 0)
		fail_msg("%s", err.text);
	answer_done(&a);
	v = tsig_check(&talk, exact, r->len, tsig);
	free(exact);
	return v;
}

static void expect_text(enum tsig_verdict v, const char *says)
{
	struct err err = {0};

	tsig_explain(&talk, v, RCODE_NOTAUTH, &err);
	if (!strstr(err.text, says))
		fail_msg("expected \"%s\" in: %s", says, err.text);
}

static void query_is_signed(void **state)
{
	struct answer a;
	struct err err;
	size_t tsig;

	(void)state;
	assert_int_equal(wire_parse_signed(&a, query.bytes, query.len, &tsig, &err), 0);
	assert_int_equal(tsig, 12 + 18 + 4);
	assert_int_equal(a.additional.n, 0);
	answer_done(&a);
}

static void right_signature_is_believed(void **state)
{
	(void)state;
	dns_sign(&signer, &reply);
	assert_int_equal(check(&reply), TSIG_GOOD);
}

static void key_is_named_without_case(void **state)
{
	(void)state;
	signer.name = "ReDir.";
	dns_sign(&signer, &reply);
	assert_int_equal(check(&reply), TSIG_GOOD);
}

static void every_changed_byte_is_noticed(void **state)
{
	struct dns_reply changed;

	(void)state;
	dns_sign(&signer, &reply);
	for (size_t i = 0; i < reply.len; i++) {
		struct answer a;
		size_t tsig;

		changed = reply;
		changed.bytes[i] ^= 1;
		if (i < 2 || wire_parse_signed(&a, changed.bytes, changed.len, &tsig, NULL) < 0)
			continue; /* the id is not signed: the original one is */
		answer_done(&a);
		if (tsig && tsig_check(&talk, changed.bytes, changed.len, tsig) == TSIG_GOOD) {
			/* A name's case and the record's TTL and class are not digested as they stand. */
			bool covered = i < tsig;

			if (covered)
				fail_msg("byte %zu of %zu changed, and nobody noticed", i, reply.len);
			tsig_talk_done(&talk);
			teardown(NULL);
			setup(NULL);
			dns_sign(&signer, &reply);
		}
	}
}

static void other_secret_other_name(void **state)
{
	struct dns_reply again = reply;

	(void)state;
	signer.key = other;
	dns_sign(&signer, &reply);
	assert_int_equal(check(&reply), TSIG_BADMAC);
	dns_signer_init(&signer, key, query.bytes, query.len);
	signer.name = "someone.";
	reply = again;
	dns_sign(&signer, &reply);
	assert_int_equal(check(&reply), TSIG_BADMAC);
	expect_text(TSIG_BADMAC, "unauthenticated NOTAUTH");
}

static void shortened_mac_is_refused(void **state)
{
	(void)state;
	signer.mac_len = 16;
	dns_sign(&signer, &reply);
	assert_int_equal(check(&reply), TSIG_BADMAC);
}

/* Its id may be changed on the way, by a forwarder; the one that was signed is in the record. */
static void original_id_counts(void **state)
{
	(void)state;
	dns_sign(&signer, &reply);
	reply.bytes[0] ^= 1;
	assert_int_equal(check(&reply), TSIG_GOOD);
}

static void answer_to_another_query(void **state)
{
	(void)state;
	signer.mac[0] ^= 1;
	dns_sign(&signer, &reply);
	assert_int_equal(check(&reply), TSIG_BADMAC);
}

static void errors_without_mac(void **state)
{
	struct dns_reply again = reply;

	(void)state;
	dns_error(&signer, &reply, 17);
	assert_int_equal(check(&reply), TSIG_BADKEY);
	expect_text(TSIG_BADKEY, "BADKEY");
	expect_text(TSIG_BADKEY, "has no key redir.");
	reply = again;
	dns_error(&signer, &reply, 16);
	assert_int_equal(check(&reply), TSIG_BADSIG);
	expect_text(TSIG_BADSIG, "with another secret");
	reply = again;
	dns_error(&signer, &reply, 0);
	assert_int_equal(check(&reply), TSIG_BADMAC);
	assert_int_equal(check(&again), TSIG_UNSIGNED);
	expect_text(TSIG_UNSIGNED, "unauthenticated NOTAUTH");
	expect_text(TSIG_UNSIGNED, "likely causes");
	reply = again; /* and after all that the true one is believed */
	dns_signer_init(&signer, key, query.bytes, query.len);
	dns_sign(&signer, &reply);
	assert_int_equal(check(&reply), TSIG_GOOD);
}

static void clocks_that_differ(void **state)
{
	static const struct {
		int shift;
		unsigned fudge;
		enum tsig_verdict verdict;
	} rows[] = {{200, 300, TSIG_GOOD}, {-200, 300, TSIG_GOOD}, {400, 300, TSIG_LATE}, {-400, 300, TSIG_LATE}, {20, 5, TSIG_LATE}};
	struct dns_reply clean = reply;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		teardown(NULL);
		setup(NULL);
		reply = clean;
		reply.bytes[0] = query.bytes[0];
		signer.shift = rows[i].shift;
		signer.fudge = rows[i].fudge;
		dns_sign(&signer, &reply);
		if (check(&reply) != rows[i].verdict)
			fail_msg("row %zu", i);
		if (rows[i].verdict == TSIG_LATE)
			assert_in_range(talk.skew - rows[i].shift + 3, 0, 6);
	}
}

static void badtime_tells_the_servers_clock(void **state)
{
	(void)state;
	signer.error = 18;
	signer.shift = -3600;
	dns_sign(&signer, &reply);
	assert_int_equal(check(&reply), TSIG_BADTIME);
	assert_in_range(talk.skew + 3603, 0, 6);
	talk.skew = -3600;
	expect_text(TSIG_BADTIME, "3600 s behind ours");
}

/* ---- transfers ---- */

static struct dns_reply part(unsigned i)
{
	struct dns_reply r;

	dns_reply(&r, query.bytes, query.len, 0x400, 0);
	dns_record(&r, 1, NULL, RR_A, 1, i, "\xc0\0\2\1", 4);
	return r;
}

static void unsigned_messages_between(void **state)
{
	struct dns_reply r;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		r = part(round);
		dns_sign(&signer, &r);
		assert_int_equal(check(&r), TSIG_GOOD);
		assert_int_equal(talk.open, 0);
		for (unsigned i = 0; i < 99; i++) {
			r = part(1000 + i);
			dns_skip(&signer, &r);
			assert_int_equal(check(&r), TSIG_GOOD);
			assert_int_equal(talk.open, i + 1);
		}
	}
	r = part(5);
	assert_int_equal(check(&r), TSIG_UNSIGNED); /* the hundredth */
}

static void forged_message_between(void **state)
{
	struct dns_reply r = part(1);

	(void)state;
	assert_int_equal(check(&r), TSIG_UNSIGNED); /* the first must be signed */
	dns_sign(&signer, &r);
	assert_int_equal(check(&r), TSIG_GOOD);
	r = part(2);
	dns_skip(&signer, &r);
	assert_int_equal(check(&r), TSIG_GOOD);
	r = part(3);
	assert_int_equal(check(&r), TSIG_GOOD); /* nobody can tell yet */
	r = part(4);
	dns_sign(&signer, &r);
	assert_int_equal(check(&r), TSIG_BADMAC);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(query_is_signed),
		TEST(right_signature_is_believed),
		TEST(key_is_named_without_case),
		TEST(every_changed_byte_is_noticed),
		TEST(other_secret_other_name),
		TEST(shortened_mac_is_refused),
		TEST(original_id_counts),
		TEST(answer_to_another_query),
		TEST(errors_without_mac),
		TEST(clocks_that_differ),
		TEST(badtime_tells_the_servers_clock),
		TEST(unsigned_messages_between),
		TEST(forged_message_between),
	};

	return cmocka_run_group_tests_name("tsig", tests, NULL, NULL);
}
