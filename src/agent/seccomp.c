/*
 * src/agent/seccomp.c
 *		The system calls that are left to a run.
 *
 * Written by hand because the program must not need libseccomp.  A run that
 * only reads files has a list of what is allowed; everything else answers
 * ENOSYS, so that a libc that tries something newer falls back.  A run with a
 * network needs whatever resolvers and TLS libraries do, so it has a list of
 * what is refused, with EPERM; calls that are younger than the list answer
 * ENOSYS.  Both may open for reading only, make threads but no processes, and
 * signal nobody but themselves.
 *
 * No run gets a Unix socket that it could connect: behind the server's own one
 * the server's user is a superuser to whom no password is asked.  Resolvers
 * that would ask a daemon go on without it.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#ifndef OUR_ARCH

bool
seccomp_enter(bool network)
{
	return false;
}

#else

#define MAX_INSTRUCTIONS 1024

typedef struct Program
{
	struct sock_filter code[MAX_INSTRUCTIONS];
	unsigned short len;
	bool		overflow;
} Program;

/* What a run without a network may do; conditions on arguments come before. */
static const int reading_calls[] = {
	SYS_read, SYS_pread64, SYS_readv, SYS_preadv2, SYS_write, SYS_writev, SYS_close, SYS_lseek,
	SYS_fstat, SYS_newfstatat, SYS_statx, SYS_getdents64, SYS_faccessat, SYS_readlinkat,
	SYS_fadvise64, SYS_dup,
	SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise,
	SYS_futex, SYS_set_robust_list, SYS_get_robust_list, SYS_sched_yield,
	SYS_sched_getaffinity, SYS_exit, SYS_exit_group, SYS_restart_syscall,
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack,
	SYS_clock_gettime, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
	SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
	SYS_getrandom, SYS_ppoll, SYS_uname,
#ifdef SYS_rseq
	SYS_rseq,
#endif
#ifdef SYS_faccessat2
	SYS_faccessat2,
#endif
#ifdef SYS_stat
	SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_poll, SYS_time,
#endif
};

/* What a run with a network may not do. */
static const int refused_calls[] = {
	SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev,
	SYS_kcmp, SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns,
	SYS_bpf, SYS_perf_event_open, SYS_init_module, SYS_finit_module, SYS_delete_module,
	SYS_kexec_load, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_keyctl, SYS_add_key,
	SYS_request_key, SYS_userfaultfd, SYS_personality, SYS_acct, SYS_quotactl,
	SYS_open_by_handle_at, SYS_listen, SYS_accept, SYS_accept4, SYS_memfd_create,
	SYS_shmget, SYS_shmat, SYS_shmctl, SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl,
	SYS_semget, SYS_semop, SYS_semtimedop, SYS_semctl,
	SYS_mq_open, SYS_mq_unlink, SYS_mq_timedsend, SYS_mq_timedreceive, SYS_mq_notify,
	SYS_inotify_init1, SYS_inotify_add_watch, SYS_name_to_handle_at,
	SYS_prctl, SYS_seccomp, SYS_setrlimit, SYS_ioprio_set,
	SYS_truncate, SYS_ftruncate, SYS_fallocate, SYS_mkdirat, SYS_mknodat, SYS_unlinkat,
	SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat,
	SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr,
	SYS_fremovexattr, SYS_utimensat, SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid,
	SYS_setresuid, SYS_setresgid, SYS_setgroups, SYS_setfsuid, SYS_setfsgid, SYS_capset,
	SYS_prlimit64, SYS_setpriority, SYS_sched_setscheduler, SYS_sched_setparam,
	SYS_sched_setaffinity, SYS_sched_setattr, SYS_setsid, SYS_setpgid,
	SYS_clock_settime, SYS_settimeofday, SYS_adjtimex, SYS_sethostname, SYS_setdomainname,
	SYS_syslog, SYS_vhangup, SYS_fanotify_init, SYS_move_pages, SYS_migrate_pages,
#ifdef SYS_renameat
	SYS_renameat,
#endif
#ifdef SYS_io_uring_setup
	SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
#endif
#ifdef SYS_pidfd_send_signal
	SYS_pidfd_send_signal,
#endif
#ifdef SYS_pidfd_open
	SYS_pidfd_open,
#endif
#ifdef SYS_pidfd_getfd
	SYS_pidfd_getfd,
#endif
#ifdef SYS_open_tree
	SYS_open_tree, SYS_move_mount, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick,
#endif
#ifdef SYS_mount_setattr
	SYS_mount_setattr,
#endif
#ifdef SYS_process_madvise
	SYS_process_madvise,
#endif
#ifdef SYS_process_mrelease
	SYS_process_mrelease,
#endif
#ifdef SYS_quotactl_fd
	SYS_quotactl_fd,
#endif
#ifdef SYS_memfd_secret
	SYS_memfd_secret,
#endif
#ifdef SYS_kexec_file_load
	SYS_kexec_file_load,
#endif
#ifdef SYS_fork
	SYS_fork, SYS_vfork, SYS_creat, SYS_mkdir, SYS_rmdir, SYS_mknod, SYS_unlink, SYS_rename,
	SYS_link, SYS_symlink, SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat,
	SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib, SYS_inotify_init,
#endif
};

