# The hosts of eight_steps: what serves on the client and the transit server, accounts and their DNS, hooks, and our daemons; sourced after
# takeover_lib.sh, netctl_lib.sh, dns_lib.sh and dnsupdate_lib.sh.
#
#   cli    client server   nginx, MariaDB, the application; shunt-proxy, shunt-netctl     peer  control host   shunt, shunt-dnsupdate
#   tra    transit server  nginx, MariaDB, the application; shunt-netctl                  d     name servers   Knot primary, secondary, and another's
#
# Everything of a server is below $W/cli, $W/net-cli and $W/proxy, or $W/tra and $W/net-tra: a server that is wiped loses that, and its namespace.
# Hosts ask each other over mutual TLS; a certificate is called like the address that does not move.
MANAGED=(a{01..15}) EXTERNAL=(b{01..15}) # on the provider's DNS; on somebody else's, which never changes
ACCOUNTS=("${MANAGED[@]}" "${EXTERNAL[@]}")
host_of() { case $1 in a*) echo "$1-knot.example" ;; *) echo "$1-far.example" ;; esac; }
v4_of() { echo "${S4[$((10#${1:1} % ${#S4[@]}))]}"; } # half of an account's neighbours have the address, too
v6_of() { echo "${S6[$((10#${1:1} % ${#S6[@]}))]}"; }
own_address() { case $1 in cli) echo 203.0.113.5 ;; tra) echo "${T4[0]}" ;; peer) echo "${PEER4[0]}" ;; esac; }
role_of() { if [ "$1" = tra ]; then echo transit; else echo client; fi; }
side_word() { if [ "$1" = cli ]; then echo client; else echo transit; fi; }
sql() { mariadb --no-defaults -S "$W/$1/mariadb.sock" -u root -N -B -e "$2"; } # HOST STATEMENTS

# ---- DNS
zone_of() { # ACCOUNT NAMESERVER NAMESERVER
	local v4 v6
	v4=$(v4_of "$1") v6=$(v6_of "$1")
	cat <<-END
		\$TTL 3600
		@     SOA  $2. hostmaster.provider.example. 2026112601 7200 900 1209600 300
		@     NS   $2.
		@     NS   $3.
		@     300  A     $v4
		@     300  AAAA  $v6
		Www   600  A     $v4
		Www   600  AAAA  $v6
		mail       A     $v4
		@          MX    10 Mail
		@          TXT   "v=spf1 ip4:$v4 ip6:$v6 include:_spf.foreign.example -all"
		blog       CNAME www
		office     A     203.0.113.80
	END
}
zones_up() {
	local a
	for a in "${MANAGED[@]}"; do
		zone_of $a "$(ns_of knot 1)" "$(ns_of knot 2)" >"$W/zone"
		host knot "$(host_of $a)" "$(if [ $a = a01 ]; then echo signed; else echo plain; fi)" "$W/zone"
		delegate "$(host_of $a)" managed knot
	done
	for a in "${EXTERNAL[@]}"; do
		zone_of $a ns1.foreign.example ns2.foreign.example >"$W/zone"
		delegate "$(host_of $a)" external knot
		foreign_zone "$(host_of $a)" "$W/zone"
	done
	knot_up
	world_up
	CACHE_MAX=1 resolver_up
}

