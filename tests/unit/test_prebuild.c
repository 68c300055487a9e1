/* Tables of a program that is about to be started. */
#include "reader/record/prebuild.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/unwind/elf_needs.h"
#include "reader/util/clock.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "tests/lib/kit.h"

static const char *folder(void)
{
	static const char *made;

	if (!made)
		made = kit_folder();
	return made;
}

static const char *in_folder(const char *name)
{
	static char path[8][512];
	static unsigned next;
	char *at = path[next++ % 8];

	snprintf(at, sizeof(path[0]), "%s/%s", folder(), name);
	return at;
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
	CHECK(chmod(path, 0755) == 0);
}

static bool has_table(struct unwind_cache *cache, const char *path)
{
	OWN(own_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	const struct unwind_table *table;

	if (fd < 0)
		FAIL("%s cannot be opened", path);
	return unwind_cache_find(cache, fd, &table) == 0;
}

static void run(const char *command)
{
	if (system(command) != 0)
		FAIL("%s", command);
}

/* Compiles a text of C with these options; $F is the folder. */
static void compile(const char *text, const char *options)
{
	OWN(str_done) struct str command = {0};

	if (system("gcc --version >/dev/null 2>&1") != 0)
		SKIP("there is no gcc");
	write_text(in_folder("source.c"), text);
	str_addf(&command, "F=%s; cd $F && gcc -O1 source.c %s", folder(), options);
	run(str_text(&command));
}

TEST(an_executable_its_loader_and_its_libraries)
{
	struct unwind_cache *cache = unwind_cache_new();
	size_t count = prebuild(cache, "/proc/self/exe");

	CHECK(has_table(cache, "/proc/self/exe"));
	CHECK(has_table(cache, "/lib64/ld-linux-x86-64.so.2"));
	CHECK(has_table(cache, "/lib/x86_64-linux-gnu/libc.so.6"));
	CHECK(has_table(cache, "/lib/x86_64-linux-gnu/libm.so.6"));
	CHECK(count >= 4);
	unwind_cache_free(cache);
}

TEST(a_script_stands_for_its_interpreter)
{
	struct unwind_cache *cache = unwind_cache_new();
	OWN(str_done) struct str text = {0};

	write_text(in_folder("inner"), "#! /bin/cat -u\n");
	str_addf(&text, "#!%s argument\n", in_folder("inner"));
	write_text(in_folder("outer"), str_text(&text));
	prebuild(cache, in_folder("outer"));
	CHECK(has_table(cache, "/bin/cat"));
	unwind_cache_free(cache);
}

TEST(a_script_that_is_its_own_interpreter_ends)
{
	struct unwind_cache *cache = unwind_cache_new();
	OWN(str_done) struct str text = {0};

	str_addf(&text, "#!%s\n", in_folder("circle"));
	write_text(in_folder("circle"), str_text(&text));
	prebuild(cache, in_folder("circle"));
	/* What every program needs is there all the same. */
	CHECK(has_table(cache, "/lib/x86_64-linux-gnu/libc.so.6"));
	unwind_cache_free(cache);
}

TEST(libraries_are_found_by_runpath_from_the_origin_and_by_others)
{
	struct unwind_cache *cache = unwind_cache_new();

	compile("int inner(int a) { return a + 1; }", "-shared -fPIC -o libinner.so");
	compile("int inner(int); int outer(int a) { return inner(a) + 1; }",
		"-shared -fPIC -o libouter.so -L. -linner -Wl,-rpath,'$ORIGIN'");
	compile("int outer(int); int main(void) { return outer(1); }",
		"-o program -L. -louter -Wl,-rpath,'/nowhere:${ORIGIN}/.' -Wl,-rpath-link,.");
	prebuild(cache, in_folder("program"));
	CHECK(has_table(cache, in_folder("program")));
	CHECK(has_table(cache, in_folder("libouter.so")));
	CHECK(has_table(cache, in_folder("libinner.so")));
	unwind_cache_free(cache);
}

TEST(libraries_are_found_by_the_executables_rpath_and_the_environment)
{
	struct unwind_cache *cache = unwind_cache_new();

	compile("int inner(int a) { return a + 1; }", "-shared -fPIC -o libinner.so");
	compile("int inner(int); int outer(int a) { return inner(a) + 1; }",
		"-shared -fPIC -o libouter.so -L. -linner");
	compile("int outer(int); int main(void) { return outer(1); }",
		"-o program -L. -louter -Wl,--disable-new-dtags,-rpath,$F -Wl,-rpath-link,.");
	prebuild(cache, in_folder("program"));
	CHECK(has_table(cache, in_folder("libinner.so")));
	unwind_cache_free(cache);

	cache = unwind_cache_new();
	compile("int outer(int); int main(void) { return outer(1); }",
		"-o plain -L. -louter -Wl,-rpath-link,.");
	prebuild(cache, in_folder("plain"));
	CHECK(!has_table(cache, in_folder("libouter.so")));
	unwind_cache_free(cache);

	cache = unwind_cache_new();
	setenv("LD_LIBRARY_PATH", in_folder("."), 1);
	prebuild(cache, in_folder("plain"));
	CHECK(has_table(cache, in_folder("libouter.so")));
	CHECK(has_table(cache, in_folder("libinner.so")));
	unwind_cache_free(cache);
}

TEST(what_is_no_program_is_passed_over)
{
	const char *const names[] = {
		in_folder("absent"), in_folder("fifo"), in_folder("."), in_folder("empty"), "",
		"/dev/zero"};

	CHECK(mkfifo(names[1], 0600) == 0);
	write_text(names[3], "");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct unwind_cache *cache = unwind_cache_new();

		CHECK(prebuild(cache, names[i]) <= 3);
		CHECK(has_table(cache, "/lib/x86_64-linux-gnu/libc.so.6"));
		unwind_cache_free(cache);
	}
}

