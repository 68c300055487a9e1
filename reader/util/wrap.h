/* Plain text in lines of a terminal. */
#ifndef RSPROF_UTIL_WRAP_H
#define RSPROF_UTIL_WRAP_H

#include <stddef.h>
#include <stdio.h>

enum { WRAP_COLUMNS = 80 }; /* help is read in pipes and pagers too: one width everywhere */

/* Prints the words of text[0..length) in lines of WRAP_COLUMNS, the last one ended. The first
 * begins at `column`, where the cursor is already; the others are indented by `indent`. */
void wrap_print(FILE *to, const char *text, size_t length, size_t column, size_t indent);

/* Paragraphs are separated by empty lines; one that begins with a blank is kept line by line. */
void wrap_print_paragraphs(FILE *to, const char *text, size_t indent);

/* The first paragraph of text, and its length; the next one begins at the result. NULL at the end.
 */
const char *wrap_paragraph(const char *text, const char **ret_start, size_t *ret_length);

#endif
