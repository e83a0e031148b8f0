"""alice lives on the client side, bob on transit. Hidden behind each doubtful body is a request for bob: bob's side must never see it."""
import hashlib
import socket
import struct
import sys
import time

from lab import Backend, Checks, Closed, Conn, TRANSIT, control, field, import_accounts, wait_until

A, B = b"alice.example", b"bob.example"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: bob.example\r\n\r\n"


def req(host, *lines, method=b"GET", target=b"/x", version=b"HTTP/1.1", body=b""):
    return b"\r\n".join((method + b" " + target + b" " + version, b"Host: " + host) + lines) + b"\r\n\r\n" + body


def post(*lines, body=b"", host=A, target=b"/post"):
    return req(host, *lines, method=b"POST", target=target, body=body)


def chunked(*lines, body=b""):
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


# What must come of it. "refuse": nobody is reached at all. "abort": alice's side may have seen a beginning but never a whole request.
# "safe": alice's side may take it as one request, whole and canonical; a refusal is right as well. In all of them bob's side sees nothing,
# and the connection ends (or, where the request was taken as one, what follows is answered in order).
def request_rows():
    rows = []

    def row(name, data, want):
        rows.append((name, data, want))

    cl = b"Content-Length: %d" % len(HIDDEN)
    row("cl-te", post(b"Content-Length: 6", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN), "refuse")
    row("te-cl", post(b"Transfer-Encoding: chunked", cl, body=b"0\r\n\r\n" + HIDDEN), "refuse")
    row("te-cl-0", post(b"Transfer-Encoding: chunked", b"Content-Length: 0", body=b"0\r\n\r\n" + HIDDEN), "refuse")
    for name, te in {
        "xchunked": b"Transfer-Encoding: xchunked", "space-colon": b"Transfer-Encoding : chunked", "vt": b"Transfer-Encoding: \x0bchunked",
        "85": b"Transfer-Encoding: \x85chunked", "quoted": b'Transfer-Encoding: "chunked"', "identity-2": b"Transfer-Encoding: chunked, identity",
        "identity": b"Transfer-Encoding: identity", "empty": b"Transfer-Encoding: ", "two-words": b"Transfer-Encoding: chunked foo",
        "nul": b"Transfer-Encoding: chunked\0", "cr": b"Transfer-Encoding: \rchunked", "twice-list": b"Transfer-Encoding: chunked, chunked",
        "parameter": b"Transfer-Encoding: chunked;q=1", "comma": b"Transfer-Encoding: ,chunked", "comma-end": b"Transfer-Encoding: chunked,",
        "gzip-chunked": b"Transfer-Encoding: gzip, chunked", "lines": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "two-lines": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "fold": b"Transfer-Encoding:\r\n chunked",
        "fold-name": b"Transfer-\r\n Encoding: chunked", "underscore": b"Transfer_Encoding: chunked", "x": b"X: y\nTransfer-Encoding: chunked",
        "tab": b"Transfer-Encoding\t: chunked", "cr-before": b"X: y\rTransfer-Encoding: chunked",
    }.items():
        row("te-%s+cl" % name, post(te, cl, body=HIDDEN), "refuse")
        row("cl+te-%s" % name, post(cl, te, body=HIDDEN), "refuse")
        row("te-%s" % name, post(te, body=b"0\r\n\r\n" + HIDDEN), "refuse")
    row("te-case", post(b"tRANSFER-eNCODING: CHUNKED", body=b"3\r\nabc\r\n0\r\n\r\n"), "safe")
    row("te-in-http10", req(A, b"Transfer-Encoding: chunked", method=b"POST", version=b"HTTP/1.0", body=b"0\r\n\r\n" + HIDDEN), "refuse")
    for name, lines in {
        "differ": b"Content-Length: 0\r\nContent-Length: 44", "differ-rev": b"Content-Length: 44\r\nContent-Length: 0", "list": b"Content-Length: 0, 44",
        "plus": b"Content-Length: +0", "minus": b"Content-Length: -1", "hex": b"Content-Length: 0x0", "space": b"Content-Length: 4 4",
        "empty": b"Content-Length: ", "empty-then-5": b"Content-Length:\r\nContent-Length: 5", "overflow": b"Content-Length: 18446744073709551616",
        "overflow-2": b"Content-Length: 18446744073709551617", "overflow-63": b"Content-Length: 9223372036854775808",
        "trailing": b"Content-Length: 0x", "underscore-value": b"Content-Length: 1_0", "space-colon": b"Content-Length : 0", "float": b"Content-Length: 0.0",
        "nul": b"Content-Length: 0\0", "vt": b"Content-Length: \x0b0", "comma": b"Content-Length: 0,", "semicolon": b"Content-Length: 0;",
        "fold": b"Content-Length:\r\n 0", "high": b"Content-Length: \xb9",
    }.items():
        row("cl-" + name, post(lines, body=HIDDEN), "refuse")
    row("cl-underscore-name", post(b"Content_Length: 45", body=HIDDEN[:0]), "refuse")
    row("cl-same-twice", post(b"Content-Length: 3\r\nContent-Length: 3", body=b"abc"), "safe")
    row("cl-list-same", post(b"Content-Length: 3, 3", body=b"abc"), "safe")
    row("cl-leading-zeros", post(b"Content-Length: 0003", body=b"abc"), "safe")
    for name, body in {
        "0x": b"0x3\r\nabc\r\n0\r\n\r\n", "plus": b"+3\r\nabc\r\n0\r\n\r\n", "minus": b"-3\r\nabc\r\n0\r\n\r\n", "underscore": b"0_3\r\nabc\r\n0\r\n\r\n",
        "empty": b"\r\nabc\r\n0\r\n\r\n", "letters": b"xyz\r\nabc\r\n0\r\n\r\n", "overflow": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
        "overflow-64": b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n", "leading-space": b" 3\r\nabc\r\n0\r\n\r\n", "no-crlf": b"3\r\nabcX0\r\n\r\n",
        "no-crlf-2": b"3\r\nabc0\r\n\r\n", "cr-in-ext": b"3;a\rb\r\nabc\r\n0\r\n\r\n", "cr-cr": b"3\r\r\nabc\r\n0\r\n\r\n", "lf-only": b"3\nabc\n0\n\n",
        "lf-after-size": b"3\nabc\r\n0\r\n\r\n", "lf-after-data": b"3\r\nabc\n0\r\n\r\n", "ext-bare-lf": b"3;\nxx\r\nabc\r\n0\r\n\r\n",
        "ext-bare-lf-2": b"3;a=b\nabc\r\n0\r\n\r\n", "ext-nul": b"3;a\0b\r\nabc\r\n0\r\n\r\n", "final-xx": b"3\r\nabc\r\n0\r\nxx",
        "final-lf": b"3\r\nabc\r\n0\r\n\n", "semicolon-first": b";a\r\nabc\r\n0\r\n\r\n", "space-in-size": b"3 0\r\nabc\r\n0\r\n\r\n",
        "trailer-bad-name": b"0\r\nHo st: x\r\n\r\n", "trailer-no-colon": b"0\r\ngarbage\r\n\r\n", "trailer-bare-lf": b"0\r\nX: y\nZ: w\r\n\r\n",
        "trailer-nul": b"0\r\nX: \0\r\n\r\n", "trailer-fold": b"0\r\nX: y\r\n z\r\n\r\n", "trailer-100k": b"0\r\nX: " + b"y" * 100000 + b"\r\n\r\n",
        "ext-100k": b"3;" + b"y" * 100000 + b"\r\nabc\r\n0\r\n\r\n", "vt": b"\x0b3\r\nabc\r\n0\r\n\r\n", "zeros": b"0" * 300 + b"3\r\nabc\r\n0\r\n\r\n",
    }.items():
        row("chunk-" + name, chunked(body=body + HIDDEN), "abort")
    return rows


