#!/usr/bin/env bash
# ClientHellos of all shapes: routed by the name they hold and passed on byte for byte, or closed with nobody reached.
. "$(dirname "$0")/lib.sh"
net_up
proxy_conf <<'END'
unknown = "refuse"
hello-timeout = 6
END
proxy_start
py tls_hello.py
alive proxy || die "shunt-proxy has ended"
