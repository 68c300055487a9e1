/* What compilers and linkers make of code: inlining in Rust and C++, dropped and cloned functions,
 * aliases, stubs, frames; and agreement with addr2line over a whole program. */
#include <elf.h>
#include <sys/stat.h>

#include "reader/symbol/range_index.h"
#include "tests/unit/symbol_fixture.h"

static const char rust_source[] =
	"#![allow(named_asm_labels)] use std::arch::asm;\n"
	"trait Shape { fn area(&self, n: u64) -> u64; }\n"
	"struct Square(u64);\n"
	"impl Shape for Square {\n"
	"    #[inline(never)]\n"
	"    fn area(&self, n: u64) -> u64 {\n"
	"        let more = n + 1;\n"
	"        helper(self.0, more)\n"
	"    }\n"
	"}\n"
	"#[inline(always)]\n"
	"fn helper(a: u64, b: u64) -> u64 {\n"
	"    let mut x = a.wrapping_mul(b);\n"
	"    unsafe { asm!(\".globl spot\", \"spot: nop /* {0} */\", inout(reg) x) };\n"
	"    x\n"
	"}\n"
	"fn main() {\n"
	"    let shape: Box<dyn Shape> = Box::new(Square(std::env::args().count() as u64));\n"
	"    println!(\"{}\", std::hint::black_box(&shape).area(3));\n"
	"}\n";

static void check_rust(const char *folder, const char *flags)
{
	struct symbol_facts facts;
	struct fixture fixture;

	/* The variable lets a stable compiler take the options that are kept for nightly ones. */
	if (shell(folder, "RUSTC_BOOTSTRAP=1 rustc -O -g %s shapes.rs -o shapes", flags) != 0)
		FAIL("rustc %s does not compile", flags);
	fixture_open(&fixture, folder, "shapes");
	ask(&fixture, address_of(folder, "shapes", "spot"));
	CHECK_EQ_U64(fixture.answer.quality, SYMBOL_LINE);
	CHECK_EQ_U64(fixture.answer.line_count, 2);
	check_line(&fixture, 0, "shapes::helper", "shapes.rs", 14);
	check_line(&fixture, 1, "<shapes::Square as shapes::Shape>::area", "shapes.rs", 8);
	symbolizer_describe(fixture.symbolizer, &fixture.module, &facts);
	CHECK_EQ_STR(facts.language, "Rust");
	fixture_close(&fixture);
}

static const char *rust_folder(void)
{
	const char *folder = kit_folder();

	need("rustc");
	write_file(folder, "shapes.rs", rust_source);
	return folder;
}

TEST(rust_v0_by_both_linkers)
{
	const char *folder = rust_folder();

	check_rust(folder, "-C symbol-mangling-version=v0 -C link-arg=-fuse-ld=bfd");
	CHECK(shell(folder, "nm shapes | grep '_R.*Square.*area'") == 0);
	need("ld.lld");
	check_rust(folder, "-C symbol-mangling-version=v0 -C link-arg=-fuse-ld=lld");
}

TEST(rust_legacy)
{
	const char *folder = rust_folder();

	check_rust(folder, "-Z unstable-options -C symbol-mangling-version=legacy");
	CHECK(shell(folder, "nm shapes | grep '_ZN.*Shape.*area17h[0-9a-f]*E'") == 0);
}

/* lld puts code at an address that is not its place in the file. */
TEST(lld_and_bfd_give_the_same_lines)
{
	static const char *const linkers[] = {"bfd", "lld"};
	const char *folder = kit_folder();

	need("ld.lld");
	write_file(folder, "inlined.c", inlined_source);
	for (size_t i = 0; i < 2; i++) {
		struct fixture fixture;

		CHECK(shell(folder, "gcc -O2 -g -fuse-ld=%s inlined.c -o inlined", linkers[i]) ==
		      0);
		fixture_open(&fixture, folder, "inlined");
		check_inlined(&fixture, address_of(folder, "inlined", "spot"));
		fixture_close(&fixture);
	}
}

static const char frames_source[] =
	"int leaf(int x) { __asm__ volatile(\".globl spot\\nspot: nop\"); return x + 1; }\n"
	"int main(int argc, char **argv) { return leaf(argc); }\n";

