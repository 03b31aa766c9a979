/*
 * src/agent/program.c
 *		Running a program of somebody else.
 *
 * It is not confined, as it has to reach its repository, its configuration and
 * the network; so it runs before the sandbox is entered and what it prints is
 * only collected here, to be parsed inside.  No shell: an argument list and an
 * environment of our own.  fork() and not posix_spawn(), because the program is
 * to die with us: this process has one thread and no memory worth a word.
 *
 * The program gets a process group of its own, so that what it has started ends
 * with it, and ends at once when we are told to.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A list of ten thousand backups of pgBackRest has 8 MB. */
#define MAX_OUTPUT ((size_t) 16 << 20)
#define MAX_ERRORS ((size_t) 4096)

#define READ_SIZE 65536

/* From SIGTERM to SIGKILL, and how often to look whether it has ended where nothing tells */
#define GRACE_MS 200
#define POLL_MS 20

/* The group to end when we are ended, 0: none */
static volatile sig_atomic_t program_group = 0;

int64_t
monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* We are to end: so is the program. */
static void
end_both(int signo)
{
	if (program_group > 0)
		(void) kill(-(pid_t) program_group, SIGKILL);
	_exit(128 + signo);
}

static void
handle_ends(void (*handler) (int))
{
	static const int ends[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		(void) signal(ends[i], handler);
}

/* The child: becomes the program, or writes its errno to "failed" and exits. */
static void
become(const char *const *argv, int out, int err, int failed, pid_t parent)
{
	static char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", NULL};
	int			in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int			error;

	(void) setpgid(0, 0);
	(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent && in >= 0 && dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
		dup2(err, STDERR_FILENO) >= 0)
	{
		handle_ends(SIG_DFL);
		(void) signal(SIGPIPE, SIG_DFL);
		(void) execve(argv[0], (char *const *) argv, environment);
	}
	error = errno;
	if (write(failed, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

/* A pipe whose ends the program does not inherit; false with errno set. */
static bool
open_pipe(int *fds)
{
	return pipe2(fds, O_CLOEXEC) == 0 && fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0;
}

/* Start it; its pid, or -1 with errno set.  "fds": where its two outputs can be read. */
static pid_t
start_program(const char *const *argv, int fds[2])
{
	int			out[2];
	int			err[2];
	int			failed[2];
	int			error = 0;
	pid_t		parent = getpid();
	pid_t		pid;

	if (!open_pipe(out) || !open_pipe(err) || pipe2(failed, O_CLOEXEC) != 0)
		return -1;
	pid = fork();
	if (pid == 0)
		become(argv, out[1], err[1], failed[1], parent);
	if (pid < 0)
		return -1;
	(void) setpgid(pid, pid);
	program_group = pid;
	close(out[1]);
	close(err[1]);
	close(failed[1]);
	/* closed by a successful exec */
	if (read(failed[0], &error, sizeof(error)) != (ssize_t) sizeof(error))
		error = 0;
	close(failed[0]);
	fds[0] = out[0];
	fds[1] = err[0];
	if (error == 0)
		return pid;
	(void) waitpid(pid, NULL, 0);
	program_group = 0;
	errno = error;
	return -1;
}

/*
 * Take what can be read from a pipe, and close it at its end.  Of more than
 * "most" the end is kept if "keep_end", else false.
 */
static bool
take(int *fd, char **text, size_t *len, size_t most, bool keep_end)
{
	char		buffer[READ_SIZE];
	ssize_t		got = read(*fd, buffer, sizeof(buffer));
	size_t		excess;

	if (got <= 0)
	{
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
		{
			close(*fd);
			*fd = -1;
		}
		return true;
	}
	*text = xrealloc(*text, *len + (size_t) got + 1);
	memcpy(*text + *len, buffer, (size_t) got);
	*len += (size_t) got;
	excess = *len > most ? *len - most : 0;
	if (excess > 0)
	{
		memmove(*text, *text + excess, most);
		*len = most;
	}
	(*text)[*len] = '\0';
	return excess == 0 || keep_end;
}

/*
 * Read its outputs until it has ended; NULL, or why it was not let go on.  What
 * it has left running is ended with it, and may hold the pipes open all the
 * same, which is not waited for.
 */
static const char *
collect(pid_t pid, int fds[2], int64_t deadline, ProgramOutput *output, int *status)
{
	bool		ended = false;

	for (;;)
	{
		struct pollfd waits[] = {{.fd = fds[0],.events = POLLIN}, {.fd = fds[1],.events = POLLIN}};
		int64_t		left = deadline - monotonic_ms();
		int			ready;

		if (left <= 0)
			return ended ? NULL : "timeout";
		ready = poll(waits, 2, ended ? 0 : left < POLL_MS ? (int) left : POLL_MS);
		if (fds[0] >= 0 && waits[0].revents != 0 && !take(&fds[0], &output->text, &output->len, MAX_OUTPUT, false))
			return "output";
		if (fds[1] >= 0 && waits[1].revents != 0)
			(void) take(&fds[1], &output->errors, &output->errors_len, MAX_ERRORS, true);
		if (ended && (ready <= 0 || (fds[0] < 0 && fds[1] < 0)))
			return NULL;
		if (!ended && waitpid(pid, status, WNOHANG) == pid)
		{
			ended = true;
			(void) kill(-pid, SIGKILL); /* what it has left running */
		}
	}
}

/* End it and what it has started; false if it is still there. */
static bool
end_program(pid_t pid)
{
	int64_t		until = monotonic_ms() + GRACE_MS;

	if (kill(-pid, SIGTERM) != 0)
		return true;			/* it had ended, and all with it */
	for (int i = 0; i < 2; i++)
	{
		while (monotonic_ms() < until)
		{
			if (waitpid(pid, NULL, WNOHANG) == pid)
			{
				(void) kill(-pid, SIGKILL);
				return true;
			}
			(void) poll(NULL, 0, POLL_MS);
		}
		(void) kill(-pid, SIGKILL);
		until = monotonic_ms() + GRACE_MS;
	}
	return waitpid(pid, NULL, WNOHANG) == pid;
}

/*
 * Run argv[0], an absolute path, until "deadline" of monotonic_ms().  True if
 * it ended by itself, with whatever status; else the report's error is set.
 */
bool
run_program(Report *report, const char *const *argv, int64_t deadline, ProgramOutput *output)
{
	int			fds[2] = {-1, -1};
	int			status = 0;
	const char *problem;
	bool		gone = true;
	pid_t		pid;

	memset(output, 0, sizeof(*output));
	output->text = xstrdup("");
	output->errors = xstrdup("");
	handle_ends(end_both);
	pid = start_program(argv, fds);
	if (pid < 0)
	{
		handle_ends(SIG_DFL);
		report_error(report, "program_not_started", format("Program \"%s\" could not be started: %s.", argv[0], describe_errno(errno)),
					 "See whether it is there, and whether the operating system user of the server may execute it.");
		return false;
	}
	problem = collect(pid, fds, deadline, output, &status);
	if (problem != NULL)
		gone = end_program(pid);
	program_group = 0;
	handle_ends(SIG_DFL);
	for (int i = 0; i < 2; i++)
	{
		if (fds[i] >= 0)
			close(fds[i]);
	}
	if (problem == NULL && WIFEXITED(status))
		output->exit_status = WEXITSTATUS(status);
	else if (problem == NULL)
		report_error(report, "program_failed", format("Program \"%s\" was ended by signal %d.", argv[0], WTERMSIG(status)), NULL);
	else if (strcmp(problem, "timeout") == 0)
		report_error(report, "program_timeout", format("Program \"%s\" did not end in time and was ended%s.", argv[0],
													   gone ? "" : ", which did not help either"), NULL);
	else
		report_error(report, "program_output", format("Program \"%s\" printed more than %zu MB and was ended.", argv[0], MAX_OUTPUT >> 20), NULL);
	return report->error_code == NULL;
}

/* What a program said, in printable ASCII and cut after some hundred characters. */
static char *
printable(const char *text, size_t len)
{
	char	   *line = format("%.*s", (int) (len > 300 ? 300 : len), text);

	for (char *at = line; *at != '\0'; at++)
	{
		if (*at < ' ' || *at > '~')
			*at = '?';
	}
	return line;
}

/* The last line of a text that is not empty, so; "" for none. */
char *
last_words(const char *text, size_t len)
{
	size_t		start;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
		len--;
	for (start = len; start > 0 && text[start - 1] != '\n'; start--)
		;
	return printable(text + start, len - start);
}

/* The first line of a message that is not empty, so; what comes after it leads elsewhere ("See log file for more details."). */
char *
first_words(const char *text)
{
	text += strspn(text, "\r\n ");
	return printable(text, strcspn(text, "\r\n"));
}
