#!/usr/bin/env bash
# long
# Every write, fsync, rename, send.. of shunt-netctl fails once (a sample in each run, all with --soak): of the command on the transit server
# that takes addresses over, confirms or reverts, of its guard, of the daemon that gives them, and of interception. Exit code, words, journal
# and kernel say the same, and afterwards all becomes as it was, byte for byte.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm # there is much to sync, and nothing of it has to last
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
. "$(dirname "$0")/netctl_crash_lib.sh"
. "$(dirname "$0")/fault_lib.sh"
REASON='Input/output error|No space left|quota|No buffer space|memory|Too many open|Permission denied|Read-only|does not stand by|guard could not start|did not come|does not answer|no answer to|takes back'
wrong() { die "$1 ($(at_fault)): $2
-- out: $(cat "$W/log/out" 2>/dev/null)
-- guard: $(tail -n 5 "$W/net-tra/journal/guard.log" 2>/dev/null)"; }
holds() { [ -n "$(ip -o -n "$NS$1" addr show dev eth0 to "${S4[0]}")" ] && [ -n "$(ip -o -n "$NS$1" addr show dev eth0 to "${S6[0]}")" ]; } # HOST
holds_any() { [ -n "$(ip -o -n "$NS$1" addr show dev eth0 to "${S4[0]}")$(ip -o -n "$NS$1" addr show dev eth0 to "${S6[0]}")" ]; }
# The command with the fault: RC. What it says is in log/out.
tried() { # FAULT HOST COMMAND..
	local host=$2 fault=$1
	shift 2
	RC=0
	: >"$W/net-$host/journal/guard.log"
	timeout 120 nsenter --net="/run/netns/$NS$host" env LD_PRELOAD="$SHIM" SHUNT_FAULT="$fault" SHUNT_FAULT_LOG="$FAULT_LOG" \
		"$NETCTL" -c "$W/net-$host/conf" "$@" >"$W/log/out" 2>&1 || RC=$?
	case $RC in
	0 | 1 | 3 | 4) ;;
	*) wrong "$*" "it ended with $RC" ;;
	esac
	unlike "$* ($(at_fault))" "$(cat "$W/log/out")" 'Assertion|core dumped|AddressSanitizer'
	if [ $RC != 0 ]; then like "the reason of $* ($(at_fault))" "$(cat "$W/log/out" "$W/net-$host/journal/guard.log")" "${WORDS:-$REASON}"; fi
}
# Without faults everything comes to an end: what is stuck is tried again, what is in force is reverted.
ends_clean() { # WHAT
	local n
	for n in cli tra; do netctl $n recover >"$W/log/recover" 2>&1 || wrong "$1" "recover of $n ended with $?: $(cat "$W/log/recover")"; done
	for n in tra cli; do
		no_plan $n || netctl $n revert >"$W/log/revert" 2>&1 || no_plan $n || wrong "$1" "revert of $n ended with $?: $(cat "$W/log/revert")"
	done
	clean "$1 ($(at_fault))"
	for n in cli tra; do [ -z "$(ls -A "$W/net-$n/journal" | grep '^\.new')" ] || wrong "$1" "left behind in the journal of $n: $(ls -A "$W/net-$n/journal")"; done
}
seen_or_told() { # of an exit 0: what failed is in a log, or changes nothing (a send that is made again or not needed, a directory that is there)
	! met || grep -qE ": send [0-9]+:|: mkdir |: (truncate|open) .*guard\.log" "$FAULT_LOG" || grep -qE "$REASON" "$W/log/out" "$W/net-tra/journal/guard.log" "$W/net-cli/journal/guard.log" "$W/log/netctl-cli" 2>/dev/null
}
done_or_nothing() { # PLAN STATE: by RC; only the transit server's word is judged here
	case $RC in
	0)
		is_in_force tra "$1" "$2" || wrong "$1" "it should be $2: $(in_force tra)"
		holds tra || wrong "$1" "$2, without the addresses"
		no_drift tra || wrong "$1" "$2, but not whole: $(netctl tra status)"
		seen_or_told || wrong "$1" "done, but something failed, and nothing was said"
		;;
	1 | 3)
		no_plan tra || wrong "$1" "exit $RC, and it is in force: $(in_force tra)"
		! holds_any tra || wrong "$1" "exit $RC, and the addresses are here"
		WAIT=60 wait_for no_plan cli # who gave them has taken them back, or does
		WAIT=60 wait_for holds cli
		;;
	4) like "$1 ($(at_fault)), stuck" "$(netctl tra status 2>&1)" 'stuck|applying|undoing|reverting|nothing is in force' ;;
	esac
}
takeover_fails() { # FAULT
	tried "$1" tra takeover --confirm 120
	done_or_nothing takeover pending
	ends_clean "takeover"
}
confirm_fails() { # FAULT
	netctl tra takeover --confirm 120 >"$W/log/taken" 2>&1 || die "takeover: $(cat "$W/log/taken")"
	tried "$1" tra confirm
	if [ $RC = 0 ]; then
		done_or_nothing takeover confirmed
		is_in_force cli give confirmed || wrong "confirm" "it is confirmed here alone: $(in_force cli)"
	else # it can be said again, or is undone in time
		holds tra || wrong "confirm" "exit $RC, and the addresses are gone: $(in_force tra)"
		netctl tra confirm >"$W/log/again" 2>&1 || wrong "confirm" "again: $(cat "$W/log/again")"
		is_in_force cli give confirmed || wrong "confirm" "again, it is confirmed here alone: $(in_force cli)"
	fi
	ends_clean "confirm"
}
revert_fails() { # FAULT
	netctl tra takeover --confirm 0 >"$W/log/taken" 2>&1 || die "takeover: $(cat "$W/log/taken")"
	tried "$1" tra revert
	case $RC in
	0)
		no_plan tra || wrong "revert" "it is done, and something is in force: $(in_force tra)"
		seen_or_told || wrong "revert" "done, but something failed, and nothing was said"
		;;
	1) is_in_force tra takeover confirmed || wrong "revert" "refused, but it is not as before: $(in_force tra)" ;;
	esac
	ends_clean "revert"
}
intercept_fails() { # FAULT on|off
	[ "$2" = on ] || netctl cli intercept on >"$W/log/on"
	tried "$1" cli intercept "$2"
	case "$RC $2" in
	"0 on") is_in_force cli intercept confirmed && no_drift cli || wrong "intercept on" "done, but $(netctl cli status)" ;;
	"0 off" | "1 on" | "3 on") no_plan cli || wrong "intercept $2" "exit $RC, and $(in_force cli)" ;;
	"1 off") is_in_force cli intercept confirmed || wrong "intercept off" "refused, and $(in_force cli)" ;;
	esac
	ends_clean "intercept $2"
}
giver_fails() { # FAULT: of the daemon that gives, in a takeover and a revert
	stop netctl-cli
	: >"$W/log/netctl-cli"
	start netctl-cli cli env LD_PRELOAD="$SHIM" SHUNT_FAULT="$1" SHUNT_FAULT_LOG="$FAULT_LOG" "$NETCTL" -c "$W/net-cli/conf" serve
	up_or_gone() { gone "$(pid_of netctl-cli)" || grep -q 'reason="ready"' "$W/log/netctl-cli"; }
	wait_for up_or_gone
	if gone "$(pid_of netctl-cli)"; then
		like "the daemon did not start ($(at_fault))" "$(cat "$W/log/netctl-cli")" "$REASON"
		[ ! -e "$W/net-cli/sock" ] || wrong "the daemon" "it did not start, and its socket is left behind"
		rm "$W/pid/netctl-cli"
	else
		RC=0
		timeout 180 nsenter --net="/run/netns/${NS}tra" "$NETCTL" -c "$W/net-tra/conf" takeover --confirm 0 >"$W/log/out" 2>&1 || RC=$?
		[ $RC = 0 ] || like "the words of takeover ($(at_fault))" "$(cat "$W/log/out")" "$REASON"
		done_or_nothing takeover confirmed
		if [ $RC = 0 ]; then
			timeout 180 nsenter --net="/run/netns/${NS}tra" "$NETCTL" -c "$W/net-tra/conf" revert >"$W/log/out" 2>&1 || RC=$?
			[ $RC != 0 ] || no_plan tra || wrong "revert" "done, and something is in force: $(in_force tra)"
			[ $RC = 0 ] || like "the words of revert ($(at_fault))" "$(cat "$W/log/out")" "$REASON"
		fi
		unlike "the daemon ($(at_fault))" "$(cat "$W/log/netctl-cli")" 'Assertion|corrupt|double free'
		stop netctl-cli
	fi
	netctl_serve cli
	ends_clean "the daemon that gives"
}

mkdir "$W"/net-{cli,tra}/journal
netctl_serve cli
turn=0
# A sample takes a part of them in turn.
now() { turn=$((turn + 1)); [ -n "${SHUNT_ROUNDS:-}" ] || [ $(((SEED + turn) % 7)) -lt 3 ]; }
! now || at_faults shunt-netctl 5 takeover_fails
! now || at_faults guard 4 takeover_fails
! now || at_faults shunt-netctl 4 confirm_fails
! now || at_faults shunt-netctl 5 revert_fails
! now || at_faults shunt-netctl 5 giver_fails
! now || at_faults shunt-netctl 4 intercept_fails on
! now || at_faults shunt-netctl 4 intercept_fails off
say "$REACHED faults (SHUNT_SEED=$SEED)"
