/* rsprof list: the profiles in a folder. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reader/store/schema.h"
#include "reader/store/store.h"
#include "reader/util/fmt.h"
#include "reader/util/str.h"
#include "reader/util/table.h"
#include "reader/util/vec.h"
#include "reader/verb.h"
#include "reader/view/view.h"

struct list_options {
	const char *folder;
	bool json, csv;
};

static const struct opt options[] = {
	{.letter = 'd',
	 .name = "dir",
	 .value_name = "DIR",
	 .type = OPT_TEXT,
	 .offset = offsetof(struct list_options, folder),
	 .environment = "RSPROF_OUTPUT_DIR",
	 .shown_default = ".",
	 .help = "folder to look in",
	 .complete = OPT_COMPLETE_FOLDER},
	{.name = "json",
	 .type = OPT_FLAG,
	 .offset = offsetof(struct list_options, json),
	 .help = "an array of objects, one a profile"},
	{.name = "csv",
	 .type = OPT_FLAG,
	 .offset = offsetof(struct list_options, csv),
	 .help = "comma-separated values, column names first"},
	{.name = NULL},
};

struct profile {
	char *file;		      /* name in the folder */
	char *error;		      /* why it cannot be read, or NULL */
	struct store_summary summary; /* where it cannot: bytes, and the time of its last change */
};

typedef VEC(struct profile) profile_vec;

static void read_profile(const char *path, struct profile *profile)
{
	struct store_reader *reader;
	struct err err = {0};
	struct stat status;
	int ret = store_reader_open(path, &reader, &err);

	if (ret == 0) {
		ret = store_reader_summary(reader, &profile->summary, &err);
		store_reader_close(reader);
	}
	if (ret == 0)
		return;
	profile->error = mem_strdup(err.sentence);
	if (stat(path, &status) == 0) {
		profile->summary.bytes = (uint64_t)status.st_size;
		profile->summary.start_unix_ns =
			(uint64_t)status.st_mtim.tv_sec * UINT64_C(1000000000);
	}
}

static int gather(const char *folder, profile_vec *profiles, struct err *err)
{
	DIR *open_folder = opendir(folder);
	struct str path = {0};
	struct dirent *entry;

	if (!open_folder) {
		int error = errno;

		str_add_scrubbed(&path, folder);
		err_set(err, ERR_GENERAL, -error, "The folder %s cannot be read: %s.",
			str_text(&path), strerror(error));
		err_remedy(err, "Name another with -d DIR.");
		str_done(&path);
		return -error;
	}
	while ((entry = readdir(open_folder))) {
		str_clear(&path);
		str_addf(&path, "%s/%s", folder, entry->d_name);
		/* Other programs have databases too. */
		if (str_ends(entry->d_name, ".db") && schema_is_own_file(str_text(&path))) {
			struct profile *profile = vec_add(profiles);

			memset(profile, 0, sizeof(*profile));
			profile->file = mem_strdup(entry->d_name);
			read_profile(str_text(&path), profile);
		}
	}
	closedir(open_folder);
	str_done(&path);
	return 0;
}

/* Newest first. */
static int compare(const void *left, const void *right)
{
	const struct profile *a = left, *b = right;

	if (a->summary.start_unix_ns != b->summary.start_unix_ns)
		return a->summary.start_unix_ns > b->summary.start_unix_ns ? -1 : 1;
	return strcmp(a->file, b->file);
}

static void print_text(const char *folder, const profile_vec *profiles)
{
	static const char *const headings[] = {"FILE",	  "PROCESS", "START", "LENGTH",
					       "SAMPLES", "SIZE",    "NOTE"};
	struct table *table;

	if (!profiles->count) {
		struct str shown = {0};

		str_add_scrubbed(&shown, folder);
		printf("No profiles in %s.\n", str_text(&shown));
		str_done(&shown);
		return;
	}
	table = table_new(stdout, headings, sizeof(headings) / sizeof(*headings));
	for (size_t i = 0; i < profiles->count; i++) {
		const struct profile *profile = &profiles->items[i];
		const struct store_summary *summary = &profile->summary;
		char start[FMT_MAX], length[FMT_MAX], samples[FMT_MAX], size[FMT_MAX];
		struct str process = {0};
		struct table_cell cells[] = {
			{profile->file, false},
			{"", false},
			{"", false},
			{"", true},
			{"", true},
			{fmt_bytes(size, summary->bytes), true},
			{profile->error ? profile->error : "", false},
		};

		if (!profile->error) {
			str_addf(&process, "%s (%" PRIu32 ")", summary->process_name, summary->pid);
			cells[1].text = str_text(&process);
			cells[2].text = fmt_time(start, summary->start_unix_ns);
			cells[3].text = fmt_duration(length, summary->duration_ns);
			cells[4].text = fmt_count(samples, summary->samples);
			cells[6].text = summary->is_finished ? "" : "recording, or ended by force";
		}
		table_add(table, cells);
		str_done(&process);
	}
	table_end(table);
}

