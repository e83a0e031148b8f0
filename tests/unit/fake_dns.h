#pragma once
/* fake_dns - name servers that do what no real one can be made to do on demand: they live in the test's own loop, at addresses of
 * 127.0.0.0/8 and ::1, port 53, UDP and TCP, in a network namespace of the test's own. What each answers is a table. */
#include "dnsupdate/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct fake_dns;

/* The first line that matches counts. None: REFUSED. */
struct fake_line {
	const char *at;    /* the server's address; NULL ends the table */
	const char *qname; /* NULL: any */
	uint16_t qtype;    /* 0: any */
	/* Words: aa, NXDOMAIN, SERVFAIL, REFUSED, FORMERR, NOTIMP; silent; cut (TC over UDP, whole over TCP); garbage; stale (an answer to
	 * another question); forged (such an answer first, then the true one); no-edns (FORMERR to a question with OPT) */
	const char *does;
	const char *answer, *authority; /* records, one a line; NULL: none */
	unsigned asked;                 /* counted: questions */
	unsigned tcp, recursive, edns;  /* of them over TCP, with RD=1, with OPT */
	unsigned last_port, ports;      /* how often the source port was another than before */
};

int fake_dns_namespace(void **state); /* for cmocka, as group setup: a namespace with lo alone */
/* Serves all addresses that the table names; the table is read at each question, so it may be changed. */
struct fake_dns *fake_dns_new(struct event_base *base, struct fake_line *table);
void fake_dns_free(struct fake_dns *d);
/* Runs the loop until *times, which counts results, is what is wanted; the test fails after 60 s. */
void fake_dns_until(struct event_base *base, const unsigned *times, unsigned wanted);
/* What such a line answers to its qname and qtype, parsed. */
void fake_dns_answer(struct answer *out, const struct fake_line *line);
