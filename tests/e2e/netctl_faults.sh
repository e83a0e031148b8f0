#!/usr/bin/env bash
# long
# What goes wrong around shunt-netctl: the operator's session is cut, interfaces go, others meddle, programs, rights and disks are missing,
# hosts are dead or do not answer. Nothing is changed, or all is undone, or it is stuck and says why and what helps; never half of it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/netctl_lib.sh"
grep -qa SHUNT_TEST_KILL "$NETCTL" || cannot_run "this build has no crash points: configure with --enable-test-kill"
lab_up segment
S4=("${S4[@]:0:2}") S6=("${S6[0]}") S=("${S4[@]}" "${S6[0]}")
PROXY_CONF="proxy { control = \"unix:$W/proxy.sock\" table = \"$W/table\" intercept = true listener \"web\" { port = $PORT protocol = \"tcp\" transit-port = 81 } }"
answerer_up cli tra
# The look from outside is what the test says; it comes when all is done, so it is also where things can go wrong in the middle.
printf '#!/bin/bash\n. %q\n' "$W/look" >"$W/bin/look"
chmod +x "$W/bin/look"
LOOK="hook-probe = \"$W/bin/look\""
echo 'exit 0' >"$W/look"
for n in cli tra; do
	netctl_up $n 'drain = 600' "$([ $n = tra ] && echo "$LOOK")"
	snapshot $n >"$W/before.$n"
done
clean() { # WHAT
	local n a
	for n in cli tra; do
		WAIT=40 wait_for nothing_in_force $n
		(unchanged $n "$W/before.$n") || die "after $1"
	done
	for a in "${S[@]}"; do wait_for answers "$a" cli; done
}
refused() { # WHAT TEXT-AS-REGEX HOST COMMAND..: exit 1, nothing changed
	fails_with 1 netctl "${@:3}"
	like "$1" "$OUT" "$2"
	clean "$1"
}
try() { # COMMAND..: it must work
	OUT=$("$@" 2>&1) || die "$*: $OUT"
}
# Runs shunt-netctl of a host where the file system is changed a little before.
elsewhere() { # CHANGES HOST COMMAND..
	local host=$2
	nsenter --net="/run/netns/$NS$host" unshare -m bash -c "$1"' && exec "$@"' - "$NETCTL" -c "$W/net-$host/conf" "${@:3}"
}

say "words that make no sense"
wrong() { # CODE TEXT-AS-REGEX WORD..
	fails_with "$1" netctl cli "${@:3}"
	like "shunt-netctl ${*:3}" "$OUT" "$2"
}
wrong 2 'which command.*--help'
wrong 2 'no command "takover".*--help' takover
wrong 2 'no option --confrim' --confrim 5 takeover
wrong 2 'confirm: found "soon", expected seconds from 0 to 3600' takeover --confirm soon
wrong 2 'confirm: found "-1"' takeover --confirm -1
wrong 2 'plan: something is missing.*plan NAME' plan
wrong 2 'status: "now" is one word too many' status now
wrong 2 'status does not take --force' status --force
wrong 2 'no plan "takover"' plan takover
wrong 2 'no plan "../x"|found a plan "../x"' apply ../x
wrong 2 'found "maybe", expected on or off' intercept maybe
wrong 1 'takeover is not for this host: .*conf:[0-9]+ says role = "client"' takeover
wrong 1 'takeover is not in force' confirm takeover
unlike "--json" "$(netctl cli --json takeover 2>"$W/log/stderr" || :)" '^[^{]'
cp "$W/net-cli/conf" "$W/net-cli/good"
conf_says() { # CODE TEXT-AS-REGEX SED-COMMAND
	sed "$3" "$W/net-cli/good" >"$W/net-cli/conf"
	fails_with "$1" netctl cli apply give
	like "conf with $3" "$OUT" "$2"
}
conf_says 2 'conf:[0-9]+: .*role.*' 's/role = "client"/role = "guest"/'
conf_says 2 'conf: found no section netctl' '/^netctl {/,/^}/d'
conf_says 2 'conf:[0-9]+: found no `interface`' 's/interface = "eth0"//'
conf_says 1 'conf:[0-9]+: found interface = "eth7", but this host has none' 's/interface = "eth0"/interface = "eth7"/'
conf_says 2 'conf:[0-9]*:? found .*no pair' '/pair {/d'
cp "$W/net-cli/good" "$W/net-cli/conf"
clean "nonsense"

