/* SPDX-License-Identifier: BSD-2-Clause */
/* group.h: join a group; its peers, regions and doorbells. */
#ifndef ISTHMUS_GROUP_H
#define ISTHMUS_GROUP_H

#include <isthmus/types.h>

IST_BEGIN_DECLS

/**
 * ist_group_open - join a group
 * @name: the group's name in the configuration, or NULL when the instance is in exactly one
 * @out: the group, valid until ist_group_close()
 *
 * Maps the group's memory with this instance's rights and makes this instance a live peer. A
 * process of a host says who it is by the environment: ISTHMUS_INSTANCE is the instance's name in
 * the configuration, ISTHMUS_RUNTIME_DIR the broker's directory (default: $XDG_RUNTIME_DIR/isthmus,
 * or /run/isthmus); `isthmus up` and `isthmus run` set both. In a Linux guest the instance is the
 * guest, and its processes find the group as /dev/isthmusN or, without the driver, as a PCI device;
 * see isthmus(3).
 *
 * An instance joins a group once; a second open in the same process is -EBUSY. With the driver of
 * Linux guests any number of processes may, and each open is a holder of its own: of locks, of
 * channel ends. May block for the time of the admission. Safe from any thread. A child process that
 * is forked while the group is open must not use it.
 *
 * In a process of a host, page-coherent regions that this instance has a right on are kept by a
 * thread of the library's (all signals blocked) until ist_group_close(); if it cannot go on,
 * accesses there are SIGBUS.
 *
 * Returns 0; -ENOENT no such group or broker; -EINVAL several groups and no name; -EACCES this
 * instance may not join; -EPERM a page-coherent region takes userfaultfd, which this process may
 * not use (the broker's log says what it takes); -EBUSY it already has; -EPROTO the group speaks
 * another ABI version; -ETIMEDOUT the broker does not answer; -ENODEV the device has gone; -ENOMEM;
 * in a process also what its system refuses (-EMFILE).
 */
IST_API int ist_group_open(const char *name, struct ist_group **out);

/**
 * ist_group_close - leave a group
 * @group: the group, or NULL; no channel of it may be open, no other thread may use it
 *
 * Peers see this one leave in good order.
 */
IST_API void ist_group_close(struct ist_group *group);

/** ist_group_name - the group's name; valid while the group is open. */
IST_API const char *ist_group_name(const struct ist_group *group);

/** ist_group_self - this instance's peer ID in the group. */
IST_API uint32_t ist_group_self(const struct ist_group *group);

/** ist_group_max_peers - peer IDs are below this number. */
IST_API uint32_t ist_group_max_peers(const struct ist_group *group);

/** ist_group_vectors - doorbell vectors of every peer, with vector 0. */
IST_API uint32_t ist_group_vectors(const struct ist_group *group);

/**
 * ist_group_interrupts - whether doorbells reach this instance
 *
 * 1; or 0 in a Linux guest whose device has no interrupts, or no driver. Everything works there but
 * ist_doorbell_wait(): whoever waits looks every half millisecond instead.
 */
IST_API int ist_group_interrupts(const struct ist_group *group);

enum ist_peer_state {
	IST_STATE_ABSENT,  /* never there, or left in good order */
	IST_STATE_JOINING, /* admitted, not ready yet */
	IST_STATE_LIVE,
	IST_STATE_LEAVING, /* said good-bye, still there */
	IST_STATE_DEAD,    /* died; its memory accesses are over */
};

struct ist_peer_info {
	uint32_t id;
	uint32_t incarnation; /* changes each time the ID is used again */
	uint32_t vectors;
	enum ist_peer_state state;
	char name[32]; /* NUL-terminated */
};

/**
 * ist_peer_get - what the roster says of a peer now
 *
 * Never blocks, any thread. Returns 0; -EINVAL no such ID; -EPROTO the roster makes no sense.
 */
IST_API int ist_peer_get(struct ist_group *group, uint32_t id, struct ist_peer_info *out);

/**
 * ist_peer_find - the peer of this name
 *
 * Never blocks, any thread. Returns 0, whatever its state; -ENOENT no peer of that name has joined
 * yet.
 */
IST_API int ist_peer_find(struct ist_group *group, const char *name, struct ist_peer_info *out);

/**
 * ist_peer_wait - wait until the peer of this name is live
 * @out: may be NULL
 *
 * Blocks without burning CPU. Any thread. Returns 0; -ETIMEDOUT; -ENODEV the device has gone.
 */
IST_API int ist_peer_wait(struct ist_group *group, const char *name, uint64_t timeout_ns,
			  struct ist_peer_info *out);

/**
 * ist_peer_running - whether a peer has a processor of the host now
 *
 * 1: a thread of it (of a VM: a vCPU) is on one. 0: none is: it waits, or waits to run, and who
 * spins for it spins in vain. A hint, over when it is read: good for deciding how long to spin and
 * for nothing else. Costs a few loads: no exit, no system call. Never blocks, any thread.
 *
 * Returns 1 or 0; -ENODATA nothing is known: the group has no run-state page, or this instance does
 * not see it (Linux guests), or the peer is not there or has not run yet; -EINVAL no such ID.
 */
IST_API int ist_peer_running(struct ist_group *group, uint32_t id);

enum ist_right {
	IST_NONE,
	IST_READ,
	IST_WRITE, /* and read */
};

struct ist_region_info {
	char name[32];
	void *address; /* NULL when the right is IST_NONE */
	uint64_t size; /* bytes */
	enum ist_right right;
	uint32_t coherence; /* IST_COHERENCE_* of abi.h */
};

/**
 * ist_region_get - the index-th region of the group, in configuration order
 *
 * The memory stays mapped until ist_group_close(). Peers may change it at any time: read once,
 * check, use. The right is that of now: `isthmus reload` can change it, and rings vector 0 then.
 * Never blocks, any thread. Returns 0; -ENOENT no such index.
 */
IST_API int ist_region_get(struct ist_group *group, uint32_t index, struct ist_region_info *out);

/** ist_region_find - the region of this name. Returns 0; -ENOENT. */
IST_API int ist_region_find(struct ist_group *group, const char *name, struct ist_region_info *out);

/**
 * ist_doorbell_ring - ring a peer's doorbell
 * @vector: 1 .. vectors-1; vector 0 is the roster's, and ringing it only makes a peer look there
 *
 * A full barrier: what was written before is visible to the peer when the doorbell arrives. In a
 * VM a register write and no exit to user space; in a process one system call. Doorbells coalesce.
 * Never blocks, any thread. Returns 0; -EINVAL no such peer or vector; -EPIPE the peer is not live;
 * -ENODEV the device has gone.
 */
IST_API int ist_doorbell_ring(struct ist_group *group, uint32_t peer, uint32_t vector);

/**
 * ist_doorbell_wait - wait for this instance's own doorbell
 * @seen: in: the count last seen (start with 0); out: the count now, modulo 2^32
 *
 * Returns at once when the count is no longer *seen. Doorbells coalesce, so the count says "at
 * least once since", no more. Blocks without burning CPU. Any thread.
 * Returns 0; -EINVAL no such vector; -ETIMEDOUT (then *seen is unchanged); -ENOSYS doorbells do not
 * reach this instance, see ist_group_interrupts(); -ENODEV the device has gone.
 */
IST_API int ist_doorbell_wait(struct ist_group *group, uint32_t vector, uint32_t *seen,
			      uint64_t timeout_ns);

IST_END_DECLS

#endif
