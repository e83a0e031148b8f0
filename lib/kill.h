#pragma once
/* kill - where tests crash: with --enable-test-kill and SHUNT_TEST_KILL=netctl:N the Nth point that is reached is as far as the process
 * gets. A process that inherits the environment of who starts it has a name of its own: "netctl:5,guard:3" is for both. */
#include "config.h"

#ifdef SHUNT_TEST_KILL
void kill_points_of(const char *process); /* borrows static text; before it no point of the process counts */
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
