/*
 * src/backup/statement.c
 *		Queries of our own through SPI, with bound arguments.
 *
 * Nothing that came from outside is ever pasted into a query's text; only
 * quoted names of our own objects are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "backup/statement.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static Datum field(int row, int column, bool *isnull);

void
voxanne_statement_start(VoxStatement *query, const char *text)
{
	query->text = text;

	query->nargs = 0;
}

/* Bind the next argument, $1 first. */
void
voxanne_bind(VoxStatement *query, Oid type, Datum value, bool isnull)
{
	int			i = query->nargs++;

	Assert(i < VOX_STATEMENT_MAX_ARGS);
	query->types[i] = type;
	query->values[i] = value;
	query->nulls[i] = isnull ? 'n' : ' ';
}

/* Bind a text, or null for NULL. */
void
voxanne_bind_text(VoxStatement *query, const char *value)
{
	voxanne_bind(query, TEXTOID, value == NULL ? (Datum) 0 : CStringGetTextDatum(value), value == NULL);
}

void
voxanne_bind_int64(VoxStatement *query, int64 value)
{
	voxanne_bind(query, INT8OID, Int64GetDatum(value), false);
}

/* Bind a timestamptz; DT_NOBEGIN is null. */
void
voxanne_bind_time(VoxStatement *query, TimestampTz value)
{
	voxanne_bind(query, TIMESTAMPTZOID, TimestampTzGetDatum(value), TIMESTAMP_IS_NOBEGIN(value));
}

/*
 * Run it and return the number of rows returned or changed.  Sees everything
 * committed by now (READ COMMITTED) and the transaction's own changes; a query
 * that only reads works in a READ ONLY transaction too.
 */
int
voxanne_statement_run(VoxStatement *query)
{
	int			result = SPI_execute_with_args(query->text, query->nargs, query->types, query->values,
											   query->nulls, false, 0);

	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", query->text, SPI_result_code_string(result));
	return (int) SPI_processed;
}

/* A copy of the field's text in the current context, or NULL. */
char *
voxanne_field_text(int row, int column)
{
	bool		isnull;
	Datum		value = field(row, column, &isnull);

	Assert(SPI_gettypeid(SPI_tuptable->tupdesc, column) == TEXTOID);
	return isnull ? NULL : TextDatumGetCString(value);
}

int64
voxanne_field_int64(int row, int column, int64 if_null)
{
	bool		isnull;
	Datum		value = field(row, column, &isnull);

	Assert(SPI_gettypeid(SPI_tuptable->tupdesc, column) == INT8OID);
	return isnull ? if_null : DatumGetInt64(value);
}

/* DT_NOBEGIN for null. */
TimestampTz
voxanne_field_time(int row, int column)
{
	bool		isnull;
	Datum		value = field(row, column, &isnull);

	Assert(SPI_gettypeid(SPI_tuptable->tupdesc, column) == TIMESTAMPTZOID);
	return isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
}

static Datum
field(int row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}
