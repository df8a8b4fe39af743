/* Preloaded into the program: stops it at a rename, as the system might between any two of its steps. What is renamed
   to or from the path in RENAME_PLACE is meant, the first RENAME_SKIPS times excepted. If RENAME_WAITS names a file,
   it is made before the first such rename, which waits until somebody removes it. With RENAME_KILLS the program is
   killed after the first one that succeeds. With RENAME_ERROR all such renames fail, for the reason of that number.
   With NO_RENAME_FLAGS the file system knows none. With SYNC_ERROR it is the sync of SYNC_PLACE that fails; every
   sync is interrupted once with SYNC_INTERRUPTED. */
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

static int is_meant(const char* path) {
  const char* place = getenv("RENAME_PLACE");
  return place != NULL && strcmp(path, place) == 0;
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
  const char* place = getenv("SYNC_PLACE");
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (place != NULL && length >= 0) {
    path[length] = '\0';
    if (strcmp(path, place) == 0 && fails("SYNC_ERROR")) return -1;
  }
  return (int)syscall(SYS_fsync, file);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  const int meant = (is_meant(from) || is_meant(to)) && is_due();
  if (meant) wait_once();
  if (meant && fails("RENAME_ERROR")) return -1;
  if (flags != 0 && getenv("NO_RENAME_FLAGS") != NULL) {
    errno = EINVAL;
    return -1;
  }
  const int outcome = (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
  if (meant && outcome == 0 && getenv("RENAME_KILLS") != NULL) raise(SIGKILL);
  return outcome;
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  return renameat2(from_folder, from, to_folder, to, 0);
}

int rename(const char* from, const char* to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
