#!/usr/bin/env bash
# With source-transit = transparent: the transit server sees the visitor's address once the way back of answers is in force, and only then is
# that proved; pages are compared where connections are intercepted, too.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
lab_up segment
weblog_up cli tra
mkdir -p "$W/proxy"
PROXY_CONF="proxy { control = \"unix:$W/proxy/sock\" table = \"$W/proxy/table\" intercept = true source-transit = \"transparent\"
  listener \"web\" { port = 80 protocol = \"http\" } listener \"smtp\" { port = 25 protocol = \"tcp\" } }
control { state = \"$W/shunt.db\" proxy = \"unix:$W/proxy/sock\" netctl-client = \"unix:$W/net-cli/sock\" netctl-transit = \"unix:$W/net-tra/sock\" }"
for n in cli tra; do netctl_up $n 'drain = 3'; done
start proxy cli "$PROXY" -c "$W/net-cli/conf" --foreground
wait_for python3 "$TOOLS/ctl.py" "$W/proxy/sock" hello
shunt() { in_ns cli "$SHUNT" -c "$W/net-cli/conf" --yes "$@"; }
printf '{"name":"bob","domains":["bob.example"],"ports":[25]}\n' >"$W/accounts.json"
shunt account import "$W/accounts.json" >"$W/o"

say "there is no way back of answers"
fails_with 1 shunt check bob
like "it is not proved" "$OUT" 'STOP +port 25 \(SMTP\): with source-transit = transparent it is not proved .*: no connection to the echo'
unlike "in neither family" "$OUT" 'port 25 .*: proved'
say "shunt start puts it in force"
shunt start >"$W/o"
is_in_force tra reply confirmed || die "no way back for answers: $(in_force tra)"
shunt check bob >"$W/check"
like "IPv4" "$(cat "$W/check")" 'note +port 25 \(SMTP\): proved on the way to the transit server .*: sent as 198\.18\.0\.77, the transit server sees 198\.18\.0\.77'
like "IPv6" "$(cat "$W/check")" 'note +port 25 \(SMTP\): proved on the way to the transit server .*: sent as 2001:2::77, the transit server sees 2001:2::77'
like "both sides were asked" "$(cat "$W/check")" 'http://bob\.example: the pages do not say the same \([0-9]+ bytes on client, [0-9]+ on transit\)'
shunt finish >"$W/o"
