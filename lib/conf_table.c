/* Every section and key of the file. What is not in these tables does not exist: they parse, check, print and document. */
#include "lib/conf_parts.h"

#include "lib/ctl.h"
#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static const char *const protocol_words[] = {[PROTOCOL_HTTP] = "http", [PROTOCOL_TLS] = "tls", [PROTOCOL_TCP] = "tcp", NULL};
static const char *const source_words[] = {
	[SOURCE_PLAIN] = "plain", [SOURCE_HEADERS] = "headers", [SOURCE_PROXY_V2] = "proxy-v2", [SOURCE_TRANSPARENT] = "transparent", NULL};
static const char *const unknown_words[] = {[UNKNOWN_CLIENT] = "client", [UNKNOWN_TRANSIT] = "transit", [UNKNOWN_REFUSE] = "refuse", NULL};
static const char *const access_words[] = {[ACCESS_JSON] = "json", [ACCESS_TEXT] = "text", NULL};
static const char *const role_words[] = {[ROLE_CLIENT] = "client", [ROLE_TRANSIT] = "transit", [ROLE_ROUTER] = "router", NULL};
static const char *const topology_words[] = {
	[TOPOLOGY_SEGMENT] = "segment", [TOPOLOGY_ROUTED] = "routed", [TOPOLOGY_TUNNEL] = "tunnel", NULL};

const char *protocol_name(enum protocol p)
{
	return protocol_words[p];
}

const char *source_name(enum source s)
{
	return s == SOURCE_UNSET ? "unset" : source_words[s];
}

const char *unknown_name(enum unknown u)
{
	return unknown_words[u];
}

const char *role_name(enum role r)
{
	return role_words[r];
}

const char *topology_name(enum topology t)
{
	return topology_words[t];
}

#define AT(s, field) .at = offsetof(struct conf_##s, field)
#define INT(s, n, field, d, lo, hi, ...)                                                                        \
	{                                                                                                       \
		.name = n, .kind = KIND_INT, AT(s, field), .dflt = d, .min = lo, .max = hi, .help = __VA_ARGS__ \
	}
#define KEY(s, n, k, field, d, ...)                                                       \
	{                                                                                 \
		.name = n, .kind = KIND_##k, AT(s, field), .dflt = d, .help = __VA_ARGS__ \
	}
#define LIST(s, n, k, field, ...)                                                                                                \
	{                                                                                                                        \
		.name = n, .kind = KIND_##k, AT(s, field), .count_at = offsetof(struct conf_##s, n_##field), .help = __VA_ARGS__ \
	}
#define WORD(s, n, field, d, w, ...)                                                                   \
	{                                                                                              \
		.name = n, .kind = KIND_ENUM, AT(s, field), .dflt = d, .words = w, .help = __VA_ARGS__ \
	}
#define SECTION(n, field) .name = n, .at = offsetof(struct conf, field), .title_at = CONF_NOWHERE, .line_at = CONF_NOWHERE
#define PRESENT(s)        .present_at = offsetof(struct conf_##s, present)
#define DAY               86400

static const struct conf_key no_keys[] = {{0}};

static const char no_port[] = "leave the port out: a listener's transit-port says where the partner listens";
static const struct conf_key pair_keys[] = {
	KEY(pair, "client", HOST, client, NULL, "an address of the client server, or a name that resolves to it", .required = true,
	    .hint = no_port),
	KEY(pair, "transit", HOST, transit, NULL,
	    "its partner on the transit server; without one, records that name the client's are removed while an account is away, and its "
	    "visitors are led to the partner of the first pair that has one",
	    .hint = no_port),
	{0}};

