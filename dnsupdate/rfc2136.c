/* find, change, and what all calls share; the transfer is in rfc2136_read.c. */
#include "dnsupdate/rfc2136_parts.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPCODE_UPDATE 5
#define RRSET_MS      50   /* more patience for each RRset of an update: PowerDNS with SQLite does 120 in a second */
#define GRACE_MS      1000 /* for a signed answer, once an unsigned refusal is there: who does not know the key cannot sign */

/* ---- errands ---- */

struct errand *errand_new(struct backend_call *c, const char *name, uint16_t type, unsigned opcode)
{
	struct errand *j = calloc(1, sizeof *j);

	if (!j)
		return NULL;
	*j = (struct errand){.c = c, .p = c->b->impl, .name = malloc(RR_NAME_MAX), .type = type, .opcode = opcode};
	if (!j->name || name_absolute(j->name, name) < 0) {
		errand_free(j);
		return NULL;
	}
	j->asked = j->name;
	c->impl = j;
	return j;
}

void errand_free(struct errand *j)
{
	if (!j)
		return;
	tcp_cancel(j->request);
	tsig_talk_done(&j->talk);
	answer_done(&j->said);
	zone_done(&j->zone);
	if (j->soa)
		rr_done(j->soa);
	free(j->soa);
	free(j->name);
	free(j);
}

int errand_ask(struct errand *j, enum tcp_kind kind, const struct tcp_ops *ops)
{
	j->doubted = false;
	answer_done(&j->said);
	j->request = tcp_ask(j->p->tcp, kind, (int)j->batch * RRSET_MS, ops, j);
	return j->request ? 0 : -ENOMEM;
}

static int sign(struct errand *j, int rc, struct message *out, struct err *err)
{
	return rc < 0 ? rc : tsig_sign(&j->talk, j->p->key, out, err);
}

int errand_build_query(void *arg, uint16_t id, struct message *out, struct err *err)
{
	struct errand *j = arg;

	return sign(j, request_query(out, id, j->asked, j->type, err), out, err);
}

static void doubt(struct errand *j, enum tsig_verdict v, unsigned rcode)
{
	j->doubted = true;
	j->doubt = v;
	j->doubted_rcode = rcode;
}

/* The question comes back with every answer but the later ones of a transfer (RFC 5936 2.2.1); servers may leave it out of an error. */
static bool is_answer_to(const struct errand *j, const struct answer *a)
{
	return a->qr && a->opcode == j->opcode && (!a->qname || (a->qtype == j->type && name_same(a->qname, j->asked)));
}

bool errand_believes(struct errand *j, const uint8_t *bytes, size_t len, struct answer *out)
{
	enum tsig_verdict v;
	size_t tsig;

	j->doubted_err.code = 0;
	if (wire_parse_signed(out, bytes, len, &tsig, &j->doubted_err) < 0) {
		j->doubted = true;
		return false;
	}
	if (!is_answer_to(j, out)) {
		err_set(&j->doubted_err, -EBADMSG, "found an answer to another question, about %.300s",
			out->qname ? out->qname : "nothing");
		j->doubted = true;
		answer_done(out);
		return false;
	}
	v = tsig_check(&j->talk, bytes, len, tsig);
	j->doubted = v != TSIG_GOOD;
	if (v == TSIG_GOOD)
		return true;
	doubt(j, v, out->rcode);
	answer_done(out);
	return false;
}

void errand_why(const struct errand *j, const struct err *end, struct err *out)
{
	struct err seen = {0};

	if (end)
		*out = *end;
	if (j->doubted && j->doubted_err.code)
		seen = j->doubted_err;
	else if (j->doubted)
		tsig_explain(&j->talk, j->doubt, j->doubted_rcode, &seen);
	if (seen.code)
		*out = seen;
	err_wrap(out, "%s", backend_name(j->c->b));
}

enum tcp_judgement errand_doubts(struct errand *j)
{
	if (j->doubted_err.code)
		return TCP_IGNORE;
	if (j->doubt == TSIG_BADTIME)
		return TCP_ENOUGH;
	if (j->doubted_rcode != RCODE_NOERROR)
		tcp_hurry(j->request, GRACE_MS);
	return TCP_IGNORE;
}

static enum tcp_judgement judge(struct errand *j, const uint8_t *bytes, size_t len)
{
	return errand_believes(j, bytes, len, &j->said) ? TCP_ENOUGH : errand_doubts(j);
}

/* ---- find ---- */

static bool unsigned_refusal(const struct errand *j)
{
	return j->doubted && !j->doubted_err.code && j->doubt == TSIG_UNSIGNED && j->doubted_rcode == RCODE_REFUSED;
}

static enum tcp_judgement find_answer(void *arg, const uint8_t *bytes, size_t len)
{
	return judge(arg, bytes, len);
}

/* The apex: the owner of the SOA, which is in the answer at the apex and in the authority section below it (RFC 2308 3). Behind a CNAME
 * it may be that of another zone. */
