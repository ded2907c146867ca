/* SPDX-License-Identifier: BSD-2-Clause */
/* launch.c: how one instance is started: program, arguments, environment, CPUs. */
#include "launch.h"

#include <argz.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ivshmem/log.h"

static const char kvm_device[] = "/dev/kvm";

/* What becomes a list of strings: see argz_add(3). */
struct words {
	char *text;
	size_t length;
	bool failed; /* out of memory, at any time */
};

static void add(struct words *words, const char *word)
{
	words->failed |= argz_add(&words->text, &words->length, word) != 0;
}

__attribute__((format(printf, 2, 3))) static void add_format(struct words *words,
							     const char *format, ...)
{
	va_list args;
	char *word;

	va_start(args, format);
	if (vasprintf(&word, format, args) < 0)
		word = NULL;
	va_end(args);
	if (word)
		add(words, word);
	else
		words->failed = true;
	free(word);
}

/* An option and its value. */
#define add_option(words, option, ...) (add(words, option), add_format(words, __VA_ARGS__))

static void add_all(struct words *words, char *const *all, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		add(words, all[i]);
}

/* PREFIX and the numbers, separated by commas. */
static void add_numbers(struct words *words, const char *prefix, const unsigned *number,
			unsigned count)
{
	struct words list = {0};

	for (unsigned i = 0; i < count; i++)
		add_format(&list, "%u", number[i]);
	argz_stringify(list.text, list.length, ',');
	add_format(words, "%s%s", prefix, list.failed ? "" : list.text);
	words->failed |= list.failed;
	free(list.text);
}

/* isthmus-vm: beside this program (build tree) or in ../libexec/isthmus (installed). */
static int find_vm_program(char *out, size_t size, char *error, size_t error_size)
{
	static const char *const places[] = {"", "../libexec/isthmus/"};
	char self[PATH_MAX];
	ssize_t length;

	length = readlink("/proc/self/exe", self, sizeof(self));
	if (length < 0 || length == sizeof(self))
		return ivshm_fail(error, error_size, -EIO, "/proc/self/exe cannot be read");
	while (length > 0 && self[length - 1] != '/')
		length--;
	self[length] = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (snprintf(out, size, "%s%sisthmus-vm", self, places[i]) < (int)size &&
		    !access(out, X_OK))
			return 0;
	}
	return ivshm_fail(error, error_size, -ENOENT,
			  "isthmus-vm is missing: it is neither in %s nor in %s%s", self, self,
			  places[1]);
}

static int prepare_vm(const struct ivshm_instance_config *instance,
		      const struct launch_options *options, struct words *argv, char *error,
		      size_t error_size)
{
	static const char *const policies[] = {
		[IVSHM_NUMA_BIND] = "bind:",
		[IVSHM_NUMA_INTERLEAVE] = "interleave:",
		[IVSHM_NUMA_PREFERRED] = "preferred:",
	};
	bool guest_is_linux = instance->kind == IST_KIND_LINUX;
	char program[PATH_MAX];
	int ret;

	if (options->no_kvm)
		return ivshm_fail(error, error_size, -ENODEV, "%s: a Linux guest needs KVM",
				  options->no_kvm);
	ret = find_vm_program(program, sizeof(program), error, error_size);
	if (ret)
		return ret;
	add(argv, program);
	add_option(argv, "--name", "%s", instance->name);
	add_option(argv, guest_is_linux ? "--kernel" : "--image", "%s", instance->image);
	if (instance->initrd)
		add_option(argv, "--initrd", "%s", instance->initrd);
	if (instance->cmdline)
		add_option(argv, "--cmdline", "%s", instance->cmdline);
	if (guest_is_linux)
		add_option(argv, "--personality", "v%u", instance->personality);
	add_option(argv, "--memory", "%llu", (unsigned long long)instance->memory);
	if (instance->page_size > IST_PAGE)
		add_option(argv, "--page-size", "%s", instance->page_size >> 30 ? "1G" : "2M");
	add_option(argv, "--vcpus", "%u", instance->vcpus);
	if (instance->cpus_count) {
		add(argv, "--cpus");
		add_numbers(argv, "", instance->cpus, instance->cpus_count);
	}
	if (instance->numa.policy != IVSHM_NUMA_DEFAULT) {
		add(argv, "--numa");
		add_numbers(argv, policies[instance->numa.policy], instance->numa.nodes,
			    instance->numa.nodes_count);
	}
	for (unsigned i = 0; i < instance->groups_count; i++)
		add_option(argv, "--group", "%s=%s/%s.sock", instance->groups[i], options->dir,
			   instance->groups[i]);
	if (options->verbose)
		add(argv, "-v");
	if (!guest_is_linux) {
		add(argv, "--");
		add_all(argv, instance->args, instance->args_count);
	}
	return 0;
}

