/* Where names and lines come from: the file's own debug information, a separate file's, symbol
 * tables, nothing. Fixtures are compiled here. */
#include <elf.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "reader/symbol/debug_root.h"
#include "tests/unit/symbol_fixture.h"

static const char *inlined_folder(void)
{
	const char *folder = kit_folder();

	need("gcc");
	write_file(folder, "inlined.c", inlined_source);
	return folder;
}

static void check_compiled(const char *compiler, const char *flags)
{
	const char *folder = inlined_folder();
	struct fixture fixture;
	char path[600];

	if (shell(folder, "%s -O2 %s inlined.c -o inlined", compiler, flags) != 0)
		FAIL("%s %s does not compile", compiler, flags);
	fixture_open(&fixture, folder, "inlined");
	check_inlined(&fixture, address_of(folder, "inlined", "spot"));
	snprintf(path, sizeof(path), "%s/inlined.c", folder);
	CHECK_EQ_STR(fixture.answer.lines[0].path, path);
	CHECK_EQ_STR(fixture.answer.lines[1].path, path);
	fixture_close(&fixture);
}

TEST(inlined_helper_has_its_own_line)
{
	check_compiled("gcc", "-g");
}

TEST(dwarf_3_and_4_and_5_and_packed)
{
	check_compiled("gcc", "-gdwarf-3");
	check_compiled("gcc", "-gdwarf-4");
	check_compiled("gcc", "-gdwarf-5");
	check_compiled("gcc", "-g -gz=zlib");
	check_compiled("gcc", "-g -gz=zlib-gnu");
	check_compiled("gcc", "-g -no-pie");
}

TEST(clang_and_lld)
{
	need("clang");
	check_compiled("clang", "-gdwarf-4");
	check_compiled("clang", "-gdwarf-5");
	need("ld.lld");
	check_compiled("clang", "-g -fuse-ld=lld");
	check_compiled("gcc", "-g -fuse-ld=lld");
}

TEST(split_debug_information)
{
	check_compiled("gcc", "-gdwarf-5 -gsplit-dwarf");
	check_compiled("gcc", "-gdwarf-4 -gsplit-dwarf");
}

TEST(split_file_that_is_a_pipe_is_not_opened)
{
	const char *folder = inlined_folder();
	struct fixture fixture;

	CHECK(shell(folder, "gcc -O2 -g -gsplit-dwarf inlined.c -o inlined && rm -f *.dwo") == 0);
	CHECK(shell(folder, "mkfifo inlined-inlined.dwo inlined.dwo") == 0);
	fixture_open(&fixture, folder, "inlined");
	ask(&fixture, address_of(folder, "inlined", "spot"));
	CHECK_EQ_U64(fixture.answer.line_count, 1);
	check_line(&fixture, 0, "caller", "inlined.c", 4);
	fixture_close(&fixture);
}

TEST(without_debug_information_the_function)
{
	const char *folder = inlined_folder();
	struct symbol_facts facts;
	struct fixture fixture;

	CHECK(shell(folder, "gcc -O2 -g inlined.c -o full && strip -g -o plain full") == 0);
	fixture_open(&fixture, folder, "plain");
	ask(&fixture, address_of(folder, "full", "spot"));
	CHECK_EQ_U64(fixture.answer.quality, SYMBOL_FUNCTION);
	CHECK_EQ_U64(fixture.answer.line_count, 1);
	check_line(&fixture, 0, "caller", "[plain]", 0);
	CHECK(!fixture.answer.lines[0].path);
	symbolizer_describe(fixture.symbolizer, &fixture.module, &facts);
	CHECK_EQ_U64(facts.source, SYMBOL_SOURCE_ELF);
	CHECK_EQ_I64(facts.dwarf_version, 0);
	CHECK(!facts.language && !facts.debug_file);
	fixture_close(&fixture);
}

TEST(stripped_is_module_and_offset)
{
	const char *folder = inlined_folder();
	struct symbol_facts facts;
	struct fixture fixture;
	char want[64];
	uint64_t spot;

	CHECK(shell(folder, "gcc -O2 -g -static-pie -nostdlib -Wl,-e,caller inlined.c -o full && "
			    "strip -s -o bare full") == 0);
	spot = address_of(folder, "full", "spot");
	fixture_open(&fixture, folder, "bare");
	ask(&fixture, spot);
	snprintf(want, sizeof(want), "bare+0x%" PRIx64, spot);
	CHECK_EQ_U64(fixture.answer.quality, SYMBOL_NONE);
	check_line(&fixture, 0, want, "[bare]", 0);
	symbolizer_describe(fixture.symbolizer, &fixture.module, &facts);
	CHECK_EQ_U64(facts.source, SYMBOL_SOURCE_NONE);
	fixture_close(&fixture);
}

