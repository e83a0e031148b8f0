#!/usr/bin/env bash
# Not every name server follows: push names those that lag and what they answer, ends with 4, and status and the daemon know it until they follow.
# A serial that does not move fools nobody; nor does a zone without change at one of its servers, a name server without an address, or a resolver that
# still holds the old record.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dns_lib.sh"
. "$(dirname "$0")/dnsupdate_lib.sh"
dns_net
for kind in bind knot pdns; do customer $kind.example managed $kind; done
customer mixed.test mixed bind
{
	zone_file ns1.knot.provider.example ns2.knot.provider.example
	echo '@ 86400 NS ns9.knot.provider.example.'
} >"$W/lost.zone"
host knot lost.test plain "$W/lost.zone"
delegate lost.test managed knot
customer still.test managed pdns
customer held.test managed bind
pdns_sql "UPDATE domainmetadata SET content = 'INCEPTION-INCREMENT' WHERE kind = 'SOA-EDIT-DNSUPDATE' AND domain_id = (SELECT id FROM domains WHERE name = 'still.test');
	INSERT INTO domainmetadata(domain_id, kind, content) SELECT id, 'SOA-EDIT', 'INCEPTION-INCREMENT' FROM domains WHERE name = 'still.test'"
bind_up
knot_up
pdns_up
world_up
CACHE_MAX=600 resolver_up
dns_conf
accounts bind:bind.example knot:knot.example pdns:pdns.example mixed:mixed.test lost:lost.test still:still.test held:held.test
say "all servers answer"

# ---- secondaries that never follow
lags() { # KIND
	local kind=$1 zone=$1.example v4=${SECONDARY[$1]} began
	lag $kind
	began=$(now_ms)
	exits 4 push $kind --wait 6
	[ $(($(now_ms) - began)) -ge 6000 ] || die "$kind: push has waited less than it should"
	like "$kind: push" "$OUT" "ns2.$kind.provider.example. \\($v4\\) does not show it: answers A 192.0.2.10, TTL 600 \\(asked for \\*.$zone. A\\)"
	like "$kind: push" "$OUT" "ns2.$kind.provider.example. \\($(v6 "$v4")\\) does not show it"
	like "$kind: push" "$OUT" "^  ${PRIMARY[$kind]} shows it after [0-9]+ ms"
	like "$kind: its last word" "$(tail -n 1 <<<"$OUT")" "it is done, but not every name server shows it: ns2.$kind.provider.example. \\($v4\\) answers .*verify. looks again"
	OUT=$(dnsupdate status $kind)
	like "$kind: status" "$OUT" "$zone. pushed, 15 record sets"
	like "$kind: status" "$OUT" "not seen yet: ns2.$kind.provider.example. \\($v4\\) answers (A|AAAA|TXT) "
	unlike "$kind: status" "$OUT" 'seen on every name server'
	exits_json 4 verify $kind --wait 0
	same "$kind: published" "$(member published)" false
	like "$kind: lagging" "$(member lagging.0)" "^ns2.$kind.provider.example. \\($v4\\) answers (A|AAAA|TXT) "
	same "$kind: answers of the lagging one" "$(pick '[s["name"] for s in Z[0]["servers"] if s["after-ms"] is None and not s["resolver"]]' | wc -l)" 2
	unlag $kind $zone
	told verify $kind --wait 40
	same "$kind: published" "$(member published)" true
	same "$kind: lagging" "$(member lagging)" "[]"
	OUT=$(dnsupdate status $kind)
	like "$kind: status after it" "$OUT" "$zone. pushed, 15 record sets since .*, seen on every name server at"
	unlike "$kind: status after it" "$OUT" 'not seen yet'
	serves "$v4" www.$zone A 198.51.100.10
	exits 0 undo $kind --wait 40
	serves "$v4" www.$zone A 192.0.2.10
	same "$kind: recorded after undo" "$(dnsupdate status $kind)" "no records are changed"
}
# Side by side, each in a directory of its own.
aside() { # NAME COMMAND..: in the background
	local name=$1
	shift
	(
		export CONF=$W/shunt.conf
		mkdir -p "$W/$name/log"
		cp "$W/accounts.json" "$W/$name"
		W=$W/$name
		"$@"
	) >"$W/log/lags-$name" 2>&1 &
	echo $! >"$W/$name.pid"
}
end_well() { # NAME..
	local name
	for name; do wait "$(cat "$W/$name.pid")" || die "$(cat "$W/log/lags-$name")"; done
}
for kind in bind knot pdns; do aside $kind lags $kind; done
end_well bind knot pdns
say "secondaries that lag are named until they follow"

