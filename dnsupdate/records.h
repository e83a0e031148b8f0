#pragma once
/* records - what visitors and authorities find at a name, asked of the recursive servers, wherever its zone is: A, AAAA, HTTPS (RFC 9460),
 * CNAMEs followed, and the CAA records that hold for it, which may be its parents' (RFC 8659 3).
 * The answer: an array, one object per domain in order: {"domain","A":[IP..],"AAAA":[IP..],"HTTPS":[TEXT..],"CAA":[TEXT..],
 * "caa-at":NAME|null,"trouble":S?}; texts in presentation form
 * (of HTTPS: alpn, ipv4hint, ipv6hint, that there is an ech; further parameters by their number). trouble: what could not be asked, and
 * why; what was found is told besides. Of a wildcard its parent is asked. Ownership: records_cancel() before the looker is freed; after it
 * the callback never comes, and it never comes from inside the start. Threads: the loop's. */
#include "dnsupdate/look.h"

#include <jansson.h>

#define RECORDS_MAX 200 /* domains at once */

struct records;
typedef void records_fn(void *arg, json_t *list);                                                           /* taken */
struct records *records_start(struct looker *l, char *const *domains, size_t n, records_fn *fn, void *arg); /* NULL: no memory */
void records_cancel(struct records *r);                                                                     /* NULL is fine */
