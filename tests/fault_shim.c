/* Fails, tears, kills or holds one system call among those that change files under a folder.
 *
 * Preloaded into a process (LD_PRELOAD). What counts: opening for writing, writing, syncing, renaming, removing,
 * making folders, linking, truncating, locking and closing, by path or by descriptor, in all threads. Set up by the
 * environment (FAULT_FOLDER, FAULT_KIND, FAULT_AT, FAULT_LOG) or by fault_arm():
 *
 *   count   nothing happens, every call is logged
 *   eio     call AT fails with EIO
 *   eintr   call AT fails with EINTR, if it is one that may be interrupted
 *   full    the disk is full from call AT on: a write of half the bytes, then ENOSPC
 *   short   a write at call AT writes half of its bytes and says so
 *   kill    SIGKILL before call AT
 *   tear    SIGKILL after half of the bytes of a write at call AT
 *   hold    SIGSTOP before call AT
 *
 * System calls are made directly, so that nothing but the entry points below depends on the C library.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { GROWS = 1, RESTARTS = 2, WRITES = 4 };  /* what a call does: needs space, may be interrupted, tears */
enum verdict { WHOLE, FAILS, HALF, HALF_THEN_KILL };

static char folder[PATH_MAX], kind[16];
static long at;
static int log_fd = -1;
static atomic_long count;

void fault_arm(const char *new_folder, const char *new_kind, long new_at, const char *new_log)
{
    snprintf(folder, sizeof folder, "%s", new_folder);
    snprintf(kind, sizeof kind, "%s", new_kind);
    at = new_at;
    atomic_store(&count, 0);
    if (log_fd >= 0)
        syscall(SYS_close, log_fd);
    log_fd = syscall(SYS_openat, AT_FDCWD, new_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

__attribute__((constructor)) static void arm_from_environment(void)
{
    const char *f = getenv("FAULT_FOLDER"), *k = getenv("FAULT_KIND"), *n = getenv("FAULT_AT"), *l = getenv("FAULT_LOG");
    if (f && k && n && l)
        fault_arm(f, k, atol(n), l);
}

static const char *path_of(int fd, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[size < 0 ? 0 : size] = 0;
    return path;
}

static const char *path_at(int dirfd, const char *name, char *path)
{
    char base[PATH_MAX];
    if (!folder[0] || !name)
        return "";
    if (name[0] == '/')
        base[0] = 0;
    else if (dirfd == AT_FDCWD)
        base[syscall(SYS_getcwd, base, sizeof base) < 0 ? 0 : sizeof base - 1] = 0;
    else
        path_of(dirfd, base);
    if (snprintf(path, PATH_MAX, "%s%s%s", base, base[0] ? "/" : "", name) >= PATH_MAX)
        path[PATH_MAX - 1] = 0;
    return path;
}

static enum verdict judge(const char *call, const char *path, int does)
{
    size_t size = strlen(folder);
    if (!size || strncmp(path, folder, size) != 0 || (path[size] != '/' && path[size] != 0))
        return WHOLE;
    long number = atomic_fetch_add(&count, 1) + 1;
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%ld %s %s\n", number, call, path);
    syscall(SYS_write, log_fd, line, length);
    if (number < at || at == 0)
        return WHOLE;
    if (strcmp(kind, "full") == 0 && (does & GROWS)) {
        errno = ENOSPC;
        return number == at && (does & WRITES) ? HALF : FAILS;
    }
    if (number > at)
        return WHOLE;
    if (strcmp(kind, "eio") == 0) {
        errno = EIO;
        return FAILS;
    }
    if (strcmp(kind, "eintr") == 0 && (does & RESTARTS)) {
        errno = EINTR;
        return FAILS;
    }
    if (strcmp(kind, "short") == 0 && (does & WRITES))
        return HALF;
    if (strcmp(kind, "tear") == 0 && (does & WRITES))
        return HALF_THEN_KILL;
    if (strcmp(kind, "kill") == 0)
        syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    if (strcmp(kind, "hold") == 0)
        syscall(SYS_kill, syscall(SYS_getpid), SIGSTOP);
    return WHOLE;
}

static int on_path(const char *call, int dirfd, const char *name, int does)
{
    char path[PATH_MAX];
    return judge(call, path_at(dirfd, name, path), does) == FAILS;
}

static int on_file(const char *call, int fd, int does)
{
    char path[PATH_MAX];
    return folder[0] && judge(call, path_of(fd, path), does) == FAILS;
}

/* ---- opening and closing */

static int open_at(int dirfd, const char *name, int flags, mode_t mode)
{
    int does = RESTARTS | (flags & O_CREAT ? GROWS : 0);
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) && on_path("open", dirfd, name, does))
        return -1;
    return syscall(SYS_openat, dirfd, name, flags, mode);
}

