#pragma once
/* nl_impl - what nl.c, nl_encode.c, nl_decode.c and nl_link.c share: the words, the members that are one attribute each, and the coders.
 * Nobody else includes it. */
#include "netctl/nl.h"

#include <linux/netlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdbool.h>
#include <stdint.h>

#define NL_NEXTHOPS_MAX 64
#define NL_IP_TEXT      64
#define NL_ALIAS        "shunt"

struct nl_ip {
	int family;    /* AF_INET, AF_INET6 */
	unsigned size; /* 4, 16 bytes */
	int bits;      /* of the prefix; -1: none was written */
	uint8_t b[16];
};
bool nl_ip_parse(struct nl_ip *ip, const char *text);                            /* IP or IP/LEN */
void nl_ip_from(struct nl_ip *ip, int family, const struct nlattr *a, int bits); /* a NULL: all zero */
char *nl_ip_text(const struct nl_ip *ip, char out[NL_IP_TEXT]);                  /* with /LEN unless bits is -1 */

/* Interfaces by index. To judge a form, or to write one in another way, the interface need not exist: indices are then made up. */
struct nl_names {
	bool made_up;
	unsigned n;
	char name[NL_NEXTHOPS_MAX + 1][IF_NAMESIZE];
};
unsigned nl_index_of(struct nl_names *names, const char *name); /* 0: none */
bool nl_name_of(const struct nl_names *names, unsigned index, char out[IF_NAMESIZE]);

struct nl_word {
	const char *word;
	unsigned number;
};
extern const struct nl_word nl_types[], nl_scopes[], nl_nuds[], nl_addr_flags[]; /* the last has NULL */
unsigned nl_scope_guess(const json_t *route, unsigned type, int family);         /* as ip(8) does */

struct nl_form { /* a member that is one attribute */
	const char *member;
	int type;
	enum { AS_U8, AS_U32, AS_IP, AS_DEV, AS_TEXT, AS_MAC } as;
};
struct nl_coder {
	const char *op;
	int make, del, get; /* RTM_ */
	unsigned head;      /* bytes of the header before the attributes */
	const struct nl_form *forms;
	const char *const *members; /* the others */
	const int *special;         /* attributes that are told otherwise, or not at all; 0 at the end */
};
extern const struct nl_coder nl_coders[];

/* Returns a new message of `type`; names may be NULL where no interface is named. */
int nl_encode(enum nl_kind kind, const json_t *op, int type, int flags, struct nl_names *names, struct nl_msg **out, struct err *err);
int nl_decode(enum nl_kind kind, struct nlmsghdr *h, const struct nl_names *names, json_t **out); /* returns new; -ENOMEM */

/* What nl_find() was asked for, ready to be held against messages before they are decoded. */
struct nl_want {
	int family; /* AF_UNSPEC: both */
	unsigned ifindex;
	struct nl_ip ip, src;                      /* family 0: any */
	int64_t table, metric, priority, protocol; /* -1: any */
};
bool nl_wanted(enum nl_kind kind, struct nlmsghdr *h, const struct nl_want *w);

/* Links (nl_link.c). */
int nl_link_encode(const json_t *op, int type, int flags, struct nl_msg **out, struct err *err);
int nl_link_finish(const json_t *op, struct nl_msg **out); /* its alias, and up */
int nl_link_decode(struct nlmsghdr *h, json_t **out);
int nl_link_canon(const json_t *op, json_t **out, struct err *err); /* returns new */
int nl_link_check(const json_t *op, struct err *err);
bool nl_mac_parse(const char *text, uint8_t out[32], unsigned *len);
void nl_mac_text(const uint8_t *mac, unsigned len, char out[32 * 3]);
