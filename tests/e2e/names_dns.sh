#!/usr/bin/env bash
# local and pairs by name, from a real DNS server: followed as their TTL says; a name that stops resolving keeps its last address.
. "$(dirname "$0")/lib.sh"
net_up
web_up
# dnsmasq in the client server's namespace; the proxy sees its own resolv.conf and hosts in a mount namespace of its own
echo 'nameserver 127.0.0.1' >"$W/resolv.conf"
echo '127.0.0.1 localhost' >"$W/hosts"
: >"$W/dns.hosts"
cat >"$W/dnsmasq.conf" <<END
no-daemon
no-resolv
no-hosts
user=root
listen-address=127.0.0.1
bind-interfaces
addn-hosts=$W/dns.hosts
local-ttl=1
local=/test/
pid-file=$W/dnsmasq.pid
log-queries
log-facility=-
END
records() { # NAME=ADDRESS..
	local r
	for r; do echo "${r#*=} ${r%%=*}"; done >"$W/dns.hosts.new"
	cat "$W/dns.hosts.new" >"$W/dns.hosts"
	[ ! -e "$W/pid/dnsmasq" ] || kill -HUP "$(pid_of dnsmasq)"
}
records local.test=127.0.0.1 transit.test=198.51.100.10
start dnsmasq c dnsmasq -C "$W/dnsmasq.conf"
knows() { [ "$(in_ns c dig +time=2 +tries=1 +short @127.0.0.1 "$1" A)" = "$2" ]; } # NAME ADDRESS
wait_for knows transit.test 198.51.100.10
LISTENERS=none proxy_conf <<'END'
listener "web"   { address = "192.0.2.10" port = 80  protocol = "http" local = "local.test:8080" }
listener "https" { address = "192.0.2.10" port = 443 protocol = "tls"  local = "local.test:8443" }
END
sed -i 's|transit = "198.51.100.10"|transit = "transit.test"|' "$W/shunt.conf"
proxy_start unshare -m sh -c 'mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/hosts" /etc/hosts && exec "$@"' "$W"
accounts_up
serves() { [ "$(side_of "$1")" = "$2" ]; }
wait_for serves http://alice.example/ client
wait_for serves http://bob.example/ transit
same "https by name" "$(side_of https://alice.example/) $(side_of https://bob.example/)" "client transit"

# transit moves to another address: .11 is a server of its own kind
in_ns t python3 -m http.server --help >/dev/null
start other t python3 -c 'import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("X-Side", "moved"); self.send_header("Content-Length", "0"); self.end_headers()
    log_message = lambda *_: None
http.server.ThreadingHTTPServer(("198.51.100.11", 8088), H).serve_forever()'
sed -i 's|listen 198.51.100.11:80;||' "$W/nginx-t/conf"
stop nginx-t
start nginx-t t nginx -e "$W/log/nginx-t" -c "$W/nginx-t/conf" -p "$W/nginx-t"
in_ns t sysctl -qw net.ipv4.ip_forward=1
start forward t python3 -c 'import asyncio
async def pipe(r, w):
    try:
        while data := await r.read(65536):
            w.write(data)
    finally:
        w.close()
async def one(r, w):
    r2, w2 = await asyncio.open_connection("198.51.100.11", 8088)
    await asyncio.gather(pipe(r, w2), pipe(r2, w), return_exceptions=True)
async def main():
    await (await asyncio.start_server(one, "198.51.100.11", 80)).serve_forever()
asyncio.run(main())'
wait_for serves http://bob.example/ transit
records local.test=127.0.0.1 transit.test=198.51.100.11
WAIT=60 wait_for serves http://bob.example/ moved
same "alice stays" "$(side_of http://alice.example/)" client

# the name is gone, then its server: the last address stays
records local.test=127.0.0.1
wait_for knows transit.test ""
asked() { [ "$(grep -c 'query\[A\] transit.test' "$W/log/dnsmasq")" -ge $(($1 + 2)) ]; }
WAIT=60 wait_for asked "$(grep -c 'query\[A\] transit.test' "$W/log/dnsmasq")"
same "the name is gone" "$(side_of http://bob.example/)" moved
stop dnsmasq
same "nobody answers" "$(side_of http://bob.example/) $(side_of http://alice.example/)" "moved client"
: >"$W/log/dnsmasq"
records local.test=127.0.0.1 transit.test=198.51.100.10
start dnsmasq c dnsmasq -C "$W/dnsmasq.conf"
WAIT=120 wait_for serves http://bob.example/ transit

# a name that nobody knows at the start: the others are served, this one is 502, until it is known
stop proxy
records local.test=127.0.0.1
wait_for knows transit.test ""
proxy_start unshare -m sh -c 'mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/hosts" /etc/hosts && exec "$@"' "$W"
wait_for serves http://alice.example/ client
like "not known yet" "$(side_of http://bob.example/)" '^50[234]$'
records local.test=127.0.0.1 transit.test=198.51.100.10
WAIT=120 wait_for serves http://bob.example/ transit
