#!/usr/bin/env bash
# slow
# The addresses of a client server go to a transit server on the same segment and come home, with shunt-netctl on both: nobody loses a
# connection attempt, and connections that stand live on, both ways, both families, from behind the router and from the segment. What is
# not confirmed goes back by itself. In the end both hosts are as they were, byte for byte.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
lab_up segment
answerer_up cli tra
for n in cli tra; do
	netctl_up $n 'drain = 12'
	snapshot $n >"$W/before.$n"
done

say "a plan is shown, and changes nothing"
netctl tra plan takeover >"$W/plan"
like "the plan" "$(cat "$W/plan")" 'ip addr add 203.0.113.10/32 dev eth0'
like "its undo" "$(cat "$W/plan")" '- .*ip addr del 203.0.113.10/32'
for n in cli tra; do unchanged $n "$W/before.$n"; done

say "takeover that nobody confirms"
prober_start unconfirmed ext "${S[@]}"
netctl tra takeover --confirm 6
WAIT=10 wait_for answers "${S4[1]}" tra
for n in cli tra; do WAIT=40 wait_for nothing_in_force $n; done
WAIT=10 wait_for answers "${S4[1]}" cli
prober_stop unconfirmed
found=$(probed unconfirmed 'r["lost"] + r["slow"]')
[ "$found" -le 4 ] || die "$found attempts were lost or slow when the takeover reverted by itself, expected those in flight alone"
for n in cli tra; do unchanged $n "$W/before.$n"; done

say "takeover"
prober_start out ext -l 4 "${S[@]}"
prober_start lan peer -l 2 "${S4[0]}" "${S6[0]}"
netctl tra takeover --confirm 20
WAIT=10 wait_for answers "${S4[1]}" tra
is_in_force tra takeover pending || die "not pending: $(in_force tra)"
fails_with 1 netctl tra takeover
like "a second takeover" "$OUT" 'is pending.*confirm or revert'
netctl tra confirm
# while it drains, connections of before live on; the prober has some of each host then
longer 2000
prober_stop out
prober_stop lan
for n in cli tra; do no_drift $n || die "drift: $(netctl $n status)"; done
netctl tra takeover >"$W/again"
like "the same again" "$(cat "$W/again")" 'is in force'
for p in out lan; do
	nothing_lost $p
	answered $p cli tra
done
WAIT=40 wait_for drained tra

say "the client server boots while the transit server has its addresses"
prober_start boot ext "${S[@]}"
prober_start bootlan peer "${S4[0]}" "${S6[0]}"
stop netctl-cli
in_ns cli nft flush ruleset
echo another-boot >"$W/boot-id"
with_boot_id() { SHUNT_TEST_BOOT_ID=$W/boot-id "$@"; }
with_boot_id netctl cli recover
with_boot_id netctl_serve cli
no_drift cli || die "drift: $(netctl cli status)"
longer 1000
for p in boot bootlan; do
	prober_stop $p
	nothing_lost $p
	answered $p tra
done

say "return"
prober_start home ext -l 4 "${S[@]}"
prober_start homelan peer -l 2 "${S4[0]}" "${S6[0]}"
with_boot_id netctl cli return --confirm 20
WAIT=10 wait_for answers "${S4[1]}" cli
with_boot_id netctl cli confirm
# what is still to come is the guards' business; the daemons are not needed for it
for n in cli tra; do stop netctl-$n; done
longer 2000
prober_stop home
prober_stop homelan
for p in home homelan; do
	nothing_lost $p
	answered $p tra cli
done
for n in cli tra; do WAIT=40 wait_for nothing_in_force $n; done
for n in cli tra; do unchanged $n "$W/before.$n"; done
