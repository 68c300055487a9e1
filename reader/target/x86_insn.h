/* Instructions of x86-64 code: how long they are, and whether a probe may pass over them or costs
 * little on them. No full disassembler: what it does not know it refuses. */
#ifndef RSPROF_TARGET_X86_INSN_H
#define RSPROF_TARGET_X86_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { X86_INSN_BYTES_MAX = 15 };

enum x86_insn_kind {
	X86_OTHER,    /* its length is known, no more */
	X86_PASSABLE, /* does not branch, and writes neither memory nor rsp */
	/* The kernel emulates these, in all of its versions. That it also does so for nops that
	 * begin with 0f 1f holds for some versions only: they are merely passable. */
	X86_PUSH,
	X86_NOP,
	X86_JMP,
	X86_JCC,
	X86_CALL,
};

/* By their numbers. */
enum x86_registers {
	X86_RAX = 1 << 0,
	X86_RCX = 1 << 1,
	X86_RDX = 1 << 2,
	X86_RSP = 1 << 4,
	X86_RSI = 1 << 6,
	X86_RDI = 1 << 7,
	X86_R8 = 1 << 8,
	X86_R9 = 1 << 9,
};

struct x86_insn {
	enum x86_insn_kind kind;
	uint8_t length;
	uint8_t opcode;	 /* first byte that is no prefix */
	uint16_t writes; /* enum x86_registers; X86_PASSABLE only */
	bool is_nop5;	 /* 0f 1f 44 00 00: some kernels replace it by a call where it is probed */
};

/* false: it is unknown, or goes on behind size. */
bool x86_insn_decode(const uint8_t *bytes, size_t size, struct x86_insn *ret_insn);

bool x86_insn_is_emulated(enum x86_insn_kind kind);
/* "push", "jcc" …; "other" of what is single-stepped. */
const char *x86_insn_name(enum x86_insn_kind kind);

#endif
