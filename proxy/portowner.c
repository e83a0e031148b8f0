#include "proxy/portowner.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_STATE_LISTEN 0x0a /* include/net/tcp_states.h */
#define INODES_MAX       64   /* sockets of one port: a SO_REUSEPORT server has one per worker */

struct owners {
	unsigned long inode[INODES_MAX];
	size_t n;
	unsigned long uid; /* of the first */
};

/* The kernel prints an address as 32-bit words in the byte order of the machine, in hex. */
static bool parse_ip(const char *hex, size_t len, struct addr *a)
{
	uint32_t word[4];
	char one[9] = "";
	memset(a, 0, sizeof *a);
	for (size_t i = 0; i < len / 8; i++) {
		memcpy(one, hex + i * 8, 8);
		word[i] = (uint32_t)strtoul(one, NULL, 16);
	}
	if (len == 8) {
		a->v4.sin_family = AF_INET;
		memcpy(&a->v4.sin_addr, word, 4);
		return true;
	}
	if (len != 32)
		return false;
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	memcpy(&v6.sin6_addr, word, 16);
	return addr_from_sockaddr(a, (const struct sockaddr *)&v6); /* ::ffff:192.0.2.1 stands in the way of 192.0.2.1 */
}

/* A line is "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ..."; what does not look so is passed over. */
static bool parse_line(const char *line, struct addr *local, unsigned long *uid, unsigned long *inode)
{
	char ip[33];
	unsigned port, state;
	if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%4x %*[0-9A-Fa-f]:%*x %2x %*x:%*x %*x:%*x %*x %lu %*u %lu", ip, &port, &state, uid, inode) !=
	    5)
		return false;
	if (state != TCP_STATE_LISTEN || *inode == 0 || !parse_ip(ip, strlen(ip), local))
		return false;
	addr_set_port(local, (uint16_t)port);
	return true;
}

static bool in_the_way(const struct addr *has, const struct addr *want)
{
	if (addr_port(has) != addr_port(want))
		return false;
	if (addr_family(has) == addr_family(want))
		return addr_same_ip(has, want) || addr_is_any(has) || addr_is_any(want);
	/* Of two families only :: can clash, being both unless it is IPV6_V6ONLY, which /proc does not say. */
	return addr_is_any(addr_family(has) == AF_INET6 ? has : want);
}

/* Adds the listeners of one table that are in the way, of the family of a or of the other. */
static int scan_table(const char *path, const struct addr *a, bool same_family, struct owners *o)
{
	FILE *f = fopen(path, "re");
	char line[512];
	if (!f)
		return -errno;
	while (fgets(line, sizeof line, f)) {
		struct addr local;
		unsigned long uid, inode;
		if (!parse_line(line, &local, &uid, &inode) || !in_the_way(&local, a))
			continue;
		if ((addr_family(&local) == addr_family(a)) != same_family)
			continue;
		if (o->n == 0)
			o->uid = uid;
		if (o->n < INODES_MAX)
			o->inode[o->n++] = inode;
	}
	fclose(f);
	return 0;
}

static bool is_wanted(const struct owners *o, const char *link)
{
	unsigned long inode;
	char end;
	if (sscanf(link, "socket:[%lu%c", &inode, &end) != 2 || end != ']')
		return false;
	for (size_t i = 0; i < o->n; i++)
		if (o->inode[i] == inode)
			return true;
	return false;
}

static bool holds(int proc, const char *pid, const struct owners *o)
{
	char path[NAME_MAX + 8], link[64];
	struct dirent *d;
	bool found = false;
	snprintf(path, sizeof path, "%s/fd", pid);
	int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) { /* gone meanwhile, or not ours to see */
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!found && (d = readdir(dir))) {
		ssize_t n = readlinkat(fd, d->d_name, link, sizeof link - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		found = is_wanted(o, link);
	}
	closedir(dir);
	return found;
}

static long parent_of(int proc, long pid)
{
	char path[32], text[512];
	long parent = 0;
	snprintf(path, sizeof path, "%ld/stat", pid);
	int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	char *end = strrchr(text, ')'); /* a name may hold brackets and blanks */
	return end && sscanf(end + 1, " %*c %ld", &parent) == 1 ? parent : 0;
}

/* A name is up to 15 bytes of the process's own choosing. */
static void name_of(int proc, long pid, char *out, size_t cap)
{
	char path[32];
	snprintf(path, sizeof path, "%ld/comm", pid);
	int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		n = 0;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = '?';
}

struct holders {
	long first; /* 0: none seen */
	unsigned more;
};

/* Of a master and its workers the master is the one to name: it is the one to stop. Without other signs that is the parent. */
static void add_holder(int proc, struct holders *h, long pid)
{
	if (!h->first) {
		h->first = pid;
		return;
	}
	h->more++;
	if (parent_of(proc, h->first) == pid)
		h->first = pid;
}

static struct holders find_holders(int proc, const struct owners *o)
{
	struct holders h = {0};
	struct dirent *d;
	int fd = fcntl(proc, F_DUPFD_CLOEXEC, 3);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return h;
	}
	while ((d = readdir(dir)))
		if (isdigit((unsigned char)d->d_name[0]) && holds(proc, d->d_name, o))
			add_holder(proc, &h, strtol(d->d_name, NULL, 10));
	closedir(dir);
	return h;
}

static void describe_user(unsigned long uid, char *out, size_t cap)
{
	char buf[1024];
	struct passwd pw, *found = NULL;
	if (getpwuid_r((uid_t)uid, &pw, buf, sizeof buf, &found) == 0 && found)
		snprintf(out, cap, "uid %lu (%s)", uid, found->pw_name);
	else
		snprintf(out, cap, "uid %lu", uid);
}

int portowner_describe(const struct addr *a, char *out, size_t cap)
{
	static const char *const table[] = {"/proc/net/tcp", "/proc/net/tcp6"};
	struct owners o = {0};
	char name[64];
	int rc = -ENOENT;

	if (cap)
		out[0] = '\0';
	/* An IPv4 server and a V6ONLY one may share a port: whoever is of our own family is the likelier one to blame. */
	for (int same_family = 1; o.n == 0 && same_family >= 0; same_family--)
		for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
			int failed = scan_table(table[i], a, same_family, &o);
			if (failed < 0 && failed != -ENOENT) /* without IPv6 there is no tcp6 */
				rc = failed;
		}
	if (o.n == 0)
		return rc;
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct holders h = proc < 0 ? (struct holders){0} : find_holders(proc, &o);
	if (h.first) {
		name_of(proc, h.first, name, sizeof name);
		int n = snprintf(out, cap, "pid %ld (%s)", h.first, name);
		if (h.more && n > 0 && (size_t)n < cap)
			snprintf(out + n, cap - (size_t)n, " and %u more", h.more);
	} else {
		describe_user(o.uid, out, cap);
	}
	if (proc >= 0)
		close(proc);
	return 0;
}
