/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include <strings.h>

/* RFC 9110, 5.6.2 */
static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool all_tokens(auk_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token(s.p[i]))
            return false;
    return s.n > 0;
}

static bool is_name(auk_str name, const char *want)
{
    return name.n == strlen(want) && strncasecmp(name.p, want, name.n) == 0;
}

/* The next line without its CRLF; false when it does not end so, or holds what no line may. */
static bool next_line(auk_str *line, auk_str *rest)
{
    for (size_t i = 0; i + 1 < rest->n; i++) {
        unsigned char c = (unsigned char)rest->p[i];
        if (c == '\r' && rest->p[i + 1] == '\n') {
            *line = (auk_str){rest->p, i};
            *rest = auk_str_from(*rest, i + 2);
            return true;
        }
        if (c == 0x7f || (c < 0x20 && c != '\t'))
            return false;
    }
    return false;
}

static int bad_request_line(auk_str line, auk_str *path, const char **why)
{
    const char *space = memchr(line.p, ' ', line.n);
    size_t at = space != NULL ? (size_t)(space - line.p) : 0;
    auk_str method = {line.p, at}, rest;

    *why = "the request line is not 'METHOD target HTTP/1.1'";
    if (!all_tokens(method))
        return 400;
    rest = auk_str_from(line, at + 1);
    space = memchr(rest.p, ' ', rest.n);
    if (space == NULL || space == rest.p)
        return 400;
    *path = (auk_str){rest.p, (size_t)(space - rest.p)};
    rest = auk_str_from(rest, path->n + 1);
    if (!auk_str_is(rest, "HTTP/1.1") && !auk_str_is(rest, "HTTP/1.0"))
        return 400;
    for (size_t i = 0; i < path->n; i++)
        if ((unsigned char)path->p[i] <= 0x20 || (unsigned char)path->p[i] >= 0x7f)
            return 400;
    if (path->p[0] != '/' && !auk_str_starts(*path, "http://") && !auk_str_is(*path, "*"))
        return 400;
    return 0;
}

static auk_str trimmed(auk_str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = auk_str_from(s, 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static bool all_digits(auk_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0 && s.n <= 18;
}

typedef struct counts {
    int fields, host, length, encoding;
} counts;

static int bad_field(counts *n, auk_str line, const char **why)
{
    const char *colon = memchr(line.p, ':', line.n);

    *why = "a header line is folded";
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return 400;
    *why = "a header's name is not a token";
    if (colon == NULL || !all_tokens((auk_str){line.p, (size_t)(colon - line.p)}))
        return 400;
    auk_str name = {line.p, (size_t)(colon - line.p)};
    auk_str value = trimmed(auk_str_from(line, name.n + 1));
    n->host += is_name(name, "host");
    if (is_name(name, "content-length")) {
        n->length++;
        *why = "Content-Length is not a number";
        if (!all_digits(value))
            return 400;
    }
    if (is_name(name, "transfer-encoding")) {
        n->encoding++;
        *why = "Transfer-Encoding is not 'chunked'";
        if (!is_name(value, "chunked"))
            return 400;
    }
    return 0;
}

int auk_header_check(auk_str header, int max_fields, auk_str *path, const char **why)
{
    auk_str rest = header, line;
    counts n = {0};
    int status;

    *path = (auk_str){"", 0};
    *why = "the request has bytes that no header may have";
    if (!next_line(&line, &rest))
        return 400;
    status = bad_request_line(line, path, why);
    bool old = auk_str_ends(line, "HTTP/1.0");
    while (status == 0) {
        *why = "the request has bytes that no header may have";
        if (!next_line(&line, &rest))
            return 400;
        if (line.n == 0)
            break;
        status = bad_field(&n, line, why);
        if (status == 0 && ++n.fields > max_fields) {
            *why = "the request has too many header fields";
            return 431;
        }
    }
    if (status != 0)
        return status;
    *why = n.host > 1 ? "the request has more than one Host" : "the request has no Host";
    if (n.host > 1 || (n.host == 0 && !old))
        return 400;
    *why = "the request has more than one Content-Length or Transfer-Encoding";
    if (n.length > 1 || n.encoding > 1)
        return 400;
    *why = "the request has both Content-Length and Transfer-Encoding";
    return n.length > 0 && n.encoding > 0 ? 400 : 0;
}
