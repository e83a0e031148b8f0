#pragma once
/* share - who may look at the state: whoever may look at the directory that it is in. Members of the directory's group, which is `shunt`
 * where the packages have made it, can run what only reads (status, log, report, account list); nobody but the owner can write. */

void share_file(int fd, const char *path); /* just made, of path; where it cannot be done it stays the owner's alone */
