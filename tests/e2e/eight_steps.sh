#!/usr/bin/env bash
# long
# The whole procedure on a segment: thirty accounts, half of them on the provider's DNS, with a control host that asks both servers over mutual TLS.
# start, migrate, rollback, migrate again, reinstall, the client server is wiped and comes back empty, return, relocate, finish. Visitors never stop. Now and
# then a process of ours is killed; a command that fails for that is given again. In the end no request was served at the wrong side, no number that was
# acknowledged is lost, records and addresses are where they were, and nothing of ours is left.
#
# SHUNT_SEED=N: whom the kills meet, and when; printed at the start. SHUNT_KILLS=no: none.
# SHUNT_EIGHT_STEPS=N (tests/run.sh --soak: 3): N times, from that seed on, in the long form: under sanitizers, with twice the kills and visitors, and the
# example hooks for all accounts instead of two. A seed that failed is tried again by SHUNT_EIGHT_STEPS=1 SHUNT_SEED=N.
if [ "${SHUNT_EIGHT_STEPS:-1}" -gt 1 ]; then
	seed=${SHUNT_SEED:-$((RANDOM % 1000))}
	for ((n = 0; n < SHUNT_EIGHT_STEPS; n++)); do SHUNT_EIGHT_STEPS=1 SHUNT_SEED=$((seed + n)) "$0" || exit; done
	exit 0
fi
. "$(dirname "$0")/lib.sh"
LONG=${SHUNT_EIGHT_STEPS:-}
if [ -n "$LONG" ]; then PACE=1 KILL_S='1.5 4.5' PATIENCE_S=900; else PACE=2 KILL_S='3 6' PATIENCE_S=240; fi
HOSTS_MS=8000 # what a quick machine needs until all hosts are there
[ -n "$LONG" ] || plain_but_for_soak
. "$E2E/takeover_lib.sh"
. "$E2E/netctl_lib.sh"
. "$E2E/dns_lib.sh"
. "$E2E/dnsupdate_lib.sh"
. "$E2E/eight_steps_lib.sh"

say "the hosts"
began=$(now_ms)
lab_up segment
dns_net
# what moves stands alone, as `shunt return` will have it
for a in "${S4[@]}"; do ip -n "${NS}cli" addr del "$a/24" dev eth0 2>/dev/null || ip -n "${NS}cli" addr del "$a/32" dev eth0; done
for a in "${S6[@]}"; do ip -n "${NS}cli" addr del "$a/64" dev eth0 2>/dev/null || ip -n "${NS}cli" addr del "$a/128" dev eth0; done
for a in "${S4[@]/%//32}" "${S6[@]/%//128}"; do echo "addr add $a dev eth0 noprefixroute $(case $a in *:*) echo nodad ;; esac)"; done >"$W/batch"
ip -n "${NS}cli" -batch "$W/batch"
wait_for no_tentative cli
zones_up
servers_up cli
servers_up tra
accounts_up
hooks_up
for n in cli tra; do snapshot $n >"$W/before.$n"; done
keep zones.before $(for a in "${MANAGED[@]}"; do host_of $a; done)
daemons_up
shunt account import "$W/accounts.json"
# Where everything takes so many times as long, kills are so many times rarer: they meet the same work, and what they break is mended before the next.
SLOW=1
[ -n "$LONG" ] || SLOW=$(awk -v ms=$(($(now_ms) - began)) -v usual=$HOSTS_MS 'BEGIN { slow = ms / usual; printf "%.2f", (slow < 1 ? 1 : slow > 4 ? 4 : slow) }')
echo "$SLOW" >"$W/slow"
times_slow() { awk -v slow="$SLOW" 'BEGIN { for (i = 1; i < ARGC; i++) printf "%.3f%s", slow * ARGV[i], (i < ARGC - 1 ? " " : "") }' "$@"; } # NUMBER..
say "taken for $SLOW times as slow as a quick machine"

