/*
 * src/data/invalid_rules.c
 *		Which values cannot be right, or hardly: the rules, and the columns that they fit.
 *
 * A column is known by its name and type, so the rules fit any schema that
 * names things as most do (snake_case or camelCase).  A rule is a warning only
 * where no application has a use for the value; what is merely unlikely is
 * info, and what many do on purpose (blank text for "none", phones in national
 * form) only where few rows of the column do it.  The two regular expressions
 * are the dearest rules; they look at columns for phones and e-mails only.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/relation.h"
#include "data/invalid.h"
#include "data/invalid_column.h"
#include "lib/stringinfo.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/*
 * Names, with spaces between them; a * stands for anything.  The moments of a
 * row's own life; of what happened; what is planned, surely or perhaps; births; what names
 * somebody; the parts of a name that not everybody has.
 */
#define OWN_LIFE "created_at updated_at inserted_at modified_at created_on updated_on date_created date_updated"
#define HAPPENED \
	"started_at ended_at completed_at finished_at processed_at sent_at delivered_at received_at answered_at" \
	" cancelled_at canceled_at confirmed_at verified_at last_*_at"
#define PLANNED \
	"scheduled_at scheduled_for scheduled_time starts_at" \
	" appointment_at appointment_time appointment_date booked_for"
#define PERHAPS_PLANNED "start_at start_time"
#define BIRTH "date_of_birth dob birth_date birthdate birthday"
#define NAMES "name *_name username slug"
#define NAME_PARTS "last_name *_last_name middle_name *_middle_name second_name surname nick_name"
#define PHONES \
	"phone *_phone phone_number *_phone_number mobile *_mobile mobile_number *_mobile_number" \
	" cell_phone telephone *_telephone"
#define EMAILS "email *_email e_mail *_e_mail email_address *_email_address"
#define DURATIONS "duration *_duration"

/* A character that can be a digit: none of ASCII but a digit, so those of other scripts are let through. */
#define PERHAPS_DIGIT "[^ -/:-~]"

/* Three digits and no @, or a SIP address; or blank, which is another rule's. */
#define PHONE_PATTERN "^([^@]*" PERHAPS_DIGIT "){3}[^@]*$|^sips?:|^[[:space:]]*$"

/* What is no phone at all is left to the rule above. */
#define E164_PATTERN "^[+][1-9][0-9]{6,14}$"

/*
 * RFC 5321 without its comments, and what providers hand out besides (dots in
 * a row); quoted local parts, addresses as domains, letters beyond ASCII on
 * both sides.
 */
#define EMAIL_ATOM "[^][@[:space:]\"(),:;<>]"
#define EMAIL_LABEL "[^][@[:space:]\"(),:;<>.]+"
#define EMAIL_PATTERN \
	"^(\".+\"|" EMAIL_ATOM "+)@(" EMAIL_LABEL "([.]" EMAIL_LABEL ")*|[[][^][]+[]])$|^[[:space:]]*$"

/* Conditions on the table or the column besides name and type. */
#define IF_PLANNED (1 << 0)		/* the table has a planned start */
#define IF_NOT_PLANNED (1 << 1)
#define IF_SPAN (1 << 2)		/* the table has started_at and ended_at */
#define IF_NOT_NULL (1 << 3)
#define IF_NULLABLE (1 << 4)
#define IF_OTHER (1 << 5)		/* no rule for that type has its name */
#define IF_MEANT (1 << 6)		/* its default is not the empty string */

/* What VoxInvalidRule has. */
#define GUESSED (1 << 8)
#define MINORITY (1 << 9)
#define NO_CHECK (1 << 10)		/* the condition depends on the time or on a
								 * mere habit */

/*
 * In "valid", {} is the column, {0} a zero of its type, {2001-12-31} that day
 * in its type, {1 day} that length in the column's unit.  In "fault" {} is the
 * column's name.
 */
typedef struct ColumnRule
{
	const char *kind;
	VoxSeverity severity;
	int			types;
	const char *names;
	int			flags;
	const char *valid;
	const char *fault;
	const char *advice;
} ColumnRule;

