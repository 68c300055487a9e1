#include "reader/view/completeness.h"

#include "reader/view/number.h"

static const char *const reason_texts[STACK_STATUSES] = {
	[STACK_FRAME_POINTERS] = "not judged",
	[STACK_BROKEN] = "broken",
	[STACK_TRUNCATED] = "truncated",
	[STACK_NO_MAPPING] = "no mapping",
	[STACK_NO_TABLE] = "no table",
	[STACK_READ_ERROR] = "unreadable",
	[STACK_HIDDEN_CALLER] = "hidden caller",
	[STACK_EMPTY] = "no user frames",
	[STACK_USED_FRAME_POINTERS] = "by frame pointers",
	[STACK_NOT_WALKED] = "not walked",
};

/* What is there but rounds to nothing is told as "< 0.1". */
static void add_reason(struct str *line, uint64_t samples, uint64_t judged, int status)
{
	double share = number_share(samples, judged);
	char number[FMT_MAX];

	str_addf(line, "%s %% %s", share < 0.05 ? "< 0.1" : number_decimal(number, share, 1),
		 reason_texts[status]);
}

/* Two: more would not fit behind a share; JSON has them all. */
void completeness_add_reasons(struct str *line, const uint64_t samples[STACK_STATUSES])
{
	int first = STACK_COMPLETE, second = STACK_COMPLETE;
	uint64_t judged = samples[STACK_COMPLETE];

	for (int status = STACK_COMPLETE + 1; status < STACK_STATUSES; status++) {
		if (!samples[status])
			continue;
		number_add(&judged, samples[status]);
		if (first == STACK_COMPLETE || samples[status] > samples[first]) {
			second = first;
			first = status;
		} else if (second == STACK_COMPLETE || samples[status] > samples[second]) {
			second = status;
		}
	}
	if (first == STACK_COMPLETE)
		return;
	str_add(line, " (");
	add_reason(line, samples[first], judged, first);
	if (second != STACK_COMPLETE) {
		str_add(line, ", ");
		add_reason(line, samples[second], judged, second);
	}
	str_add(line, ")");
}
