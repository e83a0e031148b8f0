/* Metrics of the certificates that the configuration of this host names; those of other hosts are seen where they live, and those of sites
 * by shunt check. What counts is the file: a daemon that has not read it again since still shows the one before. */
#include "control/metrics.h"

#include "control/pki_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PEM_MAX (1 << 20) /* of a bundle */

/* When the first of all certificates in the file ends; NAN: it cannot be read, or has none. */
static double ends_of(const char *path)
{
	int64_t ends;
	double at = NAN;
	FILE *f = fopen(path, "re");
	char *pem = f ? malloc(PEM_MAX) : NULL;
	if (pem) {
		pem[fread(pem, 1, PEM_MAX - 1, f)] = '\0';
		if (pki_certs_end(pem, &ends, NULL) == 0)
			at = (double)ends;
	}
	free(pem);
	if (f)
		fclose(f);
	return at;
}

void metrics_certs(struct app *a, struct expo *e)
{
	const struct {
		const char *section, *key, *path;
	} files[] = {{"tls", "cert", a->conf->tls.cert}, {"tls", "ca", a->conf->tls.ca}, {"serve", "cert", a->conf->serve.cert}};
	double ends[3];
	for (size_t i = 0; i < 3; i++)
		ends[i] = files[i].path ? ends_of(files[i].path) : NAN;
	expo_family(e, "shunt_certificate_readable", EXPO_GAUGE,
		    "Whether that file of the configuration could be read and has a certificate; absent where none is configured.");
	for (size_t i = 0; i < 3; i++) {
		if (files[i].path)
			expo_sample(e, EXPO_LABELS({"section", files[i].section}, {"key", files[i].key}), !isnan(ends[i]));
	}
	expo_family(e, "shunt_certificate_expiry_timestamp_seconds", EXPO_GAUGE,
		    "When the first certificate in that file of the configuration ends.");
	for (size_t i = 0; i < 3; i++) {
		if (!isnan(ends[i]))
			expo_sample(e, EXPO_LABELS({"section", files[i].section}, {"key", files[i].key}), ends[i]);
	}
}
