#pragma once
/* fake_peer - what the daemons in memory have in common: they take a controller's messages, note what was asked, and can be told to refuse,
 * to do it and lose the answer, or to be away. It is the first member of a fake, whose memory is shared between forks: a controller that
 * dies leaves it as a real daemon would be left. One that is asked by several threads answers them one at a time. */
#include "control/wire.h"

#include <pthread.h>

struct fake_peer {
	char calls[8192]; /* what would change something, in order, each with a space */
	bool away;        /* nobody listens */
	char refuse[40];  /* this is refused, with code */
	bool refuse_once;
	enum ctl_code code;
	char lose[40];       /* this is done, but its answer is lost, once */
	int lose_with;       /* the error of that; 0: -ECONNRESET */
	char go_away_at[40]; /* from this on nobody listens; it is not done */
	/* By kind. Names a request for calls, refuse, lose and go_away_at; false: it changes nothing, and is not noted. */
	bool (*name)(const char *cmd, const json_t *q, char *out, size_t cap);
	int (*serve)(struct fake_peer *p, const char *cmd, json_t *q, json_t **answer, enum ctl_code *code, struct err *err);
	pthread_mutex_t lock;
};

void *fake_peer_new(size_t size); /* a zeroed fake, whose first member is a struct fake_peer; fake_peer_free() */
void fake_peer_free(void *fake, size_t size);
extern const struct wire_ops fake_peer_ops;                                             /* self: the struct fake_peer */
int fake_no(enum ctl_code *code, enum ctl_code with, struct err *err, const char *why); /* a refusal */
