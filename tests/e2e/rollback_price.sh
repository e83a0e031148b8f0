#!/usr/bin/env bash
# What the transit server has accepted since the switch is counted by the proxy, shown before a rollback, consented to, and recorded.
. "$(dirname "$0")/lib.sh"
net_up
web_up
proxy_conf <<'EOF'
listener "redis" { address = "192.0.2.11" port = 8300 protocol = "tcp" local = "127.0.0.1:8080" transit-port = 80 }
EOF
proxy_start
import >"$W/log/import"
get() { visit -o "$W/o" "$@"; }
price() { # of carol, as the proxy has it
	ask account '{"name":"carol"}' | python3 -c 'import json, sys
s = json.load(sys.stdin)["since-switch"]
def w(k):
    o = s["writes"][k]
    return "".join("%s%d " % (m, n) for m, n in o.items() if n and m.isupper() or m == "other" and n) + "b%d" % o["bytes"]
print(s["side"], s["whole"], *["%s: %s;" % (k, w(k)) for k in ("accepted", "refused", "unanswered")],
      *sorted("%s/%s=%d" % (c["listener"], c["protocol"], c["count"]) for c in s["connections"])) if s else print("null")'
}

# at home nothing is counted, and what only reads has no price: no consent is needed
get -d x=1 http://carol.example/
same "at home" "$(price)" null
unlike "status at home" "$(shunt status carol)" '^price'
shunt migrate carol >"$W/o"
same "just switched" "$(price)" "transit True accepted: b0; refused: b0; unanswered: b0;"
get http://carol.example/ && get -I http://carol.example/ && get -X OPTIONS http://carol.example/
like "nothing that writes" "$(shunt status carol)" '^price      Since carol was switched to transit at .* ago\) the transit server has accepted: nothing that writes\.$'
shunt rollback carol >"$W/o" || die "a rollback that loses nothing was refused"
like "and is told" "$(cat "$W/o")" 'accepted: nothing that writes'
same "back" "$(side_of http://carol.example/)" client
shunt --json log carol >"$W/log.json"
like "recorded too" "$(cat "$W/log.json")" '"nothing to lose"'

# each kind of it, on both workers
shunt migrate carol >"$W/o"
head -c 300000 /dev/zero >"$W/body"
get --data-binary "@$W/body" http://carol.example/app/upload
get -H 'Transfer-Encoding: chunked' --data-binary "@$W/body" http://carol.example/app/upload
same "arrived" "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["bytes"])' "$W/o")" 300000
get -X PUT -d 12345 http://carol.example/ -o "$W/o" --next -s -o "$W/o" --resolve '*:80:192.0.2.10' -X DELETE http://carol.example/1
get -X PROPPATCH http://carol.example/
get -X PATCH -d 123 http://carol.example/app/none
get http://carol.example/ && get -d x=1 http://bob.example/
get https://carol.example/ && get -d x=1 https://carol.example/
in_ns v curl -s -o "$W/o" http://192.0.2.11:8300/
all_counted() { [ "$(price)" = "transit True accepted: POST2 PUT1 DELETE1 other1 b600005; refused: PATCH1 b3; unanswered: b0; https/tls=2 redis/tcp=1" ]; }
wait_for all_counted
# a WebSocket counts while it is open, with what has been sent on it; a POST that is cut has perhaps been done
python3 - "$TOOLS" "$W/proxy.sock" >"$W/ws" <<'EOF'
import json, subprocess, sys
from lab import Conn, W, wait_until
from ws import WebSocket
w = WebSocket("carol.example", "/app/ws")
w.say("x" * 1000)
answer = subprocess.run([sys.executable, sys.argv[1] + "/ctl.py", sys.argv[2], "account", '{"name":"carol"}'], capture_output=True, check=True)
print(*[(c["count"], c["bytes"] > 1000, c["last"] >= c["first"]) for c in json.loads(answer.stdout)["since-switch"]["connections"] if c["protocol"] == "http"])
w.close()
v = Conn()
v.send(b"POST /app/slow?ms=30000 HTTP/1.1\r\nHost: carol.example\r\nX-Req-Id: cut\r\nContent-Length: 3\r\n\r\nx=1")
wait_until(lambda: '"cut"' in open(W + "/nginx-t/app").read())
price = lambda: json.loads(subprocess.run([sys.executable, sys.argv[1] + "/ctl.py", sys.argv[2], "account", '{"name":"carol"}'], capture_output=True, check=True).stdout)
print(price()["since-switch"]["writes"]["unanswered"]["POST"], price()["flows"])
v.rst()
EOF
same "while it is open" "$(paste -sd, "$W/ws")" "(1, True, True),1 1"
cut_counted() { [ -n "$(price | grep 'unanswered: POST1 b3;')" ]; }
wait_for cut_counted

# neither a reload nor an import makes it less
shunt reload >"$W/o"
shunt account import "$W/accounts.json" >"$W/o"
all="transit True accepted: POST2 PUT1 DELETE1 other1 b600005; refused: PATCH1 b3; unanswered: POST1 b3; https/tls=2 redis/tcp=1 web/http=1"
same "all" "$(price)" "$all"

