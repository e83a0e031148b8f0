#!/bin/bash
# quickstart.sh - shunt's main job, run before your eyes on one Debian 12 machine.
#
# Builds shunt, then makes a network of namespaces: a visitor, a client server (nginx with the accounts alice and bob, untouched: shunt-netctl
# intercepts its visitors for shunt-proxy) and a transit server (nginx of the very same configuration). It migrates alice, shows who answered
# whom, rolls her back, kills the proxy, moves the client server's addresses to the transit server and home again, and stays up for trying by
# hand.
# Nothing outside of the namespaces, $dir and the build directory changes; packages that are missing are installed.
#
#   sudo conf/quickstart.sh            run, and leave the sandbox up
#   sudo conf/quickstart.sh --once     run, tear down, exit 0 when every check held
#   sudo conf/quickstart.sh --down     tear down
#
# SHUNT_SANDBOX names another sandbox (default "shunt"), SHUNT_BUILD a build directory that has the programs already.
set -Eeuo pipefail
umask 022

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
name=${SHUNT_SANDBOX:-shunt}
dir=/var/lib/$name-sandbox # not below /run, which is often mounted noexec
visitor_ns=$name-visitor client_ns=$name-client transit_ns=$name-transit net_ns=$name-net

# Addresses kept for documentation (RFC 5737, RFC 3849): they are nobody's.
visitor=203.0.113.7 client=192.0.2.10 transit=198.51.100.10
visitor6=2001:db8:7::7 client6=2001:db8:c::10 transit6=2001:db8:d::10

build_packages=(gcc make autoconf automake pkg-config libc6-dev libevent-dev libssl-dev libnl-route-3-dev libc-ares-dev libconfuse-dev libjansson-dev libsqlite3-dev libldns-dev libcurl4-openssl-dev)

bold='' green='' red='' grey='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' grey=$'\e[90m' plain=$'\e[0m'; fi

heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$grey" "$*" "$plain"; }
die() { printf '%squickstart: %s%s\n' "$red" "$*" "$plain" >&2; exit 1; }
passed=0
ok() { passed=$((passed + 1)); printf '  %sok%s  %s\n' "$green" "$plain" "$*"; }
run() { show "$*"; (cd "$dir" && "$@" 9>&-); }

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local until=$((SECONDS + $1)); shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$until" ] || return 1
		sleep 0.05
	done
}

# ---- tearing down: only what a pid file of ours names, and only if it still is that process
alive() { [ -r "/proc/$1/cmdline" ] && tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF "$dir/"; }
gone() { ! alive "$1"; }
stop() { # PIDFILE
	local pid
	pid=$(cat "$1" 2>/dev/null) || return 0
	case $pid in '' | *[!0-9]*) return 0 ;; esac
	alive "$pid" || return 0
	kill -TERM "$pid" 2>/dev/null || true
	wait_for 3 gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
	wait_for 3 gone "$pid" || true
}
# The guards of plans in force have no pid file and end by themselves in a minute: they are known by their namespace and their configuration.
stop_guards() {
	local ns pid
	for ns in "$client_ns" "$transit_ns"; do
		for pid in $(ip netns pids "$ns" 2>/dev/null || true); do
			! alive "$pid" || kill -KILL "$pid" 2>/dev/null || true
		done
	done
}
down() {
	rm -f "$dir/visitors-go"
	local side ns
	stop "$dir/proxy.pid"
	for side in client transit; do
		stop "$dir/$side/netctl.pid"
		stop "$dir/$side/nginx.pid"
	done
	stop_guards
	for ns in "$visitor_ns" "$client_ns" "$transit_ns" "$net_ns"; do
		[ ! -e "/run/netns/$ns" ] || ip netns del "$ns" || true
	done
	rm -rf "$dir"
}

