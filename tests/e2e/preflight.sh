#!/usr/bin/env bash
# shunt check as preflight: real nginx on both sides, alike and not, and what is said of each difference, kept, and shown again.
. "$(dirname "$0")/lib.sh"
NETCTL=$BUILD/shunt-netctl
command -v sqlite3 >/dev/null || cannot_run "sqlite3 is missing (Debian package sqlite3)"
net_up

# ---- certificates of an authority, with dates of our choice
mkdir "$W/ca"
cd "$W/ca"
touch index
cat >ca.cnf <<'END'
[ca]
default_ca = d
[d]
dir = .
new_certs_dir = .
database = index
rand_serial = yes
default_md = sha256
policy = p
unique_subject = no
copy_extensions = copy
[p]
commonName = supplied
END
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }
key ca
openssl req -x509 -new -key ca.key -days 30 -subj "/O=Let's Encrypt/CN=E7" -out ca.crt 2>"$W/log/openssl"
issue() { # FILE FROM-DAYS UNTIL-DAYS NAME..: of each its certificate and key
	local file=$1 from=$2 until=$3
	shift 3
	key "$file"
	openssl req -new -key "$file.key" -subj "/CN=$1" -addext "subjectAltName=$(printf 'DNS:%s\n' "$@" | paste -sd,)" -out "$file.csr" 2>>"$W/log/openssl"
	openssl ca -batch -config ca.cnf -cert ca.crt -keyfile ca.key -in "$file.csr" -out "$file.crt" -notext \
		-startdate "$(date -ud "$from days" +%Y%m%d%H%M%SZ)" -enddate "$(date -ud "$until days" +%Y%m%d%H%M%SZ)" 2>>"$W/log/openssl"
}
for name in alice bob carol gina; do issue $name-c -1 60 $name.example; done
issue alice-t -1 60 alice.example www.alice.example
issue bob-t -40 -2 bob.example
issue carol-t -1 60 other.example
issue gina-t -1 5 gina.example
issue both -1 60 dave.example erin.example # one for two accounts
cd "$W"

# ---- two web servers
page() { # TITLE WORDS NONCE EXTRA
	printf '<!doctype html><html><head><title>%s</title><script nonce="%s">var t = "%s";</script></head><body><h1>%s</h1><form><input type="hidden" name="csrf" value="%s"></form>%s<p>Rendered at %s in %s ms</p></body></html>' \
		"$1" "$3" "$3" "$1" "$3" "$2" "$4" "$3"
}
shop="<ul>$(for i in {1..30}; do printf '<li>apples pears plums cherries number %s</li>' $i; done)</ul>"
news="<table>$(for i in {1..30}; do printf '<tr><td>weather politics sports culture</td><td>item %s</td></tr>' $i; done)</table>"
site() { # c|t NAME CERT EXTRA-DIRECTIVES
	mkdir -p "$W/www-$1/$2"
	cat <<-END
		server {
			listen $HTTP; listen $HTTPS ssl http2; $MORE_LISTEN
			server_name $2.example; root $W/www-$1/$2; ssl_certificate $W/ca/$3.crt; ssl_certificate_key $W/ca/$3.key;
			${4:-}
		}
	END
}
nginx() { # c|t, its servers on standard input
	mkdir -p "$W/nginx-$1"
	{
		echo "daemon off; master_process off; pid $W/nginx-$1/pid; error_log $W/log/nginx-$1 warn; events {}"
		echo "http { default_type text/html; access_log $W/nginx-$1/access; client_body_temp_path $W/nginx-$1/b; proxy_temp_path $W/nginx-$1/p;"
		echo "fastcgi_temp_path $W/nginx-$1/f; uwsgi_temp_path $W/nginx-$1/u; scgi_temp_path $W/nginx-$1/s;"
		cat
		echo "}"
	} >"$W/nginx-$1/conf"
	start "nginx-$1" "$1" nginx -e "$W/log/nginx-$1" -c "$W/nginx-$1/conf" -p "$W/nginx-$1"
}
HTTP=127.0.0.1:8080 HTTPS=127.0.0.1:8443 MORE_LISTEN='' # of the client server
{
	site c alice alice-c
	site c bob bob-c 'location = / { return 302 https://bob.example/shop?session=8f2a6c1b9d; }'
	site c carol carol-c
	site c dave both
	site c erin both
	site c gina gina-c
} | nginx c
HTTP=198.51.100.10:80 HTTPS=198.51.100.10:443 MORE_LISTEN='listen [2001:db8:1::10]:80; listen [2001:db8:1::10]:443 ssl http2; listen 198.51.100.11:80; listen 198.51.100.11:443 ssl http2;'
{
	site t alice alice-t
	site t bob bob-t 'location = / { return 302 https://bob.example/shop?session=0c77d2e4aa; }'
	site t carol carol-t 'location = / { return 301 https://transit.provider.example/; }'
	site t dave both
	site t erin both
	site t gina gina-t 'location / { return 503; } location /.well-known/acme-challenge/ { return 200 "ok"; }'
} | nginx t
page Shop "$shop" a8f3e2d1c0b9 "Thu Nov 26 11:00:01 2026" >"$W/www-c/alice/index.html"
page Shop "$shop" 91bc00ffe27d "Fri Nov 27 23:59:59 2026" >"$W/www-t/alice/index.html"
page Shop "$shop" 1 now | tee "$W/www-c/carol/index.html" >"$W/www-c/gina/index.html"
page News "$news" 1 now | tee "$W/www-c/dave/index.html" "$W/www-c/erin/index.html" >"$W/www-t/erin/index.html"
page News "$shop" 1 now >"$W/www-t/dave/index.html"