def run_request(c, client, transit, name, data, want, split):
    client.forget()
    transit.forget()
    label = name + (" (split)" if split else "")
    code, rest = None, b""
    with Conn() as v:
        v.send(data, split=split, gap=0)
        try:
            code, _, _ = v.response()
        except Closed:
            pass
        except TimeoutError:
            code = "no answer"
        if want != "safe" or code != 200:
            rest = v.until_close(15)
    wait_until(lambda: all(g.ended for g in client.conns) or code == 200, 1)
    whole = client.requests()
    c.ok(label + " bob", not transit.bytes(), "bob's side got %r" % transit.bytes()[:200])
    c.ok(label + " once", len(whole) <= 1, "alice's side got %r" % whole)
    if want == "safe":
        c.ok(label + " canonical", not client.odd(), client.odd())
        c.ok(label, code == 200 and len(whole) == 1 or code in (400, 501) and not whole, "answer %r, %r" % (code, whole))
        return
    c.ok(label, code in (None, 400, 411, 431, 501, 502), "answer %r" % code)
    c.ok(label + " closes", rest is not None, "still open")
    c.ok(label + " nothing more", not rest, "after the refusal came %r" % rest)
    c.ok(label + " incomplete", not whole, "alice's side took %r" % whole)
    if want == "refuse":
        c.ok(label + " nobody", not client.bytes(), "alice's side got %r" % client.bytes()[:200])


