#include "control/panel/picture.h"

#include "control/panel/parts.h"
#include "lib/member.h"

#include <stdio.h>
#include <string.h>

#define WIDTH   320
#define HEAD    52
#define CHIP_H  28
#define CHIP_W  140
#define GAP     8
#define DOT     14
#define LETTERS 16

static bool lives(const json_t *account, const char *side)
{
	return strcmp(member_text(account, "side"), side) == 0;
}

static size_t count(const json_t *accounts, const char *side)
{
	const json_t *a;
	size_t i, n = 0;
	json_array_foreach (accounts, i, a)
		n += lives(a, side);
	return n;
}

static int height(size_t n)
{
	int per_row = (WIDTH - 2 * GAP) / DOT, shown = n > PICTURE_DOTS ? PICTURE_DOTS : (int)n;
	int rows = n > PICTURE_NAMED ? ((shown + per_row - 1) / per_row) * DOT : (((int)n + 1) / 2) * (CHIP_H + GAP);
	rows += n > PICTURE_DOTS ? CHIP_H : 0; /* what is not drawn is told below */
	return HEAD + (rows < CHIP_H + GAP ? CHIP_H + GAP : rows) + GAP;
}

static void put_chip(struct visit *v, const char *name, size_t i, bool moving)
{
	struct html *h = &v->html;
	char shown[LETTERS + 8];
	int x = 2 * GAP + (int)(i % 2) * (CHIP_W + GAP), y = HEAD + (int)(i / 2) * (CHIP_H + GAP);
	snprintf(shown, sizeof(shown), strlen(name) > LETTERS ? "%.15s…" : "%s", name);
	html(h,
	     "<rect class=\"chip %s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/><text class=\"name\" x=\"%d\" "
	     "y=\"%d\">%s</text>",
	     moving ? "moving" : "", x, y, CHIP_W, CHIP_H, x + 10, y + 19, shown);
}

static void put_dot(struct visit *v, size_t i, bool moving)
{
	int per_row = (WIDTH - 2 * GAP) / DOT, x = GAP + DOT / 2 + (int)(i % (size_t)per_row) * DOT,
	    y = HEAD + 5 + (int)(i / (size_t)per_row) * DOT;
	html(&v->html, "<circle class=\"chip %s\" cx=\"%d\" cy=\"%d\" r=\"5\"/>", moving ? "moving" : "", x, y);
}

static void put_server(struct visit *v, const json_t *accounts, const json_t *moves, const char *side, bool only)
{
	struct html *h = &v->html;
	const json_t *a;
	size_t i, n = count(accounts, side), k = 0;
	char number[24];
	snprintf(number, sizeof(number), "%zu", n);
	html(h,
	     "<div class=\"server %s\"><svg viewBox=\"0 0 %d %d\" aria-hidden=\"true\" focusable=\"false\"><circle class=\"light\" "
	     "cx=\"20\" cy=\"26\" r=\"5\"/><text class=\"title\" x=\"34\" y=\"31\">",
	     side, WIDTH, height(n));
	SAY(v, side_text(side));
	html(h, "</text>");
	if (!only)
		html(h, "<text class=\"count\" x=\"%d\" y=\"31\" text-anchor=\"end\">%s</text>", WIDTH - 18, number);
	if (n > PICTURE_DOTS) {
		snprintf(number, sizeof(number), "%zu", n - PICTURE_DOTS);
		html(h, "<text class=\"count\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - 18, height(n) - 2 * GAP);
		SAY(v, T_AND_MORE, number);
		html(h, "</text>");
	}
	json_array_foreach (accounts, i, a) {
		if (!lives(a, side) || k == PICTURE_DOTS)
			continue;
		bool moving = of_account(moves, "account", member_text(a, "name")) != NULL;
		if (n > PICTURE_NAMED)
			put_dot(v, k++, moving);
		else
			put_chip(v, member_text(a, "name"), k++, moving);
	}
	html(h, "</svg></div>");
}

static void tell_side(struct visit *v, const json_t *accounts, const char *side)
{
	const json_t *a;
	size_t i, n = count(accounts, side), k = 0;
	char number[24];
	snprintf(number, sizeof(number), "%zu", n);
	SAY(v, n == 0 ? T_NONE_ON : n == 1 ? T_ONE_ON : T_MANY_ON, text(side_text(side)), number);
	json_array_foreach (accounts, i, a) {
		if (n <= PICTURE_NAMED && lives(a, side))
			html(&v->html, "%s%s", k++ ? ", " : ": ", member_text(a, "name"));
	}
	html(&v->html, ". ");
}

void put_picture(struct visit *v, const json_t *accounts, const json_t *moves, bool only)
{
	struct html *h = &v->html;
	html(h, "<figure class=\"picture\" aria-labelledby=\"picture\"><div class=\"servers\">");
	put_server(v, accounts, moves, "client", only);
	html(h,
	     "<svg class=\"arrow %s\" viewBox=\"0 0 48 48\" aria-hidden=\"true\" focusable=\"false\"><path d=\"M6 18h30l-7-7M42 30H12l7 "
	     "7\"/></svg>",
	     json_array_size(moves) ? "busy" : "");
	put_server(v, accounts, moves, "transit", only);
	html(h, "</div><figcaption class=\"sr\" id=\"picture\">");
	tell_side(v, accounts, "client");
	tell_side(v, accounts, "transit");
	html(h, "</figcaption></figure>");
}
