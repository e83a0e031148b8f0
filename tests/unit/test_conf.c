/* The configuration: DESIGN's example reads, what is wrong is named with its line, and what is printed reads back. */
#include "lib/conf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char example[] =
	"server \"web42\" {\n"
	"  pair { client = \"192.0.2.10\"   transit = \"198.51.100.10\" }\n"
	"  pair { client = \"2001:db8::10\" transit = \"2001:db8:1::10\" }\n"
	"}\n"
	"proxy {\n"
	"  workers = 0                               # 0: one per processor\n"
	"  control = \"unix:/run/shunt/proxy.sock\"\n"
	"  table   = \"/var/lib/shunt/table\"          # last table: a restart needs no controller\n"
	"  listener \"web\"   { port = 80   protocol = \"http\" }\n"
	"  listener \"https\" { port = 443  protocol = \"tls\" }\n"
	"  listener \"redis\" { port = 8300 protocol = \"tcp\" }\n"
	"  intercept = true      # TPROXY\n"
	"  source-local = \"transparent\"              # transparent | proxy-v2 | headers | plain\n"
	"  source-transit = \"proxy-v2\"\n"
	"  unknown = \"client\"                        # names of no account: client | transit | refuse\n"
	"  hold-max-wait = 30      # seconds         hold-max-connections = 10000        drain = 10\n"
	"}\n"
	"netctl  { control = \"unix:/run/shunt/netctl.sock\"  listen = \"tls://[2001:db8::10]:7443\"  interface = \"eth0\"  confirm = 30  "
	"journal = \"/var/lib/shunt/netctl\" }\n"
	"dns     { control = \"unix:/run/shunt/dnsupdate.sock\"  nameservers = {\"ns1.provider.example\", \"ns2.provider.example\"}\n"
	"          zone-server { address = \"192.0.2.53\" port = 53 key-file = \"/etc/shunt/tsig.key\" }  journal = \"/var/lib/shunt/dns\" "
	" ttl = 60 }\n"
	"control { state = \"/var/lib/shunt/shunt.db\"  proxy = \"unix:/run/shunt/proxy.sock\"  netctl-client = \"tls://192.0.2.10:7443\"\n"
	"          netctl-transit = \"unix:/run/shunt/netctl.sock\"  dns = \"unix:/run/shunt/dnsupdate.sock\"\n"
	"          hook-prepare = \"/etc/shunt/hooks/prepare\"  hook-copy = \"/a\"  hook-seal = \"/b\"  hook-verify = \"/c\" }\n"
	"tls     { ca = \"/ca\"  cert = \"/cert\"  key = \"/key\" }\n";

static struct conf *good(const char *text)
{
	struct conf *c = NULL;
	struct err err = {0};

	if (conf_parse(&c, "x.conf", text, &err) < 0)
		fail_msg("%s\n%s", err.text, text);
	return c;
}

static void the_example_reads(void **state)
{
	struct conf *c = good(example);

	(void)state;
	assert_string_equal(c->server, "web42");
	assert_int_equal(c->n_pairs, 2);
	assert_string_equal(c->pairs[1].transit.text, "2001:db8:1::10");
	assert_true(c->proxy.present);
	assert_true(c->proxy.intercept);
	assert_int_equal(c->proxy.n_listeners, 3);
	assert_string_equal(c->proxy.listeners[1].name, "https");
	assert_int_equal(c->proxy.listeners[1].protocol, PROTOCOL_TLS);
	assert_int_equal(c->proxy.listeners[2].port, 8300);
	assert_int_equal(c->proxy.listeners[2].transit_port, 8300);
	assert_int_equal(c->proxy.listeners[0].source[0], SOURCE_TRANSPARENT);
	assert_int_equal(c->proxy.listeners[0].source[1], SOURCE_PROXY_V2);
	assert_int_equal(c->proxy.hold_max_connections, 10000); /* the example has it in a comment */
	assert_int_equal(c->proxy.http_head_max, 32768);
	assert_int_equal(c->dns.n_nameservers, 2);
	assert_string_equal(c->dns.nameservers[1], "ns2.provider.example");
	assert_string_equal(c->dns.zone_servers[0].key_file, "/etc/shunt/tsig.key");
	assert_string_equal(c->control.hook_copy, "/a");
	assert_string_equal(c->tls.key, "/key");
	assert_string_equal(c->netctl.listen, "tls://[2001:db8::10]:7443");
	assert_int_equal(c->control.rollback_days, 7);
	conf_free(c);
}

