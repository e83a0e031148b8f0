#pragma once
/* check_ask - the asking of a check: accounts go in batches to threads, one per pair of links, each asking a kind of question of its whole
 * batch at a time, so that what a check takes over a long line hardly depends on how many accounts there are. At most CHECK_WINDOW accounts
 * are ahead of the one that is waited for: memory is that of so many answers.
 * Ownership: jobs are the caller's, and must outlive the asking; what a job was answered is freed by check_job_done(). Threads: a job is
 * its thread's until check_asking_wait() says that it is done. */
#include "control/check.h"
#include "control/preflight.h"

#define CHECK_BATCH  32
#define CHECK_WINDOW 1024

struct check_job {
	const struct acctdef *def;
	const json_t *others;
	enum dns_verb verb; /* of the move that comes next */
	enum side to;
	bool done;
	int rc;                   /* of the first question that DNS did not answer; 0: none */
	char *why;                /* of rc, or of refused */
	bool refused;             /* the move would be */
	json_t *domains;          /* as classify tells */
	json_t *plan;             /* as publish_evidence() */
	json_t *findings, *https; /* as preflight_accounts() */
};
void check_job_done(struct check_job *j);

struct check_asking;
/* p NULL: DNS alone. Threads are made; -EAGAIN and others where not one could be. */
int check_asking_start(struct check_asking **out, struct check_job *jobs, size_t n, const struct check_links *links, struct preflight *p,
		       struct err *err);
/* The i-th is done. False: it was not within ms. *percent: of all domains, so many are looked at. In order of i: those before it are over.
 */
bool check_asking_wait(struct check_asking *k, size_t i, int ms, double *percent);
void check_asking_end(struct check_asking *k); /* nothing more is begun; waits for what is under way. NULL is fine */
