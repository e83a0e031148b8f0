"""shunt top on a terminal: redraws, sorts by keys, keeps to the screen whatever its size, and leaves the terminal as it was: by q, by Ctrl-C,
by a signal."""
import fcntl, os, pty, select, signal, struct, sys, termios, time

shunt, conf = sys.argv[1:]


def begin():
    global pid, fd, before, seen
    go, went = os.pipe()
    pid, fd = pty.fork()
    if pid == 0:
        os.read(go, 1)
        os.execv(shunt, [shunt, "-c", conf, "top"])
    before = termios.tcgetattr(fd)  # before it changes anything
    os.write(went, b"x")
    os.close(go)
    os.close(went)
    seen = b""


def ends(how):
    wait_for(b"\033[?7h")
    ended, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, (how, status)
    assert termios.tcgetattr(fd) == before, f"the terminal is not as it was: {how}"
    os.close(fd)


def wait_for(what, seconds=60):
    """Looks from where it looked last."""
    global seen, last
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
    last, seen = seen.split(what, 1)


begin()
wait_for(b">req/s")
wait_for(b"q quit")
assert termios.tcgetattr(fd)[3] != before[3], "keys are taken at once"
os.write(fd, b"b")
wait_for(b">upB/s")
os.write(fd, b"w")
wait_for(b">wait")
wait_for(b">wait")  # again by itself
for rows, cols in (6, 30), (50, 200), (5, 1):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    for _ in range(30):  # what was drawn or begun before has the size before, also what we have not read yet
        wait_for(b"\033[H")
        wait_for(b"\033[0m")
        shown = last.replace(b"\033[K", b"").replace(b"\033[J", b"").replace(b"\033[7m", b"").split(b"\r\n")
        fits = len(shown) <= rows and max(map(len, shown)) <= cols and len(shown) > 2
        if fits and max(map(len, shown)) > cols // 3:
            break
    assert fits, (rows, cols, shown)
os.write(fd, b"q")
ends("q")
begin()
wait_for(b"q quit")
os.write(fd, b"\x03")
ends("Ctrl-C")
begin()
wait_for(b"q quit")
os.kill(pid, signal.SIGTERM)
ends("SIGTERM")
