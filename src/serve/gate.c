/* SPDX-License-Identifier: Apache-2.0 */
/* Who may ask: the Host's name (against DNS rebinding), the Origin (against other pages in the
 * same browser), the key. */
#include "serve/server_state.h"

#include <ctype.h>
#include <strings.h>

static bool is_loopback(const char *host)
{
    return host == NULL || strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 ||
           strcmp(host, "::1") == 0;
}

static bool is_word(auk_str s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

/* One of a list separated by commas. */
static bool in_list(const char *list, auk_str s)
{
    while (list != NULL && *list != 0) {
        const char *end = strchr(list, ',');
        size_t n = end != NULL ? (size_t)(end - list) : strlen(list);
        while (n > 0 && *list == ' ') {
            list++;
            n--;
        }
        if (s.n == n && strncasecmp(s.p, list, n) == 0)
            return true;
        list = end != NULL ? end + 1 : NULL;
    }
    return false;
}

/* Without port and brackets. */
static auk_str name_of(const char *host)
{
    auk_str s = auk_str_of(host);

    if (s.n > 0 && s.p[0] == '[') {
        const char *end = memchr(s.p, ']', s.n);
        return end != NULL ? (auk_str){s.p + 1, (size_t)(end - s.p) - 1} : s;
    }
    const char *colon = memchr(s.p, ':', s.n);
    return colon != NULL ? (auk_str){s.p, (size_t)(colon - s.p)} : s;
}

static bool is_ip(auk_str s)
{
    bool v4 = true, v6 = false;

    for (size_t i = 0; i < s.n; i++) {
        v4 = v4 && (isdigit((unsigned char)s.p[i]) || s.p[i] == '.');
        v6 = v6 || s.p[i] == ':';
    }
    return v4 || v6;
}

static bool host_allowed(const auk_serving *s, const char *host)
{
    if (!is_loopback(s->opts.host) || host == NULL || *host == 0)
        return true;
    auk_str name = name_of(host);
    bool under = name.n > 10 && strncasecmp(name.p + name.n - 10, ".localhost", 10) == 0;
    return is_ip(name) || is_word(name, "localhost") || under || is_word(name, s->hostname) ||
           in_list(s->opts.allowed_hosts, name);
}

/* Ollama's list of origins, without 0.0.0.0. */
bool auk_origin_allowed(const auk_serving *s, const char *origin)
{
    static const char *const schemes[] = {"app://",           "file://",
                                          "tauri://",         "vscode-webview://",
                                          "vscode-file://",   "chrome-extension://",
                                          "moz-extension://", "safari-web-extension://"};
    auk_str o = auk_str_of(origin), rest = o;

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (auk_str_starts(o, schemes[i]))
            return true;
    if (in_list(s->opts.origins, o) || in_list(s->opts.origins, auk_str_of("*")))
        return true;
    if (auk_str_starts(o, "http://"))
        rest = auk_str_from(o, 7);
    else if (auk_str_starts(o, "https://"))
        rest = auk_str_from(o, 8);
    else
        return false;
    auk_str name = name_of(rest.p);
    return is_word(name, "localhost") || is_word(name, "127.0.0.1") || is_word(name, "::1");
}

/* The time depends on the key's length alone. */
static bool same_key(auk_str given, auk_str key)
{
    unsigned differ = given.n != key.n;

    for (size_t i = 0; i < key.n; i++)
        differ |= (unsigned char)key.p[i] ^ (unsigned char)(given.n > 0 ? given.p[i % given.n] : 0);
    return differ == 0;
}

static bool key_given(const auk_serving *s, const auk_http_call *c)
{
    const char *bearer = auk_call_header(c, "Authorization");
    const char *plain = auk_call_header(c, "x-api-key");
    const char *list = s->opts.api_keys;
    auk_str given = {"", 0};
    bool found = false;

    if (bearer != NULL && strncasecmp(bearer, "Bearer ", 7) == 0)
        given = auk_str_of(bearer + 7);
    else if (plain != NULL)
        given = auk_str_of(plain);
    while (list != NULL && *list != 0) {
        const char *end = strchr(list, ',');
        size_t n = end != NULL ? (size_t)(end - list) : strlen(list);
        bool same = n > 0 && same_key(given, (auk_str){list, n});
        found = found || same;
        list = end != NULL ? end + 1 : NULL;
    }
    return found;
}

int auk_gate(const auk_serving *s, const auk_http_call *c, const char *path, const char **why)
{
    const char *origin = auk_call_header(c, "Origin"), *target = c->target;
    bool safe = strcmp(c->method, "GET") == 0 || strcmp(c->method, "HEAD") == 0;

    *why = "this Host is not allowed: use localhost or an address, or --allowed-hosts";
    if (!host_allowed(s, auk_call_header(c, "Host")))
        return 403;
    if (strncmp(target, "http://", 7) == 0) {
        char host[256];
        snprintf(host, sizeof host, "%.*s", (int)strcspn(target + 7, "/"), target + 7);
        if (!host_allowed(s, host))
            return 403;
    }
    *why = "this Origin is not allowed: see --origins";
    if (origin != NULL && !safe && !auk_origin_allowed(s, origin))
        return 403;
    bool healthy = strcmp(path, "/health") == 0 || strcmp(path, "/v1/health") == 0;
    *why = "a valid API key is needed: 'Authorization: Bearer KEY' or 'x-api-key: KEY'";
    if (s->opts.api_keys != NULL && !healthy && strcmp(c->method, "OPTIONS") != 0 &&
        !key_given(s, c))
        return 401;
    return 0;
}