# ---- services that greet: one waits for a PROXY header, one does not know of it
cat >"$W/bin/greeter" <<'END'
import socketserver, sys
class Greeter(socketserver.BaseRequestHandler):
    def handle(self):
        if sys.argv[3] == "proxy":
            head = self.request.recv(16)
            if not head.startswith(b"\r\n\r\n\0\r\nQUIT\n"):
                return
        self.request.sendall(b"220 transit.example ready\r\n")
        self.request.recv(100)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
Server((sys.argv[1], int(sys.argv[2])), Greeter).serve_forever()
END
start smtp t nice -n -15 python3 "$W/bin/greeter" 198.51.100.11 2525 proxy
start ftp t nice -n -15 python3 "$W/bin/greeter" 198.51.100.11 2121 plain
listens() { in_ns t ss -Hltn "sport = :$1" | grep -q .; }
wait_for listens 2525
wait_for listens 2121
wait_for in_ns c curl -s -o "$W/o" http://127.0.0.1:8080/
wait_for in_ns t curl -s -o "$W/o" http://198.51.100.10/

# ---- the proxy, and shunt-netctl of the transit server, which tells whom it sees
proxy_conf <<'END'
listener "smtp" { address = "192.0.2.11" port = 25 protocol = "tcp" local = "127.0.0.1:8080" transit-port = 2525 source-transit = "proxy-v2" }
listener "ftp" { address = "192.0.2.11" port = 21 protocol = "tcp" local = "127.0.0.1:8080" transit-port = 2121 source-transit = "proxy-v2" }
listener "imap" { address = "192.0.2.11" port = 143 protocol = "tcp" local = "127.0.0.1:8080" transit-port = 80 source-transit = "plain" }
END
cp "$W/shunt.conf" "$W/without.conf"
sed -i "s|^control {|& netctl-transit = \"unix:$W/netctl.sock\"|" "$W/shunt.conf"
{
	sed -n '/^server/,/^}/p' "$W/shunt.conf"
	echo "netctl { role = \"transit\" control = \"unix:$W/netctl.sock\" interface = \"eth0\" journal = \"$W/netctl\" }"
} >"$W/netctl.conf"
start netctl t nice -n -15 "$NETCTL" -c "$W/netctl.conf" serve
proxy_start
wait_for grep -q 'reason="ready"' "$W/log/netctl"
python3 - >"$W/accounts.json" <<'END'
import json
accounts = [{"name": n, "domains": [n + ".example"]} for n in ("alice", "bob", "carol", "dave", "erin", "gina")]
accounts.append({"name": "frank", "domains": ["frank.example"], "addresses": ["192.0.2.11"]})
print(json.dumps(accounts))
END
shunt account import "$W/accounts.json" >"$W/o"
visit -o "$W/o" -o "$W/o" http://alice.example/ http://alice.example/x
visit -k -o "$W/o" https://alice.example/

