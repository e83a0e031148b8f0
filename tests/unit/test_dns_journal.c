/* The journal of shunt-dnsupdate: what was written comes back; what is not whole, not ours or in another's place is refused and named, and
 * hides no other; a zone's lock is one, among processes and within one. */
#include "dnsupdate/journal.h"
#include "tests/unit/place.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char dir[64];
	struct journal *j;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	place_make(p->dir, "shunt-dns");
	assert_int_equal(journal_open(&p->j, p->dir, NULL), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	journal_close(p->j);
	place_remove(p->dir);
	free(p);
	return 0;
}

static void an_entry(struct entry *e, const char *account, const char *zone)
{
	struct rrset found;
	char owner[300];

	snprintf(owner, sizeof owner, "www.%s", zone);
	assert_int_equal(entry_init(e, account, zone), 0);
	assert_int_equal(rrset_init(&found, owner, RR_A, 300), 0);
	assert_int_equal(rrset_add(&found, (const uint8_t *)"\xc0\x00\x02\x0a", 4), 0);
	assert_non_null(entry_add(e, &found, owner, RR_A));
	rrset_done(&found);
}

static void write_one(struct place *p, const char *account, const char *zone)
{
	struct entry e;
	struct err err = {0};

	an_entry(&e, account, zone);
	if (journal_write(p->j, &e, &err) < 0)
		fail_msg("%s", err.text);
	entry_done(&e);
}

static void comes_back(void **state)
{
	struct place *p = *state;
	struct entry e, found;
	struct err err;
	struct stat st;
	char path[200];
	int64_t began;

	assert_int_equal(journal_read(p->j, "alice", "alice.example.", &found, &err), -ENOENT);
	an_entry(&e, "alice", "Alice.Example.");
	assert_int_equal(journal_write(p->j, &e, &err), 0);
	assert_true(e.changed_ms > 1000000000000 && e.began_ms == e.changed_ms);
	began = e.began_ms;
	e.state = ENTRY_PUSHED;
	assert_int_equal(journal_write(p->j, &e, &err), 0);
	assert_true(e.began_ms == began);
	assert_int_equal(journal_read(p->j, "alice", "alice.example", &found, &err), 0);
	assert_int_equal(found.state, ENTRY_PUSHED);
	assert_string_equal(found.zone, "Alice.Example.");
	assert_int_equal(found.n, 1);
	assert_true(rrset_equal(&found.marks[0].before, &e.marks[0].before));
	entry_done(&found);
	assert_int_equal(journal_read(p->j, "alice", "bob.example.", &found, &err), -ENOENT);
	snprintf(path, sizeof path, "%s/alice/alice.example", p->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(path, sizeof path, "%s/alice", p->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(journal_remove(p->j, &e, &err), 0);
	assert_int_equal(journal_remove(p->j, &e, &err), 0);
	assert_int_equal(journal_read(p->j, "alice", "alice.example.", &found, &err), -ENOENT);
	entry_done(&e);
	an_entry(&e, "nobody", "alice.example.");
	assert_int_equal(journal_remove(p->j, &e, &err), 0);
	entry_done(&e);
}

static void damage_is_refused(void **state)
{
	struct place *p = *state;
	char text[4096], bad[4096];
	struct entry found;
	struct err err;
	size_t len;

	write_one(p, "alice", "alice.example.");
	len = place_get(p->dir, "alice/alice.example", text, sizeof text);
	for (size_t n = 0; n < len; n += n < 20 || n + 20 > len ? 1 : 7) {
		if (n == len - 1 && text[n] == '\n')
			continue;
		place_put(p->dir, "alice/alice.example", text, n);
		assert_int_equal(journal_read(p->j, "alice", "alice.example.", &found, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "alice/alice.example: "));
		assert_non_null(strstr(err.text, "not guessed"));
	}
	for (size_t bit = 0; bit < len * 8; bit += 3) {
		int rc;

		memcpy(bad, text, len);
		bad[bit / 8] ^= (char)(1 << bit % 8);
		place_put(p->dir, "alice/alice.example", bad, len);
		rc = journal_read(p->j, "alice", "alice.example.", &found, &err);
		assert_true(rc == 0 || rc == -EBADMSG); /* a blank for another */
		if (rc == 0) {
			assert_string_equal(found.account, "alice");
			assert_int_equal(found.n, 1);
			entry_done(&found);
		}
	}
	/* a good one in another place: of another account, of another zone */
	write_one(p, "bob", "bob.example.");
	place_put(p->dir, "bob/bob.example", text, len);
	assert_int_equal(journal_read(p->j, "bob", "bob.example.", &found, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "which has another place"));
	place_put(p->dir, "bob/alice.example", text, len);
	assert_int_equal(journal_read(p->j, "bob", "alice.example.", &found, &err), -EBADMSG);
	place_put(p->dir, "alice/other.example", text, len);
	assert_int_equal(journal_read(p->j, "alice", "other.example.", &found, &err), -EBADMSG);
}

static void names_are_names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "../x.", ".x.", "a..b.", "a b.", "a\\.b.", "a\nb.", "a\x80.", "*.a.", "a%2Fb."};
	struct place *p = *state;
	struct entry e, found;
	struct err err;
	char zone[300];
	int fd;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int rc = journal_read(p->j, "alice", bad[i], &found, &err);

		assert_int_equal(rc, -EINVAL);
		assert_int_equal(journal_lock(p->j, bad[i], &fd, &err), -EINVAL);
		assert_int_equal(fd, -1);
	}
	assert_int_equal(journal_read(p->j, "../alice", "alice.example.", &found, &err), -EINVAL);
	assert_int_equal(journal_read(p->j, ".locks", "alice.example.", &found, &err), -EINVAL);
	an_entry(&e, ".locks", "alice.example.");
	assert_int_equal(journal_write(p->j, &e, &err), -EINVAL);
	entry_done(&e);
	/* a part of a /24 (RFC 2317) */
	write_one(p, "alice", "0/25.2.0.192.in-addr.arpa.");
	assert_int_equal(journal_read(p->j, "alice", "0/25.2.0.192.in-addr.arpa.", &found, &err), 0);
	entry_done(&found);
	assert_true(place_get(p->dir, "alice/0%2F25.2.0.192.in-addr.arpa", (char[4096]){0}, 4096) > 0);
	/* as long as names are */
	memset(zone, 'a', sizeof zone);
	for (size_t i = 60; i < 240; i += 60)
		zone[i] = '.';
	memcpy(zone + 240, ".example.", 10);
	write_one(p, "alice", zone);
	assert_int_equal(journal_read(p->j, "alice", zone, &found, &err), 0);
	entry_done(&found);
}

