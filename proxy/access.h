#pragma once
/* clang-format off */
/* access - the access log: one line per request or connection, as a JSON object with the names of OpenTelemetry's semantic conventions for
 * HTTP, or (ACCESS_TEXT) as key=value:
 *   {"timestamp":"2026-01-31T23:59:59.123456Z","http.request.method":"GET","url.scheme":"http","url.path":"/",
 *   "http.response.status_code":200,"http.request.body.size":120,"http.response.body.size":5120,"network.protocol.name":"http",
 *   "network.protocol.version":"1.1","network.transport":"tcp","network.type":"ipv4","server.address":"alice.example","server.port":80,
 *   "client.address":"192.0.2.1","client.port":4711,"shunt.account":"alice","shunt.side":"client","shunt.why":"ok","shunt.held_ms":0,
 *   "shunt.connect_ms":1,"shunt.total_ms":12,"shunt.protocol":"http","shunt.listener":"web","shunt.connection":7}     (one line)
 *   time=2026-01-31T23:59:59.123Z conn=7 listener="web" protocol=http peer=192.0.2.1:4711 account=alice side=client name="alice.example"
 *   method="GET" target="/" status=200 bytes_up=120 bytes_down=5120 wait_ms=0 connect_ms=1 total_ms=12 why="ok"     (one line)
 * JSON: a member is there if it is known. timestamp is when the line was made: the end. url.path has no query, for that may hold what is
 * secret (text has it). A method that HTTP does not know is "_OTHER", and as it was in http.request.method_original. server.address is what
 * the visitor asked for, by Host or SNI. error.type: the status from 500 on, else why it did not run its course, unless a 4xx was the
 * answer. What is no HTTP request has "shunt.bytes_up" and "shunt.bytes_down" in place of sizes of bodies. Bytes that are no UTF-8 become
 * U+FFFD, control characters \u00XX; what is too long is cut and ends with "...".
 * Text: method, target and status are there for http only. Foreign bytes are quoted as log_quote() does and cut.
 * A line never passes 4 KiB.
 * Lines are gathered per worker and written when 16 KiB are full or a second has passed; writes to pipes, sockets and terminals never
 * block, and lines of several workers never mix. When the disk is full or the reader gone, a worker keeps its last 16 KiB; further lines
 * are counted as lost, traffic goes on, and writing is tried again at each access_flush(). That it failed is said once, and the count of
 * the lost once when it works again. SIGPIPE must be ignored: access_open() does so where nobody has set a handler. access_reopen() after a
 * rotation (SIGHUP). Threads: one struct access per worker; the file descriptor is O_APPEND and shared. */
/* clang-format on */
#include "lib/addr.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct access_file; /* shared */
struct access;      /* a worker's */

/* spec: "none", "stderr", or a path (created with mode 0640 less the umask). */
int access_open(struct access_file **out, const char *spec, enum access_format format, struct err *err);
int access_reopen(struct access_file *f, struct err *err); /* the old file stays on failure */
void access_close(struct access_file *f);                  /* after every access_free(); NULL is fine */
uint64_t access_lost(const struct access_file *f);

struct access *access_new(struct access_file *f); /* NULL: no memory */
void access_free(struct access *a);               /* flushes; NULL is fine */
bool access_wanted(const struct access *a);       /* false for "none": skip the work */
void access_flush(struct access *a);              /* the worker's tick calls it once a second */

struct access_line {
	uint64_t conn;                   /* the connection's id */
	const char *listener, *protocol; /* "http", "tls", "tcp" */
	uint16_t port;                   /* that the visitor came to */
	const struct addr *peer;
	const char *account;         /* "-" for names of no account; so is NULL here and below */
	const char *side;            /* "client", "transit", "-" when nobody was reached */
	struct slice name;           /* Host or SNI as asked; quoted in the line */
	struct slice method, target; /* http only (method.p is NULL elsewhere); quoted */
	const char *version;         /* http only: "1.1"; NULL: unknown */
	unsigned status;             /* http only; what the visitor was answered */
	uint64_t bytes_up, bytes_down;
	uint64_t body_up, body_down;            /* http only, and no tunnel: the same without the framing of chunks */
	bool own;                               /* no back end's answer was handed on: status is ours, and our page is in no count */
	uint32_t wait_ms, connect_ms, total_ms; /* parked behind a hold; to the back end; all */
	const char *why;                        /* static: "ok", "cut", "connect refused", "head timeout", ... */
};
void access_write(struct access *a, const struct access_line *line);
