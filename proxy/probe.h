#pragma once
/* probe - does a side really answer for an account? Asked as a visitor would be led there: to the address and port at which each listener's
 * traffic of this account goes, with the PROXY header that is expected there, from this host's own address.
 *
 *   http   GET / with Host: the account's first exact domain (else a name that its first wildcard covers, else the address). A complete
 *          answer is wanted, of any status but 5xx and 421
 *   tls    a handshake with that server name (or none) completes; whose certificate it is is told, not judged. At a port whose protocol is
 *          known (probe_door.h) what is behind it must answer, too: at 443 as http, at 993 with IMAP's greeting
 *   tcp    a connection is made, and at a port whose protocol is known that protocol is answered: 25 with SMTP's greeting, 3306 with
 * MySQL's
 *
 * Which listeners: http and tls for accounts with a domain or an address of their own, tcp for those whose port or address it is. At which
 * addresses: the account's own, else the first pair's of each family that is not another account's.
 * A set is what is asked for one account: at most PROBE_MAX, PROBE_AT_ONCE at a time, PROBE_MS each.
 * Ownership: the set is the proxy's (p->rounds, round.h) until its callback has run. Threads: the main one. */
#include "lib/acctdef.h"
#include "lib/conf.h"
#include "proxy/probe_tls.h"

#include <stddef.h>

#define PROBE_MS      4000
#define PROBE_AT_ONCE 8
#define PROBE_MAX     256

struct proxy;
struct account;
struct probe_set;
struct listener;

/* Where visitors of this account come: at which listeners, and at which address of each (see above). Borrowed until it returns. */
typedef void probe_place_fn(void *arg, struct listener *l, const struct addr *came_to);
void probe_places(const struct proxy *p, const struct acctdef *d, probe_place_fn *fn, void *arg);
/* Says the PROXY header that this side expects on a new connection of ours; from NULL: from our own end of it. 0 or -errno. */
int probe_announce(int fd, const struct listener *l, enum side side, const struct addr *from, const struct addr *came_to);

struct probe_result {
	const char *listener; /* these are borrowed until the callback returns */
	enum protocol protocol;
	const char *name; /* what was asked for; "": nothing by name */
	const char *door; /* what was spoken (probe_door.h); NULL: a connection, or a handshake, was all */
	struct addr came_to;
	struct addr at; /* family AF_UNSPEC: nowhere, said tells why */
	bool ok;
	unsigned ms;
	char said[PROBE_SAID_MAX]; /* "200", "TLSv1.3, ..", "connected", or what was wrong */
};

typedef void probe_done_fn(void *arg, const struct probe_result *results, size_t n, size_t left_out);
/* done runs once, maybe before it returns. results NULL: it was ended, or memory was out. -ENOMEM: it never runs. */
int probe_start(struct proxy *p, struct account *a, enum side side, probe_done_fn *done, void *arg);
