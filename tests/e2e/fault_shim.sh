#!/usr/bin/env bash
# The tool of the stories fault_*.sh: exactly the Nth call of its class fails, of the named program alone, with the error that was asked for.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm # there is much to sync, and nothing of it has to last
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/fault_lib.sh"
NAMESPACES=()
cat >"$W/victim.py" <<'END'
import os, socket, sys, threading

def tried(fn, *args):
    try:
        r = fn(*args)
        return "ok" if not isinstance(r, int) or fn.__name__ in ("open",) else r
    except OSError as e:
        return os.strerror(e.errno)

os.chdir(sys.argv[1])
f = os.open("file", os.O_RDWR | os.O_CREAT, 0o600)
a, b = socket.socketpair()
said = []
for i in range(4):
    said.append(["write", tried(os.write, f, b"0123456789"), tried(os.pwrite, f, b"0123456789", 100), tried(os.writev, f, [b"0123456789"])])
    said.append(["fsync", tried(os.fsync, f), tried(os.fdatasync, f)])
    said.append(["send", tried(a.send, b"x"), tried(a.sendmsg, [b"x"]), tried(os.write, a.fileno(), b"x")])
    said.append(["rename", tried(os.rename, "file", "other"), tried(os.rename, "other", "file")])
    said.append(["truncate", tried(os.ftruncate, f, 10)])
    said.append(["mkdir", tried(os.mkdir, "d%d" % i)])
    said.append(["open", tried(os.open, "new", os.O_CREAT | os.O_WRONLY), tried(os.open, "file", os.O_RDONLY)])
    said.append(["unlink", tried(os.unlink, "new")])
if "fork" in sys.argv:
    if os.fork() == 0:
        said = [["child", tried(os.fsync, f)]]
    else:
        os.wait()
        said = [["parent", tried(os.fsync, f)]]
if "threads" in sys.argv:
    out = []
    def work():
        for i in range(500):
            out.append(tried(os.fsync, f))
    all = [threading.Thread(target=work) for i in range(4)]
    [t.start() for t in all]
    [t.join() for t in all]
    said = [["threads", out.count("Input/output error"), len(out)]]
for line in said:
    print(*line)
END
victim() { # FAULT ARGUMENT..
	local dir
	dir=$(mktemp -d "$W/victim.XXXXXX")
	: >"$FAULT_LOG"
	faulty "$1" python3 -S "$W/victim.py" "$dir" "${@:2}" >"$W/said" 2>"$W/log/victim" || die "$1: $(cat "$W/log/victim")"
}
PYTHON=python3
victim nobody:fsync:1:EIO
cp "$W/said" "$W/whole"
same "of another program" "$(cat "$FAULT_LOG")" ""
failed() { { diff "$W/whole" "$W/said" || :; } | sed -n 's/^> //p' | paste -sd '|'; } # lines that are another way than without a fault
expect() { # FAULT WHAT-FAILED-AS-REGEX NOTED-AS-REGEX
	victim "$1"
	like "$1" "$(failed)" "^($2)\$"
	like "$1, as noted" "$(head -n 1 "$FAULT_LOG")" "^$PYTHON [0-9]+: $3"
}
expect $PYTHON:fsync:3:EIO 'fsync Input/output error ok' 'fsync 3: fsync\(.*/file\): EIO$'
expect $PYTHON:fsync:8:EROFS 'fsync ok Read-only file system' 'fsync 8: fdatasync\(.*/file\): EROFS$'
expect $PYTHON:write:1:ENOSPC 'write No space left on device 10 10' 'write 1: write\(.*/file\): ENOSPC$'
expect $PYTHON:write:5:EDQUOT 'write 10 Disk quota exceeded 10' 'write 5: p?write'
expect $PYTHON:write:5:EIO:short 'write 10 5 Input/output error' 'write 5: p?write.*half of it, then EIO$'
expect $PYTHON:write:12:EIO 'write 10 10 Input/output error' 'write 12: writev'
expect $PYTHON:send:5:EPIPE 'send 1 Broken pipe 1' 'send 5: sendmsg\(socket:.*EPIPE$'
expect $PYTHON:send:6:ECONNRESET 'send 1 1 Connection reset by peer' 'send 6: write\(socket:'
expect $PYTHON:rename:2:EACCES 'rename ok Permission denied\|.*' 'rename 2: rename\(file\): EACCES$'
expect $PYTHON:truncate:2:EIO 'truncate Input/output error' 'truncate 2: ftruncate'
expect $PYTHON:mkdir:4:ENOSPC 'mkdir No space left on device' 'mkdir 4: mkdir\(d3\)'
expect $PYTHON:open:3:EMFILE 'open Too many open files ok\|unlink No such file or directory' 'open 3: open.*\(new\)'
expect $PYTHON:unlink:1:EIO 'unlink Input/output error' 'unlink 1: unlink'
victim $PYTHON:fsync:9:EIO
same "past the end" "$(failed)$(cat "$FAULT_LOG")" ""
victim $PYTHON:fsync:9:EIO fork # child and parent count together
same "forked" "$(sort "$W/said" | paste -sd '|')" "child Input/output error|parent ok"
victim $PYTHON:fsync:700:EIO threads
same "of four threads" "$(cat "$W/said")" "threads 1 2000"
same "noted once" "$(grep -c "fsync 700" "$FAULT_LOG")" 1
fails_with 125 faulty "$PYTHON:fsink:1:EIO" python3 -c 0
like "nonsense" "$OUT" 'expected PROGRAM:CLASS:N:ERRNO'
