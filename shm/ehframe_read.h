/* Bytes, numbers and encoded pointers out of call frame information, each checked. Private to
 * shm/ehframe. */
#ifndef RSPROF_SHM_EHFRAME_READ_H
#define RSPROF_SHM_EHFRAME_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shm/ehframe.h"

/* Pointer encodings (LSB, DWARF extensions). */
enum {
	EH_PE_ABSPTR = 0x00,
	EH_PE_ULEB128 = 0x01,
	EH_PE_UDATA2 = 0x02,
	EH_PE_UDATA4 = 0x03,
	EH_PE_UDATA8 = 0x04,
	EH_PE_SLEB128 = 0x09,
	EH_PE_SDATA2 = 0x0a,
	EH_PE_SDATA4 = 0x0b,
	EH_PE_SDATA8 = 0x0c,
	EH_PE_FORMAT = 0x0f,
	EH_PE_PCREL = 0x10,
	EH_PE_DATAREL = 0x30,
	EH_PE_ALIGNED = 0x50,
	EH_PE_BASE = 0x70,
	EH_PE_INDIRECT = 0x80,
	EH_PE_OMIT = 0xff,
};

/* Reading beyond the end sets `failed`, gives 0 and leaves nothing to read. */
struct ehframe_cursor {
	const uint8_t *at, *end;
	bool failed;
};

static inline size_t ehframe_left(const struct ehframe_cursor *cursor)
{
	return (size_t)(cursor->end - cursor->at);
}

static inline void ehframe_fail(struct ehframe_cursor *cursor)
{
	cursor->failed = true;
	cursor->at = cursor->end;
}

/* Bytes to look at in place, or NULL. */
static inline const uint8_t *ehframe_take(struct ehframe_cursor *cursor, uint64_t count)
{
	const uint8_t *bytes = cursor->at;

	if (count > ehframe_left(cursor)) {
		ehframe_fail(cursor);
		return NULL;
	}
	cursor->at += count;
	return bytes;
}

/* A number of 2, 4 or 8 bytes. Copied by constant sizes: no call is left of it. */
static inline uint64_t ehframe_fixed(struct ehframe_cursor *cursor, size_t size)
{
	const uint8_t *bytes = ehframe_take(cursor, size);
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	if (!bytes)
		return 0;
	switch (size) {
	case 2:
		memcpy(&two, bytes, 2);
		return two;
	case 4:
		memcpy(&four, bytes, 4);
		return four;
	default:
		memcpy(&eight, bytes, 8);
		return eight;
	}
}

static inline uint8_t ehframe_u8(struct ehframe_cursor *cursor)
{
	if (cursor->at == cursor->end) {
		cursor->failed = true;
		return 0;
	}
	return *cursor->at++;
}

/* Numbers that do not fit 64 bits fail. */
uint64_t ehframe_uleb_long(struct ehframe_cursor *cursor);
int64_t ehframe_sleb(struct ehframe_cursor *cursor);

static inline uint64_t ehframe_uleb(struct ehframe_cursor *cursor)
{
	if (cursor->at != cursor->end && *cursor->at < 0x80)
		return *cursor->at++;
	return ehframe_uleb_long(cursor);
}

/* vaddr is where the cursor's next byte is loaded, data_base what data-relative pointers count from
 * (0: there is none). Pointers through other memory, and relative to what is not known here, fail.
 */
uint64_t ehframe_pointer(struct ehframe_cursor *cursor, uint8_t encoding, uint8_t address_size,
			 uint64_t vaddr, uint64_t data_base);
/* Bytes of a pointer; 0 where that depends on the pointer, or the encoding is unknown. */
size_t ehframe_pointer_size(uint8_t encoding, uint8_t address_size);

/* ---- the interpreter */

/* Runs a CIE's instructions. false where they are damaged or unknown. */
bool ehframe_run_initial(const struct ehframe_section *section, struct ehframe_cie *cie,
			 const uint8_t *program, size_t size);

/* EH_CFA_UNSUPPORTED where no rule expresses the state. */
struct ehframe_rule ehframe_rule_of(const struct ehframe_state *state, bool is_signal);

/* What a DWARF expression computes, where it has one of the known forms. */
struct ehframe_value ehframe_expression(const uint8_t *bytes, size_t size);

/* struct ehframe_value. */
enum ehframe_kind {
	EH_VALUE_UNSPECIFIED, /* no instruction spoke of it */
	EH_VALUE_SAME,
	EH_VALUE_UNDEFINED,
	EH_VALUE_AT_CFA,      /* in memory at CFA + n */
	EH_VALUE_IS_CFA,      /* CFA + n */
	EH_VALUE_IN_REGISTER, /* in another register */
	EH_VALUE_AT_SUM,      /* in memory at register + n */
	EH_VALUE_IS_SUM,      /* register + n */
	EH_VALUE_IS_DEREF,    /* *(register + n) + m */
	EH_VALUE_IS_PLT,      /* as EH_CFA_PLT */
	EH_VALUE_OTHER,	      /* something that no rule expresses */
};

#endif
