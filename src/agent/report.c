/*
 * src/agent/report.c
 *		The one document that a run prints.
 *
 * Everything that a command finds goes through here, so that JSON and text
 * say the same and a run never prints two documents or half of one.
 */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the command was asked for, NULL if it has no levels */
static const char *asked_level = NULL;

static const char *const result_names[] = {"passed", "skipped", "warning", "failed"};

/*
 * The checks could not run.  "code" is for programs, "message" a sentence,
 * "hint" a sentence or NULL.  Returns the exit status for it.
 */
ExitStatus
report_error(Report *report, const char *code, char *message, const char *hint)
{
	if (report->error_code == NULL)
	{
		report->error_code = code;
		report->error_message = message;
		report->error_hint = hint == NULL ? NULL : xstrdup(hint);
	}
	return EXIT_NOT_RUN;
}

/* Begin a check; until somebody says otherwise it has passed. */
Check *
report_check(Report *report, const char *name)
{
	Check	   *check;

	if (report->n_checks == MAX_CHECKS)
		abort();
	check = &report->checks[report->n_checks++];
	memset(check, 0, sizeof(*check));
	check->name = name;
	return check;
}

/* State a check's result and its one sentence. */
void
check_set(Check *check, CheckResult result, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	check->result = result;
	free(check->detail);
	check->detail = vformat(fmt, args);
	va_end(args);
}

/*
 * One thing that fails the check.  The MAX_ITEMS that sort first by path are
 * kept, the others counted.
 */
void
check_problem(Check *check, const char *path, const char *fmt,...)
{
	va_list		args;
	int			pos = check->n_items;

	check->result = CHECK_FAILED;
	check->n_problems++;
	while (pos > 0 && strcmp(path, check->items[pos - 1].path) < 0)
		pos--;
	if (pos == MAX_ITEMS)
		return;
	if (check->n_items == MAX_ITEMS)
	{
		check->n_items--;
		free(check->items[check->n_items].path);
		free(check->items[check->n_items].problem);
	}
	memmove(&check->items[pos + 1], &check->items[pos],
			(size_t) (check->n_items - pos) * sizeof(Item));
	check->n_items++;
	check->items[pos].path = xstrdup(path);
	va_start(args, fmt);
	check->items[pos].problem = vformat(fmt, args);
	va_end(args);
}

/* The sentence of a check that check_problem() may have failed. */
void
check_conclude(Check *check, const char *passed, const char *one, const char *many, const char *failed)
{
	if (check->n_problems == 0)
		check_set(check, CHECK_PASSED, "%s", passed);
	else
		check_set(check, CHECK_FAILED, "%s %s", count_of(check->n_problems, one, many), failed);
}

/* "1 file", "2 files" */
char *
count_of(uint64_t count, const char *one, const char *many)
{
	return format("%" PRIu64 " %s", count, count == 1 ? one : many);
}