static const struct conf_key listener_keys[] = {
	KEY(listener, "address", ADDRESS, address, NULL,
	    "where to listen: a client address of a pair; without it, with intercept, the port is taken at every pair's client address"),
	{.name = "port", .kind = KIND_PORT, AT(listener, port), .min = 1, .max = 65535, .required = true, .help = "where to listen"},
	{.name = "transit-port",
	 .kind = KIND_PORT,
	 AT(listener, transit_port),
	 .min = 1,
	 .max = 65535,
	 .help = "the partner's port; the same as port unless given"},
	WORD(listener, "protocol", protocol, NULL, protocol_words, "how the account is found: by Host, by server name, by address and port",
	     .required = true),
	KEY(listener, "local", HOST_PORT, local, NULL,
	    "the client side's own service; what is intercepted goes to where the visitor wanted unless given"),
	WORD(listener, "source-local", source[0], NULL, source_words,
	     "how the local service learns the visitor's address; as in the proxy section unless given"),
	WORD(listener, "source-transit", source[1], NULL, source_words, "the same for the transit side"),
	LIST(listener, "proxy-from", NETS, proxy_from, "peers that must begin with a PROXY header, which is then believed"),
	{0}};

static const struct conf_section proxy_subs[] = {{.name = "listener",
						  .help = "Where visitors come in, one section each.",
						  .titled = true,
						  .many = true,
						  AT(proxy, listeners),
						  .count_at = offsetof(struct conf_proxy, n_listeners),
						  .size = sizeof(struct conf_listener),
						  .present_at = CONF_NOWHERE,
						  .title_at = offsetof(struct conf_listener, name),
						  .line_at = offsetof(struct conf_listener, line),
						  .keys = listener_keys},
						 {0}};

static const struct conf_key proxy_keys[] = {
	INT(proxy, "workers", workers, "0", 0, 256, "threads; 0 is one per processor"),
	KEY(proxy, "control", SOCKET, control, "unix:/run/shunt/proxy.sock", "the control socket"),
	KEY(proxy, "listen", LISTEN, listen, NULL, "where a shunt command on another host may ask, over mutual TLS"),
	KEY(proxy, "table", FILE, table, "/var/lib/shunt/table", "the last table: a restart needs no controller"),
	KEY(proxy, "access-log", LOG, access_log, "none",
	    "one line per request or connection; stderr is the journal where systemd runs the proxy"),
	WORD(proxy, "access-log-format", access_format, "json", access_words,
	     "JSON lines with the field names of the OpenTelemetry HTTP conventions, or key=value"),
	KEY(proxy, "intercept", BOOL, intercept, "false",
	    "take the pairs' client addresses on the listeners' ports (TPROXY); local services stay as they are"),
	{.name = "intercept-port",
	 .kind = KIND_PORT,
	 AT(proxy, intercept_port),
	 .dflt = "10080",
	 .min = 1,
	 .max = 65535,
	 .help = "where the kernel hands over what is intercepted; nobody connects to it"},
	WORD(proxy, "source-local", source[0], NULL, source_words,
	     "how local services learn the visitor's address; where it is not set, transparent for what is intercepted, else headers for "
	     "http and plain for others"),
	WORD(proxy, "source-transit", source[1], NULL, source_words,
	     "the same for the transit side; where it is not set, headers for http and plain for others"),
	WORD(proxy, "unknown", unknown, "client", unknown_words, "where names of no account go"),
	INT(proxy, "hold-max-wait", hold_max_wait, "30", 1, 3600, "seconds a visitor waits while his account moves"),
	INT(proxy, "hold-max-connections", hold_max_connections, "10000", 0, 10000000,
	    "visitors who wait at once; further ones are refused"),
	INT(proxy, "drain", drain, "10", 0, 3600, "seconds that what is in flight has to finish when an account moves"),
	INT(proxy, "http-head-max", http_head_max, "32768", 1024, 65536, "bytes of a request's or response's head"),
	INT(proxy, "http-head-timeout", http_head_timeout, "10", 1, 600, "seconds for a request's head, from its first byte"),
	INT(proxy, "hello-max", hello_max, "32768", 1024, 65536, "bytes of a TLS ClientHello"),
	INT(proxy, "hello-timeout", hello_timeout, "5", 1, 600, "seconds for a TLS ClientHello"),
	INT(proxy, "connect-timeout", connect_timeout, "4", 1, 600, "seconds for connecting to a back end"),
	INT(proxy, "keep-alive", keep_alive, "60", 1, DAY, "seconds an HTTP connection may be idle between requests"),
	INT(proxy, "idle", idle, "3600", 1, 30 * DAY, "seconds without a byte after which a relayed connection ends"),
	INT(proxy, "response-timeout", response_timeout, "300", 1, DAY, "seconds for a back end's answer to begin; then 504"),
	INT(proxy, "max-connections", max_connections, "0", 0, 100000000, "visitors at once; 0 is derived from the descriptor limit"),
	INT(proxy, "source-connections", source_connections, "0", 0, 100000000,
	    "connections at once of one IPv4 address or IPv6 /64; 0 is no limit"),
	INT(proxy, "source-rate", source_rate, "0", 0, 100000000,
	    "new connections per second of one IPv4 address or IPv6 /64; 0 is no limit"),
	{0}};

