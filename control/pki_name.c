/* Names that a certificate, a shell and a file's name all bear. */
#include "control/pki_parts.h"
#include "lib/addr.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A host name of letters, digits, "-" and "_": what the certificates' syntax and a file's name both bear. */
static bool is_host_name(const char *s)
{
	size_t label = 0, len = strlen(s);
	bool digits = true; /* of the last label: 999.0.0.1 is no name */
	for (const char *p = s; *p; p++) {
		if (*p == '.') {
			if (label == 0 || p[-1] == '-')
				return false;
			label = 0;
			digits = true;
			continue;
		}
		if (!(isalnum((unsigned char)*p) || *p == '_' || (*p == '-' && label)) || ++label > 63)
			return false;
		digits = digits && isdigit((unsigned char)*p);
	}
	return len && len <= PKI_HOST_LEN && label && s[len - 1] != '-' && !digits;
}

int pki_canon(char out[PKI_HOST_LEN + 1], const char *text, struct err *err)
{
	char address[ADDR_TEXT_MAX];
	struct addr a;
	size_t len = strlen(text);
	if (!strchr(text, '%') && addr_parse(&a, text) && !addr_is_any(&a)) {
		snprintf(out, PKI_HOST_LEN + 1, "%s", addr_text(&a, address));
		return 0;
	}
	if (len && text[len - 1] == '.')
		len--;
	snprintf(out, PKI_HOST_LEN + 1, "%.*s", (int)len, text);
	for (char *p = out; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return len <= PKI_HOST_LEN && is_host_name(out)
		       ? 0
		       : err_set(err, -EINVAL, "found \"%.80s\", expected a host name or an address", text);
}

int pki_canon_name(char out[PKI_HOST_LEN + 1], const char *text, struct err *err)
{
	int rc = pki_canon(out, text, err);
	if (rc < 0)
		return rc;
	if (strlen(out) > PKI_NAME_LEN)
		return err_set(err, -EINVAL,
			       "%s: found %zu characters, expected at most %d: give a shorter name, and this one as --address", out,
			       strlen(out), PKI_NAME_LEN);
	if (strcmp(out, "ca") == 0)
		return err_set(err, -EINVAL, "ca: expected another name, ca.pem is the authority's");
	return 0;
}

json_t *pki_canon_hosts(const char *name, const char *const *hosts, size_t n, struct err *err)
{
	json_t *list = json_array();
	char one[PKI_HOST_LEN + 1];
	if (n >= PKI_HOSTS_MAX) {
		err_set(err, -EINVAL, "found %zu addresses, expected less than %d", n, PKI_HOSTS_MAX);
		json_decref(list);
		return NULL;
	}
	json_array_append_new(list, json_string(name));
	for (size_t i = 0; i < n; i++) {
		if (pki_canon(one, hosts[i], err) < 0) {
			json_decref(list);
			return NULL;
		}
		size_t k = 0;
		while (k < json_array_size(list) && strcmp(json_string_value(json_array_get(list, k)), one) != 0)
			k++;
		if (k == json_array_size(list))
			json_array_append_new(list, json_string(one));
	}
	return list;
}
