/* gos.net: dialing, listening, datagrams, names, options. Connections are streams.
 *
 * A listener or a socket of datagrams belongs to one thread as all of this binding does, so that "closed"
 * needs no lock: fd is -1, and whoever waited was woken by gos_close().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gossamer/net.h>

#include "lgos.h"

enum { DATAGRAM = 65536, NAMES = 64, TEXT = 256 };

/* A listener, or a socket of datagrams. */
struct sock {
  const char *type; /* GL_LISTENER's mark or GL_PACKET's */
  int fd;           /* -1: closed */
  char network[12]; /* of addresses to write to */
  char path[108];   /* of a Unix listener: removed with it; "": none */
  unsigned turns;   /* see gl_turn */
  gos_ns read_until, write_until;
};

static bool of_datagrams(const char *network) {
  return strncmp(network, "udp", 3) == 0 || strcmp(network, "unixgram") == 0 || strcmp(network, "unixpacket") == 0;
}

static struct sock *check(lua_State *L) {
  struct sock *k = gl_test(L, 1, GL_PACKET);
  return k ? k : gl_check(L, 1, GL_LISTENER, "socket");
}
static struct sock *check_packet(lua_State *L) { return gl_check(L, 1, GL_PACKET, "packet socket"); }
static struct sock *check_listener(lua_State *L) { return gl_check(L, 1, GL_LISTENER, "listener"); }

static struct sock *new_sock(lua_State *L, enum gl_type type, const char *network) {
  struct sock *k = memset(lua_newuserdatauv(L, sizeof *k, 0), 0, sizeof *k);
  k->type = &gl_mark[type];
  k->fd = -1;
  k->read_until = k->write_until = GOS_FOREVER;
  snprintf(k->network, sizeof k->network, "%s", network);
  lua_rawgeti(L, GL_VALS, type);
  lua_setmetatable(L, -2);
  return k;
}

/* The object for a connected socket of that network, still closed; and where its fd goes. */
static void own(lua_State *L, bool packets, int fd) {
  if (packets)
    ((struct sock *)lua_touserdata(L, -1))->fd = fd;
  else
    gl_stream_own(lua_touserdata(L, -1), fd);
}
static void push_end(lua_State *L, const char *network) {
  if (of_datagrams(network))
    new_sock(L, GL_PACKET, network);
  else
    gl_new_stream(L, GL_CONN);
}

/* nil, "dial tcp host:80: connection refused", code. */
static int failed(lua_State *L, struct gl_go *me, int64_t e, bool now, const char *verb) {
  const char *what = lua_pushfstring(L, "%s %s %s", verb, lua_tostring(L, 1), lua_tostring(L, 2));
  if (e == GOS_SYS(EAGAIN) && strncmp(lua_tostring(L, 1), "unix", 4) != 0) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s: temporary failure in name resolution", what);
    lua_pushliteral(L, "EAGAIN");
    return 3;
  }
  if (e == GOS_AGAIN) lua_pop(L, 1); /* the error is below */
  return gl_io_failed(L, gl_of(L), me, e, now, what);
}

/* dial(network, address [, t]) */
static int dial(lua_State *L) {
  struct gl *S = gl_of(L);
  const char *network = gl_check_text(L, 1, "a network"), *address = gl_check_text(L, 2, "an address");
  gos_ns dl = gl_deadline(L, 3);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  lua_settop(L, 3);
  push_end(L, network);
  int fd;
  GL_WAIT(L, S, me, fd, gos_dial(network, address, dl));
  if (fd < 0) return failed(L, me, fd, now, "dial");
  own(L, of_datagrams(network), fd);
  return 1;
}

/* listen(network, address [, backlog]) */
static int listen_(lua_State *L) {
  struct gl *S = gl_of(L);
  const char *network = gl_check_text(L, 1, "a network"), *address = gl_check_text(L, 2, "an address");
  lua_Integer backlog = luaL_optinteger(L, 3, 0);
  luaL_argcheck(L, backlog >= 0 && backlog <= INT32_MAX, 3, "out of range");
  gos_ns dl = GOS_FOREVER;
  struct gl_go *me = gl_enter(L, S, &dl);
  bool packets = of_datagrams(network) && strcmp(network, "unixpacket") != 0;
  struct sock *k = new_sock(L, packets ? GL_PACKET : GL_LISTENER, network);
  int fd;
  GL_WAIT(L, S, me, fd, gos_listen(network, address, (int)backlog));
  if (fd < 0) return failed(L, me, fd, false, "listen");
  k->fd = fd;
  if (strncmp(network, "unix", 4) == 0 && address[0] != '@') snprintf(k->path, sizeof k->path, "%s", address);
  return 1;
}

