/* SPDX-License-Identifier: BSD-2-Clause */
/* control_find.c: which `up` is meant, by the names of its file, groups and instances. */
#include "control.h"

#include <stdlib.h>
#include <string.h>

enum ivshm_control_match ivshm_control_match(const struct ivshm_control_up *up, const char *name)
{
	char path[PATH_MAX];

	if (ivshm_control_find(up, IVSHM_CONTROL_GROUP, name))
		return IVSHM_CONTROL_MATCH_GROUP;
	return realpath(name, path) && !strcmp(path, up->path) ? IVSHM_CONTROL_MATCH_FILE
							       : IVSHM_CONTROL_MATCH_NONE;
}

/* "there are a, b": all names of this type, or the files. */
static void print_names(const struct ivshm_control_ups *ups, uint32_t type, FILE *out)
{
	const char *before = "; there are ";

	for (unsigned u = 0; u < ups->count; u++) {
		const struct ivshm_control_up *up = &ups->up[u];

		if (type == IVSHM_CONTROL_UP) {
			fprintf(out, "%s%s (pid %d)", before, up->path, (int)up->pid);
			before = ", ";
		}
		for (unsigned i = 0; i < up->rows; i++) {
			if (up->row[i].type != type)
				continue;
			fprintf(out, "%s%s", before, up->row[i].name);
			before = ", ";
		}
	}
	if (*before == ';')
		fputs("; does `isthmus up` run?", out);
	fputc('\n', out);
}

const struct ivshm_control_up *ivshm_control_resolve(const struct ivshm_control_ups *ups,
						     const char *dir, const char *of,
						     const char *instance, FILE *errors)
{
	struct ivshm_control_ups found = {.up = calloc(ups->count + 1, sizeof(*found.up))};
	const struct ivshm_control_up *one = NULL;
	bool any = false;

	for (unsigned u = 0; found.up && u < ups->count; u++) {
		const struct ivshm_control_up *up = &ups->up[u];

		if (of && ivshm_control_match(up, of) == IVSHM_CONTROL_MATCH_NONE)
			continue;
		any = true;
		if (instance && !ivshm_control_find(up, IVSHM_CONTROL_INSTANCE, instance))
			continue;
		found.up[found.count++] = *up;
		one = up;
	}
	if (found.count > 1) {
		fprintf(errors, "isthmus: %s%s%s is of several: say which file",
			instance ? "instance '" : "this", instance ? instance : "",
			instance ? "'" : "");
		print_names(&found, IVSHM_CONTROL_UP, errors);
	} else if (found.count == 0 && of && !any) {
		fprintf(errors, "isthmus: no group or file '%s' is up in %s", of, dir);
		print_names(ups, IVSHM_CONTROL_GROUP, errors);
	} else if (found.count == 0 && instance) {
		fprintf(errors, "isthmus: no instance '%s' in %s", instance, of ? of : dir);
		print_names(ups, IVSHM_CONTROL_INSTANCE, errors);
	} else if (found.count == 0) {
		fprintf(errors, "isthmus: nothing is up in %s\n", dir);
	}
	free(found.up);
	return found.count == 1 ? one : NULL;
}
