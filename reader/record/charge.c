#include "reader/record/charge.h"

#include "reader/core/attribute.h"

struct frame_verdict frame_verdict_of(const struct source_line *lines, size_t count,
				      enum frame_base base, const char *module_path)
{
	struct frame_verdict verdict = {
		.user_depth = CHARGE_NO_DEPTH,
		.base = base,
	};

	for (size_t i = 0; i < count && verdict.user_depth == CHARGE_NO_DEPTH; i++) {
		if (!attribute_is_internal(lines[i].function, lines[i].file, lines[i].path,
					   module_path))
			verdict.user_depth = (uint32_t)i;
	}
	verdict.is_root = count && attribute_is_root(lines[count - 1].function, module_path);
	return verdict;
}

enum stack_status stack_verdict(enum stack_status status, const struct frame_verdict *frames,
				size_t count)
{
	if (status != STACK_FRAME_POINTERS)
		return status;
	for (size_t i = 0; i < count; i++) {
		if (frames[i].is_root)
			return STACK_COMPLETE;
		if (frames[i].base == FRAME_BASE_OTHER)
			return STACK_HIDDEN_CALLER;
		/* Code without tables may well keep frame pointers, but nobody can say so. */
		if (frames[i].base == FRAME_BASE_UNKNOWN)
			return STACK_NO_TABLE;
	}
	return STACK_BROKEN;
}
