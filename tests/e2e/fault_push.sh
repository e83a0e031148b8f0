#!/usr/bin/env bash
# long
# Every write, fsync, rename, send.. of shunt-dnsupdate fails once, in a push, its undo and a push home, by the command and by the daemon,
# against Knot (a sample in each run, all with --soak): the zone is as exit code and status say, and whole; the same command again ends well,
# and undo restores the zone exactly.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm # there is much to sync, and nothing of it has to last
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/fault_lib.sh"
. "$(dirname "$0")/dns_lib.sh"
. "$(dirname "$0")/dnsupdate_lib.sh"
DNSUPDATE=$PLAIN/shunt-dnsupdate
REASON='Input/output error|No space left|quota|No buffer space|memory|Too many open|Permission denied|Read-only|no answer|did not answer|does not answer|not reached|closed the connection'
dns_net
customer anna.example managed knot
knot_up
world_up
resolver_up
KINDS=knot dns_conf
accounts anna:anna.example
TEXTS=$W/texts
mkdir "$TEXTS"
wrong() { die "$1 ($(at_fault)): $2
-- out: $(cat "$W/log/out" 2>/dev/null)"; }
look() { axfr ${PRIMARY[knot]} anna.example >"$W/now" || die "no transfer of anna.example"; }
is() { cmp -s "$W/now" "$TEXTS/$1"; } # STATE, after look
state_of_zone() { # in words; each change is made whole
	look
	if is before; then echo before; elif is pushed; then echo pushed; else diff "$TEXTS/before" "$W/now"; fi
}
said() { # what status says of the zone: before, pushed, or that somebody is in the midst
	dnsupdate status anna --json >"$W/status" 2>>"$W/log/status" || { cat "$W/status"; return; }
	python3 -c 'import json, sys
e = json.load(open(sys.argv[1]))["entries"]
print("before" if not e or e[0]["state"] == "undone" and not e[0]["busy"] else "busy" if e[0]["busy"] else e[0]["state"])' "$W/status"
}
well() { # COMMAND..
	dnsupdate "$@" --wait 60 >"$W/well" 2>&1 || wrong "$*" "without a fault it ends with $?: $(cat "$W/well")"
}
nothing_is_left() { # WHAT
	well undo anna
	same "undo of $1 ($(at_fault))" "$(state_of_zone)" before
	same "what is recorded after $1 ($(at_fault))" "$(dnsupdate status anna)" "no records are changed"
	[ -z "$(find "$JOURNAL" -name '.new-*')" ] || wrong "$1" "left behind: $(find "$JOURNAL" -name '.new-*')"
}
# RC is of a command that leads from one state to the other.
judge() { # WHAT FROM TO
	local zone status
	zone=$(state_of_zone)
	status=$(said)
	case $RC:$zone in
	0:"$3" | 1:"$2" | 3:"$2" | 4:"$2" | 4:"$3") ;;
	*) wrong "$1" "it ended with $RC, and the zone is: $zone" ;;
	esac
	# who was not heard of may have done it; then status does not say that it knows
	[ "$status" = "$zone" ] || [ "$RC:$status" = 4:busy ] || wrong "$1" "exit $RC; the zone is $zone, and status says $status"
	[ $RC != 1 ] || [ "$status" != busy ] || wrong "$1" "refused, and begun: $(cat "$W/status")"
	if [ $RC != 0 ] && met; then like "the reason of $1 ($(at_fault))" "$(cat "$W/log/out")" "$REASON"; fi
	if [ $RC = 0 ] && met; then
		grep -qE ': (send [0-9]+:|mkdir |unlink )' "$FAULT_LOG" || grep -qE "$REASON" "$W/log/out" || may_be_unseen || wrong "$1" "done, but something failed, and nothing was said"
	fi
	unlike "$1 ($(at_fault))" "$(cat "$W/log/out")" 'Assertion|corrupt|core dumped'
}
may_be_unseen() { false; }
tried() { # FAULT COMMAND..: RC
	local fault=$1
	shift
	RC=0
	case $1 in push) set -- "$@" --accounts "$W/accounts.json" ;; esac
	timeout 120 nsenter --net="/run/netns/${NS}d" env LD_PRELOAD="$SHIM" SHUNT_FAULT="$fault" SHUNT_FAULT_LOG="$FAULT_LOG" \
		"$DNSUPDATE" -c "$W/shunt.conf" "$@" --wait 60 >"$W/log/out" 2>&1 || RC=$?
}
push_fails() { # FAULT
	tried "$1" push anna
	judge push before pushed
	if [ $((${turn:=0} % 2)) = 0 ]; then
		well push anna
		same "push again ($(at_fault))" "$(state_of_zone) $(said)" "pushed pushed"
	fi
	turn=$((turn + 1))
	nothing_is_left push
}
undo_fails() { # FAULT COMMAND..
	well push anna
	tried "$@"
	judge "${*:2}" pushed before
	well "${@:2}"
	same "${*:2} again ($(at_fault))" "$(state_of_zone)" before
	nothing_is_left "${*:2}"
}
ask_daemon() { # CMD: RC is what it answers
	RC=0
	timeout 120 python3 "$TOOLS/ctl.py" "$W/dns.sock" "$@" >"$W/log/out" 2>&1 || RC=$?
	if [[ $(cat "$W/log/out") =~ \"exit\":\ ?([0-9]) ]]; then
		RC=${BASH_REMATCH[1]}
	elif [ $RC != 0 ]; then # no answer came: it may be so, or not
		RC=4
	fi
}
daemon_up_or_gone() { gone "$(pid_of daemon)" || grep -q 'reason="ready"' "$W/log/daemon"; }
daemon_fails() { # FAULT
	: >"$W/log/daemon"
	start daemon d env LD_PRELOAD="$SHIM" SHUNT_FAULT="$1" SHUNT_FAULT_LOG="$FAULT_LOG" "$DNSUPDATE" -c "$W/shunt.conf" serve
	wait_for daemon_up_or_gone
	if gone "$(pid_of daemon)"; then
		like "the daemon did not start ($(at_fault))" "$(cat "$W/log/daemon")" "$REASON"
		rm "$W/pid/daemon"
	else
		may_be_unseen() { grep -qE "$REASON" "$W/log/daemon"; }
		ask_daemon push '{"account":{"name":"anna","domains":["anna.example"]},"wait":50}'
		[ "$RC" != 4 ] || met || wrong "the daemon" "stuck without a fault"
		REASON="$REASON|closed without an answer" judge "push by the daemon" before pushed
		if [ $RC = 0 ]; then
			ask_daemon undo '{"account":{"name":"anna","domains":[]},"wait":50}'
			REASON="$REASON|closed without an answer" judge "undo by the daemon" pushed before
		fi
		may_be_unseen() { false; }
		stop daemon
		unlike "the daemon ($(at_fault))" "$(cat "$W/log/daemon")" 'Assertion|corrupt|double free'
	fi
	# the next one starts, whatever this one has left
	[ ! -e "$W/dns.sock" ] || grep -q "unlink .*dns.sock" "$FAULT_LOG" || wrong "the daemon" "its socket is left behind"
	well push anna
	nothing_is_left "the daemon"
}
look
cp "$W/now" "$TEXTS/before"
well push anna
look
cp "$W/now" "$TEXTS/pushed"
! cmp -s "$TEXTS/before" "$TEXTS/pushed" || die "a push changes nothing"
FAULT=none
nothing_is_left "the first push"
at_faults shunt-dnsupdate 4 push_fails
at_faults shunt-dnsupdate 3 undo_fails undo anna
[ -z "${SHUNT_ROUNDS:-}" ] || at_faults shunt-dnsupdate 5 undo_fails push anna --to client
at_faults shunt-dnsupdate 4 daemon_fails
say "$REACHED faults (SHUNT_SEED=$SEED)"
