#include "reader/view/view.h"

#include "reader/util/fmt.h"

void view_print_losses(FILE *to, const struct losses *losses)
{
	for (int cause = 0; cause < LOSS_CAUSES; cause++) {
		const struct loss_text *text = &loss_texts[cause];
		char count[FMT_MAX];

		if (!losses->count[cause])
			continue;
		fprintf(to, "%s %s %s (%s)%s%s\n", text->weight == LOSS_IS_LOST ? "lost" : "noted",
			fmt_count(count, losses->count[cause]), text->unit, text->reason,
			*text->hint ? ": " : "", text->hint);
	}
}
