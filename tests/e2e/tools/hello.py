"""Builds ClientHellos (RFC 8446 4.1.2), good and bad, and cuts them into records."""
import struct


def u8(b):
    return struct.pack("!B", len(b)) + b


def u16(b):
    return struct.pack("!H", len(b)) + b


def ext(kind, body):
    return struct.pack("!H", kind) + u16(body)


def names(*entries):
    """The body of a server_name extension; an entry is bytes, or (type, bytes)."""
    out = b""
    for e in entries:
        kind, name = e if isinstance(e, tuple) else (0, e)
        out += struct.pack("!B", kind) + u16(name)
    return u16(out)


def sni(*entries):
    return ext(0, names(*entries))


VERSIONS = ext(43, u8(b"\x03\x04\x03\x03"))
GROUPS = ext(10, u16(b"\x00\x1d\x00\x17"))
KEYSHARE = ext(51, u16(b"\x00\x1d" + u16(bytes(range(32)))))
SIGS = ext(13, u16(b"\x04\x03\x08\x04\x04\x01"))
PQ = ext(51, u16(b"\x11\xec" + u16(bytes(i % 251 for i in range(1216))) + b"\x00\x1d" + u16(bytes(range(32)))))
GREASE = ext(0x0A0A, b"") + ext(0x7A7A, b"\0")


def padding(n):
    return ext(21, b"\0" * n)


def alpn(*protocols):
    return ext(16, u16(b"".join(u8(p) for p in protocols)))


def body(extensions, version=b"\x03\x03", random=bytes(32), session=bytes(range(32)), ciphers=b"\x13\x01\x13\x02\xc0\x2f", compression=b"\0"):
    """The body of the handshake message; extensions None: there is no extension block at all."""
    out = version + random + u8(session) + u16(ciphers) + u8(compression)
    return out if extensions is None else out + u16(extensions)


def handshake(content, kind=1, length=None):
    return struct.pack("!B", kind) + struct.pack("!I", len(content) if length is None else length)[1:] + content


def record(content, kind=22, version=b"\x03\x01", length=None):
    return struct.pack("!B", kind) + version + struct.pack("!H", len(content) if length is None else length) + content


def records(message, *sizes):
    """The message in records of these sizes; the last size holds for the rest."""
    out, at, i = b"", 0, 0
    while at < len(message):
        n = sizes[min(i, len(sizes) - 1)]
        out += record(message[at:at + n])
        at += n
        i += 1
    return out


def hello(name, *more, first=b""):
    """A usual hello as one record: extensions before the name, the name, extensions after it."""
    return record(message(name, *more, first=first))


def message(name, *more, first=b""):
    return handshake(body(first + (sni(name) if name is not None else b"") + VERSIONS + GROUPS + SIGS + (b"".join(more) or KEYSHARE)))
