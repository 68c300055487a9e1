/* heapround MAP: what the blocks in the BPF map with that number (heap_blocks of a recording) were
 * asked for, and what the allocator of this very process would give for each: run it with the same
 * allocator as the recorded program has (LD_PRELOAD). Prints "blocks N", "bytes N", "usable N" and,
 * of glibc, "chunks N": with the headers. */
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/shared.h"

enum { BATCH = 65536, SMALL = 1 << 16, MMAPPED = 128 << 10 };

static uint64_t blocks, bytes, usable, chunks;

static int call_bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static size_t usable_size(size_t size)
{
	static size_t known[SMALL];
	void *block;
	size_t result;

	if (size < SMALL && known[size])
		return known[size];
	block = malloc(size);
	result = malloc_usable_size(block);
	free(block);
	if (size < SMALL)
		known[size] = result;
	return result;
}

static void count(const struct bpf_heap_block *block)
{
	size_t rounded = usable_size(block->size);

	blocks++;
	bytes += block->size;
	usable += rounded;
	chunks += rounded + (block->size >= MMAPPED ? 16 : 8);
}

int main(int argc, char **argv)
{
	union bpf_attr attr;
	struct bpf_map_info info;
	uint64_t token[4] = {0};
	char *keys, *values;
	bool is_first = true;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.map_id = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
	fd = call_bpf(BPF_MAP_GET_FD_BY_ID, &attr);
	memset(&attr, 0, sizeof(attr));
	memset(&info, 0, sizeof(info));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uintptr_t)&info;
	if (fd < 0 || call_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) || info.key_size != 8 ||
	    info.value_size != sizeof(struct bpf_heap_block)) {
		fprintf(stderr, "map %s: %s\n", argc > 1 ? argv[1] : "", strerror(errno));
		return 1;
	}
	keys = malloc((size_t)BATCH * info.key_size);
	values = malloc((size_t)BATCH * info.value_size);
	for (;;) {
		int ret;

		memset(&attr, 0, sizeof(attr));
		attr.batch.map_fd = (uint32_t)fd;
		attr.batch.in_batch = is_first ? 0 : (uintptr_t)token;
		attr.batch.out_batch = (uintptr_t)token;
		attr.batch.keys = (uintptr_t)keys;
		attr.batch.values = (uintptr_t)values;
		attr.batch.count = BATCH;
		ret = call_bpf(BPF_MAP_LOOKUP_BATCH, &attr);
		if (ret && errno != ENOENT) {
			fprintf(stderr, "map %s: %s\n", argv[1], strerror(errno));
			return 1;
		}
		for (uint32_t i = 0; i < attr.batch.count; i++)
			count((const struct bpf_heap_block *)(values + i * info.value_size));
		if (ret)
			break;
		is_first = false;
	}
	printf("blocks %" PRIu64 "\nbytes %" PRIu64 "\nusable %" PRIu64 "\nchunks %" PRIu64 "\n",
	       blocks, bytes, usable, chunks);
	return 0;
}