say "rights, programs and kernels that lack something"
fails_with 1 in_ns tra setpriv --reuid 65534 --clear-groups --inh-caps +dac_override --ambient-caps +dac_override \
	"$NETCTL" -c "$W/net-tra/conf" takeover
like "not root" "$OUT" 'root'
fails_with 1 in_ns tra setpriv --bounding-set -net_admin --inh-caps -net_admin "$NETCTL" -c "$W/net-tra/conf" takeover
like "root without CAP_NET_ADMIN" "$OUT" 'CAP_NET_ADMIN|not permitted'
clean "missing rights"
fails_with 1 elsewhere 'mount --bind /dev/null /usr/sbin/nft' tra takeover
like "no nft" "$OUT" 'nft.*nftables'
cat >"$W/bin/nft" <<'END'
#!/bin/sh
case "$* $(cat)" in *list*) echo '{"nftables":[]}' ;; *chain*) echo "Error: Could not process rule: Operation not supported" >&2; exit 1 ;; esac
END
chmod +x "$W/bin/nft"
for n in cli tra; do
	rc=0
	OUT=$(elsewhere "mount --bind $W/bin/nft /usr/sbin/nft" $n apply "$([ $n = cli ] && echo intercept || echo takeover)" 2>&1) || rc=$?
	like "a kernel without what rules need" "$rc $OUT" '^[13] .*this kernel lacks'
	clean "a kernel without what rules need"
done

say "journals that cannot be trusted"
J=$W/net-tra/journal
stop netctl-tra
chmod 0770 "$J"
refused_as_is() { # WHAT CODE TEXT COMMAND..: nothing changed, nothing guessed, and the file is still there
	fails_with "$2" netctl tra "${@:4}"
	like "$1" "$OUT" "$3"
	(unchanged tra "$W/before.tra") || die "after $1"
}
refused_as_is "a directory of others" 1 'others may write.*chmod 0700' takeover
chmod 0700 "$J"
try netctl tra takeover --confirm 30
cp "$J/takeover.json" "$W/takeover.json"
try netctl tra revert
clean "revert"
for damage in 'head -c 900' 'tr 5 6' "sed 's/\"v\": 1/\"v\": 2/'" 'cat /dev/null'; do
	eval "$damage" <"$W/takeover.json" >"$J/takeover.json"
	refused_as_is "$damage" 4 'takeover.json: found .*not guessed.*remove' takeover
	refused_as_is "$damage" 4 'takeover.json' revert takeover
	refused_as_is "$damage" 4 'takeover.json' recover
	refused_as_is "$damage" 4 'takeover.json' status
	try netctl tra apply reply --confirm 0 # others are not kept from being done and undone
	try netctl tra revert reply
	rm "$J/takeover.json"
done
clean "damaged journals"
rc=0
OUT=$(elsewhere "mount -t tmpfs -o size=64k,mode=0700 none $J && head -c 57344 /dev/zero >$J/full" tra takeover 2>&1) || rc=$?
like "a full disk" "$rc $OUT" '^[13] .*[Nn]o space'
clean "a full disk"
fails_with 1 elsewhere "mount --bind $J $J && mount -o remount,bind,ro $J" tra takeover
like "a disk that cannot be written" "$OUT" 'Read-only'
clean "a disk that cannot be written"

say "two at once, and the same again"
netctl tra takeover --confirm 60 >"$W/log/first" 2>&1 &
first=$!
rc2=0 rc1=0
netctl tra takeover --confirm 60 >"$W/log/second" 2>&1 || rc2=$?
wait $first || rc1=$?
like "one of two" "$rc1$rc2" '^(01|10)$'
like "the other" "$(cat "$W/log/first" "$W/log/second")" 'takeover is pending.*confirm or revert'
try netctl tra revert
clean "two at once"
fails_with 1 netctl tra confirm takeover
netctl_serve tra

