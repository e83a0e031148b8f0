#!/usr/bin/env bash
# soak
# The laboratory of takeovers itself: addresses are moved with plain ip and nft commands, there and back, in each topology, and the prober
# must have lost nothing; moved carelessly, it must have lost much, else it could not fail. And a snapshot sees every kind of change.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
T=0x02000000 D=0x04000000 # marks: through the tunnel, and a connection that is the other host's

# ---- the steps, by hand
on() { # NS COMMAND..: in all families and batches, ip(8)
	local ns=$NS$1
	shift
	ip -n "$ns" "$@"
}
both() { # NS ARGUMENTS..: ip -4 and ip -6
	on "$1" -4 "${@:2}"
	on "$1" -6 "${@:2}"
}
sets() {
	local IFS=,
	echo "set s4 { type ipv4_addr; elements = { ${S4[*]} }; }"
	echo "set s6 { type ipv6_addr; elements = { ${S6[*]} }; }"
}
hex6() { python3 -c 'import ipaddress, sys; print(",".join("0x" + ipaddress.ip_address(a).packed.hex() for a in sys.argv[1:]))' "${S6[@]}"; }
warm() { # NS: conntrack knows the connections there are
	in_ns "$1" nft 'table inet shunt_warm { chain warm { type filter hook prerouting priority -290; policy accept; ct state vmap { invalid : continue }; }; }'
}
# Nobody hears from this host that it has what moves; it still asks for its neighbours, in another name.
mute() { # NS
	in_ns "$1" nft -f - <<-END
		table arp shunt_mute {
			$(sets | grep s4)
			chain in { type filter hook input priority 0; policy accept; arp daddr ip @s4 drop; }
			chain out {
				type filter hook output priority 0; policy accept
				arp saddr ip @s4 arp operation request arp saddr ip set 0.0.0.0 accept
				arp saddr ip @s4 drop
			}
		}
		table ip6 shunt_mute {
			$(sets | grep s6)
			chain in { type filter hook input priority 0; policy accept; icmpv6 type nd-neighbor-solicit @th,64,128 { $(hex6) } drop; }
			chain out {
				type filter hook output priority 0; policy accept
				icmpv6 type nd-neighbor-advert @th,64,128 { $(hex6) } drop
				icmpv6 type nd-neighbor-solicit ip6 saddr @s6 ip6 saddr set $(on "$1" -6 -o addr show dev eth0 scope link | sed -E 's/.*inet6 ([^/]*).*/\1/')
			}
		}
	END
}
unmute() { in_ns "$1" nft 'delete table arp shunt_mute; delete table ip6 shunt_mute'; }
announce() { in_ns "$1" python3 "$TOOLS/announce.py" eth0 "${S[@]}"; }
sysctls_keep() { in_ns "$1" sysctl -a --pattern "$SYSCTLS" 2>/dev/null | sort >"$W/sysctls.$1"; }
sysctls_back() { # NS: twice, since some of them set others
	local _
	for _ in 1 2; do
		in_ns "$1" sysctl -a --pattern "$SYSCTLS" 2>/dev/null | sort | comm -13 - "$W/sysctls.$1" >"$W/differ.$1"
		in_ns "$1" sysctl -q -p "$W/differ.$1"
	done
}
local_late() { # NS: the rule "local" steps behind ours
	local f
	for f in -4 -6; do on "$1" $f rule add pref 1000 lookup local && on "$1" $f rule del pref 0 lookup local; done
}
local_first() {
	local f
	for f in -4 -6; do on "$1" $f rule add pref 0 lookup local protocol kernel && on "$1" $f rule del pref 1000 lookup local; done
}
forwarding() {
	in_ns "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0
}
give() { # NS DEVICE: the addresses that move
	addresses "$1" "$2" "${S4[@]/%//32}" "${S6[@]/%//128}"
}
take() { # NS DEVICE
	local a
	for a in "${S4[@]/%//32}" "${S6[@]/%//128}"; do on "$1" addr del "$a" dev "$2"; done
}
# What this host knows no connection for goes to the other one: by a gateway that is the other's MAC, or through the tunnel.
drain() { # NS OTHER
	local own dev=eth0 via4=169.254.74.45 via6=fe80::7445
	own="iifname != eth0 return; ether saddr ${MAC[$2]} return"
	if [ "$TOPOLOGY" = segment ]; then
		on "$1" neigh replace $via4 lladdr "${MAC[$2]}" dev eth0 nud permanent
		on "$1" neigh replace $via6 lladdr "${MAC[$2]}" dev eth0 nud permanent
	else
		dev=shunt0 own='iifname { "lo", "shunt0" } return' via4=${INNER4[$2]} via6=${INNER6[$2]}
	fi
	forwarding "$1"
	on "$1" route add default via $via4 dev $dev onlink table 7445
	on "$1" -6 route add default via $via6 dev $dev table 7445
	both "$1" rule add pref 745 fwmark $D/$D lookup 7445
	local_late "$1"
	in_ns "$1" nft -f - <<-END
		table inet shunt_drain {
			$(sets)
			chain prerouting {
				type filter hook prerouting priority mangle; policy accept
				$own
				ip daddr @s4 goto moved
				ip6 daddr @s6 goto moved
			}
			chain moved {
				ct mark & $D == $D meta mark set meta mark or $D return
				meta l4proto tcp ct state new tcp flags & (fin|syn|rst|ack) != syn ct mark set ct mark or $D meta mark set meta mark or $D
			}
			chain output { type filter hook output priority 0; policy accept; icmpv6 type nd-redirect drop; }
			chain postrouting { type filter hook postrouting priority mangle; policy accept; oifname "shunt0" meta mark set meta mark and 0xf8ffffff; }
		}
	END
}
drained() { # NS
	in_ns "$1" nft delete table inet shunt_drain
	local_first "$1"
	both "$1" rule del pref 745
	both "$1" route flush table 7445
	[ "$TOPOLOGY" != segment ] || {
		on "$1" neigh del 169.254.74.45 dev eth0
		on "$1" neigh del fe80::7445 dev eth0
	}
}
declare -A INNER4=([cli]=169.254.74.1 [tra]=169.254.74.2) INNER6=([cli]=fe80::1 [tra]=fe80::2) OUTER=([cli]=203.0.113.5 [tra]=192.0.2.50)
declare -A INNER_MAC=([cli]=02:00:00:00:74:01 [tra]=02:00:00:00:74:02)
tunnel() { # NS OTHER
	on "$1" link add shunt0 address "${INNER_MAC[$1]}" mtu 1450 type vxlan id 42 local "${OUTER[$1]}" remote "${OUTER[$2]}" dstport 4789
	in_ns "$1" sysctl -qw net.ipv4.conf.shunt0.rp_filter=2 net.ipv4.conf.shunt0.accept_local=1 net.ipv6.conf.shunt0.accept_ra=0 net.ipv6.conf.shunt0.addr_gen_mode=1
	addresses "$1" shunt0 "${INNER4[$1]}/30" "${INNER6[$1]}/64"
	on "$1" link set shunt0 up
	on "$1" neigh replace "${INNER4[$2]}" lladdr "${INNER_MAC[$2]}" dev shunt0 nud permanent
	on "$1" neigh replace "${INNER6[$2]}" lladdr "${INNER_MAC[$2]}" dev shunt0 nud permanent
	on "$1" route add default via "${INNER4[$2]}" dev shunt0 table 7444
	on "$1" -6 route add default via "${INNER6[$2]}" dev shunt0 table 7444
}
forward() { # on|off: new flows towards what moves go through the tunnel; those that went there always do
	in_ns cli nft -f - <<-END
		table inet shunt_forward
		delete table inet shunt_forward
		table inet shunt_forward {
			$(sets)
			chain prerouting {
				type filter hook prerouting priority mangle; policy accept
				iifname { "lo", "shunt0" } return
				ct mark & $T == $T meta mark set meta mark or $T return
				$([ "$1" = off ] || printf 'ip daddr @s4 goto moved\nip6 daddr @s6 goto moved\n')
			}
			chain moved {
				tcp flags & (fin|syn|rst|ack) == syn goto away
				meta l4proto udp ct state new goto away
				icmp type echo-request goto away
				icmpv6 type echo-request goto away
			}
			chain away { ct mark set ct mark or $T; meta mark set meta mark or $T; }
			chain output { type filter hook output priority 0; policy accept; icmpv6 type nd-redirect drop; }
			chain postrouting { type filter hook postrouting priority mangle; policy accept; oifname "shunt0" meta mark set meta mark and 0xf8ffffff; }
		}
	END
}
transit_replies() { # through the tunnel, whence they were asked
	in_ns tra nft -f - <<-END
		table inet shunt_reply {
			chain prerouting { type filter hook prerouting priority mangle; policy accept; iifname "shunt0" meta mark set meta mark or $T; }
			chain postrouting { type filter hook postrouting priority mangle; policy accept; oifname "shunt0" meta mark set meta mark and 0xf8ffffff; }
		}
	END
	in_ns tra sysctl -qw net.ipv4.tcp_fwmark_accept=1
	{ for a in "${S4[@]}"; do echo "rule add pref 744 from $a lookup 7444"; done; } >"$W/replies4"
	{ for a in "${S6[@]}"; do echo "rule add pref 744 from $a lookup 7444"; done; } >"$W/replies6"
	on tra -4 -batch "$W/replies4"
	on tra -6 -batch "$W/replies6"
}

