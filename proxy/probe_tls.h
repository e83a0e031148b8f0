#pragma once
/* probe_tls - one TLS connection as a client, to see whether a back end answers to a server name, and what it says then. With probe_tls.c
 * the proxy's own use of OpenSSL begins and ends: what visitors send is never decrypted. The certificate is looked at, not judged: it may
 * be anybody's. Ownership: fd stays the caller's. Threads: the caller's. Errors: 0 or -errno, text in err in OpenSSL's words. */
#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PROBE_SAID_MAX 200

struct probe_tls;
int probe_tls_new(struct probe_tls **out, int fd, const char *name, struct err *err); /* fd: connected, non-blocking; name "":
														      none is named */
/* 0: the handshake is complete. -EAGAIN: again when fd is ready for *wants (EV_READ or EV_WRITE). */
int probe_tls_step(struct probe_tls *t, short *wants, struct err *err);
/* After it. Bytes, 0 at the end, -EAGAIN (as above), or -ECONNRESET. */
ssize_t probe_tls_recv(struct probe_tls *t, void *out, size_t cap, short *wants);
bool probe_tls_send(struct probe_tls *t, const void *bytes, size_t len); /* few enough for a new socket; false: it did not go */
void probe_tls_said(struct probe_tls *t, char out[PROBE_SAID_MAX]);      /* of a complete one: version, certificate, its end */
void probe_tls_free(struct probe_tls *t);
