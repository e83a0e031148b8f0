#!/usr/bin/env bash
# PROXY headers: believed from configured peers alone, checked strictly, and written once, first and right towards back ends.
. "$(dirname "$0")/lib.sh"
net_up
LISTENERS=none proxy_conf <<'END'
unknown = "refuse"
hello-timeout = 6
http-head-timeout = 6
listener "web"      { address = "192.0.2.10"   port = 80  protocol = "http" local = "127.0.0.1:8080" }
listener "https"    { address = "192.0.2.10"   port = 443 protocol = "tls"  local = "127.0.0.1:8443" }
listener "web-in"   { address = "192.0.2.10"   port = 81  protocol = "http" local = "127.0.0.1:8080" transit-port = 80 proxy-from = {"203.0.113.11", "203.0.113.12/31", "2001:db8:f::11"} }
listener "tls-in"   { address = "192.0.2.10"   port = 444 protocol = "tls"  local = "127.0.0.1:8444" transit-port = 8444 proxy-from = {"203.0.113.11"} source-local = "proxy-v2" source-transit = "proxy-v2" }
listener "web-out"  { address = "192.0.2.10"   port = 82  protocol = "http" local = "127.0.0.1:8082" transit-port = 8082 source-local = "proxy-v2" source-transit = "proxy-v2" }
listener "web-out6" { address = "2001:db8::10" port = 82  protocol = "http" local = "127.0.0.1:8082" transit-port = 8082 source-local = "proxy-v2" source-transit = "proxy-v2" }
listener "tls-out"  { address = "192.0.2.10"   port = 445 protocol = "tls"  local = "127.0.0.1:8444" transit-port = 8444 source-local = "proxy-v2" source-transit = "proxy-v2" }
listener "tls-out6" { address = "2001:db8::10" port = 445 protocol = "tls"  local = "[::1]:8444" transit-port = 8444 source-local = "proxy-v2" source-transit = "proxy-v2" }
listener "tcp-out"  { address = "192.0.2.11"   port = 8300 protocol = "tcp" local = "127.0.0.1:8300" source-local = "proxy-v2" source-transit = "proxy-v2" }
END
proxy_start
py proxy_protocol.py
alive proxy || die "shunt-proxy has ended"
stop proxy

# and a real nginx that reads them: both sides log the visitor's own address
LISTENERS=none proxy_conf <<'END'
listener "web"    { address = "192.0.2.10"   port = 80  protocol = "http" local = "127.0.0.1:81" transit-port = 81 source-local = "proxy-v2" source-transit = "proxy-v2" }
listener "https"  { address = "192.0.2.10"   port = 443 protocol = "tls"  local = "127.0.0.1:8444" transit-port = 8444 source-local = "proxy-v2" source-transit = "proxy-v2" }
listener "https6" { address = "2001:db8::10" port = 443 protocol = "tls"  local = "127.0.0.1:8444" transit-port = 8444 source-local = "proxy-v2" source-transit = "proxy-v2" }
END
web_up
proxy_start
accounts_up
n=0
for name in alice bob; do
	for scheme in http https; do
		n=$((n + 1))
		visit --interface 203.0.113.13 -H "X-Req-Id: pp$n" -o "$W/out" "$scheme://$name.example/"
	done
done
n=$((n + 1))
visit6 --interface 2001:db8:f::13 -H "X-Req-Id: pp$n" -o "$W/out" https://bob.example/
for n in 1 2; do wait_for saw c pp$n; done
for n in 3 4 5; do wait_for saw t pp$n; done
same "alice's visitor at the client side" "$(seen c '{print $4, $10, $11}' | xargs)" "pp1 203.0.113.13 http pp2 203.0.113.13 https"
same "bob's visitor at transit" "$(seen t '{print $4, $10, $11}' | xargs)" "pp3 203.0.113.13 http pp4 203.0.113.13 https pp5 2001:db8:f::13 https"
