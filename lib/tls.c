/* A context made strict, and thin ends on it. OpenSSL keeps its errors in a queue per thread: it is emptied before each call, so that
 * what is read afterwards belongs to that call. */
#include "lib/tls.h"

#include "lib/addr.h"
#include "lib/log.h"
#include "lib/tls_parts.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST_MAX 256

static const unsigned char alpn[] = "\x07shunt/1"; /* as on the wire; the NUL is not */
#define ALPN_LEN (sizeof(alpn) - 1)

struct tls {
	SSL_CTX *ctx;
};

struct tls_stream {
	SSL *ssl;
	bool shaken, broken;
	char host[HOST_MAX];
};

SSL_CTX *tls_context(const struct tls *t)
{
	return t->ctx;
}

SSL *tls_of(struct bufferevent *bev)
{
	return bufferevent_openssl_get_ssl(bev);
}

/* For files: the first error of the queue is the cause. */
static int file_error(const char *path, const char *what, struct err *err)
{
	unsigned long e = ERR_peek_error();
	int code = ERR_SYSTEM_ERROR(e) ? -ERR_GET_REASON(e) : -EINVAL;
	err_set(err, code, "%s: cannot be used as %s: %s", path, what, e ? tls_words(e) : "unknown error");
	ERR_clear_error();
	return code;
}

/* ---- the context ---- */

static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1; /* the default asks at the terminal */
}

static int check_key_file(int fd, const char *path, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_errno(err, -errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EPERM, "%s: found something that is no file, expected the private key", path);
	if (st.st_mode & 07777 & ~0640)
		return err_set(err, -EPERM, "%s: found mode %04o, expected 0600 or 0640 (chmod 0600 %s)", path, st.st_mode & 07777u, path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(err, -EPERM, "%s: found a private key of user %u, expected one of root or of user %u", path, st.st_uid,
			       geteuid());
	return 0;
}

static int use_key(SSL_CTX *ctx, const char *path, const char *cert, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make us wait for its writer */
	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	int rc = check_key_file(fd, path, err);
	FILE *f = rc == 0 ? fdopen(fd, "r") : NULL;
	if (!f) {
		close(fd);
		return rc < 0 ? rc : err_set(err, -ENOMEM, "out of memory");
	}
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, no_passphrase, NULL);
	if (!key)
		rc = file_error(path, "private key without a passphrase", err);
	else if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1)
		rc = err_set(err, -EINVAL, "%s: the key does not belong to the certificate %s", path, cert);
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		rc = file_error(path, "private key", err);
	EVP_PKEY_free(key);
	fclose(f);
	return rc;
}

/* A client that offers no protocol at all would not make OpenSSL ask on_protocols(). */
static int on_hello(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *unused;
	size_t len;
	(void)arg;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &unused, &len))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg)
{
	unsigned char *chosen;
	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, alpn, ALPN_LEN, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static bool make_strict(SSL_CTX *ctx)
{
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
	SSL_CTX_set_alpn_select_cb(ctx, on_protocols, NULL);
	/* The last one answers 0 for success, unlike all others. */
	return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 && SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_num_tickets(ctx, 0) == 1 && SSL_CTX_set_alpn_protos(ctx, alpn, ALPN_LEN) == 0;
}

int tls_use_files(SSL_CTX *ctx, const char *cert, const char *key, struct err *err)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		return file_error(cert, "certificate", err);
	return use_key(ctx, key, cert, err);
}

struct tls *tls_wrap(SSL_CTX *ctx)
{
	struct tls *t = calloc(1, sizeof(*t));
	if (t)
		t->ctx = ctx;
	else
		SSL_CTX_free(ctx);
	return t;
}

