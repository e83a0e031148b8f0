#!/bin/sh
# The unit of shunt-proxy: systemd accepts it as it is written, and rates its exposure at 2.0 or better.
# Needs systemd-analyze (Debian package systemd); without it the result is 77, cannot run here.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
unit=$top/conf/shunt-proxy.service
limit=20 # tenths

command -v systemd-analyze >/dev/null || { echo "unit_score: systemd-analyze is missing (Debian package systemd)"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The program and its manuals need not be installed for the file to be right; everything else must be.
sed -e 's|/usr/sbin/shunt-proxy|/bin/true|' -e '/^Documentation=/d' "$unit" >"$work/shunt-proxy.service"
grep -q '^ExecStart=/bin/true ' "$work/shunt-proxy.service" || { echo "unit_score: no ExecStart=/usr/sbin/shunt-proxy in $unit"; exit 1; }
# An unknown key is only a warning for the exit code, hence the look at what was said.
if ! said=$(systemd-analyze verify "$work/shunt-proxy.service" 2>&1) || printf '%s\n' "$said" | grep -q 'shunt-proxy\.service'; then
	echo "unit_score: systemd-analyze verify: $said"
	exit 1
fi

score=$(systemd-analyze security --offline=yes --no-pager "$unit" | sed -n 's/.*exposure level for [^:]*: \([0-9]*\)\.\([0-9]\).*/\1\2/p')
[ -n "$score" ] || { echo "unit_score: systemd-analyze gave no score"; exit 1; }
if [ "$score" -gt "$limit" ]; then
	echo "unit_score: exposure $score tenths, expected at most $limit"
	systemd-analyze security --offline=yes --no-pager "$unit" | grep '✗'
	exit 1
fi
for fact in Restart=always RestartSec=100ms StartLimitIntervalSec=0 WatchdogSec=2s User=shunt \
	'AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN' 'CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_NET_ADMIN'; do
	grep -qx "$fact" "$unit" || { echo "unit_score: $fact is missing from $unit"; exit 1; }
done
echo "unit_score: exposure $((score / 10)).$((score % 10)), at most 2.0"
