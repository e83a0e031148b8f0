#!/usr/bin/env bash
# long: three kinds of servers, some fifty commands.
# What goes wrong with BIND, Knot and PowerDNS: each time the exit code that says in what state things are, a text that names the server, the
# cause and the way out, and a zone as it was. Secrets are nowhere to be seen.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dns_lib.sh"
. "$(dirname "$0")/dnsupdate_lib.sh"
dns_net
PDNS_LIMITED=yes
kinds=${KINDS:-bind pdns knot}
for kind in $kinds; do
	customer of-$kind.test managed $kind
	customer lame-$kind.test lame $kind
done
{ # a zone with a third name server, which repeats what the primary says
	kind=${kinds%% *}
	zone_file "$(ns_of $kind 1)" "$(ns_of $kind 2)"
	printf '@ 3600 NS ns3\nns3 3600 A 10.53.0.91\n'
} >"$W/zone"
host $kind parrot-$kind.test plain "$W/zone"
delegate parrot-$kind.test managed $kind
for kind in $kinds; do ${kind}_up; done
world_up
resolver_up
# An account of each kind by itself: what one kind has to say does not hide another's.
conf_for() { KINDS=$kind dns_conf "$@"; } # variables of dns_conf before it
is_untouched() { # WHAT
	keep now of-$kind.test
	same "$kind: the zone after $1" "$(unlike_each_other "$W/before/primary" "$W/now/primary")" ""
}
# Nothing is changed, and it is not taken for a zone of somebody else.
refuses() { # WHAT CODE TEXT
	exits_json "$2" push alice
	like "$kind, $1" "$TOLD" "\"changed\":0.*\"ok\":false.*\"error\":\".*$3"
}
unsigned='unauthenticated (NOTAUTH|REFUSED)'
declare -A wrong_secret=([bind]="$unsigned with BADSIG: .*secret" [knot]="$unsigned with BADSIG: .*secret" [pdns]="$unsigned: .*another secret")
declare -A no_such_key=([bind]="$unsigned with BADKEY: .*unknown\." [knot]="$unsigned with BADKEY: .*unknown\." [pdns]="$unsigned: .*does not know key unknown\.")
an_hour='(36[0-5][0-9]|35[0-9][0-9])' # the way there and back, and the edge of a second, go off or come on top
declare -A clock_off=([bind]="BADTIME: .*$an_hour s behind ours.*NTP" [knot]="BADTIME: .*$an_hour s behind ours.*NTP" [pdns]="$unsigned: .*clock")
declare -A limited=([bind]="REFUSED for a transfer .*allow-transfer" [knot]="$unsigned with BADKEY" [pdns]="$unsigned: .*key limited\.")

