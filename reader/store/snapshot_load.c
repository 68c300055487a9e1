/* From the tables to arrays by index: every reference is checked once, here. What was read before
 * is not read again, but for what may have changed since. */
#include <string.h>

#include "reader/core/event_kind.h"
#include "reader/store/read.h"
#include "reader/util/clock.h"

/* The next item of a table that is read from its beginning each time: the one of the last time, or
 * a new one. */
#define NEXT_AGAIN(vec, count)                                                                     \
	({                                                                                         \
		if ((count) == (vec)->count)                                                       \
			memset(vec_add(vec), 0, sizeof(*(vec)->items));                            \
		&(vec)->items[(count)++];                                                          \
	})

static int load_meta(struct load *load)
{
	struct load_rows rows;
	size_t count = 0;

	load_begin(load, &rows, "meta", "SELECT key, value FROM meta ORDER BY key");
	while (load_next(&rows)) {
		struct snapshot_meta *pair = NEXT_AGAIN(&load->tables.meta, count);

		pair->key = load_text_again(&rows, 0, pair->key);
		pair->value = load_text_again(&rows, 1, pair->value);
	}
	load->tables.meta.count = count;
	return load_end(&rows);
}

/* What is known of a recording does not change, but for its end. */
static bool is_same(const struct snapshot_recording *known, struct load_rows *rows)
{
	return known->pid == load_number(rows, 1, UINT32_MAX) &&
	       known->start_unix_ns == load_number(rows, 5, INT64_MAX) &&
	       known->offset_ns == load_number(rows, 6, INT64_MAX);
}

static void read_recording(struct load_rows *rows, struct snapshot_recording *recording)
{
	recording->pid = (uint32_t)load_number(rows, 1, UINT32_MAX);
	recording->process_name = load_text_again(rows, 2, recording->process_name);
	recording->exe_path = load_text_again(rows, 3, recording->exe_path);
	recording->command_line = load_text_again(rows, 4, recording->command_line);
	recording->start_unix_ns = load_number(rows, 5, INT64_MAX);
	recording->offset_ns = load_number(rows, 6, INT64_MAX);
	recording->duration_ns = load_number(rows, 7, INT64_MAX);
	recording->is_finished = load_number(rows, 8, 1);
}

static int load_recordings(struct load *load)
{
	size_t known = load->tables.recordings.count, count = 0;
	struct load_rows rows;
	uint64_t end = 0;

	load_begin(
		load, &rows, "recordings",
		"SELECT id, pid, process_name, exe_path, command_line, start_unix_ns, offset_ns, "
		"duration_ns, is_finished, checkpoint_interval_ns FROM recordings ORDER BY id");
	while (load_next(&rows)) {
		size_t index = count;
		struct snapshot_recording *recording = NEXT_AGAIN(&load->tables.recordings, count);

		if (index >= known) {
			load_id(&rows, &load->recordings);
			*vec_add(&load->tables.intervals) = load_number(&rows, 9, INT64_MAX);
		} else if (!is_same(recording, &rows)) {
			load_damaged(&rows, "a recording is another one than before");
		}
		read_recording(&rows, recording);
		if (recording->offset_ns < end)
			load_damaged(&rows, "times overlap");
		end = recording->offset_ns + recording->duration_ns;
	}
	if (rows.ret == 0 && count < known)
		load_damaged(&rows, "a recording is gone");
	load->tables.duration_ns = end;
	return load_end(&rows);
}

static int load_events(struct load *load)
{
	struct load_rows rows;

	load_begin_new(load, &rows, "events",
		       "SELECT id, name FROM events WHERE id >= ? ORDER BY id", &load->events);
	while (load_next(&rows)) {
		const char *name = load_text(&rows, 1);
		const struct event_kind *kind = event_kind_by_name(name, strlen(name));

		load_id(&rows, &load->events);
		if (!kind || strcmp(kind->name, name) != 0) {
			load_damaged(&rows, "an event has no known name");
			break;
		}
		*vec_add(&load->tables.events) =
			(struct snapshot_event){kind->name, kind->unit_name, kind->is_cpu};
	}
	return load_end(&rows);
}

