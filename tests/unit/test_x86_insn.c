#include "reader/target/x86_insn.h"

#include "tests/unit/objdump.h"

#define REGISTER(number) (1u << (number))

enum { RBX = 3, RBP = 5 };

static const struct known {
	const char *name;
	enum x86_insn_kind kind;
	unsigned writes, length;
	uint8_t bytes[16];
} known[] = {
	{"push %rbx", X86_PUSH, 0, 1, {0x53}},
	{"push %r12", X86_PUSH, 0, 2, {0x41, 0x54}},
	{"nop", X86_NOP, 0, 1, {0x90}},
	{"xchg %ax,%ax", X86_NOP, 0, 2, {0x66, 0x90}},
	{"jmp rel8", X86_JMP, 0, 2, {0xeb, 0x05}},
	{"jmp rel32", X86_JMP, 0, 5, {0xe9, 1, 2, 3, 4}},
	{"je rel8", X86_JCC, 0, 2, {0x74, 0x05}},
	{"je rel32", X86_JCC, 0, 6, {0x0f, 0x84, 1, 2, 3, 4}},
	{"call", X86_CALL, 0, 5, {0xe8, 1, 2, 3, 4}},
	/* With other prefixes than these the kernel single-steps them, or refuses the probe. */
	{"rex.W push %rbx", X86_OTHER, 0, 2, {0x48, 0x53}},
	{"push %bx", X86_OTHER, 0, 2, {0x66, 0x53}},
	{"push $0", X86_OTHER, 0, 2, {0x6a, 0}},
	{"push (%rdi)", X86_OTHER, 0, 2, {0xff, 0x37}},
	{"data16 je", X86_OTHER, 0, 3, {0x66, 0x74, 0x05}},
	{"je,pt", X86_OTHER, 0, 3, {0x3e, 0x74, 0x05}},
	{"bnd jmp", X86_OTHER, 0, 6, {0xf2, 0xe9, 1, 2, 3, 4}},
	/* Other instructions with the opcode of nop. */
	{"xchg %eax,%r8d", X86_OTHER, 0, 2, {0x41, 0x90}},
	{"pause", X86_OTHER, 0, 2, {0xf3, 0x90}},
	{"jmp *%rax", X86_OTHER, 0, 2, {0xff, 0xe0}},
	{"notrack jmp *%rax", X86_OTHER, 0, 3, {0x3e, 0xff, 0xe0}},
	{"call *0x10(%rip)", X86_OTHER, 0, 6, {0xff, 0x15, 0x10, 0, 0, 0}},
	{"jrcxz", X86_OTHER, 0, 2, {0xe3, 0x05}},
	{"ret", X86_OTHER, 0, 1, {0xc3}},
	{"syscall", X86_OTHER, 0, 2, {0x0f, 0x05}},
	{"pop %rax", X86_OTHER, 0, 1, {0x58}},
	{"sub $8,%rsp", X86_OTHER, 0, 4, {0x48, 0x83, 0xec, 8}},
	{"lea 8(%rsp),%rsp", X86_OTHER, 0, 5, {0x48, 0x8d, 0x64, 0x24, 8}},
	{"mov %rdi,(%rax)", X86_OTHER, 0, 3, {0x48, 0x89, 0x38}},
	{"lock incl (%rdi)", X86_OTHER, 0, 3, {0xf0, 0xff, 0x07}},
	{"rep stosq", X86_OTHER, 0, 3, {0xf3, 0x48, 0xab}},
	{"vzeroupper", X86_OTHER, 0, 3, {0xc5, 0xf8, 0x77}},
	{"vmovdqu64 evex", X86_OTHER, 0, 7, {0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x47, 1}},
	{"nop5", X86_PASSABLE, 0, 5, {0x0f, 0x1f, 0x44, 0, 0}},
	{"cs nopw", X86_PASSABLE, 0, 10, {0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}},
	{"endbr64", X86_PASSABLE, 0, 4, {0xf3, 0x0f, 0x1e, 0xfa}},
	{"test %rdi,%rdi", X86_PASSABLE, 0, 3, {0x48, 0x85, 0xff}},
	{"cmpb $0,0(%rip)", X86_PASSABLE, 0, 7, {0x80, 0x3d, 0, 0, 0, 0, 0}},
	{"cmpw imm16", X86_PASSABLE, 0, 5, {0x66, 0x81, 0x3f, 1, 2}},
	{"testb $1,%dil", X86_PASSABLE, 0, 4, {0x40, 0xf6, 0xc7, 1}},
	{"mov %fs:0,%rax", X86_PASSABLE, X86_RAX, 9, {0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0}},
	{"xor %eax,%eax", X86_PASSABLE, X86_RAX, 2, {0x31, 0xc0}},
	{"mov %rdi,%rcx", X86_PASSABLE, X86_RCX, 3, {0x48, 0x89, 0xf9}},
	{"mov %edi,%r8d", X86_PASSABLE, X86_R8, 3, {0x41, 0x89, 0xf8}},
	{"mov $1,%ch", X86_PASSABLE, X86_RCX, 2, {0xb5, 1}},
	{"mov $1,%bpl", X86_PASSABLE, REGISTER(RBP), 3, {0x40, 0xb5, 1}},
	{"mov %al,%bh", X86_PASSABLE, REGISTER(RBX), 2, {0x88, 0xc7}},
	{"movabs", X86_PASSABLE, X86_RDI, 10, {0x48, 0xbf, 1, 2, 3, 4, 5, 6, 7, 8}},
	{"mul %rsi", X86_PASSABLE, X86_RAX | X86_RDX, 3, {0x48, 0xf7, 0xe6}},
	{"div %rsi", X86_OTHER, 0, 3, {0x48, 0xf7, 0xf6}},
	{"cqo", X86_PASSABLE, X86_RDX, 2, {0x48, 0x99}},
};

