#!/usr/bin/env bash
# Measures whether the time of an answer tells an owner that another account, or an operation of another, exists: on a server of 2000 accounts
# the owner of one asks about one that exists and one that does not, in random order. Prints the medians, their difference, and how large a
# difference comes by chance where the same is asked (95 of 100 random divisions of the same times stay below it). Writes JSON.
#
#   sudo tests/bench/serve_others.sh [--rounds N] [--output FILE]      SHUNT_BUILD: a build without sanitizers
#
#   --rounds   of each question (default 4000)
rounds=4000 output=$(cd "$(dirname "$0")" && pwd -P)/serve_others.json
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=$2; shift 2 ;;
	--output) output=$(realpath "$2"); shift 2 ;;
	-h | --help) sed -n '2,/^rounds/{s/^# \{0,1\}//;/^rounds/d;p}' "$0"; exit 0 ;;
	*) echo "serve_others.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
	esac
done
[[ $rounds =~ ^[1-9][0-9]{2,5}$ ]] || { echo "serve_others.sh: --rounds: found $rounds, expected 100 to 999999" >&2; exit 2; }
. "$(dirname "$0")/../e2e/lib.sh"
net_up
MORE="serve { listen = \"127.0.0.1:7480\" state = \"$W/serve.db\" rate = 100000 changes = 100000 }"
proxy_conf
proxy_start
{
	printf '[{"name":"alice","domains":["alice.example"]},{"name":"exists","domains":["exists.example"]}'
	for ((i = 0; i < 2000; i++)); do printf ',{"name":"a%d","domains":["a%d.example","www.a%d.example"]}' $i $i $i; done
	echo ']'
} >"$W/accounts.json"
shunt account import "$W/accounts.json" >"$W/o"
start serve c "$SHUNT" -c "$W/shunt.conf" serve
wait_for in_ns c curl -sf -o "$W/o" http://127.0.0.1:7480/v1/openapi.json
PANEL=$(shunt token create panel --operator 2>"$W/o")
ALICES=$(shunt token create alice-web --account alice 2>"$W/o")
in_ns c curl -sS -o "$W/body" -D "$W/headers" -X POST -H "Authorization: Bearer $PANEL" -H 'Prefer: wait=20' http://127.0.0.1:7480/v1/accounts/exists/migrate
OPERATION=$(sed -n 's|^Location: /v1/operations/\([0-9a-f]*\)\r$|\1|Ip' "$W/headers")
[ -n "$OPERATION" ] || die "no operation: $(cat "$W/body")"
in_ns c python3 "$(dirname "$0")/serve_others.py" 7480 "$ALICES" "$rounds" "$OPERATION" "$output"
stop serve
