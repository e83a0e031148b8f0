#!/usr/bin/env bash
# The API of shunt serve, with curl as its callers use it and a real proxy behind it: every command by HTTP, two kinds of tokens, refusals,
# idempotency keys, events of a move, serve killed in the middle of one, and what somebody tries who looks for other accounts.
. "$(dirname "$0")/lib.sh"
net_up
web_up
for hook in prepare copy; do # a move that takes as long as a file is there
	cat >"$W/bin/$hook" <<-END
		#!/bin/sh
		echo progress 40%
		while [ -e "$W/slow-$hook-\$SHUNT_ACCOUNT" ]; do sleep 0.05; done
	END
	chmod +x "$W/bin/$hook"
done
CONTROL="hook-copy = \"$W/bin/copy\"
home-wait = 0
parallel = 1"
MORE="serve { listen = \"127.0.0.1:7480\" state = \"$W/serve.db\" body-max = 65536 rate = 1000 changes = 1000 names = {\"panel.example\"} }"
proxy_conf
proxy_start
import >"$W/o"

serve_start() { start serve c "$SHUNT" -c "$W/shunt.conf" serve; wait_for in_ns c curl -sf -o "$W/o" http://127.0.0.1:7480/v1/openapi.json; }
serve_start
OPERATOR=$(shunt token create panel --operator 2>"$W/o")
like "it is said to be shown once" "$(cat "$W/o")" 'operator token "panel", until it is revoked\. It is shown this once'
like "a token" "$OPERATOR" '^shunt_[0-9a-f]{64}$'
ALICES=$(shunt token create alice-web --account alice --days 30 2>"$W/o")
METRICS=$(shunt token create prometheus --metrics 2>"$W/o")
[ -z "$(grep -a -e "${OPERATOR#shunt_}" -e "${ALICES#shunt_}" "$W/serve.db")" ] || die "a token is at rest in the clear"
fails_with 1 shunt token create panel --operator
fails_with 2 shunt token create both --operator --account alice
fails_with 1 shunt token create nobodys --account nobody

# api TOKEN METHOD PATH [CURL-ARGUMENTS..]: status in $STATUS, body in $BODY, headers in $W/headers
api() {
	local token=$1 method=$2 path=$3
	shift 3
	STATUS=$(in_ns c curl -sS --max-time 90 -g -o "$W/body" -D "$W/headers" -w '%{http_code}' -X "$method" -H "Authorization: Bearer $token" \
		"$@" -H 'Prefer: wait=60' "http://127.0.0.1:7480$path") # of two, the first counts
	BODY=$(cat "$W/body")
}
JSON=(-H 'Content-Type: application/json' -d)
is() { [ "$STATUS" = "$2" ] || die "$1: $STATUS instead of $2: $BODY"; }
header() { sed -n "s/^$1: \(.*\)\r$/\1/Ip" "$W/headers"; }

say "reading"
api "$OPERATOR" GET /v1/status
is status 200
same "the same answer as the command's" "$(python3 - "$BODY" "$(shunt --json status)" <<'END'
import json, sys
a, b = (json.loads(t) for t in sys.argv[1:])
print(sorted(a) == sorted(b) and a["sides"]["client"]["accounts"] == b["sides"]["client"]["accounts"] == 3)
END
)" True
for path in /v1/accounts /v1/accounts/bob /v1/accounts/bob/status /v1/accounts/bob/check /v1/accounts/bob/log /v1/check '/v1/check?account=bob&account=carol' \
	/v1/log '/v1/log?since=1h' /v1/log/head /v1/log/verify '/v1/route?host=bob.example:80&to=192.0.2.10' /v1/operations /v1/token /v1/tokens; do
	api "$OPERATOR" GET "$path"
	is "GET $path" 200
done
like "tokens without secrets" "$BODY" '"name":"alice-web","kind":"account","account":"alice"'
unlike "tokens without secrets" "$BODY" 'hash|shunt_'
api "$OPERATOR" GET '/v1/route?host=bob.example&to=192.0.2.10'
like "route" "$BODY" '"account":"bob"'
same "nosniff" "$(header X-Content-Type-Options)" nosniff
same "no store" "$(header Cache-Control)" no-store
like "csp" "$(header Content-Security-Policy)" "frame-ancestors 'none'"
api "$OPERATOR" GET /v1/accounts/bob/report
is "a refusal is the command's" 409
like "its words" "$BODY" '"type":"about:blank","title":"Conflict","status":409,"detail":"no move of bob is recorded","exit":1'
same "problem" "$(header Content-Type)" application/problem+json
api "$OPERATOR" GET '/v1/log?since=yesterday'
is "usage" 400
api "$OPERATOR" GET '/v1/status?verbose=1'
is "an unknown field" 400
like "is named" "$BODY" 'there is no field \\"verbose\\" here'

say "who may"
api "" GET /v1/status
is "no token" 401
like "how" "$(header WWW-Authenticate)" Bearer
api "${OPERATOR%?}x" GET /v1/status
is "a bad token" 401
api "$METRICS" GET /v1/status
is "metrics" 403
api "$METRICS" GET /metrics
is "metrics" 200
like "as text" "$(header Content-Type)" '^text/plain; version=0\.0\.4'
like "of the proxy" "$BODY" '^shunt_proxy_up 1'
api "$ALICES" GET /metrics
is "an owner" 403
api "$OPERATOR" DELETE /v1/status
is "a method" 405
same "allowed" "$(header Allow)" GET
api "$OPERATOR" GET /v1/nothing
is "nothing there" 404
api "$OPERATOR" GET / -H 'Host: evil.example'
is "another site's name" 421
api "$OPERATOR" GET /v1/token -H 'Host: panel.example'
is "a name of ours" 200

say "changing"
api "$OPERATOR" PUT /v1/accounts/dave "${JSON[@]}" '{"domains":["dave.example"],"ports":[8301]}'
is "add" 200
like "its answer" "$BODY" '"account":\{"name":"dave".*"ok":true,"exit":0'
api "$OPERATOR" PUT /v1/accounts/dave "${JSON[@]}" '{"domains":["alice.example"],"force":true,"yes":true}'
is "a clash" 409
like "its words" "$BODY" 'alice'
api "$OPERATOR" PUT /v1/accounts/dave "${JSON[@]}" '{"domains":["dave2.example"],"force":true}'
is "force without consent" 409
like "what it needs" "$BODY" '"needs":"yes"'
api "$OPERATOR" DELETE /v1/accounts/dave
is "remove" 200
api "$OPERATOR" DELETE /v1/accounts/dave
is "is gone" 404
api "$OPERATOR" POST /v1/accounts/import "${JSON[@]}" "{\"accounts\":[$ALICE,$BOB,$CAROL]}"
is "import" 200
like "its answer" "$BODY" '"accounts":3,"added":0,"changed":0,"removed":0'
same "no file of it stays" "$(find "$W/serve.db.run" -type f | wc -l)" 0
api "$OPERATOR" POST /v1/reload
is "reload" 200
api "$OPERATOR" POST /v1/start "${JSON[@]}" '{}'
is "start" 200
api "$OPERATOR" POST /v1/resume
is "resume" 200
for path in return finish; do
	api "$OPERATOR" POST "/v1/$path" "${JSON[@]}" '{}'
	is "$path" 409
done
api "$OPERATOR" POST /v1/reinstall "${JSON[@]}" '{}'
is "reinstall" 409
api "$OPERATOR" POST /v1/migrate "${JSON[@]}" '{"all":true}'
is "all without consent" 409
like "what would happen" "$BODY" '"needs":"yes".*"dry-run":\[\{"account":"alice","to":"transit","steps":'
same "nobody moved" "$(shunt --json status | grep -o '"transit":{[^}]*"accounts":[0-9]*' | grep -o '[0-9]*$')" 0

say "a move of an owner, with a key and events"
: >"$W/slow-copy-alice"
api "$ALICES" POST /v1/accounts/alice/migrate "${JSON[@]}" '{"dry_run":true}'
is "dry run" 200
like "its steps" "$BODY" '"step":"copying"'
api "$ALICES" POST /v1/accounts/alice/migrate -H 'Idempotency-Key: m1' -H 'Prefer: respond-async' "${JSON[@]}" '{"max_wait":5}'
is "accepted" 202
LOCATION=$(header Location)
like "where" "$LOCATION" '^/v1/operations/[0-9a-f]{32}$'
in_ns c curl -sN --max-time 200 -H "Authorization: Bearer $ALICES" "http://127.0.0.1:7480$LOCATION/events" >"$W/log/events" &
listener=$!
api "$ALICES" POST /v1/accounts/alice/migrate -H 'Idempotency-Key: m1' "${JSON[@]}" '{"max_wait":5}'
is "in progress" 409
same "the same one" "$(header Location)" "$LOCATION"
api "$ALICES" POST /v1/accounts/alice/migrate -H 'Idempotency-Key: m1' "${JSON[@]}" '{"max_wait":6}'
is "another body" 422
api "$OPERATOR" GET "$LOCATION"
wait_for grep -q '"step":"copying".*"percent":40' "$W/log/events" # which the hook says a moment later than that it has begun
api "$ALICES" GET "$LOCATION"
like "progress" "$BODY" '"state":"running".*"progress":\{"kind":"migrate","step":"copying","direction":"apply","percent":40'

say "serve dies in the middle; the move does not"
stop serve KILL
wait "$listener" || true
serve_start
api "$ALICES" GET "$LOCATION"
like "taken up" "$BODY" '"state":"running"'
rm "$W/slow-copy-alice"
over() { api "$ALICES" GET "$LOCATION" && [[ $BODY == *'"state":"done"'* ]]; }
wait_for over
like "its answer" "$BODY" '"exit":0,"status":200,"answer":\{"moves":\[\{"account":"alice","kind":"migrate","state":"done","side":"transit"'
api "$ALICES" POST /v1/accounts/alice/migrate -H 'Idempotency-Key: m1' "${JSON[@]}" '{"max_wait":5}'
is "the same answer" 200
same "said to be" "$(header Idempotency-Replayed)" true
like "of then" "$BODY" '"state":"done"'
unlike "and not of now" "$BODY" '"already"'
api "$OPERATOR" POST /v1/accounts/alice/migrate -H 'Idempotency-Key: m1' "${JSON[@]}" '{}'
is "the key of another token" 200
like "is another key" "$BODY" '"already":true'
same "alice is there" "$(side_of http://alice.example/)" transit
like "the trail names the token" "$(shunt log alice)" 'root \(token: alice-web\) pid [0-9]+ on [^ ]+  alice: migrate begins'

say "going back has a price"
visit -o "$W/o" -d x=1 http://alice.example/
api "$ALICES" POST /v1/accounts/alice/rollback "${JSON[@]}" '{}'
is "not without consent" 409
like "the price" "$BODY" '"needs":"yes","answer":\{"prices":\{"alice":\{"account":"alice","known":true'
in_ns c curl -sN --max-time 200 -H "Authorization: Bearer $ALICES" "http://127.0.0.1:7480/v1/events" >"$W/log/events2" &
listener=$!
wait_for grep -q retry "$W/log/events2"
api "$ALICES" POST /v1/accounts/alice/rollback "${JSON[@]}" '{"yes":true}'
is "with consent" 200
wait_for grep -q '"what":"rollback done"' "$W/log/events2"
kill $listener
wait $listener || true
last=$(sed -n 's/^id: //p' "$W/log/events2" | sed -n 3p)
in_ns c curl -sN --max-time 200 -H "Authorization: Bearer $ALICES" -H "Last-Event-ID: $last" "http://127.0.0.1:7480/v1/events" >"$W/log/events3" &
listener=$!
wait_for grep -q '"what":"rollback done"' "$W/log/events3"
kill $listener
wait $listener || true
same "from there on" "$(sed -n 's/^id: //p' "$W/log/events3" | head -n 1)" $((last + 1))
api "$ALICES" GET /v1/accounts/alice/report
is "her report" 200

say "cancelled, also what an earlier serve has begun, and what waits"
: >"$W/slow-copy-carol"
api "$OPERATOR" POST /v1/accounts/carol/migrate -H 'Prefer: respond-async' "${JSON[@]}" '{}'
LOCATION=$(header Location)
step() { api "$OPERATOR" GET "$LOCATION" && [[ $BODY == *"$1"* ]]; }
wait_for step '"step":"copying"'
CAROLS=$LOCATION
api "$ALICES" POST "$CAROLS/cancel"
is "not hers" 404
api "$OPERATOR" POST /v1/accounts/bob/migrate -H 'Prefer: respond-async' "${JSON[@]}" '{}'
is "waits for its turn" 202
LOCATION=$(header Location)
like "is not begun" "$BODY" '"state":"queued"'
api "$OPERATOR" POST "$LOCATION/cancel"
wait_for step '"exit":1,"status":409,"answer":{"ok":false,"exit":1,"error":"it was cancelled before it began'
api "$OPERATOR" POST /v1/accounts/bob/migrate -H 'Idempotency-Key: waits' -H 'Prefer: respond-async' "${JSON[@]}" '{}'
is "waits again" 202
BOBS=$(header Location)
LOCATION=$CAROLS
waiting=()
for i in 1 2 3 4; do # of an owner's token so many
	api "$ALICES" POST /v1/accounts/alice/migrate -H 'Prefer: respond-async' "${JSON[@]}" '{}'
	is "waits too ($i)" 202
	waiting+=("$(header Location)")
done
api "$ALICES" POST /v1/accounts/alice/migrate -H 'Prefer: respond-async' "${JSON[@]}" '{}'
is "one too many" 503
like "is not there" "$BODY" 'too many calls are waiting. Nothing changed'
for i in "${waiting[@]}"; do
	api "$ALICES" POST "$i/cancel"
	is "cancelled" 202
done
stop serve # and the move goes on
serve_start
api "$OPERATOR" GET "$BOBS"
like "still waits" "$BODY" '"state":"queued"'
api "$OPERATOR" POST "$LOCATION/cancel"
is "cancelled" 202
wait_for step '"exit":3,"status":502'
same "undone" "$(shunt --json status carol | grep -o '"database-side":"[a-z]*"')" '"database-side":"client"'
api "$OPERATOR" POST "$LOCATION/cancel"
is "once" 409
rm "$W/slow-copy-carol"
LOCATION=$BOBS
wait_for step '"exit":0,"status":200'
api "$OPERATOR" POST /v1/accounts/bob/migrate -H 'Idempotency-Key: waits' -H 'Prefer: respond-async' "${JSON[@]}" '{}'
is "its turn came with the next serve" 200
like "and it moved" "$BODY" '"account":"bob","kind":"migrate","state":"done"'
: >"$W/slow-copy-carol"
api "$OPERATOR" POST /v1/accounts/carol/migrate -H 'Prefer: respond-async' "${JSON[@]}" '{}'
LOCATION=$(header Location)
api "$OPERATOR" POST "$LOCATION/cancel" # its process has hardly begun
is "cancelled at once" 202
wait_for step '"state":"done"'
like "undone, or not begun" "$BODY" '"exit":3,|"exit":1,.*"error":"it was cancelled before it began\. Nothing changed"'
rm "$W/slow-copy-carol"

in_ns c python3 "$E2E/serve_slow.py" trickle 127.0.0.1 7480 >"$W/log/trickle" 2>&1 &
trickle=$!

say "what an owner finds out about others"
ALICE_ONLY=(/v1/accounts/bob /v1/accounts/nobody /v1/accounts/bob/status /v1/accounts/nobody/status /v1/accounts/ALICE /v1/accounts/alice%2F..%2Fbob/status
	/v1/accounts/bob/log /v1/accounts/bob/report /v1/accounts/bob/check /v1/accounts/bob/events "$BOBS" /v1/operations/00000000000000000000000000000000)
for path in "${ALICE_ONLY[@]}"; do
	api "$ALICES" GET "$path"
	is "$path" 404
	same "$path: the same words" "$BODY" '{"type":"about:blank","title":"Not Found","status":404,"detail":"there is no such thing here, or it is not yours"}'
done
for path in /v1/accounts /v1/status /v1/log /v1/check '/v1/route?host=bob.example' /v1/tokens /v1/log/head; do
	api "$ALICES" GET "$path"
	is "$path" 403
done
for call in migrate rollback relocate; do
	for name in bob nobody; do
		api "$ALICES" POST "/v1/accounts/$name/$call" "${JSON[@]}" '{}'
		is "$call $name" 404
	done
	api "$ALICES" POST "/v1/$call" "${JSON[@]}" '{"accounts":["bob"]}'
	is "$call of several" 403
done
api "$ALICES" POST /v1/accounts/alice/migrate "${JSON[@]}" '{"force":true,"yes":true}'
is "force is not for her" 403
for path in /v1/accounts/alice /v1/accounts/alice/status /v1/accounts/alice/check /v1/accounts/alice/log /v1/accounts/alice/report /v1/operations /v1/token; do
	api "$ALICES" GET "$path"
	is "$path" 200
	unlike "$path" "$BODY" 'bob|carol|panel|"id":|"hash":|"pid":'
done
: >"$W/slow-copy-alice"
api "$OPERATOR" POST /v1/accounts/alice/migrate -H 'Prefer: respond-async' "${JSON[@]}" '{}'
LOCATION=$(header Location)
wait_for step '"step":"copying"'
api "$ALICES" POST /v1/accounts/alice/migrate "${JSON[@]}" '{"dry_run":true}'
is "at work" 409
like "by whom" "$BODY" '"detail":"alice is being moved \(migrate\) by the operator'
unlike "by whom" "$BODY" panel
api "$ALICES" GET "$LOCATION"
like "hers to see" "$BODY" '"token":"the operator","state":"running"'
rm "$W/slow-copy-alice"
wait_for step '"status":200'
unlike "nor in events" "$(cat "$W"/log/events*)" 'bob|carol|panel'
api "$ALICES" GET /v1/accounts/alice/log
like "who else was it" "$BODY" '"who":"the operator"'
like "and who she is" "$BODY" '"who":"alice-web"'

say "a check, answered at once or as an operation"
api "$OPERATOR" GET '/v1/accounts/carol/check?expires_days=1'
is "one" 200
unlike "which days" "$BODY" tls-expires
api "$OPERATOR" GET '/v1/accounts/carol/check?expires_days=3650'
like "more of them" "$BODY" tls-expires
api "$OPERATOR" GET '/v1/check?expires_days=0'
is "no days" 400
api "$OPERATOR" POST /v1/check -H 'Idempotency-Key: c1' "${JSON[@]}" '{"accounts":["bob","carol"],"expires_days":3650}'
is "of two" 200
like "what it found" "$BODY" '"account":"bob".*"account":"carol".*tls-expires'
unlike "and of no other" "$BODY" '"account":"alice"'
LOCATION=$(header Location)
api "$OPERATOR" GET "$LOCATION"
like "as an operation" "$BODY" '"command":"check".*"state":"done".*"answer":\{.*"account":"carol"'
api "$OPERATOR" POST /v1/check -H 'Idempotency-Key: c1' "${JSON[@]}" '{"accounts":["bob","carol"],"expires_days":3650}'
same "once" "$STATUS $(header Location)" "200 $LOCATION"
api "$ALICES" POST /v1/accounts/alice/check "${JSON[@]}" '{"expires_days":3650}'
is "hers" 200
like "hers" "$BODY" '"account":"alice".*"kind":"seen"'
unlike "and nobody else's" "$BODY" 'bob|carol|panel'
api "$ALICES" GET "$(header Location)"
unlike "nor later" "$BODY" 'bob|carol|panel'
api "$ALICES" POST /v1/accounts/bob/check "${JSON[@]}" '{}'
is "bob's" 404
api "$ALICES" POST /v1/check "${JSON[@]}" '{"accounts":["alice"]}'
is "of several" 403

say "garbage"
api "$OPERATOR" POST /v1/migrate -d '{}'
is "a form" 415
for body in '{' '[]' '{"accounts":["a"],"accounts":["b"]}' '{"accounts":"bob"}' '{"accounts":["../x"]}' '{"drain":"1"}' '{"drain":-1}' '{"dry_run":1}' '{"x":1}'; do
	api "$OPERATOR" POST /v1/migrate "${JSON[@]}" "$body"
	is "$body" 400
done
api "$OPERATOR" POST /v1/accounts/bob/migrate "${JSON[@]}" '{"drain":1}' -H 'Idempotency-Key: with blank'
is "a key" 400
api "$OPERATOR" GET /v1/status "${JSON[@]}" '{}'
is "a body where none is" 400
head -c 70000 /dev/zero | tr '\0' ' ' >"$W/large"
api "$OPERATOR" POST /v1/start -H 'Content-Type: application/json' --data-binary "@$W/large"
is "too large" 413
api "$OPERATOR" GET "/v1/status?$(head -c 30000 /dev/zero | tr '\0' x)"
[ "$STATUS" = 400 ] || [ "$STATUS" = 413 ] || die "a long line: $STATUS"

in_ns c python3 "$E2E/serve_slow.py" garbage 127.0.0.1 7480 "$OPERATOR"
in_ns c python3 "$E2E/serve_slow.py" refused 127.0.0.1 7480
api "$OPERATOR" GET /v1/token
is "and it still answers" 200

say "a description that fits"
in_ns c python3 "$E2E/serve_openapi.py" "$OPERATOR" http://127.0.0.1:7480

api "$OPERATOR" GET /v1/openapi.json
ETAG=$(header ETag)
like "its tag" "$ETAG" '^"[0-9a-f]{32}"$'
same "may be kept" "$(header Cache-Control)" "max-age=300"
api "$OPERATOR" GET /v1/openapi.json -H "If-None-Match: $ETAG"
is "not changed" 304
stranger() { in_ns c curl -sS -D "$W/headers" -o "$W/body" -w '%{http_code}\n' "http://127.0.0.1:7480/v1/openapi.json"; }
stranger_waits() { [ "$(stranger)" = 429 ]; } # a burst of 20, and one more every 5 s
wait_for stranger_waits
like "when again" "$(header Retry-After)" '^[0-9]+$'
api "$OPERATOR" GET /v1/openapi.json
is "with a token it is the token's rate" 200

say "a request in small pieces"
wait $trickle || die "$(cat "$W/log/trickle")"

say "a database that cannot be written"
serve_sql() { python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=10).executescript(sys.argv[2])' "$W/serve.db" "$1"; }
serve_sql "CREATE TRIGGER no_writes BEFORE UPDATE ON operations BEGIN SELECT RAISE(ABORT, 'no'); END;"
api "$OPERATOR" POST /v1/accounts/bob/rollback -H 'Prefer: respond-async' -H 'Idempotency-Key: stays' "${JSON[@]}" '{"yes":true}'
is "it waits" 202
LOCATION=$(header Location)
wait_for grep -q 'operation=.*reason=".*: no"' "$W/log/serve"
api "$OPERATOR" POST "$LOCATION/cancel"
is "and is not cancelled, which could not be written either" 503
api "$OPERATOR" GET "$LOCATION"
like "it is not begun" "$BODY" '"state":"queued"'
stop serve KILL
serve_sql "DROP TRIGGER no_writes; CREATE TRIGGER no_ends BEFORE UPDATE ON operations WHEN NEW.state = 'done' BEGIN SELECT RAISE(ABORT, 'no end'); END;"
serve_start
wait_for grep -q 'operation=.*reason=".*: no end"' "$W/log/serve"
api "$OPERATOR" GET "$LOCATION"
like "over, and not written" "$BODY" '"state":"running"'
stop serve KILL
serve_start
serve_sql "DROP TRIGGER no_ends;"
wait_for step '"exit":0,"status":200'
same "it ran once" "$(shunt log bob | grep -c 'bob: rollback begins')" 1
: >"$W/slow-copy-bob"
api "$OPERATOR" POST /v1/accounts/bob/migrate -H 'Prefer: respond-async' "${JSON[@]}" '{}'
LOCATION=$(header Location)
wait_for step '"step":"copying"'
MOVER=$(shunt --json status bob | grep -o '"pid":[0-9]*' | head -n 1 | cut -d : -f 2)
kill -KILL "$MOVER"
rm "$W/slow-copy-bob"
wait_for step '"state":"done"'
like "killed without a word: from the trail" "$BODY" '"exit":4,"status":500,"answer":\{"from-trail":true,"moves":\[\{"account":"bob","kind":"migrate","state":"moving"'
shunt resume >"$W/o"

say "streams of events"
TOKENS=()
for i in 1 2 3 4 5 6 7 8 9; do TOKENS+=("$(shunt token create "many-$i" --operator 2>"$W/o")"); done
in_ns c python3 "$E2E/serve_slow.py" streams 127.0.0.1 7480 "${TOKENS[@]}"

say "another account of the same name"
in_ns c curl -sN --max-time 90 -H "Authorization: Bearer $ALICES" "http://127.0.0.1:7480/v1/events" >"$W/log/events4" &
follow=$!
wait_for grep -q retry "$W/log/events4"
api "$OPERATOR" DELETE "/v1/accounts/alice?force=true&yes=true"
is "hers goes" 200
wait $follow || die "her stream of events went on"
api "$ALICES" GET /v1/token
is "and her token with it" 404
api "$OPERATOR" PUT /v1/accounts/alice "${JSON[@]}" '{"domains":["alice.example"]}'
is "another one" 200
api "$ALICES" GET /v1/accounts/alice
is "is not hers" 404

say "how far a check of many is"
python3 - "$(shunt --json account show bob)" >"$W/many.json" <<'END'
import json, sys
bob = json.loads(sys.argv[1])["account"]
print(json.dumps({k: bob[k] for k in ("name", "domains", "addresses", "logins", "ports") if k in bob}))
for i in range(249):
    print(json.dumps({"name": "m%d" % i, "domains": ["m%d.example" % i]}))
END
shunt account import --force "$W/many.json" >"$W/o"
api "$OPERATOR" POST /v1/check -H 'Prefer: respond-async' "${JSON[@]}" '{}'
is "accepted" 202
in_ns c curl -sN --max-time 200 -H "Authorization: Bearer $OPERATOR" "http://127.0.0.1:7480$(header Location)/events" >"$W/log/events5"
like "on its way" "$(cat "$W/log/events5")" '^data: \{"checked":[0-9]+,"of":250,"percent":[0-9.]+,"operation"'
like "to its end" "$(tail -n 2 "$W/log/events5")" '"command":"check","state":"done"'

say "revoked, and too often"
shunt token revoke alice-web >"$W/o"
api "$ALICES" GET /v1/token
is "revoked" 401
# However slow this machine is, it comes to more than what is filled up again meanwhile.
too_many() { # TOKEN
	api "$1" GET /v1/token
	[ "$STATUS" = 429 ]
}
WAIT=60 wait_for too_many "$ALICES"
like "when again" "$(header Retry-After)" '^[0-9]+$'
api "$OPERATOR" GET /v1/token
is "others may" 200
stop serve
sed -i 's/rate = 1000 changes = 1000/rate = 2 changes = 1/' "$W/shunt.conf"
serve_start
mapfile -t many < <(yes http://127.0.0.1:7480/v1/token | head -n 100) # which would take it 48 s
in_ns c curl -sS --max-time 90 -H "Authorization: Bearer $OPERATOR" -w '\n%{http_code}\n' "${many[@]}" >"$W/o"
like "its rate" "$(cat "$W/o")" '(^|[^0-9])429'

say "by a Unix socket, and with TLS"
stop serve
sed -i "s|listen = \"127.0.0.1:7480\"|listen = \"unix:$W/serve.sock\"|; s/rate = 2 changes = 1/rate = 100/" "$W/shunt.conf"
start serve c "$SHUNT" -c "$W/shunt.conf" serve
over_socket() { in_ns c curl -sf --unix-socket "$W/serve.sock" -H "Authorization: Bearer $OPERATOR" http://any.name/v1/token -o "$W/body"; }
wait_for over_socket
same "for the group alone" "$(stat -c %a "$W/serve.sock")" 660
stop serve
sed -i "s|listen = \"unix:$W/serve.sock\"|listen = \"192.0.2.10:7480\"|" "$W/shunt.conf"
fails_with 2 shunt serve
like "in the clear" "$OUT" 'shunt.conf:[0-9]+: found listen = "192.0.2.10:7480", expected .*loopback.*would pass the network in the clear'
sed -i "s|listen = \"192.0.2.10:7480\"|listen = \"tls://192.0.2.10:7480\"|" "$W/shunt.conf"
fails_with 2 shunt serve
like "without a certificate" "$OUT" 'without cert or key'
sed -i "s|listen = \"tls|cert = \"$W/cert.pem\" key = \"$W/key.pem\" &|" "$W/shunt.conf"
start serve c "$SHUNT" -c "$W/shunt.conf" serve
over_tls() { in_ns v curl -sf --noproxy '*' --cacert "$W/cert.pem" --resolve alice.example:7480:192.0.2.10 -H "Authorization: Bearer $OPERATOR" https://alice.example:7480/v1/token -o "$W/body" "$@"; }
wait_for over_tls
over_tls --tlsv1.2 --tls-max 1.2
in_ns v python3 "$E2E/serve_slow.py" crowd 192.0.2.10 7480
wait_for over_tls # once it has seen that they have gone
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3 -keyout "$W/key2.pem" -out "$W/cert2.pem" -subj /CN=second \
	-addext subjectAltName=DNS:alice.example 2>"$W/o"
cp "$W/key2.pem" "$W/key.pem"
cp "$W/cert2.pem" "$W/cert.pem"
kill -HUP "$(pid_of serve)"
wait_for over_tls # which trusts the new one alone
stop serve
