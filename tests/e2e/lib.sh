# The harness of the stories; a story sources it first:  . "$(dirname "$0")/lib.sh"
# It gives each story its own network namespaces, real nginx on both sides, and a directory $W that ends with it.
#
#        visitor (v)              router (r)            client server (c)        transit server (t)
#   203.0.113.10 .. .14  ---  .1 / 2001:db8:f::1
#   2001:db8:f::10 .. ::14       192.0.2.1       ---  192.0.2.10 .11  2001:db8::10 ::11
#                                198.51.100.1    -------------------------------  198.51.100.10 .11  2001:db8:1::10 ::11
#
# Each story can also be run alone: SHUNT_BUILD names the build (default: build/ of the tree), KEEP=1 keeps $W.
# Facts are waited for with wait_for, never slept for. Only processes started here are ever signalled.
set -Eeuo pipefail
export LC_ALL=C TZ=UTC
umask 077

E2E=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
TOP=$(cd "$E2E/../.." && pwd -P)
TOOLS=$E2E/tools
STORY=$(basename "$0" .sh)
BUILD=${SHUNT_BUILD:-$TOP/build}
PLAIN=${SHUNT_BUILD_PLAIN:-$BUILD}
PROXY=$BUILD/shunt-proxy
SHUNT=$BUILD/shunt
W=$(mktemp -d "${TMPDIR:-/tmp}/e2e-$STORY.XXXXXX")
NS=e2e$$
NAMESPACES=(v r c t) # they end with the story, and all that runs in them
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=$TOOLS
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:exitcode=99:allocator_may_return_null=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
# What the Python drivers need to find their way.
export E2E_W=$W E2E_NS=$NS E2E_SOCK=$W/proxy.sock
mkdir "$W/log" "$W/pid" "$W/bin"

# An enumeration of crashes tries every third point in each run, from a seed on; all of them with tests/run.sh --soak.
SEED=${SHUNT_SEED:-$((RANDOM % 60))}
in_sample() { # N [EVERY]
	[ -n "${SHUNT_ROUNDS:-}" ] || [ $((($1 + SEED) % ${2:-3})) = 0 ]
}

# What runs our programs hundreds of times takes the plain build, but with --soak. Before the other libraries are sourced.
plain_but_for_soak() { [ -n "${SHUNT_ROUNDS:-}" ] || BUILD=$PLAIN PROXY=$PLAIN/shunt-proxy SHUNT=$PLAIN/shunt; }

