/*
 * wire NETNS1 INTERFACE1 NETNS2 INTERFACE2: a cable between two network namespaces that delays, scatters and loses frames.
 *
 * For kernels without netem: two TAP devices and a queue between them. Each line on standard input sets how it is from then
 * on: delay and jitter of one direction in microseconds, loss in millionths. Jitter is added evenly from 0 up, so it lets
 * frames overtake each other, as netem does; without it the order is kept. The answer to each line is the line `ok`. It ends with
 * its standard input, so with the program that started it. It does not limit the rate; a queue has MAX_QUEUED frames.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_FRAME_BYTES 2048
#define MAX_QUEUED 16384

struct frame {
  int64_t due_us;
  /* Equal times keep their order. */
  uint64_t number;
  int length;
  unsigned char bytes[MAX_FRAME_BYTES];
};

/* A heap: the frame that is due first is at the top. */
struct queue {
  struct frame *frames[MAX_QUEUED];
  int count;
};

static struct queue queues[2];
static int64_t delay_us, jitter_us, loss_millionths;
static uint64_t numbers, random_state = 88172645463325252ULL;

static int64_t now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

/* xorshift64: the same on every run, which is enough here. */
static uint64_t random_below(uint64_t limit) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state % limit;
}

static int is_before(const struct frame *one, const struct frame *other) {
  if (one->due_us != other->due_us) return one->due_us < other->due_us;
  return one->number < other->number;
}

static void push(struct queue *queue, struct frame *frame) {
  int place = queue->count++;
  while (place > 0 && is_before(frame, queue->frames[(place - 1) / 2])) {
    queue->frames[place] = queue->frames[(place - 1) / 2];
    place = (place - 1) / 2;
  }
  queue->frames[place] = frame;
}

static struct frame *pop(struct queue *queue) {
  struct frame *first = queue->frames[0], *last = queue->frames[--queue->count];
  int place = 0;
  for (;;) {
    int child = 2 * place + 1;
    if (child >= queue->count) break;
    if (child + 1 < queue->count && is_before(queue->frames[child + 1], queue->frames[child])) child++;
    if (!is_before(queue->frames[child], last)) break;
    queue->frames[place] = queue->frames[child];
    place = child;
  }
  queue->frames[place] = last;
  return first;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int open_tap(const char *namespace, const char *interface) {
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", namespace);
  int there = open(path, O_RDONLY | O_CLOEXEC);
  if (there < 0 || setns(there, CLONE_NEWNET) != 0) fail(path);
  close(there);
  int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  struct ifreq request = {0};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
  if (tap < 0 || ioctl(tap, TUNSETIFF, &request) != 0) fail("/dev/net/tun");
  return tap;
}

/* Frees where it cannot keep: frames that nobody may see any more. */
static void take(int from, struct queue *queue) {
  static struct frame *spare;
  for (;;) {
    if (spare == NULL && (spare = malloc(sizeof *spare)) == NULL) fail("malloc");
    spare->length = read(from, spare->bytes, MAX_FRAME_BYTES);
    if (spare->length <= 0) return;
    if (queue->count >= MAX_QUEUED || (int64_t)random_below(1000000) < loss_millionths) continue;
    spare->due_us = now_us() + delay_us + (jitter_us > 0 ? (int64_t)random_below(jitter_us + 1) : 0);
    spare->number = numbers++;
    push(queue, spare);
    spare = NULL;
  }
}

/* Sends what is due; gives when the next one is, or -1. */
static int64_t give(struct queue *queue, int to) {
  while (queue->count > 0 && queue->frames[0]->due_us <= now_us()) {
    struct frame *frame = pop(queue);
    /* An interface that is down refuses it: lost, as on any cable. */
    if (write(to, frame->bytes, frame->length) < 0) { /* lost */ }
    free(frame);
  }
  return queue->count > 0 ? queue->frames[0]->due_us : -1;
}

static void obey(void) {
  char line[128];
  int length = read(0, line, sizeof line - 1);
  if (length <= 0) exit(0);
  line[length] = 0;
  long long delay, jitter, loss;
  if (sscanf(line, "%lld %lld %lld", &delay, &jitter, &loss) != 3) exit(2);
  delay_us = delay;
  jitter_us = jitter;
  loss_millionths = loss;
  puts("ok");
  fflush(stdout);
}

int main(int count, char **arguments) {
  if (count != 5) {
    fprintf(stderr, "wire NETNS1 INTERFACE1 NETNS2 INTERFACE2\n");
    return 2;
  }
  int taps[2] = {open_tap(arguments[1], arguments[2]), open_tap(arguments[3], arguments[4])};
  puts("up");
  fflush(stdout);
  for (;;) {
    int64_t next_us = -1;
    for (int side = 0; side < 2; side++) {
      int64_t due_us = give(&queues[side], taps[!side]);
      if (due_us >= 0 && (next_us < 0 || due_us < next_us)) next_us = due_us;
    }
    struct timespec wait, *limit = NULL;
    if (next_us >= 0) {
      int64_t left_us = next_us - now_us();
      if (left_us < 0) left_us = 0;
      wait.tv_sec = left_us / 1000000;
      wait.tv_nsec = left_us % 1000000 * 1000;
      limit = &wait;
    }
    struct pollfd polled[3] = {{taps[0], POLLIN, 0}, {taps[1], POLLIN, 0}, {0, POLLIN, 0}};
    if (ppoll(polled, 3, limit, NULL) < 0) continue;
    for (int side = 0; side < 2; side++)
      if (polled[side].revents & POLLIN) take(taps[side], &queues[side]);
    if (polled[2].revents != 0) obey();
  }
}
