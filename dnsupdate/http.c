#include "dnsupdate/http.h"

#include "lib/addr.h"

#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 400 /* of what a server says, in a message of ours */

struct http {
	CURLM *multi;
	struct event_base *base;
	struct event *timer;   /* libcurl's */
	struct event *deliver; /* tells one finished request at a time: a callback may free all this */
	struct curl_slist *headers;
	char *url, *user;
	bool global; /* curl_global_init() was done */
	long max, running;
	struct http_request *all;
	struct http_request *line, **line_end; /* not begun */
	struct http_request *done, **done_end; /* not yet told */
};
struct http_request {
	struct http *h;
	struct http_request *next, **link; /* among all */
	struct http_request *queued;       /* in the line, or among the done */
	enum { WAITING, RUNNING, DONE } state;
	CURL *easy;
	char *method, *target, *body;
	size_t body_len, body_sent;
	char *answer;
	size_t len, cap;
	bool too_large;
	char reason[CURL_ERROR_SIZE];
	struct http_answer end;
	http_fn *fn;
	void *arg;
};

/* ---- the loop ---- */

static void begin_waiting(struct http *h);
static void collect(struct http *h);

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	int running, mask = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

	curl_multi_socket_action(h->multi, fd, mask, &running);
	collect(h);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	int running;

	(void)fd, (void)what;
	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(h);
}

/* libcurl says what it waits for on a socket of its own. */
static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct http *h = arg;
	struct event *ev = known;
	short events = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));

	(void)easy;
	if (ev)
		event_free(ev);
	ev = what == CURL_POLL_REMOVE ? NULL : event_new(h->base, fd, events, on_socket, h);
	curl_multi_assign(h->multi, fd, ev);
	if (what == CURL_POLL_REMOVE)
		return 0;
	return ev && event_add(ev, NULL) == 0 ? 0 : -1;
}

static int want_timer(CURLM *multi, long ms, void *arg)
{
	struct http *h = arg;
	struct timeval after = {ms / 1000, ms % 1000 * 1000};

	(void)multi;
	return ms < 0 ? event_del(h->timer) : event_add(h->timer, &after);
}

/* ---- one request ---- */

static size_t take_answer(char *data, size_t size, size_t n, void *arg)
{
	struct http_request *r = arg;

	n *= size;
	if (n > HTTP_ANSWER_MAX - r->len) {
		r->too_large = true;
		return 0;
	}
	if (r->len + n + 1 > r->cap) {
		size_t cap = r->cap ? r->cap : 4096;
		char *grown;

		while (cap < r->len + n + 1)
			cap *= 2;
		grown = realloc(r->answer, cap);
		if (!grown)
			return 0;
		r->answer = grown;
		r->cap = cap;
	}
	memcpy(r->answer + r->len, data, n);
	r->len += n;
	r->answer[r->len] = '\0';
	return n;
}

/* There is no way to rewind this, on purpose: libcurl then fails where it would send a body a second time. */
static size_t give_body(char *out, size_t size, size_t n, void *arg)
{
	struct http_request *r = arg;
	size_t left = r->body_len - r->body_sent;

	n *= size;
	if (n > left)
		n = left;
	memcpy(out, r->body + r->body_sent, n);
	r->body_sent += n;
	return n;
}

static void request_free(struct http_request *r)
{
	if (r->easy)
		curl_easy_cleanup(r->easy);
	free(r->method);
	free(r->target);
	free(r->body);
	free(r->answer);
	free(r);
}

static void unlink_request(struct http_request *r)
{
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
}

static void append(struct http_request ***end, struct http_request *r)
{
	r->queued = NULL;
	**end = r;
	*end = &r->queued;
}

static void take_out(struct http_request **first, struct http_request ***end, struct http_request *r)
{
	struct http_request **at = first;

	while (*at != r)
		at = &(*at)->queued;
	*at = r->queued;
	if (!*at)
		*end = at;
}

static void finish(struct http_request *r)
{
	r->state = DONE;
	append(&r->h->done_end, r);
	event_active(r->h->deliver, EV_TIMEOUT, 0);
}

/* Whether anything may have reached the other side. */
static bool nothing_left_us(const struct http_request *r, CURLcode rc)
{
	long bytes = 0;

	if (rc == CURLE_COULDNT_RESOLVE_HOST || rc == CURLE_COULDNT_CONNECT || rc == CURLE_SSL_CONNECT_ERROR ||
	    rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE)
		return true;
	curl_easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &bytes);
	return bytes == 0 && r->len == 0;
}

