#include "tests/unit/move_world.h"

#include "control/db.h"
#include "tests/unit/accounts.h"
#include "tests/unit/place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const hook_names[] = {"prepare", "copy", "seal", "verify"};

static void write_hook(struct world *w, int i)
{
	assert_true(asprintf(&w->hook[i], "%s/%s", w->dir, hook_names[i]) > 0);
	FILE *f = fopen(w->hook[i], "w");
	fprintf(f,
		"#!/bin/sh\necho \"$SHUNT_HOOK:$SHUNT_PHASE:$SHUNT_ACCOUNT:$SHUNT_FROM:$SHUNT_TO\" >>%s/ran\n"
		"echo 'progress 50%%'\necho working\n"
		"if [ -e %s/fail-$SHUNT_HOOK-$SHUNT_PHASE ]; then echo 'out of luck' >&2; exit 7; fi\n",
		w->dir, w->dir);
	fclose(f);
	chmod(w->hook[i], 0755);
}

void touch(struct world *w, const char *name)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	fclose(fopen(path, "w"));
}

void forget(struct world *w, const char *name)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	unlink(path);
}

bool ran(struct world *w, const char *what)
{
	char path[160], line[200];
	bool found = false;
	snprintf(path, sizeof(path), "%s/ran", w->dir);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		found = found || strncmp(line, what, strlen(what)) == 0;
	if (f)
		fclose(f);
	return found;
}

struct journal *open_db(struct world *w)
{
	return accounts_open(w->state, &w->who);
}

int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	place_make(w->dir, "shunt-move");
	snprintf(w->state, sizeof(w->state), "%s/shunt.db", w->dir);
	for (int i = 0; i < 4; i++)
		write_hook(w, i);
	w->conf = (struct conf_control){.present = true,
					.hook_prepare = w->hook[0],
					.hook_copy = w->hook[1],
					.hook_seal = w->hook[2],
					.hook_verify = w->hook[3],
					.hook_timeout = 60,
					.parallel = 4,
					.rollback_days = 7};
	w->proxy = fake_new();
	fake_add(w->proxy, "alice", SIDE_CLIENT);
	who_am_i(&w->who);
	struct journal *j = open_db(w);
	accounts_put_named(j, "alice", SIDE_CLIENT);
	journal_close(j);
	*state = w;
	return 0;
}

int teardown(void **state)
{
	struct world *w = *state;
	place_remove(w->dir);
	fake_free(w->proxy);
	if (w->dns)
		fake_dnsupdate_free(w->dns);
	for (int i = 0; i < 4; i++)
		free(w->hook[i]);
	free(w);
	return 0;
}

static void fill_disk(struct journal *j)
{
	assert_int_equal(sqlite3_exec(j->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL), SQLITE_OK); /* sticks at what it has */
	/* use up what is free in the pages there are */
	while (sqlite3_exec(j->db, "INSERT INTO marks(name, at) VALUES (hex(randomblob(200)), 1)", NULL, NULL, NULL) == SQLITE_OK)
		;
	while (sqlite3_exec(j->db, "INSERT INTO journal(at, who, what) VALUES (1, 'w', 'fill')", NULL, NULL, NULL) == SQLITE_OK)
		;
}

static void on_point(void *arg, const char *step, const char *when)
{
	struct world *w = arg;
	if (w->crash_step && strcmp(step, w->crash_step) == 0 && strcmp(when, w->crash_when) == 0)
		_exit(99);
	if (w->full_step && strcmp(step, w->full_step) == 0 && strcmp(when, w->full_when) == 0)
		fill_disk(w->db);
	if (w->room_step && strcmp(step, w->room_step) == 0 && strcmp(when, "after") == 0)
		assert_int_equal(sqlite3_exec(w->db->db, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL), SQLITE_OK);
}

