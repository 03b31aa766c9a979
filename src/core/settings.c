/*
 * src/core/settings.c
 *		The settings voxanne_ops.*, in alphabetical order.
 *
 * What names a program, a place in the file system or on the network, or a
 * file with a secret, is for superusers only.
 */
#include "postgres.h"

#include <limits.h>

#include "core/settings.h"
#include "utils/guc.h"

char	   *voxanne_agent_path = NULL;
bool		voxanne_allow_http = false;
char	   *voxanne_backup_directories = NULL;
char	   *voxanne_ca_file = NULL;
int			voxanne_lock_wait_critical = 5 * 60 * 1000;
int			voxanne_lock_wait_warning = 30 * 1000;

static bool check_absolute(char **newval, void **extra, GucSource source);

/*
 * Define all settings; called once, when the library is loaded.
 */
void
voxanne_define_settings(void)
{
	DefineCustomStringVariable("voxanne_ops.agent_path",
							   "Path of the program voxanne_agent.",
							   "Empty: beside the postgres executable.",
							   &voxanne_agent_path, "",
							   PGC_SUSET, 0, check_absolute, NULL, NULL);
	DefineCustomBoolVariable("voxanne_ops.allow_http",
							 "Allow URLs with http:// as well as https://.",
							 "For tests: everything, secrets included, travels in clear.",
							 &voxanne_allow_http, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("voxanne_ops.backup_directories",
							   "Directories below which backup targets may lie, separated by commas.",
							   "Empty: none.",
							   &voxanne_backup_directories, "",
							   PGC_SUSET, GUC_LIST_INPUT, NULL, NULL, NULL);
	DefineCustomStringVariable("voxanne_ops.ca_file",
							   "File with the CA certificates that servers of HTTPS URLs must present.",
							   "Empty: those of the operating system.",
							   &voxanne_ca_file, "",
							   PGC_SUSET, 0, check_absolute, NULL, NULL);
	DefineCustomIntVariable("voxanne_ops.lock_wait_critical",
							"Length of a wait for a lock from which it is critical.",
							NULL,
							&voxanne_lock_wait_critical, 5 * 60 * 1000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("voxanne_ops.lock_wait_warning",
							"Length of a wait for a lock from which it is worth a warning.",
							"A queue behind waiting DDL that is this old is critical.",
							&voxanne_lock_wait_warning, 30 * 1000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);

	MarkGUCPrefixReserved("voxanne_ops");
}

/* A path must not depend on somebody's current directory. */
static bool
check_absolute(char **newval, void **extra, GucSource source)
{
	if (**newval == '\0' || is_absolute_path(*newval))
		return true;
	GUC_check_errdetail("The path must be absolute.");
	return false;
}