static int pair(lua_State *L, const char *network, enum gl_type type) {
  int fd[2];
  gl_self(L, gl_of(L));
  for (int i = 0; i < 2; i++) {
    if (type == GL_PIPE)
      gl_new_stream(L, type);
    else
      push_end(L, network);
  }
  int e = type == GL_PIPE ? gos_pipe(fd) : gos_socketpair(network, fd);
  if (e) return gl_io_failed(L, gl_of(L), gl_self(L, gl_of(L)), e, false, type == GL_PIPE ? "pipe" : "socketpair");
  bool packets = type != GL_PIPE && of_datagrams(network);
  own(L, packets, fd[1]);
  lua_pushvalue(L, -2);
  own(L, packets, fd[0]);
  lua_insert(L, -2);
  return 2;
}

static int pipe_(lua_State *L) { return pair(L, "", GL_PIPE); }
static int socketpair_(lua_State *L) { return pair(L, luaL_optstring(L, 1, "unix"), GL_CONN); }

/* ---- names and addresses ------------------------------------------------------------------------- */

static void push_addr(lua_State *L, const gos_addr *a) {
  char text[TEXT];
  lua_pushstring(L, gos_addr_text(a, text, sizeof text) >= 0 ? text : "");
}

/* The host of "host:port", without its brackets. */
static void push_host(lua_State *L, const gos_addr *a) {
  char text[TEXT], *from = text, *to;
  if (gos_addr_text(a, text, sizeof text) < 0 || !(to = strrchr(text, ':'))) {
    lua_pushliteral(L, "");
    return;
  }
  if (*from == '[') from++, to--;
  lua_pushlstring(L, from, (size_t)(to - from));
}

