#!/usr/bin/env bash
# What the operator's monitoring sees: `shunt metrics` against a real proxy with traffic, a hold and a move, promtool's word on it, the alert
# rules and their pages, the dashboard; and `shunt top`.
. "$(dirname "$0")/lib.sh"
MONITORING=$TOP/conf/monitoring
net_up
web_up
proxy_conf </dev/null
proxy_start
import >"$W/log/import" 2>&1
command -v promtool >/dev/null || cannot_run "promtool is not installed (Debian package prometheus)"

metrics() { shunt metrics >"$W/metrics" 2>"$W/log/metrics"; }
value() { # NAME-WITH-LABELS: of the last `metrics`
	awk -v name="$1" '!/^#/ && index($0, name " ") == 1 { print substr($0, length(name) + 2); found = 1 } END { exit !found }' "$W/metrics"
}
absent() { [ -z "$(grep -- "^$1" "$W/metrics")" ] || die "$1 should not be told"; }
checked() { # the format, and the naming conventions
	promtool check metrics <"$W/metrics" >"$W/log/promtool" 2>&1 || die "promtool: $(cat "$W/log/promtool")"
}

# ---- traffic, holds, refusals
for _ in 1 2 3; do visit -o "$W/o" http://alice.example/; done
visit -o "$W/o" https://bob.example/
visit -o "$W/o" -d hello 'http://alice.example/private?token=secret'
same "a bad request" "$(visit -H 'Host: a b' -o "$W/o" -w '%{http_code}' http://alice.example/)" 400
ask hold '{"name":"carol","max-wait":1}' >/dev/null
same "held too long" "$(visit -o "$W/o" -w '%{http_code}' http://carol.example/)" 503
wait_for grep -qE '"error.type":"503","shunt.account":"carol","shunt.why":"held too long","shunt.held_ms":[1-9][0-9]{3},' "$W/access.log"
metrics
checked
same "requests" "$(value 'shunt_proxy_requests_total{side="client"}')" 5
same "none at transit" "$(value 'shunt_proxy_requests_total{side="transit"}')" 0
same "refused" "$(value 'shunt_proxy_refused_total{reason="held_too_long"}')" 1
same "own answers" "$(value 'shunt_proxy_own_responses_total{code="503"}') $(value 'shunt_proxy_own_responses_total{code="400"}')" "1 1"
same "who waited" "$(value shunt_proxy_hold_wait_seconds_count)" 1
same "how long" "$(value 'shunt_proxy_hold_wait_seconds_bucket{le="0.5"}') $(value 'shunt_proxy_hold_wait_seconds_bucket{le="5"}')" "0 1"
same "held accounts" "$(value 'shunt_proxy_held_accounts{gate="held"}')" 1
held=$(value 'shunt_proxy_hold_start_timestamp_seconds{account="carol",gate="held"}')
awk -v t="$held" -v now="$EPOCHSECONDS" 'BEGIN { exit !(now - t < 60 && now - t > -2) }' || die "the hold began at $held"
same "limits" "$(value shunt_proxy_limit_hold_wait_seconds) $(value shunt_proxy_limit_http_head_bytes)" "30 32768"
same "up" "$(value shunt_proxy_up) $(value shunt_journal_up)" "1 1"
absent shunt_netctl
absent shunt_dnsupdate
same "step" "$(value 'shunt_step{step="preparation"}') $(value 'shunt_step{step="moving"}')" "1 0"
absent shunt_deadline
ask release '{"name":"carol"}' >/dev/null

# ---- moves and clocks
shunt --yes migrate alice --drain 1 >"$W/log/migrate" 2>&1
visit -o "$W/o" http://alice.example/
metrics
checked
same "moves" "$(value 'shunt_moves_total{kind="migrate",outcome="done"}')" 1
same "downtime" "$(value 'shunt_move_downtime_seconds_count{kind="migrate"}')" 1
same "accounts" "$(value 'shunt_accounts{side="client"}') $(value 'shunt_accounts{side="transit"}')" "2 1"
same "step" "$(value 'shunt_step{step="moving"}')" 1
start=$(value 'shunt_clock_timestamp_seconds{clock="start"}')
same "two weeks" "$(awk -v a="$(value 'shunt_deadline_timestamp_seconds{deadline="transit"}')" -v b="$start" 'BEGIN { print a - b }')" 1209600
same "who can go back" "$(value shunt_rollback_accounts)" 1
same "a straggler" "$(value shunt_straggler_recent_names)" 1
same "at transit" "$(value 'shunt_proxy_requests_total{side="transit"}')" 1
same "the same in JSON" "$(shunt --json metrics | python3 -c 'import json, sys; print("shunt_accounts{side=\"transit\"} 1" in json.load(sys.stdin)["metrics"])')" True

