#!/usr/bin/env bash
# Before an account moves, the side it goes to must really answer for it; clocks warn ahead; a dry run says what would happen; and
# `shunt status --watch` follows it all.
. "$(dirname "$0")/lib.sh"
command -v sqlite3 >/dev/null || cannot_run "sqlite3 is missing (Debian package sqlite3)"
net_up
web_up
cat >"$W/bin/answers" <<'END'
import http.server, socketserver, sys
socketserver.TCPServer.allow_reuse_address = True
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[3]))
        self.send_header("Content-Length", "0")
        self.end_headers()
socketserver.TCPServer((sys.argv[1], int(sys.argv[2])), Answer).serve_forever()
END
# A mail server, as its visitors meet it: what it says first, and what is said to it is logged.
cat >"$W/bin/greets" <<'END'
import socketserver, ssl, sys
socketserver.TCPServer.allow_reuse_address = True
class Greet(socketserver.StreamRequestHandler):
    def handle(self):
        s = self.request
        if sys.argv[4:]:
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            c.load_cert_chain(*sys.argv[4:])
            s = c.wrap_socket(s, server_side=True)
        s.sendall(sys.argv[3].encode() + b"\r\n")
        print(s.recv(100), flush=True)
        s.sendall(b"bye\r\n")
socketserver.TCPServer((sys.argv[1], int(sys.argv[2])), Greet).serve_forever()
END
{
	echo 'listener "mx" { address = "192.0.2.11" port = 25 protocol = "tcp" local = "127.0.0.1:9" }'
	echo 'listener "imaps" { address = "192.0.2.11" port = 993 protocol = "tls" local = "127.0.0.1:9" }'
} >"$W/mail.conf"
echo 'listener "redis" { address = "192.0.2.11" port = 8300 protocol = "tcp" local = "127.0.0.1:8080" transit-port = 80 }' | cat - "$W/mail.conf" | proxy_conf
mail_listens() { [ "$(in_ns t ss -Hltn 'src 198.51.100.11 and ( sport = 25 or sport = 993 )' | wc -l)" = 2 ]; } # not asked for by connecting: that would be in their logs
mail_up() {
	start mx t python3 "$W/bin/greets" 198.51.100.11 25 "220 mx ready"
	start imaps t python3 "$W/bin/greets" 198.51.100.11 993 "* OK ready" "$W/cert.pem" "$W/key.pem"
	wait_for mail_listens
}
mail_up
proxy_start
import

say "the first migrate starts, and its dry run says so"
shunt migrate --dry-run alice >"$W/out"
like "first" "$(sed -n 1,2p "$W/out" | paste -sd' ')" '^start would do this, nothing is changed: +start the clock of the transit server'
like "then" "$(cat "$W/out")" '^alice: client -> transit, nothing is changed$'

say "what the proxy finds"
found=$(ask probe '{"name":"alice","side":"transit"}')
like "alice answers on transit" "$found" '"answers": ?true'
like "by HTTP" "$found" '"listener": ?"web", "protocol": "http", "name": "alice.example", [^}]*"at": "198\.51\.100\.10:80", "ok": true, "ms": [0-9]+, "said": "200"'
like "by TLS" "$found" '"https"[^}]*"ok": true[^}]*TLSv1\.[23], the certificate is for it, until 20'
like "by IPv6" "$found" '\[2001:db8:1::10\]:443'
unlike "and not at carol's address" "$found" '198\.51\.100\.11'
found=$(ask probe '{"name":"carol","side":"transit"}')
like "carol at her own" "$found" '"web11"[^}]*198\.51\.100\.11:80'
like "and her port" "$found" '"redis", "protocol": "tcp", "name": null, [^}]*"ok": true[^}]*"connected"'
like "by what is spoken at a port" "$found" '"mx"[^}]*"spoken": "smtp"[^}]*"ok": true[^}]*"said": "220 mx ready"'
like "behind TLS, too" "$found" '"imaps"[^}]*"spoken": "imap"[^}]*"ok": true[^}]*"said": "\* OK ready; TLSv1\.[23], the certificate is for it'
like "of HTTPS its answer" "$found" '"https11"[^}]*"spoken": "http"[^}]*"said": "200; TLSv1'
took_leave() { [ -n "$(grep QUIT "$W/log/mx")" ] && [ -n "$(grep 'a LOGOUT' "$W/log/imaps")" ]; }
wait_for took_leave
stop mx
start mx t python3 "$W/bin/greets" 198.51.100.11 25 "554 not yet"
stop imaps
start imaps t python3 "$W/bin/answers" 198.51.100.11 993 200
wait_for mail_listens
found=$(ask probe '{"name":"carol","side":"transit"}')
like "one that refuses" "$found" '"mx"[^}]*"ok": false[^}]*"said": "554 not yet"'
like "one that is another" "$found" '"imaps"[^}]*"ok": false[^}]*no TLS handshake'
stop mx
stop imaps
mail_up
like "alice answers on client" "$(ask probe '{"name":"alice","side":"client"}')" '"answers": true.*127\.0\.0\.1:8080'

