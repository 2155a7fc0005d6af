/* Names and addresses; dialing and listening. L4. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "gossamer/net.h"
#include "netpoll/netpoll.h"

enum { RESOLVER_STACK = 512 * 1024, MIN_SHARE = 2000000000 };

typedef struct network {
  const char *name;
  int family, type;
} network;
static const network networks[] = {
    {"tcp", AF_UNSPEC, SOCK_STREAM}, {"tcp4", AF_INET, SOCK_STREAM},    {"tcp6", AF_INET6, SOCK_STREAM},
    {"udp", AF_UNSPEC, SOCK_DGRAM},  {"udp4", AF_INET, SOCK_DGRAM},     {"udp6", AF_INET6, SOCK_DGRAM},
    {"unix", AF_UNIX, SOCK_STREAM},  {"unixgram", AF_UNIX, SOCK_DGRAM}, {"unixpacket", AF_UNIX, SOCK_SEQPACKET},
};
static const network *network_of(const char *name) {
  for (size_t i = 0; name && i < COUNT(networks); i++)
    if (!strcmp(networks[i].name, name)) return &networks[i];
  return NULL;
}

static const struct sockaddr *sock(const gos_addr *a) { return (const struct sockaddr *)(const void *)a->data; }

/* ---- names ---------------------------------------------------------------------------------- */
/* The resolver would take it modulo 65,536. */
static bool too_large(const char *port) {
  char *end;
  return strtoul(port, &end, 10) > 65535 && !*end;
}
/* "host:port" in its parts; host is empty for none. */
static int split(const char *address, char *host, size_t n, char *port, size_t pn) {
  const char *colon = strrchr(address, ':'), *from = address, *to = colon;
  if (!colon) return GOS_INVAL;
  if (*from == '[') {
    if (to[-1] != ']') return GOS_INVAL;
    from++;
    to--;
  } else if (memchr(from, ':', (size_t)(to - from))) {
    return GOS_INVAL; /* an IPv6 address needs its brackets: which colon is the port's? */
  }
  if ((size_t)(to - from) >= n || strlen(colon + 1) >= pn || too_large(colon + 1)) return GOS_INVAL;
  memcpy(host, from, (size_t)(to - from));
  host[to - from] = 0;
  strcpy(port, colon[1] ? colon + 1 : "0");
  return GOS_OK;
}

static int of_path(const char *path, gos_addr *out) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  size_t n = strlen(path);
  if (n == 0 || n >= sizeof un.sun_path) return GOS_INVAL;
  memcpy(un.sun_path, path, n);
  bool abstract = path[0] == '@';
  if (abstract) un.sun_path[0] = 0;
  memset(out, 0, sizeof *out);
  memcpy(out->data, &un, sizeof un);
  out->len = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + n + !abstract);
  return GOS_OK;
}

/* A question to the resolver; asked by a goroutine, as it may take long and cannot be called off. */
typedef struct question {
  char host[256], port[64];
  struct addrinfo hints, *found;
  int err;
  gos_chan *done;
  uint32_t refs;
} question;

static void drop(question *q) {
  if (gosi_sub(&q->refs, 1u) != 1) return;
  if (q->found) freeaddrinfo(q->found);
  gos_chan_release(q->done);
  gosi_free(q);
}

static NOINLINE int error_of(int eai) {
  if (eai == 0) return GOS_OK;
  if (eai == EAI_MEMORY) return GOS_NOMEM;
  if (eai == EAI_AGAIN) return GOS_SYS(EAGAIN);
  if (eai == EAI_SYSTEM) return GOS_SYS(errno);
  if (eai == EAI_NONAME || eai == EAI_NODATA) return GOS_NOHOST;
  if (eai == EAI_SERVICE || eai == EAI_SOCKTYPE || eai == EAI_BADFLAGS) return GOS_INVAL;
  return GOS_SYS(EHOSTUNREACH);
}
static void *ask(void *arg) {
  question *q = arg;
  q->err = error_of(getaddrinfo(q->host[0] ? q->host : NULL, q->port, &q->hints, &q->found));
  if (!q->err && !q->found) q->err = GOS_SYS(EHOSTUNREACH); /* it knows the name, and no address */
  return NULL;
}
static void asker(void *arg) {
  question *q = arg;
  gos_blocking(ask, q, NULL);
  gos_chan_close(q->done);
  drop(q);
}

static int ask_resolver(question *q, gos_ns deadline) {
  gos_go_options o = {.size = sizeof o, .name = "resolver", .stack = RESOLVER_STACK};
  int e = GOS_OK;
  if (!(q->done = gos_chan_make(0, 0))) return GOS_NOMEM;
  gosi_add(&q->refs, 1u);
  gos_g *g = gos_go_opts(&o, asker, q, &e);
  if (!g) {
    gosi_sub(&q->refs, 1u);
    return e;
  }
  gos_release(g);
  e = gos_chan_recv_dl(q->done, NULL, deadline);
  return e == GOS_CLOSED ? q->err : e;
}

