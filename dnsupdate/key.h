#pragma once
/* key - a TSIG key (RFC 8945) from a file in BIND's form, as tsig-keygen writes it:
 *	key "name" { algorithm hmac-sha256; secret "BASE64"; };
 * Comments: // and # to the end of the line, and those of C. One key per file. hmac-md5 and hmac-sha1 are refused: too weak.
 * Which files are read: secret.h. Errors: "file:line: found, expected"; what is found is shown only where it cannot be the secret. */
#include "lib/err.h"

#include <stddef.h>
#include <stdint.h>

struct tsig_key {
	char *name;            /* absolute */
	const char *algorithm; /* absolute: "hmac-sha256." */
	const char *digest;    /* OpenSSL's name of its hash */
	size_t mac_len;
	uint8_t *secret;
	size_t secret_len;
};
int tsig_key_load(struct tsig_key **out, const char *path, struct err *err);
void tsig_key_free(struct tsig_key *k); /* wipes the secret; NULL is fine */
