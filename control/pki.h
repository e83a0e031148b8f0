#pragma once
/* pki - a small private authority in one directory, and the certificates that it has given to hosts.
 *
 *   DIR/ca.pem, ca.key        the authority, for ten years; ca.pem goes to every host, ca.key to none
 *   DIR/NAME.pem, NAME.key    a host's certificate and private key; ":" of a NAME that is an IPv6 address is "-" in the file's name
 *   DIR/index.json            what was issued, for whom, until when: what it does not have was not issued here
 *
 * DIR has mode 0700, keys 0600, whatever the umask. Keys are not encrypted: whoever holds ca.key can make himself a peer that every host
 * obeys like root. There is no list of revoked certificates: a host's key that got lost wants a new authority for all.
 * Whatever is made is written aside, synced and then renamed. The authority comes into being with one rename of its whole directory. A
 * pair of a host's files is announced by the index before it is put in place: after a crash the next pki_open() for writing puts it in
 * place or throws it away, so that the files are those of the index.
 * Writers exclude each other by a lock on the directory (10 s, then -EBUSY); readers need none.
 * Errors: 0 or -errno. -EINVAL: a bad name or number, or a file that is not what it should be; -EEXIST, -ENOENT, -EPERM (others could
 * write there, or read a key), -EBADMSG (the index was changed by other hands); -EKEYEXPIRED: the authority itself has ended.
 * Units: seconds since 1970, days. Ownership: what pki_at() shows lives as long as the struct pki is not written to. Threads: one. */
#include "lib/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PKI_DEFAULT_DIR "/etc/shunt/pki"
#define PKI_CA_DAYS     3650
#define PKI_DAYS        397 /* what browsers take at most from public authorities: a year, and time to renew */
#define PKI_DAYS_MAX    PKI_CA_DAYS
#define PKI_SOON_DAYS   30       /* what ends within so many is renewed and warned about */
#define PKI_SKEW_S      3600     /* certificates begin so much before they are made: clocks of hosts differ */
#define PKI_FILE_MAX    (64 + 5) /* NAME.pem and its NUL */

struct pki;
struct pki_row {
	const char *name;
	const json_t *hosts; /* strings: the name itself, and each address it was given */
	const char *serial;  /* 32 hexadecimal digits */
	int64_t begins, ends;
	bool replaced; /* a newer one of this name was made; this one is good until it ends all the same */
};

/* Makes dir and the authority in it. An empty directory is taken over; what holds anything is refused with -EEXIST. */
int pki_init(const char *dir, int64_t now, struct err *err);
/* write: takes the lock, loads the authority and ends what a crash interrupted. returns new. */
int pki_open(struct pki **out, const char *dir, bool write, struct err *err);
void pki_close(struct pki *p);
const char *pki_dir(const struct pki *p);

size_t pki_count(const struct pki *p);
struct pki_row pki_at(const struct pki *p, size_t i);                               /* in the order of being issued */
bool pki_find(const struct pki *p, const char *name, struct pki_row *out);          /* the one that is not replaced */
const char *pki_file(char out[PKI_FILE_MAX], const char *name, const char *suffix); /* "pem", "key" */
int pki_authority_ends(const struct pki *p, int64_t *out, struct err *err);

/* hosts: addresses and names besides name itself. days: 1 to PKI_DAYS_MAX; the certificate ends with the authority at the latest. -EEXIST:
 * there is one of this name already. On success *row (may be NULL) is filled. */
int pki_issue(struct pki *p, const char *name, const char *const *hosts, size_t n, int days, int64_t now, struct pki_row *row,
	      struct err *err);
/* A new key and certificate for the same name and addresses, in place of the files of the old one. -ENOENT: it was never issued. */
int pki_renew(struct pki *p, const char *name, int days, int64_t now, struct pki_row *row, struct err *err);
