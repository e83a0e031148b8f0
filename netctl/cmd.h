#pragma once
/* cmd - the command line of shunt-netctl (DESIGN 7). Exit codes as exits.h. */
int cmd_main(int argc, char **argv);
