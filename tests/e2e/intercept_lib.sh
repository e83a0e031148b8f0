# What stories about interception share; sourced after lib.sh. The kernel's side of it is shunt-netctl's, on both servers.
NETCTL=$BUILD/shunt-netctl

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
	} | MORE="netctl { interface = \"eth0\" control = \"unix:$W/netctl.sock\" journal = \"$W/netctl\" }" LISTENERS=none proxy_conf
}
netctl() { # c|t ARGUMENTS..: the transit server's configuration is the client server's, but for its role and its journal
	local ns=$1
	shift
	if [ "$ns" = c ]; then
		in_ns c "$NETCTL" -c "$W/shunt.conf" "$@"
	else
		sed "s|journal = \"$W/netctl\"|role = \"transit\" journal = \"$W/netctl-t\"|" "$W/shunt.conf" >"$W/transit.conf"
		in_ns t "$NETCTL" -c "$W/transit.conf" "$@"
	fi
}
intercept_on() { netctl c intercept on "$@" >"$W/log/intercept"; }
intercept_off() { netctl c intercept off >"$W/log/intercept"; }
# A proxy that has no processor for 800 ms is passed by, as one that hangs: that is what interception is for, but not what stories mean by it.
proxy_start() {
	start proxy c "${AHEAD[@]}" "$PROXY" -c "$W/shunt.conf" --foreground
	wait_for proxy_answers
}
is_alive() { # true|false
	[ "$(field "$(ask status)" intercept.alive)" = "$1" ]
}
# From now on the proxy speaks to the transit server as the visitor, through a tunnel between addresses that do not move.
tunnel_up() {
	addresses c eth0 192.0.2.20/24
	addresses t eth0 198.51.100.20/24
	sed -i 's/ transit-port = 81 / /; s/ transit-port = 8444 / /; s/source-transit = "proxy-v2"/source-transit = "transparent"/
		s/^netctl {/& tunnel { client = "192.0.2.20" transit = "198.51.100.20" }/' "$W/shunt.conf"
	netctl t apply reply --confirm 0 >"$W/log/reply"
	intercept_on
}
tunnel_down() {
	netctl t revert reply >"$W/log/reply"
	ip -n "${NS}c" addr del 192.0.2.20/24 dev eth0
	ip -n "${NS}t" addr del 198.51.100.20/24 dev eth0
}
