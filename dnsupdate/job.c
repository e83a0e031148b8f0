#include "dnsupdate/job.h"

#include "dnsupdate/report.h"

#include "lib/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCK_WAIT_MS 30000
#define LOCK_LOOK_MS 50

/* One domain on its way to the zone that holds it. */
struct probe {
	struct work work;
	struct job *job;
	char *domain; /* absolute, without "*." */
	size_t asked; /* primaries */
	struct backend_call *call;
	struct inquiry *inquiry;
	struct domain_report report;
	struct err trouble; /* of a primary that could not be asked */
};

struct job {
	struct dns *dns;
	struct job_wish wish;
	job_fn *fn;
	void *arg;
	char *account, **domains, **others;
	struct wish task_wish;
	struct probe *probes;
	size_t n_probes, probing;
	struct task *tasks;
	size_t n_tasks, running, changing; /* changing: those that may still send something */
	int lock;                          /* of the account; -1 where it is not changed, or not any more */
	uint64_t lock_until;
	struct deadline lock_timer;
	struct job *next_waiting;
	struct err err; /* of the job as a whole */
	struct event turn;
	bool over;
};

static void leave_waiting(struct job *j)
{
	for (struct job **at = &j->dns->waiting; *at; at = &(*at)->next_waiting)
		if (*at == j) {
			*at = j->next_waiting;
			return;
		}
}

static void job_free(struct job *j)
{
	leave_waiting(j);
	for (size_t i = 0; i < j->n_probes; i++) {
		struct probe *p = &j->probes[i];

		backend_cancel(p->call);
		inquiry_cancel(p->inquiry);
		dns_finished(j->dns, &p->work);
		free(p->domain);
		domain_report_done(&p->report);
	}
	free(j->probes);
	for (size_t i = 0; i < j->n_tasks; i++)
		task_done(&j->tasks[i]);
	free(j->tasks);
	event_del(&j->turn);
	deadline_cancel(j->dns->loop, &j->lock_timer);
	journal_unlock(j->lock);
	for (size_t i = 0; i < j->wish.n_domains; i++)
		free(j->domains ? j->domains[i] : NULL);
	for (size_t i = 0; i < j->wish.n_others; i++)
		free(j->others ? j->others[i] : NULL);
	free(j->domains);
	free(j->others);
	free(j->account);
	free(j);
}

void job_cancel(struct job *j)
{
	if (j)
		job_free(j);
}

bool job_has_sent(const struct job *j)
{
	for (size_t i = 0; i < j->n_tasks; i++)
		if (j->tasks[i].sends)
			return true;
	return false;
}

static void on_end(evutil_socket_t fd, short what, void *its)
{
	struct job *j = its;
	struct report r = {.kind = j->wish.kind, .account = j->account, .tasks = j->tasks, .n_tasks = j->n_tasks, .trouble = &j->err};
	struct err err = {0};
	json_t *answer = json_object();
	enum exit_code x;
	job_fn *fn = j->fn;
	void *arg = j->arg;

	(void)fd;
	(void)what;
	r.domains = calloc(j->n_probes ? j->n_probes : 1, sizeof(*r.domains));
	for (size_t i = 0; r.domains && i < j->n_probes; i++)
		r.domains[r.n_domains++] = &j->probes[i].report;
	x = report_make(&r, answer, &err);
	free(r.domains);
	job_free(j);
	fn(arg, x, answer, &err);
}

/* From the loop, so that what called back is done with itself. */
static void end(struct job *j)
{
	if (j->over)
		return;
	j->over = true;
	event_active(&j->turn, 0, 0);
}

/* ---- tasks ---- */

/* What was changed is restored and looked at wherever it is, whatever the account's domains are by now. */
static bool from_journal(const struct job *j)
{
	switch (j->wish.kind) {
	case JOB_UNDO:
	case JOB_VERIFY:
	case JOB_FINALISE:
		return true;
	case JOB_PLAN:
		return j->wish.verb == VERB_UNDO || j->wish.verb == VERB_FINALISE;
	case JOB_CLASSIFY:
	case JOB_PUSH:
	case JOB_PREPARE:
		return false;
	}
	return false;
}

