/* The rule of `addr` (see schema.sql), for the writer and for frames that a reader finds without a
 * location. */
#ifndef RSPROF_STORE_ADDRESS_H
#define RSPROF_STORE_ADDRESS_H

#include <stdint.h>

enum {
	ADDRESS_VADDR_BITS = 48,  /* what user addresses of x86-64 and aarch64 take */
	ADDRESS_MODULE_BITS = 14, /* with these below the two tag bits, positive in 64 bits */
};

#define ADDRESS_FRAME_TAG (UINT64_C(3) << 61)
#define ADDRESS_LOCATION_TAG (UINT64_C(1) << 62)
#define ADDRESS_NO_FRAME UINT64_C(0)

static inline uint64_t address_of_frame(uint64_t frame, uint64_t module, uint64_t vaddr)
{
	if (module >> ADDRESS_MODULE_BITS || vaddr >> ADDRESS_VADDR_BITS || !(module | vaddr))
		return ADDRESS_FRAME_TAG | frame;
	return module << ADDRESS_VADDR_BITS | vaddr;
}

static inline uint64_t address_of_location(uint64_t location)
{
	return ADDRESS_LOCATION_TAG | location;
}

#endif
