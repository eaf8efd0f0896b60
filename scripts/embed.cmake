# Writes the bytes of IN as a C array: cmake -DIN=page.html -DOUT=page_data.c -P embed.cmake
file(READ ${IN} hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "/* Made from page.html by embed.cmake. */
#include \"serve/page.h\"

const unsigned char auk_page_html[] = {
${bytes}
};
const size_t auk_page_html_bytes = sizeof auk_page_html;
")
