#!/usr/bin/env bash
# The samples in conf/dns are right as they stand: the commands in their comments make keys and zones, the servers start with them, the key for
# shunt may do what shunt does and no more, the secondary has a change at once, and shunt-dnsupdate pushes and undoes with the example of its own
# configuration. Only the servers' addresses, names and paths are other ones here.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dns_lib.sh"
for program in named tsig-keygen knotd keymgr pdns_server pdnsutil sqlite3 nsupdate; do
	command -v $program >/dev/null || cannot_run "$program is missing (Debian packages bind9, bind9-dnsutils, knot, pdns-server, pdns-backend-sqlite3, sqlite3)"
done
dns_net
ZONE=alice.example
DNSUPDATE=$BUILD/shunt-dnsupdate
# The host that shunt-dnsupdate runs on has its address of the samples, 203.0.113.53.
NAMESPACES+=(h)
ip netns add "${NS}h"
ip link add eth0 netns "${NS}h" type veth peer name h0 netns "${NS}d"
for n in h d; do ip -n "$NS$n" link set lo up; done
ip -n "${NS}h" link set eth0 up
ip -n "${NS}d" link set h0 up
addresses h eth0 203.0.113.53/24 2001:db8:f::53/64
addresses d h0 203.0.113.1/24 2001:db8:f::1/64
ip -n "${NS}h" route add default via 203.0.113.1
ip -n "${NS}h" route add default via 2001:db8:f::1
DNS_FROM=h

"$PROXY" -c "$TOP/conf/shunt.conf" --check >"$W/log/check" 2>&1 || die "conf/shunt.conf: $(cat "$W/log/check")"
like "conf/shunt.conf" "$("$PROXY" -c "$TOP/conf/shunt.conf" --print-config)" '^[[:space:]]*zone-server'

# ---- a sample, at home here
lived() { echo "$DNS/$1"; } # NAME: below it are etc, lib, cache, run and root
at_home() { # KIND NAME SAMPLE: on standard output
	local d
	d=$(lived "$2")
	mkdir -p "$d/etc" "$d/lib" "$d/cache" "$d/run" "$d/root"
	sed -e "s|192\.0\.2\.53|${PRIMARY[$1]}|g; s|2001:db8::53|$(v6 "${PRIMARY[$1]}")|g; s|198\.51\.100\.53|${SECONDARY[$1]}|g" \
		-e "s|2001:db8:1::53|$(v6 "${SECONDARY[$1]}")|g; s|/etc/[a-z]*/|$d/etc/|g; s|/etc/\(bind\|knot\)|$d/etc|g" \
		-e "s|/var/lib/[a-z]*|$d/lib|g; s|/var/cache/[a-z]*|$d/cache|g; s|/run/[a-z]*|$d/run|g; s|/root/|$d/root/|g" "$TOP/conf/dns/$3"
}
# What the operator is told to do as root, line by line;
told() { # NAME FILE
	sed -n 's/^#   # //p' "$2" >"$W/told-$1"
	[ -s "$W/told-$1" ] || die "$1: the sample tells no commands"
	in_ns d sh -eu "$W/told-$1" >"$W/log/told-$1" 2>&1 || die "$1: the commands in the sample fail: $(tail -n 3 "$W/log/told-$1")"
}
zone_here() { zone_file "$(ns_of "$1" 1)" "$(ns_of "$1" 2)"; } # KIND

named_up() { # KIND NAME SAMPLE
	local f
	f=$(lived "$2")/named.conf
	sed 's|^\tdirectory .*|& pid-file none; session-keyfile none; lock-file none;|; $a controls { };' "$W/$2.conf" >"$f"
	named-checkconf "$f" >"$W/log/checkconf" || die "$3: $(cat "$W/log/checkconf")"
	start "$2" d named -g -n 2 -c "$f"
}
knot_is_up() { # KIND NAME SAMPLE
	local f
	f=$(lived "$2")/knot.conf
	sed '/^    user: /d; s/target: syslog/target: stderr/' "$W/$2.conf" >"$f"
	knotc -c "$f" conf-check >"$W/log/checkconf" 2>&1 || die "$3: $(cat "$W/log/checkconf")"
	start "$2" d knotd -c "$f"
}

# ---- BIND
at_home bind bind-primary named.conf >"$W/bind-primary.conf"
at_home bind bind-secondary named-secondary.conf >"$W/bind-secondary.conf"
told bind-primary "$W/bind-primary.conf"
zone_here bind >"$(lived bind-primary)/lib/$ZONE.zone"
cp "$(lived bind-primary)/etc/transfer.key" "$(lived bind-secondary)/etc/transfer.key"
cp "$(lived bind-primary)/etc/shunt.key" "$KEYS/bind.key"
cp "$(lived bind-primary)/etc/transfer.key" "$KEYS/bind-transfer.key"
named_up bind bind-primary named.conf
named_up bind bind-secondary named-secondary.conf