say "the look from outside"
echo 'echo no route to "$SHUNT_ADDRESSES"; exit 7' >"$W/look"
fails_with 3 netctl tra takeover
like "it fails" "$OUT" "exit 7: no route to ${S4[0]} ${S4[1]}"
clean "a look that fails"
echo 'sleep 1000 & echo $! >'"$W/sleeper"'; wait' >"$W/look"
export SHUNT_TEST_PROBE_S=1
fails_with 3 netctl tra takeover
unset SHUNT_TEST_PROBE_S
like "it hangs" "$OUT" 'did not end within 1 s'
wait_for gone "$(cat "$W/sleeper")"
clean "a look that hangs"

say "killed in the middle, by Ctrl-C, by the terminal that goes, by a shutdown, and while nft is at work"
for sig in INT HUP TERM KILL; do
	rm -f "$W/sleeper"
	echo 'echo $$ >'"$W/sleeper"'; exec sleep 300' >"$W/look"
	start middle tra env --default-signal "$NETCTL" -c "$W/net-tra/conf" takeover
	wait_for test -s "$W/sleeper"
	stop middle $sig
	clean "SIG$sig"
	kill "$(cat "$W/sleeper")"
done
echo 'exit 0' >"$W/look"
cp /usr/sbin/nft "$W/bin/nft-real"
cat >"$W/bin/nft" <<END
#!/bin/bash
if [[ "\$*" = *-f* && ! -e $W/nft-runs ]]; then echo >>$W/nft-runs; while [ ! -e $W/nft-go ]; do read -rt 0.02 <> <(:); done; fi
exec $W/bin/nft-real "\$@"
END
chmod +x "$W/bin/nft"
start middle tra unshare -m bash -c "mount --bind $W/bin/nft /usr/sbin/nft && exec \"\$@\"" - "$NETCTL" -c "$W/net-tra/conf" takeover
wait_for test -s "$W/nft-runs"
kill -KILL "$(pid_of middle)"
longer 1000 # the guard would have undone it by now, and nft would come after it
: >"$W/nft-go"
rm "$W/pid/middle"
clean "nft outlived shunt-netctl"

say "the operator's own session is cut by a wrong plan"
netctl_conf cli 'drain = 0'
sed -i "s/client = \"${S4[0]}\"/client = \"203.0.113.5\"/" "$W/net-cli/conf"
prober_start session ext -l 1 203.0.113.5
cat >"$W/bin/terminal" <<'END'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
while b"is undone in" not in seen:
    seen += os.read(fd, 4096)
os.close(fd)    # the terminal goes: SIGHUP
os.waitpid(pid, 0)
END
try in_ns cli python3 "$W/bin/terminal" /bin/bash -c "'$NETCTL' -c '$W/net-cli/conf' apply give --confirm 3; sleep 1000"
ip -n "${NS}rt" neigh flush dev lan0
wait_for nothing_in_force cli
wait_for answers 203.0.113.5 cli
longer 4000 # its kernel asks again after as long as it was cut, at the latest; and the prober has some patience too
prober_stop session
same "the session was cut" "$(probed session 'r["interruption_ms"] > 500')" True
same "the session" "$(probed session '"reset %d hanging %d" % (r["long"]["reset"], r["long"]["hanging"])')" "reset 0 hanging 0"
netctl_conf cli 'drain = 600'
clean "the session was cut"

