# shellcheck shell=bash
# files - an account's directories: home, sites, Maildirs. The side that has them sends them, by rsync, straight to the other.
# Maildir keeps flags in file names and UIDs in dovecot-uidlist: who copies all files copies these.

# On the side that has the account. It ends with the control host's hook: a copy must not go on behind an undone move.
files_send() { # OTHER-SIDE FROM-PATH TO-PATH RSYNC-OPTION..
	local other=$1 from=$2 to=$3 host excludes=() rsync options pattern sender watch rc=0
	shift 3
	host=$(conf rsync-host "$other")
	read -ra rsync <<<"$(conf rsync "$SIDE")"
	read -ra options <<<"$(conf rsync-options "$SIDE")"
	for pattern in $(conf exclude "$SIDE"); do excludes+=("--exclude=$pattern"); done
	"${rsync[@]}" "${options[@]}" "${excludes[@]}" --delete --delete-delay --mkpath --timeout=600 --no-inc-recursive --info=progress2 --outbuf=N \
		-e "$(conf rsync-shell "$SIDE")" "$@" "$from/" "${host:+$host:}$to/" 4<&- &
	sender=$!
	{ read -r <&4 || true; kill "$sender"; } >/dev/null 2>&1 &
	watch=$!
	wait "$sender" || rc=$?
	kill "$watch" 2>/dev/null || true
	return $rc
}

files_progress() { # BASE SPAN: reads what rsync says, "  1,234,567  45%  12.3MB/s  0:00:12"
	local line
	while IFS= read -r -d $'\r' line || [ -n "$line" ]; do
		[[ $line =~ [[:blank:]]([0-9]{1,3})%[[:blank:]] ]] && progress "$1" "$2" "${BASH_REMATCH[1]}"
	done
	return 0
}

# On the control host: all directories, sharing SPAN percent of the display.
files_copy() { # BASE SPAN RSYNC-OPTION..
	local base=$1 span=$2 i rc from to
	shift 2
	read -ra from <<<"$(conf files "$FROM")"
	read -ra to <<<"$(conf files "$TO")"
	[ ${#from[@]} = ${#to[@]} ] || fail "files: the sides have different numbers of directories"
	for i in "${!from[@]}"; do
		# rsync --delete is about to clear what is there: both must be the account's own, and no path may climb
		case "${from[i]}|${to[i]}" in /*"$ACCOUNT"*"|/"*"$ACCOUNT"*) ;; *) fail "files: ${from[i]} and ${to[i]} must be absolute and have %a in them" ;; esac
		case "${from[i]}/|${to[i]}/" in */../* | */./*) fail "files: no . or .. in ${from[i]} and ${to[i]}" ;; esac
		for _ in 1 2 3; do
			rc=0
			there "$FROM" files_send "$TO" "${from[i]}" "${to[i]}" "$@" | files_progress $((base + span * i / ${#from[@]})) $((span / ${#from[@]})) || rc=$?
			[ $rc = 24 ] || break # a file has gone between the list and its turn: look again
		done
		[ $rc != 24 ] || [ "$SHUNT_HOOK" != prepare ] || rc=0 # it is in service, and comes with the next pass
		[ $rc = 0 ] || fail "rsync of ${from[i]} to the $TO side failed with $rc"
	done
	progress "$base" "$span" 100
}
