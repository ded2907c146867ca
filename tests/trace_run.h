/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace_run.h: three instances that use one unit, or some, in a trace build: processes that race,
 * die, stop and come back, with this one as their broker. What each says of its steps is in
 * `trace`.
 *
 * A program fills in `run`, and defines nothing of trace.h: coh_trace() is here.
 */
#ifndef TESTS_TRACE_RUN_H
#define TESTS_TRACE_RUN_H

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/trace_log.h"
#include "tests/xorshift.h"

#define RUN_INSTANCES 3u
#define FAULTS_MAX 512u

/* Where a fault comes: before the step; after its effect, when nothing is said of it; after that.
 */
enum run_when { BEFORE, UNSAID, SAID };

struct run_fault {
	unsigned step;
	enum run_when when;
	unsigned occurrence;
	int signal;
};

static struct {
	/* Of the broker: a new incarnation of instance i is let in; and it is gone, and that is
	   told. */
	void (*admit)(unsigned i, uint32_t life);
	void (*gone)(unsigned i, int died);
	/* The process: until run_over(). 0, or what must not be. */
	int (*work)(unsigned i);
	/* Which unit's word this is. */
	unsigned (*unit)(const struct ist_directory *where);
	unsigned instances; /* that run: RUN_INSTANCES, or fewer */
	uint64_t entries;   /* how long the trace gets */
	uint64_t random;
} run;

static struct trace_log *trace;
static struct run_shared {
	int stop;                 /* atomic: all is done */
	int fired[RUN_INSTANCES]; /* atomic: this instance's fault has come */
} * run_shared;

/* Of an instance. */
static uint32_t run_life;
static __thread uint32_t run_thread_life; /* of one that is a thread; else 0 */
static __thread uint64_t run_state;
static unsigned run_instance;
static struct run_fault run_plan;
static unsigned run_occurrences;

static inline uint64_t run_random(uint64_t *from, uint64_t below)
{
	return xorshift(from) % below;
}

static inline int run_chance(uint64_t of)
{
	return run_random(&run_state, of) == 0;
}

/* Now and then for a while: so that others, and death, come in between. */
static inline void run_dawdle(void)
{
	struct timespec time = {0, 0};

	if (run_chance(2))
		sched_yield();
	if (run_chance(8)) {
		time.tv_nsec = (long)run_random(&run_state, 50000);
		nanosleep(&time, NULL);
	}
}

/* An instance ends in good order: all is done, or it has stopped as planned and gone on. */
static inline int run_over(void)
{
	return trace_used(trace) >= run.entries ||
	       __atomic_load_n(&run_shared->stop, __ATOMIC_RELAXED) ||
	       (__atomic_load_n(&run_shared->fired[run_instance], __ATOMIC_RELAXED) &&
		run_chance(8));
}

static void run_die_at(unsigned step, enum run_when when)
{
	if (step != run_plan.step || when != run_plan.when ||
	    ++run_occurrences != run_plan.occurrence)
		return;
	__atomic_store_n(&run_shared->fired[run_instance], 1, __ATOMIC_SEQ_CST);
	raise(run_plan.signal);
}

void coh_trace(const struct ist_directory *where, unsigned step, unsigned peer,
	       const struct ist_directory *before, const struct ist_directory *after)
{
	uint32_t life = run_thread_life ? run_thread_life : run_life;

	if (!life)
		return;
	if (after)
		run_die_at(step, UNSAID);
	trace_put(trace, life, run.unit(where), step, peer, before, after);
	run_die_at(step, after ? SAID : BEFORE);
}

/* ---- The broker ---- */

static struct run_worker {
	pid_t pid;
	uint32_t life;
	int running;
	int fault; /* in run_faults[]; or -1 */
} run_workers[RUN_INSTANCES];

static uint32_t run_lives;
static struct run_fault run_faults[FAULTS_MAX];
static int run_fired[FAULTS_MAX];
static int run_faults_used;

/* Each fault of these steps: dies of it, and stops; at its first occurrences. */
static inline void run_plan_faults(unsigned step, int has_before, unsigned occurrences)
{
	static const int signals[] = {SIGKILL, SIGSTOP};

	for (unsigned when = has_before ? BEFORE : UNSAID; when <= SAID; when++)
		for (unsigned o = 1; o <= occurrences; o++)
			for (unsigned k = 0; k < 2 && run_faults_used < (int)FAULTS_MAX; k++)
				run_faults[run_faults_used++] = (struct run_fault){
					step, (enum run_when)when, o, signals[k]};
}

/* What a survivor does is for the second instance, the rest for the first. */
static int run_next_fault(unsigned of)
{
	int again = -1;

	for (int i = 0; i < run_faults_used; i++) {
		unsigned step = run_faults[i].step;

		if ((step == COH_LOOK || step == COH_REAP) != of)
			continue;
		if (!run_fired[i])
			return i;
		/* While the second waits for somebody's death, the first goes on dying. */
		if (step == COH_INSTALL && run_faults[i].signal == SIGKILL)
			again = i;
	}
	return again;
}

