"""Says to a segment that addresses are here: announce.py DEVICE ADDRESS..   (in the namespace of the device)
For each IPv4 address a gratuitous ARP as request and as reply, for each IPv6 address an unsolicited neighbour advertisement (override, with
the link-layer address), both to everybody. On AF_PACKET: no filter of the host sees the frames."""
import ipaddress, socket, struct, sys

EVERYBODY = b'\xff' * 6


def arp(mac, address, operation):
    target = EVERYBODY if operation == 2 else bytes(6)
    return (EVERYBODY + mac + struct.pack('!HHHBBH', 0x0806, 1, 0x0800, 6, 4, operation) +
            mac + address.packed + target + address.packed)


def advertisement(mac, address):
    to = ipaddress.ip_address('ff02::1').packed
    body = struct.pack('!BBHI', 136, 0, 0, 0x20000000) + address.packed + bytes([2, 1]) + mac
    pseudo = address.packed + to + struct.pack('!II', len(body), 58) + body
    total = sum(struct.unpack('!%dH' % (len(pseudo) // 2), pseudo))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    body = body[:2] + struct.pack('!H', ~total & 0xffff) + body[4:]
    head = struct.pack('!IHBB', 6 << 28, len(body), 58, 255)
    return b'\x33\x33\0\0\0\1' + mac + struct.pack('!H', 0x86dd) + head + address.packed + to + body


device = sys.argv[1]
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((device, 0))
mac = wire.getsockname()[4]
for text in sys.argv[2:]:
    address = ipaddress.ip_address(text)
    if address.version == 4:
        wire.send(arp(mac, address, 1))
        wire.send(arp(mac, address, 2))
    else:
        wire.send(advertisement(mac, address))
