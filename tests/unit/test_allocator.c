/* Unit tests of allocator_find on processes: programs that are compiled here, and Debian's
 * allocators before the C library's. */
#include "tests/unit/allocator_live.h"

#include <dlfcn.h>
#include <elf.h>
#include <time.h>

static void check_kernel_calls(const struct looked *looked, uint32_t layer)
{
	check_function(looked, layer, "mmap", ALLOCATOR_MMAP, 1, 0);
	check_function(looked, layer, "munmap", ALLOCATOR_MUNMAP, 1, 0);
	check_function(looked, layer, "sbrk", ALLOCATOR_SBRK, 0, 0);
}

static const char PLAIN[] = READY "int main(void) { free(malloc(10)); return wait_here(); }\n";

static struct looked look_at_plain(const char *preload)
{
	if (preload && access(preload, R_OK) < 0)
		SKIP("%s is not installed", preload);
	compile("plain.c", PLAIN, "gcc -o plain plain.c");
	return look_at(run("plain", preload));
}

TEST(the_c_library_serves)
{
	struct looked looked = look_at_plain(NULL);

	check_list(&looked);
	CHECK_EQ_U64(looked.list.layers.count, 1);
	if (strcmp(looked.list.layers.items[0].kind, "glibc") != 0)
		SKIP("this system's C library is %s", looked.list.layers.items[0].kind);
	check_layer(&looked, 0, "glibc", "libc");
	check_function(&looked, 0, "malloc", ALLOCATOR_ALLOC, 0, 0);
	check_function(&looked, 0, "calloc", ALLOCATOR_CALLOC, 1, 0);
	check_function(&looked, 0, "realloc", ALLOCATOR_REALLOC, 1, 0);
	check_function(&looked, 0, "reallocarray", ALLOCATOR_REALLOCARRAY, 2, 0);
	check_function(&looked, 0, "free", ALLOCATOR_FREE, 0, 0);
	check_function(&looked, 0, "posix_memalign", ALLOCATOR_POSIX_MEMALIGN, 2, 0);
	check_function(&looked, 0, "aligned_alloc", ALLOCATOR_ALLOC, 1, 0);
	check_function(&looked, 0, "valloc", ALLOCATOR_ALLOC, 0, 0);
	check_kernel_calls(&looked, 0);
	CHECK(!looked.list.missing);
	done(&looked);
}

static void own_address(const void *argument)
{
	void *address = dlsym(RTLD_DEFAULT, argument);

	if (write(STDOUT_FILENO, "r", 1) != 1 ||
	    write(STDOUT_FILENO, &address, sizeof(address)) != sizeof(address))
		_exit(1);
	child_await();
}

/* A sanitizer's malloc comes first in its own build: whatever serves is found. */
TEST(addresses_are_the_linkers)
{
	static const char *const names[] = {"malloc", "free", "calloc", "posix_memalign"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct child child = child_start(own_address, names[i]);
		struct looked looked = look_at(child);
		const struct allocator_function *function = find(&looked, 0, names[i]);
		uint64_t address;

		CHECK(read(child.from, &address, sizeof(address)) == sizeof(address));
		check_list(&looked);
		CHECK(function);
		CHECK_EQ_U64(looked.list.layers.items[0].bias + function->vaddr, address);
		done(&looked);
	}
}

TEST(libjemalloc_before_libc)
{
	struct looked looked = look_at_plain("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2");

	check_list(&looked);
	CHECK_EQ_U64(looked.list.layers.count, 2);
	check_layer(&looked, 0, "jemalloc", "libjemalloc.so.2");
	check_function(&looked, 0, "malloc", ALLOCATOR_ALLOC, 0, 0);
	check_function(&looked, 0, "mallocx", ALLOCATOR_ALLOC, 0, 0);
	check_function(&looked, 0, "rallocx", ALLOCATOR_REALLOC, 1, 0);
	check_function(&looked, 0, "sdallocx", ALLOCATOR_FREE, 0, 0);
	check_function(&looked, 0, "dallocx", ALLOCATOR_FREE, 0, 0);
	/* libc's would call jemalloc's realloc. */
	CHECK(!find(&looked, 0, "reallocarray") && !find(&looked, 1, "reallocarray"));
	/* An operator with a way of its own, and one that jumps to free. */
	CHECK(!find(&looked, 0, "_ZdlPv"));
	if (find(&looked, 0, "_Znwm"))
		CHECK(find(&looked, 0, "_Znwm")->may_throw);
	check_layer(&looked, 1, "libc", "libc");
	CHECK_EQ_U64(count_of_layer(&looked, 1), 3);
	check_kernel_calls(&looked, 1);
	done(&looked);
}

