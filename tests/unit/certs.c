#include "tests/unit/certs.h"

#include "lib/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

const char *certs_script(void)
{
	static char script[4096];
	const char *srcdir = getenv("srcdir");
	snprintf(script, sizeof(script), "%s/conf/make-certificates", srcdir ? srcdir : ".");
	return script;
}

int certs_make(const char *address)
{
	strcpy(dir, "/tmp/test_certs.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	certs_run("%s %s server.example,%s,::1 client.example other.example >/dev/null", certs_script(), certs_path("ours"), address);
	certs_run("%s %s server.example,%s client.example >/dev/null", certs_script(), certs_path("theirs"), address);
	certs_run("cd %s/ours && openssl x509 -x509toreq -in server.example.pem -signkey server.example.key -out old.csr 2>/dev/null && "
		  "echo subjectAltName=IP:%s >old.ext && cp server.example.key old.key && "
		  "openssl x509 -req -in old.csr -CA ca.pem -CAkey ca.key -days -1 -extfile old.ext -out old.pem 2>/dev/null",
		  dir, address);
	return 0;
}

void certs_remove(void)
{
	certs_run("rm -r %s", dir);
}
