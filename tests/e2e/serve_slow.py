"""Clients that take their time, and too many of them: the API answers others all the same, and is rid of them in the end.
usage: serve_slow.py trickle|crowd HOST PORT"""
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


{"trickle": trickle, "crowd": crowd}[what]()
