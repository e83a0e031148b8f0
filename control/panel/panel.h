#pragma once
/* panel - the pages of shunt serve: everything that is neither /v1 nor /metrics. Who asks is known by a session's cookie, or, where a
 * provider has its own login before it, by Authorization: Bearer with the token of that account.
 *   visit    a request         session  who has logged in   form   what was sent, and by whom   html  markup, escaped
 *   text     every word        picture  the two servers     page_..  a page each
 * An owner is shown his account, and of everything else the same page whether it is there or not. */
#include "control/serve/serve.h"

void panel_request(struct server *s, struct evhttp_request *req);
