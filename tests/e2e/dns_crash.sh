#!/usr/bin/env bash
# long
# kill -9 of shunt-dnsupdate at every step of prepare, push, finalise, undo and push --to client, with two zones on two kinds of servers, and of the
# daemon in the midst of a push. After each: status says what is true, undo restores both zones exactly, the same command again ends well.
# Half written files of the journal are no entries. The intent is synced, under its name, before the update is sent.
. "$(dirname "$0")/lib.sh"
plain_but_for_soak
. "$(dirname "$0")/dns_lib.sh"
. "$(dirname "$0")/dnsupdate_lib.sh"
grep -qa SHUNT_TEST_KILL "$DNSUPDATE" || cannot_run "this build has no crash points: configure with --enable-test-kill"
command -v strace >"$W/strace.is" || cannot_run "no strace"
dns_net
# Each command has an account of its own, with a zone on each of two servers: they are killed side by side.
commands="prepare push push-prepared finalise undo home"
for c in $commands daemon; do
	customer $c.example managed bind
	customer $c.test managed knot
done
bind_up
knot_up
world_up
resolver_up
KINDS="bind knot" dns_conf
accounts $(for c in $commands daemon; do echo $c:$c.example,$c.test; done)
say "all servers answer"

# ---- the two zones of an account
text() { # ZONE: as its primary has it, without its name and what else differs by the kind of server
	case $1 in *.example) axfr ${PRIMARY[bind]} "$1" ;; *) axfr ${PRIMARY[knot]} "$1" ;; esac | sed "s/$1/zone/g; s/\(ns[12]\).[a-z]*.provider/\1.provider/g" | sort
}
look() { for z in example test; do text $A.$z >"$W/now.$z"; done; } # before any of the following
as() { cmp -s "$W/now.$1" "$TEXTS/$2"; }                                # example|test STATE
all_as() { # WHAT STATE
	look
	for z in example test; do same "$1: $A.$z, which should be $2" "$(diff "$TEXTS/$2" "$W/now.$z")" ""; done
}
either() { # WHAT STATE STATE: each of the zones is the one or the other, whole
	look
	for z in example test; do as $z $2 || as $z $3 || die "$1: $A.$z is neither $2 nor $3: $(diff "$TEXTS/$2" "$W/now.$z")"; done
}
# An entry that is not in the midst of something is in the state of the zone; what is not recorded is as before.
status_is_true() { # WHAT
	dnsupdate status $A --json >"$W/status" || die "$1: status: $(cat "$W/status")"
	for z in example test; do
		state=$(python3 -c 'import json, sys
e = [e for e in json.load(open(sys.argv[1]))["entries"] if e["zone"] == sys.argv[2]]
print("before" if not e else "busy" if e[0]["busy"] else e[0]["state"])' "$W/status" $A.$z.)
		[ "$state" != undone ] || state=before
		[ "$state" != busy ] || { echo $z >>"$W/busy"; continue; }
		as $z "$state" || die "$1: status says that $A.$z is $state: $(diff "$TEXTS/$state" "$W/now.$z")"
	done
}
well() { # COMMAND..
	dnsupdate "$@" --wait 60 >"$W/well" 2>&1 || die "$* ended with $?: $(cat "$W/well")"
}

# ---- kill it at every step
# FROM and TO are states; what leads to FROM is done by SETUP.
crash_all() { # FROM TO "SETUP.." COMMAND..
	local from=$1 to=$2 setup=$3 n=0 rc c
	shift 3
	while :; do
		n=$((n + 1)) rc=0
		until in_sample $n; do n=$((n + 1)); done
		for c in $setup; do well $c $A; done
		SHUNT_TEST_KILL=dnsupdate:$n dnsupdate "$@" --wait 60 >"$W/crash" 2>&1 || rc=$?
		[ $rc != 0 ] || break
		[ $rc = 137 ] || die "$*, to be killed at step $n, ended with $rc: $(cat "$W/crash")"
		either "$* killed at step $n" $from $to
		status_is_true "$* killed at step $n ($(grep -o 'killed at.*' "$W/crash"))"
		if [ $((n % 2)) = 0 ] || [ "$1" = undo ]; then
			well "$@"
			all_as "$*, killed at step $n, again" $to
		fi
		well undo $A
		all_as "undo of $*, killed at step $n" before
		same "what is recorded after it" "$(dnsupdate status $A)" "no records are changed"
	done
	all_as "$*, not killed" $to
	well undo $A
	all_as "undo of $*" before
	[ $n -ge 11 ] || die "$* has only $((n - 1)) steps: five in each zone are known"
	[ -s "$W/busy" ] || die "$*: it was never found in the midst"
	echo "up to $((n - 1))" >"$W/steps"
}
A=push
TEXTS=$W/texts
mkdir "$TEXTS"
text push.example >"$TEXTS/before"
well prepare push
text push.example >"$TEXTS/prepared"
well push push
text push.example >"$TEXTS/pushed"
well finalise push
text push.example >"$TEXTS/finalised"
well push push --to client
all_as "home" before
same "what is recorded at home" "$(dnsupdate status push)" "no records are changed"
same "states of a zone" "$(sort -u "$TEXTS"/* | wc -l)" "$(sort -u "$TEXTS"/{before,prepared,pushed,finalised} | wc -l)"
for s in prepared pushed finalised; do ! cmp -s "$TEXTS/before" "$TEXTS/$s" || die "$s is as before"; done
one() { # COMMAND: in a directory of its own
	A=$1
	export CONF=$W/shunt.conf
	mkdir -p "$W/$A/log"
	cp "$W/accounts.json" "$W/$A"
	W=$W/$A
	case $A in
	prepare) crash_all before prepared "" prepare $A ;;
	push) crash_all before pushed "" push $A ;;
	push-prepared) crash_all prepared pushed prepare push $A ;;
	finalise) crash_all pushed finalised push finalise $A ;;
	undo) crash_all pushed before push undo $A ;;
	home) crash_all pushed before push push $A --to client ;;
	esac
}
for c in $commands; do
	one $c >"$W/log/$c" 2>&1 &
	echo $! >"$W/$c.pid"
