/*
 * src/core/encoding.c
 *		Changing a text's encoding without ever failing.
 *
 * What voxanne_agent reports and what a webhook receives is UTF-8, whatever the
 * database's encoding.  A character that does not exist on the other side, or
 * bytes that are no character, become "?": a report must not get lost because
 * of a file's name.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "core/encoding.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

/* Bytes converted at a time. */
#define MAX_CHUNK (256 * 1024)

static char *convert(const char *text, int from, int to);
static int	convert_some(StringInfo out, Oid proc, int from, int to, const char *text, int len);
static int	copy_some(StringInfo out, int from, int to, const char *text, int len);
static int	character_length(int encoding, const char *text, int len);
static bool is_ascii_text(const char *text);

/* A UTF-8 text in the database's encoding.  Needs a transaction. */
char *
voxanne_from_utf8(const char *text)
{
	return convert(text, PG_UTF8, GetDatabaseEncoding());
}

/* A text of the database's in UTF-8.  Needs a transaction. */
char *
voxanne_to_utf8(const char *text)
{
	return convert(text, GetDatabaseEncoding(), PG_UTF8);
}

static char *
convert(const char *text, int from, int to)
{
	StringInfoData out;
	Oid			proc = InvalidOid;
	int			len = strlen(text);

	if (to == PG_SQL_ASCII || is_ascii_text(text))
		return pstrdup(text);
	if (from != to && from != PG_SQL_ASCII)
		proc = FindDefaultConversionProc(from, to);

	initStringInfo(&out);
	while (len > 0)
	{
		int			done = OidIsValid(proc) ? convert_some(&out, proc, from, to, text, len) :
			copy_some(&out, from, to, text, len);

		if (done == 0)
		{
			appendStringInfoChar(&out, '?');
			done = character_length(from, text, len);
		}
		text	  +=done;

		len -= done;
	}
	return out.data;
}

/* Append what can be converted of the text's beginning; how many of its bytes that were. */
static int
convert_some(StringInfo out, Oid proc, int from, int to, const char *text, int len)
{
	int			size;
	unsigned char *buffer;
	int			done;

	len = Min(len, MAX_CHUNK);
	size = len * MAX_CONVERSION_GROWTH + 1;
	buffer = palloc(size);
	done = pg_do_encoding_conversion_buf(proc, from, to, (unsigned char *) unconstify(char *, text), len,
										 buffer, size, true);
	appendStringInfoString(out, (char *) buffer);
	pfree(buffer);
	return done;
}

/* The same where no conversion is needed or known: valid text, or ASCII. */
static int
copy_some(StringInfo out, int from, int to, const char *text, int len)
{
	int			done = 0;

	if (from == to || from == PG_SQL_ASCII)
		done = pg_encoding_verifymbstr(to, text, len);
	else
		while (done < len && !IS_HIGHBIT_SET(text[done]))
			done++;
	appendBinaryStringInfo(out, text, done);
	return done;
}

/* Bytes of the character at the text's beginning; 1 if it is none. */
static int
character_length(int encoding, const char *text, int len)
{
	int			length = Min(pg_encoding_mblen(encoding, text), len);

	return pg_encoding_verifymbstr(encoding, text, length) == length ? length : 1;
}

static bool
is_ascii_text(const char *text)
{
	for (; *text !='\0'; text ++)
		if (IS_HIGHBIT_SET(*text))
			return false;
	return true;
}
