"""Visitors of every account that never stop until SIGTERM: eight_steps_visitors.py PACE ACCOUNTS VISITS STATE

ACCOUNTS has a line for each: name, host, the server that is asked for its address, its IPv4 and its IPv6 address of the client server. Of each account
  writer    writes one number after the other over a connection that is kept, to the address of the first day: a resolver that never forgets
  named     the same, with the address that DNS says when the connection is made, which is kept for ten requests
  fresh     asks DNS before each write, and connects anew
  stale     connects anew to the address of the first day, IPv4 and IPv6 in turn, and looks for the last number that was acknowledged
  download  takes eight seconds for each                      talker    says something over a WebSocket every second

Pauses are PACE times as long as these. A number that is not acknowledged is written again until it is. VISITS gets a line of JSON for each attempt: account, kind, t0, t1, outcome, .. Outcomes:
ok; again: a connection that was kept has ended before the answer, as any may, and the same goes out over a new one at once; cut: a download or WebSocket has
ended early; refused: 503; lost: a new connection has brought no answer; WRONG: another account's, or data of yesterday. Each line of STATE is a number that was acknowledged.
"""
import asyncio
import collections
import itertools
import json
import os
import random
import signal
import struct
import sys
import time

Account = collections.namedtuple("Account", "name host server v4 v6 numbers acked")
FROM4 = ["198.51.100.%d" % n for n in range(10, 16)]
FROM6 = ["2001:db8:f::%x" % n for n in range(0x10, 0x16)]
ANSWER_S = 45
PACE = float(sys.argv[1])
stopping = False
VISITS = STATE = None
ids = itertools.count(1)


def record(account, kind, t0, outcome, **more):
    VISITS.write(json.dumps({"account": account.name, "kind": kind, "t0": round(t0, 4), "t1": round(time.time(), 4), "outcome": outcome, **more}) + "\n")
    VISITS.flush()


class Wrong(Exception):
    pass


# ---- DNS: one question over UDP, to the server that is authoritative
class Question(asyncio.DatagramProtocol):
    def __init__(self, done):
        self.done = done

    def datagram_received(self, data, _):
        if not self.done.done():
            self.done.set_result(data)

    def error_received(self, e):
        pass


