#!/usr/bin/env bash
# Interception: the services stay as and where they are, and both sides see the visitor's own address, whatever firewall is there.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/intercept_lib.sh"
net_up
web_untouched
# A service at one address alone, which says who came.
start single c python3 -c 'import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("192.0.2.11", 8300)); s.listen()
print("ready", flush=True)
while True:
    c, a = s.accept(); c.sendall(b"%s %d %s\n" % (a[0].encode(), a[1], c.getsockname()[0].encode())); c.close()'
wait_for grep -q ready "$W/log/single"

n=0
line_of() { seen "$1" '$4 == "'"$2"'" {print $'"$3"', $11, $12}'; } # SIDE ID FIELD-OF-THE-VISITOR
# One request of a visitor; what the side's nginx has logged of it must be so.
logged() { # WHAT SIDE VISITOR-FIELD WANTED CURL-ARGUMENTS..
	local what=$1 side=$2 field=$3 want=$4
	shift 4
	n=$((n + 1))
	"$@" -H "X-Req-Id: i$n" -o "$W/out" || die "$what: no answer"
	wait_for saw "$side" i$n
	same "$what" "$(line_of "$side" i$n "$field")" "$want"
}
# As things are: what each side sees of visitors. VIA: field in which the transit side says it, 7 its socket, 10 the PROXY header.
all_true() { # WHAT VIA
	local scheme via=${2:-10}
	for scheme in http https; do
		logged "$1: $scheme, IPv4, client" c 7 "203.0.113.13 $scheme 192.0.2.10" visit --interface 203.0.113.13 $scheme://alice.example/
		logged "$1: $scheme, IPv6, client" c 7 "2001:db8:f::13 $scheme 2001:db8::10" visit6 --interface 2001:db8:f::13 $scheme://alice.example/
		logged "$1: $scheme, IPv4, transit" t "$via" "203.0.113.14 $scheme 198.51.100.10" visit --interface 203.0.113.14 $scheme://bob.example/
		logged "$1: $scheme, IPv6, transit" t "$via" "2001:db8:f::14 $scheme 2001:db8:1::10" visit6 --interface 2001:db8:f::14 $scheme://bob.example/
	done
}
dump() { # SIDE
	in_ns "$1" sh -c 'ip -d rule; ip -d -6 rule; ip route show table all; ip -6 route show table all; ip -o link; ip neigh show nud permanent
		nft list ruleset; sysctl net.ipv4.tcp_fwmark_accept net.ipv4.fwmark_reflect net.ipv6.fwmark_reflect' | grep -v fe80
}

# before: everybody is served by the client server itself
for side in c t; do dump $side >"$W/before-$side"; done
same "before" "$(side_of http://alice.example/) $(side_of http://bob.example/) $(side_of https://bob.example/)" "client client client"

# the proxy alone changes nothing: its port is no service, and says so
intercept_conf <<'END'
listener "bound"    { address = "192.0.2.10" port = 8081 protocol = "http" local = "127.0.0.1:80" transit-port = 80 source-transit = "headers" }
listener "balanced" { port = 8082 protocol = "http" local = "192.0.2.10:80" proxy-from = {"203.0.113.11"} }
listener "looped"   { port = 8083 protocol = "http" local = "127.0.0.1:80" }
END
proxy_start
accounts_up
same "status" "$(field "$(ask status)" intercept.state) $(field "$(ask status)" intercept.alive)" "on false"
wait_for grep -q 'no nft table' "$W/log/proxy"
same "without rules" "$(side_of http://bob.example/)" client
rc=0
visit http://192.0.2.10:10080/ -o "$W/out" 2>"$W/err" || rc=$?
like "who comes to intercept-port is reset, at once" $rc '^(7|56)$'
same "a listener with an address listens there" "$(visit -o "$W/out" -w '%header{x-side}' --resolve '*:8081:192.0.2.10' http://bob.example:8081/)" transit
same "and leads to its local" "$(visit -o "$W/out" -w '%header{x-side}' --resolve '*:8081:192.0.2.10' http://alice.example:8081/)" client

intercept_on
wait_for is_alive true
all_true "intercepted"
same "no rule, no element: counted" "$(field "$(ask status)" intercept.error)" null
# the visitor's port: never his own, one that others hardly use
[ "$(seen c '$7 == "203.0.113.13" && ($13 < 128 || $13 > 1023) {print $13}' | wc -l)" = 0 ] || die "ports: $(seen c '{print $7, $13}')"
# kept connections of two visitors at once are never shared
visit --interface 203.0.113.11 -H 'X-Req-Id: k1' http://alice.example/ -o "$W/o1" --next --interface 203.0.113.12 -sS --resolve '*:80:192.0.2.10' -H 'X-Req-Id: k2' http://alice.example/ -o "$W/o2" \
	--next --interface 203.0.113.11 -sS --resolve '*:80:192.0.2.10' -H 'X-Req-Id: k3' http://alice.example/ -o "$W/o3"
