#!/usr/bin/env bash
# long
# kill -9 of the guard that would undo or finish a plan, while it waits and at work, and of what a boot does: the next command, or the daemon,
# comes to the same end.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
. "$(dirname "$0")/netctl_crash_lib.sh"

echo never >"$W/boot.cli"
cli_serves() { SHUNT_TEST_BOOT_ID=$W/boot.cli netctl_serve cli; } # it is the transit server that boots
cli_serves

say "the guard is killed while it waits: the next command undoes what is overdue"
for next in recover "revert intercept" serve; do
	tra_pending
	# shellcheck disable=SC2046
	kill -KILL $(pgrep -f "shunt-netctl -c $W/net-tra/conf guard takeover")
	past_deadline() { [ "$(python3 -c 'import json, sys, time
print(int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000 > json.load(open(sys.argv[1]))["deadline-ms"]))' "$W/net-tra/journal/takeover.json")" = 1 ]; }
	wait_for past_deadline
	! no_plan tra || die "undone by a guard that is dead"
	if [ "$next" = serve ]; then
		netctl_serve tra
		clean "the guard was killed; $next"
		stop netctl-tra
	else
		# shellcheck disable=SC2086
		netctl tra $next >"$W/log/next" 2>&1 || die "$next: $(cat "$W/log/next")"
		clean "the guard was killed; $next"
	fi
done

say "the command is killed, and its guard while it undoes (SHUNT_SEED=$SEED)"
for ((n = 1; ; n += 2)); do
	in_sample $((n / 2)) || continue
	: >"$W/net-tra/journal/guard.log"
	rc=0
	SHUNT_TEST_KILL="netctl:14,guard:$n" netctl tra takeover >"$W/log/killed" 2>&1 || rc=$?
	[ $rc = 137 ] || die "not killed: $(cat "$W/log/killed")"
	dead_or_done() { guard_died_at tra $n || no_plan tra; }
	wait_for dead_or_done
	no_plan tra && ! guard_died_at tra $n && break
	[ $((n % 4)) = 1 ] || killed_at $((n / 2 + 1)) tra recover || : # three times in a row
	netctl tra recover >"$W/log/next" 2>&1 || die "recover: $(cat "$W/log/next")"
	clean "the guard was killed at point $n of its undo"
done
clean "the guard was not killed"
[ $n -gt 3 ] || die "the undo has only $n points"

say "the guard is killed while it finishes a takeover: the next command goes on"
netctl_conf tra 'drain = 1'
for ((n = 1; ; n += 2)); do
	in_sample $((n / 2)) || continue
	: >"$W/net-tra/journal/guard.log"
	SHUNT_TEST_KILL="guard:$n" netctl tra takeover --confirm 0 >"$W/log/taken" 2>&1 || die "takeover: $(cat "$W/log/taken")"
	dead_or_done() { guard_died_at tra $n || drained tra; }
	wait_for dead_or_done
	more=no
	guard_died_at tra $n && more=yes
	netctl tra recover >"$W/log/next" 2>&1 || die "recover: $(cat "$W/log/next")"
	drained tra || die "killed at $n: not finished: $(netctl tra status)"
	no_drift tra || die "killed at $n: drift: $(netctl tra status)"
	! in_ns tra nft list tables | grep -q shunt_drain || die "killed at $n: the drain is still there"
	tra_back "the guard was killed at point $n of the end of the drain"
	[ $more = yes ] || break
done
[ $n -gt 3 ] || die "the end of the drain has only $n points"
netctl_conf tra 'drain = 600'

# The transit server again, as its distribution's configuration makes it.
boots() {
	stop answerer-tra
	ip -n "${NS}tra" link del eth0
	ip netns del "${NS}tra"
	ip netns add "${NS}tra"
	ip -n "${NS}tra" link set lo up
	in_ns tra sysctl -qw net.ipv4.conf.all.rp_filter=1
	plug tra
	addresses tra eth0 "${T4[@]/%//24}" "${T6[@]/%//64}"
	gateway tra "$TRA_GW4" "$TRA_GW6"
	wait_for no_tentative tra
	answerer_up tra
	date +%s%N >"$W/boot"
}
say "a boot forgets what was pending"
tra_pending
boots
netctl tra recover >"$W/log/next" 2>&1 || die "recover: $(cat "$W/log/next")"
clean "a boot"
say "a boot brings back what was confirmed, also where it is interrupted, and with the client server dead"
for n in 1 3 5 8 12 17 23 0; do
	tra_taken
	boots
	if [ "$n" = 0 ]; then
		stop netctl-cli
		ip -n "${NS}sw" link set cli down
	else
		killed_at $n tra recover || die "recover has no point $n"
	fi
	netctl tra recover >"$W/log/next" 2>&1 || die "killed at $n, recover: $(cat "$W/log/next")"
	is_in_force tra takeover confirmed || die "killed at $n: not in force: $(in_force tra)"
	no_drift tra || die "killed at $n: drift: $(netctl tra status)"
	for a in "${S[@]}"; do wait_for answers "$a" tra; done
	if [ "$n" = 0 ]; then
		ip -n "${NS}sw" link set cli up
		cli_serves
	fi
	tra_back "recover was killed at point $n"
done
