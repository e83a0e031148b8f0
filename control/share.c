#include "control/share.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void share_file(int fd, const char *path)
{
	char copy[4096];
	struct stat dir;
	snprintf(copy, sizeof(copy), "%s", path);
	if (stat(dirname(copy), &dir) < 0 || !(dir.st_mode & S_IXGRP))
		return;
	if (fchown(fd, (uid_t)-1, dir.st_gid) == 0)
		(void)!fchmod(fd, 0640);
}
