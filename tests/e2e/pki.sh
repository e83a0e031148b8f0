#!/usr/bin/env bash
# An authority and three hosts' certificates from shunt pki: commands go over the network with them. Whatever is wrong with a certificate or
# key is refused, and both ends say why. Certificates that end are told ahead, renewed, and taken up by a reload while the daemons run.
. "$(dirname "$0")/lib.sh"
NETCTL=$BUILD/shunt-netctl
PKI=$W/etc/pki
net_up

say "an authority and three hosts"
pki() { (umask 000 && "$SHUNT" pki "$@"); }
pki init "$PKI"
pki issue web42.example "$PKI" --address 192.0.2.10 --days 20 >"$W/log/web42"
like "what is to be done" "$(<"$W/log/web42")" "scp -p $PKI/ca.pem $PKI/web42.example.pem $PKI/web42.example.key root@web42.example:"
like "the lines" "$(<"$W/log/web42")" 'key  = "/etc/shunt/tls/web42.example.key"'
pki issue transit.example --dir "$PKI" --address 198.51.100.10
pki issue control.example --dir "$PKI"
same "what others may write, or read of keys" "$(find "$W/etc" \( -perm /022 -o -name '*.key' -perm /077 \))" ""
same "the directory" "$(stat -c %a "$PKI")" 700
fails_with 1 pki init "$PKI"
like "a second authority" "$OUT" "already, and nothing is overwritten"
fails_with 1 pki issue web42.example "$PKI"
like "a second certificate" "$OUT" "shunt pki renew web42.example"
fails_with 2 pki issue 'bad name' "$PKI"
serial_of() { # NAME: of the one that is not replaced
	pki list "$PKI" --json | python3 -c 'import json, sys
print(*[c["serial"] for c in json.load(sys.stdin)["certificates"] if c["name"] == sys.argv[1] and "cert" in c])' "$1"
}

say "over the network"
mkdir "$W/host"
take() { cp -p "$PKI/ca.pem" "$W/host/" && cp -p "$PKI/$1.pem" "$W/host/$2.pem" && cp -p "$PKI/$1.key" "$W/host/$2.key"; } # NAME AS
take web42.example web42
tls() { echo "tls { ca = \"$1\" cert = \"$2.pem\" key = \"${3:-$2}.key\" }"; } # CA CERTIFICATE [KEY]
MORE=$(tls "$W/host/ca.pem" "$W/host/web42") proxy_conf <<<'listen = "tls://192.0.2.10:7444"'
{
	sed -n '/^server/,/^}/p' "$W/shunt.conf"
	echo "netctl { role = \"client\" topology = \"segment\" interface = \"eth0\" control = \"unix:$W/netctl.sock\" journal = \"$W/journal\""
	echo "  listen = \"tls://192.0.2.10:7443\" }"
	tls "$W/host/ca.pem" "$W/host/web42"
} >"$W/netctl.conf"
proxy_start
start netctl c "$NETCTL" -c "$W/netctl.conf" serve
wait_for grep -q 'reason="ready"' "$W/log/netctl"
for daemon in proxy netctl; do
	like "$daemon at its start" "$(<"$W/log/$daemon")" 'warn: control: our certificate "web42.example" ends .* in (19|20) days: shunt pki renew'
done
as() { # CA CERTIFICATE [KEY]: the controller, on the transit server
	{
		sed -n '/^server/,/^}/p' "$W/shunt.conf"
		echo "control { state = \"$W/far.db\" proxy = \"tls://192.0.2.10:7444\" netctl-client = \"tls://192.0.2.10:7443\" }"
		tls "$@"
	} >"$W/far.conf"
}
far() { in_ns t "$SHUNT" -c "$W/far.conf" "$@"; }
works() { # WHAT
	local out
	out=$(far status)
	like "$1: the proxy" "$out" '^proxy +answers at tls://192.0.2.10:7444'
	unlike "$1" "$out" 'AWAY|WARNING'
}
as "$PKI/ca.pem" "$PKI/control.example"
works "a certificate of ours"
printf '[%s]\n' "$ALICE" >"$W/accounts.json"
far account import "$W/accounts.json"
like "the account is there" "$(ask list)" '"alice"'

