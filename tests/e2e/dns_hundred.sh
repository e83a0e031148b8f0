#!/usr/bin/env bash
# dns_thousand with a hundred zones.
ZONES=100 exec "$(dirname "$0")/dns_thousand.sh"
