#pragma once
/* cmd - the command line of shunt-dnsupdate: it does by itself what it is asked for; a daemon may run beside it. */
int cmd_main(int argc, char **argv); /* the whole program; an exit code */
