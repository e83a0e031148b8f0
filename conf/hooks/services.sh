# shellcheck shell=bash
# services - what makes a side refuse the account, and its undo; nginx and Dovecot (the databases are in mariadb.sh and postgresql.sh).
# Before anything is locked, what is open is written to the side's state file; the undo opens exactly that. So what somebody else has locked
# stays locked, an undo without a seal does nothing, and both may be repeated. All but seal_if_open() runs on the side itself.
#   SERVICE_open    prints a line "SERVICE ITEM" for everything of the account that is open now
#   SERVICE_lock    refuses all of the account, ends its sessions, and returns when that is true
#   SERVICE_unlock  ITEM..  opens these again

state_lines() {
	local file
	file=$(conf state "$SIDE")/$ACCOUNT
	[ ! -e "$file" ] || cat "$file"
}
state_write() { # the lines: on disk before what they describe. No account's name begins with a dot, but one may end in .new
	local dir
	dir=$(conf state "$SIDE")
	mkdir -p "$dir"
	printf '%s\n' "$1" >"$dir/.$ACCOUNT.new"
	sync "$dir/.$ACCOUNT.new"
	mv "$dir/.$ACCOUNT.new" "$dir/$ACCOUNT"
	sync "$dir"
}

# One at a time for an account on this side, until this process ends. Where the control host's end of a hook is killed, this end goes on for a
# while: whoever comes next, an undo perhaps, waits for it, and who waited for us to begin and has gone meanwhile changes nothing any more.
alone() {
	local dir seconds=50
	[ -z "${LOCK:-}" ] || return 0
	dir=$(conf state "$SIDE")
	mkdir -p "$dir"
	exec {LOCK}>"$dir/.$ACCOUNT.lock"
	flock -w $seconds "$LOCK" || fail "$SIDE: another hook has been at work on $ACCOUNT for $seconds s: see who holds $dir/.$ACCOUNT.lock"
	# descriptor 4 has nothing to read but its end
	! read -rt 0 -u 4 || fail "$SIDE: whoever asked for this has gone"
}

