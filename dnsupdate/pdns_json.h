#pragma once
/* pdns_json - a zone as PowerDNS' HTTP API writes it, to RRsets and back.
 * Records that are "disabled" are not served: they are left out of what is read, and carried along unchanged in what is written, for
 * REPLACE takes the place of all records of its name and type. Comments stay by themselves, except where no record is left: they are sent
 * along. RRsets whose content cannot be told in RDATA are left out, and refused where a change names them; LUA is kept as opaque bytes.
 * Source: the API's documentation, and what 4.7 does. Errors: struct err. Pure functions. */
#include "dnsupdate/backend.h"

#define PDNS_LUA 65402

/* zone as the API names it in a path: what is no letter, digit, '.' or '-' becomes =XX. -ENAMETOOLONG. */
int pdns_zone_id(char *out, size_t cap, const char *zone);
/* Whether object is a zone that is changed here, and not one that another server's transfers write. */
bool pdns_is_primary(const json_t *object);
int pdns_zone_parse(struct zone *out, const char *name, const json_t *object, struct err *err); /* -EBADMSG, -ENOMEM; takes nothing */
/* DONE: *body is the PATCH that makes next of was, returned new. object must be the whole zone: the API's narrow reading
 * (rrset_name) leaves out disabled records. DRIFT, REFUSED, BUSY (no memory) with err otherwise, and *body NULL. */
enum outcome pdns_patch(char **body, const json_t *object, const struct change *changes, size_t n, struct err *err);
