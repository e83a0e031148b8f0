/* pki: the authority's commands. They need neither a configuration nor a proxy; what is left to do by hand, copying, they spell out. */
#include "control/app.h"
#include "control/pki.h"
#include "lib/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DAY_S    86400
#define HOST_DIR "/etc/shunt/tls"

static int64_t now_s(void)
{
	return now_ms() / 1000;
}

/* DIR as a word at place i, or as --dir, or the default. NULL: both. */
static const char *directory(const struct app *a, char **words, int n, int i, struct err *err)
{
	if (n > i && a->opt.dir) {
		err_set(err, -EINVAL, "found \"%.60s\" and --dir, expected one of them", words[i]);
		return NULL;
	}
	if (n > i)
		return words[i];
	return a->opt.dir ? a->opt.dir : PKI_DEFAULT_DIR;
}

/* ---- what it is and where it goes ---- */

static const char *state_of(const struct pki_row *r, int64_t now)
{
	if (r->ends <= now)
		return "expired";
	if (r->begins > now)
		return "not yet valid";
	if (r->replaced)
		return "replaced";
	return r->ends - now <= PKI_SOON_DAYS * DAY_S ? "ends soon" : "good";
}

static json_t *row_json(const struct pki *p, const struct pki_row *r)
{
	char begins[TIME_TEXT_MAX], ends[TIME_TEXT_MAX], file[PKI_FILE_MAX];
	json_t *o = json_pack("{s:s, s:O, s:s, s:s, s:s, s:s}", "name", r->name, "addresses", r->hosts, "serial", r->serial, "begins",
			      time_text(r->begins * 1000, begins), "ends", time_text(r->ends * 1000, ends), "state", state_of(r, now_s()));
	if (!r->replaced) {
		json_object_set_new(o, "cert", json_sprintf("%s/%s", pki_dir(p), pki_file(file, r->name, "pem")));
		json_object_set_new(o, "key", json_sprintf("%s/%s", pki_dir(p), pki_file(file, r->name, "key")));
	}
	return o;
}

static void addresses_text(const json_t *hosts, char *out, size_t cap)
{
	size_t i, len = 0;
	json_t *h;
	*out = '\0';
	json_array_foreach (hosts, i, h) {
		int n = snprintf(out + len, cap - len, "%s%s", i ? "," : "", json_string_value(h));
		len += n > 0 ? (size_t)n : 0;
		if (len >= cap)
			return;
	}
}

static void say_row(struct app *a, const struct pki_row *r)
{
	char ends[TIME_TEXT_MAX], hosts[2048];
	addresses_text(r->hosts, hosts, sizeof(hosts));
	out_line(&a->out, "%s: for %s, until %s, serial %s", r->name, hosts, time_text(r->ends * 1000, ends), r->serial);
	if (r->ends - r->begins < (int64_t)a->opt.days * DAY_S)
		out_line(&a->out, "  not for %d days: the authority ends then", a->opt.days);
}

/* scp -p keeps the key's mode; who dials by IPv6 wants brackets. */
static void say_copy(struct app *a, const struct pki *p, const struct pki_row *r)
{
	char pem[PKI_FILE_MAX], key[PKI_FILE_MAX];
	bool v6 = strchr(r->name, ':');
	pki_file(pem, r->name, "pem");
	pki_file(key, r->name, "key");
	out_line(&a->out, "  scp -p %s/ca.pem %s/%s %s/%s root@%s%s%s:" HOST_DIR "/", pki_dir(p), pki_dir(p), pem, pki_dir(p), key,
		 v6 ? "[" : "", r->name, v6 ? "]" : "");
}

static void say_lines(struct app *a, const struct pki_row *r)
{
	char pem[PKI_FILE_MAX], key[PKI_FILE_MAX];
	out_line(&a->out, "and name them there in shunt.conf:");
	out_line(&a->out, "  tls {");
	out_line(&a->out, "    ca   = \"" HOST_DIR "/ca.pem\"");
	out_line(&a->out, "    cert = \"" HOST_DIR "/%s\"", pki_file(pem, r->name, "pem"));
	out_line(&a->out, "    key  = \"" HOST_DIR "/%s\"", pki_file(key, r->name, "key"));
	out_line(&a->out, "  }");
}

/* shunt-proxy is not root: each copy resets the mode. */
static void say_proxy(struct app *a, const char *key)
{
	out_line(&a->out, "Where shunt-proxy runs, it must be able to read its key: chgrp shunt and chmod 0640 " HOST_DIR "/%s", key);
}

/* ---- the commands ---- */