static const ColumnRule column_rules[] = {
	{
		"duration_not_positive", VOX_WARNING, TYPE_NUMBER | TYPE_INTERVAL, DURATIONS, IF_PLANNED,
		"{} > {0}", "{} of zero or less",
		"Find out how long these take and correct them: without a length they overlap nothing and drop out of sums."
	},
	{
		"duration_negative", VOX_WARNING, TYPE_NUMBER | TYPE_INTERVAL, DURATIONS, IF_NOT_PLANNED,
		"{} >= {0}", "a negative {}",
		"Correct these lengths: they subtract from every sum."
	},
	{
		"duration_too_long", VOX_INFO, TYPE_NUMBER | TYPE_INTERVAL, DURATIONS, IF_PLANNED,
		"{} <= {1 day}", "{} of more than a day",
		"See whether the unit was mixed up: that is long for an appointment."
	},
	{
		"duration_too_long", VOX_INFO, TYPE_NUMBER | TYPE_INTERVAL, DURATIONS, IF_NOT_PLANNED | IF_SPAN,
		"{} <= {7 days}", "{} of more than a week",
		"See whether the unit was mixed up or an end was never recorded."
	},
	{
		"date_not_finite", VOX_WARNING, TYPE_DATE | TYPE_MOMENT, OWN_LIFE " " HAPPENED " " PLANNED " " PERHAPS_PLANNED " " BIRTH, 0,
		"isfinite({})", "an infinite {}",
		"Put in the time or NULL: infinity sorts before or after everything and breaks every average."
	},
	{
		"date_in_future", VOX_WARNING, TYPE_DATE | TYPE_MOMENT, OWN_LIFE, NO_CHECK,
		"{} <= now() + '1 day' OR NOT isfinite({})", "{} more than a day in the future",
		"Find out which clock or import wrote these and correct them; have the database fill the column in (DEFAULT now())."
	},
	{
		"date_in_future", VOX_INFO, TYPE_DATE | TYPE_MOMENT, HAPPENED, NO_CHECK,
		"{} <= now() + '1 day' OR NOT isfinite({})", "{} more than a day in the future",
		"See whether that is a plan; if the column says what happened, correct these."
	},
	{
		"date_in_future", VOX_WARNING, TYPE_DATE | TYPE_MOMENT, BIRTH, NO_CHECK,
		"{} <= now() + '1 day' OR NOT isfinite({})", "{} in the future",
		"Correct these: a year with two digits was probably put into the wrong century."
	},
	{
		"date_too_early", VOX_WARNING, TYPE_MOMENT, OWN_LIFE " " HAPPENED " " PLANNED " " PERHAPS_PLANNED, 0,
		"{} >= {1980-01-01} OR NOT isfinite({})", "{} before 1980",
		"Put in the time or NULL: these are zeros of a program (1970-01-01, 0001-01-01), or years that lost a digit."
	},
	{
		"date_too_early", VOX_INFO, TYPE_DATE | TYPE_MOMENT, BIRTH, NO_CHECK,
		"{} >= {1900-01-01} OR NOT isfinite({})", "{} before 1900",
		"See whether the year is right."
	},
	{
		"date_too_late", VOX_INFO, TYPE_DATE | TYPE_MOMENT, PLANNED " " PERHAPS_PLANNED, NO_CHECK,
		"{} <= now() + '1 year' OR NOT isfinite({})", "{} more than a year ahead",
		"See whether the year is right: few plan that far ahead."
	},
	{
		"date_implausible", VOX_INFO, TYPE_DATE | TYPE_MOMENT, "*", IF_OTHER | NO_CHECK,
		"{} >= {1000-01-01} AND ({} < {2200-01-01} OR {} >= {9999-12-30} AND {} < {10000-01-03}) OR NOT isfinite({})",
		"{} before 1000 or after 2200",
		"See whether the year is right: these look mistyped."
	},
	{
		"blank_text", VOX_INFO, TYPE_TEXT, NAME_PARTS, IF_NOT_NULL | IF_MEANT | MINORITY | NO_CHECK,
		"btrim({}, E' \\t\\r\\n') <> ''", "a blank {}",
		"See whether these were forgotten: most rows have one."
	},
	{
		"blank_text", VOX_WARNING, TYPE_TEXT, NAMES " " PHONES " " EMAILS, IF_NOT_NULL | IF_MEANT | IF_OTHER,
		"btrim({}, E' \\t\\r\\n') <> ''", "a blank {}",
		"Find out what belongs there; NOT NULL was meant to make sure of that and lets blanks through."
	},
	{
		"blank_text", VOX_INFO, TYPE_TEXT, NAMES " " PHONES " " EMAILS, IF_NULLABLE | MINORITY | NO_CHECK,
		"btrim({}, E' \\t\\r\\n') <> ''", "a blank {} where others have NULL",
		"Set these to NULL: whoever looks for what is missing looks for NULL."
	},
	{
		"blank_text", VOX_INFO, TYPE_TEXT, "*", IF_NOT_NULL | IF_MEANT | IF_OTHER | MINORITY | NO_CHECK,
		"{} COLLATE \"C\" <> ''", "an empty {}",
		"See whether these were forgotten: most rows have one."
	},
	{
		"no_phone", VOX_WARNING, TYPE_TEXT, PHONES, GUESSED,
		"{} COLLATE \"C\" ~ '" PHONE_PATTERN "'", "{} that is no phone number",
		"Correct these or set them to NULL: they cannot be called, and nobody is told."
	},
	{
		"phone_format", VOX_INFO, TYPE_TEXT, PHONES, MINORITY | NO_CHECK,
		"{} COLLATE \"C\" ~ '" E164_PATTERN "' OR {} COLLATE \"C\" !~ '" PHONE_PATTERN "' OR btrim({}) = ''",
		"{} in another form than the rest, which is E.164 (+15551234567)",
		"Write these with + and country code: a look-up by number does not find them."
	},
	{
		"no_email", VOX_WARNING, TYPE_TEXT, EMAILS, GUESSED,
		"{} COLLATE \"C\" ~ '" EMAIL_PATTERN "'", "{} that is no e-mail address",
		"Correct these or set them to NULL: what is sent there does not arrive."
	},
};

