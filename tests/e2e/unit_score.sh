#!/bin/sh
# The units: systemd accepts each as it is written, and rates its exposure at no more than what it was brought down to.
# Needs systemd-analyze (Debian package systemd); without it the result is 77, cannot run here.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)

command -v systemd-analyze >/dev/null || { echo "unit_score: systemd-analyze is missing (Debian package systemd)"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed() { echo "unit_score: $*"; exit 1; }

# The programs and their manuals need not be installed for the files to be right; everything else must be.
for unit in "$top"/conf/*.service; do
	name=$(basename "$unit" .service)
	program=/usr/sbin/${name%-recover}
	[ "$name" = shunt-serve ] && program=/usr/bin/shunt
	sed -e "s|$program|/bin/true|" -e '/^Documentation=/d' "$unit" >"$work/$name.service"
	grep -q '^ExecStart=/bin/true ' "$work/$name.service" || failed "no ExecStart=$program in $unit"
done
# Together: they name each other. An unknown key is only a warning for the exit code, hence the look at what was said.
if ! said=$(systemd-analyze verify "$work"/*.service 2>&1) || printf '%s\n' "$said" | grep -q 'shunt-[a-z-]*\.service'; then
	failed "systemd-analyze verify: $said"
fi

score() { # UNIT LIMIT-IN-TENTHS
	unit=$top/conf/$1.service
	found=$(systemd-analyze security --offline=yes --no-pager "$unit" | sed -n 's/.*exposure level for [^:]*: \([0-9]*\)\.\([0-9]\).*/\1\2/p')
	[ -n "$found" ] || failed "systemd-analyze gave no score for $unit"
	if [ "$found" -gt "$2" ]; then
		systemd-analyze security --offline=yes --no-pager "$unit" | grep '✗'
		failed "$1: exposure $found tenths, expected at most $2"
	fi
	echo "unit_score: $1: exposure $((found / 10)).$((found % 10)), at most $(($2 / 10)).$(($2 % 10))"
}
has() { # UNIT LINE..
	unit=$top/conf/$1.service
	shift
	for fact; do grep -qx "$fact" "$unit" || failed "$fact is missing from $unit"; done
}
score shunt-proxy 20
has shunt-proxy Restart=always RestartSec=100ms StartLimitIntervalSec=0 WatchdogSec=2s User=shunt \
	'AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN' 'CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_NET_ADMIN' \
	'RestrictAddressFamilies=.* AF_NETLINK' 'After=.* shunt-netctl-recover.service'
for name in shunt-netctl shunt-netctl-recover; do
	score $name 26
	has $name 'CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_DAC_OVERRIDE' KillMode=process StateDirectory=shunt/netctl WantedBy=multi-user.target \
		'RestrictAddressFamilies=.* AF_NETLINK AF_PACKET'
	# What would keep sysctls from being written.
	! grep -E '^(ProtectKernelTunables=yes|ProcSubset=pid)' "$top/conf/$name.service" || failed "$name cannot write sysctls"
done
has shunt-netctl Type=notify Restart=always StartLimitIntervalSec=0 Also=shunt-netctl-recover.service
has shunt-netctl-recover Type=oneshot RemainAfterExit=yes 'After=network-online.target .*' 'Before=.*shunt-proxy.service.*'
score shunt-dnsupdate 22
has shunt-dnsupdate Type=notify Restart=always StartLimitIntervalSec=0 User=root WantedBy=multi-user.target \
	'CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_SETUID CAP_SETGID' 'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX' 'SystemCallFilter=@chown @setuid' \
	'ReadWritePaths=-/var/lib/shunt/dns .*'
score shunt-serve 35
has shunt-serve Type=notify Restart=always StartLimitIntervalSec=0 User=root KillMode=process WantedBy=multi-user.target NoNewPrivileges=yes \
	OOMPolicy=continue 'SystemCallFilter=~@clock .*'
# A move goes on while serve is stopped: its temporary files must stay.
! grep "^PrivateTmp=yes" "$top/conf/shunt-serve.service" || failed "shunt-serve has a /tmp that ends with it"
# It would take /run/shunt away from the user shunt.
! grep '^RuntimeDirectory' "$top/conf/shunt-serve.service" || failed "shunt-serve takes /run/shunt"
# With it the journal would become root's again at every start.
! grep '^StateDirectory' "$top/conf/shunt-dnsupdate.service" || failed "shunt-dnsupdate takes its journal away from shunt-dns"
