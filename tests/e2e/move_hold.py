"""Holds by hand, message by message, with visitors of all kinds at the gate."""
import json
import os
import threading
import time

import hello as h
from ctl import Refused
from lab import Checks, Closed, Conn, control, wait_until
from ws import WebSocket

A = b"alice.example"


def get(host=A, target=b"/"):
    return b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"


def refused(ctl, cmd, **fields):
    try:
        ctl.ask(cmd, **fields)
    except Refused as e:
        return str(e)
    return None


c = Checks()
ctl = control()

# the order of a move is enforced
c.ok("fence without a hold", refused(ctl, "fence", name="alice"), "")
c.ok("switch without a fence", refused(ctl, "switch", name="alice", side="transit"), "")
c.ok("drain without a hold", refused(ctl, "drain", name="alice", seconds=1), "")
c.ok("an unknown account", refused(ctl, "hold", name="nobody"), "")

# ---- waiting too long
ctl.ask("hold", name="alice", eta=3700)
began = time.monotonic()
v, t, q = Conn(), Conn(port=443), Conn()
v.send(get())
t.send(h.hello(A))
q.send(b"GET / HTTP/1.0\r\nHost: alice.example\r\n\r\n")
status, fields, page = v.response()
took = time.monotonic() - began
c.ok("503 after hold-max-wait", status == 503 and 1.8 < took < 15, (status, took))
c.ok("Retry-After is the ETA", 3600 <= int(fields.get("retry-after", 0)) <= 3701, fields.get("retry-after"))
c.ok("a small plain page", b"hour" in page or b"minute" in page or b"3700" in page or b"61" in page, page)
c.ok("not to be cached", "no-store" in fields.get("cache-control", "no-store") or "no-cache" in fields.get("cache-control", ""), fields)
c.ok("TLS closes", t.until_close(15) == b"", t.buf)
c.ok("HTTP/1.0 too", q.response()[0] == 503, "")
c.ok("TLS after as long", 1.8 < time.monotonic() - began < 15, "")
ctl.ask("eta", name="alice", seconds=90)
with Conn() as v:
    v.send(get())
    status, fields, page = v.response()
c.ok("a new ETA", status == 503 and 60 <= int(fields["retry-after"]) <= 91, fields.get("retry-after"))
account = ctl.ask("account", name="alice")
c.ok("nobody waits any more", account["parked"] == 0, account)

# ---- too many: the next are refused at once, other accounts served
ctl.ask("hold", name="alice", eta=90, **{"max-wait": 30})  # for who comes from now on: far more than any of this takes
crowd = []
for n in range(20):
    v = Conn()
    v.send(get())
    crowd.append(v)
other = control()
wait_until(lambda: other.ask("account", name="alice")["parked"] == 20)
began = time.monotonic()
with Conn() as v:
    v.send(get())
    status, fields, _ = v.response()
c.ok("one too many", status == 503 and "retry-after" in fields and time.monotonic() - began < 15, (status, time.monotonic() - began))
with Conn() as v:
    v.send(get(b"carol.example"))
    c.ok("another account", v.response()[0] == 200, "")
crowded = ctl.ask("release", name="alice", **{"spread-ms": 100})["evidence"]
got = [v.response()[0] for v in crowd]
c.ok("all who waited are answered", got == [200] * 20, got)
c.ok("who waited is counted", (crowded["parked"], crowded["released"], crowded["refused"], crowded["gave-up"]) == (24, 20, 5, 0) and  # four had waited too long before
     0 < crowded["median-wait-ms"] <= crowded["longest-wait-ms"] <= crowded["hold-ms"] + 200, crowded)
# release answers when all have been let go, which may be before the first of them has reached its server: what was sent is asked now
sent = ctl.ask("account", name="alice")["stats"]
c.ok("nothing went to the other side", crowded["first-byte-new"] is None and sent["transit"]["first-byte"] is None and
     sent["client"]["last-byte"] is not None and (crowded["last-byte-old"] or "") <= sent["client"]["last-byte"], (crowded, sent))
for v in crowd:
    v.close()

