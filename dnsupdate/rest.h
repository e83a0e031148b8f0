#pragma once
/* rest - what the HTTP APIs have in common: an answer turned into an outcome, drift in words, TXT between two forms of text.
 * Pure functions. Ownership: texts are returned new; NULL: no memory. */
#include "dnsupdate/backend.h"
#include "dnsupdate/http.h"

int rest_show(struct backend *b, struct err *err); /* sets shown from conf's URL */

/* Of an answer to a message that changes something; err is set unless DONE. 2xx is DONE; 408, 429 and 5xx are BUSY: what such a server did
 * is found by reading; any other status says that it will not. */
enum outcome rest_outcome(const struct http_answer *a, struct err *err);
/* The same for the reading that goes before a change: no answer to it has changed anything. */
enum outcome rest_outcome_of_read(const struct http_answer *a, struct err *err);
/* The JSON of a 2xx answer, returned new; NULL and err: another status, no answer, no JSON. */
json_t *rest_json(const struct http_answer *a, struct err *err);
/* found as `was` says: DONE. Otherwise DRIFT, with both in err. found has the owner and type of c, and no values where there is none. */
enum outcome rest_compare(const struct change *c, const struct rrset *found, struct err *err);

/* text as the value of a URL's query: what is not unreserved (RFC 3986 2.3) becomes %XX. -ENAMETOOLONG. */
int rest_escape(char *out, size_t cap, const char *text);

/* Character strings of TXT (RFC 1035 3.3.14) hold 255 bytes; what an API keeps as one longer string is cut into such pieces, as its DNS
 * server does when it answers. text: strings in quotes, as in a zone file. */
char *rest_txt_cut(const char *text);
/* TXT as one plain text without quotes: "v=spf1 -all" <-> RDATA. -EINVAL where RDATA is not what this text would become: strings shorter
 * than 255 bytes before the last, bytes that are no text (RFC 3629 UTF-8), a text that starts with a quote. */
int rest_txt_from_plain(const char *text, uint8_t **bytes, size_t *len);
int rest_txt_to_plain(const uint8_t *bytes, size_t len, char **text);
