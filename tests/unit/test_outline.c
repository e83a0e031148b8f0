/* Outlines of pages: what changes with each request has no part in them, what makes it another page has. */
#include "proxy/outline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIST                                                                                                                             \
	"<ul><li>apples pears plums cherries grapes</li><li>tables chairs lamps carpets</li></ul><div><p>delivery within three working " \
	"days to any address</p></div>"

static struct outline of(const char *page)
{
	struct outline o;

	outline_of(&o, page, strlen(page), true);
	return o;
}

static void test_noise(void **state)
{
	static const char *const pages[] = {
		"<html><head><title>Shop</title></head><body>" LIST "<p>Thu Nov 26 11:00:01 2026</p></body></html>",
		"<html><head><title>Shop</title><script nonce='a81f'>var token = 'shop <div> closed';</script><style>p "
		"{}</style></head><body>" LIST "<!-- rendered by web7, <table> --><p>Fri Dec 04 23:59:59 2027</p></body></html>",
		"<HTML lang=en><head><meta name=csrf content=8f2a><link rel=x href=y><TITLE>\n  Shop\t</TITLE></head><BODY class='s9 > "
		"t'>" LIST "<p>8f2a6c1b9d mdBbQzT aVeryLongWordThatNobodyWouldEverWriteInAPage</p></BODY></html>",
	};
	struct outline first = of(pages[0]);
	(void)state;

	assert_true(first.n_tags > 8 && first.n_words > 12);
	for (size_t i = 1; i < 3; i++) {
		struct outline o = of(pages[i]);

		assert_string_equal(o.title, "Shop");
		assert_int_equal(outline_distance(first.tags, o.tags), 0);
		assert_int_equal(outline_distance(first.words, o.words), 0);
	}
}

static void test_difference(void **state)
{
	struct outline a = of("<title>Shop</title><body>" LIST "</body>"), b, c;
	(void)state;

	b = of("<title>Shop</title><body><h1>Error</h1><p>the database does not answer please come back later or write to the owner of "
	       "this "
	       "site</p></body>");
	assert_true(outline_distance(a.words, b.words) > 16);
	assert_true(outline_distance(a.tags, b.tags) > 10);
	c = of("<title>Shop</title><body>" LIST "<p>new</p></body>"); /* a little */
	assert_true(outline_distance(a.words, c.words) < 14);
}

static void test_titles(void **state)
{
	static const struct {
		const char *page, *title;
	} cases[] = {
		{"<title>a</title><title>b</title>", "a"},
		{"<title>\n a \r\n\t b  </title>", "a b"},
		{"<title>caf\xc3\xa9 \xff\xc3</title>", "caf\xc3\xa9 ??"},
		{"<title>a\x1b[2Jb\x7f</title>", "a?[2Jb?"},
		{"<title>never ends", "never ends"},
		{"<p>none</p>", ""},
		{"<title", ""},
		{"<title>a &lt;b&gt; <i>c</i></title>", "a &lt;b&gt; <i>c</i>"},
		{"<script>'<title>x</title>'</script><title>y</title>", "y"},
		{"<!-- <title>x</title> --><title>y</title>", "y"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(of(cases[i].page).title, cases[i].title);
}

/* Each beginning of a page, in memory that ends there. */
static void test_cut_anywhere(void **state)
{
	static const char page[] =
		"<!doctype html><html><head><title>caf\xc3\xa9</title><script>x</script></head><body a=\"b>c\"><!-- d --><p>e</p></body>";
	(void)state;

	for (size_t len = 0; len < sizeof page; len++) {
		char *copy = malloc(len ? len : 1);
		struct outline o;

		memcpy(copy, page, len);
		outline_of(&o, copy, len, true);
		free(copy);
	}
}

static void test_long(void **state)
{
	size_t len = 256 * 1024;
	char *page = malloc(len);
	struct outline o;
	(void)state;

	for (size_t i = 0; i < len; i++)
		page[i] = "<title"[i % 6]; /* "</title" never comes, however often it is looked for */
	outline_of(&o, page, len, true);
	memset(page, '<', len);
	outline_of(&o, page, len, true);
	assert_int_equal(o.n_tags, 0);
	memset(page, 'a', len);
	memcpy(page, "<title>", 7);
	outline_of(&o, page, len, true);
	assert_int_equal(strlen(o.title), OUTLINE_TITLE_MAX);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_noise),        cmocka_unit_test(test_difference), cmocka_unit_test(test_titles),
		cmocka_unit_test(test_cut_anywhere), cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
