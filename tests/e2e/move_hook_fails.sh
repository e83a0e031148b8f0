#!/usr/bin/env bash
# Hooks that fail, hang, talk too much, are missing or are interrupted: the move is undone, the old side serves, and the reason is told.
. "$(dirname "$0")/lib.sh"
net_up
web_up
hook() { # NAME BODY
	printf '#!/bin/sh\necho "$SHUNT_HOOK $SHUNT_PHASE" >>%s/hooks\n%s\n' "$W" "$2" >"$W/bin/$1.new"
	chmod +x "$W/bin/$1.new"
	mv "$W/bin/$1.new" "$W/bin/$1"
}
all_fine() {
	local h
	for h in prepare copy seal verify; do hook $h 'exit 0'; done
	rm -f "$W/hooks"
}
all_fine
CONTROL="hook-prepare = \"$W/bin/prepare\" hook-copy = \"$W/bin/copy\" hook-seal = \"$W/bin/seal\" hook-verify = \"$W/bin/verify\" hook-timeout = 60" proxy_conf <<'END'
drain = 2
END
proxy_start
import
start visitor v python3 "$TOOLS/visitor.py" "$W/visits" alice.example,bob.example http,https 20
served_by() { # SIDE: everything agrees
	same "alice over HTTP" "$(side_of http://alice.example/)" "$1"
	same "alice over HTTPS" "$(side_of https://alice.example/)" "$1"
	same "the table" "$(field "$(ask account '{"name":"alice"}')" account.side)" "$1"
	same "the gate" "$(field "$(ask account '{"name":"alice"}')" account.gate)" open
	like "status" "$(shunt status alice)" "$1"
}

for h in prepare copy seal verify; do
	all_fine
	hook $h '[ "$SHUNT_PHASE" = undo ] && exit 0; echo "the disk of $SHUNT_TO is full" >&2; exit 7'
	fails_with 3 shunt migrate alice
	like "$h fails: the reason" "$OUT" 'the disk of transit is full'
	like "$h fails: which hook" "$OUT" "$h"
	served_by client
	like "$h fails: the trail" "$(shunt log alice)" 'disk of transit is full|undone|fail'
done
grep -qx 'seal undo' "$W/hooks" || die "a failing verify must take the seal back: $(paste -sd, <"$W/hooks")"

all_fine
hook copy 'kill -9 $$'
fails_with 3 shunt migrate alice
like "killed by a signal" "$OUT" 'signal|kill'
served_by client

all_fine
hook copy "sleep 1000 & echo \$! >$W/child; wait"
sed 's/hook-timeout = 60/hook-timeout = 5/' "$W/shunt.conf" >"$W/hasty.conf" # for the hooks before it, too
before=$(now_ms)
fails_with 3 in_ns c "$SHUNT" -c "$W/hasty.conf" migrate alice
like "a hook that hangs" "$OUT" 'time|longer|5 s'
[ $(($(now_ms) - before)) -lt 40000 ] || die "hook-timeout = 5 took $(($(now_ms) - before)) ms"
wait_for gone "$(cat "$W/child")" # and what it started is gone with it
served_by client

all_fine
hook copy 'i=0; while [ $i -lt 20000 ]; do echo "a line that goes on and on and on and on and on and on"; echo "and one more" >&2; i=$((i + 1)); done; printf "progress 1000%%\nprogress -5%%\nprogress x\n"'
shunt migrate alice >"$W/log/noisy" 2>&1
served_by transit
shunt --yes rollback alice
served_by client

all_fine
rm "$W/bin/copy"
rc=0
OUT=$(shunt migrate alice 2>&1) || rc=$?
like "a hook that is not there" "$rc $OUT" '^[123] .*(bin/copy|No such file)'
served_by client
all_fine
chmod -x "$W/bin/copy"
rc=0
OUT=$(shunt migrate alice 2>&1) || rc=$?
like "a hook that is not executable" "$rc $OUT" '^[123] .*(bin/copy|ermission)'
served_by client

# a rollback whose hook fails leaves the account where it is: on transit
all_fine
shunt migrate alice
served_by transit
hook copy 'exit 1'
fails_with 3 shunt --yes rollback alice
served_by transit
all_fine
shunt --yes rollback alice
served_by client

# an undo that fails is for a person; resume goes on once it can
all_fine
hook verify 'exit 1'
hook seal '[ "$SHUNT_PHASE" = undo ] && { echo "cannot unseal" >&2; exit 1; }; exit 0'
fails_with 4 shunt migrate alice
like "stuck: the reason" "$OUT" 'unseal'
like "status says stuck, where and why" "$(shunt status alice)" 'stuck|STUCK'
all_fine
shunt resume >"$W/log/resume" 2>&1 || die "resume: $(cat "$W/log/resume")"
served_by client

# Ctrl-C in the middle of a copy: undone, at once
all_fine
hook copy 'while :; do sleep 0.05; done'
# (nsenter itself, since a signal to the shell of a function would not reach the command)
nsenter --net="/run/netns/${NS}c" "$SHUNT" -c "$W/shunt.conf" migrate alice >"$W/log/interrupted" 2>&1 &
mover=$!
wait_for grep -q '^copy apply' "$W/hooks"
kill -INT $mover
rc=0
wait $mover || rc=$?
like "interrupted" "$rc $(cat "$W/log/interrupted")" '^3 .*interrupted'
served_by client

# Ctrl-C while a download drains: at once as well, and the download goes on
all_fine
visit -o "$W/download" "http://alice.example/app/download?kb=300&ms=1&until=interrupted" &
visitor=$!
in_flight() { [ "$(field "$(ask account '{"name":"alice"}')" flows)" -ge 1 ] && grep -q '"what": "begin".*download' "$W/nginx-c/app"; }
wait_for in_flight
nsenter --net="/run/netns/${NS}c" "$SHUNT" -c "$W/shunt.conf" migrate --drain 60 alice >"$W/log/interrupted" 2>&1 &
mover=$!
draining() { shunt log alice | tail -n 1 | grep -q 'begin: draining'; }
wait_for draining
before=$(now_ms)
kill -INT $mover
rc=0
wait $mover || rc=$?
like "interrupted while draining" "$rc $(cat "$W/log/interrupted")" '^3 .*interrupted'
[ $(($(now_ms) - before)) -lt 20000 ] || die "Ctrl-C while draining took $(($(now_ms) - before)) ms"
touch "$W/nginx-c/app.interrupted"
wait $visitor || die "a download was cut by a move that was interrupted"
same "the whole download" "$(stat -c %s "$W/download")" 307200
served_by client

# one of several fails: the others move
all_fine
hook copy '[ "$SHUNT_ACCOUNT" != alice ]'
fails_with 3 shunt migrate alice bob
same "the other one moved" "$(side_of http://bob.example/)" transit
served_by client

stop visitor
python3 "$TOOLS/verdict.py" "$W" "$W/visits" || die "visitors have suffered"
