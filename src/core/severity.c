/*
 * src/core/severity.c
 *		Names of the severities.
 */
#include "postgres.h"

#include "core/severity.h"

static const char *const severity_names[VOX_SEVERITY_COUNT] = {
	[VOX_INFO] = "info",
	[VOX_WARNING] = "warning",
	[VOX_CRITICAL] = "critical",
};

/*
 * Label of the SQL enum for a severity; a constant, not to be freed.
 */
const char *
voxanne_severity_name(VoxSeverity severity)
{
	Assert((int) severity >= 0 && severity < VOX_SEVERITY_COUNT);
	return severity_names[severity];
}

/*
 * The severity of a label.  ERROR 22023 for anything else.
 */
VoxSeverity
voxanne_severity_parse(const char *name)
{
	for (int i = 0; i < VOX_SEVERITY_COUNT; i++)
		if (strcmp(name, severity_names[i]) == 0)
			return (VoxSeverity) i;

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown severity \"%s\"", name),
			 errhint("Valid severities are info, warning and critical.")));
}
