/* SPDX-License-Identifier: BSD-2-Clause */
/* status_text.c: what an `up` says of itself, as tables for people. */
#include "config_internal.h"
#include "control.h"
#include "size.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define COLUMNS_MAX 16u

/* Prints lines of cells that end with tabs (the last with the line), each column as wide as it
 * needs. */
static void print_aligned(const char *text, FILE *out)
{
	int width[COLUMNS_MAX] = {0};

	for (unsigned pass = 0; pass < 2; pass++) {
		unsigned column = 0;

		for (const char *at = text; *at; at++) {
			int length = (int)strcspn(at, "\t\n");
			bool last = at[length] == '\n';

			if (pass == 0 && !last && length > width[column])
				width[column] = length;
			if (pass == 1)
				fprintf(out, "%-*.*s%s", last ? 0 : width[column], length, at,
					last ? "\n" : "  ");
			column = last || column + 1 == COLUMNS_MAX ? 0 : column + 1;
			at += length;
		}
	}
}

/* "12s", "3m", "2h", "5d": rounded down. */
static void print_age(FILE *cells, uint64_t age_ns)
{
	uint64_t s = age_ns / 1000000000u;

	if (s < 120)
		fprintf(cells, "%us", (unsigned)s);
	else if (s < 120 * 60)
		fprintf(cells, "%um", (unsigned)(s / 60));
	else if (s < 48 * 3600)
		fprintf(cells, "%uh", (unsigned)(s / 3600));
	else
		fprintf(cells, "%ud", (unsigned)(s / 86400));
}

static void print_pid(FILE *cells, int pid)
{
	if (pid)
		fprintf(cells, "%d", pid);
	else
		fputc('-', cells);
}

static void print_instance(FILE *cells, const struct ivshm_control_row *row)
{
	fprintf(cells, "%s\t%s\t", row->name, config_kind_names[row->kind & 3]);
	if (row->process == IVSHM_CONTROL_RUNS)
		fputs(row->flags & IVSHM_CONTROL_STALLED ? "stalled" : "running", cells);
	else if (row->process != IVSHM_CONTROL_ENDED)
		fputs("not started", cells);
	else if (row->flags & IVSHM_CONTROL_UNKNOWN)
		fputs("ended", cells);
	else if (WIFSIGNALED(row->code))
		fprintf(cells, "killed by signal %d", WTERMSIG(row->code));
	else
		fprintf(cells, "ended with status %d", WEXITSTATUS(row->code));
	fputc('\t', cells);
	print_pid(cells, row->pid);
	fputc('\t', cells);
	if (row->process == IVSHM_CONTROL_NEVER)
		fputc('-', cells);
	else
		print_age(cells, row->age_ns);
	fputc('\n', cells);
}

static void print_rights(FILE *cells, const struct ivshm_control_up *up, unsigned group,
			 const struct ivshm_control_row *peer)
{
	const char *between = "";

	for (unsigned i = group + 1; i < up->rows && up->row[i].type == IVSHM_CONTROL_REGION; i++) {
		uint32_t right = IVSHM_CONTROL_RIGHT(peer->rights, up->row[i].index);

		fprintf(cells, "%s%s %s", between, up->row[i].name,
			right > IST_RIGHT_WRITE ? "?" : config_access_names[right]);
		between = ", ";
	}
	fputs(*between ? "\n" : "-\n", cells);
}

