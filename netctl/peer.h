#pragma once
/* peer - asks the shunt-netctl of another host, at the address that the configuration has for its role: over a Unix socket (hosts that are
 * namespaces of one machine) or mutual TLS. Blocks, at most PEER_TIMEOUT_MS.
 * Errors: -EINVAL: the configuration does not say where; -EHOSTUNREACH: it does not answer at all; -EPROTO: it refuses, err has its words.
 */
#include "lib/conf.h"

#include <jansson.h>

#define PEER_TIMEOUT_MS 60000

/* Takes fields. *answer: returned new. peer: "client", "transit" or "router". */
int peer_ask(const struct conf *c, const char *peer, const char *cmd, json_t *fields, json_t **answer, struct err *err);
