/* SPDX-License-Identifier: BSD-2-Clause */
/* launch.c: how one instance is started: program, arguments, environment, CPUs. */
#include "launch.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ivshmem/log.h"

static const char kvm_device[] = "/dev/kvm";

/* Takes `word` over; NULL says that there was no memory for it. */
static void words_add(struct words *words, char *word)
{
	char **grown = NULL;

	if (word)
		grown = reallocarray(words->word, words->count + 2, sizeof(*grown));
	if (!grown) {
		free(word);
		words->failed = true;
		return;
	}
	grown[words->count++] = word;
	grown[words->count] = NULL;
	words->word = grown;
}

static void add(struct words *words, const char *word)
{
	words_add(words, strdup(word));
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
	words_add(words, word);
}

static void add_all(struct words *words, char *const *all, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		add(words, all[i]);
}

/* PREFIX and the numbers, separated by commas. */
static void add_numbers(struct words *words, const char *prefix, const unsigned *number,
			unsigned count)
{
	size_t size = strlen(prefix) + (size_t)count * 11 + 1;
	char *text = malloc(size);
	char *end = text;

	if (text) {
		end = stpcpy(end, prefix);
		for (unsigned i = 0; i < count; i++)
			end += sprintf(end, "%s%u", i ? "," : "", number[i]);
	}
	words_add(words, text);
}

static void words_fini(struct words *words)
{
	for (unsigned i = 0; i < words->count; i++)
		free(words->word[i]);
	free(words->word);
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
	char program[PATH_MAX];
	int ret;

	ret = find_vm_program(program, sizeof(program), error, error_size);
	if (ret)
		return ret;
	add(argv, program);
	add(argv, "--name");
	add(argv, instance->name);
	add(argv, "--image");
	add(argv, instance->image);
	add(argv, "--memory");
	add_format(argv, "%llu", (unsigned long long)instance->memory);
	add(argv, "--vcpus");
	add_format(argv, "%u", instance->vcpus);
	if (instance->cpus_count) {
		add(argv, "--cpus");
		add_numbers(argv, "", instance->cpus, instance->cpus_count);
	}
	if (instance->numa.policy != IVSHM_NUMA_DEFAULT) {
		add(argv, "--numa");
		add_numbers(argv, policies[instance->numa.policy], instance->numa.nodes,
			    instance->numa.nodes_count);
	}
	for (unsigned i = 0; i < instance->groups_count; i++) {
		add(argv, "--group");
		add_format(argv, "%s=%s/%s.sock", instance->groups[i], options->dir,
			   instance->groups[i]);
	}
	if (options->verbose)
		add(argv, "-v");
	add(argv, "--");
	add_all(argv, instance->args, instance->args_count);
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

static void prepare_environment(const struct ivshm_instance_config *instance,
				const struct launch_options *options, struct words *environment)
{
	static const char *const ours[] = {
		"ISTHMUS_INSTANCE=", "ISTHMUS_GROUPS=", "ISTHMUS_RUNTIME_DIR="};
	char *groups = NULL;
	size_t groups_size;
	FILE *list;

	for (char **entry = environ; *entry; entry++) {
		bool replaced = false;

		for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
			replaced |= !strncmp(*entry, ours[i], strlen(ours[i]));
		if (!replaced)
			add(environment, *entry);
	}
	add_format(environment, "%s%s", ours[0], instance->name);
	list = open_memstream(&groups, &groups_size);
	if (list) {
		fputs(ours[1], list);
		for (unsigned i = 0; i < instance->groups_count; i++)
			fprintf(list, "%s%s", i ? " " : "", instance->groups[i]);
		if (fclose(list)) {
			free(groups);
			groups = NULL;
		}
	}
	words_add(environment, groups);
	add_format(environment, "%s%s", ours[2], options->dir);
}

static int prepare_cpus(const struct ivshm_instance_config *instance, struct launch *launch)
{
	unsigned highest = 0;

	for (unsigned i = 0; i < instance->cpus_count; i++)
		if (instance->cpus[i] > highest)
			highest = instance->cpus[i];
	launch->cpus_size = CPU_ALLOC_SIZE(highest + 1);
	launch->cpus = CPU_ALLOC(highest + 1);
	if (!launch->cpus)
		return -ENOMEM;
	CPU_ZERO_S(launch->cpus_size, launch->cpus);
	for (unsigned i = 0; i < instance->cpus_count; i++)
		CPU_SET_S(instance->cpus[i], launch->cpus_size, launch->cpus);
	return 0;
}

bool launch_is_vm(const struct ivshm_instance_config *instance,
		  const struct launch_options *options)
{
	return options->kvm && instance->kind == IST_KIND_APP;
}

bool launch_has_kvm(const struct ivshm_config *config, bool refused)
{
	unsigned apps = 0;
	int missing = 0;

	for (unsigned i = 0; i < config->instances_count; i++)
		apps += config->instances[i].kind == IST_KIND_APP;
	if (!refused && access(kvm_device, R_OK | W_OK))
		missing = errno;
	if (apps && refused)
		ivshm_log(IVSHM_LOG_WARN, "--no-kvm: app instances run as processes");
	else if (apps && missing == ENOENT)
		ivshm_log(IVSHM_LOG_WARN, "no %s: app instances run as processes", kvm_device);
	else if (apps && missing)
		ivshm_log(IVSHM_LOG_WARN, "%s: %s: app instances run as processes", kvm_device,
			  strerror(missing));
	return !refused && !missing;
}

int launch_prepare(const struct ivshm_instance_config *instance,
		   const struct launch_options *options, struct launch *out, char *error,
		   size_t error_size)
{
	int ret;

	*out = (struct launch){0};
	if (launch_is_vm(instance, options)) {
		ret = prepare_vm(instance, options, &out->argv, error, error_size);
	} else {
		ret = prepare_process(instance, &out->argv, error, error_size);
		if (!ret && instance->cpus_count && prepare_cpus(instance, out))
			out->argv.failed = true;
	}
	if (!ret) {
		prepare_environment(instance, options, &out->environment);
		if (out->argv.failed || out->environment.failed)
			ret = ivshm_fail(error, error_size, -ENOMEM, "out of memory");
	}
	if (ret)
		launch_fini(out);
	return ret;
}

void launch_fini(struct launch *launch)
{
	words_fini(&launch->argv);
	words_fini(&launch->environment);
	CPU_FREE(launch->cpus);
}

int launch_exec(const struct launch *launch)
{
	if (launch->cpus && sched_setaffinity(0, launch->cpus_size, launch->cpus))
		return -errno;
	execvpe(launch->argv.word[0], launch->argv.word, launch->environment.word);
	return -errno;
}
