/* SPDX-License-Identifier: BSD-2-Clause */
/* status_json.c: what an `up` says of itself, for programs: isthmus(1) has each key. */
#include "config_internal.h"
#include "control.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* A path may hold any byte; from 0x80 on they are taken for UTF-8. */
static void print_string(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fprintf(out, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	fputc('"', out);
}

static void print_since(const char *key, bool known, uint64_t age_ns, FILE *out)
{
	time_t since = time(NULL) - (time_t)(age_ns / 1000000000u);
	struct tm tm;
	char text[32] = "";

	if (known && gmtime_r(&since, &tm))
		strftime(text, sizeof(text), "\"%Y-%m-%dT%H:%M:%SZ\"", &tm);
	fprintf(out, "\"%s\": %s", key, *text ? text : "null");
}

static void print_pid(int pid, FILE *out)
{
	if (pid)
		fprintf(out, "\"pid\": %d, ", pid);
	else
		fputs("\"pid\": null, ", out);
}

static const char *boolean(uint32_t flag)
{
	return flag ? "true" : "false";
}

static void print_instance(const struct ivshm_control_row *row, FILE *out)
{
	static const char *const states[] = {"never", "running", "ended"};

	fprintf(out,
		"{\"name\": \"%s\", \"kind\": \"%s\", \"autostart\": %s, \"state\": \"%s\", "
		"\"stalled\": %s, ",
		row->name, config_kind_names[row->kind & 3],
		boolean(row->flags & IVSHM_CONTROL_AUTOSTART),
		row->process <= IVSHM_CONTROL_ENDED ? states[row->process] : "?",
		boolean(row->flags & IVSHM_CONTROL_STALLED));
	print_pid(row->pid, out);
	if (row->process == IVSHM_CONTROL_ENDED && row->flags & IVSHM_CONTROL_UNKNOWN)
		fputs("\"status\": null, \"signal\": null, ", out);
	else if (row->process == IVSHM_CONTROL_ENDED && WIFSIGNALED(row->code))
		fprintf(out, "\"status\": null, \"signal\": %d, ", WTERMSIG(row->code));
	else if (row->process == IVSHM_CONTROL_ENDED)
		fprintf(out, "\"status\": %d, \"signal\": null, ", WEXITSTATUS(row->code));
	else
		fputs("\"status\": null, \"signal\": null, ", out);
	print_since("since", row->process != IVSHM_CONTROL_NEVER, row->age_ns, out);
	fputc('}', out);
}

static void print_region(const struct ivshm_control_row *row, FILE *out)
{
	static const char *const names[] = {"hardware", "page", "incoherent"};

	fprintf(out,
		"{\"name\": \"%s\", \"offset\": %" PRIu64 ", \"size\": %" PRIu64
		", \"coherence\": \"%s\"}",
		row->name, row->offset, row->size,
		row->coherence <= IST_COHERENCE_INCOHERENT ? names[row->coherence] : "?");
}

static void print_peer(const struct ivshm_control_up *up, unsigned group,
		       const struct ivshm_control_row *row, FILE *out)
{
	static const char *const states[] = {"absent", "joining", "live", "leaving", "dead"};
	const char *between = "";

	fprintf(out,
		"{\"id\": %u, \"name\": \"%s\", \"kind\": \"%s\", \"state\": \"%s\", "
		"\"stalled\": %s, \"incarnation\": %u, ",
		row->index, row->name, config_kind_names[row->kind & 3],
		row->state <= IST_PEER_DEAD ? states[row->state] : "?",
		boolean(row->flags & IVSHM_CONTROL_STALLED), row->incarnation);
	print_pid(row->pid, out);
	print_since("since", row->incarnation != 0, row->age_ns, out);
	fputs(", ", out);
	print_since("back", row->flags & IVSHM_CONTROL_BACK, row->back_ns, out);
	fprintf(out, ", \"away\": %s, \"deaf\": %s, \"reachable\": %s",
		boolean(row->flags & IVSHM_CONTROL_AWAY), boolean(row->flags & IVSHM_CONTROL_DEAF),
		boolean(row->flags & IVSHM_CONTROL_JOINED &&
			!(row->flags & IVSHM_CONTROL_UNREACHED)));
	if (row->flags & IVSHM_CONTROL_JOINED)
		fprintf(out, ", \"messages\": {\"sent\": %" PRIu64 ", \"received\": %" PRIu64 "}",
			row->sent, row->received);
	else
		fputs(", \"messages\": null", out);
	if (row->flags & IVSHM_CONTROL_COUNTED)
		fprintf(out, ", \"doorbells\": %" PRIu64, row->doorbells);
	else
		fputs(", \"doorbells\": null", out);
	fprintf(out, ", \"enforced\": %s, \"rights\": {",
		row->flags & IVSHM_CONTROL_JOINED ? boolean(row->flags & IVSHM_CONTROL_ENFORCED)
						  : "null");
	for (unsigned i = group + 1; i < up->rows && up->row[i].type == IVSHM_CONTROL_REGION; i++) {
		uint32_t right = IVSHM_CONTROL_RIGHT(row->rights, up->row[i].index);

		fprintf(out, "%s\"%s\": \"%s\"", between, up->row[i].name,
			right > IST_RIGHT_WRITE ? "?" : config_access_names[right]);
		between = ", ";
	}
	fputs("}}", out);
}

/* All rows of this type, of the group at `group` if they are of one, as a list. */
static void print_list(const struct ivshm_control_up *up, uint32_t type, unsigned group,
		       const char *only, FILE *out)
{
	const char *between = "";

	fputc('[', out);
	for (unsigned i = group; i < up->rows; i++) {
		const struct ivshm_control_row *row = &up->row[i];

		if (i > group && row->type == IVSHM_CONTROL_GROUP)
			break;
		if (row->type != type || (only && !ivshm_control_member(up, only, row->name)))
			continue;
		fputs(between, out);
		between = ", ";
		if (type == IVSHM_CONTROL_INSTANCE)
			print_instance(row, out);
		else if (type == IVSHM_CONTROL_REGION)
			print_region(row, out);
		else
			print_peer(up, group, row, out);
	}
	fputc(']', out);
}

static void print_group(const struct ivshm_control_up *up, unsigned at, const char *dir, FILE *out)
{
	const struct ivshm_control_row *row = &up->row[at];
	char path[PATH_MAX + IST_NAME_SIZE + 8];

	fprintf(out, "{\"name\": \"%s\", \"socket\": ", row->name);
	snprintf(path, sizeof(path), "%s/%s.sock", dir, row->name);
	print_string(path, out);
	fprintf(out,
		", \"size\": %" PRIu64 ", \"page_size\": %" PRIu64
		", \"vectors\": %u, \"max_peers\": %u, \"run_state\": %s, "
		"\"taken_over\": %s, \"whole\": %s, \"regions\": ",
		row->size, row->page_size, row->vectors, row->count,
		boolean(row->flags & IVSHM_CONTROL_RUN_STATE),
		boolean(row->flags & IVSHM_CONTROL_TAKEN),
		boolean(!(row->flags & IVSHM_CONTROL_WAITING)));
	print_list(up, IVSHM_CONTROL_REGION, at, NULL, out);
	fputs(", \"peers\": ", out);
	print_list(up, IVSHM_CONTROL_PEER, at, NULL, out);
	fputc('}', out);
}

void ivshm_status_json(const struct ivshm_control_up *up, const char *group, const char *dir,
		       FILE *out)
{
	const char *between = "";

	fputs("{\"file\": ", out);
	print_string(up->path, out);
	fprintf(out, ", \"pid\": %d, ", (int)up->pid);
	print_since("since", true, up->age_ns, out);
	fputs(", \"instances\": ", out);
	print_list(up, IVSHM_CONTROL_INSTANCE, 0, group, out);
	fputs(", \"groups\": [", out);
	for (unsigned i = 0; i < up->rows; i++) {
		if (up->row[i].type != IVSHM_CONTROL_GROUP ||
		    (group && strcmp(up->row[i].name, group) != 0))
			continue;
		fputs(between, out);
		between = ", ";
		print_group(up, i, dir, out);
	}
	fputs("]}", out);
}
