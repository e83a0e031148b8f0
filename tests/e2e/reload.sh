#!/usr/bin/env bash
# SIGHUP and `shunt reload` take a whole good file or nothing; who has a port is named; SIGTERM lets what is in flight finish.
. "$(dirname "$0")/lib.sh"
net_up
web_up
proxy_conf <<<'drain = 60' # after a SIGTERM
proxy_start
import
shunt migrate bob
start visitor v python3 "$TOOLS/visitor.py" "$W/visits" alice.example,bob.example http,https 10

# a good file: a new listener serves, one that is gone does not, nobody notices
cp "$W/shunt.conf" "$W/first.conf"
with_extra() { proxy_conf <<<'drain = 60
listener "extra" { address = "192.0.2.10" port = 8080 protocol = "http" local = "127.0.0.1:8080" transit-port = 80 }'; }
extra() { in_ns v curl -s --max-time 20 -o "$W/o" -w '%header{x-side}' -H 'Host: bob.example' http://192.0.2.10:8080/; }
extra_serves() { [ "$(extra)" = transit ]; }
extra_refuses() { ! extra; }
for _ in 1 2 3 4 5; do
	with_extra
	kill -HUP "$(pid_of proxy)"
	wait_for extra_serves
	cp "$W/first.conf" "$W/shunt.conf"
	shunt reload
	wait_for extra_refuses
done

# bad files change nothing, and the reason has file and line
for bad in 'nonsense = 1' 'drain = never' 'listener "web" { address = "192.0.2.10" port = 80 protocol = "http" local = "127.0.0.1:8080" }' 'listener "x" {' 'drain = -1' \
	'listener "x" { address = "192.0.2.10" port = 99999 protocol = "http" local = "127.0.0.1:8080" }'; do
	sed "s|^proxy {|proxy {\n$bad|" "$W/first.conf" >"$W/shunt.conf"
	rc=0
	out=$("$PROXY" -c "$W/shunt.conf" --check 2>&1) || rc=$?
	same "--check of: $bad" "$rc" 2
	like "--check names file and line of: $bad" "$out" "shunt.conf:[0-9]+"
	: >"$W/log/proxy"
	kill -HUP "$(pid_of proxy)"
	wait_for grep -q 'shunt.conf:[0-9]' "$W/log/proxy"
	same "served as before" "$(side_of http://alice.example/) $(side_of https://bob.example/)" "client transit"
	rc=0
	ask reload >"$W/o" 2>&1 || rc=$?
	same "reload over the socket refuses: $bad" "$rc" 1
done

# a listener whose port somebody has: refused with his name; nothing changed
start squatter c python3 -c 'import socket, time
s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(("192.0.2.10", 8080)); s.listen()
print("ready", flush=True)
time.sleep(600)'
wait_for grep -q ready "$W/log/squatter"
with_extra
rc=0
out=$(ask reload 2>&1) || rc=$?
same "reload with a taken port" "$rc" 1
like "who has the port" "$out" "python3|$(pid_of squatter)"
same "served as before" "$(side_of http://alice.example/) $(side_of https://bob.example/)" "client transit"
stop squatter
shunt reload
wait_for extra_serves

stop visitor
python3 "$TOOLS/verdict.py" "$W" "$W/visits" || die "visitors have suffered from reloads"

# at start the same: it says who and does not start
rc=0
: >"$W/log/squatter"
start squatter c python3 -c 'import socket, time
s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(("192.0.2.11", 4711)); s.listen()
print("ready", flush=True)
time.sleep(600)'
wait_for grep -q ready "$W/log/squatter"
# a SIGTERM: new connections are refused, a download and an upload finish, idle ones close, and the process ends by itself with 0
visit -o "$W/download" "http://alice.example/app/download?kb=300&ms=5" &
d=$!
(head -c 100000 /dev/zero; read -rt 1.5 <> <(:) || :; head -c 100000 /dev/zero) | visit -X POST -H 'Transfer-Encoding: chunked' -T - -o "$W/upload" http://bob.example/app/upload &
u=$!
under_way() { [ "$(grep -c '"what": "begin".*\(upload\|download\)' "$W/nginx-c/app" "$W/nginx-t/app" | awk -F: '{n += $NF} END {print n}')" -ge 2 ]; }
wait_for under_way
pid=$(pid_of proxy)
rm "$W/pid/proxy"
kill -TERM "$pid"
refused() { ! visit -o "$W/o" --max-time 2 http://carol.example/; }
wait_for refused
wait $d || die "the download broke at SIGTERM"
wait $u || die "the upload broke at SIGTERM"
same "the whole download" "$(stat -c %s "$W/download")" 307200
like "the whole upload" "$(cat "$W/upload")" '"bytes": 200000'
wait_for gone "$pid"

sed -i 's|^proxy {|proxy {\nlistener "taken" { address = "192.0.2.11" port = 4711 protocol = "tcp" local = "127.0.0.1:9" }|' "$W/first.conf"
rc=0
out=$(in_ns c timeout 60 "$PROXY" -c "$W/first.conf" --foreground 2>&1) || rc=$?
[ $rc != 0 ] && [ $rc != 124 ] || die "started with a port taken: $rc $out"
like "who has the port at start" "$out" "python3|$(pid_of squatter)"
