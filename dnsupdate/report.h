#pragma once
/* report - what a job answers, and how it ended: the messages of serve.h and the exit codes of DESIGN 7. Pure. */
#include "dnsupdate/job.h"

struct domain_report {
	const char *domain;
	char *zone; /* the hosted zone that holds it; NULL: none */
	struct backend *backend;
	enum verdict verdict; /* where it is not hosted */
	bool failed;          /* a primary could not be asked */
	char why[300];
};
void domain_report_done(struct domain_report *d);

struct report {
	enum job_kind kind;
	const char *account;
	struct domain_report **domains;
	size_t n_domains;
	const struct task *tasks;
	size_t n_tasks;
	const struct err *trouble; /* of the job as a whole; no text: none */
};
enum exit_code report_make(const struct report *r, json_t *answer, struct err *err);
/* An answer of many zones is told with less and less of each, until it has at most so many bytes: what was done must not be told as a
 * failure because it is much. First the names go, then what the changes were (not how many, nor their TTLs), the servers that show it, the
 * reasons, and last the zones of which all is well. Of the journal's entries account, zone, state and what is wrong stay. "shortened" says
 * so. */
void report_shorten(json_t *answer, size_t most);
json_t *report_entry(const struct entry *e);
