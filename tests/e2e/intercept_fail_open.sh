#!/usr/bin/env bash
# Interception fails open: killed, stopped, ended, restarted; and one visitor with more connections than the reserved ports.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/intercept_lib.sh"
PROXY=$PLAIN/shunt-proxy # times are measured
net_up
web_untouched
intercept_conf <<<'drain = 30'
proxy_start
accounts_up
intercept_on
wait_for is_alive true
same "bob is on the transit server" "$(side_of http://bob.example/)" transit

# bob's requests say who answers: transit by way of the proxy, client without it
probe() { start "$1" v python3 "$TOOLS/prober.py" "$W/$1.tsv" bob.example "${2:-20}" 192.0.2.10 2001:db8::10; }
answered_by() { tail -n 20 "$W/$1.tsv" | awk -F '\t' -v side="$2" '$4 != side {bad = 1} END {exit bad || NR < 20}'; } # PROBER SIDE: the last twenty
# What probes that began from ms T0 on (before T1, if given) were answered, and the slowest of them: "client 120 transit 3 slowest 14"
summary() { # PROBER T0 [T1]
	awk -F '\t' -v from="$2" -v to="${3:-9e15}" '$2 >= from && $2 < to {n[$4]++; if ($3 - $2 > max) max = $3 - $2}
		END {for (r in n) printf "%s %d ", r, n[r]; printf "slowest %d\n", max}' "$W/$1.tsv"
}
not_answered() { awk -F '\t' '$4 != "client" && $4 != "transit"' "$W/$1.tsv"; }

# ---- kill -9: what begins afterwards is answered by nginx; at most what was in flight is lost
probe killed 25
WAIT=20 wait_for answered_by killed transit
at=$(now_ms)
stop proxy KILL
gone=$(now_ms)
wait_for answered_by killed client
say "kill -9: $(summary killed "$at")"
proxy_start
wait_for answered_by killed transit
stop killed
lost=$(not_answered killed)
[ "$(awk -F '\t' -v at="$at" '$1 && $3 < at' <<<"$lost" | wc -l)" = 0 ] || die "lost before the kill: $lost"
[ "$(awk -F '\t' -v gone="$gone" '$2 > gone' <<<"$lost" | wc -l)" = 0 ] || die "begun after the kill and lost: $lost"
say "lost by a kill: $(grep -c . <<<"$lost" || :) of $(wc -l <"$W/killed.tsv")"

