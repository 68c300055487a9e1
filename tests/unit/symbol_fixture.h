/* Programs that are compiled when a test runs, and questions about them. For the tests of
 * reader/symbol only. */
#ifndef RSPROF_TESTS_UNIT_SYMBOL_FIXTURE_H
#define RSPROF_TESTS_UNIT_SYMBOL_FIXTURE_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "reader/symbol/symbol.h"
#include "tests/lib/kit.h"

enum { COMMAND_MAX = 8192 };

/* A file as a module, with a symbolizer of its own. */
struct fixture {
	struct symbolizer *symbolizer;
	struct module module;
	char path[512];
	struct symbol_answer answer;
};

/* Runs a shell command in the folder; its exit status. */
__attribute__((format(printf, 2, 3))) static inline int shell(const char *folder,
							      const char *format, ...)
{
	char command[COMMAND_MAX], whole[COMMAND_MAX + 600];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	snprintf(whole, sizeof(whole), "cd '%s' && { %s; } >/dev/null 2>&1", folder, command);
	return system(whole);
}

static inline void write_file(const char *folder, const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	CHECK(file);
	CHECK(fputs(text, file) >= 0);
	CHECK(fclose(file) == 0);
}

static inline void need(const char *program)
{
	if (shell("/", "command -v %s", program) != 0)
		SKIP("%s is not installed", program);
}

/* The value of a symbol in a file that has its symbol table. */
static inline uint64_t address_of(const char *folder, const char *name, const char *symbol)
{
	char command[1024], line[1024];
	uint64_t address = 0;
	FILE *pipe;

	snprintf(command, sizeof(command), "nm '%s/%s'", folder, name);
	pipe = popen(command, "r");
	CHECK(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		char found[900], type;
		uint64_t value;

		if (sscanf(line, "%" SCNx64 " %c %899s", &value, &type, found) == 3 &&
		    strcmp(found, symbol) == 0)
			address = value;
	}
	pclose(pipe);
	if (!address)
		FAIL("%s has no symbol %s", name, symbol);
	return address;
}

static inline void fixture_open(struct fixture *fixture, const char *folder, const char *name)
{
	memset(fixture, 0, sizeof(*fixture));
	snprintf(fixture->path, sizeof(fixture->path), "%s/%s", folder, name);
	fixture->module.kind = MODULE_FILE;
	fixture->module.path = fixture->path;
	fixture->module.name = strrchr(fixture->path, '/') + 1;
	fixture->module.fd = open(fixture->path, O_RDONLY | O_CLOEXEC);
	CHECK(fixture->module.fd >= 0);
	fixture->symbolizer = symbolizer_new();
}

static inline void fixture_close(struct fixture *fixture)
{
	symbolizer_free(fixture->symbolizer);
	if (fixture->module.fd >= 0)
		close(fixture->module.fd);
}

static inline void ask(struct fixture *fixture, uint64_t address)
{
	symbolizer_resolve(fixture->symbolizer, &fixture->module, address, &fixture->answer);
	CHECK(fixture->answer.line_count >= 1);
}

static inline void check_line(const struct fixture *fixture, size_t index, const char *function,
			      const char *file, uint32_t line)
{
	CHECK(index < fixture->answer.line_count);
	CHECK_EQ_STR(fixture->answer.lines[index].function, function);
	CHECK_EQ_STR(fixture->answer.lines[index].file, file);
	CHECK_EQ_U64(fixture->answer.lines[index].line, line);
}

/* A helper that is inlined into `caller`; `spot` is in the helper's line 4, called from line 10. */
static const char inlined_source[] =
	"static inline __attribute__((always_inline)) int helper(int x)\n"
	"{\n"
	"	x *= 7;\n"
	"	__asm__ volatile(\".globl spot\\nspot: nop\" : \"+r\"(x));\n"
	"	return x;\n"
	"}\n"
	"__attribute__((noinline, noclone)) int caller(int x)\n"
	"{\n"
	"	x += 3;\n"
	"	return helper(x) + 1;\n"
	"}\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	return caller(argc);\n"
	"}\n";

static inline void check_inlined(struct fixture *fixture, uint64_t spot)
{
	ask(fixture, spot);
	CHECK_EQ_U64(fixture->answer.quality, SYMBOL_LINE);
	CHECK_EQ_U64(fixture->answer.line_count, 2);
	check_line(fixture, 0, "helper", "inlined.c", 4);
	check_line(fixture, 1, "caller", "inlined.c", 10);
}

#endif