# ---- what is asked of every topology
lab() { # TOPOLOGY
	say "---- $1"
	lab_up "$1"
	answerer_up cli tra
	warm cli
	warm tra
	for n in cli tra rt; do
		sysctls_keep $n
		snapshot $n >"$W/before.$n"
	done
	[ "$(grep -c shunt_warm "$W/before.cli")" = 1 ] || die "the snapshot of cli lacks its table"
}
probe() { # NAME
	prober_start "$1" ext -r 800 -l 2 -i "${S[@]}"
	prober_start "$1-near" peer -r 160 -l 2 "${S[@]}"
}
all_answer() { # HOST
	local a
	for a in "${S[@]}"; do wait_for answers "$a" "$1"; done
}
verdict() { # NAME HOST..: nothing lost, and each address was answered by these hosts in turn
	local name
	for name in "$1" "$1-near"; do
		prober_stop "$name"
		nothing_lost "$name"
		answered "$name" "${@:2}"
	done
}
back_as_before() { # NS..
	local n
	for n; do
		sysctls_back "$n"
		unchanged "$n" "$W/before.$n"
	done
}

# ---- carelessly: the old host lets go, the new one takes, and nobody is told
lab segment
prober_start careless ext -r 160 -l 1 "${S[@]}"
on cli addr flush dev eth0 to 203.0.113.8/29
on cli -6 addr flush dev eth0 to 2001:db8:1::10/124
give tra eth0
mark=$(now_ms)
silence() { [ $(($(now_ms) - mark)) -gt 3300 ]; }
wait_for silence
prober_stop careless
for a in "${!S[@]}"; do
	like "careless, ${S[$a]}: silent for seconds, attempts lost, connection gone" \
		"$(probed careless "'%d %d %d' % (t[$a]['interruption_ms'], t[$a]['lost'], t[$a]['long']['survived'])")" '^[0-9]{4,} [1-9][0-9]* 0$'
