#!/usr/bin/env bash
# long
# push and undo while what is between shunt-dnsupdate and the primary cuts, hangs, delays, damages, forges and repeats: a zone is as it was or as it was
# planned, never between; an update is sent again only where it was seen not to be there; the exit code and the words are the truth.
# Of group 2j of the catalogue of bad input: 202 no-tsig, bad-mac, rcode, late-mac; 203 wrong-id, wrong-question, forged; 204 all is TCP (no update over
# UDP); 205 hang-before, cut-after, late; 206 servfail, servfail-ever; 207 two-zones; 210 loop, garbage, short, truncate; 213 restart, moved, six.
# 201, 208, 211 and 212 have stories of their own (wrong keys and clocks, drift, key files, kinds of records), 209 is dns_lag.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dns_lib.sh"
. "$(dirname "$0")/dnsupdate_lib.sh"
dns_net
mkdir "$W/case"
declare -A PROXY_AT=([bind]=10.53.0.91 [knot]=10.53.0.92 [pdns]=10.53.0.93)
names=() big=()
declare -A KIND EXIT STATE UPDATES SAYS
# One attack, on a zone of its own, NAME-KIND.test of the account NAME-KIND. FAULT: FAULT.WHAT[.OPTION=VALUE..], of that zone alone.
attack() { # NAME-KIND EXIT before|planned UPDATES WORDS [FAULT..]
	local name=$1 f
	names+=("$name")
	KIND[$name]=${1##*-} EXIT[$name]=$2 STATE[$name]=$3 UPDATES[$name]=$4 SAYS[$name]=$5
	case $name in big-*) big+=("$name") ;; *) customer "$name.test" managed "${KIND[$name]}" ;; esac
	shift 5
	for f; do
		set -- ${f//,/ }
		echo "$1 zone=$name.test for=$2 ${*:3}"
	done >"$W/case/$name.rules"
}
done_='seen on every name server'

# ---- of an update. What nothing was believed of is waited for, 10 seconds, and then looked at
attack late-ever-bind 4 before '[1-4]' 'closed the connection; sent [1-4] times.*may still do it' late,update
attack late-bind 0 planned 2 "$done_" late,update,times=1
attack servfail-bind 0 planned '[234]' "$done_" delay,update,times=1,ms=6000 # it ends meanwhile
for kind in bind knot pdns; do
	attack plain-$kind 0 planned 1 "$done_"
	attack cut-after-$kind 0 planned 1 "$done_" cut-after,update,times=1
	attack cut-before-$kind 0 planned 2 "$done_" cut-before,update,times=1
done
attack hang-bind 0 planned 1 "$done_" hang,update,times=1
attack hang-before-bind 0 planned 2 "$done_" hang-before,update,times=1
attack cut-ever-knot 4 before '[1-4]' 'closed the connection; sent [1-4] times.*may still do it' cut-before,update
attack delay-knot 0 planned 1 "$done_" delay,update,times=1,ms=2000
attack truncate-bind 0 planned 1 "$done_" truncate,update,times=1
attack short-pdns 0 planned 1 "$done_" short,update,times=1
attack wrong-id-bind 0 planned 1 "$done_" wrong-id,update,times=1
attack wrong-question-knot 0 planned 1 "$done_" wrong-question,update,times=1
attack rcode-bind 0 planned 1 "$done_" rcode,update,times=1,rcode=5
attack no-tsig-bind 0 planned 1 "$done_" no-tsig,update,times=1
attack bad-mac-pdns 0 planned 1 "$done_" bad-mac,update,times=1
attack forged-bind 0 planned 1 "$done_" forged-first,update,rcode=5
attack forged-done-bind 0 planned 2 "$done_" instead,update,rcode=0,times=1
attack servfail-ever-bind 3 before '[1-4]' 'SERVFAIL.*its log says why'
attack servfail-forged-bind 0 planned 2 "$done_" instead,update,rcode=2,times=1
attack loop-bind 0 planned 1 "$done_" loop,update,times=1
attack garbage-bind 0 planned 1 "$done_" garbage,update,times=1
attack garbage-all-knot 0 planned 1 "$done_" garbage,update,times=1,id=no
# ---- of reading: before anything was sent nothing is changed, afterwards it is read again
attack soa-mac-bind 3 before 0 'unauthenticated' bad-mac,soa
attack soa-forged-knot 0 planned 1 "$done_" forged-first,soa,rcode=3
attack axfr-cut-bind 3 before 0 'closed the connection' truncate,axfr
attack axfr-hang-bind 3 before 0 'no answer within 10 s' hang,axfr
attack axfr-mac-knot 3 before 0 'unauthenticated|no answer' bad-mac,axfr
attack axfr-loop-bind 3 before 0 'found' loop,axfr
attack axfr-garbage-bind 3 before 0 'found' garbage,axfr
attack big-cut-bind 3 before 0 'closed the connection' cut-after,axfr,at=2
attack big-drop-bind 3 before 0 'unauthenticated' drop,axfr,at=2
attack big-bare-bind 3 before 0 'unauthenticated|unsigned' no-tsig,axfr,at=2
attack big-mac-bind 3 before 0 'unauthenticated' bad-mac,axfr,at=3
attack seen-late-bind 0 planned 1 "$done_" cut-before,axfr,skip=1,times=2
attack unseen-bind 4 planned 1 'closed the connection' cut-before,axfr,skip=1

