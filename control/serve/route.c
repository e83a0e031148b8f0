#include "control/serve/route.h"

#include <stdio.h>
#include <string.h>

/* ---- fields ---- */

#define DRY_RUN                                                                                                    \
	{                                                                                                          \
		"dry_run", FIELD_FLAG, "--dry-run", false, true, "say what each step would do, and change nothing" \
	}
#define YES                                                                                                                          \
	{                                                                                                                            \
		"yes", FIELD_YES, NULL, false, true,                                                                                 \
			"consent to what the answer 409 says it costs; needed with force, with all, and for what is said to be lost" \
	}
#define FORCE                                                                                                       \
	{                                                                                                           \
		"force", FIELD_FLAG, "--force", false, false, "go past the guard that the refusal names; needs yes" \
	}
#define DRAIN                                                                                                        \
	{                                                                                                            \
		"drain", FIELD_SECONDS, "--drain", false, true, "seconds that requests in flight may take to finish" \
	}
#define MAX_WAIT                                                                                                          \
	{                                                                                                                 \
		"max_wait", FIELD_SECONDS, "--max-wait", false, true, "seconds that a visitor waits before being refused" \
	}
#define NO_DNS                                                                       \
	{                                                                            \
		"no_dns", FIELD_FLAG, "--no-dns", false, false, "leave DNS as it is" \
	}
#define ALL                                                                                                \
	{                                                                                                  \
		"all", FIELD_FLAG, "--all", false, false, "every account that is not there yet; needs yes" \
	}
#define NAMES                                                                    \
	{                                                                        \
		"accounts", FIELD_NAMES, NULL, false, false, "names of accounts" \
	}
#define CONFIRM                                                                                                                    \
	{                                                                                                                          \
		"confirm", FIELD_SECONDS, "--confirm", false, false, "seconds after which it reverts unless all is proved by then" \
	}
#define SINCE                                                                                                \
	{                                                                                                    \
		"since", FIELD_TEXT, "--since", false, true, "from 2026-01-31T08:00:00Z, or 90m, 2h, 3d ago" \
	}
#define END                                                \
	{                                                  \
		NULL, FIELD_FLAG, NULL, false, false, NULL \
	}

static const struct field none[] = {END};
static const struct field account_add[] = {{"domains", FIELD_TEXTS, "--domain", false, false, "domains, or *.domain"},
					   {"addresses", FIELD_TEXTS, "--address", false, false, "addresses of its own"},
					   {"logins", FIELD_TEXTS, "--login", false, false, "logins, or *@domain"},
					   {"ports", FIELD_PORTS, "--port", false, false, "ports of its own"},
					   FORCE,
					   YES,
					   END};
static const struct field account_import[] = {
	{"accounts", FIELD_ACCOUNTS, NULL, true, false, "the whole set, each as `shunt account show` has it"}, FORCE, YES, END};
static const struct field account_remove[] = {FORCE, YES, END};
static const struct field one_move[] = {DRY_RUN, DRAIN, MAX_WAIT, NO_DNS, FORCE, YES, END};
static const struct field all_moves[] = {NAMES, ALL, DRY_RUN, DRAIN, MAX_WAIT, NO_DNS, FORCE, YES, END};
static const struct field some_moves[] = {NAMES, DRY_RUN, DRAIN, MAX_WAIT, NO_DNS, FORCE, YES, END};
#define CHECK_LAST                                                                                                           \
	{                                                                                                                    \
		"last", FIELD_FLAG, "--last", false, true, "instead: what was found when it was checked last, asking nobody" \
	}
#define EXPIRES                                                                                                           \
	{                                                                                                                 \
		"expires_days", FIELD_DAYS, "--expires-days", false, true, "warn of certificates that end within so many" \
	}
static const struct field check_all[] = {
	{"account", FIELD_NAMES, NULL, false, false, "an account's name; again for each. None: all"},
	CHECK_LAST,
	EXPIRES,
	{"stragglers", FIELD_FLAG, "--stragglers", false, true, "instead: names whose visitors still come to the old address"},
	END};
