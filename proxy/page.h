#pragma once
/* page - the few answers that shunt gives in its own name: a status line and a small page that says what a visitor can do.
 * Pure. 503 carries Retry-After (RFC 9110 10.2.3); every one ends the connection. */
#include <stdbool.h>
#include <stddef.h>

#define PAGE_MAX 2048

struct page {
	unsigned status;
	unsigned retry_after_s; /* 503 only; 0: without */
	bool eta_known;         /* retry_after_s is when the move should be over, not a guess */
	bool moving;            /* 503: the account is being moved (else: something is wrong or too much) */
	bool head;              /* the answer to a HEAD: no body */
};
size_t page_write(char out[PAGE_MAX], const struct page *p);