int tls_new(struct tls **out, const char *ca, const char *cert, const char *key, struct err *err)
{
	struct tls *t = calloc(1, sizeof(*t));
	int rc = 0;
	*out = NULL;
	ERR_clear_error();
	if (t)
		t->ctx = SSL_CTX_new(TLS_method());
	if (!t || !t->ctx || !make_strict(t->ctx))
		rc = err_set(err, -ENOMEM, "OpenSSL cannot be set up: %s", tls_words(ERR_peek_error()));
	if (rc == 0 && SSL_CTX_load_verify_file(t->ctx, ca) != 1)
		rc = file_error(ca, "ca", err);
	if (rc == 0)
		rc = tls_use_files(t->ctx, cert, key, err);
	ERR_clear_error();
	if (rc < 0) {
		tls_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

/* ---- the answering end ---- */

struct bufferevent *tls_accept(const struct tls *t, struct event_base *base, int fd)
{
	SSL *ssl = SSL_new(t->ctx);
	/* Not deferred, libevent would call back from within bufferevent_enable(). With BEV_OPT_CLOSE_ON_FREE it also frees ssl where it
	 * fails. */
	struct bufferevent *bev = ssl ? bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
								       BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS)
				      : NULL;
	if (!bev)
		close(fd);
	return bev;
}

const char *tls_why(struct bufferevent *bev, char out[TLS_TEXT_MAX])
{
	unsigned long e;
	/* libevent mixes results of SSL_get_error() into the list: those are of no library. */
	while ((e = bufferevent_get_openssl_error(bev)))
		if (ERR_GET_LIB(e) || ERR_SYSTEM_ERROR(e)) {
			tls_describe(tls_of(bev), e, NULL, out);
			return out;
		}
	snprintf(out, TLS_TEXT_MAX, "it ended the connection without a word");
	return out;
}

void tls_last_words(struct bufferevent *bev, const void *bytes, size_t len)
{
	SSL *ssl = tls_of(bev);
	ERR_clear_error();
	if (len)
		SSL_write(ssl, bytes, (int)len);
	SSL_shutdown(ssl);
	ERR_clear_error();
}

/* ---- the asking end ---- */

static bool expect_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	struct addr a;
	if (addr_parse(&a, host)) {
		if (addr_family(&a) == AF_INET)
			return X509_VERIFY_PARAM_set1_ip(param, (const unsigned char *)&a.v4.sin_addr, 4) == 1;
		return X509_VERIFY_PARAM_set1_ip(param, (const unsigned char *)&a.v6.sin6_addr, 16) == 1;
	}
	size_t len = strlen(host);
	if (len && host[len - 1] == '.') /* certificates know no root */
		len--;
	/* OpenSSL takes an empty name as "any", and ".example" as any name below it. */
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS);
	return len && host[0] != '.' && X509_VERIFY_PARAM_set1_host(param, host, len) == 1;
}

int tls_dial(struct tls_stream **out, const struct tls *t, int fd, const char *host, struct err *err)
{
	struct tls_stream *s = calloc(1, sizeof(*s));
	*out = NULL;
	ERR_clear_error();
	if (s)
		s->ssl = SSL_new(t->ctx);
	if (!s || !s->ssl || SSL_set_fd(s->ssl, fd) != 1 || !expect_host(s->ssl, host)) {
		int rc = err_set(err, -EINVAL, "TLS to %s cannot be set up", LOG_QUOTED(host, strlen(host)));
		tls_hang_up(s);
		return rc;
	}
	SSL_set_connect_state(s->ssl);
	snprintf(s->host, sizeof(s->host), "%s", host);
	*out = s;
	return 0;
}

/* Says why a call of OpenSSL answered n. */
static int failed(struct tls_stream *s, int n, short *wants, struct err *err)
{
	int saved = errno;
	unsigned long e = ERR_peek_error();
	char text[TLS_TEXT_MAX];
	switch (SSL_get_error(s->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		*wants = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*wants = POLLOUT;
		return -EAGAIN;
	case SSL_ERROR_SSL: {
		s->broken = true;
		int rc = tls_describe(s->ssl, e, s->host, text);
		ERR_clear_error();
		return err_set(err, rc, "%s", text);
	}
	case SSL_ERROR_SYSCALL:
		if (saved)
			return err_set(err, -saved, "%s", strerror(saved));
		break;
	}
	s->broken = true;
	return err_set(err, -ECONNRESET, "%s", strerror(ECONNRESET));
}

/* After a fatal error OpenSSL must not be asked again. */
static int no_more(struct err *err)
{
	return err_set(err, -ENOTCONN, "the connection has ended");
}

int tls_handshake(struct tls_stream *s, short *wants, struct err *err)
{
	const unsigned char *chosen;
	unsigned len;
	if (s->broken)
		return no_more(err);
	ERR_clear_error();
	errno = 0;
	int n = SSL_do_handshake(s->ssl);
	if (n != 1)
		return failed(s, n, wants, err);
	SSL_get0_alpn_selected(s->ssl, &chosen, &len);
	if (len != ALPN_LEN - 1 || memcmp(chosen, alpn + 1, len) != 0) {
		s->broken = true;
		return err_set(err, -EPROTO, "it does not speak the protocol shunt/1");
	}
	s->shaken = true;
	return 0;
}

ssize_t tls_send(struct tls_stream *s, const void *bytes, size_t len, short *wants, struct err *err)
{
	size_t n = 0;
	if (s->broken)
		return no_more(err);
	ERR_clear_error();
	errno = 0;
	int rc = SSL_write_ex(s->ssl, bytes, len, &n);
	return rc == 1 ? (ssize_t)n : failed(s, rc, wants, err);
}

ssize_t tls_receive(struct tls_stream *s, void *into, size_t cap, short *wants, struct err *err)
{
	size_t n = 0;
	if (s->broken)
		return no_more(err);
	ERR_clear_error();
	errno = 0;
	int rc = SSL_read_ex(s->ssl, into, cap, &n);
	return rc == 1 ? (ssize_t)n : failed(s, rc, wants, err);
}

void tls_hang_up(struct tls_stream *s)
{
	if (!s)
		return;
	ERR_clear_error();
	if (s->shaken && !s->broken)
		SSL_shutdown(s->ssl);
	ERR_clear_error();
	SSL_free(s->ssl);
	free(s);
}