#define OPEN(NAME, DIRFD, ...)                                                        \
    int NAME(__VA_ARGS__ const char *name, int flags, ...)                            \
    {                                                                                 \
        va_list rest;                                                                 \
        va_start(rest, flags);                                                        \
        int makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;              \
        mode_t mode = makes ? va_arg(rest, mode_t) : 0;                               \
        va_end(rest);                                                                 \
        return open_at(DIRFD, name, flags, mode);                                     \
    }
OPEN(open, AT_FDCWD)
OPEN(open64, AT_FDCWD)
OPEN(openat, dirfd, int dirfd,)
OPEN(openat64, dirfd, int dirfd,)

int close(int fd)
{
    int flags = folder[0] && fd != log_fd ? syscall(SYS_fcntl, fd, F_GETFL) : -1;
    int fails = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && on_file("close", fd, 0), reason = errno;
    int result = syscall(SYS_close, fd);
    if (fails)
        errno = reason;
    return fails ? -1 : result;
}

/* ---- contents */

static ssize_t written(int fd, struct iovec *parts, int number, off_t place)
{
    char path[PATH_MAX];
    enum verdict verdict = folder[0] ? judge("write", path_of(fd, path), GROWS | RESTARTS | WRITES) : WHOLE;
    if (verdict == FAILS)
        return -1;
    if (verdict != WHOLE && parts->iov_len > 1) {
        number = 1;
        parts->iov_len /= 2;
    }
    ssize_t done = place < 0 ? syscall(SYS_writev, fd, parts, number)
                             : syscall(SYS_pwritev, fd, parts, number, (long)place, 0L);
    if (verdict == HALF_THEN_KILL)
        syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    return done;
}

ssize_t write(int fd, const void *buffer, size_t size)
{
    struct iovec part = {(void *)buffer, size};
    return written(fd, &part, 1, -1);
}

ssize_t pwrite(int fd, const void *buffer, size_t size, off_t place)
{
    struct iovec part = {(void *)buffer, size};
    return written(fd, &part, 1, place);
}

ssize_t pwrite64(int fd, const void *buffer, size_t size, off_t place) { return pwrite(fd, buffer, size, place); }

ssize_t writev(int fd, const struct iovec *parts, int number)
{
    struct iovec own[IOV_MAX];
    memcpy(own, parts, number * sizeof *parts);
    return written(fd, own, number, -1);
}

ssize_t sendfile(int out, int in, off_t *place, size_t size)
{
    return on_file("write", out, GROWS | RESTARTS) ? -1 : syscall(SYS_sendfile, out, in, place, size);
}

ssize_t sendfile64(int out, int in, off_t *place, size_t size) { return sendfile(out, in, place, size); }

ssize_t copy_file_range(int in, off_t *from, int out, off_t *to, size_t size, unsigned flags)
{
    return on_file("write", out, GROWS | RESTARTS) ? -1
                                                   : syscall(SYS_copy_file_range, in, from, out, to, size, flags);
}

int ftruncate(int fd, off_t size)
{
    return on_file("ftruncate", fd, RESTARTS) ? -1 : syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int fsync(int fd) { return on_file("fsync", fd, RESTARTS) ? -1 : syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return on_file("fdatasync", fd, RESTARTS) ? -1 : syscall(SYS_fdatasync, fd); }

/* ---- names */

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    return on_path("rename", to_fd, to, 0) ? -1 : syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return renameat2(from_fd, from, to_fd, to, 0);
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int dirfd, const char *name, int flags)
{
    return on_path(flags & AT_REMOVEDIR ? "rmdir" : "unlink", dirfd, name, 0)
               ? -1 : syscall(SYS_unlinkat, dirfd, name, flags);
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int dirfd, const char *name, mode_t mode)
{
    return on_path("mkdir", dirfd, name, GROWS) ? -1 : syscall(SYS_mkdirat, dirfd, name, mode);
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    return on_path("link", to_fd, to, GROWS) ? -1 : syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

/* ---- locks */

int flock(int fd, int operation) { return on_file("flock", fd, RESTARTS) ? -1 : syscall(SYS_flock, fd, operation); }

#define CONTROL(NAME)                                                                 \
    int NAME(int fd, int command, ...)                                                \
    {                                                                                 \
        va_list rest;                                                                 \
        va_start(rest, command);                                                      \
        void *argument = va_arg(rest, void *);                                        \
        va_end(rest);                                                                 \
        int locks = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW; \
        return locks && on_file("lock", fd, RESTARTS) ? -1 : syscall(SYS_fcntl, fd, command, argument); \
    }
CONTROL(fcntl)
CONTROL(fcntl64)
