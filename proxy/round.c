#include "proxy/round.h"

#include "proxy/proxy.h"

void round_open(struct round *r, struct proxy *p, struct account *a, enum side side, size_t at_once, const struct round_ops *ops)
{
	*r = (struct round){.proxy = p, .account = account_ref(a), .side = side, .ops = ops, .at_once = at_once};
	r->next = p->rounds;
	r->link = &p->rounds;
	if (r->next)
		r->next->link = &r->next;
	p->rounds = r;
}

/* A question that is over at once comes back here, so only the outermost goes on; it also tells. */
void round_begin(struct round *r)
{
	if (r->beginning)
		return;
	r->beginning = true;
	while (r->next_up < r->n && r->running < r->at_once) {
		r->running++;
		r->ops->begin(r, r->next_up++);
	}
	r->beginning = false;
	if (r->running == 0)
		r->ops->tell(r, false);
}

void round_over(struct round *r)
{
	r->running--;
	round_begin(r);
}

void round_close(struct round *r)
{
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	account_unref(r->account);
}

void rounds_end(struct proxy *p, const struct account *a, enum side side)
{
	for (struct round *r = p->rounds, *next; r; r = next) {
		next = r->next;
		if (!a || (r->account == a && r->side == side))
			r->ops->tell(r, true);
	}
}