static enum frame_base base_of(const char *folder, const char *flags)
{
	enum frame_base base;
	struct fixture fixture;

	write_file(folder, "frames.c", frames_source);
	CHECK(shell(folder, "gcc -fno-inline %s frames.c -o frames", flags) == 0);
	fixture_open(&fixture, folder, "frames");
	ask(&fixture, address_of(folder, "frames", "spot"));
	base = fixture.answer.base;
	fixture_close(&fixture);
	return base;
}

/* gcc gives a leaf no frame of its own but at -O0, whatever -fno-omit-frame-pointer says. */
TEST(frame_bases)
{
	static const char no_table[] = "-fno-asynchronous-unwind-tables";
	const char *folder = kit_folder();
	char flags[256];

	need("gcc");
	CHECK_EQ_U64(base_of(folder, "-O0"), FRAME_BASE_POINTER);
	CHECK_EQ_U64(base_of(folder, "-O1 -fomit-frame-pointer"), FRAME_BASE_OTHER);
	CHECK_EQ_U64(base_of(folder, "-O1 -fno-omit-frame-pointer"), FRAME_BASE_OTHER);
	/* Without .eh_frame there is .debug_frame with -g, or nothing. */
	snprintf(flags, sizeof(flags), "-O0 -g %s", no_table);
	CHECK_EQ_U64(base_of(folder, flags), FRAME_BASE_POINTER);
	snprintf(flags, sizeof(flags), "-O0 %s", no_table);
	CHECK_EQ_U64(base_of(folder, flags), FRAME_BASE_UNKNOWN);
}

static const char names_source[] =
	"namespace outer { namespace {\n"
	"struct Thing {\n"
	"	int value;\n"
	"	__attribute__((always_inline)) Thing(int x) : value(x)\n"
	"	{\n"
	"		__asm__ volatile(\".globl spot\\nspot: nop\" : \"+r\"(value));\n"
	"	}\n"
	"};\n"
	"} }\n"
	"template <int N> __attribute__((noinline)) int build(int x)\n"
	"{\n"
	"	return outer::Thing(x).value + N;\n"
	"}\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	return build<3>(argc);\n"
	"}\n";

/* A constructor has no linkage name of its own: it is told from where it is declared. */
TEST(cxx_names)
{
	static const char *const compilers[] = {"g++ -g", "clang++ -g", "g++ -g -flto"};
	const char *folder = kit_folder();

	need("g++");
	write_file(folder, "names.cc", names_source);
	for (size_t i = 0; i < 3; i++) {
		struct fixture fixture;

		if (i == 1 && shell("/", "command -v clang++") != 0)
			continue;
		CHECK(shell(folder, "%s -O2 names.cc -o names", compilers[i]) == 0);
		fixture_open(&fixture, folder, "names");
		ask(&fixture, address_of(folder, "names", "spot"));
		CHECK_EQ_U64(fixture.answer.line_count, 2);
		check_line(&fixture, 0, "outer::(anonymous namespace)::Thing::Thing", "names.cc",
			   6);
		check_line(&fixture, 1, "build<3>", "names.cc", 12);
		fixture_close(&fixture);
	}
}

/* C libraries name their inner aliases so; people know the plain name. */
TEST(alias_that_is_not_mangled)
{
	const char *folder = kit_folder();
	struct fixture fixture;

	need("gcc");
	write_file(folder, "alias.c",
		   "int shown(int x) __asm__(\"__inner_shown\");\n"
		   "__attribute__((noinline)) int shown(int x)\n{\n	return x * 7;\n}\n"
		   "int main(int argc, char **argv)\n{\n	return shown(argc);\n}\n");
	CHECK(shell(folder, "gcc -O2 -g alias.c -o alias") == 0);
	fixture_open(&fixture, folder, "alias");
	ask(&fixture, address_of(folder, "alias", "__inner_shown"));
	check_line(&fixture, 0, "shown", "alias.c", 4);
	fixture_close(&fixture);
}

