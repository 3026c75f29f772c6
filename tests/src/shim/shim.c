/*
 * Loaded before everything else into one process, it makes that process's disk slow or broken and sets its clock back.
 *
 * CROAK_SHIM names a file of three numbers (int64): microseconds to add to the wall clock, microseconds that fdatasync
 * takes longer, and whether fdatasync fails. Whoever runs the test changes them while the process runs.
 *
 * CROAK_SHIM_SYNCED names a file that gets a line `<file> <length>` for each sync that has succeeded: everything
 * behind that length could be gone after a power loss.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct orders {
    _Atomic int64_t clock_offset_us;
    _Atomic int64_t sync_delay_us;
    _Atomic int64_t sync_fails;
};

/* Without a file nothing is asked for. */
static struct orders *orders;
static int synced = -1;

/* What was written to each file: how far, and the part that no sync has covered yet. */
#define FILES_MAX 4096
static struct { off_t end, dirty_from, dirty_to; } files[FILES_MAX];

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CROAK_SHIM");
    if (path) {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        /* A test that believes in faults which never happen would prove nothing. */
        if (mapped == MAP_FAILED) abort();
        orders = mapped;
        close(fd);
    }
    path = getenv("CROAK_SHIM_SYNCED");
    if (path && (synced = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) < 0) abort();
}

static int64_t clock_offset_us(void) { return orders ? atomic_load(&orders->clock_offset_us) : 0; }

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*next)(clockid_t, struct timespec *);
    if (!next) next = real("clock_gettime");
    int result = next(clock, at);
    int64_t offset_us = clock_offset_us();
    if (result == 0 && offset_us && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = (int64_t)at->tv_sec * 1000000000 + at->tv_nsec + offset_us * 1000;
        at->tv_sec = ns / 1000000000;
        at->tv_nsec = ns % 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    static int (*next)(struct timeval *, void *);
    if (!next) next = real("gettimeofday");
    int result = next(at, zone);
    if (result == 0) {
        int64_t us = (int64_t)at->tv_sec * 1000000 + at->tv_usec + clock_offset_us();
        at->tv_sec = us / 1000000;
        at->tv_usec = us % 1000000;
    }
    return result;
}

static void wrote(int fd, off_t at, ssize_t count) {
    if (count <= 0 || fd < 0 || fd >= FILES_MAX) return;
    off_t end = at + count;
    if (files[fd].dirty_from == files[fd].dirty_to) {
        files[fd].dirty_from = at;
        files[fd].dirty_to = end;
    }
    if (at < files[fd].dirty_from) files[fd].dirty_from = at;
    if (end > files[fd].dirty_to) files[fd].dirty_to = end;
    if (end > files[fd].end) files[fd].end = end;
}

static ssize_t (*next_pwrite(void))(int, const void *, size_t, off64_t) {
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    if (!next) next = real("pwrite64");
    return next;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    ssize_t result = next_pwrite()(fd, bytes, count, at);
    wrote(fd, at, result);
    return result;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

/* The numbers of closed files are given out again. */
int close(int fd) {
    static int (*next)(int);
    if (!next) next = real("close");
    if (fd >= 0 && fd < FILES_MAX) memset(&files[fd], 0, sizeof files[fd]);
    return next(fd);
}

/* What a disk does that loses a write: what no sync covered reads as nothing. */
static void lose(int fd) {
    static const char nothing[4096];
    if (fd < 0 || fd >= FILES_MAX) return;
    for (off_t at = files[fd].dirty_from; at < files[fd].dirty_to;) {
        off_t left = files[fd].dirty_to - at;
        ssize_t done = next_pwrite()(fd, nothing, left < 4096 ? (size_t)left : 4096, at);
        if (done <= 0) break;
        at += done;
    }
}

static void tell(int fd) {
    char link[64], path[4096], line[4200];
    if (synced < 0 || fd < 0 || fd >= FILES_MAX) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    int bytes = snprintf(line, sizeof line, "%s %lld\n", path, (long long)files[fd].end);
    if (write(synced, line, (size_t)bytes) != bytes) abort();
}

static int sync_with(int (*next)(int), int fd) {
    int64_t delay_us = orders ? atomic_load(&orders->sync_delay_us) : 0;
    if (delay_us > 0) usleep((useconds_t)delay_us);
    if (orders && atomic_load(&orders->sync_fails)) {
        lose(fd);
        errno = EIO;
        return -1;
    }
    int result = next(fd);
    if (result == 0 && fd >= 0 && fd < FILES_MAX) {
        files[fd].dirty_from = files[fd].dirty_to = 0;
        tell(fd);
    }
    return result;
}

int fdatasync(int fd) {
    static int (*next)(int);
    if (!next) next = real("fdatasync");
    return sync_with(next, fd);
}

int fsync(int fd) {
    static int (*next)(int);
    if (!next) next = real("fsync");
    return sync_with(next, fd);
}
