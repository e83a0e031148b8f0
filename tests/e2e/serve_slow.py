"""Clients that take their time, and too many of them: the API answers others all the same, and is rid of them in the end.
usage: serve_slow.py trickle|crowd|garbage HOST PORT [TOKEN]"""
import random
import socket
import ssl
import sys
import time

what, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])


def connect():
    return socket.create_connection((host, port), timeout=10)


def trickle():
    """A byte now and then, for ever: closed 10 seconds after the first, and not before."""
    s = connect()
    s.sendall(b"GET /v1/token HTTP/1.1\r\nX: ")
    began = time.monotonic()
    s.settimeout(0.5)
    while time.monotonic() - began < 40:
        try:
            s.sendall(b"x")
            if s.recv(100) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    took = time.monotonic() - began
    assert 8 < took < 30, took


def crowd():
    context = ssl._create_unverified_context()
    silent = [connect() for _ in range(200)]  # within the number of clients
    slow = context.wrap_socket(connect())
    slow.sendall(b"GET /v1/token HTTP/1.1\r\n")
    fast = context.wrap_socket(connect())
    fast.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
    assert fast.recv(12) == b"HTTP/1.1 200"
    silent += [connect() for _ in range(100)]  # past it
    silent[-1].settimeout(5)
    assert silent[-1].recv(1) == b"", "the one too many is closed"


def garbage():
    """What is no HTTP, what is cut off, what comes all at once, and who does not wait for his answer."""
    token = sys.argv[4].encode()
    good = b"GET /v1/token HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + b"\r\n\r\n"
    slow = good.replace(b"/v1/token", b"/v1/status")
    random.seed(7)
    for i in range(300):
        noise = bytearray(slow if i % 3 else good)
        for _ in range(random.randrange(1, 5)):
            noise[random.randrange(len(noise))] = random.randrange(256)
        with connect() as s:
            s.sendall(bytes(noise[: random.randrange(1, len(noise) + 1)] if i % 2 else noise))
    for body in (b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"ffffffffffffffff\r\nx", b"-1\r\n"):
        with connect() as s:
            s.sendall(b"POST /v1/start HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
            s.settimeout(1)
            try:
                s.recv(100)
            except TimeoutError:
                pass
    for length in (b"-1", b"99999999999999999999", b"1e3", b"5, 5"):
        with connect() as s:
            s.sendall(b"POST /v1/start HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + b"\r\n\r\nhello")
    with connect() as s:  # one after the other, answered in order
        s.sendall(slow + good + slow + good)
        text = b""
        while text.count(b"HTTP/1.1 200") < 4 or not text.endswith(b"}\n"):
            more = s.recv(65536)
            assert more, text
            text += more
    with connect() as s:  # closed when it asks for that, with all of the answer
        s.sendall(slow.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        text = b""
        while more := s.recv(65536):
            text += more
        assert text.endswith(b"}\n"), text


{"trickle": trickle, "crowd": crowd, "garbage": garbage}[what]()
