/* serve: puts its parts together, and runs until it is told to end. SIGTERM: no new requests, the answers that are due, and then the end;
 * commands that change something go on by themselves, and the next serve takes them up. SIGHUP: certificate and key are read again. */
#include "control/app.h"
#include "control/panel/panel.h"
#include "control/serve/serve.h"
#include "lib/log.h"
#include "lib/notify.h"

#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define READS        8 /* commands at once that only look */
#define CHANGES      8 /* that change something but accounts' sides; moves are bounded by `parallel` */
#define CHECKS       2 /* of very many accounts, maybe */
#define READ_QUEUE   128
#define MOVE_QUEUE   1000
#define CHANGE_QUEUE 64
#define CHECK_QUEUE  64
#define STRANGERS_S  0.2 /* requests without a good token, of one address, per second */
#define STRANGERS    20
#define TIDY_MS      600000
#define DRAIN_MS     8000

/* ---- the state database ---- */

/* Only looked at, and never for long: what changes it are commands. */
struct journal *state_now(struct server *s)
{
	struct stat st = {0};
	struct err err = {0};
	if (stat(app_state_path(s->app), &st) < 0)
		st.st_ino = 0;
	if (s->state && s->state_ino == st.st_ino && s->state_dev == st.st_dev)
		return s->state;
	journal_close(s->state);
	s->state = NULL;
	if (st.st_ino == 0 || journal_open(&s->state, app_state_path(s->app), JOURNAL_READ | JOURNAL_QUICK, &s->app->who, &err) < 0)
		return NULL;
	sqlite3_busy_timeout(s->state->db, 1000);
	s->state_ino = st.st_ino;
	s->state_dev = st.st_dev;
	return s->state;
}

/* ---- life ---- */

static void on_tidy(struct deadline *d)
{
	struct server *s = (struct server *)(void *)((char *)d - offsetof(struct server, tidy));
	struct err err = {0};
	if (operation_forget(&s->store, now_ms(), &err) < 0)
		log_warn("reason=%s", LOG_QUOTED(err.text, strlen(err.text)));
	deadline_arm(s->loop, d, on_tidy, TIDY_MS);
}

/* A stream that has ended needs a moment to say so. */
struct drain {
	struct deadline deadline;
	struct server *s;
	uint64_t until;
};
static struct drain *drain_of(struct deadline *d)
{
	return (struct drain *)(void *)d;
}

static void on_drain(struct deadline *d)
{
	struct drain *drain = drain_of(d);
	struct server *s = drain->s;
	bool reads = jobs_running(s->jobs, LANE_READ) || jobs_waiting(s->jobs, LANE_READ);
	if (reads && loop_now(s->loop) < drain->until)
		deadline_arm(s->loop, d, on_drain, 100);
	else
		loop_stop(s->loop);
}

static void on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct server *s = arg;
	struct err err = {0};
	(void)sig;
	(void)what;
	if (web_reload(s->web, &err) < 0)
		log_error("reason=%s", LOG_QUOTED(err.text, strlen(err.text)));
	else
		log_info("reason=\"certificate and key were read again\"");
}

static void on_term(evutil_socket_t sig, short what, void *arg)
{
	struct server *s = ((struct drain *)arg)->s;
	(void)sig;
	(void)what;
	if (s->draining) {
		loop_stop(s->loop);
		return;
	}
	notify("STOPPING=1");
	s->draining = true;
	web_pause(s->web);
	jobs_pause(s->jobs);
	operate_let_go(s);
	((struct drain *)arg)->until = loop_now(s->loop) + DRAIN_MS;
	deadline_arm(s->loop, &((struct drain *)arg)->deadline, on_drain, 600);
}

static void run(struct server *s)
{
	struct event sigs[3];
	struct drain drain = {.s = s};
	event_assign(&sigs[0], loop_base(s->loop), SIGTERM, EV_SIGNAL | EV_PERSIST, on_term, &drain);
	event_assign(&sigs[1], loop_base(s->loop), SIGINT, EV_SIGNAL | EV_PERSIST, on_term, &drain);
	event_assign(&sigs[2], loop_base(s->loop), SIGHUP, EV_SIGNAL | EV_PERSIST, on_hup, s);
	for (size_t i = 0; i < 3; i++)
		event_add(&sigs[i], NULL);
	on_tidy(&s->tidy);
	log_info("listen=%s state=%s reason=\"ready\"", web_address(s->web), s->store.path);
	notify("READY=1");
	loop_run(s->loop);
	for (size_t i = 0; i < 3; i++)
		event_del(&sigs[i]);
	deadline_cancel(s->loop, &drain.deadline);
}

static int open_all(struct server *s, struct err *err)
{
	const struct conf_serve *c = &s->app->conf->serve;
	int limits[N_LANES] = {
		[LANE_READ] = READS, [LANE_MOVE] = s->app->conf->control.parallel, [LANE_CHANGE] = CHANGES, [LANE_CHECK] = CHECKS};
	static const int queues[N_LANES] = {
		[LANE_READ] = READ_QUEUE, [LANE_MOVE] = MOVE_QUEUE, [LANE_CHANGE] = CHANGE_QUEUE, [LANE_CHECK] = CHECK_QUEUE};
	limit_init(&s->by_token, c->rate, 2.0 * c->rate);
	limit_init(&s->changes, c->changes / 60.0, c->changes);
	limit_init(&s->strangers, STRANGERS_S, STRANGERS);
	int rc = openapi_make(&s->openapi, PACKAGE_VERSION, err);
	if (rc == 0)
		rc = store_open(&s->store, c->state, err);
	if (rc == 0)
		rc = store_lock(&s->store, err);
	if (rc == 0)
		rc = loop_new(&s->loop, err);
	if (rc == 0)
		rc = jobs_new(&s->jobs, s->loop, limits, queues, err);
	if (rc == 0)
		rc = events_new(&s->events, s, err);
	if (rc == 0)
		rc = web_open(&s->web, s->loop, c, &web_limits_usual, api_request, s, err);
	return rc == 0 ? operate_recover(s, err) : rc;
}

static void close_all(struct server *s)
{
	if (s->loop)
		deadline_cancel(s->loop, &s->tidy);
	events_free(s->events);
	jobs_free(s->jobs);
	operate_end(s);
	web_close(s->web);
	if (s->loop)
		loop_free(s->loop);
	journal_close(s->state);
	store_close(&s->store);
	openapi_done(&s->openapi);
}

enum exit_code cmd_serve(struct app *a, char **words, int n, struct err *err)
{
	struct server *s = calloc(1, sizeof(*s)); /* its limits are large */
	(void)words;
	(void)n;
	if (!s) {
		err_set(err, -ENOMEM, "out of memory");
		return EXIT_REFUSED;
	}
	s->app = a;
	s->other = panel_request;
	log_level(LEVEL_INFO);
	int rc = open_all(s, err);
	if (rc == 0)
		run(s);
	close_all(s);
	free(s);
	return exit_of(rc);
}