static void check_tcmalloc(const char *path)
{
	struct looked looked = look_at_plain(path);

	check_list(&looked);
	CHECK_EQ_U64(looked.list.layers.count, 2);
	check_layer(&looked, 0, "tcmalloc", "libtcmalloc");
	check_function(&looked, 0, "malloc", ALLOCATOR_ALLOC, 0, 0);
	check_function(&looked, 0, "free", ALLOCATOR_FREE, 0, 0);
	check_function(&looked, 0, "calloc", ALLOCATOR_CALLOC, 1, 0);
	check_function(&looked, 0, "_ZdlPvm", ALLOCATOR_FREE, 0, 0);
	check_function(&looked, 0, "_ZnwmRKSt9nothrow_t", ALLOCATOR_ALLOC, 0, 0);
	CHECK(find(&looked, 0, "_Znwm") && find(&looked, 0, "_Znwm")->may_throw);
	/* Other names of the same. */
	CHECK(!find(&looked, 0, "tc_malloc") && !find(&looked, 0, "_ZdlPv"));
	check_kernel_calls(&looked, 1);
	done(&looked);
}

TEST(libtcmalloc_before_libc)
{
	check_tcmalloc("/usr/lib/x86_64-linux-gnu/libtcmalloc.so.4");
}

TEST(libtcmalloc_minimal_before_libc)
{
	check_tcmalloc("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4");
}

TEST(libmimalloc_before_libc)
{
	struct looked looked = look_at_plain("/usr/lib/x86_64-linux-gnu/libmimalloc.so.2");

	check_list(&looked);
	check_layer(&looked, 0, "mimalloc", "libmimalloc");
	check_function(&looked, 0, "malloc", ALLOCATOR_ALLOC, 0, 0);
	check_function(&looked, 0, "mi_heap_malloc", ALLOCATOR_ALLOC, 1, 0);
	check_function(&looked, 0, "free", ALLOCATOR_FREE, 0, 0);
	CHECK(!find(&looked, 0, "mi_free") && !find(&looked, 0, "mi_free_size"));
	check_kernel_calls(&looked, 1);
	done(&looked);
}

static void check_static(const char *command)
{
	struct looked looked;

	compile("plain.c", PLAIN, command);
	looked = look_at(run("static", NULL));
	check_list(&looked);
	CHECK_EQ_U64(looked.list.layers.count, 1);
	check_layer(&looked, 0, "glibc", "static");
	check_function(&looked, 0, "malloc", ALLOCATOR_ALLOC, 0, 0);
	check_function(&looked, 0, "calloc", ALLOCATOR_CALLOC, 1, 0);
	check_function(&looked, 0, "realloc", ALLOCATOR_REALLOC, 1, 0);
	check_function(&looked, 0, "free", ALLOCATOR_FREE, 0, 0);
	check_function(&looked, 0, "mmap", ALLOCATOR_MMAP, 1, 0);
	CHECK(!looked.list.missing);
	done(&looked);
}

TEST(a_static_program_serves_itself)
{
	check_static("gcc -static -o static plain.c");
}

TEST(a_static_program_that_moves_serves_itself)
{
	check_static("gcc -static-pie -fPIE -o static plain.c");
}

TEST(a_stripped_static_program_is_said)
{
	struct looked looked;

	compile("plain.c", PLAIN, "gcc -static -s -o static plain.c");
	looked = look_at(run("static", NULL));
	CHECK_EQ_U64(looked.list.layers.count, 0);
	CHECK_EQ_U64(looked.list.functions.count, 0);
	CHECK(looked.list.missing);
	CHECK(str_starts(
		looked.list.missing,
		"The program is statically linked and has no symbols: its allocator cannot "
		"be found (looked for malloc, je_*,"));
	done(&looked);
}

#define POOL                                                                                       \
	"static char pool[1 << 20]; static size_t at;\n"                                           \
	"static void *take(size_t n) { void *p = pool + at; at += (n + 31) & ~(size_t)15; "        \
	"return p; }\n"

static const char OWN_MALLOC[] =
	READY POOL "void *malloc(size_t n) { return take(n); }\n"
		   "void *calloc(size_t m, size_t n) { return take(m * n); }\n"
		   "void *realloc(void *p, size_t n) { return take(n); }\n"
		   "void free(void *p) { }\n"
		   "int main(void) { free(malloc(10)); return wait_here(); }\n";

