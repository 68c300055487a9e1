/* Code points of strings that may hold anything. Own code because mbrtowc follows the locale, and a
 * profile reads the same in every locale. */
#ifndef RSPROF_UTIL_UTF8_H
#define RSPROF_UTIL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the code point that text begins with, or 0 where it is not UTF-8. Never reads beyond the
 * terminating zero. */
size_t utf8_decode(const char *text, uint32_t *ret_point);

/* Controls (C0, C1, DEL) and characters that reorder text: a terminal or an editor obeys them. */
bool utf8_is_harmful(uint32_t point);

#endif