{ zone_file ns1.bind.provider.example ns2.bind.provider.example; many_names 6000; } >"$W/big.zone"
for name in "${big[@]}"; do
	host bind $name.test plain "$W/big.zone"
	delegate $name.test managed bind
done
for zone in one two three four five six; do host knot $zone.crowd.test; delegate $zone.crowd.test managed knot; done
customer two-zones.test managed bind
customer two-zones.example managed bind
customer restart.test managed pdns
customer six.test managed bind
bind_up
knot_up
pdns_up
world_up
resolver_up
accounts $(for name in "${names[@]}" restart six; do echo "$name:$name.test"; done) two-zones:two-zones.test,two-zones.example \
	crowd:$(printf '%s.crowd.test,' one two three four five)six.crowd.test
for kind in bind knot pdns; do
	fault_up $kind ${PROXY_AT[$kind]} ${PRIMARY[$kind]}
	CONF=$W/$kind.conf KINDS=$kind ZONE_SERVERS=${PROXY_AT[$kind]} dns_conf
done
say "all servers answer"

# ---- what a zone is to be
like_all() { sed "s/$1/zone/g; s/ns\\([12]\\).[a-z]*.provider/ns\\1.provider/g" | sort; } # ZONE: its text without what differs by name
text() { axfr "$2" "$1" | like_all "$1"; }                                             # ZONE SERVER
text plain-bind.test ${PRIMARY[bind]} >"$W/before"
text big-cut-bind.test ${PRIMARY[bind]} >"$W/big-before"
keep was plain-bind.test
CONF=$W/bind.conf told plan plain-bind
unfold_plan "$W/was"
like_all plain-bind.test <"$W/plan/result/plain-bind.test" >"$W/planned"
! cmp -s "$W/before" "$W/planned" || die "nothing is planned"
is_as() { # NAME before|planned: the zone of an attack, as the primary itself has it, or had it when it was kept
	local want=$W/$2
	case $1 in big-*) want=$W/big-$2 ;; esac
	if [ -e "$W/kept/primary/$1.test" ]; then like_all "$1.test" <"$W/kept/primary/$1.test"; else text "$1.test" "${PRIMARY[${KIND[$1]}]}"; fi >"$W/is"
	same "$1: the zone, which should be as $2" "$(diff "$want" "$W/is")" ""
}
updates() { awk -v zone="$2.test" '$3 == "update" && tolower($4) == zone { print $5 }' "$DNS/fault-$1.seen"; } # KIND NAME: their ids

