/* Any message as the answer of a parent's server, of the provider's, or of a resolver. Nobody gets a verdict about a zone that does not
 * hold the domain, or a zone cut that its sender is not above. The first byte says what was asked. */
#include "dnsupdate/judge.h"

#include "dnsupdate/verify.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static void try_parent(const struct answer *a, const char *parent, const char *name)
{
	char *nameservers[] = {(char[]){"ns1.provider.test"}, (char[]){"NS2.provider.test."}};
	struct testimony ours = {"ns1.provider.test.", STANDING_WRONG, "answers REFUSED"};
	struct said said, twice;
	struct delegation d;

	must(judge_parent(&said, a, parent, name) == 0 && judge_parent(&twice, a, parent, name) == 0);
	must(said_same(&said, &twice));
	must((said.saying == SAYS_DELEGATED) == (said.n > 0) && (said.n > 0) == (said.cut != NULL) && said.n <= JUDGE_NS_MAX);
	must((said.saying == SAYS_USELESS) == (said.text[0] != '\0'));
	if (said.saying == SAYS_DELEGATED) {
		struct evidence e = {parent, "alice.example.", &said, nameservers, 2, &ours, 1, "a note"};

		must(name_within(name, said.cut) && name_within(said.cut, parent) && !name_same(said.cut, parent));
		must(said_join(&said, &twice) == 0 && said_same(&said, &twice));
		for (size_t i = 1; i < said.n; i++)
			must(strcmp(said.ns[i - 1], said.ns[i]) < 0);
		must(judge(&d, &e) == 0 && d.n_ns == said.n && d.why[0] && strlen(d.why) < sizeof d.why);
		delegation_done(&d);
	}
	said_done(&said);
	said_done(&twice);
}

static void try_others(const struct answer *a, const char *name, uint16_t type, bool resolver)
{
	struct rrset expected = {.owner = (char *)(uintptr_t)name, .type = type};
	char cut[RR_NAME_MAX], text[80], trouble[200];

	switch (judge_cut(cut, a, name)) {
	case CUT_FOUND:
	case CUT_ABSENT:
		must(name_within(name, cut));
		break;
	case CUT_ALIAS:
	case CUT_FAILED:
		break;
	}
	must((judge_server(text, a, name) == STANDING_GOOD) == (text[0] == '\0'));
	must(verify_shows(a, &expected, resolver, trouble, sizeof trouble) == (trouble[0] == '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const parents[] = {".", "example.", "alice.example.", "EXAMPLE."};
	static const uint16_t types[] = {RR_A, RR_AAAA, RR_TXT, RR_CNAME};
	struct answer a;

	if (size < 1 || wire_parse(&a, data + 1, size - 1, NULL) < 0)
		return 0;
	try_parent(&a, parents[data[0] % 4], data[0] & 4 ? "alice.example." : "www.alice.example.");
	try_others(&a, data[0] & 4 ? "alice.example." : "www.alice.example.", types[data[0] / 16 % 4], data[0] & 8);
	answer_done(&a);
	return 0;
}
