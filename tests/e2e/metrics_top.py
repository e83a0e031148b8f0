"""shunt top on a terminal: redraws, sorts by keys, ends with q and leaves the terminal as it was."""
import os, pty, select, sys, termios, time

shunt, conf = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(shunt, [shunt, "-c", conf, "top"])
before = termios.tcgetattr(fd)
seen = b""


def wait_for(what, seconds=15):
    """Looks from where it looked last."""
    global seen
    end = time.monotonic() + seconds
    while what not in seen:
        left = end - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            sys.exit(f"shunt top: no {what!r} in {seen[-2000:]!r}")
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b""
        if not data:
            sys.exit(f"shunt top has ended before {what!r}: {seen[-2000:]!r}")
        seen += data
    seen = seen.split(what, 1)[1]


wait_for(b">req/s")
wait_for(b"q quit")
os.write(fd, b"b")
wait_for(b">up B/s")
os.write(fd, b"w")
wait_for(b">waiting")
wait_for(b">waiting")  # again by itself
os.write(fd, b"q")
wait_for(b"\033[?7h")
ended, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert termios.tcgetattr(fd)[3] == before[3], "the terminal is not as it was"
