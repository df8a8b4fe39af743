/* Preloaded into the program: controls its renames and syncs by environment variables.

   RENAME_PATH       the renames that the others concern: those from or to this path
   RENAME_SKIPS      the first so many of these are not affected
   RENAME_WAITS      creates this file before the first of these, and waits until it is removed
   RENAME_KILLS      kills the program after the first of these that succeeds
   RENAME_ERROR      these fail with this error number
   NO_RENAME_FLAGS   the file system supports no flags of renameat2
   SYNC_PATH, SYNC_ERROR   fsync of this path fails with this error number
   SYNC_INTERRUPTED  each fsync is interrupted once (EINTR) */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_affected(const char* path) {
  const char* wanted = getenv("RENAME_PATH");
  return wanted != NULL && strcmp(path, wanted) == 0;
}

static int is_due(void) {
  static int renames = 0;
  const char* skips = getenv("RENAME_SKIPS");
  return skips == NULL || renames++ >= atoi(skips);
}

static void wait_once(void) {
  static int waited = 0;
  const char* flag = getenv("RENAME_WAITS");
  if (flag == NULL || waited) return;
  waited = 1;
  close(open(flag, O_WRONLY | O_CREAT, 0666));
  while (access(flag, F_OK) == 0) usleep(1000);
}

static int fails(const char* reason) {
  const char* number = getenv(reason);
  if (number == NULL) return 0;
  errno = atoi(number);
  return 1;
}

static int is_interrupted(void) {
  static int syncs = 0;
  if (getenv("SYNC_INTERRUPTED") == NULL || syncs++ % 2 != 0) return 0;
  errno = EINTR;
  return 1;
}

int fsync(int file) {
  if (is_interrupted()) return -1;
  char link[64];
  char path[PATH_MAX];
  const char* wanted = getenv("SYNC_PATH");
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (wanted != NULL && length >= 0) {
    path[length] = '\0';
    if (strcmp(path, wanted) == 0 && fails("SYNC_ERROR")) return -1;
  }
  return (int)syscall(SYS_fsync, file);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  const int affected = (is_affected(from) || is_affected(to)) && is_due();
  if (affected) wait_once();
  if (affected && fails("RENAME_ERROR")) return -1;
  if (flags != 0 && getenv("NO_RENAME_FLAGS") != NULL) {
    errno = EINVAL;
    return -1;
  }
  const int outcome = (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
  if (affected && outcome == 0 && getenv("RENAME_KILLS") != NULL) raise(SIGKILL);
  return outcome;
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  return renameat2(from_folder, from, to_folder, to, 0);
}

int rename(const char* from, const char* to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
