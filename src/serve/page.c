/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/page.h"
#include "serve/server_state.h"

int auk_page_chat(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                  auk_err *err)
{
    (void)s, (void)c, (void)request, (void)err;
    a->status = 200;
    a->type = "text/html; charset=utf-8";
    auk_response_header(
        a, "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'");
    auk_response_header(a, "Referrer-Policy", "no-referrer");
    auk_response_header(a, "Vary", "Accept");
    auk_buf_add(&a->body, auk_page_html, auk_page_html_bytes);
    return AUK_OK;
}