/*
 * Calls from this number on, the same on all architectures, came after Linux
 * 6.5 and after the list above.
 */
#define FIRST_UNKNOWN_CALL 452

/* What a descriptor may be asked.  Not: who gets a signal when it is ready. */
static const int fcntl_commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL};
static const int network_fcntl_commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL};

/* What a run with a network may ask a device.  Not: to put something into a terminal's input. */
static const int ioctl_requests[] = {FIONBIO, FIONREAD, TCGETS, SIOCGIFINDEX, SIOCGIFNAME};

/* All that a new thread must not leave the others' namespaces for */
#define NEW_NAMESPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

static void
emit(Program *p, unsigned short code, unsigned int k, unsigned char jt, unsigned char jf)
{
	if (p->len == MAX_INSTRUCTIONS)
		p->overflow = true;
	else
		p->code[p->len++] = (struct sock_filter)
	{
		code, jt, jf, k
	};
}

static void
emit_load(Program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (unsigned int) offset, 0, 0);
}

static void
emit_return(Program *p, unsigned int action)
{
	emit(p, BPF_RET | BPF_K, action, 0, 0);
}

/* If the call is "number": end with "action". */
static void
emit_call(Program *p, int number, unsigned int action)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, (unsigned int) number, 0, 1);
	emit_return(p, action);
}

/* Load the lower half of an argument of the call. */
static void
emit_load_argument(Program *p, int argument)
{
	emit_load(p, offsetof(struct seccomp_data, args) + (size_t) argument * sizeof(uint64_t) +
			  (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? sizeof(uint32_t) : 0));
}

/* If the call is "number": do all up to end_call(), which gets what this returns. */
static unsigned short
begin_call(Program *p, int number)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, (unsigned int) number, 0, 0);
	return p->len;
}

/* Whatever the call's conditions have not allowed is refused. */
static void
end_call(Program *p, unsigned short begun)
{
	emit_return(p, SECCOMP_RET_ERRNO | EPERM);
	if (!p->overflow && p->len - begun <= UINT8_MAX)
		p->code[begun - 1].jf = (unsigned char) (p->len - begun);
	else
		p->overflow = true;
}

