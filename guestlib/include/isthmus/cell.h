/* SPDX-License-Identifier: BSD-2-Clause */
/* cell.h: a record that several instances read, write and operate on, one version at a time. */
#ifndef ISTHMUS_CELL_H
#define ISTHMUS_CELL_H

#include <isthmus/types.h>

IST_BEGIN_DECLS

/*
 * A cell is found by name; whoever opens it first makes it, all zeros, version 0. It has a size and
 * a policy, which says how instances share it. What every policy keeps:
 *
 * - A section sees and makes versions: whole contents, published one after the other, numbered from
 *   1 on. What is stored in a write section is seen by nobody before its end.
 * - Whoever dies in a write section has published nothing: the version before it stays, whole. Who
 *   dies while it ends has published all of it, or nothing. Who then finds the cell repairs it, and
 *   is told once: -EOWNERDEAD, and nothing else was done; the next call goes on.
 * - Whoever is stopped in a write section is waited for by others that want to write, up to their
 *   timeouts. Nobody else waits for it, but for policies that say so.
 *
 * Threads: one thread at a time may use one handle; several handles of one cell are independent.
 * Calls return, beside what each says:
 *   -ETIMEDOUT   others held the cell for so long
 *   -EOWNERDEAD  as above
 *   -EPROTO      a peer wrote what no correct peer writes. The cell is broken for all: close it;
 * once nobody has it open, the next open starts it afresh, all zeros -ENODEV      in a Linux guest:
 * the device was taken away; close everything Peers that may write the region could write anything
 * into a cell: share one with those whose content you would believe.
 */

struct ist_cell;

/*
 * How a cell is shared. Linearizable: the calls on one cell take effect one after the other, each
 * at one instant. Between cells calls are ordered as acquire and release order them: a read may
 * come before the instance's own write of another cell is seen by all, as its store may still be on
 * its way; a sequentially consistent fence between the two prevents that.
 */
enum ist_policy {
	/* The default: watches who does what, and is IST_READ_MOSTLY, IST_MIGRATORY or
	   IST_DELEGATED, whichever fits what was seen lately; ist_cell_info() says which. It is
	   none of the others, which promise less. Linearizable. */
	IST_ADAPTIVE,
	/* For a record read far more often than written. Linearizable. Readers write nothing that
	   is shared and wait for nobody, dead, stopped or busy. */
	IST_READ_MOSTLY,
	/* For a record that one instance after the other reads and writes. Linearizable. Readers as
	   above; one that is usually followed by a write of its own fetches the line for writing.
	 */
	IST_MIGRATORY,
	/* For the latest of something. Every version is pushed into each consumer's own lines, and
	   it looks nowhere else. Each consumer sees versions in order; it may see one a moment
	   after another consumer did, but before the write that made it returns. */
	IST_PRODUCER_CONSUMER,
	/* For a record of which each instance writes its own part. A write section is in a private
	   copy, at the speed of private memory, beside those of others; at its end what it changed
	   is merged into the latest version. Release-consistent: a section sees what was merged
	   before it began, and not what others do meanwhile. */
	IST_WRITE_SHARED,
	/* For a record under heavy contention: operations are shipped to whoever holds it, and done
	   in batches. Linearizable. */
	IST_DELEGATED,
};

/*
 * How IST_WRITE_SHARED merges a 64-bit word that a section has changed from `was` to `is`. All but
 * the first are for sizes that are a multiple of 8. A word that is what it was is not merged.
 */
enum ist_merge {
	IST_MERGE_REPLACE,  /* the bytes that differ become those of `is`: the last one wins */
	IST_MERGE_SUM,      /* is - was is added */
	IST_MERGE_MIN,      /* the lesser of it and `is`, unsigned */
	IST_MERGE_MAX,      /* the greater, unsigned */
	IST_MERGE_OR,       /* the bits of `is` are set */
	IST_MERGE_OWN = 16, /* 16 to 63: ist_cell_define_merge() */
};

#define IST_CELL_POLL 1u /* never sleep: spin when waiting */
/* Keep a copy of the version that was read last in this instance's own memory, and read there as
   long as no other is published: for records that are read far more often than written, by who is
   on another NUMA node than the group's memory. Takes the size, for this handle. Up to 40 bytes,
   and with IST_PRODUCER_CONSUMER, it changes nothing. */
