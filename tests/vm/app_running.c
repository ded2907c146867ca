/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_running.c: watch | spin. What one instance sees of another's running, in an app VM and in a
 * process. Both go on until they are ended.
 *
 *   watch [NAME]   prints each change of what ist_peer_running() says of that peer, or "spinner"
 *   spin           spins
 */
#include <isthmus/isthmus.h>

int main(int argc, char **argv);

static int is(const char *word, const char *other)
{
	while (*word && *word == *other)
		word++, other++;
	return *word == *other;
}

static int watch(struct ist_group *group, const char *name)
{
	struct ist_peer_info peer;
	int seen = -1000, state;

	if (ist_peer_wait(group, name, 20000000000ull, &peer))
		return 1;
	ist_print("nobody: %d, beyond: %d\n", ist_peer_running(group, 3),
		  ist_peer_running(group, 64));
	for (;;) {
		state = ist_peer_running(group, peer.id);
		if (state != seen)
			ist_print("%s: %d\n", name, state);
		seen = state;
		ist_sleep_ns(1000000);
	}
}

int main(int argc, char **argv)
{
	struct ist_group *group;

	if (ist_group_open(NULL, &group))
		return 2;
	if (argc > 1 && is(argv[1], "watch"))
		return watch(group, argc > 2 ? argv[2] : "spinner");
	for (;;)
		__asm__ volatile("pause");
}