# ---- saying what happens
say() { printf '%s  %s\n' "$(date +%T.%3N)" "$*"; }
die() {
	say "FAILED: $*" >&2
	exit 1
}
cannot_run() { # 77: the runner counts it as failed and shows this reason
	echo "$*" >&2
	exit 77
}
same() { # WHAT FOUND WANTED
	[ "$2" = "$3" ] || die "$1: found '$2', wanted '$3'"
}
like() { # WHAT FOUND EXTENDED-REGEX
	grep -qE -- "$3" <<<"$2" || die "$1: found '$2', wanted something like '$3'"
}
unlike() { # WHAT FOUND EXTENDED-REGEX
	! grep -qE -- "$3" <<<"$2" || die "$1: found '$2', which must not be like '$3'"
}
# Runs a command quietly until it succeeds; WAIT seconds at the most (default 30: nothing that is right waits for it, and a busy machine stands still for seconds).
wait_for() {
	local end=$((${EPOCHREALTIME/./} + ${WAIT:-30} * 1000000)) pause=30 # ms; longer each time, for asking takes the processor from whoever is waited for
	until "$@" >"$W/wait_for.out" 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt $end ] || die "waited ${WAIT:-30} s for: $* $(tail -n 3 "$W/wait_for.out")"
		read -rt 0.$(printf %03d $pause) <> <(:) || :
		[ $pause -ge 150 ] || pause=$((pause + 10))
	done
}
# The command must fail with this exit code; its output (both streams) stays in $OUT.
fails_with() { # CODE COMMAND..
	local want=$1 rc=0
	shift
	OUT=$("$@" 2>&1) || rc=$?
	[ "$rc" = "$want" ] || die "$* ended with $rc instead of $want: $OUT"
}
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# ---- namespaces
in_ns() { # v|r|c|t COMMAND..
	local ns=$NS$1
	shift
	nsenter --net="/run/netns/$ns" "$@"
}
link() { # NS DEVICE ROUTER-DEVICE
	ip link add "$2" netns "$NS$1" type veth peer name "$3" netns "${NS}r"
	ip -n "$NS$1" link set "$2" up
	ip -n "${NS}r" link set "$3" up
}
addresses() { # NS DEVICE ADDRESS..
	local ns=$NS$1 dev=$2 a
	shift 2
	for a; do
		case $a in *:*) ip -n "$ns" addr add "$a" dev "$dev" nodad ;; *) ip -n "$ns" addr add "$a" dev "$dev" ;; esac
	done
}
net_up() {
	local n
	[ "$(id -u)" = 0 ] || cannot_run "network namespaces need root"
	for n in "${NAMESPACES[@]}"; do
		ip netns add "$NS$n" || cannot_run "no network namespace could be made here"
		ip -n "$NS$n" link set lo up
	done
	link v eth0 v0
	link c eth0 c0
	link t eth0 t0
	in_ns r sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	addresses r v0 203.0.113.1/24 2001:db8:f::1/64
	addresses r c0 192.0.2.1/24 2001:db8::1/64
	addresses r t0 198.51.100.1/24 2001:db8:1::1/64
	addresses v eth0 203.0.113.{10,11,12,13,14}/24 2001:db8:f::{10,11,12,13,14}/64
	addresses c eth0 192.0.2.{10,11}/24 2001:db8::{10,11}/64
	addresses t eth0 198.51.100.{10,11}/24 2001:db8:1::{10,11}/64
	ip -n "${NS}v" route add default via 203.0.113.1
	ip -n "${NS}c" route add default via 192.0.2.1
	ip -n "${NS}t" route add default via 198.51.100.1
	ip -n "${NS}v" route add default via 2001:db8:f::1
	ip -n "${NS}c" route add default via 2001:db8::1
	ip -n "${NS}t" route add default via 2001:db8:1::1
}

