/* The description of the API (OpenAPI 3.1), made of the table that dispatches: a call that is not described does not exist, nor the other
 * way round. */
#include "control/serve/serve.h"

#include "lib/hex.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *ref(const char *to)
{
	return json_pack("{s:s}", "$ref", to);
}

static json_t *schema_of(const struct field *f)
{
	static const char *const text = "string", *const whole = "integer";
	switch (f->kind) {
	case FIELD_FLAG:
	case FIELD_YES:
		return json_pack("{s:s}", "type", "boolean");
	case FIELD_SECONDS:
		return json_pack("{s:s, s:i, s:i}", "type", whole, "minimum", 0, "maximum", 86400);
	case FIELD_DAYS:
		return json_pack("{s:s, s:i, s:i}", "type", whole, "minimum", 1, "maximum", 3650);
	case FIELD_NUMBER:
		return json_pack("{s:s, s:i}", "type", whole, "minimum", 1);
	case FIELD_TEXT:
	case FIELD_WORD:
		return json_pack("{s:s, s:i, s:i}", "type", text, "minLength", 1, "maxLength", CALL_TEXT_MAX);
	case FIELD_TEXTS:
	case FIELD_NAMES:
		return json_pack("{s:s, s:{s:s, s:i, s:i}, s:i}", "type", "array", "items", "type", text, "minLength", 1, "maxLength",
				 CALL_TEXT_MAX, "maxItems", CALL_LIST_MAX);
	case FIELD_PORTS:
		return json_pack("{s:s, s:{s:s, s:i, s:i}, s:i}", "type", "array", "items", "type", whole, "minimum", 1, "maximum", 65535,
				 "maxItems", CALL_LIST_MAX);
	case FIELD_ACCOUNTS:
		return json_pack("{s:s, s:o}", "type", "array", "items", ref("#/components/schemas/Account"));
	}
	return json_object();
}

static bool has_body(const struct route *r)
{
	return r->method == EVHTTP_REQ_POST || r->method == EVHTTP_REQ_PUT;
}

static json_t *body_of(const struct route *r)
{
	json_t *properties = json_object(), *required = json_array();
	for (const struct field *f = r->fields; f->name; f++) {
		json_t *s = schema_of(f);
		json_object_set_new(s, "description",
				    f->owner || r->roles == ROLE_FOR_OPERATOR ? json_string(f->help)
									      : json_sprintf("%s (operators)", f->help));
		json_object_set_new(properties, f->name, s);
		if (f->required)
			json_array_append_new(required, json_string(f->name));
	}
	bool needed = json_array_size(required) > 0;
	json_t *schema = json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties, "additionalProperties", 0);
	if (needed)
		json_object_set(schema, "required", required);
	json_decref(required);
	return json_pack("{s:b, s:{s:{s:o}}}", "required", needed, "content", "application/json", "schema", schema);
}

static json_t *parameters_of(const struct route *r)
{
	json_t *list = json_array();
	const char *open = strchr(r->path, '{');
	if (open)
		json_array_append_new(list, ref(open[1] == 'a' ? "#/components/parameters/account" : "#/components/parameters/id"));
	for (const struct field *f = has_body(r) ? NULL : r->fields; f && f->name; f++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", f->name, "in", "query", "required", f->required,
						      "description", f->help, "schema", schema_of(f)));
	if (r->kind == ROUTE_CHANGE) {
		json_array_append_new(list, ref("#/components/parameters/idempotency-key"));
		json_array_append_new(list, ref("#/components/parameters/prefer"));
	}
	if (r->here == HERE_EVENTS || r->here == HERE_ACCOUNT_EVENTS || r->here == HERE_OPERATION_EVENTS)
		json_array_append_new(list, ref("#/components/parameters/last-event-id"));
	return list;
}

static json_t *good_of(const struct route *r)
{
	bool stream = r->here == HERE_EVENTS || r->here == HERE_ACCOUNT_EVENTS || r->here == HERE_OPERATION_EVENTS;
	if (stream || r->kind == ROUTE_METRICS)
		return json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", stream ? "events log, progress and operation" : "metrics",
				 "content", stream ? "text/event-stream" : "text/plain", "schema", "type", "string");
	return json_pack("{s:s, s:{s:{s:o}}}", "description", r->command ? "done: the command's answer" : "done", "content",
			 "application/json", "schema",
			 ref(r->command                   ? "#/components/schemas/Answer"
			     : r->here == HERE_OPERATION  ? "#/components/schemas/Operation"
			     : r->here == HERE_OPERATIONS ? "#/components/schemas/Operations"
			     : r->here == HERE_TOKEN      ? "#/components/schemas/Token"
							  : "#/components/schemas/Any"));
}