static void on_task_through(struct task *t)
{
	struct job *j = t->arg;

	if (--j->changing > 0)
		return;
	journal_unlock(j->lock);
	j->lock = -1;
}

static void on_task_done(struct task *t)
{
	struct job *j = t->arg;

	if (j->wish.progress)
		j->wish.progress(j->wish.arg, t->zone, NULL);
	if (--j->running == 0)
		end(j);
}

static bool has_zone(const struct job *j, const char *zone)
{
	for (size_t i = 0; i < j->n_tasks; i++)
		if (name_same(j->tasks[i].zone, zone))
			return true;
	return false;
}

/* Room for all was made before: tasks must not move. */
static void add_task(struct job *j, const char *zone, struct backend *b)
{
	struct task *t = &j->tasks[j->n_tasks];

	*t = (struct task){.dns = j->dns, .backend = b, .wish = &j->task_wish, .through = on_task_through, .done = on_task_done, .arg = j};
	if (task_start(t, zone) < 0) {
		err_set(&j->err, -ENOMEM, "out of memory");
		return;
	}
	j->n_tasks++;
	j->running++;
	j->changing++;
}

static int compare_probes(const void *a, const void *b)
{
	const struct probe *const *x = a, *const *y = b;

	return name_compare((*x)->report.zone, (*y)->report.zone);
}

/* A relocation also goes to zones that only the journal knows: domains may have left the account since. */
static void add_known(struct job *j, const struct entry_list *known)
{
	for (size_t i = 0; i < known->n; i++) {
		const char *name = known->entries[i].backend;
		struct backend *b = dns_backend(j->dns, name);

		if (has_zone(j, known->entries[i].zone))
			continue;
		if (b)
			add_task(j, known->entries[i].zone, b);
		else if (!j->err.code)
			err_set(&j->err, -ENOENT,
				"%s of account %s was changed through %s, which is no zone-server of the configuration any more: put "
				"it back",
				known->entries[i].zone, j->account, name ? name : "a server that is not recorded");
	}
}

static int add_found(struct job *j)
{
	struct probe **by_zone = calloc(j->n_probes ? j->n_probes : 1, sizeof(*by_zone));
	size_t n = 0;

	if (!by_zone)
		return err_set(&j->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < j->n_probes; i++)
		if (j->probes[i].report.zone)
			by_zone[n++] = &j->probes[i];
	qsort(by_zone, n, sizeof(*by_zone), compare_probes);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !name_same(by_zone[i - 1]->report.zone, by_zone[i]->report.zone))
			add_task(j, by_zone[i]->report.zone, by_zone[i]->report.backend);
	free(by_zone);
	return 0;
}

/* One task per zone, however many of the account's domains are in it. A file of the journal that cannot be read is told of, and keeps no
 * other zone from being changed. */
static void start_tasks(struct job *j)
{
	struct entry_list known = {0};
	bool look = from_journal(j) || (j->wish.kind == JOB_PUSH && j->wish.to == SIDE_CLIENT);

	if (look)
		journal_all(j->dns->journal, j->account, &known, &j->err);
	j->tasks = calloc(j->n_probes + known.n + 1, sizeof(*j->tasks));
	if (!j->tasks)
		err_set(&j->err, -ENOMEM, "out of memory");
	else if (add_found(j) == 0)
		add_known(j, &known);
	entry_list_done(&known);
	if (j->running == 0)
		end(j);
}

/* ---- domains to zones ---- */

static void probe_over(struct probe *p)
{
	struct job *j = p->job;

	dns_finished(j->dns, &p->work);
	if (--j->probing == 0)
		start_tasks(j);
}

static void on_judged(void *arg, const struct delegation *d)
{
	struct probe *p = arg;

	p->inquiry = NULL;
	p->report.verdict = d->verdict;
	snprintf(p->report.why, sizeof(p->report.why), "%s", d->why);
	probe_over(p);
}

