/* SQL of the user's, and the two verbs that print tables: query and list. */
#include <fcntl.h>
#include <sys/stat.h>

#include "reader/util/str.h"
#include "reader/util/table.h"
#include "reader/verb.h"
#include "tests/unit/store_maker.h"

/* Results as text: "a|b\n" of names, then rows; NULL as ~. */
static void add_columns(void *context, const char *const *names, size_t count)
{
	struct str *text = context;

	for (size_t i = 0; i < count; i++)
		str_addf(text, "%s%s", i ? "|" : "", names[i]);
	str_add(text, count == 3 ? "|\n" : "\n");
}

static void add_row_of_three(void *context, const struct store_value *values)
{
	static const char types[] = "~irtb";
	struct str *text = context;

	for (size_t i = 0; i < 3; i++)
		str_addf(text, "%s%c:%s", i ? "|" : "", types[values[i].type],
			 values[i].text ? values[i].text : "");
	str_add(text, "\n");
}

static void count_row(void *context, const struct store_value *values)
{
	str_add(context, "row\n");
}

static struct store_reader *open_small(const char *path)
{
	struct store_reader *reader;
	struct maker maker;
	struct err err = {0};

	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	if (store_reader_open(path, &reader, &err) < 0)
		FAIL("%s", err.sentence);
	return reader;
}

TEST(values_by_type)
{
	struct store_reader *reader = open_small(test_path("p.db"));
	struct str text = {0};
	struct err err = {0};

	CHECK(store_reader_query(reader,
				 "-- three of each\nSELECT 1 AS a, 2.5 AS b, 'x' AS c UNION ALL "
				 "SELECT NULL, x'00ff', -9223372036854775808; -- end\n ; ",
				 add_columns, add_row_of_three, &text, &err) == 0);
	CHECK_EQ_STR(str_text(&text), "a|b|c|\ni:1|r:2.5|t:x\n~:|b:00ff|i:-9223372036854775808\n");
	str_done(&text);
	store_reader_close(reader);
}

TEST(reading_is_allowed)
{
	static const char *const allowed[] = {
		"SELECT * FROM cpu_samples LIMIT 10",
		"WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 5) "
		"SELECT i "
		"FROM r",
		"SELECT json_extract('{\"a\":1}', '$.a')",
		"SELECT name FROM pragma_table_info('samples')",
		"SELECT name FROM sqlite_master",
		"SELECT value FROM json_each('[1,2]')",
		"PRAGMA table_info(samples)",
		"PRAGMA TABLE_INFO = samples",
		"PRAGMA page_count",
		"PRAGMA integrity_check",
		"EXPLAIN SELECT * FROM samples",
		"EXPLAIN QUERY PLAN SELECT * FROM cpu_samples",
		"VALUES(1), (2)",
	};
	struct store_reader *reader = open_small(test_path("p.db"));

	for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++) {
		struct str text = {0};
		struct err err = {0};

		if (store_reader_query(reader, allowed[i], add_columns, count_row, &text, &err) < 0)
			FAIL("%s: %s", allowed[i], err.sentence);
		if (!strstr(str_text(&text), "row\n"))
			FAIL("%s: no row", allowed[i]);
		str_done(&text);
	}
	store_reader_close(reader);
}

TEST(writing_is_refused)
{
	static const char *const refused[] = {
		"DELETE FROM samples",
		"INSERT INTO meta VALUES('a', 'b')",
		"UPDATE meta SET value = 1",
		"UPDATE sqlite_master SET sql = ''",
		"DROP TABLE meta",
		"CREATE TABLE t(a)",
		"CREATE TEMP TABLE t(a)",
		"CREATE VIEW v AS SELECT 1",
		"ATTACH ':memory:' AS other",
		"DETACH main",
		"VACUUM",
		"VACUUM INTO 'copy.db'",
		"REINDEX",
		"ANALYZE",
		"BEGIN",
		"COMMIT",
		"SAVEPOINT s",
		"PRAGMA journal_mode = WAL",
		"PRAGMA user_version = 5",
		"PRAGMA writable_schema = ON",
		"PRAGMA query_only = OFF",
		"PRAGMA wal_checkpoint",
		"PRAGMA temp_store_directory = 'x'",
		"SELECT load_extension('x.so')",
		"EXPLAIN DELETE FROM samples",
		"REPLACE INTO meta VALUES('version', '9')",
		"ALTER TABLE meta RENAME TO m",
	};
	const char *path = test_path("p.db");
	struct store_reader *reader = open_small(path);

	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		struct str text = {0};
		struct err err = {0};

		if (store_reader_query(reader, refused[i], add_columns, count_row, &text, &err) >=
		    0)
			FAIL("taken: %s", refused[i]);
		CHECK_EQ_U64(err.kind, ERR_USAGE);
		CHECK(err.remedy[0]);
		CHECK_EQ_STR(str_text(&text), "");
		str_done(&text);
	}
	store_reader_close(reader);
	CHECK_EQ_STR(plain_sqlite(path, "SELECT SUM(count) FROM samples"), "28\n");
}