# ---- all at once
run() { # NAME WORD..: in the background; what it said, its exit code and the time of the processor that it took are kept
	local name=$1 rc=0 TIMEFORMAT='%U %S'
	shift
	{ time in_ns d "$DNSUPDATE" -c "$W/${KIND[$name]}.conf" "$@" >"$W/case/$name.out" 2>&1 || rc=$?; } 2>"$W/case/$name.time"
	echo $rc >"$W/case/$name.rc"
}
# For each attack, side by side, but not so many that one does not get a processor for seconds: it would give up a connection that is there.
run_all() { # WORD ARGUMENT..
	local name
	for name in "${names[@]}"; do
		while [ "$(jobs -rp | wc -l)" -ge 10 ]; do wait -n || :; done
		run "$name" "$1" "$name" "${@:2}" &
	done
	wait $(jobs -p)
}
# The journal of a zone is a directory: BIND answers SERVFAIL, and signs it.
for name in servfail-bind servfail-ever-bind; do mkdir "$DNS/bind-primary/zones/$name.test.zone.jnl"; done
for name in "${names[@]}"; do cat "$W/case/$name.rules" >>"$DNS/fault-${KIND[$name]}.rules"; done
{
	WAIT=120 wait_for grep -q "updating zone 'servfail-bind.test/IN': error" "$W/log/bind-primary"
	rmdir "$DNS/bind-primary/zones/servfail-bind.test.zone.jnl"
} &
# What is late for ever comes when its push has given up, and no later: its signature is good for half a minute.
late_are_held() { [ -e "$W/case/late-ever-bind.rc" ] && [ "$(updates bind late-bind | wc -l)" = 2 ]; }
came_late() { awk '$3 == "late" { came++ } $6 == "late" { held++ } END { exit came != held }' "$DNS/fault-bind.seen"; }
{
	WAIT=120 wait_for late_are_held
	is_as late-ever-bind before
	fault bind release
	wait_for came_late
	: >"$W/late"
} >"$W/log/late" 2>&1 &
run_all push --accounts "$W/accounts.json" --wait 45
[ -e "$W/late" ] || die "$(cat "$W/log/late")"
say "${#names[@]} attacks are over"

keep kept "${names[@]/%/.test}"
STATE[late-ever-bind]=planned # the push had given up; its journal was left for this
for name in "${names[@]}"; do
	out=$(cat "$W/case/$name.out")
	same "$name: exit code ($out)" "$(cat "$W/case/$name.rc")" "${EXIT[$name]}"
	like "$name" "$(paste -sd ' ' "$W/case/$name.out")" "${SAYS[$name]}"
	is_as "$name" "${STATE[$name]}"
	updates "${KIND[$name]}" "$name" >"$W/ids"
	like "$name: updates sent" "$(wc -l <"$W/ids")" "^${UPDATES[$name]}\$"
	# four, but one that found no connection, for want of a processor, was not sent
	case $name in cut-ever-* | late-ever-*) same "$name: how often, as it says" "$(grep -o -m1 'sent [0-9] times' "$W/case/$name.out" | tail -n 1)" "sent $(wc -l <"$W/ids") times" ;; esac
	same "$name: updates sent twice as they were" "$(sort "$W/ids" | uniq -d)" ""
	like "$name: seconds of the processor" "$(awk '{ print ($1 + $2 < 4 ? "few" : "many: " $0) }' "$W/case/$name.time")" few
	if grep -lE 'Sanitizer|runtime error:' "$W/case/$name.out" >>"$W/log/sanitizer"; then cp "$W/case/$name.out" "$W/log/$name"; fi
done
for kind in bind knot pdns; do same "$kind: updates over UDP" "$(awk '$2 == "udp" && $3 == "update"' "$DNS/fault-$kind.seen")" ""; done
say "each zone is as it was, or as planned"

# ---- what status knows, and the way on
recorded() { CONF=$W/bind.conf dnsupdate status "$1" | paste -sd ' '; }
for name in cut-ever-knot late-ever-bind unseen-bind; do like "status of $name" "$(recorded $name)" "$name.test. new \(a change was interrupted: push or undo settles it\), 15 record sets"; done
for name in servfail-ever-bind axfr-cut-bind soa-mac-bind big-mac-bind; do same "status of $name" "$(recorded $name)" "no records are changed"; done
like "status of hang" "$(recorded hang-bind)" 'hang-bind.test. pushed, 15 record sets since .*, seen on every name server at'
for kind in bind knot pdns; do
	fault $kind clear
	stop fault-$kind
	fault_up $kind ${PROXY_AT[$kind]} ${PRIMARY[$kind]}
done
run unseen-bind push unseen-bind --accounts "$W/accounts.json" --wait 45
same "what was interrupted, pushed again: $(cat "$W/case/unseen-bind.out")" "$(cat "$W/case/unseen-bind.rc")" 0
same "and sent again" "$(updates bind unseen-bind)" ""

# ---- back, under attack where that takes no ten seconds
for name in cut-{after,before}-{bind,knot,pdns} late-bind truncate-bind forged-bind; do
	cat "$W/case/$name.rules" >>"$DNS/fault-${KIND[$name]}.rules"
