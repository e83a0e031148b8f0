#pragma once
/* visit - one HTTP/1.x connection of a visitor: request after request, each routed by itself, one at a time.
 * What the visitor sends while a request is being answered waits in its socket; so answers keep their order and nothing is stored but one
 * head. A request is forwarded in canonical form over a connection that serves no other account (upstream.h); bodies are relayed as they
 * come, in Content-Length or chunks, both ways; after a 101 that the request asked for, bytes pass unseen. Ownership: a visit owns its
 * visitor part and, during a request, its upstream. It ends itself. Threads: its worker's. */
struct addr;
struct listener;
struct upstream;
struct visit;
struct worker;

int visit_accept(struct worker *w, struct listener *l, int fd, const struct addr *peer); /* takes fd, also on failure; -ENOMEM */
void visit_on_upstream(struct visit *v, struct upstream *u);                             /* an event of u, its flags are set */
