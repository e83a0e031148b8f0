#!/usr/bin/env bash
# long: six zones, some thirty commands.
# There and back on BIND, Knot and PowerDNS, plain and signed: what a plan shows is what happens, on every server, and what was before is again
# there afterwards, TTLs included, in whatever order two accounts of one zone go. A relocation takes home what came to the zone meanwhile.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dns_lib.sh"
. "$(dirname "$0")/dnsupdate_lib.sh"
dns_net
KINDS=${KINDS:-bind pdns knot} # Knot last: for zones that it does not have, a second goes by before its unsigned word is believed
zones=() all= theirs=
for kind in $KINDS; do
	{
		zone_file "$(ns_of $kind 1)" "$(ns_of $kind 2)"
		cat <<-'END'
			MiXed.CaSe 900 A    192.0.2.10
			lone     3600  A    192.0.2.10
			lone     3600  AAAA 2001:db8::12
			lone6    3600  AAAA 2001:db8::12
			shared   1200  A    192.0.2.10
			a.shared 1200  AAAA 2001:db8::11
		END
	} >"$W/zone"
	for how in plain signed; do
		zone=$how-$kind.test
		zones+=($zone)
		host $kind $zone $how "$W/zone"
		delegate $zone managed $kind
		all="$all${all:+,}$zone,*.$zone" theirs="$theirs${theirs:+,}shared.$zone,*.shared.$zone"
	done
