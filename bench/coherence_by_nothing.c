/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_by_nothing.c: no lock. `plain`: loads and stores, which is right where nobody else
 * writes the same word. `private`: everybody has a copy in lines of its own; what sharing could
 * cost at least, and the copies' sum is what the record would be. `atomic`: one word, locked
 * instructions.
 */
#include "coherence.h"

static inline int plain_apply(struct object *o, unsigned op, uint64_t argument, uint64_t *result)
{
	*result = operate(o->data, o->words, op, argument);
	return 0;
}

static int plain_read(struct object *o, uint64_t *copy)
{
	copy_words(copy, o->data, o->words);
	return 0;
}

const struct strategy by_plain = {
	.name = "plain",
	.can = NEED_OWN | NEED_ALONE,
	.apply = plain_apply,
	.read = plain_read,
};

static uint64_t *private_copy(struct object *o, unsigned instance)
{
	return (uint64_t *)(void *)((uint8_t *)o->data + instance * o->copy);
}

static int private_find(struct object *o)
{
	o->own = private_copy(o, o->site->me);
	return 0;
}

static int private_attach(struct object *o)
{
	o->find_own = private_find;
	return 0;
}

static int private_read(struct object *o, uint64_t *copy)
{
	copy_words(copy, private_copy(o, o->site->me), o->words);
	return 0;
}

static void private_settle(struct object *o, uint64_t *words)
{
	for (unsigned i = 0; i < o->words; i++) {
		words[i] = 0;
		for (unsigned j = 0; j < o->site->count; j++)
			words[i] += word_get(private_copy(o, j) + i);
	}
}

const struct strategy by_private = {
	.name = "private",
	.can = NEED_OWN | NEED_COUNTER | NEED_RECORD,
	.copies = 1,
	.attach = private_attach,
	.apply = own_apply,
	.read = private_read,
	.settle = private_settle,
};

static int atomic_apply(struct object *o, unsigned op, uint64_t argument, uint64_t *result)
{
	*result = __atomic_fetch_add(o->data + (op == OP_OWN ? argument : 0),
				     op == OP_OWN ? 1 : argument, __ATOMIC_SEQ_CST);
	return 0;
}

const struct strategy by_atomic = {
	.name = "atomic",
	.can = NEED_OWN | NEED_COUNTER,
	.apply = atomic_apply,
	.read = plain_read,
};
