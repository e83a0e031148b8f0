#!/usr/bin/env bash
# Bodies whose end can be argued about, pipelining, strange answers of back ends: nobody's bytes become another's request or answer.
. "$(dirname "$0")/lib.sh"
net_up
proxy_conf <<'END'
unknown = "refuse"
response-timeout = 10
END
proxy_start
py http_hostile_framing.py
alive proxy || die "shunt-proxy has ended"
