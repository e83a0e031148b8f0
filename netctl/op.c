#include "netctl/op.h"

#include "lib/member.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct op_kind *const kinds[] = {&op_addr,   &op_route,    &op_rule,      &op_local_rule, &op_neigh, &op_link,   &op_nft_table,
					      &op_sysctl, &op_announce, &op_duplicate, &op_reset,      &op_peer,  &op_settle, &op_probe};

const char *op_string(const json_t *op, const char *member)
{
	return json_string_value(json_object_get(op, member));
}

bool op_absent(const json_t *op)
{
	const char *state = op_string(op, "state");

	return state && strcmp(state, "absent") == 0;
}

int op_need(const json_t *op, const char *member, const char **out, struct err *err)
{
	*out = op_string(op, member);
	if (*out)
		return 0;
	return err_set(err, -EINVAL, "op \"%s\": found no text \"%s\"", member_text_or(op, "op", "?"), member);
}

static const struct op_kind *find(const json_t *op)
{
	const char *name = op_string(op, "op");

	for (size_t i = 0; name && i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(kinds[i]->name, name) == 0)
			return kinds[i];
	return NULL;
}

/* Also what a journal of another version may hold. */
static int unknown(const json_t *op, struct err *err)
{
	return err_set(err, -EINVAL, "found an op \"%.40s\", which this version does not know", member_text(op, "op"));
}

/* What plans say about their ops (plan.h) is not the kind's business. */
static json_t *bare_op(json_t *op)
{
	json_t *bare = json_copy(op);

	json_object_del(bare, "undo");
	return bare;
}

int op_check(json_t *op, struct err *err)
{
	const struct op_kind *k = find(op);
	const char *name = op_string(op, "op"), *state = op_string(op, "state");
	json_t *bare;
	int rc;

	if (!k)
		return unknown(op, err);
	if (state && strcmp(state, "present") != 0 && strcmp(state, "absent") != 0)
		return err_set(err, -EINVAL, "op \"%s\": found state \"%.40s\", expected present or absent", name, state);
	bare = bare_op(op);
	rc = bare ? k->check(bare, err) : err_set(err, -ENOMEM, "out of memory");
	json_decref(bare);
	return rc;
}

int op_undo(struct world *w, json_t *op, json_t *undo, struct err *err)
{
	const struct op_kind *k = find(op);
	char text[OP_TEXT_MAX];
	json_t *bare;
	int rc;

	if (!k)
		return unknown(op, err);
	if (!k->undo)
		return 0;
	bare = bare_op(op);
	rc = bare ? k->undo(w, bare, undo, err) : err_set(err, -ENOMEM, "out of memory");
	json_decref(bare);
	return rc == 0 ? 0 : err_wrap(err, "what undoes \"%s\"", op_text(op, text));
}

static int with_bare(int (*fn)(struct world *w, json_t *op, struct err *err), struct world *w, json_t *op, struct err *err)
{
	json_t *bare = bare_op(op);
	int rc = bare ? fn(w, bare, err) : err_set(err, -ENOMEM, "out of memory");

	json_object_update(op, bare); /* what it has to say, anew */
	json_decref(bare);
	return rc;
}

int op_apply(struct world *w, json_t *op, struct err *err)
{
	const struct op_kind *k = find(op);
	char text[OP_TEXT_MAX];

	if (!k)
		return unknown(op, err);
	return with_bare(k->apply, w, op, err) == 0 ? 0 : err_wrap(err, "%s", op_text(op, text));
}

int op_verify(struct world *w, json_t *op, struct err *err)
{
	const struct op_kind *k = find(op);
	char text[OP_TEXT_MAX];

	if (!k)
		return unknown(op, err);
	if (!k->verify || with_bare(k->verify, w, op, err) == 0)
		return 0;
	return err_wrap(err, "after \"%s\"", op_text(op, text));
}

char *op_text(json_t *op, char out[OP_TEXT_MAX])
{
	const struct op_kind *k = find(op);

	*out = '\0';
	if (k)
		k->text(op, out, OP_TEXT_MAX);
	return out;
}