static void print_peer(FILE *cells, const struct ivshm_control_up *up, unsigned group,
		       const struct ivshm_control_row *row)
{
	static const char *const states[] = {"absent", "joining", "live", "leaving", "dead"};

	fprintf(cells, "  %u\t%s\t%s%s%s%s%s", row->index, row->name,
		row->state <= IST_PEER_DEAD ? states[row->state] : "?",
		row->flags & IVSHM_CONTROL_STALLED ? ", stalled" : "",
		row->flags & IVSHM_CONTROL_AWAY ? ", away" : "",
		row->flags & IVSHM_CONTROL_DEAF ? ", deaf" : "",
		row->flags & IVSHM_CONTROL_UNREACHED ? ", unreachable" : "");
	if (row->flags & IVSHM_CONTROL_BACK) {
		fputs(", back for ", cells);
		print_age(cells, row->back_ns);
	}
	fputc('\t', cells);
	if (row->incarnation)
		fprintf(cells, "%u\t", row->incarnation);
	else
		fputs("-\t", cells);
	print_pid(cells, row->pid);
	fputc('\t', cells);
	if (row->incarnation)
		print_age(cells, row->age_ns);
	else
		fputc('-', cells);
	if (row->flags & IVSHM_CONTROL_JOINED)
		fprintf(cells, "\t%" PRIu64 "\t%" PRIu64, row->sent, row->received);
	else
		fputs("\t-\t-", cells);
	if (row->flags & IVSHM_CONTROL_COUNTED)
		fprintf(cells, "\t%" PRIu64, row->doorbells);
	else
		fputs("\t-", cells);
	fprintf(cells, "\t%s\t",
		!(row->flags & IVSHM_CONTROL_JOINED)  ? "-"
		: row->flags & IVSHM_CONTROL_ENFORCED ? "enforced"
						      : "asked");
	print_rights(cells, up, group, row);
}

/* A table is made of cells and printed: `make` writes them. */
static void print_table(const struct ivshm_control_up *up, unsigned at, const char *group,
			void (*make)(FILE *cells, const struct ivshm_control_up *up, unsigned at,
				     const char *group),
			FILE *out)
{
	char *text = NULL;
	size_t size = 0;
	FILE *cells = open_memstream(&text, &size);

	if (cells) {
		make(cells, up, at, group);
		if (!fclose(cells))
			print_aligned(text, out);
	}
	free(text);
}

static void make_instances(FILE *cells, const struct ivshm_control_up *up, unsigned at,
			   const char *group)
{
	fputs("INSTANCE\tKIND\tSTATE\tPID\tSINCE\n", cells);
	for (; at < up->rows; at++) {
		const struct ivshm_control_row *row = &up->row[at];

		if (row->type == IVSHM_CONTROL_INSTANCE &&
		    (!group || ivshm_control_member(up, group, row->name)))
			print_instance(cells, row);
	}
}

static void make_peers(FILE *cells, const struct ivshm_control_up *up, unsigned at,
		       const char *group)
{
	(void)group;
	fputs("  "
	      "ID\tPEER\tSTATE\tINCARNATION\tPID\tSINCE\tSENT\tRECEIVED\tDOORBELLS\tRIGHTS\tREGIONS"
	      "\n",
	      cells);
	for (unsigned i = at + 1; i < up->rows && up->row[i].type != IVSHM_CONTROL_GROUP; i++) {
		if (up->row[i].type == IVSHM_CONTROL_PEER)
			print_peer(cells, up, at, &up->row[i]);
	}
}

static void print_group(const struct ivshm_control_up *up, unsigned at, FILE *out)
{
	const struct ivshm_control_row *group = &up->row[at];
	char size[IVSHM_SIZE_TEXT];
	unsigned joined = 0;

	for (unsigned i = at + 1; i < up->rows && up->row[i].type != IVSHM_CONTROL_GROUP; i++)
		joined += up->row[i].type == IVSHM_CONTROL_PEER &&
			  up->row[i].flags & IVSHM_CONTROL_JOINED;
	fprintf(out, "\ngroup %s: %s, %u of at most %u peers, %s%s%s\n", group->name,
		ivshm_size_format(group->size, size), joined, group->count,
		group->flags & IVSHM_CONTROL_RUN_STATE ? "run state" : "no run state",
		group->flags & IVSHM_CONTROL_TAKEN ? ", taken over" : "",
		group->flags & IVSHM_CONTROL_WAITING ? ", waits for its memory" : "");
	print_table(up, at, NULL, make_peers, out);
}

void ivshm_status_text(const struct ivshm_control_up *up, const char *group, FILE *out)
{
	fprintf(out, "%s, pid %d, up ", up->path, (int)up->pid);
	print_age(out, up->age_ns);
	fputc('\n', out);
	print_table(up, 0, group, make_instances, out);
	for (unsigned i = 0; i < up->rows; i++) {
		if (up->row[i].type == IVSHM_CONTROL_GROUP &&
		    (!group || !strcmp(up->row[i].name, group)))
			print_group(up, i, out);
	}
}
