#pragma once
/* route - every call of the API, in one table: it dispatches, checks what a request may say, and is what openapi.json describes.
 * A call is a command of shunt: its fields become that command's options and words, and the answer is the command's own JSON object.
 * Path templates have at most one {account} or {id}, which is one segment. */
#include <event2/http.h>
#include <stdbool.h>
#include <stddef.h>

enum route_role { ROLE_FOR_OPERATOR = 1, ROLE_FOR_OWNER = 2, ROLE_FOR_METRICS = 4, ROLE_FOR_ALL = 8 };
#define ROLE_FOR_BOTH (ROLE_FOR_OPERATOR | ROLE_FOR_OWNER)

enum field_kind {
	FIELD_FLAG,     /* true or false: the option, or nothing */
	FIELD_SECONDS,  /* 0 to 86400 */
	FIELD_DAYS,     /* 1 to 3650 */
	FIELD_NUMBER,   /* 1 to 2^53, a word */
	FIELD_TEXT,     /* the option and a text */
	FIELD_WORD,     /* a text that is one of the command's words */
	FIELD_TEXTS,    /* the option again for each */
	FIELD_PORTS,    /* likewise, of numbers */
	FIELD_NAMES,    /* accounts: words */
	FIELD_ACCOUNTS, /* a list of account objects: a file, whose name is the word */
	FIELD_YES       /* consent: --yes */
};

struct field {
	const char *name; /* NULL ends a list */
	enum field_kind kind;
	const char *option;   /* "--drain"; NULL for words */
	bool required, owner; /* owner: an owner may say it, too */
	const char *help;
};

enum route_kind {
	ROUTE_READ,    /* runs the command, and answers when it ends */
	ROUTE_CHANGE,  /* an operation: on disk before it begins, with the idempotency key of the request */
	ROUTE_SECRET,  /* runs the command and keeps nothing of its answer */
	ROUTE_METRICS, /* the command's text is the answer */
	ROUTE_HERE     /* answered by serve itself */
};
enum lane { LANE_READ, LANE_MOVE, LANE_CHANGE, LANE_CHECK, N_LANES }; /* their numbers are on disk */

enum route_id { /* of ROUTE_HERE */
		HERE_NONE,
		HERE_TOKEN,
		HERE_OPERATIONS,
		HERE_OPERATION,
		HERE_OPERATION_EVENTS,
		HERE_CANCEL,
		HERE_ACCOUNT_EVENTS,
		HERE_EVENTS,
		HERE_OPENAPI
};

struct route {
	enum evhttp_cmd_type method;
	const char *path;
	enum route_kind kind;
	const char *command; /* "account add"; NULL where serve answers itself */
	unsigned roles;
	const struct field *fields; /* of the body; of the query where the method takes no body */
	enum lane lane;
	enum route_id here;
	bool account_word;       /* {account} of the path is the command's first word */
	bool consent;            /* needs "yes": true in any case */
	bool dry_run;            /* without consent it is told what would happen */
	const char *owner_keeps; /* members of the answer that an owner is shown, with spaces */
	const char *summary;
};
extern const struct route routes[]; /* up to one without a path */

#define ROUTE_ARG_MAX 64
struct match {
	const struct route *route;   /* NULL: the path is not known, or (allow is not 0) not with this method */
	unsigned allow;              /* methods the path has, or-ed */
	char arg[ROUTE_ARG_MAX + 1]; /* what stood for {account} or {id}, decoded */
};
/* path: as in the request line, without the query. */
struct match route_find(enum evhttp_cmd_type method, const char *path);
const char *route_method(enum evhttp_cmd_type method); /* "GET" */
