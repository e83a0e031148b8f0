#!/usr/bin/env python3
"""A DNS proxy that misbehaves on demand, in front of one server, TCP and UDP, port 53.

dns_fault.py RULES-FILE SEEN-FILE LISTEN-ADDRESS SERVER-ADDRESS

A line that is appended to the rules file, "FAULT [KEY=VALUE..]", adds a rule, in force for every request that comes later; the first rule that fits a
request decides. "clear" removes all rules, "pass" is a rule, too. (A file, because a shell writes it in no time; the harm is done here.)
  for=WHAT    update, axfr, ixfr, notify, query (any other), soa, ns, a.. (a type), connect (only reset), any (default)
  over=tcp|udp|any
  zone=NAME   only what is asked about this very name: a zone's SOA, transfers and updates
  times=N     only the next N that fit (default: until clear)
  skip=N      lets N that fit pass first
  at=N|all    the answer message that is damaged, a transfer has several (default: 1)
Faults of a request:
  cut-before  the connection is closed and nothing forwarded             hang-before  nothing forwarded, the connection stays
  instead rcode=N    answered by us, unsigned, nothing forwarded         reset        (for=connect) the connection is reset when it is made
  late ms=N   the connection is closed, and N ms later, or without ms= after the word "release", the server gets it all the same
  closed      (no rule) nobody listens until "open"; it is so when the seen file says so
Faults of an answer; the server has done what it was asked:
  cut-after   the answer is swallowed, the connection closed             hang         the answer is swallowed, the connection stays
  delay ms=N  it comes N ms late, or without ms= after the word "release", and so does what follows on the connection
  reorder n=N  N answers of a connection in reverse (those that wait 3 s go anyway)
  truncate    the length prefix says more than comes before the close    short n=N    N bytes less (default 7), length prefix to match
  tc          TC bit set, over UDP nothing but the question              drop         this message is left out, the others come
  wrong-id, wrong-question, rcode rcode=N, no-aa, no-tsig, bad-mac: that changed, nothing signed anew
  forged-first rcode=N   an unsigned answer of that rcode (default 5) comes before the true one
  loop        a name that points at itself                               garbage      65535 bytes of noise behind the right id (id=no: noise all over)
A line of the seen file: ms tcp|udp what zone-or-name id fault; of what comes late: ms tcp late id rcode -; for each message of an answer as the server sent it: ms tcp|udp answer tsig|bare id bytes;
and ms - open|closed
"""
import asyncio
import os
import random
import socket
import struct
import sys
import time

TYPES = {1: "a", 2: "ns", 5: "cname", 6: "soa", 15: "mx", 16: "txt", 28: "aaaa", 251: "ixfr", 252: "axfr"}
FAULTS = set("""pass cut-before hang-before instead reset late cut-after hang delay reorder truncate short tc drop wrong-id wrong-question rcode no-aa no-tsig bad-mac
    forged-first loop garbage""".split())
REORDER_S = 3


def name_end(m, at):
    """Where the name that begins at `at` has ended."""
    while m[at]:
        if m[at] >= 0xC0:
            return at + 2
        at += m[at] + 1
    return at + 1


def question(m):
    """(name, end of the question)"""
    at, labels = 12, []
    while m[at]:
        labels.append(m[at + 1:at + 1 + m[at]].decode("latin-1"))
        at += m[at] + 1
    return ".".join(labels), at + 5


def what_is(m):
    """(what, name) of a request: what rules and stories call it."""
    opcode = m[2] >> 3 & 15
    try:
        name, end = question(m)
    except IndexError:
        return "broken", "?"
    if opcode == 5:
        return "update", name
    if opcode == 4:
        return "notify", name
    qtype = struct.unpack_from("!H", m, end - 4)[0]
    return TYPES.get(qtype, "type%d" % qtype), name


def last_record(m):
    """(start, type, rdata start) of the last record; the TSIG is there if the message has one."""
    counts = struct.unpack_from("!4H", m, 4)
    at = 12
    for _ in range(counts[0]):
        at = name_end(m, at) + 4
    found = None
    for _ in range(sum(counts[1:])):
        end = name_end(m, at)
        rtype, _, _, rdlen = struct.unpack_from("!HHIH", m, end)
        found = (at, rtype, end + 10)
        at = end + 10 + rdlen
    return found


def tsig(m):
    found = last_record(m)
    return found if found and found[1] == 250 else None


def reply_to(request, rcode):
    """An unsigned answer with nothing but the question."""
    _, end = question(request)
    flags = 0x8000 | struct.unpack_from("!H", request, 2)[0] & 0x7900 | rcode
    return request[:2] + struct.pack("!HHHHH", flags, 1, 0, 0, 0) + request[12:end]