say "the transit server is down, or answers with errors"
stop nginx-t
fails_with 3 shunt migrate alice
like "it is told which" "$OUT" 'transit does not answer for alice: web \(http, alice\.example at 198\.51\.100\.10:80\): Connection refused; web6'
same "and nobody moved" "$(side_of http://alice.example/)" client
start broken t python3 "$W/bin/answers" 198.51.100.10 80 503
wait_for in_ns t curl -s -o "$W/o" http://198.51.100.10/
fails_with 3 shunt --json migrate alice
like "an answer that is none" "$OUT" 'web \(http, alice\.example at 198\.51\.100\.10:80\): 503'
like "in evidence" "$(shunt --json log alice)" '"probes":\[\{"at":"198\.51\.100\.10:80"'
same "still nobody" "$(side_of https://alice.example/)" client
unlike "nothing is asked by force" "$(shunt migrate --dry-run --force alice)" 'the proxy asks'
like "said before" "$(shunt migrate --dry-run alice)" 'sealed .*the proxy asks whether it answers there: transit'
shunt migrate --force alice
like "by force" "$(shunt status alice)" '^side +transit'
shunt --yes rollback --force alice
stop broken

say "what did not answer before need not answer after"
stop nginx-c
start other t python3 "$W/bin/answers" 198.51.100.10 80 404
wait_for in_ns t curl -s -o "$W/o" http://198.51.100.10/
shunt --json migrate alice >"$W/out"
like "excused" "$(cat "$W/out")" '"failed-before-too":[1-9]'
stop other
start nginx-c c nginx -e "$W/log/nginx-c" -c "$W/nginx-c/conf" -p "$W/nginx-c"
start nginx-t t nginx -e "$W/log/nginx-t" -c "$W/nginx-t/conf" -p "$W/nginx-t"
wait_for in_ns t curl -sf -o "$W/o" http://198.51.100.10/
wait_for in_ns c curl -sf -o "$W/o" http://127.0.0.1:8080/

say "clocks"
status=$(shunt status)
like "the pace" "$status" '^forecast +at this pace \(1\.0 account, 0\.1 GB a day\) you finish on 20[0-9-]+, 0 days billed'
unlike "nothing ends soon" "$status" WARNING
later() { sqlite3 "$W/shunt.db" "UPDATE clocks SET at = at - $1; UPDATE moves SET started = started - $1, changed = changed - $1"; } # MS
later $((6 * 86400000))
like "alice's way back" "$(shunt status)" '^WARNING +rollback ends in 1\.0 days for alice'
OUT=$(shunt migrate bob 2>&1)
like "also after a command" "$OUT" '^shunt: warning: rollback ends in 1\.0 days for alice'
later $((6 * 86400000))
status=$(shunt status)
like "it has ended" "$status" '^WARNING +rollback has ended, and takes --force, for alice$'
like "bob's not" "$status" '^WARNING +rollback ends in 1\.0 days for bob$'
like "the bill" "$status" '^WARNING +the transit server becomes billed in 2\.0 days, on 20'
later $((4 * 86400000))
like "billed" "$(shunt --json status)" '"the transit server is billed since 20[0-9-]+: 3 days so far"'
like "and forecast" "$(shunt --json status)" '"billed-days":[1-9]'

say "dry runs"
like "start" "$(shunt start --dry-run)" 'nothing: it was said already'
fails_with 1 shunt reinstall --dry-run
like "reinstall" "$OUT" '^REFUSES +accounts +reinstall refused: it needs shunt-netctl'
like "reinstall asks all the same" "$OUT" '^ok +answers +the transit server answers for each of 3 accounts \([0-9]+ probes\)'
like "stragglers" "$OUT" "^ok +stragglers +.*client server's addresses"
fails_with 1 shunt relocate --dry-run alice
like "relocate" "$OUT" 'shunt return brings them'
fails_with 1 shunt finish --dry-run
like "finish" "$OUT" '^REFUSES +accounts +finish refused: 2 of 3 accounts are still on the transit server'

