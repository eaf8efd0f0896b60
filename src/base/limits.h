/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h - every maximum of this program, in one place.  None bounds a model's size: those
 * limits come from the file itself and from the machine. */
#ifndef AUK_BASE_LIMITS_H
#define AUK_BASE_LIMITS_H

#define AUK_MAX_JSON_DEPTH 256               /* of any JSON that comes from outside */
#define AUK_MAX_HEADER ((uint64_t)100 << 20) /* safetensors header; the library's own */
#define AUK_MAX_JSON_FILE ((size_t)1 << 30)  /* config, index, tokenizer */
#define AUK_MAX_RANK 8                       /* dimensions of a tensor */
#define AUK_MAX_LINE ((size_t)1 << 28)       /* one line of a plumbing command's input */
#define AUK_MAX_TEXT ((size_t)1 << 30)       /* one prompt, rendered or raw */
#define AUK_MAX_THREADS 256

#endif
