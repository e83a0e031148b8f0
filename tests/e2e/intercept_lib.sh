# What stories about interception share; sourced after lib.sh. The kernel's side of it, as the client server has it.
M=0x1000000 T=0x2000000 # marks: to the local services and back; through the tunnel

# web servers that know nothing of all this: at their own ports, of every address
web_untouched() {
	certificate
	nginx_up c 0.0.0.0 80 443
	nginx_up t 198.51.100.10 80 443
}
# Listeners without addresses; standard input goes into the proxy section too.
intercept_conf() {
	{
		cat <<-'END'
			intercept = true
			source-transit = "proxy-v2"
			listener "web"   { port = 80   protocol = "http" transit-port = 81 }
			listener "https" { port = 443  protocol = "tls"  transit-port = 8444 }
			listener "tcp"   { port = 8300 protocol = "tcp" }
		END
		[ -t 0 ] || cat
	} | LISTENERS=none proxy_conf
}
routing() { # NS add|del
	local family
	for family in -4 -6; do
		ip $family -n "$NS$1" rule "$2" pref 743 fwmark $M/$M lookup 7443 protocol 200
		ip $family -n "$NS$1" route "$2" local default dev lo table 7443 proto 200
	done
}
intercept_on() {
	in_ns c sysctl -qw net.ipv4.tcp_fwmark_accept=1
	routing c add
	in_ns c nft -f - <<-END
		table inet shunt_intercept {
			set svc4 { type ipv4_addr . inet_service; elements = { 192.0.2.10 . 80, 192.0.2.10 . 443, 192.0.2.10 . 8300, 192.0.2.11 . 80, 192.0.2.11 . 443, 192.0.2.11 . 8300 }; }
			set svc6 { type ipv6_addr . inet_service; elements = { 2001:db8::10 . 80, 2001:db8::10 . 443, 2001:db8::11 . 80, 2001:db8::11 . 443 }; }
			set alive { type nf_proto; flags timeout; }
			chain prerouting {
				type filter hook prerouting priority mangle; policy accept;
				iifname "lo" meta mark & $M == $M return
				# A SYN may find a connection of ours in TIME_WAIT, whose port the visitor uses again: that is tproxy's to handle.
				tcp flags & (fin | syn | rst | ack) != syn socket transparent 1 meta mark set meta mark | $M accept
				meta nfproto @alive ip daddr . tcp dport @svc4 tproxy ip to :10080
				meta nfproto @alive ip6 daddr . tcp dport @svc6 tproxy ip6 to :10080
			}
		}
	END
}
intercept_off() {
	in_ns c nft delete table inet shunt_intercept
	routing c del
}
is_alive() { # true|false
	[ "$(field "$(ask status)" intercept.alive)" = "$1" ]
}
# A tunnel, through which the transit server answers what came by it. The outer packets inherit the mark of the inner ones: throw keeps them
# out of the tunnel's own table.
tunnel_up() {
	local family
	addresses c eth0 192.0.2.20/24
	addresses t eth0 198.51.100.20/24
	ip -n "${NS}c" link add shunt0 type vxlan id 42 local 192.0.2.20 remote 198.51.100.20 dstport 4789
	ip -n "${NS}t" link add shunt0 type vxlan id 42 local 198.51.100.20 remote 192.0.2.20 dstport 4789
	addresses c shunt0 10.99.0.1/24 fd99::1/64
	addresses t shunt0 10.99.0.2/24 fd99::2/64
	ip -n "${NS}c" link set shunt0 up
	ip -n "${NS}t" link set shunt0 up
	ip -n "${NS}c" route add throw 198.51.100.20 table 7444
	ip -n "${NS}t" route add throw 192.0.2.20 table 7444
	ip -n "${NS}c" route add default via 10.99.0.2 dev shunt0 table 7444
	ip -n "${NS}t" route add default via 10.99.0.1 dev shunt0 table 7444
	ip -6 -n "${NS}c" route add default via fd99::2 dev shunt0 table 7444
	ip -6 -n "${NS}t" route add default via fd99::1 dev shunt0 table 7444
	for family in -4 -6; do
		ip $family -n "${NS}c" rule add pref 744 fwmark $T/$T lookup 7444 protocol 200
		ip $family -n "${NS}t" rule add pref 744 fwmark $T/$T lookup 7444 protocol 200
	done
	in_ns t sysctl -qw net.ipv4.tcp_fwmark_accept=1
	in_ns t nft -f - <<-END
		table inet shunt_reply {
			chain prerouting {
				type filter hook prerouting priority mangle; policy accept;
				iifname "shunt0" meta mark set meta mark | $T
			}
		}
	END
}