static int load_threads(struct load *load)
{
	struct load_rows rows;

	load_begin_new(load, &rows, "threads",
		       "SELECT id, recording_id, pid, tid, comm FROM threads WHERE id >= ? "
		       "ORDER BY id",
		       &load->threads);
	while (load_next(&rows)) {
		struct snapshot_thread *thread = vec_add(&load->tables.threads);

		load_id(&rows, &load->threads);
		thread->recording = load_reference(&rows, 1, &load->recordings);
		thread->pid = (uint32_t)load_number(&rows, 2, UINT32_MAX);
		thread->tid = (uint32_t)load_number(&rows, 3, UINT32_MAX);
		thread->comm = load_text(&rows, 4);
	}
	return load_end(&rows);
}

static int load_modules(struct load *load)
{
	struct load_rows rows;

	load_begin_new(load, &rows, "modules",
		       "SELECT id, kind, path, name, build_id FROM modules WHERE id >= ? "
		       "ORDER BY id",
		       &load->modules);
	while (load_next(&rows)) {
		struct snapshot_module *module = vec_add(&load->tables.modules);

		load_id(&rows, &load->modules);
		module->kind = (enum module_kind)load_number(&rows, 1, MODULE_ANONYMOUS);
		module->path = load_text(&rows, 2);
		module->name = load_text(&rows, 3);
		module->build_id = load_text(&rows, 4);
	}
	return load_end(&rows);
}

static int load_texts(struct load *load)
{
	struct load_rows rows;

	load_begin_new(load, &rows, "texts", "SELECT id, text FROM texts WHERE id >= ? ORDER BY id",
		       &load->texts);
	while (load_next(&rows)) {
		load_id(&rows, &load->texts);
		*vec_add(&load->text) = load_text(&rows, 1);
	}
	return load_end(&rows);
}

static int load_losses(struct load *load)
{
	struct losses *losses = &load->tables.losses;
	struct load_rows rows;

	memset(losses, 0, sizeof(*losses));
	load_begin(load, &rows, "losses", "SELECT cause, count FROM losses");
	while (load_next(&rows)) {
		enum loss_cause cause = loss_by_name(load_text(&rows, 0));
		uint64_t count = load_number(&rows, 1, INT64_MAX);

		/* A cause of a later rsprof has no words here. */
		if (cause < LOSS_CAUSES &&
		    __builtin_add_overflow(losses->count[cause], count, &losses->count[cause]))
			load_damaged(&rows, "a number is out of range");
	}
	return load_end(&rows);
}

static int load_steps(struct load *load)
{
	struct load_rows rows;
	size_t count = 0;

	load_begin(load, &rows, "steps",
		   "SELECT recording_id, timestamp_ms, signal, mode, reason FROM steps "
		   "ORDER BY recording_id, timestamp_ms, signal");
	while (load_next(&rows)) {
		struct snapshot_step *step = NEXT_AGAIN(&load->tables.steps, count);

		step->recording = load_reference(&rows, 0, &load->recordings);
		step->time_ns = load_number(&rows, 1, INT64_MAX / NS_PER_MS) * NS_PER_MS;
		step->signal = load_text_again(&rows, 2, step->signal);
		step->mode = load_text_again(&rows, 3, step->mode);
		step->reason = load_text_again(&rows, 4, step->reason);
	}
	load->tables.steps.count = count;
	return load_end(&rows);
}

/* An appended recording may name frames better and charge stacks otherwise than an earlier one did:
 * they are read from the beginning, as long as it goes on and once after. */
static bool may_rewrite(const struct load *load)
{
	size_t count = load->tables.recordings.count;

	return count > 1 && !load->tables.recordings.items[count - 1].is_finished;
}

static int load_names(struct load *load)
{
	static int (*const parts[])(struct load * load) = {
		load_events,
		load_threads,
		load_modules,
		load_texts,
	};
	int ret = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && ret == 0; i++)
		ret = parts[i](load);
	return ret;
}

int load_tables(struct load *load)
{
	size_t known = load->tables.recordings.count;
	bool is_rewritten = may_rewrite(load);
	int ret = load_meta(load);

	if (ret == 0)
		ret = load_recordings(load);
	if (ret == 0)
		ret = load_names(load);
	if (ret < 0)
		return ret;
	is_rewritten |= load->tables.recordings.count > 1 &&
			(may_rewrite(load) || load->tables.recordings.count > known);
	if (is_rewritten && known) {
		ret = load_stacks_anew(load);
	} else {
		ret = load_stacks(load);
	}
	if (ret == 0)
		ret = load_losses(load);
	return ret < 0 ? ret : load_steps(load);
}