static void conclude(struct http_request *r, CURLcode rc)
{
	curl_off_t after = 0;

	if (rc == CURLE_OK) {
		curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &r->end.status);
		if (curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &after) == CURLE_OK && after > 0)
			r->end.retry_after = after < 86400 ? (long)after : 86400;
		r->end.end = HTTP_ANSWERED;
		return;
	}
	r->end.end = nothing_left_us(r, rc) ? HTTP_NOT_SENT : HTTP_NO_ANSWER;
	if (r->too_large)
		err_set(&r->end.err, -EMSGSIZE, "%s: the answer is larger than %u MiB", r->target, HTTP_ANSWER_MAX >> 20);
	else if (rc == CURLE_SEND_FAIL_REWIND)
		err_set(&r->end.err, -ECONNRESET, "%s: the connection was closed before an answer came", r->target);
	else
		err_set(&r->end.err, rc == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -EIO, "%s: %s", r->target,
			r->reason[0] ? r->reason : curl_easy_strerror(rc));
}

static void collect(struct http *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct http_request *r;
		CURLcode rc = m->data.result;
		CURL *easy = m->easy_handle;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &r);
		conclude(r, rc);
		curl_multi_remove_handle(h->multi, easy);
		h->running--;
		finish(r);
	}
	begin_waiting(h);
}

static void on_deliver(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	struct http_request *r = h->done;
	struct http_answer *a;

	(void)fd, (void)what;
	if (!r)
		return;
	take_out(&h->done, &h->done_end, r);
	unlink_request(r);
	if (h->done)
		event_active(h->deliver, EV_TIMEOUT, 0);
	a = &r->end;
	a->body = r->answer ? r->answer : "";
	a->len = r->len;
	a->target = r->target;
	r->fn(r->arg, a); /* h may be gone after it */
	request_free(r);
}

static void set_up(struct http_request *r)
{
	struct http *h = r->h;
	CURL *e = r->easy;

	curl_easy_setopt(e, CURLOPT_PRIVATE, r);
	curl_easy_setopt(e, CURLOPT_URL, strchr(r->target, ' ') + 1);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)HTTP_TOTAL_MS);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->reason);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "shunt-dnsupdate");
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, h->headers);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
	if (h->user) {
		curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(e, CURLOPT_USERNAME, h->user);
		curl_easy_setopt(e, CURLOPT_PASSWORD, "");
	}
	if (r->body) {
		curl_easy_setopt(e, CURLOPT_POST, 1L);
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, give_body);
		curl_easy_setopt(e, CURLOPT_READDATA, r);
	}
	if (r->body || strcmp(r->method, "GET") != 0)
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
}

static void begin_waiting(struct http *h)
{
	while (h->line && h->running < h->max) {
		struct http_request *r = h->line;

		take_out(&h->line, &h->line_end, r);
		r->easy = curl_easy_init();
		if (r->easy)
			set_up(r);
		if (r->easy && curl_multi_add_handle(h->multi, r->easy) == CURLM_OK) {
			r->state = RUNNING;
			h->running++;
			continue;
		}
		r->end.end = HTTP_NOT_SENT;
		err_set(&r->end.err, -ENOMEM, "%s: out of memory", r->target);
		finish(r);
	}
}

struct http_request *http_send(struct http *h, const char *method, const char *path, const char *body, http_fn *fn, void *arg)
{
	struct http_request *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	*r = (struct http_request){.h = h, .fn = fn, .arg = arg, .method = strdup(method), .body = body ? strdup(body) : NULL};
	if (asprintf(&r->target, "%s %s%s", method, h->url, path) < 0)
		r->target = NULL;
	if (!r->method || !r->target || (body && !r->body)) {
		request_free(r);
		return NULL;
	}
	r->body_len = body ? strlen(body) : 0;
	r->next = h->all;
	r->link = &h->all;
	if (r->next)
		r->next->link = &r->next;
	h->all = r;
	append(&h->line_end, r);
	begin_waiting(h);
	return r;
}

void http_cancel(struct http_request *r)
{
	struct http *h;

	if (!r)
		return;
	h = r->h;
	if (r->state == WAITING)
		take_out(&h->line, &h->line_end, r);
	else if (r->state == DONE)
		take_out(&h->done, &h->done_end, r);
	else {
		curl_multi_remove_handle(h->multi, r->easy);
		h->running--;
	}
	unlink_request(r);
	request_free(r);
	begin_waiting(h);
}

/* ---- the API as a whole ---- */

