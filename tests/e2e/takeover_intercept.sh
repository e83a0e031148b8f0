#!/usr/bin/env bash
# The addresses of a client server whose visitors are intercepted, and served by the transit server in their own name, move there and come
# home on one segment: nobody loses an attempt, and connections that stand live on, those through the proxy too.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
PROXY=$PLAIN/shunt-proxy
lab_up segment
answerer_up cli tra
PROXY_CONF="proxy { control = \"unix:$W/proxy/sock\" table = \"$W/proxy/table\" intercept = true source-transit = \"transparent\" unknown = \"transit\"
  listener \"tcp\" { port = $PORT protocol = \"tcp\" } }"
mkdir -p "$W/proxy"
for n in cli tra; do netctl_up $n 'drain = 12'; done
start proxy cli "${AHEAD[@]}" "$PROXY" -c "$W/net-cli/conf" --foreground
wait_for test -S "$W/proxy/sock"
netctl tra apply reply --confirm 0
netctl cli intercept on
for n in cli tra; do in_force $n >"$W/before.$n"; done
wait_for answers "${S4[1]}" tra
wait_for answers "${S6[1]}" tra

say "takeover"
prober_start out ext -l 4 "${S[@]}"
netctl tra takeover --confirm 20
netctl tra confirm
longer 2000
prober_stop out # before the drain ends
for n in cli tra; do no_drift $n || die "drift: $(netctl $n status)"; done
nothing_lost out
answered out tra
WAIT=40 wait_for drained tra

say "return"
prober_start home ext -l 4 "${S[@]}"
netctl cli return --confirm 20
netctl cli confirm
longer 2000
prober_stop home
nothing_lost home
answered home tra
as_before() { in_force "$1" | cmp -s - "$W/before.$1"; }
for n in cli tra; do WAIT=40 wait_for as_before $n; done

say "the proxy still has them"
stop proxy
wait_for answers "${S4[1]}" cli
