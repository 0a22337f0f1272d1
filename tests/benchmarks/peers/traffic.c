/* The load of the relay rows: sends on connected sockets, takes what arrives at the other end.
 *
 *     traffic RATE SECONDS SIZE SPREAD PREFIX SINK CLIENT...
 *
 * RATE is packets a second, evenly spaced, or 0: as many as there is time for. Payloads have SIZE
 * bytes, give or take up to SPREAD; PREFIX is put in front (hexadecimal, "-" for nothing). SINK and
 * CLIENTs are file descriptors. Each payload begins like RTP and ends with the time it left. Prints sent, received, seconds, and delays in microseconds. */

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, BURST = 8, ROOM = 2048, STAMP = 8, SAMPLES = 1 << 22 };

static char outgoing[BURST][ROOM], incoming[BATCH][ROOM];
static struct mmsghdr out[BURST], in[BATCH];
static struct iovec out_slices[BURST], in_slices[BATCH];
static float *delays;
static long received;

static int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void drain(int sink) {
    int count;
    do {
        for (int i = 0; i < BATCH; i++)
            in_slices[i].iov_len = ROOM;
        count = recvmmsg(sink, in, BATCH, MSG_DONTWAIT, NULL);
        int64_t now = count > 0 ? nanoseconds() : 0;
        for (int i = 0; i < count; i++) {
            int64_t stamp;
            if (in[i].msg_len < STAMP)
                continue;
            memcpy(&stamp, incoming[i] + in[i].msg_len - STAMP, sizeof stamp);
            if (received < SAMPLES)
                delays[received] = (now - stamp) / 1e3f;
            received++;
        }
    } while (count == BATCH);
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc < 8)
        return 2;
    double rate = atof(argv[1]), seconds = atof(argv[2]);
    int size = atoi(argv[3]), spread = atoi(argv[4]), sink = atoi(argv[6]);
    int clients = argc - 7, prefix = 0;
    unsigned char head[64];
    if (strcmp(argv[5], "-"))
        for (; prefix < 64 && sscanf(argv[5] + 2 * prefix, "%2hhx", &head[prefix]) == 1; prefix++)
            ;
    delays = calloc(SAMPLES, sizeof *delays);
    for (int i = 0; i < BATCH; i++) {
        in_slices[i].iov_base = incoming[i];
        in[i].msg_hdr.msg_iov = &in_slices[i];
        in[i].msg_hdr.msg_iovlen = 1;
    }
    for (int i = 0; i < BURST; i++) {
        memcpy(outgoing[i], head, prefix);
        outgoing[i][prefix] = (char)0x80;
        outgoing[i][prefix + 1] = 111;
        out_slices[i].iov_base = outgoing[i];
        out[i].msg_hdr.msg_iov = &out_slices[i];
        out[i].msg_hdr.msg_iovlen = 1;
    }

    int64_t start = nanoseconds(), now = start, end = start + (int64_t)(seconds * 1e9);
    long sent = 0;
    while (now < end) {
        int burst = rate > 0 ? 1 : BURST;
        if (rate > 0 && sent >= rate * (now - start) / 1e9) {
            drain(sink);
            now = nanoseconds();
            continue;
        }
        for (int i = 0; i < burst; i++) {
            size_t whole = prefix + size - spread + (sent + i) * 37 % (2 * spread + 1);
            memcpy(outgoing[i] + whole - STAMP, &now, sizeof now);
            out_slices[i].iov_len = whole;
        }
        int fd = atoi(argv[7 + (rate > 0 ? sent : sent / BURST) % clients]);
        int done = sendmmsg(fd, out, burst, 0);
        sent += done > 0 ? done : 0;
        drain(sink);
        now = nanoseconds();
    }
    double lasted = (now - start) / 1e9;
    for (end = now + 50000000; now < end; now = nanoseconds())
        drain(sink);

    long samples = received < SAMPLES ? received : SAMPLES;
    qsort(delays, samples, sizeof *delays, ascending);
    printf("{\"sent\": %ld, \"received\": %ld, \"seconds\": %.6f, \"p50\": %.3f, \"p99\": %.3f}\n",
           sent, received, lasted, samples ? delays[samples / 2] : 0.0,
           samples ? delays[samples * 99 / 100] : 0.0);
    return 0;
}