static json_t *responses_of(const struct route *r)
{
	static const char *const usual[] = {"401", "403", "404", "429", "503"}, *const commands[] = {"400", "409", "500", "502"};
	json_t *o = json_object();
	json_object_set_new(o, "200", good_of(r));
	if (r->roles == ROLE_FOR_ALL) {
		json_object_set_new(o, "304", json_pack("{s:s}", "description", "as If-None-Match has it"));
		json_object_set_new(o, "401", ref("#/components/responses/problem"));
		json_object_set_new(o, "429", ref("#/components/responses/problem"));
		return o;
	}
	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++)
		json_object_set_new(o, usual[i], ref("#/components/responses/problem"));
	for (size_t i = 0; r->command && i < sizeof(commands) / sizeof(*commands); i++)
		json_object_set_new(o, commands[i], ref("#/components/responses/problem"));
	if (r->kind == ROUTE_READ || r->kind == ROUTE_METRICS)
		json_object_set_new(o, "504", ref("#/components/responses/problem"));
	if (has_body(r))
		json_object_set_new(o, "415", ref("#/components/responses/problem"));
	if (r->here == HERE_CANCEL) {
		json_object_del(o, "200");
		json_object_set_new(o, "202", ref("#/components/responses/accepted"));
		json_object_set_new(o, "400", ref("#/components/responses/problem"));
		json_object_set_new(o, "409", ref("#/components/responses/problem"));
	}
	if (r->kind == ROUTE_CHANGE) {
		json_object_set_new(o, "202", ref("#/components/responses/accepted"));
		json_object_set_new(o, "422", ref("#/components/responses/problem"));
	}
	return o;
}

static const char *who(const struct route *r)
{
	return r->roles == ROLE_FOR_ALL      ? "anybody"
	       : r->roles == ROLE_FOR_BOTH   ? "operators; owners, of their own account"
	       : r->roles & ROLE_FOR_METRICS ? "operators; tokens for metrics"
					     : "operators";
}

/* "getAccountsAccountStatus": stable names for what makes clients of this. */
static json_t *operation_id(const struct route *r)
{
	char id[128];
	size_t n = 0;
	for (const char *p = route_method(r->method); *p; p++)
		id[n++] = (char)(*p | 0x20);
	bool up = true;
	for (const char *p = strncmp(r->path, "/v1", 3) == 0 ? r->path + 3 : r->path; *p && n < sizeof(id) - 1; p++) {
		bool letter = *p >= 'a' && *p <= 'z';
		if (letter)
			id[n++] = (char)(up ? *p & ~0x20 : *p);
		up = !letter;
	}
	return json_stringn(id, n);
}

static json_t *described(const struct route *r)
{
	json_t *o = json_pack("{s:s, s:o, s:o, s:o}", "summary", r->summary, "operationId", operation_id(r), "parameters", parameters_of(r),
			      "responses", responses_of(r));
	if (r->command)
		json_object_set_new(o, "description", json_sprintf("As `shunt %s`. For %s.", r->command, who(r)));
	else
		json_object_set_new(o, "description", json_sprintf("For %s.", who(r)));
	if (has_body(r))
		json_object_set_new(o, "requestBody", body_of(r));
	if (r->roles == ROLE_FOR_ALL)
		json_object_set_new(o, "security", json_array());
	return o;
}

static json_t *paths(void)
{
	json_t *o = json_object();
	char method[8];
	for (const struct route *r = routes; r->path; r++) {
		json_t *path = json_object_get(o, r->path);
		size_t n = 0;
		for (const char *p = route_method(r->method); *p; p++)
			method[n++] = (char)(*p | 0x20);
		method[n] = '\0';
		if (!path)
			json_object_set_new(o, r->path, path = json_object());
		json_object_set_new(path, method, described(r));
	}
	return o;
}

