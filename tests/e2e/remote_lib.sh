# A controller on a third host; sourced after netctl_lib.sh. It asks both servers by tls:// alone, over lines of 50 ms each way (100 ms there and
# back) that can be cut:
#
#   controller (k)  198.18.1.2 === line "cli" === 198.18.1.1  router (rt)  --- client server   203.0.113.5  :7443 shunt-netctl :7444 shunt-proxy
#                   198.18.2.2 === line "tra" === 198.18.2.1               --- transit server  203.0.113.50 :7443 shunt-netctl
NAMESPACES+=(k line)
TLS=yes
LINE_MS=${LINE_MS:-50}

line() { python3 "$TOOLS/longline.py" "$W/line.sock" -- "$@"; }
neighbours() { # NS DEVICE NS DEVICE ADDRESS..: the first knows the second's, whatever becomes of the line
	local mac a
	mac=$(ip -o -n "$NS$3" link show "$4" | sed "s/.*link.ether //; s/ .*//")
	for a in "${@:5}"; do ip -n "$NS$1" neigh replace "$a" lladdr "$mac" nud permanent dev "$2"; done
}
lines_up() { # after lab_up
	local n i=0
	in_ns line sysctl -qw net.ipv6.conf.all.disable_ipv6=1
	for n in cli tra; do
		i=$((i + 1))
		cable k $n line k-$n
		cable rt l-$n line rt-$n
		in_ns k python3 "$TOOLS/longline.py" --plain $n
		in_ns rt python3 "$TOOLS/longline.py" --plain l-$n
		addresses k $n 198.18.$i.2/30
		addresses rt l-$n 198.18.$i.1/30
		neighbours k $n rt l-$n 198.18.$i.1
		neighbours rt l-$n k $n 198.18.$i.2
		ip -n "${NS}k" route add "$(own_address $n)" via 198.18.$i.1
	done
	start longline line python3 "$TOOLS/longline.py" "$W/line.sock" "$LINE_MS" cli=k-cli:rt-cli tra=k-tra:rt-tra
	wait_for grep -qx ready "$W/log/longline"
}
# The servers' configurations, with standard input as further keys of the section proxy; then the controller's, with $CONTROL in its section.
remote_conf() {
	local n
	PROXY_CONF="proxy { control = \"unix:$W/proxy/sock\" listen = \"tls://$(own_address cli):7444\" table = \"$W/proxy/table\" intercept = true
	  source-transit = \"transparent\" listener \"web\" { port = 80 protocol = \"http\" } $(cat) }"
	# in the middle of a takeover: what $W/cut says is done to a line
	cat >"$W/bin/probe" <<-END
		#!/usr/bin/env bash
		[ ! -e "$W/cut" ] || { python3 "$TOOLS/longline.py" "$W/line.sock" -- \$(cat "$W/cut") && rm "$W/cut"; }
	END
	chmod 755 "$W/bin/probe"
	for n in cli tra; do netctl_conf $n 'drain = 2' "hook-probe = \"$W/bin/probe\""; done
	mkdir -p "$W/net-k" "$W/proxy"
	{
		sed -n '/^server/,/^}/p; /^proxy/,/ }$/p' "$W/net-cli/conf" | sed '/^netctl/,$d'
		echo "control { state = \"$W/controller.db\" proxy = \"tls://$(own_address cli):7444\" netctl-client = \"tls://$(own_address cli):7443\""
		echo "  netctl-transit = \"tls://$(own_address tra):7443\" ${CONTROL:-} }"
		echo "tls { ca = \"$W/tls/ca.pem\" cert = \"$W/tls/controller.pem\" key = \"$W/tls/controller.key\" }"
	} >"$W/net-k/conf"
}
proxy_says_hello() { python3 "$TOOLS/ctl.py" "$W/proxy/sock" hello; }
proxy_there() { # starts it on the client server
	start proxy cli "$PROXY" -c "$W/net-cli/conf" --foreground
	wait_for proxy_says_hello
}
shunt() { in_ns k "$SHUNT" -c "$W/net-k/conf" --yes "$@"; }
# A second shunt beside, in the background; its output is $W/log/NAME, its exit code $W/NAME.rc
shunt_start() { # NAME ARGUMENTS..
	local name=$1
	shift
	rm -f "$W/$name.rc" "$W/log/$name"
	start "$name" k bash -c '"$@"; echo $? >"'"$W/$name.rc"'.new" && mv "'"$W/$name.rc"'.new" "'"$W/$name.rc"'"' - "$SHUNT" -c "$W/net-k/conf" --yes "$@"
}
rc_of() { cat "$W/$1.rc"; }
over() { [ -e "$W/$1.rc" ]; }
# What the proxy itself says, asked on its own host: "client open"
state_of() {
	python3 "$TOOLS/ctl.py" "$W/proxy/sock" account "{\"name\":\"$1\"}" |
		python3 -c 'import json, sys; a = json.load(sys.stdin)["account"]; print(a["side"], a["gate"])'
}
states() { # of all accounts: "a0 client open" each
	python3 "$TOOLS/ctl.py" "$W/proxy/sock" list |
		python3 -c 'import json, sys
for a in json.load(sys.stdin)["accounts"]:
    print(a["name"], a["side"], a["gate"])' | sort
}
both_agree() { # the proxy and the controller's state, of every account; nothing is on its way
	states >"$W/theirs"
	shunt --json account list | python3 -c 'import json, sys
for a in json.load(sys.stdin)["accounts"]:
    print(a["name"], a["side"], "open")' | sort >"$W/ours"
	diff "$W/theirs" "$W/ours" >"$W/diff" || die "$1: the proxy (<) and the controller (>): $(cat "$W/diff")"
}
get() { # NAME: "host server-address visitor", or the status of a refusal
	in_ns ext curl -s --max-time "${MAX:-10}" --noproxy '*' -w ' %{http_code}' -H "Host: $1" "http://${S4[0]}/" | tr -d '\n' |
		awk '{print $NF == 200 ? $1 " " $2 " " $3 : $NF}'
}
# ---- commands that meet a cut line
# SHUNT_TEST_RUN of a command: at the point $PAUSE_AT ("holding before") it waits for $W/go.
pause_up() {
	mkfifo "$W/never"
	cat >"$W/bin/pause" <<-END
		#!/usr/bin/env bash
		[ "\$*" = "\$PAUSE_AT" ] || exit 0
		touch "$W/at.\$PAUSE_NAME"
		until [ -e "$W/go" ]; do read -rt 0.05 <>"$W/never" || :; done
	END
	chmod 755 "$W/bin/pause"
}
paused() { [ -e "$W/at.$1" ]; }
pause() { # NAME "POINT WHEN" SHUNT-ARGUMENTS..: a shunt in the background that will come to this point, and wait there until `go`
	local name=$1 point=$2
	shift 2
	rm -f "$W/at.$name" "$W/go"
	PAUSE_NAME=$name PAUSE_AT=$point SHUNT_TEST_RUN=$W/bin/pause shunt_start "$name" "$@"
}
go() { touch "$W/go"; }
all() { # COMMAND NAME..: for each of the names
	local command=$1 name
	shift
	for name; do "$command" "$name" || return 1; done
}
