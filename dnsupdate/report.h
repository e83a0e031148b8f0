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
json_t *report_entry(const struct entry *e);
