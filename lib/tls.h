#pragma once
/* tls - mutual TLS 1.3 between programs of ours on different hosts; the one place of lib/ that knows OpenSSL.
 * One struct tls is made from the section tls and serves both ends of connections. Both ends show a certificate, and each must come from
 * our ca alone: the system's authorities have no say. The asking end also wants the host it dialled among the certificate's alternative
 * names (RFC 9525; the common name does not count). Protocol: ALPN "shunt/1" (RFC 7301), without it nobody is spoken to. No session
 * tickets and no early data: each connection shows its certificates anew.
 * In TLS 1.3 the asking end is done before the answering one has looked at its certificate: that it was refused comes with its
 * first read.
 * Errors: struct err made of OpenSSL's own words. -EACCES: one end refuses the other's certificate; -EPROTO: what is said is no TLS 1.3, or
 * not our protocol; -ECONNRESET: the peer has ended the connection. Threads: a struct tls may be shared, the others belong to one thread.
 * The program must ignore SIGPIPE. */
#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TLS_TEXT_MAX 512

struct tls;

/* Paths of PEM files. The key must be a file of root or of our own user with no more rights than 0640, and without a passphrase: -EPERM
 * says what was found. The paths are not needed afterwards; a renewed certificate takes a new struct tls. */
int tls_new(struct tls **out, const char *ca, const char *cert, const char *key, struct err *err);
void tls_free(struct tls *t); /* connections that were made from it live on */
/* Is our own certificate one that peers refuse, or will within 30 days: it has ended or soon will, has not begun, or is not of our ca? */
bool tls_warning(const struct tls *t, char out[TLS_TEXT_MAX]);

/* ---- the answering end, on an event loop ---- */
struct event_base;
struct bufferevent;
/* Takes fd, a connected non-blocking socket, also on failure (NULL: out of memory). BEV_EVENT_CONNECTED says that the peer has shown
 * a good certificate; before it BEV_EVENT_ERROR and BEV_EVENT_EOF say that it has not. Callbacks come from the loop alone, never from
 * within a call. bufferevent_free() closes all. */
struct bufferevent *tls_accept(const struct tls *t, struct event_base *base, int fd);
const char *tls_why(struct bufferevent *bev, char out[TLS_TEXT_MAX]);        /* what was wrong with the peer, after BEV_EVENT_ERROR */
const char *tls_subject(struct bufferevent *bev, char out[TLS_TEXT_MAX]);    /* the peer's common name, in quotes, printable */
void tls_last_words(struct bufferevent *bev, const void *bytes, size_t len); /* sends as far as that needs no waiting */

/* ---- for browsers ---- */
/* TLS 1.2 and 1.3 with a certificate that browsers trust; they show none. ALPN "http/1.1". Errors as tls_new(). */
int tls_web_new(struct tls **out, const char *cert, const char *key, struct err *err);
/* An answering end without a socket, which gets one by bufferevent_setfd(); NULL: out of memory. */
struct bufferevent *tls_web_end(const struct tls *t, struct event_base *base);

/* ---- the asking end, without a loop: each call does what needs no waiting ---- */
struct tls_stream;
/* Borrows fd, a connected non-blocking socket. host is what was dialled: an address or a name. */
int tls_dial(struct tls_stream **out, const struct tls *t, int fd, const char *host, struct err *err);
/* 0, bytes, or a negative code. -EAGAIN: call again with the same arguments when fd is ready for *wants (POLLIN or POLLOUT). */
int tls_handshake(struct tls_stream *s, short *wants, struct err *err);
ssize_t tls_send(struct tls_stream *s, const void *bytes, size_t len, short *wants, struct err *err);
ssize_t tls_receive(struct tls_stream *s, void *into, size_t cap, short *wants, struct err *err);
void tls_hang_up(struct tls_stream *s); /* says goodbye and frees s; fd stays the caller's */
