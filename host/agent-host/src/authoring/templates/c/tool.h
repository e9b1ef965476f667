// What `wit/tool.wit` offers, as C has it.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// The record of `wit/tool.wit`. Its fields have the same order and sizes there: it is handed out as it lies in memory.
typedef struct {
  uint64_t lines;
  uint64_t words;
  uint64_t bytes;
} counts;

// Gives true and fills `found`, or gives false and has written a text of at most ERROR_BYTES_MAX into `error`.
bool count(const char *path, counts *found, char *error);

#define ERROR_BYTES_MAX 1024
