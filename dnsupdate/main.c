/* shunt-dnsupdate - plan, push, verify and undo DNS records. */
#include "dnsupdate/cmd.h"

#include "lib/kill.h"
#include "lib/log.h"

#include <signal.h>

int main(int argc, char **argv)
{
	log_open("shunt-dnsupdate");
	kill_points_of("dnsupdate");
	signal(SIGPIPE, SIG_IGN);
	return cmd_main(argc, argv);
}
