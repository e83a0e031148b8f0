#!/usr/bin/env bash
# long
# A thousand zones of one account at once on each kind of server, with --soak; in an ordinary run three hundred on BIND: pushed, seen on every name
# server, and undone. Prints zones in a second, the journal's syncs and what every server was asked included, and the most memory that it took; few
# files are open at a time.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dns_lib.sh"
. "$(dirname "$0")/dnsupdate_lib.sh"
N=${ZONES:-300}
KINDS=${KINDS:-bind}
[ -z "${SHUNT_ROUNDS:-}" ] || N=1000 KINDS="bind knot pdns"
DNSUPDATE=$PLAIN/shunt-dnsupdate
SETS=5 # that change, of each zone: most of a thousand are small
zone_file() { # instead of the laboratory's: NAMESERVER NAMESERVER
	cat <<-END
		\$TTL 3600
		@   SOA  $1. hostmaster.provider.example. 2026112601 7200 900 1209600 300
		@   NS   $1.
		@   NS   $2.
		@   A    192.0.2.10
		@   AAAA 2001:db8::10
		@   MX   10 mail.foreign.example.
		@   TXT  "v=spf1 ip4:192.0.2.10 ~all"
		www A    192.0.2.10
		www AAAA 2001:db8::10
		ftp CNAME www
	END
}
dns_net
for kind in $KINDS; do host_many $kind $N; done
for kind in $KINDS; do ${kind}_up; done
world_up
resolver_up
say "$N zones on each of $KINDS"
accounts "all:$(seq -f 'z%g.test' -s , 1 $N)"
zones_do() { # WHAT WORD..: its object is in $W/all.json
	local began rc=0 what=$1
	shift
	case $1 in push) set -- "$@" --accounts "$W/accounts.json" ;; esac
	began=$(now_ms)
	in_ns d python3 - "$W/all.json" "$W/memory" "$DNSUPDATE" -c "$W/shunt.conf" "$@" --wait 120 --json <<-'END' || rc=$?
		import resource, subprocess, sys
		resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
		rc = subprocess.run(sys.argv[3:], stdout=open(sys.argv[1], "w")).returncode
		used = resource.getrusage(resource.RUSAGE_CHILDREN)
		print(used.ru_maxrss // 1024, int((used.ru_utime + used.ru_stime) * 1000), file=open(sys.argv[2], "w"))
		sys.exit(rc)
	END
	MS=$(($(now_ms) - began))
	read -r MEMORY CPU <"$W/memory"
	[ $rc = 0 ] || die "$what: exit $rc: $(python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(d["error"], d.get("lagging", [])[:3])' "$W/all.json")"
	say "$what: $((N * 1000 / MS)) zones/s ($MS ms, $CPU ms of them its own), $MEMORY MiB"
	[ "$MEMORY" -lt 200 ] || grep -qa __asan_init "$DNSUPDATE" || die "$what took $MEMORY MiB of memory"
}
all_say() { # OUTCOME CHANGED
	same "outcomes, changes, published" "$(python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(len(d["zones"]), *sorted({z["outcome"] for z in d["zones"]}), d["changed"], d["published"])' "$W/all.json")" "$N $1 $2 True"
}
addresses_of() { # SERVER: those of www in all zones, one a line
	awk -v server="@$1" '{ print server, "www." $1 ".", "A" }' "$DNS/$kind.zones" >"$DNS/ask"
	ask_dns +short +norec -f "$DNS/ask" | sort | uniq -c | awk '{ $1 = $1; print }'
}
sample() { # NAME: some zones as they are
	local z
	for z in z1 z$((N / 2)) z$N; do axfr ${PRIMARY[$kind]} $z.test && axfr ${SECONDARY[$kind]} $z.test; done >"$W/$1"
}
is_delegated() { [ "$(ask_dns +norec +noall +authority "@$ROOT" z$N.test. NS | awk '{ print $5 }' | sort | paste -sd ' ')" = "ns1.$kind.provider.example. ns2.$kind.provider.example." ]; }
for kind in $KINDS; do
	sed -i '/^z/d' "$DNS/delegations" 2>/dev/null || :
	delegate_many $kind $N
	wait_for is_delegated
	resolver_flush test
	KINDS=$kind dns_conf
	sample before
	serials ${PRIMARY[$kind]} $kind | sort >"$W/serials"
	zones_do "$kind: push and see" push all
	all_say done $((SETS * N))
	for server in ${PRIMARY[$kind]} ${SECONDARY[$kind]}; do same "$kind: www on $server" "$(addresses_of $server)" "$N 198.51.100.10"; done
	same "$kind: entries of the journal" "$(ls "$JOURNAL/all" | wc -l)" $N
	if [ $kind = bind ] || [ $N -lt 1000 ]; then # push has seen it, too
		zones_do "$kind: verify" verify all
		all_say nothing 0
	fi
	zones_do "$kind: undo and see" undo all
	all_say done $((SETS * N))
	for server in ${PRIMARY[$kind]} ${SECONDARY[$kind]}; do same "$kind: www on $server" "$(addresses_of $server)" "$N 192.0.2.10"; done
	sample after
	same "$kind: zones before and after" "$(diff "$W/before" "$W/after")" ""
	same "$kind: entries of the journal" "$(ls -A "$JOURNAL/all" | wc -l)" 0
	same "$kind: serials that did not move" "$(serials ${PRIMARY[$kind]} $kind | sort | comm -12 - "$W/serials" | wc -l)" 0
done
