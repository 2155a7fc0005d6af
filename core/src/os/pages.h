/* Pages whose contents are taken away and come back, each in one step for all threads. L1.
 *
 * The twin of a mapping is a second one, as long, that only the thread which fills a page in again writes to: when
 * the page is whole it is moved to its place, so nobody ever sees half of it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_PAGES_H
#define GOSI_PAGES_H

#include "os/os.h"

/* Tries all of the below on pages of its own. NULL: they work; else why they do not. */
const char *gosi_pages_trouble(void);
/* The twin of [p, p+n), a mapping from gosi_os_reserve whose first page is nobody's; NULL: not to be had. */
char *gosi_pages_twin(char *p, size_t n);
/* Writing faults, until it is allowed again, or a page has been moved there. False: nothing changed. */
bool gosi_pages_forbid(char *p, size_t n);
bool gosi_pages_allow(char *p, size_t n);
/* Pages that may not be written: the memory is given back, and any access faults, also once writing is allowed again.
   False: perhaps some of it; some may not be read. */
bool gosi_pages_drop(char *p, size_t n);
/* The same for pages of a twin, which hold nothing yet. */
bool gosi_pages_guard(char *p, size_t n);
/* Pages of the twin take the place of those it is the twin of; it has none there any more. False: nothing changed. */
bool gosi_pages_move(char *twin, char *to, size_t n);
/* After gosi_pages_drop, where nothing can be moved: access gives zeros from here on. */
void gosi_pages_open(char *p, size_t n);
/* The instruction that the fault came from, whose handler got uc. */
const void *gosi_pages_fault_pc(const void *uc);

#endif
