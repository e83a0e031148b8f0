#pragma once
/* kill - where tests crash: with --enable-test-kill and SHUNT_TEST_KILL=netctl:N the Nth point that is reached is as far as the process
 * gets. guard:N is the same for a guard, which inherits the environment of who starts it ("netctl:5,guard:3": both). */
#include "config.h"

#ifdef SHUNT_TEST_KILL
void kill_points_of(const char *process); /* "netctl" unless told */
void kill_point(const char *where);
#else
static inline void kill_points_of(const char *process)
{
	(void)process;
}
static inline void kill_point(const char *where)
{
	(void)where;
}
#endif
