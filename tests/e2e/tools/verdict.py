#!/usr/bin/env python3
"""Did every request reach one side only, and the right one?  verdict.py W VISITORS [allow-lost]

W has nginx-c/access and nginx-t/access; VISITORS is what visitor.py wrote. Says what is wrong and exits 1:
- a request that was not answered (unless allow-lost), or answered with anything but 200
- a request that a web server saw more than once, or that both saw
- an answer that came from another side than the one whose log has it
"""
import json
import sys
import time


def log(path):
    seen = {}
    for line in open(path):
        f = line.rstrip("\n").split("\t")
        seen.setdefault(f[3], []).append((float(f[0]) - float(f[1]), float(f[0]), int(f[2]), f[4]))
    return seen


def main():
    w, visitors = sys.argv[1:3]
    allow_lost = "allow-lost" in sys.argv[3:]
    answered = set()
    for line in open(visitors):
        r = json.loads(line)
        if not r["lost"]:
            answered.add(r["id"] + ("r" if r["retried"] else ""))
    end = time.monotonic() + 10
    while True:  # a web server logs after it has answered
        c, t = log(w + "/nginx-c/access"), log(w + "/nginx-t/access")
        if not answered - c.keys() - t.keys() or time.monotonic() > end:
            break
        time.sleep(0.1)
    bad, n, lost, retried = [], 0, 0, 0
    for line in open(visitors):
        r = json.loads(line)
        n += 1
        retried += r["retried"]
        if r["lost"]:
            lost += 1
            if not allow_lost:
                bad.append("%(id)s was lost after %(wait).2f s: %(lost)s" % dict(r, wait=r["t1"] - r["t0"]))
            continue
        if r["status"] != 200:
            bad.append("%(id)s was answered with %(status)s" % r)
            continue
        here, there = (c, t) if r["side"] == "client" else (t, c)
        last = r["id"] + ("r" if r["retried"] else "")
        if len(here.get(last, [])) != 1 or there.get(last):
            bad.append("%s was answered by %s but is %d times in its log and %d times in the other's" % (
                last, r["side"], len(here.get(last, [])), len(there.get(last, []))))
        if r["retried"] and len(c.get(r["id"], [])) + len(t.get(r["id"], [])) > 1:
            bad.append("%s is in the logs %d + %d times" % (r["id"], len(c.get(r["id"], [])), len(t.get(r["id"], []))))
    for line in bad[:40]:
        print(line)
    print("%d requests, %d sent again, %d lost, %d wrong" % (n, retried, lost, len(bad)))
    sys.exit(1 if bad or n == 0 else 0)


if __name__ == "__main__":
    main()
