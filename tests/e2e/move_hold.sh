#!/usr/bin/env bash
# Waiting has an end: a page that says when, closed TLS connections, a bound on how many wait; what does not finish is cut at the drain's end, and counted.
. "$(dirname "$0")/lib.sh"
net_up
web_up
proxy_conf <<'END'
hold-max-wait = 2
hold-max-connections = 20
drain = 2
END
proxy_start
accounts_up client
py move_hold.py
alive proxy || die "shunt-proxy has ended"