/* With link-time optimisation the inlined function's own entry is in another unit than the call. */
TEST(inlined_across_units)
{
	const char *folder = kit_folder();
	struct fixture fixture;

	need("gcc");
	write_file(folder, "a.c",
		   "int helper(int x)\n{\n	__asm__ volatile(\".globl spot\\nspot: nop\" : "
		   "\"+r\"(x));\n"
		   "	return x * 7;\n}\n");
	write_file(folder, "b.c",
		   "int helper(int x);\nint main(int argc, char **argv)\n{\n"
		   "	return helper(argc);\n}\n");
	CHECK(shell(folder, "gcc -O2 -g -flto -flto-partition=none a.c b.c -o ab") == 0);
	fixture_open(&fixture, folder, "ab");
	ask(&fixture, address_of(folder, "ab", "spot"));
	CHECK_EQ_U64(fixture.answer.line_count, 2);
	check_line(&fixture, 0, "helper", "a.c", 3);
	check_line(&fixture, 1, "main", "b.c", 4);
	fixture_close(&fixture);
}

/* The linker leaves the dropped function's debug information at address 0, and 64 KiB from there it
 * reaches over the code that was kept. */
static const char dropped_source[] =
	"void dropped(void)\n{\n	__asm__ volatile(\".skip 0x10000, 0x90\");\n}\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	__asm__ volatile(\".globl spot\\nspot: nop\");\n"
	"	return argc;\n"
	"}\n";

TEST(dropped_functions_attract_nothing)
{
	static const char *const flags[] = {"", "-Wl,-z,noseparate-code", "-fuse-ld=lld",
					    "-gdwarf-4"};
	const char *folder = kit_folder();

	need("gcc");
	write_file(folder, "dropped.c", dropped_source);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct fixture fixture;
		uint64_t spot;

		if (strstr(flags[i], "lld") && shell("/", "command -v ld.lld") != 0)
			continue;
		CHECK(shell(folder,
			    "gcc -O2 -g %s -ffunction-sections -Wl,--gc-sections dropped.c "
			    "-o dropped && ! nm dropped | grep ' dropped$'",
			    flags[i]) == 0);
		spot = address_of(folder, "dropped", "spot");
		fixture_open(&fixture, folder, "dropped");
		for (uint64_t address = 0; address < 0x11000; address += 5) {
			ask(&fixture, address);
			CHECK(strcmp(fixture.answer.lines[0].function, "dropped") != 0);
			CHECK(fixture.answer.lines[0].line != 3);
		}
		ask(&fixture, spot);
		CHECK_EQ_U64(fixture.answer.line_count, 1);
		check_line(&fixture, 0, "main", "dropped.c", 7);
		fixture_close(&fixture);
	}
}

static const char assembly_source[] =
	".text\n"
	".globl strong, soft\n.weak soft\n"
	".type strong, @function\n.type soft, @function\n.type mine, @function\n"
	"strong:\nsoft:\nmine:\n"
	"	nop\n"
	".globl within\nwithin:\n"
	"	nop\n"
	".size strong, .-strong\n.size soft, .-soft\n.size mine, .-mine\n"
	".globl bare\nbare:\n	nop\n	nop\n"
	".globl after\n.type after, @function\nafter:\n	nop\n.size after, .-after\n"
	"$x:\n	nop\n"
	".globl _start\n_start:\n	nop\n";

/* One address has three names, one symbol has no size, one label lies within a function. */
TEST(assembly_and_aliases)
{
	const char *folder = kit_folder();
	struct fixture fixture;
	uint64_t bare, after;
	char want[64];

	need("gcc");
	write_file(folder, "hand.s", assembly_source);
	CHECK(shell(folder, "as hand.s -o hand.o && ld hand.o -o hand && strip -g hand -o plain") ==
	      0);
	bare = address_of(folder, "hand", "bare");
	after = address_of(folder, "hand", "after");
	fixture_open(&fixture, folder, "plain");
	ask(&fixture, address_of(folder, "hand", "strong"));
	check_line(&fixture, 0, "strong", "[plain]", 0);
	ask(&fixture, address_of(folder, "hand", "within"));
	check_line(&fixture, 0, "strong", "[plain]", 0);
	ask(&fixture, bare);
	check_line(&fixture, 0, "bare", "[plain]", 0);
	ask(&fixture, bare + 1);
	check_line(&fixture, 0, "bare", "[plain]", 0);
	ask(&fixture, after);
	check_line(&fixture, 0, "after", "[plain]", 0);
	ask(&fixture, after + 1);
	snprintf(want, sizeof(want), "plain+0x%" PRIx64, after + 1);
	check_line(&fixture, 0, want, "[plain]", 0);
	fixture_close(&fixture);
}

