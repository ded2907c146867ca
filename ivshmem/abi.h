/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * abi.h: what a group looks like in memory, on the broker's socket and to a guest at boot.
 *
 * The one definition of every shared layout. It stands alone: C99, freestanding C, C++17 and
 * kernel modules include it as it is. docs/abi.md is its prose; a test checks that both agree.
 *
 * Rules: fixed-width integers, little-endian, offsets never pointers, explicit padding, one
 * writer per cache line, no enum, bool, bitfield or _Atomic in a shared structure. Words that are
 * read while another instance writes them are marked "atomic": access them with the compiler's
 * __atomic builtins (or READ_ONCE/smp_store_release in a kernel) and with nothing else.
 */
#ifndef IST_ABI_H
#define IST_ABI_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

#if defined(__cplusplus)
#define IST_ABI_ASSERT(cond, text) static_assert(cond, text)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define IST_ABI_ASSERT(cond, text) _Static_assert(cond, text)
#else /* C99 has no such thing: an array of -1 elements */
#define IST_ABI_CAT_(a, b) a##b
#define IST_ABI_CAT(a, b) IST_ABI_CAT_(a, b)
#define IST_ABI_ASSERT(cond, text)                                                                 \
	extern char IST_ABI_CAT(ist_abi_assert_, __LINE__)[(cond) ? 1 : -1]