for kind in $kinds; do
	server=${PRIMARY[$kind]}
	keep before of-$kind.test
	accounts "alice:of-$kind.test,*.of-$kind.test" "lame:lame-$kind.test"

	# ---- who may
	KEY=$KEYS/wrong.key conf_for
	refuses "wrong secret" 3 "$server.*${wrong_secret[$kind]}"
	exits 3 plan alice
	like "$kind, wrong secret, as text" "$OUT" "^shunt-dnsupdate: $server.*${wrong_secret[$kind]}"
	unlike "$kind, wrong secret, as text" "$OUT" 'no zone of ours|nothing to change|would change'
	KEY=$KEYS/unknown.key conf_for
	refuses "a key that the server does not know" 3 "$server.*${no_such_key[$kind]}"
	KEY=$KEYS/limited.key conf_for
	refuses "a key for one name only" 3 "$server.*${limited[$kind]}"
	conf_for
	export SHUNT_TEST_CLOCK=+3600
	refuses "a clock that is off" 3 "$server.*${clock_off[$kind]}"
	unset SHUNT_TEST_CLOCK
	is_untouched "keys and clocks"

	# ---- where
	ZONE_SERVERS=10.53.0.91 conf_for
	refuses "nothing listens there" 3 "10\.53\.0\.91.*refused"
	ZONE_SERVERS=${SECONDARY[$kind]} conf_for
	rc=0
	dnsupdate push alice >"$W/out" 2>&1 || rc=$?
	case $kind in
	bind) same "$kind: exit of a push to a secondary" $rc 1; like "a secondary" "$(cat "$W/out")" "${SECONDARY[$kind]}.*REFUSED for an update of of-$kind\.test.*secondary" ;;
	*) like "$kind: exit of a push to a secondary" $rc '^[34]$'; like "$kind: a secondary" "$(cat "$W/out")" "${SECONDARY[$kind]}.*$unsigned" ;;
	esac
	conf_for
	[ $rc != 4 ] || told undo alice
	is_untouched "a secondary, and nobody"
	told push lame
	like "$kind: zones of a domain that is not hosted" "$TOLD" '"zones":\[\{[^]]*"verdict":"external".*"outcome":"skipped".*\],"changed":0'
	told classify lame
	like "$kind: its verdict" "$TOLD" "\"domain\":\"lame-$kind\.test\.\",[^}]*\"verdict\":\"lame\",\"why\":\"[^\"]*REFUSED"

	# ---- somebody else
	told push alice
	update "$server" of-$kind.test <<-END
		update delete www.of-$kind.test. A
		update add www.of-$kind.test. 77 A 203.0.113.5
	END
	keep drifted of-$kind.test
	for verb in undo push; do
		exits_json 1 $verb alice
		like "$kind: $verb" "$TOLD" "\"error\":\"[^\"]*of-$kind\.test.*[Ww]ww\.of-$kind\.test\. A.*expected 198\.51\.100\.10.*found 203\.0\.113\.5.*--leave-drift"
		same "$kind: three ways at $verb" "$(pick '((x["owner"].lower(), x["type"], x["recorded"][0], x["recorded-ttl"], x["expected"][0], x["expected-ttl"], x["found"][0], x["found-ttl"]) for z in Z for x in z["drift"])')" \
			"www.of-$kind.test. A 192.0.2.10 300 198.51.100.10 60 203.0.113.5 77"
	done
	exits 1 undo alice
	for line in "recorded 192.0.2.10" "expected 198.51.100.10" "found    203.0.113.5"; do grep -qFx "    $line" <<<"$OUT" || die "$kind: no line '$line' in $OUT"; done
	keep now of-$kind.test
	same "$kind: what was overwritten" "$(unlike_each_other "$W/drifted/primary" "$W/now/primary")" ""
	told undo alice --leave-drift
	keep now of-$kind.test
	same "$kind: what is not as before" "$(unlike_each_other "$W/before/primary" "$W/now/primary" | grep '^[<>]')" "< www.of-$kind.test. 300 in a 192.0.2.10
> www.of-$kind.test. 77 in a 203.0.113.5"
	like "$kind: status" "$(dnsupdate status)" '^no records are changed$'
	update "$server" of-$kind.test <<-END
		update delete www.of-$kind.test. A
		update add www.of-$kind.test. 300 A 192.0.2.10
	END
	is_untouched "mending it by hand"

	# ---- somebody else, between our look and our update: only the server itself can tell
	fault_up $kind 10.53.0.92 "$server"
	ZONE_SERVERS=10.53.0.92 conf_for
	fault $kind delay for=axfr times=1
	dnsupdate push alice >"$W/out" 2>&1 &
	pushing=$!
	wait_for has_answered $kind axfr # what we look at is what was
	secrets
	same "$kind: secrets among what ps shows" "$(grep -lFf "$W/secrets" /proc/[0-9]*/cmdline 2>/dev/null || :)" ""
	update "$server" of-$kind.test <<-END
		update delete mail.of-$kind.test. AAAA
		update add mail.of-$kind.test. 7200 AAAA 2001:db8:9::1
	END
	fault $kind release
	rc=0
	wait $pushing || rc=$?
	same "$kind: exit of a push that was overtaken" $rc 1
	like "$kind: a push that was overtaken" "$(cat "$W/out")" "[Mm]ail\.of-$kind\.test\. AAAA.*expected 2001:db8::11.*found 2001:db8:9::1"
	update "$server" of-$kind.test <<-END
		update delete mail.of-$kind.test. AAAA
		update add mail.of-$kind.test. 7200 AAAA 2001:db8::11
	END
	wait_for in_step $kind of-$kind.test
	is_untouched "being overtaken"
	stop fault-$kind
	say "$kind"
