# The laboratory in which addresses move; sourced after lib.sh:  . "$(dirname "$0")/takeover_lib.sh"
#
#   visitor (ext)            router (rt)                 switch (sw)      client server (cli)  203.0.113.5  .10 .11 .12 .13
#   198.51.100.10-15 ---  .1     203.0.113.1    ------  bridge  ---                            2001:db8:1::5  ::10 ::11 ::12 ::13
#   2001:db8:f::10-15     ::1    2001:db8:1::1             |  |
#                                                          |  +-------  neighbour (peer)     203.0.113.200-203 2001:db8:1::200-203
#                                                          +----------  transit server (tra) 203.0.113.50 .. .53 2001:db8:1::50 .. ::53
#
#   lab_up segment   as drawn: client and transit server share one segment
#   lab_up routed    the transit server is on a segment of its own behind rt (192.0.2.50 .. .53, 2001:db8:2::50 .. ::53), and what moves is
#                    routed by rt to the client server as /32 and /128, which has it on lo; for that the segment is narrower (203.0.113.0/29,
#                    2001:db8:1::/124, the neighbour is .6 .2 .3 .4), so that nobody takes what moves for a neighbour
#   lab_up tunnel    the transit server is on that segment of its own, what moves is on the client server's segment
# The addresses that move are the arrays S4, S6 (four each, or as many as `many` has made); S is both. Their partners: T4, T6.
# One of S4 and of S6 has the segment's prefix length, the others stand alone, as providers' images have it.
# Devices: eth0 everywhere, except rt: ext0, lan0, and tra0 where there is one. MACs end in 0a (ext) 01 (rt) 0c (cli) 0e (tra) 0f (peer).
NAMESPACES=(ext rt sw cli tra peer)
PROBER=$PLAIN/tests/e2e/tools/prober
ANSWERER=$PLAIN/tests/e2e/tools/answerer
PORT=7000
declare -A MAC=([ext]=02:00:00:00:00:0a [rt]=02:00:00:00:00:01 [cli]=02:00:00:00:00:0c [tra]=02:00:00:00:00:0e [peer]=02:00:00:00:00:0f)

[ -x "$PROBER" ] && [ -x "$ANSWERER" ] || cannot_run "no tests/e2e/tools/prober in $PLAIN: make check TESTS= builds it"

