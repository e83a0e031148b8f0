#!/usr/bin/env bash
# long
# The example hooks move a real account between real servers: files, mails, two databases of MariaDB and one of PostgreSQL that are written all the while
# through the proxy. There, back and there again; nothing that was acknowledged is lost, and one side alone is ever open. Copies and checks that
# fail are undone, what was locked before stays locked, and nobody goes on copying behind a hook that was killed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/hooks_lib.sh"
net_up
directories_up
services_up
hooks_up
account_up
h=$W/hooks
CONTROL="hook-prepare = \"$h/prepare\" hook-copy = \"$W/bin/copy\" hook-seal = \"$h/seal\" hook-verify = \"$h/verify\" hook-timeout = 300" LISTENERS=none proxy_conf <<'END'
drain = 1
hold-max-wait = 90
listener "web"  { address = "192.0.2.10" port = 80   protocol = "http" local = "127.0.0.1:8080" }
listener "sql"  { address = "192.0.2.11" port = 3306 protocol = "tcp"  local = "127.0.0.1:3306" }
listener "pg"   { address = "192.0.2.11" port = 5432 protocol = "tcp"  local = "127.0.0.1:5432" }
listener "imap" { address = "192.0.2.11" port = 143  protocol = "tcp"  local = "127.0.0.1:143" }
END
proxy_start
echo '{"name":"alice","domains":["alice.example"],"addresses":["192.0.2.11"]}' >"$W/accounts.json"
shunt account import "$W/accounts.json"

# Writes one number after the other; those that are acknowledged are in $W/acked.NAME. A refusal is tried again, with the next number.
cat >"$W/bin/writer" <<'END'
#!/bin/bash
n=0
while [ ! -e "$1/stop" ]; do
	n=$((n + 1))
	case $2 in
	postgresql) PGCONNECT_TIMEOUT=120 PGPASSWORD=secret psql -X -q -h 192.0.2.11 -U alice -d alice_pg -c "INSERT INTO t VALUES ($n)" ;;
	*) mariadb --no-defaults --connect-timeout=120 -h 192.0.2.11 -P 3306 -u alice -psecret -e "INSERT INTO $2.t VALUES ($n)" ;;
	esac >>"$1/log/writer-$2.out" 2>&1 && echo $n >>"$1/acked.$2"
	read -rt 0.3 <> <(:)
done
END
chmod 755 "$W/bin/writer"
databases=(alice_blog alice_shop postgresql)
for d in "${databases[@]}"; do
	: >"$W/acked.$d"
	start "writer-$d" v "$W/bin/writer" "$W" $d
done
acked() { wc -l <"$W/acked.$1"; }
more_acked() { # since the counts in $marks
	local i
	for i in 0 1 2; do [ "$(acked "${databases[i]}")" -gt $((marks[i] + 2)) ] || return 1; done
}
writers_go_on() {
	marks=("$(acked alice_blog)" "$(acked alice_shop)" "$(acked postgresql)")
	wait_for more_acked
}
nothing_lost() { # SIDE: every acknowledged number is there
	local d
	for d in "${databases[@]}"; do
		cp "$W/acked.$d" "$W/wanted"
		if [ $d = postgresql ]; then pg "$1" 'SELECT n FROM t' alice_pg; else sql "$1" "SELECT n FROM $d.t"; fi | sort >"$W/found"
		same "numbers of $d that are lost on $(side_word "$1")" "$(sort "$W/wanted" | comm -23 - "$W/found" | paste -sd ' ')" ''
	done
}
served_by() { # SIDE: that side alone is open, and it has everything
	local other=c
	[ "$1" = t ] || other=t
	same "the proxy leads to" "$(side_of http://alice.example/robots.txt)" "$(side_word "$1")"
	refuses $other
	is_open "$1"
	nothing_lost "$1"
	same "bob on both sides" "$(door c mariadb bob) $(door t mariadb bob)" 'open open'
	like "who was locked before stays locked" "$(door "$1" mariadb alice_ro)" '4151.*locked'
	same "who could not log in before cannot now" "$(pg "$1" "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'alice_off'")" f
	writers_go_on
}
move() { # COMMAND [ARGUMENT..]
	local before
	before=$(now_ms)
	shunt --yes "$@" >"$W/log/move" 2>&1 || die "$* ended with $?: $(cat "$W/log/move")"
	say "$*: $(($(now_ms) - before)) ms: $(cat "$W/log/move")"
}
writers_go_on

