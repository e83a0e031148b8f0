#include "proxy/name.h"

#include <stdint.h>

#define NAME_LEN_MAX 253 /* RFC 1035 2.3.4, as text */

/* What a byte becomes; 0: it has no place in a name. */
static const char lower[256] = {
	['-'] = '-', ['.'] = '.', ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6', ['7'] = '7',
	['8'] = '8', ['9'] = '9', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h',
	['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r',
	['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z', ['_'] = '_', ['a'] = 'a',
	['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',
	['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u',
	['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',
};

size_t name_canon(char out[NAME_BYTES], const char *p, size_t len)
{
	char last = '.'; /* so that a leading dot is an empty label too */

	out[0] = '\0';
	if (len > 0 && p[len - 1] == '.')
		len--;
	if (len == 0 || len > NAME_LEN_MAX)
		return 0;
	for (size_t i = 0; i < len; i++) {
		char c = lower[(uint8_t)p[i]];

		if (c == '\0' || (c == '.' && last == '.')) {
			out[0] = '\0';
			return 0;
		}
		out[i] = last = c;
	}
	if (last == '.') { /* two trailing dots */
		out[0] = '\0';
		return 0;
	}
	out[len] = '\0';
	return len;
}