# ---- the network
cable() { # NS DEVICE NS DEVICE
	ip link add "$2" netns "$NS$1" type veth peer name "$4" netns "$NS$3"
	[ -z "${MAC[$1]:-}" ] || ip -n "$NS$1" link set "$2" address "${MAC[$1]}"
	[ -z "${MAC[$3]:-}" ] || ip -n "$NS$3" link set "$4" address "${MAC[$3]}"
	ip -n "$NS$1" link set "$2" up
	ip -n "$NS$3" link set "$4" up
}
plug() { # NS: into the switch
	cable "$1" "${2:-eth0}" sw "$1"
	ip -n "${NS}sw" link set "$1" master br0
}
gateway() { # NS IPV4 IPV6
	ip -n "$NS$1" route add default via "$2"
	ip -n "$NS$1" route add default via "$3"
}
lab_defaults() {
	S4=(203.0.113.{10..13}) S6=(2001:db8:1::{10..13})
	T4=(203.0.113.{50..53}) T6=(2001:db8:1::{50..53})
	S=("${S4[@]}" "${S6[@]}")
	TRA_GW4=203.0.113.1 TRA_GW6=2001:db8:1::1
	PEER4=(203.0.113.{200..203}) PEER6=(2001:db8:1::{200..203})
	EXT4=(198.51.100.{10..15}) EXT6=(2001:db8:f::{10..15})
}
no_tentative() { [ -z "$(ip -o -n "$NS$1" addr show tentative)" ]; }
lab_up() { # segment|routed|tunnel
	local n len4=24 len6=64
	[ "$(id -u)" = 0 ] || cannot_run "network namespaces need root"
	TOPOLOGY=$1
	lab_defaults
	[ "$TOPOLOGY" != routed ] || len4=29 len6=124 PEER4=(203.0.113.{6,2,3,4}) PEER6=(2001:db8:1::{6,2,3,4})
	for n in "${NAMESPACES[@]}"; do
		ip netns add "$NS$n" || cannot_run "no network namespace could be made here"
		ip -n "$NS$n" link set lo up
	done
	ip -n "${NS}sw" link add br0 type bridge mcast_snooping 0
	ip -n "${NS}sw" link set br0 up
	cable ext eth0 rt ext0
	plug rt lan0
	plug cli
	plug peer
	# the strictest that hosts have; most have less
	for n in ext rt cli tra peer; do in_ns "$n" sysctl -qw net.ipv4.conf.all.rp_filter=1; done
	in_ns rt sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	addresses ext eth0 "${EXT4[@]/%//24}" "${EXT6[@]/%//64}"
	addresses rt ext0 198.51.100.1/24 2001:db8:f::1/64
	addresses rt lan0 203.0.113.1/$len4 2001:db8:1::1/$len6
	addresses cli eth0 203.0.113.5/$len4 2001:db8:1::5/$len6
	addresses peer eth0 "${PEER4[@]/%//$len4}" "${PEER6[@]/%//$len6}"
	gateway ext 198.51.100.1 2001:db8:f::1
	gateway cli 203.0.113.1 2001:db8:1::1
	gateway peer 203.0.113.1 2001:db8:1::1
	if [ "$TOPOLOGY" = segment ]; then
		plug tra
		addresses tra eth0 "${T4[@]/%//24}" "${T6[@]/%//64}"
	else
		T4=(192.0.2.{50..53}) T6=(2001:db8:2::{50..53})
		TRA_GW4=192.0.2.1 TRA_GW6=2001:db8:2::1
		cable tra eth0 rt tra0
		addresses rt tra0 $TRA_GW4/24 $TRA_GW6/64
		addresses tra eth0 "${T4[@]/%//24}" "${T6[@]/%//64}"
	fi
	gateway tra $TRA_GW4 $TRA_GW6
	if [ "$TOPOLOGY" = routed ]; then
		addresses cli lo "${S4[@]/%//32}" "${S6[@]/%//128}"
		routes_to 203.0.113.5 2001:db8:1::5 "${S[@]}"
	else
		addresses cli eth0 "${S4[0]}/24" "${S4[@]:1}" "${S6[0]}/64" "${S6[@]:1}"
	fi
	for n in "${NAMESPACES[@]}"; do wait_for no_tentative "$n"; done
}
lab_down() { # with all that was started in it; then lab_up can make another
	local n f
	for f in "$W"/pid/*; do [ ! -e "$f" ] || stop "${f##*/}"; done
	for n in "${NAMESPACES[@]}"; do ip netns del "$NS$n"; done
	rm -f "$W"/log/answerer-* "$W"/log/web-*
}
routes_to() { # IPV4 IPV6 ADDRESS..: rt routes these there
	local a via4=$1 via6=$2
	shift 2
	for a; do
		case $a in *:*) echo "route replace $a/128 via $via6" ;; *) echo "route replace $a/32 via $via4" ;; esac
	done >"$W/routes"
	ip -n "${NS}rt" -batch "$W/routes"
}
many() { # N: so many further addresses, half of each family, join S4, S6 and S: 203.0.113.64.., 2001:db8:1::1000..
	local i dev=eth0 more4=() more6=()
	[ "$TOPOLOGY" = routed ] && dev=lo
	[ "$1" -le 256 ] || die "many: the segment has room for 256, not for $1"
	for ((i = 0; i < $1 / 2; i++)); do
		more4+=("203.0.113.$((64 + i))")
		more6+=("2001:db8:1::$(printf %x $((0x1000 + i)))")
	done
	{
		for i in "${more4[@]}"; do echo "addr add $i/32 dev $dev"; done
		for i in "${more6[@]}"; do echo "addr add $i/128 dev $dev nodad"; done
	} >"$W/many"
	ip -n "${NS}cli" -batch "$W/many"
	S4+=("${more4[@]}")
	S6+=("${more6[@]}")
	S=("${S4[@]}" "${S6[@]}")
	[ "$TOPOLOGY" != routed ] || routes_to 203.0.113.5 2001:db8:1::5 "${more4[@]}" "${more6[@]}"
}