#define IST_CELL_NEAR 2u

/* All zero means the defaults, but for the size. */
struct ist_cell_options {
	const char *region; /* region the cell lives in; NULL: the first one this peer may write
			       that is not incoherent */
	size_t size;        /* bytes, 1 .. 16 MiB; 0: whatever the cell has, which must be there */
	enum ist_policy policy; /* of a cell that is made; one that is there keeps its own */
	uint32_t merge;         /* enum ist_merge; of a cell that is made, IST_WRITE_SHARED */
	uint32_t flags;         /* IST_CELL_POLL | IST_CELL_NEAR */
	uint32_t seats; /* how many may have it open at a time, 1 .. 64; 0: 64. Of a cell that is
			   made */
	const char *content_region; /* incoherent region that the content of a cell that is made is
				       in; NULL: it is in `region`. Then `region` is the nearest one
				       before it with coherence hardware, or NULL. Not with
				       IST_PRODUCER_CONSUMER */
};

/**
 * ist_cell_open - open a cell, making it if there is none
 * @options: NULL for the defaults: a cell that is there
 *
 * Repairs what the last holder of the seat it takes left behind; the first call is then told.
 * Blocks for the time of the region's directory. Returns 0; -ENOENT no such region, or no such cell
 * and no size; -EACCES no right to write the region; -EEXIST the name belongs to an object of
 * another kind; -EMSGSIZE the cell has another size; -EDQUOT this instance may make no more in that
 * region; -ENOSPC the region is full, or all seats are
 * taken; -EINVAL bad name or options; -EOPNOTSUPP this library does not have the cell's policy,
 * or not with content_region, or the region is incoherent, or this machine's caches cannot be
 * written back; -ETIMEDOUT another peer keeps the directory locked; -EPROTO the
 * directory or the cell is corrupt; -ENODEV; -ENOMEM.
 */
IST_API int ist_cell_open(struct ist_group *group, const char *name,
			  const struct ist_cell_options *options, struct ist_cell **out);

/** ist_cell_close - give the seat up, and a section that is open without its end. NULL is allowed.
 */
IST_API void ist_cell_close(struct ist_cell *cell);

/** ist_cell_size - bytes of the content. */
IST_API size_t ist_cell_size(const struct ist_cell *cell);

/**
 * ist_cell_read - copy the latest version
 * @to: ist_cell_size() bytes
 * @version: its number, or NULL
 *
 * Writes no shared line and waits for nobody, unless eight versions in a row were published while
 * it copied: then it also takes its turn with those who write, for one copy. No system call, no
 * exit, but then. Returns 0; -ETIMEDOUT, -EOWNERDEAD, -EPROTO, -ENODEV as above.
 */
IST_API int ist_cell_read(struct ist_cell *cell, void *to, uint64_t *version, uint64_t timeout_ns);

/**
 * ist_cell_read_begin - begin to read the latest version in place
 * @out: its content, until ist_cell_read_end(). To be read only
 *
 * Up to 40 bytes are a private copy, and so is what a handle with IST_CELL_NEAR reads: nothing
 * refuses that. A longer content is where others may overwrite it meanwhile:
 * read it, do nothing yet with what it says that cannot be undone, and ask ist_cell_read_end().
 * After eight refusals in a row the next section holds the cell, and its end does not refuse. One
 * section a handle at a time. Returns as ist_cell_read(); -EBUSY a section is open.
 */
IST_API int ist_cell_read_begin(struct ist_cell *cell, uint64_t timeout_ns, const void **out);

/**
 * ist_cell_read_end - end it
 *
 * Returns 0, what was read was one version; -EAGAIN it was overwritten, read again; -EINVAL no
 * section is open; -EPROTO.
 */
IST_API int ist_cell_read_end(struct ist_cell *cell);

/**
 * ist_cell_write - publish a new version
 * @from: ist_cell_size() bytes, all of it
 *
 * Waits for its turn: spins while that pays, then sleeps (never with IST_CELL_POLL). Published when
 * this returns 0. Returns 0; -EBUSY a section is open; -ETIMEDOUT, -EOWNERDEAD, -EPROTO, -ENODEV.
 */
IST_API int ist_cell_write(struct ist_cell *cell, const void *from, uint64_t timeout_ns);

