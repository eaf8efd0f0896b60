/* SPDX-License-Identifier: Apache-2.0 */
/* partial.h - a file that is written in ranges and knows, after any kill, which bytes it has.
 * Private to net/.
 *
 * The data lies in `parts/PATH`, what is known about it in `state/PATH`: a line with the identity
 * of the source and the size, then one line of fixed width per range, rewritten in place.  A state
 * of another identity or size is thrown away with its data.  Ranges may be written by different
 * threads, each range by one. */
#ifndef AUK_NET_PARTIAL_H
#define AUK_NET_PARTIAL_H

#include "base/str.h"

typedef struct auk_range {
    uint64_t from, to; /* [from, to); to is UINT64_MAX while the size is unknown */
    uint64_t done;     /* bytes from `from` on that are there */
    bool taken;        /* some thread works on it; for the owner of the partial */
} auk_range;

typedef struct auk_partial {
    char *data_path, *state_path; /* owned */
    int data_fd, state_fd;        /* owned; -1 when closed */
    auk_range *ranges;            /* owned */
    size_t n_ranges, head_bytes;
    uint64_t found_bytes; /* that were there when it was opened */
} auk_partial;

/* Opens or makes it.  bytes UINT64_MAX: unknown, one range, never taken up again; so is a file
 * whose identity is empty. */
AUK_MUST_CHECK int auk_partial_open(auk_partial *out, const char *root, const char *path,
                                    const char *identity, uint64_t bytes, uint64_t range_bytes,
                                    auk_err *err);
/* How many bytes of it an earlier process left; nothing is made. */
uint64_t auk_partial_found(const char *root, const char *path, const char *identity,
                           uint64_t bytes);
void auk_partial_close(auk_partial *p); /* what is on disk stays */

/* Appends to range i. */
AUK_MUST_CHECK int auk_partial_write(auk_partial *p, size_t i, auk_str piece, auk_err *err);

/* Forgets all bytes; `whole` makes one range of it. */
AUK_MUST_CHECK int auk_partial_restart(auk_partial *p, bool whole, auk_err *err);

/* Syncs, closes and moves the data to `to`; the state goes. */
AUK_MUST_CHECK int auk_partial_publish(auk_partial *p, const char *to, auk_err *err);

#endif
