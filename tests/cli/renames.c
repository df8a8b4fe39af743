/* Preloaded into the program: stops it at a rename, as the system might between any two of its steps. What is renamed
   to or from the path in RENAME_PLACE is meant. If RENAME_WAITS names a file, it is made before the first such rename,
   which waits until somebody removes it. With RENAME_KILLS the program is killed after the first one that succeeds.
   With NO_RENAME_FLAGS the file system knows none. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_meant(const char* path) {
  const char* place = getenv("RENAME_PLACE");
  return place != NULL && strcmp(path, place) == 0;
}

static void wait_once(void) {
  static int waited = 0;
  const char* flag = getenv("RENAME_WAITS");
  if (flag == NULL || waited) return;
  waited = 1;
  close(open(flag, O_WRONLY | O_CREAT, 0666));
  while (access(flag, F_OK) == 0) usleep(1000);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  const int meant = is_meant(from) || is_meant(to);
  if (meant) wait_once();
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
