# gossamer_flags: how every C file of this project is compiled and linked.
# Linked PRIVATE by each target; nothing of it reaches a user of the library.
find_package(Threads REQUIRED)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Backtraces of a release build are worth the debug information, which strip removes.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")

add_library(gossamer_flags INTERFACE)
target_compile_options(gossamer_flags INTERFACE
  -Wall -Wextra -fno-plt -fstack-protector-strong
  "$<$<COMPILE_LANG_AND_ID:C,GNU,Clang>:-fno-semantic-interposition>")
target_link_options(gossamer_flags INTERFACE
  LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack LINKER:--as-needed)
if(GOSSAMER_WERROR)
  target_compile_options(gossamer_flags INTERFACE -Werror)
endif()
if(GOSSAMER_HARD)
  target_compile_definitions(gossamer_flags INTERFACE GOS_HARD=1)
endif()

if(GOSSAMER_VALGRIND)
  target_compile_definitions(gossamer_flags INTERFACE GOS_VALGRIND=1)
endif()

# Only the core is counted. The counters live in a file that every process maps, so what a program did
# before _exit(), a signal or fork() counts; atomic, as threads share them.
if(GOSSAMER_COVERAGE)
  add_library(gossamer_coverage INTERFACE)
  target_compile_options(gossamer_coverage INTERFACE -fprofile-instr-generate -fcoverage-mapping
    "SHELL:-mllvm -runtime-counter-relocation" "SHELL:-mllvm -instrprof-atomic-counter-update-all")
  target_link_options(gossamer_flags INTERFACE -fprofile-instr-generate)
endif()

if(GOSSAMER_SANITIZE)
  set(gos_sanitizers address undefined thread)
  if(NOT GOSSAMER_SANITIZE IN_LIST gos_sanitizers)
    message(FATAL_ERROR "GOSSAMER_SANITIZE=${GOSSAMER_SANITIZE}: choose one of ${gos_sanitizers}")
  endif()
  target_compile_options(gossamer_flags INTERFACE
    -fsanitize=${GOSSAMER_SANITIZE} -fno-omit-frame-pointer
    "$<$<STREQUAL:${GOSSAMER_SANITIZE},undefined>:-fno-sanitize-recover=all>")
  target_link_options(gossamer_flags INTERFACE -fsanitize=${GOSSAMER_SANITIZE})
else()
  # Not beside a sanitizer, which has its own versions of the checked calls.
  target_compile_options(gossamer_flags INTERFACE
    "$<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>")
endif()
