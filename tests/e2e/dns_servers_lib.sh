# The provider's name servers of the DNS laboratory; sourced by dns_lib.sh. Recipes: notifies are sent at once, transfers are not rationed.
# Each server keeps everything in $DNS/NAME (bind-primary, knot-secondary, ..), its log is $W/log/NAME. Commands: bind_rndc, knot_ctl, pdns_ctl.
ns_of() { echo "ns$2.$1.provider.example"; } # KIND 1|2
running() { [ -e "$W/pid/$1" ] && alive "$1"; }
# Zones of a server, one a line: name, signed or plain.
zones_of() { [ ! -e "$DNS/$1.zones" ] || cat "$DNS/$1.zones"; }

# ---- hosting
# The text of the zone comes from FILE, or is zone_file's. If the servers run already, returns when both serve it.
host() { # KIND ZONE [signed|plain] [FILE]
	local kind=$1 zone=$2 how=${3:-plain} file=${4:-}
	mkdir -p "$DNS/$kind-primary/zones"
	if [ -n "$file" ]; then cp "$file" "$DNS/$kind-primary/zones/$zone.zone"; else zone_file "$(ns_of "$kind" 1)" "$(ns_of "$kind" 2)" >"$DNS/$kind-primary/zones/$zone.zone"; fi
	echo "$zone $how" >>"$DNS/$kind.zones"
	[ "$kind" != pdns ] || pdns_load "$zone" "$how"
	hosted "$kind"
}
# So many zones z1.test, z2.test, .. of the usual text, as quickly as the server can.
host_many() { # KIND N [signed|plain]
	local kind=$1 n=$2 how=${3:-plain} i files=()
	mkdir -p "$DNS/$kind-primary/zones"
	for ((i = 1; i <= n; i++)); do
		files+=("$DNS/$kind-primary/zones/z$i.test.zone")
		echo "z$i.test $how"
	done >>"$DNS/$kind.zones"
	if [ "$kind" = pdns ]; then
		zone_file "$(ns_of "$kind" 1)" "$(ns_of "$kind" 2)" >"${files[0]}"
		pdns_load z1.test "$how"
		pdns_copies z1.test "$n"
	else
		# in slices: an argument list has its limit
		zone_file "$(ns_of "$kind" 1)" "$(ns_of "$kind" 2)" >"$DNS/many.zone"
		for ((i = 0; i < n; i += 1000)); do tee "${files[@]:i:1000}" <"$DNS/many.zone" >/dev/null; done
	fi
	hosted "$kind"
}
hosted() { # KIND
	running "$1-primary" || return 0
	reload_zones "$1"
	WAIT=60 wait_for settled "$1"
}
reload_zones() { # KIND
	case $1 in
	bind) bind_zones bind bind-primary primary; bind_rndc bind-primary reconfig; bind_zones bind bind-secondary secondary; bind_rndc bind-secondary reconfig ;;
	knot) knot_zones knot primary; knot_ctl knot-primary reload; knot_zones knot secondary; knot_ctl knot-secondary reload ;;
	pdns) if [ "${PDNS_SECONDARY:-knot}" = bind ]; then bind_zones pdns pdns-secondary secondary; bind_rndc pdns-secondary reconfig; else knot_zones pdns secondary; knot_ctl pdns-secondary reload; fi ;;
	esac >>"$W/log/reload" 2>&1
}
serials() { # SERVER KIND: of all its zones, by one dig
	zones_of "$2" | awk -v server="@$1" '{ print server, $1 ".", "SOA" }' >"$DNS/ask"
	ask_dns +short +norec -f "$DNS/ask"
}
settled() { # KIND: the secondary has every zone as it is, and what should be signed (the last such zone tells) is
	local zone
	serials "${PRIMARY[$1]}" "$1" >"$DNS/serials"
	[ "$(wc -l <"$DNS/serials")" = "$(zones_of "$1" | wc -l)" ] || return 1
	serials "${SECONDARY[$1]}" "$1" | cmp -s - "$DNS/serials" || return 1
	zone=$(zones_of "$1" | awk '$2 == "signed" { zone = $1 } END { print zone }')
	[ -z "$zone" ] || is_signed "${SECONDARY[$1]}" "$zone"
}
# Nothing that the primary says reaches its secondary, which stays behind until unlag.
lag() { # KIND
	in_ns d nft -f - <<-END
		table inet lag_$1 {
			chain out {
				type filter hook output priority 0;
				ip saddr ${PRIMARY[$1]} ip daddr ${SECONDARY[$1]} udp dport 53 drop
				ip saddr ${PRIMARY[$1]} ip daddr ${SECONDARY[$1]} tcp dport 53 drop
			}
		}
	END
}
unlag() { # KIND ZONE..: lets the primary speak again, and the secondary catch up with these zones
	local kind=$1 zone
	shift
	in_ns d nft delete table inet "lag_$kind"
	for zone; do
		if [ "$kind" = bind ] || [ "$kind-${PDNS_SECONDARY:-knot}" = pdns-bind ]; then bind_rndc "$kind-secondary" refresh "$zone"; else knot_ctl "$kind-secondary" zone-refresh "$zone"; fi
	done >>"$W/log/reload" 2>&1
}

