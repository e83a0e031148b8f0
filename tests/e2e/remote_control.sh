#!/usr/bin/env bash
# A controller on a third host asks shunt-proxy and both shunt-netctl by mutual TLS alone, over lines of 100 ms there and back, through the
# whole procedure. The lines are cut, or lose one direction, in front of every phase of a move, and in the middle of start, reinstall and return,
# for a while or until everybody has given up; controllers die meanwhile. Nothing waits for ever, whom visitors reach is right all the while,
# and afterwards both ends agree. In step 6 the client server is wiped: what is known is on the controller.
# An ordinary run takes one of the cuts, --soak every fifth; CUTS=all takes all, and MANY=2000 so many accounts.
# long
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
. "$(dirname "$0")/remote_lib.sh"
GIVEN_UP_S=90 # 10 s until a line that is silent is noticed, 15 s of patience, 5 s for the last try, twice; and a busy machine
FEW=${MANY:-12}
HOWS=(cut mute deaf)
CUT=0 # they are numbered through: 6 of moves, 12 of reinstall, 12 of return, 16 of start
CUTS_OF_START=30
ONE=46
EVERY=$ONE
[ -z "${SHUNT_ROUNDS:-}" ] || EVERY=5
[ "${CUTS:-}" != all ] || EVERY=1
my_turn() { [ $(((CUT++ + SEED) % EVERY)) = 0 ]; }
lab_up segment
lines_up
authority "$W/tls" "$(own_address cli)" "$(own_address tra)" controller
authority "$W/strangers" controller
weblog_up cli tra
CONTROL="parallel = 32" remote_conf <<<'drain = 1 hold-max-wait = 1'
snapshot tra >"$W/before.tra"
for n in cli tra; do netctl_serve $n; done
proxy_there
pause_up
python3 - "$FEW" >"$W/accounts.json" <<'END'
import json, sys
for i in range(int(sys.argv[1])):
    print(json.dumps({"name": "a%d" % i, "domains": ["a%d.example" % i]}))
END
timed() { # WHAT COMMAND..
	local began what=$1
	shift
	began=$(now_ms)
	"$@" >"$W/log/timed" 2>&1 || die "$what: $(tail -n 5 "$W/log/timed")"
	say "$what: $(($(now_ms) - began)) ms"
}
passed() { line frames | awk '{print $2 + $4}'; }
# Where an end stands still for want of a processor, the other sends again, and is told twice.
sent_again() { for n in k cli tra; do in_ns $n cat /proc/self/net/snmp; done | awk '/^Tcp:/ && ++n % 2 == 0 { sum += $13 } END { print sum }'; }
everybody_is_on() { # SIDE
	same "accounts that are not on $1" "$(states | grep -vc " $1 open" || :)" 0
}

say "over the line"
timed "import" shunt account import "$W/accounts.json"
# ---- start: the line to one of the hosts fails before it is asked, or so many frames later that it is at work on it
START_FRAMES=${START_FRAMES:-9}
has_come_to() { # start|reinstall|return: its clock runs
	shunt --json status | python3 -c 'import json, sys
sys.exit(sys.argv[1] not in json.load(sys.stdin)["clocks"])' "$1"
}
start_meets() { # HOW POINT HOST FRAMES [yes: for a while]
	local ours=no theirs=no
	say "start: $1 at $2, $4 frames later${5:+, for a while}"
	pause begin "$2 before" start
	WAIT=30 wait_for paused begin
	if [ "$4" = 0 ]; then line "$1" "$3"; else line after "$4" "$1" "$3"; fi
	go
	if [ -n "${5:-}" ]; then
		longer 2000
		line heal "$3"
	fi
	WAIT=$GIVEN_UP_S wait_for over begin
	say "exit $(rc_of begin): $(tail -n 1 "$W/log/begin" | cut -c1-200)"
	like "exit" "$(rc_of begin)" '^[0134]$'
	line heal "$3"
	shunt resume >"$W/log/resume" 2>&1 || die "resume: $(cat "$W/log/resume")"
	unlike "status" "$(shunt --json status)" '"interrupted"'
	! has_come_to start || ours=yes
	! is_in_force cli intercept confirmed || theirs=yes
	same "start: the controller's view, and the client server's" "$ours" "$theirs"
	[ $ours = yes ] || nothing_in_force tra || die "start was undone, and on the transit server is left: $(in_force tra)"
}
CUT=$CUTS_OF_START
for after in 0 "$START_FRAMES"; do
	for how in cut mute; do
		for long in "" yes; do
			for where in "start-reply tra" "start-intercept cli"; do
				! my_turn || start_meets $how $where $after $long
				[ $EVERY = $ONE ] || ! has_come_to start || shunt finish >"$W/log/finish" 2>&1 || die "finish: $(cat "$W/log/finish")"
			done
		done
	done
