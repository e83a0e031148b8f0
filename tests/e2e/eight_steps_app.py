"""The application of every account on one side, behind its nginx: eight_steps_app.py SIDE MARIADB-SOCKET PORT LOG

  POST /app/write?n=N     N is in the account's database when it is answered        GET /app/download?kb=K&ms=M   K KiB, one each M ms
  GET  /app/read?n=N      whether N is there                                        GET /app/ws   says "SIDE:ACCOUNT:" before what it hears

An account is the first label of Host up to a "-". It has its own user of MariaDB: who is locked there is refused with 503. Each answer names side and
account. LOG has a line for each request that was accepted, and each message: seconds, account, what, X-Req-Id, number.
"""
import asyncio
import base64
import hashlib
import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

from mysql import Connection, Refused

SIDE = SOCKET = LOG = None
databases = {}  # account: a connection, or none


def log(account, what, req_id, n=""):
    LOG.write("%.4f\t%s\t%s\t%s\t%s\n" % (time.time(), account, what, req_id, n))
    LOG.flush()


async def ask(account, statement):
    """One connection for each account, made when it is needed; what is cut by a seal or a restart is made again, once."""
    lock, c = databases.setdefault(account, [asyncio.Lock(), None])
    async with lock:
        for last in (False, True):
            try:
                if c is None:
                    c = await Connection().open(SOCKET, account, "secret", account)
                value = await c.query(statement)
                databases[account][1] = c
                return value
            except (OSError, EOFError):  # an IncompleteReadError is an EOFError
                databases[account][1] = c = None
                if last:
                    raise
            except Refused:
                if c:
                    c.close()
                databases[account][1] = c = None
                raise


def answer(w, status, account, what):
    body = json.dumps({"side": SIDE, "account": account, **what}).encode()
    w.write(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status.encode(), len(body)) + body)


async def websocket(r, w, fields, account, req_id):
    accept = base64.b64encode(hashlib.sha1((fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    w.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    while True:
        b0, b1 = await r.readexactly(2)
        mask = await r.readexactly(4)
        data = bytes(c ^ mask[i % 4] for i, c in enumerate(await r.readexactly(b1 & 127)))
        if b0 & 15 == 8:
            return
        log(account, "message", req_id)
        out = ("%s:%s:" % (SIDE, account)).encode() + data
        w.write(bytes([0x81, len(out)]) + out)
        await w.drain()


async def one(r, w):
    head = (await r.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    url = urlsplit(head[0].split(" ")[1])
    fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
    query = {k: int(v[0]) for k, v in parse_qs(url.query).items()}
    account, req_id = fields["host"].split(".")[0].split("-")[0], fields.get("x-req-id", "")
    what = url.path.rpartition("/")[2]
    log(account, what, req_id, query.get("n", ""))
    try:
        if what == "write":
            await ask(account, "INSERT IGNORE INTO w VALUES (%d)" % query["n"])
            log(account, "stored", req_id, query["n"])
            answer(w, "200 OK", account, {"n": query["n"]})
        elif what == "read":
            answer(w, "200 OK", account, {"has": int(await ask(account, "SELECT COUNT(*) FROM w WHERE n = %d" % query["n"]))})
        elif what == "download":
            await ask(account, "SELECT 1")
            w.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (query["kb"] * 1024))
            for _ in range(query["kb"]):
                w.write(("%s:%s\n" % (SIDE, account)).ljust(1024, ".").encode())
                await w.drain()
                await asyncio.sleep(query["ms"] / 1000)
        elif what == "ws":
            await ask(account, "SELECT 1")
            await websocket(r, w, fields, account, req_id)
        else:
            answer(w, "404 Not Found", account, {})
    except Refused as e:
        log(account, "refused", req_id)
        answer(w, "503 Service Unavailable", account, {"refused": e.code})
    await w.drain()
    return what != "ws"


async def serve(r, w):
    try:
        while await one(r, w):
            pass
    except (OSError, EOFError):
        pass
    finally:
        w.close()


async def main():
    global SIDE, SOCKET, LOG
    SIDE, SOCKET, port, path = sys.argv[1:5]
    LOG = open(path, "a")
    server = await asyncio.start_server(serve, "127.0.0.1", int(port), backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main())
