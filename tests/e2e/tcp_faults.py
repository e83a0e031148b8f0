"""alice and carol live on the client side, bob on transit. One of the back ends misbehaves; the others must not notice."""
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import hello as h
from lab import Backend, CLIENT2, Checks, Closed, Conn, NS, TRANSIT, import_accounts, listen, make_socket, proxy_cpu, proxy_fds, proxy_rss, wait_until

A, B = b"alice.example", b"bob.example"


def get(host, target=b"/x"):
    return b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"


def ask(host, **more):
    """(status, side, seconds) of one request on a connection of its own."""
    began = time.monotonic()
    with Conn(timeout=30, **more) as v:
        v.send(get(host))
        try:
            status, fields, _ = v.response()
        except Closed:
            return None, None, time.monotonic() - began
    return status, fields.get("x-side"), time.monotonic() - began


def tls_end(host):
    """How a TLS connection ends that is not served: ("rst" or "fin", seconds)."""
    began = time.monotonic()
    with Conn(port=443, timeout=30) as v:
        v.send(h.hello(host))
        rest = v.until_close(30)
        return ("rst" if v.reset else "fin") if rest == b"" else rest, time.monotonic() - began


def nft(ns, rules):
    subprocess.run(["nsenter", "--net=/run/netns/" + NS + ns, "ip"] + rules, check=True)


