#pragma once
/* fake_proxy - a proxy in memory (fake_peer.h) that keeps the rules of proxy/control.h for accounts, sides and gates. A request is named
 * by its command. */
#include "control/proxylink.h"
#include "tests/unit/fake_peer.h"

#define FAKE_ACCOUNTS 64

struct fake_account {
	char name[ACCOUNT_NAME_MAX + 1];
	enum side side;
	enum gate gate;
	bool drained;
	char digest[DIGEST_TEXT_MAX]; /* "": not known */
};

struct fake_proxy {
	struct fake_peer p;
	char table[12]; /* "ok", "empty", "damaged" */
	struct fake_account accounts[FAKE_ACCOUNTS];
	int n;
	char open_at[20]; /* before this command a hold ends by itself */
	struct fake_account staged[FAKE_ACCOUNTS];
	int n_staged;
	bool failed_open;         /* visitors were led past it since the hold began */
	const char *since_switch; /* JSON, of every account; NULL: it does not tell */
};

struct fake_proxy *fake_new(void); /* table "ok", no accounts; fake_free() */
void fake_free(struct fake_proxy *f);
struct fake_account *fake_account(struct fake_proxy *f, const char *name);
struct fake_account *fake_add(struct fake_proxy *f, const char *name, enum side side);
struct proxylink *fake_link(struct fake_proxy *f); /* proxylink_close() */
