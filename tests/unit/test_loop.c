/* The loop: deadlines fire once, in time, not after a cancel; posts of other threads arrive in order; `later` runs after the turn. */
#include "lib/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
// cmocka wants the four above first
#include <cmocka.h>

struct timed {
	struct deadline d; /* first */
	struct loop *loop;
	uint64_t armed, fired;
	unsigned after, count;
	struct timed *cancel; /* to cancel when this fires */
	unsigned *left;
};

static void on_deadline(struct deadline *d)
{
	struct timed *t = (struct timed *)d;

	t->fired = loop_now(t->loop);
	t->count++;
	if (t->cancel)
		deadline_cancel(t->loop, &t->cancel->d);
	if (--*t->left == 0)
		loop_stop(t->loop);
}

static void arm(struct timed *t, struct loop *l, unsigned after, unsigned *left)
{
	t->loop = l;
	t->after = after;
	t->left = left;
	t->armed = loop_now(l);
	deadline_arm(l, &t->d, on_deadline, after);
}

static void fires_in_time(void **state)
{
	static const unsigned after[] = {0, 1, 49, 50, 51, 120, 333, 700};
	struct timed t[8] = {0};
	unsigned left = 8;
	struct loop *l;

	(void)state;
	assert_int_equal(loop_new(&l, NULL), 0);
	for (int i = 0; i < 8; i++)
		arm(&t[i], l, after[i], &left);
	assert_int_equal(loop_run(l), 0);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(t[i].count, 1);
		assert_true(t[i].fired - t[i].armed >= after[i]);
		assert_true(t[i].fired - t[i].armed < after[i] + 1000); /* a loaded machine may be late; never early */
	}
	loop_free(l);
}

static void moves_and_cancels(void **state)
{
	struct timed early = {0}, moved = {0}, sooner = {0}, victim = {0}, last = {0};
	unsigned left = 4;
	struct loop *l;

	(void)state;
	assert_int_equal(loop_new(&l, NULL), 0);
	arm(&early, l, 60, &left);
	arm(&moved, l, 60, &left);
	arm(&moved, l, 300, &left); /* later: a store only */
	arm(&sooner, l, 5000, &left);
	arm(&sooner, l, 100, &left); /* sooner: filed anew */
	arm(&victim, l, 60, &left);
	early.cancel = NULL;
	arm(&last, l, 400, &left);
	sooner.cancel = &victim;
	deadline_cancel(l, &victim.d);
	deadline_cancel(l, &victim.d);
	assert_int_equal(loop_run(l), 0);
	assert_int_equal(early.count + moved.count + sooner.count + last.count, 4);
	assert_int_equal(victim.count, 0);
	assert_true(moved.fired - moved.armed >= 300);
	assert_true(sooner.fired - sooner.armed < 4000);
	loop_free(l);
}

/* Two that are due in the same slot, and the one that fires first cancels the other. */
static void cancels_its_neighbour(void **state)
{
	struct timed a = {0}, b = {0};
	unsigned left = 1;
	struct loop *l;

	(void)state;
	assert_int_equal(loop_new(&l, NULL), 0);
	arm(&a, l, 20, &left);
	arm(&b, l, 20, &left);
	a.cancel = &b;
	b.cancel = &a;
	assert_int_equal(loop_run(l), 0);
	assert_int_equal(a.count + b.count, 1);
	loop_free(l);
}

struct numbered {
	struct post post; /* first */
	struct loop *loop;
	unsigned i, *seen;
};
#define POSTS 1000

static void on_post(struct post *p)
{
	struct numbered *n = (struct numbered *)p;

	assert_int_equal(n->i, *n->seen);
	if (++*n->seen == POSTS)
		loop_stop(n->loop);
}

static void *post_all(void *arg)
{
	struct numbered *n = arg;

	for (unsigned i = 0; i < POSTS; i++)
		loop_post(n[i].loop, &n[i].post);
	return NULL;
}

static void posts_arrive_in_order(void **state)
{
	struct numbered *n = calloc(POSTS, sizeof *n);
	unsigned seen = 0;
	struct loop *l;
	pthread_t t;

	(void)state;
	assert_int_equal(loop_new(&l, NULL), 0);
	for (unsigned i = 0; i < POSTS; i++)
		n[i] = (struct numbered){{.fn = on_post}, l, i, &seen};
	assert_int_equal(pthread_create(&t, NULL, post_all, n), 0);
	assert_int_equal(loop_run(l), 0);
	pthread_join(t, NULL);
	assert_int_equal(seen, POSTS);
	loop_free(l);
	free(n);
}

static void a_stop_before_the_run_counts(void **state)
{
	struct loop *l;

	(void)state;
	assert_int_equal(loop_new(&l, NULL), 0);
	loop_stop(l);
	loop_stop(l);
	assert_int_equal(loop_run(l), 0);
	loop_free(l);
}

struct item {
	struct later later; /* first */
	struct loop *loop;
	unsigned *order, mine;
};

static void on_later(struct later *self)
{
	struct item *it = (struct item *)self;

	it->mine = ++*it->order;
	if (it->mine == 2)
		loop_stop(it->loop);
}

static void later_keeps_its_order(void **state)
{
	unsigned order = 0;
	struct loop *l;
	struct item a = {.order = &order}, b = {.order = &order};

	(void)state;
	assert_int_equal(loop_new(&l, NULL), 0);
	a.loop = b.loop = l;
	a.later.fn = b.later.fn = on_later;
	loop_later(l, &a.later);
	loop_later(l, &b.later);
	assert_int_equal(order, 0);
	assert_int_equal(loop_run(l), 0);
	assert_int_equal(a.mine, 1);
	assert_int_equal(b.mine, 2);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_in_time),         cmocka_unit_test(moves_and_cancels),
		cmocka_unit_test(cancels_its_neighbour), cmocka_unit_test(posts_arrive_in_order),
		cmocka_unit_test(later_keeps_its_order), cmocka_unit_test(a_stop_before_the_run_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
