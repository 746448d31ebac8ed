/*
 * What launch.c, guard.c and child.c share; no part of the contract with Python.
 */
#ifndef MONITOR_LAUNCH_H
#define MONITOR_LAUNCH_H

#include "shim.h"

#include <signal.h>

/* How far the child has come; it alone writes this. */
enum boot_state {
	BOOT_STARTING,
	BOOT_WANTS_MAPS,
	BOOT_FILTERED,  /* the filter is on, .listener is its number in the child */
	BOOT_SENT,      /* the listener was sent over the handover socket */
	BOOT_EXECUTING, /* what follows is execve(2) */
	BOOT_FAILED,    /* .stage, .detail and .error say where */
};

/* What the child may do next; the parent alone writes this. */
enum boot_order {
	BOOT_WAIT,
	BOOT_MAPS_WRITTEN,
	BOOT_SEND,
	BOOT_EXECUTE,
};

/*
 * A page shared by parent, guard and child.  From its filter on every call of the child may be
 * trapped, so all that it says after that it says by storing here.
 */
struct boot {
	int state;
	int order;
	int stage;
	int detail;
	int error;
	int listener;
	int wait_killable;
	int pid; /* of the child, in the parent's pid namespace; the guard writes it */
};

/* The child's name until it executes the program. */
#define BOOT_NAME "monitor-launch"

#define BOOT_LOAD(field)         __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define BOOT_STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)

/* What the guard is started with.  It lies on mon_launch()'s stack: copied before that returns. */
struct guard_start {
	const struct mon_launch_request *request;
	struct boot *boot;
	int control;    /* the guard's end */
	int supervisor; /* a pidfd of the supervisor's process */
	int handover;   /* the child's end */
	sigset_t mask;  /* for the program: the one that its launcher had */
};

/* The body of the guard process; see guard.c.  Returns its exit status. */
int guard_main(void *start);

/* The body of the child: everything from here to the program.  See child.c. */
void child_main(const struct guard_start *start, pid_t guard) __attribute__((noreturn));

#endif