/* "YYYY-MM-DDTHH:MM:SSZ" of seconds since 1970, or NULL */
char *
iso_time(int64_t when)
{
	time_t		seconds = (time_t) when;
	struct tm	tm;
	char		str[64];

	if (gmtime_r(&seconds, &tm) == NULL || strftime(str, sizeof(str), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return NULL;
	return xstrdup(str);
}

char *
format_lsn(uint64_t lsn)
{
	return format("%X/%X", (unsigned int) (lsn >> 32), (unsigned int) lsn);
}

/* State the level that the run was asked for; it is part of the document. */
void
report_level(const char *level)
{
	asked_level = level;
}

/* When a run ended and at which level, so that its document stands for itself elsewhere. */
static void
print_circumstances(JsonWriter *w)
{
	char	   *now = iso_time((int64_t) time(NULL));

	if (asked_level != NULL)
		json_text(w, "level", asked_level);
	json_text(w, "at", now);
	free(now);
}

/* Has any check failed so far? */
bool
report_failed(const Report *report)
{
	for (int i = 0; i < report->n_checks; i++)
	{
		if (report->checks[i].result == CHECK_FAILED)
			return true;
	}
	return report->failed;
}

/* The checks that compare contents.  Where they say that there was nothing to compare with, that files are there is all that is shown. */
void
report_proof(Report *report)
{
	static const char *const comparing[] = {"file_checksums", "segments_unread"};

	for (int i = 0; i < report->n_checks; i++)
	{
		for (size_t j = 0; j < sizeof(comparing) / sizeof(comparing[0]); j++)
			report->unproven |= report->checks[i].result == CHECK_SKIPPED && strcmp(report->checks[i].name, comparing[j]) == 0;
	}
}

/* The worst of all checks, in the words of the protocol. */
static const char *
result_of(const Report *report, ExitStatus *status)
{
	bool		warned = false;
	bool		failed = report->failed;

	*status = EXIT_NOT_RUN;
	if (report->error_code != NULL)
		return "error";
	for (int i = 0; i < report->n_checks; i++)
	{
		failed |= report->checks[i].result == CHECK_FAILED;
		warned |= report->checks[i].result == CHECK_WARNING;
	}
	*status = failed ? EXIT_FAILED : EXIT_OK;
	return failed ? "failure" : warned ? "warning" : "success";
}

static void
print_check_json(JsonWriter *w, const Check *check)
{
	json_open(w, NULL, '{');
	json_text(w, "name", check->name);
	json_text(w, "result", result_names[check->result]);
	json_text(w, "detail", check->detail);
	json_open(w, "items", '[');
	for (int i = 0; i < check->n_items; i++)
	{
		json_open(w, NULL, '{');
		json_text(w, "path", check->items[i].path);
		json_text(w, "problem", check->items[i].problem);
		json_close(w, '}');
	}
	json_close(w, ']');
	json_integer(w, "more_items", (int64_t) (check->n_problems - (uint64_t) check->n_items));
	json_close(w, '}');
}

static void
print_json(const Report *report, const char *result)
{
	JsonWriter	w = {stdout, true};

	json_open(&w, NULL, '{');
	json_integer(&w, "protocol", AGENT_PROTOCOL);
	json_text(&w, "version", VOXANNE_VERSION);
	json_text(&w, "command", report->command);
	json_text(&w, "result", result);
	print_circumstances(&w);
	if (report->unproven)
		json_text(&w, "proof", "present");
	if (report->error_code != NULL)
	{
		json_open(&w, "error", '{');
		json_text(&w, "code", report->error_code);
		json_text(&w, "message", report->error_message);
		json_text(&w, "hint", report->error_hint);
		json_close(&w, '}');
	}
	if (report->n_checks > 0)
	{
		json_open(&w, "checks", '[');
		for (int i = 0; i < report->n_checks; i++)
			print_check_json(&w, &report->checks[i]);
		json_close(&w, ']');
	}
	if (report->members != NULL)
		report->members(&w, report->subject);
	json_open(&w, "sandbox", '{');
	json_integer(&w, "landlock", report->sandbox.landlock);
	json_boolean(&w, "seccomp", report->sandbox.seccomp);
	json_close(&w, '}');
	json_close(&w, '}');
	putchar('\n');
}

/* A text for a terminal: no byte of a stranger's file name can move the cursor. */
static void
print_plain(const char *str)
{
	for (; *str != '\0'; str++)
	{
		unsigned char c = (unsigned char) *str;

		if (c < 0x20 || c == 0x7f || (c == 0xc2 && ((unsigned char) str[1] & 0xe0) == 0x80))
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

/* What the kernel lacked, if anything. */
static void
print_lack_of_sandbox(const Sandbox *sandbox)
{
	const char *lacking = sandbox->landlock == 0 && !sandbox->seccomp ? "neither Landlock nor seccomp" :
		sandbox->landlock == 0 ? "no Landlock" : !sandbox->seccomp ? "no seccomp" : NULL;

	if (sandbox->entered && lacking != NULL)
		printf("note: this kernel offers %s, so the run was confined less than it could be\n", lacking);
}

static void
print_text(const Report *report, const char *result)
{
	printf("%s: %s\n", report->command, result);
	print_lack_of_sandbox(&report->sandbox);
	if (report->error_code != NULL)
	{
		print_plain(report->error_message);
		putchar('\n');
		if (report->error_hint != NULL)
			printf("%s\n", report->error_hint);
	}
	if (report->summary != NULL)
		report->summary(stdout, report->subject);
	for (int i = 0; i < report->n_checks; i++)
	{
		const Check *check = &report->checks[i];
		uint64_t	more = check->n_problems - (uint64_t) check->n_items;

		printf("%-7s %s: ", result_names[check->result], check->name);
		print_plain(check->detail);
		putchar('\n');
		for (int j = 0; j < check->n_items; j++)
		{
			printf("          ");
			print_plain(check->items[j].path);
			printf(": ");
			print_plain(check->items[j].problem);
			putchar('\n');
		}
		if (more > 0)
			printf("          and %" PRIu64 " more\n", more);
	}
}

/*
 * Print the document; the exit status that belongs to it.  A standard output
 * that cannot be written is a run that did not happen.
 */
ExitStatus
report_print(const Report *report, bool json)
{
	ExitStatus	status;
	const char *result = result_of(report, &status);

	if (json)
		print_json(report, result);
	else
		print_text(report, result);
	if (fflush(stdout) != 0 || ferror(stdout))
	{
		fprintf(stderr, "voxanne_agent: could not write standard output\n");
		return EXIT_NOT_RUN;
	}
	return status;
}