def answer_of(v):
    status, fields, body = v.response()
    return status, fields.get("x-side"), body


def pipelines(c, client, transit):
    """Several requests on one connection: each to its own back end, answers in order."""
    get = {n: req(h, target=b"/" + str(i).encode()) for i, (n, h) in enumerate({"A": A, "B": B}.items())}
    rows = {
        "v-pipeline-A-B-A": (get["A"] + get["B"] + get["A"], "ABA"),
        "v-pipeline-B-A-B-B-A": (get["B"] + get["A"] + get["B"] + get["B"] + get["A"], "BABBA"),
        "v-pipeline-postA-getB": (post(b"Content-Length: 5", body=b"hello") + get["B"], "AB"),
        "v-pipeline-chunkedA-getB": (chunked(body=b"5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n") + get["B"], "AB"),
        "v-pipeline-postA-body-like-B": (post(b"Content-Length: %d" % len(HIDDEN), body=HIDDEN) + get["A"], "AA"),
        "v-chunk-body-like-B": (chunked(body=b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n") + get["A"], "AA"),
        "post-cl0-pipelined-B": (post(b"Content-Length: 0") + get["B"], "AB"),
        "post-no-length-pipelined-B": (post() + get["B"], "AB"),
        "v-get-with-body": (req(A, b"Content-Length: %d" % len(HIDDEN), body=HIDDEN) + get["B"], "AB"),
        "v-options-chunked-body": (req(A, b"Transfer-Encoding: chunked", method=b"OPTIONS",
                                       body=b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n") + get["B"], "AB"),
        "v-delete-with-body": (req(A, b"Content-Length: 4", method=b"DELETE", body=b"GET ") + get["B"], "AB"),
        "trailer-host-b": (chunked(body=b"0\r\nHost: bob.example\r\n\r\n") + get["A"], "AA"),
        "trailer-cl": (chunked(body=b"0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n") + get["B"], "AB"),
        "v-chunk-sizes": (chunked(body=b"A\r\n0123456789\r\n00001\r\nx\r\n0\r\n\r\n") + get["B"], "AB"),
        "v-100-pipelined": ((get["A"] + get["B"]) * 50, "AB" * 50),
    }
    name_of = {"A": "client", "B": "transit"}
    for name, (data, want) in rows.items():
        for split in (None, 7):
            if split and len(want) > 20:
                continue
            client.forget()
            transit.forget()
            got = []
            with Conn() as v:
                v.send(data, split=split, gap=0)
                try:
                    for _ in want:
                        got.append(answer_of(v))
                except (Closed, TimeoutError):
                    pass
            sides = [g[1] for g in got]
            c.ok("%s split=%s" % (name, split), sides == [name_of[w] for w in want] and all(g[0] == 200 for g in got), "answers %r" % got[:6])
            n = (len(client.requests()), len(transit.requests()))
            c.ok(name + " reached", n == (want.count("A"), want.count("B")), "requests at client and transit: %r" % (n,))
            c.ok(name + " canonical", not client.odd() + transit.odd(), client.odd() + transit.odd())
            for head, _ in client.requests():
                c.ok(name + " host", field(head, "host") == ["alice.example"], head)
                c.ok(name + " no trailer in the head", len(field(head, "content-length")) + len(field(head, "transfer-encoding")) <= 1, head)

    # one after the other on a kept connection, the side changing each time
    with Conn() as v:
        sides = []
        for n in range(20):
            v.send(get["AB"[n % 2]])
            sides.append(answer_of(v)[1])
    c.ok("v-keepalive-A-B-A", sides == ["client", "transit"] * 10, sides)

    # nothing is served after a close, nor behind garbage
    transit.forget()
    with Conn() as v:
        v.send(req(A, b"Connection: close") + HIDDEN)
        got = answer_of(v)
        rest = v.until_close(15)
    c.ok("connection-close-then-B", got[0] == 200 and rest == b"" and not transit.bytes(), "%r then %r, bob %r" % (got, rest, transit.bytes()))
    transit.forget()
    with Conn() as v:
        v.send(req(A, version=b"HTTP/1.0") + HIDDEN)
        got = answer_of(v)
        rest = v.until_close(15)
    c.ok("http10-closes-then-B", got[0] == 200 and rest == b"" and not transit.bytes(), "%r then %r" % (got, rest))
    with Conn() as v:
        v.send(req(A) + b"\x00\x01garbage\r\n\r\n" + HIDDEN)
        got = answer_of(v)
        try:
            second = v.response()[0]
        except Closed:
            second = None
        rest = v.until_close(15)
    c.ok("valid-then-garbage", got[0] == 200 and second in (400, None) and rest == b"" and not transit.bytes(), "%r %r %r" % (got, second, rest))
    with Conn() as v:
        v.send(req(A, b"Connection: keep-alive", version=b"HTTP/1.0"))
        got = v.response()
        v.send(req(B, b"Connection: keep-alive", version=b"HTTP/1.0"))
        second = v.response()
    c.ok("v-http10-keep-alive", got[0] == second[0] == 200 and second[1].get("x-side") == "transit", (got, second))

    # a long chunked body arrives whole, whatever its chunks
    client.forget()
    body = bytes(i * 7 % 251 for i in range(300000))
    data, at, n = b"", 0, 1
    while at < len(body):
        data += b"%x\r\n" % len(body[at:at + n]) + body[at:at + n] + b"\r\n"
        at, n = at + n, min(n * 3, 70000)
    with Conn() as v:
        v.send(chunked(body=data + b"0\r\n\r\n"), split=9973, gap=0)
        got = answer_of(v)
    whole = client.requests()
    c.ok("v-chunked-300k", got[0] == 200 and len(whole) == 1 and hashlib.sha256(whole[0][1]).digest() == hashlib.sha256(body).digest(), got)


def truncated(c, client, transit):
    rows = {
        "truncated-head-close": b"GET /x HTTP/1.1\r\nHost: alice.exam",
        "truncated-body-close": post(b"Content-Length: 100", body=b"only this"),
        "truncated-chunk-close": chunked(body=b"64\r\nonly this"),
        "truncated-last-chunk": chunked(body=b"4\r\nfour\r\n"),
        "truncated-final-crlf": chunked(body=b"4\r\nfour\r\n0\r\n"),
    }
    for name, data in rows.items():
        for how in ("half-close", "close", "reset"):
            client.forget()
            with Conn() as v:
                v.send(data)
                if how == "half-close":
                    v.half_close()
                    rest = v.until_close(15)
                    c.ok("%s %s ends" % (name, how), rest is not None and b" 200 " not in rest, rest)
                elif how == "reset":
                    v.rst()
            good = wait_until(lambda: all(g.ended for g in client.conns if g.data))
            c.ok("%s %s" % (name, how), good and not client.requests(), "alice's side: %r" % [(g.data, g.ended) for g in client.conns])
            with Conn() as v:  # nothing is glued to it
                v.send(req(A, target=b"/after"))
                got = answer_of(v)
            c.ok("%s %s after" % (name, how), got == (200, "client", b"client /after\n"), got)


def expects(c, client, transit):
    def on_data(got):
        if b"/expect-silent" in got.data and not got.requests:
            if b"\r\n\r\n" in got.data and got.data.endswith(b"hello"):
                got.requests.append((["x"], b"hello"))
                got.sock.sendall(b"HTTP/1.1 200 OK\r\nX-Side: client\r\nContent-Length: 2\r\n\r\nok")
        elif b"/expect-403" in got.data and not got.requests:
            got.requests.append((["x"], b""))
            got.sock.sendall(b"HTTP/1.1 403 No\r\nX-Side: client\r\nContent-Length: 2\r\n\r\nno")
        elif b"/expect" in got.data and not got.requests:
            if b"hello" in got.data:
                got.requests.append((["x"], b"hello"))
                got.sock.sendall(b"HTTP/1.1 200 OK\r\nX-Side: client\r\nContent-Length: 2\r\n\r\nok")
            elif got.scanned == 0:
                got.scanned = 1
                got.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    client.close()
    raw = Backend("client", "127.0.0.1", 8080, mode="raw", on_data=on_data)
    with Conn() as v:
        v.send(post(b"Content-Length: 5", b"Expect: 100-continue", target=b"/expect"))
        first = v.response()
        v.send(b"hello")
        second = v.response() if first[0] == 100 else None
    c.ok("v-expect-100", first[0] == 100 and second and second[0] == 200, (first, second))
    # the back end says nothing for a second: the client sends its body anyway, and that must work
    raw.forget()
    with Conn() as v:
        v.send(post(b"Content-Length: 5", b"Expect: 100-continue", target=b"/expect-silent"))
        wait_until(lambda: b"/expect-silent" in raw.bytes())
        v.send(b"hello")
        got = v.response()
        while got[0] == 100:
            got = v.response()
    c.ok("v-expect-100-silent", got[0] == 200, got)
    # a final answer instead of 100: what follows is body, or the connection ends; never a request
    for name, n in (("expect-final-then-smuggle", len(HIDDEN)), ("expect-final-then-more", 5)):
        raw.forget()
        transit.forget()
        with Conn() as v:
            v.send(post(b"Content-Length: %d" % n, b"Expect: 100-continue", target=b"/expect-403"))
            got = v.response()
            v.send(HIDDEN)
            rest = v.until_close(15)
        c.ok(name, got[0] == 403 and rest is not None and not transit.bytes() or n == 5 and got[0] == 403, "%r %r bob %r" % (got, rest, transit.bytes()))
        if n != 5:
            c.ok(name + " bob", not transit.bytes(), transit.bytes())
    for value in (b"100-continue, x", b"x-100-continue", b"100-continue\x0b", b" 100-continue;q", b"y 100-continue"):
        raw.forget()
        with Conn() as v:
            v.send(post(b"Content-Length: 5", b"Expect: " + value, target=b"/expect-403", body=b"hello"))
            try:
                got = v.response()[0]
            except Closed:
                got = None
        c.ok("expect-obfuscated %r" % value, got in (None, 400, 417) and not raw.bytes(), "%r %r" % (got, raw.bytes()))
    raw.close()
    return Backend("client", "127.0.0.1", 8080)


def upgrades(c, transit):
    """A tunnel exists only after a 101."""
    ws = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")

    def answer(got, head, body):
        if "/yes" in head[0]:
            got.tunnel = True
            return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + b"first words"
        if "/no" in head[0]:
            return b"HTTP/1.1 400 No\r\nX-Side: client\r\nContent-Length: 2\r\n\r\nno"
        return client.plain(got, head, body)

    tunnel = []
    client = Backend("client", "127.0.0.1", 8080, answer=answer)

    with Conn() as v:
        v.send(req(A, *ws, target=b"/yes"))
        head = v.response()
        early = v.exactly(11)
        v.send(HIDDEN)
        seen = client.wait(lambda b: b.bytes().endswith(HIDDEN))
        for g in client.conns:
            if g.data.endswith(HIDDEN):
                g.sock.sendall(b"\x81\x02ok")
        reply = v.exactly(4)
        v.half_close()
        ended = wait_until(lambda: [g for g in client.conns if g.ended])
    c.ok("v-websocket-tunnel", head[0] == 101 and head[1].get("upgrade", "").lower() == "websocket" and early == b"first words" and seen and
         reply == b"\x81\x02ok", (head, early, seen, reply))
    c.ok("websocket ends", ended, [g.ended for g in client.conns])
    c.ok("websocket bob", not [r for r in transit.requests() if "/hidden" in r[0][0]], transit.requests())
    client.forget()
    transit.forget()
    with Conn() as v:
        v.send(req(A, *ws, target=b"/no"))
        first = answer_of(v)
        v.send(req(B, target=b"/second"))
        try:
            second = answer_of(v)
        except Closed:
            second = None
    c.ok("websocket-refused-then-B", first[0] == 400 and second in (None, (200, "transit", b"transit /second\n")), (first, second))
    client.forget()
    transit.forget()
    with Conn() as v:
        v.send(req(A, *ws, target=b"/no") + req(B, target=b"/second"))
        first = answer_of(v)
        try:
            second = answer_of(v)
        except Closed:
            second = None
    c.ok("websocket-refused-pipelined-B", first[0] == 400 and second in (None, (200, "transit", b"transit /second\n")) and
         b"/second" not in client.bytes(), (first, second, client.bytes()))
    for name, lines in {
        "upgrade-h2c": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
        "upgrade-h2c-list": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: websocket, h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
        "upgrade-without-connection": (b"Upgrade: websocket",),
    }.items():
        client.forget()
        with Conn() as v:
            v.send(req(A, *lines, target=b"/plain"))
            got = answer_of(v)
        head = client.requests()[0][0] if client.requests() else []
        c.ok(name, got[0] == 200 and "h2c" not in "".join(field(head, "upgrade")).lower() and not field(head, "http2-settings"), (got, head))
    c.ok("upgrade-without-connection is dropped", not field(head, "upgrade"), head)
    client.close()


def responses(c, transit):
    """What back ends may answer, and what they must not."""
    big = b"z" * 200000
    table = {  # target: (bytes, how the back end's connection goes on, status, body or None: the message must be seen to be broken)
        "/204": (b"HTTP/1.1 204 No Content\r\n\r\n", "keep", 204, b""),
        "/304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\nETag: \"x\"\r\n\r\n", "keep", 304, b""),
        "/chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n", "keep", 200, b"hello!"),
        "/close-delimited": (b"HTTP/1.1 200 OK\r\n\r\n" + big, "fin", 200, big),
        "/http10": (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", "fin", 200, b"old"),
        "/length-close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbye", "fin", 200, b"bye"),
        "/extra": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil", "keep", 200, b"ok"),
        "/extra-chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nX-Evil: 1\r\n\r\n", "keep", 200, b"ok"),
        "/204-body": (b"HTTP/1.1 204 No Content\r\nContent-Length: 40\r\n\r\nHTTP/1.1 200 OK\r\nX-Evil: 1\r\n\r\n.....", "keep", 204, b""),
        "/cl-te": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "keep", 502, b""),
        "/cl-differ": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello", "keep", 502, b""),
        "/garbage": (b"SSH-2.0-x\r\n\r\n", "keep", 502, b""),
        "/lf": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "keep", 502, b""),
        "/nul": (b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 2\r\n\r\nok", "keep", 502, b""),
        "/huge-head": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200000 + b"\r\n\r\n", "keep", 502, b""),
        "/101-unasked": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "keep", 502, b""),
        "/fin-at-once": (b"", "fin", 502, b""),
        "/rst-at-once": (b"", "rst", 502, b""),
        "/half-head": (b"HTTP/1.1 200 OK\r\nContent-Le", "fin", 502, b""),
        "/rst-mid": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000, "rst", 200, None),
        "/fin-mid": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000, "fin", 200, None),
        "/rst-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n" + b"x" * 5000, "rst", 200, None),
        "/fin-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n", "fin", 200, None),
        "/bad-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n", "keep", 200, None),
    }

    def answer(got, head, body):
        target = head[0].split(" ")[1]
        if target not in table:
            return client.plain(got, head, body)
        data, then, _, _ = table[target]
        try:
            got.sock.sendall(data)
            if then == "fin":
                got.sock.shutdown(socket.SHUT_WR)
            elif then == "rst":
                # let what was sent arrive first, and the visitor have some of it: a reset may overtake it
                wait_until(lambda: unsent(got.sock) == 0 and (not data or here[0].buf or here[0].heard()), 5)
                got.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                got.sock.close()
        except OSError:
            pass
        return None

    here = [None]  # the visitor
    client = Backend("client", "127.0.0.1", 8080, answer=answer)
    for target, (_, then, status, body) in table.items():
        client.forget()
        got = second = None
        with Conn() as v:
            here[0] = v
            v.send(req(A, target=target.encode()))
            try:
                got = v.response()
            except Closed:
                got = ("broken",)
            except TimeoutError:
                got = ("no answer",)
            if body is None:
                c.ok("backend " + target, got == ("broken",) or got[0] == 502 and target == "/bad-chunk", "seen as whole: %r" % (got[:2],))
                ended = v.until_close(15)
                c.ok("backend %s ends" % target, ended is not None and not ended.endswith(b"0\r\n\r\n"), ended)
                continue
            good = got[0] == status and (status == 502 or got[2] == body)
            c.ok("backend " + target, good, "%r" % ((got[0], got[1:2], len(got[2])) if len(got) > 2 else got,))
            # the next one on this connection, on either side, gets its own answer or a closed connection
            for host, side in ((B, "transit"), (A, "client")):
                try:
                    v.send(req(host, target=b"/next"))
                    second = v.response()
                    right = second[0] == 200 and second[1].get("x-side") == side and "x-evil" not in second[1]
                except (Closed, OSError):
                    break
                c.ok("backend %s then %s" % (target, side), right, second)
    # 1xx are passed on and are not the answer
    def early(got, head, body):
        target = head[0].split(" ")[1]
        if target == "/103":
            return (b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
                    b"HTTP/1.1 200 OK\r\nX-Side: client\r\nContent-Length: 2\r\n\r\nok")
        if target == "/head":
            return b"HTTP/1.1 200 OK\r\nX-Side: client\r\nContent-Length: 100000\r\n\r\n"
        return client.plain(got, head, body)
    client.answer = early
    with Conn() as v:
        v.send(req(A, target=b"/103"))
        seen = []
        while not seen or seen[-1][0] < 200:
            seen.append(v.response())
        v.send(req(B))
        after = answer_of(v)
    c.ok("v-resp-103", [s[0] for s in seen] in ([103, 102, 200], [103, 200]) and seen[-1][2] == b"ok" and after[1] == "transit", (seen, after))
    with Conn() as v:
        v.send(req(A, method=b"HEAD", target=b"/head") + req(B))
        head = v.response(head_only=True)
        after = answer_of(v)
    c.ok("v-head-then-get", head[0] == 200 and head[1].get("content-length") == "100000" and after[1] == "transit", (head, after))
    with Conn() as v:
        v.send(req(A, b"Content-Length: %d" % len(HIDDEN), method=b"HEAD", target=b"/head", body=HIDDEN) + req(B))
        head = v.response(head_only=True)
        after = answer_of(v)
    c.ok("v-head-with-body", head[0] == 200 and after == (200, "transit", b"transit /x\n"), (head, after))
    # to a HTTP/1.0 reader a chunked answer goes without its framing, and the connection ends
    client.answer = answer
    with Conn() as v:
        v.send(req(A, version=b"HTTP/1.0", target=b"/chunked"))
        got = v.response()
        ended = v.until_close(15)
    c.ok("v-resp-chunked-to-http10", got[0] == 200 and got[2] == b"hello!" and "transfer-encoding" not in got[1] and ended == b"", got)
    client.close()


