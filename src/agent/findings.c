/*
 * src/agent/findings.c
 *		What is wrong with pages of relation files.
 *
 * A base backup is taken while the server writes, so a page in it may be half
 * old and half new; WAL makes it whole when the backup is restored.  A page
 * that is not as it should be is therefore a finding to be judged later, when
 * the backup's WAL has been read, and not yet a damage.
 */
#include "findings.h"
#include "incremental.h"
#include "page.h"

#include <stdlib.h>
#include <string.h>

/* Tablespaces without a link of their own */
#define SPACE_DEFAULT 1663
#define SPACE_GLOBAL 1664

/* Numbers of forks in WAL, by their suffix */
static const char *const forks[] = {"", "_fsm", "_vm", "_init"};

#define N_FORKS ((uint32_t) (sizeof(forks) / sizeof(forks[0])))

/* A number without leading zeros that fits into 32 bits, at *str; moves that behind it. */
static bool
take_number(const char **str, uint32_t *number)
{
	const char *digits = *str;
	size_t		len = strspn(digits, "0123456789");
	uint64_t	value = 0;

	if (len == 0 || len > 10 || digits[0] == '0')
		return false;
	for (size_t i = 0; i < len; i++)
		value = value * 10 + (uint64_t) (digits[i] - '0');
	*str = digits + len;
	*number = (uint32_t) value;
	return value <= UINT32_MAX;
}

static bool
take_text(const char **str, const char *text)
{
	size_t		len = strlen(text);

	if (strncmp(*str, text, len) != 0)
		return false;
	*str += len;
	return true;
}

/* The directory of a relation's file: global, base/<database> or a tablespace's. */
static bool
take_directory(const char **path, BlockName *name)
{
	if (take_text(path, "global/"))
	{
		name->space = SPACE_GLOBAL;
		return true;
	}
	if (take_text(path, "base/"))
	{
		name->space = SPACE_DEFAULT;
		return take_number(path, &name->database) && take_text(path, "/");
	}
	if (!take_text(path, "pg_tblspc/") || !take_number(path, &name->space) || !take_text(path, "/PG_"))
		return false;
	*path += strcspn(*path, "/");
	return take_text(path, "/") && take_number(path, &name->database) && take_text(path, "/");
}

/*
 * Is this the path of a file of a relation?  Then "relation" is what it holds,
 * but for the file's number.  Names with a segment that no relation can have
 * are none.
 */
bool
relation_file(const char *path, const Layout *layout, RelationFile *relation)
{
	BlockName  *name = &relation->first;
	uint32_t	segment = 0;

	memset(relation, 0, sizeof(*relation));
	if (!take_directory(&path, name))
		return false;
	relation->incremental = take_text(&path, INCREMENTAL_PREFIX);
	if (!take_number(&path, &name->relation))
		return false;
	for (uint32_t i = 1; i < N_FORKS; i++)
	{
		if (take_text(&path, forks[i]))
		{
			name->fork = i;
			break;
		}
	}
	if (take_text(&path, ".") && !take_number(&path, &segment))
		return false;
	name->block = segment * layout->segment_pages;
	return *path == '\0' && segment <= (UINT32_MAX - layout->segment_pages) / layout->segment_pages;
}

/*
 * Is something wrong with the page, of which page_sums() gave "sum"?  It would
 * be block "block" of its relation.  Fills what the page itself tells of
 * "finding".
 */
bool
page_fault(const unsigned char *page, uint32_t sum, const Layout *layout, uint32_t block, uint64_t end_lsn,
		   PageFinding *finding)
{
	finding->lsn = page_lsn(page);
	finding->stated = page_stated_checksum(page);
	if (page_is_new(page))
	{
		finding->fault = FAULT_NOT_ZERO;
		finding->computed = 0;
		return !page_is_zero(page, layout->page_size);
	}
	finding->computed = page_checksum(sum, block);
	finding->fault = finding->computed != finding->stated ? FAULT_CHECKSUM : FAULT_FUTURE;
	return finding->fault == FAULT_CHECKSUM || finding->lsn > end_lsn;
}

void
findings_add(PageFindings *findings, const PageFinding *finding)
{
	if (findings->n == MAX_FINDINGS)
	{
		findings->dropped++;
		return;
	}
	if (findings->n == findings->size)
	{
		findings->size = findings->size == 0 ? 64 : 2 * findings->size;
		findings->items = xrealloc(findings->items, findings->size * sizeof(PageFinding));
	}
	findings->items[findings->n++] = *finding;
}

/* Move all of "from" to the others. */
void
findings_take(PageFindings *findings, PageFindings *from)
{
	for (uint32_t i = 0; i < from->n; i++)
		findings_add(findings, &from->items[i]);
	findings->dropped += from->dropped;
	free(from->items);
	memset(from, 0, sizeof(*from));
}

static int
compare_names(const BlockName *a, const BlockName *b)
{
	const uint32_t *x = &a->space;
	const uint32_t *y = &b->space;

	for (size_t i = 0; i < sizeof(BlockName) / sizeof(uint32_t); i++)
	{
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}

static int
compare_findings(const void *a, const void *b)
{
	return compare_names(&((const PageFinding *) a)->name, &((const PageFinding *) b)->name);
}

/* Put them in the order of their names, without those of a first reading that does not count. */
void
findings_sort(PageFindings *findings, const Manifest *manifest)
{
	uint32_t	kept = 0;

	for (uint32_t i = 0; i < findings->n; i++)
	{
		const PageFinding *finding = &findings->items[i];

		if (finding->second || !manifest_file(manifest, finding->file)->reread)
			findings->items[kept++] = *finding;
	}
	findings->n = kept;
	if (kept > 0)
		qsort(findings->items, kept, sizeof(PageFinding), compare_findings);
}

/* WAL writes this page anew; they are sorted. */
void
findings_replayed(PageFindings *findings, const BlockName *name)
{
	PageFinding key = {.name = *name};
	PageFinding *found = bsearch(&key, findings->items, findings->n, sizeof(PageFinding), compare_findings);

	if (found != NULL)
		found->replayed = true;
}