#endif
#define IST_ABI_OFFSET(type, field, value)                                                         \
	IST_ABI_ASSERT(offsetof(type, field) == (value), #type "." #field " moved")
#define IST_ABI_SIZE(type, value) IST_ABI_ASSERT(sizeof(type) == (value), #type " changed size")

/* ---- Version and limits ---------------------------------------------------------------------- */

#define IST_ABI_MAJOR 1u /* another major number: refuse */
#define IST_ABI_MINOR 3u /* a higher minor number: go on, fields may have been added */

#define IST_LINE 64u       /* bytes of a cache line */
#define IST_LINE_PAIR 128u /* bytes between two writers */
#define IST_PAGE 4096u     /* the smallest page, the unit of layout */

#define IST_NAME_SIZE 32u /* bytes of a name, with its terminating NUL */
#define IST_PEERS_MAX 64u /* peers of a group; a set of peers is a 64-bit mask by ID */
#define IST_REGIONS_MAX 32u
#define IST_VECTORS_MAX 16u
#define IST_GROUPS_MAX 8u /* groups one instance may join */

/* Vector 0 says that the roster changed. It is never used for anything else. */
#define IST_VECTOR_ROSTER 0u

/* ---- The group's memory ---------------------------------------------------------------------- */
/*
 *   0x0000  state table   one page: a u32 per peer, by ID (ivshmem v2)
 *   0x1000  roster        header page, region table page, peer table (2 pages)
 *   0x5000  regions       in configuration order, each aligned to the group's page size
 *   ...     output sections, one a peer, equal sizes (none when output_size is 0)
 *   ...     page directories, one for each page-coherent region, in the regions' order
 * The whole is a power of two.
 */
#define IST_STATE_TABLE_OFFSET 0x0000u
#define IST_STATE_TABLE_SIZE 0x1000u
#define IST_ROSTER_OFFSET 0x1000u
#define IST_ROSTER_SIZE 0x4000u
#define IST_REGION_TABLE_OFFSET 0x2000u /* from the start of the group, like all offsets here */
#define IST_PEER_TABLE_OFFSET 0x3000u
#define IST_REGIONS_OFFSET 0x5000u

#define IST_ROSTER_MAGIC 0x31534d4854534921ull /* "!ISTHMS1" in memory */

/* Feature bits. A peer that finds an unknown bit in features_required refuses the group. */
#define IST_FEATURE_OUTPUT_SECTIONS (1ull << 0) /* the group has output sections */
#define IST_FEATURES_KNOWN IST_FEATURE_OUTPUT_SECTIONS

/* Roster header. Written by the broker before the first peer joins; only `changes` moves later. */
struct ist_roster {
	uint64_t magic; /* IST_ROSTER_MAGIC */
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t page_size;         /* bytes: 4 KiB, 2 MiB or 1 GiB */
	uint64_t features_required; /* IST_FEATURE_*; unknown bit: refuse */
	uint64_t features_optional; /* unknown bit: ignore */
	uint64_t total_size;        /* bytes of the whole object, a power of two */
	uint64_t output_offset;     /* of peer 0's output section; 0 when there are none */
	uint64_t output_size;       /* bytes of each output section */
	uint32_t max_peers;         /* IDs are below this */
	uint32_t vectors;           /* doorbell vectors of every peer, with vector 0 */
	char name[IST_NAME_SIZE];   /* the group's name */
	uint32_t regions;           /* entries in use in the region table */
	uint32_t reserved0[7];
	uint64_t changes; /* atomic; bumped after every change of the tables */
	uint64_t reserved1[7];
};
IST_ABI_OFFSET(struct ist_roster, abi_major, 8);
IST_ABI_OFFSET(struct ist_roster, abi_minor, 10);
IST_ABI_OFFSET(struct ist_roster, page_size, 12);
IST_ABI_OFFSET(struct ist_roster, features_required, 16);
IST_ABI_OFFSET(struct ist_roster, features_optional, 24);
IST_ABI_OFFSET(struct ist_roster, total_size, 32);
IST_ABI_OFFSET(struct ist_roster, output_offset, 40);
IST_ABI_OFFSET(struct ist_roster, output_size, 48);
IST_ABI_OFFSET(struct ist_roster, max_peers, 56);
IST_ABI_OFFSET(struct ist_roster, vectors, 60);
IST_ABI_OFFSET(struct ist_roster, name, 64);
IST_ABI_OFFSET(struct ist_roster, regions, 96);
IST_ABI_OFFSET(struct ist_roster, reserved0, 100);
IST_ABI_OFFSET(struct ist_roster, changes, 128);
IST_ABI_OFFSET(struct ist_roster, reserved1, 136);
IST_ABI_SIZE(struct ist_roster, 192);

#define IST_COHERENCE_HARDWARE 0u   /* the processor keeps it coherent */
#define IST_COHERENCE_PAGE 1u       /* the pager keeps it coherent, page by page */
#define IST_COHERENCE_INCOHERENT 2u /* nobody does: write back and invalidate */

/* A region of the group. Written by the broker before `regions` counts it. */
struct ist_region {
	char name[IST_NAME_SIZE];
	uint64_t offset;    /* of the region, from the start of the group */
	uint64_t size;      /* bytes, a multiple of the group's page size */
	uint64_t readers;   /* atomic; bit i: peer i may read */
	uint64_t writers;   /* atomic; bit i: peer i may write (then it may read too) */
	uint32_t coherence; /* IST_COHERENCE_* */
	uint32_t reserved0;
	uint64_t directory; /* offset of its struct ist_page_directory; 0: it has none */
	uint64_t reserved1[6];
};
IST_ABI_OFFSET(struct ist_region, offset, 32);
IST_ABI_OFFSET(struct ist_region, size, 40);
IST_ABI_OFFSET(struct ist_region, readers, 48);
IST_ABI_OFFSET(struct ist_region, writers, 56);
IST_ABI_OFFSET(struct ist_region, coherence, 64);
IST_ABI_OFFSET(struct ist_region, reserved0, 68);
IST_ABI_OFFSET(struct ist_region, directory, 72);
IST_ABI_OFFSET(struct ist_region, reserved1, 80);
IST_ABI_SIZE(struct ist_region, 128);

#define IST_PEER_ABSENT 0u  /* never there, or left in good order */
#define IST_PEER_JOINING 1u /* admitted, has not mapped the group yet */
#define IST_PEER_LIVE 2u
#define IST_PEER_LEAVING 3u /* said good-bye, its mappings are not known to be gone yet */
#define IST_PEER_DEAD 4u    /* died; its address space is gone */

#define IST_KIND_APP 0u
#define IST_KIND_LINUX 1u
#define IST_KIND_QEMU 2u
#define IST_KIND_PROCESS 3u

/*
 * A peer, by ID. `word` is stored last, with release: who loads it with acquire, reads the other
 * fields and finds `word` unchanged has read one incarnation's fields.
 */
struct ist_peer {
	uint64_t word; /* atomic; IST_PEER_* | incarnation << 32 */
	char name[IST_NAME_SIZE];
	uint32_t vectors;
	uint32_t kind;     /* IST_KIND_* */
	uint64_t since_ns; /* CLOCK_MONOTONIC of the host at the last change of `word` */
	uint64_t reserved0[2];
	uint64_t memory_max;  /* ABI 1.2: bytes of the objects it may make in one arena, */
	uint32_t objects_max; /* and how many: written before the first peer is admitted, */
	uint32_t limits;      /* IST_LIMIT_*: which of the two hold */
	uint64_t reserved1[5];
};
IST_ABI_OFFSET(struct ist_peer, name, 8);
IST_ABI_OFFSET(struct ist_peer, vectors, 40);
IST_ABI_OFFSET(struct ist_peer, kind, 44);
IST_ABI_OFFSET(struct ist_peer, since_ns, 48);
IST_ABI_OFFSET(struct ist_peer, reserved0, 56);
IST_ABI_OFFSET(struct ist_peer, memory_max, 72);
IST_ABI_OFFSET(struct ist_peer, objects_max, 80);
IST_ABI_OFFSET(struct ist_peer, limits, 84);
IST_ABI_OFFSET(struct ist_peer, reserved1, 88);
IST_ABI_SIZE(struct ist_peer, 128);

#define IST_LIMIT_OBJECTS 1u
#define IST_LIMIT_MEMORY 2u

#define IST_PEER_WORD(state, incarnation) ((uint64_t)(state) | (uint64_t)(incarnation) << 32)
#define IST_PEER_STATE(word) ((uint32_t)((word)&0xffu))
#define IST_PEER_INCARNATION(word) ((uint32_t)((word) >> 32))

/*
 * Who holds something: a lock, one end of a channel. 0: nobody. `client` tells apart the users of
 * one peer (processes in one Linux guest, below IST_CLIENTS_MAX); 0 elsewhere. The holder is gone
 * when the roster shows another incarnation of the peer, or this one absent or dead, or when
 * IST_OWNER_DIED is set: the guest's kernel sets it in what a process held that ended. Then, and
 * only then, others may take what it held.
 */
#define IST_OWNER(id, incarnation, client)                                                         \
	((uint64_t)(incarnation) << 32 | (uint64_t)(client) << 16 | ((uint64_t)(id) + 1u))
#define IST_OWNER_ID(owner) ((uint32_t)((owner)&0xffffu) - 1u)
#define IST_OWNER_CLIENT(owner) ((uint32_t)((owner) >> 16) & 0x7fffu)
#define IST_OWNER_INCARNATION(owner) ((uint32_t)((owner) >> 32))
#define IST_OWNER_DIED (1ull << 31)
#define IST_CLIENTS_MAX 32768u

/* ---- Objects: named things in a region ------------------------------------------------------- */
/*
 * A region that holds objects starts with an arena: header, then IST_ARENA_SLOTS directory slots,
 * then the objects. A region of zeros is an empty arena that nobody has formatted yet. A region
 * whose peers never open an object in it is theirs byte for byte.
 */
#define IST_ARENA_MAGIC 0x414e455241545349ull /* "ISTARENA" in memory */
#define IST_ARENA_SLOTS 127u
#define IST_OBJECT_ALIGN 4096u

struct ist_arena {
	uint64_t lock;  /* atomic; IST_OWNER of who changes the directory */
	uint64_t magic; /* atomic; IST_ARENA_MAGIC, stored last by the formatter */
	uint64_t reserved[14];
};
IST_ABI_OFFSET(struct ist_arena, magic, 8);
IST_ABI_OFFSET(struct ist_arena, reserved, 16);
IST_ABI_SIZE(struct ist_arena, 128);

#define IST_OBJECT_FREE 0u
#define IST_OBJECT_READY 1u

#define IST_OBJECT_CHANNEL 1u
#define IST_OBJECT_CELL 2u
#define IST_OBJECT_REPLICA 3u /* a cell whose content is in an incoherent region */

/* A directory slot. Everything but `state` is written under the lock while the slot is free. */
struct ist_object {
	uint32_t state; /* atomic; IST_OBJECT_READY stored last, with release */
	uint32_t type;  /* IST_OBJECT_CHANNEL, ... */
	char name[IST_NAME_SIZE];
	uint64_t offset; /* from the start of the region, a multiple of IST_OBJECT_ALIGN */
	uint64_t size;   /* bytes */
	/* channel: lines, bytes; cell: size, IST_CELL_*, seats, merge; replica: the same, but
	   IST_REPLICA_PLACE */
	uint64_t parameters[4];
	uint64_t creator; /* ABI 1.2: IST_OWNER of who made it; 0: not known */
	uint64_t reserved[4];
};
IST_ABI_OFFSET(struct ist_object, type, 4);
IST_ABI_OFFSET(struct ist_object, name, 8);
IST_ABI_OFFSET(struct ist_object, offset, 40);
IST_ABI_OFFSET(struct ist_object, size, 48);
IST_ABI_OFFSET(struct ist_object, parameters, 56);
IST_ABI_OFFSET(struct ist_object, creator, 88);
IST_ABI_OFFSET(struct ist_object, reserved, 96);
IST_ABI_SIZE(struct ist_object, 128);

#define IST_ARENA_SIZE 16384u /* header and slots: where the first object may start */
IST_ABI_ASSERT(sizeof(struct ist_arena) + IST_ARENA_SLOTS * sizeof(struct ist_object) ==
		       IST_ARENA_SIZE,
	       "arena header changed size");

/* ---- Channels -------------------------------------------------------------------------------- */
/*
 * One sender, one receiver. The object is
 *   0x000  header       written when the object is made (and `broken`, by either end)
 *   0x080  sender       written by the sender alone
 *   0x100  receiver     written by the receiver alone
 *   0x180  credit       written by the receiver alone
 *   0x200  lines        a power of two of 64-byte message lines, written by the sender
 *   ...    bytes        at the next multiple of 4096: a byte ring, a power of two or 0 bytes
 *
 * Message number n (from 0) is in line n % lines. Its header word is stored last, with release:
 *   bits 0-7    length 0..56, or IST_LINE_LONG: the payload is a struct ist_long
 *   bits 8-15   the sender's generation, modulo 256
 *   bits 16-63  n + 1, modulo 2^48
 * A fresh line i holds number i - lines, generation 0: as if a lap had gone before the first.
 */
#define IST_INLINE_MAX 56u
#define IST_LINE_LONG 0xffu
#define IST_CHANNEL_LINES_MIN 8u
#define IST_CHANNEL_LINES_MAX 65536u
#define IST_CHANNEL_BYTES_MAX (1ull << 32)

struct ist_line {
	uint64_t header; /* atomic */
	uint8_t payload[IST_INLINE_MAX];
};
IST_ABI_OFFSET(struct ist_line, payload, 8);
IST_ABI_SIZE(struct ist_line, 64);

#define IST_LINE_HEADER(n, generation, length)                                                     \
	(((uint64_t)(n) + 1u) << 16 | ((uint64_t)(generation)&0xffu) << 8 | (uint64_t)(length))
#define IST_LINE_SEQUENCE(header) ((header) >> 16)
#define IST_LINE_GENERATION(header) ((uint32_t)((header) >> 8) & 0xffu)
#define IST_LINE_LENGTH(header) ((uint32_t)((header)&0xffu))

/* Where a long message is: contiguous in the byte ring, from a multiple of IST_LINE. */
struct ist_long {
	uint64_t offset; /* in the ring */
	uint64_t length; /* bytes */
};
IST_ABI_OFFSET(struct ist_long, length, 8);
IST_ABI_SIZE(struct ist_long, 16);

#define IST_WAKE(state, armed, generation)                                                         \
	((uint64_t)(generation) << 32 | (uint64_t)((armed)&0xffffffu) << 8 | (uint64_t)(state))
#define IST_WAKE_STATE(wake) ((uint32_t)((wake)&0xffu))
#define IST_WAKE_GENERATION(wake) ((uint32_t)((wake) >> 32))
#define IST_WAKE_POLL 0u  /* never sleeps: do not look for me */
#define IST_WAKE_AWAKE 1u /* may sleep later */
#define IST_WAKE_ARMED 2u /* sleeps, or is about to: ring my doorbell after you publish */

/*
 * One end of a channel. Attaching makes the generation the next odd number, detaching the next even
 * one; who dies attached leaves it odd. The times armed tell a sleep that was rung for from the
 * next.
 */
struct ist_end {
	uint64_t owner; /* atomic; IST_OWNER, 0 when detached */
	uint64_t wake;  /* atomic; IST_WAKE(state, times armed, generation) */
	uint64_t reserved[14];
};
IST_ABI_OFFSET(struct ist_end, wake, 8);
IST_ABI_OFFSET(struct ist_end, reserved, 16);
IST_ABI_SIZE(struct ist_end, 128);

struct ist_channel_memory {
	uint64_t lines;  /* number of lines */
	uint64_t bytes;  /* size of the byte ring */
	uint64_t broken; /* atomic; not 0: an end found the other's words impossible */
	uint64_t reserved0[13];
	struct ist_end sender;
	struct ist_end receiver;
	uint64_t credit; /* atomic; messages the receiver has released, all before this number */
	uint64_t reserved1[15];
};
IST_ABI_OFFSET(struct ist_channel_memory, broken, 16);
IST_ABI_OFFSET(struct ist_channel_memory, reserved0, 24);
IST_ABI_OFFSET(struct ist_channel_memory, sender, 0x80);
IST_ABI_OFFSET(struct ist_channel_memory, receiver, 0x100);
IST_ABI_OFFSET(struct ist_channel_memory, credit, 0x180);
IST_ABI_OFFSET(struct ist_channel_memory, reserved1, 0x188);
IST_ABI_SIZE(struct ist_channel_memory, 0x200);

/* The vector a channel end is woken on: never the roster's, unless there is no other. */
#define IST_CHANNEL_VECTOR(slot, vectors) ((vectors) > 1u ? 1u + (slot) % ((vectors)-1u) : 0u)

/* ---- Coherence ------------------------------------------------------------------------------- */
/*
 * The directory word: who may hold what of one cell or one page. 16 bytes in a slot aligned to 16,
 * changed as a whole by one compare-and-swap; coherence/word.h says when by one of `control` alone.
 *   control  bits 0-1    IST_DIR_NONE, SHARED, MODIFIED or POISONED
 *            bits 2-8    busy: peer + 1 whose transition is in progress, 0: none
 *            bits 9-15   owner: peer + 1 that may write, 0: none
 *            bits 16-63  epoch, modulo 2^48: changes when a transition is claimed, and when one
 *                        is taken from a dead peer
 *   sharers  bit i: peer i may hold a copy
 * Well-formed is: NONE and POISONED with neither owner nor sharers; SHARED with no owner and at
 * least one sharer; MODIFIED with an owner that is the only sharer; no peer beyond the group's
 * last. 16 zero bytes are a word that nobody has used yet.
 */
struct ist_directory {
	uint64_t control; /* atomic */
	uint64_t sharers; /* atomic */
};
IST_ABI_OFFSET(struct ist_directory, sharers, 8);
IST_ABI_SIZE(struct ist_directory, 16);

#define IST_DIR_NONE 0u     /* nobody has a copy */
#define IST_DIR_SHARED 1u   /* the sharers may read */
#define IST_DIR_MODIFIED 2u /* the owner may read and write */
#define IST_DIR_POISONED 3u /* the content was lost */

#define IST_DIR_CONTROL(state, busy, owner, epoch)                                                 \
	((uint64_t)(state) | (uint64_t)(busy) << 2 | (uint64_t)(owner) << 9 |                      \
	 (uint64_t)(epoch) << 16)
#define IST_DIR_STATE(control) ((uint32_t)((control)&3u))
#define IST_DIR_BUSY(control) ((uint32_t)((control) >> 2) & 0x7fu)
#define IST_DIR_OWNER(control) ((uint32_t)((control) >> 9) & 0x7fu)
#define IST_DIR_EPOCH(control) ((control) >> 16)
#define IST_DIR_EPOCH_MASK 0xffffffffffffull

/* How a cell is shared. */
#define IST_CELL_ADAPTIVE 0u          /* watches, and becomes one of the others */
#define IST_CELL_READ_MOSTLY 1u       /* readers write no shared line */
#define IST_CELL_MIGRATORY 2u         /* lock and data travel together */
#define IST_CELL_PRODUCER_CONSUMER 3u /* the latest version is pushed to each consumer */
#define IST_CELL_WRITE_SHARED 4u      /* private copies, merged */
#define IST_CELL_DELEGATED 5u         /* operations are done by who holds the cell */
/* ABI 1.3: beside MIGRATORY or ADAPTIVE in parameters[1]: the head may be OPEN. */
#define IST_CELL_IN_PLACE 0x100u

/* How a write-shared cell merges a word: parameters[3]. */
#define IST_CELL_MERGE_REPLACE 0u /* the bytes that were changed */
#define IST_CELL_MERGE_SUM 1u     /* adds what was added */
#define IST_CELL_MERGE_MIN 2u     /* the lesser, unsigned */
#define IST_CELL_MERGE_MAX 3u     /* the greater, unsigned */
#define IST_CELL_MERGE_OR 4u      /* sets the bits */
#define IST_CELL_MERGE_OWN 16u    /* from here to below IST_CELL_MERGES: the application's */
#define IST_CELL_MERGES 64u

/*
 * A cell is a record with one published version at a time. The object is
 *   0x000  head        the directory word, the version, and the content of up to IST_CELL_INLINE
 *                      bytes: one line, the only one that a short section shares
 *   0x080  aside       who sleeps, who consumes; repairs
 *   0x100  seats       one for each that has the cell open: 128 bytes each
 *   ...    slots       of a longer content, two, each in whole pairs of lines
 *   ...    logs        delegated: two, a struct ist_cell_log and IST_CELL_LOG_MAX entries each
 *   ...    areas       one a seat, in whole pairs of lines; producer-consumer: a struct
 *                      ist_cell_box and the rest of the content; delegated: 1 + IST_CELL_REQUESTS
 *                      of struct ist_cell_request
 * In the directory word of a cell, "peer i" is seat i.
 */
#define IST_CELL_INLINE 40u
#define IST_CELL_SEATS_MAX 64u
#define IST_CELL_SIZE_MAX (1ull << 24)

/* Which version is published (from 0), and where its content is. */
#define IST_CELL_VERSION(number, where) ((uint64_t)(number) << 2 | (uint64_t)(where))
#define IST_CELL_NUMBER(version) ((version) >> 2)
#define IST_CELL_WHERE(version) ((uint32_t)((version)&3u))
#define IST_CELL_SLOT(i) ((i)&1u) /* slot 0 or 1 */
#define IST_CELL_OPEN 1u   /* at its writer's seat, while the head, where it was, is changed */
#define IST_CELL_HEAD 2u   /* in the head */
#define IST_CELL_MOVING 3u /* it was; the next is being moved there from its writer's seat */

/* Adaptive: the policy that late windows would rather have, and how many of them in a row. */
#define IST_CELL_LEANING(policy, windows) ((uint64_t)(policy) | (uint64_t)(windows) << 8)

/*
 * Adaptive, ABI 1.2: the trial of another policy: whether one is on, a measure of the windows from
 * one to the next, windows until the next one (of a trial: whether it has won one), what a use cost
 * of late under the policy that is not on trial.
 */
#define IST_CELL_TRIAL(trying, patience, wait, before)                                             \
	((uint64_t)(trying) | (uint64_t)(patience) << 1 | (uint64_t)(wait) << 8 |                  \
	 (uint64_t)(before) << 16)
#define IST_CELL_TRIAL_TRYING(trial) ((uint32_t)((trial)&1u))
#define IST_CELL_TRIAL_PATIENCE(trial) ((uint32_t)((trial) >> 1 & 0x7fu))
#define IST_CELL_TRIAL_WAIT(trial) ((uint32_t)((trial) >> 8 & 0xffu))
#define IST_CELL_TRIAL_BEFORE(trial) ((trial) >> 16)

/* Adaptive: what a seat counts. */
#define IST_CELL_COUNT_READS 0u
#define IST_CELL_COUNT_WRITES 1u     /* sections */
#define IST_CELL_COUNT_OPERATIONS 2u /* operations */
#define IST_CELL_COUNT_WAITS 3u      /* of the last two, those that waited; and for how long */
#define IST_CELL_COUNT_TOGETHER 4u   /* of the operations, those begun with others under way */
#define IST_CELL_COUNTS 5u

struct ist_cell_memory {
	struct ist_directory directory;
	uint64_t version; /* atomic; IST_CELL_VERSION */
	uint64_t data[5]; /* atomic; the content, when it is in the head */
	uint64_t reserved0[8];
	uint64_t waiters;   /* atomic; bit i: seat i sleeps until the cell is free */
	uint64_t watchers;  /* atomic; bit i: seat i sleeps until another version is published */
	uint64_t consumers; /* atomic; bit i: seat i wants every version in its box */
	uint64_t repairs;   /* atomic; sections that ended with their holder */
	uint64_t since;     /* atomic; when `policy` became it, ns of CLOCK_MONOTONIC */
	uint32_t policy;    /* atomic; IST_CELL_*: the one that holds now */
	uint32_t history;   /* atomic; what was seen of the pattern */
	uint64_t judged;    /* atomic; adaptive: when the pattern was looked at, as `since` */
	uint64_t switches;  /* atomic; adaptive: times that `policy` became another */
	uint64_t leaning;   /* atomic; adaptive: IST_CELL_LEANING */
	uint64_t trial;     /* atomic; adaptive: IST_CELL_TRIAL */
	uint64_t reserved1[6];
};
IST_ABI_OFFSET(struct ist_cell_memory, directory, 0);
IST_ABI_OFFSET(struct ist_cell_memory, version, 16);
IST_ABI_OFFSET(struct ist_cell_memory, data, 24);
IST_ABI_OFFSET(struct ist_cell_memory, reserved0, 64);
IST_ABI_OFFSET(struct ist_cell_memory, waiters, 128);
IST_ABI_OFFSET(struct ist_cell_memory, watchers, 136);
IST_ABI_OFFSET(struct ist_cell_memory, consumers, 144);
IST_ABI_OFFSET(struct ist_cell_memory, repairs, 152);
IST_ABI_OFFSET(struct ist_cell_memory, since, 160);
IST_ABI_OFFSET(struct ist_cell_memory, policy, 168);
IST_ABI_OFFSET(struct ist_cell_memory, history, 172);
IST_ABI_OFFSET(struct ist_cell_memory, judged, 176);
IST_ABI_OFFSET(struct ist_cell_memory, switches, 184);
IST_ABI_OFFSET(struct ist_cell_memory, leaning, 192);
IST_ABI_OFFSET(struct ist_cell_memory, trial, 200);
IST_ABI_OFFSET(struct ist_cell_memory, reserved1, 208);
IST_ABI_SIZE(struct ist_cell_memory, 256);

/*
 * One that has the cell open. Its second line is its own workplace: the content that its section
 * makes, and then, once `redo` is the version after the published one, a commitment that whoever
 * finds the section's holder dead fulfils.
 */
struct ist_cell_seat {
	uint64_t owner;       /* atomic; IST_OWNER, 0: free */
	uint32_t counts[5];   /* atomic; adaptive: what it did, modulo 2^32, by IST_CELL_COUNT_* */
	uint32_t judged[5];   /* atomic; what of that the last judgement has seen; by who is busy */
	uint32_t busy;        /* atomic; adaptive: ns it took for that, modulo 2^32 */
	uint32_t busy_judged; /* atomic; as `judged` */
	uint64_t reserved0;
	uint64_t redo;    /* atomic; what the head's `version` is to become */
	uint64_t data[5]; /* atomic once `redo` says so; the content it is to have */
	uint64_t reserved1[2];
};
IST_ABI_OFFSET(struct ist_cell_seat, owner, 0);
IST_ABI_OFFSET(struct ist_cell_seat, counts, 8);
IST_ABI_OFFSET(struct ist_cell_seat, judged, 28);
IST_ABI_OFFSET(struct ist_cell_seat, busy, 48);
IST_ABI_OFFSET(struct ist_cell_seat, busy_judged, 52);
IST_ABI_OFFSET(struct ist_cell_seat, reserved0, 56);
IST_ABI_OFFSET(struct ist_cell_seat, redo, 64);
IST_ABI_OFFSET(struct ist_cell_seat, data, 72);
IST_ABI_OFFSET(struct ist_cell_seat, reserved1, 112);
IST_ABI_SIZE(struct ist_cell_seat, 128);

/* What is pushed to a consumer. A longer content goes on behind. */
struct ist_cell_box {
	uint64_t version; /* atomic; number of the version << 1, bit 0: it is being written */
	uint64_t data[7]; /* atomic; read between two looks at `version` */
};
IST_ABI_OFFSET(struct ist_cell_box, version, 0);
IST_ABI_OFFSET(struct ist_cell_box, data, 8);
IST_ABI_SIZE(struct ist_cell_box, 64);

/*
 * Delegated: a request and its result. Of a seat's, the first is its desk: it says how many there
 * are, and holds one that is alone. Sequence s is in the desk when the desk's `operation` says s,
 * else in number 1 + s % IST_CELL_REQUESTS.
 */
#define IST_CELL_REQUESTS 32u /* of a seat that are asked and not done, at most */
/* What is asked under which sequence; sequence 0: nothing. */
#define IST_CELL_OPERATION(sequence, number) ((uint64_t)(sequence) << 8 | (uint64_t)(number))
#define IST_CELL_OPERATION_SEQUENCE(operation) ((operation) >> 8)
#define IST_CELL_OPERATION_NUMBER(operation) ((uint32_t)((operation)&0xffu))

struct ist_cell_request {
	uint64_t asked;     /* of a desk, atomic; sequence of the last request; never goes back */
	uint64_t done;      /* of a desk, atomic; sequence of the last one that is done */
	uint64_t operation; /* atomic; IST_CELL_OPERATION */
	uint64_t arguments[4];
	uint64_t result;
};
IST_ABI_OFFSET(struct ist_cell_request, asked, 0);
IST_ABI_OFFSET(struct ist_cell_request, done, 8);
IST_ABI_OFFSET(struct ist_cell_request, operation, 16);
IST_ABI_OFFSET(struct ist_cell_request, arguments, 24);
IST_ABI_OFFSET(struct ist_cell_request, result, 56);
IST_ABI_SIZE(struct ist_cell_request, 64);

/*
 * Delegated: the results that go with a version, and whom they are for. That of version n is
 * number n % 2; entries follow.
 */
#define IST_CELL_LOG_MAX 64u
#define IST_CELL_ENTRY(sequence, seat) ((uint64_t)(sequence) << 6 | (uint64_t)(seat))
#define IST_CELL_ENTRY_SEQUENCE(request) ((request) >> 6)
#define IST_CELL_ENTRY_SEAT(request) ((uint32_t)((request)&0x3fu))

struct ist_cell_log {
	uint64_t version; /* atomic; number of the version it belongs to; 0: none */
	uint64_t count;   /* entries */
	uint64_t reserved[6];
};
IST_ABI_OFFSET(struct ist_cell_log, version, 0);
IST_ABI_OFFSET(struct ist_cell_log, count, 8);
IST_ABI_OFFSET(struct ist_cell_log, reserved, 16);
IST_ABI_SIZE(struct ist_cell_log, 64);

struct ist_cell_entry {
	uint64_t request; /* IST_CELL_ENTRY */
	uint64_t result;
};
IST_ABI_OFFSET(struct ist_cell_entry, request, 0);
IST_ABI_OFFSET(struct ist_cell_entry, result, 8);
IST_ABI_SIZE(struct ist_cell_entry, 16);

/*
 * A replica: a cell whose content is in an incoherent region, its pool. Its object is a cell's, but
 * that no content is in the head, and that where the slots would be each of the group's max_peers
 * IDs has a struct ist_replica. In the pool each of them has two slots, where nobody else stores.
 * data[0], data[1] of the head: ID + 1 of the peer whose slot has the content when `version` says
 * slot 0, or 1. Slots begin at a page of the pool.
 */
#define IST_REPLICA_PLACE(merge, region, peers, page)                                              \
	((uint64_t)(merge) | (uint64_t)(region) << 8 | (uint64_t)(peers) << 16 |                   \
	 (uint64_t)(page) << 24)
#define IST_REPLICA_MERGE(place) ((uint32_t)((place)&0xffu))
#define IST_REPLICA_REGION(place) ((uint32_t)((place) >> 8) & 0xffu)
#define IST_REPLICA_PEERS(place) ((uint32_t)((place) >> 16) & 0xffu)
#define IST_REPLICA_PAGE(place) ((place) >> 24)

struct ist_replica {
	uint64_t valid; /* atomic; 1 + number of the version that this peer's cache has; 0: none */
	uint64_t reserved[15];
};
IST_ABI_OFFSET(struct ist_replica, valid, 0);
IST_ABI_OFFSET(struct ist_replica, reserved, 8);
IST_ABI_SIZE(struct ist_replica, 128);

/*
 * Directory of a page-coherent region: a header, then a struct ist_page for each page of the
 * region, then for each peer, by ID, a bit a page. Instances can only read it; the pagers of VMs
 * write it.
 */
#define IST_PAGE_DIRECTORY_MAGIC 0x5249444547415021ull /* "!PAGEDIR" in memory */

/* Written by the broker before the first peer joins. */
struct ist_page_directory {
	uint64_t magic; /* IST_PAGE_DIRECTORY_MAGIC */
	uint64_t pages; /* entries that follow */
	uint32_t page_size;
	uint32_t region;    /* index in the region table */
	uint64_t tenure_ns; /* who got a page keeps it so long at least */
	uint64_t recall_ns; /* who has not given it up after so long is ended */
	uint64_t reserved[11];
};
IST_ABI_OFFSET(struct ist_page_directory, pages, 8);
IST_ABI_OFFSET(struct ist_page_directory, page_size, 16);
IST_ABI_OFFSET(struct ist_page_directory, region, 20);
IST_ABI_OFFSET(struct ist_page_directory, tenure_ns, 24);
IST_ABI_OFFSET(struct ist_page_directory, recall_ns, 32);
IST_ABI_OFFSET(struct ist_page_directory, reserved, 40);
IST_ABI_SIZE(struct ist_page_directory, 128);

/* Bytes of a peer's bits, a multiple of IST_LINE; of all that is before them; and of the whole, in
 * pages. */
#define IST_PAGE_ATTENTION_SIZE(pages) (((uint64_t)(pages) + 511u) / 512u * 64u)
#define IST_PAGE_ATTENTION_OFFSET(pages) (128u + (uint64_t)(pages)*128u)
#define IST_PAGE_DIRECTORY_SIZE(pages, peers)                                                      \
	((IST_PAGE_ATTENTION_OFFSET(pages) + IST_PAGE_ATTENTION_SIZE(pages) * (uint64_t)(peers) +  \
	  4095u) &                                                                                 \
	 ~(uint64_t)4095u)

#define IST_PAGE_WORDS 512u /* 8-byte words of a page, which is IST_PAGE bytes */

/* A page. Lines of its own: pages that nobody shares do not meet in the directory either. */
struct ist_page {
	struct ist_directory directory;
	uint64_t moves;   /* atomic; times it got another owner: only goes up */
	uint64_t since;   /* atomic; when `directory`'s owner became it, ns of CLOCK_MONOTONIC */
	uint64_t waiters; /* atomic; bit i: peer i waits for the page */
	uint64_t asked;   /* atomic; IST_PAGE_ASK: the question of who is busy */
	uint64_t writer;  /* atomic; ID + 1 of the owner that `written` is of; 0: it is not known */
	uint64_t reserved;
	uint64_t written[IST_PAGE_WORDS / 64]; /* atomic; bit i: that owner changed word i */
};
IST_ABI_OFFSET(struct ist_page, directory, 0);
IST_ABI_OFFSET(struct ist_page, moves, 16);
IST_ABI_OFFSET(struct ist_page, since, 24);
IST_ABI_OFFSET(struct ist_page, waiters, 32);
IST_ABI_OFFSET(struct ist_page, asked, 40);
IST_ABI_OFFSET(struct ist_page, writer, 48);
IST_ABI_OFFSET(struct ist_page, reserved, 56);
IST_ABI_OFFSET(struct ist_page, written, 64);
IST_ABI_SIZE(struct ist_page, 128);

#define IST_PAGE_ASK(question, epoch) ((uint64_t)(question) | (uint64_t)(epoch) << 16)
#define IST_PAGE_ASK_QUESTION(asked) ((uint32_t)((asked)&0xffffu))
#define IST_PAGE_ASK_EPOCH(asked) ((asked) >> 16)
#define IST_PAGE_ASK_INV 1u  /* drop the permission */
#define IST_PAGE_ASK_DOWN 2u /* reduce it to reading */

/* ---- The run-state page ---------------------------------------------------------------------- */
/*
 * Which threads of the group's peers are on a processor of the host now. Beside the group's memory,
 * not in it. Written by the host's scheduler, readable to all, writable to nobody; a hint.
 */
#define IST_RUN_STATE_MAGIC 0x314e555254534921ull /* "!ISTRUN1" in memory */
#define IST_RUN_STATE_SIZE 0x4000u
#define IST_RUN_THREADS_MAX 64u /* of a peer that are watched one by one */

/* A peer that is watched as a whole, a process, counts as one thread in `threads`. */
struct ist_run_peer {
	uint32_t incarnation; /* atomic; whom the rest is about: nobody else */
	uint32_t threads;     /* atomic; how many are watched, at least 1 */
	uint32_t running;     /* atomic; how many are on a processor */
	uint32_t reserved0;
	uint64_t switches; /* atomic; times that one came onto a processor */
	uint64_t reserved1[13];
};
IST_ABI_OFFSET(struct ist_run_peer, threads, 4);
IST_ABI_OFFSET(struct ist_run_peer, running, 8);
IST_ABI_OFFSET(struct ist_run_peer, reserved0, 12);
IST_ABI_OFFSET(struct ist_run_peer, switches, 16);
IST_ABI_OFFSET(struct ist_run_peer, reserved1, 24);
IST_ABI_SIZE(struct ist_run_peer, 128);

/* The header is there before anybody can map it and does not change. */
struct ist_run_state {
	uint64_t magic; /* IST_RUN_STATE_MAGIC */
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t max_peers; /* entries of peer[] in use, by ID */
	uint64_t reserved0[14];
	struct ist_run_peer peer[IST_PEERS_MAX];
	uint64_t reserved1[1008];
};
IST_ABI_OFFSET(struct ist_run_state, abi_major, 8);
IST_ABI_OFFSET(struct ist_run_state, abi_minor, 10);
IST_ABI_OFFSET(struct ist_run_state, max_peers, 12);
IST_ABI_OFFSET(struct ist_run_state, reserved0, 16);
IST_ABI_OFFSET(struct ist_run_state, peer, 128);
IST_ABI_OFFSET(struct ist_run_state, reserved1, 8320);
IST_ABI_SIZE(struct ist_run_state, IST_RUN_STATE_SIZE);

/* ---- Device registers ------------------------------------------------------------------------ */

/* Personality v1: QEMU's ivshmem, revision 1 (docs/specs/ivshmem-spec.txt). */
#define IST_V1_VENDOR 0x1af4u
#define IST_V1_DEVICE 0x1110u
#define IST_V1_REVISION 1u
#define IST_V1_CLASS 0x050000u /* memory controller, RAM */
#define IST_V1_BAR0_SIZE 256u
#define IST_V1_INTR_MASK 0x00u   /* reserved in revision 1: stored, inert */
#define IST_V1_INTR_STATUS 0x04u /* reserved in revision 1: a read clears it */
#define IST_V1_POSITION 0x08u    /* read-only: my ID */
#define IST_V1_DOORBELL 0x0cu    /* write-only */

/* Personality v2: Jailhouse's ivshmem v2 (Documentation/ivshmem-v2-specification.md). */
#define IST_V2_VENDOR 0x110au
#define IST_V2_DEVICE 0x4106u
#define IST_V2_REVISION 0u
#define IST_V2_CLASS 0xff0000u /* protocol type 0: undefined */
#define IST_V2_BAR0_SIZE 4096u
#define IST_V2_ID 0x00u          /* read-only */
#define IST_V2_MAX_PEERS 0x04u   /* read-only */
#define IST_V2_INT_CONTROL 0x08u /* bit 0: interrupts enabled */
#define IST_V2_DOORBELL 0x0cu    /* write-only */
#define IST_V2_STATE 0x10u       /* shown to all in the state table */

/* The vendor-specific capability of v2 (ID 09h): offsets in it. */
#define IST_V2_CAP_LENGTH 0x02u      /* u8: IST_V2_CAP_SIZE, as BAR2 is there */
#define IST_V2_CAP_CONTROL 0x03u     /* u8: bit 0: one-shot interrupts */
#define IST_V2_CAP_STATE_SIZE 0x04u  /* u32: bytes of the state table */
#define IST_V2_CAP_RW_SIZE 0x08u     /* u64: bytes of the read-write section */
#define IST_V2_CAP_OUTPUT_SIZE 0x10u /* u64: bytes of each output section */
#define IST_V2_CAP_SIZE 0x18u

#define IST_BAR_REGISTERS 0u /* BARs of either */
#define IST_BAR_MSIX 1u
#define IST_BAR_MEMORY 2u
#define IST_BAR_RUN_STATE                                                                          \
	4u /* where the group has a run-state page; neither QEMU's nor Jailhouse's */

/* What is written to the doorbell of either. */
#define IST_DOORBELL(peer, vector) ((uint32_t)(peer) << 16 | (uint32_t)(vector))
#define IST_DOORBELL_PEER(value) ((uint32_t)(value) >> 16)
#define IST_DOORBELL_VECTOR(value) ((uint32_t)(value)&0xffffu)

/*
 * QEMU's ivshmem takes no peer twice: it writes to memory that it has freed when an ID comes again
 * that was gone. So a peer of kind QEMU sees each incarnation of a peer under another number, its
 * own too: in IST_V1_POSITION and in IST_V1_DOORBELL. Of a first incarnation it is the ID.
 */
#define IST_QEMU_INCARNATIONS 1024u /* that have different numbers */
#define IST_QEMU_NUMBER(id, incarnation)                                                           \
	((uint32_t)(id) | (((uint32_t)(incarnation)-1u) & (IST_QEMU_INCARNATIONS - 1u)) << 6)
#define IST_QEMU_ID(number) ((uint32_t)(number)&63u)

/* ---- Linux guests: /dev/isthmusN ------------------------------------------------------------- */
/*
 * Between isthmus.ko and its users. mmap() offsets below IST_LINUX_REGISTERS are offsets in the
 * group: a range maps when this peer's right on all of it allows (EACCES), never executable.
 * read() gives a struct ist_linux_counts, when a doorbell came since the last one of this file
 * (EAGAIN); poll(): POLLIN a read() would give one, POLLPRI the roster has changed since INFO or
 * the last read(), POLLHUP the device is gone. EPIPE: nobody there; ENODEV: the device is gone.
 */
#define IST_LINUX_VERSION 1u
#define IST_LINUX_REGISTERS (1ull << 60) /* mmap() offset: the register page, read-write */
#define IST_LINUX_COUNTS (2ull << 60)    /* mmap() offset: struct ist_linux_counts, read-only */
#define IST_LINUX_RUN_STATE (3ull << 60) /* mmap() offset: struct ist_run_state, read-only */

struct ist_linux_info {
	uint32_t version;     /* IST_LINUX_VERSION */
	uint32_t personality; /* 1 or 2 */
	uint32_t id;
	uint32_t incarnation;
	uint32_t vectors; /* with interrupts; 0: the device has none */
	uint32_t max_peers;
	uint32_t regions;
	uint32_t client;    /* of this open file, 1 to IST_CLIENTS_MAX - 1 */
	uint32_t registers; /* 1: IST_LINUX_REGISTERS can be mapped; 0: IST_IOCTL_RING rings */
	uint32_t doorbell;  /* offset of the doorbell in the register page */
	uint64_t size;      /* of the group's memory */
	char name[IST_NAME_SIZE];        /* the group's */
	uint8_t rights[IST_REGIONS_MAX]; /* IST_RIGHT_*, this peer's, by region index */
	uint32_t run_state;              /* 1: IST_LINUX_RUN_STATE can be mapped */
	uint32_t reserved0;
	uint64_t reserved1[3];
};
IST_ABI_OFFSET(struct ist_linux_info, id, 8);
IST_ABI_OFFSET(struct ist_linux_info, client, 28);
IST_ABI_OFFSET(struct ist_linux_info, registers, 32);
IST_ABI_OFFSET(struct ist_linux_info, doorbell, 36);
IST_ABI_OFFSET(struct ist_linux_info, size, 40);
IST_ABI_OFFSET(struct ist_linux_info, name, 48);
IST_ABI_OFFSET(struct ist_linux_info, rights, 80);
IST_ABI_OFFSET(struct ist_linux_info, run_state, 112);
IST_ABI_SIZE(struct ist_linux_info, 144);

/* Doorbells that have arrived, modulo 2^32. `total` moves after `count[]`. Written by the kernel.
 */
struct ist_linux_counts {
	uint32_t total; /* atomic */
	uint32_t reserved;
	uint32_t count[IST_VECTORS_MAX]; /* atomic; by vector */
};
IST_ABI_OFFSET(struct ist_linux_counts, count, 8);
IST_ABI_SIZE(struct ist_linux_counts, 72);

struct ist_linux_ring {
	uint32_t peer;
	uint32_t incarnation; /* of the peer; 0: whoever is there */
	uint32_t vector;
	uint32_t reserved;
};
IST_ABI_SIZE(struct ist_linux_ring, 16);

struct ist_linux_eventfd { /* signalled with every doorbell on the vector */
	uint32_t vector;
	int32_t fd; /* -1: none any more; one a file and vector */
};
IST_ABI_SIZE(struct ist_linux_eventfd, 8);

struct ist_linux_wait {       /* sleeps while counts.total is `seen`, until the deadline */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; all ones: none */
	uint32_t seen;
	uint32_t reserved;
};
IST_ABI_OFFSET(struct ist_linux_wait, seen, 8);
IST_ABI_SIZE(struct ist_linux_wait, 16);

/*
 * A word at `offset` that may come to hold this file's IST_OWNER (with the file's client). When the
 * file is closed for good with such an owner still there, the kernel sets IST_OWNER_DIED in it and
 * rings vector 0 of every peer. Declared before the word is taken, at most IST_LINUX_HOLDS_MAX a
 * file.
 */
struct ist_linux_hold {
	uint64_t offset; /* in the group, a multiple of 8, writable to this peer */
	uint32_t on;     /* 1: may hold it from now on; 0: no longer */
	uint32_t reserved;
};
IST_ABI_OFFSET(struct ist_linux_hold, on, 8);
IST_ABI_SIZE(struct ist_linux_hold, 16);
#define IST_LINUX_HOLDS_MAX 4096u

/* As Linux encodes them: direction, size, 'I', number. */
#define IST_IOCTL_INFO 0x80904900u    /* reads a struct ist_linux_info */
#define IST_IOCTL_RING 0x40104901u    /* writes a struct ist_linux_ring; EPIPE, EINVAL */
#define IST_IOCTL_EVENTFD 0x40084902u /* writes a struct ist_linux_eventfd; EBADF, EINVAL */
#define IST_IOCTL_WAIT 0x40104903u    /* writes a struct ist_linux_wait; ETIMEDOUT, EINTR */
#define IST_IOCTL_HOLD 0x40104904u    /* writes a struct ist_linux_hold; EACCES, EINVAL, ENOSPC */

/* ---- The broker's socket --------------------------------------------------------------------- */
/*
 * AF_UNIX, SOCK_SEQPACKET, one struct ist_wire a packet, descriptors by SCM_RIGHTS.
 *   peer -> broker   HELLO, THREAD..., READY (mapped: make me live), then BYE or nothing
 *   broker -> peer   WELCOME, RUN_STATE, REGION..., PEER..., READY; then PEER and GONE as peers
 *                    come and go
 *   broker -> peer   RIGHT, and REGION, while it is joined: answered by RIGHT_DONE
 *   broker -> peer   ERROR at any time; the broker closes after it
 *   peer -> broker   ERROR after HELLO: the text is for the broker's log
 * and to a broker that was restarted, by who was there:
 *   peer -> broker   REATTACH, BELLS of itself, BELLS..., READY, then THREAD...
 *   broker -> peer   RUN_STATE, READY; then PEER and GONE as above
 */
#define IST_WIRE_HELLO 1u /* abi, kind, name: instance */
#define IST_WIRE_WELCOME                                                                                         \
	2u                 /* abi, id, incarnation, vectors, count: max_peers, size: of all,                     \
			      page_size, offset/length: of output sections, doorbells, name: group; 1 fd: memory \
			    */
#define IST_WIRE_REGION 3u /* id: index, right, coherence, offset, size, length, name */
#define IST_WIRE_PEER 4u   /* id, incarnation, vectors, kind, name; an eventfd a vector (and one) */
#define IST_WIRE_READY 5u
#define IST_WIRE_GONE 6u      /* id, incarnation, state: IST_PEER_ABSENT or IST_PEER_DEAD */
#define IST_WIRE_BYE 7u       /* my mappings are gone */
#define IST_WIRE_ERROR 8u     /* code: errno, text */
#define IST_WIRE_RUN_STATE 9u /* ABI 1.1; size; 1 fd: the run-state page */
#define IST_WIRE_THREAD 10u   /* ABI 1.1; id: thread ID of a vCPU, count: of how many */
#define IST_WIRE_RECALL                                                                            \
	11u /* ABI 1.1; id, incarnation, offset: that peer does not give up this page */
#define IST_WIRE_REATTACH                                                                          \
	12u /* ABI 1.2; instead of HELLO: abi, kind, id, incarnation, count: of the regions that   \
	       it knows, name; 1 fd: memory */
#define IST_WIRE_BELLS 13u      /* ABI 1.2; id, incarnation, vectors; eventfds as in PEER */
#define IST_WIRE_RIGHT 16u      /* ABI 1.2; id: index, right, count: number of the message */
#define IST_WIRE_RIGHT_DONE 17u /* ABI 1.2; the same, code: 0, or an errno: it has not changed */

#define IST_RIGHT_NONE 0u
#define IST_RIGHT_READ 1u
#define IST_RIGHT_WRITE 2u /* and read */

struct ist_wire {
	uint32_t type; /* IST_WIRE_* */
	uint32_t abi;  /* IST_ABI_MAJOR << 16 | IST_ABI_MINOR */
	uint32_t id;
	uint32_t incarnation;
	uint32_t vectors;
	uint32_t kind;
	uint32_t right; /* IST_RIGHT_* */
	uint32_t coherence;
	uint32_t state;
	uint32_t code;
	uint32_t count;
	uint32_t doorbells; /* ABI 1.2: a second, let through by each vector of a peer; 0: any */
	uint64_t offset;
	uint64_t size;
	uint64_t length;
	uint64_t page_size;
	char name[IST_NAME_SIZE];
	char text[144];
};
IST_ABI_OFFSET(struct ist_wire, id, 8);
IST_ABI_OFFSET(struct ist_wire, incarnation, 12);
IST_ABI_OFFSET(struct ist_wire, vectors, 16);
IST_ABI_OFFSET(struct ist_wire, kind, 20);
IST_ABI_OFFSET(struct ist_wire, right, 24);
IST_ABI_OFFSET(struct ist_wire, coherence, 28);
IST_ABI_OFFSET(struct ist_wire, state, 32);
IST_ABI_OFFSET(struct ist_wire, code, 36);
IST_ABI_OFFSET(struct ist_wire, count, 40);
IST_ABI_OFFSET(struct ist_wire, doorbells, 44);
IST_ABI_OFFSET(struct ist_wire, offset, 48);
IST_ABI_OFFSET(struct ist_wire, size, 56);
IST_ABI_OFFSET(struct ist_wire, length, 64);
IST_ABI_OFFSET(struct ist_wire, page_size, 72);
IST_ABI_OFFSET(struct ist_wire, name, 80);
IST_ABI_OFFSET(struct ist_wire, text, 112);
IST_ABI_SIZE(struct ist_wire, 256);

/* ---- App boot -------------------------------------------------------------------------------- */
/*
 * An app VM starts at its ELF entry in 64-bit mode, ring 0, interrupts off, paging on (identity,
 * user pages, page 0 absent), SSE and AVX on, x2APIC on, RDI = address of this block, no stack.
 * Doorbells arrive as interrupts IST_BOOT_INTERRUPT(group index, vector).
 */
#define IST_BOOT_MAGIC 0x544f4f4254534921ull /* "!ISTBOOT" in memory */
#define IST_BOOT_INTERRUPT(group, vector) (0x40u + (group)*IST_VECTORS_MAX + (vector))

/* Ports. */
#define IST_PORT_CONSOLE                                                                           \
	0xe9u /* out 8: a byte to the console, one exit a byte (also `rep outsb`) */
#define IST_PORT_PRINT                                                                             \
	0xecu /* out 32: address of a struct ist_boot_text for the console: one exit */
#define IST_PORT_EXIT 0xf4u  /* out 32: end this VM with this exit status (low 8 bits) */
#define IST_PORT_FAULT 0xf8u /* out 32: address of a struct ist_boot_fault; ends this VM */
#define IST_PORT_EXITS 0xfcu /* in 32: VM exits of this vCPU so far, modulo 2^32 */

struct ist_boot_group {
	char name[IST_NAME_SIZE];
	uint64_t memory;      /* guest-physical address of the group's memory */
	uint64_t memory_size; /* bytes */
	uint64_t registers;   /* guest-physical address of the device's register page */
	uint32_t id;          /* mine in this group */
	uint32_t incarnation; /* mine */
	uint32_t vectors;
	uint32_t max_peers;
	uint8_t rights[IST_REGIONS_MAX]; /* IST_RIGHT_*, by region index */
	uint64_t run_state; /* guest-physical address of the run-state page; 0: there is none */
	uint64_t run_state_size; /* bytes */
	uint8_t reserved[8];
};
IST_ABI_OFFSET(struct ist_boot_group, memory, 32);
IST_ABI_OFFSET(struct ist_boot_group, memory_size, 40);
IST_ABI_OFFSET(struct ist_boot_group, registers, 48);
IST_ABI_OFFSET(struct ist_boot_group, id, 56);
IST_ABI_OFFSET(struct ist_boot_group, incarnation, 60);
IST_ABI_OFFSET(struct ist_boot_group, vectors, 64);
IST_ABI_OFFSET(struct ist_boot_group, max_peers, 68);
IST_ABI_OFFSET(struct ist_boot_group, rights, 72);
IST_ABI_OFFSET(struct ist_boot_group, run_state, 104);
IST_ABI_OFFSET(struct ist_boot_group, run_state_size, 112);
IST_ABI_OFFSET(struct ist_boot_group, reserved, 120);
IST_ABI_SIZE(struct ist_boot_group, 128);

struct ist_boot {
	uint64_t magic;      /* IST_BOOT_MAGIC */
	uint32_t abi;        /* IST_ABI_MAJOR << 16 | IST_ABI_MINOR */
	uint32_t size;       /* of this block */
	uint64_t ram_size;   /* bytes of RAM, from address 0 */
	uint64_t free_start; /* RAM from here ... */
	uint64_t free_end;   /* ... to here is the application's */
	uint64_t tsc_hz;
	uint64_t tsc_base;     /* at this TSC value ... */
	uint64_t time_base_ns; /* ... the host's CLOCK_MONOTONIC was this */
	uint64_t argv;         /* address of argc pointers to strings and a null one */
	uint32_t argc;
	uint32_t groups; /* entries in use in group[] */
	char instance[IST_NAME_SIZE];
	uint64_t reserved[2];
	struct ist_boot_group group[IST_GROUPS_MAX];
};
IST_ABI_OFFSET(struct ist_boot, abi, 8);
IST_ABI_OFFSET(struct ist_boot, size, 12);
IST_ABI_OFFSET(struct ist_boot, ram_size, 16);
IST_ABI_OFFSET(struct ist_boot, free_start, 24);
IST_ABI_OFFSET(struct ist_boot, free_end, 32);
IST_ABI_OFFSET(struct ist_boot, tsc_hz, 40);
IST_ABI_OFFSET(struct ist_boot, tsc_base, 48);
IST_ABI_OFFSET(struct ist_boot, time_base_ns, 56);
IST_ABI_OFFSET(struct ist_boot, argv, 64);
IST_ABI_OFFSET(struct ist_boot, argc, 72);
IST_ABI_OFFSET(struct ist_boot, groups, 76);
IST_ABI_OFFSET(struct ist_boot, instance, 80);
IST_ABI_OFFSET(struct ist_boot, reserved, 112);
IST_ABI_OFFSET(struct ist_boot, group, 128);
IST_ABI_SIZE(struct ist_boot, 1152);

/* Bytes in RAM for the console. */
struct ist_boot_text {
	uint64_t address;
	uint64_t length;
};
IST_ABI_OFFSET(struct ist_boot_text, length, 8);
IST_ABI_SIZE(struct ist_boot_text, 16);

/* What the runtime's exception stub reports. Register order as pushed by the stub. */
struct ist_boot_fault {
	uint64_t vector;  /* x86 exception number */
	uint64_t error;   /* error code, 0 where there is none */
	uint64_t address; /* CR2 */
	uint64_t rip, cs, rflags, rsp, ss;
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
};
IST_ABI_OFFSET(struct ist_boot_fault, rip, 24);
IST_ABI_OFFSET(struct ist_boot_fault, rax, 64);
IST_ABI_OFFSET(struct ist_boot_fault, r8, 120);
IST_ABI_SIZE(struct ist_boot_fault, 184);

#endif
