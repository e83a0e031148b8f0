#include "tests/unit/certs.h"

#include "control/pki.h"
#include "lib/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static char dir[64];

const char *certs_path(const char *name)
{
	static _Thread_local char paths[4][160];
	static _Thread_local unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

void certs_run(const char *fmt, ...)
{
	char command[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

struct tls *certs_identity(const char *believes, const char *set, const char *name)
{
	struct tls *t = NULL;
	struct err err = {0};
	char ca[64], cert[64], key[64];
	snprintf(ca, sizeof(ca), "%s/ca.pem", believes);
	snprintf(cert, sizeof(cert), "%s/%s.pem", set, name);
	snprintf(key, sizeof(key), "%s/%s.key", set, name);
	if (tls_new(&t, certs_path(ca), certs_path(cert), certs_path(key), &err) < 0)
		fail_msg("%s", err.text);
	return t;
}

static void issue(struct pki *p, const char *name, const char *const *hosts, size_t n, int64_t now)
{
	struct err err = {0};
	if (pki_issue(p, name, hosts, n, PKI_DAYS, now, NULL, &err) < 0)
		fail_msg("%s", err.text);
}

static struct pki *authority(const char *set)
{
	struct err err = {0};
	struct pki *p = NULL;
	if (pki_init(certs_path(set), time(NULL), &err) < 0 || pki_open(&p, certs_path(set), true, &err) < 0)
		fail_msg("%s", err.text);
	return p;
}

int certs_make(const char *address)
{
	const char *const hosts[] = {address, "::1"};
	const int64_t now = time(NULL);
	strcpy(dir, "/tmp/test_certs.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	struct pki *p = authority("ours");
	issue(p, "server.example", hosts, 2, now);
	issue(p, "client.example", NULL, 0, now);
	issue(p, "other.example", NULL, 0, now);
	issue(p, "old", hosts, 1, now - (PKI_DAYS + 1) * 86400);
	issue(p, "early", hosts, 1, now + 86400);
	issue(p, "late", hosts, 1, now - (PKI_DAYS - 10) * 86400);
	pki_close(p);
	p = authority("theirs");
	issue(p, "server.example", hosts, 1, now);
	issue(p, "client.example", NULL, 0, now);
	pki_close(p);
	/* A hosting provider's usual certificate: for servers only. */
	certs_run("cd %s/ours && cp other.example.key serveronly.key && openssl x509 -x509toreq -in other.example.pem -signkey "
		  "other.example.key "
		  "-out s.csr 2>/dev/null && echo extendedKeyUsage=serverAuth >s.ext && "
		  "openssl x509 -req -in s.csr -CA ca.pem -CAkey ca.key -days 9 -extfile s.ext -out serveronly.pem 2>/dev/null",
		  dir);
	return 0;
}

void certs_remove(void)
{
	certs_run("rm -r %s", dir);
}