#define IST_CELL_REPLACE 1u /* the section stores every byte: what it finds there is undefined */

/**
 * ist_cell_write_begin - begin to write
 * @flags: 0, or IST_CELL_REPLACE
 * @out: the content of the latest version, to be changed in place, until the section ends
 *
 * Nobody else is in a write section of this cell until this one ends, and nobody sees what is
 * stored before. One section a handle at a time. IST_WRITE_SHARED: others may be in sections of
 * their own; nothing is waited for. Returns as ist_cell_write(); -EINVAL unknown flags, or a merge
 * that is not defined.
 */
IST_API int ist_cell_write_begin(struct ist_cell *cell, uint32_t flags, uint64_t timeout_ns,
				 void **out);

/**
 * ist_cell_write_end - publish what the section has made, and leave it
 *
 * Never blocks. A system call (a register write in a VM) only when somebody sleeps for it.
 * IST_WRITE_SHARED: merges; waits for its turn, as long as the section's begin might wait. Nothing
 * was changed: publishes nothing. Returns 0, it is published; -EINVAL no section is open; -EPROTO
 * the cell was broken meanwhile, then it may be published or not; IST_WRITE_SHARED: -ETIMEDOUT, and
 * the section is still open.
 */
IST_API int ist_cell_write_end(struct ist_cell *cell);

/**
 * ist_cell_write_abort - leave it: what it has stored nobody sees
 *
 * IST_MIGRATORY and IST_ADAPTIVE, up to 40 bytes: the content from before may be published again,
 * under the next number. Returns as ist_cell_write_end().
 */
IST_API int ist_cell_write_abort(struct ist_cell *cell);

/* Merges a word: `now` is the latest one. Its result becomes the word. Pure. */
typedef uint64_t ist_cell_merge_function(uint64_t now, uint64_t was, uint64_t is);

/**
 * ist_cell_define_merge - how IST_WRITE_SHARED merges under a number of the application's
 *
 * Every instance gives it the same meaning, before its first write section. Returns 0; -EINVAL the
 * cell was not made with this number, or it is not from IST_MERGE_OWN on.
 */
IST_API int ist_cell_define_merge(struct ist_cell *cell, uint32_t number,
				  ist_cell_merge_function *function);

/**
 * ist_cell_wait - wait until another version than *version is published
 * @version: in: the number last seen; out: the latest one
 *
 * Spins while that pays, then sleeps (never with IST_CELL_POLL). IST_PRODUCER_CONSUMER: looks at
 * this consumer's own lines alone. Returns 0; -ETIMEDOUT none was; -EPROTO; -ENODEV. What comes
 * after the other version may have come already: read.
 */
IST_API int ist_cell_wait(struct ist_cell *cell, uint64_t *version, uint64_t timeout_ns);

/* Operations: named by number, done where the content is. */

#define IST_CELL_ARGUMENTS 4u    /* 64-bit arguments of an operation */
#define IST_CELL_OPERATIONS 64u  /* numbers are below this */
#define IST_CELL_IN_FLIGHT 1024u /* submitted and not collected, of a handle */

/*
 * What the library does under these numbers. Arguments: byte offset of a 64-bit word, a multiple of
 * 8 inside the content; a value. The result is the word as it was. An offset that is none: -EINVAL
 * is the result, and nothing is done.
 */
enum ist_operation {
	IST_OPERATION_ADD,
	IST_OPERATION_STORE,
	IST_OPERATION_MIN, /* unsigned */
	IST_OPERATION_MAX,
	IST_OPERATION_OR,
	IST_OPERATION_AND,
	IST_OPERATION_COMPARE,  /* stores arguments[2] if the word is arguments[1] */
	IST_OPERATION_OWN = 16, /* from here on they are the application's */
};

/*
 * An operation: changes the content, returns its result. It runs in whichever instance holds the
 * cell, with everybody waiting: every instance defines the same function under the same number, and
 * it is short, calls nothing of libisthmus, and depends on nothing but its arguments and the
 * content. These come from shared memory.
 */
typedef int64_t ist_cell_function(void *content, size_t size,
				  const uint64_t arguments[IST_CELL_ARGUMENTS]);

/**
 * ist_cell_define - what an operation does, in this handle
 *
 * Before it is used by any instance. Returns 0; -EINVAL the number is not from IST_OPERATION_OWN to
 * below IST_CELL_OPERATIONS.
 */
