#!/usr/bin/env bash
# long
# The main job on real traffic: two accounts over HTTP and HTTPS, with kept connections, WebSockets and uploads, while one of them is migrated and
# rolled back several times, and once shunt-proxy is killed in the middle. No request begins at the wrong side after a fence, none is lost outside the kill:
# both read from what the two web servers wrote down, against the times in the moves' evidence.
# SHUNT_ROUNDS=N makes it N times there and back.
. "$(dirname "$0")/lib.sh"
net_up
web_up
rounds=${SHUNT_ROUNDS:-5}
cat >"$W/bin/copy" <<'END'
#!/bin/sh
echo "progress 50%"
sleep 0.2
END
chmod +x "$W/bin/copy"
CONTROL="hook-copy = \"$W/bin/copy\"" proxy_conf <<'END'
drain = 4
hold-max-wait = 60
END
# as systemd does: another one as soon as one has ended
cat >"$W/bin/supervisor" <<'END'
#!/bin/bash
trap 'stop=yes; kill -TERM "$pid"' TERM
while [ -z "${stop:-}" ]; do
	"$@" &
	pid=$!
	wait "$pid" || wait "$pid"
done
wait
END
chmod +x "$W/bin/supervisor"
start proxy c "$W/bin/supervisor" "$PROXY" -c "$W/shunt.conf" --foreground
wait_for proxy_answers
import
start traffic v python3 "$E2E/the_whole_job.py" traffic "$W"
visitors_run() { [ -e "$W/visits" ] && [ "$(wc -l <"$W/visits")" -gt 200 ]; }
WAIT=60 wait_for visitors_run

move() { # migrate|rollback
	say "$1 $round"
	shunt --json --yes "$1" alice >>"$W/moves" 2>"$W/log/move" || die "$1 in round $round ended with $?: $(cat "$W/log/move"; tail -n 1 "$W/moves")"
}
kill_at=$((rounds / 2))
for ((round = 1; round <= rounds; round++)); do
	if [ $round = $kill_at ]; then
		# once, at a moment that is as good as any: while the next move is under way
		(
			held() { [ "$(field "$(ask account '{"name":"alice"}')" account.gate)" != open ]; }
			wait_for held
			victim=$(field "$(ask hello)" pid)
			now_ms >"$W/killed"
			kill -KILL "$victim"
		) &
		killer=$!
	fi
	move migrate
	[ $round != $kill_at ] || wait $killer || die "the proxy was not killed"
	move rollback
done
move migrate
wait_for proxy_answers
kill -TERM "$(pid_of traffic)"
WAIT=150 wait_for gone "$(pid_of traffic)"
rm "$W/pid/traffic"
grep -q 'FAILED' "$W/log/traffic" && die "$(grep FAILED "$W/log/traffic" | head -5)"
python3 "$E2E/the_whole_job.py" verdict "$W" "$rounds" || die "the logs of the web servers say no"
