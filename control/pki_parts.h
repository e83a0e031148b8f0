#pragma once
/* pki_parts - what the files of pki share; nobody else includes it. pki.c keeps the directory and its index, pki_name.c knows what names
 * are good, pki_files.c how a file gets to the disk, and pki_x509.c, which alone knows OpenSSL, makes keys and certificates.
 * Errors: 0 or -errno with the text in err. Times: seconds since 1970. PEM texts are NUL-terminated. shown is a directory's path, for
 * messages. Threads: any. */
#include "lib/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PKI_SERIAL_MAX 33 /* 128 bits in hexadecimal and the NUL */

#define PKI_NAME_LEN  64 /* of a common name, RFC 5280 appendix A.1 */
#define PKI_HOST_LEN  253
#define PKI_HOSTS_MAX 100

/* ---- pki_name.c ---- */
/* As certificates are compared: an address in its one form, a name in lower case and without the root's dot. -EINVAL: neither. */
int pki_canon(char out[PKI_HOST_LEN + 1], const char *text, struct err *err);
int pki_canon_name(char out[PKI_HOST_LEN + 1], const char *text, struct err *err); /* one that can be a file's and a common name as well */
/* name, and the others once each; returns new. NULL: err is filled. */
json_t *pki_canon_hosts(const char *name, const char *const *hosts, size_t n, struct err *err);

/* ---- pki_files.c ---- */
struct stat;
int pki_write_aside(int dir, const char *name, const char *text, mode_t mode); /* a new file, synced; -EEXIST */
/* secret: nobody else may even read it (-EPERM). returns new, a text. */
int pki_read_file(int dir, const char *shown, const char *name, bool secret, char **out, struct err *err);
/* -EPERM: others may write there. sticky: they may where only one's own files can be renamed, as in /tmp. */
int pki_check_dir(const struct stat *st, const char *path, bool sticky, struct err *err);
int pki_make_parents(char *path, struct err *err); /* path is written to, and as it was on return */
int pki_sync_path(const char *path, struct err *err);
int pki_lock(int dir, const char *shown, struct err *err); /* until dir is closed; waits 10 s, then -EBUSY */

/* ---- pki_x509.c ---- */
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
int pki_certs_end(const char *pem, int64_t *out, struct err *err); /* of all that are in it, the one that ends first */