#define L "listener \"web\" { address = \"192.0.2.10\" port = 80 protocol = http local = \"127.0.0.1:8080\" }"

static void what_is_absent_has_its_default(void **state)
{
	struct conf *c = good("proxy { " L " }");
	const struct conf_proxy *p = &c->proxy;

	(void)state;
	assert_string_equal(p->control, "unix:/run/shunt/proxy.sock");
	assert_string_equal(p->table, "/var/lib/shunt/table");
	assert_string_equal(p->access_log, "none");
	assert_int_equal(p->hold_max_wait, 30);
	assert_int_equal(p->drain, 10);
	assert_int_equal(p->hello_timeout, 5);
	assert_int_equal(p->connect_timeout, 4);
	assert_int_equal(p->idle, 3600);
	assert_int_equal(p->listeners[0].source[1], SOURCE_HEADERS);
	assert_int_equal(p->listeners[0].local.port, 8080);
	assert_int_equal(addr_port(&p->listeners[0].bind), 80);
	assert_false(c->tls.present);
	conf_free(c);
	c = good("");
	assert_false(c->proxy.present);
	conf_free(c);
}

static void sources_are_inherited(void **state)
{
	struct conf *c =
		good("proxy { source-transit = proxy-v2 source-local = plain\n" L "\n"
		     "listener t { address = 192.0.2.10 port = 443 protocol = tls local = \"web.internal:8443\" transit-port = 8444\n"
		     " source-transit = plain proxy-from = { \"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.7\" } } }");
	const struct conf_listener *l = c->proxy.listeners;

	(void)state;
	assert_int_equal(l[0].source[0], SOURCE_PLAIN);
	assert_int_equal(l[0].source[1], SOURCE_PROXY_V2);
	assert_int_equal(l[1].source[1], SOURCE_PLAIN);
	assert_int_equal(l[1].transit_port, 8444);
	assert_string_equal(l[1].local.text, "web.internal");
	assert_int_equal(addr_family(&l[1].local.addr), AF_UNSPEC);
	assert_int_equal(l[1].n_proxy_from, 3);
	conf_free(c);
}

#define PAIR "server s { pair { client = 192.0.2.10 transit = 198.51.100.10 } } "

static void interception_has_its_defaults(void **state)
{
	struct conf *c = good(PAIR "netctl { mark = 0x100 } proxy { intercept = true\n" L
				   "listener w { port = 8080 protocol = http } listener t { port = 443 protocol = tls }"
				   "listener p { port = 8300 protocol = tcp source-local = plain local = \"127.0.0.1:1\" } }");
	const struct conf_listener *l = c->proxy.listeners;

	(void)state;
	assert_int_equal(c->proxy.intercept_port, 10080);
	assert_int_equal(c->netctl.mark, 256);
	assert_int_equal(c->netctl.table, 7443);
	assert_int_equal(c->netctl.priority, 743);
	assert_int_equal(l[0].source[0], SOURCE_HEADERS); /* it has an address: as ever */
	assert_int_equal(l[1].source[0], SOURCE_TRANSPARENT);
	assert_int_equal(l[1].source[1], SOURCE_HEADERS);
	assert_int_equal(l[2].source[0], SOURCE_TRANSPARENT);
	assert_int_equal(l[2].source[1], SOURCE_PLAIN);
	assert_int_equal(l[3].source[0], SOURCE_PLAIN);
	assert_null(l[1].local.text);
	assert_int_equal(addr_family(&l[1].bind), AF_UNSPEC);
	conf_free(c);
	c = good("");
	assert_int_equal(c->netctl.mark, 16777216);
	conf_free(c);
}

