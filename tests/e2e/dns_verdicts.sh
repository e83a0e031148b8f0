#!/usr/bin/env bash
# long: a thousand zones, several laboratories' worth of questions.
# Whose DNS is it? Every sort of delegation and every sort of name gets its verdict from what the servers say, an account with another's domain
# below its own is told only of what is its own, a dead resolver is told of quickly, and a thousand domains are looked at side by side.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dns_lib.sh"
. "$(dirname "$0")/dnsupdate_lib.sh"
MANY=${MANY:-1000}
KINDS=knot
dns_net
customer managed.test managed knot
customer mixed.test mixed knot
customer external.test external knot
customer shadow.test shadow knot
customer lame.test lame knot
customer cut.managed.test managed knot # a zone of its own below a managed one
host knot undelegated.test             # the provider has it, and nobody delegates it
{
	zone_file "$(ns_of knot 1)" "$(ns_of knot 2)"
	cat <<-'END'
		alias    3600 CNAME www
		chain    3600 CNAME alias
		out      3600 CNAME edge.cdn.foreign.example.
		cut      86400 NS   ns1.knot.provider.example.
		cut      86400 NS   ns2.knot.provider.example.
		bobs     3600 A     192.0.2.10
		www.bobs 3600 A     192.0.2.11
		hint     3600 HTTPS 1 . ipv4hint=192.0.2.10
		note     3600 TXT   "the server is 192.0.2.10"
	END
} >"$W/zone"
cp "$W/zone" "$DNS/knot-primary/zones/managed.test.zone"
host_many knot "$MANY"
delegate_many knot "$MANY"
knot_up
world_up
resolver_up
dns_conf
accounts "alice:managed.test,*.managed.test,mixed.test,external.test,shadow.test,lame.test,undelegated.test,never.test,cut.managed.test" "bob:bobs.managed.test,*.bobs.managed.test"

# ---- domains
told classify alice
pick '((x["domain"], x["verdict"]) for x in d["domains"])' >"$W/verdicts"
same "verdicts" "$(diff - "$W/verdicts" <<-END
	cut.managed.test. managed
	external.test. external
	lame.test. lame
	managed.test. managed
	mixed.test. mixed
	never.test. absent
	shadow.test. shadow
	undelegated.test. absent
END
)" ""
pick '((x["domain"], x["why"]) for x in d["domains"])' >"$W/whys"
for text in 'external\.test\. .*ns1\.foreign\.example.*none of them the provider' 'mixed\.test\. .*ns1\.foreign\.example.*not all of them the provider' \
	'shadow\.test\. the provider has a zone shadow\.test\. that nobody sees' 'lame\.test\. .*does not answer for it: ns1\.knot\.provider\.example\. answers REFUSED' 'managed\.test\. test\. delegates'; do
	grep -qE "^$text" "$W/whys" || die "no reason like '$text' in $(cat "$W/whys")"
done

# ---- names
pick '((n["name"].lower().replace(".managed.test.", ""), n["type"], n["fate"]) for x in d["domains"] if x["domain"] == "managed.test." for n in x["names"])' | sort >"$W/names"
same "names" "$(diff - "$W/names" <<-'END'
	* A changes
	* AAAA changes
	_sip._tcp SRV follows
	alias CNAME follows
	blog CNAME follows
	both A changes
	both AAAA changes
	chain CNAME follows
	cut NS sub-zone
	ftp CNAME elsewhere
	glued NS sub-zone
	half A changes
	hint HTTPS unsupported
	mail A changes
	mail AAAA changes
	mail TXT changes
	managed.test. A changes
	managed.test. AAAA changes
	managed.test. MX follows
	managed.test. TXT changes
	note TXT unsupported
	ns.glued A sub-zone
	office A elsewhere
	only6 AAAA changes
	out CNAME elsewhere
	shop CNAME elsewhere
	soon A changes
	sub NS sub-zone
	www A changes
	www AAAA changes
END
)" "" # bob's two are not among them
told classify bob
same "bob's" "$(pick '((x["domain"], x["verdict"], n["name"], n["type"], n["fate"]) for x in d["domains"] for n in x["names"])')" \
	"bobs.managed.test. managed bobs.managed.test. A changes
bobs.managed.test. managed www.bobs.managed.test. A changes"
exits 0 classify Managed.Test. never.test
like "domains of nobody" "$OUT" '^managed\.test\. managed: '
like "how many" "$OUT" '^2 domains: 1 managed, 1 absent$'
exits 0 classify alice
like "as text" "$OUT" '^  out\.managed\.test\. +elsewhere +CNAME to edge\.cdn\.foreign\.example\.$'
like "counts" "$OUT" '^8 domains: .*2 absent'
say "verdicts"

# ---- of a mixed delegation, our half is changed, and the other is named, whatever is asked
accounts "mix:mixed.test,*.mixed.test" "shade:shadow.test"
told push shade
same "a shadow" "$(pick '((z["outcome"], z["verdict"], d["changed"]) for z in Z)')" "skipped shadow 0"
exits_json 4 push mix --wait 6
like "who does not show it" "$TOLD" '"lagging":\["[^"]*ns1\.foreign\.example\. \(10\.53\.0\.2\) answers '
like "from when it is clean" "$TOLD" '"clean-at":null,"ok":false'
wait_for serves ${SECONDARY[knot]} www.mixed.test A 198.51.100.10
exits_json 4 verify mix --wait 0
like "who still does not" "$TOLD" '"lagging":\["ns1\.foreign\.example\. \(10\.53\.0\.2\) answers '
told undo mix
serves ${SECONDARY[knot]} www.mixed.test A 192.0.2.10
say "mixed"

# ---- a resolver that is not there, and one that says nothing
in_ns d nft -f - <<-END
	table inet silence {
		chain in {
			type filter hook input priority 0;
			ip daddr 10.53.0.93 drop
		}
	}
END
for resolver in 10.53.0.92 10.53.0.93; do
	RESOLVERS=$resolver dns_conf
	# one after the other they would take two minutes
	accounts "alice:managed.test,shadow.test,lame.test,$(seq -f z%g.test -s , 1 27)"
	began=$(now_ms)
	told classify alice
	took=$(($(now_ms) - began))
	same "verdicts without resolver" "$(pick '{x["verdict"] for x in d["domains"]}')" unknown
	like "why" "$TOLD" "\"why\":\"no resolver answers: ${resolver//./\\.} does not answer"
	[ $took -lt 60000 ] || die "it took $took ms to say that $resolver does not answer"
	say "without $resolver: $took ms"
done
dns_conf

# ---- many, side by side, with progress on a terminal
accounts "big:$(for ((i = 1; i <= MANY; i++)); do printf 'z%d.test,' $i; done)*.z1.test"
began=$(now_ms)
in_ns d script -qec "$PLAIN/shunt-dnsupdate -c $W/shunt.conf classify big --accounts $W/accounts.json >$W/many" /dev/null >"$W/progress" </dev/null
took=$(($(now_ms) - began))
same "the last line" "$(tail -n 1 "$W/many")" "$MANY domains: $MANY managed"
same "names that change" "$(grep -c '^  .* changes ' "$W/many")" $((15 * MANY))
tr '\r' '\n' <"$W/progress" >"$W/progress.lines"
grep -q "[^0-9]$((MANY / 2)) zones done" "$W/progress.lines" || die "no progress: $(tail -c 200 "$W/progress")"
say "$MANY domains in $took ms: $((MANY * 1000 / took)) a second"
no_secret
