#!/usr/bin/env bash
# Runs every test of shunt, as root on Debian 12: make check under sanitizers, then the end-to-end stories in network namespaces.
#
#   tests/run.sh [--quick] [--soak] [--no-install] [--keep] [NAME..]
#
#   NAME..         only these: unit test programs (test_http) and stories (move_crash); "unit" is all of make check
#   --quick        the sanitizer build alone, without the stories marked "# long"; says which are left out
#   --soak         also takeover_lab, which tries the laboratory itself; the_whole_job with 200 rounds instead of 5, every point of the enumerations
#                  of crashes and faults, a thousand zones on each name server, eight_steps three times in its long form
#   --no-install   installs no packages; says what is missing
#   --keep         keeps the temporary directory with builds and logs, and says where
#   JOBS=N         stories at once (default: 5; most of their time they wait)
#
# Everything happens in a temporary copy; the tree itself is not written to. A test that cannot run counts as failed.
# The last line is "N passed, N failed"; exit 0 only if nothing failed.
set -uo pipefail
export LC_ALL=C TZ=UTC DEBIAN_FRONTEND=noninteractive
unset MAKEFLAGS MAKELEVEL CFLAGS CPPFLAGS LDFLAGS CC SHUNT_TEST_KILL SHUNT_TEST_BOOT_ID SHUNT_TEST_PROBE_S
exec </dev/null

