/*
 * t/modules/misbehave/old_kernel.c
 *		Runs a program as on a kernel that lacks Landlock, seccomp or both.
 *
 *	old_kernel [landlock] [seccomp] -- PROGRAM [ARGUMENT]...
 *
 * What is named answers as it does where it was not built in.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NUMBER offsetof(struct seccomp_data, nr)
#define OPTION offsetof(struct seccomp_data, args)
#define LANDLOCK_CREATE_RULESET 444

static struct sock_filter no_landlock[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LANDLOCK_CREATE_RULESET, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static struct sock_filter no_seccomp[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OPTION),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECCOMP, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static int
install(struct sock_filter *code, size_t len)
{
	struct sock_fprog prog = {(unsigned short) len, code};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0);
}

#define INSTALL(filter) install(filter, sizeof(filter) / sizeof(filter[0]))

int
main(int argc, char **argv)
{
	int			result = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	int			i = 1;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++)
	{
		if (strcmp(argv[i], "landlock") == 0 && result == 0)
			result = INSTALL(no_landlock);
	}
	/* last, as it ends what we do here */
	for (int j = 1; j < i; j++)
	{
		if (strcmp(argv[j], "seccomp") == 0 && result == 0)
			result = INSTALL(no_seccomp);
	}
	if (result == 0 && i + 1 < argc)
		execvp(argv[i + 1], argv + i + 1);
	perror("old_kernel");
	return 99;
}
