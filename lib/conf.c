/* From a file to a struct conf: the form is checked (conf_scan.c), libconfuse makes a tree in which every value is its text and its line,
 * and the tables (conf_table.c) say which field it fills and what is expected of it. libconfuse's callbacks carry no pointer of ours, hence
 * `reading`. */
#include "lib/conf.h"

#include "lib/conf_parts.h"
#include "lib/log.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX    (1u << 20)
#define OPTS_MAX    64 /* keys and sub-sections of one section */
#define TITLE_MAX   64
#define TITLE_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define TABLES_MAX  16 /* sections in all */

struct value {
	int line;
	char text[];
};

struct reading {
	const char *file;
	struct err *err;
	int rc;
	struct conf_scan scan;
	size_t ended; /* sections */
	int tls_line; /* of the first tls:// address */
	cfg_opt_t opts[TABLES_MAX][OPTS_MAX];
	size_t n_tables;
};
static _Thread_local struct reading *reading;

/* ---- libconfuse's side ---- */

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	struct value *v = malloc(sizeof(*v) + strlen(text) + 1);

	(void)opt;
	if (!v)
		return -1;
	v->line = cfg->line;
	strcpy(v->text, text);
	*(void **)result = v;
	return 0;
}

/* A section has ended. libconfuse knows where; the scan knew where it began. */
static int on_section(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);

	(void)cfg;
	if (section && reading->ended < reading->scan.n)
		section->line = reading->scan.lines[reading->ended++];
	return 0;
}

/* What may stand in a section, for people. */
static const char *known(const cfg_t *cfg, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "one of ");

	for (const cfg_opt_t *o = cfg->opts; o->name && n < cap; o++)
		n += (size_t)snprintf(out + n, cap - n, "%s%s%s", o == cfg->opts ? "" : ", ", o->name, o->type == CFGT_SEC ? " { }" : "");
	return out;
}

/* What is left for libconfuse to find wrong: keys that are not in the tables, lists where there should be none, titles.
 * It names the key between single quotes. */
static void __attribute__((format(printf, 2, 0))) on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	static const struct {
		const char *said, *found, *expected, *advice;
	} rows[] = {
		{"no such option", "", NULL, "correct or remove it"},
		{"missing equal sign", "a section made of the key ", "KEY = VALUE", "write \"=\" and a value"},
		{"missing title", "no title behind ", "a title before \"{\"", "give it a name in quotes"},
		{"missing opening brace", "something else than \"{\" behind ", "SECTION { ... }", "write no \"=\" and no title there"},
		{"found duplicate title", "a second section named ", "each name once", "give one of them another name"},
		{"unexpected token", "", "one value without braces", "remove the braces"},
		{"", "", "KEY = VALUE or SECTION { ... }", "correct it"},
	};
	char said[512], quoted[260], in[80], list[700], found[600];

	if (reading->rc < 0)
		return; /* the first error is the cause, the others are its traces */
	vsnprintf(said, sizeof(said), fmt, ap);
	char *open = strchr(said, '\''), *close = strrchr(said, '\'');
	const char *key = open && close > open ? open + 1 : said;
	size_t i = 0;

	log_quote(quoted, sizeof(quoted), key, key == said ? strlen(said) : (size_t)(close - key));
	while (strncmp(said, rows[i].said, strlen(rows[i].said)) != 0)
		i++;
	snprintf(in, sizeof(in), "%s%s", strcmp(cfg->name, "root") == 0 ? "the file" : "section ",
		 strcmp(cfg->name, "root") == 0 ? "" : cfg->name);
	snprintf(found, sizeof(found), "%s%s in %s", rows[i].found, quoted, in);
	reading->rc = err_set(reading->err, -EINVAL, "%s:%d: found %s, expected %s, %s", reading->file, cfg->line, found,
			      rows[i].expected ? rows[i].expected : known(cfg, list, sizeof(list)), rows[i].advice);
}

static cfg_opt_t *options_of(const struct conf_key *keys, const struct conf_section *subs)
{
	cfg_opt_t *opts = reading->opts[reading->n_tables++], *o = opts;

	for (; keys && keys->name; keys++) {
		cfg_opt_t single = CFG_PTR_CB(keys->name, NULL, CFGF_NODEFAULT, on_value, free);
		cfg_opt_t list = CFG_PTR_LIST_CB(keys->name, NULL, CFGF_NODEFAULT, on_value, free);

		*o++ = conf_is_list(keys) ? list : single;
	}
	for (; subs && subs->name; subs++) {
		cfg_flag_t flags = CFGF_MULTI | CFGF_NODEFAULT | (subs->titled ? CFGF_TITLE | CFGF_NO_TITLE_DUPES : 0);
		cfg_opt_t section = CFG_SEC(subs->name, options_of(subs->keys, subs->subs), flags);

		section.validcb = on_section;
		*o++ = section;
	}
	*o = (cfg_opt_t)CFG_END();
	return opts;
}

