/* How fast addresses become lines: resolves pseudo-random addresses of a file's code.
 *     symbol_bench FILE COUNT [--print]
 * --print writes each address and its answer in the form of `addr2line -a -i -f -C`, to compare. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "reader/symbol/elf_file.h"
#include "reader/symbol/symbol.h"
#include "reader/util/own.h"

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The same addresses in every run, evenly spread over all code. */
static uint64_t pick(const struct elf_file *file, uint64_t *state)
{
	uint64_t total = 0, at;

	for (size_t i = 0; i < file->code_count; i++)
		total += file->code[i].end - file->code[i].start;
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	at = (*state >> 16) % total;
	for (size_t i = 0; i < file->code_count; i++) {
		uint64_t size = file->code[i].end - file->code[i].start;

		if (at < size)
			return file->code[i].start + at;
		at -= size;
	}
	return 0;
}

static void print_answer(uint64_t address, const struct symbol_answer *answer)
{
	printf("0x%016" PRIx64 "\n", address);
	for (size_t i = 0; i < answer->line_count; i++) {
		const struct source_line *line = &answer->lines[i];

		printf("%s\n%s:%" PRIu32 "\n", line->function, line->path ? line->path : "??",
		       line->line);
	}
}

int main(int argc, char **argv)
{
	OWN(own_close) int fd = -1;
	struct module module = {.kind = MODULE_FILE};
	struct elf_file file;
	struct symbolizer *symbolizer;
	size_t by_quality[3] = {0}, line_count = 0;
	uint64_t state = 1, count;
	struct rusage usage;
	bool is_printing;
	double start, seconds;

	if (argc < 3) {
		fprintf(stderr, "usage: symbol_bench FILE COUNT [--print]\n");
		return 2;
	}
	is_printing = argc > 3 && strcmp(argv[3], "--print") == 0;
	count = strtoull(argv[2], NULL, 10);
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || elf_file_open(fd, &file) != 0 || !file.code_count) {
		fprintf(stderr, "%s is no ELF file with code.\n", argv[1]);
		return 1;
	}
	module.fd = fd;
	module.path = argv[1];
	module.name = strrchr(argv[1], '/') ? strrchr(argv[1], '/') + 1 : argv[1];
	start = now();
	symbolizer = symbolizer_new();
	for (uint64_t i = 0; i < count; i++) {
		uint64_t address = pick(&file, &state);
		struct symbol_answer answer;

		symbolizer_resolve(symbolizer, &module, address, &answer);
		by_quality[answer.quality]++;
		line_count += answer.line_count;
		if (is_printing)
			print_answer(address, &answer);
	}
	seconds = now() - start;
	if (!is_printing) {
		getrusage(RUSAGE_SELF, &usage);
		printf("%.3f s, %.0f addresses/s, %zu lines; by line %zu, function %zu, none %zu; "
		       "peak RSS %ld KiB\n",
		       seconds, seconds > 0 ? (double)count / seconds : 0, line_count,
		       by_quality[SYMBOL_LINE], by_quality[SYMBOL_FUNCTION],
		       by_quality[SYMBOL_NONE], usage.ru_maxrss);
	}
	symbolizer_free(symbolizer);
	elf_file_close(&file);
	return 0;
}
