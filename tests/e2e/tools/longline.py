"""longline.py SOCKET DELAY_MS NAME=DEVICE:DEVICE..: lines between pairs of Ethernet devices, each DELAY_MS long in either direction.
longline.py SOCKET -- COMMAND..: tells a running one; prints its answer.
longline.py --plain DEVICE..: these leave no checksum and no segmentation to hardware that is not there.

A line takes every frame at one end and puts it out at the other after its delay, in order. Commands, for one NAME or "all":
  cut NAME   nothing passes, what is under way is lost     heal NAME  everything passes again
  mute NAME  nothing passes from the second device to the first: what is asked arrives, what is answered does not
  deaf NAME  the other way round
  after N CUT NAME  one of the three above, when N more frames have passed
  delay MS   from now on
  frames     how many have passed, by line: "cli 120 tra 40"
"""
import collections
import ctypes
import fcntl
import os
import select
import socket
import struct
import sys
import time

SIOCETHTOOL, ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO = 0x8946, 0x17, 0x1F, 0x24, 0x2C
PACKET_OUTGOING = 4


def plain(device):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for what in (ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO):
            value = (ctypes.c_char * 8).from_buffer(bytearray(struct.pack("II", what, 0)))
            address = ctypes.addressof(value)
            try:
                fcntl.ioctl(s, SIOCETHTOOL, struct.pack("16sP16x", device.encode(), address))
            except OSError as e:
                if what == ETHTOOL_STXCSUM:
                    raise SystemExit("%s: checksums stay with the hardware: %s" % (device, e))


class End:
    def __init__(self, device):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((device, 3))
        self.socket.setblocking(False)
        self.other = None
        self.blocked = False  # what comes in here
        self.queue = collections.deque()  # (when it is due, frame): for the other end
        self.passed = 0
        self.on_pass = None  # called after each frame

    def take(self, now, delay):
        while True:
            try:
                frame, address = self.socket.recvfrom(65600)
            except BlockingIOError:
                return
            if address[2] != PACKET_OUTGOING and not self.blocked:
                self.queue.append((now + delay, frame))

    def put(self, now):
        while self.queue and self.queue[0][0] <= now:
            frame = self.queue.popleft()[1]
            try:
                self.other.socket.send(frame)
                self.passed += 1
            except OSError:
                pass  # a line loses what does not fit
            if self.on_pass:
                self.on_pass()


def later(lines, state, n, words):
    ends = lines[words[1]]
    until = sum(end.passed for end in ends) + n

    def on_pass():
        if sum(end.passed for end in ends) >= until:
            obey(lines, state, words)

    for end in ends:
        end.on_pass = on_pass


def obey(lines, state, words):
    if words[0] == "delay":
        state["delay"] = float(words[1]) / 1000
    elif words[0] == "frames":
        return " ".join("%s %d" % (name, a.passed + b.passed) for name, (a, b) in lines.items())
    elif words[0] == "after":
        later(lines, state, int(words[1]), words[2:])
    elif words[0] in ("cut", "mute", "deaf", "heal"):
        for name in lines if words[1] == "all" else [words[1]]:
            near, far = lines[name]
            near.blocked = words[0] in ("cut", "deaf")
            far.blocked = words[0] in ("cut", "mute")
            for end in (near, far):
                end.on_pass = None
                if end.blocked:
                    end.queue.clear()
    else:
        return "what is %r?" % words[0]
    return "ok"


def serve(path, delay, pairs):
    lines = {}
    for pair in pairs:
        name, devices = pair.split("=")
        near, far = (End(device) for device in devices.split(":"))
        near.other, far.other = far, near
        lines[name] = (near, far)
    ends = {end.socket.fileno(): end for line in lines.values() for end in line}
    state = {"delay": delay / 1000}
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    control.bind(path)
    control.setblocking(False)
    poll = select.epoll()
    for fd in (*ends, control.fileno()):
        poll.register(fd, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        due = min((end.queue[0][0] for end in ends.values() if end.queue), default=None)
        for fd, _ in poll.poll(-1 if due is None else max(0, due - time.monotonic())):
            if fd in ends:
                ends[fd].take(time.monotonic(), state["delay"])
                continue
            words, asker = control.recvfrom(1000)
            control.sendto(obey(lines, state, words.decode().split()).encode(), asker)
        now = time.monotonic()
        for end in ends.values():
            end.put(now)


def tell(path, words):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind("%s.%d" % (path, os.getpid()))
        try:
            s.settimeout(5)
            s.sendto(" ".join(words).encode(), path)
            answer = s.recv(1000).decode()
        finally:
            os.unlink("%s.%d" % (path, os.getpid()))
    if answer.startswith("what"):
        raise SystemExit(answer)
    if answer != "ok":
        print(answer)


if sys.argv[1] == "--plain":
    for argument in sys.argv[2:]:
        plain(argument)
elif sys.argv[2] == "--":
    tell(sys.argv[1], sys.argv[3:])
else:
    serve(sys.argv[1], float(sys.argv[2]), sys.argv[3:])
