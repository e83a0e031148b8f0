/* One byte at a time through the lines, whole blocks through the data. A byte in gives at most one byte out at once, so a size is
 * passed digit by digit as it comes (of leading zeros the first alone) and nothing is ever held back. */
#include "proxy/chunk.h"

#define DIGITS_MAX  16
#define EXT_MAX     4096
#define TRAILER_MAX 8192

enum state {
	SIZE,
	EXT_SPACE, /* before a ';' */
	EXT_START, /* after it */
	EXT_NAME,
	EXT_EQUALS, /* white space after the name */
	EXT_VALUE,  /* after '=' */
	EXT_TOKEN,
	EXT_QUOTED,
	EXT_ESCAPED,
	EXT_CLOSED, /* after the second quote */
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	LINE, /* where a trailer line or the last line starts */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	LAST_LF,
	DONE,
	FAILED
};

static bool is_token(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool is_text(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static int hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum state size(struct chunk *c, uint8_t byte)
{
	int digit = hex(byte);

	if (digit >= 0) {
		if (c->digits == DIGITS_MAX || c->left > INT64_MAX >> 4)
			return FAILED;
		c->digits++;
		c->left = c->left << 4 | (unsigned)digit;
		return SIZE;
	}
	if (c->digits == 0)
		return FAILED;
	return byte == '\r' ? SIZE_LF : byte == ';' ? EXT_START : is_space(byte) ? EXT_SPACE : FAILED;
}

/* RFC 9112 7.1.1: *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) */
static enum state extension(struct chunk *c, uint8_t byte)
{
	if (++c->line > EXT_MAX)
		return FAILED;
	switch ((enum state)c->state) {
	case EXT_SPACE:
		return is_space(byte) ? EXT_SPACE : byte == ';' ? EXT_START : FAILED;
	case EXT_START:
		return is_space(byte) ? EXT_START : is_token(byte) ? EXT_NAME : FAILED;
	case EXT_NAME:
		if (is_token(byte))
			return EXT_NAME;
		return byte == '\r' ? SIZE_LF : byte == ';' ? EXT_START : byte == '=' ? EXT_VALUE : is_space(byte) ? EXT_EQUALS : FAILED;
	case EXT_EQUALS:
		return is_space(byte) ? EXT_EQUALS : byte == '=' ? EXT_VALUE : byte == ';' ? EXT_START : FAILED;
	case EXT_VALUE:
		return is_space(byte) ? EXT_VALUE : byte == '"' ? EXT_QUOTED : is_token(byte) ? EXT_TOKEN : FAILED;
	case EXT_TOKEN:
		if (is_token(byte))
			return EXT_TOKEN;
		/* fall through */
	case EXT_CLOSED:
		return byte == '\r' ? SIZE_LF : byte == ';' ? EXT_START : is_space(byte) ? EXT_SPACE : FAILED;
	case EXT_QUOTED:
		return byte == '"' ? EXT_CLOSED : byte == '\\' ? EXT_ESCAPED : is_text(byte) ? EXT_QUOTED : FAILED;
	case EXT_ESCAPED:
		return is_text(byte) ? EXT_QUOTED : FAILED;
	default:
		return FAILED;
	}
}

static enum state trailer(struct chunk *c, uint8_t byte)
{
	if (++c->trailer > TRAILER_MAX)
		return FAILED;
	switch ((enum state)c->state) {
	case LINE:
		return byte == '\r' ? LAST_LF : is_token(byte) ? TRAILER_NAME : FAILED;
	case TRAILER_NAME:
		return byte == ':' ? TRAILER_VALUE : is_token(byte) ? TRAILER_NAME : FAILED;
	case TRAILER_VALUE:
		return byte == '\r' ? TRAILER_LF : is_text(byte) ? TRAILER_VALUE : FAILED;
	case TRAILER_LF:
		return byte == '\n' ? LINE : FAILED;
	default:
		return FAILED;
	}
}

static enum state step(struct chunk *c, uint8_t byte)
{
	switch ((enum state)c->state) {
	case SIZE:
		return size(c, byte);
	case EXT_SPACE:
	case EXT_START:
	case EXT_NAME:
	case EXT_EQUALS:
	case EXT_VALUE:
	case EXT_TOKEN:
	case EXT_QUOTED:
	case EXT_ESCAPED:
	case EXT_CLOSED:
		return extension(c, byte);
	case SIZE_LF:
		return byte != '\n' ? FAILED : c->left > 0 ? DATA : LINE;
	case DATA_CR:
		return byte == '\r' ? DATA_LF : FAILED;
	case DATA_LF:
		c->digits = 0;
		c->line = 0;
		return byte == '\n' ? SIZE : FAILED;
	case LINE:
	case TRAILER_NAME:
	case TRAILER_VALUE:
	case TRAILER_LF:
		return trailer(c, byte);
	case LAST_LF:
		return byte == '\n' ? DONE : FAILED;
	case DATA:
	case DONE:
	case FAILED:
		break;
	}
	return FAILED;
}

/* Whether the canonical form has this byte too; asked before the step. */
static bool is_canonical(const struct chunk *c, uint8_t byte)
{
	if (c->state == TRAILER_VALUE || c->state == TRAILER_LF)
		return false;
	if (c->state == SIZE && hex(byte) >= 0)
		return byte != '0' || c->left > 0 || c->digits == 0;
	return byte == '\r' || byte == '\n';
}

void chunk_init(struct chunk *c, bool raw)
{
	*c = (struct chunk){.state = SIZE, .raw = raw};
}

enum parse chunk_feed(struct chunk *c, const char *in, size_t len, size_t *used, char *out, size_t *out_len)
{
	size_t i = 0, o = 0;

	while (i < len && c->state != DONE && c->state != FAILED) {
		if (c->state == DATA) {
			size_t n = len - i < c->left ? len - i : (size_t)c->left;

			memmove(out + o, in + i, n);
			chunk_moved(c, n);
			i += n;
			o += n;
		} else {
			uint8_t byte = (uint8_t)in[i++];
			bool pass = !c->raw && is_canonical(c, byte);

			c->state = (uint8_t)step(c, byte);
			if (pass && c->state != FAILED)
				out[o++] = (char)byte;
		}
	}
	*used = i;
	*out_len = o;
	return c->state == DONE ? PARSE_OK : c->state == FAILED ? PARSE_BAD : PARSE_MORE;
}

uint64_t chunk_data(const struct chunk *c)
{
	return c->state == DATA ? c->left : 0;
}

void chunk_moved(struct chunk *c, uint64_t n)
{
	c->left -= n;
	c->data += n;
	if (c->left == 0 && c->state == DATA)
		c->state = DATA_CR;
}
