/* log: what was recorded, and whether its chain is whole. From the database alone: the proxy may be away. */
#include "control/app.h"
#include "lib/member.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- the chain ---- */

enum exit_code trail_exit(int rc)
{
	return rc == -EBADMSG ? EXIT_STUCK : exit_of(rc);
}

void trail_out(struct app *a, const struct trail_head *h)
{
	out_set(&a->out, "lines", json_integer(h->lines));
	out_set(&a->out, "head", json_string(h->hash));
}

static enum exit_code log_head(struct app *a, struct err *err)
{
	struct trail_head h;
	int rc = journal_head(a->db, &h, err);
	if (rc < 0)
		return trail_exit(rc);
	trail_out(a, &h);
	out_line(&a->out, "%" PRId64 ":%s", h.lines, h.hash);
	return EXIT_DONE;
}

static enum exit_code log_verify(struct app *a, const char *kept, struct err *err)
{
	struct trail_head k, h;
	struct err e = {0};
	if (kept && !trail_head_parse(&k, kept)) {
		err_set(err, -EINVAL, "log --verify: found \"%.80s\", expected a head as shunt log --head prints it", kept);
		return EXIT_USAGE;
	}
	int rc = journal_verify(a->db, kept ? &k : NULL, &h, &e);
	out_set(&a->out, "unbroken", json_boolean(rc == 0));
	trail_out(a, &h);
	if (rc == 0)
		out_line(&a->out, "%" PRId64 " line%s, unbroken, head %s", h.lines, h.lines == 1 ? "" : "s", h.hash);
	else
		err_set(err, rc, rc == -EBADMSG ? "the trail is BROKEN: %s" : "%s", e.text);
	return rc == 0 ? EXIT_DONE : trail_exit(rc);
}

/* ---- what is in it ---- */

int parse_since(const char *text, long long now_s, long long *since_s)
{
	char *end;
	struct tm tm = {0};
	long long v = strtoll(text, &end, 10);
	if (end != text && end[0] && !end[1] && v >= 0 && v < 100000) {
		static const struct {
			char unit;
			int seconds;
		} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
		for (size_t i = 0; i < 4; i++) {
			if (*end == units[i].unit) {
				*since_s = now_s - v * units[i].seconds;
				return 0;
			}
		}
		return -EINVAL;
	}
	end = strptime(text, "%Y-%m-%d", &tm);
	if (end && (*end == 'T' || *end == 't' || *end == ' '))
		end = strptime(end + 1, "%H:%M", &tm);
	else if (!end || *end)
		return -EINVAL;
	if (end && *end == ':')
		end = strptime(end + 1, "%S", &tm);
	if (end && *end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (!end)
		return -EINVAL;
	long long off = 0;
	int h, m, used = 0;
	if (*end == '+' || *end == '-') {
		if (sscanf(end + 1, "%2d:%2d%n", &h, &m, &used) != 2 || used != 5 || h > 23 || m > 59)
			return -EINVAL;
		off = (*end == '-' ? -1 : 1) * (h * 3600 + m * 60);
		end += 6;
	} else if (*end == 'Z' || *end == 'z') {
		end++;
	}
	int day = tm.tm_mday;
	*since_s = (long long)timegm(&tm) - off;
	return *end || tm.tm_mday != day ? -EINVAL : 0; /* there is no 31st of February */
}

enum exit_code cmd_log(struct app *a, char **words, int n, struct err *err)
{
	long long since = 0;
	json_t *list, *e;
	size_t i;
	if ((a->opt.verify || a->opt.head) && app_state_missing(a)) {
		err_set(err, -ENOENT, "there is no trail at %s (state of section control)", a->conf->control.state);
		return EXIT_REFUSED;
	}
	if (a->opt.verify && !a->opt.head && !a->opt.since)
		return log_verify(a, n ? words[0] : NULL, err);
	if (a->opt.head && !a->opt.verify && !a->opt.since && !n)
		return log_head(a, err);
	if (a->opt.head || a->opt.verify) {
		err_set(err, -EINVAL, "log: expected shunt log [NAME] [--since T], --verify [HEAD], or --head");
		return EXIT_USAGE;
	}
	if (a->opt.since && parse_since(a->opt.since, now_ms() / 1000, &since) < 0) {
		err_set(err, -EINVAL, "--since: found \"%.60s\", expected 2026-01-31T08:00:00Z, or 90m, 2h, 3d", a->opt.since);
		return EXIT_USAGE;
	}
	int rc = journal_log(a->db, n ? words[0] : NULL, since * 1000, &list, err);
	if (rc < 0)
		return exit_of(rc);
	json_array_foreach (list, i, e) {
		const json_t *evidence = json_object_get(e, "evidence");
		char *text = json_is_object(evidence) ? json_dumps(evidence, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
		out_line(&a->out, "%6lld  %s  %s  %s: %s%s%s", (long long)member_int(e, "id"), member_text_or(e, "at", "?"),
			 member_text_or(e, "who", "?"), member_text_or(e, "account", "-"), member_text_or(e, "what", "?"), text ? "  " : "",
			 text ? text : "");
		free(text);
	}
	if (json_array_size(list) == 0)
		out_line(&a->out, "nothing is recorded%s", n ? " for that name" : "");
	out_set(&a->out, "log", list);
	return EXIT_DONE;
}
