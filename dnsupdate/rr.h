#pragma once
/* rr - resource records as they are compared, changed and restored here: RRsets (RFC 2181 5) with exact RDATA.
 * Names are absolute, in presentation form with the final dot, in the case in which they were read; they compare without case (RFC 4343).
 * RDATA is wire format without compression. An RRset of no values stands for "there is none".
 * Units: TTL in seconds. Ownership: x_done() frees what a struct holds and leaves it zeroed. Errors: -ENOMEM, where nothing else is said.
 */
#include "lib/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RR_NAME_MAX 1024 /* of a name's text with its NUL: 255 bytes, each of which may be written as \DDD */

enum rr_type { /* those that are spoken of by name here (RFC 1035 3.2.2 and later) */
	       RR_A = 1,
	       RR_NS = 2,
	       RR_CNAME = 5,
	       RR_SOA = 6,
	       RR_PTR = 12,
	       RR_MX = 15,
	       RR_TXT = 16,
	       RR_AAAA = 28,
	       RR_SRV = 33,
	       RR_DNAME = 39,
	       RR_OPT = 41,
	       RR_DS = 43,
	       RR_RRSIG = 46,
	       RR_NSEC = 47,
	       RR_DNSKEY = 48,
	       RR_NSEC3 = 50,
	       RR_NSEC3PARAM = 51,
	       RR_CDS = 59,
	       RR_CDNSKEY = 60,
	       RR_HTTPS = 65,
	       RR_SPF = 99,
	       RR_TSIG = 250,
	       RR_AXFR = 252,
	       RR_ANY = 255,
	       RR_ALIAS = 65401 /* PowerDNS' */
};

struct rdata {
	uint8_t *bytes;
	uint16_t len;
};

struct rr {
	char *owner;
	uint16_t type, class;
	uint32_t ttl;
	struct rdata rdata;
};
void rr_done(struct rr *r);

struct rrset {
	char *owner;
	uint16_t type;
	uint32_t ttl;         /* the lowest, where the values had several (RFC 2181 5.2) */
	struct rdata *values; /* in order of their bytes (RFC 4034 6.3), each once */
	size_t n;
};
int rrset_init(struct rrset *s, const char *owner, uint16_t type, uint32_t ttl);
int rrset_add(struct rrset *s, const uint8_t *bytes, size_t len); /* a value that is there already is fine */
int rrset_copy(struct rrset *out, const struct rrset *from);
void rrset_done(struct rrset *s);
bool rrset_has(const struct rrset *s, const struct rdata *value);
bool rrset_is(const struct rrset *s, const char *owner, uint16_t type);
bool rrset_same_values(const struct rrset *a, const struct rrset *b);
bool rrset_equal(const struct rrset *a, const struct rrset *b); /* values and TTL; of no values the TTL says nothing */
/* "192.0.2.10 192.0.2.11 (TTL 3600)", "none"; for messages. Cut at cap. Returns out. */
char *rrset_text(const struct rrset *s, char *out, size_t cap);
/* {"owner","type","ttl","values":[presentation],"rdata":[hexadecimal]}; rdata only where exact, and then it is what from_json believes. */
json_t *rrset_to_json(const struct rrset *s, bool exact);                      /* returns new; NULL: no memory */
int rrset_from_json(struct rrset *out, const json_t *object, struct err *err); /* needs rdata; -EINVAL */

/* The content of one zone, as a transfer or an API gave it. */
struct zone {
	char *name; /* the apex */
	uint32_t serial;
	uint32_t negative_ttl; /* for how long "there is none" is remembered: min(SOA minimum, SOA TTL) (RFC 2308 5) */
	bool is_signed;        /* DNSKEY at the apex; not known (false) from an API that does not say */
	struct rrset *sets;    /* zone_order() puts them in order of name and type; SOA is among them */
	size_t n, cap;
};
int zone_init(struct zone *z, const char *name);
int zone_add(struct zone *z, const struct rr *r);  /* any order; the RRsets are found by zone_order() */
int zone_add_set(struct zone *z, struct rrset *s); /* takes s, also on failure */
int zone_order(struct zone *z);                    /* joins what belongs together; before it zone_find() may not be used */
const struct rrset *zone_find(const struct zone *z, const char *owner, uint16_t type); /* NULL: there is none */
void zone_done(struct zone *z);

bool name_same(const char *a, const char *b);
bool name_within(const char *name, const char *top); /* top itself or below it; "." holds all */
int name_compare(const char *a, const char *b);      /* any total order that takes no notice of case */
/* With a final dot; out has RR_NAME_MAX. -ENAMETOOLONG. */
int name_absolute(char *out, const char *name);
const char *name_parent(const char *name); /* into name: what follows the first label; NULL for "." */
bool name_is_wildcard(const char *name);

const char *rr_type_text(uint16_t type, char out[16]); /* "A", "TYPE65280"; returns out */
bool rr_type_parse(uint16_t *type, const char *text);
bool rr_is_dnssec(uint16_t type); /* made by the signer: never compared, never changed */
