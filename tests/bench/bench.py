#!/usr/bin/env python3
"""bench - shunt-proxy, HAProxy and nginx on the same work, measured side by side.

Three network namespaces joined by veth: load generator, proxies, back end. All proxies run at once, each on an address of its own, and take
turns (A B C A B C), so that whatever disturbs the machine disturbs all of them. The proxies have one processor, both ends the other.
What is compared is processor time of the proxy's processes per unit of work (schedstat, ns), never wall-clock time.

Started by run.sh, which installs and builds what this needs."""

import argparse
import json
import os
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LOAD_IP, BACK_IP = "10.90.1.2", "10.90.2.1"
CLIENT_IP, TRANSIT_IP = "10.90.2.2", "10.90.2.3"
ACCOUNTS = 1000  # in every proxy's map; account n is on the transit side if n is odd
SOURCES = [f"10.90.1.{n}" for n in range(100, 164)]  # of idle connections: a proxy may well refuse ten thousand from one address
NAMES = 16  # of them, the ones that get traffic
PREFIX = "shbench"


class Failed(Exception):
    """A measurement that could not be made."""


# ---- the work: one row of the table each


class Work:
    def __init__(self, key, title, unit, scale, args, count, quick, target=None, port=443, strace=0, strace_target=None, strace_unit=None):
        self.key, self.title, self.unit, self.scale, self.args = key, title, unit, scale, args
        self.count, self.quick, self.target, self.port = count, quick, target, port
        self.strace, self.strace_target, self.strace_unit = strace, strace_target, strace_unit


WORKS = [
    Work("connect", "new TLS connections by SNI", "us/conn", 1e3, ["connect", "-c", "32"], 3000, 3000,
         target=0.92, strace=2000, strace_target=22, strace_unit="calls/conn"),
    Work("exchange", "request/answer on 64 open connections", "us/req", 1e3, ["exchange", "-c", "64", "-w", "20"], 30000, 30000,
         target=0.97, strace=20000, strace_target=4.4, strace_unit="calls/req"),
    Work("bulk", "1 GiB through one connection", "ms/GiB", 1e6, ["exchange", "-c", "1", "-s", str(1 << 30)], 1, 1, target=1.10),
    Work("http", "HTTP/1.1 by Host, 64 connections", "us/req", 1e3, ["http", "-c", "64", "-w", "20"], 20000, 20000,
         target=0.75, port=80, strace=20000, strace_target=4.4, strace_unit="calls/req"),
    Work("http-mixed", "the same, another Host in each request", "us/req", 1e3, ["http", "-c", "64", "-w", "20", "-r"], 20000, 20000,
         target=0.75, port=80, strace=20000, strace_target=4.4, strace_unit="calls/req"),
]
BULK_DEFAULT_TARGET = 0.35
MEMORY_TARGET = 700

# ---- processes and namespaces


