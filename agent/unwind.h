/* How the parts of the unwinder know each other.
 *
 *     unwind.c          a stack's way to its number: through memos or without
 *     unwind_memo.c     stacks that were walked before, and whether they still stand
 *     unwind_chain.c    the last one, frame by frame: new ones end in it
 *     unwind_walk.c     a walk, and unwind_step.c the frames that are seldom
 *     unwind_rules.c    from an address to the rule of its frame
 *     unwind_modules.c  objects that are loaded, found and told to readers
 *     unwind_stack.c    where stacks are
 *
 * Memory is read directly only within the stack that the thread was given, from the stack pointer
 * upwards; all else through sys_peek(). The steps are those of reader/unwind/walk.c. */
#ifndef RSPROF_AGENT_UNWIND_H
#define RSPROF_AGENT_UNWIND_H

#include "agent/agent.h"
#include "agent/site.h"
#include "shm/ehframe.h"

enum {
	UNWIND_SIGNALS_MAX = 8, /* frames of signal handlers in a stack */
	UNWIND_PEEK_BYTES = 512,

	/* A rule as 64 bits: cfa_type, rbp_type, rbp_off, cfa_off from the lowest up. Beside
	 * shm/ehframe.h's types: no code is there. */
	UNWIND_CFA_UNMAPPED = 255,
};

#define UNWIND_KIND(cfa_type, rbp_type) ((cfa_type) | (rbp_type) << 8)
#define UNWIND_KIND_OF(rule) ((unsigned)((rule)&0xffff))
#define UNWIND_RBP_OFF(rule) ((intptr_t)(int16_t)((rule) >> 16))
#define UNWIND_CFA_OFF(rule) ((intptr_t)(int32_t)((rule) >> 32))

/* That of code which keeps a frame pointer. */
#define UNWIND_RULE_FRAME_POINTER                                                                  \
	((uint64_t)16 << 32 | (uint64_t)(uint16_t)-16 << 16 | UNWIND_KIND(EH_CFA_RBP, EH_RBP_CFA))

/* ---- unwind_rules.c */

struct unwind_rule_slot {
	_Atomic uint64_t key, rule;
};

/* Close to each other in few lines, which the program's own data leaves in the processor's cache.
 * What has no room there is in the larger table behind. */
enum { UNWIND_RULES_BITS = 13, UNWIND_RULES_MORE_BITS = 16 };

struct unwind_rules {
	struct unwind_rule_slot *slots, *more;
	/* Changes where rules, memos and modules may be other ones. */
	_Atomic uint64_t generation;
};
extern struct unwind_rules unwind_rules __attribute__((visibility("hidden")));

bool unwind_rules_begin(void);
/* What the cache does not have. */
uint64_t unwind_rule_find(uintptr_t address, uint64_t generation, bool is_exact);
/* Of an address that a guess has led to: nothing is read of what another thread may unload. */
uint64_t unwind_rule_doubtful(uintptr_t address, uint64_t generation);

static inline size_t unwind_rule_index(uintptr_t address)
{
	return (size_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> (64 - UNWIND_RULES_BITS));
}