/* Nobody of ours has it: whose it is, only a classification wants to know. */
static void not_hosted(struct probe *p)
{
	const struct conf_dns *c = &p->job->dns->conf->dns;

	if (p->trouble.code) {
		p->report.verdict = VERDICT_UNKNOWN;
		p->report.failed = true;
		snprintf(p->report.why, sizeof(p->report.why), "%.*s", (int)sizeof(p->report.why) - 1, p->trouble.text);
		probe_over(p);
		return;
	}
	p->report.verdict = VERDICT_EXTERNAL;
	snprintf(p->report.why, sizeof(p->report.why), "no zone-server holds a zone for it");
	if (p->job->wish.kind == JOB_CLASSIFY)
		p->inquiry = inquiry_start(p->job->dns->looker, p->domain, NULL, c->nameservers, c->n_nameservers, on_judged, p);
	if (!p->inquiry)
		probe_over(p);
}

static void ask_next(struct probe *p);

static void on_found(void *arg, const char *zone, const struct err *err)
{
	struct probe *p = arg;
	struct backend *b = p->job->dns->backends[p->asked];

	p->call = NULL;
	if (zone) {
		p->report.zone = strdup(zone);
		p->report.backend = b;
		if (!p->report.zone)
			err_set(&p->trouble, -ENOMEM, "out of memory");
		probe_over(p);
		return;
	}
	if (err && err->code)
		p->trouble = *err;
	p->asked++;
	ask_next(p);
}

static void ask_next(struct probe *p)
{
	struct dns *d = p->job->dns;

	if (p->asked == d->n_backends) {
		not_hosted(p);
		return;
	}
	p->call = backend_find(d->backends[p->asked], p->domain, on_found, p);
	if (!p->call) {
		err_set(&p->trouble, -ENOMEM, "out of memory");
		p->asked = d->n_backends;
		not_hosted(p);
	}
}

static void on_turn(struct work *w)
{
	ask_next((struct probe *)((char *)w - offsetof(struct probe, work)));
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "*.alice.example" and "alice.example" are looked for once. */
static size_t bases(struct job *j, const char **out)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < j->wish.n_domains; i++)
		out[n++] = strncmp(j->domains[i], "*.", 2) == 0 ? j->domains[i] + 2 : j->domains[i];
	qsort(out, n, sizeof(*out), compare_text);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || strcmp(out[kept - 1], out[i]) != 0)
			out[kept++] = out[i];
	return kept;
}

static int start_probes(struct job *j)
{
	const char **names = calloc(j->wish.n_domains + 1, sizeof(*names));
	size_t n = names ? bases(j, names) : 0;

	j->probes = calloc(n ? n : 1, sizeof(*j->probes));
	if (!names || !j->probes) {
		free(names);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		struct probe *p = &j->probes[j->n_probes++];
		char name[RR_NAME_MAX];

		*p = (struct probe){.job = j, .work.start = on_turn};
		p->domain = name_absolute(name, names[i]) < 0 ? NULL : strdup(name);
		p->report.domain = p->domain;
		if (!p->domain) {
			free(names);
			return -ENOMEM;
		}
	}
	free(names);
	j->probing = n;
	for (size_t i = 0; i < n; i++)
		dns_enqueue(j->dns, &j->probes[i].work, j->wish.urgent);
	if (n == 0)
		start_tasks(j);
	return 0;
}

/* ---- start ---- */

static void set_task_wish(struct job *j)
{
	const struct job_wish *w = &j->wish;
	static const enum verb verbs[] = {
		[JOB_CLASSIFY] = VERB_PUSH, [JOB_PUSH] = VERB_PUSH,       [JOB_VERIFY] = VERB_PUSH,
		[JOB_UNDO] = VERB_UNDO,     [JOB_PREPARE] = VERB_PREPARE, [JOB_FINALISE] = VERB_FINALISE,
	};
	int wait_s = w->wait_s < 0 ? j->dns->conf->dns.wait : w->wait_s;

	j->task_wish = (struct wish){
		.deed = w->kind == JOB_CLASSIFY ? DEED_CLASSIFY
			: w->kind == JOB_PLAN   ? DEED_PLAN
			: w->kind == JOB_VERIFY ? DEED_VERIFY
						: DEED_CHANGE,
		.plan = {.verb = w->kind == JOB_PLAN ? w->verb : verbs[w->kind], .to = w->to, .leave_drift = w->leave_drift},
		.wait_ms = wait_s * 1000,
		.resolvers = w->resolvers,
		.urgent = w->urgent,
		.scope = {.account = j->account,
			  .domains = j->domains,
			  .n_domains = w->n_domains,
			  .others = j->others,
			  .n_others = w->n_others},
		.progress = w->progress,
		.arg = w->arg,
	};
	if (w->kind == JOB_CLASSIFY)
		j->task_wish.plan.to = SIDE_TRANSIT;
}

