# The DNS laboratory; sourced after lib.sh:  . "$(dirname "$0")/dns_lib.sh"
# All DNS servers live in one namespace, d, each at its own addresses on lo, all on port 53: 10.53.0.N and 2001:db8:53::N (N as written).
#
#    1  root, test., example., provider.example.      11 12  BIND primary, BIND secondary          ns1. ns2.bind.provider.example
#    2  3  ns1. ns2.foreign.example, another's        21 22  Knot primary, Knot secondary          ns1. ns2.knot.provider.example
#   53  the resolver (unbound)                        31 32  PowerDNS primary, Knot secondary      ns1. ns2.pdns.provider.example
#   91 .. 93  for fault proxies                               (with PDNS_SECONDARY=bind a BIND)
#
#   dns_net                              d alone; where net_up or lab_up has been before, d is behind its router and reached from everywhere
#   customer ZONE VERDICT KIND [signed]  hosts and delegates a customer's zone (dns_world_lib.sh); or host and delegate one by one
#   bind_up, knot_up, pdns_up            what is hosted before is there at once (dns_servers_lib.sh); hosting more later works, too
#   world_up, resolver_up                parents and foreign servers; unbound
# A KIND is bind, knot or pdns. SERVER is always an address. Every name is written without its last dot.
DNS=$W/dns
KEYS=$DNS/keys
DNS_FROM=${DNS_FROM:-d} # the namespace from which questions come
ROOT=10.53.0.1 FOREIGN=10.53.0.2 FOREIGN_2=10.53.0.3 RESOLVER=10.53.0.53
declare -A PRIMARY=([bind]=10.53.0.11 [knot]=10.53.0.21 [pdns]=10.53.0.31)
declare -A SECONDARY=([bind]=10.53.0.12 [knot]=10.53.0.22 [pdns]=10.53.0.32)
API=http://10.53.0.31:8081/api/v1/servers/localhost API_KEY=lab-api-key
v6() { echo "2001:db8:53::${1##*.}"; } # SERVER: its IPv6 address

# ---- the network
dns_net() {
	local n router=
	[ "$(id -u)" = 0 ] || cannot_run "network namespaces need root"
	for n in r rt; do [ ! -e "/run/netns/$NS$n" ] || router=$n; done
	[ -n "$router" ] || NAMESPACES=()
	# lab_up makes it, too, when it comes again after a lab_down
	[[ " ${NAMESPACES[*]} " = *" d "* ]] || NAMESPACES+=(d)
	[ -e "/run/netns/${NS}d" ] || ip netns add "${NS}d" || cannot_run "no network namespace could be made here"
	ip -n "${NS}d" link set lo up
	for n in 1 2 3 11 12 21 22 31 32 53 91 92 93; do printf 'addr add 10.53.0.%s/32 dev lo\naddr add 2001:db8:53::%s/128 dev lo nodad\n' $n $n; done >"$W/addresses"
	ip -n "${NS}d" -batch "$W/addresses"
	if [ -n "$router" ]; then
		ip link add eth0 netns "${NS}d" address 02:00:00:00:00:1d type veth peer name d0 netns "$NS$router" address 02:00:00:00:00:1e
		ip -n "${NS}d" link set eth0 up
		ip -n "$NS$router" link set d0 up
		addresses d eth0 10.53.255.2/30 2001:db8:53:ff::2/126
		addresses "$router" d0 10.53.255.1/30 2001:db8:53:ff::1/126
		# known to each other: IPv6 would take a second to find out, while its link-local address is tentative
		ip -n "${NS}d" neigh add 2001:db8:53:ff::1 lladdr 02:00:00:00:00:1e dev eth0 nud permanent
		ip -n "$NS$router" neigh add 2001:db8:53:ff::2 lladdr 02:00:00:00:00:1d dev d0 nud permanent
		ip -n "${NS}d" route add default via 10.53.255.1
		ip -n "${NS}d" route add default via 2001:db8:53:ff::1
		ip -n "$NS$router" route add 10.53.0.0/24 via 10.53.255.2
		ip -n "$NS$router" route add 2001:db8:53::/64 via 2001:db8:53:ff::2
	fi
	mkdir -p "$DNS" "$KEYS"
	dns_keys
}

