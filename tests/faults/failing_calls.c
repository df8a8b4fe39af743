/* Preloaded where strace cannot be used. Call number FAULT_WHEN of function FAULT_CALL fails with the error number
   FAULT_ERROR, or kills the process if that is 0. With FAULT_LOG set, logs the name of every call instead. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long calls;

/* Returns whether this call must fail; sets errno if so. */
static int strikes(const char* name) {
  const char* log = getenv("FAULT_LOG");
  const char* wanted = getenv("FAULT_CALL");
  if (log != NULL) {
    const int file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    syscall(SYS_write, file, name, strlen(name));
    syscall(SYS_write, file, "\n", 1);
    syscall(SYS_close, file);
  }
  if (wanted == NULL || strcmp(wanted, name) != 0) return 0;
  if (atomic_fetch_add(&calls, 1) + 1 != atol(getenv("FAULT_WHEN"))) return 0;
  errno = atoi(getenv("FAULT_ERROR"));
  if (errno == 0) syscall(SYS_kill, getpid(), SIGKILL);
  return 1;
}

#define STRUCK(result, name, parameters, arguments)                        \
  result name parameters {                                                 \
    if (strikes(#name)) return (result)-1;                                 \
    return ((result(*) parameters)dlsym(RTLD_NEXT, #name))arguments;       \
  }

STRUCK(ssize_t, read, (int file, void* bytes, size_t count), (file, bytes, count))
STRUCK(ssize_t, pread64, (int file, void* bytes, size_t count, off64_t at), (file, bytes, count, at))
STRUCK(ssize_t, pread, (int file, void* bytes, size_t count, off_t at), (file, bytes, count, at))
STRUCK(ssize_t, write, (int file, const void* bytes, size_t count), (file, bytes, count))
STRUCK(ssize_t, pwrite64, (int file, const void* bytes, size_t count, off64_t at), (file, bytes, count, at))
STRUCK(ssize_t, pwrite, (int file, const void* bytes, size_t count, off_t at), (file, bytes, count, at))
STRUCK(int, fsync, (int file), (file))
STRUCK(int, fdatasync, (int file), (file))
STRUCK(int, close, (int file), (file))
STRUCK(int, ftruncate64, (int file, off64_t size), (file, size))
STRUCK(int, fstat, (int file, struct stat* status), (file, status))
STRUCK(int, stat, (const char* path, struct stat* status), (path, status))
STRUCK(int, lstat, (const char* path, struct stat* status), (path, status))
STRUCK(int, mkdir, (const char* path, mode_t mode), (path, mode))
STRUCK(int, unlink, (const char* path), (path))
STRUCK(int, unlinkat, (int folder, const char* path, int flags), (folder, path, flags))
STRUCK(int, rmdir, (const char* path), (path))
STRUCK(int, remove, (const char* path), (path))
STRUCK(int, rename, (const char* from, const char* to), (from, to))
STRUCK(int, renameat2, (int a, const char* from, int b, const char* to, unsigned flags), (a, from, b, to, flags))
STRUCK(int, flock, (int file, int operation), (file, operation))
STRUCK(void*, mmap, (void* at, size_t length, int rights, int flags, int file, off_t offset),
       (at, length, rights, flags, file, offset))

DIR* opendir(const char* path) {
  if (strikes("opendir")) return NULL;
  return ((DIR * (*)(const char*)) dlsym(RTLD_NEXT, "opendir"))(path);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return strikes("open") ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return strikes("open") ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
