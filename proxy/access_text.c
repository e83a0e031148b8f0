/* The access log as key=value. */
#include "lib/log.h"
#include "proxy/access_parts.h"

#define NAME_CAP   512u /* quoted, with the NUL: 253 bytes of a sane name fit, hostile ones are cut */
#define METHOD_CAP 68u
#define TARGET_CAP 2052u
_Static_assert(NAME_CAP + METHOD_CAP + TARGET_CAP + 6 * WORD_CAP + ADDR_TEXT_MAX + 10 * 20 + 256 <= LINE_CAP,
	       "a line of the longest fields fits");

static void add_quoted(struct access_text *l, size_t cap, const char *p, size_t len)
{
	assert(cap <= sizeof l->text - l->len);
	log_quote(l->text + l->len, cap, p ? p : "", p ? len : 0);
	l->len += strlen(l->text + l->len);
}

/* A word of ours or the operator's that must not need quotes. */
static void add_word(struct access_text *l, const char *word)
{
	if (!word)
		word = "-";
	access_add(l, word, strnlen(word, WORD_CAP));
}

static void add_peer(struct access_text *l, const struct addr *peer)
{
	char text[ADDR_TEXT_MAX];
	ACCESS_ADD(l, " peer=");
	add_word(l, peer && addr_family(peer) != AF_UNSPEC ? addr_text_port(peer, text) : NULL);
}

void access_format_text(struct access_text *l, struct access_clock *c, const struct access_line *in)
{
	ACCESS_ADD(l, "time=");
	access_add_time(l, c, 3);
	ACCESS_ADD(l, " conn=");
	access_add_number(l, in->conn);
	ACCESS_ADD(l, " listener=");
	add_quoted(l, WORD_CAP, in->listener, in->listener ? strlen(in->listener) : 0);
	ACCESS_ADD(l, " protocol=");
	add_word(l, in->protocol);
	add_peer(l, in->peer);
	ACCESS_ADD(l, " account=");
	add_word(l, in->account);
	ACCESS_ADD(l, " side=");
	add_word(l, in->side);
	ACCESS_ADD(l, " name=");
	add_quoted(l, NAME_CAP, in->name.p, in->name.len);
	if (in->method.p) {
		ACCESS_ADD(l, " method=");
		add_quoted(l, METHOD_CAP, in->method.p, in->method.len);
		ACCESS_ADD(l, " target=");
		add_quoted(l, TARGET_CAP, in->target.p, in->target.len);
	}
	if (in->status) {
		ACCESS_ADD(l, " status=");
		access_add_number(l, in->status);
	}
	ACCESS_ADD(l, " bytes_up=");
	access_add_number(l, in->bytes_up);
	ACCESS_ADD(l, " bytes_down=");
	access_add_number(l, in->bytes_down);
	ACCESS_ADD(l, " wait_ms=");
	access_add_number(l, in->wait_ms);
	ACCESS_ADD(l, " connect_ms=");
	access_add_number(l, in->connect_ms);
	ACCESS_ADD(l, " total_ms=");
	access_add_number(l, in->total_ms);
	ACCESS_ADD(l, " why=");
	add_quoted(l, WORD_CAP, in->why, in->why ? strlen(in->why) : 0);
	ACCESS_ADD(l, "\n");
}
