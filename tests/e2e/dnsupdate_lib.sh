# shunt-dnsupdate in the DNS laboratory; sourced after dns_lib.sh:  . "$(dirname "$0")/dnsupdate_lib.sh"
# One configuration for the three kinds of servers: their primaries are zone-servers, and all of their name servers are the provider's.
#
#   dns_conf [LINE..]         writes $W/shunt.conf; further lines go into the dns section
#   accounts ACCOUNT:DOMAIN,DOMAIN.. ..     writes $W/accounts.json
#   dnsupdate WORD..          the program, in namespace d; push, plan, prepare and classify know the accounts. What it said is kept for no_secret
#   told WORD..               the same with --json, and exit code 0: the object is in $TOLD
#   exits CODE WORD..         the same, expecting this exit code: both streams are in $OUT
#   exits_json CODE WORD..    the same with --json: the object is in $TOLD
#   member PATH               of $TOLD: zones.0.outcome (field of lib.sh)
#   pick EXPRESSION           lines from $TOLD, by a Python expression of them; d is the object, Z its zones: '(z["zone"], z["outcome"]) for z in Z'
#   keep NAME ZONE..          all of these zones as the servers have them, as axfr writes them: $W/NAME/primary/ZONE, $W/NAME/secondary/ZONE
#                             KIND is what stands between the last - and the next dot of the zone's name
#   unlike_each_other A B     the differences of two such directories (of kept zones)
DNSUPDATE=$BUILD/shunt-dnsupdate
JOURNAL=$W/journal
SAID=$W/said # everything the program ever printed
[ -x "$DNSUPDATE" ] || cannot_run "no shunt-dnsupdate in $BUILD: build first, or set SHUNT_BUILD"

