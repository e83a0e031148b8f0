#!/usr/bin/env bash
# Ordinary visitors of two accounts on two sides: each request goes where its own name says, over HTTP, HTTPS and IPv6.
. "$(dirname "$0")/lib.sh"
net_up
web_up
proxy_conf <<'END'
listener "ports" { address = "192.0.2.11" port = 8300 protocol = "tcp" local = "127.0.0.1:8080" transit-port = 80 }
END
proxy_start
accounts_up

# names: exact, wildcard, longer before shorter, nobody's (the client side by default)
for scheme in http https; do
	same "$scheme alice" "$(side_of $scheme://alice.example/)" client
	same "$scheme *.alice" "$(side_of $scheme://shop.alice.example/)" client
	same "$scheme www.alice is bob's" "$(side_of $scheme://www.alice.example/)" transit
	same "$scheme bob" "$(side_of $scheme://bob.example/x?y=z)" transit
	same "$scheme *.bob" "$(side_of $scheme://x.bob.example/)" transit
	same "$scheme carol" "$(side_of $scheme://carol.example/)" client
	same "$scheme nobody" "$(side_of $scheme://nobody.example/)" client
done
same "upper case" "$(visit -H 'Host: BOB.EXAMPLE' -o "$W/o" -w '%header{x-side}' http://bob.example/)" transit
same "a port" "$(visit -H 'Host: bob.example:8080' -o "$W/o" -w '%header{x-side}' http://bob.example/)" transit
same "absolute form" "$(visit -x http://192.0.2.10:80 -o "$W/o" -w '%header{x-side}' http://bob.example/abs)" transit
same "IPv6" "$(visit6 -o "$W/o" -w '%header{x-side}' http://bob.example/)" transit
same "IPv6 alice" "$(visit6 -o "$W/o" -w '%header{x-side}' https://alice.example/)" client
# by address and port: carol owns 192.0.2.11
same "tcp by address" "$(in_ns v curl -s -o "$W/o" -w '%header{x-side}' http://192.0.2.11:8300/)" client
same "http by address" "$(in_ns v curl -s -0 -H 'Host:' -o "$W/o" -w '%header{x-side}' http://192.0.2.11/)" client

# the visitor's address arrives on either side, what it claims itself does not
visit --interface 203.0.113.12 -H 'X-Forwarded-For: 10.6.6.6' -H 'X-Req-Id: xff-b' -o "$W/o" http://bob.example/
visit --interface 203.0.113.13 -H 'X-Real-IP: 10.6.6.6' -H 'X-Req-Id: xff-a' -o "$W/o" http://alice.example/
visit6 --interface 2001:db8:f::12 -H 'X-Req-Id: xff-6' -o "$W/o" http://bob.example/
same "address at transit" "$(once_logged t xff-b '$8, $9')" "203.0.113.12 203.0.113.12"
same "address at the client side" "$(once_logged c xff-a '$8, $9')" "203.0.113.13 203.0.113.13"
same "IPv6 address at transit" "$(once_logged t xff-6 '$8, $9')" "2001:db8:f::12 2001:db8:f::12"

# one connection for names on both sides: curl keeps it, since only the Host differs
mapfile -t got < <(for n in 1 2 3 4 5 6; do
	printf 'url = "http://192.0.2.10/%s"\nheader = "Host: %s"\noutput = "%s"\nwrite-out = "%%header{x-side} %%{num_connects}\\n"\n' \
		$n "$([ $((n % 2)) = 1 ] && echo alice.example || echo bob.example)" "$W/o"
	[ $n = 6 ] || echo next
done >"$W/curlrc"; in_ns v curl -sS -K "$W/curlrc")
same "A-B-A-B on one connection" "${got[*]}" "client 1 transit 0 client 0 transit 0 client 0 transit 0"

# pipelined, and big bodies both ways
py http_routing.py
head -c 20000000 /dev/urandom >"$W/upload"
sum=$(sha256sum <"$W/upload" | cut -d' ' -f1)
for name in alice bob; do
	for scheme in http https; do
		for how in -T --data-binary; do
			arg=$W/upload
			[ $how = --data-binary ] && arg=@$W/upload
			out=$(visit -X POST -H 'Expect:' $how "$arg" $scheme://$name.example/app/upload)
			like "upload $name $scheme $how" "$out" "\"sha256\": \"$sum\""
		done
		out=$(visit -X POST -H 'Transfer-Encoding: chunked' --data-binary "@$W/upload" $scheme://$name.example/app/upload)
		like "chunked upload $name $scheme" "$out" "\"sha256\": \"$sum\""
		same "download $name $scheme" "$(visit $scheme://$name.example/app/download?kb=10000 | wc -c)" 10240000
	done
done

# what `route` says is what happens
for host in alice.example bob.example www.alice.example x.bob.example; do
	answer=$(ask route "{\"host\":\"$host\",\"port\":80}")
	same "route of $host" "$(field "$answer" side)" "$(side_of http://$host/)"
done
same "route of nobody" "$(field "$(ask route '{"host":"nobody.example","port":80}')" account)" null
# and the access log knows whose requests they were
wait_for grep -qE '"server.address":"bob.example".*"shunt.account":"bob","shunt.side":"transit"' "$W/access.log"