say "prepare, twice, and copy, while the account is in service"
run_hook prepare client transit >"$W/prepared"
like "progress" "$(paste -sd ' ' "$W/prepared")" 'progress [0-9]+% .*progress 100%'
run_hook prepare client transit >"$W/prepared"
is_open c
run_hook copy client transit >"$W/prepared"
for n in c t; do refuses $n; done # all is there, and nobody may enter yet
run_hook seal client transit undo
is_open c
refuses t

say "a copy that fails in the middle"
touch "$W/break"
fails_with 3 shunt migrate alice
like "the reason" "$OUT" 'database alice_blog of MariaDB.*client side goes on as it was.*move again'
rm "$W/break"
same "the proxy leads to" "$(side_of http://alice.example/robots.txt)" client
is_open c
writers_go_on

say "a check that fails when the old side is sealed already"
echo "transit-web-file = $W/hooks/hooks.conf" >>"$h/hooks.conf"
locks_of c >"$W/locks.before"
fails_with 3 shunt migrate alice
like "the reason" "$OUT" 'something else than'
sed -i '$d' "$h/hooks.conf"
same "the locks of the old side" "$(locks_of c)" "$(cat "$W/locks.before")"
served_by c

say "there"
echo "written after prepare" >"$W/c/home/alice/www/late"
rm "$W/c/home/alice/www/deep/er/private"
imap c view >"$W/mails"
like "the mailbox of this story" "$(cat "$W/mails")" 'UID 2 '
move migrate alice
probed=$(shunt --json log alice)
for service in '"spoken":"mysql"' '"said":"answers, with(out)? TLS","spoken":"postgresql"' '"said":"\* OK [^"]*","spoken":"imap"'; do
	like "the proxy has asked before the switch" "$probed" "\"ok\":true,[^}]*$service"
done
like "progress of the copy" "$(paste -sd ' ' "$W/copied")" 'progress [1-9][0-9]?% .*progress 100%$'
served_by t
same "the files" "$(files_of t)" "$(files_of c)"
same "the mails, their flags, UIDs and UIDVALIDITY" "$(imap t view)" "$(cat "$W/mails")"
[ ! -e "$W/pwned" ] || die "the text of a row was run as a command"
for q in 'SELECT HEX(b) FROM alice_blog.bin' 'CHECKSUM TABLE alice_blog.pad' 'CALL alice_blog.pr()' "SHOW CREATE DATABASE alice_shop" \
	"SELECT event_name, status FROM information_schema.events" "SELECT trigger_name, definer FROM information_schema.triggers WHERE trigger_schema = 'alice_blog'"; do
	same "$q" "$(sql t "$q")" "$(sql c "$q")"
done
same "grants" "$(sql t "SHOW GRANTS FOR alice@'%'" | sort)" "$(sql c "SHOW GRANTS FOR alice@'%'" | sort)"
q="SELECT r.rolname, rolconnlimit, rolpassword, setconfig FROM pg_authid r LEFT JOIN pg_db_role_setting ON setrole = r.oid WHERE rolname LIKE 'alice%' ORDER BY 1"
same "roles" "$(pg t "$q")" "$(pg c "$q")"
same "owner" "$(pg t "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'alice_pg'")" alice

say "back, with what was written there"
echo "written on transit" >"$W/t/home/alice/www/transit"
imap t append 'INBOX:new on transit:' 'Drafts:a draft:\Draft'
imap t view >"$W/mails"
move rollback alice
served_by c
same "the files" "$(files_of c)" "$(files_of t)"
same "the mails" "$(imap c view)" "$(cat "$W/mails")"