/* full, its debug information in bare.debug, and bare, which has a link to it. */
static const char *linked_folder(const char *flags)
{
	const char *folder = inlined_folder();

	CHECK(shell(folder,
		    "gcc -O2 -g %s inlined.c -o full && objcopy --only-keep-debug full bare.debug "
		    "&& "
		    "strip -s -o bare full && objcopy --add-gnu-debuglink=bare.debug bare",
		    flags) == 0);
	return folder;
}

static void check_linked(const char *folder, const char *debug_file)
{
	struct symbol_facts facts;
	struct fixture fixture;
	char path[600];

	fixture_open(&fixture, folder, "bare");
	check_inlined(&fixture, address_of(folder, "full", "spot"));
	CHECK_EQ_U64(fixture.answer.base, FRAME_BASE_OTHER);
	symbolizer_describe(fixture.symbolizer, &fixture.module, &facts);
	snprintf(path, sizeof(path), "%s/%s", folder, debug_file);
	CHECK_EQ_STR(facts.debug_file, path);
	CHECK_EQ_U64(facts.source, SYMBOL_SOURCE_DWARF);
	CHECK_EQ_STR(facts.language, "C");
	CHECK_EQ_I64(facts.dwarf_version, 5);
	fixture_close(&fixture);
}

TEST(debug_link_beside_the_file_and_below_it)
{
	static const char *const flags[] = {"-Wl,--build-id", "-Wl,--build-id=none"};

	for (size_t i = 0; i < 2; i++) {
		const char *folder = linked_folder(flags[i]);

		check_linked(folder, "bare.debug");
		CHECK(shell(folder, "mkdir .debug && mv bare.debug .debug") == 0);
		check_linked(folder, ".debug/bare.debug");
	}
}

TEST(debug_link_below_the_root)
{
	const char *folder = linked_folder("-Wl,--build-id=none");
	struct fixture fixture;
	char root[600];

	snprintf(root, sizeof(root), "%s/root", folder);
	CHECK(shell(folder, "mkdir -p 'root%s' && mv bare.debug 'root%s'", folder, folder) == 0);
	fixture_open(&fixture, folder, "bare");
	symbolizer_set_debug_root(fixture.symbolizer, root);
	check_inlined(&fixture, address_of(folder, "full", "spot"));
	fixture_close(&fixture);
}

static void check_not_linked(const char *folder)
{
	struct symbol_facts facts;
	struct fixture fixture;

	fixture_open(&fixture, folder, "bare");
	ask(&fixture, address_of(folder, "full", "spot"));
	CHECK_EQ_U64(fixture.answer.quality, SYMBOL_NONE);
	symbolizer_describe(fixture.symbolizer, &fixture.module, &facts);
	CHECK(!facts.debug_file);
	fixture_close(&fixture);
}

TEST(debug_link_to_another_build_is_refused)
{
	const char *folder = linked_folder("-Wl,--build-id=none");

	CHECK(shell(folder, "printf x >> bare.debug") == 0);
	check_not_linked(folder);
	folder = linked_folder("-Wl,--build-id");
	CHECK(shell(folder, "gcc -O1 -g -Wl,--build-id inlined.c -o other && "
			    "objcopy --only-keep-debug other bare.debug") == 0);
	check_not_linked(folder);
}

TEST(debug_link_to_a_pipe_is_not_opened)
{
	const char *folder = linked_folder("-Wl,--build-id=none");

	CHECK(shell(folder, "rm bare.debug && mkfifo bare.debug") == 0);
	check_not_linked(folder);
}

static const char build_id_flag[] = "-Wl,--build-id=0xabcdef0123456789abcdef0123456789abcdef01";
static const uint8_t build_id[BUILD_ID_MAX] = {0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67,
					       0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45,
					       0x67, 0x89, 0xab, 0xcd, 0xef, 0x01};