TEST(known_instructions)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		const struct known *want = &known[i];
		struct x86_insn insn;

		if (!x86_insn_decode(want->bytes, want->length, &insn))
			FAIL("%s is not decoded", want->name);
		if (insn.kind != want->kind || insn.length != want->length ||
		    insn.writes != want->writes)
			FAIL("%s: kind %d, length %d, writes %x", want->name, insn.kind,
			     insn.length, insn.writes);
		if (x86_insn_decode(want->bytes, want->length - 1, &insn) &&
		    insn.length >= want->length)
			FAIL("%s is decoded without its last byte", want->name);
		CHECK_EQ_U64(insn.is_nop5, strcmp(want->name, "nop5") == 0);
	}
}

/* Nothing is read behind the bytes that there are, and nothing is longer than the processor takes.
 */
TEST(any_bytes)
{
	size_t decoded = 0;

	srand(1);
	for (size_t round = 0; round < 200000; round++) {
		size_t size = (size_t)rand() % 20;
		uint8_t *bytes = malloc(size + 1);
		struct x86_insn insn;

		/* Where it is watched, behind the block's very end. */
		bytes = realloc(bytes, size ? size : 1);
		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)rand();
		if (x86_insn_decode(bytes, size, &insn)) {
			CHECK(insn.length > 0 && insn.length <= size && insn.length <= 15);
			decoded++;
		}
		free(bytes);
	}
	CHECK_BETWEEN(decoded, 20000, 200000);
}

static int register_number(const char *name)
{
	static const char *const names[16][5] = {
		{"rax", "eax", "ax", "al", "ah"},     {"rcx", "ecx", "cx", "cl", "ch"},
		{"rdx", "edx", "dx", "dl", "dh"},     {"rbx", "ebx", "bx", "bl", "bh"},
		{"rsp", "esp", "sp", "spl", "-"},     {"rbp", "ebp", "bp", "bpl", "-"},
		{"rsi", "esi", "si", "sil", "-"},     {"rdi", "edi", "di", "dil", "-"},
		{"r8", "r8d", "r8w", "r8b", "-"},     {"r9", "r9d", "r9w", "r9b", "-"},
		{"r10", "r10d", "r10w", "r10b", "-"}, {"r11", "r11d", "r11w", "r11b", "-"},
		{"r12", "r12d", "r12w", "r12b", "-"}, {"r13", "r13d", "r13w", "r13b", "-"},
		{"r14", "r14d", "r14w", "r14b", "-"}, {"r15", "r15d", "r15w", "r15b", "-"},
	};

	for (int i = 0; i < 16; i++)
		for (int k = 0; k < 5; k++)
			if (strcmp(name, names[i][k]) == 0)
				return i;
	return -1;
}