# ---- processes
# What goes before a program that runs ahead of whatever else the machine does, for it matters when it does things.
AHEAD=(chrt -f 10)
"${AHEAD[@]}" true 2>/dev/null || AHEAD=(nice -n -15)
# When a process began, in ticks since the boot: with it a number names one process, for numbers are used again within a minute here.
born() { # PID
	local line fields
	{ read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -ra fields <<<"${line##*) }"
	echo "${fields[19]}"
}
is_another() { # NAME: the process of that name has ended, and its number is somebody else's
	[ -e "$W/born/$1" ] && [ "$(born "$(pid_of "$1")")" != "$(cat "$W/born/$1")" ]
}
start() { # NAME NS COMMAND..: in the background; its output is $W/log/NAME
	local name=$1 ns=$NS$2
	shift 2
	nsenter --net="/run/netns/$ns" "$@" >>"$W/log/$name" 2>&1 </dev/null &
	echo $! >"$W/pid/$name"
	mkdir -p "$W/born"
	born $! >"$W/born/$name" || rm -f "$W/born/$name"
	disown
}
pid_of() { cat "$W/pid/$1"; }
gone() { # PID: also true for a zombie, once its last thread has let go of files and locks
	! kill -0 "$1" 2>/dev/null || { grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null && [ "$(ls "/proc/$1/task" 2>/dev/null | wc -l)" -le 1 ]; }
}
alive() { ! gone "$(pid_of "$1")"; }
stop() { # NAME [SIGNAL]: and waits until it is gone
	[ -e "$W/pid/$1" ] || return 0
	local pid
	pid=$(pid_of "$1")
	if is_another "$1"; then rm -f "$W/pid/$1"; return 0; fi
	rm -f "$W/pid/$1"
	kill -"${2:-TERM}" "$pid" 2>/dev/null || return 0
	WAIT=${WAIT:-30} wait_for gone "$pid"
}
sanitizer_reports() { grep -lE 'AddressSanitizer|LeakSanitizer|runtime error:|Sanitizer: ' "$W"/log/* 2>/dev/null; }
# shellcheck disable=SC2317
cleanup() {
	local rc=$? f pid
	trap - EXIT ERR INT TERM HUP
	set +e
	# the proxy first and gently: leaks are reported at its end
	if [ $rc = 0 ] && [ -e "$W/pid/proxy" ] && ! gone "$(pid_of proxy)"; then
		pid=$(pid_of proxy)
		(WAIT=60 stop proxy) || { rc=1; echo "shunt-proxy does not end after SIGTERM" >&2; kill -KILL "$pid"; }
	fi
	for f in "$W"/pid/*; do is_another "${f##*/}" && rm -f "$f"; done
	for f in "$W"/pid/*; do [ -e "$f" ] && kill -TERM "$(cat "$f")" 2>/dev/null; done
	for f in "$W"/pid/*; do
		[ -e "$f" ] || continue
		pid=$(cat "$f")
		for _ in {1..40}; do gone "$pid" && break; read -rt 0.05 <> <(:); done
		kill -KILL "$pid" 2>/dev/null
	done
	if sanitizer_reports >/dev/null; then
		rc=1
		echo "a sanitizer has found something:" >&2
	fi
	if [ $rc != 0 ]; then
		for f in "$W"/log/*; do
			[ -s "$f" ] || continue
			echo "---- ${f#"$W/"}"
			if grep -qE 'Sanitizer|runtime error:' "$f"; then grep -aE -m1 -A60 'Sanitizer|runtime error:' "$f"; else tail -n "${TAIL:-40}" "$f"; fi
		done >&2
	fi
	for f in "${NAMESPACES[@]}"; do
		# what our processes have left behind in there, detached
		for pid in $(ip netns pids "$NS$f" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
		ip netns del "$NS$f" 2>/dev/null
	done
	if [ -n "${KEEP:-}" ]; then echo "kept: $W" >&2; else rm -rf "$W"; fi
	exit $rc
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
trap 'rc=$?; echo "$0: line $LINENO: ended with $rc: $BASH_COMMAND" >&2; exit $rc' ERR

[ -x "$PROXY" ] || cannot_run "no shunt-proxy in $BUILD: build first, or set SHUNT_BUILD"

# ---- the two web servers
certificate() { # one self-made certificate for every name the stories use
	[ -e "$W/cert.pem" ] && return
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -keyout "$W/key.pem" -out "$W/cert.pem" \
		-subj /CN=shunt-test -addext 'subjectAltName=DNS:alice.example,DNS:*.alice.example,DNS:bob.example,DNS:*.bob.example,DNS:carol.example,DNS:dave.example,DNS:nobody.example' \
		2>"$W/log/openssl"
}
# nginx of one side. It logs, tab separated: start end status id host uri peer proxied-for real-ip proxy-address scheme server-address peer-port.
#   http 8080/80, https 8443/443, with PROXY protocol http 81 and https 8444. /app/ is tools/app.py (uploads, downloads, WebSockets).
nginx_up() { # c|t ADDRESS HTTP HTTPS
	local side=$1 address=$2 http=$3 https=$4 name=client
	[ "$side" = t ] && name=transit
	mkdir -p "$W/nginx-$side"
	cat >"$W/nginx-$side/conf" <<-END
		daemon off;
		master_process off;
		pid $W/nginx-$side/pid;
		error_log $W/log/nginx-$side warn;
		events { worker_connections 4096; }
		http {
			log_format story '\$msec\t\$request_time\t\$status\t\$http_x_req_id\t\$host\t\$request_uri\t\$remote_addr\t\$http_x_forwarded_for\t\$http_x_real_ip\t\$proxy_protocol_addr\t\$scheme\t\$server_addr\t\$remote_port';
			access_log $W/nginx-$side/access story;
			client_body_temp_path $W/nginx-$side/body; proxy_temp_path $W/nginx-$side/proxy; fastcgi_temp_path $W/nginx-$side/f;
			uwsgi_temp_path $W/nginx-$side/u; scgi_temp_path $W/nginx-$side/s;
			client_max_body_size 0; keepalive_timeout 300s; keepalive_requests 1000000; server_tokens off;
			ssl_certificate $W/cert.pem; ssl_certificate_key $W/key.pem;
			map \$http_upgrade \$connection_upgrade { default upgrade; '' ''; }
			server {
				listen $address:$http; listen $address:$https ssl;
				listen $address:81 proxy_protocol; listen $address:8444 ssl proxy_protocol;
				$([ "$address" = 0.0.0.0 ] && echo "listen [::]:$http; listen [::]:$https ssl;")
				$([ "$side" = t ] && echo "listen [2001:db8:1::10]:80; listen [2001:db8:1::10]:443 ssl; listen [2001:db8:1::10]:81 proxy_protocol; listen [2001:db8:1::10]:8444 ssl proxy_protocol; listen 198.51.100.11:80; listen 198.51.100.11:443 ssl;")
				default_type text/plain;
				add_header X-Side $name always;
				location / { return 200 "$name \$host \$request_uri \$http_x_req_id\n"; }
				location /app/ {
					proxy_pass http://127.0.0.1:9000; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;
					proxy_read_timeout 300s; proxy_set_header Host \$host; proxy_set_header Upgrade \$http_upgrade;
					proxy_set_header Connection \$connection_upgrade;
				}
			}
		}
	END
	: >"$W/nginx-$side/access"
	answered_up() { [ -n "$(seen "$side" '$3 == 200 && $6 == "/app/up"')" ]; }
	start "app-$side" "$side" python3 "$TOOLS/app.py" "$name" 127.0.0.1 9000 "$W/nginx-$side/app"
	start "nginx-$side" "$side" nginx -e "$W/log/nginx-$side" -c "$W/nginx-$side/conf" -p "$W/nginx-$side"
	wait_for in_ns "$side" curl -sf -o "$W/nginx-$side/up" "http://$address:$http/"
	wait_for in_ns "$side" curl -sf -o "$W/nginx-$side/up" "http://$address:$http/app/up"
	wait_for answered_up # its line comes after the answer, and is not to come after the log has been emptied
	: >"$W/nginx-$side/access"
}
web_up() {
	certificate
	nginx_up c 127.0.0.1 8080 8443
	nginx_up t 198.51.100.10 80 443
}
# Ids (and whatever else awk prints) of requests a side has logged: seen c '$5 == "alice.example" {print $4}'
seen() { awk -F '\t' "${2:-{print \$4\}}" "$W/nginx-$1/access"; }
saw() { seen "$1" '{print $4}' | grep -xF -- "$2" >/dev/null; } # SIDE REQUEST-ID; -q would end before awk has written all, which fails, too
once_logged() { wait_for saw "$1" "$2" && seen "$1" "\$4 == \"$2\" {print $3}"; } # SIDE REQUEST-ID WHAT-AWK-PRINTS: once it is there, for nginx logs after it has answered

# ---- shunt-proxy
# Writes $W/shunt.conf: the usual server with pairs and listeners; standard input goes into the proxy section, further sections from $MORE.
# LISTENERS=none leaves the usual listeners out.
proxy_conf() {
	{
		cat <<-END
			server "web42" {
			  pair { client = "192.0.2.10"    transit = "198.51.100.10" }
			  pair { client = "192.0.2.11"    transit = "198.51.100.11" }
			  pair { client = "2001:db8::10"  transit = "2001:db8:1::10" }
			  pair { client = "2001:db8::11"  transit = "2001:db8:1::11" }
			}
			proxy {
			  workers = 2
			  control = "unix:$W/proxy.sock"
			  table = "$W/table"
			  access-log = "$W/access.log"
		END
		if [ "${LISTENERS:-usual}" = usual ]; then
			cat <<-'END'
				  listener "web"     { address = "192.0.2.10"   port = 80   protocol = "http" local = "127.0.0.1:8080" }
				  listener "web6"    { address = "2001:db8::10" port = 80   protocol = "http" local = "127.0.0.1:8080" }
				  listener "web11"   { address = "192.0.2.11"   port = 80   protocol = "http" local = "127.0.0.1:8080" }
				  listener "https"   { address = "192.0.2.10"   port = 443  protocol = "tls"  local = "127.0.0.1:8443" }
				  listener "https6"  { address = "2001:db8::10" port = 443  protocol = "tls"  local = "127.0.0.1:8443" }
				  listener "https11" { address = "192.0.2.11"   port = 443  protocol = "tls"  local = "127.0.0.1:8443" }
			END
		fi
		if [ ! -t 0 ]; then sed 's/^/  /'; fi
		echo '}'
		cat <<-END
			control {
			  state = "$W/shunt.db"
			  proxy = "unix:$W/proxy.sock"
			${CONTROL:-}
			}
			${MORE:-}
		END
	} >"$W/shunt.conf"
	"$PROXY" -c "$W/shunt.conf" --check >"$W/log/check" 2>&1 || die "the configuration is refused: $(cat "$W/log/check")"
}
proxy_start() { # further arguments: a prefix such as "prlimit --nofile=64"
	start proxy c "$@" "$PROXY" -c "$W/shunt.conf" --foreground
	wait_for proxy_answers
}
proxy_answers() {
	! gone "$(pid_of proxy)" || die "shunt-proxy has ended: $(tail -n 5 "$W/log/proxy")"
	ask hello >/dev/null
}
ask() { # CMD [FIELDS-AS-JSON]: the answer as one line of JSON; fails if the proxy refuses
	python3 "$TOOLS/ctl.py" "$W/proxy.sock" "$@"
}
field() { # JSON PATH.TO.FIELD
	python3 -c 'import json, sys
v = json.loads(sys.argv[1])
for k in sys.argv[2].split("."):
    v = v[int(k)] if isinstance(v, list) else v.get(k)
print(v if isinstance(v, str) else json.dumps(v))' "$1" "$2"
}
ALICE='{"name":"alice","domains":["alice.example","*.alice.example"],"databases_gb":0.1}'
BOB='{"name":"bob","domains":["bob.example","*.bob.example","www.alice.example"]}'
CAROL='{"name":"carol","domains":["carol.example"],"addresses":["192.0.2.11"],"ports":[8300]}'
accounts_json() { # alice and carol on the client side, bob on $1 (default: transit)
	local bob=${1:-transit}
	printf '{"accounts":[%s,%s,%s]}' "$ALICE" "${BOB%\}},\"side\":\"$bob\"}" "$CAROL"
}
accounts_up() { python3 "$TOOLS/ctl.py" "$W/proxy.sock" import-begin + import-add "$(accounts_json "$@")" + import-commit >"$W/log/import"; }

# ---- certificates of our own
authority() { # DIRECTORY NAME..: with a certificate for each
	local dir=$1 name
	"$SHUNT" pki init "$dir" >>"$W/log/certificates" 2>&1 || die "$(cat "$W/log/certificates")"
	for name in "${@:2}"; do
		"$SHUNT" pki issue "$name" "$dir" >>"$W/log/certificates" 2>&1 || die "$(cat "$W/log/certificates")"
	done
}

# ---- the command
shunt() { # from the client server's namespace
	in_ns c "$SHUNT" -c "$W/shunt.conf" "$@"
}
import() { # accounts through the command: all on the client side
	printf '[%s,%s,%s]\n' "$ALICE" "$BOB" "$CAROL" >"$W/accounts.json"
	shunt account import "$W/accounts.json"
}

# ---- a visitor with curl
visit() { # CURL-ARGUMENTS..: names of the stories lead to the client server
	in_ns v curl -sS --max-time "${MAX:-60}" --noproxy '*' --cacert "$W/cert.pem" \
		--resolve '*:80:192.0.2.10' --resolve '*:443:192.0.2.10' "$@"
}
visit6() {
	in_ns v curl -sS --max-time "${MAX:-60}" --noproxy '*' --cacert "$W/cert.pem" \
		--resolve '*:80:[2001:db8::10]' --resolve '*:443:[2001:db8::10]' "$@"
}
side_of() { # URL: the side that answers, or the status
	visit -o "$W/visit.body" -w '%{http_code} %header{x-side}' "$1" | awk '{print $1 == 200 ? $2 : $1}'
}
py() { # SCRIPT ARGUMENTS..: a driver; it makes its sockets in the namespaces itself
	python3 "$E2E/$1" "${@:2}"
}
