"""What the proxy reads of PROXY headers, and what it writes (haproxy's proxy-protocol.txt)."""
import socket
import struct
import sys
import time
import zlib

import hello as h
from lab import Backend, Checks, Closed, Conn, TRANSIT, field, import_accounts, wait_until

SIG = b"\r\n\r\n\0\r\nQUIT\n"
A, B = b"alice.example", b"bob.example"
TRUSTED, STRANGER = "203.0.113.11", "203.0.113.14"


def v2(src="198.18.0.7", dst="192.0.2.10", sport=4000, dport=80, tlvs=b"", verb=0x21, family=None, length=None, addresses=None):
    fam = socket.AF_INET6 if ":" in src else socket.AF_INET
    a = socket.inet_pton(fam, src) + socket.inet_pton(fam, dst) + struct.pack("!HH", sport, dport) if addresses is None else addresses
    family = (0x21 if ":" in src else 0x11) if family is None else family
    return SIG + struct.pack("!BBH", verb, family, len(a) + len(tlvs) if length is None else length) + a + tlvs


def v1(src="198.18.0.7", dst="192.0.2.10", sport="4000", dport="80", proto="TCP4"):
    return ("PROXY %s %s %s %s %s\r\n" % (proto, src, dst, sport, dport)).encode()


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def with_crc(good=True):
    blank = v2(tlvs=tlv(3, bytes(4)))
    crc = crc32c(blank) ^ (0 if good else 1)
    return v2(tlvs=tlv(3, struct.pack("!I", crc)))


GET = b"GET /in HTTP/1.1\r\nHost: alice.example\r\n\r\n"


