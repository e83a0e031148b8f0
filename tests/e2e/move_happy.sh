#!/usr/bin/env bash
# An account migrates and rolls back, over and over: hooks, evidence, visitors' addresses, and those who waited are answered by the new side.
. "$(dirname "$0")/lib.sh"
net_up
web_up
for h in prepare copy seal verify; do
	cat >"$W/bin/$h" <<-END
		#!/bin/sh
		echo "\$SHUNT_HOOK \$SHUNT_PHASE \$SHUNT_ACCOUNT \$SHUNT_FROM \$SHUNT_TO" >>$W/hooks
		if [ "\$SHUNT_HOOK" = copy ]; then
			echo "progress 40%"
			while [ -e $W/hold-on ]; do sleep 0.02; done
			echo "progress 100%"
		fi
	END
	chmod +x "$W/bin/$h"
done
CONTROL="hook-prepare = \"$W/bin/prepare\" hook-copy = \"$W/bin/copy\" hook-seal = \"$W/bin/seal\" hook-verify = \"$W/bin/verify\"" proxy_conf <<'END'
drain = 10
hold-max-wait = 60
END
proxy_start
import

same "before" "$(side_of http://alice.example/) $(side_of https://alice.example/) $(side_of http://bob.example/)" "client client client"
shunt --dry-run migrate alice >"$W/log/dry-run"
same "a dry run changes nothing" "$(side_of http://alice.example/)" client
[ ! -e "$W/hooks" ] || die "a dry run has run hooks"

# with visitors who come during the copy: they wait, and the new side answers
: >"$W/hold-on"
shunt --json migrate alice >"$W/migrate.json" 2>"$W/log/migrate" &
mover=$!
wait_for grep -q 'copy apply alice client transit' "$W/hooks"
visit -H 'X-Req-Id: waited-http' -o "$W/o1" -w '%{http_code} %header{x-side}' http://alice.example/ >"$W/w1" &
w1=$!
visit -H 'X-Req-Id: waited-https' -o "$W/o2" -w '%{http_code} %header{x-side}' https://alice.example/ >"$W/w2" &
w2=$!
two_parked() { [ "$(field "$(ask account '{"name":"alice"}')" parked)" = 2 ]; }
wait_for two_parked
like "status while it copies" "$(shunt status)" 'alice.*copying|copying.*alice'
shows_progress() { [ -n "$(shunt status alice | grep 40)" ]; } # once shunt has read and written down what the hook has said
wait_for shows_progress
same "bob does not wait" "$(side_of http://bob.example/)" client
like "two at one account" "$(shunt migrate alice 2>&1 || :)" 'pid|since|already|busy|moving'
rm "$W/hold-on"
wait $mover || die "migrate ended with $?: $(cat "$W/log/migrate" "$W/migrate.json")"
wait $w1 $w2
same "who waited for HTTP" "$(cat "$W/w1")" "200 transit"
same "who waited for HTTPS" "$(cat "$W/w2")" "200 transit"
wait_for saw t waited-http
wait_for saw t waited-https
! saw c waited-http && ! saw c waited-https || die "who waited reached the old side too"
same "hooks" "$(paste -sd, <"$W/hooks")" "prepare apply alice client transit,copy apply alice client transit,seal apply alice client transit,verify apply alice client transit"

# now transit answers, with the visitors' own addresses; the neighbour stays
same "after" "$(side_of http://alice.example/) $(side_of https://alice.example/) $(side_of http://x.alice.example/)" "transit transit transit"
same "the neighbour" "$(side_of http://bob.example/) $(side_of https://bob.example/) $(side_of http://www.alice.example/)" "client client client"
visit --interface 203.0.113.14 -H 'X-Req-Id: from14' -o "$W/o" http://alice.example/
same "X-Forwarded-For at transit" "$(once_logged t from14 '$8')" 203.0.113.14
like "shunt route" "$(shunt route alice.example)" transit
like "shunt status" "$(shunt status alice)" transit
like "the trail" "$(shunt log alice)" 'migrate'
json=$(shunt --json log alice)
like "evidence of the fence" "$json" '"fenced-at"'
like "evidence of who waited" "$json" '"parked": ?2|"parked":2'

