#include "reader/view/view.h"

#include "reader/util/fmt.h"
#include "reader/util/own.h"

void view_add_loss(struct str *to, const struct losses *losses, enum loss_cause cause)
{
	const struct loss_text *text = &loss_texts[cause];
	char count[FMT_MAX];

	str_addf(to, "%s %s %s (%s)%s%s", text->weight == LOSS_IS_LOST ? "lost" : "noted",
		 fmt_count(count, losses->count[cause]), text->unit, text->reason,
		 *text->hint ? ": " : "", text->hint);
}

void view_print_losses(FILE *to, const struct losses *losses)
{
	OWN(str_done) struct str lines = {0};

	for (int cause = 0; cause < LOSS_CAUSES; cause++) {
		if (!losses->count[cause])
			continue;
		view_add_loss(&lines, losses, (enum loss_cause)cause);
		str_add(&lines, "\n");
	}
	fputs(str_text(&lines), to);
}
