"""What the two sides wrote down, what visitors saw and what is stored in the end, against the fences in the trail: eight_steps_verdict.py W

1. Whatever was acknowledged is stored on the client server in the end, and nothing is stored on a side that lost it when the account left.
2. From an account's fence on its old side accepts nothing of it, until it is fenced on the other side to come back. What was sent to it before the hold
   and was not answered may be read there a moment after the fence: it was cut, and nobody was told that it is done. Who was led to the transit server
   itself by DNS, and has kept that connection, passes by the proxy, and so does who comes just when it was killed: there the copy's seal ends it, before
   anything is read, so that what was acknowledged moves with the rest.
3. Nobody got another account's answer or data of yesterday. Without a kill nobody was refused or lost; after one, for a bounded time.
4. For each account: the longest time without an answer, as its visitors saw it, and for how long the proxy held it, from the evidence.
"""
import collections
import json
import sys
from datetime import datetime

W = sys.argv[1]
CLOCK = 0.003  # two programs' rounding of one clock
TRANSIT = "203.0.113.5"  # how its own addresses begin: .50 to .53
SLOW = float(open(W + "/slow").read())  # how many times as slow as a quick machine
LOST_S, REFUSED_S = 4.0 * SLOW, 35.0 * SLOW  # after a kill: a proxy is back; a command is given again, and what it left held is let go
READ_S = 3.0 * SLOW  # until an application that has much to do has read what was sent before
Move = collections.namedtuple("Move", "held fenced copied old kind hold")
bad = []


def seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def numbers(name):
    return {tuple(line.split()) for line in open("%s/%s" % (W, name)) if line.strip()}


def moves_of(trail):
    """By account, the moves that were done, in order."""
    lines = collections.defaultdict(list)
    for e in trail:
        if e.get("move"):
            lines[e["account"], e["move"]].append(e)
    out = collections.defaultdict(list)
    for (account, _), log in sorted(lines.items(), key=lambda x: x[0][1]):
        what = {e["what"]: e.get("evidence") or {} for e in log}
        begins = next(w for w in what if " begins: " in w)
        kind, old = begins.split(" ")[0], begins.split(": ")[1].split(" ")[0]
        if kind + " done" not in what:
            continue
        fence = what["done: fenced"]["evidence"]
        copied = next(e["at-ms"] for e in log if e["what"] == "done: copying") / 1000
        at = {e["what"]: e["at-ms"] for e in log}
        hold_ms = what.get("done: released", {}).get("evidence", {}).get("hold-ms")
        # a proxy that was killed does not know since when; the trail has a little more
        held = str(hold_ms) if hold_ms is not None else "~%d" % (at.get("done: released", at[kind + " done"]) - at["begin: holding"])
        out[account].append(Move(seconds(fence["held-at"]), seconds(fence["fenced-at"]), copied, old, kind, held))
    return out


trail = json.load(open(W + "/trail"))
moves = moves_of(next(v for v in trail.values() if isinstance(v, list)))
accounts = [line.split()[0] for line in open(W + "/accounts")]
kills = [(float(line.split()[0]) / 1000, line.split()[1]) for line in open(W + "/kills")]
visits = [json.loads(line) for line in open(W + "/visits")]

def killed(since, until, whom=None):
    return any(since < t < until for t, who in kills if whom in (None, who))


# 1. numbers
acked, client, transit, wiped = (numbers(n) for n in ("acknowledged", "stored.cli", "stored.tra", "stored.wiped"))
for what, lost in (("acknowledged, and not on the client server", acked - client), ("on the transit server alone", transit - client),
                   ("on the wiped client server alone", wiped - client)):
    if lost:
        bad.append("%d numbers are %s: %s" % (len(lost), what, " ".join("%s/%s" % x for x in sorted(lost)[:12])))

# 2. fences
sent = {v["id"]: (v["t0"], v["outcome"]) for v in visits if v.get("id")}
seen = {}
for side, host in (("client", "cli"), ("transit", "tra")):
    seen[side] = collections.defaultdict(list)
    lines = [line.rstrip("\n").split("\t") for line in open("%s/app.%s" % (W, host))]
    refused = {f[3] for f in lines if f[2] == "refused"}
    for t, account, what, req_id, _ in lines:
        if what != "stored" and req_id not in refused:
            seen[side][account].append((float(t), what, req_id))
silent = cut = before_seal = 0
for account in accounts:
    done = moves[account]
    if not done:
        bad.append("%s has never moved" % account)
        continue
    quiet = [("transit", None, 0, done[0].fenced)]
    for i, m in enumerate(done):
        quiet.append((m.old, m, m.fenced, done[i + 1].fenced if i + 1 < len(done) else float("inf")))
    for side, m, since, until in quiet:
        silent += 1
        for t, what, req_id in seen[side][account]:
            if not since + CLOCK < t < until - CLOCK:
                continue
            t0, outcome = sent.get(req_id, (t, "?"))
            if m and t0 < m.held and outcome != "ok" and t < since + READ_S:
                cut += 1
            elif m and t < m.copied and (side == "transit" and req_id.startswith(TRANSIT) or killed(t0 - LOST_S, t, "proxy")):
                before_seal += 1
            else:
                bad.append("%s: %s %s (%s) was sent %.3f s and served by %s %.3f s after the fence, %.3f s before the next" % (
                    account, what, req_id, outcome, t0 - since, side, t - since, until - t))

# 3. visitors
outcomes = collections.Counter()
direct = 0
for v in visits:
    outcomes[v["outcome"]] += 1
    if v["outcome"] == "WRONG":
        bad.append("wrong: %r" % v)
    elif v["outcome"] == "lost" and not killed(v["t0"] - LOST_S, v["t1"] + 0.1):
        bad.append("lost: %r" % v)
    elif v["outcome"] == "refused" and not killed(v["t0"] - (REFUSED_S if v.get("by") == "proxy" else LOST_S), v["t1"] + 0.1):
        if v.get("address", "").startswith(TRANSIT):
            direct += 1  # a connection to the transit server itself that was kept beyond the way home: its next one is led right
        else:
            bad.append("refused: %r" % v)
kinds = collections.Counter((v["kind"], v.get("side")) for v in visits if v["outcome"] == "ok")
if len(kinds) < 9:
    bad.append("too little traffic: %r" % kinds)

# 4. interruptions
print("account   moves  longest gap  held, by the evidence (ms)")
gaps = []
for account in accounts:
    answered = sorted(v["t1"] for v in visits if v["account"] == account and v["outcome"] == "ok")
    gap = max((b - a for a, b in zip(answered, answered[1:])), default=0)
    gaps.append(gap)
    print("%-9s %5d  %9.2f s  %s" % (account, len(moves[account]), gap, ", ".join(
        "%s %s" % (m.kind, m.hold) for m in moves[account])))
for line in bad[:40]:
    print("BAD", line)
print("%d moves, %d silences (%d cut before were read after, %d came past the proxy before the seal); %d answers (%s), %d again, %d cut, %d refused (%d past the proxy), %d lost; %d kills; %d numbers acknowledged; longest gap %.2f s; %d bad" % (
    sum(len(m) for m in moves.values()), silent, cut, before_seal, outcomes["ok"], " ".join("%s/%s %d" % (*k, n) for k, n in sorted(kinds.items())), outcomes["again"],
    outcomes["cut"], outcomes["refused"], direct, outcomes["lost"], len(kills), len(acked), max(gaps), len(bad)))
sys.exit(1 if bad else 0)