# ---- shunt top
# It tells of one second. There are visits in all of it; a slow machine may have none of one of the two in it, and then it is asked again.
seen_in_top() {
	local looking visits=0
	shunt --json top >"$W/top1" &
	looking=$!
	until gone $looking && [ $visits -ge 20 ]; do
		visit -o "$W/o" http://alice.example/ -o "$W/o2" http://bob.example/ || return 1
		visits=$((visits + 1))
	done
	wait $looking && python3 -c 'import json, sys
rates = {r["name"]: r["requests-per-second"] for r in json.load(open(sys.argv[1]))["accounts"]}
sys.exit(not (rates.get("alice") and "bob" in rates))' "$W/top1"
}
wait_for seen_in_top
python3 - "$W/top1" <<'END'
import json, sys
top = json.load(open(sys.argv[1]))
rows = {r["name"]: r for r in top["accounts"]}
assert rows["alice"]["side"] == "transit" and rows["alice"]["requests-per-second"] > 0, rows
assert rows["bob"]["side"] == "client", rows
assert top["total"]["requests-per-second"] >= rows["alice"]["requests-per-second"], top
assert "carol" not in rows and top["step"] == "accounts move", top
END
# bytes count as they move, not when it is over
in_ns v curl -s --limit-rate 2M --max-time 190 --resolve '*:80:192.0.2.10' -o "$W/download" 'http://bob.example/app/download?kb=400000' & loading=$!
wait_for test -s "$W/download"
bytes_move() {
	shunt --json top >"$W/top3"
	python3 -c 'import json, sys
bob = {r["name"]: r for r in json.load(open(sys.argv[1]))["accounts"]}["bob"]
assert bob["in-flight"] == 1 and 100e3 < bob["bytes-down-per-second"] < 100e6, bob' "$W/top3"
}
wait_for bytes_move # in the second that it tells of, the visitor may have had no processor
kill $loading
# what came since the look before: a look soon after it may be too early for a visit to be in it
looked() { visit -o "$W/o" http://alice.example/ -o "$W/o2" https://bob.example/ && shunt top >"$W/top2" && grep -q '^alice ' "$W/top2"; }
wait_for looked
like "a table where there is no terminal" "$(cat "$W/top2")" 'account +side +gate +>req/s'
like "and its rows" "$(cat "$W/top2")" '^alice +transit +open +[0-9.]+ '
in_ns c python3 "$E2E/metrics_top.py" "$SHUNT" "$W/shunt.conf"

# ---- whoever is away is a sample, at once
sed -i "s|^control {|control { netctl-client = \"unix:$W/nobody.sock\" dns = \"unix:$W/silent.sock\"|" "$W/shunt.conf"
python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); open(sys.argv[2], "w"); time.sleep(600)' "$W/silent.sock" "$W/silent" &
echo $! >"$W/pid/silent"
wait_for test -e "$W/silent"
stop proxy KILL
# with another one's patience it would never take less
in_time() {
	local before
	before=$(now_ms)
	metrics
	[ $(($(now_ms) - before)) -lt 9000 ]
}
WAIT=60 wait_for in_time
checked
same "nobody is up" "$(value shunt_proxy_up) $(value 'shunt_netctl_up{side="client"}') $(value shunt_dnsupdate_up)" "0 0 0"
same "the journal goes on" "$(value shunt_journal_up) $(value 'shunt_accounts{side="transit"}')" "1 1"
absent shunt_proxy_requests_total
stop silent
# somebody keeps the state database to himself: that is told too, in seconds
python3 -c 'import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None); db.execute("BEGIN EXCLUSIVE"); open(sys.argv[2], "w"); time.sleep(600)' "$W/shunt.db" "$W/kept" &
echo $! >"$W/pid/keeper"
wait_for test -e "$W/kept"
WAIT=60 wait_for in_time
same "a journal that cannot be read" "$(value shunt_journal_up)" 0
absent shunt_accounts
stop keeper
metrics
same "and now it can" "$(value shunt_journal_up)" 1
printf 'not a database' >"$W/broken.db"
sed "s|state = .*|state = \"$W/broken.db\"|" "$W/shunt.conf" >"$W/broken.conf"
in_ns c "$SHUNT" -c "$W/broken.conf" metrics >"$W/metrics" 2>"$W/log/broken"
checked
same "a damaged journal" "$(value shunt_journal_up)" 0
like "and why" "$(cat "$W/log/broken")" damaged

# ---- every certificate that the configuration names, of a bundle the one that ends first
authority "$W/pki" control
cat "$W/pki/ca.pem" "$W/cert.pem" >"$W/bundle.pem"
{
	cat "$W/shunt.conf"
	echo "tls { ca = \"$W/bundle.pem\" cert = \"$W/pki/control.pem\" key = \"$W/pki/control.key\" }"
	echo "serve { listen = \"tls://127.0.0.1:7480\" cert = \"$W/none.pem\" key = \"$W/key.pem\" }"
} >"$W/certs.conf"
in_ns c "$SHUNT" -c "$W/certs.conf" metrics >"$W/metrics" 2>"$W/log/certs"
checked
ends() { date -ud "$(openssl x509 -noout -enddate -in "$1" | sed 's/.*=//')" +%s; }
same "the host's" "$(value 'shunt_certificate_expiry_timestamp_seconds{section="tls",key="cert"}')" "$(ends "$W/pki/control.pem")"
same "the bundle's" "$(value 'shunt_certificate_expiry_timestamp_seconds{section="tls",key="ca"}')" "$(ends "$W/cert.pem")"
same "one that is not there" "$(value 'shunt_certificate_readable{section="serve",key="cert"}') $(value 'shunt_certificate_readable{section="tls",key="ca"}')" "0 1"
absent 'shunt_certificate_expiry_timestamp_seconds{section="serve"'

# ---- the access log: lines of JSON, each of them, without queries
python3 - "$W/access.log" <<'END'
import json, re, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert len(lines) > 40, len(lines)
for o in lines:
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", o["timestamp"]), o
    assert o["client.address"].startswith("203.0.113.") and o["client.port"] > 0 and o["network.transport"] == "tcp", o
asked = [o for o in lines if o.get("url.path") == "/private"]
assert len(asked) == 1 and "secret" not in json.dumps(lines), asked
assert asked[0]["http.request.method"] == "POST" and asked[0]["http.request.body.size"] == 5, asked
assert asked[0]["http.response.status_code"] == 200 and asked[0]["network.protocol.version"] == "1.1", asked
tls = [o for o in lines if o["shunt.protocol"] == "tls"]
assert tls and all(o["server.address"] == "bob.example" and o["server.port"] == 443 and o["shunt.bytes_up"] > 100 for o in tls), tls
END
say "metrics are told, whoever is away"