def incoming(c, client, transit):
    rows = [  # name, header, the visitor's address the back end must hear of; None: closed, nobody reached
        ("v1-tcp4", v1(), "198.18.0.7"),
        ("v1-tcp6", v1("2001:db8:ffff::7", "2001:db8::10", proto="TCP6"), "2001:db8:ffff::7"),
        ("v1-unknown", b"PROXY UNKNOWN\r\n", TRUSTED),
        ("v1-unknown-more", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", TRUSTED),
        ("v2-tcp4", v2(), "198.18.0.7"),
        ("v2-tcp6", v2("2001:db8:ffff::7", "2001:db8::10"), "2001:db8:ffff::7"),
        ("v2-local", v2(verb=0x20), TRUSTED),
        ("v2-local-empty", SIG + b"\x20\x00\0\0", TRUSTED),
        ("v2-tlv", v2(tlvs=tlv(1, b"h2") + tlv(2, b"bob.example") + tlv(4, b"")), "198.18.0.7"),
        ("v2-crc-right", with_crc(), "198.18.0.7"),
        ("none", b"", None),
        ("v1-too-long", b"PROXY TCP4 " + b"1" * 120 + b"\r\n", None),
        ("v1-no-crlf", b"PROXY TCP4 198.18.0.7 192.0.2.10 4000 80\n", None),
        ("v1-bad-family", v1(proto="TCP5"), None),
        ("v1-family-differs", v1("2001:db8:ffff::7"), None),
        ("v1-port-65536", v1(sport="65536"), None),
        ("v1-port-negative", v1(sport="-1"), None),
        ("v1-port-missing", b"PROXY TCP4 198.18.0.7 192.0.2.10 4000\r\n", None),
        ("v1-two-spaces", v1().replace(b"TCP4 ", b"TCP4  "), None),
        ("v1-bad-address", v1("198.18.0.256"), None),
        ("v1-lower-case", v1().lower(), None),
        ("v1-twice", v1() + v1(), None),
        ("v2-twice", v2() + v2(), None),
        ("v2-version-1", v2(verb=0x11), None),
        ("v2-version-3", v2(verb=0x31), None),
        ("v2-verb-2", v2(verb=0x22), None),
        ("v2-short-addresses", v2(addresses=bytes(8)), None),
        ("v2-length-65535", v2(length=65535), None),
        ("v2-tlv-past-end", v2(tlvs=struct.pack("!BH", 1, 50) + b"h2"), None),
        ("v2-tlv-half", v2(tlvs=b"\1\0"), None),
        ("v2-crc-wrong", with_crc(False), None),
        ("v2-unix", v2(addresses=bytes(216), family=0x31), None),
        ("v2-dgram", v2(family=0x12), None),
    ]
    for name, head, want in rows:
        for split in (None, 1):
            client.forget()
            label = name + (" (bytes)" if split else "")
            code = None
            with Conn(port=81, src=TRUSTED) as v:
                v.send(head + GET, split=split, gap=0)
                try:
                    code = v.response()[0]
                except (Closed, TimeoutError):
                    pass
                ended = v.until_close(20) if want is None else True
            heads = [r[0] for r in client.requests()]
            if want:
                c.ok(label, code == 200 and len(heads) == 1 and field(heads[0], "x-forwarded-for") == [want], (code, heads))
            else:
                c.ok(label, code in (None, 400) and ended is not None and not client.bytes(), (code, ended, client.bytes()))
    # who is not in the list: the header is payload
    for name, head in (("v1", v1()), ("v2", v2())):
        client.forget()
        with Conn(port=81, src=STRANGER) as v:
            v.send(head + GET)
            rest = v.until_close(20)
        c.ok("stranger-" + name, rest is not None and b" 200 " not in rest and not client.bytes(), (rest, client.bytes()))
        with Conn(port=80, src=TRUSTED) as v:  # nor is anybody believed at a public listener
            v.send(head + GET)
            rest = v.until_close(20)
        c.ok("public-%s-spoof" % name, rest is not None and b" 200 " not in rest and not client.bytes(), (rest, client.bytes()))
        with Conn(port=443, src=TRUSTED) as v:
            v.send(head + h.hello(A))
            rest = v.until_close(20)
        c.ok("public-tls-%s-spoof" % name, rest == b"" and not client.bytes(), (rest, client.bytes()))
    # half a header is not waited for much longer than others wait
    began = time.monotonic()
    with Conn(port=81, src=TRUSTED) as v:
        v.send(v2()[:14])
        rest = v.until_close(40)
    c.ok("half-header", rest is not None and time.monotonic() - began < 25, rest)


def read_v2(data):
    """(source, port, destination, port, rest) of what a back end got."""
    assert data[:12] == SIG, data[:40]
    assert data[12] == 0x21, data[12]
    n = struct.unpack("!H", data[14:16])[0]
    fam, size = (socket.AF_INET6, 16) if data[13] == 0x21 else (socket.AF_INET, 4)
    assert data[13] in (0x11, 0x21), data[13]
    a = data[16:16 + n]
    return (socket.inet_ntop(fam, a[:size]), struct.unpack("!H", a[2 * size:2 * size + 2])[0], socket.inet_ntop(fam, a[size:2 * size]),
            struct.unpack("!H", a[2 * size + 2:2 * size + 4])[0], data[16 + n:])


def outgoing(c):
    def on_data(got):
        if got.data.endswith(b"\r\n\r\n") and b"HTTP/1.1" in got.data:
            got.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    backs = {
        ("tls", "client"): Backend("client", "127.0.0.1", 8444, mode="raw"),
        ("tls6", "client"): Backend("client", "::1", 8444, mode="raw"),
        ("tls", "transit"): Backend("transit", TRANSIT, 8444, mode="raw"),
        ("tls6", "transit"): Backend("transit", "2001:db8:1::10", 8444, mode="raw"),
        ("http", "client"): Backend("client", "127.0.0.1", 8082, mode="raw", on_data=on_data),
        ("http", "transit"): Backend("transit", TRANSIT, 8082, mode="raw", on_data=on_data),
        ("http6", "transit"): Backend("transit", "2001:db8:1::10", 8082, mode="raw", on_data=on_data),
        ("tcp", "client"): Backend("client", "127.0.0.1", 8300, mode="raw"),
    }
    backs[("http6", "client")] = backs[("http", "client")]
    for (kind, side), back in backs.items():
        six = kind.endswith("6")
        src, dst = ("2001:db8:f::13", "2001:db8::10") if six else ("203.0.113.13", "192.0.2.11" if kind == "tcp" else "192.0.2.10")
        port = {"tls": 445, "http": 82, "tcp": 8300}[kind.rstrip("6")]
        name = A if side == "client" else B
        back.forget()
        label = "out-%s-%s" % (kind, side)
        with Conn(dst=dst, port=port, src=src) as v:
            if kind.startswith("tls"):
                data = h.hello(name)
            elif kind == "tcp":
                data = b"any protocol at all"
            else:
                data = b"GET /out HTTP/1.1\r\nHost: " + name + b"\r\n\r\n"
            size = len(data) + (52 if six else 28)  # with the header
            v.send(data)
            if not c.ok(label + " arrives", wait_until(lambda: len(back.bytes()) >= size), back.bytes()):
                continue
            if kind.startswith("http"):
                c.ok(label + " answers", v.response()[0] == 200, "")
            try:
                s, sp, d, dp, rest = read_v2(back.bytes())
            except AssertionError as e:
                c.ok(label, False, e)
                continue
            c.ok(label, (s, sp, d, dp) == (src, v.s.getsockname()[1], dst, port), (s, sp, d, dp))
            if kind.startswith("http"):
                c.ok(label + " once", rest.startswith(b"GET /out HTTP/1.1\r\n") and SIG not in rest, rest)
                # the next visitor's request does not travel on this one's connection
                with Conn(dst=dst, port=port, src="2001:db8:f::14" if six else "203.0.113.14") as w:
                    w.send(data)
                    w.response()
                    seen = {read_v2(g.data)[0] for g in back.conns if g.data}
                c.ok(label + " not shared", len(seen) == 2, seen)
            else:
                c.ok(label + " once", rest == data, rest)
    # what a trusted peer said goes on towards the back ends
    back = backs[("tls", "transit")]
    back.forget()
    with Conn(port=444, src=TRUSTED) as v:
        v.send(v2("198.18.0.9", "192.0.2.10", 5000, 443) + h.hello(B))
        wait_until(lambda: len(back.bytes()) >= 28 + len(h.hello(B)))
        s, sp, d, dp, rest = read_v2(back.bytes())
    c.ok("in-and-out", (s, sp, d, dp, rest) == ("198.18.0.9", 5000, "192.0.2.10", 443, h.hello(B)), (s, sp, d, dp))


def main():
    import_accounts()
    c = Checks()
    client = Backend("client", "127.0.0.1", 8080)
    transit = Backend("transit", TRANSIT, 80)
    incoming(c, client, transit)
    outgoing(c)
    c.end()


main()
