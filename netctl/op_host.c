/* The kind sysctl: one value below net., as sysctl(8) writes it ("net.ipv4.conf.eth0.rp_filter"; an interface with a dot in its name:
 * "net/ipv4/conf/eth0.100/rp_filter", or with "/" in the place of that dot).
 * Switching forwarding for all interfaces overwrites the switch of each, and IPv4's accept_redirects: the undo brings those back as well.
 * Not kept: default routes learnt from router advertisements, which IPv6 drops when forwarding goes on while accept_ra is 1. */
#include "netctl/op.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_LEN  256
#define VALUE_LEN 1024

/* Below /proc/sys/; false where the key is none of the network's. The first separator of the two decides which one is meant. */
static bool path_of(const char *key, char out[PATH_LEN])
{
	bool dots = key[strcspn(key, "./")] == '.';
	size_t len = strlen(key);

	if (len >= PATH_LEN - 16 || strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/@:+") != len)
		return false;
	strcpy(out, "/proc/sys/");
	char *to = out + strlen(out), *name = to;
	for (const char *p = key; *p; p++)
		*to++ = !dots ? *p : *p == '.' ? '/' : *p == '/' ? '.' : *p;
	*to = '\0';
	return strncmp(name, "net/", 4) == 0 && !strstr(name, "//") && !strstr(name, "/../") && !strstr(name, "/./") && to[-1] != '/' &&
	       strcmp(to - 2, "..") != 0 && strcmp(to - 2, "/.") != 0;
}

/* Values of several numbers are told apart by tabs, and written with blanks: one blank between them. */
static void even(const char *in, char out[VALUE_LEN])
{
	size_t at = 0;

	for (bool gap = false; *in && at + 2 < VALUE_LEN; in++) {
		if (isspace((unsigned char)*in)) {
			gap = at > 0;
			continue;
		}
		if (gap)
			out[at++] = ' ';
		gap = false;
		out[at++] = *in;
	}
	out[at] = '\0';
}

static int read_value(const char *key, char out[VALUE_LEN], struct err *err)
{
	char path[PATH_LEN], raw[VALUE_LEN];

	if (!path_of(key, path))
		return err_set(err, -EINVAL, "found key \"%.80s\", expected one of net.", key);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? err_set(err, -ENOENT, "this kernel has no %s", path)
				       : err_errno(err, -errno, "cannot open %s", path);
	ssize_t n = read(fd, raw, sizeof(raw) - 1);
	int rc = n < 0 ? err_errno(err, -errno, "cannot read %s", path) : 0;
	close(fd);
	raw[n < 0 ? 0 : n] = '\0';
	even(raw, out);
	return rc;
}

static int sysctl_check(json_t *op, struct err *err)
{
	const char *key, *value, *state = op_string(op, "state");
	char path[PATH_LEN];

	if (op_need(op, "key", &key, err) < 0 || op_need(op, "value", &value, err) < 0)
		return -EINVAL;
	if (json_object_size(op) != 3 + (state != NULL))
		return err_set(err, -EINVAL, "op \"sysctl\": found more than \"key\" and \"value\"");
	if (op_absent(op))
		return err_set(err, -EINVAL, "op \"sysctl\": found \"state\" absent, but a value can only be another");
	if (!path_of(key, path))
		return err_set(err, -EINVAL, "op \"sysctl\": found \"key\" \"%.80s\", expected one below net.", key);
	if (!*value || strlen(value) >= VALUE_LEN - 2 || strpbrk(value, "\n\r"))
		return err_set(err, -EINVAL, "op \"sysctl\": found \"value\" \"%.80s\", expected one line", value);
	return 0;
}

static bool is_so(const char *found, const char *value)
{
	char want[VALUE_LEN];

	even(value, want);
	return strcmp(found, want) == 0;
}

static int append(json_t *undo, const char *key, const char *value, struct err *err)
{
	if (json_array_append_new(undo, json_pack("{s:s,s:s,s:s}", "op", "sysctl", "key", key, "value", value)) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* ---- the switch that turns others ---- */

/* One that putting back the switch will not leave as it is now. */
static int keep_if(const char *key, const char *after, json_t *undo, struct err *err)
{
	char now[VALUE_LEN];
	struct err unused;

	if (read_value(key, now, &unused) < 0 || strcmp(now, after) == 0)
		return 0; /* it may go while we look */
	return append(undo, key, now, err);
}

static int keep_switches(const char *family, const char *former, json_t *undo, struct err *err)
{
	char path[PATH_LEN], key[PATH_LEN + 300];
	struct dirent *e;
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf", family);
	DIR *d = opendir(path);
	while (rc == 0 && d && (e = readdir(d))) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, "all") == 0)
			continue;
		snprintf(key, sizeof(key), "net/%s/conf/%s/forwarding", family, e->d_name);
		rc = keep_if(key, former, undo, err);
	}
	if (d)
		closedir(d);
	if (rc == 0 && strcmp(family, "ipv4") == 0)
		rc = keep_if("net/ipv4/conf/all/accept_redirects", strcmp(former, "0") == 0 ? "1" : "0", undo, err);
	return rc;
}

static int sysctl_undo(struct world *w, json_t *op, json_t *undo, struct err *err)
{
	const char *key = op_string(op, "key");
	char former[VALUE_LEN], path[PATH_LEN];
	int rc = read_value(key, former, err);

	(void)w;
	if (rc < 0 || is_so(former, op_string(op, "value")))
		return rc;
	rc = append(undo, key, former, err);
	path_of(key, path);
	const char *name = path + strlen("/proc/sys/");
	if (rc == 0 && (strcmp(name, "net/ipv4/ip_forward") == 0 || strcmp(name, "net/ipv4/conf/all/forwarding") == 0))
		return keep_switches("ipv4", former, undo, err);
	if (rc == 0 && strcmp(name, "net/ipv6/conf/all/forwarding") == 0)
		return keep_switches("ipv6", former, undo, err);
	return rc;
}

static int sysctl_apply(struct world *w, json_t *op, struct err *err)
{
	const char *key = op_string(op, "key"), *value = op_string(op, "value");
	char path[PATH_LEN], found[VALUE_LEN];
	int rc = read_value(key, found, err);

	(void)w;
	if (rc < 0 || is_so(found, value)) /* writing the same may still turn other switches */
		return rc;
	path_of(key, path);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value)) {
		close(fd);
		return 0;
	}
	rc = -errno;
	if (fd >= 0)
		close(fd);
	if (rc == -EROFS)
		return err_set(err, rc, "%s is read-only here (a container?)", path);
	if (rc == -EPERM || rc == -EACCES)
		return err_set(err, rc, "cannot write %s: needs root (CAP_NET_ADMIN)", path);
	return err_errno(err, rc, "%s does not take \"%.80s\"", path, value);
}

static int sysctl_verify(struct world *w, json_t *op, struct err *err)
{
	char found[VALUE_LEN];
	int rc = read_value(op_string(op, "key"), found, err);

	(void)w;
	if (rc == 0 && !is_so(found, op_string(op, "value")))
		rc = err_set(err, -ENOENT, "found the value %.200s", found);
	return rc;
}

static void sysctl_text(json_t *op, char *out, size_t cap)
{
	const char *value = op_string(op, "value");

	snprintf(out, cap, strpbrk(value, " \t") ? "sysctl -w %s=\"%s\"" : "sysctl -w %s=%s", op_string(op, "key"), value);
}

const struct op_kind op_sysctl = {"sysctl", sysctl_check, sysctl_undo, sysctl_apply, sysctl_verify, sysctl_text};