/*
 * Words of a name that say which two moments belong together, the earlier
 * first.  What is started again may have been completed before.
 */
static const struct
{
	const char *start;
	const char *end;
	VoxSeverity severity;
}			spans[] =

{
	{"start", "end", VOX_WARNING},
	{"starts", "ends", VOX_WARNING},
	{"started", "ended", VOX_WARNING},
	{"started", "finished", VOX_INFO},
	{"started", "completed", VOX_INFO},
	{"begin", "end", VOX_WARNING},
	{"begins", "ends", VOX_WARNING},
	{"began", "ended", VOX_WARNING},
	{"from", "until", VOX_WARNING},
	{"from", "to", VOX_WARNING},
	{"from", "till", VOX_WARNING},
	{"opened", "closed", VOX_INFO},
	{"check_in", "check_out", VOX_WARNING},
};

static bool rule_fits(const VoxInvalidTable *table, const ColumnRule *rule, const VoxInvalidColumn *column);
static bool named_elsewhere(const ColumnRule *rule, const VoxInvalidColumn *column);
static char *fill_in(const char *template, const VoxInvalidColumn *column);
static char *literal(const char *what, const VoxInvalidColumn *column);
static VoxInvalidRule *add_rule(VoxInvalidTable *table, const char *kind, VoxSeverity severity, List *columns,
								char *valid, char *fault);
static void add_column_rule(VoxInvalidTable *table, const ColumnRule *rule, const VoxInvalidColumn *column);
static void add_span_rules(VoxInvalidTable *table, const VoxInvalidColumn *column);
static void add_update_rule(VoxInvalidTable *table);
static void add_outcome_rule(VoxInvalidTable *table);

/*
 * The rules (VoxInvalidRule *) that fit a table's columns, without those that
 * a CHECK constraint of the table says already: a valid one is kept anyway,
 * and what is not valid is asked as what it is.  The table is locked, settings
 * pinned.
 */
