"""Connects every few ms, asks once, and writes down who answered and how long it took.  prober.py OUT HOST MS ADDRESS..

Open loop: a new attempt does not wait for the previous one. Lines of OUT: address, begin, end (ms since 1970), result. The result is the side
that answered, or the error. Ends with SIGTERM, when what is under way has ended (25 s at most).
"""
import asyncio
import signal
import sys
import time

LIMIT_S = 25


def now_ms():
    return time.time() * 1000


async def once(address, host):
    reader, writer = await asyncio.open_connection(address, 80)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host.encode())
        answer = await reader.read(-1)
    finally:
        writer.close()
    for line in answer.split(b"\r\n"):
        if line.lower().startswith(b"x-side:"):
            return line.split(b":")[1].strip().decode()
    return "no answer" if not answer else answer.split(b"\r\n")[0].decode()


async def attempt(out, address, host):
    began = now_ms()
    try:
        result = await asyncio.wait_for(once(address, host), LIMIT_S)
    except asyncio.TimeoutError:
        result = "timeout"
    except OSError as e:
        result = "%s" % (e.strerror or e)
    out.write("%s\t%.1f\t%.1f\t%s\n" % (address, began, now_ms(), result))
    out.flush()


async def main(path, host, ms, addresses):
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tasks, due = set(), time.monotonic()
    with open(path, "w") as out:
        while not stop.is_set():
            for address in addresses:
                task = asyncio.ensure_future(attempt(out, address, host))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            due += ms / 1000
            await asyncio.sleep(max(0, due - time.monotonic()))
        if tasks:
            await asyncio.wait(tasks, timeout=LIMIT_S + 1)


asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:]))
