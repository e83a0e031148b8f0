#include "control/homeward.h"

#include "control/publish.h"

#include "lib/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LOOK_MS 250

static bool concerns(const struct move *m)
{
	return m->row.to == SIDE_CLIENT && publish_concerns(m);
}

static void mark_of(const struct move *m, char out[sizeof(MARK_HOME) + ACCOUNT_NAME_MAX])
{
	snprintf(out, sizeof(MARK_HOME) + ACCOUNT_NAME_MAX, MARK_HOME "%s", m->row.account);
}

/* Nothing of the account is on our DNS, or all of it is home. */
static bool is_home(const struct move *m)
{
	return publish_changes(m->dns_plan) == 0;
}

/* A resolver may have asked just before, and clocks of caches are whole seconds. */
static int64_t forgotten_after_s(const json_t *evidence)
{
	int64_t ttl = publish_ttl(evidence);

	return ttl == 0 ? 0 : ttl + (ttl < 60 ? ttl / 6 + 1 : 10);
}

int homeward_lead(struct move *m, struct err *err)
{
	char mark[sizeof(MARK_HOME) + ACCOUNT_NAME_MAX], why[OWED_MAX];
	struct err e = {0};
	int64_t wait_s;

	if (!concerns(m) || is_home(m) || publish_drift(m->dns_plan))
		return 0;
	mark_of(m, mark);
	int rc = journal_set_mark(m->with->db, mark, true, err);
	if (rc < 0)
		return rc;
	rc = publish_ask(m, m->row.to, &m->dns_home, why, sizeof(why));
	if (rc < 0)
		return err_set(err, -EPERM, "DNS could not be led home first: %s. Mend that, or leave DNS as it is with --no-dns", why);
	wait_s = forgotten_after_s(m->dns_home);
	m->home_ms = now_ms() + wait_s * 1000;
	if (journal_note(m->with->db, m->row.account, m->row.id, TRAIL_DNS "leads home", m->dns_home, &e) < 0)
		return err_set(err, e.code, "%s", e.text);
	return 0;
}

int homeward_wait(struct move *m, struct err *err)
{
	int64_t began = now_ms(), last = began + (int64_t)m->with->conf->home_wait * 1000;
	struct pollfd p = {.fd = m->with->cancel_fd, .events = POLLIN};

	if (!m->dns_home)
		return 0;
	for (int64_t now; (now = now_ms()) < m->home_ms && now < last;) {
		int64_t left = m->home_ms < last ? m->home_ms - now : last - now;

		progress_show(m->with->progress, m->row.account, "waiting for resolvers", -1, (left + 999) / 1000);
		if (poll(&p, 1, (int)(left < LOOK_MS ? left : LOOK_MS)) > 0)
			return err_set(err, -EINTR, "interrupted");
	}
	json_object_set_new(m->dns_home, "waited", json_integer((now_ms() - began + 500) / 1000));
	if (now_ms() < m->home_ms) {
		char until[TIME_TEXT_MAX];

		json_object_set_new(m->dns_home, "resolvers-until", json_string(time_text(m->home_ms, until)));
	}
	return 0;
}

int homeward_lead_back(struct move *m, struct err *err)
{
	char mark[sizeof(MARK_HOME) + ACCOUNT_NAME_MAX];
	json_t *evidence = NULL;

	if (!concerns(m))
		return 0;
	mark_of(m, mark);
	int rc = journal_mark(m->with->db, mark, NULL, err);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	rc = publish_again(m, DNS_PUSH, m->row.from, &evidence, err);
	m->evidence = evidence;
	return rc; /* the mark goes when it is true, or with the debt */
}

void homeward_text(const struct move *m, char *out, size_t cap)
{
	out[0] = '\0';
	if (concerns(m) && m->dns_plan && !is_home(m) && !publish_drift(m->dns_plan))
		snprintf(out, cap, "lead DNS home first and wait until no resolver remembers the transit server, at most %d s; ",
			 m->with->conf->home_wait);
}
