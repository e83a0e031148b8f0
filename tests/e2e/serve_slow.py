"""Clients that take their time, and too many of them: the API answers others all the same, and is rid of them in the end.
usage: serve_slow.py trickle|crowd|garbage|refused|streams HOST PORT [TOKEN..]"""
import json
import random
import socket
import ssl
import sys
import time

what, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
PATIENCE_S = 90  # for an answer that does come, of a server that has much else to do


def connect():
    return socket.create_connection((host, port), timeout=PATIENCE_S)


def trickle():
    """A byte now and then, for ever: closed 10 seconds after the first, and not before."""
    began = time.monotonic()  # before the server's own clock can have begun
    s = connect()
    s.sendall(b"GET /v1/token HTTP/1.1\r\nX: ")
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


def from_address(address):
    return socket.create_connection((host, port), timeout=PATIENCE_S, source_address=(address, 0))


def is_closed(s):
    s.settimeout(5)
    try:
        return s.recv(1) == b""
    except ConnectionResetError:
        return True


def crowd():
    """One address gets half of the connections there may be; when all are taken, nobody gets a further one. Those who came keep theirs."""
    context = ssl._create_unverified_context()
    slow = context.wrap_socket(from_address("203.0.113.11"))
    slow.sendall(b"GET /v1/token HTTP/1.1\r\n")
    first = [from_address("203.0.113.10") for _ in range(128)]
    assert is_closed(from_address("203.0.113.10")), "the one too many of an address"
    fast = context.wrap_socket(from_address("203.0.113.11"))
    fast.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
    assert fast.recv(12) == b"HTTP/1.1 200"
    second = [from_address("203.0.113.12") for _ in range(128 - 2)]
    assert is_closed(from_address("203.0.113.13")), "the one too many of all"
    text = b""
    while not text.endswith(b"}\n"):
        text += fast.recv(65536)
    fast.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
    assert fast.recv(12) == b"HTTP/1.1 200"
    assert len(first) + len(second) == 254


def is_ours(answer, status):
    """A refusal that looks like all the others, and the end of its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % status), answer
    for wanted in (b"Content-Type: application/problem+json", b"X-Content-Type-Options: nosniff", b"Cache-Control: no-store", b"Connection: close"):
        assert wanted in lines, (wanted, answer)
    assert json.loads(body)["status"] == status, answer


def refused():
    """What never comes to be a request."""
    for status, text in (
        (400, b"nonsense, and a lot of it\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nX: " + 60000 * b"x"),
        (413, b"POST /v1/start HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n"),
        (501, b"BREW /v1/start HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ):
        with connect() as s:
            s.sendall(text)
            answer = b""
            while more := s.recv(65536):
                answer += more
            is_ours(answer, status)


def streams():
    """As many streams of events as a token may have, and as there may be; one that has ended makes room."""
    tokens = [t.encode() for t in sys.argv[4:]]

    def stream(token):
        s = connect()
        s.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + b"\r\n\r\n")
        answer = s.recv(4096)
        while b"\r\n\r\n" not in answer:
            answer += s.recv(4096)
        return s, int(answer.split(b" ")[1])

    of_first = [stream(tokens[0]) for _ in range(8)]
    assert [status for _, status in of_first] == 8 * [200]
    assert stream(tokens[0])[1] == 503
    others = [stream(t) for t in tokens[1:8] for _ in range(8)]
    assert [status for _, status in others] == 56 * [200]
    assert stream(tokens[8])[1] == 503
    of_first[0][0].close()
    end = time.monotonic() + PATIENCE_S
    while stream(tokens[8])[1] != 200:
        assert time.monotonic() < end
        time.sleep(0.1)


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


{"trickle": trickle, "crowd": crowd, "garbage": garbage, "refused": refused, "streams": streams}[what]()