# ---- what shunt-netctl may change on a host, in a stable order, without what changes by itself (counters, lifetimes, learnt neighbours)
SYSCTLS='^net\.(ipv4\.conf|ipv6\.conf|ipv4\.(ip_forward|tcp_fwmark_accept|fwmark_reflect|ip_nonlocal_bind|tcp_mtu_probing|ip_local_reserved_ports)|ipv6\.ip_nonlocal_bind|netfilter\.nf_conntrack_tcp_loose)'
# the same, for a snapshot: ten times as fast
SETTINGS=(/proc/sys/net/{ipv4/{conf,ip_forward,tcp_fwmark_accept,fwmark_reflect,ip_nonlocal_bind,tcp_mtu_probing,ip_local_reserved_ports},ipv6/{conf,ip_nonlocal_bind},netfilter/nf_conntrack_tcp_loose})
snapshot() { # NS
	local volatile='s/ (valid|preferred)_lft [^ ]+//g; s/ expires [0-9]+sec//; s/[ \t]+$//; s/\\//g'
	{
		echo "# addresses"
		ip -o -n "$NS$1" addr show | sed -E "s/^[0-9]+: //; $volatile" | sort
		echo "# links"
		ip -o -d -n "$NS$1" link show | sed -E "s/^[0-9]+: //; s/@if[0-9]+/@if/; $volatile" | sort
		echo "# routes"
		ip -4 -n "$NS$1" route show table all | sed -E "$volatile" | sort
		ip -6 -n "$NS$1" route show table all | sed -E "$volatile" | sort
		echo "# rules"
		ip -d -4 -n "$NS$1" rule show
		ip -d -6 -n "$NS$1" rule show
		echo "# permanent and proxied neighbours"
		ip -n "$NS$1" neigh show nud permanent | sort
		ip -n "$NS$1" neigh show proxy | sort
		echo "# nftables"
		in_ns "$1" nft -s list ruleset
		echo "# sysctls"
		{ in_ns "$1" grep -rs . "${SETTINGS[@]}" || :; } | sort # some cannot be read
	}
}
unchanged() { # NS FILE: its snapshot is still what FILE says
	snapshot "$1" >"$W/now.$1"
	diff -u "$2" "$W/now.$1" >"$W/diff.$1" || die "$1 is not as it was: $(cat "$W/diff.$1")"
}

# ---- services
# Answerers and probers run AHEAD: time they wait for a processor looks like an interruption.
answerer_up() { # NS..
	local n
	for n; do
		rm -f "$W/log/answerer-$n" # of one before, which was ready as well
		start "answerer-$n" "$n" "${AHEAD[@]}" "$ANSWERER" $PORT "$n"
		wait_for grep -q ready "$W/log/answerer-$n"
	done
}
# nginx that says where it is, on port 80 of every address; its log: remote-address:remote-port server-address host
weblog_up() { # NS..
	local n
	for n; do
		mkdir -p "$W/web-$n"
		cat >"$W/web-$n/conf" <<-END
			daemon off;
			master_process off;
			pid $W/web-$n/pid;
			error_log $W/log/web-$n warn;
			events { worker_connections 4096; }
			http {
				log_format seen '\$remote_addr:\$remote_port \$server_addr \$host';
				access_log $W/web-$n/access seen;
				client_body_temp_path $W/web-$n/body; proxy_temp_path $W/web-$n/proxy; fastcgi_temp_path $W/web-$n/f;
				uwsgi_temp_path $W/web-$n/u; scgi_temp_path $W/web-$n/s;
				server { listen 0.0.0.0:80; listen [::]:80; return 200 "$n \$server_addr \$remote_addr\n"; }
			}
		END
		: >"$W/web-$n/access"
		start "web-$n" "$n" nginx -e "$W/log/web-$n" -c "$W/web-$n/conf" -p "$W/web-$n"
		wait_for in_ns "$n" curl -sf -o "$W/web-$n/up" http://127.0.0.1/
		: >"$W/web-$n/access"
	done
}
answers() { # ADDRESS HOST [FROM-NS]: a new connection is answered by HOST, within ANSWER_S (default 2)
	local line=
	line=$(in_ns "${3:-ext}" timeout "${ANSWER_S:-2}" bash -c "exec 3<>'/dev/tcp/$1/$PORT' && head -n 1 <&3") || return 1
	[ "$line" = "$2" ]
}