IST_API int ist_cell_define(struct ist_cell *cell, uint32_t number, ist_cell_function *function);

/**
 * ist_cell_operate - do an operation and wait for its result
 * @arguments: IST_CELL_ARGUMENTS of them
 * @result: what the function returned, after an error anything; may be NULL
 *
 * Each is done once and whole. With IST_DELEGATED (and IST_ADAPTIVE, which may be that: so in all
 * that follows) whoever holds the cell may do it, with those of
 * others, all as one version; it waits as ist_cell_write() does. With the other policies it is a
 * write section of this handle, and a version. After -ETIMEDOUT, unless the timeout was 0, and
 * -EPROTO it may be done with IST_DELEGATED, now or later; after any other error it was not. An
 * operation that this handle knows is done even where others do not know it. Returns 0; -EINVAL no
 * such operation; -EBUSY a section is open; and as ist_cell_write().
 */
IST_API int ist_cell_operate(struct ist_cell *cell, uint32_t number,
			     const uint64_t arguments[IST_CELL_ARGUMENTS], int64_t *result,
			     uint64_t timeout_ns);

/**
 * ist_cell_submit - begin an operation
 * @ticket: for ist_cell_collect()
 *
 * Operations of one handle are done in the order of their submission. With IST_DELEGATED others may
 * do it from now on, but while this handle has many under way at a time, and ist_cell_collect()
 * does it at the latest; it does not block. With the other policies it is done when this returns.
 * The first one of a handle allocates room for the results of IST_CELL_IN_FLIGHT, 48 KiB, which the
 * handle has until it is closed. Returns as ist_cell_operate(); -EAGAIN IST_CELL_IN_FLIGHT are not
 * collected yet; -ENOMEM no such room: nothing was begun, and the next call tries again.
 */
IST_API int ist_cell_submit(struct ist_cell *cell, uint32_t number,
			    const uint64_t arguments[IST_CELL_ARGUMENTS], uint64_t timeout_ns,
			    uint64_t *ticket);

/**
 * ist_cell_submit_batch - begin up to @count operations of one number
 * @arguments: IST_CELL_ARGUMENTS of the first, of the second, and so on
 * @tickets: room for @count
 * @timeout_ns: for all of them together
 *
 * As so many ist_cell_submit() in this order, at less cost each. Returns how many were begun (the
 * first ones), or an error when the first could not be.
 */
IST_API int ist_cell_submit_batch(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
				  unsigned count, uint64_t timeout_ns, uint64_t *tickets);

/**
 * ist_cell_collect - the result of a submitted operation, once
 *
 * In any order. Returns as ist_cell_operate(): after -ETIMEDOUT and -EOWNERDEAD the ticket is good
 * as before; -EINVAL no such ticket, or collected already.
 */
IST_API int ist_cell_collect(struct ist_cell *cell, uint64_t ticket, int64_t *result,
			     uint64_t timeout_ns);

/**
 * ist_cell_collect_batch - the results of up to @count submitted operations
 * @results: room for @count; may be NULL
 * @timeout_ns: for all of them together
 *
 * As so many ist_cell_collect() in this order. Returns how many were collected (the first ones), or
 * an error when the first could not be.
 */
IST_API int ist_cell_collect_batch(struct ist_cell *cell, const uint64_t *tickets, unsigned count,
				   int64_t *results, uint64_t timeout_ns);

struct ist_cell_info {
	size_t size;
	uint32_t seats;
	uint32_t seats_taken;   /* by who is alive */
	enum ist_policy policy; /* that the cell was made with */
	enum ist_policy now;    /* that holds now: another one only where that is IST_ADAPTIVE */
	uint64_t version;       /* the latest */
	uint64_t repairs;       /* sections that ended with their holder, so far */
	uint64_t since_ns;      /* when `now` became it, on the clock of ist_time_ns() of who saw to
				   that; 0: it was always */
	uint64_t switches;      /* times that `now` became another */
};

/** ist_cell_info - what the cell is like now. Never blocks. Returns 0; -EPROTO; -ENODEV. */
IST_API int ist_cell_info(struct ist_cell *cell, struct ist_cell_info *out);

IST_END_DECLS

#endif
