/* shunt - the operator's command. */
#include "control/cmd.h"
#include "lib/log.h"

#include <signal.h>

int main(int argc, char **argv)
{
	log_open("shunt");
	log_level(LEVEL_WARN);
	signal(SIGPIPE, SIG_IGN);
	return cmd_main(argc, argv);
}