done
for c in $commands; do wait "$(cat "$W/$c.pid")" || die "$c: $(tail -n 3 "$W/log/$c")"; done
say "killed at every third step (SHUNT_SEED=$SEED): $(for c in $commands; do echo "$c $(cat "$W/$c/steps")"; done | paste -sd ,)"

# ---- the daemon
A=daemon
daemon() { SHUNT_TEST_KILL=${1:-} start daemon d env ${1:+SHUNT_TEST_KILL=$1} "$DNSUPDATE" -c "$W/shunt.conf" serve; wait_for grep -q 'reason="ready"' "$W/log/daemon"; }
ask_daemon() { python3 "$TOOLS/ctl.py" "$W/dns.sock" "$@"; }
dead() { gone "$(pid_of daemon)"; }
for n in 3 8; do # the intent is written; one zone is answered for
	: >"$W/log/daemon"
	rm -f "$W/dns.sock"
	daemon dnsupdate:$n
	! ask_daemon push '{"account":{"name":"daemon","domains":["daemon.example","daemon.test"]}}' >"$W/asked" 2>&1 || die "a daemon that was killed has answered: $(cat "$W/asked")"
	wait_for dead
	like "the daemon was killed" "$(cat "$W/log/daemon")" "killed at point $n"
	either "the daemon killed at step $n" before pushed
	status_is_true "the daemon killed at step $n"
	rm "$W/pid/daemon"
	: >"$W/log/daemon"
	daemon
	ask_daemon push '{"account":{"name":"daemon","domains":["daemon.example","daemon.test"]}}' >"$W/asked" 2>&1 || die "the next daemon: $(cat "$W/asked")"
	all_as "pushed by the next daemon" pushed
	ask_daemon undo '{"account":{"name":"daemon","domains":[]}}' >"$W/asked" 2>&1 || die "its undo: $(cat "$W/asked")"
	all_as "undone by the next daemon" before
	stop daemon
done
say "the daemon is killed, and the next one goes on"

# ---- what a power cut leaves
well push daemon
head -c 200 "$JOURNAL/daemon/daemon.example" >"$JOURNAL/daemon/.new-4242-0"
: >"$JOURNAL/daemon/.new-4242-1"
like "status beside half written files" "$(dnsupdate status daemon | grep -c pushed)" 2
cp "$JOURNAL/daemon/daemon.example" "$W/entry"
head -c 900 "$W/entry" >"$JOURNAL/daemon/daemon.example"
exits 4 status daemon
like "an entry that is cut" "$OUT" 'daemon/daemon.example: found no JSON.*is not guessed'
like "the other zone is shown all the same" "$OUT" 'daemon.test. pushed'
exits 4 undo daemon --wait 10
like "undo with an entry that is cut" "$OUT" 'is not guessed'
cat "$W/entry" >"$JOURNAL/daemon/daemon.example"
well undo daemon
all_as "undo beside half written files" before
say "half written files are no entries"

# ---- in which order
# openat of a fresh file, write, fsync, rename to the zone's name, fsync of the directory; then the first update (opcode 5) of a zone.
ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 in_ns d strace -f -y -x -s 64 -e trace=fsync,fdatasync,rename,renameat,renameat2,unlinkat,write,writev,sendto,sendmsg \
	-o "$W/trace" "$DNSUPDATE" -c "$W/shunt.conf" push daemon --accounts "$W/accounts.json" --wait 60 >"$W/traced" 2>&1 || die "push under strace: $(cat "$W/traced")"
all_as "pushed under strace" pushed
awk -v dir="$JOURNAL/daemon" '
	/fsync\(/ && index($0, "<" dir "/.new-") { file = NR }
	/rename/ && file && match($0, /daemon\.(example|test)"/) { zone = substr($0, RSTART, RLENGTH - 1); renamed[zone] = NR; filed[zone] = file; file = 0 }
	/fsync\(/ && index($0, "<" dir ">") { for (z in renamed) if (!synced[z]) synced[z] = NR }
	/(writev|sendto|sendmsg|write)\(/ && /TCP|socket/ && /"\\x..\\x..\\x..\\x..\\x28\\x00\\x00\\x01/ {
		zone = index($0, "\\x06\\x64\\x61\\x65\\x6d\\x6f\\x6e\\x07") ? "daemon.example" : "daemon.test"
		print zone, (synced[zone] && filed[zone] && renamed[zone] < synced[zone] ? "after" : "BEFORE") " its intent is on disk"
	}' "$W/trace" >"$W/order"
same "updates and intents" "$(sort "$W/order" | paste -sd ,)" "daemon.example after its intent is on disk,daemon.test after its intent is on disk"
well undo daemon
all_as "undone at last" before
