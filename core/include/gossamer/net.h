/* gossamer/net.h - sockets and pipes that park the goroutine instead of the thread.
 *
 * Thin: an fd is an int, as everywhere. Those made here do not block and are closed on exec; close
 * them with gos_close(), which also ends the waits for them with GOS_CLOSED (a goroutine that goes on
 * using an fd after another has closed it may meet the number's next owner, as with close()). The other
 * functions take any fd, whoever made it. SIGPIPE is never raised. All may be called from goroutines
 * and foreign threads; deadlines are as everywhere (GOS_NOW: what can be done at once). Errors:
 * GOS_TIMEDOUT, GOS_WOULDBLOCK, GOS_CANCELED, GOS_CLOSED, GOS_INVAL, GOS_NOMEM, GOS_SYS(errno).
 *
 * network: "tcp", "udp", with 4 or 6 behind it for one kind of addresses only, "unix", "unixgram",
 * "unixpacket". address: "host:port", "[::1]:port", ":port" (everywhere, or this host); a path, or
 * "@name" in Linux's abstract name space. Go: package net.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSSAMER_NET_H
#define GOSSAMER_NET_H

#include "../gossamer.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* cdef: begin */
/* A socket address; data begins as struct sockaddr. */
typedef struct gos_addr {
  uint32_t len;
  uint64_t data[16];
} gos_addr;

/* A connected socket. Every address of the host is tried in turn, each with its share of the time;
   the first error is the result if none answers. GOS_NOHOST: nobody knows the name; GOS_SYS(EHOSTUNREACH):
   it has no address of this kind; GOS_SYS(EAGAIN): the resolver does not answer. */
int gos_dial(const char *network, const char *address, gos_ns deadline);
/* A socket that listens, or for the datagram networks one that is bound. backlog 0: the system's.
   The port may be 0: see gos_local_port. An existing path gives GOS_SYS(EADDRINUSE). */
int gos_listen(const char *network, const char *address, int backlog);
/* The next connection. */
int gos_accept(int fd, gos_ns deadline);
/* Reads what there is, at least a byte: its size, or 0 at the end of the stream (or for n = 0). */
int64_t gos_read(int fd, void *buf, size_t n, gos_ns deadline);
/* Writes all of it: n. When something ends it after a part of it, the size of that part; the next call
   tells why. */
int64_t gos_write(int fd, const void *buf, size_t n, gos_ns deadline);
/* A datagram (what does not fit is lost); from may be NULL. */
int64_t gos_recvfrom(int fd, void *buf, size_t n, gos_addr *from, gos_ns deadline);
int64_t gos_sendto(int fd, const void *buf, size_t n, const gos_addr *to, gos_ns deadline);
/* how: 0 no more reads, 1 no more writes (the other end reads the end of the stream), 2 both. */
int gos_shutdown(int fd, int how);
int gos_pipe(int fd[2]);                            /* fd[0] to read from, fd[1] to write to */
int gos_socketpair(const char *network, int fd[2]); /* "unix", "unixgram" or "unixpacket" */
/* The first address of that name, for gos_sendto. */
int gos_resolve(const char *network, const char *address, gos_addr *out, gos_ns deadline);
/* Obeying a context, as the forms in gossamer.h do. What gos_write_ctx had written when it ended is its result. */
int gos_dial_ctx(const char *network, const char *address, gos_ctx *x);
int gos_accept_ctx(int fd, gos_ctx *x);
int64_t gos_read_ctx(int fd, void *buf, size_t n, gos_ctx *x);
int64_t gos_write_ctx(int fd, const void *buf, size_t n, gos_ctx *x);
int64_t gos_recvfrom_ctx(int fd, void *buf, size_t n, gos_addr *from, gos_ctx *x);
int64_t gos_sendto_ctx(int fd, const void *buf, size_t n, const gos_addr *to, gos_ctx *x);
int gos_resolve_ctx(const char *network, const char *address, gos_addr *out, gos_ctx *x);
/* The first n (at least 1) of all of them, each once: how many there are. Go: net.LookupHost. */
int gos_lookup(const char *network, const char *address, gos_addr *out, int n, gos_ns deadline);
int gos_local_addr(int fd, gos_addr *out);
int gos_peer_addr(int fd, gos_addr *out);
/* The port fd is bound to, on this side. */
int gos_local_port(int fd);
/* The address as the functions above take it. Its length without the final 0; GOS_INVAL: no room. */
int gos_addr_text(const gos_addr *a, char *buf, size_t n);
/* cdef: end */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
