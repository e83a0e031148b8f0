/* Any bytes as a DNS message. What is read is well-formed: its names are absolute, and the text of its RDATA leads back to the same bytes.
 * No message is believed whose signature could not have been made, and none costs more than its size. */
#include "dnsupdate/tsig.h"
#include "dnsupdate/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static void check_text(uint16_t type, const uint8_t *bytes, size_t len)
{
	char *text = wire_rdata_text(type, bytes, len), *target = wire_rdata_target(type, bytes, len);
	uint8_t *back;
	size_t back_len;

	must(text && !strpbrk(text, "\r\n"));
	if (strncmp(text, "\\#", 2) != 0) { /* \# of a type that is known may hold what the type cannot */
		must(wire_rdata_parse(type, text, &back, &back_len, NULL) == 0);
		must(back_len == len && memcmp(back, bytes, len) == 0);
		free(back);
	}
	must(!target || target[strlen(target) - 1] == '.');
	free(text);
	free(target);
}

static void check_list(const struct rr_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct rr *r = &l->rrs[i];
		struct rrset set;

		must(r->owner[strlen(r->owner) - 1] == '.' && strlen(r->owner) < RR_NAME_MAX);
		must(r->type != RR_OPT && r->type != RR_TSIG);
		if (i >= 20) /* the rest is as the first: a 64 KiB message has thousands */
			continue;
		check_text(r->type, r->rdata.bytes, r->rdata.len);
		must(answer_rrset(&(struct answer){.answer = *l}, r->owner, r->type, &set) == 0);
		must(r->class != 1 || set.n > 0);
		rrset_done(&set);
	}
}

static void check_signature(const uint8_t *data, size_t size, size_t tsig)
{
	static uint8_t secret[32];
	static char name[] = "redir.";
	static const struct tsig_key key = {
		.name = name, .algorithm = "hmac-sha256.", .digest = "SHA256", .mac_len = 32, .secret = secret, .secret_len = 32};
	struct tsig_talk talk = {0};
	struct message query;
	struct err err;

	must(request_query(&query, message_random_id(), "example.test.", RR_SOA, NULL) == 0);
	must(tsig_sign(&talk, &key, &query, NULL) == 0);
	must(tsig_check(&talk, data, size, tsig) != TSIG_GOOD);
	tsig_explain(&talk, TSIG_BADMAC, 0, &err);
	tsig_talk_done(&talk);
	message_done(&query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answer a;
	struct err err = {0};
	size_t tsig;
	int rc;

	if (size > 65535)
		return 0;
	rc = wire_parse_signed(&a, data, size, &tsig, &err);
	must((rc < 0) == (err.code < 0));
	if (rc == 0) {
		must(!a.qname || a.qname[strlen(a.qname) - 1] == '.');
		check_list(&a.answer);
		check_list(&a.authority);
		check_list(&a.additional);
		must(tsig < size);
		check_signature(data, size, tsig);
		answer_done(&a);
	}
	if (size > 2) /* the bytes as RDATA: of their own type, and of those whose names are followed */
		check_text((uint16_t)(data[0] << 8 | data[1]), data + 2, size - 2);
	if (size > 2) {
		check_text(RR_MX, data + 2, size - 2);
		check_text(RR_CNAME, data + 2, size - 2);
	}
	return 0;
}
