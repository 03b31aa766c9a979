/*
 * src/core/settings.c
 *		The settings voxanne_ops.*, in alphabetical order.
 *
 * What names a program, a place in the file system or on the network, or a
 * file with a secret, is for superusers only.
 */
#include "postgres.h"

#include "core/settings.h"
#include "utils/guc.h"

char	   *voxanne_agent_path = NULL;
char	   *voxanne_backup_directories = NULL;

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
							   PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("voxanne_ops.backup_directories",
							   "Directories below which backup targets may lie, separated by commas.",
							   "Empty: none.",
							   &voxanne_backup_directories, "",
							   PGC_SUSET, GUC_LIST_INPUT, NULL, NULL, NULL);

	MarkGUCPrefixReserved("voxanne_ops");
}
