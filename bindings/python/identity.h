/* identity.h - a thread identity for every goroutine.
 *
 * CPython's RLock, import lock and io locks, sqlite3, threading.get_ident() and
 * signal.signal() all ask pthread_self() who is running. The object that holds CPython
 * reaches it through one relocated slot; that slot is pointed to identity_self().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef GOSSAMER_PY_IDENTITY_H
#define GOSSAMER_PY_IDENTITY_H

#include <stdbool.h>

/* The identity of whatever runs on this OS thread; 0: the thread's own. */
extern __thread unsigned long identity_override __attribute__((tls_model("initial-exec")));

/* Redirects the slots (that of pthread_exit too, see there) and tests that CPython follows it. False: nothing was changed. */
bool identity_install(void);
/* A number that no thread has. 0: no memory. GIL. */
unsigned long identity_new(void);
void identity_free(unsigned long id);
/* Was it made by identity_new()? */
bool identity_is_ours(unsigned long id);
/* The identity of the OS thread itself. */
unsigned long identity_real(void);

#endif