done
lab_down

# ---- one segment: make before break
lab segment
probe segment
drain tra cli
mute tra
give tra eth0
all_answer cli
mute cli
unmute tra
announce tra
all_answer tra
announce tra
# the muted host must find its neighbours for what it still has to say to them
for a in 203.0.113.1 "${PEER4[@]}" 2001:db8:1::1 "${PEER6[@]}"; do on cli neigh del "$a" dev eth0 2>"$W/o" || :; done
probe segment-back
drain cli tra
mute tra
unmute cli
announce cli
all_answer cli
announce cli
verdict segment cli tra cli
verdict segment-back tra cli
drained cli
drained tra
take tra eth0
unmute tra
back_as_before cli tra rt
lab_down

# ---- routed: the router turns
lab routed
tunnel cli tra
tunnel tra cli
probe routed
give tra lo
drain tra cli
# the old host goes on answering on its own leg
in_ns rt sysctl -qw net.ipv4.conf.lan0.rp_filter=2 net.ipv4.conf.tra0.rp_filter=2
routes_to "${T4[0]}" "${T6[0]}" "${S[@]}"
all_answer tra
probe routed-back
drain cli tra
routes_to 203.0.113.5 2001:db8:1::5 "${S[@]}"
all_answer cli
verdict routed cli tra cli
verdict routed-back tra cli
drained cli
drained tra
take tra lo
on cli link del shunt0
on tra link del shunt0
back_as_before cli tra rt
lab_down

