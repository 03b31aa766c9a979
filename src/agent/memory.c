/*
 * src/agent/memory.c
 *		Allocation that does not fail.
 *
 * A run is short, has an address-space limit and answers one question: a
 * refused allocation ends it, and whoever started it sees a check that could
 * not run.  Small texts live until the process ends.
 */
#include "agent.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
out_of_memory(void)
{
	static const char message[] = "voxanne_agent: out of memory\n";

	if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
		_exit(EXIT_NOT_RUN);
	_exit(EXIT_NOT_RUN);
}

void *
xmalloc(size_t size)
{
	void	   *result = malloc(size > 0 ? size : 1);

	if (result == NULL)
		out_of_memory();
	return result;
}

void *
xrealloc(void *old, size_t size)
{
	void	   *result = realloc(old, size > 0 ? size : 1);

	if (result == NULL)
		out_of_memory();
	return result;
}

char *
xstrdup(const char *str)
{
	size_t		size = strlen(str) + 1;

	return memcpy(xmalloc(size), str, size);
}

/* printf into memory of its own. */
char *
vformat(const char *fmt, va_list args)
{
	char	   *result;

	if (vasprintf(&result, fmt, args) < 0)
		out_of_memory();
	return result;
}

char *
format(const char *fmt,...)
{
	va_list		args;
	char	   *result;

	va_start(args, fmt);
	result = vformat(fmt, args);
	va_end(args);
	return result;
}
