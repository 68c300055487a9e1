/* Call frame information (.eh_frame, .debug_frame) read without allocating, and the rules that it
 * becomes. x86-64.
 *
 * Everything here works in the caller's memory, takes no lock, calls nothing that a signal handler
 * may not, and reads no byte outside of those it is given. All input is taken for hostile: a
 * damaged entry is an error or an "unsupported" rule, never a guess.
 *
 *
 * THE LAYOUT. Reader, BPF program and agent share it; a change is a new version of all three.
 *
 * A row is 4 bytes: where in its page of 1 KiB of code it begins, and the number of a rule. Rows
 * are sorted; a row holds up to the next one. For each ELF file there is an index of page_count + 1
 * numbers: the rows of page p are index[p] up to index[p + 1], and every page has a row at its
 * offset 0, so that a search never leaves the page. Page 0 begins at the table's base, a multiple
 * of the page size.
 *
 * A rule is 8 bytes and tells how to get from a frame to its caller's. Eight zero bytes are a valid
 * rule: there is no unwind information. First comes the canonical frame address (CFA), which is the
 * caller's rsp:
 *
 *   cfa_type             CFA
 *   EH_CFA_NONE          none: no unwind information covers the instruction
 *   EH_CFA_UNSUPPORTED   none: there is information that no rule expresses, or it is damaged
 *   EH_CFA_STOP          none: this frame has no caller, the stack is complete
 *   EH_CFA_RSP           rsp + cfa_off
 *   EH_CFA_RBP           rbp + cfa_off
 *   EH_CFA_PLT           rsp + n, and 8 more where (rip & 15) >= m
 *   EH_CFA_RSP_DEREF     *(rsp + n) + m
 *   EH_CFA_RBP_DEREF     *(rbp + n) + m
 *   EH_CFA_SIGNAL        that of the code which a signal interrupted: its rip, rsp and rbp are at
 *                        rsp + EH_SIGNAL_RIP, _RSP, _RBP, where the kernel put them
 *   EH_CFA_REGISTER + r  DWARF register r (not rsp or rbp) + cfa_off; known only where the
 *                        registers were sampled, which is the leaf
 *
 * n is the lower and m the upper half of cfa_off, both signed: ehframe_low(), ehframe_high().
 *
 * The return address is at CFA - 8. The caller's rbp, by rbp_type:
 *
 *   EH_RBP_SAME            as it is
 *   EH_RBP_CFA             *(CFA + rbp_off)
 *   EH_RBP_RBP             *(rbp + rbp_off), rbp as it is
 *   EH_RBP_UNKNOWN         lost; a frame further out whose CFA needs it cannot be left
 *   EH_RBP_RA_REGISTER + r as it is; and the return address is not in memory but in DWARF register
 *                          r (vfork keeps it there); leaf only
 *
 * Fields that a type does not name are 0, so equal rules are equal bytes. */
#ifndef RSPROF_SHM_EHFRAME_H
#define RSPROF_SHM_EHFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ehframe_cfa_type {
	EH_CFA_NONE = 0,
	EH_CFA_UNSUPPORTED = 1,
	EH_CFA_STOP = 2,
	EH_CFA_RSP = 3,
	EH_CFA_RBP = 4,
	EH_CFA_PLT = 5,
	EH_CFA_RSP_DEREF = 6,
	EH_CFA_RBP_DEREF = 7,
	EH_CFA_SIGNAL = 8,
	EH_CFA_REGISTER = 32,
};

enum ehframe_rbp_type {
	EH_RBP_SAME = 0,
	EH_RBP_CFA = 1,
	EH_RBP_RBP = 2,
	EH_RBP_UNKNOWN = 3,
	EH_RBP_RA_REGISTER = 32,
};

