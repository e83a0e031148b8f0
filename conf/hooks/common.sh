# shellcheck shell=bash
# common - what the four hooks share: who moves where, hooks.conf, and how something is done on a side.
# A hook runs on the control host. What concerns one side alone is a function that there() sends to a bash on that side, whole, with the
# configuration; names reach it as words and are never a part of its text. Data goes through pipes of the control host (on()).
set -Eeuo pipefail
shopt -s inherit_errexit
export LC_ALL=C
umask 077
exec 3>&1 # where progress goes, also from the middle of a pipe

fail() {
	echo "$*" >&2
	exit 1
}

# Every key, with its default. A key that begins with client- or transit- is that of the one side.
declare -A CONF=(
	[shell]='' [state]=/var/lib/shunt/sealed
	[files]='' [exclude]='' [rsync]=rsync [rsync-shell]='ssh -o BatchMode=yes' [rsync-host]='' [rsync-options]='-aHAX --numeric-ids' [bandwidth]=0
	[nginx-seal]='' [nginx]=nginx [nginx-pid]=/run/nginx.pid [retry-after]=120
	[dovecot-seal]='' [mail-users]='' [mail-users-command]='' [doveadm]=doveadm
	[mariadb-users]='' [mariadb-users-command]='' [mariadb-databases]='' [mariadb-databases-command]=''
	[mariadb]=mariadb [mariadb-dump]=mariadb-dump
	[postgresql-roles]='' [postgresql-roles-command]='' [postgresql-databases]='' [postgresql-databases-command]=''
	[psql]='runuser -u postgres -- psql' [pg_dump]='runuser -u postgres -- pg_dump' [pg_restore]='runuser -u postgres -- pg_restore'
	[web-url]='' [web-host]='' [web-file]='' [imap]=''
)
SERVICES='nginx dovecot mariadb postgresql' # each has _open, _lock and _unlock

# KEY = VALUE, nothing is evaluated. # begins a comment at the start of a line or after a blank.
read_conf() { # FILE
	local line key plain n=0
	while IFS= read -r line || [ -n "$line" ]; do
		n=$((n + 1))
		line=${line%%[[:blank:]]#*}
		[[ $line =~ ^[[:blank:]]*(#.*)?$ ]] && continue
		[[ $line =~ ^[[:blank:]]*([a-z_-]+)[[:blank:]]*=[[:blank:]]*(.*[^[:blank:]])?[[:blank:]]*$ ]] || fail "$1, line $n: not KEY = VALUE: $line"
		key=${BASH_REMATCH[1]}
		plain=${key#client-}
		plain=${plain#transit-}
		[ -n "${CONF[$plain]+known}" ] || fail "$1, line $n: there is no key $key"
		CONF[$key]=${BASH_REMATCH[2]:-}
	done <"$1"
}

# A key's value, of a side where the side has its own; %a is the account.
conf() { # KEY [SIDE]
	local value=${CONF[$1]}
	[ -z "${2:-}" ] || value=${CONF[$2-$1]-$value}
	printf '%s\n' "${value//%a/$ACCOUNT}"
}

# One command line that a shell reads as exactly these words.
quoted() { # WORD..
	local word q="'\\''"
	for word; do printf "'%s' " "${word//"'"/"$q"}"; done
}

# Runs a program on a side; standard input and output are the caller's.
on() { # SIDE WORD..
	local side=$1 shell
	shift
	read -ra shell <<<"$(conf shell "$side")"
	"${shell[@]}" "cd / && exec $(quoted "$@")"
}

# Runs one of our functions on a side, with SIDE set and nothing to read but descriptor 4, which ends when we do: `ssh` leaves behind what it has
# started, so whatever takes long watches it.
there() { # SIDE FUNCTION WORD..
	local side=$1 shell keeper script rc=0
	shift
	read -ra shell <<<"$(conf shell "$side")"
	exec {script}< <(
		echo 'set -Eeuf -o pipefail; shopt -s inherit_errexit; export LC_ALL=C; umask 077; cd /'
		declare -p ACCOUNT CONF SERVICES
		printf 'SIDE=%s\n' "$side"
		declare -f
		echo "exec 4<&0; $(quoted "$@") </dev/null; exit"
		exec sleep 1000000000
	)
	keeper=$!
	"${shell[@]}" 'exec bash -s' <&"$script" || rc=$?
	exec {script}<&-
	kill "$keeper" 2>/dev/null || true
	return $rc
}

progress() { # BASE SPAN PERCENT-OF-SPAN
	local percent=$3
	[ "$percent" -le 100 ] || percent=100
	echo "progress $(($1 + $2 * percent / 100))%" >&3
}

# Passes on what comes and tells progress by its bytes: SIZE of them are SPAN percent, more or less.
counted() { # SIZE BASE SPAN
	dd bs=256K status=progress 2> >(counted_progress "$@")
}
counted_progress() { # SIZE BASE SPAN: reads what dd says, "123456 bytes (123 kB) copied, 2 s, .."
	local line
	while IFS= read -r -d $'\r' line || [ -n "$line" ]; do
		[[ $line =~ ^([0-9]+)' bytes' ]] && [ "$1" -gt 0 ] && progress "$2" "$3" $((100 * BASH_REMATCH[1] / $1))
	done
	return 0
}

# Waits for a fact on this side.
wait_until() { # SECONDS WHAT COMMAND..
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "$SIDE: $what"
		sleep 0.1
	done
}

# Replaces NAMES by what NAMES-command prints on the side that has the account, and looks at every name: from here on they are safe in SQL and paths.
names() { # KEY
	local command name list
	list=$(conf "$1")
	command=$(conf "$1-command")
	if [ -n "$command" ]; then
		# not on(): the command line is the operator's, for a shell to read
		local shell
		read -ra shell <<<"$(conf shell "$FROM")"
		list=$("${shell[@]}" "$command" </dev/null) || fail "$1-command failed on the $FROM side: $command"
	fi
	CONF[$1]=''
	for name in $list; do
		[[ $name =~ ^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$ ]] || fail "$1: unlikely name '$name'"
		CONF[$1]+="${CONF[$1]:+ }$name"
	done
}

sql_list() { # NAME..: 'a','b'
	local name list=''
	for name; do list+="${list:+,}'$name'"; done
	printf '%s' "$list"
}

# ---- who, where, what
# shunt refuses such account names; whoever deletes files looks all the same.
case ${SHUNT_ACCOUNT:-} in '' | .* | *[!A-Za-z0-9._-]*) fail "unlikely account name '${SHUNT_ACCOUNT:-}'" ;; esac
case ${SHUNT_FROM:-}-${SHUNT_TO:-} in client-transit | transit-client) ;; *) fail "SHUNT_FROM and SHUNT_TO must be client and transit" ;; esac
ACCOUNT=$SHUNT_ACCOUNT FROM=$SHUNT_FROM TO=$SHUNT_TO
set -f # names and patterns are ours to expand, not the shell's
for CONF_FILE in "$HOOKS/hooks.conf" /etc/shunt/hooks.conf; do [ ! -e "$CONF_FILE" ] || break; done
[ -e "$CONF_FILE" ] || fail "there is no $HOOKS/hooks.conf nor /etc/shunt/hooks.conf; an example is beside the example hooks"
read_conf "$CONF_FILE"
for SIDE in client transit; do [ -n "$(conf shell $SIDE)" ] || fail "$CONF_FILE: $SIDE-shell is not set: how is a command run there?"; done
for KEY in mail-users mariadb-users mariadb-databases postgresql-roles postgresql-databases; do names $KEY; done