# ---- the daemon
start daemon d "$DNSUPDATE" -c "$W/shunt.conf" serve
wait_for grep -q 'reason="ready"' "$W/log/daemon"
ask_daemon() { TOLD=$(python3 "$TOOLS/ctl.py" "$W/dns.sock" "$@"); }
lag bind
ask_daemon push '{"account":{"name":"bind","domains":["bind.example"]},"wait":6}'
same "the daemon's exit" "$(member exit)" 0
same "the daemon: published" "$(member published)" false
like "the daemon: lagging" "$(member lagging.0)" "^ns2.bind.provider.example. \\(${SECONDARY[bind]}\\) answers (A|AAAA|TXT) "
ask_daemon status '{"account":"bind"}'
like "the daemon's status" "$(member entries.0.lagging)" '^ns2.bind.provider.example.'
same "the daemon's status: verified" "$(member entries.0.verified)" null
unlag bind bind.example
ask_daemon verify '{"account":{"name":"bind","domains":[]},"wait":40}'
same "the daemon's verify: published" "$(member published)" true
ask_daemon undo '{"account":{"name":"bind","domains":[]},"wait":40}'
same "the daemon's undo: published" "$(member published)" true
stop daemon

# ---- somebody else's server, which the parent names and the zone does not
mixed() {
	for command in "push mixed" "verify mixed"; do
		exits 4 $command --wait 6
		like "$command" "$OUT" "ns1.foreign.example. \\($FOREIGN\\) does not show it: answers A 192.0.2.10"
		like "status after $command" "$(dnsupdate status mixed)" "not seen yet: ns1.foreign.example. \\($FOREIGN\\) answers (A|AAAA|TXT) "
	done
	exits 0 undo mixed --wait 40
	same "recorded of mixed" "$(dnsupdate status mixed)" "no records are changed"
}

# ---- a name server without an address
lost() {
	exits 4 push lost --wait 6
	like "a name server without an address" "$OUT" 'ns9.knot.provider.example. has no address that could be found'
	like "status" "$(dnsupdate status lost)" 'not seen yet: ns9.knot.provider.example. has no address'
	exits 4 undo lost --wait 6
	serves ${PRIMARY[knot]} www.lost.test A 192.0.2.10
}

# ---- a serial that stands still
still() {
	local before
	before=$(serial ${PRIMARY[pdns]} still.test)
	exits 4 push still --wait 6
	same "the serial" "$(serial ${PRIMARY[pdns]} still.test)" "$before"
	like "a serial that stands still" "$OUT" "ns2.pdns.provider.example. \\(${SECONDARY[pdns]}\\) does not show it: answers A 192.0.2.10"
	serves ${PRIMARY[pdns]} www.still.test A 198.51.100.10
	knot_ctl pdns-secondary -b zone-retransfer still.test >"$W/log/retransfer" 2>&1
	exits 0 verify still --wait 40
	exits 4 undo still --wait 0
	knot_ctl pdns-secondary -b zone-retransfer still.test >"$W/log/retransfer" 2>&1
	exits 0 undo still --wait 40
}
for what in mixed lost still; do aside $what $what; done
end_well mixed lost still
say "so are others that never will"

# ---- a resolver that still holds what was there: named, with how long, and not waited for
wait_for resolves www.held.test A 192.0.2.10
wait_for resolves mail.held.test A 192.0.2.11
began=$(now_ms)
told push held --wait 60
same "published" "$(member published)" true
told verify held --wait 60
same "published, says verify" "$(member published)" true
exits 0 verify held --wait 60
[ $(($(now_ms) - began)) -lt 60000 ] || die "a resolver was waited for: $OUT"
like "the resolver" "$OUT" "resolver $RESOLVER does not show it: still holds the old record for up to [0-9]+ s: A 192.0.2.1"
like "verify" "$OUT" 'every name server shows what was left there'
unlike "status" "$(dnsupdate status held)" 'not seen yet'
resolver_flush held.test
exits 0 verify held --wait 40
like "the resolver, once it has forgotten" "$OUT" "$RESOLVER shows it after"
exits 0 undo held --wait 40
same "what is recorded" "$(dnsupdate status | grep -o '^[a-z].*record sets')" "lost lost.test. undone, 15 record sets" # its ns9 may yet come back
