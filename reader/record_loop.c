/* A recording as main's thread sees it: open, start, show progress, end, sum up. */
#include "reader/record_options.h"

#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader/record/session.h"
#include "reader/record_signals.h"
#include "reader/record_screen.h"
#include "reader/record_source.h"
#include "reader/record_summary.h"
#include "reader/util/clock.h"
#include "reader/util/fmt.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

#define PROGRESS_NS NS_PER_S
/* Where stderr is a file or a pipe, a line now and then is enough. */
#define PROGRESS_PLAIN_NS (10 * NS_PER_S)

struct loop {
	const struct record_run *run;
	struct session *session;
	const char *output;
	int signal_fd;
	uint64_t began_ns, start_ns, printed_ns;
	bool is_terminal, is_utf8, has_printed, target_ended;
};

static void print_progress(struct loop *loop)
{
	struct session_progress progress;
	char elapsed[FMT_MAX], whole[FMT_MAX], samples[FMT_MAX], lost[FMT_MAX], heap[FMT_MAX];
	uint64_t duration = loop->run->options->duration_ns;
	struct str line = {0};

	session_read_progress(loop->session, &progress);
	str_add(&line, "recording ");
	str_add_scrubbed(&line, loop->run->process_name);
	if (loop->run->target)
		str_addf(&line, " (%d)", loop->run->target->pid);
	str_addf(&line, "  %s", fmt_clock(elapsed, progress.elapsed_ns));
	if (duration)
		str_addf(&line, " / %s", fmt_clock(whole, duration));
	str_addf(&line, "  %s samples", fmt_count(samples, progress.samples));
	if (progress.judged)
		str_addf(&line, "  %.1f %% complete",
			 100.0 * (double)progress.complete / (double)progress.judged);
	if (progress.is_heap_live)
		str_addf(&line, "  heap %s live", fmt_bytes(heap, progress.heap_live_bytes));
	str_addf(&line, "  lost %s  %s ", fmt_count(lost, progress.lost),
		 loop->is_utf8 ? "→" : "->");
	str_add_scrubbed(&line, loop->output);
	fprintf(stderr, loop->is_terminal ? "\r%s\033[K" : "%s\n", str_text(&line));
	fflush(stderr);
	str_done(&line);
	loop->printed_ns = clock_now_ns();
	loop->has_printed = true;
}

static void end_progress(struct loop *loop)
{
	if (loop->is_terminal && loop->has_printed)
		fputc('\n', stderr);
}

/* How the heap is counted from now on. Steps of waits go down and up again: the summary has them.
 */
static void print_steps(struct loop *loop)
{
	struct delta_step step;

	while (session_next_step(loop->session, &step)) {
		if (strcmp(step.signal, "heap"))
			continue;
		fprintf(stderr, "%srsprof: heap (%s): %s\n",
			loop->is_terminal && loop->has_printed ? "\r\033[K" : "", step.mode,
			step.reason);
		loop->has_printed = false;
	}
}

/* Whatever ends the recording. A process without a pidfd is looked at each second. */
static void wait_for_end(struct loop *loop)
{
	const struct target *target = loop->run->target;
	uint64_t duration = loop->run->options->duration_ns;
	struct pollfd fds[] = {
		{.fd = loop->signal_fd, .events = POLLIN},
		{.fd = session_end_fd(loop->session), .events = POLLIN},
		{.fd = target ? target->pidfd : -1, .events = POLLIN},
	};

	for (;;) {
		uint64_t now = clock_now_ns(), next, pause;

		if (duration && now - loop->start_ns >= duration)
			return;
		print_steps(loop);
		if (!loop->has_printed ||
		    now - loop->printed_ns >= (loop->is_terminal ? PROGRESS_NS : PROGRESS_PLAIN_NS))
			print_progress(loop);
		next = now + NS_PER_S;
		if (duration && loop->start_ns + duration < next)
			next = loop->start_ns + duration;
		pause = (next - now + NS_PER_MS - 1) / NS_PER_MS;
		if (poll(fds, 3, (int)pause) > 0) {
			if (fds[0].revents && record_signals_take(loop->signal_fd))
				return;
			if (fds[1].revents)
				return;
			loop->target_ended = fds[2].revents;
		}
		if (target && target->pidfd < 0 && !target_is_alive(target))
			loop->target_ended = true;
		if (loop->target_ended)
			return;
	}
}

