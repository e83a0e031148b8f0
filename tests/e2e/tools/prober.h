#pragma once
/* prober - what tools/prober.c keeps while it runs, and tools/prober_report.c tells at the end. Times in us since the start. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define HOSTS_MAX    16 /* changes of the answering host that are kept per address */
#define NAME_MAX_LEN 32

enum kind { KIND_TIMER, KIND_ATTEMPT, KIND_LONG, KIND_ECHO4, KIND_ECHO6 };
enum lost { LOST_REFUSED, LOST_RESET, LOST_TIMEOUT, LOST_UNREACHABLE, LOST_OTHER, LOST_N };

struct address {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

struct gap { /* the longest time between two marks in a row, without what the prober was away; us since the start */
	uint64_t last, last_awake, longest, at;
	bool over; /* the run has ended: what still comes in has been waited for, and is no mark */
};

struct host { /* who answered, while nobody else did */
	char name[NAME_MAX_LEN + 1];
	uint64_t from, to; /* us: ends of the first and the last attempt */
	uint64_t count;
};

struct echo {
	uint64_t out[1024]; /* one bit per sequence number: no reply yet */
	uint32_t sent, replied, doubled;
	struct gap gap;
};

struct target {
	char text[INET6_ADDRSTRLEN];
	struct address to;
	unsigned next_port;
	uint64_t attempts, ok, slow, lost[LOST_N], slowest;
	struct gap gap;
	struct host host[HOSTS_MAX];
	unsigned n_hosts;
	uint64_t hosts_cut; /* changes beyond HOSTS_MAX */
	uint64_t stall;     /* us from line to line that came back, the worst of its long connections */
	struct echo *echo;
};

struct attempt {
	enum kind kind;
	int fd; /* -1: over */
	struct target *target;
	uint64_t began; /* awake */
};

struct longer {
	enum kind kind;
	int fd;
	struct target *target;
	bool open, wrong;     /* open: the banner has come, lines follow */
	uint64_t sent, back;  /* bytes of lines */
	uint64_t next, heard; /* us */
};

struct prober {
	unsigned port, rate, n_longs, n_targets, seconds;
	bool fin, icmp;
	struct address from[2]; /* IPv4, IPv6; without port; any where none is given */
	struct target *targets;
	struct attempt *ring; /* attempt i is ring[i % ring_len]; all before `oldest` are over */
	uint64_t ring_len, oldest, issued, echoes;
	struct longer *longs;
	int epoll, timer, icmp_fd[2];
	uint64_t start_ns, now, late;
	uint64_t awake; /* now, without the turns that took AWAY_MS and more */
	bool said;
	uint16_t ident;
};

bool long_hangs(const struct longer *l);                /* open, but not all that was sent has come back */
void report(const struct prober *p, uint64_t began_ms); /* JSON to standard output, lines to standard error; began_ms since the epoch */