report=$(shunt report alice)
like "the report" "$report" '^Your account alice was moved from the client server to the transit server'
like "the report: who waited" "$report" ' 2 did, at most [0-9.]+ m?s'
unlike "the report: the new side has had bytes" "$report" 'none yet|not known'
like "the report: the chain" "$report" 'verified for this page: [0-9]+ lines, unbroken'
[ "$(wc -L <<<"$report")" -le 80 ] || die "the report is wider than 80 columns: $report"
json=$(shunt --json report alice)
v=reports.0.visitors
for key in hold-ms exact waited longest-wait-ms median-wait-ms drained cut refused held-at opened-at fenced-at last-byte-old first-byte-new; do
	unlike "report --json: $key" "$(field "$json" $v.$key)" '^null$'
done
times=$(for key in held-at fenced-at opened-at first-byte-new; do field "$json" $v.$key; done)
same "the order of what visitors saw" "$times" "$(sort <<<"$times")"
[[ $(field "$json" $v.last-byte-old) < $(field "$json" $v.fenced-at) ]] || die "a byte went to the old side after the fence: $json"

# the chain: a head that was kept, and a line that is changed past the triggers
like "lines have the numbers that --verify names" "$(shunt log | head -n 2)" '^ +1  20.*Z  root '
head=$(shunt log --head)
like "log --verify" "$(shunt log --verify "$head")" '^[0-9]+ lines, unbroken, head [0-9a-f]{64}$'
cp "$W/shunt.db" "$W/good.db"
line=$(sqlite3 "$W/shunt.db" "SELECT min(id) FROM journal WHERE what = 'done: fenced'")
sqlite3 "$W/shunt.db" "DROP TRIGGER journal_no_update; UPDATE journal SET evidence = replace(evidence, '\"cut\":', '\"cut\":1') WHERE id = $line"
fails_with 4 shunt log --verify
like "a changed line is named" "$OUT" "BROKEN: line $line does not fit"
fails_with 4 shunt report alice
cp "$W/good.db" "$W/shunt.db"
stop proxy
same "the report without the proxy" "$(shunt report alice)" "$report"
proxy_start

# back again, and there and back
shunt --yes rollback alice
same "rolled back" "$(side_of http://alice.example/) $(side_of https://alice.example/)" "client client"
for _ in 1 2 3; do
	shunt migrate alice bob
	same "both moved" "$(side_of http://alice.example/) $(side_of https://bob.example/)" "transit transit"
	shunt --yes rollback bob alice
	same "both back" "$(side_of https://alice.example/) $(side_of http://bob.example/)" "client client"
done
# what is so already is no change, and no failure that frightens
rc=0
out=$(shunt rollback alice 2>&1) || rc=$?
like "a rollback of what is home" "$rc $out" '^[01] .*(client|never|not|already)'
like "reports, the newest first" "$(shunt report alice | sed -n 1p)" 'rollback, done'
same "one of them" "$(shunt report alice 1 | grep -c '^alice, move')" 1
fails_with 1 shunt report alice 99
same "all" "$(shunt migrate --all >"$W/log/all" && side_of http://carol.example/)" transit

same "carol by address, without a name" "$(in_ns v curl -s -0 -H 'Host:' -o "$W/o" -w '%header{x-side}' http://192.0.2.11/)" transit
same "carol by her address as a name" "$(in_ns v curl -s -o "$W/o" -w '%header{x-side}' http://192.0.2.11/)" transit
same "the other address is nobody's" "$(in_ns v curl -s -o "$W/o" -w '%header{x-side}' http://192.0.2.10/)" client
