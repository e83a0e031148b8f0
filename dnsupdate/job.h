#pragma once
/* job - one command on one account: its domains to the zones that hold them, a task (task.h) for each zone, and one answer for the asker.
 * What changes an account has it for itself until nothing is sent any more: an undo that comes while a push is still finding out what is to
 * be done must not end before it. Who waits too long for another is refused, and who waits when a newer one comes: of two that have not
 * begun, the last word counts. The answer's form is that of serve.h. Ownership: a job frees itself after done(), which takes the answer;
 * job_cancel() before that ends it where it stands: what was sent is in the journal. Threads: the loop's. */
#include "dnsupdate/task.h"

#include "lib/exits.h"

enum job_kind { JOB_CLASSIFY, JOB_PLAN, JOB_PUSH, JOB_VERIFY, JOB_UNDO, JOB_PREPARE, JOB_FINALISE };

struct job_wish {
	enum job_kind kind;
	enum verb verb; /* of JOB_PLAN */
	enum side to;   /* of JOB_PUSH, and of JOB_PLAN for VERB_PUSH */
	int wait_s;     /* -1: the configuration's */
	bool leave_drift, urgent, resolvers;
	const char *account; /* copied; "" for domains of nobody in particular (JOB_CLASSIFY) */
	char *const *domains, *const *others;
	size_t n_domains, n_others;
	void (*progress)(void *arg, const char *zone, const char *text); /* or NULL */
	void *arg;
};

struct job;
/* answer: taken. err has text unless EXIT_DONE. */
typedef void job_fn(void *arg, enum exit_code x, json_t *answer, const struct err *err);
struct job *job_start(struct dns *d, const struct job_wish *wish, job_fn *fn, void *arg); /* NULL: no memory */
void job_cancel(struct job *j);
bool job_has_sent(const struct job *j); /* an update, be it to one of many zones and however it ended */

/* What the journal knows of an account (NULL: of all), in the form of serve.h. */
enum exit_code job_status(struct dns *d, const char *account, json_t *answer, struct err *err);