static const struct field check_one[] = {
	CHECK_LAST,
	EXPIRES,
	{"stragglers", FIELD_FLAG, "--stragglers", false, true, "instead: names whose visitors still come to the old address"},
	END};
static const struct field check_many[] = {{"accounts", FIELD_NAMES, NULL, false, false, "names of accounts. None: all"}, EXPIRES, END};
static const struct field check_this[] = {EXPIRES, END};
static const struct field start[] = {DRY_RUN, YES, END};
static const struct field reinstall[] = {
	CONFIRM, {"without_client", FIELD_FLAG, "--without-client", false, false, "the client server is dead and is not asked"},
	DRY_RUN, FORCE,
	YES,     END};
static const struct field bring_back[] = {CONFIRM, DRY_RUN, YES, END};
static const struct field resume[] = {NAMES, FORCE, YES, END};
static const struct field where[] = {{"host", FIELD_WORD, NULL, true, false, "HOST or HOST:PORT"},
				     {"to", FIELD_TEXT, "--to", false, false, "the address that the traffic goes to"},
				     {"login", FIELD_TEXT, "--login", false, false, "the login that is used"},
				     END};
static const struct field since[] = {SINCE, END};
static const struct field report[] = {{"move", FIELD_NUMBER, NULL, false, false, "one of its moves; else all, the newest first"}, END};
static const struct field head[] = {{"head", FIELD_WORD, NULL, false, false, "a head that was kept, which must lie on the way"}, END};
static const struct field token_create[] = {
	{"name", FIELD_WORD, NULL, true, false, "what the trail will call it"},
	{"operator", FIELD_FLAG, "--operator", false, false, "it may do everything"},
	{"account", FIELD_TEXT, "--account", false, false, "it knows this account alone"},
	{"metrics", FIELD_FLAG, "--metrics", false, false, "it may read /metrics alone"},
	{"days", FIELD_DAYS, "--days", false, false, "days until it expires; else it is good until it is revoked"},
	END};
static const struct field token_revoke[] = {{"name", FIELD_WORD, NULL, true, false, "its name"}, END};

/* ---- the table ---- */

#define OP   ROLE_FOR_OPERATOR
#define BOTH ROLE_FOR_BOTH
#define GET  EVHTTP_REQ_GET
#define POST EVHTTP_REQ_POST
#define READ(path_, command_, roles_, fields_, keeps_, summary_)                                                               \
	{                                                                                                                      \
		GET, path_, ROUTE_READ, command_, roles_, fields_, LANE_READ, HERE_NONE, false, false, false, keeps_, summary_ \
	}
#define READ_ONE(path_, command_, fields_, keeps_, summary_)                                                                \
	{                                                                                                                   \
		GET, path_, ROUTE_READ, command_, BOTH, fields_, LANE_READ, HERE_NONE, true, false, false, keeps_, summary_ \
	}
#define CHANGE(method_, path_, command_, roles_, fields_, lane_, word_, consent_, dry_, keeps_, summary_)                          \
	{                                                                                                                          \
		method_, path_, ROUTE_CHANGE, command_, roles_, fields_, lane_, HERE_NONE, word_, consent_, dry_, keeps_, summary_ \
	}
#define HERE(path_, id_, roles_, summary_)                                                                      \
	{                                                                                                       \
		GET, path_, ROUTE_HERE, NULL, roles_, none, LANE_READ, id_, false, false, false, NULL, summary_ \
	}
#define MOVE_KEEPS  "moves dry-run prices about-seconds sizes-unknown"
#define CHECK_KEEPS "accounts counts dns findings stragglers"

