/* Children of serve: this program is its own child, as serve is. What can fail where one begins, and that the loop never waits for one. */
#include "control/serve/job.h"
#include "lib/exits.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct one {
	struct world *w;
	int ended, exit, asked;
	enum job_go go; /* what begins() says, the first time */
	bool late;
	char text[200];
};

struct world {
	struct loop *loop;
	struct jobs *jobs;
	struct deadline enough;
	int waits_for, ended;
	bool timed_out;
};

static int set_up(void **state)
{
	static const int limits[N_LANES] = {2, 2, 2}, queues[N_LANES] = {4, 4, 4};
	struct world *w = calloc(1, sizeof(*w));
	assert_int_equal(loop_new(&w->loop, NULL), 0);
	assert_int_equal(jobs_new(&w->jobs, w->loop, limits, queues, NULL), 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	jobs_free(w->jobs);
	deadline_cancel(w->loop, &w->enough);
	loop_free(w->loop);
	free(w);
	return 0;
}

static void on_end(void *arg, const struct job_end *end)
{
	struct one *o = arg;
	o->ended++;
	o->exit = end->exit;
	o->late = end->late;
	snprintf(o->text, sizeof(o->text), "%s", end->text);
	if (++o->w->ended == o->w->waits_for)
		event_base_loopbreak(loop_base(o->w->loop));
}

static enum job_go on_begins(void *arg)
{
	struct one *o = arg;
	return o->asked++ ? JOB_GO : o->go;
}

static void on_enough(struct deadline *d)
{
	struct world *w = (struct world *)(void *)((char *)d - offsetof(struct world, enough));
	w->timed_out = true;
	event_base_loopbreak(loop_base(w->loop));
}

/* Until so many more have ended. */
static void run(struct world *w, int n)
{
	w->ended = 0;
	w->waits_for = n;
	deadline_arm(w->loop, &w->enough, on_enough, 20000);
	loop_run(w->loop);
	assert_false(w->timed_out);
}

static struct job_spec spec_of(struct one *o, enum lane lane, char **argv)
{
	return (struct job_spec){
		.lane = lane, .argv = argv, .actor = "panel", .out = -1, .begins = o->go ? on_begins : NULL, .fn = on_end, .arg = o};
}

static struct job *start(struct world *w, struct one *o, enum lane lane, char *a, char *b)
{
	char *argv[] = {a, b, NULL};
	struct job_spec spec = spec_of(o, lane, argv);
	struct job *j;
	struct err err = {0};
	o->w = w;
	if (job_make(&j, w->jobs, &spec, &err) < 0)
		fail_msg("%s", err.text);
	job_start(j);
	return j;
}

static void test_what_it_says(void **state)
{
	struct one say = {0}, exit = {0}, killed = {0}, actor = {0};
	start(*state, &say, LANE_READ, "say", "hello");
	start(*state, &exit, LANE_READ, "exit", "3");
	start(*state, &killed, LANE_MOVE, "kill", "9");
	start(*state, &actor, LANE_MOVE, "actor", "");
	run(*state, 4);
	assert_int_equal(say.exit, 0);
	assert_string_equal(say.text, "hello");
	assert_int_equal(exit.exit, 3);
	assert_int_equal(killed.exit, -1);
	assert_string_equal(actor.text, "panel");
}

/* Not one descriptor is left: what was made ready runs all the same, and its end is seen. */
static void test_without_descriptors(void **state)
{
	struct one o = {0};
	struct rlimit was, now;
	start(*state, &o, LANE_MOVE, "say", "there");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	int next = dup(0);
	close(next);
	now = (struct rlimit){(rlim_t)next, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(dup(0), -1);
	run(*state, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(o.exit, 0);
	assert_string_equal(o.text, "there");
}

/* An argument that no kernel takes: the child cannot be made, and that is an end like others. */
static void test_cannot_be_made(void **state)
{
	struct one o = {0}, other = {0};
	size_t len = 1 << 20;
	char *long_one = malloc(len + 1);
	memset(long_one, 'x', len);
	long_one[len] = '\0';
	start(*state, &o, LANE_MOVE, "say", long_one);
	start(*state, &other, LANE_MOVE, "say", "short");
	run(*state, 2);
	assert_int_equal(o.exit, -1);
	assert_string_equal(o.text, "");
	assert_string_equal(other.text, "short");
	free(long_one);
}

static void test_not_now_and_never(void **state)
{
	struct one later = {.go = JOB_WAIT}, after = {0}, never = {.go = JOB_NEVER}, read = {0};
	start(*state, &later, LANE_MOVE, "say", "at last");
	start(*state, &after, LANE_MOVE, "say", "behind it");
	start(*state, &never, LANE_CHANGE, "say", "never");
	start(*state, &read, LANE_READ, "say", "read");
	run(*state, 2);
	assert_int_equal(never.exit, EXIT_REFUSED);
	assert_non_null(strstr(never.text, "Nothing changed"));
	assert_string_equal(read.text, "read");
	assert_int_equal(later.ended + after.ended, 0);
	assert_int_equal(jobs_waiting(((struct world *)*state)->jobs, LANE_MOVE), 2); /* in their order */
	run(*state, 2);
	assert_int_equal(later.asked, 2);
	assert_string_equal(later.text, "at last");
	assert_string_equal(after.text, "behind it");
}

static int refused(struct world *w, struct one *o, enum lane lane, const char *actor, unsigned share)
{
	char *argv[] = {"say", "x", NULL};
	struct job_spec spec = spec_of(o, lane, argv);
	struct job *j;
	spec.actor = actor;
	spec.share = share;
	spec.out = open("/dev/null", O_RDWR | O_CLOEXEC);
	int rc = job_make(&j, w->jobs, &spec, NULL);
	assert_true(rc < 0 || j);
	if (rc == 0)
		job_drop(j);
	return rc;
}

static void test_queue_and_share(void **state)
{
	struct one many[6] = {{0}}, o = {0};
	struct world *w = *state;
	start(w, &many[0], LANE_MOVE, "wait", "");
	start(w, &many[1], LANE_MOVE, "wait", "");
	assert_int_equal(refused(w, &o, LANE_MOVE, "panel", 2), -EBUSY);
	assert_int_equal(refused(w, &o, LANE_MOVE, "panel", 3), 0);
	assert_int_equal(refused(w, &o, LANE_MOVE, "other", 2), 0);
	assert_int_equal(refused(w, &o, LANE_READ, "panel", 2), 0);
	start(w, &o, LANE_READ, "say", "x");
	run(w, 1);
	assert_int_equal(jobs_running(w->jobs, LANE_MOVE), 2);
	assert_int_equal(refused(w, &o, LANE_MOVE, "panel", 2), -EBUSY); /* what runs counts, too */
	for (int i = 2; i < 6; i++)
		start(w, &many[i], LANE_MOVE, "say", "x");
	assert_int_equal(refused(w, &o, LANE_MOVE, "other", 0), -EBUSY);
	assert_false(jobs_has_room(w->jobs, LANE_MOVE, "other", 0));
	assert_int_equal(job_cancel(w->jobs, &many[5]), 0);
	assert_int_equal(many[5].exit, EXIT_REFUSED);
	assert_true(jobs_has_room(w->jobs, LANE_MOVE, "other", 0));
	for (int i = 0; i < 2; i++)
		assert_int_equal(job_cancel(w->jobs, &many[i]), 0);
	run(w, 5);
	assert_int_equal(many[0].exit, -1);
	assert_int_equal(job_cancel(w->jobs, &many[0]), -ENOENT);
}

static void test_late(void **state)
{
	struct one o = {.w = *state};
	char *argv[] = {"wait", "", NULL};
	struct job_spec spec = spec_of(&o, LANE_READ, argv);
	struct job *j;
	spec.deadline_ms = 100;
	assert_int_equal(job_make(&j, ((struct world *)*state)->jobs, &spec, NULL), 0);
	job_start(j);
	run(*state, 1);
	assert_true(o.late);
}

/* As serve is when it runs itself: argv[0] says so. */
static int child(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "", *actor = getenv("SHUNT_ACTOR");
	if (strcmp(what, "say") == 0)
		return fputs(argv[2], stdout) < 0 || fflush(stdout) != 0;
	if (strcmp(what, "actor") == 0)
		return fputs(actor ? actor : "none", stdout) < 0 || fflush(stdout) != 0;
	if (strcmp(what, "exit") == 0)
		return atoi(argv[2]);
	if (strcmp(what, "kill") == 0)
		return raise(atoi(argv[2]));
	alarm(30);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	if (strcmp(argv[0], "shunt") == 0)
		return child(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_it_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_descriptors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cannot_be_made, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_now_and_never, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_queue_and_share, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
