#!/usr/bin/env bash
# What interception does about old connections and about addresses whose accounts have all moved: the former are counted, shown and reset; the
# latter are led to the transit server by the kernel while the proxy is away, never to the old copy. On one segment the transit server answers
# visitors' addresses back through the client server, without a tunnel.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/intercept_lib.sh"
net_up
web_untouched
intercept_conf <<<'drain = 5'

# ---- connections that are older than the interception
old() { # NAME: a visitor's connection that stays, and says how it ended
	start "$1" v python3 -c 'import socket
s = socket.create_connection(("192.0.2.10", 80), 10)
s.settimeout(300)
s.sendall(b"GET / HTTP/1.1\r\nHost: bob.example\r\n\r\n")
print(s.recv(4096).split(b"\r\n\r\n")[1].decode().strip(), flush=True)
try:
    print("ended", s.recv(4096), flush=True)
except ConnectionResetError:
    print("reset", flush=True)'
	wait_for grep -q 'bob.example' "$W/log/$1"
}
old first
like "it is with nginx itself" "$(cat "$W/log/first")" '^client '
intercept_on
proxy_start
accounts_up
wait_for is_alive true
same "bob is on the transit server" "$(side_of http://bob.example/)" transit
old young
like "a connection of now is the proxy's" "$(cat "$W/log/young")" '^transit '
same "counted" "$(netctl c --json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["past-the-proxy"])')" 1
like "shown" "$(netctl c status)" '1 connections pass the proxy by'
intercept_on --reset-old
wait_for grep -qx reset "$W/log/first"
same "none is left" "$(netctl c --json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["past-the-proxy"])')" 0
alive young || die "the proxy's own connection was reset: $(cat "$W/log/young")"
unlike "the proxy's own connection" "$(cat "$W/log/young")" 'reset|ended'
stop young

# ---- all accounts of 192.0.2.10 and 2001:db8::10 have moved: the kernel knows, should the proxy be away
start netctl c "$NETCTL" -c "$W/shunt.conf" serve
wait_for grep -q 'reason="ready"' "$W/log/netctl"
python3 "$TOOLS/ctl.py" "$W/netctl.sock" apply '{"plan": "intercept", "confirm": 0, "moved": ["192.0.2.10", "2001:db8::10"]}' >"$W/log/moved"
wait_for is_alive true
same "the proxy decides as long as it lives" "$(side_of http://alice.example/) $(side_of http://bob.example/)" "client transit"
# a hold tells whether visitors were led past it: whoever moves an account home must not go back then
failed_open() { field "$(ask fence '{"name":"carol"}')" evidence.failed-open; }
fenced() { ask hold '{"name":"carol"}' + drain '{"name":"carol","seconds":1}' + fence '{"name":"carol"}' >"$W/log/fence"; }
fenced
same "nobody was led past the hold" "$(failed_open)" false
stop proxy KILL
: >"$W/nginx-t/access"
same "the kernel, while it does not" "$(side_of http://bob.example/) $(side_of http://alice.example/)" "transit transit"
same "IPv6" "$(visit6 -o "$W/out" -w '%header{x-side}' http://bob.example/)" transit
same "TLS" "$(side_of https://bob.example/)" transit
same "an address that has accounts here still" "$(visit -o "$W/out" -w '%header{x-side}' --resolve '*:80:192.0.2.11' http://carol.example/)" client
proxy_start
wait_for is_alive true
same "and the proxy again" "$(side_of http://alice.example/) $(side_of http://bob.example/)" "client transit"
same "carol's visitors were led past the hold" "$(failed_open)" true
ask fence '{"name":"carol","watch":true}' >"$W/log/fence"
same "since a fence with watch they were not" "$(failed_open)" false
ask release '{"name":"carol"}' >"$W/log/release"
fenced
same "of another hold" "$(failed_open)" false
# it hangs: as soon as its last heartbeat has run out
kill -STOP "$(pid_of proxy)"
no_elements() { in_ns c nft list set inet shunt_intercept alive >"$W/alive" && ! grep ipv4 "$W/alive"; }
WAIT=10 wait_for no_elements
same "the kernel, while it hangs" "$(side_of http://bob.example/)" transit
kill -CONT "$(pid_of proxy)"
wait_for is_alive true
same "led past it while it hung" "$(failed_open)" true
ask release '{"name":"carol"}' >"$W/log/release"
# a restart of netctl's own and a changed configuration keep it in mind
intercept_on
stop proxy KILL
same "still" "$(side_of http://bob.example/)" transit
python3 "$TOOLS/ctl.py" "$W/netctl.sock" apply '{"plan": "intercept", "confirm": 0, "moved": []}' >"$W/log/moved"
same "an account came back: the local service, as if shunt were not there" "$(side_of http://bob.example/)" client
intercept_off
unlike "nothing is left" "$(in_ns c nft list ruleset; in_ns c sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding)" 'shunt|forward.* = 1'
