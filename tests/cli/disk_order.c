/* Preloaded into the program: appends a line to the file DISK_LOG for each write, creation, sync and rename, in order.
   Paths are those at the time of the call. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(const char* what, const char* first, const char* second) {
  char line[3 * PATH_MAX];
  const char* log = getenv("DISK_LOG");
  if (log == NULL) return;
  const int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", what, first, second);
  const int file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  syscall(SYS_write, file, line, (size_t)length);
  syscall(SYS_close, file);
}

static void note_file(const char* what, int file) {
  char link[64];
  char path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return;
  path[length] = '\0';
  if (path[0] == '/') note(what, path, "");
}

/* A write is noted before it begins, a sync after it has ended, a rename before it begins: so no line claims more than
   was true when it was written. */
ssize_t write(int file, const void* bytes, size_t count) {
  note_file("write", file);
  return syscall(SYS_write, file, bytes, count);
}

ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t offset) {
  note_file("write", file);
  return syscall(SYS_pwrite64, file, bytes, count, offset);
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) { return pwrite64(file, bytes, count, offset); }

int fsync(int file) {
  const int outcome = (int)syscall(SYS_fsync, file);
  if (outcome == 0) note_file("sync", file);
  return outcome;
}

int fdatasync(int file) { return fsync(file); }

int mkdir(const char* path, mode_t mode) {
  const int outcome = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  if (outcome == 0) note("mkdir", path, "");
  return outcome;
}

static const char* absolute(const char* path, char* buffer) {
  if (path[0] == '/' || getcwd(buffer, PATH_MAX) == NULL) return path;
  strncat(buffer, "/", PATH_MAX - strlen(buffer) - 1);
  strncat(buffer, path, PATH_MAX - strlen(buffer) - 1);
  return buffer;
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  char from_buffer[PATH_MAX];
  char to_buffer[PATH_MAX];
  note("rename", absolute(from, from_buffer), absolute(to, to_buffer));
  return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  return renameat2(from_folder, from, to_folder, to, 0);
}

int rename(const char* from, const char* to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