# ---- packages and build
install_packages() {
	local missing=() p fresh_nginx='' policy=/usr/sbin/policy-rc.d
	for p in nginx openssl curl; do
		command -v "$p" >/dev/null || missing+=("$p")
	done
	command -v ip >/dev/null || missing+=(iproute2)
	command -v nft >/dev/null || missing+=(nftables)
	# Programs that are built already need no more than what they link with, and have it.
	[ -n "${SHUNT_BUILD:-}" ] || for p in "${build_packages[@]}"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	heading "Packages that are missing"
	show apt-get install "${missing[@]}"
	case " ${missing[*]} " in *' nginx '*) fresh_nginx=yes ;; esac
	# The sandbox runs nginx of its own; the machine's port 80 must not find itself served because of a quick start.
	[ -z "$fresh_nginx" ] || [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; made_policy=$policy; }
	local log; log=$(mktemp)
	export DEBIAN_FRONTEND=noninteractive
	if ! { apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
		tail -n 15 "$log" >&2
		rm -f "$log"
		die "apt-get could not install the packages"
	fi
	rm -f "$log"
	[ -z "$made_policy" ] || rm -f "$made_policy"
	made_policy=''
	[ -z "$fresh_nginx" ] || ! command -v systemctl >/dev/null || systemctl -q disable nginx 2>/dev/null || true
}

# The owner of the tree builds, so that no file of root's is left in it.
as_owner() {
	local uid gid
	uid=$(stat -c %u "$top") gid=$(stat -c %g "$top")
	if [ "$uid" -eq 0 ]; then "$@"; else setpriv --reuid="$uid" --regid="$gid" --clear-groups -- "$@"; fi
}
build() {
	local p
	built=${SHUNT_BUILD:-}
	if [ -n "$built" ]; then
		for p in shunt shunt-proxy shunt-netctl; do [ -x "$built/$p" ] || die "SHUNT_BUILD=$built has no $p"; done
		return
	fi
	heading "Building"
	built=$top/build-quickstart
	# A tree that is configured in place cannot be built elsewhere: use it as it is.
	[ ! -e "$top/config.status" ] || built=$top
	as_owner mkdir -p "$built"
	local log=$built/quickstart.log
	show "./autogen.sh && cd ${built#"$top"/} && ../configure CFLAGS='-O2 -g' && make"
	# shellcheck disable=SC2016 # $0 and $1 are the inner shell's
	as_owner bash -euc 'exec >"$1/quickstart.log" 2>&1 </dev/null
		cd "$0"
		[ -x configure ] && [ ! configure.ac -nt configure ] && [ ! Makefile.am -nt Makefile.in ] || ./autogen.sh
		cd "$1"
		[ -e config.status ] || "$0/configure" --disable-tests CFLAGS="-O2 -g"
		make -j"$(nproc)" shunt shunt-proxy shunt-netctl' "$top" "$built" || { tail -n 20 "$log" >&2; die "the build failed; all of it is in $log"; }
}

# ---- the network: a bridge in a namespace of its own, everybody else on it; names and addresses reach nobody outside
in_ns() { ip netns exec "$@"; }
network() {
	local ns at at6
	ip netns add "$net_ns" || die "no network namespaces here: is this root, outside of a locked-down container?"
	ip -n "$net_ns" link add br0 type bridge
	ip -n "$net_ns" link set br0 up
	while read -r ns at at6; do
		ip netns add "$ns"
		ip -n "$net_ns" link add "${ns##*-}" type veth peer name eth0 netns "$ns"
		ip -n "$net_ns" link set "${ns##*-}" master br0 up
		ip -n "$ns" link set lo up
		ip -n "$ns" link set eth0 up
		ip -n "$ns" addr add "$at/32" dev eth0
		ip -n "$ns" route add default dev eth0 src "$at"
		# Without IPv6 in the kernel the sandbox is IPv4 only.
		[ -z "$six" ] || { ip -n "$ns" addr add "$at6/128" dev eth0 nodad && ip -n "$ns" -6 route add default dev eth0 src "$at6"; }
	done <<-END
		$visitor_ns $visitor $visitor6
		$client_ns $client $client6
		$transit_ns $transit $transit6
	END
}

# ---- certificates: one authority, one certificate with both names, on both sides
certificates() {
	local log=$dir/openssl.log
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=shunt sandbox" \
		-addext "subjectAltName=DNS:alice.example,DNS:bob.example" -keyout "$dir/key.pem" -out "$dir/cert.pem" >"$log" 2>&1 ||
		{ cat "$log" >&2; die "openssl could not make a certificate"; }
	chmod 600 "$dir/key.pem"
}