/* An app as a process: its `command`, or the program that lies beside its image. */
static int prepare_process(const struct ivshm_instance_config *instance, struct words *argv,
			   char *error, size_t error_size)
{
	static const char suffix[] = ".app";
	const char *image = instance->image;
	size_t length;

	if (instance->command_count) {
		add_all(argv, instance->command, instance->command_count);
		return 0;
	}
	length = image ? strlen(image) : 0;
	if (length < sizeof(suffix) || strcmp(image + length - strlen(suffix), suffix) != 0)
		return ivshm_fail(error, error_size, -EINVAL,
				  "no program to run as a process: there is no `command`, and the "
				  "image is not named PROGRAM.app");
	/* Without a slash it would be looked for in $PATH. */
	add_format(argv, "%s%.*s", strchr(image, '/') ? "" : "./", (int)(length - strlen(suffix)),
		   image);
	add_all(argv, instance->args, instance->args_count);
	return 0;
}

const char *launch_why_no_kvm(const struct ivshm_config *config, bool refused)
{
	static char reason[128];

	if (refused)
		snprintf(reason, sizeof(reason), "--no-kvm");
	else if (!access(kvm_device, R_OK | W_OK))
		return NULL;
	else if (errno == ENOENT)
		snprintf(reason, sizeof(reason), "no %s", kvm_device);
	else
		snprintf(reason, sizeof(reason), "%s: %m", kvm_device);
	for (unsigned i = 0; i < config->instances_count; i++) {
		if (config->instances[i].kind == IST_KIND_APP) {
			ivshm_log(IVSHM_LOG_WARN, "%s: app instances run as processes", reason);
			break;
		}
	}
	return reason;
}

int launch_prepare(const struct ivshm_instance_config *instance,
		   const struct launch_options *options, struct launch *out, char *error,
		   size_t error_size)
{
	struct words argv = {0}, groups = {0};
	bool app = instance->kind == IST_KIND_APP && !options->no_kvm;
	int ret;

	*out = (struct launch){.vm = app || instance->kind == IST_KIND_LINUX};
	out->pinned = !out->vm && instance->cpus_count;
	for (unsigned i = 0; i < instance->cpus_count; i++)
		CPU_SET_S(instance->cpus[i], sizeof(out->cpus), out->cpus);
	ret = out->vm ? prepare_vm(instance, options, &argv, error, error_size)
		      : prepare_process(instance, &argv, error, error_size);
	if (ret)
		return ret;
	add_all(&groups, instance->groups, instance->groups_count);
	argz_stringify(groups.text, groups.length, ' ');
	out->argv = calloc(argz_count(argv.text, argv.length) + 1, sizeof(*out->argv));
	if (!out->argv || argv.failed || groups.failed ||
	    setenv("ISTHMUS_INSTANCE", instance->name, 1) ||
	    setenv("ISTHMUS_GROUPS", groups.length ? groups.text : "", 1) ||
	    setenv("ISTHMUS_RUNTIME_DIR", options->dir, 1)) {
		ret = ivshm_fail(error, error_size, -ENOMEM, "out of memory");
		free(out->argv);
		free(argv.text);
	} else {
		argz_extract(argv.text, argv.length, out->argv);
	}
	free(groups.text);
	return ret;
}

void launch_fini(struct launch *launch)
{
	free(launch->argv[0]); /* and all others behind it */
	free(launch->argv);
}

int launch_exec(const struct launch *launch)
{
	if (launch->pinned && sched_setaffinity(0, sizeof(launch->cpus), launch->cpus))
		return -errno;
	execvp(launch->argv[0], launch->argv);
	return -errno;
}
