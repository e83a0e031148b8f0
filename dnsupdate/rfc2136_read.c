/* A transfer (RFC 5936): SOA, all records, SOA once more, in as many messages as the server likes. */
#include "dnsupdate/rfc2136_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_IN 1

static int take_first(struct errand *j, struct rr *r)
{
	if (r->type != RR_SOA || !name_same(r->owner, j->name))
		return err_set(&j->wrong, -EBADMSG, "found %s of %.300s at the start of a transfer, expected the SOA of %s", "a record",
			       r->owner, j->name);
	j->soa = malloc(sizeof *j->soa);
	if (!j->soa || zone_init(&j->zone, r->owner) < 0 || zone_add(&j->zone, r) < 0)
		return err_set(&j->wrong, -ENOMEM, "out of memory");
	*j->soa = *r;
	*r = (struct rr){0};
	return 0;
}

static int take(struct errand *j, struct rr *r)
{
	if (j->complete)
		return err_set(&j->wrong, -EBADMSG, "found records behind the last SOA of the transfer of %s", j->name);
	if (r->class != CLASS_IN || !name_within(r->owner, j->name))
		return err_set(&j->wrong, -EBADMSG, "found a record of %.300s in the transfer of %s, expected names of that zone", r->owner,
			       j->name);
	if (!j->soa)
		return take_first(j, r);
	if (r->type != RR_SOA)
		return zone_add(&j->zone, r) < 0 ? err_set(&j->wrong, -ENOMEM, "out of memory") : 0;
	if (!name_same(r->owner, j->name) || r->rdata.len != j->soa->rdata.len ||
	    memcmp(r->rdata.bytes, j->soa->rdata.bytes, r->rdata.len) != 0)
		return err_set(&j->wrong, -EBADMSG, "found another SOA at the end of the transfer of %s than at its start: read it again",
			       j->name);
	j->complete = true;
	return 0;
}

static enum tcp_judgement read_answer(void *arg, const uint8_t *bytes, size_t len)
{
	struct errand *j = arg;
	struct answer a;
	int rc = 0;

	if (!errand_believes(j, bytes, len, &a))
		/* Before the first believed message another answer may still come; in the midst of them the chain is broken. */
		return j->soa ? TCP_ENOUGH : errand_doubts(j);
	if (a.rcode != RCODE_NOERROR)
		rc = err_set(&j->wrong, -EACCES, "found %s for a transfer of %s, expected the zone: %s", rcode_text(a.rcode), j->name,
			     a.rcode == RCODE_REFUSED   ? "let the key read it (BIND: allow-transfer; Knot: an acl with action transfer)"
			     : a.rcode == RCODE_NOTAUTH ? "the server does not have it, or does not let the key read it (PowerDNS: "
							  "TSIG-ALLOW-AXFR)"
							: "the server's log may say more");
	else if (a.answer.n == 0)
		rc = err_set(&j->wrong, -EBADMSG, "found a message without records in the transfer of %s", j->name);
	for (size_t i = 0; rc == 0 && i < a.answer.n; i++)
		rc = take(j, &a.answer.rrs[i]);
	answer_done(&a);
	if (rc == 0 && j->complete && j->talk.open) /* RFC 8945 5.3.1: the last is signed */
		rc = err_set(&j->wrong, -EPERM, "found the end of the transfer of %s unsigned, expected it to be signed", j->name);
	return rc < 0 || j->complete ? TCP_ENOUGH : TCP_MORE;
}

static void read_done(void *arg, enum tcp_end end, const struct err *why)
{
	struct errand *j = arg;
	struct backend_call *c = j->c;
	struct zone zone = j->zone;
	struct err err = {0};

	j->request = NULL;
	if (end == TCP_OK && !j->doubted && !j->wrong.code && zone_order(&zone) < 0)
		err_set(&j->wrong, -ENOMEM, "out of memory");
	j->zone = (struct zone){0};
	if (end == TCP_OK && !j->doubted && !j->wrong.code) {
		errand_free(j);
		backend_was_read(c, &zone, &err);
		return;
	}
	zone_done(&zone);
	errand_why(j, j->wrong.code ? &j->wrong : why, &err);
	if (!err.code)
		err.code = -EIO;
	errand_free(j);
	backend_was_read(c, NULL, &err);
}

static const struct tcp_ops read_ops = {errand_build_query, read_answer, read_done};

int rfc2136_read(struct backend_call *c, const char *zone)
{
	struct errand *j = errand_new(c, zone, RR_AXFR, 0);
	int rc = j ? errand_ask(j, TCP_TRANSFER, &read_ops) : -ENOMEM;

	if (rc < 0)
		errand_free(j);
	return rc;
}
