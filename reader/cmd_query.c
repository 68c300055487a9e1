/* rsprof query: read-only SQL on a profile. */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "reader/store/store.h"
#include "reader/util/mem.h"
#include "reader/util/table.h"
#include "reader/verb.h"
#include "reader/view/view.h"

struct query_options {
	bool json, csv;
};

static const struct opt options[] = {
	{.name = "json",
	 .type = OPT_FLAG,
	 .offset = offsetof(struct query_options, json),
	 .help = "an array of objects, one a row"},
	{.name = "csv",
	 .type = OPT_FLAG,
	 .offset = offsetof(struct query_options, csv),
	 .help = "comma-separated values, column names first"},
	{.name = NULL},
};

/* The result on its way out. */
struct output {
	const struct query_options *options;
	char **names;
	size_t column_count, row_count;
	struct table *table;
	struct table_cell *cells;
};

static void begin(void *context, const char *const *names, size_t count)
{
	struct output *output = context;

	output->column_count = count;
	output->names = mem_array(count, sizeof(*output->names));
	for (size_t i = 0; i < count; i++)
		output->names[i] = mem_strdup(names[i]);
	if (output->options->json) {
		fputs("[", stdout);
	} else if (output->options->csv) {
		for (size_t i = 0; i < count; i++) {
			fputs(i ? "," : "", stdout);
			csv_print_string(stdout, names[i]);
		}
		fputs("\n", stdout);
	} else if (count) {
		output->table = table_new(stdout, names, count);
		output->cells = mem_array(count, sizeof(*output->cells));
	}
}

static bool is_number(const struct store_value *value)
{
	return value->type == STORE_INTEGER || value->type == STORE_REAL;
}

static void print_json_value(const struct store_value *value)
{
	/* SQL has an infinity, JSON has not. */
	if (value->type == STORE_NULL ||
	    (value->type == STORE_REAL && !isfinite(strtod(value->text, NULL))))
		fputs("null", stdout);
	else if (is_number(value))
		fputs(value->text, stdout);
	else
		json_print_string(stdout, value->text);
}

static void print_json_row(const struct output *output, const struct store_value *values)
{
	fputs(output->row_count ? ",\n  {" : "\n  {", stdout);
	for (size_t i = 0; i < output->column_count; i++) {
		fputs(i ? ", " : "", stdout);
		json_print_string(stdout, output->names[i]);
		fputs(": ", stdout);
		print_json_value(&values[i]);
	}
	fputs("}", stdout);
}

static void print_row(void *context, const struct store_value *values)
{
	struct output *output = context;

	if (output->options->json) {
		print_json_row(output, values);
	} else if (output->options->csv) {
		for (size_t i = 0; i < output->column_count; i++) {
			fputs(i ? "," : "", stdout);
			csv_print_string(stdout, values[i].text ? values[i].text : "");
		}
		fputs("\n", stdout);
	} else if (output->table) {
		for (size_t i = 0; i < output->column_count; i++)
			output->cells[i] =
				(struct table_cell){values[i].text, is_number(&values[i])};
		table_add(output->table, output->cells);
	}
	output->row_count++;
}

static void end(struct output *output)
{
	if (output->options->json && output->names)
		fputs(output->row_count ? "\n]\n" : "]\n", stdout);
	table_end(output->table);
	for (size_t i = 0; i < output->column_count; i++)
		free(output->names[i]);
	free(output->names);
	free(output->cells);
}

static int run(int argc, char **argv, struct err *err)
{
	struct query_options chosen = {false, false};
	struct output output = {.options = &chosen};
	struct store_reader *reader;
	int operands, ret;
	bool help;

	ret = opt_parse(options, argc - 1, argv + 1, false, &chosen, &operands, &help, err);
	if (ret < 0)
		return ret;
	if (help) {
		verb_print_help(&verb_query);
		return 0;
	}
	if (operands != 2) {
		err_set(err, ERR_USAGE, -EINVAL, "query takes a file and one SQL statement.");
		err_remedy(err, "Type, for example, `rsprof query FILE 'SELECT * FROM meta'`.");
		return -EINVAL;
	}
	if (chosen.json && chosen.csv)
		return err_set(err, ERR_USAGE, -EINVAL, "--json and --csv exclude each other.");
	ret = store_reader_open(argv[1], &reader, err);
	if (ret < 0)
		return ret;
	ret = store_reader_query(reader, argv[2], begin, print_row, &output, err);
	end(&output);
	store_reader_close(reader);
	return ret;
}

const struct verb verb_query = {
	.name = "query",
	.operands = "FILE SQL",
	.summary = "read-only SQL on a profile",
	.description =
		"One statement; what would write is refused. These names are stable: "
		"meta(key, value), checkpoints(id, timestamp_ms), cpu_samples(checkpoint_id, "
		"thread_id, addr, count), wait_samples(checkpoint_id, thread_id, addr, kind, "
		"waits, "
		"wait_ns, run_ns), symbols(addr, file, line, function) and "
		"heap_samples(addr, function, file, line, live_bytes, total_alloc_bytes, "
		"total_free_bytes, total_allocs, total_frees, live_blocks, temporary, reallocs, "
		"growth_bytes, untracked_bytes, is_estimate). The hottest lines:\n\n"
		"  rsprof query FILE 'SELECT file, line, SUM(count) FROM cpu_samples c\n"
		"    JOIN symbols s ON c.addr = s.addr GROUP BY c.addr ORDER BY 3 DESC LIMIT "
		"10'\n\n"
		"What was allocated and not freed; of untracked_bytes no free could be seen:\n\n"
		"  rsprof query FILE 'SELECT function, file, line,\n"
		"    total_alloc_bytes - total_free_bytes AS leaked, untracked_bytes\n"
		"    FROM heap_samples WHERE total_allocs > total_frees\n"
		"    ORDER BY leaked DESC LIMIT 20'",
	.options = options,
	.operand_complete = OPT_COMPLETE_FILE,
	.run = run,
};
