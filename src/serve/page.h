/* SPDX-License-Identifier: Apache-2.0 */
/* page.h - the page at '/', as the build embeds it.  Private to serve/. */
#ifndef AUK_SERVE_PAGE_H
#define AUK_SERVE_PAGE_H

#include <stddef.h>

extern const unsigned char auk_page_html[];
extern const size_t auk_page_html_bytes;

#endif