List *
voxanne_invalid_rules(Relation rel)
{
	VoxInvalidTable table;

	voxanne_invalid_describe(&table, rel);
	table.planned = voxanne_invalid_find_named(&table, PLANNED, TYPE_DATE | TYPE_MOMENT) != NULL;
	table.span = voxanne_invalid_find_named(&table, "started_at", TYPE_MOMENT) != NULL &&
		voxanne_invalid_find_named(&table, "ended_at", TYPE_MOMENT) != NULL;

	for (int i = 0; i < table.ncolumns; i++)
	{
		for (int rule = 0; rule < (int) lengthof(column_rules); rule++)
			if (rule_fits(&table, &column_rules[rule], &table.columns[i]))
				add_column_rule(&table, &column_rules[rule], &table.columns[i]);
		add_span_rules(&table, &table.columns[i]);
	}
	add_update_rule(&table);
	add_outcome_rule(&table);
	return table.rules;
}

static bool
rule_fits(const VoxInvalidTable *table, const ColumnRule *rule, const VoxInvalidColumn *column)
{
	return (rule->types & column->type) != 0 &&
		voxanne_invalid_name_fits(column->name, rule->names) &&
		!((rule->flags & IF_PLANNED) && !table->planned) &&
		!((rule->flags & IF_NOT_PLANNED) && table->planned) &&
		!((rule->flags & IF_SPAN) && !table->span) &&
		!((rule->flags & IF_NOT_NULL) && !column->not_null) &&
		!((rule->flags & IF_NULLABLE) && column->not_null) &&
		!((rule->flags & IF_MEANT) && voxanne_invalid_defaults_to_empty(table->rel, column->attnum)) &&
		!((rule->flags & IF_OTHER) && named_elsewhere(rule, column)) &&
		!(strstr(rule->valid, " day") != NULL && column->unit == 0 && column->type == TYPE_NUMBER);
}

/* Has an earlier rule for these types the column's name? */
static bool
named_elsewhere(const ColumnRule *rule, const VoxInvalidColumn *column)
{
	for (const ColumnRule *other = column_rules; other < rule; other++)
		if ((other->types & rule->types & column->type) && voxanne_invalid_name_fits(column->name, other->names))
			return true;
	return false;
}

/* A template with what is in braces filled in; a pattern's braces, which no blank precedes, stay. */
static char *
fill_in(const char *template, const VoxInvalidColumn *column)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *c = template; *c != '\0'; c++)
	{
		const char *end = *c == '{' ? strchr(c, '}') : NULL;

		if (end == NULL || (end - c > 1 && c > template && c[-1] != ' '))
			appendStringInfoChar(&buf, *c);
		else
		{
			appendStringInfoString(&buf, literal(pnstrdup(c + 1, end - c - 1), column));
			c = end;
		}
	}
	return buf.data;
}

/* What stands in braces: the column itself, a zero, a day, a length of time. */
static char *
literal(const char *what, const VoxInvalidColumn *column)
{
	const char *type = format_type_be(column->base);

	if (*what == '\0')
		return column->ref;
	if (strchr(what, '-') != NULL)
		return column->base == TIMESTAMPTZOID ? psprintf("'%s 00:00:00+00'::%s", what, type) :
			psprintf("'%s'::%s", what, type);
	if (column->type == TYPE_INTERVAL)
		return psprintf("'%s'::interval", what);
	if (strcmp(what, "0") != 0)
		what = psprintf("%.0f", atof(what) * 86400 / column->unit);
	if (column->base == INT2OID || column->base == INT4OID || column->base == INT8OID)
		return pstrdup(what);
	return psprintf("'%s'::%s", what, type);
}

static void
add_column_rule(VoxInvalidTable *table, const ColumnRule *rule, const VoxInvalidColumn *column)
{
	VoxInvalidColumn named = *column;
	char	   *valid = fill_in(rule->valid, column);
	VoxInvalidRule *added;

	if (!(rule->flags & NO_CHECK) && voxanne_invalid_is_check(table->rel, valid))
		return;
	named.ref = unconstify(char *, voxanne_invalid_plain_name(table, column));
	added = add_rule(table, rule->kind, rule->severity, list_make1_int(column->attnum), valid,
					 fill_in(rule->fault, &named));
	added->advice = rule->advice;
	added->guessed = (rule->flags & GUESSED) != 0;
	added->minority = (rule->flags & MINORITY) != 0;
	added->can_be_check = !(rule->flags & NO_CHECK);
}