say "certificates that are refused"
# Signed by our authority, but not as shunt pki would: START END EXTENDED-KEY-USAGE, as openssl ca has them.
odd() { # NAME START END USE
	local d=$W/odd
	mkdir -p "$d"
	: >"$d/database"
	cat >"$d/conf" <<-END
		[ca]
		default_ca = us
		[us]
		database = $d/database
		new_certs_dir = $d
		rand_serial = yes
		default_md = sha256
		policy = any
		x509_extensions = host
		[any]
		commonName = supplied
		[host]
		subjectAltName = IP:198.51.100.10
		extendedKeyUsage = $4
	END
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$d/$1.key" -out "$d/$1.csr" -subj "/CN=$1" 2>"$W/log/odd" &&
		openssl ca -batch -notext -config "$d/conf" -cert "$PKI/ca.pem" -keyfile "$PKI/ca.key" -startdate "$2" -enddate "$3" \
			-in "$d/$1.csr" -out "$d/$1.pem" 2>>"$W/log/odd" || die "$(<"$W/log/odd")"
}
refused() { # WHAT TOLD-HERE LOGGED-THERE (empty: it did not get so far): of proxy and netctl alike. CODE: also a command that would change
	local out rc=0
	out=$(far status 2>&1) || rc=$?
	like "$1, the proxy's answer" "$out" "^proxy +AWAY: .*tls://192.0.2.10:7444: .*$2|^proxy +AWAY: .*$2"
	unlike "$1" "$out" '^proxy +answers'
	if [ -n "${CODE:-}" ]; then
		fails_with "$CODE" far migrate alice
		like "$1, a command" "$OUT" "$2"
		same "$1: alice" "$(field "$(ask account '{"name":"alice"}')" account.side)" client
	fi
	[ -z "$3" ] || for daemon in proxy netctl; do wait_for grep -qE "control: refused peer=198.51.100.10.*$3" "$W/log/$daemon"; done
}
FAR=$W/far-pki
pki init "$FAR"
pki issue control.example "$FAR" --address 192.0.2.10
as "$PKI/ca.pem" "$FAR/control.example"
CODE=2 refused "another authority's" 'refused us: unknown ca; we showed "control.example" of "shunt authority' '"control.example" is from "shunt authority .*, which is not our ca'
like "told beforehand" "$(far status)" 'tls +WARNING: our certificate "control.example" is from .*, which is not our ca'
as "$FAR/ca.pem" "$PKI/control.example"
refused "a server of another authority" 'its certificate is refused: .*"web42.example" is from .*, which is not our ca' 'it refused us: unknown ca; we showed "web42.example"'
odd past 20250101000000Z 20250201000000Z serverAuth,clientAuth
as "$PKI/ca.pem" "$W/odd/past"
refused "expired" 'refused us: certificate expired; we showed "past" .* until 2025-02-01T00:00:00Z' 'certificate has expired: "past" ended 2025-02-01'
odd future 20990101000000Z 20990201000000Z serverAuth,clientAuth
as "$PKI/ca.pem" "$W/odd/future"
refused "not yet valid" 'refused us: bad certificate; we showed "future" .* good from 2099-01-01T00:00:00Z' 'not yet valid: "future" begins 2099-01-01'
odd server 20250101000000Z 20990201000000Z serverAuth
as "$PKI/ca.pem" "$W/odd/server"
refused "not for clients" 'refused us: unsupported certificate; we showed "server"' '"server" is not for clients'
as "$PKI/ca.pem" "$PKI/control.example" "$PKI/transit.example"
refused "another's key" "transit.example.key: the key does not belong to the certificate $PKI/control.example.pem" ""
cp "$PKI/control.example.key" "$W/open.key"
chmod 0644 "$W/open.key"
as "$PKI/ca.pem" "$PKI/control.example" "$W/open"
CODE=1 refused "a key that others can read" "open.key: found mode 0644, expected 0600 or 0640" ""
as "$PKI/ca.pem" "$PKI/control.example"
works "ours, after all of these"

say "the daemons' own"
reload() { # both; netctl has no socket command for it
	local n
	n=$(grep -c 'reload=' "$W/log/netctl" || :)
	shunt reload
	kill -HUP "$(pid_of netctl)"
	wait_for eval "[ \"\$(grep -c reload= '$W/log/netctl')\" -gt $n ]"
}
chmod 0644 "$W/host/web42.key"
fails_with 1 shunt reload
like "a key that others can read" "$OUT" "web42.key: found mode 0644"
kill -HUP "$(pid_of netctl)"
wait_for grep -q 'reload=refused reason=".*web42.key: found mode 0644' "$W/log/netctl"
works "a reload that is refused changes nothing"
take transit.example web42
reload
CODE=2 refused "another host's" 'it is not one for 192.0.2.10 but for "transit.example", 198.51.100.10' 'it refused us: '

say "renewed"
before=$(serial_of web42.example)
control=$(serial_of control.example)
pki renew --dir "$PKI" >"$W/log/renew"
like "renewed" "$(<"$W/log/renew")" "^web42.example: for web42.example,192.0.2.10, until"
unlike "those that do not end" "$(<"$W/log/renew")" "^(transit|control).example:"
[ "$(serial_of web42.example)" != "$before" ] || die "the serial has stayed"
same "control's" "$(serial_of control.example)" "$control"
like "the old one" "$(pki list "$PKI")" "^web42.example +replaced .* $before"
like "nothing left to do" "$(pki renew --dir "$PKI")" "none of them ends"
take web42.example web42
reload
works "after the renewal"
for port in 7443 7444; do
	serial=$(in_ns t timeout 30 openssl s_client -connect "192.0.2.10:$port" -alpn shunt/1 </dev/null 2>/dev/null | openssl x509 -noout -serial || :)
	same "served at $port" "${serial,,}" "serial=$(serial_of web42.example)"
done
pki renew control.example --dir "$PKI"
works "the controller's, renewed"
pki renew control.example --dir "$PKI" --days 9
like "a controller's that ends" "$(far status)" 'tls +WARNING: our certificate "control.example" ends .*, in [89] days'
