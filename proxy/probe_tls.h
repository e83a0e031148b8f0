#pragma once
/* probe_tls - one TLS connection as a client, to see whether a back end answers to a server name, and what it says then. With probe_tls.c
 * the proxy's own use of OpenSSL begins and ends: what visitors send is never decrypted. The certificate is looked at, not judged: it may
 * be anybody's. Ownership: fd stays the caller's. Threads: the caller's. Errors: 0 or -errno, text in err in OpenSSL's words. */
#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROBE_SAID_MAX  200
#define PROBE_NAMES_MAX 100 /* of a certificate; more are only counted */

struct probe_tls;
struct probe_tls_shared; /* what all connections have in common; to make it takes longer than a handshake */
/* fd: connected, non-blocking; name "": none is named. *shared: made where it is NULL, and borrowed. */
int probe_tls_new(struct probe_tls **out, struct probe_tls_shared **shared, int fd, const char *name, struct err *err);
void probe_tls_shared_free(struct probe_tls_shared *s); /* after all connections; NULL is fine */
/* 0: the handshake is complete. -EAGAIN: again when fd is ready for *wants (EV_READ or EV_WRITE). */
int probe_tls_step(struct probe_tls *t, short *wants, struct err *err);
/* After it. Bytes, 0 at the end, -EAGAIN (as above), or -ECONNRESET. */
ssize_t probe_tls_recv(struct probe_tls *t, void *out, size_t cap, short *wants);
bool probe_tls_send(struct probe_tls *t, const void *bytes, size_t len); /* few enough for a new socket; false: it did not go */
/* Before the first step: HTTP/1.1 is offered, and h2 before it where wanted; which of them was taken is known afterwards. -ENOMEM. */
int probe_tls_offer(struct probe_tls *t, bool h2);
bool probe_tls_is_h2(const struct probe_tls *t);
const char *probe_tls_version(const struct probe_tls *t); /* "TLSv1.3" */

struct probe_cert {
	char *names[PROBE_NAMES_MAX]; /* lower case; the common name where there are no others */
	size_t n_names, left_out;
	char fingerprint[65]; /* SHA-256 of the whole, lower-case hexadecimal */
	char issuer[200];     /* its organisation, else its common name; fit for a line of text */
	int64_t from, until;  /* seconds since 1970 UTC; 0: it does not say anything that can be read */
	bool self_signed;
	bool matches; /* the server name that was asked for */
};
int probe_tls_cert(struct probe_tls *t, struct probe_cert *out, struct err *err); /* of a complete one; -ENODATA: none was shown */
void probe_cert_done(struct probe_cert *c);

void probe_tls_said(struct probe_tls *t, char out[PROBE_SAID_MAX]); /* of a complete one: version, certificate, its end */
void probe_tls_free(struct probe_tls *t);
