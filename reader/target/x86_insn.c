#include "reader/target/x86_insn.h"

#include <string.h>

/* What follows an opcode. */
enum {
	BAD = 0x80,
	MODRM = 0x01,
	IMM8 = 0x02,
	IMM16 = 0x04,
	IMMZ = 0x08,   /* 4 bytes, 2 with an operand-size prefix */
	REL32 = 0x10,  /* 4 bytes; what an operand-size prefix means there depends on the maker */
	OFFSET = 0x20, /* 8 bytes, 4 with an address-size prefix */
	NONE = 0,
};

#define X2(what) what, what
#define X4(what) X2(what), X2(what)
#define X8(what) X4(what), X4(what)
#define X16(what) X8(what), X8(what)
#define ALU X4(MODRM), IMM8, IMMZ, X2(BAD)
#define MI8 (MODRM | IMM8)

/* Prefixes are taken off before, and so are 0f, c4, c5 and 62. fwait (9b) belongs to what follows
 * it, and 8f may be a prefix of AMD's. */
/* clang-format off */
static const uint8_t one_byte[256] = {
	/* 00 */ ALU, ALU, ALU, ALU, ALU, ALU, ALU, ALU,
	/* 40 */ X16(BAD),
	/* 50 */ X16(NONE),
	/* 60 */ X2(BAD), BAD, MODRM, X4(BAD), IMMZ, MODRM | IMMZ, IMM8, MI8, X4(NONE),
	/* 70 */ X16(IMM8),
	/* 80 */ MI8, MODRM | IMMZ, BAD, MI8, X8(MODRM), X2(MODRM), MODRM, BAD,
	/* 90 */ X8(NONE), X2(NONE), BAD, BAD, X4(NONE),
	/* a0 */ X4(OFFSET), X4(NONE), IMM8, IMMZ, X2(NONE), X4(NONE),
	/* b0 */ X8(IMM8), X8(IMMZ),
	/* c0 */ X2(MI8), IMM16, NONE, X2(BAD), MI8, MODRM | IMMZ,
	/* c8 */ IMM16 | IMM8, NONE, IMM16, NONE, NONE, IMM8, BAD, NONE,
	/* d0 */ X4(MODRM), BAD, BAD, BAD, NONE, X8(MODRM),
	/* e0 */ X8(IMM8), REL32, REL32, BAD, IMM8, X4(NONE),
	/* f0 */ BAD, NONE, X2(BAD), X2(NONE), MODRM, MODRM, X4(NONE), X2(NONE), X2(MODRM),
};

static const uint8_t after_0f[256] = {
	/* 00 */ X4(MODRM), BAD, X4(NONE), NONE, BAD, NONE, BAD, MODRM, NONE, BAD,
	/* 10 */ X16(MODRM),
	/* 20 */ X4(MODRM), X4(BAD), X8(MODRM),
	/* 30 */ X8(NONE), X8(BAD),
	/* 40 */ X16(MODRM), X16(MODRM), X16(MODRM),
	/* 70 */ X4(MI8), X2(MODRM), MODRM, NONE, X4(BAD), X4(MODRM),
	/* 80 */ X16(REL32),
	/* 90 */ X16(MODRM),
	/* a0 */ X2(NONE), NONE, MODRM, MI8, MODRM, X2(BAD),
	/* a8 */ X2(NONE), NONE, MODRM, MI8, MODRM, X2(MODRM),
	/* b0 */ X8(MODRM), X2(MODRM), MI8, MODRM, X4(MODRM),
	/* c0 */ X2(MODRM), MI8, MODRM, X2(MI8), MI8, MODRM, X8(NONE),
	/* d0 */ X16(MODRM), X16(MODRM), X16(MODRM),
};
/* clang-format on */

enum { REX_B = 1, REX_R = 4, REX_W = 8 };

