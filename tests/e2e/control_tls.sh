#!/usr/bin/env bash
# The control host is the transit server: shunt there asks shunt-proxy of the client server over mutual TLS. Who has no certificate of ours, or
# another authority's, gets nothing, and nobody else is disturbed.
. "$(dirname "$0")/lib.sh"
net_up
web_up
authority "$W/tls" 192.0.2.10 198.51.100.10
authority "$W/strangers" 198.51.100.10
tls() { echo "tls { ca = \"$W/tls/ca.pem\" cert = \"$W/$1/$2.pem\" key = \"$W/$1/$2.key\" }"; }
MORE=$(tls tls 192.0.2.10) proxy_conf <<<'listen = "tls://192.0.2.10:7444"'
proxy_start
transit_conf() { # NAME OF THE CERTIFICATES' DIRECTORY
	{
		sed -n '/^server/,/^}/p' "$W/shunt.conf"
		echo "control { state = \"$W/transit.db\" proxy = \"tls://192.0.2.10:7444\" }"
		tls "$1" 198.51.100.10
	} >"$W/$1.conf"
}
transit_conf tls
transit_conf strangers
there() { in_ns t "$SHUNT" -c "$W/tls.conf" "$@"; }
printf '[%s,%s]\n' "$ALICE" "$BOB" >"$W/accounts.json"
there account import "$W/accounts.json"
like "status" "$(there status)" 'answers at tls://192.0.2.10:7444'
there migrate alice
same "alice" "$(side_of http://alice.example/)" transit
fails_with 2 in_ns t "$SHUNT" -c "$W/strangers.conf" rollback alice
like "a stranger's certificate" "$OUT" 'certificate|refuse'
same "alice stays" "$(side_of http://alice.example/)" transit
rc=0
in_ns t timeout 20 openssl s_client -connect 192.0.2.10:7444 -CAfile "$W/tls/ca.pem" </dev/null >"$W/log/nobody" 2>&1 || rc=$?
unlike "without a certificate" "$(cat "$W/log/nobody")" '"ok"'
there rollback alice
same "alice is back" "$(side_of http://alice.example/)" client
sed 's|tls://192.0.2.10:7444|tls://192.0.2.10:7445|' "$W/shunt.conf" >"$W/other.conf"
cp "$W/other.conf" "$W/shunt.conf"
fails_with 1 shunt reload
like "a reload cannot move it" "$OUT" 'listen.*restart'
