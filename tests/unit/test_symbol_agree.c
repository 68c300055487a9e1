/* The same answers as binutils' addr2line over a whole C++ program. */
#include "reader/symbol/elf_file.h"
#include "tests/unit/symbol_fixture.h"

static const char program_source[] =
	"#include <algorithm>\n#include <map>\n#include <sstream>\n#include <string>\n"
	"#include <vector>\n"
	"template <int N> struct Job {\n"
	"	std::map<std::string, std::vector<int>> rows;\n"
	"	Job()\n	{\n"
	"		for (int i = 0; i < N; i++)\n"
	"			rows[std::to_string(i)].push_back(i);\n"
	"	}\n"
	"	std::string run()\n	{\n"
	"		std::ostringstream out;\n"
	"		for (auto &row : rows) {\n"
	"			std::sort(row.second.begin(), row.second.end(),\n"
	"				  [](int a, int b) { return a > b; });\n"
	"			for (int value : row.second)\n"
	"				out << row.first << value + N;\n"
	"		}\n"
	"		return out.str();\n"
	"	}\n"
	"};\n"
	"int main()\n{\n	return (int)(Job<3>().run().size() + Job<5>().run().size());\n}\n";

enum { QUESTIONS = 600, LINE_MAX_BYTES = 16384 };

struct reply {
	char path[512];
	unsigned line;
	size_t depth; /* lines in the chain */
};

/* "PATH:LINE", "PATH:?" or "PATH:LINE (discriminator N)". */
static void parse_place(char *text, struct reply *ret_reply)
{
	char *colon, *note = strstr(text, " (discriminator");
	size_t length;

	if (note)
		*note = '\0';
	colon = strrchr(text, ':');
	CHECK(colon);
	*colon = '\0';
	length = strlen(text);
	CHECK(length < sizeof(ret_reply->path));
	memcpy(ret_reply->path, text, length + 1);
	ret_reply->line = (unsigned)strtoul(colon + 1, NULL, 10);
}

/* What addr2line says of each address; its output is "0xADDRESS", then a function and a place a
 * line of the chain. */
static void ask_addr2line(const char *folder, const uint64_t *addresses, struct reply *replies)
{
	static char text[LINE_MAX_BYTES];
	char path[600];
	size_t at = SIZE_MAX;
	FILE *file;

	snprintf(path, sizeof(path), "%s/addresses", folder);
	file = fopen(path, "w");
	CHECK(file);
	for (size_t i = 0; i < QUESTIONS; i++)
		fprintf(file, "0x%" PRIx64 "\n", addresses[i]);
	fclose(file);
	CHECK(system(NULL));
	snprintf(text, sizeof(text),
		 "cd '%s' && addr2line -a -i -f -C -e program < addresses > replies", folder);
	CHECK(system(text) == 0);
	snprintf(path, sizeof(path), "%s/replies", folder);
	file = fopen(path, "r");
	CHECK(file);
	while (fgets(text, sizeof(text), file)) {
		if (strncmp(text, "0x", 2) == 0) {
			at++;
			CHECK(at < QUESTIONS);
			CHECK_EQ_U64(strtoull(text, NULL, 16), addresses[at]);
			continue;
		}
		/* The function's line is followed by its place. */
		CHECK(at < QUESTIONS && fgets(text, sizeof(text), file));
		text[strcspn(text, "\n")] = '\0';
		if (replies[at].depth++ == 0)
			parse_place(text, &replies[at]);
	}
	fclose(file);
	CHECK_EQ_U64(at, QUESTIONS - 1);
}

TEST(same_lines_as_addr2line)
{
	static uint64_t addresses[QUESTIONS];
	static struct reply replies[QUESTIONS];
	size_t same_place = 0, same_depth = 0, main_file = 0;
	const char *folder = kit_folder();
	struct fixture fixture;
	struct elf_file file;
	uint64_t state = 1;

	need("g++");
	need("addr2line");
	write_file(folder, "program.cc", program_source);
	CHECK(shell(folder, "g++ -O2 -g program.cc -o program") == 0);
	fixture_open(&fixture, folder, "program");
	CHECK(elf_file_open(fixture.module.fd, &file) == 0);
	for (size_t i = 0; i < QUESTIONS;) {
		const struct code_range *range;

		state = state * 6364136223846793005u + 1442695040888963407u;
		range = &file.code[(state >> 60) % file.code_count];
		addresses[i] = range->start + (state >> 20) % (range->end - range->start);
		/* Only code of the program itself: addr2line names a file for the start-up code,
		 * which has no lines, and carries a line over the padding between functions. */
		ask(&fixture, addresses[i]);
		i += fixture.answer.quality == SYMBOL_LINE;
	}
	ask_addr2line(folder, addresses, replies);
	for (size_t i = 0; i < QUESTIONS; i++) {
		const struct source_line *line;

		ask(&fixture, addresses[i]);
		line = &fixture.answer.lines[0];
		CHECK(line->path);
		same_depth += fixture.answer.line_count == replies[i].depth;
		if (line->line != replies[i].line)
			continue;
		if (strcmp(line->path, replies[i].path) == 0)
			same_place++;
		else if (strcmp(strrchr(replies[i].path, '/'), "/program.cc") == 0)
			main_file++;
	}
	elf_file_close(&file);
	fixture_close(&fixture);
	/* For a function that is declared in a namespace of a header binutils 2.40 names the unit's
	 * main file with the header's line; readelf's listing of the table has the header. */
	CHECK_BETWEEN(100.0 * (double)main_file / QUESTIONS, 0, 4);
	CHECK_BETWEEN(100.0 * (double)(same_place + main_file) / QUESTIONS, 99, 100);
	CHECK_BETWEEN(100.0 * (double)same_depth / QUESTIONS, 99, 100);
}

KIT_MAIN
