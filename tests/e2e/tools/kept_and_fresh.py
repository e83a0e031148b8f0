"""kept_and_fresh.py ADDRESS NAME..: visitors who never stop. Asks for each name by HTTP over a fresh connection and over one that is kept, until SIGTERM;
then says how many requests there were, which were lost, and which took more than 15 seconds."""
import http.client, itertools, signal, sys, time
going, lost, slow, n, address = True, [], [], 0, sys.argv[1]
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
kept = {name: None for name in sys.argv[2:]}
for name in itertools.cycle(kept):
    if not going:
        break
    for fresh in (True, False):
        began = time.time()
        try:
            c = http.client.HTTPConnection(address, 80, timeout=40) if fresh or kept[name] is None else kept[name]
            c.request("GET", "/", headers={"Host": name})
            r = c.getresponse()
            body = r.read()
            n += 1
            if r.status != 200:
                lost.append((name, fresh, r.status))
            if fresh:
                c.close()
            else:
                kept[name] = None if r.will_close else c
        except (OSError, http.client.HTTPException) as e:
            # a kept connection that was closed between two requests is opened again, as browsers do
            if fresh or not isinstance(e, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)):
                lost.append((name, fresh, repr(e)))
            kept[name] = None
        if time.time() - began > 15:  # a move waits for the name servers, too
            slow.append("%s %s %s for %.1f s" % (name, "fresh" if fresh else "kept", time.strftime("%H:%M:%S", time.gmtime(began)), time.time() - began))
    time.sleep(0.02)
print("requests", n, "lost", len(lost), "slow", len(slow), lost[:5], slow[:5], flush=True)
