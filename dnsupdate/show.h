#pragma once
/* show - what the command line prints for people, from the answers of job.h. */
#include "dnsupdate/job.h"

#include "lib/out.h"

void show_classify(struct out *out);
void show_job(struct out *out, enum job_kind kind, bool ended_well); /* plan, push, undo, verify, prepare, finalise */
void show_status(struct out *out);
