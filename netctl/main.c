/* shunt-netctl - interception, addresses and routes of one host. */
#include "netctl/cmd.h"

#include "lib/kill.h"
#include "lib/log.h"

#include <signal.h>

int main(int argc, char **argv)
{
	log_open("shunt-netctl");
	kill_points_of("netctl");
	signal(SIGPIPE, SIG_IGN);
	return cmd_main(argc, argv);
}
