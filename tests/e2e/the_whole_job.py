"""traffic W: visitors of alice and bob of all kinds, until SIGTERM.   verdict W ROUNDS: what the two web servers recorded, against the moves."""
import hashlib
import json
import os
import signal
import ssl
import sys
import threading
import time
from datetime import datetime

from lab import VISITOR, Closed, Conn, wait_until
from visitor import Recorder, Visitor
from ws import WebSocket

HOSTS = ["alice.example", "bob.example"]
stopping = threading.Event()


def uploads(out, host, tls, n):
    """One upload after the other, each a connection of its own, 400 KB in about half a second."""
    label, i = "%s-up%d" % (host.split(".")[0], n), 0
    context = ssl.create_default_context(cafile=sys.argv[2] + "/cert.pem")
    piece = os.urandom(40000)
    digest = hashlib.sha256(piece * 10).hexdigest()
    while not stopping.is_set():
        i += 1
        r = {"id": "%s-%d" % (label, i), "host": host, "scheme": "upload", "t0": time.time(), "status": None, "side": None, "lost": None}
        v = None
        try:
            v = Conn(port=443 if tls else 80, src=VISITOR[3], timeout=90)
            if tls:
                v.s = context.wrap_socket(v.s, server_hostname=host)
            v.s.sendall(("POST /app/upload HTTP/1.1\r\nHost: %s\r\nX-Req-Id: %s\r\nConnection: close\r\nContent-Length: 400000\r\n\r\n" % (
                host, r["id"])).encode())
            for _ in range(10):
                v.s.sendall(piece)
                time.sleep(0.04)
            r["status"], fields, body = v.response()
            answer = json.loads(body) if r["status"] == 200 else {}
            r["side"] = answer.get("side")
            if r["status"] != 200 or answer["sha256"] != digest or answer["id"] != r["id"]:
                r["lost"] = "the answer was %r %r" % (r["status"], body[:200])
        except (OSError, Closed, ValueError) as e:
            r["lost"] = "%s %s" % (type(e).__name__, str(e)[:80])
            time.sleep(0.1)
        if v:
            v.close()
        r["t1"] = time.time()
        out(r)


def talk(out, host, tls, n):
    """A WebSocket that talks all the time and comes back when it is cut; a cut is no loss, an answer from elsewhere is."""
    label, i, said = "%s-ws%d" % (host.split(".")[0], n), 0, 0
    while not stopping.is_set():
        i += 1
        r = {"id": "%s-%d" % (label, i), "host": host, "scheme": "ws", "t0": time.time(), "status": None, "side": None, "lost": None, "said": 0}
        ws = None
        try:
            ws = WebSocket(host, "/app/ws", r["id"], tls=tls, timeout=90)
            r["status"] = 101
            while not stopping.is_set():
                text = "%s %d" % (r["id"], r["said"])
                r["asked"] = time.time()  # of the last one, which may be under way when the connection is cut
                side, _, echo = ws.say(text).partition(":")
                if echo != text or r["side"] not in (None, side):
                    r["lost"] = "said %r, heard %r from %s" % (text, echo, side)
                    print("FAILED", r["lost"], flush=True)
                r["side"], r["said"] = side, r["said"] + 1
                time.sleep(0.05)
        except (OSError, Closed, ConnectionError, ValueError) as e:
            if r["status"] is None:
                r["lost"] = "%s %s" % (type(e).__name__, str(e)[:80])
                time.sleep(0.1)
        if ws:
            ws.close()
        r["t1"] = time.time()
        out(r)


def arrivals(out, host, scheme):
    """Newcomers, one after the other whether or not the last one has been served yet: some meet the gate at each moment of a move."""
    n, here = 0, []
    while not stopping.is_set():
        n += 1
        v = Visitor(out, "%s-new%s%d" % (host.split(".")[0], scheme, n), host, scheme, src=VISITOR[4], keep=1)
        here = [t for t in here if t.is_alive()] + [threading.Thread(target=v.one, args=(n,), daemon=True)]
        here[-1].start()
        time.sleep(0.04)
    for t in here:
        t.join(95)


def traffic(w):
    out = Recorder(w + "/visits")
    crowd = []
    for n, (host, scheme) in enumerate([(h, s) for h in HOSTS for s in ("http", "https")] * 2):
        crowd.append(Visitor(out, "%s-%s%d" % (host.split(".")[0], scheme, n), host, scheme, 0.02, VISITOR[n % 3]))
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    others = [threading.Thread(target=f, args=(out, h, tls, n), daemon=True) for f in (uploads, talk)
              for n, (h, tls) in enumerate([(h, t) for h in HOSTS for t in (False, True)])]
    others += [threading.Thread(target=arrivals, args=(out, HOSTS[0], s), daemon=True) for s in ("http", "https")]
    for t in crowd + others:
        t.start()
    stopping.wait()
    for v in crowd:
        v.stopping = True
    for t in crowd + others:
        t.join(95)
        if t.is_alive():
            print("FAILED a visitor still waits after the end", flush=True)


def ms(text):
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def begun(w, side):
    """(ms, id, host) of every request and every WebSocket message that reached a side.

    A message that was never answered began when it was said: it was passed on before the connection was cut, and an application that gets no
    processor reads it later.
    """
    unanswered = {}
    for line in open(w + "/visits"):
        r = json.loads(line)
        if r["scheme"] == "ws" and "asked" in r:
            unanswered["%s %d" % (r["id"], r["said"])] = int(r["asked"] * 1000)
    out = []
    for line in open("%s/nginx-%s/access" % (w, side)):
        f = line.rstrip("\n").split("\t")
        out.append((round(float(f[0]) * 1000) - round(float(f[1]) * 1000), f[3], f[4]))
    for line in open("%s/nginx-%s/app" % (w, side)):
        e = json.loads(line)
        if e["what"] in ("begin", "message") and e["id"]:
            at = int(e["t"] * 1000)
            out.append((min(at, unanswered.get(e.get("text"), at)), e["id"], e["id"].split("-")[0] + ".example"))
    return out


