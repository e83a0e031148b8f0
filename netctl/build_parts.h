#pragma once
/* build_parts - what the builders share among themselves; nobody else includes it. A builder fills the stages of an empty plan. */
#include "netctl/build.h"
#include "netctl/frame.h"
#include "netctl/ops.h"
#include "netctl/tables.h"

#include "lib/err.h"

struct build {
	const struct conf *c;
	struct nl *nl;
	const struct build_wish *wish;
	json_t *plan;
	json_t *moved; /* the pairs' client addresses, as texts */
	struct err *err;
};

typedef int builder(struct build *b);
builder build_intercept, build_reply;                                           /* build_intercept.c */
builder build_takeover, build_give, build_reroute, build_loosen, build_forward; /* build_move.c */
builder build_return, build_yield;

int need_interface(struct build *b); /* -EINVAL where the configuration names none, -ENODEV where it is not there */
int need_tunnel(struct build *b);
json_t *add_tunnel_link(struct build *b, json_t *ops, bool transit); /* the link alone */
void add_tunnel(struct build *b, json_t *ops, bool transit);         /* the link and its inner addresses; transit: this host's end */
const char *tunnel_peer(const struct build *b, bool transit, int family, char out[ADDR_TEXT_MAX]); /* the other end's inner address */
bool moves_family(const struct build *b, int family);
/* The station that has one of the addresses, asked over the wire. -EHOSTUNREACH: nobody answers. */
int find_station(struct build *b, json_t *addresses, struct mac *mac);
int out_of_memory(struct build *b);
/* A table whose text may be NULL for want of memory. Takes text. */
int add_table(struct build *b, json_t *ops, const char *family, const char *name, char *text);