struct decoded {
	const uint8_t *bytes;
	size_t size, at;
	uint8_t prefix_66, prefix_67, prefix_f3; /* counts */
	bool has_other_prefix;			 /* one that changes what the instruction does */
	bool is_extended;			 /* VEX or EVEX */
	uint8_t rex;
	uint8_t map; /* 0: one byte, 1: after 0f, 2: 0f 38, 3: 0f 3a, 5 and 6: only EVEX */
	uint8_t opcode;
	uint8_t follows;
	uint8_t modrm;
};

static bool next(struct decoded *insn, uint8_t *ret_byte)
{
	if (insn->at >= insn->size)
		return false;
	*ret_byte = insn->bytes[insn->at++];
	return true;
}

static bool skip(struct decoded *insn, size_t count)
{
	if (count > insn->size - insn->at)
		return false;
	insn->at += count;
	return true;
}

/* Leaves the first byte behind the prefixes in opcode. */
static bool take_prefixes(struct decoded *insn)
{
	for (;;) {
		uint8_t byte;

		if (!next(insn, &byte))
			return false;
		switch (byte) {
		case 0x66:
			insn->prefix_66++;
			break;
		case 0x67:
			insn->prefix_67++;
			break;
		case 0xf3:
			insn->prefix_f3++;
			break;
		case 0xf0:
		case 0xf2:
		/* Segments that 64-bit code does not have: hints to branches, or fill. The kernel
		 * refuses to probe them. */
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			insn->has_other_prefix = true;
			break;
		case 0x64:
		case 0x65:
			break;
		default:
			if ((byte & 0xf0) == 0x40) {
				insn->rex = byte;
				if (!next(insn, &byte))
					return false;
			}
			insn->opcode = byte;
			return true;
		}
	}
}

/* VEX (c4, c5) and EVEX (62): map and opcode are behind their payload. */
static bool take_extended(struct decoded *insn)
{
	uint8_t first, rest = insn->opcode == 0xc5 ? 0 : insn->opcode == 0xc4 ? 1 : 2;

	if (insn->rex || insn->prefix_66 || insn->prefix_f3 || insn->has_other_prefix ||
	    !next(insn, &first) || !skip(insn, rest) || !next(insn, &insn->opcode))
		return false;
	insn->is_extended = true;
	insn->map = rest == 0 ? 1 : rest == 1 ? first & 0x1f : first & 0x07;
	switch (insn->map) {
	case 1:
		insn->follows = after_0f[insn->opcode];
		/* Of these the extended ones are other instructions than the plain ones. */
		return insn->follows == MODRM || insn->follows == MI8 || insn->opcode == 0x77;
	case 2:
		insn->follows = MODRM;
		return true;
	case 3:
		insn->follows = MI8;
		return true;
	case 5:
	case 6:
		insn->follows = MODRM;
		return rest == 2;
	default:
		return false;
	}
}

static bool take_opcode(struct decoded *insn)
{
	if (insn->opcode == 0xc4 || insn->opcode == 0xc5 || insn->opcode == 0x62)
		return take_extended(insn);
	if (insn->opcode != 0x0f) {
		insn->follows = one_byte[insn->opcode];
		return true;
	}
	if (!next(insn, &insn->opcode))
		return false;
	if (insn->opcode == 0x38 || insn->opcode == 0x3a) {
		insn->map = insn->opcode == 0x38 ? 2 : 3;
		insn->follows = insn->map == 2 ? MODRM : MI8;
		return next(insn, &insn->opcode);
	}
	insn->map = 1;
	insn->follows = after_0f[insn->opcode];
	return true;
}

static bool take_modrm(struct decoded *insn)
{
	uint8_t mod, rm, sib;

	if (!next(insn, &insn->modrm))
		return false;
	mod = insn->modrm >> 6;
	rm = insn->modrm & 7;
	if (mod == 3)
		return true;
	if (rm == 4) {
		if (!next(insn, &sib))
			return false;
		if (mod == 0 && (sib & 7) == 5)
			return skip(insn, 4);
	}
	if (mod == 0)
		return rm != 5 || skip(insn, 4);
	return skip(insn, mod == 1 ? 1 : 4);
}