static void on_homeward(void *arg)
{
	struct world *w = arg;
	snprintf(w->homeward, sizeof(w->homeward), "%.90s.", w->proxy->p.calls);
}

enum exit_code controller(struct world *w, enum side to, bool resume, enum move_state *state, struct err *err)
{
	struct progress progress;
	struct move_rows open;
	struct account_row account;
	struct move_row row = {.from = (enum side) !to, .to = to, .drain = 1, .kind = "migrate"};
	struct move m;
	enum exit_code x = EXIT_DONE;

	row.no_dns = w->no_dns;
	if (w->price)
		row.evidence = json_pack("{s:o}", "price", json_loads(w->price, 0, NULL));
	if (w->kind)
		strcpy(row.kind, w->kind);
	progress_init(&progress, false, false);
	w->db = open_db(w);
	struct proxylink *link = fake_link(w->proxy);
	struct netctllink *netctl = w->netctl ? fake_netctl_link(w->netctl) : NULL;
	struct dnslink *dns = w->dns ? fake_dnsupdate_link(w->dns) : NULL;
	int cancel_fd = w->cancelled ? eventfd(1, EFD_CLOEXEC) : -1;
	struct mover with = {.db = w->db,
			     .proxy = link,
			     .netctl = netctl,
			     .dns = dns,
			     .dns_wait = 3,
			     .conf = &w->conf,
			     .progress = &progress,
			     .homeward = on_homeward,
			     .cancel_fd = cancel_fd,
			     .force = w->force,
			     .at = on_point,
			     .arg = w};
	if (resume) {
		assert_int_equal(journal_moves_open(w->db, "alice", &open, err), 0);
		for (size_t i = 0; i < open.n; i++) {
			move_init(&m, &with, &open.rows[i]);
			x = move_resume(&m, err);
			*state = m.row.state;
			move_done(&m);
		}
		move_rows_done(&open);
	} else {
		assert_int_equal(journal_account(w->db, "alice", &account, err), 0);
		row.account_id = account.id;
		strcpy(row.account, "alice");
		account_row_done(&account);
		move_init(&m, &with, &row);
		x = move_run(&m, err);
		*state = m.row.state;
		move_done(&m);
	}
	proxylink_close(link);
	netctllink_close(netctl);
	dnslink_close(dns);
	journal_close(w->db);
	w->db = NULL;
	if (cancel_fd >= 0)
		close(cancel_fd);
	return x;
}

enum exit_code run(struct world *w, bool resume, enum move_state *state)
{
	struct err err = {0};
	return controller(w, SIDE_TRANSIT, resume, state, &err);
}

int run_child(struct world *w, bool resume)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		enum move_state state;
		_exit((int)run(w, resume, &state));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void assert_settled(struct world *w, enum side side)
{
	struct err err = {0};
	struct account_row account;
	struct move_rows open;
	struct journal *j = open_db(w);
	assert_int_equal(fake_account(w->proxy, "alice")->side, side);
	assert_int_equal(fake_account(w->proxy, "alice")->gate, GATE_OPEN);
	assert_int_equal(journal_account(j, "alice", &account, &err), 0);
	assert_int_equal(account.def.side, side);
	account_row_done(&account);
	assert_int_equal(journal_moves_open(j, NULL, &open, &err), 0);
	assert_int_equal(open.n, 0);
	move_rows_done(&open);
	journal_close(j);
}

void undone(struct world *w, char *out, size_t cap)
{
	struct err err = {0};
	struct journal *j = open_db(w);
	json_t *list, *e;
	size_t i;
	*out = '\0';
	assert_int_equal(journal_log(j, "alice", 0, &list, &err), 0);
	json_array_foreach (list, i, e) {
		const char *what = json_string_value(json_object_get(e, "what"));
		if (strncmp(what, "undo: ", 6) == 0)
			snprintf(out + strlen(out), cap - strlen(out), "%s ", what + 6);
	}
	json_decref(list);
	journal_close(j);
}
