-- luarocks --lua-version 5.4 make lua/gossamer-scm-1.rockspec      (from the top of the tree)
rockspec_format = "3.0"
package = "gossamer"
version = "scm-1"
source = { url = "git+file://." }
description = {
  summary = "Go's goroutines, channels and select for Lua, on a scheduler written in C",
  license = "Apache-2.0",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.4, < 5.6" }
build = {
  type = "cmake",
  variables = {
    CMAKE_BUILD_TYPE = "Release",
    GOSSAMER_LUA = "ON",
    GOSSAMER_INSTALL_CORE = "OFF",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
    BINDIR = "$(BINDIR)",
  },
  copy_directories = { "docs" },
}