/* The addresses of an internet name. *out: to drop(), whatever the result; NULL: none. */
static int look_up(const network *w, const char *address, bool passive, gos_ns deadline, question **out) {
  question *q = *out = gosi_alloc(sizeof *q);
  if (!q) return GOS_NOMEM;
  q->refs = 1;
  int e = split(address, q->host, sizeof q->host, q->port, sizeof q->port);
  if (e) return e;
  q->hints = (struct addrinfo){.ai_family = w->family, .ai_socktype = w->type};
  q->hints.ai_flags = AI_NUMERICHOST | (passive ? AI_PASSIVE : 0);
  ask(q); /* an address, or none, needs no resolver */
  if (q->err != GOS_NOHOST && q->err != GOS_SYS(EHOSTUNREACH)) return q->err;
  if (deadline == GOS_NOW) return GOS_WOULDBLOCK;
  q->hints.ai_flags &= ~AI_NUMERICHOST;
  return ask_resolver(q, deadline);
}

static void copy_addr(gos_addr *to, const struct addrinfo *from) {
  memset(to, 0, sizeof *to);
  to->len = from->ai_addrlen;
  memcpy(to->data, from->ai_addr, from->ai_addrlen);
}

int gos_lookup(const char *name, const char *address, gos_addr *out, int n, gos_ns deadline) {
  const network *w = network_of(name);
  if (!w || !address || !out || n < 1) return GOS_INVAL;
  if (w->family == AF_UNIX) {
    int e = of_path(address, out);
    return e ? e : 1;
  }
  question *q;
  int e = look_up(w, address, false, deadline, &q), k = 0;
  for (struct addrinfo *i = e ? NULL : q->found; i; i = i->ai_next)
    if (k++ < n) copy_addr(&out[k - 1], i);
  if (q) drop(q);
  return e ? e : k;
}

int gos_resolve(const char *name, const char *address, gos_addr *out, gos_ns deadline) {
  int e = gos_lookup(name, address, out, 1, deadline);
  return e < 0 ? e : GOS_OK;
}

/* ---- sockets ------------------------------------------------------------------------------------ */
static unsigned flags_of(int type) { return FD_SOCKET | (type == SOCK_STREAM ? FD_STREAM : 0u); }

/* Of ours; a connection does not wait to fill its packets. */
static NOINLINE int new_socket(int family, int type) {
  static const int on = 1;
  int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return GOS_SYS(errno);
  if (family != AF_UNIX && type == SOCK_STREAM) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int e = gosi_fd_adopt(fd, flags_of(type));
  if (e) close(fd);
  return e ? e : fd;
}

static NOINLINE int system_connect(int fd, const gos_addr *a) {
  if (connect(fd, sock(a), a->len) == 0) return GOS_OK;
  return errno == EINPROGRESS || errno == EINTR ? 1 : GOS_SYS(errno); /* interrupted: it goes on all the same */
}
static NOINLINE int error_of_socket(int fd) {
  int e = 0;
  socklen_t n = sizeof e;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) ? GOS_SYS(errno) : e ? GOS_SYS(e) : GOS_OK;
}

static int dial_one(int type, const gos_addr *a, gos_ns deadline) {
  int fd = new_socket(sock(a)->sa_family, type);
  if (fd < 0) return fd;
  int e = system_connect(fd, a);
  if (e > 0) {
    e = gos_fd_wait(fd, GOS_WRITE, deadline);
    e = e < 0 ? e : error_of_socket(fd);
  }
  if (e) gos_close(fd);
  return e ? e : fd;
}

/* An equal part of the time that is left, but not less than two seconds. */
static gos_ns share(gos_ns deadline, int addresses) {
  if (deadline == GOS_FOREVER || addresses <= 1) return deadline;
  gos_ns now = gosi_os_now(), part = (deadline - now) / addresses;
  if (part < MIN_SHARE) part = MIN_SHARE;
  return deadline - now < part ? deadline : now + part;
}

/* The caller is wanted elsewhere: the other addresses are not tried. */
static bool called_off(int e) { return e == GOS_CANCELED || e == GOS_AGAIN || e == GOSI_ENDED; }

int gos_dial(const char *name, const char *address, gos_ns deadline) {
  const network *w = network_of(name);
  gos_addr a;
  if (!w || !address) return GOS_INVAL;
  if (w->family == AF_UNIX) {
    int e = of_path(address, &a);
    return e ? e : dial_one(w->type, &a, deadline);
  }
  question *q;
  int first = look_up(w, address, false, deadline, &q), fd = first, left = 0;
  for (struct addrinfo *i = first ? NULL : q->found; i; i = i->ai_next) left++;
  for (struct addrinfo *i = first ? NULL : q->found; i; i = i->ai_next) {
    copy_addr(&a, i);
    fd = dial_one(w->type, &a, share(deadline, left--));
    if (fd >= 0 || called_off(fd)) break;
    if (i == q->found) first = fd;
  }
  if (q) drop(q);
  return fd >= 0 || called_off(fd) ? fd : first;
}

