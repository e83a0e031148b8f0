#!/usr/bin/env bash
# long
# kill -9 of shunt at every step (every third one in a run, but with --soak) of a move, of an undo and of a rollback, and of what cleans up after it: one side owns the account, and status, table,
# route and real traffic agree. Visitors keep coming all the while: none is lost, none is served twice.
. "$(dirname "$0")/lib.sh"
plain_but_for_soak
grep -qa SHUNT_TEST_KILL "$SHUNT" || cannot_run "this build has no crash points: configure with --enable-test-kill"
net_up
web_up
for h in prepare copy seal verify; do
	cat >"$W/bin/$h" <<-END
		#!/bin/sh
		echo "\$SHUNT_HOOK \$SHUNT_PHASE \$SHUNT_TO" >>$W/hooks
		[ "\$SHUNT_PHASE" = undo ] || [ ! -e $W/fail-\$SHUNT_HOOK ]
	END
	chmod +x "$W/bin/$h"
done
CONTROL="hook-prepare = \"$W/bin/prepare\" hook-copy = \"$W/bin/copy\" hook-seal = \"$W/bin/seal\" hook-verify = \"$W/bin/verify\"" proxy_conf <<'END'
drain = 2
END
proxy_start
import
start visitor v python3 "$TOOLS/visitor.py" "$W/visits" alice.example,bob.example http,https 20

dies_at() { # STEP:WHEN COMMAND..
	local rc=0
	SHUNT_TEST_KILL=$1 shunt "${@:2}" >"$W/log/crash" 2>&1 || rc=$?
	[ $rc = 137 ] || die "SHUNT_TEST_KILL=$1 shunt ${*:2} ended with $rc, not by SIGKILL: $(cat "$W/log/crash")"
}
agrees() { # WHAT ALLOWED-SIDES-AS-REGEX
	local side json
	json=$(ask account '{"name":"alice"}')
	side=$(field "$json" account.side)
	like "$1: the table's side" "$side" "^($2)\$"
	same "$1: the gate" "$(field "$json" account.gate)" open
	same "$1: HTTP" "$(side_of http://alice.example/)" "$side"
	same "$1: HTTPS" "$(side_of https://alice.example/)" "$side"
	same "$1: route" "$(field "$(shunt --json route alice.example)" side)" "$side"
	json=$(shunt --json status alice)
	like "$1: status says the side" "$json" "\"side\": ?\"$side\""
	unlike "$1: nothing is left to do" "$json" '"(state|step)": ?"(moving|stuck|holding|draining|fenced|copying)"'
	like "$1: people's status" "$(shunt status alice)" "$side"
	same "$1: the neighbour" "$(side_of http://bob.example/)" client
	SIDE=$side
}
goes_on() { # by `resume` and by whatever command comes next, in turn
	turn=$((${turn:-0} + 1))
	case $((turn % 3)) in
	0) shunt resume ;;
	1) shunt account add "guest$turn" --domain "guest$turn.example" ;;
	2) shunt resume && shunt resume ;;
	esac >"$W/log/resume" 2>&1 || die "after a crash at $1: $(cat "$W/log/resume")"
}
back_to() { # SIDE
	[ "$SIDE" = "$1" ] || if [ "$1" = client ]; then shunt --yes rollback alice; else shunt migrate alice; fi >"$W/log/back" 2>&1 || die "back to $1: $(cat "$W/log/back")"
	SIDE=$1
}
SIDE=client
steps="preparing holding draining fenced copying sealed switched published released"
expected() { # STEP WHEN OLD NEW: which sides may own the account
	case $1:$2 in
	switched:before) echo "$3" ;;
	switched:after | published:* | released:*) echo "$4" ;;
	*) echo "$3" ;;
	esac
}
point=0
for step in $steps; do
	for when in before after; do
		point=$((point + 1))
		in_sample $point || continue
		back_to client
		dies_at "$step:$when" migrate alice
		goes_on "$step:$when"
		agrees "migrate killed $when $step" "$(expected "$step" "$when" client transit)"
		back_to transit
		dies_at "$step:$when" --yes rollback alice
		goes_on "$step:$when"
		agrees "rollback killed $when $step" "$(expected "$step" "$when" transit client)"
	done
done

# during the undo of a move whose hook failed
back_to client
for hook in copy verify; do
	: >"$W/fail-$hook"
	[ $hook = copy ] && undone="copying draining holding" || undone="sealed copying fenced holding"
	for step in $undone; do
		for when in undo-before undo-after; do
			point=$((point + 1))
			in_sample $point || continue
			dies_at "$step:$when" migrate alice
			goes_on "$step:$when"
			agrees "undo after $hook killed $when $step" client
		done
	done
	rm "$W/fail-$hook"
done

# the recovery is killed too
dies_at copying:after migrate alice
dies_at copying:undo-before resume
dies_at holding:undo-after resume
shunt resume
agrees "three crashes in a row" client
dies_at switched:after migrate alice
dies_at released:before resume
shunt resume
agrees "two crashes past the switch" transit
back_to client

stop visitor
python3 "$TOOLS/verdict.py" "$W" "$W/visits" || die "visitors have suffered"

# the proxy is killed along with it, held and fenced: it comes back as it was, and resume brings it to an end
for step in draining:before copying:before switched:after; do
	dies_at $step migrate alice
	was=$(ask account '{"name":"alice"}')
	stop proxy KILL
	proxy_start
	is=$(ask account '{"name":"alice"}')
	same "side and gate across a kill at $step" "$(field "$is" account.side) $(field "$is" account.gate)" "$(field "$was" account.side) $(field "$was" account.gate)"
	goes_on $step
	agrees "both killed at $step" "client|transit"
	back_to client
done
