"""limits.py slow|descriptors|sources|rate|budget|memory|idle|table|requests"""
import os
import random
import resource
import subprocess
import sys
import threading
import time

import hello as h
from ctl import Control
from lab import SOCK, VISITOR, Checks, Closed, Conn, control, proxy_cpu, proxy_fds, proxy_pid, proxy_rss, wait_until

c = Checks()


def get(host=b"alice.example", target=b"/"):
    return b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"


WHY = []


def served(src=None, host=b"alice.example", timeout=15):
    try:
        with Conn(src=src, timeout=timeout) as v:
            v.send(get(host))
            status, _, body = v.response()
            WHY[:] = [status, body]
            return status == 200
    except (OSError, Closed) as e:
        WHY[:] = [repr(e)]
        return False


def calm(label, seconds=2, most=0.10):
    """Processor time over a while in which nothing of use can be done."""
    before, began = proxy_cpu(), time.monotonic()
    time.sleep(seconds)  # the measure itself
    used = (proxy_cpu() - before) / (time.monotonic() - began)
    c.ok(label + " does not spin", used < most, "%.0f %% of a processor" % (used * 100))


def slow():
    heads = []
    for n in range(60):
        v = Conn(timeout=20)
        v.send(b"GET / HTTP/1.1\r\nHost: alice.example\r\nX-%d: " % n)
        heads.append(v)
    began, ok, worst = time.monotonic(), True, 0
    while time.monotonic() - began < 2.5:
        t = time.monotonic()
        ok = ok and served() and served(host=b"bob.example")
        worst = max(worst, time.monotonic() - t)
        for v in heads[:5]:
            v.send(b"y")  # a byte now and then buys no time
    c.ok("slowloris: others served", ok and worst < 4, "%r %.2f" % (ok, worst))
    ends = [v.until_close(20) for v in heads]
    took = time.monotonic() - began
    c.ok("slowloris: ended", all(e is not None for e in ends) and took < 20, "%d open after %.1f s" % (sum(e is None for e in ends), took))
    c.ok("slowloris: 408 or nothing", all(e == b"" or b" 408 " in e or b" 400 " in e for e in ends if e is not None), ends[:2])


def descriptors():
    from lab import import_accounts
    import_accounts()
    crowd = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    for n in range(200):
        v = Conn(src=VISITOR[n % 5], timeout=10, port=80 if n % 2 else 443)
        v.send(get()[:20] if n % 2 else h.hello(b"alice.example")[:20])
        crowd.append(v)
    calm("64 descriptors, 200 clients", 2)
    try:
        k = Control(SOCK, timeout=20)
        c.ok("control answers", k.ask("status")["ok"], "")
        k.close()
    except (OSError, ConnectionError) as e:
        c.ok("control answers", False, e)
    for v in crowd:
        v.close()
    c.ok("recovers", wait_until(lambda: served() and served(host=b"bob.example"), 30), "")
    for _ in range(50):
        if not wait_until(served, 15):  # there is room for one at a time, until the last one's end has been seen
            c.ok("recovered for good", False, WHY)
            break
    c.ok("descriptors are back", wait_until(lambda: proxy_fds() < 40, 30), proxy_fds())


def sources():
    mine = []
    for n in range(40):
        v = Conn(src=VISITOR[0], timeout=10)
        v.send(get())
        try:
            mine.append((v, v.response()[0]))
        except (Closed, OSError):
            mine.append((v, None))
    n = sum(s == 200 for _, s in mine)
    c.ok("20 of one source", n == 20, n)
    c.ok("another source", served(VISITOR[1]), "")
    for v, _ in mine:
        v.close()
    c.ok("again when they have gone", wait_until(lambda: served(VISITOR[0]), 20), "")
    # IPv6: a /64 is one source
    six = []
    for n in range(30):
        v = Conn(dst="2001:db8::10", src="2001:db8:f::%d" % (10 + n % 5), timeout=10)
        v.send(get())
        try:
            six.append((v, v.response()[0]))
        except (Closed, OSError):
            six.append((v, None))
    n = sum(s == 200 for _, s in six)
    c.ok("20 of one /64", n == 20, n)


def rate():
    began, ok = time.monotonic(), 0
    for n in range(150):
        ok += served(VISITOR[0])
    took = time.monotonic() - began
    c.ok("no more than the rate", 7 <= ok <= 10 * (took + 1) + 5 and ok < 150, "%d in %.1f s" % (ok, took))
    c.ok("another source", served(VISITOR[1]), "")
    c.ok("again after a while", wait_until(lambda: served(VISITOR[0]), 15), "")


def budget():
    """One source takes what it can; the others still get in, because the heaviest is refused first."""
    heavy = []
    for n in range(150):
        try:
            v = Conn(src=VISITOR[0], timeout=5)
            v.send(get())
            heavy.append((v, v.response()[0]))
        except (Closed, OSError):
            heavy.append((v, None))
    n = sum(s == 200 for _, s in heavy)
    c.ok("the heaviest is stopped before the end", 50 <= n < 100, n)
    others = [served(VISITOR[1 + n % 4]) for n in range(20)]
    c.ok("the others get in", all(others), others)
    calm("at the limit", 1)
    for v, _ in heavy:
        v.close()
    c.ok("recovers", wait_until(lambda: served(VISITOR[0]), 20), "")


