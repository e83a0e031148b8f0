#!/usr/bin/env bash
# Two providers without DNS UPDATE: PowerDNS by its HTTP API, alwaysdata by its REST API (a local server that follows its documentation, and
# publishes in Knot). Pushed, shown everywhere, undone as it was; what the APIs know beyond DNS stays; keys are in nothing that comes out.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dns_lib.sh"
for program in pdns_server pdnsutil sqlite3 knotd nsupdate unbound; do
	command -v $program >/dev/null || cannot_run "$program is missing (Debian packages pdns-server, pdns-backend-sqlite3, sqlite3, knot, bind9-dnsutils, unbound)"
done
DNSUPDATE=$BUILD/shunt-dnsupdate
AD_KEY="s3cret-k3y account=bob"
dns_net
customer alice.test managed pdns
{
	soa 1 "$(ns_of knot 1)."
	cat <<-END
		@     300 NS   $(ns_of knot 2).
		@     300 A    192.0.2.10
		www   300 A    192.0.2.10
		www   600 AAAA 2001:db8::10
		@     300 TXT  "v=spf1 ip4:192.0.2.10 -all"
		*     60  A    192.0.2.10
		both  300 A    192.0.2.10
		both  300 A    192.0.2.11
		cdn   300 CNAME edge.cdn.foreign.example.
	END
} >"$W/bob.zone"
host knot bob.test plain "$W/bob.zone"
delegate bob.test managed knot
pdns_up
knot_up
world_up
resolver_up

say "all servers answer"

# ---- what the APIs hold
pdns_sql "INSERT INTO records(domain_id, name, type, content, ttl, disabled, auth) SELECT id, 'www.alice.test', 'A', '192.0.2.77', 300, 1, 1 FROM domains WHERE name = 'alice.test';
	INSERT INTO comments(domain_id, name, type, modified_at, account, comment) SELECT id, 'www.alice.test', t.column1, 1, 'alice', 'keep me' FROM domains, (VALUES ('A'), ('AAAA')) t
	WHERE domains.name = 'alice.test'"
cat >"$W/bob.json" <<'END'
{"domains": [{"id": 3, "name": "bob.test"}], "records": [
	{"domain": 3, "type": "A", "name": "", "value": "192.0.2.10", "is_user_defined": false},
	{"domain": 3, "type": "A", "name": "www", "value": "192.0.2.10", "annotation": "keep me"},
	{"domain": 3, "type": "AAAA", "name": "www", "value": "2001:db8::10", "ttl": 600},
	{"domain": 3, "type": "TXT", "name": "", "value": "v=spf1 ip4:192.0.2.10 -all"},
	{"domain": 3, "type": "A", "name": "*", "value": "192.0.2.10", "ttl": 60},
	{"domain": 3, "type": "A", "name": "both", "value": "192.0.2.11"},
	{"domain": 3, "type": "A", "name": "both", "value": "192.0.2.10", "annotation": "keep me"},
	{"domain": 3, "type": "CNAME", "name": "cdn", "value": "edge.cdn.foreign.example"}]}
END
start alwaysdata d python3 "$TOOLS/alwaysdata.py" --port 8090 --key "$AD_KEY" --data "$W/bob.json" --dns "${PRIMARY[knot]}" --dns-key "$KEYS/redir.key"
wait_for grep -q '^port' "$W/log/alwaysdata"
ad() { in_ns d curl -sS --fail ${2:+--data "$2"} "http://127.0.0.1:8090/_test/$1"; } # WHAT [JSON]
echo "$AD_KEY" >"$KEYS/alwaysdata.key"

cat >"$W/shunt.conf" <<END
server "web42" {
	pair { client = "192.0.2.10" transit = "198.51.100.10" }
	pair { client = "192.0.2.11" transit = "198.51.100.11" }
	pair { client = "2001:db8::10" transit = "2001:db8:1::10" }
}
dns {
	nameservers = {"$(ns_of pdns 1)", "$(ns_of pdns 2)", "$(ns_of knot 1)", "$(ns_of knot 2)"}
	resolvers = {"$RESOLVER"}
	journal = "$W/journal"
	zone-server { backend = "powerdns" url = "http://${PRIMARY[pdns]}:8081" key-file = "$KEYS/api.key" }
	zone-server { backend = "alwaysdata" url = "http://127.0.0.1:8090" key-file = "$KEYS/alwaysdata.key" }
}
END
cat >"$W/accounts.json" <<'END'
[{"name": "alice", "domains": ["alice.test", "*.alice.test"]}, {"name": "bob", "domains": ["bob.test", "*.bob.test"]}]
END
dnsupdate() { # COMMAND ARGUMENTS..; its output stays in $W/said
	local rc=0
	in_ns d "$DNSUPDATE" -c "$W/shunt.conf" --json "$@" >"$W/said" 2>&1 || rc=$?
	cat "$W/said" >>"$W/log/dnsupdate"
	cat "$W/said"
	return $rc
}
must() { dnsupdate "$@" >"$W/out" || die "$*: $(cat "$W/out")"; }

