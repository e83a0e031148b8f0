#!/usr/bin/env python3
"""dns - shunt-dnsupdate, and nsupdate with kdig, on the same work, measured side by side.

The work: in each zone of one account, the record sets that `shunt-dnsupdate plan` names are replaced by one DNS UPDATE that demands the old
ones (compare and swap), and then every address of every name server is asked for each of them until it shows the new one.

    shunt   one process, `push`: judges the delegation, reads each zone (AXFR), keeps the way back on disk (fsync), updates, reads again, asks
    memory  the same with the journal in memory: the difference is what fsync costs (plain zones only, as the next one)
    alone   the same with --wait 0: each server is asked once
    each    as scripts do: one nsupdate for each zone, then one kdig for each zone and server address, repeated where it is not there yet;
            EACH zones of them, for the next ones take as long
    batch   as quick as these tools go: one nsupdate for all zones, then one kdig for each server address with all questions

What the last two do not do: find out what is to change (the plan hands it to them, in files written beforehand), judge, read, keep a way
back, tell a lost answer from a refusal. Their undo is one nsupdate, too, and not counted.

They take turns, in one round forwards and in the next backwards, so that whatever disturbs the machine disturbs all of them. Wall-clock time
depends on the machine; processor time (user and system, of the tools by rusage, of the servers by schedstat) less so. Medians of rounds; no
round begins after the time that the measurement has.

Started by dns.sh, which brings up the servers."""

import argparse
import collections
import glob
import json
import os
import statistics
import subprocess
import sys
import time

DEADLINE_S = 60
EACH = 25
PAUSE_S = 0.02  # before servers that do not show it yet are asked again, as shunt-dnsupdate's first pause
NAMES = {"bind": "BIND", "knot": "Knot", "pdns": "PowerDNS"}
WAYS = {"plain": ["shunt", "memory", "alone", "each", "batch"], "signed": ["shunt", "each", "batch"]}


class Failed(Exception):
    """A measurement that could not be made."""


class Meter:
    """Processor time of the children that were waited for, in seconds, and the way to start them."""

    def __init__(self):
        self.cpu, self.started = 0.0, 0

    def run(self, argv, may=(0,)):
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out = p.stdout.read()
        p.stdout.close()
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        self.cpu += usage.ru_utime + usage.ru_stime
        self.started += 1
        text = out.decode(errors="replace")
        if p.returncode not in may:
            raise Failed(f"{' '.join(argv[:6])} ended with {p.returncode}: {text[-1500:]}")
        return text


def servers_cpu(pids):
    ns = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            try:
                with open(path) as f:
                    ns += int(f.read().split()[0])
            except (OSError, ValueError):
                pass  # a thread that has just ended
    return ns / 1e9


