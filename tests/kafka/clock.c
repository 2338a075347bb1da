/* Loaded before libc: the wall clock of a process is off by as many seconds as the file WEIR_TEST_CLOCK says. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static long long off(void) {
  char text[32] = {0};
  const char *path = getenv("WEIR_TEST_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0)
    return 0;
  ssize_t got = read(file, text, sizeof text - 1);
  close(file);
  return got > 0 ? atoll(text) : 0;
}

int clock_gettime(clockid_t id, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real)
    real = dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(id, now);
  if (!failed && id == CLOCK_REALTIME)
    now->tv_sec += off();
  return failed;
}

/* The kernel holds a wait until a moment against the clock as it is set meanwhile: so does this, by looking
   every 50 ms. `now` is the true time by which to wait next; the answer is whether that is the moment itself. */
static int next(const struct timespec *until, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real)
    real = dlsym(RTLD_NEXT, "clock_gettime");
  real(CLOCK_REALTIME, now);
  now->tv_nsec += 50000000;
  now->tv_sec += now->tv_nsec / 1000000000;
  now->tv_nsec %= 1000000000;
  long long then = until->tv_sec - off();
  if (then > now->tv_sec || (then == now->tv_sec && until->tv_nsec > now->tv_nsec))
    return 0;
  now->tv_sec = then;
  now->tv_nsec = until->tv_nsec;
  return 1;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock, const struct timespec *until) {
  static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  if (!real)
    real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  for (;;) {
    struct timespec now;
    int last = next(until, &now), answer = real(condition, lock, &now);
    if (last || answer != ETIMEDOUT)
      return answer;
  }
}

int cnd_timedwait(cnd_t *condition, mtx_t *lock, const struct timespec *until) {
  static int (*real)(cnd_t *, mtx_t *, const struct timespec *);
  if (!real)
    real = dlsym(RTLD_NEXT, "cnd_timedwait");
  for (;;) {
    struct timespec now;
    int last = next(until, &now), answer = real(condition, lock, &now);
    if (last || answer != thrd_timedout)
      return answer;
  }
}

int gettimeofday(struct timeval *now, void *zone) {
  struct timespec exact;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &exact))
    return -1;
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec exact;
  if (clock_gettime(CLOCK_REALTIME, &exact))
    return -1;
  if (out)
    *out = exact.tv_sec;
  return exact.tv_sec;
}
