/* The authority's directory. The index speaks first: a row is on disk before the files it names are put in place, and these wait beside
 * as ".NAME.key.new" and ".NAME.pem.new", the key written first and renamed first, so that as long as there is a ".pem.new" the pair is
 * not complete. settle() tells by its serial whether the index knew it. */
#include "control/pki.h"

#include "control/pki_parts.h"
#include "lib/clock.h"
#include "lib/jsonfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX     "index.json"
#define INDEX_MAX (16u << 20)
#define DAY_S     86400
#define ASIDE_MAX (PKI_FILE_MAX + 8)

struct pki {
	int dir;
	char path[PATH_MAX];
	json_t *index, *issued; /* issued is a member of index */
	struct pki_ca *ca;      /* NULL unless opened for writing */
};

/* ---- names ---- */

const char *pki_file(char out[PKI_FILE_MAX], const char *name, const char *suffix)
{
	snprintf(out, PKI_FILE_MAX, "%.64s.%s", name, suffix);
	for (char *p = out; *p; p++)
		if (*p == ':')
			*p = '-';
	return out;
}

static const char *aside(char out[ASIDE_MAX], const char *name, const char *suffix)
{
	char file[PKI_FILE_MAX];
	snprintf(out, ASIDE_MAX, ".%s.new", pki_file(file, name, suffix));
	return out;
}

/* ---- the directory comes into being ---- */

/* Nothing there, or an empty directory of ours. */
static int check_free(const char *path, struct err *err)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, -errno, "%s", path);
	int rc = pki_check_dir(&st, path, false, err);
	if (rc < 0)
		return rc;
	DIR *d = opendir(path);
	if (!d)
		return err_errno(err, -errno, "%s", path);
	bool authority = faccessat(dirfd(d), "ca.pem", F_OK, 0) == 0 || faccessat(dirfd(d), "ca.key", F_OK, 0) == 0;
	size_t n = 0;
	for (const struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	if (authority)
		return err_set(err, -EEXIST, "%s: there is an authority already, and nothing is overwritten", path);
	return n ? err_set(err, -EEXIST, "%s: found other files, expected an empty directory or none", path) : 0;
}

static int fill_dir(int dir, const char *shown, int64_t now, struct err *err)
{
	char day[TIME_TEXT_MAX], name[PKI_NAME_LEN + 1];
	struct pki_wish wish = {.name = name, .begins = now - PKI_SKEW_S, .ends = now + (int64_t)PKI_CA_DAYS * DAY_S};
	struct pki_pair pair = {0};
	json_t *index = json_pack("{s:i, s:[]}", "version", 1, "issued");
	int rc = index ? pki_serial(wish.serial, err) : err_set(err, -ENOMEM, "out of memory");
	/* The number tells authorities apart in what a refusal says. */
	snprintf(name, sizeof(name), "shunt authority %.8s of %.10s", wish.serial, time_text(now * 1000, day));
	if (rc == 0)
		rc = pki_make_ca(&pair, &wish, err);
	if (rc == 0 && (rc = pki_write_aside(dir, "ca.key", pair.key, 0600)) < 0)
		err_errno(err, rc, "%s: ca.key", shown);
	if (rc == 0 && (rc = pki_write_aside(dir, "ca.pem", pair.cert, 0644)) < 0)
		err_errno(err, rc, "%s: ca.pem", shown);
	if (rc == 0)
		rc = jsonfile_write(dir, INDEX, shown, index, INDEX_MAX, err); /* and syncs the directory */
	pki_pair_done(&pair);
	json_decref(index);
	return rc;
}