static bool leads_home(const char *url)
{
	char host[ADDR_TEXT_MAX];
	const char *start = url + strlen("http://");
	size_t len = start[0] == '[' ? strcspn(++start, "]") : strcspn(start, ":/");
	struct addr a;

	if (len >= sizeof host)
		return false;
	memcpy(host, start, len);
	host[len] = '\0';
	return addr_parse(&a, host) && addr_is_loopback(&a);
}

static int check_url(const struct http_conf *conf, struct err *err)
{
	bool tls = strncmp(conf->url, "https://", 8) == 0;

	if ((!tls && strncmp(conf->url, "http://", 7) != 0) || strpbrk(conf->url, "@?# \t\r\n"))
		return err_set(err, -EINVAL, "found no URL of an HTTP API, expected https://HOST[:PORT]");
	if (!tls && !conf->clear && !leads_home(conf->url))
		return err_set(err, -EINVAL, "%s: the key would cross the network in clear, expected https://", conf->url);
	return 0;
}

static int set_up_multi(struct http *h)
{
	h->timer = evtimer_new(h->base, on_timer, h);
	h->deliver = evtimer_new(h->base, on_deliver, h);
	h->global = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	h->multi = h->global ? curl_multi_init() : NULL;
	if (!h->timer || !h->deliver || !h->multi)
		return -ENOMEM;
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, h->max);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, h->max);
	return 0;
}

static int add_header(struct http *h, const char *line)
{
	struct curl_slist *longer = curl_slist_append(h->headers, line);

	if (longer)
		h->headers = longer;
	return longer ? 0 : -ENOMEM;
}

int http_new(struct http **out, struct event_base *base, const struct http_conf *conf, struct err *err)
{
	struct http *h;
	int rc = check_url(conf, err);

	if (rc < 0)
		return rc;
	h = calloc(1, sizeof *h);
	if (!h)
		return err_set(err, -ENOMEM, "out of memory");
	*h = (struct http){.base = base, .max = conf->max_connections, .url = strdup(conf->url)};
	h->line_end = &h->line;
	h->done_end = &h->done;
	h->user = conf->user ? strdup(conf->user) : NULL;
	rc = h->url && (h->user || !conf->user) ? set_up_multi(h) : -ENOMEM;
	/* "Expect:" takes that header away: a server that does not know it costs a second per request. */
	static const char *const own[] = {"Content-Type: application/json", "Accept: application/json", "Expect:", NULL};
	for (const char *const *line = own; rc == 0 && *line; line++)
		rc = add_header(h, *line);
	for (const char *const *line = conf->header; rc == 0 && line && *line; line++)
		rc = add_header(h, *line);
	if (rc < 0) {
		http_free(h);
		return err_set(err, rc, "out of memory");
	}
	for (size_t len = strlen(h->url); len && h->url[len - 1] == '/'; len--)
		h->url[len - 1] = '\0';
	*out = h;
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	h->max = 0; /* what is cancelled makes room for nothing */
	while (h->all)
		http_cancel(h->all);
	if (h->multi)
		curl_multi_cleanup(h->multi); /* closes its sockets, and says so to want_socket() */
	if (h->timer)
		event_free(h->timer);
	if (h->deliver)
		event_free(h->deliver);
	curl_slist_free_all(h->headers);
	if (h->user)
		explicit_bzero(h->user, strlen(h->user));
	free(h->user);
	free(h->url);
	if (h->global)
		curl_global_cleanup();
	free(h);
}

/* ---- words ---- */

/* One line that may be shown: what is no plain text becomes a space, and many of these one. */
static void plain_line(char *out, size_t cap, const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < cap; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c > ' ' && c < 0x7f)
			out[n++] = (char)c;
		else if (n && out[n - 1] != ' ')
			out[n++] = ' ';
	}
	while (n && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

int http_explain(struct err *err, int code, const struct http_answer *a)
{
	char text[TEXT_MAX];
	json_t *o = json_loadb(a->body, a->len, 0, NULL);
	const char *said = json_string_value(json_object_get(o, "error"));

	if (a->status >= 300 && a->status < 400)
		snprintf(text, sizeof text, "a redirect, which is not followed");
	else
		plain_line(text, sizeof text, said ? said : a->body, said ? strlen(said) : a->len);
	json_decref(o);
	if (a->status == 401)
		return err_set(err, code, "%s: 401, the key is not accepted%s%s", a->target, text[0] ? ": " : "", text);
	return err_set(err, code, "%s: %ld%s%s", a->target, a->status, text[0] ? " " : "", text);
}