# ---- nginx of one side: of every address, at 80 and 443, and it knows nothing of shunt. Both sides have the same.
nginx_conf() { # SIDE
	local side=$1 account any6=''
	[ -z "$six" ] || any6='listen [::]:80; listen [::]:443 ssl;'
	cat <<-END
		user www-data;
		worker_processes 1;
		pid $dir/$side/nginx.pid;
		error_log $dir/$side/error.log warn;
		events { worker_connections 512; }
		http {
			log_format seen '\$remote_addr "\$request" \$status \$scheme://\$host';
			ssl_certificate $dir/cert.pem;
			ssl_certificate_key $dir/key.pem;
			ssl_session_cache shared:tls:1m;
			client_body_temp_path $dir/$side/tmp; proxy_temp_path $dir/$side/tmp; fastcgi_temp_path $dir/$side/tmp;
			uwsgi_temp_path $dir/$side/tmp; scgi_temp_path $dir/$side/tmp;
	END
	for account in alice bob; do
		cat <<-END
			server {
				listen 80; listen 443 ssl; $any6
				server_name $account.example;
				set \$side "$side server";
				root $dir/$side/www/$account;
				access_log $dir/$side/$account.log seen;
				ssi on;
				if (-f \$document_root/.sealed) { return 503; }
			}
		END
	done
	echo "}"
}
servers() {
	local side account
	for side in client transit; do
		mkdir -p "$dir/$side/tmp" "$dir/$side/www/alice" "$dir/$side/www/bob"
		for account in alice bob; do : >"$dir/$side/$account.log"; done
	done
	# The pages exist on the client server only; the copy hook brings alice's to the transit server.
	for account in alice bob; do
		echo "$account's page, answered by the <!--#echo var=\"side\" --> for <!--#echo var=\"remote_addr\" encoding=\"none\" -->" \
			>"$dir/client/www/$account/index.html"
	done
	for side in client transit; do
		nginx_conf $side >"$dir/$side/nginx.conf"
		in_ns "$name-$side" nginx -c "$dir/$side/nginx.conf" 2>>"$dir/$side/error.log" 9>&- ||
			{ cat "$dir/$side/error.log" >&2; die "nginx of the $side server did not start"; }
	done
}

# ---- shunt itself
shunt_files() {
	{
		echo "server \"$name\" {"
		echo "  pair { client = \"$client\" transit = \"$transit\" }"
		[ -z "$six" ] || echo "  pair { client = \"$client6\" transit = \"$transit6\" }"
		echo "}"
		echo "proxy {"
		echo "  control = \"unix:$dir/proxy/control.sock\""
		echo "  table = \"$dir/proxy/table\""
		echo "  access-log = \"$dir/proxy/access.log\""
		echo "  intercept = true"
		echo "  source-transit = \"transparent\""
		echo "  listener \"web\"   { port = 80  protocol = \"http\" }"
		echo "  listener \"https\" { port = 443 protocol = \"tls\" }"
		echo "  drain = 5"
		echo "}"
		echo "netctl {"
		echo "  interface = \"eth0\""
		echo "  role = \"client\" control = \"unix:$dir/client/netctl.sock\" journal = \"$dir/client/netctl\""
		echo "  client = \"unix:$dir/client/netctl.sock\" transit = \"unix:$dir/transit/netctl.sock\""
		echo "  drain = 1"
		echo "}"
		echo "control {"
		echo "  state = \"$dir/control/shunt.db\""
		echo "  proxy = \"unix:$dir/proxy/control.sock\""
		echo "  hook-copy = \"$dir/hooks/copy\""
		echo "  hook-seal = \"$dir/hooks/seal\""
		echo "}"
	} >"$dir/shunt.conf"
	sed "s|role = .*|role = \"transit\" control = \"unix:$dir/transit/netctl.sock\" journal = \"$dir/transit/netctl\"|" \
		"$dir/shunt.conf" >"$dir/transit.conf"
	cat >"$dir/accounts.json" <<-'END'
		{"name": "alice", "domains": ["alice.example", "*.alice.example"], "databases_gb": 0.1}
		{"name": "bob", "domains": ["bob.example"]}
	END
	mkdir -p "$dir/hooks" "$dir/control" "$dir/proxy" "$dir/bin"
	chown nobody:nogroup "$dir/proxy"
	chmod 750 "$dir/proxy" "$dir/control"
	install -m 755 "$built/shunt" "$built/shunt-proxy" "$built/shunt-netctl" "$dir/bin/"
	cat >"$dir/hooks/copy" <<-END
		#!/bin/sh
		# The account's files go to the other side; the pause stands for its databases.
		set -eu
		cp -a "$dir/\$SHUNT_FROM/www/\$SHUNT_ACCOUNT/." "$dir/\$SHUNT_TO/www/\$SHUNT_ACCOUNT/"
		for done in 20 40 60 80 100; do sleep 0.2; echo "progress \$done%"; done
		rm -f "$dir/\$SHUNT_TO/www/\$SHUNT_ACCOUNT/.sealed"
	END
	cat >"$dir/hooks/seal" <<-END
		#!/bin/sh
		# The old side's nginx refuses the account from here on.
		set -eu
		mark="$dir/\$SHUNT_FROM/www/\$SHUNT_ACCOUNT/.sealed"
		case \$SHUNT_PHASE in apply) touch "\$mark" ;; undo) rm -f "\$mark" ;; esac
	END
	cat >"$dir/shunt" <<-END
		#!/bin/sh
		exec $dir/bin/shunt -c $dir/shunt.conf "\$@"
	END
	local side
	for side in client transit; do
		cat >"$dir/netctl-$side" <<-END
			#!/bin/sh
			exec ip netns exec $name-$side $dir/bin/shunt-netctl -c $dir/$([ $side = client ] && echo shunt || echo transit).conf "\$@"
		END
	done
	# Every name points at the client server, as the external DNS of the accounts' owners does.
	local at=$client
	[ -z "$six" ] || at+=,[$client6]
	cat >"$dir/visit" <<-END
		#!/bin/sh
		exec ip netns exec $visitor_ns curl -sS -m 30 --resolve '*:80:$at' --resolve '*:443:$at' --cacert $dir/cert.pem "\$@"
	END
	chmod 755 "$dir/hooks/copy" "$dir/hooks/seal" "$dir/shunt" "$dir/visit" "$dir/netctl-client" "$dir/netctl-transit"
}
start_netctl() {
	local side
	for side in client transit; do
		setsid "$dir/netctl-$side" serve >"$dir/$side/netctl.log" 2>&1 </dev/null 9>&- &
		echo $! >"$dir/$side/netctl.pid"
		wait_for 10 test -S "$dir/$side/netctl.sock" || { cat "$dir/$side/netctl.log" >&2; die "shunt-netctl of the $side server did not start"; }
	done
}
start_proxy() {
	# As the systemd unit does it: nobody in particular, who may bind low ports and be handed others' packets.
	local caps=-all,+net_bind_service,+net_admin
	setsid ip netns exec "$client_ns" setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs \
		--inh-caps=$caps --ambient-caps=$caps --bounding-set=$caps \
		"$dir/bin/shunt-proxy" -c "$dir/shunt.conf" --foreground >>"$dir/proxy.log" 2>&1 </dev/null 9>&- &
	echo $! >"$dir/proxy.pid"
	wait_for 10 "$dir/shunt" --json status || { tail -n 5 "$dir/proxy.log" >&2; die "shunt-proxy does not answer"; }
}

