/*
 * t/modules/misbehave/misbehave.c
 *		What a subverted voxanne_agent would try; preloaded into it by t/agent_sandbox.pl.
 *
 * Takes the place of the library function with which the agent ends the entry
 * of its sandbox, lets it, tries everything, prints "name: outcome" for each
 * and ends the process.  With MISBEHAVE=start it does the same before the agent
 * has begun, which shows that the attempts work where nothing forbids them;
 * with MISBEHAVE=i386 and x32 the one attempt that ends the process.  Nothing
 * that succeeds does harm to those who are alive.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "misbehave.h"

/* Printed without stdio, which may want to allocate or look at the terminal. */
void
outcome(const char *name, long result)
{
	char		line[128];
	int			error = errno;
	int			len = snprintf(line, sizeof(line), "%s: %s\n", name,
							   result >= 0 ? "done" : strerrorname_np(error));

	if (write(STDOUT_FILENO, line, len) < 0)
		_exit(99);
}

/* A file that the test names */
char *
named(const char *variable)
{
	char	   *name = getenv(variable);

	return name == NULL ? "" : name;
}

long
open_and_read(const char *name)
{
	char		byte;
	int			fd = open(name, O_RDONLY);
	long		result = fd < 0 ? -1 : read(fd, &byte, 1);

	if (fd >= 0)
		close(fd);
	return result;
}

/* What the kernel ends a process for. */
static void
call_otherwise(const char *how)
{
#ifdef __x86_64__
	long		result = -ENOSYS;

	if (strcmp(how, "i386") == 0)
		__asm__ volatile ("int $0x80":"=a" (result):"a"(20L):"memory", "r8", "r9", "r10", "r11");

	else
		result = syscall(0x40000000 + SYS_getpid);
	outcome(how, result > 0 ? 0 : -1);
#endif
	_exit(42);
}

static void
misbehave(void)
{
	read_files();
	change_files();
	use_network();
	make_processes();
	touch_others();
	share();
	use_memory();
	become_other();
	_exit(42);
}

/* The agent's last step into its sandbox is a prctl. */
__attribute__((visibility("default")))
int
prctl(int option,...)
{
	unsigned long arguments[4];
	const char *when = getenv("MISBEHAVE");
	va_list		list;
	long		result;

	va_start(list, option);
	for (int i = 0; i < 4; i++)
		arguments[i] = va_arg(list, unsigned long);
	va_end(list);
	result = syscall(SYS_prctl, option, arguments[0], arguments[1], arguments[2], arguments[3]);
	if (option == PR_SET_SECCOMP && when != NULL)
	{
		if (strcmp(when, "late") == 0)
			misbehave();
		call_otherwise(when);
	}
	return (int) result;
}

static void
__attribute__((constructor))
start(void)
{
	const char *when = getenv("MISBEHAVE");

	if (when != NULL && strcmp(when, "start") == 0)
		misbehave();
}
