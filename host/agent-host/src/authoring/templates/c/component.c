// Passes arguments and results between the component model and the functions in `tool.c`, as its canonical ABI says:
// https://component-model.bytecodealliance.org/advanced/canonical-abi.html
//
// For a function of your own, write one `export_name` with its name in `wit/tool.wit`. A string or list comes as a pointer and
// a length, in memory that is yours to free. A result of more than one number goes out as a pointer to a struct, laid out as C
// does it. Many functions, or types that nest: `wit-bindgen c wit --world tool` writes this file for you.
#include "tool.h"

#include <stdlib.h>
#include <string.h>

// Memory for what the host passes in.
__attribute__((export_name("cabi_realloc")))
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old_size;
  if (size == 0) {
    return (void *)align;
  }
  void *memory = realloc(old, size);
  if (memory == NULL) {
    abort();
  }
  return memory;
}

// What `count` gives back: `result<counts, string>`.
static struct {
  uint8_t is_err;
  union {
    counts found;
    struct {
      char *text;
      size_t length;
    } error;
  };
} count_out;

static char error[ERROR_BYTES_MAX];

__attribute__((export_name("count")))
void *export_count(char *path, size_t length) {
  char *name = malloc(length + 1);
  if (name == NULL) {
    abort();
  }
  memcpy(name, path, length);
  name[length] = '\0';
  counts found = {0};
  memset(&count_out, 0, sizeof count_out);
  if (count(name, &found, error)) {
    count_out.found = found;
  } else {
    count_out.is_err = 1;
    count_out.error.text = error;
    count_out.error.length = strlen(error);
  }
  free(name);
  if (length > 0) {
    free(path);
  }
  return &count_out;
}
