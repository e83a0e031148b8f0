#!/bin/bash
# quickstart.sh - shunt's main job, run before your eyes on one Debian 12 machine.
#
# Builds shunt, then makes a network of namespaces: a visitor, a client server (nginx with the accounts alice and bob, untouched: shunt-netctl
# intercepts its visitors for shunt-proxy), a transit server (nginx of the very same configuration) and name servers: the provider's, which has
# alice's domain, and somebody else's, which has bob's. It moves both, alice by DNS and bob by the proxy alone, shows who answered whom and what
# the name servers say, takes them back, kills the proxy, moves the client server's addresses to the transit server and home again, and stays
# up for trying by hand.
# Nothing outside of the namespaces, $dir and the build directory changes; packages that are missing are installed, and none of their services
# is started.
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
visitor_ns=$name-visitor client_ns=$name-client transit_ns=$name-transit dns_ns=$name-dns net_ns=$name-net

# Addresses kept for documentation (RFC 5737, RFC 3849): they are nobody's.
visitor=203.0.113.7 client=192.0.2.10 transit=198.51.100.10
visitor6=2001:db8:7::7 client6=2001:db8:c::10 transit6=2001:db8:d::10
# In one namespace: a resolver, the root with all that is between it and the accounts' domains, the provider's name server and another's.
resolver=203.0.113.53 root_dns=203.0.113.54 provider_dns=203.0.113.55 foreign_dns=203.0.113.56

build_packages=(gcc make autoconf automake pkg-config libc6-dev libevent-dev libssl-dev libnl-route-3-dev libc-ares-dev libconfuse-dev libjansson-dev libsqlite3-dev libldns-dev libcurl4-openssl-dev)

bold='' green='' red='' grey='' plain=''
. "$top/tests/packages.sh"
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
	stop "$dir/dnsupdate.pid"
	for side in client transit; do
		stop "$dir/$side/netctl.pid"
		stop "$dir/$side/nginx.pid"
	done
	for side in resolver root provider foreign; do stop "$dir/dns/$side.pid"; done
	stop_guards
	for ns in "$visitor_ns" "$client_ns" "$transit_ns" "$dns_ns" "$net_ns"; do
		[ ! -e "/run/netns/$ns" ] || ip netns del "$ns" || true
	done
	rm -rf "$dir"
}

# ---- packages and build
install_packages() {
	local missing=() p program log
	while read -r program p; do
		command -v "$program" >/dev/null || missing+=("$p")
	done <<-END
		nginx nginx
		openssl openssl
		curl curl
		ip iproute2
		nft nftables
		knotd knot
		kdig knot-dnsutils
		unbound unbound
	END
	# Programs that are built already need no more than what they link with, and have it.
	[ -n "${SHUNT_BUILD:-}" ] || for p in "${build_packages[@]}"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	heading "Packages that are missing"
	show apt-get install "${missing[@]}"
	# The sandbox runs servers of its own; the machine's ports 53 and 80 must not find themselves served because of a quick start.
	log=$(mktemp)
	if ! install_packages_without_services "$log" "${missing[@]}"; then
		tail -n 15 "$log" >&2
		rm -f "$log"
		die "apt-get could not install the packages"
	fi
	rm -f "$log"
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
		for p in shunt shunt-proxy shunt-netctl shunt-dnsupdate; do [ -x "$built/$p" ] || die "SHUNT_BUILD=$built has no $p"; done
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
		make -j"$(nproc)" shunt shunt-proxy shunt-netctl shunt-dnsupdate' "$top" "$built" || { tail -n 20 "$log" >&2; die "the build failed; all of it is in $log"; }
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
		$dns_ns $resolver 2001:db8:5::53
	END
	for at in $root_dns $provider_dns $foreign_dns; do ip -n "$dns_ns" addr add "$at/32" dev eth0; done
}