section() { sed -n "/^$1\$/,/^[a-z]/p" <<<"$OUT" | sed '$d'; }
say "all accounts"
like "before" "$(shunt account show alice)" '^checked +never \(shunt check alice\)$'
fails_with 1 shunt check
cp /dev/stdin "$W/log/check" <<<"$OUT"
unlike "what is alike is not spoken of" "$(section alice)" 'STOP|warning'
like "who came" "$(section alice)" 'note +alice: visitors of the last 14 days, counted since 20[0-9TZ:.-]+: by 2 ports; a move carries'
like "by which ports" "$(section alice)" 'note +port 80 \(http\): 2 requests in the last 14 days, the last at 20[0-9TZ:.-]+$'
like "and protocols" "$(section alice)" 'note +port 443 \(tls\): 1 connection in the last 14 days, the last at 20'
like "who will answer challenges" "$(section alice)" 'after the move transit answers ACME challenges by HTTP; .* client says 404 now, transit 404'
like "an end that has come" "$(section bob)" "STOP +https://bob\.example: transit's certificate ended on 20[0-9-]+, while client's certificate is good until"
unlike "ids in redirects" "$(section bob)" 'redirect'
like "another's certificate" "$(section carol)" "STOP +https://carol\.example: transit's certificate is for other\.example"
like "a redirect away" "$(section carol)" 'STOP +http://carol\.example: client answers 200, transit redirects to https://transit\.provider\.example/'
like "another page" "$(section dave)" 'warning +https://dave\.example: the pages differ \([0-9]+ bytes on client, [0-9]+ on transit\)'
unlike "the same page" "$(section erin)" 'the pages'
like "a shared certificate" "$(section erin)" 'warning +https://erin\.example: its certificate covers names of dave at the same address: once it moves alone'
like "what to do" "$(section erin)" '-> move them together, or '
unlike "one of its own" "$(section alice)" 'covers names'
like "an error" "$(section gina)" 'STOP +http://gina\.example: client answers 200, transit 503'
like "by HTTPS too" "$(section gina)" 'STOP +https://gina\.example: client answers 200, transit 503'
like "an end that comes" "$(section gina)" "warning +https://gina\.example: transit's certificate ends in [45]\.[0-9] days"
like "a challenge that anybody passes" "$(section gina)" 'warning +gina\.example: transit answers 200 to a challenge that it cannot know, client 404'
like "whom the transit server sees" "$(section frank)" 'port 25 \(SMTP\): proved on the way to the transit server \(source-transit = proxy-v2\): sent as 198\.18\.0\.77, the transit server sees 198\.18\.0\.77'
like "that takes its header" "$(section frank)" 'note +port 25 \(SMTP\): its service waits for the PROXY header, and answers with it \(220 transit\.example ready\)'
like "that does not" "$(section frank)" 'STOP +port 21 \(FTP\): its service answers without a PROXY header \(220 '
like "where it does not" "$(section frank)" 'STOP +port 143 \(IMAP\): with source-transit = plain the transit server sees this host'
like "in all" "$OUT" '^7 accounts: 4 of them stopped; in all [0-9]+ stops, [0-9]+ warnings, [0-9]+ notes$'

say "as JSON, one account, other days"
shunt --json check alice erin >"$W/json"
python3 - "$W/json" <<'END' || die "$(cat "$W/json")"
import json, sys
o = json.load(open(sys.argv[1]))
alice, erin = o["accounts"]
assert o["exit"] == 0 and alice["account"] == "alice" and o["findings"]["stop"] == 0, o["findings"]
assert [f["kind"] for f in erin["findings"] if f["grade"] == "warn"] == ["shared-certificate"], erin
assert {f["kind"] for f in alice["findings"]} == {"seen", "acme", "source"}, alice
END
like "more days" "$(shunt check --expires-days 90 alice)" "warning +https://alice\.example: client's certificate ends in"
fails_with 2 shunt check --expires-days 0 alice
unlike "fewer" "$(shunt check --expires-days 1 alice)" 'ends in'

