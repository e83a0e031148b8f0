#pragma once
/* err - one error on its way up: a code and a text that each level may prefix with what it was doing.
 * Functions that can fail return 0 or -errno and fill the struct err they were given; nothing in lib/ logs an error.
 * Ownership: the caller owns the struct (usually on its stack); nothing here allocates, so it works when memory is out.
 * A NULL struct err is fine: the text is then lost and only the code comes back.
 * Units: texts are cut at ERR_TEXT_MAX bytes, with "..." at the end. */
#define ERR_TEXT_MAX 1024

struct err {
	int code; /* 0 or -errno of the first cause */
	char text[ERR_TEXT_MAX];
};

/* Sets code and text. Returns code, so that `return err_set(err, -EINVAL, "...")` reads well. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* As err_set(), with ": " and the words of strerror(-code) at the end. */
int err_errno(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "fmt: " before the text and keeps the code, which it returns (-EIO where e is NULL: nobody kept it). */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