# ---- DNS: the provider's Knot takes signed updates from shunt-dnsupdate; everybody else asks the resolver
zone() { # ORIGIN NAMESERVER [RECORD..]: a zone's file
	local origin=$1 ns=$2 file=$dir/dns/${1:-root}.zone
	shift 2
	printf '$ORIGIN %s.\n$TTL 300\n@ SOA %s. hostmaster 1 7200 900 1209600 60\n@ NS %s.\n' "$origin" "$ns" "$ns" >"$file"
	[ $# -eq 0 ] || printf '%s\n' "$@" >>"$file"
}
site_zone() { # ORIGIN NAMESERVER: a customer's
	local six_too=()
	[ -z "$six" ] || six_too=("@ AAAA $client6" "www AAAA $client6")
	zone "$1" "$2" "@ A $client" "www A $client" "${six_too[@]}" "@ MX 10 mx.elsewhere.example."
}
knot() { # NAME ADDRESS ORIGIN..: a name server of these zones; further lines of its zones from $for_zones
	local server=$1 at=$2 origin
	shift 2
	mkdir -p "$dir/dns/$server"
	{
		printf 'server:\n    rundir: %s\n    listen: %s@53\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n' "$dir/dns/$server" "$at"
		printf 'log:\n  - target: stderr\n    any: info\ndatabase:\n    storage: %s\n    journal-db-max-size: 16M\n%s' "$dir/dns/$server" "${for_keys:-}"
		echo zone:
		for origin; do
			printf '  - domain: %s.\n    file: %s\n    zonefile-sync: -1\n    journal-content: changes\n%s' "$origin" "$dir/dns/${origin:-root}.zone" "${for_zones:-}"
		done
	} >"$dir/dns/$server.conf"
	in_background dns "$dir/dns/$server" knotd -c "$dir/dns/$server.conf"
}
in_background() { # SIDE FILES COMMAND..: FILES.pid and FILES.log are its
	local ns=$name-$1 files=$2
	shift 2
	setsid ip netns exec "$ns" "$@" >>"$files.log" 2>&1 </dev/null 9>&- &
	echo $! >"$files.pid"
}
says() { [ -n "$("$dir/kdig" +short "@$1" "$2" "$3")" ]; }
name_servers() {
	local secret keys
	mkdir -p "$dir/dns"
	zone '' a.root "a.root A $root_dns" "example NS a.root."
	zone example a.root "provider NS a.root." "elsewhere NS a.root." "alice NS ns1.provider" "bob NS ns1.elsewhere"
	zone provider.example a.root "ns1 A $provider_dns"
	zone elsewhere.example a.root "ns1 A $foreign_dns" "mx A $foreign_dns"
	site_zone alice.example ns1.provider.example
	site_zone bob.example ns1.elsewhere.example
	knot root $root_dns '' example provider.example elsewhere.example
	knot foreign $foreign_dns bob.example
	secret=$(openssl rand -base64 32)
	printf -v keys '%s\n' key: "  - id: shunt" "    algorithm: hmac-sha256" "    secret: $secret" acl: "  - id: shunt" "    key: shunt" \
		"    action: [ transfer, update ]" "    update-type: [ A, AAAA, TXT ]"
	for_keys=$keys for_zones=$'    acl: shunt\n' knot provider $provider_dns alice.example
	(umask 077; printf 'key "shunt" { algorithm hmac-sha256; secret "%s"; };\n' "$secret" >"$dir/dns/shunt.key")
	# It believes nothing for longer than a second, so that nobody here has to wait for a TTL.
	echo ". NS a.root.
a.root. A $root_dns" >"$dir/dns/hints"
	cat >"$dir/dns/resolver.conf" <<-END
		server:
			use-syslog: no
			logfile: ""
			chroot: ""
			username: ""
			pidfile: ""
			directory: "$dir/dns"
			num-threads: 1
			interface: $resolver
			outgoing-interface: $resolver
			do-ip6: no
			access-control: 0.0.0.0/0 allow
			root-hints: "$dir/dns/hints"
			module-config: "iterator"
			local-zone: "example." nodefault
			cache-max-ttl: 1
			cache-max-negative-ttl: 1
		remote-control:
			control-enable: no
	END
	in_background dns "$dir/dns/resolver" unbound -d -p -c "$dir/dns/resolver.conf"
	wait_for 30 says $provider_dns alice.example A || { cat "$dir/dns/provider.log" >&2; die "the provider's name server did not start"; }
	wait_for 30 says $resolver alice.example A && wait_for 30 says $resolver bob.example A || { cat "$dir"/dns/*.log >&2; die "the names do not resolve"; }
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
	# The pages exist on the client server only; they are copied ahead, and once more by the copy hook.
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
		echo "dns {"
		echo "  control = \"unix:$dir/dnsupdate.sock\" journal = \"$dir/dnsupdate\""
		echo "  nameservers = { \"ns1.provider.example\" }"
		echo "  zone-server { address = \"$provider_dns\" key-file = \"$dir/dns/shunt.key\" }"
		echo "  resolvers = { \"$resolver\" }"
		echo "  ttl = 2"
		echo "}"
		echo "control {"
		echo "  state = \"$dir/control/shunt.db\""
		echo "  proxy = \"unix:$dir/proxy/control.sock\""
		echo "  dns = \"unix:$dir/dnsupdate.sock\""
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
	mkdir -p "$dir/hooks" "$dir/control" "$dir/proxy" "$dir/dnsupdate" "$dir/bin"
	chown nobody:nogroup "$dir/proxy" "$dir/dnsupdate" # whose processes they become
	chmod 750 "$dir/proxy" "$dir/control"
	chmod 700 "$dir/dnsupdate"
	install -m 755 "$built/shunt" "$built/shunt-proxy" "$built/shunt-netctl" "$built/shunt-dnsupdate" "$dir/bin/"
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
	cat >"$dir/shunt-dnsupdate" <<-END
		#!/bin/sh
		exec ip netns exec $client_ns $dir/bin/shunt-dnsupdate -c $dir/shunt.conf "\$@"
	END
	# A visitor asks the resolver where a name is; with --old he does not, and goes where it was before anybody moved.
	echo "nameserver $resolver" >"$dir/resolv.conf"
	echo "hosts: files dns" >"$dir/nsswitch.conf"
	local at=$client
	[ -z "$six" ] || at+=,[$client6]
	cat >"$dir/visit" <<-END
		#!/bin/sh
		if [ "\$1" = --old ]; then
			shift
			exec ip netns exec $visitor_ns curl -sS -m 30 --resolve '*:80:$at' --resolve '*:443:$at' --cacert $dir/cert.pem "\$@"
		fi
		exec ip netns exec $visitor_ns sh -c 'mount --bind $dir/resolv.conf /etc/resolv.conf && mount --bind $dir/nsswitch.conf /etc/nsswitch.conf &&
			exec curl -sS -m 30 --cacert $dir/cert.pem "\$@"' visit "\$@"
	END
	cat >"$dir/kdig" <<-END
		#!/bin/sh
		exec ip netns exec $visitor_ns kdig "\$@"
	END
	chmod 755 "$dir/hooks/copy" "$dir/hooks/seal" "$dir/shunt" "$dir/visit" "$dir/kdig" "$dir/netctl-client" "$dir/netctl-transit" "$dir/shunt-dnsupdate"
}
start_dnsupdate() {
	in_background client "$dir/dnsupdate" "$dir/bin/shunt-dnsupdate" -c "$dir/shunt.conf" serve
	wait_for 30 grep -q 'reason="ready"' "$dir/dnsupdate.log" || { cat "$dir/dnsupdate.log" >&2; die "shunt-dnsupdate did not start"; }
}
start_netctl() {
	local side
	for side in client transit; do
		setsid "$dir/netctl-$side" serve >"$dir/$side/netctl.log" 2>&1 </dev/null 9>&- &
		echo $! >"$dir/$side/netctl.pid"
		wait_for 30 test -S "$dir/$side/netctl.sock" || { cat "$dir/$side/netctl.log" >&2; die "shunt-netctl of the $side server did not start"; }
	done
}
start_proxy() {
	# As the systemd unit does it: nobody in particular, who may bind low ports and be handed others' packets.
	local caps=-all,+net_bind_service,+net_admin
	setsid ip netns exec "$client_ns" setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs \
		--inh-caps=$caps --ambient-caps=$caps --bounding-set=$caps \
		"$dir/bin/shunt-proxy" -c "$dir/shunt.conf" --foreground >>"$dir/proxy.log" 2>&1 </dev/null 9>&- &
	echo $! >"$dir/proxy.pid"
	wait_for 30 "$dir/shunt" --json status || { tail -n 5 "$dir/proxy.log" >&2; die "shunt-proxy does not answer"; }
}

# ---- the story
lines() { wc -l <"$1"; }
logged() { [ "$(lines "$1")" -gt "$2" ]; }
# Where the names lead: bob's to the client server for good, for his DNS is somebody else's.
alice_at=client
address_of() { # SIDE 4|6
	case $1$2 in client4) echo $client ;; client6) echo $client6 ;; transit4) echo $transit ;; transit6) echo $transit6 ;; esac
}
leads_to() { [ "$("$dir/kdig" +short "@$resolver" "$1.example" "$2")" = "$3" ]; } # ACCOUNT TYPE ADDRESS
# ask ACCOUNT SCHEME SIDE [4|6]: a visitor's request, and the evidence: where he was led, who answered, who logged it, for whom.
ask() {
	local account=$1 scheme=$2 side=$3 family=${4:-4} from=$visitor other n n_other type=A at=client answer line
	[ "$family" = 4 ] || { type=AAAA; from=$visitor6; }
	[ "$side" = client ] && other=transit || other=client
	[ "$account" = bob ] || at=$alice_at
	at=$(address_of "$at" "$family")
	wait_for 30 leads_to "$account" $type "$at" || die "the resolver does not say that $account.example is at $at"
	n=$(lines "$dir/$side/$account.log") n_other=$(lines "$dir/$other/$account.log")
	show "./visit -$family $scheme://$account.example/"
	answer=$("$dir/visit" "-$family" -w 'He went to %{remote_ip}.' "$scheme://$account.example/") || die "$scheme://$account.example/ was not answered"
	echo "$answer"
	case $answer in
	"$account's page, answered by the $side server for $from"$'\n'"He went to $at.") ;;
	*) die "expected: $account's page, answered by the $side server for $from, who went to $at" ;;
	esac
	wait_for 30 logged "$dir/$side/$account.log" "$n" || die "$dir/$side/$account.log has no line of it"
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
# record ACCOUNT SIDE: what the name server that has the domain says.
record() {
	local whose="the provider's name server" at=$provider_dns type answer
	[ "$1" = alice ] || { whose="somebody else's" at=$foreign_dns; }
	for type in A ${six:+AAAA}; do
		show "./kdig +noall +answer @$at $1.example $type    # $whose"
		answer=$("$dir/kdig" +noall +answer "@$at" "$1.example" $type)
		echo "$answer"
		answer=$(awk '{print $5}' <<<"$answer")
		[ "$answer" = "$(address_of "$2" "$([ $type = A ] && echo 4 || echo 6)")" ] || die "expected an address of the $2 server"
		ok "$1.example is at $answer, the $2 server"
	done
}
# tells WHAT COMMAND..: shows its output, which must have a line like the extended regular expression WHAT.
tells() {
	local what=$1 answer
	shift
	show "$*"
	answer=$(cd "$dir" && "$@" 9>&-) || die "$* failed"
	echo "$answer"
	grep -qE -- "$what" <<<"$answer" || die "expected a line like $what"
}
# A crowd keeps asking for both accounts from crowd_comes to crowd_leaves, and nobody may be turned away. They all know the old addresses only,
# which is what resolvers hold for as long as a record's TTL.
crowd=()
crowd_comes() {
	local account
	crowd=()
	touch "$dir/visitors-go"
	for account in alice bob; do
		rm -f "$dir/crowd.$account"
		( while [ -e "$dir/visitors-go" ]; do
			"$dir/visit" --old -o /dev/null -w '%{http_code} %{time_total}\n' "http://$account.example/" >>"$dir/crowd.$account" 2>&1 || true
			sleep 0.02
		done ) 9>&- &
		crowd+=($!)
		wait_for 30 test -s "$dir/crowd.$account" || die "the crowd gets no answers from $account"
	done
}
crowd_leaves() { # WHAT
	local account codes n slowest
	for account in alice bob; do
		n=$(lines "$dir/crowd.$account")
		wait_for 30 logged "$dir/crowd.$account" $((n + 2)) || die "$account does not answer after $1"
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
	wait_for 30 intercepts || die "the proxy does not say that it is alive"
	run ./netctl-client status

	heading "Files are copied ahead, while the accounts are in service"
	run cp -a client/www/. transit/www/

	heading "Before anything moves: whose DNS each domain is on, and whether both servers answer the same"
	tells '^ +alice\.example +managed:' ./shunt check alice
	ok "alice's domain is on the provider's DNS: her record will be changed"
	tells '^ +bob\.example +external:' ./shunt check bob
	ok "bob's is not: the proxy will forward, until he changes the record himself"

	heading "Before: the client server answers for both"
	record alice client
	record bob client
	ask_both client

	heading "alice moves to the transit server, and her record with her"
	move migrate alice
	alice_at=transit
	record alice transit
	record bob client

	heading "After: alice by the transit server, straight; bob untouched"
	ask_both transit
	[ "$("$dir/shunt" --json status alice | tr -d ' \n' | grep -c '"side":"transit"')" -eq 1 ] || die "shunt status does not say that alice is on transit"
	run ./shunt status

	heading "bob moves: his record stays, and the proxy of the client server forwards"
	move migrate bob
	record bob client
	ask bob http transit
	ask bob https transit
	tells "change the record: bob\.example A $client -> $transit" ./shunt check --stragglers bob
	ok "bob can be told what to change"

	heading "And back: the record is what it was"
	move rollback alice bob
	alice_at=client
	record alice client
	ask_both client

	heading "The proxy dies: the local services serve by themselves"
	show "kill -KILL \$(cat proxy.pid)"
	local pid
	pid=$(cat "$dir/proxy.pid")
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true # no word of the shell's about it
	ask bob http client
	wait_for 30 passes_by || die "the set alive still has elements"
	ask alice https client
	start_proxy
	wait_for 30 intercepts || die "the proxy does not intercept again"
	ok "started again, it intercepts again"

	heading "The client server is to be reinstalled: everybody moves, then its addresses"
	move migrate alice bob
	alice_at=transit
	crowd_comes
	whose_is client
	run ./netctl-transit takeover
	run ./netctl-transit confirm
	whose_is transit
	crowd_leaves "the takeover"
	ask alice https transit
	ask bob http transit
	wait_for 30 kept transit || die "the takeover's drain does not end"

	heading "It is back: its addresses come home, then the accounts"
	crowd_comes
	run ./netctl-client return
	run ./netctl-client confirm
	whose_is client
	crowd_leaves "the return"
	move rollback alice bob
	alice_at=client
	record alice client
	ask_both client
}

by_hand() {
	heading "It stays up. To try by hand:"
	cat <<-END
		  cd $dir
		  ./visit http://alice.example/                 # a visitor's request; -6 for IPv6, https works; --old: by the old address
		  ./kdig @$provider_dns alice.example A        # what the provider's name server says; $resolver is the resolver
		  ./shunt check                                 # whose DNS each domain is on
		  ./shunt migrate alice bob                     # moves; ./shunt rollback alice takes back
		  ./shunt check --stragglers                    # who still comes to the old address
		  ./shunt status                                # sides and traffic; ./shunt --json status for programs
		  ./shunt route alice.example                   # where a name goes now, and why
		  ./shunt log alice                             # who moved what when, with the evidence
		  ./shunt-dnsupdate status                      # the records that are changed; ./shunt-dnsupdate plan alice shows the next change
		  ./netctl-client status                        # the network's part; ./netctl-transit plan takeover shows a plan
		  tail -f client/*.log transit/*.log            # what each side's nginx sees
		  tail -f proxy.log proxy/access.log dnsupdate.log   # what shunt-proxy and shunt-dnsupdate do
		  ip netns exec $client_ns bash                # a shell on the client server ($transit_ns, $visitor_ns, $dns_ns)
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

keep=''
leave() {
	local rc=$? log
	trap - EXIT INT TERM HUP
	packages_interrupted
	if [ -z "$keep" ]; then
		for log in proxy dnsupdate; do
			[ $rc -ne 0 ] && [ -s "$dir/$log.log" ] || continue
			printf '\nthe last lines of shunt-%s:\n' "$log" >&2
			tail -n 20 "$dir/$log.log" >&2
		done
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
  client server   $client      $client_ns    nginx at 80 and 443, shunt-proxy, shunt-netctl, shunt-dnsupdate
  transit server  $transit   $transit_ns   nginx at 80 and 443, shunt-netctl
  name servers    $provider_dns    $dns_ns       Knot for the provider, another for bob ($foreign_dns), a resolver ($resolver)
END
network
certificates
servers
shunt_files
name_servers
start_netctl
start_dnsupdate
start_proxy
story

printf '\n%sAll %d checks held.%s\n' "$green" "$passed" "$plain"
if [ "$mode" = stay ]; then
	keep=yes
	by_hand
fi
