#!/usr/bin/env bash
# Measures the part of DNS in `shunt check`: verdict, plan and records of so many accounts with a zone each, on Knot DNS of tests/e2e's DNS
# laboratory, asked of one shunt-dnsupdate. There is no shunt-proxy then, so that nothing else takes time.
#
#   tests/bench/check_dns.sh [--accounts N]      SHUNT_BUILD: a build without sanitizers; N: default 500
accounts=500
while [ $# -gt 0 ]; do
	case $1 in
	--accounts) accounts=$2; shift 2 ;;
	-h | --help) sed -n '2,/^accounts/{s/^# \{0,1\}//;/^accounts/d;p}' "$0"; exit 0 ;;
	*) echo "check_dns.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
	esac
done
[[ $accounts =~ ^[1-9][0-9]{0,4}$ ]] || { echo "check_dns.sh: --accounts: found $accounts, expected 1 to 99999" >&2; exit 2; }
. "$(dirname "$0")/../e2e/lib.sh"
. "$E2E/dns_lib.sh"
. "$E2E/dnsupdate_lib.sh"
KINDS=knot
dns_net
host_many knot "$accounts"
delegate_many knot "$accounts"
knot_up
world_up
resolver_up
dns_conf
echo "control { state = \"$W/shunt.db\" proxy = \"unix:$W/proxy.sock\" dns = \"unix:$W/dns.sock\" }" >>"$W/shunt.conf"
start dnsupdate d "$DNSUPDATE" -c "$W/shunt.conf" serve
wait_for test -S "$W/dns.sock"
python3 - "$accounts" >"$W/accounts.json" <<'END'
import json, sys
for i in range(1, int(sys.argv[1]) + 1):
    print(json.dumps({"name": "a%d" % i, "domains": ["z%d.test" % i]}))
END
cat >>"$W/shunt.conf" <<-END
	proxy { control = "unix:$W/proxy.sock" table = "$W/table" listener "web" { address = "192.0.2.10" port = 8099 protocol = "http" local = "127.0.0.1:8098" } }
END
ip -n "${NS}d" addr add 192.0.2.10/32 dev lo
start proxy d "$PROXY" -c "$W/shunt.conf" --foreground # for the import alone
wait_for test -S "$W/proxy.sock"
in_ns d "$SHUNT" -c "$W/shunt.conf" account import "$W/accounts.json" >"$W/o" 2>&1 || die "$(cat "$W/o")"
stop proxy
began=$(now_ms)
in_ns d "$SHUNT" -c "$W/shunt.conf" check >"$W/check" 2>&1 || true
took=$(($(now_ms) - began))
say "$accounts accounts: $took ms; $(grep -E '^[0-9]+ domains' "$W/check")"