static const char *apex_of(const struct answer *a, const char *name)
{
	const struct rr_list *lists[] = {&a->answer, &a->authority};

	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < lists[i]->n; k++)
			if (lists[i]->rrs[k].type == RR_SOA && name_within(name, lists[i]->rrs[k].owner))
				return lists[i]->rrs[k].owner;
	return NULL;
}

static void found(struct errand *j, const char *zone, const struct err *err)
{
	struct backend_call *c = j->c;
	char *copy = zone ? strdup(zone) : NULL;
	struct err none = {0};

	errand_free(j);
	backend_found(c, copy, err ? err : &none);
	free(copy);
}

static const struct tcp_ops find_ops;

static void not_found(struct errand *j, const struct err *end)
{
	struct err err = {0};

	errand_why(j, end, &err);
	found(j, NULL, &err);
}

static void find_done(void *arg, enum tcp_end end, const struct err *err)
{
	struct errand *j = arg;
	const char *apex;
	struct err text;

	j->request = NULL;
	if (end != TCP_OK && unsigned_refusal(j)) {
		found(j, NULL, NULL); /* nothing is changed on its word, only left alone */
		return;
	}
	if (end != TCP_OK || j->doubted) {
		not_found(j, err);
		return;
	}
	if (j->said.rcode == RCODE_SERVFAIL || j->said.rcode == RCODE_FORMERR || j->said.rcode == RCODE_NOTIMP) {
		err_set(&text, -EIO, "found %s for %s, expected its SOA", rcode_text(j->said.rcode), j->asked);
		not_found(j, &text);
		return;
	}
	if (!j->said.aa) { /* REFUSED, NOTAUTH, a referral */
		found(j, NULL, NULL);
		return;
	}
	apex = apex_of(&j->said, j->name);
	if (apex) {
		found(j, apex, NULL);
		return;
	}
	j->asked = name_parent(j->asked); /* a CNAME or DNAME led elsewhere: its own zone is that of what is above it, or holds that */
	if (!j->asked) {
		found(j, NULL, NULL);
		return;
	}
	if (errand_ask(j, TCP_AGAIN, &find_ops) < 0) {
		err_set(&text, -ENOMEM, "out of memory");
		not_found(j, &text);
	}
}

static const struct tcp_ops find_ops = {errand_build_query, find_answer, find_done};

static int find(struct backend_call *c, const char *name)
{
	struct errand *j = errand_new(c, name, RR_SOA, 0);
	int rc = j ? errand_ask(j, TCP_AGAIN, &find_ops) : -ENOMEM;

	if (rc < 0)
		errand_free(j);
	return rc;
}

/* ---- change ---- */

static int change_build(void *arg, uint16_t id, struct message *out, struct err *err)
{
	struct errand *j = arg;

	if (j->n > j->done && request_update_fits(j->name, j->changes + j->done, 1, err) == 0)
		return -EMSGSIZE;
	return sign(j, request_update(out, id, j->name, j->changes + j->done, j->batch, err), out, err);
}

static enum tcp_judgement change_answer(void *arg, const uint8_t *bytes, size_t len)
{
	return judge(arg, bytes, len);
}

static void changed(struct errand *j, enum outcome outcome, const struct err *err)
{
	struct backend_call *c = j->c;
	struct err text = err ? *err : (struct err){0};

	if (outcome != OUTCOME_DONE && j->done)
		err_wrap(&text, "after %zu of %zu changes were made", j->done, j->n);
	errand_free(j);
	backend_changed(c, outcome, &text);
}

/* What a signed rcode means (RFC 2136 2.2, 3), and who is to look where. */
static enum outcome outcome_of(const struct errand *j, struct err *err)
{
	unsigned rcode = j->said.rcode;
	const char *said = rcode_text(rcode), *key = j->p->key->name;

	switch (rcode) {
	case RCODE_NOERROR:
		return OUTCOME_DONE;
	case RCODE_NXDOMAIN:
	case RCODE_YXDOMAIN:
	case RCODE_YXRRSET:
	case RCODE_NXRRSET:
		err_set(err, -ESTALE, "found %s: zone %s is no longer as it was read", said, j->name);
		return OUTCOME_DRIFT;
	case RCODE_SERVFAIL:
		err_set(err, -EAGAIN, "found SERVFAIL for an update of %s: the server could not just now; its log says why", j->name);
		return OUTCOME_BUSY;
	case RCODE_REFUSED:
		err_set(err, -EACCES,
			"found REFUSED for an update of %s: the key is right, but the server's policy does not let %s change these names "
			"and "
			"types (BIND: update-policy, allow-update; PowerDNS: TSIG-ALLOW-DNSUPDATE, allow-dnsupdate-from), or it is a "
			"secondary of the zone",
			j->name, key);
		return OUTCOME_REFUSED;
	case RCODE_NOTAUTH:
		err_set(err, -EACCES, "found NOTAUTH for an update: the server is not the primary of zone %s", j->name);
		return OUTCOME_REFUSED;
	case RCODE_NOTZONE:
		err_set(err, -EACCES, "found NOTZONE: a name is not in zone %s", j->name);
		return OUTCOME_REFUSED;
	case RCODE_NOTIMP:
		err_set(err, -EACCES, "found NOTIMP: the server takes no updates (PowerDNS: dnsupdate=yes)");
		return OUTCOME_REFUSED;
	default:
		err_set(err, -EACCES, "found %s for an update of %s, expected NOERROR; the server's log may say more", said, j->name);
		return OUTCOME_REFUSED;
	}
}

