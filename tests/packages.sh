# Packages for the quick start and the tests, on a machine that is somebody's: no daemon that comes with one of them starts, now or with the next
# boot. What was installed before is left as it is. Sourced; whoever is interrupted calls packages_interrupted.
packages_policy='' # a policy-rc.d of ours, while it is there
packages_interrupted() {
	[ -z "$packages_policy" ] || rm -f "$packages_policy"
	packages_policy=''
}
install_packages_without_services() { # LOG PACKAGE..: fails as apt-get does; LOG has what it said
	local log=$1 rc=0 p unit
	shift
	[ -e /usr/sbin/policy-rc.d ] || { packages_policy=/usr/sbin/policy-rc.d; printf '#!/bin/sh\nexit 101\n' >$packages_policy; chmod 755 $packages_policy; }
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get -qq update && apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null || rc=$?
	packages_interrupted
	[ $rc = 0 ] || return $rc
	command -v systemctl >/dev/null || return 0
	while read -r p unit; do
		case " $* " in *" $p "*) systemctl --quiet disable "$unit" >>"$log" 2>&1 || echo "could not disable $unit: it may start with the next boot" >&2 ;; esac
	done <<-END
		nginx nginx
		nginx-light nginx
		bind9 named
		knot knot
		pdns-server pdns
		unbound unbound
		mariadb-server mariadb
		dovecot-core dovecot
		postgresql postgresql
		rsync rsync
		prometheus prometheus
	END
}