say "kept"
fails_with 1 shunt check --last gina
like "the last" "$OUT" '^gina, checked at 20'
like "as it was" "$OUT" 'STOP +http://gina\.example: client answers 200, transit 503'
show=$(shunt account show bob)
like "with the account" "$show" '^checked +20[0-9TZ:.-]+: 1 stop, [0-9]+ warn, [0-9]+ inform$'
like "in full" "$show" "STOP +https://bob\.example: transit's certificate ended"
cp "$W/ca/bob-c.crt" "$W/ca/bob-t.crt"
cp "$W/ca/bob-c.key" "$W/ca/bob-t.key"
stop nginx-t
start nginx-t t nginx -e "$W/log/nginx-t" -c "$W/nginx-t/conf" -p "$W/nginx-t"
wait_for in_ns t curl -s -o "$W/o" http://198.51.100.10/
shunt check bob >"$W/o" # mended
unlike "replaced" "$(shunt check --last bob)" STOP
like "the others' stay" "$(shunt check --last carol 2>&1 || :)" 'STOP .*carol'
shunt --json account show bob >"$W/json"
same "for the panel" "$(field "$(cat "$W/json")" check.findings.0.grade)" inform

say "counted across the proxy's ends"
seen_is() { # PORT COUNT: as it is on disk
	python3 - "$W/table.seen" "$1" "$2" <<'PY'
import json, sys
want = [int(a) for a in sys.argv[2:]]
rows = [json.loads(l[9:]) for l in open(sys.argv[1])]
sys.exit(want not in [[p[0], sum(p[5:])] for r in rows if r.get("account") == "alice" for p in r["ports"]])
PY
}
kept_counts() { # WHAT COUNT
	like "$1" "$(shunt check alice)" "port 80 \\(http\\): $2 requests in the last 14 days, the last at 20"
}
since() { shunt check alice | sed -n 's/.*counted since \([^ ]*\)Z[:,].*/\1/p'; }
began=$(since)
visit -o "$W/o" http://alice.example/
WAIT=60 wait_for seen_is 80 3
stop proxy KILL
proxy_start
kept_counts "killed" 3
visit -o "$W/o" http://alice.example/
stop proxy
proxy_start
kept_counts "restarted" 4
same "it goes on" "$(since)" "$began"

say "across the line"
shunt migrate erin >"$W/o"
like "he stays behind" "$(shunt check dave)" 'warning +https://dave\.example: its certificate covers names of erin at the same address, on the other side'
like "on the transit server there is nothing to compare with" "$(shunt check erin)" 'names of dave at the same address, on the other side'
like "counted on the side it moved to as well" "$(visit -o "$W/o" http://erin.example/ && shunt check erin)" 'port 80 \(http\): 1 request in'

say "who cannot be asked"
in_ns t nft -f - <<'END'
table ip wall { chain in { type filter hook input priority 0; tcp dport 32768-60999 reject with tcp reset; }; }
END
fails_with 1 shunt check frank
like "a wall before the echo" "$OUT" 'STOP +port 25 \(SMTP\): with source-transit = proxy-v2 it is not proved that the transit server sees .*: Connection refused'
in_ns t nft delete table ip wall
sed -i "s|netctl-transit = [^ ]*||" "$W/shunt.conf"
fails_with 1 shunt check frank
like "fail closed" "$OUT" 'STOP +port 25 \(SMTP\): .* not proved .* cannot be proved without shunt-netctl'
stop nginx-t
fails_with 1 shunt check alice
like "it is down" "$OUT" 'STOP +http://alice\.example: transit does not answer \(Connection refused\), while client does'
like "and over TLS" "$OUT" 'STOP +https://alice\.example: transit shows no certificate \(Connection refused\)'
stop proxy
fails_with 1 shunt check alice
like "the proxy is away" "$OUT" 'STOP +alice: ports, certificates and answers could not be looked at: .*does not answer'