say "there again; sessions that stand are ended"
in_ns c mariadb --no-defaults -h 127.0.0.1 -P 3306 -u alice -psecret -e 'SELECT SLEEP(300)' >"$W/session.sql" 2>&1 &
session=$!
in_ns c env PGPASSWORD=secret psql -h 127.0.0.1 -U alice -d alice_pg -c 'SELECT pg_sleep(300)' >"$W/session.pg" 2>&1 &
pg_session=$!
sleeping() { [ "$(sql c "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'")$(pg c "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")" = 11 ]; }
wait_for sleeping
move migrate alice
wait_for gone $session
wait_for gone $pg_session
served_by t

say "seals and their undo, any number of times, and a hook that is killed"
touch "$W/stop"
for d in "${databases[@]}"; do WAIT=130 wait_for gone "$(pid_of "writer-$d")"; done
nothing_lost t
# on its way home, though no seal ran
for n in c t; do locks_of $n >"$W/locks.$n"; done
same_locks() { for n in c t; do same "locks of $n $1" "$(locks_of $n)" "$(cat "$W/locks.$n")"; done; }
run_hook seal transit client undo
same_locks "after an undo without a seal"
# the state of accounts that are called nearly so is their own
for x in lock new; do echo "nginx $x" >"$W/t/sealed/alice.$x"; done
run_hook seal transit client
run_hook seal transit client
refuses t
for x in lock new; do same "the state of alice.$x" "$(cat "$W/t/sealed/alice.$x")" "nginx $x"; done
rm "$W/t/sealed/alice.lock" "$W/t/sealed/alice.new"
is_open c
run_hook seal transit client undo
run_hook seal transit client undo
same_locks "after seal, seal, undo, undo"
# One that is killed here goes on there, for a while: it stands just before it seals. An undo waits for it, and has the last word.
mkdir "$W/slow"
printf '#!/bin/bash\nif mv %s %s 2>/dev/null; then until [ -e %s ]; do read -rt 0.05 <> <(:); done; fi\nexec /usr/bin/sync "$@"\n' \
	"$W/slow/please" "$W/slow/reached" "$W/slow/go" >"$W/slow/sync"
chmod 755 "$W/slow/sync"
: >"$W/slow/please"
setsid env -i PATH="$W/slow:$PATH" SHUNT_ACCOUNT=alice SHUNT_FROM=transit SHUNT_TO=client SHUNT_HOOK=seal SHUNT_PHASE=apply "$h/seal" >"$W/killed" 2>&1 3>&1 &
hook=$!
wait_for test -e "$W/slow/reached"
kill -KILL -- -$hook
run_hook seal transit client undo &
undo=$!
waits_for_it() { gone $undo || pgrep -f '^flock -w [0-9]+ [0-9]+$' >"$W/waiting"; }
wait_for waits_for_it
: >"$W/slow/go"
wait $undo
rm -r "$W/slow"
same_locks "after a seal that was killed here and went on there, and its undo"
# with nobody to tell its progress to, so that no broken pipe ends the rsync of a hook that is gone
printf '#!/bin/bash\nHOOKS=%s\n. "$HOOKS/common.sh"\n. "$HOOKS/files.sh"\nthere transit files_send client %s %s --bwlimit=20 >%s\n' "$h" "$W/t/home/alice" "$W/c/home/alice" "$W/sent" \
	>"$W/bin/send"
chmod 755 "$W/bin/send"
head -c 3000000 /dev/urandom >"$W/t/home/alice/www/slow"
setsid env -i PATH="$PATH" SHUNT_ACCOUNT=alice SHUNT_FROM=transit SHUNT_TO=client SHUNT_HOOK=prepare SHUNT_PHASE=apply "$W/bin/send" >"$W/killed" 2>&1 &
hook=$!
copying() { pgrep -f "rsync .*$W/t/home/alice" >"$W/rsyncs"; }
wait_for copying
kill -KILL -- -$hook
nobody_copies() { ! copying; }
wait_for nobody_copies
say "files alone, and slips in the configuration"
cat >"$h/hooks.conf" <<END
shell = bash -c
client-state = $W/c/sealed
transit-state = $W/t/sealed
client-files = $W/c/home/%a
transit-files = $W/t/home/%a
END
for x in prepare copy seal verify; do run_hook $x transit client >"$W/prepared"; done
same "the files" "$(files_of c)" "$(files_of t)"
echo 'fils = x' >>"$h/hooks.conf"
fails_with 1 run_hook copy transit client
like "a key that is none" "$OUT" 'line 6: there is no key fils'
sed -i '$s/.*/client-files = \/srv/' "$h/hooks.conf"
fails_with 1 run_hook copy transit client
like "a directory that is not the account's" "$OUT" '/srv must .* have %a'
say "written: $(acked alice_blog) $(acked alice_shop) $(acked postgresql), none lost"
