# What is around the provider in the DNS laboratory: the parents, somebody else's name servers, the resolver, a fault proxy; sourced by dns_lib.sh.
# Verdicts of delegation, each zone below test. or example.:
#   managed   to both servers of KIND, which host it                  external  to the foreign ones only, which host it
#   mixed     to the first of KIND and a foreign one; both host it    shadow    to the foreign ones only; the provider hosts it, too
#   lame      to both servers of KIND, which do not host it

# ---- customers
customer() { # ZONE VERDICT KIND [signed]
	case $2 in managed | mixed | shadow) host "$3" "$1" "${4:-plain}" ;; esac
	delegate "$1" "$2" "$3"
}
delegate() { # ZONE VERDICT KIND: the delegation, and the foreign copy where the verdict asks for one
	local ns
	case $2 in
	managed | lame) ns="$(ns_of "$3" 1) $(ns_of "$3" 2)" ;;
	mixed) ns="$(ns_of "$3" 1) ns1.foreign.example" ;;
	external | shadow) ns="ns1.foreign.example ns2.foreign.example" ;;
	*) die "delegate: no such verdict: $2" ;;
	esac
	mkdir -p "$DNS/root/zones" "$DNS/foreign/zones"
	sed -i "/^$1 /d" "$DNS/delegations" 2>/dev/null || :
	echo "$1 $ns" >>"$DNS/delegations"
	case $2 in mixed | external | shadow) foreign_zone "$1" ;; esac
	[ ! -e "$W/pid/root" ] || root_reload
}
delegate_many() { # KIND N: z1.test .. zN.test, managed
	local i
	for ((i = 1; i <= $2; i++)); do echo "z$i.test $(ns_of "$1" 1) $(ns_of "$1" 2)"; done >>"$DNS/delegations"
	[ ! -e "$W/pid/root" ] || root_reload
}
foreign_zone() { # ZONE [FILE]: somebody else's servers host it
	mkdir -p "$DNS/foreign/zones"
	if [ -n "${2:-}" ]; then cp "$2" "$DNS/foreign/zones/$1.zone"; else zone_file ns1.foreign.example ns2.foreign.example >"$DNS/foreign/zones/$1.zone"; fi
	grep -qsx "$1 plain" "$DNS/foreign.zones" || echo "$1 plain" >>"$DNS/foreign.zones"
	if [ -e "$W/pid/foreign" ]; then
		world_zones foreign
		knot_ctl foreign reload >>"$W/log/reload" 2>&1
	fi
}

# ---- parents and foreign servers, each one Knot
world_zones() { # root|foreign
	zones_of "$1" | awk 'NR == 1 { print "zone:" } { printf "  - domain: \"%s\"\n    file: \"%s.zone\"\n", $1, $1 == "." ? "root" : $1 }' >"$DNS/$1/zones.conf"
}
world_conf() { # NAME SERVER..
	knot_conf "$@"
	cat <<-END
		template:
		  - id: default
		    storage: "$DNS/$1/zones"
		    zonefile-sync: -1
		    zonefile-load: whole
		    journal-content: none
		include: "$DNS/$1/zones.conf"
	END
}
soa() { printf '$TTL 86400\n@ SOA a-root. hostmaster.a-root. %s 7200 900 1209600 60\n@ NS %s\n' "$1" "${2:-a-root.}"; } # SERIAL [NAMESERVER]
root_zones() {
	local serial=$((++ROOT_SERIAL)) tld kind n server
	{
		soa "$serial"
		printf 'a-root A %s\na-root AAAA %s\ntest NS a-root.\nexample NS a-root.\n' "$ROOT" "$(v6 "$ROOT")"
	} >"$DNS/root/zones/root.zone"
	for tld in test example; do
		{
			soa "$serial"
			# shellcheck disable=SC2016
			[ ! -e "$DNS/delegations" ] || awk -v tld=".$tld" 'substr($1, length($1) - length(tld) + 1) == tld { for (i = 2; i <= NF; i++) print $1 ". NS " $i "." }' "$DNS/delegations"
		} >"$DNS/root/zones/$tld.zone"
	done
	cat >>"$DNS/root/zones/example.zone" <<-END
		provider NS a-root.
		foreign NS ns1.foreign
		foreign NS ns2.foreign
		ns1.foreign A $FOREIGN
		ns1.foreign AAAA $(v6 $FOREIGN)
		ns2.foreign A $FOREIGN_2
		ns2.foreign AAAA $(v6 $FOREIGN_2)
	END
	{
		soa "$serial"
		for kind in bind knot pdns; do
			n=1
			for server in "${PRIMARY[$kind]}" "${SECONDARY[$kind]}"; do
				printf 'ns%d.%s A %s\nns%d.%s AAAA %s\n' $n $kind "$server" $n $kind "$(v6 "$server")"
				n=2
			done
		done
		printf 'ftp-host 300 A 192.0.2.10\nftp-host 300 AAAA 2001:db8::10\n'
	} >"$DNS/root/zones/provider.example.zone"
}
root_reload() {
	root_zones
	knot_ctl root reload >>"$W/log/reload" 2>&1
	knot_ctl root -b zone-reload test example >>"$W/log/reload" 2>&1
}
ROOT_SERIAL=0
world_up() {
	mkdir -p "$DNS/root/zones" "$DNS/foreign/zones"
	printf '%s plain\n' . test example provider.example >"$DNS/root.zones"
	root_zones
	{
		soa 1 ns1.foreign.example.
		cat <<-END
			@ NS ns2
			ns1 A $FOREIGN
			ns1 AAAA $(v6 $FOREIGN)
			ns2 A $FOREIGN_2
			ns2 AAAA $(v6 $FOREIGN_2)
			edge.cdn 60 A 203.0.113.99
			backup A 203.0.113.98
			_spf TXT "v=spf1 ip4:203.0.113.98 -all"
		END
	} >"$DNS/foreign.text"
	foreign_zone foreign.example "$DNS/foreign.text"
	world_conf root $ROOT >"$DNS/root/knot.conf"
	world_conf foreign $FOREIGN $FOREIGN_2 >"$DNS/foreign/knot.conf"
	world_zones root
	world_zones foreign
	knot_start root
	knot_start foreign
	wait_for serves $ROOT a-root A $ROOT
	wait_for serves $FOREIGN backup.foreign.example A 203.0.113.98
}