static char **copy_texts(char *const *from, size_t n)
{
	char **out = calloc(n ? n : 1, sizeof(*out));

	for (size_t i = 0; out && i < n; i++)
		out[i] = strdup(from[i]);
	return out;
}

static bool whole(char **texts, size_t n)
{
	for (size_t i = 0; texts && i < n; i++)
		if (!texts[i])
			return false;
	return texts != NULL;
}

static void begin(struct job *j)
{
	if (from_journal(j)) {
		start_tasks(j);
	} else if (start_probes(j) < 0) {
		err_set(&j->err, -ENOMEM, "out of memory");
		end(j);
	}
}

/* The asker of a command that still waits may have given up long ago: it must not have its way after a newer one. */
static void supersede(const struct job *by)
{
	for (struct job *j = by->dns->waiting, *next; j; j = next) {
		next = j->next_waiting;
		if (strcmp(j->account, by->account) != 0)
			continue;
		leave_waiting(j);
		deadline_cancel(j->dns->loop, &j->lock_timer);
		err_set(&j->err, -EWOULDBLOCK, "another command on account %s came before this one had begun", j->account);
		end(j);
	}
}

static void try_lock(struct job *j);

static void on_lock_again(struct deadline *d)
{
	try_lock((struct job *)((char *)d - offsetof(struct job, lock_timer)));
}

static void try_lock(struct job *j)
{
	struct err err = {0};
	int rc = journal_lock_account(j->dns->journal, j->account, &j->lock, &err);

	leave_waiting(j);
	if (rc == -EWOULDBLOCK && loop_now(j->dns->loop) < j->lock_until) {
		j->next_waiting = j->dns->waiting;
		j->dns->waiting = j;
		deadline_arm(j->dns->loop, &j->lock_timer, on_lock_again, LOCK_LOOK_MS);
	} else if (rc < 0) {
		j->err = err;
		end(j);
	} else {
		begin(j);
	}
}

struct job *job_start(struct dns *d, const struct job_wish *wish, job_fn *fn, void *arg)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	*j = (struct job){.dns = d, .wish = *wish, .fn = fn, .arg = arg, .lock = -1};
	event_assign(&j->turn, loop_base(d->loop), -1, 0, on_end, j);
	j->account = strdup(wish->account);
	j->domains = copy_texts(wish->domains, wish->n_domains);
	j->others = copy_texts(wish->others, wish->n_others);
	if (!j->account || !whole(j->domains, wish->n_domains) || !whole(j->others, wish->n_others)) {
		job_free(j);
		return NULL;
	}
	set_task_wish(j);
	j->lock_until = loop_now(d->loop) + LOCK_WAIT_MS;
	if (j->task_wish.deed == DEED_CHANGE) {
		supersede(j);
		try_lock(j);
	} else {
		begin(j);
	}
	return j;
}

/* ---- status ---- */

enum exit_code job_status(struct dns *d, const char *account, json_t *answer, struct err *err)
{
	struct entry_list all;
	int rc = journal_all(d->journal, account, &all, err);
	json_t *entries = json_array();

	for (size_t i = 0; i < all.n; i++)
		json_array_append_new(entries, report_entry(&all.entries[i]));
	json_object_set_new(answer, "entries", entries);
	entry_list_done(&all);
	return rc < 0 ? EXIT_STUCK : EXIT_DONE;
}
