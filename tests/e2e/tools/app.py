#!/usr/bin/env python3
"""The application behind one nginx: app.py SIDE ADDRESS PORT LOGFILE

  POST /app/upload          reads the whole body, answers {"side", "id", "bytes", "sha256"}
  GET  /app/download?kb=N&ms=M[&until=FILE]    N KiB, one KiB each M ms; the last of them once there is LOGFILE.FILE
  GET  /app/slow?ms=M       answers after M ms
  GET  /app/ws              WebSocket (RFC 6455): echoes every message as "SIDE:message"
  GET  /app/up              answers at once

LOGFILE gets a line of JSON per event: {"t": seconds, "what": "begin"|"end"|"message", "id": X-Req-Id, ...}, so that a story can
see afterwards what reached this side and when.
"""
import asyncio
import base64
import hashlib
import json
import os
import sys
import time
from urllib.parse import parse_qs, urlsplit

SIDE = LOG = None


def log(what, req_id, **more):
    LOG.write(json.dumps({"t": round(time.time(), 4), "what": what, "id": req_id, **more}) + "\n")
    LOG.flush()


async def read_head(r):
    head = await r.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ")
    fields = {}
    for line in lines[1:-2]:
        name, value = line.split(":", 1)
        fields[name.lower()] = value.strip()
    return method, target, fields


async def body_of(r, fields):
    if "chunked" in fields.get("transfer-encoding", ""):
        while True:
            size = int((await r.readline()).split(b";")[0], 16)
            if size == 0:
                while (await r.readline()).strip():
                    pass
                return
            while size:
                data = await r.read(min(size, 65536))
                if not data:
                    raise ConnectionError("truncated")
                size -= len(data)
                yield data
            await r.readline()
    left = int(fields.get("content-length", 0))
    while left:
        data = await r.read(min(left, 65536))
        if not data:
            raise ConnectionError("truncated")
        left -= len(data)
        yield data


def answer(w, status, body, kind="text/plain"):
    w.write(b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (status.encode(), kind.encode(), len(body)) + body)


async def websocket(r, w, fields, req_id):
    key = fields.get("sec-websocket-key", "")
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    w.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    while True:
        b0, b1 = await r.readexactly(2)
        n = b1 & 127
        if n == 126:
            n = int.from_bytes(await r.readexactly(2), "big")
        elif n == 127:
            n = int.from_bytes(await r.readexactly(8), "big")
        mask = await r.readexactly(4)
        data = bytes(c ^ mask[i % 4] for i, c in enumerate(await r.readexactly(n)))
        if b0 & 15 == 8:
            w.write(b"\x88\x00")
            return
        log("message", req_id, text=data.decode("latin-1"))
        out = SIDE.encode() + b":" + data
        w.write(bytes([0x81]) + (bytes([len(out)]) if len(out) < 126 else b"\x7e" + len(out).to_bytes(2, "big")) + out)
        await w.drain()


async def one(r, w):
    method, target, fields = await read_head(r)
    url = urlsplit(target)
    words = {k: v[0] for k, v in parse_qs(url.query).items()}
    query = {k: int(v[0]) for k, v in parse_qs(url.query).items() if v[0].isdigit()}
    req_id = fields.get("x-req-id", "")
    log("begin", req_id, path=url.path, host=fields.get("host"))
    outcome = "cut"
    try:
        if url.path == "/app/upload":
            digest, n = hashlib.sha256(), 0
            async for data in body_of(r, fields):
                digest.update(data)
                n += len(data)
            answer(w, "200 OK", json.dumps({"side": SIDE, "id": req_id, "bytes": n, "sha256": digest.hexdigest()}).encode())
        elif url.path == "/app/download":
            kb = query.get("kb", 1)
            w.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (kb * 1024))
            for n in range(kb):
                while n == kb - 1 and "until" in words and not os.path.exists(LOG.name + "." + words["until"]):
                    await asyncio.sleep(0.05)
                w.write(b"d" * 1024)
                await w.drain()
                await asyncio.sleep(query.get("ms", 0) / 1000)
        elif url.path == "/app/slow":
            await asyncio.sleep(query.get("ms", 0) / 1000)
            answer(w, "200 OK", (SIDE + "\n").encode())
        elif url.path == "/app/ws" and fields.get("upgrade", "").lower() == "websocket":
            await websocket(r, w, fields, req_id)
        elif url.path == "/app/up":
            answer(w, "200 OK", b"up\n")
        else:
            async for _ in body_of(r, fields):
                pass
            answer(w, "404 Not Found", b"no such thing here\n")
        await w.drain()
        outcome = "done"
    finally:
        log("end", req_id, outcome=outcome)
    return url.path != "/app/ws"


async def serve(r, w):
    try:
        while await one(r, w):
            pass
    except (ConnectionError, asyncio.IncompleteReadError, ValueError):
        pass
    finally:
        w.close()


async def main():
    global SIDE, LOG
    SIDE, address, port, path = sys.argv[1:5]
    LOG = open(path, "a")
    server = await asyncio.start_server(serve, address, int(port), backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
