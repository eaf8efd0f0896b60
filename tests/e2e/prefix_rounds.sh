#!/bin/bash
# Thousands of random branching conversations: a cached beginning never changes the logits.
set -eu
AUK_ROUNDS=${AUK_ROUNDS:-3000} "$(dirname "$AUKLET")/tests/test_prefix"
