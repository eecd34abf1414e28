/* Preloaded into a program, writes down every change of the files below $RECORD_BELOW into $RECORD_TO, in order:
   what, length of the name, offset, length of the data, name, data. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int record_fd = -1;

static int is_ours(const char *path) {
    const char *below = getenv("RECORD_BELOW");
    return below && strncmp(path, below, strlen(below)) == 0;
}

static void put(const void *data, size_t length) {
    const char *at = data;
    while (length > 0) {
        ssize_t done = REAL(write)(record_fd, at, length);
        if (done <= 0) abort();
        at += done;
        length -= (size_t)done;
    }
}

static void note(char what, const char *path, int64_t offset, const void *data, uint32_t length) {
    if (!is_ours(path)) return;
    if (record_fd < 0) {
        record_fd = REAL(open)(getenv("RECORD_TO"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (record_fd < 0) abort();
    }
    uint16_t named = (uint16_t)strlen(path);
    put(&what, 1), put(&named, 2), put(&offset, 8), put(&length, 4), put(path, named), put(data, length);
}

static const char *path_of(int fd, char *path, size_t room) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, room - 1);
    path[length < 0 ? 0 : length] = 0;
    return path;
}

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    struct stat before;
    int is_new = (flags & O_CREAT) && stat(path, &before) != 0;
    int fd = real(path, flags, mode);
    if (fd >= 0 && is_new) note('c', path, 0, "", 0);
    if (fd >= 0 && (flags & O_TRUNC)) note('t', path, 0, "", 0);
    return fd;
}

#define MODE(flags, mode)                   \
    mode_t mode = 0;                        \
    if ((flags) & O_CREAT) {                \
        va_list more;                       \
        va_start(more, flags);              \
        mode = (mode_t)va_arg(more, int);   \
        va_end(more);                       \
    }

int open(const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(REAL(open), path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(REAL(open64), path, flags, mode);
}

static ssize_t written(int fd, const void *data, ssize_t done, int64_t offset) {
    char path[4096];
    if (done > 0 && fd != record_fd) note('w', path_of(fd, path, sizeof path), offset, data, (uint32_t)done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    return written(fd, data, REAL(pwrite)(fd, data, length, at), at);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
    return written(fd, data, REAL(pwrite64)(fd, data, length, at), at);
}

ssize_t write(int fd, const void *data, size_t length) {
    ssize_t done = REAL(write)(fd, data, length);
    off_t end = lseek(fd, 0, SEEK_CUR);
    return end < 0 ? done : written(fd, data, done, end - done);
}

static int cut(int fd, int64_t length, int done) {
    char path[4096];
    if (done == 0) note('t', path_of(fd, path, sizeof path), length, "", 0);
    return done;
}

int ftruncate(int fd, off_t length) { return cut(fd, length, REAL(ftruncate)(fd, length)); }
int ftruncate64(int fd, off64_t length) { return cut(fd, length, REAL(ftruncate64)(fd, length)); }

static int synced(int fd, int done) {
    char path[4096];
    if (done == 0) note('s', path_of(fd, path, sizeof path), 0, "", 0);
    return done;
}

int fsync(int fd) { return synced(fd, REAL(fsync)(fd)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)(fd)); }

int unlink(const char *path) {
    int done = REAL(unlink)(path);
    if (done == 0) note('u', path, 0, "", 0);
    return done;
}
