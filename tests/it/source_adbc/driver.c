/* Drivers of ADBC that misbehave: each function begins one. They take the driver's struct and never fill it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef uint8_t Status;

Status CrashInit(int version, void *driver, void *error) {
  abort();
}

Status HangInit(int version, void *driver, void *error) {
  for (;;) pause();
}

Status GarbageInit(int version, void *driver, void *error) {
  /* Past the worker's own output, which it has put elsewhere: whatever descriptor is open. */
  for (int fd = 1; fd < 64; fd++) (void)!write(fd, "garbage, and more garbage\n", 26);
  for (;;) pause();
}

Status GrowInit(int version, void *driver, void *error) {
  for (size_t taken = 0; taken < (size_t)512 << 20; taken += 1 << 20) {
    char *piece = malloc(1 << 20);
    if (piece) memset(piece, 1, 1 << 20);
  }
  for (;;) pause();
}

Status RefuseInit(int version, void *driver, void *error) {
  return 1;
}
