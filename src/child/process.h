/*
 * src/child/process.h
 *		A process with pipes at its standard descriptors; private to this room.
 */
#ifndef VOXANNE_PROCESS_H
#define VOXANNE_PROCESS_H

/* The parent's side; a descriptor that is closed is -1. */
typedef struct VoxProcess
{
	pid_t		pid;			/* 0: none that has not been waited for */
	int			input;
	int			output;
	int			errors;
	int			exit_fd;		/* becomes readable when it exits; -1 where
								 * the kernel has no such thing */
	int			reserved;		/* descriptors reported to fd.c */
} VoxProcess;

/* in process.c */
extern void voxanne_process_init(VoxProcess *process);
extern int	voxanne_process_start(VoxProcess *process, const char *const *argv);
extern void voxanne_process_close(VoxProcess *process, int *fd);
extern void voxanne_process_close_all(VoxProcess *process);
extern bool voxanne_process_reap(VoxProcess *process, int *status);
extern bool voxanne_process_end(VoxProcess *process);

/* in abandoned.c */
extern void voxanne_abandoned_remember(pid_t pid, const char *purpose);
extern pid_t voxanne_abandoned_find(const char *purpose);

#endif							/* VOXANNE_PROCESS_H */
