#!/usr/bin/env python3
"""A visitor who asks the resolver of /etc/resolv.conf before every request, for IPv4 and IPv6 in turn, and makes a new connection to the first
address he is told. Whatever is not an answer 200 counts as lost; a name without an address of a family is passed over in it.

visitor_by_name.py OUT NAME[,NAME..] [PAUSE-MS]    until SIGTERM; OUT gets a line per request, with tabs: time name address side lost
visitor_by_name.py --sum OUT [FROM-LINE]           a line per name: "alice.example 24 198.51.100.10>transit 2001:db8:1::10>transit"; lost ones after "LOST"
"""
import http.client
import itertools
import signal
import socket
import sys
import time

NO_ADDRESS = (socket.EAI_NONAME, socket.EAI_NODATA)


def lookup(name, family):
    try:
        return socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM)[0][4][0]
    except socket.gaierror as e:
        if e.errno in NO_ADDRESS:
            return None
        raise


def visit(name, address):
    """The side that answers, and why it is no answer."""
    conn = http.client.HTTPConnection(address, 80, timeout=20)
    try:
        conn.request("GET", "/", headers={"Host": name})
        answer = conn.getresponse()
        answer.read()
        return answer.getheader("X-Side"), "" if answer.status == 200 else str(answer.status)
    finally:
        conn.close()


def visit_on(out, names, pause):
    going = True

    def stop(*_):
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)
    with open(out, "a", buffering=1) as f:
        for name, family in itertools.cycle(itertools.product(names, (socket.AF_INET, socket.AF_INET6))):
            if not going:
                break
            began, address, side, lost = time.time(), "-", "-", ""
            try:
                address = lookup(name, family)
                if address:
                    side, lost = visit(name, address)
            except (OSError, http.client.HTTPException) as e:
                lost = repr(e)
            if address:
                f.write("%.3f\t%s\t%s\t%s\t%s\n" % (began, name, address, side, lost))
            time.sleep(pause)


def total(out, begin):
    seen, lost = {}, []
    with open(out) as f:
        for line in list(f)[begin:]:
            _, name, address, side, why = line.rstrip("\n").split("\t")
            if why:
                lost.append("%s at %s: %s" % (name, address, why))
            seen.setdefault(name, []).append("%s>%s" % (address, side))
    for name in sorted(seen):
        print(name, len(seen[name]), *sorted(set(seen[name])))
    if lost:
        print("LOST", len(lost), *lost[:5], sep="; ")


if sys.argv[1] == "--sum":
    total(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)
else:
    visit_on(sys.argv[1], sys.argv[2].split(","), int(sys.argv[3]) / 1000 if len(sys.argv) > 3 else 0.02)
