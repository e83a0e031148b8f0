#pragma once
/* text - every word of the panel, in one catalogue: text_en.h. Another language is another such file. %s is a value; there is nothing else
 * to be replaced in them. */
enum text {
#define TEXT(name, words) name,
#include "control/panel/text_en.h"
#undef TEXT
	N_TEXTS
};
const char *text(enum text t);
