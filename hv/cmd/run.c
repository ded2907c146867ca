/* SPDX-License-Identifier: BSD-2-Clause */
/* run.c: `isthmus run FILE INSTANCE`: becomes one instance, beside a running `isthmus up`. */
#include "command.h"
#include "launch.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ivshmem/log.h"

static const char usage[] =
	"Usage: isthmus run [OPTION...] FILE INSTANCE\n"
	"Start INSTANCE of FILE in the foreground, to join the groups that an `isthmus up FILE`\n"
	"has opened: for instances with `autostart: false` and for those that have ended.\n\n"
	"      --no-kvm           run an app instance as a process\n"
	"      --runtime-dir DIR  where the groups' sockets are\n"
	"  -v, --verbose          say more\n";

/* Whether somebody serves the group: asked now, while the answer can be put in plain words. */
static int probe_group(const char *dir, const char *group)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int ret = 0;
	int fd;

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s.sock", dir, group) >=
	    (int)sizeof(address.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		ret = -errno;
	close(fd);
	return ret;
}

static int run(const struct ivshm_config *config, const char *name,
	       const struct launch_options *options)
{
	struct launch_options own = *options;
	const struct ivshm_instance_config *instance = ivshm_config_instance(config, name);
	char dir[PATH_MAX], error[1024];
	struct launch launch;
	int ret;

	if (!instance) {
		ivshm_log(IVSHM_LOG_ERROR, "%s has no instance '%s'", config->path, name);
		return -ENOENT;
	}
	for (unsigned i = 0; i < instance->groups_count; i++) {
		ret = probe_group(options->dir, instance->groups[i]);
		if (ret) {
			ivshm_log(IVSHM_LOG_ERROR,
				  "%s: group %s is not open in %s: %s; start `isthmus up %s` first",
				  name, instance->groups[i], options->dir, strerror(-ret),
				  config->path);
			return ret;
		}
	}
	/* The instance may change its directory. */
	if (realpath(options->dir, dir))
		own.dir = dir;
	ret = launch_prepare(instance, &own, &launch, error, sizeof(error));
	if (ret) {
		ivshm_log(IVSHM_LOG_ERROR, "%s: could not start: %s", name, error);
		return ret;
	}
	ret = launch_exec(&launch);
	ivshm_log(IVSHM_LOG_ERROR, "%s: could not start: %s: %s", name, launch.argv.word[0],
		  strerror(-ret));
	launch_fini(&launch);
	return ret;
}

int command_run(int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"no-kvm", no_argument, NULL, 'K'},
		{"runtime-dir", required_argument, NULL, 'd'},
		{"verbose", no_argument, NULL, 'v'},
		{0},
	};
	struct launch_options launch = {0};
	struct ivshm_config *config;
	const char *given_dir = NULL;
	char dir[PATH_MAX];
	bool no_kvm = false;
	int option;

	argv[0] = (char[]){"isthmus run"};
	while ((option = getopt_long(argc, argv, "hv", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		case 'K':
			no_kvm = true;
			break;
		case 'd':
			given_dir = optarg;
			break;
		case 'v':
			launch.verbose = true;
			break;
		default:
			return usage_hint("run");
		}
	}
	if (argc - optind != 2) {
		fputs("isthmus run: FILE and INSTANCE are needed\n", stderr);
		return usage_hint("run");
	}
	config = load_usable(argv[optind]);
	if (!config)
		return EXIT_FAILURE;
	if (!find_runtime_dir(given_dir, dir, sizeof(dir))) {
		launch.dir = dir;
		launch.kvm = launch_has_kvm(config, no_kvm);
		run(config, argv[optind + 1], &launch);
	}
	ivshm_config_free(config);
	return EXIT_FAILURE;
}