const struct route routes[] = {
	READ("/v1/accounts", "account list", OP, none, NULL, "every account and its side"),
	CHANGE(POST, "/v1/accounts/import", "account import", OP, account_import, LANE_CHANGE, false, false, false, NULL,
	       "the whole set of accounts, all of it or nothing; one that is not in it any more is removed"),
	READ_ONE("/v1/accounts/{account}", "account show", none, "account check", "one account in full, and what its last check found"),
	CHANGE(EVHTTP_REQ_PUT, "/v1/accounts/{account}", "account add", OP, account_add, LANE_CHANGE, true, false, false, NULL,
	       "one account; force replaces what is there with other data"),
	CHANGE(EVHTTP_REQ_DELETE, "/v1/accounts/{account}", "account remove", OP, account_remove, LANE_CHANGE, true, false, false, NULL,
	       "forget one account"),
	READ_ONE("/v1/accounts/{account}/status", "status", none, "account moves", "its side, its way back, what a rollback would cost"),
	READ_ONE("/v1/accounts/{account}/check", "check", check_one, CHECK_KEEPS, "preflight: what will move how, and what could break"),
	CHANGE(POST, "/v1/accounts/{account}/check", "check", BOTH, check_this, LANE_CHECK, true, false, false, CHECK_KEEPS,
	       "the same preflight as an operation: nothing but what is known of the account changes, and nobody has to wait for it"),
	READ_ONE("/v1/accounts/{account}/report", "report", report, "reports unbroken", "what became of its moves"),
	READ_ONE("/v1/accounts/{account}/log", "log", since, "log", "its lines of the audit trail"),
	HERE("/v1/accounts/{account}/events", HERE_ACCOUNT_EVENTS, BOTH, "what happens to it, as server-sent events"),
	CHANGE(POST, "/v1/accounts/{account}/migrate", "migrate", BOTH, one_move, LANE_MOVE, true, false, true, MOVE_KEEPS,
	       "client -> transit"),
	CHANGE(POST, "/v1/accounts/{account}/rollback", "rollback", BOTH, one_move, LANE_MOVE, true, false, true, MOVE_KEEPS,
	       "transit -> client; without yes it is refused where something is lost, with the price"),
	CHANGE(POST, "/v1/accounts/{account}/relocate", "relocate", BOTH, one_move, LANE_MOVE, true, false, true, MOVE_KEEPS,
	       "transit -> client, after return"),
	CHANGE(POST, "/v1/migrate", "migrate", OP, all_moves, LANE_MOVE, false, false, true, NULL, "several accounts, or all"),
	CHANGE(POST, "/v1/rollback", "rollback", OP, some_moves, LANE_MOVE, false, false, true, NULL, "several accounts back to client"),
	CHANGE(POST, "/v1/relocate", "relocate", OP, all_moves, LANE_MOVE, false, false, true, NULL, "several accounts home, or all"),
	READ("/v1/check", "check", OP, check_all, NULL, "preflight of several accounts, or of all; for more than some hundreds, POST it"),
	CHANGE(POST, "/v1/check", "check", OP, check_many, LANE_CHECK, false, false, false, NULL,
	       "the same preflight as an operation, which tells how far it is"),
	READ("/v1/status", "status", OP, none, NULL, "step, clocks, sides, moves in progress, traffic"),
	READ("/v1/route", "route", OP, where, NULL, "where such traffic goes now, and why"),
	READ("/v1/log", "log", OP, since, NULL, "the audit trail: who, when, what, evidence"),
	READ("/v1/log/head", "log --head", OP, none, NULL, "how many lines the trail has, and their hash, to be kept elsewhere"),
	READ("/v1/log/verify", "log --verify", OP, head, NULL, "whether a line of the trail was changed or removed"),
	CHANGE(POST, "/v1/start", "start", OP, start, LANE_CHANGE, false, false, true, NULL,
	       "the transit server is ready: the two-week clock begins"),
	CHANGE(POST, "/v1/reinstall", "reinstall", OP, reinstall, LANE_CHANGE, false, true, true, NULL,
	       "the client server's addresses to the transit server; no account can be rolled back afterwards"),
	CHANGE(POST, "/v1/return", "return", OP, bring_back, LANE_CHANGE, false, false, true, NULL,
	       "the addresses back to the reinstalled client server"),
	CHANGE(POST, "/v1/finish", "finish", OP, start, LANE_CHANGE, false, false, true, NULL, "every account is home: remove every trace"),
	CHANGE(POST, "/v1/resume", "resume", OP, resume, LANE_CHANGE, false, false, false, NULL,
	       "finish or undo what was interrupted or is stuck"),
	CHANGE(POST, "/v1/reload", "reload", OP, none, LANE_CHANGE, false, false, false, NULL, "the proxy reads its configuration again"),
	HERE("/v1/operations", HERE_OPERATIONS, BOTH, "changing calls of the last days, the newest first"),
	HERE("/v1/operations/{id}", HERE_OPERATION, BOTH, "one of them: its state, and its answer when it is done"),
	HERE("/v1/operations/{id}/events", HERE_OPERATION_EVENTS, BOTH, "its progress until it is done, as server-sent events"),
	{POST, "/v1/operations/{id}/cancel", ROUTE_HERE, NULL, BOTH, none, LANE_CHANGE, HERE_CANCEL, false, false, false, NULL,
	 "as Ctrl-C: a move that has not switched is undone; an owner may cancel only what a token of the account has begun (else 403)"},
	HERE("/v1/events", HERE_EVENTS, BOTH, "what happens to all accounts, or to the token's own, as server-sent events"),
	HERE("/v1/token", HERE_TOKEN, BOTH, "whose token this is"),
	READ("/v1/tokens", "token list", OP, none, NULL, "every token, without its secret"),
	{POST, "/v1/tokens", ROUTE_SECRET, "token create", OP, token_create, LANE_CHANGE, HERE_NONE, false, false, false, NULL,
	 "a new token, which is shown this once"},
	CHANGE(POST, "/v1/tokens/revoke", "token revoke", OP, token_revoke, LANE_CHANGE, false, false, false, NULL, "a token ends at once"),
	HERE("/v1/openapi.json", HERE_OPENAPI, ROLE_FOR_ALL, "this description"),
	{GET, "/metrics", ROUTE_METRICS, "metrics", OP | ROLE_FOR_METRICS, none, LANE_READ, HERE_NONE, false, false, false, NULL,
	 "Prometheus' text format"},
	{.path = NULL}};