enum exit_code cmd_pki_init(struct app *a, char **words, int n, struct err *err)
{
	const char *dir = directory(a, words, n, 0, err);
	struct pki *p = NULL;
	char text[TIME_TEXT_MAX];
	int64_t ends;
	if (!dir)
		return EXIT_USAGE;
	int rc = pki_init(dir, now_s(), err);
	if (rc == 0)
		rc = pki_open(&p, dir, false, err);
	if (rc == 0)
		rc = pki_authority_ends(p, &ends, err);
	if (rc == 0) {
		out_line(&a->out, "%s: an authority, until %s", pki_dir(p), time_text(ends * 1000, text));
		out_line(&a->out,
			 "Whoever holds %s/ca.key is obeyed by every host: no host needs it, back it up where only you can read it.",
			 pki_dir(p));
		out_line(&a->out, "Next: shunt pki issue NAME --address ADDRESS%s%s, for each host and for where shunt is run",
			 strcmp(pki_dir(p), PKI_DEFAULT_DIR) ? " --dir " : "", strcmp(pki_dir(p), PKI_DEFAULT_DIR) ? pki_dir(p) : "");
		out_set(&a->out, "dir", json_string(pki_dir(p)));
		out_set(&a->out, "ends", json_string(text));
	}
	pki_close(p);
	return exit_of(rc);
}

enum exit_code cmd_pki_issue(struct app *a, char **words, int n, struct err *err)
{
	const char *dir = directory(a, words, n, 1, err);
	char key[PKI_FILE_MAX];
	struct pki *p = NULL;
	struct pki_row r;
	if (!dir)
		return EXIT_USAGE;
	int rc = pki_open(&p, dir, true, err);
	if (rc == 0)
		rc = pki_issue(p, words[0], a->opt.addresses.w, a->opt.addresses.n, a->opt.days, now_s(), &r, err);
	if (rc == 0) {
		say_row(a, &r);
		out_line(&a->out,
			 "Nothing leaves this host by itself. Where it is for this one, name the files where they are; else copy them,");
		say_copy(a, p, &r);
		say_lines(a, &r);
		say_proxy(a, pki_file(key, r.name, "key"));
		out_set(&a->out, "certificate", row_json(p, &r));
		out_set(&a->out, "ca", json_sprintf("%s/ca.pem", pki_dir(p)));
	}
	pki_close(p);
	return exit_of(rc);
}

static bool is_due(const struct pki_row *r, int64_t now)
{
	return !r->replaced && r->ends - now <= PKI_SOON_DAYS * DAY_S;
}

/* Those named, all of which must be there before the first is made; or those that are due. */
static int renew(struct app *a, struct pki *p, char **words, int n, json_t *list, struct err *err)
{
	int64_t now = now_s();
	size_t count = pki_count(p);
	struct pki_row r;
	int rc = 0;
	for (int i = 0; i < n; i++)
		if (!pki_find(p, words[i], &r))
			return err_set(err, -ENOENT, "%.80s: it has no certificate of this authority (shunt pki list); nothing changed",
				       words[i]);
	for (size_t i = 0; rc == 0 && i < (n ? (size_t)n : count); i++) {
		if (n == 0 && (r = pki_at(p, i), !is_due(&r, now)))
			continue;
		rc = pki_renew(p, n ? words[i] : r.name, a->opt.days, now, &r, err);
		if (rc < 0)
			break;
		say_row(a, &r);
		say_copy(a, p, &r);
		json_array_append_new(list, row_json(p, &r));
	}
	return rc;
}

enum exit_code cmd_pki_renew(struct app *a, char **words, int n, struct err *err)
{
	json_t *list = json_array();
	struct pki *p = NULL;
	int rc = pki_open(&p, a->opt.dir ? a->opt.dir : PKI_DEFAULT_DIR, true, err);
	if (rc == 0)
		rc = renew(a, p, words, n, list, err);
	if (rc == 0 && json_array_size(list) == 0)
		out_line(&a->out, "none of them ends within %d days", PKI_SOON_DAYS);
	if (json_array_size(list)) {
		say_proxy(a, "NAME.key");
		out_line(&a->out, "Then, on each of these hosts: systemctl reload shunt-proxy, shunt-netctl, or both.");
		out_line(&a->out, "The certificates before hold until they end.");
	}
	out_set(&a->out, "renewed", list);
	pki_close(p);
	return exit_of(rc);
}

enum exit_code cmd_pki_list(struct app *a, char **words, int n, struct err *err)
{
	const char *dir = directory(a, words, n, 0, err);
	char text[TIME_TEXT_MAX], hosts[2048];
	struct pki *p = NULL;
	int64_t ends, now = now_s();
	if (!dir)
		return EXIT_USAGE;
	int rc = pki_open(&p, dir, false, err);
	if (rc == 0)
		rc = pki_authority_ends(p, &ends, err);
	if (rc < 0) {
		pki_close(p);
		return exit_of(rc);
	}
	json_t *list = json_array();
	out_line(&a->out, "%-24s %-13s until %s", "the authority", ends <= now ? "expired" : "good", time_text(ends * 1000, text));
	out_set(&a->out, "ends", json_string(text));
	for (size_t i = 0; i < pki_count(p); i++) {
		struct pki_row r = pki_at(p, i);
		addresses_text(r.hosts, hosts, sizeof(hosts));
		out_line(&a->out, "%-24s %-13s until %s  %s  %s", r.name, state_of(&r, now), time_text(r.ends * 1000, text), r.serial,
			 hosts);
		json_array_append_new(list, row_json(p, &r));
	}
	out_set(&a->out, "certificates", list);
	pki_close(p);
	return EXIT_DONE;
}