class Stage:
    """The namespaces, the processes in them and the files they use; close() removes all of it, however far it got."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="shunt-bench-")
        os.chmod(self.dir, 0o755)
        self.names = {role: f"{PREFIX}-{os.getpid()}-{role}" for role in ("load", "proxy", "back")}
        self.children = []

    def open(self, proxy_addresses):
        remove_leftovers()
        for ns in self.names.values():
            run("ip", "netns", "add", ns)
            run("ip", "-n", ns, "link", "set", "lo", "up")
        self.join("load", [LOAD_IP] + SOURCES, "proxy", ["10.90.1.1"] + proxy_addresses)
        self.join("proxy", [BACK_IP], "back", [CLIENT_IP, TRANSIT_IP])
        for ns in self.names.values():
            # cubic where namespaces may choose it; else reno, which also does without bbr's pacing timers.
            for key, value in (("tcp_congestion_control", "reno"), ("tcp_congestion_control", "cubic"), ("ip_local_port_range", "1024 65535"), ("tcp_tw_reuse", "1"),
                               ("tcp_max_tw_buckets", "2000"), ("tcp_max_syn_backlog", "8192")):
                path = f"/proc/sys/net/ipv4/{key}"
                subprocess.run(["ip", "netns", "exec", ns, "sh", "-c", f'echo "{value}" > {path}'], stderr=subprocess.DEVNULL, check=False)
            subprocess.run(["ip", "netns", "exec", ns, "sh", "-c", "echo 8192 > /proc/sys/net/core/somaxconn"],
                           stderr=subprocess.DEVNULL, check=False)
        self.congestion = self.inside("proxy", "cat", "/proc/sys/net/ipv4/tcp_congestion_control").strip()

    def join(self, a, a_ips, b, b_ips):
        na, nb = self.names[a], self.names[b]
        run("ip", "link", "add", f"to-{b}", "netns", na, "type", "veth", "peer", "name", f"to-{a}", "netns", nb)
        for ns, dev, ips in ((na, f"to-{b}", a_ips), (nb, f"to-{a}", b_ips)):
            for ip in ips:
                run("ip", "-n", ns, "addr", "add", f"{ip}/24", "dev", dev)
            run("ip", "-n", ns, "link", "set", dev, "up")

    def command(self, role, cpu, argv):
        return ["ip", "netns", "exec", self.names[role], "taskset", "-c", str(cpu)] + argv

    def start(self, role, cpu, argv, log, **more):
        with open(os.path.join(self.dir, log), "ab") as err:
            p = subprocess.Popen(self.command(role, cpu, argv), stderr=err, **more)
        self.children.append(p)
        return p

    def inside(self, role, *argv):
        return run("ip", "netns", "exec", self.names[role], *argv)

    def log(self, name):
        try:
            with open(os.path.join(self.dir, name), errors="replace") as f:
                return f.read()[-2000:]
        except OSError:
            return ""

    def stop(self, p):
        if p in self.children:
            self.children.remove(p)
        if p.poll() is None:
            p.terminate()
        try:
            p.wait(5)
        except subprocess.TimeoutExpired:
            for pid in family(p.pid):
                kill(pid, signal.SIGKILL)
            p.wait()
        for pipe in (p.stdin, p.stdout):
            if pipe:
                pipe.close()

    def close(self):
        for p in list(reversed(self.children)):
            self.stop(p)
        for ns in self.names.values():
            subprocess.run(["ip", "netns", "del", ns], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


def run(*argv):
    p = subprocess.run(argv, capture_output=True, text=True, check=False)
    if p.returncode != 0:
        raise Failed(f"{' '.join(argv)}: {p.stderr.strip() or p.returncode}")
    return p.stdout


def kill(pid, sig):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def remove_leftovers():
    """Namespaces of a run that was killed outright: their names hold its process id."""
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        m = re.fullmatch(PREFIX + r"-(\d+)-\w+", name)
        if not m or os.path.exists(f"/proc/{m[1]}"):
            continue
        for pid in subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout.split():
            kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)


def family(pid):
    """A process and its descendants."""
    found = [pid]
    for p in found:
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/children") as f:
                    found += [int(c) for c in f.read().split()]
        except OSError:
            pass
    return found


def pss_bytes(pid):
    total = 0
    for p in family(pid):
        with open(f"/proc/{p}/smaps_rollup") as f:
            total += int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M)[1]) * 1024
    return total


# ---- the planes: what is compared


class Plane:
    def __init__(self, key, title, index):
        self.key, self.title = key, title
        self.address = f"10.90.1.{10 + index}"
        self.process = None

    def fill(self, stage, template, extra):
        """Writes the plane's configuration from its template; returns its path."""
        values = {"ADDRESS": self.address, "CLIENT": CLIENT_IP, "TRANSIT": TRANSIT_IP, "DIR": stage.dir, **extra}
        with open(os.path.join(HERE, template)) as f:
            text = re.sub(r"@([A-Z]+)@", lambda m: str(values[m[1]]), self.lines(f.read()))
        path = os.path.join(stage.dir, f"{self.key}.conf")
        with open(path, "w") as f:
            f.write(text)
        return path

    def lines(self, text):
        return text

    def start(self, stage, cpu, limits):
        self.process = stage.start("proxy", cpu, self.argv(stage, limits), f"{self.key}.log", stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            listening = stage.inside("proxy", "ss", "-Hltn", "src", self.address)
            if len(re.findall(r":(?:443|80)\s", listening)) >= 2:
                break
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{self.title} does not start: {stage.log(self.key + '.log') or 'it does not listen'}")
            time.sleep(0.05)
        self.started(stage)

    def started(self, stage):
        pass

    def pids(self):
        return family(self.process.pid)

    def restart(self, stage, cpu, limits):
        stage.stop(self.process)
        self.start(stage, cpu, limits)


class HAProxy(Plane):
    def __init__(self, key, title, index, splice):
        super().__init__(key, title, index)
        self.splice = splice

    def lines(self, text):
        return "".join(l for l in text.splitlines(True) if self.splice or "#SPLICE" not in l).replace(" #SPLICE", "")

    def argv(self, stage, limits):
        for kind in ("tls", "web"):
            with open(os.path.join(stage.dir, f"{kind}.map"), "w") as f:
                f.writelines(f"a{n}.bench.example {kind}_{side(n)}\n" for n in range(ACCOUNTS))
        # It counts two descriptors per connection, and half a pipe where it splices, and does not start if the limit is below.
        maxconn = limits["nofile"] // 4 if self.splice else limits["nofile"] // 2 - 100
        return ["haproxy", "-db", "-f", self.fill(stage, "haproxy.cfg", {"MAXCONN": maxconn})]

    def version(self):
        return re.search(r"version (\S+)", run("haproxy", "-v"))[1]


class Nginx(Plane):
    def argv(self, stage, limits):
        with open(os.path.join(stage.dir, "nginx.map"), "w") as f:
            f.writelines(f"a{n}.bench.example {side(n)};\n" for n in range(ACCOUNTS))
        extra = {"NOFILE": limits["nofile"], "CONNECTIONS": limits["nofile"] - 100}
        return ["nginx", "-e", os.path.join(stage.dir, "nginx.log"), "-c", self.fill(stage, "nginx.conf", extra)]

    def version(self):
        return subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr.strip().rpartition("/")[2]


class Shunt(Plane):
    def __init__(self, key, title, index, binary):
        super().__init__(key, title, index)
        self.binary = binary
        self.control = None

    def argv(self, stage, limits):
        # Its own directory, since a control socket is not opened where others may write; a fresh table each time.
        self.home = os.path.join(stage.dir, "shunt")
        shutil.rmtree(self.home, ignore_errors=True)
        os.mkdir(self.home, 0o700)
        return [self.binary, "--foreground", "-c", self.fill(stage, "shunt.conf", {"DIR": self.home})]

    def started(self, stage):
        accounts = [{"name": f"a{n}", "domains": [f"a{n}.bench.example"], "side": side(n), "gate": "open"} for n in range(ACCOUNTS)]
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(os.path.join(self.home, "proxy.sock"))
            stream = s.makefile("rw")
            for request in ({"cmd": "import-begin"}, {"cmd": "import-add", "accounts": accounts}, {"cmd": "import-commit"}):
                print(json.dumps({"v": 1, **request}), file=stream, flush=True)
                answer = json.loads(stream.readline() or "{}")
                if not answer.get("ok"):
                    raise Failed(f"shunt-proxy refuses {request['cmd']}: {answer.get('error', 'it closed the connection')}")

    def version(self):
        p = subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=False)
        return (p.stdout + p.stderr).strip().splitlines()[0] if p.returncode == 0 else "unknown"