static inline uint64_t unwind_rule_mix(uint64_t rule)
{
	return (rule + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t unwind_rule_key(uintptr_t address, uint64_t rule, uint64_t generation)
{
	return address ^ unwind_rule_mix(rule) ^ generation;
}

/* A key and a rule of two writers do not go together. */
static inline bool unwind_rule_has(const struct unwind_rule_slot *slot, uintptr_t address,
				   uint64_t generation, uint64_t *ret_rule)
{
	uint64_t key = atomic_load_explicit(&slot->key, memory_order_relaxed);

	*ret_rule = atomic_load_explicit(&slot->rule, memory_order_relaxed);
	return key == unwind_rule_key(address, *ret_rule, generation);
}

/* The rule of the frame whose code is at the address: of a return address, the one before. */
static inline uint64_t unwind_rule(const struct unwind_rule_slot *slots, uintptr_t address,
				   uint64_t generation, bool is_exact)
{
	uint64_t rule;

	if (AGENT_LIKELY(unwind_rule_has(&slots[unwind_rule_index(address)], address, generation,
					 &rule)))
		return rule;
	return unwind_rule_find(address, generation, is_exact);
}

/* ---- unwind_modules.c */

/* Code that was loaded. */
struct unwind_module {
	_Atomic uint32_t state;	     /* enum unwind_module_state */
	uint32_t told;		     /* its number in the shared table; UINT32_MAX: none */
	_Atomic uint64_t generation; /* when it was last seen to be there */
	uintptr_t start, end;	     /* of the segment */
	uintptr_t bias;
	const void *identity; /* of the object: the dynamic linker's */
	bool has_table;
	struct ehframe_index index;
	struct ehframe_section section;
};

bool unwind_modules_begin(void);
/* The module at an address, told to readers; false: none is there. */
bool unwind_module_find(uintptr_t address, uint64_t generation, struct unwind_module *ret_module);
/* For the records of stacks. */
uint32_t unwind_module_count(void);
uint32_t unwind_module_epoch(void);

struct unwind_object;
/* Fills in what readers are told of a segment. */
void unwind_module_tell(struct rsprof_shm_module *told, const struct unwind_object *object,
			uintptr_t start, uintptr_t end, uint64_t file_offset);

/* ---- unwind_object.c */

/* What the dynamic linker has loaded somewhere. */
struct unwind_object {
	const void *identity;
	const char *name;
	uintptr_t bias;
	const void *segments; /* Elf64_Phdr */
	uint16_t segment_count;
};

bool unwind_object_find(uintptr_t address, struct unwind_object *ret_object);
/* Those that are there at the beginning are never unmapped. Of others only what is known to run may
 * be read: what a guess leads to, another thread may be unloading. */
void unwind_objects_begin(void);
bool unwind_object_lasts(uintptr_t address);
/* The loaded segment with all of these bytes; NULL: none. Elf64_Phdr. */
const void *unwind_object_segment(const struct unwind_object *object, uintptr_t start,
				  size_t bytes);

/* ---- unwind_stack.c */

bool unwind_stack_begin(void);
void unwind_stack_find(struct agent_thread *thread, uintptr_t sp);
/* The thread's own stack, if that is where sp is. */
static inline bool unwind_stack_has(struct agent_thread *thread, uintptr_t sp)
{
	if (AGENT_UNLIKELY(!thread->stack_high))
		unwind_stack_find(thread, sp);
	return sp >= thread->stack_low && sp < thread->stack_high;
}

/* ---- unwind_walk.c, unwind_step.c */

/* Where a walk is. */
struct unwind_walk {
	uintptr_t pc, sp, bp;
	bool is_bp_known;
	bool is_exact; /* pc is where it stopped, not where a call returns to */
	bool is_guess; /* found along rbp: it counts once its code is found */
	bool has_guesses;
	/* It took what memos do not remember: memory that is not the thread's stack, or registers.
	 */
	bool is_special;
	uint8_t status; /* enum rsprof_shm_status, when it has ended */
	uint8_t signal_count;
	uintptr_t low, high; /* read directly; equal: nothing is */
	struct agent_thread *thread;
	uint64_t generation;
	uintptr_t signal_sp[UNWIND_SIGNALS_MAX];
	uint64_t registers[EH_REGISTERS]; /* where is_exact */
	uintptr_t peek_start;
	uint32_t peek_bytes;
	uint64_t peek[UNWIND_PEEK_BYTES / 8];
};

/* What a frame that is seldom was. */
enum unwind_frame_kind {
	UNWIND_FRAME_LEFT, /* a frame; the walk is at its caller */
	UNWIND_FRAME_LAST, /* a frame; status says why there are no others */
	UNWIND_FRAME_NONE, /* none; status says why */
};

/* At a return address, with the registers that a call preserves. */
void unwind_walk_start(struct unwind_walk *walk, struct agent_thread *thread,
		       const struct agent_frame *frame);
/* One frame, by any rule; has_room: for it. *ret_rule is the rule of it. */
enum unwind_frame_kind unwind_walk_step(struct unwind_walk *walk, bool has_room,
					uint64_t *ret_rule);
/* On to the caller: RSPROF_SHM_COMPLETE where there is one, or the rule was EH_CFA_STOP: then
 * *ret_is_root. */
uint8_t unwind_step(struct unwind_walk *walk, uint64_t rule, bool *ret_is_root);
/* To the end: writes at most `room` addresses and their hash (see agent/site.h). Returns how many.
 */
uint32_t unwind_walk(struct unwind_walk *walk, uint64_t *pcs, uint32_t room, uint64_t *ret_hash);

/* Where a walk is, in registers of the processor. */
struct unwind_cursor {
	uintptr_t pc, sp, bp;
	bool is_bp_known;
};

/* The steps that nearly all frames take, within memory that is read directly. false: it is another
 * one, and nothing has changed. */
static inline __attribute__((always_inline)) bool
unwind_cursor_step(struct unwind_cursor *at, uint64_t rule, uintptr_t low, uintptr_t high)
{
	uintptr_t cfa, slot = 0;

	switch (UNWIND_KIND_OF(rule)) {
	case UNWIND_KIND(EH_CFA_RSP, EH_RBP_SAME):
		cfa = at->sp + (uintptr_t)UNWIND_CFA_OFF(rule);
		break;
	case UNWIND_KIND(EH_CFA_RSP, EH_RBP_CFA):
		cfa = at->sp + (uintptr_t)UNWIND_CFA_OFF(rule);
		slot = cfa + (uintptr_t)UNWIND_RBP_OFF(rule);
		break;
	case UNWIND_KIND(EH_CFA_RBP, EH_RBP_CFA):
		if (!at->is_bp_known)
			return false;
		cfa = at->bp + (uintptr_t)UNWIND_CFA_OFF(rule);
		slot = cfa + (uintptr_t)UNWIND_RBP_OFF(rule);
		break;
	default:
		return false;
	}
	if (AGENT_UNLIKELY(cfa > high || cfa - 8 < at->sp || cfa < 8))
		return false;
	if (slot) {
		if (AGENT_UNLIKELY(slot < low || slot > high - 8))
			return false;
		at->bp = *(const uint64_t *)slot;
		at->is_bp_known = true;
	}
	at->pc = *(const uint64_t *)(cfa - 8);
	at->sp = cfa;
	return true;
}

/* ---- unwind.c */

/* unwind_site() of what unwind_memo_find() does not know. */
uint32_t unwind_new_site(struct agent_thread *thread, struct agent_lane *lane, uintptr_t leaf,
			 const struct agent_frame *frame);

/* ---- unwind_memo.c */

/* A library without memos is what the benchmark compares them with. */
#ifndef UNWIND_HAS_MEMOS
#define UNWIND_HAS_MEMOS 1
#endif

struct unwind_memos;
/* The number of a stack that was met just so before and still stands; 0: none. */
uint32_t unwind_memo_find(struct unwind_memos *memos, const struct agent_thread *thread,
			  uintptr_t leaf, uintptr_t pc, uintptr_t sp, uintptr_t bp);
/* As unwind_site(), by walking as far as need be; sp is on the thread's own stack. 0: memos do not
 * pay for now.
 */
uint32_t unwind_memo_walk(struct unwind_memos *memos, struct agent_thread *thread, uintptr_t leaf,
			  const struct agent_frame *frame);

#endif
