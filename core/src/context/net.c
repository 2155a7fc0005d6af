/* Sockets and names that obey a context. L5. SPDX-License-Identifier: Apache-2.0 */
#include "gossamer/net.h"
#include "context/context.h"

int gos_accept_ctx(int fd, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_accept(fd, dl)); }
int64_t gos_read_ctx(int fd, void *buf, size_t n, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_read(fd, buf, n, dl)); }
int64_t gos_recvfrom_ctx(int fd, void *buf, size_t n, gos_addr *from, gos_ctx *x) {
  GOSI_CTX_OBEY(x, gos_recvfrom(fd, buf, n, from, dl));
}
int64_t gos_sendto_ctx(int fd, const void *buf, size_t n, const gos_addr *to, gos_ctx *x) {
  GOSI_CTX_OBEY(x, gos_sendto(fd, buf, n, to, dl));
}
int gos_resolve_ctx(const char *network, const char *address, gos_addr *out, gos_ctx *x) {
  GOSI_CTX_OBEY(x, gos_resolve(network, address, out, dl));
}

/* Without asking first: a connection tried and given up would be seen at the other end. The deadline
   is passed on, for each address to get its share. */
int gos_dial_ctx(const char *network, const char *address, gos_ctx *x) {
  gosi_ctx_wait w;
  gos_ns deadline;
  gos_ctx_deadline(x, &deadline);
  if (!gosi_ctx_can_end(x)) return gos_dial(network, address, GOS_FOREVER);
  int e = gosi_ctx_wait_begin(&w, x);
  return e ? e : (int)gosi_ctx_wait_end(&w, gos_dial(network, address, deadline));
}

/* What could be written at once is a part of the result. */
int64_t gos_write_ctx(int fd, const void *buf, size_t n, gos_ctx *x) {
  gosi_ctx_wait w;
  if (!gosi_ctx_can_end(x)) return gos_write(fd, buf, n, GOS_FOREVER);
  int64_t e = gosi_ctx_ended(x);
  if (e) return e;
  int64_t r = gos_write(fd, buf, n, GOS_NOW), done = r > 0 ? r : 0;
  if ((r < 0 && r != GOS_WOULDBLOCK) || (size_t)done == n) return r;
  if ((e = gosi_ctx_wait_begin(&w, x))) return done ? done : e;
  r = gosi_ctx_wait_end(&w, gos_write(fd, (const char *)buf + done, n - (size_t)done, GOS_FOREVER));
  return r > 0 ? done + r : done ? done : r;
}
