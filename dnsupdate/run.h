#pragma once
/* run - one command line that asks servers: accounts and domains from its words, a job (job.h) for each, and what came of them all.
 * Ctrl-C ends it where it is: what was sent is in the journal, and the exit code says whether something is in the middle. */
#include "dnsupdate/job.h"

#include "lib/out.h"

struct options {
	const char *file, *accounts; /* accounts NULL: those of the controller's state */
	bool json, leave_drift, all;
	enum side to;
	enum verb verb;
	int wait_s;
	unsigned given; /* bits of cmd.c */
};

/* Fill out; err has text unless EXIT_DONE. */
enum exit_code run_jobs(enum job_kind kind, const struct options *o, struct conf *conf, char **words, int n, struct out *out,
			struct err *err);
enum exit_code run_status(const struct options *o, struct conf *conf, const char *account, struct out *out, struct err *err);
