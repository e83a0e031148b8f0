"""Bytes at the control socket that no controller of ours sends."""
import json
import os
import socket
import subprocess
import sys
import threading
import time

from ctl import Control, Refused
from lab import Checks, proxy_fds, proxy_rss, wait_until

PATH = sys.argv[1]
c = Checks()


def connect(timeout=40):
    s = socket.socket(socket.AF_UNIX)
    s.connect(PATH)
    s.settimeout(timeout)
    return s


def everything(s):
    out = b""
    try:
        while True:
            data = s.recv(65536)
            if not data:
                return out
            out += data
    except ConnectionResetError:
        return out
    except TimeoutError:
        return None


def line(cmd, **fields):
    return json.dumps({"v": 1, "id": "x", "cmd": cmd, **fields}).encode() + b"\n"


def answers(data, half_close=True):
    """What comes back for these bytes, until the end."""
    s = connect()
    try:
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        pass
    out = everything(s)
    s.close()
    return out


fds, rss = proxy_fds(), proxy_rss()
good = json.loads(answers(line("hello")))
c.ok("a good line", good["ok"] and good["id"] == "x", good)

# ---- lines that are none
for name, data in {
    "not JSON": b"hello\n", "an array": b"[1]\n", "a number": b"7\n", "no cmd": b'{"v":1}\n', "cmd a number": b'{"v":1,"cmd":7}\n',
    "no version": b'{"cmd":"hello"}\n', "version 2": b'{"v":2,"cmd":"hello"}\n', "unknown command": line("reboot"), "empty": b"\n",
    "NUL": b'{"v":1,"cmd":"hel\0lo"}\n', "escaped NUL": b'{"v":1,"cmd":"hold","name":"a\\u0000b"}\n', "invalid UTF-8": b'{"v":1,"cmd":"\xff\xfe"}\n',
    "duplicate key": b'{"v":1,"cmd":"hello","cmd":"reload"}\n', "deep": b'{"v":1,"cmd":' + b"[" * 100000 + b"\n", "CRLF of another protocol":
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "id an object": b'{"v":1,"cmd":"hello","id":{}}\n', "long id": b'{"v":1,"cmd":"hello","id":"' + b"i" * 5000 + b'"}\n',
}.items():
    out = answers(data)
    first = json.loads(out.split(b"\n")[0]) if out else None
    c.ok(name, out is not None and (first is None or first["ok"] is False and first["code"] in ("refused", "usage", "failed") and first["error"]), out and out[:200])
c.ok("no newline at the end", answers(line("hello")[:-1]) is not None, "")
began = time.monotonic()
out = answers(line("hello")[:-1], half_close=False)
took = time.monotonic() - began
c.ok("a line that is not finished", out is not None and 3 < took < 9.5, "%.1f s %r" % (took, out))
out = answers(b'{"v":1,"cmd":"hello","x":"' + b"y" * (2 << 20), half_close=False)
c.ok("a line of 2 MiB", out is not None and (not out or b'"ok":false' in out.replace(b" ", b"")), out and out[:200])
s = connect()
for byte in line("account", name="alice"):
    s.sendall(bytes([byte]))
c.ok("in single bytes", b'"alice"' in s.recv(65536), "")
s.close()
s = connect()
s.sendall(line("hello") * 50)
got = b""
while got.count(b"\n") < 50:
    got += s.recv(65536)
c.ok("50 at once are answered in order", all(json.loads(x)["ok"] for x in got.splitlines()), "")
s.close()

# ---- names that are no accounts, and fields of the wrong kind
ctl = Control(PATH)
for name in ("nobody", "../alice", "alice\n", "alice; rm -rf /", "$(reboot)", "", "a" * 5000, "alice/../bob", "ALICE\x00", "\u0430lice"):
    for cmd in ("hold", "drain", "fence", "switch", "release", "account", "account-remove", "traffic", "eta"):
        try:
            Control(PATH).ask(cmd, name=name, seconds=1, side="transit")
            if cmd == "account-remove":
                continue  # what is not there is gone already
            c.ok("%s of %r" % (cmd, name[:20]), False, "was done")
        except Refused as e:
            c.ok("%s of %r" % (cmd, name[:20]), len(str(e)) < 2000 and "\n" not in str(e), str(e)[:200])
for fields in ({"name": 7}, {"name": None}, {}, {"name": ["alice"]}, {"name": "alice", "eta": "soon"}, {"name": "alice", "eta": -1}, {"name": "alice", "eta": 1e300},
               {"name": "alice", "max-wait": {}}):
    try:
        ctl.ask("hold", **fields)
        ctl.ask("release", name="alice")
        c.ok("hold %r" % (fields,), "eta" in fields and fields["eta"] == 1e300, "was done")
    except Refused:
        c.ok("hold %r" % (fields,), True)
for fields in ({"name": "alice", "side": "moon"}, {"name": "alice", "side": 1}, {"name": "alice"}):
    try:
        ctl.ask("switch", **fields)
        c.ok("switch %r" % (fields,), False, "was done")
    except Refused:
        c.ok("switch %r" % (fields,), True)
account = ctl.ask("account", name="alice")["account"]
c.ok("alice is as she was", account["side"] == "client" and account["gate"] == "open", account)

