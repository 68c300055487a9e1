/* plugin SECONDS FOLDER: in turn loads FOLDER/plug_a.so, burns in it, unloads it, and the same with
 * plug_b.so: the second is mostly mapped where the first was. Prints the CPU time spent in each. */
#include "tests/targets/target.h"

#include <dlfcn.h>

enum { TURN_NS = 20000000 };

APART static uint64_t burn_in(const char *folder, const char *name, const char *function)
{
	char path[4096];
	void *library;
	void (*burn)(void);
	uint64_t begin, now;

	snprintf(path, sizeof(path), "%s/%s.so", folder, name);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	*(void **)&burn = dlsym(library, function);
	begin = thread_ns();
	do {
		burn();
		note_stall();
		now = thread_ns();
	} while (now - begin < TURN_NS);
	dlclose(library);
	return now - begin;
}

int main(int argc, char **argv)
{
	uint64_t a = 0, b = 0, turns = 0, end;

	if (argc < 3)
		return 1;
	block_signals();
	wait_for_go();
	end = wall_ns() + (uint64_t)(number_argument(argc, argv, 1, 2) * 1e9);
	while (wall_ns() < end) {
		a += burn_in(argv[2], "plug_a", "plug_a_burn");
		/* Twice, so that the two have shares that cannot be taken for each other. */
		b += burn_in(argv[2], "plug_b", "plug_b_burn");
		b += burn_in(argv[2], "plug_b", "plug_b_burn");
		turns++;
	}
	printf("a_ns %" PRIu64 "\nb_ns %" PRIu64 "\nturns %" PRIu64 "\n", a, b, turns);
	linger();
	return 0;
}
