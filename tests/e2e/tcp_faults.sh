#!/usr/bin/env bash
# slow
# Back ends that refuse, are silent, black holes or resets, and visitors that vanish: the right refusal, nobody else affected, no other side.
. "$(dirname "$0")/lib.sh"
net_up
proxy_conf <<'END'
connect-timeout = 5
response-timeout = 3
idle = 6
keep-alive = 4
listener "tcp" { address = "192.0.2.11" port = 8300 protocol = "tcp" local = "127.0.0.1:8300" }
END
proxy_start
py tcp_faults.py
alive proxy || die "shunt-proxy has ended"