# ---- Knot
at_home knot knot-primary knot.conf >"$W/knot-primary.conf"
at_home knot knot-secondary knot-secondary.conf >"$W/knot-secondary.conf"
told knot-primary "$W/knot-primary.conf"
zone_here knot >"$(lived knot-primary)/lib/$ZONE.zone"
cp "$(lived knot-primary)/etc/transfer.key" "$(lived knot-secondary)/etc/transfer.key"
cp "$(lived knot-primary)/root/ns1.key" "$KEYS/knot.key"
key_file transfer. "$(sed -n 's/.*secret: //p' "$(lived knot-primary)/etc/transfer.key")" >"$KEYS/knot-transfer.key"
knot_is_up knot knot-primary knot.conf
knot_is_up knot knot-secondary knot-secondary.conf

# ---- PowerDNS, with a Knot for its secondary
at_home pdns pdns-primary pdns.conf | sed "s|pdnsutil |&--config-dir=$(lived pdns-primary)/etc |g" >"$W/pdns-primary.conf"
at_home pdns pdns-secondary knot-secondary.conf >"$W/pdns-secondary.conf"
zone_here pdns >"$(lived pdns-primary)/lib/$ZONE.zone"
{ cat "$W/pdns-primary.conf"; echo "socket-dir=$(lived pdns-primary)/run"; echo security-poll-suffix=; } >"$(lived pdns-primary)/etc/pdns.conf"
told pdns-primary "$W/pdns-primary.conf"
secret=$(pdnsutil --config-dir="$(lived pdns-primary)/etc" list-tsig-keys 2>/dev/null | awk '$1 == "transfer." { print $3 }')
printf 'key:\n  - id: transfer.\n    algorithm: hmac-sha256\n    secret: %s\n' "$secret" >"$(lived pdns-secondary)/etc/transfer.key"
cp "$(lived pdns-primary)/root/ns1.key" "$KEYS/pdns.key"
key_file transfer. "$secret" >"$KEYS/pdns-transfer.key"
pdns_server --config-dir="$(lived pdns-primary)/etc" --config=check >"$W/log/checkconf" 2>&1 || die "pdns.conf: $(cat "$W/log/checkconf")"
unlike "pdns.conf" "$(cat "$W/log/checkconf")" '(rror|atal)'
start pdns-primary d pdns_server --config-dir="$(lived pdns-primary)/etc" --daemon=no --guardian=no --write-pid=no --disable-syslog
knot_is_up pdns pdns-secondary knot-secondary.conf

# ---- what each of them must do
refused() { # WHAT KIND KEY-FILE RECORD
	! update "${PRIMARY[$2]}" $ZONE "$3" <<<"update add x.$ZONE. 60 $4" >"$W/refused" 2>&1 || die "$1 is let through"
	like "$1" "$(cat "$W/refused")" 'REFUSED|NOTAUTH|BADKEY'
}
reads() { # KIND [KEY-FILE]: the whole zone
	ask_dns ${2:+-k "$2"} +noall +answer +onesoa "@${PRIMARY[$1]}" $ZONE. axfr >"$W/zone" || :
	grep -q SOA "$W/zone"
}
declare -A began
for kind in bind knot pdns; do
	wait_for serves ${PRIMARY[$kind]} www.$ZONE A 192.0.2.10
	wait_for serves ${SECONDARY[$kind]} www.$ZONE A 192.0.2.10
	same "$kind: mode of the key" "$(stat -c %a "$KEYS/$kind.key")" 600
	reads $kind "$KEYS/$kind.key" || die "$kind: shunt's key may not read the zone"
	! reads $kind || die "$kind: anybody may read the zone"
	! reads $kind "$KEYS/wrong.key" || die "$kind: any key may read the zone"
	refused "$kind: an update with the secondary's key" $kind "$KEYS/$kind-transfer.key" "A 192.0.2.10"
	[ $kind = pdns ] || for record in "NS ns1.foreign.example." "MX 10 mail" "CAA 0 issue \"x\"" "DS 1 13 2 $(printf '%064d' 1)"; do
		refused "$kind: ${record%% *}" $kind "$KEYS/$kind.key" "$record"
	done
	[ $kind = bind ] || DNS_FROM=d refused "$kind: an update from elsewhere" $kind "$KEYS/$kind.key" "A 192.0.2.10"
	serves ${PRIMARY[$kind]} x.$ZONE A 192.0.2.10 || die "$kind: something was changed that must not be" # the wildcard
	update ${PRIMARY[$kind]} $ZONE "$KEYS/$kind.key" <<-END2 || die "$kind: $(cat "$W/log/nsupdate")"
		prereq yxrrset office.$ZONE. IN A 203.0.113.80
		update delete office.$ZONE. A
		update add office.$ZONE. 43200 A 203.0.113.81
	END2
	began[$kind]=$(now_ms)