static void a_pair_may_lack_its_partner(void **state)
{
	struct conf *c = good("server s { pair { client = 192.0.2.1 transit = 192.0.2.2 } pair { client = \"2001:db8::1\" } }"), *again;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct err err = {0};

	(void)state;
	assert_int_equal(c->n_pairs, 2);
	assert_null(c->pairs[1].transit.text);
	conf_print(c, f);
	fclose(f);
	assert_int_equal(conf_parse(&again, "again", text, &err), 0);
	assert_null(again->pairs[1].transit.text);
	conf_free(again);
	conf_free(c);
	free(text);
}

static void bad_files_are_refused_by_line(void **state)
{
	static const struct {
		const char *text, *says, *also;
	} rows[] = {
		{"proxy {\n  wrokers = 2\n}", "x.conf:2:", "wrokers"},
		{"porxy { }", "x.conf:1:", "porxy"},
		{"proxy {\n\n  workers = many\n}", "x.conf:3:", "a whole number from 0 to 256"},
		{"proxy {\n  workers = 2x\n}", "x.conf:2:", "2x"},
		{"proxy {\n  workers = -1\n}", "x.conf:2:", "-1"},
		{"proxy { hold-max-wait = 99999999999999999999 }", "x.conf:1:", "hold-max-wait"},
		{"proxy { unknown = nowhere }", "x.conf:1:", "client, transit, or refuse"},
		{"proxy { intercept-port = 0 }", "x.conf:1:", "1 to 65535"},
		{"netctl {\n mark = 3\n}", "x.conf:2:", "a power of two"},
		{"netctl {\n mark = 0x40000000\n}", "x.conf:2:", "a power of two"},
		{"netctl {\n mark = 0x\n}", "x.conf:2:", "a power of two"},
		{"netctl {\n mark = 0x100000001\n}", "x.conf:2:", "a power of two"},
		{"netctl {\n mark = 0\n}", "x.conf:2:", "a power of two"},
		{"netctl { table = 255 }", "x.conf:1:", "256"},
		{PAIR "proxy {\n intercept = true\n listener w { port = 10080 protocol = http } }", "x.conf:3:", "intercept-port"},
		{"proxy {\n intercept = true\n listener w { port = 80 protocol = http } }", "x.conf:3:", "no pair"},
		{PAIR "proxy {\n\n listener w { port = 80 protocol = http } }", "x.conf:3:", "without address"},
		{PAIR "proxy {\n intercept = true\n listener w { address = 192.0.2.10 port = 80 protocol = http } }",
		 "x.conf:3:", "without local"},
		{PAIR "proxy {\n source-local = transparent\n listener w { address = 192.0.2.10 port = 80 protocol = http local = "
		      "\"127.0.0.1:8080\" } }",
		 "x.conf:3:", "intercept = true only"},
		{PAIR "proxy {\n source-transit = transparent\n listener w { address = 192.0.2.10 port = 80 protocol = tls local = "
		      "\"127.0.0.1:8080\" } }",
		 "x.conf:3:", "source-transit = transparent"},
		{"proxy { intercept = perhaps }", "x.conf:1:", "true or false"},
		{"proxy {\n  workers = 1\n  workers = 2\n}", "x.conf:3:", "second time"},
		{"proxy { workers = 1 }\nproxy { }", "x.conf:2:", "second section"},
		{"proxy {\n  workers = 1\n", "x.conf:2:", "\"}\""},
		{"proxy { } }", "x.conf:1:", "\"}\""},
		{"proxy { control = \"unix:/x", "x.conf:1:", ""},
		{"proxy { control = \"/run/x\" }", "x.conf:1:", "unix:/PATH"},
		{"proxy { table = \"table\" }", "x.conf:1:", "starts with /"},
		{"proxy { table = \"/a/${HOME}\" }", "x.conf:1:", ""},
		{"server s { pair { client = \"192.0.2.1\" } }", "x.conf:1:", "transit"},
		{"server s {\n pair { client = \"192.0.2.1\" transit = \"2001:db8::1\" } }", "x.conf:2:", "family"},
		{"server s {\n pair { client = \"192.0.2.1\" transit = \"192.0.2.2\" }\n pair { client = \"192.0.2.1\" transit = "
		 "\"192.0.2.3\" } }",
		 "x.conf:3:", "line 2"},
		{"server s { pair { client = \"not a name\" transit = \"192.0.2.2\" } }", "x.conf:1:", "not a name"},
		{"server s { pair { client = \"192.0.2.1:80\" transit = \"192.0.2.2\" } }", "x.conf:1:", "without a port"},
		{"proxy {\n listener web { port = 80 protocol = http }\n}", "x.conf:2:", "without address"},
		{"proxy {\n listener web { address = 192.0.2.10 port = 80 protocol = http }\n}", "x.conf:2:", "without local"},
		{"proxy {\n listener web { address = 192.0.2.10 port = 80 protocol = http local = \"192.0.2.10:80\" }\n}",
		 "x.conf:2:", "itself"},
		{"proxy {\n listener web { address = 192.0.2.10 port = 0 protocol = http local = \"127.0.0.1:81\" }\n}",
		 "x.conf:2:", "1 to 65535"},
		{"proxy {\n listener web { address = 192.0.2.10 port = 80 protocol = htpp local = \"127.0.0.1:81\" }\n}",
		 "x.conf:2:", "http, tls, or tcp"},
		{"proxy {\n listener web { address = www.example port = 80 protocol = http local = \"127.0.0.1:81\" }\n}",
		 "x.conf:2:", "www.example"},
		{"proxy {\n listener web { address = 192.0.2.10 port = 80 protocol = http local = \"127.0.0.1\" }\n}",
		 "x.conf:2:", "ADDRESS:PORT"},
		{"proxy {\n" L "\n listener two { address = 192.0.2.10 port = 80 protocol = tcp local = \"127.0.0.1:81\" }\n}",
		 "x.conf:3:", "line 2"},
		{"proxy {\n" L "\n listener two { address = 0.0.0.0 port = 80 protocol = tcp local = \"127.0.0.1:81\" }\n}",
		 "x.conf:3:", "line 2"},
		{"proxy {\n" L "\n" L "\n}", "x.conf:3:", "web"},
		{"proxy {\n listener t { address = 192.0.2.10 port = 443 protocol = tls local = \"127.0.0.1:81\" source-local = headers "
		 "}\n}",
		 "x.conf:2:", "http only"},
		{"server s { pair { client = \"192.0.2.9\" transit = \"192.0.2.2\" } }\nproxy {\n" L "\n}", "x.conf:3:", "192.0.2.9"},
		{"proxy {\n listener t { address = 192.0.2.10 port = 443 protocol = tls local = \"127.0.0.1:81\" proxy-from = "
		 "{\"10.0.0.1/8\"} }\n}",
		 "x.conf:2:", "10.0.0.1/8"},
		{"tls { ca = \"/ca\" }", "x.conf:1:", "cert"},
		{"netctl {\n listen = \"tls://192.0.2.10:7443\"\n}", "x.conf:2:", "no section tls"},
		{"netctl {\n listen = \"unix:/run/x\"\n}", "x.conf:2:", "tls://ADDRESS:PORT"},
		{"netctl {\n listen = \"tls://web42.example:7443\"\n}", "x.conf:2:", "tls://ADDRESS:PORT"},
		{"netctl {\n listen = \"tls://192.0.2.10:0\"\n}", "x.conf:2:", "tls://ADDRESS:PORT"},
		{"control {\n proxy = \"unix:/run/x\"\n netctl-client = \"tls://web42.example:7443\"\n}", "x.conf:3:", "no section tls"},
		{"control {\n\n netctl-client = \"tls://a.example:1\"\n}\nnetctl { listen = \"tls://[::1]:1\" }",
		 "x.conf:3:", "no section tls"},
		{"proxy { workers 2 }", "x.conf:1:", ""},
		{"proxy { workers = }", "x.conf:1:", ""},
		{"proxy { workers = {1, 2} }", "x.conf:1:", "without braces"},
		{"proxy {\n  wrokers = 2\n}", "x.conf:2:", "one of workers, control"},
		{"proxy {\n  workers 2\n}\n", "x.conf:2:", "\"2\" behind \"workers\""},
		{"proxy {\n  workers =\n}\n", "x.conf:2:", "a value"},
		{"proxy {\n  workers = 1 2\n}\n", "x.conf:2:", "\"2\""},
		{"proxy {\n  workers { }\n}", "x.conf:2:", "a section made of the key \"workers\""},
		{"proxy {\n  listener { port = 80 }\n}", "x.conf:2:", "no title"},
		{"proxy {\n  listener \"\" { port = 80 protocol = http }\n}", "x.conf:2:", "a name of letters"},
		{"proxy \"x\" { }", "x.conf:1:", "behind \"proxy\""},
		{"\n\nworkers = 3", "x.conf:3:", "in the file"},
		{"/* two\n lines */ # more\n// and more\nproxy { workers = x }", "x.conf:4:", "\"x\""},
		{"proxy {\n\n  listener l {\n    port = 80 }\n\n  drain = x\n}", "x.conf:6:", "drain"},
		{"proxy {\n  listener l\n  {\n    port = 80\n    protocol = http\n  }\n}", "x.conf:2:", "without address"},
		{"include(\"/etc/passwd\")", "x.conf:1:", "\"(\""},
		{"dns {\n nameservers = { a.example }\n nameservers = { b.example }\n}", "x.conf:3:", "line 2"},
		{"dns {\n nameservers += { a.example }\n}", "x.conf:2:", "\"+\""},
		{"dns {\n nameservers = { a.example,\n -b.example }\n}", "x.conf:3:", "-b.example"},
		{"proxy { table = \"/a\\0b\" }", "x.conf:1:", "double the backslash"},
		{"proxy { table = \"/a\n\" }", "x.conf:1:", "closing"},
		{"proxy { table = \"/a\x01\" }", "x.conf:1:", "control character"},
		{"/* never closed\n", "x.conf:1:", "*/"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct conf *c = NULL;
		struct err err = {0};
		int rc = conf_parse(&c, "x.conf", rows[i].text, &err);

		if (rc != -EINVAL || !strstr(err.text, rows[i].says) || !strstr(err.text, rows[i].also) || c)
			fail_msg("row %zu: %s\ngave %d \"%s\", expected \"%s ... %s\"", i, rows[i].text, rc, err.text, rows[i].says,
				 rows[i].also);
	}
}

static void what_is_printed_reads_back(void **state)
{
	struct conf *c = good(example), *again;
	char *first = NULL, *second = NULL;
	size_t n;
	FILE *f = open_memstream(&first, &n);

	(void)state;
	conf_print(c, f);
	fclose(f);
	conf_free(c);
	again = good(first);
	f = open_memstream(&second, &n);
	conf_print(again, f);
	fclose(f);
	conf_free(again);
	assert_string_equal(first, second);
	assert_non_null(strstr(first, "listener \"redis\""));
	free(first);
	free(second);
	c = good("dns { }"); /* without a server section there is none to print */
	f = open_memstream(&first, &n);
	conf_print(c, f);
	fclose(f);
	conf_free(c);
	conf_free(good(first));
	free(first);
}

static void files_that_cannot_be_read(void **state)
{
	struct conf *c;
	struct err err = {0};

	(void)state;
	assert_int_equal(conf_load(&c, "/nonexistent/shunt.conf", &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/shunt.conf"));
	assert_int_equal(conf_load(&c, "/tmp", &err), -EISDIR);
	assert_int_equal(conf_load(&c, "/dev/zero", &err), -EFBIG);
	assert_int_equal(conf_load(&c, "/nonexistent/shunt.conf", NULL), -ENOENT);
}

static void every_key_is_documented(void **state)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	conf_document(f);
	fclose(f);
	assert_non_null(strstr(text, ".It Cm hold-max-wait\n"));
	assert_non_null(strstr(text, ".It Cm zone-server") ? text : strstr(text, "zone-server"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_reads),           cmocka_unit_test(what_is_absent_has_its_default),
		cmocka_unit_test(sources_are_inherited),       cmocka_unit_test(interception_has_its_defaults),
		cmocka_unit_test(a_pair_may_lack_its_partner), cmocka_unit_test(bad_files_are_refused_by_line),
		cmocka_unit_test(what_is_printed_reads_back),  cmocka_unit_test(files_that_cannot_be_read),
		cmocka_unit_test(every_key_is_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