# ---- a visitor who waits and leaves is forgotten
ctl.ask("hold", name="alice", **{"max-wait": 60})
v = Conn()
v.send(get())
wait_until(lambda: other.ask("account", name="alice")["parked"] == 1)
v.rst()
c.ok("a waiting visitor leaves", wait_until(lambda: other.ask("account", name="alice")["parked"] == 0, 15), other.ask("account", name="alice"))
v = Conn()
v.send(b"POST / HTTP/1.1\r\nHost: alice.example\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 300000)
wait_until(lambda: other.ask("account", name="alice")["parked"] == 1)
v.rst()
c.ok("a waiting visitor leaves in the middle of an upload", wait_until(lambda: other.ask("account", name="alice")["parked"] == 0, 15), "")
left = ctl.ask("release", name="alice")["evidence"]
c.ok("who left is counted", (left["parked"], left["gave-up"], left["released"]) == (2, 2, 0), left)

# ---- draining: what finishes is drained, what does not is cut and counted
ws = WebSocket("alice.example", "/app/ws")
c.ok("a WebSocket", ws.say("hello") == "client:hello", "")
down = Conn(timeout=20)
down.send(get(target=b"/app/download?kb=3000&ms=20"))  # a minute, if it is let
down.until(b"\r\n\r\n")
tls = Conn(port=443, timeout=20)
tls.send(h.hello(A))
tls.more()  # the server's hello
idle = Conn()  # a kept connection between requests is nothing in flight
idle.send(get())
idle.response()
short = Conn()
short.send(get(target=b"/app/slow?ms=3000"))
wait_until(lambda: other.ask("account", name="alice")["flows"] == 4)
flying = ctl.ask("hold", name="alice", **{"max-wait": 60})["in-flight"]
c.ok("in flight", flying == 4, flying)
waiting = Conn(timeout=60)
waiting.send(get())
began = time.monotonic()
c.ok("no fence before the drain", refused(other, "fence", name="alice"), "")
drained = ctl.ask("drain", name="alice", seconds=8)
took = time.monotonic() - began
c.ok("drain", 2.4 < took < 20 and drained["cut"] + drained["drained"] == 4 and drained["drained"] >= 1 and drained["cut"] >= 2, (drained, took))
c.ok("a short request is finished", short.response()[0] == 200, "")
fence = ctl.ask("fence", name="alice")
c.ok("evidence", all(k in fence["evidence"] for k in ("held-at", "fenced-at", "parked", "drained", "cut", "longest-wait-ms")) and
     fence["evidence"]["cut"] == drained["cut"] and fence["evidence"]["parked"] >= 1, fence)
body = down.until_close(15)
c.ok("a download is cut, not ended", body is not None and len(body) < 3000 * 1024, body and len(body))
c.ok("a WebSocket is cut", ws.ended(15), "")
c.ok("TLS is cut", tls.until_close(15) is not None, "")
again = ctl.ask("fence", name="alice")["evidence"]  # whoever still waits has waited longer by now
c.ok("fenced once more is the same", all(again[k] == fence["evidence"][k] for k in ("held-at", "fenced-at", "drained", "cut")), (again, fence))
c.ok("removal while fenced", refused(ctl, "account-remove", name="alice"), "")
ctl.ask("import-begin")
ctl.ask("import-add", accounts=[{"name": "bob", "domains": ["bob.example"]}])
c.ok("an import that drops a fenced account", refused(ctl, "import-commit"), "")
ctl.ask("switch", name="alice", side="transit")
released = ctl.ask("release", name="alice", **{"spread-ms": 200})
c.ok("released", released["side"] == "transit" and released["gate"] == "open" and released["evidence"]["released"] >= 1 and
     released["evidence"]["longest-wait-ms"] > 500, released)
status, fields, _ = waiting.response()
times = ctl.ask("account", name="alice")["stats"]
times = [times["client"]["last-byte"], fence["evidence"]["fenced-at"], released["evidence"]["opened-at"],
         times["transit"]["first-byte"]]
c.ok("the last byte to the old side, the first to the new", None not in times and times == sorted(times) and
     times[0] == fence["evidence"]["last-byte-old"], times)
c.ok("who waited is at the new side", status == 200 and fields["x-side"] == "transit", (status, fields))
idle.send(get())
status, fields, _ = idle.response()
c.ok("a kept connection goes on at the new side", status == 200 and fields["x-side"] == "transit", (status, fields))

# ---- released in the middle of a drain: what is in flight stays there, also when the drain would have ended
ctl.ask("hold", name="alice")
ctl.ask("release", name="alice")
ws = WebSocket("alice.example", "/app/ws")
ctl.ask("hold", name="alice")
began = time.monotonic()
ctl.s.sendall(b'{"v":1,"cmd":"drain","name":"alice","seconds":5}\n')
for _ in range(3):  # each goes through all workers, as the drain did before
    other.ask("account", name="alice")
other.ask("release", name="alice")
answer = json.loads(ctl.f.readline())
c.ok("whoever drained hears of the release", answer["ok"] is False and time.monotonic() - began < 4.5, (answer, time.monotonic() - began))
c.ok("a release ends the drain, and cuts nothing", not ws.ended(5.5) and ws.say("still here") == "transit:still here", "")
ws.close()

# ---- the release is spread
ctl.ask("hold", name="alice", **{"max-wait": 60})
ctl.ask("drain", name="alice", seconds=1)
ctl.ask("fence", name="alice")
crowd = []
for n in range(20):
    v = Conn(timeout=30)
    v.send(get())
    crowd.append(v)
wait_until(lambda: other.ask("account", name="alice")["parked"] == 20)
times = []


def take(v):
    v.response()
    times.append(time.monotonic())


threads = [threading.Thread(target=take, args=(v,)) for v in crowd]
for x in threads:
    x.start()
began = time.monotonic()
ctl.ask("release", name="alice", **{"spread-ms": 3000})
for x in threads:
    x.join()
times.sort()
# each worker lets go at least one of its own each tenth of a second: half of them is done in a second
c.ok("spread release", len(times) == 20 and times[-1] - times[0] > 0.5 and times[-1] - began < 20, [round(t - began, 2) for t in times])
c.end()
