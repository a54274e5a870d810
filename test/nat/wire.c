/*
 * wire NETNS1 INTERFACE1 NETNS2 INTERFACE2: a cable between two network namespaces that delays, scatters, loses and spoils frames.
 *
 * For kernels without netem: two TAP devices and a queue between them. Each line on standard input sets how it is from then
 * on: delay and jitter of one direction in microseconds, then in millionths of the frames how many are lost, corrupted,
 * doubled, and sent without the delay. Jitter is added evenly from 0 up, so it lets frames overtake each other, as netem does;
 * without it, and without frames that skip the delay, the order is kept.
 *
 * A corrupted frame has one bit of its UDP payload flipped. Every other one has no UDP checksum any more, as a broken router or
 * memory leaves it: the kernel passes it on. The others are for the kernel to drop.
 *
 * The answer to each line is the line `ok` with how many frames were lost, corrupted, doubled and sent early so far. It ends
 * with its standard input, so with the program that started it. It does not limit the rate; a queue has MAX_QUEUED frames.
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
static int64_t delay_us, jitter_us;
/* Chances in millionths, and how often it happened. */
enum { LOST, CORRUPTED, DOUBLED, EARLY, KINDS };
static long long chances[KINDS], counts[KINDS];
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

static int happens(int kind) {
  if (chances[kind] == 0 || (int64_t)random_below(1000000) >= chances[kind]) return 0;
  counts[kind]++;
  return 1;
}

#define ETHERNET_BYTES 14
#define UDP_BYTES 8
#define PROTOCOL_UDP 17

/* Flips a bit of what UDP carries over IPv4; other frames stay as they are. */
static void corrupt(struct frame *frame) {
  unsigned char *ip = frame->bytes + ETHERNET_BYTES;
  if (frame->length < ETHERNET_BYTES + 20 || frame->bytes[12] != 8 || frame->bytes[13] != 0) return;
  int head_bytes = ETHERNET_BYTES + (ip[0] & 15) * 4 + UDP_BYTES;
  if (ip[9] != PROTOCOL_UDP || frame->length <= head_bytes || !happens(CORRUPTED)) return;
  frame->bytes[head_bytes + random_below(frame->length - head_bytes)] ^= 1 << random_below(8);
  if (counts[CORRUPTED] % 2 == 0) frame->bytes[head_bytes - 2] = frame->bytes[head_bytes - 1] = 0;
}

static void schedule(struct frame *frame, struct queue *queue) {
  int64_t late_us = delay_us + (jitter_us > 0 ? (int64_t)random_below(jitter_us + 1) : 0);
  frame->due_us = now_us() + (happens(EARLY) ? 0 : late_us);
  frame->number = numbers++;
  push(queue, frame);
}

/* Frees where it cannot keep: frames that nobody may see any more. */
static void take(int from, struct queue *queue) {
  static struct frame *spare;
  for (;;) {
    if (spare == NULL && (spare = malloc(sizeof *spare)) == NULL) fail("malloc");
    spare->length = read(from, spare->bytes, MAX_FRAME_BYTES);
    if (spare->length <= 0) return;
    if (queue->count >= MAX_QUEUED - 1 || happens(LOST)) continue;
    if (happens(DOUBLED)) {
      struct frame *twin = malloc(sizeof *twin);
      if (twin == NULL) fail("malloc");
      *twin = *spare;
      schedule(twin, queue);
    }
    corrupt(spare);
    schedule(spare, queue);
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
  long long delay, jitter, next[KINDS];
  int found = sscanf(line, "%lld %lld %lld %lld %lld %lld", &delay, &jitter, next, next + 1, next + 2, next + 3);
  if (found != 2 + KINDS) exit(2);
  delay_us = delay;
  jitter_us = jitter;
  memcpy(chances, next, sizeof chances);
  printf("ok %lld %lld %lld %lld\n", counts[LOST], counts[CORRUPTED], counts[DOUBLED], counts[EARLY]);
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
