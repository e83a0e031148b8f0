"""Bursts that fill a pipe and drain it, then silence, then more: nothing but the next burst itself may be needed to wake the proxy."""
import time

from lab import CLIENT2, Checks, Conn, control, listen

PAUSE = 1.2  # s; the proxy looks again at quiet connections after half a second, once
SIZES = (70_000, 600_000, 200)


class Sender:
    """Sends without ever waiting for the taker, so that one thread can be both."""

    def __init__(self, s):
        self.s = s

    def burst(self, taker, n):
        self.s.setblocking(False)
        began, left, taken = time.monotonic(), n, 0
        while taken < n and time.monotonic() < began + 20:
            if left:
                try:
                    left -= self.s.send(b"b" * min(left, 1 << 18))
                except BlockingIOError:
                    pass
            taker.settimeout(0.05)
            try:
                data = taker.recv(1 << 20)
            except TimeoutError:
                continue
            if not data:
                break
            taken += len(data)
        return taken == n


def until_blank_line(s):
    got = b""
    s.settimeout(20)
    while b"\r\n\r\n" not in got:
        data = s.recv(1)
        if not data:
            raise ConnectionError("ended in a head: %r" % got)
        got += data
    return got


def bursts(c, what, sender, taker):
    for n in SIZES:
        c.ok("%s: %d bytes" % (what, n), Sender(sender).burst(taker, n), "they did not arrive")
        time.sleep(PAUSE)


c = Checks()
ctl = control()

tcp = listen("c", "127.0.0.1", 8300)
v = Conn(dst=CLIENT2, port=8300)
back, _ = tcp.accept()
bursts(c, "tcp up", v.s, back)
bursts(c, "tcp down", back, v.s)
v.close()
back.close()

http = listen("c", "127.0.0.1", 8080)
total = sum(SIZES)
for hold in (False, True):
    v = Conn()
    if hold:
        ctl.ask("hold", name="alice")
    v.send(b"POST /up HTTP/1.1\r\nHost: alice.example\r\nContent-Length: %d\r\n\r\n" % total)
    if hold:
        while ctl.ask("account", name="alice")["parked"] == 0:
            time.sleep(0.02)
        ctl.ask("release", name="alice")
    back, _ = http.accept()
    until_blank_line(back)
    bursts(c, "upload%s" % (" that waited" if hold else ""), v.s, back)
    back.setblocking(True)
    back.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
    until_blank_line(v.s)
    bursts(c, "download", back, v.s)
    v.close()
    back.close()
c.end()
