/* Heads as browsers and attackers write them. A row is a whole head and the one answer it may get; good heads are cut at every byte. */
#include "proxy/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD_MAX 32768
#define TEXT(s)  s, sizeof(s) - 1 /* keeps NULs */

/* Parses a copy that ends where the bytes end, so that AddressSanitizer sees a read past them. The slices are dead afterwards. */
static enum parse parse_exact(struct http_head *h, const char *text, size_t len, size_t head_max, int method)
{
	char *copy = malloc(len > 0 ? len : 1);
	enum parse rc;

	assert_non_null(copy);
	memcpy(copy, text, len);
	rc = method < 0 ? http_parse_request(h, copy, len, head_max)
			: http_parse_response(h, copy, len, head_max, (enum http_method)method);
	free(copy);
	return rc;
}

struct good {
	const char *what, *text;
	size_t len;
	const char *name, *host, *target;
	enum http_framing framing;
	uint64_t length;
	bool keep_alive;
	const char *upgrade;
};

#define GET(rest) TEXT("GET / HTTP/1.1\r\n" rest "\r\n")

static const struct good good[] = {
	{"plain", GET("Host: a.example\r\n"), "a.example", "a.example", "/", BODY_NONE, 0, true, ""},
	{"host case", GET("HOST: A.Example\r\n"), "a.example", "A.Example", "/", BODY_NONE, 0, true, ""},
	{"host port", GET("Host: a.example:8080\r\n"), "a.example", "a.example:8080", "/", BODY_NONE, 0, true, ""},
	{"host port 65535", GET("Host: a.example:65535\r\n"), "a.example", "a.example:65535", "/", BODY_NONE, 0, true, ""},
	{"host empty port", GET("Host: a.example:\r\n"), "a.example", "a.example", "/", BODY_NONE, 0, true, ""},
	{"host white space", GET("Host:\t a.example \t\r\n"), "a.example", "a.example", "/", BODY_NONE, 0, true, ""},
	{"host without space", GET("Host:a.example\r\n"), "a.example", "a.example", "/", BODY_NONE, 0, true, ""},
	{"host trailing dot", GET("Host: a.example.\r\n"), "a.example", "a.example.", "/", BODY_NONE, 0, true, ""},
	{"host underscore", GET("Host: my_shop.a.example\r\n"), "my_shop.a.example", "my_shop.a.example", "/", BODY_NONE, 0, true, ""},
	{"host A-label", GET("Host: XN--Mnchen-3ya.example\r\n"), "xn--mnchen-3ya.example", "XN--Mnchen-3ya.example", "/", BODY_NONE, 0,
	 true, ""},
	{"host IPv4", GET("Host: 192.0.2.1\r\n"), "", "192.0.2.1", "/", BODY_NONE, 0, true, ""},
	{"host IPv4 with port", GET("Host: 192.0.2.1:81\r\n"), "", "192.0.2.1:81", "/", BODY_NONE, 0, true, ""},
	{"host IPv6", GET("Host: [2001:db8::1]:80\r\n"), "", "[2001:db8::1]:80", "/", BODY_NONE, 0, true, ""},
	{"host almost IPv4", GET("Host: 1.2.3.4.5\r\n"), "1.2.3.4.5", "1.2.3.4.5", "/", BODY_NONE, 0, true, ""},
	{"1.0 without host", TEXT("GET / HTTP/1.0\r\n\r\n"), "", "", "/", BODY_NONE, 0, false, ""},
	{"1.0 with host", TEXT("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n"), "a.example", "a.example", "/", BODY_NONE, 0, false, ""},
	{"1.0 keep-alive", TEXT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), "", "", "/", BODY_NONE, 0, true, ""},
	{"1.0 ignores Expect", TEXT("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"), "", "", "/", BODY_LENGTH, 1,
	 false, ""},
	{"1.0 ignores Upgrade", TEXT("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), "", "", "/", BODY_NONE, 0,
	 false, ""},
	{"absolute", TEXT("GET http://B.example:80/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n"), "b.example", "B.example:80", "/x?y",
	 BODY_NONE, 0, true, ""},
	{"absolute mirror", TEXT("GET HTTPS://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"), "a.example", "a.example", "/", BODY_NONE, 0,
	 true, ""},
	{"absolute, 1.0, no Host", TEXT("GET http://a.example/ HTTP/1.0\r\n\r\n"), "a.example", "a.example", "/", BODY_NONE, 0, false, ""},
	{"absolute without path", TEXT("GET http://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n"), "a.example", "a.example", "/",
	 BODY_NONE, 0, true, ""},
	{"absolute, query only", TEXT("GET http://a.example?q=/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), "a.example", "a.example", "?q=/",
	 BODY_NONE, 0, true, ""},
	{"absolute OPTIONS", TEXT("OPTIONS http://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n"), "a.example", "a.example", "*", BODY_NONE,
	 0, true, ""},
	{"absolute, IPv6", TEXT("GET http://[::1]/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), "", "[::1]", "/", BODY_NONE, 0, true, ""},
	{"options star", TEXT("OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n"), "a.example", "a.example", "*", BODY_NONE, 0, true, ""},
	{"double slash target", TEXT("GET //b.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n"), "a.example", "a.example", "//b.example/x",
	 BODY_NONE, 0, true, ""},
	{"URL in the path", TEXT("GET /http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), "a.example", "a.example",
	 "/http://b.example/", BODY_NONE, 0, true, ""},
	{"careless target", TEXT("GET /\\\"<>^`{|}\xc3\xa4 HTTP/1.1\r\nHost: a.example\r\n\r\n"), "a.example", "a.example",
	 "/\\\"<>^`{|}\xc3\xa4", BODY_NONE, 0, true, ""},
	{"blank lines before", TEXT("\r\n\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), "a.example", "a.example", "/", BODY_NONE, 0, true,
	 ""},
	{"own method", TEXT("PROPFIND / HTTP/1.1\r\nHost: a.example\r\n\r\n"), "a.example", "a.example", "/", BODY_NONE, 0, true, ""},
	{"length", GET("Host: a.example\r\nContent-Length: 5\r\n"), "a.example", "a.example", "/", BODY_LENGTH, 5, true, ""},
	{"length 0", GET("Host: a.example\r\nContent-Length: 0\r\n"), "a.example", "a.example", "/", BODY_LENGTH, 0, true, ""},
	{"length, leading zeros", GET("Host: a.example\r\nContent-Length: 00010\r\n"), "a.example", "a.example", "/", BODY_LENGTH, 10, true,
	 ""},
	{"length, greatest", GET("Host: a.example\r\nContent-Length: 9223372036854775807\r\n"), "a.example", "a.example", "/", BODY_LENGTH,
	 INT64_MAX, true, ""},
	{"chunked", GET("Host: a.example\r\nTransfer-Encoding: Chunked\r\n"), "a.example", "a.example", "/", BODY_CHUNKED, 0, true, ""},
	{"names alike", GET("Host: a.example\r\nTransfer.Encoding: chunked\r\nX_Content_Length: 5\r\nX-Host: b\r\nHosts: b\r\n"),
	 "a.example", "a.example", "/", BODY_NONE, 0, true, ""},
	{"forwarded host", GET("X-Forwarded-Host: b.example\r\nHost: a.example\r\n"), "a.example", "a.example", "/", BODY_NONE, 0, true,
	 ""},
	{"close", GET("Host: a.example\r\nConnection: foo, CLOSE\r\n"), "a.example", "a.example", "/", BODY_NONE, 0, false, ""},
	{"close beats keep-alive", GET("Host: a.example\r\nConnection: close\r\nConnection: keep-alive\r\n"), "a.example", "a.example", "/",
	 BODY_NONE, 0, false, ""},
	{"no close", GET("Host: a.example\r\nConnection: closed, \"close\"\r\n"), "a.example", "a.example", "/", BODY_NONE, 0, true, ""},
	{"Connection: Host", GET("Host: a.example\r\nContent-Length: 5\r\nConnection: Host, Content-Length, ,\r\n"), "a.example",
	 "a.example", "/", BODY_LENGTH, 5, true, ""},
	{"websocket", GET("Host: a.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"), "a.example", "a.example", "/",
	 BODY_NONE, 0, true, "websocket"},
	{"upgrade list", GET("Host: a.example\r\nConnection: upgrade\r\nUpgrade: a/1, b\r\n"), "a.example", "a.example", "/", BODY_NONE, 0,
	 true, "a/1, b"},
	{"upgrade unannounced", GET("Host: a.example\r\nUpgrade: websocket\r\n"), "a.example", "a.example", "/", BODY_NONE, 0, true, ""},
	{"h2c", GET("Host: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"), "a.example",
	 "a.example", "/", BODY_NONE, 0, true, ""},
	{"h2c in a list", GET("Host: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket, H2C/1\r\n"), "a.example", "a.example", "/",
	 BODY_NONE, 0, true, ""},
	{"h2c in a second field", GET("Host: a.example\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n"), "a.example",
	 "a.example", "/", BODY_NONE, 0, true, ""},
	{"upgrade to HTTP", GET("Host: a.example\r\nConnection: Upgrade\r\nUpgrade: HTTP/2.0\r\n"), "a.example", "a.example", "/",
	 BODY_NONE, 0, true, ""},
	{"upgrade, broken list", GET("Host: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket,\r\n"), "a.example", "a.example", "/",
	 BODY_NONE, 0, true, ""},
	{"high bytes in a value", GET("Host: a.example\r\nX-Name: J\xf6rg\r\nX-Empty:\r\nX-Tab: a\tb\r\n"), "a.example", "a.example", "/",
	 BODY_NONE, 0, true, ""},
};

struct bad {
	const char *what, *text;
	size_t len;
	unsigned status;
};

#define HOST(value) TEXT("GET / HTTP/1.1\r\nHost: " value "\r\n\r\n"), 400
#define WITH(rest)  TEXT("POST / HTTP/1.1\r\nHost: a.example\r\n" rest "\r\n")

static const struct bad bad_requests[] = {
	/* Host */
	{"dup-host-A-B", WITH("Host: b.example\r\n"), 400},
	{"dup-host-B-A-far", TEXT("GET / HTTP/1.1\r\nHost: b.example\r\nA: 1\r\nB: 2\r\nC: 3\r\nhOST: a.example\r\n\r\n"), 400},
	{"dup-host-same", WITH("Host: a.example\r\n"), 400},
	{"dup-host-10", TEXT("GET / HTTP/1.0\r\nHost: a.example\r\nHost: a.example\r\n\r\n"), 400},
	{"no-host-11", TEXT("GET / HTTP/1.1\r\n\r\n"), 400},
	{"empty-host", HOST("")},
	{"empty-host-spaces", HOST("  \t")},
	{"empty-host-10", TEXT("GET / HTTP/1.0\r\nHost:\r\n\r\n"), 400},
	{"host-bad-comma", HOST("a.example, b.example")},
	{"host-bad-comma-tight", HOST("a.example,b.example")},
	{"host-bad-space", HOST("a.example b.example")},
	{"host-bad-tab", HOST("a.example\tb.example")},
	{"host-bad-userinfo", HOST("b.example@a.example")},
	{"host-bad-slash", HOST("a.example/b.example")},
	{"host-bad-hash", HOST("a.example#b.example")},
	{"host-bad-question", HOST("a.example?b.example")},
	{"host-bad-backslash", HOST("a.example\\b.example")},
	{"host-bad-nul", HOST("a.example\0.b.example")},
	{"host-bad-nul-end", HOST("a.example\0")},
	{"host-bad-ctl", HOST("a.example\x01")},
	{"host-bad-del", HOST("a.example\x7f")},
	{"host-bad-port-name", HOST("a.example:http")},
	{"host-bad-port-sign", HOST("a.example:+80")},
	{"host-bad-two-ports", HOST("a.example:80:80")},
	{"host-port-overflow", HOST("a.example:65536")},
	{"host-port-overflow-long", HOST("a.example:18446744073709551696")},
	{"host-port-alone", HOST(":80")},
	{"host-bad-open-bracket", HOST("[::1")},
	{"host-bad-bracket-tail", HOST("[::1]b.example")},
	{"host-bad-bracket-empty", HOST("[]")},
	{"host-bad-bracket-name", HOST("[a.example]")},
	{"host-bad-bracket-zone", HOST("[fe80::1%25eth0]")},
	{"host-bad-future", HOST("[v1.a]")},
	{"host-bad-naked-ipv6", HOST("2001:db8::1")},
	{"host-bad-quoted", HOST("\"a.example\"")},
	{"host-bad-high", HOST("a\xc3\xa4.example")},
	{"host-bad-percent", HOST("a%2eexample")},
	{"host-bad-star", HOST("*.a.example")},
	{"host-bad-leading-dot", HOST(".b.example")},
	{"host-bad-two-dots", HOST("a.example..")},
	{"host-bad-empty-label", HOST("a..example")},
	{"host-bad-dot", HOST(".")},
	{"host-space-before-colon", TEXT("GET / HTTP/1.1\r\nHost : a.example\r\n\r\n"), 400},
	{"host-tab-before-colon", TEXT("GET / HTTP/1.1\r\nHost\t: a.example\r\n\r\n"), 400},
	{"second-host-space-colon", WITH("Host : b.example\r\n"), 400},
	/* lines */
	{"ws-before-first-header", TEXT("GET / HTTP/1.1\r\n Host: a.example\r\n\r\n"), 400},
	{"tab-before-first-header", TEXT("GET / HTTP/1.1\r\n\tHost: a.example\r\n\r\n"), 400},
	{"obs-fold-host", TEXT("GET / HTTP/1.1\r\nHost:\r\n a.example\r\n\r\n"), 400},
	{"obs-fold-hides-host", WITH("X: y\r\n Host: b.example\r\n"), 400},
	{"bare-cr-second-host", WITH("X: y\rHost: b.example\r\n"), 400},
	{"bare-lf-second-host", WITH("X: y\nHost: b.example\r\n"), 400},
	{"bare-lf-everywhere", TEXT("GET / HTTP/1.1\nHost: a.example\n\n"), 400},
	{"bare-lf-last", TEXT("GET / HTTP/1.1\r\nHost: a.example\r\n\n"), 400},
	{"bare-lf-first", TEXT("\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"bare-cr-first", TEXT("\rGET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"three-blank-lines-first", TEXT("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"nul-in-value", WITH("X: y\0z\r\n"), 400},
	{"bare-cr-in-value", WITH("X: y\rz\r\n"), 400},
	{"cr-cr-lf", WITH("X: y\r\r\n"), 400},
	{"ctl-in-value", WITH("X: 0123456789\x1fz\r\n"), 400},
	{"del-in-value", WITH("X: 0123456789\x7fz0123456789\r\n"), 400},
	{"vt-before-host", TEXT("GET / HTTP/1.1\r\n\x0bHost: a.example\r\n\r\n"), 400},
	{"vt-in-host", HOST("\x0b"
			    "a.example")},
	{"field-no-colon", WITH("X\r\n"), 400},
	{"field-bad-name", WITH("X[y]: z\r\n"), 400},
	{"field-high-name", WITH("X\xe4: z\r\n"), 400},
	{"field-nul-name", WITH("X\0: z\r\n"), 400},
	{"field-empty-name", WITH(": z\r\n"), 400},
	{"header-end-cr-x", TEXT("GET / HTTP/1.1\r\nHost: a.example\r\n\rX\r\n\r\n"), 400},
	/* request line */
	{"http09", TEXT("GET /\r\n"), 400},
	{"http09-lf", TEXT("GET /\n"), 400},
	{"version-2.0", TEXT("GET / HTTP/2.0\r\nHost: a.example\r\n\r\n"), 505},
	{"version-1.2", TEXT("GET / HTTP/1.2\r\nHost: a.example\r\n\r\n"), 505},
	{"version-0.9", TEXT("GET / HTTP/0.9\r\nHost: a.example\r\n\r\n"), 505},
	{"version-01.1", TEXT("GET / HTTP/01.1\r\nHost: a.example\r\n\r\n"), 505},
	{"version-1.10", TEXT("GET / HTTP/1.10\r\nHost: a.example\r\n\r\n"), 400},
	{"version-1.", TEXT("GET / HTTP/1.\r\nHost: a.example\r\n\r\n"), 400},
	{"version-garbage", TEXT("GET / FOO\r\nHost: a.example\r\n\r\n"), 400},
	{"version-lower", TEXT("GET / http/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"version-extra-word", TEXT("GET / HTTP/1.1 x\r\nHost: a.example\r\n\r\n"), 400},
	{"version-trailing-space", TEXT("GET / HTTP/1.1 \r\nHost: a.example\r\n\r\n"), 400},
	{"double-space", TEXT("GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"double-space-2", TEXT("GET /  HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"leading-space", TEXT(" GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"tab-separators", TEXT("GET\t/\tHTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"method-invalid", TEXT("G(T / HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"method-long", TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\nHost: a.example\r\n\r\n"), 501},
	{"target-nul", TEXT("GET /\0 HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"target-ctl", TEXT("GET /\x01 HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"target-del", TEXT("GET /\x7f HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"target-cr", TEXT("GET /\rx HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"target-fragment", TEXT("GET /#x HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"target-without-slash", TEXT("GET index.html HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"target-name", TEXT("GET b.example HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"target-backslash", TEXT("GET \\x HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"target-query", TEXT("GET ?x HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"get-star", TEXT("GET * HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"options-two-stars", TEXT("OPTIONS ** HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"connect-a", TEXT("CONNECT a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n"), 405},
	{"trace", TEXT("TRACE / HTTP/1.1\r\nHost: a.example\r\n\r\n"), 405},
	{"h2-preface", TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400},
	{"tls-on-http-port", TEXT("\x16\x03\x01"), 400},
	{"ssh-on-http-port", TEXT("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), 400},
	{"ssh-on-http-port-2", TEXT("SSH-2.0-OpenSSH_9.2\r\n"), 400},
	{"abs-form-userinfo", TEXT("GET http://a.example@b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"abs-form-backslash", TEXT("GET http://a.example\\@b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"abs-form-backslashes", TEXT("GET http:\\\\b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"abs-form-empty-authority", TEXT("GET http:///x HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"abs-form-nothing", TEXT("GET http:// HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"abs-form-no-slashes", TEXT("GET http:b.example HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"abs-form-one-slash", TEXT("GET http:/b.example HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"abs-form-port-alone", TEXT("GET http://:80/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"abs-form-scheme", TEXT("GET ftp://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400},
	{"abs-form-bad-host", TEXT("GET http://b.example/ HTTP/1.1\r\nHost: a b\r\n\r\n"), 400},
	{"abs-form-no-host", TEXT("GET http://b.example/ HTTP/1.1\r\n\r\n"), 400},
	{"abs-form-two-hosts", TEXT("GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n"), 400},
	/* framing */
	{"cl-te", WITH("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
	{"te-cl", WITH("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400},
	{"te-identity+cl", WITH("Transfer-Encoding: identity\r\nContent-Length: 5\r\n"), 400},
	{"te-xchunked", WITH("Transfer-Encoding: xchunked\r\n"), 501},
	{"te-identity", WITH("Transfer-Encoding: identity\r\n"), 501},
	{"te-gzip-chunked", WITH("Transfer-Encoding: gzip, chunked\r\n"), 501},
	{"te-chunked-identity", WITH("Transfer-Encoding: chunked, identity\r\n"), 400},
	{"te-chunked-twice", WITH("Transfer-Encoding: chunked, chunked\r\n"), 400},
	{"te-space-colon", WITH("Transfer-Encoding : chunked\r\n"), 400},
	{"te-vt",
	 WITH("Transfer-Encoding: \x0b"
	      "chunked\r\n"),
	 400},
	{"te-0x85",
	 WITH("Transfer-Encoding: \x85"
	      "chunked\r\n"),
	 400},
	{"te-quoted", WITH("Transfer-Encoding: \"chunked\"\r\n"), 400},
	{"te-empty", WITH("Transfer-Encoding:\r\n"), 400},
	{"te-two-words", WITH("Transfer-Encoding: chunked foo\r\n"), 400},
	{"te-nul", WITH("Transfer-Encoding: chunked\0\r\n"), 400},
	{"te-cr", WITH("Transfer-Encoding: chun\rked\r\n"), 400},
	{"te-parameter", WITH("Transfer-Encoding: chunked;a=b\r\n"), 400},
	{"te-comma-chunked", WITH("Transfer-Encoding: ,chunked\r\n"), 400},
	{"te-chunked-comma", WITH("Transfer-Encoding: chunked,\r\n"), 400},
	{"te-twice", WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
	{"te-chunked-then-identity-line", WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), 400},
	{"te-obs-fold", WITH("Transfer-Encoding:\r\n chunked\r\n"), 400},
	{"te-name-folded", WITH("Transfer-\r\n Encoding: chunked\r\n"), 400},
	{"te-in-http10", TEXT("POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
	{"cl-differ", WITH("Content-Length: 5\r\nContent-Length: 6\r\n"), 400},
	{"cl-same-twice", WITH("Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
	{"cl-list-same", WITH("Content-Length: 5, 5\r\n"), 400},
	{"cl-list", WITH("Content-Length: 5, 6\r\n"), 400},
	{"cl-plus", WITH("Content-Length: +5\r\n"), 400},
	{"cl-minus", WITH("Content-Length: -5\r\n"), 400},
	{"cl-hex", WITH("Content-Length: 0x5\r\n"), 400},
	{"cl-space", WITH("Content-Length: 5 5\r\n"), 400},
	{"cl-empty", WITH("Content-Length:\r\n"), 400},
	{"cl-empty-then-5", WITH("Content-Length:\r\nContent-Length: 5\r\n"), 400},
	{"cl-overflow", WITH("Content-Length: 18446744073709551621\r\n"), 400},
	{"cl-overflow-63", WITH("Content-Length: 9223372036854775808\r\n"), 400},
	{"cl-trailing", WITH("Content-Length: 5x\r\n"), 400},
	{"cl-underscore", WITH("Content-Length: 1_0\r\n"), 400},
	{"te-name-underscore", WITH("Transfer_Encoding: chunked\r\n"), 400},
	{"xff-underscore", WITH("X_Forwarded_For: 192.0.2.1\r\n"), 400},
	{"xff-half-underscore", WITH("X-Forwarded_For: 192.0.2.1\r\n"), 400},
	{"cl-space-colon", WITH("Content-Length : 5\r\n"), 400},
	{"cl-float", WITH("Content-Length: 5.0\r\n"), 400},
	{"cl-nul", WITH("Content-Length: 5\0\r\n"), 400},
	{"cl-vt",
	 WITH("Content-Length: \x0b"
	      "5\r\n"),
	 400},
	{"cl-high", WITH("Content-Length: \xb2\r\n"), 400},
	/* Expect, Connection */
	{"expect-other", WITH("Expect: 200-ok\r\n"), 417},
	{"expect-obfuscated", WITH("Expect: y 100-continue\r\n"), 417},
	{"expect-list", WITH("Expect: 100-continue, 100-continue\r\n"), 417},
	{"expect-empty", WITH("Expect:\r\n"), 417},
	{"expect-twice", WITH("Expect: 100-continue\r\nExpect: 100-continue\r\n"), 400},
	{"connection-33", WITH("Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n"), 400},
};

struct response {
	const char *what, *text;
	size_t len;
	enum http_method method;
	unsigned status; /* 0: bad */
	enum http_framing framing;
	uint64_t length;
	bool keep_alive;
	const char *upgrade;
};

#define R(text) TEXT("HTTP/1.1 " text "\r\n")

static const struct response responses[] = {
	{"length", R("200 OK\r\nContent-Length: 5\r\n"), METHOD_GET, 200, BODY_LENGTH, 5, true, ""},
	{"chunked", R("200 OK\r\nTransfer-Encoding: chunked\r\n"), METHOD_GET, 200, BODY_CHUNKED, 0, true, ""},
	{"until close", R("200 OK\r\n"), METHOD_GET, 200, BODY_UNTIL_CLOSE, 0, false, ""},
	{"1.0 length", TEXT("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"), METHOD_GET, 200, BODY_LENGTH, 5, false, ""},
	{"1.0 keep-alive", TEXT("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"), METHOD_GET, 200, BODY_LENGTH, 5,
	 true, ""},
	{"close", R("200 OK\r\nContent-Length: 5\r\nConnection: close\r\n"), METHOD_GET, 200, BODY_LENGTH, 5, false, ""},
	{"reason empty", R("200 \r\nContent-Length: 0\r\n"), METHOD_GET, 200, BODY_LENGTH, 0, true, ""},
	{"reason and space missing", R("200\r\nContent-Length: 0\r\n"), METHOD_GET, 200, BODY_LENGTH, 0, true, ""},
	{"reason high", R("404 Nicht gef\xfcnden\r\nContent-Length: 0\r\n"), METHOD_GET, 404, BODY_LENGTH, 0, true, ""},
	{"head", R("200 OK\r\nContent-Length: 5\r\n"), METHOD_HEAD, 200, BODY_NONE, 0, true, ""},
	{"head, chunked", R("200 OK\r\nTransfer-Encoding: chunked\r\n"), METHOD_HEAD, 200, BODY_NONE, 0, true, ""},
	{"head, unframed", R("200 OK\r\n"), METHOD_HEAD, 200, BODY_NONE, 0, true, ""},
	{"204", R("204 No Content\r\n"), METHOD_GET, 204, BODY_NONE, 0, true, ""},
	{"204, length 0", R("204 No Content\r\nContent-Length: 0\r\n"), METHOD_GET, 204, BODY_NONE, 0, true, ""},
	{"204, length 5", R("204 No Content\r\nContent-Length: 5\r\n"), METHOD_GET, 204, BODY_NONE, 0, false, ""},
	{"204, chunked", R("204 No Content\r\nTransfer-Encoding: chunked\r\n"), METHOD_GET, 204, BODY_NONE, 0, false, ""},
	{"304", R("304 Not Modified\r\nContent-Length: 5\r\n"), METHOD_GET, 304, BODY_NONE, 0, true, ""},
	{"100", R("100 Continue\r\n"), METHOD_POST, 100, BODY_NONE, 0, true, ""},
	{"103", R("103 Early Hints\r\nLink: </a.css>\r\n"), METHOD_GET, 103, BODY_NONE, 0, true, ""},
	{"101", R("101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"), METHOD_GET, 101, BODY_NONE, 0, true,
	 "websocket"},
	{"upgrade offered", R("200 OK\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: h2,h2c\r\n"), METHOD_GET, 200, BODY_LENGTH, 0,
	 true, ""},
	{"two Hosts mean nothing", R("200 OK\r\nHost: a\r\nHost: b c\r\nContent-Length: 0\r\n"), METHOD_GET, 200, BODY_LENGTH, 0, true, ""},
	{"101 without Upgrade", R("101 Switching Protocols\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"101 to h2c", R("101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"101 in 1.0", TEXT("HTTP/1.0 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"100 with a body", R("100 Continue\r\nContent-Length: 5\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"backend-cl-and-te-response", R("200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"backend-cl-and-te, HEAD", R("200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"), METHOD_HEAD, 0, 0, 0, false, ""},
	{"two lengths", R("200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"length list", R("200 OK\r\nContent-Length: 5, 6\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"te gzip", R("200 OK\r\nTransfer-Encoding: gzip, chunked\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"te in 1.0", TEXT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"obs-fold", R("200 OK\r\nX: y\r\n z\r\nContent-Length: 5\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"space before colon", R("200 OK\r\nContent-Length : 5\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"bare LF", TEXT("HTTP/1.1 200 OK\nContent-Length: 5\n\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"NUL", R("200 OK\r\nX: \0\r\nContent-Length: 5\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"CR in the reason", R("200 O\rK\r\nContent-Length: 5\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"status 99", R("099 X\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"status 600", R("600 X\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"status 2000", R("2000 X\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"status word", R("OK\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"two spaces", R(" 200 OK\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"HTTP/2", TEXT("HTTP/2 200 OK\r\n\r\n"), METHOD_GET, 0, 0, 0, false, ""},
	{"HTTP/0.9", TEXT("<html>"), METHOD_GET, 0, 0, 0, false, ""},
	{"blank line first", TEXT("\r\nHTTP/1.1 200 OK\r\n\r\n"), METHOD_GET, 0, 0, 0, false, ""},
};

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static void good_requests_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(good); i++) {
		const struct good *g = &good[i];
		struct http_head h;
		enum parse rc = http_parse_request(&h, g->text, g->len, HEAD_MAX);

		if (rc != PARSE_OK)
			fail_msg("%s: %d %s", g->what, rc, rc == PARSE_BAD ? h.bad_reason : "more");
		if (strcmp(h.name, g->name) != 0 || h.name_len != strlen(g->name) || !slice_is(h.host, g->host))
			fail_msg("%s: name %s, host %.*s", g->what, h.name, (int)h.host.len, h.host.p);
		if (!slice_is(h.target, g->target) || h.framing != g->framing || h.length != g->length || h.keep_alive != g->keep_alive)
			fail_msg("%s: target %.*s, framing %d, keep-alive %d", g->what, (int)h.target.len, h.target.p, h.framing,
				 h.keep_alive);
		if (!slice_is(h.upgrade, g->upgrade) || h.head_len != g->len || h.response)
			fail_msg("%s: upgrade %.*s, head %zu", g->what, (int)h.upgrade.len, h.upgrade.p, h.head_len);
	}
}

static void bad_requests_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(bad_requests); i++) {
		const struct bad *b = &bad_requests[i];
		struct http_head h;
		enum parse rc = parse_exact(&h, b->text, b->len, HEAD_MAX, -1);

		if (rc != PARSE_BAD || h.bad_status != b->status || h.bad_reason == NULL)
			fail_msg("%s: %d, status %u, want %u", b->what, rc, h.bad_status, b->status);
	}
}

static void responses_are_understood_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(responses); i++) {
		const struct response *r = &responses[i];
		struct http_head h;
		enum parse rc = http_parse_response(&h, r->text, r->len, HEAD_MAX, r->method);

		if (r->status == 0) {
			if (rc != PARSE_BAD || h.bad_status != 502 || h.bad_reason == NULL)
				fail_msg("%s: %d, want 502", r->what, rc);
			continue;
		}
		if (rc != PARSE_OK || h.status != r->status || h.framing != r->framing || h.length != r->length)
			fail_msg("%s: %d, status %u, framing %d", r->what, rc, h.status, h.framing);
		if (h.keep_alive != r->keep_alive || !slice_is(h.upgrade, r->upgrade) || h.head_len != r->len || !h.response)
			fail_msg("%s: keep-alive %d, upgrade %.*s", r->what, h.keep_alive, (int)h.upgrade.len, h.upgrade.p);
	}
}

static void cut_anywhere_says_more(void **state)
{
	struct http_head h;

	(void)state;
	for (size_t i = 0; i < ROWS(good); i++)
		for (size_t n = 0; n < good[i].len; n++)
			if (parse_exact(&h, good[i].text, n, HEAD_MAX, -1) != PARSE_MORE)
				fail_msg("%s cut at %zu: %s", good[i].what, n, h.bad_reason);
	for (size_t i = 0; i < ROWS(responses); i++)
		for (size_t n = 0; responses[i].status != 0 && n < responses[i].len; n++)
			if (parse_exact(&h, responses[i].text, n, HEAD_MAX, (int)responses[i].method) != PARSE_MORE)
				fail_msg("%s cut at %zu: %s", responses[i].what, n, h.bad_reason);
}

/* What follows a head, be it a body or the next request, changes nothing of it. */
static void the_rest_is_not_ours(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(good); i++) {
		char text[1024];
		struct http_head h;
		int len = snprintf(text, sizeof(text), "%.*sGET /evil HTTP/1.1\r\nHost: b.example\r\n\r\n\n\n", (int)good[i].len,
				   good[i].text);

		assert_int_equal(http_parse_request(&h, text, (size_t)len, HEAD_MAX), PARSE_OK);
		assert_int_equal(h.head_len, good[i].len);
		assert_string_equal(h.name, good[i].name);
	}
}

static void hopeless_starts_are_refused_at_once(void **state)
{
	static const char *const starts[] = {"\x16", "GET / H2", "GET /#", "get\t", "\r\n\r\n\r", "CONNECT ", "GET x ", "GET / HTTP/2"};
	struct http_head h;

	(void)state;
	for (size_t i = 0; i < ROWS(starts); i++)
		if (parse_exact(&h, starts[i], strlen(starts[i]), HEAD_MAX, -1) != PARSE_BAD)
			fail_msg("%s", starts[i]);
}

static size_t long_head(char *out, size_t cap, size_t target_len, size_t value_len, unsigned fields)
{
	size_t n = (size_t)snprintf(out, cap, "GET /%0*d HTTP/1.1\r\nHost: a.example\r\n", (int)target_len, 0);

	for (unsigned i = 1; i < fields; i++)
		n += (size_t)snprintf(out + n, cap - n, "X-%u: %0*d\r\n", i, (int)value_len, 0);
	return n + (size_t)snprintf(out + n, cap - n, "\r\n");
}

static void limits_hold(void **state)
{
	static const struct {
		size_t target, value;
		unsigned fields, status;
	} rows[] = {
		{8178, 1, 2, 0},   /* a request line of 8192 bytes */
		{8179, 1, 2, 414}, /* and one more */
		{100000, 1, 2, 414}, {1, 1, 100, 0},      {1, 1, 101, 431},  {1, 1, 5000, 431},
		{1, 30000, 2, 0},    {1, 100000, 2, 431}, {1, 400, 90, 431},
	};
	static char text[200000];
	struct http_head h;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t len = long_head(text, sizeof(text), rows[i].target, rows[i].value, rows[i].fields);
		enum parse rc = parse_exact(&h, text, len, HEAD_MAX, -1);

		if (rc != (rows[i].status == 0 ? PARSE_OK : PARSE_BAD) || h.bad_status != rows[i].status)
			fail_msg("row %zu: %d, status %u", i, rc, h.bad_status);
	}
	/* unfinished and as long as it may be */
	long_head(text, sizeof(text), 1, 100000, 2);
	assert_int_equal(parse_exact(&h, text, HEAD_MAX - 1, HEAD_MAX, -1), PARSE_MORE);
	assert_int_equal(parse_exact(&h, text, HEAD_MAX, HEAD_MAX, -1), PARSE_BAD);
	assert_int_equal(h.bad_status, 431);
	long_head(text, sizeof(text), 100000, 1, 2);
	assert_int_equal(parse_exact(&h, text, HTTP_LINE_MAX + 1, HEAD_MAX, -1), PARSE_MORE);
	assert_int_equal(parse_exact(&h, text, HTTP_LINE_MAX + 2, HEAD_MAX, -1), PARSE_MORE);
	assert_int_equal(parse_exact(&h, text, HTTP_LINE_MAX + 3, HEAD_MAX, -1), PARSE_BAD);
	assert_int_equal(h.bad_status, 414);
	assert_int_equal(parse_exact(&h, text, 100, 100, -1), PARSE_BAD);
	assert_int_equal(h.bad_status, 414);
	/* a head that is just as long as it may be */
	assert_int_equal(parse_exact(&h, good[0].text, good[0].len, good[0].len, -1), PARSE_OK);
	assert_int_equal(parse_exact(&h, good[0].text, good[0].len, good[0].len - 1, -1), PARSE_BAD);
	assert_int_equal(h.bad_status, 431);
	assert_int_equal(parse_exact(&h, "HTTP/1.1 200 OK\r\nA: b", 21, 21, METHOD_GET), PARSE_BAD);
	assert_int_equal(h.bad_status, 502);
}

static void long_names_are_no_names(void **state)
{
	char text[512], name[400];
	struct http_head h;

	(void)state;
	for (size_t len = 252; len <= 300; len++) {
		memset(name, 'a', len);
		name[len] = '\0';
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name);
		assert_int_equal(http_parse_request(&h, text, strlen(text), HEAD_MAX), len <= 253 ? PARSE_OK : PARSE_BAD);
	}
}

static void methods_are_known(void **state)
{
	static const struct {
		const char *method;
		enum http_method id;
		bool idempotent;
	} rows[] = {
		{"GET", METHOD_GET, true},      {"HEAD", METHOD_HEAD, true},     {"POST", METHOD_POST, false},
		{"PUT", METHOD_PUT, true},      {"DELETE", METHOD_DELETE, true}, {"OPTIONS", METHOD_OPTIONS, true},
		{"PATCH", METHOD_PATCH, false}, {"get", METHOD_OTHER, false},    {"PROPFIND", METHOD_OTHER, false},
		{"G", METHOD_OTHER, false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char text[100];
		struct http_head h;

		snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n\r\n", rows[i].method);
		assert_int_equal(http_parse_request(&h, text, strlen(text), HEAD_MAX), PARSE_OK);
		assert_int_equal(h.method_id, rows[i].id);
		assert_int_equal(h.idempotent, rows[i].idempotent);
		assert_true(slice_is(h.method, rows[i].method));
	}
}

static void fields_have_their_ids(void **state)
{
	static const char text[] =
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\nX-Forwarded-For: b\r\n"
		"X-Real-Ip: c\r\nX-Forwarded-Proto: d\r\nForwarded: e\r\nConnection: x-one , EXPECT, X-Forwarded-For\r\nKeep-Alive: 5\r\n"
		"Proxy-Connection: close\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: y\r\nHTTP2-Settings: z\r\nX-ONE: 1\r\nX-Two: 2\r\n\r\n";
	static const enum http_field_id want[] = {FIELD_HOST,      FIELD_CONTENT_LENGTH,
						  FIELD_EXPECT,    FIELD_FORWARDED,
						  FIELD_FORWARDED, FIELD_FORWARDED,
						  FIELD_FORWARDED, FIELD_HOP,
						  FIELD_HOP,       FIELD_HOP,
						  FIELD_HOP,       FIELD_HOP,
						  FIELD_HOP,       FIELD_HOP,
						  FIELD_HOP,       FIELD_OTHER};
	struct http_head h;

	(void)state;
	assert_int_equal(http_parse_request(&h, text, sizeof(text) - 1, HEAD_MAX), PARSE_OK);
	assert_int_equal(h.n_fields, ROWS(want));
	for (size_t i = 0; i < ROWS(want); i++)
		if (h.fields[i].id != want[i])
			fail_msg("%.*s: %d", (int)h.fields[i].name.len, h.fields[i].name.p, h.fields[i].id);
	assert_true(h.expect_continue);
	assert_true(h.keep_alive); /* Proxy-Connection says nothing */
	assert_true(slice_is(h.fields[2].value, "100-Continue"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_requests_are_understood),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(responses_are_understood_or_refused),
		cmocka_unit_test(cut_anywhere_says_more),
		cmocka_unit_test(the_rest_is_not_ours),
		cmocka_unit_test(hopeless_starts_are_refused_at_once),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(long_names_are_no_names),
		cmocka_unit_test(methods_are_known),
		cmocka_unit_test(fields_have_their_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
