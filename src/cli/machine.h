/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h - what this computer has. */
#ifndef AUK_CLI_MACHINE_H
#define AUK_CLI_MACHINE_H

#include "base/pool.h"

typedef struct auk_machine {
    char cpu[128], levels[64];
    int threads;
    uint64_t memory_bytes;    /* the machine's, or what a container may use */
    uint64_t available_bytes; /* of it, now */
    double bandwidth_bytes_s; /* measured: all threads reading */
} auk_machine;

/* Takes about half a second: the bandwidth is measured. */
void auk_machine_measure(auk_machine *out, int threads, unsigned cpu_flags);

/* Bytes of memory a program may still take here, as far as the system says. */
uint64_t auk_machine_available(void);

#endif
