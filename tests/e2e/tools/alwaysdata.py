#!/usr/bin/env python3
"""The part of alwaysdata's REST API that keeps DNS records, as its public documentation describes it, on a loopback address.

  alwaysdata.py --key "KEY account=alice" --data FILE [--port N] [--writes 50] [--reads 250] [--fresh 10] [--window 60]
                [--dns SERVER --dns-key FILE]

FILE: {"domains": [{"id": 3, "name": "alice.example"}], "records": [{"domain": 3, "type": "A", "name": "www", "value": "192.0.2.10"}, ..]}
Prints "port N" when it listens. With --dns what is written shows there, by nsupdate with that key. What is left out of a record is: ttl null, annotation "", is_user_defined and is_active true.

As documented: Basic authentication without a password; JSON; PATCH is partial, PUT whole; at most --reads GETs and --writes other requests
a minute, of the latter at most --fresh that are the first of their connection; a write takes effect a second after its answer, unless
the header alwaysdata-synchronous is there. Records that the provider made are not to be written (403). Assumed, where documentation is
silent: 201 with Location for POST, 204 for the rest, 400 with the field's name, 429 with Retry-After.

Without authentication, for tests:
  GET  /_test/records   the records as they are            GET /_test/log   the requests: method, path, status, synchronous, fresh
  POST /_test/fault     {"kind": "500" | "429" | "cut-before" | "cut-after" | "slow" | "redirect" | "rubbish", "count": N, "seconds": S,
                         "methods": ["PATCH", ..], "after": N}: for the next N requests of these methods, the first `after` left alone
  POST /_test/edit      {"id": 7, ...}: what another person does to a record
"""
import argparse
import base64
import http.server
import ipaddress
import json
import re
import subprocess
import threading
import time
import urllib.parse

DEFAULTS = {"ttl": None, "annotation": "", "priority": None, "is_user_defined": True, "is_active": True}
FIELDS = {"type", "name", "value", "priority", "ttl", "annotation", "domain", "is_active"}
TYPES = {"A", "AAAA", "ALIAS", "CAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"}


class Refused(Exception):
    def __init__(self, status, body=None, headers=()):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers


class Rate:
    """At most `most` in any `window` seconds."""

    def __init__(self, most, window):
        self.most, self.window, self.times = most, window, []

    def take(self):
        now = time.monotonic()
        self.times = [t for t in self.times if now - t < self.window]
        if len(self.times) >= self.most:
            wait = self.window - (now - self.times[0])
            raise Refused(429, {"detail": "too many requests"}, [("Retry-After", str(int(wait) + 1))])
        self.times.append(now)