static bool begins_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* What is passable, by objdump's words: the last operand is what it writes. */
static void check_passable(const struct objdump_line *line, const struct x86_insn *insn)
{
	static const char *const writes_nothing[] = {"cmp",	"test",	  "nop", "bt",
						     "endbr64", "data16", "cs"};
	static const char *const harmless[] = {
		"mov", "lea", "add",  "adc",  "sub",  "sbb",  "and",  "or",  "xor",
		"sh",  "sa",  "ro",   "rc",   "not",  "neg",  "inc",  "dec", "imul",
		"mul", "set", "cmov", "cltq", "cwtl", "cltd", "cqto",
	};
	const char *last = strrchr(line->operands, '%');
	bool is_known = false;
	int number;

	for (size_t i = 0; i < sizeof(writes_nothing) / sizeof(*writes_nothing); i++)
		if (begins_with(line->mnemonic, writes_nothing[i]) &&
		    strcmp(line->mnemonic, "bts") && strcmp(line->mnemonic, "btr"))
			return;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
		is_known = is_known || begins_with(line->mnemonic, harmless[i]);
	if (!is_known || begins_with(line->mnemonic, "call"))
		FAIL("%s %s is passable", line->mnemonic, line->operands);
	if (begins_with(line->mnemonic, "cl") || begins_with(line->mnemonic, "cw") ||
	    begins_with(line->mnemonic, "cq"))
		return;
	if (begins_with(line->mnemonic, "mul") ||
	    (begins_with(line->mnemonic, "imul") && !strchr(line->operands, ','))) {
		CHECK_EQ_U64(insn->writes, X86_RAX | X86_RDX);
		return;
	}
	if (!last || (number = register_number(last + 1)) < 0 || insn->writes != 1u << number)
		FAIL("%s %s writes %x", line->mnemonic, line->operands, insn->writes);
}

static void check_emulated(const struct objdump_line *line, const struct x86_insn *insn)
{
	const char *name = insn->kind == X86_JCC ? "j" : x86_insn_name(insn->kind);

	if (insn->kind == X86_NOP && line->size > 1 && strstr(line->operands, "%ax,%ax"))
		return; /* "xchg", "data16 xchg" */
	if (!begins_with(line->mnemonic, name) || strchr(line->operands, '*') ||
	    (insn->kind == X86_JCC && begins_with(line->mnemonic, "jmp")))
		FAIL("%s %s is taken for %s", line->mnemonic, line->operands, name);
	if (insn->kind == X86_PUSH)
		CHECK(line->operands[0] == '%');
}

static void check_library(const char *name)
{
	const char *path = library_path(name);
	size_t count = 0, decoded = 0, passable = 0, emulated = 0;
	struct objdump_line line;
	struct objdump dump;

	if (!path)
		SKIP("%s is not here", name);
	objdump_open(path, &dump);
	while (objdump_next(&dump, &line)) {
		struct x86_insn insn;

		if (strstr(line.mnemonic, "(bad)") || strchr(line.mnemonic, '.'))
			continue;
		count++;
		if (!x86_insn_decode(line.bytes, line.size, &insn))
			continue;
		decoded++;
		if (insn.length != line.size)
			FAIL("%" PRIx64 ": %s %s is %d bytes long, not %zu", line.vaddr,
			     line.mnemonic, line.operands, insn.length, line.size);
		if (insn.kind == X86_PASSABLE) {
			passable++;
			check_passable(&line, &insn);
		} else if (x86_insn_is_emulated(insn.kind)) {
			emulated++;
			check_emulated(&line, &insn);
		}
	}
	objdump_close(&dump);
	printf("# %s: %zu instructions, %zu decoded, %zu passable, %zu emulated\n", name, count,
	       decoded, passable, emulated);
	CHECK(count > 100000);
	CHECK_BETWEEN(100.0 * decoded / count, 99.9, 100);
	CHECK_BETWEEN(100.0 * passable / count, 30, 70);
	CHECK_BETWEEN(100.0 * emulated / count, 15, 50);
}

TEST(agrees_with_objdump_about_libc)
{
	check_library("libc.so.6");
}

TEST(agrees_with_objdump_about_libstdcxx)
{
	check_library("libstdc++.so.6");
}

KIT_MAIN