static const struct conf_section server_subs[] = {{.name = "pair",
						   .help = "An address of the client server and its partner on the transit server.",
						   .many = true,
						   .at = offsetof(struct conf, pairs),
						   .count_at = offsetof(struct conf, n_pairs),
						   .size = sizeof(struct conf_pair),
						   .present_at = CONF_NOWHERE,
						   .title_at = CONF_NOWHERE,
						   .line_at = offsetof(struct conf_pair, line),
						   .keys = pair_keys},
						  {0}};

static const struct conf_key tunnel_keys[] = {
	KEY(tunnel, "client", HOST, client, NULL,
	    "the outer address at the client server (or the router that forwards); one that does not move", .required = true,
	    .hint = no_port),
	KEY(tunnel, "transit", HOST, transit, NULL, "the outer address at the transit server", .required = true, .hint = no_port),
	INT(tunnel, "id", id, "42", 1, 8000, "the VXLAN network identifier; another one for each client server"),
	{.name = "port", .kind = KIND_PORT, AT(tunnel, port), .dflt = "4789", .min = 1, .max = 65535, .help = "the UDP port of both ends"},
	INT(tunnel, "mtu", mtu, "0", 0, 9000, "of the inner packets; 0 is what the outer interface leaves"),
	{0}};

static const struct conf_section netctl_subs[] = {{.name = "tunnel",
						   .help = "A VXLAN between the two servers, made where a plan needs it.",
						   AT(netctl, tunnel),
						   .present_at = offsetof(struct conf_tunnel, present),
						   .title_at = CONF_NOWHERE,
						   .line_at = offsetof(struct conf_tunnel, line),
						   .keys = tunnel_keys},
						  {0}};

static const struct conf_key netctl_keys[] = {
	KEY(netctl, "control", SOCKET, control, "unix:/run/shunt/netctl.sock", "the control socket"),
	KEY(netctl, "listen", LISTEN, listen, NULL, "where other hosts' programs may ask, over mutual TLS"),
	KEY(netctl, "interface", NAME, interface, NULL, "the interface that holds the addresses"),
	INT(netctl, "confirm", confirm, "30", 5, 3600, "seconds after which an unconfirmed change reverts itself"),
	KEY(netctl, "journal", FILE, journal, "/var/lib/shunt/netctl", "the directory of what is to be undone"),
	WORD(netctl, "role", role, "client", role_words, "which of the hosts reads this file"),
	WORD(netctl, "topology", topology, "segment", topology_words,
	     "how the addresses move: both servers on one segment, by routes of a router, or forwarded through the tunnel"),
	WORD(netctl, "forwarder", forwarder, "client", role_words, "with topology tunnel: the host that forwards, client or router"),
	KEY(netctl, "client", PEER, client, NULL, "where shunt-netctl of the client server is asked, by the other hosts"),
	KEY(netctl, "transit", PEER, transit, NULL, "the same of the transit server"),
	KEY(netctl, "router", PEER, router, NULL, "the same of the router"),
	INT(netctl, "drain", drain, "300", 0, DAY,
	    "seconds that connections of before a takeover are still led to the server that has them"),
	KEY(netctl, "hook-probe", FILE, hook_probe, NULL,
	    "program that tells, by its exit code, whether moved addresses answer from outside"),
	{.name = "mark",
	 .kind = KIND_MARK,
	 AT(netctl, mark),
	 .dflt = "16777216",
	 .min = 1,
	 .max = 0x20000000,
	 .help = "the packet mark of the way to local services and back; twice and four times as much are ours too"},
	INT(netctl, "table", table, "7443", 256, 2000000000, "the first of three routing tables, numbered in a row"),
	INT(netctl, "priority", priority, "743", 1, 32000, "of the first of three routing rules, numbered in a row"),
	{0}};

