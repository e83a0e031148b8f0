#pragma once
/* zonetext - zones and configurations for tests, written as people write them. Whatever is wrong with them ends the test. */
#include "dnsupdate/plan.h"

/* One record a line: "www 3600 A 192.0.2.10"; names are relative to the apex, "@" is the apex; empty lines are fine. Where no line is a
 * SOA, there is one, with a negative TTL of 300 s and TTL 600. */
void zone_from_text(struct zone *z, const char *apex, const char *text);
/* Every RRset but SOA in the same form, names absolute, ordered; for comparison and messages. Returned new. */
char *zone_to_text(const struct zone *z);
/* What a server makes of the entry's pending marks. */
void zone_apply(struct zone *z, const struct entry *e);
void rrset_from_text(struct rrset *s, const char *owner, uint16_t type, uint32_t ttl, const char *value); /* value NULL: of no values */
/* pairs: "192.0.2.10 198.51.100.10, 2001:db8::10 -" (no partner). Freed by conf_done(). */
struct conf conf_from_text(const char *pairs);
void conf_done(struct conf *c);
