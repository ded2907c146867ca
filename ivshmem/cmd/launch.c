/* SPDX-License-Identifier: BSD-2-Clause */
/* launch.c: how one instance is started: program, arguments, environment, CPUs. */
#include "launch.h"
#include "qemu.h"

#include <argz.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ivshmem/log.h"

static const char kvm_device[] = "/dev/kvm";

/* Tells why the instance cannot be started; gives `code`. */
#define fail(instance, code, format, ...)                                                          \
	(ivshm_log(IVSHM_LOG_ERROR, "%s: could not start: " format, (instance)->name,              \
		   ##__VA_ARGS__),                                                                 \
	 code)

/* One more word for the list; a stream without memory says so at its end. */
__attribute__((format(printf, 2, 3))) static void add(FILE *words, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(words, format, args);
	va_end(args);
	fputc('\0', words);
}

/* An option and its value. */
#define add_option(words, option, ...) (add(words, option), add(words, __VA_ARGS__))

static void add_all(FILE *words, char *const *all, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		add(words, "%s", all[i]);
}

/* The numbers, separated by commas. */
static void add_numbers(FILE *words, const unsigned *number, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fprintf(words, "%s%u", i ? "," : "", number[i]);
	fputc('\0', words);
}

/* isthmus-vm: beside this program (build tree) or in ../libexec/isthmus (installed). */
static int add_vm_program(const struct ivshm_instance_config *instance, FILE *words)
{
	static const char *const places[] = {"", "../libexec/isthmus/"};
	char self[PATH_MAX] = "", program[PATH_MAX + 64];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return fail(instance, -errno, "/proc/self/exe: %m");
	strrchr(self, '/')[1] = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(program, sizeof(program), "%s%sisthmus-vm", self, places[i]);
		if (!access(program, X_OK)) {
			add(words, "%s", program);
			return 0;
		}
	}
	return fail(instance, -ENOENT, "isthmus-vm is missing: it is neither in %s nor in %s%s",
		    self, self, places[1]);
}

static int add_vm(const struct ivshm_instance_config *instance,
		  const struct launch_options *options, FILE *argv)
{
	bool guest_is_linux = instance->kind == IST_KIND_LINUX;
	int ret = add_vm_program(instance, argv);

	if (ret)
		return ret;
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
		add_numbers(argv, instance->cpus, instance->cpus_count);
	}
	if (instance->numa.policy != IVSHM_NUMA_DEFAULT) {
		add(argv, "--numa");
		fprintf(argv, "%s:", ivshm_numa_names[instance->numa.policy]);
		add_numbers(argv, instance->numa.nodes, instance->numa.nodes_count);
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

/* QEMU: its `command`, and a device for each group. */
static void add_qemu(const struct ivshm_instance_config *instance,
		     const struct launch_options *options, FILE *argv)
{
	add_all(argv, instance->command, instance->command_count);
	for (unsigned i = 0; i < instance->groups_count; i++) {
		qemu_add_device(argv, '\0', options->dir, instance->name, instance->groups[i],
				ivshm_config_group(options->config, instance->groups[i])->vectors);
		fputc('\0', argv);
	}
}

/* An app as a process: its `command`, or the program that lies beside its image. */
static int add_process(const struct ivshm_instance_config *instance, FILE *argv)
{
	const char *image = instance->image ? instance->image : "", *suffix = strrchr(image, '.');

	if (instance->command_count) {
		add_all(argv, instance->command, instance->command_count);
		return 0;
	}
	if (!suffix || suffix == image || strcmp(suffix, ".app"))
		return fail(instance, -EINVAL,
			    "no program to run as a process: there is no `command`, and the "
			    "image is not named PROGRAM.app");
	/* Without a slash it would be looked for in $PATH. */
	add(argv, "%s%.*s", strchr(image, '/') ? "" : "./", (int)(suffix - image), image);
	add_all(argv, instance->args, instance->args_count);
	return 0;
}

/* The list's words, as argv. They stay where they are. NULL without memory. */
static char **split(char *words, size_t size)
{
	char **argv = calloc(argz_count(words, size) + 1, sizeof(*argv));

	if (argv)
		argz_extract(words, size, argv);
	return argv;
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

/* What an instance inherits. */
static int set_environment(const struct ivshm_instance_config *instance, const char *dir)
{
	char *groups = NULL;
	size_t size = 0;
	FILE *list = open_memstream(&groups, &size);
	bool bad = !list;

	for (unsigned i = 0; list && i < instance->groups_count; i++)
		fprintf(list, "%s%s", i ? " " : "", instance->groups[i]);
	bad = bad || fclose(list) || setenv("ISTHMUS_GROUPS", groups, 1) ||
	      setenv("ISTHMUS_INSTANCE", instance->name, 1) ||
	      setenv("ISTHMUS_RUNTIME_DIR", dir, 1);
	free(groups);
	return bad ? -ENOMEM : 0;
}

int launch_prepare(const struct ivshm_instance_config *instance,
		   const struct launch_options *options, struct launch *out)
{
	bool app = instance->kind == IST_KIND_APP && !options->no_kvm;
	char *text = NULL;
	size_t size = 0;
	FILE *argv;
	int ret = 0;

	*out = (struct launch){.vm = app || instance->kind == IST_KIND_LINUX};
	out->pinned = !out->vm && instance->cpus_count;
	if (!out->vm)
		out->numa = instance->numa;
	for (unsigned i = 0; i < instance->cpus_count; i++)
		CPU_SET_S(instance->cpus[i], sizeof(out->cpus), out->cpus);
	if (out->vm && options->no_kvm)
		return fail(instance, -ENODEV, "%s: a Linux guest needs KVM", options->no_kvm);
	argv = open_memstream(&text, &size);
	if (!argv)
		return fail(instance, -ENOMEM, "out of memory");
	if (out->vm)
		ret = add_vm(instance, options, argv);
	else if (instance->kind == IST_KIND_QEMU && instance->command_count)
		add_qemu(instance, options, argv);
	else
		ret = add_process(instance, argv);
	if (!fclose(argv) && !ret)
		out->argv = split(text, size);
	if (!ret && (!out->argv || set_environment(instance, options->dir)))
		ret = fail(instance, -ENOMEM, "out of memory");
	if (ret) {
		free(out->argv);
		free(text);
	}
	return ret;
}

void launch_fini(struct launch *launch)
{
	free(launch->argv[0]); /* and all others behind it */
	free(launch->argv);
}

int launch_exec(const struct launch *launch)
{
	int ret = ivshm_numa_become(&launch->numa);

	if (ret)
		return ret;
	if (launch->pinned && sched_setaffinity(0, sizeof(launch->cpus), launch->cpus))
		return -errno;
	execvp(launch->argv[0], launch->argv);
	return -errno;
}