# ---- the story
lines() { wc -l <"$1"; }
logged() { [ "$(lines "$1")" -gt "$2" ]; }
# ask ACCOUNT SCHEME SIDE [4|6]: a visitor's request, and the evidence: who answered, who logged it, for whom.
ask() {
	local account=$1 scheme=$2 side=$3 from=$visitor family=(-4) other n n_other answer line
	[ "${4:-4}" = 4 ] || { family=(-6); from=$visitor6; }
	[ "$side" = client ] && other=transit || other=client
	n=$(lines "$dir/$side/$account.log") n_other=$(lines "$dir/$other/$account.log")
	show "./visit ${family[*]} $scheme://$account.example/"
	answer=$("$dir/visit" "${family[@]}" "$scheme://$account.example/") || die "$scheme://$account.example/ was not answered"
	echo "$answer"
	case $answer in "$account's page, answered by the $side server for $from") ;; *) die "expected: $account's page, answered by the $side server for $from" ;; esac
	wait_for 5 logged "$dir/$side/$account.log" "$n" || die "$dir/$side/$account.log has no line of it"
	line=$(tail -n 1 "$dir/$side/$account.log")
	case $line in "$from \"GET / "*"$scheme://$account.example") ;; *) die "expected the visitor's address, $from, at the start of the line" ;; esac
	[ "$(lines "$dir/$other/$account.log")" -eq "$n_other" ] || die "the $other server saw the request as well"
	ok "$side/$account.log: $line; nothing in $other/$account.log"
}
ask_both() { # SIDE-OF-ALICE
	ask alice http "$1"
	ask alice https "$1"
	[ -z "$six" ] || ask alice https "$1" 6
	ask bob http client
	ask bob https client
}
# A crowd keeps asking for both accounts from crowd_comes to crowd_leaves, and nobody may be turned away.
crowd=()
crowd_comes() {
	local account
	crowd=()
	touch "$dir/visitors-go"
	for account in alice bob; do
		rm -f "$dir/crowd.$account"
		( while [ -e "$dir/visitors-go" ]; do
			"$dir/visit" -o /dev/null -w '%{http_code} %{time_total}\n' "http://$account.example/" >>"$dir/crowd.$account" 2>&1 || true
			sleep 0.02
		done ) 9>&- &
		crowd+=($!)
		wait_for 10 test -s "$dir/crowd.$account" || die "the crowd gets no answers from $account"
	done
}
crowd_leaves() { # WHAT
	local account codes n slowest
	for account in alice bob; do
		n=$(lines "$dir/crowd.$account")
		wait_for 10 logged "$dir/crowd.$account" $((n + 2)) || die "$account does not answer after $1"
	done
	rm -f "$dir/visitors-go"
	wait "${crowd[@]}"
	for account in alice bob; do
		n=$(lines "$dir/crowd.$account")
		codes=$(cut -d ' ' -f 1 "$dir/crowd.$account" | sort | uniq -c | awk '{printf "%s%d answered %s", sep, $1, $2; sep = ", "}')
		slowest=$(cut -d ' ' -f 2 "$dir/crowd.$account" | sort -n | tail -n 1)
		echo "meanwhile $n requests for $account: $codes, the slowest in $slowest s"
		! grep -qv '^200 ' "$dir/crowd.$account" || die "some requests for $account were not answered 200"
	done
	ok "nobody was turned away during $1"
}
move() { # COMMAND ACCOUNT..
	crowd_comes
	run ./shunt --yes "$@"
	crowd_leaves "the move"
}