TEST(debug_file_by_build_id)
{
	static const char name[] = "root/.build-id/ab/cdef0123456789abcdef0123456789abcdef01.debug";
	const char *folder = linked_folder(build_id_flag);
	struct fixture fixture;
	char root[600];
	uint64_t spot = address_of(folder, "full", "spot");

	snprintf(root, sizeof(root), "%s/root", folder);
	CHECK(shell(folder, "mkdir -p root/.build-id/ab && mv bare.debug %s", name) == 0);
	fixture_open(&fixture, folder, "bare");
	symbolizer_set_debug_root(fixture.symbolizer, root);
	check_inlined(&fixture, spot);
	fixture_close(&fixture);

	/* A module whose file could not be opened has its build-id still. */
	fixture_open(&fixture, folder, "bare");
	close(fixture.module.fd);
	fixture.module.fd = -1;
	memcpy(fixture.module.build_id, build_id, sizeof(build_id));
	fixture.module.build_id_size = sizeof(build_id);
	symbolizer_set_debug_root(fixture.symbolizer, root);
	check_inlined(&fixture, spot);
	fixture_close(&fixture);

	/* A file in the right place with another build-id. */
	CHECK(shell(folder, "gcc -O2 -g -Wl,--build-id=0x1234 inlined.c -o %s", name) == 0);
	fixture_open(&fixture, folder, "bare");
	symbolizer_set_debug_root(fixture.symbolizer, root);
	ask(&fixture, spot);
	CHECK_EQ_U64(fixture.answer.quality, SYMBOL_NONE);
	fixture_close(&fixture);
}

TEST(deleted_file_and_closed_descriptor)
{
	const char *folder = inlined_folder();
	struct fixture fixture;
	uint64_t spot;

	CHECK(shell(folder, "gcc -O2 -g inlined.c -o inlined") == 0);
	spot = address_of(folder, "inlined", "spot");
	fixture_open(&fixture, folder, "inlined");
	CHECK(unlink(fixture.path) == 0);
	check_inlined(&fixture, spot);
	/* The descriptor is the module's: after the first look it is not needed. */
	close(fixture.module.fd);
	fixture.module.fd = -1;
	check_inlined(&fixture, spot);
	fixture_close(&fixture);
}

TEST(modules_that_are_no_files)
{
	struct fixture fixture = {.symbolizer = symbolizer_new(), .module = {.fd = -1}};
	struct module anonymous = {.kind = MODULE_ANONYMOUS, .fd = -1};

	ask(&fixture, 0x1234);
	check_line(&fixture, 0, "[unknown]", "[unknown]", 0);
	CHECK_EQ_U64(fixture.answer.quality, SYMBOL_NONE);
	CHECK_EQ_U64(fixture.answer.base, FRAME_BASE_UNKNOWN);
	symbolizer_resolve(fixture.symbolizer, &anonymous, 0x7f0000001000, &fixture.answer);
	check_line(&fixture, 0, "[anon]", "[anon]", 0);
	fixture_close(&fixture);
}

TEST(file_that_is_no_elf)
{
	const char *folder = kit_folder();
	struct fixture fixture;

	write_file(folder, "data.bin",
		   "\177ELX is how it begins, and this is how it goes on; it is "
		   "long enough to be looked at.\n");
	fixture_open(&fixture, folder, "data.bin");
	ask(&fixture, 0x10);
	check_line(&fixture, 0, "data.bin+0x10", "[data.bin]", 0);
	fixture_close(&fixture);
}

/* The kernel's own shared object, as it is mapped here. */
TEST(vdso_by_its_dynamic_symbols)
{
	const uint8_t *image = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	struct fixture fixture = {.symbolizer = symbolizer_new()};
	Elf64_Ehdr header;
	uint64_t address;
	char *folder;
	size_t size;

	if (!image)
		SKIP("the kernel maps no vDSO here");
	need("nm");
	memcpy(&header, image, sizeof(header));
	size = header.e_shoff + (size_t)header.e_shentsize * header.e_shnum;
	fixture.module = (struct module){
		.kind = MODULE_VDSO, .path = (char *)"[vdso]", .name = (char *)"[vdso]"};
	fixture.module.fd = memfd_create("vdso", MFD_CLOEXEC);
	CHECK(write(fixture.module.fd, image, size) == (ssize_t)size);
	folder = strdup(kit_folder());
	CHECK(shell(folder,
		    "nm -D /proc/%d/fd/%d > all && awk '$3 ~ /__vdso_clock_gettime/ "
		    "{print $1, $2, \"spot\"}' all > one",
		    getpid(), fixture.module.fd) == 0);
	{
		char path[600];
		FILE *file;

		snprintf(path, sizeof(path), "%s/one", folder);
		file = fopen(path, "r");
		CHECK(file && fscanf(file, "%" SCNx64, &address) == 1);
		fclose(file);
	}
	free(folder);
	ask(&fixture, address + 1);
	check_line(&fixture, 0, "__vdso_clock_gettime", "[vdso]", 0);
	CHECK_EQ_U64(fixture.answer.quality, SYMBOL_FUNCTION);
	ask(&fixture, 8);
	check_line(&fixture, 0, "[vdso]+0x8", "[vdso]", 0);
	fixture_close(&fixture);
}

KIT_MAIN
