/*
 * t/modules/misbehave/server.c
 *		The memory of the server, and what else processes share.
 */
#include <fcntl.h>
#include <linux/keyctl.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "misbehave.h"

/* System V memory of the server, which holds its interlock. */
static long
attach_memory(void)
{
	void	   *address = shmat(atoi(named("MISBEHAVE_SHM")), NULL, 0);

	return address == (void *) -1 ? -1 : shmdt(address);
}

void
share(void)
{
	TRY("server's shared memory", attach_memory());
	TRY("remove shared memory", shmctl(-1, IPC_RMID, NULL));
	TRY("server's dynamic memory elsewhere", open_and_read(named("MISBEHAVE_DSM")));
	TRY("new shared memory", shmctl(shmget(IPC_PRIVATE, 4096, 0600), IPC_RMID, NULL));
	TRY("semaphore", semctl(semget(IPC_PRIVATE, 1, 0600), 0, IPC_RMID));
	TRY("remove a semaphore", semctl(-1, 0, IPC_RMID));
	TRY("message queue", msgctl(msgget(IPC_PRIVATE, 0600), IPC_RMID, NULL));
	TRY("named message queue", syscall(SYS_mq_open, "misbehave", O_RDONLY, 0, NULL));
	TRY("keys", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1));
	TRY("new key", syscall(SYS_add_key, "user", "misbehave", "x", 1L, KEY_SPEC_PROCESS_KEYRING));
}
