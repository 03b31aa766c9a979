/*
 * src/agent/errors.c
 *		Words for errno.
 */
#include "agent.h"

#include <errno.h>
#include <string.h>

/*
 * What an errno means, in lower case, so that it can stand in a sentence.  The
 * text may be overwritten by the next call.
 */
const char *
describe_errno(int error)
{
	static char text[128];
	
	snprintf(text, sizeof(text), "%s", strerror(error));
	/* "Is a directory", but "RPC struct is bad" */
	if (text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z'))
		text[0] = (char) (text[0] - 'A' + 'a');
	return text;
}