static void print_line(const struct str *line)
{
	if (line->length)
		fprintf(stderr, "rsprof: %s\n", str_text(line));
}

static void print_notes(const struct session *session)
{
	const struct source_facts *facts = session_source_facts(session);

	for (size_t i = 0; i < facts->note_count; i++)
		fprintf(stderr, "rsprof: %s\n", facts->notes[i]);
}

/* What a replay is taken from was typed a moment ago. */
static void print_choice(const struct source_choice *choice, const struct session *session,
			 enum heap_mode wanted_heap)
{
	const struct source_facts *facts = session_source_facts(session);
	OWN(str_done) struct str line = {0};

	if (choice->ops == &source_replay)
		return;
	record_source_describe(choice, facts, &line);
	print_line(&line);
	str_clear(&line);
	record_source_describe_totals(choice, facts, wanted_heap, &line);
	print_line(&line);
	if (*choice->agent_note)
		fprintf(stderr, "rsprof: %s\n", choice->agent_note);
}

static void set_source(struct session_config *config, const struct source_config *asked,
		       const struct source_choice *choice, const struct agent_plan *plan)
{
	config->ops = choice->ops;
	config->source_reason = choice->reason;
	config->wait_reason = choice->wait_reason;
	config->heap_reason = choice->heap_reason;
	config->is_heap_whole = choice->is_heap_whole;
	config->agent_reason = choice->agent_reason;
	config->agent_note = choice->agent_note;
	config->is_heap_required = choice->is_heap_asked;
	config->source = *asked;
	memcpy(config->source.events, choice->events, sizeof(choice->events));
	config->source.event_count = choice->event_count;
	config->source.beside = choice->beside;
	if (plan && choice->is_agent_planned) {
		config->source.agent_fds = plan->fds;
		config->source.agent_fd_count = plan->fd_count;
	}
	if (choice->is_heap_by_agent)
		config->source.heap = choice->agent_heap;
	if (choice->is_heap_by_agent && choice->agent_sample_bytes)
		config->source.heap_sample_bytes = (uint32_t)choice->agent_sample_bytes;
	if (choice->is_cpu_by_agent)
		config->source.frequency = choice->agent_frequency;
}

/* By the chosen source, or by the next where that one turns out not to work. */
static int open_session(struct session_config *config, struct source_choice *choice,
			const struct agent_plan *plan, struct session **ret_session,
			struct err *err)
{
	const struct source_config asked = config->source;

	for (;;) {
		int result;

		set_source(config, &asked, choice, plan);
		result = session_open(config, ret_session, err);
		if (result == 0) {
			print_choice(choice, *ret_session, asked.heap);
			return 0;
		}
		if (!record_source_fall_back(choice, err))
			return result;
		*err = (struct err){0};
	}
}

static void print_target_end(const struct loop *loop, uint64_t elapsed_ns)
{
	OWN(str_done) struct str line = {0};
	char length[FMT_MAX];

	str_add(&line, "ended: ");
	str_add_scrubbed(&line, loop->run->process_name);
	fprintf(stderr, "%s has exited after %s\n", str_text(&line),
		fmt_duration(length, elapsed_ns));
}

/* With a line of progress, and the first rows at the end. */
static int watch_quietly(struct loop *loop, struct err *err)
{
	uint64_t elapsed_ns;
	int result;

	wait_for_end(loop);
	elapsed_ns = clock_now_ns() - loop->start_ns;
	print_steps(loop);
	print_progress(loop);
	end_progress(loop);
	if (loop->target_ended)
		print_target_end(loop, elapsed_ns);
	record_signals_arm();
	result = session_finish(loop->session, err);
	return result < 0 ? result
			  : record_print_summary(loop->run->summary_to_stderr ? stderr : stdout,
						 loop->output, loop->began_ns, err);
}

