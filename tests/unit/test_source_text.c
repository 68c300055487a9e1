/* Where source is looked for, what is refused, and how its lines are cut into columns. */
#include "tests/lib/kit.h"

#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reader/view/source_text.h"

#define SECOND UINT64_C(1000000000)

/* Any file of a test is older. */
static const uint64_t future = UINT64_C(1) << 62;

static const char *path_in(const char *folder, const char *name)
{
	static char paths[4][512];
	static int next;

	next = (next + 1) % 4;
	snprintf(paths[next], sizeof(paths[next]), "%s/%s", folder, name);
	return paths[next];
}

static void write_bytes(const char *path, const void *bytes, size_t count)
{
	FILE *file = fopen(path, "w");

	CHECK(file);
	CHECK(fwrite(bytes, 1, count, file) == count);
	CHECK(fclose(file) == 0);
}

static void write_text(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text));
}

static struct source_text source_at(const char *path)
{
	const struct source_request request = {
		.file = "source.rs", .path = path, .start_unix_ns = future};
	struct source_text source;

	source_text_read(&request, &source);
	return source;
}

static void check_line(const struct source_text *source, uint32_t line, const char *want)
{
	struct str text = {0};

	CHECK(!source_text_add(source, line, 0, 1000, &text));
	CHECK_EQ_STR(str_text(&text), want);
	str_done(&text);
}

static void check_text(const char *bytes, size_t count, const char *const *want)
{
	const char *path = path_in(kit_folder(), "a.rs");
	struct source_text source;
	size_t lines = 0;

	write_bytes(path, bytes, count);
	source = source_at(path);
	CHECK_EQ_I64(source.state, SOURCE_UNCHANGED);
	for (; want[lines]; lines++)
		check_line(&source, (uint32_t)lines + 1, want[lines]);
	CHECK_EQ_U64(source.line_count, lines);
	check_line(&source, (uint32_t)lines + 1, "");
	check_line(&source, 0, "");
	check_line(&source, UINT32_MAX, "");
	source_text_done(&source);
}

#define CHECK_TEXT(bytes, ...)                                                                     \
	check_text(bytes, sizeof(bytes) - 1, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

TEST(lines_end_in_every_way)
{
	CHECK_TEXT("a\nb\n", "a", "b");
	CHECK_TEXT("a\r\nb\r\n", "a", "b");
	CHECK_TEXT("a\n\nb", "a", "", "b");
	CHECK_TEXT("\n", "");
	CHECK_TEXT("a\rb\n", "a\rb");
	CHECK_TEXT("a", "a");
	CHECK_TEXT("");
}

TEST(tabs_lead_to_the_next_eighth_column)
{
	if (!setlocale(LC_ALL, "C.UTF-8"))
		SKIP("no locale C.UTF-8");
	CHECK_TEXT("\tx\n", "        x");
	CHECK_TEXT("1234567\tx\n12345678\tx\n", "1234567 x", "12345678        x");
	/* Wide characters are two columns, combining ones none, what is not UTF-8 is one. */
	CHECK_TEXT("宽\tx\n", "宽      x");
	CHECK_TEXT("e\xcc\x81\tx\n", "e\xcc\x81       x");
	CHECK_TEXT("\xff\xfe\tx\n", "\xff\xfe      x");
	CHECK_TEXT("\033\tx\n", "\033       x");
}

TEST(columns_are_cut_anywhere)
{
	static const struct {
		size_t from, width;
		const char *want;
		bool is_more;
	} cuts[] = {
		{0, 20,
		 "a\xe5\xae\xbd"
		 "b       c",
		 false},
		{0, 2, "a ", true},
		{0, 3, "a\xe5\xae\xbd", true},
		{1, 3,
		 "\xe5\xae\xbd"
		 "b",
		 true},
		{2, 2, " b", true},
		{4, 3, "   ", true},
		{8, 1, "c", false},
		{9, 5, "", false},
		{100, 5, "", false},
		{0, 0, "", true},
	};
	const char *path = path_in(kit_folder(), "a.rs");
	struct source_text source;

	if (!setlocale(LC_ALL, "C.UTF-8"))
		SKIP("no locale C.UTF-8");
	write_text(path, "a\xe5\xae\xbd"
			 "b\tc\n");
	source = source_at(path);
	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		struct str text = {0};

		if (source_text_add(&source, 1, cuts[i].from, cuts[i].width, &text) !=
		    cuts[i].is_more)
			FAIL("cut %zu: is_more is not %d", i, cuts[i].is_more);
		if (i && strcmp(str_text(&text), cuts[i].want))
			FAIL("cut %zu is \"%s\", not \"%s\"", i, str_text(&text), cuts[i].want);
		str_done(&text);
	}
	source_text_done(&source);
}

static void check_refused(const char *path, const char *why)
{
	struct source_text source = source_at(path);
	char want[600];

	snprintf(want, sizeof(want), "not read: %s is %s", path, why);
	CHECK_EQ_I64(source.state, SOURCE_MISSING);
	CHECK(!source.path);
	CHECK_EQ_U64(source.line_count, 0);
	CHECK_EQ_STR(str_text(&source.why), want);
	source_text_done(&source);
}