# shown, and refused without consent
told='Since carol was switched to transit at 20.*Z \([0-9]+ (s|min) ago\) the transit server has accepted: 5 requests that write \(2 POST, 1 PUT, 1 DELETE, 1 other\), 600\.0 kB uploaded; and 2 TLS connections \([0-9.]+ kB sent\), 1 connection on redis \([0-9]+ bytes sent\), 1 upgraded connection \(1\.[0-9] kB sent\), 1 request whose answer never came \(1 POST\), which may have written\. A rollback brings nothing of that back: no hook-copy is configured\.$'
like "status" "$(shunt status carol)" "^price      $told"
like "a dry run" "$(shunt rollback --dry-run carol)" "^  price +$told"
fails_with 1 shunt rollback carol
like "what it costs" "$OUT" "^$told"
like "what is wanted" "$OUT" 'rollback of carol refused: .*--yes consents'
fails_with 1 shunt --json rollback carol
like "as JSON" "$OUT" '"prices": ?\{"carol": ?\{'
same "nothing has changed" "$(side_of http://carol.example/) $(price)" "transit $all"
unlike "and no consent is on record" "$(shunt log carol | tail -n 1)" 'rollback'
# of several only who has something to lose is named; no terminal, no question
shunt migrate alice >"$W/o"
fails_with 1 shunt rollback alice carol
like "carol alone" "$OUT" 'rollback of carol refused'
shunt rollback alice >"$W/o"

# with consent: price and consent are on record, and what it came to at the fence
get -d late=1 http://carol.example/
shunt --json --yes rollback carol >"$W/back.json"
shunt --json log carol >"$W/log.json"
same "evidence" "$(python3 - "$W/back.json" "$W/log.json" <<'EOF'
import json, sys
move = json.load(open(sys.argv[1]))["moves"][0]
p = move["evidence"]["price"]
line = [e for e in json.load(open(sys.argv[2]))["log"] if e["what"] == "price agreed to"][-1]
fenced = move["evidence"]["fenced"]["since-switch"]
print(move["side"], move["price"] == p == line["evidence"], line["move"] == move["move"], p["consent"]["by"], p["writes"]["accepted"]["requests"],
      fenced["writes"]["accepted"]["POST"], fenced["side"], "who" in line)
EOF
)" "client True True --yes 6 3 transit True"
shunt report carol >"$W/report"
like "the report" "$(tr '\n' ' ' <"$W/report")" 'the transit server has accepted: 6 requests that write .* is configured\. Consent to that: --yes, at 20'
same "home" "$(price)" "client True accepted: b0; refused: b0; unanswered: b0;"

# a proxy that ends by itself leaves what it has counted to the next one, which is on disk before it is gone
shunt migrate carol >"$W/o"
get -d x=1 http://carol.example/
get http://carol.example/
stop proxy
like "away" "$(shunt status carol)" '^price      What the transit server has accepted since carol was switched to it at .* is not known: the proxy does not answer'
shunt rollback --dry-run carol >"$W/o"
like "away, in a dry run" "$(cat "$W/o")" '^  price .* is not known: '
proxy_start
same "goes on" "$(price)" "transit True accepted: POST1 b3; refused: b0; unanswered: b0;"
unlike "nothing is missing" "$(shunt status carol)" 'Not in it'
names() { ask stragglers '{"account":"carol"}' | python3 -c 'import json, sys
print(*["%s %s %d" % (n["kind"], n["name"], n["count"]) for n in json.load(sys.stdin)["names"]])'; }
same "and the names" "$(names)" "http carol.example 2"

# one that is killed loses the seconds since it wrote last, and the next one says which; what was in flight is counted as unanswered
get -X DELETE http://carol.example/1
written() { grep -q '"account":"carol".*\[1,0,0,1,0,3,' "$W/table.counts"; }
wait_for written
kill -KILL "$(pid_of proxy)"
wait_for gone "$(pid_of proxy)"
proxy_start
same "most of it" "$(price)" "transit True accepted: POST1 DELETE1 b3; refused: b0; unanswered: b0;"
same "the names, too" "$(names)" "http carol.example 3"
like "says so" "$(shunt status carol)" '^price .* accepted: 2 requests that write \(1 POST, 1 DELETE\), 3 bytes uploaded\. Not in it is what came between 20[^ ]*Z and 20[^ ]*Z, while shunt-proxy was killed and started again\. A rollback'
like "of names as well" "$(shunt check --stragglers)" 'began at 20[^ ]*Z, but not between 20[^ ]*Z and 20'
fails_with 1 shunt rollback carol
shunt --yes rollback carol >"$W/o"

# nothing of an earlier stay counts for a later one, though it was killed before it wrote anything of that
shunt migrate carol >"$W/o"
kill -KILL "$(pid_of proxy)"
wait_for gone "$(pid_of proxy)"
proxy_start
like "another stay" "$(shunt status carol)" '^price .* accepted: nothing that writes\. Not in it is'
fails_with 1 shunt rollback carol
shunt --yes rollback carol >"$W/o"

# without its file, or with one that is damaged, it does not know, and says so
shunt migrate carol >"$W/o"
get -d x=1 http://carol.example/
stop proxy
sed -i 's/"count"/"Count"/; s/"since"/"Since"/' "$W/table.counts"
proxy_start
like "in its log" "$(tail -n 5 "$W/log/proxy")" 'table\.counts:[0-9]+: found a line that does not match its check sum.*what was counted before is not known'
like "anew" "$(shunt status carol)" '^price .* accepted: what is not known from before 20[^ ]*Z, when shunt-proxy began to count anew; after that, nothing that writes\. A rollback'
fails_with 1 shunt rollback carol
shunt --yes rollback carol >"$W/o"
same "back again" "$(side_of http://carol.example/)" client
# and where the procedure forbids it consent does not help
fails_with 1 shunt --yes rollback nobody
