#!/usr/bin/env bash
# long
# Every write, fsync, rename, send.. of shunt and of shunt-proxy fails once, in a migration, in one whose hook fails, and in a rollback (a
# sample in each run, all with --soak): the account is on the side that exit code and message say, what waited goes there and nowhere else,
# and afterwards `shunt resume` brings it all to an end.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm # there is much to sync, and nothing of it has to last
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/fault_lib.sh"
net_up
web_up
for h in prepare copy seal verify; do
	cat >"$W/bin/$h" <<-END
		#!/bin/bash
		[ "\$SHUNT_PHASE" = undo ] && exit 0
		if [ "\$SHUNT_HOOK" = copy ]; then
			# it is fenced: who comes now waits
			nsenter --net=/run/netns/${NS}v curl -s --max-time 20 --resolve '*:80:192.0.2.10' -H "X-Req-Id: during-\$(cat $W/turn)" -o $W/during.body \
				-w '%{http_code} %header{x-side}' http://alice.example/ >$W/during 2>$W/during.err </dev/null &
			visitor=\$!
			echo \$visitor >$W/during.pid
			for ((i = 0; i < 500; i++)); do
				kill -0 \$visitor 2>/dev/null || break # he has been served, or refused
				[ -z "\$(nsenter --net=/run/netns/${NS}v ss -Htn state established dst 192.0.2.10:80 2>/dev/null)" ] || break
				read -rt 0.01 <> <(:)
			done
		fi
		[ ! -e $W/fail-\$SHUNT_HOOK ]
	END
	chmod +x "$W/bin/$h"
done
CONTROL="hook-prepare = \"$W/bin/prepare\" hook-copy = \"$W/bin/copy\" hook-seal = \"$W/bin/seal\" hook-verify = \"$W/bin/verify\"" proxy_conf <<'END'
drain = 1
END
proxy_start
import
TURN=0
SIDE=client
HERE=$(cd "$W" && ls)

say_all() { for f in out proxy during; do echo "-- $f: $(tail -n 5 "$W/log/$f" 2>/dev/null || cat "$W/$f")"; done; }
wrong() { die "$1 ($(at_fault)): $2
$(say_all)"; }
truth() { # of the table: SIDE and GATE
	local json
	json=$(ask account '{"name":"alice"}') || return 1
	[[ $json =~ \"side\":\ ?\"([a-z]+)\" ]] && TABLE_SIDE=${BASH_REMATCH[1]}
	[[ $json =~ \"gate\":\ ?\"([a-z]+)\" ]] && TABLE_GATE=${BASH_REMATCH[1]}
}
other() { [ "$1" = client ] && echo transit || echo client; }
log_of() { [ "$1" = client ] && echo "$W/nginx-c/access" || echo "$W/nginx-t/access"; }
count() { grep -cF "	$1	" "$(log_of "$2")" || :; } # REQUEST-ID SIDE
# A request reaches the side it should, once, or none: never the other.
reached_only() { # WHAT REQUEST-ID SIDE
	[ "$(count "$2" "$(other "$3")")" = 0 ] || wrong "$1" "$2 has reached $(other "$3") instead of $3"
	[ "$(count "$2" "$3")" -le 1 ] || wrong "$1" "$2 has reached $3 twice"
}
during_is_over() { [ ! -e "$W/during.pid" ] || gone "$(cat "$W/during.pid")"; }
no_leftovers() {
	local now
	now=$(cd "$W" && ls -A | grep -E '^(table|shunt\.db|proxy\.sock)' | grep -vxE 'table|table\.(lock|counts|seen)|shunt\.db|shunt\.db\.lock|proxy\.sock|proxy\.sock\.lock' || :)
	[ -z "$now" ] || wrong "$1" "left behind: $now"
}

# Asking the proxy is done once more; and SQLite takes no notice when the name of its journal cannot be put on disk.
may_be_unseen() { head -n 1 "$FAULT_LOG" | grep -qE "send\\(|fdatasync\\($W\\)"; }
# What it says of itself is true: exit code, words, table, traffic.
judge() { # RC FROM TO
	local rc=$1 from=$2 to=$3 out
	out=$(cat "$W/log/out")
	case $rc in
	0) like "done ($(at_fault))" "$TABLE_SIDE $TABLE_GATE" "^$to open" ;;
	1)
		like "refused ($(at_fault): $out)" "$TABLE_SIDE $TABLE_GATE" "^$from open"
		unlike "refused, and nothing is begun ($(at_fault): $out)" "$(shunt status alice 2>&1)" 'moving|STUCK|holding|fenced'
		;;
	3) like "failed and undone ($(at_fault): $out)" "$TABLE_SIDE $TABLE_GATE" "^$from open" ;;
	4)
		like "stuck ($(at_fault))" "$out" 'STUCK at|stopped at|is served by|DNS|is back and served'
		if [[ $out =~ "is served by "(client|transit) ]]; then same "served by ($(at_fault))" "$TABLE_SIDE $TABLE_GATE" "${BASH_REMATCH[1]} open"; fi
		;;
	*) wrong "the exit code" "$rc: $out" ;;
	esac
	if [ "$rc" != 0 ] && met; then
		like "the message ($(at_fault))" "$out" '^shunt: .*(/[a-z.-]+|proxy| at [][0-9a-f.:]+:[0-9]+)'
		may_be_unseen || like "the reason ($(at_fault))" "$out" "$REASON"
	fi
	unlike "assertions ($(at_fault))" "$out" 'Assertion|core dumped|Segmentation'
}
REASON='Input/output error|No space left|disk I/O error \(|disk is full|quota|No buffer space|memory|Too many open|Permission denied|Read-only|-journal (beside it cannot|may) be made|did not answer|does not answer|exit 1'
in_the_end() { # WHAT: all agree, nothing is left to do, nothing of it lies about
	local rc=0
	timeout 60 nsenter --net="/run/netns/${NS}c" "$SHUNT" -c "$W/shunt.conf" resume >"$W/log/resume" 2>&1 || rc=$?
	[ $rc = 0 ] || wrong "$1" "resume ended with $rc: $(cat "$W/log/resume")"
	truth || wrong "$1" "the proxy does not answer"
	same "$1: the gate ($(at_fault))" "$TABLE_GATE" open
	SIDE=$TABLE_SIDE
	WAIT=40 wait_for during_is_over
	visit -H "X-Req-Id: after-$TURN" -o "$W/visit.body" -w '%{http_code} %header{x-side}' http://alice.example/ >"$W/after" || wrong "$1" "nobody answers"
	same "$1: who answers ($(at_fault))" "$(cat "$W/after")" "200 $SIDE"
	reached_only "$1" "after-$TURN" "$SIDE"
	reached_only "$1" "during-$TURN" "$SIDE"
	like "$1: status ($(at_fault))" "$(shunt status alice 2>&1)" "$SIDE"
	like "$1: the trail" "$(shunt log --verify 2>&1)" 'unbroken'
	no_leftovers "$1"
	rm -f "$W/during.pid" "$W/during"
}
back_to() { # SIDE
	[ "$SIDE" != "$1" ] || return 0
	echo back >"$W/turn"
	if [ "$1" = client ]; then shunt --yes rollback alice; else shunt migrate alice; fi >"$W/log/back" 2>&1 || wrong "back to $1" "$(cat "$W/log/back")"
	SIDE=$1
	WAIT=40 wait_for during_is_over
}
moving() { # FROM: runs the command that leaves it; RC
	local words="migrate alice"
	[ "$1" = client ] || words="--yes rollback alice"
	RC=0
	# shellcheck disable=SC2086
	timeout 120 nsenter --net="/run/netns/${NS}c" env ${2:+LD_PRELOAD="$SHIM" SHUNT_FAULT="$2" SHUNT_FAULT_LOG="$FAULT_LOG"} \
		"$SHUNT" -c "$W/shunt.conf" $words >"$W/log/out" 2>&1 || RC=$?
}
next_turn() {
	TURN=$((TURN + 1)) RC=0
	echo $TURN >"$W/turn"
}
shunt_fails() { # FAULT FROM
	local from=$2 to
	[ "$from" != either ] || from=$SIDE
	to=$(other "$from")
	back_to "$from"
	next_turn
	moving "$from" "$1"
	truth || wrong "the proxy" "does not answer"
	judge $RC "$from" "$to"
	if met && [ $RC = 0 ]; then may_be_unseen || wrong "done" "but something failed, and nothing was said"; fi
	in_the_end "shunt"
}
if [ -n "${SHUNT_ROUNDS:-}" ]; then
	at_faults shunt 0 shunt_fails client
	at_faults shunt 0 shunt_fails transit
