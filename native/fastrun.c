/*
 * Plain calls whose decision is known already, one behind the other, without Python.
 *
 * What it is: fastpath.c and fastacts.c in a loop, and the decisions that were made before.  What
 * it is not: a decision.  Each path is looked up anew; what is kept is what was said about a name,
 * and it is found again by all that it depended on (struct mon_fast_object).  Whatever was not
 * decided yet is handed to who decides, with what was looked up still open.
 */
#include "fastacts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* After so many calls we look again whether threads call at the same time: then another one than
 * before has called at least so often. */
#define CROWD_CALLS   64
#define CROWD_CHANGES 16

static const struct seccomp_notif *notification_of(const struct mon_fast_run *run)
{
	return run->notification;
}

/* The plain kind of the call that was received; NULL: it has none. */
static const struct mon_fast_call *call_of(const struct mon_fast_run *run)
{
	const struct seccomp_data *data = &notification_of(run)->data;

	for (uint32_t i = 0; i < run->call_count; i++)
		if (run->calls[i].nr == data->nr && run->calls[i].arch == data->arch)
			return &run->calls[i];
	return NULL;
}

/* The flags of the call: of an int, whatever else stands in the register. */
static uint32_t flags_of(const struct mon_fast_run *run, const struct mon_fast_call *call)
{
	return call->flags < 0 ? 0 : (uint32_t)notification_of(run)->data.args[call->flags];
}

/* How a call with these flags is looked up; -1: it is not plain. */
static int64_t look_of(const struct mon_fast_call *call, uint32_t flags)
{
	for (uint32_t i = 0; i < call->how_count; i++)
		if (call->hows[i].flags == flags)
			return call->hows[i].look;
	return -1;
}

/* Where a decision about what was looked up is kept; NULL: of so long a name none is. */
static struct mon_fast_kept *place_of(const struct mon_fast_run *run)
{
	const struct mon_fast_object *object = run->object;
	uint32_t hash = 2166136261u; /* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */

	if (run->length > MON_KEPT_NAME)
		return NULL;
	for (uint32_t i = 0; i < run->length; i++)
		hash = (hash ^ (uint8_t)object->name[i]) * 16777619u;
	hash = (hash ^ object->kind ^ (uint32_t)run->question << 8) * 16777619u;
	return &run->kept[(hash ^ hash >> 16) & (MON_KEPT_PLACES - 1)];
}

static int is_of(const struct mon_fast_kept *kept, const struct mon_fast_run *run)
{
	const struct mon_fast_object *object = run->object;

	return kept->said != MON_SAID_NOTHING && kept->epoch == run->epoch &&
	       kept->question == run->question && kept->kind == object->kind &&
	       kept->mount == object->mount && kept->length == run->length &&
	       memcmp(kept->name, object->name, run->length) == 0;
}

static void keep(struct mon_fast_run *run, int said)
{
	struct mon_fast_kept *kept = place_of(run);

	if (!kept)
		return;
	kept->said = (uint8_t)said;
	kept->epoch = run->epoch;
	kept->question = run->question;
	kept->kind = run->object->kind;
	kept->mount = run->object->mount;
	kept->length = run->length;
	memcpy(kept->name, run->object->name, run->length);
}

/* Look up what was received, and what was said about it: MON_SAID_*, or why that is not known. */
static int look(struct mon_fast_run *run, struct mon_lookup *lookup,
		const struct mon_fast_call *call)
{
	const struct mon_fast_kept *kept;
	int64_t how = call ? look_of(call, flags_of(run, call)) : -1;
	int length;

	if (how < 0)
		return MON_RUN_LEFT;
	length = mon_fast_look(lookup, run->notification, call->path, call->directory,
			       (uint32_t)how | run->further, run->object);
	if (length < 0)
		return length == -ESTALE ? MON_RUN_STALE : MON_RUN_LEFT;
	run->length = (uint32_t)length;
	run->question = call->question;
	kept = place_of(run);
	return kept && is_of(kept, run) ? kept->said : MON_RUN_ASKS;
}

static int answer_open(struct mon_fast_run *run, struct mon_lookup *lookup, int flags)
{
	int number;
	int result = mon_fast_open(lookup, flags, run->notification, run->size, &number);

	return number < 0 ? -EINPROGRESS : result;
}

/* Answer a stat(2), or an open of what is not there: results as those of mon_fast_act(). */
static int answer_missing(struct mon_fast_run *run, struct mon_lookup *lookup,
			  const struct mon_fast_call *call)
{
	if (call->buffer < 0)
		return mon_fast_missing(lookup, run->notification, run->size, &run->sent);
	mon_fast_close(lookup);
	return mon_fast_finish(lookup, -ENOENT, 0, run->notification, run->size, &run->sent);
}

/* Answer what was looked up as was said; -EINPROGRESS: it is left, and nothing is open. */
static int answer(struct mon_fast_run *run, struct mon_lookup *lookup,
		  const struct mon_fast_call *call, int said)
{
	const struct seccomp_notif *notif = notification_of(run);

	if (said == MON_SAID_ELSEWHERE) {
		mon_fast_close(lookup);
		return -EINPROGRESS;
	}
	if (call->act)
		return mon_fast_act(lookup, call->act, call->argument, run->notification, run->size,
				    &run->sent);
	if (said == MON_SAID_MISSING)
		return answer_missing(run, lookup, call);
	if (call->buffer < 0)
		return answer_open(run, lookup, (int)flags_of(run, call));
	return mon_fast_status(lookup, notif->data.args[call->buffer], run->notification, run->size,
			       &run->sent);
}

/*
 * Whom an answer wakes runs on our CPU, which is best where one thread calls: the two of us never
 * run at once (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP).  Of several that call at the same time the
 * others would wait there, too, behind us, and other CPUs have nothing to do: a thread that ran a
 * moment ago is not taken away by them (task_hot(), kernel/sched/fair.c).
 */
static void look_who_calls(struct mon_fast_run *run, const struct mon_lookup *lookup)
{
	pid_t tid = (pid_t)notification_of(run)->pid;
	uint8_t crowded;

	run->changes = (uint8_t)(run->changes + (tid != run->last));
	run->last = tid;
	if (++run->counted < CROWD_CALLS)
		return;
	crowded = run->changes >= CROWD_CHANGES;
	run->counted = run->changes = 0;
	if (crowded == run->crowded)
		return;
	run->crowded = crowded;
	(void)mon_listener_set_flags(lookup->listener,
				     crowded ? 0 : SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
}

int mon_fast_run(struct mon_fast_run *run, struct mon_lookup *lookup, int said, int most)
{
	run->answered = run->sent = 0;
	if (said != MON_SAID_NOTHING)
		keep(run, said);
	for (;;) {
		const struct mon_fast_call *call = call_of(run);
		int result;

		if (said == MON_SAID_NOTHING && run->spreads)
			look_who_calls(run, lookup);
		if (said == MON_SAID_NOTHING)
			said = look(run, lookup, call);
		if (said < 0) /* MON_RUN_* */
			return said;
		result = answer(run, lookup, call, said);
		if (result == -EINPROGRESS)
			return MON_RUN_LEFT;
		run->answered++;
		if (result < 0) {
			run->received = result;
			return MON_RUN_NOTHING;
		}
		if (run->sent < 0 || run->answered >= most)
			return MON_RUN_RECEIVED;
		said = MON_SAID_NOTHING;
	}
}
