#!/usr/bin/env bash
# long
# Too many, too slow, too much: those who behave are served all along, nothing crashes or spins, and it recovers by itself.
. "$(dirname "$0")/lib.sh"
net_up
web_up
command -v slowhttptest >/dev/null || cannot_run "slowhttptest is missing"

conf() {
	proxy_conf <<-END
		http-head-timeout = 6
		hello-timeout = 6
		keep-alive = ${KEEP:-5}
		$*
	END
}
# ---- 60 slow heads; and slowhttptest in all its ways, two of the four in an ordinary run: service available throughout
conf
proxy_start
accounts_up
py limits.py slow
ways=(-H -B -R -X)
for i in 0 1 2 3; do
	in_sample $i 2 || continue
	how=${ways[i]}
	# an attack that is answered at once is over before it can be watched
	url=http://192.0.2.10/ rate=100
	case $how in -B) url+=app/upload ;; -R) rate=20 ;; esac
	in_ns v slowhttptest $how -c 150 -r $rate -i 2 -l 10 -p 7 -u $url >"$W/log/slowhttptest" 2>&1 &
	tester=$!
	n=0 began=$(now_ms)
	while kill -0 $tester 2>/dev/null; do
		same "service during slowhttptest $how" "$(side_of http://alice.example/) $(side_of https://bob.example/)" "client transit"
		n=$((n + 1))
		read -rt 0.2 <> <(:) || : # it is the tester that is to be busy
	done
	wait $tester || :
	[ $n -ge 2 ] && [ $(($(now_ms) - began)) -ge 5000 ] || die "slowhttptest $how ended after $(($(now_ms) - began)) ms and $n requests of ours: $(tail -n 5 "$W/log/slowhttptest")"
	unlike "slowhttptest $how" "$(tr '\n' ' ' <"$W/log/slowhttptest")" 'service available:[^A-Z]*NO'
done
stop proxy

# ---- 64 descriptors, 200 clients: no crash, no spinning, the control socket answers, and all is well when they leave
proxy_start prlimit --nofile=64:64
py limits.py descriptors
alive proxy || die "shunt-proxy has ended for want of descriptors"
stop proxy

# ---- caps: per source, and in all; who has got in stays in while they are counted
KEEP=60
conf "source-connections = 20"
proxy_start
py limits.py sources
stop proxy
conf "source-rate = 10"
proxy_start
py limits.py rate
stop proxy
conf "max-connections = 100"
proxy_start
py limits.py budget
stop proxy

# ---- no address space, on the build that is not under AddressSanitizer where there is one: its idle connections are measured too
PROXY=$PLAIN/shunt-proxy
conf
proxy_start
py limits.py memory
alive proxy || die "shunt-proxy has ended for want of memory"
py limits.py idle
py limits.py table
alive proxy || die "shunt-proxy has ended"
stop proxy

# ---- the access log's disk is full; the reader of the log is gone
KEEP= PROXY=$BUILD/shunt-proxy
rm "$W"/table "$W"/table.* # 100 000 accounts, which this build would take half a minute to read
conf
sed -i 's|access-log = .*|access-log = "/dev/full"|' "$W/shunt.conf"
proxy_start
accounts_up
same "with a full disk" "$(side_of https://bob.example/)" transit
py limits.py requests # lines wait in a buffer before they are lost
lost() { python3 -c 'import json, re, sys
text = json.dumps(json.loads(sys.argv[1]))
sys.exit(0 if re.search(r"lost[^,}]*: *[1-9]", text) else 1)' "$(ask status)"; }
wait_for lost
same "no flood of complaints" "$(($(grep -ciE 'No space|lost' "$W/log/proxy") < 10))" 1
stop proxy
conf
mkfifo "$W/pipe"
start reader c cat "$W/pipe"
start proxy c sh -c 'exec "$@" 2>"$0"' "$W/pipe" "$PROXY" -c "$W/shunt.conf" --foreground
WAIT=60 wait_for proxy_answers
stop reader KILL
for _ in {1..20}; do ask hold '{"name":"alice"}' >"$W/o" && ask release '{"name":"alice","spread-ms":0}' >"$W/o"; done
same "with nobody reading the log" "$(side_of http://alice.example/) $(side_of http://bob.example/)" "client transit"
alive proxy || die "shunt-proxy has ended with the reader of its log"