/* Allow call "number" where (argument & mask) == value, else EPERM. */
static void
emit_condition(Program *p, int number, int argument, unsigned int mask, unsigned int value)
{
	unsigned short begun = begin_call(p, number);

	emit_load_argument(p, argument);
	emit(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
	emit_call(p, (int) value, SECCOMP_RET_ALLOW);
	end_call(p, begun);
}

/* Allow call "number" where the argument is one of the values, else EPERM. */
static void
emit_choice(Program *p, int number, int argument, const int *values, size_t count)
{
	unsigned short begun = begin_call(p, number);

	emit_load_argument(p, argument);
	for (size_t i = 0; i < count; i++)
		emit_call(p, values[i], SECCOMP_RET_ALLOW);
	end_call(p, begun);
}

/* Allow the sockets that libcurl and a resolver use: internet, the kernel's answers about routes, pairs. */
static void
emit_sockets(Program *p)
{
	unsigned short begun = begin_call(p, SYS_socket);

	emit_load_argument(p, 0);
	emit_call(p, AF_INET, SECCOMP_RET_ALLOW);
	emit_call(p, AF_INET6, SECCOMP_RET_ALLOW);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 3);
	emit_load_argument(p, 2);
	emit_call(p, NETLINK_ROUTE, SECCOMP_RET_ALLOW);
	end_call(p, begun);
	/* one end of a pair of datagram sockets could be sent from to elsewhere */
	emit_condition(p, SYS_socketpair, 1, 0xf, SOCK_STREAM);
}

/* Refuse other architectures' calls, and leave the call's number loaded. */
static void
emit_start(Program *p)
{
	emit_load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0);
	emit_return(p, SECCOMP_RET_KILL_PROCESS);
	emit_load(p, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
	emit(p, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);	/* the x32 numbers */
	emit_return(p, SECCOMP_RET_KILL_PROCESS);
#endif
}

/* What both kinds of runs may do under a condition. */
static void
emit_conditions(Program *p)
{
	unsigned int writing = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);

	emit_condition(p, SYS_openat, 2, writing, 0);
#ifdef SYS_open
	emit_condition(p, SYS_open, 1, writing, 0);
#endif
#ifdef SYS_openat2
	emit_call(p, SYS_openat2, SECCOMP_RET_ERRNO | ENOSYS);
#endif
	emit_condition(p, SYS_clone, 0, CLONE_THREAD | NEW_NAMESPACES, CLONE_THREAD);
#ifdef SYS_clone3
	emit_call(p, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);	/* libc then uses clone */
#endif
	emit_condition(p, SYS_tgkill, 0, ~0u, (unsigned int) getpid());
}

#define N_OF(array) (sizeof(array) / sizeof(array[0]))

/* All but what is refused. */
static void
emit_network_run(Program *p)
{
	emit_sockets(p);
	emit_choice(p, SYS_fcntl, 1, network_fcntl_commands, N_OF(network_fcntl_commands));
	emit_choice(p, SYS_ioctl, 1, ioctl_requests, N_OF(ioctl_requests));
	for (size_t i = 0; i < N_OF(refused_calls); i++)
		emit_call(p, refused_calls[i], SECCOMP_RET_ERRNO | EPERM);
	emit(p, BPF_JMP | BPF_JGE | BPF_K, FIRST_UNKNOWN_CALL, 0, 1);
	emit_return(p, SECCOMP_RET_ERRNO | ENOSYS);
	emit_return(p, SECCOMP_RET_ALLOW);
}

/* Nothing but what is allowed. */
static void
emit_reading_run(Program *p)
{
	emit_choice(p, SYS_fcntl, 1, fcntl_commands, N_OF(fcntl_commands));
	emit_condition(p, SYS_mmap, 2, PROT_EXEC, 0);
	emit_condition(p, SYS_mprotect, 2, PROT_EXEC, 0);
	for (size_t i = 0; i < N_OF(reading_calls); i++)
		emit_call(p, reading_calls[i], SECCOMP_RET_ALLOW);
	emit_return(p, SECCOMP_RET_ERRNO | ENOSYS);
}

/* Install the filter for all that follows; false where the kernel has none. */
bool
seccomp_enter(bool network)
{
	static Program program;
	struct sock_fprog prog;

	emit_start(&program);
	emit_conditions(&program);
	if (network)
		emit_network_run(&program);
	else
		emit_reading_run(&program);
	if (program.overflow)
		return false;
	prog.len = program.len;
	prog.filter = program.code;
#ifdef VOXANNE_AGENT_COVERAGE
	return true;				/* counters are written at exit */
#else
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) == 0;
#endif
}

#endif							/* OUR_ARCH */
