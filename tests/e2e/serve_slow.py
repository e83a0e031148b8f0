"""Clients that take their time, and too many of them: the API answers others all the same, and is rid of them in the end."""
import socket
import ssl
import sys
import time


host, port = sys.argv[1], int(sys.argv[2])
context = ssl._create_unverified_context()
crowd = []
for i in range(200):  # silent, within the number of clients
    crowd.append(socket.create_connection((host, port), timeout=10))
slow = context.wrap_socket(socket.create_connection((host, port), timeout=10))
slow.sendall(b"GET /v1/token HTTP/1.1\r\n")
fast = context.wrap_socket(socket.create_connection((host, port), timeout=10))
fast.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
assert fast.recv(12) == b"HTTP/1.1 200"
for i in range(100):  # past it
    crowd.append(socket.create_connection((host, port), timeout=10))
crowd[-1].settimeout(5)
assert crowd[-1].recv(1) == b"", "the one too many is closed"
for s in crowd:
    s.close()
