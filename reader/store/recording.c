/* What is known when a recording begins: its row, meta, events and sources. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/store/write.h"
#include "reader/util/clock.h"
#include "reader/util/fmt.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"

const char *recording_text(const char *text)
{
	return text ? text : "";
}

/* The event's id in the file, made on first use. */
static int intern_event(struct store *store, const struct event_kind *kind, uint32_t *ret_id,
			struct err *err)
{
	OWN(own_statement) sqlite3_stmt *find = NULL, *insert = NULL;
	int64_t last;
	int ret =
		sql_prepare(&store->sql, "SELECT id FROM events WHERE name = ?", false, &find, err);

	if (ret < 0)
		return ret;
	sqlite3_bind_text(find, 1, kind->name, -1, SQLITE_STATIC);
	ret = sql_step(&store->sql, find, err);
	if (ret > 0)
		*ret_id = (uint32_t)sqlite3_column_int64(find, 0);
	if (ret)
		return ret < 0 ? ret : 0;
	ret = sql_get_int(&store->sql, "SELECT MAX(id) FROM events", 0, &last, err);
	if (ret == 0)
		ret = sql_prepare(&store->sql, "INSERT INTO events VALUES(?, ?, ?, ?)", false,
				  &insert, err);
	if (ret < 0)
		return ret;
	sqlite3_bind_int64(insert, 1, last + 1);
	sqlite3_bind_text(insert, 2, kind->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 3, kind->unit_name, -1, SQLITE_STATIC);
	sqlite3_bind_int(insert, 4, kind->is_cpu);
	ret = sql_run(&store->sql, insert, err);
	if (ret == 0)
		*ret_id = (uint32_t)last + 1;
	return ret;
}

static int intern_events(struct store *store, const struct store_recording *recording,
			 int64_t *ret_cpu_event, struct err *err)
{
	int64_t cpu_event = 0;

	store->events = mem_array(recording->event_count, sizeof(*store->events));
	store->event_count = recording->event_count;
	for (size_t i = 0; i < recording->event_count; i++) {
		int ret = intern_event(store, recording->events[i], &store->events[i], err);

		if (ret < 0)
			return ret;
		if (!cpu_event && recording->events[i]->is_cpu)
			cpu_event = store->events[i];
	}
	*ret_cpu_event = cpu_event;
	return 0;
}