# ZONE_SERVERS: primaries to be used (default: those of KINDS, by update); KEY: their key file; RESOLVERS: default $RESOLVER
zone_servers() {
	local server
	for server in ${ZONE_SERVERS:-$(for kind in ${KINDS:-bind pdns knot}; do echo "${PRIMARY[$kind]}"; done)}; do
		printf '  zone-server { address = "%s" key-file = "%s" }\n' "$server" "${KEY:-$KEYS/redir.key}"
	done
}
dns_conf() {
	local kind names=
	for kind in ${KINDS:-bind pdns knot}; do names="$names${names:+, }\"$(ns_of $kind 1)\", \"$(ns_of $kind 2)\""; done
	{
		cat <<-END
			server "web42" {
			  pair { client = "192.0.2.10"   transit = "198.51.100.10" }
			  pair { client = "192.0.2.11"   transit = "198.51.100.11" }
			  pair { client = "2001:db8::10" transit = "2001:db8:1::10" }
			  pair { client = "2001:db8::11" transit = "2001:db8:1::11" }
			  pair { client = "2001:db8::12" }
			}
			dns {
			  control = "unix:$W/dns.sock"
			  nameservers = { $names }
			  resolvers = { "${RESOLVERS:-$RESOLVER}" }
			  journal = "$JOURNAL"
		END
		zone_servers
		if [ $# -gt 0 ]; then printf '  %s\n' "$@"; fi
		echo '}'
	} >"${CONF:-$W/shunt.conf}"
}
accounts() {
	local a
	for a; do
		printf '{"name":"%s","domains":["%s"]}\n' "${a%%:*}" "$(sed 's/,/","/g' <<<"${a#*:}")"
	done >"$W/accounts.json"
}
dnsupdate() {
	local rc=0 began=${EPOCHREALTIME/./}
	case $1 in plan | push | prepare | classify) set -- "$@" --accounts "$W/accounts.json" ;; esac
	in_ns d "$DNSUPDATE" -c "${CONF:-$W/shunt.conf}" "$@" >"$W/dnsupdate.out" 2>"$W/dnsupdate.err" || rc=$?
	cat "$W/dnsupdate.out" "$W/dnsupdate.err" >>"$SAID"
	echo "$(date +%T.%3N) $*: exit $rc after $(((${EPOCHREALTIME/./} - began) / 1000)) ms" >>"$W/log/dnsupdate"
	if grep -E 'Sanitizer|runtime error:' "$W/dnsupdate.err" >>"$W/log/dnsupdate-sanitizer"; then cat "$W/dnsupdate.err" >>"$W/log/dnsupdate-sanitizer"; fi
	cat "$W/dnsupdate.out"
	cat "$W/dnsupdate.err" >&2
	return $rc
}
exits() { fails_with "$1" dnsupdate "${@:2}"; }
exits_json() {
	fails_with "$1" dnsupdate "${@:2}" --json
	TOLD=$(cat "$W/dnsupdate.out")
	[[ $TOLD == *"\"exit\":$1"* ]] || die "$2: no exit $1 in $TOLD"
	[ ! -s "$W/dnsupdate.err" ] || die "$2 --json says besides: $(cat "$W/dnsupdate.err")"
}
told() { exits_json 0 "$@"; }
member() { field "$TOLD" "$1"; }
pick() { # EXPRESSION
	python3 -c 'import json, sys
d = json.loads(sys.argv[1])
Z = d.get("zones")
for line in eval(sys.argv[2]): print(*line) if isinstance(line, tuple) else print(line)' "$TOLD" "$1"
}
# ---- many zones at once, by one dig each time
keep() { # NAME ZONE..
	local zone kind role dir=$W/$1
	rm -rf "$dir"
	mkdir -p "$dir/primary" "$dir/secondary"
	shift
	for zone; do
		kind=${zone##*-}
		kind=${kind%%.*}
		printf '@%s %s. axfr\n@%s %s. axfr\n' "${PRIMARY[$kind]}" $zone "${SECONDARY[$kind]}" $zone
	done >"$dir/ask"
	ask_dns +noall +comments +answer +stats +onesoa -k "$KEYS/redir.key" -f "$dir/ask" >"$dir/raw" || die "no transfer: $(cat "$dir/raw")"
	! grep '^;.*\(ransfer failed\|verify\|TSIG could not\|malformed\)' "$dir/raw" >&2 || die "a transfer went wrong"
	awk -v dir="$dir" -v primaries="${PRIMARY[*]}" '
	BEGIN { n = 0 }
	/^;; SERVER: / {
		split($3, server, "#")
		file = dir (index(" " primaries " ", " " server[1] " ") ? "/primary/" : "/secondary/") zone
		for (i = 0; i < n; i++) print line[i] >file
		close(file)
		n = 0
	}
	!NF || /^;/ { next }
	$4 == "SOA" { zone = tolower(substr($1, 1, length($1) - 1)) }
	$4 ~ /^(SOA|RRSIG|NSEC|NSEC3|NSEC3PARAM|DNSKEY|CDS|CDNSKEY|TYPE65534)$/ { next }
	{
		$1 = $1
		parts = split($0, part, "\"")
		line[n] = ""
		for (i = 1; i <= parts; i++) line[n] = line[n] (i > 1 ? "\"" : "") (i % 2 ? tolower(part[i]) : part[i])
		n++
	}' "$dir/raw"
	for zone in "$dir"/*ary/*; do sort -o "$zone" "$zone"; done
	same "zones in $dir" "$(ls "$dir/primary" | wc -l) $(ls "$dir/secondary" | wc -l)" "$# $#"
}
unlike_each_other() { diff -r "$1" "$2" || :; } # DIRECTORY DIRECTORY
# By the plan in $TOLD: $W/plan/was/ZONE and becomes/ZONE, lines as keep has them; and what zones kept in FROM become by it, in $W/plan/result/ZONE.
unfold_plan() { # FROM
	mkdir -p "$W/plan/was" "$W/plan/becomes" "$W/plan/result"
	python3 - "$TOLD" "$W/plan" "$1/primary" <<-'END'
		import json, re, sys
		def line(c, ttl, value):
		    text = f"{c['owner']} {c[ttl]} IN {c['type']} {value}"
		    return "".join(p if i % 2 else p.lower() for i, p in enumerate(re.split(r'("[^"]*")', text))) + "\n"
		def write(name, zone, lines):
		    with open(f"{sys.argv[2]}/{name}/{zone}", "w") as f: f.writelines(sorted(lines))
		for z in json.loads(sys.argv[1])["zones"]:
		    zone, changes = z["zone"][:-1], z.get("changes", [])
		    was = [line(c, "ttl", v) for c in changes for v in c["old"]]
		    becomes = [line(c, "new-ttl", v) for c in changes for v in c["new"]]
		    before = open(f"{sys.argv[3]}/{zone}").readlines()
		    lost = set(was) - set(before)
		    if lost: sys.exit(f"{zone}: the plan takes away what is not there: {lost}")
		    write("was", zone, was), write("becomes", zone, becomes), write("result", zone, sorted(set(before) - set(was)) + becomes)
	END
}
secrets() { # of all keys, one a line, into $W/secrets
	sed -n 's/.*secret "\([^"]*\)".*/\1/p' "$KEYS"/*.key | sort -u >"$W/secrets"
	[ -s "$W/secrets" ] || die "no secrets to look for"
}
no_secret() { # neither in what was said, nor in logs and journals
	secrets
	same "files in which a secret shows" "$(grep -rlFf "$W/secrets" "$SAID" "$W/log" "$JOURNAL" 2>/dev/null || :)" ""
}