class Bench:
    def __init__(self, a):
        self.a = a
        os.makedirs(a.dir, exist_ok=True)
        plan = json.loads(Meter().run([a.program, "-c", a.conf, "plan", "bench", "--accounts", a.accounts, "--json"]))
        self.changes = {z["zone"]: z["changes"] for z in plan["zones"]}
        if not all(self.changes.values()) or not self.changes:
            raise Failed("the plan changes nothing")
        self.n = len(self.changes)
        self.sets = sum(map(len, self.changes.values()))
        self.some = list(self.changes)[:EACH]
        self.write_files()

    # ---- their side: what is handed to nsupdate, what is asked of kdig

    def update_text(self, zone, there):
        was, becomes = (("old", "ttl"), ("new", "new-ttl")) if there else (("new", "new-ttl"), ("old", "ttl"))
        lines = [f"zone {zone}"]
        for c in self.changes[zone]:
            lines += [f"prereq yxrrset {c['owner']} {c['type']} {v}" for v in c[was[0]]]
        for c in self.changes[zone]:
            lines.append(f"update delete {c['owner']} {c['type']}")
            lines += [f"update add {c['owner']} {c[becomes[1]]} {c['type']} {v}" for v in c[becomes[0]]]
        return "\n".join(lines + ["send", ""])

    def write_files(self):
        each = [(z, [z], True) for z in self.some] + [(z + "back", [z], False) for z in self.some]
        for name, zones, there in [("there", self.changes, True), ("back", self.changes, False)] + each:
            with open(f"{self.a.dir}/{name}", "w") as f:
                f.write(f"server {self.a.primary}\n" + "".join(self.update_text(z, there) for z in zones))

    def update(self, meter, name):
        meter.run(["nsupdate", "-v", "-t", "30", "-k", self.a.key, f"{self.a.dir}/{name}"])

    def ask(self, meter, server, changes, there):
        """The changes that this server does not show."""
        values, ttl = ("new", "new-ttl") if there else ("old", "ttl")
        argv = ["kdig", "+norec", "+noall", "+answer", "+header", f"@{server}"]
        for c in changes:
            argv += [c["owner"], c["type"]]
        found = collections.defaultdict(set)
        aa = 0
        for line in meter.run(argv).splitlines():
            if line.startswith(";; Flags:"):
                aa += " aa" in line
            elif line and not line.startswith(";"):
                owner, its_ttl, _, kind, value = line.split(None, 4)
                found[owner.lower(), kind].add((int(its_ttl), value))
        if aa != len(changes):
            raise Failed(f"{server}: {aa} of {len(changes)} answers with authority")
        return [c for c in changes if found[c["owner"].lower(), c["type"]] != {(c[ttl], v) for v in c[values]}]

    def ask_until(self, meter, groups, there):
        """groups: lists of changes, asked for by one kdig each, of each server."""
        left = [(s, g) for g in groups for s in self.a.servers]
        end = time.monotonic() + DEADLINE_S
        while left:
            left = [(s, missing) for s, missing in ((s, self.ask(meter, s, g, there)) for s, g in left) if missing]
            if left and time.monotonic() > end:
                raise Failed(f"{left[0][0]} does not show {left[0][1][0]}")
            if left:
                time.sleep(PAUSE_S)

    def everything(self):
        return [[c for z in self.changes.values() for c in z]]

    # ---- one measurement each

    def ours(self, conf, *more):
        row, meter = {"zones": self.n}, Meter()
        may = (0, 4) if more else (0,)  # with --wait 0 a server may lag
        began = time.monotonic()
        meter.run([self.a.program, "-c", conf, "push", "bench", "--accounts", self.a.accounts, *more], may)
        row["s"], row["cpu"] = time.monotonic() - began, meter.cpu
        row["servers_cpu"] = servers_cpu(self.a.pids)
        if more:
            self.ask_until(Meter(), self.everything(), True)
        back, began = Meter(), time.monotonic()
        back.run([self.a.program, "-c", conf, "undo", "bench"])
        row["undo_s"], row["undo_cpu"] = time.monotonic() - began, back.cpu
        return row

    def theirs(self, n, names, groups):
        meter, began = Meter(), time.monotonic()
        for name in names:
            self.update(meter, name)
        row = {"zones": n, "update_s": time.monotonic() - began, "update_cpu": meter.cpu}
        self.ask_until(meter, groups, True)
        row["s"], row["cpu"], row["processes"] = time.monotonic() - began, meter.cpu, meter.started
        row["servers_cpu"] = servers_cpu(self.a.pids)
        for name in names:
            self.update(Meter(), "back" if name == "there" else name + "back")
        return row

    def measure(self, way):
        before = servers_cpu(self.a.pids)
        if way == "shunt":
            row = self.ours(self.a.conf)
        elif way == "memory":
            row = self.ours(self.a.ram_conf)
        elif way == "alone":
            row = self.ours(self.a.conf, "--wait", "0")
        elif way == "each":
            row = self.theirs(len(self.some), self.some, [self.changes[z] for z in self.some])
        else:
            row = self.theirs(self.n, ["there"], self.everything())
        row["servers_cpu"] -= before
        # the next one begins where this one has begun
        self.ask_until(Meter(), self.everything(), False)
        return row

    def all(self):
        end = time.monotonic() + self.a.seconds
        for i in range(self.a.rounds):
            if i and time.monotonic() > end:
                break
            for way in WAYS[self.a.how] if i % 2 == 0 else reversed(WAYS[self.a.how]):
                row = {"kind": self.a.kind, "how": self.a.how, "way": way, "of": self.n, "sets": self.sets, **self.measure(way)}
                with open(self.a.rows, "a") as f:
                    f.write(json.dumps(row) + "\n")
            print(f"# {NAMES[self.a.kind]}, {self.n} {self.a.how} zones: round {i + 1} of {self.a.rounds}", file=sys.stderr)


# ---- the report


