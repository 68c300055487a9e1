/* One small profile that every row can be added up of by hand: 100 samples of cpu-clock.
 *
 *     samples  kernel  thread          stack, leaf first (charged: *)
 *          40       0  my-app (12345)  *parse_header, main
 *          20       0  worker (12346)  *tokenize, parse_header, main
 *          10      10  my-app (12345)  read in libc.so.6, *parse_header, main
 *          15       0  worker (12346)  *clamp inlined into fill, main
 *          10       0  worker (12347)  *walk, walk, walk, main: a broken stack
 *           5       5  my-app (12345)  none
 *
 * and 8 page faults in tokenize. */
#ifndef RSPROF_TESTS_LIB_SAMPLE_PROFILE_H
#define RSPROF_TESTS_LIB_SAMPLE_PROFILE_H

#include "tests/lib/snapshot_builder.h"

/* For the caller to free. */
struct snapshot_builder *sample_profile(void);

#endif
