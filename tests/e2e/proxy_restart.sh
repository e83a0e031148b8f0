#!/usr/bin/env bash
# kill -9 of shunt-proxy: it serves again from its last table without a controller, gates as they were; a damaged table refuses all and guesses nobody's side.
. "$(dirname "$0")/lib.sh"
net_up
web_up
proxy_conf <<'END'
hold-max-wait = 60
END
proxy_start
import
shunt migrate bob
state() { ask list '{"from":""}' | python3 -c 'import json, sys; print(" ".join("%(name)s=%(side)s/%(gate)s" % a for a in json.load(sys.stdin)["accounts"]))'; }
crash() {
	stop proxy KILL
	proxy_start
}
before=$(state)
same "before" "$before" "alice=client/open bob=transit/open carol=client/open"
for _ in 1 2 3; do
	crash
	same "the table after kill -9" "$(state)" "$before"
	same "traffic after kill -9" "$(side_of http://alice.example/) $(side_of https://bob.example/) $(side_of http://bob.example/)" "client transit transit"
done

# held stays held, and a visitor who comes after the restart waits
ask hold '{"name":"alice"}' >"$W/o"
crash
same "held across a kill" "$(state)" "alice=client/held bob=transit/open carol=client/open"
visit -o "$W/o1" -w '%{http_code} %header{x-side}' http://alice.example/ >"$W/w1" &
waiter=$!
parked() { [ "$(field "$(ask account '{"name":"alice"}')" parked)" = 1 ]; }
wait_for parked
same "others do not wait" "$(side_of http://bob.example/)" transit
# what was in flight ended with the process that was killed: a move that had drained goes on with its fence
ask fence '{"name":"alice"}' >"$W/o" || die "no fence after a kill: $(cat "$W/o")"
evidence=$(ask release '{"name":"alice","spread-ms":0}')
same "the evidence says that it does not know of before" "$(field "$evidence" evidence.restored) $(field "$evidence" evidence.hold-ms)" "true null"
same "who came after the kill is counted" "$(field "$evidence" evidence.parked) $(field "$evidence" evidence.released)" "1 1"
wait $waiter
same "who waited" "$(cat "$W/w1")" "200 client"

# fenced, and fenced and switched
ask hold '{"name":"alice"}' >"$W/o"
ask drain '{"name":"alice","seconds":1}' >"$W/o"
ask fence '{"name":"alice"}' >"$W/o"
crash
same "fenced across a kill" "$(state)" "alice=client/fenced bob=transit/open carol=client/open"
# who did not hear the answer asks again, and is told a time for the evidence
like "when it was fenced, at the latest" "$(field "$(ask fence '{"name":"alice"}')" evidence.fenced-at)" "^20..-..-..T"
ask switch '{"name":"alice","side":"transit"}' >"$W/o"
crash
same "switched across a kill" "$(state)" "alice=transit/fenced bob=transit/open carol=client/open"
ask release '{"name":"alice","spread-ms":0}' >"$W/o"
same "released" "$(side_of http://alice.example/)" transit
crash
same "released across a kill" "$(state)" "alice=transit/open bob=transit/open carol=client/open"

# two proxies: the second is refused, and says by whom; the first does not notice
rc=0
out=$(in_ns c timeout 60 "$PROXY" -c "$W/shunt.conf" --foreground 2>&1) || rc=$?
[ $rc != 0 ] && [ $rc != 124 ] || die "a second proxy ended with $rc: $out"
like "a second proxy says who was first" "$out" "$(pid_of proxy)"
same "the first one goes on" "$(side_of http://bob.example/)" transit

# damage: cut, zeroed, flipped, of another version, somebody else's. Nobody is served from a guess.
stop proxy
cp -a "$W/table" "$W/table.good"
damage() { # HOW
	case $1 in
	cut) truncate -s $(($(stat -c %s "$W/table") / 2)) "$W/table" ;;
	zeroed) head -c "$(stat -c %s "$W/table.good")" /dev/zero >"$W/table" ;;
	empty) : >"$W/table" ;;
	flipped) python3 -c 'import sys
b = bytearray(open(sys.argv[1], "rb").read()); b[len(b) // 2] ^= 1; open(sys.argv[1], "wb").write(b)' "$W/table" ;;
	newer) sed -i '1s/1/9/' "$W/table" ;;
	strangers) chown 65534 "$W/table" ;;
	writable) chmod 666 "$W/table" ;;
	esac
}
for how in cut zeroed empty flipped newer strangers writable; do
	rm -f "$W/table"
	cp -a "$W/table.good" "$W/table"
	damage $how
	: >"$W/log/proxy"
	proxy_start
	same "$how: the table" "$(field "$(ask hello)" table)" damaged
	for url in http://alice.example/ http://bob.example/ http://nobody.example/; do
		like "$how: $url" "$(side_of $url)" '^50[0-9]$'
	done
	rc=0
	visit -o "$W/o" https://bob.example/ 2>"$W/o2" || rc=$?
	[ $rc != 0 ] || die "$how: TLS is served from a damaged table"
	like "$how: it is said" "$(cat "$W/log/proxy")" 'table'
	stop proxy
done
# the controller knows better, and gives the table back
rm -f "$W/table"
cp -a "$W/table.good" "$W/table"
damage flipped
proxy_start
import >"$W/log/import" 2>&1 || die "an import after damage: $(cat "$W/log/import")"
same "bob where the controller knows him" "$(side_of http://bob.example/)" transit
like "alice is somewhere" "$(side_of http://alice.example/)" '^(client|transit)$'
crash
same "and that is on disk" "$(field "$(ask hello)" table)" ok