# ---- keys, as files in BIND's syntax, mode 0600
#   redir.key    may do everything             limited.key  may touch A and AAAA of www only (PowerDNS: nothing, unless PDNS_LIMITED=yes)
#   wrong.key    redir. with another secret    unknown.key  a name that no server knows
# redir.secret and limited.secret hold the bare secrets, api.key the key of PowerDNS's API.
key_file() { # NAME SECRET
	printf 'key "%s" { algorithm hmac-sha256; secret "%s"; };\n' "$1" "$2"
}
dns_keys() {
	openssl rand -base64 32 >"$KEYS/redir.secret"
	openssl rand -base64 32 >"$KEYS/limited.secret"
	key_file redir. "$(cat "$KEYS/redir.secret")" >"$KEYS/redir.key"
	key_file limited. "$(cat "$KEYS/limited.secret")" >"$KEYS/limited.key"
	key_file redir. "$(openssl rand -base64 32)" >"$KEYS/wrong.key"
	key_file unknown. "$(openssl rand -base64 32)" >"$KEYS/unknown.key"
	echo "$API_KEY" >"$KEYS/api.key"
}

# ---- zones
# A customer's zone as they are, relative to its origin, so that the same text serves every name.
zone_file() { # NAMESERVER NAMESERVER: on standard output
	cat <<-END
		\$TTL 3600
		@       3600  SOA   $1. hostmaster.provider.example. ${SERIAL:-2026112601} 7200 900 1209600 300
		@       86400 NS    $1.
		@       86400 NS    $2.
		@       3600  A     192.0.2.10
		@       3600  AAAA  2001:db8::10
		@       3600  MX    10 Mail
		@       3600  MX    20 backup.foreign.example.
		@       3600  TXT   "v=spf1 ip4:192.0.2.10 ip4:192.0.2.11 ip6:2001:db8::10 include:_spf.foreign.example ~all"
		@       3600  TXT   "Verification=AbCdEf"
		@       86400 CAA   0 issue "letsencrypt.org"
		Www     300   A     192.0.2.10
		Www     300   AAAA  2001:db8::10
		*       600   A     192.0.2.10
		*       600   AAAA  2001:db8::10
		Both    3600  A     192.0.2.10
		Both    3600  A     192.0.2.11
		Both    3600  AAAA  2001:db8::10
		Both    3600  AAAA  2001:db8::11
		Half    3600  A     192.0.2.10
		Half    3600  A     203.0.113.80
		only6   1800  AAAA  2001:db8::11
		soon    30    A     192.0.2.11
		Mail    7200  A     192.0.2.11
		Mail    7200  AAAA  2001:db8::11
		mail    7200  TXT   "v=spf1 ip4:192.0.2.11 ip6:2001:db8::/64 -all"
		Blog    300   CNAME Www
		shop    3600  CNAME edge.cdn.foreign.example.
		ftp     3600  CNAME ftp-host.provider.example.
		office  43200 A     203.0.113.80
		sub     86400 NS    ns1.foreign.example.
		sub     86400 NS    ns2.foreign.example.
		glued   86400 NS    ns.glued
		ns.glued 86400 A    192.0.2.10
		_sip._tcp       3600  SRV 10 20 5060 Mail
		_dmarc          3600  TXT "v=DMARC1; p=none; rua=mailto:Post@foreign.example"
		Key1._domainkey 86400 TXT ( "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAsDkZ2p1nQ8y0c1lC0JrQv7dVw9bW3y7mZ0uZkq3cY2S8h5B7uKXwRkqVQmE8LrJ4c0y1nTqM5oGf"
			"Xz9aB4dE6gH8jK0lM2nO4pQ6rS8tU0vW2xY4zA6bC8dE0fG2hI4jK6lM8nO0pQ2rS4tU6vW8xY0zA2bC4dE6fG8hI0jK2lM4nO6pQ8rS0tU2vW4xY6zA8bC0dE2fG4hI6jK8lM0nO2pQ4"
			"rS6tU8vW0xY2zA4bC6dE8fG0hI2jK4lM6nO8pQ0rS2tU4vW6xY8zA0bC2dE4fG6hI8jK0lMQIDAQAB" )
	END
}
# So many further names, host1.. hostN, each with an A of the client server: pads a zone, so that its transfer takes several messages.
many_names() { # N
	local i
	for ((i = 1; i <= $1; i++)); do printf 'host%d 3600 A 192.0.2.%d\n' $i $((10 + i % 2)); done
}

