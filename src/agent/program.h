/*
 * src/agent/program.h
 *		Running a program of somebody else.
 */
#ifndef VOXANNE_AGENT_PROGRAM_H
#define VOXANNE_AGENT_PROGRAM_H

#include "report.h"

/* What a run printed; the texts end with a zero byte that does not count */
typedef struct ProgramOutput
{
	char	   *text;			/* on standard output */
	size_t		len;
	char	   *errors;			/* the end of what it printed on standard
								 * error */
	size_t		errors_len;
	int			exit_status;
} ProgramOutput;

extern int64_t monotonic_ms(void);
extern bool run_program(Report *report, const char *const *argv, int64_t deadline, ProgramOutput *output);
extern char *last_words(const char *text, size_t len);
extern char *first_words(const char *text);

#endif							/* VOXANNE_AGENT_PROGRAM_H */