def damaged(m, request, rule):
    """The answer as this rule has it."""
    fault, m = rule.fault, bytearray(m)
    if fault == "wrong-id":
        m[1] ^= 0x55
    elif fault == "wrong-question":
        m[13] = ord("q") if m[13] != ord("q") else ord("z")
    elif fault == "rcode":
        m[3] = m[3] & 0xF0 | int(rule.get("rcode", 5))
    elif fault == "no-aa":
        m[2] &= ~4
    elif fault == "tc":
        m[2] |= 2
    elif fault == "short":
        del m[-int(rule.get("n", 7)):]
    elif fault == "no-tsig" and tsig(m):
        start = tsig(m)[0]
        m = m[:start]
        struct.pack_into("!H", m, 10, struct.unpack_from("!H", m, 10)[0] - 1)
    elif fault == "bad-mac" and tsig(m):
        mac = name_end(m, tsig(m)[2]) + 10
        m[mac] ^= 1
    elif fault == "loop":
        # an answer whose owner's compression pointer leads to itself
        head = bytearray(reply_to(request, 0))
        struct.pack_into("!H", head, 6, 1)
        m = head + struct.pack("!HHHIH4s", 0xC000 | len(head), 1, 1, 60, 4, b"\xc0\x00\x02\x0a")
    elif fault == "garbage":
        noise = random.Random(1).randbytes(65535)
        m = noise if rule.get("id") == "no" else request[:2] + b"\x84" + noise[3:]
    return bytes(m)


class Rule:
    def __init__(self, words):
        self.fault = words[0]
        self.options = dict(w.split("=", 1) for w in words[1:])
        self.what = self.get("for", "any")
        self.times = int(self.get("times", 0)) or None
        self.skip = int(self.get("skip", 0))

    def get(self, key, default=None):
        return self.options.get(key, default)

    def fits(self, what, transport, name):
        if self.get("over", "any") not in ("any", transport) or self.times == 0 or self.get("zone", name) != name:
            return False
        if self.what == "query":
            fits = what not in ("update", "notify", "axfr", "ixfr", "connect")
        else:
            fits = self.what == what or self.what == "any" and what != "connect"
        if fits and self.skip:
            self.skip -= 1
            return False
        if fits and self.times:
            self.times -= 1
        return fits

    def hits(self, n):
        """Is the n-th message of the answer meant?"""
        at = self.get("at", "1")
        return at == "all" or n == int(at)


class Proxy:
    def __init__(self, rules, seen, listen, server):
        self.listen, self.server, self.rules, self.wanted = listen, server, [], True
        self.file = open(rules, "a+")
        self.file.seek(0)
        self.seen = open(seen, "a", buffering=1)
        self.tcp = self.udp = None
        self.late, self.released = set(), asyncio.Event()

    def rule(self, what, transport, name):
        self.read_rules()
        return next((r for r in self.rules if r.fits(what, transport, name)), None) or Rule(["pass"])

    def judge(self, m, transport):
        what, name = what_is(m)
        rule = self.rule(what, transport, name.lower())
        self.seen.write("%d %s %s %s %d %s\n" % (time.time() * 1000, transport, what, name or ".", m[0] << 8 | m[1], rule.fault))
        return rule

    def note_answer(self, m, transport):
        try:
            signed = "tsig" if tsig(m) else "bare"
        except (IndexError, struct.error):
            signed = "broken"
        self.seen.write("%d %s answer %s %d %d\n" % (time.time() * 1000, transport, signed, m[0] << 8 | m[1], len(m)))

    async def open(self):
        loop = asyncio.get_running_loop()
        self.tcp = await asyncio.start_server(self.on_tcp, self.listen, 53, backlog=512)
        self.udp, _ = await loop.create_datagram_endpoint(lambda: Datagrams(self), local_addr=(self.listen, 53))
        self.seen.write("%d - open\n" % (time.time() * 1000))

    async def close(self):
        self.tcp.close()
        self.udp.close()
        await self.tcp.wait_closed()
        self.tcp = self.udp = None
        self.seen.write("%d - closed\n" % (time.time() * 1000))

    async def on_tcp(self, reader, writer):
        if self.rule("connect", "tcp", None).fault == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        await Stream(self, reader, writer).run()

    async def until(self, ms):
        if ms:
            await asyncio.sleep(int(ms) / 1000)
        else:
            await self.released.wait()

    def send_late(self, m, ms):
        task = asyncio.create_task(self.forward_late(m, ms))
        self.late.add(task)
        task.add_done_callback(self.late.discard)

    async def forward_late(self, m, ms):
        await self.until(ms)
        reader, writer = await asyncio.open_connection(self.server, 53)
        writer.write(framed(m))
        answer = await read_message(reader)
        self.seen.write("%d tcp late %d %d -\n" % (time.time() * 1000, m[0] << 8 | m[1], answer[3] & 15))
        writer.close()

    async def watch(self):
        """Opens and closes; rules are read by the requests they are for."""
        self.read_rules()
        if not self.wanted:
            self.seen.write("%d - closed\n" % (time.time() * 1000))
        while True:
            self.read_rules()
            if self.wanted and not self.tcp:
                await self.open()
            elif not self.wanted and self.tcp:
                await self.close()
            await asyncio.sleep(0.02)

    def read_rules(self):
        for words in map(str.split, self.file):
            if words[0] == "clear":
                self.rules = []
            elif words[0] == "release":
                self.released.set()
            elif words[0] in ("open", "closed"):
                self.wanted = words[0] == "open"
            elif words[0] in FAULTS:
                self.rules.append(Rule(words))
            else:
                print("no such fault:", *words, file=sys.stderr)
                os._exit(2)


