#pragma once
/* conf - /etc/shunt/shunt.conf, read through libconfuse, checked whole, and handed out as one immutable struct.
 * One table per section (conf.c) holds every key: its type, default, range, meaning. It parses, checks, prints
 * (--print-config) and documents. All programs read the same file and check all of it; each uses its own sections.
 * Errors: "FILE:LINE: found ..., expected ..., what to do" in err, and -EINVAL (-errno where the file cannot be read). A bad
 * file never yields a half-filled struct: callers load a fresh one and swap.
 * Units: seconds, bytes, ports in host order, as the keys say. Ownership: conf_free() frees all; strings are borrowed from it. */
#include "lib/addr.h"
#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CONF_DEFAULT_FILE "/etc/shunt/shunt.conf"

enum protocol { PROTOCOL_HTTP, PROTOCOL_TLS, PROTOCOL_TCP };
enum source { SOURCE_UNSET, SOURCE_PLAIN, SOURCE_HEADERS, SOURCE_PROXY_V2, SOURCE_TRANSPARENT };
enum access_format { ACCESS_JSON, ACCESS_TEXT };
enum unknown { UNKNOWN_CLIENT, UNKNOWN_TRANSIT, UNKNOWN_REFUSE };

/* A host as written: an address, or a name for the resolver. */
struct conf_host {
	char *text;       /* as written, without the port */
	struct addr addr; /* its family is AF_UNSPEC where text is a name */
	uint16_t port;    /* 0: none was written */
	int line;
};

struct conf_pair {
	struct conf_host client;
	struct conf_host transit; /* text is NULL where the transit server has no partner for it; one pair at least has one */
	int line;
};

struct conf_listener {
	char *name;
	char *address;    /* as written; NULL without the key: it is intercepted, at every pair's client address (intercept is true) */
	struct addr bind; /* where it listens, port included; AF_UNSPEC where it is intercepted */
	uint16_t port;
	uint16_t transit_port; /* the same as port unless given */
	enum protocol protocol;
	struct conf_host local;      /* the client side's service; text is NULL without the key: where the visitor wanted to go */
	enum source source[2];       /* by side, client then transit; never SOURCE_UNSET: listener key, else proxy key, else
					transparent (local, intercepted), headers (http), plain (tls, tcp) */
	struct addr_net *proxy_from; /* peers whose PROXY headers are believed (and then required) */
	size_t n_proxy_from;
	int line;
};

struct conf_proxy {
	bool present;
	int workers;                        /* 0: one per processor */
	char *listen;                       /* "tls://...", for other hosts; NULL where not set */
	char *control, *table, *access_log; /* access_log: "none", "stderr" or a file's path */
	enum access_format access_format;
	struct conf_listener *listeners;
	size_t n_listeners;
	bool intercept;
	uint16_t intercept_port;
	enum source source[2]; /* as written; a listener's own source is what holds */
	enum unknown unknown;
	int hold_max_wait, hold_max_connections, drain;
	int http_head_max, http_head_timeout, hello_max, hello_timeout, connect_timeout, keep_alive, idle;
	int response_timeout; /* a back end that took the whole request and says nothing: 504 */
	int max_connections;  /* 0: derived from the descriptor limit */
	int source_connections, source_rate;
};

struct conf_control {
	bool present;
	char *state, *proxy, *netctl_client, *netctl_transit, *dns; /* NULL where not set */
	char *hook_prepare, *hook_copy, *hook_seal, *hook_verify;   /* NULL where not set */
	int hook_timeout;                                           /* seconds; 0 is none */
	int parallel;                                               /* moves side by side */
	int rollback_days;
	int home_wait;    /* seconds */
	bool probe;       /* a side must answer for an account before it is the one */
	int expires_days; /* a certificate that ends sooner is warned of */
};

enum backend_kind { BACKEND_RFC2136, BACKEND_POWERDNS, BACKEND_ALWAYSDATA };

struct conf_zone_server {
	enum backend_kind backend;
	struct conf_host address; /* text is NULL for the HTTP APIs */
	char *url;                /* NULL for rfc2136 */
	char *key_file;
	int line;
};

struct conf_dns {
	bool present;
	char *control, *journal;
	char **nameservers;
	size_t n_nameservers;
	struct conf_zone_server *zone_servers;
	size_t n_zone_servers;
	char **resolvers; /* names or addresses */
	size_t n_resolvers;
	int ttl, wait;  /* seconds */
	int zone_share; /* percent */
	int parallel;   /* zones */
};

enum role { ROLE_CLIENT, ROLE_TRANSIT, ROLE_ROUTER };
enum topology { TOPOLOGY_SEGMENT, TOPOLOGY_ROUTED, TOPOLOGY_TUNNEL };

/* A vxlan between the client server and the transit server, or between a router and the transit server. */
struct conf_tunnel {
	bool present;
	struct conf_host client, transit; /* where its packets go: addresses that do not move */
	int id, mtu;
	uint16_t port;
	int line;
};

struct conf_netctl {
	bool present;
	char *control, *interface, *journal;
	char *listen; /* "tls://ADDRESS:PORT"; NULL where not set */
	int confirm;
	enum role role; /* of the host that reads this */
	enum topology topology;
	enum role forwarder;             /* with a tunnel: who forwards the addresses */
	char *client, *transit, *router; /* where the shunt-netctl of the other hosts is asked; NULL where not set */
	int drain;                       /* seconds */
	char *hook_probe;                /* NULL where not set */
	struct conf_tunnel tunnel;
	int line;
	int mark;     /* one bit; so are twice and four times as much */
	int table;    /* and the next two numbers */
	int priority; /* likewise */
};

/* The HTTP API and the panel. */
struct conf_serve {
	bool present;
	char *listen, *state;
	char *cert, *key; /* NULL where not set */
	char **names;     /* by which it is called, besides localhost and loopback addresses */
	size_t n_names;
	int body_max, rate, changes;
	int line;
};

struct conf_tls {
	bool present;
	char *ca, *cert, *key;
	int needed_line; /* where a tls:// address stands first, which takes this section; 0: nowhere */
};

struct conf {
	char *file;   /* as named on the command line */
	char *server; /* the title of the server section */
	struct conf_pair *pairs;
	size_t n_pairs;
	struct conf_proxy proxy;
	struct conf_netctl netctl;
	struct conf_dns dns;
	struct conf_control control;
	struct conf_serve serve;
	struct conf_tls tls;
};

int conf_load(struct conf **out, const char *file, struct err *err);                    /* returns new */
int conf_parse(struct conf **out, const char *name, const char *text, struct err *err); /* the same from memory; name for messages */
void conf_free(struct conf *c);
void conf_print(const struct conf *c, FILE *to); /* every key with its value in force, in the file's own syntax */
void conf_document(FILE *to);                    /* every key with default, range and meaning, as the body of shunt.conf(5) (mdoc) */

const char *protocol_name(enum protocol p);
const char *source_name(enum source s);
const char *unknown_name(enum unknown u);
const char *role_name(enum role r);
const char *topology_name(enum topology t);