class Group:
    """All rounds of one server and sort of zone."""

    def __init__(self, kind, how, rows):
        self.kind, self.how, self.n, self.sets = kind, how, rows[0]["of"], rows[0]["sets"]
        self.rows = {w: [r for r in rows if r["way"] == w] for w in WAYS[how]}

    def median(self, way, field):
        """Of seconds per zone."""
        return statistics.median(r[field] / r["zones"] for r in self.rows[way])

    def rate(self, way, field="s"):
        return 1 / self.median(way, field)

    def ms(self, way, field="cpu"):
        return 1000 * self.median(way, field)

    def ratio(self, way):
        """How many times as long a zone takes them, from neighbouring measurements."""
        return statistics.median(r["s"] / r["zones"] / (o["s"] / o["zones"]) for r, o in zip(self.rows[way], self.rows["shunt"]))

    def fsync_share(self):
        return statistics.median(1 - m["s"] / d["s"] for d, m in zip(self.rows["shunt"], self.rows["memory"]))

    def text(self):
        each, batch = self.rate("each"), self.rate("batch")
        lines = [
            f"{NAMES[self.kind]}, {self.n} {self.how} zones, {self.sets // self.n} record sets of each, median of {len(self.rows['batch'])}: push+verify {self.rate('shunt'):.0f} zones/s, "
            f"nsupdate+kdig {each:.0f} zones/s ({self.ratio('each'):.1f} times as long), in one process {batch:.0f} zones/s ({self.ratio('batch'):.1f})",
            f"    processor time per zone: {self.ms('shunt'):.2f} ms against {self.ms('each'):.2f} and {self.ms('batch'):.2f} ms; "
            f"of the servers {self.ms('shunt', 'servers_cpu'):.2f} against {self.ms('each', 'servers_cpu'):.2f} and {self.ms('batch', 'servers_cpu'):.2f} ms",
            f"    undo+verify {self.rate('shunt', 'undo_s'):.0f} zones/s, {self.ms('shunt', 'undo_cpu'):.2f} ms; "
            f"nsupdate without kdig {self.rate('each', 'update_s'):.0f} and {self.rate('batch', 'update_s'):.0f} zones/s",
        ]
        if "memory" in self.rows:
            lines.append(f"    push, servers asked once (--wait 0) {self.rate('alone'):.0f} zones/s; push+verify with the journal in memory "
                         f"{self.rate('memory'):.0f} zones/s: fsync takes {100 * self.fsync_share():.0f}% of the time")
        return "\n".join(lines)

    def json(self):
        out = {"server": self.kind, "zones": self.n, "how": self.how, "sets": self.sets, "rounds": len(self.rows["shunt"]),
               "ratio": {w: self.ratio(w) for w in ("each", "batch")}}
        if "memory" in self.rows:
            out["fsync_share"] = self.fsync_share()
        for way, rows in self.rows.items():
            fields = [f for f in rows[0] if f not in ("kind", "how", "way", "of", "zones", "sets", "processes")]
            each = {f: [r[f] / r["zones"] for r in rows] for f in fields}  # seconds per zone
            out[way] = {f: {"median": statistics.median(v), "min": min(v), "max": max(v)} for f, v in each.items()}
            out[way]["zones_per_s"] = self.rate(way)
        return out


def report(a):
    with open(a.rows) as f:
        rows = [json.loads(line) for line in f]
    groups = [Group(*key, [r for r in rows if (r["kind"], r["how"]) == key]) for key in dict.fromkeys((r["kind"], r["how"]) for r in rows)]
    for g in groups:
        print(g.text())
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} processors, load {load:.1f}: tools and servers share them")
    with open(a.output, "w") as f:
        json.dump({"processors": os.cpu_count(), "load": load, "results": [g.json() for g in groups]}, f, indent=1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="command", required=True)
    m = sub.add_parser("measure")
    for name in ("kind", "how", "program", "conf", "ram-conf", "accounts", "key", "dir", "rows", "primary", "servers", "pids"):
        m.add_argument(f"--{name}", required=True)
    m.add_argument("--rounds", type=int, required=True)
    m.add_argument("--seconds", type=float, required=True)
    r = sub.add_parser("report")
    r.add_argument("--rows", required=True)
    r.add_argument("--output", required=True)
    a = p.parse_args()
    try:
        if a.command == "report":
            report(a)
        else:
            a.servers, a.pids = a.servers.split(","), a.pids.split(",")
            Bench(a).all()
    except Failed as e:
        print(f"dns.py: {e}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