static VoxInvalidRule *
add_rule(VoxInvalidTable *table, const char *kind, VoxSeverity severity, List *columns, char *valid, char *fault)
{
	VoxInvalidRule *rule = palloc0_object(VoxInvalidRule);

	rule->kind = kind;
	rule->severity = severity;
	rule->columns = columns;
	rule->valid = valid;
	rule->fault = fault;
	table->rules = lappend(table->rules, rule);
	return rule;
}

/* Moments that end before they begin, if this is the column of the beginning. */
static void
add_span_rules(VoxInvalidTable *table, const VoxInvalidColumn *column)
{
	if (!(column->type & (TYPE_DATE | TYPE_MOMENT)))
		return;
	for (int i = 0; i < (int) lengthof(spans); i++)
	{
		char	   *padded = psprintf("_%s_", column->name);
		char	   *word = psprintf("_%s_", spans[i].start);
		char	   *found = strstr(padded, word);
		const VoxInvalidColumn *end;
		VoxInvalidRule *rule;
		char	   *valid;

		if (found == NULL)
			continue;
		found[1] = '\0';
		padded = psprintf("%s%s%s", padded, spans[i].end, found + strlen(word) - 1);
		padded[strlen(padded) - 1] = '\0';
		end = voxanne_invalid_find_one(table, padded + 1, column);
		if (end == NULL)
			continue;

		valid = psprintf("%s <= %s", column->ref, end->ref);
		if (voxanne_invalid_is_check(table->rel, valid))
			continue;
		rule = add_rule(table, "wrong_order", spans[i].severity, list_make2_int(column->attnum, end->attnum), valid,
						psprintf("%s after %s", voxanne_invalid_plain_name(table, column), voxanne_invalid_plain_name(table, end)));
		rule->advice = "Correct these: they end before they begin, so their length is negative.";
		rule->can_be_check = true;
	}
}

/*
 * Updated before created.  An application that sets one of the two itself has
 * another clock than the database and is a little early: hence a minute.
 */
static void
add_update_rule(VoxInvalidTable *table)
{
	const VoxInvalidColumn *created = voxanne_invalid_find_named(table, "created_at inserted_at", TYPE_MOMENT);
	const VoxInvalidColumn *updated = voxanne_invalid_find_named(table, "updated_at modified_at", TYPE_MOMENT);
	VoxInvalidRule *rule;
	char	   *valid;

	if (created == NULL || updated == NULL || created->base != updated->base)
		return;
	valid = psprintf("%s >= %s OR %s + '1 minute'::interval >= %s",
					 updated->ref, created->ref, updated->ref, created->ref);
	if (voxanne_invalid_is_check(table->rel, valid))
		return;
	rule = add_rule(table, "wrong_order", VOX_WARNING, list_make2_int(created->attnum, updated->attnum), valid,
					psprintf("%s more than a minute before %s", voxanne_invalid_plain_name(table, updated), voxanne_invalid_plain_name(table, created)));
	rule->advice = "Find out which of the two is wrong: whoever asks for what changed since a time misses these.";
	rule->can_be_check = true;
}

/*
 * Over before it begins: a day is left for what is done early.  format() and
 * not a cast, which a user may have defined for his enum.
 */
static void
add_outcome_rule(VoxInvalidTable *table)
{
	const VoxInvalidColumn *planned = voxanne_invalid_find_named(table, PLANNED, TYPE_MOMENT);
	const VoxInvalidColumn *status = voxanne_invalid_find_named(table, "status", TYPE_TEXT | TYPE_ENUM);
	VoxInvalidRule *rule;

	if (planned == NULL || status == NULL)
		return;
	rule = add_rule(table, "over_before_start", VOX_WARNING, list_make2_int(status->attnum, planned->attnum),
					psprintf("%s <= now() + '1 day' OR format('%%s', %s) COLLATE \"C\" NOT IN ('completed', 'no_show', 'attended')",
							 planned->ref, status->ref),
					psprintf("a %s that says it is over and %s more than a day ahead",
							 voxanne_invalid_plain_name(table, status), voxanne_invalid_plain_name(table, planned)));
	rule->advice = "Find out whether the time or the status is wrong: these are counted as done.";
}