def side(n):
    return "transit" if n % 2 else "client"


# ---- measuring


class Bench:
    def __init__(self, opt):
        self.opt, self.stage = opt, Stage()
        self.skipped = []
        all_planes = [Shunt("shunt", "shunt", 0, opt.shunt), HAProxy("haproxy", "HAProxy", 1, False),
                      HAProxy("haproxy-splice", "HAProxy, splicing", 2, True), Nginx("nginx", "nginx", 3)]
        self.planes = [p for p in all_planes if p.key in opt.planes]
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            raise Failed("two processors are needed: one for the proxy, one for its two ends")
        self.ends_cpu, self.proxy_cpu = cpus[0], cpus[1]
        self.limits = {"nofile": raise_nofile(65536)}
        # One descriptor per connection at the ends and two in a proxy, with room for the rest.
        self.idle = min(2000 if opt.quick else 10000, (self.limits["nofile"] - 1200) // 2)
        if self.idle < 10000 and not opt.quick:
            print(f"note: the descriptor limit is {self.limits['nofile']}: {self.idle} idle connections instead of 10000", file=sys.stderr)

    def open(self):
        self.stage.open([p.address for p in self.planes])
        self.backend = self.stage.start("back", self.ends_cpu, [self.opt.tools + "/backend", "443", "80", CLIENT_IP, TRANSIT_IP],
                                        "backend.log", stdout=subprocess.PIPE, text=True)
        if self.backend.stdout.readline() != "ready\n":
            raise Failed(f"the back end does not start: {self.stage.log('backend.log')}")
        for p in self.planes:
            p.start(self.stage, self.proxy_cpu, self.limits)

    def load(self, plane, args, port, **more):
        argv = [self.opt.tools + "/load", args[0], "-a", plane.address, "-p", str(port), "-N", str(NAMES),
                "-P", ",".join(map(str, plane.pids())), "-E", str(self.backend.pid)] + args[1:]
        return self.stage.start("load", self.ends_cpu, argv, "load.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more)

    def finish(self, p, plane, what):
        out = p.stdout.read()
        status = p.wait()
        self.stage.stop(p)
        if status != 0:
            log = self.stage.log("load.log").strip().splitlines()[-1:] + self.stage.log(plane.key + ".log").strip().splitlines()[-3:]
            raise Failed(f"{what} through {plane.title}: {'; '.join(log) or f'status {status}'}")
        return json.loads(out) if out.strip() else None

    def ready(self, p, plane, what):
        if p.stdout.readline() != "ready\n":
            self.finish(p, plane, what)
            raise Failed(f"{what} through {plane.title}: no connections")

    def go(self, p):
        p.stdin.write("\n")
        p.stdin.flush()

    def time_work(self, work):
        """Per plane: one sample per round of {proxy, ends: work.unit; rate}."""
        samples = {p.key: [] for p in self.planes}
        count = work.quick if self.opt.quick else work.count
        for turn in range(self.opt.rounds + 1):  # turn 0 warms up
            # Many short rounds, each begun by another: what else the machine does, and how fast it is just then, meets all alike.
            first = turn % len(self.planes)
            for plane in self.planes[first:] + self.planes[:first]:
                n = max(count // 4, 1) if turn == 0 else count
                r = self.finish(self.load(plane, work.args + ["-n", str(n)], work.port), plane, work.title)
                if turn:
                    per_unit = work.scale * r["units"]
                    samples[plane.key].append({"proxy": r["proxy_ns"] / per_unit, "total": (r["proxy_ns"] + r["ends_ns"]) / per_unit,
                                               "rate": r["units"] * 1e9 / r["wall_ns"]})
        return samples

    def count_calls(self, work, plane):
        p = self.load(plane, work.args + ["-n", str(work.strace // (4 if self.opt.quick else 1)), "-g"], work.port)
        self.ready(p, plane, work.title)
        report = os.path.join(self.stage.dir, "strace.out")
        # The system-call table alone: strace must not share the processor of what it watches.
        tracer = self.stage.start("proxy", self.ends_cpu, ["strace", "-f", "-c", "-o", report] +
                                  [a for pid in plane.pids() for a in ("-p", str(pid))], "strace.log")
        wait_traced(tracer, plane.pids())
        self.go(p)
        units = self.finish(p, plane, work.title)["units"]
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        self.stage.stop(tracer)
        calls = {}
        with open(report) as f:
            for line in f:
                m = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
                if m and m[2] != "total":
                    calls[m[2]] = int(m[1]) / units
        if not calls:
            raise Failed(f"strace saw nothing of {plane.title}")
        return calls

    def memory(self, plane):
        """Bytes of process memory per idle connection, after one exchange on each."""
        plane.restart(self.stage, self.proxy_cpu, self.limits)
        self.finish(self.load(plane, ["connect", "-c", "32", "-n", "500"], 443), plane, "warm-up")
        before = pss_bytes(plane.process.pid)
        p = self.load(plane, ["idle", "-c", str(self.idle), "-f", SOURCES[0], "-S", str(len(SOURCES))], 443)
        self.ready(p, plane, "idle connections")
        during = pss_bytes(plane.process.pid)
        self.go(p)
        self.finish(p, plane, "idle connections")
        return {"per_connection": (during - before) / self.idle, "before": before, "during": during}


def wait_traced(tracer, pids):
    deadline = time.monotonic() + 10
    while True:
        tasks = [f"/proc/{pid}/task/{t}/status" for pid in pids for t in os.listdir(f"/proc/{pid}/task")]
        if all("TracerPid:\t0\n" not in open(t).read() for t in tasks):
            return
        if tracer.poll() is not None or time.monotonic() > deadline:
            raise Failed("strace cannot attach (is ptrace forbidden here?)")
        time.sleep(0.02)


def raise_nofile(want):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (want, max(want, hard)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(want, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


# ---- the table


def describe(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "samples": values}


def row_of_samples(key, title, unit, samples, target, peers):
    row = {"row": key, "title": title, "unit": unit, "target": target, "target_is": "ratio", "rounds": len(next(iter(samples.values()))), "planes": {}}
    for plane, s in samples.items():
        row["planes"][plane] = {**describe([x["proxy"] for x in s]), "total": statistics.median(x["total"] for x in s),
                                "rate": statistics.median(x["rate"] for x in s)}
    known = [p for p in peers if p in row["planes"]]
    best = min(known, key=lambda p: row["planes"][p]["median"]) if known else None
    row["against"] = best
    if best and "shunt" in row["planes"]:
        # Of each round, then the median: neighbours in time share what disturbs them, medians of different rounds do not.
        turns = sorted(a["proxy"] / b["proxy"] for a, b in zip(samples["shunt"], samples[best]))
        row["ratio"] = statistics.median(turns)
        row["ratio_min"], row["ratio_max"] = turns[len(turns) // 4], turns[-1 - len(turns) // 4]
        row["met"] = row["ratio"] <= target
    return row


def row_of_numbers(key, title, unit, numbers, target, details=None):
    row = {"row": key, "title": title, "unit": unit, "target": target, "target_is": "absolute", "rounds": 1,
           "planes": {p: {"median": v} for p, v in numbers.items()}}
    for p, d in (details or {}).items():
        row["planes"][p]["details"] = d
    if "shunt" in numbers:
        row["met"] = numbers["shunt"] <= target
        if numbers.get("haproxy"):
            row["against"], row["ratio"] = "haproxy", numbers["shunt"] / numbers["haproxy"]
    return row


def number(v):
    return f"{v:.0f}" if abs(v) >= 100 else f"{v:.1f}" if abs(v) >= 20 else f"{v:.2f}"


def print_table(rows):
    def cell(row, plane):
        p = row["planes"].get(plane)
        if not p:
            return "-"
        spread = f" ({number(p['min'])}-{number(p['max'])})" if "min" in p else ""
        return number(p["median"]) + spread

    head = ["row", "unit", "shunt", "HAProxy", "HAProxy splicing", "nginx", "ratio", "target", ""]
    lines = [head]
    for r in rows:
        ratio = number(r["ratio"]) if "ratio" in r else "-"
        if "ratio_min" in r:
            ratio += f" ({number(r['ratio_min'])}-{number(r['ratio_max'])})"
        lines.append([r["title"], r["unit"], *(cell(r, p) for p in ("shunt", "haproxy", "haproxy-splice", "nginx")), ratio,
                      f"{'' if r['target_is'] == 'absolute' else 'x'}{r['target']:g}", {True: "met", False: "NOT met", None: ""}[r.get("met")]])
    widths = [max(len(l[i]) for l in lines) for i in range(len(head))]
    for line in lines:
        print("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip())
    print("Processor time of the proxy per unit: median (min-max) of the rounds. ratio: shunt to HAProxy's better mode (bulk has a row for each),"
          " the median of the rounds' ratios (with the middle half of them).\ntarget x0.92 is a ratio, target 22 a value of shunt's own.")


def measure(bench, opt):
    rows = []
    for work in [w for w in WORKS if not opt.rows or w.key in opt.rows]:
        say(f"{work.title}: {opt.rounds} rounds of {len(bench.planes)}")
        samples = bench.time_work(work)
        peers = ["haproxy-splice"] if work.key == "bulk" else ["haproxy", "haproxy-splice"]
        title = work.title + (", to forced splice" if work.key == "bulk" else "")
        rows.append(row_of_samples(work.key, title, work.unit, samples, work.target, peers))
        if work.key == "bulk":
            rows.append(row_of_samples("bulk-default", work.title + ", to the default", work.unit, samples, BULK_DEFAULT_TARGET, ["haproxy"]))
    plain = [p for p in bench.planes if p.key != "haproxy-splice"]
    if not opt.rows or "memory" in opt.rows:
        say(f"memory of {bench.idle} idle connections")
        memory = {p.key: bench.memory(p) for p in plain}
        rows.append(row_of_numbers("memory", f"process memory, {bench.idle} idle connections", "B/conn",
                                   {k: m["per_connection"] for k, m in memory.items()}, MEMORY_TARGET, memory))
    for work in [w for w in WORKS if w.strace and (not opt.rows or "calls" in opt.rows or w.key + "-calls" in opt.rows)]:
        say(f"{work.title}: system calls")
        calls = {p.key: bench.count_calls(work, p) for p in plain}
        rows.append(row_of_numbers(work.key + "-calls", work.title + ": system calls", work.strace_unit,
                                   {k: sum(c.values()) for k, c in calls.items()}, work.strace_target, calls))
    return rows


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def arguments():
    a = argparse.ArgumentParser(description="Compares shunt-proxy with HAProxy and nginx.")
    a.add_argument("--tools", required=True, help="directory of the built load and backend")
    a.add_argument("--shunt", help="the shunt-proxy to measure")
    a.add_argument("--rounds", type=int)
    a.add_argument("--quick", action="store_true", help="5 rounds: for a look, not for a verdict")
    a.add_argument("--planes", default="shunt,haproxy,haproxy-splice,nginx", help="what to run, of %(default)s")
    a.add_argument("--rows", default="", help="only these rows: " + ",".join(w.key for w in WORKS) + ",memory,calls")
    a.add_argument("--output", default=os.path.join(HERE, "result.json"))
    opt = a.parse_args()
    opt.planes = [p for p in opt.planes.split(",") if p]
    opt.rows = [r for r in opt.rows.split(",") if r]
    opt.rounds = opt.rounds or (5 if opt.quick else 41)
    if "shunt" in opt.planes and not opt.shunt:
        a.error("--shunt is needed, or --planes without shunt")
    return opt


STOPPERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop(sig, _frame):
    for s in STOPPERS:  # a second one must not cut the cleaning up short
        signal.signal(s, signal.SIG_IGN)
    sys.exit(128 + sig)


def main():
    opt = arguments()
    for sig in STOPPERS:
        signal.signal(sig, stop)  # SIGINT too: a shell's background job starts with it ignored
    if os.geteuid() != 0:
        print("bench: needs root, for network namespaces", file=sys.stderr)
        return 77
    bench = None
    try:
        bench = Bench(opt)
        bench.open()
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        rows = measure(bench, opt)
        result = {"started": started, "kernel": platform.release(), "machine": platform.machine(), "processors": os.cpu_count(),
                  "congestion_control": bench.stage.congestion, "rounds": opt.rounds, "quick": opt.quick,
                  "versions": {p.key: p.version() for p in bench.planes}, "rows": rows}
        with open(opt.output, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")
        print_table(rows)
        print(f"Linux {result['kernel']}, " + ", ".join(f"{k} {v}" for k, v in result["versions"].items()) + f"; details in {opt.output}")
        return 0
    except Failed as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    finally:
        for sig in STOPPERS:
            signal.signal(sig, signal.SIG_IGN)
        if bench:
            bench.stage.close()


if __name__ == "__main__":
    sys.exit(main())