TEST(sql_that_is_not_one_statement)
{
	static const char *const wrong[] = {
		"",
		" ; ",
		"-- nothing",
		"SELECT 1; SELECT 2",
		"SELEKT 1",
		"SELECT nothing FROM meta",
		"SELECT 1; DELETE FROM meta",
		"SELECT (",
		"SELECT 1; garbage",
	};
	struct store_reader *reader = open_small(test_path("p.db"));

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct str text = {0};
		struct err err = {0};

		if (store_reader_query(reader, wrong[i], add_columns, count_row, &text, &err) >= 0)
			FAIL("taken: %s", wrong[i]);
		CHECK_EQ_U64(err.kind, ERR_USAGE);
		CHECK_EQ_STR(str_text(&text), "");
		str_done(&text);
	}
	/* And it goes on. */
	CHECK(store_reader_duration_ns(reader) == 3000 * MS);
	store_reader_close(reader);
}

/* What a verb prints; *ret_result is what it returns. */
static const char *printed(const struct verb *verb, int argc, const char *const *argv,
			   int *ret_result, struct err *err)
{
	static char text[65536];
	char *copy[8];
	FILE *file = tmpfile();
	int saved = dup(STDOUT_FILENO);
	size_t length;

	CHECK(file && saved >= 0 && argc < 8);
	for (int i = 0; i < argc; i++)
		copy[i] = strdup(argv[i]);
	copy[argc] = NULL;
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	*ret_result = verb->run(argc, copy, err);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	for (int i = 0; i < argc; i++)
		free(copy[i]);
	rewind(file);
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	fclose(file);
	return text;
}

static const char *query(const char *path, const char *sql, const char *option)
{
	const char *argv[] = {"query", path, sql, option};
	struct err err = {0};
	const char *text;
	int ret;

	text = printed(&verb_query, option ? 4 : 3, argv, &ret, &err);
	if (ret < 0)
		FAIL("%s", err.sentence);
	return text;
}

TEST(query_prints_a_table)
{
	const char *path = test_path("p.db");

	store_reader_close(open_small(path));
	CHECK_EQ_STR(query(path,
			   "SELECT id, timestamp_ms, 'x' || char(27) AS name FROM checkpoints",
			   NULL),
		     "id  timestamp_ms  name\n 1          1000  x?\n 2          2000  x?\n"
		     " 3          3000  x?\n");
	CHECK_EQ_STR(query(path, "SELECT key FROM meta WHERE key = 'none'", NULL), "key\n");
	CHECK_EQ_STR(query(path, "SELECT NULL AS a, 5 AS b", NULL), "a  b\n   5\n");
}

TEST(query_prints_json)
{
	const char *path = test_path("p.db");

	store_reader_close(open_small(path));
	CHECK_EQ_STR(
		query(path, "SELECT 1 AS a, 'q\"' AS b, NULL AS c, 0.5 AS d, 9e999 AS e", "--json"),
		"[\n  {\"a\": 1, \"b\": \"q\\\"\", \"c\": null, \"d\": 0.5, \"e\": null}\n]\n");
	CHECK_EQ_STR(query(path, "SELECT id FROM checkpoints WHERE id < 3", "--json"),
		     "[\n  {\"id\": 1},\n  {\"id\": 2}\n]\n");
	CHECK_EQ_STR(query(path, "SELECT id FROM checkpoints WHERE id > 3", "--json"), "[]\n");
}

TEST(query_prints_csv)
{
	const char *path = test_path("p.db");

	store_reader_close(open_small(path));
	CHECK_EQ_STR(query(path, "SELECT 1 AS a, 'x,y' AS b, NULL AS c", "--csv"),
		     "a,b,c\n1,\"x,y\",\n");
}

TEST(query_operands)
{
	const char *argv[] = {"query", "p.db", "SELECT 1", "--json", "--csv"};
	struct err err = {0};
	int ret;

	CHECK_EQ_STR(printed(&verb_query, 2, argv, &ret, &err), "");
	CHECK(ret < 0 && err.kind == ERR_USAGE);
	CHECK_EQ_STR(printed(&verb_query, 5, argv, &ret, &err), "");
	CHECK(ret < 0 && err.kind == ERR_USAGE);
	CHECK_EQ_STR(printed(&verb_query, 3, argv, &ret, &err), "");
	CHECK(ret < 0 && err.kind == ERR_DATABASE);
}

/* More rows than a table keeps: the rest is printed as it comes, all of them. */
TEST(long_tables_are_whole)
{
	const char *headings[] = {"N", "TEXT"};
	FILE *file = tmpfile();
	struct table *table = table_new(file, headings, 2);
	char line[64];
	int count = 0;

	for (int i = 0; i < 3 * TABLE_ROWS_KEPT; i++) {
		char number[16];

		snprintf(number, sizeof(number), "%d", i);
		table_add(table, (const struct table_cell[]){{number, true}, {"t", false}});
	}
	table_end(table);
	rewind(file);
	CHECK(fgets(line, sizeof(line), file));
	CHECK_EQ_STR(line, "  N  TEXT\n");
	while (fgets(line, sizeof(line), file))
		CHECK_EQ_I64(atoi(line), count++);
	CHECK_EQ_I64(count, 3 * TABLE_ROWS_KEPT);
	CHECK_EQ_STR(line, "2999  t\n");
	fclose(file);
}

