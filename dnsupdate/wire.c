/* One walk over the message checks and copies: each byte is read once, names a bounded number of times (wire_name_read()). ldns_wire2pkt()
 * is not used for what comes from outside: it follows 65 535 pointers for each name, which makes seconds of one hostile message, takes
 * bytes behind the last record and RDATA that is longer than its type. */
#include "dnsupdate/tsig.h"
#include "dnsupdate/wire_parts.h"

#include <errno.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const rcodes[] = {"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
				     "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE"};

const char *rcode_text(unsigned rcode)
{
	static _Thread_local char other[24];

	if (rcode < sizeof rcodes / sizeof rcodes[0])
		return rcodes[rcode];
	snprintf(other, sizeof other, "RCODE%u", rcode);
	return other;
}

struct walk {
	struct answer *out;
	const uint8_t *m;
	size_t len, pos;
	size_t tsig; /* where it starts; 0: none */
	bool opt;
	uint8_t *rdata; /* room for the longest */
	const char *section;
};

static int bad(const struct walk *w, struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "found a DNS message of %zu bytes with %s in its %s, at byte %zu", w->len, what, w->section, w->pos);
}

static int push(struct rr_list *l, struct rr *r)
{
	if ((l->n & (l->n - 1)) == 0) { /* full at each power of two; the counts of the header are not believed */
		struct rr *grown = reallocarray(l->rrs, l->n ? l->n * 2 : 1, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		l->rrs = grown;
	}
	l->rrs[l->n++] = *r;
	return 0;
}

static int keep(struct rr_list *l, const struct wire_name *owner, const struct rr *like, const uint8_t *rdata, size_t len)
{
	struct rr r = *like;

	r.owner = wire_name_text(owner);
	r.rdata.bytes = malloc(len ? len : 1);
	r.rdata.len = (uint16_t)len;
	if (r.rdata.bytes && len)
		memcpy(r.rdata.bytes, rdata, len);
	if (r.owner && r.rdata.bytes && push(l, &r) == 0)
		return 0;
	rr_done(&r);
	return -ENOMEM;
}

/* OPT and TSIG are no records but part of the message: NULL, or what is wrong with where they are. */
static const char *note_meta(struct walk *w, const struct rr *r, const struct wire_name *owner, size_t start, struct rr_list *to)
{
	if (to != &w->out->additional)
		return "OPT or TSIG";
	if (r->type == RR_TSIG) {
		w->tsig = start;
		return NULL;
	}
	if (w->opt || owner->len != 1)
		return "a second OPT, or one that is not the root's";
	w->opt = true;
	w->out->rcode |= (r->ttl >> 24) << 4; /* RFC 6891 6.1.3 */
	return NULL;
}

static int read_record(struct walk *w, struct rr_list *to, struct err *err)
{
	size_t start = w->pos, size, len;
	struct wire_name owner;
	struct rr r = {0};
	const char *wrong;

	if (w->tsig)
		return bad(w, err, "a record behind TSIG"); /* RFC 8945 5.1 */
	wrong = wire_name_read(&owner, w->m, w->len, &w->pos);
	if (wrong)
		return bad(w, err, wrong);
	if (w->len - w->pos < 10)
		return bad(w, err, "a record that is cut");
	r.type = get16(w->m + w->pos);
	r.class = get16(w->m + w->pos + 2);
	r.ttl = get32(w->m + w->pos + 4);
	size = get16(w->m + w->pos + 8);
	w->pos += 10;
	if (size > w->len - w->pos)
		return bad(w, err, "RDATA that is cut");
	if (r.type == RR_OPT || r.type == RR_TSIG) {
		wrong = note_meta(w, &r, &owner, start, to);
	} else if (size == 0 && (r.class == LDNS_RR_CLASS_ANY || r.class == LDNS_RR_CLASS_NONE)) { /* RFC 2136 2.4, 2.5 */
		len = 0;
	} else {
		wrong = wire_rdata_read(r.type, w->m, w->pos, w->pos + size, true, w->rdata, &len);
	}
	if (wrong) {
		char type[16], text[128];

		snprintf(text, sizeof text, "%s in RDATA of %s", wrong, rr_type_text(r.type, type));
		return bad(w, err, text);
	}
	w->pos += size;
	if (r.type != RR_OPT && r.type != RR_TSIG && keep(to, &owner, &r, w->rdata, len) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int read_question(struct walk *w, unsigned count, struct err *err)
{
	struct wire_name name;
	const char *wrong;

	w->section = "question";
	if (count > 1)
		return bad(w, err, "more than one name");
	if (count == 0)
		return 0;
	wrong = wire_name_read(&name, w->m, w->len, &w->pos);
	if (wrong)
		return bad(w, err, wrong);
	if (w->len - w->pos < 4)
		return bad(w, err, "a question that is cut");
	w->out->qtype = get16(w->m + w->pos);
	w->pos += 4;
	w->out->qname = wire_name_text(&name);
	return w->out->qname ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int read_all(struct walk *w, struct err *err)
{
	struct answer *a = w->out;
	const struct {
		const char *name;
		struct rr_list *list;
	} sections[] = {{"answer", &a->answer}, {"authority section", &a->authority}, {"additional section", &a->additional}};
	int rc;

	w->section = "header";
	if (w->len < WIRE_HEADER)
		return bad(w, err, "less than 12 bytes");
	a->id = get16(w->m);
	a->qr = w->m[2] & 0x80;
	a->opcode = w->m[2] >> 3 & 15;
	a->aa = w->m[2] & 4;
	a->tc = w->m[2] & 2;
	a->ra = w->m[3] & 0x80;
	a->rcode = w->m[3] & 15;
	w->pos = WIRE_HEADER;
	rc = read_question(w, get16(w->m + 4), err);
	for (size_t i = 0; i < 3 && rc == 0; i++) {
		w->section = sections[i].name;
		for (unsigned n = get16(w->m + 6 + 2 * i); n > 0 && rc == 0; n--)
			rc = read_record(w, sections[i].list, err);
	}
	if (rc == 0 && w->pos != w->len)
		rc = bad(w, err, "bytes behind the last record");
	return rc;
}

int wire_parse_signed(struct answer *out, const uint8_t *bytes, size_t len, size_t *tsig, struct err *err)
{
	struct walk w = {.out = out, .m = bytes, .len = len, .rdata = malloc(UINT16_MAX + 1)};
	int rc;

	*out = (struct answer){0};
	rc = w.rdata ? read_all(&w, err) : err_set(err, -ENOMEM, "out of memory");
	free(w.rdata);
	if (rc < 0)
		answer_done(out);
	*tsig = w.tsig;
	return rc;
}

int wire_parse(struct answer *out, const uint8_t *bytes, size_t len, struct err *err)
{
	size_t tsig;

	return wire_parse_signed(out, bytes, len, &tsig, err);
}

static void list_done(struct rr_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		rr_done(&l->rrs[i]);
	free(l->rrs);
}

void answer_done(struct answer *a)
{
	list_done(&a->answer);
	list_done(&a->authority);
	list_done(&a->additional);
	free(a->qname);
	*a = (struct answer){0};
}

int answer_rrset(const struct answer *a, const char *owner, uint16_t type, struct rrset *out)
{
	int rc = rrset_init(out, owner, type, 0);

	for (size_t i = 0; i < a->answer.n && rc == 0; i++) {
		const struct rr *r = &a->answer.rrs[i];

		if (r->type != type || r->class != LDNS_RR_CLASS_IN || !name_same(r->owner, owner))
			continue;
		if (out->n == 0 || r->ttl < out->ttl)
			out->ttl = r->ttl;
		rc = rrset_add(out, r->rdata.bytes, r->rdata.len);
	}
	if (rc < 0)
		rrset_done(out);
	return rc;
}
