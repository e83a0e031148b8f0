#!/usr/bin/env bash
# What of a moved account still comes to the client server's addresses is counted by name, told with what to change, and forgotten at home.
. "$(dirname "$0")/lib.sh"
net_up
web_up
proxy_conf <<'END'
listener "redis" { address = "192.0.2.11" port = 8300 protocol = "tcp" local = "127.0.0.1:8080" transit-port = 80 }
END
proxy_start
import >"$W/log/import"
nothing='^no traffic of moved accounts arrives at the old addresses any more \(counting since 20..-..-..T..:..:'

# on the client side everybody is where he should be
visit -o "$W/o" -o "$W/o" http://alice.example/ https://alice.example/
like "nobody has moved" "$(shunt check --stragglers)" "$nothing"
shunt migrate alice >"$W/o"
like "nobody has come since" "$(shunt check --stragglers alice)" "$nothing"

# by Host, request by request on one connection; by server name; both families; a neighbour who has not moved does not count
visit -o "$W/o" -o "$W/o" -o "$W/o" http://alice.example/{1,2,3}
visit -o "$W/o" http://Shop.Alice.Example/
for _ in 1 2; do visit -o "$W/o" https://alice.example/; done
visit6 -o "$W/o" https://alice.example/
visit -o "$W/o" -o "$W/o" http://www.alice.example/ http://bob.example/
answer=$(ask stragglers '{"account":"alice"}')
rows() { # ANSWER: kind name count share, a line each
	python3 -c 'import json, sys
for n in json.load(sys.stdin)["names"]: print(n["kind"], n["name"], n["count"], n["share"])' <<<"$1"
}
same "counted" "$(rows "$answer" | sort)" "http alice.example 3 42.9
http shop.alice.example 1 14.3
tls alice.example 3 42.9"
same "in all" "$(field "$answer" total) $(field "$answer" count) $(field "$answer" left-out) $(field "$answer" evicted)" "3 7 0 0"
one=$(ask stragglers '{"limit":1}')
same "the heaviest, and how many were left out" "$(field "$one" left-out) $(rows "$one" | wc -l)" "2 1"
! ask stragglers '{"account":"nobody"}' >"$W/o" 2>&1 || die "an account that nobody knows was answered"
! ask stragglers '{"limit":1001}' >"$W/o" 2>&1 || die "a limit beyond the most was taken"

# for people: one line for a name, the record to change where it was seen to arrive, and of the other family
text=$(shunt check --stragglers)
like "a table" "$text" '^account +name +share +count +last seen'
like "the heaviest" "$(sed -n 2p <<<"$text")" '^alice +alice\.example +85\.[78] % +6  [0-9]+ s ago$'
like "its record" "$text" 'change the record: alice\.example A 192\.0\.2\.10 -> 198\.51\.100\.10 \(at the domain.s own DNS provider\)'
like "both families" "$text" 'and: alice\.example AAAA 2001:db8::10 -> 2001:db8:1::10$'
like "one of which was not seen" "$text" 'change the record: shop\.alice\.example A 192\.0\.2\.10 -> 198\.51\.100\.10'
unlike "neighbours" "$text" 'bob'
like "status" "$(shunt status alice)" '^still here +alice\.example 85\.[78] %, shop\.alice\.example 14\.3 % \(shunt check --stragglers alice\)'
shunt --json check --stragglers alice >"$W/o"
same "as JSON" "$(python3 -c 'import json, sys
o = json.load(open(sys.argv[1]))
n = o["stragglers"]["names"][0]
print(o["exit"], o["stragglers"]["total"], n["name"], n["count"], "+".join(sorted(n["kinds"])), n["dns"],
      *[r["type"] + " " + r["from"] + ">" + r["to"] for r in n["records"]], n["quiet-ms"] < 120000, n["first-seen"] <= n["last-seen"])' "$W/o")" \
	"0 3 alice.example 6 http+tls unknown A 192.0.2.10>198.51.100.10 AAAA 2001:db8::10>2001:db8:1::10 True True"

