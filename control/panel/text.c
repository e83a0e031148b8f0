#include "control/panel/text.h"

static const char *const catalogue[N_TEXTS] = {
#define TEXT(name, words) [name] = (words),
#include "control/panel/text_en.h"
#undef TEXT
};

const char *text(enum text t)
{
	return catalogue[t];
}
