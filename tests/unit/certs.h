#pragma once
/* certs - certificates for tests, made by control/pki.h in a directory of their own. Two authorities, "ours" and "theirs", with
 * server.example (which also has the address asked for, and ::1 in "ours") and client.example. In "ours" also other.example, and with the
 * server's address "old", which expired yesterday, "early", which begins tomorrow, and "late", which ends in ten days; "serveronly" is not
 * for clients. What goes wrong fails the test. */
struct tls;

int certs_make(const char *address);
void certs_remove(void);
const char *certs_path(const char *name); /* of a file in the directory; good until the fourth call after it */
/* The certificate NAME of SET, with the authority of BELIEVES. Returns new. */
struct tls *certs_identity(const char *believes, const char *set, const char *name);
void certs_run(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* a shell command that must succeed */
