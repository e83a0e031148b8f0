#include "proxy/probe_tls.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct probe_tls {
	SSL_CTX *ctx;
	SSL *ssl;
	char name[256];
};

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

int probe_tls_new(struct probe_tls **out, int fd, const char *name, struct err *err)
{
	struct probe_tls *t = calloc(1, sizeof *t);

	*out = NULL;
	if (!t)
		return no_memory(err);
	snprintf(t->name, sizeof t->name, "%s", name);
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (t->ctx) {
		SSL_CTX_set_verify(t->ctx, SSL_VERIFY_NONE, NULL);
		SSL_CTX_set_min_proto_version(t->ctx, 0); /* old visitors' clients may still speak what is there */
		SSL_CTX_set_security_level(t->ctx, 0);
		t->ssl = SSL_new(t->ctx);
	}
	if (!t->ssl || SSL_set_fd(t->ssl, fd) != 1 || (*t->name && SSL_set_tlsext_host_name(t->ssl, t->name) != 1)) {
		probe_tls_free(t);
		return no_memory(err);
	}
	SSL_set_connect_state(t->ssl);
	*out = t;
	return 0;
}

static int failed(int why, struct err *err)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	int saved = errno;

	ERR_clear_error();
	if (why == SSL_ERROR_SYSCALL && !code)
		return err_set(err, -ECONNRESET, "during the TLS handshake: %s", saved ? strerror(saved) : "the connection was closed");
	if (code && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return err_set(err, -ECONNRESET, "during the TLS handshake: the connection was closed");
	return err_set(err, -EPROTO, "no TLS handshake: %s", reason ? reason : "refused");
}

int probe_tls_step(struct probe_tls *t, short *wants, struct err *err)
{
	ERR_clear_error();
	errno = 0;
	int rc = SSL_do_handshake(t->ssl), why = SSL_get_error(t->ssl, rc);

	if (rc == 1)
		return 0;
	*wants = why == SSL_ERROR_WANT_WRITE ? EV_WRITE : EV_READ;
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? -EAGAIN : failed(why, err);
}

ssize_t probe_tls_recv(struct probe_tls *t, void *out, size_t cap, short *wants)
{
	size_t n = 0;

	ERR_clear_error();
	if (SSL_read_ex(t->ssl, out, cap, &n) == 1)
		return (ssize_t)n;
	int why = SSL_get_error(t->ssl, 0);
	*wants = why == SSL_ERROR_WANT_WRITE ? EV_WRITE : EV_READ;
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	return why == SSL_ERROR_ZERO_RETURN ? 0 : -ECONNRESET;
}

bool probe_tls_send(struct probe_tls *t, const void *bytes, size_t len)
{
	size_t n = 0;

	ERR_clear_error();
	return SSL_write_ex(t->ssl, bytes, len, &n) == 1 && n == len;
}

void probe_tls_said(struct probe_tls *t, char out[PROBE_SAID_MAX])
{
	X509 *cert = SSL_get1_peer_certificate(t->ssl);
	struct tm tm;
	int n = snprintf(out, PROBE_SAID_MAX, "%s", SSL_get_version(t->ssl));

	if (!cert)
		return;
	bool names = *t->name && X509_check_host(cert, t->name, strlen(t->name), 0, NULL) == 1;
	if (*t->name)
		n += snprintf(out + n, PROBE_SAID_MAX - (size_t)n, ", the certificate is %s it", names ? "for" : "NOT for");
	else
		n += snprintf(out + n, PROBE_SAID_MAX - (size_t)n, ", a certificate");
	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1)
		snprintf(out + n, PROBE_SAID_MAX - (size_t)n, "%s until %04d-%02d-%02d", names || !*t->name ? "," : ", but",
			 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	X509_free(cert);
}

void probe_tls_free(struct probe_tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	ERR_clear_error();
	free(t);
}