/* Bytes of immediates. */
static size_t immediate_bytes(const struct decoded *insn)
{
	uint8_t follows = insn->follows;
	size_t count = 0;

	/* test is the only one of its group with an immediate. */
	if (insn->map == 0 && (insn->opcode & 0xfe) == 0xf6 && (insn->modrm & 0x30) == 0)
		follows |= insn->opcode == 0xf6 ? IMM8 : IMMZ;
	if (insn->map == 0 && (insn->opcode & 0xf8) == 0xb8 && (insn->rex & REX_W))
		return 8;
	if (follows & IMM8)
		count += 1;
	if (follows & IMM16)
		count += 2;
	if (follows & IMMZ)
		count += insn->prefix_66 && !(insn->rex & REX_W) ? 2 : 4;
	if (follows & REL32)
		count += 4;
	if (follows & OFFSET)
		count += insn->prefix_67 ? 4 : 8;
	return count;
}

static unsigned reg_of(const struct decoded *insn)
{
	return (insn->modrm >> 3 & 7) | (insn->rex & REX_R ? 8 : 0);
}

static unsigned rm_of(const struct decoded *insn)
{
	return (insn->modrm & 7) | (insn->rex & REX_B ? 8 : 0);
}

/* What is no register: memory, or where execution goes on. */
enum { MORE = 1 << 16 };

/* Without REX, byte registers 4 to 7 are the second bytes of 0 to 3. */
static uint32_t writes(const struct decoded *insn, unsigned reg, bool is_byte)
{
	return 1u << (is_byte && !insn->rex && reg >= 4 ? reg - 4 : reg);
}

static uint32_t writes_rm(const struct decoded *insn, bool is_byte)
{
	return insn->modrm >> 6 == 3 ? writes(insn, rm_of(insn), is_byte) : MORE;
}

static uint32_t written_by_one_byte(const struct decoded *insn)
{
	uint8_t opcode = insn->opcode, group = insn->modrm >> 3 & 7;
	bool is_byte = !(opcode & 1);

	if (opcode < 0x40) {
		if (opcode >= 0x38) /* cmp */
			return 0;
		switch (opcode & 7) {
		case 0:
		case 1:
			return writes_rm(insn, is_byte);
		case 2:
		case 3:
			return writes(insn, reg_of(insn), is_byte);
		default:
			return X86_RAX;
		}
	}
	switch (opcode) {
	case 0x63: /* movsxd */
	case 0x69: /* imul */
	case 0x6b:
	case 0x8b: /* mov */
	case 0x8d: /* lea */
		return writes(insn, reg_of(insn), false);
	case 0x8a:
		return writes(insn, reg_of(insn), true);
	case 0x80:
	case 0x81:
	case 0x83:
		return group == 7 /* cmp */ ? 0 : writes_rm(insn, is_byte);
	case 0x84: /* test */
	case 0x85:
	case 0xa8:
	case 0xa9:
		return 0;
	case 0x98: /* cdqe */
		return X86_RAX;
	case 0x99: /* cqo */
		return X86_RDX;
	case 0x88: /* mov */
	case 0x89:
	case 0xc0: /* shifts */
	case 0xc1:
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3:
		return writes_rm(insn, is_byte);
	case 0xc6:
	case 0xc7:
		return group == 0 ? writes_rm(insn, is_byte) : MORE;
	case 0xf6:
	case 0xf7: /* test; not and neg; mul and imul */
		if (group <= 3)
			return group <= 1 ? 0 : writes_rm(insn, is_byte);
		return group <= 5 ? X86_RAX | X86_RDX : MORE;
	case 0xfe:
	case 0xff: /* inc, dec */
		return group <= 1 ? writes_rm(insn, is_byte) : MORE;
	default:
		if ((opcode & 0xf0) != 0xb0) /* mov of an immediate */
			return MORE;
		return writes(insn, (opcode & 7) | (insn->rex & REX_B ? 8 : 0), opcode < 0xb8);
	}
}