# ---- BIND
bind_conf() { # KIND NAME primary|secondary
	local kind=$1 name=$2 role=$3 self=${PRIMARY[$1]}
	[ "$role" = primary ] || self=${SECONDARY[$kind]}
	mkdir -p "$DNS/$name/zones" "$DNS/$name/keys"
	{
		cat "$KEYS/redir.key" "$KEYS/limited.key"
		cat <<-END
			controls { inet $self port 953 allow { any; } keys { redir.; }; };
			logging { channel err { stderr; severity info; print-time iso8601; print-category yes; }; category default { err; }; category lame-servers { null; }; };
			dnssec-policy "lab" { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; };
			options {
				directory "$DNS/$name"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory "$DNS/$name/keys";
				listen-on port 53 { $self; }; listen-on-v6 port 53 { $(v6 "$self"); };
				recursion no; dnssec-validation no; allow-query { any; }; allow-transfer { key redir.; }; request-expire no; interface-interval 0;
				query-source address $self; notify-source $self; transfer-source $self;
				serial-query-rate 2000; tcp-clients 1000;
		END
		if [ "$role" = primary ]; then
			echo "notify explicit; also-notify { ${SECONDARY[$kind]}; }; notify-rate ${NOTIFY_RATE:-2000}; notify-delay ${NOTIFY_DELAY:-0}; transfers-out 200;"
		else
			echo "notify no; transfers-in 100; transfers-per-ns 100; masterfile-format text;"
		fi
		echo "};"
		echo "include \"$DNS/$name/zones.conf\";"
	} >"$DNS/$name/named.conf"
	{
		cat "$KEYS/redir.key"
		echo "options { default-key \"redir.\"; default-server $self; default-port 953; };"
	} >"$DNS/$name/rndc.conf"
	bind_zones "$kind" "$name" "$role"
}
bind_zones() { # KIND NAME primary|secondary
	zones_of "$1" | awk -v role="$3" -v primary="${PRIMARY[$1]}" '{
		if (role == "secondary")
			printf "zone \"%s\" { type secondary; primaries { %s key redir.; }; file \"zones/%s.copy\"; };\n", $1, primary, $1
		else
			printf "zone \"%s\" { type primary; file \"zones/%s.zone\"; update-policy { grant redir. zonesub ANY; grant limited. name www.%s. A AAAA; };%s };\n", \
				$1, $1, $1, $2 == "signed" ? " dnssec-policy lab; inline-signing no; key-directory \"keys\";" : ""
	}' >"$DNS/$2/zones.conf"
}
bind_rndc() { # NAME COMMAND..
	in_ns d rndc -c "$DNS/$1/rndc.conf" "${@:2}"
}
bind_start() { # NAME
	start "$1" d named -g -n 2 -c "$DNS/$1/named.conf"
}
bind_up() {
	bind_conf bind bind-primary primary
	bind_conf bind bind-secondary secondary
	bind_start bind-primary
	wait_for grep -q ' running$' "$W/log/bind-primary"
	bind_start bind-secondary
	wait_for grep -q ' running$' "$W/log/bind-secondary"
	WAIT=60 wait_for settled bind
}

