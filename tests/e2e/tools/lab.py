"""Sockets in the namespaces of a story, for drivers that must see both ends: what was sent, and which back end got which bytes.

A driver is one process. It holds the visitor's sockets (namespace v), and, where a story runs without nginx, both back ends (c and t).
"""
import ctypes
import os
import select
import selectors
import socket
import struct
import sys
import threading
import time

from ctl import Control

W = os.environ["E2E_W"]
NS = os.environ["E2E_NS"]
SOCK = os.environ["E2E_SOCK"]
CLIENT, CLIENT2 = "192.0.2.10", "192.0.2.11"
TRANSIT, TRANSIT2 = "198.51.100.10", "198.51.100.11"
VISITOR = ["203.0.113.%d" % n for n in range(10, 15)]

_libc = ctypes.CDLL(None, use_errno=True)
_home = os.open("/proc/self/ns/net", os.O_RDONLY)
_spaces = {}
_enter = threading.Lock()


def make_socket(ns, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    """A socket that belongs to the namespace; setns() is per thread."""
    with _enter:
        if ns not in _spaces:
            _spaces[ns] = os.open("/run/netns/" + NS + ns, os.O_RDONLY)
        if _libc.setns(_spaces[ns], 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            return socket.socket(family, kind)
        finally:
            _libc.setns(_home, 0x40000000)


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listen(ns, address, port, backlog=256):
    s = make_socket(ns, family_of(address))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(backlog)
    return s


def control():
    return Control(SOCK)


class Closed(Exception):
    """The peer closed (or reset) before what was wanted came."""


class Conn:
    """A visitor's connection, byte by byte."""

    def __init__(self, dst=CLIENT, port=80, src=None, timeout=20):
        self.s = make_socket("v", family_of(dst))
        self.s.settimeout(timeout)
        if src:
            self.s.bind((src, 0))
        self.buf = b""
        self.reset = False
        try:
            self.s.connect((dst, port))
            self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except ConnectionResetError:  # accepted, and reset before we looked
            self.reset = True

    def send(self, data, split=None, gap=0.002):
        """Sends data; split is a size, or a list of offsets, at which it is cut into segments of their own."""
        if split is None:
            pieces = [data]
        elif isinstance(split, int):
            pieces = [data[i:i + split] for i in range(0, len(data), split)]
        else:
            cuts = [0] + list(split) + [len(data)]
            pieces = [data[a:b] for a, b in zip(cuts, cuts[1:])]
        for i, p in enumerate(pieces):
            if i:
                time.sleep(gap)
            try:
                self.s.sendall(p)
            except (BrokenPipeError, ConnectionResetError):
                self.reset = True
                return False
        return True

    def more(self):
        """Reads once; False at the end (self.reset tells how)."""
        try:
            data = self.s.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            self.reset = True
            return False
        except OSError:
            if self.reset:
                return False
            raise
        self.buf += data
        return bool(data)

    def until_close(self, timeout=20):
        """Everything up to the end of the connection, or None if it is still open then."""
        self.s.settimeout(timeout)
        try:
            while self.more():
                pass
        except TimeoutError:
            return None
        return self.buf

    def until(self, mark):
        while mark not in self.buf:
            if not self.more():
                raise Closed(self.buf)
        i = self.buf.index(mark) + len(mark)
        out, self.buf = self.buf[:i], self.buf[i:]
        return out

    def exactly(self, n):
        while len(self.buf) < n:
            if not self.more():
                raise Closed(self.buf)
        out, self.buf = self.buf[:n], self.buf[n:]
        return out

    def response(self, head_only=False):
        """One HTTP answer: (status, fields, body); 1xx answers come as answers of their own."""
        head = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
        fields = {}
        for line in head[1:-2]:
            k, v = line.split(":", 1)
            fields[k.lower()] = v.strip()
        if head_only or status < 200 or status in (204, 304):
            return status, fields, b""
        if fields.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while True:
                size = int(self.until(b"\r\n")[:-2].split(b";")[0], 16)
                if size == 0:
                    while self.until(b"\r\n") != b"\r\n":
                        pass
                    return status, fields, body
                body += self.exactly(size)
                if self.exactly(2) != b"\r\n":
                    raise Closed(b"bad chunk")
        if "content-length" in fields:
            return status, fields, self.exactly(int(fields["content-length"]))
        while self.more():
            pass
        body, self.buf = self.buf, b""
        return status, fields, body

    def still_open(self, wait=0.2):
        """Whether nothing comes and nothing ends for that long."""
        self.s.settimeout(wait)
        try:
            return self.more()
        except TimeoutError:
            return True

    def heard(self):
        """Whether there is something to read, the end of the connection included; reads nothing."""
        poll = select.poll()
        poll.register(self.s, select.POLLIN)
        return bool(poll.poll(0))

    def half_close(self):
        self.s.shutdown(socket.SHUT_WR)

    def rst(self):
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()


class Got:
    """One connection as a back end saw it."""

    def __init__(self, sock, peer):
        self.sock, self.peer = sock, peer
        self.data = b""
        self.scanned = 0
        self.requests = []  # (head lines, body) in order, as a strict reader takes them
        self.odd = None     # what a strict reader would not accept
        self.ended = None   # "fin", "rst"
        self.tunnel = False # an answer has made it one: no requests any more


class Backend:
    """A recording back end of one side. Everything it gets is kept; answer(got, head, body) gives the bytes to answer (None: nothing).

    mode "http": takes requests apart strictly (only canonical heads are accepted; whatever else is `odd`).
    mode "raw":  on_data(got) is called for each piece and may use got.sock.
    """

    def __init__(self, side, address, port, mode="http", answer=None, on_data=None, on_accept=None):
        self.side = side
        self.ns = "c" if side == "client" else "t"
        self.mode = mode
        self.answer = answer or self.plain
        self.on_data = on_data
        self.on_accept = on_accept
        self.conns = []
        self.changed = threading.Condition()
        self.sel = selectors.DefaultSelector()
        self.lsock = listen(self.ns, address, port)
        self.lsock.setblocking(False)
        self.sel.register(self.lsock, selectors.EVENT_READ, None)
        self.wake_r, self.wake_w = os.pipe()
        self.sel.register(self.wake_r, selectors.EVENT_READ, "wake")
        self.stopped = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # ---- what drivers ask
    def requests(self):
        with self.changed:
            return [r for g in self.conns for r in g.requests]

    def bytes(self):
        with self.changed:
            return b"".join(g.data for g in self.conns)

    def odd(self):
        with self.changed:
            return [g.odd for g in self.conns if g.odd]

    def forget(self):
        with self.changed:
            for g in self.conns:
                g.requests, g.data, g.scanned = [], b"", 0
            self.conns = [g for g in self.conns if not g.ended]

    def wait(self, test, timeout=20):
        with self.changed:
            return self.changed.wait_for(lambda: test(self), timeout)

    def close(self):
        self.stopped = True
        os.write(self.wake_w, b"x")
        self.thread.join()
        self.lsock.close()
        for g in self.conns:
            g.sock.close()

    def plain(self, got, head, body):
        text = ("%s %s\n" % (self.side, head[0].split(" ")[1])).encode()
        out = b"HTTP/1.1 200 OK\r\nX-Side: %s\r\nContent-Length: %d\r\n\r\n" % (self.side.encode(), len(text))
        return out if head[0].startswith("HEAD ") else out + text

    # ---- the thread
    def _run(self):
        while not self.stopped:
            for key, _ in self.sel.select():
                if key.data == "wake":
                    return
                if key.data is None:
                    try:
                        sock, peer = self.lsock.accept()
                    except OSError:
                        continue
                    sock.settimeout(20)
                    g = Got(sock, peer)
                    with self.changed:
                        self.conns.append(g)
                        self.changed.notify_all()
                    if self.on_accept and self.on_accept(g) is False:
                        g.ended = "by us"
                        continue
                    if sock.fileno() >= 0:
                        if sock.fileno() in self.sel.get_map():  # of a connection that an answer has closed
                            self.sel.unregister(sock.fileno())
                        self.sel.register(sock, selectors.EVENT_READ, g)
                    continue
                self._read(key.data)

    def _read(self, g):
        try:
            data = g.sock.recv(262144)
        except ConnectionResetError:
            data, g.ended = b"", "rst"
        except OSError:
            data, g.ended = b"", "by us"
        with self.changed:
            if not data:
                g.ended = g.ended or "fin"
                try:
                    self.sel.unregister(g.sock)
                except (KeyError, ValueError):
                    pass
                if self.mode == "http":
                    g.sock.close()
            else:
                g.data += data
                if self.mode == "http":
                    try:
                        self._parse(g)
                    except ValueError as e:
                        g.odd = str(e)
            self.changed.notify_all()
        if self.on_data and g.sock.fileno() >= 0:
            self.on_data(g)
            with self.changed:
                self.changed.notify_all()

    def _parse(self, g):
        while g.sock.fileno() >= 0 and not g.tunnel:
            rest = g.data[g.scanned:]
            end = rest.find(b"\r\n\r\n")
            if end < 0:
                if rest and not rest[:1].isalpha():
                    raise ValueError("does not begin as a request: %r" % rest[:40])
                return
            head = rest[:end]
            if any(c < 32 and c not in (9, 13, 10) or c == 127 for c in head) or b"\r" in head.replace(b"\r\n", b"") or \
                    b"\n" in head.replace(b"\r\n", b""):
                raise ValueError("control bytes in the head: %r" % head)
            lines = head.decode("latin-1").split("\r\n")
            parts = lines[0].split(" ")
            if len(parts) != 3 or parts[2] != "HTTP/1.1":
                raise ValueError("request line %r" % lines[0])
            fields = {}
            for line in lines[1:]:
                name, colon, value = line.partition(":")
                if not colon or not name or not all(c.isalnum() or c in "!#$%&'*+-.^_`|~" for c in name):
                    raise ValueError("field line %r" % line)
                fields.setdefault(name.lower(), []).append(value.strip(" "))
            if len(fields.get("host", [])) != 1:
                raise ValueError("%d Host fields" % len(fields.get("host", [])))
            te, cl = fields.get("transfer-encoding"), fields.get("content-length")
            if te and cl or cl and len(cl) > 1 or te and te != ["chunked"] or cl and not cl[0].isdigit():
                raise ValueError("framing %r %r" % (te, cl))
            body, used = b"", end + 4
            if cl:
                n = int(cl[0])
                if len(rest) < used + n:
                    return
                body, used = rest[used:used + n], used + n
            elif te:
                while True:
                    eol = rest.find(b"\r\n", used)
                    if eol < 0:
                        return
                    size_text = rest[used:eol]
                    if not size_text or any(c not in b"0123456789abcdefABCDEF" for c in size_text):
                        raise ValueError("chunk size %r" % size_text)
                    size = int(size_text, 16)
                    used = eol + 2
                    if len(rest) < used + size + 2:
                        return
                    if rest[used + size:used + size + 2] != b"\r\n":
                        raise ValueError("chunk end")
                    body += rest[used:used + size]
                    used += size + 2
                    if size == 0:
                        break
            g.scanned += used
            g.requests.append((lines, body))
            try:
                out = self.answer(g, lines, body)
                if out is not None:
                    g.sock.sendall(out)
            except OSError:
                return


def field(head, name):
    """The values of a field of a recorded head."""
    return [line.partition(":")[2].strip() for line in head[1:] if line.partition(":")[0].lower() == name]


class Checks:
    """Collects failures, so that one run shows all of them."""

    def __init__(self):
        self.n, self.bad = 0, []

    def ok(self, name, good, why=""):
        self.n += 1
        if not good:
            self.bad.append(name)
            print("FAILED %s: %s" % (name, why), flush=True)
        return good

    def end(self):
        print("%d checks, %d failed %s" % (self.n, len(self.bad), " ".join(self.bad)))
        sys.exit(1 if self.bad else 0)


def wait_until(test, timeout=30, step=0.02):
    """Waits for a fact; the value of test(), or False."""
    end = time.monotonic() + timeout
    while True:
        value = test()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)


ALICE = {"name": "alice", "domains": ["alice.example", "*.alice.example"]}
BOB = {"name": "bob", "domains": ["bob.example", "*.bob.example"], "side": "transit"}
CAROL = {"name": "carol", "domains": ["carol.example"], "addresses": [CLIENT2], "ports": [8300]}


def import_accounts(*accounts):
    c = control()
    c.ask("import-begin")
    c.ask("import-add", accounts=list(accounts or (ALICE, BOB, CAROL)))
    answer = c.ask("import-commit")
    c.close()
    return answer


def proxy_pid():
    return int(open(W + "/pid/proxy").read())


def proxy_fds(pid=None):
    return len(os.listdir("/proc/%d/fd" % (pid or proxy_pid())))


def proxy_cpu(pid=None):
    """Processor seconds used so far."""
    f = open("/proc/%d/stat" % (pid or proxy_pid())).read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def proxy_rss(pid=None):
    """Resident KiB."""
    for line in open("/proc/%d/status" % (pid or proxy_pid())):
        if line.startswith("VmRSS"):
            return int(line.split()[1])
