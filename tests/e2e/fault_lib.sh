# Faults by count; sourced after lib.sh:  . "$(dirname "$0")/fault_lib.sh"
# tools/faultshim.c makes the Nth write, fsync, rename, send.. of a program fail. The programs are those of the plain build.
#
#   faulty FAULT COMMAND..      runs it with SHUNT_FAULT=FAULT; what was reached is noted in $FAULT_LOG
#   met                         whether the fault was reached since the log was emptied
#   at_faults PROGRAM MOST TRY ARGUMENT..     runs TRY FAULT ARGUMENT.. : with --soak for every class, N = 1, 2, .. until the Nth call is
#                               not reached any more; else without a fault, to count, and then at MOST points, each of another class
#   at_fault                    for messages: what fails, where
SHIM=$PLAIN/tests/e2e/tools/faultshim.so
FAULT_LOG=$W/fault.log
SHUNT=$PLAIN/shunt PROXY=$PLAIN/shunt-proxy NETCTL=$PLAIN/shunt-netctl DNSUPDATE=$PLAIN/shunt-dnsupdate
FAULT_CLASSES="write fsync rename send open unlink mkdir truncate"
REACHED=0 # in all
[ -e "$SHIM" ] || cannot_run "no $SHIM: make check TESTS= builds it"
[ "$STORY" = fault_shim ] || ! grep -qa __asan_init "$SHUNT" || cannot_run "AddressSanitizer has to be loaded first, and so has the shim: set SHUNT_BUILD_PLAIN"
faulty() { env LD_PRELOAD="$SHIM" SHUNT_FAULT="$1" SHUNT_FAULT_LOG="$FAULT_LOG" "${@:2}"; }
met() { [ -s "$FAULT_LOG" ] && [[ $FAULT != *:count ]]; }
at_fault() { echo "$FAULT, at $(head -n 1 "$FAULT_LOG" 2>/dev/null || echo "none reached")"; }
# What such a call really fails with. A peer that has gone would be a lie: it is there, and would be waited for.
error_of() { # CLASS N
	local all
	case $1 in
	write) all=(EIO ENOSPC EIO:short ENOSPC:short EDQUOT) ;;
	send) all=(ENOBUFS ENOMEM) ;;
	fsync) all=(EIO ENOSPC) ;;
	open) all=(ENOSPC EMFILE EACCES) ;;
	*) all=(EIO ENOSPC EROFS) ;;
	esac
	echo "${all[$(($2 % ${#all[@]}))]}"
}
one_fault() { # PROGRAM CLASS N TRY..
	FAULT=$1:$2:$3:$(error_of "$2" "$3")
	: >"$FAULT_LOG"
	"$4" "$FAULT" "${@:5}"
}
every_fault() { # PROGRAM TRY..
	local program=$1 class n began
	shift
	for class in $FAULT_CLASSES; do
		n=1 began=$SECONDS
		# one alone, to see what it does: SHUNT_FAULT_ONLY=shunt:write:249
		case ${SHUNT_FAULT_ONLY:-} in
		'' | "$program" | "$program:$class") ;;
		"$program:$class:"*) n=${SHUNT_FAULT_ONLY##*:} ;;
		*) continue ;;
		esac
		while one_fault "$program" "$class" $n "$@" && met && [ "${SHUNT_FAULT_ONLY:-}" != "$program:$class:$n" ]; do n=$((n + 1)); done
		REACHED=$((REACHED + n - 1))
		say "$program, $*: $class at $((n - 1)) points ($((SECONDS - began)) s)"
	done
}
some_faults() { # PROGRAM MOST TRY..
	local program=$1 most=$2 class n i tried=0 reached=0 all=() began=$SECONDS
	shift 2
	FAULT=$program:count
	: >"$FAULT_LOG"
	"$1" "$FAULT" "${@:2}"
	wait_for test -s "$FAULT_LOG" # a guard ends by itself
	awk '{ n[$1] = $2 } END { for (c in n) print c, n[c] }' "$FAULT_LOG" | sort >"$W/counts" # of those that forked, the last one knows all
	RANDOM=$((SEED * 97 + ${#FAULT} + $(cksum <<<"$*" | cut -c 1-4)))
	while read -r class n; do [ "$n" = 0 ] || all+=("$class $((1 + RANDOM % n))"); done <"$W/counts"
	[ ${#all[@]} -gt 0 ] || die "$program, $*: none of its calls was counted"
	for ((n = RANDOM; tried < most && tried < ${#all[@]}; n++, tried++)); do
		# shellcheck disable=SC2086
		one_fault "$program" ${all[n % ${#all[@]}]} "$@"
		# a guard is still about its end
		for ((i = 0; i < 30; i++)); do ! met && [ "$program" = guard ] && { read -rt 0.1 <> <(:) || :; } || break; done
		! met || reached=$((reached + 1))
	done
	REACHED=$((REACHED + reached))
	[ $reached -ge $((tried / 2)) ] || die "$program, $*: only $reached of $tried points were reached: $(paste -sd ' ' "$W/counts")"
	say "$program, $*: $reached of $(awk '{ n += $2 } END { print n }' "$W/counts") points ($((SECONDS - began)) s)"
}
at_faults() { # PROGRAM MOST TRY..
	if [ -n "${SHUNT_ROUNDS:-}" ]; then every_fault "$1" "${@:3}"; else some_faults "$@"; fi
}
