#!/usr/bin/env bash
# The panel, in Chromium: an operator checks and migrates two accounts; an owner moves his own from click to done while serve is killed and
# comes back, sees what a rollback costs and goes back; a refusal in plain words. Then what others try: markup in what hooks say, frames,
# forms of another site, a session that was there before the login, and looking for accounts. And all of a move without a script, by curl.
. "$(dirname "$0")/lib.sh"
for tool in chromium chromedriver; do command -v $tool >"$W/o" || cannot_run "no $tool"; done
NAMESPACES+=(b) # the browser's, with loopback alone
net_up
web_up
cat >"$W/bin/copy" <<-END
	#!/bin/sh
	echo progress 40%
	[ ! -e "$W/bad-copy-\$SHUNT_ACCOUNT" ] || { echo '<script>document.title="owned"</script><img src=x onerror="document.title=1">' >&2; exit 1; }
	while [ -e "$W/slow-copy-\$SHUNT_ACCOUNT" ]; do sleep 0.05; done
END
chmod +x "$W/bin/copy"
CONTROL="hook-copy = \"$W/bin/copy\"
home-wait = 0"
MORE="serve { listen = \"127.0.0.1:7480\" state = \"$W/serve.db\" rate = 1000 changes = 1000 names = {\"panel.example\"} }"
proxy_conf
proxy_start
import >"$W/o"
serve_start() { start serve c "$SHUNT" -c "$W/shunt.conf" serve; wait_for in_ns c curl -sf -o "$W/o" http://127.0.0.1:7480/v1/openapi.json; }
serve_start
OPERATOR=$(shunt token create panel --operator 2>"$W/o")
ALICES=$(shunt token create alice-web --account alice 2>"$W/o")
METRICS=$(shunt token create prometheus --metrics 2>"$W/o")

start relay b env E2E_NS="$NS" python3 "$E2E/panel_browser.py" relay
start chromedriver b env HOME="$W" chromedriver --port=9515
wait_for in_ns b curl -sf -o "$W/o" http://127.0.0.1:9515/status
wait_for in_ns b curl -sf -o "$W/o" http://127.0.0.1:7480/login
browser() { in_ns b env HOME="$W" python3 "$E2E/panel_browser.py" "$@" || die "in the browser: $*"; }
browser new

# panel METHOD PATH [CURL-ARGUMENTS..]: as a browser without a script, with the cookies in $JAR
JAR=$W/jar
panel() {
	local method=$1 path=$2
	shift 2
	STATUS=$(in_ns c curl -sS --max-time 90 -o "$W/body" -D "$W/headers" -w '%{http_code}' -X "$method" -b "$JAR" -c "$JAR" "$@" "http://127.0.0.1:7480$path")
	BODY=$(cat "$W/body")
}
is() { [ "$STATUS" = "$2" ] || die "$1: $STATUS instead of $2: $BODY"; }
sql() { sqlite3 -cmd '.timeout 30000' "$@"; } # serve and its commands look and write meanwhile
header() { sed -n "s/^$1: \(.*\)\r$/\1/Ip" "$W/headers"; }
hidden() { grep -o "name=\"$1\" value=\"[^\"]*\"" "$W/body" | tail -n 1 | sed 's/.*value="\(.*\)"/\1/'; }

say "an operator"
browser operator "$OPERATOR"
same "bob moved" "$(side_of http://bob.example/)" transit

say "an owner, from click to done; serve is killed meanwhile"
: >"$W/slow-copy-alice"
browser owner "$ALICES"
stop serve KILL
browser lost
serve_start
browser back
rm "$W/slow-copy-alice"
browser done
same "alice moved" "$(side_of http://alice.example/)" transit
same "by one operation" "$(sql "$W/serve.db" "SELECT count(*) FROM operations WHERE account = 'alice'")" 1
visit -o "$W/o" -d x=1 http://alice.example/
browser rollback
same "alice is back" "$(side_of http://alice.example/)" client

say "a refusal"
: >"$W/slow-copy-alice"
api() { in_ns c curl -sS -o "$W/body" -D "$W/headers" -H "Authorization: Bearer $OPERATOR" -H 'Content-Type: application/json' "$@"; }
api -H 'Prefer: respond-async' -d '{}' http://127.0.0.1:7480/v1/accounts/alice/migrate
cp "$W/body" "$W/theirs"
moving() { shunt --json status alice | grep -q '"step": *"copying"'; }
wait_for moving
browser refused

say "cancelled"
browser theirs
api -d '' "http://127.0.0.1:7480/v1/operations/$(field "$(cat "$W/theirs")" operation)/cancel"
# of the operation, not of the move: whoever made it has ended then, and let go of the account
at_rest() { api "http://127.0.0.1:7480/v1/operations/$(field "$(cat "$W/theirs")" operation)" && grep -q '"state":"done"' "$W/body"; }
wait_for at_rest
browser cancel
rm "$W/slow-copy-alice"
same "alice stays" "$(side_of http://alice.example/)" client

say "markup in what a hook says"
: >"$W/bad-copy-alice"
panel GET /
is "not logged in" 303
same "leads to the login" "$(header Location)" /login
panel POST /login -d "token=$ALICES"
is "in" 303
panel POST /confirm -d x=1
is "a form without a seal" 403
panel GET /accounts/alice
is "her page" 200
seal=$(hidden seal)
like "the policy" "$(header Content-Security-Policy)" "default-src 'none'; style-src 'self'; script-src 'self'.*frame-ancestors 'none'; base-uri 'none'"
same "frames" "$(header X-Frame-Options)" DENY
same "sniffing" "$(header X-Content-Type-Options)" nosniff
same "kept by nobody" "$(header Cache-Control)" no-store
same "referrer" "$(header Referrer-Policy)" same-origin
unlike "no script or style of its own" "$BODY" '<script>|<style| style=| on[a-z]+='
panel POST /confirm -d "seal=$seal&action=migrate&account=alice"
is "what would happen" 200
key=$(hidden key)
panel POST /act -d "seal=$seal&action=migrate&account=alice&key=$key"
is "begun" 303
operation=$(header Location)
over() { panel GET "$operation" && [[ $BODY == *'id="result"'* ]]; }
panel GET "$operation"
wait_for over
like "it was undone, and why" "$BODY" 'failed and was undone.*&lt;script&gt;document.title'
unlike "inert" "$BODY" '<script>|<img'
browser inert "$operation"
rm "$W/bad-copy-alice"

say "without a script"
: >"$W/slow-copy-alice"
panel POST /confirm -d "seal=$seal&action=migrate&account=alice"
key=$(hidden key)
panel POST /act -d "seal=$seal&action=migrate&account=alice&key=$key"
operation=$(header Location)
panel GET "$operation"
like "it comes again" "$BODY" '<noscript><meta http-equiv="refresh" content="3"></noscript>'
panel POST "$operation/cancel" -d "seal=$seal"
is "cancelled" 303
rm "$W/slow-copy-alice"
wait_for over
like "it was" "$BODY" 'It was cancelled: everything is as it was'
panel POST /act -d "seal=$seal&action=migrate&account=alice&key=$key"
same "the same click again" "$(header Location)" "$operation"
browser plain
same "alice moved" "$(side_of http://alice.example/)" transit

say "home again, once the reinstalled server is back"
sql "$W/shunt.db" "INSERT INTO clocks SELECT value, at, who FROM clocks, json_each('[\"reinstall\", \"return\"]') WHERE name = 'start'"
browser home
same "alice is home" "$(side_of http://alice.example/)" client
sql "$W/shunt.db" "DELETE FROM clocks WHERE name IN ('reinstall', 'return')"

say "another site"
count() { sql "$W/serve.db" 'SELECT count(*) FROM operations'; }
before=$(count)
browser attack /
act=(-d "seal=$seal&action=migrate&account=alice&key=evil1")
panel POST /act "${act[@]}" -H 'Origin: http://evil.example'
is "its origin" 403
panel POST /act "${act[@]}" -H 'Origin: null'
is "an origin that is hidden" 403
panel POST /act "${act[@]}" -H 'Sec-Fetch-Site: cross-site'
is "as the browser says" 403
panel POST /act -d "seal=${seal%?}x&action=migrate&account=alice&key=evil2"
is "another seal" 403
panel POST /act -H 'Content-Type: text/plain' --data-raw "seal=$seal&action=migrate&account=alice&key=evil3"
is "another type" 403
panel GET "/act?seal=$seal&action=migrate&account=alice&key=evil4"
is "by a link" 404
same "nothing began" "$(count)" "$before"

say "looking for accounts"
panel GET "/?find=bob&side=transit"
is "the list is not an owner's" 303
same "who is led to his own" "$(header Location)" /accounts/alice
same_page() { sed 's/[0-9a-f]\{64\}/SEAL/g' "$W/body"; }
panel GET /accounts/nobody
is "nobody" 404
nobody=$(same_page)
for path in /accounts/bob /accounts/bob/report /accounts/nobody/report /accounts/..%2fbob /accounts/a%00b '/accounts/%3Cscript%3E' /operations/00000000000000000000000000000000 \
	"/operations/$(sql "$W/serve.db" "SELECT id FROM operations WHERE account IS NULL LIMIT 1")" /nothing; do
	panel GET "$path"
	is "$path" 404
	same "$path" "$(same_page)" "$nobody"
done
for name in bob nobody; do
	for action in check migrate rollback; do
		panel POST /confirm -d "seal=$seal&action=$action&account=$name"
		is "$action $name" 404
		same "$action $name" "$(same_page)" "$nobody"
	done
	panel POST /act -d "seal=$seal&action=migrate&account=$name&key=k-$name"
	is "act $name" 404
	panel POST /act -d "seal=$seal&action=migrate&account=alice&account=$name&key=k2-$name"
	[ "$STATUS" != 303 ] || die "several are not an owner's: $(header Location)"
	several=${several:-$(same_page)}
	same "several with $name" "$(same_page)" "$several"
done
same "nothing began" "$(count)" "$before"

say "many accounts"
{ printf '['; for i in {1..402}; do printf '{"name":"x%d","domains":["x%d.example"]},' "$i" "$i"; done
	for i in {1..48}; do printf '{"name":"y%d","domains":["y%d.test"]},' "$i" "$i"; done; printf '%s,%s,%s]\n' "$ALICE" "$BOB" "$CAROL"; } >"$W/many.json"
shunt account import "$W/many.json" >"$W/o"
browser many "$OPERATOR"
found() { # WHAT PATH ROWS WORDS..: without a script
	panel GET "$2" -H "Authorization: Bearer $OPERATOR"
	is "$1" 200
	same "$1" "$({ grep -o '<td role="cell" class="pick">' "$W/body" || :; } | wc -l)" "$3"
	for words in "${@:4}"; do [[ $BODY == *"$words"* ]] || die "$1: no $words: $BODY"; done
}
found "a page" "/?find=X&side=client&page=2" 200 '<nav class="pages" aria-label="Pages of accounts">' 'Accounts 201–400 of 404' 'Page 2 of 3' \
	'href="/?find=X&amp;side=client#accounts">Previous page<' 'href="/?find=X&amp;side=client&amp;page=3#accounts">Next page<'
[ "${#BODY}" -lt 250000 ] || die "a page of ${#BODY} bytes"
found "by a domain" "/?find=.Example&side=transit&page=-1" 2 'Accounts 1–2 of 2' '<a id="whole" href="/#accounts">Show all accounts</a>' '<option value="transit" selected>'
unlike "nothing to turn" "$BODY" '<nav'
found "nothing" "/?find=%22%3E%3Cscript%3E%27%26" 0 'No account matches.' 'value="&quot;&gt;&lt;script&gt;&#39;&amp;"'
unlike "inert" "$BODY" '<script>|<table'
found "what is no text" "/?find=%ff&side=x&page=y" 200 'Accounts 1–200 of 454' 'name="find" value=""'

say "sessions"
mine=$(awk '$6 == "shunt-session" {print $7}' "$JAR")
like "its cookie" "$(grep -c '^#HttpOnly_' "$JAR")" 1
[ -z "$(grep -a "$mine" "$W/serve.db")" ] || die "a session is at rest in the clear"
JAR=$W/jar2
planted=$(printf 'a%.0s' {1..64})
panel POST /login -d "token=$OPERATOR" -H "Cookie: shunt-session=$planted"
is "in" 303
like "a new one, for this site alone" "$(header Set-Cookie)" '^shunt-session=[0-9a-f]{64}; Path=/; HttpOnly; SameSite=Strict$'
unlike "and not what was planted" "$(header Set-Cookie)" "$planted"
in_ns c curl -s -o "$W/body" -w '%{http_code}' -H "Cookie: shunt-session=$planted" http://127.0.0.1:7480/ >"$W/o"
same "what was planted is nobody's" "$(cat "$W/o")" 303
first=$(awk '$6 == "shunt-session" {print $7}' "$JAR")
panel POST /login -d "token=$OPERATOR"
in_ns c curl -s -o "$W/body" -w '%{http_code}' -H "Cookie: shunt-session=$first" http://127.0.0.1:7480/ >"$W/o"
same "a login ends the session before it" "$(cat "$W/o")" 303
panel GET /
is "an operator's" 200
oseal=$(hidden seal)
panel POST /confirm -d "seal=$oseal&action=migrate&account=alice&account=x7&account=bob"
like "one of those that would move has no size that is known" "$BODY" 'All of it takes.*For 1 of these 2 accounts the size of the databases is not known'
like "what the rest goes by" "$BODY" 'measured here so far \(moves: [0-9]+\)'
panel POST /act -d "seal=$seal&action=migrate&account=alice&key=evil5"
is "the seal of another session" 403
panel POST /logout -d "seal=$oseal"
is "out" 303
panel GET /
is "is over" 303
panel POST /login -d "token=$METRICS"
is "not for metrics" 403
wrong=$BODY
panel POST /login -d "token=shunt_$planted"
is "not a token" 403
same "the same words" "$BODY" "$wrong"
panel POST /login -d "token=$OPERATOR" -H 'X-Forwarded-Proto: https'
like "behind TLS" "$(header Set-Cookie)" '^__Host-shunt-session=[0-9a-f]{64}; Path=/; HttpOnly; SameSite=Strict; Secure$'

say "behind a login of the provider's own"
JAR=$W/jar3
panel GET /accounts/alice -H "Authorization: Bearer $ALICES"
is "her page" 200
unlike "nothing to log out of" "$BODY" '/logout'
bseal=$(hidden seal)
panel POST /confirm -H "Authorization: Bearer $ALICES" -d "seal=$bseal&action=migrate&account=alice"
is "her form" 200
panel POST /confirm -H "Authorization: Bearer $ALICES" -d "seal=$oseal&action=migrate&account=alice"
is "not another's" 403
# the nginx of the README, as it stands there, but for the address
mkdir "$W/front"
front=$(sed -n '/^location \/ {/,/^}/p' "$TOP/README.md" | sed 's|http://unix:/run/shunt/serve.sock|http://127.0.0.1:7480|')
like "the README's" "$front" 'auth_request /whose;'
cat >"$W/front/conf" <<-END
	daemon off; master_process off; pid $W/front/pid; error_log $W/log/front warn; events { }
	http {
		access_log off; client_body_temp_path $W/front/b; proxy_temp_path $W/front/p; fastcgi_temp_path $W/front/f; uwsgi_temp_path $W/front/u; scgi_temp_path $W/front/s;
		server {
			listen 127.0.0.1:7481;
			$front
			location = /whose { internal; proxy_pass http://127.0.0.1:7482; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
		}
		server { # a login of the provider's
			listen 127.0.0.1:7482;
			if (\$cookie_provider != alice-has-logged-in) { return 401; }
			location / { add_header X-Shunt-Token $ALICES; return 200; }
		}
	}
END
start front c nginx -e "$W/log/front" -c "$W/front/conf" -p "$W/front"
FRONT=http://127.0.0.1:7481
front_is() { # WHAT STATUS CURL-ARGUMENTS..
	in_ns c curl -sS --max-time 90 -o "$W/body" -w '%{http_code}' "${@:3}" >"$W/o" || :
	[ "$(cat "$W/o")" = "$2" ] || die "$1: $(cat "$W/o") instead of $2: $(cat "$W/body")"
}
answers() { front_is "nginx" 401 "$FRONT/"; }
wait_for in_ns c curl -s -o "$W/o" "$FRONT/"
answers
front_is "a token that a browser brings is not passed on" 401 -H "Authorization: Bearer $OPERATOR" "$FRONT/"
front_is "nor another's session" 404 -b "provider=alice-has-logged-in; shunt-session=$(awk '$6 == "shunt-session" {print $7}' "$W/jar2")" "$FRONT/accounts/bob"
front_is "a form of another site" 403 -b provider=alice-has-logged-in -H 'Origin: http://evil.example' -d "seal=$bseal&action=migrate&account=alice" "$FRONT/confirm"
printf '#!/bin/sh\nwhile [ ! -e "%s/go-on" ]; do sleep 0.05; done\n' "$W" >"$W/bin/copy"
browser behind
same "alice moved" "$(side_of http://alice.example/)" transit
stop front
JAR=$W/jar
panel GET /accounts/alice
is "still in" 200
shunt token revoke alice-web >"$W/o"
panel GET /accounts/alice
is "with the token the session ends" 303
browser end
stop chromedriver
stop relay