static int watch_on_screen(struct loop *loop, struct err *err)
{
	struct record_screen screen = {
		.run = loop->run,
		.session = loop->session,
		.output = loop->output,
		.start_ns = loop->start_ns,
	};
	int result = record_on_screen(&screen, err);

	record_signals_arm();
	if (screen.session) {
		struct err ignored;
		int finished = session_finish(screen.session, result < 0 ? &ignored : err);

		if (result == 0)
			result = finished;
	}
	if (result == 0 && !screen.is_terminal_gone)
		record_print_end(loop->run->summary_to_stderr ? stderr : stdout, loop->output,
				 loop->began_ns);
	return result;
}

/* From an opened session to its end. */
static int run_session(struct loop *loop, bool append, struct err *err)
{
	const struct record_run *run = loop->run;
	int result;

	print_notes(loop->session);
	result = session_start(loop->session, err);
	if (result < 0) {
		session_abandon(loop->session);
		return result;
	}
	loop->start_ns = clock_now_ns();
	if (run->release) {
		result = run->release(run->context, err);
		if (result < 0) {
			struct err ignored;

			session_finish(loop->session, &ignored);
			if (!append)
				unlink(loop->output);
			return result;
		}
	}
	result = run->has_screen ? watch_on_screen(loop, err) : watch_quietly(loop, err);
	if (result < 0 && !err->remedy[0])
		err_remedy(err, "What was committed can be read: rsprof top cpu %s", loop->output);
	return result;
}

int record(const struct record_run *run, struct err *err)
{
	const struct record_options *options = run->options;
	struct loop loop = {
		.run = run,
		.is_terminal = isatty(STDERR_FILENO),
		.is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
		.signal_fd = -1,
		.began_ns = clock_now_ns(),
	};
	struct session_config config = {
		.target = run->target,
		.process_name = run->process_name,
		.interval_ns = options->interval_ns,
		.save_events = options->save_events,
		.source =
			{
				.target = run->target,
				.start_on_exec = run->child != 0,
				.frequency = (uint32_t)options->cpu_freq,
				.frames_max = (uint32_t)options->frames,
				.buffer_bytes = options->buffer_bytes,
				/* The kernel takes multiples of 8. */
				.stack_bytes = (uint32_t)options->stack_bytes & ~7u,
				.unwind_bytes = options->unwind_bytes,
				.overhead_max_pct = (uint32_t)options->overhead_max_pct,
				.replay_path = options->replay,
			},
	};
	OWN(own_free) char *output = NULL;
	struct source_choice choice;
	int result;

	result = record_pick_events(options, &config.source, err);
	if (result == 0)
		result = record_pick_heap(options, &config.source, err);
	if (result == 0)
		result = record_source_pick(options, run->target, run->agent, &config.source,
					    &choice, err);
	if (result < 0)
		return result;
	output = record_output_path(options, run->process_name, &config.append);
	config.output = loop.output = output;
	result = open_session(&config, &choice, run->agent, &loop.session, err);
	if (result < 0)
		return result;
	if (run->agent && choice.is_agent_planned)
		run->agent->order = (struct agent_order){
			.is_loaded = true,
			.heap = choice.agent_heap,
			.sample_bytes = options->heap_sample_bytes,
			.cpu_frequency = choice.is_cpu_by_agent ? choice.agent_frequency : 0,
		};
	loop.signal_fd = run->signal_fd;
	/* A signal that came meanwhile: nothing has begun, so nothing is left. */
	if (record_signals_take(loop.signal_fd)) {
		session_abandon(loop.session);
		return err_set(err, ERR_GENERAL, -EINTR, "Interrupted before the recording began.");
	}
	return run_session(&loop, config.append, err);
}
