"""Every row is sent to the http listener whole, in small pieces, and (what is refused) behind a good request for alice.

alice lives on the client side, bob on transit, and names of no account are refused, so whoever is reached was named.
"""
import sys

from lab import Backend, Checks, Closed, Conn, TRANSIT, field, import_accounts, wait_until

A, B = b"alice.example", b"bob.example"


def req(*lines, start=b"GET /x HTTP/1.1", body=b""):
    return b"\r\n".join((start,) + lines) + b"\r\n\r\n" + body


def host(value):
    return req(b"Host: " + value)


ANY = None                # any 4xx or 5xx, or just the end of the connection
REFUSED = ("refused", ANY)
TO_A, TO_B = ("to", "client"), ("to", "transit")
NEVER_B = ("never", "transit")  # refused, or alice's: both are right answers
NEVER_A = ("never", "client")


def status(*codes):
    return ("refused", codes)


def plain_rows():
    rows = []

    def row(name, data, want):
        rows.append((name, data, want))

    row("dup-host-A-B", req(b"Host: " + A, b"Host: " + B), status(400))
    row("dup-host-B-A-far", req(b"hOST: " + B, *[b"X-%d: y" % n for n in range(40)], b"Host: " + A), status(400))
    row("dup-host-same", req(b"Host: " + A, b"Host: " + A), NEVER_B)
    row("no-host-11", req(b"X: y"), status(400))
    row("empty-host", host(b""), REFUSED)
    row("http10-no-host", req(start=b"GET / HTTP/1.0"), REFUSED)
    row("v-http10-host", req(b"Host: " + B, start=b"GET / HTTP/1.0"), TO_B)
    row("abs-form-B-host-A", req(b"Host: " + A, start=b"GET http://bob.example/x HTTP/1.1"), TO_B)
    row("abs-form-A-host-B", req(b"Host: " + B, start=b"GET http://alice.example/x HTTP/1.1"), TO_A)
    row("abs-form-userinfo-A", req(b"Host: " + B, start=b"GET http://alice.example@bob.example/ HTTP/1.1"), REFUSED)
    row("abs-form-userinfo-B", req(b"Host: " + A, start=b"GET http://bob.example:80@alice.example/ HTTP/1.1"), REFUSED)
    row("abs-form-backslash", req(b"Host: " + A, start=b"GET http://bob.example\\@alice.example/ HTTP/1.1"), REFUSED)
    row("abs-form-empty-authority", req(b"Host: " + A, start=b"GET http:///x HTTP/1.1"), status(400))
    row("abs-form-only-port", req(b"Host: " + A, start=b"GET http://:80/x HTTP/1.1"), REFUSED)
    row("abs-form-no-slashes", req(b"Host: " + A, start=b"GET http:alice.example/ HTTP/1.1"), REFUSED)
    row("abs-form-other-scheme", req(b"Host: " + A, start=b"GET ftp://bob.example/ HTTP/1.1"), REFUSED)
    row("v-abs-form-no-path", req(b"Host: " + A, start=b"GET http://bob.example HTTP/1.1"), TO_B)
    row("v-abs-form-query", req(b"Host: " + A, start=b"GET http://bob.example?q HTTP/1.1"), NEVER_A)
    row("target-without-slash", req(b"Host: " + A, start=b"GET x HTTP/1.1"), REFUSED)
    row("get-star", req(b"Host: " + A, start=b"GET * HTTP/1.1"), REFUSED)
    row("v-options-star", req(b"Host: " + B, start=b"OPTIONS * HTTP/1.1"), TO_B)
    for name, value in {
        "comma": b"alice.example,bob.example", "comma-space": b"alice.example, bob.example", "space": b"alice.example bob.example",
        "tab": b"alice.example\tbob.example", "userinfo": b"alice.example@bob.example", "slash": b"bob.example/alice.example",
        "hash": b"alice.example#bob.example", "question": b"alice.example?bob.example", "backslash": b"alice.example\\bob.example",
        "nul": b"alice.example\0bob.example", "nul-end": b"alice.example\0", "ctl": b"alice\x01.example", "del": b"alice.example\x7f",
        "port-name": b"alice.example:http", "two-ports": b"alice.example:80:80", "open-bracket": b"[::1", "bracket-b": b"[::1]bob.example",
        "quoted": b'"alice.example"', "high": b"alice.example\xff", "u-label": "b\u00fccher.example".encode(), "semicolon": b"alice.example;b",
        "minus-port": b"alice.example:-80", "plus-port": b"alice.example:+80", "hex-port": b"alice.example:0x50",
        "space-port": b"alice.example: 80", "empty-label": b"alice..example", "only-dot": b".", "only-port": b":80",
    }.items():
        row("host-bad-" + name, host(value), status(400, 421))
    row("host-port-overflow", host(A + b":65616"), status(400, 421))
    row("host-port-huge", host(A + b":" + b"9" * 300), status(400, 421, 431))
    for name, value in {
        "v6": b"[2001:db8::1]", "percent": b"alice%2eexample", "x-b": b"xbob.example", "b-suffix": b"bob.example.evil.example",
        "dot-b": b".bob.example", "dot-dot": b"alice.example..", "star-a": b"*.alice.example.", "star": b"*.alice.example",
        "long": b"a" * 300 + b".bob.example", "ip": b"192.0.2.10", "tld": b"example", "int-ip": b"3221225994",
    }.items():
        row("host-unknown-" + name, host(value), REFUSED)
    row("host-trailing-dot", host(A + b"."), NEVER_B)
    row("v-host-case", host(b"AlIcE.ExAmPlE"), TO_A)
    row("v-host-port", host(B + b":80"), TO_B)
    row("v-host-other-port", host(B + b":8080"), TO_B)
    row("v-host-empty-port", host(A + b":"), TO_A)
    row("v-host-ows", req(b"Host:\t " + A + b" \t"), TO_A)
    row("v-host-no-space", req(b"Host:" + A), TO_A)
    row("v-wildcard", host(b"a.b.bob.example"), TO_B)
    row("host-space-before-colon", req(b"Host : " + A), status(400))
    row("host-tab-before-colon", req(b"Host\t: " + A), status(400))
    row("host-B-space-before-colon", req(b"Host: " + A, b"Host : " + B), status(400))
    row("ws-before-first-header", req(b" Host: " + A), status(400))
    row("ws-before-first-header-two", req(b" X: y", b"Host: " + A), status(400))
    row("tab-before-first-header", req(b"\tHost: " + B, b"Host: " + A), status(400))
    row("obs-fold-host", req(b"Host: " + A, b" " + B), status(400))
    row("obs-fold-host-empty", req(b"Host:", b" " + A), status(400))
    row("obs-fold-hides-host", req(b"X: y", b" Host: " + B, b"Host: " + A), NEVER_B)
    row("obs-fold-tab-hides-host", req(b"X: y", b"\tHost: " + B, b"Host: " + A), NEVER_B)
    row("bare-cr-second-host", req(b"Host: " + A + b"\rHost: " + B), status(400))
    row("bare-cr-x-host", req(b"X: y\rHost: " + B, b"Host: " + A), status(400))
    row("bare-lf-second-host", b"GET / HTTP/1.1\r\nHost: alice.example\nHost: bob.example\r\n\r\n", status(400))
    row("bare-lf-everywhere", b"GET / HTTP/1.1\nHost: alice.example\n\n", NEVER_B)
    row("bare-lf-end", b"GET / HTTP/1.1\r\nHost: alice.example\r\n\nGET / HTTP/1.1\r\nHost: bob.example\r\n\r\n", status(400))
    row("nul-in-value", req(b"Host: " + A, b"X: a\0b"), status(400))
    row("bare-cr-in-value", req(b"Host: " + A, b"X: a\rb"), status(400))
    row("ctl-in-value", req(b"Host: " + A, b"X: a\x01b"), REFUSED)
    row("vt-before-host", req(b"X: y\x0bHost: " + B, b"Host: " + A), status(400))
    row("vt-begins-host", req(b"\x0bHost: " + B, b"Host: " + A), status(400))
    row("ff-after-host", req(b"Host\x0c: " + B, b"Host: " + A), status(400))
    row("field-no-colon", req(b"Host: " + A, b"garbage"), status(400))
    row("field-bad-name", req(b"Host: " + A, b"a b: c"), status(400))
    row("field-bad-name-paren", req(b"Host: " + A, b"a(b: c"), status(400))
    row("field-high-name", req(b"Host: " + A, b"\xe9: c"), status(400))
    row("field-empty-name", req(b": x", b"Host: " + A), status(400))
    row("field-empty-name-hides", req(b"Host: " + A, b": ", b"Content-Length: 5", body=b"GET /"), status(400))
    row("header-end-cr-x", b"GET / HTTP/1.1\r\nHost: alice.example\r\n\rX\r\n\r\n", status(400))
    row("header-end-cr-cr-lf", b"GET / HTTP/1.1\r\nHost: alice.example\r\n\r\r\n", status(400))
    row("http09", b"GET /\r\n", REFUSED)
    row("http09-lf", b"GET /\n", REFUSED)
    row("http09-host", b"GET /\r\nHost: bob.example\r\n\r\n", REFUSED)
    for v in (b"HTTP/2.0", b"HTTP/1.2", b"HTTP/0.9", b"http/1.1", b"HTTP/01.1", b"HTTP/1.01", b"HTTP/1.1 x", b"HTTP/1,1", b"HTTP/1", b"HTTP/.1",
              b"XTTP/1.1", b"HTTP/1.1\t", b"HTTP/1.1 ", b"HTTP/+1.1", b"HTTP/1.1\0"):
        row("version-" + repr(v)[2:-1].replace(" ", "_"), req(b"Host: " + A, start=b"GET / " + v), status(400, 505))
    row("double-space", req(b"Host: " + A, start=b"GET  / HTTP/1.1"), REFUSED)
    row("double-space-end", req(b"Host: " + A, start=b"GET /  HTTP/1.1"), REFUSED)
    row("tab-separators", req(b"Host: " + A, start=b"GET\t/\tHTTP/1.1"), REFUSED)
    row("space-first", req(b"Host: " + A, start=b" GET / HTTP/1.1"), REFUSED)
    row("method-invalid", req(b"Host: " + A, start=b"G(T / HTTP/1.1"), status(400))
    row("method-empty", req(b"Host: " + A, start=b" / HTTP/1.1"), status(400))
    row("method-nul", req(b"Host: " + A, start=b"GE\0T / HTTP/1.1"), status(400))
    row("target-nul", req(b"Host: " + A, start=b"GET /a\0b HTTP/1.1"), status(400))
    row("target-ctl", req(b"Host: " + A, start=b"GET /a\x08b HTTP/1.1"), status(400))
    row("target-cr", req(b"Host: " + A, start=b"GET /a\rb HTTP/1.1"), status(400))
    row("target-fragment", req(b"Host: " + A, start=b"GET /a#b HTTP/1.1"), status(400))
    row("target-fragment-host", req(b"Host: " + A, start=b"GET http://alice.example#bob.example/ HTTP/1.1"), REFUSED)
    row("connect-a", req(b"Host: " + A, start=b"CONNECT alice.example:443 HTTP/1.1"), status(400, 405))
    row("connect-b", req(b"Host: " + A, start=b"CONNECT bob.example:443 HTTP/1.1"), status(400, 405))
    row("connect-origin", req(b"Host: " + B, start=b"CONNECT / HTTP/1.1"), status(400, 405))
    row("trace", req(b"Host: " + A, start=b"TRACE / HTTP/1.1"), NEVER_B)
    row("h2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9, REFUSED)
    row("tls-on-http-port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500, REFUSED)
    row("ssh-on-http-port", b"SSH-2.0-OpenSSH_9.2\r\n", REFUSED)
    row("v-x-forwarded-host-ignored", req(b"Host: " + A, b"X-Forwarded-Host: " + B, b"X-Host: " + B, b"Forwarded: host=bob.example"), TO_A)
    row("v-connection-host", req(b"Host: " + A, b"Connection: Host, keep-alive"), NEVER_B)
    row("v-double-slash-target", req(b"Host: " + A, start=b"GET //bob.example/x HTTP/1.1"), TO_A)
    row("v-empty-line-first", b"\r\n" + host(B), TO_B)
    row("many-empty-lines-first", b"\r\n" * 50 + host(B), REFUSED)
    row("v-odd-method", req(b"Host: " + B, start=b"M-SEARCH /x HTTP/1.1"), TO_B)
    row("v-field-odd-name", req(b"Host: " + B, b"!#$%&'*+-.^_`|~: x"), TO_B)
    row("v-utf8-value", req(b"Host: " + B, "X: b\u00fccher".encode()), TO_B)
    row("v-100-fields", req(b"Host: " + B, *[b"X-%d: y" % n for n in range(98)]), TO_B)
    row("fields-101", req(b"Host: " + A, *[b"X-%d: y" % n for n in range(101)]), status(431, 400))
    row("headers-5000", req(b"Host: " + A, *[b"X-%d: y" % n for n in range(5000)]), status(431, 400))
    row("header-100k", req(b"Host: " + A, b"X: " + b"y" * 100000), status(431, 400))
    row("header-100k-no-end", b"GET / HTTP/1.1\r\nHost: alice.example\r\nX: " + b"y" * 100000, status(431, 400))
    row("uri-100k", req(b"Host: " + A, start=b"GET /" + b"u" * 100000 + b" HTTP/1.1"), status(414, 431))
    row("uri-100k-no-end", b"GET /" + b"u" * 100000, status(414, 431))
    row("v-uri-8000", req(b"Host: " + B, start=b"GET /" + b"u" * 7900 + b" HTTP/1.1"), TO_B)
    row("expect-unknown", req(b"Host: " + A, b"Expect: 200-maybe"), ("refused", (417, 400)))
    return rows


def reached(side, client, transit):
    return (client if side == "client" else transit).requests()


def run(c, client, transit, name, data, want, split, prefix):
    client.forget()
    transit.forget()
    label = "%s%s%s" % (name, " (split)" if split else "", " (2nd)" if prefix else "")
    code, closed = None, True
    with Conn() as v:
        n_before = 0
        if prefix:
            v.send(host(A))
            v.response()
            n_before = 1
        v.send(data, split=split, gap=0)
        try:
            code, fields, _ = v.response(head_only=data.startswith(b"HEAD"))
            closed = v.until_close(15) is not None if want[0] == "refused" or code >= 400 else None
        except Closed:
            pass
        except TimeoutError:
            code, closed = "no answer", False
    a, b = client.requests()[n_before:], transit.requests()
    odd = client.odd() + transit.odd()
    c.ok(label + " canonical", not odd, odd)
    if want[0] == "to":
        here, there = (a, b) if want[1] == "client" else (b, a)
        c.ok(label, code == 200 and len(here) == 1 and not there, "answer %r, client got %r, transit got %r" % (code, a, b))
    elif want[0] == "never":
        wrong = a if want[1] == "client" else b
        good = (code == 200 and len(a) + len(b) == 1) or (code != 200 and closed and not a and not b)
        c.ok(label, good and not wrong, "answer %r, closed %r, client got %r, transit got %r" % (code, closed, a, b))
    else:
        good = code is None or isinstance(code, int) and 400 <= code < 600 and (want[1] is None or code in want[1])
        c.ok(label, good, "answer %r instead of %r" % (code, want[1] or "4xx"))
        c.ok(label + " closes", closed, "still open after the refusal")
        c.ok(label + " nobody", not a and not b, "client got %r, transit got %r" % (a, b))


def flush(c, client, transit):
    """What was wrongly forwarded has arrived by the time a later request has."""
    for name, back in ((A, client), (B, transit)):
        with Conn() as v:
            v.send(req(b"Host: " + name, start=b"GET /marker HTTP/1.1"))
            v.response()
    for back in (client, transit):
        strangers = [r for r in back.requests() if "/marker" not in r[0][0]]
        c.ok("flush", not strangers and not back.odd(), "%s also got %r %r" % (back.side, strangers, back.odd()))


def main():
    import_accounts()
    client = Backend("client", "127.0.0.1", 8080)
    transit = Backend("transit", TRANSIT, 80)
    c = Checks()
    only = sys.argv[1:]
    for name, data, want in plain_rows():
        if only and name not in only:
            continue
        run(c, client, transit, name, data, want, None, False)
        if len(data) < 2000:
            run(c, client, transit, name, data, want, 3, False)
        if want[0] == "refused":
            run(c, client, transit, name, data, want, None, True)
            client.forget()
            transit.forget()
            flush(c, client, transit)

    # What strangers say about where they come from is replaced; the Host that is forwarded is the one that was routed by.
    for back in (client, transit):
        back.forget()
    with Conn(src="203.0.113.12") as v:
        v.send(req(b"Host: " + A, b"X-Forwarded-For: 10.9.9.9", b"X-Real-IP: 10.9.9.9", b"x-forwarded-proto: https", b"Forwarded: for=10.9.9.9"))
        v.response()
    head = wait_until(lambda: client.requests())[0][0]
    c.ok("x-forwarded-for replaced", field(head, "x-forwarded-for") == ["203.0.113.12"], head)
    c.ok("x-real-ip replaced", field(head, "x-real-ip") == ["203.0.113.12"], head)
    c.ok("x-forwarded-proto replaced", field(head, "x-forwarded-proto") == ["http"], head)
    c.ok("forwarded dropped", not any("10.9.9.9" in line for line in head), head)
    with Conn() as v:
        v.send(req(b"Host: " + A, start=b"TRACE / HTTP/1.1"))
        status, fields, _ = v.response()
    c.ok("405 says what is allowed", status == 405 and "GET" in fields.get("allow", ""), fields)
    transit.forget()
    with Conn() as v:
        v.send(req(b"Host: alice.example", start=b"GET http://bob.example/abs?q=1 HTTP/1.1"))
        v.response()
    head = wait_until(lambda: transit.requests())[0][0]
    c.ok("absolute form rewritten", head[0] == "GET /abs?q=1 HTTP/1.1" and field(head, "host") == ["bob.example"], head)
    c.end()


main()
