#pragma once
/* fake_dnsupdate - a shunt-dnsupdate in memory (fake_peer.h): accounts whose zones are pushed or not. A request is named by its command and
 * account: "push:alice", "plan:alice". */
#include "control/dnslink.h"
#include "tests/unit/fake_peer.h"

#define FAKE_DNS_ACCOUNTS 64

struct fake_zone {
	char account[ACCOUNT_NAME_MAX + 1];
	bool pushed; /* to the transit server */
};

struct fake_dnsupdate {
	struct fake_peer p;
	struct fake_zone zones[FAKE_DNS_ACCOUNTS];
	int n;
	char no[80];      /* push, undo and (unless only_then) plan answer exit 1 with this sentence */
	bool only_then;   /* not yet when it is planned */
	bool drift;       /* and with a drift */
	bool external;    /* every domain is */
	char lag[80];     /* a server that lags */
	char others[200]; /* of the last request, each with a space */
	char wish[20];    /* of the last push or plan: "transit", "client", "undo" */
	int wait;         /* of the last push or undo */
	size_t most;      /* domains that one classify had */
};

struct fake_dnsupdate *fake_dnsupdate_new(void); /* fake_dnsupdate_free() */
void fake_dnsupdate_free(struct fake_dnsupdate *f);
struct fake_zone *fake_zone(struct fake_dnsupdate *f, const char *account); /* made when it is not there */
struct dnslink *fake_dnsupdate_link(struct fake_dnsupdate *f);              /* dnslink_close() */
