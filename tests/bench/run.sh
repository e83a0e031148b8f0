#!/bin/bash
# Measures shunt-proxy against HAProxy and nginx, and shunt-dnsupdate against nsupdate, on the same work; see bench.py, takeover.sh and dns.sh
# for how. As root, on Debian 12.
# Exit: 0 measured (whether the targets are met or not), 1 a measurement could not be made, 2 usage.
set -euo pipefail

usage()
{
	cat <<-END
	usage: tests/bench/run.sh [options]
	  --rounds N       rounds per row (default 41; of dns 3)
	  --quick          5 rounds (of dns 1)
	  --shunt PATH     this shunt-proxy instead of building one
	  --build DIR      a configured build directory to build in, instead of a temporary one with -O2
	  --planes LIST    of shunt,haproxy,haproxy-splice,nginx (default: all)
	  --rows LIST      of connect,exchange,bulk,http,http-mixed,memory,calls,takeover,dns (default: all)
	  --zones N        of dns (default 200)
	  --output FILE    where the JSON goes (default: tests/bench/result.json; takeover.json and dns.json beside it)
	END
	exit "$1"
}

top=$(cd "$(dirname "$0")/../.." && pwd)
shunt='' build='' planes=shunt,haproxy,haproxy-splice,nginx rows='' output=$top/tests/bench/result.json pass=() dns=()
while [ $# -gt 0 ]; do
	case $1 in
	--quick) pass+=("$1"); dns+=(--rounds 1) ;;
	--rounds) [ $# -ge 2 ] || usage 2; pass+=("$1" "$2"); dns+=("$1" "$2"); shift ;;
	--zones) [ $# -ge 2 ] || usage 2; dns+=("$1" "$2"); shift ;;
	--rows) [ $# -ge 2 ] || usage 2; rows=$2; shift ;;
	--output) [ $# -ge 2 ] || usage 2; output=$2; shift ;;
	--planes) [ $# -ge 2 ] || usage 2; planes=$2; shift ;;
	--shunt) [ $# -ge 2 ] || usage 2; shunt=$(realpath "$2"); shift ;;
	--build) [ $# -ge 2 ] || usage 2; build=$(realpath "$2"); shift ;;
	-h | --help) usage 0 ;;
	*) echo "run.sh: unknown option $1" >&2; usage 2 ;;
	esac
	shift
done
[ "$(id -u)" = 0 ] || { echo 'run.sh: needs root, for network namespaces' >&2; exit 1; }
[ -z "$shunt" ] || [ -x "$shunt" ] || { echo "run.sh: $shunt cannot be run" >&2; exit 2; }

tmp=$(mktemp -d -t shunt-bench-build.XXXXXX)
child=''
# A service that apt-get starts on installation would be in nobody's interest here.
policy=/usr/sbin/policy-rc.d ours=''
cleanup()
{
	[ -z "$child" ] || { kill "$child" 2>/dev/null && wait "$child"; } || true
	[ -z "$ours" ] || rm -f "$policy"
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

needed='haproxy nginx libnginx-mod-stream strace python3 iproute2 util-linux
	gcc make autoconf automake pkg-config libevent-dev libc-ares-dev libconfuse-dev libjansson-dev libsqlite3-dev libldns-dev libcurl4-openssl-dev libssl-dev libnl-route-3-dev nftables
	bind9 bind9-dnsutils bind9-utils knot knot-dnsutils pdns-server pdns-backend-sqlite3 sqlite3 unbound openssl'
missing=()
for package in $needed; do
	dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
	echo "# installing ${missing[*]}" >&2
	if [ ! -e "$policy" ]; then
		ours=yes
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"; } >"$tmp/apt.log" 2>&1 || {
		tail -n 20 "$tmp/apt.log" >&2
		exit 1
	}
	[ -z "$ours" ] || { rm -f "$policy"; ours=''; }
fi

make_in()
{
	make -j"$(nproc)" -C "$@" >"$tmp/make.log" 2>&1 || { tail -n 30 "$tmp/make.log" >&2; return 1; }
}

if [ -z "$build" ]; then
	# A copy of the source, so that neither a configured source tree nor the lack of a configure script is in the way.
	echo '# building' >&2
	mkdir "$tmp/source" && build=$tmp/source
	tar -C "$top" --exclude=.git --exclude='./build*' --exclude='*.o' --exclude='*.a' -cf - . | tar -C "$build" -xf -
	(
		cd "$build"
		[ ! -e Makefile ] || make distclean
		./autogen.sh && ./configure --disable-tests CFLAGS='-O2 -g'
	) >"$tmp/configure.log" 2>&1 || { tail -n 20 "$tmp/configure.log" >&2; exit 1; }
fi
make_in "$build" bench-tools
case ,$planes, in
*,shunt,*)
	if [ -z "$shunt" ]; then
		make_in "$build" shunt-proxy
		shunt=$build/shunt-proxy
	fi
	pass+=(--shunt "$shunt")
	;;
esac

run() { # in the background, so that a signal reaches us, and through us it
	"$@" &
	child=$!
	status=0
	wait "$child" || status=$?
	child=''
	return "$status"
}
others=$(tr ',' '\n' <<<"$rows" | grep -vxE 'takeover|dns' | paste -sd, || :)
if [ -z "$rows" ] || [ -n "$others" ]; then
	run python3 "$top/tests/bench/bench.py" --tools "$build/tests/bench" --planes "$planes" --rows "$others" --output "$output" ${pass[@]+"${pass[@]}"}
fi
case ,${rows:-takeover}, in
*,takeover,*)
	make_in "$build" shunt-netctl shunt-proxy shunt tests/e2e/tools/prober tests/e2e/tools/answerer
	echo '# addresses move, in three topologies' >&2
	SHUNT_BUILD=$build run "$top/tests/bench/takeover.sh" --output "$(dirname "$output")/takeover.json" 2>"$tmp/takeover.log" ||
		{ tail -n 20 "$tmp/takeover.log" >&2; exit 1; }
	;;
esac
case ,${rows:-dns}, in
*,dns,*)
	make_in "$build" shunt-dnsupdate shunt-proxy
	echo '# records change, on three DNS servers' >&2
	SHUNT_BUILD=$build run "$top/tests/bench/dns.sh" --output "$(dirname "$output")/dns.json" ${dns[@]+"${dns[@]}"} 2>"$tmp/dns.log" ||
		{ tail -n 20 "$tmp/dns.log" >&2; exit 1; }
	;;
esac
