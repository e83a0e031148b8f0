#include "proxy/farewell.h"

#include <stdio.h>
#include <string.h>

#define ER_SERVER_SHUTDOWN 1053

typedef size_t words_fn(char *out, const char *host, const char *text);

static size_t ftp(char *out, const char *host, const char *text)
{
	(void)host;
	return (size_t)snprintf(out, FAREWELL_MAX, "421 Service not available, closing control connection. %s\r\n", text);
}

static size_t smtp(char *out, const char *host, const char *text)
{
	return (size_t)snprintf(out, FAREWELL_MAX, "421 %s Service not available, closing transmission channel. %s\r\n", host, text);
}

static size_t pop3(char *out, const char *host, const char *text)
{
	(void)host;
	return (size_t)snprintf(out, FAREWELL_MAX, "-ERR [SYS/TEMP] %s\r\n", text);
}

static size_t imap(char *out, const char *host, const char *text)
{
	(void)host;
	return (size_t)snprintf(out, FAREWELL_MAX, "* BYE [UNAVAILABLE] %s\r\n", text);
}

static size_t sieve(char *out, const char *host, const char *text)
{
	(void)host;
	return (size_t)snprintf(out, FAREWELL_MAX, "BYE (TRYLATER) \"%s\"\r\n", text);
}

static size_t mysql(char *out, const char *host, const char *text)
{
	size_t n = strlen(text), payload = 3 + n;
	unsigned char head[7] = {
		(unsigned char)payload,
		(unsigned char)(payload >> 8),
		0, /* length, little endian */
		0, /* sequence number */
		0xff,
		ER_SERVER_SHUTDOWN & 0xff,
		ER_SERVER_SHUTDOWN >> 8,
	};

	(void)host;
	memcpy(out, head, sizeof head);
	memcpy(out + sizeof head, text, n);
	return sizeof head + n;
}

static size_t field(char *out, char name, const char *value)
{
	size_t n = strlen(value) + 1;

	*out = name;
	memcpy(out + 1, value, n);
	return 1 + n;
}

static size_t postgres(char *out, const char *host, const char *text)
{
	size_t n = 5;

	(void)host;
	n += field(out + n, 'S', "FATAL");
	n += field(out + n, 'V', "FATAL");
	n += field(out + n, 'C', "57P03");
	n += field(out + n, 'M', text);
	out[n++] = '\0';
	/* the length counts itself, but not the type; less than 64 KiB */
	memcpy(out, (const char[]){'E', 0, 0, (char)((n - 1) >> 8), (char)(n - 1)}, 5);
	return n;
}

static words_fn *words_at(uint16_t port)
{
	switch (port) {
	case 21:
		return ftp;
	case 25:
	case 587:
		return smtp;
	case 110:
		return pop3;
	case 143:
		return imap;
	case 3306:
		return mysql;
	case 4190:
		return sieve;
	case 5432:
		return postgres;
	default:
		return NULL;
	}
}

bool farewell_not_yet(char out[FAREWELL_MAX], size_t *len, uint16_t port, const void *said, size_t n)
{
	static const char ssl[] = {0, 0, 0, 8, 0x04, (char)0xd2, 0x16, 0x2f}, gss[] = {0, 0, 0, 8, 0x04, (char)0xd2, 0x16, 0x30};

	if (port != 5432 || n != sizeof ssl || (memcmp(said, ssl, n) != 0 && memcmp(said, gss, n) != 0))
		return false;
	out[0] = 'N';
	*len = 1;
	return true;
}

size_t farewell_write(char out[FAREWELL_MAX], uint16_t port, const struct addr *here, unsigned again_s)
{
	words_fn *words = words_at(port);
	unsigned minutes = again_s / 60 + (again_s % 60 != 0);
	char address[ADDR_TEXT_MAX], host[ADDR_TEXT_MAX + 8], text[128];

	if (!words)
		return 0;
	/* an address literal (RFC 5321 4.1.3): we know none of the names that lead here */
	snprintf(host, sizeof host, addr_family(here) == AF_INET6 ? "[IPv6:%s]" : "[%s]", addr_text(here, address));
	snprintf(text, sizeof text, "This account is being moved to another server, please try again in %u minute%s", minutes,
		 minutes == 1 ? "" : "s");
	return words(out, host, text);
}
