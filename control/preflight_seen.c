/* By which ports and protocols visitors come to an account. */
#include "control/preflight_parts.h"

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

static void put_row(char *text, size_t cap, const json_t *row)
{
	size_t at = strlen(text);
	const char *protocol = preflight_text(row, "protocol"), *service;
	uint16_t port = (uint16_t)preflight_number(row, "port");
	bool known = preflight_is_login_port(port, &service);
	if (at + 1 < cap)
		snprintf(text + at, cap - at, "%s%u %s (%lld %s, last %.10s)", at ? ", " : "", (unsigned)port, known ? service : protocol,
			 (long long)preflight_number(row, "count"), strcmp(protocol, "http") == 0 ? "requests" : "connections",
			 preflight_text(row, "last-seen"));
}

/* What listens for the account, each port once. */
static void put_ports(char *text, size_t cap, const json_t *listeners)
{
	const json_t *l;
	size_t i;
	unsigned long long done[1024] = {0}; /* a bit per port */
	json_array_foreach (listeners, i, l) {
		unsigned port = (unsigned)preflight_number(l, "port") & 0xffff;
		size_t at = strlen(text);
		if (!(done[port / 64] >> port % 64 & 1) && at + 1 < cap)
			snprintf(text + at, cap - at, "%s%u", at ? ", " : "", port);
		done[port / 64] |= 1ull << port % 64;
	}
}

void preflight_seen(json_t *findings, const struct preflight_view *v, const json_t *seen)
{
	const json_t *rows = json_object_get(seen, "seen"), *row;
	char text[2000] = "", ports[500] = "";
	size_t i;
	json_array_foreach (rows, i, row)
		put_row(text, sizeof(text), row);
	put_ports(ports, sizeof(ports), json_object_get(seen, "listeners"));
	FIND(findings, GRADE_INFORM, "seen", v->def->name, NULL,
	     "visitors of the last %lld days, counted since %s: %s; a move carries %s%s", (long long)preflight_number(seen, "days"),
	     preflight_text(seen, "since"), *text ? text : "none yet",
	     *ports ? "what comes to its listeners, ports " : "nothing: no listener serves it", ports);
}