done
for kind in bind knot pdns; do
	WAIT=30 wait_for serves ${SECONDARY[$kind]} office.$ZONE A 203.0.113.81
	say "$kind: the secondary has the change of nsupdate after at most $(($(now_ms) - began[$kind])) ms"
done

# ---- and the configuration of shunt itself
world_up
resolver_up
echo '{"name": "alice", "domains": ["alice.example"]}' >"$W/accounts"
dnsupdate() { # KIND COMMAND..
	in_ns h "$DNSUPDATE" -c "$W/shunt-$1.conf" "${@:2}" >"$W/log/dnsupdate-$1" 2>&1 || die "$*: $(cat "$W/log/dnsupdate-$1")"
}
for kind in bind knot pdns; do
	delegate $ZONE managed $kind
	sed -e "s|192\.0\.2\.53|${PRIMARY[$kind]}|; s|\"/etc/shunt/dns/ns1.key\"|\"$KEYS/$kind.key\"|; s|\.provider\.example\"|.$kind&|g" \
		-e "s|^dns {|& resolvers = { \"$RESOLVER\" } journal = \"$DNS/journal-$kind\"|" "$TOP/conf/shunt.conf" >"$W/shunt-$kind.conf"
	reads $kind "$KEYS/$kind.key"
	grep -v SOA "$W/zone" | sort >"$W/before-$kind"
	# A short TTL of a minute ago does not shorten what resolvers remember of the time before it.
	[ $kind != bind ] || dnsupdate $kind prepare alice --accounts "$W/accounts" --wait 30
	dnsupdate $kind push alice --accounts "$W/accounts" --wait 30
	serves ${SECONDARY[$kind]} www.$ZONE A 198.51.100.10
	like "$kind: push" "$(cat "$W/log/dnsupdate-$kind")" 'seen on every name server'
	clean=$(($(date -d "$(sed -n 's/^no resolver .* from \(.*\) on$/\1/p' "$W/log/dnsupdate-$kind")" +%s) - $(date +%s)))
	[ $clean -ge 3500 ] && [ $clean -le 3611 ] || die "$kind: clean after $clean s, wanted about 3610"
	say "$kind: pushed, seen $(grep -o 'after [0-9]* ms' "$W/log/dnsupdate-$kind" | sort -k2n | tail -n 1) on the last server"
done
for kind in bind knot pdns; do dnsupdate $kind undo alice --wait 30 & undos+=($!); done
for pid in "${undos[@]}"; do wait "$pid" || die "an undo fails"; done
for kind in bind knot pdns; do
	reads $kind "$KEYS/$kind.key"
	same "$kind: the zone after the undo" "$(grep -v SOA "$W/zone" | sort | diff "$W/before-$kind" -)" ""
done

# ---- the capabilities of the unit are enough: to make the socket in another's directory and to become the owner of the journal; then all are gone
caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$TOP/conf/shunt-dnsupdate.service" | tr 'A-Z' 'a-z' | sed 's/cap_/+/g; s/ /,/g')
like "capabilities of the unit" "$caps" '^\+[a-z_]+(,\+[a-z_]+)*$'
mkdir -m 0750 "$W/run"
mkdir -m 0700 "$W/journal"
chown 4242:4242 "$W/run"
chown 4243:4243 "$W/journal"
chmod 0711 "$W"
sed "s|journal = \"[^\"]*\"|journal = \"$W/journal\" control = \"unix:$W/run/dnsupdate.sock\"|" "$W/shunt-bind.conf" >"$W/shunt-unit.conf"
start dnsupdate h setpriv --bounding-set "-all,$caps" --no-new-privs "$DNSUPDATE" -c "$W/shunt-unit.conf" serve
wait_for grep -q 'reason="ready"' "$W/log/dnsupdate"
status=$(cat "/proc/$(pid_of dnsupdate)/status")
like "its user" "$status" '^Uid:[[:space:]]4243[[:space:]]4243[[:space:]]4243'
like "its groups" "$status" '^Groups:[[:space:]]*$'
like "its capabilities" "$status" '^CapPrm:[[:space:]]0{16}$'
like "its answer" "$(in_ns h python3 "$TOOLS/ctl.py" "$W/run/dnsupdate.sock" hello)" "${PRIMARY[bind]}"
stop dnsupdate
