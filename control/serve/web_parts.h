#pragma once
/* web_parts - what the two files of web share. */
#include "control/serve/web.h"

/* An answer in our form in place of one that evhttp made by itself. */
void web_own_words(struct evbuffer *out, int status, const char *detail);