# what brings no name counts for the address it came to
shunt migrate carol >"$W/o"
in_ns v curl -s -o "$W/o" -o "$W/o" http://192.0.2.11/{1,2}
in_ns v curl -s -o "$W/o" http://192.0.2.11:8300/
visit -o "$W/o" --resolve carol.example:80:192.0.2.11 http://carol.example/
same "without a name" "$(rows "$(ask stragglers '{"account":"carol"}')" | sort)" "address 192.0.2.11:80 2 50.0
http carol.example 1 25.0
tcp 192.0.2.11:8300 1 25.0"
text=$(shunt check --stragglers carol alice carol)
like "told as what it is" "$text" '^carol +address 192\.0\.2\.11:80 +50\.0 %'
like "with advice" "$text" 'no name came with it: whatever leads to 192\.0\.2\.11 is to lead to 198\.51\.100\.11'
like "the pair it arrived at" "$text" 'change the record: carol\.example A 192\.0\.2\.11 -> 198\.51\.100\.11'
same "each account once" "$(grep -c '^alice  *alice.example' <<<"$text")" 1

# whoever invents names below a wildcard fills nothing but the wildcard's own line
come_by() { # a request for each name of standard input, on one connection
	awk -v o="$W/o" 'NR > 1 {print "next"} {printf "url = \"http://x/\"\nresolve = \"x:80:192.0.2.10\"\nheader = \"Host: %s\"\noutput = \"%s\"\nsilent\n", $1, o}' >"$W/many"
	in_ns v curl -K "$W/many"
}
printf 'x%s.alice.example\n' {1..400} | come_by
answer=$(ask stragglers '{"account":"alice","limit":1000}')
same "invented names" "$(field "$answer" count) $(field "$answer" evicted) $(field "$answer" total)" "407 0 $((2 + 1 + 64))"
like "the wildcard has the rest" "$(rows "$answer" | sed -n 1p)" '^http \*\.alice\.example 33[67] '
like "the real ones stay" "$(rows "$answer")" '^tls alice\.example 3 '

# home: forgotten; the next move begins with nothing; who is removed is gone as well
shunt --yes rollback alice >"$W/o"
visit -o "$W/o" http://alice.example/
like "at home" "$(shunt check --stragglers alice)" "$nothing"
unlike "nothing of alice" "$(shunt check --stragglers)" 'alice'
shunt migrate alice >"$W/o"
visit -o "$W/o" http://alice.example/
same "anew" "$(rows "$(ask stragglers '{"account":"alice"}')")" "http alice.example 1 100.0"
ask account-remove '{"name":"carol"}' >"$W/o"
same "removed" "$(field "$(ask stragglers)" total)" 1

# the longest answer there is fits in a message
long_names() { # FROM TO: of 253 bytes
	python3 -c 'import sys
for i in range(int(sys.argv[1]), int(sys.argv[2])): print(".".join([f"{i:063}", "a" * 63, "b" * 63, "c" * 61]))' "$@"
}
for i in 0 1 2; do
	names=$(long_names $((i * 340)) $((i * 340 + 340)) | sed 's/.*/"&"/' | paste -sd,)
	ask account-put '{"account":{"name":"'"$(printf 'e%.0s' {1..63})$i"'","side":"transit","domains":['"$names"']}}' >"$W/o"
done
long_names 0 1020 | come_by
ask stragglers '{"limit":1000}' >"$W/answer"
[ "$(wc -c <"$W/answer")" -lt 700000 ] || die "an answer of $(wc -c <"$W/answer") bytes"
same "the longest answer" "$(rows "$(cat "$W/answer")" | wc -l)" 1000
like "how many more there are" "$(shunt check --stragglers | tail -n 2 | sed -n 1p)" '^and 21 more that are less wanted$'

# the command: only check takes it, and check alone is about DNS
fails_with 2 shunt status --stragglers
like "check alone" "$(shunt check alice bob)" 'DNS is not configured'
fails_with 1 shunt check --stragglers nobody
stop proxy
fails_with 1 shunt check --stragglers
like "the proxy is away" "$OUT" 'does not answer'