def memory():
    from lab import import_accounts
    import_accounts()
    for _ in range(20):
        served()
    size = 0
    for line in open("/proc/%d/status" % proxy_pid()):
        if line.startswith("VmSize"):
            size = int(line.split()[1])
    limit = (size + 1024) * 1024
    subprocess.run(["prlimit", "--pid", str(proxy_pid()), "--as=%d:" % limit], check=True)
    crowd = []
    answered = 0
    for n in range(3000):
        try:
            v = Conn(src=VISITOR[n % 5], timeout=1, port=80 if n % 3 else 443)
            v.send(b"GET / HTTP/1.1\r\nHost: alice.example\r\nX: " + b"y" * 20000 if n % 3 else h.hello(b"alice.example", first=h.padding(9000))[:8000])
            crowd.append(v)
        except OSError:
            pass
    alive = os.path.exists("/proc/%d/exe" % proxy_pid())
    c.ok("lives without memory", alive, "")
    for v in crowd:
        v.close()
    subprocess.run(["prlimit", "--pid", str(proxy_pid()), "--as=unlimited:"], check=False)
    c.ok("serves again", wait_until(lambda: served() and served(host=b"bob.example"), 30), "")


def idle():
    """Kept connections between requests hold next to nothing."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    served()
    before = proxy_rss()
    crowd = []
    for n in range(2000):
        v = Conn(src=VISITOR[n % 5], timeout=20)
        crowd.append(v)
    for v in crowd:
        v.send(get())
    ok = sum(v.response()[0] == 200 for v in crowd)
    each = (proxy_rss() - before) * 1024 / len(crowd)
    c.ok("2000 idle connections", ok == 2000 and each < 4096, "%d served, %d bytes each" % (ok, each))
    for v in crowd:
        v.close()


def on_processor():
    """Seconds for which the proxy has had a processor, finer than proxy_cpu(): others that are busy do not count."""
    tasks = "/proc/%d/task/" % proxy_pid()
    return sum(int(open(tasks + t + "/schedstat").read().split()[0]) for t in os.listdir(tasks)) / 1e9


def table():
    """100 000 accounts: look-ups cost what they cost with three, and an import under traffic is not noticed."""
    ctl = control()

    def load(n):
        ctl.ask("import-begin")
        batch = [{"name": "alice", "domains": ["alice.example", "*.alice.example"]}, {"name": "bob", "domains": ["bob.example", "*.bob.example"], "side": "transit"}]
        for i in range(n):
            batch.append({"name": "acc%06d" % i, "domains": ["acc%06d.example" % i, "*.acc%06d.example" % i]})
            if len(batch) == 4000:
                ctl.ask("import-add", accounts=batch)
                batch = []
        ctl.ask("import-add", accounts=batch)
        return ctl.ask("import-commit")

    def cost():
        random.seed(4)
        with Conn(timeout=20) as v:
            best = None
            for _ in range(5):
                before = on_processor()
                for n in range(400):
                    v.send(get(b"acc%06d.example" % random.randrange(100000)))
                    v.response()
                took = on_processor() - before
                best = took if best is None else min(best, took)
        return best

    load(10)
    few = cost()
    lost, stop = [], threading.Event()

    def keep_asking():
        v = Conn(timeout=20)
        while not stop.is_set():
            try:
                v.send(get(b"bob.example"))
                status, fields, _ = v.response()
                if status != 200 or fields["x-side"] != "transit":
                    lost.append((status, fields))
            except (OSError, Closed) as e:
                lost.append(e)
                v = Conn(timeout=20)

    t = threading.Thread(target=keep_asking)
    t.start()
    answer = load(100000)
    answer = load(99999)
    stop.set()
    t.join()
    c.ok("imports under traffic", not lost and answer["accounts"] == 100001 and answer["removed"] == 1, (lost[:3], answer))
    many = cost()
    c.ok("look-ups among 100 000", many < few * 1.5 + 0.05, "%.3f s, among ten %.3f s" % (many, few))
    before = proxy_cpu()
    for n in range(100):
        ctl.ask("hold", name="alice")
        ctl.ask("release", name="alice", **{"spread-ms": 0})
    c.ok("toggles among 100 000", proxy_cpu() - before < 1, "200 took %.2f s" % (proxy_cpu() - before))


def requests():
    """Enough of them to fill the buffers of an access log that nobody takes."""
    ok = 0
    for n in range(10):
        with Conn(timeout=20) as v:
            for _ in range(100):
                v.send(get(b"bob.example"))
                ok += v.response()[0] == 200
    c.ok("1000 requests", ok == 1000, ok)


globals()[sys.argv[1]]()
c.end()
