/*
 * src/child/agent.c
 *		Asking voxanne_agent, and understanding its answer.
 *
 * Its answer is a stranger's text as far as the server is concerned: it may
 * have been printed by another version, by a program that only has the name,
 * or by one that a damaged backup has led astray.  Nothing here looks at a
 * catalog, so that it works in a worker without a database.
 */
#include "postgres.h"

#include "child/child.h"
#include "core/settings.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

/* Generous: 20 paths of 4 kB for each check, or a body of some MB with every byte escaped */
#define MAX_ANSWER ((Size) 64 * 1024 * 1024)

#define VERSION_DEADLINE_MS 10000
#define USAGE_EXIT_CODE 2

void		(*voxanne_agent_heard) (const char *errors) = NULL;

static void run_agent(const char *const *arguments, int count, const char *purpose,
					  const char *input, int deadline_ms, VoxChildResult *result);
static void understand(const VoxChildResult *result, VoxAgentAnswer *answer);
static void set_problem(VoxAgentAnswer *answer, const char *problem, char *detail);
static char *to_server(const StringInfoData *text);
static Jsonb *parse_json(char *text);
static bool protocol_matches(Jsonb *document);
static char *last_words(const VoxChildResult *result);

/* How a run that gave no exit code is reported */
static const struct
{
	VoxChildEnd end;
	const char *problem;
}			problems[] = {
	{VOX_CHILD_SIGNALED, "verifier_error"},
	{VOX_CHILD_TIMED_OUT, "verifier_timeout"},
	{VOX_CHILD_ABANDONED, "verifier_timeout"},
	{VOX_CHILD_BUSY, "verifier_busy"},
	{VOX_CHILD_NOT_STARTED, "verifier_error"},
	{VOX_CHILD_OVERFLOWED, "verifier_error"},
};

/* Absolute path of the agent, palloc'd. */
char *
voxanne_agent_program(void)
{
	char		path[MAXPGPATH];

	if (voxanne_agent_path != NULL && voxanne_agent_path[0] != '\0')
		return pstrdup(voxanne_agent_path);
	strlcpy(path, my_exec_path, sizeof(path));
	get_parent_directory(path);
	return psprintf("%s/voxanne_agent", path);
}

/*
 * Run the agent with "arguments" (the command first, NULL-terminated) and
 * "input" on its standard input.  Fills "answer", in the caller's memory
 * context; ERROR or FATAL as voxanne_child_run().
 */
void
voxanne_agent_call(const char *const *arguments, const char *purpose,
				   const char *input, int deadline_ms, VoxAgentAnswer *answer)
{
	VoxChildResult result;
	const char **all;
	char		parent[16];
	int			count = 0;

	while (arguments[count] != NULL)
		count++;
	snprintf(parent, sizeof(parent), "%d", (int) getpid());
	all = (const char **) palloc((count + 4) * sizeof(char *));
	memcpy(all, arguments, count * sizeof(char *));
	all[count++] = "--format";
	all[count++] = "json";
	all[count++] = "--parent";
	all[count++] = parent;

	run_agent(all, count, purpose, input, deadline_ms, &result);
	pfree(all);
	memset(answer, 0, sizeof(*answer));
	understand(&result, answer);
	pfree(result.output.data);
	pfree(result.errors.data);
}

/*
 * Version of the installed agent, palloc'd; else NULL and, if asked, a
 * sentence that says why.
 */
char *
voxanne_agent_version(char **reason)
{
	static const char name[] = "voxanne_agent ";
	const char *arguments[] = {"--version"};
	VoxChildResult result;
	char	   *version;

	run_agent(arguments, 1, "version", NULL, VERSION_DEADLINE_MS, &result);
	if (result.end == VOX_CHILD_EXITED && result.exit_code == 0 &&
		strncmp(result.output.data, name, sizeof(name) - 1) == 0)
	{
		version = to_server(&result.output) + sizeof(name) - 1;
		return pnstrdup(version, strcspn(version, " \n"));
	}
	if (reason != NULL)
		*reason = result.error != NULL ? result.error :
			psprintf("Program \"%s\" does not answer as voxanne_agent does.", voxanne_agent_program());
	return NULL;
}

static void
run_agent(const char *const *arguments, int count, const char *purpose,
		  const char *input, int deadline_ms, VoxChildResult *result)
{
	const char **argv = (const char **) palloc((count + 2) * sizeof(char *));
	VoxChildRequest request = {
		.argv = argv,
		.purpose = purpose,
		.input = input,
		.deadline_ms = deadline_ms,
		.max_output = MAX_ANSWER,
		.heard = voxanne_agent_heard,
	};

	argv[0] = voxanne_agent_program();
	memcpy(argv + 1, arguments, count * sizeof(char *));
	argv[count + 1] = NULL;
	voxanne_child_run(&request, result);
	pfree(argv);
}

