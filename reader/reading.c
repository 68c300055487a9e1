#include "reader/reading.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "reader/record/resolve.h"
#include "reader/store/store.h"
#include "reader/util/fmt.h"

int reading_check_print(bool json, bool csv, struct err *err)
{
	if (!json || !csv)
		return 0;
	err_set(err, ERR_USAGE, -EINVAL, "--json and --csv cannot both be printed.");
	err_remedy(err, "Use one of them.");
	return -EINVAL;
}

int reading_open(const char *path, const struct window_request *request,
		 struct snapshot **ret_snapshot, struct err *err)
{
	struct store_window window;
	struct store_reader *reader;
	int r = store_reader_open(path, &reader, err);

	if (r < 0)
		return r;
	r = window_resolve(request, store_reader_duration_ns(reader), &window.from_ns,
			   &window.to_ns, err);
	if (r == 0)
		r = store_reader_snapshot(reader, window, ret_snapshot, err);
	store_reader_close(reader);
	return r;
}

void reading_resolve(struct snapshot *snapshot)
{
	char number[FMT_MAX];

	if (!snapshot->unresolved_count)
		return;
	resolve_late(snapshot);
	if (snapshot->unresolved_count)
		fprintf(stderr,
			"rsprof: %s frames have no names: the recording did not resolve them, and "
			"the same binaries are not here.\n",
			fmt_count(number, snapshot->unresolved_count));
}

static bool is_set(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value;
}

struct view_print reading_terminal(void)
{
	struct view_print print = {0};
	const char *term = getenv("TERM"), *columns = getenv("COLUMNS");
	struct winsize size = {0};
	uint64_t count;

	if (!isatty(STDOUT_FILENO))
		return print;
	print.colour = !is_set("NO_COLOR") && (!term || strcmp(term, "dumb"));
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
		print.columns = size.ws_col;
	else if (columns && parse_count(columns, &count) == 0 && count <= UINT16_MAX)
		print.columns = count;
	return print;
}
