/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_combine.c: the policy delegated, as who holds the cell sees it: a pass does this handle's
 * operations and those that others have asked for, and publishes all of them as one version.
 *
 * The results of others become a log before that version is published, and go to those who asked
 * after it: so whoever dies in between leaves a version with its log, and the one that repairs the
 * cell delivers it. A log whose version was never published is void. What has been done of a seat
 * is what its desk says, and that changes only while the cell is held, after the version; requests
 * of the dead are not done any more: so nothing is done twice.
 */
#include "cell_operation.h"
#include "cell_requests.h"
#include "copy.h"

#define DESKS_EXPECTED 4u

static struct ist_cell_log *log_of(const struct ist_cell *cell, uint64_t number)
{
	uint64_t stride =
		sizeof(struct ist_cell_log) + IST_CELL_LOG_MAX * sizeof(struct ist_cell_entry);

	return (struct ist_cell_log *)(void *)(cell->common + number % 2 * stride);
}

static struct ist_cell_entry *entries_of(struct ist_cell_log *log)
{
	return (struct ist_cell_entry *)(void *)(log + 1);
}

/* Where a seat's request of this sequence is, or would be. */
static struct ist_cell_request *request_at(const struct ist_cell *cell, uint32_t seat,
					   uint64_t sequence)
{
	struct ist_cell_request *desk = ist_cell_desk(cell, seat);

	if (IST_CELL_OPERATION_SEQUENCE(ist_load(&desk->operation)) == sequence)
		return desk;
	return desk + 1 + sequence % IST_CELL_REQUESTS;
}

/* Does a request. 0; -ENOENT there is none; -EINVAL this handle does not know the operation. */
static inline int serve(struct ist_cell *cell, uint32_t seat, uint64_t sequence, void *content,
			int64_t *value)
{
	const struct ist_cell_request *request = request_at(cell, seat, sequence);
	uint64_t operation = ist_load(&request->operation), arguments[IST_CELL_ARGUMENTS];
	ist_cell_function *function;

	if (IST_CELL_OPERATION_SEQUENCE(operation) != sequence)
		return -ENOENT;
	function = ist_cell_function_of(cell, IST_CELL_OPERATION_NUMBER(operation));
	if (!function)
		return -EINVAL;
	ist_copy_shared(arguments, request->arguments, IST_CELL_ARGUMENTS);
	*value = function(content, cell->size, arguments);
	return 0;
}

/* The result of a request of this handle, where ist_cell_collect() finds it. */
static void settle(struct ist_cell *cell, uint64_t sequence, int64_t value)
{
	struct ist_cell_result *result = cell->requests.results[sequence % IST_CELL_REQUESTS];

	/* Somebody waited for it no longer. */
	if (!result)
		return;
	result->value = value;
	result->sequence = 0;
}

int ist_cell_harvest(struct ist_cell *cell)
{
	struct ist_cell_requests *own = &cell->requests;
	/* Acquire: pairs with the release in deliver_to(). */
	uint64_t done = ist_load_acquire(&ist_cell_desk(cell, cell->seat)->done);
	int64_t value;

	if (ist_unlikely(done > own->asked))
		return ist_cell_break(cell);
	while (own->done < done) {
		own->done++;
		__builtin_memcpy(&value, &request_at(cell, cell->seat, own->done)->result,
				 sizeof(value));
		settle(cell, own->done, value);
	}
	return 0;
}

/* This handle's requests that nobody has done. */
static int do_asked(struct ist_cell *cell, void *content)
{
	struct ist_cell_requests *own = &cell->requests;
	uint64_t sequence;
	int64_t value;

	for (sequence = own->done + 1; sequence <= own->asked; sequence++) {
		/* It was checked before it was asked for. */
		if (serve(cell, cell->seat, sequence, content, &value))
			return ist_cell_break(cell);
		settle(cell, sequence, value);
	}
	if (own->done != own->asked)
		own->served = own->done = own->asked;
	return 0;
}

/* This handle's operations, in their order. */
static int do_own(struct ist_cell *cell, void *content)
{
	struct ist_cell_requests *own = &cell->requests;
	uint64_t pending;
	int error = 0;

	/* What others did of them, they have said before they let the cell go. */
	if (own->done != own->asked && ist_cell_harvest(cell))
		return cell->error;
	pending = ist_cell_pending(cell);
	if (!pending)
		return 0;
	/* Others would have left so many to this handle: so it asks nobody for the next ones. They
	   need not be submitted ones: who waited for each in vain has nowhere to keep another. */
	own->keeps = cell->results && pending > ist_cell_worth(cell);
	if (own->done != own->asked)
		error = do_asked(cell, content);
	if (!error)
		ist_cell_do_kept(cell, content);
	return error;
}

/* What a seat asks for, as far as the log has room. */
static void combine_seat(struct ist_cell *cell, uint32_t seat, void *content,
			 struct ist_cell_log *log)
{
	struct ist_cell_request *desk = ist_cell_desk(cell, seat);
	/* Acquire: pairs with the release in cell_delegate.c. */
	uint64_t asked = ist_load_acquire(&desk->asked), done = ist_load(&desk->done), pending;
	struct ist_cell_entry *entry;
	int64_t value;
	int error;

