/* DWARF expressions: not computed but recognised. Compilers and assembler by hand write a few forms
 * only; what has none of them is EH_VALUE_OTHER. */
#include "shm/ehframe_read.h"

enum {
	OP_DEREF = 0x06,
	OP_AND = 0x1a,
	OP_PLUS = 0x22,
	OP_PLUS_UCONST = 0x23,
	OP_SHL = 0x24,
	OP_GE = 0x2a,
	OP_LIT0 = 0x30,
	OP_LIT31 = 0x4f,
	OP_BREG0 = 0x70,
	OP_BREG31 = 0x8f,
	OP_BREGX = 0x92,
};

static const struct ehframe_value other = {.kind = EH_VALUE_OTHER};

static bool fits_half(int64_t value)
{
	return value >= INT16_MIN && value <= INT16_MAX;
}

/* register + n. */
static bool read_sum(struct ehframe_cursor *cursor, uint8_t *ret_register, int64_t *ret_n)
{
	uint8_t op = ehframe_u8(cursor);
	uint64_t number;

	if (op == OP_BREGX)
		number = ehframe_uleb(cursor);
	else if (op >= OP_BREG0 && op <= OP_BREG31)
		number = op - OP_BREG0;
	else
		return false;
	*ret_n = ehframe_sleb(cursor);
	*ret_register = (uint8_t)number;
	return !cursor->failed && number <= EH_REGISTER_RA;
}

/* What the linker writes for .plt, behind rsp + n:
 *     rip, 15, and, THRESHOLD, >=, 3, <<, + */
static bool read_plt(struct ehframe_cursor *cursor, int64_t *ret_threshold)
{
	uint8_t rip, op;
	int64_t n;

	if (!read_sum(cursor, &rip, &n) || rip != EH_REGISTER_RA || n != 0 ||
	    ehframe_u8(cursor) != OP_LIT0 + 15 || ehframe_u8(cursor) != OP_AND)
		return false;
	op = ehframe_u8(cursor);
	if (op < OP_LIT0 || op > OP_LIT0 + 15)
		return false;
	*ret_threshold = op - OP_LIT0;
	return ehframe_u8(cursor) == OP_GE && ehframe_u8(cursor) == OP_LIT0 + 3 &&
	       ehframe_u8(cursor) == OP_SHL && ehframe_u8(cursor) == OP_PLUS && !cursor->failed &&
	       !ehframe_left(cursor);
}

/* + m, or nothing. */
static bool read_addend(struct ehframe_cursor *cursor, int64_t *ret_m)
{
	uint64_t addend = 0;
	uint8_t op;

	if (ehframe_left(cursor)) {
		op = ehframe_u8(cursor);
		if (op == OP_PLUS_UCONST) {
			addend = ehframe_uleb(cursor);
		} else if (op >= OP_LIT0 && op <= OP_LIT31) {
			addend = op - OP_LIT0;
			if (ehframe_u8(cursor) != OP_PLUS)
				return false;
		} else {
			return false;
		}
	}
	*ret_m = (int64_t)addend;
	return !cursor->failed && !ehframe_left(cursor) && addend <= INT16_MAX;
}

struct ehframe_value ehframe_expression(const uint8_t *bytes, size_t size)
{
	struct ehframe_cursor cursor = {bytes, bytes + size, false};
	struct ehframe_value value = {.kind = EH_VALUE_IS_SUM};
	struct ehframe_cursor rest;
	int64_t n, m = 0;

	if (!read_sum(&cursor, &value.register_number, &n) || n < INT32_MIN || n > INT32_MAX)
		return other;
	rest = cursor;
	if (!ehframe_left(&cursor)) {
		value.kind = EH_VALUE_IS_SUM;
	} else if (fits_half(n) && ehframe_u8(&cursor) == OP_DEREF && read_addend(&cursor, &m)) {
		value.kind = EH_VALUE_IS_DEREF;
	} else if (fits_half(n) && value.register_number == EH_REGISTER_RSP &&
		   read_plt(&rest, &m)) {
		value.kind = EH_VALUE_IS_PLT;
	} else {
		return other;
	}
	value.n = (int32_t)n;
	value.m = (int32_t)m;
	return value;
}
