#pragma once
/* greet - does a service on the transit server expect the PROXY header that a listener with source-transit = proxy-v2 sends? Two
 * connections to it, one with the header and one without, in which we say nothing else: a service that greets by itself (SMTP, IMAP, POP3,
 * FTP, SSH) greets the first and keeps silent on the second, since it waits for the header. At the ports where TLS comes first (465, 990,
 * 993, 995) a handshake takes the greeting's place. One that greets without a header does not expect it: it would take this host for its
 * visitor. Ownership: it is the proxy's (p->greets) until its callback has run. Threads: the main one. */
#include "lib/addr.h"
#include "proxy/outline.h"

#define GREET_MS  2500 /* a server may take its time to greet: what comes later counts as silence */
#define GREET_MAX 120

struct listener;
struct proxy;

struct greet_result {
	char with[GREET_MAX], without[GREET_MAX]; /* what it said first; "": nothing, or it closed */
	char trouble[GREET_MAX];                  /* it could not be connected to */
};
typedef void greet_done_fn(void *arg, const struct greet_result *r); /* NULL: the proxy ends */
/* came_to: where visitors come to. done runs once, maybe before it returns. -ENOMEM: never. */
int greet_start(struct proxy *p, struct listener *l, const struct addr *came_to, greet_done_fn *done, void *arg);
void greets_end(struct proxy *p);