static const char *const backend_words[] = {
	[BACKEND_RFC2136] = "rfc2136", [BACKEND_POWERDNS] = "powerdns", [BACKEND_ALWAYSDATA] = "alwaysdata", NULL};
static const struct conf_key zone_server_keys[] = {
	WORD(zone_server, "backend", backend, "rfc2136", backend_words,
	     "how records are changed: rfc2136 (DNS UPDATE with TSIG), powerdns (its HTTP API) or alwaysdata (its REST API)"),
	KEY(zone_server, "address", HOST, address, NULL, "rfc2136: the primary server that takes updates"),
	{.name = "port", .kind = KIND_PORT, AT(zone_server, address.port), .dflt = "53", .min = 1, .max = 65535, .help = "its port"},
	KEY(zone_server, "url", URL, url, NULL,
	    "powerdns: where its API is, without the path; alwaysdata: https://api.alwaysdata.com unless given"),
	KEY(zone_server, "key-file", FILE, key_file, NULL,
	    "the TSIG key in BIND's syntax, or the API's key as one line; only its owner may read it", .required = true),
	{0}};

static const struct conf_section dns_subs[] = {{.name = "zone-server",
						.help = "A DNS server that takes updates.",
						.many = true,
						AT(dns, zone_servers),
						.count_at = offsetof(struct conf_dns, n_zone_servers),
						.size = sizeof(struct conf_zone_server),
						.present_at = CONF_NOWHERE,
						.title_at = CONF_NOWHERE,
						.line_at = offsetof(struct conf_zone_server, line),
						.keys = zone_server_keys},
					       {0}};

static const struct conf_key dns_keys[] = {
	KEY(dns, "control", SOCKET, control, "unix:/run/shunt/dnsupdate.sock", "the control socket"),
	LIST(dns, "nameservers", HOSTS, nameservers, "the provider's name servers: domains they serve are switched by DNS"),
	LIST(dns, "resolvers", HOSTS, resolvers,
	     "recursive servers: asked who a domain is delegated to, and at the end of a change whether they see it; none: those of "
	     "/etc/resolv.conf are asked, and not waited for"),
	KEY(dns, "journal", FILE, journal, "/var/lib/shunt/dns", "the directory of what is to be undone"),
	INT(dns, "ttl", ttl, "60", 1, DAY, "seconds, of records while accounts move"),
	INT(dns, "wait", wait, "10", 0, 3600,
	    "seconds for which a move waits until every name server shows a change; after that it goes on, and the server is named"),
	INT(dns, "zone-share", zone_share, "90", 1, 100,
	    "percent of a zone's record sets that one account may change, in zones of more than 20; 100 is no limit"),
	INT(dns, "parallel", parallel, "64", 1, 1000, "zones side by side, besides those that wait for name servers to follow"),
	{0}};

