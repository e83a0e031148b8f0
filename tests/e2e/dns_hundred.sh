#!/usr/bin/env bash
# dns_thousand with a hundred zones on the other kinds of servers.
ZONES=100 KINDS="knot pdns" exec "$(dirname "$0")/dns_thousand.sh"