/* Line 0 is the compiler's word for "no line": the file is told, no other line is made up. */
TEST(a_system_call_is_on_its_own_line)
{
	static const char source[] = "__attribute__((noipa)) long twice(long x)\n"
				     "{\n"
				     "	__asm__ volatile(\"syscall\\n.globl after\\nafter:\" : "
				     "\"+a\"(x) : : \"rcx\", \"r11\");\n"
				     "	__asm__ volatile(\"nop\\n.globl plain\\nplain:\");\n"
				     "	__asm__ volatile(\"nop\");\n"
				     "	return x;\n"
				     "}\n"
				     "int main(void) { return (int)twice(39); }\n";
	const char *folder = kit_folder();
	struct fixture fixture;

	write_file(folder, "call.c", source);
	CHECK_EQ_I64(shell(folder, "gcc -O2 -g call.c -o call"), 0);
	fixture_open(&fixture, folder, "call");
	/* The kernel reports the instruction after the call. */
	ask(&fixture, address_of(folder, "call", "after"));
	check_line(&fixture, 0, "twice", "call.c", 3);
	ask(&fixture, address_of(folder, "call", "plain"));
	check_line(&fixture, 0, "twice", "call.c", 5);
	fixture_close(&fixture);
}

TEST(line_zero)
{
	const char *folder = kit_folder();
	struct fixture fixture;
	uint64_t spot;

	need("clang");
	write_file(folder, "zero.c",
		   "int f(void)\n{\n	__asm__ volatile(\"nop\\n#zero\\n.globl spot\\nspot: nop\\n"
		   "#three\\nnop\");\n	return 1;\n}\nint main(void)\n{\n	return f();\n}\n");
	CHECK(shell(folder, "clang -O1 -gdwarf-4 -fno-inline -S zero.c && "
			    "sed -i 's/#zero/.loc 1 0/; s/#three/.loc 1 3/' zero.s && "
			    "clang zero.s -o zero") == 0);
	spot = address_of(folder, "zero", "spot");
	fixture_open(&fixture, folder, "zero");
	ask(&fixture, spot);
	check_line(&fixture, 0, "f", "zero.c", 0);
	CHECK_EQ_U64(fixture.answer.quality, SYMBOL_LINE);
	ask(&fixture, spot + 1);
	check_line(&fixture, 0, "f", "zero.c", 3);
	fixture_close(&fixture);
}

static void check_stub(const char *flags)
{
	const char *folder = kit_folder();
	struct fixture fixture;
	char command[256], line[64];
	uint64_t stub = 0;
	FILE *pipe;

	need("gcc");
	need("objdump");
	write_file(folder, "stub.c",
		   "#include <stdio.h>\nint main(int argc, char **argv)\n"
		   "{\n	puts(argv[0]);\n	return getchar();\n}\n");
	CHECK(shell(folder, "gcc -O1 %s stub.c -o stub && strip -s stub", flags) == 0);
	snprintf(command, sizeof(command), "objdump -d '%s/stub' | sed -n 's/ <puts@plt>:$//p'",
		 folder);
	pipe = popen(command, "r");
	CHECK(pipe && fgets(line, sizeof(line), pipe));
	pclose(pipe);
	stub = strtoull(line, NULL, 16);
	CHECK(stub);
	fixture_open(&fixture, folder, "stub");
	ask(&fixture, stub);
	check_line(&fixture, 0, "puts@plt", "[stub]", 0);
	ask(&fixture, stub + 15);
	check_line(&fixture, 0, "puts@plt", "[stub]", 0);
	fixture_close(&fixture);
}

TEST(stubs_are_named)
{
	check_stub("-Wl,-z,lazy");
	check_stub("-Wl,-z,lazy -fcf-protection -Wl,-z,ibtplt");
	need("ld.lld");
	check_stub("-fuse-ld=lld");
}

