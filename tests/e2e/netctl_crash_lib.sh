# What the stories of crashes share; sourced after netctl_lib.sh. One address of each family moves, so that every point can be tried.
NETCTL=$PLAIN/shunt-netctl # hundreds of runs
grep -qa SHUNT_TEST_KILL "$NETCTL" || cannot_run "this build has no crash points: configure with --enable-test-kill"
lab_up segment
S4=("${S4[0]}") S6=("${S6[0]}") S=("${S4[0]}" "${S6[0]}")
PROXY_CONF="proxy { control = \"unix:$W/proxy.sock\" table = \"$W/table\" intercept = true listener \"web\" { port = $PORT protocol = \"tcp\" transit-port = 81 } }"
answerer_up cli tra
for n in cli tra; do
	netctl_conf $n 'drain = 600'
	snapshot $n >"$W/before.$n"
done
echo first-boot >"$W/boot"
export SHUNT_TEST_BOOT_ID=$W/boot

no_plan() { ! compgen -G "$W/net-$1/journal/*.json" >/dev/null; } # HOST; asks no shunt-netctl, which might do something about it
# All is as it was on both hosts. The client server's daemon runs, the transit server's does not: nobody helps its guard.
clean() { # WHAT
	local n a
	for n in cli tra; do
		WAIT=40 wait_for no_plan $n
		(unchanged $n "$W/before.$n") || die "after $1"
	done
	for a in "${S[@]}"; do wait_for answers "$a" cli; done
}
# Runs it and sees it killed; false: it has not been killed any more, and has done what it should.
killed_at() { # N HOST COMMAND..
	local rc=0
	SHUNT_TEST_KILL=netctl:$1 netctl "${@:2}" >"$W/log/killed" 2>&1 || rc=$?
	[ $rc = 137 ] || [ $rc = 0 ] || die "killed at $1, ${*:2} ended with $rc: $(cat "$W/log/killed")"
	[ $rc = 137 ]
}
EVERY=3 # of the points, in one run
at_every_point() { # PREPARE AFTER HOST COMMAND..: AFTER is told what was killed where
	local n=1 prepare=$1 after=$2 points tried=0
	shift 2
	until in_sample $n "$EVERY"; do n=$((n + 1)); done
	$prepare
	while killed_at $n "$@"; do
		points=$n
		tried=$((tried + 1))
		"$after" "$* was killed at point $n: $(tail -n 1 "$W/log/killed")"
		n=$((n + 1))
		until in_sample $n "$EVERY"; do n=$((n + 1)); done
		$prepare
	done
	[ "$tried" -gt 0 ] || die "$*: none of its points was met"
	say "$*: killed at $tried points up to $points (SHUNT_SEED=$SEED)"
}
nothing_first() { :; }
guard_died_at() { grep -q "killed at point $2:" "$W/net-$1/journal/guard.log"; } # HOST N
tra_taken() { # confirmed, with nobody watching
	netctl tra takeover --confirm 0 >"$W/log/taken" 2>&1 || die "takeover: $(cat "$W/log/taken")"
	is_in_force cli give confirmed || die "the client server has not confirmed: $(in_force cli)"
}
tra_back() {
	netctl tra revert >"$W/log/back" 2>&1 || die "revert: $(cat "$W/log/back")"
	clean "${1:-revert}"
}

tra_pending() { netctl tra takeover --confirm 6 >"$W/log/taken" 2>&1 || die "takeover: $(cat "$W/log/taken")"; }
