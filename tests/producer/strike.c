/* Preloaded into a producer: makes one call fail that changes a directory or syncs.

   STRIKE_AT    number of the call, counted over all functions below, or over the one named by STRIKE_CALL
   STRIKE_WITH  KILL, or the error number with which the call fails
   STRIKE_ON    if set, all later calls fail too
   STRIKE_MARK  this file is created at the first failure */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int strikes(const char* function) {
  static int calls = 0;
  const char* at = getenv("STRIKE_AT");
  const char* only = getenv("STRIKE_CALL");
  if (at == NULL || (only != NULL && strcmp(only, function) != 0)) return 0;
  const int call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
  if (call != atoi(at) && !(call > atoi(at) && getenv("STRIKE_ON") != NULL)) return 0;
  const long mark = syscall(SYS_openat, AT_FDCWD, getenv("STRIKE_MARK"), O_CREAT | O_WRONLY, 0644);
  syscall(SYS_close, mark);
  const char* with = getenv("STRIKE_WITH");
  if (strcmp(with, "KILL") == 0) syscall(SYS_kill, getpid(), SIGKILL);
  errno = atoi(with);
  return 1;
}

int rename(const char* from, const char* to) { return strikes(__func__) ? -1 : (int)syscall(SYS_rename, from, to); }

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  return strikes(__func__) ? -1 : (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

int unlink(const char* path) { return strikes(__func__) ? -1 : (int)syscall(SYS_unlink, path); }

int unlinkat(int folder, const char* path, int flags) {
  return strikes(__func__) ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
}

int remove(const char* path) {
  if (strikes(__func__)) return -1;
  if (syscall(SYS_unlink, path) == 0) return 0;
  return errno == EISDIR || errno == EPERM ? (int)syscall(SYS_rmdir, path) : -1;
}

int rmdir(const char* path) { return strikes(__func__) ? -1 : (int)syscall(SYS_rmdir, path); }

int mkdir(const char* path, mode_t mode) { return strikes(__func__) ? -1 : (int)syscall(SYS_mkdir, path, mode); }

int fsync(int file) { return strikes(__func__) ? -1 : (int)syscall(SYS_fsync, file); }