# ---- the prober
# Each prober comes from an address of its own, as long as there are some: the ports of one must not come again from another, whose connections
# may be at the other host.
PROBERS=0
prober_start() { # NAME ext|peer OPTION.. ADDRESS..: runs until prober_stop NAME; 500 attempts per second, or as OPTION says
	local name=$1 ns=$2 from4=("${EXT4[@]}") from6=("${EXT6[@]}") i
	shift 2
	[ "$ns" != peer ] || from4=("${PEER4[@]}") from6=("${PEER6[@]}")
	i=$((PROBERS++ % ${#from4[@]}))
	start "$name" "$ns" bash -c 'exec "$@" >'"'$W/$name.json'" - "${AHEAD[@]}" "$PROBER" -p $PORT -r 500 -b "${from4[i]}" -b "${from6[i]}" "$@"
	wait_for grep -qx running "$W/log/$name"
}
prober_stop() { # NAME: its result is in $W/NAME.json and, to be read, in $W/log/NAME
	stop "$1"
	[ -s "$W/$1.json" ] || die "the prober has left no result: $(cat "$W/log/$1")"
	say "$1: $(tail -n 1 "$W/log/$1")"
}
probed() { # NAME PYTHON-EXPRESSION: on its result as r, with t for its targets
	python3 -c 'import json, sys
r = json.load(open(sys.argv[1])); t = r["targets"]
print(eval(sys.argv[2]))' "$W/$1.json" "$2"
}
nothing_lost() { # NAME: not one attempt was lost or slow, no long connection ended
	local found
	found=$(probed "$1" '"lost %d slow %d reset %d hanging %d wrong %d" % (r["lost"], r["slow"], r["long"]["reset"], r["long"]["hanging"], r["long"]["wrong"])')
	same "$1" "$found" "lost 0 slow 0 reset 0 hanging 0 wrong 0"
}
# Every address was answered by these hosts, one after the other. While the news spreads (SETTLE ms, default 50) both may be heard.
answered() { # NAME HOST..
	local found
	found=$(python3 - "$W/$1.json" "${SETTLE:-50}" "${@:2}" <<-'END'
		import json, sys
		result, settle, wanted = json.load(open(sys.argv[1])), float(sys.argv[2]), sys.argv[3:]
		for target in result["targets"]:
		    turns = []
		    for host in target["hosts"]:
		        if turns and turns[-1]["name"] == host["name"]:
		            turns[-1]["to_ms"] = host["to_ms"]
		        elif len(turns) > 1 and turns[-2]["name"] == host["name"] and host["to_ms"] - turns[-1]["from_ms"] <= settle:
		            pass    # a late answer of the one before
		        else:
		            turns.append(dict(host))
		    names = [turn["name"] for turn in turns]
		    if names != wanted or target["hosts_cut"]:
		        print("%s by %s;" % (target["address"], " ".join("%(name)s %(from_ms).1f-%(to_ms).1f" % turn for turn in turns)), end="")
	END
	)
	same "$1: addresses that were not answered by $(printf '%s, then ' "${@:2}" | sed 's/, then $//')" "$found" ""
}
