#include "proxy/probe_tls.h"

#include "proxy/outline.h"

#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct probe_tls_shared {
	SSL_CTX *ctx;
};

struct probe_tls {
	SSL *ssl;
	char name[256];
};

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

static struct probe_tls_shared *shared_new(void)
{
	struct probe_tls_shared *s = calloc(1, sizeof *s);

	if (!s || !(s->ctx = SSL_CTX_new(TLS_client_method()))) {
		free(s);
		return NULL;
	}
	SSL_CTX_set_verify(s->ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_min_proto_version(s->ctx, 0); /* old visitors' clients may still speak what is there */
	SSL_CTX_set_security_level(s->ctx, 0);
	return s;
}

void probe_tls_shared_free(struct probe_tls_shared *s)
{
	if (s)
		SSL_CTX_free(s->ctx);
	free(s);
}

int probe_tls_new(struct probe_tls **out, struct probe_tls_shared **shared, int fd, const char *name, struct err *err)
{
	struct probe_tls *t = calloc(1, sizeof *t);

	*out = NULL;
	if (!t)
		return no_memory(err);
	snprintf(t->name, sizeof t->name, "%s", name);
	if (*shared || (*shared = shared_new()))
		t->ssl = SSL_new((*shared)->ctx);
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

int probe_tls_offer(struct probe_tls *t, bool h2)
{
	static const unsigned char both[] = "\x02h2\x08http/1.1";
	size_t skip = h2 ? 0 : 3;

	return SSL_set_alpn_protos(t->ssl, both + skip, (unsigned)(sizeof both - 1 - skip)) == 0 ? 0 : -ENOMEM;
}

bool probe_tls_is_h2(const struct probe_tls *t)
{
	const unsigned char *name;
	unsigned len;

	SSL_get0_alpn_selected(t->ssl, &name, &len);
	return len == 2 && memcmp(name, "h2", 2) == 0;
}

const char *probe_tls_version(const struct probe_tls *t)
{
	return SSL_get_version(t->ssl);
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

/* ---- the certificate ---- */

void probe_cert_done(struct probe_cert *c)
{
	for (size_t i = 0; i < c->n_names; i++)
		free(c->names[i]);
	c->n_names = 0;
}

/* What is no host name is left out: it matches none. */
static void take_name(struct probe_cert *c, const ASN1_STRING *s)
{
	const char *bytes = (const char *)ASN1_STRING_get0_data(s);
	int len = ASN1_STRING_length(s);
	char *name;

	if (len <= 0 || len > 253)
		return;
	for (int i = 0; i < len; i++)
		if (!isalnum((unsigned char)bytes[i]) && !strchr("-._*", bytes[i] ? bytes[i] : ' '))
			return;
	if (c->n_names == PROBE_NAMES_MAX || !(name = strndup(bytes, (size_t)len))) {
		c->left_out++;
		return;
	}
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	c->names[c->n_names++] = name;
}

static void take_names(struct probe_cert *c, X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		if (n->type == GEN_DNS)
			take_name(c, n->d.dNSName);
	}
	if (!names && at >= 0)
		take_name(c, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	GENERAL_NAMES_free(names);
}

static void take_issuer(struct probe_cert *c, X509 *cert)
{
	static const int nids[] = {NID_organizationName, NID_commonName};
	X509_NAME *issuer = X509_get_issuer_name(cert);

	for (size_t i = 0; i < 2 && !*c->issuer; i++) {
		int at = X509_NAME_get_index_by_NID(issuer, nids[i], -1);
		unsigned char *utf8 = NULL;
		int len = at < 0 ? -1 : ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(issuer, at)));

		if (len > 0)
			outline_text(c->issuer, sizeof c->issuer, (const char *)utf8, (size_t)len);
		OPENSSL_free(utf8);
	}
}

static int64_t time_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int probe_tls_cert(struct probe_tls *t, struct probe_cert *out, struct err *err)
{
	X509 *cert = SSL_get1_peer_certificate(t->ssl);
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	*out = (struct probe_cert){0};
	if (!cert)
		return err_set(err, -ENODATA, "no certificate was shown");
	X509_digest(cert, EVP_sha256(), hash, &len);
	for (unsigned i = 0; i < len && i < 32; i++)
		snprintf(out->fingerprint + 2 * i, 3, "%02x", hash[i]);
	take_names(out, cert);
	take_issuer(out, cert);
	out->from = time_of(X509_get0_notBefore(cert));
	out->until = time_of(X509_get0_notAfter(cert));
	out->self_signed = X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(cert)) == 0;
	out->matches = X509_check_host(cert, t->name, strlen(t->name), 0, NULL) == 1;
	X509_free(cert);
	ERR_clear_error();
	return 0;
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
	ERR_clear_error();
	free(t);
}
