#pragma once
/* http - HTTP/1.0 and 1.1 message heads: strict parsing, and the canonical form that is forwarded (RFC 9110, RFC 9112).
 * What two implementations could read differently is refused, so that the back end sees exactly what was routed by:
 * one Host, one framing, no obs-fold, no bare CR or LF, no white space before a colon, no control bytes.
 * Pure: no I/O, no allocation, no globals. Slices point into the caller's buffer and live as long as it does.
 * Errors: PARSE_BAD sets bad_status (400, 405, 414, 417, 431, 501, 505; 502 for responses) and bad_reason, a static text for the log. */
#include "lib/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_FIELDS_MAX 100
#define HTTP_LINE_MAX   8192 /* request line, RFC 9112 3 asks for 8000 at least */
#define HTTP_NAME_MAX   255

enum http_framing { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE };
enum http_method { METHOD_OTHER, METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_PUT, METHOD_DELETE, METHOD_OPTIONS, METHOD_PATCH };

/* What the engine does itself with a field; everything else is forwarded as it came. */
enum http_field_id {
	FIELD_OTHER,
	FIELD_HOST,
	FIELD_CONTENT_LENGTH,
	FIELD_TRANSFER_ENCODING,
	FIELD_HOP,      /* Connection and the FIELD_OTHER it names, Keep-Alive, Proxy-Connection, TE, Trailer, Upgrade, HTTP2-Settings */
	FIELD_EXPECT,   /* requests; forwarded from HTTP/1.1 alone (RFC 9110 10.1.1) */
	FIELD_FORWARDED /* requests: X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, Forwarded: ours to say, see http_write_request() */
};

struct http_field {
	struct slice name, value; /* value without surrounding white space */
	enum http_field_id id;
};

struct http_head {
	bool response;
	unsigned minor; /* HTTP/1.minor, 0 or 1 */
	enum http_method method_id;
	struct slice method;
	struct slice target; /* origin form, or "*"; an absolute form has been taken apart into host and target ("/" if empty;
				"?query" if its path is: the writer puts the "/" before) */
	struct slice host;   /* the Host to forward, with its port, as the client wrote it (an empty port goes); len 0: none (HTTP/1.0) */
	char name[HTTP_NAME_MAX + 1]; /* the host for routing: lower case, no port, no trailing dot, NUL-terminated */
	size_t name_len;              /* 0: none, or an IP literal (which no account owns by name) */
	unsigned status;              /* responses: 100..599 */
	struct slice reason;
	size_t n_fields;
	struct http_field fields[HTTP_FIELDS_MAX];
	size_t head_len; /* bytes up to and with the empty line */
	enum http_framing framing;
	uint64_t length;      /* BODY_LENGTH */
	bool keep_alive;      /* the sender lets the connection stay open after this message */
	bool expect_continue; /* requests: Expect: 100-continue in HTTP/1.1; any other Expect is 417 */
	bool idempotent;      /* requests: RFC 9110 9.2.2 */
	struct slice upgrade; /* protocol of a Connection: upgrade request, or of a 101 answer; h2c and lists containing it are dropped */
	unsigned bad_status;
	const char *bad_reason;
};

/* Parses the request at buf[0..len). At most head_max bytes, else 431 (414 for a long request line). Empty lines before
 * the request line are skipped (RFC 9112 2.2), at most two. PARSE_MORE is cheap to call again; a request line that can never become good,
 * TLS or SSH on this port among them, is PARSE_BAD at once, without waiting for the end of the head. */
enum parse http_parse_request(struct http_head *h, const char *buf, size_t len, size_t head_max);
/* The same for the answer to a request with this method. 1xx, 204, 304 and answers to HEAD have BODY_NONE; a response with both
 * Content-Length and Transfer-Encoding, or several framings that differ, is PARSE_BAD with 502. 101 without Upgrade is bad too. */
enum parse http_parse_response(struct http_head *h, const char *buf, size_t len, size_t head_max, enum http_method method);

struct http_forward {
	bool headers;       /* source "headers": X-Forwarded-For, X-Real-IP and X-Forwarded-Proto are set from peer and scheme */
	const char *peer;   /* the visitor's address as text */
	const char *scheme; /* "http" */
	bool close;         /* add Connection: close */
	bool keep_alive_10; /* responses: add Connection: keep-alive, for a HTTP/1.0 client that asked */
	bool unframed;      /* responses: to a HTTP/1.0 client: no Transfer-Encoding, the body ends with the connection */
};
/* Writes the canonical head into out: HTTP/1.1 (HTTP/1.0 for a request without a host, which 1.1 cannot say), Host first, fields in their
 * order, hop-by-hop and framing fields ours alone, our Connection and Upgrade (the request's own protocol). What strangers send of
 * X-Forwarded-For, X-Real-IP, X-Forwarded-Proto and Forwarded never passes with "headers"; with other sources these fields pass as they
 * came. Trailer fields are dropped by chunk.h, hence Trailer and TE here. Returns the length, or 0 if cap is too small: a cap of head_len +
 * 512 always suffices. */
size_t http_write_request(char *out, size_t cap, const struct http_head *h, const struct http_forward *f);
size_t http_write_response(char *out, size_t cap, const struct http_head *h, const struct http_forward *f);