wait_for saw c k3
same "whose requests" "$(seen c '$4 ~ /^k/ {print $4, $7}' | xargs)" "k1 203.0.113.11 k2 203.0.113.12 k3 203.0.113.11"

# at the second address, which is carol's; a service of one address; a port where nobody listens behind us
same "carol's address" "$(visit -o "$W/out" -w '%header{x-side}' --resolve '*:80:192.0.2.11' http://whatever.example/)" client
tcp() { in_ns v python3 -c 'import socket, sys
s = socket.create_connection((sys.argv[1], 8300), 10, (sys.argv[2], 0)); print(s.makefile().read().strip())' "$@"; }
like "a service of one address" "$(tcp 192.0.2.11 203.0.113.12)" '^203\.0\.113\.12 [0-9]{3} 192\.0\.2\.11$'
rc=0
tcp 192.0.2.10 203.0.113.12 >"$W/out" 2>&1 || rc=$?
[ $rc != 0 ] || [ ! -s "$W/out" ] || die "nobody listens there: $(cat "$W/out")"

# whose address a trusted peer's PROXY header tells; a local of our own choosing, of one family
in_ns v python3 -c 'import socket
s = socket.create_connection(("192.0.2.10", 8082), 10, ("203.0.113.11", 0))
s.sendall(b"PROXY TCP4 198.18.0.7 198.18.0.1 4000 80\r\nGET / HTTP/1.1\r\nHost: alice.example\r\nX-Req-Id: lb\r\nConnection: close\r\n\r\n")
while s.recv(4096): pass'
wait_for saw c lb
same "behind a balancer" "$(line_of c lb 7)" "198.18.0.7 http 192.0.2.10"
logged "to the loopback" c 7 "203.0.113.13 http 127.0.0.1" visit --interface 203.0.113.13 --resolve '*:8083:192.0.2.10' http://alice.example:8083/
logged "to the loopback of the other family" c 7 "127.0.0.1 http 127.0.0.1" visit6 --interface 2001:db8:f::13 --resolve '*:8083:[2001:db8::10]' http://alice.example:8083/

# from the host itself
here() { in_ns c curl -sS --max-time 10 --noproxy '*' --cacert "$W/cert.pem" --resolve '*:80:192.0.2.10,[2001:db8::10]' --resolve '*:443:192.0.2.10,[2001:db8::10]' "$@"; }
logged "from the host, IPv4, client" c 7 "192.0.2.10 http 192.0.2.10" here -4 http://alice.example/
logged "from the host, IPv4, transit" t 10 "192.0.2.10 https 198.51.100.10" here -4 https://bob.example/
logged "from the host, IPv6, client" c 7 "2001:db8::10 https 2001:db8::10" here -6 https://alice.example/
logged "from the host, IPv6, transit" t 10 "2001:db8::10 http 2001:db8:1::10" here -6 http://bob.example/
logged "from the host's loopback" c 7 "127.0.0.1 http 192.0.2.10" here -4 --interface 127.0.0.1 http://alice.example/
# an address that means nothing beyond its link cannot be posed as, and is served all the same
in_ns r python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET6); s.settimeout(10); s.bind((sys.argv[1], 0, 0, socket.if_nametoindex("c0"))); s.connect(("2001:db8::10", 80))
s.sendall(b"GET / HTTP/1.1\r\nHost: alice.example\r\nX-Req-Id: ll\r\nConnection: close\r\n\r\n")
while s.recv(4096): pass' "$(ip -6 -n "${NS}r" -o addr show dev c0 scope link | awk '{sub("/.*", "", $4); print $4}')"
wait_for saw c ll
same "from a link-local address" "$(line_of c ll 7)" "2001:db8::10 http 2001:db8::10"
same "its loopback is not intercepted" "$(in_ns c curl -s --max-time 5 -o "$W/out" -w '%header{x-side}' -H 'Host: bob.example' http://127.0.0.1/)" client

# A visitor who has the whole answer may close first, and would be in TIME_WAIT himself, for a minute.
no_time_wait() { # PORT
	in_ns v ss -K -Htan state time-wait "sport = $1" >"$W/log/ss"
	[ -z "$(in_ns v ss -Htan "sport = $1")" ] # nor on its way there
}
# one port of a visitor again and again, though the previous connection is in TIME_WAIT here
for i in 1 2 3 4 5; do
	same "the same port, $i" "$(visit --interface 203.0.113.11 --local-port 45000 -H 'Connection: close' -o "$W/out" -w '%header{x-side}' http://bob.example/)" transit
	wait_for no_time_wait 45000
