#include "proxy/route.h"

struct route route_find(const struct table *t, enum unknown unknown, struct account *nobody, enum protocol protocol, const char *name,
			size_t len, const struct addr *dst, uint16_t port)
{
	struct route r = {0};

	if (len) {
		/* A name that nobody claims never falls to the owner of the address: it may be anyone's. */
		r.account = table_by_name(t, name, len, &r.matched);
		r.why = "name";
	} else {
		if (protocol == PROTOCOL_TCP) {
			r.account = table_by_port(t, port);
			r.why = "port";
		}
		if (!r.account) {
			r.account = table_by_address(t, dst);
			r.why = "address";
		}
	}
	if (r.account)
		return r;
	if (unknown == UNKNOWN_REFUSE)
		return (struct route){.why = "unknown is refused"};
	return (struct route){.account = nobody, .why = "unknown"};
}
