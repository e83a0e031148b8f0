#!/usr/bin/env bash
# Request heads that somebody made to reach another account: refused with nobody reached, or routed to whom they name.
. "$(dirname "$0")/lib.sh"
net_up
proxy_conf <<'END'
unknown = "refuse"
END
proxy_start
py http_hostile_head.py
alive proxy || die "shunt-proxy has ended"
