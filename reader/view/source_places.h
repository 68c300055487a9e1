/* Where a source file may be, in the order of looking. Private to source_text.c. */
#ifndef RSPROF_VIEW_SOURCE_PLACES_H
#define RSPROF_VIEW_SOURCE_PLACES_H

#include "reader/util/vec.h"
#include "reader/view/source_text.h"

struct source_place {
	char *path;
	bool is_recorded; /* exactly where it was compiled */
};

typedef VEC(struct source_place) source_places;

/* Nothing is opened but what tells of toolchains. */
void source_places_list(const struct source_request *request, source_places *places);
void source_places_done(source_places *places);

#endif
