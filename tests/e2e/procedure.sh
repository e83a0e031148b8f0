#!/usr/bin/env bash
# The provider's procedure with shunt's own commands, on a segment: start, migrate, rollback, reinstall, return, relocate, finish. Visitors ask for
# both accounts all the while, over connections that are intercepted and whose true address both web servers log. The guards hold at each step.
# alice's DNS goes with her. In the end both hosts and her zone are as they were.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
. "$(dirname "$0")/dns_lib.sh"
lab_up segment
dns_net
weblog_up cli tra
zone_file ns1.knot.provider.example ns2.knot.provider.example |
	sed "s/ 192\.0\.2\.10\b/ ${S4[0]}/; s/ 2001:db8::10\b/ ${S6[0]}/; s/ 192\.0\.2\.11\b/ ${S4[1]}/; s/ 2001:db8::11\b/ ${S6[1]}/" >"$W/zone"
host knot alice.example plain "$W/zone"
delegate alice.example managed knot
knot_up
world_up
resolver_up
axfr ${PRIMARY[knot]} alice.example >"$W/zone.before"
mkdir -p "$W/proxy"
PROXY_CONF="proxy { control = \"unix:$W/proxy/sock\" table = \"$W/proxy/table\" access-log = \"$W/proxy/access\" intercept = true source-transit = \"transparent\" drain = 2
  listener \"web\" { port = 80 protocol = \"http\" } }
