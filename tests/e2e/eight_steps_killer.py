"""kill -9 of one process of ours after the other, until SIGTERM: eight_steps_killer.py SEED W BUILD FROM-S TO-S

When and whom is drawn from the seed before anything runs, and said; what depends on the run is only who of them is there at that moment. W/run/NAME has the
number of each process; from one to the next are FROM-S to TO-S seconds. W/kills gets a line for each that was killed: milliseconds, whom, number. "shunt" is the command that runs, "move" one of the
processes in which it moves accounts side by side.
"""
import os
import random
import signal
import sys
import time

SEED, W, BUILD = int(sys.argv[1]), sys.argv[2], sys.argv[3]
TARGETS = {"proxy": 3, "netctl-cli": 2, "netctl-tra": 2, "dnsupdate": 2, "shunt": 2, "move": 2}
draw = random.Random(SEED)
plan, at = [], 0.0
for _ in range(1000):
    at += draw.uniform(float(sys.argv[4]), float(sys.argv[5]))
    plan.append((at, draw.choices(list(TARGETS), TARGETS.values())[0], draw.random()))
print("seed %d: %s, .." % (SEED, ", ".join("%.1f %s" % p[:2] for p in plan[:24])), flush=True)


def children(pid):
    return [int(p) for p in open("/proc/%d/task/%d/children" % (pid, pid)).read().split()]


def is_ours(pid):
    return os.readlink("/proc/%d/exe" % pid).startswith(BUILD + "/")


def process(target, which):
    """The number of the process, or None: it is not there now. Ours by its program: numbers are used again."""
    try:
        pid = int(open("%s/run/%s" % (W, "shunt" if target == "move" else target)).read())
        if not is_ours(pid):
            return None
        if target == "move":
            several = sorted(p for p in children(pid) if is_ours(p))
            return several[int(which * len(several))] if several else None
        return pid
    except (OSError, ValueError):
        return None


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
began = time.monotonic()
kills = open(W + "/kills", "a")
for at, target, which in plan:
    time.sleep(max(0, began + at - time.monotonic()))
    pid = process(target, which)
    if pid is None:
        print("%.1f %s: is not there" % (at, target), flush=True)
        continue
    # written first: who looks for an excuse finds it
    kills.write("%d %s %d\n" % (time.time() * 1000, target, pid))
    kills.flush()
    try:
        os.kill(pid, signal.SIGKILL)
        print("%.1f %s: killed %d" % (at, target, pid), flush=True)
    except ProcessLookupError:
        print("%.1f %s: has just ended" % (at, target), flush=True)