# ---- the resolver
# It believes nothing longer than CACHE_MAX seconds (default 1); resolver_flush ZONE forgets at once.
resolver_up() {
	mkdir -p "$DNS/resolver"
	printf '. 3600000 NS a-root.\na-root. 3600000 A %s\na-root. 3600000 AAAA %s\n' $ROOT "$(v6 $ROOT)" >"$DNS/resolver/hints"
	cat >"$DNS/resolver/conf" <<-END
		server:
			verbosity: 1
			use-syslog: no
			logfile: ""
			chroot: ""
			username: ""
			pidfile: ""
			directory: "$DNS/resolver"
			num-threads: 1
			interface: $RESOLVER
			interface: $(v6 $RESOLVER)
			outgoing-interface: $RESOLVER
			outgoing-interface: $(v6 $RESOLVER)
			access-control: 0.0.0.0/0 allow
			access-control: ::/0 allow
			root-hints: "$DNS/resolver/hints"
			module-config: "iterator"
			do-not-query-localhost: no
			local-zone: "test." nodefault
			local-zone: "example." nodefault
			cache-max-ttl: ${CACHE_MAX:-1}
			cache-min-ttl: 0
			cache-max-negative-ttl: ${CACHE_MAX:-1}
			infra-host-ttl: 1
		remote-control:
			control-enable: yes
			control-interface: "$DNS/resolver/control"
			control-use-cert: no
	END
	start resolver d unbound -d -p -c "$DNS/resolver/conf"
	WAIT=30 wait_for resolves a-root A $ROOT
}
resolver_flush() { # ZONE
	in_ns d unbound-control -c "$DNS/resolver/conf" flush_zone "$1" >>"$W/log/reload" 2>&1
}

# ---- faults
# A proxy in front of one server. See tools/dns_fault.py for the faults; what passed is in $DNS/fault-NAME.seen, a line for each request.
fault_up() { # NAME LISTEN-ADDRESS SERVER [closed]: anew, without rules, and counting from 0; closed: listens when it is told to
	echo "${4:-open}" >"$DNS/fault-$1.rules"
	: >"$DNS/fault-$1.seen"
	start "fault-$1" d python3 "$TOOLS/dns_fault.py" "$DNS/fault-$1.rules" "$DNS/fault-$1.seen" "$2" "$3"
	wait_for fault_is "$1" "${4:-open}"
}
fault_is() { [ "$(awk '$2 == "-" { is = $3 } END { print is }' "$DNS/fault-$1.seen")" = "$2" ]; } # NAME open|closed
fault() { # NAME FAULT [KEY=VALUE..]: in force when it returns
	alive "fault-$1" || die "the fault proxy $1 has ended"
	echo "${@:2}" >>"$DNS/fault-$1.rules"
	case $2 in open | closed) wait_for fault_is "$1" "$2" ;; esac
}
# The server has answered such a request, whatever becomes of the answer: it has done what it was asked.
has_answered() { # NAME WHAT
	awk -v what="$2" '$3 == what { asked[$5] = 1 } $3 == "answer" && $5 in asked { found = 1 } END { exit !found }' "$DNS/fault-$1.seen"
}
requests() { # NAME WHAT: how many of these it has seen, e.g. update
	awk -v what="$2" '$3 == what { n++ } END { print n + 0 }' "$DNS/fault-$1.seen"
}
