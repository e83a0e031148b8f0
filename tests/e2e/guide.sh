#!/usr/bin/env bash
# The guide of README.md, as it stands there: its files are installed, its commands run in their order on three hosts, what fails is made to fail, and
# what each command prints is what the README says. In the end both servers and the zone are as they were.
#
#   tests/e2e/guide.sh            compares
#   tests/e2e/guide.sh --write    and writes into the README what the commands print now
#
#   visitor   203.0.113.10 --- rt --+-- control  192.0.2.7        each host has its own network, its name, and /etc, /run and /var/lib of its own;
#   name servers (d) ----------'    +-- web42    192.0.2.2 .10    bin/systemctl starts the units' programs there
#                                   +-- transit  192.0.2.50
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/takeover_lib.sh"
. "$(dirname "$0")/dns_lib.sh"
. "$(dirname "$0")/guide_lib.sh"

README=${README:-$TOP/README.md}
G=$W/guide
mkdir "$G"
cp "$README" "$G/README.md" # which may be edited meanwhile
python3 "$TOOLS/guide.py" list "$G/README.md" "$G"
hosts_up
names_up
while read -r n kind words; do
	case $kind in
	stage)
		# shellcheck disable=SC2086
		$words
		;;
	file) install_file "$words" "$G/$n" ;;
	command)
		rc=0
		on "$words" "$(cat "$G/$n")" >"$G/$n.out" 2>&1 || rc=$?
		echo $rc >"$G/$n.rc"
		[ -z "${TRACE:-}" ] || { say "$words# $(cat "$G/$n")"; cat "$G/$n.out"; [ $rc = 0 ] || echo "(exit $rc)"; } >&2
		;;
	esac
done <"$G/steps"
case ${1:-} in
--write)
	cmp -s "$README" "$G/README.md" || die "README.md was edited meanwhile"
	python3 "$TOOLS/guide.py" check "$README" "$G" write
	;;
*) python3 "$TOOLS/guide.py" check "$G/README.md" "$G" || die "README.md says something else; after looking, $0 --write" ;;
esac
