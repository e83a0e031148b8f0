#!/usr/bin/env bash
# The DNS laboratory does what stories rely on: three kinds of servers take updates and their secondaries follow, every sort of delegation leads
# where it says, what signs and pads zones does, and the fault proxy does the harm it was told to do and no other.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dns_lib.sh"
net_up
dns_net
for kind in bind knot pdns; do
	customer $kind.test managed $kind
	host $kind signed-$kind.test signed
done
customer mixed.example mixed bind
customer shadow.example shadow knot
customer external.example external bind
customer lame.example lame pdns
bind_up
knot_up
pdns_up
world_up
resolver_up
for side in c v; do
	DNS_FROM=$side serves ${SECONDARY[bind]} bind.test A 192.0.2.10
	DNS_FROM=$side serves "$(v6 ${SECONDARY[pdns]})" pdns.test A 192.0.2.10
done
say "all servers answer"

# ---- zones
text() { axfr "$1" "$2" | sed "s/$2/zone/g; s/ns\\([12]\\).$3.provider/ns\\1.provider/g" | sort; } # SERVER ZONE KIND: without what differs by name
for kind in bind knot pdns; do
	text ${PRIMARY[$kind]} $kind.test $kind >"$W/$kind.text"
	same "$kind: records of the plain zone" "$(wc -l <"$W/$kind.text")" 35
	same "$kind: zones unlike BIND's" "$(diff "$W/bind.text" "$W/$kind.text")" ""
	same "$kind: its secondary's zone" "$(text ${SECONDARY[$kind]} $kind.test $kind | diff "$W/$kind.text" -)" ""
	same "$kind: the signed zone, seen through" "$(text ${PRIMARY[$kind]} signed-$kind.test $kind | diff "$W/$kind.text" -)" ""
	is_signed ${SECONDARY[$kind]} signed-$kind.test || die "$kind: the signed zone is not signed on the secondary"
	! is_signed ${SECONDARY[$kind]} $kind.test || die "$kind: the plain zone is signed"
done

# ---- updates
for kind in bind knot pdns; do
	for zone in $kind.test signed-$kind.test; do
		update ${PRIMARY[$kind]} $zone <<-END
			prereq yxrrset www.$zone. IN A 192.0.2.10
			update delete www.$zone. A
			update add www.$zone. 60 A 198.51.100.10
			update delete www.$zone. AAAA
		END
		WAIT=30 wait_for serves ${SECONDARY[$kind]} www.$zone A 198.51.100.10
		serves "$(v6 ${PRIMARY[$kind]})" www.$zone A 198.51.100.10
		serves "$(v6 ${SECONDARY[$kind]})" www.$zone AAAA || die "$kind: the secondary still has the AAAA"
		same "$kind: TTL on the secondary" "$(ttl_of ${SECONDARY[$kind]} www.$zone A)" 60
	done
	fails_with 2 update ${PRIMARY[$kind]} $kind.test <<<"prereq yxrrset www.$kind.test. IN A 192.0.2.10"
	like "a value that is not there" "$OUT" NXRRSET
	for key in wrong limited; do fails_with 2 update ${PRIMARY[$kind]} $kind.test "$KEYS/$key.key" <<<"update add x.$kind.test. 60 A 192.0.2.10"; done
	[ $kind = pdns ] || update ${PRIMARY[$kind]} $kind.test "$KEYS/limited.key" <<<"update add www.$kind.test. 60 A 198.51.100.11"
	# a secondary that stays behind
	lag $kind
	update ${PRIMARY[$kind]} $kind.test <<<"update add late.$kind.test. 60 A 192.0.2.11"
	serves ${PRIMARY[$kind]} late.$kind.test A 192.0.2.11
	serves ${SECONDARY[$kind]} late.$kind.test A 192.0.2.10 || die "$kind: the secondary follows although it is not told" # the wildcard
	unlag $kind $kind.test
	wait_for serves ${SECONDARY[$kind]} late.$kind.test A 192.0.2.11
done
say "updates are followed"
same "PowerDNS's API" "$(in_ns d curl -sf -H "X-API-Key: $(cat "$KEYS/api.key")" $API/zones/pdns.test. | python3 -c "import json, sys; print(json.load(sys.stdin)['name'])")" pdns.test.

# ---- delegations
parent() { ask_dns +norec +noall +authority "@$ROOT" "$1." NS | awk '{print $5}' | sort | paste -sd ' '; }
same managed "$(parent bind.test)" "ns1.bind.provider.example. ns2.bind.provider.example."
same mixed "$(parent mixed.example)" "ns1.bind.provider.example. ns1.foreign.example."
same shadow "$(parent shadow.example)" "ns1.foreign.example. ns2.foreign.example."
same external "$(parent external.example)" "ns1.foreign.example. ns2.foreign.example."
same lame "$(parent lame.example)" "ns1.pdns.provider.example. ns2.pdns.provider.example."
same "a shadow zone at the provider" "$(rcode ${PRIMARY[knot]} shadow.example SOA)" "NOERROR aa"
same "an external zone at the provider" "$(rcode ${PRIMARY[bind]} external.example SOA)" REFUSED
same "a lame zone at the provider" "$(rcode ${PRIMARY[pdns]} lame.example SOA)" REFUSED
for kind in bind knot pdns; do wait_for resolves both.$kind.test A 192.0.2.10 192.0.2.11; done
for name in mixed shadow external; do wait_for resolves www.$name.example A 192.0.2.10; done
same "a lame name, resolved" "$(resolved www.lame.example A)" ""
wait_for resolves shop.bind.test A 203.0.113.99 # a CNAME to a CDN
wait_for resolves ns2.pdns.provider.example AAAA 2001:db8:53::32
customer later.test managed knot
wait_for resolves later.test AAAA 2001:db8::10
update ${PRIMARY[knot]} later.test <<<"update delete later.test. AAAA"
wait_for resolves later.test AAAA
say "delegations lead where they should"