static uint32_t written_after_0f(const struct decoded *insn)
{
	switch (insn->opcode) {
	case 0x1f: /* nop */
	case 0xa3: /* bt */
		return 0;
	case 0xba:
		return (insn->modrm >> 3 & 7) == 4 ? 0 : MORE;
	case 0xaf: /* imul */
	case 0xb6: /* movzx */
	case 0xb7:
	case 0xbe: /* movsx */
	case 0xbf:
		return writes(insn, reg_of(insn), false);
	default:
		if ((insn->opcode & 0xf0) == 0x40) /* cmov */
			return writes(insn, reg_of(insn), false);
		return (insn->opcode & 0xf0) == 0x90 /* set */ ? writes_rm(insn, true) : MORE;
	}
}

/* Where a length is asked for, none but the prefixes that are named may stand before. */
static enum x86_insn_kind emulated_kind(const struct decoded *insn)
{
	uint8_t opcode = insn->opcode;

	if (insn->map == 1)
		return (opcode & 0xf0) == 0x80 && insn->at == 6 ? X86_JCC : X86_OTHER;
	if (insn->map != 0)
		return X86_OTHER;
	if ((opcode & 0xf8) == 0x50 && (insn->at == 1 || (insn->at == 2 && insn->rex == 0x41)))
		return X86_PUSH;
	if (opcode == 0x90 && insn->at == 1u + insn->prefix_66)
		return X86_NOP;
	if (opcode == 0xe8 && insn->at == 5)
		return X86_CALL;
	if ((opcode == 0xe9 && insn->at == 5) || (opcode == 0xeb && insn->at == 2))
		return X86_JMP;
	if ((opcode & 0xf0) == 0x70 && insn->at == 2)
		return X86_JCC;
	return X86_OTHER;
}

static uint32_t written_by(const struct decoded *insn)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};

	if (insn->at == sizeof(endbr64) && memcmp(insn->bytes, endbr64, sizeof(endbr64)) == 0)
		return 0;
	if (insn->is_extended || insn->map > 1)
		return MORE;
	/* A nop is one whatever its prefixes. */
	if ((insn->has_other_prefix || insn->prefix_f3 || insn->prefix_67) &&
	    !(insn->map == 1 && insn->opcode == 0x1f))
		return MORE;
	return insn->map == 0 ? written_by_one_byte(insn) : written_after_0f(insn);
}

bool x86_insn_decode(const uint8_t *bytes, size_t size, struct x86_insn *ret_insn)
{
	static const uint8_t nop5[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
	struct decoded insn = {.bytes = bytes, .size = size};
	struct x86_insn result = {0};

	if (insn.size > X86_INSN_BYTES_MAX)
		insn.size = X86_INSN_BYTES_MAX;
	if (!take_prefixes(&insn))
		return false;
	result.opcode = insn.opcode;
	if (!take_opcode(&insn) || insn.follows & BAD || ((insn.follows & REL32) && insn.prefix_66))
		return false;
	if ((insn.follows & MODRM) && !take_modrm(&insn))
		return false;
	if (!skip(&insn, immediate_bytes(&insn)))
		return false;
	result.length = (uint8_t)insn.at;
	result.is_nop5 = insn.at == sizeof(nop5) && memcmp(bytes, nop5, sizeof(nop5)) == 0;
	result.kind = emulated_kind(&insn);
	if (result.kind == X86_OTHER) {
		uint32_t written = written_by(&insn);

		if (!(written & (MORE | X86_RSP))) {
			result.kind = X86_PASSABLE;
			result.writes = (uint16_t)written;
		}
	}
	*ret_insn = result;
	return true;
}

bool x86_insn_is_emulated(enum x86_insn_kind kind)
{
	return kind >= X86_PUSH;
}

const char *x86_insn_name(enum x86_insn_kind kind)
{
	static const char *const names[] = {
		[X86_PUSH] = "push", [X86_NOP] = "nop",	  [X86_JMP] = "jmp",
		[X86_JCC] = "jcc",   [X86_CALL] = "call",
	};

	return x86_insn_is_emulated(kind) ? names[kind] : "other";
}
