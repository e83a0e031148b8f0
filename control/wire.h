#pragma once
/* wire - how one request reaches a daemon and its answer comes back: over lib/ctl, on a Unix socket or over mutual TLS. It stands behind a
 * struct of functions, so that tests speak to a daemon in memory.
 * Errors: as ctl_connect_tls() and ctl_request(). Ownership: whoever has a wire frees it; it owns its connection and its struct tls.
 * Threads, forks: a wire that is connected stays in its process. */
#include "lib/conf.h"
#include "lib/ctl.h"
#include "lib/err.h"

#include <jansson.h>

struct wire_ops {
	int (*connect)(void *self, struct err *err);
	/* As ctl_request() after ctl_cancel_on(): fields are taken, *answer is new. */
	int (*request)(void *self, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, enum ctl_code *code, int cancel_fd,
		       struct err *err);
	/* As ctl_request_many(); NULL: one after the other. */
	int (*request_many)(void *self, const char *cmd, json_t **fields, size_t n, int timeout_ms, ctl_each *each, void *arg, size_t *done,
			    struct err *err);
	void (*disconnect)(void *self); /* twice is fine */
	void (*free)(void *self);
};

/* address: unix:/PATH or tls://HOST:PORT; for the latter tls, borrowed, names the certificates. Connects later. *out goes with wire_ops. */
int wire_new(void **out, const char *address, const struct conf_tls *tls, struct err *err);
extern const struct wire_ops wire_ops;