done
CUT=0
timed "start" shunt start
before=$(passed) again=$(sent_again)
timed "migrate one" shunt migrate a0
frames=$(($(passed) - before - 2 * ($(sent_again) - again)))
say "migrate one: $frames frames"
[ $frames -lt 80 ] || die "a move takes $frames frames: more questions than it should ask, each 100 ms long"
timed "rollback one" shunt rollback a0
sed "s|$W/tls/controller|$W/strangers/controller|g" "$W/net-k/conf" >"$W/net-k/strange"
fails_with 2 in_ns k "$SHUNT" -c "$W/net-k/strange" --yes migrate a0
like "a stranger" "$OUT" 'refused us: unknown ca; we showed "controller" of "shunt authority'
wait_for grep -q 'control: refused peer=198.18.1.2:.* "controller" is from "shunt authority .*, which is not our ca' "$W/log/proxy"
fails_with 1 in_ns k "$SHUNT" -c "$W/net-k/strange" --yes reinstall --without-client

# ---- moves
PHASES=(preparing holding draining fenced copying sealed switched published released)
MOVES=() MOVED=(a9)
for i in "${!PHASES[@]}"; do MOVES+=(m$i) MOVED+=(a$i); done
# One move waits in front of each phase, a0 preparing, and so on; a9 copying. Then the line to the proxy is cut, and all go on.
moves_meet() { # HOW
	local i
	for i in "${!PHASES[@]}"; do pause m$i "${PHASES[i]} before" migrate a$i; done
	pause m9 "copying before" migrate a9
	WAIT=30 wait_for all paused "${MOVES[@]}" m9
	states >"$W/then"
	line "$1" cli
	go
}
killed() { # NAME: the controller's host has lost its power
	local pid
	stop "$1" KILL
	for pid in $(ip netns pids "${NS}k"); do ! grep -qsa "PAUSE_NAME=$1" "/proc/$pid/environ" || kill -KILL "$pid"; done
}
state_in() { awk -v a="$2" '$1 == a {print $2, $3}' "$W/$1"; } # then|now ACCOUNT
was() { state_in then "$1"; }
for_a_while() { # HOW
	say "moves: $1 for a while"
	moves_meet "$1"
	longer 2000
	line heal cli
	WAIT=$GIVEN_UP_S wait_for all over "${MOVES[@]}" m9
	for i in "${!PHASES[@]}"; do
		like "${PHASES[i]}: it went on, or was undone" "$(rc_of m$i) $(state_of a$i)" '^(0 transit|3 client) open$'
	done
	both_agree "$1 for a while"
}
# Of a muted line what is asked arrives, once: a fence, a switch or a release may be done, and none of its asker knows.
for_good() { # HOW
	local i began held='^503$' stays='^$' undone='^client open$'
	if [ "$1" = mute ]; then
		held='^(503$|tra )' stays='^(client fenced|transit .*)$' undone='^(client|transit) open$'
	fi
	say "moves: $1 for good"
	moves_meet "$1"
	began=$(now_ms)
	killed m9
	same "what is given up and would arrive later" "$(in_ns k ss -Htn state fin-wait-1)" ""
	for i in "${!PHASES[@]}"; do
		case $(was a$i) in
		*open) like "${PHASES[i]}: before its hold" "$(get a$i.example)" '^(cli|503)' ;;
		client*) same "${PHASES[i]}: held" "$(get a$i.example)" 503 ;;
		*) like "${PHASES[i]}: held" "$(get a$i.example)" "$held" ;;
		esac
	done
	WAIT=$GIVEN_UP_S wait_for all over "${MOVES[@]}"
	say "all were over after $(($(now_ms) - began)) ms"
	for i in "${!PHASES[@]}"; do
		same "${PHASES[i]}: exit" "$(rc_of m$i)" 4
		like "${PHASES[i]}" "$(cat "$W/log/m$i")" 'does not answer at tls://203.0.113.5:7444.*It is on disk; the next shunt command goes on'
	done
	states >"$W/now"
	for i in "${!PHASES[@]}"; do
		case $(was a$i) in
		*fenced) [ "$(state_in now a$i)" = "$(was a$i)" ] || like "${PHASES[i]}: was $(was a$i)" "$(state_in now a$i)" "$stays" ;;
		esac
	done
	if [ $EVERY != $ONE ]; then # drain + 60 s
		opened() { [ -z "$(states | grep ' held$')" ]; }
		WAIT=90 wait_for opened
		for i in "${!PHASES[@]}"; do
			case $(state_in now a$i) in *held) like "${PHASES[i]}: nobody fenced it" "$(get a$i.example)" '^cli' ;; esac
		done
	fi
	line heal cli
	like "status" "$(shunt status)" 'migrate'
	shunt resume >"$W/log/resume" 2>&1 || die "resume: $(cat "$W/log/resume")"
	both_agree "$1 for good"
	for i in a9 a0 a1 a2 a3; do same "$i: undone" "$(state_of $i)" "client open"; done
	for i in a4 a5; do like "$i: undone, unless it was switched" "$(state_of $i)" "$undone"; done
	for i in a7 a8; do same "$i: had been switched" "$(state_of $i)" "transit open"; done
}
for how in "${HOWS[@]}"; do
	for what in for_a_while for_good; do
		if my_turn; then
			$what $how
			[ $EVERY = $ONE ] || shunt rollback "${MOVED[@]}" >"$W/log/rollback" 2>&1 || die "rollback: $(cat "$W/log/rollback")"
		fi
	done
