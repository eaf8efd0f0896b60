/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(auk_err *err, int code, const char *fmt, va_list args)
{
    err->code = code;
    vsnprintf(err->msg, sizeof err->msg, fmt, args);
    for (char *p = err->msg; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = '?';
}

int auk_fail(auk_err *err, int code, const char *fmt, ...)
{
    va_list args;

    if (err == NULL)
        return code;
    va_start(args, fmt);
    fill(err, code, fmt, args);
    va_end(args);
    return code;
}

int auk_fail_errno(auk_err *err, const char *fmt, ...)
{
    int saved = errno;
    int code = saved == ENOENT ? AUK_ENOTFOUND : AUK_EIO;
    va_list args;

    if (err == NULL)
        return code;
    va_start(args, fmt);
    fill(err, code, fmt, args);
    va_end(args);
    size_t n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, ": %s", strerror(saved));
    return code;
}

const char *auk_code_name(int code)
{
    static const char *const names[] = {"ok",        "invalid",  "format", "not supported",
                                        "not found", "io error", "memory", "limit",
                                        "cancelled"};

    size_t i = (size_t)-code;
    return i < sizeof names / sizeof *names ? names[i] : "unknown";
}
