#pragma once
/* alwaysdata_json - the records of alwaysdata's REST API (resource "record"), to RRsets and back. One object is one value:
 *   {"id": 7, "href": "/v1/record/7/", "domain": {"href": "/v1/domain/3/"}, "type": "MX", "name": "", "value": "mail.example.org",
 *    "priority": 10, "ttl": null, "annotation": "", "is_user_defined": true, "is_active": true}
 * Records that the provider made (is_user_defined false) follow the account's server by themselves, and those that are not active are not
 * served: both are left out, and so are values that are none of their type. "ttl": null is the provider's default, which is read as
 * AD_TTL; that TTL is written as null, for so it is in nearly all records, and their undo is then exact.
 * A host name in "value" is absolute, with or without a final dot. TXT is plain text, or strings in quotes where it starts with one.
 * Source: the API's documentation ("record", "domain") and its public clients. Errors: struct err. Pure functions. */
#include "dnsupdate/rr.h"

struct change; /* backend.h */

#define AD_TTL          300
#define AD_NEGATIVE_TTL 3600 /* SOA is not in the API: rather too long than too short */

struct ad_record {
	json_int_t id;
	struct rr rr;
};
struct ad_records {
	struct ad_record *v;
	size_t n;
};
/* list: what GET /v1/record/?domain=ID answered. -EBADMSG, -ENOMEM. */
int ad_records_parse(struct ad_records *out, const char *zone, json_int_t domain, const json_t *list, struct err *err);
void ad_records_done(struct ad_records *r);
int ad_zone(struct zone *out, const char *zone, const struct ad_records *r); /* -ENOMEM */
/* The RRset of that name and type; of no values where there is none. */
int ad_rrset(struct rrset *out, const struct ad_records *r, const char *owner, uint16_t type);

/* The domain of list (GET /v1/domain/) that holds name and is nearest to it: its id, and its name made absolute. False: none does. */
bool ad_domain(const json_t *list, const char *name, json_int_t *id, char zone[RR_NAME_MAX]);

/* One request that changes one record. */
struct ad_write {
	enum { AD_PATCH, AD_POST, AD_DELETE } kind; /* in this order they are made */
	json_int_t id;                              /* of the record; AD_POST: 0 */
	json_t *body;                               /* AD_DELETE: NULL */
	char *what;                                 /* "www.x. A 192.0.2.10", for messages */
};
struct ad_writes {
	struct ad_write *v;
	size_t n;
};
/* What makes next of the records, in an order in which no name is ever without a value that it has before and after: values are put in
 * place of others first (which keeps their annotation), new ones come next, what is too many goes last.
 * -EINVAL: a value cannot be told in the API's form; or the TTL is to change where the records have several, which no undo could restore.
 */
int ad_plan(struct ad_writes *out, const char *zone, json_int_t domain, const struct ad_records *r, const struct change *changes, size_t n,
	    struct err *err);
void ad_writes_done(struct ad_writes *w);
