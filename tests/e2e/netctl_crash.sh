#!/usr/bin/env bash
# long
# kill -9 of shunt-netctl at every point of interception, of a takeover on either host, of its confirmation and of its revert: without
# another command everything is soon as it was, byte for byte, or in force as a whole.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
. "$(dirname "$0")/netctl_crash_lib.sh"

whole_or_nothing() { # it needs no confirmation, so it may be in force
	decided() { no_plan cli || is_in_force cli intercept confirmed; }
	wait_for decided
	if ! no_plan cli; then
		no_drift cli || die "$1: $(netctl cli status)"
		netctl cli intercept off >"$W/log/off"
	fi
	clean "$1"
}
at_every_point nothing_first whole_or_nothing cli intercept on
whole_or_nothing "intercept on"
cli_intercepts() { netctl cli intercept on >"$W/log/on"; }
at_every_point cli_intercepts whole_or_nothing cli intercept off

netctl_serve cli
at_every_point nothing_first clean tra takeover --confirm 1
clean "takeover that nobody confirmed"
both_or_none() { # what was killed before it had begun changes nothing: then the takeover holds on both hosts
	decided() { no_plan tra || is_in_force tra takeover confirmed; }
	wait_for decided
	if no_plan tra; then
		clean "$1"
	else
		is_in_force cli give confirmed || die "$1: confirmed here alone: $(in_force cli)"
		tra_back "$1"
	fi
}
at_every_point tra_taken both_or_none tra revert
clean "revert"

say "the giving host's daemon is killed, as it gives and as it is asked to take back"
for ((n = 1; ; n += n < 10 ? 1 : 2)); do # by no multiple of EVERY, or a sample might miss the end
	in_sample $n "$EVERY" || continue
	stop netctl-cli
	: >"$W/log/netctl-cli"
	export SHUNT_TEST_KILL=netctl:$n
	netctl_serve cli
	unset SHUNT_TEST_KILL
	netctl tra takeover --confirm 1 >"$W/log/taken" 2>&1 || :
	WAIT=40 wait_for no_plan cli # by its guard
	# what comes back by itself is seen on the wire, also where the daemon stays away
	! gone "$(pid_of netctl-cli)" || [ $((n % 7)) = 0 ] || netctl_serve cli
	clean "the daemon that gives was killed at point $n"
	grep -q "killed at point $n:" "$W/log/netctl-cli" || break
done
[ $n -gt 10 ] || die "the daemon has only $n points"
say "killed up to point $n"
stop netctl-cli
netctl_serve cli

at_every_point tra_pending both_or_none tra confirm
tra_back