# ---- Knot
knot_conf() { # NAME SERVER..: the part that all Knot servers share, zones come in a file of their own
	local name=$1 listen=() a
	shift
	mkdir -p "$DNS/$name/zones" "$DNS/$name/run" "$DNS/$name/db"
	for a; do listen+=("${listen:+, }\"$a@53\", \"$(v6 "$a")@53\""); done
	cat <<-END
		server:
		    rundir: "$DNS/$name/run"
		    udp-workers: 1
		    tcp-workers: 2
		    background-workers: 16
		    listen: [ ${listen[*]} ]
		log:
		  - target: stderr
		    any: info
		database:
		    storage: "$DNS/$name/db"
		    journal-db-max-size: 1G
	END
}
knot_keys() {
	cat <<-END
		key:
		  - id: redir.
		    algorithm: hmac-sha256
		    secret: $(cat "$KEYS/redir.secret")
		  - id: limited.
		    algorithm: hmac-sha256
		    secret: $(cat "$KEYS/limited.secret")
	END
}
knot_primary_conf() {
	knot_conf knot-primary "${PRIMARY[knot]}"
	knot_keys
	cat <<-END
		remote:
		  - id: secondary
		    address: ${SECONDARY[knot]}@53
		    via: ${PRIMARY[knot]}
		acl:
		  - id: all
		    key: redir.
		    action: [ update, transfer ]
		  - id: one
		    key: limited.
		    action: update
		    update-type: [ A, AAAA ]
		    update-owner: name
		    update-owner-match: equal
		    update-owner-name: [ www ]
		policy:
		  - id: lab
		    algorithm: ecdsap256sha256
		    single-type-signing: on
		template:
		  - id: default
		    storage: "$DNS/knot-primary/zones"
		    file: "%s.zone"
		    acl: [ all, one ]
		    notify: secondary
		    zonefile-sync: -1
		    zonefile-load: difference
		    journal-content: changes
		include: "$DNS/knot-primary/zones.conf"
	END
}
knot_secondary_conf() { # knot|pdns
	knot_conf "$1-secondary" "${SECONDARY[$1]}"
	knot_keys
	cat <<-END
		remote:
		  - id: primary
		    address: ${PRIMARY[$1]}@53
		    via: ${SECONDARY[$1]}
		    key: redir.
		acl:
		  - id: notify
		    address: [ 10.53.0.0/24, 2001:db8:53::/64 ]
		    action: notify
		  - id: signed-notify
		    key: redir.
		    action: [ notify, transfer ]
		template:
		  - id: default
		    storage: "$DNS/$1-secondary/zones"
		    file: "%s.copy"
		    master: primary
		    acl: [ notify, signed-notify ]
		    zonefile-sync: -1
		    zonefile-load: none
		    journal-content: none
		include: "$DNS/$1-secondary/zones.conf"
	END
}
knot_zones() { # KIND primary|secondary
	zones_of "$1" | awk -v role="$2" 'NR == 1 { print "zone:" }
	{ printf "  - domain: \"%s\"\n", $1; if (role == "primary" && $2 == "signed") print "    dnssec-signing: on\n    dnssec-policy: lab" }' >"$DNS/$1-$2/zones.conf"
}
knot_ctl() { # NAME COMMAND..
	knotc -c "$DNS/$1/knot.conf" "${@:2}"
}
knot_start() { # NAME
	start "$1" d knotd -c "$DNS/$1/knot.conf"
	wait_for knot_ctl "$1" status
}
knot_up() {
	knot_primary_conf >"$DNS/knot.conf.new" && mv "$DNS/knot.conf.new" "$DNS/knot-primary/knot.conf"
	knot_secondary_conf knot >"$DNS/knot.conf.new" && mv "$DNS/knot.conf.new" "$DNS/knot-secondary/knot.conf"
	knot_zones knot primary
	knot_zones knot secondary
	knot_start knot-primary
	knot_start knot-secondary
	WAIT=60 wait_for settled knot
}