# ---- visitors
acknowledged() { # TIMES: of each account, since $mark
	awk -v times="$1" -v n=${#ACCOUNTS[@]} -v mark="$mark" 'NR > mark && ++count[$1] == times { done++ } END { exit done < n }' "$W/acknowledged"
}
visited() { # a while: each account has some more numbers acknowledged
	mark=$(wc -l <"$W/acknowledged")
	WAIT=120 wait_for acknowledged "$1"
}
: >"$W/acknowledged"
: >"$W/kills"
start visitors ext python3 "$E2E/eight_steps_visitors.py" $PACE "$W/accounts" "$W/visits" "$W/acknowledged"
visited 3

# ---- commands
killed_since() { awk -v since="$1" '$1 >= since { found = 1 } END { exit !found }' "$W/kills"; } # MS
once() { # WORD..: leaves its exit code in $rc; it can be killed
	local pid
	rc=0
	nsenter --net="/run/netns/${NS}peer" "$SHUNT" -c "$W/net-peer/conf" --yes "$@" >"$W/log/command" 2>&1 &
	pid=$!
	echo $pid >"$W/run/shunt"
	{ wait $pid || rc=$?; } 2>/dev/null
	rm -f "$W/run/shunt"
}
# Again until it is done. It may fail where something was killed meanwhile, or before, while what that left is put in order. An undo whose hook was
# killed is stuck, and so is what is not undone because the client server may have taken writes: they ask for a person. That is us, and we do what they say.
give() { # WORD..
	local began rc until=$(($(now_ms) + PATIENCE_S * 1000))
	while :; do
		began=$(now_ms)
		once "$@"
		[ $rc != 0 ] || break
		cat "$W/log/command" >>"$W/log/failed"
		killed_since $((began - $(printf %.0f "$(times_slow 15000)"))) || die "shunt $* ended with $rc, and nothing was killed: $(cat "$W/log/command")"
		[ "$(now_ms)" -lt $until ] || die "shunt $* ends with $rc again and again: $(cat "$W/log/command")"
		say "shunt $*: $rc: $(tail -n 1 "$W/log/command" | cut -c 1-200)"
		if grep -qE 'STUCK.*(was killed by signal 9|it is not undone)' "$W/log/command"; then once resume; else read -rt 0.5 <> <(:) || :; fi
	done
	say "shunt $*: $(($(now_ms) - began)) ms"
}
sides() { shunt --json account list | python3 -c 'import json, sys; print(*sorted({a["side"] for a in json.load(sys.stdin)["accounts"]}))'; }

if [ "${SHUNT_KILLS:-}" != no ]; then
	# shellcheck disable=SC2086 # two numbers
	start killer peer python3 "$E2E/eight_steps_killer.py" "$SEED" "$W" "$BUILD" $(times_slow $KILL_S)
	wait_for grep -q '^seed' "$W/log/killer"
	say "$(grep '^seed' "$W/log/killer")"
fi
say "1 preparation"
give check
say "2, 3 the transit server is there"
give start
say "4 accounts move"
give migrate --all
same "sides" "$(sides)" transit
visited 3
say "5 some go back, and move again"
back=(a01 b01 b02)
give rollback "${back[@]}"
visited 2
give migrate "${back[@]}"
say "6 reinstallation"
give reinstall
visited 2
WAIT=90 wait_for drained tra
numbers_of cli >"$W/stored.wiped"
wipe cli
visited 2
reinstalled
give return
say "7 relocation"
give relocate --all
same "sides" "$(sides)" client
visited 2
say "8 over"
nothing_to_come() { drained cli && drained tra; }
WAIT=120 wait_for nothing_to_come
killed_enough() { [ "$(wc -l <"$W/kills")" -ge 6 ]; }
[ "${SHUNT_KILLS:-}" = no ] || WAIT=180 wait_for killed_enough
give finish
stop killer
visited 2

say "what is left"
WAIT=60 stop visitors
for n in cli tra; do nothing_in_force $n || die "left on $n: $(in_force $n)"; done
shunt --json log >"$W/trail"
shunt log --verify >"$W/verify" || die "$(cat "$W/verify")"
for n in proxy netctl-cli netctl-tra dnsupdate; do stop $n; done
for n in cli tra; do unchanged $n "$W/before.$n"; done
keep zones.after $(for a in "${MANAGED[@]}"; do host_of $a; done)
same "zones that are not as they were" "$(diff -r -x raw -x ask "$W/zones.before" "$W/zones.after")" ""
numbers_of cli >"$W/stored.cli"
numbers_of tra >"$W/stored.tra"
python3 "$E2E/eight_steps_verdict.py" "$W" || die "see above"
