/* File descriptors: waiting for one, and what the system's errors look like in Lua.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>

#include "lgos.h"

/* "ECONNREFUSED"; nil for a number without a name. */
static void push_name(lua_State *L, int err) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
  lua_pushstring(L, strerrorname_np(err));
#else
  lua_pushfstring(L, "E%d", err);
#endif
}

/* nil, "what: message", code: the message is on the top. */
static int failed(lua_State *L, const char *what, int err) {
  if (what) lua_pushfstring(L, "%s: %s", what, lua_tostring(L, -1));
  lua_pushnil(L);
  lua_insert(L, -2);
  push_name(L, err);
  return 3;
}

int gl_sys_failed(lua_State *L, int err, const char *what) {
  lua_pushstring(L, gos_strerror(GOS_SYS(err)));
  return failed(L, what, err);
}

int gl_io_failed(lua_State *L, struct gl *S, struct gl_go *me, int64_t e, bool now, const char *what) {
  if (e <= GOS_SYS(0)) return gl_sys_failed(L, (int)(GOS_SYS(0) - e), what);
  if (e == GOS_INVAL) return gl_sys_failed(L, EINVAL, what);
  if (e == GOS_NOHOST) {
    lua_pushstring(L, gos_strerror(GOS_NOHOST));
    int n = failed(L, what, 0);
    lua_pop(L, 1);
    lua_pushliteral(L, "ENOHOST");
    return n;
  }
  return gl_failed(L, S, me, (int)e, now);
}

/* The fd that the object at idx tells: a method of that name without arguments. */
static bool ask(lua_State *L, int idx, const char *method, lua_Integer *fd) {
  if (lua_getfield(L, idx, method) != LUA_TFUNCTION) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushvalue(L, idx);
  lua_call(L, 1, 1);
  int ok;
  *fd = lua_tointegerx(L, -1, &ok);
  lua_pop(L, 1);
  return ok;
}

int gl_check_fd(lua_State *L, int idx) {
  luaL_Stream *file;
  lua_Integer fd = -1;
  if (lua_isinteger(L, idx)) {
    fd = lua_tointeger(L, idx);
  } else if ((file = luaL_testudata(L, idx, LUA_FILEHANDLE))) {
    luaL_argcheck(L, file->closef, idx, "the file is closed");
    fd = fileno(file->f);
  } else if ((lua_type(L, idx) != LUA_TUSERDATA && lua_type(L, idx) != LUA_TTABLE) ||
             !(ask(L, idx, "fd", &fd) || ask(L, idx, "getfd", &fd))) {
    luaL_typeerror(L, idx, "file descriptor");
  }
  luaL_argcheck(L, fd >= 0 && fd <= INT32_MAX, idx, "no open file descriptor");
  return (int)fd;
}

static int events(lua_State *L, int idx) {
  static const char *const names[] = {"r", "w", "rw", NULL};
  return luaL_checkoption(L, idx, NULL, names) + 1; /* GOS_READ, GOS_WRITE, both */
}

/* wait_fd(fd, "r"|"w"|"rw" [, t]): which of them it is ready for. */
static int wait_fd(lua_State *L) {
  static const char *const names[] = {NULL, "r", "w", "rw"};
  struct gl *S = gl_of(L);
  int fd = gl_check_fd(L, 1), ev = events(L, 2);
  gos_ns dl = gl_deadline(L, 3);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  int e;
  GL_WAIT(L, S, me, e, gos_fd_wait(fd, ev, dl));
  if (e < 0) return gl_io_failed(L, S, me, e, now, NULL);
  lua_pushstring(L, names[e & 3]);
  return 1;
}

const luaL_Reg gl_io_functions[] = {{"wait_fd", wait_fd}, {NULL, NULL}};
