/* How a frame finds its caller, from the unwind tables. Private to the symbol room. */
#ifndef RSPROF_SYMBOL_FRAME_BASE_H
#define RSPROF_SYMBOL_FRAME_BASE_H

#include <elfutils/libdw.h>
#include <stdint.h>

#include "reader/core/delta.h"

/* eh_frame and debug_frame may be NULL; the first that covers the address decides. */
enum frame_base frame_base_find(Dwarf_CFI *eh_frame, Dwarf_CFI *debug_frame, uint16_t machine,
				uint64_t address);

#endif