/* Fedora's way: a stripped file whose local symbols lie packed in .gnu_debugdata. */
TEST(packed_symbol_table)
{
	const char *folder = kit_folder();
	struct fixture fixture;

	need("gcc");
	need("xz");
	write_file(folder, "inlined.c", inlined_source);
	CHECK(shell(folder, "gcc -O2 inlined.c -o full && "
			    "strip --only-keep-debug full -o mini && xz -k mini && "
			    "strip -s full -o bare && "
			    "objcopy --add-section .gnu_debugdata=mini.xz bare") == 0);
	fixture_open(&fixture, folder, "bare");
	ask(&fixture, address_of(folder, "full", "spot"));
	check_line(&fixture, 0, "caller", "[bare]", 0);
	fixture_close(&fixture);
}

static void patch(uint8_t *bytes, size_t size, uint64_t moved)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)bytes;
	const Elf64_Phdr *segments = (const Elf64_Phdr *)(bytes + header->e_phoff);

	header->e_shoff = 0;
	header->e_shnum = header->e_shstrndx = 0;
	for (int i = 0; i < header->e_phnum; i++) {
		Elf64_Dyn *entry = (Elf64_Dyn *)(bytes + segments[i].p_offset);

		if (segments[i].p_type != PT_DYNAMIC)
			continue;
		for (; entry->d_tag != DT_NULL; entry++) {
			if (entry->d_tag == DT_SYMTAB || entry->d_tag == DT_STRTAB ||
			    entry->d_tag == DT_GNU_HASH || entry->d_tag == DT_HASH)
				entry->d_un.d_ptr += moved;
		}
	}
	(void)size;
}

/* As read from a process's memory: no section headers, addresses moved by the loader. */
TEST(without_section_headers)
{
	static const char *const hashes[] = {"gnu", "sysv"};
	static const uint64_t moves[] = {0, 0x7f1234567000};
	const char *folder = kit_folder();

	need("gcc");
	write_file(folder, "lib.c",
		   "int first(int x)\n{\n	return x + 1;\n}\n"
		   "int second(int x)\n{\n	return first(x) * 3;\n}\n");
	for (size_t i = 0; i < 4; i++) {
		static uint8_t bytes[256 * 1024];
		struct fixture fixture;
		char path[600];
		FILE *file;
		size_t size;

		CHECK(shell(folder, "gcc -O1 -g -shared -fPIC -Wl,--hash-style=%s lib.c -o lib.so",
			    hashes[i / 2]) == 0);
		snprintf(path, sizeof(path), "%s/lib.so", folder);
		file = fopen(path, "r");
		CHECK(file);
		size = fread(bytes, 1, sizeof(bytes), file);
		fclose(file);
		patch(bytes, size, moves[i % 2]);
		snprintf(path, sizeof(path), "%s/copy.so", folder);
		file = fopen(path, "w");
		CHECK(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
		fixture_open(&fixture, folder, "copy.so");
		ask(&fixture, address_of(folder, "lib.so", "first"));
		check_line(&fixture, 0, "first", "[copy.so]", 0);
		CHECK_EQ_U64(fixture.answer.base, FRAME_BASE_OTHER);
		ask(&fixture, address_of(folder, "lib.so", "second") + 1);
		check_line(&fixture, 0, "second", "[copy.so]", 0);
		fixture_close(&fixture);
	}
}

/* Flattened ranges answer as a search through all of them does. */
TEST(ranges_that_overlap)
{
	enum { RANGES = 60, SPACE = 200, ROUNDS = 50 };
	uint64_t state = 7;

	for (int round = 0; round < ROUNDS; round++) {
		struct range_index index = {0};
		struct range all[RANGES];

		for (uint32_t i = 0; i < RANGES; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			all[i].start = (state >> 20) % SPACE;
			all[i].end = all[i].start + (state >> 40) % 30;
			all[i].rank = (state >> 50) % 4;
			range_index_add(&index, all[i].start, all[i].end, all[i].rank, i);
		}
		range_index_seal(&index);
		for (uint64_t address = 0; address < SPACE + 40; address++) {
			uint32_t best = RANGE_NONE;

			for (uint32_t i = 0; i < RANGES; i++) {
				if (address < all[i].start || address >= all[i].end)
					continue;
				if (best == RANGE_NONE || all[i].rank > all[best].rank ||
				    (all[i].rank == all[best].rank &&
				     all[i].start > all[best].start))
					best = i;
			}
			CHECK_EQ_U64(range_index_find(&index, address), best);
		}
		range_index_done(&index);
	}
}

KIT_MAIN
