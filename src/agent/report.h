/*
 * src/agent/report.h
 *		The one document that a run prints, as JSON or as text.
 */
#ifndef VOXANNE_AGENT_REPORT_H
#define VOXANNE_AGENT_REPORT_H

#include "json.h"
#include "sandbox.h"

typedef enum CheckResult
{
	CHECK_PASSED,
	CHECK_SKIPPED,
	CHECK_WARNING,
	CHECK_FAILED
} CheckResult;

typedef struct Item
{
	char	   *path;
	char	   *problem;
} Item;

typedef struct Check
{
	const char *name;
	CheckResult result;
	char	   *detail;			/* one sentence */
	Item		items[MAX_ITEMS];	/* those that sort first, so that two runs
									 * compare */
	int			n_items;
	uint64_t	n_problems;		/* all of them */
} Check;

#define MAX_CHECKS 40

/*
 * What a run found.  "members" and "summary" print what only this command has,
 * from "subject".
 */
typedef struct Report
{
	const char *command;
	const char *error_code;		/* not NULL: result "error" */
	char	   *error_message;
	char	   *error_hint;
	bool		failed;			/* result "failure" even without a failed
								 * check */
	bool		unproven;		/* some contents could be compared with
								 * nothing */
	Check		checks[MAX_CHECKS];
	int			n_checks;
	Sandbox		sandbox;
	void		(*members) (JsonWriter *w, const void *subject);
	void		(*summary) (FILE *out, const void *subject);
	const void *subject;
} Report;

extern ExitStatus report_error(Report *report, const char *code, char *message, const char *hint);
extern Check *report_check(Report *report, const char *name);
extern void check_set(Check *check, CheckResult result, const char *fmt,...) __attribute__((format(printf, 3, 4)));
extern void check_problem(Check *check, const char *path, const char *fmt,...) __attribute__((format(printf, 3, 4)));
extern void report_level(const char *level);
extern void check_conclude(Check *check, const char *passed, const char *one, const char *many, const char *failed);
extern bool report_failed(const Report *report);
extern void report_proof(Report *report);
extern ExitStatus report_print(const Report *report, bool json);
extern char *count_of(uint64_t count, const char *one, const char *many);
extern char *iso_time(int64_t when);
extern char *format_lsn(uint64_t lsn);

#endif							/* VOXANNE_AGENT_REPORT_H */