static const struct conf_key control_keys[] = {
	KEY(control, "state", FILE, state, "/var/lib/shunt/shunt.db", "accounts, moves and the audit trail"),
	KEY(control, "proxy", PEER, proxy, "unix:/run/shunt/proxy.sock", "where shunt-proxy is asked"),
	KEY(control, "netctl-client", PEER, netctl_client, NULL, "where shunt-netctl of the client server is asked"),
	KEY(control, "netctl-transit", PEER, netctl_transit, NULL, "where shunt-netctl of the transit server is asked"),
	KEY(control, "dns", PEER, dns, NULL, "where shunt-dnsupdate is asked"),
	KEY(control, "hook-prepare", FILE, hook_prepare, NULL, "program that copies ahead, while the account is in service"),
	KEY(control, "hook-copy", FILE, hook_copy, NULL, "program that copies the rest, while visitors wait"),
	KEY(control, "hook-seal", FILE, hook_seal, NULL, "program that makes the old side refuse the account"),
	KEY(control, "hook-verify", FILE, hook_verify, NULL, "program that tells whether the new side answers"),
	INT(control, "hook-timeout", hook_timeout, "0", 0, 30 * DAY, "seconds a hook may run; 0 is no limit"),
	INT(control, "parallel", parallel, "4", 1, 1000, "moves side by side"),
	INT(control, "home-wait", home_wait, "300", 0, DAY,
	    "seconds for which a move home waits, before it holds anybody, until resolvers have forgotten the transit server's address"),
	INT(control, "rollback-days", rollback_days, "7", 0, 365, "days for which an owner may go back"),
	KEY(control, "probe", BOOL, probe, "true",
	    "before an account moves, and before reinstall, the side it goes to must answer for it, through every listener"),
	INT(control, "expires-days", expires_days, "14", 1, 365,
	    "days before its end in which a site's certificate is warned of by shunt check"),
	{0}};

static const struct conf_key serve_keys[] = {
	KEY(serve, "listen", SERVE, listen, "unix:/run/shunt/serve.sock",
	    "where the API answers: a Unix socket, a loopback address, or any address with TLS (cert and key)",
	    .hint = "an address that others reach takes tls://, with cert and key: the token of a request would pass the network in the "
		    "clear"),
	KEY(serve, "cert", FILE, cert, NULL, "with tls://: the certificate that browsers are shown, and its chain; read again at SIGHUP"),
	KEY(serve, "key", FILE, key, NULL, "its private key"),
	LIST(serve, "names", HOSTS, names,
	     "names by which it is called, as by a web server in front of it; without tls:// the Host of a request must be one of them, "
	     "localhost, or a loopback address"),
	KEY(serve, "state", FILE, state, "/var/lib/shunt/serve.db", "tokens, operations, and their answers"),
	INT(serve, "body-max", body_max, "1048576", 1024, 256 * 1024 * 1024, "bytes of a request's body"),
	INT(serve, "rate", rate, "20", 1, 100000, "requests per second of one token; twice as many at once"),
	INT(serve, "changes", changes, "60", 1, 100000, "changing requests per minute of one token"),
	{0}};

static const struct conf_key tls_keys[] = {
	KEY(tls, "ca", FILE, ca, NULL, "certificates that peers' certificates must come from", .required = true),
	KEY(tls, "cert", FILE, cert, NULL, "our certificate", .required = true),
	KEY(tls, "key", FILE, key, NULL, "its private key", .required = true),
	{0}};