# ---- a restart: the local services meanwhile, then the proxy again; nothing lost, nothing slow
syn_again() { in_ns v cat /proc/net/netstat | awk '$1 == "TcpExt:" { for (i = 2; i <= NF; i++) if (n) v[i] = $i; else name[i] = $i; n++ }
	END { for (i in name) if (name[i] == "TCPSynRetrans") print v[i] }'; }
again=$(syn_again)
probe restarted
wait_for answered_by restarted transit
for _ in 1 2 3; do
	at=$(now_ms)
	kill -TERM "$(pid_of proxy)"
	wait_for answered_by restarted client
	wait_for gone "$(pid_of proxy)"
	proxy_start
	wait_for answered_by restarted transit
done
stop restarted
same "lost by three restarts" "$(not_answered restarted)" ""
say "three restarts: $(summary restarted 0)"
same "attempts that were tried again by their kernel" $(($(syn_again) - again)) 0

# ---- an end, slowly: new visitors are let through at once; what was accepted before is served, also who had not yet said anything
start slow v python3 -c 'import socket, sys
idle = socket.create_connection(("192.0.2.10", 80), 10)
busy = socket.create_connection(("192.0.2.10", 80), 10)
busy.sendall(b"POST /app/upload HTTP/1.1\r\nHost: bob.example\r\nX-Req-Id: slow\r\nContent-Length: 10\r\nConnection: close\r\n\r\n12345")
print("begun", flush=True)
open(sys.argv[1]).read()
idle.sendall(b"GET / HTTP/1.1\r\nHost: bob.example\r\nConnection: close\r\n\r\n")
print("idle", idle.makefile("rb").read().decode(), flush=True)
open(sys.argv[1]).read()
busy.sendall(b"67890")
print("busy", busy.makefile("rb").read().decode(), flush=True)' "$W/go"
mkfifo "$W/go"
wait_for grep -q begun "$W/log/slow"
two_there() { [ "$(field "$(ask status)" connections.now)" = 2 ]; }
wait_for two_there
ending=$(pid_of proxy)
: >"$W/log/proxy"
kill -TERM "$ending"
wait_for grep -q 'reason="ending"' "$W/log/proxy"
: >"$W/go"
wait_for grep -q 'transit bob.example' "$W/log/slow"
same "new ones, while it drains" "$(side_of http://bob.example/) $(side_of https://bob.example/)" "client client"
gone "$ending" && die "it did not wait for what is in flight"
: >"$W/go"
wait_for grep -q '^busy HTTP/1.1 200' "$W/log/slow"
WAIT=20 wait_for gone "$ending" # before the drain is over
proxy_start
wait_for is_alive true

# ---- SIGSTOP: served by nginx within one second; what hung in the stopped proxy is answered when it goes on
probe stopped
wait_for answered_by stopped transit
kill -STOP "$(pid_of proxy)"
at=$(now_ms)
wait_for answered_by stopped client
first=$(awk -F '\t' -v at="$at" '$2 > at && $4 == "client" {print $2 - at; exit}' "$W/stopped.tsv")
say "SIGSTOP: first served by nginx after ${first%.*} ms"
still=$(now_ms)
answered_since() { [ "$(awk -F '\t' -v from="$still" '$2 > from' "$W/stopped.tsv" | wc -l)" -gt 100 ]; }
wait_for answered_since
same "whatever begins one second after" "$(summary stopped $((at + 1000)) | awk '{print $1, NF}')" "client 4"
kill -CONT "$(pid_of proxy)"
wait_for answered_by stopped transit
stop stopped
same "what hung was answered, later" "$(not_answered stopped)" ""

# ---- the unit's watchdog: told while every loop turns, not while one hangs; with and without interception
cat >"$W/notified.py" <<-'END'
	import os, socket, sys
	s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	s.bind(sys.argv[1])
	os.chmod(sys.argv[1], 0o666)
	while True:
	    print(s.recv(4096).decode(), flush=True)
END
start notified c python3 "$W/notified.py" "$W/notify.sock"
wait_for test -S "$W/notify.sock"
notified() { [ "$(grep -c WATCHDOG=1 "$W/log/notified")" -ge "$1" ]; }
# all that was said before is in the log
caught_up() {
	python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(sys.argv[2].encode(), sys.argv[1])' "$W/notify.sock" "SAID=$1"
	wait_for grep -qx "SAID=$1" "$W/log/notified"
}
stop proxy
NOTIFY_SOCKET=$W/notify.sock proxy_start
wait_for notified 4
kill -STOP "$(pid_of proxy)"
caught_up first
told=$(grep -c WATCHDOG=1 "$W/log/notified")
same "ready once" "$(grep -c READY=1 "$W/log/notified")" 1
no_elements() { in_ns c nft list set inet shunt_intercept alive >"$W/alive" && ! grep ipv4 "$W/alive"; }
WAIT=10 wait_for no_elements
caught_up second
same "a hung proxy says nothing" "$(grep -c WATCHDOG=1 "$W/log/notified")" "$told"
kill -CONT "$(pid_of proxy)"
wait_for notified $((told + 2))
stop proxy

# ---- one visitor with more connections at once than there are reserved ports: each is served, with the visitor's address
proxy_start
wait_for is_alive true
: >"$W/nginx-c/access"
cat >"$W/many.py" <<-'END'
	import resource, socket, sys
	resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
	conns = []
	for i in range(1100):
	    s = socket.create_connection(("192.0.2.10", 80), 60, ("203.0.113.12", 0))
	    s.sendall(b"GET / HTTP/1.1\r\nHost: alice.example\r\nX-Req-Id: m%d\r\n\r\n" % i)
	    answer = b""
	    while b"client alice.example" not in answer:
	        got = s.recv(4096)
	        if not got:
	            sys.exit("connection %d: %r" % (i, answer))
	        answer += got
	    conns.append(s)
	# all still there, and each with its own
	for i, s in enumerate(conns):
	    s.sendall(b"GET / HTTP/1.1\r\nHost: alice.example\r\nX-Req-Id: n%d\r\n\r\n" % i)
	for i, s in enumerate(conns):
	    answer = b""
	    while b"n%d\n" % i not in answer:
	        got = s.recv(4096)
	        if not got:
	            sys.exit("connection %d, again: %r" % (i, answer))
	        answer += got
	print("ok", len(conns))
END
same "1100 at once" "$(in_ns v python3 "$W/many.py")" "ok 1100"
all_logged() { [ "$(seen c '{print $7}' | wc -l)" -ge 2200 ]; }
wait_for all_logged
same "whose they are" "$(seen c '{print $7}' | sort | uniq -c | xargs)" "2200 203.0.113.12"
same "their ports" "$(seen c '{print $13}' | sort -u | wc -l)" 1100
# all of the range but those at which a service of this host listens
same "of the range" "$(seen c '$13 >= 128 && $13 <= 1023 {print $13}' | sort -u | wc -l)" 895
