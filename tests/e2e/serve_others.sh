#!/usr/bin/env bash
# What the owner of one account can find out about the others, by every call there is for owners, every page, and what is sent to them: a
# server full of accounts with names like no other word, of which not one may be in any byte of it.
. "$(dirname "$0")/lib.sh"
net_up

# ---- the others: zq1shop .. zq9shop, each with all by which an account can be known; two are close to alice's own
ALICES_DOMAINS='"alice.example","*.alice.example"'
others() {
	local i
	for i in {1..9}; do
		printf '{"name":"zq%dshop","domains":["zq%ddom.example","*.zq%ddom.example"%s],' $i $i $i "$([ $i = 1 ] && echo ',"zq1sub.alice.example"')"
		[ $i -lt 4 ] || printf '"addresses":["192.0.2.7%d","2001:db8::7%d"],' $i $i
		printf '"logins":["zq%dftp","*@zq%dmail.example"],"ports":[847%d]},\n' $i $i $i
	done
}
FORBIDDEN='zq[0-9]|192\.0\.2\.7[0-9]|2001:db8::7[0-9]|(port |[0-9a-z]:)847[0-9]\b|zqpanel|zqold'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -keyout "$W/key.pem" -out "$W/cert.pem" -subj /CN=shunt-test \
	-addext 'subjectAltName=DNS:alice.example,DNS:*.alice.example,DNS:zq1dom.example,DNS:zq2dom.example' 2>"$W/log/openssl"
web_up

# Hooks say what those of a server say when they fail.
mkdir -p "$W/hooks"
for hook in prepare copy seal verify; do
	cat >"$W/hooks/$hook" <<-END
		#!/bin/sh
		echo progress 40%
		while [ -e "$W/slow-$hook-\$SHUNT_ACCOUNT" ]; do sleep 0.05; done
		[ ! -e "$W/fail-$hook-\$SHUNT_ACCOUNT" ] && exit 0
		cat "$W/fail-$hook-\$SHUNT_ACCOUNT" >&2
		exit 11
	END
	chmod +x "$W/hooks/$hook"
done
CONTROL="hook-prepare = \"$W/hooks/prepare\"
hook-copy = \"$W/hooks/copy\"
home-wait = 0"
MORE="serve { listen = \"127.0.0.1:7480\" state = \"$W/serve.db\" rate = 1000 changes = 1000 }"
proxy_conf
proxy_start
printf '[%s{"name":"alice","domains":[%s],"databases_gb":0.1}]\n' "$(others)" "$ALICES_DOMAINS" >"$W/accounts.json"
shunt account import "$W/accounts.json" >"$W/o"
start serve c "$SHUNT" -c "$W/shunt.conf" serve
wait_for in_ns c curl -sf -o "$W/o" http://127.0.0.1:7480/v1/openapi.json
PANEL=$(shunt token create zqpanel --operator 2>"$W/o")
OLD=$(shunt token create zqold --operator 2>"$W/o")
ALICES=$(shunt token create alice-web --account alice 2>"$W/o")

api() { # TOKEN METHOD PATH [BODY]: status in $STATUS, body in $BODY
	STATUS=$(in_ns c curl -sS --max-time 90 -o "$W/body" -D "$W/headers" -w '%{http_code}' -X "$2" -H "Authorization: Bearer $1" -H 'Prefer: wait=60' \
		${4:+-H 'Content-Type: application/json' -d "$4"} "http://127.0.0.1:7480$3")
	BODY=$(cat "$W/body")
}

say "a server where much has happened"
api "$PANEL" POST /v1/accounts/zq1shop/migrate '{}'
same "another one has moved" "$STATUS" 200
# one kind of word in each
for words in 'rsync: write failed on /srv/data/x' "held by pid 4711 on $(uname -n)" 'the lock is of zq3shop' 'see ftp-zq3shop' 'see WWW.ZQ3dom.example' \
	'owner info@zq3mail.example' 'user=zq3ftp' 'bound to 192.0.2.75' 'bound to [2001:db8:0::75]' 'tcp port 8475' '203.0.113.5:8475 refused'; do
	echo "$words" >"$W/fail-copy-alice"
	api "$OLD" POST /v1/accounts/alice/migrate '{}'
	same "hers has failed" "$STATUS" 502
	[[ $BODY == *"$words"* ]] || die "an operator reads it: $BODY"
	api "$ALICES" GET /v1/accounts/alice/report
	unlike "she does not" "$BODY" "$FORBIDDEN|/srv|\bpid\b|zq|$(uname -n)"
	like "but that it failed" "$BODY" '"state":"undone".*"reason":"(hook copy|refused for a reason that lies with the server)'