static const struct tcp_ops change_ops;

static int next_batch(struct errand *j, struct err *err)
{
	j->batch = request_update_fits(j->name, j->changes + j->done, j->n - j->done, err);
	if (j->batch == 0)
		return -EMSGSIZE;
	return errand_ask(j, TCP_ONCE, &change_ops) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static void change_done(void *arg, enum tcp_end end, const struct err *why)
{
	struct errand *j = arg;
	enum outcome outcome;
	struct err err = {0};

	j->request = NULL;
	if (end == TCP_NOT_SENT || end == TCP_NO_ANSWER || j->doubted) {
		outcome = end == TCP_NOT_SENT ? OUTCOME_AWAY : end == TCP_NO_ANSWER ? OUTCOME_UNKNOWN : OUTCOME_REFUSED;
		if (why && (why->code == -EMSGSIZE || why->code == -EINVAL)) /* it could not be built: the same the next time */
			outcome = OUTCOME_REFUSED;
		errand_why(j, why, &err);
		changed(j, outcome, &err);
		return;
	}
	outcome = outcome_of(j, &err);
	if (outcome == OUTCOME_DONE) {
		j->done += j->batch;
		if (j->done == j->n) {
			changed(j, OUTCOME_DONE, NULL);
			return;
		}
		if (next_batch(j, &err) == 0)
			return;
		outcome = OUTCOME_REFUSED;
	}
	err_wrap(&err, "%s", backend_name(j->c->b));
	changed(j, outcome, &err);
}

static const struct tcp_ops change_ops = {change_build, change_answer, change_done};

static int change(struct backend_call *c, const char *zone, const struct change *changes, size_t n)
{
	struct errand *j = errand_new(c, zone, RR_SOA, OPCODE_UPDATE);
	struct err err = {0};

	if (!j)
		return -ENOMEM;
	j->changes = changes;
	j->n = n;
	j->batch = request_update_fits(j->name, changes, n, &err);
	/* One that is too large is told when it is built, from the loop. */
	if (errand_ask(j, TCP_ONCE, &change_ops) < 0) {
		errand_free(j);
		return -ENOMEM;
	}
	return 0;
}

/* ---- life ---- */

static void cancel(struct backend_call *c)
{
	errand_free(c->impl);
	c->impl = NULL;
}

static int resolve(struct backend *b, struct err *err)
{
	const struct conf_host *h = &b->conf->address;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int rc;

	b->address = h->addr;
	if (addr_family(&h->addr) == AF_UNSPEC) {
		rc = getaddrinfo(h->text, NULL, &hints, &list);
		if (rc != 0)
			return err_set(err, -EHOSTUNREACH,
				       "zone-server %s: found no address (%s), expected a host name that resolves, or an address", h->text,
				       gai_strerror(rc));
		rc = addr_from_sockaddr(&b->address, list->ai_addr) ? 0 : -EAFNOSUPPORT;
		freeaddrinfo(list);
		if (rc < 0)
			return err_set(err, rc, "zone-server %s: found an address of unknown kind, expected IPv4 or IPv6", h->text);
	}
	addr_set_port(&b->address, h->port ? h->port : 53);
	b->has_address = true;
	return 0;
}

static int name_it(struct backend *b)
{
	const struct conf_host *h = &b->conf->address;
	char text[ADDR_TEXT_MAX];

	addr_text_port(&b->address, text);
	if (addr_port(&b->address) == 53)
		addr_text(&b->address, text);
	if (addr_family(&h->addr) == AF_UNSPEC)
		return asprintf(&b->shown, "%s at %s (rfc2136)", h->text, text);
	return asprintf(&b->shown, "%s (rfc2136)", text);
}

static int open_primary(struct backend *b, struct err *err)
{
	struct primary *p = calloc(1, sizeof *p);
	int rc;

	b->impl = p;
	if (!p)
		return err_set(err, -ENOMEM, "out of memory");
	rc = tsig_key_load(&p->key, b->conf->key_file, err);
	if (rc == 0)
		rc = resolve(b, err);
	if (rc == 0 && name_it(b) < 0) {
		b->shown = NULL;
		rc = err_set(err, -ENOMEM, "out of memory");
	}
	if (rc == 0 && tcp_new(&p->tcp, b->base, &b->address) < 0)
		rc = err_set(err, -ENOMEM, "out of memory");
	return rc;
}

static void close_primary(struct backend *b)
{
	struct primary *p = b->impl;

	if (!p)
		return;
	tcp_free(p->tcp);
	tsig_key_free(p->key);
	free(p);
	b->impl = NULL;
}

const struct backend_ops backend_rfc2136 = {
	.name = "rfc2136",
	.open = open_primary,
	.close = close_primary,
	.find = find,
	.read = rfc2136_read,
	.change = change,
	.cancel = cancel,
};
