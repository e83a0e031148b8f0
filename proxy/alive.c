#include "proxy/alive.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/notify.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLACK_MS 10 /* timers and the coarse clock are off by a few ms; a renewal must not be left to the next beat for that */

struct alive {
	unsigned n_workers;
	int fd; /* netlink; -1: the kernel is not told */
	pthread_mutex_t lock;
	bool withdrawn, alive;
	bool told; /* something has been logged */
	int error;
	int64_t since_ms;
	uint64_t since;
	uint64_t sent, good, notified; /* when: tried, last success, last WATCHDOG=1 */
	uint64_t renewed, failed;
	struct beat {
		atomic_uint_fast64_t at;
		atomic_bool accepts;
	} __attribute__((aligned(64))) beats[]; /* by worker */
};

/* ---- the message: nlmsghdr, nfgenmsg, attributes; all of them at multiples of 4 (linux/netlink.h) ---- */

struct text {
	uint8_t *bytes;
	size_t len;
};

static void put(struct text *t, const void *bytes, size_t len)
{
	size_t padded = (len + 3) & ~(size_t)3;

	assert(t->len + padded <= ALIVE_MESSAGE_MAX);
	memset(t->bytes + t->len, 0, padded);
	memcpy(t->bytes + t->len, bytes, len);
	t->len += padded;
}

static void put_attr(struct text *t, uint16_t type, const void *bytes, size_t len)
{
	struct nlattr a = {(uint16_t)(NLA_HDRLEN + len), type};

	put(t, &a, sizeof a);
	put(t, bytes, len);
}

static size_t open_nest(struct text *t, uint16_t type)
{
	size_t at = t->len;

	put_attr(t, type | NLA_F_NESTED, "", 0);
	return at;
}

static void close_nest(struct text *t, size_t at)
{
	uint16_t len = (uint16_t)(t->len - at);

	memcpy(t->bytes + at, &len, sizeof len); /* nla_len comes first */
}

static size_t open_message(struct text *t, uint16_t type, uint16_t flags, uint8_t family, uint16_t res_id)
{
	size_t at = t->len;
	struct nlmsghdr h = {0, type, NLM_F_REQUEST | flags, 0, 0};
	struct nfgenmsg g = {family, NFNETLINK_V0, htons(res_id)};

	put(t, &h, sizeof h);
	put(t, &g, sizeof g);
	return at;
}

static void close_message(struct text *t, size_t at)
{
	uint32_t len = (uint32_t)(t->len - at);

	memcpy(t->bytes + at, &len, sizeof len); /* nlmsg_len comes first */
}

static void put_element(struct text *t, uint8_t proto, bool timed)
{
	uint64_t timeout = htobe64(ALIVE_TIMEOUT_MS);
	size_t element = open_nest(t, NFTA_LIST_ELEM), key = open_nest(t, NFTA_SET_ELEM_KEY);

	put_attr(t, NFTA_DATA_VALUE, &proto, sizeof proto);
	close_nest(t, key);
	if (timed)
		put_attr(t, NFTA_SET_ELEM_TIMEOUT, &timeout, sizeof timeout);
	close_nest(t, element);
}

static void put_elements(struct text *t, uint16_t type)
{
	bool add = type == NFT_MSG_NEWSETELEM;
	size_t message = open_message(t, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), add ? NLM_F_CREATE : 0, NFPROTO_INET, 0), list;

	put_attr(t, NFTA_SET_ELEM_LIST_TABLE, ALIVE_TABLE, sizeof ALIVE_TABLE);
	put_attr(t, NFTA_SET_ELEM_LIST_SET, ALIVE_SET, sizeof ALIVE_SET);
	list = open_nest(t, NFTA_SET_ELEM_LIST_ELEMENTS);
	put_element(t, NFPROTO_IPV4, add);
	put_element(t, NFPROTO_IPV6, add);
	close_nest(t, list);
	close_message(t, message);
}

