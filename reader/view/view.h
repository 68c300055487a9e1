/* Rows of a ranked table out of a snapshot, and their text, JSON and CSV. Includes core and util
 * only: the terminal and the printers share it. */
#ifndef RSPROF_VIEW_VIEW_H
#define RSPROF_VIEW_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "reader/core/snapshot.h"
#include "reader/util/err.h"
#include "reader/util/str.h"

enum view_group { VIEW_BY_LINE, VIEW_BY_FUNCTION, VIEW_BY_FILE, VIEW_BY_MODULE, VIEW_BY_THREAD };

struct view_request {
	enum view_group group;
	const char *event;    /* name of a recorded event; NULL: the CPU event, else the first that
			       * is no waiting, else that */
	const char *filter;   /* case-insensitive substring of file or function, or NULL */
	const char *thread;   /* comm (exact) or tid, or NULL */
	const char *sort;     /* a JSON key, or NULL: self, then inclusive, then name */
	double threshold_pct; /* rows whose inclusive share is below are left out */
	uint64_t top;	      /* rows kept after sorting; 0 = all */
	bool include_internal, no_inline;
};

struct view_row {
	double self_pct, incl_pct; /* of all samples in the window (before filter and thread) */
	uint64_t self, incl;	   /* in samples */
	uint64_t self_value, incl_value;      /* in the event's unit, where that is not samples */
	uint64_t kernel;		      /* self samples that were in the kernel */
	const char *function, *file, *module; /* never NULL */
	uint32_t line;	  /* the row's hottest line where rows are wider than lines; 0 none */
	const char *path; /* may be NULL */
	/* Of waits, which self and incl count, while self_value and incl_value are nanoseconds. */
	uint64_t run_ns;	 /* that threads ran before these waits */
	enum wait_kind kind;	 /* of most of self_value; WAIT_NONE where that is 0 */
	const uint64_t *kind_ns; /* self_value by kind, [WAIT_KINDS]; NULL: no waits */
	uint32_t group;		 /* of row_map.h */
};

struct view {
	struct arena arena;
	const struct view_row *rows;
	size_t row_count;	/* after cutting */
	size_t location_count;	/* before cutting */
	uint64_t total_samples; /* of the event, in the window */
	double shown_pct;	/* self share of the rows that are left */
	double complete_pct; /* share of samples with complete stacks; 100 where there are none */
	uint64_t status_samples[STACK_STATUSES]; /* waits that go on count as one each */
	uint64_t judged;			 /* their sum, of which complete_pct is */
	bool is_wait;				 /* rows are waits, shares are of the time waited */
	uint64_t total_wait_ns, total_run_ns;	 /* in the window, of waits */
	uint64_t kind_ns[WAIT_KINDS];		 /* total_wait_ns by kind */
	const struct snapshot_event *event;	 /* NULL: an empty profile */
};

/* ERR_USAGE: an event that was not recorded (with the list), a sort key that does not exist (with
 * the list), a thread that is not there. */
int view_build(const struct snapshot *snapshot, const struct view_request *request,
	       struct view **ret_view, struct err *err);
void view_free(struct view *view);

/* The recorded event that is waiting, for view_request.event; NULL where there is none. */
const char *view_wait_event(const struct snapshot *snapshot);
/* Is any other event recorded? */
bool view_has_samples(const struct snapshot *snapshot);

struct view_print {
	bool colour;
	size_t columns; /* width of the terminal; 0: as wide as needed */
};

void view_print_text(FILE *to, const struct snapshot *snapshot, const struct view *view,
		     const struct view_request *request, const struct view_print *print);
void view_print_json(FILE *to, const struct snapshot *snapshot, const struct view *view);
void view_print_csv(FILE *to, const struct view *view);

/* "lost 312 samples (ring full): lower --cpu-freq or raise --buffer", one line a cause, each ended
 * by a newline; nothing where nothing was lost or noted. */
void view_print_losses(FILE *to, const struct losses *losses);
/* One of them, without the newline. */
void view_add_loss(struct str *to, const struct losses *losses, enum loss_cause cause);

/* JSON and CSV values, for every printer. */
void json_print_string(FILE *to, const char *text); /* quoted, escaped, always valid UTF-8 */
void csv_print_string(FILE *to, const char *text);  /* quoted where it must be */

#endif
