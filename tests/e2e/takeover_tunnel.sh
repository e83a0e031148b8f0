#!/usr/bin/env bash
# The client server itself forwards its addresses to a transit server elsewhere, through a tunnel: nobody loses an attempt, connections that
# stand stay where they are. In the end both hosts are as they were.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
lab_up tunnel
for n in rt cli tra; do in_ns $n sysctl -qw net.ipv4.conf.all.rp_filter=1; done
answerer_up cli tra
TUNNEL="tunnel { id = 42 client = \"203.0.113.5\" transit = \"${T4[0]}\" }"
for n in cli tra; do
	netctl_up $n 'drain = 12' "$TUNNEL"
	snapshot $n >"$W/before.$n"
done

say "takeover that nobody confirms"
netctl tra takeover --confirm 6
WAIT=10 wait_for answers "${S4[1]}" tra
for n in cli tra; do WAIT=40 wait_for nothing_in_force $n; done
WAIT=10 wait_for answers "${S4[1]}" cli
for n in cli tra; do unchanged $n "$W/before.$n"; done

say "takeover"
prober_start out ext -l 4 -i "${S[@]}"
netctl tra takeover --confirm 20
WAIT=10 wait_for answers "${S4[1]}" tra
netctl tra confirm
longer 2000
prober_stop out # before the drain ends
for n in cli tra; do no_drift $n || die "drift: $(netctl $n status)"; done
nothing_lost out
answered out cli tra

say "return"
prober_start home ext -l 4 "${S[@]}"
netctl cli return --confirm 20
WAIT=10 wait_for answers "${S4[1]}" cli
netctl cli confirm
longer 2000
prober_stop home
nothing_lost home
answered home tra cli
for n in cli tra; do WAIT=40 wait_for nothing_in_force $n; done
for n in cli tra; do unchanged $n "$W/before.$n"; done
