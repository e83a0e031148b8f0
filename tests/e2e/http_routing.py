"""Pipelined requests for names on both sides, through real web servers."""
from lab import Checks, Conn

c = Checks()
names = [b"alice.example", b"bob.example", b"alice.example", b"bob.example", b"bob.example", b"alice.example"]
want = ["client" if n.startswith(b"alice") else "transit" for n in names]
data = b"".join(b"GET /%d HTTP/1.1\r\nHost: %s\r\nX-Req-Id: p%d\r\n\r\n" % (i, n, i) for i, n in enumerate(names))
for split in (None, 1, 11):
    with Conn() as v:
        v.send(data, split=split, gap=0)
        got = [v.response() for _ in names]
    c.ok("pipelined, split %s" % split, [g[1]["x-side"] for g in got] == want, [g[1].get("x-side") for g in got])
    c.ok("in order, split %s" % split, [g[2].split()[-1] for g in got] == [b"p%d" % i for i in range(len(names))], [g[2] for g in got])
with Conn() as v:
    sides = []
    for i in range(200):
        v.send(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % names[i % 2])
        sides.append(v.response()[1]["x-side"])
c.ok("200 times back and forth", sides == ["client", "transit"] * 100, sides)
c.end()