static void all_in_order(void **state)
{
	static const char *const order[][2] = {{"alice", "a.example."},
					       {"alice", "alice.example."},
					       {"alice", "shared.example."},
					       {"bob", "bob.example."},
					       {"bob", "shared.example."}};
	struct place *p = *state;
	struct entry_list all;
	struct err err = {0};

	assert_int_equal(journal_all(p->j, NULL, &all, &err), 0);
	assert_int_equal(all.n, 0);
	assert_int_equal(journal_all(p->j, "alice", &all, &err), 0);
	assert_int_equal(all.n, 0);
	write_one(p, "bob", "shared.example.");
	write_one(p, "alice", "shared.example.");
	write_one(p, "alice", "alice.example.");
	write_one(p, "bob", "bob.example.");
	write_one(p, "alice", "a.example.");
	place_put(p->dir, "alice/.new-1-0", "{", 1); /* what a crash left of a write */
	assert_int_equal(journal_all(p->j, NULL, &all, &err), 0);
	assert_int_equal(all.n, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_string_equal(all.entries[i].account, order[i][0]);
		assert_string_equal(all.entries[i].zone, order[i][1]);
	}
	entry_list_done(&all);
	assert_int_equal(journal_all(p->j, "bob", &all, &err), 0);
	assert_int_equal(all.n, 2);
	assert_string_equal(all.entries[0].zone, "bob.example.");
	entry_list_done(&all);
	/* one that is damaged hides no other */
	place_put(p->dir, "alice/alice.example", "{", 1);
	assert_int_equal(journal_all(p->j, NULL, &all, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "alice/alice.example: "));
	assert_int_equal(all.n, 4);
	entry_list_done(&all);
	assert_int_equal(journal_all(p->j, "bob", &all, &err), 0);
	assert_int_equal(all.n, 2);
	entry_list_done(&all);
}

static void a_directory_of_others_is_refused(void **state)
{
	struct place *p = *state;
	struct journal *j;
	struct err err;
	char path[200];

	assert_int_equal(chmod(p->dir, 0750), 0);
	assert_int_equal(journal_open(&j, p->dir, &err), -EPERM);
	assert_non_null(strstr(err.text, "chmod"));
	assert_int_equal(chmod(p->dir, 0700), 0);
	snprintf(path, sizeof path, "%s/link", p->dir);
	assert_int_equal(symlink(p->dir, path), 0);
	assert_true(journal_open(&j, path, &err) < 0);
	snprintf(path, sizeof path, "%s/above/dns", p->dir);
	assert_int_equal(journal_open(&j, path, &err), 0);
	journal_close(j);
	/* one directory above is made too, not a whole path that somebody may have mistyped */
	snprintf(path, sizeof path, "%s/none/deeper/still", p->dir);
	assert_int_equal(journal_open(&j, path, &err), -ENOENT);
}

static void a_lock_is_one(void **state)
{
	struct place *p = *state;
	struct journal *other;
	struct err err;
	int fd, second, status;
	pid_t child;

	journal_unlock(-1);
	assert_int_equal(journal_lock(p->j, "Alice.example.", &fd, &err), 0);
	assert_int_equal(journal_lock(p->j, "alice.example", &second, &err), -EWOULDBLOCK);
	assert_int_equal(second, -1);
	assert_non_null(strstr(err.text, "the zone alice.example is being changed just now"));
	assert_int_equal(journal_lock(p->j, "bob.example.", &second, &err), 0);
	journal_unlock(second);
	child = fork();
	if (child == 0) /* another process; what it inherits is of the same open file, so it opens its own */
		_exit(journal_open(&other, p->dir, NULL) == 0 && journal_lock(other, "alice.example.", &second, NULL) == -EWOULDBLOCK ? 7
																      : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	journal_unlock(fd);
	assert_int_equal(journal_lock(p->j, "alice.example.", &second, &err), 0);
	journal_unlock(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(names_are_names, setup, teardown),
		cmocka_unit_test_setup_teardown(all_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_directory_of_others_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lock_is_one, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
