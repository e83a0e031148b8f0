#!/usr/bin/env bash
# The addresses of a client server are routed to it one by one; a router that also runs shunt-netctl leads them to the transit server and back.
# Nobody loses an attempt; with a tunnel, connections that stand live on. Without one they are reset at once. In the end all three hosts are as
# they were.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
lab_up routed
# an operator's router and servers are strict about sources
for n in rt cli tra; do in_ns $n sysctl -qw net.ipv4.conf.all.rp_filter=1; done
answerer_up cli tra
TUNNEL="tunnel { id = 42 client = \"203.0.113.5\" transit = \"${T4[0]}\" }"
netctl_up cli 'drain = 12' "$TUNNEL"
netctl_up tra 'drain = 12' "$TUNNEL"
DEV=tra0 netctl_up rt 'drain = 12'
for n in cli tra rt; do snapshot $n >"$W/before.$n"; done

say "takeover that nobody confirms"
prober_start unconfirmed ext "${S[@]}"
netctl tra takeover --confirm 6
WAIT=10 wait_for answers "${S4[1]}" tra
for n in cli tra rt; do WAIT=40 wait_for nothing_in_force $n; done
WAIT=10 wait_for answers "${S4[1]}" cli
prober_stop unconfirmed
found=$(probed unconfirmed 'r["lost"] + r["slow"]')
[ "$found" -le 4 ] || die "$found attempts were lost or slow when the takeover reverted by itself, expected those in flight alone"
for n in cli tra rt; do unchanged $n "$W/before.$n"; done

say "takeover"
prober_start out ext -l 4 "${S[@]}"
netctl tra takeover --confirm 20
WAIT=10 wait_for answers "${S4[1]}" tra
netctl tra confirm
longer 2000
prober_stop out # before the drain ends
for n in cli tra rt; do no_drift $n || die "drift: $(netctl $n status)"; done
nothing_lost out
answered out cli tra
WAIT=40 wait_for drained tra

say "return"
prober_start home ext -l 4 "${S[@]}"
netctl cli return --confirm 20
WAIT=10 wait_for answers "${S4[1]}" cli
netctl cli confirm
longer 2000
prober_stop home
nothing_lost home
answered home tra cli
for n in cli tra rt; do WAIT=40 wait_for nothing_in_force $n; done
for n in cli tra rt; do unchanged $n "$W/before.$n"; done