TEST(what_is_no_text_is_refused_and_nothing_waits)
{
	const char *folder = kit_folder(), *fifo = path_in(folder, "fifo");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(mkfifo(fifo, 0600) == 0);
	check_refused(fifo, "a FIFO");
	check_refused("/dev/zero", "a device");
	check_refused("/dev/tty", "a device");
	check_refused(folder, "a folder");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", folder);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		check_refused(address.sun_path, "a socket");
	close(fd);
	write_bytes(path_in(folder, "b"), "int a;\n\0\n", 9);
	check_refused(path_in(folder, "b"), "a binary file");
	write_bytes(path_in(folder, "u"), "\xff\xfei\0n\0t\0", 8);
	check_refused(path_in(folder, "u"), "a binary file");
}

TEST(what_is_too_large_is_refused)
{
	const char *path = path_in(kit_folder(), "large");
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char *lines;

	CHECK(fd >= 0 && ftruncate(fd, SOURCE_BYTES_MAX + 1) == 0);
	close(fd);
	check_refused(path, "larger than 32 MiB");
	lines = malloc(SOURCE_LINES_MAX + 1);
	memset(lines, '\n', SOURCE_LINES_MAX + 1);
	write_bytes(path, lines, SOURCE_LINES_MAX + 1);
	check_refused(path, "of more than 1,000,000 lines");
	write_bytes(path, lines, SOURCE_LINES_MAX);
	free(lines);
	{
		struct source_text source = source_at(path);

		CHECK_EQ_U64(source.line_count, SOURCE_LINES_MAX);
		source_text_done(&source);
	}
}

/* Files of /proc say that they are empty, and go on for ever. */
TEST(files_without_a_size_are_empty)
{
	struct source_text source = source_at("/proc/self/pagemap");

	CHECK(source.path);
	CHECK_EQ_U64(source.line_count, 0);
	source_text_done(&source);
}

TEST(what_cannot_be_read_is_said)
{
	const char *path = path_in(kit_folder(), "closed");
	struct source_text source;

	write_text(path, "x\n");
	CHECK(chmod(path, 0) == 0);
	/* Root may read every file. */
	if (geteuid() == 0)
		CHECK(seteuid(65534) == 0);
	source = source_at(path);
	if (geteuid() != getuid())
		CHECK(seteuid(getuid()) == 0);
	CHECK_EQ_I64(source.state, SOURCE_MISSING);
	CHECK(str_starts(str_text(&source.why), "not readable: "));
	CHECK(str_ends(str_text(&source.why), "(Permission denied)"));
	source_text_done(&source);
}

TEST(a_newer_file_has_changed)
{
	const char *path = path_in(kit_folder(), "a.rs");
	const struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 500},
					  {.tv_sec = 1000, .tv_nsec = 500}};
	struct source_request request = {.file = "a.rs", .path = path};
	struct source_text source;

	write_text(path, "x\n");
	CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
	request.start_unix_ns = 1000 * SECOND + 500;
	source_text_read(&request, &source);
	CHECK_EQ_I64(source.state, SOURCE_UNCHANGED);
	CHECK(!source.is_moved);
	source_text_done(&source);
	request.start_unix_ns--;
	source_text_read(&request, &source);
	CHECK_EQ_I64(source.state, SOURCE_CHANGED);
	source_text_done(&source);
}

/* ---- where it is looked for */

