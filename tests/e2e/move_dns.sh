#!/usr/bin/env bash
# long
# Accounts move, and their DNS with them: a provider with two name servers, visitors who ask a resolver before every request, and others whose
# resolver holds on to what it has. Managed, mixed, external and --no-dns side by side; refused before any downtime, or owed after it and settled;
# a name server that lags; two accounts of one zone at once; the zones in the end are what they were. No visitor is lost meanwhile.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dns_lib.sh"
net_up
dns_net
web_up
KIND=knot
NS2=ns2.knot.provider.example

# ---- zones: few names of a short TTL, but alice's, which has everything
site_zone() { # NAME..: each with both addresses of the client server
	local n
	zone_file "$(ns_of $KIND 1)" "$(ns_of $KIND 2)" | sed -n '1,4p'
	for n; do printf '%s 60 A 192.0.2.10\n%s 60 AAAA 2001:db8::10\n' "$n" "$n"; done
}
customer alice.example managed $KIND
customer carol.example external $KIND
customer dave.test mixed $KIND
site_zone @ www >"$W/site"
site_zone gina hugo third >"$W/shared"
host $KIND dave.example plain "$W/site"
host $KIND erin.example plain "$W/site"
host $KIND shared.test plain "$W/shared"
for z in dave.example erin.example shared.test; do delegate $z managed $KIND; done
ZONES="alice.example dave.test dave.example erin.example shared.test"
${KIND}_up
world_up
resolver_up
# somebody's resolver that believes every TTL, and then some; "flush" is when its time is over
STALE=10.53.0.91
mkdir "$DNS/stale"
sed -e "s|10.53.0.53|$STALE|; s|$(v6 $RESOLVER)|$(v6 $STALE)|; s|$DNS/resolver|$DNS/stale|g; s|cache-max-ttl: .*|cache-max-ttl: 86400|" \
	-e 's|cache-min-ttl: .*|cache-min-ttl: 600|' "$DNS/resolver/conf" | sed "s|interface: 10.53.0.53|interface: $STALE|" >"$DNS/stale/conf"
cp "$DNS/resolver/hints" "$DNS/stale/hints"
start stale d unbound -d -p -c "$DNS/stale/conf"
wait_for look_up +rec @$STALE alice.example. A

# ---- shunt
cat >"$W/bin/copy" <<-END
	#!/bin/sh
	if [ -e $W/in-copy ]; then . $W/in-copy; fi
