/* By which ports and protocols visitors come to an account. */
#include "control/preflight_parts.h"
#include "lib/member.h"

#include <stdio.h>
#include <string.h>

bool preflight_is_login_port(uint16_t port, const char **service)
{
	static const struct {
		uint16_t port;
		const char *service;
	} ports[] = {{21, "FTP"},         {22, "SSH"},  {25, "SMTP"},  {110, "POP3"}, {143, "IMAP"},        {465, "submission"},
		     {587, "submission"}, {990, "FTP"}, {993, "IMAP"}, {995, "POP3"}, {2525, "submission"}, {4190, "ManageSieve"}};
	for (size_t i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
		if (ports[i].port == port) {
			*service = ports[i].service;
			return true;
		}
	}
	return false;
}

/* What listens for the account: a bit per port. */
struct ports {
	unsigned long long bits[1024];
};

static bool has(const struct ports *p, unsigned port)
{
	return p->bits[port / 64] >> port % 64 & 1;
}

/* Each once, as text. */
static void take_ports(struct ports *p, char *text, size_t cap, const json_t *listeners)
{
	const json_t *l;
	size_t i;
	json_array_foreach (listeners, i, l) {
		unsigned port = (unsigned)member_int(l, "port") & 0xffff;
		size_t at = strlen(text);
		if (!has(p, port) && at + 1 < cap)
			snprintf(text + at, cap - at, "%s%u", at ? ", " : "", port);
		p->bits[port / 64] |= 1ull << port % 64;
	}
}

static void by_port(json_t *findings, const json_t *row, long long days, bool carried)
{
	const char *protocol = member_text(row, "protocol"), *service;
	unsigned port = (unsigned)member_int(row, "port") & 0xffff;
	long long n = (long long)member_int(row, "count");
	char name[60];
	bool known = preflight_is_login_port((uint16_t)port, &service);
	snprintf(name, sizeof(name), "port %u (%s)", port, known ? service : protocol);
	FIND(findings, carried ? GRADE_INFORM : GRADE_WARN, "seen", name,
	     carried ? NULL : "give it a listener, or those who still come by it will not be carried",
	     "%lld %s%s in the last %lld days, the last at %s%s", n, strcmp(protocol, "http") == 0 ? "request" : "connection",
	     n == 1 ? "" : "s", days, member_text(row, "last-seen"),
	     carried ? "" : "; no listener of shunt-proxy serves the account there any more");
}

/* Of these days. */
static void put_uncounted(char *text, size_t cap, json_int_t seconds)
{
	if (seconds >= 3600)
		snprintf(text, cap, ", but for %.1f hours while shunt-proxy did not run", (double)seconds / 3600);
	else if (seconds >= 60)
		snprintf(text, cap, ", but for %lld minutes while shunt-proxy did not run", (long long)seconds / 60);
}

static void put_how_many(char *text, size_t cap, size_t n, bool more)
{
	if (n == 0)
		snprintf(text, cap, "none yet");
	else
		snprintf(text, cap, "by %zu port%s%s", n, n == 1 ? "" : "s", more ? ", and by others that are not counted" : "");
}

void preflight_seen(json_t *findings, const struct preflight_view *v, const json_t *seen)
{
	const json_t *rows = json_object_get(seen, "seen"), *row;
	long long days = (long long)member_int(seen, "days");
	char text[500] = "", uncounted[100] = "", many[100];
	struct ports ports = {{0}};
	size_t i;
	take_ports(&ports, text, sizeof(text), json_object_get(seen, "listeners"));
	put_uncounted(uncounted, sizeof(uncounted), member_int(seen, "uncounted"));
	put_how_many(many, sizeof(many), json_array_size(rows), json_is_true(json_object_get(seen, "more")));
	FIND(findings, GRADE_INFORM, "seen", v->def->name, NULL,
	     "visitors of the last %lld days, counted since %s%s: %s; a move carries %s%s", days, member_text(seen, "since"), uncounted,
	     many, *text ? "what comes to its listeners, ports " : "nothing: no listener serves it", text);
	json_array_foreach (rows, i, row)
		by_port(findings, row, days, !*text || has(&ports, (unsigned)member_int(row, "port") & 0xffff));
}