static void make_tree(const char *folder)
{
	static const char *const folders[] = {"one",	     "one/src", "two",	   "two/app",
					      "two/app/src", "cwd",	"cwd/src", "flat"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		CHECK(mkdir(path_in(folder, folders[i]), 0700) == 0);
	write_text(path_in(folder, "one/src/lib.rs"), "one\n");
	write_text(path_in(folder, "two/app/src/lib.rs"), "two\n");
	write_text(path_in(folder, "cwd/src/lib.rs"), "cwd\n");
	write_text(path_in(folder, "cwd/other.rs"), "cwd\n");
	write_text(path_in(folder, "flat/other.rs"), "flat\n");
}

static void check_read(const struct source_request *request, const char *want)
{
	struct source_text source;

	source_text_read(request, &source);
	check_line(&source, 1, want ? want : "");
	CHECK(!want == (source.state == SOURCE_MISSING));
	CHECK(!want || source.is_moved);
	source_text_done(&source);
}

TEST(a_moved_source_is_found_by_its_tail)
{
	const char *folder = kit_folder();
	char one[512], two[512], flat[512], list[1100];
	const char *folders[2] = {one, two};
	struct source_request lib = {
		.file = "src/lib.rs", .path = "/nowhere/app/src/lib.rs", .start_unix_ns = future};
	struct source_request other = {.file = "src/other.rs",
				       .path = "/nowhere/app/src/other.rs",
				       .start_unix_ns = future};

	unsetenv(SOURCE_PATH_VARIABLE);
	make_tree(folder);
	snprintf(one, sizeof(one), "%s/one", folder);
	snprintf(two, sizeof(two), "%s/two/", folder);
	snprintf(flat, sizeof(flat), "%s/flat", folder);
	CHECK(chdir("/") == 0);
	check_read(&lib, NULL);
	lib.folders = folders;
	lib.folder_count = 1;
	check_read(&lib, "one");
	/* The first folder that has any tail of it. */
	lib.folder_count = 2;
	check_read(&lib, "one");
	folders[0] = two;
	check_read(&lib, "two");
	/* The current directory comes first, but by no less than the path that is shown. */
	CHECK(chdir(path_in(folder, "cwd")) == 0);
	check_read(&lib, "cwd");
	check_read(&other, NULL);
	snprintf(list, sizeof(list), ":%s::%s:", one, flat);
	setenv(SOURCE_PATH_VARIABLE, list, 1);
	check_read(&other, "flat");
	other.file = "other.rs";
	check_read(&other, "cwd");
	CHECK(chdir("/") == 0);
}

TEST(no_tail_leads_upwards)
{
	const char *folder = kit_folder();
	const char *folders[1] = {NULL};
	struct source_request request = {.file = "../../one/src/lib.rs",
					 .path = "../../one/src/lib.rs",
					 .start_unix_ns = future,
					 .folders = folders,
					 .folder_count = 1};
	char flat[512];

	unsetenv(SOURCE_PATH_VARIABLE);
	make_tree(folder);
	snprintf(flat, sizeof(flat), "%s/two/app", folder);
	folders[0] = flat;
	CHECK(chdir(flat) == 0);
	/* "src/lib.rs" of this folder, not of one beside it. */
	check_read(&request, "two");
	CHECK(chdir("/") == 0);
}

TEST(the_library_of_rust_is_found_in_a_toolchain)
{
	static const char *const folders[] = {"toolchains",
					      "toolchains/stable-x",
					      "toolchains/stable-x/lib",
					      "toolchains/stable-x/lib/rustlib",
					      "toolchains/stable-x/lib/rustlib/src",
					      "toolchains/stable-x/lib/rustlib/src/rust",
					      "toolchains/stable-x/lib/rustlib/src/rust/library"};
	const char *folder = kit_folder();
	struct source_request request = {.file = "std/src/zz.rs",
					 .path = "/rustc/0123abcd/library/zz.rs",
					 .start_unix_ns = future};

	unsetenv(SOURCE_PATH_VARIABLE);
	setenv("RUSTUP_HOME", folder, 1);
	check_read(&request, NULL);
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		CHECK(mkdir(path_in(folder, folders[i]), 0700) == 0);
	write_text(path_in(folder, "toolchains/stable-x/lib/rustlib/src/rust/library/zz.rs"),
		   "rust\n");
	check_read(&request, "rust");
	/* Another release than the one that the program was built with has other lines. */
	write_text(path_in(folder, "toolchains/stable-x/lib/rustlib/"
				   "multirust-channel-manifest.toml"),
		   "version = \"1.95.0 (0123abcde 2026-04-14)\"\n");
	check_read(&request, "rust");
	request.path = "/rustc/0123abcdf59807616e/library/zz.rs";
	check_read(&request, NULL);
	request.path = "/rustc/0123abcde59807616e/library/zz.rs";
	check_read(&request, "rust");
	request.path = "/rustc/0123abcde/library/../../../../etc/passwd";
	check_read(&request, NULL);
}

TEST(what_was_tried_is_told_shortly)
{
	struct source_request request = {.file = "a/b/c/d.rs",
					 .path = "/nowhere/\033[2J/a/b/c/d.rs",
					 .start_unix_ns = future};
	struct source_text source;
	const char *folders[3] = {"/nowhere/1", "/nowhere/2", "/nowhere/3"};

	unsetenv(SOURCE_PATH_VARIABLE);
	request.folders = folders;
	request.folder_count = 3;
	source_text_read(&request, &source);
	CHECK_EQ_STR(str_text(&source.why), "not found");
	CHECK_EQ_STR(str_text(&source.tried), "/nowhere/?[2J/a/b/c/d.rs, nowhere/?[2J/a/b/c/d.rs, "
					      "?[2J/a/b/c/d.rs and 19 more");
	source_text_done(&source);
}

/* A path of many components below many folders is not looked for in a million places. */
TEST(places_are_bounded)
{
	struct str path = {0};
	const char *folders[16];
	struct source_request request = {.file = "x.rs", .start_unix_ns = future};
	struct source_text source;

	unsetenv(SOURCE_PATH_VARIABLE);
	for (int i = 0; i < 16; i++)
		folders[i] = i % 2 ? "/nowhere" : "/nowhere/2";
	for (int i = 0; i < 100000; i++)
		str_add(&path, "/a");
	str_add(&path, "/x.rs");
	request.path = str_text(&path);
	request.folders = folders;
	request.folder_count = 16;
	source_text_read(&request, &source);
	CHECK_EQ_I64(source.state, SOURCE_MISSING);
	source_text_done(&source);
	str_done(&path);
}

KIT_MAIN
