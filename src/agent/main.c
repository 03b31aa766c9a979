/*
 * src/agent/main.c
 *		The table of commands.
 */
#include "options.h"
#include "pace.h"
#include "report.h"
#include "sandbox.h"

#include <stdlib.h>
#include <string.h>

static const Command *const commands[] = {
	&verify_backup_command,
	&verify_catalog_command,
	&verify_dump_command,
	&verify_wal_command,
	&fetch_command,
	&post_command,
	&list_command,
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

#ifdef __SANITIZE_ADDRESS__
/* The leak checker traces its own process, which the confinement forbids. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0:allocator_may_return_null=1";
}
#endif

static void
usage(FILE *out)
{
	fputs("voxanne_agent reads backups and talks to the network on behalf of voxanne_ops.\n\n"
		  "Usage:\n", out);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  voxanne_agent %s%s%s [OPTION]...\n        %s\n", commands[i]->name,
				commands[i]->operand != NULL ? " " : "",
				commands[i]->operand != NULL ? commands[i]->operand : "",
				commands[i]->summary);
	fputs("  voxanne_agent --version | --help\n\n"
		  "Options:\n"
		  "  --format text|json       how to answer (default text)\n"
		  "  --level status|verify    verify-...: how deep (default status: presence and sizes;\n"
		  "                           verify: also all contents, pages and WAL)\n"
		  "  --system-identifier N    verify-backup, -catalog, -wal: the cluster that it must be of\n"
		  "  --table SCHEMA.TABLE     verify-dump: must be there with data; may be repeated\n"
		  "  --remembered TEXT        verify-dump: SHA-256, size, time and id that an earlier answer had\n"
		  "  --backup LSN,TIMELINE[,END_LSN[@SECONDS][,ID]]\n"
		  "                           verify-wal: a backup that needs the archive; may be repeated\n"
		  "  --seen-backup ...        verify-wal: the same, besides those that the archive tells of; all\n"
		  "                           but the newest may be older than the archive\n"
		  "  --server-position TIMELINE,LSN\n"
		  "                           verify-wal, -catalog: how far the server has written\n"
		  "  --server-wal DIRECTORY   verify-wal, -catalog: the server's pg_wal\n"
		  "  --wal-segment-size N     verify-wal, -catalog: bytes, where no segment can be read\n"
		  "  --pitr-window SECONDS    verify-wal, -catalog: so far back a restore to any moment is wanted\n"
		  "  --tool pgbackrest|barman|walg\n"
		  "                           verify-catalog: whose list it is\n"
		  "  --program PATH           verify-catalog: the tool's program, an absolute path\n"
		  "  --config PATH            verify-catalog: its configuration file (walg: the directory of NAME)\n"
		  "  --repository DIRECTORY   verify-catalog: read the tool's repository as well\n"
		  "  --timeout MS             verify-catalog: end the program after this (default 60000)\n"
		  "  --within DIRECTORY       verify-...: refuse what lies elsewhere; may be repeated\n"
		  "  --prior DIRECTORY        verify-backup: a backup that an incremental one builds on, or a\n"
		  "                           directory of them; may be repeated\n"
		  "  --jobs N                 verify-...: threads that read, of dumps those in directory format\n"
		  "                           (default: one a processor, at most 4)\n"
		  "  --rate N                 verify-...: read at most N kB a second\n"
		  "  --io-priority WORD       verify-...: idle (default), low or normal: how reading\n"
		  "                           stands against other programs' at the storage\n"
		  "  --progress               verify-...: tell on standard error how far it is\n"
		  "  --parent PID             end when this process, the parent, ends\n\n"
		  "fetch, post and list read a JSON object from standard input: url or url_file, body, content_type,\n"
		  "headers, timeout_ms, connect_timeout_ms, max_bytes, ca_file, allow_http; list also provider, level,\n"
		  "secret_file, region, window_seconds and, of the same object before, previous_id,\n"
		  "previous_finished_at, previous_size_bytes, previous_etag, previous_sha256.\n\n"
		  "Exit status: 0 success or warning, 1 failure, 2 wrong usage, 3 the checks could not run.\n",
		  out);
}

static ExitStatus wrong_usage(const char *fmt,...) __attribute__((format(printf, 1, 2)));

static ExitStatus
wrong_usage(const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	fputs("voxanne_agent: ", stderr);
	vfprintf(stderr, fmt, args);
	fputs("\nTry \"voxanne_agent --help\".\n", stderr);
	va_end(args);
	return EXIT_USAGE;
}

static bool
takes_option(const Command *command, const char *name)
{
	if (strcmp(name, "format") == 0 || strcmp(name, "parent") == 0)
		return true;
	for (const char *const *option = command->options; *option != NULL; option++)
	{
		if (strcmp(*option, name) == 0)
			return true;
	}
	return false;
}

/* Parse what follows the command's name. */
static ExitStatus
parse_options(const Command *command, int argc, char **argv, Options *options)
{
	const struct option *described = describe_options();
	int			which;
	int			index = 0;

	opterr = 0;
	while ((which = getopt_long(argc, argv, "+:", described, &index)) != -1 || optind < argc)
	{
		if (which == -1)
		{
			if (command->operand == NULL || options->path != NULL)
				return wrong_usage("unexpected argument \"%s\"", argv[optind]);
			options->path = argv[optind++];
		}
		else if (which == ':')
			return wrong_usage("option \"%s\" needs a value", argv[optind - 1]);
		else if (which == '?')
			return wrong_usage("unknown option \"%s\"", argv[optind - 1]);
		else if (which == FOUND_HELP)
		{
			usage(stdout);
			exit(EXIT_OK);
		}
		else if (!takes_option(command, described[index].name))
			return wrong_usage("%s takes no option \"--%s\"", command->name, described[index].name);
		else if (!store_option(options, index, optarg))
			return wrong_usage("value \"%s\" is not allowed for option \"--%s\": it must be %s", optarg,
							   described[index].name, wanted_value(index));
	}
	if (command->operand != NULL && options->path == NULL)
		return wrong_usage("%s needs %s", command->name, command->operand);
	return EXIT_OK;
}

int
main(int argc, char **argv)
{
	Options		options = {.level = "status"};
	const Command *command = NULL;
	ExitStatus	status;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
	{
		usage(stdout);
		return EXIT_OK;
	}
	if (argc > 1 && strcmp(argv[1], "--version") == 0)
	{
		printf("voxanne_agent %s (protocol %d)\n", VOXANNE_VERSION, AGENT_PROTOCOL);
		return EXIT_OK;
	}
	for (size_t i = 0; argc > 1 && i < N_COMMANDS; i++)
	{
		if (strcmp(argv[1], commands[i]->name) == 0)
			command = commands[i];
	}
	if (command == NULL)
		return argc > 1 ? wrong_usage("unknown command \"%s\"", argv[1]) : wrong_usage("a command is missing");

	status = parse_options(command, argc - 1, argv + 1, &options);
	if (status != EXIT_OK)
		return status;
	if (!sandbox_prepare(options.parent))
		return EXIT_NOT_RUN;
	pace_lower(options.io_priority);
	if (takes_option(command, "level"))
		report_level(options.level);
	return command->run(&options);
}