# ---- what a controller leaves for others: kept as it is, small, and of now
ctl.ask("notice", said={"step": "one"})
for fields in ({}, {"said": "hello"}, {"said": {"lines": ["x" * 200] * 1400}}):
    try:
        ctl.ask("notice", **fields)
        c.ok("notice %.40r" % (fields,), False, "was done")
    except Refused:
        c.ok("notice %.40r" % (fields,), True)
notice = ctl.ask("status")["notice"]
c.ok("a notice", notice["said"] == {"step": "one"} and 0 <= notice["age-ms"] < 30000, notice)

# ---- imports are all or nothing
for accounts in ([{"name": "x", "domains": ["same.example"]}, {"name": "y", "domains": ["same.example"]}], [{"name": "x", "domains": ["a b"]}], [7], [{"name": "x", "what": 1}],
                 [{"name": "../x", "domains": ["x.example"]}]):
    try:
        ctl.ask("import-begin")
        ctl.ask("import-add", accounts=accounts)
        ctl.ask("import-commit")
        c.ok("import of %r" % accounts, False, "was done")
    except Refused as e:
        c.ok("import of %r" % accounts, True)
s = connect()
s.sendall(line("import-begin") + line("import-add", accounts=[{"name": "ghost", "domains": ["ghost.example"]}]))
s.recv(65536)
s.close()  # half an import is forgotten with its connection
names = [a["name"] for a in ctl.ask("list", **{"from": ""})["accounts"]]
c.ok("half an import", names == ["alice", "bob", "carol"], names)

# ---- two at one account: one order of things, both hear of it
results = []


def toggle():
    k = Control(PATH)
    try:
        for cmd, more in (("hold", {}), ("drain", {"seconds": 1}), ("fence", {})):
            try:
                results.append((cmd, k.ask(cmd, name="bob", **more)))
            except Refused as e:
                results.append((cmd, str(e)))
    finally:
        k.close()


threads = [threading.Thread(target=toggle) for _ in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
fences = {json.dumps(r["evidence"], sort_keys=True) for cmd, r in results if cmd == "fence" and isinstance(r, dict)}
c.ok("eight at one account", len(fences) == 1, results)
ctl.ask("release", name="bob")
c.ok("released twice is the same", ctl.ask("release", name="bob")["gate"] == "open", "")

# ---- gone before the answer: what was begun is done, once, and what was not is not begun; both can be asked again
def gate():
    return ctl.ask("account", name="carol")["account"]["gate"]


for cmd, more, gates in (("hold", {}, ("open", "held")), ("release", {"spread-ms": 300}, ("held", "open"))):
    s = connect()
    s.sendall(line(cmd, name="carol", **more))
    s.close()
    c.ok("gone before the answer to " + cmd, gate() in gates, "")
    ctl.ask(cmd, name="carol")
    c.ok(cmd + " again", wait_until(lambda: gate() == gates[1]), gate())

# ---- a reader that does not read
many = [{"name": "a%05d" % n, "domains": ["a%05d.example" % n], "side": "client"} for n in range(20000)]
ctl.ask("import-begin")
for a in ({"name": "alice", "domains": ["alice.example"]}, {"name": "bob", "domains": ["bob.example"]}, {"name": "carol", "domains": ["carol.example"]}):
    many.append(a)
for n in range(0, len(many), 1000):
    ctl.ask("import-add", accounts=many[n:n + 1000])
ctl.ask("import-commit")
before = proxy_rss()
deaf = []
for n in range(20):
    s = connect()
    s.setblocking(False)
    try:
        while True:
            s.send(line("list", **{"from": "", "max": 1000}))
    except OSError:
        pass
    deaf.append(s)
c.ok("others are answered meanwhile", Control(PATH).ask("hello")["ok"], "")
# a line in and a line out of 1 MiB each, and as much again for a sanitizer's quarantine; without a bound it would be gigabytes
c.ok("what nobody reads is bounded", proxy_rss() - before < 20 * 4 * 1024, "%d KiB more" % (proxy_rss() - before))
time_out = time.monotonic() + 20


def cut(s):
    try:
        s.send(b"\n")
        return False
    except BlockingIOError:
        return False
    except OSError:
        return True


c.ok("a reader that does not read is cut", wait_until(lambda: all(cut(s) for s in deaf), 40), "")
for s in deaf:
    s.close()

# ---- 500 that only stay: root still gets in
crowd = []
holder = subprocess.Popen(["setpriv", "--reuid", "65534", "--regid", "64123", "--clear-groups", "/usr/bin/python3", "-c", """
import socket, sys
kept = []
for n in range(500):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(0.5)
    try:
        s.connect(sys.argv[1])
        kept.append(s)
    except OSError:
        pass
print(len(kept), flush=True)
sys.stdin.read()
""", PATH], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
holder.stdout.readline()
began = time.monotonic()
c.ok("500 idle ones", Control(PATH).ask("hello")["ok"] and time.monotonic() - began < 4.5, "")
for n in range(100):
    s = connect()
    crowd.append(s)
c.ok("100 of root's own", Control(PATH).ask("hello")["ok"], "")
holder.stdin.close()
holder.wait()
for s in crowd:
    s.close()
c.ok("no descriptor lost", wait_until(lambda: proxy_fds() <= fds + 6, 30), "%d, at the beginning %d" % (proxy_fds(), fds))
c.end()
