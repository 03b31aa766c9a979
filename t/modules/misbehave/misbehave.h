/*
 * t/modules/misbehave/misbehave.h
 *		What a subverted voxanne_agent would try, by what it aims at.
 */
#ifndef MISBEHAVE_H
#define MISBEHAVE_H

/* A descriptor that the test leaves open for the agent */
#define INHERITED 9

#define TRY(name, call) outcome(name, (long) (call))

/* in misbehave.c */
extern void outcome(const char *name, long result);
extern char *named(const char *variable);
extern long open_and_read(const char *name);

/* in files.c */
extern void read_files(void);
extern void change_files(void);

/* in network.c */
extern void use_network(void);

/* in processes.c */
extern void make_processes(void);
extern void touch_others(void);

/* in server.c */
extern void share(void);

/* in itself.c */
extern void use_memory(void);
extern void become_other(void);

#endif							/* MISBEHAVE_H */