END
chmod +x "$W/bin/copy"
NETCTL="netctl { role = \"client\" interface = \"eth0\" control = \"unix:$W/netctl.sock\" journal = \"$W/netctl\" }"
DNS_CONF="dns { control = \"unix:$W/dns.sock\" journal = \"$W/journal\" nameservers = { \"$(ns_of $KIND 1)\", \"$(ns_of $KIND 2)\" }
  zone-server { address = \"${PRIMARY[$KIND]}\" key-file = \"$KEYS/redir.key\" } resolvers = { \"$RESOLVER\" } wait = 8 }"
CONTROL="home-wait = 1 hook-copy = \"$W/bin/copy\" dns = \"unix:$W/dns.sock\" netctl-client = \"unix:$W/netctl.sock\"" MORE="$NETCTL $DNS_CONF" proxy_conf <<'END'
drain = 10
END
dnsupdate_is_ready() { [ "$(grep -c 'reason="ready"' "$W/log/dnsupdate")" -gt "$1" ]; }
dnsupdate_up() { # [KEY]
	sed "s|/redir.key\"|/${1:-redir}.key\"|" "$W/shunt.conf" >"$W/dnsupdate.conf"
	local before
	before=$(grep -cs 'reason="ready"' "$W/log/dnsupdate" || :)
	start dnsupdate c "$BUILD/shunt-dnsupdate" -c "$W/dnsupdate.conf" serve
	wait_for dnsupdate_is_ready "${before:-0}"
}
proxy_start
start netctl c "$BUILD/shunt-netctl" -c "$W/shunt.conf" serve
wait_for test -S "$W/netctl.sock"
dnsupdate_up
cat >"$W/accounts.json" <<'END'
{"name":"alice","domains":["alice.example","*.alice.example"]}
{"name":"carol","domains":["carol.example"]}
{"name":"dave","domains":["dave.example","*.dave.example","dave.test"]}
{"name":"erin","domains":["erin.example"]}
{"name":"gina","domains":["gina.shared.test"]}
{"name":"hugo","domains":["hugo.shared.test"]}
END
shunt account import "$W/accounts.json" >"$W/o"
for z in $ZONES; do axfr ${PRIMARY[$KIND]} $z >"$W/before.$z"; done
unchanged() { # WHAT [ZONE..]: on both servers; default: every zone
	local what=$1 z s
	shift
	# shellcheck disable=SC2086
	[ $# -gt 0 ] || set -- $ZONES
	for z; do
		for s in ${PRIMARY[$KIND]} ${SECONDARY[$KIND]}; do
			axfr $s "$z" | diff "$W/before.$z" - >"$W/diff" || die "$what: $z is not as it was on $s: $(cat "$W/diff")"
		done
	done
}
side() { field "$(ask account "{\"name\":\"$1\"}")" account.side; }
at_rest() { # ACCOUNT SIDE
	local a
	a=$(ask account "{\"name\":\"$1\"}")
	same "$1: side and gate" "$(field "$a" account.side) $(field "$a" account.gate)" "$2 open"
}

# ---- visitors by name
for r in $RESOLVER $STALE; do printf 'nameserver %s\noptions timeout:5 attempts:4\n' "$r" >"$W/resolv.$r"; done
with_resolver() { # RESOLVER COMMAND..: in a mount namespace with its own resolv.conf
	unshare -m sh -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$W/resolv.$1" "${@:2}"
}
by_name() { # URL..: curl, with nothing to tell it an address
	in_ns v unshare -m sh -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$W/resolv.$RESOLVER" curl -sS --max-time 60 --noproxy '*' --cacert "$W/cert.pem" "$@"
}
visitors_up() { # NAME RESOLVER NAMES
	start "$1" v unshare -m sh -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$W/resolv.$2" python3 "$TOOLS/visitor_by_name.py" "$W/$1" "$3" 25
}
lines() { wc -l <"$W/$1"; }
have_come() { [ "$(lines "$1")" -ge "$2" ]; } # VISITORS LINE
visited() { # VISITORS ROUNDS: what they meet from now on
	local from
	from=$(($(lines "$1") + 1)) # the one under way began before
	wait_for have_come "$1" $((from + $2))
	python3 "$TOOLS/visitor_by_name.py" --sum "$W/$1" $from | sed 's/ [0-9]* / /'
}
# Straight to a side, or by the old address to the transit server: by the proxy.
straight() { echo "$1 198.51.100.10>transit 2001:db8:1::10>transit"; }
at_home() { echo "$1 192.0.2.10>client 2001:db8::10>client"; }
proxied() { echo "$1 192.0.2.10>transit 2001:db8::10>transit"; }
meet() { [ "$(visited fresh 12)" = "$1" ] || { visited fresh 12; return 1; }; }
visitors_up fresh $RESOLVER alice.example,www.alice.example,carol.example,dave.example,erin.example
visitors_up stale $STALE alice.example,carol.example
home=$(for n in alice.example carol.example dave.example erin.example www.alice.example; do at_home $n; done)
wait_for meet "$home"
same "visitors with an old resolver, before" "$(visited stale 4)" "$(at_home alice.example; at_home carol.example)"

say "check and dry run"
shunt check >"$W/check"
like "alice" "$(cat "$W/check")" '^  alice\.example +managed: switched by DNS: .*A 192\.0\.2\.10 -> 198\.51\.100\.10'
like "carol" "$(cat "$W/check")" '^  carol\.example +external: covered by the proxy until its owner changes the record$'
like "dave's one" "$(cat "$W/check")" '^  dave\.example +managed: '
like "dave's other" "$(cat "$W/check")" '^  dave\.test +WARNING mixed: .*others. and may go on answering the old address'
like "in all" "$(tail -n 1 "$W/check")" '^7 domains of 6 accounts: 5 managed, 1 mixed, 1 external$'
shunt migrate --dry-run alice dave carol erin >"$W/dry"
like "a dry run tells" "$(cat "$W/dry")" 'published +DNS: 15 record sets in 1 zone change$'
like "of two zones" "$(cat "$W/dry")" 'published +DNS: 19 record sets in 2 zones change$'
like "of an external domain" "$(cat "$W/dry")" 'published +DNS: nothing changes, 1 domain external: covered by the proxy$'
like "of --no-dns" "$(shunt migrate --no-dns --dry-run erin)" 'published +nothing: --no-dns$'
unchanged "a dry run" alice.example dave.test

say "they move: old resolvers are served by the proxy, and whoever asks anew goes straight there"
shunt migrate --no-dns erin >"$W/o"
shunt migrate alice carol dave >"$W/moved" || die "migrate: $(cat "$W/moved")"
like "alice" "$(cat "$W/moved")" '^alice: DNS: published \(15 record sets, 1 zone, seen by all servers in [0-9.]+ s\)$'
like "carol" "$(cat "$W/moved")" '^carol: DNS: none \(external\)$'
like "dave, whose other domain has a foreign server as well" "$(cat "$W/moved")" '^dave: DNS: published \(19 record sets, 2 zones\), but ns1\.foreign\.example\..*; the proxy forwards$'
for s in ${PRIMARY[$KIND]} ${SECONDARY[$KIND]} "$(v6 ${SECONDARY[$KIND]})"; do
	for n in alice.example www.alice.example any.alice.example dave.example www.dave.example dave.test; do
		serves "$s" $n A 198.51.100.10 || die "$s: $n"
		serves "$s" $n AAAA 2001:db8:1::10 || die "$s: $n has no address of the transit server's"
	done
	serves "$s" both.alice.example A 198.51.100.10 198.51.100.11
	serves "$s" half.alice.example A 198.51.100.10 203.0.113.80 # one that is not ours stays
	serves "$s" shop.alice.example CNAME edge.cdn.foreign.example.
	serves "$s" erin.example A 192.0.2.10 || die "--no-dns has changed DNS"
done
same "the TTL meanwhile" "$(ttl_of ${PRIMARY[$KIND]} alice.example A)" 60
serves $FOREIGN carol.example A 192.0.2.10
moved=$(straight alice.example; proxied carol.example; straight dave.example; proxied erin.example; straight www.alice.example)
wait_for meet "$moved"
same "those with an old resolver" "$(visited stale 4)" "$(proxied alice.example; proxied carol.example)"
same "TLS, straight" "$(by_name -o "$W/o" -w '%{http_code} %{remote_ip} %header{x-side}' -4 https://alice.example/)" "200 198.51.100.10 transit"
like "status of alice" "$(shunt status alice)" '^dns +published \(15 record sets, 1 zone, seen by all servers in [0-9.]+ s\)$'
like "status of carol" "$(shunt status carol)" '^dns +none \(external\)$'
like "status of all" "$(shunt status)" '^dns +answers at unix:.*, has changed 34 record sets in 3 zones for 2 accounts$'
like "and who does not show it" "$(shunt status)" '^dns +dave: dave\.test\. pushed, not seen yet: ns1\.foreign\.example\. '
metrics_have() { # SAMPLE..
	local sample
	shunt metrics >"$W/metrics"
	for sample; do grep -qxF "$sample" "$W/metrics" || die "metrics: no $sample in $(grep -E 'dns|_up' "$W/metrics")"; done
}
metrics_have 'shunt_dnsupdate_up 1' 'shunt_netctl_up{side="client"} 1' 'shunt_dnsupdate_zones{state="pushed"} 3' 'shunt_dnsupdate_record_sets 34' \
	'shunt_dnsupdate_lagging_zones 1' 'shunt_dns_publish_delay_seconds_count 1' 'shunt_dns_publish_delay_seconds_bucket{le="60"} 1' 'shunt_dns_owed_accounts 0'

say "who still comes to the old address"
shunt check --stragglers >"$W/stragglers"
like "carol" "$(grep -A1 '^carol ' "$W/stragglers")" 'change the record: carol\.example A 192\.0\.2\.10 -> 198\.51\.100\.10 \(at the domain.s own DNS provider\)'
like "alice, while her TTL lasts" "$(grep -A1 '^alice ' "$W/stragglers")" 'alice\.example A+ .* \(shunt changes it; these visitors still have the old answer\)'
in_ns d unbound-control -c "$DNS/stale/conf" flush_zone alice.example >"$W/log/flush"
straight_too() { [ "$(visited stale 4)" = "$(straight alice.example; proxied carol.example)" ]; }
wait_for straight_too
came() { # ACCOUNT: how often, by a name
	field "$(ask stragglers "{\"account\":\"$1\"}")" count
}
alice=$(came alice) carol=$(came carol)
visited stale 8 >"$W/o"
same "alice, afterwards" "$(came alice)" "$alice"
[ "$(came carol)" -gt "$carol" ] || die "carol's visitors are not counted any more"

say "back: every zone as it was"
shunt --yes rollback alice carol dave >"$W/moved" || die "rollback: $(cat "$W/moved")"
like "alice" "$(cat "$W/moved")" '^alice: DNS: undone \(15 record sets, 1 zone, seen by all servers in'
like "the TTL is told" "$(cat "$W/moved")" '^alice: resolvers may hold the transit server.s address for 60 s more'
unchanged "the rollback"
shunt --yes rollback --no-dns erin >"$W/o"
in_ns d unbound-control -c "$DNS/stale/conf" flush_zone alice.example >"$W/log/flush"
wait_for meet "$home"
for a in alice carol dave erin; do at_rest $a client; done

say "refused before anybody waits"
refused() { # WHY-AS-REGEX ACCOUNT
	fails_with 1 shunt migrate "$2"
	like "the reason" "$OUT" "$1"
	like "what to do" "$OUT" 'Mend that, or leave DNS as it is with --no-dns'
	at_rest "$2" client
	unlike "how far it went" "$(shunt log "$2" | tail -n 6)" 'begin: holding'
	unchanged "a refused move" alice.example
}
seen_by_check() { # WHY-AS-REGEX ACCOUNT
	fails_with 1 shunt check "$2"
	like "check says so before" "$OUT" "$1"
}
stop dnsupdate
refused 'dns\.sock' alice
seen_by_check 'dns\.sock' alice
dnsupdate_up wrong
refused 'key|BADSIG|NOTAUTH' alice
seen_by_check 'key|BADSIG|NOTAUTH' alice
stop dnsupdate
dnsupdate_up

say "another hand has changed a record meanwhile: she goes home, it is left, owed, and in the way of what comes next"
shunt migrate gina >"$W/o"
update ${PRIMARY[$KIND]} shared.test <<'END'
update delete gina.shared.test. A
update add gina.shared.test. 60 A 203.0.113.80
END
fails_with 4 shunt --yes rollback gina
like "three ways" "$OUT" 'gina\.shared\.test\. A: recorded 192\.0\.2\.10; expected 198\.51\.100\.10; found 203\.0\.113\.80'
at_rest gina client
like "status" "$(shunt status gina)" '^dns +owed: .*found 203\.0\.113\.80.*shunt resume tries again'
serves ${PRIMARY[$KIND]} gina.shared.test A 203.0.113.80 || die "what another hand has left was overwritten"
fails_with 1 shunt migrate gina
like "refused now" "$OUT" 'found 203\.0\.113\.80'
at_rest gina client
fails_with 1 shunt finish
like "finish" "$OUT" 'finish refused: the DNS of 1 account is owed: gina\.'
update ${PRIMARY[$KIND]} shared.test <<'END'
update delete gina.shared.test. A
update add gina.shared.test. 60 A 198.51.100.10
END
shunt resume >"$W/o"
like "settled" "$(cat "$W/o")" '^gina: its DNS, which was owed, is settled'
unchanged "what was settled" shared.test

say "shunt-dnsupdate is killed while she moves, then the primary: she is served all the same, and DNS is owed until it can be"
echo "kill -KILL $(pid_of dnsupdate)" >"$W/in-copy"
fails_with 4 shunt migrate alice
like "alice" "$OUT" 'alice is moved and served by transit, but its DNS is not published: .*dns\.sock'
rm "$W/in-copy" "$W/pid/dnsupdate"
at_rest alice transit
like "status" "$(shunt status)" '^dns +alice is owed: .*dns\.sock.*shunt resume tries again'
metrics_have 'shunt_dnsupdate_up 0' 'shunt_dns_owed_accounts 1'
unchanged "what is owed" alice.example
moved=${home//www.alice.example 192.0.2.10>client 2001:db8::10>client/$(proxied www.alice.example)}
moved=${moved//alice.example 192.0.2.10>client 2001:db8::10>client/$(proxied alice.example)}
wait_for meet "$moved"
fails_with 4 shunt resume
dnsupdate_up
shunt resume >"$W/o"
like "settled" "$(cat "$W/o")" '^alice: its DNS, which was owed, is settled: published \(15 record sets'
serves ${SECONDARY[$KIND]} www.alice.example A 198.51.100.10

say "no way home while DNS leads elsewhere: who comes by it could not be made to wait"
stop knot-primary KILL
fails_with 1 shunt --yes rollback alice
like "refused" "$OUT" 'DNS stands in the way: .*Connection refused.*--no-dns'
at_rest alice transit
knot_start knot-primary
wait_for serves ${PRIMARY[$KIND]} www.alice.example A 198.51.100.10
cat >"$W/in-copy" <<END
kill -0 $(pid_of proxy) && nsenter --net=/run/netns/${NS}d kdig +short @${SECONDARY[$KIND]} www.alice.example A >$W/while-copied
END
shunt --yes rollback alice >"$W/o"
rm "$W/in-copy"
same "where DNS leads while it is copied" "$(cat "$W/while-copied")" 192.0.2.10
unchanged "the rollback" alice.example

say "a move home that fails leads DNS back to where the account stays"
shunt migrate alice >"$W/o"
echo "exit 7" >"$W/in-copy"
fails_with 3 shunt --yes rollback alice
rm "$W/in-copy"
at_rest alice transit
serves ${SECONDARY[$KIND]} www.alice.example A 198.51.100.10
shunt --yes rollback alice >"$W/o"
unchanged "the second try" alice.example

say "a name server that does not follow is named, and holds nobody up"
lag $KIND
began=$(now_ms)
shunt migrate dave >"$W/moved"
[ $(($(now_ms) - began)) -lt 40000 ] || die "dave waited $(($(now_ms) - began)) ms"
like "named" "$(cat "$W/moved")" "^dave: DNS: published .*$NS2"
like "status" "$(shunt status dave)" "^dns +pushed .*, not seen yet: .*$NS2"
unlag $KIND dave.example dave.test

say "two accounts of one zone at once"
shunt migrate gina hugo >"$W/moved" || die "$(cat "$W/moved")"
for n in gina hugo; do
	like "$n" "$(cat "$W/moved")" "^$n: DNS: published \(2 record sets, 1 zone, seen by all servers"
	serves ${SECONDARY[$KIND]} $n.shared.test A 198.51.100.10
done
serves ${SECONDARY[$KIND]} third.shared.test A 192.0.2.10
shunt --yes rollback gina dave >"$W/moved" || die "$(cat "$W/moved")"
serves ${SECONDARY[$KIND]} gina.shared.test A 192.0.2.10
serves ${SECONDARY[$KIND]} hugo.shared.test A 198.51.100.10
shunt --yes rollback hugo >"$W/moved" || die "$(cat "$W/moved")"
unchanged "both" shared.test dave.test

say "finish, once nothing of DNS is left"
in_ns c "$BUILD/shunt-dnsupdate" -c "$W/shunt.conf" prepare alice --accounts "$W/accounts.json" >"$W/o" || die "prepare: $(cat "$W/o")"
fails_with 1 shunt finish
like "finish" "$OUT" 'finish refused: shunt-dnsupdate still keeps what it changed in DNS for 1 account: alice\.'
in_ns c "$BUILD/shunt-dnsupdate" -c "$W/shunt.conf" undo alice >"$W/o" || die "undo: $(cat "$W/o")"
shunt finish >"$W/o"
unchanged "all of it"

for v in fresh stale; do
	stop $v
	python3 "$TOOLS/visitor_by_name.py" --sum "$W/$v" >"$W/total"
	unlike "$v visitors" "$(cat "$W/total")" '^LOST'
	say "$v visitors: $(awk '{ n += $2 } END { print n }' "$W/total") requests, none lost"
done