# ---- PowerDNS
pdns_holds() {
	pdns_sql "SELECT name, type, content, ttl, disabled FROM records WHERE type <> 'SOA' AND name LIKE '%alice.test' ORDER BY 1, 2, 3; SELECT name, type, modified_at, account, comment FROM comments ORDER BY 1, 2"
}
pdns_holds >"$W/pdns.before"
began=$(now_ms)
must push alice --accounts "$W/accounts.json"
for server in "${PRIMARY[pdns]}" "${SECONDARY[pdns]}"; do
	serves "$server" www.alice.test A 198.51.100.10 || die "alice is not published at $server"
	serves "$server" www.alice.test AAAA 2001:db8:1::10 || die "alice is not published at $server"
done
same "the disabled record" "$(pdns_sql "SELECT content FROM records WHERE name = 'www.alice.test' AND disabled")" 192.0.2.77
must undo alice
pdns_holds >"$W/pdns.after"
cmp "$W/pdns.before" "$W/pdns.after" || die "PowerDNS does not hold what it held: $(diff "$W/pdns.before" "$W/pdns.after")"
wait_for serves "${SECONDARY[pdns]}" www.alice.test A 192.0.2.10
took=$(($(now_ms) - began))
[ $took -lt 55000 ] || die "there and back took $took ms: the secondary was left to PowerDNS' own round, once a minute"
say "PowerDNS: there and back"

pdns_sql "DELETE FROM domainmetadata WHERE kind = 'SOA-EDIT-API'"
fails_with 1 dnsupdate push alice --accounts "$W/accounts.json"
like "a zone whose serial stays" "$OUT" 'pdnsutil set-meta alice.test. SOA-EDIT-API DEFAULT'
pdns_holds >"$W/pdns.after"
cmp "$W/pdns.before" "$W/pdns.after" || die "a refused push has changed something"
say "PowerDNS: refused where secondaries would not follow"

# ---- alwaysdata
ad records >"$W/ad.before"
fields() { # FILE: without ids, for a record that went and came back has another
	python3 -c 'import json, sys
for r in sorted(json.load(open(sys.argv[1])), key=lambda r: (r["name"], r["type"], r["value"])): print({k: v for k, v in sorted(r.items()) if k != "id"})' "$1"
}
must push bob --accounts "$W/accounts.json"
for server in "${PRIMARY[knot]}" "${SECONDARY[knot]}"; do
	serves "$server" www.bob.test A 198.51.100.10 || die "bob is not published at $server"
	serves "$server" bob.test A 192.0.2.10 || die "the provider's own record was touched"
done
serves "${SECONDARY[knot]}" both.bob.test A 198.51.100.10 198.51.100.11 || die "both.bob.test is not published"
serves "${SECONDARY[knot]}" any.bob.test A 198.51.100.10 || die "the wildcard is not published"
same "annotations" "$(ad records | grep -o 'keep me' | wc -l)" 2
unlike "the requests" "$(ad log)" '"synchronous": false'
must undo bob
ad records >"$W/ad.after"
same "what alwaysdata holds" "$(fields "$W/ad.after")" "$(fields "$W/ad.before")"
say "alwaysdata: there and back"

# a write that is cut off was done; the program reads, and goes on from there
ad fault '{"kind": "cut-after", "methods": ["PATCH"], "after": 1}' >/dev/null
must push bob --accounts "$W/accounts.json"
serves "${SECONDARY[knot]}" www.bob.test A 198.51.100.10 || die "not published after a cut"
must undo bob
ad records >"$W/ad.after"
same "what alwaysdata holds after a cut" "$(fields "$W/ad.after")" "$(fields "$W/ad.before")"
say "alwaysdata: cut off in the middle, there and back"

# drift: somebody else was there in between
must push bob --accounts "$W/accounts.json"
number=$(ad records | python3 -c 'import json, sys; print([r["id"] for r in json.load(sys.stdin) if (r["name"], r["type"]) == ("www", "A")][0])')
ad edit "{\"id\": $number, \"value\": \"203.0.113.9\"}" >/dev/null
fails_with 1 dnsupdate undo bob
like "drift" "$OUT" '203\.0\.113\.9'
must undo bob --leave-drift
say "alwaysdata: drift is shown and left"

for secret in "$API_KEY" s3cret-k3y "$(printf '%s:' "$AD_KEY" | base64)"; do
	[ -z "$(grep -rlF -- "$secret" "$W/log/dnsupdate" "$W/journal")" ] || die "a key is in $(grep -rlF -- "$secret" "$W/log/dnsupdate" "$W/journal")"
done
[ -z "$(sanitizer_reports)" ] || die "sanitizers: $(sanitizer_reports)"
