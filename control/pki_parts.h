#pragma once
/* pki_parts - what the two files of pki share; nobody else includes it. pki.c keeps the directory and knows no OpenSSL, pki_x509.c makes
 * keys and certificates out of it and knows no files.
 * Errors: 0 or -errno with OpenSSL's own words in err. Times: seconds since 1970. PEM texts are NUL-terminated. Threads: any. */
#include "lib/err.h"

#include <stddef.h>
#include <stdint.h>

#define PKI_SERIAL_MAX 33 /* 128 bits in hexadecimal and the NUL */

struct pki_ca; /* the authority's certificate and key */

/* What a certificate is to say. */
struct pki_wish {
	const char *name;         /* the common name, at most 64 bytes */
	const char *const *hosts; /* the alternative names: addresses and host names, checked by the caller */
	size_t n_hosts;
	int64_t begins, ends;
	char serial[PKI_SERIAL_MAX];
};
struct pki_pair {
	char *key, *cert; /* owned PEM texts */
};
void pki_pair_done(struct pki_pair *p); /* wipes the key */

int pki_serial(char out[PKI_SERIAL_MAX], struct err *err); /* random */
/* An authority that signs itself: hosts are not looked at. */
int pki_make_ca(struct pki_pair *out, const struct pki_wish *wish, struct err *err);
int pki_make_host(struct pki_pair *out, const struct pki_ca *ca, const struct pki_wish *wish, struct err *err);
/* returns new; -EINVAL: not PEM, no authority, or the key is another's. */
int pki_ca_load(struct pki_ca **out, const char *cert, const char *key, struct err *err);
void pki_ca_free(struct pki_ca *ca);
int64_t pki_ca_ends(const struct pki_ca *ca);
/* Of a certificate's PEM text. -EINVAL: it is none. */
int pki_cert_serial(const char *cert, char out[PKI_SERIAL_MAX], struct err *err);
int pki_cert_ends(const char *cert, int64_t *out, struct err *err);
