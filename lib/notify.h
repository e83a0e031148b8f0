#pragma once
/* notify - a line for the service manager (sd_notify(3) without its library): READY=1, RELOADING=1, STOPPING=1. Nothing without
 * NOTIFY_SOCKET. */
void notify(const char *state);