const struct conf_section conf_sections[] = {
	{.name = "server",
	 .help = "The client server, and who stands in for each of its addresses.",
	 .titled = true,
	 .at = 0,
	 .present_at = CONF_NOWHERE,
	 .title_at = offsetof(struct conf, server),
	 .line_at = CONF_NOWHERE,
	 .keys = no_keys,
	 .subs = server_subs},
	{SECTION("proxy", proxy), PRESENT(proxy), .help = "shunt-proxy, on the client server.", .keys = proxy_keys, .subs = proxy_subs},
	{.name = "netctl",
	 .at = offsetof(struct conf, netctl),
	 .title_at = CONF_NOWHERE,
	 .line_at = offsetof(struct conf_netctl, line),
	 PRESENT(netctl),
	 .help = "shunt-netctl.",
	 .keys = netctl_keys,
	 .subs = netctl_subs},
	{SECTION("dns", dns), PRESENT(dns), .help = "shunt-dnsupdate, on the control host.", .keys = dns_keys, .subs = dns_subs},
	{SECTION("control", control), PRESENT(control), .help = "The shunt command, on the control host.", .keys = control_keys},
	{.name = "serve",
	 .at = offsetof(struct conf, serve),
	 .title_at = CONF_NOWHERE,
	 .line_at = offsetof(struct conf_serve, line),
	 PRESENT(serve),
	 .help = "shunt serve, on the control host: the API and the panel.",
	 .keys = serve_keys},
	{SECTION("tls", tls), PRESENT(tls), .help = "Certificates between hosts.", .keys = tls_keys},
	{0}};

/* ---- values ---- */

bool conf_is_list(const struct conf_key *k)
{
	return k->kind == KIND_HOSTS || k->kind == KIND_NETS;
}

/* Digits alone: neither a sign, nor a space, nor a leading zero, which elsewhere means octal. */
static bool parse_number(const char *text, long min, long max, long *out)
{
	long v = 0;
	if (!*text || (text[0] == '0' && text[1]))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || v > max)
			return false;
		v = v * 10 + (*text - '0');
	}
	*out = v;
	return v >= min && v <= max;
}

/* One bit, in decimal or as 0x and hexadecimal digits. */
static bool parse_mark(const char *text, long min, long max, long *out)
{
	char *end;

	if (strncmp(text, "0x", 2) == 0) {
		if (strlen(text) > 10 || strspn(text + 2, "0123456789abcdefABCDEF") != strlen(text + 2))
			return false;
		*out = (long)strtoul(text + 2, &end, 16);
		if (end == text + 2 || *out < min || *out > max)
			return false;
	} else if (!parse_number(text, min, max, out)) {
		return false;
	}
	return (*out & (*out - 1)) == 0;
}

static bool parse_bool(const char *text, bool *out)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i % 2;
			return true;
		}
	return false;
}

/* A host's name: what is all digits behind its last dot is a mistyped address (RFC 1123 2.1). */
static bool is_host_name(const char *text, size_t len)
{
	bool digits = true;
	size_t label = 0;
	if (len > 1 && text[len - 1] == '.')
		len--;
	if (len == 0 || len > 253)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		bool digit = c >= '0' && c <= '9', letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
		if (c == '.') {
			if (label == 0 || text[i - 1] == '-')
				return false;
			label = 0;
			digits = true;
			continue;
		}
		if (!(digit || letter || c == '_' || (c == '-' && label)) || ++label > 63)
			return false;
		digits &= digit;
	}
	return label && !digits && text[len - 1] != '-';
}

static bool parse_host(const char *text, bool with_port, struct conf_host *out)
{
	size_t len = strlen(text);
	long port = 0;
	if (with_port) {
		const char *colon = strrchr(text, ':');
		if (!colon || !parse_number(colon + 1, 1, 65535, &port))
			return false;
		len = (size_t)(colon - text);
		bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
		if (bracketed != (memchr(text, ':', len) != NULL))
			return false;
		text += bracketed;
		len -= bracketed ? 2 : 0;
	}
	char *host = strndup(text, len);
	if (!host || !(addr_parse(&out->addr, host) || is_host_name(host, len))) {
		free(host);
		return false;
	}
	addr_set_port(&out->addr, (uint16_t)port);
	out->text = host;
	out->port = (uint16_t)port;
	return true;
}

static bool is_socket(const char *text)
{
	struct sockaddr_un unused;
	return ctl_unix_address(&unused, text, NULL) == 0;
}

static bool is_peer(const char *text)
{
	struct conf_host host = {0};
	bool ok = strncmp(text, "tls://", 6) == 0 && parse_host(text + 6, true, &host);
	free(host.text);
	return ok || is_socket(text);
}

