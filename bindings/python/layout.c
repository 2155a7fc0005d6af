/* What host_site() does, as a table: where the objects keep it that a place in a program is made of. For those who read
 * it from outside the process (python -m gossamer ps), which cannot ask.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include "binding.h"

static gos_layout table[32];
static int n;

static void add(const char *name, uint64_t value) {
  snprintf(table[n].name, sizeof table[n].name, "%s", name);
  table[n++].value = value;
}

/* Types are found by the variables that hold them. */
static void add_site(const char *what, const struct site_at *at) {
  char name[sizeof table->name];
  const struct {
    const char *field;
    uint64_t value;
  } fields[] = {{"type", (uintptr_t)at->type}, {"code", at->code}, {"lasti", at->lasti}};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    snprintf(name, sizeof name, "%s.%s", what, fields[i].field);
    add(name, fields[i].value);
  }
}

static uint64_t mask(PyASCIIObject state) {
  uint32_t word;
  memcpy(&word, &state.state, sizeof word);
  return word;
}

static void add_text(void) {
  add("str.length", offsetof(PyASCIIObject, length));
  add("str.state", offsetof(PyASCIIObject, state));
  add("str.kind", mask((PyASCIIObject){.state = {.kind = 7}})); /* of these bits: 1, 2 or 4 bytes a character */
  add("str.ascii", mask((PyASCIIObject){.state = {.ascii = 1}}));
  add("str.compact", mask((PyASCIIObject){.state = {.compact = 1}}));
  add("str.ascii_text", sizeof(PyASCIIObject));
  add("str.text", sizeof(PyCompactUnicodeObject));
  add("bytes.length", offsetof(PyVarObject, ob_size));
  add("bytes.text", offsetof(PyBytesObject, ob_sval));
}

const gos_layout *layout_table(void) {
  if (n) return table;
  add("object.type", offsetof(PyObject, ob_type));
  add_site("go", &go_site_at);
  add_site("timer", &timer_site_at);
  add_site("after", &after_func_site_at);
  add("code.file", offsetof(PyCodeObject, co_filename));
  add("code.name", offsetof(PyCodeObject, co_qualname));
  add("code.first", offsetof(PyCodeObject, co_firstlineno));
  add("code.lines", offsetof(PyCodeObject, co_linetable));
  add_text();
  return table;
}
