#pragma once
/* op_net - what the kinds of op that go through nl.h share (op_addr.c, op_route.c, op_rule.c, op_neigh.c, op_link.c). Nobody else includes
 * it. "found" is an object as nl_find() tells it, "canon" an op as nl_canon() writes it: what is equal is equal as JSON. */
#include "netctl/nl.h"
#include "netctl/op.h"

#include <stdbool.h>

/* The command line: words are put at the end of what is there. */
void op_say(char *out, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* " WORD VALUE" for a text or a number, " WORD" for true; nothing where the op has no such member. */
void op_say_member(char *out, size_t cap, const json_t *op, const char *member, const char *word);
bool op_is_v6(const json_t *op); /* by its family, address or dst */

/* Returns new: those members of op (NULL at the end) that it has, with their values; NULL when memory is out. */
json_t *op_pick(const json_t *op, const char *const members[]);
/* Is what is found the same as canon? The protocol counts only where the op itself named it; `also` (NULL: none) counts never. */
bool op_alike(const json_t *found, const json_t *canon, const json_t *op, const char *const also[]);
bool op_counts(const char *member, const json_t *op, const char *const also[]); /* for op_alike() */
bool op_same_member(const json_t *a, const json_t *b, const char *member);      /* equal, or in neither */

/* Appends a copy of obj as an op with that state, and, where it is not NULL, "place". */
int op_append(json_t *ops, const json_t *obj, const char *state, const char *place, struct err *err);
/* Looks for what is like obj in the members `by`. */
int op_find(struct world *w, enum nl_kind kind, const json_t *obj, const char *const by[], json_t **found /* returns new */,
	    struct err *err);
/* -ENOENT, with what was found instead. */
int op_differs(const json_t *found, struct err *err);

/* What goes when addresses or the link itself go from dev, as ops that bring it back. */
int op_keep_routes(struct world *w, const json_t *addr, json_t *undo, struct err *err);
int op_keep_all(struct world *w, const char *dev, json_t *undo, struct err *err);
int op_keep_addr(const json_t *found, json_t *undo, struct err *err);
