#include "reader/source/agent_layout.h"

#include <errno.h>
#include <stdbool.h>

#include "reader/core/event.h"

enum {
	SECTION_ALIGNMENT = 4096,
	HEADER_BYTES_MAX = 65536,
};
/* Sparse files of any size can be made; offsets stay far from where sums would overflow. */
#define FILE_BYTES_MAX (UINT64_C(1) << 46)

static const uint64_t strides[RSPROF_SHM_SECTIONS] = {
	[RSPROF_SHM_CONTROL] = sizeof(struct rsprof_shm_control),
	[RSPROF_SHM_LANES] = sizeof(struct rsprof_shm_lane),
	[RSPROF_SHM_COUNTS] = sizeof(struct rsprof_shm_counts),
	[RSPROF_SHM_SITES] = sizeof(uint64_t),
	[RSPROF_SHM_STACKS] = 1,
	[RSPROF_SHM_MODULES] = sizeof(struct rsprof_shm_module),
	[RSPROF_SHM_RINGS] = sizeof(struct rsprof_shm_event),
};

static const char *check_numbers(const struct rsprof_shm_header *header, uint64_t file_bytes)
{
	if (file_bytes > FILE_BYTES_MAX)
		return "it is too large";
	if (header->header_bytes < sizeof(*header) || header->header_bytes > HEADER_BYTES_MAX ||
	    header->header_bytes > file_bytes)
		return "its header has an impossible size";
	if (header->section_count < RSPROF_SHM_SECTIONS ||
	    header->section_count > RSPROF_SHM_SECTIONS_MAX)
		return "it has an impossible number of sections";
	if (!header->lane_count || header->lane_count > AGENT_LANES_MAX)
		return "it has an impossible number of lanes";
	if (header->site_count <= RSPROF_SHM_SITE_FIRST || header->site_count > AGENT_SITES_MAX)
		return "it has an impossible number of sites";
	if (header->ring_events > AGENT_RING_EVENTS_MAX ||
	    (header->ring_events & (header->ring_events - 1)))
		return "its rings have an impossible size";
	if (!header->frames_max || header->frames_max > EVENT_FRAMES_MAX)
		return "its stacks have an impossible size";
	if (header->heap > RSPROF_SHM_HEAP_TRACE || header->clock > RSPROF_SHM_CLOCK_TSC)
		return "it counts in a way that is not known here";
	return NULL;
}

/* Of sections that a later minor version has added, too. */
static const char *check_extent(const struct rsprof_shm_section *section, uint64_t header_bytes,
				uint64_t file_bytes)
{
	uint64_t bytes;

	if (section->offset % SECTION_ALIGNMENT || section->offset < header_bytes)
		return "a section lies where none can be";
	if (__builtin_mul_overflow(section->stride, section->count, &bytes) ||
	    section->offset > file_bytes || bytes > file_bytes - section->offset)
		return "a section lies beyond its end";
	return NULL;
}

static bool overlap(const struct rsprof_shm_section *a, const struct rsprof_shm_section *b)
{
	uint64_t a_bytes = a->stride * a->count, b_bytes = b->stride * b->count;

	return a_bytes && b_bytes && a->offset < b->offset + b_bytes &&
	       b->offset < a->offset + a_bytes;
}

static const char *check_sections(const struct rsprof_shm_header *header, uint64_t file_bytes)
{
	for (uint32_t i = 0; i < header->section_count; i++) {
		const char *wrong =
			check_extent(&header->sections[i], header->header_bytes, file_bytes);

		if (wrong)
			return wrong;
		for (uint32_t before = 0; before < i; before++) {
			if (overlap(&header->sections[before], &header->sections[i]))
				return "two sections overlap";
		}
	}
	for (int i = 0; i < RSPROF_SHM_SECTIONS; i++) {
		uint64_t stride = header->sections[i].stride;

		if (i == RSPROF_SHM_STACKS ? stride != 1
					   : stride < strides[i] || stride > AGENT_STRIDE_MAX ||
						     stride % sizeof(uint64_t))
			return "a section has elements of an impossible size";
	}
	return NULL;
}

static const char *check_counts(const struct rsprof_shm_header *header)
{
	const struct rsprof_shm_section *sections = header->sections;
	uint64_t lanes = header->lane_count;

	if (!sections[RSPROF_SHM_CONTROL].count || sections[RSPROF_SHM_LANES].count != lanes ||
	    sections[RSPROF_SHM_COUNTS].count != lanes * header->site_count ||
	    sections[RSPROF_SHM_SITES].count < header->site_count ||
	    sections[RSPROF_SHM_RINGS].count != lanes * header->ring_events ||
	    sections[RSPROF_SHM_MODULES].count > AGENT_MODULES_MAX)
		return "a section has an impossible number of elements";
	return NULL;
}

int agent_layout_read(const struct rsprof_shm_header *header, uint64_t file_bytes,
		      struct agent_layout *ret_layout, const char **ret_wrong)
{
	const char *wrong;

	if (!header->magic)
		return -EAGAIN;
	*ret_wrong = "it does not begin as it should";
	if (header->magic != RSPROF_SHM_MAGIC)
		return -EBADMSG;
	if (header->major != RSPROF_SHM_MAJOR)
		return -EPROTO;
	wrong = check_numbers(header, file_bytes);
	if (!wrong)
		wrong = check_sections(header, file_bytes);
	if (!wrong)
		wrong = check_counts(header);
	if (wrong) {
		*ret_wrong = wrong;
		return -EBADMSG;
	}
	*ret_layout = (struct agent_layout){
		.lanes = header->lane_count,
		.sites = header->site_count,
		.ring_events = header->ring_events,
		.frames_max = header->frames_max,
		.modules = (uint32_t)header->sections[RSPROF_SHM_MODULES].count,
		.stacks_bytes = header->sections[RSPROF_SHM_STACKS].count,
	};
	for (int i = 0; i < RSPROF_SHM_SECTIONS; i++)
		ret_layout->sections[i] = header->sections[i];
	return 0;
}
