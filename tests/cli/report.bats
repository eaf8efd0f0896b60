#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Reports of the records in golden/ledger_records.jsonl: A and C are the same run twice, B another
# model, the last one a bench.

load helpers

setup() {
    export AUK_LEDGER=$BATS_TEST_TMPDIR/ledger.db
    "$AUKLET" ledger import "$GOLDEN_CLI/ledger_records.jsonl" >/dev/null
    ALL="2e9d 09e0 9952 b977"
}

@test "the three formats are what they were" {
    for format in html md json; do
        # shellcheck disable=SC2086
        "$AUKLET" report $ALL --format $format | golden report.$format
    done
}

@test "the same records give the same bytes, whatever the time, place and locale" {
    # shellcheck disable=SC2086
    "$AUKLET" report $ALL >"$BATS_TEST_TMPDIR/one"
    # shellcheck disable=SC2086
    (cd / && TZ=Asia/Tokyo LC_ALL=C.UTF-8 "$AUKLET" report $ALL) | cmp - "$BATS_TEST_TMPDIR/one"
}

@test "the file's name chooses the format, and nothing is overwritten unasked" {
    "$AUKLET" report latest -o "$BATS_TEST_TMPDIR/r.md"
    [ "$(head -n 1 "$BATS_TEST_TMPDIR/r.md")" = "# What was measured" ]
    run --separate-stderr "$AUKLET" report latest -o "$BATS_TEST_TMPDIR/r.md"
    [ "$status" -eq 1 ]
    has "$stderr" "--force"
    "$AUKLET" report latest -o "$BATS_TEST_TMPDIR/r.md" --force --format html
    [ "$(head -n 1 "$BATS_TEST_TMPDIR/r.md")" = "<!DOCTYPE html>" ]
    [ ! -e "$BATS_TEST_TMPDIR/r.md.tmp" ]
}

@test "the page is well formed and has nothing active" {
    # shellcheck disable=SC2086
    "$AUKLET" report $ALL | python3 -c '
import html.parser, sys
class Page(html.parser.HTMLParser):
    open, seen = [], set()
    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        assert not any(k.startswith("on") or k in ("src", "href") for k, v in attrs), attrs
        if tag not in ("meta", "path", "circle"):
            self.open.append(tag)
    def handle_endtag(self, tag):
        if tag not in ("path", "circle"):
            assert self.open.pop() == tag, (tag, self.getpos())
page = Page()
page.feed(sys.stdin.read())
assert not page.open and not page.seen & {"script", "img", "link", "iframe"}, page.seen
'
}

@test "a report needs a record, and a format it has" {
    run --separate-stderr "$AUKLET" report
    usage_error
    run --separate-stderr "$AUKLET" report latest --format pdf
    usage_error
    run --separate-stderr "$AUKLET" report ffff
    [ "$status" -eq 1 ]
    has "$stderr" "no record 'ffff'"
}
