#!/usr/bin/env bash
# Measures how long `shunt check` takes for all accounts of a server: each with one domain, asked for over HTTP and HTTPS on both sides (nginx),
# from a controller that is so far away. Prints one line per measurement: seconds, and the most memory that the command had.
#
#   tests/bench/check.sh [--accounts N] [--line MS] [--away]      SHUNT_BUILD: a build without sanitizers
#
#   --accounts  how many (default 2000)
#   --line      there and back between the controller and shunt-proxy, by mutual TLS (default 100); 0: on one host, over a Unix socket
#   --away      in the end once more, while the transit server answers nothing at all
accounts=2000 line=100 away=
while [ $# -gt 0 ]; do
	case $1 in
	--accounts) accounts=$2; shift 2 ;;
	--line) line=$2; shift 2 ;;
	--away) away=yes; shift ;;
	-h | --help) sed -n '2,/^accounts/{s/^# \{0,1\}//;/^accounts/d;p}' "$0"; exit 0 ;;
	*) echo "check.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
	esac
done
[[ $accounts =~ ^[1-9][0-9]{0,5}$ ]] || { echo "check.sh: --accounts: found $accounts, expected 1 to 999999" >&2; exit 2; }
[[ $line =~ ^[0-9]{1,4}$ ]] || { echo "check.sh: --line: found $line, expected 0 to 9999" >&2; exit 2; }
LINE_MS=$((line / 2))
. "$(dirname "$0")/../e2e/lib.sh"
. "$E2E/takeover_lib.sh"
. "$E2E/netctl_lib.sh"
. "$E2E/remote_lib.sh"
lab_up segment
lines_up
authority "$W/tls" "$(own_address cli)" "$(own_address tra)" controller
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=a.example -addext 'subjectAltName=DNS:*.a.example' \
	-keyout "$W/site.key" -out "$W/site.crt" 2>"$W/log/openssl"
for n in cli tra; do
	mkdir -p "$W/web-$n"
	cat >"$W/web-$n/conf" <<-END
		daemon off; master_process off; pid $W/web-$n/pid; error_log $W/log/web-$n warn; events { worker_connections 4096; }
		http {
			access_log off; client_body_temp_path $W/web-$n/b; proxy_temp_path $W/web-$n/p; fastcgi_temp_path $W/web-$n/f;
			uwsgi_temp_path $W/web-$n/u; scgi_temp_path $W/web-$n/s; default_type text/html;
			server {
				listen 0.0.0.0:80; listen 0.0.0.0:443 ssl http2; ssl_certificate $W/site.crt; ssl_certificate_key $W/site.key;
				location / { return 200 "<title>\$host</title><p>the same on both sides"; }
				location /.well-known/ { return 404; }
			}
		}
	END
	start "web-$n" "$n" nginx -e "$W/log/web-$n" -c "$W/web-$n/conf" -p "$W/web-$n"
	wait_for in_ns "$n" curl -sf -o "$W/o" http://127.0.0.1/
done
remote_conf <<<'listener "https" { port = 443 protocol = "tls" }'
for n in cli tra; do netctl_serve $n; done
proxy_there
python3 - "$accounts" >"$W/accounts.json" <<'END'
import json, sys
for i in range(int(sys.argv[1])):
    print(json.dumps({"name": "a%d" % i, "domains": ["a%d.a.example" % i]}))
END
where=(k "$W/net-k/conf")
if [ "$line" = 0 ]; then
	sed "s|proxy = \"tls:[^\"]*\"|proxy = \"unix:$W/proxy/sock\"|" "$W/net-k/conf" >"$W/local.conf"
	where=(cli "$W/local.conf")
fi
shunt() { in_ns "${where[0]}" "$SHUNT" -c "${where[1]}" --yes "$@"; }
shunt account import "$W/accounts.json" >"$W/o" 2>&1 || die "$(cat "$W/o")"
busy() { awk '{print $14 + $15}' "/proc/$(cat "$W/pid/$1")/stat"; } # hundredths of a second
measure() { # WHAT ARGUMENTS..
	local what=$1 before
	before=$(busy proxy)
	shift
	in_ns "${where[0]}" python3 - "$what" "$W/check" "$SHUNT" -c "${where[1]}" "$@" <<-'END'
		import resource, subprocess, sys, time
		began = time.monotonic()
		rc = subprocess.run(sys.argv[3:], stdout=open(sys.argv[2], "w"), stderr=subprocess.STDOUT).returncode
		took, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
		print("%s: %.1f s, of the processor %.1f s, at most %d MiB, exit %d" % (sys.argv[1], took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, rc))
	END
	echo "  shunt-proxy: of the processor $((($(busy proxy) - before) / 100)) s; $(tail -n 1 "$W/check" | cut -c1-100)"
}
echo "$accounts accounts, $line ms"
measure "check" check
measure "check --json" --json check
if [ -n "$away" ]; then
	in_ns tra nft -f - <<-'END'
		table inet wall { chain in { type filter hook input priority 0; tcp dport { 80, 443 } drop; }; }
	END
	measure "check, the transit server away" check
fi
awk '/VmHWM/ {print "shunt-proxy: at most " int($2 / 1024) " MiB"}' "/proc/$(cat "$W/pid/proxy")/status"
