#include "dnsupdate/request.h"

#include "dnsupdate/wire_parts.h"

#include <errno.h>
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RECORD_BYTES 10  /* type, class, TTL, length (RFC 1035 3.2.1) */
#define TSIG_ROOM    700 /* the longest: two names of 255 bytes, a MAC of 64, and what goes with them */

void message_done(struct message *m)
{
	free(m->bytes);
	*m = (struct message){0};
}

uint16_t message_random_id(void)
{
	uint16_t id = 0;

	while (getrandom(&id, sizeof id, 0) != sizeof id)
		;
	return id;
}

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

static ldns_rdf *name_rdf(const char *name)
{
	struct wire_name n;

	return wire_name_parse(&n, name) < 0 ? NULL : ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, n.len, n.bytes);
}

/* As bytes; ldns compresses names of the question and of owners, for RDATA that it is given as one block stays as it is. */
static int to_wire(struct message *out, uint16_t id, ldns_pkt *p, struct err *err)
{
	uint8_t *bytes = NULL;
	size_t len = 0;

	ldns_pkt_set_id(p, id);
	ldns_pkt_set_rd(p, false);
	if (ldns_pkt2wire(&bytes, p, &len) != LDNS_STATUS_OK)
		return no_memory(err);
	if (len > MESSAGE_MAX) {
		free(bytes);
		return err_set(err, -EMSGSIZE, "found a message of %zu bytes, expected at most %d", len, MESSAGE_MAX);
	}
	*out = (struct message){.bytes = bytes, .len = len, .id = id};
	return 0;
}

static int bad_name(const char *name, struct err *err)
{
	return err_set(err, -EINVAL, "found \"%.300s\", expected a domain name", name);
}

int request_query(struct message *out, uint16_t id, const char *name, uint16_t type, struct err *err)
{
	ldns_rdf *owner = name_rdf(name);
	ldns_pkt *p = owner ? ldns_pkt_query_new(owner, (ldns_rr_type)type, LDNS_RR_CLASS_IN, 0) : NULL;
	int rc;

	if (!p) {
		ldns_rdf_deep_free(owner);
		return bad_name(name, err);
	}
	rc = to_wire(out, id, p, err);
	ldns_pkt_free(p);
	return rc;
}

/* ---- updates ---- */

static int add(ldns_rr_list *list, const char *owner, uint16_t type, ldns_rr_class class, uint32_t ttl, const struct rdata *value)
{
	ldns_rr *rr = ldns_rr_new();
	ldns_rdf *name = name_rdf(owner), *rdf = NULL;

	if (rr && name) {
		ldns_rr_set_owner(rr, name);
		name = NULL;
		ldns_rr_set_type(rr, (ldns_rr_type)type);
		ldns_rr_set_class(rr, class);
		ldns_rr_set_ttl(rr, ttl);
		rdf = value ? ldns_rdf_new_frm_data(LDNS_RDF_TYPE_UNKNOWN, value->len, value->bytes) : NULL;
	}
	if (rr && ldns_rr_owner(rr) && (!value || (rdf && ldns_rr_push_rdf(rr, rdf))) && ldns_rr_list_push_rr(list, rr))
		return 0;
	ldns_rdf_deep_free(name);
	ldns_rr_free(rr);
	return -ENOMEM;
}

static int add_change(ldns_rr_list *must, ldns_rr_list *then, const struct change *c)
{
	const char *owner = c->was.owner;
	uint16_t type = c->was.type;
	int rc = 0;

	if (c->was.n == 0)
		rc = add(must, owner, type, LDNS_RR_CLASS_NONE, 0, NULL);
	for (size_t i = 0; rc == 0 && i < c->was.n; i++)
		rc = add(must, owner, type, LDNS_RR_CLASS_IN, 0, &c->was.values[i]);
	if (rc == 0)
		rc = add(then, owner, type, LDNS_RR_CLASS_ANY, 0, NULL);
	for (size_t i = 0; rc == 0 && i < c->next.n; i++)
		rc = add(then, owner, type, LDNS_RR_CLASS_IN, c->next.ttl, &c->next.values[i]);
	return rc;
}

int request_update(struct message *out, uint16_t id, const char *zone, const struct change *changes, size_t n, struct err *err)
{
	ldns_rr_list *must = ldns_rr_list_new(), *then = ldns_rr_list_new();
	ldns_rdf *apex = name_rdf(zone);
	ldns_pkt *p = NULL;
	struct wire_name name;
	int rc = must && then ? 0 : no_memory(err);

	if (rc == 0 && !apex)
		rc = bad_name(zone, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (wire_name_parse(&name, changes[i].was.owner) < 0)
			rc = bad_name(changes[i].was.owner, err);
		else if (add_change(must, then, &changes[i]) < 0)
			rc = no_memory(err);
	}
	if (rc == 0) {
		p = ldns_update_pkt_new(apex, LDNS_RR_CLASS_IN, must, then, NULL); /* takes apex, copies the lists */
		apex = p ? NULL : apex;
		rc = p ? to_wire(out, id, p, err) : no_memory(err);
	}
	ldns_pkt_free(p);
	ldns_rdf_deep_free(apex);
	ldns_rr_list_deep_free(must);
	ldns_rr_list_deep_free(then);
	return rc;
}

/* At most: an owner below the apex needs no more than its own labels and a pointer to the question. */
static size_t size_of(const struct change *c, const char *zone, size_t zone_len)
{
	struct wire_name owner;
	size_t each, size;

	if (wire_name_parse(&owner, c->was.owner) < 0)
		return 0; /* request_update() says so */
	each = RECORD_BYTES + (name_within(c->was.owner, zone) ? owner.len - zone_len + 2 : owner.len);
	size = each * ((c->was.n ? c->was.n : 1) + 1 + c->next.n);
	for (size_t i = 0; i < c->was.n; i++)
		size += c->was.values[i].len;
	for (size_t i = 0; i < c->next.n; i++)
		size += c->next.values[i].len;
	return size;
}

size_t request_update_fits(const char *zone, const struct change *changes, size_t n, struct err *err)
{
	struct wire_name apex;
	size_t size = 0, fits = 0;
	char type[16];

	if (wire_name_parse(&apex, zone) < 0) {
		bad_name(zone, err);
		return 0;
	}
	size = WIRE_HEADER + apex.len + 4 + TSIG_ROOM;
	for (; fits < n; fits++) {
		size += size_of(&changes[fits], zone, apex.len);
		if (size > UPDATE_MAX)
			break;
	}
	if (fits == 0 && n)
		err_set(err, -EMSGSIZE, "the change of %s %s needs %zu bytes, expected at most %d for one update", changes[0].was.owner,
			rr_type_text(changes[0].was.type, type), size, UPDATE_MAX);
	return fits;
}