done
for kind in $KINDS; do ${kind}_up; done
world_up
resolver_up
accounts "alice:$all" "bob:$theirs"
dns_conf
primary_of() { local kind=${1#*-}; echo "${PRIMARY[${kind%%.*}]}"; } # ZONE
# The program has seen the zones on every server: nobody waits here.
keep_all() { # NAME: secondaries as primaries
	keep $1 "${zones[@]}"
	same "$1: secondaries" "$(unlike_each_other $W/$1/primary $W/$1/secondary)" ""
}
is_as() { same "$2: unlike $1" "$(unlike_each_other "$W/$1/primary" "$W/$2/primary")" ""; } # NAME NAME
is_planned() { same "$1: not what was planned" "$(unlike_each_other "$W/plan/result" "$W/$1/primary")" ""; } # NAME
of_all() { # FILE: the lines of one zone, ZONE in place of its name, for every zone, into DIRECTORY
	local zone
	rm -rf "$2" && mkdir -p "$2"
	for zone in "${zones[@]}"; do sed "s/ZONE/$zone/" "$1" | sort >"$2/$zone"; done
}
all_serials() { printf '%s\n' "${zones[@]}" >"$W/all.zones"; for zone in "${zones[@]}"; do echo "@$(primary_of $zone) $zone. SOA"; done >"$W/all.ask"; ask_dns +short +norec -f "$W/all.ask"; }
outcomes() { # OUTCOME [PUBLISHED]: of every zone in $TOLD
	same "outcome" "$(pick '[(len(Z), *sorted({z["outcome"] for z in Z}), d["published"])]')" "${#zones[@]} $1 ${2:-True}"
}
keep_all before

# ---- what will be
told classify alice
same "verdicts" "$(member counts)" "{\"managed\": ${#zones[@]}}"
told plan alice
outcomes would-change False
unfold_plan $W/before
spf='include:_spf.foreign.example ~all"'
cat >"$W/becomes" <<END
*.ZONE. 60 in a 198.51.100.10
*.ZONE. 60 in aaaa 2001:db8:1::10
ZONE. 60 in a 198.51.100.10
ZONE. 60 in aaaa 2001:db8:1::10
ZONE. 60 in txt "Verification=AbCdEf"
ZONE. 60 in txt "v=spf1 ip4:192.0.2.10 ip4:198.51.100.10 ip4:192.0.2.11 ip4:198.51.100.11 ip6:2001:db8::10 ip6:2001:db8:1::10 $spf
both.ZONE. 60 in a 198.51.100.10
both.ZONE. 60 in a 198.51.100.11
both.ZONE. 60 in aaaa 2001:db8:1::10
both.ZONE. 60 in aaaa 2001:db8:1::11
half.ZONE. 60 in a 198.51.100.10
half.ZONE. 60 in a 203.0.113.80
lone.ZONE. 60 in a 198.51.100.10
mail.ZONE. 60 in a 198.51.100.11
mail.ZONE. 60 in aaaa 2001:db8:1::11
mail.ZONE. 60 in txt "v=spf1 ip4:192.0.2.11 ip4:198.51.100.11 ip6:2001:db8::/64 -all"
mixed.case.ZONE. 60 in a 198.51.100.10
only6.ZONE. 60 in aaaa 2001:db8:1::11
soon.ZONE. 30 in a 198.51.100.11
www.ZONE. 60 in a 198.51.100.10
www.ZONE. 60 in aaaa 2001:db8:1::10
END
cat >"$W/was" <<END
*.ZONE. 600 in a 192.0.2.10
*.ZONE. 600 in aaaa 2001:db8::10
ZONE. 3600 in a 192.0.2.10
ZONE. 3600 in aaaa 2001:db8::10
ZONE. 3600 in txt "Verification=AbCdEf"
ZONE. 3600 in txt "v=spf1 ip4:192.0.2.10 ip4:192.0.2.11 ip6:2001:db8::10 $spf
both.ZONE. 3600 in a 192.0.2.10
both.ZONE. 3600 in a 192.0.2.11
both.ZONE. 3600 in aaaa 2001:db8::10
both.ZONE. 3600 in aaaa 2001:db8::11
half.ZONE. 3600 in a 192.0.2.10
half.ZONE. 3600 in a 203.0.113.80
lone.ZONE. 3600 in a 192.0.2.10
lone.ZONE. 3600 in aaaa 2001:db8::12
mail.ZONE. 7200 in a 192.0.2.11
mail.ZONE. 7200 in aaaa 2001:db8::11
mail.ZONE. 7200 in txt "v=spf1 ip4:192.0.2.11 ip6:2001:db8::/64 -all"
mixed.case.ZONE. 900 in a 192.0.2.10
only6.ZONE. 1800 in aaaa 2001:db8::11
soon.ZONE. 30 in a 192.0.2.11
www.ZONE. 300 in a 192.0.2.10
www.ZONE. 300 in aaaa 2001:db8::10
END
for what in was becomes; do
	of_all "$W/$what" "$W/expected"
	same "plan: $what" "$(unlike_each_other "$W/expected" "$W/plan/$what")" ""
done
same "longest TTL" "$(pick '{z["old-ttl"] for z in Z}')" 7200
same "notes of addresses without partner" "$(pick '(n for z in Z for n in z["notes"])' | grep -c '^lone6\.[^ ]* AAAA: IPv6 only and no IPv6 partner')" ${#zones[@]}
same "notes of SPF that holds the server's network" "$(pick '(n for z in Z for n in z["notes"])' | grep -ciE '^mail\.[^ ]* TXT: SPF ip6:2001:db8::/64 holds the server')" ${#zones[@]}
dnsupdate plan alice >"$W/plan.text"
same "sets in the text" "$(grep -ciE '^  (www|lone|both|half|mail|only6|soon|mixed\.case|\*)\.[a-z.-]+ +(A|AAAA|TXT) .* -> ' "$W/plan.text")" $((15 * ${#zones[@]}))
grep -qiE '^  lone\.[^ ]* +AAAA +2001:db8::12 \(TTL 3600\) -> nothing' "$W/plan.text" || die "the AAAA that goes is not in the text"
tail -n 1 "$W/plan.text" | grep -qx "$((18 * ${#zones[@]})) record sets would change; nothing was changed" || die "the text ends with $(tail -n 1 "$W/plan.text")"
keep_all planned
is_as before planned
like "status of nothing" "$(dnsupdate status)" '^no records are changed$'
say "planned"

# ---- TTLs ahead
began=$(date +%s)
told prepare alice
outcomes done
clean=$(($(date -d "$(member clean-at)" +%s) - began))
[ $clean -ge 7210 ] && [ $clean -le 7500 ] || die "clean $clean s after the TTLs were lowered, of which the longest was 7200 s"
keep_all prepared
mkdir "$W/expected-ttl"
for zone in "${zones[@]}"; do
	{
		comm -23 "$W/before/primary/$zone" "$W/plan/was/$zone"
		awk '$2 > 60 { $2 = 60 } 1' "$W/plan/was/$zone"
	} | sort >"$W/expected-ttl/$zone"
done
same "prepared" "$(unlike_each_other "$W/expected-ttl" "$W/prepared/primary")" ""
told prepare alice
outcomes nothing
say "prepared"

# ---- there
told push alice
outcomes done
keep_all pushed
is_planned pushed
for zone in "${zones[@]}"; do
	case $zone in signed*)
		kind=${zone#*-} kind=${kind%%.*}
		ask_dns +noall +answer +onesoa -k "$KEYS/redir.key" "@${SECONDARY[$kind]}" $zone. axfr >"$W/signed"
		[ -n "$(awk -v owner="www.$zone." 'tolower($1) == owner && $4 == "RRSIG" && $5 == "A"' "$W/signed")" ] || die "no signature of the new www.$zone"
		dnssec-verify -z -o $zone. "$W/signed" >"$W/verified" 2>&1 || die "$zone does not validate: $(cat "$W/verified")"
	esac
done
all_serials >"$W/serials"
told push alice
outcomes nothing
same "record sets of the second push" "$(member changed)" 0
same "serials that moved for nothing" "$(all_serials | diff "$W/serials" -)" ""
told verify alice
outcomes nothing
for zone in "${zones[@]}"; do
	kind=${zone#*-} kind=${kind%%.*}
	for server in ${PRIMARY[$kind]} ${SECONDARY[$kind]}; do printf '%s. %s 18 of 18\n' $zone $server $zone "$(v6 $server)"; done
done | sort >"$W/expected-servers"
same "servers that show it" "$(pick '((z["zone"], s["address"], s["seen"], "of", s["of"]) for z in Z for s in z["servers"] if s["after-ms"] is not None and not s["resolver"])' | sort | diff "$W/expected-servers" -)" ""
like "status" "$(dnsupdate status alice)" "^alice ${zones[0]}\. pushed, 18 record sets since .*, seen on every name server at "
say "pushed"

# ---- kept, and back
told finalise alice
outcomes done
keep_all finalised
for zone in "${zones[@]}"; do
	same "$zone: values when finalised" "$(diff <(awk '{ $2 = ""; print }' "$W/pushed/primary/$zone" | sort) <(awk '{ $2 = ""; print }' "$W/finalised/primary/$zone" | sort))" ""
	same "$zone: TTLs when finalised" "$(diff <(awk '!/^lone\..* aaaa/ { print $1, $2, $4 }' "$W/before/primary/$zone" | sort -u) <(awk '{ print $1, $2, $4 }' "$W/finalised/primary/$zone" | sort -u))" ""
done
told undo alice
outcomes done
keep_all undone
is_as before undone
told undo alice
same "zones of the second undo" "$(member zones)" "[]"
like "status after the undo" "$(dnsupdate status)" '^no records are changed$'
same "what the journal holds" "$(find "$JOURNAL" -type f -path '*alice*' -name '*.test*' | head -n 3)" ""
say "undone"

# ---- two accounts of one zone
told push bob
told push alice
keep_all both
same "bob's names" "$(grep -h 'shared' "$W"/both/primary/* | awk '{ print $2, $5 }' | sort -u)" "60 198.51.100.10
60 2001:db8:1::11"
told undo bob
keep_all alice_alone
is_as pushed alice_alone
told push bob
told undo alice
keep_all bob_alone
same "alice's way back" "$(unlike_each_other "$W/before/primary" "$W/bob_alone/primary" | grep '^[<>]' | grep -v shared || :)" ""
told undo bob
keep_all both_undone
is_as before both_undone
say "two accounts"

# ---- home again, after somebody has edited the zone
told push alice
for zone in "${zones[@]}"; do
	update "$(primary_of $zone)" $zone <<-END
		update add New.$zone. 450 A 198.51.100.11
		update add New.$zone. 450 AAAA 2001:db8:1::11
		update add New.$zone. 450 TXT "v=spf1 ip4:198.51.100.11 -all"
		update add half.$zone. 60 A 203.0.113.81
		update delete soon.$zone. A
	END
done
keep edited "${zones[@]}"
told plan alice --to client
unfold_plan $W/edited
told push alice --to client
outcomes done
keep_all home
is_planned home
cat >"$W/new" <<END
< soon.ZONE. 30 in a 192.0.2.11
> half.ZONE. 3600 in a 203.0.113.81
> new.ZONE. 450 in a 192.0.2.11
> new.ZONE. 450 in aaaa 2001:db8::11
> new.ZONE. 450 in txt "v=spf1 ip4:192.0.2.11 -all"
END
of_all "$W/new" "$W/expected-new"
same "what is not as before" "$(unlike_each_other "$W/before/primary" "$W/home/primary" | grep '^[<>]' | sort | diff <(sort "$W"/expected-new/*) -)" ""
same "what names the transit server" "$(grep -hE '198\.51\.100|2001:db8:1:' "$W"/home/primary/* || :)" ""
told undo alice
keep_all home_still
is_as home home_still
no_secret
say "done"
