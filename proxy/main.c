/* shunt-proxy: forwards moved accounts to the transit server. See shunt-proxy(8). */
#include "config.h"
#include "lib/log.h"
#include "proxy/proxy.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "usage: shunt-proxy [-c FILE] [--check] [--foreground] [--debug] [--print-config] [--version]\n";

static int check(struct conf *c, bool print)
{
	struct err err = {0};

	if (print) {
		conf_print(c, stdout);
		return 0;
	}
	if (proxy_check(c, &err) < 0) {
		fprintf(stderr, "shunt-proxy: %s\n", err.text);
		return 2;
	}
	printf("%s: good\n", c->file);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'C'},
		{"foreground", no_argument, NULL, 'f'},   {"debug", no_argument, NULL, 'd'},
		{"print-config", no_argument, NULL, 'p'}, {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	const char *file = CONF_DEFAULT_FILE;
	struct config *config;
	struct proxy *proxy;
	struct err err = {0};
	bool only_check = false, print = false;
	int o, rc;

	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			file = optarg;
			break;
		case 'C':
			only_check = true;
			break;
		case 'f': /* it never goes to the background; the word is for the reader of a unit file */
			break;
		case 'd':
			log_level(LEVEL_DEBUG);
			break;
		case 'p':
			print = true;
			break;
		case 'V':
			puts(PACKAGE_STRING);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "shunt-proxy: found \"%s\", expected options only\n%s", argv[optind], usage);
		return 2;
	}
	log_open("shunt-proxy");
	config = calloc(1, sizeof *config);
	if (!config || conf_load(&config->conf, file, &err) < 0) {
		fprintf(stderr, "shunt-proxy: %s\n", config ? err.text : "out of memory");
		free(config);
		return 2;
	}
	if (only_check || print) {
		rc = check(config->conf, print);
		conf_free(config->conf);
		free(config);
		return rc;
	}
	atomic_init(&config->refs, 1);
	rc = proxy_new(&proxy, config, &err);
	if (rc < 0) {
		log_error("reason=\"%s\"", err.text);
		return rc == -EINVAL ? 2 : 1;
	}
	rc = proxy_run(proxy);
	proxy_free(proxy);
	return rc;
}