/* ---- filling ---- */

static int fill(const struct conf_section *sections, cfg_t *tree, void *base);

static int bad_value(const struct conf_key *k, const struct value *v)
{
	char expected[CONF_TEXT_MAX];

	return err_set(reading->err, -EINVAL, "%s:%d: found %s = %s, expected %s, %s", reading->file, v->line, k->name,
		       LOG_QUOTED(v->text, strlen(v->text)), conf_expected(k, expected), k->hint ? k->hint : "correct the value");
}

static int fill_key(const struct conf_section *s, const struct conf_key *k, cfg_t *tree, void *base)
{
	cfg_opt_t *opt = cfg_getopt(tree, k->name);
	unsigned n = cfg_opt_size(opt);
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < n; i++) {
		const struct value *v = cfg_opt_getnptr(opt, i);

		if (!v)
			continue;
		rc = conf_set(k, base, v->text, v->line);
		if (rc == -EINVAL)
			return bad_value(k, v);
		if ((k->kind == KIND_PEER || k->kind == KIND_LISTEN) && strncmp(v->text, "tls:", 4) == 0 &&
		    (!reading->tls_line || v->line < reading->tls_line))
			reading->tls_line = v->line;
	}
	if (n == 0 && k->required)
		return err_set(reading->err, -EINVAL, "%s:%d: found the section %s without %s, expected %s, add it", reading->file,
			       tree->line, s->name, k->name, conf_expected(k, (char[CONF_TEXT_MAX]){0}));
	return rc < 0 ? err_set(reading->err, rc, "%s: out of memory", reading->file) : 0;
}

static int fill_section(const struct conf_section *s, cfg_t *tree, void *base)
{
	int rc = 0;

	if (s->present_at != CONF_NOWHERE)
		*(bool *)conf_field(base, s->present_at) = true;
	if (s->line_at != CONF_NOWHERE)
		*(int *)conf_field(base, s->line_at) = tree->line;
	if (s->titled) {
		const char *written = cfg_title(tree);
		size_t len = strlen(written);
		char *title;

		if (len == 0 || len > TITLE_MAX || strspn(written, TITLE_CHARS) != len)
			return err_set(reading->err, -EINVAL,
				       "%s:%d: found %s %s, expected a name of letters, digits, and . _ -, at most %d, correct it",
				       reading->file, tree->line, s->name, LOG_QUOTED(written, len), TITLE_MAX);
		title = strdup(written);
		if (!title)
			return err_set(reading->err, -ENOMEM, "%s: out of memory", reading->file);
		memcpy(conf_field(base, s->title_at), &title, sizeof(title));
	}
	for (const struct conf_key *k = s->keys; rc == 0 && k->name; k++)
		rc = fill_key(s, k, tree, base);
	return rc == 0 && s->subs ? fill(s->subs, tree, base) : rc;
}

static int defaults(const struct conf_section *s, void *base)
{
	for (const struct conf_key *k = s->keys; k->name; k++)
		if (k->dflt && conf_set(k, base, k->dflt, 0) < 0)
			return err_set(reading->err, -ENOMEM, "%s: out of memory", reading->file);
	return 0;
}

