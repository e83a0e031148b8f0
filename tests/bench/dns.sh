#!/usr/bin/env bash
# Measures shunt-dnsupdate next to nsupdate and kdig on the same work: one account's records in many zones are pointed at the other server, and
# every address of every name server is asked until it shows it. BIND, Knot and PowerDNS, each with its secondary, of tests/e2e's DNS
# laboratory; plain zones, then signed ones. Prints zones per second and processor time per zone, writes JSON. See dns.py for how.
#
#   sudo tests/bench/run.sh --rows dns [--quick]        builds and installs what this needs, then:
#   tests/bench/dns.sh [--zones N] [--rounds N] [--seconds N] [--kinds LIST] [--output FILE]      SHUNT_BUILD: a build without sanitizers
#
#   --zones    of the account, 2 to 1000 (default 200; half as many signed ones), of ten records each, of which six sets change
#   --rounds   of each measurement (default 3)
#   --seconds  after which nothing is measured more than once (default 120)
#   --kinds    of bind,knot,pdns (default: all)
zones=200 rounds=3 seconds=120 kinds='bind knot pdns' output=$(cd "$(dirname "$0")" && pwd -P)/dns.json
while [ $# -gt 0 ]; do
	case $1 in
	--zones) zones=$2; shift 2 ;;
	--rounds) rounds=$2; shift 2 ;;
	--seconds) seconds=$2; shift 2 ;;
	--kinds) kinds=${2//,/ }; shift 2 ;;
	--output) output=$(realpath "$2"); shift 2 ;;
	-h | --help) sed -n '2,/^zones/{s/^# \{0,1\}//;/^zones/d;p}' "$0"; exit 0 ;;
	*) echo "dns.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
	esac
done
[[ $zones =~ ^[1-9][0-9]{0,3}$ ]] && [ "$zones" -ge 2 ] && [ "$zones" -le 1000 ] || { echo "dns.sh: --zones: found $zones, expected 2 to 1000" >&2; exit 2; }
[[ $rounds =~ ^[1-9][0-9]{0,2}$ ]] || { echo "dns.sh: --rounds: found $rounds, expected 1 to 999" >&2; exit 2; }
# fsync is part of what is measured, so the journal's home must be a disk
[ "$(stat -f -c %T "${TMPDIR:-/tmp}")" != tmpfs ] || export TMPDIR=/var/tmp
. "$(dirname "$0")/../e2e/lib.sh"
. "$E2E/dns_lib.sh"
. "$E2E/dnsupdate_lib.sh"

# A customer's zone of the usual size, instead of the laboratory's, which has one of everything.
zone_file() { # NAMESERVER NAMESERVER
	cat <<-END
		\$TTL 3600
		@     SOA   $1. hostmaster.provider.example. 2026112601 7200 900 1209600 300
		@     NS    $1.
		@     NS    $2.
		@     A     192.0.2.10
		@     AAAA  2001:db8::10
		@     MX    10 mail
		@     TXT   "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all"
		www   A     192.0.2.10
		www   AAAA  2001:db8::10
		mail  A     192.0.2.11
		ftp   CNAME www
	END
}
measure() { # KIND plain|signed
	local n=$zones i name
	[ "$2" = plain ] || n=$((zones / 2))
	host_many "$1" $n "$2"
	delegate_many "$1" $n
	accounts "bench:$(for ((i = 1; i <= n; i++)); do printf 'z%d.test,*.z%d.test\n' $i $i; done | paste -sd,)"
	"${1}_up"
	world_up
	resolver_up
	KINDS=$1 dns_conf
	KINDS=$1 CONF=$W/ram.conf JOURNAL=$W/ram/journal dns_conf
	# the memory file system is that process's alone, and goes with it
	in_ns d unshare -m sh -c 'mkdir -p "$0" && mount -t tmpfs shunt-bench "$0" && exec "$@"' "$W/ram" \
		python3 "$TOP/tests/bench/dns.py" measure --kind "$1" --how "$2" --rounds "$rounds" --seconds $(((end - SECONDS) / left--)) \
		--program "$DNSUPDATE" --conf "$W/shunt.conf" --ram-conf "$W/ram.conf" --accounts "$W/accounts.json" --key "$KEYS/redir.key" \
		--dir "$W/work" --rows "$W/rows" --primary "${PRIMARY[$1]}" --servers "${PRIMARY[$1]},$(v6 "${PRIMARY[$1]}"),${SECONDARY[$1]},$(v6 "${SECONDARY[$1]}")" \
		--pids "$(pid_of "$1-primary"),$(pid_of "$1-secondary")" &
	echo $! >"$W/pid/measure" # so that a signal reaches us, and through us it
	wait $! || die "no measurement of $1, $2"
	rm "$W/pid/measure"
	for name in resolver root foreign "$1-secondary" "$1-primary"; do stop $name; done
	rm -rf "$DNS/$1-primary" "$DNS/$1-secondary" "$DNS/root" "$DNS/foreign" "$DNS/resolver" "$DNS"/*.zones "$DNS/delegations"
}
dns_net
read -ra each <<<"$kinds"
left=$((2 * ${#each[@]})) end=$((SECONDS + seconds))
for how in plain signed; do for kind in $kinds; do measure $kind $how; done; done
python3 "$TOP/tests/bench/dns.py" report --rows "$W/rows" --output "$output"
