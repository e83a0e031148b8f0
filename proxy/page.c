#include "proxy/page.h"

#include <stdio.h>

static const char *reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = {
		{400, "Bad Request"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{414, "URI Too Long"},
		{417, "Expectation Failed"},
		{421, "Misdirected Request"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Error";
}

static void advice(char *out, size_t cap, const struct page *p)
{
	unsigned minutes = (p->retry_after_s + 59) / 60;

	if (p->status == 503 && p->moving && p->eta_known)
		snprintf(out, cap, "This site is being moved to another server. It should be back in about %u minute%s.", minutes,
			 minutes == 1 ? "" : "s");
	else if (p->status == 503 && p->moving)
		snprintf(out, cap, "This site is being moved to another server. Please try again in a moment.");
	else if (p->status == 503)
		snprintf(out, cap, "This site cannot be served right now. Please try again in a moment.");
	else if (p->status == 502 || p->status == 504)
		snprintf(out, cap, "The server of this site does not answer. Please try again later.");
	else if (p->status == 421)
		snprintf(out, cap, "This server does not serve this site.");
	else
		snprintf(out, cap, "The request was not understood.");
}

size_t page_write(char out[PAGE_MAX], const struct page *p)
{
	char text[160], body[512], extra[64] = "";
	int body_len, n;

	advice(text, sizeof text, p);
	body_len = snprintf(body, sizeof body,
			    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%u %s</title></head>\n"
			    "<body><h1>%s</h1><p>%s</p></body></html>\n",
			    p->status, reason(p->status), reason(p->status), text);
	if (p->status == 503 && p->retry_after_s)
		snprintf(extra, sizeof extra, "Retry-After: %u\r\n", p->retry_after_s);
	if (p->status == 405) /* RFC 9110 15.5.6 asks for it; which of them a site knows is for its own server to say */
		snprintf(extra, sizeof extra, "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS\r\n");
	n = snprintf(out, PAGE_MAX,
		     "HTTP/1.1 %u %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\nCache-Control: "
		     "no-store\r\n%sConnection: close\r\n\r\n%s",
		     p->status, reason(p->status), body_len, extra, p->head ? "" : body);
	return n > 0 && n < PAGE_MAX ? (size_t)n : 0;
}