done

# handshakes without state
in_ns c sysctl -qw net.ipv4.tcp_syncookies=2
all_true "SYN cookies"
in_ns c sysctl -qw net.ipv4.tcp_syncookies=1

# other people's rules
for rules in input_drop docker ufw; do
	in_ns c nft -f "$E2E/rules/$rules.nft"
	all_true "with the rules of $rules"
	logged "with the rules of $rules, from the host" c 7 "192.0.2.10 http 192.0.2.10" here -4 http://alice.example/
	# and they still do what they are for
	[ $rules = docker ] || [ "$(in_ns v curl -s --max-time 1 -o "$W/out" -w '%{http_code}' http://192.0.2.10:8081/)" = 000 ] || die "$rules lets 8081 in"
	for table in $(in_ns c nft list tables | awk '$3 != "shunt_intercept" {print $2 "/" $3}'); do in_ns c nft delete table ${table/\// }; done
done

# a reload adds and removes intercepted listeners; nothing is refused meanwhile
start prober v python3 "$TOOLS/prober.py" "$W/reload.tsv" bob.example 20 192.0.2.10 2001:db8::10
cp "$W/shunt.conf" "$W/first.conf"
for _ in 1 2 3; do
	sed '/listener "tcp"/d' "$W/first.conf" >"$W/shunt.conf"
	shunt reload
	fails_with 1 tcp 192.0.2.11 203.0.113.12
	cp "$W/first.conf" "$W/shunt.conf"
	shunt reload
	like "with it again" "$(tcp 192.0.2.11 203.0.113.12)" '^203\.0\.113\.12 '
done
sed '/listener "web"/s/}/ source-local = "plain" }/' "$W/first.conf" >"$W/shunt.conf"
shunt reload
logged "plain, to the very same port" c 7 "192.0.2.10 http 192.0.2.10" visit http://alice.example/
for key in 'intercept = false' 'intercept-port = 10081'; do
	sed "s/^\(.*\)intercept = true/\1$key/; /listener \"\(tcp\|web\|https\|balanced\|looped\)\"/d" "$W/first.conf" >"$W/shunt.conf"
	[ "$key" = 'intercept = false' ] || sed -i 's/intercept-port/intercept = true intercept-port/' "$W/shunt.conf"
	fails_with 1 "$SHUNT" -c "$W/shunt.conf" reload
	like "a reload cannot do: $key" "$OUT" 'restart'
done
cp "$W/first.conf" "$W/shunt.conf"
shunt reload
stop prober
same "while reloading" "$(awk -F '\t' '{print $4}' "$W/reload.tsv" | sort -u)" transit

# towards the transit server from the visitor's own address and port: through a tunnel
stop proxy
tunnel_up
proxy_start
wait_for is_alive true
all_true "through the tunnel" 7
logged "the visitor's port" t 13 "45678 http 198.51.100.10" visit --interface 203.0.113.11 --local-port 45678 http://bob.example/
logged "from the host, through the tunnel" t 7 "192.0.2.10 http 198.51.100.10" here -4 http://bob.example/
logged "from the host's loopback, not through the tunnel" t 7 "192.0.2.10 http 198.51.100.10" here -4 --interface 127.0.0.1 http://bob.example/
same "a large answer through the tunnel" "$(visit https://bob.example/app/download?kb=3000 -o "$W/out" -w '%{http_code}')" 200
same "who comes to transit directly is answered directly" "$(in_ns v curl -s --max-time 5 -o "$W/out" -w '%header{x-side}' -H 'Host: bob.example' http://198.51.100.10/)" transit
# a fresh connection while the previous one of the same port is not quite gone there
for i in 1 2 3; do
	same "the same port through the tunnel, $i" "$(visit --interface 203.0.113.11 --local-port 45001 -H 'Connection: close' -o "$W/out" -w '%header{x-side}' http://bob.example/)" transit
	wait_for no_time_wait 45001
done

# without the capability it does not start, and says which
stop proxy
rc=0
out=$(in_ns c timeout 60 setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$PROXY" -c "$W/shunt.conf" --foreground 2>&1) || rc=$?
[ $rc != 0 ] && [ $rc != 124 ] || die "without CAP_NET_ADMIN it ended with $rc: $out"
like "which capability, which unit" "$out" 'CAP_NET_ADMIN.*shunt-proxy\.service'

# after: as before
intercept_off
tunnel_down
for side in c t; do
	dump $side >"$W/after-$side"
	diff "$W/before-$side" "$W/after-$side" >"$W/diff" || die "something is left on $side: $(cat "$W/diff")"
done
same "after" "$(side_of http://bob.example/)" client