async def read_message(reader):
    length, = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)


def framed(m):
    return struct.pack("!H", len(m)) + m


class Stream:
    """One TCP connection of a client, and the one to the server that belongs to it."""

    def __init__(self, proxy, reader, writer):
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.upstream = None
        self.pending = {}  # id: [rule, request, messages of the answer so far]
        self.held = []     # answers that wait to be reordered
        self.timer = None
        self.answers = None

    async def run(self):
        try:
            while True:
                await self.request(await read_message(self.reader))
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        # a client may half-close and still wait
        if self.answers and not self.writer.is_closing():
            await asyncio.wait([self.answers], timeout=5)
        self.end()

    def end(self):
        self.writer.close()
        if self.upstream:
            self.upstream.close()

    async def request(self, m):
        rule = self.proxy.judge(m, "tcp")
        if rule.fault in ("cut-before", "late"):
            if rule.fault == "late":
                self.proxy.send_late(m, rule.get("ms"))
            self.end()
            raise EOFError
        if rule.fault == "hang-before":
            return
        if rule.fault == "instead":
            self.writer.write(framed(reply_to(m, int(rule.get("rcode", 2)))))
            return
        if self.upstream is None:
            upstream_reader, self.upstream = await asyncio.open_connection(self.proxy.server, 53)
            self.answers = asyncio.create_task(self.forward_answers(upstream_reader))
        self.pending[m[:2]] = [rule, m, 0]
        self.upstream.write(framed(m))

    async def forward_answers(self, reader):
        try:
            while True:
                await self.answer(await read_message(reader))
                await self.writer.drain()
        except (OSError, EOFError):
            self.end()

    async def answer(self, m):
        self.proxy.note_answer(m, "tcp")
        entry = self.pending.get(m[:2]) or [Rule(["pass"]), m, 0]
        entry[2] += 1
        rule, request, n = entry
        if rule.fault == "reorder":
            self.hold(m, int(rule.get("n", 2)))
            return
        if rule.fault == "hang" and n >= int(rule.get("at", 1)) or rule.fault == "drop" and rule.hits(n):
            return
        if not rule.hits(n):
            self.writer.write(framed(m))
            return
        if rule.fault == "cut-after":
            self.end()
            raise EOFError
        if rule.fault == "truncate":
            self.writer.write(framed(m)[:2 + len(m) // 2])
            await self.writer.drain()
            self.end()
            raise EOFError
        if rule.fault == "delay":
            await self.proxy.until(rule.get("ms"))
        if rule.fault == "forged-first":
            self.writer.write(framed(reply_to(request, int(rule.get("rcode", 5)))))
        self.writer.write(framed(damaged(m, request, rule)))

    def hold(self, m, n):
        self.held.append(m)
        if self.timer:
            self.timer.cancel()
        if len(self.held) >= n:
            self.release()
        else:
            self.timer = asyncio.get_running_loop().call_later(REORDER_S, self.release)

    def release(self):
        for m in reversed(self.held):
            self.writer.write(framed(m))
        self.held = []


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, proxy):
        self.proxy, self.transport, self.tasks = proxy, None, set()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, m, client):
        if len(m) < 12:
            return
        rule = self.proxy.judge(m, "udp")
        if rule.fault in ("cut-before", "hang-before", "late"):
            return
        if rule.fault == "instead":
            self.transport.sendto(reply_to(m, int(rule.get("rcode", 2))), client)
            return
        task = asyncio.create_task(self.exchange(m, client, rule))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def exchange(self, request, client, rule):
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self.proxy.server else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            await loop.sock_connect(s, (self.proxy.server, 53))
            try:
                await loop.sock_sendall(s, request)
                m = await asyncio.wait_for(loop.sock_recv(s, 65535), 5)
            except (OSError, asyncio.TimeoutError):
                return
        self.proxy.note_answer(m, "udp")
        if rule.fault in ("cut-after", "hang", "drop"):
            return
        if rule.fault == "delay":
            await self.proxy.until(rule.get("ms"))
        if rule.fault == "forged-first":
            self.transport.sendto(reply_to(request, int(rule.get("rcode", 5))), client)
        if rule.fault == "tc":
            m = reply_to(request, 0)
        if rule.fault == "truncate":
            m = m[:len(m) // 2]
        self.transport.sendto(damaged(m, request, rule)[:65000], client)


if len(sys.argv) != 5:
    sys.exit(__doc__)


async def main():
    await Proxy(*sys.argv[1:]).watch()


asyncio.run(main())
