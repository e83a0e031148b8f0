#include "netctl/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BUFFER (1 << 20) /* the answers for hundreds of addresses may arrive at once */
#define SEND_TRIES     1000      /* of 1 ms */

/* Without it, all IPv6 traffic of a busy server would push the few answers out of the buffer. */
static int only_discovery(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 6), /* next header */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 4),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 40), /* type */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_SOLICIT, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_ADVERT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = {sizeof code / sizeof *code, code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog);
}

/* Who else asks for an address does so in the group of that address: the card must let all groups in for as long as we listen. */
static int all_groups(int fd, int ifindex)
{
	struct packet_mreq mreq = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_ALLMULTI};

	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof mreq);
}

static int prepare(struct wire *w, int ifindex, uint16_t type)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(type), .sll_ifindex = ifindex};
	socklen_t len = sizeof at;
	int size = RECEIVE_BUFFER;

	if (type)
		setsockopt(w->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size); /* a smaller one works, on a quiet network */
	/* The filter comes before bind(), with which receiving begins. */
	if (type == ETH_P_IPV6 && (only_discovery(w->fd) < 0 || all_groups(w->fd, ifindex) < 0))
		return -errno;
	if (bind(w->fd, (struct sockaddr *)&at, sizeof at) < 0 || getsockname(w->fd, (struct sockaddr *)&at, &len) < 0)
		return -errno;
	if (at.sll_hatype != ARPHRD_ETHER || at.sll_halen != sizeof w->mac.byte)
		return -EOPNOTSUPP;
	memcpy(w->mac.byte, at.sll_addr, sizeof w->mac.byte);
	return 0;
}

int wire_open(struct wire *w, const char *dev, uint16_t type, struct err *err)
{
	unsigned ifindex = if_nametoindex(dev);
	int rc;

	memset(w, 0, sizeof *w);
	w->fd = -1;
	if (ifindex == 0)
		return err_set(err, -ENODEV, "there is no network interface \"%.40s\"", dev);
	memcpy(w->dev, dev, strlen(dev) + 1);
	w->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (w->fd < 0)
		return err_errno(err, -errno, "a packet socket for interface %s", dev);
	rc = prepare(w, (int)ifindex, type);
	if (rc == 0)
		return 0;
	wire_close(w);
	if (rc == -EOPNOTSUPP)
		return err_set(err, rc, "interface %s is not an Ethernet: it has no neighbours to tell or ask", dev);
	return err_errno(err, rc, "a packet socket on interface %s", dev);
}

void wire_close(struct wire *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

int wire_send(struct wire *w, const uint8_t *frame, size_t len, struct err *err)
{
	for (int tries = 0; tries < SEND_TRIES; tries++) {
		if (send(w->fd, frame, len, 0) >= 0)
			return 0;
		/* Full is the socket's buffer (EAGAIN) or the interface's queue (ENOBUFS), and only of the first poll() could tell. */
		if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
			break;
		poll(NULL, 0, 1);
	}
	return err_errno(err, -errno, "sending on interface %s", w->dev);
}

ssize_t wire_receive(struct wire *w, uint8_t *frame, size_t cap, struct err *err)
{
	ssize_t n;

	do
		n = recv(w->fd, frame, cap, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno == EAGAIN)
		return 0;
	return err_errno(err, -errno, "receiving on interface %s", w->dev);
}
