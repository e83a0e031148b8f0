#include "lib/member.h"

const char *member_text(const json_t *o, const char *key)
{
	return member_text_or(o, key, "");
}

const char *member_text_or(const json_t *o, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(o, key));
	return text ? text : otherwise;
}

json_int_t member_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

json_int_t member_int_or(const json_t *o, const char *key, json_int_t otherwise)
{
	const json_t *v = json_object_get(o, key);
	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

double member_real(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}