# ---- the servers of a side
nginx_conf() { # HOST
	local d=$W/$1 a
	cat <<-END
		daemon off; user root; worker_processes 1;
		pid $d/nginx/pid; error_log $W/log/nginx-$1 warn;
		events { worker_connections 4096; }
		http {
			access_log off; default_type text/plain; keepalive_timeout 300s; keepalive_requests 1000000; server_tokens off; proxy_read_timeout 300s;
			client_body_temp_path $d/nginx/b; proxy_temp_path $d/nginx/p; fastcgi_temp_path $d/nginx/f; uwsgi_temp_path $d/nginx/u; scgi_temp_path $d/nginx/s;
			proxy_http_version 1.1; proxy_buffering off; proxy_set_header Host \$host; proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection \$http_connection;
			add_header X-Side $(side_word "$1") always;
			server { listen 0.0.0.0:80 default_server; listen [::]:80 default_server; return 421; }
	END
	for a in "${ACCOUNTS[@]}"; do
		cat <<-END
			server {
				listen 0.0.0.0:80; listen [::]:80; server_name $(host_of $a) $a.provider.example;
				include $d/sealed/$a.con[f]; $(if ! is_real $a; then echo "if (!-f $d/open/$a) { return 503; }"; fi)
				location / { return 200 "$a $(side_word "$1")\n"; }
				location /app/ { proxy_pass http://127.0.0.1:9000; }
			}
		END
	done
	echo '}'
}
mariadb_start() { # HOST
	start "mariadb-$1" "$1" mariadbd --no-defaults --datadir="$W/$1/mariadb" --tmpdir="$W/$1/tmp" --user=root --socket="$W/$1/mariadb.sock" --pid-file="$W/$1/mariadb.pid" \
		--skip-networking --performance-schema=OFF --innodb-buffer-pool-size=16M --innodb-log-file-size=4M --innodb-flush-log-at-trx-commit=0 \
		--innodb-flush-method=nosync --key-buffer-size=1M --skip-log-bin --max-connections=300
}
servers_up() { # HOST: empty, as from the provider's image
	mkdir -p "$W/$1/nginx" "$W/$1/open" "$W/$1/sealed" "$W/$1/state" "$W/$1/tmp"
	if [ ! -e "$W/image" ]; then
		mariadb-install-db --no-defaults --datadir="$W/image" --tmpdir="$W" --auth-root-authentication-method=normal --skip-test-db --user=root --innodb-log-file-size=4M \
			--innodb-flush-method=nosync >"$W/log/install-db" 2>&1
	fi
	cp -a "$W/image" "$W/$1/mariadb"
	mariadb_start "$1"
	nginx_conf "$1" >"$W/$1/nginx/conf"
	start "nginx-$1" "$1" nginx -e "$W/log/nginx-$1" -c "$W/$1/nginx/conf" -p "$W/$1/nginx"
	start "app-$1" "$1" python3 "$E2E/eight_steps_app.py" "$(side_word "$1")" "$W/$1/mariadb.sock" 9000 "$W/app.$1"
	WAIT=90 wait_for sql "$1" 'SELECT 1'
	wait_for in_ns "$1" python3 -c 'import socket; [socket.create_connection(("127.0.0.1", p)) for p in (80, 9000)]'
}
accounts_up() { # on the client server
	local a
	for a in "${ACCOUNTS[@]}"; do
		echo "CREATE DATABASE $a; CREATE TABLE $a.w (n INT PRIMARY KEY) ENGINE=InnoDB; CREATE USER $a@'%' IDENTIFIED BY 'secret'; GRANT ALL ON $a.* TO $a@'%';"
		: >"$W/cli/open/$a"
	done >"$W/accounts.sql"
	mariadb --no-defaults -S "$W/cli/mariadb.sock" -u root <"$W/accounts.sql"
	for a in "${ACCOUNTS[@]}"; do printf '{"name":"%s","domains":["%s","*.%s"],"databases_gb":0.1}\n' $a "$(host_of $a)" "$(host_of $a)"; done >"$W/accounts.json"
	for a in "${ACCOUNTS[@]}"; do
		echo "$a $(host_of $a) $(case $a in a*) echo "${SECONDARY[knot]}" ;; *) echo $FOREIGN ;; esac) $(v4_of $a) $(v6_of $a)"
	done >"$W/accounts"
}
numbers_of() { # HOST: "account number" of everything that is stored there
	local a q=
	for a in "${ACCOUNTS[@]}"; do q+="${q:+ UNION ALL }SELECT '$a', n FROM $a.w"; done
	sql "$1" "$q" | tr '\t' ' ' | sort
}

# ---- hooks: a few accounts (all of them in the long form) move by the example hooks, the others by the few lines that cost a tenth
if [ -n "$LONG" ]; then REAL=("${ACCOUNTS[@]}"); else REAL=(a02 b02); fi
is_real() { [[ " ${REAL[*]} " = *" $1 "* ]]; }
hooks_up() {
	local h n
	mkdir "$W/hooks"
	cp "$TOP"/conf/hooks/* "$W/hooks/"
	cat >"$W/bin/enter" <<-END
		#!/bin/bash
		host=\$1
		shift
		exec setsid -w nsenter --net=/run/netns/${NS}\$host bash -c "\$*"
	END
	{
		cat <<-END
			client-shell = $W/bin/enter cli
			transit-shell = $W/bin/enter tra
			web-host = %a.provider.example
			web-url = http://127.0.0.1/
			mariadb-users = %a
			mariadb-databases = %a
		END
		for n in cli tra; do
			sed "s|^|$(side_word $n)-|" <<-END
				state = $W/$n/state
				nginx-seal = $W/$n/sealed/%a.conf
				nginx = nginx -e $W/log/nginx-$n -c $W/$n/nginx/conf -p $W/$n/nginx
				nginx-pid = $W/$n/nginx/pid
				mariadb = mariadb --no-defaults -S $W/$n/mariadb.sock -u root
				mariadb-dump = mariadb-dump --no-defaults -S $W/$n/mariadb.sock -u root
			END
		done
	} >"$W/hooks/hooks.conf"
	cat >"$W/bin/hook" <<-END
		#!/bin/bash
		set -euo pipefail
		a=\$SHUNT_ACCOUNT
		case " ${REAL[*]} " in *" \$a "*) exec $W/hooks/\$SHUNT_HOOK ;; esac
		host() { if [ "\$1" = client ]; then echo $W/cli; else echo $W/tra; fi; }
		from=\$(host \$SHUNT_FROM) to=\$(host \$SHUNT_TO)
		root() { "\$1" --no-defaults -S "\$2/mariadb.sock" -u root "\${@:3}"; }
		close() {
			rm -f \$1/open/\$a
			root mariadb \$1 -e "ALTER USER IF EXISTS \$a@'%' ACCOUNT LOCK; KILL USER \$a@'%'"
			until [ -z "\$(root mariadb \$1 -N -B -e "SELECT id FROM information_schema.processlist WHERE user = '\$a'")" ]; do read -rt 0.02 <> <(:) || :; done
		}
		open() { root mariadb \$1 -e "ALTER USER IF EXISTS \$a@'%' ACCOUNT UNLOCK" && : >\$1/open/\$a; }
		case \$SHUNT_HOOK-\$SHUNT_PHASE in
		prepare-*) [ ! -e \$to/open/\$a ] || close \$to ;;
		copy-*)
			close \$from
			{
				root mariadb-dump \$from --single-transaction --quick --databases \$a
				echo "CREATE OR REPLACE USER \$a@'%' IDENTIFIED BY 'secret' ACCOUNT LOCK; GRANT ALL ON \$a.* TO \$a@'%';"
			} | root mariadb \$to
			echo "progress 100%"
			;;
		seal-apply) close \$from && open \$to ;;
		seal-undo) close \$to && open \$from ;;
		verify-*) root mariadb \$to -N -B -e "SELECT COUNT(*) FROM \$a.w" ;;
		esac
	END
	for h in prepare copy seal verify; do ln -s hook "$W/bin/$h"; done
	chmod 755 "$W/bin/enter" "$W/bin/hook"
}

# ---- our daemons: as systemd runs them, anew 0.1 s after each end; $W/run/NAME has the number of the process
supervisor_up() {
	mkdir "$W/run"
	cat >"$W/bin/supervisor" <<-'END'
		#!/bin/bash
		file=$1
		shift
		trap 'stop=yes; kill -TERM "$pid" 2>/dev/null' TERM
		while [ -z "${stop:-}" ]; do
			"$@" &
			pid=$!
			echo $pid >"$file.new" && mv "$file.new" "$file"
			{ wait "$pid" || wait "$pid"; } 2>/dev/null
			[ -n "${stop:-}" ] || read -rt 0.1 <> <(:)
		done
		wait
		rm -f "$file"
	END
	chmod 755 "$W/bin/supervisor"
}
ready() { [ "$(grep -cs 'reason="ready"' "$W/log/$1" || :)" -gt "$2" ]; } # NAME AFTER-SO-MANY
daemon() { # NAME HOST COMMAND..
	local before
	before=$(grep -cs 'reason="ready"' "$W/log/$1" || :)
	start "$1" "$2" "$W/bin/supervisor" "$W/run/$1" "${@:3}"
	WAIT=60 wait_for ready "$1" "${before:-0}"
}
conf_up() { # HOST
	TLS=yes netctl_conf "$1" 'drain = 2'
}
PROXY_CONF="proxy { workers = 1 control = \"unix:$W/proxy/sock\" listen = \"tls://203.0.113.5:7444\" table = \"$W/proxy/table\" access-log = \"$W/access\"
  intercept = true source-transit = \"transparent\" drain = 1 listener \"web\" { port = 80 protocol = \"http\" } }
dns { control = \"unix:$W/dnsupdate.sock\" journal = \"$JOURNAL\" nameservers = { \"$(ns_of knot 1)\", \"$(ns_of knot 2)\" } ttl = 1
  zone-server { address = \"${PRIMARY[knot]}\" key-file = \"$KEYS/redir.key\" } resolvers = { \"$RESOLVER\" } }
control { state = \"$W/shunt.db\" parallel = 15 home-wait = 3 hook-timeout = 120 proxy = \"tls://203.0.113.5:7444\" netctl-client = \"tls://203.0.113.5:7443\"
  netctl-transit = \"tls://203.0.113.50:7443\" dns = \"unix:$W/dnsupdate.sock\"
  hook-prepare = \"$W/bin/prepare\" hook-copy = \"$W/bin/copy\" hook-seal = \"$W/bin/seal\" hook-verify = \"$W/bin/verify\" }"
client_daemons_up() {
	mkdir -p "$W/proxy"
	conf_up cli
	daemon proxy cli "$PROXY" -c "$W/net-cli/conf" --foreground
	daemon netctl-cli cli "$NETCTL" -c "$W/net-cli/conf" serve
}
daemons_up() {
	authority "$W/tls" "$(own_address cli)" "$(own_address tra)" "$(own_address peer)"
	supervisor_up
	client_daemons_up
	conf_up tra
	daemon netctl-tra tra "$NETCTL" -c "$W/net-tra/conf" serve
	conf_up peer
	daemon dnsupdate peer "$DNSUPDATE" -c "$W/net-peer/conf" serve
}
shunt() { in_ns peer "$SHUNT" -c "$W/net-peer/conf" "$@"; }

# ---- the client server is wiped, and comes back from the provider's image
empty() { # HOST: whoever is there is killed
	local pid pids
	pids=$(ip netns pids "$NS$1")
	for pid in $pids; do kill -KILL "$pid" 2>/dev/null || :; done
	[ -z "$pids" ]
}
wipe() { # HOST
	local name
	WAIT=60 wait_for empty "$1"
	for name in proxy "netctl-$1" "nginx-$1" "app-$1" "mariadb-$1"; do rm -f "$W/pid/$name" "$W/run/$name"; done
	ip -n "${NS}sw" link del "$1" # a namespace may linger for its last packets
	ip netns del "$NS$1"
	rm -rf "${W:?}/$1" "$W/net-$1" "$W/proxy"
}
client_network() { # as an image has it: what moves must not be there before `shunt return`
	plug cli
	in_ns cli sysctl -qw net.ipv4.conf.all.rp_filter=1
	addresses cli eth0 203.0.113.5/24 2001:db8:1::5/64
	gateway cli 203.0.113.1 2001:db8:1::1
	wait_for no_tentative cli
}
reinstalled() {
	ip netns add "${NS}cli"
	ip -n "${NS}cli" link set lo up
	client_network
	servers_up cli
	# the key went with the disk
	"$SHUNT" pki renew "$(own_address cli)" --dir "$W/tls" >>"$W/log/certificates" 2>&1 || die "$(tail -n 3 "$W/log/certificates")"
	client_daemons_up
}
