#!/usr/bin/env bash
# The quick start, as a newcomer runs it: once, twice over a sandbox that is still up, interrupted in the middle, and taken down.
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

say "once"
quickstart --once >"$W/once" 2>&1 || die "--once failed: $(tail -n 30 "$W/once")"
like "the end of --once" "$(tail -n 1 "$W/once")" '^All [0-9]+ checks held\.$'
nothing_left

say "staying up, and again over it"
quickstart >"$W/first" 2>&1 || die "the first run failed: $(tail -n 30 "$W/first")"
first=$(cat "/var/lib/qs$$-sandbox/proxy.pid")
quickstart >"$W/second" 2>&1 || die "the second run failed: $(tail -n 30 "$W/second")"
[ ! -d "/proc/$first" ] || die "the first run's proxy is still there"
like "a visitor's page" "$("/var/lib/qs$$-sandbox/visit" https://alice.example/)" "answered by the client server for"
"/var/lib/qs$$-sandbox/shunt" --yes migrate alice >"$W/migrate" 2>&1 || die "migrate by hand: $(cat "$W/migrate")"
like "alice after a move by hand" "$("/var/lib/qs$$-sandbox/visit" https://alice.example/)" "answered by the transit server for"
unlike "colours without a terminal" "$(cat "$W/second")" $'\e'

say "down"
quickstart --down >/dev/null
nothing_left

say "interrupted while alice moves"
rm -f "$W/third"
# A group of its own, as a terminal's Ctrl-C reaches one; without the shell's SIGINT being ignored in the background.
python3 -c 'import os, signal, sys; os.setsid(); signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
	"$TOP/conf/quickstart.sh" >"$W/third" 2>&1 &
pid=$!
wait_for grep -q 'migrate alice' "$W/third"
kill -INT -- "-$pid"
rc=0
wait $pid || rc=$?
same "the exit code of an interrupted run" $rc 130
nothing_left

say "wrong words"
fails_with 2 quickstart --nonsense