/* The document, or what to report instead. */
static void
understand(const VoxChildResult *result, VoxAgentAnswer *answer)
{
	char	   *text;

	for (int i = 0; i < (int) lengthof(problems); i++)
	{
		if (result->end == problems[i].end)
		{
			set_problem(answer, problems[i].problem,
						psprintf("%s%s", result->error, last_words(result)));
			return;
		}
	}
	if (result->exit_code == USAGE_EXIT_CODE)
	{
		set_problem(answer, "version_mismatch",
					psprintf("voxanne_agent does not know what this library asks of it, so they are of different versions; "
							 "reinstall both and restart the server.%s", last_words(result)));
		return;
	}

	text = to_server(&result->output);
	answer->document = text == NULL ? NULL : parse_json(text);

	if (answer->document == NULL)
		set_problem(answer, "verifier_error",
					psprintf("voxanne_agent ended with exit status %d and without an answer.%s",
							 result->exit_code, last_words(result)));
	else if (!protocol_matches(answer->document))
	{
		answer->document = NULL;
		set_problem(answer, "version_mismatch",
					psprintf("voxanne_agent does not speak protocol %d of this library, so they are of different versions; "
							 "reinstall both and restart the server.", VOX_AGENT_PROTOCOL));
	}
}

static void
set_problem(VoxAgentAnswer *answer, const char *problem, char *detail)
{
	answer->problem = problem;
	answer->detail = detail;
}

/*
 * Text of the agent, which is UTF-8, in the server's encoding; NULL if it is
 * not valid.  Without a catalog nothing can be converted, so where the
 * encoding is another one, what is beyond ASCII becomes the text \uXXXX.  Where
 * there is none it stays: the database takes any bytes, or it is a worker
 * without a database, whose results are converted when they are recorded.
 */
static char *
to_server(const StringInfoData *text)
{
	StringInfoData result;

	if (memchr(text->data, '\0', text->len) != NULL ||
		!pg_verify_mbstr(PG_UTF8, text->data, text->len, true))
		return NULL;
	if (GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII)
		return pstrdup(text->data);

	initStringInfo(&result);
	for (const unsigned char *s = (const unsigned char *) text->data; *s != '\0'; s += pg_encoding_mblen(PG_UTF8, (const char *) s))
	{
		pg_wchar	c = utf8_to_unicode(s);

		if (c == '\\')
		{
			/*
			 * escaped itself if it begins what is beyond ASCII; of a pair,
			 * both pass
			 */
			bool		beyond = s[1] == 'u' && strncmp((const char *) s + 2, "007f", 4) > 0;

			appendStringInfoString(&result, beyond ? "\\\\" : "\\");
			if (s[1] == '\\')
				appendStringInfoChar(&result, (char) *++s);
		}
		else if (c < 0x80)
			appendStringInfoChar(&result, (char) c);
		else if (c < 0x10000)
			appendStringInfo(&result, "\\\\u%04x", c);
		else
			appendStringInfo(&result, "\\\\u%04x\\\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
							 0xdc00 + ((c - 0x10000) & 0x3ff));
	}
	return result.data;
}

/*
 * Parse a JSON object; NULL if it is none.  The server's parser may raise an
 * error for bad text.  To catch that without a subtransaction is safe because
 * nothing but memory was touched; whatever is not about the text goes on.
 */
static Jsonb *
parse_json(char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	Jsonb	   *volatile document = NULL;

	PG_TRY();
	{
		document = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	}
	PG_CATCH();
	{
		int			category = ERRCODE_TO_CATEGORY(geterrcode());

		if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
	}
	PG_END_TRY();

	return document != NULL && JB_ROOT_IS_OBJECT(document) ? document : NULL;
}

static bool
protocol_matches(Jsonb *document)
{
	JsonbValue	value;

	return getKeyJsonValueFromContainer(&document->root, "protocol", strlen("protocol"), &value) != NULL &&
		value.type == jbvNumeric &&
		DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(value.val.numeric),
										 NumericGetDatum(int64_to_numeric(VOX_AGENT_PROTOCOL))));
}

/* " It said: ..." with the last line of standard error, in plain ASCII; "" without one. */
static char *
last_words(const VoxChildResult *result)
{
	char	   *words = pnstrdup(result->errors.data, strnlen(result->errors.data, result->errors.len));
	char	   *line;

	for (char *c = words; *c != '\0'; c++)
	{
		if (*c != '\n' && (*c < ' ' || *c > '~'))
			*c = '?';
	}
	for (int len = strlen(words); len > 0 && words[len - 1] == '\n'; len--)
		words[len - 1] = '\0';
	line = strrchr(words, '\n');
	line = line == NULL ? words : line + 1;

	return *line == '\0' ? line : psprintf(" It said: %s", line);
}