done
run_all undo --wait 45
fault bind release
wait_for came_late
rm -r "$W/kept"
keep kept "${names[@]/%/.test}"
for name in "${names[@]}"; do
	same "undo of $name: $(cat "$W/case/$name.out")" "$(cat "$W/case/$name.rc")" 0
	is_as "$name" before
	case $name in cut-before-* | late-bind) want=2 ;; *) want=1 ;; esac
	[ "${STATE[$name]}" = planned ] || want=0
	same "undo of $name: updates sent" "$(updates "${KIND[$name]}" "$name" | wc -l)" $want
done
rm -r "$W/kept"
CONF=$W/bind.conf
same "what is recorded after all" "$(dnsupdate status)" "no records are changed"
say "each zone is as it was"

# ---- answers in another order
CONF=$W/knot.conf
fault knot reorder n=3 for=update
exits 0 push crowd --wait 45
for zone in one two three four five six; do text $zone.crowd.test ${PRIMARY[knot]} | diff "$W/planned" - >"$W/is" || die "$zone.crowd.test is not as planned: $(cat "$W/is")"; done
crowd_updates() { awk '$3 == "update" && $4 ~ /crowd.test$/' "$DNS/fault-knot.seen" | wc -l; }
same "updates of six zones" "$(crowd_updates)" 6
exits 0 undo crowd --wait 45
same "updates there and back" "$(crowd_updates)" 12
fault knot clear

# ---- of two zones one is not taken
CONF=$W/bind.conf
mkdir "$DNS/bind-primary/zones/two-zones.example.zone.jnl"
exits_json 4 push two-zones --wait 45
same "the one that went well, the one that did not" "$(pick '[(z["zone"], z["outcome"]) for z in Z]' | sort | paste -sd ,)" "two-zones.example. failed,two-zones.test. done"
same "record sets changed" "$(member changed)" 15
OUT=$(dnsupdate status two-zones)
like "status" "$OUT" 'two-zones.test. pushed, 15 record sets'
unlike "status" "$OUT" 'two-zones.example'
rmdir "$DNS/bind-primary/zones/two-zones.example.zone.jnl"
exits 0 push two-zones --wait 45
for zone in two-zones.test two-zones.example; do text $zone ${PRIMARY[bind]} | diff "$W/planned" - >"$W/is" || die "$zone is not as planned: $(cat "$W/is")"; done

# ---- the primary is away, is elsewhere, comes back
fault bind closed
exits 3 undo two-zones --wait 5
like "nobody listens" "$OUT" 'refused'
fault bind open
fault bind reset for=connect
exits 3 undo two-zones --wait 5
like "connections are reset" "$OUT" '[Cc]onnection'
fault bind clear
ZONE_SERVERS=${PRIMARY[bind]} dns_conf
exits 3 undo two-zones --wait 5
like "the zone-server has another address" "$OUT" 'changed through 10.53.0.91 .*no zone-server of the configuration any more: put it back'
for zone in two-zones.test two-zones.example; do text $zone ${PRIMARY[bind]} | diff "$W/planned" - >"$W/is" || die "$zone was touched: $(cat "$W/is")"; done
ZONE_SERVERS=10.53.0.91 dns_conf
exits 0 undo two-zones --wait 45
for zone in two-zones.test two-zones.example; do text $zone ${PRIMARY[bind]} | diff "$W/before" - >"$W/is" || die "$zone is not as before: $(cat "$W/is")"; done
KIND[restart]=pdns
fault pdns hang-before for=update times=1
run restart push restart --accounts "$W/accounts.json" --wait 45 &
hangs() { [ -n "$(updates pdns restart)" ]; }
wait_for hangs
fault_up again ${PROXY_AT[pdns]} ${PRIMARY[pdns]} closed
stop fault-pdns
read -rt 0.7 <> <(:) || : # the next connections are refused
fault again open
wait $(jobs -p)
same "a primary that starts anew in the midst: $(cat "$W/case/restart.out")" "$(cat "$W/case/restart.rc")" 0
is_as restart planned
CONF=$W/pdns.conf exits 0 undo restart --wait 45
is_as restart before
CONF=$W/six.conf ZONE_SERVERS=$(v6 ${PRIMARY[bind]}) RESOLVERS=$(v6 $RESOLVER) dns_conf
CONF=$W/six.conf exits 0 push six --wait 45
KIND[six]=bind
is_as six planned
CONF=$W/six.conf exits 0 undo six --wait 45
is_as six before
CONF=$W/bind.conf
same "what is recorded in the end" "$(dnsupdate status)" "no records are changed"
