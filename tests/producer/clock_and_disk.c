/* Preloaded into a producer: the wall clock jumps a day forwards and back with every look, and while the file named
   in FULL_DISK_FLAG exists there is no space left; while the one in FULL_FOLDER_FLAG does, there is none for what
   stands in training_epochs. With NO_INOTIFY there is no inotify. With ONLY_WOKEN nobody who waits for two descriptors
   looks up before one of them is readable. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t jump(void) {
  static int looks = 0;
  const char* seconds = getenv("CLOCK_JUMP_SECONDS");
  if (seconds == NULL) return 0;
  return __atomic_fetch_add(&looks, 1, __ATOMIC_RELAXED) % 2 != 0 ? atol(seconds) : -atol(seconds);
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  const int outcome = (int)syscall(SYS_clock_gettime, clock, now);
  if (outcome == 0 && clock == CLOCK_REALTIME) now->tv_sec += jump();
  return outcome;
}

int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  const int outcome = (int)syscall(SYS_gettimeofday, now, zone);
  if (outcome == 0) now->tv_sec += jump();
  return outcome;
}

time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}

static int is_set(const char* variable) {
  const char* flag = getenv(variable);
  return flag != NULL && access(flag, F_OK) == 0;
}

ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t offset) {
  if (is_set("FULL_DISK_FLAG")) {
    errno = ENOSPC;
    return -1;
  }
  return syscall(SYS_pwrite64, file, bytes, count, offset);
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  return pwrite64(file, bytes, count, offset);
}

int fsync(int file) {
  char name[64];
  char path[4096];
  snprintf(name, sizeof name, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(name, path, sizeof path - 1);
  path[length < 0 ? 0 : length] = 0;
  const char* last = strrchr(path, '/');
  if (last != NULL && strcmp(last, "/training_epochs") == 0 && is_set("FULL_FOLDER_FLAG")) {
    errno = ENOSPC;
    return -1;
  }
  return (int)syscall(SYS_fsync, file);
}

int poll(struct pollfd* sources, nfds_t count, int timeout) {
  if (count == 2 && getenv("ONLY_WOKEN") != NULL) timeout = -1;
  return (int)syscall(SYS_poll, sources, count, timeout);
}

int __poll_chk(struct pollfd* sources, nfds_t count, int timeout, size_t size) {
  (void)size;
  return poll(sources, count, timeout);
}

int inotify_init1(int flags) {
  if (getenv("NO_INOTIFY") != NULL) {
    errno = EMFILE;
    return -1;
  }
  return (int)syscall(SYS_inotify_init1, flags);
}