/* DWARF's numbers of the registers; the only place that knows them. */
enum ehframe_register {
	EH_REGISTER_RAX = 0,
	EH_REGISTER_RDX = 1,
	EH_REGISTER_RCX = 2,
	EH_REGISTER_RBX = 3,
	EH_REGISTER_RSI = 4,
	EH_REGISTER_RDI = 5,
	EH_REGISTER_RBP = 6,
	EH_REGISTER_RSP = 7,
	EH_REGISTER_R8 = 8,
	EH_REGISTER_R10 = 10,
	EH_REGISTER_R15 = 15,
	EH_REGISTER_RA = 16,
	EH_REGISTERS = 16, /* general registers */
};

enum {
	/* struct rt_sigframe of the kernel, seen from the rsp of its restorer: struct ucontext,
	 * in which struct sigcontext begins after 40 bytes with r8. */
	EH_SIGNAL_R8 = 40, /* r9 to r15 follow */
	EH_SIGNAL_RDI = 104,
	EH_SIGNAL_RSI = 112,
	EH_SIGNAL_RBP = 120,
	EH_SIGNAL_RBX = 128,
	EH_SIGNAL_RDX = 136,
	EH_SIGNAL_RAX = 144,
	EH_SIGNAL_RCX = 152,
	EH_SIGNAL_RSP = 160,
	EH_SIGNAL_RIP = 168,

	EH_PAGE_BITS = 10,
	EH_PAGE_BYTES = 1 << EH_PAGE_BITS,

	/* What compilers write takes less than 64 bytes; a bound because many FDEs may share one
	 * CIE, and each may have it run again. */
	EH_CIE_BYTES_MAX = 512,
	/* 13 times what the largest function of gcc's cc1 takes; a bound because a look-up runs all
	 * of it, in a signal handler too. */
	EH_FDE_BYTES_MAX = 1 << 18,
	/* Compilers nest one deep, assembler by hand two. */
	EH_REMEMBER_MAX = 8,
};

struct ehframe_row {
	uint16_t offset; /* in the page */
	uint16_t rule;
};

struct ehframe_rule {
	uint8_t cfa_type;
	uint8_t rbp_type;
	int16_t rbp_off;
	int32_t cfa_off;
};

_Static_assert(sizeof(struct ehframe_row) == 4, "rows are 4 bytes");
_Static_assert(sizeof(struct ehframe_rule) == 8, "rules are 8 bytes");
_Static_assert(offsetof(struct ehframe_rule, rbp_off) == 2, "rbp_off is at byte 2");
_Static_assert(offsetof(struct ehframe_rule, cfa_off) == 4, "cfa_off is at byte 4");

static inline int32_t ehframe_low(int32_t cfa_off)
{
	return (int16_t)(uint16_t)((uint32_t)cfa_off & 0xffff);
}

static inline int32_t ehframe_high(int32_t cfa_off)
{
	return (int16_t)(uint16_t)((uint32_t)cfa_off >> 16);
}

/* Where a signal frame has a general register, from the rsp of its restorer. */
static inline unsigned ehframe_signal_offset(unsigned number)
{
	static const uint8_t offsets[EH_REGISTER_R8] = {
		[EH_REGISTER_RAX] = EH_SIGNAL_RAX, [EH_REGISTER_RDX] = EH_SIGNAL_RDX,
		[EH_REGISTER_RCX] = EH_SIGNAL_RCX, [EH_REGISTER_RBX] = EH_SIGNAL_RBX,
		[EH_REGISTER_RSI] = EH_SIGNAL_RSI, [EH_REGISTER_RDI] = EH_SIGNAL_RDI,
		[EH_REGISTER_RBP] = EH_SIGNAL_RBP, [EH_REGISTER_RSP] = EH_SIGNAL_RSP,
	};

	if (number >= EH_REGISTER_R8)
		return EH_SIGNAL_R8 + 8 * (number - EH_REGISTER_R8);
	return offsets[number];
}

/* The bytes of a section and where its first one is loaded. Addresses that come out are in the same
 * terms: ELF addresses for a file, addresses in memory for a loaded section. The bytes may go on
 * behind the section's end; a .eh_frame ends at its terminator. */
