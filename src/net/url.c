/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include "base/mem.h"

#include <ctype.h>
#include <curl/curl.h>

/* A parsed http(s) URL, or NULL. */
static CURLU *parse(const char *url)
{
    CURLU *u = curl_url();
    char *scheme = NULL;

    if (u == NULL)
        abort();
    bool ok = curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    if (ok)
        return u;
    curl_url_cleanup(u);
    return NULL;
}

static char *own(char *from_curl)
{
    char *copy = from_curl != NULL ? auk_strndup(from_curl, strlen(from_curl)) : NULL;
    curl_free(from_curl);
    return copy;
}

char *auk_url_origin(const char *url)
{
    CURLU *u = parse(url);
    char *origin = NULL;

    if (u == NULL)
        return NULL;
    curl_url_set(u, CURLUPART_PATH, NULL, 0);
    curl_url_set(u, CURLUPART_QUERY, NULL, 0);
    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    curl_url_set(u, CURLUPART_USER, NULL, 0);
    curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
    curl_url_get(u, CURLUPART_URL, &origin, CURLU_DEFAULT_PORT);
    curl_url_cleanup(u);
    origin = own(origin);
    for (char *c = origin; c != NULL && *c != 0; c++)
        *c = (char)tolower((unsigned char)*c);
    if (origin != NULL && origin[0] != 0 && origin[strlen(origin) - 1] == '/')
        origin[strlen(origin) - 1] = 0;
    return origin;
}

char *auk_url_shown(const char *url)
{
    CURLU *u = parse(url);
    char *shown = NULL;

    if (u == NULL)
        return NULL;
    curl_url_set(u, CURLUPART_QUERY, NULL, 0);
    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    curl_url_set(u, CURLUPART_USER, NULL, 0);
    curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
    curl_url_get(u, CURLUPART_URL, &shown, 0);
    curl_url_cleanup(u);
    return own(shown);
}

char *auk_url_resolve(const char *base, auk_str reference)
{
    CURLU *u = parse(base);
    char *text = auk_strndup(reference.p, reference.n), *url = NULL, *scheme = NULL;

    if (u != NULL && memchr(reference.p, 0, reference.n) == NULL &&
        curl_url_set(u, CURLUPART_URL, text, CURLU_URLENCODE) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0))
        curl_url_get(u, CURLUPART_URL, &url, 0);
    curl_free(scheme);
    curl_url_cleanup(u);
    free(text);
    return own(url);
}

void auk_url_escape(auk_buf *out, auk_str path)
{
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c != 0 && strchr("-._~/", c) != NULL);
        if (plain)
            auk_buf_putc(out, (char)c);
        else
            auk_buf_printf(out, "%%%02X", c);
    }
}