size_t alive_message(uint8_t out[ALIVE_MESSAGE_MAX], bool renew)
{
	struct text t = {out, 0};

	close_message(&t, open_message(&t, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
	put_elements(&t, NFT_MSG_NEWSETELEM);
	put_elements(&t, NFT_MSG_DELSETELEM);
	if (renew)
		put_elements(&t, NFT_MSG_NEWSETELEM);
	close_message(&t, open_message(&t, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
	return t.len;
}

/* ---- telling the kernel ---- */

/* The kernel works within send() and has answered, if anything was wrong, when it returns. 0 or the first -errno. */
static int tell(int fd, bool renew)
{
	uint8_t message[ALIVE_MESSAGE_MAX];
	union {
		struct nlmsghdr h;
		char bytes[4096];
	} answer;
	size_t len = alive_message(message, renew);
	int rc = send(fd, message, len, MSG_DONTWAIT) < 0 ? -errno : 0;
	ssize_t n;

	while ((n = recv(fd, &answer, sizeof answer, MSG_DONTWAIT)) >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		if (rc == 0 && answer.h.nlmsg_type == NLMSG_ERROR)
			rc = ((const struct nlmsgerr *)NLMSG_DATA(&answer.h))->error;
	return rc;
}

static void become(struct alive *a, bool alive, uint64_t now)
{
	if (a->alive != alive) {
		a->since_ms = now_ms();
		a->since = now;
	}
	a->alive = alive;
}

static void say(struct alive *a, int rc)
{
	if (a->told && rc == a->error)
		return;
	a->told = true;
	if (rc == 0)
		log_info("intercept=on reason=\"the kernel hands visitors over\"");
	else if (rc == -ENOENT)
		log_warn("intercept=off reason=\"there is no nft table inet " ALIVE_TABLE "\" advice=\"shunt-netctl makes it\"");
	else
		log_error("intercept=off error=%d reason=\"the kernel does not take the sign of life: %s\"", -rc, strerror(-rc));
}

static void renew(struct alive *a, uint64_t now)
{
	int rc = tell(a->fd, true);

	if (now > a->good + ALIVE_TIMEOUT_MS)
		become(a, false, now); /* it had run out, and nobody has asked */
	a->sent = now;
	if (rc == 0) {
		a->good = now;
		a->renewed++;
		become(a, true, now);
	} else {
		a->failed++;
		become(a, false, now);
	}
	say(a, rc);
	a->error = rc;
}

/* ---- beats ---- */

static bool all_beat(const struct alive *a, uint64_t now, bool *accept)
{
	*accept = true;
	for (unsigned i = 0; i < a->n_workers; i++) {
		uint64_t at = atomic_load_explicit(&a->beats[i].at, memory_order_relaxed);

		if (now > at && now - at > ALIVE_FRESH_MS)
			return false;
		*accept &= atomic_load_explicit(&a->beats[i].accepts, memory_order_relaxed);
	}
	return true;
}

void alive_beat(struct alive *a, unsigned worker, bool accepts, uint64_t now)
{
	bool all_accept;

	atomic_store_explicit(&a->beats[worker].at, now, memory_order_relaxed);
	atomic_store_explicit(&a->beats[worker].accepts, accepts, memory_order_relaxed);
	if (!all_beat(a, now, &all_accept) || pthread_mutex_trylock(&a->lock) != 0)
		return; /* or another one is at it */
	if (a->fd >= 0 && all_accept && !a->withdrawn && now >= a->sent + ALIVE_BEAT_MS - SLACK_MS)
		renew(a, now);
	if (now >= a->notified + ALIVE_NOTIFY_MS - SLACK_MS) {
		a->notified = now;
		notify("WATCHDOG=1");
	}
	pthread_mutex_unlock(&a->lock);
}

void alive_withdraw(struct alive *a, uint64_t now)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->withdrawn = true;
	if (a->fd >= 0) {
		a->error = tell(a->fd, false);
		a->sent = now;
		become(a, false, now);
	}
	pthread_mutex_unlock(&a->lock);
}

struct alive_state alive_state(struct alive *a, uint64_t now)
{
	struct alive_state s;

	pthread_mutex_lock(&a->lock);
	if (a->alive && now > a->good + ALIVE_TIMEOUT_MS)
		become(a, false, now); /* it has run out */
	s = (struct alive_state){a->fd >= 0, a->alive, a->since_ms, a->since, a->renewed, a->failed, a->error};
	pthread_mutex_unlock(&a->lock);
	return s;
}

int alive_new(struct alive **out, unsigned n_workers, bool intercept, uint64_t now, struct err *err)
{
	struct alive *a;

	if (posix_memalign((void **)&a, 64, sizeof *a + n_workers * sizeof *a->beats) != 0)
		return err_set(err, -ENOMEM, "out of memory");
	memset(a, 0, sizeof *a + n_workers * sizeof *a->beats);
	a->n_workers = n_workers;
	a->fd = -1;
	a->since_ms = now_ms();
	pthread_mutex_init(&a->lock, NULL);
	for (unsigned i = 0; i < n_workers; i++) {
		atomic_init(&a->beats[i].at, now);
		atomic_init(&a->beats[i].accepts, false); /* until it says so itself */
	}
	if (intercept && (a->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER)) < 0) {
		int rc = -errno;

		alive_free(a);
		return err_errno(err, rc, "cannot open a netlink socket, which interception needs (RestrictAddressFamilies=AF_NETLINK)");
	}
	*out = a;
	return 0;
}

void alive_free(struct alive *a)
{
	if (!a)
		return;
	if (a->fd >= 0)
		close(a->fd);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