else
	at_faults shunt 9 shunt_fails either # the side stays where it has come
	# its journal twice and the name of it, the database, and the directory once more when the journal is gone: then it is committed
	[ "$(awk '$1 == "fsync" { print $2 }' "$W/counts")" -ge $((5 * $(awk '$1 == "unlink" { print $2 - 1 }' "$W/counts"))) ] ||
		die "not every transaction is on disk with its directory: $(paste -sd ' ' "$W/counts")"
fi
: >"$W/fail-copy"
at_faults shunt 4 shunt_fails either
rm "$W/fail-copy"

# ---- the proxy: from its start on, in a whole migration and a rollback, up to its end
proxy_stops() {
	local pid
	pid=$(pid_of proxy)
	WAIT=20 stop proxy
	unlike "the proxy ($(at_fault))" "$(tail -n 20 "$W/log/proxy")" 'Assertion|corrupt|double free|stack smashing'
}
proxy_is_up_or_gone() { gone "$(pid_of proxy)" || ask hello >/dev/null; }
proxy_fails() { # FAULT
	back_to client
	next_turn
	WAIT=20 stop proxy
	: >"$W/log/proxy"
	start proxy c env LD_PRELOAD="$SHIM" SHUNT_FAULT="$1" SHUNT_FAULT_LOG="$FAULT_LOG" "$PROXY" -c "$W/shunt.conf" --foreground
	wait_for proxy_is_up_or_gone
	if gone "$(pid_of proxy)"; then
		like "the proxy did not start ($(at_fault))" "$(cat "$W/log/proxy")" "$REASON"
		rm "$W/pid/proxy"
	else
		moving client
		if truth; then judge $RC client transit; fi
		proxy_stops
	fi
	if met && [ "$RC" = 0 ]; then # nobody but its log may know of it; a line of the access log is kept, and written the next time
		like "the proxy's log, of what failed" "$(head -n 1 "$FAULT_LOG") $(cat "$W/log/proxy")" ": send [0-9]+: |: write .*access\\.log\\): E|: unlink .*(sock|\\.new)\\)|$REASON"
	fi
	proxy_start
	in_the_end "shunt-proxy"
}
at_faults shunt-proxy 5 proxy_fails
say "$REACHED faults (SHUNT_SEED=$SEED)"
