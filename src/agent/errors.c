/*
 * src/agent/errors.c
 *		Words for errno.
 */
#include "agent.h"

#include <errno.h>
#include <string.h>

/*
 * What an errno means, in lower case, so that it can stand in a sentence.  The
 * text may be overwritten by the same thread's next call.
 */
const char *
describe_errno(int error)
{
	static __thread char str[128];

	snprintf(str, sizeof(str), "%s", strerror(error));
	/* "Is a directory", but "RPC struct is bad" */
	if (str[0] >= 'A' && str[0] <= 'Z' && !(str[1] >= 'A' && str[1] <= 'Z'))
		str[0] = (char) (str[0] - 'A' + 'a');
	return str;
}