static void run_launch(unsigned i)
{
	struct run_worker *w = &run_workers[i];

	w->fault = run_next_fault(i);
	w->life = ++run_lives;
	run.admit(i, w->life);
	__atomic_store_n(&run_shared->fired[i], 0, __ATOMIC_SEQ_CST);
	w->pid = fork();
	if (w->pid < 0)
		abort();
	w->running = 1;
	if (w->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_life = w->life;
	run_instance = i;
	run_state = run.random + w->life * 7919;
	if (w->fault >= 0)
		run_plan = run_faults[w->fault];
	_exit(run.work(i));
}

/* Its process is gone; only then it is said. */
static int run_bury(unsigned i, int status)
{
	struct run_worker *w = &run_workers[i];
	int died = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

	w->running = 0;
	if (w->fault >= 0 && __atomic_load_n(&run_shared->fired[i], __ATOMIC_SEQ_CST))
		run_fired[w->fault] = 1;
	if (died) {
		trace_say(trace, w->life, COH_DIE, 0);
		trace_say(trace, w->life, COH_FENCE, 0);
	}
	run.gone(i, died);
	if (died)
		return 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

static void run_disturb(void)
{
	struct run_worker *w = &run_workers[run_random(&run.random, run.instances)];
	static uint64_t next;

	if (trace_used(trace) < next || !w->running)
		return;
	next = trace_used(trace) + 10 + run_random(&run.random, 120);
	usleep((useconds_t)run_random(&run.random, 60));
	kill(w->pid, run_random(&run.random, 4) ? SIGKILL : SIGSTOP);
}

static int run_done(void)
{
	int all = run_faults_used != 0;

	for (int i = 0; i < run_faults_used; i++)
		all &= run_fired[i];
	return all || trace_used(trace) >= run.entries;
}

/* Nothing has been said for as many milliseconds as TRACE_PATIENCE: everything stands still. */
static int run_stuck(void)
{
	static uint64_t used, since;
	const char *patience = getenv("TRACE_PATIENCE");
	struct timespec now;
	uint64_t now_ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (!since || trace_used(trace) != used) {
		used = trace_used(trace);
		since = now_ms;
	}
	return now_ms - since > (patience ? strtoull(patience, NULL, 0) : 30000);
}

/* Until the trace is long enough, or each fault has come. 0, or what a process said. */
static int run_processes(void)
{
	int wrong = 0, left = 0, status;

	for (unsigned i = 0; i < run.instances; i++, left++)
		run_launch(i);
	while (left) {
		for (unsigned i = 0; i < run.instances; i++) {
			struct run_worker *w = &run_workers[i];

			if (!w->running || waitpid(w->pid, &status, WNOHANG | WUNTRACED) != w->pid)
				continue;
			if (WIFSTOPPED(status)) {
				usleep((useconds_t)run_random(&run.random, 2000));
				kill(w->pid, SIGCONT);
				continue;
			}
			wrong |= run_bury(i, status);
			/* Some come back only after the survivors have looked. */
			if (run_random(&run.random, 2))
				usleep((useconds_t)run_random(&run.random, 4000));
			if (run_done() || wrong)
				left--;
			else
				run_launch(i);
		}
		for (unsigned i = 0; i < RUN_INSTANCES && run_stuck(); i++) {
			wrong |= ETIMEDOUT;
			if (run_workers[i].running)
				kill(run_workers[i].pid, SIGKILL);
		}
		if (run_done() || wrong)
			__atomic_store_n(&run_shared->stop, 1, __ATOMIC_RELAXED);
		else if (!run_faults_used)
			run_disturb();
		usleep(20);
	}
	return wrong;
}

static inline void run_create(uint64_t entries, uint64_t seed)
{
	run.instances = RUN_INSTANCES;
	run.entries = entries;
	run.random = (seed + 1) * 2654435761u;
	trace = trace_create(entries + 100000);
	run_shared = mmap(NULL, sizeof(*run_shared), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!trace || run_shared == MAP_FAILED)
		abort();
}

/* The log goes to stdout. Returns the exit status of the program. */
static inline int run_report(const char *name, int wrong)
{
	int error = trace_print(trace, stdout);

	if (error)
		fprintf(stderr, "%s: the log is too small\n", name);
	if (wrong)
		fprintf(stderr, "%s: %s\n", name, wrong < 1000 ? strerror(wrong) : "crashed");
	for (int i = 0; i < run_faults_used && !wrong; i++) {
		const struct run_fault *fault = &run_faults[i];

		if (run_fired[i])
			continue;
		fprintf(stderr, "%s: %s, occurrence %u (%u, signal %d) was not reached\n", name,
			coh_step_name(fault->step), fault->occurrence, fault->when, fault->signal);
		error = 1;
	}
	return wrong || error || fflush(stdout) ? 1 : 0;
}

#endif