/* What does not depend on the table. */
static const char fixed[] =
	"{\"securitySchemes\": {\"token\": {\"type\": \"http\", \"scheme\": \"bearer\", \"description\": \"of `shunt token create`\"}},"
	"\"parameters\": {"
	"\"account\": {\"name\": \"account\", \"in\": \"path\", \"required\": true, \"schema\": {\"type\": \"string\", \"maxLength\": 64}},"
	"\"id\": {\"name\": \"id\", \"in\": \"path\", \"required\": true, \"schema\": {\"type\": \"string\", \"pattern\": "
	"\"^[0-9a-f]{32}$\"}},"
	"\"idempotency-key\": {\"name\": \"Idempotency-Key\", \"in\": \"header\", \"description\": \"for 24 hours the same key with the "
	"same "
	"request gives the same answer and does nothing again; with another request 422; while the first is not over 409\", \"schema\": "
	"{\"type\": \"string\", \"minLength\": 1, \"maxLength\": 64}},"
	"\"prefer\": {\"name\": \"Prefer\", \"in\": \"header\", \"description\": \"respond-async, or wait=SECONDS (1 unless given, 60 at "
	"the "
	"most) before the answer is 202\", \"schema\": {\"type\": \"string\"}},"
	"\"last-event-id\": {\"name\": \"Last-Event-ID\", \"in\": \"header\", \"description\": \"where to go on\", \"schema\": {\"type\": "
	"\"string\"}}},"
	"\"responses\": {"
	"\"problem\": {\"description\": \"not done, and why (RFC 9457). 409: refused, nothing changed, exit 1. 400: the request, exit 2. "
	"502: "
	"failed and undone, exit 3. 500: failed and stuck, exit 4\", \"content\": {\"application/problem+json\": {\"schema\": {\"$ref\": "
	"\"#/components/schemas/Problem\"}}}},"
	"\"accepted\": {\"description\": \"it goes on; Location says where to look\", \"headers\": {\"Location\": {\"schema\": {\"type\": "
	"\"string\"}}}, \"content\": {\"application/json\": {\"schema\": {\"type\": \"object\", \"required\": [\"operation\", \"state\"], "
	"\"properties\": {\"operation\": {\"type\": \"string\"}, \"state\": {\"enum\": [\"queued\", \"running\", \"cancelling\"]}}}}}}},"
	"\"schemas\": {"
	"\"Any\": {\"type\": \"object\"},"
	"\"Answer\": {\"type\": \"object\", \"description\": \"what the command prints with --json\", \"required\": [\"ok\", \"exit\"], "
	"\"properties\": {\"ok\": {\"type\": \"boolean\"}, \"exit\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 4}, \"error\": "
	"{\"type\": \"string\"}}},"
	"\"Account\": {\"type\": \"object\", \"required\": [\"name\"], \"properties\": {\"name\": {\"type\": \"string\"}, \"domains\": "
	"{\"type\": \"array\", \"items\": {\"type\": \"string\"}}, \"addresses\": {\"type\": \"array\", \"items\": {\"type\": "
	"\"string\"}}, "
	"\"logins\": {\"type\": \"array\", \"items\": {\"type\": \"string\"}}, \"ports\": {\"type\": \"array\", \"items\": {\"type\": "
	"\"integer\"}}, \"databases_gb\": {\"type\": \"number\"}}},"
	"\"Token\": {\"type\": \"object\", \"required\": [\"name\", \"kind\"], \"properties\": {\"name\": {\"type\": \"string\"}, "
	"\"kind\": "
	"{\"enum\": [\"operator\", \"account\", \"metrics\"]}, \"account\": {\"type\": [\"string\", \"null\"]}, \"created\": {\"type\": "
	"[\"string\", \"null\"]}, \"expires\": {\"type\": [\"string\", \"null\"]}, \"used\": {\"type\": [\"string\", \"null\"]}}},"
	"\"Operation\": {\"type\": \"object\", \"required\": [\"operation\", \"command\", \"state\", \"may-cancel\"], \"properties\": "
	"{\"operation\": "
	"{\"type\": "
	"\"string\"}, \"command\": {\"type\": \"string\"}, \"account\": {\"type\": [\"string\", \"null\"]}, \"token\": {\"type\": "
	"\"string\"}, "
	"\"state\": {\"enum\": [\"queued\", \"running\", \"done\"]}, \"may-cancel\": {\"type\": \"boolean\", \"description\": \"by "
	"whoever asks\"}, \"request\": {\"type\": \"object\"}, \"created\": {\"type\": "
	"\"string\"}, "
	"\"started\": {\"type\": [\"string\", \"null\"]}, \"ended\": {\"type\": [\"string\", \"null\"]}, \"exit\": {\"type\": "
	"\"integer\"}, "
	"\"status\": {\"type\": \"integer\", \"description\": \"what the call would have been answered\"}, \"progress\": {\"type\": "
	"\"object\"}, \"answer\": {\"$ref\": \"#/components/schemas/Answer\"}}},"
	"\"Operations\": {\"type\": \"object\", \"required\": [\"operations\"], \"properties\": {\"operations\": {\"type\": \"array\", "
	"\"items\": {\"$ref\": \"#/components/schemas/Operation\"}}}},"
	"\"Problem\": {\"type\": \"object\", \"required\": [\"type\", \"title\", \"status\", \"detail\"], \"properties\": {\"type\": "
	"{\"type\": "
	"\"string\"}, \"title\": {\"type\": \"string\"}, \"status\": {\"type\": \"integer\"}, \"detail\": {\"type\": \"string\", "
	"\"description\": \"the command's own words\"}, \"exit\": {\"type\": \"integer\"}, \"operation\": {\"type\": \"string\"}, "
	"\"needs\": "
	"{\"type\": \"string\", \"description\": \"the field that consents\"}, \"answer\": {\"$ref\": \"#/components/schemas/Answer\"}}}}}";

static json_t *document(const char *version)
{
	return json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:[{s:[]}], s:o}", "openapi", "3.1.0", "info", "title", "shunt", "version", version,
			 "description", "Every command of shunt, with the same names, guards and answers.", "paths", paths(), "security",
			 "token", "components", json_loads(fixed, 0, NULL));
}

int openapi_make(struct openapi *out, const char *version, struct err *err)
{
	json_t *o = document(version);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL, hash[HEX_SHA256_MAX];
	int len = text ? asprintf(&out->text, "%s\n", text) : -1;
	json_decref(o);
	free(text);
	if (len < 0) {
		out->text = NULL;
		return err_set(err, -ENOMEM, "out of memory");
	}
	out->len = (size_t)len;
	hex_sha256(out->text, out->len, hash);
	snprintf(out->etag, sizeof(out->etag), "\"%.32s\"", hash);
	return 0;
}

void openapi_done(struct openapi *o)
{
	free(o->text);
	*o = (struct openapi){0};
}