say "watching"
nsenter --net="/run/netns/${NS}c" "$SHUNT" -c "$W/shunt.conf" status --watch >"$W/log/watch" &
watcher=$!
start watch.json c "$SHUNT" -c "$W/shunt.conf" --json status --watch
wait_for grep -q '^20.*  transit  *2 ' "$W/log/watch"
# and from another host, where the state is not: what the controller leaves with the proxy
sed "s|state = .*|state = \"$W/elsewhere.db\"|" "$W/shunt.conf" >"$W/elsewhere.conf"
elsewhere() { in_ns c "$SHUNT" -c "$W/elsewhere.conf" "$@"; }
start elsewhere c "$SHUNT" -c "$W/elsewhere.conf" status --watch
wait_for grep -q '  controller on ' "$W/log/elsewhere"
like "the sides" "$(elsewhere status)" '^transit +2 '
cat >"$W/bin/slow" <<END
#!/bin/bash
echo "progress 40%"
until [ -e "$W/enough" ]; do read -rt 0.05 <> <(:) || :; done
END
chmod 755 "$W/bin/slow"
sed "s|^control {|& hook-copy = \"$W/bin/slow\"|" "$W/shunt.conf" >"$W/slow.conf"
start carol c "$SHUNT" -c "$W/slow.conf" migrate carol
wait_for grep -qE '  moving +carol: client -> transit, 40 %' "$W/log/elsewhere"
like "one account" "$(elsewhere status carol)" '^moving +client -> transit, at copying, 40 %$'
like "for machines" "$(elsewhere --json status)" '"controller":\{.*"step":"copying"'
: >"$W/enough"
wait_for grep -q '^20.*  transit  *3 ' "$W/log/watch"
wait_for gone "$(pid_of carol)"
like "over" "$(cat "$W/log/carol")" '^carol: now on transit'
rm "$W/enough"
start back c "$SHUNT" -c "$W/slow.conf" --yes --force rollback alice bob carol
wait_for grep -qE '  in all +0 of 3 done, 3 under way' "$W/log/elsewhere"
stop back INT
like "all of them" "$(elsewhere status)" '^transit +3 '
unlike "nothing moves any more" "$(elsewhere status)" '^(moving|in all) '
stop elsewhere INT
stop proxy
wait_for grep -q '  proxy *AWAY' "$W/log/watch"
wait_for grep -q '"proxy": \?null' "$W/log/watch.json"
proxy_start
came_back() { [ "$(grep -c '  proxy *answers' "$W/log/watch")" -ge 2 ] && [ -z "$(tail -n 1 "$W/log/watch.json" | grep '"proxy": \?null')" ]; }
wait_for came_back
kill -INT $watcher
wait $watcher || die "Ctrl-C ends it with $?"
stop watch.json INT
shunt status --watch | sed -n 1q # ends when nobody reads any more, though nothing is new
python3 - "$W/log/watch.json" <<'END' || die "not an object per line: $(tail -n 2 "$W/log/watch.json")"
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
assert len(rows) > 2 and all("at" in r and "sides" in r for r in rows), rows[-1]
assert any(r["proxy"] is None for r in rows) and rows[-1]["sides"]["transit"]["accounts"] == 3
END

say "a member of the directory's group may look, and nothing else"
member() { # COMMAND..: nobody's user, in group 12345
	in_ns c setpriv --reuid 65534 --regid 65534 --groups 12345 "$W/open/shunt" -c "$W/open/shunt.conf" "$@"
}
mkdir "$W/open"
chmod 0711 "$W"
chgrp 12345 "$W/open" && chmod 0751 "$W/open"
sed "s|state = .*|state = \"$W/open/shunt.db\"|" "$W/shunt.conf" >"$W/open/shunt.conf"
install -m 0755 "$SHUNT" "$W/open/shunt"
chmod 0644 "$W/open/shunt.conf"
like "where there is none" "$(member status)" '^state +there is none at .*another host'
fails_with 1 member log --verify
like "nothing is unbroken" "$OUT" 'there is no trail at '
in_ns c "$SHUNT" -c "$W/open/shunt.conf" account import "$W/accounts.json"
like "status" "$(member status)" '^step '
like "the log" "$(member log)" 'accounts|import'
start member c setpriv --reuid 65534 --regid 65534 --groups 12345 "$W/open/shunt" --json -c "$W/open/shunt.conf" status --watch
wait_for grep -q '"step"' "$W/log/member"
stop member INT
fails_with 2 member account remove alice
like "no more" "$OUT" 'only its owner may change it'
chmod 0600 "$W/open/shunt.db"
fails_with 2 member status
like "who is not one" "$OUT" 'Permission denied'

say "the guards of reinstall, where shunt-netctl would be asked next"
sed "s|^control {|& netctl-client = \"unix:$W/none-c\" netctl-transit = \"unix:$W/none-t\"|" "$W/shunt.conf" >"$W/netctl.conf"
reinstall() { in_ns c "$SHUNT" -c "$W/netctl.conf" --yes reinstall "$@"; }
reinstall --dry-run >"$W/out"
for guard in accounts answers dns stragglers; do
	like "a dry run" "$(cat "$W/out")" "^ok +$guard "
done
like "what would happen" "$(cat "$W/out")" 'plan takeover'
stop nginx-t
start broken t python3 "$W/bin/answers" 198.51.100.10 80 200
wait_for in_ns t curl -s -o "$W/o" http://198.51.100.10/
fails_with 1 reinstall
like "who is in the way" "$OUT" 'reinstall refused: the transit server does not answer for 3 of 3 accounts: alice \(web6 \(http, alice\.example at \[2001:db8:1::10\]:80\): Connection refused, and more\); bob .*; carol .*; --force passes over it'
fails_with 1 reinstall --force
like "by force" "$OUT" 'warning: passed over by --force: reinstall refused: the transit server does not answer'
like "up to netctl" "$OUT" "still come|nobody comes"
like "and no further" "$OUT" 'none-[ct]'