# ---- tunnel: the client server forwards
lab tunnel
tunnel cli tra
tunnel tra cli
probe tunnel
forwarding cli
both cli rule add pref 744 fwmark $T/$T lookup 7444
both tra rule add pref 744 fwmark $T/$T lookup 7444
local_late cli
give tra lo
transit_replies
forward on
all_answer tra
weblog_up tra
for a in "${S4[1]}" "[${S6[1]}]"; do in_ns ext curl -sf -o "$W/page" "http://$a/"; done
like "what the web server at the transit has seen" "$(tr '\n' ';' <"$W/web-tra/access")" \
	'^198\.51\.100\.1[0-5]:[0-9]+ 203\.0\.113\.11 .*;2001:db8:f::1[0-5]:[0-9]+ \[?2001:db8:1::11\]? '
probe tunnel-back
forward off
all_answer cli
verdict tunnel cli tra cli
verdict tunnel-back tra cli
in_ns cli nft delete table inet shunt_forward
in_ns tra nft delete table inet shunt_reply
local_first cli
both cli rule del pref 744
for _ in "${S4[@]}" all; do on tra -4 rule del pref 744; done
for _ in "${S6[@]}" all; do on tra -6 rule del pref 744; done
take tra lo
on cli link del shunt0
on tra link del shunt0
back_as_before cli tra

# ---- a snapshot sees each kind of change, and sees that it was taken back
seen_and_back() { # CHANGE UNDO: ip(8) or sysctl(8) or nft(8) in cli
	in_ns cli bash -c "$1"
	snapshot cli >"$W/after"
	! cmp -s "$W/before.cli" "$W/after" || die "a snapshot does not see: $1"
	in_ns cli bash -c "$2"
	unchanged cli "$W/before.cli"
}
seen_and_back "ip addr add 203.0.113.99/32 dev eth0" "ip addr del 203.0.113.99/32 dev eth0"
seen_and_back "ip addr add 2001:db8:1::99/128 dev eth0 nodad" "ip addr del 2001:db8:1::99/128 dev eth0"
seen_and_back "ip route add local default dev lo table 7443" "ip route del local default dev lo table 7443"
seen_and_back "ip -6 rule add pref 743 fwmark 1/1 lookup 7443" "ip -6 rule del pref 743"
seen_and_back "ip neigh add 203.0.113.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent" "ip neigh del 203.0.113.77 dev eth0"
seen_and_back "ip link add shunt0 type vxlan id 42 local 203.0.113.5 remote 192.0.2.50 dstport 4789" "ip link del shunt0"
seen_and_back "ip link set eth0 mtu 1400" "ip link set eth0 mtu 1500"
seen_and_back "nft add table inet shunt_x" "nft delete table inet shunt_x"
seen_and_back "sysctl -qw net.ipv4.tcp_fwmark_accept=1" "sysctl -qw net.ipv4.tcp_fwmark_accept=0"
seen_and_back "sysctl -qw net.ipv6.conf.eth0.accept_ra=0" "sysctl -qw net.ipv6.conf.eth0.accept_ra=1"
