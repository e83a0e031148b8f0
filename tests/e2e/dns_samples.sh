#!/usr/bin/env bash
# The samples in conf/dns are right as they stand: the commands in their comments make keys and zones, the servers start with them, the key for
# shunt may do what shunt does and no more, and the secondary has a change at once. Only addresses and paths are other ones here.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dns_lib.sh"
for program in named tsig-keygen knotd keymgr pdns_server pdnsutil sqlite3 nsupdate; do
	command -v $program >/dev/null || cannot_run "$program is missing (Debian packages bind9, bind9-dnsutils, knot, pdns-server, pdns-backend-sqlite3, sqlite3)"
done
dns_net
ZONE=alice.example
HOST=10.53.0.1 # of shunt-dnsupdate; another one is 10.53.0.2

"$PROXY" -c "$TOP/conf/shunt.conf" --check >"$W/log/check" 2>&1 || die "conf/shunt.conf: $(cat "$W/log/check")"
like "conf/shunt.conf" "$("$PROXY" -c "$TOP/conf/shunt.conf" --print-config)" '^[[:space:]]*zone-server'

# ---- a sample, at home here
lived() { echo "$DNS/$1"; } # NAME: below it are etc, lib, cache, run and root
at_home() { # KIND NAME SAMPLE: on standard output
	local d
	d=$(lived "$2")
	mkdir -p "$d/etc" "$d/lib" "$d/cache" "$d/run" "$d/root"
	sed -e "s|192\.0\.2\.53|${PRIMARY[$1]}|g; s|2001:db8::53|$(v6 "${PRIMARY[$1]}")|g; s|198\.51\.100\.53|${SECONDARY[$1]}|g" \
		-e "s|2001:db8:1::53|$(v6 "${SECONDARY[$1]}")|g; s|203\.0\.113\.53|$HOST|g; s|/etc/[a-z]*/|$d/etc/|g; s|/etc/\(bind\|knot\)|$d/etc|g" \
		-e "s|/var/lib/[a-z]*|$d/lib|g; s|/var/cache/[a-z]*|$d/cache|g; s|/run/[a-z]*|$d/run|g; s|/root/|$d/root/|g" "$TOP/conf/dns/$3"
}
# What the operator is told to do as root, line by line; PREFIX SUFFIX go around the names of programs.
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
from() { # ADDRESS KIND [KEY-FILE]: an update of the lines on standard input
	{ echo "local $1"; cat; } | update "${PRIMARY[$2]}" $ZONE "${3:-$KEYS/$2.key}"
}
refused() { # WHAT COMMAND..
	local what=$1
	shift
	! "$@" || die "$what is let through"
	like "$what" "$(cat "$W/log/nsupdate")" 'REFUSED|NOTAUTH|BADKEY'
}
reads() { # [KEY-FILE]: the whole zone, from $kind's primary
	ask_dns -b $HOST ${1:+-k "$1"} +noall +answer +onesoa "@${PRIMARY[$kind]}" $ZONE. axfr >"$W/zone"
	grep -q 'SOA' "$W/zone"
}
for kind in bind knot pdns; do
	wait_for serves ${PRIMARY[$kind]} www.$ZONE A 192.0.2.10
	wait_for serves ${SECONDARY[$kind]} www.$ZONE A 192.0.2.10
	same "$kind: mode of the key" "$(stat -c %a "$KEYS/$kind.key")" 600
	reads "$KEYS/$kind.key" || die "$kind: shunt's key may not read the zone"
	for round in 1 2; do # twice: a delay of the second notify is what BIND does by default
		began=$(now_ms)
		if [ $round = 1 ]; then old=192.0.2.10 new=198.51.100.10; else old=198.51.100.10 new=192.0.2.10; fi
		from $HOST $kind <<-END2 || die "$kind: $(cat "$W/log/nsupdate")"
			prereq yxrrset www.$ZONE. IN A $old
			update delete www.$ZONE. A
			update add www.$ZONE. 60 A $new
			prereq yxrrset mail.$ZONE. IN TXT "v=spf1 ip4:192.0.2.11 ip6:2001:db8::/64 -all"
			update delete mail.$ZONE. TXT
			update add mail.$ZONE. 60 TXT "v=spf1 ip4:192.0.2.11 ip6:2001:db8::/64 -all"
		END2
		WAIT=3 wait_for serves ${SECONDARY[$kind]} www.$ZONE A $new
		say "$kind: the secondary has change $round after $(($(now_ms) - began)) ms"
	done
	refused "$kind: an update with the secondary's key" from $HOST $kind "$KEYS/$kind-transfer.key" <<<"update add x.$ZONE. 60 A 192.0.2.10"
	[ $kind = pdns ] || for record in "NS ns1.foreign.example." "MX 10 mail" "CAA 0 issue \"x\"" "DS 1 13 2 $(printf '%064d' 1)"; do
		refused "$kind: ${record%% *}" from $HOST $kind <<<"update add x.$ZONE. 60 $record"
	done
	[ $kind = bind ] || refused "$kind: an update from elsewhere" from 10.53.0.2 $kind <<<"update add x.$ZONE. 60 A 192.0.2.10"
	! reads || die "$kind: anybody may read the zone"
	! reads "$KEYS/wrong.key" || die "$kind: any key may read the zone"
	serves ${PRIMARY[$kind]} x.$ZONE A 192.0.2.10 || die "$kind: something was changed that must not be" # the wildcard
done
