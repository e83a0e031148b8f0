#!/usr/bin/env bash
# Senders that speak in bursts, with pauses longer than any timer of the proxy that could come to its rescue: every byte arrives soon after it was sent, in
# both directions, over tcp, over a kept HTTP connection and behind a gate that opens in between.
. "$(dirname "$0")/lib.sh"
net_up
proxy_conf <<'END'
listener "tcp" { address = "192.0.2.11" port = 8300 protocol = "tcp" local = "127.0.0.1:8300" }
END
proxy_start
accounts_up
py bursts.py
alive proxy || die "shunt-proxy has ended"