# ---- many zones, big zones
for kind in bind knot pdns; do host_many $kind 30; done
for kind in bind knot pdns; do serves ${SECONDARY[$kind]} www.z17.test A 192.0.2.10; done
{ zone_file ns1.bind.provider.example ns2.bind.provider.example; many_names 3000; } >"$W/big.zone"
for kind in bind knot pdns; do
	host $kind big.test plain "$W/big.zone"
	fault_up $kind 10.53.0.91 ${PRIMARY[$kind]}
	same "$kind: records of the big zone" "$(axfr 10.53.0.91 big.test | wc -l)" 3035
	messages=$(awk '$3 == "answer" { n[$4]++ } END { printf "%d signed, %d not", n["tsig"], n["bare"] }' "$DNS/fault-$kind.seen")
	like "$kind: messages of its transfer" "$messages" '^([2-9]|[1-9][0-9]+) signed, 0 not$'
	say "$kind: messages of its transfer: $messages"
	stop fault-$kind
done
say "many zones, big zones"

# ---- faults
P=10.53.0.92
fault_up f $P ${PRIMARY[bind]}
add() { update "${2:-$P}" bind.test <<<"update add $1.bind.test. 60 TXT $1"; }
is_there() { serves ${PRIMARY[bind]} "$1.bind.test" TXT "\"$1\""; }
add plain && is_there plain || die "an update does not pass"
# nsupdate tries again by itself when a connection is cut
fault f cut-after for=update times=1
before=$(requests f update)
add cut-after 2>"$W/cut" || :
is_there cut-after || die "what was cut after the update was not applied"
like "updates sent through a cut" "$(($(requests f update) - before))" '^[12]$'
fault f clear
fault f cut-before for=update
! add cut-before 2>"$W/cut" || die 'an update passes although it was cut'
fault f clear
fault f instead rcode=2 for=update times=1
fails_with 2 add instead
for name in cut-before instead; do ! is_there $name >"$W/there" || die "$name: an update that should not has passed"; done
# FAULT WHAT-DIG-SAYS [OPTION..]: a transfer that is spoiled once, and only once
spoils() {
	local wrong=$1 says=$2
	shift 2
	fault f clear
	fault f "$wrong" for=axfr times=1 "$@"
	! axfr $P bind.test >"$W/spoilt" 2>&1 || die "a transfer with $wrong goes well: $(cat "$W/spoilt"; tail -n 3 "$W/axfr.out")"
	like "$wrong" "$(cat "$W/spoilt" "$W/axfr.out")" "$says"
	axfr $P bind.test >"$W/sound"
}
spoils bad-mac 'verify signature'
spoils no-tsig 'verify signature: expected a TSIG'
spoils rcode 'status: SERVFAIL' rcode=2
spoils wrong-id 'no transfer'
spoils truncate 'no transfer'
spoils short 'malformed'
spoils loop 'malformed|no transfer'
spoils garbage 'malformed|no transfer'
spoils cut-before 'no transfer'
spoils cut-after 'no transfer'
fault f clear
fault f forged-first rcode=5 for=soa over=udp times=1
same "a forged answer before the true one" "$(rcode $P bind.test SOA)" REFUSED
same "after it" "$(rcode $P bind.test SOA)" "NOERROR aa"
fault f delay ms=300 for=soa times=1
began=$(now_ms)
serial $P bind.test >"$W/late"
[ $(($(now_ms) - began)) -ge 300 ] || die "an answer came earlier than it may"
fault f tc for=a over=udp
like "a truncated answer" "$(ask_dns +ignore "@$P" www.bind.test A)" 'flags:[^;]* tc'
same "the same over TCP" "$(answer $P both.bind.test A 2>"$W/tc" | wc -l)" 2
fault f clear
fault f wrong-question for=soa times=1
unlike "an answer to another question" "$(ask_dns +tries=1 +time=1 "@$P" bind.test. SOA || :)" 'ANSWER: 1'
fault f clear
fault f reorder n=3 for=soa over=tcp
in_ns d python3 - $P >"$W/order" <<'END'
import socket, struct, sys
s = socket.create_connection((sys.argv[1], 53))
for i in (1, 2, 3):
    q = struct.pack("!6H", i, 0, 1, 0, 0, 0) + b"\4bind\4test\0" + struct.pack("!HH", 6, 1)
    s.sendall(struct.pack("!H", len(q)) + q)
f = s.makefile("rb")
for _ in range(3):
    n, = struct.unpack("!H", f.read(2))
    print(struct.unpack("!H", f.read(n)[:2])[0])
END
same "answers in another order" "$(paste -sd ' ' "$W/order")" "3 2 1"
fault f clear
fault f reset for=connect times=1
! ask_dns +tcp "@$P" bind.test SOA >"$W/reset" 2>&1 || unlike "a connection that is reset" "$(cat "$W/reset")" 'ANSWER: 1'
fault f closed
fails_with 9 ask_dns +tcp "@$P" bind.test SOA
like "nobody listens" "$OUT" refused
fault f open
same "somebody listens again" "$(rcode $P bind.test SOA)" "NOERROR aa"
say "faults harm as told"