TEST(what_a_damaged_file_asks_for_is_read_without_a_crash)
{
	static const char original[] = "/bin/cat";
	struct stat stat;
	int from = open(original, O_RDONLY | O_CLOEXEC);
	int to = open(in_folder("damaged"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	unsigned char *bytes, *changed;
	unsigned seed = 1;

	CHECK(from >= 0 && to >= 0 && fstat(from, &stat) == 0);
	bytes = malloc((size_t)stat.st_size);
	changed = malloc((size_t)stat.st_size);
	CHECK(read(from, bytes, (size_t)stat.st_size) == stat.st_size);
	for (int round = 0; round < 300; round++) {
		struct elf_needs needs = {0};
		size_t size = (size_t)stat.st_size;

		memcpy(changed, bytes, size);
		/* Headers, and the dynamic section wherever it lies in the last tenth. */
		for (int i = 0; i < 8; i++) {
			seed = seed * 1103515245 + 12345;
			changed[64 + seed % 800] ^= (unsigned char)(1u << (seed >> 16) % 8);
			changed[size - 1 - seed / 7 % (size / 10)] ^= (unsigned char)(seed >> 20);
		}
		if (round % 3 == 0)
			size = size * (size_t)round / 300;
		CHECK(ftruncate(to, 0) == 0 && pwrite(to, changed, size, 0) == (ssize_t)size);
		if (elf_needs_read(to, &needs) == 0) {
			CHECK(needs.library_count <= ELF_NEEDS_MAX);
			elf_needs_done(&needs);
		}
	}
	free(bytes);
	free(changed);
	close(from);
	close(to);
}

TEST(all_that_rustc_needs)
{
	char program[400], library[400];
	struct unwind_cache *cache;
	uint64_t begin_ns, took_ns;
	FILE *pipe = popen("root=$(rustc --print sysroot 2>/dev/null) && echo $root/bin/rustc && "
			   "ls $root/lib/librustc_driver-*.so",
			   "r");

	if (!pipe || !fgets(program, sizeof(program), pipe) ||
	    !fgets(library, sizeof(library), pipe) || pclose(pipe) != 0)
		SKIP("there is no rustc with a librustc_driver");
	program[strcspn(program, "\n")] = library[strcspn(library, "\n")] = '\0';
	for (int i = 0;; i++) {
		cache = unwind_cache_new();
		begin_ns = clock_now_ns();
		prebuild(cache, program);
		took_ns = clock_now_ns() - begin_ns;
		printf("# tables of rustc, %.1f MiB, in %.0f ms\n",
		       (double)unwind_cache_bytes(cache) / (1 << 20), (double)took_ns / 1e6);
		/* Where the disk was cold the time was over before it came to the library. */
		if (has_table(cache, library) || i == 4)
			break;
		unwind_cache_free(cache);
	}
	CHECK(has_table(cache, program));
	CHECK(has_table(cache, library));
	unwind_cache_free(cache);
}

KIT_MAIN