# ---- PowerDNS: its database is made with the first zone, before the server starts
pdns_sql() { sqlite3 -bail "$DNS/pdns-primary/db" ".timeout 30000" "$@"; }
pdns_util() { in_ns d pdnsutil --config-dir="$DNS/pdns-primary" "$@" >>"$W/log/pdnsutil" 2>&1; }
pdns_ctl() { in_ns d pdns_control --config-dir="$DNS/pdns-primary" "$@"; }
pdns_conf() {
	local limited=
	[ ! -e "$DNS/pdns-primary/pdns.conf" ] || return 0
	mkdir -p "$DNS/pdns-primary/zones" "$DNS/pdns-primary/run"
	# Which names a key may touch can only be said in Lua, which then decides alone. What it forbids is left out of an update in silence: NOERROR.
	[ "${PDNS_LIMITED:-no}" = no ] || limited="lua-dnsupdate-policy-script=$DNS/pdns-primary/policy.lua"
	cat >"$DNS/pdns-primary/policy.lua" <<-'END'
		function updatepolicy(input)
		  local signed, key = pcall(function() return input:getTsigName():toString() end)
		  if not signed then return false end
		  if key == "redir." then return true end
		  return key == "limited." and input:getQName():toString():lower():find("^www%.") ~= nil
		end
	END
	cat >"$DNS/pdns-primary/pdns.conf" <<-END
		launch=gsqlite3
		gsqlite3-database=$DNS/pdns-primary/db
		gsqlite3-dnssec=yes
		gsqlite3-pragma-synchronous=0
		local-address=${PRIMARY[pdns]}, $(v6 "${PRIMARY[pdns]}")
		query-local-address=${PRIMARY[pdns]}, $(v6 "${PRIMARY[pdns]}")
		socket-dir=$DNS/pdns-primary/run
		zone-cache-refresh-interval=0
		cache-ttl=0
		query-cache-ttl=0
		negquery-cache-ttl=0
		primary=yes
		only-notify=${SECONDARY[pdns]}
		also-notify=${SECONDARY[pdns]}
		allow-axfr-ips=
		dnsupdate=yes
		allow-dnsupdate-from=0.0.0.0/0, ::/0
		api=yes
		api-key=$API_KEY
		webserver=yes
		webserver-address=${PRIMARY[pdns]}
		webserver-port=8081
		webserver-allow-from=0.0.0.0/0, ::/0
		loglevel=5
		security-poll-suffix=
		$limited
	END
	sqlite3 "$DNS/pdns-primary/db" ".read /usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql" "INSERT INTO tsigkeys(name, algorithm, secret) VALUES
		('redir', 'hmac-sha256', '$(cat "$KEYS/redir.secret")'), ('limited', 'hmac-sha256', '$(cat "$KEYS/limited.secret")')"
}
pdns_load() { # ZONE signed|plain
	pdns_conf
	pdns_util load-zone "$1" "$DNS/pdns-primary/zones/$1.zone"
	pdns_sql "UPDATE domains SET type = 'MASTER' WHERE name = '$1';
		INSERT INTO domainmetadata(domain_id, kind, content) SELECT id, m.column1, m.column2 FROM domains,
		(VALUES ('TSIG-ALLOW-DNSUPDATE', 'redir'), ('SOA-EDIT-DNSUPDATE', 'INCREASE'), ('NOTIFY-DNSUPDATE', '1'),
		('TSIG-ALLOW-AXFR', 'redir'), ('SOA-EDIT-API', 'INCREASE')) m WHERE name = '$1'"
	[ "$2" = plain ] || { pdns_util secure-zone "$1" && pdns_util rectify-zone "$1"; }
}
# z2.test .. zN.test as copies of z1.test, keys included, in one transaction: pdnsutil would take minutes.
pdns_copies() { # z1.test N
	pdns_sql "BEGIN;
		CREATE TEMP TABLE copy AS WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < $2) SELECT 'z' || i || '.test' AS name FROM n WHERE i <= $2;
		INSERT INTO domains(name, type) SELECT name, 'MASTER' FROM copy;
		CREATE TEMP TABLE pair AS SELECT d.id AS new, d.name AS name, o.id AS old, o.name AS was FROM copy c JOIN domains d ON d.name = c.name JOIN domains o ON o.name = '$1';
		INSERT INTO records(domain_id, name, type, content, ttl, prio, disabled, ordername, auth)
			SELECT p.new, substr(r.name, 1, length(r.name) - length(p.was)) || p.name, type, replace(content, p.was, p.name), ttl, prio, disabled, ordername, auth
			FROM pair p JOIN records r ON r.domain_id = p.old;
		INSERT INTO domainmetadata(domain_id, kind, content) SELECT p.new, kind, content FROM pair p JOIN domainmetadata m ON m.domain_id = p.old;
		INSERT INTO cryptokeys(domain_id, flags, active, published, content) SELECT p.new, flags, active, published, content FROM pair p JOIN cryptokeys k ON k.domain_id = p.old;
		COMMIT"
}
# It resolves its zones' name servers in the midst of an update, to notify them: with the laboratory's resolver, or without any it knows at once.
pdns_start() {
	echo "nameserver $RESOLVER" >"$DNS/pdns-primary/resolv.conf"
	start pdns-primary d unshare -m sh -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$DNS/pdns-primary/resolv.conf" \
		pdns_server --config-dir="$DNS/pdns-primary" --daemon=no --guardian=no --write-pid=no --disable-syslog --log-timestamp=no
	wait_for pdns_ctl rping
}
pdns_up() {
	pdns_conf
	pdns_start
	if [ "${PDNS_SECONDARY:-knot}" = bind ]; then
		bind_conf pdns pdns-secondary secondary
		bind_start pdns-secondary
		wait_for grep -q ' running$' "$W/log/pdns-secondary"
	else
		knot_secondary_conf pdns >"$DNS/knot.conf.new" && mv "$DNS/knot.conf.new" "$DNS/pdns-secondary/knot.conf"
		knot_zones pdns secondary
		knot_start pdns-secondary
	fi
	WAIT=60 wait_for settled pdns
}