def main():
    import_accounts()
    c = Checks()
    client = Backend("client", "127.0.0.1", 8080)
    fds = proxy_fds()

    # 146, 155: nobody listens at transit. 502 at once, a reset for TLS; alice is served; nobody falls back to the client side
    client.forget()
    status, side, took = ask(B)
    c.ok("backend-refuses", status == 502 and took < 4, (status, side, took))
    how, took = tls_end(B)
    c.ok("backend-refuses-tls", how == "rst" and took < 4, (how, took))
    how, took = tls_end(A)
    c.ok("backend-refuses-tls-client", how == "rst" and took < 4, (how, took))
    with Conn(dst=CLIENT2, port=8300) as v:
        rest = v.until_close(15)
        c.ok("backend-refuses-tcp", rest == b"", rest)
    c.ok("no-silent-fall-back", not client.bytes(), client.bytes())
    status, side, took = ask(A)
    c.ok("others-served", status == 200 and side == "client", (status, side))
    with Conn() as v:  # on one connection: the refusal of one is not the end of the other
        v.send(get(B))
        first = v.response()
        try:
            v.send(get(A))
            second = v.response()[0]
        except (Closed, OSError):
            second = None
        c.ok("refused-then-alice", first[0] == 502 and second in (200, None), (first, second))

    # 147: transit is a black hole: 504 (or 502) after the time for connecting, alice unaffected meanwhile
    nft("r", ["route", "add", "blackhole", TRANSIT + "/32"])
    try:
        results = []
        threads = [threading.Thread(target=lambda: results.append(ask(B))) for _ in range(20)]
        began = time.monotonic()
        for t in threads:
            t.start()
        worst = 0
        while time.monotonic() - began < 1.5:
            status, side, took = ask(A)
            worst = max(worst, took)
            c.ok("others-served-meanwhile", status == 200 and side == "client", (status, side)) if status != 200 else None
        for t in threads:
            t.join()
        c.ok("others-not-slowed", worst < 3, "%.2f s" % worst)
        c.ok("backend-black-hole", all(r[0] in (502, 504) and 4.5 < r[2] < 20 for r in results) and len(results) == 20, results)
        how, took = tls_end(B)
        c.ok("backend-black-hole-tls", how in ("rst", "fin") and 4.5 < took < 20, (how, took))
    finally:
        nft("r", ["route", "del", "blackhole", TRANSIT + "/32"])

    # 148: takes the request and says nothing
    silent = Backend("transit", TRANSIT, 80, answer=lambda *_: None)
    status, side, took = ask(B)
    c.ok("backend-silent", status == 504 and 2.5 < took < 15, (status, took))
    c.ok("backend-silent once", len(silent.requests()) == 1, len(silent.requests()))
    silent.close()
    # accepts into its queue only: the same, since nothing is read
    queue = listen("t", TRANSIT, 80)
    status, side, took = ask(B)
    c.ok("backend-never-accepts", status == 504 and 2.5 < took < 15, (status, took))
    queue.close()

    # 149: a visitor resets during an upload: the back end's connection ends within a second, no descriptor is lost
    transit = Backend("transit", TRANSIT, 80)
    for n in range(30):
        v = Conn()
        v.send(b"POST /up HTTP/1.1\r\nHost: bob.example\r\nContent-Length: 1000000\r\n\r\n" + b"u" * 20000)
        transit.wait(lambda b: sum(len(g.data) for g in b.conns if not g.ended) > 20000)
        v.rst()
    c.ok("visitor-reset-mid-upload", wait_until(lambda: all(g.ended for g in transit.conns), 4.5), [g.ended for g in transit.conns])
    c.ok("visitor-reset no request", not transit.requests(), transit.requests())

    # 150: the back end resets: never a clean end
    tls = Backend("transit", TRANSIT, 443, mode="raw")
    with Conn(port=443) as v:
        v.send(h.hello(B))
        tls.wait(lambda b: b.bytes() == h.hello(B))
        g = next(x for x in tls.conns if x.data)
        g.sock.sendall(b"some words")
        got = v.exactly(10)
        g.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        g.ended = "by us"
        tls.sel.unregister(g.sock)
        g.sock.close()
        rest = v.until_close(15)
    c.ok("backend-reset-tls", got == b"some words" and v.reset, (got, rest, v.reset))
    # and a visitor's reset goes to the back end
    with Conn(port=443) as v:
        v.send(h.hello(B))
        wait_until(lambda: [x for x in tls.conns if x.data and not x.ended])
        g = [x for x in tls.conns if x.data and not x.ended][-1]
        v.rst()
        c.ok("visitor-reset-tls", wait_until(lambda: g.ended, 4.5), g.ended)

    # 151: a reader that reads nothing: memory stays flat, and the connection ends when nothing moves; one that is slow but moves lives
    big = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 << 20) + b"b" * (64 << 20)  # made once: eleven copies at a time take their while

    def blob(got, head, body):
        def send():
            try:
                got.sock.settimeout(40)
                got.sock.sendall(big)
            except OSError:
                pass
        threading.Thread(target=send, daemon=True).start()
        return None
    transit.answer = blob
    before = proxy_rss()
    stuck = []
    for n in range(10):
        v = Conn(timeout=30)
        v.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        v.send(get(B, b"/big"))
        stuck.append(v)
    v = Conn(timeout=30)
    v.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    v.send(get(B, b"/big"))
    began, n, dead = time.monotonic(), 0, False
    while time.monotonic() - began < 8:
        try:
            data = v.s.recv(2000)
            dead = dead or not data
            n += len(data)
        except OSError:
            dead = True
        if dead:
            break
        time.sleep(0.05)
    c.ok("slow-reader-lives", not dead and n > 10000, "dead %r after %d bytes, %.1f s" % (dead, n, time.monotonic() - began))
    v.rst()
    c.ok("zero-window memory", proxy_rss() - before < 30000, "%d KiB more" % (proxy_rss() - before))
    for v in stuck:
        rest = v.until_close(25)
        c.ok("zero-window ends", v.reset or rest is not None and len(rest) < len(big), "still open")
        v.close()
    transit.answer = transit.plain

    # 152: a slow uploader, which moves within the idle time, is served
    with Conn(timeout=30) as v:
        v.send(b"POST /slow HTTP/1.1\r\nHost: bob.example\r\nContent-Length: 10\r\n\r\n")
        for n in range(10):
            v.send(b"s")
            time.sleep(0.75)
        c.ok("slow-uploader", v.response()[0] == 200, "")
    with Conn(timeout=30) as v:
        v.send(b"POST /stall HTTP/1.1\r\nHost: bob.example\r\nContent-Length: 10\r\n\r\nstall")
        began = time.monotonic()
        rest = v.until_close(25)
        c.ok("stalled-uploader", rest is not None and b" 200 " not in rest and time.monotonic() - began < 20, rest)

    # 154: the last words arrive although the visitor is still talking
    transit.close()
    def early(got):
        if got.requests:
            return
        got.requests.append(([], b""))
        got.sock.sendall(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n" + b"e" * 100000)
        got.sock.shutdown(socket.SHUT_WR)
    transit = Backend("transit", TRANSIT, 80, mode="raw", on_data=early)
    for n in range(10):
        with Conn(timeout=20) as v:
            v.send(b"POST /big HTTP/1.1\r\nHost: bob.example\r\nContent-Length: 100000000\r\n\r\n")
            t = threading.Thread(target=lambda: v.send(b"u" * 3000000))
            t.start()
            try:
                status, _, body = v.response()
            except Closed as e:
                status, body = "cut", e.args[0]
            t.join()
        c.ok("lingering-close", status == 413 and len(body) == 100000, (status, len(body)))
    transit.close()

    # 156: the back end closed the kept connection just as the next request was sent
    def hasty(got, head, body):
        got.sock.sendall(transit.plain(got, head, body))
        got.sock.shutdown(socket.SHUT_RDWR)
        return None
    transit = Backend("transit", TRANSIT, 80, answer=hasty)
    with Conn(timeout=20) as v:
        got = []
        for n in range(60):
            v.send(get(B, b"/%d" % n))
            try:
                got.append(v.response()[0])
            except Closed:
                break
    c.ok("pooled-connection-closed", got == [200] * 60, got)
    transit.close()

    # kept connections end after their time, quietly
    began = time.monotonic()
    with Conn() as v:
        v.send(get(A))
        v.response()
        rest = v.until_close(20)
    c.ok("keep-alive ends", rest == b"" and 3 < time.monotonic() - began < 15, (rest, time.monotonic() - began))

    left = wait_until(lambda: proxy_fds() <= fds + 12, 20)  # a few kept connections to back ends may stay
    c.ok("no descriptor lost", left, "%d, at the beginning %d" % (proxy_fds(), fds))
    cpu = proxy_cpu()
    time.sleep(1)  # the measure itself: processor time over a second in which nothing happens
    c.ok("idle means idle", proxy_cpu() - cpu < 0.1, "%.2f s" % (proxy_cpu() - cpu))
    c.end()


main()
