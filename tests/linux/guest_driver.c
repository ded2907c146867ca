/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest_driver.c: isthmus.ko as its users meet it: every call, error and right of abi.h, "Linux
 * guests". In a Linux guest, as root. Rings itself, so one guest is enough. Prints TAP.
 *   guest_driver DEVICE                     all tests
 *   guest_driver DEVICE watch PEER STATE    waits until the kernel tells that of the peer
 */
#include "guest_driver.h"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

/* ---- What the device says of itself ---------------------------------------------------------- */

static const char *attribute(const char *name)
{
	static char text[4096];
	char path[256];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/isthmus/%s/%s", strrchr(device_path, '/') + 1,
		 name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length < 0 ? 0 : length] = 0;
	return text;
}

static bool attribute_is(const char *name, uint64_t value)
{
	char *end;

	return strtoull(attribute(name), &end, 10) == value && !strcmp(end, "\n");
}

static void test_info(void)
{
	char line[128];

	ok(info.version == IST_LINUX_VERSION && (info.personality == 1 || info.personality == 2),
	   "INFO: version %u, personality %u", info.version, info.personality);
	ok(info.id < info.max_peers && info.max_peers == roster->max_peers &&
		   info.regions == roster->regions && info.size == roster->total_size &&
		   !strcmp(info.name, roster->name) && info.vectors <= roster->vectors,
	   "INFO: peer %u of group %s, %u vectors, as in the roster", info.id, info.name,
	   info.vectors);
	ok(info.incarnation == IST_PEER_INCARNATION(peers[info.id].word),
	   "INFO: incarnation %u, as in the roster", info.incarnation);
	ok(info.client >= 1 && info.client < IST_CLIENTS_MAX, "INFO: client %u", info.client);
	for (uint32_t i = 0; i < info.regions; i++) {
		uint32_t right = regions[i].writers >> info.id & 1   ? IST_RIGHT_WRITE
				 : regions[i].readers >> info.id & 1 ? IST_RIGHT_READ
								     : IST_RIGHT_NONE;

		ok(info.rights[i] == right, "INFO: right %u on region %s", right, regions[i].name);
	}
	ok(attribute_is("id", info.id) && attribute_is("incarnation", info.incarnation) &&
		   attribute_is("personality", info.personality) &&
		   attribute_is("vectors", info.vectors) &&
		   attribute_is("max_peers", info.max_peers) && attribute_is("size", info.size),
	   "sysfs says the same");
	snprintf(line, sizeof(line), "%s\n", info.name);
	ok(!strcmp(attribute("group"), line), "sysfs: group");
	snprintf(line, sizeof(line), "%u %u ", info.id, info.incarnation);
	ok(strstr(attribute("peers"), line) != NULL, "sysfs: peers has this one");
	for (uint32_t i = 0; i < info.regions; i++) {
		const char *const rights[] = {"none", "read", "write"};

		snprintf(line, sizeof(line), "%s 0x%llx 0x%llx %s ", regions[i].name,
			 (unsigned long long)regions[i].offset, (unsigned long long)regions[i].size,
			 rights[info.rights[i]]);
		ok(strstr(attribute("regions"), line) != NULL, "sysfs: regions has %s",
		   regions[i].name);
	}
}

static void test_calls(void)
{
	int second = open_device(O_RDWR), third;
	uint32_t client = info_of(second).client;

	ok(fails(ioctl(device, 0x4900, NULL), ENOTTY), "an unknown ioctl: ENOTTY");
	ok(fails(ioctl(device, IST_IOCTL_INFO, (void *)8), EFAULT), "INFO to nowhere: EFAULT");
	ok(fails(ioctl(device, IST_IOCTL_WAIT, (void *)8), EFAULT), "WAIT from nowhere: EFAULT");
	ok(client != info.client, "another open file is another client");
	third = open_device(O_RDWR);
	ok(info_of(third).client != client && info_of(third).client != info.client,
	   "a third is yet another");
	close(second);
	second = open_device(O_RDWR);
	ok(info_of(second).client == client, "the lowest free number is the next");
	close(second);
	close(third);
	ok(fails(write(device, "x", 1), EINVAL), "write(): EINVAL");
	ok(fails(lseek(device, 0, SEEK_SET), ESPIPE), "lseek(): ESPIPE");
}

/* ---- Peers ----------------------------------------------------------------------------------- */

static int watch(const char *peer, const char *state)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	struct pollfd polled[2] = {{.fd = events, .events = POLLIN},
				   {.fd = device, .events = POLLPRI}};
	char text[4096], wanted_peer[64], wanted_state[64];
	bool told = false, seen = false;

	snprintf(wanted_peer, sizeof(wanted_peer), "PEER=%s", peer);
	snprintf(wanted_state, sizeof(wanted_state), "STATE=%s", state);
	if (events < 0 || bind(events, (struct sockaddr *)&address, sizeof(address)))
		bail("uevents");
	puts("watching");
	fflush(stdout);
	while (!(told && seen) && poll(polled, 2, 60000) > 0) {
		bool same_peer = false, same_state = false;
		ssize_t length = 0;

		if (polled[1].revents & POLLPRI) {
			seen = true;
			info_of(device);
		}
		if (polled[0].revents & POLLIN)
			length = recv(events, text, sizeof(text) - 1, 0);
		if (length > 0)
			text[length] = 0;
		for (char *line = text; line < text + length; line += strlen(line) + 1) {
			same_peer |= !strcmp(line, wanted_peer);
			same_state |= !strcmp(line, wanted_state);
		}
		told |= same_peer && same_state;
	}
	ok(seen, "POLLPRI");
	ok(told, "an uevent: %s is %s", peer, state);
	printf("# peers:\n%s1..%u\n", attribute("peers"), tests);
	return failures ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc != 2 && !(argc == 5 && !strcmp(argv[2], "watch"))) {
		fprintf(stderr, "usage: guest_driver DEVICE [watch PEER STATE]\n");
		return 2;
	}
	device_path = argv[1];
	open_all();
	if (argc == 5)
		return watch(argv[3], argv[4]);
	/* The last page of something that this peer may write: objects are put at the front. */
	for (uint32_t i = 0; i < info.regions; i++)
		if (info.rights[i] == IST_RIGHT_WRITE)
			place = regions[i].offset + regions[i].size - IST_PAGE;
	if (roster->output_size)
		place = roster->output_offset + (info.id + 1) * roster->output_size - IST_PAGE;
	if (!place) {
		printf("1..0 # SKIP this peer may write nothing\n");
		return 77;
	}
	test_info();
	test_calls();
	test_maps();
	test_sharing();
	test_ring_errors();
	test_doorbells();
	test_read_poll();
	test_eventfds();
	test_wait();
	test_holds();
	test_hold_limit();
	test_processes();
	test_unbind();
	printf("1..%u\n", tests);
	return failures ? 1 : 0;
}
