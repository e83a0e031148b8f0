#pragma once
/* task - one zone on its way: judged, locked, read, planned, written down, changed, read again, and seen on every server.
 * What is true is always read from the primary: a change is over when a fresh plan finds nothing left to do, whatever was answered.
 * Intent is on disk (journal.h) before the first message, and what came of it before the task goes on.
 * The lock is not held while servers are waited for, so that other accounts of the zone can be served.
 * Ownership: borrows dns, backend, wish and its scope; the caller frees a task only after done() came. Threads: the loop's. */
#include "dnsupdate/authority.h"
#include "dnsupdate/dns.h"
#include "dnsupdate/plan.h"
#include "dnsupdate/verify.h"

#include "lib/loop.h"

enum deed {
	DEED_CLASSIFY, /* verdict and names; changes nothing */
	DEED_PLAN,     /* what the verb would do; changes nothing */
	DEED_CHANGE,
	DEED_VERIFY /* looks whether all servers show what was left there */
};

struct wish {
	enum deed deed;
	struct plan_wish plan;
	int wait_ms;    /* for servers to show it; 0: they are asked once */
	bool resolvers; /* those of the configuration are looked at as well; nobody waits for them to be counted as published */
	bool urgent;    /* visitors may be waiting */
	struct scope scope;
	void (*progress)(void *arg, const char *zone, const char *text); /* or NULL; text NULL: the zone is over */
	void *arg;
};

enum task_outcome {
	TASK_NOTHING,      /* all was as it should be */
	TASK_WOULD_CHANGE, /* DEED_PLAN */
	TASK_DONE,
	TASK_SKIPPED, /* not ours by its delegation: the proxy covers it */
	TASK_REFUSED, /* by a guard, the journal or the server; nothing was changed */
	TASK_DRIFT,   /* somebody else changed what we would; nothing was changed */
	TASK_FAILED,  /* a server is away; nothing was changed */
	TASK_PARTLY,  /* some of it was changed, and the rest will not be: push again, or undo */
	TASK_UNKNOWN  /* something was sent, and what came of it could not be settled: the journal knows what to look for */
};
const char *task_outcome_text(enum task_outcome o);

enum task_state {
	TASK_WAITING, /* in the line */
	TASK_JUDGING,
	TASK_LOCKING,
	TASK_READING,
	TASK_CHANGING,
	TASK_PAUSING, /* before it reads again */
	TASK_MUSTERING,
	TASK_LOOKING,
	TASK_NOTING, /* waits for the lock to write down what was seen */
	TASK_OVER
};

struct task {
	/* set by the caller */
	struct dns *dns;
	struct backend *backend;
	const struct wish *wish;
	void (*through)(struct task *t); /* or NULL: it changes nothing any more, perhaps before it is done; once */
	void (*done)(struct task *t);
	void *arg;
	/* results */
	char *zone;
	enum task_outcome outcome;
	char error[700];
	size_t changed;     /* RRsets */
	uint32_t old_ttl_s; /* as the plan that was carried out says */
	bool is_first;      /* nothing of ours was in the zone before */
	bool published;     /* every name server shows it; also where there is nothing to be seen */
	int64_t clean_ms;
	struct delegation delegation;
	bool judged;
	struct plan plan;
	json_t *report; /* of plan_to_json(): what was to be done, before it was */
	struct server_list servers;
	struct sighting *sightings;
	size_t n_sightings;
	char *lagging; /* for people; NULL: nobody */

	struct work work;
	enum task_state state;
	struct inquiry *inquiry;
	struct backend_call *call;
	struct muster *muster;
	struct verify *verify;
	struct deadline timer;
	int lock;
	uint64_t lock_until;
	bool is_through;
	unsigned sends, failures;
	size_t applied;        /* RRsets that were seen to have changed */
	enum outcome answered; /* to the last change */
	struct err why;        /* likewise; before any, why the zone cannot be read */
	unsigned away;         /* of the sends, those for which there was no connection: nothing went out */
	bool unheard;          /* a change was sent of which nobody said anything: it may be carried out late */
	struct zone content;
	struct entry entry;
	bool has_entry;
	bool to_take_back; /* the intent of what was never sent is on disk */
	struct change *changes;
	size_t n_changes;
	struct rrset *expected; /* of each server */
	size_t n_expected;
};
int task_start(struct task *t, const char *zone); /* -ENOMEM; done() comes from the loop */
void task_done(struct task *t);
