# The hosts of the guide, and what happens to them between its commands; sourced by guide.sh after takeover_lib.sh and dns_lib.sh. What the README
# names in <!-- guide: .. --> is below "the stage".
NAMESPACES=(ext rt sw ctl cli tra)
declare -A NS_OF=([control]=ctl [web42]=cli [transit]=tra [visitor]=ext)
HOME_OF=$W/home

# ---- hosts
host_up() { # NAME NS: a process that holds its namespaces; /etc is the machine's with changes of its own, /run and /var/lib are its own
	local name=$1 ns=$2
	mkdir -p "$HOME_OF/$name" "$W/host-$name"
	start "host-$name" "$ns" unshare -m -u sh -c '
		hostname "$1" && mount -t tmpfs none "$2" && mkdir "$2/etc" "$2/work" && mount -t overlay none -o "lowerdir=/etc,upperdir=$2/etc,workdir=$2/work" /etc &&
		mount -t tmpfs none /run && mount -t tmpfs -o size=64m none /var/lib && mkdir -p -m 755 /run/shunt /var/lib/shunt /etc/shunt &&
		chmod 755 /etc/shunt && rm -f /etc/resolv.conf && echo "nameserver $3" >/etc/resolv.conf && echo ready && exec sleep infinity' - "$name" "$W/host-$name" "$RESOLVER"
	wait_for grep -q ready "$W/log/host-$name"
}
on() { # HOST COMMAND-LINE
	nsenter -t "$(pid_of "host-$1")" -n -m -u -- env -i PATH="$W/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME="$HOME_OF/$1" LC_ALL=C TZ=UTC \
		ASAN_OPTIONS="$ASAN_OPTIONS" UBSAN_OPTIONS="$UBSAN_OPTIONS" bash -c 'cd && umask 022 && exec bash -c "$1"' - "$2" </dev/null
}
programs() {
	local p
	for p in shunt shunt-proxy shunt-netctl shunt-dnsupdate; do ln -s "$BUILD/$p" "$W/bin/$p"; done
	printf '#!/bin/bash\nLOG=%s/$(hostname) TOP=%s\n' "$W/log" "$TOP" >"$W/bin/systemctl"
	cat >>"$W/bin/systemctl" <<-'END'
		# systemctl as far as the guide needs it: units of conf/, each one process, which is up when it says so
		action=$1 signal=TERM
		shift
		while [[ ${1:-} = -* ]]; do
			[ "$1" != -s ] || { signal=$2; shift; }
			shift
		done
		gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
		down() { # UNIT SIGNAL
			local pid
			pid=$(cat "/run/$1.pid" 2>/dev/null) || return 0
			kill "-$2" "$pid" 2>/dev/null
			until gone "$pid"; do read -rt 0.02 <> <(:); done
			rm -f "/run/$1.pid"
		}
		up() { # UNIT
			local log=$LOG-$1 before command
			touch "$log"
			before=$(grep -c 'reason="ready"' "$log")
			command=$(sed -n 's|^ExecStart=/usr/sbin/||p' "$TOP/conf/$1.service")
			# shellcheck disable=SC2086
			$command >>"$log" 2>&1 </dev/null &
			echo $! >"/run/$1.pid"
			[[ $1 != *-recover ]] || { wait $!; return; }
			until [ "$(grep -c 'reason="ready"' "$log")" -gt "$before" ]; do
				! gone "$(cat "/run/$1.pid")" || { echo "Job for $1.service failed; see journalctl -u $1" >&2; exit 1; }
				read -rt 0.02 <> <(:)
			done
		}
		for unit; do
			case $action in
			enable | start) up "$unit" ;;
			stop) down "$unit" TERM ;;
			restart) down "$unit" TERM; up "$unit" ;;
			reload) kill -HUP "$(cat "/run/$unit.pid")" ;;
			kill) down "$unit" "$signal" ;;
			esac
		done
		exit 0
	END
	chmod +x "$W/bin/systemctl"
}
web_up_at() { # NS SIDE: nginx at 80 and 443 of every address; says who it is and whom it serves
	mkdir -p "$W/web-$1"
	cat >"$W/web-$1/conf" <<-END
		daemon off; master_process off; pid $W/web-$1/pid; error_log $W/log/web-$1 warn;
		events { }
		http {
			access_log $W/web-$1/access; client_max_body_size 0;
			client_body_temp_path $W/web-$1/b; proxy_temp_path $W/web-$1/p; fastcgi_temp_path $W/web-$1/f; uwsgi_temp_path $W/web-$1/u; scgi_temp_path $W/web-$1/s;
			ssl_certificate $W/cert.pem; ssl_certificate_key $W/key.pem;
			server { listen 80; listen 443 ssl; return 200 "\$host from $2, to \$remote_addr\n"; }
		}
	END
	start "web-$1" "$1" nginx -e "$W/log/web-$1" -c "$W/web-$1/conf" -p "$W/web-$1"
	wait_for in_ns "$1" curl -sf -o "$W/web-$1/up" http://127.0.0.1/
}
hosts_up() {
	local n
	[ "$(id -u)" = 0 ] || cannot_run "network namespaces need root"
	lab_defaults
	for n in "${NAMESPACES[@]}"; do
		ip netns add "$NS$n" || cannot_run "no network namespace could be made here"
		ip -n "$NS$n" link set lo up
	done
	ip -n "${NS}sw" link add br0 type bridge mcast_snooping 0
	ip -n "${NS}sw" link set br0 up
	cable ext eth0 rt ext0
	plug rt lan0
	for n in ctl cli tra; do plug $n; done
	in_ns rt sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	addresses rt ext0 203.0.113.1/24
	addresses rt lan0 192.0.2.1/24 2001:db8::1/64
	addresses ext eth0 203.0.113.10/24
	addresses ctl eth0 192.0.2.7/24 2001:db8::7/64 # both ways to the name servers
	ip -n "${NS}ctl" route add default via 2001:db8::1
	addresses cli eth0 192.0.2.2/24 192.0.2.10/24
	addresses tra eth0 192.0.2.50/24
	ip -n "${NS}ext" route add default via 203.0.113.1
	for n in ctl cli tra; do ip -n "$NS$n" route add default via 192.0.2.1; done
	certificate
	web_up_at cli "the client server"
	web_up_at tra "the transit server"
	programs
	host_up control ctl
	host_up web42 cli
	host_up transit tra
	host_up visitor ext
	wait_for no_tentative tra
	snapshot tra >"$W/before.tra"
}
# ---- DNS: alice.example is on the provider's name servers, bob.example on others
ns_of() { echo "ns$2.provider.example"; }
names_up() {
	PRIMARY[knot]=10.53.0.21 SECONDARY[knot]=10.53.0.22
	CACHE_MAX=0 dns_net
	cat >"$W/zone" <<-'END'
		$TTL 3600
		@     SOA   ns1.provider.example. hostmaster.provider.example. 2026112601 7200 900 1209600 300
		@     NS    ns1.provider.example.
		@     NS    ns2.provider.example.
		@     A     192.0.2.10
		@     MX    10 mail
		@     TXT   "v=spf1 ip4:192.0.2.10 -all"
		www   A     192.0.2.10
		mail  A     192.0.2.10
		blog  CNAME www
		shop  CNAME edge.cdn.foreign.example.
	END
	host knot alice.example plain "$W/zone"
	delegate alice.example managed knot
	delegate bob.example external knot
	eval "lab_$(declare -f root_zones)"
	root_zones() {
		lab_root_zones
		printf 'ns1 A %s\nns2 A %s\n' "${PRIMARY[knot]}" "${SECONDARY[knot]}" >>"$DNS/root/zones/provider.example.zone"
	}
	knot_up
	world_up
	CACHE_MAX=0 resolver_up
	axfr ${PRIMARY[knot]} alice.example >"$W/zone.before"
}