done
rm "$W/fail-copy-alice"
visit -o "$W/o" http://alice.example/
visit -o "$W/o" -k https://zq1sub.alice.example/
api "$PANEL" GET /v1/accounts/alice/check
like "what is found of hers tells of others" "$BODY" 'zq1'
api "$OLD" POST /v1/accounts/alice/migrate '{}'
same "hers has moved" "$STATUS" 200
visit -o "$W/o" -d x=1 http://alice.example/
visit -o "$W/o" https://alice.example/
shunt token revoke zqold >"$W/o"
: >"$W/slow-copy-zq2shop"
in_ns c curl -sS -o "$W/o" -X POST -H "Authorization: Bearer $PANEL" -H 'Prefer: respond-async' "http://127.0.0.1:7480/v1/accounts/zq2shop/migrate"
moving() { api "$PANEL" GET /v1/status && [[ $BODY == *'"step":"copying"'* ]]; }
wait_for moving
api "$PANEL" GET /v1/operations
THEIRS=$(python3 -c 'import json, sys; print(next(o["operation"] for o in json.load(sys.stdin)["operations"] if o["account"] == "zq2shop"))' <<<"$BODY")

say "every call and every page, as alice"
in_ns c python3 "$E2E/serve_others.py" http://127.0.0.1:7480 "$ALICES" "$PANEL" "$THEIRS" "$FORBIDDEN|$W|/srv/|$(uname -n)" >"$W/log/asked" || die "see asked"
cat "$W/log/asked"

say "begun by the operator: shown, and not hers to cancel"
api "$ALICES" POST /v1/accounts/alice/rollback '{"yes":true}'
same "her way back" "$STATUS" 200
: >"$W/slow-copy-alice"
in_ns c curl -sS -o "$W/body" -X POST -H "Authorization: Bearer $PANEL" -H 'Prefer: respond-async' "http://127.0.0.1:7480/v1/accounts/alice/migrate"
ID=$(field "$(cat "$W/body")" operation)
state_is() { api "$ALICES" GET "/v1/operations/$ID" && [[ $BODY == *"$1"* ]]; }
wait_for state_is '"step":"copying"'
like "whose it is" "$BODY" '"token":"the operator","state":"running","may-cancel":false'
api "$ALICES" POST "/v1/operations/$ID/cancel"
same "refused" "$STATUS" 403
like "why" "$BODY" '"detail":"the operator of the server has begun this, and alone may cancel it\. It goes on"'
api "$ALICES" GET "/operations/$ID"
like "the page says it" "$BODY" 'alone can cancel it'
unlike "the page says it" "$BODY" '/cancel"'
state_is '"state":"running"' || die "it went on: $BODY"
api "$PANEL" POST "/v1/operations/$ID/cancel"
same "the operator's to cancel" "$STATUS" 202
wait_for state_is '"exit":3'
api "$ALICES" POST "/v1/operations/$ID/cancel"
same "over" "$STATUS" 409
in_ns c curl -sS -o "$W/body" -X POST -H "Authorization: Bearer $ALICES" -H 'Prefer: respond-async' "http://127.0.0.1:7480/v1/accounts/alice/migrate"
ID=$(field "$(cat "$W/body")" operation)
wait_for state_is '"step":"copying"'
like "hers" "$BODY" '"token":"alice-web","state":"running","may-cancel":true'
api "$ALICES" GET "/operations/$ID"
like "with a button" "$BODY" '/cancel"'
api "$ALICES" POST "/v1/operations/$ID/cancel"
same "hers to cancel" "$STATUS" 202
wait_for state_is '"exit":3'
rm "$W/slow-copy-alice" "$W/slow-copy-zq2shop"

say "another account of the same name knows nothing of hers"
api "$PANEL" DELETE "/v1/accounts/alice?force=true&yes=true"
same "hers goes" "$STATUS" 200
api "$PANEL" PUT /v1/accounts/alice "{\"domains\":[$ALICES_DOMAINS]}"
same "another comes" "$STATUS" 200
SECOND=$(shunt token create alice-two --account alice 2>"$W/o")
api "$SECOND" GET /v1/operations
same "no operations" "$BODY" '{"operations":[]}'
api "$SECOND" GET "/v1/operations/$ID"
same "nor one" "$STATUS" 404
api "$SECOND" GET /v1/accounts/alice/report
same "no reports" "$STATUS" 409
like "in the words for that" "$BODY" '"detail":"no move of alice is recorded"'
api "$SECOND" GET /v1/accounts/alice/log
like "its own beginning" "$BODY" 'account added'
unlike "and nothing before" "$BODY" 'migrate|removed|imported'
in_ns c curl -sN --max-time 90 -H "Authorization: Bearer $SECOND" -H 'Last-Event-ID: 0' "http://127.0.0.1:7480/v1/events" >"$W/log/second" &
listener=$!
wait_for grep -q 'account added' "$W/log/second"
kill $listener
wait $listener || true
unlike "nor in events" "$(cat "$W/log/second")" 'migrate|removed'
over() { api "$PANEL" GET "/v1/operations/$THEIRS" && [[ $BODY == *'"state":"done"'* ]]; }
wait_for over
stop serve
