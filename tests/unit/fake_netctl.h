#pragma once
/* fake_netctl - a shunt-netctl in memory that keeps the rules of netctl/serve.h for plans and their states, and can be told to misbehave.
 * Its memory is shared between forks: a controller that dies leaves it as a real one would be left. */
#include "control/netctllink.h"

#define FAKE_PLANS 8

struct fake_plan {
	char name[20], state[12], drift[40], next[20];
};

struct fake_netctl {
	enum side host;
	char topology[12]; /* "segment" */
	struct fake_plan plans[FAKE_PLANS];
	int n;
	char calls[4096];  /* commands and plans that change something, in order: "apply:takeover confirm:takeover " */
	char moved[512];   /* of the last apply of intercept, each with a space */
	bool without_peer; /* the last apply said so */
	int confirm;       /* what it said, -1: nothing */
	bool away;         /* nobody listens */
	char refuse[20];   /* this command (or "command:plan") gets code */
	enum ctl_code code;
	char lose[40];       /* this one is done, but its answer is lost, once */
	char go_away_at[40]; /* from this one on nobody listens; it is not done */
	char drift[40];      /* what is applied has changed at once, and this is how */
	char ours[40];       /* is left, whatever is reverted */
	int old;             /* connections for reset-old */
	struct fake_netctl *peer;
};

struct fake_netctl *fake_netctl_new(enum side host); /* fake_netctl_free() */
void fake_netctl_free(struct fake_netctl *f);
struct netctllink *fake_netctl_link(struct fake_netctl *f); /* netctllink_close() */
struct fake_plan *fake_plan(struct fake_netctl *f, const char *name);
void fake_plan_put(struct fake_netctl *f, const char *name, const char *state);
void fake_plan_drop(struct fake_netctl *f, const char *name);