/* lookup(host [, t [, network]]): the addresses of a host. */
static int lookup(lua_State *L) {
  struct gl *S = gl_of(L);
  const char *host = gl_check_text(L, 1, "a host"), *network = luaL_optstring(L, 3, "tcp");
  gos_ns dl = gl_deadline(L, 2);
  bool now = dl == GOS_NOW;
  luaL_argcheck(L, strncmp(network, "unix", 4) != 0, 3, "it has no hosts");
  struct gl_go *me = gl_enter(L, S, &dl);
  lua_settop(L, 3);
  lua_pushfstring(L, strchr(host, ':') ? "[%s]:0" : "%s:0", host);
  const char *address = lua_tostring(L, -1);
  gos_addr *found = lua_newuserdatauv(L, sizeof *found * NAMES, 0);
  int n;
  GL_WAIT(L, S, me, n, gos_lookup(network, address, found, NAMES, dl));
  if (n < 0) {
    lua_pushstring(L, host);
    lua_replace(L, 2);
    lua_pushstring(L, network);
    lua_replace(L, 1);
    return failed(L, me, n, now, "lookup");
  }
  if (n > NAMES) n = NAMES;
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    push_host(L, &found[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int fd_of(lua_State *L) {
  struct gl_stream *st = gl_test(L, 1, GL_CONN);
  return st ? st->fd : check(L)->fd;
}

static int address_of(lua_State *L, int (*get)(int, gos_addr *)) {
  gos_addr a;
  int fd = fd_of(L), e = fd < 0 ? GOS_CLOSED : get(fd, &a);
  if (e) return gl_io_failed(L, gl_of(L), gl_self(L, gl_of(L)), e, false, NULL);
  push_addr(L, &a);
  return 1;
}
int gl_conn_local_addr(lua_State *L) { return address_of(L, gos_local_addr); }
int gl_conn_peer_addr(lua_State *L) { return address_of(L, gos_peer_addr); }

/* ---- options ---------------------------------------------------------------------------------------- */

static const struct option {
  const char *name;
  int level, option;
  bool number;
} options[] = {{"nodelay", IPPROTO_TCP, TCP_NODELAY, false},    {"keepalive", SOL_SOCKET, SO_KEEPALIVE, false},
               {"broadcast", SOL_SOCKET, SO_BROADCAST, false},  {"reuseaddr", SOL_SOCKET, SO_REUSEADDR, false},
               {"reuseport", SOL_SOCKET, SO_REUSEPORT, false},  {"send_buffer", SOL_SOCKET, SO_SNDBUF, true},
               {"receive_buffer", SOL_SOCKET, SO_RCVBUF, true}, {NULL, 0, 0, false}};

static const struct option *check_option(lua_State *L) {
  const char *name = luaL_checkstring(L, 2);
  for (const struct option *o = options; o->name; o++)
    if (strcmp(o->name, name) == 0) return o;
  luaL_argerror(L, 2, lua_pushfstring(L, "unknown option '%s'", name));
  return NULL;
}

static int option_failed(lua_State *L, int fd, const char *name) {
  if (fd < 0) return gl_failed(L, gl_of(L), gl_self(L, gl_of(L)), GOS_CLOSED, false);
  return gl_sys_failed(L, errno, name);
}

int gl_conn_option(lua_State *L) {
  int fd = fd_of(L), value = 0;
  const struct option *o = check_option(L);
  socklen_t n = sizeof value;
  if (fd < 0 || getsockopt(fd, o->level, o->option, &value, &n)) return option_failed(L, fd, o->name);
  if (o->number)
    lua_pushinteger(L, value);
  else
    lua_pushboolean(L, value);
  return 1;
}

int gl_conn_set_option(lua_State *L) {
  int fd = fd_of(L), value;
  const struct option *o = check_option(L);
  if (o->number) {
    lua_Integer n = luaL_checkinteger(L, 3);
    luaL_argcheck(L, n > 0 && n <= INT32_MAX, 3, "out of range");
    value = (int)n;
  } else {
    luaL_checktype(L, 3, LUA_TBOOLEAN);
    value = lua_toboolean(L, 3);
  }
  if (fd < 0 || setsockopt(fd, o->level, o->option, &value, sizeof value)) return option_failed(L, fd, o->name);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- listeners ----------------------------------------------------------------------------------------- */

static bool shut(struct sock *k) {
  if (k->fd < 0) return false;
  int fd = k->fd;
  k->fd = -1;
  if (k->path[0]) unlink(k->path);
  gos_close(fd);
  return true;
}

static int sock_close(lua_State *L) {
  struct sock *k = check(L);
  gl_self(L, gl_of(L));
  lua_pushboolean(L, shut(k));
  return 1;
}

static int sock_gc(lua_State *L) {
  shut(check(L));
  return 0;
}

static int sock_closed(lua_State *L) {
  lua_pushboolean(L, check(L)->fd < 0);
  return 1;
}

static int sock_fd(lua_State *L) {
  struct sock *k = check(L);
  if (k->fd < 0) return luaL_error(L, "the socket is closed");
  lua_pushinteger(L, k->fd);
  return 1;
}

static int sock_tostring(lua_State *L) {
  struct sock *k = check(L);
  const char *what = k->type == &gl_mark[GL_LISTENER] ? "listener" : "packet socket";
  if (k->fd < 0)
    lua_pushfstring(L, "%s (closed)", what);
  else
    lua_pushfstring(L, "%s: fd %d", what, k->fd);
  return 1;
}

static int sock_set_deadline(lua_State *L) {
  static const char *const which[] = {"rw", "r", "w", NULL};
  struct sock *k = check(L);
  gos_ns dl = lua_isnoneornil(L, 2) ? GOS_FOREVER : gos_now() + gl_duration(L, 2);
  if (dl <= GOS_NOW) dl = 1; /* has passed: not the same as "do not wait" */
  int w = luaL_checkoption(L, 3, "rw", which);
  if (w != 2) k->read_until = dl;
  if (w != 1) k->write_until = dl;
  return 0;
}

/* Why nothing can be done with it any more: closed, or the call's context or the socket's deadline had ended before. */
static int refused(lua_State *L, struct gl_go *me, const struct sock *k, gos_ns until) {
  if (k->fd < 0) return GOS_CLOSED;
  int e = gl_ended_before(L, me);
  return e ? e : gl_passed(until) ? GOS_TIMEDOUT : GOS_OK;
}

static int accept_(lua_State *L) {
  struct gl *S = gl_of(L);
  struct sock *k = check_listener(L);
  gos_ns dl;
  bool now;
  struct gl_go *me = gl_enter_until(L, 2, k->read_until, &dl, &now);
  push_end(L, k->network);
  gl_turn(S, me, &k->turns, dl);
  int fd = refused(L, me, k, k->read_until);
  if (fd == GOS_OK) GL_WAIT(L, S, me, fd, gos_accept(k->fd, dl));
  if (fd < 0) return gl_io_failed(L, S, me, fd, now, fd == GOS_CLOSED || fd == GOS_AGAIN ? NULL : "accept");
  own(L, of_datagrams(k->network), fd);
  return 1;
}

/* for conn in listener do: only its close ends the loop silently. */
static int listener_iterate(lua_State *L) {
  lua_settop(L, 1);
  int n = accept_(L);
  if (n > 1 && strcmp(lua_tostring(L, -n + 1), "closed") != 0) return luaL_error(L, "%s", lua_tostring(L, -n + 1));
  return n;
}

/* ---- datagrams -------------------------------------------------------------------------------------------- */

static int receive(lua_State *L, bool whence) {
  struct gl *S = gl_of(L);
  struct sock *k = check_packet(L);
  lua_Integer most = luaL_optinteger(L, 2, DATAGRAM);
  luaL_argcheck(L, most > 0 && most <= INT32_MAX, 2, "out of range");
  gos_ns dl;
  bool now;
  struct gl_go *me = gl_enter_until(L, 3, k->read_until, &dl, &now);
  gl_turn(S, me, &k->turns, dl);
  gos_addr from = {0};
  int64_t n = refused(L, me, k, k->read_until);
  if (n == GOS_OK) GL_WAIT(L, S, me, n, gos_fd_wait(k->fd, GOS_READ, dl)); /* no buffer while it waits */
  luaL_Buffer b;
  char *p = NULL;
  while (n >= 0) {
    if (!p) p = luaL_buffinitsize(L, &b, (size_t)most);
    n = k->fd < 0 ? GOS_CLOSED : gos_recvfrom(k->fd, p, (size_t)most, &from, GOS_NOW);
    if (n != GOS_WOULDBLOCK || now) break;
    GL_WAIT(L, S, me, n, gos_fd_wait(k->fd, GOS_READ, dl)); /* another goroutine was faster */
  }
  if (n < 0) return gl_io_failed(L, S, me, n, now, NULL);
  luaL_pushresultsize(&b, (size_t)n);
  if (!whence) return 1;
  push_addr(L, &from);
  return 2;
}
static int packet_read(lua_State *L) { return receive(L, false); }
static int packet_read_from(lua_State *L) { return receive(L, true); }

static int send_to(lua_State *L, const gos_addr *to, int t) {
  struct gl *S = gl_of(L);
  struct sock *k = check_packet(L);
  size_t n;
  const char *p = gl_check_bytes(L, 2, &n);
  gos_ns dl;
  bool now;
  struct gl_go *me = gl_enter_until(L, t, k->write_until, &dl, &now);
  int64_t e = refused(L, me, k, k->write_until);
  if (e == GOS_OK) GL_WAIT(L, S, me, e, gos_sendto(k->fd, p, n, to, dl));
  if (e < 0) return gl_io_failed(L, S, me, e, now, NULL);
  lua_pushinteger(L, e);
  return 1;
}
static int packet_write(lua_State *L) { return send_to(L, NULL, 3); }

/* write_to(data, address [, t]) */
static int packet_write_to(lua_State *L) {
  struct gl *S = gl_of(L);
  struct sock *k = check_packet(L);
  size_t n;
  gl_check_bytes(L, 2, &n);
  const char *address = gl_check_text(L, 3, "an address");
  gos_ns dl;
  bool now;
  struct gl_go *me = gl_enter_until(L, 4, k->write_until, &dl, &now);
  gos_addr to;
  int e;
  GL_WAIT(L, S, me, e, gos_resolve(k->network, address, &to, dl));
  if (e < 0) return gl_io_failed(L, S, me, e, now, e == GOS_AGAIN ? NULL : address);
  return send_to(L, &to, 4);
}

const luaL_Reg gl_net_functions[] = {{"dial", dial},  {"listen", listen_},         {"lookup", lookup},
                                     {"pipe", pipe_}, {"socketpair", socketpair_}, {NULL, NULL}};

/* clang-format off */
#define COMMON                                                                                             \
  {"close", sock_close}, {"closed", sock_closed}, {"fd", sock_fd}, {"set_deadline", sock_set_deadline},    \
  {"local_addr", gl_conn_local_addr}, {"option", gl_conn_option}, {"set_option", gl_conn_set_option}
/* clang-format on */
static const luaL_Reg listener_methods[] = {COMMON, {"accept", accept_}, {NULL, NULL}};
static const luaL_Reg packet_methods[] = {COMMON,
                                          {"peer_addr", gl_conn_peer_addr},
                                          {"read", packet_read},
                                          {"read_from", packet_read_from},
                                          {"write", packet_write},
                                          {"write_to", packet_write_to},
                                          {NULL, NULL}};
static const luaL_Reg listener_meta[] = {{"__close", sock_close},
                                         {"__gc", sock_gc},
                                         {"__tostring", sock_tostring},
                                         {"__call", listener_iterate},
                                         {NULL, NULL}};
static const luaL_Reg packet_meta[] = {
    {"__close", sock_close}, {"__gc", sock_gc}, {"__tostring", sock_tostring}, {NULL, NULL}};
const struct gl_class gl_net_classes[] = {{GL_LISTENER, "gossamer.listener", listener_methods, listener_meta},
                                          {GL_PACKET, "gossamer.packet", packet_methods, packet_meta},
                                          {0}};