static int write_recording(struct store *store, const struct store_recording *recording,
			   int64_t cpu_event, struct err *err)
{
	OWN(own_statement) sqlite3_stmt *insert = NULL;
	int ret = sql_prepare(&store->sql,
			      "INSERT INTO recordings VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, "
			      "NULLIF(?, 0))",
			      false, &insert, err);

	if (ret < 0)
		return ret;
	sqlite3_bind_int64(insert, 1, store->recording);
	sqlite3_bind_int64(insert, 2, recording->pid);
	sqlite3_bind_text(insert, 3, recording_text(recording->process_name), -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(insert, 4, recording_text(recording->exe_path), -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(insert, 5, recording_text(recording->exe_build_id), -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(insert, 6, recording_text(recording->command_line), -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(insert, 7, (int64_t)recording->start_unix_ns);
	sqlite3_bind_int64(insert, 8, (int64_t)recording->start_monotonic_ns);
	sqlite3_bind_int64(insert, 9, (int64_t)recording->checkpoint_interval_ns);
	sqlite3_bind_int64(insert, 10, (int64_t)store->offset_ns);
	sqlite3_bind_int64(insert, 11, cpu_event);
	return sql_run(&store->sql, insert, err);
}

/* meta tells of the first recording who and when it was. */
static int write_first_meta(struct store *store, const struct store_recording *recording,
			    struct err *err)
{
	char pid[FMT_MAX], interval[FMT_MAX], start[FMT_MAX];
	const struct store_fact facts[] = {
		{"pid", pid},
		{"process_name", recording_text(recording->process_name)},
		{"exe_path", recording_text(recording->exe_path)},
		{"exe_build_id", recording_text(recording->exe_build_id)},
		{"command_line", recording_text(recording->command_line)},
		{"start_time", fmt_time(start, recording->start_unix_ns)},
		{"checkpoint_interval_ms", interval},
	};
	int ret = 0;

	snprintf(pid, sizeof(pid), "%" PRIu32, recording->pid);
	snprintf(interval, sizeof(interval), "%" PRIu64,
		 recording->checkpoint_interval_ns / NS_PER_MS);
	for (size_t i = 0; i < sizeof(facts) / sizeof(*facts) && ret == 0; i++)
		ret = write_meta(store, facts[i].key, facts[i].value, err);
	return ret;
}

static const char *fact_value(const struct store_fact *facts, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(facts[i].key, key) == 0 && facts[i].value)
			return facts[i].value;
	}
	return "";
}

/* Charges of an appended file that follow two rule tables, or two resolutions of one frame, are
 * told by version 0, which no table has: every reader then charges anew. */
static int write_attribute_version(struct store *store, const char *value, struct err *err)
{
	int64_t known, wanted = strtoll(value, NULL, 10);
	int ret = sql_get_int(&store->sql,
			      "SELECT CAST(value AS INTEGER) FROM meta "
			      "WHERE key = 'attribute_version'",
			      store->is_append ? 0 : wanted, &known, err);

	return ret < 0 ? ret
		       : write_meta(store, "attribute_version", known == wanted ? value : "0", err);
}

int recording_write_facts(struct store *store, const struct store_fact *facts, size_t count,
			  struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < count && ret == 0; i++) {
		if (!facts[i].value)
			continue;
		if (strcmp(facts[i].key, "attribute_version") == 0)
			ret = write_attribute_version(store, facts[i].value, err);
		else
			ret = write_meta(store, facts[i].key, facts[i].value, err);
	}
	return ret;
}

/* "bpf, exact": of the heap what its source counts is told too, as meta does of the last recording
 * alone. */
static const char *first_mode(const struct store_recording *recording, const char *signal,
			      const char *source, struct str *text)
{
	const char *mode = fact_value(recording->facts, recording->fact_count, "heap_mode");

	if (strcmp(signal, "heap") || !*mode || strcmp(mode, "off") == 0)
		return source;
	str_addf(text, "%s, %s", source, mode);
	return str_text(text);
}

/* The sources that the recording begins with. */
static int write_steps(struct store *store, const struct store_recording *recording,
		       struct err *err)
{
	static const char *const signals[] = {"cpu", "heap", "wait"};
	int ret = 0;

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals) && ret == 0; i++) {
		OWN(str_done) struct str text = {0};
		char mode_key[FMT_MAX], reason_key[FMT_MAX];
		const char *mode, *reason;

		snprintf(mode_key, sizeof(mode_key), "%s_source", signals[i]);
		snprintf(reason_key, sizeof(reason_key), "%s_source_reason", signals[i]);
		mode = fact_value(recording->facts, recording->fact_count, mode_key);
		reason = fact_value(recording->facts, recording->fact_count, reason_key);
		if (*mode)
			ret = write_step(store, 0, signals[i],
					 first_mode(recording, signals[i], mode, &text), reason,
					 err);
	}
	return ret;
}

int recording_begin(struct store *store, const struct store_recording *recording, struct err *err)
{
	int64_t cpu_event = 0;
	int ret = intern_events(store, recording, &cpu_event, err);

	store->interval_ns = recording->checkpoint_interval_ns;
	if (ret == 0)
		ret = heap_begin(store, err);
	if (ret == 0)
		ret = write_recording(store, recording, cpu_event, err);
	if (ret == 0 && !store->is_append)
		ret = write_first_meta(store, recording, err);
	if (ret == 0)
		ret = recording_write_facts(store, recording->facts, recording->fact_count, err);
	if (ret == 0)
		ret = write_steps(store, recording, err);
	return ret;
}