done

# ---- one kind will do for the rest
kind=${kinds%% *}
server=${PRIMARY[$kind]}
accounts "alice:of-$kind.test,*.of-$kind.test" "carol:parrot-$kind.test,*.parrot-$kind.test"

keep before of-$kind.test

# ---- a server that answers rightly, and not with authority, is none that visitors' resolvers believe
conf_for
fault_up parrot 10.53.0.91 "$server"
fault parrot no-aa at=all
exits_json 4 push carol --wait 6
like "who does not show it" "$TOLD" '"lagging":\["ns3\.parrot-[^"]*10\.53\.0\.91[^"]*authority'
unlike "who else" "$TOLD" '"lagging":\["[^"]*; '
fault parrot clear
told verify carol
told undo carol
stop fault-parrot

# ---- the way back is on disk before the first message is sent
fault_up early 10.53.0.92 "$server"
ZONE_SERVERS=10.53.0.92 conf_for
fault early hang for=update times=1
dnsupdate push alice >"$W/out" 2>&1 &
pushing=$!
wait_for has_answered early update
like "the journal while the first message is on its way" "$(in_ns d "$DNSUPDATE" -c "$W/shunt.conf" status)" "^alice of-$kind\.test\. .*interrupted.*, 15 record sets since"
kill -KILL "$(pgrep -f "^$DNSUPDATE -c $W/shunt.conf push")" # by its own directory: nobody else's
wait $pushing || :
told undo alice
is_untouched "kill -9 with the first message under way"
stop fault-early

# ---- files
file_says() { # CODE KEY-FILE TEXT
	KEY=$2 conf_for
	for verb in "push alice" status; do
		exits "$1" $verb
		like "$verb with $2" "$OUT" "${2##*/}.*$3"
	done
}
cp "$KEYS/redir.key" "$KEYS/open.key" && chmod 0644 "$KEYS/open.key"
file_says 1 "$KEYS/open.key" "mode 0644, expected 0600.*chmod 0600"
file_says 1 "$KEYS/missing.key" "No such file"
key_file redir. "not/base64/at=all" >"$KEYS/malformed.key"
file_says 2 "$KEYS/malformed.key" "not base64"
unlike "what is said of a malformed key" "$(cat "$SAID")" "not/base64/at=all"
conf_for
told push alice
# who is not the journal's owner learns nothing and changes nothing
chmod 0755 "$JOURNAL"
for verb in "undo alice" "push alice" status; do
	exits 1 $verb
	like "$verb with an open journal" "$OUT" "$JOURNAL.*open to others.*chmod 0700"
done
chmod 0700 "$JOURNAL"
entry=$(find "$JOURNAL/alice" -type f)
cp "$entry" "$W/entry"
keep pushed of-$kind.test
damaged() { # WHAT: the entry cannot be read, and nobody guesses what it said
	for verb in "undo alice" "push alice" "finalise alice" "verify alice" "status"; do
		rc=0
		dnsupdate $verb >"$W/out" 2>&1 || rc=$?
		like "$verb, the entry $1: exit" $rc '^[14]$'
		like "$verb, the entry $1" "$(cat "$W/out")" "$JOURNAL/alice/|alice/of-$kind\.test"
	done
	keep now of-$kind.test
	same "the zone, the entry $1" "$(unlike_each_other "$W/pushed/primary" "$W/now/primary")" ""
}
head -c 200 "$W/entry" >"$entry"
damaged "cut off"
: >"$entry"
damaged empty
sed 's/198\.51\.100\.10/300.1.1.1/' "$W/entry" >"$entry"
damaged "with a value that is none"
cp "$W/entry" "$entry"
told undo alice
is_untouched "damage to the journal"
no_secret
say "files"