intercepts() { in_ns "$client_ns" nft list set inet shunt_intercept alive | grep -q 'ipv4'; }
passes_by() { ! intercepts; }
# whose_is SIDE: to whom the visitor's host sends what is for the client server's address.
whose_is() {
	local mac line
	mac=$(in_ns "$name-$1" cat /sys/class/net/eth0/address)
	line=$(ip -n "$visitor_ns" neigh show "$client")
	show "ip -n $visitor_ns neigh show $client"
	echo "$line"
	case $line in *" $mac "*) ok "$client is the $1 server's ($mac)" ;; *) die "expected the $1 server's $mac" ;; esac
}
kept() { [ -z "$("$dir/netctl-$1" status | grep 'still to come')" ]; }

story() {
	heading "The accounts, as the provider's panel hands them over"
	show cd "$dir"
	run cat accounts.json
	run ./shunt account import accounts.json

	heading "Interception: nginx stays as and where it is"
	run ./netctl-transit apply reply --confirm 0
	run ./netctl-client intercept on
	wait_for 10 intercepts || die "the proxy does not say that it is alive"
	run ./netctl-client status

	heading "Before: the client server answers for both"
	ask_both client
	[ "$(in_ns "$visitor_ns" curl -so /dev/null -m 10 -w '%{http_code}' -H 'Host: alice.example' "http://$transit/" || true)" = 403 ] ||
		die "the transit server has alice's page before she was moved"

	heading "alice moves to the transit server"
	move migrate alice

	heading "After: alice by the transit server, bob untouched"
	ask_both transit
	[ "$("$dir/shunt" --json status alice | tr -d ' \n' | grep -c '"side":"transit"')" -eq 1 ] || die "shunt status does not say that alice is on transit"
	run ./shunt status

	heading "And back"
	move rollback alice
	ask_both client

	heading "The proxy dies: the local services serve by themselves"
	show "kill -KILL \$(cat proxy.pid)"
	kill -KILL "$(cat "$dir/proxy.pid")"
	wait "$(cat "$dir/proxy.pid")" 2>/dev/null || true # no word of the shell's about it
	ask bob http client
	wait_for 5 passes_by || die "the set alive still has elements"
	ask alice https client
	start_proxy
	wait_for 10 intercepts || die "the proxy does not intercept again"
	ok "started again, it intercepts again"

	heading "The client server is to be reinstalled: everybody moves, then its addresses"
	move migrate alice bob
	crowd_comes
	whose_is client
	run ./netctl-transit takeover
	run ./netctl-transit confirm
	whose_is transit
	crowd_leaves "the takeover"
	ask alice https transit
	ask bob http transit
	wait_for 15 kept transit || die "the takeover's drain does not end"

	heading "It is back: its addresses come home, then the accounts"
	crowd_comes
	run ./netctl-client return
	run ./netctl-client confirm
	whose_is client
	crowd_leaves "the return"
	move rollback alice bob
	ask_both client
}

by_hand() {
	heading "It stays up. To try by hand:"
	cat <<-END
		  cd $dir
		  ./visit http://alice.example/                 # a visitor's request; -6 for IPv6, https works
		  ./shunt migrate alice bob                     # moves; ./shunt rollback alice takes back
		  ./shunt status                                # sides and traffic; ./shunt --json status for programs
		  ./shunt route alice.example                   # where a name goes now, and why
		  ./shunt log alice                             # who moved what when, with the evidence
		  ./netctl-client status                        # the network's part; ./netctl-transit plan takeover shows a plan
		  tail -f client/*.log transit/*.log            # what each side's nginx sees
		  tail -f proxy.log proxy/access.log            # what shunt-proxy does
		  ip netns exec $client_ns bash                # a shell on the client server ($transit_ns, $visitor_ns)
		  $top/conf/quickstart.sh --down
	END
}

mode=stay
case ${1:-} in
'') ;;
--once) mode=once ;;
--down) mode=down ;;
*) sed -n '2,/^set/{/^# \{0,1\}/s///p}' "${BASH_SOURCE[0]}"; [ "$1" = --help ] || exit 2; exit 0 ;;
esac
[ $# -le 1 ] || die "one option at most"
[ "$(id -u)" -eq 0 ] || die "network namespaces need root: sudo $0 $*"
case $name in *[!a-z0-9]* | '') die "SHUNT_SANDBOX: letters and digits only" ;; esac
[ "$mode" = down ] || command -v apt-get >/dev/null || die "this is for Debian 12: there is no apt-get here"

exec 9>"/run/$name-sandbox.lock"
flock -n 9 || die "another quickstart of this sandbox is running"

if [ "$mode" = down ]; then
	down
	echo "The sandbox is gone."
	exit 0
fi

made_policy='' keep=''
leave() {
	local rc=$?
	trap - EXIT INT TERM HUP
	[ -z "$made_policy" ] || rm -f "$made_policy"
	if [ -z "$keep" ]; then
		if [ $rc -ne 0 ] && [ -s "$dir/proxy.log" ]; then
			printf '\nthe last lines of shunt-proxy:\n' >&2
			tail -n 20 "$dir/proxy.log" >&2
		fi
		down
	fi
	exit $rc
}
trap leave EXIT
trap 'echo "quickstart: line $LINENO: exit $? from: $BASH_COMMAND" >&2' ERR # what no die explains
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

install_packages
build
down # an earlier sandbox
[ -d /proc/sys/net/ipv6 ] && six=yes || six=''
mkdir -p "$dir"
heading "A sandbox of network namespaces"
cat <<END
  visitor         $visitor     $visitor_ns
  client server   $client      $client_ns    nginx at 80 and 443, shunt-proxy, shunt-netctl
  transit server  $transit   $transit_ns   nginx at 80 and 443, shunt-netctl
END
network
certificates
servers
shunt_files
start_netctl
start_proxy
story

printf '\n%sAll %d checks held.%s\n' "$green" "$passed" "$plain"
if [ "$mode" = stay ]; then
	keep=yes
	by_hand
fi
