#pragma once
/* kill - where tests crash: with --enable-test-kill and SHUNT_TEST_KILL=netctl:N the Nth point that is reached is as far as the process
 * gets. */
#include "config.h"

#ifdef SHUNT_TEST_KILL
void kill_point(const char *where);
#else
static inline void kill_point(const char *where)
{
	(void)where;
}
#endif
