#pragma once
/* ctl - control messages: one JSON object per line, over a Unix stream socket on one host, over mutual TLS 1.3 between hosts.
 * Request  {"v":1, "id":"...", "cmd":"hold", ...}      id is the caller's, echoed; optional
 * Answer   {"v":1, "id":"...", "ok":true, ...}  or  {"v":1, "id":"...", "ok":false, "code":"refused", "error":"..."}
 * code is one of refused, usage, failed, stuck: the exit codes 1 to 4 of DESIGN 7.
 * On a Unix socket the peer must be root or of the group "shunt" (SO_PEERCRED, SO_PEERGROUPS), from the network it must show a
 * certificate of our authority (lib/tls.h); else the connection is logged and closed. Who holds a certificate counts as root.
 * Limits of each server: a line is at most CTL_LINE_MAX; an unfinished line is waited for 5 s; CTL_CONNECTIONS at once, the last of
 * them kept for root; an answer not read within 10 s ends the connection. A TLS handshake has 5 s and takes none of the connections'
 * places: CTL_HANDSHAKES may be in progress, and of more the source (IPv4 address, IPv6 /64) with the most loses its oldest.
 * Requests of one connection are answered in order, one at a time; what follows waits in the socket. An answer too is at most
 * CTL_LINE_MAX: a longer one becomes a failure that says so. What is no request at all is answered with "usage" and closed.
 * When all connections are taken, root also gets the place of one that is idle (no call, no session).
 * Where the group does not exist only root is let in. A peer of the network that is not heard of for 30 s is gone.
 * A request whose connection has ended before its turn came is not begun: nobody knows of it any more.
 * Ownership: the server owns its connections. Threads: the loop's own. The program must ignore SIGPIPE. */
#include "lib/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CTL_VERSION     1
#define CTL_LINE_MAX    (1u << 20)
#define CTL_CONNECTIONS 64
#define CTL_HANDSHAKES  16

enum ctl_code { CTL_REFUSED = 1, CTL_USAGE = 2, CTL_FAILED = 3, CTL_STUCK = 4 };
const char *ctl_code_name(enum ctl_code code);

/* One line without its newline into a request: an object of our version with a cmd, and an id only if it is a string.
 * -EMSGSIZE, -EPROTO. *out (returns new) is set also with -EPROTO if the line is at least an object. */
int ctl_parse_line(json_t **out, const char *line, size_t len, struct err *err);
struct sockaddr_un;
int ctl_unix_address(struct sockaddr_un *out, const char *address, struct err *err); /* "unix:/path"; -EINVAL, -ENAMETOOLONG */

struct event_base;
struct ctl_server;
struct tls;
struct ctl_call; /* one request that has not been answered */

/* Borrows request until the answer. Must lead to exactly one ctl_answer() or ctl_fail(), now or later; the peer may be gone by
 * then, which the answer copes with. *session is the connection's own memory for multi-message commands, freed by session_free. */
typedef void ctl_handler(struct ctl_call *call, const char *cmd, json_t *request, void **session, void *arg);

struct ctl_options {
	const char *address; /* "unix:/run/shunt/proxy.sock", or "tls://192.0.2.10:7443", "tls://[2001:db8::10]:7443" */
	const char *group;   /* of the socket's file, and of the peers that are let in; NULL is "shunt" */
	ctl_handler *handler;
	void (*session_free)(void *session); /* NULL where sessions are not used */
	void *arg;
	int line_timeout_ms, answer_timeout_ms; /* 0: the 5 s and 10 s of above */
	const struct tls *tls;                  /* for a "tls://" address; borrowed until ctl_use_tls() or ctl_close() */
	int handshake_timeout_ms;               /* 0: the 5 s of above */
};
/* A program may have several servers, one per address. A path: refuses (-EEXIST, -EPERM) a path that is a symlink, lies in a directory that
 * group or others may write (sticky ones are no exception), or at which another server answers; a dead server's socket is replaced. The
 * file's mode is 0660. A port: -EADDRINUSE, -EADDRNOTAVAIL; -EINVAL without tls. */
int ctl_listen(struct ctl_server **out, struct event_base *base, const struct ctl_options *opt, struct err *err);
/* Unlinks the path; open calls are dropped. Connections over TLS are gone for good at the next turn of base, so it must turn once more
 * before it is freed (loop_free() sees to that). */
void ctl_close(struct ctl_server *s);
void ctl_use_tls(struct ctl_server *s,
		 const struct tls *tls); /* borrowed, for peers that come from now on; the old one is no longer used */

void ctl_answer(struct ctl_call *call, json_t *fields); /* takes fields (an object, or NULL for none); adds v, id, ok */
void ctl_fail(struct ctl_call *call, enum ctl_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Who asks, for the audit: "uid 0 pid 12", or "certificate \"web42\" at 192.0.2.10:40112". Borrowed until the answer; the peer may be gone
 * by then. */
const char *ctl_peer(const struct ctl_call *call);

/* ---- the asking side, blocking ----
 * From the network a server that does not acknowledge anything for 10 s ends the connection with -ECONNRESET, however long the answer may
 * take. What was asked and then given up (ctl_disconnect(), or the end of the process) is not delivered later on. */
struct ctl_client;
/* To "unix:/PATH"; to "tls://HOST:PORT" as well, where HOST is an address or a name and must be in the server's certificate. Takes at most
 * 5 s, finding the name's addresses aside. Borrows tls until ctl_disconnect(). -ECONNREFUSED, -ENOENT: nobody there; -EACCES: one side
 * refuses the other's certificate. Where it is ours that is refused, it is the first ctl_request() that says so (lib/tls.h). */
int ctl_connect(struct ctl_client **out, const char *address, struct err *err);
int ctl_connect_tls(struct ctl_client **out, const char *address, const struct tls *tls, struct err *err);
void ctl_disconnect(struct ctl_client *c);
/* Sends fields (taken; adds v, id, cmd) and waits for its answer at most timeout_ms (-ETIMEDOUT). 0: *answer is the object with
 * "ok":true (returned new). A refusal is -EPROTO with its text in err and its code in *code (CTL_FAILED where nothing came back). */
int ctl_request(struct ctl_client *c, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, enum ctl_code *code,
		struct err *err);
/* n requests of one kind, CTL_AHEAD of them on their way at a time, and about CTL_AHEAD_BYTES: over a long line they take the time of a
 * few. They are answered in order, each(arg, i, rc, answer, err) for the i-th as ctl_request() would have ended, -EPROTO for a refusal;
 * answer is borrowed. fields[i] are taken, also on failure. Ends at the first error of the connection (negative; *done of them had been
 * answered). timeout_ms counts for each answer. */
#define CTL_AHEAD       32
#define CTL_AHEAD_BYTES 32768 /* a server that writes an answer does not read: what waits for it stays in the socket's buffer */
typedef void ctl_each(void *arg, size_t i, int rc, const json_t *answer, const struct err *err);
int ctl_request_many(struct ctl_client *c, const char *cmd, json_t **fields, size_t n, int timeout_ms, ctl_each *each, void *arg,
		     size_t *done, struct err *err);
/* From here on a request ends with -EINTR once fd is readable; whether it was done is unknown then. fd is borrowed, -1 is none. */
void ctl_cancel_on(struct ctl_client *c, int fd);
