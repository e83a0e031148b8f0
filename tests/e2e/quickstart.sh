#!/usr/bin/env bash
# slow
# The quick start, as a newcomer runs it: staying up, again over that, interrupted and killed in the middle, and taken down.
#
# It makes its own namespaces; the harness lends its directory and words only.
. "$(dirname "$0")/lib.sh"

export SHUNT_SANDBOX=qs$$ SHUNT_BUILD=$PLAIN
quickstart() { "$TOP/conf/quickstart.sh" "$@"; }
nothing_left() {
	local left
	left=$(ls -d /run/netns/qs$$-* /var/lib/qs$$-sandbox 2>/dev/null || true)
	same "what is left of the sandbox" "$left" ""
	left=$(grep -ls "/var/lib/qs$$-sandbo[x]/" /proc/[0-9]*/cmdline | head -n 3 || true) # [x]: not this grep itself
	same "processes left" "$left" ""
}
on_exit() {
	quickstart --down >/dev/null 2>&1 || true
	rm -f "/run/qs$$-sandbox.lock"
}
trap 'rc=$?; trap - ERR; set +e; on_exit; (exit $rc); cleanup' EXIT

SANDBOX=/var/lib/qs$$-sandbox
say "staying up"
quickstart >"$W/first" 2>&1 || die "the first run failed: $(tail -n 30 "$W/first")"
like "the verdict of the domain on the provider's DNS" "$(cat "$W/first")" '^  alice\.example +managed: switched by DNS: @ A 192\.0\.2\.10 -> 198\.51\.100\.10'
like "of that on another's" "$(cat "$W/first")" '^  bob\.example +external: covered by the proxy'
same "where alice's record led, at each look" "$(sed -n 's/^  ok  alice\.example is at [0-9.]*, the \(.*\) server$/\1/p' "$W/first" | paste -sd ' ')" "client transit client client"
same "and bob's" "$(sed -n 's/^  ok  bob\.example is at [0-9.]*, the \(.*\) server$/\1/p' "$W/first" | paste -sd ' ')" "client client client"
like "straight to the transit server" "$(grep -A1 "^alice's page, answered by the transit server" "$W/first")" '^He went to 198\.51\.100\.10\.$'
like "forwarded there" "$(grep -A1 "^bob's page, answered by the transit server" "$W/first")" '^He went to 192\.0\.2\.10\.$'
unlike "colours without a terminal" "$(cat "$W/first")" $'\e'
unlike "words of the shell" "$(cat "$W/first")" 'line [0-9]+:'
like "a visitor's page" "$("$SANDBOX/visit" https://alice.example/)" "answered by the client server for"
"$SANDBOX/shunt" --yes migrate alice >"$W/migrate" 2>&1 || die "migrate by hand: $(cat "$W/migrate")"
same "her record after a move by hand" "$("$SANDBOX/kdig" +short @203.0.113.55 alice.example A)" 198.51.100.10
straight() { [ "$("$SANDBOX/visit" -4 -o "$W/page" -w '%{remote_ip}' https://alice.example/)" = 198.51.100.10 ]; }
wait_for straight
like "alice after a move by hand" "$(cat "$W/page")" "answered by the transit server for"
like "by the old address" "$("$SANDBOX/visit" --old https://alice.example/)" "answered by the transit server for"

say "once, over what is still up"
first=$(cat "$SANDBOX/proxy.pid") dns=$(cat "$SANDBOX/dns/provider.pid")
quickstart --once >"$W/once" 2>&1 || die "--once failed: $(tail -n 30 "$W/once")"
like "the end of --once" "$(tail -n 1 "$W/once")" '^All [0-9]+ checks held\.$'
for pid in "$first" "$dns"; do gone "$pid" || die "$pid of the first run is still there"; done
nothing_left

# A group of its own, as a terminal's Ctrl-C reaches one; without the shell's SIGINT being ignored in the background.
until_alice_moves() { # OUTPUT
	rm -f "$1"
	python3 -c 'import os, signal, sys; os.setsid(); signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
		"$TOP/conf/quickstart.sh" >"$1" 2>&1 &
	pid=$!
	wait_for grep -q 'migrate alice' "$1"
}
say "interrupted while alice moves"
WAIT=150 until_alice_moves "$W/third"
kill -INT -- "-$pid"
rc=0
wait $pid || rc=$?
same "the exit code of an interrupted run" $rc 130
nothing_left

say "killed while alice moves, and down"
WAIT=150 until_alice_moves "$W/fourth"
kill -KILL $pid
wait $pid 2>/dev/null || :
[ -e "$SANDBOX/dns/provider.pid" ] || die "nothing is up"
wait_for quickstart --down # once what it has begun is over
nothing_left

say "wrong words"
fails_with 2 quickstart --nonsense