	if (asked <= done)
		return;
	/* One that died as it published its own requests has not said that they are done. After the
	   desk: who takes the seat makes its requests void before it stores its owner word. */
	if (ist_group_fate(cell->group, ist_load_acquire(&cell->all[seat].owner)) != IST_FATE_HERE)
		return;
	pending = asked - done;
	if (pending > IST_CELL_REQUESTS) /* the seat has another owner by now, or a hostile one */
		done = asked - IST_CELL_REQUESTS;
	else if (pending > ist_cell_worth(cell))
		return;
	while (done < asked && cell->requests.logged < IST_CELL_LOG_MAX) {
		error = serve(cell, seat, ++done, content, &value);
		/* Who asked for something that is not known here holds the cell itself for it. */
		if (error == -EINVAL)
			break;
		if (error)
			continue;
		entry = &entries_of(log)[cell->requests.logged++];
		ist_store_release(&entry->request, IST_CELL_ENTRY(done, seat));
		ist_store_release(&entry->result, (uint64_t)value);
	}
}

/* Some of what the others ask for: those first that had no room in the last log. */
static void combine(struct ist_cell *cell, void *content, int busy)
{
	struct ist_cell_requests *own = &cell->requests;
	uint64_t number = IST_CELL_NUMBER(cell->version) + 1, asking, before;
	struct ist_cell_log *log = log_of(cell, number);
	uint32_t seat, logged;

	asking = ist_load(&cell->memory->consumers) & ist_cell_everybody(cell) &
		 ~coh_bit(cell->seat);
	/* Who has just been answered needs its desk for itself, to see that and to ask again. */
	if (busy)
		asking &= ~own->answered;
	own->answered = 0;
	while (asking) {
		before = asking & ~(coh_bit(own->first) - 1);
		seat = (uint32_t)__builtin_ctzll(before ? before : asking);
		if (own->logged == IST_CELL_LOG_MAX) {
			own->first = seat;
			break;
		}
		logged = own->logged;
		combine_seat(cell, seat, content, log);
		if (own->logged != logged)
			own->answered |= coh_bit(seat);
		asking &= ~coh_bit(seat);
		if (before && !(asking & ~(coh_bit(seat) - 1)))
			own->first = 0;
	}
	if (!own->logged)
		return;
	ist_store_release(&log->count, own->logged);
	/* Release: who finds the version finds the log. Pairs with the acquire in deliver(). */
	ist_store_release(&log->version, number);
}

/* The desks of some that may have asked, on their way while own operations are done: results and
   `done` will be written there. */
static void expect_requests(const struct ist_cell *cell)
{
	uint64_t asking = ist_load(&cell->memory->consumers) & ist_cell_everybody(cell) &
			  ~coh_bit(cell->seat) & ~cell->requests.answered;
	unsigned i;

	for (i = 0; i < DESKS_EXPECTED && asking; i++, asking &= asking - 1)
		ist_prefetch_write(ist_cell_desk(cell, (uint32_t)__builtin_ctzll(asking)));
}

int ist_cell_pass(struct ist_cell *cell, struct ist_cell_operation *own)
{
	void *content;
	int error = ist_cell_begin_held(cell, 0, 0, &content);

	if (error)
		return error;
	cell->tells = 1;
	expect_requests(cell);
	error = do_own(cell, content);
	if (error)
		return error;
	if (own)
		own->value = own->function(content, cell->size, own->arguments);
	combine(cell, content, own != NULL);
	return ist_cell_end_held(cell);
}

/* The entries from `i` on that are one seat's: results, then `done`. How many they were. */
static uint32_t deliver_to(struct ist_cell *cell, struct ist_cell_entry *entries, uint32_t i,
			   uint32_t count)
{
	uint64_t request = ist_load(&entries[i].request), sequence = 0;
	uint32_t seat = IST_CELL_ENTRY_SEAT(request), n;
	struct ist_cell_request *desk;

	if (seat >= cell->seats)
		return 1;
	desk = ist_cell_desk(cell, seat);
	for (n = 0; i + n < count; n++) {
		request = ist_load(&entries[i + n].request);
		if (IST_CELL_ENTRY_SEAT(request) != seat)
			break;
		sequence = IST_CELL_ENTRY_SEQUENCE(request);
		/* One that died may have been here before. */
		if (sequence > ist_load(&desk->done))
			ist_store_release(&request_at(cell, seat, sequence)->result,
					  ist_load(&entries[i + n].result));
	}
	/* Release: pairs with the acquire in ist_cell_harvest(). */
	if (sequence > ist_load(&desk->done))
		ist_store_release(&desk->done, sequence);
	return n;
}

static void deliver(struct ist_cell *cell, struct ist_cell_log *log)
{
	uint64_t count = ist_load(&log->count), seats = 0;
	struct ist_cell_entry *entries = entries_of(log);
	uint32_t i = 0;

	if (count > IST_CELL_LOG_MAX)
		return;
	while (i < count) {
		seats |= coh_bit(IST_CELL_ENTRY_SEAT(ist_load(&entries[i].request)));
		i += deliver_to(cell, entries, i, (uint32_t)count);
	}
	/* No fence: cell_wait.c. */
	ist_cell_wake_seats(cell, &cell->memory->waiters, seats & ist_cell_everybody(cell));
}

void ist_cell_deliver(struct ist_cell *cell, uint64_t number, const uint64_t *content)
{
	struct ist_cell_requests *own = &cell->requests;
	struct ist_cell_log *log;

	(void)content;
	if (cell->section != IST_SECTION_WRITE) {
		/* In the place of one that is gone. What it had not published is void. */
		log = log_of(cell, number + 1);
		if (ist_load_acquire(&log->version) == number + 1)
			ist_store_release(&log->version, 0);
		if (number && ist_load_acquire(&log_of(cell, number)->version) == number)
			deliver(cell, log_of(cell, number));
		return;
	}
	if (own->served)
		ist_store_release(&ist_cell_desk(cell, cell->seat)->done, own->served);
	if (own->logged)
		deliver(cell, log_of(cell, number));
	own->served = 0;
	own->logged = 0;
	cell->tells = 0;
}