struct ehframe_section {
	const uint8_t *bytes;
	size_t size;
	uint64_t vaddr;
	bool is_debug_frame;
};

/* Where something is, or what it is, while the instructions of a function are run. Private to the
 * interpreter. */
struct ehframe_value {
	uint8_t kind;
	uint8_t register_number;
	int32_t n, m;
};

struct ehframe_state {
	struct ehframe_value cfa, rbp, rsp, ra;
};

/* What functions have in common: a CIE, run. Zero-initialised is none. */
struct ehframe_cie {
	bool is_valid;
	bool is_signal; /* augmentation S */
	bool is_sized;	/* augmentation z: FDEs tell the size of their augmentation data */
	uint8_t pointer_encoding;
	uint8_t address_size;
	size_t offset; /* in the section */
	uint64_t code_factor;
	int64_t data_factor;
	struct ehframe_state initial;
};

/* The entry of a stretch of code, mostly a function. */
struct ehframe_fde {
	uint64_t start, end; /* end is the first address behind it */
	size_t offset;	     /* in the section */
	const uint8_t *program;
	size_t program_size;
};

/* ---- all of a section */

struct ehframe_walk {
	struct ehframe_section section;
	size_t offset;
	struct ehframe_cie cie; /* of the entry that came last */
	uint64_t bad_count;	/* entries passed over because they are damaged or unknown */
	bool is_cut;		/* the section ended within an entry */
};

void ehframe_walk_start(struct ehframe_walk *walk, const struct ehframe_section *section);
/* The next FDE in the order of the section; its CIE is walk->cie. false at the end. */
bool ehframe_walk_next(struct ehframe_walk *walk, struct ehframe_fde *ret_fde);

/* The FDE at an offset of the section. *cie is read again only where the FDE names another one;
 * start with a zeroed one and keep it to one section. 0, or -EBADMSG; then *cie is good for the
 * next call nevertheless. */
int ehframe_fde_at(const struct ehframe_section *section, size_t offset, struct ehframe_cie *cie,
		   struct ehframe_fde *ret_fde);

/* A row begins at `start`; the starts of one FDE ascend, the first is its own, rules that follow
 * each other differ, and the last one holds up to the FDE's end. */
typedef void (*ehframe_row_fn)(void *context, uint64_t start, const struct ehframe_rule *rule);

/* All rows of an FDE that was read with this CIE from this section. From where the instructions are
 * damaged or unknown, the rule is EH_CFA_UNSUPPORTED. */
void ehframe_rows(const struct ehframe_section *section, const struct ehframe_cie *cie,
		  const struct ehframe_fde *fde, ehframe_row_fn row, void *context);

/* ---- one address, through .eh_frame_hdr */

/* The table of an .eh_frame_hdr. */
struct ehframe_index {
	const uint8_t *bytes; /* of the whole section */
	size_t size;
	uint64_t vaddr;
	uint64_t frame_vaddr; /* where .eh_frame begins */
	size_t table;	      /* offset of the first entry */
	size_t count;	      /* 0: there is no table that can be searched */
	uint8_t encoding;
	uint8_t entry_half; /* bytes of one of the two pointers of an entry */
};

/* 0, or -EBADMSG. */
int ehframe_index_open(const uint8_t *bytes, size_t size, uint64_t vaddr,
		       struct ehframe_index *ret_index);
/* The FDE that covers pc, and its CIE (see ehframe_fde_at). 0; -ENOENT where none does; -EBADMSG.
 */
int ehframe_index_find(const struct ehframe_index *index, const struct ehframe_section *section,
		       uint64_t pc, struct ehframe_cie *cie, struct ehframe_fde *ret_fde);
/* The rule at an address of the FDE; outside of it EH_CFA_NONE. */
struct ehframe_rule ehframe_rule_at(const struct ehframe_section *section,
				    const struct ehframe_cie *cie, const struct ehframe_fde *fde,
				    uint64_t pc);

#endif