static bool is_listen(const char *text)
{
	struct addr a;
	return strncmp(text, "tls://", 6) == 0 && addr_parse_port(&a, text + 6) && addr_port(&a) != 0;
}

/* In the clear only where no other host can listen. */
static bool is_serve(const char *text)
{
	struct addr a;
	if (addr_parse_port(&a, text) && addr_port(&a) != 0)
		return addr_is_loopback(&a);
	return is_listen(text) || is_socket(text);
}

/* Scheme, host and perhaps a port: what follows is ours to add. */
static bool is_url(const char *text)
{
	const char *host = strncmp(text, "https://", 8) == 0 ? text + 8 : strncmp(text, "http://", 7) == 0 ? text + 7 : NULL;
	size_t len = host ? strlen(host) : 0;
	return len > 0 && len < 300 && strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") == len;
}

static bool is_interface(const char *text)
{
	size_t len = strlen(text);
	return len > 0 && len < 16 && !strpbrk(text, "/: ") && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static bool is_file(const char *text)
{
	return text[0] == '/' && text[1] && strlen(text) < 4096;
}

static int set_word(const struct conf_key *k, void *field, const char *text)
{
	const char *const *words = k->words;
	for (int i = 0; i == 0 || words[i]; i++)
		if (words[i] && strcmp(text, words[i]) == 0) {
			memcpy(field, &i, sizeof(i)); /* any enum of ours is as large as an int */
			return 0;
		}
	return -EINVAL;
}

static int set_text(void *field, bool good, const char *text)
{
	char *copy = good ? strdup(text) : NULL, *old;
	if (!good)
		return -EINVAL;
	memcpy(&old, field, sizeof(old)); /* the default */
	free(old);
	memcpy(field, &copy, sizeof(copy));
	return copy ? 0 : -ENOMEM;
}

static int add_item(const struct conf_key *k, void *base, const char *text)
{
	struct conf_host host = {0};
	struct addr_net net;
	size_t *n = conf_field(base, k->count_at);
	size_t size = k->kind == KIND_NETS ? sizeof(net) : sizeof(char *);
	if (k->kind == KIND_NETS ? !addr_net_parse(&net, text) : !parse_host(text, false, &host))
		return -EINVAL;
	void *old, *grown;
	memcpy(&old, conf_field(base, k->at), sizeof(old));
	grown = reallocarray(old, *n + 1, size);
	if (!grown) {
		free(host.text);
		return -ENOMEM;
	}
	memcpy((char *)grown + *n * size, k->kind == KIND_NETS ? (void *)&net : (void *)&host.text, size);
	memcpy(conf_field(base, k->at), &grown, sizeof(grown));
	++*n;
	return 0;
}

int conf_set(const struct conf_key *k, void *base, const char *text, int line)
{
	void *field = conf_field(base, k->at);
	struct addr addr;
	long number;
	switch (k->kind) {
	case KIND_INT:
		if (!parse_number(text, k->min, k->max, &number))
			return -EINVAL;
		*(int *)field = (int)number;
		return 0;
	case KIND_MARK:
		if (!parse_mark(text, k->min, k->max, &number))
			return -EINVAL;
		*(int *)field = (int)number;
		return 0;
	case KIND_PORT:
		if (!parse_number(text, k->min, k->max, &number))
			return -EINVAL;
		*(uint16_t *)field = (uint16_t)number;
		return 0;
	case KIND_BOOL:
		return parse_bool(text, field) ? 0 : -EINVAL;
	case KIND_ENUM:
		return set_word(k, field, text);
	case KIND_FILE:
		return set_text(field, is_file(text), text);
	case KIND_LOG:
		return set_text(field, is_file(text) || strcmp(text, "none") == 0 || strcmp(text, "stderr") == 0, text);
	case KIND_NAME:
		return set_text(field, is_interface(text), text);
	case KIND_URL:
		return set_text(field, is_url(text), text);
	case KIND_SOCKET:
		return set_text(field, is_socket(text), text);
	case KIND_PEER:
		return set_text(field, is_peer(text), text);
	case KIND_LISTEN:
		return set_text(field, is_listen(text), text);
	case KIND_SERVE:
		return set_text(field, is_serve(text), text);
	case KIND_ADDRESS:
		return set_text(field, addr_parse(&addr, text), text);
	case KIND_HOST:
	case KIND_HOST_PORT:
		((struct conf_host *)field)->line = line;
		return parse_host(text, k->kind == KIND_HOST_PORT, field) ? 0 : -EINVAL;
	case KIND_HOSTS:
	case KIND_NETS:
		return add_item(k, base, text);
	}
	return -EINVAL;
}

void conf_unset(const struct conf_key *k, void *base)
{
	char *field = conf_field(base, k->at), *text, **list;
	switch (k->kind) {
	case KIND_INT:
	case KIND_MARK:
	case KIND_PORT:
	case KIND_BOOL:
	case KIND_ENUM:
		return;
	case KIND_HOST:
	case KIND_HOST_PORT:
		free(((struct conf_host *)(void *)field)->text);
		return;
	case KIND_HOSTS:
		memcpy(&list, field, sizeof(list));
		for (size_t i = 0; i < *(size_t *)conf_field(base, k->count_at); i++)
			free(list[i]);
		free(list);
		return;
	case KIND_FILE:
	case KIND_LOG:
	case KIND_NAME:
	case KIND_URL:
	case KIND_SOCKET:
	case KIND_PEER:
	case KIND_LISTEN:
	case KIND_SERVE:
	case KIND_ADDRESS:
	case KIND_NETS:
		memcpy(&text, field, sizeof(text));
		free(text);
		return;
	}
}

static const char *expected_word(const struct conf_key *k, char *out)
{
	size_t n = 0;
	for (int i = 0; i == 0 || k->words[i]; i++)
		if (k->words[i])
			n += (size_t)snprintf(out + n, CONF_TEXT_MAX - n, "%s%s%s", n ? ", " : "", n && !k->words[i + 1] ? "or " : "",
					      k->words[i]);
	return out;
}

const char *conf_expected(const struct conf_key *k, char out[CONF_TEXT_MAX])
{
	switch (k->kind) {
	case KIND_INT:
	case KIND_PORT:
		snprintf(out, CONF_TEXT_MAX, "a whole number from %ld to %ld", k->min, k->max);
		return out;
	case KIND_MARK:
		snprintf(out, CONF_TEXT_MAX, "a power of two from 0x%lx to 0x%lx, decimal or hexadecimal", k->min, k->max);
		return out;
	case KIND_ENUM:
		return expected_word(k, out);
	case KIND_BOOL:
		return "true or false";
	case KIND_FILE:
		return "a path that starts with /";
	case KIND_LOG:
		return "none, stderr, or a path that starts with /";
	case KIND_NAME:
		return "the name of an interface, of at most 15 bytes";
	case KIND_URL:
		return "http://HOST[:PORT] or https://HOST[:PORT]";
	case KIND_SOCKET:
		return "unix:/PATH with at most 107 bytes of path";
	case KIND_PEER:
		return "unix:/PATH or tls://HOST:PORT";
	case KIND_LISTEN:
		return "tls://ADDRESS:PORT or tls://[IPv6]:PORT";
	case KIND_SERVE:
		return "unix:/PATH, a loopback ADDRESS:PORT, or tls://ADDRESS:PORT";
	case KIND_ADDRESS:
		return "an IPv4 or IPv6 address without a port";
	case KIND_HOST:
		return "an address or a host name, without a port";
	case KIND_HOST_PORT:
		return "ADDRESS:PORT, [IPv6]:PORT or NAME:PORT";
	case KIND_HOSTS:
		return "addresses or host names";
	case KIND_NETS:
		return "addresses or prefixes such as 10.0.0.0/8 without host bits";
	}
	return "";
}