class World:
    def __init__(self, options):
        self.lock = threading.RLock()
        self.auth = "Basic " + base64.b64encode((options.key + ":").encode()).decode()
        with open(options.data) as f:
            data = json.load(f)
        self.domains = data["domains"]
        self.records = {}
        self.last = 0
        for r in data["records"]:
            self.add(r)
        self.reads = Rate(options.reads, options.window)
        self.writes = Rate(options.writes, options.window)
        self.fresh = Rate(options.fresh, options.window)
        self.log, self.fault = [], {}
        self.dns, self.dns_key = options.dns, options.dns_key

    def add(self, fields):
        self.last += 1
        self.records[self.last] = DEFAULTS | fields | {"id": self.last}
        return self.last

    def shown(self, r):
        domain = r["domain"]
        return r | {"href": f"/v1/record/{r['id']}/", "domain": {"href": f"/v1/domain/{domain}/"}}

    def publish(self, *touched):
        """All active records of the names and types touched, in place of what is served."""
        lines = [f"server {self.dns}"]
        for domain, name, kind in {(r["domain"], r["name"], r["type"]) for r in touched}:
            zone = next(d["name"] for d in self.domains if d["id"] == domain)
            owner = f"{name}.{zone}." if name else f"{zone}."
            lines += [f"zone {zone}.", f"update delete {owner} {kind}"]
            for r in self.records.values():
                if (r["domain"], r["name"], r["type"]) == (domain, name, kind) and r["is_active"]:
                    value = json.dumps(r["value"]) if kind == "TXT" and not r["value"].startswith('"') else r["value"]
                    priority = "" if r["priority"] is None else f"{r['priority']} "
                    lines.append(f"update add {owner} {r['ttl'] or 300} {kind} {priority}{value}")
            lines.append("send")
        if self.dns:
            subprocess.run(["nsupdate", "-v", "-k", self.dns_key], input="\n".join(lines) + "\n", text=True, check=True)

    def become(self, number, new):
        """new None: it goes."""
        with self.lock:
            old = self.records.pop(number, None)
            if new:
                self.records[number] = new
            self.publish(*(r for r in (old, new) if r))

    def next_fault(self, method):
        f = self.fault
        if not f or method not in f.get("methods", [method]):
            return ""
        if f.get("after", 0) > 0:
            f["after"] -= 1
            return ""
        f["count"] = f.get("count", 1) - 1
        if f["count"] <= 0:
            self.fault = {}
        if f["kind"] == "slow":
            time.sleep(f.get("seconds", 1))
        return f["kind"]

    def check(self, fields):
        """What a record would be; 400 where it would be none."""
        bad = set(fields) - FIELDS - {"id", "href", "is_user_defined"}
        if bad:
            raise Refused(400, {b: ["unknown field"] for b in bad})
        if fields.get("type") not in TYPES:
            raise Refused(400, {"type": ["unknown"]})
        if not any(d["id"] == fields.get("domain") for d in self.domains):
            raise Refused(400, {"domain": ["unknown"]})
        if not isinstance(fields.get("name"), str) or not isinstance(fields.get("value"), str) or not fields["value"]:
            raise Refused(400, {"value": ["required"]})
        ttl = fields.get("ttl")
        if ttl is not None and not (isinstance(ttl, int) and 0 < ttl < 2**31):
            raise Refused(400, {"ttl": ["a number of seconds"]})
        try:
            if fields["type"] == "A":
                ipaddress.IPv4Address(fields["value"])
            if fields["type"] == "AAAA":
                ipaddress.IPv6Address(fields["value"])
        except ValueError as e:
            raise Refused(400, {"value": [str(e)]})

    def write(self, method, number, body):
        """(what is to be done, status, headers)"""
        if method == "POST":
            fields = DEFAULTS | body
            self.check(fields)
            return (lambda: self.become(self.add(fields), fields | {"id": self.last})), 201, [("Location", f"/v1/record/{self.last + 1}/")]
        old = self.records.get(number)
        if not old:
            raise Refused(404, {"detail": "not found"})
        if not old["is_user_defined"]:
            raise Refused(403, {"detail": "generated"})
        if method == "DELETE":
            return (lambda: self.become(number, None)), 204, []
        new = (old if method == "PATCH" else DEFAULTS | {"id": number}) | body
        self.check(new)
        return (lambda: self.become(number, new)), 204, []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world = None

    def log_message(self, *args):
        pass

    def setup(self):
        super().setup()
        self.fresh = True

    def answer(self, status, body=None, headers=()):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def cut(self):
        self.close_connection = True

    def read_body(self):
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not data:
            return {}
        try:
            body = json.loads(data)
        except ValueError:
            raise Refused(400, {"detail": "no JSON"})
        if not isinstance(body, dict):
            raise Refused(400, {"detail": "no object"})
        return body

    def api(self, body):
        w = self.world
        path, _, query = self.path.partition("?")
        wanted = dict(urllib.parse.parse_qsl(query))
        if self.headers.get("Authorization") != w.auth:
            raise Refused(401, {"detail": "authentication"}, [("WWW-Authenticate", "Basic")])
        if self.command == "GET":
            w.reads.take()
        else:
            w.writes.take()
            if self.fresh:
                w.fresh.take()
        number = re.fullmatch(r"/v1/record/([0-9]+)/", path)
        if self.command == "GET" and path == "/v1/domain/":
            return None, 200, [], [d | {"href": f"/v1/domain/{d['id']}/"} for d in w.domains if wanted.get("name", d["name"]) == d["name"]]
        if self.command == "GET" and path == "/v1/record/":
            same = [r for r in w.records.values() if all(str(r.get(k)) == v for k, v in wanted.items())]
            return None, 200, [], [w.shown(r) for r in same]
        if self.command == "GET" and number and int(number[1]) in w.records:
            return None, 200, [], w.shown(w.records[int(number[1])])
        if (self.command == "POST" and path == "/v1/record/") or (self.command in ("PATCH", "PUT", "DELETE") and number):
            act, status, headers = w.write(self.command, int(number[1]) if number else 0, body)
            return act, status, headers, None
        raise Refused(404, {"detail": "not found"})

    def serve_api(self):
        w = self.world
        body = self.read_body()
        fault = w.next_fault(self.command)
        synchronous = self.headers.get("alwaysdata-synchronous", "no") in ("yes", "true", "1")
        headers = []
        if fault == "cut-before":
            return self.cut()
        with w.lock:
            try:
                if fault in ("500", "429"):
                    raise Refused(int(fault), {"error": "as the test wants it"}, [("Retry-After", "1")] if fault == "429" else [])
                if fault == "redirect":
                    raise Refused(302, None, [("Location", "/elsewhere")])
                act, status, headers, out = self.api(body)
                if act and synchronous:
                    act()
                elif act:
                    threading.Timer(1, act).start()
            except Refused as r:
                status, headers, out = r.status, r.headers, r.body
            w.log.append({"method": self.command, "path": self.path, "status": status, "synchronous": synchronous, "fresh": self.fresh})
            self.fresh = False
        if fault == "cut-after":
            return self.cut()
        if fault == "rubbish":
            out = "<html>"
        self.answer(status, out, headers)

    def serve_test(self):
        w = self.world
        body = self.read_body()
        with w.lock:
            if self.path == "/_test/records":
                return self.answer(200, list(w.records.values()))
            if self.path == "/_test/log":
                return self.answer(200, w.log)
            if self.path == "/_test/fault":
                w.fault = body
            elif self.path == "/_test/edit":
                w.become(body["id"], w.records[body["id"]] | body)
        self.answer(200, {})

    def handle_any(self):
        if self.path.startswith("/_test/"):
            self.serve_test()
        else:
            self.serve_api()

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--address", default="127.0.0.1")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--key", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--writes", type=int, default=50)
    p.add_argument("--reads", type=int, default=250)
    p.add_argument("--fresh", type=int, default=10)
    p.add_argument("--dns")
    p.add_argument("--dns-key")
    p.add_argument("--window", type=float, default=60)
    options = p.parse_args()
    Handler.world = World(options)
    server = http.server.ThreadingHTTPServer((options.address, options.port), Handler)
    print("port", server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