def unsent(sock):
    import fcntl
    import termios
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]


def lost_posts(c, transit):
    """A POST whose connection dies is delivered once; a GET on a pooled connection that was closed meanwhile may be sent again."""
    mode = {"now": "plain"}

    def answer(got, head, body):
        if mode["now"] == "drop":
            got.sock.shutdown(socket.SHUT_RDWR)
            return None
        return client.plain(got, head, body)

    client = Backend("client", "127.0.0.1", 8080, answer=answer)
    for n in range(5):
        mode["now"] = "plain"
        with Conn() as v:
            v.send(req(A))
            answer_of(v)
            client.forget()
            mode["now"] = "drop"
            v.send(post(b"Content-Length: 5", body=b"hello", target=b"/once"))
            try:
                got = v.response()[0]
            except Closed:
                got = None
        wait_until(lambda: client.requests())
        c.ok("backend-drops-POST-no-retry", got == 502 and len(client.requests()) == 1, "answer %r, delivered %d times" % (got, len(client.requests())))
    # early answers
    def early(got):
        if b"/early" in got.data and not got.requests:
            got.requests.append(([], b""))
            got.sock.sendall(b"HTTP/1.1 413 Too Large\r\nX-Side: client\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")
            got.sock.shutdown(socket.SHUT_WR)
    client.close()
    client = Backend("client", "127.0.0.1", 8080, mode="raw", on_data=early)
    with Conn() as v:
        v.send(post(b"Content-Length: 10000000", target=b"/early", body=b"x" * 1000))
        got = v.response()
        for _ in range(50):
            if not v.send(HIDDEN * 100):
                break
        rest = v.until_close(15)
    c.ok("early-413-before-body", got[0] == 413 and got[2] == b"big" and rest == b"", (got, rest))
    c.ok("early-413 bob", not [r for r in transit.requests() if "/hidden" in r[0][0]], "")
    client.close()