TEST(a_program_with_a_malloc_of_its_own)
{
	struct looked looked;

	compile("own.c", OWN_MALLOC, "gcc -o own own.c");
	looked = look_at(run("own", NULL));
	check_list(&looked);
	CHECK_EQ_U64(looked.list.layers.count, 2);
	check_layer(&looked, 0, "malloc", "own");
	CHECK_EQ_U64(count_of_layer(&looked, 0), 4);
	check_function(&looked, 0, "malloc", ALLOCATOR_ALLOC, 0, 0);
	check_function(&looked, 0, "free", ALLOCATOR_FREE, 0, 0);
	/* libc's posix_memalign gives memory that this program's free is given: but it is another
	 * family's. */
	check_layer(&looked, 1, "libc", "libc");
	CHECK_EQ_U64(count_of_layer(&looked, 1), 3);
	done(&looked);
}

TEST(a_malloc_that_is_not_exported_is_said)
{
	struct looked looked;

	compile("own.c",
		READY POOL "__attribute__((visibility(\"hidden\"))) void *malloc(size_t n) "
			   "{ return take(n); }\n"
			   "__attribute__((visibility(\"hidden\"))) void free(void *p) { }\n"
			   "int main(void) { free(malloc(10)); return wait_here(); }\n",
		"gcc -fno-builtin -o own own.c");
	looked = look_at(run("own", NULL));
	check_list(&looked);
	CHECK_EQ_U64(looked.list.layers.count, 1);
	check_layer(&looked, 0, "glibc", "libc");
	CHECK(looked.list.missing && strstr(looked.list.missing, "malloc of its own"));
	done(&looked);
}

/* Linked in whole, with all of its names kept from the linker: its own mark tells it. */
TEST(a_hidden_allocator_that_is_known)
{
	struct looked looked;

	compile("own.c",
		READY POOL "void *malloc(size_t n) { return take(n); }\n"
			   "void free(void *p) { at++; }\n"
			   "void *mallocx(size_t n, int f) { return take(n + 1); }\n"
			   "void sdallocx(void *p, size_t n, int f) { at += 2; }\n"
			   "int mallctl(void) { return 1; }\n"
			   "int main(void) { free(malloc(10)); return wait_here(); }\n",
		"echo '{ local: *; };' >none && "
		"gcc -fno-builtin -Wl,--version-script=none -o own own.c");
	looked = look_at(run("own", NULL));
	check_list(&looked);
	CHECK_EQ_U64(looked.list.layers.count, 2);
	check_layer(&looked, 0, "glibc", "libc");
	check_layer(&looked, 1, "jemalloc", "own");
	CHECK_EQ_U64(count_of_layer(&looked, 1), 4);
	check_function(&looked, 1, "malloc", ALLOCATOR_ALLOC, 0, 0);
	check_function(&looked, 1, "sdallocx", ALLOCATOR_FREE, 0, 0);
	CHECK(!looked.list.missing);
	done(&looked);
}

static void exec_through_linker(const void *path)
{
	execl("/lib64/ld-linux-x86-64.so.2", "ld.so", (const char *)path, (char *)NULL);
	_exit(127);
}

TEST(a_program_that_the_linker_was_told_to_run)
{
	struct looked looked;
	char path[512];

	if (access("/lib64/ld-linux-x86-64.so.2", X_OK) < 0)
		SKIP("glibc's linker is not there");
	compile("own.c", OWN_MALLOC, "gcc -o own own.c");
	looked = look_at(child_start(exec_through_linker, in_folder("own", path)));
	check_list(&looked);
	check_layer(&looked, 0, "malloc", "own");
	check_layer(&looked, 1, "libc", "libc");
	done(&looked);
}

TEST(a_program_whose_file_is_gone)
{
	struct looked looked;
	struct child child;
	char path[512];

	compile("own.c", OWN_MALLOC, "gcc -o own own.c");
	child = run("own", NULL);
	CHECK(unlink(in_folder("own", path)) == 0);
	looked = look_at(child);
	check_list(&looked);
	check_layer(&looked, 0, "malloc", "own");
	CHECK_EQ_U64(count_of_layer(&looked, 0), 4);
	done(&looked);
}

