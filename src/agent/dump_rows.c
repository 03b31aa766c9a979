/*
 * src/agent/dump_rows.c
 *		The data of one entry of a dump.
 *
 * Compression proves the bytes.  An uncompressed dump has no checksum, but its
 * rows have a shape: each line of COPY has as many columns as the statement
 * names, and a mark ends them; INSERTs end with two empty lines.  So data that
 * were cut anywhere are noticed in every format, and much other damage, too.
 */
#include "dump.h"

#include <inttypes.h>
#include <string.h>

/* Empty lines that end the data of a table */
#define LAST_NEWLINES 2

/* Begin with the rows of a table. */
void
scan_rows_begin(RowScan *scan, const DumpEntry *entry)
{
	memset(scan, 0, sizeof(*scan));
	scan->copy = entry->copy;
	scan->columns = entry->columns;
}

/* A line of COPY has ended. */
static void
end_line(RowScan *scan)
{
	uint32_t	columns = scan->columns == 0 ? 1 : scan->columns;

	if (scan->length == 2 && scan->first[0] == '\\' && scan->first[1] == '.')
		scan->over = true;
	else
	{
		scan->rows++;
		if (scan->columns != UNKNOWN_COLUMNS && scan->problem == NULL &&
			(scan->tabs + 1 != columns || (scan->columns == 0 && scan->length > 0)))
			scan->problem = format("row %" PRIu64 " has %" PRIu32 " columns, not %" PRIu32, scan->rows,
								   scan->tabs + 1, scan->columns);
	}
	scan->length = 0;
	scan->tabs = 0;
}

/* Part of a line of COPY, or all of it. */
static void
scan_line(RowScan *scan, const unsigned char *data, size_t len)
{
	uint32_t	tabs = 0;

	for (size_t i = 0; i < len && scan->length + i < 2; i++)
		scan->first[scan->length + i] = data[i];
	for (size_t i = 0; i < len; i++)
		tabs += data[i] == '\t';
	scan->tabs += tabs;
	scan->length += len;
}

static void
scan_copy(RowScan *scan, const unsigned char *data, size_t len)
{
	while (len > 0 && !scan->over)
	{
		const unsigned char *end = memchr(data, '\n', len);
		size_t		line = end == NULL ? len : (size_t) (end - data);

		scan_line(scan, data, line);
		if (end == NULL)
			return;
		end_line(scan);
		data += line + 1;
		len -= line + 1;
	}
	for (size_t i = 0; i < len; i++)
	{
		if (data[i] != '\n' && scan->problem == NULL)
			scan->problem = xstrdup("something follows the end mark of its rows");
		scan->newlines++;
	}
}

/* The next bytes of a table's data. */
void
scan_rows(RowScan *scan, const unsigned char *data, size_t len)
{
	if (scan->copy)
	{
		scan_copy(scan, data, len);
		return;
	}
	for (size_t i = len > LAST_NEWLINES ? len - LAST_NEWLINES : 0; i < len; i++)
		scan->newlines = data[i] == '\n' ? scan->newlines + 1 : 0;
	scan->length += len;
}

/* All data have been seen: what is wrong with them, or NULL.  The text is the caller's. */
char *
scan_rows_end(RowScan *scan)
{
	if (scan->problem != NULL)
		return scan->problem;
	if (scan->copy && !scan->over)
		return format("the data end in the middle, after row %" PRIu64, scan->rows);
	if (scan->newlines < LAST_NEWLINES)
		return xstrdup("the data end in the middle");
	return NULL;
}

/*
 * Read what "in" has, which is all the data of "entry", and count its rows;
 * what is wrong, or NULL.
 */
char *
read_entry_data(DumpRun *run, DumpEntry *entry, Stream *in)
{
	const unsigned char *data;
	char	   *problem = NULL;
	RowScan		scan;
	size_t		len;

	scan_rows_begin(&scan, entry);
	while ((len = stream_look(in, &data)) > 0)
	{
		if (entry->kind == ENTRY_DATA)
			scan_rows(&scan, data, len);
		stream_pass(in, len);
	}
	if (in->problem != NULL)
		return xstrdup(in->problem);
	if (entry->kind == ENTRY_DATA)
	{
		problem = scan_rows_end(&scan);
		run->dump->n_rows += scan.rows;
		run->dump->uncounted |= !entry->copy;

		/*
		 * how many INSERTs there are cannot be told without understanding
		 * them
		 */
		entry->rows = entry->copy ? scan.rows : scan.length > LAST_NEWLINES;
	}
	return problem;
}
