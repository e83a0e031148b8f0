#!/usr/bin/env python3
"""Speaks the control protocol as bytes: ctl.py SOCKET CMD [FIELDS] [+ CMD [FIELDS]]...

Prints the last answer; exit 1 if any is a refusal (the text goes to standard error), 3 if nobody answers.
"""
import json
import socket
import sys


class Refused(Exception):
    def __init__(self, answer):
        super().__init__(answer.get("error", "?"))
        self.answer = answer


class Control:
    def __init__(self, path, timeout=60):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.connect(path)  # waits for a place in the queue, which a socket with a time limit does not (EAGAIN)
        self.s.settimeout(timeout)
        self.f = self.s.makefile("rb")
        self.n = 0

    def ask(self, cmd, **fields):
        self.n += 1
        self.s.sendall(json.dumps({"v": 1, "id": str(self.n), "cmd": cmd, **fields}).encode() + b"\n")
        line = self.f.readline()
        if not line:
            raise ConnectionError("closed without an answer to " + cmd)
        answer = json.loads(line)
        if answer.get("id", None if not answer.get("ok") else "") not in (str(self.n), None):  # a line that could not be read has none
            raise ConnectionError("the answer is for another request: %r" % answer)
        if not answer.get("ok"):
            raise Refused(answer)
        return answer

    def close(self):
        self.f.close()
        self.s.close()


def main(argv):
    path, rest = argv[1], argv[2:]
    groups, group = [], []
    for a in rest + ["+"]:
        if a == "+":
            groups.append(group)
            group = []
        else:
            group.append(a)
    try:
        c = Control(path)
        answer = None
        for g in groups:
            answer = c.ask(g[0], **(json.loads(g[1]) if len(g) > 1 else {}))
        print(json.dumps(answer))
        return 0
    except Refused as e:
        print(json.dumps(e.answer), file=sys.stderr)
        return 1
    except (OSError, ValueError) as e:
        print(e, file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv))
