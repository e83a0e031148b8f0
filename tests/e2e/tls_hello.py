"""alice lives on the client side, bob on transit, carol owns the second address; names of no account are refused. Each row is a hello and where it must arrive."""
import os
import socket
import struct
import sys
import time

import hello as h
from lab import Backend, CLIENT2, Checks, Conn, TRANSIT, import_accounts, wait_until

A, B = b"alice.example", b"bob.example"


def rows():
    out = []

    def row(name, data, want, split=None, gap=0.002):
        out.append((name, data, want, split, gap))

    row("v-plain-a", h.hello(A), "client")
    row("v-plain-b", h.hello(B), "transit")
    row("v-wildcard", h.hello(b"x.y.bob.example"), "transit")
    row("v-tcp-byte-by-byte", h.hello(B), "transit", 1, 0)
    data = h.hello(B)
    at = data.index(b"bob.")
    row("v-split-in-name-slow", data, "transit", [at + 3], 0.7)
    row("v-split-record-header", data, "transit", [3], 0.3)
    row("v-split-hs-header", data, "transit", [7], 0.3)
    m = h.message(B)
    at = m.index(b"bob.")
    row("v-two-records-in-name", h.records(m, at + 3, 20000), "transit")
    row("v-two-records-segments", h.records(m, at + 3, 20000), "transit", [at + 8], 0.3)
    row("v-two-records-100", h.records(m, 100, 20000), "transit")
    row("v-record-split-in-hs-header", h.records(m, 2, 20000), "transit")
    row("v-record-split-1-1-1-1", h.records(m, 1, 1, 1, 1, 20000), "transit")
    pq = h.message(B, h.PQ)
    row("v-pq-one-record", h.record(pq), "transit")
    row("v-pq-one-record-two-segments", h.record(pq), "transit", [1200], 0.2)
    late = h.handshake(h.body(h.VERSIONS + h.PQ + h.sni(B)))
    row("v-pq-sni-in-2nd-segment", h.record(late), "transit", [1300], 0.2)
    row("v-pq-two-records", h.records(late, 1000, 20000), "transit")
    row("v-pq-two-records-two-segments", h.records(late, 1000, 20000), "transit", [700, 1400], 0.1)
    row("v-records-of-64", h.records(m, (len(m) + 63) // 64), "transit")
    row("records-of-1-byte", h.records(m, 1), "transit-or-closed")
    row("v-grease", h.hello(B, h.GREASE, h.KEYSHARE, first=h.GREASE), "transit")
    row("v-sni-uppercase", h.hello(b"BOB.Example"), "transit")
    row("v-sni-last-ext", h.record(h.handshake(h.body(h.VERSIONS + h.KEYSHARE + h.sni(B)))), "transit")
    row("v-sni-only-ext", h.record(h.handshake(h.body(h.sni(B)))), "transit")
    row("v-sni-after-4k-ext", h.hello(B, first=h.padding(4096)), "transit")
    row("v-hello-12k", h.hello(B, first=h.padding(12000)), "transit")
    row("v-hello-30k-two-records", h.records(h.message(B, first=h.padding(30000)), 16384, 20000), "transit-or-closed")
    row("hello-60k", h.records(h.message(B, first=h.padding(60000)), 16384), "closed")
    row("v-session-ticket-1k", h.hello(B, h.ext(35, bytes(1000))), "transit")
    row("v-padding-517", h.hello(B, h.padding(517 - 200)), "transit")
    row("v-extra-ccs-after-hello", h.hello(B) + h.record(b"\1", kind=20, version=b"\x03\x03"), "transit")
    early = h.record(os.urandom(3000), kind=23, version=b"\x03\x03")
    row("v-ticket-psk-early-data", h.hello(B, h.KEYSHARE, h.ext(42, b""), h.ext(45, b"\1\1"), h.ext(41, bytes(200))) + early, "transit")
    row("v-alpn-acme-tls-1", h.hello(B, h.KEYSHARE, h.alpn(b"acme-tls/1")), "transit")
    row("v-alpn-h2", h.hello(B, h.KEYSHARE, h.alpn(b"h2", b"http/1.1")), "transit")
    row("v-ech-outer-b", h.hello(B, h.KEYSHARE, h.ext(0xFE0D, bytes(250))), "transit")
    row("v-tls12", h.record(h.handshake(h.body(h.sni(B) + h.GROUPS + h.SIGS)), version=b"\x03\x03"), "transit")
    row("v-record-version-0300", h.record(m, version=b"\x03\x00"), "transit-or-closed")
    row("v-no-session-id", h.record(h.handshake(h.body(h.sni(B) + h.VERSIONS, session=b""))), "transit")
    row("sni-trailing-dot", h.hello(b"bob.example."), "transit-or-closed")

    row("no-sni", h.hello(None), "closed")
    row("no-extensions", h.record(h.handshake(h.body(None))), "closed")
    row("empty-extensions", h.record(h.handshake(h.body(b""))), "closed")
    row("sni-empty-ext", h.record(h.handshake(h.body(h.ext(0, b"") + h.VERSIONS))), "closed")
    row("sni-empty-list", h.record(h.handshake(h.body(h.sni() + h.VERSIONS))), "closed")
    row("sni-empty-name", h.hello(b""), "closed")
    for name, value in {"other": b"other.example", "tld": b"example", "x-b": b"xbob.example", "suffix": b"bob.example.evil.example",
                        "dot-b": b".bob.example", "dotdot": b"bob..example", "star": b"*.bob.example.", "long": b"a" * 254, "longer": b"a." * 200 + b"bob.example",
                        "ip": b"192.0.2.10", "dash": b"-"}.items():
        row("unknown-" + name, h.hello(value), "closed")
    for name, value in {"nul": b"bob.example\0", "nul-mid": b"bob\0.example", "port": b"bob.example:443", "space": b"bob.example ", "slash": b"bob.example/",
                        "crlf": b"bob.example\r\n", "comma": b"bob.example,alice.example", "high": b"bob.ex\xe4mple", "percent": b"bob%2eexample",
                        "at": b"a@bob.example", "nul-a": b"alice.example\0.bob.example"}.items():
        row("sni-bad-" + name, h.hello(value), "closed")
    row("sni-two-names-A-B", h.record(h.handshake(h.body(h.sni(A, B) + h.VERSIONS))), "closed")
    row("sni-two-names-B-A", h.record(h.handshake(h.body(h.sni(B, A) + h.VERSIONS))), "closed")
    row("sni-two-names-same", h.record(h.handshake(h.body(h.sni(A, A) + h.VERSIONS))), "client-or-closed")
    row("sni-ext-twice-A-B", h.record(h.handshake(h.body(h.sni(A) + h.VERSIONS + h.sni(B)))), "closed")
    row("sni-ext-twice-same", h.record(h.handshake(h.body(h.sni(A) + h.VERSIONS + h.sni(A)))), "client-or-closed")
    row("sni-unknown-type", h.record(h.handshake(h.body(h.sni((7, B)) + h.VERSIONS))), "closed")
    row("sni-unknown-type-then-B", h.record(h.handshake(h.body(h.sni((7, A), B) + h.VERSIONS))), "transit-or-closed")
    bad = struct.pack("!H", 200) + b"\0" + h.u16(B)
    row("sni-list-longer-than-ext", h.record(h.handshake(h.body(h.ext(0, bad) + h.VERSIONS))), "closed")
    bad = h.u16(b"\0" + struct.pack("!H", 200) + B)
    row("sni-name-longer-than-list", h.record(h.handshake(h.body(h.ext(0, bad) + h.VERSIONS))), "closed")
    bad = h.u16(b"\0" + struct.pack("!H", len(B) + 6) + B)
    row("sni-name-runs-into-next-ext", h.record(h.handshake(h.body(h.ext(0, bad) + h.VERSIONS + h.KEYSHARE))), "closed")
    bad = h.u16(b"\0" + h.u16(B)) + b"xx"
    row("sni-list-shorter-than-ext", h.record(h.handshake(h.body(h.ext(0, bad) + h.VERSIONS))), "closed")
    row("ext-len-past-end", h.record(h.handshake(h.body(struct.pack("!HH", 0, 500) + h.names(B)))), "closed")
    row("exts-len-past-end", h.record(h.handshake(h.body(None) + struct.pack("!H", 900) + h.sni(B))), "closed")
    row("ext-half-header", h.record(h.handshake(h.body(h.VERSIONS + b"\0\0\0"))), "closed")
    row("session-too-long", h.record(h.handshake(h.body(h.sni(B), session=bytes(60)))), "closed")
    row("ciphers-odd", h.record(h.handshake(h.body(h.sni(B), ciphers=b"\x13\x01\x13"))), "transit-or-closed")
    row("body-too-short", h.record(h.handshake(b"\x03\x03" + bytes(10))), "closed")
    full = h.body(h.sni(B) + h.VERSIONS)
    row("hs-length-short", h.record(h.handshake(full, length=len(full) - 20)), "closed")
    row("hs-length-short-2", h.record(h.handshake(full, length=40)), "closed")
    row("hs-length-huge-16M", h.record(h.handshake(full, length=0xFFFFFF)), "closed")
    row("hs-length-0", h.record(h.handshake(b"", length=0) + b"x" * 50), "closed")
    row("record-length-0-first", h.record(b"") + h.hello(B), "transit-or-closed")
    row("record-length-0-flood", h.record(b"") * 20000, "closed")
    row("record-length-0-within", h.record(m[:50]) + h.record(b"") * 10 + h.record(m[50:]), "transit-or-closed")
    row("record-too-long", h.record(m + bytes(18000 - len(m))), "closed")
    row("record-length-65535", h.record(m, length=65535), "closed")
    for name, kind in {"alert": 21, "ccs": 20, "data": 23, "heartbeat": 24, "zero": 0, "255": 255}.items():
        row("record-type-%s-first" % name, h.record(b"\1\0", kind=kind) + h.hello(B), "closed")
    row("fragments-interleaved-alert", h.record(m[:60]) + h.record(b"\1\0", kind=21) + h.record(m[60:]), "closed")
    row("fragments-interleaved-data", h.record(m[:60]) + h.record(b"GET / HTTP/1.1\r\n", kind=23) + h.record(m[60:]), "closed")
    row("hs-type-server-hello", h.record(h.handshake(full, kind=2)), "closed")
    row("hs-type-0", h.record(h.handshake(b"", kind=0) + h.handshake(full)), "closed")
    row("sslv2-hello", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(40), "closed")
    row("dtls-record", b"\x16\xfe\xfd" + bytes(8) + struct.pack("!H", len(m)) + m, "closed")
    row("record-major-2", h.record(m, version=b"\x02\x00"), "closed")
    row("record-major-4", h.record(m, version=b"\x04\x01"), "closed")
    row("http-on-tls-port", b"GET / HTTP/1.1\r\nHost: bob.example\r\n\r\n", "closed")
    row("ssh-on-tls-port", b"SSH-2.0-OpenSSH_9.2\r\n", "closed")
    row("smtp-on-tls-port", b"EHLO bob.example\r\n", "closed")
    row("random-garbage", os.urandom(3) + b"\xff" + os.urandom(500), "closed")
    row("proxy-v1-spoof", b"PROXY TCP4 1.2.3.4 192.0.2.10 1000 443\r\n" + h.hello(B), "closed")
    row("proxy-v2-spoof", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + h.hello(B), "closed")
    return out


def main():
    import_accounts()
    c = Checks()

    def on_data(got):
        # the first words of the server come when the hello is there whole
        if got.data.endswith(b"THE-END") or not got.requests:
            got.requests.append(True)

    client = Backend("client", "127.0.0.1", 8443, mode="raw", on_data=on_data)
    transit = Backend("transit", TRANSIT, 443, mode="raw", on_data=on_data)
    transit2 = Backend("transit", "198.51.100.11", 443, mode="raw", on_data=on_data)
    backs = {"client": client, "transit": transit}
    only = sys.argv[1:]
    tail = os.urandom(5000) + b"THE-END"  # whatever follows the hello comes through as it is
    for name, data, want, split, gap in rows():
        if only and name not in only:
            continue
        for b in (client, transit, transit2):
            b.forget()
        choices = want.split("-or-")
        expected = choices[0] if choices[0] != "closed" else None
        with Conn(port=443) as v:
            v.send(data, split=split, gap=gap)
            arrived = None
            if expected:
                back = backs[expected]
                wait_until(lambda: back.bytes() or v.reset or v.heard())  # no server has spoken: what is heard is the end
                if back.bytes():
                    v.send(tail)
                    back.wait(lambda b: b.bytes().endswith(b"THE-END"))
                    arrived = back.bytes()
                    g = [x for x in back.conns if x.data][0]
                    g.sock.sendall(b"\x16\x03\x03 server " + name.encode())
                    try:
                        answer = v.exactly(11 + len(name))
                    except Exception as e:
                        answer = e
                    c.ok(name, arrived == data + tail, "%d bytes arrived instead of %d, first difference at %s" % (
                        len(arrived), len(data + tail), next((i for i, (x, y) in enumerate(zip(arrived, data + tail)) if x != y), "the end")))
                    c.ok(name + " answer", answer == b"\x16\x03\x03 server " + name.encode(), answer)
                    other = transit if expected == "client" else client
                    c.ok(name + " other side", not other.conns, other.bytes())
            if arrived is None:
                c.ok(name + " reaches somebody", "closed" in choices, "nobody was reached")
                ended = v.until_close(20)
                c.ok(name + " closes", ended is not None and b"server" not in ended, ended)
                c.ok(name + " nobody", not client.bytes() and not transit.bytes() and not transit2.bytes() and not client.conns and not transit.conns,
                     (client.bytes(), transit.bytes()))
        wait_until(lambda: all(g.ended for b in (client, transit) for g in b.conns))

    # without a name: the account that owns the address
    client.forget()
    with Conn(dst=CLIENT2, port=443) as v:
        data = h.hello(None)
        v.send(data)
        c.ok("v-no-sni-address-of-carol", client.wait(lambda b: b.bytes() == data), client.bytes())
    # a name goes before the address
    transit2.forget()
    with Conn(dst=CLIENT2, port=443) as v:
        data = h.hello(B)
        v.send(data)
        c.ok("v-name-before-address", transit2.wait(lambda b: b.bytes() == data), transit2.bytes())
    # silence and half a hello end with the time for hellos, however the bytes drip
    began = time.monotonic()
    stalled = {"connect-and-say-nothing": b"", "truncated-stall": h.hello(B)[:60], "one-byte": b"\x16"}
    conns = {}
    for name, data in stalled.items():
        conns[name] = Conn(port=443, timeout=20)
        if data:
            conns[name].send(data)
    drip = Conn(port=443, timeout=20)
    data = h.hello(B, first=h.padding(2000))
    n = 0
    while drip.send(data[n:n + 1]) and time.monotonic() - began < 20:
        n += 1
        if not drip.still_open(0.1):
            break
    took = time.monotonic() - began
    c.ok("dripping hello", 4.5 < took < 18 and n < 100, "lived for %.1f s, %d bytes" % (took, n))
    for name, v in conns.items():
        c.ok(name, v.until_close(20) == b"", "still open")
        c.ok(name + " in time", time.monotonic() - began < 30, "")
        v.close()
    for cut in (1, 5, 9, 50, 90, len(h.hello(B)) - 1):
        client.forget()
        transit.forget()
        with Conn(port=443) as v:
            v.send(h.hello(B)[:cut])
            v.half_close()
            c.ok("truncated-then-close %d" % cut, v.until_close(20) is not None and not transit.conns, "open or reached")
    # either end may say that it has finished while the other goes on
    transit.forget()
    with Conn(port=443) as v:
        v.send(h.hello(B))
        transit.wait(lambda b: b.bytes() == h.hello(B))
        v.send(b"last")
        v.half_close()
        g = next(x for x in transit.conns if x.data)
        c.ok("v-half-close-by-client", wait_until(lambda: g.ended == "fin" and g.data.endswith(b"last")), (g.ended, g.data[-10:]))
        g.sock.sendall(b"y" * 100000)
        g.sock.close()
        got = v.until_close(20)
        c.ok("v-half-close-by-client answer", got is not None and len(got) == 100000, got and len(got))
    transit.forget()
    with Conn(port=443) as v:
        v.send(h.hello(B))
        transit.wait(lambda b: b.bytes() == h.hello(B))
        g = next(x for x in transit.conns if x.data)
        g.sock.sendall(b"bye")
        g.sock.shutdown(socket.SHUT_WR)
        c.ok("v-half-close-by-server", v.until_close(20) == b"bye", "")
        v.send(b"z" * 100000)
        v.half_close()
        c.ok("v-half-close-by-server upload", wait_until(lambda: g.data.endswith(b"z" * 100000) and g.ended == "fin"), (len(g.data), g.ended))
    c.end()


main()
