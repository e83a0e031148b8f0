/* Any line to a control socket: a request with all that the header promises of one, or refused with a reason. */
#include "lib/ctl.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	json_t *request = NULL;
	int rc = ctl_parse_line(&request, (const char *)data, size, &err);
	if (rc == 0) {
		const json_t *id = json_object_get(request, "id");
		if (!json_is_string(json_object_get(request, "cmd")) || (id && !json_is_string(id)))
			abort();
	} else if (!err.text[0]) {
		abort();
	}
	json_decref(request);
	return 0;
}
