/* SPDX-License-Identifier: BSD-2-Clause */
/* state.c: what a broker knows of a group, in a file that outlives it. */
#include "state.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE sizeof(struct ivshm_state_file)

static int read_boot(char boot[IVSHM_STATE_BOOT])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	memset(boot, 0, IVSHM_STATE_BOOT);
	n = read(fd, boot, IVSHM_STATE_BOOT - 1);
	r = n < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int map(struct ivshm_state *state, const char *path, int fd)
{
	void *file;

	state->path = strdup(path);
	if (!state->path)
		return -ENOMEM;
	file = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED) {
		int r = -errno;

		free(state->path);
		return r;
	}
	state->file = file;
	return 0;
}

/* The file's bytes are all there, so that no store finds the disk full. */
static int make(struct ivshm_state *state, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = posix_fallocate(fd, 0, (off_t)SIZE);
	r = r ? -r : map(state, path, fd);
	close(fd);
	if (r)
		unlink(path);
	return r;
}

int ivshm_state_create(struct ivshm_state *state, const char *path,
		       const struct ivshm_state_group *group, char *error, size_t error_size)
{
	char boot[IVSHM_STATE_BOOT];
	int r = read_boot(boot);

	if (r)
		return ivshm_fail(error, error_size, r, "boot_id: %s", strerror(-r));
	if (unlink(path) && errno != ENOENT)
		r = -errno;
	if (r == 0)
		r = make(state, path);
	if (r)
		return ivshm_fail(error, error_size, r, "%s: %s", path, strerror(-r));
	state->file->version = IVSHM_STATE_VERSION;
	state->file->size = SIZE;
	memcpy(state->file->boot, boot, sizeof(boot));
	state->file->group[0] = *group;
	/* Release: who finds it, finds the rest. */
	__atomic_store_n(&state->file->magic, IVSHM_STATE_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

/* ---- What a predecessor has left ---- */

static bool peer_is_sound(const struct ivshm_state_peer *peer, bool member)
{
	bool there = peer->state != IST_PEER_ABSENT && peer->state != IST_PEER_DEAD;

	return peer->state <= IST_PEER_DEAD && peer->kind <= IST_KIND_PROCESS && peer->pid >= 0 &&
	       (!there || (member && peer->incarnation != 0 && peer->pid > 0));
}

bool ivshm_state_is_sound(const struct ivshm_state_file *file)
{
	uint64_t members;

	if (file->group_at > 1 || !ivshm_facts_are_sound(&file->group[file->group_at].facts))
		return false;
	members = file->group[file->group_at].facts.members;
	for (uint32_t id = 0; id < IST_PEERS_MAX; id++) {
		uint64_t peer = file->peer[id].at, process = file->process[id].at;

		if (peer > 1 || process > 1 ||
		    !peer_is_sound(&file->peer[id].slot[peer], id < members) ||
		    file->process[id].slot[process].pid < 0)
			return false;
	}
	return true;
}

/* What is wrong with it, or NULL. */
static const char *fault_of(const struct ivshm_state_file *file)
{
	char boot[IVSHM_STATE_BOOT];

	/* Acquire: pairs with the release in ivshm_state_create(). */
	if (__atomic_load_n(&file->magic, __ATOMIC_ACQUIRE) != IVSHM_STATE_MAGIC)
		return "is not a whole state file";
	if (file->version != IVSHM_STATE_VERSION || file->size != SIZE)
		return "is of another version";
	if (read_boot(boot) || memcmp(boot, file->boot, sizeof(boot)) != 0)
		return "is of another boot";
	return ivshm_state_is_sound(file) ? NULL : "holds what cannot be";
}

static const char *fault_of_inode(int fd)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return "is no file";
	if (st.st_uid != geteuid() || st.st_mode & 077)
		return "could be written by others";
	return st.st_size == (off_t)SIZE ? NULL : "has not the size of a state file";
}

int ivshm_state_open(struct ivshm_state *state, const char *path, char *error, size_t error_size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	const char *fault;
	int r = 0;

	state->file = NULL;
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return ivshm_fail(error, error_size, -errno, "%s: %s", path, strerror(errno));
	fault = fault_of_inode(fd);
	if (!fault) {
		r = map(state, path, fd);
		if (!state->file)
			ivshm_fail(error, error_size, r, "%s: %s", path, strerror(-r));
		else
			fault = fault_of(state->file);
	}
	close(fd);
	if (!fault)
		return r;
	ivshm_state_close(state);
	return ivshm_fail(error, error_size, -ESTALE, "%s %s: it counts as none", path, fault);
}

void ivshm_state_close(struct ivshm_state *state)
{
	if (!state->file)
		return;
	munmap(state->file, SIZE);
	free(state->path);
	state->file = NULL;
}

void ivshm_state_remove(struct ivshm_state *state)
{
	if (state->file)
		unlink(state->path);
	ivshm_state_close(state);
}

/* ---- Records ---- */

const struct ivshm_state_group *ivshm_state_group(const struct ivshm_state *state)
{
	return &state->file->group[state->file->group_at];
}

const struct ivshm_state_peer *ivshm_state_peer(const struct ivshm_state *state, uint32_t id)
{
	return &state->file->peer[id].slot[state->file->peer[id].at];
}

const struct ivshm_state_process *ivshm_state_process(const struct ivshm_state *state, uint32_t id)
{
	return &state->file->process[id].slot[state->file->process[id].at];
}

/*
 * Release: the record is stored before the word that makes it count. The partner is the next
 * broker, which the flock lets in when this one has ended.
 */
#define SET(at, slot, value)                                                                       \
	do {                                                                                       \
		uint64_t next = !(at);                                                             \
		(slot)[next] = *(value);                                                           \
		__atomic_store_n(&(at), next, __ATOMIC_RELEASE);                                   \
	} while (0)

void ivshm_state_set_group(struct ivshm_state *state, const struct ivshm_state_group *group)
{
	SET(state->file->group_at, state->file->group, group);
}

void ivshm_state_set_peer(struct ivshm_state *state, uint32_t id,
			  const struct ivshm_state_peer *peer)
{
	SET(state->file->peer[id].at, state->file->peer[id].slot, peer);
}

void ivshm_state_set_process(struct ivshm_state *state, uint32_t id,
			     const struct ivshm_state_process *process)
{
	SET(state->file->process[id].at, state->file->process[id].slot, process);
}
