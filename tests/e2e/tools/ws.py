"""The visitor's end of a WebSocket (RFC 6455), over HTTP or HTTPS."""
import os
import ssl

from lab import CLIENT, W, Conn


class WebSocket:
    def __init__(self, host, path, req_id="", dst=CLIENT, tls=False, timeout=60):
        self.v = Conn(dst=dst, port=443 if tls else 80, timeout=timeout)
        if tls:
            context = ssl.create_default_context(cafile=W + "/cert.pem")
            self.v.s = context.wrap_socket(self.v.s, server_hostname=host)
        self.v.send(("GET %s HTTP/1.1\r\nHost: %s\r\nX-Req-Id: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % (path, host, req_id)).encode())
        status, fields, _ = self.v.response()
        if status != 101 or fields.get("sec-websocket-accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=":
            raise ConnectionError("no WebSocket: %r %r" % (status, fields))

    def say(self, text):
        """Sends a message and returns the answer."""
        data, mask = text.encode(), os.urandom(4)
        n = len(data)
        head = bytes([0x81, 0x80 | n]) if n < 126 else b"\x81\xfe" + n.to_bytes(2, "big")
        if not self.v.send(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))):
            raise ConnectionError("cut")
        b0, b1 = self.v.exactly(2)
        n = b1 & 127
        if n == 126:
            n = int.from_bytes(self.v.exactly(2), "big")
        return self.v.exactly(n).decode()

    def ended(self, timeout):
        """Whether the connection comes to its end within that time."""
        return self.v.until_close(timeout) is not None

    def close(self):
        self.v.close()
