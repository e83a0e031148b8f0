/* The context for browsers. Sessions are not resumed: a handshake is cheap beside what a call does, and no ticket key has to be kept. */
#include "lib/tls_parts.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <stdio.h>

static const unsigned char http1[] = "\x08http/1.1";
#define HTTP1_LEN (sizeof(http1) - 1)

static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg)
{
	unsigned char *chosen;
	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, http1, HTTP1_LEN, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

int tls_web_new(struct tls **out, const char *cert, const char *key, struct err *err)
{
	*out = NULL;
	ERR_clear_error();
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		goto memory;
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(ctx, on_protocols, NULL);
	/* Of TLS 1.2 what browsers of today use: forward secrecy and authenticated encryption. */
	if (SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1)
		goto memory;
	int rc = tls_use_files(ctx, cert, key, err);
	ERR_clear_error();
	if (rc < 0) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*out = tls_wrap(ctx);
	return *out ? 0 : err_set(err, -ENOMEM, "out of memory");
memory:
	SSL_CTX_free(ctx);
	return err_set(err, -ENOMEM, "OpenSSL cannot be set up: %s", tls_words(ERR_peek_error()));
}

struct bufferevent *tls_web_end(const struct tls *t, struct event_base *base)
{
	SSL *ssl = SSL_new(tls_context(t));
	return ssl ? bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
						    BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS)
		   : NULL;
}
