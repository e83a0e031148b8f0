#!/usr/bin/env bash
# The control socket: who may speak, what is refused, what nobody can exhaust.
. "$(dirname "$0")/lib.sh"
net_up
# The proxy and its peers know a group "shunt" here, whether the machine has it or not.
{ grep -v '^shunt:' /etc/group; echo 'shunt:x:64123:'; } >"$W/group"
mkdir -m 755 "$W/run"
chmod 711 "$W"
with_group() { unshare -m sh -c 'mount --bind "$0/group" /etc/group && exec "$@"' "$W" "$@"; }
proxy_conf <<<''
sed -i "s|unix:$W/proxy.sock|unix:$W/run/proxy.sock|" "$W/shunt.conf"
ask() { python3 "$TOOLS/ctl.py" "$W/run/proxy.sock" "$@"; }

# places where it does not make a socket
refuses_to_start() { # WHY-AS-REGEX
	local rc=0 out
	out=$(in_ns c timeout 60 "$PROXY" -c "$W/shunt.conf" --foreground 2>&1) || rc=$?
	[ $rc != 0 ] && [ $rc != 124 ] || die "it has started: $out"
	like "why it does not start" "$out" "$1"
}
chmod 775 "$W/run"
refuses_to_start 'run'
chmod 1777 "$W/run"
refuses_to_start 'run'
chmod 755 "$W/run"
ln -s "$W/elsewhere" "$W/run/proxy.sock"
refuses_to_start 'proxy.sock'
[ ! -e "$W/elsewhere" ] || die "it has followed the symlink"
rm "$W/run/proxy.sock"
echo data >"$W/run/proxy.sock"
refuses_to_start 'proxy.sock'
same "a file that is no socket is left alone" "$(cat "$W/run/proxy.sock")" data
rm "$W/run/proxy.sock"
# a dead server's socket is replaced
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$W/run/proxy.sock"

proxy_start unshare -m sh -c 'mount --bind "$0/group" /etc/group && exec "$@"' "$W"
accounts_up() { python3 "$TOOLS/ctl.py" "$W/run/proxy.sock" import-begin + import-add "$(accounts_json "$@")" + import-commit >"$W/log/import"; }
accounts_up
same "the socket's mode" "$(stat -c %a "$W/run/proxy.sock")" 660

# strangers: by the file's mode, and, where somebody has opened that, by what the kernel says of them
cp "$TOOLS/ctl.py" "$W/run/ctl.py"
chmod 644 "$W/run/ctl.py"
as() { setpriv --reuid "$1" --regid "$2" --clear-groups "${@:3}"; }
python=$(command -v /usr/bin/python3 || command -v python3)
refused_stranger() { ! as 65534 65534 "$python" "$W/run/ctl.py" "$W/run/proxy.sock" hold '{"name":"alice"}' >"$W/o" 2>&1; }
refused_stranger || die "a stranger was let in by the file's mode"
chmod 666 "$W/run/proxy.sock"
refused_stranger || die "a stranger was let in: $(cat "$W/o")"
wait_for grep -qiE 'uid=?65534|65534' "$W/log/proxy"
same "nothing was touched" "$(field "$(ask account '{"name":"alice"}')" account.gate)" open
as 65534 64123 "$python" "$W/run/ctl.py" "$W/run/proxy.sock" hello >"$W/o" 2>&1 || die "the group is not let in: $(cat "$W/o")"
py control_socket.py "$W/run/proxy.sock"
alive proxy || die "shunt-proxy has ended"