# Everything of a service that is to be open when the side is: what is open, and what was when it was sealed.
open_by_right() { # SERVICE..
	local service wanted
	for service; do
		wanted=$(state_lines)
		grep "^$service " <<<"$wanted" || true
		"${service}_open"
	done
}
seal_side() {
	local lines service
	alone
	# shellcheck disable=SC2086 # a list of words
	lines=$(open_by_right $SERVICES)
	state_write "$(sort -u <<<"$lines")"
	for service in $SERVICES; do "${service}_lock"; done
}
unseal_side() {
	local lines service item items
	alone
	lines=$(state_lines)
	for service in $SERVICES; do
		items=()
		while read -r item; do items+=("$item"); done < <(sed -n "s/^$service //p" <<<"$lines")
		[ ${#items[@]} = 0 ] || "${service}_unlock" "${items[@]}"
	done
	rm -f "$(conf state "$SIDE")/$ACCOUNT"
}
is_sealed() { [ -e "$(conf state "$SIDE")/$ACCOUNT" ]; }

# From the control host, for when visitors wait: prepare has seen to it. Only an undo or a seal cares for one that stopped half way.
seal_if_open() { # SIDE
	there "$1" is_sealed || there "$1" seal_side
}

# ---- nginx: a file that the account's server blocks include
nginx_open() {
	local file
	file=$(conf nginx-seal "$SIDE")
	[ -z "$file" ] || [ -e "$file" ] || echo "nginx $file"
}
nginx_lock() {
	local file
	file=$(conf nginx-seal "$SIDE")
	[ -n "$file" ] || return 0
	if [ ! -e "$file" ]; then
		mkdir -p -m 0755 "${file%/*}"
		printf '# shunt: this account is served by the other side\nadd_header Retry-After %s always;\nreturn 503;\n' "$(conf retry-after "$SIDE")" >"$file.new"
		chmod 0644 "$file.new"
		mv "$file.new" "$file"
	fi
	nginx_reload
	[ -z "$(conf web-url "$SIDE")" ] || ! nginx_runs || wait_until 10 "nginx still serves $ACCOUNT: do its server blocks include $file ?" web_refuses
}
nginx_unlock() { # FILE
	rm -f "$1"
	nginx_reload # and no more: an application may have a 503 of its own
}
nginx_runs() {
	local pid
	pid=$(cat "$(conf nginx-pid "$SIDE")" 2>/dev/null) && kill -0 "$pid" 2>/dev/null
}
# One that does not run reads its files when it starts. -t before: a reload that nginx refuses is one that nobody hears of.
nginx_reload() {
	local nginx before
	nginx_runs || return 0
	read -ra nginx <<<"$(conf nginx "$SIDE")"
	"${nginx[@]}" -q -t || fail "$SIDE: nginx -t refuses its configuration; nothing was reloaded"
	before=$(nginx_workers)
	"${nginx[@]}" -s reload
	wait_until 30 "nginx has not taken up its configuration: see its error log" nginx_renewed "$before"
}
nginx_workers() { # those that accept: one that shuts down says so in its title
	local master pid title
	master=$(cat "$(conf nginx-pid "$SIDE")")
	for pid in $(cat "/proc/$master/task/$master/children"); do
		title=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || continue
		case $title in *'shutting down'*) ;; *'worker process'*) echo "$pid" ;; esac
	done
}
nginx_renewed() { # WORKERS-OF-BEFORE
	local now
	now=$(nginx_workers)
	[ -n "$now" ] && [ -z "$(comm -12 <(sort <<<"$1") <(sort <<<"$now"))" ]
}
web_status() {
	local url host
	url=$(conf web-url "$SIDE")
	host=$(conf web-host "$SIDE")
	curl -so /dev/null -m 10 --noproxy '*' -w '%{http_code}' ${host:+-H "Host: $host"} "$url" || true
}
web_refuses() { [ "$(web_status)" = 503 ]; }

# ---- Dovecot: a passdb with deny = yes has a file for each user that is refused
dovecot_open() {
	local dir user
	dir=$(conf dovecot-seal "$SIDE")
	[ -n "$dir" ] || return 0
	for user in $(conf mail-users); do [ -e "$dir/$user" ] || echo "dovecot $user"; done
}
# A file that Dovecot's own user cannot read is a temporary failure, [UNAVAILABLE], at which no mail program asks for another password. Where
# the process is root, the name in it is refused.
dovecot_lock() {
	local dir user doveadm
	dir=$(conf dovecot-seal "$SIDE")
	[ -n "$dir" ] || return 0
	read -ra doveadm <<<"$(conf doveadm "$SIDE")"
	mkdir -p -m 0755 "$dir"
	for user in $(conf mail-users); do
		[ -e "$dir/$user" ] || { printf '%s:\n' "$user" >"$dir/.$user.new" && chmod 0000 "$dir/.$user.new" && mv "$dir/.$user.new" "$dir/$user"; }
		"${doveadm[@]}" who -1 >/dev/null 2>&1 || continue # it does not run
		"${doveadm[@]}" auth cache flush "$user" >/dev/null 2>&1 || true # there may be no cache
		wait_until 15 "Dovecot keeps a session of $user" dovecot_kicked "$user"
	done
}
dovecot_kicked() { # USER
	local doveadm
	read -ra doveadm <<<"$(conf doveadm "$SIDE")"
	[ -n "$("${doveadm[@]}" who -1 "$1" 2>/dev/null | awk -v user="$1" '$1 == user')" ] || return 0
	"${doveadm[@]}" kick "$1" >/dev/null 2>&1 || true
	return 1
}
dovecot_unlock() { # USER..
	local user
	for user; do rm -f "$(conf dovecot-seal "$SIDE")/$user"; done
}