static int fill(const struct conf_section *sections, cfg_t *tree, void *base)
{
	for (const struct conf_section *s = sections; s->name; s++) {
		unsigned n = cfg_size(tree, s->name);
		char *own = conf_field(base, s->at);
		int rc = s->many ? 0 : defaults(s, own);

		if (rc == 0 && n > 1 && !s->many)
			return err_set(reading->err, -EINVAL, "%s:%d: found a second section %s, expected one, put them together",
				       reading->file, cfg_getnsec(tree, s->name, 1)->line, s->name);
		if (s->many && n) {
			own = calloc(n, s->size);
			if (!own)
				return err_set(reading->err, -ENOMEM, "%s: out of memory", reading->file);
			memcpy(conf_field(base, s->at), &own, sizeof(own));
			*(size_t *)conf_field(base, s->count_at) = n;
		}
		for (unsigned i = 0; rc == 0 && i < n; i++) {
			void *one = own + i * s->size;

			if (s->many)
				rc = defaults(s, one);
			if (rc == 0)
				rc = fill_section(s, cfg_getnsec(tree, s->name, i), one);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- the way in ---- */

static int read_tree(struct conf *c, char *text)
{
	cfg_t *tree = cfg_init(options_of(NULL, conf_sections), CFGF_NONE);
	int rc = 0;

	if (!tree)
		return err_set(reading->err, -ENOMEM, "%s: out of memory", reading->file);
	cfg_set_error_function(tree, on_error);
	if (cfg_parse_buf(tree, text) != CFG_SUCCESS || reading->rc < 0)
		rc = reading->rc < 0 ? reading->rc : err_set(reading->err, -EINVAL, "%s: cannot be read", reading->file);
	if (rc == 0)
		rc = fill(conf_sections, tree, c);
	c->tls.needed_line = reading->tls_line;
	cfg_free(tree);
	return rc;
}

static int parse(struct conf **out, const char *name, const char *bytes, size_t len, struct err *err)
{
	struct conf *c = calloc(1, sizeof(*c));
	char *text = malloc(len + 2);
	const char *nul = memchr(bytes, '\0', len);
	struct err own = {0};
	int rc;

	*out = NULL;
	reading = calloc(1, sizeof(*reading));
	if (!err)
		err = &own;
	if (!c || !text || !reading || !(c->file = strdup(name))) {
		rc = err_set(err, -ENOMEM, "%s: out of memory", name);
		goto out;
	}
	reading->file = name;
	reading->err = err;
	if (nul) {
		int line = 1;

		for (const char *p = bytes; p < nul; p++)
			line += *p == '\n';
		rc = err_set(err, -EINVAL, "%s:%d: found a NUL byte, expected text, remove it", name, line);
		goto out;
	}
	memcpy(text, bytes, len);
	strcpy(text + len, len && bytes[len - 1] == '\n' ? "" : "\n");
	rc = conf_scan(&reading->scan, name, text, err);
	if (rc == 0)
		rc = read_tree(c, text);
	if (rc == 0)
		rc = conf_check(c, err);
	if (rc == 0) {
		*out = c;
		c = NULL;
	}
out:
	if (reading)
		free(reading->scan.lines);
	free(reading);
	reading = NULL;
	free(text);
	conf_free(c);
	return rc;
}

int conf_parse(struct conf **out, const char *name, const char *text, struct err *err)
{
	return parse(out, name, text, strlen(text), err);
}

static int read_file(int fd, const char *file, char **bytes, size_t *len, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, -errno, "cannot read %s", file);
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EISDIR, "%s: found a directory, expected a configuration file, name the file itself", file);
	if (S_ISFIFO(st.st_mode))
		return err_set(err, -EINVAL, "%s: found a pipe, expected a configuration file, write it to a file first", file);
	*bytes = malloc(FILE_MAX + 1);
	if (!*bytes)
		return err_set(err, -ENOMEM, "%s: out of memory", file);
	for (*len = 0; *len <= FILE_MAX;) {
		ssize_t n = read(fd, *bytes + *len, FILE_MAX + 1 - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, -errno, "cannot read %s", file);
		if (n == 0)
			return 0;
		*len += (size_t)n;
	}
	return err_set(err, -EFBIG, "%s: found more than 1 MiB, expected a configuration file", file);
}

int conf_load(struct conf **out, const char *file, struct err *err)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc; /* a pipe must not make us wait for its writer */
	char *bytes = NULL;
	size_t len = 0;

	*out = NULL;
	if (fd < 0)
		return err_errno(err, -errno, "cannot open %s", file);
	rc = read_file(fd, file, &bytes, &len, err);
	close(fd);
	if (rc == 0)
		rc = parse(out, file, bytes, len, err);
	free(bytes);
	return rc;
}

static void free_sections(const struct conf_section *sections, void *base)
{
	for (const struct conf_section *s = sections; s->name; s++) {
		char *own = conf_field(base, s->at), *title;
		size_t n = s->many ? *(size_t *)conf_field(base, s->count_at) : 1;

		if (s->many)
			memcpy(&own, conf_field(base, s->at), sizeof(own));
		for (size_t i = 0; i < n; i++) {
			void *one = own + i * s->size;

			for (const struct conf_key *k = s->keys; k->name; k++)
				conf_unset(k, one);
			if (s->titled) {
				memcpy(&title, conf_field(one, s->title_at), sizeof(title));
				free(title);
			}
			if (s->subs)
				free_sections(s->subs, one);
		}
		if (s->many)
			free(own);
	}
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	free_sections(conf_sections, c);
	free(c->file);
	free(c);
}
