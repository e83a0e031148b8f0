/* prober_report - what the prober has seen: one JSON object, and a line per address for people. */
#include "tests/e2e/tools/prober.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const lost_name[LOST_N] = {"refused", "reset", "timeout", "unreachable", "other"};

static uint64_t lost_sum(const struct target *t)
{
	uint64_t sum = 0;
	for (int i = 0; i < LOST_N; i++)
		sum += t->lost[i];
	return sum;
}

struct longs_seen {
	unsigned opened, survived, reset, hanging, wrong;
};

static struct longs_seen longs_see(const struct prober *p, const struct target *t) /* NULL: all */
{
	struct longs_seen s = {0};
	for (unsigned i = 0; i < p->n_longs * p->n_targets; i++) {
		const struct longer *l = &p->longs[i];
		if (t && l->target != t)
			continue;
		s.opened += l->open;
		s.wrong += l->wrong;
		s.reset += l->fd < 0;
		s.hanging += long_hangs(l);
		s.survived += l->fd >= 0 && !long_hangs(l) && !l->wrong;
	}
	return s;
}

static double ms(uint64_t us)
{
	return (double)us / 1000;
}

static void print_longs(struct longs_seen s)
{
	printf("{\"opened\":%u,\"survived\":%u,\"reset\":%u,\"hanging\":%u,\"wrong\":%u", s.opened, s.survived, s.reset, s.hanging,
	       s.wrong);
}

static void print_target(const struct prober *p, const struct target *t)
{
	printf("{\"address\":\"%s\",\"attempts\":%" PRIu64 ",\"ok\":%" PRIu64 ",\"slow\":%" PRIu64 ",\"lost\":%" PRIu64, t->text,
	       t->attempts, t->ok, t->slow, lost_sum(t));
	for (int i = 0; i < LOST_N; i++)
		printf(",\"%s\":%" PRIu64, lost_name[i], t->lost[i]);
	printf(",\"interruption_ms\":%.1f,\"interruption_at_ms\":%.1f,\"slowest_ms\":%.1f,\"hosts\":[", ms(t->gap.longest), ms(t->gap.at),
	       ms(t->slowest));
	for (unsigned i = 0; i < t->n_hosts; i++)
		printf("%s{\"name\":\"%s\",\"from_ms\":%.1f,\"to_ms\":%.1f,\"count\":%" PRIu64 "}", i ? "," : "", t->host[i].name,
		       ms(t->host[i].from), ms(t->host[i].to), t->host[i].count);
	printf("],\"hosts_cut\":%" PRIu64 ",\"long\":", t->hosts_cut);
	print_longs(longs_see(p, t));
	printf(",\"stall_ms\":%.1f}", ms(t->stall));
	if (t->echo)
		printf(",\"echo\":{\"sent\":%" PRIu32 ",\"lost\":%" PRIu32 ",\"doubled\":%" PRIu32 ",\"interruption_ms\":%.1f}",
		       t->echo->sent, t->echo->sent - t->echo->replied, t->echo->doubled, ms(t->echo->gap.longest));
	putchar('}');
}

static void say_target(const struct prober *p, const struct target *t)
{
	struct longs_seen s = longs_see(p, t);
	fprintf(stderr, "%-24s %" PRIu64 " attempts, %" PRIu64 " slow, %" PRIu64 " lost, interruption %.1f ms at %.1f ms", t->text,
		t->attempts, t->slow, lost_sum(t), ms(t->gap.longest), ms(t->gap.at));
	for (unsigned i = 0; i < t->n_hosts; i++)
		fprintf(stderr, "%s%s %.1f-%.1f ms", i ? ", " : "; ", t->host[i].name, ms(t->host[i].from), ms(t->host[i].to));
	if (p->n_longs)
		fprintf(stderr, "; long: %u survived, %u reset, %u hanging, stall %.1f ms", s.survived, s.reset, s.hanging, ms(t->stall));
	if (t->echo)
		fprintf(stderr, "; echo: %" PRIu32 " of %" PRIu32 " lost, interruption %.1f ms", t->echo->sent - t->echo->replied,
			t->echo->sent, ms(t->echo->gap.longest));
	fputc('\n', stderr);
}

void report(const struct prober *p, uint64_t began_ms)
{
	uint64_t ok = 0, slow = 0, lost = 0, longest = 0, stall = 0, echoes = 0, replies = 0, echo_gap = 0;
	for (unsigned i = 0; i < p->n_targets; i++) {
		const struct target *t = &p->targets[i];
		ok += t->ok;
		slow += t->slow;
		lost += lost_sum(t);
		longest = t->gap.longest > longest ? t->gap.longest : longest;
		stall = t->stall > stall ? t->stall : stall;
		if (!t->echo)
			continue;
		echoes += t->echo->sent;
		replies += t->echo->replied;
		echo_gap = t->echo->gap.longest > echo_gap ? t->echo->gap.longest : echo_gap;
	}
	printf("{\"began_ms\":%" PRIu64 ",\"ran_ms\":%.1f,\"rate\":%u,\"late_ms\":%.1f,\"attempts\":%" PRIu64 ",\"ok\":%" PRIu64
	       ",\"slow\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"interruption_ms\":%.1f,\"long\":",
	       began_ms, ms(p->now), p->rate, ms(p->late), p->issued, ok, slow, lost, ms(longest));
	print_longs(longs_see(p, NULL));
	printf(",\"stall_ms\":%.1f},\"echo\":{\"sent\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"interruption_ms\":%.1f},\"targets\":[", ms(stall),
	       echoes, echoes - replies, ms(echo_gap));
	for (unsigned i = 0; i < p->n_targets; i++) {
		if (i)
			putchar(',');
		print_target(p, &p->targets[i]);
		say_target(p, &p->targets[i]);
	}
	printf("]}\n");
	fflush(stdout);
	fprintf(stderr,
		"in all %" PRIu64 " attempts in %.1f s, %" PRIu64 " slow, %" PRIu64
		" lost, longest interruption %.1f ms; the prober was up to %.1f ms late\n",
		p->issued, ms(p->now) / 1000, slow, lost, ms(longest), ms(p->late));
}
