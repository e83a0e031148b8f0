# shunt-netctl in the laboratory; sourced after takeover_lib.sh.
NETCTL=$BUILD/shunt-netctl
role_of() { case $1 in cli) echo client ;; tra) echo transit ;; rt) echo router ;; esac; }
# Writes the configuration of a host; further arguments are lines of its section netctl. $PROXY_CONF is its section proxy, if any.
# Hosts ask each other over Unix sockets, or with TLS=yes over mutual TLS at their own addresses.
netctl_conf() { # HOST LINE..
	local host=$1 i line
	shift
	mkdir -p "$W/net-$host"
	{
		echo 'server "web42" {'
		for i in "${!S4[@]}"; do echo "  pair { client = \"${S4[$i]}\" transit = \"${T4[$((i % ${#T4[@]}))]}\" }"; done
		for i in "${!S6[@]}"; do echo "  pair { client = \"${S6[$i]}\" transit = \"${T6[$((i % ${#T6[@]}))]}\" }"; done
		echo '}'
		[ -z "${PROXY_CONF:-}" ] || printf '%s\n' "$PROXY_CONF"
		echo "netctl { role = \"$(role_of "$host")\" topology = \"$TOPOLOGY\" interface = \"${DEV:-eth0}\""
		echo "  control = \"unix:$W/net-$host/sock\" journal = \"$W/net-$host/journal\""
		if [ "${TLS:-no}" = yes ]; then
			echo "  listen = \"tls://$(own_address "$host"):7443\""
			echo "  client = \"tls://$(own_address cli):7443\" transit = \"tls://$(own_address tra):7443\""
		else
			echo "  client = \"unix:$W/net-cli/sock\" transit = \"unix:$W/net-tra/sock\" router = \"unix:$W/net-rt/sock\""
		fi
		for line; do echo "  $line"; done
		echo '}'
		[ "${TLS:-no}" = no ] || echo "tls { ca = \"$W/tls/ca.pem\" cert = \"$W/tls/$(own_address "$host").pem\" key = \"$W/tls/$(own_address "$host").key\" }"
	} >"$W/net-$host/conf"
}
own_address() { # HOST: one that does not move
	case $1 in cli) echo 203.0.113.5 ;; tra) echo "${T4[0]}" ;; rt) echo 203.0.113.1 ;; esac
}
readies() { grep -cs 'reason="ready"' "$W/log/netctl-$1" || :; } # HOST: how often it has begun
netctl_serve() {                                               # HOST
	local before
	before=$(readies "$1")
	start "netctl-$1" "$1" "$NETCTL" -c "$W/net-$1/conf" serve
	is_ready() { [ "$(readies "$1")" -gt "${before:-0}" ]; }
	wait_for is_ready "$1"
}
netctl_up() { # HOST LINE..
	netctl_conf "$@"
	netctl_serve "$1"
}
netctl() { # HOST COMMAND..
	local host=$1
	shift
	in_ns "$host" "$NETCTL" -c "$W/net-$host/conf" "$@"
}
in_force() { # HOST: its plans and their states, "takeover confirmed"
	netctl "$1" --json status | python3 -c 'import json, sys
for p in json.load(sys.stdin)["plans"]:
    print(p["plan"], p["state"])'
}
nothing_in_force() { [ -z "$(in_force "$1")" ]; }
is_in_force() { in_force "$1" | grep -qx "$2 $3"; } # HOST PLAN STATE
drained() { [ -z "$(netctl "$1" status | grep 'still to come')" ]; } # HOST: no stage of a plan is due any more
no_drift() { [ -z "$(netctl "$1" status | grep 'changed by somebody')" ]; }
# Traffic goes on for so many ms: what is waited for is time itself.
longer() {
	local until_ms=$(($(now_ms) + $1))
	past() { [ "$(now_ms)" -ge "$until_ms" ]; }
	wait_for past
}
