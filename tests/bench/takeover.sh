#!/usr/bin/env bash
# Measures what visitors notice while addresses move: takeover and return in each topology, with shunt-netctl on the hosts of tests/e2e's
# laboratory, one connection attempt per millisecond and address, and connections that stay. Prints a table, writes JSON.
#
#   tests/bench/takeover.sh [--rounds N] [--output FILE]      SHUNT_BUILD: a build with the programs and the prober (run.sh makes one)
#
# interruption: the longest time without a successful new connection at any address; it is never less than a prober's own rhythm, so the same
# is measured without a move.
rounds=3 output=$(cd "$(dirname "$0")" && pwd -P)/takeover.json
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=$2; shift 2 ;;
	--output) output=$(realpath "$2"); shift 2 ;;
	-h | --help) sed -n '2,/^rounds/{s/^# \{0,1\}//;/^rounds/d;p}' "$0"; exit 0 ;;
	*) echo "takeover.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
	esac
done
. "$(dirname "$0")/../e2e/lib.sh"
. "$E2E/takeover_lib.sh"
. "$E2E/netctl_lib.sh"
row() { # TOPOLOGY WHAT PROBER-NAME
	python3 - "$W/$3.json" "$1" "$2" >>"$W/rows" <<-'END'
		import json, sys
		r = json.load(open(sys.argv[1]))
		worst = max(t["interruption_ms"] for t in r["targets"])
		print(json.dumps({"topology": sys.argv[2], "what": sys.argv[3], "interruption_ms": worst, "attempts": r["attempts"], "lost": r["lost"],
		                  "slow": r["slow"], "long": r["long"]}))
	END
}
probe_start() { prober_start "$1" ext -r 2000 -l 4 "${S4[0]}" "${S6[0]}"; } # one per ms and address; all eight move
for topology in segment routed tunnel; do
	lab_up $topology
	answerer_up cli tra
	lines=('drain = 3')
	[ $topology = segment ] || lines+=("tunnel { id = 42 client = \"203.0.113.5\" transit = \"${T4[0]}\" }")
	for n in cli tra; do netctl_up $n "${lines[@]}"; done
	[ $topology != routed ] || DEV=tra0 netctl_up rt "${lines[@]}"
	probe_start rest
	longer 1500
	prober_stop rest >&2
	row $topology "nothing moves" rest
	for ((i = 0; i < rounds; i++)); do
		for what in takeover return; do
			host=tra to=tra
			[ $what = takeover ] || host=cli to=cli
			probe_start $what
			longer 500
			netctl $host $what --confirm 60 >&2
			WAIT=5 wait_for answers "${S4[0]}" $to
			longer 1000
			prober_stop $what >&2
			row $topology $what $what
			netctl $host confirm >&2
			[ $what = return ] || WAIT=20 wait_for drained $host
		done
		# the next round begins with hosts that know of nothing
		for n in cli tra; do WAIT=30 wait_for nothing_in_force $n; done
	done
	lab_down
done
python3 - "$W/rows" "$output" <<-'END'
	import json, statistics, sys
	rows = [json.loads(line) for line in open(sys.argv[1])]
	table, out = [["topology", "what", "interruption ms, median (min-max)", "attempts", "lost", "slow", "standing connections lost"]], []
	for key in dict.fromkeys((r["topology"], r["what"]) for r in rows):
	    some = [r for r in rows if (r["topology"], r["what"]) == key]
	    ms = [r["interruption_ms"] for r in some]
	    ended = sum(r["long"]["reset"] + r["long"]["hanging"] for r in some)
	    out.append({"topology": key[0], "what": key[1], "interruption_ms": {"median": statistics.median(ms), "min": min(ms), "max": max(ms)},
	                "attempts": sum(r["attempts"] for r in some), "lost": sum(r["lost"] for r in some), "slow": sum(r["slow"] for r in some),
	                "standing_lost": ended})
	    table.append([key[0], key[1], "%.1f (%.1f-%.1f)" % (statistics.median(ms), min(ms), max(ms)), str(out[-1]["attempts"]), str(out[-1]["lost"]),
	                  str(out[-1]["slow"]), str(ended)])
	widths = [max(len(l[i]) for l in table) for i in range(len(table[0]))]
	for line in table:
	    print("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip())
	json.dump(out, open(sys.argv[2], "w"), indent=1)
END
