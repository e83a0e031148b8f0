#pragma once
/* member - a member of a JSON object, for a reader who does without where it is missing. It is missing, too, where it is of another type,
 * and where o is NULL or no object. Who must know that uses json_object_get().
 * Ownership: texts are borrowed from o. Threads: any. */
#include <jansson.h>

const char *member_text(const json_t *o, const char *key);                           /* missing: "" */
const char *member_text_or(const json_t *o, const char *key, const char *otherwise); /* missing: otherwise, as it is; it may be NULL */
json_int_t member_int(const json_t *o, const char *key);                             /* missing: 0; a real is another type */
json_int_t member_int_or(const json_t *o, const char *key, json_int_t otherwise);    /* missing: otherwise */
double member_real(const json_t *o, const char *key);                                /* of an integer or a real; missing: 0 */