/* The whole directory is made beside its place; the rename succeeds where nothing is, or an empty directory. */
static int make_dir(char *fresh, const char *path, int64_t now, struct err *err)
{
	int dir = open(fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int rc = dir < 0 || fchmod(dir, 0700) < 0 ? err_errno(err, -errno, "%s", fresh) : fill_dir(dir, fresh, now, err);
	if (rc == 0 && rename(fresh, path) < 0)
		rc = err_errno(err, -errno, "%s", path);
	if (rc < 0 && dir >= 0) {
		unlinkat(dir, "ca.key", 0);
		unlinkat(dir, "ca.pem", 0);
		unlinkat(dir, INDEX, 0);
	}
	if (rc < 0)
		rmdir(fresh);
	if (dir >= 0)
		close(dir);
	return rc;
}

int pki_init(const char *dir, int64_t now, struct err *err)
{
	char path[PATH_MAX - 16], fresh[PATH_MAX], parent[PATH_MAX];
	struct stat st;
	size_t len = strlen(dir);
	while (len > 1 && dir[len - 1] == '/')
		len--;
	if (len == 0 || len >= sizeof(path) || strcmp(dir, "/") == 0)
		return err_set(err, -EINVAL, "found \"%.80s\", expected the path of a directory to be made", dir);
	snprintf(path, sizeof(path), "%.*s", (int)len, dir);
	int rc = pki_make_parents(path, err);
	if (rc < 0)
		return rc;
	snprintf(fresh, sizeof(fresh), "%s", path);
	snprintf(parent, sizeof(parent), "%s", dirname(fresh));
	rc = stat(parent, &st) < 0 ? err_errno(err, -errno, "%s", parent) : pki_check_dir(&st, parent, true, err);
	if (rc == 0)
		rc = check_free(path, err);
	if (rc < 0)
		return rc;
	snprintf(fresh, sizeof(fresh), "%s.new-XXXXXX", path);
	if (!mkdtemp(fresh))
		return err_errno(err, -errno, "%s: cannot be made", path);
	rc = make_dir(fresh, path, now, err);
	return rc == 0 ? pki_sync_path(parent, err) : rc;
}

/* ---- opening ---- */

/* Into place, or away: see the top. */
static void settle_one(const struct pki *p, const char *pem_new)
{
	char key_new[ASIDE_MAX], pem[ASIDE_MAX], key[ASIDE_MAX], serial[PKI_SERIAL_MAX], *text;
	size_t stem = strlen(pem_new) - strlen(".pem.new");
	bool known = false;
	snprintf(key_new, sizeof(key_new), "%.*s.key.new", (int)stem, pem_new);
	snprintf(pem, sizeof(pem), "%.*s.pem", (int)stem - 1, pem_new + 1);
	snprintf(key, sizeof(key), "%.*s.key", (int)stem - 1, pem_new + 1);
	if (pki_read_file(p->dir, p->path, pem_new, false, &text, NULL) == 0 && pki_cert_serial(text, serial, NULL) == 0)
		for (size_t i = 0; !known && i < pki_count(p); i++)
			known = strcmp(pki_at(p, i).serial, serial) == 0;
	free(text);
	if (known) {
		renameat(p->dir, key_new, p->dir, key); /* perhaps that is done already */
		renameat(p->dir, pem_new, p->dir, pem);
	} else {
		unlinkat(p->dir, key_new, 0);
		unlinkat(p->dir, pem_new, 0);
	}
}

static bool ends_with(const char *s, const char *end)
{
	size_t a = strlen(s), b = strlen(end);
	return a > b && strcmp(s + a - b, end) == 0;
}

static int settle(const struct pki *p, struct err *err)
{
	/* Pairs first: what is left of keys then belongs to none. */
	static const char *const ends[] = {".pem.new", ".key.new"};
	bool any = false;
	for (size_t i = 0; i < 2; i++) {
		int fd = openat(p->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *d = fd < 0 ? NULL : fdopendir(fd);
		if (!d) {
			int rc = err_errno(err, -errno, "%s", p->path);
			if (fd >= 0)
				close(fd);
			return rc;
		}
		for (const struct dirent *e; (e = readdir(d));) {
			if (*e->d_name != '.' || strlen(e->d_name) >= ASIDE_MAX || !ends_with(e->d_name, ends[i]))
				continue;
			any = true;
			if (i == 0)
				settle_one(p, e->d_name);
			else
				unlinkat(p->dir, e->d_name, 0);
		}
		closedir(d);
	}
	return any && fsync(p->dir) < 0 ? err_errno(err, -errno, "%s", p->path) : 0;
}

static int load_ca(struct pki *p, struct err *err)
{
	char *cert = NULL, *key = NULL;
	int rc = pki_read_file(p->dir, p->path, "ca.pem", false, &cert, err);
	if (rc == 0)
		rc = pki_read_file(p->dir, p->path, "ca.key", true, &key, err);
	if (rc == 0 && (rc = pki_ca_load(&p->ca, cert, key, err)) < 0)
		err_wrap(err, "%s", p->path);
	struct pki_pair wiped = {key, cert};
	pki_pair_done(&wiped);
	return rc;
}

static bool is_row(const json_t *o)
{
	const json_t *hosts = json_object_get(o, "addresses");
	const char *serial = json_string_value(json_object_get(o, "serial"));
	return json_string_value(json_object_get(o, "name")) && json_array_size(hosts) > 0 && serial &&
	       strlen(serial) == PKI_SERIAL_MAX - 1 && json_is_integer(json_object_get(o, "begins")) &&
	       json_is_integer(json_object_get(o, "ends"));
}

static int load_index(struct pki *p, struct err *err)
{
	int rc = jsonfile_read(p->dir, INDEX, p->path, INDEX_MAX, &p->index, err);
	size_t i;
	json_t *row;
	if (rc < 0)
		return rc;
	p->issued = json_object_get(p->index, "issued");
	bool good = json_integer_value(json_object_get(p->index, "version")) == 1 && json_is_array(p->issued);
	json_array_foreach (p->issued, i, row)
		good = good && is_row(row);
	return good ? 0 : err_set(err, -EBADMSG, "%s/" INDEX ": found an index that this version does not know", p->path);
}

int pki_open(struct pki **out, const char *dir, bool write, struct err *err)
{
	struct pki *p = calloc(1, sizeof(*p));
	struct stat st;
	*out = NULL;
	if (!p)
		return err_set(err, -ENOMEM, "out of memory");
	if (!realpath(dir, p->path)) /* in full, for what is printed to be copied from elsewhere */
		snprintf(p->path, sizeof(p->path), "%s", dir);
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;
	if (p->dir < 0 && errno == ENOENT)
		rc = err_set(err, -ENOENT, "%s: there is no authority: `shunt pki init %s` makes one", p->path, p->path);
	else if (p->dir < 0 || fstat(p->dir, &st) < 0)
		rc = err_errno(err, -errno, "%s", p->path);
	if (rc == 0)
		rc = pki_check_dir(&st, p->path, false, err);
	if (rc == 0 && faccessat(p->dir, INDEX, F_OK, 0) < 0)
		rc = err_set(err, -ENOENT, "%s: found no " INDEX ", so it is no directory that `shunt pki init` has made", p->path);
	if (rc == 0 && write)
		rc = pki_lock(p->dir, p->path, err);
	if (rc == 0)
		rc = load_index(p, err);
	if (rc == 0 && write)
		rc = load_ca(p, err);
	if (rc == 0 && write)
		rc = settle(p, err);
	if (rc < 0) {
		pki_close(p);
		return rc;
	}
	*out = p;
	return 0;
}

void pki_close(struct pki *p)
{
	if (!p)
		return;
	json_decref(p->index);
	pki_ca_free(p->ca);
	if (p->dir >= 0)
		close(p->dir); /* and with it the lock */
	free(p);
}

/* ---- looking ---- */

const char *pki_dir(const struct pki *p)
{
	return p->path;
}

size_t pki_count(const struct pki *p)
{
	return json_array_size(p->issued);
}

struct pki_row pki_at(const struct pki *p, size_t i)
{
	const json_t *o = json_array_get(p->issued, i);
	return (struct pki_row){
		.name = json_string_value(json_object_get(o, "name")),
		.hosts = json_object_get(o, "addresses"),
		.serial = json_string_value(json_object_get(o, "serial")),
		.begins = json_integer_value(json_object_get(o, "begins")),
		.ends = json_integer_value(json_object_get(o, "ends")),
		.replaced = json_is_true(json_object_get(o, "replaced")),
	};
}

static json_t *current(const struct pki *p, const char *name)
{
	size_t i;
	json_t *o;
	json_array_foreach (p->issued, i, o) {
		if (!json_is_true(json_object_get(o, "replaced")) && strcmp(json_string_value(json_object_get(o, "name")), name) == 0)
			return o;
	}
	return NULL;
}

bool pki_find(const struct pki *p, const char *name, struct pki_row *out)
{
	char canonical[PKI_HOST_LEN + 1];
	if (pki_canon(canonical, name, NULL) < 0)
		return false;
	for (size_t i = 0; i < pki_count(p); i++) {
		struct pki_row r = pki_at(p, i);
		if (!r.replaced && strcmp(r.name, canonical) == 0) {
			*out = r;
			return true;
		}
	}
	return false;
}

int pki_authority_ends(const struct pki *p, int64_t *out, struct err *err)
{
	char *cert;
	int rc = pki_read_file(p->dir, p->path, "ca.pem", false, &cert, err);
	if (rc == 0 && (rc = pki_cert_ends(cert, out, err)) < 0)
		err_wrap(err, "%s/ca.pem", p->path);
	free(cert);
	return rc;
}

/* ---- making ---- */

static int new_serial(const struct pki *p, char out[PKI_SERIAL_MAX], struct err *err)
{
	bool again = true;
	int rc = 0;
	while (rc == 0 && again) {
		rc = pki_serial(out, err);
		again = false;
		for (size_t i = 0; rc == 0 && i < pki_count(p); i++)
			again = again || strcmp(pki_at(p, i).serial, out) == 0;
	}
	return rc;
}

static int make_pair(const struct pki *p, struct pki_pair *pair, struct pki_wish *w, const json_t *hosts, struct err *err)
{
	const char *list[PKI_HOSTS_MAX + 1];
	size_t i;
	json_t *h;
	json_array_foreach (hosts, i, h) {
		if (i < PKI_HOSTS_MAX)
			list[w->n_hosts++] = json_string_value(h);
	}
	w->hosts = list;
	int rc = pki_make_host(pair, p->ca, w, err);
	w->hosts = NULL;
	return rc;
}

/* Writes the pair beside its place; after a failure there is nothing of it. */
static int put_aside(const struct pki *p, const char *name, const struct pki_pair *pair, struct err *err)
{
	char key[ASIDE_MAX], pem[ASIDE_MAX];
	int rc = pki_write_aside(p->dir, aside(key, name, "key"), pair->key, 0600);
	if (rc < 0)
		return err_errno(err, rc, "%s/%s", p->path, key);
	rc = pki_write_aside(p->dir, aside(pem, name, "pem"), pair->cert, 0644);
	if (rc < 0) {
		unlinkat(p->dir, key, 0);
		return err_errno(err, rc, "%s/%s", p->path, pem);
	}
	return 0;
}

static void drop_aside(const struct pki *p, const char *name)
{
	char file[ASIDE_MAX];
	unlinkat(p->dir, aside(file, name, "key"), 0);
	unlinkat(p->dir, aside(file, name, "pem"), 0);
}

static int put_in_place(const struct pki *p, const char *name, struct err *err)
{
	static const char *const suffixes[] = {"key", "pem"};
	char from[ASIDE_MAX], to[PKI_FILE_MAX];
	for (size_t i = 0; i < 2; i++)
		if (renameat(p->dir, aside(from, name, suffixes[i]), p->dir, pki_file(to, name, suffixes[i])) < 0)
			return err_errno(err, -errno, "%s/%s: the next shunt pki renew puts it in place", p->path, to);
	return fsync(p->dir) < 0 ? err_errno(err, -errno, "%s", p->path) : 0;
}

/* Takes hosts. old: the row that this one replaces, or NULL. */
static int make(struct pki *p, const char *name, json_t *hosts, json_t *old, int days, int64_t now, struct err *err)
{
	struct pki_wish w = {.name = name, .begins = now - PKI_SKEW_S, .ends = now + (int64_t)days * DAY_S};
	struct pki_pair pair = {0};
	int64_t last = pki_ca_ends(p->ca);
	json_t *row = NULL;
	int rc = new_serial(p, w.serial, err);
	if (rc == 0 && last <= now)
		rc = err_set(err, -EKEYEXPIRED, "%s: the authority itself has ended: make another one in another directory", p->path);
	if (w.ends > last)
		w.ends = last;
	if (rc == 0)
		rc = make_pair(p, &pair, &w, hosts, err);
	if (rc == 0)
		rc = put_aside(p, name, &pair, err);
	pki_pair_done(&pair);
	if (rc < 0) {
		json_decref(hosts);
		return rc;
	}
	row = json_pack("{s:s, s:o, s:s, s:I, s:I}", "name", name, "addresses", hosts, "serial", w.serial, "begins", (json_int_t)w.begins,
			"ends", (json_int_t)w.ends);
	if (old)
		json_object_set_new(old, "replaced", json_true());
	if (json_array_append_new(p->issued, row) < 0)
		rc = err_set(err, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = jsonfile_write(p->dir, INDEX, p->path, p->index, INDEX_MAX, err);
	if (rc < 0) {
		drop_aside(p, name);
		if (old)
			json_object_del(old, "replaced");
		if (row)
			json_array_remove(p->issued, json_array_size(p->issued) - 1);
		return rc;
	}
	return put_in_place(p, name, err);
}

static int check_days(int days, struct err *err)
{
	if (days < 1 || days > PKI_DAYS_MAX)
		return err_set(err, -EINVAL, "found %d days, expected 1 to %d", days, PKI_DAYS_MAX);
	return 0;
}

/* Two names may share a file's name (a::1 and a--1), and somebody may have put one there. */
static int check_files_free(const struct pki *p, const char *name, struct err *err)
{
	static const char *const suffixes[] = {"pem", "key"};
	char file[PKI_FILE_MAX];
	for (size_t i = 0; i < 2; i++)
		if (faccessat(p->dir, pki_file(file, name, suffixes[i]), F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return err_set(err, -EEXIST, "%s/%s: is there already, and nothing is overwritten", p->path, file);
	return 0;
}

int pki_issue(struct pki *p, const char *name, const char *const *hosts, size_t n, int days, int64_t now, struct pki_row *row,
	      struct err *err)
{
	char canonical[PKI_HOST_LEN + 1];
	int rc = check_days(days, err);
	if (rc == 0)
		rc = pki_canon_name(canonical, name, err);
	if (rc < 0)
		return rc;
	if (current(p, canonical))
		return err_set(err, -EEXIST, "%s: it has a certificate already: `shunt pki renew %s` makes a fresh one", canonical,
			       canonical);
	rc = check_files_free(p, canonical, err);
	json_t *list = rc == 0 ? pki_canon_hosts(canonical, hosts, n, err) : NULL;
	if (rc == 0 && !list)
		return err ? err->code : -EINVAL;
	if (rc == 0)
		rc = make(p, canonical, list, NULL, days, now, err);
	if (rc == 0 && row)
		*row = pki_at(p, pki_count(p) - 1);
	return rc;
}

int pki_renew(struct pki *p, const char *name, int days, int64_t now, struct pki_row *row, struct err *err)
{
	char canonical[PKI_HOST_LEN + 1];
	int rc = check_days(days, err);
	if (rc == 0)
		rc = pki_canon_name(canonical, name, err);
	if (rc < 0)
		return rc;
	json_t *old = current(p, canonical);
	if (!old)
		return err_set(err, -ENOENT, "%s: it has no certificate of this authority (shunt pki list): `shunt pki issue` makes one",
			       canonical);
	rc = make(p, canonical, json_incref(json_object_get(old, "addresses")), old, days, now, err);
	if (rc == 0 && row)
		*row = pki_at(p, pki_count(p) - 1);
	return rc;
}
