#!/usr/bin/env bash
# slow
# Hosts that ask each other over mutual TLS, with the certificates of shunt pki: the addresses go and come home. Who has a
# certificate of another authority is refused, and nothing is changed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
lab_up segment
TLS=yes
answerer_up cli tra
authority "$W/tls" "$(own_address cli)" "$(own_address tra)"
authority "$W/stranger" "$(own_address tra)" 203.0.113.200
for n in cli tra; do
	netctl_up $n 'drain = 12'
	snapshot $n >"$W/before.$n"
done
clean() { # WHAT
	for n in cli tra; do
		WAIT=40 wait_for nothing_in_force $n
		(unchanged $n "$W/before.$n") || die "after $1"
	done
	for a in "${S[@]}"; do wait_for answers "$a" cli; done
}

say "strangers"
stranger() { # WHAT TEXT-AS-REGEX CA CERTIFICATE: the transit server's command with these
	sed "s|tls { .*|tls { ca = \"$3\" cert = \"$4.pem\" key = \"$4.key\" }|" "$W/net-tra/conf" >"$W/net-tra/strange"
	local rc=0
	OUT=$(in_ns tra "$NETCTL" -c "$W/net-tra/strange" takeover --confirm 1 2>&1) || rc=$?
	like "$1" "$rc $OUT" "^1 .*nothing is changed: .*$2"
	clean "$1"
}
stranger "a certificate of another authority" "refused us" "$W/tls/ca.pem" "$W/stranger/$(own_address tra)"
stranger "a server of another authority" "certificate" "$W/stranger/ca.pem" "$W/tls/$(own_address tra)"
grep -q 'cmd=apply' "$W/log/netctl-cli" && die "a stranger was obeyed: $(cat "$W/log/netctl-cli")"
# in the clear it speaks to nobody
! in_ns tra timeout 3 bash -c "exec 3<>/dev/tcp/$(own_address cli)/7443 && echo '{\"v\":1,\"cmd\":\"apply\",\"plan\":\"give\"}' >&3 && head -n 1 <&3 2>/dev/null | grep -q ." ||
	die "an answer without TLS"
clean "strangers"

say "takeover and return"
prober_start out ext -l 2 "${S[@]}"
netctl tra takeover --confirm 20
netctl tra confirm
longer 500
prober_stop out # before the drain ends
for n in cli tra; do no_drift $n || die "drift: $(netctl $n status)"; done
is_in_force cli give confirmed || die "the client server has not confirmed: $(in_force cli)"
nothing_lost out
answered out cli tra
like "who asked" "$(netctl cli status)" "give +confirmed, by .*$(own_address tra)"
WAIT=40 wait_for drained tra
prober_start home ext -l 2 "${S[@]}"
netctl cli return --confirm 20
netctl cli confirm
longer 500
prober_stop home
nothing_lost home
answered home tra cli
for n in cli tra; do WAIT=40 wait_for nothing_in_force $n; done
clean "return"

say "nobody confirms"
netctl tra takeover --confirm 1
clean "a takeover that nobody confirmed"
