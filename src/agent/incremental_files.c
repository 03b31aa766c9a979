/*
 * src/agent/incremental_files.c
 *		Check incremental_files: the files of a backup that hold only pages that changed.
 *
 * Level "status" reads the first numbers of each, which tell whether it has the
 * size that it should and how long the whole file will be; level "verify" reads
 * all of it, and says then what is wrong with it.
 */
#include "findings.h"
#include "incremental.h"

#include <inttypes.h>

/*
 * An incremental file was met, which begins with "len" bytes, -1: they cannot
 * be read.  "deep" if all of it will be read later.
 */
void
add_incremental(Report *report, Backup *backup, const char *path, uint64_t size, const unsigned char *data, ssize_t len,
				bool deep)
{
	IncrementalFiles *files = &backup->incremental;
	Incremental header = {0};
	RelationFile relation;

	/* a full backup has none, but a user may have given anything such a name */
	if (backup->label.known && backup->label.prior.lsn == 0 &&
		(!backup->layout.known || !relation_file(path, &backup->layout, &relation)))
		return;
	if (files->check == NULL)
		files->check = report_check(report, "incremental_files");
	files->n++;
	files->bytes += size;
	if (len < 0 || !backup->layout.known)
	{
		files->unknown++;
		return;
	}
	incremental_begin(&header, &backup->layout, size);
	(void) incremental_add(&header, data, (size_t) len);
	if (header.problem == NULL && header.taken >= INCREMENTAL_START_SIZE)
		files->pages += header.length;
	else
		files->unknown++;
	if (header.problem != NULL && !deep)
		check_problem(files->check, path, "%s", header.problem);
	incremental_free(&header);
}

/* The sentence of the check, when all have been looked at. */
void
conclude_incremental(Report *report, Backup *backup)
{
	Check	   *check = backup->incremental.check;
	const char *files = count_of(backup->incremental.n, "file holds", "files hold");

	if (check == NULL)
		return;
	if (backup->odd_layout || !backup->layout.known)
		check_set(check, CHECK_SKIPPED, "%s changed pages only; how the cluster's files are laid out is not known.", files);
	else if (check->n_problems > 0)
		check_set(check, CHECK_FAILED, "%s.", count_of(check->n_problems, "incremental file is damaged or no such file",
													   "incremental files are damaged or no such files"));
	else if (backup->label.known && backup->label.prior.lsn == 0)
		check_set(check, CHECK_FAILED, "%s changed pages only, although backup_label says that this is a full backup.", files);
	else
		check_set(check, CHECK_PASSED, "%s changed pages only and %s what the header states.", files,
				  backup->incremental.n == 1 ? "is" : "are");
}