async def address_of(account):
    """The A record, or None when the server is silent: who visits has the last answer then."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    name = b"".join(bytes([len(p)]) + p.encode() for p in account.host.split(".")) + b"\0"
    transport, _ = await loop.create_datagram_endpoint(lambda: Question(done), local_addr=(FROM4[0], 0), remote_addr=(account.server, 53))
    try:
        transport.sendto(struct.pack(">6H", random.getrandbits(16), 0, 1, 0, 0, 0) + name + b"\0\x01\0\x01")
        data = await asyncio.wait_for(done, 3)
        at = 12 + len(name) + 4
        for _ in range(struct.unpack(">H", data[6:8])[0]):
            at += 2 if data[at] >= 192 else data.index(b"\0", at) - at + 1
            kind, _, _, size = struct.unpack(">HHIH", data[at:at + 10])
            if kind == 1:
                return ".".join(str(b) for b in data[at + 10:at + 14])
            at += 10 + size
    except asyncio.TimeoutError:
        pass
    finally:
        transport.close()
    return None


# ---- HTTP
class Kept:
    """A connection and how often it was used."""

    def __init__(self, address):
        self.address, self.used, self.id, self.r, self.w = address, 0, None, None, None

    async def open(self):
        sources = FROM6 if ":" in self.address else FROM4
        self.r, self.w = await asyncio.open_connection(self.address, 80, local_addr=(random.choice(sources), 0))
        return self

    async def head(self, account, request, more=""):
        self.used += 1
        self.id = "%s-%d" % (self.address, next(ids))
        self.w.write(("%s HTTP/1.1\r\nHost: %s\r\nX-Req-Id: %s\r\n%s\r\n" % (request, account.host, self.id, more)).encode())
        lines = (await self.r.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        return int(lines[0].split(" ")[1]), {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)}

    async def ask(self, account, request):
        status, fields = await self.head(account, request)
        body = await self.r.readexactly(int(fields["content-length"]))
        return status, fields, json.loads(body) if status == 200 else {}

    def close(self):
        if self.w:
            self.w.transport.abort() if stopping else self.w.close()


NETWORK = (OSError, EOFError, asyncio.TimeoutError)


def check(account, said):
    if said.get("account") != account.name:
        raise Wrong("an answer of %s" % said.get("account"))


async def request(account, kind, kept, address, line):
    """One request over the connection, or a new one to address. What is returned: the connection (None: it has ended), and the answer (None)."""
    while True:
        t0, fresh = time.time(), kept is None
        try:
            if fresh:
                kept = Kept(address)
                await asyncio.wait_for(kept.open(), ANSWER_S)
            status, fields, said = await asyncio.wait_for(kept.ask(account, line), ANSWER_S)
        except NETWORK as e:
            kept.close()
            if not fresh:
                record(account, kind, t0, "again", why=type(e).__name__, id=kept.id, address=kept.address)
                kept = None
                continue
            record(account, kind, t0, "lost", why="%s %s" % (type(e).__name__, str(e)[:60]), id=kept.id, address=kept.address)
            return None, None
        if status != 200:
            record(account, kind, t0, "refused" if status in (502, 503, 504) else "WRONG", status=status, by=fields.get("x-side", "proxy"), id=kept.id, address=kept.address)
            kept.close()
            return None, None
        try:
            check(account, said)
        except Wrong as e:
            record(account, kind, t0, "WRONG", why=str(e), address=kept.address)
        record(account, kind, t0, "ok", side=said["side"], id=kept.id, address=kept.address)
        if fields.get("connection") == "close":
            kept.close()
            kept = None
        return kept, said


async def written(account, kind, kept, address, n):
    """Whether the number was acknowledged, and the connection."""
    kept, said = await request(account, kind, kept, address, "POST /app/write?n=%d" % n)
    if said and said["n"] == n:
        STATE.write("%s %d\n" % (account.name, n))
        STATE.flush()
        account.acked.append(n)
    elif said:
        record(account, kind, time.time(), "WRONG", why="%d was acknowledged for %d" % (said["n"], n))
    return said is not None, kept


# ---- the six kinds
async def pause(seconds):
    await asyncio.sleep(PACE * seconds * random.uniform(0.7, 1.3))


async def writer(account):
    kept, n = None, next(account.numbers)
    while not stopping:
        done, kept = await written(account, "writer", kept, account.v4, n)
        n = next(account.numbers) if done else n
        await pause(1.0 if done else 0.2)


async def named(account):
    kept, n, address = None, next(account.numbers), account.v4
    while not stopping:
        if kept is None or kept.used >= 10:
            if kept:
                kept.close()
            kept, address = None, await address_of(account) or address
        done, kept = await written(account, "named", kept, address, n)
        n = next(account.numbers) if done else n
        await pause(1.2 if done else 0.2)


async def fresh(account):
    n, address = next(account.numbers), account.v4
    while not stopping:
        address = await address_of(account) or address
        done, kept = await written(account, "fresh", None, address, n)
        if kept:
            kept.close()
        n = next(account.numbers) if done else n
        await pause(2.0 if done else 0.2)


async def stale(account):
    for address in itertools.cycle((account.v4, account.v6)):
        if stopping:
            return
        if account.acked:
            n, t0 = account.acked[-1], time.time()
            kept, said = await request(account, "stale", None, address, "GET /app/read?n=%d" % n)
            if said and said["has"] != 1:
                record(account, "stale", t0, "WRONG", why="%d was acknowledged and is not there" % n, side=said["side"])
            if kept:
                kept.close()
        await pause(2.0)


async def download(account):
    kb = 16
    while not stopping:
        t0, kept, got, side = time.time(), Kept(account.v4), 0, None
        try:
            await asyncio.wait_for(kept.open(), ANSWER_S)
            status, fields = await asyncio.wait_for(kept.head(account, "GET /app/download?kb=%d&ms=500" % kb), ANSWER_S)
            if status != 200:
                record(account, "download", t0, "refused" if status in (502, 503, 504) else "WRONG", status=status, by=fields.get("x-side", "proxy"))
            while status == 200 and got < kb and not stopping:
                piece = (await asyncio.wait_for(kept.r.readexactly(1024), ANSWER_S)).decode().split("\n")[0]
                side = side or piece.split(":")[0]
                if piece != "%s:%s" % (side, account.name):
                    record(account, "download", t0, "WRONG", why="a piece of %s" % piece)
                got += 1
            if got == kb:
                record(account, "download", t0, "ok", side=side)
        except NETWORK as e:
            if not stopping:
                record(account, "download", t0, "cut" if got else "lost", why=type(e).__name__, id=kept.id, pieces=got)
        kept.close()
        await pause(0.2)


async def say(kept, text):
    mask = os.urandom(4)
    kept.w.write(bytes([0x81, 0x80 | len(text)]) + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(text.encode())))
    _, n = await kept.r.readexactly(2)
    return (await kept.r.readexactly(n)).decode()


async def talker(account):
    while not stopping:
        t0, kept, side, said = time.time(), Kept(account.v4), None, 0
        try:
            await asyncio.wait_for(kept.open(), ANSWER_S)
            status, fields = await asyncio.wait_for(kept.head(
                account, "GET /app/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), ANSWER_S)
            if status != 101:
                record(account, "talker", t0, "refused" if status in (502, 503, 504) else "WRONG", status=status, by=fields.get("x-side", "proxy"))
            while status == 101 and not stopping:
                heard = await asyncio.wait_for(say(kept, str(said)), ANSWER_S)
                side = side or heard.split(":")[0]
                if heard != "%s:%s:%d" % (side, account.name, said):
                    record(account, "talker", t0, "WRONG", why="heard %s" % heard)
                said += 1
                await pause(1.0)
        except NETWORK as e:
            if not stopping:
                record(account, "talker", t0, "cut" if said else "lost", why=type(e).__name__, id=kept.id, said=said)
        kept.close()
        await pause(0.2)


async def main():
    global VISITS, STATE
    VISITS, STATE = open(sys.argv[3], "a"), open(sys.argv[4], "a")
    crowd = []

    def stop():
        global stopping
        stopping = True

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    for line in open(sys.argv[2]):
        account = Account(*line.split(), itertools.count(1), [])
        for visitor in (writer, named, fresh, stale, download, talker):
            crowd.append(asyncio.create_task(visitor(account)))
            await asyncio.sleep(0.002)
    while not stopping:
        ended = [t for t in crowd if t.done()]
        if ended:
            await ended[0]  # raises what has ended it
        await asyncio.sleep(0.1)
    # who still waits for an answer gets it, but not for ever
    _, late = await asyncio.wait(crowd, timeout=10)
    for t in late:
        t.cancel()
    print("visitors: %d left unanswered" % len(late), flush=True)


asyncio.run(main())