# ---- asking; whoever is there answers, if only it gets a processor
ask_dns() { # DIG-ARGUMENTS..: from $DNS_FROM
	in_ns "$DNS_FROM" dig +time=15 +tries=1 +noidnout "$@"
}
# All of a zone, sorted, one record a line, in lower case (but for what stands in quotes), without the SOA and what a signer adds.
axfr() { # SERVER ZONE [KEY-FILE]
	ask_dns +noall +comments +answer +onesoa -k "${3:-$KEYS/redir.key}" "@$1" "$2." axfr >"$W/axfr.out" || echo "; dig has failed" >>"$W/axfr.out"
	grep -q '[[:space:]]SOA[[:space:]]' "$W/axfr.out" || { echo "no transfer of $2 from $1: $(cat "$W/axfr.out")" >&2; return 1; }
	! grep '^;.*\(dig has failed\|ransfer failed\|verify\|TSIG could not\|malformed\)' "$W/axfr.out" >&2 || return 1
	awk '!NF || /^;/ || $4 ~ /^(SOA|RRSIG|NSEC|NSEC3|NSEC3PARAM|DNSKEY|CDS|CDNSKEY|TYPE65534)$/ { next }
	{
		$1 = $1
		n = split($0, part, "\"")
		line = ""
		for (i = 1; i <= n; i++) line = line (i > 1 ? "\"" : "") (i % 2 ? tolower(part[i]) : part[i])
		print line
	}' "$W/axfr.out" | sort
}
look_up() { # KDIG-ARGUMENTS..: the same with kdig, which costs a third of dig
	in_ns "$DNS_FROM" kdig +time=15 +retry=0 +noall +header +answer "$@"
}
serial() { # SERVER ZONE
	look_up +norec "@$1" "$2." SOA | awk '$4 == "SOA" { print $7 }'
}
# Values, sorted, one a line, in lower case but for what stands in quotes; nothing unless the answer is authoritative ($RESOLVED=yes: not asked for).
answer() { # SERVER NAME TYPE
	local flags=+norec
	[ "${RESOLVED:-no}" = no ] || flags=+rec
	look_up $flags "@$1" "$2." "$3" | awk -v type="$3" -v resolved="${RESOLVED:-no}" '
		/^;; Flags:/ { aa = resolved == "yes" || $0 ~ / aa[ ;]/ }
		/^;/ || $4 != type || !aa { next }
		{ sub(/^[^\t ]+[\t ]+[^\t ]+[\t ]+[^\t ]+[\t ]+[^\t ]+[\t ]+/, ""); print $0 ~ /"/ ? $0 : tolower($0) }' | sort
}
resolved() { RESOLVED=yes answer "$RESOLVER" "$@"; } # NAME TYPE: what the resolver says
ttl_of() { # SERVER NAME TYPE
	look_up +norec "@$1" "$2." "$3" | awk -v type="$3" '$4 == type && !n++ { print $2 }'
}
rcode() { # SERVER NAME TYPE: with "aa" if so, e.g. "NOERROR aa"
	look_up +norec "@$1" "$2." "$3" | awk '/ status: / { sub(/.* status: /, ""); sub(/;.*/, ""); rcode = $0 } /^;; Flags:/ { aa = $0 ~ / aa[ ;]/ } END { print rcode (aa ? " aa" : "") }'
}
# Facts to wait for.
serves() { # SERVER NAME TYPE VALUE..: these values and no others; without values: an authoritative answer without any
	local server=$1 name=$2 type=$3 found
	shift 3
	found=$(answer "$server" "$name" "$type")
	[ "$found" = "$(if [ $# -gt 0 ]; then printf '%s\n' "$@"; fi | sort)" ] || { echo "$server says: $found"; return 1; }
	[ $# -gt 0 ] || [ "${RESOLVED:-no}" = yes ] || [ -n "$(rcode "$server" "$name" "$type" | grep ' aa$')" ]
}
resolves() { # NAME TYPE VALUE..
	RESOLVED=yes serves "$RESOLVER" "$@"
}
in_step() { # KIND ZONE: the secondary has what the primary has
	local s
	s=$(serial "${PRIMARY[$1]}" "$2")
	[ -n "$s" ] && [ "$s" = "$(serial "${SECONDARY[$1]}" "$2")" ]
}
is_signed() { # SERVER ZONE
	[ -n "$(look_up +norec +dnssec "@$1" "$2." SOA | awk '$4 == "RRSIG"')" ]
}
# An UPDATE of the lines on standard input (of nsupdate), sent over TCP; fails as nsupdate does, and says what it said.
update() { # SERVER ZONE [KEY-FILE]
	local rc=0
	{ printf 'server %s\nzone %s.\n' "$1" "$2"; cat; echo send; } >"$W/nsupdate.in"
	in_ns "$DNS_FROM" nsupdate -v -t 30 -k "${3:-$KEYS/redir.key}" "$W/nsupdate.in" >"$W/nsupdate.out" 2>&1 || rc=$?
	[ $rc = 0 ] || cat "$W/nsupdate.out" >&2
	return $rc
}

. "$E2E/dns_servers_lib.sh"
. "$E2E/dns_world_lib.sh"
