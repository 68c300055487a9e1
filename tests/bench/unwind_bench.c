/* What unwind tables cost: prints a line for each file, one for all of them together, and what a
 * walk costs a frame.
 *
 *     unwind_bench [FILE…]      libc, and rustc's librustc_driver and libLLVM where they are
 * installed */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/unwind/cache.h"
#include "reader/unwind/walk.h"
#include "reader/util/clock.h"
#include "tests/lib/kit.h"

enum {
	FILES_MAX = 64,
	WARM_ROUNDS = 5, /* the fastest counts */
	WALK_FRAMES = 32,
	WALK_ROUNDS = 20000,
};

static double ms_since(uint64_t start_ns)
{
	return (double)(clock_now_ns() - start_ns) / (double)NS_PER_MS;
}

/* Files of the Rust toolchain that are large. */
static int find_rust(char paths[][PATH_MAX], int count)
{
	char folder[PATH_MAX - NAME_MAX - 8];
	FILE *pipe = popen("rustc --print sysroot 2>/dev/null", "r");
	struct dirent *entry;
	DIR *dir = NULL;

	if (pipe && fgets(folder, sizeof(folder) - 8, pipe)) {
		folder[strcspn(folder, "\n")] = 0;
		strcat(folder, "/lib");
		dir = opendir(folder);
	}
	if (pipe)
		pclose(pipe);
	while (dir && (entry = readdir(dir)) && count < FILES_MAX) {
		if (strncmp(entry->d_name, "librustc_driver", 15) == 0 ||
		    strncmp(entry->d_name, "libLLVM.so", 10) == 0)
			snprintf(paths[count++], PATH_MAX, "%s/%s", folder, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return count;
}

struct sum {
	uint64_t bytes;
	double warm_ms;
};

static bool measure(const char *path, struct unwind_rules *shared, struct sum *sum)
{
	struct unwind_table *table;
	double cold = 0, warm = 1e9;
	uint64_t start;
	int fd, ret;

	/* Out of the page cache, so that the first build reads the disk. */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "unwind_bench: %s: %s\n", path, strerror(errno));
		return false;
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (int round = 0; round <= WARM_ROUNDS; round++) {
		struct unwind_rules *rules = unwind_rules_new();
		double ms;

		start = clock_now_ns();
		ret = unwind_table_build(fd, rules, &table);
		ms = ms_since(start);
		unwind_rules_free(rules);
		if (ret) {
			fprintf(stderr, "unwind_bench: %s: %s\n", path, strerror(-ret));
			close(fd);
			return false;
		}
		if (round == 0)
			cold = ms;
		else if (ms < warm)
			warm = ms;
		unwind_table_free(table);
	}
	ret = unwind_table_build(fd, shared, &table);
	close(fd);
	if (ret)
		return false;
	printf("%-48.48s text %10" PRIu64 "  FDEs %7" PRIu64 "  rows %8u  bytes %9" PRIu64
	       "  unsupported %3" PRIu64 "  cold %7.1f ms  warm %6.1f ms\n",
	       strrchr(path, '/') ? strrchr(path, '/') + 1 : path, table->text_bytes,
	       table->fde_count, table->row_count, unwind_table_bytes(table),
	       table->unsupported_count, cold, warm);
	sum->bytes += unwind_table_bytes(table);
	sum->warm_ms += warm;
	unwind_table_free(table);
	return true;
}

/* ---- the walk: frames of 32 bytes in the code of libc, which never leave one function */

struct code {
	const struct unwind_table *table;
	uint64_t pc; /* an address whose rule is rsp + 32 */
};

static bool find_code(void *context, uint64_t address, struct unwind_place *ret_place)
{
	struct code *code = context;

	ret_place->table = code->table;
	ret_place->bias = 0;
	return true;
}

static bool pick_code(struct code *code, const struct unwind_rules *rules)
{
	const struct unwind_table *table = code->table;

	for (uint32_t page = 0; page < table->page_count; page++) {
		for (uint32_t i = table->index[page]; i < table->index[page + 1]; i++) {
			const struct ehframe_rule *rule = &rules->rules[table->rows[i].rule];

			if (rule->cfa_type == EH_CFA_RSP && rule->cfa_off == 32) {
				code->pc = table->base + (uint64_t)page * EH_PAGE_BYTES +
					   table->rows[i].offset;
				return true;
			}
		}
	}
	return false;
}

static void measure_walk(const char *path)
{
	static uint64_t stack[WALK_FRAMES * 4 + 4];
	uint64_t pcs[WALK_FRAMES], start, frames = 0;
	struct unwind_cache *cache = unwind_cache_new();
	struct unwind_registers registers = {.known =
						     1u << EH_REGISTER_RSP | 1u << EH_REGISTER_RBP};
	struct unwind_copy copy = {0x10000, (const uint8_t *)stack, sizeof(stack)};
	struct unwind_walk walk = {.rules = unwind_cache_rules(cache), .find = find_code};
	struct unwind_stack result = {.pcs = pcs, .pc_max = WALK_FRAMES};
	struct code code = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && unwind_cache_get(cache, fd, &code.table) == 0 &&
	    pick_code(&code, walk.rules)) {
		for (size_t i = 3; i < WALK_FRAMES * 4; i += 4)
			stack[i] = code.pc + 1;
		registers.rip = code.pc;
		registers.general[EH_REGISTER_RSP] = copy.address;
		walk.context = &code;
		start = clock_now_ns();
		for (int i = 0; i < WALK_ROUNDS; i++) {
			unwind_walk(&walk, &registers, &copy, &result);
			frames += result.pc_count;
		}
		printf("walk: %.1f ns a frame (hot, %d frames)\n",
		       (double)(clock_now_ns() - start) / (double)frames, WALK_FRAMES);
	}
	if (fd >= 0)
		close(fd);
	unwind_cache_free(cache);
}

int main(int argc, char **argv)
{
	static const char libc[] = "/lib/x86_64-linux-gnu/libc.so.6";
	static char paths[FILES_MAX][PATH_MAX];
	struct unwind_rules *rules = unwind_rules_new();
	struct sum sum = {0, 0};
	int count = 0, failed_count = 0;

	for (int i = 1; i < argc && count < FILES_MAX; i++)
		snprintf(paths[count++], PATH_MAX, "%s", argv[i]);
	if (argc == 1) {
		snprintf(paths[count++], PATH_MAX, "%s", libc);
		count = find_rust(paths, count);
	}
	for (int i = 0; i < count; i++)
		failed_count += !measure(paths[i], rules, &sum);
	printf("all: %u rules, %.1f MB, %.1f ms warm\n", rules->count, (double)sum.bytes / 1e6,
	       sum.warm_ms);
	measure_walk(libc);
	unwind_rules_free(rules);
	return failed_count ? 1 : 0;
}
