/*
 * src/agent/page_verdict.c
 *		Which pages are damaged, when everything has been read.
 *
 * A page that is not as it should be is
 * - repaired, if the backup's WAL writes it anew;
 * - unproven, if it was changed during the backup but no such WAL was found;
 * - damaged otherwise.
 */
#include "contents.h"

#include <inttypes.h>

/* What a finding means for a restore */
typedef enum Verdict
{
	REPAIRED,
	UNPROVEN,
	DAMAGED
} Verdict;

static Verdict
judge(const PageFinding *finding, const Manifest *manifest)
{
	if (finding->replayed)
		return REPAIRED;
	if (finding->fault == FAULT_CHECKSUM && finding->lsn >= manifest_start_lsn(manifest) &&
		finding->lsn <= manifest_end_lsn(manifest))
		return UNPROVEN;
	return DAMAGED;
}

static char *
describe(const PageFinding *finding, const Manifest *manifest)
{
	char	   *lsn = format("%X/%X", (unsigned int) (finding->lsn >> 32), (unsigned int) finding->lsn);
	const char *when = finding->lsn < manifest_start_lsn(manifest) ? "before the backup's start" :
		finding->lsn > manifest_end_lsn(manifest) ? "after the backup's end" : "during the backup";

	switch ((PageFault) finding->fault)
	{
		case FAULT_CHECKSUM:
			return format("block %" PRIu32 " has checksum %04X, not %04X as it states; last changed at %s, %s",
						  finding->page, finding->computed, finding->stated, lsn, when);
		case FAULT_NOT_ZERO:
			return format("block %" PRIu32 " was never initialized, but is not empty", finding->page);
		case FAULT_FUTURE:
			return format("block %" PRIu32 " says that it was changed at %s, %s", finding->page, lsn, when);
	}
	return NULL;
}

/* Sentence of check page_checksums. */
static void
conclude_pages(Check *check, uint64_t n_pages, uint64_t repaired, uint64_t dropped)
{
	uint64_t	damaged = check->n_problems + dropped;

	if (damaged > 0)
		check_set(check, CHECK_FAILED, "%" PRIu64 " of %s %s damaged%s.", damaged, count_of(n_pages, "page", "pages"),
				  damaged == 1 ? "is" : "are",
				  dropped == 0 ? "" : format(", %" PRIu64 " of them taken for so without a look at WAL", dropped));
	else
		check_set(check, CHECK_PASSED, "All %" PRIu64 " pages of relations have the checksum that they state%s.", n_pages,
				  repaired == 0 ? "" : format("; %s by WAL", count_of(repaired, "torn one is repaired", "torn ones are repaired")));
}

/* Checks page_checksums and pages_unproven. */
void
report_pages(Report *report, const Backup *backup, const PageFindings *findings, uint64_t n_pages)
{
	const Manifest *manifest = &backup->manifest;
	Check	   *check = report_check(report, "page_checksums");
	Check	   *unproven;
	uint64_t	repaired = 0;

	if (why_no_pages(backup) != NULL)
	{
		check_set(check, CHECK_SKIPPED, "%s", why_no_pages(backup));
		return;
	}
	unproven = report_check(report, "pages_unproven");
	for (uint32_t i = 0; i < findings->n; i++)
	{
		const PageFinding *finding = &findings->items[i];
		Verdict		verdict = judge(finding, manifest);

		if (verdict == REPAIRED)
			repaired++;
		else
			check_problem(verdict == DAMAGED ? check : unproven, manifest_file (manifest, finding->file)->path,
						  "%s", describe(finding, manifest));
	}
	conclude_pages(check, n_pages, repaired, findings->dropped);
	if (unproven->n_problems > 0)
		check_set(unproven, CHECK_WARNING, "%s torn by changes during the backup, and no WAL that repairs %s was found: only a restore can tell.",
				  count_of(unproven->n_problems, "page was", "pages were"), unproven->n_problems == 1 ? "it" : "them");
	else
		check_set(unproven, CHECK_PASSED, "No page was left torn by changes during the backup.");
}