dns { control = \"unix:$W/dns.sock\" journal = \"$W/dns.journal\" nameservers = { \"ns1.knot.provider.example\", \"ns2.knot.provider.example\" }
  zone-server { address = \"${PRIMARY[knot]}\" key-file = \"$KEYS/redir.key\" } resolvers = { \"$RESOLVER\" } }
control { home-wait = 1 dns = \"unix:$W/dns.sock\" state = \"$W/shunt.db\" proxy = \"unix:$W/proxy/sock\" netctl-client = \"unix:$W/net-cli/sock\" netctl-transit = \"unix:$W/net-tra/sock\" }"
for n in cli tra; do
	snapshot $n >"$W/before.$n"
	netctl_up $n 'drain = 3'
done
start proxy cli "$PROXY" -c "$W/net-cli/conf" --foreground
wait_for test -S "$W/proxy/sock"
start dnsupdate cli "$BUILD/shunt-dnsupdate" -c "$W/net-cli/conf" serve
wait_for grep -q 'reason="ready"' "$W/log/dnsupdate"
shunt() { in_ns cli "$SHUNT" -c "$W/net-cli/conf" --yes "$@"; }
printf '{"name":"alice","domains":["alice.example"]}\n{"name":"bob","domains":["bob.example"]}\n' >"$W/accounts.json"
shunt account import "$W/accounts.json"

get() { # NAME [ADDRESS]: "host server-address visitor"
	in_ns ext curl -sf --max-time 10 --noproxy '*' -H "Host: $1" "http://${2:-${S4[0]}}/"
}
served_by() { like "$1 is served by $2" "$(get "$1")" "^$2 "; }
led_to() { # ADDRESS: her name, on both name servers
	local server
	for server in ${PRIMARY[knot]} ${SECONDARY[knot]}; do serves "$server" www.alice.example A "$1" || die "$server has another address for alice than $1"; done
}
zone_as_before() {
	axfr ${SECONDARY[knot]} alice.example | diff "$W/zone.before" - >"$W/diff" || die "$1: her zone is not as it was: $(cat "$W/diff")"
}
metrics_have() { # SAMPLE..
	local sample
	shunt metrics >"$W/metrics"
	for sample; do grep -qxF "$sample" "$W/metrics" || die "metrics: no $sample in $(grep -E 'step|deadline|_up|plan' "$W/metrics")"; done
}
step() { shunt status | sed -n 's/^step *//p'; }
cat >"$W/visitors.py" <<-'END'
	import http.client, itertools, signal, sys, time
	going, lost, slow, n, address = True, [], [], 0, sys.argv[1]
	def stop(*_):
	    global going
	    going = False
	signal.signal(signal.SIGTERM, stop)
	kept = {name: None for name in ("alice.example", "bob.example")}
	for name in itertools.cycle(kept):
	    if not going:
	        break
	    for fresh in (True, False):
	        began = time.time()
	        try:
	            c = http.client.HTTPConnection(address, 80, timeout=20) if fresh or kept[name] is None else kept[name]
	            c.request("GET", "/", headers={"Host": name})
	            r = c.getresponse()
	            body = r.read()
	            n += 1
	            if r.status != 200:
	                lost.append((name, fresh, r.status))
	            if fresh:
	                c.close()
	            else:
	                kept[name] = None if r.will_close else c
	        except (OSError, http.client.HTTPException) as e:
	            # a kept connection that was closed between two requests is opened again, as browsers do
	            if fresh or not isinstance(e, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)):
	                lost.append((name, fresh, repr(e)))
	            kept[name] = None
	        if time.time() - began > 5:  # a move waits for the name servers, too
	            slow.append("%s %s %s for %.1f s" % (name, "fresh" if fresh else "kept", time.strftime("%H:%M:%S", time.gmtime(began)), time.time() - began))
	    time.sleep(0.02)
	print("requests", n, "lost", len(lost), "slow", len(slow), lost[:5], slow[:5], flush=True)
END
start visitors ext python3 "$W/visitors.py" "${S4[0]}"

say "nothing has begun"
fails_with 1 shunt reinstall
like "reinstall, too early" "$OUT" 'alice|bob'
fails_with 1 shunt return
like "return, too early" "$OUT" 'reinstall'
shunt start
is_in_force cli intercept confirmed || die "no interception: $(in_force cli)"
is_in_force tra reply confirmed || die "no way back for answers: $(in_force tra)"
shunt start >"$W/again"
like "the same again" "$(cat "$W/again")" 'already'

metrics_have 'shunt_step{step="moving"} 1' 'shunt_netctl_up{side="client"} 1' 'shunt_netctl_up{side="transit"} 1' 'shunt_dnsupdate_up 1' \
	'shunt_netctl_plan{side="client",plan="intercept",state="confirmed"} 1' 'shunt_netctl_plan_drift{side="transit",plan="reply"} 0' 'shunt_proxy_intercept_alive 1'

say "accounts move"
shunt migrate alice
served_by alice.example tra
served_by bob.example cli
like "the transit server sees the visitor" "$(get alice.example)" ' 198\.51\.100\.10$'
like "and so does the client server" "$(get bob.example)" ' 198\.51\.100\.10$'
led_to "${T4[0]}"
shunt --yes rollback alice
served_by alice.example cli
zone_as_before rollback
shunt migrate --all
served_by bob.example tra
fails_with 1 shunt finish
like "finish, too early" "$OUT" 'transit'

say "reinstall"
shunt reinstall
shunt reinstall >"$W/again"
like "the same again" "$(cat "$W/again")" 'already|are on the transit'
WAIT=5 wait_for served_by alice.example tra
metrics_have 'shunt_step{step="reinstalling"} 1' 'shunt_netctl_plan{side="transit",plan="takeover",state="confirmed"} 1' 'shunt_rollback_accounts 0' \
	'shunt_moves_total{kind="rollback",outcome="done"} 1' 'shunt_dns_publish_delay_seconds_count 3'
fails_with 1 shunt rollback alice
like "no way back now" "$OUT" 'reinstall'
fails_with 1 shunt relocate alice
like "relocate, too early" "$OUT" 'return'
is_in_force tra takeover confirmed || die "takeover: $(in_force tra)"
like "status" "$(shunt status)" 'takeover'

say "return, home again, finish"
shunt return
nothing_to_come() { drained cli && drained tra && ! is_in_force tra takeover confirmed; }
led_to "${T4[0]}"
shunt relocate --all
for n in alice bob; do served_by $n.example cli; done
zone_as_before relocate
WAIT=40 wait_for nothing_to_come
shunt finish
for n in cli tra; do nothing_in_force $n || die "left on $n: $(in_force $n)"; done
WAIT=30 stop visitors
say "$(cat "$W/log/visitors")"
like "visitors" "$(cat "$W/log/visitors")" '^requests [0-9]{3,} lost 0 slow 0 '
for n in cli tra; do unchanged $n "$W/before.$n"; done
like "the trail" "$(shunt log)" 'reinstall'
