#include "control/serve/settle.h"

#include "lib/exits.h"
#include "lib/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE  1000 /* lines at once */
#define PAGES 100  /* of a command on many accounts; past that it is not told */

struct settled {
	const struct operation *o;
	char by[TOKEN_NAME_MAX + 16]; /* "(token: NAME)" */
	json_t *accounts;             /* of the request; NULL: the one of the path, or all */
	json_t *moves;                /* number -> object of the answer */
	unsigned own, done, undone, open;
};

static bool is_move(const char *command)
{
	return strcmp(command, "migrate") == 0 || strcmp(command, "rollback") == 0 || strcmp(command, "relocate") == 0;
}

static bool is_asked_for(const struct settled *s, const char *account)
{
	json_t *name;
	size_t i;
	if (*s->o->account)
		return strcmp(s->o->account, account) == 0;
	json_array_foreach (s->accounts, i, name) {
		if (strcmp(json_string_value(name) ? json_string_value(name) : "", account) == 0)
			return true;
	}
	return !s->accounts;
}

/* ---- moves ---- */

static void take_move(struct settled *s, const json_t *line)
{
	char number[24], begins[40], to[16] = "";
	const char *kind = s->o->command, *what = member_text(line, "what"), *account = member_text(line, "account");
	size_t len = strlen(kind);
	snprintf(number, sizeof(number), "%lld", (long long)member_int(line, "move"));
	snprintf(begins, sizeof(begins), "%s begins: ", kind);
	json_t *move = json_object_get(s->moves, number);
	if (!move && strncmp(what, begins, strlen(begins)) == 0 && strstr(member_text(line, "who"), s->by) && is_asked_for(s, account)) {
		sscanf(what + strlen(begins), "%*15s -> %15s", to);
		json_object_set_new(s->moves, number,
				    json_pack("{s:s, s:s, s:s, s:s}", "account", account, "kind", kind, "state", "moving", "to", to));
	} else if (move && strncmp(what, kind, len) == 0 && what[len] == ' ') { /* "migrate done" */
		json_object_set_new(move, "state", json_string(what + len + 1));
	}
}

static int end_of_moves(struct settled *s, json_t *answer, const char **error)
{
	const char *number;
	json_t *move, *list = json_array();
	size_t begun = json_object_size(s->moves), asked = *s->o->account ? 1 : json_array_size(s->accounts);
	json_object_foreach (s->moves, number, move) {
		const char *state = member_text(move, "state");
		s->done += strcmp(state, "done") == 0;
		s->undone += strcmp(state, "undone") == 0;
		json_array_append(list, move);
	}
	json_object_set_new(answer, "moves", list);
	*error = "its process died in the middle of it. The next shunt command goes on with what it has begun, or shunt resume; status "
		 "tells "
		 "what is true now";
	if (begun == 0) {
		*error = "its process died before it had begun anything. Nothing changed";
		return EXIT_REFUSED;
	}
	if (s->done + s->undone < begun)
		return EXIT_STUCK;
	*error = "its process died when a part of it was done; status tells what is true now";
	if (begun != asked || (s->done && s->undone))
		return EXIT_STUCK;
	*error = s->undone ? "it failed and was undone; its process died before it could say why. shunt log has it" : NULL;
	return s->undone ? EXIT_UNDONE : EXIT_DONE;
}

/* ---- other commands ---- */

static void take_other(struct settled *s, const json_t *line)
{
	if (strstr(member_text(line, "who"), s->by) && (!*s->o->account || strcmp(member_text(line, "account"), s->o->account) == 0) &&
	    strncmp(member_text(line, "what"), "account", 7) == 0)
		s->own++;
}

static int end_of_other(const struct settled *s, const char **error)
{
	*error = "the process that did it died without an answer; status tells what is true now";
	if (strncmp(s->o->command, "account ", 8) != 0)
		return EXIT_STUCK;
	*error = s->own ? NULL : "its process died before it had changed anything";
	return s->own ? EXIT_DONE : EXIT_REFUSED;
}

/* ---- the walk ---- */

static bool walk(struct settled *s, struct journal *state)
{
	const char *account = *s->o->account ? s->o->account : NULL;
	int64_t place = s->o->trail;
	size_t n = PAGE;
	for (int page = 0; n == PAGE; page++) {
		json_t *lines, *line;
		size_t i;
		if (page == PAGES || journal_after(state, account, false, place, PAGE, &lines, NULL) < 0)
			return false;
		json_array_foreach (lines, i, line) {
			place = member_int(line, "id");
			if (is_move(s->o->command))
				take_move(s, line);
			else
				take_other(s, line);
		}
		n = json_array_size(lines);
		json_decref(lines);
	}
	return true;
}

int settle(struct journal *state, const struct operation *o, json_t **answer)
{
	json_t *request = json_loads(o->request, 0, NULL), *names = json_object_get(request, "accounts");
	struct settled s = {.o = o, .accounts = json_is_array(names) ? names : NULL, .moves = json_object()};
	const char *error = "the process that did it died without an answer, and the trail cannot be read; status tells what is true now";
	int exit = EXIT_STUCK;
	snprintf(s.by, sizeof(s.by), "(token: %s)", o->token_name);
	*answer = json_pack("{s:b}", "from-trail", 1);
	if (state && o->trail >= 0 && walk(&s, state))
		exit = is_move(o->command) ? end_of_moves(&s, *answer, &error) : end_of_other(&s, &error);
	json_object_set_new(*answer, "ok", json_boolean(exit == EXIT_DONE));
	json_object_set_new(*answer, "exit", json_integer(exit));
	if (error)
		json_object_set_new(*answer, "error", json_string(error));
	json_decref(s.moves);
	json_decref(request);
	return exit;
}