say "the interface goes down, is renamed, is deleted in the middle"
has_none() { ! ip -o -n "${NS}tra" addr show | grep -q "${S4[0]}/"; }
repair() {
	ip -n "${NS}tra" link set eth0 up
	addresses tra eth0 "${T6[@]/%//64}" 2>/dev/null || :
	ip -n "${NS}tra" route replace default via "$TRA_GW4"
	ip -n "${NS}tra" route replace default via "$TRA_GW6"
	wait_for no_tentative tra
}
for end in 1 0; do
	echo "ip -n ${NS}tra link set eth0 down; exit $end" >"$W/look"
	rc=0
	OUT=$(netctl tra takeover --confirm 1 2>&1) || rc=$?
	say "down: $rc $OUT"
	wait_for nothing_in_force tra
	repair
	clean "the interface went down, the look ended with $end"
	echo "ip -n ${NS}tra link set eth0 name lan7; exit $end" >"$W/look"
	rc=0
	OUT=$(netctl tra takeover --confirm 1 2>&1) || rc=$?
	say "renamed: $rc $OUT"
	wait_for answers "${S4[0]}" cli
	wait_for has_none
	ip -n "${NS}tra" link set lan7 name eth0
	ip -n "${NS}tra" -4 addr flush dev eth0 # their labels have got the other name
	addresses tra eth0 "${T4[@]/%//24}"
	repair
	clean "the interface was renamed, the look ended with $end"
done
# without a drain no setting of the interface is in its way
netctl_conf tra 'drain = 0' "$LOOK"
echo "ip -n ${NS}tra link set eth0 name lan7; exit 1" >"$W/look"
fails_with 3 netctl tra takeover
has_none || die "renamed, and the addresses are still on it"
ip -n "${NS}tra" link set lan7 name eth0
ip -n "${NS}tra" -4 addr flush dev eth0
addresses tra eth0 "${T4[@]/%//24}"
repair
clean "the interface was renamed, without a drain"
netctl_conf tra 'drain = 600' "$LOOK"
echo "ip -n ${NS}tra link del eth0; exit 1" >"$W/look"
rc=0
OUT=$(netctl tra takeover 2>&1) || rc=$?
say "deleted: $rc $OUT"
plug tra
addresses tra eth0 "${T4[@]/%//24}" "${T6[@]/%//64}"
repair
clean "the interface was deleted"
echo 'exit 0' >"$W/look"

say "others meddle with what is ours: it is told, not fought, and revert ends clean"
try netctl tra takeover --confirm 0
try netctl cli intercept on
ip -n "${NS}tra" addr del "${S4[1]}/32" dev eth0
in_ns tra nft delete table inet shunt_keep
ip -n "${NS}cli" rule del pref 743
longer 1500 # the daemons look around every second
for w in "changed by somebody else: .*${S4[1]}" 'changed by somebody else: .*shunt_keep'; do
	like "drift" "$(netctl tra status)" "$w"
done
like "drift" "$(netctl cli status)" 'changed by somebody else: .*743'
try netctl tra revert
try netctl cli revert
clean "others have meddled"

say "a third host has one of the addresses"
addresses peer eth0 "${S4[1]}/32"
fails_with 1 netctl tra takeover
like "duplicate" "$OUT" "${S4[1]}.*${MAC[peer]}"
ip -n "${NS}peer" addr del "${S4[1]}/32" dev eth0
ip -n "${NS}rt" neigh flush dev lan0
clean "a third host has an address"

say "the client server is dead, and is not"
fails_with 1 netctl tra takeover --without-peer
like "not dead" "$OUT" "${MAC[cli]} still answers"
ip -n "${NS}sw" link set cli down
fails_with 1 netctl tra takeover
like "dead" "$OUT" 'if it is dead: --without-peer'
began=$(now_ms)
try netctl tra takeover --without-peer --confirm 120
say "without the dead one: $(($(now_ms) - began)) ms"
for a in "${S[@]}"; do wait_for answers "$a" tra; done
try netctl tra confirm
try netctl tra revert
ip -n "${NS}sw" link set cli up
clean "the client server was dead"

say "who shall have the addresses back does not answer"
stop netctl-tra # the guard alone
netctl_conf tra 'drain = 600' # without a look, for which the client server would wait longer
try netctl tra takeover --confirm 0
stop netctl-cli
fails_with 4 netctl tra revert
like "stuck" "$OUT" 'addresses stay here'
like "stuck" "$(netctl tra status)" 'takeover +stuck.*'
like "why" "$(netctl tra status)" "client's shunt-netctl does not answer"
for a in "${S[@]}"; do wait_for answers "$a" tra; done
netctl_serve cli
clean "the client server answers again"
try netctl tra takeover --confirm 3
stop netctl-cli
clean "the client server took them back by itself"
