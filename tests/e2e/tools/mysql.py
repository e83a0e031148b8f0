"""A connection to MariaDB over its Unix socket, for asyncio: the few packets of the protocol that a small application needs.

Statements are text; numbers alone are put into them. A refusal is a Refused with the server's code (4151: the account is locked).
https://mariadb.com/kb/en/clientserver-protocol/
"""
import asyncio
import hashlib

PROTOCOL_41, SECURE, PLUGIN, WITH_DB, TRANSACTIONS = 0x200, 0x8000, 0x80000, 8, 0x2000


class Refused(Exception):
    def __init__(self, packet):
        self.code = int.from_bytes(packet[1:3], "little")
        super().__init__("%d %s" % (self.code, packet[3:].decode(errors="replace")))


def native_password(password, salt):
    """mysql_native_password: SHA1(p) XOR SHA1(salt, SHA1(SHA1(p)))"""
    once = hashlib.sha1(password.encode()).digest()
    twice = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, twice))


class Connection:
    def __init__(self):
        self.r = self.w = None
        self.seq = 0

    async def packet(self):
        head = await self.r.readexactly(4)
        self.seq = (head[3] + 1) & 255
        body = await self.r.readexactly(int.from_bytes(head[:3], "little"))
        if body[:1] == b"\xff":
            raise Refused(body)
        return body

    def send(self, body):
        self.w.write(len(body).to_bytes(3, "little") + bytes([self.seq]) + body)

    async def open(self, path, user, password, database):
        self.r, self.w = await asyncio.open_unix_connection(path)
        greeting = await self.packet()
        at = greeting.index(b"\0", 1) + 5
        salt = greeting[at:at + 8] + greeting[at + 27:at + 39]
        flags = PROTOCOL_41 | SECURE | PLUGIN | WITH_DB | TRANSACTIONS | 1
        self.send(flags.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + b"\x21" + bytes(23) + user.encode() + b"\0\x14" +
                  native_password(password, salt) + database.encode() + b"\0mysql_native_password\0")
        answer = await self.packet()
        if answer[:1] == b"\xfe":  # another salt
            self.send(native_password(password, answer[answer.index(b"\0", 1) + 1:][:20]))
            await self.packet()
        return self

    async def query(self, statement):
        """The first column of the first row of a SELECT, as text; None for everything else."""
        self.seq = 0
        self.send(b"\x03" + statement.encode())
        first = await self.packet()
        if first[:1] == b"\0":
            return None
        ends, value = 0, None
        while ends < 2:
            p = await self.packet()
            if p[:1] == b"\xfe" and len(p) < 9:
                ends += 1
            elif ends == 1 and value is None:
                value = p[1:1 + p[0]].decode()
        return value

    def close(self):
        if self.w:
            self.w.close()