TEST(a_malloc_that_is_chosen_at_run_time_is_said)
{
	struct looked looked;
	char path[512];

	compile("chosen.c",
		READY POOL "static void *mine(size_t n) { return take(n); }\n"
			   "static void *(*choose(void))(size_t) { return mine; }\n"
			   "void *malloc(size_t) __attribute__((ifunc(\"choose\")));\n"
			   "void free(void *p) { }\n",
		"gcc -shared -fPIC -o libchosen.so chosen.c");
	compile("plain.c", PLAIN, "gcc -o plain plain.c");
	looked = look_at(run("plain", in_folder("libchosen.so", path)));
	CHECK_EQ_U64(looked.list.layers.count, 0);
	CHECK(looked.list.missing && strstr(looked.list.missing, "IFUNC"));
	done(&looked);
}

/* An allocator under a prefix, as programs bundle it; the free of one kind hands on to another. */
static const char BUNDLED[] =
	READY POOL "void *je_malloc(size_t n) { return take(n); }\n"
		   "__attribute__((noipa)) static void *je_calloc(size_t m, size_t n) { return "
		   "take(m * n); }\n"
		   "void *je_realloc(void *p, size_t n) { return take(n); }\n"
		   "void *je_mallocx(size_t n, int f) { return take(n); }\n"
		   "void je_free(void *p) { at++; }\n"
		   "void je_dallocx(void *p, int f) { at--; je_free(p); }\n"
		   "void je_sdallocx(void *p, size_t n, int f) { at += 2; }\n"
		   "int je_malloc_mutex(void *p) { return p == pool; }\n"
		   "int main(void) { je_free(je_malloc(10)); je_free(je_calloc(1, 2)); return "
		   "wait_here(); }\n";

TEST(a_bundled_allocator_beside_libc)
{
	static const char *const commands[] = {
		"gcc -O0 -o bundled bundled.c",
		"gcc -O2 -fno-inline -fno-ipa-icf -o bundled bundled.c",
		"gcc -O0 -fPIC -rdynamic -o bundled bundled.c",
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct looked looked;

		compile("bundled.c", BUNDLED, commands[i]);
		looked = look_at(run("bundled", NULL));
		check_list(&looked);
		CHECK_EQ_U64(looked.list.layers.count, 2);
		check_layer(&looked, 0, "glibc", "libc");
		check_layer(&looked, 1, "jemalloc", "bundled");
		check_function(&looked, 1, "je_malloc", ALLOCATOR_ALLOC, 0, 0);
		check_function(&looked, 1, "je_calloc", ALLOCATOR_CALLOC, 1, 0);
		check_function(&looked, 1, "je_realloc", ALLOCATOR_REALLOC, 1, 0);
		check_function(&looked, 1, "je_mallocx", ALLOCATOR_ALLOC, 0, 0);
		check_function(&looked, 1, "je_free", ALLOCATOR_FREE, 0, 0);
		check_function(&looked, 1, "je_sdallocx", ALLOCATOR_FREE, 0, 0);
		/* It calls je_free, which is probed. */
		CHECK(!find(&looked, 1, "je_dallocx"));
		CHECK_EQ_U64(count_of_layer(&looked, 1), 6);
		done(&looked);
	}
}

TEST(a_name_alone_is_no_allocator)
{
	struct looked looked;

	compile("name.c",
		READY "void *mi_malloc(size_t n) { return malloc(n); }\n"
		      "int main(void) { free(mi_malloc(10)); return wait_here(); }\n",
		"gcc -o name name.c");
	looked = look_at(run("name", NULL));
	check_list(&looked);
	CHECK_EQ_U64(looked.list.layers.count, 1);
	check_layer(&looked, 0, "glibc", "libc");
	done(&looked);
}

/* A library of the same family that comes later serves nobody; one with a prefix does. */
TEST(an_allocator_that_is_loaded_later)
{
	struct looked looked;

	compile("own.c", OWN_MALLOC, "gcc -shared -fPIC -o libjemalloc.so.9 own.c");
	compile("bundled.c", BUNDLED, "gcc -shared -fPIC -o libbundled.so bundled.c");
	compile("late.c",
		READY "#include <dlfcn.h>\n"
		      "int main(void) { if (wait_here() || !dlopen(\"./libjemalloc.so.9\", "
		      "RTLD_NOW | RTLD_GLOBAL)) return 1; if (wait_here() || "
		      "!dlopen(\"./libbundled.so\", RTLD_NOW)) return 1; return wait_here(); }\n",
		"gcc -o late late.c -ldl");
	CHECK(chdir(folder()) == 0);
	looked = look_at(run("late", NULL));
	CHECK_EQ_U64(looked.list.layers.count, 1);
	child_tell(&looked.child, 'c');
	CHECK(child_hear(&looked.child) == 'r');
	look_again(&looked);
	check_list(&looked);
	CHECK_EQ_U64(looked.list.layers.count, 1);
	check_layer(&looked, 0, "glibc", "libc");
	child_tell(&looked.child, 'c');
	CHECK(child_hear(&looked.child) == 'r');
	look_again(&looked);
	check_list(&looked);
	CHECK_EQ_U64(looked.list.layers.count, 2);
	check_layer(&looked, 0, "glibc", "libc");
	check_layer(&looked, 1, "jemalloc", "libbundled.so");
	done(&looked);
}

