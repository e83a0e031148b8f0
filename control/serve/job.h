#pragma once
/* job - one run of our own program as a child, in a lane with a bounded number at once and a bounded queue, of which one actor has a share.
 * The child gets its arguments as they are (no shell), standard input from /dev/null, an environment of its own, and a process group of its
 * own. Its standard output is a file: nobody has to read while it runs, and a child that outlives serve still leaves its whole answer. The
 * file is locked (flock) by serve before the child inherits it, and such a lock belongs to the open file: it is held exactly as long as the
 * child or one of its own children lives, which is how a later serve sees whether it still runs.
 * All that can fail is done before a job is in its queue, but for two things: that it begins may not be written down now (then it waits
 * on), and the child may not be made (then it ends at once). That a child has ended comes by SIGCHLD: there is nothing to open for one, and
 * the loop never waits. Ownership: a job belongs to its jobs, and is gone when fn has been called. Errors: 0 or -errno. Units: ms. Threads:
 * the loop's. */
#include "control/serve/route.h"
#include "lib/err.h"
#include "lib/loop.h"

#define JOB_ANSWER_MAX    (64 * 1024 * 1024)
#define JOB_CANCELLED     JOB_WAS_CANCELLED " before it began. Nothing changed" /* the error of what was cancelled while it waited */
#define JOB_WAS_CANCELLED "it was cancelled"

struct jobs;
struct job;

struct job_end {
	int exit;         /* of the program; -1: it was killed, was not made, or what it became is not known */
	const char *text; /* its standard output; NUL at the end */
	size_t len;
	bool late; /* its time was over, and it was killed */
};

enum job_go { JOB_GO, JOB_WAIT, JOB_NEVER }; /* JOB_WAIT: not now, it is asked again; JOB_NEVER: it ends as refused */

struct job_spec {
	enum lane lane;
	char *const *argv;                /* without the program's name; copied */
	const char *actor;                /* the token's name, for the trail; copied */
	unsigned share;                   /* so many of this actor may wait or run in the lane; 0: as many as there is room for */
	int out;                          /* taken, also on failure; -1: a file without a name */
	int deadline_ms;                  /* from the start of the child; 0: none. Only for what changes nothing */
	enum job_go (*begins)(void *arg); /* right before the child is, to write it down; NULL: JOB_GO */
	void (*fn)(void *arg, const struct job_end *end);
	void *arg;
};

int jobs_new(struct jobs **out, struct loop *l, const int limits[N_LANES], const int queues[N_LANES], struct err *err);
void jobs_free(struct jobs *j); /* reads are killed; changes go on by themselves; no fn is called */
/* As Ctrl-C, by the arg of its spec: what waits ends as refused, what runs gets SIGTERM. -ENOENT, -ESRCH: it is not to be found. */
int job_cancel(struct jobs *j, const void *arg);
void jobs_pause(struct jobs *j); /* nothing that changes something is begun any more */
bool jobs_has_room(const struct jobs *j, enum lane lane, const char *actor, unsigned share);
/* All that can fail of a start. -EBUSY: the queue, or the actor's share of it, is full. Then one of: */
int job_make(struct job **out, struct jobs *j, const struct job_spec *spec, struct err *err);
void job_start(struct job *j); /* fn comes later, never from within */
void job_drop(struct job *j);  /* NULL is fine; fn is not called */
/* A child of an earlier serve, by its file (taken): fn is called when it has ended, or soon where it has. */
int job_adopt(struct jobs *j, enum lane lane, const char *actor, int out, void (*fn)(void *arg, const struct job_end *end), void *arg,
	      struct err *err);
unsigned jobs_running(const struct jobs *j, enum lane lane);
unsigned jobs_waiting(const struct jobs *j, enum lane lane);