const char *route_method(enum evhttp_cmd_type method)
{
	switch (method) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_OPTIONS:
		return "OPTIONS";
	case EVHTTP_REQ_TRACE:
		return "TRACE";
	case EVHTTP_REQ_CONNECT:
		return "CONNECT";
	case EVHTTP_REQ_PATCH:
		return "PATCH";
	}
	return "?";
}

/* ---- finding ---- */

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One segment; what no account and no operation can be called does not match: a slash or a NUL, however it is written, or too much. */
static bool take_arg(const char *from, size_t len, char out[ROUTE_ARG_MAX + 1])
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)from[i];
		if (c == '%') {
			int high = i + 2 < len ? nibble(from[i + 1]) : -1, low = high >= 0 ? nibble(from[i + 2]) : -1;
			if (low < 0)
				return false;
			c = high * 16 + low;
			i += 2;
		}
		if (c <= ' ' || c >= 0x7f || c == '/' || n == ROUTE_ARG_MAX)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return n > 0;
}

static bool fits(const char *template, const char *path, char arg[ROUTE_ARG_MAX + 1])
{
	const char *open = strchr(template, '{');
	if (!open)
		return strcmp(template, path) == 0;
	size_t before = (size_t)(open - template);
	const char *after = strchr(open, '}') + 1;
	if (strncmp(template, path, before) != 0)
		return false;
	size_t len = strcspn(path + before, "/");
	return strcmp(path + before + len, after) == 0 && take_arg(path + before, len, arg);
}

struct match route_find(enum evhttp_cmd_type method, const char *path)
{
	struct match m = {0};
	char arg[ROUTE_ARG_MAX + 1] = "";
	for (const struct route *r = routes; r->path; r++) {
		if (!fits(r->path, path, arg))
			continue;
		m.allow |= r->method;
		if (r->method != method || m.route)
			continue;
		m.route = r;
		snprintf(m.arg, sizeof(m.arg), "%s", strchr(r->path, '{') ? arg : "");
	}
	return m;
}