static NOINLINE int listen_on(int fd, const network *w, const gos_addr *a, int backlog) {
  static const int on = 1, off = 0;
  int family = sock(a)->sa_family;
  if (family != AF_UNIX && w->type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  /* "tcp" at :: takes IPv4 as well. */
  if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, w->family == AF_INET6 ? &on : &off, sizeof on);
  if (bind(fd, sock(a), a->len)) return GOS_SYS(errno);
  if (w->type == SOCK_DGRAM) return GOS_OK;
  return listen(fd, backlog > 0 ? backlog : SOMAXCONN) ? GOS_SYS(errno) : GOS_OK;
}

static int bound_socket(const network *w, const gos_addr *a, int backlog) {
  int fd = new_socket(sock(a)->sa_family, w->type);
  int e = fd < 0 ? fd : listen_on(fd, w, a, backlog);
  if (e && fd >= 0) gos_close(fd);
  return e ? e : fd;
}

/* At the first address of that family where it can be done. */
static int listen_first(const network *w, const question *q, int family, int backlog) {
  int fd = GOS_SYS(EADDRNOTAVAIL);
  gos_addr a;
  for (struct addrinfo *i = q->found; i && fd < 0; i = i->ai_next) {
    if (family != AF_UNSPEC && i->ai_family != family) continue;
    copy_addr(&a, i);
    fd = bound_socket(w, &a, backlog);
  }
  return fd;
}

int gos_listen(const char *name, const char *address, int backlog) {
  const network *w = network_of(name);
  gos_addr a;
  if (!w || !address || backlog < 0) return GOS_INVAL;
  if (w->family == AF_UNIX) {
    int e = of_path(address, &a);
    return e ? e : bound_socket(w, &a, backlog);
  }
  question *q;
  int e = look_up(w, address, true, GOS_FOREVER, &q);
  /* Everywhere: :: serves IPv4 as well; where there is no IPv6, 0.0.0.0. */
  int fd = e ? e : listen_first(w, q, q->host[0] ? AF_UNSPEC : AF_INET6, backlog);
  if (fd < 0 && e == GOS_OK && !q->host[0]) fd = listen_first(w, q, AF_INET, backlog);
  if (q) drop(q);
  return fd;
}

/* ---- pairs ------------------------------------------------------------------------------------------ */
static int adopt_both(int fd[2], unsigned flags) {
  int e = gosi_fd_adopt(fd[0], flags);
  if (!e) e = gosi_fd_adopt(fd[1], flags);
  if (e) {
    gos_close(fd[0]);
    gos_close(fd[1]);
  }
  return e;
}

int gos_pipe(int fd[2]) {
  if (!fd) return GOS_INVAL;
  if (pipe2(fd, O_CLOEXEC | O_NONBLOCK)) return GOS_SYS(errno);
  return adopt_both(fd, FD_STREAM);
}

int gos_socketpair(const char *name, int fd[2]) {
  const network *w = network_of(name);
  if (!w || w->family != AF_UNIX || !fd) return GOS_INVAL;
  if (socketpair(AF_UNIX, w->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd)) return GOS_SYS(errno);
  return adopt_both(fd, flags_of(w->type));
}

/* ---- addresses ---------------------------------------------------------------------------------------- */
static int addr_by(int (*get)(int, struct sockaddr *, socklen_t *), int fd, gos_addr *out) {
  if (!out) return GOS_INVAL;
  memset(out, 0, sizeof *out);
  socklen_t n = sizeof out->data;
  if (get(fd, (struct sockaddr *)(void *)out->data, &n)) return GOS_SYS(errno);
  out->len = n;
  return GOS_OK;
}
int gos_local_addr(int fd, gos_addr *out) { return addr_by(getsockname, fd, out); }
int gos_peer_addr(int fd, gos_addr *out) { return addr_by(getpeername, fd, out); }

int gos_local_port(int fd) {
  gos_addr a;
  int e = gos_local_addr(fd, &a);
  if (e) return e;
  struct sockaddr_in6 in; /* the port is at the same place in both */
  _Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "");
  memcpy(&in, a.data, sizeof in);
  return in.sin6_family == AF_INET || in.sin6_family == AF_INET6 ? ntohs(in.sin6_port) : GOS_INVAL;
}

int gos_addr_text(const gos_addr *a, char *buf, size_t n) {
  char host[128], port[16];
  int k;
  if (!a || !buf || a->len > sizeof a->data) return GOS_INVAL;
  if (a->len >= sizeof(sa_family_t) && sock(a)->sa_family == AF_UNIX) {
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)a->data;
    int most = (int)(a->len - offsetof(struct sockaddr_un, sun_path));
    if (most > 0 && !un->sun_path[0])
      k = snprintf(buf, n, "@%.*s", most - 1, un->sun_path + 1);
    else
      k = snprintf(buf, n, "%.*s", most > 0 ? most : 0, un->sun_path);
  } else {
    if (getnameinfo(sock(a), a->len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV))
      return GOS_INVAL;
    k = snprintf(buf, n, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
  }
  return k >= 0 && (size_t)k < n ? k : GOS_INVAL;
}
