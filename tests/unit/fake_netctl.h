#pragma once
/* fake_netctl - a shunt-netctl in memory (fake_peer.h) that keeps the rules of netctl/serve.h for plans and their states. A request is
 * named by its command and plan: "apply:takeover". */
#include "control/netctllink.h"
#include "tests/unit/fake_peer.h"

#define FAKE_PLANS 8

struct fake_plan {
	char name[20], state[12], drift[40], next[20];
};

struct fake_netctl {
	struct fake_peer p;
	enum side host;
	char topology[12]; /* "segment" */
	struct fake_plan plans[FAKE_PLANS];
	int n;
	char moved[512];   /* of the last apply of intercept, each with a space */
	bool without_peer; /* the last apply said so */
	int confirm;       /* what it said, -1: nothing */
	char drift[40];    /* what is applied has changed at once, and this is how */
	char ours[40];     /* is left, whatever is reverted */
	int old;           /* connections for reset-old */
	struct fake_netctl *peer;
};

struct fake_netctl *fake_netctl_new(enum side host); /* fake_netctl_free() */
void fake_netctl_free(struct fake_netctl *f);
struct netctllink *fake_netctl_link(struct fake_netctl *f); /* netctllink_close() */
struct fake_plan *fake_plan(struct fake_netctl *f, const char *name);
void fake_plan_put(struct fake_netctl *f, const char *name, const char *state);
void fake_plan_drop(struct fake_netctl *f, const char *name);
