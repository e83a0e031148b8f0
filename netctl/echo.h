#pragma once
/* echo - tells whoever connects whom this host sees: for shunt-proxy's `prove`, which wants to know whether the transit server sees the
 * visitor's address. It listens at an address of this host for a few seconds, on a port that the kernel picks. A connection says what it
 * says up to a line that ends with "shunt", and gets one line of JSON: {"peer":IP,"said":HEX}, said being the bytes that came (a PROXY
 * header among them). Nothing else is done with them.
 * Limits: ECHO_MAX listening at once, ECHO_CONNECTIONS each, ECHO_SAID_MAX bytes, 4 s a connection, ECHO_SECONDS_MAX s in all.
 * Ownership: echoes_free() ends all. Threads: the loop's own. */
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/loop.h"

#define ECHO_MAX         8
#define ECHO_CONNECTIONS 16
#define ECHO_SAID_MAX    600
#define ECHO_SECONDS_MAX 60

struct echoes;
struct echoes *echoes_new(struct loop *l); /* NULL: no memory */
void echoes_free(struct echoes *e);        /* NULL is fine */
/* at: an address of this host; its port is ignored. *port: where it listens. -EBUSY: too many; -EADDRNOTAVAIL and others of bind(). */
int echo_open(struct echoes *e, const struct addr *at, int seconds, uint16_t *port, struct err *err);