def wait_for_logs(w):
    """A web server logs after it has answered."""
    answered = set()
    for line in open(w + "/visits"):
        r = json.loads(line)
        if not r["lost"] and r["scheme"] != "ws":
            answered.add(r["id"] + ("r" if r.get("retried") else ""))
    wait_until(lambda: not answered - {line.split("\t")[3] for side in "ct" for line in open("%s/nginx-%s/access" % (w, side))}, 10, 0.2)


def verdict(w, rounds):
    bad = []
    wait_for_logs(w)
    moves = []
    for line in open(w + "/moves"):
        for m in json.loads(line)["moves"]:
            fence = m["evidence"]["fenced"]["evidence"]
            # a proxy that was killed while it released does not know any more when the last had gone
            release = m["evidence"]["released"].get("evidence", {}).get("released-at")
            moves.append((m["side"], ms(fence["fenced-at"]), release and ms(release), m["evidence"]["draining"]))
    # released-at is when the last who waited had gone; that the gate opens, before it, is a line in the proxy's log
    opened = [ms(line.split(" ")[0]) for line in open(w + "/log/proxy") if "account=alice" in line and "gate=open" in line]
    if len(moves) != 2 * rounds + 1 or [m[0] for m in moves] != ["transit", "client"] * rounds + ["transit"]:
        bad.append("the moves were %r" % [m[0] for m in moves])
    killed = int(open(w + "/killed").read())
    back = min((t for t in (ms(line.split(" ")[0]) for line in open(w + "/log/proxy") if 'reason="ready"' in line) if t >= killed), default=1 << 60)
    if back - killed > 15000:
        bad.append("the proxy was away for %d ms" % (back - killed))

    # 1. after a fence nothing of alice begins at the old side, and until the release nothing at either
    seen = {"client": begun(w, "c"), "transit": begun(w, "t")}
    fences = []  # (from, until, side that must be silent)
    for i, (to, fence, release, _) in enumerate(moves):
        old = "client" if to == "transit" else "transit"
        fences.append((fence, moves[i + 1][1] if i + 1 < len(moves) else 1 << 60, old))
        after = [t for t in opened if fence <= t <= (release or 1 << 60)]
        if not after or release and len(after) != 1:
            bad.append("the gate opened %d times between fence and release of move %d" % (len(after), i))
        else:
            fences.append((fence, after[0], to))
    first = moves[0][1]
    at = {"client": 0, "transit": 0}
    for side, events in seen.items():
        quiet = [(a, b) for a, b, s in fences if s == side]
        for t, req_id, host in events:
            if req_id == "-":  # no visitor's: the proxy asks whether the new side answers, before the switch
                continue
            if host != "alice.example":
                if side == "transit":
                    bad.append("%s, which is bob's, is in transit's log" % req_id)
                continue
            at[side] += 1
            # the log's line is written after the gate has opened, and a web server's clock stands still within one turn of its loop
            for a, b in quiet:
                if a < t < b - 10:
                    bad.append("%s began at %s %d ms after the fence (%d ms before it may)" % (req_id, side, t - a, b - t))
            if side == "transit" and t < first:
                bad.append("%s began at transit before the first move" % req_id)

    # 2. every request was answered, but for those that the kill met; each is in one log, once, and in that of the side that answered
    logged = {}
    for side in seen:
        for line in open("%s/nginx-%s/access" % (w, side[0])):
            f = line.split("\t")
            logged.setdefault(f[3], []).append((side, f[2]))
    n = lost = again = cut = 0
    for line in open(w + "/visits"):
        r = json.loads(line)
        n += 1
        met = r["t0"] * 1000 < back + 20 and r["t1"] * 1000 > killed - 20
        if r["lost"]:
            lost += 1
            if not met:
                bad.append("%s was lost: %s (%.2f s, from %.3f s after the kill)" % (r["id"], r["lost"], r["t1"] - r["t0"], r["t0"] - killed / 1000))
            continue
        if r["status"] not in (200, 101):
            bad.append("%s was answered with %s" % (r["id"], r["status"]))
            continue
        again += r.get("retried", False)
        cut += r["scheme"] == "ws"
        last = r["id"] + ("r" if r.get("retried") else "")
        where = logged.get(last, [])
        if r["scheme"] != "ws" and [s for s, _ in where] != [r["side"]] and not met:
            bad.append("%s was answered by %s, and the logs have it at %r" % (last, r["side"], where))
    per_kind = {}
    for i in logged:
        kind = "-".join(i.split("-")[:2]).rstrip("0123456789")
        per_kind[kind] = per_kind.get(kind, 0) + 1
    # 3. the story is about something: all kinds of traffic, on both sides
    if min(at.values()) < 100 * min(rounds, 20) / 20 or len(per_kind) < 10:
        bad.append("too little traffic: %r %r" % (at, per_kind))
    for line in bad[:30]:
        print(line)
    print("%d moves; %d requests (%s), %d sent again, %d WebSockets, %d lost in the %d ms of the kill; alice: %r; drained %d, cut %d; %d wrong" % (
        len(moves), n, " ".join("%s %d" % x for x in sorted(per_kind.items())), again, cut, lost, back - killed, at, sum(m[3].get("drained", 0) for m in moves),
        sum(m[3].get("cut", 0) for m in moves), len(bad)))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(traffic(sys.argv[2]) if sys.argv[1] == "traffic" else verdict(sys.argv[2], int(sys.argv[3])))