# ---- files of the guide: its configuration is every host's, but for role, listen and the certificate
install_file() { # PATH FILE
	local host sed
	case $1 in
	/*)
		[ "$2" = "$W/shunt.conf" ] || cp "$2" "$W/shunt.conf"
		for host in control web42 transit; do
			sed=()
			[ $host != transit ] || sed=(-e 's/role *= "client"/role = "transit"/' -e 's|listen *= "tls://192.0.2.2:7443"|listen = "tls://192.0.2.50:7443"|')
			sed -e 's/"192\.0\.2\.53"/"'"${PRIMARY[knot]}"'"/' -e 's/^netctl {/netctl { drain = 3/' -e 's/^control {/control { home-wait = 1/' -e 's/^dns {/dns { wait = 8/' "${sed[@]}" "$2" >"$W/file"
			on $host "umask 027; mkdir -p ${1%/*}; cat $W/file >$1"
		done
		;;
	*) cp "$2" "$HOME_OF/control/$1" ;;
	esac
}

# ---- the stage
hook() { # NAME BODY
	mkdir -p "$W/hooks"
	printf '#!/bin/sh\n%s\n' "$2" >"$W/hooks/$1.new"
	chmod +x "$W/hooks/$1.new"
	mv "$W/hooks/$1.new" "$W/hooks/$1"
	on control "mkdir -p /etc/shunt/hooks; cp $W/hooks/$1 /etc/shunt/hooks/$1"
}
hooks_work() {
	local h
	for h in prepare seal verify; do hook $h 'exit 0'; done
	hook copy 'echo progress 50%; sleep 0.2'
	for h in web42 transit; do
		# what a provider's monitoring would do: ask from outside
		on $h "mkdir -p /etc/shunt/hooks; printf '#!/bin/sh\nnsenter -t $(pid_of host-visitor) -n curl -sf --max-time 5 -o /dev/null http://192.0.2.10/\n' >/etc/shunt/hooks/probe; chmod +x /etc/shunt/hooks/probe"
	done
}
certificates_copied() {
	local host
	for host in control web42 transit; do
		on control "cat /etc/shunt/pki/ca.pem" >"$W/tls-ca"
		on control "cat /etc/shunt/pki/$host.pem" >"$W/tls-pem"
		on control "cat /etc/shunt/pki/$host.key" >"$W/tls-key"
		on $host "umask 077; mkdir -p /etc/shunt/tls; cat $W/tls-ca >/etc/shunt/tls/ca.pem; cat $W/tls-pem >/etc/shunt/tls/host.pem; cat $W/tls-key >/etc/shunt/tls/host.key"
	done
}
dns_key_copied() { on control "umask 077; mkdir -p /etc/shunt/dns; cat $KEYS/redir.key >/etc/shunt/dns/ns1.key"; }
visitor_comes_while_it_copies() { # is seen to wait, and it is written down what became of him
	hook copy "echo progress 50%
nsenter -t $(pid_of host-visitor) -n -m curl -s --max-time 60 -o $W/waited http://alice.example/ &
until nsenter -t $(pid_of host-web42) -n -m python3 $TOOLS/ctl.py /run/shunt/proxy.sock account '{\"name\":\"alice\"}' | grep -q '\"parked\": [1-9]'; do sleep 0.05; done
sleep 0.4"
}
disk_is_full_there() { hook copy 'echo "rsync: [receiver] write failed on \"/home/$SHUNT_ACCOUNT/photos.tar\": No space left on device (28)" >&2; exit 11'; }
transit_web_stops() { stop web-tra; }
transit_web_starts() { web_up_at tra "the transit server"; }
# $PPID is who watches over the hook, for shunt
interrupted() { hook copy 'kill -INT $(ps -o ppid= -p $PPID); sleep 5'; }
killed() { hook copy 'kill -KILL $(ps -o ppid= -p $PPID); sleep 5'; }
somebody_else_moves() { # ACCOUNT
	hook copy "touch $W/copying; while [ -e $W/copying ]; do sleep 0.05; done"
	on control "shunt migrate $1" >"$W/log/other" 2>&1 &
	echo $! >"$W/other"
	wait_for test -e "$W/copying"
}
they_are_done() {
	rm "$W/copying"
	WAIT=60 wait_for gone "$(cat "$W/other")"
	hooks_work
}
seal_cannot_be_undone() {
	hook seal '[ $SHUNT_PHASE = apply ] || { echo "nginx -t: unknown directive \"shunt\" in /etc/nginx/shunt/$SHUNT_ACCOUNT.conf:1" >&2; exit 1; }'
	hook verify 'echo "GET / is answered with 500" >&2; exit 1'
}
control_disk_full() { on control 'cat /dev/zero >/var/lib/full 2>&1 || :'; }
control_disk_free() { on control 'rm /var/lib/full'; }
dns_daemon_ends() { hook copy "$W/bin/systemctl stop shunt-dnsupdate"; }
secondary_lags() { lag knot; }
secondary_follows() { unlag knot alice.example; }
strangers_certificate() {
	on control 'cd && shunt pki init other && shunt pki issue stranger other && cp other/stranger.pem /etc/shunt/tls/host.pem && cp other/stranger.key /etc/shunt/tls/host.key' >"$W/log/stranger"
}
days_pass() { # N: the past is so many days older
	on control "sqlite3 /var/lib/shunt/shunt.db 'UPDATE clocks SET at = at - $1 * 86400000; UPDATE moves SET started = started - $1 * 86400000, changed = changed - $1 * 86400000'"
}
probe_fails() { on transit "mkdir -p /etc/shunt/hooks; printf '#!/bin/sh\necho 192.0.2.10: no route to host >&2; exit 1\n' >/etc/shunt/hooks/probe; chmod +x /etc/shunt/hooks/probe"; }
web42_dies() { on web42 'systemctl kill -s KILL shunt-proxy shunt-netctl'; }
web42_lives() { on web42 'systemctl start shunt-netctl shunt-proxy'; }
visitors_come() { # and are seen to
	counted() { on control 'shunt check --stragglers' | grep -q 'bob\.example'; }
	start visitors ext python3 "$TOOLS/kept_and_fresh.py" 192.0.2.10 bob.example
	WAIT=60 wait_for counted
}
visitors_have_lost_nothing() {
	WAIT=30 stop visitors
	say "$(cat "$W/log/visitors")"
	like "visitors" "$(cat "$W/log/visitors")" '^requests [0-9]{3,} lost 0 slow 0 '
}
refused() { # COMMAND WHY
	fails_with 1 on control "shunt --yes $1"
	like "shunt $1" "$OUT" "$2"
}
others_are_too_early() {
	refused reinstall 'accounts (is|are) still'
	refused return 'have not gone'
	refused 'relocate alice' 'return'
}
again() { # COMMAND: is already done
	like "shunt $1 again" "$(on control "shunt --yes $1" 2>&1)" already
}
web42_is_reinstalled() { # its disk and its kernel: nothing of it is left but the cable, and 192.0.2.10 is not configured
	local pid
	refused 'relocate bob' 'return'
	again reinstall
	settled
	stop web-cli
	stop host-web42 KILL
	for pid in $(ip netns pids "${NS}cli"); do kill -KILL "$pid" 2>/dev/null || :; done # who has ended meanwhile, has
	ip -n "${NS}sw" link del cli
	ip netns del "${NS}cli"
	ip netns add "${NS}cli"
	ip -n "${NS}cli" link set lo up
	plug cli
	addresses cli eth0 192.0.2.2/24
	ip -n "${NS}cli" route add default via 192.0.2.1
	web_up_at cli "the client server"
	host_up web42 cli
}
web42_has_its_files() {
	certificates_copied
	install_file /etc/shunt/shunt.conf "$W/shunt.conf"
	hooks_work
}
settled() { # what is still to come of the plans has come
	nothing_to_come() { [ -z "$(on control 'shunt status' | grep 'still to come')" ]; }
	WAIT=90 wait_for nothing_to_come
}
start_again() { on control 'shunt start' >"$W/log/start_again" 2>&1 || die "$(cat "$W/log/start_again")"; }
all_is_as_before() {
	axfr ${SECONDARY[knot]} alice.example | diff "$W/zone.before" - >"$W/diff" || die "alice's zone is not as it was: $(cat "$W/diff")"
	unchanged tra "$W/before.tra"
}
