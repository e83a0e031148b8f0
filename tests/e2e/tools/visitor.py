#!/usr/bin/env python3
"""Visitors as browsers: kept connections over HTTP and HTTPS, one request after the other, every one with an id of its own.

A request whose reused connection ended before any byte of an answer is sent again on a fresh one, as RFC 9112 9.3.1 allows for idempotent
methods (its id then ends in "r"); everything else that is not an answer counts as lost.

visitor.py OUT HOST[,HOST..] [http,https] [PAUSE-MS]    until SIGTERM; OUT gets a line of JSON per request:
  {"id", "host", "scheme", "t0", "t1", "status", "side", "retried", "fresh", "lost": why or null}
"""
import json
import os
import signal
import ssl
import sys
import threading
import time

from lab import CLIENT, VISITOR, W, Closed, Conn


class Visitor(threading.Thread):
    def __init__(self, out, name, host, scheme, pause=0.01, src=None, keep=50):
        super().__init__(daemon=True)
        self.out, self.label, self.host, self.scheme, self.pause, self.src, self.keep = out, name, host, scheme, pause, src, keep
        self.stopping = False
        self.conn, self.used = None, 0
        self.context = ssl.create_default_context(cafile=W + "/cert.pem") if scheme == "https" else None

    def connect(self):
        v = Conn(dst=CLIENT, port=443 if self.context else 80, src=self.src, timeout=90)
        if self.context:
            try:
                v.s = self.context.wrap_socket(v.s, server_hostname=self.host)
            except BaseException:
                v.close()
                raise
        return v

    def request(self, req_id):
        v = self.conn
        v.buf = b""
        v.s.sendall(("GET /v HTTP/1.1\r\nHost: %s\r\nX-Req-Id: %s\r\n\r\n" % (self.host, req_id)).encode())
        return v.response()

    def drop(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    def one(self, n):
        base = "%s-%d" % (self.label, n)
        record = {"id": base, "host": self.host, "scheme": self.scheme, "t0": time.time(), "retried": False, "lost": None, "status": None, "side": None}
        req_id = base
        while True:
            fresh = self.conn is None
            record["fresh"] = fresh
            sent = False
            try:
                if fresh:
                    self.conn, self.used = self.connect(), 0
                self.used += 1
                sent = True
                status, fields, _ = self.request(req_id)
                record["status"], record["side"] = status, fields.get("x-side")
                if fields.get("connection", "").lower() == "close" or self.used >= self.keep:
                    self.drop()
            except (OSError, Closed, ValueError) as e:
                nothing = self.conn is None or not self.conn.buf
                self.drop()
                if not fresh and nothing and not record["retried"]:
                    record["retried"] = True
                    req_id = base + "r"
                    continue
                record["lost"] = "%s %s: %s" % ("request" if sent else "connect", type(e).__name__, str(e)[:80])
            record["t1"] = time.time()
            self.out(record)
            return record

    def run(self):
        n = 0
        while not self.stopping:
            record = self.one(n)
            n += 1
            time.sleep(0.1 if record["lost"] else self.pause)  # who is turned away takes a breath: what is counted is visitors, not a busy loop
        self.drop()


class Recorder:
    """Where visitors of all threads write."""

    def __init__(self, path):
        self.f, self.lock = open(path, "w"), threading.Lock()
        self.records = []

    def __call__(self, record):
        with self.lock:
            self.records.append(record)
            self.f.write(json.dumps(record) + "\n")
            self.f.flush()


def main():
    out = Recorder(sys.argv[1])
    schemes = sys.argv[3].split(",") if len(sys.argv) > 3 else ["http", "https"]
    pause = float(sys.argv[4]) / 1000 if len(sys.argv) > 4 else 0.01
    crowd = []
    for i, host in enumerate(sys.argv[2].split(",")):
        for s in schemes:
            crowd.append(Visitor(out, "%s-%s" % (host.split(".")[0], s), host, s, pause, VISITOR[i % len(VISITOR)]))
    signal.signal(signal.SIGTERM, lambda *_: [setattr(v, "stopping", True) for v in crowd])
    for v in crowd:
        v.start()
    for v in crowd:
        while v.is_alive():
            v.join(0.2)


if __name__ == "__main__":
    main()
