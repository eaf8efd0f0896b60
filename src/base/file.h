/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - whole files, read-only maps, and folders that appear complete or not at all. */
#ifndef AUK_BASE_FILE_H
#define AUK_BASE_FILE_H

#include "base/buf.h"

/* Appends the file to `out`; a file larger than the buffer's maximum is refused. */
AUK_MUST_CHECK int auk_file_read(auk_buf *out, const char *path, auk_err *err);

/* Writes path + ".tmp", syncs it and renames it. */
AUK_MUST_CHECK int auk_file_write(const char *path, auk_str data, auk_err *err);

bool auk_file_exists(const char *path); /* anything of that name */
bool auk_file_is_dir(const char *path);

/* Makes the folders above `path` that are missing. */
AUK_MUST_CHECK int auk_make_parents(const char *path, auk_err *err);

/* "dir/name" in fresh memory (free()). */
char *auk_path_join(const char *dir, const char *name);

/* Bytes a process without privileges may still write where `path` (or its nearest existing
 * parent) lies. */
AUK_MUST_CHECK int auk_disk_free(uint64_t *out, const char *path, auk_err *err);

/* Deletes a file or a whole folder; what is missing already is fine. */
AUK_MUST_CHECK int auk_tree_remove(const char *path, auk_err *err);

/* Copies a file, or a folder with all in it; links are followed, special files refused. */
AUK_MUST_CHECK int auk_tree_copy(const char *from, const char *to, auk_err *err);

/* A file mapped read-only.  The pages are the kernel's: reading faults them in, auk_map_drop lets
 * go of those wholly inside [offset, offset + n) so that they no longer count as resident. */
typedef struct auk_map {
    const uint8_t *p; /* owned; NULL for an empty file */
    size_t n;
} auk_map;

AUK_MUST_CHECK int auk_map_open(auk_map *out, const char *path, auk_err *err);
void auk_map_close(auk_map *map);
void auk_map_drop(const auk_map *map, const void *p, size_t n);

#endif
