#pragma once
/* preflight_source - proofs that the transit server sees visitors' addresses, made once per listener and address for a whole check.
 * Threads: preflight_source() any, one proof at a time; a proxylink to itself. */
#include "lib/acctdef.h"
#include "lib/conf.h"

#include <jansson.h>

struct netctllink;
struct proxylink;
struct source_proofs;
struct source_proofs *source_proofs_new(const struct conf *conf, struct netctllink *transit); /* both borrowed; NULL: no memory */
void source_proofs_free(struct source_proofs *p);                                             /* NULL is fine */
/* listeners: of the proxy's `seen`. */
void preflight_source(json_t *findings, struct source_proofs *p, struct proxylink *proxy, const struct acctdef *def,
		      const json_t *listeners);
