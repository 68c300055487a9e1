#include "reader/util/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *err, enum err_kind kind, int ret, const char *format, ...)
{
	if (err) {
		va_list args;

		err->kind = kind;
		err->remedy[0] = '\0';
		va_start(args, format);
		vsnprintf(err->sentence, sizeof(err->sentence), format, args);
		va_end(args);
	}
	return ret;
}

void err_remedy(struct err *err, const char *format, ...)
{
	va_list args;

	if (!err)
		return;
	va_start(args, format);
	vsnprintf(err->remedy, sizeof(err->remedy), format, args);
	va_end(args);
}
