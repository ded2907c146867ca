/* SPDX-License-Identifier: BSD-2-Clause */
/* coherence_outcome.c: what the first instance makes of all reports: sums, percentiles, a line. */
#include "coherence.h"

/* Of all instances' samples together. Returns the longest. */
static double merge(struct bench *b, unsigned kind, struct summary *out)
{
	double ns = ns_per_tick();
	unsigned count = 0;

	for (unsigned i = 0; i < b->site.count; i++) {
		const struct report *r = &b->shared->report[i];
		unsigned n = kind == 0 ? r->handovers : r->waits;

		for (unsigned j = 0; j < n && j < SAMPLES_EACH; j++)
			samples[count++] = b->shared->samples[kind][i][j];
	}
	sort(samples, count);
	*out = (struct summary){
		.n = count,
		.min = percentile(samples, count, 0) * ns,
		.p50 = percentile(samples, count, 500) * ns,
		.p99 = percentile(samples, count, 990) * ns,
		.p999 = percentile(samples, count, 999) * ns,
	};
	return percentile(samples, count, 1000) * ns;
}

void outcome_make(struct bench *b, struct outcome *out)
{
	uint64_t start = UINT64_MAX, end = b->shared->stopped.value, least = UINT64_MAX, most = 0;

	for (unsigned i = 0; i < b->site.count; i++) {
		const struct report *r = &b->shared->report[i];

		out->ops += r->ops;
		out->torn += r->torn;
		out->exits = r->exits < 0 ? -1 : out->exits + r->exits;
		start = r->start < start ? r->start : start;
		if (b->load->needs == NEED_ALONE && i == 0)
			end = r->end;
		if (i < b->load->first)
			continue;
		least = r->ops < least ? r->ops : least;
		most = r->ops > most ? r->ops : most;
	}
	out->ns = (double)(end - start) * ns_per_tick();
	out->fair = most == 0 ? 0 : (double)least / (double)most;
	out->max = merge(b, 0, &out->handover);
	merge(b, 1, &out->wait);
	if (b->load->needs == NEED_ALONE) {
		out->handover = b->alone;
		out->fair = 1;
	}
	out->wrong = b->load->check(b);
}

void outcome_print(const struct bench *b, const struct outcome *o, double before, double after)
{
	const struct summary *h = &o->handover, *w = &o->wait;

	ist_print("run case=%s/%s unit=%s n=%llu rate=%.4f min=%.2f p50=%.2f p99=%.2f p999=%.2f "
		  "max=%.2f samples=%llu wait50=%.2f wait99=%.2f wait999=%.2f fair=%.4f "
		  "ns=%.0f exits=%lld torn=%llu wrong=%llu before=%.1f after=%.1f\n",
		  b->load->name, b->by->name, b->load->unit, (unsigned long long)o->ops,
		  o->ns > 0 ? (double)o->ops * 1000 / o->ns : 0, h->min, h->p50, h->p99, h->p999,
		  o->max, (unsigned long long)h->n, w->p50, w->p99, w->p999, o->fair, o->ns,
		  (long long)o->exits, (unsigned long long)o->torn, (unsigned long long)o->wrong,
		  before, after);
}
