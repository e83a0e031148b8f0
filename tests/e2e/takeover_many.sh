#!/usr/bin/env bash
# slow
# A server's 258 addresses go to the transit server and come home in one plan each way, as fast as eight do.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
NETCTL=$PLAIN/shunt-netctl # times are measured
lab_up segment
many 250
answerer_up cli tra
for n in cli tra; do
	netctl_up $n 'drain = 14'
	snapshot $n >"$W/before.$n"
done
# Eight are probed every ms, spread over all: the first and the last of each family, and some between.
probed4=("${S4[0]}" "${S4[3]}" "${S4[60]}" "${S4[-1]}")
probed6=("${S6[0]}" "${S6[3]}" "${S6[60]}" "${S6[-1]}")
timed() { # WHAT HOST COMMAND..
	local began took
	began=$(now_ms)
	netctl "${@:2}" >"$W/log/$2-${3:-}" 2>&1 || die "$1: $(cat "$W/log/$2-${3:-}")"
	took=$(($(now_ms) - began))
	say "$1: ${#S[@]} addresses in $took ms"
	[ $took -lt 15000 ] || die "$1 took $took ms"
}
all_answer() { # HOST: each of them
	local a
	for a in "${S[@]}"; do ANSWER_S=20 answers "$a" "$1" || die "$a is not answered by $1"; done
}
as_short_as_ever() { # NAME: without a lost attempt, and the interruption in bounds
	nothing_lost "$1"
	local ms
	ms=$(probed "$1" 'int(r["interruption_ms"])')
	say "$1: interruption $ms ms"
	[ "$ms" -lt 100 ] || die "$1: interrupted for $ms ms"
}

prober_start out ext -l 2 "${probed4[@]}" "${probed6[@]}"
timed takeover tra takeover --confirm 20
WAIT=10 wait_for answers "${S4[60]}" tra
timed confirm tra confirm
longer 1000
prober_stop out
as_short_as_ever out
answered out cli tra
all_answer tra
for n in cli tra; do no_drift $n || die "drift: $(netctl $n status)"; done
WAIT=40 wait_for drained tra

prober_start home ext -l 2 "${probed4[@]}" "${probed6[@]}"
timed return cli return --confirm 20
WAIT=10 wait_for answers "${S4[60]}" cli
timed confirm cli confirm
longer 1000
prober_stop home
as_short_as_ever home
answered home tra cli
all_answer cli
for n in cli tra; do WAIT=40 wait_for nothing_in_force $n; done
for n in cli tra; do unchanged $n "$W/before.$n"; done
