/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_kept.c: the policy delegated: doing what this handle has kept back. */
#include "cell_operation.h"
#include "cell_requests.h"

static inline int adds_to(const struct ist_cell_result *kept, uint64_t offset)
{
	return kept && kept->sequence == IST_CELL_KEPT + IST_OPERATION_ADD &&
	       kept->arguments[0] == offset;
}

/*
 * From `ticket` on, which `kept` is: additions to one word, a counter. One by one each would wait
 * for the store of the one before; so the word is in a register all the while. The ticket behind
 * the last of them.
 */
static uint64_t do_additions(struct ist_cell *cell, struct ist_cell_result *kept, void *content,
			     uint64_t ticket)
{
	uint64_t last = cell->ticket, offset = kept->arguments[0], sum;
	void *word = ist_cell_word_at(content, cell->size, offset);

	if (ist_unlikely(!word)) {
		kept->value = -EINVAL;
		kept->sequence = 0;
		return ticket + 1;
	}
	__builtin_memcpy(&sum, word, sizeof(sum));
	do {
		kept->value = ist_cell_result_of(sum);
		kept->sequence = 0;
		sum += kept->arguments[1];
		kept = ++ticket <= last ? ist_cell_kept_at(cell, ticket) : NULL;
	} while (adds_to(kept, offset));
	__builtin_memcpy(word, &sum, sizeof(sum));
	return ticket;
}

/* Any operation. It was known when it was kept; who defines it anew meanwhile is told if it is not
   any more. */
static void do_one(struct ist_cell *cell, struct ist_cell_result *kept, void *content)
{
	ist_cell_function *function =
		ist_cell_function_of(cell, (uint32_t)(kept->sequence - IST_CELL_KEPT));

	kept->value =
		ist_likely(function) ? function(content, cell->size, kept->arguments) : -EINVAL;
	kept->sequence = 0;
}

void ist_cell_do_kept(struct ist_cell *cell, void *content)
{
	uint64_t ticket = cell->requests.asks + 1, last = cell->ticket;
	struct ist_cell_result *kept;

	while (ticket <= last) {
		kept = ist_cell_kept_at(cell, ticket);
		if (kept && kept->sequence == IST_CELL_KEPT + IST_OPERATION_ADD) {
			ticket = do_additions(cell, kept, content, ticket);
			continue;
		}
		if (kept)
			do_one(cell, kept, content);
		ticket++;
	}
	ist_cell_kept_none(cell);
}
