#include "reader/source/bpf_heap.h"

#include <errno.h>
#include <string.h>

#include "reader/util/str.h"

static int try_load(struct bpf_loaded *loaded, const struct source_config *config,
		    enum heap_attach attach, struct heap_prices *prices, struct err *err)
{
	int failed;

	loaded->heap_attach = attach;
	failed = bpf_load(loaded, config, err);
	if (failed)
		return failed;
	failed = heap_calibrate(&loaded->heap_programs, prices);
	if (failed)
		return err_set(err, ERR_GENERAL, failed, "No probe can be placed here: %s.",
			       strerror(-failed));
	if (!prices->sees_other_threads)
		return err_set(err, ERR_GENERAL, -EOPNOTSUPP,
			       "This kernel places probes for a single thread only.");
	return 0;
}

int bpf_heap_load(struct bpf_loaded *loaded, const struct source_config *config,
		  struct heap_prices *ret_prices, struct arena *arena, const char **ret_missing,
		  struct err *err)
{
	/* As bpf_load begins its sentences. */
	static const char cannot[] = "The bpf source cannot start: ";
	struct source_config without = *config;
	struct err refusal = {0};

	*ret_missing = NULL;
	for (int attach = (int)loaded->heap_attach; config->heap && attach <= HEAP_ATTACH_PERF;
	     attach++) {
		if (!try_load(loaded, config, (enum heap_attach)attach, ret_prices, &refusal))
			return 0;
		/* The loader may have passed over some by itself. */
		if ((int)loaded->heap_programs.attach > attach)
			attach = (int)loaded->heap_programs.attach;
		bpf_unload(loaded);
	}
	if (config->heap)
		*ret_missing = arena_printf(arena, "Its programs cannot start: %s",
					    refusal.sentence + (str_starts(refusal.sentence, cannot)
									? strlen(cannot)
									: 0));
	without.heap = HEAP_MODE_OFF;
	return bpf_load(loaded, &without, err);
}
