/* What flame graphs and trees say in the same words. */
#ifndef RSPROF_TUI_PANE_WORDS_H
#define RSPROF_TUI_PANE_WORDS_H

#include "reader/tui/pane.h"

/* Appends "  my-app  2m00s–3m30s  thread worker", without what is not narrowed down. The context
 * has a model. */
void pane_words_add_range(struct str *to, const struct pane_context *context, bool is_unicode);
/* Appends "src/parser.rs:142"; nothing for NULL. */
void pane_words_add_place(struct str *to, const struct snapshot_location *location);
/* Why nothing is shown: "No CPU samples in this range of time." */
const char *pane_words_empty(const struct pane_context *context);
/* One line in the middle of an area. */
void pane_words_put(struct canvas *canvas, struct area area, const char *words);

#endif