def flips(c):
    """The switch is turned between two requests, and in the middle of an upload."""
    client = Backend("client", "127.0.0.1", 8080)
    transit = Backend("transit", TRANSIT, 80)
    ctl = control()

    def move(side, seconds=5):
        ctl.ask("hold", name="alice")
        drained = ctl.ask("drain", name="alice", seconds=seconds)
        ctl.ask("fence", name="alice")
        ctl.ask("switch", name="alice", side=side)
        ctl.ask("release", name="alice", **{"spread-ms": 0})
        return drained

    with Conn() as v:
        v.send(req(A))
        before = answer_of(v)
        move("transit")
        v.send(req(A))
        after = answer_of(v)
        move("client")
        v.send(req(A))
        back = answer_of(v)
    c.ok("toggle-between-requests", (before[1], after[1], back[1]) == ("client", "transit", "client"), (before, after, back))
    # in the middle of an upload: it finishes on the old side; what is pipelined behind it goes to the new one
    client.forget()
    transit.forget()
    import threading
    with Conn() as v:
        v.send(post(b"Content-Length: 10", body=b"01234"))
        client.wait(lambda b: b.bytes().endswith(b"01234"))
        result = []
        t = threading.Thread(target=lambda: result.append(move("transit", 10)))
        t.start()
        second = control()
        wait_until(lambda: second.ask("account", name="alice")["account"].get("gate") == "held")
        v.send(b"56789" + req(A, target=b"/behind"))
        one = answer_of(v)
        two = answer_of(v)
        t.join()
    c.ok("toggle-mid-upload", one[1] == "client" and two[1] == "transit" and result and result[0]["cut"] == 0, (one, two, result))
    c.ok("toggle-mid-upload once", len(client.requests()) == 1 and client.requests()[0][1] == b"0123456789" and len(transit.requests()) == 1,
         (client.requests(), transit.requests()))
    move("client")
    client.close()
    transit.close()


def main():
    import_accounts()
    c = Checks()
    client = Backend("client", "127.0.0.1", 8080)
    transit = Backend("transit", TRANSIT, 80)
    only = sys.argv[1:]
    for name, data, want in request_rows():
        if only and name not in only:
            continue
        run_request(c, client, transit, name, data, want, None)
        if len(data) < 2000:
            run_request(c, client, transit, name, data, want, 5)
    if not only:
        pipelines(c, client, transit)
        truncated(c, client, transit)
        client = expects(c, client, transit)
        client.close()
        upgrades(c, transit)
        responses(c, transit)
        lost_posts(c, transit)
        transit.close()
        flips(c)
    c.end()


main()