done

# ---- addresses
timed "migrate --all" shunt migrate --all
everybody_is_on transit
if [ -n "${MANY:-}" ]; then
	timed "rollback of all" bash -c 'nsenter --net="/run/netns/$1k" "$2" -c "$3" --yes rollback $(seq -f a%g 0 $4)' - "$NS" "$SHUNT" "$W/net-k/conf" $((FEW - 1))
	everybody_is_on client
	timed "migrate --all again" shunt migrate --all
fi
# The line to the host that gains the addresses fails at a point; nobody confirms what is not confirmed by then.
shift_meets() { # HOW POINT COMMAND HOST PLAN
	local how=$1 point=$2 command=$3 host=$4 plan=$5
	say "$command: $how at $point${6:+, for a while}"
	if [ "${point#*-}" = "apply meanwhile" ]; then # while it waits for the answer: hook-probe of the host that works at it does that
		echo "$how $host" >"$W/cut"
		shunt_start shift "$command" --confirm 4
		WAIT=30 wait_for eval '[ ! -e "$W/cut" ]'
	else
		pause shift "$point" "$command" --confirm 4
		WAIT=30 wait_for paused shift
		line "$how" "$host"
		go
	fi
	if [ -n "${6:-}" ]; then
		longer 2000
		line heal "$host"
		WAIT=$GIVEN_UP_S wait_for over shift
	else
		WAIT=$GIVEN_UP_S wait_for over shift
		not_pending() { ! is_in_force "$host" "$plan" pending; }
		WAIT=30 wait_for not_pending
		line heal "$host"
		shunt resume >"$W/log/resume" 2>&1 || like "resume" "$(cat "$W/log/resume")" "$command"
	fi
	say "exit $(rc_of shift): $(tail -n 1 "$W/log/shift" | cut -c1-200)"
	local ours=no theirs=no
	[ -z "$(shunt log | grep "client server's addresses are $([ "$command" = return ] && echo home again || echo on the transit)")" ] || ours=yes
	! is_in_force "$host" "$plan" confirmed || theirs=yes
	same "$command: the controller's view, and the host's" "$ours" "$theirs"
	unlike "what is still open" "$(shunt --json status)" '"interrupted"'
}
# Once it has come to be done there is nothing left to interrupt: what lasts comes first, and of the others another one with each seed.
shifts() { # COMMAND HOST PLAN
	local how when long brief=0
	for long in "" yes; do
		for when in "apply before" "apply meanwhile" "confirm before"; do
			for how in cut mute; do
				[ -z "$long" ] || brief=$((brief + 1))
				my_turn || continue
				[ $EVERY = $ONE ] || [ -z "$long" ] || [ $brief -gt $((SEED % 6)) ] || continue
				has_come_to "$1" || shift_meets $how "$1-$when" "$1" "$2" "$3" $long
			done
		done
	done
}
shifts reinstall tra takeover
timed "reinstall" shunt reinstall
is_in_force tra takeover confirmed || die "takeover: $(in_force tra)"
like "the transit server answers" "$(get a1.example)" "^tra ${S4[0]} "

say "the client server is wiped"
for n in proxy netctl-cli web-cli; do stop $n KILL; done
ip -n "${NS}sw" link del cli # a namespace may linger for its last packets
ip netns del "${NS}cli"
rm -rf "$W/net-cli/journal" "$W/proxy" "$W/net-cli/sock"
shunt_start look status
shunt_start early return
WAIT=$GIVEN_UP_S wait_for all over look early
like "who answers" "$(cat "$W/log/look")" "^proxy +AWAY"
like "what is known" "$(cat "$W/log/look")" "^step +.*reinstall"
same "return, too early" "$(rc_of early)" 1
like "return, too early" "$(cat "$W/log/early")" "203.0.113.5.*does not answer|does not answer.*203.0.113.5"
ip netns add "${NS}cli"
ip -n "${NS}cli" link set lo up
in_ns cli sysctl -qw net.ipv4.conf.all.rp_filter=1
plug cli
addresses cli eth0 203.0.113.5/24 2001:db8:1::5/64
gateway cli 203.0.113.1 2001:db8:1::1
wait_for no_tentative cli
weblog_up cli
"$SHUNT" pki renew 203.0.113.5 --dir "$W/tls" >"$W/log/renew" 2>&1 || die "$(cat "$W/log/renew")"
mkdir "$W/proxy"
netctl_serve cli
proxy_there

say "home again"
like "the transit server answers" "$(get a1.example)" "^tra ${S4[0]} "
shifts return cli return
timed "return" shunt return
same "accounts that the new proxy has not" "$(states | grep -vc ' transit open' || :)" 0
like "the proxy forwards" "$(get a1.example)" "^tra ${T4[0]} "
timed "relocate a0" shunt relocate a0
like "a0" "$(get a0.example)" "^cli "
like "a1" "$(get a1.example)" "^tra "
timed "relocate --all" shunt relocate --all
everybody_is_on client
both_agree "in the end"
nothing_to_come() { drained cli && drained tra && ! is_in_force tra takeover confirmed; }
WAIT=90 wait_for nothing_to_come
timed "finish" shunt finish
same "the addresses are the new server's own" "$(ip -o -n "${NS}cli" addr show dev eth0 | grep -cE "(${S4[0]}/|${S6[3]}/)")" 2
for n in cli tra; do nothing_in_force $n || die "left on $n: $(in_force $n)"; done
unchanged tra "$W/before.tra"
