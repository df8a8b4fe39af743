/* Preloaded into a producer. Environment variables enable faults:
   CLOCK_JUMP_SECONDS  each read of the wall clock jumps this far, forwards and backwards in turn
   FULL_DISK_FLAG      while this file exists, writes fail for lack of space
   FULL_FOLDER_FLAG    while this file exists, syncs of the folder training_epochs fail for lack of space
   STAT_FAILS_FLAG     while this file exists, fstat fails with EIO
   NO_INOTIFY          inotify is not available
   NO_THREADS          no thread can be started
   ONLY_WOKEN          poll() of two descriptors ignores its timeout */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
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

int fstat(int file, struct stat* status) {
  if (is_set("STAT_FAILS_FLAG")) {
    errno = EIO;
    return -1;
  }
  return (int)syscall(SYS_newfstatat, file, "", status, AT_EMPTY_PATH);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) {
  if (getenv("NO_THREADS") != NULL) return EAGAIN;
  int (*next)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  *(void**)&next = dlsym(RTLD_NEXT, "pthread_create");
  return next(thread, attributes, run, argument);
}
