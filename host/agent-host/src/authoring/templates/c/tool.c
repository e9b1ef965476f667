// Counts the lines, words and bytes of a text file. `wit/tool.wit` says what is offered, this file does it, and
// `component.c` passes arguments and results on.
#include "tool.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

// Where the granted folder appears: the `mount` in `tool.toml`.
#define FOLDER "/data"
#define PATH_BYTES_MAX 4096

static void count_in(FILE *file, counts *found) {
  bool in_word = false;
  int last = '\n';
  for (int c; (c = getc(file)) != EOF; last = c) {
    found->bytes++;
    found->lines += c == '\n';
    found->words += !in_word && !isspace(c);
    in_word = !isspace(c);
  }
  found->lines += last != '\n';
}

bool count(const char *name, counts *found, char *error) {
  char path[PATH_BYTES_MAX];
  const char *folder = name[0] == '/' ? "" : FOLDER "/";
  if (snprintf(path, sizeof path, "%s%s", folder, name) >= (int)sizeof path) {
    snprintf(error, ERROR_BYTES_MAX, "the path is longer than %d bytes", PATH_BYTES_MAX);
    return false;
  }
  FILE *file = fopen(path, "rb");
  if (file != NULL) {
    count_in(file, found);
  }
  bool good = file != NULL && !ferror(file);
  if (!good) {
    // The model reads the error: say what was wrong.
    snprintf(error, ERROR_BYTES_MAX, "cannot read `%s`: %s", path, strerror(errno));
  }
  if (file != NULL) {
    fclose(file);
  }
  return good;
}