/* A folder with a finished profile, a younger unfinished one, a damaged one, and strangers. */
static const char *make_folder(void)
{
	static char folder[4096];
	char path[4200];
	struct maker maker;
	FILE *file;

	setenv("TZ", "UTC", 1);
	snprintf(folder, sizeof(folder), "%s", kit_folder());
	snprintf(path, sizeof(path), "%s/a.db", folder);
	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	snprintf(path, sizeof(path), "%s/b.db", folder);
	maker_small(&maker, path);
	store_abandon(maker.store, false);
	maker_done(&maker);
	CHECK_EQ_STR(plain_sqlite(path,
				  "UPDATE recordings SET start_unix_ns = 1767700060000000000, "
				  "process_name = 'new' || char(27)"),
		     "");
	snprintf(path, sizeof(path), "%s/c.db", folder);
	maker_small(&maker, path);
	maker_finish(&maker, 3000);
	maker_done(&maker);
	CHECK(truncate(path, 5000) == 0);
	CHECK(utimensat(AT_FDCWD, path, (const struct timespec[2]){{1, 0}, {1, 0}}, 0) == 0);
	snprintf(path, sizeof(path), "%s/strange.db", folder);
	CHECK_EQ_STR(plain_sqlite(path, "CREATE TABLE t(a)"), "");
	snprintf(path, sizeof(path), "%s/text.db", folder);
	file = fopen(path, "w");
	CHECK(file && fputs("text", file) >= 0 && fclose(file) == 0);
	snprintf(path, sizeof(path), "%s/fifo.db", folder);
	CHECK(mkfifo(path, 0600) == 0);
	return folder;
}

static const char *list(const char *folder, const char *option)
{
	const char *argv[] = {"list", "-d", folder, option};
	struct err err = {0};
	const char *text;
	int ret;

	text = printed(&verb_list, option ? 4 : 3, argv, &ret, &err);
	if (ret < 0)
		FAIL("%s", err.sentence);
	return text;
}

TEST(list_prints_a_table)
{
	const char *text = list(make_folder(), NULL);
	char first[256], second[256], third[256], rest[256] = "";

	CHECK(sscanf(text, "%*[^\n]\n%255[^\n]\n%255[^\n]\n%255[^\n]\n%255[^\n]", first, second,
		     third, rest) == 3);
	CHECK(strstr(text, "FILE") == text);
	CHECK(strstr(first, "b.db") == first && strstr(first, "new? (4711)") &&
	      strstr(first, "2026-01-06T11:47:40+00:00") && strstr(first, " 3s ") &&
	      strstr(first, " 19 ") && strstr(first, "ended by force"));
	CHECK(strstr(second, "a.db") == second && strstr(second, "burn (4711)") &&
	      !strstr(second, "force"));
	CHECK(strstr(third, "c.db") == third && strstr(third, "damaged"));
}

TEST(list_prints_json_and_csv)
{
	const char *folder = make_folder();
	char path[4200], wanted[512];
	struct stat status;

	snprintf(path, sizeof(path), "%s/a.db", folder);
	CHECK(stat(path, &status) == 0);
	snprintf(
		wanted, sizeof(wanted),
		"\n  {\"file\": \"a.db\", \"process\": \"burn\", \"pid\": 4711, \"start_time\": "
		"\"2026-01-06T11:46:40+00:00\", \"duration_ms\": 3000, \"samples\": 19, \"bytes\": "
		"%ld, \"finished\": true},\n",
		(long)status.st_size);
	CHECK(strstr(list(folder, "--json"), wanted));
	CHECK(strstr(list(folder, "--json"),
		     "{\"file\": \"c.db\", \"bytes\": 5000, \"error\": \""));
	snprintf(wanted, sizeof(wanted),
		 "\na.db,burn,4711,2026-01-06T11:46:40+00:00,3000,19,%ld,true,\n",
		 (long)status.st_size);
	CHECK(strstr(list(folder, "--csv"), wanted));
}

TEST(list_of_nothing)
{
	const char *folder = kit_folder();
	const char *argv[] = {"list", "-d", "/no/such/folder"};
	struct err err = {0};
	char wanted[4200];
	int ret;

	snprintf(wanted, sizeof(wanted), "No profiles in %s.\n", folder);
	CHECK_EQ_STR(list(folder, NULL), wanted);
	CHECK_EQ_STR(list(folder, "--json"), "[]\n");
	CHECK_EQ_STR(printed(&verb_list, 3, argv, &ret, &err), "");
	CHECK(ret < 0 && err.kind == ERR_GENERAL);
}

KIT_MAIN