/* ---- the finder, and targets that are gone */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A file that is written anew is looked at anew; one that is not, is not: that a large file's
 * second look takes a small part of the first tells. */
TEST(what_was_found_stays_known)
{
	enum { LOOKS = 5 };
	uint64_t first, again = UINT64_MAX;
	struct looked looked;

	compile("many.awk",
		"BEGIN { for (i = 0; i < 300000; i++) printf \"f%d_free:\\n\", i; "
		"print \"nop\" }",
		"awk -f many.awk >many.s && gcc -shared -o libmany.so many.s");
	compile("plain.c", PLAIN, "gcc -o plain plain.c -Wl,--no-as-needed ./libmany.so");
	CHECK(chdir(folder()) == 0);
	looked = look_at(run("plain", NULL));
	first = now_ns();
	allocator_finder_free(looked.finder);
	looked.finder = allocator_finder_new();
	look_again(&looked);
	first = now_ns() - first;
	for (unsigned i = 0; i < LOOKS; i++) {
		uint64_t start = now_ns(), spent;

		look_again(&looked);
		spent = now_ns() - start;
		again = spent < again ? spent : again;
	}
	check_list(&looked);
	check_layer(&looked, 0, "glibc", "libc");
	if (again * 4 > first)
		FAIL("%.3f ms at first, then %.3f ms", (double)first / 1e6, (double)again / 1e6);
	done(&looked);
}

TEST(a_target_that_is_gone)
{
	struct child child = child_start(child_idle, NULL);
	struct target *target = open_target(child.pid);
	struct allocator_finder *finder = allocator_finder_new();
	struct allocator_list list;

	kill(child.pid, SIGKILL);
	CHECK_SOON(!target_is_alive(target));
	CHECK_EQ_I64(allocator_find(finder, target, &list), -ESRCH);
	child_end(&child);
	CHECK_EQ_I64(allocator_find(finder, target, &list), -ESRCH);
	allocator_finder_free(finder);
	target_free(target);
}

/* A file that is mapped as code and has damaged headers, and one that is no ELF file at all. */
static void map_garbage(const void *unused)
{
	char damaged[4096] = ELFMAG, text[4096] = "no program";
	char path[512];
	int fd;

	for (unsigned i = 0; i < 2; i++) {
		fd = open(in_folder(i ? "text" : "damaged", path), O_RDWR | O_CREAT | O_CLOEXEC,
			  0600);
		if (write(fd, i ? text : damaged, 4096) != 4096 ||
		    mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
			_exit(1);
	}
	child_idle(NULL);
}

TEST(files_that_cannot_be_read_are_said)
{
	struct looked looked;

	folder();
	looked = look_at(child_start(map_garbage, NULL));
	check_list(&looked);
	CHECK(looked.list.layers.count > 0);
	CHECK_EQ_STR(looked.list.missing, "An allocator in damaged would not be seen: it is not an "
					  "ELF file that can be read.");
	done(&looked);
}

/* From the first instruction on, while the linker is at work: the list is whole or it says why. */
TEST(a_program_that_begins)
{
	char path[512];

	compile("plain.c", PLAIN, "gcc -o plain plain.c");
	for (unsigned round = 0; round < 40; round++) {
		struct program program = {in_folder("plain", path), NULL};
		struct child child = child_fork(exec_program, &program);
		struct allocator_finder *finder = allocator_finder_new();
		struct target *target = open_target(child.pid);
		struct allocator_list list;

		for (unsigned look = 0; look < 20; look++) {
			CHECK_EQ_I64(allocator_find(finder, target, &list), 0);
			CHECK(list.layers.count > 0 || list.missing);
			allocator_list_done(&list);
		}
		CHECK(child_hear(&child) == 'r');
		CHECK_EQ_I64(allocator_find(finder, target, &list), 0);
		CHECK(list.layers.count == 1);
		allocator_list_done(&list);
		allocator_finder_free(finder);
		target_free(target);
		child_end(&child);
	}
}

KIT_MAIN