top=$(cd "$(dirname "$0")/.." && pwd -P)
quick=no soak=no install=yes keep=no
names=()
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=yes ;;
	--soak) soak=yes ;;
	--no-install) install=no ;;
	--keep) keep=yes ;;
	-h | --help) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0"; exit 0 ;;
	-*) echo "$0: unknown option $1 (see --help)" >&2; exit 2 ;;
	*) name=${1##*/}; names+=("${name%.sh}") ;;
	esac
	shift
done
[ "$(id -u)" = 0 ] || { echo "$0: must run as root: the stories make network namespaces" >&2; exit 2; }

. "$top/tests/packages.sh"
passed=0 failed=0
tmp=$(mktemp -d "${TMPDIR:-/tmp}/shunt-test.XXXXXX")
running=()
finish() {
	local pid
	for pid in "${running[@]}"; do kill -TERM "$pid" 2>/dev/null; done
	for pid in "${running[@]}"; do wait "$pid" 2>/dev/null; done
	if [ $keep = yes ]; then echo "kept: $tmp"; else rm -rf "$tmp"; fi
}
interrupted() { trap - EXIT; packages_interrupted; finish; exit 130; }
trap finish EXIT
trap interrupted INT TERM HUP

pass() { passed=$((passed + 1)); printf 'ok      %s%s\n' "$1" "${2:+ ($2)}"; }
fail() { # NAME REASON LOGFILE
	failed=$((failed + 1))
	printf 'FAILED  %s: %s\n' "$1" "$2"
	[ -s "${3:-}" ] && { tail -n "${LOG_LINES:-250}" "$3" | sed 's/^/    | /'; }
	{
		printf '  %s: %s\n' "$1" "$2"
		# a story's own words end where the logs of its programs begin
		[ -s "${3:-}" ] && sed '/^---- /,$d' "$3" | tail -n 15 | cut -c 1-400 | sed 's/^/    | /'
	} >>"$tmp/failures"
	return 0
}
result() {
	trap - EXIT
	# once more at the end, in short: who reads only that sees what to look at
	[ $failed = 0 ] || { echo "What failed:"; cat "$tmp/failures"; }
	finish
	echo "$passed passed, $failed failed"
	[ $failed = 0 ]
	exit $?
}
wanted() { # NAME: is it to run?
	local n
	[ ${#names[@]} = 0 ] && return 0
	for n in "${names[@]}"; do [ "$n" = "$1" ] && return 0; done
	return 1
}

# ---- packages
need_packages() {
	local p missing=()
	for p in gcc libc6-dev make autoconf automake pkg-config libevent-dev libssl-dev libnl-route-3-dev libc-ares-dev libconfuse-dev libjansson-dev libsqlite3-dev libldns-dev libcurl4-openssl-dev libcmocka-dev; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
	done
	# Programs are looked for by name: who has another nginx package keeps it.
	while read -r tool p; do
		command -v "$tool" >/dev/null || missing+=("$p")
	done <<-END
		nginx nginx-light
		python3 python3
		systemd-analyze systemd
		curl curl
		openssl openssl
		ip iproute2
		nft nftables
		nsenter util-linux
		ps procps
		clang clang
		dnsmasq dnsmasq-base
		slowhttptest slowhttptest
		sqlite3 sqlite3
		named bind9
		rndc bind9-utils
		dig bind9-dnsutils
		knotd knot
		kdig knot-dnsutils
		pdns_server pdns-server
		unbound unbound
		strace strace
		mariadbd mariadb-server
		mariadb-dump mariadb-client
		doveadm dovecot-core
		rsync rsync
		promtool prometheus
		chromium chromium
		chromedriver chromium-driver
		groff groff-base
	END
	# A back end, a plug-in or a directory of versions is found by no name.
	for p in pdns-backend-sqlite3 dovecot-imapd postgresql python3-jsonschema; do
		dpkg-query -W -f '${Status}' $p 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
	done
	python3 -c 'import asyncio, ssl, json, sqlite3' 2>/dev/null || missing+=(python3)
	[ ${#missing[@]} = 0 ] && return 0
	if [ $install = no ]; then
		fail packages "missing: ${missing[*]} (and --no-install was given)"
		result
	fi
	echo "installing: ${missing[*]}"
	install_packages_without_services "$tmp/apt.log" "${missing[@]}" || { fail packages "apt-get could not install: ${missing[*]}" "$tmp/apt.log"; result; }
}
need_packages

# ---- a copy of the source, and its builds
src=$tmp/src
mkdir "$src"
if files=$(git -c safe.directory='*' -C "$top" ls-files -co --exclude-standard 2>/dev/null) && [ -n "$files" ]; then
	(cd "$top" && git -c safe.directory='*' ls-files -co --exclude-standard -z | while IFS= read -r -d '' f; do [ -e "$f" ] && printf '%s\0' "$f"; done |
		tar -c --null -T -) | tar -x -C "$src"
else
	tar -C "$top" --exclude=./.git --exclude='./build*' --exclude=./config.status --exclude=./Makefile --exclude='*.o' --exclude='*.a' -c . | tar -x -C "$src"
fi
find "$src" -exec touch -d '1 minute ago' {} +
if ! (cd "$src" && ./autogen.sh) >"$tmp/autogen.log" 2>&1; then
	fail autogen "autogen.sh failed" "$tmp/autogen.log"
	result
fi

# Configures and compiles everything, tests included, in $tmp/NAME. PROGRAMS: only what is installed, and these tools of stories. LINKER=true: links nothing.
build() { # NAME CONFIGURE-ARGUMENTS..
	local name=$1 began=$SECONDS
	shift
	mkdir "$tmp/$name"
	if (
		cd "$tmp/$name" && ../src/configure "$@" && make ${LINKER:+CCLD=$LINKER} -j"$(nproc)" all &&
			make ${LINKER:+CCLD=$LINKER} -j"$(nproc)" ${PROGRAMS:-check TESTS=}
	) >"$tmp/$name.log" 2>&1; then
		pass "$name" "$((SECONDS - began)) s"
		return 0
	fi
	fail "$name" "does not build" "$tmp/$name.log"
	return 1
}

# Leak reports of the daemons belong to the stories; nothing may go on after a report.
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99:detect_stack_use_after_return=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
# -O1, as configure chooses for it, and lines in reports, but no more for the debugger: it builds in half the time
build build-sanitizers --enable-sanitizers --enable-test-kill CFLAGS=-g1 || result
export SHUNT_BUILD=$tmp/build-sanitizers SHUNT_BUILD_PLAIN=$tmp/build-sanitizers

# ---- make check; much of its time it waits, and the other builds do not
unit_tests() {
	local all=() some=() t
	for t in "$src"/tests/unit/test_*.c; do
		[ -e "$t" ] || continue
		t=${t##*/}
		all+=("${t%.c}")
	done
	if [ ${#names[@]} != 0 ] && ! wanted unit; then
		for t in "${all[@]}"; do wanted "$t" && some+=("tests/unit/$t"); done
		[ ${#some[@]} = 0 ] && return
		make -C "$SHUNT_BUILD" check TESTS="${some[*]}" >"$tmp/check.log" 2>&1 &
	else
		make -C "$SHUNT_BUILD" -j"$(nproc)" check >"$tmp/check.log" 2>&1 &
	fi
	check=$!
	running=("$check")
}
report_unit_tests() {
	local n=0 trs outcome program
	wait "$check"
	running=()
	while IFS= read -r trs; do
		n=$((n + 1))
		program=${trs#"$SHUNT_BUILD"/}
		program=${program%.trs}
		outcome=$(sed -n 's/^:global-test-result: *//p' "$trs")
		if [ "$outcome" = PASS ]; then pass "$program"; else fail "$program" "${outcome:-no result}" "${trs%.trs}.log"; fi
	done < <(find "$SHUNT_BUILD" -name '*.trs' | sort)
	[ $n -gt 0 ] || fail "make check" "ran no test program" "$tmp/check.log"
}
check=
if [ ${#names[@]} = 0 ] || wanted unit || printf '%s\n' "${names[@]}" | grep -q '^test_'; then unit_tests; fi
if [ $quick = yes ]; then
	echo "left out by --quick: build-clang build-plain"
else
	if [ ${#names[@]} = 0 ]; then LINKER=true build build-clang CC=clang CFLAGS=-O0; fi
	# What is heavy in load, or limits address space, which AddressSanitizer cannot live with, uses this one.
	PROGRAMS="tests/e2e/tools/prober tests/e2e/tools/answerer tests/e2e/tools/faultshim.so" build build-plain --enable-test-kill CFLAGS="-O2 -g1" || result
	SHUNT_BUILD_PLAIN=$tmp/build-plain
fi
[ -z "$check" ] || report_unit_tests

# ---- stories
[ $soak = yes ] && export SHUNT_ROUNDS=200 SHUNT_EIGHT_STEPS=3 STORY_TIMEOUT="${STORY_TIMEOUT:-10800}"
stories=() slow=() left_out=()
for s in "$src"/tests/e2e/*.sh; do
	n=${s##*/}
	n=${n%.sh}
	case $n in lib | *_lib) continue ;; esac
	wanted "$n" || continue
	if [ $soak = no ] && [ ${#names[@]} = 0 ] && grep -q '^# soak' "$s"; then left_out+=("$n"); continue; fi
	if [ $quick = yes ] && [ ${#names[@]} = 0 ] && grep -q '^# long' "$s"; then left_out+=("$n"); continue; fi
	# the long ones first, then the slow ones: they decide when all are done
	if grep -q '^# long' "$s"; then slow=("$n" "${slow[@]}"); elif grep -q '^# slow' "$s"; then slow+=("$n"); else stories+=("$n"); fi
done
stories=("${slow[@]}" "${stories[@]}")
[ ${#left_out[@]} = 0 ] || echo "left out without --soak$([ $quick = no ] || echo ", and by --quick"): ${left_out[*]}"
for n in "${names[@]}"; do
	[ -e "$src/tests/e2e/$n.sh" ] || [ -e "$src/tests/unit/$n.c" ] || [ "$n" = unit ] || fail "$n" "there is no such test"
done

run_story() { # NAME: leaves its exit code, its time and its processor time in $tmp/story/NAME.rc
	local began=$SECONDS rc=0
	timeout -k 20 "${STORY_TIMEOUT:-800}" "$src/tests/e2e/$1.sh" >"$tmp/story/$1.log" 2>&1 &
	local pid=$!
	trap 'kill -TERM $pid 2>/dev/null; wait $pid' TERM
	wait $pid || rc=$?
	# this is a process of its own, which has waited for nobody but the story
	times >"$tmp/story/$1.times"
	echo "$rc $((SECONDS - began)) $(awk -F '[ms ]+' 'END { print int($1 * 60 + $2 + $3 * 60 + $4 + 0.5) }' "$tmp/story/$1.times")" >"$tmp/story/$1.rc"
}
report() { # NAME
	local rc seconds processor
	read -r rc seconds processor <"$tmp/story/$1.rc"
	case $rc in
	0) pass "$1" "$seconds s, $processor s of a processor" ;;
	77) fail "$1" "could not run here: $(tail -n 1 "$tmp/story/$1.log")" "$tmp/story/$1.log" ;;
	124 | 137) fail "$1" "still running after $seconds s" "$tmp/story/$1.log" ;;
	*) fail "$1" "exit $rc after $seconds s" "$tmp/story/$1.log" ;;
	esac
}
mkdir "$tmp/story"
declare -A busy=()
i=0
while [ $i -lt ${#stories[@]} ] || [ ${#busy[@]} -gt 0 ]; do
	while [ $i -lt ${#stories[@]} ] && [ ${#busy[@]} -lt "${JOBS:-5}" ]; do
		run_story "${stories[$i]}" &
		busy[$!]=${stories[$i]}
		running=("${!busy[@]}")
		i=$((i + 1))
	done
	wait -n "${!busy[@]}" 2>/dev/null
	for pid in "${!busy[@]}"; do
		n=${busy[$pid]}
		[ -e "$tmp/story/$n.rc" ] || kill -0 "$pid" 2>/dev/null && [ ! -e "$tmp/story/$n.rc" ] && continue
		[ -e "$tmp/story/$n.rc" ] || echo "1 0 0" >"$tmp/story/$n.rc"
		wait "$pid" 2>/dev/null
		unset "busy[$pid]"
		running=("${!busy[@]}")
		report "$n"
	done
done
[ $((passed + failed)) -gt 0 ] || fail tests "none were run"
result