static void print_json(const profile_vec *profiles)
{
	printf("[");
	for (size_t i = 0; i < profiles->count; i++) {
		const struct profile *profile = &profiles->items[i];
		const struct store_summary *summary = &profile->summary;
		char start[FMT_MAX];

		printf("%s\n  {\"file\": ", i ? "," : "");
		json_print_string(stdout, profile->file);
		if (profile->error) {
			printf(", \"bytes\": %" PRIu64 ", \"error\": ", summary->bytes);
			json_print_string(stdout, profile->error);
			printf("}");
			continue;
		}
		printf(", \"process\": ");
		json_print_string(stdout, summary->process_name);
		printf(", \"pid\": %" PRIu32 ", \"start_time\": ", summary->pid);
		json_print_string(stdout, fmt_time(start, summary->start_unix_ns));
		printf(", \"duration_ms\": %" PRIu64 ", \"samples\": %" PRIu64
		       ", \"bytes\": %" PRIu64 ", \"finished\": %s}",
		       summary->duration_ns / 1000000, summary->samples, summary->bytes,
		       summary->is_finished ? "true" : "false");
	}
	printf("%s]\n", profiles->count ? "\n" : "");
}

static void print_csv(const profile_vec *profiles)
{
	printf("file,process,pid,start_time,duration_ms,samples,bytes,finished,error\n");
	for (size_t i = 0; i < profiles->count; i++) {
		const struct profile *profile = &profiles->items[i];
		const struct store_summary *summary = &profile->summary;
		char start[FMT_MAX];

		csv_print_string(stdout, profile->file);
		if (profile->error) {
			printf(",,,,,,%" PRIu64 ",,", summary->bytes);
			csv_print_string(stdout, profile->error);
			printf("\n");
			continue;
		}
		printf(",");
		csv_print_string(stdout, summary->process_name);
		printf(",%" PRIu32 ",%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s,\n", summary->pid,
		       fmt_time(start, summary->start_unix_ns), summary->duration_ns / 1000000,
		       summary->samples, summary->bytes, summary->is_finished ? "true" : "false");
	}
}

static int run(int argc, char **argv, struct err *err)
{
	struct list_options chosen = {.folder = "."};
	profile_vec profiles = {0};
	int operands, ret;
	bool help;

	ret = opt_parse(options, argc - 1, argv + 1, false, &chosen, &operands, &help, err);
	if (ret < 0)
		return ret;
	if (help) {
		verb_print_help(&verb_list);
		return 0;
	}
	if (operands) {
		err_set(err, ERR_USAGE, -EINVAL, "list takes no operands.");
		err_remedy(err, "Name a folder with -d DIR.");
		return -EINVAL;
	}
	if (chosen.json && chosen.csv)
		return err_set(err, ERR_USAGE, -EINVAL, "--json and --csv exclude each other.");
	if (!*chosen.folder)
		chosen.folder = ".";
	ret = gather(chosen.folder, &profiles, err);
	if (ret < 0)
		return ret;
	if (profiles.count)
		qsort(profiles.items, profiles.count, sizeof(*profiles.items), compare);
	if (chosen.json)
		print_json(&profiles);
	else if (chosen.csv)
		print_csv(&profiles);
	else
		print_text(chosen.folder, &profiles);
	for (size_t i = 0; i < profiles.count; i++) {
		free(profiles.items[i].file);
		free(profiles.items[i].error);
	}
	vec_done(&profiles);
	return 0;
}

const struct verb verb_list = {
	.name = "list",
	.operands = "",
	.summary = "the profiles in a folder",
	.description =
		"The newest comes first. A file that cannot be read is listed with the reason.",
	.options = options,
	.operand_complete = OPT_COMPLETE_NONE,
	.run = run,
};
