#pragma once
/* form - what a form of the panel has sent, and whether it was ours: a page of another site can make a browser send a form here, with the
 * cookie, but does not know the seal of our forms, and the browser says where it came from.
 * Ownership: form_done() frees. Errors: -EINVAL it is no form, -EACCES it is not ours. */
#include "lib/err.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdbool.h>
#include <sys/queue.h>

#define FORM_SEAL_MAX 65

struct form {
	struct evkeyvalq fields;
	bool read;
};
int form_read(struct form *f, struct evhttp_request *req, struct err *err);
void form_done(struct form *f);
const char *form_get(const struct form *f, const char *name); /* the first; "" where there is none */

/* The seal of all forms shown to whom the secret (a session's id, a token) belongs. */
void form_seal(const char *secret, char out[FORM_SEAL_MAX]);
bool form_is_sealed(const struct form *f, const char *seal);
/* As the browser says it: Sec-Fetch-Site, and Origin, which must name this host. Neither: no browser of these days, true. */
bool form_is_from_here(const char *fetch_site, const char *origin, const char *host);
