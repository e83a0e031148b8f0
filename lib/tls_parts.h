#pragma once
/* tls_parts - what the files of tls share; nobody else includes it. */
#include "lib/tls.h"

#include <openssl/ssl.h>

struct bufferevent;

SSL_CTX *tls_context(const struct tls *t);
SSL *tls_of(struct bufferevent *bev);
int tls_use_files(SSL_CTX *ctx, const char *cert, const char *key, struct err *err);
struct tls *tls_wrap(SSL_CTX *ctx);     /* takes ctx, also on failure (NULL) */
const char *tls_words(unsigned long e); /* OpenSSL's, for an error of its queue; static text */
/* What the peer did wrong by the error e of its connection, as something said of "it". host: what was dialled, or NULL at the answering
 * end. Returns the code that belongs to it. */
int tls_describe(const SSL *ssl, unsigned long e, const char *host, char out[TLS_TEXT_MAX]);
